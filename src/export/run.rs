//! One run: from a snapshot to `_SUCCESS`, or to a clean stop.
//!
//! Owns the run's tasks and their end: the keeper, the workers, the committer, the heartbeats.
//! What each of them does stands in its own file.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::error::{Error, ErrorKind, Result};
use crate::export::committer::{CommitFailure, Committer, Event, Request};
use crate::export::prepare::{OpenedTable, pending_jobs};
use crate::export::retry::wait_after;
use crate::export::worker::{Failure, Work, one_line, work};
use crate::options::ExportOptions;
use crate::pg::{ConnectOptions, Keeper, catalog};

/// How long running chunks may go on after a stop was asked for.
const STOP_GRACE: Duration = Duration::from_secs(10);
/// How long the last look at a table's definition may take, its tries included.
const SCHEMA_CHECK_LIMIT: Duration = Duration::from_secs(60);
/// How often the keeper's connection is asked whether it lives.
const KEEPER_CHECK_INTERVAL: Duration = Duration::from_secs(15);

/// How the reading of a run's tables ended.
pub(crate) struct Ended {
    pub(crate) committer: Committer,
    pub(crate) work: Arc<Work>,
    pub(crate) outcome: Result<()>,
}

/// Reads all pending chunks of the opened tables, and completes each table whose last one is
/// committed.
///
/// Dropped: workers and committer are aborted; nothing half-done counts.
pub(crate) async fn run_tables(
    source: &ConnectOptions,
    keeper: &Keeper,
    run_id: &str,
    options: &ExportOptions,
    opened: Vec<OpenedTable>,
    cancel: &CancellationToken,
) -> Ended {
    let jobs = pending_jobs(&opened);
    let (tables, logs): (Vec<_>, Vec<_>) = opened
        .into_iter()
        .map(|table| (table.work, table.log))
        .unzip();
    let work = Arc::new(Work {
        source: source.clone(),
        options: options.clone(),
        run_id: run_id.to_owned(),
        snapshot: keeper.snapshot().clone(),
        tables,
        jobs,
        next_job: AtomicUsize::new(0),
        oversize: Arc::new(Semaphore::new(1)),
        stop: CancellationToken::new(),
        abandon: CancellationToken::new(),
    });
    let mut run = Run::start(Arc::clone(&work), Committer::new(logs));
    run.drive(keeper, cancel).await;
    let (committer, outcome) = run.end().await;
    Ended {
        committer,
        work,
        outcome,
    }
}

/// The moving parts of a run.
struct Run {
    work: Arc<Work>,
    workers: JoinSet<Result<(), Failure>>,
    committer: JoinHandle<(Committer, Option<CommitFailure>)>,
    /// Dropped when nothing more is to be committed.
    requests: Option<mpsc::Sender<Request>>,
    events: mpsc::Receiver<Event>,
    /// Tables not completed yet.
    open: usize,
    /// The first failure; it decides how the run ends.
    failure: Option<(Option<usize>, Error)>,
}

impl Run {
    fn start(work: Arc<Work>, committer: Committer) -> Self {
        let open = committer.tables().len();
        let worker_count = work.options.workers.get();
        let (requests, inbox) = mpsc::channel(2 * worker_count);
        let (outbox, events) = mpsc::channel(2 * open.max(1));
        // Tables whose chunks were all committed by an earlier run wait only for their end.
        for (table, log) in committer.tables().iter().enumerate() {
            if log.log.dataset().pending().next().is_none() {
                // The channel holds two events a table.
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
            open,
            failure: None,
        }
    }

    /// Runs until every table is complete, or something failed or the run was asked to stop, and
    /// all workers have ended.
    async fn drive(&mut self, keeper: &Keeper, cancel: &CancellationToken) {
        let mut check = tokio::time::interval(KEEPER_CHECK_INTERVAL);
        check.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut asked = false;
        let grace = tokio::time::sleep(Duration::MAX / 2);
        tokio::pin!(grace);
        while self.open > 0 && self.failure.is_none() || !self.workers.is_empty() {
            tokio::select! {
                () = cancel.cancelled(), if !asked => {
                    asked = true;
                    self.fail(None, Error::new(ErrorKind::Cancelled, "the run was asked to stop"));
                    grace.as_mut().reset(tokio::time::Instant::now() + STOP_GRACE);
                }
                () = &mut grace, if asked && !self.work.abandon.is_cancelled() => {
                    self.work.abandon.cancel();
                }
                Some(ended) = self.workers.join_next() => self.worker_ended(ended),
                event = self.events.recv(), if self.open > 0 => match event {
                    Some(event) => self.committed(event, keeper, cancel).await,
                    // The committer stopped early; `end` asks it why.
                    None => {
                        self.halt();
                        self.open = 0;
                    }
                },
                _ = check.tick(), if self.failure.is_none() => {
                    if let Err(error) = keeper.check().await {
                        self.fail(None, error);
                        self.work.abandon.cancel();
                    }
                }
            }
        }
    }

    fn worker_ended(&mut self, ended: Result<Result<(), Failure>, tokio::task::JoinError>) {
        match ended {
            Ok(Ok(())) => {}
            Ok(Err(failure)) => {
                self.fail(Some(failure.table), failure.error);
                self.halt();
            }
            Err(panic) => {
                let error = Error::new(ErrorKind::Internal, "a worker stopped unexpectedly");
                self.fail(None, error.with_source(panic));
                self.halt();
            }
        }
    }

    /// Keeps the first failure, and lets no worker take a further chunk.
    fn fail(&mut self, table: Option<usize>, error: Error) {
        self.work.stop.cancel();
        self.failure.get_or_insert((table, error));
    }

    /// Drops what the workers are reading, too.
    fn halt(&mut self) {
        self.work.stop.cancel();
        self.work.abandon.cancel();
    }

    async fn committed(&mut self, event: Event, keeper: &Keeper, cancel: &CancellationToken) {
        let table = match event {
            Event::Completed => {
                self.open -= 1;
                return;
            }
            Event::AllCommitted { table } => table,
        };
        let check = tokio::time::timeout(SCHEMA_CHECK_LIMIT, self.check_end(table, keeper));
        let checked = tokio::select! {
            checked = check => checked,
            // The caller sees it too, and ends the run; the table is completed by the next one.
            () = cancel.cancelled() => return,
        };
        let checked = checked.unwrap_or_else(|_| {
            let message = "the table's definition could not be read again in time";
            Err(Error::new(ErrorKind::Source, message))
        });
        match checked {
            Ok(()) => {
                if let Some(requests) = &self.requests {
                    // A committer that has stopped closes `events` as well.
                    let _ = requests.send(Request::Complete { table }).await;
                }
            }
            Err(error) => {
                self.fail(Some(table), error);
                self.halt();
            }
        }
    }

    /// What must hold when a table's last chunk is committed: the keeper held its lock all the
    /// time, and the definition is the one that was exported.
    async fn check_end(&self, table: usize, keeper: &Keeper) -> Result<()> {
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
        let purpose = format!("pgsluice {} catalog", self.work.run_id);
        let session = self.work.source.connect(&purpose).await?;
        session.check_server(&self.work.snapshot)?;
        let now = catalog::reload(&session, before).await?;
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
        let (mut committer, stopped) = match self.committer.await {
            Ok(ended) => ended,
            Err(panic) => {
                let error = Error::new(ErrorKind::Internal, "the committer stopped unexpectedly");
                return (Committer::new(Vec::new()), Err(error.with_source(panic)));
            }
        };
        let failure = match stopped {
            Some(CommitFailure { table, error }) => {
                let error = error.with_table(committer.tables()[table].name.clone());
                Some((Some(table), error))
            }
            None => self.failure,
        };
        match failure {
            None => (committer, Ok(())),
            Some((table, error)) => {
                committer
                    .close(table, error.kind(), &one_line(&error))
                    .await;
                (committer, Err(error))
            }
        }
    }
}
