//! Local disks that are full, fail or are shared with others: no success without a whole dataset,
//! and the same command goes on once the disk is well.
//!
//! `faults` lets single calls fail below a folder, `full` fills a small file system, `umask` looks
//! at the modes of what is made.

mod faults;
mod full;
mod layer;
mod umask;

use std::path::Path;
use std::process::Command;

use crate::rig::{Database, Outcome, Root, pgsluice, run};
use crate::scenario::{LIMIT, sorted_ids};

const FOLDER: &str = "public/t";
const ROWS: i64 = 300;

/// A table of three chunks.
fn small_table(name: &str) -> Database {
    let database = Database::create(name);
    database.execute(
        "CREATE TABLE t (id int PRIMARY KEY, note text NOT NULL);
         INSERT INTO t SELECT i, repeat(md5(i::text), 2) FROM generate_series(1, 300) i;
         ANALYZE t",
    );
    database
}

/// Exports the table to a folder; `--takeover`, because the run before may have died just now.
fn export(command: &mut Command, database: &Database, to: &Path) {
    command
        .args(["export", "--table", "t", "--chunk-by", "key:id"])
        .args(["--chunk-rows", "100", "--workers", "1", "--takeover"])
        .args(["--output", "json", "--from", &database.dsn(), "--to"])
        .arg(to);
}

/// What was told of a run on a bad disk must be so: either a storage error with advice, or a
/// whole dataset. Whether it was the latter.
#[track_caller]
fn assert_honest(outcome: &Outcome, root: &dyn Root, what: &str) -> bool {
    if outcome.code == Some(0) {
        assert_whole(root, what);
        return true;
    }
    assert_eq!(outcome.code, Some(4), "{what}: {outcome}");
    let error = &outcome.json()["error"];
    assert!(error["advice"].is_string(), "{what}: no advice: {error:#}");
    // A reader goes by this marker: where it stands, all is there.
    if root.get(&format!("{FOLDER}/_SUCCESS")).is_some() {
        assert_whole(root, what);
    }
    false
}

/// Every row once, and no object that the manifest does not list.
#[track_caller]
fn assert_whole(root: &dyn Root, what: &str) {
    crate::rig::Dataset::new(root, FOLDER).manifest();
    let expected: Vec<i64> = (1..=ROWS).collect();
    assert_eq!(sorted_ids(root, FOLDER), expected, "{what}");
}

/// `pgsluice verify`, clean.
#[track_caller]
fn assert_verified(folder: &Path, what: &str) {
    let mut verify = pgsluice();
    verify.args(["verify", "--output", "json"]).arg(folder);
    let outcome = run(&mut verify, LIMIT);
    assert_eq!(outcome.code, Some(0), "{what}: {outcome}");
}
