//! The flags as they were typed: clap's derive, no I/O, no defaults.
//!
//! Every value is text, because the same text may come from the environment or from a file;
//! `resolve` parses it once, wherever it came from. None of these types is `Debug`: `--from` and
//! `--store-option` can hold secrets.

use clap::builder::{PossibleValue, PossibleValuesParser};
use clap::{ArgAction, Args, Parser, Subcommand, ValueHint};
use clap_complete::Shell;

use super::help;

/// Move large PostgreSQL tables into Parquet: in chunks, consistent, resumable and exact
#[derive(Parser)]
#[command(
    name = "pgsluice",
    version,
    long_about = help::ABOUT,
    after_long_help = help::ROOT,
    max_term_width = 100
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) display: DisplayArgs,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Export tables; run the same command again to resume
    #[command(after_long_help = help::EXPORT)]
    Export(Box<JobArgs>),
    /// Show what export would do with the same flags; nothing is written
    #[command(after_long_help = help::PLAN)]
    Plan(Box<PlanArgs>),
    /// Show the datasets under a URL, from their manifests alone
    #[command(after_long_help = help::STATUS)]
    Status(StatusArgs),
    /// Prove that datasets are whole: every object, entry and row against the manifest
    #[command(after_long_help = help::VERIFY)]
    Verify(VerifyArgs),
    /// Show what each PostgreSQL type becomes, and what readers make of it
    #[command(after_long_help = help::TYPES)]
    Types(TypesArgs),
    /// Print a completion script for a shell
    #[command(after_long_help = help::COMPLETIONS)]
    Completions {
        /// The shell
        shell: Shell,
    },
}

#[derive(Args)]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    pub(crate) job: JobArgs,
    /// Show how PostgreSQL would run one chunk of each table (EXPLAIN; nothing is read)
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL", help_heading = "Display")]
    pub(crate) explain: Option<String>,
    /// Show every chunk and its SQL, not only the first and last ones
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL", help_heading = "Display")]
    pub(crate) all_chunks: Option<String>,
}

#[derive(Args, Default)]
pub(crate) struct StatusArgs {
    /// The dataset, or a folder above datasets: a path, file://, s3://, gs:// or az:// [default:
    /// --to of the environment or the --config file]
    #[arg(value_name = "URL", value_hint = ValueHint::AnyPath)]
    pub(crate) url: Option<String>,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
}

#[derive(Args, Default)]
pub(crate) struct VerifyArgs {
    /// The dataset, or a folder above datasets: a path, file://, s3://, gs:// or az:// [default:
    /// --to of the environment or the --config file]
    #[arg(value_name = "URL", value_hint = ValueHint::AnyPath)]
    pub(crate) url: Option<String>,
    /// Look at the manifest, listings, sizes and footers only; read no object through
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub(crate) quick: Option<String>,
    /// Count and hash the rows on this server too, chunk by chunk: postgresql:// or key=value
    ///
    /// Proves something while the table is quiet or only grows; a difference says whether rows
    /// there are newer than the export. Other users of this machine can see a password given here:
    /// put it in PGPASSWORD or in ~/.pgpass instead.
    #[arg(long, value_name = "DSN", value_hint = ValueHint::Other)]
    pub(crate) against: Option<String>,
    /// Chunks read at once, 1 to 64 [default: 2]
    #[arg(short, long, value_name = "N", value_hint = ValueHint::Other)]
    pub(crate) workers: Option<String>,
    /// Wait at most this long for the table lock of --against [default: 10s]
    #[arg(long, value_name = "DURATION", value_hint = ValueHint::Other)]
    pub(crate) lock_timeout: Option<String>,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
}

#[derive(Args, Default)]
pub(crate) struct TypesArgs {
    /// Only this profile: portable or native [default: both]
    #[arg(long, value_name = "PROFILE", value_parser = PossibleValuesParser::new(["portable", "native"]))]
    pub(crate) profile: Option<String>,
    /// The form [default: table, or json with --output json]
    #[arg(long, value_name = "FORMAT", value_parser = format_values())]
    pub(crate) format: Option<String>,
}

/// What `export` and `plan` take.
#[derive(Args, Default)]
pub(crate) struct JobArgs {
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    #[command(flatten)]
    pub(crate) target: TargetArgs,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    #[command(flatten)]
    pub(crate) types: TypeArgs,
    #[command(flatten)]
    pub(crate) chunks: ChunkArgs,
    #[command(flatten)]
    pub(crate) file: FileArgs,
    #[command(flatten)]
    pub(crate) run: RunArgs,
    #[command(flatten)]
    pub(crate) pace: PaceArgs,
}

#[derive(Args, Default)]
#[command(next_help_heading = "Source")]
pub(crate) struct SourceArgs {
    /// The PostgreSQL server: a postgresql:// URI or key=value pairs, as libpq reads them
    /// [default: libpq's environment, PGHOST and so on]
    ///
    /// Other users of this machine can see a password given here. Put it in PGPASSWORD or in
    /// ~/.pgpass instead.
    #[arg(long, value_name = "DSN", value_hint = ValueHint::Other)]
    pub(crate) from: Option<String>,
    /// A table, as SQL names it, or a pattern; repeatable, or a comma list
    ///
    /// Unquoted parts fold to lower case and "…" keeps its case: public.orders, '"Sales"."Order"'.
    /// A name without a schema is found on the connection's search path. Outside of quotes * stands
    /// for any characters and ? for one: 'public.order_*'. Patterns take tables, partitioned tables
    /// and materialized views.
    #[arg(short, long, value_name = "TABLE", value_hint = ValueHint::Other)]
    pub(crate) table: Vec<String>,
    /// All tables of a schema, or of schemas by a pattern; repeatable, or a comma list
    #[arg(long, value_name = "SCHEMA", value_hint = ValueHint::Other)]
    pub(crate) schema: Vec<String>,
    /// All tables of the database
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub(crate) all: Option<String>,
    /// But not these tables: names or patterns, as for --table
    #[arg(long, value_name = "TABLE", value_hint = ValueHint::Other)]
    pub(crate) exclude: Vec<String>,
    /// Patterns, --schema and --all take views, too
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub(crate) include_views: Option<String>,
    /// Of a table with inheritance children, export only its own rows
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub(crate) only: Option<String>,
    /// Of a table with inheritance children, export their rows, too, in its own columns
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL", conflicts_with = "only")]
    pub(crate) include_children: Option<String>,
    /// Export the rows of this SELECT instead of tables; needs --name
    ///
    /// It is read once a chunk, under one snapshot. Names outside pg_catalog need their schema.
    #[arg(long, value_name = "SQL", value_hint = ValueHint::Other)]
    pub(crate) query: Option<String>,
    /// What the dataset of --query is called: name or schema.name [default schema: query]
    #[arg(long, value_name = "NAME", value_hint = ValueHint::Other)]
    pub(crate) name: Option<String>,
    /// Export only these columns, in this order: a comma list, quoted as in SQL [default: all]
    #[arg(long, value_name = "COLUMNS", value_hint = ValueHint::Other)]
    pub(crate) columns: Vec<String>,
    /// Export all columns but these: a comma list, quoted as in SQL
    #[arg(long, value_name = "COLUMNS", value_hint = ValueHint::Other)]
    pub(crate) exclude_columns: Vec<String>,
    /// Export only the rows that meet this SQL condition; takes a single table
    ///
    /// Functions and operators outside pg_catalog need their schema.
    #[arg(long = "where", value_name = "SQL", value_hint = ValueHint::Other)]
    pub(crate) filter: Option<String>,
    /// Read under this snapshot, which another session exported and holds [default: take one]
    #[arg(long, value_name = "ID", value_hint = ValueHint::Other)]
    pub(crate) snapshot: Option<String>,
    /// Wait at most this long for the table locks (a waiting lock holds up others) [default: 10s]
    #[arg(long, value_name = "DURATION", value_hint = ValueHint::Other)]
    pub(crate) lock_timeout: Option<String>,
    /// After so long without a word from the server, look whether it works on the answer; a
    /// connection that is dead is given up [default: 1m]
    #[arg(long, value_name = "DURATION", value_hint = ValueHint::Other)]
    pub(crate) source_timeout: Option<String>,
}

#[derive(Args, Default)]
#[command(next_help_heading = "Target")]
pub(crate) struct TargetArgs {
    /// Where datasets go: a path, file://, s3://bucket/prefix, gs:// or az://
    #[arg(long, value_name = "URL", value_hint = ValueHint::AnyPath)]
    pub(crate) to: Option<String>,
    /// Where each table's dataset lies under the URL [default: {schema}/{table}]
    ///
    /// {schema} and {table} become the percent-encoded names. Empty: a single table at the URL.
    #[arg(long, value_name = "TEMPLATE", value_hint = ValueHint::Other)]
    pub(crate) layout: Option<String>,
}

#[derive(Args, Clone, Default)]
#[command(next_help_heading = "Target")]
pub(crate) struct StoreArgs {
    /// An option of the object store, such as aws_region=eu-west-1; repeatable
    ///
    /// The cloud's usual environment variables (AWS_*, GOOGLE_*, AZURE_*) are read as well, and
    /// are the place for keys and tokens: other users of this machine can see the command line.
    #[arg(long, value_name = "KEY=VALUE", value_hint = ValueHint::Other)]
    pub(crate) store_option: Vec<String>,
}

#[derive(Args, Default)]
#[command(next_help_heading = "Types")]
pub(crate) struct TypeArgs {
    /// Which Parquet types are used: portable or native [default: portable]
    ///
    /// portable keeps to types that every common reader opens (uuid is text, oid a signed number).
    /// native takes the richest ones: UUID, JSON, TIME, unsigned numbers, decimals of 76 digits.
    /// Both hold the same values. plan shows what each column becomes.
    #[arg(long, value_name = "PROFILE", value_hint = ValueHint::Other)]
    pub(crate) profile: Option<String>,
    /// Make a column TYPE instead: text, decimal(P,S), uuid, json or binary; repeatable
    ///
    /// COLUMN is the exact name, without quotes; the last = ends it. Takes a single table.
    /// text: PostgreSQL's own text, which holds every value of any type.
    /// decimal(P,S): of numeric; nothing is rounded: a value that does not fit is one that the
    /// column cannot hold (see --on-unrepresentable).
    /// uuid: of uuid, or of text in its 36 lower-case characters. json: of json or jsonb.
    /// binary: the bytes of text or json, whatever their encoding.
    #[arg(long, value_name = "COLUMN=TYPE", value_hint = ValueHint::Other)]
    pub(crate) map: Vec<String>,
    /// What becomes of a value that no Parquet type of its column holds: error, exceptions or text
    /// [default: error]
    ///
    /// Such are infinite timestamps, NaN in numeric(p,s), arrays of several dimensions.
    /// error stops the run, and names the column and the row.
    /// exceptions writes NULL there, and the value (as text, and byte by byte) into an object
    /// under _exceptions/, which names chunk, row and column. The report counts them.
    /// text reads every column that could meet one as PostgreSQL's own text.
    #[arg(long, value_name = "WHAT", value_hint = ValueHint::Other)]
    pub(crate) on_unrepresentable: Option<String>,
}

#[derive(Args, Default)]
#[command(next_help_heading = "Chunks")]
pub(crate) struct ChunkArgs {
    /// How tables are cut: auto, key, key:COLUMN[,COLUMN…], time:COLUMN:INTERVAL, ctid, offset or
    /// none [default: auto]
    ///
    /// auto takes a well-correlated key, else heap pages (ctid), else the best key, else one chunk
    /// a table. Keys are of any type that can be ordered. time cuts at calendar boundaries:
    /// time:created_at:1 day. offset is for what has no key, such as a view: each chunk sorts all
    /// rows. ctid and offset chunks cannot be resumed under another snapshot.
    #[arg(long, value_name = "METHOD", value_hint = ValueHint::Other)]
    pub(crate) chunk_by: Option<String>,
    /// Whose days, months and years time chunks are, such as Europe/Berlin [default: UTC]
    #[arg(long, value_name = "ZONE", value_hint = ValueHint::Other)]
    pub(crate) time_zone: Option<String>,
    /// Put time chunks into folders that readers prune by: created_at_date=2026-11-22/
    ///
    /// NAME is the partition column [default: the column and _date, _month, _year or _hour].
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "NAME")]
    pub(crate) hive: Option<String>,
    /// Rows a chunk should hold at most [default: as many as make an object of the target size]
    #[arg(long, value_name = "ROWS", value_hint = ValueHint::Other)]
    pub(crate) chunk_rows: Option<String>,
    /// Bytes of table, TOAST included, a chunk should hold at most [default: as many as make an
    /// object of the target size]
    #[arg(long, value_name = "BYTES", value_hint = ValueHint::Other)]
    pub(crate) chunk_bytes: Option<String>,
    /// Bytes of Parquet an object should have; a chunk that grows past it goes on in another
    /// [default: 256MiB]
    #[arg(long, value_name = "BYTES", value_hint = ValueHint::Other)]
    pub(crate) target_object_size: Option<String>,
    /// Export only rows above what the last completed run reached, as new objects of the dataset
    ///
    /// COLUMN grows with each insert, or with each update that is to be seen; deletes are not seen.
    #[arg(long, visible_alias = "since-last", value_name = "COLUMN", value_hint = ValueHint::Other)]
    pub(crate) incremental: Option<String>,
    /// How far below that bound --incremental reads again, for rows that were committed late: a
    /// number, or an interval such as '10 minutes' [default: none]
    #[arg(long, value_name = "DISTANCE", value_hint = ValueHint::Other)]
    pub(crate) overlap: Option<String>,
    /// Chunks read at once, each over a connection of its own, 1 to 64 [default: 2]
    #[arg(short, long, value_name = "N", value_hint = ValueHint::Other)]
    pub(crate) workers: Option<String>,
    /// How often one chunk is tried before its table fails, 1 to 100 [default: 5]
    #[arg(long, value_name = "N", value_hint = ValueHint::Other)]
    pub(crate) attempts: Option<String>,
    /// End the run when tries have failed for so long without one chunk landing [default: 10m]
    #[arg(long, value_name = "DURATION", value_hint = ValueHint::Other)]
    pub(crate) retry_budget: Option<String>,
}

#[derive(Args, Default)]
#[command(next_help_heading = "Parquet and memory")]
pub(crate) struct FileArgs {
    /// zstd[:1-22], snappy, lz4, gzip[:0-9], brotli[:0-11] or none [default: zstd:3]
    #[arg(long, value_name = "CODEC", value_hint = ValueHint::Other)]
    pub(crate) compression: Option<String>,
    /// Encoded bytes that close a row group; each worker holds one open [default: 24MiB]
    #[arg(long, value_name = "BYTES", value_hint = ValueHint::Other)]
    pub(crate) row_group_bytes: Option<String>,
    /// Raw bytes gathered before rows are decoded together [default: 4MiB]
    #[arg(long, value_name = "BYTES", value_hint = ValueHint::Other)]
    pub(crate) batch_bytes: Option<String>,
    /// Rows gathered, at most, before they are decoded together [default: 65536]
    #[arg(long, value_name = "ROWS", value_hint = ValueHint::Other)]
    pub(crate) batch_rows: Option<String>,
    /// Bytes of one part of a multipart upload, at least 5MiB [default: 8MiB]
    #[arg(long, value_name = "BYTES", value_hint = ValueHint::Other)]
    pub(crate) part_bytes: Option<String>,
}

#[derive(Args, Default)]
#[command(next_help_heading = "Run and resume")]
pub(crate) struct RunArgs {
    /// Never end as "mixed": when the first snapshot is gone, start unfinished tables again
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub(crate) require_consistent: Option<String>,
    /// Take datasets over from a writer that may still be alive; it stops and loses nothing
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub(crate) takeover: Option<String>,
    /// Go on where the store ignores put-if-absent, under a lock in the source: weaker, see
    /// docs/stores.md
    ///
    /// One run at a time then holds an advisory lock in the source's server for each dataset. All
    /// runs must reach the same server, and name the dataset by the same URL. Recorded in the
    /// manifest; later runs need it, too.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub(crate) single_writer: Option<String>,
    /// How often this writer shows that it is alive; after three misses it counts as dead
    /// [default: 3s]
    #[arg(long, value_name = "DURATION", value_hint = ValueHint::Other)]
    pub(crate) lease_interval: Option<String>,
    /// Let an error about a value name its row by key (the key's value is printed and logged)
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub(crate) show_row_key: Option<String>,
}

#[derive(Args, Default)]
#[command(next_help_heading = "Pace")]
pub(crate) struct PaceArgs {
    /// Read at most so many bytes a second from the source, over all workers [default: no limit]
    #[arg(long, value_name = "BYTES", value_hint = ValueHint::Other)]
    pub(crate) max_rate: Option<String>,
    /// Let each worker rest so long after a chunk [default: 0s]
    #[arg(long, value_name = "DURATION", value_hint = ValueHint::Other)]
    pub(crate) pause_between_chunks: Option<String>,
    /// Pause after so many chunks; the same command goes on [default: no limit]
    #[arg(long, value_name = "N", value_hint = ValueHint::Other)]
    pub(crate) max_chunks: Option<String>,
    /// Begin no chunk after so long, and pause [default: no limit]
    #[arg(long, value_name = "DURATION", value_hint = ValueHint::Other)]
    pub(crate) stop_after: Option<String>,
    /// Begin chunks only in these hours of the day, in the machine's time zone, such as
    /// 22:00-06:00; pause outside of them [default: always]
    #[arg(long, value_name = "HH:MM-HH:MM", value_hint = ValueHint::Other)]
    pub(crate) window: Option<String>,
    /// Read nothing while a standby lies further behind than this [default: not looked at]
    #[arg(long, value_name = "DURATION", value_hint = ValueHint::Other)]
    pub(crate) max_replica_lag: Option<String>,
    /// Read nothing while more sessions than this are active, the run's own not counted [default:
    /// not looked at]
    #[arg(long, value_name = "N", value_hint = ValueHint::Other)]
    pub(crate) max_active_sessions: Option<String>,
    /// Pause when replication slots hold back more WAL than this [default: not looked at]
    #[arg(long, value_name = "BYTES", value_hint = ValueHint::Other)]
    pub(crate) max_retained_wal: Option<String>,
    /// Pause, and let the snapshot go, when it is as old as this: it holds back vacuum [default: no
    /// limit]
    #[arg(long, value_name = "DURATION", value_hint = ValueHint::Other)]
    pub(crate) max_snapshot_age: Option<String>,
    /// Pause when the first two limits above have let nothing be read for so long [default: 30m]
    #[arg(long, value_name = "DURATION", value_hint = ValueHint::Other)]
    pub(crate) max_wait: Option<String>,
    /// How often the limits above are looked at [default: 5s]
    #[arg(long, value_name = "DURATION", value_hint = ValueHint::Other)]
    pub(crate) check_interval: Option<String>,
}

/// What every command takes.
#[derive(Args, Default)]
#[command(next_help_heading = "Display")]
pub(crate) struct DisplayArgs {
    /// Read settings from this TOML file: keys are the long flag names [default: none]
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) config: Option<String>,
    /// The report on standard output [default: table]
    #[arg(long, global = true, value_name = "FORMAT", value_parser = output_values())]
    pub(crate) output: Option<String>,
    /// The log on standard error [default: text]
    #[arg(long, global = true, value_name = "FORMAT", value_parser = PossibleValuesParser::new(["text", "json"]))]
    pub(crate) log_format: Option<String>,
    /// Live progress on standard error [default: auto]
    #[arg(long, global = true, value_name = "WHEN", value_parser = progress_values())]
    pub(crate) progress: Option<String>,
    /// Log more; twice: everything. PGSLUICE_LOG takes finer filters, such as pgsluice=debug
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Log warnings and errors only, without progress; twice: errors only
    #[arg(short, long, global = true, action = ArgAction::Count, conflicts_with = "verbose")]
    pub(crate) quiet: u8,
}

fn output_values() -> PossibleValuesParser {
    PossibleValuesParser::new([
        PossibleValue::new("table").help("For people; fits the terminal, plain in a pipe"),
        PossibleValue::new("json").help("One document, of a success or an error"),
    ])
}

fn format_values() -> PossibleValuesParser {
    PossibleValuesParser::new([
        PossibleValue::new("table").help("For people; a narrow terminal shows fewer columns"),
        PossibleValue::new("markdown").help("The page that stands in docs/types.md"),
        PossibleValue::new("json").help("One document, with nested types in full"),
    ])
}

fn progress_values() -> PossibleValuesParser {
    PossibleValuesParser::new([
        PossibleValue::new("auto").help("On a terminal; elsewhere a log line every ten seconds"),
        PossibleValue::new("always").help("On a terminal even with --quiet or JSON logs"),
        PossibleValue::new("never").help("Neither"),
    ])
}
