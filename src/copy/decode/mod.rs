//! Columns under construction: gathered fields in, Arrow arrays out.
//!
//! Owns the seam between raw rows and typed columns: one decoder a column, one file a type
//! family, one exhaustive factory. A decoder sees one column of a block at a time, so each has
//! one tight loop without dispatch. Framing is `frame`'s, the choice of types is `mapping`'s.

mod bits;
mod boolean;
mod bytes;
mod decimal;
mod enumeration;
mod fixed;
mod fixed_binary;
mod list;
mod magnitude;
mod network;
mod numeric_text;
mod parts;
mod shape;
mod structs;
mod structure;
mod time;
mod unsigned;
mod uuid;
mod validity;
mod vector;
mod wkb;

use arrow_array::ArrayRef;

use super::error::{Fault, FieldError};
use super::frame::Block;
use crate::mapping::Codec;

/// In place of where a field lies: a part that is not on the wire, and counts as NULL.
pub(super) const ABSENT: u32 = u32::MAX;

/// Rows that a decoder handles between two looks at its validity mask.
const GROUP_ROWS: usize = 64;

/// A column under construction.
pub(super) trait ColumnDecoder: Send {
    /// Appends one block's fields. A sound value that the array cannot hold becomes NULL and a
    /// note. After an error the column is unusable.
    fn decode(&mut self, fields: Fields<'_>, notes: &mut Notes) -> Result<(), FieldError>;

    /// Takes the array; the next block starts another. The error's row counts from its start.
    fn finish(&mut self) -> Result<ArrayRef, FieldError>;
}

/// What decoding a column of a block has found beside values. A column with parts counts rows of
/// its own: it turns those of its parts, from where the notes stood before, into them.
#[derive(Debug, Default)]
pub(super) struct Notes {
    /// Sound values that the array cannot hold: NULL stands in their place.
    pub(super) refused: Vec<FieldError>,
    /// What the wire says beside the value, and the array does not keep.
    pub(super) restated: Vec<Restated>,
}

/// Two bytes of the wire that say nothing of the value, and what an encoder writes in their place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Restated {
    /// Where they lie in the block.
    pub(super) at: u32,
    /// What they are to be.
    pub(super) word: u16,
}

impl Notes {
    /// Notes a value that becomes NULL; whatever is no sound value stays an error.
    pub(super) fn refuse(&mut self, row: usize, fault: Fault) -> Result<(), FieldError> {
        let error = FieldError { row, fault };
        if fault.is_exception() {
            self.refused.push(error);
            Ok(())
        } else {
            Err(error)
        }
    }

    /// Drops what was restated within the refused values of a column, which are in order of row:
    /// they are kept beside the column just as they came.
    pub(super) fn forget_restated(&mut self, fields: Fields<'_>) {
        let Self { refused, restated } = self;
        restated.retain(|one| {
            let until = refused.partition_point(|error| fields.start_of(error.row) <= one.at);
            let before = until.checked_sub(1).map(|last| refused[last].row);
            before.is_none_or(|row| {
                let length = fields.value_at(row).map_or(0, <[u8]>::len);
                one.at as usize >= fields.start_of(row) as usize + 4 + length
            })
        });
    }

    /// Forgets everything, and keeps the memory.
    pub(super) fn clear(&mut self) {
        self.refused.clear();
        self.restated.clear();
    }
}

/// The decoder of a wire form.
pub(super) fn column_decoder(codec: &Codec) -> Box<dyn ColumnDecoder> {
    match codec {
        Codec::Bool => Box::new(boolean::BooleanDecoder::default()),
        Codec::Char => fixed::char_decoder(),
        Codec::Int16 => fixed::int16_decoder(),
        Codec::Int32 => fixed::int32_decoder(),
        Codec::Int64 => fixed::int64_decoder(),
        Codec::Oid => fixed::oid_decoder(),
        Codec::UInt32 => fixed::uint32_decoder(),
        Codec::Xid8Text => unsigned::xid8_decoder(),
        Codec::LsnText => unsigned::lsn_decoder(),
        Codec::Bytes8 => fixed_binary::bytes8_decoder(),
        Codec::Float32 => fixed::float32_decoder(),
        Codec::Float64 => fixed::float64_decoder(),
        Codec::Decimal {
            precision,
            scale,
            restate,
        } => decimal::decimal_decoder(*precision, *scale, *restate),
        Codec::NumericText => Box::new(numeric_text::NumericTextDecoder::default()),
        Codec::Money { scale } => fixed::money_decoder(*scale),
        Codec::Text | Codec::Json => Box::new(bytes::TextDecoder::text()),
        Codec::Jsonb { .. } | Codec::VersionedText => Box::new(bytes::TextDecoder::versioned()),
        Codec::Bytes => Box::new(bytes::BytesDecoder::default()),
        Codec::Date => time::date_decoder(),
        Codec::Time => time::time_decoder(),
        Codec::Time64 => time::time64_decoder(),
        Codec::Timetz => structs::timetz_decoder(),
        Codec::Timestamp { utc } => time::timestamp_decoder(*utc),
        Codec::Interval => structs::interval_decoder(),
        Codec::UuidText => Box::new(uuid::UuidDecoder::default()),
        Codec::Uuid => fixed_binary::uuid_decoder(),
        Codec::UuidFromText => fixed_binary::uuid_from_text_decoder(),
        Codec::Enum { labels } => Box::new(enumeration::EnumDecoder::new(labels)),
        Codec::Inet => Box::new(network::NetworkDecoder::inet()),
        Codec::Cidr => Box::new(network::NetworkDecoder::cidr()),
        Codec::Macaddr => network::macaddr_decoder(),
        Codec::Macaddr8 => network::macaddr8_decoder(),
        Codec::BitString => Box::new(bits::BitStringDecoder::default()),
        Codec::Array {
            element_oid,
            element,
        } => list::array_decoder(codec, *element_oid, element),
        Codec::Composite { attributes } => {
            Box::new(structure::CompositeDecoder::new(codec, attributes))
        }
        Codec::Range { bound } => Box::new(structure::RangeDecoder::new(codec, bound)),
        Codec::Multirange { bound } => list::multirange_decoder(codec, bound),
        Codec::Hstore => Box::new(list::HstoreDecoder::new(codec)),
        Codec::Doubles(_) => Box::new(shape::DoublesDecoder::new(codec)),
        Codec::Path => Box::new(shape::PathDecoder::new(codec)),
        Codec::Polygon => Box::new(shape::PolygonDecoder::new(codec)),
        Codec::Wkb { srid, .. } => Box::new(wkb::WkbDecoder::new(*srid)),
        Codec::Vector { fixed } => vector::vector_decoder(codec, *fixed),
        Codec::Halfvec { half, fixed } => vector::halfvec_decoder(codec, *half, *fixed),
        Codec::Sparsevec => Box::new(vector::SparsevecDecoder::new(codec)),
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

    /// The parts of a column's values: where each part's length word lies in the block, or
    /// [`ABSENT`]. The caller has made sure that each lies within its value.
    pub(super) fn parts(self, starts: &'a [u32]) -> Self {
        Self {
            raw: self.raw,
            starts,
            rows: starts.len(),
            columns: 1,
        }
    }

    /// The block.
    pub(super) fn raw(&self) -> &'a [u8] {
        self.raw
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

    /// Where the length word of `row` lies in the block; [`ABSENT`] when there is no such row.
    fn start_of(&self, row: usize) -> u32 {
        let start = self.starts.get(row * self.columns);
        start.copied().unwrap_or(ABSENT)
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
    /// Where the length word of each field lies in the block, in row order.
    fn starts(&self) -> impl ExactSizeIterator<Item = u32> + use<'a> {
        self.starts.chunks(self.columns).map(|row| row[0])
    }

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
            None if start == ABSENT => Self {
                length: -1,
                rest: &[],
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
