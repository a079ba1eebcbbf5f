//! `uuid`: sixteen bytes into the 36 characters that PostgreSQL shows.

use arrow_array::ArrayRef;

use super::bytes::Values;
use super::{ColumnDecoder, Field, Fields, Notes};
use crate::copy::error::{Fault, FieldError};

/// The two hex digits of each byte.
const HEX: [[u8; 2]; 256] = hex_table();

const fn hex_table() -> [[u8; 2]; 256] {
    let digits = b"0123456789abcdef";
    let mut table = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = [digits[byte >> 4], digits[byte & 15]];
        byte += 1;
    }
    table
}

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

/// Lower-case hex in groups of 8, 4, 4, 4 and 12 digits.
#[inline(always)]
fn uuid_text(uuid: [u8; 16]) -> [u8; 36] {
    /// Where each byte's digits stand.
    const PLACES: [usize; 16] = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34];
    let mut text = [b'-'; 36];
    let mut index = 0;
    while index < 16 {
        let [high, low] = HEX[uuid[index] as usize];
        text[PLACES[index]] = high;
        text[PLACES[index] + 1] = low;
        index += 1;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_what_postgresql_shows() {
        let uuid = 0x0123_4567_89ab_cdef_fedc_ba98_7654_3210_u128.to_be_bytes();
        let text = uuid_text(uuid);
        assert_eq!(&text, b"01234567-89ab-cdef-fedc-ba9876543210");
    }
}
