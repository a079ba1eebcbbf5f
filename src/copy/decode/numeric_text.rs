//! `numeric` of any precision and scale, as the text that PostgreSQL shows.

use arrow_array::ArrayRef;

use super::bytes::Values;
use super::{ColumnDecoder, Field, Fields, Notes};
use crate::copy::error::{Fault, FieldError};
use crate::copy::form::numeric::{Digits, Numeric};

#[derive(Debug, Default)]
pub(super) struct NumericTextDecoder(Values);

impl ColumnDecoder for NumericTextDecoder {
    fn decode(&mut self, fields: Fields<'_>, notes: &mut Notes) -> Result<(), FieldError> {
        self.0.decode(fields, notes, append_numeric)
    }

    fn finish(&mut self) -> Result<ArrayRef, FieldError> {
        self.0.take_text()
    }
}

fn append_numeric(text: &mut Vec<u8>, field: Field<'_>) -> Result<bool, Fault> {
    let wire = match field.value() {
        Some(wire) => wire,
        None if field.is_null() => return Ok(false),
        None => return Err(Fault::WrongLength),
    };
    match Numeric::of(wire)? {
        Numeric::Special(special) => text.extend_from_slice(special.text()),
        Numeric::Number(digits) if !digits.are_sound() => return Err(Fault::BadDigits),
        Numeric::Number(digits) if !digits.end_within_scale() => return Err(Fault::NotCanonical),
        Numeric::Number(digits) => append_digits(digits, text),
    }
    Ok(true)
}

/// `numeric_out` of PostgreSQL's `numeric.c`: a zero before the point, `scale` digits after it. The
/// digits end within the scale.
fn append_digits(number: Digits<'_>, text: &mut Vec<u8>) {
    if number.negative {
        text.push(b'-');
    }
    let places = usize::try_from(i32::from(number.weight) + 1).unwrap_or(0);
    let (whole, fraction) = number.digits.split_at(places.min(number.digits.len()));
    match whole {
        [] => text.push(b'0'),
        [first, rest @ ..] => {
            let first = four_characters(*first);
            let zeros = first.iter().take_while(|digit| **digit == b'0').count();
            text.extend_from_slice(&first[zeros..]);
            append_groups(rest, text);
            text.resize(text.len() + 4 * (places - whole.len()), b'0');
        }
    }
    if number.scale > 0 {
        text.push(b'.');
        let end = text.len() + usize::from(number.scale);
        // Digits that begin below 10^-4 have zeros between them and the point.
        let before = usize::try_from(-1 - i32::from(number.weight)).unwrap_or(0);
        if !fraction.is_empty() {
            text.resize(text.len() + 4 * before, b'0');
            append_groups(fraction, text);
        }
        text.resize(end, b'0');
    }
}

fn append_groups(digits: &[[u8; 2]], text: &mut Vec<u8>) {
    text.reserve(4 * digits.len());
    for digit in digits {
        text.extend_from_slice(&four_characters(*digit));
    }
}

fn four_characters(digit: [u8; 2]) -> [u8; 4] {
    let digit = u16::from_be_bytes(digit);
    let (high, low) = (digit / 100, digit % 100);
    [high / 10, high % 10, low / 10, low % 10].map(|digit| b'0' + digit as u8)
}
