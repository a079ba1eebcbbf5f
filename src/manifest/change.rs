//! The fold: one entry after another becomes a [`Dataset`]. Pure.
//!
//! Owns the transitions. Each entry is checked before it is applied, on write and on read alike;
//! what is legal is in `check`.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::check::check;
use super::model::{Change, ChunkEntry, Dataset, Entry, Open, PlanStart, State};
use super::runs::CompletedRun;
use crate::chunk::{Chunk, ChunkId, Plan, Range};
use crate::snapshot::Snapshot;

/// An entry that must not follow what is there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvariantError {
    /// The log does not begin with an open entry.
    #[error("the log does not begin with an open entry")]
    NotOpened,
    /// Numbers must be consecutive.
    #[error("entry {found} stands where {expected} belongs")]
    Sequence {
        /// The number that comes next.
        expected: u64,
        /// The number found.
        found: u64,
    },
    /// Epochs grow by one, by open entries alone.
    #[error("epoch {found} stands where {expected} belongs")]
    Epoch {
        /// The epoch that is legal here.
        expected: u64,
        /// The epoch found.
        found: u64,
    },
    /// Only the newest epoch's writer writes.
    #[error("the entry is not by the writer of epoch {0}")]
    Writer(u64),
    /// A kind of entry that the state does not allow.
    #[error("a {change} entry cannot follow while the dataset is {state:?}")]
    State {
        /// The change.
        change: &'static str,
        /// The state before it.
        state: State,
    },
    /// A later epoch has another configuration.
    #[error("the configuration differs from the earlier epochs': {0}")]
    Config(String),
    /// A kept plan needs the same columns.
    #[error("the columns differ from those the plan was begun with")]
    Columns,
    /// A snapshot index without a snapshot, or a snapshot without an index.
    #[error("snapshot {0} is not known, or numbered wrongly")]
    Snapshot(u32),
    /// Heap pages mean other rows under another snapshot.
    #[error("ctid chunks cannot go on under another snapshot")]
    CtidSnapshot,
    /// Too many chunks in one entry, or none.
    #[error("{0} chunks in one entry")]
    EntrySize(usize),
    /// Plan chunks are numbered from 0 and belong to a relation.
    #[error("chunk {0} stands in the wrong place of the plan")]
    PlanOrder(ChunkId),
    /// Rows of an incremental run are bounded by one window; those of any other by none.
    #[error("relation {0} does not have the window of its run")]
    Window(u32),
    /// The segments hold another number of chunks than announced.
    #[error("the plan has other than the announced {0} chunks")]
    PlanSize(u32),
    /// The ranges of a relation do not cover it exactly once.
    #[error("the ranges of relation {0} do not cover it exactly once")]
    Partition(u32),
    /// A chunk that the plan lacks.
    #[error("chunk {0} is not in the plan")]
    UnknownChunk(ChunkId),
    /// A chunk has one winner.
    #[error("chunk {0} is committed already")]
    CommittedTwice(ChunkId),
    /// A discarded chunk that was never committed.
    #[error("chunk {0} is not committed and cannot be discarded")]
    NotCommitted(ChunkId),
    /// A chunk entry that contradicts the plan or itself.
    #[error("chunk {chunk}: {what}")]
    ChunkEntry {
        /// The chunk.
        chunk: ChunkId,
        /// The contradiction.
        what: &'static str,
    },
    /// A dataset is complete when every chunk is committed.
    #[error("{0} chunks are not committed")]
    Incomplete(u64),
    /// Totals that are not the sums.
    #[error("the totals are not the sums over the chunks")]
    Totals,
}

/// Applies an entry to the fold so far (`None` before the first).
///
/// # Errors
///
/// The broken invariant; the dataset is then unchanged.
pub(crate) fn apply(dataset: &mut Option<Dataset>, entry: Entry) -> Result<(), InvariantError> {
    if let Some(dataset) = dataset
        && !matches!(entry.change, Change::Open(_))
    {
        return extend(dataset, entry);
    }
    check(dataset.as_ref(), &entry)?;
    let Change::Open(open) = entry.change else {
        return Err(InvariantError::NotOpened);
    };
    let mut opened = reopen(dataset.take(), *open, entry.epoch, entry.token, entry.at);
    opened.next_seq = entry.seq + 1;
    *dataset = Some(opened);
    Ok(())
}

/// Applies an entry of the epoch that is open.
///
/// # Errors
///
/// The broken invariant; the dataset is then unchanged.
pub(crate) fn extend(dataset: &mut Dataset, entry: Entry) -> Result<(), InvariantError> {
    check(Some(dataset), &entry)?;
    match entry.change {
        // Another epoch is another writer's: see `apply`.
        Change::Open(_) => return Err(InvariantError::Writer(dataset.epoch)),
        Change::Plan { mut chunks } => {
            shrink_chunks(&mut chunks);
            Arc::make_mut(&mut dataset.plan).chunks.extend(chunks);
            if dataset.is_plan_whole() {
                dataset.state = State::Running;
            }
        }
        Change::Commit { chunks } => {
            let entries = chunks.into_iter().map(|mut entry| {
                entry.objects.shrink_to_fit();
                entry.null_counts.shrink_to_fit();
                shrink_range(&mut entry.range);
                (entry.chunk, entry)
            });
            dataset.committed.extend(entries);
        }
        Change::Pause { reason } => {
            dataset.state = State::Paused;
            dataset.reason = reason;
        }
        Change::Fail { message } => {
            dataset.state = State::Failed;
            dataset.reason = message;
        }
        Change::Complete { .. } => {
            dataset.state = State::Complete;
            dataset.runs.push(CompletedRun {
                epoch: dataset.epoch,
                // A plan has at most a million chunks.
                relations: u32::try_from(dataset.plan.relations.len()).unwrap_or(u32::MAX),
                chunks: dataset.chunks_total,
                completed_at: entry.at,
            });
        }
    }
    dataset.next_seq = entry.seq + 1;
    dataset.updated_at = entry.at;
    Ok(())
}

fn reopen(
    before: Option<Dataset>,
    open: Open,
    epoch: u64,
    token: String,
    at: chrono::DateTime<chrono::Utc>,
) -> Dataset {
    let opened_at = before.as_ref().map_or(at, |dataset| dataset.opened_at);
    let Kept {
        plan,
        chunks_total,
        runs,
        committed,
        mut snapshots,
    } = keep(before, open.plan);
    snapshots.extend(open.new_snapshot);
    let mut dataset = Dataset {
        epoch,
        token,
        writer: open.writer,
        next_seq: 0,
        state: State::Planning,
        reason: open.reason,
        config: open.config,
        schema: open.schema,
        plan,
        chunks_total,
        runs,
        committed,
        snapshots,
        snapshot: open.snapshot,
        opened_at,
        updated_at: at,
    };
    if dataset.is_plan_whole() {
        dataset.state = State::Running;
    }
    dataset
}

/// What an opened epoch begins with.
#[derive(Default)]
struct Kept {
    plan: Arc<Plan>,
    chunks_total: u32,
    runs: Vec<CompletedRun>,
    committed: BTreeMap<ChunkId, ChunkEntry>,
    snapshots: Vec<Snapshot>,
}

fn keep(before: Option<Dataset>, start: PlanStart) -> Kept {
    match (start, before) {
        (PlanStart::Keep { discard }, Some(mut dataset)) => {
            for chunk in discard {
                dataset.committed.remove(&chunk);
            }
            Kept {
                plan: dataset.plan,
                chunks_total: dataset.chunks_total,
                runs: dataset.runs,
                committed: dataset.committed,
                snapshots: dataset.snapshots,
            }
        }
        (
            PlanStart::New {
                relations,
                chunks_total,
                mut chunks,
            },
            _,
        ) => Kept {
            plan: {
                shrink_chunks(&mut chunks);
                Arc::new(Plan { relations, chunks })
            },
            chunks_total,
            ..Kept::default()
        },
        (
            PlanStart::Extend {
                relations,
                chunks_total,
                mut chunks,
            },
            Some(mut dataset),
        ) => {
            shrink_chunks(&mut chunks);
            let base = dataset.base();
            let plan = Arc::make_mut(&mut dataset.plan);
            plan.relations.truncate(base.relations as usize);
            plan.chunks.truncate(base.chunks as usize);
            plan.relations.extend(relations);
            plan.chunks.extend(chunks);
            dataset.committed.split_off(&ChunkId(base.chunks));
            Kept {
                plan: dataset.plan,
                chunks_total,
                runs: dataset.runs,
                committed: dataset.committed,
                snapshots: dataset.snapshots,
            }
        }
        // `check` refuses it; an empty plan commits nothing.
        (PlanStart::Keep { .. } | PlanStart::Extend { .. }, None) => Kept::default(),
    }
}

/// Lists that were read from JSON have room for four; of a hundred thousand chunks that counts.
fn shrink_chunks(chunks: &mut [Chunk]) {
    for chunk in chunks {
        shrink_range(&mut chunk.range);
    }
}

fn shrink_range(range: &mut Range) {
    if let Range::Key { lower, upper } = range {
        for bound in [lower, upper].into_iter().flatten() {
            bound.0.shrink_to_fit();
        }
    }
}
