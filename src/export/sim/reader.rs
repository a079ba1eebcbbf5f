//! A worker's reader without PostgreSQL: chunks come as objects that are ready, and land by the
//! same steps as real ones.

use std::sync::Arc;
use std::time::Duration;

use chrono::DateTime;
use tokio_util::sync::CancellationToken;

use super::process::cancelled;
use super::seat::Seat;
use super::source::{Object, Table};
use crate::chunk::Chunk;
use crate::error::{Error, ErrorKind, Result};
use crate::export::report::Retry;
use crate::export::worker::landing::{Encoded, land};
use crate::export::worker::{Job, ReadChunk, TableWork, Work, one_line};
use crate::manifest::{ChunkEntry, ObjectEntry};
use crate::store::layout::object_key;
use crate::store::testing::Rng;

/// As long as a real worker waits for an abandoned upload.
const ABORT_GRACE: Duration = Duration::from_secs(5);

pub(super) struct SimReader {
    work: Arc<Work>,
    table: Arc<Table>,
    seat: Arc<Seat>,
    is_frail: bool,
    rng: Rng,
}

impl ReadChunk for SimReader {
    async fn read(
        &mut self,
        job: Job,
        abandon: &CancellationToken,
        retries: &mut Vec<Retry>,
    ) -> Result<ChunkEntry> {
        let work = Arc::clone(&self.work);
        let (table, chunk) = work.chunk(job);
        loop {
            let attempt = retries.len() as u32 + 1;
            match self.read_once(table, chunk, attempt, abandon).await {
                Ok(entry) => return Ok(entry),
                Err(error) if error.is_retryable() && attempt < work.options.chunk_attempts => {
                    retries.push(Retry {
                        chunk: chunk.id,
                        attempt,
                        kind: error.kind().to_string(),
                        reason: one_line(&error),
                    });
                    let wait = self.rng.millis(10, 1_000);
                    tokio::select! {
                        biased;
                        () = work.pacer.stop.cancelled() => return Err(cancelled()),
                        () = abandon.cancelled() => return Err(cancelled()),
                        () = tokio::time::sleep(wait) => {}
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }
}

impl SimReader {
    pub(super) fn new(
        work: Arc<Work>,
        table: Arc<Table>,
        seat: Arc<Seat>,
        is_frail: bool,
        rng: Rng,
    ) -> Self {
        Self {
            work,
            table,
            seat,
            is_frail,
            rng,
        }
    }

    async fn read_once(
        &mut self,
        table: &TableWork,
        chunk: &Chunk,
        attempt: u32,
        abandon: &CancellationToken,
    ) -> Result<ChunkEntry> {
        table.fence.begin().await?;
        self.read_rows(abandon).await?;
        let landing = self.land_all(table, chunk);
        let late = async {
            abandon.cancelled().await;
            tokio::time::sleep(ABORT_GRACE).await;
        };
        let objects = tokio::select! {
            biased;
            landed = landing => landed?,
            () = late => {
                self.seat.observer.abandoned(self.seat.process);
                return Err(cancelled());
            }
        };
        Ok(entry(table, chunk, objects, attempt))
    }

    /// The source takes its time, and may fail.
    async fn read_rows(&mut self, abandon: &CancellationToken) -> Result<()> {
        let wait = match self.rng.below(3) {
            0 => Duration::ZERO,
            1 => self.rng.millis(1, 50),
            _ => self.rng.millis(1, 500),
        };
        if !wait.is_zero() {
            tokio::select! {
                biased;
                () = abandon.cancelled() => return Err(cancelled()),
                () = tokio::time::sleep(wait) => {}
            }
        }
        match self.rng.below(1000) {
            0..50 if self.is_frail => Err(source_error().with_retryable(true)),
            50..70 if self.is_frail => Err(source_error()),
            _ => Ok(()),
        }
    }

    async fn land_all(&self, table: &TableWork, chunk: &Chunk) -> Result<Vec<ObjectEntry>> {
        let relation = table.plan.relation_of(chunk);
        let snapshot = &self.work.snapshot.id;
        let objects = self.table.objects(relation, &chunk.range, snapshot);
        let mut landed = Vec::new();
        for (number, object) in (1..).zip(objects) {
            let key = object_key(chunk, table.epoch, number);
            landed.push(self.land_one(table, &key, &object).await?);
        }
        Ok(landed)
    }

    async fn land_one(&self, table: &TableWork, key: &str, object: &Object) -> Result<ObjectEntry> {
        let mut upload = table.root.upload(key, self.work.options.part_bytes)?;
        upload.write(object.bytes.clone()).await?;
        let encoded = Encoded {
            bytes: object.bytes.len() as u64,
            rows: object.rows,
            sha256: object.sha256.clone(),
        };
        land(&table.root, &table.fence, key, upload, encoded).await
    }
}

fn source_error() -> Error {
    Error::new(ErrorKind::Source, "the server went away")
}

fn entry(table: &TableWork, chunk: &Chunk, objects: Vec<ObjectEntry>, attempts: u32) -> ChunkEntry {
    let rows = objects.iter().map(|object| object.rows).sum();
    ChunkEntry {
        chunk: chunk.id,
        range: chunk.range.clone(),
        relation: table.plan.relation_of(chunk).name.clone(),
        relation_index: chunk.relation,
        predicate: String::new(),
        snapshot: table.snapshot_index,
        lsn: None,
        objects,
        rows,
        copy_bytes: rows,
        digest: "0".repeat(32),
        null_counts: vec![0],
        exceptions: None,
        restated: 0,
        started_at: DateTime::UNIX_EPOCH,
        wall_ms: 1,
        attempts,
    }
}
