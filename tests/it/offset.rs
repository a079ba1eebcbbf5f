//! OFFSET chunks: places in the order of all columns partition what has no key, rows that tie and
//! values that differ only in how they are written included; and they hold for one snapshot.

use std::time::Duration;

use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use pgsluice::{ChunkBy, ChunkMethod, ConnectOptions, ErrorKind, ExportOptions, Result, TablePlan};

use crate::rig::{self, Database, Session, TempRoot, read_rows};
use crate::scenario::{export, export_command, try_export, verify};

/// Rows that tie, rows that differ only in a display scale, NULLs, texts of odd order.
fn twins(database: &Database) {
    database.execute(
        "CREATE TABLE base (a int, n numeric, f float8, t text COLLATE \"C\", x int[]);
         INSERT INTO base SELECT i % 7, (ARRAY[1.0, 1.00, 1, 1.000, NULL, 'NaN']::numeric[])[1 + i % 6],
           (ARRAY[0, '-0', 'NaN', 'Infinity']::float8[])[1 + i % 4],
           (ARRAY['', 'a', 'A', 'ä', '10', '9', NULL, E'a\\nb'])[1 + i % 8],
           (ARRAY['{1}', '[0:0]={1}', '{NULL}', NULL]::text[])[1 + i % 4]::int[]
         FROM generate_series(1, 3000) i;
         CREATE VIEW v AS SELECT a, n, f, t, x::text AS x FROM base;
         CREATE MATERIALIZED VIEW m AS SELECT a, n FROM base;
         CREATE TABLE keyless AS SELECT a, t FROM base",
    );
}

fn plan(database: &Database, table: &str, rows: u64) -> Result<TablePlan> {
    let source = ConnectOptions::from_dsn(Some(&database.dsn()))?;
    let mut options = ExportOptions::new(vec![table.parse()?]);
    options.chunk_by = ChunkBy::Offset;
    options.chunk_rows = Some(rows);
    let report = rig::wait(async move { pgsluice::plan(&source, &options).await })?;
    Ok(report.tables.into_iter().next().expect("one table"))
}

/// Rows as one text each, sorted.
fn rows_of(session: &Session, sql: &str) -> Vec<String> {
    let rows = session.query_text(sql).into_iter();
    let mut rows: Vec<String> = rows.map(|row| format!("{row:?}")).collect();
    rows.sort();
    rows
}

#[test]
fn places_partition_rows_that_tie() {
    for major in 13..=18 {
        let database = Database::create_on(major, "offset_ties");
        twins(&database);
        let session = database.session();
        for (table, rows) in [("v", 170), ("m", 1000), ("keyless", 2999), ("v", 5000)] {
            let plan = plan(&database, table, rows).unwrap();
            assert_eq!(plan.plan.relations[0].method, ChunkMethod::Offset);
            let chunks = 3000_u64.div_ceil(rows);
            assert_eq!(plan.chunks.len() as u64, chunks, "{table}");
            let mut read = Vec::new();
            for chunk in &plan.chunks {
                let rows = rows_of(&session, &chunk.sql);
                assert_eq!(rows.len() as u64, chunk.chunk.estimated_rows);
                read.extend(rows);
            }
            read.sort();
            assert_eq!(
                read,
                rows_of(&session, &format!("SELECT * FROM {table}")),
                "{table}"
            );
        }
        let plan = plan(&database, "v", 170).unwrap();
        let relation = &plan.plan.relations[0];
        assert!(
            relation.reason.contains("3000 rows were counted"),
            "{}",
            relation.reason
        );
        assert!(
            relation
                .risks
                .iter()
                .any(|risk| risk.contains("sorts all rows")),
            "{:?}",
            relation.risks
        );
    }
}

#[test]
fn an_export_by_place_is_equal_row_for_row() {
    for major in [13, 18] {
        let database = Database::create_on(major, "offset_equal");
        twins(&database);
        let root = TempRoot::new();
        export(
            &database,
            "v",
            &root,
            &["--chunk-by", "offset", "--chunk-rows", "400"],
        );
        verify(&root);
        let mut read = Vec::new();
        for batch in read_rows(&root, "public/v") {
            let (a, n) = (
                batch.column_by_name("a").unwrap(),
                batch.column_by_name("n").unwrap(),
            );
            let t = batch
                .column_by_name("t")
                .unwrap()
                .as_string::<i32>()
                .clone();
            let (a, n) = (a.as_primitive::<Int32Type>(), n.as_string::<i32>());
            for row in 0..batch.num_rows() {
                let text = |column: &arrow_array::StringArray| {
                    use arrow_array::Array;
                    (!column.is_null(row)).then(|| column.value(row).to_owned())
                };
                read.push(format!(
                    "{:?}",
                    [Some(a.value(row).to_string()), text(n), text(&t)]
                ));
            }
        }
        read.sort();
        let session = database.session();
        assert_eq!(
            read,
            rows_of(&session, "SELECT a, n, t FROM base"),
            "PostgreSQL {major}"
        );
    }
}

const BY_PLACE: [&str; 6] = [
    "--chunk-by",
    "offset",
    "--chunk-rows",
    "50",
    "--workers",
    "1",
];

/// Kills an export once some of its chunks are committed.
fn killed(database: &Database, root: &TempRoot, snapshot: &str) {
    let flags: Vec<&str> = BY_PLACE
        .iter()
        .copied()
        .chain(["--snapshot", snapshot])
        .collect();
    let mut running = rig::start(&mut export_command(database, "v", root, &flags));
    let log = root.path().join("public/v/_pgsluice/log");
    for _ in 0..4000 {
        if std::fs::read_dir(&log).map_or(0, Iterator::count) >= 5 {
            break;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(running.is_running(), "it ended before it could be killed");
    running.kill();
}

#[test]
fn places_go_on_under_their_snapshot_and_start_again_under_another() {
    let database = Database::create("offset_resume");
    twins(&database);
    let holder = database.session();
    holder.execute("BEGIN ISOLATION LEVEL REPEATABLE READ");
    let id = holder.query_one_text("SELECT pg_export_snapshot()");
    let (same, other) = (TempRoot::new(), TempRoot::new());
    killed(&database, &same, &id);
    killed(&database, &other, &id);
    database.execute("INSERT INTO base (a) VALUES (-1)");
    let flags: Vec<&str> = BY_PLACE
        .iter()
        .copied()
        .chain(["--snapshot", &id])
        .collect();
    let report = export(&database, "v", &same, &flags);
    let table = &report["tables"][0];
    assert!(table["chunks_skipped"].as_u64() > Some(0), "{report}");
    assert_eq!(table["consistency"], "snapshot", "{report}");
    assert_eq!(table["totals"]["rows"], 3000, "{report}");
    let report = export(&database, "v", &other, &BY_PLACE);
    let table = &report["tables"][0];
    assert_eq!(table["chunks_skipped"], 0, "{report}");
    assert_eq!(table["totals"]["rows"], 3001, "{report}");
    let warnings = report["warnings"].to_string();
    assert!(
        warnings.contains("offset ranges mean other rows"),
        "{warnings}"
    );
    verify(&same);
    verify(&other);
}

#[test]
fn places_are_refused_where_they_cannot_hold() {
    let database = Database::create("offset_refused");
    twins(&database);
    let root = TempRoot::new();
    let flags: Vec<&str> = BY_PLACE
        .iter()
        .copied()
        .chain(["--max-chunks", "2"])
        .collect();
    let outcome = try_export(&database, "v", &root, &flags).expect_code(2);
    assert!(
        outcome.stderr.contains("one snapshot only"),
        "{}",
        outcome.stderr
    );
    assert!(outcome.stderr.contains("--snapshot"), "{}", outcome.stderr);
    database.execute("CREATE TABLE bare ()");
    let error = plan(&database, "bare", 10).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
}
