//! The report of an export, for people. Pure, but for the terminal's width.

use std::collections::BTreeMap;
use std::fmt::Write;

use console::style;
use pgsluice::{Consistency, EndState, ExportReport, Retry, Snapshot, TableReport, Totals};

use super::grid::Grid;
use super::human::{bytes, count, counted, duration, per_second, plain, ratio, short_count};

/// Retries and similar lists that are shown in full up to here.
const MAX_LISTED: usize = 10;

/// The width that reports fit: the terminal's; a pipe has none.
pub(super) fn width() -> Option<usize> {
    console::Term::stdout()
        .size_checked()
        .map(|(_, width)| usize::from(width))
}

/// A report as text, with its last line end.
pub(super) fn export(report: &ExportReport, width: Option<usize>) -> String {
    let mut text = String::new();
    let rows = report
        .tables
        .iter()
        .map(|table| (table.table.as_str(), &table.totals, table.consistency));
    if !report.tables.is_empty() {
        for line in grid(rows).lines(width) {
            line_to(&mut text, &line);
        }
        text.push('\n');
        line_to(&mut text, &headline(report));
        line_to(&mut text, &consistency(report));
    }
    for table in &report.tables {
        unfinished(&mut text, table);
    }
    for line in stops(report) {
        line_to(&mut text, &line);
    }
    for table in &report.tables {
        already_there(&mut text, table);
    }
    for table in &report.tables {
        for line in odd_values(&table.totals) {
            line_to(&mut text, &format!("{}: {line}", plain(&table.table)));
        }
    }
    retries(&mut text, &report.tables);
    if !report.retried.is_empty() {
        line_to(&mut text, &failures_met(&report.retried));
    }
    manifests(&mut text, &report.tables);
    warnings(&mut text, &report.warnings);
    text
}

/// Where the manifests are; a table that is not complete has none.
fn manifests(text: &mut String, tables: &[TableReport]) {
    let complete: Vec<&TableReport> = tables
        .iter()
        .filter(|table| table.state == EndState::Complete)
        .collect();
    if let [table] = complete.as_slice() {
        line_to(text, &format!("manifest: {}", plain(&table.manifest)));
    } else if !complete.is_empty() {
        text.push_str("manifests:\n");
        for table in complete {
            line_to(text, &format!("  {}", plain(&table.manifest)));
        }
    }
}

/// A table that is not complete, and how far it has come.
fn unfinished(text: &mut String, table: &TableReport) {
    let (state, why) = match (table.state, &table.error) {
        (EndState::Complete, _) => return,
        (EndState::Failed, Some(error)) => (style("failed").red(), format!(": {error}")),
        (EndState::Failed, None) => (style("failed").red(), String::new()),
        (EndState::Paused, _) => (style("paused").yellow(), String::new()),
    };
    let done = table.totals.chunks;
    let of = counted(table.chunks_total, "chunk");
    let name = plain(&table.table);
    line_to(
        text,
        &format!("{state} {name} at {done} of {of}{}", plain(&why)),
    );
}

/// What held the run, and why it paused.
fn stops(report: &ExportReport) -> Vec<String> {
    let waits = report.waited.iter().map(|(by, time)| {
        let by = by.replace('_', "-");
        format!("waited {} for --{by}", duration(*time)).replace("--guards", "the guards")
    });
    let mut lines: Vec<String> = waits.collect();
    if let Some(reason) = &report.reason {
        let label = style("paused:").yellow();
        lines.push(format!("{label} {}", plain(reason)));
    }
    if report.state != EndState::Complete {
        lines.push("run the same command again to go on".to_owned());
    }
    lines
}

/// Each warning on a line of its own.
pub(super) fn warnings(text: &mut String, warnings: &[String]) {
    for warning in warnings {
        let label = style("warning:").yellow();
        line_to(text, &format!("{label} {}", plain(warning)));
    }
}

pub(super) fn line_to(text: &mut String, line: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{line}");
}

/// The totals of the datasets, and of all of them when there are several.
fn grid<'a>(tables: impl Iterator<Item = (&'a str, &'a Totals, Consistency)>) -> Grid {
    let mut grid = Grid::default()
        .left("TABLE", 0)
        .right("ROWS", 0)
        .right("CHUNKS", 5)
        .right("OBJECTS", 3)
        .right("COPY BYTES", 2)
        .right("PARQUET", 1)
        .right("RATIO", 4)
        .left("CONSISTENCY", 2);
    let mut all = Totals::default();
    let mut tables_seen = 0;
    for (name, totals, consistency) in tables {
        all.add(totals);
        tables_seen += 1;
        grid.row(row(plain(name), totals, consistency.as_str()));
    }
    if tables_seen > 1 {
        grid.row(row("total".to_owned(), &all, ""));
    }
    grid
}

fn row(name: String, totals: &Totals, consistency: &str) -> [String; 8] {
    [
        name,
        count(totals.rows),
        count(totals.chunks),
        count(totals.objects),
        bytes(totals.copy_bytes),
        bytes(totals.object_bytes),
        ratio(totals.copy_bytes, totals.object_bytes),
        consistency.to_owned(),
    ]
}

/// What of a dataset's values is not plainly in its columns.
pub(super) fn odd_values(totals: &Totals) -> Vec<String> {
    let mut lines = Vec::new();
    if totals.exceptions > 0 {
        let exceptions = counted(totals.exceptions, "exception");
        lines.push(format!("{exceptions} in _exceptions/"));
    }
    if totals.restated > 0 {
        let values = counted(totals.restated, "value");
        lines.push(format!("{values} exact, in another form than on the wire"));
    }
    lines
}

/// What this run did, and how fast.
fn headline(report: &ExportReport) -> String {
    let mut ran = Totals::default();
    for table in &report.tables {
        ran.add(&table.this_run);
    }
    let mut line = format!(
        "exported {} in {}",
        counted(ran.rows, "row"),
        duration(report.wall)
    );
    let rates = (
        per_second(ran.rows, report.wall),
        per_second(ran.copy_bytes, report.wall),
    );
    if let ((Some(rows), Some(read)), true) = (rates, ran.rows > 0) {
        line += &format!(" ({} rows/s, {}/s)", short_count(rows), bytes(read));
    }
    line
}

/// Under which snapshot the rows were read; none is new when all was complete before.
fn consistency(report: &ExportReport) -> String {
    let line = format!("consistency: {}", report.consistency);
    match &report.snapshot {
        Some(snapshot) => format!("{line} ({})", snapshot_text(snapshot)),
        None => line,
    }
}

/// `00000003-0000001B-1 at 16/B374D848`
pub(super) fn snapshot_text(snapshot: &Snapshot) -> String {
    let at = snapshot
        .lsn
        .map(|lsn| format!(" at {lsn}"))
        .unwrap_or_default();
    let standby = if snapshot.in_recovery {
        " of a standby"
    } else {
        ""
    };
    format!("{}{at}{standby}", plain(&snapshot.id))
}

fn already_there(text: &mut String, table: &TableReport) {
    let name = plain(&table.table);
    if table.was_complete {
        line_to(text, &format!("skipped {name}: it was complete already"));
    } else if table.chunks_skipped > 0 {
        let skipped = counted(table.chunks_skipped, "chunk");
        line_to(
            text,
            &format!("skipped {skipped} of {name}: an earlier run had committed them"),
        );
    }
}

fn retries(text: &mut String, tables: &[TableReport]) {
    let all = tables
        .iter()
        .flat_map(|table| table.retries.iter().map(move |retry| (table, retry)));
    let total = all.clone().count();
    if total == 0 {
        return;
    }
    line_to(
        text,
        &format!(
            "{}:",
            counted(total as u64, "failed try").replace("trys", "tries")
        ),
    );
    for (table, retry) in all.take(MAX_LISTED) {
        line_to(text, &format!("  {}", retry_text(&table.table, retry)));
    }
    if total > MAX_LISTED {
        line_to(
            text,
            &format!(
                "  … and {} more (--output json lists them)",
                total - MAX_LISTED
            ),
        );
    }
}

/// `failures met: 57P01 (2), store 503 (14)`
fn failures_met(retried: &BTreeMap<String, u64>) -> String {
    let each = retried
        .iter()
        .map(|(kind, count)| format!("{} ({})", plain(kind), self::count(*count)));
    format!("failures met: {}", each.collect::<Vec<_>>().join(", "))
}

fn retry_text(table: &str, retry: &Retry) -> String {
    format!(
        "{} chunk {}, try {}: {}",
        plain(table),
        retry.chunk,
        retry.attempt,
        plain(&retry.reason)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_tables_end_in_a_total() {
        let totals = Totals {
            chunks: 2,
            objects: 3,
            rows: 12_345,
            copy_bytes: 4 << 20,
            object_bytes: 1 << 20,
            ..Totals::default()
        };
        let one = [("public.orders", &totals, Consistency::Snapshot)];
        assert_eq!(
            grid(one.into_iter()).lines(None),
            [
                "TABLE            ROWS  CHUNKS  OBJECTS  COPY BYTES   PARQUET  RATIO  CONSISTENCY",
                "public.orders  12,345       2        3    4.00 MiB  1.00 MiB   4.0x  snapshot",
            ]
        );
        let two = [
            ("a.\x1b[2J", &totals, Consistency::Mixed),
            ("b.b", &totals, Consistency::Snapshot),
        ];
        let lines = grid(two.into_iter()).lines(None);
        assert!(lines[1].starts_with("a.\\u{1b}[2J"), "{lines:?}");
        assert!(
            lines[3].starts_with("total") && lines[3].contains("24,690"),
            "{lines:?}"
        );
    }

    #[test]
    fn exceptions_are_told_where_there_are_any() {
        let mut totals = Totals::default();
        assert!(odd_values(&totals).is_empty());
        totals.exceptions = 12;
        assert_eq!(odd_values(&totals), ["12 exceptions in _exceptions/"]);
        totals.restated = 1;
        assert!(odd_values(&totals)[1].starts_with("1 value exact"));
    }

    #[test]
    fn a_retry_is_told_with_its_place() {
        let retry = Retry {
            chunk: pgsluice::ChunkId(7),
            attempt: 1,
            kind: "source connection".into(),
            reason: "connection\nreset".into(),
        };
        assert_eq!(
            retry_text("public.t", &retry),
            "public.t chunk 7, try 1: connection\\nreset"
        );
        let met = [("57P01".to_owned(), 2), ("store 503".to_owned(), 1400)];
        assert_eq!(
            failures_met(&met.into()),
            "failures met: 57P01 (2), store 503 (1,400)"
        );
    }
}
