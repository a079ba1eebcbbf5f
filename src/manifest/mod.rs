//! The manifest: what was planned and committed, and who may write next.
//!
//! Owns the log's entries, their fold into a [`Dataset`], the fencing of writers and the files
//! that a complete dataset ends with. It knows neither PostgreSQL nor Parquet.

mod audit;
mod change;
mod check;
mod check_open;
mod config;
mod consolidated;
mod fence;
mod lease;
mod log;
mod model;
mod request;
mod runs;
mod seal;
#[cfg(test)]
mod tests;
mod upkeep;

pub(crate) use self::audit::{
    Compared, Consolidation, FilesAudit, Known, LogAudit, LogFaultKind, audit_files, audit_log,
    read_consolidated,
};
#[cfg(any(fuzzing, test))]
pub(crate) use self::change::apply;
pub(crate) use self::config::{Difference, ExportConfig};
#[cfg(test)]
pub(crate) use self::consolidated::ManifestFrames;
pub(crate) use self::consolidated::finish;
pub(crate) use self::fence::Fence;
pub(crate) use self::lease::{Heartbeat, Liveness, is_alive};
pub(crate) use self::log::{Appended, ManifestLog, Opened};
#[cfg(any(fuzzing, test))]
pub(crate) use self::model::Entry;
pub(crate) use self::model::{
    Change, ChunkEntry, Dataset, ExceptionsEntry, MAX_COMMIT_CHUNKS, ObjectEntry, State,
    WriterInfo, totals_of,
};
pub(crate) use self::request::{OpenRequest, PlanRequest};
pub(crate) use self::runs::{Base, RunSummary};
pub(crate) use self::upkeep::{Orphans, check_committed, list_exceptions};
