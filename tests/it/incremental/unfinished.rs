//! Further runs that do not come to their end at once: how they are ended, and what they leave
//! published.

use std::time::Duration;

use super::{FOLDER, runs, source_ids};
use crate::rig::{self, Database, Root, TempRoot};
use crate::scenario::{LIMIT, export, export_command, sorted_ids, verify as sound};

#[test]
fn a_run_whose_rows_are_gone_ends_also_where_nothing_was_reached() {
    let database = Database::create("incr_gone");
    database.execute(
        "CREATE TABLE t (id int PRIMARY KEY, note text) PARTITION BY RANGE (id);
         CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (9000)",
    );
    let flags = ["--incremental", "id", "--chunk-rows", "500"];
    let one_chunk = [&flags[..], &["--max-chunks", "1"]].concat();
    let root = TempRoot::new();
    export(&database, "t", &root, &flags);
    // Other partitions than those of its plan: the paused run is begun anew.
    let emptied = "TRUNCATE t; CREATE TABLE t2 PARTITION OF t FOR VALUES FROM (9000) TO (9999)";
    for (end, count) in [(emptied, 2), ("DROP TABLE t1, t2", 3)] {
        database.execute("INSERT INTO t SELECT i, 'x' FROM generate_series(1, 2000) i; ANALYZE t");
        let paused = export(&database, "t", &root, &one_chunk);
        assert_eq!(paused["state"], "paused", "{paused:#}");
        database.execute(end);
        let report = export(&database, "t", &root, &flags);
        assert_eq!(report["state"], "complete", "{end}: {report:#}");
        assert_eq!(runs(&root).len(), count, "{end}");
        assert_eq!(sorted_ids(&root, FOLDER), Vec::<i64>::new(), "{end}");
        sound(&root);
    }
    database.execute(
        "CREATE TABLE t3 PARTITION OF t FOR VALUES FROM (0) TO (9000);
         INSERT INTO t SELECT i, 'x' FROM generate_series(1, 2000) i",
    );
    export(&database, "t", &root, &flags);
    assert_eq!(sorted_ids(&root, FOLDER), source_ids(&database));
}

#[test]
fn a_run_whose_time_is_over_before_it_reads_opens_nothing() {
    let database = Database::create("incr_waits");
    database.execute("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1), (2)");
    let root = TempRoot::new();
    let flags = ["--incremental", "id"];
    export(&database, "t", &root, &flags);
    let before = root.list("");
    let other = database.session();
    other.execute("INSERT INTO t VALUES (3); BEGIN; LOCK TABLE t");
    let hurried = [&flags[..], &["--stop-after", "1s"]].concat();
    let mut running = rig::start(&mut export_command(&database, "t", &root, &hurried));
    let waits =
        "SELECT count(*)::text FROM pg_locks WHERE NOT granted AND relation = 't'::regclass";
    for _ in 0..4000 {
        if database.query_one_text(waits) != "0" {
            break;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(running.is_running(), "it did not wait for the lock");
    // It started before it waited.
    std::thread::sleep(Duration::from_secs(1));
    other.execute("COMMIT");
    let report = running.wait(LIMIT).expect_code(0).json();
    assert_eq!(report["state"], "paused", "{report:#}");
    assert_eq!(report["tables"][0]["state"], "paused", "{report:#}");
    let reason = report["reason"].as_str().unwrap();
    assert!(reason.contains("--stop-after"), "{report:#}");
    assert_eq!(root.list(""), before);
    sound(&root);
    export(&database, "t", &root, &flags);
    assert_eq!(sorted_ids(&root, FOLDER), [1, 2, 3]);
}

#[test]
fn datasets_of_which_nothing_is_read_stay_published() {
    let database = Database::create("incr_many");
    let tables = ["t", "u", "v"];
    let all = |sql: &str| {
        for table in tables {
            database.execute(&sql.replace('$', table));
        }
    };
    all("CREATE TABLE $ (id int PRIMARY KEY); INSERT INTO $ SELECT generate_series(1, 600)");
    let root = TempRoot::new();
    let flags = [
        "--incremental",
        "id",
        "--chunk-rows",
        "500",
        "--workers",
        "1",
    ];
    let flags = [&flags[..], &["--table", "u", "--table", "v"]].concat();
    export(&database, "t", &root, &flags);
    all("INSERT INTO $ SELECT generate_series(601, 2600); ANALYZE $");
    let before = tables.map(|table| root.list(&format!("public/{table}")));
    let one_chunk = [&flags[..], &["--max-chunks", "1"]].concat();
    let report = export(&database, "t", &root, &one_chunk);
    assert_eq!(report["state"], "paused", "{report:#}");
    let reported = report["tables"].as_array().unwrap();
    assert!(
        reported.iter().all(|table| table["state"] == "paused") && reported.len() == 3,
        "{report:#}"
    );
    let after = tables.map(|table| root.list(&format!("public/{table}")));
    let touched = before.iter().zip(&after).filter(|(then, now)| then != now);
    assert_eq!(touched.count(), 1, "{after:#?}");
    let published = tables.map(|table| {
        let success = format!("public/{table}/_SUCCESS");
        root.path().join(success).exists()
    });
    assert_eq!(published.iter().filter(|stands| **stands).count(), 2);
    export(&database, "t", &root, &flags);
    for table in tables {
        let ids = sorted_ids(&root, &format!("public/{table}"));
        assert_eq!(ids, (1..=2600).collect::<Vec<_>>(), "{table}");
    }
    sound(&root);
}

#[test]
fn a_plan_says_that_it_is_of_the_first_run() {
    let database = Database::create("incr_plan");
    database.execute("CREATE TABLE t (id int PRIMARY KEY)");
    let mut command = rig::pgsluice();
    command
        .args(["plan", "--from", &database.dsn(), "--table", "t"])
        .args(["--output", "json"]);
    let plain = rig::run(&mut command, LIMIT).expect_code(0).json();
    assert!(!plain["warnings"].to_string().contains("first run"));
    let planned = rig::run(command.args(["--incremental", "id"]), LIMIT);
    let planned = planned.expect_code(0).json();
    let warnings = planned["warnings"].to_string();
    assert!(warnings.contains("first run"), "{planned:#}");
}
