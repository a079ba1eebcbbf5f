//! Types of any length: `bytea` as it is, text checked to be UTF-8, versioned text without its version.

use std::sync::Arc;

use arrow_array::{ArrayRef, BinaryArray, StringArray};
use arrow_buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};

use super::validity::Validity;
use super::{ColumnDecoder, Field, Fields, Notes};
use crate::copy::error::{Fault, FieldError};
use crate::copy::frame::PAD_BYTES;

/// Values up to this length are copied at full width, which needs no call to `memcpy`.
const SHORT_BYTES: usize = 32;
const _: () = assert!(SHORT_BYTES <= PAD_BYTES);

/// `jsonb_send`, `jsonpath_send`, `ltree_send`: the one version of their binary forms.
const VERSION: u8 = 1;

/// Values end to end, and where each ends.
#[derive(Debug)]
pub(super) struct Values {
    /// Where value `i` ends is `offsets[i + 1]`.
    offsets: Vec<i32>,
    bytes: Vec<u8>,
    validity: Validity,
}

impl Default for Values {
    fn default() -> Self {
        Self {
            offsets: vec![0],
            bytes: Vec::new(),
            validity: Validity::default(),
        }
    }
}

impl Values {
    /// Appends a block: `append` adds one field's bytes, and says whether it is there.
    #[inline(always)]
    pub(super) fn decode(
        &mut self,
        fields: Fields<'_>,
        notes: &mut Notes,
        append: impl Fn(&mut Vec<u8>, Field<'_>) -> Result<bool, Fault>,
    ) -> Result<(), FieldError> {
        self.offsets.reserve(fields.rows());
        for (first_row, group) in fields.groups() {
            let mut mask = 0;
            for (bit, field) in group.fields().enumerate() {
                let before = self.bytes.len();
                let there = match append(&mut self.bytes, field) {
                    Ok(there) => there,
                    Err(fault) => {
                        notes.refuse(first_row + bit, fault)?;
                        self.bytes.truncate(before);
                        false
                    }
                };
                mask |= u64::from(there) << bit;
                self.offsets.push(self.bytes.len() as i32);
            }
            self.validity.append(mask, group.rows());
            // Batches are limited so that this seldom happens: ten bytes of numeric can be 131,072
            // characters. Offsets that wrapped must never be used.
            if i32::try_from(self.bytes.len()).is_err() {
                let (row, fault) = (first_row, Fault::ColumnTooLarge);
                return Err(FieldError { row, fault });
            }
        }
        Ok(())
    }

    fn take(&mut self) -> (OffsetBuffer<i32>, Buffer, Option<NullBuffer>) {
        let mut next = Vec::with_capacity(self.offsets.len());
        next.push(0);
        let offsets = std::mem::replace(&mut self.offsets, next);
        let bytes = std::mem::take(&mut self.bytes);
        // The next batch is likely as large; a giant value must not be expected again.
        self.bytes.reserve(bytes.len().min(1 << 20));
        (
            OffsetBuffer::new(ScalarBuffer::from(offsets)),
            Buffer::from_vec(bytes),
            self.validity.take(),
        )
    }

    /// Takes an array of bytes as they are.
    pub(super) fn take_binary(&mut self) -> ArrayRef {
        let (offsets, bytes, nulls) = self.take();
        Arc::new(BinaryArray::new(offsets, bytes, nulls))
    }

    /// Takes a text array, checked to be UTF-8.
    pub(super) fn take_text(&mut self) -> Result<ArrayRef, FieldError> {
        let (offsets, bytes, nulls) = self.take();
        match StringArray::try_new(offsets.clone(), bytes.clone(), nulls) {
            Ok(array) => Ok(Arc::new(array)),
            Err(_) => Err(find_not_utf8(&offsets, &bytes)),
        }
    }
}

/// Appends a field as it is.
#[inline(always)]
fn append_value(bytes: &mut Vec<u8>, field: Field<'_>) -> Result<bool, Fault> {
    let length = field.length as u32 as usize;
    match field.rest.first_chunk::<SHORT_BYTES>() {
        Some(wide) if length <= SHORT_BYTES => {
            let end = bytes.len() + length;
            bytes.extend_from_slice(wide);
            bytes.truncate(end);
            Ok(true)
        }
        _ => match field.value() {
            Some(value) => {
                bytes.extend_from_slice(value);
                Ok(true)
            }
            None if field.is_null() => Ok(false),
            None => Err(Fault::WrongLength),
        },
    }
}

#[cold]
fn find_not_utf8(offsets: &OffsetBuffer<i32>, bytes: &[u8]) -> FieldError {
    let row = offsets
        .windows(2)
        .position(|ends| {
            let value = bytes.get(ends[0] as usize..ends[1] as usize);
            value.is_none_or(|value| simdutf8::basic::from_utf8(value).is_err())
        })
        .unwrap_or_default();
    let fault = Fault::NotUtf8;
    FieldError { row, fault }
}

/// `bytea`.
#[derive(Debug, Default)]
pub(super) struct BytesDecoder(Values);

impl ColumnDecoder for BytesDecoder {
    fn decode(&mut self, fields: Fields<'_>, notes: &mut Notes) -> Result<(), FieldError> {
        self.0.decode(fields, notes, append_value)
    }

    fn finish(&mut self) -> Result<ArrayRef, FieldError> {
        Ok(self.0.take_binary())
    }
}

/// Text, and `jsonb` and its like, which are text behind a version byte.
#[derive(Debug)]
pub(super) struct TextDecoder {
    values: Values,
    versioned: bool,
}

impl TextDecoder {
    pub(super) fn text() -> Self {
        Self {
            values: Values::default(),
            versioned: false,
        }
    }

    pub(super) fn versioned() -> Self {
        Self {
            values: Values::default(),
            versioned: true,
        }
    }
}

impl ColumnDecoder for TextDecoder {
    fn decode(&mut self, fields: Fields<'_>, notes: &mut Notes) -> Result<(), FieldError> {
        if self.versioned {
            self.values.decode(fields, notes, append_versioned)
        } else {
            self.values.decode(fields, notes, append_value)
        }
    }

    fn finish(&mut self) -> Result<ArrayRef, FieldError> {
        self.values.take_text()
    }
}

fn append_versioned(bytes: &mut Vec<u8>, field: Field<'_>) -> Result<bool, Fault> {
    match field.value() {
        Some([VERSION, text @ ..]) => {
            bytes.extend_from_slice(text);
            Ok(true)
        }
        Some([]) => Err(Fault::WrongLength),
        Some(_) => Err(Fault::BadVersion),
        None if field.is_null() => Ok(false),
        None => Err(Fault::WrongLength),
    }
}
