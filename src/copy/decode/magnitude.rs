//! Base-10000 digits as one integer of 128 or 256 bits.

use arrow_buffer::i256;

use crate::copy::error::Fault;
use crate::copy::form::numeric::POWERS;

/// The most decimal digits of an [`i256`], whatever they are.
const WIDE_DIGITS: i32 = 76;

/// The digits, the last of which counts 10^`last_power`, as an integer.
#[inline]
pub(super) fn of(digits: &[[u8; 2]], last_power: i32) -> Result<u128, Fault> {
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

/// Like [`of`], for any count and power of digits; every step is checked.
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

/// Like [`of`], of up to 76 decimal digits. The first and the last digit are not zero.
pub(super) fn wide_of(digits: &[[u8; 2]], last_power: i32) -> Result<i256, Fault> {
    let (whole, last, shift) = match (digits, last_power) {
        ([], _) => return Ok(i256::ZERO),
        (_, 0..) => (digits, 0, 1),
        ([head @ .., last], -3..) => {
            let (shift, last) = without_zeros(*last, last_power)?;
            (head, last, shift)
        }
        _ => return Err(Fault::OtherScale),
    };
    // The first digit counts at least 10^(4 * (count - 1)).
    let power = last_power.max(0);
    if 4 * (whole.len() as i32 - 1) + power >= WIDE_DIGITS {
        return Err(Fault::BeyondPrecision);
    }
    let wide = |number: u128| i256::from_parts(number, 0);
    let mut magnitude = Some(i256::ZERO);
    let mut scaled = |factor: u128, more: u128| {
        let shifted = magnitude.and_then(|sum| sum.checked_mul(wide(factor)));
        magnitude = shifted.and_then(|sum| sum.checked_add(wide(more)));
    };
    for digits in whole.chunks(4) {
        scaled(POWERS[4 * digits.len()], u128::from(number(digits)?));
    }
    scaled(u128::from(shift), u128::from(last));
    let (half, rest) = (power as usize / 2, power as usize % 2);
    scaled(POWERS[half], 0);
    scaled(POWERS[half + rest], 0);
    magnitude.ok_or(Fault::BeyondPrecision)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::copy::form::numeric::Numeric;
    use crate::copy::wire_rows::{numeric, numeric_parts};

    /// The value in units of its last place, in the usual text with exactly `scale` decimals.
    fn text_of(units: i256, scale: u8) -> String {
        let scale = usize::from(scale);
        let digits = units.wrapping_abs().to_string();
        let digits = format!("{digits:0>width$}", width = scale + 1);
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        let sign = if units.is_negative() { "-" } else { "" };
        let point = if scale > 0 { "." } else { "" };
        format!("{sign}{whole}{point}{fraction}")
    }

    fn parsed(wire: &[u8], scale: u8) -> (&[[u8; 2]], i32) {
        let Ok(Numeric::Number(digits)) = Numeric::of(wire) else {
            panic!("{wire:?}");
        };
        (digits.digits, digits.last_power(u16::from(scale)))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]
        #[test]
        fn every_decimal_is_its_digits(
            scale in 0u8..=38,
            count in 1usize..=38,
            zeros in 0usize..=38,
            seed in any::<u128>(),
        ) {
            let mut units = seed % POWERS[count];
            units -= units % POWERS[zeros.min(count)];
            let wire = numeric(&text_of(i256::from_parts(units, 0), scale));
            let (digits, last_power) = parsed(&wire, scale);
            prop_assert_eq!(of(digits, last_power), Ok(units));
            prop_assert_eq!(magnitude_of_any(digits, last_power), Ok(units));
            prop_assert_eq!(wide_of(digits, last_power), Ok(i256::from_parts(units, 0)));
        }

        #[test]
        fn every_wide_decimal_is_its_digits(
            scale in 0u8..=76,
            count in 39u32..=76,
            zeros in 0u32..=76,
            seed in any::<[u8; 32]>(),
        ) {
            let power = |exponent| i256::from_i128(10).wrapping_pow(exponent);
            let mut units = i256::from_le_bytes(seed).wrapping_rem(power(count)).wrapping_abs();
            units = units.wrapping_sub(units.wrapping_rem(power(zeros.min(count))));
            let wire = numeric(&text_of(units, scale));
            let (digits, last_power) = parsed(&wire, scale);
            prop_assert_eq!(wide_of(digits, last_power), Ok(units));
        }

        #[test]
        fn hostile_parts_never_panic_and_both_widths_agree(
            weight in any::<i16>(),
            near in -12i16..12,
            first in 1u16..=10_001,
            digits in prop::collection::vec(0u16..=10_001, 0..14),
            last in 1u16..=10_001,
        ) {
            let digits = [&[first], digits.as_slice(), &[last]].concat();
            for weight in [weight, near] {
                let wire = numeric_parts(weight, 0, 2, &digits);
                let (digits, last_power) = parsed(&wire, 2);
                if let Ok(units) = of(digits, last_power) {
                    prop_assert_eq!(wide_of(digits, last_power), Ok(i256::from_parts(units, 0)));
                }
            }
        }
    }
}
