//! What a PostgreSQL column becomes: the one place that decides types.
//!
//! Owns the choice of Arrow type, of wire decoding, and of how the column is selected, all from
//! the catalog alone; never from looking at values. It does not decode anything (`copy`) and
//! writes no SQL (`pg::sql`). The profile is *portable*: files open in every common reader.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_schema::{DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit};

use crate::error::{Error, ErrorKind, Result};
use crate::pg_type::{NumericModifier, PgType};
use crate::table::Column;

/// Field metadata: the declared type, as `format_type` shows it.
pub const META_PG_TYPE: &str = "pgsluice.pg_type";
/// Field metadata: `atttypmod`, where there is one.
pub const META_TYPMOD: &str = "pgsluice.typmod";
/// Field metadata: an enum's labels in their sort order, as a JSON array.
pub const META_ENUM_LABELS: &str = "pgsluice.enum_labels";
/// Field metadata: the collation, where it is not the type's default.
pub const META_COLLATION: &str = "pgsluice.collation";
/// Field metadata: `true` on a generated column, which a restore leaves out.
pub const META_GENERATED: &str = "pgsluice.generated";
/// Field metadata: `text` where the values are PostgreSQL's own text of another type.
pub const META_REPRESENTATION: &str = "pgsluice.representation";
/// Field metadata: the unit of a time of day held as an integer, `us` from midnight.
pub const META_UNIT: &str = "pgsluice.unit";

/// The most digits a `Decimal128` holds.
const MAX_DECIMAL_DIGITS: u16 = 38;

/// How a table's rows travel: what is selected, how it is decoded, what it becomes.
#[derive(Debug, Clone)]
pub struct TableMapping {
    /// One for each exported column, in order.
    pub columns: Vec<ColumnMapping>,
    /// The schema of every batch and object; its fields are those of `columns`.
    pub schema: SchemaRef,
}

/// How one column travels.
#[derive(Debug, Clone)]
pub struct ColumnMapping {
    /// Name, Arrow type, nullability; the PostgreSQL type is in its metadata.
    pub field: FieldRef,
    /// The wire form that its values arrive in.
    pub decode: Decode,
    /// How it is selected.
    pub select: SelectAs,
}

/// How a column is selected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SelectAs {
    /// As it is: the type's own binary form arrives.
    Native,
    /// Cast to `pg_catalog.text`, under the pinned session settings.
    Text,
}

/// The wire form of a column's values, and the array that they are decoded into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decode {
    /// One byte, 0 or 1, into `Boolean`.
    Bool,
    /// One raw byte into `Int8`.
    Char,
    /// Two bytes into `Int16`.
    Int16,
    /// Four bytes into `Int32`.
    Int32,
    /// Eight bytes into `Int64`.
    Int64,
    /// Four unsigned bytes into `Int64`.
    Oid,
    /// Four bytes of IEEE 754 into `Float32`, bit for bit.
    Float32,
    /// Eight bytes of IEEE 754 into `Float64`, bit for bit.
    Float64,
    /// Base-10000 digits into `Decimal128`.
    Decimal {
        /// Digits in all, 1 to 38.
        precision: u8,
        /// Digits after the point, at most `precision`.
        scale: u8,
    },
    /// Text into `Utf8`.
    Text,
    /// A version byte and text into `Utf8`.
    Jsonb,
    /// Raw bytes into `Binary`.
    Bytes,
    /// Days into `Date32`.
    Date,
    /// Microseconds from midnight into `Int64`.
    Time,
    /// Microseconds into `Timestamp(µs)`.
    Timestamp {
        /// Whether it is an instant (`timestamptz`), labelled UTC.
        utc: bool,
    },
    /// Sixteen bytes into `Utf8`, 36 characters.
    Uuid,
    /// A label into `Dictionary(Int32, Utf8)`.
    Enum {
        /// All labels, in their sort order.
        labels: Arc<[String]>,
    },
}

/// Maps the exported columns of a table, in the portable profile.
///
/// # Errors
///
/// [`ErrorKind::Unsupported`] when two names differ only by case: common readers would see one.
pub fn map_table(columns: &[Column]) -> Result<TableMapping> {
    refuse_case_collisions(columns)?;
    let columns: Vec<_> = columns.iter().map(map_column).collect();
    let fields: Vec<_> = columns.iter().map(|column| Arc::clone(&column.field)).collect();
    Ok(TableMapping {
        schema: Arc::new(Schema::new(fields)),
        columns,
    })
}

fn refuse_case_collisions(columns: &[Column]) -> Result<()> {
    let mut seen: HashMap<String, &str> = HashMap::with_capacity(columns.len());
    for column in columns {
        if let Some(other) = seen.insert(column.name.to_lowercase(), &column.name) {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("columns {other:?} and {:?} differ only by case", column.name),
            )
            .with_advice(
                "readers that ignore case would see one column: \
                 export the other with --exclude-columns into another root",
            ));
        }
    }
    Ok(())
}

fn map_column(column: &Column) -> ColumnMapping {
    let (decode, select) = choose(&column.pg_type);
    let field = Field::new(&column.name, arrow_type(&decode), !column.not_null)
        .with_metadata(metadata(column, &decode, select));
    ColumnMapping {
        field: Arc::new(field),
        decode,
        select,
    }
}

/// The wire form that a type is read in.
fn choose(pg_type: &PgType) -> (Decode, SelectAs) {
    let decode = match pg_type {
        PgType::Bool => Decode::Bool,
        PgType::Char => Decode::Char,
        PgType::Int2 => Decode::Int16,
        PgType::Int4 => Decode::Int32,
        PgType::Int8 => Decode::Int64,
        PgType::Oid => Decode::Oid,
        PgType::Float4 => Decode::Float32,
        PgType::Float8 => Decode::Float64,
        PgType::Numeric(modifier) => match modifier.and_then(decimal) {
            Some(decode) => decode,
            None => return (Decode::Text, SelectAs::Text),
        },
        // The cast to text would strip bpchar's padding; its own binary form keeps it.
        PgType::Text | PgType::Varchar | PgType::Bpchar | PgType::Name | PgType::Json => {
            Decode::Text
        }
        PgType::Jsonb => Decode::Jsonb,
        PgType::Bytea => Decode::Bytes,
        PgType::Date => Decode::Date,
        PgType::Time => Decode::Time,
        PgType::Timestamp => Decode::Timestamp { utc: false },
        PgType::Timestamptz => Decode::Timestamp { utc: true },
        PgType::Uuid => Decode::Uuid,
        PgType::Enum { labels } => Decode::Enum {
            labels: labels.as_slice().into(),
        },
        PgType::Other => return (Decode::Text, SelectAs::Text),
    };
    (decode, SelectAs::Native)
}

/// A declared precision and scale that `Decimal128` holds exactly.
fn decimal(modifier: NumericModifier) -> Option<Decode> {
    let scale = u16::try_from(modifier.scale).ok()?;
    let fits = (1..=MAX_DECIMAL_DIGITS).contains(&modifier.precision) && scale <= modifier.precision;
    fits.then_some(Decode::Decimal {
        precision: modifier.precision as u8,
        scale: scale as u8,
    })
}

fn arrow_type(decode: &Decode) -> DataType {
    match decode {
        Decode::Bool => DataType::Boolean,
        Decode::Char => DataType::Int8,
        Decode::Int16 => DataType::Int16,
        Decode::Int32 => DataType::Int32,
        // A file with a TIME column cannot be opened by Spark 3.5: the time stays a number.
        Decode::Int64 | Decode::Oid | Decode::Time => DataType::Int64,
        Decode::Float32 => DataType::Float32,
        Decode::Float64 => DataType::Float64,
        Decode::Decimal { precision, scale } => DataType::Decimal128(*precision, *scale as i8),
        Decode::Text | Decode::Jsonb | Decode::Uuid => DataType::Utf8,
        Decode::Bytes => DataType::Binary,
        Decode::Date => DataType::Date32,
        Decode::Timestamp { utc } => {
            DataType::Timestamp(TimeUnit::Microsecond, utc.then(|| "UTC".into()))
        }
        Decode::Enum { .. } => {
            DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
        }
    }
}

fn metadata(column: &Column, decode: &Decode, select: SelectAs) -> HashMap<String, String> {
    let mut metadata = HashMap::from([(META_PG_TYPE.to_owned(), column.type_name.clone())]);
    let mut put = |key: &str, value: String| metadata.insert(key.to_owned(), value);
    if column.typmod != -1 {
        put(META_TYPMOD, column.typmod.to_string());
    }
    if let PgType::Enum { labels } = &column.pg_type {
        put(META_ENUM_LABELS, serde_json::json!(labels).to_string());
    }
    if let Some(collation) = &column.collation {
        put(META_COLLATION, collation.clone());
    }
    if column.generated {
        put(META_GENERATED, "true".to_owned());
    }
    if select == SelectAs::Text {
        put(META_REPRESENTATION, "text".to_owned());
    }
    if *decode == Decode::Time {
        put(META_UNIT, "us".to_owned());
    }
    metadata
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, pg_type: PgType) -> Column {
        Column {
            name: name.to_owned(),
            attnum: 1,
            pg_type,
            type_name: "a type".to_owned(),
            type_oid: 0,
            typmod: -1,
            not_null: false,
            generated: false,
            collation: None,
        }
    }

    fn mapped(pg_type: PgType) -> ColumnMapping {
        map_table(&[column("c", pg_type)]).unwrap().columns.remove(0)
    }

    #[test]
    fn only_numerics_that_decimal128_holds_exactly_are_decimals() {
        for (precision, scale, native) in [
            (1, 0, true),
            (15, 2, true),
            (38, 38, true),
            (38, 0, true),
            (39, 0, false),
            (5, -2, false),
            (2, 3, false),
            (1000, 1000, false),
        ] {
            let mapping = mapped(PgType::Numeric(Some(NumericModifier { precision, scale })));
            assert_eq!(mapping.select == SelectAs::Native, native, "{precision},{scale}");
            if native {
                let expected = DataType::Decimal128(precision as u8, scale as i8);
                assert_eq!(mapping.field.data_type(), &expected);
            }
        }
        assert_eq!(mapped(PgType::Numeric(None)).select, SelectAs::Text);
    }

    #[test]
    fn padded_text_is_never_cast_and_unknown_types_always_are() {
        assert_eq!(mapped(PgType::Bpchar).select, SelectAs::Native);
        let other = mapped(PgType::Other);
        assert_eq!((other.decode, other.select), (Decode::Text, SelectAs::Text));
        assert_eq!(other.field.metadata()[META_REPRESENTATION], "text");
    }

    #[test]
    fn the_field_carries_what_a_restore_needs() {
        let mut enumeration = column(
            "mood",
            PgType::Enum {
                labels: vec!["sad".into(), "o\"k".into()],
            },
        );
        enumeration.not_null = true;
        enumeration.generated = true;
        enumeration.collation = Some("C".into());
        enumeration.typmod = 7;
        let mapping = map_table(&[enumeration]).unwrap();
        let field = mapping.schema.field(0);
        assert!(!field.is_nullable());
        assert_eq!(field.metadata()[META_ENUM_LABELS], r#"["sad","o\"k"]"#);
        assert_eq!(field.metadata()[META_PG_TYPE], "a type");
        assert_eq!(field.metadata()[META_COLLATION], "C");
        assert_eq!(field.metadata()[META_GENERATED], "true");
        assert_eq!(field.metadata()[META_TYPMOD], "7");
        assert_eq!(mapped(PgType::Time).field.metadata()[META_UNIT], "us");
    }

    #[test]
    fn names_that_differ_only_by_case_are_refused() {
        let columns = [column("id", PgType::Int4), column("ID", PgType::Int4)];
        let error = map_table(&columns).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.advice().unwrap().contains("--exclude-columns"));
    }
}
