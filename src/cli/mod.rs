//! The command line: raw flags, resolved options, the library, what is shown.
//!
//! Sees the library only through its public API. `args` holds what was typed, `layers` and
//! `resolve` turn it into the library's options, each command runs in a file of its own, and
//! `exit` alone decides how it ends.

mod args;
pub(crate) mod exit;
mod export;
mod gc;
mod grid;
mod help;
mod human;
mod interrupt;
mod layers;
mod logging;
mod plan;
mod progress;
mod report;
mod resolve;
mod screen;
mod secrets;
mod status;
mod types;
mod verify;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue};
use clap::{CommandFactory, Parser};
use pgsluice::{Error, ErrorKind, Result};

use self::args::{Cli, Command, DisplayArgs};
use self::layers::{ConfigFile, Layers};
use self::resolve::{Display, Output};
use self::screen::Screen;

/// A command line that clap accepted.
pub(crate) struct Parsed(Cli);

/// Parses the command line. Help, a version or a usage error is printed, and gives its exit code.
pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Parsed, ExitCode> {
    Cli::try_parse_from(args).map(Parsed).map_err(|error| {
        let error = without_secrets(error);
        // A reader that went away (`--help | head`) is no error.
        let _ = error.print();
        ExitCode::from(if error.use_stderr() {
            exit::code(ErrorKind::Config)
        } else {
            0
        })
    })
}

/// Runs a command, shows how it ended, and gives its exit code.
pub(crate) async fn run(parsed: Parsed) -> ExitCode {
    let Cli {
        command,
        display: flags,
    } = parsed.0;
    // Until the display is resolved, an error is shown as the flags alone ask for it.
    let json = flags.output.as_deref() == Some("json");
    let asked = Display {
        output: if json { Output::Json } else { Output::Table },
        ..Display::default()
    };
    let env = |name: &str| std::env::var(name).ok();
    let ready = layers(&flags, &env).and_then(|layers| {
        let display = resolve::display(&flags, &layers)?;
        Ok((layers, display))
    });
    let (layers, display) = match ready {
        Ok(ready) => ready,
        Err(error) => return exit::fail(&error, asked),
    };
    let screen = Screen::new();
    let done = match logging::start(display, &screen) {
        Ok(()) => dispatch(command, &layers, display, &screen).await,
        Err(error) => Err(error),
    };
    match done {
        Ok(code) => code,
        Err(error) => exit::fail(&error, display),
    }
}

async fn dispatch(
    command: Command,
    layers: &Layers<'_>,
    display: Display,
    screen: &Screen,
) -> Result<ExitCode> {
    match command {
        Command::Export(args) => {
            return export::run(resolve::job(&args, layers)?, display, screen).await;
        }
        Command::Plan(args) => {
            let all_chunks = resolve::switch("all-chunks", args.all_chunks.as_deref(), layers)?;
            let mut job = resolve::job(&args.job, layers)?;
            job.options.explain = resolve::switch("explain", args.explain.as_deref(), layers)?;
            plan::run(job, all_chunks, display).await?;
        }
        Command::Status(args) => {
            let (target, warnings) = resolve::status(&args, layers)?;
            warn(&warnings);
            status::run(&target, display).await?;
        }
        Command::Verify(args) => {
            return verify::run(resolve::verify(&args, layers)?, display, screen).await;
        }
        Command::Gc(args) => return gc::run(resolve::gc(&args, layers)?, display).await,
        Command::Types(args) => types::run(&args, layers, display)?,
        Command::Completions { shell } => completions(shell)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Tells what a person should know before the work begins.
fn warn(warnings: &[String]) {
    for warning in warnings {
        tracing::warn!("{warning}");
    }
}

/// The generator panics when it cannot write, so it writes to memory.
fn completions(shell: clap_complete::Shell) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "pgsluice", &mut script);
    let script = String::from_utf8(script).map_err(|error| {
        Error::new(ErrorKind::Internal, "the completion script is not UTF-8").with_source(error)
    })?;
    exit::print(&script)
}

fn layers<'a>(flags: &DisplayArgs, env: &'a dyn Fn(&str) -> Option<String>) -> Result<Layers<'a>> {
    let bare = Layers::new(env, None);
    let Some(path) = bare.one("config", flags.config.as_deref())? else {
        return Ok(bare);
    };
    let file = ConfigFile::read(&path.text, &known_keys())?;
    Ok(Layers::new(env, Some(file)))
}

/// The keys that a settings file may hold: the long flag names that take a value there.
fn known_keys() -> Vec<String> {
    let never = ["config", "delete", "help", "quiet", "verbose", "version"];
    let mut keys: Vec<String> = std::iter::once(&Cli::command())
        .chain(Cli::command().get_subcommands())
        .flat_map(clap::Command::get_arguments)
        .filter_map(|arg| arg.get_long())
        .filter(|name| !never.contains(name))
        .map(str::to_owned)
        .collect();
    keys.sort();
    keys.dedup();
    keys
}

/// A usage error quotes what it did not understand: a connection string in the wrong place, say.
fn without_secrets(mut error: clap::Error) -> clap::Error {
    let hidden: Vec<(ContextKind, ContextValue)> = error
        .context()
        .filter_map(|(kind, value)| match value {
            ContextValue::String(text) if secrets::may_hold_secret(text) => Some((
                kind,
                ContextValue::String("(hidden: it may hold a password)".to_owned()),
            )),
            _ => None,
        })
        .collect();
    if !hidden.is_empty() {
        // Suggestions and usage hints repeat the argument.
        error.remove(ContextKind::Suggested);
    }
    for (kind, value) in hidden {
        error.insert(kind, value);
    }
    error
}

#[cfg(test)]
mod tests;
