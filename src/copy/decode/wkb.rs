//! PostGIS geometries of one declared SRID: EWKB into ISO WKB.

use arrow_array::ArrayRef;

use super::bytes::Values;
use super::{ColumnDecoder, Fields, Notes};
use crate::copy::error::{Fault, FieldError};
use crate::copy::wkb::to_iso;

#[derive(Debug)]
pub(super) struct WkbDecoder {
    values: Values,
    srid: i32,
}

impl WkbDecoder {
    pub(super) fn new(srid: i32) -> Self {
        Self {
            values: Values::default(),
            srid,
        }
    }
}

impl ColumnDecoder for WkbDecoder {
    fn decode(&mut self, fields: Fields<'_>, notes: &mut Notes) -> Result<(), FieldError> {
        let srid = self.srid;
        self.values
            .decode(fields, notes, |bytes, field| match field.value() {
                Some(ewkb) => to_iso(ewkb, srid, bytes).map(|()| true),
                None if field.is_null() => Ok(false),
                None => Err(Fault::WrongLength),
            })
    }

    fn finish(&mut self) -> Result<ArrayRef, FieldError> {
        Ok(self.values.take_binary())
    }
}
