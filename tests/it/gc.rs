//! What killed runs leave behind, on disk and on S3: `gc` lists exactly that, deletes exactly
//! that, and touches nothing that a run beside it, or the next one, may need.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use object_store::ObjectStoreExt;
use serde_json::Value;

use crate::rig::{self, Database, Outcome, Root, S3Root, TempRoot};
use crate::scenario::{LIMIT, sorted_ids};

const WIDE: &str = "public/wide";
/// What `abort` ends a process with.
const SIGABRT: i32 = 6;

/// `wide` makes one object of two parts, `slow` ten chunks that are read row by row, `days` three
/// folders.
const TABLES: &str = "
    CREATE TABLE wide (id bigint PRIMARY KEY, note text);
    INSERT INTO wide SELECT i, (SELECT string_agg(md5((i * 6400 + j)::text), '')
                                FROM generate_series(1, 6400) j)
    FROM generate_series(1::bigint, 30) i;
    CREATE TABLE slow (id bigint PRIMARY KEY, note text);
    INSERT INTO slow SELECT i, md5(i::text) FROM generate_series(1::bigint, 600) i;
    CREATE TABLE days (id bigint PRIMARY KEY, at timestamptz);
    INSERT INTO days SELECT i, timestamptz '2026-01-01 12:00+00' + i * interval '1 day'
    FROM generate_series(1, 3) i;
    CREATE INDEX ON days (at);
    ANALYZE wide, slow, days;";
const WIDE_FLAGS: &[&str] = &[
    "--table",
    "wide",
    "--chunk-by",
    "none",
    "--compression",
    "none",
    "--part-bytes",
    "5MiB",
    "--row-group-bytes",
    "1MiB",
];
const SLOW_FLAGS: &[&str] = &[
    "--table",
    "slow",
    "--chunk-by",
    "key:id",
    "--chunk-rows",
    "60",
    "--workers",
    "2",
    "--where",
    "pg_sleep(0.004) IS NOT NULL",
];

const DAYS_FLAGS: &[&str] = &[
    "--table",
    "days",
    "--chunk-by",
    "time:at:1 day",
    "--time-zone",
    "UTC",
    "--hive",
];

fn database(name: &str) -> Database {
    let database = Database::create(name);
    database.execute(TABLES);
    database
}

fn export(database: &Database, root: &dyn Root, flags: &[&str]) -> Command {
    let mut command = rig::pgsluice();
    root.equip(&mut command)
        .args(["export", "--from", &database.dsn(), "--to"])
        .arg(root.url())
        .args(["--output", "json", "--quiet", "--takeover"])
        .args(["--lease-interval", "200ms"])
        .args(flags);
    command
}

/// A run that dies at this point.
#[track_caller]
fn dies(database: &Database, root: &dyn Root, flags: &[&str], point: &str) {
    let mut command = export(database, root, flags);
    let outcome = rig::run(command.env("PGSLUICE_CRASH_POINT", point), LIMIT);
    assert_eq!(outcome.signal, Some(SIGABRT), "{point}: {outcome}");
}

fn try_gc(root: &dyn Root, flags: &[&str]) -> Outcome {
    let mut command = rig::pgsluice();
    root.equip(&mut command).arg("gc").arg(root.url());
    command.args(["--output", "json"]).args(flags);
    rig::run(&mut command, LIMIT)
}

#[track_caller]
fn gc(root: &dyn Root, flags: &[&str]) -> Value {
    try_gc(root, flags).expect_code(0).json()
}

/// `kind key` of everything with this verdict, sorted.
fn with_verdict(report: &Value, verdict: &str) -> Vec<String> {
    let places = report["places"].as_array().expect("places").iter();
    let items = places.flat_map(|place| place["items"].as_array().expect("items"));
    let text = |item: &Value, field: &str| item[field].as_str().expect("a text").to_owned();
    let mut found: Vec<String> = items
        .filter(|item| item["verdict"] == verdict)
        .map(|item| format!("{} {}", text(item, "kind"), text(item, "key")))
        .collect();
    found.sort();
    found
}

/// Every file below a folder, staging files included, byte for byte.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            let bytes = fs::read(&path).expect("a file");
            found.insert(path.to_str().expect("UTF-8").to_owned(), bytes);
        }
    }
    found
}

/// All that a store shows, byte for byte.
fn objects(root: &dyn Root) -> BTreeMap<String, Vec<u8>> {
    let keys = root.list("").into_keys();
    let read = |key: String| {
        let bytes = root.get(&key).expect("a listed object").to_vec();
        (key, bytes)
    };
    keys.map(read).collect()
}

fn put(root: &dyn Root, key: &str) {
    let store = root.store();
    let path = object_store::path::Path::parse(key).expect("a key");
    let put = async move { store.put(&path, "of a zombie".into()).await };
    rig::wait(put).expect("it is written");
}

#[track_caller]
fn verify(root: &dyn Root) {
    let mut command = rig::pgsluice();
    command.arg("verify").arg(root.url());
    rig::run(root.equip(&mut command), LIMIT).expect_code(0);
}

#[test]
fn what_killed_runs_left_is_listed_and_deleted_on_disk() {
    let root = TempRoot::new();
    let folder = root.path().to_owned();
    killed_runs("gc_disk", &root, "staging", "#1", &|| files(&folder));
}

#[test]
fn what_killed_runs_left_is_listed_and_deleted_on_s3() {
    let root = S3Root::new("gc");
    // Uploads are no objects: what gc lists of them is compared by the caller.
    killed_runs("gc_s3", &root, "upload", "", &|| objects(&root));
}

fn killed_runs(
    name: &str,
    root: &dyn Root,
    kind: &str,
    suffix: &str,
    all: &dyn Fn() -> BTreeMap<String, Vec<u8>>,
) {
    let database = database(name);
    let part = |epoch: u32| format!("part-00000000-whole-e{epoch}.parquet");
    let begun = |epoch: u32| format!("{kind} {}{suffix}", part(epoch));
    let object = |epoch: u32| format!("object {}", part(epoch));
    let none: [String; 0] = [];

    // The only run died: its writer could be a sleeping one. Nothing goes.
    dies(&database, root, WIDE_FLAGS, "upload-part:kill-after:1");
    let before = all();
    let told = gc(root, &["--delete"]);
    assert_eq!(told["places"][0]["writer"], "silent", "{told:#}");
    assert_eq!(with_verdict(&told, "garbage"), none);
    assert_eq!(with_verdict(&told, "unknown_outcome"), [begun(1)]);
    assert!(
        told["warnings"][0]
            .as_str()
            .is_some_and(|text| text.contains("run the export"))
    );
    assert_eq!(all(), before);

    // The next one died, too: now the first can commit nothing.
    dies(&database, root, WIDE_FLAGS, "complete-upload:kill-after:1");
    let before = all();
    let told = gc(root, &[]);
    assert_eq!(with_verdict(&told, "garbage"), [begun(1)]);
    assert_eq!(with_verdict(&told, "unknown_outcome"), [object(2)]);
    assert_eq!(all(), before, "a dry run changes nothing");
    let young = gc(root, &["--delete", "--older-than", "1h"]);
    assert_eq!(with_verdict(&young, "too_young"), [begun(1)]);
    assert_eq!(all(), before, "all of it is young");
    let done = gc(root, &["--delete"]);
    assert_eq!(done["deleted"]["count"], 1, "{done:#}");
    let told = gc(root, &[]);
    assert_eq!(with_verdict(&told, "garbage"), none);
    assert_eq!(with_verdict(&told, "unknown_outcome"), [object(2)]);
    let mut left = before;
    left.retain(|key, _| !key.ends_with(&format!("{}{suffix}", part(1))));
    assert_eq!(all(), left);

    // A third dies in its upload; the fourth comes to the end.
    dies(&database, root, WIDE_FLAGS, "upload-part:kill-after:1");
    let ended = rig::run(&mut export(&database, root, WIDE_FLAGS), LIMIT).expect_code(0);
    assert_eq!(ended.json()["state"], "complete");
    // A dataset is whole with a dead writer's upload beside it.
    verify(root);
    let told = gc(root, &["--delete"]);
    assert_eq!(with_verdict(&told, "garbage"), [begun(3)]);
    verify(root);

    // What a zombie lands later, and what others keep there.
    let late = [
        part(2),
        "part-00000000-whole-e4-2.parquet".to_owned(),
        "_exceptions/part-00000000-whole-e1.parquet".to_owned(),
    ];
    let foreign = [
        "notes.txt",
        "sub/part-00000000-whole-e1.parquet",
        "part-0-x.parquet",
    ];
    for key in foreign {
        put(root, &format!("{WIDE}/{key}"));
    }
    let before = all();
    for key in &late {
        put(root, &format!("{WIDE}/{key}"));
    }
    let told = gc(root, &["--delete"]);
    assert_eq!(with_verdict(&told, "garbage").len(), late.len(), "{told:#}");
    let named = foreign.map(|key| format!("other {key}"));
    let mut named = named.to_vec();
    named.sort();
    assert_eq!(with_verdict(&told, "foreign"), named);
    assert_eq!(all(), before);
    assert_eq!(sorted_ids(root, WIDE), (1..=30).collect::<Vec<i64>>());
}

#[test]
fn files_of_no_epoch_and_empty_folders_go_from_a_disk() {
    let (database, root) = (database("gc_own"), TempRoot::new());
    let ended = rig::run(&mut export(&database, &root, DAYS_FLAGS), LIMIT);
    ended.expect_code(0);
    let before = files(root.path());
    let days = root.path().join("public/days");
    let probe = format!("_pgsluice/probe-{}", "a1".repeat(16));
    let old = SystemTime::now() - Duration::from_secs(2 * 3600);
    let leave = |path: &Path, age: SystemTime| {
        fs::create_dir_all(path.parent().expect("a folder")).expect("it is made");
        let file = File::create(path).expect("it is written");
        file.set_modified(age).expect("its time is set");
    };
    let garbage = [
        days.join("_pgsluice/lease.json#1"),
        days.join("_pgsluice/log/00000000000000000001.json#3"),
        days.join("_SUCCESS#1"),
        days.join("day=2026-11-22/part-00000000-whole-e1.parquet#1"),
        root.path().join(&probe),
    ];
    for path in &garbage {
        leave(path, old);
    }
    let kept = [
        days.join("_pgsluice/manifest.json#1"),
        days.join("notes.txt#1"),
        root.path()
            .join(format!("_pgsluice/probe-{}", "b2".repeat(16))),
    ];
    for path in &kept {
        leave(path, SystemTime::now());
    }
    fs::create_dir(days.join("day=2026-11-23")).expect("it is made");
    let told = gc(&root, &["--delete"]);
    let folders = with_verdict(&told, "garbage");
    assert_eq!(folders.len(), garbage.len() + 1, "{told:#}");
    assert_eq!(with_verdict(&told, "too_young").len(), 2, "{told:#}");
    assert_eq!(with_verdict(&told, "foreign"), ["staging notes.txt#1"]);
    for folder in ["day=2026-11-22", "day=2026-11-23"] {
        assert!(!days.join(folder).exists(), "{folder} is empty");
    }
    for path in &kept {
        fs::remove_file(path).expect("it was kept");
    }
    assert_eq!(files(root.path()), before);
    verify(&root);
}

/// Its objects are called as those of the dataset around it would be, which names none of them.
#[test]
fn a_dataset_in_a_folder_of_another_is_left_alone() {
    let database = database("gc_nested");
    let roots: [Box<dyn Root>; 2] = [Box::new(TempRoot::new()), Box::new(S3Root::new("gc-n"))];
    for root in roots {
        let root = &*root;
        let flat = [WIDE_FLAGS, &["--layout", ""]].concat();
        rig::run(&mut export(&database, root, &flat), LIMIT).expect_code(0);
        let mut inner = rig::pgsluice();
        root.equip(&mut inner)
            .args(["export", "--from", &database.dsn(), "--layout", ""])
            .args(["--to", &format!("{}/day=2026-11-22", root.url())])
            .args(["--table", "slow", "--chunk-by", "none"]);
        rig::run(&mut inner, LIMIT).expect_code(0);
        let before = objects(root);
        let told = gc(root, &["--delete"]);
        assert_eq!(told["deleted"]["count"], 0, "{told:#}");
        let foreign = with_verdict(&told, "foreign");
        assert_eq!(foreign, ["other day=2026-11-22/"]);
        assert_eq!(objects(root), before);
    }
}

/// What a run deletes before it completes is no wider than what gc does.
#[test]
fn a_hive_export_that_is_gone_on_with_leaves_a_dataset_in_a_folder_alone() {
    let (database, root) = (database("gc_hive"), TempRoot::new());
    let outer = [DAYS_FLAGS, &["--layout", "", "--workers", "1"]].concat();
    let paused = [&outer[..], &["--max-chunks", "1"]].concat();
    rig::run(&mut export(&database, &root, &paused), LIMIT).expect_code(0);
    let inner = root.path().join("day=2026-11-22");
    let mut command = rig::pgsluice();
    command
        .args(["export", "--from", &database.dsn(), "--layout", ""])
        .args(["--table", "slow", "--chunk-by", "none", "--to"])
        .arg(&inner);
    rig::run(&mut command, LIMIT).expect_code(0);
    let before = files(&inner);
    let ended = rig::run(&mut export(&database, &root, &outer), LIMIT).expect_code(0);
    assert_eq!(ended.json()["state"], "complete", "{ended}");
    assert_eq!(files(&inner), before);
}

#[test]
fn beside_a_running_export_nothing_of_it_is_touched() {
    let rounds = std::env::var("PGSLUICE_GC_ROUNDS").map_or(2, |text| text.parse().unwrap());
    let database = database("gc_beside");
    for round in 0..rounds {
        let roots: [Box<dyn Root>; 2] = [Box::new(TempRoot::new()), Box::new(S3Root::new("gc-b"))];
        for root in roots {
            let nth = 1 + round % 4;
            dies(
                &database,
                &*root,
                SLOW_FLAGS,
                &format!("read-footer:kill-before:{nth}"),
            );
            beside(&database, &*root);
        }
    }
}

/// A run that goes on behind a dead one, while gc deletes as fast as it can.
fn beside(database: &Database, root: &dyn Root) {
    let mut running = rig::start(&mut export(database, root, SLOW_FLAGS));
    let (mut times, mut in_use) = (0, 0);
    while running.is_running() {
        let told = try_gc(root, &["--delete"]).expect_code(0).json();
        in_use += with_verdict(&told, "in_use").len();
        times += 1;
    }
    let ended = running.wait(LIMIT).expect_code(0);
    assert_eq!(ended.json()["state"], "complete", "{ended}");
    println!(
        "{}: gc ran {times} times, {in_use} things in use",
        root.url()
    );
    verify(root);
    assert_eq!(
        sorted_ids(root, "public/slow"),
        (1..=600).collect::<Vec<i64>>()
    );
    let told = gc(root, &[]);
    let none: [String; 0] = [];
    assert_eq!(with_verdict(&told, "garbage"), none);
}

#[test]
fn a_folder_without_datasets_and_a_damaged_log_are_told() {
    let (database, root) = (database("gc_told"), TempRoot::new());
    fs::write(root.path().join("notes.txt"), "mine").expect("it is written");
    let refused = try_gc(&root, &["--delete"]).expect_code(2).json();
    assert!(refused["error"]["advice"].is_string(), "{refused:#}");

    rig::run(&mut export(&database, &root, WIDE_FLAGS), LIMIT).expect_code(0);
    rig::run(&mut export(&database, &root, SLOW_FLAGS), LIMIT).expect_code(0);
    let (wide, slow) = ("public/wide", "public/slow");
    let part = "part-00000000-whole-e1-2.parquet";
    for folder in [wide, slow] {
        put(&root, &format!("{folder}/{part}"));
    }
    let log = root.path().join(wide).join("_pgsluice/log");
    fs::write(log.join("00000000000000000002.json"), "{}").expect("it is damaged");
    let told = try_gc(&root, &["--delete"]).expect_code(5).json();
    assert_eq!(told["deleted"]["count"], 1, "{told:#}");
    assert!(root.get(&format!("{wide}/{part}")).is_some(), "left alone");
    assert!(root.get(&format!("{slow}/{part}")).is_none(), "deleted");
}
