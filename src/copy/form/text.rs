//! Unsigned numbers and WAL positions as PostgreSQL shows them, and back.

/// The most digits of 64 bits in decimal.
const DECIMAL_DIGITS: usize = 20;
/// The most digits of each half of a WAL position.
const HALF_DIGITS: usize = 8;

/// `xid8out` of PostgreSQL's `xid.c`.
pub(in crate::copy) fn append_unsigned(mut value: u64, text: &mut Vec<u8>) {
    let mut digits = [0; DECIMAL_DIGITS];
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    text.extend_from_slice(&digits[start..]);
}

/// The number that has this text: no sign, no zeros before it.
pub(in crate::copy) fn unsigned_of(text: &[u8]) -> Option<u64> {
    if !begins_plainly(text) {
        return None;
    }
    text.iter().try_fold(0_u64, |value, character| {
        let digit = character.wrapping_sub(b'0');
        let shifted = value.checked_mul(10)?;
        shifted.checked_add(u64::from(digit)).filter(|_| digit < 10)
    })
}

/// `pg_lsn_out` of PostgreSQL's `pg_lsn.c`: two halves in upper-case hex.
pub(in crate::copy) fn append_lsn(position: u64, text: &mut Vec<u8>) {
    append_half((position >> 32) as u32, text);
    text.push(b'/');
    append_half(position as u32, text);
}

fn append_half(half: u32, text: &mut Vec<u8>) {
    let digits = (u32::BITS - half.leading_zeros()).div_ceil(4).max(1);
    for digit in (0..digits).rev() {
        text.push(b"0123456789ABCDEF"[(half >> (4 * digit) & 15) as usize]);
    }
}

/// The WAL position that has this text.
pub(in crate::copy) fn lsn_of(text: &[u8]) -> Option<u64> {
    let slash = text.iter().position(|character| *character == b'/')?;
    let (high, low) = (half_of(&text[..slash])?, half_of(&text[slash + 1..])?);
    Some(u64::from(high) << 32 | u64::from(low))
}

fn half_of(text: &[u8]) -> Option<u32> {
    if !begins_plainly(text) || text.len() > HALF_DIGITS {
        return None;
    }
    text.iter().try_fold(0, |half, character| {
        let digit = match character {
            b'0'..=b'9' => character - b'0',
            b'A'..=b'F' => character - b'A' + 10,
            _ => return None,
        };
        Some(half << 4 | u32::from(digit))
    })
}

/// Whether there is something, and no zero before other characters.
fn begins_plainly(text: &[u8]) -> bool {
    !matches!(text, [] | [b'0', _, ..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lsn::Lsn;

    #[test]
    fn only_the_text_that_is_shown_is_read() {
        for value in [0, 7, 1 << 32, i64::MAX as u64, u64::MAX] {
            let (mut number, mut lsn) = (Vec::new(), Vec::new());
            append_unsigned(value, &mut number);
            append_lsn(value, &mut lsn);
            assert_eq!(number, value.to_string().as_bytes());
            assert_eq!(lsn, Lsn(value).to_string().as_bytes());
            assert_eq!(unsigned_of(&number), Some(value));
            assert_eq!(lsn_of(&lsn), Some(value));
        }
        for text in [
            "",
            "+1",
            "-1",
            "01",
            "1.50",
            " 1",
            "1:",
            "18446744073709551616",
            "99999999999999999999",
        ] {
            assert_eq!(unsigned_of(text.as_bytes()), None, "{text}");
        }
        for text in ["", "0", "00/0", "a/0", "0/", "/0", "0/100000000", "0/+1"] {
            assert_eq!(lsn_of(text.as_bytes()), None, "{text}");
        }
    }
}
