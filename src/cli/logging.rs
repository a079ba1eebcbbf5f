//! The log: the library's events on standard error, as text or JSON.
//!
//! `-v` and `-q` win over `PGSLUICE_LOG`. Dependencies stay at warnings unless that variable asks
//! for more: at finer levels some of them log requests.

use std::fmt;

use chrono::{SecondsFormat, Utc};
use pgsluice::{Error, ErrorKind, Result};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;

use super::resolve::Display;
use super::screen::Screen;

/// The variable that holds a filter such as `pgsluice=debug,object_store=info`.
const VARIABLE: &str = "PGSLUICE_LOG";

/// Whatever is asked for: its finer lines quote the user part of URLs, of proxies for one.
const QUIET: &str = "hyper_util=error";

/// Starts the log.
///
/// # Errors
///
/// `Config` when `PGSLUICE_LOG` is no filter.
pub(crate) fn start(display: Display, screen: &Screen) -> Result<()> {
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter(display.verbosity, std::env::var(VARIABLE).ok())?)
        .with_writer(screen.clone())
        .with_timer(Clock)
        .with_target(display.verbosity > 0);
    // Set once, by the only caller; a second start would find the first log and keep it.
    let _ = if display.json_log {
        log.json().flatten_event(true).try_init()
    } else {
        log.with_ansi(console::colors_enabled_stderr()).try_init()
    };
    Ok(())
}

fn filter(verbosity: i16, variable: Option<String>) -> Result<EnvFilter> {
    let directives = match (verbosity, variable) {
        (..=-2, _) => "error".to_owned(),
        (-1, _) => "warn".to_owned(),
        (0, Some(filter)) if !filter.is_empty() => filter,
        (0, _) => "warn,pgsluice=info".to_owned(),
        (1, _) => "warn,pgsluice=debug".to_owned(),
        _ => "warn,pgsluice=trace".to_owned(),
    };
    let filter = EnvFilter::try_new(directives).map_err(|error| {
        Error::new(ErrorKind::Config, format!("{VARIABLE}: not a log filter"))
            .with_source(error)
            .with_advice("expected a level or target=level pairs, such as pgsluice=debug")
    })?;
    let quiet = QUIET.parse().map_err(|error| {
        Error::new(ErrorKind::Internal, "a fixed log filter is none").with_source(error)
    })?;
    Ok(filter.add_directive(quiet))
}

/// UTC to the second: enough to read, and to match with the server's log.
struct Clock;

impl FormatTime for Clock {
    fn format_time(&self, to: &mut Writer<'_>) -> fmt::Result {
        to.write_str(&Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_win_over_the_variable_and_leave_dependencies_quiet() {
        let shown = |verbosity, variable: Option<&str>| {
            let filter = filter(verbosity, variable.map(str::to_owned))
                .unwrap()
                .to_string();
            let mut parts: Vec<_> = filter.split(',').map(str::to_owned).collect();
            parts.sort();
            parts.join(",")
        };
        assert_eq!(shown(0, None), "hyper_util=error,pgsluice=info,warn");
        let traced = "hyper_util=error,pgsluice=trace";
        assert_eq!(shown(0, Some("pgsluice=trace")), traced);
        assert_eq!(shown(0, Some("hyper_util=trace,pgsluice=trace")), traced);
        let verbose = "hyper_util=error,pgsluice=debug,warn";
        assert_eq!(shown(1, Some("pgsluice=trace")), verbose);
        assert_eq!(shown(-2, None), "error,hyper_util=error");
        assert!(filter(0, Some("pgsluice=loud=er".to_owned())).is_err());
    }
}
