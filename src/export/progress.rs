//! Counters that a run moves while it works, for whoever draws them.
//!
//! Owns no clock, no thread and no drawing: a display polls [`Progress::tables`]. Counters only
//! grow, but for a failed try, whose rows and bytes are taken back.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

/// What a run is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// Connecting, locking, taking the snapshot.
    Preparing,
    /// Reading statistics and manifests, cutting chunks.
    Planning,
    /// Reading, encoding, uploading.
    Exporting,
    /// Deleting orphans, writing the manifest.
    Finishing,
    /// Over, well or not.
    Done,
}

/// The shared counters of one run. Cheap to poll.
#[derive(Debug, Default)]
pub struct Progress {
    phase: AtomicU8,
    tables: Mutex<Vec<Arc<TableCounters>>>,
}

/// The counters of one table.
#[derive(Debug, Default)]
pub(crate) struct TableCounters {
    name: String,
    rows_estimated: AtomicU64,
    chunks_total: AtomicU64,
    chunks_skipped: AtomicU64,
    chunks_done: AtomicU64,
    rows: AtomicU64,
    copy_bytes: AtomicU64,
    object_bytes: AtomicU64,
    retries: AtomicU64,
}

/// One reading of a table's counters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableProgress {
    /// `schema.name`.
    pub name: String,
    /// Rows that the statistics promise for the chunks this run reads; a guess, 0 if unknown.
    pub rows_estimated: u64,
    /// Chunks in the plan.
    pub chunks_total: u64,
    /// Chunks that an earlier run had committed.
    pub chunks_skipped: u64,
    /// Chunks committed by this run.
    pub chunks_done: u64,
    /// Rows received by this run.
    pub rows: u64,
    /// COPY bytes received by this run.
    pub copy_bytes: u64,
    /// Parquet bytes encoded by this run.
    pub object_bytes: u64,
    /// Tries that failed and were made again.
    pub retries: u64,
}

impl Progress {
    /// Counters for a new run, shared with its display.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// What the run is doing.
    #[must_use]
    pub fn phase(&self) -> Phase {
        match self.phase.load(Relaxed) {
            0 => Phase::Preparing,
            1 => Phase::Planning,
            2 => Phase::Exporting,
            3 => Phase::Finishing,
            _ => Phase::Done,
        }
    }

    /// One reading of every table, in the order of the run.
    #[must_use]
    pub fn tables(&self) -> Vec<TableProgress> {
        let tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        tables.iter().map(|table| table.read()).collect()
    }

    pub(crate) fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Relaxed);
    }

    pub(crate) fn add_table(&self, name: String) -> Arc<TableCounters> {
        let table = Arc::new(TableCounters {
            name,
            ..TableCounters::default()
        });
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        tables.push(Arc::clone(&table));
        table
    }
}

impl TableCounters {
    pub(crate) fn plan(&self, chunks_total: u64, chunks_skipped: u64, rows_estimated: u64) {
        self.chunks_total.store(chunks_total, Relaxed);
        self.chunks_skipped.store(chunks_skipped, Relaxed);
        self.rows_estimated.store(rows_estimated, Relaxed);
    }

    pub(crate) fn received(&self, rows: u64, copy_bytes: u64) {
        self.rows.fetch_add(rows, Relaxed);
        self.copy_bytes.fetch_add(copy_bytes, Relaxed);
    }

    pub(crate) fn encoded(&self, object_bytes: u64) {
        self.object_bytes.fetch_add(object_bytes, Relaxed);
    }

    /// A try failed: what it had counted is taken back.
    pub(crate) fn retried(&self, rows: u64, copy_bytes: u64, object_bytes: u64) {
        self.rows.fetch_sub(rows, Relaxed);
        self.copy_bytes.fetch_sub(copy_bytes, Relaxed);
        self.object_bytes.fetch_sub(object_bytes, Relaxed);
        self.retries.fetch_add(1, Relaxed);
    }

    pub(crate) fn committed(&self, chunks: u64) {
        self.chunks_done.fetch_add(chunks, Relaxed);
    }

    fn read(&self) -> TableProgress {
        TableProgress {
            name: self.name.clone(),
            rows_estimated: self.rows_estimated.load(Relaxed),
            chunks_total: self.chunks_total.load(Relaxed),
            chunks_skipped: self.chunks_skipped.load(Relaxed),
            chunks_done: self.chunks_done.load(Relaxed),
            rows: self.rows.load(Relaxed),
            copy_bytes: self.copy_bytes.load(Relaxed),
            object_bytes: self.object_bytes.load(Relaxed),
            retries: self.retries.load(Relaxed),
        }
    }
}
