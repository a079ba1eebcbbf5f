//! The tries of one chunk: which failure is followed by another try, and when.
//!
//! Owns the loop and the counts that a failed try takes back. How a chunk is read is the
//! worker's, how long is waited `retry`'s.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Connection, Job, cancelled, one_line};
use crate::error::Result;
use crate::export::progress::TableCounters;
use crate::export::report::Retry;
use crate::export::retry::{kind_of, wait_after};
use crate::manifest::ChunkEntry;

impl Connection {
    /// Reads a chunk, again after each failure that may pass. `retries` gets the tries that
    /// failed before the last one.
    pub(super) async fn read_with_retries(
        &mut self,
        job: Job,
        retries: &mut Vec<Retry>,
    ) -> Result<ChunkEntry> {
        let work = Arc::clone(&self.work);
        let (table, chunk) = work.chunk(job);
        let patience = &work.pacer.patience;
        loop {
            let attempt = retries.len() as u32 + 1;
            let before = Tried::default();
            let error = match self.read_chunk(table, chunk, attempt, &before).await {
                Ok(entry) => {
                    patience.landed();
                    return Ok(entry);
                }
                Err(error) => error,
            };
            let may_pass = error.is_retryable() && attempt < work.options.chunk_attempts;
            if !(may_pass && patience.bears(&error)) {
                return Err(error);
            }
            before.take_back(&table.counters);
            let reason = one_line(&error);
            tracing::warn!(
                table = %table.schema.name, chunk = %chunk.id, attempt, error = reason,
                "chunk failed, trying again"
            );
            retries.push(Retry {
                chunk: chunk.id,
                attempt,
                kind: kind_of(&error),
                reason,
            });
            self.session = None;
            self.wait(attempt).await?;
        }
    }

    async fn wait(&self, attempt: u32) -> Result<()> {
        tokio::select! {
            () = tokio::time::sleep(wait_after(attempt, rand::random())) => Ok(()),
            () = self.work.pacer.stop.cancelled() => Err(cancelled()),
            () = self.abandon.cancelled() => Err(cancelled()),
            () = self.work.pacer.patience.spent.cancelled() => Err(cancelled()),
        }
    }
}

/// What one try of a chunk has counted so far, so that a failed try can be taken back.
#[derive(Debug, Default, Clone)]
pub(crate) struct Tried(Arc<TriedCounts>);

#[derive(Debug, Default)]
struct TriedCounts {
    rows: AtomicU64,
    copy_bytes: AtomicU64,
    object_bytes: AtomicU64,
}

impl Tried {
    pub(super) fn received(&self, counters: &TableCounters, rows: u64, copy_bytes: u64) {
        counters.received(rows, copy_bytes);
        self.0.rows.fetch_add(rows, Ordering::Relaxed);
        self.0.copy_bytes.fetch_add(copy_bytes, Ordering::Relaxed);
    }

    pub(super) fn encoded(&self, counters: &TableCounters, object_bytes: u64) {
        counters.encoded(object_bytes);
        self.0
            .object_bytes
            .fetch_add(object_bytes, Ordering::Relaxed);
    }

    pub(super) fn take_back(&self, counters: &TableCounters) {
        counters.retried(
            self.0.rows.load(Ordering::Relaxed),
            self.0.copy_bytes.load(Ordering::Relaxed),
            self.0.object_bytes.load(Ordering::Relaxed),
        );
    }
}
