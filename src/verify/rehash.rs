//! Rows encoded back into COPY tuples, and hashed as an export and a server hash them.
//!
//! Owns the seam to the encoder.

use arrow_array::RecordBatch;

use crate::copy::WireDigest;
use crate::error::Result;
use crate::mapping::TableMapping;

/// The hashes over a chunk's rows, encoded again.
pub(super) struct Rehash {
    digest: WireDigest,
    source: Option<RowHash>,
}

/// The order-independent hash that a server can make as well: the sum, over all rows, of the
/// first eight bytes of the SHA-256 of a row's COPY tuple, as a signed big-endian number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct RowHash(pub(super) i128);

impl Rehash {
    /// Hashes over rows of this mapping; `for_source` also makes the [`RowHash`].
    pub(super) fn new(_mapping: &TableMapping, _for_source: bool) -> Option<Self> {
        None
    }

    /// Takes in a batch whose first row is the chunk's row `first`.
    pub(super) fn take(&mut self, _batch: &RecordBatch, _first: u64) -> Result<()> {
        Ok(())
    }

    pub(super) fn digest(&self) -> WireDigest {
        self.digest
    }

    pub(super) fn source(&self) -> Option<RowHash> {
        self.source
    }
}
