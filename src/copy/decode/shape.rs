//! Geometric types: doubles end to end, bit for bit, into structs and lists of points.
//!
//! The wire forms are those of `point_send` and its like in PostgreSQL's `geo_ops.c`.

use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, Float64Array, ListArray, StructArray};
use arrow_schema::{DataType, FieldRef, Fields as ArrowFields};

use super::parts::{Ends, Present, Wire, element_of, fields_of, not_an_array};
use super::validity::{Bits, Validity};
use super::{ColumnDecoder, Fields, Notes};
use crate::copy::error::{Fault, FieldError};
use crate::mapping::Codec;

/// Point, line, lseg, box, circle: a fixed number of doubles.
pub(super) struct DoublesDecoder {
    fields: ArrowFields,
    columns: Vec<Vec<f64>>,
    present: Present,
    validity: Validity,
}

impl DoublesDecoder {
    pub(super) fn new(codec: &Codec) -> Self {
        let fields = fields_of(&codec.arrow_type());
        Self {
            columns: vec![Vec::new(); fields.len()],
            fields,
            present: Present::default(),
            validity: Validity::default(),
        }
    }
}

impl ColumnDecoder for DoublesDecoder {
    fn decode(&mut self, fields: Fields<'_>, notes: &mut Notes) -> Result<(), FieldError> {
        let Self {
            columns, present, ..
        } = self;
        for column in columns.iter_mut() {
            column.reserve(fields.rows());
        }
        present.walk(fields, notes, |wire, _| {
            let Some(mut wire) = wire else {
                columns.iter_mut().for_each(|column| column.push(0.0));
                return Ok(());
            };
            if wire.left() != 8 * columns.len() {
                return Err(Fault::WrongLength);
            }
            for column in columns.iter_mut() {
                column.push(f64::from_be_bytes(wire.bytes()?));
            }
            Ok(())
        })?;
        present.append_to(&mut self.validity);
        Ok(())
    }

    fn finish(&mut self) -> Result<ArrayRef, FieldError> {
        let columns = self.columns.iter_mut().map(take_doubles).collect();
        StructArray::try_new(self.fields.clone(), columns, self.validity.take())
            .map(|array| Arc::new(array) as ArrayRef)
            .map_err(not_an_array)
    }
}

fn take_doubles(values: &mut Vec<f64>) -> ArrayRef {
    let capacity = values.len();
    let values = std::mem::replace(values, Vec::with_capacity(capacity));
    Arc::new(Float64Array::from(values))
}

/// Points of each value, end to end.
struct Points {
    /// The field of one point.
    field: FieldRef,
    x: Vec<f64>,
    y: Vec<f64>,
    ends: Ends,
}

impl Points {
    fn new(field: FieldRef) -> Self {
        Self {
            field,
            x: Vec::new(),
            y: Vec::new(),
            ends: Ends::default(),
        }
    }

    /// Appends a count and as many points, which must be the rest of the value.
    #[inline]
    fn append(&mut self, wire: &mut Wire<'_>) -> Result<(), Fault> {
        let count = wire.count(16)?;
        for point in wire.items::<16>(count)? {
            if let ([x, y], []) = point.as_chunks::<8>() {
                self.x.push(f64::from_be_bytes(*x));
                self.y.push(f64::from_be_bytes(*y));
            }
        }
        self.ends.push(count)
    }

    fn take(&mut self, validity: &mut Validity) -> Result<ArrayRef, FieldError> {
        let columns = vec![take_doubles(&mut self.x), take_doubles(&mut self.y)];
        let points = StructArray::try_new(fields_of(self.field.data_type()), columns, None);
        let points = Arc::new(points.map_err(not_an_array)?);
        let (field, offsets) = (FieldRef::clone(&self.field), self.ends.take());
        ListArray::try_new(field, offsets, points, validity.take())
            .map(|array| Arc::new(array) as ArrayRef)
            .map_err(not_an_array)
    }
}

/// `poly_send`: a count and points.
pub(super) struct PolygonDecoder {
    points: Points,
    present: Present,
    validity: Validity,
}

impl PolygonDecoder {
    pub(super) fn new(codec: &Codec) -> Self {
        Self {
            points: Points::new(element_of(&codec.arrow_type())),
            present: Present::default(),
            validity: Validity::default(),
        }
    }
}

impl ColumnDecoder for PolygonDecoder {
    fn decode(&mut self, fields: Fields<'_>, notes: &mut Notes) -> Result<(), FieldError> {
        let points = &mut self.points;
        points.ends.begin(fields.rows());
        self.present.walk(fields, notes, |wire, _| match wire {
            Some(mut wire) => points.append(&mut wire),
            None => points.ends.push(0),
        })?;
        self.present.append_to(&mut self.validity);
        Ok(())
    }

    fn finish(&mut self) -> Result<ArrayRef, FieldError> {
        self.points.take(&mut self.validity)
    }
}

/// `path_send`: whether it is closed, a count and points.
pub(super) struct PathDecoder {
    fields: ArrowFields,
    closed: Bits,
    points: Points,
    present: Present,
    validity: Validity,
}

impl PathDecoder {
    pub(super) fn new(codec: &Codec) -> Self {
        let fields = fields_of(&codec.arrow_type());
        // A closed flag, then the points.
        let points = fields
            .get(1)
            .map_or(DataType::Null, |field| field.data_type().clone());
        Self {
            points: Points::new(element_of(&points)),
            fields,
            closed: Bits::default(),
            present: Present::default(),
            validity: Validity::default(),
        }
    }
}

impl ColumnDecoder for PathDecoder {
    fn decode(&mut self, fields: Fields<'_>, notes: &mut Notes) -> Result<(), FieldError> {
        let (points, closed) = (&mut self.points, &mut self.closed);
        points.ends.begin(fields.rows());
        self.present.walk(fields, notes, |wire, _| {
            let Some(mut wire) = wire else {
                closed.append(0, 1);
                return points.ends.push(0);
            };
            let [flag @ (0 | 1)] = wire.bytes()? else {
                return Err(Fault::BadForm);
            };
            closed.append(u64::from(flag), 1);
            points.append(&mut wire)
        })?;
        self.present.append_to(&mut self.validity);
        Ok(())
    }

    fn finish(&mut self) -> Result<ArrayRef, FieldError> {
        let closed = Arc::new(BooleanArray::new(self.closed.take(), None));
        let points = self.points.take(&mut Validity::default())?;
        let fields = self.fields.clone();
        StructArray::try_new(fields, vec![closed, points], self.validity.take())
            .map(|array| Arc::new(array) as ArrayRef)
            .map_err(not_an_array)
    }
}
