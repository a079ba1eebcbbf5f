//! `numeric(p, s)` into decimals of 128 and 256 bits: base-10000 digits to one integer, exactly.

use std::sync::Arc;

use arrow_array::types::{Decimal128Type, Decimal256Type, DecimalType};
use arrow_array::{ArrayRef, PrimitiveArray};
use arrow_buffer::{ScalarBuffer, i256};
use arrow_schema::DataType;

use super::validity::Validity;
use super::{ColumnDecoder, Fields, Notes, Restated, magnitude};
use crate::copy::error::{Fault, FieldError};
use crate::copy::form::numeric::{Digits, Numeric, POWERS, SCALE_AT};

/// What a column declares.
#[derive(Debug, Clone, Copy)]
struct Declared {
    precision: u8,
    scale: u8,
    /// Whether a value may show another number of digits after the point.
    restate: bool,
}

/// The decoder of a column of 1 to 76 digits.
pub(super) fn decimal_decoder(precision: u8, scale: u8, restate: bool) -> Box<dyn ColumnDecoder> {
    let declared = Declared {
        precision,
        scale,
        restate,
    };
    if usize::from(precision) < POWERS.len() {
        Box::new(DecimalDecoder::<Decimal128Type>::new(declared))
    } else {
        Box::new(DecimalDecoder::<Decimal256Type>::new(declared))
    }
}

/// An integer that counts a decimal's last places.
trait Units: DecimalType {
    /// What no magnitude of the precision reaches.
    fn bound(precision: u8) -> Self::Native;

    /// The number in units of 10^-`scale`; its magnitude lies below `bound`.
    fn of(digits: Digits<'_>, scale: u8, bound: Self::Native) -> Result<Self::Native, Fault>;

    fn array_type(precision: u8, scale: u8) -> DataType;
}

impl Units for Decimal128Type {
    fn bound(precision: u8) -> i128 {
        POWERS[usize::from(precision).min(POWERS.len() - 1)] as i128
    }

    #[inline(always)]
    fn of(digits: Digits<'_>, scale: u8, bound: i128) -> Result<i128, Fault> {
        let last_power = digits.last_power(u16::from(scale));
        let magnitude = magnitude::of(digits.digits, last_power)?;
        if magnitude >= bound as u128 {
            return Err(Fault::BeyondPrecision);
        }
        let magnitude = magnitude as i128;
        Ok(if digits.negative {
            -magnitude
        } else {
            magnitude
        })
    }

    fn array_type(precision: u8, scale: u8) -> DataType {
        DataType::Decimal128(precision, scale as i8)
    }
}

impl Units for Decimal256Type {
    fn bound(precision: u8) -> i256 {
        i256::from_i128(10).wrapping_pow(u32::from(precision))
    }

    fn of(digits: Digits<'_>, scale: u8, bound: i256) -> Result<i256, Fault> {
        let last_power = digits.last_power(u16::from(scale));
        let magnitude = magnitude::wide_of(digits.digits, last_power)?;
        if magnitude >= bound {
            return Err(Fault::BeyondPrecision);
        }
        Ok(if digits.negative {
            magnitude.wrapping_neg()
        } else {
            magnitude
        })
    }

    fn array_type(precision: u8, scale: u8) -> DataType {
        DataType::Decimal256(precision, scale as i8)
    }
}

struct DecimalDecoder<T: Units> {
    declared: Declared,
    values: Vec<T::Native>,
    validity: Validity,
}

impl<T: Units> DecimalDecoder<T> {
    fn new(declared: Declared) -> Self {
        Self {
            declared,
            values: Vec::new(),
            validity: Validity::default(),
        }
    }
}

impl<T: Units> ColumnDecoder for DecimalDecoder<T> {
    fn decode(&mut self, fields: Fields<'_>, notes: &mut Notes) -> Result<(), FieldError> {
        let declared = self.declared;
        let bound = T::bound(declared.precision);
        self.values.reserve(fields.rows());
        for (first_row, group) in fields.groups() {
            let mut mask = 0;
            for (bit, field) in group.fields().enumerate() {
                let value = match field.value() {
                    Some(wire) => units::<T>(wire, declared, bound).map(Some),
                    None if field.is_null() => Ok(None),
                    None => Err(Fault::WrongLength),
                };
                let value = match value {
                    Ok(value) => value,
                    Err(fault) => {
                        notes.refuse(first_row + bit, fault)?;
                        None
                    }
                };
                mask |= u64::from(value.is_some()) << bit;
                self.values.push(value.unwrap_or_default());
            }
            if declared.restate {
                let starts = group.starts().zip(group.fields()).enumerate();
                let kept = starts.filter(|(bit, _)| mask >> bit & 1 == 1);
                for (_, (start, field)) in kept {
                    note_scale(start, field.first::<8>(), declared.scale, notes);
                }
            }
            self.validity.append(mask, group.rows());
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<ArrayRef, FieldError> {
        let capacity = self.values.len();
        let values = std::mem::replace(&mut self.values, Vec::with_capacity(capacity));
        let array = PrimitiveArray::<T>::new(ScalarBuffer::from(values), self.validity.take());
        let data_type = T::array_type(self.declared.precision, self.declared.scale);
        Ok(Arc::new(array.with_data_type(data_type)))
    }
}

/// Notes a value that shows another number of digits after the point than its column has.
fn note_scale(start: u32, header: [u8; 8], scale: u8, notes: &mut Notes) {
    let word = u16::from(scale);
    if header[SCALE_AT as usize..] != word.to_be_bytes() {
        let at = start + 4 + SCALE_AT;
        notes.restated.push(Restated { at, word });
    }
}

/// The value in units of the column's last place.
#[inline(always)]
fn units<T: Units>(wire: &[u8], declared: Declared, bound: T::Native) -> Result<T::Native, Fault> {
    let digits = match Numeric::of(wire)? {
        Numeric::Number(digits) => digits,
        Numeric::Special(special) => return Err(special.fault()),
    };
    // 1.50 is not 1.5: a scale that the column does not declare could not be restored.
    if digits.scale != u16::from(declared.scale) && !(declared.restate && digits.end_within_scale())
    {
        return Err(refused(digits, Fault::OtherScale));
    }
    T::of(digits, declared.scale, bound).map_err(|fault| refused(digits, fault))
}

/// The fault of a number that is none of the column's, if it is one at all.
#[cold]
fn refused(digits: Digits<'_>, fault: Fault) -> Fault {
    if digits.are_sound() {
        fault
    } else {
        Fault::BadDigits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::copy::wire_rows::{numeric, numeric_parts as parts};

    fn decimal(wire: &[u8], precision: u8, scale: u8, restate: bool) -> Result<i128, Fault> {
        let declared = Declared {
            precision,
            scale,
            restate,
        };
        let narrow = units::<Decimal128Type>(wire, declared, Decimal128Type::bound(precision));
        let wide = units::<Decimal256Type>(wire, declared, Decimal256Type::bound(precision));
        assert_eq!(narrow.map(i256::from_i128), wide);
        narrow
    }

    #[test]
    fn what_is_no_decimal_of_the_column_is_refused_and_never_zero() {
        for (wire, fault) in [
            (parts(0, 0xC000, 0, &[]), Fault::NotANumber),
            (parts(0, 0xD000, 32, &[]), Fault::Infinite),
            (parts(0, 0xF000, 32, &[]), Fault::Infinite),
            (parts(0, 0xD000, 0, &[]), Fault::NotCanonical),
            (parts(0, 0xC000, 0, &[1]), Fault::NotCanonical),
            (parts(0, 0x8000, 2, &[1]), Fault::BadDigits),
            (parts(0, 0, 2, &[10_000]), Fault::BadDigits),
            (parts(0, 0, 2, &[1, 10_000]), Fault::BadDigits),
            (parts(9, 0, 2, &[1, 10_000]), Fault::BadDigits),
            (parts(0, 0, 3, &[1, 10_000]), Fault::BadDigits),
            (parts(-1, 0, 2, &[1234]), Fault::OtherScale),
            (parts(-2, 0, 2, &[1]), Fault::OtherScale),
            (numeric("1.5"), Fault::OtherScale),
            (numeric("1000.00"), Fault::BeyondPrecision),
            (parts(i16::MAX, 0, 2, &[1]), Fault::BeyondPrecision),
            (vec![0; 7], Fault::WrongLength),
            (parts(0, 0, 2, &[1, 2])[..10].to_vec(), Fault::WrongLength),
        ] {
            assert_eq!(decimal(&wire, 5, 2, false), Err(fault), "{wire:?}");
        }
        let digits = vec![9999; 32_768];
        let wire = parts(32_767, 0, 2, &digits);
        assert_eq!(decimal(&wire, 38, 2, false), Err(Fault::BeyondPrecision));
        assert_eq!(decimal(&numeric("-999.99"), 5, 2, false), Ok(-99_999));
        assert_eq!(decimal(&numeric("0.00"), 5, 2, false), Ok(0));
    }

    #[test]
    fn what_make_result_never_stores_is_refused() {
        for wire in [
            parts(1, 0, 2, &[0, 1]),
            parts(0, 0, 2, &[1, 0]),
            parts(0, 0, 2, &[0]),
            parts(1, 0, 2, &[]),
            parts(-1, 0, 2, &[]),
            parts(0, 0x4000, 2, &[]),
            parts(0, 0, 0x4002, &[1]),
            parts(0, 0, 0x8002, &[1]),
        ] {
            assert_eq!(
                decimal(&wire, 5, 2, false),
                Err(Fault::NotCanonical),
                "{wire:?}"
            );
            assert_eq!(
                decimal(&wire, 5, 2, true),
                Err(Fault::NotCanonical),
                "{wire:?}"
            );
        }
    }

    #[test]
    fn another_display_scale_is_the_same_number_only_if_asked_for_and_exact() {
        for (text, result) in [
            ("1.5", Ok(150)),
            ("1.500000000", Ok(150)),
            ("-7", Ok(-700)),
            ("0", Ok(0)),
            ("0.0000", Ok(0)),
            ("1.505", Err(Fault::OtherScale)),
            ("0.00001", Err(Fault::OtherScale)),
            ("1000.0", Err(Fault::BeyondPrecision)),
        ] {
            assert_eq!(decimal(&numeric(text), 5, 2, true), result, "{text}");
            let strict = decimal(&numeric(text), 5, 2, false);
            assert_eq!(strict, Err(Fault::OtherScale), "{text}");
        }
        // Digits that the value itself does not show.
        let hidden = parts(0, 0, 1, &[1, 5500]);
        assert_eq!(decimal(&hidden, 5, 2, true), Err(Fault::OtherScale));
    }
}
