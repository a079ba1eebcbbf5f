//! The same command again: what is done is skipped, what differs is refused, what is lost is read.

use std::time::Duration;

use serde_json::Value;

use crate::rig::{self, Database, TempRoot};
use crate::scenario::{export, export_command, sorted_ids, try_export};

fn table(database: &Database, rows: u32) {
    database.execute(&format!(
        "CREATE TABLE t (id int PRIMARY KEY, note text);
         INSERT INTO t SELECT i, md5(i::text) FROM generate_series(1, {rows}) i; ANALYZE t"
    ));
}

/// Chunks small enough for an interrupt to come between them.
const SMALL_CHUNKS: [&str; 6] = [
    "--chunk-by",
    "key:id",
    "--chunk-rows",
    "500",
    "--workers",
    "1",
];

fn dataset_status(root: &TempRoot) -> Value {
    let outcome = rig::run(
        rig::pgsluice()
            .args(["status", "--output", "json"])
            .arg(root.path()),
        Duration::from_secs(20),
    );
    outcome.expect_code(0).json()["datasets"][0].clone()
}

/// Starts an export in small chunks and interrupts it once some are committed.
fn interrupted(database: &Database, root: &TempRoot, flags: &[&str]) {
    let mut running = rig::start(&mut export_command(database, "t", root, flags));
    let log = root.path().join("public/t/_pgsluice/log");
    for _ in 0..2000 {
        let entries = std::fs::read_dir(&log).map_or(0, Iterator::count);
        if entries >= 5 {
            break;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    running.interrupt();
    running.wait(Duration::from_secs(30)).expect_code(130);
}

#[test]
fn a_second_run_reads_nothing() {
    let database = Database::create("second");
    table(&database, 1000);
    let root = TempRoot::new();
    export(&database, "t", &root, &[]);
    let before = std::fs::read(root.path().join("public/t/_SUCCESS")).unwrap();
    let report = export(&database, "t", &root, &[]);
    assert_eq!(report["tables"][0]["was_complete"], true);
    assert_eq!(report["tables"][0]["this_run"]["rows"], 0);
    assert_eq!(
        std::fs::read(root.path().join("public/t/_SUCCESS")).unwrap(),
        before
    );
}

#[test]
fn a_run_that_is_interrupted_pauses_and_goes_on_as_mixed() {
    let database = Database::create("paused");
    table(&database, 60_000);
    let root = TempRoot::new();
    interrupted(&database, &root, &SMALL_CHUNKS);
    let status = dataset_status(&root);
    assert_eq!(status["state"], "paused", "{status}");
    database.execute("UPDATE t SET note = 'later' WHERE id = 1");
    let report = export(&database, "t", &root, &SMALL_CHUNKS);
    let table = &report["tables"][0];
    assert!(table["chunks_skipped"].as_u64() > Some(0), "{report}");
    assert_eq!(report["consistency"], "mixed", "{report}");
    assert_eq!(
        sorted_ids(&root, "public/t"),
        (1..=60_000).collect::<Vec<_>>()
    );
    let status = dataset_status(&root);
    assert_eq!(status["state"], "complete");
    assert_eq!(status["consistency"], "mixed");
    assert_eq!(
        status["snapshots"].as_array().map(Vec::len),
        Some(2),
        "{status}"
    );
}

#[test]
fn require_consistent_starts_again_instead_of_mixing() {
    let database = Database::create("consistent");
    table(&database, 60_000);
    let root = TempRoot::new();
    interrupted(&database, &root, &SMALL_CHUNKS);
    let report = export(
        &database,
        "t",
        &root,
        &[&SMALL_CHUNKS[..], &["--require-consistent"]].concat(),
    );
    assert_eq!(report["consistency"], "snapshot", "{report}");
    assert_eq!(report["tables"][0]["chunks_skipped"], 0);
    assert_eq!(
        sorted_ids(&root, "public/t"),
        (1..=60_000).collect::<Vec<_>>()
    );
    let objects = std::fs::read_dir(root.path().join("public/t"))
        .unwrap()
        .flatten();
    let old = objects.filter(|o| o.file_name().to_string_lossy().ends_with("-e1.parquet"));
    assert_eq!(old.count(), 0, "objects of the dead epoch are deleted");
}

#[test]
fn objects_lost_since_they_were_committed_are_read_again() {
    let database = Database::create("lost");
    table(&database, 60_000);
    let root = TempRoot::new();
    interrupted(&database, &root, &SMALL_CHUNKS);
    let folder = root.path().join("public/t");
    let mut parts: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == "parquet"))
        .collect();
    parts.sort();
    std::fs::remove_file(&parts[0]).unwrap();
    // Same size, other bytes: the size alone would not tell.
    let mut bytes = std::fs::read(&parts[1]).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&parts[1], bytes).unwrap();
    export(&database, "t", &root, &SMALL_CHUNKS);
    assert_eq!(
        sorted_ids(&root, "public/t"),
        (1..=60_000).collect::<Vec<_>>()
    );
}

#[test]
fn other_options_on_the_same_root_are_told_and_nothing_is_touched() {
    let database = Database::create("other");
    table(&database, 1000);
    let root = TempRoot::new();
    export(&database, "t", &root, &[]);
    let outcome = try_export(&database, "t", &root, &["--where", "id < 10"]).expect_code(5);
    assert!(outcome.stderr.contains("where"), "{}", outcome.stderr);
    database.execute("ALTER TABLE t ADD COLUMN later int");
    let outcome = try_export(&database, "t", &root, &[]).expect_code(5);
    assert!(outcome.stderr.contains("later"), "{}", outcome.stderr);
    let status = dataset_status(&root);
    assert_eq!(status["state"], "complete");
    assert_eq!(status["epoch"], 1);
}

#[test]
fn a_table_made_again_under_its_name_is_another_table() {
    let database = Database::create("again");
    table(&database, 1000);
    let root = TempRoot::new();
    export(&database, "t", &root, &[]);
    database.execute("DROP TABLE t");
    table(&database, 1000);
    try_export(&database, "t", &root, &[]).expect_code(5);
}

#[test]
fn a_complete_dataset_that_lost_an_object_is_not_called_complete() {
    let database = Database::create("hollow");
    table(&database, 1000);
    let root = TempRoot::new();
    export(&database, "t", &root, &[]);
    let folder = root.path().join("public/t");
    let mut parts = std::fs::read_dir(&folder)
        .unwrap()
        .flatten()
        .map(|entry| entry.path());
    let part = parts.find(|path| path.extension().is_some_and(|e| e == "parquet"));
    std::fs::remove_file(part.expect("a part")).unwrap();
    let outcome = try_export(&database, "t", &root, &[]).expect_code(5);
    assert!(outcome.stderr.contains("gone"), "{}", outcome.stderr);
}

#[test]
fn a_folder_that_holds_other_objects_is_refused() {
    let database = Database::create("foreign");
    table(&database, 1000);
    let root = TempRoot::new();
    let folder = root.path().join("public/t");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("part-00000-abc.snappy.parquet"), b"PAR1").unwrap();
    let outcome = try_export(&database, "t", &root, &[]).expect_code(5);
    assert!(
        outcome.stderr.contains("part-00000-abc"),
        "{}",
        outcome.stderr
    );
    assert!(!folder.join("_pgsluice").exists());
}

/// A complete table cannot be read again, so what is still open cannot share its snapshot.
#[test]
fn require_consistent_holds_across_tables() {
    let database = Database::create("across");
    table(&database, 1000);
    database.execute("CREATE TABLE u (id int PRIMARY KEY); INSERT INTO u VALUES (1)");
    let root = TempRoot::new();
    export(&database, "t", &root, &[]);
    database.execute("INSERT INTO u VALUES (2)");
    let both = ["--table", "u", "--require-consistent"];
    try_export(&database, "t", &root, &both).expect_code(5);
    let report = export(&database, "t", &root, &["--table", "u"]);
    assert_eq!(report["consistency"], "mixed", "{report}");
    assert_eq!(
        report["warnings"].as_array().map(Vec::len),
        Some(1),
        "{report}"
    );
}
