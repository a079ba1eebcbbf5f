//! Writers that stand still at a step, are taken over, and come back when all is done.
//!
//! Such a writer must say that it was fenced, or that it failed, and change nothing that a reader
//! of the manifest sees. `PGSLUICE_TEST_ZOMBIES=N` wakes N more, stopped at random moments and
//! woken while the other writer is at work as well as after it.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;

use super::bench::{Bench, Grown, LIMIT, Place, verify};
use super::cases::{SCENARIOS, Scenario};
use super::{Case, SIDE_BY_SIDE, What, points, side_by_side};
use crate::rig::{Dataset, Outcome, Root, Running, start};

/// Exit codes, as `pgsluice --help` documents them.
const SOURCE: i32 = 3;
const CONFLICT: i32 = 5;
const FENCED: i32 = 6;

#[test]
fn a_writer_that_stood_still_at_any_point_changes_nothing_on_disk() {
    all_points("zombie_disk", Place::Disk);
}

#[test]
fn a_writer_that_stood_still_at_any_point_changes_nothing_on_s3() {
    all_points("zombie_s3", Place::S3);
}

/// The object of a writer that came too late stays when that one dies before it took it away.
/// Nobody is told of it but by `verify`.
#[test]
fn a_late_object_whose_writer_dies_is_found_by_verify_alone() {
    let bench = Bench::new("zombie_late");
    let grown = Grown::new(&bench, Place::Disk);
    for (what, is_left) in [
        ("kill-before", true),
        ("kill-after", false),
        ("lose-reply", false),
    ] {
        let root = Place::Disk.root();
        let late = format!("put-object:stop-before:2,delete-fenced:{what}");
        let zombie = Zombie::new(&SCENARIOS[0], late);
        let (outcome, [before, after]) = zombie.wake_late(&bench, &grown, &*root);
        assert!(
            outcome.stderr.contains("crash point delete-fenced"),
            "{outcome}"
        );
        let added: Vec<&String> = after
            .keys()
            .filter(|key| !before.contains_key(*key))
            .collect();
        assert_eq!(added.len(), usize::from(is_left), "{what}: {added:?}");
        assert!(
            before
                .iter()
                .all(|(key, bytes)| after.get(key) == Some(bytes)),
            "{what}"
        );
        let report = verify(&*root).json();
        let findings = report["datasets"][0]["findings"]
            .as_array()
            .expect("findings");
        let kinds: Vec<&Value> = findings.iter().map(|found| &found["kind"]).collect();
        assert_eq!(kinds.len(), usize::from(is_left), "{what}: {findings:?}");
        assert!(
            kinds.iter().all(|kind| **kind == "object_extra"),
            "{what}: {kinds:?}"
        );
    }
}

fn all_points(name: &str, place: Place) {
    let bench = Bench::new(name);
    let grown = Grown::new(&bench, place);
    let of_store = points::names(true);
    let cases = super::all_cases();
    // Stopped behind a step they differ in no store; standing before it, what comes late does.
    let ways: &[What] = match place {
        Place::Disk => &[What::KillBefore, What::KillAfter],
        Place::S3 => &[What::KillBefore],
    };
    let cases = cases.filter(|case| ways.contains(&case.what) && of_store.contains(case.point));
    let cases: Vec<Case> = cases.collect();
    side_by_side(SIDE_BY_SIDE, &cases, |case| {
        let stop = match case.what {
            What::KillBefore => "stop-before",
            _ => "stop-after",
        };
        let at = format!("{}:{stop}:{}", case.point, case.nth);
        let zombie = Zombie::new(case.scenario, at);
        let root = place.root();
        let (outcome, [before, after]) = zombie.wake_late(&bench, &grown, &*root);
        assert_same(&before, &after, &outcome);
        check_end(case, &outcome);
        for table in case.scenario.tables {
            bench.check(&*root, table, &outcome.to_string());
        }
    });
    let wanted = std::env::var("PGSLUICE_TEST_ZOMBIES").ok();
    if let Some(wanted) = wanted.and_then(|text| text.parse().ok()) {
        at_random(&bench, &grown, place, wanted);
    }
}

/// It says that it was taken over, or what it failed of. Good ends are those of a writer that had
/// not looked yet, and found all done; whose last entry stood; or that found the same files.
fn check_end(case: &Case, outcome: &Outcome) {
    let is_over = match (case.point, case.what) {
        ("probe" | "probe-delete" | "load-log", _) => Some("complete"),
        ("complete-entry", What::KillAfter) => Some("complete"),
        ("manifest-file" | "success-file" | "record-end", _) => Some("complete"),
        ("pause-entry", What::KillAfter) => Some("paused"),
        _ => None,
    };
    match outcome.code {
        Some(FENCED) => {}
        // Its epoch was opened by then: it cannot say that nothing was touched.
        Some(CONFLICT) if case.point != "plan-entry" => {}
        // What it fails of is told first.
        Some(SOURCE) if case.point == "fail-entry" => {}
        Some(0) if is_over.is_some() => {
            assert_eq!(outcome.json()["state"].as_str(), is_over, "{outcome}")
        }
        _ => panic!("a zombie's end: {outcome}"),
    }
}

/// A run that stands still, once, at a point.
struct Zombie {
    scenario: &'static Scenario,
    at: String,
}

impl Zombie {
    fn new(scenario: &'static Scenario, at: String) -> Self {
        Self { scenario, at }
    }

    /// Stops it, lets another run take over and end, and wakes it up. What a reader saw before
    /// and after that.
    fn wake_late(&self, bench: &Bench, grown: &Grown, root: &dyn Root) -> (Outcome, [Contents; 2]) {
        let mut told = String::new();
        self.scenario.prepare(bench, grown, root, &mut told);
        let mut zombie = self.start(bench, root);
        wait_until_stopped(&mut zombie);
        bench.go_on(root, self.scenario.flags, &mut told);
        let before = self.contents(root);
        zombie.resume();
        let outcome = zombie.wait(LIMIT);
        (outcome, [before, self.contents(root)])
    }

    fn start(&self, bench: &Bench, root: &dyn Root) -> Running {
        let mut command = bench.export(root, self.scenario.flags, true);
        command.args(self.scenario.flags_once);
        let at = match self.scenario.led_by {
            "" => self.at.clone(),
            led_by => format!("{led_by},{}", self.at),
        };
        start(command.env("PGSLUICE_CRASH_POINT", at))
    }

    /// How many entries its tables' logs have.
    fn entries(&self, root: &dyn Root) -> usize {
        let tables = self.scenario.tables.iter();
        let logs = tables.map(|table| root.list(&format!("public/{table}/_pgsluice/log")).len());
        logs.sum()
    }

    fn contents(&self, root: &dyn Root) -> Contents {
        let tables = self.scenario.tables.iter();
        let datasets =
            tables.map(|table| Dataset::new(root, &format!("public/{table}")).contents());
        datasets.flatten().collect()
    }
}

type Contents = BTreeMap<String, Bytes>;

fn assert_same(before: &Contents, after: &Contents, outcome: &Outcome) {
    let keys = |contents: &Contents| contents.keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(before), keys(after), "{outcome}");
    let changed = before
        .iter()
        .find(|(key, bytes)| after.get(*key) != Some(bytes));
    assert!(
        changed.is_none(),
        "{:?} was rewritten: {outcome}",
        changed.map(|(key, _)| key)
    );
}

fn wait_until_stopped(process: &mut Running) {
    let deadline = Instant::now() + LIMIT;
    while !is_stopped(process.pid()) {
        assert!(
            process.is_running(),
            "it ended before its point:\n{}",
            process.stderr()
        );
        assert!(
            Instant::now() < deadline,
            "it did not stop:\n{}",
            process.stderr()
        );
        thread::sleep(Duration::from_millis(5));
    }
}

/// The state stands behind the name, which is in parentheses.
fn is_stopped(pid: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    status
        .rsplit_once(") ")
        .is_some_and(|(_, rest)| rest.starts_with('T'))
}

/// To a process that may have ended, but whose end nobody has asked for: the id is still its own.
fn signal(process: &Running, name: &str) {
    let mut kill = Command::new("kill");
    kill.arg(format!("-{name}")).arg(process.pid().to_string());
    assert!(kill.status().expect("kill runs").success());
}

/// Stopped wherever they were, woken wherever the other one is.
fn at_random(bench: &Bench, grown: &Grown, place: Place, wanted: u64) {
    let seed = rand::random::<u64>();
    println!("seed {seed}");
    let numbers: Vec<u64> = (0..wanted).collect();
    let ends = Mutex::new(BTreeMap::<String, u32>::new());
    side_by_side(SIDE_BY_SIDE, &numbers, |number| {
        let mut rng = StdRng::seed_from_u64(seed.wrapping_add(*number));
        let end = stop_at_random(bench, grown, &*place.root(), &mut rng);
        *ends.lock().expect("no panic here").entry(end).or_default() += 1;
    });
    println!("{:#?}", ends.into_inner());
}

/// One of them, from soon after it opened its epoch; says how both ended.
fn stop_at_random(bench: &Bench, grown: &Grown, root: &dyn Root, rng: &mut StdRng) -> String {
    let scenario = &SCENARIOS[rng.random_range(0..SCENARIOS.len())];
    let zombie = Zombie::new(scenario, String::new());
    let mut told = String::new();
    scenario.prepare(bench, grown, root, &mut told);
    let before = zombie.entries(root);
    let mut first = zombie.start(bench, root);
    while first.is_running() && zombie.entries(root) == before {
        thread::sleep(Duration::from_millis(1));
    }
    thread::sleep(Duration::from_millis(rng.random_range(0..100)));
    let was_running = first.is_running();
    if was_running {
        signal(&first, "STOP");
    }

    let mut second = start(&mut bench.export(root, scenario.flags, true));
    let is_late = rng.random_bool(0.5);
    thread::sleep(Duration::from_millis(rng.random_range(0..500)));
    while is_late && second.is_running() {
        thread::sleep(Duration::from_millis(5));
    }
    // While the other one is at work, what is listed may be gone when it is read.
    let seen = is_late.then(|| zombie.contents(root));
    if was_running {
        signal(&first, "CONT");
    }
    let (first, second) = (first.wait(LIMIT), second.wait(LIMIT));
    told.push_str(&format!("{first}\n{second}"));
    for outcome in [&first, &second] {
        let is_told = matches!(outcome.code, Some(0 | SOURCE | CONFLICT | FENCED));
        assert!(is_told, "{told}");
    }
    if let Some(seen) = seen {
        assert_eq!(second.code, Some(0), "{told}");
        assert_same(&seen, &zombie.contents(root), &first);
    }
    if second.code != Some(0) || second.json()["state"] != "complete" {
        bench.go_on(root, scenario.flags, &mut told);
    }
    for table in scenario.tables {
        bench.check(root, table, &told);
    }
    let when = match (was_running, is_late) {
        (false, _) => "not: it had ended",
        (true, false) => "during the other's run",
        (true, true) => "after the other's run",
    };
    format!(
        "{:?}, the other {:?}; woken {when}",
        first.code, second.code
    )
}
