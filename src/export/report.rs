//! What a run says of itself at its end. Plain data, serialised as it stands by `--output json`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::chunk::{ChunkId, Totals};
use crate::error::Error;
use crate::export::pace::Pacer;
use crate::manifest::Dataset;
use crate::options::Writers;
use crate::snapshot::{Consistency, Snapshot};

/// How an export ended, for all its tables.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct ExportReport {
    /// The run's id, as in `application_name` and the run record.
    pub run_id: String,
    /// `complete` when every table is; `failed` when one failed; else `paused`.
    pub state: EndState,
    /// Why the run paused.
    pub reason: Option<String>,
    /// Whether all rows of all tables stand under one snapshot.
    pub consistency: Consistency,
    /// The snapshot this run read under; `None` when every table was complete already.
    pub snapshot: Option<Snapshot>,
    /// One entry a table, in the order they were given.
    pub tables: Vec<TableReport>,
    /// Things a person should know, each one sentence.
    pub warnings: Vec<String>,
    /// From start to end.
    #[serde(rename = "wall_seconds", serialize_with = "seconds")]
    pub wall: Duration,
    /// How long each guard let nothing be read; empty when none did.
    #[serde(rename = "waited_seconds", serialize_with = "seconds_of_each")]
    pub waited: BTreeMap<&'static str, Duration>,
    /// How often each kind of failure was met and made good, or tried to: an SQLSTATE, `source
    /// connection`, `store 503` and the like. Of the store also what its client repeated.
    pub retried: BTreeMap<String, u64>,
}

/// How a run or one of its tables ended. The same command goes on from all but `complete`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EndState {
    /// Every chunk is committed, and `_SUCCESS` stands.
    Complete,
    /// Stopped by a policy or a guard.
    Paused,
    /// Stopped by an error.
    Failed,
}

impl EndState {
    /// The stable lower-case name, as it stands in JSON output.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Paused => "paused",
            Self::Failed => "failed",
        }
    }
}

/// How one table ended.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct TableReport {
    /// `schema.name`.
    pub table: String,
    /// How it ended.
    pub state: EndState,
    /// Why it failed.
    #[serde(serialize_with = "told")]
    pub error: Option<Arc<Error>>,
    /// The dataset's root.
    pub root: String,
    /// Where the consolidated manifest is, once the table is complete.
    pub manifest: String,
    /// Whether it was complete before this run, which then did nothing.
    pub was_complete: bool,
    /// Consistency of this dataset alone.
    pub consistency: Consistency,
    /// What keeps its writers apart.
    pub writers: Writers,
    /// The epoch of its newest writer.
    pub epoch: u64,
    /// Chunks in its plan.
    pub chunks_total: u64,
    /// Totals over the whole dataset, as far as it is committed.
    pub totals: Totals,
    /// What this run alone did.
    pub this_run: Totals,
    /// Chunks that were committed by an earlier run and not read again.
    pub chunks_skipped: u64,
    /// Chunks that failed and were read again, with the reason.
    pub retries: Vec<Retry>,
}

/// One try of a chunk that failed and was made good.
#[derive(Debug, Clone, Serialize)]
pub struct Retry {
    /// The chunk.
    pub chunk: ChunkId,
    /// The try that failed, from 1.
    pub attempt: u32,
    /// What kind of failure: as in [`ExportReport::retried`].
    pub kind: String,
    /// What happened, without values.
    pub reason: String,
}

impl ExportReport {
    /// The error of the first table that failed.
    #[must_use]
    pub fn first_error(&self) -> Option<&Arc<Error>> {
        self.tables.iter().find_map(|table| table.error.as_ref())
    }

    /// Adds what the store's client has met since `before`. A failed try of a chunk ends with one
    /// of these failures, which must not count twice.
    pub(super) fn count_store_failures(
        &mut self,
        before: &BTreeMap<String, u64>,
        after: BTreeMap<String, u64>,
    ) {
        for (kind, count) in after {
            let new = count - before.get(&kind).copied().unwrap_or_default();
            if new > 0 {
                let counted = self.retried.entry(kind).or_default();
                *counted = new.max(*counted);
            }
        }
    }
}

impl TableReport {
    /// A table of which nothing was read, now or before: it failed, or the run paused before it.
    pub(super) fn unread(table: String, error: Option<Error>) -> Self {
        Self {
            table,
            state: match error {
                Some(_) => EndState::Failed,
                None => EndState::Paused,
            },
            error: error.map(Arc::new),
            root: String::new(),
            manifest: String::new(),
            was_complete: false,
            consistency: Consistency::Snapshot,
            writers: Writers::default(),
            epoch: 0,
            chunks_total: 0,
            totals: Totals::default(),
            this_run: Totals::default(),
            chunks_skipped: 0,
            retries: Vec::new(),
        }
    }
}

/// What this run did to one table.
pub(super) struct ThisRun {
    pub(super) totals: Totals,
    pub(super) chunks_skipped: u64,
    pub(super) retries: Vec<Retry>,
    pub(super) was_complete: bool,
    pub(super) state: EndState,
    pub(super) error: Option<Arc<Error>>,
}

impl ThisRun {
    /// It read nothing of a dataset that stands so.
    pub(super) fn nothing(dataset: &Dataset, state: EndState) -> Self {
        Self {
            totals: Totals::default(),
            chunks_skipped: dataset.committed.len() as u64,
            retries: Vec::new(),
            was_complete: state == EndState::Complete,
            state,
            error: None,
        }
    }
}

/// A run that may not read now: it touched nothing.
pub(super) fn paused_at_once(run_id: String, pacer: &Pacer, wall: Duration) -> ExportReport {
    ExportReport {
        run_id,
        state: EndState::Paused,
        reason: pacer.reason().map(str::to_owned),
        consistency: Consistency::Snapshot,
        snapshot: None,
        tables: Vec::new(),
        warnings: Vec::new(),
        wall,
        waited: pacer.slowed.times(),
        retried: pacer.patience.counts(),
    }
}

/// Above all what a caller acts on; the chain as one line.
fn told<S: Serializer>(error: &Option<Arc<Error>>, to: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Told<'a> {
        kind: &'static str,
        message: String,
        chunk: Option<ChunkId>,
        advice: Option<&'a str>,
        retryable: bool,
    }
    let told = error.as_ref().map(|error| Told {
        kind: error.kind().as_str(),
        message: crate::export::worker::one_line(error),
        chunk: error.chunk(),
        advice: error.advice(),
        retryable: error.is_retryable(),
    });
    told.serialize(to)
}

fn seconds_of_each<S: Serializer>(
    times: &BTreeMap<&'static str, Duration>,
    to: S,
) -> Result<S::Ok, S::Error> {
    to.collect_map(times.iter().map(|(by, time)| (by, time.as_secs_f64())))
}

pub(crate) fn seconds<S: serde::Serializer>(wall: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_f64(wall.as_secs_f64())
}
