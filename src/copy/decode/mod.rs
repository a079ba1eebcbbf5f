//! Columns under construction: gathered fields in, Arrow arrays out.
//!
//! Owns the seam between raw rows and typed columns: one decoder a column, one file a type
//! family, one exhaustive factory. A decoder sees one column of a block at a time, so each has
//! one tight loop without dispatch. Framing is `frame`'s, the choice of types is `mapping`'s.

mod boolean;
mod bytes;
mod enumeration;
mod fixed;
mod numeric;
mod time;
mod uuid;
mod validity;

use arrow_array::ArrayRef;

use super::error::FieldError;
use super::frame::Block;
use crate::mapping::Decode;

/// Rows that a decoder handles between two looks at its validity mask.
const GROUP_ROWS: usize = 64;

/// A column under construction.
pub(super) trait ColumnDecoder: Send {
    /// Appends one block's fields. After an error the column is unusable.
    fn decode(&mut self, fields: Fields<'_>) -> Result<(), FieldError>;

    /// Takes the array; the next block starts another. The error's row counts from its start.
    fn finish(&mut self) -> Result<ArrayRef, FieldError>;
}

/// The decoder of a wire form.
pub(super) fn column_decoder(decode: &Decode) -> Box<dyn ColumnDecoder> {
    match decode {
        Decode::Bool => Box::new(boolean::BooleanDecoder::default()),
        Decode::Char => fixed::char_decoder(),
        Decode::Int16 => fixed::int16_decoder(),
        Decode::Int32 => fixed::int32_decoder(),
        Decode::Int64 => fixed::int64_decoder(),
        Decode::Oid => fixed::oid_decoder(),
        Decode::Float32 => fixed::float32_decoder(),
        Decode::Float64 => fixed::float64_decoder(),
        Decode::Decimal { precision, scale } => {
            Box::new(numeric::DecimalDecoder::new(*precision, *scale))
        }
        Decode::Text => Box::new(bytes::TextDecoder::text()),
        Decode::Jsonb => Box::new(bytes::TextDecoder::jsonb()),
        Decode::Bytes => Box::new(bytes::BytesDecoder::default()),
        Decode::Date => time::date_decoder(),
        Decode::Time => time::time_decoder(),
        Decode::Timestamp { utc } => time::timestamp_decoder(*utc),
        Decode::Uuid => Box::new(uuid::UuidDecoder::default()),
        Decode::Enum { labels } => Box::new(enumeration::EnumDecoder::new(labels)),
    }
}

/// One column of a block.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'a> {
    raw: &'a [u8],
    starts: &'a [u32],
    rows: usize,
    columns: usize,
}

impl<'a> Fields<'a> {
    /// Column `column` of `columns`.
    pub(super) fn of(block: Block<'a>, column: usize, columns: usize) -> Self {
        Self {
            raw: block.raw,
            starts: block.starts.get(column..).unwrap_or_default(),
            rows: block.rows,
            columns,
        }
    }

    fn rows(&self) -> usize {
        self.rows
    }

    /// The fields in groups of [`GROUP_ROWS`], each with the row that it starts at.
    fn groups(&self) -> impl Iterator<Item = (usize, Group<'a>)> + use<'a> {
        let columns = self.columns;
        let raw = self.raw;
        let groups = self.starts.chunks(columns * GROUP_ROWS).enumerate();
        groups.map(move |(index, starts)| {
            let group = Group {
                raw,
                starts,
                columns,
            };
            (index * GROUP_ROWS, group)
        })
    }

    /// The value in `row`; `None` when it is NULL or there is no such row.
    pub(super) fn value_at(&self, row: usize) -> Option<&'a [u8]> {
        let start = *self.starts.get(row * self.columns)?;
        Field::at(self.raw, start).value()
    }
}

/// At most [`GROUP_ROWS`] fields of one column.
#[derive(Debug, Clone, Copy)]
struct Group<'a> {
    raw: &'a [u8],
    starts: &'a [u32],
    columns: usize,
}

impl<'a> Group<'a> {
    /// The fields, in row order.
    #[inline]
    fn fields(&self) -> impl ExactSizeIterator<Item = Field<'a>> + use<'a> {
        let raw = self.raw;
        self.starts
            .chunks(self.columns)
            .map(move |row| Field::at(raw, row[0]))
    }

    fn rows(&self) -> usize {
        self.starts.len().div_ceil(self.columns)
    }
}

/// One field: its length word, then its value, then whatever follows.
#[derive(Debug, Clone, Copy)]
struct Field<'a> {
    length: i32,
    rest: &'a [u8],
}

impl<'a> Field<'a> {
    #[inline(always)]
    fn at(raw: &'a [u8], start: u32) -> Self {
        match raw
            .get(start as usize..)
            .and_then(<[u8]>::split_first_chunk::<4>)
        {
            Some((length, rest)) => Self {
                length: i32::from_be_bytes(*length),
                rest,
            },
            // Never so: the scan has seen the word. A length that no type has is an error.
            None => Self {
                length: i32::MIN,
                rest: &[],
            },
        }
    }

    fn is_null(&self) -> bool {
        self.length == -1
    }

    /// The value; `None` when it is NULL.
    #[inline(always)]
    fn value(&self) -> Option<&'a [u8]> {
        usize::try_from(self.length)
            .ok()
            .and_then(|length| self.rest.get(..length))
    }

    /// The value's first `N` bytes, whatever its length: padding makes them readable.
    #[inline(always)]
    fn first<const N: usize>(&self) -> [u8; N] {
        self.rest.first_chunk::<N>().copied().unwrap_or([0; N])
    }
}
