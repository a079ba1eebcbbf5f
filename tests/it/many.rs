//! Many tables by one command: what patterns choose, what fails alone, when locks go, and datasets
//! that are no table: queries, parents with their children, packs of small partitions.

use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::rig::{self, Database, Dataset, Outcome, Root, TempRoot, chunk_entries};
use crate::scenario::{LIMIT, export, sorted_ids};

/// `pgsluice export` with these flags and no table.
fn command(database: &Database, root: &TempRoot, flags: &[&str]) -> Command {
    let mut command = rig::pgsluice();
    command
        .args(["export", "--from", &database.dsn(), "--output", "json"])
        .arg("--to")
        .arg(root.path())
        .args(["--lease-interval", "200ms"])
        .args(flags);
    command
}

fn run(database: &Database, root: &TempRoot, flags: &[&str]) -> Outcome {
    rig::run(&mut command(database, root, flags), LIMIT)
}

fn tables(report: &Value) -> Vec<String> {
    let tables = report["tables"].as_array().expect("tables");
    let names = tables.iter().map(|table| table["table"].as_str());
    names.map(|name| name.unwrap().to_owned()).collect()
}

#[track_caller]
fn refused(database: &Database, flags: &[&str], says: &[&str]) {
    let root = TempRoot::new();
    let outcome = run(database, &root, flags);
    assert!(matches!(outcome.code, Some(2 | 3 | 7)), "{outcome}");
    for said in says {
        assert!(
            outcome.stderr.contains(said),
            "{said:?} is missing: {outcome}"
        );
    }
    let objects = root.list("");
    assert!(
        !objects.keys().any(|key| key.ends_with(".parquet")),
        "something was written: {objects:?}"
    );
}

#[test]
fn patterns_choose_tables_and_the_largest_comes_first() {
    let database = Database::create("patterns");
    database.execute(
        "CREATE SCHEMA sales; CREATE SCHEMA \"Odd.Schema\";
         CREATE TABLE sales.order_items AS SELECT i AS id, repeat('x', 200) AS pad FROM generate_series(1, 2000) i;
         CREATE TABLE sales.orders AS SELECT i AS id FROM generate_series(1, 3) i;
         CREATE TABLE sales.\"Orders\" AS SELECT i AS id FROM generate_series(1, 4) i;
         CREATE TABLE \"Odd.Schema\".\"t*\" AS SELECT 5 AS id;
         CREATE VIEW sales.order_view AS SELECT 1 AS id;
         CREATE MATERIALIZED VIEW sales.order_cache AS SELECT 1 AS id;
         CREATE EXTENSION file_fdw; CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
         CREATE FOREIGN TABLE sales.order_file (id int) SERVER files OPTIONS (filename '/nowhere')",
    );
    let root = TempRoot::new();
    let outcome = run(&database, &root, &["--table", "sales.order*"]).expect_code(0);
    let report = outcome.json();
    assert_eq!(
        tables(&report),
        ["sales.order_items", "sales.order_cache", "sales.orders"]
    );
    let warnings = report["warnings"].to_string();
    assert!(
        warnings.contains("sales.order_file") && warnings.contains("foreign"),
        "{warnings}"
    );
    let runs = root.list("_pgsluice/runs");
    let record = root.get_json(runs.keys().next().expect("a run record"));
    assert_eq!(record["state"], "complete");
    assert_eq!(record["tables"].as_array().unwrap().len(), 3);

    let flags = [
        "--schema",
        "sales",
        "--include-views",
        "--exclude",
        "sales.order_*",
    ];
    let report = run(&database, &TempRoot::new(), &flags)
        .expect_code(0)
        .json();
    assert_eq!(tables(&report), ["sales.\"Orders\"", "sales.orders"]);
    assert_eq!(report["warnings"].as_array().unwrap().len(), 0, "{report}");

    let report = run(
        &database,
        &TempRoot::new(),
        &["--table", "\"Odd.Schema\".\"t*\""],
    );
    assert_eq!(
        tables(&report.expect_code(0).json()),
        ["\"Odd.Schema\".\"t*\""]
    );

    refused(
        &database,
        &["--table", "sales.ordr_*"],
        &["matches nothing", "sales.order"],
    );
    refused(
        &database,
        &["--schema", "sale"],
        &["matches no schema", "sales"],
    );
    refused(
        &database,
        &["--schema", "sales", "--exclude", "sales.*"],
        &["nothing is left"],
    );
}

#[test]
fn children_are_left_out_or_taken_only_when_it_is_said() {
    let database = Database::create("children");
    database.execute(
        "CREATE TABLE base (id int, note text); INSERT INTO base VALUES (1, 'a');
         CREATE TABLE child (extra int) INHERITS (base); INSERT INTO child VALUES (2, 'b', 9);
         CREATE TABLE other (id int, note text, more int); INSERT INTO other VALUES (3, 'c', 9);
         ALTER TABLE other INHERIT base;
         CREATE TABLE grandchild () INHERITS (child, other); INSERT INTO grandchild VALUES (4, 'd', 9, 9);
         CREATE TABLE parts (id int) PARTITION BY RANGE (id);
         CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10); INSERT INTO parts VALUES (5)",
    );
    refused(
        &database,
        &["--all"],
        &["inheritance children", "public.base", "--include-children"],
    );
    refused(
        &database,
        &["--table", "base"],
        &["inheritance children", "--only"],
    );
    refused(
        &database,
        &["--table", "parts", "--only"],
        &["partitioned", "partitions"],
    );

    let root = TempRoot::new();
    export(&database, "base", &root, &["--only"]);
    assert_eq!(sorted_ids(&root, "public/base"), [1]);

    let root = TempRoot::new();
    let report = run(&database, &root, &["--all", "--include-children"])
        .expect_code(0)
        .json();
    let mut names = tables(&report);
    names.sort();
    assert_eq!(names, ["public.base", "public.parts"]);
    assert_eq!(sorted_ids(&root, "public/base"), [1, 2, 3, 4]);
    let warnings = report["warnings"].to_string();
    assert!(
        warnings.contains("public.child") && warnings.contains("public.other"),
        "{warnings}"
    );
    against(&database, &root, "public/base");
    // A child is a table of its own where it is named.
    let root = TempRoot::new();
    export(&database, "child", &root, &["--include-children"]);
    assert_eq!(sorted_ids(&root, "public/child"), [2, 4]);
}

/// `verify --against`, without a finding.
#[track_caller]
fn against(database: &Database, root: &TempRoot, folder: &str) {
    let mut command = rig::pgsluice();
    command
        .args(["verify", "--against", &database.dsn(), "--output", "json"])
        .arg(root.path().join(folder));
    let report = rig::run(&mut command, LIMIT).expect_code(0).json();
    let findings = &report["datasets"][0]["findings"];
    assert!(findings.as_array().is_none_or(Vec::is_empty), "{report}");
}

#[test]
fn small_partitions_are_packed_into_one_chunk() {
    let database = Database::create("packed");
    database.execute(
        "CREATE TABLE events (id int, kind int) PARTITION BY LIST (kind);
         DO $$ BEGIN FOR i IN 0..79 LOOP EXECUTE format(
           'CREATE TABLE events_%s PARTITION OF events FOR VALUES IN (%s)', i, i); END LOOP; END $$;
         INSERT INTO events SELECT i, i % 80 FROM generate_series(1, 4000) i; ANALYZE events",
    );
    let root = TempRoot::new();
    let report = export(&database, "events", &root, &[]);
    assert_eq!(report["tables"][0]["totals"]["chunks"], 2, "{report}");
    assert_eq!(
        sorted_ids(&root, "public/events"),
        (1..=4000).collect::<Vec<_>>()
    );
    against(&database, &root, "public/events");
    let manifest = Dataset::new(&root, "public/events").manifest();
    let packs = chunk_entries(&manifest);
    assert!(
        packs.iter().all(|chunk| chunk["range"]["kind"] == "pack"),
        "{manifest}"
    );
    // A row that is moved within a pack stays in it; one that is gone is missed.
    database.execute("DELETE FROM events WHERE id = 7");
    let mut command = rig::pgsluice();
    command
        .args(["verify", "--against", &database.dsn(), "--output", "json"])
        .arg(root.path().join("public/events"));
    let outcome = rig::run(&mut command, LIMIT);
    assert_ne!(outcome.code, Some(0), "{outcome}");
    assert!(
        outcome.stdout.contains("3199 rows") || outcome.stdout.contains("source_count"),
        "{outcome}"
    );
}

#[test]
fn a_table_that_a_pattern_found_fails_alone_and_a_named_one_ends_the_run() {
    let database = Database::create("alone");
    let role = format!("poor_{}", database.name());
    database.execute(&format!(
        "CREATE TABLE open (id int); INSERT INTO open VALUES (1);
         CREATE TABLE secret (id int); CREATE TABLE hidden (id int);
         ALTER TABLE hidden ENABLE ROW LEVEL SECURITY;
         CREATE ROLE {role} LOGIN; GRANT SELECT ON open, hidden TO {role}"
    ));
    let dsn = database.dsn().replace("postgres@", &format!("{role}@"));
    let root = TempRoot::new();
    let export = |flags: &[&str]| {
        let mut command = rig::pgsluice();
        command.args(["export", "--from", &dsn, "--output", "json", "--to"]);
        rig::run(command.arg(root.path()).args(flags), LIMIT)
    };
    let named = export(&["--table", "open", "--table", "secret"]);
    let nothing = root.list("");
    let all = export(&["--all"]);
    database.execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}"));

    assert_eq!(named.code, Some(3), "{named}");
    assert!(named.stderr.contains("GRANT SELECT ON"), "{named}");
    assert!(nothing.is_empty(), "{nothing:?}");

    let report = all.json();
    assert_eq!(report["state"], "failed");
    let state = |name: &str| {
        let tables = report["tables"].as_array().unwrap();
        let found = tables.iter().find(|table| table["table"] == name);
        found
            .unwrap_or_else(|| panic!("no {name} in {report}"))
            .clone()
    };
    assert_eq!(state("public.open")["state"], "complete");
    for failed in ["public.secret", "public.hidden"] {
        assert_eq!(state(failed)["state"], "failed");
        assert!(state(failed)["error"]["advice"].is_string(), "{report}");
    }
    assert_eq!(sorted_ids(&root, "public/open"), [1]);
    let runs = root.list("_pgsluice/runs");
    let record = root.get_json(runs.keys().next().expect("a run record"));
    assert_eq!(record["state"], "failed");
}

/// Waits for something to become true, within a limit.
#[track_caller]
fn until(what: &str, mut is_true: impl FnMut() -> bool) {
    for _ in 0..4000 {
        if is_true() {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("never: {what}");
}

#[test]
fn a_table_that_is_read_can_be_dropped_while_the_run_goes_on() {
    let database = Database::create("letgo");
    // A view is read last: it has no size. Its rows take their time.
    database.execute(
        "CREATE TABLE first AS SELECT i AS id, repeat('x', 100) AS pad FROM generate_series(1, 5000) i;
         CREATE TABLE small AS SELECT i AS id FROM generate_series(1, 600) i;
         CREATE VIEW slow AS SELECT id FROM small WHERE pg_sleep(0.01) IS NOT NULL",
    );
    for joined in [false, true] {
        let holder = database.session();
        holder.execute("BEGIN ISOLATION LEVEL REPEATABLE READ");
        let snapshot = holder.query_one_text("SELECT pg_export_snapshot()");
        let mut flags = vec!["--table", "first", "--table", "slow", "--workers", "1"];
        if joined {
            flags.extend(["--snapshot", &snapshot]);
        }
        let root = TempRoot::new();
        let mut running = rig::start(&mut command(&database, &root, &flags));
        let session = database.session();
        session.execute("SET lock_timeout TO '20ms'");
        until("the view is read", || {
            assert!(
                running.is_running(),
                "it ended too early:\n{}",
                running.stderr()
            );
            session.query_one_text(
                "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'COPY%slow%'
                 AND application_name LIKE 'pgsluice%' AND datname = current_database()",
            ) != "0"
        });
        let held = |table: &str| {
            session.query_one_text(&format!(
                "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid)
                 WHERE l.relation = '{table}'::regclass AND a.application_name LIKE 'pgsluice%'"
            ))
        };
        until("the first table's locks are gone", || held("first") == "0");
        assert_ne!(held("small"), "0", "what is still read stays locked");
        assert!(session.try_execute("TRUNCATE small").is_err());
        session.execute("BEGIN; ALTER TABLE first ADD COLUMN more int; DROP TABLE first; ROLLBACK");
        assert!(running.is_running(), "it ended too early");
        let report = running.wait(LIMIT).expect_code(0).json();
        assert_eq!(tables(&report), ["public.first", "public.slow"]);
        assert_eq!(
            sorted_ids(&root, "public/slow"),
            (1..=600).collect::<Vec<_>>()
        );
    }
}

#[test]
fn the_record_of_a_run_that_is_stopped_tells_which_table_had_failed() {
    let database = Database::create("recorded");
    database.execute(
        "CREATE TABLE small AS SELECT i AS id FROM generate_series(1, 6000) i;
         CREATE VIEW bad AS SELECT 1 / (id - 3) AS id FROM small;
         CREATE VIEW slow AS SELECT id FROM small WHERE pg_sleep(0.01) IS NOT NULL",
    );
    let root = TempRoot::new();
    let flags = ["--table", "bad", "--table", "slow", "--workers", "2"];
    let mut running = rig::start(&mut command(&database, &root, &flags));
    until("a table has failed", || {
        assert!(running.is_running(), "{}", running.stderr());
        running.stderr().contains("the table failed")
    });
    running.interrupt();
    running.wait(LIMIT).expect_code(130);
    let runs = root.list("_pgsluice/runs");
    let record = root.get_json(runs.keys().next().expect("a run record"));
    assert_eq!(record["state"], "paused", "{record}");
    let state = |name: &str| {
        let tables = record["tables"].as_array().expect("tables");
        let found = tables.iter().find(|table| table["table"] == name);
        found.map_or(Value::Null, |table| table["state"].clone())
    };
    assert_eq!(state("public.bad"), "failed", "{record}");
    assert_eq!(state("public.slow"), "paused", "{record}");
}
