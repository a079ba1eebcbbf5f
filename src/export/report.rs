//! What a run says of itself at its end. Plain data, serialised as it stands by `--output json`.

use std::time::Duration;

use serde::Serialize;

use crate::chunk::{ChunkId, Totals};
use crate::snapshot::{Consistency, Snapshot};

/// How an export ended, for all its tables.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct ExportReport {
    /// The run's id, as in `application_name` and the run record.
    pub run_id: String,
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
}

/// How one table ended.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct TableReport {
    /// `schema.name`.
    pub table: String,
    /// The dataset's root.
    pub root: String,
    /// Where the consolidated manifest is.
    pub manifest: String,
    /// Whether it was complete before this run, which then did nothing.
    pub was_complete: bool,
    /// Consistency of this dataset alone.
    pub consistency: Consistency,
    /// The epoch it was completed under.
    pub epoch: u64,
    /// Totals over the whole dataset.
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
    /// What happened, without values.
    pub reason: String,
}

pub(crate) fn seconds<S: serde::Serializer>(wall: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_f64(wall.as_secs_f64())
}
