//! How Parquet pages are compressed.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};

/// How Parquet pages are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    /// Zstandard, level 1 to 22. The default is 3.
    Zstd(i32),
    /// Snappy.
    Snappy,
    /// LZ4, raw blocks.
    Lz4,
    /// Gzip, level 0 to 9.
    Gzip(u32),
    /// Brotli, level 0 to 11.
    Brotli(u32),
    /// None.
    None,
}

impl Default for Compression {
    fn default() -> Self {
        Self::Zstd(3)
    }
}

impl FromStr for Compression {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (codec, level) = match text.split_once(':') {
            Some((codec, level)) => (
                codec,
                Some(level.parse::<u32>().map_err(|_| bad_codec(text))?),
            ),
            None => (text, None),
        };
        match (codec, level) {
            ("zstd", level @ (None | Some(1..=22))) => {
                Ok(Self::Zstd(level.map_or(3, |level| level as i32)))
            }
            ("gzip", level @ (None | Some(0..=9))) => Ok(Self::Gzip(level.unwrap_or(6))),
            ("brotli", level @ (None | Some(0..=11))) => Ok(Self::Brotli(level.unwrap_or(1))),
            ("snappy", None) => Ok(Self::Snappy),
            ("lz4", None) => Ok(Self::Lz4),
            ("none", None) => Ok(Self::None),
            _ => Err(bad_codec(text)),
        }
    }
}

fn bad_codec(text: &str) -> Error {
    Error::new(
        ErrorKind::Config,
        format!(
            "--compression {text}: not one of zstd[:1-22], snappy, lz4, gzip[:0-9], brotli[:0-11], none"
        ),
    )
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Zstd(level) => write!(f, "zstd:{level}"),
            Self::Snappy => f.write_str("snappy"),
            Self::Lz4 => f.write_str("lz4"),
            Self::Gzip(level) => write!(f, "gzip:{level}"),
            Self::Brotli(level) => write!(f, "brotli:{level}"),
            Self::None => f.write_str("none"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codecs_read_back_what_they_show() {
        for text in [
            "zstd:3", "zstd:22", "snappy", "lz4", "gzip:9", "brotli:0", "none",
        ] {
            assert_eq!(text.parse::<Compression>().unwrap().to_string(), text);
        }
        for bad in [
            "zstd:0", "zstd:23", "zstd:-1", "gzip:10", "snappy:1", "", "lzma",
        ] {
            assert!(bad.parse::<Compression>().is_err(), "{bad:?}");
        }
    }
}
