//! The runs of a dataset: one, or, of an incremental export, one after another.
//!
//! Owns what is known of them: where each one's relations and chunks end, which values of the
//! growing column it took, and how the rows of all hang together. What may follow what is
//! `check`'s.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::model::{ChunkEntry, Dataset, totals_of};
use crate::chunk::{ChunkId, PlannedRelation, Totals, Window};
use crate::snapshot::Consistency;

/// A run that came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CompletedRun {
    /// The epoch that completed it.
    pub(crate) epoch: u64,
    /// Relations of the plan up to its end.
    pub(crate) relations: u32,
    /// Chunks of the plan up to its end.
    pub(crate) chunks: u32,
    /// The complete entry's time.
    pub(crate) completed_at: DateTime<Utc>,
}

/// Where a run begins in the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Base {
    /// Its first relation.
    pub(crate) relations: u32,
    /// Its first chunk.
    pub(crate) chunks: u32,
}

/// What `manifest.json` and `status` tell of a completed run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct RunSummary {
    /// The epoch that completed it.
    pub(crate) epoch: u64,
    /// The value that its rows lie above; none for the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) lower: Option<String>,
    /// The greatest value among its rows; none where there were no rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) upper: Option<String>,
    /// Its first chunk.
    pub(crate) first_chunk: u32,
    /// Sums over its chunks.
    pub(crate) totals: Totals,
    /// The complete entry's time.
    pub(crate) completed_at: DateTime<Utc>,
}

impl Dataset {
    /// Where the run that is going on began; of a complete dataset, where the next one would.
    pub(crate) fn base(&self) -> Base {
        self.runs.last().map_or(Base::default(), |run| Base {
            relations: run.relations,
            chunks: run.chunks,
        })
    }

    /// The relations of the run that is going on.
    pub(crate) fn open_relations(&self) -> &[PlannedRelation] {
        let first = self.base().relations as usize;
        self.plan.relations.get(first..).unwrap_or_default()
    }

    /// The chunks of the run that is going on.
    pub(crate) fn open_chunks(&self) -> &[crate::chunk::Chunk] {
        let first = self.base().chunks as usize;
        self.plan.chunks.get(first..).unwrap_or_default()
    }

    /// The committed chunks of the run that is going on.
    pub(crate) fn open_committed(&self) -> impl Iterator<Item = &ChunkEntry> {
        let first = ChunkId(self.base().chunks);
        self.committed.range(first..).map(|(_, entry)| entry)
    }

    /// The value up to which the completed runs took all rows: the newest one's, which lies above
    /// those of all before it.
    pub(crate) fn reached(&self) -> Option<&str> {
        let done = self.base().relations as usize;
        let windows = self.plan.relations.iter().take(done).rev();
        windows
            .filter_map(|relation| relation.window.as_ref()?.upper.as_deref())
            .next()
    }

    /// The completed runs, in their order.
    pub(crate) fn run_summaries(&self) -> Vec<RunSummary> {
        let mut begin = Base::default();
        let mut summaries = Vec::with_capacity(self.runs.len());
        for run in &self.runs {
            let chunks = ChunkId(begin.chunks)..ChunkId(run.chunks);
            let window = self.window_of(begin.relations);
            summaries.push(RunSummary {
                epoch: run.epoch,
                lower: window.and_then(|window| window.lower.clone()),
                upper: window.and_then(|window| window.upper.clone()),
                first_chunk: begin.chunks,
                totals: totals_of(self.committed.range(chunks).map(|(_, entry)| entry)),
                completed_at: run.completed_at,
            });
            begin = Base {
                relations: run.relations,
                chunks: run.chunks,
            };
        }
        summaries
    }

    fn window_of(&self, relation: u32) -> Option<&Window> {
        let relation = self.plan.relations.get(relation as usize)?;
        relation.window.as_ref()
    }

    /// How the rows hang together, counting the pending chunks as read under the newest epoch's
    /// snapshot: under one, each run under one of its own, or not even that.
    pub(crate) fn consistency(&self) -> Consistency {
        let ends = self.runs.iter().map(|run| run.chunks);
        let is_open = self.base().chunks < self.chunks_total;
        let (mut begin, mut all) = (0, BTreeSet::new());
        for end in ends.chain(is_open.then_some(u32::MAX)) {
            let chunks = self.committed.range(ChunkId(begin)..ChunkId(end));
            let mut used: BTreeSet<u32> = chunks.map(|(_, entry)| entry.snapshot).collect();
            if end == u32::MAX && !self.is_all_committed() {
                used.insert(self.snapshot);
            }
            if used.len() > 1 {
                return Consistency::Mixed;
            }
            all.append(&mut used);
            begin = end;
        }
        if all.len() > 1 {
            Consistency::Incremental
        } else {
            Consistency::Snapshot
        }
    }
}
