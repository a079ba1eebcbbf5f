//! Sixty relations of every kind, and a hash over their rows that does not depend on their order,
//! in SQL and from Parquet.

use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, RecordBatch};
use sha2::{Digest, Sha256};

use crate::rig::{Database, Root, Session, read_rows};

/// How many datasets `--all --include-children --include-views` makes of the database.
pub(super) const DATASETS: usize = 60;

/// The columns that every relation has, in some order, maybe among others.
const COLUMNS: &str = "id bigint, note text, amount numeric(12, 2), at timestamptz";

/// Rows from one number up to another.
fn rows(from: u32, to: u32) -> String {
    format!(
        "SELECT i::bigint AS id, CASE WHEN i % 7 > 0 THEN md5(i::text) END AS note,
           (i / 100.0)::numeric(12, 2) AS amount,
           timestamptz '2026-01-01 00:00+00' + i * interval '1.5 seconds' AS at
         FROM generate_series({from}, {to}) AS i"
    )
}

/// One dataset's source.
pub(super) struct Source {
    /// The relation, as SQL writes it.
    pub(super) name: String,
    /// The dataset's folder.
    pub(super) folder: String,
    /// Whether it is an ordinary table that nothing else is made of.
    pub(super) is_plain: bool,
}

/// Plain tables: name in SQL, folder, primary key, rows.
fn plain() -> Vec<(String, String, bool, u32)> {
    let mut tables: Vec<(String, String, bool, u32)> = (1..=40)
        .map(|i| {
            (
                format!("plain.t{i:02}"),
                format!("plain/t{i:02}"),
                i % 2 == 0,
                i * 37 % 900,
            )
        })
        .collect();
    let odd = [
        ("\"Weird \"\"name\"\"\"", "Weird%20%22name%22"),
        ("\"UPPER\"", "UPPER"),
        ("\"a/b%c\"", "a%2Fb%25c"),
        ("\"_hidden.\"", "%5Fhidden%2E"),
        ("\"名前\"", "%E5%90%8D%E5%89%8D"),
    ];
    tables.extend(odd.iter().map(|(name, folder)| {
        (
            format!("\"Odd.Schema\".{name}"),
            format!("Odd.Schema/{folder}"),
            true,
            300,
        )
    }));
    let empty = ["plain.empty_one", "plain.empty_two", "plain.empty_three"];
    tables.extend(empty.map(|name| (name.to_owned(), name.replace('.', "/"), true, 0)));
    tables
}

/// All of them.
pub(super) fn sources() -> Vec<Source> {
    let plain = plain().into_iter().map(|(name, folder, _, _)| Source {
        name,
        folder,
        is_plain: true,
    });
    let others = [
        "parts.events",
        "parts.metrics",
        "parts.bare",
        "tree.base",
        "tree.grand",
        "seen.v1",
        "seen.v2",
        "seen.v3",
        "seen.v4",
        "seen.m1",
        "seen.m2",
        "seen.m3",
    ];
    let others = others.map(|name| Source {
        name: name.to_owned(),
        folder: name.replace('.', "/"),
        is_plain: false,
    });
    plain.chain(others).collect()
}

pub(super) fn create(database: &Database) {
    assert_eq!(sources().len(), DATASETS);
    let mut sql = String::from(
        "CREATE SCHEMA plain; CREATE SCHEMA \"Odd.Schema\"; CREATE SCHEMA parts;
         CREATE SCHEMA tree; CREATE SCHEMA seen;",
    );
    for (name, _, has_key, count) in plain() {
        let key = if has_key { ", PRIMARY KEY (id)" } else { "" };
        sql += &format!(
            "CREATE TABLE {name} ({COLUMNS}{key}); INSERT INTO {name} {};",
            rows(1, count)
        );
    }
    // Two levels of partitions: by range, then by hash. A list of many small leaves. None at all.
    sql += &format!(
        "CREATE TABLE parts.events ({COLUMNS}) PARTITION BY RANGE (id);
         CREATE TABLE parts.metrics (kind int, {COLUMNS}) PARTITION BY LIST (kind);
         CREATE TABLE parts.bare ({COLUMNS}) PARTITION BY RANGE (id);
         DO $$ BEGIN
           FOR i IN 0..2 LOOP
             EXECUTE format('CREATE TABLE parts.events_%s PARTITION OF parts.events
               FOR VALUES FROM (%s) TO (%s) PARTITION BY HASH (id)', i, i * 1000, i * 1000 + 1000);
             FOR j IN 0..9 LOOP
               EXECUTE format('CREATE TABLE parts.events_%s_%s PARTITION OF parts.events_%s
                 FOR VALUES WITH (MODULUS 10, REMAINDER %s)', i, j, i, j);
             END LOOP;
           END LOOP;
           FOR i IN 0..69 LOOP
             EXECUTE format('CREATE TABLE parts.metrics_%s PARTITION OF parts.metrics
               FOR VALUES IN (%s)', i, i);
           END LOOP;
         END $$;
         INSERT INTO parts.events {};
         INSERT INTO parts.metrics SELECT id % 70, id, note, amount, at FROM ({}) AS r;",
        rows(1, 2500),
        rows(1, 1400)
    );
    // Children with columns of their own, and one that is reached twice.
    sql += &format!(
        "CREATE TABLE tree.base ({COLUMNS}); INSERT INTO tree.base {};
         CREATE TABLE tree.left (more int) INHERITS (tree.base);
         INSERT INTO tree.left SELECT *, 1 FROM ({}) AS r;
         CREATE TABLE tree.\"Right\" (PRIMARY KEY (id)) INHERITS (tree.base);
         INSERT INTO tree.\"Right\" {};
         CREATE TABLE tree.both () INHERITS (tree.left, tree.\"Right\");
         INSERT INTO tree.both SELECT *, 2 FROM ({}) AS r;
         CREATE TABLE tree.grand ({COLUMNS}); CREATE TABLE tree.only_child () INHERITS (tree.grand);
         INSERT INTO tree.only_child {};",
        rows(1, 200),
        rows(201, 700),
        rows(701, 1300),
        rows(1301, 1500),
        rows(1, 500)
    );
    sql += "CREATE VIEW seen.v1 AS SELECT * FROM tree.base WHERE id > 100;
         CREATE VIEW seen.v2 AS SELECT e.* FROM parts.events e JOIN parts.metrics m USING (id);
         CREATE VIEW seen.v3 AS SELECT * FROM seen.v1 WHERE note IS NULL;
         CREATE VIEW seen.v4 AS SELECT amount, at, note, id FROM tree.grand WHERE false;
         CREATE MATERIALIZED VIEW seen.m1 AS SELECT * FROM parts.events;
         CREATE MATERIALIZED VIEW seen.m2 AS SELECT * FROM tree.base WHERE id % 2 = 0;
         CREATE MATERIALIZED VIEW seen.m3 AS SELECT * FROM seen.v2;
         CREATE TEMPORARY TABLE never (id int); ANALYZE;";
    database.execute(&sql);
}

/// The number of rows, and the sum of 60 bits of each row's SHA-256.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fingerprint {
    rows: u64,
    sum: u128,
}

impl Fingerprint {
    /// As the session sees it. Partitions and children are read as PostgreSQL reads them.
    pub(super) fn in_postgres(session: &Session, source: &Source) -> Self {
        let row = session.query_text(&format!(
            "SELECT count(*), coalesce(sum(('x' || substr(encode(sha256(convert_to(
                 concat_ws('|', id, coalesce(note, '~'), amount,
                     (extract(epoch FROM at) * 1000000)::bigint),
                 'UTF8')), 'hex'), 1, 15))::bit(60)::bigint), 0)
             FROM {}",
            source.name
        ));
        let number = |i: usize| row[0][i].as_deref().expect("an aggregate has a value");
        Self {
            rows: number(0).parse().expect("a count"),
            sum: number(1).parse().expect("a sum"),
        }
    }

    /// As the objects that the manifest lists hold it.
    pub(super) fn in_dataset(root: &dyn Root, folder: &str) -> Self {
        let mut fingerprint = Self { rows: 0, sum: 0 };
        for batch in read_rows(root, folder) {
            for text in rows_of(&batch) {
                let digest = Sha256::digest(text.as_bytes());
                let bytes = digest.iter().take(8);
                let first = bytes.fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
                fingerprint.rows += 1;
                fingerprint.sum += u128::from(first >> 4);
            }
        }
        fingerprint
    }
}

fn rows_of(batch: &RecordBatch) -> Vec<String> {
    let column = |name: &str| {
        batch
            .column_by_name(name)
            .unwrap_or_else(|| panic!("no {name}"))
    };
    let ids = column("id").as_primitive::<Int64Type>();
    let notes = column("note").as_string::<i32>();
    let amounts = column("amount").as_primitive::<Decimal128Type>();
    let times = column("at").as_primitive::<TimestampMicrosecondType>();
    let row = |i: usize| {
        let note = if notes.is_null(i) {
            "~"
        } else {
            notes.value(i)
        };
        let (id, amount) = (ids.value(i), amounts.value_as_string(i));
        format!("{id}|{note}|{amount}|{}", times.value(i))
    };
    (0..batch.num_rows()).map(row).collect()
}
