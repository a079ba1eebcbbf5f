//! The entries of the manifest log and what they fold into. Plain data.
//!
//! Owns the format that stands in the store: a change of meaning takes a new [`VERSION`]. What
//! may follow what is decided in `change`; nothing here reads or writes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::config::ExportConfig;
use super::runs::CompletedRun;
use crate::chunk::{Chunk, ChunkId, Plan, PlannedRelation, Range, Totals};
use crate::lsn::Lsn;
use crate::snapshot::Snapshot;
use crate::table::{TableName, TableSchema};

/// The format of log entries and of the consolidated manifest.
pub(crate) const VERSION: u32 = 1;
/// Most chunks of one plan entry.
pub(crate) const MAX_PLAN_CHUNKS: usize = 1_000;
/// Most chunks of one commit entry.
pub(crate) const MAX_COMMIT_CHUNKS: usize = 1_000;

/// One entry of the manifest log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// [`VERSION`].
    pub(crate) version: u32,
    /// Its number, from 1; also its name.
    pub(crate) seq: u64,
    /// The epoch of its writer, from 1.
    pub(crate) epoch: u64,
    /// The writer's token: random, one for each epoch that was tried.
    pub(crate) token: String,
    /// Random, one an append: the writer knows its own entry by it after a lost reply.
    pub(crate) nonce: String,
    /// By the writer's clock. Shown to people; decides nothing.
    pub(crate) at: DateTime<Utc>,
    /// What it changes.
    pub(crate) change: Change,
}

/// What an entry changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Change {
    /// The next epoch: fences every earlier writer.
    Open(Box<Open>),
    /// A further segment of a new or extended plan.
    Plan {
        /// At most [`MAX_PLAN_CHUNKS`], in order.
        chunks: Vec<Chunk>,
    },
    /// Chunks whose objects stand.
    Commit {
        /// At most [`MAX_COMMIT_CHUNKS`].
        chunks: Vec<ChunkEntry>,
    },
    /// Stopped on request.
    Pause {
        /// Why, for people.
        reason: String,
    },
    /// Stopped by an error.
    Fail {
        /// What happened, without values or secrets.
        message: String,
    },
    /// Every chunk is committed. Nothing follows but the next incremental run.
    Complete {
        /// Sums over all chunks.
        totals: Totals,
    },
}

/// The first entry of an epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Open {
    /// Who writes from here on.
    pub(crate) writer: WriterInfo,
    /// What is exported and how; the same in every epoch.
    pub(crate) config: ExportConfig,
    /// The table as this epoch found it.
    pub(crate) schema: TableSchema,
    /// Index into the dataset's snapshots: what this epoch's chunks are read under.
    pub(crate) snapshot: u32,
    /// The snapshot itself, where it is not among them yet: it is appended.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) new_snapshot: Option<Snapshot>,
    /// What becomes of the plan.
    pub(crate) plan: PlanStart,
    /// Why this epoch began, for people.
    pub(crate) reason: String,
}

/// What an epoch does with the plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum PlanStart {
    /// Goes on with it.
    Keep {
        /// Committed chunks to read again, their objects being gone or different.
        discard: Vec<ChunkId>,
    },
    /// Starts over: nothing that was committed counts, and snapshots are numbered from 0 again.
    New {
        /// How each relation is read.
        relations: Vec<PlannedRelation>,
        /// Chunks in all segments.
        chunks_total: u32,
        /// The first segment, at most [`MAX_PLAN_CHUNKS`].
        chunks: Vec<Chunk>,
    },
    /// Appends the plan of a further incremental run to what the completed ones left. What an
    /// unfinished one planned and committed behind them no longer counts.
    Extend {
        /// How each relation of this run is read; numbered on behind those of the completed runs.
        relations: Vec<PlannedRelation>,
        /// Chunks in all segments of all runs.
        chunks_total: u32,
        /// The first segment, at most [`MAX_PLAN_CHUNKS`]; numbered on like the relations.
        chunks: Vec<Chunk>,
    },
}

/// Who writes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WriterInfo {
    /// The machine's name.
    pub(crate) host: String,
    /// The process id there.
    pub(crate) pid: u32,
    /// The version of pgsluice.
    pub(crate) pgsluice_version: String,
}

impl WriterInfo {
    /// This process.
    pub(crate) fn current() -> Self {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
        let host = host.or_else(|| std::env::var("HOSTNAME").ok());
        let host = host.or_else(|| std::env::var("COMPUTERNAME").ok());
        Self {
            host: host.map_or_else(|| "unknown".to_owned(), |host| host.trim().to_owned()),
            pid: std::process::id(),
            pgsluice_version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

impl std::fmt::Display for WriterInfo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}, pid {}", self.host, self.pid)
    }
}

/// A committed chunk.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ChunkEntry {
    /// Its id in the plan.
    pub(crate) chunk: ChunkId,
    /// Its range, as planned.
    pub(crate) range: Range,
    /// The relation it was read from.
    pub(crate) relation: TableName,
    /// Index into the plan's relations: each incremental run plans the same ones anew.
    pub(crate) relation_index: u32,
    /// The SQL condition it was read by, for people; empty for the whole relation.
    pub(crate) predicate: String,
    /// Index into the dataset's snapshots.
    pub(crate) snapshot: u32,
    /// The WAL position of the read, where it is its own.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) lsn: Option<Lsn>,
    /// Its objects; none where it has no rows.
    pub(crate) objects: Vec<ObjectEntry>,
    /// Rows counted by the decoder.
    pub(crate) rows: u64,
    /// Bytes received by COPY.
    pub(crate) copy_bytes: u64,
    /// The wire digest, 32 hex digits.
    pub(crate) digest: String,
    /// NULLs of each exported column, in their order; exceptions among them.
    pub(crate) null_counts: Vec<u64>,
    /// Its values that their columns could not hold.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) exceptions: Option<ExceptionsEntry>,
    /// Values whose wire form said more than the value.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub(crate) restated: u64,
    /// When the try that won began, by the writer's clock.
    pub(crate) started_at: DateTime<Utc>,
    /// How long that try took, in milliseconds.
    pub(crate) wall_ms: u64,
    /// Tries, from 1.
    pub(crate) attempts: u32,
}

/// One Parquet object of a chunk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ObjectEntry {
    /// Its key, relative to the dataset's root.
    pub(crate) key: String,
    /// Its size in bytes.
    pub(crate) bytes: u64,
    /// Its rows, as its footer says.
    pub(crate) rows: u64,
    /// SHA-256 of its bytes, in hex.
    pub(crate) sha256: String,
    /// Its entity tag without quotes, where the store has one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) etag: Option<String>,
}

/// The values of a chunk that their columns could not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ExceptionsEntry {
    /// Where they are, one row each.
    pub(crate) object: ObjectEntry,
    /// How many.
    pub(crate) values: u64,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl ChunkEntry {
    /// Every object that belongs to it: the rows' and the exceptions'.
    pub(crate) fn all_objects(&self) -> impl Iterator<Item = &ObjectEntry> {
        let exceptions = self.exceptions.iter().map(|exceptions| &exceptions.object);
        self.objects.iter().chain(exceptions)
    }
}

/// What a dataset is doing, as its log tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    /// A new plan, or that of a further run, is being written. A writer that died here leaves no
    /// plan to go on with.
    Planning,
    /// A writer opened it and has not ended; it may have died.
    Running,
    /// Stopped on request.
    Paused,
    /// Stopped by an error.
    Failed,
    /// All chunks committed. Final, but for a further run of an incremental export.
    Complete,
}

/// The fold of a manifest log: all that is known of a dataset.
///
/// About 1 KiB a committed chunk.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Dataset {
    /// The newest epoch.
    pub(crate) epoch: u64,
    /// Its writer's token.
    pub(crate) token: String,
    /// Its writer.
    pub(crate) writer: WriterInfo,
    /// The number of the entry that comes next.
    pub(crate) next_seq: u64,
    /// What it is doing.
    pub(crate) state: State,
    /// Why it paused or failed; else why the epoch began.
    pub(crate) reason: String,
    /// What is exported and how.
    pub(crate) config: ExportConfig,
    /// The table as the newest epoch found it.
    pub(crate) schema: TableSchema,
    /// The plan; not whole while [`State::Planning`].
    pub(crate) plan: Arc<Plan>,
    /// Chunks in the whole plan.
    pub(crate) chunks_total: u32,
    /// The completed runs: one, or several of an incremental export.
    pub(crate) runs: Vec<CompletedRun>,
    /// The committed chunks.
    pub(crate) committed: BTreeMap<ChunkId, ChunkEntry>,
    /// The snapshots that chunk entries name by index.
    pub(crate) snapshots: Vec<Snapshot>,
    /// The one that the newest epoch reads under.
    pub(crate) snapshot: u32,
    /// The first entry's time.
    pub(crate) opened_at: DateTime<Utc>,
    /// The newest entry's time.
    pub(crate) updated_at: DateTime<Utc>,
}

impl Dataset {
    /// Planned chunks that are not committed, in order.
    pub(crate) fn pending(&self) -> impl Iterator<Item = &Chunk> {
        let is_pending = |chunk: &&Chunk| !self.committed.contains_key(&chunk.id);
        self.plan.chunks.iter().filter(is_pending)
    }

    /// Whether every segment of the plan is there: without that, nothing can be kept of it.
    pub(crate) fn is_plan_whole(&self) -> bool {
        self.plan.chunks.len() == self.chunks_total as usize
    }

    /// Whether the plan is whole and every chunk of it committed.
    pub(crate) fn is_all_committed(&self) -> bool {
        self.is_plan_whole() && self.committed.len() == self.plan.chunks.len()
    }

    /// The indexes of the snapshots that committed chunks were read under.
    pub(crate) fn snapshots_used(&self) -> BTreeSet<u32> {
        self.committed
            .values()
            .map(|entry| entry.snapshot)
            .collect()
    }

    /// The snapshots that committed chunks were read under.
    pub(crate) fn used_snapshots(&self) -> impl Iterator<Item = &Snapshot> {
        let used = self.snapshots_used();
        used.into_iter()
            .filter_map(|index| self.snapshots.get(index as usize))
    }

    /// Sums over the committed chunks.
    pub(crate) fn totals(&self) -> Totals {
        totals_of(self.committed.values())
    }
}

/// Sums over chunk entries.
pub(crate) fn totals_of<'a>(entries: impl Iterator<Item = &'a ChunkEntry>) -> Totals {
    entries.fold(Totals::default(), |mut totals, entry| {
        totals.add(&Totals {
            chunks: 1,
            objects: entry.objects.len() as u64,
            rows: entry.rows,
            copy_bytes: entry.copy_bytes,
            object_bytes: entry.objects.iter().map(|object| object.bytes).sum(),
            exceptions: entry.exceptions.as_ref().map_or(0, |found| found.values),
            restated: entry.restated,
        });
        totals
    })
}
