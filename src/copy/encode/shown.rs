//! Types that are shown as text, from that text: only from exactly the text that a decoder makes.

use arrow_array::ArrayRef;

use super::bytes::Values;
use super::fixed::{converted_encoder, shown_encoder};
use super::staged::{Stage, StagedEncoder};
use super::{ColumnEncoder, WrongArray};
use crate::copy::error::Fault;
use crate::copy::form::address::Network;
use crate::copy::form::hex::{of_colons, uuid_of, uuid_text};
use crate::copy::form::numeric::{
    HEADER_BYTES, MAX_SCALE, MAX_WHOLE, SIGN_NEGATIVE, SIGN_POSITIVE, Special, header,
};
use crate::copy::form::text::{lsn_of, unsigned_of};

pub(super) fn xid8_encoder() -> Box<dyn ColumnEncoder> {
    shown_encoder(|text| unsigned_of(text).map(u64::to_be_bytes))
}

pub(super) fn lsn_encoder() -> Box<dyn ColumnEncoder> {
    shown_encoder(|text| lsn_of(text).map(u64::to_be_bytes))
}

pub(super) fn uuid_encoder() -> Box<dyn ColumnEncoder> {
    shown_encoder(uuid_of)
}

/// The text that a UUID came from.
pub(super) fn uuid_to_text_encoder() -> Box<dyn ColumnEncoder> {
    converted_encoder(uuid_text)
}

pub(super) fn macaddr_encoder() -> Box<dyn ColumnEncoder> {
    shown_encoder(of_colons::<6>)
}

pub(super) fn macaddr8_encoder() -> Box<dyn ColumnEncoder> {
    shown_encoder(of_colons::<8>)
}

pub(super) fn inet_encoder() -> Box<dyn ColumnEncoder> {
    TextStage::boxed(|text, wire| network(text, false, wire))
}

pub(super) fn cidr_encoder() -> Box<dyn ColumnEncoder> {
    TextStage::boxed(|text, wire| network(text, true, wire))
}

pub(super) fn bit_string_encoder() -> Box<dyn ColumnEncoder> {
    TextStage::boxed(bits)
}

pub(super) fn numeric_encoder() -> Box<dyn ColumnEncoder> {
    TextStage::boxed(numeric)
}

/// Appends the bytes of each text by `append`; `None` when it is no text of the type.
struct TextStage<F> {
    append: F,
    texts: Option<Values>,
}

impl<F> TextStage<F>
where
    F: Fn(&[u8], &mut Vec<u8>) -> Option<()> + Send + 'static,
{
    fn boxed(append: F) -> Box<dyn ColumnEncoder> {
        StagedEncoder::boxed(Self {
            append,
            texts: None,
        })
    }
}

impl<F> Stage for TextStage<F>
where
    F: Fn(&[u8], &mut Vec<u8>) -> Option<()> + Send + 'static,
{
    fn bind(&mut self, array: &ArrayRef) -> Result<(), WrongArray> {
        self.texts = Some(Values::of_text(array).ok_or(WrongArray)?);
        Ok(())
    }

    fn append(&self, index: usize, out: &mut Vec<u8>) -> Result<bool, Fault> {
        match self.texts.as_ref().and_then(|texts| texts.get(index)) {
            Some(text) => (self.append)(text, out)
                .map(|()| true)
                .ok_or(Fault::Foreign),
            None => Ok(false),
        }
    }
}

fn network(text: &[u8], is_cidr: bool, wire: &mut Vec<u8>) -> Option<()> {
    Network::from_text(text, is_cidr, wire)?.append_wire(is_cidr, wire);
    Some(())
}

/// `varbit_send` of PostgreSQL's `varbit.c`.
fn bits(text: &[u8], wire: &mut Vec<u8>) -> Option<()> {
    let count = i32::try_from(text.len()).ok()?;
    wire.extend_from_slice(&count.to_be_bytes());
    let mut other = 0;
    wire.extend(text.chunks(8).map(|bits| {
        let byte = bits.iter().fold(0, |byte, bit| {
            other |= bit ^ b'0';
            byte << 1 | bit & 1
        });
        byte << (8 - bits.len())
    }));
    // The two characters differ from '0' in the lowest bit only.
    (other <= 1).then_some(())
}

/// `numeric_send` of PostgreSQL's `numeric.c`, of a text that `numeric_out` wrote.
fn numeric(text: &[u8], wire: &mut Vec<u8>) -> Option<()> {
    if let Some(special) = Special::ALL.into_iter().find(|one| one.text() == text) {
        wire.extend_from_slice(&special.header());
        return Some(());
    }
    let (sign, number) = match text.strip_prefix(b"-") {
        Some(number) => (SIGN_NEGATIVE, number),
        None => (SIGN_POSITIVE, text),
    };
    let (whole, fraction) = match number.iter().position(|byte| *byte == b'.') {
        Some(point) => (&number[..point], &number[point + 1..]),
        None => (number, &[][..]),
    };
    let is_pointed = number.len() > whole.len();
    let starts_plainly = whole == b"0" || whole.first().is_some_and(|digit| *digit != b'0');
    let are_digits = whole.iter().chain(fraction).all(u8::is_ascii_digit);
    let fits = whole.len() <= MAX_WHOLE && fraction.len() <= usize::from(MAX_SCALE);
    if !starts_plainly || !are_digits || !fits || is_pointed == fraction.is_empty() {
        return None;
    }
    let start = wire.len();
    wire.extend_from_slice(&[0; HEADER_BYTES]);
    let weight = append_groups(whole, fraction, wire);
    let digits = &wire[start + HEADER_BYTES..];
    let sound_zero = sign == SIGN_POSITIVE || !digits.is_empty();
    let count = (digits.len() / 2) as u16;
    let header = header(count, weight, sign, fraction.len() as u16);
    wire[start..start + HEADER_BYTES].copy_from_slice(&header);
    sound_zero.then_some(())
}

/// Appends base-10000 digits without zeros at either end, and returns the first one's weight. The
/// number has no zeros before it, but one before the point.
fn append_groups(whole: &[u8], fraction: &[u8], wire: &mut Vec<u8>) -> i16 {
    let start = wire.len();
    let (first, rest) = whole.split_at(whole.len() % 4);
    let mut weight = rest.len() as i32 / 4 - i32::from(first.is_empty());
    if whole == b"0" {
        weight = -1;
    } else {
        let groups = (!first.is_empty()).then_some(first).into_iter();
        for group in groups.chain(rest.chunks(4)) {
            wire.extend_from_slice(&group_of(group).to_be_bytes());
        }
    }
    for group in fraction.chunks(4) {
        let missing = 4 - group.len() as u32;
        let digit = group_of(group) * 10_u16.pow(missing);
        if digit == 0 && wire.len() == start {
            weight -= 1;
        } else {
            wire.extend_from_slice(&digit.to_be_bytes());
        }
    }
    while wire.len() > start && wire.ends_with(&[0; 2]) {
        wire.truncate(wire.len() - 2);
    }
    if wire.len() == start {
        return 0;
    }
    weight as i16
}

/// Up to four characters as one digit.
fn group_of(characters: &[u8]) -> u16 {
    let digits = characters.iter();
    digits.fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'))
}
