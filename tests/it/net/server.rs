//! What servers and their administrators do to a run that reads: real servers, no proxy but where a
//! connection must lead elsewhere.

use std::process::Command;

use super::wire::{Fault, Moment, Rule, Whose, Wire};
use super::{Ends, LIMIT, check_complete, check_end};
use crate::rig::{self, Database, Outcome, Root, Running, Server, Session, TempRoot, env};

const ROWS: i64 = 200;
const WORKERS: &str = "FROM pg_stat_activity WHERE application_name LIKE '% worker %' \
                       AND datname = current_database() AND query LIKE 'COPY%' AND state = 'active'";

/// A table of two chunks, each read for two seconds.
struct Slow {
    database: Database,
    root: TempRoot,
}

impl Slow {
    fn new(database: Database) -> Self {
        fill(&database);
        let root = TempRoot::in_memory();
        Self { database, root }
    }

    fn start(&self, dsn: &str, flags: &[&str]) -> Running {
        rig::start(command(dsn, &self.root).args(flags))
    }

    /// Started, and reading.
    fn reading(&self, flags: &[&str]) -> Running {
        let mut running = self.start(&self.database.dsn(), flags);
        wait_for_copy(&self.database.session(), &mut running);
        running
    }

    /// It ends so; if not well, the same command goes on to a good end.
    #[track_caller]
    fn ends(&self, outcome: &Outcome, ends: &Ends) {
        check_end(outcome, ends);
        if let Ends::Loudly(..) = ends {
            let again = self.start(&self.database.dsn(), &[]).wait(LIMIT);
            assert_eq!(again.code, Some(0), "{again}");
        }
        check_complete(&self.database, &self.root, "public/slow", ROWS);
    }
}

fn fill(database: &Database) {
    database.execute(&format!(
        "CREATE TABLE slow AS SELECT i::bigint AS id, md5(i::text) AS note \
         FROM generate_series(1, {ROWS}) AS i; \
         ALTER TABLE slow ADD PRIMARY KEY (id); ANALYZE slow;"
    ));
}

fn command(dsn: &str, root: &TempRoot) -> Command {
    command_with("pg_sleep(0.02) IS NOT NULL", dsn, root)
}

fn command_with(filter: &str, dsn: &str, root: &TempRoot) -> Command {
    let mut command = rig::pgsluice();
    command
        .args(["export", "--from", dsn, "--table", "slow", "--to"])
        .arg(root.path())
        .args(["--where", filter])
        .args(["--chunk-by", "key:id", "--chunk-rows", "100"])
        .args(["--lease-interval", "200ms", "--output", "json"]);
    command
}

fn wait_for_copy(session: &Session, running: &mut Running) {
    let count = format!("SELECT count(*) {WORKERS}");
    while session.query_one_text(&count) == "0" {
        assert!(running.is_running(), "{}", running.stderr());
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

#[test]
fn a_terminated_worker_reads_its_chunk_again() {
    let slow = Slow::new(Database::create("net_terminate"));
    let running = slow.reading(&[]);
    let terminate = format!("SELECT count(pg_terminate_backend(pid)) {WORKERS}");
    assert_ne!(slow.database.query_one_text(&terminate), "0");
    let outcome = running.wait(LIMIT);
    slow.ends(&outcome, &Ends::Well("57P01"));
    let retries = &outcome.json()["tables"][0]["retries"];
    assert_eq!(retries[0]["kind"], "57P01", "{retries}");
}

#[test]
fn a_terminated_keeper_ends_the_run_and_the_next_one_goes_on() {
    let slow = Slow::new(Database::create("net_keeper"));
    let running = slow.reading(&["--source-timeout", "500ms"]);
    slow.database.query_one_text(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
         WHERE application_name LIKE '% keeper' AND datname = current_database()",
    );
    slow.ends(&running.wait(LIMIT), &Ends::Loudly(3, "start again"));
}

#[test]
fn a_cancelled_statement_stays_cancelled() {
    let slow = Slow::new(Database::create("net_cancel"));
    let running = slow.reading(&[]);
    slow.database
        .query_one_text(&format!("SELECT count(pg_cancel_backend(pid)) {WORKERS}"));
    slow.ends(&running.wait(LIMIT), &Ends::Loudly(3, "somebody cancelled"));
}

#[test]
fn a_full_server_is_waited_for() {
    let slow = Slow::new(Database::create("net_full"));
    let role = format!("{}_role", slow.database.name());
    slow.database.execute(&format!(
        "CREATE ROLE {role} LOGIN CONNECTION LIMIT 3; GRANT SELECT ON slow TO {role}; \
         GRANT EXECUTE ON FUNCTION pg_control_system() TO {role};"
    ));
    let dsn = slow
        .database
        .dsn()
        .replace("postgres@", &format!("{role}@"));
    let held = Session::open(&dsn);
    // The keeper's two connections and the held one: none is left for a worker.
    let mut running = slow.start(&dsn, &["--workers", "1", "--attempts", "20"]);
    while !running.stderr().contains("trying again") {
        assert!(running.is_running(), "{}", running.stderr());
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    drop(held);
    slow.ends(&running.wait(LIMIT), &Ends::Well("53300"));
    slow.database
        .execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}"));
}

#[test]
fn a_lock_that_is_not_given_is_told_without_another_try() {
    let slow = Slow::new(Database::create("net_lock"));
    let holder = slow.database.session();
    holder.execute("BEGIN; LOCK TABLE slow IN ACCESS EXCLUSIVE MODE");
    let running = slow.start(&slow.database.dsn(), &["--lock-timeout", "300ms"]);
    let outcome = running.wait(LIMIT);
    holder.execute("ROLLBACK");
    assert!(!outcome.stderr.contains("trying again"), "{outcome}");
    slow.ends(&outcome, &Ends::Loudly(3, "raise --lock-timeout"));
}

#[test]
fn a_server_that_restarts_ends_the_run_and_the_next_one_goes_on() {
    let mut server = Server::primary();
    let slow = Slow::new(Database::create_at(server.dsn(), "restart"));
    let running = slow.reading(&["--source-timeout", "500ms"]);
    server.restart();
    slow.ends(&running.wait(LIMIT), &Ends::Loudly(3, "start again"));
}

#[test]
fn a_recovery_conflict_ends_the_run_when_it_takes_the_snapshot_and_the_next_one_goes_on() {
    let primary = Server::primary();
    let standby = primary.standby();
    let slow = Slow::new(Database::create_at(primary.dsn(), "conflict"));
    let database = &slow.database;
    database.execute("CREATE TABLE other AS SELECT generate_series(1, 1000) AS id");
    let replay = standby.session();
    replay.execute("ALTER SYSTEM SET max_standby_streaming_delay = 0");
    replay.execute("SELECT pg_reload_conf()");
    let dsn = database.dsn_of(&standby.dsn());
    let end = database.query_one_text("SELECT pg_current_wal_insert_lsn()");
    let behind = format!("SELECT pg_last_wal_replay_lsn() >= '{end}'");
    while replay.query_one_text(&behind) != "t" {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let mut running = slow.start(&dsn, &["--source-timeout", "500ms"]);
    wait_for_copy(&Session::open(&dsn), &mut running);
    // What the snapshot still sees is vacuumed away.
    database.execute("DELETE FROM other");
    database.execute("VACUUM other");
    let outcome = running.wait(LIMIT);
    check_end(&outcome, &Ends::Loudly(3, "start again"));
    let again = slow.start(&dsn, &[]).wait(LIMIT);
    assert_eq!(again.code, Some(0), "{again}");
    check_complete(database, &slow.root, "public/slow", ROWS);
}

#[test]
fn another_cluster_behind_the_same_address_is_not_read() {
    let slow = Slow::new(Database::create("net_failover"));
    let other = Session::open(&env("PGSLUICE_TEST_DSN_16"));
    other.execute(&format!("CREATE DATABASE {}", slow.database.name()));
    let rule = Rule {
        whose: Whose::Worker,
        when: Moment::Row(5),
        what: Fault::Cut,
        times: 1,
    };
    let port = slow.database.port();
    let wire = Wire::before(port, &[rule]);
    let dsn = slow.database.dsn();
    let through = dsn.replace(&format!(":{port}/"), &format!(":{}/", wire.port));
    let running = slow.start(&format!("{through}?sslmode=disable"), &["--workers", "1"]);
    while wire.struck() == 0 {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    let elsewhere = env("PGSLUICE_TEST_DSN_16");
    let (_, elsewhere) = elsewhere.rsplit_once(':').expect("a port");
    let (elsewhere, _) = elsewhere.split_once('/').expect("a database");
    wire.lead_to(elsewhere.parse().expect("a port"));
    let outcome = running.wait(LIMIT);
    other.execute(&format!(
        "DROP DATABASE {} WITH (FORCE)",
        slow.database.name()
    ));
    slow.ends(&outcome, &Ends::Loudly(3, "another cluster"));
}

#[test]
fn a_server_that_works_in_silence_is_waited_for() {
    let database = Database::create("net_silent");
    database.execute("CREATE TABLE slow (id bigint PRIMARY KEY, note text)");
    database.execute("INSERT INTO slow VALUES (1, 'x'); ANALYZE slow");
    let root = TempRoot::in_memory();
    let mut command = command_with("pg_sleep(3) IS NOT NULL", &database.dsn(), &root);
    command.args(["--source-timeout", "300ms"]);
    let outcome = rig::run(&mut command, LIMIT);
    assert_eq!(outcome.code, Some(0), "{outcome}");
    assert_eq!(
        outcome.json()["retried"],
        serde_json::json!({}),
        "{outcome}"
    );
}

/// Two tables, one worker: the first chunk's tries all fail.
fn two_tables(times: usize, flags: &[&str]) -> (Outcome, TempRoot) {
    let database = Database::create("net_tables");
    fill(&database);
    database
        .execute("CREATE TABLE quick AS SELECT i::bigint AS id FROM generate_series(1, 9) AS i");
    let rule = Rule {
        whose: Whose::Worker,
        when: Moment::Row(5),
        what: Fault::Error("57P01"),
        times,
    };
    let port = database.port();
    let wire = Wire::before(port, &[rule]);
    let dsn = database
        .dsn()
        .replace(&format!(":{port}/"), &format!(":{}/", wire.port));
    let root = TempRoot::in_memory();
    let mut command = rig::pgsluice();
    command
        .args(["export", "--from", &format!("{dsn}?sslmode=disable")])
        .args([
            "--table",
            "slow,quick",
            "--workers",
            "1",
            "--output",
            "json",
            "--to",
        ])
        .arg(root.path())
        .args(flags);
    (rig::run(&mut command, LIMIT), root)
}

#[test]
fn a_chunk_that_keeps_failing_fails_its_table_alone() {
    let (outcome, root) = two_tables(2, &["--attempts", "2"]);
    assert_eq!(outcome.code, Some(3), "{outcome}");
    let text = &outcome.stdout;
    assert!(text.contains("57P01"), "{outcome}");
    let complete = ["public/slow", "public/quick"].map(|folder| {
        root.list(folder)
            .contains_key(&format!("{folder}/_SUCCESS"))
    });
    assert_eq!(complete.iter().filter(|is| **is).count(), 1, "{outcome}");
}

#[test]
fn a_run_that_only_fails_ends_when_its_budget_is_spent() {
    let (outcome, root) = two_tables(1000, &["--attempts", "100", "--retry-budget", "2s"]);
    check_end(&outcome, &Ends::Loudly(3, "no chunk landed in between"));
    assert!(
        outcome.json()["error"]
            .to_string()
            .contains("--retry-budget"),
        "{outcome}"
    );
    for folder in ["public/slow", "public/quick"] {
        assert!(
            !root
                .list(folder)
                .contains_key(&format!("{folder}/_SUCCESS"))
        );
    }
}
