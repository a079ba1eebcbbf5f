//! Bytes as lower-case hex with separators: UUIDs and hardware addresses.

/// The two hex digits of each byte.
const HEX: [[u8; 2]; 256] = hex_table();
/// What each hex digit counts; other characters, upper-case digits among them, count [`NO_DIGIT`].
const DIGITS: [u8; 256] = digit_table();
/// Has a bit that no digit has.
const NO_DIGIT: u8 = 0x80;
/// Where the two digits of each byte of a UUID stand.
const UUID_PLACES: [usize; 16] = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34];
/// Where a UUID has its dashes.
const UUID_DASHES: [usize; 4] = [8, 13, 18, 23];

const fn hex_table() -> [[u8; 2]; 256] {
    let digits = b"0123456789abcdef";
    let mut table = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = [digits[byte >> 4], digits[byte & 15]];
        byte += 1;
    }
    table
}

const fn digit_table() -> [u8; 256] {
    let digits = b"0123456789abcdef";
    let mut table = [NO_DIGIT; 256];
    let mut value = 0;
    while value < digits.len() {
        table[digits[value] as usize] = value as u8;
        value += 1;
    }
    table
}

/// `uuid_out` of PostgreSQL's `uuid.c`: groups of 8, 4, 4, 4 and 12 digits.
#[inline(always)]
pub(in crate::copy) fn uuid_text(uuid: [u8; 16]) -> [u8; 36] {
    let mut text = [b'-'; 36];
    let mut index = 0;
    while index < 16 {
        let [high, low] = HEX[uuid[index] as usize];
        text[UUID_PLACES[index]] = high;
        text[UUID_PLACES[index] + 1] = low;
        index += 1;
    }
    text
}

/// The UUID that has this text; `None` when it has another form, if only in upper case.
#[inline(always)]
pub(in crate::copy) fn uuid_of(text: &[u8]) -> Option<[u8; 16]> {
    let text: &[u8; 36] = text.try_into().ok()?;
    let mut uuid = [0; 16];
    let mut wrong = 0;
    let mut index = 0;
    while index < 16 {
        let at = UUID_PLACES[index];
        let (high, low) = (DIGITS[text[at] as usize], DIGITS[text[at + 1] as usize]);
        wrong |= high | low;
        uuid[index] = high << 4 | low;
        index += 1;
    }
    let dashed = UUID_DASHES.iter().all(|at| text[*at] == b'-');
    (dashed && wrong & NO_DIGIT == 0).then_some(uuid)
}

/// `macaddr_out` and `macaddr8_out`: pairs of digits with colons between.
#[inline]
pub(in crate::copy) fn append_colons<const N: usize>(bytes: [u8; N], text: &mut Vec<u8>) {
    for (index, byte) in bytes.into_iter().enumerate() {
        if index > 0 {
            text.push(b':');
        }
        text.extend_from_slice(&HEX[byte as usize]);
    }
}

/// The bytes that have this text.
pub(in crate::copy) fn of_colons<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    if text.len() != (3 * N).checked_sub(1)? {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, group) in bytes.iter_mut().zip(text.chunks(3)) {
        let (high, low) = (DIGITS[group[0] as usize], DIGITS[group[1] as usize]);
        let separated = group.get(2).is_none_or(|separator| *separator == b':');
        if (high | low) & NO_DIGIT != 0 || !separated {
            return None;
        }
        *byte = high << 4 | low;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: [u8; 16] = 0x0123_4567_89ab_cdef_fedc_ba98_7654_3210_u128.to_be_bytes();

    #[test]
    fn the_text_is_what_postgresql_shows() {
        let text = b"01234567-89ab-cdef-fedc-ba9876543210";
        assert_eq!(&uuid_text(UUID), text);
        assert_eq!(uuid_of(text), Some(UUID));
        let mut text = Vec::new();
        append_colons([0x08, 0, 0x2b, 1, 2, 0xff], &mut text);
        assert_eq!(text, b"08:00:2b:01:02:ff");
        assert_eq!(of_colons(&text), Some([0x08, 0, 0x2b, 1, 2, 0xff]));
    }

    #[test]
    fn every_other_character_at_every_place_is_refused() {
        for at in 0..36 {
            for wrong in (0..=u8::MAX).filter(|byte| !matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
                let mut text = uuid_text(UUID);
                let is_same = text[at] == wrong;
                text[at] = wrong;
                assert_eq!(uuid_of(&text).is_some(), is_same, "{at} {wrong}");
            }
        }
        for text in [
            "08:00:2B:01:02:ff",
            "08:00:2b:01:02",
            "08-00-2b-01-02-ff",
            "",
        ] {
            assert_eq!(of_colons::<6>(text.as_bytes()), None, "{text}");
        }
    }
}
