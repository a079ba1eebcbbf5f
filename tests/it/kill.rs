//! Runs killed at random moments while others write, and resumed until they are done.
//!
//! Thirty of them, over three kinds of dataset and two kinds of store; `cycles` adds more, of many
//! kinds. The moments come from a seed that is printed; `PGSLUICE_TEST_SEED` repeats them. What
//! must hold: no row lost, none doubled, nothing that was committed read again, and the
//! consistency told as it is.

mod cycles;
mod fingerprint;

use std::collections::BTreeSet;
use std::process::Command;
use std::time::{Duration, Instant};

use fingerprint::{Fingerprint, Rows};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;

use crate::rig::{
    Database, Dataset, Outcome, Root, S3Root, TempRoot, chunk_entries, pgsluice, read_rows, run,
    start,
};

const LIMIT: Duration = Duration::from_secs(120);
const ROWS: u64 = 200_000;
const CHUNK_ROWS: u64 = 5_000;
const FOLDER: &str = "public/events";
/// Transactions of the writers, a second.
const WRITER_RATE: u32 = 100;

/// The table: every tenth row is written to while it is exported, and rows are added above.
const TABLE: &str = "
    CREATE TABLE events (
        id bigint PRIMARY KEY,
        kind integer NOT NULL,
        note text,
        amount numeric(12, 2) NOT NULL,
        at timestamptz NOT NULL
    );
    INSERT INTO events
    SELECT i, i % 100, CASE WHEN i % 7 > 0 THEN repeat(md5(i::text), 1 + i::int % 3) END, i / 100.0,
        timestamptz '2024-01-01 00:00:00+00' + i * interval '1.5 seconds'
    FROM generate_series(1::bigint, 200000) AS i;
    ANALYZE events;";

/// One transaction of the writers. Updates move rows to other pages.
const WRITES: &str = "
    \\set id 10 * random(1, 20000)
    UPDATE events SET amount = amount + 1, note = md5(note) WHERE id = :id;
    INSERT INTO events SELECT max(id) + 1 + random() * 1000, 0, 'new', 1, now() FROM events
    ON CONFLICT DO NOTHING;";

#[test]
fn killed_under_a_kept_snapshot_on_disk_it_ends_with_that_snapshots_rows() {
    under_a_kept_snapshot("kill_kept", 8, &|| Box::new(TempRoot::new()));
}

#[test]
fn killed_under_a_kept_snapshot_on_s3_it_ends_with_that_snapshots_rows() {
    under_a_kept_snapshot("kill_kept_s3", 6, &|| Box::new(S3Root::new("kill-kept")));
}

#[test]
fn killed_with_key_chunks_on_disk_it_goes_on_under_new_snapshots() {
    under_new_snapshots("kill_key", 6, &|| Box::new(TempRoot::new()));
}

#[test]
fn killed_with_key_chunks_on_s3_it_goes_on_under_new_snapshots() {
    under_new_snapshots("kill_key_s3", 5, &|| Box::new(S3Root::new("kill-key")));
}

#[test]
fn killed_with_ctid_chunks_it_starts_over_under_a_new_epoch() {
    let bench = Bench::new("kill_ctid", &["--chunk-by", "ctid"]);
    let writer = bench.database.write_in_background(WRITES, 2, WRITER_RATE);
    bench.kill_until_done(5, &|| Box::new(TempRoot::new()), |root, report| {
        let dataset = Dataset::new(root, FOLDER);
        assert_eq!(report["consistency"], "snapshot");
        assert_eq!(dataset.manifest()["consistency"], "snapshot");
        let epoch = dataset.epoch_of_plan();
        for part in dataset.parts() {
            assert!(
                part.ends_with(&format!("-e{epoch}.parquet")),
                "{part} is not of epoch {epoch}"
            );
        }
        bench.check_rows_nobody_changed(&read(root));
    });
    writer.stop();
}

/// One snapshot, held by the test: whatever is killed, its rows are what must be read back.
fn under_a_kept_snapshot(name: &str, kills: usize, new_root: &dyn Fn() -> Box<dyn Root>) {
    let mut bench = Bench::new(name, &["--chunk-by", "key:id"]);
    let holder = bench.database.session();
    holder.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
    let snapshot = holder.query_one_text("SELECT pg_export_snapshot()");
    bench.args.extend(["--snapshot".to_owned(), snapshot]);
    let writer = bench.database.write_in_background(WRITES, 2, WRITER_RATE);

    bench.kill_until_done(kills, new_root, |root, report| {
        assert_eq!(report["consistency"], "snapshot");
        let manifest = Dataset::new(root, FOLDER).manifest();
        assert_eq!(manifest["consistency"], "snapshot");
        let expected = Fingerprint::in_postgres(&holder, "true");
        assert_eq!(read(root).fingerprint(|_| true), expected);
    });
    writer.stop();
}

/// Each run takes a snapshot of its own: what nobody changed is whole, and what was changed is
/// there once, in the state that its chunk's snapshot shows.
fn under_new_snapshots(name: &str, kills: usize, new_root: &dyn Fn() -> Box<dyn Root>) {
    let bench = Bench::new(name, &["--chunk-by", "key:id"]);
    let writer = bench.database.write_in_background(WRITES, 2, WRITER_RATE);
    let mut mixed = 0;
    bench.kill_until_done(kills, new_root, |root, report| {
        let manifest = Dataset::new(root, FOLDER).manifest();
        let snapshots = manifest["snapshots"].as_array().expect("snapshots").len() as u64;
        let used: BTreeSet<_> = chunk_entries(&manifest)
            .into_iter()
            .map(|chunk| {
                chunk["snapshot"]
                    .as_u64()
                    .expect("a chunk names its snapshot")
            })
            .collect();
        assert!(
            used.iter().all(|index| *index < snapshots),
            "{used:?} of {snapshots}"
        );
        let expected = if used.len() > 1 { "mixed" } else { "snapshot" };
        assert_eq!(manifest["consistency"], expected);
        assert_eq!(report["tables"][0]["consistency"], expected);
        mixed += usize::from(used.len() > 1);
        bench.check_rows_nobody_changed(&read(root));
    });
    writer.stop();
    assert!(
        mixed > 0,
        "no run was killed between two commits: kill more often"
    );
}

/// A filled table and the flags that export it.
struct Bench {
    database: Database,
    args: Vec<String>,
}

impl Bench {
    fn new(name: &str, flags: &[&str]) -> Self {
        let database = Database::create(name);
        database.execute(TABLE);
        let mut args: Vec<String> = ["export", "--table", "events", "--workers", "2"]
            .map(str::to_owned)
            .into();
        args.extend(["--from".to_owned(), database.dsn()]);
        args.extend(["--chunk-rows".to_owned(), CHUNK_ROWS.to_string()]);
        args.extend(["--chunk-bytes", "512KiB", "--lease-interval", "200ms"].map(str::to_owned));
        args.extend(["--output", "json", "--quiet"].map(str::to_owned));
        args.extend(flags.iter().map(|flag| (*flag).to_owned()));
        Self { database, args }
    }

    /// How long a whole run takes now, measured.
    fn expected_time(&self) -> Duration {
        let (root, from) = (TempRoot::new(), Instant::now());
        self.finish(&root);
        from.elapsed()
    }

    /// Kills runs at random moments, each root resumed until it is done and then checked, until
    /// so many were killed.
    fn kill_until_done(
        &self,
        kills: usize,
        new_root: &dyn Fn() -> Box<dyn Root>,
        mut check: impl FnMut(&dyn Root, &Value),
    ) {
        let mut rng = seeded();
        let full = self.expected_time();
        let (mut killed, mut midway) = (0, 0);
        while killed < kills {
            let root = new_root();
            let report = loop {
                let takeover = rng.random_bool(0.75);
                // Without take-over it first waits for three still intervals of the lease.
                let wait = Duration::from_millis(if takeover { 0 } else { 600 });
                let delay = wait + full.mul_f64(rng.random_range(0.05..0.8));
                // Enough were killed: the last one may end.
                let delay = if killed == kills { LIMIT } else { delay };
                match self.run_and_kill(&*root, delay, takeover) {
                    Some(report) => break report,
                    None => killed += 1,
                }
                assert!(killed <= kills, "the last run did not end within {LIMIT:?}");
                let committed = Dataset::new(&*root, FOLDER).committed().len();
                midway += usize::from(committed > 0);
                println!("killed after {delay:?}: {committed} chunks committed");
            };
            check(&*root, &report);
        }
        println!("{killed} runs killed, {midway} of them with chunks committed");
    }

    /// One run, killed after `delay`; its report when it was done before. Whatever was committed
    /// before it must stand unchanged and must not be read again.
    fn run_and_kill(&self, root: &dyn Root, delay: Duration, takeover: bool) -> Option<Value> {
        let dataset = Dataset::new(root, FOLDER);
        let (log, committed, plans) = (dataset.raw_log(), dataset.committed(), dataset.plans());
        let mut command = self.command(root);
        if takeover {
            command.arg("--takeover");
        }
        let outcome = start(&mut command).wait_or_kill(delay);

        let after = dataset.raw_log();
        for (key, entry) in &log {
            assert_eq!(after.get(key), Some(entry), "{key} was changed");
        }
        let goes_on = dataset.plans() == plans;
        if goes_on {
            assert!(
                dataset.committed().is_superset(&committed),
                "a commit was lost"
            );
        } else {
            let ctid = self.args.iter().any(|arg| arg == "ctid");
            assert!(
                committed.is_empty() || ctid,
                "{} commits were given up",
                committed.len()
            );
        }
        let report = outcome.map(|outcome: Outcome| outcome.expect_code(0).json())?;
        let table = &report["tables"][0];
        let skipped = if goes_on { committed.len() as u64 } else { 0 };
        assert_eq!(table["chunks_skipped"], skipped, "{table}");
        let all = dataset.committed().len() as u64;
        assert_eq!(table["this_run"]["chunks"], all - skipped, "{table}");
        Some(report)
    }

    /// A run that nobody kills.
    fn finish(&self, root: &dyn Root) -> Value {
        let mut command = self.command(root);
        run(command.arg("--takeover"), LIMIT).expect_code(0).json()
    }

    fn command(&self, root: &dyn Root) -> Command {
        let mut command = pgsluice();
        root.equip(&mut command)
            .args(&self.args)
            .args(["--to", &root.url()]);
        command
    }

    /// The writers touch every tenth row and add rows above: the others must be exactly there,
    /// those in some state once, and the added ones at most once.
    fn check_rows_nobody_changed(&self, rows: &Rows) {
        let untouched = format!("id % 10 <> 0 AND id <= {ROWS}");
        let expected = Fingerprint::in_postgres(&self.database.session(), &untouched);
        let found = rows.fingerprint(|id| id % 10 != 0 && id <= ROWS as i64);
        assert_eq!(found, expected);
        let ids: BTreeSet<i64> = rows.ids().collect();
        assert_eq!(ids.len(), rows.ids().count(), "an id came twice");
        assert_eq!(
            ids.range(..=ROWS as i64).count() as u64,
            ROWS,
            "an updated row was lost"
        );
    }
}

fn read(root: &dyn Root) -> Rows {
    Rows::from(&read_rows(root, FOLDER))
}

fn seeded() -> StdRng {
    let seed = match std::env::var("PGSLUICE_TEST_SEED") {
        Ok(seed) => seed.parse().expect("PGSLUICE_TEST_SEED is a number"),
        Err(_) => rand::random(),
    };
    println!("PGSLUICE_TEST_SEED={seed}");
    StdRng::seed_from_u64(seed)
}
