//! Types of a fixed width, and the loops that all such types share.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, UInt32Type,
};
use arrow_array::{Array, ArrayRef, BooleanArray, FixedSizeBinaryArray, PrimitiveArray};
use arrow_buffer::NullBuffer;

use super::bytes::Values;
use super::{ColumnEncoder, LENGTH_BYTES, NULL_LENGTH, WrongArray};
use crate::copy::error::{Fault, FieldError};
use crate::mapping::Codec;

/// Where values of exactly `N` bytes come from.
pub(super) trait Source<const N: usize>: Send {
    /// The array that is read.
    type Array: Send;

    /// The array of a column, if it is of the source's type.
    fn bind(&self, array: &ArrayRef) -> Option<Self::Array>;

    /// The value at `index`, which is not NULL.
    fn get(&self, array: &Self::Array, index: usize) -> Result<[u8; N], Fault>;
}

/// Encodes values of a source.
pub(super) struct FixedEncoder<const N: usize, S: Source<N>> {
    source: S,
    array: Option<S::Array>,
    nulls: Option<NullBuffer>,
}

impl<const N: usize, S: Source<N> + 'static> FixedEncoder<N, S> {
    pub(super) fn boxed(source: S) -> Box<dyn ColumnEncoder> {
        Box::new(Self {
            source,
            array: None,
            nulls: None,
        })
    }
}

impl<const N: usize, S: Source<N>> ColumnEncoder for FixedEncoder<N, S> {
    fn bind(&mut self, array: &ArrayRef) -> Result<(), WrongArray> {
        self.array = Some(self.source.bind(array).ok_or(WrongArray)?);
        self.nulls = array
            .nulls()
            .filter(|nulls| nulls.null_count() > 0)
            .cloned();
        Ok(())
    }

    fn measure(&mut self, rows: &[u32], lengths: &mut [u32]) -> Result<(), FieldError> {
        let Some(array) = &self.array else {
            return Ok(());
        };
        for (row, length) in rows.iter().map(|row| *row as usize).zip(lengths) {
            if self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
                *length = LENGTH_BYTES;
                continue;
            }
            let value = self.source.get(array, row);
            value.map_err(|fault| FieldError { row, fault })?;
            *length = LENGTH_BYTES + N as u32;
        }
        Ok(())
    }

    fn write(&mut self, rows: &[u32], out: &mut [u8], cursors: &mut [u32]) {
        let Some(array) = &self.array else {
            return;
        };
        for (row, cursor) in rows.iter().map(|row| *row as usize).zip(cursors) {
            let at = *cursor as usize;
            if self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
                out[at..at + 4].copy_from_slice(&NULL_LENGTH);
                *cursor += LENGTH_BYTES;
                continue;
            }
            let field = &mut out[at..at + 4 + N];
            field[..4].copy_from_slice(&(N as u32).to_be_bytes());
            // What has no bytes was refused when it was measured.
            field[4..].copy_from_slice(&self.source.get(array, row).unwrap_or([0; N]));
            *cursor += LENGTH_BYTES + N as u32;
        }
    }
}

/// Numbers, by `convert`.
struct Primitive<T, F> {
    convert: F,
    of: std::marker::PhantomData<fn() -> T>,
}

impl<T, const N: usize, F> Source<N> for Primitive<T, F>
where
    T: ArrowPrimitiveType,
    F: Fn(T::Native) -> Result<[u8; N], Fault> + Send,
{
    type Array = PrimitiveArray<T>;

    fn bind(&self, array: &ArrayRef) -> Option<Self::Array> {
        array.as_primitive_opt::<T>().cloned()
    }

    #[inline(always)]
    fn get(&self, array: &Self::Array, index: usize) -> Result<[u8; N], Fault> {
        (self.convert)(array.values()[index])
    }
}

/// An encoder of arrays of `T`, whatever their time zone.
pub(super) fn primitive_encoder<T, const N: usize, F>(convert: F) -> Box<dyn ColumnEncoder>
where
    T: ArrowPrimitiveType,
    F: Fn(T::Native) -> Result<[u8; N], Fault> + Send + 'static,
{
    FixedEncoder::<N, _>::boxed(Primitive::<T, F> {
        convert,
        of: std::marker::PhantomData,
    })
}

pub(super) fn char_encoder() -> Box<dyn ColumnEncoder> {
    primitive_encoder::<Int8Type, 1, _>(|value| Ok(value.to_be_bytes()))
}

pub(super) fn int16_encoder() -> Box<dyn ColumnEncoder> {
    primitive_encoder::<Int16Type, 2, _>(|value| Ok(value.to_be_bytes()))
}

pub(super) fn int32_encoder() -> Box<dyn ColumnEncoder> {
    primitive_encoder::<Int32Type, 4, _>(|value| Ok(value.to_be_bytes()))
}

pub(super) fn int64_encoder() -> Box<dyn ColumnEncoder> {
    primitive_encoder::<Int64Type, 8, _>(|value| Ok(value.to_be_bytes()))
}

pub(super) fn oid_encoder() -> Box<dyn ColumnEncoder> {
    primitive_encoder::<Int64Type, 4, _>(|value| {
        let oid = u32::try_from(value).map_err(|_| Fault::Foreign)?;
        Ok(oid.to_be_bytes())
    })
}

pub(super) fn uint32_encoder() -> Box<dyn ColumnEncoder> {
    primitive_encoder::<UInt32Type, 4, _>(|value| Ok(value.to_be_bytes()))
}

pub(super) fn float32_encoder() -> Box<dyn ColumnEncoder> {
    primitive_encoder::<Float32Type, 4, _>(|value| Ok(value.to_be_bytes()))
}

pub(super) fn float64_encoder() -> Box<dyn ColumnEncoder> {
    primitive_encoder::<Float64Type, 8, _>(|value| Ok(value.to_be_bytes()))
}

/// Bits as bytes of 0 and 1.
struct Bits;

impl Source<1> for Bits {
    type Array = BooleanArray;

    fn bind(&self, array: &ArrayRef) -> Option<Self::Array> {
        array.as_boolean_opt().cloned()
    }

    #[inline(always)]
    fn get(&self, array: &Self::Array, index: usize) -> Result<[u8; 1], Fault> {
        Ok([u8::from(array.values().value(index))])
    }
}

pub(super) fn bool_encoder() -> Box<dyn ColumnEncoder> {
    FixedEncoder::boxed(Bits)
}

/// Units of money; an array of another scale would be other amounts.
struct Money {
    scale: u8,
}

impl Source<8> for Money {
    type Array = PrimitiveArray<Decimal128Type>;

    fn bind(&self, array: &ArrayRef) -> Option<Self::Array> {
        let data_type = Codec::Money { scale: self.scale }.arrow_type();
        let array = array.as_primitive_opt::<Decimal128Type>()?;
        (*array.data_type() == data_type).then(|| array.clone())
    }

    #[inline(always)]
    fn get(&self, array: &Self::Array, index: usize) -> Result<[u8; 8], Fault> {
        let units = i64::try_from(array.values()[index]).map_err(|_| Fault::Foreign)?;
        Ok(units.to_be_bytes())
    }
}

pub(super) fn money_encoder(scale: u8) -> Box<dyn ColumnEncoder> {
    FixedEncoder::boxed(Money { scale })
}

/// Bytes as they are.
struct Raw;

impl<const N: usize> Source<N> for Raw {
    type Array = FixedSizeBinaryArray;

    fn bind(&self, array: &ArrayRef) -> Option<Self::Array> {
        let array = array.as_fixed_size_binary_opt()?;
        (array.value_length() == N as i32).then(|| array.clone())
    }

    #[inline(always)]
    fn get(&self, array: &Self::Array, index: usize) -> Result<[u8; N], Fault> {
        array.value(index).try_into().map_err(|_| Fault::Foreign)
    }
}

pub(super) fn raw_encoder<const N: usize>() -> Box<dyn ColumnEncoder> {
    FixedEncoder::<N, _>::boxed(Raw)
}

/// Bytes by `convert`.
struct Converted<const FROM: usize, F> {
    convert: F,
}

impl<const FROM: usize, const N: usize, F> Source<N> for Converted<FROM, F>
where
    F: Fn([u8; FROM]) -> [u8; N] + Send,
{
    type Array = FixedSizeBinaryArray;

    fn bind(&self, array: &ArrayRef) -> Option<Self::Array> {
        Source::<FROM>::bind(&Raw, array)
    }

    #[inline(always)]
    fn get(&self, array: &Self::Array, index: usize) -> Result<[u8; N], Fault> {
        Ok((self.convert)(Source::<FROM>::get(&Raw, array, index)?))
    }
}

/// `FROM` bytes of an array as `N` bytes.
pub(super) fn converted_encoder<const FROM: usize, const N: usize>(
    convert: impl Fn([u8; FROM]) -> [u8; N] + Send + 'static,
) -> Box<dyn ColumnEncoder> {
    FixedEncoder::<N, _>::boxed(Converted { convert })
}

/// Texts that show a value of `N` bytes.
struct Shown<F> {
    convert: F,
}

impl<const N: usize, F> Source<N> for Shown<F>
where
    F: Fn(&[u8]) -> Option<[u8; N]> + Send,
{
    type Array = Values;

    fn bind(&self, array: &ArrayRef) -> Option<Self::Array> {
        Values::of_text(array)
    }

    #[inline(always)]
    fn get(&self, array: &Self::Array, index: usize) -> Result<[u8; N], Fault> {
        let text = array.get(index).ok_or(Fault::Foreign)?;
        (self.convert)(text).ok_or(Fault::Foreign)
    }
}

/// An encoder of texts of which `convert` knows the bytes, of one text each.
pub(super) fn shown_encoder<const N: usize>(
    convert: impl Fn(&[u8]) -> Option<[u8; N]> + Send + 'static,
) -> Box<dyn ColumnEncoder> {
    FixedEncoder::<N, _>::boxed(Shown { convert })
}
