//! `timetz` and `interval` from the parts of a struct.

use arrow_array::cast::AsArray;
use arrow_array::types::{ArrowPrimitiveType, Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef, PrimitiveArray, StructArray};

use super::ColumnEncoder;
use super::fixed::{FixedEncoder, Source};
use crate::copy::error::Fault;
use crate::copy::form::time::{is_infinite_interval, is_timetz};

fn part<T: ArrowPrimitiveType>(
    array: &StructArray,
    index: usize,
    name: &str,
) -> Option<PrimitiveArray<T>> {
    let is_named = array.fields().get(index)?.name() == name;
    let part = array.column(index).as_primitive_opt::<T>()?;
    is_named.then(|| part.clone())
}

/// The part of a value, which has none of its own that are NULL.
#[inline(always)]
fn of<T: ArrowPrimitiveType>(part: &PrimitiveArray<T>, index: usize) -> Result<T::Native, Fault> {
    if part.is_null(index) {
        return Err(Fault::Foreign);
    }
    Ok(part.values()[index])
}

struct Timetz;

struct TimetzParts {
    micros: PrimitiveArray<Int64Type>,
    offsets: PrimitiveArray<Int32Type>,
}

impl Source<12> for Timetz {
    type Array = TimetzParts;

    fn bind(&self, array: &ArrayRef) -> Option<TimetzParts> {
        let array = array
            .as_struct_opt()
            .filter(|array| array.num_columns() == 2)?;
        Some(TimetzParts {
            micros: part(array, 0, "time_us")?,
            offsets: part(array, 1, "offset_s")?,
        })
    }

    fn get(&self, array: &TimetzParts, index: usize) -> Result<[u8; 12], Fault> {
        let (micros, east) = (of(&array.micros, index)?, of(&array.offsets, index)?);
        if !is_timetz(micros, east) {
            return Err(Fault::Foreign);
        }
        let mut wire = [0; 12];
        wire[..8].copy_from_slice(&micros.to_be_bytes());
        wire[8..].copy_from_slice(&(-east).to_be_bytes());
        Ok(wire)
    }
}

struct Interval;

struct IntervalParts {
    months: PrimitiveArray<Int32Type>,
    days: PrimitiveArray<Int32Type>,
    micros: PrimitiveArray<Int64Type>,
}

impl Source<16> for Interval {
    type Array = IntervalParts;

    fn bind(&self, array: &ArrayRef) -> Option<IntervalParts> {
        let array = array
            .as_struct_opt()
            .filter(|array| array.num_columns() == 3)?;
        Some(IntervalParts {
            months: part(array, 0, "months")?,
            days: part(array, 1, "days")?,
            micros: part(array, 2, "micros")?,
        })
    }

    fn get(&self, array: &IntervalParts, index: usize) -> Result<[u8; 16], Fault> {
        let months = of(&array.months, index)?;
        let days = of(&array.days, index)?;
        let micros = of(&array.micros, index)?;
        if is_infinite_interval(months, days, micros) {
            return Err(Fault::Foreign);
        }
        let mut wire = [0; 16];
        wire[..8].copy_from_slice(&micros.to_be_bytes());
        wire[8..12].copy_from_slice(&days.to_be_bytes());
        wire[12..].copy_from_slice(&months.to_be_bytes());
        Ok(wire)
    }
}

pub(super) fn timetz_encoder() -> Box<dyn ColumnEncoder> {
    FixedEncoder::boxed(Timetz)
}

pub(super) fn interval_encoder() -> Box<dyn ColumnEncoder> {
    FixedEncoder::boxed(Interval)
}
