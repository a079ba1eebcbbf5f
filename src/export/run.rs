//! One run: from a snapshot to `_SUCCESS`, or to a clean stop.
//!
//! Owns the run's tasks and their end: the keeper, the workers, the committer, the heartbeats.
//! What each of them does stands in its own file.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, Sleep};
use tokio_util::sync::CancellationToken;

use crate::crash_point::{CrashPoint, step};
use crate::error::{Error, ErrorKind, Result};
use crate::export::committer::{Committer, EVENTS_A_TABLE, Event, Request};
use crate::export::pace::{Pacer, STOP_GRACE};
use crate::export::prepare::{OpenedTable, pending_jobs};
use crate::export::retry::wait_after;
use crate::export::table_run::TableRun;
use crate::export::worker::{Work, one_line, work};
use crate::options::ExportOptions;
use crate::pg::{ConnectOptions, Keeper, catalog};
use crate::table::RelationKind;

/// How long the last look at a table's definition may take, its tries included.
const SCHEMA_CHECK_LIMIT: Duration = Duration::from_secs(60);
/// How often the keeper's connection is asked whether it lives.
const KEEPER_CHECK_INTERVAL: Duration = Duration::from_secs(15);
/// How often the run looks whether its time is over.
const CLOCK_INTERVAL: Duration = Duration::from_secs(1);
/// How long the keeper may take to answer. A connection can stand for hours on a proxy that acks
/// all and passes nothing on.
const KEEPER_LIMIT: Duration = Duration::from_secs(30);
/// The same once the run was asked to stop.
const KEEPER_STOP_LIMIT: Duration = Duration::from_secs(2);
/// How long the keeper may take to end its transaction.
const RELEASE_LIMIT: Duration = Duration::from_secs(10);

/// How the reading of a run's tables ended.
pub(crate) struct Ended {
    pub(crate) committer: Committer,
    pub(crate) work: Arc<Work>,
    /// An error is the whole run's; what failed a single table stands with it, in `work`.
    pub(crate) outcome: Result<()>,
}

/// Reads all pending chunks of the opened tables, and completes each table whose last one is
/// committed. Locks and snapshot are let go as soon as nothing needs them.
///
/// Dropped: workers and committer are aborted; nothing half-done counts.
pub(crate) async fn run_tables(
    source: &ConnectOptions,
    keeper: Keeper,
    run_id: &str,
    options: &ExportOptions,
    opened: Vec<OpenedTable>,
    control: Control<'_>,
) -> Ended {
    let jobs = pending_jobs(&opened);
    let (tables, logs): (Vec<_>, Vec<_>) = opened
        .into_iter()
        .map(|table| (table.work, table.log))
        .unzip();
    let abandon = CancellationToken::new();
    let mut chunks = vec![0; tables.len()];
    for job in &jobs {
        chunks[job.table] += 1;
    }
    let runs = chunks
        .into_iter()
        .map(|count| TableRun::new(count, &abandon));
    let work = Arc::new(Work {
        source: source.clone(),
        options: options.clone(),
        run_id: run_id.to_owned(),
        snapshot: keeper.snapshot().clone(),
        runs: runs.collect(),
        tables,
        jobs,
        next_job: AtomicUsize::new(0),
        oversize: Arc::new(Semaphore::new(1)),
        pacer: Arc::clone(control.pacer),
        abandon,
    });
    let _stopper = stop_with(control);
    let mut run = Run::start(Arc::clone(&work), Committer::new(logs), keeper);
    run.drive(control.cancel).await;
    let (committer, outcome) = run.end().await;
    Ended {
        committer,
        work,
        outcome,
    }
}

/// What can end a run before its work is done.
#[derive(Clone, Copy)]
pub(crate) struct Control<'a> {
    pub(crate) pacer: &'a Arc<Pacer>,
    pub(crate) cancel: &'a CancellationToken,
}

/// Lets no worker take a further chunk from the moment on that the run is asked to stop, whatever
/// `drive` waits for then. Dropped, it ends.
fn stop_with(control: Control<'_>) -> JoinSet<()> {
    let (cancel, stop) = (control.cancel.clone(), control.pacer.stop.clone());
    let mut stopper = JoinSet::new();
    stopper.spawn(async move {
        cancel.cancelled().await;
        stop.cancel();
    });
    stopper
}

/// The keeper's answer; one that does not come counts as a lost snapshot.
pub(super) async fn answered(
    question: impl Future<Output = Result<()>>,
    cancel: &CancellationToken,
) -> Result<()> {
    let stopped = async {
        cancel.cancelled().await;
        tokio::time::sleep(KEEPER_STOP_LIMIT).await;
    };
    tokio::select! {
        answer = tokio::time::timeout(KEEPER_LIMIT, question) => answer.unwrap_or_else(|_| {
            let message = "the keeper lost the snapshot: its connection does not answer";
            Err(Error::new(ErrorKind::Source, message)
                .with_advice("start again: what was committed stays"))
        }),
        () = stopped => Err(cancelled()),
    }
}

fn cancelled() -> Error {
    Error::new(ErrorKind::Cancelled, "the run was asked to stop")
}

/// The moving parts of a run.
struct Run {
    work: Arc<Work>,
    workers: JoinSet<()>,
    committer: JoinHandle<Committer>,
    /// Dropped when nothing more is to be committed.
    requests: Option<mpsc::Sender<Request>>,
    events: mpsc::Receiver<Event>,
    /// `None` once its locks and its snapshot are let go.
    keeper: Option<Keeper>,
    /// What each table still waits for.
    tables: Vec<Stage>,
    /// The first failure of the run as a whole; it decides how the run ends.
    failure: Option<Error>,
}

/// How far a table has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Chunks are being read, or their commits are on the way.
    Reading,
    /// Its definition was found unchanged: nothing needs its lock any more.
    Closing,
    /// Complete, or failed.
    Ended,
}

impl Run {
    fn start(work: Arc<Work>, committer: Committer, keeper: Keeper) -> Self {
        let count = committer.tables().len();
        let worker_count = work.options.workers.get();
        let (requests, inbox) = mpsc::channel(2 * worker_count);
        let (outbox, events) = mpsc::channel(EVENTS_A_TABLE * count.max(1));
        // Tables whose chunks were all committed by an earlier run wait only for their end.
        for (table, log) in committer.tables().iter().enumerate() {
            if log.log.dataset().pending().next().is_none() {
                // The channel holds all events of a table.
                let _ = outbox.try_send(Event::AllCommitted { table });
            }
        }
        let committer = tokio::spawn(committer.serve(inbox, outbox));
        let mut workers = JoinSet::new();
        for number in 1..=worker_count.min(work.jobs.len()) {
            workers.spawn(self::work(Arc::clone(&work), number, requests.clone()));
        }
        Self {
            work,
            workers,
            committer,
            requests: Some(requests),
            events,
            keeper: Some(keeper),
            tables: vec![Stage::Reading; count],
            failure: None,
        }
    }

    /// Runs until every table that was read to its end is closed and all workers have ended.
    async fn drive(&mut self, cancel: &CancellationToken) {
        let mut check =
            tokio::time::interval(KEEPER_CHECK_INTERVAL.min(self.work.options.source_timeout));
        check.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut clock = tokio::time::interval(CLOCK_INTERVAL);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let pacer = Arc::clone(&self.work.pacer);
        let requests = self.requests.clone();
        let (mut asked, mut stopping) = (false, false);
        let mut graces = pacer.graces();
        let grace = tokio::time::sleep(Duration::MAX / 2);
        tokio::pin!(grace);
        // The shortest one wins.
        let within = |grace: Pin<&mut Sleep>, time| {
            let end = grace.deadline().min(Instant::now() + time);
            grace.reset(end);
        };
        while !self.workers.is_empty() || self.failure.is_none() && self.is_awaited() {
            tokio::select! {
                () = cancel.cancelled(), if !asked => {
                    (asked, stopping) = (true, true);
                    self.fail(cancelled());
                    within(grace.as_mut(), STOP_GRACE);
                }
                () = pacer.stop.cancelled(), if !stopping => {
                    stopping = true;
                    within(grace.as_mut(), pacer.grace());
                }
                Ok(()) = graces.changed(), if stopping => within(grace.as_mut(), pacer.grace()),
                () = &mut grace, if stopping && !self.work.abandon.is_cancelled() => {
                    self.work.abandon.cancel();
                }
                Some(ended) = self.workers.join_next() => if let Err(panic) = ended {
                    let error = Error::new(ErrorKind::Internal, "a worker stopped unexpectedly");
                    self.fail(error.with_source(panic));
                    self.work.abandon.cancel();
                },
                Some(event) = self.events.recv() => self.happened(event, cancel).await,
                Some(error) = pacer.patience.over(), if !stopping => {
                    self.fail(error);
                    self.work.abandon.cancel();
                }
                _ = clock.tick(), if !stopping => pacer.check_clock(),
                _ = check.tick(), if self.failure.is_none() => self.check_keeper(cancel).await,
                // The committer stopped early; `end` asks it why.
                () = committer_gone(&requests), if self.failure.is_none() => {
                    self.fail(Error::new(ErrorKind::Internal, "the committer stopped early"));
                    self.work.abandon.cancel();
                }
            }
        }
        // The stop can be seen here last, by its workers' end alone.
        if cancel.is_cancelled() && self.tables.iter().any(|stage| *stage != Stage::Ended) {
            self.fail(cancelled());
        }
        self.let_all_go().await;
    }

    /// Whether a table still comes to its end without any worker.
    fn is_awaited(&self) -> bool {
        let tables = self.tables.iter().zip(&self.work.runs);
        tables.into_iter().any(|(stage, run)| match stage {
            Stage::Ended => false,
            Stage::Closing => true,
            Stage::Reading => run.is_read() || run.has_failed(),
        })
    }

    /// Keeps the first failure, and lets no worker take a further chunk.
    fn fail(&mut self, error: Error) {
        self.work.pacer.stop.cancel();
        self.failure.get_or_insert(error);
    }

    async fn check_keeper(&mut self, cancel: &CancellationToken) {
        if let Some(keeper) = &self.keeper
            && let Err(error) = answered(keeper.check(), cancel).await
        {
            self.keeper_failed(error);
        }
    }

    /// Without a keeper nothing may be read; a stop leaves what runs its grace.
    fn keeper_failed(&mut self, error: Error) {
        let is_lost = error.kind() != ErrorKind::Cancelled;
        self.fail(error);
        if is_lost {
            self.work.abandon.cancel();
        }
    }

    async fn happened(&mut self, event: Event, cancel: &CancellationToken) {
        match event {
            Event::AllCommitted { table } => self.close(table, cancel).await,
            Event::Completed { table } => self.tables[table] = Stage::Ended,
            Event::Failed { table, error } => {
                if let Some(error) = error {
                    self.work.runs[table].fail(error);
                }
                let before = std::mem::replace(&mut self.tables[table], Stage::Ended);
                if self.tables.len() > 1 {
                    let error = self.work.runs[table].told();
                    let table = &self.work.tables[table].schema.name;
                    tracing::error!(%table, error, "the table failed; the others go on");
                }
                if before == Stage::Reading {
                    self.let_go(table, cancel).await;
                }
            }
        }
    }

    /// All chunks of a table are committed: checks its end, lets its locks go and has it closed.
    async fn close(&mut self, table: usize, cancel: &CancellationToken) {
        if self.work.runs[table].has_failed() {
            return;
        }
        let check = tokio::time::timeout(
            SCHEMA_CHECK_LIMIT,
            step(CrashPoint::CheckEnd, self.check_end(table)),
        );
        let checked = tokio::select! {
            checked = check => checked,
            // The table is completed by the next run.
            () = cancel.cancelled() => return self.fail(cancelled()),
        };
        let checked = checked.unwrap_or_else(|_| {
            let message = "the table's definition could not be read again in time";
            Err(Error::new(ErrorKind::Source, message))
        });
        let request = match checked {
            Ok(()) => {
                self.tables[table] = Stage::Closing;
                self.let_go(table, cancel).await;
                Request::Complete { table }
            }
            Err(error) => {
                let run = &self.work.runs[table];
                run.fail(error.with_table(self.work.tables[table].schema.name.to_string()));
                let message = run.told();
                Request::Fail { table, message }
            }
        };
        if let Some(requests) = &self.requests {
            // A committer that has stopped is seen by `drive`.
            let _ = requests.send(request).await;
        }
    }

    /// A table needs its lock no more; when it was the last one, neither lock nor snapshot is
    /// needed.
    async fn let_go(&mut self, table: usize, cancel: &CancellationToken) {
        if !self.tables.contains(&Stage::Reading) {
            self.let_all_go().await;
            return;
        }
        let name = &self.work.tables[table].schema.name;
        if let Some(keeper) = &self.keeper
            && let Err(error) = answered(keeper.let_go(name), cancel).await
        {
            self.keeper_failed(error);
        }
    }

    /// The keeper has done its part: nothing that was read can be spoilt any more.
    async fn let_all_go(&mut self) {
        let Some(keeper) = self.keeper.take() else {
            return;
        };
        // A connection that does not answer is closed instead, which lets go as well.
        match tokio::time::timeout(RELEASE_LIMIT, keeper.release()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                let error = one_line(&error);
                tracing::warn!(error, "the snapshot was let go by closing its connection");
            }
            Err(_) => tracing::warn!("the snapshot was let go by closing its connection"),
        }
    }

    /// What must hold when a table's last chunk is committed: the keeper held its lock all the
    /// time, and the definition is the one that was exported.
    async fn check_end(&self, table: usize) -> Result<()> {
        let Some(keeper) = &self.keeper else {
            let message = "the snapshot was let go before the end of a table";
            return Err(Error::new(ErrorKind::Internal, message));
        };
        keeper.check().await?;
        let mut attempt = 1;
        loop {
            match self.check_schema(table).await {
                Err(error)
                    if error.is_retryable() && attempt < self.work.options.chunk_attempts =>
                {
                    tokio::time::sleep(wait_after(attempt, rand::random())).await;
                    attempt += 1;
                }
                checked => return checked,
            }
        }
    }

    /// Reads the catalog once more, outside the snapshot: locks hold off DDL, but not a renamed
    /// enum label.
    async fn check_schema(&self, table: usize) -> Result<()> {
        let before = &self.work.tables[table].schema;
        let now = match &self.keeper {
            Some(keeper) if before.kind == RelationKind::Query => {
                keeper.reload_query(before).await?
            }
            _ => {
                let purpose = format!("pgsluice {} catalog", self.work.run_id);
                let session = self.work.source.connect(&purpose).await?;
                session.check_server(&self.work.snapshot)?;
                catalog::reload(&session, before, self.work.options.inheritance).await?
            }
        };
        let changed = catalog::schema_differences(before, &now);
        if changed.is_empty() {
            return Ok(());
        }
        let message = format!(
            "the table changed while it was read: {}",
            changed.join("; ")
        );
        Err(Error::new(ErrorKind::Data, message)
            .with_table(before.name.to_string())
            .with_advice("export it again, to another --to, when its definition is at rest"))
    }

    /// Waits for the committer, and writes the end of every unfinished table into its log.
    async fn end(mut self) -> (Committer, Result<()>) {
        self.requests = None;
        let mut committer = match self.committer.await {
            Ok(committer) => committer,
            Err(panic) => {
                let error = Error::new(ErrorKind::Internal, "the committer stopped unexpectedly");
                return (Committer::new(Vec::new()), Err(error.with_source(panic)));
            }
        };
        if let Some(error) = self.failure {
            committer.close(error.kind(), &one_line(&error)).await;
            return (committer, Err(error));
        }
        // Tables that are complete or failed have their end already.
        let reason = self.work.pacer.reason();
        let reason = reason.unwrap_or("the run ended before this table");
        // A table that another writer has by now did not pause, and is not told to have.
        for (table, fenced) in committer.close(ErrorKind::Cancelled, reason).await {
            self.work.runs[table].fail(fenced);
        }
        (committer, Ok(()))
    }
}

async fn committer_gone(requests: &Option<mpsc::Sender<Request>>) {
    match requests {
        Some(requests) => requests.closed().await,
        None => std::future::pending().await,
    }
}
