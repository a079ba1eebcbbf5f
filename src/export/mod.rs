//! Tables out of PostgreSQL, as Parquet objects: the main use case.
//!
//! Owns the run as a whole: its order, its report, its record. The parts stand beside it:
//! `prepare` (checks and decisions), `run` (tasks), `worker` (one chunk), `committer` (the
//! manifest), `preview` (what a run would do).

mod budget;
mod committer;
mod guard;
mod outcome;
mod pace;
mod prepare;
mod preview;
mod progress;
mod record;
mod report;
mod retry;
mod run;
#[cfg(test)]
mod sim;
mod table_run;
mod throttle;
mod worker;
mod writers;

use std::sync::Arc;
use std::time::Instant;

use tokio_util::sync::CancellationToken;

pub use budget::MemoryCeiling;
pub use preview::{ChunkPlan, ColumnPlan, Explained, FailedPlan, PlanReport, TablePlan, plan};
pub use progress::{Phase, Progress, TableProgress};
pub use report::{EndState, ExportReport, Retry, TableReport};

use crate::error::{Error, ErrorKind, Result};
use crate::options::ExportOptions;
use crate::pg::{ConnectOptions, Keeper, KeeperOptions, Refused, Selection};
use crate::plan::{Decision, refuse_moving};
use crate::store::Root;
use committer::Committer;
use guard::Guard;
use outcome::Outcome;
use pace::Pacer;
use prepare::{Opening, Prepared};
use record::RunRecord;
use retry::opening;
use table_run::TableRun;

/// Asks a run to stop. Clones share one switch.
#[derive(Debug, Clone, Default)]
pub struct Cancel(CancellationToken);

impl Cancel {
    /// A switch that is not thrown.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks the run to stop: running chunks get ten seconds to end, then they are dropped. What
    /// is committed stays, and the run ends with [`ErrorKind::Cancelled`].
    pub fn cancel(&self) {
        self.0.cancel();
    }

    /// Whether the run was asked to stop.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }
}

/// Exports tables under one snapshot to datasets below `root`, and resumes what an earlier run
/// with the same options left unfinished.
///
/// A run that its own policies or guards pause ends well, as [`EndState::Paused`]. Of several tables
/// one fails alone, and its error stands in the report; a single table's is this call's.
///
/// Memory is bounded as [`plan`] tells. Dropped: connections close, uploads are aborted, and the
/// logs stay as after a crash; use `cancel` to stop cleanly.
///
/// # Errors
///
/// Every [`ErrorKind`] but `Internal` can come from outside. Chunks that were committed stay
/// committed, whatever the error: the same call goes on from there.
pub async fn export(
    source: &ConnectOptions,
    root: &Root,
    options: &ExportOptions,
    progress: &Progress,
    cancel: &Cancel,
) -> Result<ExportReport> {
    let before = root.health().failures();
    progress.watch_store(root.health());
    let source = source.with_silence_limit(options.source_timeout);
    let ended = run(&source, root, options, progress, &cancel.0).await;
    progress.enter(Phase::Done);
    ended.map(|mut report| {
        report.count_store_failures(&before, root.health().failures());
        report
    })
}

async fn run(
    source: &ConnectOptions,
    root: &Root,
    options: &ExportOptions,
    progress: &Progress,
    cancel: &CancellationToken,
) -> Result<ExportReport> {
    let clock = Instant::now();
    options.validate()?;
    let run_id = new_run_id();
    progress.enter(Phase::Preparing);
    let pacer = Arc::new(Pacer::new(options, progress.slowed()));
    // Before locks and snapshot: what must wait, or may not run now, holds neither.
    let guard = tokio::select! {
        guard = opening(&pacer.patience, || watch(source, options, &pacer, &run_id)) => guard?,
        () = cancel.cancelled() => return Err(cancelled()),
    };
    if pacer.stop.is_cancelled() {
        return Ok(report::paused_at_once(run_id, &pacer, clock.elapsed()));
    }
    let prepare = || prepare(source, root, options, progress, &run_id);
    let prepared = tokio::select! {
        prepared = opening(&pacer.patience, prepare) => prepared?,
        () = cancel.cancelled() => return Err(cancelled()),
    };
    pacer.snapshot_taken(prepared.keeper.snapshot().taken_at);
    if let Some(guard) = &guard {
        guard.check_server(prepared.keeper.snapshot())?;
    }
    let started = Started {
        source,
        run_id,
        clock,
        options,
        progress,
        pacer: &pacer,
        cancel,
    };
    if prepared.tables.len() + prepared.refused.len() < 2 {
        return started.run_prepared(prepared, &mut Vec::new()).await;
    }
    let (keeper, tables) = (&prepared.keeper, &prepared.tables);
    let run_id = &started.run_id;
    let record = RunRecord::new(run_id, keeper.snapshot(), tables, &prepared.refused);
    record.begin(root).await?;
    let mut told = Vec::new();
    let ended = started.run_prepared(prepared, &mut told).await;
    let recorded = record.end(root, ended.as_ref(), &told).await;
    // What ended the run says more than that it could not be recorded.
    let report = ended?;
    recorded.map(|()| report)
}

/// What a run goes by once it has begun.
struct Started<'a> {
    source: &'a ConnectOptions,
    run_id: String,
    clock: Instant,
    options: &'a ExportOptions,
    progress: &'a Progress,
    pacer: &'a Arc<Pacer>,
    cancel: &'a CancellationToken,
}

impl Started<'_> {
    /// `told` gets what became of the tables when the run fails as a whole.
    async fn run_prepared(
        &self,
        preparation: Preparation,
        told: &mut Vec<TableReport>,
    ) -> Result<ExportReport> {
        let (options, progress) = (self.options, self.progress);
        let Preparation {
            keeper,
            tables,
            refused,
            told: of_store,
        } = preparation;
        let is_single = tables.len() == 1 && refused.is_empty();
        let mut outcome = Outcome::new(&keeper, &tables, of_store);
        for table in refused {
            outcome.refused(table);
        }
        let (done, to_do): (Vec<_>, Vec<_>) = tables
            .into_iter()
            .partition(|table| table.decision == Decision::Complete);
        for table in done {
            run::answered(keeper.let_go(&table.schema.name), self.cancel).await?;
            outcome.was_complete(table).await?;
        }
        let mut opening = Opening::default();
        self.pacer.check_clock();
        // It waited for locks, or planned, until its time was over: nothing is opened for nothing.
        if !to_do.is_empty() && self.pacer.stop.is_cancelled() {
            for table in to_do {
                outcome.unopened(table);
            }
            let wall = self.clock.elapsed();
            return Ok(outcome.report(self.run_id.clone(), self.pacer, wall));
        }
        let opened = prepare::open_tables(&keeper, to_do, options, progress, &mut opening).await;
        let Opening {
            opened: tables,
            refused,
            unopened,
        } = opening;
        if let Err(error) = opened {
            let logs = tables.into_iter().map(|table| table.log).collect();
            let reason = worker::one_line(&error);
            Committer::new(logs)
                .close(ErrorKind::Cancelled, &reason)
                .await;
            return Err(error);
        }
        for table in refused {
            outcome.refused(table);
        }
        for table in unopened {
            outcome.unopened(table);
        }
        outcome.opened(&tables);
        progress.enter(Phase::Exporting);
        let control = run::Control {
            pacer: self.pacer,
            cancel: self.cancel,
        };
        let ended =
            run::run_tables(self.source, keeper, &self.run_id, options, tables, control).await;
        if let Err(error) = ended.outcome {
            outcome.ended(&ended.committer, &ended.work);
            *told = outcome.tables;
            return Err(error);
        }
        if is_single && let Some(error) = ended.work.runs.iter().find_map(TableRun::take_fault) {
            return Err(error);
        }
        progress.enter(Phase::Finishing);
        outcome.ended(&ended.committer, &ended.work);
        Ok(outcome.report(self.run_id.clone(), self.pacer, self.clock.elapsed()))
    }
}

/// Starts the guards, and waits until chunks may begin or the run is to pause.
async fn watch(
    source: &ConnectOptions,
    options: &ExportOptions,
    pacer: &Arc<Pacer>,
    run_id: &str,
) -> Result<Option<Guard>> {
    pacer.check_clock();
    if pacer.stop.is_cancelled() {
        return Ok(None);
    }
    let guard = Guard::start(source, run_id, &options.guards, pacer).await?;
    pacer.may_go_on().await;
    Ok(guard)
}

/// All that is known before the first write.
struct Preparation {
    keeper: Keeper,
    tables: Vec<Prepared>,
    /// Tables that a pattern found and that cannot be exported.
    refused: Vec<Refused>,
    /// What a person should know of the store.
    told: Option<String>,
}

/// Everything before the first write, but for the probe of the store.
async fn prepare(
    source: &ConnectOptions,
    root: &Root,
    options: &ExportOptions,
    progress: &Progress,
    run_id: &str,
) -> Result<Preparation> {
    let (root, told) = writers::writable(source, root, options, run_id).await?;
    let mut keeper = open_keeper(source, options, format!("pgsluice {run_id} keeper")).await?;
    let mut refused = keeper.take_refused();
    progress.enter(Phase::Planning);
    let tables = prepare::prepare_tables(&keeper, &root, options, &mut refused).await?;
    let tables = writers::wait_for_others(&keeper, tables, options, &mut refused).await?;
    Ok(Preparation {
        keeper,
        tables,
        refused,
        told,
    })
}

/// Takes the locks and the snapshot that the options ask for; `purpose` names the connection.
async fn open_keeper(
    source: &ConnectOptions,
    options: &ExportOptions,
    purpose: String,
) -> Result<Keeper> {
    let keeper = KeeperOptions {
        lock_timeout: options.lock_timeout,
        snapshot: options.snapshot.clone(),
        purpose,
    };
    if let Some(filter) = &options.filter {
        refuse_moving("--where", filter)?;
    }
    if let Some(query) = &options.query {
        refuse_moving("--query", &query.sql)?;
    }
    Keeper::open(source, &Selection::of(options), &keeper).await
}

/// Sortable by time, and unique: `20261122T133000Z-5f2a9c01`.
fn new_run_id() -> String {
    let now = chrono::Utc::now().format("%Y%m%dT%H%M%SZ");
    format!("{now}-{:08x}", rand::random::<u32>())
}

fn cancelled() -> Error {
    Error::new(ErrorKind::Cancelled, "the run was asked to stop")
}
