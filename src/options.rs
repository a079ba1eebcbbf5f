//! What a run is asked to do: plain data with documented defaults, `with_*` setters and one
//! [`ExportOptions::validate`] that names the field. No parsing of flags here.

mod types;

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroUsize;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::table::TableName;

pub use self::types::{MapTo, OnUnrepresentable, Profile};

/// Workers, by default: one receives while the other's rows are encoded.
pub const DEFAULT_WORKERS: NonZeroUsize = NonZeroUsize::new(2).expect("two is not zero");
/// Most workers of one run: each holds a server connection.
pub const MAX_WORKERS: usize = 64;
/// Rows a chunk should hold, at most.
pub const DEFAULT_CHUNK_ROWS: u64 = 5_000_000;
/// Bytes of table (heap and TOAST) a chunk should hold, at most: 256 MiB.
pub const DEFAULT_CHUNK_BYTES: u64 = 256 << 20;
/// Raw COPY bytes that make a batch: 4 MiB. One larger row still makes a batch.
pub const DEFAULT_BATCH_BYTES: usize = 4 << 20;
/// Rows gathered before a batch is decoded.
pub const DEFAULT_BATCH_ROWS: usize = 65_536;
/// Encoded bytes that close a row group: 24 MiB. Two workers then stay under 256 MiB.
pub const DEFAULT_ROW_GROUP_BYTES: usize = 24 << 20;
/// Bytes of one multipart part: 8 MiB. It grows so that an object stays under 10,000 parts.
pub const DEFAULT_PART_BYTES: usize = 8 << 20;
/// How long the keeper waits for its table locks: our waiting lock makes others wait behind it.
pub const DEFAULT_LOCK_TIMEOUT: Duration = Duration::from_secs(10);
/// How often a writer renews its lease. It counts as dead after three still intervals.
pub const DEFAULT_LEASE_INTERVAL: Duration = Duration::from_secs(3);
/// How often one chunk is tried before its failure counts.
pub const DEFAULT_CHUNK_ATTEMPTS: u32 = 5;

/// How a table is cut into chunks.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChunkBy {
    /// A well-correlated integer key; else ctid; else the best key; else one whole chunk.
    #[default]
    Auto,
    /// Heap page ranges.
    Ctid,
    /// Integer key ranges: of the named column, or of the best one.
    Key(Option<String>),
    /// One chunk a relation.
    None,
}

impl FromStr for ChunkBy {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.split_once(':') {
            None if text == "auto" => Ok(Self::Auto),
            None if text == "ctid" => Ok(Self::Ctid),
            None if text == "key" => Ok(Self::Key(None)),
            None if text == "none" => Ok(Self::None),
            Some(("key", column)) if !column.is_empty() => Ok(Self::Key(Some(column.to_owned()))),
            _ => Err(Error::new(
                ErrorKind::Config,
                format!("--chunk-by {text}: not one of auto, ctid, key, key:COLUMN, none"),
            )),
        }
    }
}

impl fmt::Display for ChunkBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Ctid => f.write_str("ctid"),
            Self::Key(None) => f.write_str("key"),
            Self::Key(Some(column)) => write!(f, "key:{column}"),
            Self::None => f.write_str("none"),
        }
    }
}

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

/// What `export` and `plan` do.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ExportOptions {
    /// The tables; each becomes a dataset. A missing schema is looked up on the search path.
    pub tables: Vec<TableSelector>,
    /// Only these columns, in this order; `None`: all.
    pub columns: Option<Vec<String>>,
    /// All columns but these.
    pub exclude_columns: Vec<String>,
    /// A condition in SQL that every exported row meets. Names resolve in `pg_catalog` only.
    pub filter: Option<String>,
    /// How tables are cut.
    pub chunk_by: ChunkBy,
    /// Rows a chunk should hold, at most. Default [`DEFAULT_CHUNK_ROWS`].
    pub chunk_rows: u64,
    /// Bytes of table a chunk should hold, at most. Default [`DEFAULT_CHUNK_BYTES`].
    pub chunk_bytes: u64,
    /// Chunks read at once, each over a connection of its own. Default [`DEFAULT_WORKERS`].
    pub workers: NonZeroUsize,
    /// Where a table's root lies under the URL: `{schema}` and `{table}` are replaced by their
    /// percent-encoded names. Default `{schema}/{table}`; empty: a single table at the URL itself.
    pub layout: String,
    /// A snapshot that something else holds; `None`: the run takes and holds its own.
    pub snapshot: Option<String>,
    /// Never end as `mixed`: start unfinished tables again instead.
    pub require_consistent: bool,
    /// Take a dataset over from a writer that may still be alive. It is fenced, not harmed.
    pub takeover: bool,
    /// Which Parquet types are used.
    pub profile: Profile,
    /// What single columns become instead of the profile's choice, by their exact names.
    pub maps: BTreeMap<String, MapTo>,
    /// What becomes of a value that its column's type cannot hold.
    pub on_unrepresentable: OnUnrepresentable,
    /// How Parquet pages are compressed.
    pub compression: Compression,
    /// Raw COPY bytes that make a batch. Default [`DEFAULT_BATCH_BYTES`].
    pub batch_bytes: usize,
    /// Rows that make a batch, at most. Default [`DEFAULT_BATCH_ROWS`].
    pub batch_rows: usize,
    /// Encoded bytes that close a row group. Default [`DEFAULT_ROW_GROUP_BYTES`].
    pub row_group_bytes: usize,
    /// Bytes of one multipart part. Default [`DEFAULT_PART_BYTES`].
    pub part_bytes: usize,
    /// How long table locks are waited for. Default [`DEFAULT_LOCK_TIMEOUT`].
    pub lock_timeout: Duration,
    /// How often the lease is renewed. Default [`DEFAULT_LEASE_INTERVAL`].
    pub lease_interval: Duration,
    /// How often one chunk is tried. Default [`DEFAULT_CHUNK_ATTEMPTS`].
    pub chunk_attempts: u32,
    /// Whether an error about a value may show the row's key (never another column's value).
    pub show_row_key: bool,
}

/// A table as a person names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableSelector {
    /// The exact schema; `None`: found on the connection's own search path.
    pub schema: Option<String>,
    /// The exact relation name.
    pub name: String,
}

impl From<TableName> for TableSelector {
    fn from(name: TableName) -> Self {
        Self {
            schema: Some(name.schema),
            name: name.name,
        }
    }
}

/// `name` or `schema.name`, read as SQL reads it: unquoted parts fold to lower case, `"…"` keeps.
impl FromStr for TableSelector {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut parts = identifiers(text)?;
        match (parts.pop(), parts.pop(), parts.pop()) {
            (Some(name), schema, None) => Ok(Self { schema, name }),
            _ => Err(bad_table(text)),
        }
    }
}

impl fmt::Display for TableSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.schema {
            Some(schema) => TableName::new(schema, &self.name).fmt(f),
            None => f.write_str(&self.name),
        }
    }
}

fn bad_table(text: &str) -> Error {
    Error::new(
        ErrorKind::Config,
        format!("--table {text}: expected name or schema.name, parts quoted as in SQL"),
    )
}

/// Splits a dotted SQL name into its exact parts.
fn identifiers(text: &str) -> Result<Vec<String>> {
    let mut parts = Vec::new();
    let mut rest = text;
    loop {
        let (part, after) = identifier(rest).ok_or_else(|| bad_table(text))?;
        parts.push(part);
        match after.strip_prefix('.') {
            Some(more) => rest = more,
            None if after.is_empty() => return Ok(parts),
            None => return Err(bad_table(text)),
        }
    }
}

fn identifier(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(['.', '"']).unwrap_or(text.len());
        let part = text[..end].to_ascii_lowercase();
        return (!part.is_empty()).then_some((part, &text[end..]));
    };
    let mut part = String::new();
    let mut rest = quoted;
    loop {
        let (before, after) = rest.split_once('"')?;
        part.push_str(before);
        match after.strip_prefix('"') {
            Some(more) => {
                part.push('"');
                rest = more;
            }
            None => return (!part.is_empty()).then_some((part, after)),
        }
    }
}

impl ExportOptions {
    /// The defaults, for these tables.
    #[must_use]
    pub fn new(tables: Vec<TableSelector>) -> Self {
        Self {
            tables,
            columns: None,
            exclude_columns: Vec::new(),
            filter: None,
            chunk_by: ChunkBy::default(),
            chunk_rows: DEFAULT_CHUNK_ROWS,
            chunk_bytes: DEFAULT_CHUNK_BYTES,
            workers: DEFAULT_WORKERS,
            layout: "{schema}/{table}".to_owned(),
            snapshot: None,
            require_consistent: false,
            takeover: false,
            profile: Profile::default(),
            maps: BTreeMap::new(),
            on_unrepresentable: OnUnrepresentable::default(),
            compression: Compression::default(),
            batch_bytes: DEFAULT_BATCH_BYTES,
            batch_rows: DEFAULT_BATCH_ROWS,
            row_group_bytes: DEFAULT_ROW_GROUP_BYTES,
            part_bytes: DEFAULT_PART_BYTES,
            lock_timeout: DEFAULT_LOCK_TIMEOUT,
            lease_interval: DEFAULT_LEASE_INTERVAL,
            chunk_attempts: DEFAULT_CHUNK_ATTEMPTS,
            show_row_key: false,
        }
    }

    /// Checks every field against its limits.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`], naming the field.
    pub fn validate(&self) -> Result<()> {
        let bad = |message: String| Err(Error::new(ErrorKind::Config, message));
        if self.tables.is_empty() {
            return bad("no table given: name at least one with --table".into());
        }
        if self.tables.len() > 1 && (self.columns.is_some() || !self.exclude_columns.is_empty()) {
            return bad("--columns and --exclude-columns take a single --table".into());
        }
        if self.tables.len() > 1 && self.filter.is_some() {
            return bad("--where takes a single --table".into());
        }
        if self.tables.len() > 1 && !self.maps.is_empty() {
            return bad("--map takes a single --table".into());
        }
        if self.columns.is_some() && !self.exclude_columns.is_empty() {
            return bad("--columns and --exclude-columns exclude each other".into());
        }
        if self.tables.len() > 1 && !self.layout.contains("{table}") {
            return bad(format!(
                "--layout {:?} puts several tables into one folder: it needs {{table}}",
                self.layout
            ));
        }
        if self.workers.get() > MAX_WORKERS {
            return bad(format!("--workers {}: at most {MAX_WORKERS}", self.workers));
        }
        let limits: [(&str, u64, u64, u64); 7] = [
            ("--chunk-rows", self.chunk_rows, 1, i64::MAX as u64),
            ("--chunk-bytes", self.chunk_bytes, 8192, i64::MAX as u64),
            ("--batch-bytes", self.batch_bytes as u64, 4096, 1 << 30),
            ("--batch-rows", self.batch_rows as u64, 1, 1 << 24),
            (
                "--row-group-bytes",
                self.row_group_bytes as u64,
                1 << 16,
                1 << 31,
            ),
            ("--part-bytes", self.part_bytes as u64, 5 << 20, 1 << 30),
            ("--attempts", u64::from(self.chunk_attempts), 1, 100),
        ];
        for (field, value, least, most) in limits {
            if !(least..=most).contains(&value) {
                return bad(format!("{field} {value}: must lie in {least}..={most}"));
            }
        }
        if self.lease_interval < Duration::from_millis(100) {
            return bad("--lease-interval: at least 100ms".into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_names_are_read_as_sql_reads_them() {
        let read = |text: &str| {
            let table: TableSelector = text.parse().unwrap();
            (table.schema, table.name)
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(read("Orders"), (None, "orders".into()));
        assert_eq!(read("Public.Orders"), (some("public"), "orders".into()));
        assert_eq!(read(r#""A.b"."x""y""#), (some("A.b"), "x\"y".into()));
        for bad in [
            "", ".", "a.", ".b", "a.b.c", "\"a", "\"\"", "a\"b\"", "\"a\"b",
        ] {
            assert!(bad.parse::<TableSelector>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn codecs_and_methods_read_back_what_they_show() {
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
        for text in ["auto", "ctid", "key", "key:id", "none"] {
            assert_eq!(text.parse::<ChunkBy>().unwrap().to_string(), text);
        }
        assert!("key:".parse::<ChunkBy>().is_err());
    }

    #[test]
    fn several_tables_need_a_layout_that_tells_them_apart() {
        let table = |name: &str| name.parse::<TableSelector>().unwrap();
        let mut options = ExportOptions::new(vec![table("a"), table("b")]);
        assert!(options.validate().is_ok());
        options.maps.insert("a".into(), MapTo::Text);
        assert_eq!(options.validate().unwrap_err().kind(), ErrorKind::Config);
        options.maps.clear();
        options.layout = "x".into();
        assert_eq!(options.validate().unwrap_err().kind(), ErrorKind::Config);
    }
}
