//! Types of any length: text and `bytea` as they are, versioned text behind its version.

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use arrow_buffer::{Buffer, NullBuffer, OffsetBuffer};
use arrow_schema::DataType;

use super::{ColumnEncoder, LENGTH_BYTES, NULL_LENGTH, WrongArray};
use crate::copy::error::FieldError;

/// The one version of versioned text.
const VERSION: u8 = 1;

/// Bytes as the array holds them, behind nothing or a version.
pub(super) struct BytesEncoder {
    data_type: DataType,
    versioned: bool,
    array: Option<Values>,
}

/// The values of a text or binary array.
pub(super) struct Values {
    offsets: OffsetBuffer<i32>,
    bytes: Buffer,
    nulls: Option<NullBuffer>,
}

impl BytesEncoder {
    pub(super) fn text() -> Self {
        Self::new(DataType::Utf8, false)
    }

    pub(super) fn versioned() -> Self {
        Self::new(DataType::Utf8, true)
    }

    pub(super) fn binary() -> Self {
        Self::new(DataType::Binary, false)
    }

    fn new(data_type: DataType, versioned: bool) -> Self {
        Self {
            data_type,
            versioned,
            array: None,
        }
    }
}

impl Values {
    /// The values of a text array; `None` when it is another.
    pub(super) fn of_text(array: &ArrayRef) -> Option<Self> {
        let array = array.as_string_opt::<i32>()?;
        Some(Self::of(array.offsets(), array.values(), array.nulls()))
    }

    fn of_binary(array: &ArrayRef) -> Option<Self> {
        let array = array.as_binary_opt::<i32>()?;
        Some(Self::of(array.offsets(), array.values(), array.nulls()))
    }

    fn of(offsets: &OffsetBuffer<i32>, bytes: &Buffer, nulls: Option<&NullBuffer>) -> Self {
        Self {
            offsets: offsets.clone(),
            bytes: bytes.clone(),
            nulls: nulls.filter(|nulls| nulls.null_count() > 0).cloned(),
        }
    }

    /// The value in `row`; `None` when it is NULL.
    #[inline(always)]
    pub(super) fn get(&self, row: usize) -> Option<&[u8]> {
        if self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            return None;
        }
        let (start, end) = (self.offsets[row] as usize, self.offsets[row + 1] as usize);
        Some(&self.bytes[start..end])
    }
}

impl ColumnEncoder for BytesEncoder {
    fn bind(&mut self, array: &ArrayRef) -> Result<(), WrongArray> {
        let values = match self.data_type {
            DataType::Utf8 => Values::of_text(array),
            _ => Values::of_binary(array),
        };
        self.array = Some(values.ok_or(WrongArray)?);
        Ok(())
    }

    fn measure(&mut self, rows: &[u32], lengths: &mut [u32]) -> Result<(), FieldError> {
        let Some(array) = &self.array else {
            return Ok(());
        };
        let before = LENGTH_BYTES + u32::from(self.versioned);
        for (row, length) in rows.iter().zip(lengths) {
            *length = match array.get(*row as usize) {
                Some(value) => before + value.len() as u32,
                None => LENGTH_BYTES,
            };
        }
        Ok(())
    }

    fn write(&mut self, rows: &[u32], out: &mut [u8], cursors: &mut [u32]) {
        let Some(array) = &self.array else {
            return;
        };
        let version = usize::from(self.versioned);
        for (row, cursor) in rows.iter().zip(cursors) {
            let at = *cursor as usize;
            let Some(value) = array.get(*row as usize) else {
                out[at..at + 4].copy_from_slice(&NULL_LENGTH);
                *cursor += LENGTH_BYTES;
                continue;
            };
            let length = version + value.len();
            let field = &mut out[at..at + 4 + length];
            field[..4].copy_from_slice(&(length as u32).to_be_bytes());
            if self.versioned {
                field[4] = VERSION;
            }
            field[4 + version..].copy_from_slice(value);
            *cursor += LENGTH_BYTES + length as u32;
        }
    }
}
