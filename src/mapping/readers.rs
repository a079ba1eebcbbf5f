//! What common readers make of a Parquet type, with what can be lost or refused.
//!
//! Keyed by the Parquet type alone, nested types by their parts: whatever the mapping chooses,
//! the answer follows. DuckDB's and Spark's answers were seen in runs, the others' are what their
//! documentation says; where it says nothing, so does this.

mod notes;

use serde::Serialize;

pub use self::notes::{Note, Source, notes, sources};
use super::parquet_type::{Leaf, ParquetType};

/// A reader of Parquet files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Reader {
    /// DuckDB
    DuckDb,
    /// Apache Spark
    Spark,
    /// Trino: the type that a table declares for the column.
    Trino,
    /// BigQuery: load jobs and external tables.
    BigQuery,
    /// Snowflake: COPY and staged files.
    Snowflake,
}

/// Where an answer comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// The reader was run on such files.
    Run,
    /// Its documentation, its source or its issues say so.
    Documentation,
}

/// What a reader makes of a type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reading {
    /// Its own type.
    pub shows: String,
    /// The same with the fields of structs left out.
    pub brief: String,
    /// Whether it opens the column; `None` where that is not documented.
    pub opens: Option<bool>,
    /// Labels of what to know, in [`notes`].
    pub notes: Vec<&'static str>,
}

impl Reader {
    /// All, in the order of the page's columns.
    pub const ALL: [Self; 5] = [
        Self::DuckDb,
        Self::Spark,
        Self::Trino,
        Self::BigQuery,
        Self::Snowflake,
    ];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::DuckDb => "DuckDB",
            Self::Spark => "Spark",
            Self::Trino => "Trino",
            Self::BigQuery => "BigQuery",
            Self::Snowflake => "Snowflake",
        }
    }

    /// Where its answers come from.
    #[must_use]
    pub const fn basis(self) -> Basis {
        match self {
            Self::DuckDb | Self::Spark => Basis::Run,
            Self::Trino | Self::BigQuery | Self::Snowflake => Basis::Documentation,
        }
    }
}

/// What a reader makes of a type. A group with a part that is refused is refused.
#[must_use]
pub fn reading(reader: Reader, of: &ParquetType) -> Reading {
    let mut notes = Vec::new();
    let mut opens = Some(true);
    for leaf in of.leaves() {
        let Cell { shows, notes: more } = cell(reader, leaf);
        opens = match (opens, shows) {
            (Some(false), _) | (_, Shows::Refused) => Some(false),
            (None, _) | (_, Shows::Unknown) => None,
            (Some(true), Shows::Type(_)) => Some(true),
        };
        notes.extend(more);
    }
    group_notes(reader, of, &mut notes);
    notes.sort_unstable();
    notes.dedup();
    let told = |full| match opens {
        Some(true) => type_name(reader, of, full),
        Some(false) => "refused".to_owned(),
        None => "not documented".to_owned(),
    };
    Reading {
        shows: told(true),
        brief: told(false),
        opens,
        notes,
    }
}

/// A reader's answer to a leaf.
struct Cell {
    shows: Shows,
    notes: Vec<&'static str>,
}

enum Shows {
    Type(String),
    Refused,
    Unknown,
}

fn shown(name: &str, notes: &[&'static str]) -> Cell {
    Cell {
        shows: Shows::Type(name.to_owned()),
        notes: notes.to_vec(),
    }
}

fn refused(note: &'static str) -> Cell {
    Cell {
        shows: Shows::Refused,
        notes: vec![note],
    }
}

fn unknown(notes: &[&'static str]) -> Cell {
    Cell {
        shows: Shows::Unknown,
        notes: notes.to_vec(),
    }
}

fn cell(reader: Reader, leaf: Leaf) -> Cell {
    match reader {
        Reader::DuckDb => duckdb(leaf),
        Reader::Spark => spark(leaf),
        Reader::Trino => trino(leaf),
        Reader::BigQuery => bigquery(leaf),
        Reader::Snowflake => snowflake(leaf),
    }
}

fn duckdb(leaf: Leaf) -> Cell {
    let plain = |name| shown(name, &[]);
    match leaf {
        Leaf::Boolean => plain("BOOLEAN"),
        Leaf::Int { bits, signed } => {
            let name = match bits {
                8 => "TINYINT",
                16 => "SMALLINT",
                32 => "INTEGER",
                _ => "BIGINT",
            };
            plain(&format!("{}{name}", if signed { "" } else { "U" }))
        }
        Leaf::Float16 | Leaf::Float => plain("FLOAT"),
        Leaf::Double => plain("DOUBLE"),
        Leaf::Decimal {
            precision, scale, ..
        } if precision <= 38 => plain(&format!("DECIMAL({precision},{scale})")),
        Leaf::Decimal { .. } => shown("DOUBLE", &["D1"]),
        Leaf::String => plain("VARCHAR"),
        Leaf::Json => plain("JSON"),
        Leaf::Binary | Leaf::Fixed(_) => plain("BLOB"),
        Leaf::Uuid => plain("UUID"),
        Leaf::Date => plain("DATE"),
        Leaf::Time => plain("TIME"),
        Leaf::Timestamp { utc: false } => shown("TIMESTAMP", &["D2"]),
        Leaf::Timestamp { utc: true } => shown("TIMESTAMP WITH TIME ZONE", &["D2", "D3"]),
    }
}

fn spark(leaf: Leaf) -> Cell {
    let plain = |name| shown(name, &[]);
    match leaf {
        Leaf::Boolean => plain("boolean"),
        Leaf::Int { bits: 8, .. } => plain("tinyint"),
        Leaf::Int { bits: 16, .. } => plain("smallint"),
        Leaf::Int {
            bits: 32,
            signed: true,
        } => plain("int"),
        Leaf::Int { .. } => plain("bigint"),
        Leaf::Float => plain("float"),
        Leaf::Double => plain("double"),
        Leaf::Decimal {
            precision, scale, ..
        } if precision <= 38 => plain(&format!("decimal({precision},{scale})")),
        Leaf::Decimal { .. } => refused("S2"),
        Leaf::Float16 | Leaf::Uuid => refused("S1"),
        Leaf::Time => refused("S3"),
        Leaf::String | Leaf::Json => plain("string"),
        Leaf::Binary | Leaf::Fixed(_) => plain("binary"),
        Leaf::Date => shown("date", &["S4"]),
        Leaf::Timestamp { utc: false } => plain("timestamp_ntz"),
        Leaf::Timestamp { utc: true } => shown("timestamp", &["S5"]),
    }
}

fn trino(leaf: Leaf) -> Cell {
    let plain = |name| shown(name, &[]);
    match leaf {
        Leaf::Boolean => plain("boolean"),
        Leaf::Int {
            bits: 32,
            signed: false,
        } => shown("bigint", &["T1"]),
        Leaf::Int { bits: 8, .. } => plain("tinyint"),
        Leaf::Int { bits: 16, .. } => plain("smallint"),
        Leaf::Int { bits: 32, .. } => plain("integer"),
        Leaf::Int { .. } => plain("bigint"),
        Leaf::Float16 => unknown(&[]),
        Leaf::Float => plain("real"),
        Leaf::Double => plain("double"),
        Leaf::Decimal {
            precision, scale, ..
        } if precision <= 38 => plain(&format!("decimal({precision},{scale})")),
        Leaf::Decimal { .. } => refused("T2"),
        Leaf::String | Leaf::Json => plain("varchar"),
        Leaf::Binary | Leaf::Fixed(_) => plain("varbinary"),
        Leaf::Uuid => shown("uuid", &["T3"]),
        Leaf::Date => plain("date"),
        Leaf::Time => shown("time(6)", &["T4"]),
        Leaf::Timestamp { utc: false } => shown("timestamp(6)", &["T5"]),
        Leaf::Timestamp { utc: true } => shown("timestamp(6) with time zone", &["T5", "T6"]),
    }
}

fn bigquery(leaf: Leaf) -> Cell {
    let plain = |name| shown(name, &[]);
    match leaf {
        Leaf::Boolean => plain("BOOL"),
        Leaf::Int { .. } => plain("INT64"),
        Leaf::Float | Leaf::Double => plain("FLOAT64"),
        Leaf::Decimal {
            precision, scale, ..
        } => {
            let whole = precision - scale;
            match (whole, scale) {
                (..=29, ..=9) => plain("NUMERIC"),
                (..=38, ..=38) => shown("BIGNUMERIC", &["B1"]),
                _ => shown("STRING", &["B1"]),
            }
        }
        Leaf::String => plain("STRING"),
        Leaf::Binary | Leaf::Fixed(_) => plain("BYTES"),
        Leaf::Float16 | Leaf::Json | Leaf::Uuid | Leaf::Time => refused("B2"),
        Leaf::Date => shown("DATE", &["B3"]),
        Leaf::Timestamp { utc: false } => shown("TIMESTAMP", &["B3", "B4"]),
        Leaf::Timestamp { utc: true } => shown("TIMESTAMP", &["B3"]),
    }
}

fn snowflake(leaf: Leaf) -> Cell {
    let plain = |name| shown(name, &[]);
    match leaf {
        Leaf::Boolean => plain("BOOLEAN"),
        Leaf::Int { signed: true, .. } => plain("NUMBER"),
        Leaf::Int { signed: false, .. } | Leaf::Float16 => unknown(&["N1"]),
        Leaf::Float | Leaf::Double => plain("FLOAT"),
        Leaf::Decimal {
            precision, scale, ..
        } if precision <= 38 => plain(&format!("NUMBER({precision},{scale})")),
        Leaf::Decimal { .. } => refused("N2"),
        Leaf::String => plain("VARCHAR"),
        Leaf::Json => unknown(&[]),
        Leaf::Uuid => unknown(&["N3"]),
        Leaf::Binary | Leaf::Fixed(_) => shown("BINARY", &["N4"]),
        Leaf::Date => shown("DATE", &["N5"]),
        Leaf::Time => shown("TIME", &["N6"]),
        Leaf::Timestamp { utc: false } => shown("TIMESTAMP_NTZ", &["N5", "N6"]),
        Leaf::Timestamp { utc: true } => shown("TIMESTAMP_LTZ", &["N5", "N6"]),
    }
}

/// What to know of groups themselves.
fn group_notes(reader: Reader, of: &ParquetType, notes: &mut Vec<&'static str>) {
    match of {
        ParquetType::Leaf(_) => {}
        ParquetType::Struct(fields) => {
            fields
                .iter()
                .for_each(|(_, field)| group_notes(reader, field, notes));
            if reader == Reader::Snowflake {
                notes.push("N7");
            }
        }
        ParquetType::List(element) => {
            group_notes(reader, element, notes);
            match reader {
                Reader::BigQuery => notes.push("B5"),
                Reader::Snowflake => notes.push("N7"),
                _ => {}
            }
        }
        ParquetType::Map(..) => match reader {
            Reader::BigQuery => notes.push("B6"),
            Reader::Snowflake => notes.push("N8"),
            _ => {}
        },
    }
}

fn type_name(reader: Reader, of: &ParquetType, full: bool) -> String {
    let name = |of: &ParquetType| type_name(reader, of, full);
    match of {
        ParquetType::Leaf(leaf) => match cell(reader, *leaf).shows {
            Shows::Type(name) => name,
            Shows::Refused | Shows::Unknown => "-".to_owned(),
        },
        ParquetType::List(element) => match reader {
            Reader::DuckDb => format!("{}[]", name(element)),
            Reader::Trino => format!("array({})", name(element)),
            Reader::Spark => format!("array<{}>", name(element)),
            Reader::BigQuery => format!("ARRAY<{}>", name(element)),
            Reader::Snowflake => "ARRAY".to_owned(),
        },
        ParquetType::Map(key, value) => {
            let (key, value) = (name(key), name(value));
            match reader {
                Reader::DuckDb => format!("MAP({key}, {value})"),
                Reader::Trino => format!("map({key}, {value})"),
                Reader::Spark => format!("map<{key},{value}>"),
                Reader::BigQuery => format!("ARRAY<STRUCT<key {key}, value {value}>>"),
                Reader::Snowflake => "OBJECT".to_owned(),
            }
        }
        ParquetType::Struct(fields) => {
            let (separator, open, close) = match reader {
                Reader::DuckDb => (" ", "STRUCT(", ")"),
                Reader::Trino => (" ", "row(", ")"),
                Reader::Spark => (":", "struct<", ">"),
                Reader::BigQuery => (" ", "STRUCT<", ">"),
                Reader::Snowflake => return "OBJECT".to_owned(),
            };
            let field =
                |(named, of): &(String, ParquetType)| format!("{named}{separator}{}", name(of));
            let fields: Vec<_> = fields.iter().map(field).collect();
            let fields = if full {
                fields.join(", ")
            } else {
                "…".to_owned()
            };
            format!("{open}{fields}{close}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::matrix;
    use super::*;

    #[test]
    fn every_note_is_used_and_every_label_has_a_note() {
        let mut used = Vec::new();
        for row in matrix().unwrap() {
            for landing in [&row.portable, &row.native] {
                for reader in Reader::ALL {
                    used.extend(reading(reader, &landing.parquet).notes);
                }
            }
        }
        used.sort_unstable();
        used.dedup();
        let mut known: Vec<_> = notes().iter().map(|note| note.label).collect();
        known.sort_unstable();
        assert_eq!(used, known);
    }

    #[test]
    fn a_part_that_is_refused_refuses_the_whole() {
        let uuids = ParquetType::List(Box::new(ParquetType::Leaf(Leaf::Uuid)));
        assert_eq!(reading(Reader::Spark, &uuids).opens, Some(false));
        assert_eq!(reading(Reader::DuckDb, &uuids).shows, "UUID[]");
        assert_eq!(reading(Reader::Snowflake, &uuids).opens, None);
        let wide = ParquetType::Leaf(Leaf::Decimal {
            precision: 76,
            scale: 0,
            physical: parquet::basic::Type::FIXED_LEN_BYTE_ARRAY,
        });
        assert_eq!(reading(Reader::BigQuery, &wide).shows, "STRING");
        assert_eq!(reading(Reader::DuckDb, &wide).notes, ["D1"]);
    }

    /// The portable profile promises that every reader opens every file.
    #[test]
    fn no_reader_refuses_a_portable_type() {
        for row in matrix().unwrap() {
            for reader in Reader::ALL {
                let seen = reading(reader, &row.portable.parquet);
                assert_eq!(seen.opens, Some(true), "{}: {}", row.name, reader.name());
            }
        }
    }
}
