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

/// What bounds a chunk: `[lower, upper)`; a missing bound is open.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Range {
    /// All rows of the relation.
    Whole,
    /// Rows whose integer key lies in the range. Valid under any snapshot.
    Key {
        /// The key column.
        column: String,
        /// The lower bound, included.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        lower: Option<i64>,
        /// The upper bound, excluded.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        upper: Option<i64>,
    },
    /// Rows whose key is NULL.
    NullKey {
        /// The key column.
        column: String,
    },
    /// Rows in a range of heap pages. Valid inside one snapshot only: rows move.
    Ctid {
        /// The first page.
        lower: u32,
        /// The page after the last; the last range is open, for pages that the table grew.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        upper: Option<u32>,
    },
}

impl Range {
    /// Whether it still bounds the same rows under another snapshot.
    #[must_use]
    pub fn survives_snapshot(&self) -> bool {
        !matches!(self, Self::Ctid { .. })
    }
}

/// How a relation was cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChunkMethod {
    /// Integer key ranges, and a NULL chunk where the key can be NULL.
    Key,
    /// Heap page ranges.
    Ctid,
    /// One chunk.
    Whole,
}

/// The unit of work, retry, commit and resume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// Its ordinal in the plan.
    pub id: ChunkId,
    /// Index into [`Plan::relations`].
    pub relation: u32,
    /// What bounds it.
    pub range: Range,
    /// Rows that the statistics promise; a guess.
    pub estimated_rows: u64,
    /// Bytes in the table that the statistics promise; a guess.
    pub estimated_bytes: u64,
}

/// How one relation of a plan is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedRelation {
    /// The relation, read with `ONLY`.
    pub name: TableName,
    /// `pg_class.oid`.
    pub oid: u32,
    /// How it was cut.
    pub method: ChunkMethod,
    /// The key column of [`ChunkMethod::Key`].
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub key: Option<String>,
    /// Whether its key chunks are read `ORDER BY` the key, from an index that gives that order.
    pub ordered: bool,
    /// One sentence for people: why it was cut this way.
    pub reason: String,
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

    /// The relation that a chunk reads.
    ///
    /// # Panics
    ///
    /// When the chunk is not of this plan.
    #[must_use]
    pub fn relation_of(&self, chunk: &Chunk) -> &PlannedRelation {
        &self.relations[chunk.relation as usize]
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
