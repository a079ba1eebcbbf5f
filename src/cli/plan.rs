//! `pgsluice plan`: what an export with the same flags would do.

use std::collections::BTreeMap;

use pgsluice::{
    Bound, Chunk, ChunkMethod, ChunkPlan, ColumnPlan, ConnectOptions, MemoryCeiling, Plan,
    PlanReport, PlannedRelation, Range, Result, TablePlan,
};

use super::grid::Grid;
use super::human::{bytes, count, counted, plain, short_count};
use super::report::{self, line_to, warnings};
use super::resolve::{Display, Job, Output};
use super::{exit, interrupt, warn};

mod summary;

/// Chunks shown at the start and at the end of a plan.
const FIRST: usize = 5;
const LAST: usize = 2;
/// Relations (leaf partitions) shown of one table.
const MAX_RELATIONS: usize = 10;
/// Characters shown of an Arrow type.
const MAX_TYPE: usize = 48;

/// Plans and shows it. Nothing is written anywhere.
///
/// # Errors
///
/// As [`pgsluice::plan`].
pub(crate) async fn run(job: Job, all_chunks: bool, display: Display) -> Result<()> {
    warn(&job.warnings);
    let source = ConnectOptions::from_dsn(job.dsn.as_deref())?;
    let report = interrupt::stoppable(pgsluice::plan(&source, &job.options)).await?;
    match display.output {
        Output::Json => exit::print_json(&report),
        Output::Table => exit::print(&text(&report, all_chunks, report::width())),
    }
}

fn text(report: &PlanReport, all_chunks: bool, width: Option<usize>) -> String {
    let mut text = String::new();
    if report.tables.len() + report.failed.len() > 1 && !all_chunks {
        text = summary::tables(report, width);
        text.push('\n');
    } else {
        for table in &report.tables {
            table_text(&mut text, table, all_chunks, width);
            text.push('\n');
        }
    }
    summary::failed(&mut text, &report.failed);
    line_to(&mut text, &memory(&report.memory));
    warnings(&mut text, &report.warnings);
    text
}

fn table_text(text: &mut String, table: &TablePlan, all_chunks: bool, width: Option<usize>) {
    let chunks = counted(table.plan.chunks.len() as u64, "chunk");
    line_to(
        text,
        &format!("{}: {chunks}", plain(&table.schema.name.to_string())),
    );
    let rows = short_count(table.estimated_rows);
    line_to(
        text,
        &format!(
            "  size     ~{rows} rows, {} of table",
            bytes(table.estimated_bytes)
        ),
    );
    let folder = if table.folder.is_empty() {
        "."
    } else {
        &table.folder
    };
    line_to(text, &format!("  folder   {}", plain(folder)));
    relations(text, &table.plan);
    let mut columns = Grid::default()
        .left("COLUMN", 0)
        .left("POSTGRESQL", 0)
        .left("ARROW", 0)
        .left("READ AS", 1);
    let with_maps = table.columns.iter().any(|column| column.map.is_some());
    if with_maps {
        columns = columns.left("MAP", 2);
    }
    for column in &table.columns {
        let mut cells = vec![
            plain(&column.name),
            plain(&column.pg_type),
            shortened(&plain(&column.arrow_type)),
            if column.as_text { "text" } else { "binary" }.to_owned(),
        ];
        if with_maps {
            cells.push(column.map.map(|to| to.to_string()).unwrap_or_default());
        }
        columns.row(cells);
    }
    text.push('\n');
    indented(text, &columns, width);
    text_reasons(text, &table.columns);
    text.push('\n');
    indented(text, &chunk_grid(&table.plan, all_chunks), width);
    statements(text, &table.chunks, all_chunks);
}

/// The columns that are read as PostgreSQL's text, by the reason.
fn text_reasons(text: &mut String, columns: &[ColumnPlan]) {
    let mut by_reason: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for column in columns {
        if let Some(reason) = &column.text_reason {
            by_reason
                .entry(reason)
                .or_default()
                .push(plain(&column.name));
        }
    }
    for (reason, names) in by_reason {
        let names = names.join(", ");
        line_to(text, &format!("  as text  {names}: {}", plain(reason)));
    }
}

/// A type with many parts is shown by its first ones; `--output json` has it whole.
fn shortened(arrow_type: &str) -> String {
    match arrow_type.char_indices().nth(MAX_TYPE) {
        Some((end, _)) => format!("{}…", &arrow_type[..end]),
        None => arrow_type.to_owned(),
    }
}

/// How each relation is cut, and why.
fn relations(text: &mut String, plan: &Plan) {
    let hidden = plan.relations.len().saturating_sub(MAX_RELATIONS);
    for relation in plan.relations.iter().take(MAX_RELATIONS) {
        let name = match plan.relations.len() {
            1 => String::new(),
            _ => format!("{}, ", plain(&relation.name.to_string())),
        };
        line_to(
            text,
            &format!(
                "  cut by   {name}{}: {}",
                method(relation),
                plain(&relation.reason)
            ),
        );
        for risk in &relation.risks {
            line_to(text, &format!("  risk     {name}{}", plain(risk)));
        }
    }
    if hidden > 0 {
        line_to(
            text,
            &format!(
                "  … and {} (--output json lists them)",
                counted(hidden as u64, "more partition")
            ),
        );
    }
}

fn method(relation: &PlannedRelation) -> String {
    let ordered = if relation.ordered {
        ", in its order"
    } else {
        ""
    };
    let key = relation.key.as_ref().map(|key| plain(&key.to_string()));
    let key = key.unwrap_or_default();
    match relation.method {
        ChunkMethod::Key => format!("key {key}{ordered}"),
        ChunkMethod::Time => format!("time {key}{ordered}"),
        ChunkMethod::Ctid => "heap pages (ctid)".to_owned(),
        ChunkMethod::Offset => "places in the order of all columns (offset)".to_owned(),
        ChunkMethod::Whole => "nothing, one chunk".to_owned(),
    }
}

fn chunk_grid(plan: &Plan, all_chunks: bool) -> Grid {
    let mut grid = Grid::default()
        .left("CHUNK", 0)
        .left("RANGE", 0)
        .right("ROWS", 1)
        .right("BYTES", 2);
    let partitioned = plan.relations.len() > 1;
    if partitioned {
        grid = grid.left("RELATION", 3);
    }
    for shown in abridged(&plan.chunks, all_chunks) {
        let mut cells = match shown {
            Ok(chunk) => vec![
                chunk.id.to_string(),
                plain(&range(plan.relation_of(chunk), &chunk.range)),
                format!("~{}", count(chunk.estimated_rows)),
                format!("~{}", bytes(chunk.estimated_bytes)),
            ],
            Err(hidden) => vec![
                "…".to_owned(),
                format!("{hidden} more: --all-chunks"),
                String::new(),
                String::new(),
            ],
        };
        if partitioned {
            let name = shown.map(|chunk| plain(&plan.relation_of(chunk).name.to_string()));
            cells.push(name.unwrap_or_default());
        }
        grid.row(cells);
    }
    grid
}

/// The first and last chunks, with the number of those between as an `Err` in their place.
fn abridged(chunks: &[Chunk], all: bool) -> impl Iterator<Item = Result<&Chunk, usize>> {
    let whole = all || chunks.len() <= FIRST + LAST + 1;
    let (first, last) = if whole {
        (chunks.len(), 0)
    } else {
        (FIRST, LAST)
    };
    let hidden = chunks.len() - first - last;
    let gap = (hidden > 0).then_some(Err(hidden));
    chunks[..first]
        .iter()
        .map(Ok)
        .chain(gap)
        .chain(chunks[chunks.len() - last..].iter().map(Ok))
}

fn range(relation: &PlannedRelation, range: &Range) -> String {
    let key = relation.key.as_ref().map(ToString::to_string);
    let key = key.unwrap_or_default();
    let time = |micros: &Option<i64>| micros.map(time_text);
    let text = |bound: &Option<Bound>| bound.as_ref().map(ToString::to_string);
    match range {
        Range::Whole => "all rows".to_owned(),
        Range::Pack { .. } => "all rows of several".to_owned(),
        Range::NullKey => format!("{key} is null"),
        Range::Key { lower, upper } => between(&key, text(lower), text(upper)),
        Range::Time { lower, upper } => between(&key, time(lower), time(upper)),
        Range::Ctid { lower, upper } => between("page", Some(lower), upper.as_ref()),
        Range::Offset { lower, upper } => between("row", Some(lower), upper.as_ref()),
    }
}

fn between<T: std::fmt::Display>(what: &str, lower: Option<T>, upper: Option<T>) -> String {
    match (lower, upper) {
        (None, None) => format!("{what}, all"),
        (Some(lower), None) => format!("{lower} <= {what}"),
        (None, Some(upper)) => format!("{what} < {upper}"),
        (Some(lower), Some(upper)) => format!("{lower} <= {what} < {upper}"),
    }
}

/// `2026-11-22 13:00:00`, without a time of day at midnight.
fn time_text(micros: i64) -> String {
    let time = chrono::DateTime::from_timestamp_micros(micros).unwrap_or_default();
    let text = time.format("%Y-%m-%d %H:%M:%S%.f").to_string();
    text.strip_suffix(" 00:00:00").unwrap_or(&text).to_owned()
}

/// The SQL of the first chunk, or of all.
fn statements(text: &mut String, chunks: &[ChunkPlan], all_chunks: bool) {
    let shown = if all_chunks { chunks.len() } else { 1 };
    for chunk in chunks.iter().take(shown) {
        line_to(text, &format!("\n  SQL of chunk {}", chunk.chunk.id));
        for line in chunk.sql.lines() {
            line_to(text, &format!("    {}", plain(line)));
        }
    }
}

fn memory(memory: &MemoryCeiling) -> String {
    let exceptions = match memory.exceptions {
        0 => String::new(),
        exceptions => format!(" (exceptions {})", bytes(exceptions)),
    };
    format!(
        "memory: at most {} = {} + {} x {}{exceptions}, for rows that fit a batch",
        bytes(memory.total),
        bytes(memory.base),
        counted(memory.workers, "worker"),
        bytes(memory.per_worker),
    )
}

fn indented(text: &mut String, grid: &Grid, width: Option<usize>) {
    for line in grid.lines(width.map(|width| width.saturating_sub(2))) {
        line_to(text, &format!("  {line}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pgsluice::ChunkId;

    fn chunks(number: u32) -> Vec<Chunk> {
        let chunk = |id| Chunk {
            id: ChunkId(id),
            relation: 0,
            folder: None,
            range: Range::Ctid {
                lower: id,
                upper: Some(id + 1),
            },
            estimated_rows: 10,
            estimated_bytes: 8192,
        };
        (0..number).map(chunk).collect()
    }

    #[test]
    fn a_long_plan_shows_its_ends() {
        let shown = |number, all| {
            let chunks = chunks(number);
            let ids = abridged(&chunks, all).map(|chunk| chunk.map(|chunk| chunk.id.0));
            ids.collect::<Vec<_>>()
        };
        assert_eq!(shown(0, false), []);
        assert_eq!(shown(8, false), (0..8).map(Ok).collect::<Vec<_>>());
        let long = [Ok(0), Ok(1), Ok(2), Ok(3), Ok(4), Err(93), Ok(98), Ok(99)];
        assert_eq!(shown(100, false), long);
        assert_eq!(shown(100, true).len(), 100);
    }

    #[test]
    fn ranges_read_as_half_open() {
        let relation: PlannedRelation = serde_json::from_value(serde_json::json!({
            "name": {"schema": "s", "name": "t"}, "oid": 1, "method": "key", "ordered": false,
            "reason": "", "key": [{"name": "id", "type_name": "pg_catalog.int8",
                "operators": "pg_catalog", "is_nullable": true}],
        }))
        .unwrap();
        let shown = |one: Range| range(&relation, &one);
        let key = |lower: Option<&str>, upper: Option<&str>| {
            shown(Range::Key {
                lower: lower.map(Bound::one),
                upper: upper.map(Bound::one),
            })
        };
        assert_eq!(key(None, Some("5")), "id < 5");
        assert_eq!(key(Some("5"), Some("9")), "5 <= id < 9");
        assert_eq!(key(Some("9"), None), "9 <= id");
        assert_eq!(shown(Range::NullKey), "id is null");
        assert_eq!(
            shown(Range::Ctid {
                lower: 0,
                upper: None
            }),
            "0 <= page"
        );
        assert_eq!(
            shown(Range::Time {
                lower: Some(1_795_305_600_000_000),
                upper: Some(1_795_309_200_000_000)
            }),
            "2026-11-22 <= id < 2026-11-22 01:00:00"
        );
    }

    #[test]
    fn the_memory_ceiling_shows_its_terms() {
        let mut ceiling = MemoryCeiling {
            exceptions: 0,
            base: 64 << 20,
            per_worker: 100 << 20,
            workers: 2,
            total: 264 << 20,
        };
        let expected =
            "memory: at most 264 MiB = 64.0 MiB + 2 workers x 100 MiB, for rows that fit a batch";
        assert_eq!(memory(&ceiling), expected);
        ceiling.exceptions = 64 << 20;
        let shown = memory(&ceiling);
        assert!(
            shown.contains("x 100 MiB (exceptions 64.0 MiB),"),
            "{shown}"
        );
    }
}
