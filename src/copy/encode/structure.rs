//! Composites and ranges: parts of several kinds, each behind its length.

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BooleanArray};
use arrow_buffer::NullBuffer;

use super::parts::{Part, field_bytes, foreign, nulls_of, put, struct_of, write_null};
use super::{ColumnEncoder, LENGTH_BYTES, WrongArray, column_encoder};
use crate::copy::error::FieldError;
use crate::copy::range_flags::{
    EMPTY, LOWER_INCLUSIVE, LOWER_INFINITE, UPPER_INCLUSIVE, UPPER_INFINITE, has_lower, has_upper,
    is_canonical,
};
use crate::mapping::{AttributeCodec, Codec};

/// Structs as `record_send` has them: the number of attributes, of each its oid and its value.
pub(super) struct CompositeEncoder {
    attributes: Vec<Attribute>,
    nulls: Option<NullBuffer>,
    /// The block's values that are there, and the bytes of their fields.
    there: Vec<u32>,
    bytes: Vec<u64>,
    /// The length of each field of one attribute.
    lengths: Vec<u32>,
    cursors: Vec<u32>,
}

struct Attribute {
    name: String,
    oid: u32,
    encoder: Box<dyn ColumnEncoder>,
}

impl CompositeEncoder {
    pub(super) fn new(attributes: &[AttributeCodec]) -> Self {
        let attributes = attributes.iter().map(|attribute| Attribute {
            name: attribute.name.clone(),
            oid: attribute.oid,
            encoder: column_encoder(&attribute.codec),
        });
        Self {
            attributes: attributes.collect(),
            nulls: None,
            there: Vec::new(),
            bytes: Vec::new(),
            lengths: Vec::new(),
            cursors: Vec::new(),
        }
    }
}

fn is_null(nulls: Option<&NullBuffer>, row: u32) -> bool {
    nulls.is_some_and(|nulls| nulls.is_null(row as usize))
}

impl ColumnEncoder for CompositeEncoder {
    fn bind(&mut self, array: &ArrayRef) -> Result<(), WrongArray> {
        let names = self.attributes.iter().map(|one| one.name.as_str());
        let array = struct_of(array, names)?;
        for (attribute, column) in self.attributes.iter_mut().zip(array.columns()) {
            attribute.encoder.bind(column)?;
        }
        self.nulls = nulls_of(&array);
        Ok(())
    }

    fn measure(&mut self, rows: &[u32], lengths: &mut [u32]) -> Result<(), FieldError> {
        let nulls = self.nulls.as_ref();
        let there = rows.iter().filter(|row| !is_null(nulls, **row));
        self.there.clear();
        self.there.extend(there);
        self.bytes.clear();
        let oids = 4 * self.attributes.len() as u64;
        self.bytes.resize(self.there.len(), 4 + oids);
        self.lengths.resize(self.there.len(), 0);
        for attribute in &mut self.attributes {
            attribute.encoder.measure(&self.there, &mut self.lengths)?;
            for (bytes, length) in self.bytes.iter_mut().zip(&self.lengths) {
                *bytes += u64::from(*length);
            }
        }
        let mut bytes = self.bytes.iter();
        for (row, length) in rows.iter().zip(lengths) {
            *length = match bytes.as_slice().first().filter(|_| !is_null(nulls, *row)) {
                Some(value) => {
                    bytes.next();
                    field_bytes(*value, *row as usize)?
                }
                None => LENGTH_BYTES,
            };
        }
        Ok(())
    }

    fn write(&mut self, rows: &[u32], out: &mut [u8], cursors: &mut [u32]) {
        let nulls = self.nulls.as_ref();
        let count = self.attributes.len() as u32;
        let mut bytes = self.bytes.iter();
        self.cursors.clear();
        for (row, cursor) in rows.iter().zip(&mut *cursors) {
            if is_null(nulls, *row) {
                write_null(out, cursor);
            } else if let Some(value) = bytes.next() {
                put(out, cursor, (*value as u32).to_be_bytes());
                put(out, cursor, count.to_be_bytes());
                self.cursors.push(*cursor);
                *cursor += *value as u32 - 4;
            }
        }
        for attribute in &mut self.attributes {
            for cursor in &mut self.cursors {
                put(out, cursor, attribute.oid.to_be_bytes());
            }
            attribute.encoder.write(&self.there, out, &mut self.cursors);
        }
    }
}

/// Structs as `range_send` has them: flags, the bounds that there are.
pub(super) struct RangeEncoder {
    lower: Part,
    upper: Part,
    array: Option<Ranges>,
    /// The flags of the block's values, and the bytes of their fields; of NULLs, neither counts.
    flags: Vec<u8>,
    lengths: Vec<u32>,
}

struct Ranges {
    nulls: Option<NullBuffer>,
    lower_inclusive: BooleanArray,
    upper_inclusive: BooleanArray,
    empty: BooleanArray,
}

impl RangeEncoder {
    pub(super) fn new(bound: &Codec) -> Self {
        Self {
            lower: Part::of(bound),
            upper: Part::of(bound),
            array: None,
            flags: Vec::new(),
            lengths: Vec::new(),
        }
    }

    /// The flags of a value, where some range can have them.
    #[inline]
    fn flags_of(&self, array: &Ranges, row: u32) -> Result<u8, FieldError> {
        let at = row as usize;
        let columns = [&array.lower_inclusive, &array.upper_inclusive, &array.empty];
        if columns.iter().any(|column| column.is_null(at)) {
            return Err(foreign(at));
        }
        let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
        let (is_empty, no_lower, no_upper) = (
            array.empty.value(at),
            self.lower.is_null(row),
            self.upper.is_null(row),
        );
        let mut flags = flag(array.lower_inclusive.value(at), LOWER_INCLUSIVE)
            | flag(array.upper_inclusive.value(at), UPPER_INCLUSIVE);
        if is_empty && no_lower && no_upper {
            flags |= EMPTY;
        } else if is_empty {
            return Err(foreign(at));
        } else {
            flags |= flag(no_lower, LOWER_INFINITE) | flag(no_upper, UPPER_INFINITE);
        }
        if is_canonical(flags) {
            Ok(flags)
        } else {
            Err(foreign(at))
        }
    }
}

impl ColumnEncoder for RangeEncoder {
    fn bind(&mut self, array: &ArrayRef) -> Result<(), WrongArray> {
        let names = ["lower", "upper", "lower_inc", "upper_inc", "empty"];
        let array = struct_of(array, names)?;
        let flag = |index: usize| array.column(index).as_boolean_opt().cloned();
        self.array = Some(Ranges {
            nulls: nulls_of(&array),
            lower_inclusive: flag(2).ok_or(WrongArray)?,
            upper_inclusive: flag(3).ok_or(WrongArray)?,
            empty: flag(4).ok_or(WrongArray)?,
        });
        self.lower.bind(array.column(0))?;
        self.upper.bind(array.column(1))
    }

    fn measure(&mut self, rows: &[u32], lengths: &mut [u32]) -> Result<(), FieldError> {
        let Some(array) = self.array.take() else {
            return Ok(());
        };
        self.lower.begin();
        self.upper.begin();
        self.flags.clear();
        for row in rows {
            let flags = if is_null(array.nulls.as_ref(), *row) {
                EMPTY
            } else {
                self.flags_of(&array, *row)?
            };
            self.flags.push(flags);
            self.lower
                .select(has_lower(flags).then_some(*row).into_iter());
            self.upper
                .select(has_upper(flags).then_some(*row).into_iter());
        }
        self.lower.measure(|row| row)?;
        self.upper.measure(|row| row)?;
        let (mut lower, mut upper) = (self.lower.lengths().iter(), self.upper.lengths().iter());
        for ((row, flags), length) in rows.iter().zip(&self.flags).zip(&mut *lengths) {
            if is_null(array.nulls.as_ref(), *row) {
                *length = LENGTH_BYTES;
                continue;
            }
            let mut bytes = 1;
            for (is_there, bounds) in [
                (has_lower(*flags), &mut lower),
                (has_upper(*flags), &mut upper),
            ] {
                let bound = if is_there { bounds.next() } else { None };
                bytes += bound.map_or(0, |length| u64::from(*length));
            }
            *length = field_bytes(bytes, *row as usize)?;
        }
        self.lengths.clear();
        self.lengths.extend_from_slice(lengths);
        self.array = Some(array);
        Ok(())
    }

    fn write(&mut self, rows: &[u32], out: &mut [u8], cursors: &mut [u32]) {
        let Some(array) = &self.array else {
            return;
        };
        let values = rows.iter().zip(&self.flags).zip(&self.lengths);
        for (((row, flags), length), cursor) in values.zip(cursors) {
            if is_null(array.nulls.as_ref(), *row) {
                write_null(out, cursor);
                continue;
            }
            put(out, cursor, (length - LENGTH_BYTES).to_be_bytes());
            put(out, cursor, [*flags]);
            if has_lower(*flags) {
                self.lower.place(cursor);
            }
            if has_upper(*flags) {
                self.upper.place(cursor);
            }
        }
        self.lower.write(out);
        self.upper.write(out);
    }
}
