//! Runs that are held or paused for the source's sake. Each on a server of its own: standbys,
//! slots and counts of sessions are the whole server's.

use std::thread;

use super::{Slow, poll, rig};
use crate::rig::{Database, Root, Server, Session};
use crate::scenario::{LIMIT, verify};

const OFTEN: [&str; 2] = ["--check-interval", "50ms"];

fn slow_on(server: &Server, milliseconds: u32) -> Slow {
    Slow::new(Database::create_at(server.dsn(), "guarded"), milliseconds)
}

/// A standby that has replayed all that the primary wrote so far.
fn wait_until_caught_up(primary: &Server) {
    let is_level = "SELECT count(*) FILTER (WHERE replay_lsn >= pg_current_wal_flush_lsn()) = 1 \
                    FROM pg_stat_replication";
    wait_until(&primary.session(), is_level);
}

/// Asks until the answer is true, for a minute.
fn wait_until(session: &Session, question: &str) {
    for _ in 0..1200 {
        if session.query_one_text(question) == "t" {
            return;
        }
        thread::sleep(std::time::Duration::from_millis(50));
    }
    panic!("it does not come to: {question}");
}

#[test]
fn a_standby_that_falls_behind_holds_the_run_then_pauses_it() {
    let primary = Server::primary();
    let standby = primary.standby();
    let slow = slow_on(&primary, 5);
    wait_until_caught_up(&primary);
    let flags = [&OFTEN[..], &["--max-replica-lag", "1s", "--max-wait", "2s"]].concat();
    let mut running = slow.start(&flags);
    slow.wait_for_commits(&mut running, 2);
    standby.session().execute("SELECT pg_wal_replay_pause()");
    slow.database.execute("CREATE TABLE more AS SELECT 1 AS a");
    let report = running.wait(LIMIT).expect_code(0).json();
    assert_eq!(report["state"], "paused", "{report}");
    let waited = report["waited_seconds"]["max_replica_lag"].as_f64();
    assert!(waited.is_some_and(|waited| waited > 0.0), "{report}");
    slow.expect_paused("--max-replica-lag 1s");

    // The standby still lies behind: the next run waits before it takes locks and snapshot.
    let epoch = slow.dataset().changes().last().map(|(epoch, _)| *epoch);
    let flags = [&OFTEN[..], &["--max-replica-lag", "1s"]].concat();
    let mut running = slow.start(&flags);
    poll(&mut running, |running| {
        running.stderr().contains("reading waits")
    });
    let held = "SELECT count(*) FROM pg_locks l JOIN pg_class c ON c.oid = l.relation \
                WHERE c.relname = 'slow'";
    assert_eq!(slow.database.query_one_text(held), "0");
    running.interrupt();
    running.wait(LIMIT).expect_code(130);
    let now = slow.dataset().changes().last().map(|(epoch, _)| *epoch);
    assert_eq!(now, epoch, "it wrote while it was to wait");
    standby.session().execute("SELECT pg_wal_replay_resume()");
    wait_until_caught_up(&primary);
    slow.resume(&flags);
}

#[test]
fn a_standby_that_is_read_holds_the_run_while_it_lies_behind() {
    let primary = Server::primary();
    let standby = primary.standby();
    let slow = slow_on(&primary, 0);
    wait_until_caught_up(&primary);
    let replay = standby.session();
    replay.execute("SELECT pg_wal_replay_pause()");
    wait_until(&replay, "SELECT pg_get_wal_replay_pause_state() = 'paused'");
    slow.database.execute("CREATE TABLE more AS SELECT 1 AS a");
    // The run must find it behind at its first look, so what it lies behind by has to be there.
    wait_until(
        &replay,
        "SELECT pg_last_wal_receive_lsn() > pg_last_wal_replay_lsn() \
         AND clock_timestamp() - pg_last_xact_replay_timestamp() > interval '200 ms'",
    );
    let dsn = slow.database.dsn_of(&standby.dsn());
    let flags = [&OFTEN[..], &["--max-replica-lag", "100ms"]].concat();
    let mut running = rig::start(&mut slow.command(&dsn, &flags));
    poll(&mut running, |running| {
        running.stderr().contains("reading waits")
    });
    assert!(slow.root.list("").is_empty());
    replay.execute("SELECT pg_wal_replay_resume()");
    let report = running.wait(LIMIT).expect_code(0).json();
    assert_eq!(report["state"], "complete", "{report}");
    assert_eq!(report["snapshot"]["in_recovery"], true, "{report}");
    verify(&slow.root);
}

#[test]
fn a_slot_that_holds_back_too_much_pauses_the_run() {
    let server = Server::primary();
    let slow = slow_on(&server, 5);
    let session = slow.database.session();
    session.execute("SELECT pg_create_physical_replication_slot('kept', true)");
    let flags = [&OFTEN[..], &["--max-retained-wal", "20MiB"]].concat();
    let mut running = slow.start(&flags);
    slow.wait_for_commits(&mut running, 2);
    for _ in 0..3 {
        session.execute("CREATE TABLE more AS SELECT 1 AS a; DROP TABLE more");
        session.execute("SELECT pg_switch_wal()");
    }
    let report = running.wait(LIMIT).expect_code(0).json();
    assert_eq!(report["state"], "paused", "{report}");
    slow.expect_paused("--max-retained-wal");

    // Above it from the start, a run touches nothing.
    let log = slow.dataset().raw_log();
    let report = slow.export(&flags);
    assert_eq!(report["state"], "paused", "{report}");
    assert_eq!(slow.dataset().raw_log(), log);
    session.execute("SELECT pg_drop_replication_slot('kept')");
    slow.resume(&flags);
}

#[test]
fn busy_sessions_hold_the_run_until_they_are_fewer() {
    let server = Server::primary();
    let slow = slow_on(&server, 1);
    let busy: Vec<_> = (0..3).map(|_| busy_session(&slow.database)).collect();
    let watcher = slow.database.session();
    let count = "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(600)' \
                 AND state = 'active'";
    let flags = [&OFTEN[..], &["--max-active-sessions", "2"]].concat();
    while watcher.query_one_text(count) != "3" {
        thread::sleep(std::time::Duration::from_millis(10));
    }
    let mut running = slow.start(&flags);
    poll(&mut running, |running| {
        running.stderr().contains("3 other sessions are active")
    });
    assert!(slow.root.list("").keys().all(|key| !key.contains("/log/")));
    // One fewer is at the limit; the run's own sessions do not count.
    watcher.execute(
        "SELECT pg_cancel_backend(min(pid)) FROM pg_stat_activity \
         WHERE query = 'SELECT pg_sleep(600)'",
    );
    let report = running.wait(LIMIT).expect_code(0).json();
    assert_eq!(report["state"], "complete", "{report}");
    let waited = report["waited_seconds"]["max_active_sessions"].as_f64();
    assert!(waited.is_some_and(|waited| waited > 0.0), "{report}");
    watcher.execute(
        "SELECT pg_cancel_backend(pid) FROM pg_stat_activity \
         WHERE query = 'SELECT pg_sleep(600)'",
    );
    for session in busy {
        session.join().expect("a session that was cancelled");
    }
}

fn busy_session(database: &Database) -> thread::JoinHandle<()> {
    let session: Session = database.session();
    thread::spawn(move || {
        assert!(session.try_execute("SELECT pg_sleep(600)").is_err());
    })
}

/// A role that may read the table, and no statistics of others.
const READER: &str = "CREATE ROLE reader LOGIN; GRANT SELECT ON slow TO reader; \
    GRANT EXECUTE ON FUNCTION pg_catalog.pg_control_system() TO reader";

fn as_reader(slow: &Slow) -> String {
    slow.database.dsn().replace("postgres@", "reader@")
}

#[test]
fn what_cannot_be_watched_is_said_before_anything_is_read() {
    let server = Server::primary();
    let slow = slow_on(&server, 0);
    slow.database.execute(READER);
    for flags in [["--max-active-sessions", "9"], ["--max-replica-lag", "9s"]] {
        let mut command = slow.command(&as_reader(&slow), &flags);
        let outcome = rig::run(&mut command, LIMIT).expect_code(3);
        assert!(outcome.stderr.contains("pg_monitor"), "{outcome}");
    }
    let mut command = slow.command(&slow.database.dsn(), &["--max-replica-lag", "9s"]);
    let outcome = rig::run(&mut command, LIMIT).expect_code(2);
    assert!(outcome.stderr.contains("no standby"), "{outcome}");
    assert!(slow.root.list("").is_empty());
}

#[test]
fn a_guard_that_is_cut_off_connects_again_or_pauses_the_run() {
    let server = Server::primary();
    let slow = slow_on(&server, 10);
    slow.database.execute(READER);
    slow.database.execute("GRANT pg_monitor TO reader");
    let flags = [&OFTEN[..], &["--max-active-sessions", "9"]].concat();
    let mut running = rig::start(&mut slow.command(&as_reader(&slow), &flags));
    slow.wait_for_commits(&mut running, 1);
    let guards = "FROM pg_stat_activity WHERE application_name LIKE 'pgsluice % guard'";
    let session = slow.database.session();
    let first = session.query_one_text(&format!("SELECT pid {guards}"));
    let cut = format!("SELECT count(pg_terminate_backend(pid)) {guards}");
    assert_eq!(session.query_one_text(&cut), "1");
    // It comes back once, while the first one may still be seen; then no further connection is given.
    let count = format!("SELECT count(*) {guards} AND pid <> {first}");
    poll(&mut running, |_| session.query_one_text(&count) == "1");
    session.execute("ALTER ROLE reader CONNECTION LIMIT 0");
    let cut = format!("{cut} AND pid <> {first}");
    assert_eq!(session.query_one_text(&cut), "1");
    let report = running.wait(LIMIT).expect_code(0).json();
    assert_eq!(report["state"], "paused", "{report}");
    slow.expect_paused("the guards could not look any more");
    session.execute("ALTER ROLE reader CONNECTION LIMIT -1");
    slow.resume(&[]);
}

/// A subscriber tells how far it has replayed, as a standby does.
#[test]
fn a_subscription_is_no_standby() {
    let server = Server::primary();
    let slow = slow_on(&server, 0);
    let publisher = slow.database.session();
    publisher.execute("CREATE PUBLICATION slow FOR TABLE slow");
    publisher.execute("SELECT pg_create_logical_replication_slot('kept', 'pgoutput')");
    server.session().execute(&format!(
        "CREATE TABLE slow (id bigint PRIMARY KEY, note text); \
         CREATE SUBSCRIPTION slow CONNECTION '{}' PUBLICATION slow \
         WITH (create_slot = false, slot_name = 'kept', copy_data = false)",
        slow.database.dsn()
    ));
    let replays = "SELECT count(*) FROM pg_stat_replication WHERE replay_lsn IS NOT NULL";
    let seen = (0..1200).any(|_| {
        thread::sleep(std::time::Duration::from_millis(50));
        publisher.query_one_text(replays) == "1"
    });
    assert!(seen, "the subscription does not stream");
    let mut command = slow.command(&slow.database.dsn(), &["--max-replica-lag", "9s"]);
    let outcome = rig::run(&mut command, LIMIT).expect_code(2);
    assert!(outcome.stderr.contains("no standby"), "{outcome}");
}
