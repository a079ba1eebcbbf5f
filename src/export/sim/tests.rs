//! Seeds, and what they show: the protocol holds in each of them, and each way to break it is
//! seen in one of them.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use super::{Coverage, Told, run_seed};
use crate::sabotage::{self, Sabotage};

/// Seeds of a test run, unless [`RANGE`] names others.
const SAMPLE: u64 = 2_000;
/// `FROM..TO`: these seeds instead, over all cores.
const RANGE: &str = "PGSLUICE_SIM_SEEDS";

/// All variants, each with how many seeds may pass before one shows it.
const VARIANTS: &[(Sabotage, u64)] = &[
    (Sabotage::FenceUnchecked, SAMPLE),
    (Sabotage::LandedUnchecked, SAMPLE),
    (Sabotage::CommitBeforeUpload, SAMPLE),
    (Sabotage::OrphansBeforeFence, SAMPLE),
    (Sabotage::OrphansStay, SAMPLE),
    (Sabotage::UnknownIsFailure, SAMPLE),
    (Sabotage::OwnEntryUnknown, SAMPLE),
    (Sabotage::PlainAppend, SAMPLE),
    (Sabotage::KeyWithoutEpoch, SAMPLE),
    (Sabotage::SuccessBeforeComplete, SAMPLE),
    (Sabotage::SuccessBeforeManifest, SAMPLE),
    (Sabotage::SuccessStays, SAMPLE),
    (Sabotage::TakeOverWithoutEpoch, SAMPLE),
    (Sabotage::LateEndStays, SAMPLE),
];

fn seeds() -> (u64, u64) {
    let Ok(text) = std::env::var(RANGE) else {
        return (0, SAMPLE);
    };
    let range = text.split_once("..").and_then(|(from, to)| {
        let (from, to) = (from.parse().ok()?, to.parse().ok()?);
        (from < to).then_some((from, to))
    });
    range.unwrap_or_else(|| panic!("{RANGE}: {text} is no FROM..TO"))
}

/// Runs seeds on all cores until one breaks the protocol.
fn run_all(from: u64, to: u64) -> Result<(u64, Coverage), String> {
    let next = AtomicU64::new(from);
    let is_over = AtomicBool::new(false);
    let sum = Mutex::new((0, Coverage::default(), None));
    let work = || {
        let (mut operations, mut coverage) = (0, Coverage::default());
        while !is_over.load(Ordering::Relaxed) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= to {
                break;
            }
            let told = run_seed(seed);
            operations += told.operations;
            coverage.add(&told.coverage);
            if let Some(violation) = told.violation {
                is_over.store(true, Ordering::Relaxed);
                sum.lock().unwrap().2 = Some(violation);
            }
        }
        let mut sum = sum.lock().unwrap();
        sum.0 += operations;
        sum.1.add(&coverage);
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(work);
        }
    });
    let (operations, coverage, violation) = sum.into_inner().unwrap();
    violation.map_or(Ok((operations, coverage)), Err)
}

#[test]
fn no_seed_breaks_the_protocol() {
    let (from, to) = seeds();
    let clock = Instant::now();
    let (operations, coverage) =
        run_all(from, to).unwrap_or_else(|violation| panic!("{violation}"));
    println!(
        "seeds {from}..{to}: {operations} operations in {:?}\n{coverage:#?}",
        clock.elapsed()
    );
    // A few seeds may pass by what is rare.
    if to - from >= SAMPLE {
        assert_eq!(coverage.missing(), [""; 0]);
    }
}

/// As they are at the latest when a variant of the protocol is broken so.
fn first_to_show(variant: Sabotage, most: u64) -> Option<Told> {
    sabotage::set(Some(variant));
    let mut tolds = (0..most).map(run_seed);
    let found = tolds.find(|told| told.violation.is_some());
    sabotage::set(None);
    found
}

#[test]
fn each_way_to_break_the_protocol_is_seen() {
    let next = AtomicU64::new(0);
    let unseen = Mutex::new(Vec::new());
    let work = || {
        while let Some((variant, most)) =
            VARIANTS.get(next.fetch_add(1, Ordering::Relaxed) as usize)
        {
            match first_to_show(*variant, *most).and_then(|told| told.violation) {
                Some(violation) => {
                    println!("{variant:?}: {}", violation.lines().next().unwrap());
                }
                None => unseen.lock().unwrap().push(*variant),
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(work);
        }
    });
    assert_eq!(unseen.into_inner().unwrap(), []);
}

#[test]
fn a_seed_happens_twice_alike() {
    for seed in 0..50 {
        assert_eq!(run_seed(seed), run_seed(seed), "seed {seed}");
    }
}
