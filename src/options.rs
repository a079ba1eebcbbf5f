//! What a run is asked to do: plain data with documented defaults, `with_*` setters and one
//! [`ExportOptions::validate`] that names the field. No parsing of flags here.

mod chunking;
mod compression;
mod pace;
mod select;
mod types;
mod writers;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};

pub use self::chunking::{ChunkBy, Hive, Incremental, Interval};
pub use self::compression::Compression;
pub use self::pace::{DEFAULT_CHECK_INTERVAL, DEFAULT_MAX_WAIT, DailyWindow, Guards, Pace};
pub use self::select::{Inheritance, NamePattern, Query, TablePattern, TableSelector};
pub use self::types::{MapTo, OnUnrepresentable, Profile};
pub use self::writers::Writers;

/// Workers, by default: one receives while the other's rows are encoded.
pub const DEFAULT_WORKERS: NonZeroUsize = NonZeroUsize::new(2).expect("two is not zero");
/// Most workers of one run: each holds a server connection.
pub const MAX_WORKERS: usize = 64;
/// Bytes of Parquet that an object should have, at most: 256 MiB. A larger chunk rolls to another.
pub const DEFAULT_TARGET_OBJECT_BYTES: u64 = 256 << 20;
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
/// How long a silent server is waited for before it is asked whether it works.
pub const DEFAULT_SOURCE_TIMEOUT: Duration = Duration::from_secs(60);
/// How long tries may fail, without one chunk landing in between, before the run ends.
pub const DEFAULT_RETRY_BUDGET: Duration = Duration::from_secs(600);
/// How often one chunk is tried before its failure counts.
pub const DEFAULT_CHUNK_ATTEMPTS: u32 = 5;

/// What `export` and `plan` do.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ExportOptions {
    /// The tables, by name or pattern; each becomes a dataset. A missing schema is looked up on the
    /// search path.
    pub tables: Vec<TablePattern>,
    /// All tables of these schemas.
    pub schemas: Vec<NamePattern>,
    /// All tables of the database.
    pub all: bool,
    /// But not these.
    pub exclude: Vec<TablePattern>,
    /// Whether patterns, `schemas` and `all` take views, too.
    pub include_views: bool,
    /// What becomes of inheritance children; `None`: a table that has any is refused.
    pub inheritance: Option<Inheritance>,
    /// A query instead of tables.
    pub query: Option<Query>,
    /// Only these columns, in this order; `None`: all.
    pub columns: Option<Vec<String>>,
    /// All columns but these.
    pub exclude_columns: Vec<String>,
    /// A condition in SQL that every exported row meets. Names resolve in `pg_catalog` only.
    pub filter: Option<String>,
    /// Which Parquet types are used.
    pub profile: Profile,
    /// What single columns, by their exact names, become instead of the profile's choice; takes a
    /// single table.
    pub maps: BTreeMap<String, MapTo>,
    /// What becomes of a value that its column's Parquet type cannot hold.
    pub on_unrepresentable: OnUnrepresentable,
    /// How tables are cut.
    pub chunk_by: ChunkBy,
    /// Whose days and months time chunks are, by its name in PostgreSQL; `None`: UTC's.
    pub time_zone: Option<String>,
    /// Time chunks in folders that readers prune by.
    pub hive: Option<Hive>,
    /// Rows a chunk should hold, at most; `None`: as many as an object of the target size takes.
    pub chunk_rows: Option<u64>,
    /// Bytes of table (heap and TOAST) a chunk should hold, at most; `None`: as many as an object
    /// of the target size takes.
    pub chunk_bytes: Option<u64>,
    /// Bytes of Parquet an object should have, at most. Default [`DEFAULT_TARGET_OBJECT_BYTES`].
    pub target_object_bytes: u64,
    /// Only rows above what the last completed run reached.
    pub incremental: Option<Incremental>,
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
    /// What keeps two writers of a dataset apart. [`Writers::Single`] is for stores that ignore
    /// put-if-absent.
    pub writers: Writers,
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
    /// How long tries may fail, all chunks together, without one landing in between; then the run
    /// ends. Default [`DEFAULT_RETRY_BUDGET`].
    pub retry_budget: Duration,
    /// How long a server may be silent before it is asked, over another connection, whether it
    /// works on the answer. Default [`DEFAULT_SOURCE_TIMEOUT`].
    pub source_timeout: Duration,
    /// Whether an error about a value may show the row's key (never another column's value).
    pub show_row_key: bool,
    /// How fast and how long the run reads.
    pub pace: Pace,
    /// Limits on the source's own state.
    pub guards: Guards,
    /// Whether a plan shows the server's own plan of a sample chunk.
    pub explain: bool,
}

impl ExportOptions {
    /// The defaults, for these tables.
    #[must_use]
    pub fn new(tables: Vec<TablePattern>) -> Self {
        Self {
            tables,
            schemas: Vec::new(),
            all: false,
            exclude: Vec::new(),
            include_views: false,
            inheritance: None,
            query: None,
            columns: None,
            exclude_columns: Vec::new(),
            filter: None,
            profile: Profile::default(),
            maps: BTreeMap::new(),
            on_unrepresentable: OnUnrepresentable::default(),
            chunk_by: ChunkBy::default(),
            time_zone: None,
            hive: None,
            chunk_rows: None,
            chunk_bytes: None,
            target_object_bytes: DEFAULT_TARGET_OBJECT_BYTES,
            incremental: None,
            workers: DEFAULT_WORKERS,
            layout: "{schema}/{table}".to_owned(),
            snapshot: None,
            require_consistent: false,
            takeover: false,
            writers: Writers::default(),
            compression: Compression::default(),
            batch_bytes: DEFAULT_BATCH_BYTES,
            batch_rows: DEFAULT_BATCH_ROWS,
            row_group_bytes: DEFAULT_ROW_GROUP_BYTES,
            part_bytes: DEFAULT_PART_BYTES,
            lock_timeout: DEFAULT_LOCK_TIMEOUT,
            lease_interval: DEFAULT_LEASE_INTERVAL,
            chunk_attempts: DEFAULT_CHUNK_ATTEMPTS,
            retry_budget: DEFAULT_RETRY_BUDGET,
            source_timeout: DEFAULT_SOURCE_TIMEOUT,
            show_row_key: false,
            pace: Pace::default(),
            guards: Guards::default(),
            explain: false,
        }
    }

    /// Whether a single relation is exported, as far as the options tell.
    #[must_use]
    pub fn is_single(&self) -> bool {
        let is_one_table = match self.tables.as_slice() {
            [] => self.query.is_some(),
            [one] => one.as_exact().is_some(),
            _ => false,
        };
        is_one_table && self.schemas.is_empty() && !self.all
    }

    /// Whether the run may end before its tables do, on purpose: what it leaves is then read under
    /// another snapshot, unless something else keeps this one.
    #[must_use]
    pub fn is_pausable(&self) -> bool {
        let pace = &self.pace;
        let may_pause = pace.max_chunks.is_some()
            || pace.stop_after.is_some()
            || pace.window.is_some()
            || self.guards.max_snapshot_age.is_some()
            || self.guards.max_replica_lag.is_some()
            || self.guards.max_active_sessions.is_some()
            || self.guards.max_retained_wal.is_some();
        may_pause && self.snapshot.is_none()
    }

    /// Checks every field against its limits.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`], naming the field.
    pub fn validate(&self) -> Result<()> {
        self.validate_selection()?;
        self.validate_chunking()?;
        let bad = |message: String| Err(Error::new(ErrorKind::Config, message));
        if self.workers.get() > MAX_WORKERS {
            return bad(format!("--workers {}: at most {MAX_WORKERS}", self.workers));
        }
        let most = i64::MAX as u64;
        let limits: [(&str, u64, u64, u64); 9] = [
            ("--chunk-rows", self.chunk_rows.unwrap_or(1), 1, most),
            (
                "--chunk-bytes",
                self.chunk_bytes.unwrap_or(8192),
                8192,
                most,
            ),
            (
                "--target-object-size",
                self.target_object_bytes,
                1 << 16,
                1 << 40,
            ),
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
            ("--max-rate", self.pace.max_rate.unwrap_or(most), 4096, most),
        ];
        for (field, value, least, most) in limits {
            if !(least..=most).contains(&value) {
                return bad(format!("{field} {value}: must lie in {least}..={most}"));
            }
        }
        if self.lease_interval < Duration::from_millis(100) {
            return bad("--lease-interval: at least 100ms".into());
        }
        if self.source_timeout < Duration::from_millis(100) {
            return bad("--source-timeout: at least 100ms".into());
        }
        if self.guards.check_interval < Duration::from_millis(10) {
            return bad("--check-interval: at least 10ms".into());
        }
        if self.pace.max_chunks == Some(0) {
            return bad("--max-chunks 0: at least 1".into());
        }
        Ok(())
    }

    /// What is exported, and what goes with it.
    fn validate_selection(&self) -> Result<()> {
        let bad = |message: String| Err(Error::new(ErrorKind::Config, message));
        let has_tables = !self.tables.is_empty() || !self.schemas.is_empty() || self.all;
        if !has_tables && self.query.is_none() {
            return bad("no table given: name at least one with --table".into());
        }
        if has_tables && self.query.is_some() {
            return bad(
                "--query is a dataset of its own: it takes no --table, --schema or --all".into(),
            );
        }
        let of_one_table = [
            (
                "--columns and --exclude-columns take",
                self.columns.is_some() || !self.exclude_columns.is_empty(),
            ),
            ("--where takes", self.filter.is_some()),
            ("--map takes", !self.maps.is_empty()),
        ];
        let several = !self.is_single();
        if let Some((flags, _)) = of_one_table.iter().find(|(_, given)| several && *given) {
            return bad(format!("{flags} a single --table"));
        }
        if self.columns.is_some() && !self.exclude_columns.is_empty() {
            return bad("--columns and --exclude-columns exclude each other".into());
        }
        if several && !self.layout.contains("{table}") {
            return bad(format!(
                "--layout {:?} puts several tables into one folder: it needs {{table}}",
                self.layout
            ));
        }
        Ok(())
    }

    /// How it is cut, and what goes with that.
    fn validate_chunking(&self) -> Result<()> {
        let bad = |message: &str| Err(Error::new(ErrorKind::Config, message));
        let is_time = matches!(self.chunk_by, ChunkBy::Time { .. });
        if self.hive.is_some() && !is_time {
            return bad(
                "--hive makes a folder of each interval: it needs --chunk-by time:COLUMN:INTERVAL",
            );
        }
        if self.time_zone.is_some() && !is_time {
            return bad(
                "--time-zone says whose days are meant: it needs --chunk-by time:COLUMN:INTERVAL",
            );
        }
        if self.is_pausable() && !self.chunk_by.survives_snapshot() {
            return Err(Error::new(
                ErrorKind::Config,
                format!(
                    "--chunk-by {} holds for one snapshot only: a run that pauses would start again",
                    self.chunk_by
                ),
            )
            .with_advice("use key or time chunks, or name a snapshot that something keeps with --snapshot"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_tables_need_a_layout_that_tells_them_apart() {
        let table = |name: &str| name.parse::<TablePattern>().unwrap();
        let mut options = ExportOptions::new(vec![table("a"), table("b")]);
        assert!(options.validate().is_ok());
        options.layout = "x".into();
        assert_eq!(options.validate().unwrap_err().kind(), ErrorKind::Config);
        options.tables = vec![table("a")];
        assert!(options.validate().is_ok());
        options.tables = vec![table("a*")];
        assert!(options.validate().is_err());
    }

    #[test]
    fn a_run_that_pauses_needs_chunks_that_survive() {
        let mut options = ExportOptions::new(vec!["a".parse().unwrap()]);
        options.pace.max_chunks = Some(3);
        assert!(options.is_pausable() && options.validate().is_ok());
        options.pace = Pace::default();
        assert!(!options.is_pausable());
        options.guards.max_replica_lag = Some(Duration::from_secs(5));
        assert!(options.is_pausable(), "--max-wait ends in a pause");
        options.guards = Guards {
            max_active_sessions: Some(3),
            ..Guards::default()
        };
        assert!(options.is_pausable());
        options.chunk_by = ChunkBy::Ctid;
        assert!(options.validate().is_err());
        options.snapshot = Some("00000003-0000001B-1".into());
        assert!(options.validate().is_ok());
    }
}
