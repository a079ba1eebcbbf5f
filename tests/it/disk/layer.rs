//! `tests/rig/disk_faults.c`, compiled by the `cc` that links Rust programs, and its settings.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use crate::rig::run;

/// Which call fails, and how.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fault {
    /// Kinds of call that are counted, such as `fsync` or `link,rename`.
    pub(super) calls: &'static str,
    /// An error number of Linux.
    pub(super) errno: i32,
    /// All later calls fail, too.
    pub(super) sticky: bool,
    /// The call takes effect, and fails.
    pub(super) late: bool,
}

pub(super) const EIO: i32 = 5;
pub(super) const ENOSPC: i32 = 28;
pub(super) const EDQUOT: i32 = 122;

/// Lets the `at`-th such call of a command fail, below a folder. With 0 none does, and they are
/// written to the trace.
pub(super) fn inject(command: &mut Command, below: &Path, fault: Fault, at: usize, trace: &Path) {
    command
        .env("LD_PRELOAD", library())
        .env("DISK_FAULT_BELOW", below)
        .env("DISK_FAULT_CALLS", fault.calls)
        .env("DISK_FAULT_ERRNO", fault.errno.to_string())
        .env("DISK_FAULT_AT", at.to_string())
        .env("DISK_FAULT_TRACE", trace);
    if fault.sticky {
        command.env("DISK_FAULT_STICKY", "1");
    }
    if fault.late {
        command.env("DISK_FAULT_LATE", "1");
    }
}

/// What a trace says: whether it failed, the kind of call, the path.
pub(super) fn calls(trace: &Path) -> Vec<(bool, String, PathBuf)> {
    let text = std::fs::read_to_string(trace).unwrap_or_default();
    let line = |line: &str| {
        let mut parts = line.splitn(3, ' ');
        let mut part = || parts.next().expect("three parts").to_owned();
        (part() == "FAIL", part(), part().into())
    };
    text.lines().map(line).collect()
}

fn library() -> &'static Path {
    static LIBRARY: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let (_, path) = LIBRARY.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("disk_faults.so");
        let mut cc = Command::new("cc");
        cc.args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"])
            .arg(&path)
            .arg(format!(
                "{}/tests/rig/disk_faults.c",
                env!("CARGO_MANIFEST_DIR")
            ))
            .arg("-ldl");
        run(&mut cc, Duration::from_secs(60)).expect_code(0);
        (folder, path)
    });
    path
}
