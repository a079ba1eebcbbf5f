//! Raw flags and the layers under them become the library's options.
//!
//! Owns the parsing of values, once, wherever they stood, and what can be refused before any I/O.
//! Limits and defaults are the library's.

mod pace;
mod selection;
mod verify;

use std::collections::BTreeMap;

use std::str::FromStr;
use std::time::Duration;

use bytesize::ByteSize;
use pgsluice::{ExportOptions, Hive, Incremental, MapTo, Profile, Result, Writers};

use super::args::{ChunkArgs, DisplayArgs, JobArgs, StatusArgs, StoreArgs, TypesArgs};
use super::layers::{Layers, Origin, Setting, config};
use super::secrets;
use super::types::Format;

pub(crate) use self::verify::{VerifyJob, verify};

/// What `export` and `plan` work on. Not `Debug`: it may hold secrets.
pub(crate) struct Job {
    /// `--from`; `None`: libpq's environment alone.
    pub(crate) dsn: Option<String>,
    /// Where datasets go.
    pub(crate) target: Option<Target>,
    /// The library's options.
    pub(crate) options: ExportOptions,
    /// What a person should know before the work begins.
    pub(crate) warnings: Vec<String>,
}

/// An object store and the way into it. Not `Debug`: it may hold secrets.
pub(crate) struct Target {
    /// The URL.
    pub(crate) url: String,
    /// `--store-option`.
    pub(crate) store_options: Vec<(String, String)>,
}

/// How the command shows itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Display {
    /// The report on standard output.
    pub(crate) output: Output,
    /// Whether the log is JSON.
    pub(crate) json_log: bool,
    /// Live progress.
    pub(crate) progress: When,
    /// `-v` counts up, `-q` down.
    pub(crate) verbosity: i16,
}

/// The form of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Output {
    /// For people.
    #[default]
    Table,
    /// One document.
    Json,
}

/// When progress is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum When {
    /// On a terminal; a log line elsewhere.
    #[default]
    Auto,
    /// On a terminal, even if quiet.
    Always,
    /// Neither.
    Never,
}

/// The form of the output alone, so that a later error can be shown in it.
///
/// # Errors
///
/// `Config` for a value that is none of the possible ones.
pub(crate) fn display(args: &DisplayArgs, layers: &Layers<'_>) -> Result<Display> {
    let output = [("table", Output::Table), ("json", Output::Json)];
    let log = [("text", false), ("json", true)];
    let when = [
        ("auto", When::Auto),
        ("always", When::Always),
        ("never", When::Never),
    ];
    Ok(Display {
        output: choice(layers.one("output", args.output.as_deref())?, &output)?,
        json_log: choice(layers.one("log-format", args.log_format.as_deref())?, &log)?,
        progress: choice(layers.one("progress", args.progress.as_deref())?, &when)?,
        verbosity: i16::from(args.verbose) - i16::from(args.quiet),
    })
}

/// The job of `export` and `plan`.
///
/// # Errors
///
/// `Config`, naming where the bad value stood.
pub(crate) fn job(args: &JobArgs, layers: &Layers<'_>) -> Result<Job> {
    let mut warnings = Vec::new();
    let from = layers.one("from", args.source.from.as_deref())?;
    warnings.extend(from.as_ref().and_then(password_warning));
    let to = layers.one("to", args.target.to.as_deref())?;
    let options = options(args, layers)?;
    options.validate()?;
    Ok(Job {
        dsn: from.map(|setting| setting.text),
        target: target(to, &args.store, layers, &mut warnings)?,
        options,
        warnings,
    })
}

/// The target of `status`: its argument, else `--to` of the other layers.
///
/// # Errors
///
/// `Config` when there is none, or a store option is not `key=value`.
pub(crate) fn status(args: &StatusArgs, layers: &Layers<'_>) -> Result<(Target, Vec<String>)> {
    let mut warnings = Vec::new();
    let url = layers.one("to", args.url.as_deref())?;
    let target = target(url, &args.store, layers, &mut warnings)?;
    let missing =
        || config("no URL given").with_advice("name a dataset, or a folder above datasets");
    Ok((target.ok_or_else(missing)?, warnings))
}

/// What `types` shows: one profile or both, and how.
///
/// # Errors
///
/// `Config`, naming where the bad value stood.
pub(crate) fn types(args: &TypesArgs, layers: &Layers<'_>) -> Result<(Option<Profile>, Format)> {
    let formats = [
        ("table", Format::Table),
        ("markdown", Format::Markdown),
        ("json", Format::Json),
    ];
    let profile = layers.one("profile", args.profile.as_deref())?;
    let profile = profile.map(|setting| library(&setting)).transpose()?;
    let format = choice(layers.one("format", args.format.as_deref())?, &formats)?;
    Ok((profile, format))
}

/// A flag that may be given as `--flag`, `--flag=BOOL`, or in a layer below.
pub(crate) fn switch(name: &'static str, flag: Option<&str>, layers: &Layers<'_>) -> Result<bool> {
    let Some(setting) = layers.one(name, flag)? else {
        return Ok(false);
    };
    match setting.text.trim().to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Ok(true),
        "false" | "no" | "off" | "0" => Ok(false),
        _ => Err(setting.bad("true or false")),
    }
}

fn options(args: &JobArgs, layers: &Layers<'_>) -> Result<ExportOptions> {
    let mut options = ExportOptions::new(selection::patterns("table", &args.source.table, layers)?);
    selection::fill(&mut options, args, layers)?;
    fill_source(&mut options, args, layers)?;
    fill_types(&mut options, args, layers)?;
    fill_chunks(&mut options, args, layers)?;
    fill_file(&mut options, args, layers)?;
    pace::fill(&mut options, &args.pace, layers)?;
    let run = &args.run;
    options.require_consistent = switch(
        "require-consistent",
        run.require_consistent.as_deref(),
        layers,
    )?;
    options.takeover = switch("takeover", run.takeover.as_deref(), layers)?;
    if switch("single-writer", run.single_writer.as_deref(), layers)? {
        options.writers = Writers::Single;
    }
    options.show_row_key = switch("show-row-key", run.show_row_key.as_deref(), layers)?;
    let interval = layers.one("lease-interval", run.lease_interval.as_deref())?;
    set(&mut options.lease_interval, interval, duration)?;
    Ok(options)
}

fn fill_source(options: &mut ExportOptions, args: &JobArgs, layers: &Layers<'_>) -> Result<()> {
    let source = &args.source;
    let columns = names(layers.many("columns", &source.columns)?)?;
    options.columns = (!columns.is_empty()).then_some(columns);
    options.exclude_columns = names(layers.many("exclude-columns", &source.exclude_columns)?)?;
    let filter = layers.one("where", source.filter.as_deref())?;
    options.filter = filter.map(|setting| setting.text);
    let snapshot = layers.one("snapshot", source.snapshot.as_deref())?;
    options.snapshot = snapshot.map(|setting| setting.text.trim().to_owned());
    let timeout = layers.one("lock-timeout", source.lock_timeout.as_deref())?;
    set(&mut options.lock_timeout, timeout, duration)?;
    let silence = layers.one("source-timeout", args.source.source_timeout.as_deref())?;
    set(&mut options.source_timeout, silence, duration)?;
    let layout = layers.one("layout", args.target.layout.as_deref())?;
    set(&mut options.layout, layout, |setting| {
        Ok(setting.text.clone())
    })
}

fn fill_types(options: &mut ExportOptions, args: &JobArgs, layers: &Layers<'_>) -> Result<()> {
    let types = &args.types;
    let profile = layers.one("profile", types.profile.as_deref())?;
    set(&mut options.profile, profile, library)?;
    options.maps = maps(&types.map, layers)?;
    let what = layers.one("on-unrepresentable", types.on_unrepresentable.as_deref())?;
    set(&mut options.on_unrepresentable, what, library)
}

fn fill_chunks(options: &mut ExportOptions, args: &JobArgs, layers: &Layers<'_>) -> Result<()> {
    let chunks = &args.chunks;
    let by = layers.one("chunk-by", chunks.chunk_by.as_deref())?;
    set(&mut options.chunk_by, by, library)?;
    let zone = layers.one("time-zone", chunks.time_zone.as_deref())?;
    options.time_zone = zone.map(|setting| setting.text.trim().to_owned());
    options.hive = hive(layers.one("hive", chunks.hive.as_deref())?);
    let rows = layers.one("chunk-rows", chunks.chunk_rows.as_deref())?;
    options.chunk_rows = rows.as_ref().map(count).transpose()?;
    let bytes = layers.one("chunk-bytes", chunks.chunk_bytes.as_deref())?;
    options.chunk_bytes = bytes.as_ref().map(size).transpose()?;
    let target = layers.one("target-object-size", chunks.target_object_size.as_deref())?;
    set(&mut options.target_object_bytes, target, size)?;
    options.incremental = incremental(chunks, layers)?;
    let workers = layers.one("workers", chunks.workers.as_deref())?;
    set(&mut options.workers, workers, |setting| {
        setting.parse("a number from 1 to 64")
    })?;
    let attempts = layers.one("attempts", chunks.attempts.as_deref())?;
    set(&mut options.chunk_attempts, attempts, count)?;
    let budget = layers.one("retry-budget", chunks.retry_budget.as_deref())?;
    set(&mut options.retry_budget, budget, duration)
}

/// `--hive`, or `--hive=NAME`.
fn hive(setting: Option<Setting>) -> Option<Hive> {
    let text = setting?.text.trim().to_owned();
    match text.as_str() {
        "false" => None,
        "true" => Some(Hive::default()),
        _ => Some(Hive { name: Some(text) }),
    }
}

fn incremental(args: &ChunkArgs, layers: &Layers<'_>) -> Result<Option<Incremental>> {
    let column = layers.one("incremental", args.incremental.as_deref())?;
    let overlap = layers.one("overlap", args.overlap.as_deref())?;
    let overlap = overlap.map(|setting| setting.text.trim().to_owned());
    match (column, overlap) {
        (None, Some(_)) => Err(config("--overlap is for --incremental")),
        (None, None) => Ok(None),
        (Some(setting), overlap) => {
            let expected = "a column's name, quoted as in SQL";
            let column = column_name(setting.text.trim()).ok_or_else(|| setting.bad(expected))?;
            Ok(Some(Incremental { column, overlap }))
        }
    }
}

fn fill_file(options: &mut ExportOptions, args: &JobArgs, layers: &Layers<'_>) -> Result<()> {
    let file = &args.file;
    let codec = layers.one("compression", file.compression.as_deref())?;
    set(&mut options.compression, codec, library)?;
    let group = layers.one("row-group-bytes", file.row_group_bytes.as_deref())?;
    set(&mut options.row_group_bytes, group, size)?;
    let batch = layers.one("batch-bytes", file.batch_bytes.as_deref())?;
    set(&mut options.batch_bytes, batch, size)?;
    let rows = layers.one("batch-rows", file.batch_rows.as_deref())?;
    set(&mut options.batch_rows, rows, count)?;
    let part = layers.one("part-bytes", file.part_bytes.as_deref())?;
    set(&mut options.part_bytes, part, size)
}

fn set<T>(field: &mut T, setting: Option<Setting>, parse: fn(&Setting) -> Result<T>) -> Result<()> {
    if let Some(setting) = setting {
        *field = parse(&setting)?;
    }
    Ok(())
}

/// A value that the library parses; its message names the flag, so only another origin is added.
/// The message also quotes the value, so a connection string in the wrong place stops here.
fn library<T: FromStr<Err = pgsluice::Error>>(setting: &Setting) -> Result<T> {
    if secrets::may_hold_secret(&setting.text) {
        return Err(setting.bad("something else than a connection string or a secret"));
    }
    let parsed: Result<T> = setting.text.trim().parse();
    match (&setting.origin, parsed) {
        (_, Ok(value)) => Ok(value),
        (Origin::Flag(_), Err(error)) => Err(error),
        (origin, Err(error)) => Err(config(format!("{origin}: bad value")).with_source(error)),
    }
}

fn duration(setting: &Setting) -> Result<Duration> {
    let parsed = humantime::parse_duration(setting.text.trim());
    parsed.map_err(|_| setting.bad("a duration with its unit, such as 500ms, 10s or 2min"))
}

fn size<T: TryFrom<u64>>(setting: &Setting) -> Result<T> {
    let bad = || setting.bad("a size in bytes, such as 8MiB, 256MiB or 1048576");
    let parsed: ByteSize = setting.text.trim().parse().map_err(|_| bad())?;
    T::try_from(parsed.as_u64()).map_err(|_| bad())
}

/// A whole number; `5_000_000` is read as SQL and TOML read it.
fn count<T: FromStr>(setting: &Setting) -> Result<T> {
    let digits = setting.text.trim().replace('_', "");
    digits.parse().map_err(|_| setting.bad("a whole number"))
}

fn choice<T: Copy + Default>(setting: Option<Setting>, values: &[(&str, T)]) -> Result<T> {
    let Some(setting) = setting else {
        return Ok(T::default());
    };
    let found = values.iter().find(|(name, _)| *name == setting.text.trim());
    let names = || {
        values
            .iter()
            .map(|(name, _)| *name)
            .collect::<Vec<_>>()
            .join(", ")
    };
    found
        .map(|(_, value)| *value)
        .ok_or_else(|| setting.bad(&format!("one of {}", names())))
}

/// Column names as SQL reads them: unquoted ones fold to lower case, `"…"` keeps.
fn names(settings: Vec<Setting>) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for setting in settings {
        for part in split_list(&setting.text) {
            let name = column_name(part.trim())
                .ok_or_else(|| setting.bad("a comma list of column names, quoted as in SQL"))?;
            if names.contains(&name) {
                return Err(config(format!(
                    "{}: column {name:?} is given twice",
                    setting.origin
                )));
            }
            names.push(name);
        }
    }
    Ok(names)
}

/// `COLUMN=TYPE`: the last `=` ends the column's exact name.
fn maps(flags: &[String], layers: &Layers<'_>) -> Result<BTreeMap<String, MapTo>> {
    let mut maps = BTreeMap::new();
    for setting in layers.many("map", flags)? {
        // A flag is one choice, whatever its column is called; a variable can only list several.
        let pairs = match setting.origin {
            Origin::Env(_) => split_choices(&setting.text),
            _ => vec![setting.text.as_str()],
        };
        for pair in pairs {
            let expected = "COLUMN=TYPE, such as amount=decimal(20,4)";
            let (column, to) = pair.rsplit_once('=').ok_or_else(|| setting.bad(expected))?;
            let to: MapTo = library(&Setting {
                origin: setting.origin.clone(),
                text: to.to_owned(),
            })?;
            if column.is_empty() {
                return Err(setting.bad(expected));
            }
            if maps.insert(column.to_owned(), to).is_some() {
                return Err(config(format!(
                    "{}: column {column:?} is given twice",
                    setting.origin
                )));
            }
        }
    }
    Ok(maps)
}

/// Splits at commas outside of parentheses.
fn split_choices(text: &str) -> Vec<&str> {
    let mut depth = 0_usize;
    let at_comma = |c: char| {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    };
    text.split(at_comma).collect()
}

/// Splits at commas outside of double quotes.
fn split_list(text: &str) -> Vec<&str> {
    let mut quoted = false;
    let at_comma = |c: char| {
        quoted ^= c == '"';
        c == ',' && !quoted
    };
    text.split(at_comma).collect()
}

/// One SQL identifier. PostgreSQL folds ASCII letters alone in a multibyte encoding.
fn column_name(text: &str) -> Option<String> {
    let Some(quoted) = text.strip_prefix('"') else {
        let plain =
            !text.is_empty() && !text.contains(['"', '.']) && !text.contains(char::is_whitespace);
        return plain.then(|| text.to_ascii_lowercase());
    };
    let inner = quoted.strip_suffix('"')?;
    let lone_quote = inner.replace("\"\"", "").contains('"');
    (!inner.is_empty() && !lone_quote).then(|| inner.replace("\"\"", "\""))
}

fn target(
    url: Option<Setting>,
    store: &StoreArgs,
    layers: &Layers<'_>,
    warnings: &mut Vec<String>,
) -> Result<Option<Target>> {
    let Some(url) = url else { return Ok(None) };
    let mut store_options = Vec::new();
    for setting in layers.many("store-option", &store.store_option)? {
        let whole = [setting.text.as_str()];
        let listed: Vec<&str> = setting.text.split(',').collect();
        // A flag's value may hold commas; a variable can only list several options with them.
        let pairs = if matches!(setting.origin, Origin::Env(_)) {
            &listed[..]
        } else {
            &whole[..]
        };
        for pair in pairs {
            let (key, value) = pair
                .split_once('=')
                .ok_or_else(|| setting.bad("KEY=VALUE"))?;
            if matches!(setting.origin, Origin::Flag(_)) && secrets::is_secret_key(key) {
                warnings.push(format!(
                    "--store-option {} is visible to other users of this machine: use the cloud's \
                     environment variables or its credentials file",
                    key.trim()
                ));
            }
            store_options.push((key.trim().to_owned(), value.to_owned()));
        }
    }
    Ok(Some(Target {
        url: url.text,
        store_options,
    }))
}

fn password_warning(from: &Setting) -> Option<String> {
    let seen = matches!(from.origin, Origin::Flag(_)) && secrets::dsn_holds_password(&from.text);
    seen.then(|| {
        format!(
            "the password in {} is visible to other users of this machine: \
             use PGPASSWORD or ~/.pgpass",
            from.origin
        )
    })
}

#[cfg(test)]
mod tests;
