//! What `plan` shows: the chunks, their SQL, the types, and the memory a run would need.

use serde::Serialize;

use crate::chunk::{Chunk, Plan};
use crate::table::TableSchema;

/// What an export with the same options would do. Nothing was written.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct PlanReport {
    /// One entry a table.
    pub tables: Vec<TablePlan>,
    /// The most memory a run would hold, and the terms it is made of.
    pub memory: MemoryCeiling,
    /// Things a person should know, each one sentence.
    pub warnings: Vec<String>,
}

/// One table's plan.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct TablePlan {
    /// What the catalog says.
    pub schema: TableSchema,
    /// Where it would land, relative to the URL.
    pub folder: String,
    /// How each column would be mapped, in order.
    pub columns: Vec<ColumnPlan>,
    /// The relations and chunks.
    pub plan: Plan,
    /// The SQL and object of each chunk, in order of [`Plan::chunks`].
    pub chunks: Vec<ChunkPlan>,
    /// Rows that the statistics promise.
    pub estimated_rows: u64,
    /// Bytes of table (heap and TOAST).
    pub estimated_bytes: u64,
}

/// How one column is mapped.
#[derive(Debug, Clone, Serialize)]
pub struct ColumnPlan {
    /// Its name.
    pub name: String,
    /// As SQL declares it.
    pub pg_type: String,
    /// The Arrow type.
    pub arrow_type: String,
    /// Whether it travels as PostgreSQL's text.
    pub as_text: bool,
}

/// What one chunk would run and yield.
#[derive(Debug, Clone, Serialize)]
pub struct ChunkPlan {
    /// The chunk.
    #[serde(flatten)]
    pub chunk: Chunk,
    /// The statement.
    pub sql: String,
}

/// The most memory a run would hold, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct MemoryCeiling {
    /// Fixed: code, runtime, connections, plan.
    pub base: u64,
    /// Of each worker: gathered rows, batches, the open row group, parts.
    pub per_worker: u64,
    /// Workers.
    pub workers: u64,
    /// `base + workers * per_worker`, for rows that fit a batch.
    pub total: u64,
}
