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
        #[cfg_attr(not(feature = "failpoints"), expect(dead_code, reason = "named for tests"))]
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
    /// The keeper locks the tables.
    LockTables = "lock-tables" on Source,
    /// The keeper exports its snapshot.
    TakeSnapshot = "take-snapshot" on Source,
    /// The first entry of a dataset's log, or the one that takes it over.
    OpenEntry = "open-entry" on Store,
    /// A further piece of a long plan.
    PlanEntry = "plan-entry" on Store,
    /// A renewal of the lease.
    Lease = "lease" on Store,
    /// An object becomes visible.
    CompleteUpload = "complete-upload" on Store,
    /// Chunks become committed.
    CommitEntry = "commit-entry" on Store,
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

#[cfg(feature = "failpoints")]
pub(crate) use self::armed::step;

#[cfg(feature = "failpoints")]
mod armed {
    //! `PGSLUICE_CRASH_POINT=NAME:WHAT[:N]`: at the N-th time (from 1, default 1) that the step is
    //! reached, WHAT happens, once: `kill-before`, `kill-after`, `stop-before`, `stop-after` (the
    //! process stops until it gets SIGCONT), `lose-reply` (the step is done, its caller is told
    //! of a broken connection).

    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::{CrashPoint, Side};
    use crate::error::{Error, ErrorKind, Result};

    const VARIABLE: &str = "PGSLUICE_CRASH_POINT";

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

    static ARMED: OnceLock<Option<Armed>> = OnceLock::new();

    pub(crate) async fn step<T>(
        point: CrashPoint,
        step: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let armed = ARMED.get_or_init(armed).as_ref();
        let Some(armed) = armed.filter(|armed| armed.point == point && armed.is_now()) else {
            return step.await;
        };
        match armed.what {
            What::KillBefore => std::process::abort(),
            What::StopBefore => stop(),
            _ => {}
        }
        let done = step.await;
        match armed.what {
            What::KillAfter => std::process::abort(),
            What::StopAfter => stop(),
            What::LoseReply => {
                return Err(lost(point));
            }
            _ => {}
        }
        done
    }

    impl Armed {
        fn is_now(&self) -> bool {
            self.reached.fetch_add(1, Ordering::Relaxed) + 1 == self.nth
        }
    }

    /// A test that misspells a step must not pass for nothing.
    fn armed() -> Option<Armed> {
        let text = std::env::var(VARIABLE).ok()?;
        let parsed = parse(&text);
        assert!(parsed.is_some(), "{VARIABLE}: {text} is no crash point");
        parsed
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

    /// Every thread of the process stands still from here on, until somebody sends SIGCONT.
    fn stop() {
        let pid = std::process::id().to_string();
        let sent = std::process::Command::new("kill")
            .args(["-STOP", &pid])
            .status();
        assert!(sent.is_ok_and(|status| status.success()), "cannot stop");
    }
}
