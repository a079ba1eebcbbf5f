//! Random logs: whatever the fold accepts keeps the invariants.

use proptest::prelude::*;

use super::super::change::apply;
use super::fold::{entry, follow, new_plan, open_change, opened};
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
