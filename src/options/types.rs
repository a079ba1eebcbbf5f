//! What a run may choose about types: the profile, overrides for single columns, and what becomes
//! of a value that its column cannot hold.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind};

/// Which Parquet types are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// Types that every common reader opens: Spark 3.5 and 4, Trino, DuckDB, Polars, BigQuery,
    /// Snowflake.
    #[default]
    Portable,
    /// The richest logical types: UUID, JSON, TIME, unsigned integers, wide decimals.
    Native,
}

impl Profile {
    /// The stable name, as flags and the manifest have it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Native => "native",
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Profile {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "portable" => Ok(Self::Portable),
            "native" => Ok(Self::Native),
            _ => Err(bad(format!(
                "--profile {text}: not one of portable, native"
            ))),
        }
    }
}

/// What becomes of a value that its column's Parquet type cannot hold: an infinite timestamp, a
/// NaN in a decimal column, an array of two dimensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnUnrepresentable {
    /// It stops the run, with an error that names the column and the row.
    #[default]
    Error,
    /// The column holds NULL, and an object under `_exceptions/` the exact value.
    Exceptions,
    /// Every column that could meet one travels as PostgreSQL's own text.
    Text,
}

impl OnUnrepresentable {
    /// The stable name, as flags and the manifest have it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Exceptions => "exceptions",
            Self::Text => "text",
        }
    }
}

impl fmt::Display for OnUnrepresentable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for OnUnrepresentable {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "error" => Ok(Self::Error),
            "exceptions" => Ok(Self::Exceptions),
            "text" => Ok(Self::Text),
            _ => Err(bad(format!(
                "--on-unrepresentable {text}: not one of error, exceptions, text"
            ))),
        }
    }
}

/// What `--map column=TYPE` makes of a column instead of the profile's choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MapTo {
    /// PostgreSQL's own text.
    Text,
    /// A decimal. A value with more digits than it holds is unrepresentable, never rounded.
    Decimal {
        /// Digits in all, 1 to 76; up to 38 every reader opens.
        precision: u8,
        /// Digits after the point, at most `precision`.
        scale: u8,
    },
    /// Sixteen bytes of logical type UUID.
    Uuid,
    /// Text of logical type JSON.
    Json,
    /// The raw bytes of text, whatever its encoding.
    Binary,
}

/// The most digits of a decimal.
const MAX_PRECISION: u8 = 76;

impl fmt::Display for MapTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text => f.write_str("text"),
            Self::Decimal { precision, scale } => write!(f, "decimal({precision},{scale})"),
            Self::Uuid => f.write_str("uuid"),
            Self::Json => f.write_str("json"),
            Self::Binary => f.write_str("binary"),
        }
    }
}

impl FromStr for MapTo {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "text" => Ok(Self::Text),
            "uuid" => Ok(Self::Uuid),
            "json" => Ok(Self::Json),
            "binary" => Ok(Self::Binary),
            _ => decimal(text).ok_or_else(|| {
                bad(format!(
                    "--map TYPE {text}: not one of text, decimal(P,S) with S <= P <= \
                     {MAX_PRECISION}, uuid, json, binary"
                ))
            }),
        }
    }
}

fn decimal(text: &str) -> Option<MapTo> {
    let inner = text.strip_prefix("decimal(")?.strip_suffix(')')?;
    let (precision, scale) = inner.split_once(',')?;
    let precision = precision.trim().parse().ok()?;
    let scale = scale.trim().parse().ok()?;
    let fits = (1..=MAX_PRECISION).contains(&precision) && scale <= precision;
    fits.then_some(MapTo::Decimal { precision, scale })
}

/// The text of a choice, as it stands in flags, is its form in the manifest too.
impl Serialize for MapTo {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for MapTo {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

fn bad(message: String) -> Error {
    Error::new(ErrorKind::Config, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_read_back_what_they_show() {
        for text in [
            "text",
            "decimal(20,4)",
            "decimal(76,76)",
            "uuid",
            "json",
            "binary",
        ] {
            assert_eq!(text.parse::<MapTo>().unwrap().to_string(), text);
        }
        for bad in [
            "",
            "decimal",
            "decimal(77,0)",
            "decimal(0,0)",
            "decimal(3,4)",
            "int8",
        ] {
            assert!(bad.parse::<MapTo>().is_err(), "{bad}");
        }
        for profile in [Profile::Portable, Profile::Native] {
            assert_eq!(profile.as_str().parse::<Profile>().unwrap(), profile);
        }
        use OnUnrepresentable::{Error, Exceptions, Text};
        for choice in [Error, Exceptions, Text] {
            assert_eq!(
                choice.as_str().parse::<OnUnrepresentable>().unwrap(),
                choice
            );
        }
    }
}
