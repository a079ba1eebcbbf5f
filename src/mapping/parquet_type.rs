//! The Parquet type of a field, as a tree that can be shown and asked about.
//!
//! Owns names only: what a field becomes is parquet's own conversion of the mapped Arrow field, the
//! same one that its writer runs.

use std::fmt;

use arrow_schema::{DataType, Field, Schema, TimeUnit};
use parquet::arrow::ArrowSchemaConverter;
use parquet::basic::{
    DecimalType, IntType, LogicalType, TimeUnit as ParquetUnit, Type as Physical,
};
use parquet::schema::types::Type;
use serde::{Serialize, Serializer};

use crate::error::{Error, ErrorKind, Result};

/// What a column is in Parquet: physical and logical types, and what groups are made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParquetType {
    /// A column of values.
    Leaf(Leaf),
    /// A `LIST` group of three levels.
    List(Box<ParquetType>),
    /// A `MAP` group: keys, values.
    Map(Box<ParquetType>, Box<ParquetType>),
    /// Any other group: names and types of its fields.
    Struct(Vec<(String, ParquetType)>),
}

/// A physical type with its logical type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Leaf {
    /// `BOOLEAN`
    Boolean,
    /// `INT32` or `INT64`, with the `INT` type where it is narrower or unsigned.
    Int {
        /// 8, 16, 32 or 64.
        bits: u8,
        /// Whether it has a sign.
        signed: bool,
    },
    /// `FLOAT16` of two bytes
    Float16,
    /// `FLOAT`
    Float,
    /// `DOUBLE`
    Double,
    /// `DECIMAL`
    Decimal {
        /// Digits in all.
        precision: i32,
        /// Digits after the point.
        scale: i32,
        /// What the digits are stored in.
        physical: Physical,
    },
    /// `STRING`
    String,
    /// `JSON`
    Json,
    /// `BYTE_ARRAY` without a logical type
    Binary,
    /// `FIXED_LEN_BYTE_ARRAY` without a logical type, of so many bytes.
    Fixed(i32),
    /// `UUID` of sixteen bytes
    Uuid,
    /// `DATE`
    Date,
    /// `TIME` in microseconds
    Time,
    /// `TIMESTAMP` in microseconds
    Timestamp {
        /// Whether it is an instant.
        utc: bool,
    },
}

impl ParquetType {
    /// What parquet's writer makes of a field.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Internal`]: no mapping makes such a field.
    pub(super) fn of(field: &Field) -> Result<Self> {
        let schema = Schema::new(vec![field.clone()]);
        let converted = ArrowSchemaConverter::new().convert(&schema);
        let converted = converted.map_err(|error| {
            Error::new(ErrorKind::Internal, "the field has no Parquet form").with_source(error)
        })?;
        match converted.root_schema().get_fields() {
            [field] => read(field),
            _ => Err(unnamed(converted.root_schema())),
        }
    }

    /// Its name with the fields of structs left out.
    #[must_use]
    pub fn brief(&self) -> String {
        match self {
            Self::Leaf(leaf) => leaf.to_string(),
            Self::List(element) => format!("list<{}>", element.brief()),
            Self::Map(key, value) => format!("map<{}, {}>", key.brief(), value.brief()),
            Self::Struct(_) => "struct<…>".to_owned(),
        }
    }

    /// All leaves, in order.
    #[must_use]
    pub fn leaves(&self) -> Vec<Leaf> {
        match self {
            Self::Leaf(leaf) => vec![*leaf],
            Self::List(element) => element.leaves(),
            Self::Map(key, value) => [key.leaves(), value.leaves()].concat(),
            Self::Struct(fields) => fields.iter().flat_map(|(_, of)| of.leaves()).collect(),
        }
    }
}

fn read(field: &Type) -> Result<ParquetType> {
    if field.is_primitive() {
        return leaf(field)
            .map(ParquetType::Leaf)
            .ok_or_else(|| unnamed(field));
    }
    let logical = field.get_basic_info().logical_type_ref();
    match (logical, field.get_fields()) {
        (Some(LogicalType::List), [list]) => match list.get_fields() {
            [element] => Ok(ParquetType::List(Box::new(read(element)?))),
            _ => Err(unnamed(list)),
        },
        (Some(LogicalType::Map), [entries]) => match entries.get_fields() {
            [key, value] => Ok(ParquetType::Map(
                Box::new(read(key)?),
                Box::new(read(value)?),
            )),
            _ => Err(unnamed(entries)),
        },
        (None, fields) => {
            let named = |field: &Type| Ok((field.name().to_owned(), read(field)?));
            let fields = fields.iter().map(|field| named(field));
            Ok(ParquetType::Struct(fields.collect::<Result<_>>()?))
        }
        _ => Err(unnamed(field)),
    }
}

fn leaf(field: &Type) -> Option<Leaf> {
    let int = |bits, signed| Leaf::Int { bits, signed };
    let physical = field.get_physical_type();
    let logical = field.get_basic_info().logical_type_ref();
    Some(match (physical, logical) {
        (Physical::BOOLEAN, None) => Leaf::Boolean,
        (Physical::INT32, None) => int(32, true),
        (Physical::INT64, None) => int(64, true),
        (
            Physical::INT32 | Physical::INT64,
            Some(LogicalType::Integer(IntType {
                bit_width,
                is_signed,
            })),
        ) => int(u8::try_from(*bit_width).ok()?, *is_signed),
        (Physical::FLOAT, None) => Leaf::Float,
        (Physical::DOUBLE, None) => Leaf::Double,
        (Physical::FIXED_LEN_BYTE_ARRAY, Some(LogicalType::Float16)) => Leaf::Float16,
        (physical, Some(LogicalType::Decimal(DecimalType { scale, precision }))) => Leaf::Decimal {
            precision: *precision,
            scale: *scale,
            physical,
        },
        (Physical::BYTE_ARRAY, Some(LogicalType::String)) => Leaf::String,
        (Physical::BYTE_ARRAY, Some(LogicalType::Json)) => Leaf::Json,
        (Physical::BYTE_ARRAY, None) => Leaf::Binary,
        (Physical::FIXED_LEN_BYTE_ARRAY, Some(LogicalType::Uuid)) => Leaf::Uuid,
        (Physical::FIXED_LEN_BYTE_ARRAY, None) => Leaf::Fixed(length(field)),
        (Physical::INT32, Some(LogicalType::Date)) => Leaf::Date,
        (Physical::INT64, Some(LogicalType::Time(time))) if time.unit == ParquetUnit::MICROS => {
            Leaf::Time
        }
        (Physical::INT64, Some(LogicalType::Timestamp(at))) if at.unit == ParquetUnit::MICROS => {
            Leaf::Timestamp {
                utc: at.is_adjusted_to_u_t_c,
            }
        }
        _ => return None,
    })
}

fn length(field: &Type) -> i32 {
    match field {
        Type::PrimitiveType { type_length, .. } => *type_length,
        Type::GroupType { .. } => 0,
    }
}

fn unnamed(field: &Type) -> Error {
    let message = format!("the Parquet type of {:?} has no name here", field.name());
    Error::new(ErrorKind::Internal, message)
}

/// `INT32 (DATE)`, `list<DOUBLE>`, `struct<x: DOUBLE, y: DOUBLE>`.
impl fmt::Display for ParquetType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Leaf(leaf) => leaf.fmt(f),
            Self::List(element) => write!(f, "list<{element}>"),
            Self::Map(key, value) => write!(f, "map<{key}, {value}>"),
            Self::Struct(fields) => {
                f.write_str("struct<")?;
                for (at, (name, of)) in fields.iter().enumerate() {
                    let comma = if at > 0 { ", " } else { "" };
                    write!(f, "{comma}{name}: {of}")?;
                }
                f.write_str(">")
            }
        }
    }
}

impl fmt::Display for Leaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = |signed| if signed { "signed" } else { "unsigned" };
        match self {
            Self::Boolean => f.write_str("BOOLEAN"),
            Self::Int {
                bits: bits @ (32 | 64),
                signed: true,
            } => write!(f, "INT{bits}"),
            Self::Int { bits, signed } => {
                let physical = if *bits > 32 { 64 } else { 32 };
                write!(f, "INT{physical} (INT({bits}, {}))", sign(*signed))
            }
            Self::Float16 => f.write_str("FIXED(2) (FLOAT16)"),
            Self::Float => f.write_str("FLOAT"),
            Self::Double => f.write_str("DOUBLE"),
            Self::Decimal {
                precision,
                scale,
                physical: Physical::FIXED_LEN_BYTE_ARRAY,
            } => write!(f, "FIXED (DECIMAL({precision}, {scale}))"),
            Self::Decimal {
                precision,
                scale,
                physical,
            } => write!(f, "{physical} (DECIMAL({precision}, {scale}))"),
            Self::String => f.write_str("BYTE_ARRAY (STRING)"),
            Self::Json => f.write_str("BYTE_ARRAY (JSON)"),
            Self::Binary => f.write_str("BYTE_ARRAY"),
            Self::Fixed(length) => write!(f, "FIXED({length})"),
            Self::Uuid => f.write_str("FIXED(16) (UUID)"),
            Self::Date => f.write_str("INT32 (DATE)"),
            Self::Time => f.write_str("INT64 (TIME(µs))"),
            Self::Timestamp { utc: false } => f.write_str("INT64 (TIMESTAMP(µs))"),
            Self::Timestamp { utc: true } => f.write_str("INT64 (TIMESTAMP(µs, UTC))"),
        }
    }
}

impl Serialize for ParquetType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// An Arrow type in one short line: `List<Int32>`, `Struct<x: Float64>`.
pub(super) fn arrow_name(data_type: &DataType) -> String {
    let fields = |fields: &arrow_schema::Fields| {
        let named = |field: &Field| format!("{}: {}", field.name(), arrow_name(field.data_type()));
        let named: Vec<_> = fields.iter().map(|field| named(field)).collect();
        named.join(", ")
    };
    match data_type {
        DataType::List(element) => format!("List<{}>", arrow_name(element.data_type())),
        DataType::FixedSizeList(element, length) => {
            format!(
                "FixedSizeList<{}, {length}>",
                arrow_name(element.data_type())
            )
        }
        DataType::Struct(of) => format!("Struct<{}>", fields(of)),
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(of) if of.len() == 2 => format!(
                "Map<{}, {}>",
                arrow_name(of[0].data_type()),
                arrow_name(of[1].data_type())
            ),
            other => format!("Map<{}>", arrow_name(other)),
        },
        DataType::Dictionary(key, value) => {
            format!("Dictionary<{}, {}>", arrow_name(key), arrow_name(value))
        }
        DataType::Timestamp(TimeUnit::Microsecond, None) => "Timestamp(µs)".to_owned(),
        DataType::Timestamp(TimeUnit::Microsecond, Some(zone)) => format!("Timestamp(µs, {zone})"),
        other => other.to_string(),
    }
}
