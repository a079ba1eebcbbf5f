//! Arrays, multiranges and `hstore`: a header, then the parts.

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_schema::DataType;

use super::parts::{Part, field_bytes, foreign, nulls_of, put, write_null};
use super::structure::RangeEncoder;
use super::{ColumnEncoder, LENGTH_BYTES, WrongArray};
use crate::copy::error::FieldError;
use crate::mapping::Codec;

/// Where each value's parts lie, and which values are NULL.
struct Lists {
    offsets: OffsetBuffer<i32>,
    nulls: Option<NullBuffer>,
}

impl Lists {
    /// The parts of a value; `None` when it is NULL.
    #[inline]
    fn get(&self, row: u32) -> Option<std::ops::Range<u32>> {
        let row = row as usize;
        if self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            return None;
        }
        Some(self.offsets[row] as u32..self.offsets[row + 1] as u32)
    }

    /// The value that a part belongs to.
    fn row_of(&self, part: usize) -> usize {
        let ends = self.offsets.partition_point(|end| *end as usize <= part);
        ends.saturating_sub(1)
    }
}

/// What stands before the parts.
#[derive(Debug, Clone, Copy)]
enum Head {
    /// As `array_send` has it: dimensions, flags, element oid and, unless it is empty, the
    /// dimension's size and lower bound.
    Array { element_oid: u32 },
    /// As `multirange_send` has it: the number of ranges.
    Multirange,
}

impl Head {
    const fn bytes(self, is_empty: bool) -> u64 {
        match self {
            Self::Array { .. } if is_empty => 12,
            Self::Array { .. } => 20,
            Self::Multirange => 4,
        }
    }

    #[inline]
    fn write(self, count: u32, has_null: bool, out: &mut [u8], at: &mut u32) {
        match self {
            Self::Array { element_oid } => {
                put(out, at, u32::from(count > 0).to_be_bytes());
                put(out, at, u32::from(has_null).to_be_bytes());
                put(out, at, element_oid.to_be_bytes());
                if count > 0 {
                    put(out, at, count.to_be_bytes());
                    put(out, at, 1_u32.to_be_bytes());
                }
            }
            Self::Multirange => put(out, at, count.to_be_bytes()),
        }
    }
}

/// Lists of parts of one kind.
pub(super) struct ListEncoder {
    head: Head,
    parts: Part,
    lists: Option<Lists>,
    /// The bytes of each field of the block.
    lengths: Vec<u32>,
}

impl ListEncoder {
    pub(super) fn array(element_oid: u32, element: &Codec) -> Self {
        Self::new(Head::Array { element_oid }, Part::of(element))
    }

    pub(super) fn multirange(bound: &Codec) -> Self {
        let range = RangeEncoder::new(bound);
        Self::new(Head::Multirange, Part::new(Box::new(range)))
    }

    fn new(head: Head, parts: Part) -> Self {
        Self {
            head,
            parts,
            lists: None,
            lengths: Vec::new(),
        }
    }
}

impl ColumnEncoder for ListEncoder {
    fn bind(&mut self, array: &ArrayRef) -> Result<(), WrongArray> {
        let list = array.as_list_opt::<i32>().ok_or(WrongArray)?;
        self.lists = Some(Lists {
            offsets: list.offsets().clone(),
            nulls: nulls_of(list),
        });
        self.parts.bind(list.values())
    }

    fn measure(&mut self, rows: &[u32], lengths: &mut [u32]) -> Result<(), FieldError> {
        let Self {
            head, parts, lists, ..
        } = self;
        let Some(lists) = lists else {
            return Ok(());
        };
        parts.begin();
        for row in rows {
            let mut of_row = lists.get(*row).unwrap_or(0..0);
            parts.select(of_row.clone());
            if matches!(head, Head::Multirange) && of_row.any(|part| parts.is_null(part)) {
                return Err(foreign(*row as usize));
            }
        }
        parts.measure(|part| lists.row_of(part))?;
        let mut rest = parts.lengths();
        for (row, length) in rows.iter().zip(&mut *lengths) {
            let Some(of_row) = lists.get(*row) else {
                *length = LENGTH_BYTES;
                continue;
            };
            let (here, later) = rest.split_at(of_row.len());
            rest = later;
            let parts: u64 = here.iter().map(|length| u64::from(*length)).sum();
            *length = field_bytes(head.bytes(here.is_empty()) + parts, *row as usize)?;
        }
        self.lengths.clear();
        self.lengths.extend_from_slice(lengths);
        Ok(())
    }

    fn write(&mut self, rows: &[u32], out: &mut [u8], cursors: &mut [u32]) {
        let Self {
            head, parts, lists, ..
        } = self;
        let Some(lists) = lists else {
            return;
        };
        for ((row, length), cursor) in rows.iter().zip(&self.lengths).zip(cursors) {
            let Some(mut of_row) = lists.get(*row) else {
                write_null(out, cursor);
                continue;
            };
            put(out, cursor, (length - LENGTH_BYTES).to_be_bytes());
            let count = of_row.len();
            let has_null = of_row.any(|part| parts.is_null(part));
            head.write(count as u32, has_null, out, cursor);
            for _ in 0..count {
                parts.place(cursor);
            }
        }
        parts.write(out);
    }
}

/// Maps, as `hstore_send` has them: the number of pairs, keys and values.
pub(super) struct HstoreEncoder {
    keys: Part,
    values: Part,
    lists: Option<Lists>,
    lengths: Vec<u32>,
}

impl HstoreEncoder {
    pub(super) fn new() -> Self {
        Self {
            keys: Part::of(&Codec::Text),
            values: Part::of(&Codec::Text),
            lists: None,
            lengths: Vec::new(),
        }
    }
}

impl ColumnEncoder for HstoreEncoder {
    fn bind(&mut self, array: &ArrayRef) -> Result<(), WrongArray> {
        if !matches!(array.data_type(), DataType::Map(..)) {
            return Err(WrongArray);
        }
        let map = array.as_map();
        self.lists = Some(Lists {
            offsets: map.offsets().clone(),
            nulls: nulls_of(map),
        });
        self.keys.bind(map.keys())?;
        self.values.bind(map.values())
    }

    fn measure(&mut self, rows: &[u32], lengths: &mut [u32]) -> Result<(), FieldError> {
        let Self {
            keys,
            values,
            lists,
            ..
        } = self;
        let Some(lists) = lists else {
            return Ok(());
        };
        keys.begin();
        values.begin();
        for row in rows {
            let mut of_row = lists.get(*row).unwrap_or(0..0);
            keys.select(of_row.clone());
            values.select(of_row.clone());
            if of_row.any(|pair| keys.is_null(pair)) {
                return Err(foreign(*row as usize));
            }
        }
        keys.measure(|pair| lists.row_of(pair))?;
        values.measure(|pair| lists.row_of(pair))?;
        let mut pairs = keys.lengths().iter().zip(values.lengths());
        for (row, length) in rows.iter().zip(&mut *lengths) {
            let Some(of_row) = lists.get(*row) else {
                *length = LENGTH_BYTES;
                continue;
            };
            let pairs = pairs.by_ref().take(of_row.len());
            let bytes: u64 = pairs
                .map(|(key, value)| u64::from(*key) + u64::from(*value))
                .sum();
            *length = field_bytes(4 + bytes, *row as usize)?;
        }
        self.lengths.clear();
        self.lengths.extend_from_slice(lengths);
        Ok(())
    }

    fn write(&mut self, rows: &[u32], out: &mut [u8], cursors: &mut [u32]) {
        let Self {
            keys,
            values,
            lists,
            ..
        } = self;
        let Some(lists) = lists else {
            return;
        };
        for ((row, length), cursor) in rows.iter().zip(&self.lengths).zip(cursors) {
            let Some(of_row) = lists.get(*row) else {
                write_null(out, cursor);
                continue;
            };
            let count = of_row.len();
            put(out, cursor, (length - LENGTH_BYTES).to_be_bytes());
            put(out, cursor, (count as u32).to_be_bytes());
            for _ in 0..count {
                keys.place(cursor);
                values.place(cursor);
            }
        }
        keys.write(out);
        values.write(out);
    }
}
