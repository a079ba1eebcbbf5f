//! What a run asks for when it opens an epoch, and the entries that it becomes.
//!
//! Owns the open entry and the segments of a plan; writing them is `log`'s.

use chrono::Utc;

use super::config::ExportConfig;
use super::model::{Change, Dataset, Entry, MAX_PLAN_CHUNKS, Open, PlanStart, VERSION, WriterInfo};
use crate::chunk::{Chunk, ChunkId, Plan};
use crate::crash_point::plan_chunks;
use crate::snapshot::Snapshot;
use crate::store::random_token;
use crate::table::TableSchema;

/// What a run asks for when it opens an epoch.
#[derive(Debug, Clone)]
pub(crate) struct OpenRequest {
    /// Who writes.
    pub(crate) writer: WriterInfo,
    /// What is exported and how.
    pub(crate) config: ExportConfig,
    /// The table as it is now.
    pub(crate) schema: TableSchema,
    /// What this epoch's chunks are read under. Found among the dataset's by [`Snapshot::is_same`].
    pub(crate) snapshot: Snapshot,
    /// Whether to go on with the plan.
    pub(crate) plan: PlanRequest,
    /// Why the epoch begins, for people.
    pub(crate) reason: String,
    /// Go on when the writer before writes while it is being taken over.
    pub(crate) takeover: bool,
}

/// What becomes of the plan when an epoch is opened.
#[derive(Debug, Clone)]
pub(crate) enum PlanRequest {
    /// Go on with it, but for these committed chunks, which are read again.
    Keep {
        /// Chunks whose objects are gone or different.
        discard: Vec<ChunkId>,
    },
    /// Start over with this one.
    New(Plan),
    /// A further run of an incremental export behind the completed ones, whose relations and
    /// chunks it numbers on.
    Extend(Plan),
}

/// Takes the chunks out of a plan in segments, each small enough for one entry; none for a kept
/// plan.
pub(super) fn segments_of(plan: &mut PlanRequest) -> Segments {
    let (chunks, total) = match plan {
        PlanRequest::Keep { .. } => (Vec::new(), 0),
        PlanRequest::New(plan) | PlanRequest::Extend(plan) => {
            let chunks = std::mem::take(&mut plan.chunks);
            let before = chunks.first().map_or(0, |first| first.id.0);
            // A plan has at most a million chunks; one too large is refused as not adding up.
            let planned = u32::try_from(chunks.len()).unwrap_or(u32::MAX);
            (chunks, before.saturating_add(planned))
        }
    };
    Segments {
        chunks: chunks.into_iter(),
        total,
    }
}

/// The chunks of a plan that are still to be written.
pub(super) struct Segments {
    chunks: std::vec::IntoIter<Chunk>,
    /// Chunks of the whole plan, those of earlier runs among them.
    pub(super) total: u32,
}

impl Iterator for Segments {
    type Item = Vec<Chunk>;

    fn next(&mut self) -> Option<Self::Item> {
        let segment: Vec<Chunk> = self.chunks.by_ref().take(segment_chunks()).collect();
        (!segment.is_empty()).then_some(segment)
    }
}

/// Chunks of one plan entry.
fn segment_chunks() -> usize {
    let most = plan_chunks(MAX_PLAN_CHUNKS);
    #[cfg(test)]
    let most = most.min(crate::sabotage::plan_segment());
    most
}

/// The entry that opens the epoch behind a dataset; `first` is the plan's first segment.
pub(super) fn open_entry(
    dataset: Option<&Dataset>,
    request: &OpenRequest,
    first: &[Chunk],
    chunks_total: u32,
    token: &str,
) -> Entry {
    let known = match (&request.plan, dataset) {
        (PlanRequest::Keep { .. } | PlanRequest::Extend(_), Some(dataset)) => {
            dataset.snapshots.as_slice()
        }
        _ => &[],
    };
    let found = known
        .iter()
        .position(|known| known.is_same(&request.snapshot));
    let plan = match &request.plan {
        PlanRequest::Keep { discard } => PlanStart::Keep {
            discard: discard.clone(),
        },
        PlanRequest::New(plan) => PlanStart::New {
            relations: plan.relations.clone(),
            chunks_total,
            chunks: first.to_vec(),
        },
        PlanRequest::Extend(plan) => PlanStart::Extend {
            relations: plan.relations.clone(),
            chunks_total,
            chunks: first.to_vec(),
        },
    };
    let open = Open {
        writer: request.writer.clone(),
        config: request.config.clone(),
        schema: request.schema.clone(),
        snapshot: u32::try_from(found.unwrap_or(known.len())).unwrap_or(u32::MAX),
        new_snapshot: found.is_none().then(|| request.snapshot.clone()),
        plan,
        reason: request.reason.clone(),
    };
    Entry {
        version: VERSION,
        seq: dataset.map_or(1, |dataset| dataset.next_seq),
        epoch: dataset.map_or(1, |dataset| dataset.epoch + 1),
        token: token.to_owned(),
        nonce: random_token(),
        at: Utc::now(),
        change: Change::Open(Box::new(open)),
    }
}
