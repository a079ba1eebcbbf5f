//! Codecs without parts, and values of each.

use crate::copy::wire_rows::numeric;
use crate::mapping::Codec;

/// Every codec without parts, some with several declarations.
pub(super) fn codecs() -> Vec<Codec> {
    use Codec::*;
    let decimal = |precision, scale, restate| Decimal {
        precision,
        scale,
        restate,
    };
    vec![
        Bool,
        Char,
        Int16,
        Int32,
        Int64,
        Oid,
        UInt32,
        Xid8Text,
        LsnText,
        Bytes8,
        Float32,
        Float64,
        decimal(1, 0, false),
        decimal(9, 9, false),
        decimal(15, 2, false),
        decimal(38, 0, false),
        decimal(38, 5, false),
        decimal(38, 38, true),
        decimal(20, 7, true),
        decimal(39, 1, false),
        decimal(60, 31, true),
        decimal(76, 0, false),
        decimal(76, 76, false),
        NumericText,
        Money { scale: 2 },
        Money { scale: 0 },
        Text,
        Json,
        Jsonb { logical: true },
        VersionedText,
        Bytes,
        Date,
        Time,
        Time64,
        Timetz,
        Timestamp { utc: true },
        Timestamp { utc: false },
        Interval,
        UuidText,
        Uuid,
        UuidFromText,
        moods(),
        Inet,
        Cidr,
        Macaddr,
        Macaddr8,
        BitString,
    ]
}

pub(super) fn moods() -> Codec {
    let labels = ["sad", "ok", "", "grün"].map(String::from);
    Codec::Enum {
        labels: labels.as_slice().into(),
    }
}

/// A sound value.
pub(super) fn sample(codec: &Codec, [a, b, c, d]: [u64; 4]) -> Vec<u8> {
    let text = format!("{a:x}grün");
    let text = &text[..text.floor_char_boundary(b as usize % (text.len() + 1))];
    let wide = u128::from(a) << 64 | u128::from(b);
    match codec {
        Codec::Bool => vec![a as u8 & 1],
        Codec::Char => vec![a as u8],
        Codec::Int16 => (a as i16).to_be_bytes().into(),
        Codec::Int32 | Codec::Oid | Codec::UInt32 | Codec::Float32 => {
            (a as i32).to_be_bytes().into()
        }
        Codec::Decimal {
            precision,
            scale,
            restate,
        } => {
            let zeros = if *restate { d as usize % 6 } else { 0 };
            numeric(&(decimal_text([a, b, c], *precision, *scale) + &"0".repeat(zeros)))
        }
        Codec::NumericText => numeric(&decimal_text([a, b, c], 76, d as u8 % 77)),
        Codec::Text | Codec::Json | Codec::Bytes => text.into(),
        Codec::Jsonb { .. } | Codec::VersionedText => format!("\u{1}{text}").into(),
        Codec::Date => (a as i32 >> 2).to_be_bytes().into(),
        Codec::Time | Codec::Time64 => (a % 86_400_000_001).to_be_bytes().into(),
        Codec::Timetz => {
            let zone = (b % 115_199) as i32 - 57_599;
            [
                (a % 86_400_000_001).to_be_bytes().as_slice(),
                &zone.to_be_bytes(),
            ]
            .concat()
        }
        Codec::Timestamp { .. } => (a as i64 >> 2).to_be_bytes().into(),
        Codec::Interval | Codec::UuidText | Codec::Uuid => wide.to_be_bytes().into(),
        Codec::UuidFromText => format!(
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            a as u32,
            b as u16,
            c as u16,
            d as u16,
            a >> 16
        )
        .into(),
        Codec::Enum { labels } => labels[a as usize % labels.len()].clone().into(),
        Codec::Inet => inet(wide & mask(c as u32), d, false),
        Codec::Cidr => inet(wide & mask(c as u32), d, true),
        Codec::Macaddr => a.to_be_bytes()[..6].into(),
        Codec::BitString => {
            let bits = c as usize % 129;
            let kept = wide & !u128::MAX.checked_shr(bits as u32).unwrap_or(0);
            let count = (bits as i32).to_be_bytes();
            [count.as_slice(), &kept.to_be_bytes()[..bits.div_ceil(8)]].concat()
        }
        _ => a.to_be_bytes().into(),
    }
}

/// Words of zeros here and there.
fn mask(words: u32) -> u128 {
    (0..8).fold(0, |mask, word| {
        mask << 16 | if words >> word & 1 == 1 { 0xffff } else { 0 }
    })
}

fn inet(address: u128, choice: u64, is_cidr: bool) -> Vec<u8> {
    let (family, most) = if choice & 1 == 0 { (2, 32) } else { (3, 128) };
    let bits = match choice >> 1 & 3 {
        0 => most,
        _ => (choice >> 3) as u32 % (most + 1),
    };
    let network = address & !u128::MAX.checked_shr(bits).unwrap_or(0);
    let address = if is_cidr { network } else { address };
    let bytes = (most / 8) as usize;
    let header = [family, bits as u8, u8::from(is_cidr), bytes as u8];
    [header.as_slice(), &address.to_be_bytes()[..bytes]].concat()
}

/// A number of at most `precision` digits, exactly `scale` of them after the point.
fn decimal_text([a, b, c]: [u64; 3], precision: u8, scale: u8) -> String {
    let digits = format!("{a:020}{b:020}{c:020}{a:020}");
    let most = usize::from(precision).min(digits.len());
    let count = c as usize % (most + 1);
    let zeros = a as usize % 9;
    let digits = &digits[digits.len() - count..];
    let digits = format!(
        "{}{}",
        &digits[..count - zeros.min(count)],
        "0".repeat(zeros.min(count))
    );
    let scale = usize::from(scale);
    let digits = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let sign = if b & 1 == 1 { "-" } else { "" };
    let point = if scale > 0 { "." } else { "" };
    format!("{sign}{whole}{point}{fraction}")
}
