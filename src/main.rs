//! The `pgsluice` command: parse, run, exit code.
//!
//! Everything it does goes through the library's public API; the rest of the command line is in
//! [`cli`]. Exit codes are decided in `cli::exit` alone.

mod cli;

use std::process::ExitCode;
use std::time::Duration;

/// How long tasks that clean up (an aborted upload, a cancelled query) may outlive the command.
const CLEAN_UP: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    let command = match cli::parse(std::env::args_os()) {
        Ok(command) => command,
        Err(code) => return code,
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return cli::exit::no_runtime(&error),
    };
    let code = runtime.block_on(cli::run(command));
    runtime.shutdown_timeout(CLEAN_UP);
    code
}
