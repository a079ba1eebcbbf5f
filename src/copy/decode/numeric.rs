//! `numeric(p, s)` into `Decimal128`: base-10000 digits to one integer, exactly.
//!
//! The wire form is that of `numeric_send` in PostgreSQL's `numeric.c`: the number of digits
//! (unsigned), the weight of the first, the sign, the display scale, then the digits. NaN and
//! the infinities have no digits: taking the digits alone would read them as 0.

use std::sync::Arc;

use arrow_array::{ArrayRef, Decimal128Array};
use arrow_buffer::ScalarBuffer;
use arrow_schema::DataType;

use super::validity::Validity;
use super::{ColumnDecoder, Fields, Notes};
use crate::copy::error::{Fault, FieldError};

const SIGN_POSITIVE: u16 = 0x0000;
const SIGN_NEGATIVE: u16 = 0x4000;
const SIGN_NAN: u16 = 0xC000;
const SIGN_INFINITY: u16 = 0xD000;
const SIGN_NEGATIVE_INFINITY: u16 = 0xF000;

/// Powers of ten that fit 128 bits.
const POWERS: [u128; 39] = powers();

const fn powers() -> [u128; 39] {
    let mut powers = [1; 39];
    let mut exponent = 1;
    while exponent < powers.len() {
        powers[exponent] = powers[exponent - 1] * 10;
        exponent += 1;
    }
    powers
}

#[derive(Debug)]
pub(super) struct DecimalDecoder {
    precision: u8,
    scale: u8,
    values: Vec<i128>,
    validity: Validity,
}

impl DecimalDecoder {
    /// For a precision of 1 to 38 and a scale of at most that.
    pub(super) fn new(precision: u8, scale: u8, _restate: bool) -> Self {
        Self {
            precision,
            scale,
            values: Vec::new(),
            validity: Validity::default(),
        }
    }
}

impl ColumnDecoder for DecimalDecoder {
    fn decode(&mut self, fields: Fields<'_>, notes: &mut Notes) -> Result<(), FieldError> {
        let bound = POWERS[usize::from(self.precision).min(POWERS.len() - 1)];
        self.values.reserve(fields.rows());
        for (first_row, group) in fields.groups() {
            let mut mask = 0;
            for (bit, field) in group.fields().enumerate() {
                let value = field.value().map(|wire| scaled(wire, self.scale, bound));
                if let Some(Err(fault)) = value {
                    notes.refuse(first_row + bit, fault)?;
                }
                let value = value.and_then(Result::ok);
                mask |= u64::from(value.is_some()) << bit;
                self.values.push(value.unwrap_or_default());
            }
            self.validity.append(mask, group.rows());
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<ArrayRef, FieldError> {
        let capacity = self.values.len();
        let values = std::mem::replace(&mut self.values, Vec::with_capacity(capacity));
        let array = Decimal128Array::new(ScalarBuffer::from(values), self.validity.take());
        let data_type = DataType::Decimal128(self.precision, self.scale as i8);
        Ok(Arc::new(array.with_data_type(data_type)))
    }
}

/// The value times 10^`scale`; its magnitude must lie below `bound`.
#[inline]
fn scaled(wire: &[u8], scale: u8, bound: u128) -> Result<i128, Fault> {
    let Some((header, digits)) = wire.split_first_chunk::<8>() else {
        return Err(Fault::WrongLength);
    };
    let [count, weight, sign, display_scale] =
        [0, 2, 4, 6].map(|at| u16::from_be_bytes([header[at], header[at + 1]]));
    let (digits, []) = digits.as_chunks::<2>() else {
        return Err(Fault::WrongLength);
    };
    if digits.len() != usize::from(count) {
        return Err(Fault::WrongLength);
    }
    match sign {
        SIGN_POSITIVE | SIGN_NEGATIVE => {}
        SIGN_NAN => return Err(Fault::NotANumber),
        SIGN_INFINITY | SIGN_NEGATIVE_INFINITY => return Err(Fault::Infinite),
        _ => return Err(Fault::BadDigits),
    }
    // 1.50 is not 1.5: a scale that the column does not declare could not be restored.
    if display_scale != u16::from(scale) {
        return Err(Fault::OtherScale);
    }
    // The power of ten, in units of the column's last place, that the last digit counts.
    let last_power = 4 * (i32::from(weight as i16) + 1 - i32::from(count)) + i32::from(scale);
    let magnitude = magnitude(digits, last_power)?;
    if magnitude >= bound {
        return Err(Fault::BeyondPrecision);
    }
    let magnitude = magnitude as i128;
    Ok(if sign == SIGN_NEGATIVE {
        -magnitude
    } else {
        magnitude
    })
}

/// The digits, the last of which counts 10^`last_power`, as an integer.
#[inline]
fn magnitude(digits: &[[u8; 2]], last_power: i32) -> Result<u128, Fault> {
    match (digits, last_power) {
        ([], _) => Ok(0),
        // Four digits make less than 10^16, so that the product stays below 10^38.
        (_, 0..=22) if digits.len() <= 4 => {
            Ok(u128::from(number(digits)?) * POWERS[last_power as usize])
        }
        ([head @ .., last], -3..=-1) if head.len() <= 3 => {
            let (shift, last) = without_zeros(*last, last_power)?;
            Ok(u128::from(number(head)? * shift + last))
        }
        ([head @ .., last], -3..=-1) if head.len() <= 8 => {
            let (shift, last) = without_zeros(*last, last_power)?;
            Ok(long_number(head)? * u128::from(shift) + u128::from(last))
        }
        // Eight digits make less than 10^32.
        (_, 0..=6) if digits.len() <= 8 => Ok(long_number(digits)? * POWERS[last_power as usize]),
        _ => magnitude_of_any(digits, last_power),
    }
}

/// The last digit without the one to three zeros that lie beyond the column's scale, behind the
/// factor that makes room for it.
#[inline]
fn without_zeros(digit: [u8; 2], last_power: i32) -> Result<(u64, u64), Fault> {
    let digit = u64::from(u16::from_be_bytes(digit));
    if digit > 9_999 {
        return Err(Fault::BadDigits);
    }
    let (shift, kept, dropped) = match last_power {
        -3 => (10, digit / 1_000, digit % 1_000),
        -2 => (100, digit / 100, digit % 100),
        _ => (1_000, digit / 10, digit % 10),
    };
    if dropped != 0 {
        return Err(Fault::OtherScale);
    }
    Ok((shift, kept))
}

/// At most four digits as one number.
#[inline]
fn number(digits: &[[u8; 2]]) -> Result<u64, Fault> {
    let mut number = 0;
    let mut highest = 0;
    for digit in digits {
        let digit = u64::from(u16::from_be_bytes(*digit));
        highest = highest.max(digit);
        number = number * 10_000 + digit;
    }
    if highest > 9_999 {
        return Err(Fault::BadDigits);
    }
    Ok(number)
}

/// At most eight digits as one number.
#[inline]
fn long_number(digits: &[[u8; 2]]) -> Result<u128, Fault> {
    let (high, low) = digits.split_at(digits.len().saturating_sub(4));
    Ok(u128::from(number(high)?) * POWERS[16] + u128::from(number(low)?))
}

/// Like [`magnitude`], for any count and power of digits; every step is checked.
#[cold]
fn magnitude_of_any(digits: &[[u8; 2]], last_power: i32) -> Result<u128, Fault> {
    let mut magnitude = 0_u128;
    let mut power = last_power + 4 * digits.len() as i32;
    for digit in digits {
        power -= 4;
        let digit = u128::from(u16::from_be_bytes(*digit));
        if digit > 9_999 {
            return Err(Fault::BadDigits);
        }
        let dropped = match power {
            0.. => 0,
            -3..=-1 => power.unsigned_abs() as usize,
            _ if digit == 0 => continue,
            _ => return Err(Fault::OtherScale),
        };
        if digit % POWERS[dropped] != 0 {
            return Err(Fault::OtherScale);
        }
        magnitude = magnitude
            .checked_mul(POWERS[4 - dropped])
            .and_then(|shifted| shifted.checked_add(digit / POWERS[dropped]))
            .ok_or(Fault::BeyondPrecision)?;
    }
    if magnitude == 0 || power <= 0 {
        return Ok(magnitude);
    }
    POWERS
        .get(power as usize)
        .and_then(|factor| magnitude.checked_mul(*factor))
        .ok_or(Fault::BeyondPrecision)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::copy::wire_rows::{numeric, numeric_parts};

    fn decimal(wire: &[u8], precision: u8, scale: u8) -> Result<i128, Fault> {
        scaled(wire, scale, POWERS[usize::from(precision)])
    }

    /// The value in units of its last place, in the usual text with exactly `scale` decimals.
    fn text_of(units: i128, scale: u8) -> String {
        let scale = usize::from(scale);
        let digits = format!("{:0width$}", units.unsigned_abs(), width = scale + 1);
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        let sign = if units < 0 { "-" } else { "" };
        let point = if scale > 0 { "." } else { "" };
        format!("{sign}{whole}{point}{fraction}")
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]
        #[test]
        fn every_decimal_is_its_digits(
            scale in 0u8..=38,
            digits in 1usize..=38,
            zeros in 0usize..=38,
            seed in any::<u128>(),
            negative in any::<bool>(),
        ) {
            let mut units = (seed % POWERS[digits]) as i128;
            units -= units % POWERS[zeros.min(digits)] as i128;
            if negative { units = -units; }
            let wire = numeric(&text_of(units, scale));
            prop_assert_eq!(decimal(&wire, 38, scale), Ok(units));
            let last_power = 4 * (i32::from(i16::from_be_bytes([wire[2], wire[3]])) + 1
                - (wire.len() as i32 - 8) / 2) + i32::from(scale);
            let slow = magnitude_of_any(wire[8..].as_chunks::<2>().0, last_power);
            prop_assert_eq!(slow, Ok(units.unsigned_abs()));
        }

        #[test]
        fn hostile_parts_never_panic_and_never_exceed_the_precision(
            weight in any::<i16>(),
            near in -12i16..12,
            sign in prop::sample::select(vec![0, 0x4000, 0xC000, 0xD000, 0xF000, 1, 0x8000]),
            digits in prop::collection::vec(0u16..=10_001, 0..14),
            precision in 1u8..=38,
        ) {
            for weight in [weight, near] {
                let wire = numeric_parts(weight, sign, 2, &digits);
                if let Ok(units) = decimal(&wire, precision, 2) {
                    prop_assert!(units.unsigned_abs() < POWERS[usize::from(precision)]);
                }
            }
        }
    }

    #[test]
    fn what_is_no_decimal_of_the_column_is_refused_and_never_zero() {
        let parts = numeric_parts;
        for (wire, fault) in [
            (parts(0, SIGN_NAN, 0, &[]), Fault::NotANumber),
            (parts(0, SIGN_INFINITY, 32, &[]), Fault::Infinite),
            (parts(0, SIGN_NEGATIVE_INFINITY, 32, &[]), Fault::Infinite),
            (parts(0, 0x8000, 2, &[1]), Fault::BadDigits),
            (parts(0, 0, 2, &[10_000]), Fault::BadDigits),
            (parts(0, 0, 2, &[1, 10_000]), Fault::BadDigits),
            (parts(-1, 0, 2, &[1234]), Fault::OtherScale),
            (parts(-2, 0, 2, &[1]), Fault::OtherScale),
            (numeric("1.5"), Fault::OtherScale),
            (numeric("1000.00"), Fault::BeyondPrecision),
            (parts(i16::MAX, 0, 2, &[1]), Fault::BeyondPrecision),
            (vec![0; 7], Fault::WrongLength),
            (parts(0, 0, 2, &[1, 2])[..10].to_vec(), Fault::WrongLength),
        ] {
            assert_eq!(decimal(&wire, 5, 2), Err(fault), "{wire:?}");
        }
        let digits = vec![9999; 32_768];
        let wire = parts(32_767, 0, 2, &digits);
        assert_eq!(decimal(&wire, 38, 2), Err(Fault::BeyondPrecision));
        assert_eq!(decimal(&numeric("-999.99"), 5, 2), Ok(-99_999));
        assert_eq!(decimal(&numeric("0.00"), 5, 2), Ok(0));
    }
}
