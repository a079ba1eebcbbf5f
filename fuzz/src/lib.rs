//! What the fuzz targets share: tables, types and values made from a fuzzer's bytes.

mod source;
mod types;
mod wire;

pub use source::Source;
pub use types::{columns, options};
pub use wire::value;

use pgsluice::codec::{
    BatchLimits, COPY_HEADER, COPY_TRAILER, CopyDecoder, CopyEncoder, CopyError, CopySummary,
    Exception, TableMapping, WireDigest,
};

/// One row as binary COPY has it.
pub fn push_row(stream: &mut Vec<u8>, fields: &[Option<Vec<u8>>]) {
    stream.extend_from_slice(&(fields.len() as i16).to_be_bytes());
    for field in fields {
        match field {
            Some(value) => {
                stream.extend_from_slice(&(value.len() as i32).to_be_bytes());
                stream.extend_from_slice(value);
            }
            None => stream.extend_from_slice(&(-1_i32).to_be_bytes()),
        }
    }
}

/// A stream of these rows.
pub fn stream(rows: &[Vec<Option<Vec<u8>>>]) -> Vec<u8> {
    let mut stream = COPY_HEADER.to_vec();
    for row in rows {
        push_row(&mut stream, row);
    }
    stream.extend_from_slice(&COPY_TRAILER);
    stream
}

/// Decodes a stream that comes in pieces of `cut` bytes, encodes every batch again, and fails
/// unless the digest is the same. Returns what was decoded.
///
/// # Errors
///
/// The stream is refused. What decodes must encode: that is never an error, but a panic.
pub fn decode_and_encode(
    mapping: &TableMapping,
    limits: BatchLimits,
    stream: &[u8],
    cut: usize,
) -> Result<CopySummary, CopyError> {
    let mut decoder = CopyDecoder::new(mapping, limits).with_row_key(Some(0), mapping);
    let mut encoder = CopyEncoder::new(mapping);
    let mut encoded = Encoded::default();
    for piece in stream.chunks(cut.max(1)) {
        decoder.push(piece)?;
        while decoder.is_batch_ready() {
            encoded.take(&mut decoder, &mut encoder)?;
        }
    }
    while encoded.take(&mut decoder, &mut encoder)? {}
    let summary = decoder.finish()?;
    assert_eq!(encoded.rows, summary.rows, "rows were lost");
    assert_eq!(encoded.digest, summary.digest, "other bytes came back");
    Ok(summary)
}

#[derive(Default)]
struct Encoded {
    rows: u64,
    digest: WireDigest,
    /// Exceptions of batches that were not taken yet.
    exceptions: Vec<Exception>,
}

impl Encoded {
    /// Takes a batch and encodes it; `false` when there is none.
    fn take(
        &mut self,
        decoder: &mut CopyDecoder,
        encoder: &mut CopyEncoder,
    ) -> Result<bool, CopyError> {
        let Some(batch) = decoder.take_batch()? else {
            return Ok(false);
        };
        self.exceptions.extend(decoder.take_exceptions());
        let end = self.rows + batch.num_rows() as u64;
        let (mut here, later): (Vec<_>, Vec<_>) = std::mem::take(&mut self.exceptions)
            .into_iter()
            .partition(|one| one.row < end);
        self.exceptions = later;
        for one in &mut here {
            one.row -= self.rows;
        }
        here.sort_by_key(|one| (one.row, one.column));
        let digest = &mut self.digest;
        let encoded = encoder.encode(&batch, &here, |rows, ends| {
            digest.add_rows(rows, ends);
        });
        encoded.expect("what was decoded can be encoded");
        self.rows = end;
        Ok(true)
    }
}
