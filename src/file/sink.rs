//! Where the Parquet writer writes: chunks in memory, hashed as they come.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::str::FromStr;

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

use super::pages::Handover;

/// What is written between two pages leaves as one chunk, of at most this.
const CHUNK_BYTES: usize = 64 << 10;
/// Smaller pages are copied together rather than handed over one by one.
const LEAST_HANDED_OVER_BYTES: usize = 16 << 10;

/// The SHA-256 of an object's bytes. Its text is 64 lower-case hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sha256Digest(pub [u8; 32]);

impl fmt::Display for Sha256Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Text that is not 64 lower-case hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a SHA-256 is 64 lower-case hex digits")]
pub struct ParseSha256Error;

impl FromStr for Sha256Digest {
    type Err = ParseSha256Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let nibble = |digit: u8| match digit {
            b'0'..=b'9' => Ok(digit - b'0'),
            b'a'..=b'f' => Ok(digit - b'a' + 10),
            _ => Err(ParseSha256Error),
        };
        let (pairs, []) = text.as_bytes().as_chunks::<2>() else {
            return Err(ParseSha256Error);
        };
        let mut digest = [0; 32];
        if pairs.len() != digest.len() {
            return Err(ParseSha256Error);
        }
        for (byte, [high, low]) in digest.iter_mut().zip(pairs) {
            *byte = nibble(*high)? << 4 | nibble(*low)?;
        }
        Ok(Self(digest))
    }
}

impl Serialize for Sha256Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Sha256Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Bytes written and not yet taken.
pub(super) struct Sink {
    full: VecDeque<Bytes>,
    filling: Vec<u8>,
    handover: Handover,
    hasher: Sha256,
    bytes: u64,
}

impl Sink {
    /// A sink that recognises the pages of `handover`.
    pub(super) fn new(handover: Handover) -> Self {
        Self {
            full: VecDeque::new(),
            filling: Vec::new(),
            handover,
            hasher: Sha256::new(),
            bytes: 0,
        }
    }

    /// Takes the oldest chunk.
    pub(super) fn take(&mut self) -> Option<Bytes> {
        self.full.pop_front()
    }

    /// Bytes held: written and not yet taken.
    pub(super) fn held_bytes(&self) -> usize {
        self.full.iter().map(Bytes::len).sum::<usize>() + self.filling.capacity()
    }

    /// Ends the object: what is left, its length and its hash.
    pub(super) fn finish(&mut self) -> (Vec<Bytes>, u64, Sha256Digest) {
        self.seal();
        self.handover.clear();
        let rest = std::mem::take(&mut self.full).into();
        let digest = std::mem::take(&mut self.hasher).finalize();
        (rest, self.bytes, Sha256Digest(digest.into()))
    }

    fn push(&mut self, chunk: Bytes) {
        self.hasher.update(&chunk);
        self.full.push_back(chunk);
    }

    fn seal(&mut self) {
        if !self.filling.is_empty() {
            let mut chunk = std::mem::take(&mut self.filling);
            chunk.shrink_to_fit();
            self.push(chunk.into());
        }
    }
}

impl io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes += bytes.len() as u64;
        if bytes.len() >= LEAST_HANDED_OVER_BYTES
            && let Some(page) = self.handover.recognise(bytes)
        {
            self.seal();
            self.push(page);
            return Ok(bytes.len());
        }
        self.filling.extend_from_slice(bytes);
        if self.filling.len() >= CHUNK_BYTES {
            self.seal();
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
