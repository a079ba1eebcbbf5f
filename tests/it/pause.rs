//! A run that pauses, by its own policies, by a signal, or for the source's sake, and the next
//! run, which goes on without reading again what was committed.

mod guards;
mod stalled;

use std::process::Command;
use std::time::{Duration, Instant};

use chrono::{Local, TimeDelta};
use serde_json::Value;

use crate::rig::{self, Database, Dataset, Root, Running, TempRoot};
use crate::scenario::{LIMIT, sorted_ids, verify};

const FOLDER: &str = "public/slow";
const ROWS: u64 = 2000;
const CHUNKS: u64 = 10;

/// 2000 rows in ten chunks, and flags that read them row by row: each takes `milliseconds`.
struct Slow {
    database: Database,
    root: TempRoot,
    wait: String,
}

impl Slow {
    fn new(database: Database, milliseconds: u32) -> Self {
        database.execute(&format!(
            "CREATE TABLE slow AS SELECT i::bigint AS id, md5(i::text) AS note \
             FROM generate_series(1, {ROWS}) AS i; \
             ALTER TABLE slow ADD PRIMARY KEY (id); ANALYZE slow;"
        ));
        let seconds = f64::from(milliseconds) / 1000.0;
        Self {
            database,
            root: TempRoot::new(),
            wait: format!("pg_sleep({seconds}) IS NOT NULL"),
        }
    }

    fn command(&self, dsn: &str, flags: &[&str]) -> Command {
        let mut command = rig::pgsluice();
        command.args(["export", "--from", dsn, "--table", "slow", "--to"]);
        command.arg(self.root.path());
        command.args(["--where", &self.wait, "--chunk-by", "key:id"]);
        command.args(["--chunk-rows", "200", "--workers", "2"]);
        command.args(["--lease-interval", "200ms", "--output", "json"]);
        command.args(flags);
        command
    }

    fn start(&self, flags: &[&str]) -> Running {
        rig::start(&mut self.command(&self.database.dsn(), flags))
    }

    /// Runs it to a good end, paused or complete.
    #[track_caller]
    fn export(&self, flags: &[&str]) -> Value {
        self.start(flags).wait(LIMIT).expect_code(0).json()
    }

    fn dataset(&self) -> Dataset<'_> {
        Dataset::new(&self.root, FOLDER)
    }

    /// Waits until so many chunks are committed, while it runs.
    fn wait_for_commits(&self, running: &mut Running, chunks: usize) {
        poll(running, |_| self.dataset().committed().len() >= chunks);
    }

    /// The dataset is paused, its log ends in a pause with this reason, and `status` tells it.
    #[track_caller]
    fn expect_paused(&self, reason: &str) {
        let changes = self.dataset().changes();
        let (_, last) = changes.last().expect("a log");
        assert_eq!(last["type"], "pause", "{last}");
        let told = last["reason"].as_str().unwrap_or_default();
        assert!(told.contains(reason), "{told:?} has no {reason:?}");
        let status = status(&self.root);
        assert_eq!(status["state"], "paused", "{status}");
        assert_eq!(status["reason"], told, "{status}");
    }

    /// The next run goes on to the end: what was committed stays as it is and is not read again.
    #[track_caller]
    fn resume(&self, flags: &[&str]) {
        let (log, committed) = (self.dataset().raw_log(), self.dataset().committed());
        let before: u64 = self.copy_bytes_committed();
        let report = self.export(flags);
        assert_eq!(report["state"], "complete", "{report}");
        let table = &report["tables"][0];
        let done = committed.len() as u64;
        assert_eq!(table["chunks_skipped"], done, "{table}");
        assert_eq!(table["this_run"]["chunks"], CHUNKS - done, "{table}");
        let read = table["this_run"]["copy_bytes"].as_u64();
        let total = table["totals"]["copy_bytes"].as_u64();
        assert_eq!(read.map(|read| read + before), total, "{table}");
        let after = self.dataset().raw_log();
        for (key, entry) in &log {
            assert_eq!(after.get(key), Some(entry), "{key} was changed");
        }
        assert!(self.dataset().committed().is_superset(&committed));
        assert_eq!(self.dataset().plans(), 1);
        self.dataset().manifest();
        verify(&self.root);
        assert_eq!(
            sorted_ids(&self.root, FOLDER),
            (1..=ROWS as i64).collect::<Vec<_>>()
        );
    }

    fn copy_bytes_committed(&self) -> u64 {
        let changes = self.dataset().changes().into_iter();
        let commits = changes.filter(|(_, change)| change["type"] == "commit");
        let bytes = commits.flat_map(|(_, change)| {
            let chunks = change["chunks"].as_array().expect("chunks").clone();
            chunks
                .into_iter()
                .map(|chunk| chunk["copy_bytes"].as_u64().expect("bytes"))
        });
        bytes.sum()
    }
}

/// Waits for something to come true while a run goes on.
#[track_caller]
fn poll(running: &mut Running, mut is_true: impl FnMut(&Running) -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !is_true(running) {
        assert!(
            running.is_running(),
            "it ended early:\n{}",
            running.stderr()
        );
        assert!(Instant::now() < deadline, "too late:\n{}", running.stderr());
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn status(root: &TempRoot) -> Value {
    let mut command = rig::pgsluice();
    command.arg("status").arg(root.path());
    command.args(["--output", "json"]);
    let report = rig::run(&mut command, LIMIT).expect_code(0).json();
    report["datasets"][0].clone()
}

#[test]
fn a_number_of_chunks_is_read_exactly_and_the_next_run_goes_on() {
    let slow = Slow::new(Database::create("pause_count"), 0);
    for run in 1..=3_u64 {
        let report = slow.export(&["--max-chunks", "3", "--pause-between-chunks", "10ms"]);
        assert_eq!(report["ok"], true);
        assert_eq!(report["state"], "paused", "{report}");
        let table = &report["tables"][0];
        assert_eq!(table["state"], "paused", "{table}");
        assert_eq!(table["error"], Value::Null);
        assert_eq!(table["this_run"]["chunks"], 3, "{table}");
        assert_eq!(table["chunks_skipped"], 3 * (run - 1), "{table}");
        assert_eq!(table["chunks_total"], CHUNKS);
        slow.expect_paused("--max-chunks 3");
    }
    // As many as are left: nothing is left to pause for.
    slow.resume(&["--max-chunks", "1"]);
}

#[test]
fn a_run_whose_time_is_over_finishes_its_chunks_and_pauses() {
    let slow = Slow::new(Database::create("pause_time"), 10);
    // A time that is over before the run has begun leaves nothing behind: then it gets more.
    for most in ["2s", "8s", "32s"] {
        let report = slow.export(&["--stop-after", most]);
        assert_eq!(report["state"], "paused", "{report}");
        let reason = format!("--stop-after {most} is over");
        assert_eq!(report["reason"], reason, "{report}");
        if report["tables"] != serde_json::json!([]) {
            slow.expect_paused(&reason);
            slow.resume(&[]);
            return;
        }
        assert!(slow.root.list(FOLDER).is_empty());
    }
    panic!("no run began within its time");
}

#[test]
fn a_run_whose_snapshot_is_too_old_lets_it_go() {
    let slow = Slow::new(Database::create("pause_age"), 10);
    let report = slow.export(&["--max-snapshot-age", "3s"]);
    assert_eq!(report["state"], "paused", "{report}");
    slow.expect_paused("--max-snapshot-age 3s");
    let held = "SELECT count(*) FROM pg_stat_activity WHERE backend_xmin IS NOT NULL \
                AND application_name LIKE 'pgsluice%' AND datname = current_database()";
    assert_eq!(slow.database.query_one_text(held), "0");
    slow.resume(&[]);
}

#[test]
fn a_run_that_is_told_to_terminate_pauses_and_goes_on() {
    let slow = Slow::new(Database::create("pause_signal"), 3);
    let mut running = slow.start(&[]);
    slow.wait_for_commits(&mut running, 2);
    running.terminate();
    let outcome = running.wait(Duration::from_secs(60)).expect_code(130);
    assert_eq!(outcome.json()["error"]["kind"], "cancelled", "{outcome}");
    slow.expect_paused("asked to stop");
    slow.resume(&[]);
}

/// Were it to lock the table or to write anything, it would fail.
#[test]
fn outside_of_its_hours_a_run_takes_no_lock_and_says_when_they_come() {
    let slow = Slow::new(Database::create("pause_window"), 0);
    let around = |from: i64, to: i64| {
        let now = Local::now();
        let at = |hours| (now + TimeDelta::hours(hours)).format("%H:%M").to_string();
        format!("{}-{}", at(from), at(to))
    };
    let locker = slow.database.session();
    locker.execute("BEGIN; LOCK TABLE slow IN ACCESS EXCLUSIVE MODE");
    let closed = around(2, 4);
    let report = slow.export(&["--window", &closed, "--lock-timeout", "50ms"]);
    assert_eq!(report["state"], "paused", "{report}");
    let opens = closed.split('-').next().expect("two times");
    let told = report["reason"].as_str().unwrap_or_default();
    assert!(told.contains(&format!("opens at {opens}")), "{report}");
    assert_eq!(report["snapshot"], Value::Null);
    assert!(slow.root.list("").is_empty());
    locker.execute("ROLLBACK");

    slow.export(&["--max-chunks", "4", "--window", &around(-2, 2)]);
    slow.expect_paused("--max-chunks 4");
    let log = slow.dataset().raw_log();
    slow.export(&["--window", &around(2, 4)]);
    assert_eq!(
        slow.dataset().raw_log(),
        log,
        "a closed window writes nothing"
    );
    slow.resume(&["--window", &around(-2, 2)]);
}

#[test]
fn a_run_that_may_pause_has_no_chunks_that_start_over() {
    let slow = Slow::new(Database::create("pause_ctid"), 0);
    let dsn = slow.database.dsn();
    let mut command = rig::pgsluice();
    command.args(["export", "--from", &dsn, "--table", "slow", "--to"]);
    command.arg(slow.root.path());
    command.args(["--chunk-by", "ctid", "--max-chunks", "1"]);
    let outcome = rig::run(&mut command, LIMIT).expect_code(2);
    assert!(outcome.stderr.contains("ctid"), "{outcome}");
    assert!(slow.root.list("").is_empty());
}

/// A worker that may not read leaves its socket unread, and the server waits for it.
#[test]
fn a_rate_stops_the_server() {
    let database = Database::create("pause_rate");
    database.execute(
        "CREATE TABLE slow AS SELECT i::bigint AS id, repeat(md5(i::text), 30) AS note \
         FROM generate_series(1, 80000) AS i; \
         ALTER TABLE slow ADD PRIMARY KEY (id); ANALYZE slow;",
    );
    let root = TempRoot::new();
    let flags = ["--max-rate", "16KiB", "--workers", "1"];
    let mut command = crate::scenario::export_command(&database, "slow", &root, &flags);
    let mut running = rig::start(&mut command);
    let session = database.session();
    let sent = || {
        session.query_text(
            "SELECT bytes_processed FROM pg_stat_progress_copy JOIN pg_stat_activity USING (pid) \
             WHERE wait_event = 'ClientWrite' AND pg_stat_activity.datname = current_database()",
        )
    };
    poll(&mut running, |_| {
        let before = sent();
        std::thread::sleep(Duration::from_millis(500));
        !before.is_empty() && sent() == before
    });
}
