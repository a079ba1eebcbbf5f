//! `numeric`: base-10000 digits behind a header.
//!
//! The wire form is that of `numeric_send` in PostgreSQL's `numeric.c`: the number of digits
//! (unsigned), the weight of the first, the sign, the display scale, then the digits. NaN and
//! the infinities have no digits: taking the digits alone would read them as 0.

use crate::copy::error::Fault;

pub(in crate::copy) const SIGN_POSITIVE: u16 = 0x0000;
pub(in crate::copy) const SIGN_NEGATIVE: u16 = 0x4000;
const SIGN_NAN: u16 = 0xC000;
const SIGN_INFINITY: u16 = 0xD000;
const SIGN_NEGATIVE_INFINITY: u16 = 0xF000;

/// `NUMERIC_DSCALE_MASK`: the most digits after the point.
pub(in crate::copy) const MAX_SCALE: u16 = 0x3FFF;
/// The most digits before the point: a weight has 16 bits.
pub(in crate::copy) const MAX_WHOLE: usize = 4 * (i16::MAX as usize + 1);
/// The display scale of the infinities: `NUMERIC_DSCALE` reads it out of the bits of their sign.
const INFINITY_SCALE: u16 = 32;
/// The number of digits, the weight, the sign and the display scale.
pub(in crate::copy) const HEADER_BYTES: usize = 8;
/// Where the display scale lies in a value.
pub(in crate::copy) const SCALE_AT: u32 = 6;

/// Powers of ten that fit 128 bits.
pub(in crate::copy) const POWERS: [u128; 39] = powers();

const fn powers() -> [u128; 39] {
    let mut powers = [1; 39];
    let mut exponent = 1;
    while exponent < powers.len() {
        powers[exponent] = powers[exponent - 1] * 10;
        exponent += 1;
    }
    powers
}

/// What a numeric is when it is no number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::copy) enum Special {
    NotANumber,
    Infinity,
    NegativeInfinity,
}

impl Special {
    pub(in crate::copy) const ALL: [Self; 3] =
        [Self::NotANumber, Self::Infinity, Self::NegativeInfinity];

    /// As `numeric_out` shows it.
    pub(in crate::copy) const fn text(self) -> &'static [u8] {
        match self {
            Self::NotANumber => b"NaN",
            Self::Infinity => b"Infinity",
            Self::NegativeInfinity => b"-Infinity",
        }
    }

    pub(in crate::copy) const fn header(self) -> [u8; HEADER_BYTES] {
        match self {
            Self::NotANumber => header(0, 0, SIGN_NAN, 0),
            Self::Infinity => header(0, 0, SIGN_INFINITY, INFINITY_SCALE),
            Self::NegativeInfinity => header(0, 0, SIGN_NEGATIVE_INFINITY, INFINITY_SCALE),
        }
    }

    pub(in crate::copy) const fn fault(self) -> Fault {
        match self {
            Self::NotANumber => Fault::NotANumber,
            Self::Infinity | Self::NegativeInfinity => Fault::Infinite,
        }
    }
}

/// The header of a value.
#[inline]
pub(in crate::copy) const fn header(
    count: u16,
    weight: i16,
    sign: u16,
    scale: u16,
) -> [u8; HEADER_BYTES] {
    let [a, b] = count.to_be_bytes();
    let [c, d] = weight.to_be_bytes();
    let [e, f] = sign.to_be_bytes();
    let [g, h] = scale.to_be_bytes();
    [a, b, c, d, e, f, g, h]
}

/// A number as `make_result` stores it: no zero digit at either end, zero in one form only. That a
/// digit is below 10000 is left to those who read it.
#[derive(Debug, Clone, Copy)]
pub(in crate::copy) struct Digits<'a> {
    /// The digits, most significant first.
    pub(in crate::copy) digits: &'a [[u8; 2]],
    /// The power of 10000 that the first digit counts.
    pub(in crate::copy) weight: i16,
    pub(in crate::copy) negative: bool,
    /// Digits shown after the point.
    pub(in crate::copy) scale: u16,
}

/// A value of the type.
#[derive(Debug, Clone, Copy)]
pub(in crate::copy) enum Numeric<'a> {
    Number(Digits<'a>),
    Special(Special),
}

impl<'a> Numeric<'a> {
    #[inline(always)]
    pub(in crate::copy) fn of(wire: &'a [u8]) -> Result<Self, Fault> {
        let Some((header, digits)) = wire.split_first_chunk::<HEADER_BYTES>() else {
            return Err(Fault::WrongLength);
        };
        let [count, weight, sign, scale] =
            [0, 2, 4, 6].map(|at| u16::from_be_bytes([header[at], header[at + 1]]));
        let (digits, []) = digits.as_chunks::<2>() else {
            return Err(Fault::WrongLength);
        };
        if digits.len() != usize::from(count) {
            return Err(Fault::WrongLength);
        }
        if !matches!(sign, SIGN_POSITIVE | SIGN_NEGATIVE) {
            return special(header).map(Self::Special);
        }
        let canonical = match digits {
            [] => weight == 0 && sign == SIGN_POSITIVE,
            [first, .., last] => *first != [0; 2] && *last != [0; 2],
            [only] => *only != [0; 2],
        };
        if !canonical || scale > MAX_SCALE {
            return Err(Fault::NotCanonical);
        }
        Ok(Self::Number(Digits {
            digits,
            weight: weight as i16,
            negative: sign == SIGN_NEGATIVE,
            scale,
        }))
    }
}

#[cold]
fn special(header: &[u8; HEADER_BYTES]) -> Result<Special, Fault> {
    let found = Special::ALL
        .into_iter()
        .find(|one| one.header()[4..6] == header[4..6]);
    let special = found.ok_or(Fault::BadDigits)?;
    if *header != special.header() {
        return Err(Fault::NotCanonical);
    }
    Ok(special)
}

impl Digits<'_> {
    /// The power of ten, in units of the place `scale` after the point, that the last digit counts.
    #[inline(always)]
    pub(in crate::copy) fn last_power(&self, scale: u16) -> i32 {
        4 * (i32::from(self.weight) + 1 - self.digits.len() as i32) + i32::from(scale)
    }

    /// Whether every digit is one of base 10000.
    pub(in crate::copy) fn are_sound(&self) -> bool {
        self.digits
            .iter()
            .all(|digit| u16::from_be_bytes(*digit) <= 9_999)
    }

    /// Whether there are no digits after those that `scale` shows. PostgreSQL rounds them away,
    /// and would not show them.
    pub(in crate::copy) fn end_within_scale(&self) -> bool {
        let Some(last) = self.digits.last() else {
            return true;
        };
        match self.last_power(self.scale) {
            0.. => true,
            power @ -3..=-1 => {
                let dropped = POWERS[power.unsigned_abs() as usize];
                u128::from(u16::from_be_bytes(*last)).is_multiple_of(dropped)
            }
            _ => false,
        }
    }
}
