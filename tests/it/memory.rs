//! Memory: what `plan` promises is what a run keeps to, whatever the table's size.

use std::time::Duration;

use serde_json::Value;

use crate::rig::{self, Database, TempRoot};
use crate::scenario::{LIMIT, export_command};

/// 140 MB that do not compress.
const TABLE: &str = "
    CREATE TABLE t (id int PRIMARY KEY, body bytea);
    INSERT INTO t SELECT i, (SELECT string_agg(sha512(int8send(i * 64::bigint + j)), '')
      FROM generate_series(1, 64) j) FROM generate_series(1, 34000) i;
    ANALYZE t";

/// The most memory the process held, in bytes, as Linux counts it.
fn peak_memory(database: &Database, flags: &[&str]) -> u64 {
    let root = TempRoot::new();
    let running = rig::start(&mut export_command(database, "t", &root, flags));
    let status = format!("/proc/{}/status", running.pid());
    let reader = std::thread::spawn(move || {
        let mut peak = 0;
        // The file is gone, or without the line, once the process has ended.
        while let Some(bytes) = high_water_mark(&status) {
            peak = bytes.max(peak);
            std::thread::sleep(Duration::from_millis(5));
        }
        peak
    });
    running.wait(LIMIT).expect_code(0);
    reader.join().expect("the reader ends")
}

fn high_water_mark(status: &str) -> Option<u64> {
    let text = std::fs::read_to_string(status).ok()?;
    let line = text.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib << 10)
}

fn promised(database: &Database, flags: &[&str]) -> u64 {
    let mut plan = rig::pgsluice();
    plan.args(["plan", "--from", &database.dsn(), "--table", "t"]);
    plan.args(["--output", "json"]).args(flags);
    let plan: Value = rig::run(&mut plan, LIMIT).expect_code(0).json();
    plan["memory"]["total"]
        .as_u64()
        .expect("a ceiling in bytes")
}

#[test]
fn a_run_keeps_to_the_ceiling_that_plan_prints() {
    let database = Database::create("memory");
    database.execute(TABLE);
    let chunks = [
        "--chunk-by",
        "key:id",
        "--chunk-bytes",
        "80MiB",
        "--workers",
        "2",
    ];
    assert!(promised(&database, &chunks) <= 256 << 20);
    let small = [
        "--batch-bytes",
        "1MiB",
        "--row-group-bytes",
        "4MiB",
        "--part-bytes",
        "5MiB",
    ];
    let flags = [&chunks[..], &small].concat();
    let ceiling = promised(&database, &flags);
    let peak = peak_memory(&database, &flags);
    assert!(peak > 1 << 20 && peak <= ceiling, "{peak} of {ceiling}");
    // The same with row groups that never close must be seen to break it.
    let wide = ["--row-group-bytes", "1GiB", "--part-bytes", "256MiB"];
    let peak = peak_memory(&database, &[&chunks[..], &wide].concat());
    assert!(
        peak > ceiling,
        "the measurement would not see it: {peak} of {ceiling}"
    );
}
