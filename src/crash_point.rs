//! The points at which a run can die: every step of the manifest protocol and of a run, by name.
//!
//! Owns the one list of them, and what tests can do at each. Without the feature `failpoints`,
//! which only tests turn on, [`step`] is its argument and costs nothing.

#[cfg(not(feature = "failpoints"))]
use crate::error::Result;

macro_rules! crash_points {
    ($($(#[doc = $doc:literal])+ $point:ident = $name:literal on $side:ident,)+) => {
        /// A step of a run.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub(crate) enum CrashPoint {
            $($(#[doc = $doc])+ $point,)+
        }

        impl CrashPoint {
            /// Every step, in the order in which a run first comes to them.
            #[cfg(feature = "failpoints")]
            pub(crate) const ALL: &[Self] = &[$(Self::$point,)+];

            /// Its name in `PGSLUICE_CRASH_POINT`.
            #[cfg(feature = "failpoints")]
            pub(crate) const fn name(self) -> &'static str {
                match self { $(Self::$point => $name,)+ }
            }

            /// Whose reply the step waits for.
            #[cfg(feature = "failpoints")]
            const fn side(self) -> Side {
                match self { $(Self::$point => Side::$side,)+ }
            }
        }
    };
}

crash_points! {
    /// The probe of the store writes its file, if there is none.
    Probe = "probe" on Store,
    /// The probe takes its file away.
    ProbeDelete = "probe-delete" on Store,
    /// A connection to the server: the keeper's, the locker's, a worker's.
    Connect = "connect" on Source,
    /// The locker locks a table.
    LockTable = "lock-table" on Source,
    /// The keeper exports its snapshot.
    TakeSnapshot = "take-snapshot" on Source,
    /// The log of a dataset is read.
    LoadLog = "load-log" on Store,
    /// The record of a run over several tables is begun.
    RecordBegin = "record-begin" on Store,
    /// The entry that opens an epoch: of a new dataset, of one that is taken over or gone on with,
    /// of a further run.
    OpenEntry = "open-entry" on Store,
    /// A further piece of a long plan.
    PlanEntry = "plan-entry" on Store,
    /// A renewal of the lease.
    Lease = "lease" on Store,
    /// The `_SUCCESS` of the runs before is taken away.
    WithdrawSuccess = "withdraw-success" on Store,
    /// A worker joins the snapshot.
    JoinSnapshot = "join-snapshot" on Source,
    /// A worker locks what a chunk reads.
    LockChunk = "lock-chunk" on Source,
    /// A COPY is begun.
    CopyBegin = "copy-begin" on Source,
    /// One frame of a COPY comes in.
    CopyFrame = "copy-frame" on Source,
    /// The trailer of a COPY was read; the server's word that it ended is awaited.
    CopyEnd = "copy-end" on Source,
    /// The transaction of a chunk's reading ends.
    ReadCommit = "read-commit" on Source,
    /// An upload in parts is begun.
    BeginUpload = "begin-upload" on Store,
    /// A part is uploaded.
    UploadPart = "upload-part" on Store,
    /// An upload in parts is given up.
    AbortUpload = "abort-upload" on Store,
    /// The fence is looked at, before an object becomes visible.
    FenceBefore = "fence-before" on Store,
    /// A small object is written whole.
    PutObject = "put-object" on Store,
    /// The parts of an object become visible as one.
    CompleteUpload = "complete-upload" on Store,
    /// The fence is looked at, after an object became visible.
    FenceAfter = "fence-after" on Store,
    /// An object that came too late is taken away by its own writer.
    DeleteFenced = "delete-fenced" on Store,
    /// An object's footer is read back.
    ReadFooter = "read-footer" on Store,
    /// Chunks become committed.
    CommitEntry = "commit-entry" on Store,
    /// The end of a table is checked: its lock was held, its definition did not change.
    CheckEnd = "check-end" on Source,
    /// The locks of a table are let go.
    LetGo = "let-go" on Source,
    /// The transactions of keeper and locker end.
    Release = "release" on Source,
    /// What dead epochs left is looked for.
    ListOrphans = "list-orphans" on Store,
    /// The fence is looked at, before orphans are deleted.
    FenceOrphans = "fence-orphans" on Store,
    /// What dead epochs left is deleted.
    DeleteOrphans = "delete-orphans" on Store,
    /// Every committed object is compared with the store once more.
    CheckObjects = "check-objects" on Store,
    /// The entry that completes a run of a dataset.
    CompleteEntry = "complete-entry" on Store,
    /// The consolidated manifest is written.
    ManifestFile = "manifest-file" on Store,
    /// `_SUCCESS` is written.
    SuccessFile = "success-file" on Store,
    /// The entry of a run that was asked to stop.
    PauseEntry = "pause-entry" on Store,
    /// The entry of a table that failed.
    FailEntry = "fail-entry" on Store,
    /// The record of a run over several tables is ended.
    RecordEnd = "record-end" on Store,
}

#[cfg(feature = "failpoints")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Source,
    Store,
}

/// Does a step; where a test asked for it, dies or stops before or after it, or loses its reply.
#[cfg(not(feature = "failpoints"))]
pub(crate) fn step<T, F: Future<Output = Result<T>>>(_: CrashPoint, step: F) -> F {
    step
}

/// How many chunks one entry of the log plans, so that a test can have several entries of few.
#[cfg(not(feature = "failpoints"))]
pub(crate) const fn plan_chunks(most: usize) -> usize {
    most
}

#[cfg(feature = "failpoints")]
pub(crate) use self::armed::{plan_chunks, step};

#[cfg(feature = "failpoints")]
mod armed {
    //! `PGSLUICE_CRASH_POINT=NAME:WHAT[:N]`, several of them by commas: at the N-th time (from 1,
    //! default 1) that the step is reached, WHAT happens, once: `kill-before`, `kill-after`,
    //! `stop-before`, `stop-after` (the process stops until it gets SIGCONT), `lose-reply` (the step
    //! is done, its caller is told of a broken connection). Standard error tells that it happened.
    //!
    //! `PGSLUICE_PLAN_CHUNKS=N`: one entry of the log plans at most N chunks.

    use std::io::Write as _;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::{CrashPoint, Side};
    use crate::error::{Error, ErrorKind, Result};

    const VARIABLE: &str = "PGSLUICE_CRASH_POINT";
    /// Sends the signal and ends when it has taken effect: until then this thread waits.
    const STOP: &str = "kill -STOP $1 && for i in $(seq 500); do
        grep -q 'State:.T' /proc/$1/status && exit; sleep 0.01; done";
    const PLAN_CHUNKS: &str = "PGSLUICE_PLAN_CHUNKS";

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum What {
        KillBefore,
        KillAfter,
        StopBefore,
        StopAfter,
        LoseReply,
    }

    #[derive(Debug)]
    struct Armed {
        point: CrashPoint,
        what: What,
        nth: u32,
        reached: AtomicU32,
    }

    static ARMED: OnceLock<Vec<Armed>> = OnceLock::new();

    pub(crate) async fn step<T>(
        point: CrashPoint,
        step: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let armed = ARMED.get_or_init(armed).iter();
        let Some(armed) = armed
            .filter(|armed| armed.point == point)
            // Each counts for itself.
            .fold(None, |now, armed| armed.is_now().then_some(armed).or(now))
        else {
            return step.await;
        };
        match armed.what {
            What::KillBefore => armed.kill(),
            What::StopBefore => armed.stop(),
            _ => {}
        }
        let done = step.await;
        match armed.what {
            What::KillAfter => armed.kill(),
            What::StopAfter => armed.stop(),
            // What failed by itself has no reply that could be lost.
            What::LoseReply if done.is_ok() => {
                armed.tell();
                return Err(lost(point));
            }
            _ => {}
        }
        done
    }

    pub(crate) fn plan_chunks(most: usize) -> usize {
        let wanted = std::env::var(PLAN_CHUNKS).ok();
        let wanted = wanted.map(|text| text.parse().expect("PGSLUICE_PLAN_CHUNKS is a number"));
        wanted.unwrap_or(most)
    }

    impl Armed {
        fn is_now(&self) -> bool {
            self.reached.fetch_add(1, Ordering::Relaxed) + 1 == self.nth
        }

        /// As SIGKILL would: nothing is flushed, closed or dropped.
        fn kill(&self) -> ! {
            self.tell();
            std::process::abort()
        }

        /// Every thread of the process stands still from here on, until somebody sends SIGCONT.
        fn stop(&self) {
            self.tell();
            let pid = std::process::id().to_string();
            let sent = std::process::Command::new("sh")
                .args(["-c", STOP, "sh", &pid])
                .status();
            assert!(sent.is_ok_and(|status| status.success()), "cannot stop");
        }

        fn tell(&self) {
            // Past the log, whose level the test may have lowered. Without it the test fails.
            let (name, what) = (self.point.name(), self.what);
            let _ = writeln!(std::io::stderr(), "crash point {name}: {what:?}");
        }
    }

    /// A test that misspells a step must not pass for nothing.
    fn armed() -> Vec<Armed> {
        let text = std::env::var(VARIABLE).unwrap_or_default();
        let points = text.split(',').filter(|text| !text.is_empty());
        let parsed = points.map(|text| {
            let armed = parse(text);
            armed.unwrap_or_else(|| panic!("{VARIABLE}: {text} is no crash point"))
        });
        parsed.collect()
    }

    fn parse(text: &str) -> Option<Armed> {
        let mut parts = text.split(':');
        let name = parts.next()?;
        let point = *CrashPoint::ALL.iter().find(|point| point.name() == name)?;
        let what = match parts.next()? {
            "kill-before" => What::KillBefore,
            "kill-after" => What::KillAfter,
            "stop-before" => What::StopBefore,
            "stop-after" => What::StopAfter,
            "lose-reply" => What::LoseReply,
            _ => return None,
        };
        let nth = parts.next().map_or(Ok(1), str::parse).ok()?;
        Some(Armed {
            point,
            what,
            nth,
            reached: AtomicU32::new(0),
        })
    }

    fn lost(point: CrashPoint) -> Error {
        let (kind, what) = match point.side() {
            Side::Source => (ErrorKind::Source, "the connection to the server broke"),
            Side::Store => (ErrorKind::Storage, "the connection to the store broke"),
        };
        Error::new(kind, format!("{what} (at {})", point.name())).with_retryable(true)
    }
}
