//! The protocol, simulated: several writers over one store in memory, each with faults of its own,
//! on a clock that jumps, so that one seed is one exact course of events.
//!
//! Real are the committer, the log, the fence, the lease, the landing of objects, the workers'
//! turns, the deletion of orphans, the files of the end and the decisions of a resume. Simulated
//! are PostgreSQL, the network and time. After each effect on the store an [`observer`] looks
//! whether the invariants hold.

mod observer;
mod process;
mod reader;
mod scenario;
mod seat;
mod source;
mod tests;

use std::sync::Arc;
use std::time::Duration;

use object_store::memory::InMemory;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use self::observer::{Coverage, Observer};
use self::process::{Ended, Process};
use self::scenario::{Member, Scenario};
use crate::sabotage;

/// Time in which everything must have come to its end; virtual.
const LIMIT: Duration = Duration::from_secs(24 * 3600);
/// How often a healthy writer may be told to come again.
const MOST_TRIES: u32 = 100;
/// After this time nothing is under way any more.
const SETTLED: Duration = Duration::from_secs(60);

/// What became of a seed.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Told {
    /// Over all operations, their times and outcomes.
    trace: u64,
    operations: u64,
    coverage: Coverage,
    /// What went wrong, and the last operations before it.
    violation: Option<String>,
}

/// Lets one seed happen.
fn run_seed(seed: u64) -> Told {
    let scenario = Scenario::of(seed);
    sabotage::set_plan_segment(scenario.plan_segment);
    let observer = Arc::new(Observer::new(Arc::new(InMemory::new())));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(play(&scenario, &observer));
    drop(runtime);
    sabotage::set_plan_segment(usize::MAX);
    observer.told(seed)
}

async fn play(scenario: &Scenario, observer: &Arc<Observer>) {
    let table = Arc::new(scenario.table.begin(Instant::now()));
    observer.set_table(Arc::clone(&table));
    let mut running = JoinSet::new();
    for (number, member) in scenario.members.iter().enumerate() {
        let process = Process::new(number, member, &table, observer);
        let start = member.start;
        running.spawn(async move {
            tokio::time::sleep(start).await;
            process.live().await
        });
    }
    tokio::time::sleep(scenario.last_start).await;
    let mut number = scenario.members.len();
    heal(scenario, &table, observer, &mut number).await;
    // Those that stood still wake up, and end.
    let all = async {
        while let Some(ended) = running.join_next().await {
            if ended.is_err() {
                observer.broken("a task panicked".to_owned());
            }
        }
    };
    if timeout(LIMIT, all).await.is_err() {
        observer.broken("a process does not end".to_owned());
    }
    tokio::time::sleep(SETTLED).await;
    observer.check_settled();
    heal(scenario, &table, observer, &mut number).await;
    observer.check_end();
}

/// A healthy writer is started until the dataset is complete.
async fn heal(
    scenario: &Scenario,
    table: &Arc<source::Table>,
    observer: &Arc<Observer>,
    number: &mut usize,
) {
    for round in 0..MOST_TRIES {
        if observer.is_broken() {
            return;
        }
        let healthy = Member::healthy(scenario, round);
        let process = Process::new(*number, &healthy, table, observer);
        *number += 1;
        match timeout(LIMIT, process.live()).await {
            Ok(Ended::Complete) => return,
            Ok(Ended::Paused | Ended::Failed | Ended::Died) => {}
            Err(_) => return observer.broken("a healthy writer does not end".to_owned()),
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    observer.broken("healthy writers do not come to an end".to_owned());
}
