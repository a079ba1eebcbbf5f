//! One simulated run of `pgsluice export`, from the look at what is there to its end or its death.
//!
//! Owns the order of a run where the real one asks PostgreSQL: `run` and `prepare` hold the same
//! steps.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use object_store::ObjectStore;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::observer::Observer;
use super::reader::SimReader;
use super::scenario::Member;
use super::seat::Seat;
use super::source::{self, Table};
use crate::error::{Error, ErrorKind, Result};
use crate::export::committer::{Committer, EVENTS_A_TABLE, Event, Request};
use crate::export::pace::{Pacer, STOP_GRACE};
use crate::export::prepare::{
    OpenedTable, Prepared, load_dataset, lost_chunks, open_table, pending_jobs,
};
use crate::export::progress::Progress;
use crate::export::table_run::TableRun;
use crate::export::worker::{Work, one_line, work_with};
use crate::export::writers::check_writer;
use crate::manifest::finish;
use crate::mapping::{MappingOptions, map_table};
use crate::options::ExportOptions;
use crate::pg::ConnectOptions;
use crate::plan::{Decision, decide};
use crate::snapshot::Snapshot;
use crate::store::Root;
use crate::store::testing::{FaultStore, Faults, Rng, SeededFaults};

/// The folder of the dataset.
pub(super) const ROOT: &str = "lake";

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    Complete,
    Paused,
    Failed,
    Died,
}

/// A process that may run.
pub(super) struct Process {
    number: usize,
    seat: Arc<Seat>,
    root: Root,
    options: ExportOptions,
    stop_after: Option<Duration>,
    is_source_frail: bool,
    table: Arc<Table>,
    rng: Rng,
}

impl Process {
    pub(super) fn new(
        number: usize,
        member: &Member,
        table: &Arc<Table>,
        observer: &Arc<Observer>,
    ) -> Self {
        let mut rng = member.rng.clone();
        let seeded = SeededFaults::new(rng.fork(), member.weather, member.dooms.clone());
        observer.enter(number);
        let seat = Arc::new(Seat {
            process: number,
            seeded,
            observer: Arc::clone(observer),
        });
        let store: Arc<dyn ObjectStore> = observer.store();
        let faults = Arc::clone(&seat) as Arc<dyn Faults>;
        let mut options = ExportOptions::new(Vec::new());
        options.workers = member.workers.try_into().unwrap();
        options.lease_interval = member.lease_interval;
        options.takeover = member.takeover;
        options.require_consistent = member.require_consistent;
        options.part_bytes = member.part_bytes;
        Self {
            number,
            seat,
            root: FaultStore::new(store, faults).root(ROOT),
            options,
            stop_after: member.stop,
            is_source_frail: member.is_source_frail,
            table: Arc::clone(table),
            rng,
        }
    }

    /// Runs to its end, or until it dies: then nothing of it goes on.
    pub(super) async fn live(mut self) -> Ended {
        let observer = Arc::clone(&self.seat.observer);
        let dead = self.seat.seeded.dead.clone();
        let number = self.number;
        let ended = tokio::select! {
            biased;
            () = dead.cancelled() => {
                observer.died(number);
                return Ended::Died;
            }
            ended = self.run() => ended,
        };
        observer.ended(number, &ended);
        match ended {
            Ok(()) => Ended::Complete,
            Err(error) if error.kind() == ErrorKind::Cancelled => Ended::Paused,
            Err(_) => Ended::Failed,
        }
    }

    async fn run(&mut self) -> Result<()> {
        let snapshot = self.table.snapshot();
        let prepared = self.prepare(&snapshot).await?;
        if !self.options.takeover {
            check_writer(&prepared, self.options.lease_interval).await?;
        }
        if prepared.decision == Decision::Complete {
            let dataset = prepared.dataset.as_ref().unwrap();
            return finish(&self.root, dataset).await;
        }
        self.seat.observer.decided(&prepared.decision);
        let progress = Progress::new();
        let opened = open_table(&snapshot, prepared, &self.options, &progress).await?;
        self.run_opened(snapshot, opened).await
    }

    /// As `prepare_table`.
    async fn prepare(&self, snapshot: &Snapshot) -> Result<Prepared> {
        let dataset = load_dataset(&self.root, false).await?;
        let lost = match &dataset {
            Some(dataset) => lost_chunks(&self.root, dataset).await?,
            None => Vec::new(),
        };
        let (config, schema) = (self.table.config(), source::schema());
        let consistent = self.options.require_consistent;
        let decision = decide(
            dataset.as_ref(),
            lost,
            &config,
            &schema,
            snapshot,
            consistent,
        )?;
        let plan = self.table.plan(&decision, dataset.as_ref());
        let decision = match (decision, &plan) {
            (Decision::Extend { .. }, None) => Decision::Complete,
            (decision, _) => decision,
        };
        let mapping = map_table(&schema.columns, &MappingOptions::default())?;
        Ok(Prepared {
            schema,
            mapping,
            root: self.root.clone(),
            dataset,
            decision,
            config,
            plan,
            warnings: Vec::new(),
        })
    }

    async fn run_opened(&mut self, snapshot: Snapshot, opened: OpenedTable) -> Result<()> {
        let opened = vec![opened];
        let jobs = pending_jobs(&opened);
        let abandon = CancellationToken::new();
        let (tables, logs) = opened
            .into_iter()
            .map(|table| (table.work, table.log))
            .unzip();
        let work = Arc::new(Work {
            source: ConnectOptions::from_dsn(Some("host=localhost user=sim dbname=sim"))?,
            options: self.options.clone(),
            run_id: "sim".to_owned(),
            snapshot,
            runs: vec![TableRun::new(jobs.len(), &abandon)],
            tables,
            jobs,
            next_job: AtomicUsize::new(0),
            oversize: Arc::new(Semaphore::new(1)),
            pacer: Arc::new(Pacer::new(&self.options, Arc::default())),
            abandon,
        });
        let mut run = Run::start(self, &work, Committer::new(logs));
        run.drive(self.stop_after).await;
        run.end(self).await
    }
}

/// The moving parts, as `run::Run` has them, without a keeper.
struct Run {
    work: Arc<Work>,
    workers: JoinSet<()>,
    committer: JoinHandle<Committer>,
    requests: Option<mpsc::Sender<Request>>,
    events: mpsc::Receiver<Event>,
    stage: Stage,
    failure: Option<Error>,
    rng: Rng,
    has_panicked: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Reading,
    Closing,
    Ended,
}

impl Run {
    fn start(process: &mut Process, work: &Arc<Work>, committer: Committer) -> Self {
        let count = work.options.workers.get();
        let (requests, inbox) = mpsc::channel(2 * count);
        let (outbox, events) = mpsc::channel(EVENTS_A_TABLE);
        if work.jobs.is_empty() {
            let _ = outbox.try_send(Event::AllCommitted { table: 0 });
        }
        let committer = tokio::spawn(committer.serve(inbox, outbox));
        let mut workers = JoinSet::new();
        for _ in 0..count.min(work.jobs.len()) {
            let rng = process.rng.fork();
            let reader = SimReader::new(
                Arc::clone(work),
                Arc::clone(&process.table),
                Arc::clone(&process.seat),
                process.is_source_frail,
                rng,
            );
            workers.spawn(work_with(reader, Arc::clone(work), requests.clone()));
        }
        Self {
            work: Arc::clone(work),
            workers,
            committer,
            requests: Some(requests),
            events,
            stage: Stage::Reading,
            failure: None,
            rng: process.rng.fork(),
            has_panicked: false,
        }
    }

    async fn drive(&mut self, stop_after: Option<Duration>) {
        let far = Duration::from_secs(365 * 24 * 3600);
        let stop = tokio::time::sleep(stop_after.unwrap_or(far));
        let grace = tokio::time::sleep(far);
        tokio::pin!(stop, grace);
        let mut is_asked = false;
        while !self.workers.is_empty() || self.failure.is_none() && self.is_awaited() {
            tokio::select! {
                biased;
                () = &mut stop, if !is_asked => {
                    is_asked = true;
                    self.work.pacer.stop.cancel();
                    self.failure.get_or_insert(cancelled());
                    grace.as_mut().reset(tokio::time::Instant::now() + STOP_GRACE);
                }
                () = &mut grace, if !self.work.abandon.is_cancelled() => {
                    self.work.abandon.cancel();
                }
                Some(ended) = self.workers.join_next() => self.has_panicked |= ended.is_err(),
                Some(event) = self.events.recv() => self.happened(event).await,
            }
        }
    }

    fn is_awaited(&self) -> bool {
        let run = &self.work.runs[0];
        match self.stage {
            Stage::Ended => false,
            Stage::Closing => true,
            Stage::Reading => run.is_read() || run.has_failed(),
        }
    }

    async fn happened(&mut self, event: Event) {
        match event {
            Event::AllCommitted { table } if !self.work.runs[0].has_failed() => {
                // The table's definition is looked at once more.
                tokio::time::sleep(self.rng.millis(0, 20)).await;
                self.stage = Stage::Closing;
                if let Some(requests) = &self.requests {
                    let _ = requests.send(Request::Complete { table }).await;
                }
            }
            Event::AllCommitted { .. } => {}
            Event::Completed { .. } => self.stage = Stage::Ended,
            Event::Failed { error, .. } => {
                if let Some(error) = error {
                    self.work.runs[0].fail(error);
                }
                self.stage = Stage::Ended;
            }
        }
    }

    async fn end(mut self, process: &Process) -> Result<()> {
        self.requests = None;
        let Ok(mut committer) = self.committer.await else {
            process
                .seat
                .observer
                .broken("the committer panicked".to_owned());
            return Err(cancelled());
        };
        if self.has_panicked {
            process.seat.observer.broken("a worker panicked".to_owned());
        }
        if let Some(error) = self.failure {
            committer.close(error.kind(), &one_line(&error)).await;
            return Err(error);
        }
        committer
            .close(ErrorKind::Cancelled, "the run ended before this table")
            .await;
        match self.work.runs[0].take_fault() {
            Some(error) => Err(error),
            None if committer.tables()[0].completed => Ok(()),
            None => Err(cancelled()),
        }
    }
}

pub(super) fn cancelled() -> Error {
    Error::new(ErrorKind::Cancelled, "the run was asked to stop")
}
