//! Tables of one run stand apart: one fails, and the others go on to their end.

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::rig::{self, Database, Dataset, TempRoot};
use crate::scenario::{LIMIT, sorted_ids, verify};

fn command(database: &Database, root: &TempRoot, tables: &[&str], flags: &[&str]) -> Command {
    let mut command = rig::pgsluice();
    command.args(["export", "--from", &database.dsn(), "--to"]);
    command.arg(root.path());
    for table in tables {
        command.args(["--table", table]);
    }
    command.args(["--lease-interval", "200ms", "--chunk-by", "key:id"]);
    command.args(flags);
    command
}

fn states(report: &Value) -> Vec<(&str, &str)> {
    let tables = report["tables"].as_array().expect("tables");
    let text =
        |value: &'_ Value| -> &'static str { value.as_str().expect("text").to_owned().leak() };
    tables
        .iter()
        .map(|table| (text(&table["table"]), text(&table["state"])))
        .collect()
}

#[test]
fn a_table_with_a_value_that_cannot_be_held_fails_alone() {
    let database = Database::create("apart");
    for table in ["a", "b", "c"] {
        database.execute(&format!(
            "CREATE TABLE {table} (id int PRIMARY KEY, at timestamp);
             INSERT INTO {table} SELECT i, '2026-01-01' FROM generate_series(1, 3000) i;
             ANALYZE {table}"
        ));
    }
    database.execute("UPDATE b SET at = 'infinity' WHERE id = 1500");
    let root = TempRoot::new();
    let flags = ["--chunk-rows", "500", "--output", "json"];
    let tables = ["a", "b", "c"];
    let outcome = rig::run(&mut command(&database, &root, &tables, &flags), LIMIT);
    let outcome = outcome.expect_code(8);
    assert!(outcome.stderr.contains("public.b"), "{outcome}");
    let report = outcome.json();
    assert_eq!(report["ok"], false, "{report}");
    assert_eq!(report["exit_code"], 8);
    assert_eq!(report["state"], "failed");
    assert_eq!(report["error"]["table"], "public.b");
    let expected = [
        ("public.a", "complete"),
        ("public.b", "failed"),
        ("public.c", "complete"),
    ];
    assert_eq!(states(&report), expected, "{report}");
    assert_eq!(report["tables"][1]["error"]["kind"], "data", "{report}");
    assert_eq!(report["tables"][0]["error"], Value::Null);
    let record = format!("_pgsluice/runs/{}.json", report["run_id"].as_str().unwrap());
    let record = std::fs::read(root.path().join(record)).expect("a run record");
    let record: Value = serde_json::from_slice(&record).expect("JSON");
    assert_eq!(states(&record), expected);

    let mut status = rig::pgsluice();
    status.arg("status").arg(root.path());
    status.args(["--output", "json"]);
    let status = rig::run(&mut status, LIMIT).expect_code(0).json();
    let told: Vec<_> = (0..3).map(|i| &status["datasets"][i]["state"]).collect();
    assert_eq!(told, ["complete", "failed", "complete"], "{status}");
    let reason = status["datasets"][1]["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("column \"at\""), "{status}");

    // In words: the report first, then the failure.
    let outcome = rig::run(&mut command(&database, &root, &tables, &flags[..2]), LIMIT);
    let outcome = outcome.expect_code(8);
    assert!(outcome.stdout.contains("failed public.b at"), "{outcome}");
    assert!(outcome.stdout.contains("skipped public.a"), "{outcome}");

    let committed = Dataset::new(&root, "public/b").committed().len();
    database.execute("UPDATE b SET at = '2026-01-02' WHERE id = 1500");
    let outcome = rig::run(&mut command(&database, &root, &tables, &flags), LIMIT);
    let report = outcome.expect_code(0).json();
    assert_eq!(report["tables"][0]["was_complete"], true, "{report}");
    assert_eq!(report["tables"][1]["chunks_skipped"], committed, "{report}");
    for table in ["public/a", "public/b", "public/c"] {
        assert_eq!(sorted_ids(&root, table), (1..=3000).collect::<Vec<_>>());
    }
    verify(&root);
}

#[test]
fn a_table_that_was_taken_over_fails_alone() {
    let database = Database::create("apart_fenced");
    for table in ["a", "b"] {
        database.execute(&format!(
            "CREATE TABLE {table} AS SELECT i AS id FROM generate_series(1, 2000) i;
             ALTER TABLE {table} ADD PRIMARY KEY (id); ANALYZE {table}"
        ));
    }
    let root = TempRoot::new();
    let flags = ["--chunk-rows", "100", "--workers", "1", "--output", "json"];
    let slow = [&flags[..], &["--pause-between-chunks", "100ms"]].concat();
    let mut first = rig::start(&mut command(&database, &root, &["a", "b"], &slow));
    let dataset = Dataset::new(&root, "public/a");
    let deadline = Instant::now() + LIMIT;
    while dataset.committed().len() < 3 {
        assert!(first.is_running() && Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(10));
    }
    first.stop();
    let takeover = [&flags[..], &["--takeover"]].concat();
    let second = rig::run(&mut command(&database, &root, &["a"], &takeover), LIMIT);
    second.expect_code(0);
    first.resume();
    let outcome = first.wait(LIMIT).expect_code(6);
    let report = outcome.json();
    let expected = [("public.a", "failed"), ("public.b", "complete")];
    assert_eq!(states(&report), expected, "{outcome}");
    assert_eq!(report["tables"][0]["error"]["kind"], "fenced", "{outcome}");
    for table in ["public/a", "public/b"] {
        Dataset::new(&root, table).manifest();
        assert_eq!(sorted_ids(&root, table), (1..=2000).collect::<Vec<_>>());
    }
}
