//! Types of a fixed width: integers, floats, oid, money, "char"; and the loop that all such types share.

use std::sync::Arc;

use arrow_array::types::{
    ArrowPrimitiveType, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, UInt32Type,
};
use arrow_array::{ArrayRef, PrimitiveArray};
use arrow_buffer::ScalarBuffer;

use super::validity::{Validity, low_bits};
use super::{ColumnDecoder, Fields, Group, Notes};
use crate::copy::error::{Fault, FieldError};
use crate::mapping::Codec;

/// Gives an array the data type of its column.
type Wrap<T> = Box<dyn Fn(PrimitiveArray<T>) -> PrimitiveArray<T> + Send>;

/// Decodes values of exactly `N` bytes by `convert`.
pub(super) struct FixedDecoder<T: ArrowPrimitiveType, const N: usize, F> {
    convert: F,
    wrap: Wrap<T>,
    values: Vec<T::Native>,
    validity: Validity,
}

impl<T, const N: usize, F> FixedDecoder<T, N, F>
where
    T: ArrowPrimitiveType,
    F: Fn([u8; N]) -> Result<T::Native, Fault> + Send + 'static,
{
    /// A decoder whose arrays have the data type that `wrap` gives them.
    pub(super) fn boxed(
        convert: F,
        wrap: impl Fn(PrimitiveArray<T>) -> PrimitiveArray<T> + Send + 'static,
    ) -> Box<dyn ColumnDecoder> {
        Box::new(Self {
            convert,
            wrap: Box::new(wrap),
            values: Vec::new(),
            validity: Validity::default(),
        })
    }

    /// Appends a group and returns which values are there, and which are NULL.
    #[inline]
    fn decode_group(&mut self, group: Group<'_>) -> (u64, u64) {
        let convert = &self.convert;
        let (mut there, mut null) = (0, 0);
        let mut bit = 0;
        self.values.extend(group.fields().map(|field| {
            let value = convert(field.first::<N>());
            let is_there = field.length == N as i32 && value.is_ok();
            there |= u64::from(is_there) << bit;
            null |= u64::from(field.is_null()) << bit;
            bit += 1;
            match value {
                Ok(value) if is_there => value,
                _ => T::Native::default(),
            }
        }));
        (there, null)
    }

    /// What is wrong in a group where something is neither there nor NULL.
    #[cold]
    fn find_faults(
        &self,
        group: Group<'_>,
        first_row: usize,
        notes: &mut Notes,
    ) -> Result<(), FieldError> {
        for (row, field) in group.fields().enumerate() {
            let row = first_row + row;
            if field.is_null() {
                continue;
            }
            if field.length != N as i32 {
                let fault = Fault::WrongLength;
                return Err(FieldError { row, fault });
            }
            if let Err(fault) = (self.convert)(field.first::<N>()) {
                notes.refuse(row, fault)?;
            }
        }
        Ok(())
    }
}

impl<T, const N: usize, F> ColumnDecoder for FixedDecoder<T, N, F>
where
    T: ArrowPrimitiveType,
    F: Fn([u8; N]) -> Result<T::Native, Fault> + Send + 'static,
{
    fn decode(&mut self, fields: Fields<'_>, notes: &mut Notes) -> Result<(), FieldError> {
        self.values.reserve(fields.rows());
        for (first_row, group) in fields.groups() {
            let (there, null) = self.decode_group(group);
            let rows = group.rows();
            if there | null != low_bits(rows) {
                self.find_faults(group, first_row, notes)?;
            }
            self.validity.append(there, rows);
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<ArrayRef, FieldError> {
        let capacity = self.values.len();
        let values = std::mem::replace(&mut self.values, Vec::with_capacity(capacity));
        let array = PrimitiveArray::<T>::new(ScalarBuffer::from(values), self.validity.take());
        Ok(Arc::new((self.wrap)(array)))
    }
}

pub(super) fn char_decoder() -> Box<dyn ColumnDecoder> {
    FixedDecoder::<Int8Type, 1, _>::boxed(|bytes| Ok(i8::from_be_bytes(bytes)), |array| array)
}

pub(super) fn int16_decoder() -> Box<dyn ColumnDecoder> {
    FixedDecoder::<Int16Type, 2, _>::boxed(|bytes| Ok(i16::from_be_bytes(bytes)), |array| array)
}

pub(super) fn int32_decoder() -> Box<dyn ColumnDecoder> {
    FixedDecoder::<Int32Type, 4, _>::boxed(|bytes| Ok(i32::from_be_bytes(bytes)), |array| array)
}

pub(super) fn int64_decoder() -> Box<dyn ColumnDecoder> {
    FixedDecoder::<Int64Type, 8, _>::boxed(|bytes| Ok(i64::from_be_bytes(bytes)), |array| array)
}

pub(super) fn oid_decoder() -> Box<dyn ColumnDecoder> {
    FixedDecoder::<Int64Type, 4, _>::boxed(
        |bytes| Ok(i64::from(u32::from_be_bytes(bytes))),
        |array| array,
    )
}

pub(super) fn uint32_decoder() -> Box<dyn ColumnDecoder> {
    FixedDecoder::<UInt32Type, 4, _>::boxed(|bytes| Ok(u32::from_be_bytes(bytes)), |array| array)
}

/// `money` counts the smallest units of its currency; `scale` says how many digits those are.
pub(super) fn money_decoder(scale: u8) -> Box<dyn ColumnDecoder> {
    let data_type = Codec::Money { scale }.arrow_type();
    FixedDecoder::<Decimal128Type, 8, _>::boxed(
        |bytes| Ok(i128::from(i64::from_be_bytes(bytes))),
        move |array| array.with_data_type(data_type.clone()),
    )
}

pub(super) fn float32_decoder() -> Box<dyn ColumnDecoder> {
    FixedDecoder::<Float32Type, 4, _>::boxed(|bytes| Ok(f32::from_be_bytes(bytes)), |array| array)
}

pub(super) fn float64_decoder() -> Box<dyn ColumnDecoder> {
    FixedDecoder::<Float64Type, 8, _>::boxed(|bytes| Ok(f64::from_be_bytes(bytes)), |array| array)
}
