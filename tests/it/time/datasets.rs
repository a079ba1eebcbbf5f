//! Exports in hive folders, from end to end: verified, resumed, damaged, and read by others.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::rig::{self, Database, TempRoot, python};
use crate::scenario::{export, sorted_ids, try_export, verify};

/// One day of local time in each folder, in a zone whose midnight of 4 November comes twice.
const BY_DAY: [&str; 5] = [
    "--chunk-by",
    "time:at:1 day",
    "--time-zone",
    "America/Havana",
    "--hive",
];

/// Ten minutes apart for twelve days, and rows that no day has.
fn events(database: &Database) {
    database.execute(
        "CREATE TABLE t (id int PRIMARY KEY, at timestamptz, note text);
         INSERT INTO t SELECT i, timestamptz '2018-10-30 00:00+00' + i * interval '10 minutes',
           md5(i::text) FROM generate_series(1, 1728) i;
         INSERT INTO t VALUES (0, NULL), (-1, 'infinity'), (-2, '-infinity');
         CREATE INDEX ON t (at); ANALYZE t",
    );
}

fn exceptions(flags: &[&'static str]) -> Vec<&'static str> {
    let kept = ["--on-unrepresentable", "exceptions", "--workers", "1"];
    flags.iter().copied().chain(kept).collect()
}

/// The rows below each folder of a dataset, by its manifest.
fn rows_by_folder(root: &TempRoot) -> BTreeMap<String, u64> {
    let manifest = std::fs::read(root.path().join("public/t/_pgsluice/manifest.json")).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    let mut rows = BTreeMap::new();
    for (key, count) in rig::listed_objects(&manifest) {
        let (folder, _) = key.rsplit_once('/').unwrap_or(("", &key));
        *rows.entry(folder.to_owned()).or_default() += count;
    }
    rows
}

/// The folders on the disk that are a partition's.
fn folders(root: &TempRoot) -> BTreeSet<String> {
    let entries = std::fs::read_dir(root.path().join("public/t"))
        .unwrap()
        .flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.contains('=')).collect()
}

/// Trap 23: where clocks go back, a day bounded by its second midnight loses its first hour.
#[test]
fn the_hour_that_comes_twice_stands_in_its_own_day() {
    let database = Database::create("hive_havana");
    events(&database);
    let root = TempRoot::new();
    export(&database, "t", &root, &exceptions(&BY_DAY));
    let session = database.session();
    session.execute("SET TimeZone = 'America/Havana'");
    let expected = session.query_text(
        "SELECT CASE WHEN isfinite(at) THEN to_char(at, 'YYYY-MM-DD')
           ELSE '__HIVE_DEFAULT_PARTITION__' END, count(*) FROM t GROUP BY 1",
    );
    let expected: BTreeMap<String, u64> = expected
        .into_iter()
        .map(|row| {
            (
                format!("at_date={}", row[0].as_ref().unwrap()),
                row[1].as_ref().unwrap().parse().unwrap(),
            )
        })
        .collect();
    assert_eq!(expected["at_date=2018-11-04"], 150, "a day of 25 hours");
    assert_eq!(rows_by_folder(&root), expected);
    assert_eq!(folders(&root), expected.into_keys().collect());
    assert_eq!(
        sorted_ids(&root, "public/t"),
        (-2..=1728).collect::<Vec<_>>()
    );
    let verified = verify(&root);
    assert_eq!(
        verified["datasets"].as_array().map(Vec::len),
        Some(1),
        "{verified:#}"
    );
    let again = export(&database, "t", &root, &exceptions(&BY_DAY));
    assert_eq!(again["tables"][0]["this_run"]["rows"], 0, "{again}");
}

/// Exports the open ends and the first four days, and pauses.
fn paused(database: &Database, root: &TempRoot, flags: &[&str]) {
    let flags: Vec<&str> = flags.iter().copied().chain(["--max-chunks", "6"]).collect();
    let report = export(database, "t", root, &flags);
    assert_eq!(report["tables"][0]["state"], "paused", "{report}");
}

fn parts_below(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().flatten();
    let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|kind| kind == "parquet"));
    paths.sort();
    paths
}

#[test]
fn a_paused_hive_dataset_goes_on_and_later_rows_join_their_day() {
    let database = Database::create("hive_resume");
    events(&database);
    let root = TempRoot::new();
    let flags = exceptions(&[&BY_DAY[..4], &["--hive=Day"]].concat());
    paused(&database, &root, &flags);
    // Beyond the last day that was planned, and inside of the plan.
    database.execute(
        "INSERT INTO t VALUES (2000, '2019-01-01', 'late'), (2001, '2018-11-10 12:00+00', 'x')",
    );
    let lost = root.path().join("public/t/Day=2018-10-30");
    std::fs::remove_file(&parts_below(&lost)[0]).unwrap();
    let report = export(&database, "t", &root, &flags);
    assert_eq!(report["tables"][0]["consistency"], "mixed", "{report}");
    assert!(
        report["tables"][0]["chunks_skipped"].as_u64() > Some(0),
        "{report}"
    );
    verify(&root);
    let ids = sorted_ids(&root, "public/t");
    // What came later than the plan's end was not there when the ends were read.
    let expected: Vec<i64> = (-2..=1728).chain([2001]).collect();
    assert_eq!(ids, expected);
    assert_eq!(parts_below(&lost).len(), 1);
}

/// Rows that came since would lie in the open chunk, which has no folder of theirs.
#[test]
fn a_lost_open_end_starts_the_table_again_under_another_snapshot() {
    let database = Database::create("hive_open");
    events(&database);
    let root = TempRoot::new();
    paused(&database, &root, &exceptions(&BY_DAY));
    let unplaced = root
        .path()
        .join("public/t/at_date=__HIVE_DEFAULT_PARTITION__");
    for part in parts_below(&unplaced) {
        std::fs::remove_file(part).unwrap();
    }
    database.execute("DELETE FROM t WHERE id < 400 AND id > 0; INSERT INTO t VALUES (2000, '2019-01-01', 'late')");
    let report = export(&database, "t", &root, &exceptions(&BY_DAY));
    assert_eq!(report["tables"][0]["consistency"], "snapshot", "{report}");
    let warnings = report["warnings"].to_string();
    assert!(warnings.contains("lie in no folder"), "{warnings}");
    let rows = rows_by_folder(&root);
    assert_eq!(rows["at_date=2018-12-31"], 1, "{rows:?}");
    // The first epoch's objects went, and their folders with them.
    assert_eq!(folders(&root), rows.into_keys().collect());
    verify(&root);
}

#[test]
fn what_lies_in_folders_is_known_to_every_command() {
    let database = Database::create("hive_known");
    events(&database);
    let root = TempRoot::new();
    let stranger = root
        .path()
        .join("public/t/at_date=2018-11-01/foreign.parquet");
    std::fs::create_dir_all(stranger.parent().unwrap()).unwrap();
    std::fs::write(&stranger, b"PAR1").unwrap();
    let outcome = try_export(&database, "t", &root, &exceptions(&BY_DAY)).expect_code(5);
    assert!(
        outcome.stderr.contains("foreign.parquet"),
        "{}",
        outcome.stderr
    );
    std::fs::remove_file(&stranger).unwrap();
    export(&database, "t", &root, &exceptions(&BY_DAY));
    std::fs::write(&stranger, b"PAR1").unwrap();
    assert!(errors(&root, 8).contains("object_extra"));
    std::fs::remove_file(&stranger).unwrap();
    // Without its log it is still found as one dataset, by the objects in its folders.
    std::fs::remove_dir_all(root.path().join("public/t/_pgsluice")).unwrap();
    let found = report(&root, 8);
    assert_eq!(
        found["datasets"].as_array().map(Vec::len),
        Some(1),
        "{found:#}"
    );
    let place = found["datasets"][0]["root"].as_str().unwrap();
    assert!(place.ends_with("public/t"), "{place}");
    // Another layout on the same root is another export.
    let other = TempRoot::new();
    export(&database, "t", &other, &exceptions(&BY_DAY));
    let flat = try_export(&database, "t", &other, &exceptions(&BY_DAY[..4])).expect_code(5);
    assert!(flat.stderr.contains("--hive"), "{}", flat.stderr);
}

fn report(root: &TempRoot, code: i32) -> Value {
    let mut command = rig::pgsluice();
    command
        .arg("verify")
        .arg(root.path())
        .args(["--output", "json"]);
    rig::run(&mut command, Duration::from_secs(60))
        .expect_code(code)
        .json()
}

fn errors(root: &TempRoot, code: i32) -> String {
    report(root, code)["datasets"][0]["findings"].to_string()
}

/// DuckDB and Spark open the files of one day only, and see the same rows as PostgreSQL.
#[test]
fn readers_prune_by_folder() {
    let database = Database::create("hive_readers");
    events(&database);
    let root = TempRoot::new();
    export(&database, "t", &root, &exceptions(&BY_DAY));
    let session = database.session();
    session.execute("SET TimeZone = 'America/Havana'");
    let one = |sql: &str| session.query_one_text(sql).parse::<i64>().unwrap();
    let of_day = "FROM t WHERE at::date = '2018-11-04'";
    let folder = root.path().join("public/t").to_str().unwrap().to_owned();
    let mut read = python("read_hive.py", [folder.as_str(), "at_date", "2018-11-04"]);
    let seen = rig::run(&mut read, Duration::from_secs(300))
        .expect_code(0)
        .json();
    for reader in ["duckdb", "spark"] {
        let seen = &seen[reader];
        assert_eq!(
            seen["rows"],
            one("SELECT count(*) FROM t"),
            "{reader}: {seen}"
        );
        assert_eq!(
            seen["sum"],
            one("SELECT sum(id) FROM t"),
            "{reader}: {seen}"
        );
        assert_eq!(
            seen["kept_rows"],
            one(&format!("SELECT count(*) {of_day}")),
            "{reader}: {seen}"
        );
        assert_eq!(
            seen["kept_sum"],
            one(&format!("SELECT sum(id) {of_day}")),
            "{reader}: {seen}"
        );
        assert_eq!(seen["opened"], 1, "{reader}: {seen}");
        assert!(seen["files"].as_i64() > Some(12), "{reader}: {seen}");
    }
}

/// Leaves are cut each by its own times and share the folders; a query is cut by a column of it.
#[test]
fn partitions_and_queries_share_the_calendar() {
    let database = Database::create("hive_parts");
    database.execute(
        "CREATE TABLE t (id int NOT NULL, at timestamptz, note text) PARTITION BY HASH (id);
         CREATE TABLE t0 PARTITION OF t FOR VALUES WITH (MODULUS 2, REMAINDER 0);
         CREATE TABLE t1 PARTITION OF t FOR VALUES WITH (MODULUS 2, REMAINDER 1);
         INSERT INTO t SELECT i, timestamptz '2018-10-30 00:00+00' + i * interval '1 hour', 'x'
           FROM generate_series(1, 300) i;
         CREATE INDEX ON t (at); ANALYZE t",
    );
    let expected = database.session().query_text(
        "SELECT to_char(at AT TIME ZONE 'America/Havana', 'YYYY-MM-DD'), count(*) FROM t GROUP BY 1",
    );
    let expected: BTreeMap<String, u64> = expected
        .into_iter()
        .map(|row| {
            let (day, rows) = (row[0].clone().unwrap(), row[1].clone().unwrap());
            (format!("at_date={day}"), rows.parse().unwrap())
        })
        .collect();
    let root = TempRoot::new();
    export(&database, "t", &root, &BY_DAY);
    assert_eq!(rows_by_folder(&root), expected);
    verify(&root);
    let root = TempRoot::new();
    let mut command = rig::pgsluice();
    command
        .args([
            "export",
            "--from",
            &database.dsn(),
            "--query",
            "SELECT id, at, note FROM public.t",
        ])
        .args(["--name", "public.t", "--to", &crate::rig::Root::url(&root)])
        .args(BY_DAY);
    rig::run(&mut command, Duration::from_secs(60)).expect_code(0);
    assert_eq!(rows_by_folder(&root), expected);
    assert_eq!(sorted_ids(&root, "public/t"), (1..=300).collect::<Vec<_>>());
}
