//! Two writers at one root: one wins, the other is told who, and a writer that was taken over
//! changes nothing when it comes back.

mod often;

use std::process::Command;
use std::time::{Duration, Instant};

use crate::rig::{
    Database, Dataset, Root, Running, S3Root, TempRoot, chunk_entries, pgsluice, start,
};

const LIMIT: Duration = Duration::from_secs(120);
const FOLDER: &str = "public/slow";
/// Exit codes, as `pgsluice --help` documents them.
const CONFLICT: i32 = 5;
const FENCED: i32 = 6;

/// A table of 2000 rows in ten chunks, and flags that read it row by row: each takes a
/// millisecond, two with its overhead, so that a run takes seconds on any machine.
fn slow_table(name: &str) -> Database {
    let database = Database::create(name);
    database.execute(
        "CREATE TABLE slow AS SELECT i::bigint AS id, md5(i::text) AS note \
         FROM generate_series(1, 2000) AS i; \
         ALTER TABLE slow ADD PRIMARY KEY (id); ANALYZE slow;",
    );
    database
}

fn export(database: &Database, root: &dyn Root) -> Command {
    let mut command = pgsluice();
    root.equip(&mut command);
    command.args([
        "export",
        "--from",
        &database.dsn(),
        "--table",
        "slow",
        "--to",
        &root.url(),
    ]);
    command.args([
        "--where",
        "pg_sleep(0.001) IS NOT NULL",
        "--chunk-by",
        "key:id",
    ]);
    command.args([
        "--chunk-rows",
        "200",
        "--workers",
        "1",
        "--lease-interval",
        "500ms",
    ]);
    command.args(["--output", "json"]);
    command
}

#[test]
fn of_two_exports_started_at_once_on_disk_one_wins() {
    let database = slow_table("race_disk");
    for _ in 0..3 {
        one_of_two_wins(&database, &TempRoot::new());
    }
}

#[test]
fn of_two_exports_started_at_once_on_s3_one_wins() {
    let database = slow_table("race_s3");
    for _ in 0..3 {
        one_of_two_wins(&database, &S3Root::new("race"));
    }
}

fn one_of_two_wins(database: &Database, root: &dyn Root) {
    let mut runs = [(); 2].map(|()| start(&mut export(database, root)));
    let pids = [0, 1].map(|i| runs[i].pid().to_string());
    let deadline = Instant::now() + LIMIT;
    while runs.iter_mut().all(Running::is_running) {
        assert!(Instant::now() < deadline, "both are still running");
        std::thread::sleep(Duration::from_millis(20));
    }
    let outcomes = runs.map(|run| run.wait(LIMIT));
    let loser = outcomes
        .iter()
        .position(|outcome| outcome.code == Some(CONFLICT));
    let told = format!("{}\n{}", outcomes[0], outcomes[1]);
    let loser = loser.unwrap_or_else(|| panic!("nobody was refused:\n{told}"));
    let winner = 1 - loser;
    assert_eq!(outcomes[winner].code, Some(0), "{told}");
    let refusal = outcomes[loser].json();
    assert_eq!(refusal["error"]["kind"], "conflict", "{told}");
    assert!(
        outcomes[loser].stderr.contains(&pids[winner]),
        "the refusal names process {}:\n{told}",
        pids[winner]
    );
    let dataset = Dataset::new(root, FOLDER);
    assert_eq!(
        dataset.committed().len(),
        chunk_entries(&dataset.manifest()).len()
    );
    assert_eq!(dataset.plans(), 1, "the loser wrote nothing");
}

#[test]
fn a_writer_that_was_stopped_and_taken_over_changes_nothing_on_disk() {
    taken_over("race_zombie", &TempRoot::new());
}

#[test]
fn a_writer_that_was_stopped_and_taken_over_changes_nothing_on_s3() {
    taken_over("race_zombie_s3", &S3Root::new("zombie"));
}

fn taken_over(name: &str, root: &dyn Root) {
    let database = slow_table(name);
    let dataset = Dataset::new(root, FOLDER);
    let mut first = start(&mut export(&database, root));
    let deadline = Instant::now() + LIMIT;
    while dataset.committed().is_empty() {
        assert!(first.is_running(), "it ended early:\n{}", first.stderr());
        assert!(
            Instant::now() < deadline,
            "nothing was committed:\n{}",
            first.stderr()
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    first.stop();
    let committed = dataset.committed();

    let second = start(export(&database, root).arg("--takeover"))
        .wait(LIMIT)
        .expect_code(0);
    let report = &second.json()["tables"][0];
    assert_eq!(report["chunks_skipped"], committed.len(), "{second}");
    dataset.manifest();
    let before = dataset.contents();

    first.resume();
    let fenced = first.wait(LIMIT).expect_code(FENCED);
    assert_eq!(fenced.json()["error"]["kind"], "fenced", "{fenced}");
    let after = dataset.contents();
    assert_eq!(
        before.keys().collect::<Vec<_>>(),
        after.keys().collect::<Vec<_>>()
    );
    assert!(before == after, "an object was rewritten");
}
