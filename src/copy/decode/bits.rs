//! `bit` and `varbit` as text of `0` and `1`.
//!
//! The wire form is that of `varbit_send` in PostgreSQL's `varbit.c`: the number of bits, then the
//! bits, most significant first, the last byte filled up with zeros.

use arrow_array::ArrayRef;

use super::bytes::Values;
use super::{ColumnDecoder, Field, Fields, Notes};
use crate::copy::error::{Fault, FieldError};

#[derive(Debug, Default)]
pub(super) struct BitStringDecoder(Values);

impl ColumnDecoder for BitStringDecoder {
    fn decode(&mut self, fields: Fields<'_>, notes: &mut Notes) -> Result<(), FieldError> {
        self.0.decode(fields, notes, append_bits)
    }

    fn finish(&mut self) -> Result<ArrayRef, FieldError> {
        self.0.take_text()
    }
}

fn append_bits(text: &mut Vec<u8>, field: Field<'_>) -> Result<bool, Fault> {
    let wire = match field.value() {
        Some(wire) => wire,
        None if field.is_null() => return Ok(false),
        None => return Err(Fault::WrongLength),
    };
    let (count, bytes) = wire.split_first_chunk::<4>().ok_or(Fault::WrongLength)?;
    let count = usize::try_from(i32::from_be_bytes(*count)).map_err(|_| Fault::BadForm)?;
    if bytes.len() != count.div_ceil(8) {
        return Err(Fault::BadForm);
    }
    let end = text.len() + count;
    text.reserve(8 * bytes.len());
    for byte in bytes {
        let bits: [u8; 8] = std::array::from_fn(|bit| b'0' + (byte >> (7 - bit) & 1));
        text.extend_from_slice(&bits);
    }
    if text[end..].contains(&b'1') {
        return Err(Fault::NotCanonical);
    }
    text.truncate(end);
    Ok(true)
}
