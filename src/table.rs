//! What the catalog says of a table: names, columns, the relations that hold its rows.
//! Pure data; `pg::catalog` fills it in.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::pg_type::PgType;

/// A table's name as the catalog holds it: unquoted, exact case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TableName {
    /// The schema.
    pub schema: String,
    /// The relation.
    pub name: String,
}

impl TableName {
    /// A name from its two exact parts.
    pub fn new(schema: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            schema: schema.into(),
            name: name.into(),
        }
    }
}

/// `schema.name`, for people; parts that SQL would have to quote are quoted.
impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", shown(&self.schema), shown(&self.name))
    }
}

fn shown(part: &str) -> String {
    let plain = part.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && part
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '$');
    if plain {
        part.to_owned()
    } else {
        format!("\"{}\"", part.replace('"', "\"\"").escape_debug())
    }
}

/// What kind of relation holds the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RelationKind {
    /// An ordinary table (`relkind` r).
    Table,
    /// A partitioned table (p): its rows are in its leaf partitions.
    Partitioned,
    /// A view (v): no ctid, no statistics.
    View,
    /// A materialized view (m).
    MaterializedView,
    /// A query: no catalog entry, no ctid, no statistics.
    Query,
}

/// A table as one run exports it: the chosen columns and the relations that hold the rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableSchema {
    /// Its name.
    pub name: TableName,
    /// `pg_class.oid`: a table made again under its name is another table. 0 of a query.
    pub oid: u32,
    /// What it is.
    pub kind: RelationKind,
    /// The exported columns, in `attnum` order (or as `--columns` gives them).
    pub columns: Vec<Column>,
    /// The columns of its primary key, in the key's order; none without one.
    #[serde(default)]
    pub primary_key: Vec<String>,
    /// The relations read, each with `ONLY`: the table itself, or its leaf partitions.
    pub relations: Vec<Relation>,
}

impl TableSchema {
    /// What its relations are called in statements: its own name, where they have others.
    pub(crate) fn alias(&self) -> Option<&str> {
        let has_others = self.relations.iter().any(|one| one.oid != self.oid);
        has_others.then_some(&self.name.name)
    }
}

/// One relation that holds rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relation {
    /// Its name.
    pub name: TableName,
    /// `pg_class.oid`.
    pub oid: u32,
    /// Whether a ctid range can be scanned: the heap access method, on PostgreSQL 14 or later.
    pub has_ctid: bool,
    /// `pg_table_size`: heap, TOAST and maps, in bytes.
    pub table_bytes: u64,
    /// Pages of the main fork, read after the snapshot.
    pub heap_pages: u64,
    /// `reltuples`, where the table was ever analyzed.
    pub estimated_rows: Option<u64>,
}

/// One exported column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Its exact name.
    pub name: String,
    /// `attnum`, from 1.
    pub attnum: i16,
    /// Its type, domains resolved.
    pub pg_type: PgType,
    /// `format_type(atttypid, atttypmod)`: how SQL would declare it, domain name included.
    pub type_name: String,
    /// A domain's base type, as SQL would declare it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub base_type: Option<String>,
    /// `atttypid`.
    pub type_oid: u32,
    /// `atttypmod`, -1 when there is none.
    pub typmod: i32,
    /// Whether the table declares it `NOT NULL`.
    pub not_null: bool,
    /// Whether it is a generated column: exported, and left out by a restore.
    pub generated: bool,
    /// The collation, where it is not the type's default.
    pub collation: Option<String>,
}

impl Column {
    /// A nullable column of which nothing but its name and type is known: for codecs that work
    /// without a catalog.
    #[must_use]
    pub fn new(name: impl Into<String>, pg_type: PgType) -> Self {
        Self {
            name: name.into(),
            attnum: 1,
            pg_type,
            type_name: String::new(),
            base_type: None,
            type_oid: 0,
            typmod: -1,
            not_null: false,
            generated: false,
            collation: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_shown_on_one_line_and_quoted_where_sql_would() {
        let shown = |schema: &str, name: &str| TableName::new(schema, name).to_string();
        assert_eq!(shown("public", "orders_2"), "public.orders_2");
        assert_eq!(shown("public", "Orders"), "public.\"Orders\"");
        assert_eq!(shown("a.b", "x\ny"), "\"a.b\".\"x\\ny\"");
    }
}
