//! Decimals of 128 and 256 bits back to base-10000 digits, as `numeric_send` writes them.

use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Decimal256Type, DecimalType};
use arrow_array::{Array, ArrayRef, PrimitiveArray};
use arrow_buffer::i256;

use super::staged::{Stage, StagedEncoder};
use super::{ColumnEncoder, WrongArray};
use crate::copy::error::Fault;
use crate::copy::form::numeric::{HEADER_BYTES, POWERS, SIGN_NEGATIVE, SIGN_POSITIVE, header};
use crate::mapping::Codec;

/// The most base-10000 digits of a number of 76 decimal digits, wherever its point is.
const MOST_DIGITS: usize = 20;
const WIRE_BYTES: usize = HEADER_BYTES + 2 * MOST_DIGITS;
/// What four digits count, and eight: numbers that are taken apart in 64 and in 128 bits.
const WORD: u128 = POWERS[16];
const TWO_WORDS: i256 = i256::from_parts(POWERS[32], 0);

pub(super) fn decimal_encoder(precision: u8, scale: u8) -> Box<dyn ColumnEncoder> {
    if usize::from(precision) < POWERS.len() {
        StagedEncoder::boxed(DecimalStage::<Decimal128Type>::new(precision, scale))
    } else {
        StagedEncoder::boxed(DecimalStage::<Decimal256Type>::new(precision, scale))
    }
}

/// An integer that counts a decimal's last places.
trait Units: DecimalType {
    /// What no magnitude of the precision reaches.
    fn bound(precision: u8) -> Self::Native;

    /// Takes a number apart, and says whether it is below zero; `None` when it reaches the bound.
    fn split(units: Self::Native, bound: Self::Native, scale: u8, wire: &mut Wire) -> Option<bool>;
}

impl Units for Decimal128Type {
    fn bound(precision: u8) -> i128 {
        POWERS[usize::from(precision).min(POWERS.len() - 1)] as i128
    }

    #[inline]
    fn split(units: i128, bound: i128, scale: u8, wire: &mut Wire) -> Option<bool> {
        let magnitude = units.unsigned_abs();
        if magnitude >= bound as u128 {
            return None;
        }
        let beyond = u32::from(scale % 4);
        match u64::try_from(magnitude) {
            Ok(magnitude) => {
                let power = 10_u64.pow(beyond);
                wire.push_last(magnitude % power, beyond);
                wire.push_all(magnitude / power);
            }
            Err(_) => {
                let power = POWERS[beyond as usize];
                wire.push_last((magnitude % power) as u64, beyond);
                wire.push_long(magnitude / power);
            }
        }
        Some(units < 0)
    }
}

impl Units for Decimal256Type {
    fn bound(precision: u8) -> i256 {
        i256::from_i128(10).wrapping_pow(u32::from(precision))
    }

    fn split(units: i256, bound: i256, scale: u8, wire: &mut Wire) -> Option<bool> {
        let mut magnitude = units.checked_abs().filter(|magnitude| *magnitude < bound)?;
        let beyond = u32::from(scale % 4);
        let power = i256::from_parts(POWERS[beyond as usize], 0);
        let (rest, last) = magnitude.wrapping_div_rem(power);
        wire.push_last(last.as_i128() as u64, beyond);
        magnitude = rest;
        while magnitude.to_parts().1 != 0 {
            let (rest, low) = magnitude.wrapping_div_rem(TWO_WORDS);
            let low = low.to_parts().0;
            wire.push_word((low % WORD) as u64);
            wire.push_word((low / WORD) as u64);
            magnitude = rest;
        }
        wire.push_long(magnitude.to_parts().0);
        Some(units.is_negative())
    }
}

/// A value under construction, the last digit first: it ends where the bytes do.
struct Wire {
    bytes: [u8; WIRE_BYTES],
    /// Where the digits begin.
    start: usize,
}

impl Wire {
    #[inline(always)]
    fn push(&mut self, digit: u64) {
        self.start -= 2;
        self.bytes[self.start..self.start + 2].copy_from_slice(&(digit as u16).to_be_bytes());
    }

    /// The decimal digits that do not fill one of base 10000, if there are any.
    #[inline(always)]
    fn push_last(&mut self, digits: u64, count: u32) {
        if count > 0 {
            self.push(digits * 10_u64.pow(4 - count));
        }
    }

    /// Four digits, zeros before them included.
    fn push_word(&mut self, mut word: u64) {
        for _ in 0..4 {
            self.push(word % 10_000);
            word /= 10_000;
        }
    }

    /// All digits but zeros before them.
    #[inline(always)]
    fn push_all(&mut self, mut number: u64) {
        while number > 0 {
            self.push(number % 10_000);
            number /= 10_000;
        }
    }

    fn push_long(&mut self, mut number: u128) {
        while number > u128::from(u64::MAX) {
            self.push_word((number % WORD) as u64);
            number /= WORD;
        }
        self.push_all(number as u64);
    }

    /// Puts the header before the digits, and leaves out zeros at either end.
    #[inline(always)]
    fn finish(&mut self, negative: bool, scale: u8) -> &[u8] {
        let places = (WIRE_BYTES - self.start) / 2;
        let mut end = WIRE_BYTES;
        while end > self.start && self.bytes[end - 2..end] == [0; 2] {
            end -= 2;
        }
        let count = (end - self.start) / 2;
        let (weight, sign) = match (count, negative) {
            (0, _) => (0, SIGN_POSITIVE),
            (_, negative) => (
                places as i16 - i16::from(scale.div_ceil(4)) - 1,
                if negative {
                    SIGN_NEGATIVE
                } else {
                    SIGN_POSITIVE
                },
            ),
        };
        let header = header(count as u16, weight, sign, u16::from(scale));
        let first = self.start - HEADER_BYTES;
        self.bytes[first..self.start].copy_from_slice(&header);
        &self.bytes[first..end]
    }
}

struct DecimalStage<T: Units> {
    precision: u8,
    scale: u8,
    array: Option<PrimitiveArray<T>>,
}

impl<T: Units> DecimalStage<T> {
    fn new(precision: u8, scale: u8) -> Self {
        Self {
            precision,
            scale,
            array: None,
        }
    }
}

impl<T: Units> Stage for DecimalStage<T> {
    fn bind(&mut self, array: &ArrayRef) -> Result<(), WrongArray> {
        // An array of another scale would be other numbers.
        let codec = Codec::Decimal {
            precision: self.precision,
            scale: self.scale,
            restate: false,
        };
        let array = array.as_primitive_opt::<T>().ok_or(WrongArray)?;
        if *array.data_type() != codec.arrow_type() {
            return Err(WrongArray);
        }
        self.array = Some(array.clone());
        Ok(())
    }

    #[inline]
    fn append(&self, index: usize, out: &mut Vec<u8>) -> Result<bool, Fault> {
        let Some(array) = self.array.as_ref().filter(|array| array.is_valid(index)) else {
            return Ok(false);
        };
        let mut wire = Wire {
            bytes: [0; WIRE_BYTES],
            start: WIRE_BYTES,
        };
        let bound = T::bound(self.precision);
        let split = T::split(array.values()[index], bound, self.scale, &mut wire);
        let negative = split.ok_or(Fault::Foreign)?;
        out.extend_from_slice(wire.finish(negative, self.scale));
        Ok(true)
    }
}
