//! PostgreSQL's types as the catalog describes them, walked down to what their values are made of.
//! Pure data.
//!
//! What a type becomes in Arrow and Parquet is decided in `mapping`, nowhere else.

use serde::{Deserialize, Serialize};

/// A type after its domains are resolved to their base.
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
    /// `oid`, `xid`, `cid`, `regclass` and its like: unsigned, 32 bits
    Oid,
    /// `xid8`: unsigned, 64 bits
    Xid8,
    /// `pg_lsn`: a position in the write-ahead log
    PgLsn,
    /// `float4`
    Float4,
    /// `float8`
    Float8,
    /// `numeric`, with its precision and scale where the column declares them.
    Numeric(Option<NumericModifier>),
    /// `money`: minor units
    Money {
        /// Digits after the point, as the server's `lc_monetary` has them.
        scale: u8,
    },
    /// `text`, `citext`, `refcursor`
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
    /// `timetz`
    Timetz,
    /// `timestamp` without time zone
    Timestamp,
    /// `timestamptz`
    Timestamptz,
    /// `interval`
    Interval,
    /// `uuid`
    Uuid,
    /// `json`
    Json,
    /// `jsonb`
    Jsonb,
    /// `jsonpath`, `ltree`, `lquery`, `ltxtquery`: text behind a version byte
    VersionedText,
    /// `inet`
    Inet,
    /// `cidr`
    Cidr,
    /// `macaddr`
    Macaddr,
    /// `macaddr8`
    Macaddr8,
    /// `bit`, `varbit`
    BitString,
    /// `point`
    Point,
    /// `line`
    Line,
    /// `lseg`
    Lseg,
    /// `box`
    Box,
    /// `path`
    Path,
    /// `polygon`
    Polygon,
    /// `circle`
    Circle,
    /// An enum, with its labels in their sort order.
    Enum {
        /// All labels, in `enumsortorder`.
        labels: Vec<String>,
    },
    /// An array of any number of dimensions.
    Array {
        /// What it holds.
        element: Box<TypeRef>,
    },
    /// A composite type.
    Composite {
        /// Its attributes that are not dropped, in `attnum` order.
        attributes: Vec<Attribute>,
    },
    /// A range.
    Range {
        /// What its bounds are.
        subtype: Box<TypeRef>,
    },
    /// A multirange.
    Multirange {
        /// What the bounds of its ranges are.
        subtype: Box<TypeRef>,
    },
    /// `hstore`
    Hstore,
    /// PostGIS `geometry` or `geography`.
    Geometry {
        /// The SRID that the column declares.
        srid: Option<i32>,
        /// Whether it is `geography`: edges follow the spheroid.
        geography: bool,
    },
    /// pgvector's `vector`.
    Vector {
        /// The length that the column declares.
        dimensions: Option<u16>,
    },
    /// pgvector's `halfvec`.
    Halfvec {
        /// The length that the column declares.
        dimensions: Option<u16>,
    },
    /// pgvector's `sparsevec`.
    Sparsevec,
    /// Any other type. It travels as PostgreSQL's own text.
    Other(TextReason),
}

/// A type that another is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TypeRef {
    /// `pg_type.oid`, which is a domain's own where it is one: it stands on the wire.
    pub oid: u32,
    /// Its type, domains resolved.
    #[serde(rename = "type")]
    pub pg_type: PgType,
}

/// An attribute of a composite type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attribute {
    /// Its exact name.
    pub name: String,
    /// What it holds.
    #[serde(flatten)]
    pub of: TypeRef,
}

/// Why a type travels as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TextReason {
    /// It has no binary form (`typsend`), or none that can be read back.
    NoBinaryForm,
    /// Its binary form says less than its text, or is no stable format.
    TextIsExact,
    /// It is not known here.
    Unknown,
}

impl TextReason {
    /// The reason in words, for reports and the types page.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoBinaryForm => "it has no binary form",
            Self::TextIsExact => "its text says what its binary form does not",
            Self::Unknown => "its binary form is not known here",
        }
    }
}

impl PgType {
    /// Why the type, or one that it is made of, travels as text; `None` when it does not.
    #[must_use]
    pub fn text_reason(&self) -> Option<TextReason> {
        match self {
            Self::Other(reason) => Some(*reason),
            Self::Array { element } => element.pg_type.text_reason(),
            Self::Range { subtype } | Self::Multirange { subtype } => subtype.pg_type.text_reason(),
            Self::Composite { attributes } => attributes
                .iter()
                .find_map(|attribute| attribute.of.pg_type.text_reason()),
            _ => None,
        }
    }

    /// Whether it is made of other types, whose oids a restore needs.
    #[must_use]
    pub const fn is_nested(&self) -> bool {
        matches!(
            self,
            Self::Array { .. }
                | Self::Composite { .. }
                | Self::Range { .. }
                | Self::Multirange { .. }
        )
    }
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

    #[test]
    fn a_type_that_holds_text_is_text_and_types_read_back() {
        let holding = |pg_type: PgType| PgType::Composite {
            attributes: vec![Attribute {
                name: "a".into(),
                of: TypeRef {
                    oid: 7,
                    pg_type: PgType::Array {
                        element: Box::new(TypeRef { oid: 8, pg_type }),
                    },
                },
            }],
        };
        let reason = TextReason::NoBinaryForm;
        assert_eq!(holding(PgType::Other(reason)).text_reason(), Some(reason));
        let sound = holding(PgType::Numeric(None));
        assert_eq!(sound.text_reason(), None);
        let json = serde_json::to_string(&sound).unwrap();
        assert_eq!(serde_json::from_str::<PgType>(&json).unwrap(), sound);
    }
}
