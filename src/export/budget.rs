//! The memory formula: what a run may hold at most, term by term.
//!
//! Every term is a limit that some part keeps; none is a measurement. A row that is larger than a
//! batch is held whole, once more as a batch: at most one such row at a time in the whole run.

use serde::Serialize;

use crate::export::worker::exceptions::MAX_EXCEPTION_BYTES;
use crate::options::{ExportOptions, OnUnrepresentable};
use crate::store::PARTS_IN_FLIGHT;

/// Code, runtime, TLS, connections, statistics: measured, rounded up.
const BASE_BYTES: u64 = 32 << 20;
/// Raw rows and decoder state of one worker, beside its batches.
const DECODER_BYTES: u64 = 1 << 20;
/// Batches of one worker that exist at once: under construction, full, waiting, being encoded.
const BATCHES: u64 = 4;
/// A decoded batch against its COPY bytes: 16-byte decimals and 36-byte uuids outgrow them.
const DECODED_PER_RAW: u64 = 2;

/// The most memory a run would hold, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct MemoryCeiling {
    /// Fixed: code, runtime, connections, plan.
    pub base: u64,
    /// Of each worker: decoder, batches, the open row group, parts, and `exceptions`.
    pub per_worker: u64,
    /// Of each worker, in `per_worker`: the exceptions of its chunk, where they are kept.
    pub exceptions: u64,
    /// Workers.
    pub workers: u64,
    /// `base + workers * per_worker`, for rows that fit a batch.
    pub total: u64,
}

impl MemoryCeiling {
    /// The ceiling of a run with these options.
    #[must_use]
    pub fn of(options: &ExportOptions) -> Self {
        let batch = options.batch_bytes as u64;
        let decoded = BATCHES * DECODED_PER_RAW * batch;
        // The encoder closes a row group when it holds twice the encoded bytes it is cut by.
        let row_group = options.row_group_bytes as u64 * 2;
        let parts = (PARTS_IN_FLIGHT as u64 + 1) * options.part_bytes as u64;
        let exceptions = match options.on_unrepresentable {
            OnUnrepresentable::Exceptions => MAX_EXCEPTION_BYTES as u64,
            OnUnrepresentable::Error | OnUnrepresentable::Text => 0,
        };
        let per_worker = DECODER_BYTES + decoded + row_group + parts + exceptions;
        let workers = options.workers.get() as u64;
        Self {
            base: BASE_BYTES,
            per_worker,
            exceptions,
            workers,
            total: BASE_BYTES + workers * per_worker,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_default_workers_stay_under_256_mib() {
        let ceiling = MemoryCeiling::of(&ExportOptions::new(Vec::new()));
        assert_eq!(ceiling.workers, 2);
        assert!(ceiling.total < 256 << 20, "{ceiling:?}");
    }

    #[test]
    fn exceptions_count_for_each_worker_where_they_are_kept() {
        let mut options = ExportOptions::new(Vec::new());
        let without = MemoryCeiling::of(&options);
        options.on_unrepresentable = OnUnrepresentable::Exceptions;
        let with = MemoryCeiling::of(&options);
        assert_eq!((without.exceptions, with.exceptions), (0, 64 << 20));
        assert_eq!(with.total - without.total, 2 * (64 << 20));
    }
}
