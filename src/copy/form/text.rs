//! Unsigned numbers and WAL positions as PostgreSQL shows them, and back.

use crate::lsn::Lsn;

/// A text of at most 24 bytes, shown without an allocation.
#[derive(Debug, Default)]
struct Short {
    bytes: [u8; 24],
    len: usize,
}

impl std::fmt::Write for Short {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let room = self.bytes.get_mut(self.len..self.len + text.len());
        room.ok_or(std::fmt::Error)?
            .copy_from_slice(text.as_bytes());
        self.len += text.len();
        Ok(())
    }
}

fn shown(value: impl std::fmt::Display) -> Short {
    use std::fmt::Write;
    let mut short = Short::default();
    // Both types show at most 20 characters.
    let _ = write!(short, "{value}");
    short
}

/// `xid8out` of PostgreSQL's `xid.c`.
pub(in crate::copy) fn append_unsigned(value: u64, text: &mut Vec<u8>) {
    let short = shown(value);
    text.extend_from_slice(&short.bytes[..short.len]);
}

/// `pg_lsn_out` of PostgreSQL's `pg_lsn.c`.
pub(in crate::copy) fn append_lsn(position: u64, text: &mut Vec<u8>) {
    let short = shown(Lsn(position));
    text.extend_from_slice(&short.bytes[..short.len]);
}

/// The number that has this text: no sign, no zeros before it.
pub(in crate::copy) fn unsigned_of(text: &[u8]) -> Option<u64> {
    let value: u64 = str::from_utf8(text).ok()?.parse().ok()?;
    let short = shown(value);
    (&short.bytes[..short.len] == text).then_some(value)
}

/// The WAL position that has this text.
pub(in crate::copy) fn lsn_of(text: &[u8]) -> Option<u64> {
    let position: Lsn = str::from_utf8(text).ok()?.parse().ok()?;
    let short = shown(position);
    (&short.bytes[..short.len] == text).then_some(position.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_text_that_is_shown_is_read() {
        for value in [0, 7, 1 << 32, i64::MAX as u64, u64::MAX] {
            let (mut number, mut lsn) = (Vec::new(), Vec::new());
            append_unsigned(value, &mut number);
            append_lsn(value, &mut lsn);
            assert_eq!(unsigned_of(&number), Some(value));
            assert_eq!(lsn_of(&lsn), Some(value));
        }
        for text in ["", "+1", "-1", "01", "1.50", " 1", "18446744073709551616"] {
            assert_eq!(unsigned_of(text.as_bytes()), None, "{text}");
        }
        for text in ["", "0", "00/0", "a/0", "0/", "/0", "0/100000000", "0/+1"] {
            assert_eq!(lsn_of(text.as_bytes()), None, "{text}");
        }
    }
}
