//! `pgsluice status`: what stands under a URL.

use chrono::SecondsFormat;
use pgsluice::{DatasetStatus, Result, Root, RunState, StatusReport, Writers};

use super::grid::Grid;
use super::human::{bytes, count, counted, plain};
use super::report::{self, line_to, snapshot_text};
use super::resolve::{Display, Output, Target};
use super::{exit, interrupt};

/// Snapshots shown of one dataset, the newest.
const MAX_SNAPSHOTS: usize = 5;

/// Reads the datasets' manifests and shows them.
///
/// # Errors
///
/// As [`pgsluice::status`].
pub(crate) async fn run(target: &Target, display: Display) -> Result<()> {
    let root = Root::open(&target.url, &target.store_options)?;
    let report = interrupt::stoppable(pgsluice::status(&root)).await?;
    match display.output {
        Output::Json => exit::print_json(&report),
        Output::Table => exit::print(&text(&report, report::width())),
    }
}

fn text(report: &StatusReport, width: Option<usize>) -> String {
    let mut text = String::new();
    if report.datasets.is_empty() {
        line_to(
            &mut text,
            &format!("no datasets under snapshot {}", plain(&report.url)),
        );
        return text;
    }
    for line in grid(&report.datasets).lines(width) {
        line_to(&mut text, &line);
    }
    for dataset in &report.datasets {
        details(&mut text, dataset);
    }
    report::warnings(&mut text, &report.warnings);
    text
}

fn grid(datasets: &[DatasetStatus]) -> Grid {
    let mut grid = Grid::default()
        .left("TABLE", 0)
        .left("STATE", 0)
        .right("DONE", 1)
        .right("CHUNKS", 3)
        .right("ROWS", 1)
        .right("OBJECTS", 6)
        .right("PARQUET", 4)
        .left("CONSISTENCY", 2)
        .right("EPOCH", 5)
        .left("UPDATED", 4);
    for dataset in datasets {
        let totals = &dataset.totals;
        grid.row([
            plain(&dataset.table),
            state(dataset.state).to_owned(),
            percent(dataset.state, totals.chunks, dataset.chunks_total),
            format!("{}/{}", totals.chunks, dataset.chunks_total),
            count(totals.rows),
            count(totals.objects),
            bytes(totals.object_bytes),
            dataset.consistency.to_string(),
            dataset.epoch.to_string(),
            dataset
                .updated_at
                .to_rfc3339_opts(SecondsFormat::Secs, true),
        ]);
    }
    grid
}

fn details(text: &mut String, dataset: &DatasetStatus) {
    line_to(text, &format!("\n{}", plain(&dataset.table)));
    line_to(text, &format!("  root      {}", plain(&dataset.root)));
    line_to(
        text,
        &format!(
            "  writer    {}, epoch {}",
            plain(&dataset.writer),
            dataset.epoch
        ),
    );
    if dataset.writers == Writers::Single {
        let line = "  writers   single: kept apart by a lock in the source, not by the store";
        line_to(text, line);
    }
    runs(text, dataset);
    let older = dataset.snapshots.len().saturating_sub(MAX_SNAPSHOTS);
    if older > 0 {
        let older = counted(older as u64, "older snapshot");
        line_to(
            text,
            &format!("  read at   … and {older} (--output json lists them)"),
        );
    }
    for snapshot in dataset.snapshots.iter().skip(older) {
        let taken = snapshot.taken_at.to_rfc3339_opts(SecondsFormat::Secs, true);
        line_to(
            text,
            &format!(
                "  read at   {taken} under snapshot {}",
                snapshot_text(snapshot)
            ),
        );
    }
    for line in report::odd_values(&dataset.totals) {
        line_to(text, &format!("  values    {line}"));
    }
    if let Some(reason) = &dataset.reason {
        line_to(
            text,
            &format!("  {:<8}  {}", state(dataset.state), plain(reason)),
        );
    }
}

/// The newest runs of an incremental export.
fn runs(text: &mut String, dataset: &DatasetStatus) {
    let older = dataset.runs.len().saturating_sub(MAX_SNAPSHOTS);
    if older > 0 {
        let older = counted(older as u64, "older run");
        line_to(
            text,
            &format!("  run       … and {older} (--output json lists them)"),
        );
    }
    for run in dataset.runs.iter().skip(older) {
        let at = run.completed_at.to_rfc3339_opts(SecondsFormat::Secs, true);
        let rows = counted(run.totals.rows, "row");
        let upper = run.upper.as_deref().map(plain).unwrap_or_default();
        line_to(
            text,
            &format!(
                "  run       {at}, epoch {}: {rows} up to {upper}",
                run.epoch
            ),
        );
    }
}

/// The word for a state. A writer that died leaves its dataset open, and only looks at work.
fn state(state: RunState) -> &'static str {
    match state {
        RunState::Running => "running",
        RunState::Paused => "paused",
        RunState::Failed => "failed",
        RunState::Complete => "complete",
    }
}

/// By chunks, rounded down; whole only when the dataset is complete.
fn percent(state: RunState, done: u64, total: u64) -> String {
    match (state, total) {
        (RunState::Complete, _) => "100%".to_owned(),
        (_, 0) => "-".to_owned(),
        _ => format!("{}%", (u128::from(done) * 100 / u128::from(total)).min(99)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_complete_dataset_is_all_done() {
        assert_eq!(percent(RunState::Complete, 0, 0), "100%");
        assert_eq!(percent(RunState::Running, 0, 0), "-");
        assert_eq!(percent(RunState::Running, 4, 4), "99%");
        assert_eq!(percent(RunState::Paused, 1, 3), "33%");
    }
}
