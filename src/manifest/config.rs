//! What an export was asked for, as the manifest keeps it.
//!
//! Owns the comparison of two of them: a run is resumed with the options of its first epoch, or
//! not at all.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::options::{
    ChunkBy, Compression, Hive, Incremental, Inheritance, MapTo, OnUnrepresentable, Profile,
    Writers,
};
use crate::table::TableName;

/// What is exported and how: all that must be the same when a run is resumed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ExportConfig {
    /// The table, or the query's name.
    pub(crate) table: TableName,
    /// The query that stands for a table.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) query: Option<String>,
    /// What becomes of inheritance children.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) inheritance: Option<Inheritance>,
    /// Only these columns.
    pub(crate) columns: Option<Vec<String>>,
    /// All columns but these.
    pub(crate) exclude_columns: Vec<String>,
    /// The condition every row meets.
    pub(crate) filter: Option<String>,
    /// How the table is cut.
    pub(crate) chunk_by: ChunkBy,
    /// Whose days time chunks are.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) time_zone: Option<String>,
    /// Folders of time chunks.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) hive: Option<Hive>,
    /// Rows a chunk should hold, at most.
    pub(crate) chunk_rows: Option<u64>,
    /// Bytes of table a chunk should hold, at most.
    pub(crate) chunk_bytes: Option<u64>,
    /// Bytes of Parquet an object should have, at most.
    pub(crate) target_object_bytes: u64,
    /// Only rows above what the last completed run reached.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) incremental: Option<Incremental>,
    /// How pages are compressed.
    pub(crate) compression: Compression,
    /// Encoded bytes that close a row group.
    pub(crate) row_group_bytes: u64,
    /// Which Parquet types are used.
    pub(crate) profile: Profile,
    /// What single columns become instead.
    #[serde(default)]
    pub(crate) maps: BTreeMap<String, MapTo>,
    /// What becomes of a value that its column cannot hold.
    #[serde(default)]
    pub(crate) on_unrepresentable: OnUnrepresentable,
    /// What keeps two writers apart.
    #[serde(skip_serializing_if = "Writers::is_fenced", default)]
    pub(crate) writers: Writers,
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
        let none = || "none".to_owned();
        let number = |number: Option<u64>| number.map_or("derived".to_owned(), |n| n.to_string());
        let fields = |config: &Self| {
            [
                ("table", config.table.to_string()),
                ("--query", config.query.clone().unwrap_or_else(none)),
                (
                    "--only, --include-children",
                    config
                        .inheritance
                        .map_or_else(none, |what| format!("{what:?}")),
                ),
                (
                    "--columns",
                    config.columns.as_deref().map_or("all".to_owned(), list),
                ),
                ("--exclude-columns", list(&config.exclude_columns)),
                ("--where", config.filter.clone().unwrap_or_else(none)),
                ("--chunk-by", config.chunk_by.to_string()),
                ("--time-zone", config.time_zone.clone().unwrap_or_else(none)),
                ("--hive", hive(config.hive.as_ref())),
                ("--chunk-rows", number(config.chunk_rows)),
                ("--chunk-bytes", number(config.chunk_bytes)),
                (
                    "--target-object-size",
                    config.target_object_bytes.to_string(),
                ),
                ("--incremental", incremental(config.incremental.as_ref())),
                ("--compression", config.compression.to_string()),
                ("--row-group-bytes", config.row_group_bytes.to_string()),
                ("--profile", config.profile.to_string()),
                ("--map", maps(&config.maps)),
                (
                    "--on-unrepresentable",
                    config.on_unrepresentable.to_string(),
                ),
                (
                    "--single-writer",
                    (config.writers == Writers::Single).to_string(),
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

fn hive(hive: Option<&Hive>) -> String {
    match hive {
        None => "none".to_owned(),
        Some(Hive { name: None }) => "the column's name and unit".to_owned(),
        Some(Hive { name: Some(name) }) => name.clone(),
    }
}

fn incremental(incremental: Option<&Incremental>) -> String {
    match incremental {
        None => "none".to_owned(),
        Some(Incremental { column, overlap }) => match overlap {
            None => column.clone(),
            Some(overlap) => format!("{column} with an overlap of {overlap}"),
        },
    }
}

/// `[a=text, b=decimal(20,4)]`
fn maps(maps: &BTreeMap<String, MapTo>) -> String {
    let shown: Vec<_> = maps
        .iter()
        .map(|(column, to)| format!("{column}={to}"))
        .collect();
    format!("[{}]", shown.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> ExportConfig {
        ExportConfig {
            table: TableName::new("s", "t"),
            query: None,
            inheritance: None,
            columns: None,
            exclude_columns: Vec::new(),
            filter: None,
            profile: Profile::Portable,
            maps: BTreeMap::new(),
            on_unrepresentable: OnUnrepresentable::Error,
            writers: Writers::Fenced,
            chunk_by: ChunkBy::Auto,
            time_zone: None,
            hive: None,
            chunk_rows: Some(1),
            chunk_bytes: Some(1),
            target_object_bytes: 1,
            incremental: None,
            compression: Compression::default(),
            row_group_bytes: 1,
            database: "d".into(),
            system_identifier: 1,
        }
    }

    #[test]
    fn each_option_about_types_is_a_difference_named_by_its_flag() {
        let before = config();
        let mut now = config();
        now.profile = Profile::Native;
        now.maps.insert("a=b".into(), MapTo::Uuid);
        now.on_unrepresentable = OnUnrepresentable::Text;
        let shown: Vec<_> = before
            .differences(&now)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            shown,
            [
                "--profile was portable and is now native",
                "--map was [] and is now [a=b=uuid]",
                "--on-unrepresentable was error and is now text",
            ]
        );
        assert!(before.differences(&config()).is_empty());
    }

    #[test]
    fn a_manifest_without_type_options_reads_as_the_defaults() {
        let mut json = serde_json::to_value(config()).unwrap();
        let fields = json.as_object_mut().unwrap();
        assert_eq!(fields["profile"], "portable");
        assert!(fields.remove("maps").is_some() && fields.remove("on_unrepresentable").is_some());
        assert_eq!(
            serde_json::from_value::<ExportConfig>(json).unwrap(),
            config()
        );
    }
}
