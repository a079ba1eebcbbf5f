//! What all types with parts share: which parts a block takes, how long they are, where they go.

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, StructArray};
use arrow_buffer::NullBuffer;

use super::{ColumnEncoder, LENGTH_BYTES, NULL_LENGTH, WrongArray, column_encoder};
use crate::copy::error::{Fault, FieldError};
use crate::mapping::Codec;

/// Parts that memory is kept for from block to block.
const KEPT_PARTS: usize = 64 << 10;

/// Parts of one kind.
pub(super) struct Part {
    encoder: Box<dyn ColumnEncoder>,
    nulls: Option<NullBuffer>,
    /// The block's parts, indexes into the bound array.
    rows: Vec<u32>,
    /// The length of each one's field; once it is placed, where it is written.
    lengths: Vec<u32>,
    placed: usize,
}

impl Part {
    pub(super) fn of(codec: &Codec) -> Self {
        Self::new(column_encoder(codec))
    }

    pub(super) fn new(encoder: Box<dyn ColumnEncoder>) -> Self {
        Self {
            encoder,
            nulls: None,
            rows: Vec::new(),
            lengths: Vec::new(),
            placed: 0,
        }
    }

    pub(super) fn bind(&mut self, array: &ArrayRef) -> Result<(), WrongArray> {
        self.nulls = array.logical_nulls().filter(|nulls| nulls.null_count() > 0);
        self.encoder.bind(array)
    }

    #[inline]
    pub(super) fn is_null(&self, row: u32) -> bool {
        let nulls = self.nulls.as_ref();
        nulls.is_some_and(|nulls| nulls.is_null(row as usize))
    }

    /// Begins a block.
    pub(super) fn begin(&mut self) {
        self.placed = 0;
        for kept in [&mut self.rows, &mut self.lengths] {
            kept.clear();
            if kept.capacity() > KEPT_PARTS {
                kept.shrink_to(KEPT_PARTS);
            }
        }
    }

    /// Takes these parts, after those taken before.
    #[inline]
    pub(super) fn select(&mut self, rows: impl Iterator<Item = u32>) {
        self.rows.extend(rows);
    }

    /// Measures the parts taken. `row_of` tells whose value a part belongs to.
    pub(super) fn measure(&mut self, row_of: impl Fn(usize) -> usize) -> Result<(), FieldError> {
        self.lengths.resize(self.rows.len(), 0);
        let measured = self.encoder.measure(&self.rows, &mut self.lengths);
        measured.map_err(|error| FieldError {
            row: row_of(error.row),
            fault: error.fault,
        })
    }

    /// The length of each part measured, until they are placed.
    pub(super) fn lengths(&self) -> &[u32] {
        &self.lengths
    }

    /// Places the next part of the block at the cursor, and moves that behind it.
    #[inline]
    pub(super) fn place(&mut self, cursor: &mut u32) {
        if let Some(length) = self.lengths.get_mut(self.placed) {
            let bytes = std::mem::replace(length, *cursor);
            *cursor += bytes;
            self.placed += 1;
        }
    }

    /// Writes all parts; each has been placed.
    pub(super) fn write(&mut self, out: &mut [u8]) {
        self.encoder.write(&self.rows, out, &mut self.lengths);
    }
}

/// A value that no decoder makes.
pub(super) const fn foreign(row: usize) -> FieldError {
    let fault = Fault::Foreign;
    FieldError { row, fault }
}

/// The bytes of a field, length word included, whose value takes so many.
pub(super) fn field_bytes(value: u64, row: usize) -> Result<u32, FieldError> {
    match i32::try_from(value) {
        Ok(value) => Ok(LENGTH_BYTES + value as u32),
        Err(_) => Err(foreign(row)),
    }
}

/// Writes a NULL at the cursor.
#[inline]
pub(super) fn write_null(out: &mut [u8], cursor: &mut u32) {
    put(out, cursor, NULL_LENGTH);
}

/// Writes bytes at the cursor.
#[inline]
pub(super) fn put<const N: usize>(out: &mut [u8], cursor: &mut u32, bytes: [u8; N]) {
    let at = *cursor as usize;
    out[at..at + N].copy_from_slice(&bytes);
    *cursor += N as u32;
}

/// The struct that an array is, if its columns have these names.
pub(super) fn struct_of<'a>(
    array: &ArrayRef,
    names: impl IntoIterator<Item = &'a str>,
) -> Result<StructArray, WrongArray> {
    let array = array.as_struct_opt().ok_or(WrongArray)?;
    let fields = array.fields().iter().map(|field| field.name().as_str());
    if fields.eq(names) {
        Ok(array.clone())
    } else {
        Err(WrongArray)
    }
}

/// The NULLs of an array, if it has any.
pub(super) fn nulls_of(array: &dyn Array) -> Option<NullBuffer> {
    let nulls = array.nulls().filter(|nulls| nulls.null_count() > 0);
    nulls.cloned()
}
