//! A file system with no space left, at every fill level between empty and enough.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use object_store::memory::InMemory;
use object_store::{ObjectStore, ObjectStoreExt};

use super::{assert_honest, assert_whole, export, small_table};
use crate::rig::{Root, Running, pgsluice, run, start, wait};
use crate::scenario::LIMIT;

const PAGE: u64 = 4096;
const SIZE: u64 = 4 << 20;

/// A tmpfs in a mount namespace of its own, so that nothing else sees it or is left with it.
struct SmallDisk {
    /// Keeps the namespace, and ends with the test.
    holder: Running,
    /// Where it is mounted, inside.
    inside: tempfile::TempDir,
    is_root: bool,
}

impl SmallDisk {
    fn new() -> Self {
        let is_root = run(Command::new("id").arg("-u"), LIMIT).stdout.trim() == "0";
        let inside = tempfile::tempdir().expect("a temporary folder");
        let mut holder = Command::new("unshare");
        holder.args(["--mount", "--propagation", "private"]);
        if !is_root {
            holder.args(["--user", "--map-root-user"]);
        }
        holder.args(["sh", "-c"]).arg(format!(
            "mount -t tmpfs -o size={SIZE} small {} && echo mounted >&2 && exec sleep 3600",
            inside.path().display()
        ));
        let mut holder = start(&mut holder);
        for _ in 0..500 {
            if holder.stderr().contains("mounted") {
                break;
            }
            assert!(
                holder.is_running(),
                "cannot mount a tmpfs in a namespace of its own: run the tests as root, or allow \
                 user namespaces (sysctl kernel.unprivileged_userns_clone=1)\n{}",
                holder.stderr()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
        Self {
            holder,
            inside,
            is_root,
        }
    }

    /// The same folder as others see it.
    fn outside(&self) -> PathBuf {
        let inside = self.inside.path().strip_prefix("/").expect("absolute");
        Path::new(&format!("/proc/{}/root", self.holder.pid())).join(inside)
    }

    /// The program, where it sees the disk.
    fn pgsluice(&self) -> Command {
        let plain = pgsluice();
        let mut command = Command::new("nsenter");
        command.args([
            format!("--target={}", self.holder.pid()),
            "--mount".to_owned(),
        ]);
        if !self.is_root {
            command.args(["--user", "--preserve-credentials"]);
        }
        command.arg(plain.get_program()).env_clear();
        let set = plain
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?)));
        command.envs(set);
        command
    }

    fn data(&self) -> PathBuf {
        self.outside().join("data")
    }

    /// Leaves so many bytes free.
    fn fill_up_to(&self, free: u64) {
        let ballast = vec![0; (SIZE - free) as usize];
        std::fs::write(self.outside().join("ballast"), ballast).expect("there is room for it");
    }

    fn free(&self) {
        std::fs::remove_file(self.outside().join("ballast")).expect("the ballast is there");
    }
}

impl Root for SmallDisk {
    fn url(&self) -> String {
        self.data().display().to_string()
    }

    fn env(&self) -> Vec<(String, String)> {
        Vec::new()
    }

    /// A copy: the store client would resolve the path, and leave the namespace.
    fn store(&self) -> Arc<dyn ObjectStore> {
        let copy = InMemory::new();
        let mut files = Vec::new();
        gather(&self.data(), "", &mut files);
        for (key, path) in files {
            let bytes = std::fs::read(path).expect("a file");
            let key = object_store::path::Path::parse(key).expect("a well-formed key");
            let copy = copy.clone();
            wait(async move { copy.put(&key, bytes.into()).await }).expect("memory takes it");
        }
        Arc::new(copy)
    }
}

/// Files below a folder with their keys, but for those that were not finished.
fn gather(folder: &Path, key: &str, into: &mut Vec<(String, PathBuf)>) {
    // The folder may not be there: there was no space for it.
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name().into_string().expect("UTF-8");
        let key = format!("{key}{name}");
        match entry.path().is_dir() {
            true => gather(&entry.path(), &format!("{key}/"), into),
            false if name.contains('#') => {}
            false => into.push((key, entry.path())),
        }
    }
}

/// Pages that a whole dataset takes, measured.
fn pages_of_a_whole_one(database: &crate::rig::Database) -> u64 {
    let disk = SmallDisk::new();
    let mut command = disk.pgsluice();
    export(&mut command, database, &disk.inside.path().join("data"));
    run(&mut command, LIMIT).expect_code(0);
    let mut size = Command::new("du");
    let size = run(
        size.args(["-s", "-B", &PAGE.to_string()]).arg(disk.data()),
        LIMIT,
    );
    let pages = size.expect_code(0).stdout;
    let pages = pages.split_whitespace().next().expect("a number");
    pages.parse().expect("a number")
}

#[test]
fn a_full_disk_is_told_at_every_fill_level_and_with_space_the_same_command_goes_on() {
    let database = small_table("disk_full");
    let enough = pages_of_a_whole_one(&database);
    assert!(enough >= 8, "{enough} pages");
    let all = std::env::var("PGSLUICE_TEST_DISK_FAULTS").is_ok_and(|which| which == "all");
    // The last pages are those of the log's end, the manifest and the marker.
    let wanted = |free: &u64| all || free.is_multiple_of(2) || enough - free < 4;
    let mut failed = 0;
    for free in (0..enough).filter(wanted) {
        let disk = SmallDisk::new();
        disk.fill_up_to(free * PAGE);
        let what = format!("{free} of {enough} pages free");
        let to = disk.inside.path().join("data");
        let mut command = disk.pgsluice();
        export(&mut command, &database, &to);
        let outcome = run(&mut command, LIMIT);
        if !assert_honest(&outcome, &disk, &what) {
            failed += 1;
            let error = outcome.json()["error"].to_string();
            assert!(error.contains("no space is left"), "{what}: {error}");
            assert!(error.contains("free some space"), "{what}: {error}");
        }
        disk.free();
        let mut again = disk.pgsluice();
        export(&mut again, &database, &to);
        run(&mut again, LIMIT).expect_code(0);
        assert_whole(&disk, &what);
        let mut verify = disk.pgsluice();
        run(verify.arg("verify").arg(&to), LIMIT).expect_code(0);
    }
    println!("{failed} runs found the disk full, of {enough} pages");
    assert!(failed > 3, "{failed} runs found the disk full");
}
