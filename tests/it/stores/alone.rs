//! A store that ignores put-if-absent: refused, or written by one run at a time under a lock.

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{
    FOLDER, Kind, LIMIT, Store, ask, check_whole, dataset_url, export, slow_table, start_and_commit,
};
use crate::rig::{Database, Dataset, Root, run, start};

const SOURCE: i32 = 3;
const CONFLICT: i32 = 5;
const FENCED: i32 = 6;
const UNSUPPORTED: i32 = 7;

fn alone(database: &Database, root: &dyn Root, flags: &[&str]) -> Command {
    let mut command = export(database, root, flags);
    command.arg("--single-writer");
    command
}

/// Ends the session that holds the writer's lock.
fn end_lock_session(database: &Database) {
    let sql = "SELECT pg_terminate_backend(a.pid)::text FROM pg_stat_activity a
        JOIN pg_locks l ON l.pid = a.pid AND l.locktype = 'advisory'
        WHERE a.application_name LIKE 'pgsluice % single writer'
          AND a.datname = current_database()";
    assert_eq!(database.query_one_text(sql), "true");
}

#[test]
fn it_is_refused_and_the_flag_is_named() {
    let database = slow_table("alone_refused");
    let root = Store::new(Kind::S3rver, "alone_refused");
    let refused = run(&mut export(&database, &root, &[]), LIMIT).expect_code(UNSUPPORTED);
    assert_eq!(refused.json()["error"]["kind"], "unsupported");
    assert!(refused.stderr.contains("--single-writer"), "{refused}");
    assert!(root.list("").is_empty(), "{:?}", root.list(""));
}

#[test]
fn killed_under_the_lock_it_goes_on_under_the_lock() {
    let database = slow_table("alone_killed");
    let root = Store::new(Kind::S3rver, "alone_killed");
    let mut first = start_and_commit(&mut alone(&database, &root, &[]), &root, 2);

    let second = run(&mut alone(&database, &root, &["--takeover"]), LIMIT);
    let second = second.expect_code(CONFLICT);
    for told in ["single writer", "backend ", "pg_terminate_backend"] {
        assert!(second.stderr.contains(told), "{told}: {second}");
    }
    first.kill();

    let report = run(&mut alone(&database, &root, &[]), LIMIT)
        .expect_code(0)
        .json();
    let table = &report["tables"][0];
    assert_eq!(table["writers"], "single", "{report:#}");
    assert!(table["chunks_skipped"].as_u64() >= Some(2), "{report:#}");
    assert!(
        report["warnings"].to_string().contains("put-if-absent"),
        "{report:#}"
    );
    check_whole(&root);
    let (_, open) = &Dataset::new(&root, FOLDER).changes()[0];
    assert_eq!(open["config"]["writers"], "single");

    let status = ask(&root, "status", &dataset_url(&root));
    assert_eq!(status["datasets"][0]["writers"], "single", "{status:#}");
}

#[test]
fn a_lock_in_another_database_of_the_server_counts_too() {
    let (one, other) = (slow_table("alone_one"), slow_table("alone_other"));
    let root = Store::new(Kind::S3rver, "alone_databases");
    let _first = start_and_commit(&mut alone(&one, &root, &[]), &root, 1);
    let second = run(&mut alone(&other, &root, &["--takeover"]), LIMIT).expect_code(CONFLICT);
    assert!(second.stderr.contains(one.name()), "{second}");
}

#[test]
fn without_its_lock_a_run_stops_before_its_next_append() {
    let database = slow_table("alone_lost");
    let root = Store::new(Kind::S3rver, "alone_lost");
    let running = start_and_commit(&mut alone(&database, &root, &[]), &root, 1);
    end_lock_session(&database);
    let stopped = running.wait(LIMIT).expect_code(SOURCE);
    assert!(stopped.stderr.contains("the writer's lock of"), "{stopped}");
    // At most the entry whose put was on its way; neither a fail nor a pause after it.
    let changes = Dataset::new(&root, FOLDER).changes();
    let is_commit = |(_, change): &(u64, Value)| change["type"] == "commit";
    assert!(changes.iter().skip(1).all(is_commit), "{changes:#?}");
}

/// Its session ends while the process stands still right before a write, and another takes over.
#[test]
fn a_zombie_that_lost_its_lock_writes_nothing_more() {
    let database = slow_table("alone_zombie");
    let root = Store::new(Kind::S3rver, "alone_zombie");
    let mut command = alone(&database, &root, &[]);
    command.env("PGSLUICE_CRASH_POINT", "commit-entry:stop-before:2");
    let mut zombie = start(&mut command);
    wait_until_stopped(zombie.pid());
    end_lock_session(&database);

    run(&mut alone(&database, &root, &[]), LIMIT).expect_code(0);
    check_whole(&root);
    let before = Dataset::new(&root, FOLDER).contents();
    assert!(zombie.is_running());
    zombie.resume();
    // The lock is asked for, or the other's entry found first.
    let stopped = zombie.wait(LIMIT);
    assert!(matches!(stopped.code, Some(SOURCE | FENCED)), "{stopped}");
    assert_eq!(Dataset::new(&root, FOLDER).contents(), before);
    check_whole(&root);
}

#[test]
fn a_run_that_stood_still_while_its_lock_went_appends_nothing_more() {
    let database = slow_table("alone_stopped");
    let root = Store::new(Kind::S3rver, "alone_stopped");
    let mut command = alone(&database, &root, &[]);
    command.env("PGSLUICE_CRASH_POINT", "commit-entry:stop-before:2");
    let mut stopped = start(&mut command);
    wait_until_stopped(stopped.pid());
    let before = Dataset::new(&root, FOLDER).raw_log();
    end_lock_session(&database);
    stopped.resume();
    let stopped = stopped.wait(LIMIT).expect_code(SOURCE);
    assert!(stopped.stderr.contains("the writer's lock of"), "{stopped}");
    assert_eq!(Dataset::new(&root, FOLDER).raw_log(), before);
}

#[test]
fn the_flag_belongs_to_the_dataset() {
    let database = slow_table("alone_flag");
    let root = Store::new(Kind::Gcs, "alone_flag");
    let paused = ["--max-chunks", "1"];
    let report = run(&mut alone(&database, &root, &paused), LIMIT)
        .expect_code(0)
        .json();
    // The store would do without: it says so, and is asked for put-if-absent all the same.
    assert!(
        report["warnings"].to_string().contains("not needed"),
        "{report:#}"
    );
    let refused = run(&mut export(&database, &root, &[]), LIMIT).expect_code(CONFLICT);
    assert!(
        refused.stderr.contains("--single-writer was true"),
        "{refused}"
    );
    run(&mut alone(&database, &root, &[]), LIMIT).expect_code(0);
    check_whole(&root);

    let plain = Store::new(Kind::Gcs, "alone_plain");
    run(&mut export(&database, &plain, &paused), LIMIT).expect_code(0);
    let refused = run(&mut alone(&database, &plain, &[]), LIMIT).expect_code(CONFLICT);
    assert!(
        refused.stderr.contains("--single-writer was false"),
        "{refused}"
    );
}

fn wait_until_stopped(pid: u32) {
    let deadline = Instant::now() + LIMIT;
    let stat = format!("/proc/{pid}/stat");
    loop {
        let stat = std::fs::read_to_string(&stat).expect("the process lives");
        if stat
            .rsplit(')')
            .next()
            .is_some_and(|rest| rest.trim_start().starts_with('T'))
        {
            return;
        }
        assert!(Instant::now() < deadline, "it does not stop");
        std::thread::sleep(Duration::from_millis(10));
    }
}
