//! Every step of a run and of the manifest protocol, interrupted: killed before it, killed after
//! it, and done with its reply lost, on a local disk and on S3.
//!
//! Each case runs to its point, is seen to have died or to have lost its reply there, and is gone
//! on with by the same command until that ends well. Then nothing may be lost, doubled or left.
//! `PGSLUICE_TEST_POINT=NAME` tries one point alone.

mod bench;
mod cases;
mod points;
mod zombies;

use std::any::Any;
use std::collections::BTreeSet;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use crate::rig::{self, Outcome, Root};

pub(crate) use bench::{Bench, Place};
use bench::{Grown, LIMIT};
pub(crate) use cases::SMALL;
use cases::{Before, SCENARIOS, Scenario, What};

/// Cases side by side: they wait more than they work.
const SIDE_BY_SIDE: usize = 6;
/// What `abort` ends a process with.
const SIGABRT: i32 = 6;
/// Points that only a writer comes to that was stopped and taken over.
const OF_ZOMBIES: &[&str] = &["delete-fenced"];

#[test]
fn a_run_that_dies_at_any_point_is_gone_on_with_on_disk() {
    all_points("crash_disk", Place::Disk);
}

#[test]
fn a_run_that_dies_at_any_point_is_gone_on_with_on_s3() {
    all_points("crash_s3", Place::S3);
}

#[test]
fn every_point_has_a_case() {
    let cases = SCENARIOS.iter().flat_map(|scenario| scenario.points);
    let mut met: BTreeSet<&str> = cases.map(|(point, _)| *point).collect();
    met.extend(OF_ZOMBIES);
    assert_eq!(met, points::names(false));
}

/// One way of one point.
#[derive(Clone, Copy)]
struct Case {
    scenario: &'static Scenario,
    point: &'static str,
    nth: u32,
    what: What,
}

fn all_points(name: &str, place: Place) {
    let bench = Bench::new(name);
    let grown = Grown::new(&bench, place);
    let cases: Vec<Case> = all_cases().collect();
    let healed = AtomicUsize::new(0);
    side_by_side(SIDE_BY_SIDE, &cases, |case| {
        if case.run(&bench, &grown, &*place.root()) {
            healed.fetch_add(1, Ordering::Relaxed);
        }
    });
    let (all, healed) = (cases.len(), healed.into_inner());
    println!("{all} cases, {healed} runs went on by themselves after a lost reply");
}

/// The whole matrix, or what a variable leaves of it.
fn all_cases() -> impl Iterator<Item = Case> {
    let only = std::env::var("PGSLUICE_TEST_POINT").ok();
    let cases = SCENARIOS.iter().flat_map(cases_of);
    cases.filter(move |case| only.as_ref().is_none_or(|only| case.point == only))
}

fn cases_of(scenario: &'static Scenario) -> impl Iterator<Item = Case> {
    let ways = move |&(point, nth): &(&'static str, u32)| {
        What::ALL.map(|what| Case {
            scenario,
            point,
            nth,
            what,
        })
    };
    scenario.points.iter().flat_map(ways)
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            scenario,
            point,
            nth,
            what,
        } = self;
        let Scenario { tables, before, .. } = scenario;
        write!(
            f,
            "== {tables:?} after {before:?}: {point}:{}:{nth}",
            what.name()
        )
    }
}

impl Case {
    /// Whether the run needed no other one.
    fn run(&self, bench: &Bench, grown: &Grown, root: &dyn Root) -> bool {
        let scenario = self.scenario;
        let mut told = String::new();
        scenario.prepare(bench, grown, root, &mut told);
        let mut command = bench.export(root, scenario.flags, true);
        command.args(scenario.flags_once);
        let point = format!("{}:{}:{}", self.point, self.what.name(), self.nth);
        let armed = match scenario.led_by {
            "" => point,
            led_by => format!("{led_by},{point}"),
        };
        let outcome = rig::run(command.env("PGSLUICE_CRASH_POINT", armed), LIMIT);
        told.push_str(&outcome.to_string());
        self.check_reached(&outcome);
        let is_over = outcome.code == Some(0) && outcome.json()["state"] == "complete";
        if !is_over {
            bench.go_on(root, scenario.flags, &mut told);
        }
        for table in scenario.tables {
            bench.check(root, table, &told);
        }
        is_over
    }

    /// The run came to its point, and what was wanted happened there.
    fn check_reached(&self, outcome: &Outcome) {
        let Self { point, what, .. } = self;
        let says = format!("crash point {point}: {what:?}");
        assert!(outcome.stderr.contains(&says), "not reached: {outcome}");
        match what {
            What::KillBefore | What::KillAfter => {
                assert_eq!(outcome.signal, Some(SIGABRT), "{outcome}");
            }
            // Healed, or ended with the source's or the store's error.
            What::LoseReply => assert!(matches!(outcome.code, Some(0 | 3 | 4)), "{outcome}"),
        }
    }
}

impl Scenario {
    /// Leaves what the run shall find.
    fn prepare(&self, bench: &Bench, grown: &Grown, root: &dyn Root, told: &mut String) {
        let mut command = bench.export(root, self.flags, true);
        let outcome = match self.before {
            Before::Nothing => return,
            Before::Completed => return grown.copy_to(root),
            Before::Dead(point) => {
                let dead = rig::run(command.env("PGSLUICE_CRASH_POINT", point), LIMIT);
                assert_eq!(dead.signal, Some(SIGABRT), "{point}: {dead}");
                dead
            }
            Before::Paused => {
                let paused = rig::run(command.args(["--max-chunks", "2"]), LIMIT).expect_code(0);
                assert_eq!(paused.json()["state"], "paused", "{paused}");
                paused
            }
        };
        told.push_str(&outcome.to_string());
    }
}

/// Runs `each` on all, a few at once, and panics with everything that failed.
pub(crate) fn side_by_side<T: fmt::Debug + Sync>(
    at_once: usize,
    all: &[T],
    each: impl Fn(&T) + Sync,
) {
    let (next, failures, from) = (AtomicUsize::new(0), Mutex::new(Vec::new()), Instant::now());
    thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                while let Some(one) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| each(one))) {
                        let failure = format!("{one:?}\n{}", told(&*panic));
                        failures.lock().expect("no panic here").push(failure);
                    }
                }
            });
        }
    });
    println!("{} in {:.1?}", all.len(), from.elapsed());
    let failures = failures.into_inner().expect("no panic here");
    let count = failures.len();
    assert!(
        count == 0,
        "{count} of {} failed:\n\n{}",
        all.len(),
        failures.join("\n\n")
    );
}

fn told(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    text.unwrap_or_else(|| "a panic without words".to_owned())
}
