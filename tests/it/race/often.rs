//! Races over and over: two writers at one root, or three, that start within moments of each
//! other, some of them with `--takeover`.
//!
//! `PGSLUICE_TEST_RACES=1000` makes it so many of two on each kind of store, and a quarter more of
//! three. The moments come from a seed that is printed; `PGSLUICE_TEST_SEED` repeats them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::{CONFLICT, FENCED, LIMIT};
use crate::crash::{Bench, Place, SMALL, side_by_side};
use crate::rig::{Dataset, Outcome, Root, start};

/// Races of two on each kind of store, unless a variable says more.
const RACES: u64 = 8;
/// Races at once.
const AT_ONCE: usize = 3;
const FOLDER: &str = "public/t";

#[test]
fn of_writers_that_start_at_once_one_wins_on_disk() {
    race_often("races_disk", Place::Disk);
}

#[test]
fn of_writers_that_start_at_once_one_wins_on_s3() {
    race_often("races_s3", Place::S3);
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().expect("a number"))
}

fn race_often(name: &str, place: Place) {
    let bench = Bench::new(name);
    let seed = number("PGSLUICE_TEST_SEED").unwrap_or_else(rand::random);
    println!("PGSLUICE_TEST_SEED={seed}");
    let races = number("PGSLUICE_TEST_RACES").unwrap_or(RACES);
    let races: Vec<Race> = (0..races + races / 4)
        .map(|number| Race::new(seed.wrapping_add(number), number >= races))
        .collect();
    let ends = Mutex::new(BTreeMap::<String, u32>::new());
    side_by_side(AT_ONCE, &races, |race| {
        let end = race.run(&bench, &*place.root());
        *ends.lock().expect("no panic here").entry(end).or_default() += 1;
    });
    println!("{:#?}", ends.into_inner());
}

/// When each writer starts, and whether it takes over.
#[derive(Debug)]
struct Race(Vec<(Duration, bool)>);

impl Race {
    fn new(seed: u64, of_three: bool) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        // At once, within the time to open, or within a whole run.
        let within = [0.0, 60.0, 400.0][rng.random_range(0..3)];
        let all_take_over = rng.random_bool(0.4);
        let writers = (0..if of_three { 3 } else { 2 }).map(|_| {
            let delay = Duration::from_secs_f64(within * rng.random::<f64>() / 1000.0);
            (delay, all_take_over || of_three && rng.random_bool(0.3))
        });
        Self(writers.collect())
    }

    /// Runs it, checks it, and says how it ended.
    fn run(&self, bench: &Bench, root: &dyn Root) -> String {
        let outcomes: Vec<(u32, Outcome)> = thread::scope(|scope| {
            let writers = self.0.iter().map(|&(delay, takes_over)| {
                scope.spawn(move || {
                    let mut command = bench.export(root, SMALL, takes_over);
                    command.args(["--lease-interval", "100ms"]);
                    thread::sleep(delay);
                    let writer = start(&mut command);
                    (writer.pid(), writer.wait(LIMIT))
                })
            });
            let writers: Vec<_> = writers.collect();
            let ended = writers
                .into_iter()
                .map(|writer| writer.join().expect("no panic"));
            ended.collect()
        });
        let told = outcomes
            .iter()
            .map(|(_, outcome)| outcome.to_string())
            .collect::<String>();
        let mut winners = 0;
        for (pid, outcome) in &outcomes {
            match outcome.code {
                // It came when all was done, and did nothing.
                Some(0) if outcome.json()["tables"][0]["was_complete"] == true => {}
                Some(0) => winners += 1,
                Some(FENCED) => {}
                Some(CONFLICT) => {
                    let wrote = writers(root).contains(&u64::from(*pid));
                    assert!(!wrote, "one that was refused opened an epoch:\n{told}");
                }
                _ => panic!("a writer's end:\n{told}"),
            }
        }
        assert_eq!(winners, 1, "winners:\n{told}");
        bench.check(root, "t", &told);
        let mut codes: Vec<_> = outcomes.iter().map(|(_, outcome)| outcome.code).collect();
        codes.sort();
        format!(
            "{:?} of {} with --takeover",
            codes.into_iter().flatten().collect::<Vec<_>>(),
            self.0.iter().filter(|(_, takes_over)| *takes_over).count()
        )
    }
}

/// The processes that opened an epoch.
fn writers(root: &dyn Root) -> BTreeSet<u64> {
    let changes = Dataset::new(root, FOLDER).changes();
    let pids = changes
        .iter()
        .map(|(_, change)| change["writer"]["pid"].as_u64());
    pids.flatten().collect()
}
