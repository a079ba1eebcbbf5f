//! Workers: each takes chunks in turn, reads one over its own connection under the run's
//! snapshot, and lands it as an object. The one place that touches both `pg` and `store`.
//!
//! A worker never sees the manifest: a finished chunk leaves as a [`ChunkEntry`] over a bounded
//! channel. Two stages run side by side, receive-and-decode (`read`) and encode-and-upload
//! (`write`), joined by a channel of one batch, so that a slow store stops the socket.

pub(super) mod exceptions;
pub(super) mod landing;
mod read;
mod tries;
mod write;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use chrono::Utc;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::chunk::{Chunk, Plan, PlannedRelation, Range};
use crate::copy::{CopyDecoder, CopySummary};
use crate::crash_point::{CrashPoint, step};
use crate::error::{Error, ErrorKind, Result};
use crate::export::committer::{Landed, Request};
use crate::export::pace::Pacer;
use crate::export::progress::TableCounters;
use crate::export::report::Retry;
use crate::export::table_run::TableRun;
use crate::manifest::{ChunkEntry, ExceptionsEntry, Fence, ObjectEntry};
use crate::mapping::TableMapping;
use crate::options::ExportOptions;
use crate::pg::{ConnectOptions, Session, sql};
use crate::snapshot::Snapshot;
use crate::store::Root;
use crate::table::{RelationKind, TableSchema};

pub(crate) use self::tries::Tried;

use self::exceptions::{Gathered, MAX_EXCEPTION_BYTES};

/// How long an abandoned upload may take to abort itself.
const ABORT_GRACE: Duration = Duration::from_secs(5);
/// Batches between the two stages of a worker.
const BATCHES_IN_FLIGHT: usize = 1;
/// A row larger than this many batches is oversize: one of them at a time in the whole run.
const OVERSIZE_BATCHES: usize = 4;

/// What every worker of a run shares.
pub(crate) struct Work {
    pub(crate) source: ConnectOptions,
    pub(crate) options: ExportOptions,
    pub(crate) run_id: String,
    pub(crate) snapshot: Snapshot,
    pub(crate) tables: Vec<TableWork>,
    /// What there is to do: indexes into `tables` and into that table's plan.
    pub(crate) jobs: Vec<Job>,
    pub(crate) next_job: AtomicUsize,
    /// One permit: at most one worker at a time holds a row that is larger than its batch.
    pub(crate) oversize: Arc<Semaphore>,
    /// How each table fares, as many as `tables`.
    pub(crate) runs: Vec<TableRun>,
    /// How fast chunks are read, and whether another may begin.
    pub(crate) pacer: Arc<Pacer>,
    /// Drop all running chunks.
    pub(crate) abandon: CancellationToken,
}

/// One table, as workers see it.
pub(crate) struct TableWork {
    pub(crate) schema: TableSchema,
    pub(crate) mapping: TableMapping,
    pub(crate) plan: Arc<Plan>,
    pub(crate) root: Root,
    pub(crate) epoch: u64,
    pub(crate) snapshot_index: u32,
    pub(crate) fence: Fence,
    pub(crate) counters: Arc<TableCounters>,
}

/// One chunk to be read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Job {
    pub(crate) table: usize,
    pub(crate) chunk: usize,
}

/// Works until no chunk is left or none may begin any more. A chunk that fails for good fails its
/// table alone.
///
/// Dropped: the running COPY is cancelled and its upload is left to its own abort.
pub(crate) async fn work(work: Arc<Work>, number: usize, requests: mpsc::Sender<Request>) {
    let connection = Connection::new(Arc::clone(&work), number);
    work_with(connection, work, requests).await;
}

/// Reads chunks for a worker and lands their objects.
pub(crate) trait ReadChunk: Send {
    /// Reads one, again after failures that may pass, which it adds to `retries`. `abandon` is
    /// its table's.
    ///
    /// # Errors
    ///
    /// What fails the table; [`ErrorKind::Cancelled`] when it was asked to stop.
    fn read(
        &mut self,
        job: Job,
        abandon: &CancellationToken,
        retries: &mut Vec<Retry>,
    ) -> impl Future<Output = Result<ChunkEntry>> + Send;
}

/// A worker's turns, whoever reads.
pub(crate) async fn work_with<R: ReadChunk>(
    mut reader: R,
    work: Arc<Work>,
    requests: mpsc::Sender<Request>,
) {
    while let Some(job) = work.take_job().await {
        let run = &work.runs[job.table];
        let is_sent = !run.enter() || land(&mut reader, &work, job, &requests).await;
        // A committer that has stopped says why itself.
        if !(is_sent && work.leave(job, &requests).await) {
            return;
        }
        if work.has_more() {
            work.pacer.rest().await;
        }
    }
}

impl Work {
    /// The next chunk of a table that has not failed, when one may begin.
    async fn take_job(&self) -> Option<Job> {
        while self.has_more() && self.pacer.may_go_on().await {
            let next = self.next_job.fetch_add(1, Ordering::Relaxed);
            let job = self.jobs.get(next).copied()?;
            if self.runs[job.table].has_failed() {
                continue;
            }
            return self.pacer.count_chunk().then_some(job);
        }
        None
    }

    fn has_more(&self) -> bool {
        self.next_job.load(Ordering::Relaxed) < self.jobs.len()
    }

    /// A chunk is over: the last one of a failed table lets its end be recorded. `false` when the
    /// committer has stopped.
    async fn leave(&self, job: Job, requests: &mpsc::Sender<Request>) -> bool {
        let table = job.table;
        let run = &self.runs[table];
        if !run.leave() {
            return true;
        }
        let message = run.told();
        requests
            .send(Request::Fail { table, message })
            .await
            .is_ok()
    }

    pub(super) fn chunk(&self, job: Job) -> (&TableWork, &Chunk) {
        let table = &self.tables[job.table];
        (table, &table.plan.chunks[job.chunk])
    }

    fn blame(&self, job: Job, error: Error) -> Error {
        let (table, chunk) = self.chunk(job);
        error
            .with_table(table.schema.name.to_string())
            .with_chunk(chunk.id)
    }
}

/// Reads a chunk and hands it to the committer; `false` when that has stopped.
async fn land<R: ReadChunk>(
    reader: &mut R,
    work: &Work,
    job: Job,
    requests: &mpsc::Sender<Request>,
) -> bool {
    let table = job.table;
    let run = &work.runs[table];
    let mut retries = Vec::new();
    let entry = match reader.read(job, &run.abandon, &mut retries).await {
        Ok(entry) => entry,
        Err(error) => {
            run.retried(retries);
            // Whoever stopped it knows why.
            if error.kind() != ErrorKind::Cancelled {
                run.fail(work.blame(job, error));
            }
            return true;
        }
    };
    let landed = Landed {
        table,
        entry,
        retries,
    };
    let sent = requests.send(Request::Commit(Box::new(landed))).await;
    run.land();
    sent.is_ok()
}

/// A worker's connection, made anew after a failure.
struct Connection {
    work: Arc<Work>,
    number: usize,
    session: Option<Session>,
    /// Of the table whose chunk it reads.
    abandon: CancellationToken,
}

impl ReadChunk for Connection {
    async fn read(
        &mut self,
        job: Job,
        abandon: &CancellationToken,
        retries: &mut Vec<Retry>,
    ) -> Result<ChunkEntry> {
        self.abandon = abandon.clone();
        let read = self.read_with_retries(job, retries).await;
        if read.is_err() {
            // It may stand in the middle of a transaction, or of a COPY.
            self.session = None;
        }
        read
    }
}

impl Connection {
    fn new(work: Arc<Work>, number: usize) -> Self {
        Self {
            work,
            number,
            session: None,
            abandon: CancellationToken::new(),
        }
    }

    async fn read_chunk(
        &mut self,
        table: &TableWork,
        chunk: &Chunk,
        attempt: u32,
        tried: &Tried,
    ) -> Result<ChunkEntry> {
        let work = Arc::clone(&self.work);
        let abandon = self.abandon.clone();
        table.fence.begin().await?;
        let started_at = Utc::now();
        let clock = Instant::now();
        let mut decoder = new_decoder(table, chunk, &work.options);
        let columns = table.schema.columns.len();
        let mut gathered = Gathered::new(columns, MAX_EXCEPTION_BYTES);
        let (feed, batches) = mpsc::channel(BATCHES_IN_FLIGHT);
        let object = write::ObjectTask::new(&work, table, chunk, tried.clone())?;
        let encoded = tokio::spawn(object.run(batches));
        let reading = self.read(table, chunk, &mut decoder, &mut gathered, feed, tried);
        let read = tokio::select! {
            read = reading => read,
            () = abandon.cancelled() => Err(cancelled()),
        };
        let written = self.second_stage(encoded).await?;
        let (summary, objects) = both(read, written)?;
        let exceptions = self
            .write_exceptions(table, chunk, &gathered, tried)
            .await?;
        let relation = table.plan.relation_of(chunk);
        Ok(ChunkEntry {
            chunk: chunk.id,
            range: chunk.range.clone(),
            relation: relation.name.clone(),
            relation_index: chunk.relation,
            predicate: shown_condition(relation, &chunk.range),
            snapshot: table.snapshot_index,
            lsn: work.snapshot.lsn,
            rows: summary.rows,
            copy_bytes: summary.bytes,
            digest: summary.digest.to_string(),
            null_counts: summary.null_counts,
            exceptions,
            restated: summary.restated,
            objects,
            started_at,
            wall_ms: u64::try_from(clock.elapsed().as_millis()).unwrap_or(u64::MAX),
            attempts: attempt,
        })
    }

    /// The exceptions' object, made as a chunk's own is; none without exceptions.
    async fn write_exceptions(
        &self,
        table: &TableWork,
        chunk: &Chunk,
        gathered: &Gathered,
        tried: &Tried,
    ) -> Result<Option<ExceptionsEntry>> {
        if gathered.count() == 0 {
            return Ok(None);
        }
        let (feed, batches) = mpsc::channel(BATCHES_IN_FLIGHT);
        let object = write::ObjectTask::of_exceptions(&self.work, table, chunk, tried.clone())?;
        let encoded = tokio::spawn(object.run(batches));
        let feeding = read::feed_all(gathered.batches(chunk.id, &table.schema.columns), feed);
        let fed = tokio::select! {
            fed = feeding => fed,
            () = self.abandon.cancelled() => Err(cancelled()),
        };
        let written = self.second_stage(encoded).await??;
        fed?;
        let written = match written {
            write::Written::Objects(mut objects) => objects.pop(),
            _ => None,
        };
        let held = written.filter(|object| object.rows == gathered.count());
        let object = held.ok_or_else(|| {
            let message = "the object of the exceptions does not hold all of them";
            Error::new(ErrorKind::Internal, message)
        })?;
        Ok(Some(ExceptionsEntry {
            values: object.rows,
            object,
        }))
    }

    /// The second stage ends by itself: its channel is closed now, with or without an end mark.
    /// An abandoned one gets a moment to abort its upload; a store may take long to answer.
    async fn second_stage(
        &self,
        mut encoded: JoinHandle<Result<write::Written>>,
    ) -> Result<Result<write::Written>> {
        let abandoned = async {
            self.abandon.cancelled().await;
            tokio::time::sleep(ABORT_GRACE).await;
        };
        tokio::select! {
            ended = &mut encoded => ended.map_err(|panic| {
                Error::new(ErrorKind::Internal, "the encoding task stopped").with_source(panic)
            }),
            () = abandoned => {
                encoded.abort();
                Err(cancelled())
            }
        }
    }

    /// Stage one, from a connection that stands under the run's snapshot.
    async fn read(
        &mut self,
        table: &TableWork,
        chunk: &Chunk,
        decoder: &mut CopyDecoder,
        gathered: &mut Gathered,
        feed: mpsc::Sender<read::Feed>,
        tried: &Tried,
    ) -> Result<CopySummary> {
        let select = sql::chunk_select(
            &table.plan,
            chunk,
            &sql::select_list(&table.schema, &table.mapping),
            self.work.options.filter.as_deref(),
        );
        let work = Arc::clone(&self.work);
        let session = self.connected().await?;
        session.join_snapshot(&work.snapshot).await?;
        for relation in table.plan.relations_of(chunk) {
            session
                .lock_nowait(relation, leaf_kind(table.schema.kind))
                .await?;
        }
        session.check_locked(table.plan.relations_of(chunk)).await?;
        session.check_unchanged().await?;
        let reading = read::Reading {
            oversize: &work.oversize,
            oversize_bytes: OVERSIZE_BATCHES * work.options.batch_bytes,
            counters: &table.counters,
            tried,
            throttle: &work.pacer.throttle,
            feed,
        };
        let summary = reading.run(session, &select, decoder, gathered).await?;
        gathered.read_texts(session, &table.schema.columns).await?;
        step(CrashPoint::ReadCommit, session.commit()).await?;
        Ok(summary)
    }

    async fn connected(&mut self) -> Result<&Session> {
        let purpose = format!("pgsluice {} worker {}", self.work.run_id, self.number);
        let session = match self.session.take() {
            Some(session) => session,
            None => self.work.source.connect(&purpose).await?,
        };
        Ok(self.session.insert(session))
    }
}

/// The condition of a chunk's rows for people, but for the filter, which all have.
fn shown_condition(relation: &PlannedRelation, range: &Range) -> String {
    match sql::conditions(relation, range, None).as_slice() {
        [one] => one.clone(),
        several => sql::where_clause(several)
            .trim_start_matches(" WHERE ")
            .to_owned(),
    }
}

fn new_decoder(table: &TableWork, chunk: &Chunk, options: &ExportOptions) -> CopyDecoder {
    let limits = crate::copy::BatchLimits {
        bytes: options.batch_bytes,
        rows: options.batch_rows,
    };
    let decoder = CopyDecoder::new(&table.mapping, limits);
    let relation = table.plan.relation_of(chunk);
    // Only a key of one column names a row by itself.
    let primary = match table.schema.primary_key.as_slice() {
        [key] => Some(key),
        _ => None,
    };
    let planned = relation.key.as_ref().and_then(|key| key.single());
    let key = planned
        .or(primary.map(String::as_str))
        .filter(|_| options.show_row_key);
    let column = key.and_then(|key| table.schema.columns.iter().position(|c| c.name == key));
    decoder.with_row_key(column, &table.mapping)
}

/// The leaves of a partitioned table are tables.
fn leaf_kind(kind: RelationKind) -> RelationKind {
    match kind {
        RelationKind::Partitioned => RelationKind::Table,
        other => other,
    }
}

/// The outcome of both stages. A second stage that failed explains why the first could not go
/// on; one that was merely cut short has nothing to say.
fn both(
    read: Result<CopySummary>,
    written: Result<write::Written>,
) -> Result<(CopySummary, Vec<ObjectEntry>)> {
    let written = written?;
    let summary = read?;
    let objects = match written {
        write::Written::Objects(objects) => objects,
        write::Written::Nothing => Vec::new(),
        write::Written::Aborted => {
            let message = "the object was abandoned though its rows were all read";
            return Err(Error::new(ErrorKind::Internal, message));
        }
    };
    let encoded: u64 = objects.iter().map(|object| object.rows).sum();
    if encoded != summary.rows {
        let message = format!("{} rows were received and {encoded} encoded", summary.rows);
        return Err(Error::new(ErrorKind::Internal, message));
    }
    Ok((summary, objects))
}

fn cancelled() -> Error {
    Error::new(ErrorKind::Cancelled, "the run was asked to stop")
}

/// An error and its causes on one line, for logs, reports and the manifest.
pub(crate) fn one_line(error: &Error) -> String {
    let mut line = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        line.push_str(": ");
        line.push_str(&error.to_string());
        cause = error.source();
    }
    line
}
