//! Record batches back to the rows of binary COPY, byte for byte as PostgreSQL sent them.
//!
//! Owns the encoder as its users see it, and the seam to its columns: one encoder a column, one
//! file a type family, mirroring `decode`. Rows are made a block at a time, each column twice over
//! the block: first how long every field is, then, behind cursors that the lengths give, the
//! fields. So each pass is one tight loop without dispatch, and the block stays in the cache.

mod bytes;
mod decimal;
mod enumeration;
mod fixed;
mod list;
mod parts;
mod shape;
mod shown;
mod staged;
mod structs;
mod structure;
mod time;
mod vector;
mod wkb;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::SchemaRef;

use self::staged::StagedEncoder;
use super::Exception;
use super::error::{CopyError, CopyErrorKind, FieldError};
use crate::mapping::{Codec, TableMapping};

/// Bytes of a block, about: few enough for the L2 cache.
const BLOCK_BYTES: usize = 128 << 10;
/// Rows of a block, at most.
const BLOCK_ROWS: usize = 1024;
/// The field count before each row, and the length word before each field.
const COUNT_BYTES: u32 = 2;
const LENGTH_BYTES: u32 = 4;
/// The length word of a NULL.
const NULL_LENGTH: [u8; 4] = (-1_i32).to_be_bytes();

/// A column whose values are encoded.
///
/// Fields are asked for by the indexes of their values, in the order of the rows that they go to.
trait ColumnEncoder: Send {
    /// Takes the column of the next batch.
    ///
    /// # Errors
    ///
    /// Its data type is not the mapping's.
    fn bind(&mut self, array: &ArrayRef) -> Result<(), WrongArray>;

    /// Sets `lengths[i]` to the bytes of the field of value `rows[i]`, length word included.
    ///
    /// # Errors
    ///
    /// A value is one that decoding never makes.
    fn measure(&mut self, rows: &[u32], lengths: &mut [u32]) -> Result<(), FieldError>;

    /// Writes the fields of the rows last measured, each at its cursor, and moves the cursors
    /// behind them.
    fn write(&mut self, rows: &[u32], out: &mut [u8], cursors: &mut [u32]);
}

/// An array of another data type than its column's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct WrongArray;

/// The encoder of a codec.
fn column_encoder(codec: &Codec) -> Box<dyn ColumnEncoder> {
    match codec {
        Codec::Bool => fixed::bool_encoder(),
        Codec::Char => fixed::char_encoder(),
        Codec::Int16 => fixed::int16_encoder(),
        Codec::Int32 => fixed::int32_encoder(),
        Codec::Int64 => fixed::int64_encoder(),
        Codec::Oid => fixed::oid_encoder(),
        Codec::UInt32 => fixed::uint32_encoder(),
        Codec::Xid8Text => shown::xid8_encoder(),
        Codec::LsnText => shown::lsn_encoder(),
        Codec::Bytes8 => fixed::raw_encoder::<8>(),
        Codec::Float32 => fixed::float32_encoder(),
        Codec::Float64 => fixed::float64_encoder(),
        Codec::Decimal {
            precision, scale, ..
        } => decimal::decimal_encoder(*precision, *scale),
        Codec::NumericText => shown::numeric_encoder(),
        Codec::Money { scale } => fixed::money_encoder(*scale),
        Codec::Text | Codec::Json => Box::new(bytes::BytesEncoder::text()),
        Codec::Jsonb { .. } | Codec::VersionedText => Box::new(bytes::BytesEncoder::versioned()),
        Codec::Bytes => Box::new(bytes::BytesEncoder::binary()),
        Codec::Date => time::date_encoder(),
        Codec::Time => time::time_encoder(),
        Codec::Time64 => time::time64_encoder(),
        Codec::Timetz => structs::timetz_encoder(),
        Codec::Timestamp { .. } => time::timestamp_encoder(),
        Codec::Interval => structs::interval_encoder(),
        Codec::UuidText => shown::uuid_encoder(),
        Codec::Uuid => fixed::raw_encoder::<16>(),
        Codec::UuidFromText => shown::uuid_to_text_encoder(),
        Codec::Enum { labels } => enumeration::enum_encoder(labels),
        Codec::Inet => shown::inet_encoder(),
        Codec::Cidr => shown::cidr_encoder(),
        Codec::Macaddr => shown::macaddr_encoder(),
        Codec::Macaddr8 => shown::macaddr8_encoder(),
        Codec::BitString => shown::bit_string_encoder(),
        Codec::Array {
            element_oid,
            element,
        } => Box::new(list::ListEncoder::array(*element_oid, element)),
        Codec::Composite { attributes } => Box::new(structure::CompositeEncoder::new(attributes)),
        Codec::Range { bound } => Box::new(structure::RangeEncoder::new(bound)),
        Codec::Multirange { bound } => Box::new(list::ListEncoder::multirange(bound)),
        Codec::Hstore => Box::new(list::HstoreEncoder::new()),
        Codec::Doubles(names) => StagedEncoder::boxed(shape::DoublesStage::new(names)),
        Codec::Path => StagedEncoder::boxed(shape::PathStage::default()),
        Codec::Polygon => StagedEncoder::boxed(shape::PolygonStage::default()),
        Codec::Wkb { srid, .. } => StagedEncoder::boxed(wkb::WkbStage::new(*srid)),
        Codec::Vector { fixed } => vector::vector_encoder(*fixed),
        Codec::Halfvec { half, fixed } => vector::halfvec_encoder(*half, *fixed),
        Codec::Sparsevec => StagedEncoder::boxed(vector::SparsevecStage::default()),
    }
}

/// Encodes batches of one table as rows of binary COPY.
///
/// # Memory usage
///
/// One block of rows: 128 KiB, or one larger row.
pub struct CopyEncoder {
    schema: SchemaRef,
    columns: Vec<Box<dyn ColumnEncoder>>,
    block: Block,
}

/// The rows of a block under construction; kept for its memory.
#[derive(Default)]
struct Block {
    /// Indexes of the rows in the batch.
    rows: Vec<u32>,
    /// The length of each field, column by column.
    lengths: Vec<u32>,
    /// Where the next field of each row begins.
    cursors: Vec<u32>,
    /// Where each row ends.
    ends: Vec<u32>,
    bytes: Vec<u8>,
}

impl CopyEncoder {
    /// An encoder for batches of this mapping.
    #[must_use]
    pub fn new(mapping: &TableMapping) -> Self {
        let columns = mapping.columns.iter();
        Self {
            schema: SchemaRef::clone(&mapping.schema),
            columns: columns
                .map(|column| column_encoder(&column.codec))
                .collect(),
            block: Block::default(),
        }
    }

    /// Encodes a batch, and hands its rows to `each` in blocks: their bytes end to end, and where
    /// each row ends. A row is a tuple of binary COPY, field count included, as
    /// [`WireDigest::add_row`](super::WireDigest::add_row) takes it.
    ///
    /// `exceptions` are put back in place of the NULLs that stand for them: in order of row, and
    /// at most one a value.
    ///
    /// # Errors
    ///
    /// [`CopyErrorKind::Misuse`] when the batch has another schema than the mapping,
    /// [`CopyErrorKind::Foreign`] when it holds what decoding never makes. What was handed over
    /// before stays as it is.
    pub fn encode(
        &mut self,
        batch: &RecordBatch,
        exceptions: &[Exception],
        mut each: impl FnMut(&[u8], &[u32]),
    ) -> Result<(), CopyError> {
        self.bind(batch)?;
        let total = batch.num_rows();
        let row_bytes = batch.get_array_memory_size() / total.max(1);
        let mut rows_at_once = (BLOCK_BYTES / row_bytes.max(1)).clamp(1, BLOCK_ROWS);
        let mut first = 0;
        let mut rest = exceptions;
        while first < total {
            let rows = rows_at_once.min(total - first);
            let until = (first + rows) as u64;
            let (here, later) = rest.split_at(rest.partition_point(|one| one.row < until));
            if self.block(first, rows, here)? {
                each(&self.block.bytes, &self.block.ends);
                first += rows;
                rest = later;
            } else {
                // Some rows are far larger than the average: fewer at once.
                rows_at_once = rows.div_ceil(2);
            }
        }
        if rest.is_empty() {
            return Ok(());
        }
        let reason = "an exception belongs to a row that the batch does not have";
        Err(CopyError::new(CopyErrorKind::Foreign, reason))
    }

    fn bind(&mut self, batch: &RecordBatch) -> Result<(), CopyError> {
        let reason = "the batch has another schema than the mapping";
        if batch.num_columns() != self.columns.len() {
            return Err(CopyError::new(CopyErrorKind::Misuse, reason));
        }
        for (index, column) in self.columns.iter_mut().enumerate() {
            column.bind(batch.column(index)).map_err(|WrongArray| {
                let name = self.schema.field(index).name();
                CopyError::new(CopyErrorKind::Misuse, reason).at_column(name)
            })?;
        }
        Ok(())
    }

    /// Makes one block; `false` when it would be too large and holds more than one row.
    fn block(
        &mut self,
        first: usize,
        rows: usize,
        exceptions: &[Exception],
    ) -> Result<bool, CopyError> {
        let Self {
            schema,
            columns,
            block,
        } = self;
        block.start(first, rows, columns.len());
        for (index, column) in columns.iter_mut().enumerate() {
            let lengths = &mut block.lengths[index * rows..][..rows];
            column.measure(&block.rows, lengths).map_err(|error| {
                CopyError::of_fault(error.fault)
                    .at_column(schema.field(index).name())
                    .at_row(error.row as u64)
            })?;
        }
        for one in exceptions {
            block.put_aside(one, first, rows, columns.len())?;
        }
        if !block.lay_out(rows) {
            return Ok(false);
        }
        for (index, column) in columns.iter_mut().enumerate() {
            column.write(&block.rows, &mut block.bytes, &mut block.cursors);
            let kept = exceptions.iter().filter(|one| one.column == index);
            for one in kept {
                block.put_back(one, first);
            }
        }
        Ok(true)
    }
}

impl Block {
    fn start(&mut self, first: usize, rows: usize, columns: usize) {
        self.rows.clear();
        self.rows.extend(first as u32..(first + rows) as u32);
        self.lengths.clear();
        self.lengths.resize(rows * columns, 0);
    }

    /// Makes room for an exception in place of the NULL that stands for it.
    fn put_aside(
        &mut self,
        one: &Exception,
        first: usize,
        rows: usize,
        columns: usize,
    ) -> Result<(), CopyError> {
        let row = (one.row as usize)
            .checked_sub(first)
            .filter(|row| *row < rows);
        let at = row
            .filter(|_| one.column < columns)
            .map(|row| one.column * rows + row);
        let length = u32::try_from(one.wire.len())
            .ok()
            .and_then(|wire| wire.checked_add(4));
        match (at, length) {
            (Some(at), Some(length)) if self.lengths[at] == LENGTH_BYTES => {
                self.lengths[at] = length;
                Ok(())
            }
            _ => {
                let reason = "an exception stands for a value that is not NULL";
                Err(CopyError::new(CopyErrorKind::Foreign, reason).at_row(one.row))
            }
        }
    }

    /// Places the rows end to end; `false` when there are several and they exceed 1 GiB.
    fn lay_out(&mut self, rows: usize) -> bool {
        /// More than PostgreSQL's largest row: one always fits.
        const MOST: u64 = 1 << 31;
        let mut place = 0_u64;
        self.cursors.clear();
        self.ends.clear();
        for row in 0..rows {
            let fields = self.lengths.iter().skip(row).step_by(rows);
            let bytes: u64 = fields.map(|length| u64::from(*length)).sum();
            self.cursors.push(place as u32);
            place += u64::from(COUNT_BYTES) + bytes;
            if place > MOST && rows > 1 {
                return false;
            }
            self.ends.push(place as u32);
        }
        let columns = (self.lengths.len() / rows.max(1)) as u16;
        self.bytes.clear();
        self.bytes.resize(place as usize, 0);
        for cursor in &mut self.cursors {
            let at = *cursor as usize;
            self.bytes[at..at + 2].copy_from_slice(&columns.to_be_bytes());
            *cursor += COUNT_BYTES;
        }
        true
    }

    /// Writes an exception over the NULL that its column has just written.
    fn put_back(&mut self, one: &Exception, first: usize) {
        let row = one.row as usize - first;
        let end = self.cursors[row] as usize;
        let start = end - LENGTH_BYTES as usize;
        let length = one.wire.len();
        self.bytes[start..end].copy_from_slice(&(length as u32).to_be_bytes());
        self.bytes[end..end + length].copy_from_slice(&one.wire);
        self.cursors[row] += length as u32;
    }
}
