//! How one table fares while a run goes on: what of it is being read, and whether it failed.
//!
//! A table fails alone: its chunks are dropped and no further one begins, while other tables go
//! on. Who writes that into its log is decided here, so that no commit can follow.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::error::Error;
use crate::export::report::Retry;

/// One table of a run.
#[derive(Debug)]
pub(crate) struct TableRun {
    /// Chunks that this run has to read of it.
    chunks: usize,
    /// Those that were handed to the committer.
    landed: AtomicUsize,
    /// Those that workers hold right now.
    running: AtomicUsize,
    has_failed: AtomicBool,
    fault: Mutex<Option<Error>>,
    /// Failed tries of chunks that never landed.
    retries: Mutex<Vec<Retry>>,
    /// Its running chunks are to be dropped.
    pub(crate) abandon: CancellationToken,
}

impl TableRun {
    /// Nothing of it is read yet; `abandon` is the run's.
    pub(crate) fn new(chunks: usize, abandon: &CancellationToken) -> Self {
        Self {
            chunks,
            landed: AtomicUsize::new(0),
            running: AtomicUsize::new(0),
            has_failed: AtomicBool::new(false),
            fault: Mutex::new(None),
            retries: Mutex::default(),
            abandon: abandon.child_token(),
        }
    }

    /// A worker wants to read a chunk. Each call needs one of [`TableRun::leave`], also when the
    /// answer is `false`: the table has failed.
    #[must_use]
    pub(crate) fn enter(&self) -> bool {
        self.running.fetch_add(1, Ordering::SeqCst);
        !self.has_failed()
    }

    /// The worker is done with it, well or not. `true`: the table has failed and nobody reads it
    /// any more, so that its end can be recorded. That can be said more than once.
    #[must_use]
    pub(crate) fn leave(&self) -> bool {
        self.running.fetch_sub(1, Ordering::SeqCst) == 1 && self.has_failed()
    }

    /// A chunk was handed to the committer.
    pub(crate) fn land(&self) {
        self.landed.fetch_add(1, Ordering::SeqCst);
    }

    /// Whether all that this run has to read of it was handed to the committer.
    pub(crate) fn is_read(&self) -> bool {
        self.landed.load(Ordering::SeqCst) == self.chunks
    }

    /// It fails, for this reason unless there was one before.
    pub(crate) fn fail(&self, error: Error) {
        self.lock().get_or_insert(error);
        self.has_failed.store(true, Ordering::SeqCst);
        self.abandon.cancel();
    }

    /// Keeps the failed tries of a chunk that is given up.
    pub(crate) fn retried(&self, retries: Vec<Retry>) {
        let mut kept = self.retries.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend(retries);
    }

    /// Those, once.
    pub(crate) fn take_retries(&self) -> Vec<Retry> {
        let mut kept = self.retries.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut kept)
    }

    /// Whether it failed.
    pub(crate) fn has_failed(&self) -> bool {
        self.has_failed.load(Ordering::SeqCst)
    }

    /// Why it failed, on one line.
    pub(crate) fn told(&self) -> String {
        self.lock()
            .as_ref()
            .map(crate::export::worker::one_line)
            .unwrap_or_default()
    }

    /// Why it failed, once.
    pub(crate) fn take_fault(&self) -> Option<Error> {
        self.lock().take()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Error>> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn error(message: &str) -> Error {
        Error::new(ErrorKind::Data, message)
    }

    #[test]
    fn the_last_to_leave_a_failed_table_records_its_end() {
        let run = CancellationToken::new();
        let table = TableRun::new(3, &run);
        assert!(table.enter() && table.enter());
        table.fail(error("first"));
        table.fail(error("second"));
        assert!(table.abandon.is_cancelled() && !run.is_cancelled());
        assert!(!table.leave(), "another chunk may still be committed");
        assert!(!table.enter(), "no further chunk begins");
        assert!(!table.leave());
        assert!(table.leave());
        assert_eq!(table.told(), "first");
        assert_eq!(table.take_fault().unwrap().to_string(), "first");
        assert!(table.has_failed());
    }

    #[test]
    fn a_table_is_read_when_all_its_chunks_have_landed() {
        let table = TableRun::new(1, &CancellationToken::new());
        assert!(table.enter() && !table.is_read());
        table.land();
        assert!(!table.leave() && table.is_read());
    }
}
