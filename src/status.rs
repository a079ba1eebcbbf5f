//! The state of datasets, read from their manifest logs alone.
//!
//! Owns the reading and the summary. It writes nothing and decides nothing: liveness shown here
//! is what the lease says, and safety never depends on it.

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::chunk::Totals;
use crate::error::{Error, ErrorKind, Result};
use crate::manifest::{Dataset, ManifestLog, RunSummary, State};
use crate::options::Writers;
use crate::snapshot::{Consistency, Snapshot};
use crate::store::Root;

/// What stands under a URL: one dataset, or all below it.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct StatusReport {
    /// The URL that was read.
    pub url: String,
    /// The datasets, by root.
    pub datasets: Vec<DatasetStatus>,
    /// Things a person should know, each one sentence.
    pub warnings: Vec<String>,
}

/// One dataset.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct DatasetStatus {
    /// `schema.name`.
    pub table: String,
    /// Its root.
    pub root: String,
    /// What it is doing.
    pub state: RunState,
    /// Why it paused or failed.
    pub reason: Option<String>,
    /// How its rows hang together.
    pub consistency: Consistency,
    /// What keeps its writers apart.
    pub writers: Writers,
    /// Every snapshot its committed chunks were read under.
    pub snapshots: Vec<Snapshot>,
    /// The newest writer's epoch.
    pub epoch: u64,
    /// The newest writer, `host, pid N`.
    pub writer: String,
    /// Chunks in the plan.
    pub chunks_total: u64,
    /// Sums over the committed chunks.
    pub totals: Totals,
    /// The completed runs of an incremental export, in their order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub runs: Vec<RunStatus>,
    /// Rows that the statistics promised when it was planned.
    pub rows_estimated: u64,
    /// The newest log entry's time, by its writer's clock.
    pub updated_at: DateTime<Utc>,
}

/// One completed run of an incremental export.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct RunStatus {
    /// The epoch that completed it.
    pub epoch: u64,
    /// The value of the growing column that its rows lie above; `None` of the first run.
    pub lower: Option<String>,
    /// The greatest value among its rows; `None` where there were none.
    pub upper: Option<String>,
    /// Sums over its chunks.
    pub totals: Totals,
    /// When it was completed, by its writer's clock.
    pub completed_at: DateTime<Utc>,
}

/// A dataset's state as its log tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// A writer opened it and has not ended; it may have died.
    Running,
    /// Stopped on request; the same command goes on.
    Paused,
    /// Stopped by an error; the same command goes on.
    Failed,
    /// All chunks committed; `_SUCCESS` stands.
    Complete,
}

/// Reads the state of the dataset at `root`, or of every dataset in folders below it.
///
/// # Errors
///
/// [`ErrorKind::Storage`] when the store cannot be read, [`ErrorKind::Config`] when no dataset is
/// there, [`ErrorKind::Data`] when a log is damaged.
pub async fn status(root: &Root) -> Result<StatusReport> {
    let mut datasets = Vec::new();
    for root in root.datasets_below().await? {
        if let Some(dataset) = ManifestLog::load(&root).await? {
            datasets.push(describe(&root, &dataset));
        }
    }
    if datasets.is_empty() {
        return Err(Error::new(
            ErrorKind::Config,
            format!("no dataset of pgsluice at or below {}", root.url()),
        )
        .with_advice("give the --to of an export, or a folder above it"));
    }
    Ok(StatusReport {
        url: root.url(),
        warnings: datasets
            .iter()
            .filter_map(|dataset| dataset.totals.exceptions_warning(&dataset.table))
            .collect(),
        datasets,
    })
}

fn describe(root: &Root, dataset: &Dataset) -> DatasetStatus {
    DatasetStatus {
        table: dataset.schema.name.to_string(),
        root: root.url(),
        state: match dataset.state {
            State::Planning | State::Running => RunState::Running,
            State::Paused => RunState::Paused,
            State::Failed => RunState::Failed,
            State::Complete => RunState::Complete,
        },
        reason: Some(dataset.reason.clone()),
        consistency: dataset.consistency(),
        writers: dataset.config.writers,
        snapshots: dataset.used_snapshots().cloned().collect(),
        epoch: dataset.epoch,
        writer: dataset.writer.to_string(),
        chunks_total: dataset.plan.chunks.len() as u64,
        totals: dataset.totals(),
        runs: match dataset.config.incremental {
            Some(_) => dataset.run_summaries().into_iter().map(run).collect(),
            None => Vec::new(),
        },
        rows_estimated: dataset
            .plan
            .chunks
            .iter()
            .map(|chunk| chunk.estimated_rows)
            .sum(),
        updated_at: dataset.updated_at,
    }
}

fn run(summary: RunSummary) -> RunStatus {
    RunStatus {
        epoch: summary.epoch,
        lower: summary.lower,
        upper: summary.upper,
        totals: summary.totals,
        completed_at: summary.completed_at,
    }
}
