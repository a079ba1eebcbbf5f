//! Ways of cutting, pausing, choosing and going on, together: what each alone does right must
//! stay right beside the others.

use serde_json::Value;

use crate::rig::{Database, Dataset, TempRoot};
use crate::scenario::{export, sorted_ids, verify};

/// Keys of many types, with NULLs, ties and blanks, over forty days.
fn table(database: &Database, name: &str, rows: u32) {
    database.execute(&format!(
        "CREATE TABLE {name} (id int PRIMARY KEY, a text, b int, u uuid, n numeric, at timestamptz);
         INSERT INTO {name} SELECT i, CASE WHEN i % 11 > 0 THEN chr(65 + i % 50) || repeat(' ', i % 3) END,
             CASE WHEN i % 7 > 0 THEN i % 13 END, md5(i::text)::uuid, (i * 37 % 1000) / 10.0,
             CASE WHEN i % 17 > 0 THEN '2026-03-01 00:30+00'::timestamptz + i % 960 * interval '1 hour' END
         FROM generate_series(1, {rows}) i;
         CREATE INDEX ON {name} (a, b); CREATE INDEX ON {name} (u); CREATE INDEX ON {name} (n);
         CREATE INDEX ON {name} (at); ANALYZE {name}"
    ));
}

fn totals<'a>(report: &'a Value, field: &str) -> &'a Value {
    &report["tables"][0]["totals"][field]
}

/// Runs of at most two chunks, each under a snapshot of its own, until nothing is left.
fn export_in_steps(database: &Database, root: &TempRoot, flags: &[&str]) -> Value {
    let flags = [flags, &["--max-chunks", "2", "--chunk-rows", "300"]].concat();
    let mut committed = 0;
    for _ in 0..200 {
        let report = export(database, "t", root, &flags);
        let table = &report["tables"][0];
        let skipped = table["chunks_skipped"].as_u64().unwrap();
        assert_eq!(skipped, committed, "{report}");
        committed += table["this_run"]["chunks"].as_u64().unwrap();
        if table["state"] == "complete" {
            return report;
        }
        assert_eq!(table["state"], "paused", "{report}");
    }
    panic!("a run of two chunks at a time never ends");
}

#[test]
fn every_key_goes_on_under_new_snapshots_without_loss_or_repetition() {
    let database = Database::create("steps");
    table(&database, "t", 2000);
    for by in [
        "key:id",
        "key:a",
        "key:a,b",
        "key:u",
        "key:n",
        "key:at",
        "time:at:1 week",
        "auto",
    ] {
        let root = TempRoot::new();
        let report = export_in_steps(&database, &root, &["--chunk-by", by]);
        assert_eq!(totals(&report, "rows"), 2000, "{by}");
        assert_eq!(report["tables"][0]["consistency"], "mixed", "{by}");
        assert_eq!(
            sorted_ids(&root, "public/t"),
            (1..=2000).collect::<Vec<_>>(),
            "{by}"
        );
        verify(&root);
    }
}

#[test]
fn increments_land_in_the_folders_of_their_days() {
    let database = Database::create("hive_increments");
    table(&database, "t", 1000);
    database.execute("DELETE FROM t WHERE at IS NULL OR at >= '2026-03-20'");
    let root = TempRoot::new();
    let flags = [
        "--incremental",
        "at",
        "--chunk-by",
        "time:at:1 day",
        "--hive=day",
    ];
    export(&database, "t", &root, &flags);
    database.execute(
        "INSERT INTO t SELECT i, 'x', 1, NULL, 1, '2026-03-20 01:00+00'::timestamptz
             + i % 100 * interval '1 hour' FROM generate_series(5001, 5500) i",
    );
    let second = export(&database, "t", &root, &flags);
    assert_eq!(second["tables"][0]["this_run"]["rows"], 500, "{second}");
    assert_eq!(second["tables"][0]["consistency"], "incremental");
    let ids = database
        .session()
        .query_text("SELECT id FROM t ORDER BY id");
    let ids: Vec<i64> = ids
        .into_iter()
        .map(|row| row[0].clone().unwrap().parse().unwrap())
        .collect();
    assert_eq!(sorted_ids(&root, "public/t"), ids);
    let manifest = Dataset::new(&root, "public/t").manifest().to_string();
    assert!(
        manifest.contains("\"day=2026-03-24/part-"),
        "a folder of the second run"
    );
    verify(&root);
    // Nothing new: nothing happens.
    let before = Dataset::new(&root, "public/t").contents();
    export(&database, "t", &root, &flags);
    assert_eq!(Dataset::new(&root, "public/t").contents(), before);
}

#[test]
fn partitions_are_packed_filtered_and_grow_by_increments() {
    let database = Database::create("packed_increments");
    let partitions: String = (0..20)
        .map(|i| {
            let (from, to) = (i * 100, i * 100 + 100);
            format!("CREATE TABLE t{i} PARTITION OF t FOR VALUES FROM ({from}) TO ({to});")
        })
        .collect();
    database.execute(&format!(
        "CREATE TABLE t (id int PRIMARY KEY, v text) PARTITION BY RANGE (id); {partitions}
         INSERT INTO t SELECT i, i FROM generate_series(0, 1199) i; ANALYZE t"
    ));
    let root = TempRoot::new();
    let flags = ["--incremental", "id", "--where", "id % 3 = 0"];
    let first = export(&database, "t", &root, &flags);
    assert_eq!(
        totals(&first, "chunks"),
        1,
        "small partitions are packed: {first}"
    );
    database.execute("INSERT INTO t SELECT i, i FROM generate_series(1200, 1999) i");
    let second = export(&database, "t", &root, &flags);
    assert_eq!(
        second["tables"][0]["consistency"], "incremental",
        "{second}"
    );
    let third: Vec<i64> = (0..2000).filter(|id| id % 3 == 0).collect();
    assert_eq!(sorted_ids(&root, "public/t"), third);
    verify(&root);
}

#[test]
fn a_query_is_cut_by_a_key_of_its_result_and_goes_on() {
    let database = Database::create("query_steps");
    table(&database, "t", 1500);
    let root = TempRoot::new();
    let mut committed = 0;
    for step in 0.. {
        assert!(step < 100, "it never ends");
        let mut command = crate::rig::pgsluice();
        command
            .args(["export", "--from", &database.dsn(), "--output", "json"])
            .args([
                "--query",
                "SELECT id, a, n * 2 AS twice FROM public.t WHERE n > 3 -- some",
            ])
            .args([
                "--name",
                "twice",
                "--chunk-by",
                "key:id",
                "--chunk-rows",
                "200",
            ])
            .args(["--max-chunks", "3", "--lease-interval", "200ms"])
            .arg("--to")
            .arg(root.path());
        let report = crate::rig::run(&mut command, crate::scenario::LIMIT)
            .expect_code(0)
            .json();
        let table = &report["tables"][0];
        assert_eq!(table["chunks_skipped"], committed, "{report}");
        committed += table["this_run"]["chunks"].as_u64().unwrap();
        if table["state"] == "complete" {
            break;
        }
    }
    let ids = database
        .session()
        .query_text("SELECT id FROM t WHERE n > 3 ORDER BY id");
    let ids: Vec<i64> = ids
        .into_iter()
        .map(|row| row[0].clone().unwrap().parse().unwrap())
        .collect();
    assert_eq!(sorted_ids(&root, "query/twice"), ids);
    verify(&root);
}
