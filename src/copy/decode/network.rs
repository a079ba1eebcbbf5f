//! `inet`, `cidr`, `macaddr` and `macaddr8` as the text that PostgreSQL shows.

use arrow_array::ArrayRef;

use super::bytes::Values;
use super::unsigned::ShownDecoder;
use super::{ColumnDecoder, Fields, Notes};
use crate::copy::error::{Fault, FieldError};
use crate::copy::form::address::Network;
use crate::copy::form::hex::append_colons;

#[derive(Debug)]
pub(super) struct NetworkDecoder {
    is_cidr: bool,
    values: Values,
}

impl NetworkDecoder {
    pub(super) fn inet() -> Self {
        Self {
            is_cidr: false,
            values: Values::default(),
        }
    }

    pub(super) fn cidr() -> Self {
        Self {
            is_cidr: true,
            values: Values::default(),
        }
    }
}

impl ColumnDecoder for NetworkDecoder {
    fn decode(&mut self, fields: Fields<'_>, notes: &mut Notes) -> Result<(), FieldError> {
        let is_cidr = self.is_cidr;
        self.values.decode(fields, notes, |text, field| {
            match field.value() {
                Some(wire) => Network::from_wire(wire, is_cidr)?.append_text(is_cidr, text),
                None if field.is_null() => return Ok(false),
                None => return Err(Fault::WrongLength),
            }
            Ok(true)
        })
    }

    fn finish(&mut self) -> Result<ArrayRef, FieldError> {
        self.values.take_text()
    }
}

pub(super) fn macaddr_decoder() -> Box<dyn ColumnDecoder> {
    ShownDecoder::<6, _>::boxed(append_colons::<6>)
}

pub(super) fn macaddr8_decoder() -> Box<dyn ColumnDecoder> {
    ShownDecoder::<8, _>::boxed(append_colons::<8>)
}
