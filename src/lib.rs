//! pgsluice moves PostgreSQL tables into a data lake.
// TEMPORARY: everything below `mod` lines is a stub for the command line's worktree.
#![allow(dead_code, missing_docs, clippy::missing_errors_doc)] // stub, discarded at the merge
mod chunk;
mod error;
mod export {
    pub mod preview;
    pub mod progress;
    pub mod report;
}
mod lsn;
mod options;
mod pg_type;
mod snapshot;
mod status;
mod stub;
mod table;

pub use chunk::{Chunk, ChunkId, ChunkMethod, Plan, PlannedRelation, Range};
pub use error::{Error, ErrorKind, Result};
pub use export::preview::{ChunkPlan, ColumnPlan, MemoryCeiling, PlanReport, TablePlan};
pub use export::progress::{Phase, Progress, TableProgress};
pub use export::report::{ExportReport, Retry, TableReport, Totals};
pub use lsn::Lsn;
pub use options::{
    ChunkBy, Compression, DEFAULT_BATCH_BYTES, DEFAULT_BATCH_ROWS, DEFAULT_CHUNK_ATTEMPTS,
    DEFAULT_CHUNK_BYTES, DEFAULT_CHUNK_ROWS, DEFAULT_LEASE_INTERVAL, DEFAULT_LOCK_TIMEOUT,
    DEFAULT_PART_BYTES, DEFAULT_ROW_GROUP_BYTES, DEFAULT_WORKERS, ExportOptions, MAX_WORKERS,
    TableSelector,
};
pub use snapshot::{Consistency, Snapshot};
pub use status::{DatasetStatus, RunState, StatusReport};
pub use stub::{Cancel, ConnectOptions, Root, export, plan, status};
pub use table::{TableName, TableSchema, Column, Relation, RelationKind};
