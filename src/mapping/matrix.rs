//! Every PostgreSQL type with what it becomes, made by the mapping itself: the types page.
//!
//! Owns the list of types and the words for the values that an array cannot hold. It decides
//! nothing: each row is a column that [`map_table`] mapped, under both profiles.

use serde::Serialize;

use super::parquet_type::{ParquetType, arrow_name};
use super::{Codec, ColumnMapping, MappingOptions, SelectAs, map_table};
use crate::error::{Error, ErrorKind, Result};
use crate::options::{MapTo, Profile};
use crate::pg_type::{Attribute, NumericModifier, PgType, TextReason, TypeRef};
use crate::table::Column;

/// A PostgreSQL type, or a kind of it that is mapped by itself.
#[derive(Debug, Clone, Serialize)]
pub struct TypeRow {
    /// As SQL writes it, with others that are treated alike.
    pub name: &'static str,
    /// What it is listed under.
    pub family: &'static str,
    /// Under the portable profile.
    pub portable: Landing,
    /// Under the native profile.
    pub native: Landing,
    /// Why it travels as text.
    pub text_reason: Option<TextReason>,
    /// What `--map` can make of it.
    pub map: Vec<&'static str>,
}

/// What a type becomes under a profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Landing {
    /// The Arrow type.
    pub arrow: String,
    /// The Parquet type.
    pub parquet: ParquetType,
    /// Whether its values are PostgreSQL's own text.
    pub as_text: bool,
    /// The values that it cannot hold, in words; they are exceptions or stop the run.
    pub cannot_hold: Vec<&'static str>,
}

/// What `--map` may ask for, as the page writes it.
const MAP_CHOICES: [(&str, MapTo); 5] = [
    ("text", MapTo::Text),
    (
        "decimal(P,S)",
        MapTo::Decimal {
            precision: 38,
            scale: 9,
        },
    ),
    ("uuid", MapTo::Uuid),
    ("json", MapTo::Json),
    ("binary", MapTo::Binary),
];

/// One row for each type, family by family.
///
/// # Errors
///
/// [`ErrorKind::Internal`]: the mapping made a type that has no name here.
pub fn matrix() -> Result<Vec<TypeRow>> {
    samples().into_iter().map(row).collect()
}

fn row((name, pg_type): (&'static str, PgType)) -> Result<TypeRow> {
    let landing = |profile| {
        let options = MappingOptions {
            profile,
            ..MappingOptions::default()
        };
        Landing::of(&mapped(pg_type.clone(), &options)?)
    };
    Ok(TypeRow {
        name,
        family: family(&pg_type),
        portable: landing(Profile::Portable)?,
        native: landing(Profile::Native)?,
        text_reason: pg_type.text_reason(),
        map: map_choices(&pg_type),
    })
}

impl Landing {
    fn of(mapping: &ColumnMapping) -> Result<Self> {
        let mut cannot_hold = Vec::new();
        lost(&mapping.codec, &mut cannot_hold);
        Ok(Self {
            arrow: arrow_name(mapping.field.data_type()),
            parquet: ParquetType::of(&mapping.field)?,
            as_text: mapping.select == SelectAs::Text,
            cannot_hold,
        })
    }
}

/// A column of the type, mapped as any table's.
fn mapped(pg_type: PgType, options: &MappingOptions) -> Result<ColumnMapping> {
    let column = Column::new(COLUMN, pg_type);
    let mut mapping = map_table(&[column], options)?;
    let none = || Error::new(ErrorKind::Internal, "a column was mapped to none");
    mapping.columns.pop().ok_or_else(none)
}

/// The name of every column here.
const COLUMN: &str = "column";

/// What the mapping accepts, found by asking it.
fn map_choices(pg_type: &PgType) -> Vec<&'static str> {
    let accepted = |to: MapTo| {
        let mut options = MappingOptions::default();
        options.overrides.insert(COLUMN.to_owned(), to);
        mapped(pg_type.clone(), &options).is_ok()
    };
    let choices = MAP_CHOICES.iter().filter(|(_, to)| accepted(*to));
    choices.map(|(name, _)| *name).collect()
}

/// The values that make [`Codec::is_partial`] true, in words, each once.
pub(super) fn lost(codec: &Codec, words: &mut Vec<&'static str>) {
    let mut add = |word| {
        if !words.contains(&word) {
            words.push(word);
        }
    };
    match codec {
        Codec::Decimal { restate: false, .. } => add("NaN"),
        Codec::Decimal { restate: true, .. } => {
            add("NaN, infinities, numbers with more digits than P and S allow");
        }
        Codec::Date => add("infinity, -infinity"),
        Codec::Timestamp { .. } => {
            add("infinity, -infinity");
            add("times after 294247-01-10 04:00:54.775807");
        }
        Codec::Interval => add("infinity, -infinity"),
        Codec::UuidFromText => add("text that is not 36 lower-case characters of a UUID"),
        Codec::Wkb { .. } => add("a value with another SRID than its column, or none"),
        Codec::Array { element, .. } => {
            add("arrays of several dimensions, or that do not count from 1");
            lost(element, words);
        }
        Codec::Composite { attributes } => {
            for attribute in attributes.iter() {
                lost(&attribute.codec, words);
            }
        }
        Codec::Range { bound } | Codec::Multirange { bound } => lost(bound, words),
        whole => debug_assert!(!whole.is_partial(), "{whole:?} has no words"),
    }
}

/// From families of patterns with samples: the samples, and a match without a wildcard. So a new
/// type does not compile until it has a row.
macro_rules! types {
    ($($family:literal { $($pattern:pat => $($name:literal: $sample:expr),+;)+ })+) => {
        fn samples() -> Vec<(&'static str, PgType)> {
            use PgType::*;
            vec![$($($(($name, $sample)),+),+),+]
        }

        fn family(pg_type: &PgType) -> &'static str {
            use PgType::*;
            match pg_type {
                $($($pattern)|+ => $family,)+
            }
        }
    };
}

types! {
    "Numbers" {
        Bool => "bool": Bool;
        Int2 => "int2": Int2;
        Int4 => "int4": Int4;
        Int8 => "int8": Int8;
        Float4 => "float4": Float4;
        Float8 => "float8": Float8;
        Numeric(_) =>
            "numeric(9,2)": numeric(9, 2),
            "numeric(38,10)": numeric(38, 10),
            "numeric(50,10), any p of 39 to 76": numeric(50, 10),
            "numeric without precision": Numeric(None),
            "numeric(100,2), any p > 76, s < 0 or s > p": numeric(100, 2);
        Money { .. } => "money (scale of lc_monetary)": Money { scale: 2 };
    }
    "Text and bytes" {
        Text => "text, citext, refcursor": Text;
        Varchar => "varchar(n)": Varchar;
        Bpchar => "char(n), padding kept": Bpchar;
        Name => "name": Name;
        Char => "\"char\"": Char;
        Enum { .. } => "an enum": Enum { labels: vec!["a".into(), "b".into()] };
        VersionedText => "jsonpath, ltree, lquery, ltxtquery": VersionedText;
        Json => "json": Json;
        Jsonb => "jsonb": Jsonb;
        Bytea => "bytea": Bytea;
        BitString => "bit(n), varbit": BitString;
        Uuid => "uuid": Uuid;
    }
    "Date and time" {
        Date => "date": Date;
        Time => "time": Time;
        Timetz => "timetz": Timetz;
        Timestamp => "timestamp": Timestamp;
        Timestamptz => "timestamptz": Timestamptz;
        Interval => "interval": Interval;
    }
    "Identifiers of the server" {
        Oid => "oid, xid, cid, regclass and other reg types": Oid;
        Xid8 => "xid8": Xid8;
        PgLsn => "pg_lsn": PgLsn;
    }
    "Network addresses" {
        Inet => "inet": Inet;
        Cidr => "cidr": Cidr;
        Macaddr => "macaddr": Macaddr;
        Macaddr8 => "macaddr8": Macaddr8;
    }
    "Geometry" {
        Point => "point": Point;
        Line => "line": Line;
        Lseg => "lseg": Lseg;
        Box => "box": Box;
        Path => "path": Path;
        Polygon => "polygon": Polygon;
        Circle => "circle": Circle;
        Geometry { .. } =>
            "geometry(Point,4326) (PostGIS)": geometry(Some(4326), false),
            "geography(Point,4326) (PostGIS)": geometry(Some(4326), true),
            "geometry (PostGIS, no SRID declared)": geometry(None, false);
    }
    "Made of others" {
        Array { .. } =>
            "int4[]": array(23, Int4),
            "numeric(9,2)[]": array(1700, numeric(9, 2)),
            "timestamptz[]": array(1184, Timestamptz);
        Composite { .. } =>
            "a composite (id int4, tags text[])": composite(vec![
                ("id", 23, Int4),
                ("tags", 1009, array(25, Text)),
            ]);
        Range { .. } =>
            "int4range": Range { subtype: of(23, Int4) },
            "numrange": Range { subtype: of(1700, Numeric(None)) },
            "daterange": Range { subtype: of(1082, Date) },
            "tstzrange": Range { subtype: of(1184, Timestamptz) };
        Multirange { .. } => "int4multirange": Multirange { subtype: of(23, Int4) };
        Hstore => "hstore": Hstore;
    }
    "pgvector" {
        Vector { .. } =>
            "vector(3)": Vector { dimensions: Some(3) },
            "vector": Vector { dimensions: None };
        Halfvec { .. } =>
            "halfvec(3)": Halfvec { dimensions: Some(3) },
            "halfvec": Halfvec { dimensions: None };
        Sparsevec => "sparsevec(n)": Sparsevec;
    }
    "Through text" {
        Other(TextReason::NoBinaryForm) =>
            "aclitem, gtsvector, seg, isbn and other isn types":
                Other(TextReason::NoBinaryForm);
        Other(TextReason::TextIsExact) =>
            "xml, tsvector, tsquery, tid, pg_snapshot, txid_snapshot, int2vector, oidvector, record":
                Other(TextReason::TextIsExact);
        Other(TextReason::Unknown) => "any other type": Other(TextReason::Unknown);
    }
}

fn numeric(precision: u16, scale: i16) -> PgType {
    PgType::Numeric(Some(NumericModifier { precision, scale }))
}

fn geometry(srid: Option<i32>, geography: bool) -> PgType {
    PgType::Geometry { srid, geography }
}

fn of(oid: u32, pg_type: PgType) -> Box<TypeRef> {
    Box::new(TypeRef { oid, pg_type })
}

fn array(oid: u32, pg_type: PgType) -> PgType {
    PgType::Array {
        element: of(oid, pg_type),
    }
}

fn composite(attributes: Vec<(&str, u32, PgType)>) -> PgType {
    let attribute = |(name, oid, pg_type): (&str, u32, PgType)| Attribute {
        name: name.to_owned(),
        of: TypeRef { oid, pg_type },
    };
    PgType::Composite {
        attributes: attributes.into_iter().map(attribute).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_held_has_words_and_what_can_has_none() {
        for (name, pg_type) in samples() {
            for profile in [Profile::Portable, Profile::Native] {
                let choices = MAP_CHOICES.iter().map(|(_, to)| Some(*to));
                for to in choices.chain([None]) {
                    let overrides = to.map(|to| (COLUMN.to_owned(), to)).into_iter().collect();
                    let options = MappingOptions {
                        profile,
                        overrides,
                        ..MappingOptions::default()
                    };
                    let Ok(mapping) = mapped(pg_type.clone(), &options) else {
                        continue;
                    };
                    let mut words = Vec::new();
                    lost(&mapping.codec, &mut words);
                    assert_eq!(
                        mapping.codec.is_partial(),
                        !words.is_empty(),
                        "{name} {to:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn rows_are_what_the_mapping_makes() {
        let rows = matrix().unwrap();
        let row = |name: &str| rows.iter().find(|row| row.name == name).unwrap();
        let uuid = row("uuid");
        assert_eq!(uuid.portable.parquet.to_string(), "BYTE_ARRAY (STRING)");
        assert_eq!(uuid.native.parquet.to_string(), "FIXED(16) (UUID)");
        assert_eq!(uuid.map, ["text", "uuid"]);
        let range = row("int4range");
        let expected = "struct<lower: INT32, upper: INT32, lower_inc: BOOLEAN, \
                        upper_inc: BOOLEAN, empty: BOOLEAN>";
        assert_eq!(range.portable.parquet.to_string(), expected);
        assert_eq!(row("vector(3)").native.arrow, "FixedSizeList<Float32, 3>");
        assert_eq!(
            row("numeric(9,2)").portable.parquet.to_string(),
            "INT32 (DECIMAL(9, 2))"
        );
        for row in &rows {
            assert_eq!(
                row.portable.as_text,
                row.text_reason.is_some(),
                "{}",
                row.name
            );
            assert_eq!(
                row.native.as_text,
                row.text_reason.is_some(),
                "{}",
                row.name
            );
        }
    }
}
