//! Rows encoded back into COPY tuples, and hashed as an export and a server hash them.
//!
//! Owns the two hashes and the rows' way to the encoder. How a value is encoded is `copy`'s.

use arrow_array::RecordBatch;
use sha2::{Digest, Sha256};

use super::exceptions::HeldExceptions;
use crate::copy::{CopyEncoder, WireDigest};
use crate::error::Result;
use crate::mapping::TableMapping;

/// The hashes over a chunk's rows, encoded again.
pub(super) struct Rehash {
    encoder: CopyEncoder,
    digest: WireDigest,
    source: Option<RowHash>,
    /// Values kept beside the data, by their row in the chunk; those of rows to come.
    exceptions: HeldExceptions,
}

/// The order-independent hash that a server can make as well: the sum, over all rows, of the
/// first eight bytes of the SHA-256 of a row's COPY tuple, as a signed big-endian number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct RowHash(pub(super) i128);

impl RowHash {
    /// Adds one row's bytes, field count included.
    fn add_row(&mut self, row: &[u8]) {
        let digest = Sha256::digest(row);
        let (first, _) = digest.split_first_chunk::<8>().unwrap_or((&[0; 8], &[]));
        self.0 += i128::from(i64::from_be_bytes(*first));
    }
}

impl Rehash {
    /// Hashes over rows of this mapping; `for_source` also makes the [`RowHash`]. `exceptions` are
    /// those of the chunk, their rows counted from its start, in order.
    pub(super) fn new(
        mapping: &TableMapping,
        for_source: bool,
        exceptions: HeldExceptions,
    ) -> Self {
        Self {
            encoder: CopyEncoder::new(mapping),
            digest: WireDigest::default(),
            source: for_source.then(RowHash::default),
            exceptions,
        }
    }

    /// Takes in a batch whose first row is the chunk's row `first`.
    ///
    /// # Errors
    ///
    /// A value that has no COPY form: decoding never makes it.
    pub(super) fn take(&mut self, batch: &RecordBatch, first: u64) -> Result<()> {
        let until = first + batch.num_rows() as u64;
        let here = self.exceptions.take(first, until);
        let (digest, source) = (&mut self.digest, &mut self.source);
        self.encoder.encode(batch, &here, |rows, ends| {
            let mut start = 0;
            for end in ends {
                let row = &rows[start..*end as usize];
                digest.add_row(row);
                if let Some(source) = source {
                    source.add_row(row);
                }
                start = *end as usize;
            }
        })?;
        Ok(())
    }

    /// Whether exceptions are left for which there was no row.
    pub(super) fn has_spare_exceptions(&self) -> bool {
        self.exceptions.has_spare()
    }

    pub(super) fn digest(&self) -> WireDigest {
        self.digest
    }

    pub(super) fn source(&self) -> Option<RowHash> {
        self.source
    }
}
