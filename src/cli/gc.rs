//! `pgsluice gc`: what dead writers left behind, told or deleted.

use std::process::ExitCode;

use chrono::SecondsFormat;
use console::style;
use pgsluice::{GcItem, GcKind, GcPlace, GcReport, GcVerdict, Result, Root, WriterState};
use serde::Serialize;

use super::grid::Grid;
use super::human::{bytes, counted, duration, plain};
use super::report::{self, line_to};
use super::resolve::{Display, GcJob, Output};
use super::{exit, interrupt, warn};

/// Things of one place that are shown to people; JSON has all of them.
const MAX_ITEMS: usize = 100;

/// Collects, shows the report, and gives the exit code: that of the first place's error.
///
/// # Errors
///
/// As [`pgsluice::gc`].
pub(crate) async fn run(job: GcJob, display: Display) -> Result<ExitCode> {
    warn(&job.warnings);
    let root = Root::open(&job.target.url, &job.target.store_options)?;
    let report = interrupt::stoppable(pgsluice::gc(&root, &job.options)).await?;
    let failure = report.first_error().cloned();
    match display.output {
        Output::Json => exit::print_report(&document(&report), failure.as_deref())?,
        Output::Table => exit::print(&text(&report, report::width()))?,
    }
    match failure {
        // JSON has said so already, on standard output.
        Some(error) => Ok(exit::tell(&error, display)),
        None => Ok(ExitCode::SUCCESS),
    }
}

/// The report as one document, with its sums.
#[derive(Serialize)]
struct Document<'a> {
    garbage: Sum,
    deleted: Sum,
    #[serde(flatten)]
    report: &'a GcReport,
}

/// How many things, and their bytes as far as they are known.
#[derive(Serialize, Clone, Copy, PartialEq, Eq, Debug)]
struct Sum {
    count: u64,
    bytes: u64,
}

fn document(report: &GcReport) -> Document<'_> {
    Document {
        garbage: sum(report.items().filter(|item| is_garbage(item))),
        deleted: sum(report.items().filter(|item| item.deleted)),
        report,
    }
}

fn is_garbage(item: &GcItem) -> bool {
    item.verdict == GcVerdict::Garbage
}

fn sum<'a>(items: impl Iterator<Item = &'a GcItem>) -> Sum {
    let none = Sum { count: 0, bytes: 0 };
    items.fold(none, |sum, item| Sum {
        count: sum.count + 1,
        bytes: sum.bytes + item.bytes.unwrap_or(0),
    })
}

fn text(report: &GcReport, width: Option<usize>) -> String {
    let mut text = String::new();
    for place in &report.places {
        if !place.items.is_empty() || place.error.is_some() {
            show_place(&mut text, place, width);
        }
    }
    report::warnings(&mut text, &report.warnings);
    line_to(&mut text, &verdict(report));
    text
}

fn show_place(text: &mut String, place: &GcPlace, width: Option<usize>) {
    let name = place.table.as_deref().map(plain);
    let name = name.unwrap_or_else(|| "files of runs".to_owned());
    let writer = match (place.epoch, place.writer) {
        (Some(epoch), Some(writer)) => format!(": epoch {epoch}, {}", writer_text(writer)),
        _ => String::new(),
    };
    line_to(text, &format!("{name} in {}{writer}", plain(&place.root)));
    if let Some(error) = &place.error {
        let label = style("error:").red();
        line_to(text, &format!("  {label} {}", plain(&error.to_string())));
    }
    for line in grid(&place.items).lines(width.map(|width| width.saturating_sub(2))) {
        line_to(text, &format!("  {line}"));
    }
    let hidden = place.items.len().saturating_sub(MAX_ITEMS);
    if hidden > 0 {
        line_to(
            text,
            &format!("  … and {hidden} more (--output json lists them)"),
        );
    }
    line_to(text, "");
}

fn grid(items: &[GcItem]) -> Grid {
    let mut grid = Grid::default();
    if items.is_empty() {
        return grid;
    }
    grid = grid
        .left("KEY", 0)
        .left("KIND", 1)
        .left("VERDICT", 0)
        .right("SIZE", 2)
        .left("WRITTEN", 3);
    for item in items.iter().take(MAX_ITEMS) {
        let written = item.modified;
        grid.row([
            plain(&item.key),
            item.kind.as_str().to_owned(),
            verdict_text(item).to_owned(),
            item.bytes.map_or_else(|| "-".to_owned(), bytes),
            written.map_or_else(
                || "-".to_owned(),
                |at| at.to_rfc3339_opts(SecondsFormat::Secs, true),
            ),
        ]);
    }
    grid
}

fn writer_text(writer: WriterState) -> &'static str {
    match writer {
        WriterState::Ended => "its writer ended",
        WriterState::Alive => "its writer is at work",
        WriterState::Silent => "its writer did not end, and stands still",
    }
}

fn verdict_text(item: &GcItem) -> &'static str {
    match item.verdict {
        GcVerdict::Garbage if item.deleted && item.kind == GcKind::Upload => "aborted",
        GcVerdict::Garbage if item.deleted => "deleted",
        GcVerdict::Garbage => "garbage",
        GcVerdict::TooYoung => "kept: too young",
        GcVerdict::InUse => "kept: in use",
        GcVerdict::UnknownOutcome => "kept: may still be committed",
        GcVerdict::OutOfPlace => "kept: out of place",
        GcVerdict::Foreign => "kept: foreign",
        _ => "kept",
    }
}

fn verdict(report: &GcReport) -> String {
    let document = document(report);
    let told = |sum: Sum| format!("{}, {}", counted(sum.count, "leftover"), bytes(sum.bytes));
    let places = report.places.iter().filter(|place| place.epoch.is_some());
    let looked = format!(
        "looked over {} in {}",
        counted(places.count() as u64, "dataset"),
        duration(report.wall)
    );
    match (report.delete, document.garbage.count) {
        (_, 0) => format!("{looked}: {}", style("nothing to delete").green()),
        (true, _) => format!("{looked}: deleted {}", told(document.deleted)),
        (false, _) => format!(
            "{looked}: found {}; nothing was deleted: --delete does",
            told(document.garbage)
        ),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use crate::cli::args::{Cli, Command};

    #[test]
    fn nothing_is_deleted_unless_the_command_line_says_so() {
        let deletes = |args: &[&str]| match Cli::try_parse_from(args).ok().unwrap().command {
            Command::Gc(args) => args.delete,
            _ => panic!("another command"),
        };
        assert!(!deletes(&["pgsluice", "gc", "lake"]));
        assert!(deletes(&["pgsluice", "gc", "lake", "--delete"]));
        assert!(!crate::cli::known_keys().contains(&"delete".to_owned()));
    }
}
