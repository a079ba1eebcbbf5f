//! Geometric types: structs and lists of points as doubles end to end, bit for bit.

use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{Array, ArrayRef, BooleanArray, Float64Array};
use arrow_buffer::{NullBuffer, OffsetBuffer};

use super::WrongArray;
use super::parts::{nulls_of, struct_of};
use super::staged::Stage;
use crate::copy::error::Fault;

/// Point, line, lseg, box, circle.
pub(super) struct DoublesStage {
    names: &'static [&'static str],
    nulls: Option<NullBuffer>,
    columns: Vec<Float64Array>,
}

impl DoublesStage {
    pub(super) const fn new(names: &'static [&'static str]) -> Self {
        Self {
            names,
            nulls: None,
            columns: Vec::new(),
        }
    }
}

impl Stage for DoublesStage {
    fn bind(&mut self, array: &ArrayRef) -> Result<(), WrongArray> {
        let array = struct_of(array, self.names.iter().copied())?;
        let columns = array.columns().iter();
        let columns = columns.map(|column| column.as_primitive_opt::<Float64Type>().cloned());
        self.columns = columns.collect::<Option<_>>().ok_or(WrongArray)?;
        self.nulls = nulls_of(&array);
        Ok(())
    }

    fn append(&self, index: usize, out: &mut Vec<u8>) -> Result<bool, Fault> {
        if is_null(self.nulls.as_ref(), index) {
            return Ok(false);
        }
        for column in &self.columns {
            append_double(column, index, out)?;
        }
        Ok(true)
    }
}

fn is_null(nulls: Option<&NullBuffer>, index: usize) -> bool {
    nulls.is_some_and(|nulls| nulls.is_null(index))
}

#[inline]
fn append_double(column: &Float64Array, index: usize, out: &mut Vec<u8>) -> Result<(), Fault> {
    if column.is_null(index) {
        return Err(Fault::Foreign);
    }
    out.extend_from_slice(&column.value(index).to_be_bytes());
    Ok(())
}

/// A polygon: the number of points, and the points.
#[derive(Default)]
pub(super) struct PolygonStage(Option<Points>);

struct Points {
    offsets: OffsetBuffer<i32>,
    nulls: Option<NullBuffer>,
    point_nulls: Option<NullBuffer>,
    x: Float64Array,
    y: Float64Array,
}

impl Points {
    fn of(array: &ArrayRef) -> Result<Self, WrongArray> {
        let list = array.as_list_opt::<i32>().ok_or(WrongArray)?;
        let points = struct_of(list.values(), ["x", "y"])?;
        let column = |index: usize| {
            let column = points.column(index).as_primitive_opt::<Float64Type>();
            column.cloned().ok_or(WrongArray)
        };
        Ok(Self {
            offsets: list.offsets().clone(),
            nulls: nulls_of(list),
            point_nulls: nulls_of(&points),
            x: column(0)?,
            y: column(1)?,
        })
    }

    fn append(&self, index: usize, out: &mut Vec<u8>) -> Result<bool, Fault> {
        if is_null(self.nulls.as_ref(), index) {
            return Ok(false);
        }
        let points = self.offsets[index] as usize..self.offsets[index + 1] as usize;
        out.extend_from_slice(&(points.len() as u32).to_be_bytes());
        for point in points {
            if is_null(self.point_nulls.as_ref(), point) {
                return Err(Fault::Foreign);
            }
            append_double(&self.x, point, out)?;
            append_double(&self.y, point, out)?;
        }
        Ok(true)
    }
}

impl Stage for PolygonStage {
    fn bind(&mut self, array: &ArrayRef) -> Result<(), WrongArray> {
        self.0 = Some(Points::of(array)?);
        Ok(())
    }

    fn append(&self, index: usize, out: &mut Vec<u8>) -> Result<bool, Fault> {
        match &self.0 {
            Some(points) => points.append(index, out),
            None => Ok(false),
        }
    }
}

/// A path: whether it is closed, the number of points, and the points.
#[derive(Default)]
pub(super) struct PathStage(Option<Paths>);

struct Paths {
    nulls: Option<NullBuffer>,
    closed: BooleanArray,
    points: Points,
}

impl Stage for PathStage {
    fn bind(&mut self, array: &ArrayRef) -> Result<(), WrongArray> {
        let array = struct_of(array, ["closed", "points"])?;
        self.0 = Some(Paths {
            nulls: nulls_of(&array),
            closed: array.column(0).as_boolean_opt().ok_or(WrongArray)?.clone(),
            points: Points::of(array.column(1))?,
        });
        Ok(())
    }

    fn append(&self, index: usize, out: &mut Vec<u8>) -> Result<bool, Fault> {
        let Some(paths) = &self.0 else {
            return Ok(false);
        };
        if is_null(paths.nulls.as_ref(), index) {
            return Ok(false);
        }
        if paths.closed.is_null(index) {
            return Err(Fault::Foreign);
        }
        out.push(u8::from(paths.closed.value(index)));
        match paths.points.append(index, out)? {
            true => Ok(true),
            false => Err(Fault::Foreign),
        }
    }
}
