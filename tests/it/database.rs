//! A whole database by one command: sixty datasets of every kind of relation, killed thrice,
//! resumed, and equal to their sources.
//!
//! The moments come from a seed that is printed; `PGSLUICE_TEST_SEED` repeats them.

mod tables;

use std::process::Command;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;

use crate::rig::{self, Database, Dataset, Root, Session, TempRoot};
use tables::{DATASETS, Fingerprint, Source, create, sources};

const LIMIT: Duration = Duration::from_secs(240);
const KILLS: usize = 3;

#[test]
fn a_database_of_sixty_tables_is_killed_thrice_under_one_snapshot_and_ends_equal() {
    let database = Database::create("sixty");
    create(&database);
    let holder = database.session();
    holder.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
    let snapshot = holder.query_one_text("SELECT pg_export_snapshot()");
    // What comes later is not in it.
    for Source { name, .. } in sources().iter().filter(|one| one.is_plain) {
        database.execute(&format!(
            "UPDATE {name} SET note = 'later'; INSERT INTO {name} (id, amount, at) VALUES (0, 0, now())"
        ));
    }
    let report = kill_until_done(&database, &["--snapshot", &snapshot], &holder);
    assert_eq!(report["consistency"], "snapshot");
}

#[test]
fn a_database_of_sixty_tables_is_killed_thrice_and_goes_on_under_new_snapshots() {
    let database = Database::create("sixty_new");
    create(&database);
    kill_until_done(&database, &[], &database.session());
}

/// Runs one export until it is done, killed thrice on its way, and compares what it left.
fn kill_until_done(database: &Database, flags: &[&str], holder: &Session) -> Value {
    let expected: Vec<(Source, Fingerprint)> = sources()
        .into_iter()
        .map(|source| {
            let fingerprint = Fingerprint::in_postgres(holder, &source);
            (source, fingerprint)
        })
        .collect();
    let mut rng = seeded();
    let root = TempRoot::new();
    for kill in 1..=KILLS {
        // So many datasets are done, and then a moment more.
        let target = kill * DATASETS / (KILLS + 1) - rng.random_range(0..8);
        let delay = Duration::from_millis(rng.random_range(0..200));
        let mut running = rig::start(&mut command(database, &root, flags));
        let from = Instant::now();
        while done(&root) < target && from.elapsed() < LIMIT {
            assert!(
                running.is_running(),
                "it ended early:\n{}",
                running.stderr()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
        std::thread::sleep(delay);
        assert!(
            running.is_running(),
            "it was done {delay:?} after {target} datasets"
        );
        running.kill();
        let done = done(&root);
        assert!((target..DATASETS).contains(&done), "{done}");
        println!("killed {delay:?} after {target} datasets: {done} are done");
    }
    let report = finish(database, &root, flags);
    let tables = report["tables"].as_array().expect("tables");
    assert_eq!(tables.len(), DATASETS, "{report}");
    for table in tables {
        assert_eq!(table["state"], "complete", "{table}");
    }
    for (source, expected) in &expected {
        Dataset::new(&root, &source.folder).manifest();
        assert_eq!(
            Fingerprint::in_dataset(&root, &source.folder),
            *expected,
            "{}",
            source.name
        );
    }
    let mut verify = rig::pgsluice();
    verify.args(["verify", "--output", "json"]).arg(root.path());
    let verified = rig::run(&mut verify, LIMIT).expect_code(0).json();
    assert_eq!(
        verified["datasets"].as_array().map(Vec::len),
        Some(DATASETS)
    );
    check_records(&root);
    report
}

/// How many datasets have their `_SUCCESS`.
fn done(root: &TempRoot) -> usize {
    let keys = root.list("").into_keys();
    keys.filter(|key| key.ends_with("/_SUCCESS")).count()
}

/// Each run has left a record: those that were killed say that they run.
fn check_records(root: &TempRoot) {
    let mut states = Vec::new();
    for key in root.list("_pgsluice/runs").keys() {
        states.push(
            root.get_json(key)["state"]
                .as_str()
                .expect("a state")
                .to_owned(),
        );
    }
    states.sort();
    assert_eq!(
        states.last().map(String::as_str),
        Some("running"),
        "{states:?}"
    );
    let complete = states.iter().filter(|state| *state == "complete").count();
    assert_eq!(complete, 1, "{states:?}");
}

fn finish(database: &Database, root: &TempRoot, flags: &[&str]) -> Value {
    rig::run(&mut command(database, root, flags), LIMIT)
        .expect_code(0)
        .json()
}

fn command(database: &Database, root: &TempRoot, flags: &[&str]) -> Command {
    let mut command = rig::pgsluice();
    command
        .args(["export", "--from", &database.dsn(), "--all"])
        .args(["--include-children", "--include-views", "--takeover"])
        .args(["--chunk-rows", "400", "--lease-interval", "500ms"])
        .args(["--output", "json", "--quiet", "--to"])
        .arg(root.path())
        .args(flags);
    command
}

fn seeded() -> StdRng {
    let seed = match std::env::var("PGSLUICE_TEST_SEED") {
        Ok(seed) => seed.parse().expect("PGSLUICE_TEST_SEED is a number"),
        Err(_) => rand::random::<u64>(),
    };
    println!("PGSLUICE_TEST_SEED={seed}");
    StdRng::seed_from_u64(seed)
}
