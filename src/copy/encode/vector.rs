//! pgvector's types: floats behind their number.

use arrow_array::cast::AsArray;
use arrow_array::types::{ArrowPrimitiveType, Float16Type, Float32Type, Int32Type};
use arrow_array::{Array, ArrayRef, Int32Array, PrimitiveArray};
use arrow_buffer::{NullBuffer, OffsetBuffer};

use super::parts::{nulls_of, struct_of};
use super::staged::{Stage, StagedEncoder};
use super::{ColumnEncoder, WrongArray};
use crate::copy::error::Fault;
use crate::copy::half_float::narrowed;

/// Where each value's elements lie.
enum Places {
    List(OffsetBuffer<i32>),
    Fixed(usize),
}

/// The lists of a column, by their elements.
struct Lists<T: ArrowPrimitiveType> {
    places: Places,
    nulls: Option<NullBuffer>,
    elements: PrimitiveArray<T>,
}

impl<T: ArrowPrimitiveType> Lists<T> {
    fn of(array: &ArrayRef, fixed: Option<u16>) -> Result<Self, WrongArray> {
        let (places, elements) = match fixed {
            Some(size) => {
                let list = array.as_fixed_size_list_opt().ok_or(WrongArray)?;
                if list.value_length() != i32::from(size) {
                    return Err(WrongArray);
                }
                (Places::Fixed(usize::from(size)), list.values())
            }
            None => {
                let list = array.as_list_opt::<i32>().ok_or(WrongArray)?;
                (Places::List(list.offsets().clone()), list.values())
            }
        };
        Ok(Self {
            places,
            nulls: nulls_of(array),
            elements: elements.as_primitive_opt::<T>().ok_or(WrongArray)?.clone(),
        })
    }

    /// The elements of a value, none of which may be NULL; `None` when it is NULL itself.
    fn get(&self, index: usize) -> Result<Option<&[T::Native]>, Fault> {
        if self
            .nulls
            .as_ref()
            .is_some_and(|nulls| nulls.is_null(index))
        {
            return Ok(None);
        }
        let places = match &self.places {
            Places::List(offsets) => offsets[index] as usize..offsets[index + 1] as usize,
            Places::Fixed(size) => index * size..(index + 1) * size,
        };
        let nulls = self.elements.nulls().filter(|nulls| nulls.null_count() > 0);
        if nulls.is_some_and(|nulls| places.clone().any(|place| nulls.is_null(place))) {
            return Err(Fault::Foreign);
        }
        Ok(Some(&self.elements.values()[places]))
    }
}

/// `vector` and `halfvec`: dimensions, two unused bytes, elements of `N` bytes.
pub(super) struct VectorStage<T: ArrowPrimitiveType, const N: usize, F> {
    convert: F,
    fixed: Option<u16>,
    lists: Option<Lists<T>>,
}

pub(super) fn vector_encoder(fixed: Option<u16>) -> Box<dyn ColumnEncoder> {
    VectorStage::<Float32Type, 4, _>::boxed(fixed, |value| Some(value.to_be_bytes()))
}

pub(super) fn halfvec_encoder(half: bool, fixed: Option<u16>) -> Box<dyn ColumnEncoder> {
    if half {
        VectorStage::<Float16Type, 2, _>::boxed(fixed, |value| Some(value.to_be_bytes()))
    } else {
        VectorStage::<Float32Type, 2, _>::boxed(fixed, |value| {
            narrowed(value).map(u16::to_be_bytes)
        })
    }
}

impl<T, const N: usize, F> VectorStage<T, N, F>
where
    T: ArrowPrimitiveType,
    F: Fn(T::Native) -> Option<[u8; N]> + Send + 'static,
{
    fn boxed(fixed: Option<u16>, convert: F) -> Box<dyn ColumnEncoder> {
        StagedEncoder::boxed(Self {
            convert,
            fixed,
            lists: None,
        })
    }
}

impl<T, const N: usize, F> Stage for VectorStage<T, N, F>
where
    T: ArrowPrimitiveType,
    F: Fn(T::Native) -> Option<[u8; N]> + Send + 'static,
{
    fn bind(&mut self, array: &ArrayRef) -> Result<(), WrongArray> {
        self.lists = Some(Lists::of(array, self.fixed)?);
        Ok(())
    }

    fn append(&self, index: usize, out: &mut Vec<u8>) -> Result<bool, Fault> {
        let elements = self.lists.as_ref().map(|lists| lists.get(index));
        let Some(elements) = elements.transpose()?.flatten() else {
            return Ok(false);
        };
        let dimensions = i16::try_from(elements.len()).map_err(|_| Fault::Foreign)?;
        out.extend_from_slice(&dimensions.to_be_bytes());
        out.extend_from_slice(&[0, 0]);
        out.reserve(elements.len() * N);
        for element in elements {
            let bytes = (self.convert)(*element).ok_or(Fault::Foreign)?;
            out.extend_from_slice(&bytes);
        }
        Ok(true)
    }
}

/// `sparsevec`: dimensions, the number of elements, four unused bytes, indices, values.
#[derive(Default)]
pub(super) struct SparsevecStage(Option<Sparse>);

struct Sparse {
    nulls: Option<NullBuffer>,
    dimensions: Int32Array,
    indices: Lists<Int32Type>,
    values: Lists<Float32Type>,
}

impl Stage for SparsevecStage {
    fn bind(&mut self, array: &ArrayRef) -> Result<(), WrongArray> {
        let array = struct_of(array, ["dimensions", "indices", "values"])?;
        let dimensions = array.column(0).as_primitive_opt::<Int32Type>();
        self.0 = Some(Sparse {
            nulls: nulls_of(&array),
            dimensions: dimensions.ok_or(WrongArray)?.clone(),
            indices: Lists::of(array.column(1), None)?,
            values: Lists::of(array.column(2), None)?,
        });
        Ok(())
    }

    fn append(&self, index: usize, out: &mut Vec<u8>) -> Result<bool, Fault> {
        let Some(array) = &self.0 else {
            return Ok(false);
        };
        if array
            .nulls
            .as_ref()
            .is_some_and(|nulls| nulls.is_null(index))
        {
            return Ok(false);
        }
        let (Some(indices), Some(values)) = (array.indices.get(index)?, array.values.get(index)?)
        else {
            return Err(Fault::Foreign);
        };
        if array.dimensions.is_null(index) || indices.len() != values.len() {
            return Err(Fault::Foreign);
        }
        for word in [array.dimensions.value(index), indices.len() as i32, 0] {
            out.extend_from_slice(&word.to_be_bytes());
        }
        for word in indices {
            out.extend_from_slice(&word.to_be_bytes());
        }
        for word in values {
            out.extend_from_slice(&word.to_be_bytes());
        }
        Ok(true)
    }
}
