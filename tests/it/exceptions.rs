//! Values that their columns cannot hold: refused, kept beside the column, or read as text.

use std::collections::BTreeSet;
use std::process::Command;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, RecordBatch};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;

use crate::rig::{self, Database, Dataset, Root, S3Root, TempRoot, chunk_entries, read_rows};
use crate::scenario::{LIMIT, export, export_command, sorted_ids, try_export};

const KEPT: [&str; 2] = ["--on-unrepresentable", "exceptions"];

/// Infinite and far times, NaN, and a domain whose later constraint its values break.
fn odd_table(database: &Database) {
    database.execute(
        "CREATE DOMAIN moment AS timestamp;
         CREATE TABLE t (id int PRIMARY KEY, at timestamptz NOT NULL, d date, n numeric(6,2),
             m moment);
         INSERT INTO t SELECT i, now(), current_date, i, localtimestamp
             FROM generate_series(1, 1000) i;
         UPDATE t SET at = 'infinity' WHERE id % 7 = 0;
         UPDATE t SET at = '-infinity', n = 'NaN' WHERE id % 100 = 0;
         UPDATE t SET d = '-infinity', m = 'infinity' WHERE id % 50 = 1;
         UPDATE t SET d = NULL, n = NULL WHERE id = 3;
         ALTER DOMAIN moment ADD CHECK (VALUE < 'infinity') NOT VALID;
         CREATE TABLE o (LIKE t INCLUDING ALL);
         INSERT INTO o SELECT * FROM t ORDER BY id; ANALYZE",
    );
}

/// `row column text wire`, as PostgreSQL has the exceptions of `o` itself.
fn expected(database: &Database) -> Vec<String> {
    let rows = database.session().query_text(
        "SELECT id - 1 || ' ' || c || ' ' || v || ' ' || encode(w, 'hex') FROM (
           SELECT id, 1 AS p, 'at' AS c, at::text AS v, timestamptz_send(at) AS w FROM o
             WHERE NOT isfinite(at)
           UNION ALL SELECT id, 2, 'd', d::text, date_send(d) FROM o WHERE NOT isfinite(d)
           UNION ALL SELECT id, 3, 'n', n::text, numeric_send(n) FROM o WHERE n = 'NaN'
           UNION ALL SELECT id, 4, 'm', m::text, timestamp_send(m) FROM o WHERE NOT isfinite(m)
         ) x ORDER BY id, p",
    );
    rows.into_iter()
        .map(|row| row[0].clone().unwrap())
        .collect()
}

/// The batches of the exceptions' objects that the manifest lists: those in the store, no others.
fn exception_batches(root: &dyn Root, dataset: &str) -> Vec<RecordBatch> {
    let manifest = Dataset::new(root, dataset).manifest();
    let mut listed = BTreeSet::new();
    let mut batches = Vec::new();
    for chunk in chunk_entries(&manifest) {
        let Some(exceptions) = chunk.get("exceptions") else {
            continue;
        };
        let key = format!(
            "{dataset}/{}",
            exceptions["object"]["key"].as_str().unwrap()
        );
        let bytes = root.get(&key).unwrap();
        assert_eq!(exceptions["object"]["bytes"], bytes.len());
        let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap();
        let rows = reader.metadata().file_metadata().num_rows();
        assert_eq!(exceptions["values"], rows);
        for batch in reader.build().unwrap() {
            let batch = batch.unwrap();
            let ids = batch.column(0).as_primitive::<Int64Type>();
            let id = chunk["chunk"].as_i64();
            assert!(ids.iter().all(|found| found == id), "{key}");
            assert_eq!(
                batch
                    .columns()
                    .iter()
                    .map(|c| c.null_count())
                    .sum::<usize>(),
                0
            );
            batches.push(batch);
        }
        listed.insert(key);
    }
    let stored = root.list(&format!("{dataset}/_exceptions"));
    assert_eq!(stored.into_keys().collect::<BTreeSet<_>>(), listed);
    batches
}

/// `row column text wire` of each.
fn found(batches: &[RecordBatch]) -> Vec<String> {
    let rows = |batch: &RecordBatch| {
        let row = batch.column(1).as_primitive::<Int64Type>();
        let column = batch.column(2).as_string::<i32>();
        let text = batch.column(3).as_string::<i32>();
        let wire = batch.column(4).as_binary::<i32>();
        let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
        let shown = |i: usize| {
            let wire = hex(wire.value(i));
            format!(
                "{} {} {} {wire}",
                row.value(i),
                column.value(i),
                text.value(i)
            )
        };
        (0..batch.num_rows()).map(shown).collect::<Vec<_>>()
    };
    batches.iter().flat_map(rows).collect()
}

fn nulls(batches: &[RecordBatch], column: &str) -> usize {
    let of = |batch: &RecordBatch| batch.column_by_name(column).unwrap().null_count();
    batches.iter().map(of).sum()
}

#[test]
fn odd_values_stop_a_run_unless_they_are_kept() {
    let database = Database::create("odd");
    odd_table(&database);
    let expected = expected(&database);
    assert!(expected.len() > 150, "{}", expected.len());

    let refused = TempRoot::new();
    let outcome = try_export(&database, "o", &refused, &[]).expect_code(8);
    assert!(outcome.stdout.contains("--on-unrepresentable"), "{outcome}");

    let root = TempRoot::new();
    let flags = [&KEPT[..], &["--chunk-by", "none"]].concat();
    let report = export(&database, "o", &root, &flags);
    let totals = &report["tables"][0]["totals"];
    assert_eq!(totals["exceptions"], expected.len(), "{report}");
    let warning = report["warnings"][0].as_str().unwrap();
    assert!(warning.contains("_exceptions/"), "{warning}");
    assert_eq!(found(&exception_batches(&root, "public/o")), expected);
    let rows = read_rows(&root, "public/o");
    let of = |name: &str| {
        let is_of = |line: &&String| line.split(' ').nth(1) == Some(name);
        expected.iter().filter(is_of).count()
    };
    assert_eq!(nulls(&rows, "at"), of("at"));
    assert_eq!(nulls(&rows, "d"), of("d") + 1);
    assert_eq!(nulls(&rows, "m"), of("m"));

    let mut status = rig::pgsluice();
    let status = rig::run(status.arg("status").arg(root.path()), LIMIT).expect_code(0);
    let counted = format!("{} exceptions in _exceptions/", expected.len());
    assert!(status.stdout.contains(&counted), "{status}");
    assert!(status.stdout.contains("warning:"), "{status}");
    // A second run finds everything in its place.
    assert_eq!(
        export(&database, "o", &root, &flags)["tables"][0]["was_complete"],
        true
    );
    // The hash of what was sent is reached with the exceptions, and not without them.
    let verify = |code| {
        let mut command = rig::pgsluice();
        command
            .args(["verify", "--output", "json"])
            .arg(root.path());
        rig::run(&mut command, LIMIT).expect_code(code)
    };
    verify(0);
    let folder = root.path().join("public/o/_exceptions");
    let object = std::fs::read_dir(&folder).unwrap().next().unwrap();
    std::fs::remove_file(object.unwrap().path()).unwrap();
    assert!(verify(8).stdout.contains("object_missing"));
}

#[test]
fn the_same_stands_on_s3() {
    let database = Database::create("odd_s3");
    odd_table(&database);
    let root = S3Root::new("exceptions");
    let mut command: Command = rig::pgsluice();
    command
        .args(["export", "--from", &database.dsn(), "--table", "o"])
        .args(["--to", &root.url(), "--chunk-by", "none"])
        .args(KEPT);
    rig::run(root.equip(&mut command), LIMIT).expect_code(0);
    let batches = exception_batches(&root, "public/o");
    assert_eq!(found(&batches), expected(&database));
}

#[test]
fn as_text_nothing_is_odd() {
    let database = Database::create("odd_text");
    odd_table(&database);
    let root = TempRoot::new();
    let report = export(&database, "o", &root, &["--on-unrepresentable", "text"]);
    assert_eq!(report["tables"][0]["totals"]["exceptions"], 0);
    let rows = read_rows(&root, "public/o");
    let infinite = rows.iter().flat_map(|batch| {
        let at = batch.column_by_name("at").unwrap().as_string::<i32>();
        at.iter().filter(|text| *text == Some("infinity"))
    });
    let in_table = database.query_one_text("SELECT count(*) FROM o WHERE at = 'infinity'");
    assert_eq!(infinite.count().to_string(), in_table);
    assert!(root.list("public/o/_exceptions").is_empty());
}

/// Rows with an infinite time each, in chunks of 500.
fn many_odd_rows(database: &Database, rows: u32) -> Vec<&'static str> {
    database.execute(&format!(
        "CREATE TABLE t (id int PRIMARY KEY, at timestamptz);
         INSERT INTO t SELECT i, CASE WHEN i % 2 = 0 THEN 'infinity' ELSE now() END
             FROM generate_series(1, {rows}) i; ANALYZE t"
    ));
    let chunks = [
        "--chunk-by",
        "key:id",
        "--chunk-rows",
        "500",
        "--workers",
        "2",
    ];
    [&chunks[..], &KEPT].concat()
}

#[test]
fn a_run_that_is_killed_goes_on_with_its_exceptions() {
    let database = Database::create("odd_killed");
    let flags = many_odd_rows(&database, 40_000);
    let root = TempRoot::new();
    let log = root.path().join("public/t/_pgsluice/log");
    for entries in [4, 8, 12] {
        let mut running = rig::start(&mut export_command(&database, "t", &root, &flags));
        while running.is_running() && std::fs::read_dir(&log).map_or(0, Iterator::count) < entries {
            std::thread::yield_now();
        }
        running.kill();
    }
    let report = export(&database, "t", &root, &flags);
    let table = &report["tables"][0];
    assert!(table["chunks_skipped"].as_u64() > Some(0), "{report}");
    assert_eq!(table["totals"]["exceptions"], 20_000, "{report}");
    let batches = exception_batches(&root, "public/t");
    assert_eq!(found(&batches).len(), 20_000);
    assert_eq!(nulls(&read_rows(&root, "public/t"), "at"), 20_000);
    let ids = sorted_ids(&root, "public/t");
    assert_eq!(ids, (1..=40_000).collect::<Vec<_>>());
}

#[test]
fn a_chunk_that_is_read_again_starts_clean() {
    let database = Database::create("odd_retried");
    let mut flags = many_odd_rows(&database, 5000);
    // As long as the lock is held, the server ends the connection near the chunk's end.
    database.execute(
        "CREATE FUNCTION passes(id int) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN
           IF id = 4900 AND NOT pg_try_advisory_xact_lock_shared(7) THEN
             PERFORM pg_terminate_backend(pg_backend_pid()), pg_sleep(10);
           END IF;
           RETURN true; END $$",
    );
    let holder = database.session();
    holder.execute("SELECT pg_advisory_lock(7)");
    flags.extend(["--where", "public.passes(id)", "--attempts", "100"]);
    let root = TempRoot::new();
    let mut running = rig::start(&mut export_command(&database, "t", &root, &flags));
    while running.is_running() && !running.stderr().contains("trying again") {
        std::thread::yield_now();
    }
    holder.execute("SELECT pg_advisory_unlock(7)");
    let report = running.wait(LIMIT).expect_code(0).json();
    let table = &report["tables"][0];
    assert!(!table["retries"].as_array().unwrap().is_empty(), "{report}");
    assert_eq!(table["totals"]["exceptions"], 2500, "{report}");
    assert_eq!(found(&exception_batches(&root, "public/t")).len(), 2500);
}

#[test]
fn too_many_exceptions_of_one_chunk_stop_it_with_advice() {
    let database = Database::create("odd_many");
    // Each is another value, later than Arrow's microseconds reach.
    database.execute(
        "CREATE TABLE t AS SELECT timestamp '294250-01-01' + i * interval '1 us' AS at
             FROM generate_series(1, 240000) i",
    );
    let root = TempRoot::new();
    let flags = [&KEPT[..], &["--chunk-by", "none"]].concat();
    let outcome = try_export(&database, "t", &root, &flags).expect_code(8);
    assert!(outcome.stdout.contains("--chunk-rows"), "{outcome}");
}

#[test]
fn other_type_options_are_refused_on_resume() {
    let database = Database::create("odd_options");
    database.execute("CREATE TABLE t (id int, n numeric(6,2)); INSERT INTO t VALUES (1, NULL)");
    let root = TempRoot::new();
    export(&database, "t", &root, &["--map", "n=decimal(20,4)"]);
    let others: [(&str, &[&str]); 5] = [
        (
            "--profile",
            &["--map", "n=decimal(20,4)", "--profile", "native"],
        ),
        ("--map", &[]),
        ("--map", &["--map", "n=decimal(20,5)"]),
        ("--map", &["--map", "n=decimal(20,4)", "--map", "id=text"]),
        (
            "--on-unrepresentable",
            &["--map", "n=decimal(20,4)", "--on-unrepresentable", "text"],
        ),
    ];
    for (flag, flags) in others {
        let outcome = try_export(&database, "t", &root, flags).expect_code(5);
        assert!(outcome.stdout.contains(&format!("{flag} was")), "{outcome}");
    }
    let again = export(&database, "t", &root, &["--map", "n=decimal(20,4)"]);
    assert_eq!(again["tables"][0]["was_complete"], true);
}

#[test]
fn maps_are_checked_and_shown() {
    let database = Database::create("odd_maps");
    database.execute(
        "CREATE TABLE t (\"Key=\" int, n numeric, v text, at timestamptz, q tsvector);
         INSERT INTO t VALUES (1, 2.5, 'x', now(), 'a')",
    );
    let root = TempRoot::new();
    for (map, expected) in [
        ("key==text", "no such column"),
        ("at=uuid", "it can become: text"),
        ("n=binary", "it can become: text, decimal(P,S)"),
        ("n=decimal(4,5)", "decimal(P,S)"),
    ] {
        let outcome = try_export(&database, "t", &root, &["--map", map]).expect_code(2);
        assert!(outcome.stdout.contains(expected), "{outcome}");
    }
    assert!(root.list("").is_empty(), "a refusal writes nothing");

    let mut command = rig::pgsluice();
    command
        .args([
            "plan",
            "--from",
            &database.dsn(),
            "--table",
            "t",
            "--output",
            "json",
        ])
        .args([
            "--map",
            "Key==text",
            "--map",
            "n=decimal(9,2)",
            "--map",
            "v=binary",
        ]);
    let plan = rig::run(&mut command, LIMIT).expect_code(0).json();
    let shown = |column: &Value| {
        ["name", "arrow_type", "text_reason", "map"].map(|key| match &column[key] {
            Value::String(text) => text.clone(),
            _ => "-".to_owned(),
        })
    };
    let columns = plan["tables"][0]["columns"].as_array().unwrap();
    let columns: Vec<_> = columns.iter().map(shown).collect();
    assert_eq!(columns[0], ["Key=", "Utf8", "--map", "text"]);
    assert_eq!(columns[1], ["n", "Decimal128(9, 2)", "-", "decimal(9,2)"]);
    assert_eq!(columns[2], ["v", "Binary", "-", "binary"]);
    assert_eq!(columns[3], ["at", "Timestamp(µs, \"UTC\")", "-", "-"]);
    let reason = "its text says what its binary form does not";
    assert_eq!(columns[4], ["q", "Utf8", reason, "-"]);
}
