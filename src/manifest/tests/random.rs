//! Random logs: whatever the fold accepts keeps the invariants.

use proptest::prelude::*;

use super::super::change::apply;
use super::fold::{entry, follow, new_plan, open_change, opened};
use super::runs::{first_run, next_run, open_run, window};
use super::*;

/// What a random log does next.
#[derive(Debug, Clone)]
enum Step {
    Commit(Vec<u32>),
    Reopen { new_snapshot: bool, discard: bool },
    Anew(u32),
    Pause,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => prop::collection::vec(0_u32..12, 1..4).prop_map(Step::Commit),
        1 => (any::<bool>(), any::<bool>())
            .prop_map(|(new_snapshot, discard)| Step::Reopen { new_snapshot, discard }),
        1 => (2_u32..12).prop_map(Step::Anew),
        1 => Just(Step::Pause),
    ];
    prop::collection::vec(step, 0..30)
}

proptest! {
    /// Whatever is accepted keeps the invariants; what is refused changes nothing (`follow`).
    #[test]
    fn any_accepted_log_folds_to_a_consistent_dataset(steps in steps()) {
        let mut dataset = opened(&key_plan(6));
        let mut log = Vec::new();
        for step in steps {
            let change = match step {
                Step::Commit(mut ids) => {
                    ids.retain(|id| (*id as usize) < dataset.plan.chunks.len());
                    commit(&dataset, ids)
                }
                Step::Reopen { new_snapshot, discard } => {
                    let discard = dataset.committed.keys().copied().filter(|_| discard).collect();
                    let known = dataset.snapshots.len() as u32;
                    let (index, new) = if new_snapshot {
                        (known, Some(snapshot("N")))
                    } else {
                        (known - 1, None)
                    };
                    open_change(PlanStart::Keep { discard }, index, new)
                }
                Step::Anew(chunks) => {
                    let plan = key_plan(chunks);
                    open_change(new_plan(&plan, plan.chunks.len()), 0, Some(snapshot("A")))
                }
                Step::Pause => Change::Pause { reason: "r".into() },
            };
            let next = entry(Some(&dataset), change.clone());
            if follow(&mut dataset, change).is_ok() {
                log.push(next);
            }
            prop_assert_eq!(
                dataset.pending().count() + dataset.committed.len(),
                dataset.plan.chunks.len()
            );
            for (id, committed) in &dataset.committed {
                prop_assert_eq!(&committed.range, &dataset.plan.chunks[id.0 as usize].range);
                prop_assert!((committed.snapshot as usize) < dataset.snapshots.len());
            }
        }
        let mut replayed = Some(opened(&key_plan(6)));
        for entry in log {
            let entry = Entry::from_bytes(entry.seq, &entry.to_bytes().unwrap()).unwrap();
            apply(&mut replayed, entry).unwrap();
        }
        prop_assert_eq!(replayed.unwrap(), dataset);
    }
}

/// What a random incremental log does next.
#[derive(Debug, Clone)]
enum RunStep {
    CommitSome(usize),
    Finish,
    Reopen,
    Next(u32),
}

fn run_steps() -> impl Strategy<Value = Vec<RunStep>> {
    let step = prop_oneof![
        2 => (1_usize..4).prop_map(RunStep::CommitSome),
        2 => Just(RunStep::Finish),
        1 => Just(RunStep::Reopen),
        3 => (2_u32..6).prop_map(RunStep::Next),
    ];
    prop::collection::vec(step, 0..30)
}

proptest! {
    /// Whatever runs die or follow: what a completed run committed is never touched again, runs
    /// lie behind each other, and the log folds to the same dataset when it is read.
    #[test]
    fn any_accepted_log_of_runs_keeps_what_is_complete(steps in run_steps()) {
        let mut dataset = first_run();
        let mut log = Vec::new();
        let mut upper = 100;
        for step in steps {
            let mut changes = Vec::new();
            match step {
                RunStep::CommitSome(some) => {
                    let ids = dataset.pending().take(some).map(|chunk| chunk.id.0);
                    changes.push(commit(&dataset, ids.collect::<Vec<_>>()));
                }
                RunStep::Finish => {
                    let ids: Vec<u32> = dataset.pending().map(|chunk| chunk.id.0).collect();
                    changes.push(commit(&dataset, ids));
                }
                RunStep::Reopen => {
                    let index = dataset.snapshots.len() as u32;
                    let keep = PlanStart::Keep { discard: Vec::new() };
                    changes.push(open_run(keep, index, Some("N")));
                }
                RunStep::Next(chunks) => {
                    let lower = dataset.reached().map(|reached| reached.parse().unwrap());
                    upper += 100;
                    changes.push(next_run(&dataset, chunks, window(lower, upper)));
                }
            }
            let before = (dataset.base(), dataset.committed.clone());
            for change in changes {
                let next = entry(Some(&dataset), change.clone());
                if follow(&mut dataset, change).is_ok() {
                    log.push(next);
                }
            }
            if matches!(step, RunStep::Finish) {
                let totals = dataset.totals();
                let change = Change::Complete { totals };
                let next = entry(Some(&dataset), change.clone());
                if follow(&mut dataset, change).is_ok() {
                    log.push(next);
                }
            }
            let done = crate::chunk::ChunkId(before.0.chunks);
            prop_assert!(before.1.range(..done).eq(dataset.committed.range(..done)));
            prop_assert!(dataset.base().chunks >= before.0.chunks);
            prop_assert_eq!(
                dataset.pending().count() + dataset.committed.len(),
                dataset.plan.chunks.len()
            );
            let ends: Vec<u32> = dataset.runs.iter().map(|run| run.chunks).collect();
            prop_assert!(ends.windows(2).all(|pair| pair[0] < pair[1]));
            let _ = (dataset.consistency(), dataset.run_summaries());
        }
        let mut replayed = Some(first_run());
        for entry in log {
            let entry = Entry::from_bytes(entry.seq, &entry.to_bytes().unwrap()).unwrap();
            apply(&mut replayed, entry).unwrap();
        }
        prop_assert_eq!(replayed.unwrap(), dataset);
    }
}
