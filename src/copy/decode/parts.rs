//! What all types with parts share: a value read from the front with every step checked, parts
//! gathered for their own decoder, and which values of a block are there.

use arrow_array::ArrayRef;
use arrow_buffer::{OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType, FieldRef, Fields as ArrowFields};

use super::validity::{Validity, low_bits};
use super::{ABSENT, ColumnDecoder, Field, Fields, GROUP_ROWS, Notes, column_decoder};
use crate::copy::error::{Fault, FieldError};
use crate::mapping::Codec;

/// Parts that memory is kept for from block to block: what a block of the usual size can hold.
const KEPT_PARTS: usize = 64 << 10;

/// One value on the wire, read from the front.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wire<'a> {
    rest: &'a [u8],
    /// Where it ends in the block.
    end: usize,
}

impl<'a> Wire<'a> {
    /// Where the next byte lies in the block.
    pub(super) fn at(&self) -> u32 {
        (self.end - self.rest.len()) as u32
    }

    /// Bytes not yet read.
    pub(super) fn left(&self) -> usize {
        self.rest.len()
    }

    /// The next `N` bytes.
    #[inline]
    pub(super) fn bytes<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let (bytes, rest) = self.rest.split_first_chunk::<N>().ok_or(Fault::BadForm)?;
        self.rest = rest;
        Ok(*bytes)
    }

    /// The next four bytes as a number that may be negative.
    #[inline]
    pub(super) fn int(&mut self) -> Result<i32, Fault> {
        self.bytes().map(i32::from_be_bytes)
    }

    /// The next four bytes as a count of things that take at least `least` bytes each: no count
    /// is believed that the bytes which are there cannot hold.
    #[inline]
    pub(super) fn count(&mut self, least: usize) -> Result<usize, Fault> {
        let count = usize::try_from(self.int()?).map_err(|_| Fault::BadForm)?;
        match count.checked_mul(least) {
            Some(bytes) if bytes <= self.left() => Ok(count),
            _ => Err(Fault::BadForm),
        }
    }

    /// Passes over a part, and tells where its length word lies and whether it is NULL.
    #[inline]
    pub(super) fn part(&mut self) -> Result<(u32, bool), Fault> {
        let at = self.at();
        match self.int()? {
            -1 => Ok((at, true)),
            length => {
                let length = usize::try_from(length).map_err(|_| Fault::BadForm)?;
                self.rest = self.rest.get(length..).ok_or(Fault::BadForm)?;
                Ok((at, false))
            }
        }
    }

    /// Passes over a part that must not be NULL.
    #[inline]
    pub(super) fn required_part(&mut self) -> Result<u32, Fault> {
        match self.part()? {
            (at, false) => Ok(at),
            _ => Err(Fault::BadForm),
        }
    }

    /// The rest, in items of `N` bytes; it must be exactly `count` of them.
    #[inline]
    pub(super) fn items<const N: usize>(&mut self, count: usize) -> Result<&'a [[u8; N]], Fault> {
        match std::mem::take(&mut self.rest).as_chunks::<N>() {
            (items, []) if items.len() == count => Ok(items),
            _ => Err(Fault::BadForm),
        }
    }

    /// Ends the value: nothing may be left.
    #[inline]
    pub(super) fn end(&self) -> Result<(), Fault> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(Fault::BadForm)
        }
    }
}

/// Which values of a block are there; kept for its memory.
#[derive(Debug, Default)]
pub(super) struct Present {
    /// A bit a value, [`GROUP_ROWS`] in each mask.
    masks: Vec<u64>,
    rows: usize,
}

impl Present {
    /// Goes through a block's values. `each` appends one, or with `None` what stands for a NULL;
    /// it must refuse a sound value before it has appended anything.
    #[inline]
    pub(super) fn walk<'a>(
        &mut self,
        fields: Fields<'a>,
        notes: &mut Notes,
        mut each: impl FnMut(Option<Wire<'a>>, &mut Notes) -> Result<(), Fault>,
    ) -> Result<(), FieldError> {
        let raw = fields.raw();
        self.masks.clear();
        self.rows = fields.rows();
        for (first_row, group) in fields.groups() {
            let mut mask = 0;
            for (bit, start) in group.starts().enumerate() {
                let field = Field::at(raw, start);
                let row = first_row + bit;
                let at_row = |fault| FieldError { row, fault };
                let there = match field.value() {
                    Some(rest) => {
                        let end = start as usize + 4 + rest.len();
                        match each(Some(Wire { rest, end }), notes) {
                            Ok(()) => true,
                            Err(fault) => {
                                notes.refuse(row, fault)?;
                                false
                            }
                        }
                    }
                    None if field.is_null() => false,
                    None => return Err(at_row(Fault::WrongLength)),
                };
                if !there {
                    each(None, notes).map_err(at_row)?;
                }
                mask |= u64::from(there) << bit;
            }
            self.masks.push(mask);
        }
        Ok(())
    }

    /// Makes a value NULL after all.
    fn clear(&mut self, row: usize) {
        if let Some(mask) = self.masks.get_mut(row / GROUP_ROWS) {
            *mask &= !(1 << (row % GROUP_ROWS));
        }
    }

    /// Appends the block's values to the column's.
    pub(super) fn append_to(&self, validity: &mut Validity) {
        for (index, mask) in self.masks.iter().enumerate() {
            validity.append(*mask, (self.rows - index * GROUP_ROWS).min(GROUP_ROWS));
        }
    }

    /// Appends the block's values as if all were there: a column that must have no NULL, where
    /// the NULL stands further out.
    pub(super) fn append_all_to(&self, validity: &mut Validity) {
        for index in 0..self.masks.len() {
            let count = (self.rows - index * GROUP_ROWS).min(GROUP_ROWS);
            validity.append(low_bits(count), count);
        }
    }
}

/// Parts of one kind, and what they become.
pub(super) struct Part {
    decoder: Box<dyn ColumnDecoder>,
    /// Where the length word of each part of the block lies.
    starts: Vec<u32>,
}

impl Part {
    pub(super) fn of(codec: &Codec) -> Self {
        Self::new(column_decoder(codec))
    }

    pub(super) fn new(decoder: Box<dyn ColumnDecoder>) -> Self {
        Self {
            decoder,
            starts: Vec::new(),
        }
    }

    /// Adds a part whose length word lies at `start`.
    #[inline]
    pub(super) fn push(&mut self, start: u32) {
        self.starts.push(start);
    }

    /// Adds a part that is not on the wire.
    #[inline]
    pub(super) fn push_absent(&mut self) {
        self.starts.push(ABSENT);
    }

    /// Parts of the block so far.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.starts.len()
    }

    /// Decodes the block's parts. `row_of` tells whose value a part belongs to: that becomes
    /// NULL when the part is refused.
    pub(super) fn decode(
        &mut self,
        fields: Fields<'_>,
        notes: &mut Notes,
        present: &mut Present,
        row_of: impl Fn(usize) -> usize,
    ) -> Result<(), FieldError> {
        let mark = notes.refused.len();
        let decoded = self.decoder.decode(fields.parts(&self.starts), notes);
        decoded.map_err(|error| moved(error, &row_of))?;
        for refused in &mut notes.refused[mark..] {
            *refused = moved(*refused, &row_of);
            present.clear(refused.row);
        }
        self.starts.clear();
        if self.starts.capacity() > KEPT_PARTS {
            self.starts.shrink_to(KEPT_PARTS);
        }
        Ok(())
    }

    /// Takes the array of all parts; `row_of` counts as the array does.
    pub(super) fn finish(
        &mut self,
        row_of: impl Fn(usize) -> usize,
    ) -> Result<ArrayRef, FieldError> {
        let finished = self.decoder.finish();
        finished.map_err(|error| moved(error, row_of))
    }
}

fn moved(error: FieldError, row_of: impl Fn(usize) -> usize) -> FieldError {
    FieldError {
        row: row_of(error.row),
        fault: error.fault,
    }
}

/// Where the parts of each value end: the offsets of a list.
#[derive(Debug)]
pub(super) struct Ends {
    offsets: Vec<i32>,
    /// Values before the block.
    before: usize,
}

impl Default for Ends {
    fn default() -> Self {
        Self {
            offsets: vec![0],
            before: 0,
        }
    }
}

impl Ends {
    /// Begins a block of so many values.
    pub(super) fn begin(&mut self, rows: usize) {
        self.before = self.offsets.len() - 1;
        self.offsets.reserve(rows);
    }

    /// Appends a value of `count` parts.
    #[inline]
    pub(super) fn push(&mut self, count: usize) -> Result<(), Fault> {
        let last = self.offsets.last().copied().unwrap_or_default();
        let end = i32::try_from(last as usize + count).map_err(|_| Fault::ColumnTooLarge)?;
        self.offsets.push(end);
        Ok(())
    }

    /// The value that a part belongs to, both counted from the start of the batch.
    pub(super) fn row_of(&self, part: usize) -> usize {
        let ends = self.offsets.partition_point(|end| *end as usize <= part);
        ends.saturating_sub(1)
    }

    /// The value that a part belongs to, both counted from the start of the block.
    pub(super) fn row_in_block(&self, part: usize) -> usize {
        let first = self.offsets.get(self.before).copied().unwrap_or_default();
        self.row_of(first as usize + part) - self.before
    }

    /// Takes the offsets and starts again.
    pub(super) fn take(&mut self) -> OffsetBuffer<i32> {
        let mut next = Vec::with_capacity(self.offsets.len());
        next.push(0);
        self.before = 0;
        let offsets = std::mem::replace(&mut self.offsets, next);
        OffsetBuffer::new(ScalarBuffer::from(offsets))
    }
}

/// The field of a list's elements, or a map's entries.
pub(super) fn element_of(data_type: &DataType) -> FieldRef {
    match data_type {
        DataType::List(field) | DataType::FixedSizeList(field, _) | DataType::Map(field, _) => {
            FieldRef::clone(field)
        }
        // Never so; no array can then be made, and that is an error.
        _ => FieldRef::new(arrow_schema::Field::new_list_field(DataType::Null, true)),
    }
}

/// The fields of a struct.
pub(super) fn fields_of(data_type: &DataType) -> ArrowFields {
    match data_type {
        DataType::Struct(fields) => fields.clone(),
        _ => ArrowFields::empty(),
    }
}

/// Parts that do not make an array of the mapping's type: a bug shows as this, never as a panic.
pub(super) fn not_an_array<E>(_: E) -> FieldError {
    FieldError {
        row: 0,
        fault: Fault::BadForm,
    }
}
