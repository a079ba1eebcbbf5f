//! How tables are cut, against real servers of several versions: the method, the statements, and
//! that together they read every row exactly once.

use pgsluice::{
    ChunkBy, ChunkMethod, ConnectOptions, ErrorKind, ExportOptions, PgType, Range, Result,
    TablePlan,
};

use crate::rig::{self, Database};

/// Plans one table with small chunks.
fn plan(database: &Database, table: &str, chunk_by: &str, chunk_rows: u64) -> Result<TablePlan> {
    let source = ConnectOptions::from_dsn(Some(&database.dsn()))?;
    let mut options = ExportOptions::new(vec![table.parse()?]);
    options.chunk_by = chunk_by.parse::<ChunkBy>()?;
    options.chunk_rows = Some(chunk_rows);
    let report = rig::wait(async move { pgsluice::plan(&source, &options).await })?;
    Ok(report.tables.into_iter().next().expect("one table"))
}

/// Rows that each chunk's statement yields.
fn rows_by_chunk(database: &Database, plan: &TablePlan) -> Vec<u64> {
    let session = database.session();
    let count = |sql: &str| session.query_text(sql).len() as u64;
    plan.chunks.iter().map(|chunk| count(&chunk.sql)).collect()
}

#[track_caller]
fn covers(database: &Database, plan: &TablePlan, table: &str) {
    let rows: u64 = rows_by_chunk(database, plan).iter().sum();
    let wanted = database.query_one_text(&format!("SELECT count(*) FROM {table}"));
    assert_eq!(rows.to_string(), wanted);
}

#[test]
fn auto_prefers_a_correlated_key_then_pages_then_any_key() {
    for (major, pages) in [
        (13, ChunkMethod::Key),
        (15, ChunkMethod::Ctid),
        (18, ChunkMethod::Ctid),
    ] {
        let database = Database::create_on(major, "auto");
        database.execute(
            "CREATE TABLE serial (id bigint PRIMARY KEY, v text);
             INSERT INTO serial SELECT i, 'x' FROM generate_series(1, 20000) i;
             CREATE TABLE shuffled (id int PRIMARY KEY);
             INSERT INTO shuffled SELECT i * 7919 % 20011 FROM generate_series(1, 20000) i;
             CREATE TABLE bare (v text); INSERT INTO bare SELECT i FROM generate_series(1, 20000) i;
             ANALYZE",
        );
        let serial = plan(&database, "serial", "auto", 1000).unwrap();
        assert_eq!(serial.plan.relations[0].method, ChunkMethod::Key);
        assert!(serial.plan.relations[0].ordered);
        assert!(
            serial.chunks[1].sql.ends_with("ORDER BY \"serial\".\"id\""),
            "{}",
            serial.chunks[1].sql
        );
        let rows = rows_by_chunk(&database, &serial);
        assert!(
            rows.len() == 20 && rows.iter().all(|rows| *rows < 1500),
            "{rows:?}"
        );
        covers(&database, &serial, "serial");
        let shuffled = plan(&database, "shuffled", "auto", 1000).unwrap();
        assert_eq!(
            shuffled.plan.relations[0].method, pages,
            "PostgreSQL {major}"
        );
        assert!(!shuffled.plan.relations[0].ordered);
        covers(&database, &shuffled, "shuffled");
        let bare = plan(&database, "bare", "auto", 1000).unwrap();
        covers(&database, &bare, "bare");
    }
}

#[test]
fn null_and_skewed_keys_are_cut_once_and_evenly() {
    let database = Database::create("skew");
    database.execute(
        "CREATE TABLE t (k int, v text); CREATE INDEX ON t (k);
         INSERT INTO t SELECT CASE WHEN i % 10 = 0 THEN NULL WHEN i % 3 = 0 THEN 7
             ELSE (i % 1000) * (i % 1000) * 1000 END, 'x' FROM generate_series(1, 20000) i;
         ANALYZE t",
    );
    let plan = plan(&database, "t", "key:k", 1000).unwrap();
    covers(&database, &plan, "t");
    assert!(matches!(
        plan.plan.chunks.last().unwrap().range,
        Range::NullKey
    ));
    let rows = rows_by_chunk(&database, &plan);
    // The common key and the NULLs are as large as they are; nothing else is.
    let large = rows.iter().filter(|rows| **rows > 2000).count();
    assert!(large <= 2, "{rows:?}");
}

#[test]
fn keys_at_the_ends_of_int8_are_cut_without_overflow() {
    let database = Database::create("extreme");
    database.execute(
        "CREATE TABLE t (k bigint PRIMARY KEY);
         INSERT INTO t VALUES (-9223372036854775808), (9223372036854775807), (0), (-1), (1)",
    );
    let plan = plan(&database, "t", "key", 1).unwrap();
    assert!(plan.chunks.len() > 1);
    covers(&database, &plan, "t");
}

#[test]
fn partitions_are_planned_leaf_by_leaf() {
    let database = Database::create("leaves");
    database.execute(
        "CREATE TABLE p (k bigint NOT NULL, v text) PARTITION BY RANGE (k);
         CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (5000);
         CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (5000) TO (10000) PARTITION BY RANGE (k);
         CREATE TABLE p21 PARTITION OF p2 FOR VALUES FROM (5000) TO (10000);
         INSERT INTO p SELECT i % 10000, 'x' FROM generate_series(1, 20000) i; ANALYZE;
         CREATE TABLE none (k int) PARTITION BY LIST (k)",
    );
    let table = plan(&database, "p", "auto", 2000).unwrap();
    let names: Vec<String> = table
        .plan
        .relations
        .iter()
        .map(|r| r.name.to_string())
        .collect();
    assert_eq!(names, ["public.p1", "public.p21"]);
    covers(&database, &table, "p");
    let none = plan(&database, "none", "auto", 2000).unwrap();
    assert_eq!(none.chunks.len(), 1);
    covers(&database, &none, "none");
}

#[test]
fn views_and_materialized_views_can_be_planned_and_foreign_rows_cannot() {
    let database = Database::create("views");
    database.execute(
        "CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t SELECT generate_series(1, 5000);
         CREATE VIEW v AS SELECT * FROM t WHERE id > 10;
         CREATE MATERIALIZED VIEW m AS SELECT * FROM t; CREATE INDEX ON m (id); ANALYZE;
         CREATE TABLE parent (a int); CREATE TABLE child () INHERITS (parent);
         CREATE SEQUENCE s",
    );
    // A materialized view declares no NOT NULL: its NULL keys have a chunk of their own.
    for (table, chunks) in [("v", 1), ("m", 6)] {
        let plan = plan(&database, table, "auto", 1000).unwrap();
        assert_eq!(plan.chunks.len(), chunks, "{table}");
        covers(&database, &plan, table);
    }
    for table in ["parent", "s"] {
        let error = plan(&database, table, "auto", 1000).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{table}: {error}");
    }
    let error = plan(&database, "v", "ctid", 1000).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

#[test]
fn names_that_sql_must_quote_are_read_as_they_are() {
    let database = Database::create("odd");
    database.execute(
        "CREATE SCHEMA \"Odd \"\"s\"; CREATE TABLE \"Odd \"\"s\".\"t;-- é\n%\"
         (\"a\"\"b\" int PRIMARY KEY, \"ID\" text);
         INSERT INTO \"Odd \"\"s\".\"t;-- é\n%\" SELECT i, 'x' FROM generate_series(1, 3000) i; ANALYZE",
    );
    let plan = plan(&database, "\"Odd \"\"s\".\"t;-- é\n%\"", "key", 1000).unwrap();
    assert_eq!(plan.chunks.len(), 3);
    covers(&database, &plan, "\"Odd \"\"s\".\"t;-- é\n%\"");
}

#[test]
fn a_table_is_found_on_the_roles_own_search_path() {
    let database = Database::create("path");
    database.execute(&format!(
        "CREATE SCHEMA mine; CREATE TABLE mine.t (id int); CREATE TABLE public.t (id int);
         ALTER DATABASE {} SET search_path = mine, public",
        database.name()
    ));
    let plan = plan(&database, "t", "auto", 1000).unwrap();
    assert_eq!(plan.schema.name.to_string(), "mine.t");
}

#[test]
fn domains_and_enums_are_resolved_and_unvalidated_not_null_promises_nothing() {
    let database = Database::create_on(18, "types");
    database.execute(
        "CREATE TYPE mood AS ENUM ('sad', 'ok'); ALTER TYPE mood ADD VALUE 'mid' BEFORE 'ok';
         CREATE DOMAIN feeling AS mood; CREATE DOMAIN money2 AS numeric(12,2);
         CREATE DOMAIN money3 AS money2;
         CREATE TABLE t (id int PRIMARY KEY, f feeling, m money3, n int,
             g int GENERATED ALWAYS AS (n + 1) VIRTUAL);
         ALTER TABLE t ADD CONSTRAINT nn NOT NULL n NOT VALID",
    );
    let plan = plan(&database, "t", "auto", 1000).unwrap();
    let columns = &plan.schema.columns;
    let labels = ["sad", "mid", "ok"].map(str::to_owned).to_vec();
    assert_eq!(columns[1].pg_type, PgType::Enum { labels });
    assert_eq!(columns[1].type_name, "public.feeling");
    let PgType::Numeric(Some(numeric)) = columns[2].pg_type else {
        panic!("{:?}", columns[2])
    };
    assert_eq!((numeric.precision, numeric.scale), (12, 2));
    assert!(columns[0].not_null && !columns[3].not_null);
    assert!(columns[4].generated);
}

#[test]
fn a_filter_is_one_expression_or_refused_before_anything_is_read() {
    let database = Database::create("filter");
    database.execute("CREATE TABLE t (id int PRIMARY KEY)");
    let check = |filter: &str| {
        let source = ConnectOptions::from_dsn(Some(&database.dsn())).unwrap();
        let mut options = ExportOptions::new(vec!["t".parse().unwrap()]);
        options.filter = Some(filter.to_owned());
        rig::wait(async move { pgsluice::plan(&source, &options).await }).map(|_| ())
    };
    check("id > 5 -- the new ones").unwrap();
    for filter in [
        "true) OR (true",
        "",
        "true; DROP TABLE t",
        "id",
        "/*",
        "nosuch = 1",
    ] {
        let error = check(filter).expect_err(filter);
        assert_eq!(error.kind(), ErrorKind::Config, "{filter:?}: {error}");
    }
}
