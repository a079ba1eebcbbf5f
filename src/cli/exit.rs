//! How the command ends: exit codes, and the form of its last words.
//!
//! The codes are stable; `--help` lists them. An error is one screen for people, or one JSON
//! document that stands where the report would.

use std::error::Error as StdError;
use std::io::{self, ErrorKind as IoErrorKind, Write};
use std::process::ExitCode;

use console::style;
use pgsluice::{Error, ErrorKind, Result};
use serde::Serialize;
use serde_json::json;

use super::human::plain;
use super::resolve::{Display, Output};

/// Stopped by Ctrl-C or SIGTERM, as shells count it.
pub(crate) const STOPPED: u8 = 130;

/// The most causes that are shown.
const MAX_CAUSES: usize = 8;

/// The exit code of each kind of error.
pub(crate) fn code(kind: ErrorKind) -> u8 {
    match kind {
        ErrorKind::Config => 2,
        ErrorKind::Source => 3,
        ErrorKind::Storage => 4,
        ErrorKind::Conflict => 5,
        ErrorKind::Fenced => 6,
        ErrorKind::Unsupported => 7,
        ErrorKind::Data => 8,
        ErrorKind::Cancelled => STOPPED,
        // The enum may grow; what this binary does not know is its own fault.
        _ => 1,
    }
}

/// Shows an error and gives its exit code.
pub(crate) fn fail(error: &Error, display: Display) -> ExitCode {
    if display.output == Output::Json {
        // Nothing is left to do when standard output is gone as well: the exit code still tells.
        let _ = print(&line(&document(error)));
    }
    tell(error, display)
}

/// Shows an error on standard error alone, and gives its exit code.
pub(crate) fn tell(error: &Error, display: Display) -> ExitCode {
    let shown = if display.json_log {
        line(&document(error))
    } else {
        text(error)
    };
    let _ = io::stderr().lock().write_all(shown.as_bytes());
    ExitCode::from(code(error.kind()))
}

/// The runtime could not be built: threads or file descriptors are short.
pub(crate) fn no_runtime(error: &io::Error) -> ExitCode {
    let _ = writeln!(io::stderr(), "error: cannot start: {error}");
    ExitCode::from(code(ErrorKind::Internal))
}

/// Writes to standard output. A reader that went away is no error: it has seen enough.
///
/// # Errors
///
/// `Storage`, when standard output cannot take it: a full disk.
pub(crate) fn print(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != IoErrorKind::BrokenPipe => {
            let message = "cannot write to standard output";
            Err(Error::new(ErrorKind::Storage, message).with_source(error))
        }
        _ => Ok(()),
    }
}

/// Prints a report as JSON: its own fields after `"ok": true`.
///
/// # Errors
///
/// As [`print`].
pub(crate) fn print_json(report: &impl Serialize) -> Result<()> {
    #[derive(Serialize)]
    struct Done<'a, T> {
        ok: bool,
        #[serde(flatten)]
        report: &'a T,
    }
    print_document(&Done { ok: true, report })
}

/// Prints a run's report as JSON, one document also when tables failed: with `"ok": false` and the
/// first of their errors, its own fields follow.
///
/// # Errors
///
/// As [`print`].
pub(crate) fn print_report(report: &impl Serialize, failure: Option<&Error>) -> Result<()> {
    #[derive(Serialize)]
    struct Failed<'a, T> {
        #[serde(flatten)]
        error: serde_json::Value,
        #[serde(flatten)]
        report: &'a T,
    }
    match failure {
        None => print_json(report),
        Some(error) => print_document(&Failed {
            error: document(error),
            report,
        }),
    }
}

/// Prints one JSON document.
///
/// # Errors
///
/// As [`print`].
pub(crate) fn print_document(document: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(document).map_err(|error| {
        Error::new(ErrorKind::Internal, "cannot write the report as JSON").with_source(error)
    })?;
    print(&(text + "\n"))
}

/// What went wrong, for people; without colours where the terminal or `NO_COLOR` says so.
fn text(error: &Error) -> String {
    let label = match error.kind() {
        ErrorKind::Cancelled => style("stopped:").for_stderr().yellow().bold(),
        _ => style("error:").for_stderr().red().bold(),
    };
    let mut text = format!("{label} {}\n", plain(&error.to_string()));
    for cause in causes(error) {
        text += &format!("  caused by: {}\n", plain(&cause));
    }
    if let Some(advice) = error.advice() {
        let label = style("advice:").for_stderr().green();
        text += &format!("  {label} {}\n", plain(advice));
    }
    text
}

fn document(error: &Error) -> serde_json::Value {
    json!({
        "ok": false,
        "exit_code": code(error.kind()),
        "error": {
            "kind": error.kind().as_str(),
            "message": error.to_string(),
            "table": error.table(),
            "chunk": error.chunk(),
            "causes": causes(error),
            "advice": error.advice(),
            "retryable": error.is_retryable(),
        },
    })
}

fn line(document: &serde_json::Value) -> String {
    format!("{document}\n")
}

/// The chain below an error, without the layers that only repeat the one above.
fn causes(error: &Error) -> Vec<String> {
    let mut above = error.to_string();
    let mut causes = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        let shown = cause.to_string();
        if !shown.is_empty() && !above.contains(&shown) {
            causes.push(shown.clone());
            above = shown;
        }
        if causes.len() == MAX_CAUSES {
            break;
        }
        next = cause.source();
    }
    causes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error() -> Error {
        let inner = Error::new(ErrorKind::Source, "connection refused");
        let same = Error::new(ErrorKind::Source, "connection refused").with_source(inner);
        Error::new(ErrorKind::Source, "cannot connect to db:5432")
            .with_table("public.orders")
            .with_source(same)
            .with_advice("is the server\x1b[2J running?")
    }

    #[test]
    fn exit_codes_are_as_documented() {
        let kinds = [
            (ErrorKind::Internal, 1),
            (ErrorKind::Config, 2),
            (ErrorKind::Source, 3),
            (ErrorKind::Storage, 4),
            (ErrorKind::Conflict, 5),
            (ErrorKind::Fenced, 6),
            (ErrorKind::Unsupported, 7),
            (ErrorKind::Data, 8),
            (ErrorKind::Cancelled, 130),
        ];
        for (kind, expected) in kinds {
            assert_eq!(code(kind), expected, "{kind}");
        }
    }

    #[test]
    fn an_error_shows_its_chain_once_and_its_advice_last() {
        let expected = "error: table public.orders: cannot connect to db:5432\n  \
                        caused by: connection refused\n  \
                        advice: is the server\\u{1b}[2J running?\n";
        assert_eq!(console::strip_ansi_codes(&text(&error())), expected);
    }

    #[test]
    fn an_error_document_has_every_field() {
        let document = document(&error());
        assert_eq!(document["ok"], false);
        assert_eq!(document["exit_code"], 3);
        assert_eq!(document["error"]["kind"], "source");
        assert_eq!(document["error"]["table"], "public.orders");
        assert_eq!(document["error"]["chunk"], serde_json::Value::Null);
        assert_eq!(document["error"]["causes"], json!(["connection refused"]));
        assert_eq!(document["error"]["retryable"], false);
        assert_eq!(line(&document).matches('\n').count(), 1);
    }
}
