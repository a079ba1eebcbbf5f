//! `uuid`: sixteen bytes into the 36 characters that PostgreSQL shows.

use arrow_array::ArrayRef;

use super::bytes::Values;
use super::{ColumnDecoder, Field, Fields, Notes};
use crate::copy::error::{Fault, FieldError};
use crate::copy::form::hex::uuid_text;

#[derive(Debug, Default)]
pub(super) struct UuidDecoder(Values);

impl ColumnDecoder for UuidDecoder {
    fn decode(&mut self, fields: Fields<'_>, notes: &mut Notes) -> Result<(), FieldError> {
        self.0.decode(fields, notes, append_uuid)
    }

    fn finish(&mut self) -> Result<ArrayRef, FieldError> {
        self.0.take_text()
    }
}

#[inline(always)]
fn append_uuid(bytes: &mut Vec<u8>, field: Field<'_>) -> Result<bool, Fault> {
    match field.length {
        16 => {
            bytes.extend_from_slice(&uuid_text(field.first::<16>()));
            Ok(true)
        }
        -1 => Ok(false),
        _ => Err(Fault::WrongLength),
    }
}
