//! Exports as scenarios run them: one command, bounded, its outcome at hand.

use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::rig::{self, Database, Outcome, Root, TempRoot};

/// No export of these tests takes longer.
pub(crate) const LIMIT: Duration = Duration::from_secs(120);

/// `pgsluice export` of one table to a local folder.
pub(crate) fn export_command(
    database: &Database,
    table: &str,
    root: &TempRoot,
    flags: &[&str],
) -> Command {
    let mut command = rig::pgsluice();
    command
        .args([
            "export",
            "--from",
            &database.dsn(),
            "--table",
            table,
            "--output",
            "json",
        ])
        .arg("--to")
        .arg(root.path())
        .args(["--lease-interval", "200ms"])
        .args(flags);
    command
}

/// Runs it to its end, whatever that is.
#[track_caller]
pub(crate) fn try_export(
    database: &Database,
    table: &str,
    root: &TempRoot,
    flags: &[&str],
) -> Outcome {
    rig::run(&mut export_command(database, table, root, flags), LIMIT)
}

/// Runs it to a good end, and gives its report.
#[track_caller]
pub(crate) fn export(database: &Database, table: &str, root: &TempRoot, flags: &[&str]) -> Value {
    try_export(database, table, root, flags)
        .expect_code(0)
        .json()
}

/// A column of a dataset as text, sorted.
pub(crate) fn sorted_ids(root: &dyn Root, dataset: &str) -> Vec<i64> {
    use arrow_array::cast::AsArray;
    use arrow_array::types::{Int32Type, Int64Type};
    let mut ids = Vec::new();
    for batch in rig::read_rows(root, dataset) {
        let column = batch.column_by_name("id").expect("an id column");
        match column.data_type() {
            arrow_schema::DataType::Int32 => {
                ids.extend(
                    column
                        .as_primitive::<Int32Type>()
                        .iter()
                        .flatten()
                        .map(i64::from),
                );
            }
            _ => ids.extend(column.as_primitive::<Int64Type>().iter().flatten()),
        }
    }
    ids.sort_unstable();
    ids
}

/// Verifies all below a root, and expects that all holds.
#[track_caller]
pub(crate) fn verify(root: &TempRoot) -> Value {
    let mut command = rig::pgsluice();
    command
        .arg("verify")
        .arg(root.path())
        .args(["--output", "json"]);
    rig::run(&mut command, LIMIT).expect_code(0).json()
}
