//! Counters that a verification moves while it works, for whoever draws them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The shared counters of one verification. Cheap to poll.
#[derive(Debug, Default)]
pub struct VerifyProgress {
    datasets_total: AtomicU64,
    datasets_done: AtomicU64,
    chunks_total: AtomicU64,
    chunks_done: AtomicU64,
    bytes_total: AtomicU64,
    bytes_done: AtomicU64,
    source_total: AtomicU64,
    source_done: AtomicU64,
    findings: AtomicU64,
}

/// One reading of the counters. Totals grow as datasets are opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct VerifyCounts {
    /// Datasets to verify.
    pub datasets_total: u64,
    /// Datasets verified.
    pub datasets_done: u64,
    /// Committed chunks of the datasets opened so far.
    pub chunks_total: u64,
    /// Chunks verified.
    pub chunks_done: u64,
    /// Bytes of Parquet in them.
    pub bytes_total: u64,
    /// Bytes read, or passed over.
    pub bytes_done: u64,
    /// Queries to the source.
    pub source_total: u64,
    /// Queries it has answered.
    pub source_done: u64,
    /// Findings so far.
    pub findings: u64,
}

impl VerifyProgress {
    /// Counters for a new verification, shared with its display.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// One reading.
    #[must_use]
    pub fn read(&self) -> VerifyCounts {
        VerifyCounts {
            datasets_total: self.datasets_total.load(Relaxed),
            datasets_done: self.datasets_done.load(Relaxed),
            chunks_total: self.chunks_total.load(Relaxed),
            chunks_done: self.chunks_done.load(Relaxed),
            bytes_total: self.bytes_total.load(Relaxed),
            bytes_done: self.bytes_done.load(Relaxed),
            source_total: self.source_total.load(Relaxed),
            source_done: self.source_done.load(Relaxed),
            findings: self.findings.load(Relaxed),
        }
    }

    pub(super) fn found_datasets(&self, datasets: u64) {
        self.datasets_total.store(datasets, Relaxed);
    }

    pub(super) fn opened(&self, chunks: u64, bytes: u64) {
        self.chunks_total.fetch_add(chunks, Relaxed);
        self.bytes_total.fetch_add(bytes, Relaxed);
    }

    pub(super) fn read_bytes(&self, bytes: u64) {
        self.bytes_done.fetch_add(bytes, Relaxed);
    }

    pub(super) fn chunk_done(&self, findings: usize) {
        self.chunks_done.fetch_add(1, Relaxed);
        self.found(findings);
    }

    pub(super) fn found(&self, findings: usize) {
        self.findings.fetch_add(findings as u64, Relaxed);
    }

    pub(super) fn dataset_done(&self) {
        self.datasets_done.fetch_add(1, Relaxed);
    }

    pub(super) fn asks_source(&self, queries: u64) {
        self.source_total.fetch_add(queries, Relaxed);
    }

    pub(super) fn source_answered(&self) {
        self.source_done.fetch_add(1, Relaxed);
    }
}
