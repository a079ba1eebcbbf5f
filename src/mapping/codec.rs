//! The pairs of a wire form and an Arrow type: what a decoder turns one into, and an encoder back.

use std::sync::Arc;

use arrow_schema::{DataType, Field, FieldRef, Fields, TimeUnit};

/// Name of a list's only child, as the Parquet specification has it.
const ELEMENT: &str = "element";
/// Arrow's key for the name of an extension type, and the two that Parquet has logical types for.
const EXTENSION_NAME: &str = "ARROW:extension:name";
const EXTENSION_UUID: &str = "arrow.uuid";
const EXTENSION_JSON: &str = "arrow.json";

/// The wire form of a column's values, and the array that they are decoded into. Each is exactly
/// reversible: what has been decoded is encoded to the same bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Codec {
    /// One byte, 0 or 1, as `Boolean`.
    Bool,
    /// One raw byte as `Int8`.
    Char,
    /// Two bytes as `Int16`.
    Int16,
    /// Four bytes as `Int32`.
    Int32,
    /// Eight bytes as `Int64`.
    Int64,
    /// Four unsigned bytes as `Int64`.
    Oid,
    /// Four unsigned bytes as `UInt32`.
    UInt32,
    /// Eight unsigned bytes as `Utf8`, decimal digits.
    Xid8Text,
    /// A WAL position of eight bytes as `Utf8`, `X/X` in hex.
    LsnText,
    /// Eight bytes as `FixedSizeBinary(8)`, most significant first.
    Bytes8,
    /// Four bytes of IEEE 754 as `Float32`, bit for bit.
    Float32,
    /// Eight bytes of IEEE 754 as `Float64`, bit for bit.
    Float64,
    /// Base-10000 digits as `Decimal128`, of more than 38 digits `Decimal256`.
    Decimal {
        /// Digits in all, 1 to 76.
        precision: u8,
        /// Digits after the point, at most `precision`.
        scale: u8,
        /// Whether a value of another display scale counts as the same number: `1.5` where the
        /// column holds `1.50`. So only where it was asked for; the restated digits are hashed.
        restate: bool,
    },
    /// Base-10000 digits as `Utf8`: PostgreSQL's text, of every scale, NaN and the infinities.
    NumericText,
    /// Minor units of money as `Decimal128(19, scale)`.
    Money {
        /// Digits after the point.
        scale: u8,
    },
    /// Text as `Utf8`.
    Text,
    /// JSON text as `Utf8` of logical type JSON.
    Json,
    /// A version byte and JSON text as `Utf8`.
    Jsonb {
        /// Whether the logical type is JSON.
        logical: bool,
    },
    /// A version byte and text as `Utf8`.
    VersionedText,
    /// Raw bytes as `Binary`.
    Bytes,
    /// Days as `Date32`.
    Date,
    /// Microseconds from midnight as `Int64`.
    Time,
    /// Microseconds from midnight as `Time64(µs)`.
    Time64,
    /// A time and a zone as `Struct{time_us: Int64, offset_s: Int32}`; seconds east of UTC.
    Timetz,
    /// Microseconds as `Timestamp(µs)`.
    Timestamp {
        /// Whether it is an instant (`timestamptz`), labelled UTC.
        utc: bool,
    },
    /// `Struct{months: Int32, days: Int32, micros: Int64}`.
    Interval,
    /// Sixteen bytes as `Utf8`, 36 characters.
    UuidText,
    /// Sixteen bytes as `FixedSizeBinary(16)` of logical type UUID.
    Uuid,
    /// Text of 36 lower-case characters as `FixedSizeBinary(16)` of logical type UUID.
    UuidFromText,
    /// A label as `Dictionary(Int32, Utf8)`.
    Enum {
        /// All labels, in their sort order.
        labels: Arc<[String]>,
    },
    /// An address as `Utf8`, as `inet_out` shows it: no `/32` or `/128` on a host.
    Inet,
    /// A network as `Utf8`, always with its length.
    Cidr,
    /// Six bytes as `Utf8`, `08:00:2b:01:02:03`.
    Macaddr,
    /// Eight bytes as `Utf8`, `08:00:2b:01:02:03:04:05`.
    Macaddr8,
    /// A count of bits and bytes as `Utf8` of `0` and `1`.
    BitString,
    /// Doubles end to end as a `Struct` of them: point, line, lseg, box, circle.
    Doubles(&'static [&'static str]),
    /// `Struct{closed: Boolean, points: List<Struct{x, y}>}`.
    Path,
    /// `List<Struct{x, y}>`.
    Polygon,
    /// An array of one dimension from 1, or an empty one, as `List`.
    Array {
        /// The oid that stands on the wire.
        element_oid: u32,
        /// What it holds.
        element: Box<Codec>,
    },
    /// `Struct` of its attributes.
    Composite {
        /// In order of the wire.
        attributes: Arc<[AttributeCodec]>,
    },
    /// `Struct{lower, upper, lower_inc, upper_inc, empty}`; an unbounded side is NULL.
    Range {
        /// What its bounds are.
        bound: Box<Codec>,
    },
    /// `List` of ranges.
    Multirange {
        /// What the bounds of its ranges are.
        bound: Box<Codec>,
    },
    /// `Map<Utf8, Utf8>`.
    Hstore,
    /// EWKB of one declared SRID as `Binary`, ISO WKB.
    Wkb {
        /// The declared SRID, more than 0.
        srid: i32,
        /// Whether it is `geography`: edges follow the spheroid.
        geography: bool,
    },
    /// Dimensions and floats as `List<Float32>`, or `FixedSizeList` of a declared length.
    Vector {
        /// The length of a `FixedSizeList`.
        fixed: Option<u16>,
    },
    /// Dimensions and half floats as a list.
    Halfvec {
        /// Whether its elements stay `Float16`, or are widened to `Float32`.
        half: bool,
        /// The length of a `FixedSizeList`.
        fixed: Option<u16>,
    },
    /// `Struct{dimensions: Int32, indices: List<Int32>, values: List<Float32>}`; indices from 0.
    Sparsevec,
}

/// An attribute of a composite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttributeCodec {
    /// Its name.
    pub name: String,
    /// The oid that stands on the wire.
    pub oid: u32,
    /// What it holds.
    pub codec: Codec,
}

/// Fields of a point; [`Codec::Doubles`] takes these lists.
pub(crate) const POINT: &[&str] = &["x", "y"];
pub(crate) const LINE: &[&str] = &["a", "b", "c"];
/// A line segment's ends, or a box's corners, the upper right first.
pub(crate) const TWO_POINTS: &[&str] = &["x1", "y1", "x2", "y2"];
pub(crate) const CIRCLE: &[&str] = &["x", "y", "r"];

impl Codec {
    /// The Arrow type of its arrays.
    #[must_use]
    pub fn arrow_type(&self) -> DataType {
        match self {
            Self::Bool => DataType::Boolean,
            Self::Char => DataType::Int8,
            Self::Int16 => DataType::Int16,
            Self::Int32 => DataType::Int32,
            // A file with a TIME column cannot be opened by Spark 3.5: the time stays a number.
            Self::Int64 | Self::Oid | Self::Time => DataType::Int64,
            Self::UInt32 => DataType::UInt32,
            Self::Bytes8 => DataType::FixedSizeBinary(8),
            Self::Float32 => DataType::Float32,
            Self::Float64 => DataType::Float64,
            Self::Decimal {
                precision, scale, ..
            } if *precision > 38 => DataType::Decimal256(*precision, *scale as i8),
            Self::Decimal {
                precision, scale, ..
            } => DataType::Decimal128(*precision, *scale as i8),
            Self::Money { scale } => DataType::Decimal128(19, *scale as i8),
            Self::Xid8Text | Self::LsnText | Self::NumericText => DataType::Utf8,
            Self::Text | Self::Json | Self::Jsonb { .. } | Self::VersionedText => DataType::Utf8,
            Self::UuidText | Self::Inet | Self::Cidr | Self::Macaddr => DataType::Utf8,
            Self::Macaddr8 | Self::BitString => DataType::Utf8,
            Self::Bytes | Self::Wkb { .. } => DataType::Binary,
            Self::Date => DataType::Date32,
            Self::Time64 => DataType::Time64(TimeUnit::Microsecond),
            Self::Timestamp { utc } => {
                DataType::Timestamp(TimeUnit::Microsecond, utc.then(|| "UTC".into()))
            }
            Self::Uuid | Self::UuidFromText => DataType::FixedSizeBinary(16),
            Self::Enum { .. } => {
                DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
            }
            nested => nested.nested_type(),
        }
    }

    fn nested_type(&self) -> DataType {
        let required = |name: &str, data_type| Field::new(name, data_type, false);
        match self {
            Self::Timetz => DataType::Struct(Fields::from(vec![
                required("time_us", DataType::Int64),
                required("offset_s", DataType::Int32),
            ])),
            Self::Interval => DataType::Struct(Fields::from(vec![
                required("months", DataType::Int32),
                required("days", DataType::Int32),
                required("micros", DataType::Int64),
            ])),
            Self::Doubles(names) => doubles(names),
            Self::Polygon => DataType::List(element(doubles(POINT), false)),
            Self::Path => DataType::Struct(Fields::from(vec![
                required("closed", DataType::Boolean),
                required("points", DataType::List(element(doubles(POINT), false))),
            ])),
            Self::Array { element, .. } => DataType::List(Arc::new(element.field(ELEMENT, true))),
            Self::Composite { attributes } => attributes
                .iter()
                .map(|attribute| attribute.codec.field(&attribute.name, true))
                .collect::<Fields>()
                .into_struct(),
            Self::Range { bound } => range(bound),
            Self::Multirange { bound } => DataType::List(element(range(bound), false)),
            Self::Hstore => {
                let entries = Fields::from(vec![
                    required("key", DataType::Utf8),
                    Field::new("value", DataType::Utf8, true),
                ]);
                let entries = required("key_value", DataType::Struct(entries));
                DataType::Map(Arc::new(entries), false)
            }
            Self::Vector { fixed } => list(DataType::Float32, *fixed),
            Self::Halfvec { half: true, fixed } => list(DataType::Float16, *fixed),
            Self::Halfvec { half: false, fixed } => list(DataType::Float32, *fixed),
            Self::Sparsevec => DataType::Struct(Fields::from(vec![
                required("dimensions", DataType::Int32),
                required("indices", list(DataType::Int32, None)),
                required("values", list(DataType::Float32, None)),
            ])),
            flat => unreachable_type(flat),
        }
    }

    /// A field of this type, with its extension type where it has one.
    #[must_use]
    pub fn field(&self, name: &str, nullable: bool) -> Field {
        let field = Field::new(name, self.arrow_type(), nullable);
        match self {
            Self::Uuid | Self::UuidFromText => extended(field, EXTENSION_UUID),
            Self::Json | Self::Jsonb { logical: true } => extended(field, EXTENSION_JSON),
            _ => field,
        }
    }

    /// Whether PostgreSQL's type has values that this one's array cannot hold.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        match self {
            Self::Decimal { .. } | Self::Date | Self::Timestamp { .. } | Self::Interval => true,
            Self::Array { .. } | Self::UuidFromText | Self::Wkb { .. } => true,
            Self::Composite { attributes } => attributes
                .iter()
                .any(|attribute| attribute.codec.is_partial()),
            Self::Range { bound } | Self::Multirange { bound } => bound.is_partial(),
            _ => false,
        }
    }
}

/// `arrow_type` has a row for every type without children.
fn unreachable_type(codec: &Codec) -> DataType {
    debug_assert!(false, "{codec:?} has no Arrow type");
    DataType::Null
}

trait IntoStruct {
    fn into_struct(self) -> DataType;
}

impl IntoStruct for Fields {
    fn into_struct(self) -> DataType {
        DataType::Struct(self)
    }
}

fn extended(field: Field, name: &str) -> Field {
    let mut metadata = field.metadata().clone();
    metadata.insert(EXTENSION_NAME.to_owned(), name.to_owned());
    field.with_metadata(metadata)
}

fn element(data_type: DataType, nullable: bool) -> FieldRef {
    Arc::new(Field::new(ELEMENT, data_type, nullable))
}

fn list(data_type: DataType, fixed: Option<u16>) -> DataType {
    let element = element(data_type, false);
    match fixed {
        Some(length) => DataType::FixedSizeList(element, i32::from(length)),
        None => DataType::List(element),
    }
}

fn doubles(names: &[&str]) -> DataType {
    names
        .iter()
        .map(|name| Field::new(*name, DataType::Float64, false))
        .collect::<Fields>()
        .into_struct()
}

fn range(bound: &Codec) -> DataType {
    let flag = |name: &str| Field::new(name, DataType::Boolean, false);
    DataType::Struct(Fields::from(vec![
        bound.field("lower", true),
        bound.field("upper", true),
        flag("lower_inc"),
        flag("upper_inc"),
        flag("empty"),
    ]))
}
