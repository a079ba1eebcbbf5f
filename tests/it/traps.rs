//! Ways in which exporters lose rows without a word; each must end whole, or in an error.

use crate::rig::{Database, TempRoot, read_rows};
use crate::scenario::{export, sorted_ids, try_export};

fn ids_in(database: &Database, table: &str) -> Vec<i64> {
    let sql = format!("SELECT id FROM {table} ORDER BY id");
    let rows = database.session().query_text(&sql);
    rows.into_iter()
        .filter_map(|mut row| row.remove(0))
        .map(|id| id.parse().unwrap())
        .collect()
}

fn row_count(root: &TempRoot, dataset: &str) -> usize {
    read_rows(root, dataset)
        .iter()
        .map(arrow_array::RecordBatch::num_rows)
        .sum()
}

#[test]
fn null_and_equal_and_extreme_keys_land_once() {
    let database = Database::create("keys");
    database.execute(
        "CREATE TABLE t (id bigint, k bigint);
         INSERT INTO t SELECT i, CASE WHEN i % 10 = 0 THEN NULL WHEN i % 3 = 0 THEN 77 ELSE i END
           FROM generate_series(1, 5000) i;
         INSERT INTO t VALUES (5001, -9223372036854775808), (5002, 9223372036854775807);
         CREATE INDEX ON t (k); ANALYZE t",
    );
    let root = TempRoot::new();
    let report = export(
        &database,
        "public.t",
        &root,
        &["--chunk-by", "key:k", "--chunk-rows", "400"],
    );
    assert!(
        report["tables"][0]["totals"]["chunks"].as_u64() > Some(5),
        "{report}"
    );
    assert_eq!(sorted_ids(&root, "public/t"), ids_in(&database, "t"));
}

#[test]
fn ctid_chunks_hold_every_row_with_gaps_and_dead_rows() {
    let database = Database::create("ctid");
    database.execute(
        "CREATE TABLE t (id int, pad text);
         INSERT INTO t SELECT i, repeat('x', 500) FROM generate_series(1, 20000) i;
         DELETE FROM t WHERE id BETWEEN 3000 AND 9000; UPDATE t SET pad = 'y' WHERE id % 7 = 0; ANALYZE t",
    );
    let root = TempRoot::new();
    let report = export(
        &database,
        "public.t",
        &root,
        &["--chunk-by", "ctid", "--chunk-bytes", "1MiB"],
    );
    assert!(
        report["tables"][0]["totals"]["chunks"].as_u64() > Some(5),
        "{report}"
    );
    assert_eq!(report["consistency"], "snapshot");
    assert_eq!(sorted_ids(&root, "public/t"), ids_in(&database, "t"));
}

#[test]
fn rows_added_since_the_statistics_are_not_missed() {
    let database = Database::create("stale");
    database.execute(
        "CREATE TABLE t (id int PRIMARY KEY) WITH (autovacuum_enabled = false);
         INSERT INTO t SELECT generate_series(1, 1000); ANALYZE t;
         INSERT INTO t SELECT generate_series(1001, 50000); INSERT INTO t SELECT -generate_series(1, 9000)",
    );
    for method in ["key:id", "ctid", "auto", "none"] {
        let root = TempRoot::new();
        export(
            &database,
            "public.t",
            &root,
            &["--chunk-by", method, "--chunk-rows", "100"],
        );
        assert_eq!(
            sorted_ids(&root, "public/t"),
            ids_in(&database, "t"),
            "{method}"
        );
    }
}

#[test]
fn empty_tables_and_tables_without_columns_land() {
    let database = Database::create("empty");
    database.execute(
        "CREATE TABLE none (id int PRIMARY KEY, t text);
         CREATE TABLE bare (); INSERT INTO bare DEFAULT VALUES; INSERT INTO bare DEFAULT VALUES",
    );
    let root = TempRoot::new();
    let report = export(&database, "none", &root, &[]);
    assert_eq!(
        report["tables"][0]["totals"]["objects"], 1,
        "one empty object with the schema"
    );
    assert_eq!(row_count(&root, "public/none"), 0);
    assert!(root.path().join("public/none/_SUCCESS").exists());
    let outcome = try_export(&database, "bare", &root, &[]);
    match outcome.code {
        Some(0) => assert_eq!(outcome.json()["tables"][0]["totals"]["rows"], 2),
        _ => {
            let outcome = outcome.expect_code(7);
            assert!(outcome.stderr.contains("column"), "{}", outcome.stderr);
        }
    }
}

#[test]
fn generated_dropped_and_added_columns_land_as_select_shows_them() {
    let database = Database::create("columns");
    database.execute(
        "CREATE TABLE t (id int PRIMARY KEY, gone text, g int GENERATED ALWAYS AS (id * 2) STORED);
         INSERT INTO t (id, gone) SELECT i, 'x' FROM generate_series(1, 100) i;
         ALTER TABLE t DROP COLUMN gone; ALTER TABLE t ADD COLUMN added int DEFAULT 7",
    );
    let root = TempRoot::new();
    export(&database, "t", &root, &[]);
    let batch = &read_rows(&root, "public/t")[0];
    let names: Vec<_> = batch
        .schema()
        .fields()
        .iter()
        .map(|f| f.name().clone())
        .collect();
    assert_eq!(names, ["id", "g", "added"]);
    assert_eq!(batch.num_rows(), 100);
}

#[test]
fn names_that_would_break_sql_or_paths_are_kept_inside_the_root() {
    let database = Database::create("names");
    let names = [
        r#"a"b"#,
        "x;y",
        "new\nline",
        "_lead",
        ".lead",
        "a=b",
        "a/b",
        "%41",
        "..",
        "CON",
        "A",
        "żółć",
    ];
    for name in names {
        let quoted = format!("\"{}\"", name.replace('"', "\"\""));
        database.execute(&format!(
            "CREATE TABLE {quoted} (id int PRIMARY KEY, \"c {}\" int); INSERT INTO {quoted} VALUES (1, 2)",
            name.replace('"', "\"\"")
        ));
        let root = TempRoot::new();
        let inner = root.path().join("inner");
        let table = format!("public.{quoted}");
        let report = crate::rig::run(
            crate::rig::pgsluice()
                .args([
                    "export",
                    "--from",
                    &database.dsn(),
                    "--table",
                    &table,
                    "--output",
                    "json",
                ])
                .arg("--to")
                .arg(&inner),
            crate::scenario::LIMIT,
        )
        .expect_code(0)
        .json();
        assert_eq!(report["tables"][0]["totals"]["rows"], 1, "{name:?}");
        let beside: Vec<_> = std::fs::read_dir(root.path()).unwrap().flatten().collect();
        assert_eq!(beside.len(), 1, "{name:?} left the root: {beside:?}");
        let below: Vec<_> = std::fs::read_dir(inner.join("public"))
            .unwrap()
            .flatten()
            .collect();
        assert_eq!(below.len(), 1, "{name:?}: {below:?}");
    }
}

#[test]
fn columns_that_readers_cannot_tell_apart_are_refused() {
    let database = Database::create("case");
    database.execute("CREATE TABLE t (id int, \"ID\" int); INSERT INTO t VALUES (1, 2)");
    let root = TempRoot::new();
    let outcome = try_export(&database, "t", &root, &[]).expect_code(7);
    assert!(outcome.stderr.contains("ID"), "{}", outcome.stderr);
    export(&database, "t", &root, &["--exclude-columns", "\"ID\""]);
}

#[test]
fn hidden_rows_are_an_error() {
    let database = Database::create("rls");
    let role = format!("reader_{}", database.name());
    database.execute(&format!(
        "CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t SELECT generate_series(1, 10);
         ALTER TABLE t ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON t USING (id <= 3);
         CREATE ROLE {role} LOGIN; GRANT SELECT ON t TO {role}"
    ));
    let dsn = database.dsn().replace("postgres@", &format!("{role}@"));
    let root = TempRoot::new();
    let outcome = crate::rig::run(
        crate::rig::pgsluice()
            .args(["export", "--from", &dsn, "--table", "public.t", "--to"])
            .arg(root.path()),
        crate::scenario::LIMIT,
    );
    database.execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}"));
    assert_ne!(outcome.code, Some(0));
    assert!(
        outcome.stderr.contains("row-level security"),
        "{}",
        outcome.stderr
    );
    assert!(!root.path().join("public/t/_SUCCESS").exists());
}

#[test]
fn settings_of_role_and_database_change_nothing() {
    let database = Database::create("settings");
    database.execute(&format!(
        "CREATE TABLE t (id int PRIMARY KEY, i interval, x float8[], b bytea[], r tstzrange);
         INSERT INTO t VALUES (1, '1 mon 2 days 03:04:05', '{{0.1}}', '{{\\\\x00ff}}', '[2026-01-01 12:00+00,)');
         ALTER DATABASE {name} SET DateStyle = 'German'; ALTER DATABASE {name} SET IntervalStyle = 'iso_8601';
         ALTER DATABASE {name} SET TimeZone = 'Asia/Kolkata'; ALTER DATABASE {name} SET extra_float_digits = -15;
         ALTER DATABASE {name} SET bytea_output = 'escape'; ALTER DATABASE {name} SET statement_timeout = '500ms';
         ALTER DATABASE {name} SET search_path = 'public'",
        name = database.name()
    ));
    let root = TempRoot::new();
    // As text: there the settings would have a say.
    let as_text = ["i", "x", "b", "r"].map(|column| format!("{column}=text"));
    let as_text: Vec<&str> = as_text.iter().flat_map(|map| ["--map", map]).collect();
    export(&database, "t", &root, &as_text);
    use arrow_array::cast::AsArray;
    let batch = &read_rows(&root, "public/t")[0];
    let text = |column: usize| batch.column(column).as_string::<i32>().value(0).to_owned();
    assert_eq!(text(1), "1 mon 2 days 03:04:05");
    assert_eq!(text(2), "{0.1}");
    assert_eq!(text(3), r#"{"\\x00ff"}"#);
    assert_eq!(text(4), r#"["2026-01-01 12:00:00+00",)"#);
}

/// Text is what a type's output function writes. A cast to text can be anyone's function.
#[test]
fn a_cast_to_text_that_says_another_thing_is_not_asked() {
    let database = Database::create("casts");
    database.execute(
        "CREATE TYPE note AS (a int, b tsvector);
         CREATE FUNCTION redacted(note) RETURNS text LANGUAGE sql IMMUTABLE AS $$SELECT 'gone'$$;
         CREATE CAST (note AS text) WITH FUNCTION redacted(note) AS ASSIGNMENT;
         CREATE TABLE t (id int PRIMARY KEY, n note, h boolean);
         INSERT INTO t VALUES (1, '(7,x)', true), (2, '(,)', false), (3, NULL, NULL)",
    );
    let root = TempRoot::new();
    export(&database, "t", &root, &["--map", "h=text"]);
    use arrow_array::Array;
    use arrow_array::cast::AsArray;
    let batch = &read_rows(&root, "public/t")[0];
    let shown = |column: usize| -> Vec<Option<String>> {
        let texts = batch.column(column).as_string::<i32>();
        let text = |row| texts.is_valid(row).then(|| texts.value(row).to_owned());
        (0..3).map(text).collect()
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(shown(1), [some("(7,'x')"), some("(,)"), None]);
    assert_eq!(shown(2), [some("t"), some("f"), None]);
}

#[test]
fn bytes_that_are_no_utf8_stop_with_the_column() {
    let database = Database::create("ascii");
    let name = format!("{}_sa", database.name());
    database.execute(&format!(
        "CREATE DATABASE {name} ENCODING 'SQL_ASCII' TEMPLATE template0 LOCALE 'C'"
    ));
    let dsn = database.dsn().replace(database.name(), &name);
    crate::rig::Session::open(&dsn).execute(
        "CREATE TABLE t (id int PRIMARY KEY, note text);
         INSERT INTO t VALUES (1, 'fine'), (2, convert_from('\\xff', 'SQL_ASCII'))",
    );
    let root = TempRoot::new();
    let outcome = crate::rig::run(
        crate::rig::pgsluice()
            .args(["export", "--from", &dsn, "--table", "t", "--to"])
            .arg(root.path()),
        crate::scenario::LIMIT,
    );
    let outcome = outcome.expect_code(8);
    assert!(outcome.stderr.contains("note"), "{}", outcome.stderr);

    let root = TempRoot::new();
    let raw = crate::rig::run(
        crate::rig::pgsluice()
            .args([
                "export",
                "--from",
                &dsn,
                "--table",
                "t",
                "--map",
                "note=binary",
                "--to",
            ])
            .arg(root.path()),
        crate::scenario::LIMIT,
    );
    database.execute(&format!("DROP DATABASE {name} WITH (FORCE)"));
    raw.expect_code(0);
    use arrow_array::cast::AsArray;
    let batch = &read_rows(&root, "public/t")[0];
    assert_eq!(batch.column(1).as_binary::<i32>().value(1), b"\xff");
}

#[test]
fn partitions_land_leaf_by_leaf_and_inheritance_is_not_taken_for_a_table() {
    let database = Database::create("leaves");
    database.execute(
        "CREATE TABLE p (id int, at date) PARTITION BY RANGE (at);
         CREATE TABLE p1 PARTITION OF p FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
         CREATE TABLE p2 (at date, extra int, id int); ALTER TABLE p2 DROP COLUMN extra;
         ALTER TABLE p ATTACH PARTITION p2 FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
         CREATE TABLE p3 PARTITION OF p DEFAULT PARTITION BY HASH (id);
         CREATE TABLE p31 PARTITION OF p3 FOR VALUES WITH (MODULUS 2, REMAINDER 0);
         CREATE TABLE p32 PARTITION OF p3 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
         INSERT INTO p SELECT i, date '2026-01-01' + i % 90 FROM generate_series(1, 9000) i;
         CREATE TABLE parent (id int); CREATE TABLE child () INHERITS (parent);
         INSERT INTO parent VALUES (1); INSERT INTO child VALUES (2)",
    );
    let root = TempRoot::new();
    export(&database, "p", &root, &[]);
    assert_eq!(
        sorted_ids(&root, "public/p"),
        (1..=9000).collect::<Vec<_>>()
    );
    let outcome = try_export(&database, "parent", &root, &[]);
    assert_ne!(outcome.code, Some(0), "the child's rows would be missing");
    assert!(outcome.stderr.contains("inherit"), "{}", outcome.stderr);
}

#[test]
fn a_filter_with_a_clock_is_refused_and_one_without_is_kept() {
    let database = Database::create("clock");
    database.execute(
        "CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t SELECT generate_series(1, 100)",
    );
    let root = TempRoot::new();
    try_export(
        &database,
        "t",
        &root,
        &["--where", "now() > timestamptz '2020-01-01'"],
    )
    .expect_code(2);
    for bad in ["true) OR (true", "id <", "nosuch = 1"] {
        try_export(&database, "t", &root, &["--where", bad]).expect_code(2);
    }
    export(
        &database,
        "t",
        &root,
        &["--where", "id % 2 = 0 -- even ones"],
    );
    assert_eq!(
        sorted_ids(&root, "public/t"),
        (1..=50).map(|i| i * 2).collect::<Vec<_>>()
    );
}

#[test]
fn several_tables_share_one_snapshot_and_one_record() {
    let database = Database::create("several");
    database.execute(
        "CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a SELECT generate_series(1, 5000);
         CREATE TABLE b (id int PRIMARY KEY); INSERT INTO b SELECT generate_series(1, 7000); ANALYZE",
    );
    let root = TempRoot::new();
    let report = export(
        &database,
        "a",
        &root,
        &["--table", "public.b", "--chunk-rows", "1000"],
    );
    assert_eq!(report["consistency"], "snapshot");
    assert_eq!(
        report["tables"].as_array().map(Vec::len),
        Some(2),
        "{report}"
    );
    assert_eq!(
        sorted_ids(&root, "public/a").len() + sorted_ids(&root, "public/b").len(),
        12_000
    );
    let records: Vec<_> = std::fs::read_dir(root.path().join("_pgsluice/runs"))
        .unwrap()
        .flatten()
        .collect();
    assert_eq!(records.len(), 1);
    let record: serde_json::Value =
        serde_json::from_slice(&std::fs::read(records[0].path()).unwrap()).unwrap();
    assert_eq!(record["run_id"], report["run_id"]);
}
