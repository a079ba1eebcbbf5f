//! What a run may do with a dataset that is already there: the plan minus the manifest. Pure.
//!
//! Owns the rules of resume; it reads no store and no server. Whether another writer is alive is
//! the lease's business, and whether committed objects still stand is the store's.

use std::collections::BTreeSet;

use crate::chunk::{Chunk, ChunkId};
use crate::error::{Error, ErrorKind, Result};
use crate::manifest::{Dataset, Difference, ExportConfig, State};
use crate::pg::catalog::{relation_differences, table_differences};
use crate::snapshot::Snapshot;
use crate::table::TableSchema;

/// What to do with a dataset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Make a plan and read all of it; `reason` is recorded with the new epoch.
    Start {
        /// Why, in one sentence.
        reason: String,
    },
    /// Keep the plan and what is committed; read the rest.
    Continue {
        /// Index of this run's snapshot among the dataset's, if it is one of them.
        known_snapshot: Option<u32>,
        /// Committed chunks whose objects are lost: they are read again.
        discard: Vec<ChunkId>,
        /// Whether committed chunks were read under another snapshot.
        mixed: bool,
    },
    /// Plan a further incremental run behind the completed ones, and read it; `reason` is recorded
    /// with the new epoch. There may be nothing to read.
    Extend {
        /// Why, in one sentence.
        reason: String,
    },
    /// All is committed; at most the closing files are missing.
    Complete,
}

/// Decides from the fold of the log and from what this run was asked and found. `lost` are the
/// committed chunks whose objects are gone or differ.
///
/// # Errors
///
/// [`ErrorKind::Conflict`] when the root holds another export: what differs is in the message.
pub(crate) fn decide(
    dataset: Option<&Dataset>,
    lost: Vec<ChunkId>,
    config: &ExportConfig,
    schema: &TableSchema,
    snapshot: &Snapshot,
    require_consistent: bool,
) -> Result<Decision> {
    let Some(dataset) = dataset else {
        return Ok(Decision::Start {
            reason: "first run".into(),
        });
    };
    refuse_other_config(&dataset.config.differences(config))?;
    refuse_other_schema(&table_differences(&dataset.schema, schema))?;
    let moved = relation_differences(&dataset.schema, schema);
    let is_first = dataset.runs.is_empty();
    if is_first || config.incremental.is_none() {
        refuse_other_schema(&moved)?;
    }
    match dataset.state {
        State::Complete if config.incremental.is_some() => Ok(Decision::Extend {
            reason: "the next incremental run".into(),
        }),
        State::Complete => Ok(Decision::Complete),
        State::Planning => Ok(start(
            dataset,
            "the earlier run ended before its plan was written",
        )),
        // A table that is exported run by run gets new partitions, and loses old ones.
        _ if !moved.is_empty() => Ok(start(dataset, "the partitions are not those of its plan")),
        State::Running | State::Paused | State::Failed => {
            Ok(go_on(dataset, lost, snapshot, require_consistent))
        }
    }
}

/// Begins the run anew that is going on: what the completed ones left stays.
fn start(dataset: &Dataset, reason: &str) -> Decision {
    let reason = reason.into();
    match dataset.runs.is_empty() {
        true => Decision::Start { reason },
        false => Decision::Extend { reason },
    }
}

fn go_on(
    dataset: &Dataset,
    lost: Vec<ChunkId>,
    snapshot: &Snapshot,
    require_consistent: bool,
) -> Decision {
    let known = dataset
        .snapshots
        .iter()
        .position(|seen| seen.is_same(snapshot));
    let known_snapshot = known.and_then(|index| u32::try_from(index).ok());
    let is_lost: BTreeSet<ChunkId> = lost.iter().copied().collect();
    let kept = || {
        dataset
            .open_committed()
            .filter(|entry| !is_lost.contains(&entry.chunk))
    };
    let start = |reason: &str| start(dataset, reason);
    if dataset.is_all_committed() && lost.is_empty() {
        let used: BTreeSet<u32> = kept().map(|entry| entry.snapshot).collect();
        if require_consistent && used.len() > 1 {
            return start(
                "its chunks stand under several snapshots, and --require-consistent refuses",
            );
        }
        return Decision::Continue {
            known_snapshot,
            discard: lost,
            mixed: false,
        };
    }
    if known_snapshot.is_none() && kept().next().is_none() {
        return start("nothing was committed under the earlier snapshot, which is gone");
    }
    let survives = |chunk: &Chunk| chunk.range.survives_snapshot();
    if known_snapshot.is_none() && !dataset.open_chunks().iter().all(survives) {
        return start(
            "the earlier snapshot is gone, and page and offset ranges mean other rows under another",
        );
    }
    let is_pending =
        |chunk: &Chunk| !dataset.committed.contains_key(&chunk.id) || is_lost.contains(&chunk.id);
    let mut chunks = dataset.open_chunks().iter();
    if known_snapshot.is_none() && chunks.any(|chunk| chunk.is_unplaced() && is_pending(chunk)) {
        return start(
            "the earlier snapshot is gone, and rows that came since would lie in no folder",
        );
    }
    let mixed = kept().any(|entry| Some(entry.snapshot) != known_snapshot);
    if mixed && require_consistent {
        return start("the earlier snapshot is gone, and --require-consistent refuses to mix");
    }
    Decision::Continue {
        known_snapshot,
        discard: lost,
        mixed,
    }
}

fn refuse_other_config(differences: &[Difference]) -> Result<()> {
    if differences.is_empty() {
        return Ok(());
    }
    let list: Vec<String> = differences.iter().map(ToString::to_string).collect();
    Err(Error::new(
        ErrorKind::Conflict,
        format!(
            "the root holds an export with other options: {}",
            list.join("; ")
        ),
    )
    .with_advice("give the options of the first run again, or another --to (nothing was touched)"))
}

fn refuse_other_schema(changed: &[String]) -> Result<()> {
    if changed.is_empty() {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Conflict,
        format!(
            "the table has changed since the export began: {}",
            changed.join("; ")
        ),
    )
    .with_advice(
        "export it to another --to; the objects here hold the old shape (nothing was touched)",
    ))
}
