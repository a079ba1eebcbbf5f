//! Types of a fixed width with several parts: `timetz` and `interval`.
//!
//! Their wire forms are those of `timetz_send` in PostgreSQL's `date.c` and `interval_send` in its
//! `timestamp.c`.

use std::sync::Arc;

use arrow_array::{ArrayRef, Int32Array, Int64Array, StructArray};
use arrow_schema::DataType;

use super::validity::Validity;
use super::{ColumnDecoder, Fields, Notes};
use crate::copy::error::{Fault, FieldError};
use crate::copy::form::time::{is_infinite_interval, is_timetz};
use crate::mapping::Codec;

/// The parts of a value of `N` bytes, each in a vector of its own.
trait Parts<const N: usize>: Default + Send {
    /// Appends a value, unless it has a fault.
    fn append(&mut self, wire: [u8; N]) -> Result<(), Fault>;

    /// Appends what stands under a NULL.
    fn append_null(&mut self);

    /// Takes the vectors as arrays.
    fn take(&mut self) -> Vec<ArrayRef>;
}

struct StructDecoder<const N: usize, P> {
    parts: P,
    validity: Validity,
    data_type: DataType,
}

impl<const N: usize, P: Parts<N> + 'static> StructDecoder<N, P> {
    fn boxed(codec: &Codec) -> Box<dyn ColumnDecoder> {
        Box::new(Self {
            parts: P::default(),
            validity: Validity::default(),
            data_type: codec.arrow_type(),
        })
    }
}

impl<const N: usize, P: Parts<N>> ColumnDecoder for StructDecoder<N, P> {
    fn decode(&mut self, fields: Fields<'_>, notes: &mut Notes) -> Result<(), FieldError> {
        for (first_row, group) in fields.groups() {
            let mut mask = 0;
            for (bit, field) in group.fields().enumerate() {
                let appended = if field.length == N as i32 {
                    self.parts.append(field.first::<N>())
                } else if field.is_null() {
                    self.parts.append_null();
                    continue;
                } else {
                    Err(Fault::WrongLength)
                };
                match appended {
                    Ok(()) => mask |= 1 << bit,
                    Err(fault) => {
                        notes.refuse(first_row + bit, fault)?;
                        self.parts.append_null();
                    }
                }
            }
            self.validity.append(mask, group.rows());
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<ArrayRef, FieldError> {
        let DataType::Struct(fields) = &self.data_type else {
            let fault = Fault::BadForm;
            return Err(FieldError { row: 0, fault });
        };
        let nulls = self.validity.take();
        let array = StructArray::new(fields.clone(), self.parts.take(), nulls);
        Ok(Arc::new(array))
    }
}

#[derive(Debug, Default)]
struct Timetz {
    micros: Vec<i64>,
    offsets: Vec<i32>,
}

impl Parts<12> for Timetz {
    fn append(&mut self, wire: [u8; 12]) -> Result<(), Fault> {
        let [a, b, c, d, e, f, g, h, i, j, k, l] = wire;
        let micros = i64::from_be_bytes([a, b, c, d, e, f, g, h]);
        let west = i32::from_be_bytes([i, j, k, l]);
        let east = west.checked_neg().ok_or(Fault::BadTime)?;
        if !is_timetz(micros, east) {
            return Err(Fault::BadTime);
        }
        self.micros.push(micros);
        self.offsets.push(east);
        Ok(())
    }

    fn append_null(&mut self) {
        self.micros.push(0);
        self.offsets.push(0);
    }

    fn take(&mut self) -> Vec<ArrayRef> {
        vec![
            Arc::new(Int64Array::from(std::mem::take(&mut self.micros))),
            Arc::new(Int32Array::from(std::mem::take(&mut self.offsets))),
        ]
    }
}

#[derive(Debug, Default)]
struct Interval {
    months: Vec<i32>,
    days: Vec<i32>,
    micros: Vec<i64>,
}

impl Parts<16> for Interval {
    fn append(&mut self, wire: [u8; 16]) -> Result<(), Fault> {
        let wire = u128::from_be_bytes(wire);
        let (micros, days, months) = ((wire >> 64) as i64, (wire >> 32) as i32, wire as i32);
        if is_infinite_interval(months, days, micros) {
            return Err(Fault::Infinite);
        }
        self.months.push(months);
        self.days.push(days);
        self.micros.push(micros);
        Ok(())
    }

    fn append_null(&mut self) {
        self.months.push(0);
        self.days.push(0);
        self.micros.push(0);
    }

    fn take(&mut self) -> Vec<ArrayRef> {
        vec![
            Arc::new(Int32Array::from(std::mem::take(&mut self.months))),
            Arc::new(Int32Array::from(std::mem::take(&mut self.days))),
            Arc::new(Int64Array::from(std::mem::take(&mut self.micros))),
        ]
    }
}

pub(super) fn timetz_decoder() -> Box<dyn ColumnDecoder> {
    StructDecoder::<12, Timetz>::boxed(&Codec::Timetz)
}

pub(super) fn interval_decoder() -> Box<dyn ColumnDecoder> {
    StructDecoder::<16, Interval>::boxed(&Codec::Interval)
}
