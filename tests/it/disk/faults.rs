//! Single calls that fail: each kind, at moments over the whole run. With
//! `PGSLUICE_TEST_DISK_FAULTS=all` at every moment there is, which takes minutes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::layer::{EDQUOT, EIO, ENOSPC, Fault, calls, inject};
use super::{assert_honest, assert_verified, assert_whole, export, small_table};
use crate::rig::{Database, Outcome, TempRoot, pgsluice, run};
use crate::scenario::LIMIT;

const fn fault(calls: &'static str, errno: i32) -> Fault {
    Fault {
        calls,
        errno,
        sticky: false,
        late: false,
    }
}

const FAULTS: [Fault; 10] = [
    fault("write", ENOSPC),
    fault("write", EIO),
    fault("fsync", EIO),
    fault("close", EIO),
    fault("open,mkdir,link,rename", EDQUOT),
    fault("unlink", EIO),
    fault("read", EIO),
    Fault {
        late: true,
        ..fault("link,rename,mkdir", EIO)
    },
    Fault {
        sticky: true,
        ..fault("write,open,mkdir", ENOSPC)
    },
    Fault {
        sticky: true,
        ..fault("read,write,fsync,link,rename,open,mkdir", EIO)
    },
];

#[test]
fn whichever_call_fails_no_success_is_false_and_the_same_command_ends_well() {
    let database = small_table("disk_faults");
    let all = std::env::var("PGSLUICE_TEST_DISK_FAULTS").is_ok_and(|which| which == "all");
    for fault in FAULTS {
        let (_, calls) = run_with(&database, &TempRoot::new(), fault, 0);
        let count = calls
            .iter()
            .filter(|(_, call, _)| fault.calls.contains(call.as_str()));
        let count = count.count();
        assert!(count > 3, "{count} calls of {}", fault.calls);
        // The first and the last ones, and some between that differ from kind to kind.
        let some = [1, count / 2 + fault.errno as usize % 3 - 1, count];
        let wanted = |at: &usize| all || some.contains(at);
        let (mut failed, mut tried) = (0, 0);
        for at in (1..=count).filter(wanted) {
            failed += usize::from(!one(&database, fault, at));
            tried += 1;
        }
        println!("{fault:?}: {failed} of {tried} runs failed, of {count} calls");
    }
}

/// One run with a fault, and one without. Whether the first ended well all the same.
fn one(database: &Database, fault: Fault, at: usize) -> bool {
    let root = TempRoot::new();
    let what = format!("{fault:?} at {at}");
    let (outcome, calls) = run_with(database, &root, fault, at);
    let hit = calls.iter().find(|(failed, ..)| *failed);
    let what = format!("{what}, {hit:?}");
    let well = assert_honest(&outcome, &root, &what);
    if well {
        assert_verified(root.path(), &what);
    }
    let mut again = pgsluice();
    export(&mut again, database, root.path());
    let outcome = run(&mut again, LIMIT);
    assert_eq!(outcome.code, Some(0), "{what}, then {outcome}");
    assert_whole(&root, &what);
    assert_verified(root.path(), &what);
    well
}

type Calls = Vec<(bool, String, PathBuf)>;

fn run_with(database: &Database, root: &TempRoot, fault: Fault, at: usize) -> (Outcome, Calls) {
    let trace = tempfile::NamedTempFile::new().expect("a temporary file");
    let mut command = pgsluice();
    export(&mut command, database, root.path());
    inject(&mut command, root.path(), fault, at, trace.path());
    let outcome = run(&mut command, LIMIT);
    if at == 0 {
        assert_eq!(outcome.code, Some(0), "{outcome}");
    }
    (outcome, calls(trace.path()))
}

#[test]
fn reads_that_fail_fail_verify_and_status() {
    let database = small_table("disk_reads");
    let root = TempRoot::new();
    run_with(&database, &root, fault("none", EIO), 0);
    let trace = tempfile::NamedTempFile::new().expect("a temporary file");
    let verify = |at: usize| {
        let mut command = pgsluice();
        command
            .args(["verify", "--output", "json"])
            .arg(root.path());
        std::fs::write(trace.path(), "").expect("an empty trace");
        inject(
            &mut command,
            root.path(),
            fault("read", EIO),
            at,
            trace.path(),
        );
        run(&mut command, LIMIT)
    };
    verify(0).expect_code(0);
    let count = calls(trace.path())
        .iter()
        .filter(|(_, call, _)| call == "read")
        .count();
    assert!(count >= 8, "{count} reads");
    for at in 1..=count {
        let outcome = verify(at);
        let hit = calls(trace.path()).into_iter().find(|(failed, ..)| *failed);
        assert_ne!(outcome.code, Some(0), "read {at}, {hit:?}: {outcome}");
    }
}

#[test]
fn every_file_and_every_folder_is_synced_before_success() {
    let database = small_table("disk_synced");
    let root = TempRoot::new();
    let (_, calls) = run_with(&database, &root, fault("none", EIO), 0);
    assert_synced(root.path(), &calls);

    // Folders that an earlier run made and did not sync.
    let root = TempRoot::new();
    for folder in [
        "public",
        "public/t",
        "public/t/_pgsluice",
        "public/t/_pgsluice/log",
    ] {
        std::fs::create_dir(root.path().join(folder)).expect("a new folder");
    }
    let (_, calls) = run_with(&database, &root, fault("none", EIO), 0);
    assert_synced(root.path(), &calls);
}

/// Files before they get their names; then the folder that holds the name; and of each folder
/// above the one that holds it.
#[track_caller]
fn assert_synced(root: &Path, calls: &Calls) {
    let syncs_of = |path: &Path| {
        let synced = calls.iter().enumerate();
        let synced = synced.filter(move |(_, (_, call, of))| call == "fsync" && of == path);
        synced.map(|(at, _)| at).collect::<Vec<_>>()
    };
    let mut folders = BTreeSet::new();
    for (at, (_, call, path)) in calls.iter().enumerate() {
        if call != "link" && call != "rename" {
            continue;
        }
        // The probe tries a name twice: what is there already is not written again.
        if calls[..at]
            .iter()
            .any(|(_, call, of)| call == "link" && of == path)
        {
            continue;
        }
        let written = calls[..at].iter().rposition(|(_, call, of)| {
            call == "fsync"
                && of
                    .to_string_lossy()
                    .starts_with(&format!("{}#", path.display()))
        });
        assert!(
            written.is_some(),
            "{} got its name unsynced",
            path.display()
        );
        let folder = path.parent().expect("a folder");
        let later = syncs_of(folder).into_iter().any(|sync| sync > at);
        assert!(later, "the name of {} was not synced", path.display());
        folders.extend(folder.ancestors().map(Path::to_path_buf));
    }
    assert!(folders.len() > 4, "{folders:?}");
    for folder in folders
        .iter()
        .filter(|folder| folder.starts_with(root) && *folder != root)
    {
        let parent = folder.parent().expect("a folder above");
        assert!(
            !syncs_of(parent).is_empty(),
            "{} was not synced",
            folder.display()
        );
    }
}
