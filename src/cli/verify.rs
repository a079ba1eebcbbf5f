//! `pgsluice verify`: proves what stands under a URL, and shows what does not hold.

mod show;

use std::process::ExitCode;

use console::style;
use pgsluice::{
    DatasetVerdict, ErrorKind, Finding, Result, Root, Severity, VerifyProgress, VerifyReport,
};
use serde::Serialize;

use super::grid::Grid;
use super::human::{bytes, count, counted, duration, plain};
use super::report::{self, line_to};
use super::resolve::{Display, Output, VerifyJob};
use super::screen::Screen;
use super::{exit, interrupt, warn};

/// Findings of one dataset that are shown to people; JSON has all of them.
const MAX_FINDINGS: usize = 50;

/// Verifies, shows the report, and gives the exit code: 8 when something does not hold.
///
/// # Errors
///
/// As [`pgsluice::verify`].
pub(crate) async fn run(job: VerifyJob, display: Display, screen: &Screen) -> Result<ExitCode> {
    warn(&job.warnings);
    let root = Root::open(&job.target.url, &job.target.store_options)?;
    let progress = VerifyProgress::new();
    let show = show::show(progress.clone(), &display, screen);
    let done = interrupt::stoppable(pgsluice::verify(&root, &job.options, &progress)).await;
    // The live line goes before the report or the error comes.
    drop(show);
    let report = done?;
    let code = if report.is_sound() {
        0
    } else {
        exit::code(ErrorKind::Data)
    };
    match display.output {
        Output::Json => exit::print_document(&Document {
            ok: code == 0,
            exit_code: code,
            errors: report.datasets.iter().map(DatasetVerdict::errors).sum(),
            warnings: report.datasets.iter().map(DatasetVerdict::warnings).sum(),
            report: &report,
        })?,
        Output::Table => exit::print(&text(&report, report::width()))?,
    }
    Ok(ExitCode::from(code))
}

/// The report as one document.
#[derive(Serialize)]
struct Document<'a> {
    ok: bool,
    exit_code: u8,
    errors: u64,
    warnings: u64,
    #[serde(flatten)]
    report: &'a VerifyReport,
}

fn text(report: &VerifyReport, width: Option<usize>) -> String {
    let mut text = String::new();
    for line in grid(report).lines(width) {
        line_to(&mut text, &line);
    }
    for dataset in &report.datasets {
        findings(&mut text, dataset);
    }
    line_to(&mut text, "");
    line_to(&mut text, &verdict(report));
    text
}

fn grid(report: &VerifyReport) -> Grid {
    let mut grid = Grid::default()
        .left("TABLE", 0)
        .left("STATE", 2)
        .right("ROWS", 1)
        .right("OBJECTS", 4)
        .right("PARQUET", 3)
        .right("CHUNKS", 5)
        .right("PROVEN", 2)
        .right("SOURCE", 2)
        .right("ERRORS", 0)
        .right("WARNINGS", 1);
    for dataset in &report.datasets {
        let source = dataset.source.as_ref();
        grid.row([
            plain(&dataset.table),
            if dataset.complete { "complete" } else { "open" }.to_owned(),
            count(dataset.rows),
            count(dataset.objects),
            bytes(dataset.object_bytes),
            count(dataset.chunks),
            if report.quick {
                "-".to_owned()
            } else {
                format!("{}/{}", dataset.chunks_proven, dataset.chunks)
            },
            source.map_or_else(
                || "-".to_owned(),
                |source| {
                    let equal = if source.hashed > 0 {
                        source.hashed_equal
                    } else {
                        source.counted_equal
                    };
                    format!("{equal}/{}", source.parts)
                },
            ),
            count(dataset.errors()),
            count(dataset.warnings()),
        ]);
    }
    grid
}

/// What does not hold, errors first.
fn findings(text: &mut String, dataset: &DatasetVerdict) {
    if dataset.findings.is_empty() {
        return;
    }
    line_to(
        text,
        &format!("\n{} in {}", plain(&dataset.table), plain(&dataset.root)),
    );
    let mut findings: Vec<&Finding> = dataset.findings.iter().collect();
    findings.sort_by_key(|finding| finding.severity);
    let hidden = findings.len().saturating_sub(MAX_FINDINGS);
    for finding in findings.iter().take(MAX_FINDINGS) {
        line_to(text, &format!("  {}", finding_line(finding)));
    }
    if hidden > 0 {
        let hidden = counted(hidden as u64, "more finding");
        line_to(
            text,
            &format!("  … and {hidden} (--output json lists them)"),
        );
    }
}

fn finding_line(finding: &Finding) -> String {
    let label = match finding.severity {
        Severity::Error => style("error:").red(),
        Severity::Warning => style("warning:").yellow(),
    };
    let chunk = finding.chunk.map(|chunk| format!("chunk {chunk}: "));
    let object = finding
        .object
        .as_deref()
        .map(|key| format!("{}: ", plain(key)));
    format!(
        "{label} {}{}{} [{}]",
        chunk.unwrap_or_default(),
        object.unwrap_or_default(),
        plain(&finding.message),
        kind(finding)
    )
}

/// The stable name of a finding's kind, as JSON has it.
fn kind(finding: &Finding) -> String {
    let name = serde_json::to_value(finding.kind).ok();
    name.and_then(|name| name.as_str().map(str::to_owned))
        .unwrap_or_default()
}

fn verdict(report: &VerifyReport) -> String {
    let sum = |of: fn(&DatasetVerdict) -> u64| report.datasets.iter().map(of).sum::<u64>();
    let (errors, warnings) = (sum(DatasetVerdict::errors), sum(DatasetVerdict::warnings));
    let how = if report.quick {
        "looked over (sizes and metadata only)"
    } else {
        "verified"
    };
    let what = format!(
        "{how} {} with {} in {}",
        counted(report.datasets.len() as u64, "dataset"),
        counted(sum(|dataset| dataset.objects), "object"),
        duration(report.wall)
    );
    match (errors, warnings) {
        (0, 0) => format!("{what}: {}", style("sound").green()),
        (0, _) => format!("{what}: sound, {}", counted(warnings, "warning")),
        _ => format!(
            "{what}: {}, {}",
            style(counted(errors, "error")).red(),
            counted(warnings, "warning")
        ),
    }
}
