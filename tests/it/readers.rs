//! What DuckDB, Polars and pyarrow read is what PostgreSQL holds: rows, values that are not
//! NULL, and an exact sum of every column, over ten tables.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::rig::{Database, Root, Session, TempRoot, pgsluice, python, run};

const LIMIT: Duration = Duration::from_secs(300);

/// How a column is summed; `tests/rig/read_datasets.py` does the same from the reader's type.
#[derive(Clone, Copy)]
enum Sum {
    /// Of exact numbers.
    Number,
    /// Of oids, which PostgreSQL does not sum.
    Oid,
    /// Of floats whose sum is exact.
    Float,
    /// Of true values.
    True,
    /// Of lengths, with the least and the greatest text by bytes.
    Text,
    /// Of lengths in bytes.
    Bytes,
    /// Of days since 1970.
    Days,
    /// Of microseconds since 1970, or since midnight.
    Micros,
}

use Sum::{Bytes, Days, Float, Micros, Number, Oid, Text, True};

struct Table {
    name: &'static str,
    /// What makes and fills it.
    sql: &'static str,
    columns: &'static [(&'static str, Sum)],
}

const TABLES: [Table; 10] = [
    Table {
        name: "integers",
        sql: "CREATE TABLE integers AS SELECT i AS a, (i % 32768)::int2 AS b, \
              (CASE WHEN i % 7 > 0 THEN i - 50000 END)::int4 AS c, \
              9223372036854000000 + i AS d, (4000000000 + i)::oid AS e \
              FROM generate_series(1::int8, 100000) i",
        columns: &[
            ("a", Number),
            ("b", Number),
            ("c", Number),
            ("d", Number),
            ("e", Oid),
        ],
    },
    Table {
        name: "floats",
        sql: "CREATE TABLE floats AS SELECT i, i / 4.0::float8 AS a, \
              (CASE WHEN i % 3 > 0 THEN i / 8.0 END)::float4 AS b, (i - 10000) * 1e3::float8 AS c \
              FROM generate_series(1, 20000) i",
        columns: &[("i", Number), ("a", Float), ("b", Float), ("c", Float)],
    },
    Table {
        name: "decimals",
        sql: "CREATE TABLE decimals AS SELECT i, (i / 100.0)::numeric(12,2) AS a, \
              (-i * 1234567890123456789.0)::numeric(30,3) AS b, \
              (CASE WHEN i % 5 > 0 THEN i END)::numeric(9,0) AS c \
              FROM generate_series(1, 20000) i",
        columns: &[("i", Number), ("a", Number), ("b", Number), ("c", Number)],
    },
    Table {
        name: "texts",
        sql: "CREATE TABLE texts AS SELECT i, 'naïve 源 ' || i AS a, \
              (CASE WHEN i % 2 = 0 THEN '' ELSE repeat('x', i % 300) END)::varchar(400) AS b, \
              (CASE WHEN i % 4 > 0 THEN 'k' || i % 10 END)::char(5) AS c \
              FROM generate_series(1, 20000) i",
        columns: &[("i", Number), ("a", Text), ("b", Text), ("c", Text)],
    },
    Table {
        name: "blobs",
        sql: "CREATE TABLE blobs AS SELECT i, decode(repeat(md5(i::text), i % 40), 'hex') AS a \
              FROM generate_series(1, 20000) i",
        columns: &[("i", Number), ("a", Bytes)],
    },
    Table {
        name: "times",
        sql: "CREATE TABLE times AS SELECT i, date '0001-01-01' + i * 150 AS a, \
              timestamp '1600-01-01 00:00:00.000001' + i * interval '7 days 1.5 seconds' AS b, \
              (CASE WHEN i % 9 > 0 THEN timestamptz '1969-12-31 23:59:59.999999+00' \
                  + i * interval '1 hour' END) AS c, \
              time '00:00:00' + i * interval '3.25 seconds' AS d \
              FROM generate_series(1, 20000) i",
        columns: &[
            ("i", Number),
            ("a", Days),
            ("b", Micros),
            ("c", Micros),
            ("d", Micros),
        ],
    },
    Table {
        name: "mixed",
        sql: "CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy'); \
              CREATE TABLE mixed AS SELECT i, i % 3 = 0 AS a, \
              (enum_range(NULL::mood))[1 + i % 3] AS b, md5(i::text)::uuid AS c, \
              jsonb_build_object('n', i, 'è', NULL) AS d, ('{ \"n\":' || i || ' }')::json AS e, \
              (CASE WHEN i % 2 = 0 THEN i % 5 = 0 END) AS f \
              FROM generate_series(1, 20000) i",
        columns: &[
            ("i", Number),
            ("a", True),
            ("b", Text),
            ("c", Text),
            ("d", Text),
            ("e", Text),
            ("f", True),
        ],
    },
    Table {
        name: "as_text",
        sql: "CREATE DOMAIN short AS text CHECK (length(VALUE) < 20); \
              CREATE TABLE as_text AS SELECT i, i::numeric / 7 AS a, ('v' || i)::tsvector AS b, \
              ARRAY[('v' || i)::tsvector, NULL] AS c, ('(' || i || ',1)')::tid AS d, \
              ('v' || i)::short AS e, ('v' || i)::tsquery AS f FROM generate_series(1, 5000) i",
        columns: &[
            ("i", Number),
            ("a", Text),
            ("b", Text),
            ("c", Text),
            ("d", Text),
            ("e", Text),
            ("f", Text),
        ],
    },
    Table {
        name: "parted",
        sql: "CREATE TABLE parted (id int8 NOT NULL, region text) PARTITION BY LIST (region); \
              CREATE TABLE parted_a PARTITION OF parted FOR VALUES IN ('a'); \
              CREATE TABLE parted_b PARTITION OF parted FOR VALUES IN ('b', NULL); \
              CREATE TABLE parted_rest PARTITION OF parted DEFAULT; \
              INSERT INTO parted SELECT i, (ARRAY['a', 'b', 'c', NULL])[1 + i % 4] \
              FROM generate_series(1, 20000) i",
        columns: &[("id", Number), ("region", Text)],
    },
    Table {
        name: "empty",
        sql: "CREATE TABLE empty (a int8, b text, c numeric(10,2), d timestamptz, e bytea)",
        columns: &[
            ("a", Number),
            ("b", Text),
            ("c", Number),
            ("d", Micros),
            ("e", Bytes),
        ],
    },
];

#[test]
fn three_readers_see_what_postgres_holds() {
    let database = Database::create("readers");
    for table in &TABLES {
        database.execute(table.sql);
    }
    database.execute("ANALYZE");
    let session = database.session();
    let expected = TABLES.map(|table| expected(&session, &table));
    let root = TempRoot::new();
    let tables = TABLES.iter().flat_map(|table| ["--table", table.name]);
    let mut export = pgsluice();
    export.args(["export", "--from", &database.dsn(), "--to", &root.url()]);
    // Small chunks and row groups, so that sums run over many.
    export
        .args(["--chunk-rows", "3000", "--row-group-bytes", "65536"])
        .args(tables);
    run(&mut export, LIMIT).expect_code(0);

    let folder = |name: &str| format!("{name}={}/public/{name}", root.url());
    let mut read = python(
        "read_datasets.py",
        TABLES.iter().map(|table| folder(table.name)),
    );
    let seen = run(&mut read, LIMIT).expect_code(0).json();
    for (table, expected) in TABLES.iter().zip(expected) {
        for reader in ["pyarrow", "duckdb", "polars"] {
            let seen = told(&seen[table.name][reader]);
            assert_eq!(seen, expected, "{}, {reader}", table.name);
        }
    }
}

/// What a reader must see: the rows, then each column.
fn expected(session: &Session, table: &Table) -> BTreeMap<String, String> {
    session.execute("SET TimeZone = 'UTC'");
    let columns = table
        .columns
        .iter()
        .map(|(name, sum)| expression(name, *sum));
    let columns: Vec<_> = columns.collect();
    let sql = format!(
        "SELECT count(*), {} FROM {}",
        columns.join(", "),
        table.name
    );
    let row = session.query_text(&sql).remove(0);
    let names = std::iter::once("rows").chain(table.columns.iter().map(|(name, _)| *name));
    names
        .map(str::to_owned)
        .zip(row.into_iter().flatten())
        .collect()
}

/// SQL for `count|sum` of a column, in the script's words.
fn expression(name: &str, sum: Sum) -> String {
    let sum = match sum {
        Number => format!("coalesce(sum({name}), 0)"),
        Oid => format!("coalesce(sum({name}::int8), 0)"),
        Float => format!("coalesce(sum({name}::float8), 0)"),
        True => format!("count(*) FILTER (WHERE {name})"),
        Text => format!(
            "coalesce(sum(length({text})), 0) || '|' || coalesce(min({text} COLLATE \"C\"), '') \
             || '|' || coalesce(max({text} COLLATE \"C\"), '')",
            // By the type's own output: a cast to text would strip the padding of char(n).
            text = format_args!("(CASE WHEN {name} IS NOT NULL THEN format('%s', {name}) END)"),
        ),
        Bytes => format!("coalesce(sum(octet_length({name})), 0)"),
        Days => format!("coalesce(sum({name} - date '1970-01-01'), 0)"),
        Micros => format!("coalesce(sum((extract(epoch FROM {name}) * 1000000)::int8), 0)"),
    };
    format!("count({name}) || '|' || {sum}")
}

/// What a reader saw, in the same form.
fn told(seen: &Value) -> BTreeMap<String, String> {
    let columns = seen["columns"].as_object().expect("the script's output");
    let shown = |value: &Value| value.as_str().expect("a text").to_owned();
    let columns = columns
        .iter()
        .map(|(name, value)| (name.clone(), shown(value)));
    columns
        .chain([("rows".to_owned(), seen["rows"].to_string())])
        .collect()
}
