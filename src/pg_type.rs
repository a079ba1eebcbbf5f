//! The PostgreSQL types that have a native mapping, as the catalog names them. Pure data.
//!
//! What a type becomes in Arrow and Parquet is decided in `mapping`, nowhere else.

use serde::{Deserialize, Serialize};

/// A column's type after its domains are resolved to their base.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PgType {
    /// `bool`
    Bool,
    /// `"char"`: one raw byte
    Char,
    /// `int2`
    Int2,
    /// `int4`
    Int4,
    /// `int8`
    Int8,
    /// `oid`: unsigned, 32 bits
    Oid,
    /// `float4`
    Float4,
    /// `float8`
    Float8,
    /// `numeric`, with its precision and scale where the column declares them.
    Numeric(Option<NumericModifier>),
    /// `text`
    Text,
    /// `varchar`
    Varchar,
    /// `bpchar`, blank-padded
    Bpchar,
    /// `name`
    Name,
    /// `bytea`
    Bytea,
    /// `date`
    Date,
    /// `time` without time zone
    Time,
    /// `timestamp` without time zone
    Timestamp,
    /// `timestamptz`
    Timestamptz,
    /// `uuid`
    Uuid,
    /// `json`
    Json,
    /// `jsonb`
    Jsonb,
    /// An enum, with its labels in their sort order.
    Enum {
        /// All labels, in `enumsortorder`.
        labels: Vec<String>,
    },
    /// Any other type. It travels as PostgreSQL's own text.
    Other,
}

/// The declared precision and scale of a `numeric` column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct NumericModifier {
    /// Decimal digits in all, 1 to 1000.
    pub precision: u16,
    /// Digits after the point, -1000 to 1000 (negative and larger than precision since 15).
    pub scale: i16,
}

impl NumericModifier {
    /// Reads `atttypmod`; `None` when the column declares no precision (-1).
    ///
    /// The layout is that of `numeric_typmod_*` in PostgreSQL's `numeric.c`: precision in the
    /// upper 16 bits, scale in the lower 11 as a signed number, all offset by `VARHDRSZ` (4).
    #[must_use]
    pub fn from_typmod(typmod: i32) -> Option<Self> {
        let packed = typmod.checked_sub(4).filter(|packed| *packed >= 0)?;
        let precision = u16::try_from((packed >> 16) & 0xFFFF).ok()?;
        let scale = i16::try_from(((packed & 0x7FF) ^ 1024) - 1024).ok()?;
        Some(Self { precision, scale })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typmod_of_numeric_is_unpacked_with_signed_scale() {
        let packed = |precision: i32, scale: i32| ((precision << 16) | (scale & 0x7FF)) + 4;
        for (precision, scale) in [(15, 2), (38, 38), (1000, 0), (3, -1000), (2, 1000), (5, -2)] {
            let modifier = NumericModifier::from_typmod(packed(precision, scale)).unwrap();
            assert_eq!(i32::from(modifier.precision), precision);
            assert_eq!(i32::from(modifier.scale), scale);
        }
        assert_eq!(NumericModifier::from_typmod(-1), None);
    }
}
