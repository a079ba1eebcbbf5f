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
    pub(crate) chunks: ChunkArgs,
    #[command(flatten)]
    pub(crate) types: TypeArgs,
    #[command(flatten)]
    pub(crate) file: FileArgs,
    #[command(flatten)]
    pub(crate) run: RunArgs,
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
    /// A table, as SQL names it; repeatable, or a comma list
    ///
    /// Unquoted parts fold to lower case and "…" keeps its case: public.orders, '"Sales"."Order"'.
    /// A name without a schema is found on the connection's search path.
    #[arg(short, long, value_name = "TABLE", value_hint = ValueHint::Other)]
    pub(crate) table: Vec<String>,
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

#[derive(Args, Default)]
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
#[command(next_help_heading = "Chunks")]
pub(crate) struct ChunkArgs {
    /// How tables are cut: auto, ctid, key, key:COLUMN or none [default: auto]
    ///
    /// auto takes a well-correlated integer key, else heap pages (ctid), else the best key, else
    /// one chunk a table. Only key chunks can be resumed under another snapshot.
    #[arg(long, value_name = "METHOD", value_hint = ValueHint::Other)]
    pub(crate) chunk_by: Option<String>,
    /// Rows a chunk should hold at most [default: 5000000]
    #[arg(long, value_name = "ROWS", value_hint = ValueHint::Other)]
    pub(crate) chunk_rows: Option<String>,
    /// Bytes of table, TOAST included, a chunk should hold at most [default: 256MiB]
    #[arg(long, value_name = "BYTES", value_hint = ValueHint::Other)]
    pub(crate) chunk_bytes: Option<String>,
    /// Chunks read at once, each over a connection of its own, 1 to 64 [default: 2]
    #[arg(short, long, value_name = "N", value_hint = ValueHint::Other)]
    pub(crate) workers: Option<String>,
    /// How often one chunk is tried before the run fails, 1 to 100 [default: 5]
    #[arg(long, value_name = "N", value_hint = ValueHint::Other)]
    pub(crate) attempts: Option<String>,
}

#[derive(Args, Default)]
#[command(next_help_heading = "Types")]
pub(crate) struct TypeArgs {
    /// Which Parquet types are used: portable or native [default: portable]
    ///
    /// portable: those that every common reader opens (Spark, Trino, DuckDB, BigQuery, Snowflake).
    /// native: the richest ones, such as UUID, JSON, TIME, unsigned integers and wide decimals.
    /// Both keep every value exactly; pgsluice plan shows what each column becomes.
    #[arg(long, value_name = "PROFILE", value_hint = ValueHint::Other)]
    pub(crate) profile: Option<String>,
    /// What one column becomes instead: COLUMN=text, decimal(P,S), uuid, json or binary; repeatable
    ///
    /// The name is exact, as the catalog has it, up to the last "=". text: PostgreSQL's own text,
    /// of any type. decimal(P,S): of a numeric; a value with more digits is never rounded, it is
    /// unrepresentable. uuid and json: logical types. binary: the raw bytes of text or json.
    /// In a file: [map] and lines such as amount = "decimal(20,4)". Takes a single table.
    #[arg(long, value_name = "COLUMN=TYPE", value_hint = ValueHint::Other)]
    pub(crate) map: Vec<String>,
    /// When a value does not fit its column's Parquet type: error, exceptions or text
    /// [default: error]
    ///
    /// Such values are infinite dates and timestamps, NaN in a decimal, arrays of two dimensions.
    /// error stops at the first, and names the column. exceptions writes NULL there, and the exact
    /// value to an object below _exceptions/. text reads every column that could meet one as
    /// PostgreSQL's own text.
    #[arg(long, value_name = "MODE", value_hint = ValueHint::Other)]
    pub(crate) on_unrepresentable: Option<String>,
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
    /// How often this writer shows that it is alive; after three misses it counts as dead
    /// [default: 3s]
    #[arg(long, value_name = "DURATION", value_hint = ValueHint::Other)]
    pub(crate) lease_interval: Option<String>,
    /// Let an error about a value name its row by key (the key's value is printed and logged)
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub(crate) show_row_key: Option<String>,
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

fn progress_values() -> PossibleValuesParser {
    PossibleValuesParser::new([
        PossibleValue::new("auto").help("On a terminal; elsewhere a log line every ten seconds"),
        PossibleValue::new("always").help("On a terminal even with --quiet or JSON logs"),
        PossibleValue::new("never").help("Neither"),
    ])
}
