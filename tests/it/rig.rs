//! What scenarios stand on: databases, roots and processes that each test has to itself.
//!
//! Everything here blocks, and may be called from async tests as well; whatever goes wrong
//! panics. It owns no expectation about pgsluice: those are the scenarios'.

mod database;
mod dataset;
mod process;
mod root;
mod rows;
mod server;

use std::ffi::OsStr;
use std::process::Command;
use std::sync::OnceLock;
use std::sync::mpsc;

pub(crate) use database::{Database, Session};
pub(crate) use dataset::{Dataset, chunk_entries};
pub(crate) use process::{Outcome, Running, run, start};
pub(crate) use root::{Root, S3Root, TempRoot};
pub(crate) use rows::{listed_objects, read_rows};
pub(crate) use server::Server;
use tokio::runtime::Runtime;

/// A variable that `tests/run.sh` sets.
pub(crate) fn env(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!(
            "{name} is not set: the tests need real servers. Run tests/run.sh, or start them \
             with `tests/run.sh --serve` and source the file that it names."
        )
    })
}

/// The program under test, with an environment that holds nothing of the caller's: no `PG*`, no
/// `AWS_*`, no home folder.
pub(crate) fn pgsluice() -> Command {
    clean(env!("CARGO_BIN_EXE_pgsluice"))
}

/// A Python with DuckDB, Polars, pyarrow and Spark, running a script of `tests/rig`.
pub(crate) fn python<I: AsRef<OsStr>>(script: &str, args: impl IntoIterator<Item = I>) -> Command {
    let mut command = clean(&env("PGSLUICE_TEST_PYTHON"));
    command
        .arg(format!("{}/tests/rig/{script}", env!("CARGO_MANIFEST_DIR")))
        .args(args);
    command
}

/// A client program of the default server's version: `psql`, `pgbench`.
pub(crate) fn pg_program(name: &str) -> Command {
    clean(&format!("{}/{name}", env("PGSLUICE_TEST_PGBIN")))
}

fn clean(program: &str) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("HOME", "/nonexistent");
    for kept in ["PATH", "TMPDIR"] {
        if let Some(value) = std::env::var_os(kept) {
            command.env(kept, value);
        }
    }
    command
}

/// Runs a future to its end on a runtime of the rig's own, so that a caller may itself be async.
pub(crate) fn wait<T, F>(future: F) -> T
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let (done, result) = mpsc::channel();
    runtime().spawn(async move { done.send(future.await) });
    result.recv().expect("the future panicked; see above")
}

fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("the rig's runtime starts")
    })
}
