//! Run after run over a growing table: each takes what is new, and together they are the table.

mod unfinished;

use std::time::Duration;

use serde_json::Value;

use crate::rig::{self, Database, Root, TempRoot};
use crate::scenario::{export, export_command, sorted_ids, try_export};

const FOLDER: &str = "public/t";

/// The ids that the table holds now.
fn source_ids(database: &Database) -> Vec<i64> {
    let sql = "SELECT coalesce(string_agg(id::text, ',' ORDER BY id), '') FROM t";
    let list = database.query_one_text(sql);
    let ids = list.split(',').filter(|id| !id.is_empty());
    ids.map(|id| id.parse().unwrap()).collect()
}

fn manifest(root: &TempRoot) -> Value {
    root.get_json(&format!("{FOLDER}/_pgsluice/manifest.json"))
}

fn runs(root: &TempRoot) -> Vec<Value> {
    let manifest = manifest(root);
    manifest["incremental"]["runs"].as_array().unwrap().clone()
}

/// Verifies, against the source too, and gives the kinds of what was found.
#[track_caller]
fn verify(root: &TempRoot, database: &Database, code: i32) -> Vec<String> {
    let outcome = rig::run(
        rig::pgsluice()
            .args(["verify", "--output", "json", "--against", &database.dsn()])
            .arg(root.path()),
        Duration::from_secs(60),
    );
    let report = outcome.expect_code(code).json();
    let findings = report["datasets"][0]["findings"].as_array().unwrap();
    let kinds = findings.iter().map(|found| found["kind"].as_str().unwrap());
    kinds.map(str::to_owned).collect()
}

/// Three runs with these flags; `grow` adds rows, given the number of the run.
fn three_runs(database: &Database, flags: &[&str], grow: impl Fn(u32) -> String) -> TempRoot {
    let root = TempRoot::new();
    for run in 1..=3 {
        database.execute(&grow(run));
        database.execute("ANALYZE t");
        let report = export(database, "t", &root, flags);
        assert_eq!(sorted_ids(&root, FOLDER), source_ids(database), "run {run}");
        let expected = if run == 1 { "snapshot" } else { "incremental" };
        assert_eq!(report["consistency"], expected, "{report:#}");
        assert_eq!(manifest(&root)["consistency"], expected);
        assert_eq!(runs(&root).len(), run as usize);
        assert_eq!(
            verify(&root, database, 0),
            Vec::<String>::new(),
            "run {run}"
        );
    }
    root
}

#[test]
fn three_runs_over_integers_equal_the_table() {
    let database = Database::create("incr_int");
    database.execute("CREATE TABLE t (id int PRIMARY KEY, note text)");
    let flags = ["--incremental", "id", "--chunk-rows", "700"];
    let root = three_runs(&database, &flags, |run| {
        format!(
            "INSERT INTO t SELECT i, md5(i::text) FROM generate_series(2000 * {run}, 2000 * {run} \
             + 1999) i"
        )
    });
    let runs = runs(&root);
    assert_eq!(runs[0].get("lower"), None);
    assert_eq!(
        (&runs[0]["upper"], &runs[1]["lower"]),
        (&"3999".into(), &"3999".into())
    );
    assert_eq!(runs[2]["upper"], "7999");
    let totals = runs
        .iter()
        .map(|run| run["totals"]["rows"].as_u64().unwrap());
    assert_eq!(totals.collect::<Vec<_>>(), [2000, 2000, 2000]);
    // Later runs are cut along the index, evenly.
    let chunks = runs
        .iter()
        .map(|run| run["totals"]["chunks"].as_u64().unwrap());
    assert_eq!(chunks.skip(1).collect::<Vec<_>>(), [3, 3]);
    let status = rig::run(
        rig::pgsluice()
            .args(["status", "--output", "json"])
            .arg(root.path()),
        Duration::from_secs(20),
    );
    let status = status.expect_code(0).json();
    assert_eq!(
        status["datasets"][0]["runs"].as_array().map(Vec::len),
        Some(3)
    );
}

#[test]
fn times_with_gaps_and_duplicates_and_no_index() {
    let database = Database::create("incr_time");
    database.execute("CREATE TABLE t (id int, at timestamptz NOT NULL)");
    let root = three_runs(&database, &["--incremental", "at"], |run| {
        format!(
            "INSERT INTO t SELECT i, timestamptz '2024-03-30 12:00+00' + (i / 10) * interval '1 \
             hour' + (i / 10) * interval '1 microsecond' \
             FROM generate_series(1000 * {run}, 1000 * {run} + 999) i"
        )
    });
    assert_eq!(runs(&root).len(), 3);
}

#[test]
fn texts_that_sort_by_time_with_small_chunks() {
    let database = Database::create("incr_text");
    database.execute("CREATE TABLE t (id int, u text PRIMARY KEY)");
    let flags = ["--incremental", "u", "--chunk-rows", "300"];
    three_runs(&database, &flags, |run| {
        format!(
            "INSERT INTO t SELECT i, lpad(to_hex(i / 10), 12, '0') || '-''7' || md5(i::text) \
             FROM generate_series(1000 * {run}, 1000 * {run} + 999) i"
        )
    });
}

#[test]
fn a_partitioned_table_grows_into_new_partitions_and_loses_old_ones() {
    let database = Database::create("incr_part");
    database.execute("CREATE TABLE t (id int NOT NULL, note text) PARTITION BY RANGE (id)");
    let flags = ["--incremental", "id"];
    let root = three_runs(&database, &flags, |run| {
        format!(
            "CREATE TABLE t{run} PARTITION OF t FOR VALUES FROM ({run}000) TO ({run}999);
             CREATE INDEX ON t{run} (id);
             INSERT INTO t SELECT i, 'x' FROM generate_series({run}000, {run}998) i"
        )
    });
    let relations = manifest(&root)["relations"].as_array().unwrap().len();
    assert_eq!(relations, 3, "partitions without news are left out");
    database.execute("DROP TABLE t1; INSERT INTO t VALUES (3998, 'y')");
    database.execute("ALTER TABLE t3 RENAME TO old");
    let nothing = export(&database, "t", &root, &flags);
    assert_eq!(nothing["tables"][0]["was_complete"], true, "{nothing:#}");
}

#[test]
fn every_version_tells_a_columns_order_and_subtracts() {
    for major in 13..=18 {
        let database = Database::create_on(major, "incr_major");
        database.execute(
            "CREATE DOMAIN moment AS timestamptz;
             CREATE TABLE base (id int, at moment, n numeric); CREATE INDEX ON base (at);
             CREATE VIEW t AS SELECT * FROM base",
        );
        let add = "INSERT INTO base SELECT i, timestamptz '2026-01-01 00:00+00' + i * interval '1 \
                   hour', i / 10.0 FROM generate_series";
        let flags = [
            ("base", ["--incremental", "at", "--overlap", "2 hours"]),
            ("t", ["--incremental", "n", "--overlap", "0.2"]),
        ];
        let roots = [TempRoot::new(), TempRoot::new()];
        for (from, to) in [(1, 50), (51, 99)] {
            database.execute(&format!("{add}({from}, {to}) i"));
            for ((table, flags), root) in flags.iter().zip(&roots) {
                export(&database, table, root, flags);
            }
        }
        for ((table, _), root) in flags.iter().zip(&roots) {
            let ids = sorted_ids(root, &format!("public/{table}"));
            let mut expected: Vec<i64> = (1..=50).chain(49..=99).collect();
            expected.sort_unstable();
            assert_eq!(ids, expected, "{table} on {major}");
        }
    }
}

#[test]
fn days_in_folders_grow_by_the_days_that_are_new() {
    let database = Database::create("incr_hive");
    database.execute("CREATE TABLE t (id int, at timestamptz NOT NULL); CREATE INDEX ON t (at)");
    let flags = [
        "--incremental",
        "at",
        "--chunk-by",
        "time:at:1 day",
        "--hive",
    ];
    let root = TempRoot::new();
    let folders = |epoch: &str| {
        let keys = root.list(FOLDER).into_keys();
        let keys = keys.filter(|key| key.ends_with(epoch));
        let mut days: Vec<String> = keys
            .map(|key| key.split('/').rev().nth(1).unwrap().to_owned())
            .collect();
        days.dedup();
        days
    };
    for (run, from, to) in [(1, 0, 240), (2, 241, 260)] {
        database.execute(&format!(
            "INSERT INTO t SELECT i, timestamptz '2026-03-01 00:00+00' + i * interval '1 hour'
             FROM generate_series({from}, {to}) i; ANALYZE t"
        ));
        export(&database, "t", &root, &flags);
        assert_eq!(
            sorted_ids(&root, FOLDER),
            source_ids(&database),
            "run {run}"
        );
        assert_eq!(
            verify(&root, &database, 0),
            Vec::<String>::new(),
            "run {run}"
        );
    }
    assert!(folders("-e1.parquet").contains(&"at_date=2026-03-01".to_owned()));
    assert_eq!(folders("-e2.parquet"), ["at_date=2026-03-11"]);
    let chunks = runs(&root)[1]["totals"]["chunks"].as_u64().unwrap();
    assert!(chunks < 5, "{chunks} chunks for one new day");
}

#[test]
fn nothing_new_writes_nothing_and_says_so() {
    let database = Database::create("incr_none");
    database.execute("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1), (2)");
    let root = TempRoot::new();
    export(&database, "t", &root, &["--incremental", "id"]);
    let before = root.list("");
    let report = export(&database, "t", &root, &["--incremental", "id"]);
    assert_eq!(report["tables"][0]["was_complete"], true);
    assert!(
        report["warnings"][0]
            .as_str()
            .unwrap()
            .contains("nothing is new"),
        "{report:#}"
    );
    assert_eq!(root.list(""), before);
}

#[test]
fn an_empty_table_and_one_of_nulls_begin_a_dataset_too() {
    let database = Database::create("incr_null");
    database.execute("CREATE TABLE t (id int, at timestamp)");
    let root = TempRoot::new();
    let flags = ["--incremental", "at"];
    export(&database, "t", &root, &flags);
    database.execute("INSERT INTO t VALUES (1, '2026-01-01'), (2, NULL)");
    let report = export(&database, "t", &root, &flags);
    // The first run took the rows without a value, when there were none.
    assert_eq!(sorted_ids(&root, FOLDER), [1]);
    assert!(
        report["warnings"]
            .to_string()
            .contains("NULL are taken by the first run only")
    );
    let again = TempRoot::new();
    export(&database, "t", &again, &flags);
    assert_eq!(sorted_ids(&again, FOLDER), [1, 2]);
    database.execute("INSERT INTO t VALUES (3, '2026-01-02'), (4, NULL)");
    export(&database, "t", &again, &flags);
    assert_eq!(sorted_ids(&again, FOLDER), [1, 2, 3]);
}

#[test]
fn a_late_commit_within_the_overlap_is_found_and_its_neighbours_come_twice() {
    let database = Database::create("incr_late");
    database.execute("CREATE TABLE t (id int PRIMARY KEY, note text)");
    database.execute("INSERT INTO t SELECT i, 'x' FROM generate_series(1, 90) i");
    let late = database.session();
    late.execute("BEGIN; INSERT INTO t VALUES (95, 'late')");
    database.execute("INSERT INTO t SELECT i, 'x' FROM generate_series(96, 100) i");
    let (without, with) = (TempRoot::new(), TempRoot::new());
    let plain = ["--incremental", "id"];
    let overlap = ["--incremental", "id", "--overlap", "10"];
    export(&database, "t", &without, &plain);
    export(&database, "t", &with, &overlap);
    late.execute("COMMIT");
    database.execute("INSERT INTO t VALUES (101, 'new')");
    export(&database, "t", &without, &plain);
    export(&database, "t", &with, &overlap);
    let missed: Vec<i64> = (1..=94)
        .chain(96..=101)
        .filter(|id| *id <= 90 || *id > 95)
        .collect();
    assert_eq!(sorted_ids(&without, FOLDER), missed);
    // 90 < id: 95 is new there, 96 to 100 come again.
    let mut ids = sorted_ids(&with, FOLDER);
    assert_eq!(ids.len(), source_ids(&database).len() + 5);
    ids.dedup();
    assert_eq!(ids, source_ids(&database));
    assert_eq!(runs(&with)[1]["lower"], "90");
    // The first run's window holds a row now that it did not see.
    assert_eq!(verify(&with, &database, 8), ["source_count"]);
}

#[test]
fn overlaps_are_distances_of_the_columns_type() {
    let database = Database::create("incr_overlap");
    database.execute(
        "CREATE TABLE t (id int2 PRIMARY KEY, n numeric, d date, at timestamptz, u text, f float8);
         INSERT INTO t VALUES (-32760, 1.5, '2026-01-10', '2026-01-10 00:00+00', 'a', 1)",
    );
    let bad = [
        ("id", "1 day"),
        ("id", "-1"),
        ("id", "NaN"),
        ("n", "x"),
        ("d", "3"),
        ("at", "-1 day"),
        ("at", "soon"),
        ("u", "1"),
    ];
    for (column, overlap) in bad {
        let root = TempRoot::new();
        let flags = ["--incremental", column, &format!("--overlap={overlap}")];
        let outcome = try_export(&database, "t", &root, &flags).expect_code(2);
        assert!(
            outcome.stderr.contains("overlap"),
            "{column} {overlap}: {outcome}"
        );
        assert!(!root.path().join("public").exists(), "{column} {overlap}");
    }
    let good = [
        ("id", "10", None),
        ("id", "7.5", Some("-32768")),
        ("n", "1", Some("0.5")),
        ("d", "36 hours", Some("2026-01-08")),
        ("at", "1 day", Some("2026-01-09 00:00:00+00")),
    ];
    for (column, overlap, lower) in good {
        let root = TempRoot::new();
        let flags = ["--incremental", column, "--overlap", overlap];
        export(&database, "t", &root, &flags);
        database.execute("INSERT INTO t VALUES (5, 9, '2027-01-10', '2027-01-10', 'b', 2)");
        export(&database, "t", &root, &flags);
        assert_eq!(
            runs(&root)[1]["lower"].as_str(),
            lower,
            "{column} {overlap}"
        );
        database.execute("DELETE FROM t WHERE id = 5");
    }
}

#[test]
fn columns_that_do_not_grow_are_refused_before_anything_is_read() {
    let database = Database::create("incr_bad");
    database.execute(
        "CREATE COLLATION loose (provider = icu, locale = 'und', deterministic = false);
         CREATE TABLE t (id int, f float8, j json, a int[], c text COLLATE loose, at timestamp);
         INSERT INTO t VALUES (1, 1, '1', '{1}', 'x', 'infinity')",
    );
    for column in ["nope", "f", "j", "a", "c", "at"] {
        let root = TempRoot::new();
        let outcome = try_export(&database, "t", &root, &["--incremental", column]).expect_code(2);
        assert!(
            outcome.stderr.contains("--incremental"),
            "{column}: {outcome}"
        );
        assert!(!root.path().join("public").exists(), "{column}");
    }
    let finite = ["--incremental", "at", "--where", "at < 'infinity'"];
    export(&database, "t", &TempRoot::new(), &finite);
}

/// The second run is killed once some of its chunks are committed.
fn killed_in_the_second_run(database: &Database, root: &TempRoot, flags: &[&str]) {
    export(database, "t", root, flags);
    let log = root.path().join(format!("{FOLDER}/_pgsluice/log"));
    let entries = || std::fs::read_dir(&log).map_or(0, Iterator::count);
    let before = entries();
    database.execute("INSERT INTO t SELECT i, md5(i::text) FROM generate_series(1001, 61000) i");
    let mut running = rig::start(&mut export_command(database, "t", root, flags));
    for _ in 0..4000 {
        if entries() >= before + 5 {
            break;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(running.is_running(), "it ended before it was killed");
    running.kill();
}

const SMALL: [&str; 6] = [
    "--incremental",
    "id",
    "--chunk-rows",
    "500",
    "--workers",
    "1",
];

#[test]
fn killed_in_the_second_run_it_goes_on_under_a_new_snapshot_without_loss_or_double() {
    let database = Database::create("incr_kill");
    database.execute(
        "CREATE TABLE t (id int PRIMARY KEY, note text);
         INSERT INTO t SELECT i, 'x' FROM generate_series(1, 1000) i",
    );
    let root = TempRoot::new();
    killed_in_the_second_run(&database, &root, &SMALL);
    assert!(!root.path().join(FOLDER).join("_SUCCESS").exists());
    let found = verify(&root, &database, 8);
    assert!(
        found.contains(&"dataset_incomplete".to_owned()),
        "{found:?}"
    );
    assert!(!found.contains(&"manifest_early".to_owned()), "{found:?}");
    std::fs::write(root.path().join(FOLDER).join("_SUCCESS"), b"{}").unwrap();
    assert!(verify(&root, &database, 8).contains(&"success_early".to_owned()));
    // Rows that come now belong to the run after it.
    database.execute("INSERT INTO t SELECT i, 'later' FROM generate_series(61001, 61100) i");
    let report = export(&database, "t", &root, &SMALL);
    assert_eq!(report["consistency"], "mixed", "{report:#}");
    assert!(report["tables"][0]["chunks_skipped"].as_u64() > Some(1));
    assert_eq!(sorted_ids(&root, FOLDER), (1..=61_000).collect::<Vec<_>>());
    export(&database, "t", &root, &SMALL);
    assert_eq!(sorted_ids(&root, FOLDER), source_ids(&database));
    assert_eq!(verify(&root, &database, 0), Vec::<String>::new());
    assert_eq!(runs(&root).len(), 3);
}

#[test]
fn a_run_by_pages_that_was_killed_begins_anew_and_keeps_the_runs_before_it() {
    let database = Database::create("incr_ctid");
    database.execute(
        "CREATE TABLE t (id int PRIMARY KEY, note text);
         INSERT INTO t SELECT i, 'x' FROM generate_series(1, 1000) i; ANALYZE t",
    );
    let root = TempRoot::new();
    let flags = [&SMALL[..], &["--chunk-by", "ctid"]].concat();
    let first = |root: &TempRoot| {
        let listed = root.list(FOLDER).into_keys();
        listed
            .filter(|key| key.ends_with("-e1.parquet"))
            .collect::<Vec<_>>()
    };
    killed_in_the_second_run(&database, &root, &flags);
    let kept = first(&root);
    let report = export(&database, "t", &root, &flags);
    assert_eq!(report["consistency"], "incremental", "{report:#}");
    assert_eq!(sorted_ids(&root, FOLDER), source_ids(&database));
    assert_eq!(first(&root), kept);
    let dead = root
        .list(FOLDER)
        .into_keys()
        .filter(|key| key.ends_with("-e2.parquet"));
    assert_eq!(dead.count(), 0, "objects of the dead epoch are deleted");
}

#[test]
fn of_two_writers_one_takes_the_next_run() {
    let database = Database::create("incr_two");
    database.execute(
        "CREATE TABLE t (id int PRIMARY KEY, note text);
         INSERT INTO t SELECT i, 'x' FROM generate_series(1, 1000) i",
    );
    let root = TempRoot::new();
    export(&database, "t", &root, &SMALL);
    database.execute("INSERT INTO t SELECT i, 'x' FROM generate_series(1001, 30000) i");
    let start = || rig::start(&mut export_command(&database, "t", &root, &SMALL));
    let both = [start(), start(), start()];
    let codes: Vec<_> = both
        .into_iter()
        .map(|running| running.wait(Duration::from_secs(120)).code)
        .collect();
    assert!(codes.contains(&Some(0)), "{codes:?}");
    assert!(
        codes.iter().all(|code| matches!(code, Some(0 | 5))),
        "{codes:?}"
    );
    assert_eq!(sorted_ids(&root, FOLDER), source_ids(&database));
    assert_eq!(runs(&root).len(), 2);
    assert_eq!(verify(&root, &database, 0), Vec::<String>::new());
}

#[test]
fn only_a_dataset_that_was_begun_so_goes_on() {
    let database = Database::create("incr_other");
    database.execute("CREATE TABLE t (id int PRIMARY KEY, b int); INSERT INTO t VALUES (1, 1)");
    let (plain, grown) = (TempRoot::new(), TempRoot::new());
    export(&database, "t", &plain, &[]);
    try_export(&database, "t", &plain, &["--incremental", "id"]).expect_code(5);
    export(&database, "t", &grown, &["--incremental", "id"]);
    try_export(&database, "t", &grown, &["--incremental", "b"]).expect_code(5);
    try_export(&database, "t", &grown, &[]).expect_code(5);
}
