//! `inet` and `cidr`: bytes of an address, and the text that PostgreSQL shows.
//!
//! The wire form is that of `inet_send` in PostgreSQL's `network.c`: family, length of the
//! netmask in bits, whether it is a `cidr`, bytes of the address, the address.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::copy::error::Fault;

/// `PGSQL_AF_INET` and `PGSQL_AF_INET6` of `inet.h`, the same on every platform.
const FAMILY_V4: u8 = 2;
const FAMILY_V6: u8 = 3;
/// Words of an IPv6 address.
const WORDS: usize = 8;
/// Where the IPv4 address that an IPv6 address may hold begins.
const V4_WORD: usize = 6;

/// An address, or a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::copy) struct Network {
    address: Address,
    /// Length of the netmask.
    bits: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Address {
    V4([u8; 4]),
    V6([u8; 16]),
}

impl Address {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::V4(bytes) => bytes,
            Self::V6(bytes) => bytes,
        }
    }

    fn bits(&self) -> u8 {
        8 * self.bytes().len() as u8
    }

    fn parse(text: &str) -> Option<Self> {
        if text.contains(':') {
            let address: Ipv6Addr = text.parse().ok()?;
            return Some(Self::V6(address.octets()));
        }
        let address: Ipv4Addr = text.parse().ok()?;
        Some(Self::V4(address.octets()))
    }
}

impl Network {
    /// Reads what `inet_send` or, with `is_cidr`, `cidr_send` wrote.
    pub(in crate::copy) fn from_wire(wire: &[u8], is_cidr: bool) -> Result<Self, Fault> {
        let [family, bits, flag, count, address @ ..] = wire else {
            return Err(Fault::WrongLength);
        };
        if address.len() != usize::from(*count) {
            return Err(Fault::WrongLength);
        }
        let address = match (*family, address) {
            (FAMILY_V4, [a, b, c, d]) => Address::V4([*a, *b, *c, *d]),
            (FAMILY_V6, address) => Address::V6(address.try_into().map_err(|_| Fault::BadForm)?),
            _ => return Err(Fault::BadForm),
        };
        let network = Self {
            address,
            bits: *bits,
        };
        if *flag != u8::from(is_cidr) {
            return Err(Fault::NotCanonical);
        }
        network.checked(is_cidr).ok_or(Fault::BadForm)
    }

    /// Writes it as `inet_send` does.
    pub(in crate::copy) fn append_wire(&self, is_cidr: bool, wire: &mut Vec<u8>) {
        let (family, bytes) = match &self.address {
            Address::V4(bytes) => (FAMILY_V4, bytes.as_slice()),
            Address::V6(bytes) => (FAMILY_V6, bytes.as_slice()),
        };
        wire.extend_from_slice(&[family, self.bits, u8::from(is_cidr), bytes.len() as u8]);
        wire.extend_from_slice(bytes);
    }

    /// Reads a text that [`Self::append_text`] wrote, and no other: `010.0.0.1` is none. `scratch`
    /// is left as it was.
    pub(in crate::copy) fn from_text(
        text: &[u8],
        is_cidr: bool,
        scratch: &mut Vec<u8>,
    ) -> Option<Self> {
        let shown = str::from_utf8(text).ok()?;
        let network = match shown.split_once('/') {
            Some((address, bits)) => Self {
                address: Address::parse(address)?,
                bits: bits.parse().ok()?,
            },
            None => {
                let address = Address::parse(shown)?;
                let bits = address.bits();
                Self { address, bits }
            }
        };
        let network = network.checked(is_cidr)?;
        let start = scratch.len();
        network.append_text(is_cidr, scratch);
        let is_same = &scratch[start..] == text;
        scratch.truncate(start);
        is_same.then_some(network)
    }

    /// `inet_out` and `cidr_out`: the netmask of a whole address is left out of an `inet`.
    pub(in crate::copy) fn append_text(&self, is_cidr: bool, text: &mut Vec<u8>) {
        match &self.address {
            Address::V4(bytes) => append_v4(*bytes, text),
            Address::V6(bytes) => append_v6(*bytes, text),
        }
        if is_cidr || self.bits != self.address.bits() {
            text.push(b'/');
            append_decimal(self.bits, text);
        }
    }

    /// Itself, if its netmask fits, and in a `cidr` nothing lies to the right of it: `network_recv`
    /// takes no other.
    fn checked(self, is_cidr: bool) -> Option<Self> {
        if self.bits > self.address.bits() {
            return None;
        }
        let whole = usize::from(self.bits / 8);
        let kept = 0xff_u8
            .checked_shl(8 - u32::from(self.bits % 8))
            .unwrap_or(0);
        let mut beyond = self.address.bytes().iter().skip(whole);
        let has_host =
            beyond.next().is_some_and(|byte| byte & !kept != 0) || beyond.any(|byte| *byte != 0);
        (!is_cidr || !has_host).then_some(self)
    }
}

fn append_decimal(value: u8, text: &mut Vec<u8>) {
    if value >= 100 {
        text.push(b'0' + value / 100);
    }
    if value >= 10 {
        text.push(b'0' + value / 10 % 10);
    }
    text.push(b'0' + value % 10);
}

fn append_v4(bytes: [u8; 4], text: &mut Vec<u8>) {
    for (index, byte) in bytes.into_iter().enumerate() {
        if index > 0 {
            text.push(b'.');
        }
        append_decimal(byte, text);
    }
}

/// As PostgreSQL's own `inet_net_ntop.c` has it, not as RFC 5952: the first of the longest runs of
/// two zero words or more is `::`, and what follows six zero words, or five and `ffff`, is an IPv4
/// address.
fn append_v6(bytes: [u8; 16], text: &mut Vec<u8>) {
    let mut words = [0_u16; WORDS];
    for (word, pair) in words.iter_mut().zip(bytes.chunks(2)) {
        *word = u16::from_be_bytes([pair[0], pair[1]]);
    }
    let (start, length) = longest_zeros(&words);
    let run = start..start + length;
    for (index, word) in words.iter().enumerate() {
        if run.contains(&index) {
            if index == start {
                text.push(b':');
            }
            continue;
        }
        if index > 0 {
            text.push(b':');
        }
        let holds_v4 = start == 0 && (length == 6 || length == 5 && words[5] == 0xffff);
        if index == V4_WORD && holds_v4 {
            return append_v4([bytes[12], bytes[13], bytes[14], bytes[15]], text);
        }
        append_hex(*word, text);
    }
    if length > 0 && run.end == WORDS {
        text.push(b':');
    }
}

/// Where the first longest run of zero words begins, and its length; 0 when that is below 2.
fn longest_zeros(words: &[u16; WORDS]) -> (usize, usize) {
    let (mut start, mut longest, mut current) = (0, 1, 0);
    for (index, word) in words.iter().enumerate() {
        current = if *word == 0 { current + 1 } else { 0 };
        if current > longest {
            (start, longest) = (index + 1 - current, current);
        }
    }
    if longest < 2 {
        (0, 0)
    } else {
        (start, longest)
    }
}

/// Lower-case hex without zeros before it.
fn append_hex(word: u16, text: &mut Vec<u8>) {
    let digits = (16 - word.leading_zeros()).div_ceil(4).max(1);
    for digit in (0..digits).rev() {
        text.push(b"0123456789abcdef"[usize::from(word >> (4 * digit) & 15)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_of(address: [u16; 8], bits: u8) -> String {
        let mut bytes = [0; 16];
        for (pair, word) in bytes.chunks_mut(2).zip(address) {
            pair.copy_from_slice(&word.to_be_bytes());
        }
        let address = Address::V6(bytes);
        let mut text = Vec::new();
        Network { address, bits }.append_text(false, &mut text);
        String::from_utf8(text).unwrap()
    }

    /// Each as `SELECT inet '…'` of PostgreSQL 15 shows it.
    #[test]
    fn ipv6_is_shortened_as_postgresql_does() {
        for (address, text) in [
            ([0, 0, 0, 0, 0, 0, 0, 0], "::"),
            ([0, 0, 0, 0, 0, 0, 0, 1], "::1"),
            ([0, 0, 0, 0, 0, 0, 0, 2], "::2"),
            ([1, 0, 0, 0, 0, 0, 0, 0], "1::"),
            ([0, 0, 0, 0, 0, 0, 0x102, 0x304], "::1.2.3.4"),
            ([0, 0, 0, 0, 0, 0, 1, 0], "::0.1.0.0"),
            ([0, 0, 0, 0, 0, 0xffff, 0x102, 0x304], "::ffff:1.2.3.4"),
            ([0, 0, 0, 0, 0, 0xfffe, 0x102, 0x304], "::fffe:102:304"),
            ([0, 0, 0, 0, 0, 0xffff, 0, 0], "::ffff:0.0.0.0"),
            ([1, 0, 0, 2, 0, 0, 0, 3], "1:0:0:2::3"),
            ([1, 0, 0, 2, 0, 0, 3, 4], "1::2:0:0:3:4"),
            ([0, 1, 0, 2, 0, 3, 0, 4], "0:1:0:2:0:3:0:4"),
            ([0x2001, 0xdb8, 0, 1, 1, 1, 1, 1], "2001:db8:0:1:1:1:1:1"),
            ([0, 0, 1, 0, 0, 0, 0, 0], "0:0:1::"),
            ([0xabcd; 8], "abcd:abcd:abcd:abcd:abcd:abcd:abcd:abcd"),
        ] {
            assert_eq!(text_of(address, 128), text);
            assert_eq!(text_of(address, 0), format!("{text}/0"));
        }
    }

    #[test]
    fn only_the_text_that_is_shown_is_read() {
        for (text, is_cidr) in [
            ("010.0.0.1", false),
            ("10.0.0.1/32", false),
            ("10.0.0.1/033", false),
            ("10.0.0.1/33", false),
            ("10.0.0.1/+8", false),
            ("10.0.0", false),
            ("::0", false),
            ("::A", false),
            ("0:0:0:0:0:0:0:1", false),
            ("::1/128", false),
            ("1:0:0:2:0:0:3:4", false),
            ("10.0.0.0", true),
            ("10.0.0.1/8", true),
            ("::1/127", true),
            ("", false),
        ] {
            let network = Network::from_text(text.as_bytes(), is_cidr, &mut Vec::new());
            assert_eq!(network, None, "{text}");
        }
    }

    #[test]
    fn wire_that_postgresql_never_sends_is_refused() {
        let wrong = [
            (vec![2, 8, 0, 4, 10, 0, 0], Fault::WrongLength),
            (vec![2, 8, 0], Fault::WrongLength),
            (vec![2, 33, 0, 4, 10, 0, 0, 0], Fault::BadForm),
            (vec![3, 8, 0, 4, 10, 0, 0, 0], Fault::BadForm),
            (vec![10, 8, 0, 4, 10, 0, 0, 0], Fault::BadForm),
            (vec![2, 8, 1, 4, 10, 0, 0, 0], Fault::NotCanonical),
        ];
        for (wire, fault) in wrong {
            assert_eq!(Network::from_wire(&wire, false), Err(fault), "{wire:?}");
        }
        for (bits, last, sound) in [(31, 1, false), (31, 2, true), (32, 1, true), (0, 0, true)] {
            let wire = [2, bits, 1, 4, 0, 0, 0, last];
            assert_eq!(Network::from_wire(&wire, true).is_ok(), sound, "{wire:?}");
        }
        let high = [2, 0, 1, 4, 128, 0, 0, 0];
        assert_eq!(Network::from_wire(&high, true), Err(Fault::BadForm));
    }
}
