//! pgvector's types: floats behind their number, into lists.
//!
//! The wire forms are those of `vector_send`, `halfvec_send` and `sparsevec_send` in pgvector's
//! `vector.c`, `halfvec.c` and `sparsevec.c`.

use std::sync::Arc;

use arrow_array::types::{ArrowPrimitiveType, Float16Type, Float32Type, Int32Type};
use arrow_array::{
    ArrayRef, FixedSizeListArray, Int32Array, ListArray, PrimitiveArray, StructArray,
};
use arrow_buffer::ScalarBuffer;
use arrow_schema::{FieldRef, Fields as ArrowFields};

use super::parts::{Ends, Present, element_of, fields_of, not_an_array};
use super::validity::Validity;
use super::{ColumnDecoder, Fields, Notes};
use crate::copy::error::{Fault, FieldError};
use crate::copy::half_float::widened;
use crate::mapping::Codec;

/// `vector` and `halfvec`: dimensions, two unused bytes, elements of `N` bytes.
pub(super) struct VectorDecoder<T: ArrowPrimitiveType, const N: usize, F> {
    convert: F,
    element: FieldRef,
    fixed: Option<u16>,
    values: Vec<T::Native>,
    ends: Ends,
    rows: usize,
    present: Present,
    validity: Validity,
}

pub(super) fn vector_decoder(codec: &Codec, fixed: Option<u16>) -> Box<dyn ColumnDecoder> {
    VectorDecoder::<Float32Type, 4, _>::boxed(codec, fixed, f32::from_be_bytes)
}

pub(super) fn halfvec_decoder(
    codec: &Codec,
    half: bool,
    fixed: Option<u16>,
) -> Box<dyn ColumnDecoder> {
    if half {
        type Half = <Float16Type as ArrowPrimitiveType>::Native;
        VectorDecoder::<Float16Type, 2, _>::boxed(codec, fixed, Half::from_be_bytes)
    } else {
        let convert = |bytes| widened(u16::from_be_bytes(bytes));
        VectorDecoder::<Float32Type, 2, _>::boxed(codec, fixed, convert)
    }
}

impl<T, const N: usize, F> VectorDecoder<T, N, F>
where
    T: ArrowPrimitiveType,
    F: Fn([u8; N]) -> T::Native + Send + 'static,
{
    fn boxed(codec: &Codec, fixed: Option<u16>, convert: F) -> Box<dyn ColumnDecoder> {
        Box::new(Self {
            convert,
            element: element_of(&codec.arrow_type()),
            fixed,
            values: Vec::new(),
            ends: Ends::default(),
            rows: 0,
            present: Present::default(),
            validity: Validity::default(),
        })
    }
}

impl<T, const N: usize, F> ColumnDecoder for VectorDecoder<T, N, F>
where
    T: ArrowPrimitiveType,
    F: Fn([u8; N]) -> T::Native + Send + 'static,
{
    fn decode(&mut self, fields: Fields<'_>, notes: &mut Notes) -> Result<(), FieldError> {
        let Self {
            convert,
            fixed,
            values,
            ends,
            present,
            ..
        } = self;
        // A list of a fixed length has its elements even where it is NULL.
        let missing = usize::from(fixed.unwrap_or(0));
        ends.begin(fields.rows());
        present.walk(fields, notes, |wire, _| {
            let Some(mut wire) = wire else {
                values.resize(values.len() + missing, T::Native::default());
                return ends.push(missing);
            };
            let dimensions = u16::from_be_bytes(wire.bytes()?);
            if wire.bytes::<2>()? != [0, 0] {
                return Err(Fault::NotCanonical);
            }
            if dimensions > i16::MAX as u16 || fixed.is_some_and(|fixed| fixed != dimensions) {
                return Err(Fault::BadForm);
            }
            let elements = wire.items::<N>(usize::from(dimensions))?;
            values.extend(elements.iter().map(|bytes| convert(*bytes)));
            ends.push(elements.len())
        })?;
        self.rows += fields.rows();
        self.present.append_to(&mut self.validity);
        Ok(())
    }

    fn finish(&mut self) -> Result<ArrayRef, FieldError> {
        let values: ArrayRef = Arc::new(take::<T>(&mut self.values));
        let (offsets, nulls) = (self.ends.take(), self.validity.take());
        let rows = std::mem::take(&mut self.rows);
        let field = FieldRef::clone(&self.element);
        match self.fixed {
            Some(size) => {
                let size = i32::from(size);
                FixedSizeListArray::try_new_with_length(field, size, values, nulls, rows)
                    .map(|array| Arc::new(array) as ArrayRef)
            }
            None => ListArray::try_new(field, offsets, values, nulls)
                .map(|array| Arc::new(array) as ArrayRef),
        }
        .map_err(not_an_array)
    }
}

fn take<T: ArrowPrimitiveType>(values: &mut Vec<T::Native>) -> PrimitiveArray<T> {
    let capacity = values.len();
    let values = std::mem::replace(values, Vec::with_capacity(capacity));
    PrimitiveArray::<T>::new(ScalarBuffer::from(values), None)
}

/// `sparsevec`: dimensions, the number of elements that are not 0, four unused bytes, their
/// indices, their values.
pub(super) struct SparsevecDecoder {
    fields: ArrowFields,
    dimensions: Vec<i32>,
    indices: Vec<i32>,
    values: Vec<f32>,
    ends: Ends,
    present: Present,
    validity: Validity,
}

impl SparsevecDecoder {
    pub(super) fn new(codec: &Codec) -> Self {
        Self {
            fields: fields_of(&codec.arrow_type()),
            dimensions: Vec::new(),
            indices: Vec::new(),
            values: Vec::new(),
            ends: Ends::default(),
            present: Present::default(),
            validity: Validity::default(),
        }
    }
}

impl ColumnDecoder for SparsevecDecoder {
    fn decode(&mut self, fields: Fields<'_>, notes: &mut Notes) -> Result<(), FieldError> {
        let Self {
            dimensions,
            indices,
            values,
            ends,
            present,
            ..
        } = self;
        ends.begin(fields.rows());
        present.walk(fields, notes, |wire, _| {
            let Some(mut wire) = wire else {
                dimensions.push(0);
                return ends.push(0);
            };
            dimensions.push(wire.int()?);
            let count = usize::try_from(wire.int()?).map_err(|_| Fault::BadForm)?;
            if wire.int()? != 0 {
                return Err(Fault::NotCanonical);
            }
            // The indices, then as many values.
            let both = wire.items::<4>(count.checked_mul(2).ok_or(Fault::BadForm)?)?;
            let (at, of) = both.split_at(count);
            indices.extend(at.iter().map(|bytes| i32::from_be_bytes(*bytes)));
            values.extend(of.iter().map(|bytes| f32::from_be_bytes(*bytes)));
            ends.push(count)
        })?;
        present.append_to(&mut self.validity);
        Ok(())
    }

    fn finish(&mut self) -> Result<ArrayRef, FieldError> {
        let offsets = self.ends.take();
        let dimensions: Int32Array = take::<Int32Type>(&mut self.dimensions);
        let lists: [ArrayRef; 2] = [
            Arc::new(take::<Int32Type>(&mut self.indices)),
            Arc::new(take::<Float32Type>(&mut self.values)),
        ];
        let mut columns: Vec<ArrayRef> = vec![Arc::new(dimensions)];
        for (field, values) in self.fields.iter().skip(1).zip(lists) {
            let element = element_of(field.data_type());
            let list = ListArray::try_new(element, offsets.clone(), values, None);
            columns.push(Arc::new(list.map_err(not_an_array)?));
        }
        StructArray::try_new(self.fields.clone(), columns, self.validity.take())
            .map(|array| Arc::new(array) as ArrayRef)
            .map_err(not_an_array)
    }
}
