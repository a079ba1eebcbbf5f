//! What happens to a snapshot while it is read: truncation, its holder's end, DDL in the queue, a
//! backend that dies.

use crate::rig::{Database, TempRoot};
use crate::scenario::{export, sorted_ids, try_export};

#[test]
fn a_table_truncated_after_a_joined_snapshot_is_refused() {
    let database = Database::create("truncated");
    database.execute(
        "CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t SELECT generate_series(1, 1000);
         CREATE TABLE other (id int PRIMARY KEY); INSERT INTO other VALUES (1)",
    );
    let holder = database.session();
    holder.execute("BEGIN ISOLATION LEVEL REPEATABLE READ");
    let id = holder.query_one_text("SELECT pg_export_snapshot()");
    database.execute("TRUNCATE t; INSERT INTO other VALUES (2)");
    let root = TempRoot::new();
    let outcome = try_export(&database, "t", &root, &["--snapshot", &id]);
    assert_ne!(
        outcome.code,
        Some(0),
        "no rows, and no error: the worst answer"
    );
    assert!(outcome.stderr.contains("truncated"), "{}", outcome.stderr);
    let report = export(&database, "other", &root, &["--snapshot", &id]);
    assert_eq!(
        report["tables"][0]["totals"]["rows"], 1,
        "the row of the snapshot alone"
    );
}

#[test]
fn a_snapshot_whose_holder_is_gone_is_refused_with_advice() {
    let database = Database::create("gone");
    database.execute("CREATE TABLE t (id int PRIMARY KEY)");
    let root = TempRoot::new();
    let outcome = try_export(
        &database,
        "t",
        &root,
        &["--snapshot", "00000003-0000001B-1"],
    );
    assert_ne!(outcome.code, Some(0));
    assert!(outcome.stderr.contains("snapshot"), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("advice"), "{}", outcome.stderr);
}

#[test]
fn a_view_over_a_table_truncated_after_a_joined_snapshot_is_refused() {
    let database = Database::create("viewtrunc");
    database.execute(
        "CREATE TABLE base (id int PRIMARY KEY); INSERT INTO base SELECT generate_series(1, 1000);
         CREATE VIEW v AS SELECT id FROM base WHERE id > 10",
    );
    let whole = TempRoot::new();
    export(&database, "v", &whole, &[]);
    assert_eq!(
        sorted_ids(&whole, "public/v"),
        (11..=1000).collect::<Vec<_>>()
    );
    let holder = database.session();
    holder.execute("BEGIN ISOLATION LEVEL REPEATABLE READ");
    let id = holder.query_one_text("SELECT pg_export_snapshot()");
    database.execute("TRUNCATE base");
    let root = TempRoot::new();
    let outcome = try_export(&database, "v", &root, &["--snapshot", &id]).expect_code(3);
    assert!(
        outcome.stderr.contains("base was truncated"),
        "{}",
        outcome.stderr
    );
}

/// The keeper's lock makes DDL wait, and DDL that waits makes every later lock wait behind it:
/// the run's own last look at the catalog must not be one of them.
#[test]
fn ddl_that_waits_for_the_export_does_not_make_it_hang() {
    let database = Database::create("queued");
    database.execute(
        "CREATE TABLE t (id int PRIMARY KEY, pad text);
         INSERT INTO t SELECT i, repeat(md5(i::text), 20) FROM generate_series(1, 80000) i;
         ANALYZE t",
    );
    let root = TempRoot::new();
    let flags = ["--chunk-by", "none", "--workers", "1"];
    let mut command = crate::scenario::export_command(&database, "t", &root, &flags);
    let running = crate::rig::start(&mut command);
    let session = database.session();
    let copying = "SELECT count(*) FROM pg_stat_activity
         WHERE application_name LIKE 'pgsluice%worker%' AND query LIKE 'COPY%' AND state = 'active'
           AND datname = current_database()";
    let seen = (0..2000).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(2));
        session.query_one_text(copying) != "0"
    });
    assert!(seen, "no COPY was seen");
    let ddl = database.session();
    let waiting = std::thread::spawn(move || ddl.execute("TRUNCATE t"));
    running.wait(crate::scenario::LIMIT).expect_code(0);
    waiting
        .join()
        .expect("the TRUNCATE goes on after the export");
    assert_eq!(
        sorted_ids(&root, "public/t"),
        (1..=80_000).collect::<Vec<_>>()
    );
}

#[test]
fn a_backend_that_is_terminated_mid_copy_is_made_good() {
    let database = Database::create("terminated");
    database.execute(
        "CREATE TABLE t (id int PRIMARY KEY, pad text);
         INSERT INTO t SELECT i, md5(i::text) || repeat(md5((i * 7)::text), 20) FROM generate_series(1, 120000) i;
         ANALYZE t",
    );
    let root = TempRoot::new();
    let mut command = crate::scenario::export_command(&database, "t", &root, &["--workers", "1"]);
    let running = crate::rig::start(&mut command);
    let session = database.session();
    let terminate = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
         WHERE application_name LIKE 'pgsluice%worker%' AND query LIKE 'COPY%' AND state = 'active'
           AND datname = current_database()";
    let mut terminated = false;
    for _ in 0..2000 {
        terminated = session.query_one_text(terminate) != "0";
        if terminated {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    let report = running.wait(crate::scenario::LIMIT).expect_code(0).json();
    assert!(terminated, "no COPY was seen");
    assert_eq!(
        sorted_ids(&root, "public/t"),
        (1..=120_000).collect::<Vec<_>>()
    );
    assert_eq!(
        report["tables"][0]["retries"].as_array().map(Vec::len),
        Some(1),
        "{report}"
    );
}

/// The snapshot shows a partition that was detached since: the locker does not hold it, the keeper
/// does. Whoever has it and waits for the locker is then waited for by the keeper.
#[test]
fn a_deadlock_over_both_sessions_of_the_keeper_ends_by_the_lock_timeout() {
    let database = Database::create("twosessions");
    database.execute(
        "CREATE TABLE parent (id int NOT NULL) PARTITION BY RANGE (id);
         CREATE TABLE kept PARTITION OF parent FOR VALUES FROM (0) TO (100);
         CREATE TABLE gone PARTITION OF parent FOR VALUES FROM (100) TO (200);
         INSERT INTO parent SELECT generate_series(0, 199);
         CREATE FUNCTION opened() RETURNS bool LANGUAGE plpgsql AS 'BEGIN
             WHILE NOT pg_try_advisory_xact_lock_shared(42) LOOP
                 PERFORM pg_sleep(0.01);
             END LOOP;
             RETURN true;
         END';
         CREATE VIEW planned_slowly AS SELECT id FROM kept WHERE opened()",
    );
    let holder = database.session();
    holder.execute("BEGIN ISOLATION LEVEL REPEATABLE READ");
    let id = holder.query_one_text("SELECT pg_export_snapshot()");
    database.execute("ALTER TABLE parent DETACH PARTITION gone");
    let gate = database.session();
    gate.execute("SELECT pg_advisory_lock(42)");
    let root = TempRoot::new();
    let flags = ["--table", "planned_slowly", "--snapshot", &id];
    let flags = [
        &flags[..],
        &["--chunk-by", "offset", "--lock-timeout", "2s"],
    ]
    .concat();
    let mut command = crate::scenario::export_command(&database, "parent", &root, &flags);
    let mut running = crate::rig::start(&mut command);
    let mut locks = |granted: bool| {
        let count = format!(
            "SELECT count(*) FROM pg_locks WHERE relation = 'gone'::regclass AND granted = {granted}"
        );
        let seen = (0..4000).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(5));
            gate.query_one_text(&count) != "0" || !running.is_running()
        });
        assert!(seen && running.is_running(), "{}", running.stderr());
    };
    locks(true);
    let ddl = database.session();
    let ddl = std::thread::spawn(move || {
        ddl.execute("BEGIN; LOCK TABLE gone IN ACCESS EXCLUSIVE MODE; LOCK TABLE parent; COMMIT");
    });
    locks(false);
    gate.execute("SELECT pg_advisory_unlock(42)");
    let outcome = running
        .wait(std::time::Duration::from_secs(60))
        .expect_code(3);
    assert!(outcome.stderr.contains("lock timeout"), "{outcome}");
    ddl.join().expect("the DDL goes on after the export");
}
