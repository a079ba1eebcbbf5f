//! The committer: sole owner of every manifest log of a run.
//!
//! It receives finished chunks over a bounded channel, gathers what is ready into one commit
//! entry a table, and reports a table whose last chunk it committed. It never sees PostgreSQL,
//! Arrow or an object's bytes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::chunk::Totals;
use crate::crash_point::{CrashPoint, step};
use crate::error::{Error, ErrorKind, Result};
use crate::export::progress::TableCounters;
use crate::export::report::Retry;
use crate::export::retry::wait_after;
use crate::export::worker::one_line;
use crate::manifest::{
    Appended, Change, ChunkEntry, Heartbeat, MAX_COMMIT_CHUNKS, ManifestLog, Orphans, State,
    check_committed, finish, totals_of,
};
#[cfg(test)]
use crate::sabotage::{self, Sabotage};

/// Chunks that land within this time of the last commit are committed together: a resume reads
/// every entry of the log, and small chunks would make as many of them.
const GROUP_INTERVAL: Duration = Duration::from_millis(100);
/// No request of a log is begun again later than this after its first failure. The store's client
/// repeats each one for a while, too.
const STORE_LIMIT: Duration = Duration::from_secs(120);
/// How long the ends of all tables may take to be recorded, after a failure or a stop.
const CLOSE_LIMIT: Duration = Duration::from_secs(30);

/// A chunk whose object stands.
pub(crate) struct Landed {
    /// Index of the table.
    pub(crate) table: usize,
    /// What the manifest keeps of it.
    pub(crate) entry: ChunkEntry,
    /// The tries that failed before.
    pub(crate) retries: Vec<Retry>,
}

/// What the committer is asked to do.
pub(crate) enum Request {
    /// Commit a chunk that landed.
    Commit(Box<Landed>),
    /// All of a table's chunks are committed and its schema was found unchanged: close it.
    Complete {
        /// Index of the table.
        table: usize,
    },
    /// A table failed, and none of its chunks is being read any more: record it. Asked for again,
    /// it is nothing.
    Fail {
        /// Index of the table.
        table: usize,
        /// Why, on one line.
        message: String,
    },
}

/// What the committer reports.
pub(crate) enum Event {
    /// Every chunk of the table is committed.
    AllCommitted {
        /// Index of the table.
        table: usize,
    },
    /// A table's `_SUCCESS` stands.
    Completed {
        /// Index of the table.
        table: usize,
    },
    /// A table failed, and that was recorded as far as it can be.
    Failed {
        /// Index of the table.
        table: usize,
        /// What failed, when it was the committer itself.
        error: Option<Error>,
    },
}

/// Events that one table can have.
pub(crate) const EVENTS_A_TABLE: usize = 3;

/// One table's log, and what this run did to it.
pub(crate) struct TableLog {
    pub(crate) name: String,
    pub(crate) log: ManifestLog,
    pub(crate) heartbeat: Option<Heartbeat>,
    pub(crate) counters: Arc<TableCounters>,
    pub(crate) this_run: Totals,
    pub(crate) retries: Vec<Retry>,
    /// A later writer took over: nothing more is written.
    pub(crate) fenced: bool,
    pub(crate) completed: bool,
}

/// The committer of one run.
pub(crate) struct Committer {
    tables: Vec<TableLog>,
    /// Tables that failed: nothing more is written for them.
    failed: BTreeSet<usize>,
}

impl Committer {
    pub(crate) fn new(tables: Vec<TableLog>) -> Self {
        Self {
            tables,
            failed: BTreeSet::new(),
        }
    }

    pub(crate) fn tables(&self) -> &[TableLog] {
        &self.tables
    }

    /// Serves requests until the channel closes; then hands the logs back. A table whose log
    /// cannot be written fails alone.
    ///
    /// Dropped between requests: nothing is lost, the log is what counts. `events` must hold
    /// [`EVENTS_A_TABLE`] a table, so that sending one never waits.
    pub(crate) async fn serve(
        mut self,
        mut requests: mpsc::Receiver<Request>,
        events: mpsc::Sender<Event>,
    ) -> Self {
        let mut group = Vec::new();
        let mut next = Instant::now();
        while requests.recv_many(&mut group, MAX_COMMIT_CHUNKS).await > 0 {
            while next > Instant::now() && self.may_wait(&group) {
                match tokio::time::timeout_at(next, requests.recv()).await {
                    Ok(Some(request)) => group.push(request),
                    Ok(None) | Err(_) => break,
                }
            }
            next = Instant::now() + GROUP_INTERVAL;
            self.serve_group(std::mem::take(&mut group), &events).await;
        }
        self
    }

    /// Whether more chunks may be waited for: nobody waits for these, and one entry holds more.
    fn may_wait(&self, group: &[Request]) -> bool {
        let mut landed = vec![0; self.tables.len()];
        for request in group {
            match request {
                Request::Commit(chunk) => landed[chunk.table] += 1,
                _ => return false,
            }
        }
        let is_last = |(table, landed): (&TableLog, &usize)| {
            let dataset = table.log.dataset();
            *landed > 0 && dataset.committed.len() + landed >= dataset.plan.chunks.len()
        };
        group.len() < MAX_COMMIT_CHUNKS && !self.tables.iter().zip(&landed).any(is_last)
    }

    /// Commits first: whatever else is asked of a table comes after its last chunk.
    async fn serve_group(&mut self, group: Vec<Request>, events: &mpsc::Sender<Event>) {
        let mut ready: Vec<Vec<ChunkEntry>> = Vec::new();
        ready.resize_with(self.tables.len(), Vec::new);
        let mut ends = Vec::new();
        for request in group {
            match request {
                Request::Commit(landed) => {
                    self.tables[landed.table].retries.extend(landed.retries);
                    ready[landed.table].push(landed.entry);
                }
                Request::Complete { .. } | Request::Fail { .. } => ends.push(request),
            }
        }
        for (table, chunks) in ready.into_iter().enumerate() {
            if chunks.is_empty() || self.failed.contains(&table) {
                continue;
            }
            let log = &mut self.tables[table];
            match log.commit(chunks).await {
                Ok(()) if log.log.dataset().is_all_committed() => {
                    // The run holds the other end until the committer is done.
                    let _ = events.send(Event::AllCommitted { table }).await;
                }
                Ok(()) => {}
                Err(error) => self.fail(table, error, events).await,
            }
        }
        for request in ends {
            self.end(request, events).await;
        }
    }

    async fn end(&mut self, request: Request, events: &mpsc::Sender<Event>) {
        match request {
            Request::Complete { table } if !self.failed.contains(&table) => {
                match self.tables[table].complete().await {
                    Ok(()) => {
                        let _ = events.send(Event::Completed { table }).await;
                    }
                    Err(error) => self.fail(table, error, events).await,
                }
            }
            Request::Fail { table, message } if self.failed.insert(table) => {
                self.tables[table].close_in_time(message).await;
                let _ = events.send(Event::Failed { table, error: None }).await;
            }
            _ => {}
        }
    }

    /// The table's log could not be written, or its dataset is not whole.
    async fn fail(&mut self, table: usize, error: Error, events: &mpsc::Sender<Event>) {
        self.failed.insert(table);
        let log = &mut self.tables[table];
        let error = error.with_table(log.name.clone());
        let message = one_line(&error);
        log.close_in_time(message).await;
        let error = Some(error);
        let _ = events.send(Event::Failed { table, error }).await;
    }

    /// Ends every unfinished table: `pause` when the run was asked to stop, else `fail`. Best
    /// effort, within [`CLOSE_LIMIT`]: a log that cannot be written is taken over once its lease
    /// stands still. What comes back are the tables that have another writer by now: those did not
    /// pause.
    pub(crate) async fn close(&mut self, kind: ErrorKind, reason: &str) -> Vec<(usize, Error)> {
        let reason = reason.to_owned();
        let change = match kind {
            ErrorKind::Cancelled => Change::Pause { reason },
            _ => Change::Fail { message: reason },
        };
        let failed = &self.failed;
        let open = self.tables.iter_mut().enumerate();
        let open = open.filter(|(table, _)| !failed.contains(table));
        let closing = open.map(|(table, log)| {
            let closing = log.close(change.clone());
            async move { closing.await.map(|error| (table, error)) }
        });
        let closed = tokio::time::timeout(CLOSE_LIMIT, join_all(closing)).await;
        let closed = closed.unwrap_or_else(|_| {
            tracing::warn!("the end of this run could not be recorded in time");
            Vec::new()
        });
        closed.into_iter().flatten().collect()
    }
}

impl TableLog {
    /// A log that was just opened; nothing is committed by this run yet.
    pub(crate) fn new(
        name: String,
        log: ManifestLog,
        heartbeat: Heartbeat,
        counters: Arc<TableCounters>,
    ) -> Self {
        Self {
            name,
            log,
            heartbeat: Some(heartbeat),
            counters,
            this_run: Totals::default(),
            retries: Vec::new(),
            fenced: false,
            completed: false,
        }
    }

    /// Records that the table failed, as well as can be.
    async fn close_in_time(&mut self, message: String) {
        let closing = self.close(Change::Fail { message });
        if tokio::time::timeout(CLOSE_LIMIT, closing).await.is_err() {
            let table = &self.name;
            tracing::warn!(%table, "the end of this table could not be recorded in time");
        }
    }

    /// Best effort. An error only when a later writer was found.
    async fn close(&mut self, change: Change) -> Option<Error> {
        if let Some(heartbeat) = self.heartbeat.take() {
            heartbeat.stop().await;
        }
        // A dataset whose complete entry stands needs no other end.
        if self.fenced || self.log.dataset().state == State::Complete {
            return None;
        }
        let error = self.append(change).await.err()?;
        let table = &self.name;
        tracing::warn!(%table, %error, "the end of this run could not be recorded");
        (error.kind() == ErrorKind::Fenced).then_some(error)
    }

    async fn commit(&mut self, chunks: Vec<ChunkEntry>) -> Result<()> {
        let sum = totals_of(chunks.iter());
        self.append(Change::Commit { chunks }).await?;
        self.counters.committed(sum.chunks);
        self.this_run.add(&sum);
        Ok(())
    }

    /// Deletes orphans, checks every object once more, appends `complete`, writes `manifest.json`
    /// and `_SUCCESS`, in this order.
    async fn complete(&mut self) -> Result<()> {
        let mut again = Again::new();
        let orphans = loop {
            match self.log.delete_orphans().await {
                Ok(orphans) => break orphans,
                Err(error) => again.after(error).await?,
            }
        };
        match orphans {
            Orphans::Deleted { objects: 0, .. } => {}
            Orphans::Deleted { objects, bytes } => {
                let table = &self.name;
                tracing::info!(%table, objects, bytes, "deleted what dead epochs left");
            }
            Orphans::Fenced => {
                self.fenced = true;
                return Err(fenced(&self.name));
            }
        }
        let lost = loop {
            let check = check_committed(self.log.root(), self.log.dataset());
            match step(CrashPoint::CheckObjects, check).await {
                Ok(lost) => break lost,
                Err(error) => again.after(error).await?,
            }
        };
        if let Some(chunk) = lost.first() {
            let message = "an object is gone or holds other bytes than were committed";
            return Err(Error::new(ErrorKind::Storage, message)
                .with_chunk(*chunk)
                .with_advice("start again: lost chunks are read again"));
        }
        #[cfg(test)]
        if sabotage::is(Sabotage::SuccessBeforeComplete) {
            let mut early = self.log.dataset().clone();
            early.state = State::Complete;
            finish(self.log.root(), &early).await?;
        }
        self.log.check_alone().await?;
        let totals = self.log.dataset().totals();
        self.append(Change::Complete { totals }).await?;
        while let Err(error) = finish(self.log.root(), self.log.dataset()).await {
            again.after(error).await?;
        }
        self.completed = true;
        if let Some(heartbeat) = self.heartbeat.take() {
            heartbeat.stop().await;
        }
        Ok(())
    }

    async fn append(&mut self, change: Change) -> Result<()> {
        // Given again, a change whose outcome is unknown is settled, and counts once.
        let mut again = Again::new();
        let appended = loop {
            match self.log.append(change.clone()).await {
                Ok(appended) => break appended,
                Err(error) => again.after(error).await?,
            }
        };
        match appended {
            Appended::Committed => Ok(()),
            Appended::Fenced { by, .. } => {
                self.fenced = true;
                Err(fenced(&self.name).with_advice(format!(
                    "{by} owns it now: nothing that this run committed was lost; see `pgsluice status`"
                )))
            }
        }
    }
}

/// Patience with a store that may recover, for what may be done twice. One committer waits alone:
/// its waits need no jitter.
struct Again {
    until: Instant,
    attempt: u32,
}

impl Again {
    fn new() -> Self {
        Self {
            until: Instant::now() + STORE_LIMIT,
            attempt: 1,
        }
    }

    /// Waits after a failure that may pass; gives any other back, and this one once it is too late.
    async fn after(&mut self, error: Error) -> Result<()> {
        if !error.is_retryable() || Instant::now() >= self.until {
            return Err(error);
        }
        let (attempt, error) = (self.attempt, one_line(&error));
        tracing::warn!(
            attempt,
            error,
            "the store failed under the log, trying again"
        );
        tokio::time::sleep(wait_after(attempt, 1.0)).await;
        self.attempt += 1;
        Ok(())
    }
}

fn fenced(table: &str) -> Error {
    Error::new(
        ErrorKind::Fenced,
        "a later writer took the dataset over; this one stopped and deleted nothing",
    )
    .with_table(table)
}
