//! `pgsluice export`: runs it, shows it, reports it.

use std::process::ExitCode;

use pgsluice::{Cancel, ConnectOptions, Error, ErrorKind, Progress, Result, Root};

use super::layers::config;
use super::resolve::{Display, Job, Output};
use super::screen::Screen;
use super::{exit, interrupt, progress, report, warn};

/// Exports; Ctrl-C once stops in order. Tables that failed beside others are reported, and the
/// first of them gives the exit code.
///
/// # Errors
///
/// As [`pgsluice::export`]; `Config` without a target.
pub(crate) async fn run(job: Job, display: Display, screen: &Screen) -> Result<ExitCode> {
    warn(&job.warnings);
    let target = job.target.ok_or_else(|| {
        config("no target given")
            .with_advice("say where datasets go with --to, such as --to ./lake")
    })?;
    let source = ConnectOptions::from_dsn(job.dsn.as_deref())?;
    let root = Root::open(&target.url, &target.store_options)?;
    let cancel = Cancel::new();
    let counters = Progress::new();
    let watch = interrupt::watch(cancel.clone(), screen.clone())?;
    let show = progress::show(counters.clone(), cancel.clone(), display, screen);
    let done = pgsluice::export(&source, &root, &job.options, &counters, &cancel).await;
    // The live block goes before the report or the error comes.
    drop((show, watch));
    let report = done.map_err(resumable)?;
    let failure = report.first_error().map(AsRef::as_ref);
    match display.output {
        Output::Json => exit::print_report(&report, failure)?,
        Output::Table => exit::print(&report::export(&report, report::width()))?,
    }
    // The report comes first; then the first failure ends the command as its own would.
    Ok(failure.map_or(ExitCode::SUCCESS, |error| exit::tell(error, display)))
}

/// A run that was asked to stop goes on when it is started again.
fn resumable(error: Error) -> Error {
    match error.kind() {
        ErrorKind::Cancelled => error.with_advice("run the same command again to go on"),
        _ => error,
    }
}
