//! Counters that a run moves while it works, for whoever draws them.
//!
//! Owns no clock, no thread and no drawing: a display polls [`Progress::tables`]. Counters only
//! grow, but for a failed try, whose rows and bytes are taken back.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::store::Health;

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
    slowed: Arc<Slowed>,
    store: Mutex<Option<Arc<Health>>>,
}

/// What keeps a run from reading right now, and for how long each guard did so far.
#[derive(Debug, Default)]
pub(crate) struct Slowed(Mutex<SlowedState>);

#[derive(Debug, Default)]
struct SlowedState {
    now: Option<(&'static str, String, Instant)>,
    past: BTreeMap<&'static str, Duration>,
}

impl Slowed {
    /// A guard holds the run; another one stops to.
    pub(crate) fn begin(&self, by: &'static str, told: &str) {
        let mut state = self.lock();
        match &mut state.now {
            Some((holding, said, _)) if *holding == by => told.clone_into(said),
            _ => {
                state.settle();
                state.now = Some((by, told.to_owned(), Instant::now()));
            }
        }
    }

    /// No guard holds the run any more.
    pub(crate) fn end(&self) {
        self.lock().settle();
    }

    /// How long each guard held the run, until now.
    pub(crate) fn times(&self) -> BTreeMap<&'static str, Duration> {
        let state = self.lock();
        let mut times = state.past.clone();
        if let Some((by, _, since)) = &state.now {
            *times.entry(by).or_default() += since.elapsed();
        }
        times
    }

    fn told(&self) -> Option<String> {
        self.lock().now.as_ref().map(|(_, told, _)| told.clone())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, SlowedState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SlowedState {
    fn settle(&mut self) {
        if let Some((by, _, since)) = self.now.take() {
            *self.past.entry(by).or_default() += since.elapsed();
        }
    }
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

    /// Why nothing is read right now, in one sentence; `None` while nothing holds the run.
    #[must_use]
    pub fn waits_for(&self) -> Option<String> {
        let store = || self.store.lock().unwrap_or_else(PoisonError::into_inner);
        self.slowed
            .told()
            .or_else(|| store().as_ref().and_then(|health| health.told()))
    }

    /// How long guards have held the run so far, all together.
    #[must_use]
    pub fn waited(&self) -> Duration {
        self.slowed.times().values().sum()
    }

    /// The store whose failures keep the run waiting.
    pub(crate) fn watch_store(&self, health: &Arc<Health>) {
        let mut store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        *store = Some(Arc::clone(health));
    }

    pub(crate) fn slowed(&self) -> Arc<Slowed> {
        Arc::clone(&self.slowed)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_guard_is_counted_for_itself() {
        let progress = Progress::new();
        let slowed = progress.slowed();
        assert_eq!(progress.waits_for(), None);
        slowed.begin("a", "a is high");
        slowed.begin("a", "a is higher");
        assert_eq!(progress.waits_for().as_deref(), Some("a is higher"));
        slowed.begin("b", "b is high");
        slowed.end();
        assert_eq!(progress.waits_for(), None);
        let times = slowed.times();
        assert_eq!(times.keys().copied().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(progress.waited(), times.values().sum());
    }
}
