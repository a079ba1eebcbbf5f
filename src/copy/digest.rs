//! The wire digest: an order-independent hash over the exact COPY bytes of a chunk's rows.
//!
//! Owns its definition and its text. A digest is compared by `verify` against one that is made
//! from the Parquet objects alone, so the definition never changes within a manifest version.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use xxhash_rust::xxh3::xxh3_128;

/// The sum modulo 2^128, over all rows, of XXH3-128 (seed 0, default secret) of each row.
///
/// A row's bytes are those of its tuple in binary COPY: the 16-bit field count, then for each
/// field its 32-bit length and value. The header and the trailer are left out, so digests of
/// disjoint sets of rows add up. Its text is 32 lower-case hex digits, most significant first.
///
/// Two words that say nothing of a value are taken as an encoder writes them. An array's null flag
/// is whether it holds NULLs: `array_send` sends whether it has room for them, which a slice of an
/// array keeps. The display scale of a decimal mapped by hand is its column's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct WireDigest(pub u128);

impl WireDigest {
    /// Adds one row's bytes, field count included.
    #[inline]
    pub fn add_row(&mut self, row: &[u8]) {
        self.0 = self.0.wrapping_add(xxh3_128(row));
    }

    /// Adds rows that lie end to end, as [`CopyEncoder`](super::CopyEncoder) hands them over:
    /// `ends` are where each ends.
    ///
    /// # Panics
    ///
    /// When these are not in order or lie beyond the rows: a bug in the caller.
    pub fn add_rows(&mut self, rows: &[u8], ends: &[u32]) {
        let mut start = 0;
        for end in ends.iter().map(|end| *end as usize) {
            self.add_row(&rows[start..end]);
            start = end;
        }
    }

    /// Takes one row that was added out again, and adds another for it.
    pub(super) fn replace_row(&mut self, added: &[u8], instead: &[u8]) {
        self.0 = self
            .0
            .wrapping_sub(xxh3_128(added))
            .wrapping_add(xxh3_128(instead));
    }

    /// Adds the digest of other rows.
    #[must_use]
    pub fn combined(self, other: Self) -> Self {
        Self(self.0.wrapping_add(other.0))
    }
}

impl fmt::Display for WireDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// Text that is not 32 lower-case hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a wire digest is 32 lower-case hex digits")]
pub struct ParseDigestError;

impl FromStr for WireDigest {
    type Err = ParseDigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if text.len() != 32 || !text.bytes().all(is_hex) {
            return Err(ParseDigestError);
        }
        u128::from_str_radix(text, 16)
            .map(Self)
            .map_err(|_| ParseDigestError)
    }
}

impl Serialize for WireDigest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for WireDigest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_pinned() {
        let mut digest = WireDigest::default();
        digest.add_row(&[0, 0]);
        let once = digest;
        assert_eq!(once.to_string(), format!("{:032x}", xxh3_128(&[0, 0])));
        digest.add_row(&[0, 1, 0xff, 0xff, 0xff, 0xff]);
        let mut other = WireDigest::default();
        other.add_row(&[0, 1, 0xff, 0xff, 0xff, 0xff]);
        assert_eq!(other.combined(once), digest);
        assert_ne!(digest, once);
    }

    #[test]
    fn text_reads_back_and_is_strict() {
        for digest in [WireDigest(0), WireDigest(1), WireDigest(u128::MAX)] {
            assert_eq!(digest.to_string().parse(), Ok(digest));
            let json = serde_json::to_string(&digest).unwrap();
            assert_eq!(serde_json::from_str::<WireDigest>(&json).unwrap(), digest);
        }
        for bad in [
            "",
            "0",
            "+0000000000000000000000000000001",
            &"F".repeat(32),
            &"0".repeat(33),
        ] {
            assert_eq!(bad.parse::<WireDigest>(), Err(ParseDigestError), "{bad:?}");
        }
    }
}
