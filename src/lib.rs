//! Moves large PostgreSQL tables into a data lake, exactly and resumably.
//!
//! Chunks of a table stream out by binary `COPY` under one snapshot, become Arrow record batches,
//! and land as Parquet objects on S3, Google Cloud Storage, Azure Blob Storage or a local disk. A
//! manifest beside them makes every completed chunk final.
//!
//! ```text
//! options -> keeper: locks, then snapshot -> catalog -> plan, minus manifest: pending chunks
//!         -> N workers: COPY bytes -> CopyDecoder -> RecordBatch -> ParquetEncoder -> upload
//!         -> chunk entry -> committer: manifest log -> report
//! ```
//!
//! What is guaranteed: every committed object was read under the snapshot that its entry names;
//! together the chunks cover the table exactly once; no value is clamped, rounded, wrapped or
//! skipped; a run that died anywhere is resumed by calling [`export`] again; a writer that was
//! taken over commits nothing. Memory stays under what [`plan`] tells.
//!
//! ```no_run
//! # async fn example() -> pgsluice::Result<()> {
//! use pgsluice::{Cancel, ConnectOptions, ExportOptions, Progress, Root};
//!
//! let source = ConnectOptions::from_dsn(Some("postgresql://reader@db.example/shop"))?;
//! let root = Root::open("s3://lake/shop", &[])?;
//! let options = ExportOptions::new(vec!["public.orders".parse()?]);
//! let report =
//!     pgsluice::export(&source, &root, &options, &Progress::new(), &Cancel::new()).await?;
//! println!("{} rows, {}", report.tables[0].totals.rows, report.consistency);
//! # Ok(())
//! # }
//! ```

mod chunk;
pub mod codec;
mod copy;
mod crash_point;
mod error;
mod export;
mod file;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod gc;
mod lsn;
mod manifest;
mod mapping;
mod options;
mod pg;
mod pg_type;
mod plan;
#[cfg(test)]
mod sabotage;
mod snapshot;
mod status;
mod store;
mod table;
mod verify;

pub use chunk::{
    Bound, Chunk, ChunkId, ChunkMethod, Key, KeyColumn, Plan, PlannedRelation, Range, Totals,
    Window,
};
pub use error::{Error, ErrorKind, Result};
pub use export::{
    Cancel, ChunkPlan, ColumnPlan, EndState, Explained, ExportReport, FailedPlan, MemoryCeiling,
    Phase, PlanReport, Progress, Retry, TablePlan, TableProgress, TableReport, export, plan,
};
pub use gc::{
    GcItem, GcKind, GcOptions, GcPlace, GcReport, GcVerdict, UploadsSeen, WriterState, gc,
};
pub use lsn::Lsn;
pub use options::{
    ChunkBy, Compression, DEFAULT_BATCH_BYTES, DEFAULT_BATCH_ROWS, DEFAULT_CHECK_INTERVAL,
    DEFAULT_CHUNK_ATTEMPTS, DEFAULT_LEASE_INTERVAL, DEFAULT_LOCK_TIMEOUT, DEFAULT_MAX_WAIT,
    DEFAULT_PART_BYTES, DEFAULT_RETRY_BUDGET, DEFAULT_ROW_GROUP_BYTES, DEFAULT_SOURCE_TIMEOUT,
    DEFAULT_TARGET_OBJECT_BYTES, DEFAULT_WORKERS, DailyWindow, ExportOptions, Guards, Hive,
    Incremental, Inheritance, Interval, MAX_WORKERS, MapTo, NamePattern, OnUnrepresentable, Pace,
    Profile, Query, TablePattern, TableSelector, Writers,
};
pub use pg::ConnectOptions;
pub use pg_type::{NumericModifier, PgType};
pub use snapshot::{Consistency, Snapshot};
pub use status::{DatasetStatus, RunState, RunStatus, StatusReport, status};
pub use store::Root;
pub use table::{Column, Relation, RelationKind, TableName, TableSchema};
pub use verify::{
    DatasetVerdict, Finding, FindingKind, Severity, SourceVerdict, VerifyCounts, VerifyOptions,
    VerifyProgress, VerifyReport, verify,
};
