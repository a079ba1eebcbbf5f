//! What must hold of a dataset that was finished after kills.

use std::collections::BTreeSet;
use std::time::Duration;

use arrow_array::{Array, RecordBatch};
use serde_json::Value;

use super::draw::{Draw, Kind, Odd};
use super::{ROWS, folder};
use crate::kill::fingerprint::{Fingerprint, Rows};
use crate::rig::{Database, Dataset, Root, Session, chunk_entries, pgsluice, read_rows, run};

/// Every object, entry and row against the manifest, by the program itself.
pub(super) fn verify(root: &dyn Root) {
    let mut command = pgsluice();
    root.equip(&mut command)
        .args(["verify", &root.url(), "--output", "json", "--quiet"]);
    run(&mut command, Duration::from_secs(60)).expect_code(0);
}

/// The rows of one dataset against their table. Gives its consistency.
pub(super) fn check(
    database: &Database,
    draw: &Draw,
    root: &dyn Root,
    table: &str,
    holder: Option<&Session>,
) -> String {
    let manifest = Dataset::new(root, &folder(table)).manifest();
    let batches = read_rows(root, &folder(table));
    let rows = Rows::from(&batches);
    let consistency = manifest["consistency"].as_str().expect("a word");
    check_odd(draw, &manifest, &batches);
    match holder {
        Some(holder) => {
            assert_eq!(consistency, "snapshot");
            let expected = Fingerprint::of_table(holder, table, "true");
            assert_eq!(rows.fingerprint(|_| true), expected, "{table}");
        }
        None if draw.kind == Kind::Incremental => {
            let runs = manifest["incremental"]["runs"].as_array().expect("runs");
            let upper = runs.last().expect("a run")["upper"].as_str();
            let reached = format!("id <= {}", upper.expect("the last run's bound"));
            let expected = Fingerprint::of_table(&database.session(), table, &reached);
            assert_eq!(rows.fingerprint(|_| true), expected, "{table}, {reached}");
        }
        None => {
            assert_eq!(consistency, told(&manifest, draw), "{table}");
            check_rows_nobody_changed(database, table, &rows);
        }
    }
    consistency.to_owned()
}

/// What the manifest must call itself: by the snapshots that its chunks were read under.
fn told(manifest: &Value, draw: &Draw) -> &'static str {
    let snapshots: BTreeSet<_> = chunk_entries(manifest)
        .into_iter()
        .map(|chunk| chunk["snapshot"].as_u64().expect("a chunk's snapshot"))
        .collect();
    match snapshots.len() {
        0 | 1 => "snapshot",
        _ if draw.never_mixes() => panic!("chunks of {snapshots:?} in one plan"),
        _ => "mixed",
    }
}

/// Old rows that are never written to are exactly there, updated ones once, all others at most
/// once.
fn check_rows_nobody_changed(database: &Database, table: &str, rows: &Rows) {
    let untouched = format!("id % 5 <> 0 AND id <= {ROWS}");
    let expected = Fingerprint::of_table(&database.session(), table, &untouched);
    assert_eq!(expected.rows(), ROWS / 5 * 4);
    let found = rows.fingerprint(|id| id % 5 != 0 && id <= ROWS as i64);
    assert_eq!(found, expected, "{table}");
    let ids: BTreeSet<i64> = rows.ids().collect();
    assert_eq!(ids.len(), rows.ids().count(), "an id of {table} came twice");
    let updated = ids.range(..=ROWS as i64).filter(|id| *id % 10 == 0);
    assert_eq!(updated.count() as u64, ROWS / 10, "an updated row was lost");
}

/// Each infinite time is an exception beside its NULL, or text.
fn check_odd(draw: &Draw, manifest: &Value, batches: &[RecordBatch]) {
    let column = |batch: &RecordBatch| batch.column_by_name("odd").map(|odd| odd.null_count());
    let nulls: usize = batches.iter().filter_map(column).sum();
    let kept = chunk_entries(manifest).into_iter().filter_map(|chunk| {
        let exceptions = chunk.get("exceptions")?;
        exceptions["values"].as_u64()
    });
    let kept = kept.sum::<u64>();
    assert_eq!(nulls as u64, kept);
    assert_eq!(kept > 0, draw.odd == Odd::Exceptions);
}
