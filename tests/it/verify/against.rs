//! `verify --against`: the rows of the objects and those of the table, hashed on both sides.

use super::*;

#[track_caller]
fn against(root: &dyn Root, database: &Database, code: i32) -> Value {
    report(root, &["--against", &database.dsn()], code)
}

fn source(report: &Value, field: &str) -> u64 {
    let value = report["datasets"][0]["source"][field].as_u64();
    value.unwrap_or_else(|| panic!("{field}: {report:#}"))
}

fn messages(report: &Value) -> String {
    report["datasets"][0]["findings"].to_string()
}

#[test]
fn a_quiet_table_is_equal_and_a_written_one_is_told_to_have_changed() {
    let database = Database::create("verify_against");
    let root = exported(&database);
    let equal = against(&root, &database, 0);
    assert_eq!(equal["datasets"][0]["findings"], Value::Array(Vec::new()));
    let parts = source(&equal, "parts");
    assert!(parts >= 4, "{equal:#}");
    for field in ["counted_equal", "hashed", "hashed_equal"] {
        assert_eq!(source(&equal, field), parts, "{field}: {equal:#}");
    }

    database.execute("INSERT INTO orders VALUES (5000, 'new')");
    let grown = against(&root, &database, 8);
    assert_eq!(errors(&grown), ["source_count"]);
    assert!(
        messages(&grown).contains("at least 1 rows there are newer"),
        "{grown:#}"
    );
    assert_eq!(source(&grown, "hashed_equal"), parts - 1);

    database
        .execute("DELETE FROM orders WHERE id = 5000; UPDATE orders SET note = 'x' WHERE id = 7");
    let updated = against(&root, &database, 8);
    assert_eq!(errors(&updated), ["source_rows"]);
    assert!(
        messages(&updated).contains("the table changed since"),
        "{updated:#}"
    );

    database.execute("DELETE FROM orders WHERE id IN (7, 8)");
    let deleted = against(&root, &database, 8);
    assert_eq!(errors(&deleted), ["source_count"]);
    assert!(
        messages(&deleted).contains("rows were deleted since"),
        "{deleted:#}"
    );

    let quick = report(&root, &["--quick", "--against", &database.dsn()], 8);
    assert_eq!(errors(&quick), ["source_count"]);
    assert_eq!(source(&quick, "hashed"), 0);
}

#[test]
fn values_of_many_types_hash_alike_on_both_sides() {
    let database = Database::create("verify_types");
    database.execute(
        "CREATE TYPE mood AS ENUM ('sad', 'ok');
         CREATE DOMAIN feeling AS mood; CREATE DOMAIN pair AS int[]; CREATE DOMAIN nest AS pair;
         CREATE TYPE point3 AS (x int, y text);
         CREATE TABLE orders (id int PRIMARY KEY, a bool, b \"char\", c int2, d float8,
             e numeric(12,2), f numeric, g bpchar(5), h varchar(9), i name, j bytea, k date,
             l timestamptz, m interval, n uuid, o jsonb, p json, q mood, r feeling, s int[],
             t nest, u point3, v int4range, w inet, x bit varying, y tsvector, z oid, aa text[],
             bb xml, cc \"timetz\", dd money, ee path, ff mood[], gg bit(3), hh int8range);
         INSERT INTO orders SELECT i, i % 2 = 0, 'c', i, i / 3.0, i / 7.0, i / 9.0, 'ab', 'v' || i,
             'name', decode(md5(i::text), 'hex'), '2020-01-01'::date + i, now(), i * '1 day'::interval,
             md5(i::text)::uuid, jsonb_build_object('i', i), '{\"a\": 1}', 'ok', 'sad',
             ARRAY[i, NULL, 3], '{1,2}', ROW(i, 'y'::text)::point3, int4range(i, i + 5), '10.0.0.0/8', B'1011',
             to_tsvector('simple', 'a b c'), 4000000000, ARRAY['a', NULL], '<a/>', '12:00+02',
             '12.34', '((1,2),(3,4))', ARRAY['ok']::mood[], B'101', int8range(1, NULL)
         FROM generate_series(1, 300) i;
         INSERT INTO orders (id) VALUES (1000);
         ANALYZE orders",
    );
    for flags in [
        &["--chunk-by", "key:id"][..],
        &["--chunk-by", "ctid"],
        &["--chunk-by", "none"],
    ] {
        let root = TempRoot::new();
        export(&database, "orders", &root, flags);
        let equal = against(&root, &database, 0);
        assert_eq!(
            equal["datasets"][0]["findings"],
            Value::Array(Vec::new()),
            "{equal:#}"
        );
        assert_eq!(
            source(&equal, "hashed_equal"),
            source(&equal, "parts"),
            "{equal:#}"
        );
        assert!(source(&equal, "parts") >= 1);
    }
}

#[test]
fn partitions_filters_and_views_are_compared_as_they_were_read() {
    let database = Database::create("verify_parts");
    database.execute(
        "CREATE TABLE orders (id int, note text) PARTITION BY RANGE (id);
         CREATE TABLE orders_a PARTITION OF orders FOR VALUES FROM (0) TO (100);
         CREATE TABLE orders_b PARTITION OF orders FOR VALUES FROM (100) TO (200);
         INSERT INTO orders SELECT i, 'n' || i FROM generate_series(0, 199) i;
         CREATE VIEW few AS SELECT * FROM orders WHERE id < 50;
         ANALYZE orders",
    );
    let root = TempRoot::new();
    export(
        &database,
        "orders",
        &root,
        &["--where", "id % 2 = 0 -- even"],
    );
    let equal = against(&root, &database, 0);
    // Both small partitions are one pack.
    assert_eq!(source(&equal, "hashed_equal"), 1, "{equal:#}");
    database.execute(
        "CREATE TABLE orders_c PARTITION OF orders FOR VALUES FROM (200) TO (300);
         INSERT INTO orders VALUES (250, 'late'), (151, 'odd')",
    );
    let grown = against(&root, &database, 8);
    assert_eq!(errors(&grown), ["source_schema"], "{grown:#}");

    let view = TempRoot::new();
    export(&database, "few", &view, &[]);
    assert_eq!(source(&against(&view, &database, 0), "hashed_equal"), 1);
    database.execute("DELETE FROM orders WHERE id = 1");
    assert_eq!(errors(&against(&view, &database, 8)), ["source_count"]);
}

#[test]
fn a_changed_column_and_a_dropped_table_are_told() {
    let database = Database::create("verify_ddl");
    let root = exported(&database);
    database.execute("ALTER TABLE orders ALTER COLUMN amount TYPE bigint");
    let changed = against(&root, &database, 8);
    assert_eq!(errors(&changed), ["source_schema"]);
    assert_eq!(source(&changed, "hashed"), 0);
    database.execute("DROP TABLE orders");
    assert_eq!(errors(&against(&root, &database, 8)), ["source_unread"]);
}

#[test]
fn a_copy_with_other_oids_is_counted_and_said_not_to_be_compared() {
    let database = Database::create("verify_oids");
    let copy = Database::create("verify_oids_copy");
    for database in [&database, &copy] {
        database.execute(
            "CREATE TYPE mood AS ENUM ('low', 'high');
             CREATE TABLE orders (id bigint PRIMARY KEY, moods mood[]);
             INSERT INTO orders SELECT i, '{low,high}' FROM generate_series(1, 100) i",
        );
    }
    let root = TempRoot::new();
    export(&database, "orders", &root, &[]);
    let equal = against(&root, &database, 0);
    assert_eq!(equal["datasets"][0]["findings"], Value::Array(Vec::new()));
    let other = against(&root, &copy, 0);
    assert_eq!(kinds(&other, "warning"), ["source_not_compared"]);
    assert_eq!(source(&other, "counted_equal"), source(&other, "parts"));
    assert_eq!(source(&other, "hashed"), 0);
    // Counts still tell.
    copy.execute("DELETE FROM orders WHERE id = 7");
    assert_eq!(errors(&against(&root, &copy, 8)), ["source_count"]);
}
