//! Faults of the network and of the servers behind it, on both sides: a run is finished correctly,
//! or it fails loudly, with the right exit code and advice, and the same command goes on.
//!
//! The tables of cases say which fault leads to which end. No case may hang: each has a limit.

mod server;
mod source;
mod store;
mod web;
mod wire;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::rig::{self, Database, Outcome, Root};

/// No run of these takes longer: waits are set to seconds.
const LIMIT: Duration = Duration::from_secs(60);
/// Cases at once.
const AT_ONCE: usize = 6;

/// How a run ends.
#[derive(Debug)]
enum Ends {
    /// Exit 0; the report says that such a failure was retried. Empty: it need not.
    Well(&'static str),
    /// With this exit code, and these words in error or advice.
    Loudly(i32, &'static str),
}

/// Runs all cases, a few at once, and tells which failed.
fn side_by_side<T: Sync>(cases: &[(&'static str, T)], check: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some((name, case)) = cases.get(next.fetch_add(1, Ordering::SeqCst)) {
                    let since = Instant::now();
                    let ended = catch_unwind(AssertUnwindSafe(|| check(case)));
                    if ended.is_err() {
                        failed.lock().expect("a list").push(*name);
                    }
                    println!("{name}: {} ms", since.elapsed().as_millis());
                }
            });
        }
    });
    let failed = failed.into_inner().expect("a list");
    assert!(failed.is_empty(), "failed, see above: {failed:?}");
}

#[track_caller]
fn check_end(outcome: &Outcome, ends: &Ends) {
    match ends {
        Ends::Well(kind) => {
            assert_eq!(outcome.code, Some(0), "{outcome}");
            let report = outcome.json();
            let retried = report["retried"].as_object().expect("counts");
            let met = retried.keys().any(|key| key.starts_with(kind));
            assert!(
                kind.is_empty() || met,
                "{retried:?} has no {kind}: {outcome}"
            );
        }
        Ends::Loudly(code, says) => {
            assert_eq!(outcome.code, Some(*code), "{outcome}");
            let error = outcome.json()["error"].to_string();
            assert!(error.contains(says), "{says:?} is not in {error}");
        }
    }
}

/// The rows are those of the table, once each, and everything holds: count and hash against the
/// source among it.
#[track_caller]
fn check_complete(database: &Database, root: &dyn Root, folder: &str, rows: i64) {
    let ids = crate::scenario::sorted_ids(root, folder);
    assert_eq!(ids, (1..=rows).collect::<Vec<_>>());
    let mut verify = rig::pgsluice();
    verify.args(["verify", &root.url(), "--output", "json"]);
    verify.args(["--against", &database.dsn()]);
    let verified = rig::run(root.equip(&mut verify), LIMIT);
    assert_eq!(verified.code, Some(0), "{verified}");
}
