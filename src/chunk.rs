//! Chunks, the ranges that bound them, and the plan they make up. Pure data.
//!
//! Together the chunks of a plan cover its table exactly once: ranges are half-open, the first
//! and the last of a relation are open-ended, and rows whose key is NULL have a chunk of their
//! own. `plan::split` makes them, `pg::sql` turns them into predicates.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::table::TableName;

/// A chunk's ordinal in its plan, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ChunkId(pub u32);

impl fmt::Display for ChunkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A bound of a key range: one text for each key column, as the server writes and reads it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bound(pub Vec<String>);

impl Bound {
    /// The bound of a key of one column.
    pub fn one(text: impl Into<String>) -> Self {
        Self(vec![text.into()])
    }
}

/// `7`, or `(7, x)`.
impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [one] => f.write_str(one),
            several => write!(f, "({})", several.join(", ")),
        }
    }
}

/// What bounds a chunk: `[lower, upper)`; a missing bound is open.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Range {
    /// All rows of the relation.
    Whole,
    /// Rows whose key, [`PlannedRelation::key`], lies in the range, as the server compares. Valid
    /// under any snapshot.
    Key {
        /// The lower bound, included.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        lower: Option<Bound>,
        /// The upper bound, excluded.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        upper: Option<Bound>,
    },
    /// Rows of which a key column is NULL.
    NullKey,
    /// Rows whose time lies in the range: microseconds since 1970-01-01 00:00, in UTC for a
    /// timestamp with time zone, as it stands for one without, and at midnight for a date.
    Time {
        /// The lower bound, included.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        lower: Option<i64>,
        /// The upper bound, excluded.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        upper: Option<i64>,
    },
    /// Rows in a range of heap pages. Valid inside one snapshot only: rows move.
    Ctid {
        /// The first page.
        lower: u32,
        /// The page after the last; the last range is open, for pages that the table grew.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        upper: Option<u32>,
    },
    /// Rows by their place in the order of all exported columns. Valid inside one snapshot only.
    Offset {
        /// The first row.
        lower: u64,
        /// The row after the last; the last range is open.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        upper: Option<u64>,
    },
    /// All rows of several relations: those from [`Chunk::relation`] on, up to this index.
    Pack {
        /// The relation after the last.
        upper: u32,
    },
}

impl Range {
    /// Whether it still bounds the same rows under another snapshot.
    #[must_use]
    pub fn survives_snapshot(&self) -> bool {
        !matches!(self, Self::Ctid { .. } | Self::Offset { .. })
    }

    /// Whether it reaches to an end of the keys or times: rows that come later can fall into it.
    #[must_use]
    pub fn is_open(&self) -> bool {
        match self {
            Self::Key { lower, upper } => lower.is_none() || upper.is_none(),
            Self::Time { lower, upper } => lower.is_none() || upper.is_none(),
            _ => false,
        }
    }
}

/// How a relation was cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChunkMethod {
    /// Key ranges, and a NULL chunk where the key can be NULL.
    Key,
    /// Calendar intervals of a time column, and a NULL chunk where it can be NULL.
    Time,
    /// Heap page ranges.
    Ctid,
    /// Places in the order of all columns.
    Offset,
    /// One chunk, of its own or together with other relations.
    Whole,
}

/// One column of a key, with all that SQL must say to compare it as the key's index does.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct KeyColumn {
    /// The exact name.
    pub name: String,
    /// The type that bounds are read as: quoted and with its schema, domains resolved.
    pub type_name: String,
    /// The schema of the operators of its default btree operator class.
    pub operators: String,
    /// Its collation, where it is not the type's default; for people: the column brings it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub collation: Option<String>,
    /// Whether it can hold NULL.
    pub is_nullable: bool,
}

/// The columns that bound key and time ranges, compared in this order.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Key {
    /// At least one.
    pub columns: Vec<KeyColumn>,
}

impl Key {
    /// Whether rows can lack it: they have a chunk of their own.
    #[must_use]
    pub fn is_nullable(&self) -> bool {
        self.columns.iter().any(|column| column.is_nullable)
    }

    /// Whether a column's values are texts in the database's encoding.
    #[must_use]
    pub(crate) fn is_text(&self) -> bool {
        const TEXTS: [&str; 5] = ["text", "varchar", "bpchar", "name", "citext"];
        self.columns.iter().any(|column| {
            let name = column.type_name.rsplit('.').next().unwrap_or_default();
            TEXTS.contains(&name)
        })
    }

    /// The column's name, where it is a single one of integers, whose order is known without the
    /// server.
    #[must_use]
    pub fn single_integer(&self) -> Option<&str> {
        const INTEGERS: [&str; 3] = ["pg_catalog.int2", "pg_catalog.int4", "pg_catalog.int8"];
        match self.columns.as_slice() {
            [column] if INTEGERS.contains(&column.type_name.as_str()) => Some(&column.name),
            _ => None,
        }
    }

    /// The column's name, where it is a single one.
    #[must_use]
    pub fn single(&self) -> Option<&str> {
        match self.columns.as_slice() {
            [column] => Some(&column.name),
            _ => None,
        }
    }
}

/// `a, b`
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.columns.iter().map(|c| c.name.as_str()).collect();
        f.write_str(&names.join(", "))
    }
}

/// The rows of one incremental run: those above the bound that the run before it reached.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Window {
    /// The column that grows.
    pub column: KeyColumn,
    /// Rows above it, as the server writes it; none for the first run.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub lower: Option<String>,
    /// Rows up to it, itself included; none when there were no rows.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub upper: Option<String>,
    /// Whether rows without a value belong to it: those of the first run.
    pub with_nulls: bool,
}

/// The unit of work, retry, commit and resume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// Its ordinal in the plan.
    pub id: ChunkId,
    /// Index into [`Plan::relations`]; of a pack the first.
    pub relation: u32,
    /// What bounds it.
    pub range: Range,
    /// The folder of its objects below the dataset's root, such as `day=2026-11-22`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub folder: Option<String>,
    /// Rows that the statistics promise; a guess.
    pub estimated_rows: u64,
    /// Bytes in the table that the statistics promise; a guess.
    pub estimated_bytes: u64,
}

impl Chunk {
    /// Whether it is of a hive layout and reaches beyond its calendar. Such chunks are read first:
    /// under a later snapshot rows with a folder of their own could lie there.
    #[must_use]
    pub fn is_unplaced(&self) -> bool {
        self.folder.is_some() && self.range.is_open()
    }
}

/// How one relation of a plan is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedRelation {
    /// The relation, read with `ONLY`; a query's name.
    pub name: TableName,
    /// `pg_class.oid`; 0 of a query.
    pub oid: u32,
    /// How it was cut.
    pub method: ChunkMethod,
    /// The key of [`ChunkMethod::Key`], the column of [`ChunkMethod::Time`].
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub key: Option<Key>,
    /// Whether its key chunks are read `ORDER BY` the key, from an index that gives that order.
    pub ordered: bool,
    /// One sentence for people: why it was cut this way.
    pub reason: String,
    /// What may make it slow or uneven, one sentence each.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub risks: Vec<String>,
    /// The SELECT that stands for the relation, where a query is exported.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub query: Option<String>,
    /// What it is called in statements, where that is not its own name: a partition goes by its
    /// table's, which a filter may use.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub alias: Option<String>,
    /// Which of its rows, where the export is incremental.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub window: Option<Window>,
}

impl PlannedRelation {
    /// A relation that is read as one chunk.
    pub fn whole(name: TableName, oid: u32, reason: impl Into<String>) -> Self {
        Self {
            name,
            oid,
            method: ChunkMethod::Whole,
            key: None,
            ordered: false,
            reason: reason.into(),
            risks: Vec::new(),
            query: None,
            alias: None,
            window: None,
        }
    }
}

/// The ordered list of chunks of one table, and how each of its relations is cut.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Plan {
    /// The relations, in the order of their chunks.
    pub relations: Vec<PlannedRelation>,
    /// The chunks; `chunks[i].id` is `i`.
    pub chunks: Vec<Chunk>,
}

impl Plan {
    /// Whether every chunk still bounds the same rows under another snapshot.
    #[must_use]
    pub fn survives_snapshot(&self) -> bool {
        self.chunks
            .iter()
            .all(|chunk| chunk.range.survives_snapshot())
    }

    /// The chunk whose object is made even without rows, since it carries the schema: the first,
    /// or, in folders, the first that has a place on the calendar.
    #[must_use]
    pub fn schema_chunk(&self) -> Option<ChunkId> {
        let placed = self.chunks.iter().find(|chunk| !chunk.is_unplaced());
        placed.or(self.chunks.first()).map(|chunk| chunk.id)
    }

    /// The relation that a chunk reads.
    ///
    /// # Panics
    ///
    /// When the chunk is not of this plan.
    #[must_use]
    pub fn relation_of(&self, chunk: &Chunk) -> &PlannedRelation {
        &self.relations[chunk.relation as usize]
    }

    /// The relations that a chunk reads: one, or those of a pack.
    ///
    /// # Panics
    ///
    /// When the chunk is not of this plan.
    #[must_use]
    pub fn relations_of(&self, chunk: &Chunk) -> &[PlannedRelation] {
        let first = chunk.relation as usize;
        match chunk.range {
            Range::Pack { upper } => &self.relations[first..upper as usize],
            _ => &self.relations[first..=first],
        }
    }
}

/// Sums over chunks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Chunks committed.
    pub chunks: u64,
    /// Objects they yielded.
    pub objects: u64,
    /// Rows.
    pub rows: u64,
    /// Bytes received by COPY.
    pub copy_bytes: u64,
    /// Bytes of Parquet.
    pub object_bytes: u64,
    /// Values that their columns could not hold: NULL there, and exact in `_exceptions/`.
    #[serde(default)]
    pub exceptions: u64,
    /// Values whose wire form said more than the value, such as a display scale under `--map`.
    #[serde(default)]
    pub restated: u64,
}

impl Totals {
    /// Adds another sum.
    pub fn add(&mut self, other: &Self) {
        self.chunks += other.chunks;
        self.objects += other.objects;
        self.rows += other.rows;
        self.copy_bytes += other.copy_bytes;
        self.object_bytes += other.object_bytes;
        self.exceptions += other.exceptions;
        self.restated += other.restated;
    }

    /// What a reader of the columns alone would miss, in one sentence.
    pub(crate) fn exceptions_warning(&self, table: &str) -> Option<String> {
        let many = match self.exceptions {
            0 => return None,
            1 => "1 value that its column cannot hold is".to_owned(),
            many => format!("{many} values that their columns cannot hold are"),
        };
        Some(format!(
            "{table}: {many} NULL there, and exact in _exceptions/"
        ))
    }
}
