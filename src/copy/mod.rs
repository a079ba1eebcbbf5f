//! Binary COPY, decoded: bytes cut anywhere in, record batches out, every row hashed; and encoded
//! again, to the same bytes.
//!
//! Owns the decoder as its users see it, and where batches are cut. It holds no socket and does
//! no I/O. Rows are gathered raw until a block fills the cache, then each block is decoded a
//! column at a time (`decode`), so that a column's pass finds its bytes in the cache.

mod decode;
mod digest;
mod encode;
mod error;
mod form;
mod frame;
mod half_float;
mod range_flags;
#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) mod wire_rows;
#[cfg(test)]
pub(crate) mod wire_values;
mod wkb;

use std::collections::VecDeque;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int16Type, Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::{DataType, SchemaRef};

use self::decode::{ColumnDecoder, Fields, Notes, Restated, column_decoder};
use self::error::{Fault, FieldError};
use self::frame::{Block, Gather, Header, Scanned};
use crate::mapping::{Codec, TableMapping};
use crate::options::{DEFAULT_BATCH_BYTES, DEFAULT_BATCH_ROWS};

pub use self::digest::{ParseDigestError, WireDigest};
pub use self::encode::CopyEncoder;
pub use self::error::{CopyError, CopyErrorKind};
pub use self::frame::{COPY_HEADER, COPY_TRAILER};

/// Raw bytes that are decoded at once: few enough for the L2 cache, which each column's pass reads.
const BLOCK_BYTES: usize = 128 << 10;
/// More raw bytes than this never make one batch (but for one larger row): every column's values
/// then stay below the 2 GiB that Arrow's offsets reach, even where text is wider than the wire.
const MAX_BATCH_BYTES: usize = 256 << 20;

/// What makes a batch full: whichever is reached first. A batch holds at least one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchLimits {
    /// Raw COPY bytes. Default [`DEFAULT_BATCH_BYTES`]; 256 MiB at most.
    pub bytes: usize,
    /// Rows. Default [`DEFAULT_BATCH_ROWS`].
    pub rows: usize,
}

impl Default for BatchLimits {
    fn default() -> Self {
        Self {
            bytes: DEFAULT_BATCH_BYTES,
            rows: DEFAULT_BATCH_ROWS,
        }
    }
}

/// What a whole stream held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopySummary {
    /// Rows.
    pub rows: u64,
    /// Bytes of COPY data, header and trailer included.
    pub bytes: u64,
    /// The hash over all rows, restated values as an encoder writes them.
    pub digest: WireDigest,
    /// NULLs of each column, exceptions among them.
    pub null_counts: Vec<u64>,
    /// Values that became NULL, and an exception each.
    pub exceptions: u64,
    /// Values of which the wire said more than the value: an array that has room for NULLs and
    /// none, a numeric of another display scale under `--map`. The value is exact; an encoder
    /// writes it in its plain form.
    pub restated: u64,
}

/// A value that its column cannot hold. The column has NULL in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exception {
    /// Its row, from 0: of the chunk when decoded, of the batch when encoded.
    pub row: u64,
    /// Its column, an index into the mapping.
    pub column: usize,
    /// The value's bytes on the wire, without the length word.
    pub wire: Box<[u8]>,
}

/// Decodes one binary COPY stream.
///
/// Where batches are cut depends on the rows and the limits alone, never on how the bytes
/// arrive. After an error the decoder stays failed: [`CopyDecoder::finish`] then never succeeds.
///
/// # Memory usage
///
/// One block of raw bytes (128 KiB, or one larger row) plus the arrays of the batch under
/// construction, which are about as large as its raw bytes. Batches that are ready and not
/// taken are held as well; a caller that takes them after each push holds one.
pub struct CopyDecoder {
    schema: SchemaRef,
    columns: Vec<Box<dyn ColumnDecoder>>,
    /// The column whose value names a row in errors.
    key_column: Option<usize>,
    limits: BatchLimits,
    header: Header,
    gather: Gather,
    ready: VecDeque<RecordBatch>,
    /// Rows and raw bytes already decoded into the batch under construction.
    batch_rows: usize,
    batch_bytes: usize,
    /// Rows of the batches before it.
    rows_before: u64,
    bytes: u64,
    digest: WireDigest,
    null_counts: Vec<u64>,
    /// Whether sound values that a column cannot hold become exceptions, or an error.
    keeps_exceptions: bool,
    /// Exceptions not yet taken.
    exceptions: Vec<Exception>,
    exceptions_total: u64,
    restated_total: u64,
    /// What the current column of the current block gave, kept for its memory.
    notes: Notes,
    phase: Phase,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Rows,
    Ended,
    Failed,
}

impl CopyDecoder {
    /// A decoder for rows of these columns.
    #[must_use]
    pub fn new(mapping: &TableMapping, limits: BatchLimits) -> Self {
        let limits = BatchLimits {
            bytes: limits.bytes.clamp(1, MAX_BATCH_BYTES),
            rows: limits.rows.max(1),
        };
        let columns: Vec<_> = mapping
            .columns
            .iter()
            .map(|column| column_decoder(&column.codec))
            .collect();
        Self {
            schema: SchemaRef::clone(&mapping.schema),
            key_column: None,
            limits,
            header: Header::default(),
            gather: Gather::new(columns.len(), BLOCK_BYTES.min(limits.bytes)),
            ready: VecDeque::new(),
            batch_rows: 0,
            batch_bytes: 0,
            rows_before: 0,
            bytes: 0,
            digest: WireDigest::default(),
            null_counts: vec![0; columns.len()],
            columns,
            keeps_exceptions: mapping.exceptions,
            exceptions: Vec::new(),
            exceptions_total: 0,
            restated_total: 0,
            notes: Notes::default(),
            phase: Phase::Rows,
        }
    }

    /// Lets errors name the row by the value of this column (an index into the mapping). Only an
    /// integer column does; of any other nothing is shown.
    #[must_use]
    pub fn with_row_key(mut self, key_column: Option<usize>, mapping: &TableMapping) -> Self {
        self.key_column = key_column.filter(|index| {
            let codec = mapping.columns.get(*index).map(|column| &column.codec);
            matches!(codec, Some(Codec::Int16 | Codec::Int32 | Codec::Int64))
        });
        self
    }

    /// Takes bytes, cut anywhere.
    ///
    /// # Errors
    ///
    /// When they are not what PostgreSQL sends for these columns, or hold a value that a column's
    /// type cannot hold. Every row before it has been decoded; nothing after it ever will be.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), CopyError> {
        self.guarded(|decoder| decoder.push_bytes(bytes))
    }

    /// Whether a full batch can be taken.
    #[must_use]
    pub fn is_batch_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Takes a full batch, or else whatever whole rows there are; `None` when there are none.
    ///
    /// # Errors
    ///
    /// As [`CopyDecoder::push`].
    pub fn take_batch(&mut self) -> Result<Option<RecordBatch>, CopyError> {
        if let Some(batch) = self.ready.pop_front() {
            return Ok(Some(batch));
        }
        self.guarded(|decoder| {
            decoder.decode_block()?;
            decoder.finish_batch()?;
            Ok(decoder.ready.pop_front())
        })
    }

    /// Takes the exceptions found so far, in order of their blocks. Their rows count from the start
    /// of the stream. They are held until taken: take them with each batch.
    pub fn take_exceptions(&mut self) -> Vec<Exception> {
        std::mem::take(&mut self.exceptions)
    }

    /// Ends the stream, after the last batch was taken.
    ///
    /// # Errors
    ///
    /// [`CopyErrorKind::Truncated`] without the trailer: rows may be missing.
    /// [`CopyErrorKind::Misuse`] when batches were not taken, or after an error.
    pub fn finish(&mut self) -> Result<CopySummary, CopyError> {
        let reason = match self.phase {
            Phase::Failed => "the stream goes on after an error",
            Phase::Rows => {
                let reason = "the stream ended before its trailer";
                return Err(CopyError::new(CopyErrorKind::Truncated, reason));
            }
            Phase::Ended if self.ready.is_empty() && self.rows_pending() == 0 => {
                return Ok(CopySummary {
                    rows: self.rows_before,
                    bytes: self.bytes,
                    digest: self.digest,
                    null_counts: self.null_counts.clone(),
                    exceptions: self.exceptions_total,
                    restated: self.restated_total,
                });
            }
            Phase::Ended => "the stream was finished before its batches were taken",
        };
        Err(CopyError::new(CopyErrorKind::Misuse, reason))
    }

    fn guarded<T>(
        &mut self,
        run: impl FnOnce(&mut Self) -> Result<T, CopyError>,
    ) -> Result<T, CopyError> {
        if self.phase == Phase::Failed {
            let reason = "the stream goes on after an error";
            return Err(CopyError::new(CopyErrorKind::Misuse, reason));
        }
        let result = run(self);
        if result.is_err() {
            self.phase = Phase::Failed;
        }
        result
    }

    fn rows_pending(&self) -> usize {
        self.batch_rows + self.gather.whole().0
    }

    fn push_bytes(&mut self, bytes: &[u8]) -> Result<(), CopyError> {
        self.bytes += bytes.len() as u64;
        let mut rest = bytes;
        if !self.header.is_done() {
            rest = self.header.consume(rest)?;
        }
        if self.phase == Phase::Ended && !rest.is_empty() {
            return Err(CopyError::malformed("bytes follow the trailer"));
        }
        while !rest.is_empty() {
            let taken = self.gather.append(rest);
            rest = &rest[taken..];
            self.scan(!rest.is_empty())?;
        }
        Ok(())
    }

    /// Goes through what has been gathered, decoding blocks as they fill.
    fn scan(&mut self, more_follows: bool) -> Result<(), CopyError> {
        loop {
            let row_limit = self.limits.rows - self.batch_rows;
            let scanned = self.gather.scan(row_limit, &mut self.digest);
            match scanned.map_err(|error| self.after_block_start(error))? {
                Scanned::NeedMore => return Ok(()),
                Scanned::Full => self.decode_block()?,
                Scanned::End if more_follows => {
                    return Err(CopyError::malformed("bytes follow the trailer"));
                }
                Scanned::End => {
                    self.phase = Phase::Ended;
                    return Ok(());
                }
            }
        }
    }

    /// Decodes the whole rows gathered, and ends the batch when that fills it.
    fn decode_block(&mut self) -> Result<(), CopyError> {
        let arrived = self.gather.arrived();
        let (rows, bytes) = self.gather.whole();
        if rows == 0 {
            return Ok(());
        }
        let block = self.gather.block();
        let count = self.columns.len();
        let rows_before = self.rows_before + self.batch_rows as u64;
        for (index, column) in self.columns.iter_mut().enumerate() {
            let fields = Fields::of(block, index, count);
            let error = match column.decode(fields, &mut self.notes) {
                Err(error) => Some(error),
                Ok(()) if self.notes.refused.is_empty() => None,
                Ok(()) if self.keeps_exceptions => {
                    let found = exceptions(&mut self.notes, fields, index, rows_before);
                    self.exceptions_total += found.len() as u64;
                    self.exceptions.extend(found);
                    None
                }
                Ok(()) => self
                    .notes
                    .refused
                    .iter()
                    .min_by_key(|error| error.row)
                    .copied(),
            };
            if let Some(error) = error {
                let row_key = self
                    .key_column
                    .and_then(|key| Fields::of(block, key, count).value_at(error.row))
                    .and_then(integer);
                return Err(self
                    .located(error, index, rows_before)
                    .with_row_key(row_key));
            }
        }
        if !self.notes.restated.is_empty() {
            self.restated_total += self.notes.restated.len() as u64;
            restate(&mut self.notes.restated, block, count, &mut self.digest);
        }
        self.notes.clear();
        self.gather.advance(arrived);
        self.batch_rows += rows;
        self.batch_bytes += bytes;
        if self.batch_rows >= self.limits.rows || self.batch_bytes >= self.limits.bytes {
            self.finish_batch()?;
        }
        Ok(())
    }

    /// Turns what has been decoded into a batch, if there is any.
    fn finish_batch(&mut self) -> Result<(), CopyError> {
        let rows = self.batch_rows;
        if rows == 0 {
            return Ok(());
        }
        let finished: Vec<_> = self
            .columns
            .iter_mut()
            .map(|column| column.finish())
            .collect();
        let mut arrays = Vec::with_capacity(finished.len());
        for (index, array) in finished.iter().enumerate() {
            match array.as_ref().map_err(|error| *error).and_then(|array| {
                self.check_nulls(index, array)?;
                Ok(ArrayRef::clone(array))
            }) {
                Ok(array) => arrays.push(array),
                Err(error) => {
                    let key = self.key_column.and_then(|key| finished[key].as_ref().ok());
                    let row_key = key.and_then(|keys| integer_at(keys, error.row));
                    let error = self.located(error, index, self.rows_before);
                    return Err(error.with_row_key(row_key));
                }
            }
        }
        for (total, array) in self.null_counts.iter_mut().zip(&arrays) {
            *total += array.null_count() as u64;
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let schema = SchemaRef::clone(&self.schema);
        let batch = RecordBatch::try_new_with_options(schema, arrays, &options).map_err(|_| {
            CopyError::new(
                CopyErrorKind::Misuse,
                "the mapping's schema contradicts its columns",
            )
        })?;
        self.ready.push_back(batch);
        self.rows_before += rows as u64;
        self.batch_rows = 0;
        self.batch_bytes = 0;
        Ok(())
    }

    fn check_nulls(&self, index: usize, array: &ArrayRef) -> Result<(), FieldError> {
        if array.null_count() == 0 || self.schema.field(index).is_nullable() {
            return Ok(());
        }
        Err(FieldError {
            row: (0..array.len())
                .find(|row| array.is_null(*row))
                .unwrap_or_default(),
            fault: Fault::UnexpectedNull,
        })
    }

    fn located(&self, error: FieldError, column: usize, rows_before: u64) -> CopyError {
        CopyError::of_fault(error.fault)
            .at_column(self.schema.field(column).name())
            .at_row(rows_before + error.row as u64)
    }

    fn after_block_start(&self, error: CopyError) -> CopyError {
        match error.row() {
            Some(row) => error.at_row(row + self.rows_before + self.batch_rows as u64),
            None => error,
        }
    }
}

/// The values of a column that are kept beside it, one a row.
fn exceptions(
    notes: &mut Notes,
    fields: Fields<'_>,
    column: usize,
    rows_before: u64,
) -> Vec<Exception> {
    notes.refused.sort_unstable_by_key(|error| error.row);
    notes.refused.dedup_by_key(|error| error.row);
    notes.forget_restated(fields);
    let refused = notes.refused.drain(..);
    let exception = |error: FieldError| {
        Some(Exception {
            row: rows_before + error.row as u64,
            column,
            wire: fields.value_at(error.row)?.into(),
        })
    };
    refused.filter_map(exception).collect()
}

/// Puts rows into the digest as an encoder writes them, in place of how they came.
#[cold]
fn restate(restated: &mut [Restated], block: Block<'_>, columns: usize, digest: &mut WireDigest) {
    restated.sort_unstable_by_key(|one| one.at);
    let mut row_bytes = Vec::new();
    for words in
        restated.chunk_by(|a, b| block.row_of(a.at, columns) == block.row_of(b.at, columns))
    {
        let row = block.row(block.row_of(words[0].at, columns), columns);
        row_bytes.clear();
        row_bytes.extend_from_slice(&block.raw[row.clone()]);
        for word in words {
            let at = word.at as usize - row.start;
            row_bytes[at..at + 2].copy_from_slice(&word.word.to_be_bytes());
        }
        digest.replace_row(&block.raw[row], &row_bytes);
    }
}

/// An integer of two, four or eight bytes, as it is on the wire.
fn integer(wire: &[u8]) -> Option<i64> {
    match wire.len() {
        2 => wire
            .try_into()
            .ok()
            .map(|bytes| i64::from(i16::from_be_bytes(bytes))),
        4 => wire
            .try_into()
            .ok()
            .map(|bytes| i64::from(i32::from_be_bytes(bytes))),
        8 => wire.try_into().ok().map(i64::from_be_bytes),
        _ => None,
    }
}

fn integer_at(keys: &ArrayRef, row: usize) -> Option<i64> {
    if row >= keys.len() || keys.is_null(row) {
        return None;
    }
    match keys.data_type() {
        DataType::Int16 => Some(i64::from(keys.as_primitive::<Int16Type>().value(row))),
        DataType::Int32 => Some(i64::from(keys.as_primitive::<Int32Type>().value(row))),
        DataType::Int64 => Some(keys.as_primitive::<Int64Type>().value(row)),
        _ => None,
    }
}
