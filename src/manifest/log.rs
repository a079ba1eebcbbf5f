//! The manifest log of one dataset: loading it, opening the next epoch, appending to it.
//!
//! Owns the protocol: entry n+1 is written by put-if-absent or not at all, a lost reply is
//! settled by reading back, and whoever finds a later epoch has been fenced. It knows no clock,
//! lease or listing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use chrono::Utc;
use futures::{StreamExt, stream};
use tokio::sync::OnceCell;

use super::change::{InvariantError, apply, extend};
use super::check::check;
use super::fence::{Fence, FenceState};
use super::model::{Change, Dataset, Entry, State, VERSION, WriterInfo};
use super::request::{OpenRequest, open_entry, segments_of};
use crate::chunk::Chunk;
use crate::crash_point::CrashPoint;
use crate::error::{Error, ErrorKind, Result};
#[cfg(test)]
use crate::sabotage::{self, Sabotage};
use crate::store::{AppendLog, Appended as LogAppended, Root, random_token};

/// Entries read at once. Simulated readers stop sooner: what lies behind the end is read in vain.
const CONCURRENCY: usize = if cfg!(test) { 4 } else { 32 };
/// Entries of a writer being taken over that are folded in before the take-over gives up.
const MAX_OPEN_TRIES: u32 = 100;

/// A dataset that this process may write to, as long as nobody takes it over.
///
/// The only owner of its state: appends go through `&mut`. Dropping it writes nothing.
#[derive(Debug)]
pub(crate) struct ManifestLog {
    root: Root,
    log: AppendLog,
    dataset: Dataset,
    fence: Fence,
    /// Written, but the outcome is unknown: nothing else may be written before it is settled.
    in_doubt: Option<Entry>,
    fenced_by: Option<(WriterInfo, u64)>,
    /// Nothing of a further run is committed by this writer yet.
    is_unbegun: bool,
}

/// How opening an epoch ended.
#[derive(Debug)]
pub(crate) enum Opened {
    /// It is ours.
    Open(Box<ManifestLog>),
    /// Another writer was faster, or is alive. Nothing was changed.
    Taken {
        /// The other writer.
        by: WriterInfo,
        /// Its epoch.
        epoch: u64,
    },
}

/// How an append ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub(crate) enum Appended {
    /// It stands in the log.
    Committed,
    /// A later epoch was opened. Nothing was changed, and nothing may be from here on.
    Fenced {
        /// Who took over.
        by: WriterInfo,
        /// Its epoch.
        epoch: u64,
    },
}

impl ManifestLog {
    /// Reads the whole log and folds it; `None` where there is no dataset.
    ///
    /// Reads up to 32 entries at once, and up to 31 behind the last in vain.
    ///
    /// # Errors
    ///
    /// The store's, classified; [`ErrorKind::Conflict`] for a damaged log,
    /// [`ErrorKind::Unsupported`] for one of another version.
    pub(crate) async fn load(root: &Root) -> Result<Option<Dataset>> {
        let log = AppendLog::new(root.clone());
        let mut dataset = None;
        let reads = stream::iter(1..u64::MAX).map(|seq| {
            let log = &log;
            async move { (seq, log.read(seq).await) }
        });
        let mut reads = std::pin::pin!(reads.buffered(CONCURRENCY));
        while let Some((seq, read)) = reads.next().await {
            let Some(bytes) = read? else { break };
            let entry = Entry::from_bytes(seq, &bytes)?;
            apply(&mut dataset, entry).map_err(|cause| damaged(root, seq, cause))?;
        }
        Ok(dataset)
    }

    /// Opens the next epoch behind `dataset`, as [`ManifestLog::load`] returned it, and writes
    /// the whole plan if it is new. From the first entry on, every earlier writer is fenced.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`] when the request contradicts the dataset: another configuration,
    /// other columns, ctid chunks under another snapshot. Nothing was changed then.
    /// [`ErrorKind::Fenced`] when a later writer took over while the plan was written. A storage
    /// error leaves the outcome unknown: an opened epoch that nobody writes to may stand.
    pub(crate) async fn open_epoch(
        root: &Root,
        dataset: Option<Dataset>,
        request: OpenRequest,
    ) -> Result<Opened> {
        let log = AppendLog::new(root.clone());
        let (mut dataset, mut request) = (dataset, request);
        let mut segments = segments_of(&mut request.plan);
        let first = segments.next();
        let runs = dataset.as_ref().map_or(0, |dataset| dataset.runs.len());
        let token = random_token();
        #[cfg(test)]
        if let Some(found) = &dataset {
            if sabotage::is(Sabotage::OrphansBeforeFence) {
                super::upkeep::delete_unfenced(root, found).await?;
            }
            let is_kept = matches!(request.plan, super::PlanRequest::Keep { .. });
            if sabotage::is(Sabotage::TakeOverWithoutEpoch)
                && found.state == State::Running
                && is_kept
            {
                return Self::opened(root, log, found.clone(), segments).await;
            }
        }
        for _ in 0..MAX_OPEN_TRIES {
            let first = first.as_deref().unwrap_or_default();
            let entry = open_entry(dataset.as_ref(), &request, first, segments.total, &token);
            check(dataset.as_ref(), &entry).map_err(|cause| refused(root, cause))?;
            let bytes = entry.to_bytes()?;
            let appended = log.append_entry(entry.seq, &bytes, CrashPoint::OpenEntry);
            match appended.await? {
                LogAppended::Created => {
                    apply(&mut dataset, entry).map_err(|cause| refused(root, cause))?;
                    let opened = dataset.ok_or_else(|| refused(root, InvariantError::NotOpened))?;
                    return Self::opened(root, log, opened, segments).await;
                }
                LogAppended::Exists(bytes) => {
                    let other = Entry::from_bytes(entry.seq, &bytes)?;
                    let is_older = dataset
                        .as_ref()
                        .is_some_and(|ours| ours.epoch == other.epoch);
                    if !is_older || !request.takeover {
                        return Ok(taken(dataset.as_ref(), other));
                    }
                    let seq = other.seq;
                    let by = other.clone();
                    apply(&mut dataset, other).map_err(|cause| damaged(root, seq, cause))?;
                    // A run that completes meanwhile leaves another end to go on from.
                    if dataset.as_ref().is_some_and(|now| now.runs.len() > runs) {
                        return Ok(taken(dataset.as_ref(), by));
                    }
                }
            }
        }
        Err(Error::new(
            ErrorKind::Conflict,
            format!(
                "the writer of {} writes faster than it can be taken over",
                root.url()
            ),
        )
        .with_advice("stop the other run, or try again"))
    }

    async fn opened(
        root: &Root,
        log: AppendLog,
        dataset: Dataset,
        segments: impl Iterator<Item = Vec<Chunk>> + Send,
    ) -> Result<Opened> {
        let state = Arc::new(FenceState {
            newest: AtomicU64::new(dataset.next_seq - 1),
            is_fenced: AtomicBool::new(false),
            begun: OnceCell::new(),
        });
        let is_further = !dataset.runs.is_empty();
        let mut opened = Self {
            root: root.clone(),
            fence: Fence {
                root: root.clone(),
                is_further,
                log: log.clone(),
                epoch: dataset.epoch,
                token: dataset.token.clone().into(),
                state,
            },
            log,
            dataset,
            in_doubt: None,
            fenced_by: None,
            is_unbegun: is_further,
        };
        for chunks in segments {
            if let Appended::Fenced { by, epoch } = opened.append(Change::Plan { chunks }).await? {
                return Err(fenced_while_planning(root, &by, epoch));
            }
        }
        Ok(Opened::Open(Box::new(opened)))
    }

    /// Reads the whole log again where only a lock kept others from it: an entry that was written
    /// over is found before the dataset is called complete.
    ///
    /// # Errors
    ///
    /// The store's, classified; [`ErrorKind::Conflict`] when the log is not what was written.
    pub(crate) async fn check_alone(&self) -> Result<()> {
        if self.dataset.config.writers.is_fenced() {
            return Ok(());
        }
        match Self::load(&self.root).await? {
            Some(found) if found == self.dataset => Ok(()),
            _ => Err(Error::new(
                ErrorKind::Conflict,
                format!("another writer wrote over the log of {}", self.root.url()),
            )
            .with_advice("--single-writer cannot prevent it: export to a fresh root")),
        }
    }

    /// The dataset's root.
    pub(crate) fn root(&self) -> &Root {
        &self.root
    }

    /// The fold of all that was committed.
    pub(crate) fn dataset(&self) -> &Dataset {
        &self.dataset
    }

    /// A handle that tells workers whether this writer still may write.
    pub(crate) fn fence(&self) -> Fence {
        self.fence.clone()
    }

    /// Appends one entry, after checking that it may follow.
    ///
    /// After a storage error, or dropped midway, the outcome is unknown; the next append settles
    /// it first, by writing the same entry again. The same change given again is then no error:
    /// it counts once. A pause or failure of a dataset that turns out complete is dropped.
    ///
    /// # Errors
    ///
    /// The store's, classified; [`ErrorKind::Internal`] for a change that must not follow.
    pub(crate) async fn append(&mut self, change: Change) -> Result<Appended> {
        let mut change = change;
        #[cfg(test)]
        if sabotage::is(Sabotage::UnknownIsFailure) {
            return self.append_anew(change).await;
        }
        if self.is_unbegun && matches!(change, Change::Commit { .. } | Change::Complete { .. }) {
            // Once more: one that finished the run before late may have put it back, and died. If
            // it is fenced, the append finds so too.
            self.fence.withdraw_success().await?;
            self.is_unbegun = false;
        }
        if let Some(entry) = self.in_doubt.clone() {
            if let fenced @ Appended::Fenced { .. } = self.write(entry.clone()).await? {
                return Ok(fenced);
            }
            if entry.change == change {
                return Ok(Appended::Committed);
            }
            if let Change::Commit { chunks } = &mut change {
                chunks.retain(|chunk| self.dataset.committed.get(&chunk.chunk) != Some(chunk));
                if chunks.is_empty() {
                    return Ok(Appended::Committed);
                }
            }
            let is_end = matches!(change, Change::Pause { .. } | Change::Fail { .. });
            if is_end && self.dataset.state == State::Complete {
                return Ok(Appended::Committed);
            }
        }
        self.write(self.next_entry(change)).await
    }

    /// What no writer may do: what was not told counts as not done, and is done anew.
    #[cfg(test)]
    async fn append_anew(&mut self, change: Change) -> Result<Appended> {
        for _ in 0..100 {
            let entry = self.next_entry(change.clone());
            check(Some(&self.dataset), &entry).map_err(|cause| refused(&self.root, cause))?;
            let key = crate::store::layout::log_key(entry.seq);
            match self.root.create(&key, entry.to_bytes()?).await {
                Ok(crate::store::Created::Yes) => return self.committed(entry),
                Ok(crate::store::Created::Exists) => self.dataset.next_seq += 1,
                Err(_) => {}
            }
        }
        Err(Error::new(ErrorKind::Storage, "too many tries"))
    }

    fn next_entry(&self, change: Change) -> Entry {
        Entry {
            version: VERSION,
            seq: self.dataset.next_seq,
            epoch: self.dataset.epoch,
            token: self.dataset.token.clone(),
            nonce: random_token(),
            at: Utc::now(),
            change,
        }
    }

    async fn write(&mut self, entry: Entry) -> Result<Appended> {
        if let Some((by, epoch)) = self.fenced_by.clone() {
            return Ok(Appended::Fenced { by, epoch });
        }
        check(Some(&self.dataset), &entry).map_err(|cause| refused(&self.root, cause))?;
        let bytes = entry.to_bytes()?;
        let seq = entry.seq;
        let point = point_of(&entry.change);
        let appending = self.in_doubt.insert(entry);
        let appended = self.log.append_entry(appending.seq, &bytes, point).await?;
        let Some(entry) = self.in_doubt.take() else {
            return Err(Error::new(ErrorKind::Internal, "an append lost its entry"));
        };
        match appended {
            LogAppended::Created => self.committed(entry),
            LogAppended::Exists(other) => self.superseded(seq, &other),
        }
    }

    fn committed(&mut self, entry: Entry) -> Result<Appended> {
        let seq = entry.seq;
        extend(&mut self.dataset, entry).map_err(|cause| refused(&self.root, cause))?;
        self.fence.state.newest.fetch_max(seq, Ordering::AcqRel);
        Ok(Appended::Committed)
    }

    /// Another entry stands where ours belonged.
    fn superseded(&mut self, seq: u64, bytes: &Bytes) -> Result<Appended> {
        let other = Entry::from_bytes(seq, bytes)?;
        if other.epoch <= self.dataset.epoch {
            return Err(Error::new(
                ErrorKind::Internal,
                format!(
                    "entry {seq} of {} is by epoch {}",
                    self.root.url(),
                    other.epoch
                ),
            )
            .with_advice("two writers share an epoch, which must not be: please report it"));
        }
        let epoch = other.epoch;
        let by = match other.change {
            Change::Open(open) => open.writer,
            _ => self.dataset.writer.clone(),
        };
        self.fence.state.is_fenced.store(true, Ordering::Release);
        self.fenced_by = Some((by.clone(), epoch));
        Ok(Appended::Fenced { by, epoch })
    }
}

fn point_of(change: &Change) -> CrashPoint {
    match change {
        Change::Open(_) => CrashPoint::OpenEntry,
        Change::Plan { .. } => CrashPoint::PlanEntry,
        Change::Commit { .. } => CrashPoint::CommitEntry,
        Change::Pause { .. } => CrashPoint::PauseEntry,
        Change::Fail { .. } => CrashPoint::FailEntry,
        Change::Complete { .. } => CrashPoint::CompleteEntry,
    }
}

/// Unlike one that was taken, this epoch was opened: its entries stand, and count for nothing.
fn fenced_while_planning(root: &Root, by: &WriterInfo, epoch: u64) -> Error {
    let message = format!(
        "{by} opened epoch {epoch} of {} while this run wrote its plan there; this one stopped",
        root.url()
    );
    Error::new(ErrorKind::Fenced, message)
}

fn taken(dataset: Option<&Dataset>, other: Entry) -> Opened {
    let by = match other.change {
        Change::Open(open) => open.writer,
        // Only a writer that was known has written anything else.
        _ => dataset.map_or_else(WriterInfo::current, |dataset| dataset.writer.clone()),
    };
    Opened::Taken {
        by,
        epoch: other.epoch,
    }
}

fn damaged(root: &Root, seq: u64, cause: InvariantError) -> Error {
    Error::new(
        ErrorKind::Conflict,
        format!(
            "the manifest log of {} is damaged at entry {seq}",
            root.url()
        ),
    )
    .with_advice("something else wrote under _pgsluice/log: export to a fresh root")
    .with_source(cause)
}

/// The error of an entry that this process wanted to write.
fn refused(root: &Root, cause: InvariantError) -> Error {
    let (kind, advice) = match &cause {
        InvariantError::Config(_) | InvariantError::Columns => (
            ErrorKind::Conflict,
            "give the options of the first run, or export to another root",
        ),
        InvariantError::CtidSnapshot => (
            ErrorKind::Conflict,
            "join the first run's snapshot with --snapshot, or plan the table anew",
        ),
        InvariantError::State {
            state: State::Complete,
            ..
        } => (
            ErrorKind::Conflict,
            "the dataset is complete: export to another root",
        ),
        _ => (ErrorKind::Internal, "please report this"),
    };
    Error::new(
        kind,
        format!(
            "an entry must not follow in the manifest log of {}",
            root.url()
        ),
    )
    .with_advice(advice)
    .with_source(cause)
}
