//! What is exported and how, as the manifest keeps it. Plain data.
//!
//! Owns the comparison that a resume is refused by. A field that later versions added has a
//! default: what every earlier version did.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::options::{ChunkBy, Compression, MapTo, OnUnrepresentable, Profile};
use crate::table::TableName;

/// What is exported and how: all that must be the same when a run is resumed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ExportConfig {
    /// The table.
    pub(crate) table: TableName,
    /// Only these columns.
    pub(crate) columns: Option<Vec<String>>,
    /// All columns but these.
    pub(crate) exclude_columns: Vec<String>,
    /// The condition every row meets.
    pub(crate) filter: Option<String>,
    /// How the table is cut.
    pub(crate) chunk_by: ChunkBy,
    /// Rows a chunk should hold, at most.
    pub(crate) chunk_rows: u64,
    /// Bytes of table a chunk should hold, at most.
    pub(crate) chunk_bytes: u64,
    /// How pages are compressed.
    pub(crate) compression: Compression,
    /// Encoded bytes that close a row group.
    pub(crate) row_group_bytes: u64,
    /// Which Parquet types are used.
    #[serde(default)]
    pub(crate) profile: Profile,
    /// What single columns become instead.
    #[serde(default)]
    pub(crate) maps: BTreeMap<String, MapTo>,
    /// What becomes of a value that its column's type cannot hold.
    #[serde(default)]
    pub(crate) on_unrepresentable: OnUnrepresentable,
    /// The database.
    pub(crate) database: String,
    /// The cluster's system identifier.
    #[serde(with = "crate::snapshot::as_text")]
    pub(crate) system_identifier: u64,
}

/// A field in which two configurations differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Difference {
    /// The flag that sets it, or its name for people.
    pub(crate) field: &'static str,
    /// What the manifest holds.
    pub(crate) before: String,
    /// What is asked for now.
    pub(crate) now: String,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} was {} and is now {}",
            self.field, self.before, self.now
        )
    }
}

impl ExportConfig {
    /// Where `now` differs from this, the stored one.
    pub(crate) fn differences(&self, now: &Self) -> Vec<Difference> {
        let list = |columns: &[String]| format!("[{}]", columns.join(", "));
        let fields = |config: &Self| {
            [
                ("table", config.table.to_string()),
                (
                    "--columns",
                    config.columns.as_deref().map_or("all".to_owned(), list),
                ),
                ("--exclude-columns", list(&config.exclude_columns)),
                (
                    "--where",
                    config.filter.clone().unwrap_or_else(|| "none".to_owned()),
                ),
                ("--chunk-by", config.chunk_by.to_string()),
                ("--chunk-rows", config.chunk_rows.to_string()),
                ("--chunk-bytes", config.chunk_bytes.to_string()),
                ("--compression", config.compression.to_string()),
                ("--row-group-bytes", config.row_group_bytes.to_string()),
                ("--profile", config.profile.to_string()),
                ("--map", shown_maps(&config.maps)),
                (
                    "--on-unrepresentable",
                    config.on_unrepresentable.to_string(),
                ),
                ("database", config.database.clone()),
                (
                    "server (system identifier)",
                    config.system_identifier.to_string(),
                ),
            ]
        };
        let pairs = fields(self).into_iter().zip(fields(now));
        pairs
            .filter(|((_, before), (_, now))| before != now)
            .map(|((field, before), (_, now))| Difference { field, before, now })
            .collect()
    }
}

fn shown_maps(maps: &BTreeMap<String, MapTo>) -> String {
    let list: Vec<_> = maps
        .iter()
        .map(|(column, to)| format!("{column}={to}"))
        .collect();
    format!("[{}]", list.join(", "))
}
