//! A hash over rows that does not depend on their order, computed by PostgreSQL in SQL and from
//! Parquet in Rust: two ways to the same number, with no code of pgsluice in either.

use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Int32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, RecordBatch};
use sha2::{Digest, Sha256};

use crate::rig::Session;

/// The number of rows, and the sum of 60 bits of each row's SHA-256.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fingerprint {
    rows: u64,
    sum: u128,
}

impl Fingerprint {
    /// Of the rows of `events` that meet a condition, as the session sees them.
    pub(super) fn in_postgres(session: &Session, condition: &str) -> Self {
        Self::of_table(session, "events", condition)
    }

    /// Of another table with the same columns.
    pub(super) fn of_table(session: &Session, table: &str, condition: &str) -> Self {
        let row = session.query_text(&format!(
            "SELECT count(*), coalesce(sum(('x' || substr(encode(sha256(convert_to(
                 concat_ws('|', id, kind, coalesce(note, '~'), amount,
                     (extract(epoch FROM at) * 1000000)::bigint),
                 'UTF8')), 'hex'), 1, 15))::bit(60)::bigint), 0)
             FROM {table} WHERE {condition}"
        ));
        let number = |i: usize| row[0][i].as_deref().expect("an aggregate has a value");
        Self {
            rows: number(0).parse().expect("a count"),
            sum: number(1).parse().expect("a sum"),
        }
    }
}

impl Fingerprint {
    /// How many rows it is of.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }
}

/// Rows of `events`, as text and key.
pub(super) struct Rows(Vec<(i64, String)>);

impl Rows {
    /// Reads the columns by their names and types.
    pub(super) fn from(batches: &[RecordBatch]) -> Self {
        Self(batches.iter().flat_map(rows_of).collect())
    }

    /// Every key, in the order of the files.
    pub(super) fn ids(&self) -> impl Iterator<Item = i64> {
        self.0.iter().map(|(id, _)| *id)
    }

    /// Of the rows whose key is wanted.
    pub(super) fn fingerprint(&self, is_wanted: impl Fn(i64) -> bool) -> Fingerprint {
        let mut fingerprint = Fingerprint { rows: 0, sum: 0 };
        for (_, text) in self.0.iter().filter(|(id, _)| is_wanted(*id)) {
            let digest = Sha256::digest(text.as_bytes());
            let first = digest
                .iter()
                .take(8)
                .fold(0, |bits, byte| bits << 8 | u64::from(*byte));
            fingerprint.rows += 1;
            fingerprint.sum += u128::from(first >> 4);
        }
        fingerprint
    }
}

fn rows_of(batch: &RecordBatch) -> Vec<(i64, String)> {
    let column = |name: &str| {
        batch
            .column_by_name(name)
            .unwrap_or_else(|| panic!("no {name}"))
    };
    let ids = column("id").as_primitive::<Int64Type>();
    let kinds = column("kind").as_primitive::<Int32Type>();
    let notes = column("note").as_string::<i32>();
    let amounts = column("amount").as_primitive::<Decimal128Type>();
    let times = column("at").as_primitive::<TimestampMicrosecondType>();
    let row = |i: usize| {
        let note = if notes.is_null(i) {
            "~"
        } else {
            notes.value(i)
        };
        let (id, kind, amount) = (ids.value(i), kinds.value(i), amounts.value_as_string(i));
        (
            id,
            format!("{id}|{kind}|{note}|{amount}|{}", times.value(i)),
        )
    };
    (0..batch.num_rows()).map(row).collect()
}

#[test]
fn both_ways_lead_to_the_same_fingerprint() {
    use std::sync::Arc;

    use arrow_array::{
        ArrayRef, Decimal128Array, Int32Array, Int64Array, StringArray, TimestampMicrosecondArray,
    };

    let database = crate::rig::Database::create("fingerprint");
    database.execute(super::TABLE);
    let session = database.session();
    let sql =
        "SELECT id, kind, note, (amount * 100)::bigint, (extract(epoch FROM at) * 1000000)::bigint
               FROM events WHERE id <= 1000 OR id > 199000";
    let rows = session.query_text(sql);
    let column = |i: usize| rows.iter().map(move |row| row[i].clone());
    let numbers = |i: usize| column(i).map(|text| text.unwrap().parse::<i64>().unwrap());
    let kinds = numbers(1).map(|kind| kind as i32).collect::<Int32Array>();
    let amounts = numbers(3)
        .map(|amount| Some(i128::from(amount)))
        .collect::<Decimal128Array>();
    let columns: [(&str, ArrayRef); 5] = [
        ("id", Arc::new(numbers(0).collect::<Int64Array>())),
        ("kind", Arc::new(kinds)),
        ("note", Arc::new(column(2).collect::<StringArray>())),
        (
            "amount",
            Arc::new(amounts.with_precision_and_scale(12, 2).unwrap()),
        ),
        (
            "at",
            Arc::new(
                numbers(4)
                    .map(Some)
                    .collect::<TimestampMicrosecondArray>()
                    .with_timezone("UTC"),
            ),
        ),
    ];
    let rows = Rows::from(&[RecordBatch::try_from_iter(columns).unwrap()]);
    let expected = Fingerprint::in_postgres(&session, "id <= 1000 OR id > 199000");
    assert_eq!(expected.rows, 2000);
    assert_eq!(rows.fingerprint(|_| true), expected);

    // One cent, and one row, make a difference.
    session.execute("UPDATE events SET amount = amount + 0.01 WHERE id = 199999");
    assert_ne!(
        Fingerprint::in_postgres(&session, "id <= 1000 OR id > 199000"),
        expected
    );
    assert_ne!(rows.fingerprint(|id| id != 1), expected);
}

#[test]
fn the_writers_change_only_what_they_should() {
    use std::time::Duration;

    let database = crate::rig::Database::create("kill_writers");
    database.execute(super::TABLE);
    let session = database.session();
    let untouched = "id % 10 <> 0 AND id <= 200000";
    let before = [untouched, "true"].map(|rows| Fingerprint::in_postgres(&session, rows));
    let writer = database.write_in_background(super::WRITES, 2, 100);
    let added = || session.query_one_text("SELECT count(*) > 20 FROM events WHERE id > 200000");
    for _ in 0..500 {
        if added() == "t" {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    writer.stop();
    assert_eq!(added(), "t");
    let after = [untouched, "true"].map(|rows| Fingerprint::in_postgres(&session, rows));
    assert_eq!(after[0], before[0]);
    assert_ne!(after[1], before[1]);
}
