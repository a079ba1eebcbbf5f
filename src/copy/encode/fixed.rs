//! Types of a fixed width, and the loops that all such types share.

use arrow_array::cast::AsArray;
use arrow_array::types::{ArrowPrimitiveType, Int16Type, Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef, PrimitiveArray};

use super::{ColumnEncoder, LENGTH_BYTES, NULL_LENGTH, WrongArray};
use crate::copy::error::{Fault, FieldError};

/// Encodes values as exactly `N` bytes by `convert`.
pub(super) struct FixedEncoder<T: ArrowPrimitiveType, const N: usize, F> {
    convert: F,
    array: Option<PrimitiveArray<T>>,
}

impl<T, const N: usize, F> FixedEncoder<T, N, F>
where
    T: ArrowPrimitiveType,
    F: Fn(T::Native) -> Result<[u8; N], Fault> + Send + 'static,
{
    /// An encoder of arrays of `T`, whatever their time zone or scale.
    pub(super) fn boxed(convert: F) -> Box<dyn ColumnEncoder> {
        Box::new(Self {
            convert,
            array: None,
        })
    }
}

impl<T, const N: usize, F> ColumnEncoder for FixedEncoder<T, N, F>
where
    T: ArrowPrimitiveType,
    F: Fn(T::Native) -> Result<[u8; N], Fault> + Send + 'static,
{
    fn bind(&mut self, array: &ArrayRef) -> Result<(), WrongArray> {
        self.array = Some(array.as_primitive_opt::<T>().ok_or(WrongArray)?.clone());
        Ok(())
    }

    fn measure(&mut self, rows: &[u32], lengths: &mut [u32]) -> Result<(), FieldError> {
        let Some(array) = &self.array else {
            return Ok(());
        };
        let values = array.values();
        let nulls = array.nulls().filter(|nulls| nulls.null_count() > 0);
        for (row, length) in rows.iter().map(|row| *row as usize).zip(lengths) {
            if nulls.is_some_and(|nulls| nulls.is_null(row)) {
                *length = LENGTH_BYTES;
                continue;
            }
            (self.convert)(values[row]).map_err(|fault| FieldError { row, fault })?;
            *length = LENGTH_BYTES + N as u32;
        }
        Ok(())
    }

    fn write(&mut self, rows: &[u32], out: &mut [u8], cursors: &mut [u32]) {
        let Some(array) = &self.array else {
            return;
        };
        let values = array.values();
        let nulls = array.nulls().filter(|nulls| nulls.null_count() > 0);
        for (row, cursor) in rows.iter().map(|row| *row as usize).zip(cursors) {
            let at = *cursor as usize;
            if nulls.is_some_and(|nulls| nulls.is_null(row)) {
                out[at..at + 4].copy_from_slice(&NULL_LENGTH);
                *cursor += LENGTH_BYTES;
                continue;
            }
            let field = &mut out[at..at + 4 + N];
            field[..4].copy_from_slice(&(N as u32).to_be_bytes());
            // What could not be converted was refused when it was measured.
            field[4..].copy_from_slice(&(self.convert)(values[row]).unwrap_or([0; N]));
            *cursor += LENGTH_BYTES + N as u32;
        }
    }
}

pub(super) fn int16_encoder() -> Box<dyn ColumnEncoder> {
    FixedEncoder::<Int16Type, 2, _>::boxed(|value| Ok(value.to_be_bytes()))
}

pub(super) fn int32_encoder() -> Box<dyn ColumnEncoder> {
    FixedEncoder::<Int32Type, 4, _>::boxed(|value| Ok(value.to_be_bytes()))
}

pub(super) fn int64_encoder() -> Box<dyn ColumnEncoder> {
    FixedEncoder::<Int64Type, 8, _>::boxed(|value| Ok(value.to_be_bytes()))
}
