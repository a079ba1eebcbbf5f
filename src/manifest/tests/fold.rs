//! The fold and its invariants: what must not follow is refused, and changes nothing.

use super::super::change::{apply, extend};
use super::super::model::VERSION;
use super::*;

pub(super) fn entry(dataset: Option<&Dataset>, change: Change) -> Entry {
    let is_open = matches!(change, Change::Open(_));
    let epoch = dataset.map_or(0, |dataset| dataset.epoch) + u64::from(is_open);
    Entry {
        version: VERSION,
        seq: dataset.map_or(1, |dataset| dataset.next_seq),
        epoch,
        token: format!("token {epoch}"),
        nonce: "n".into(),
        at: at(3),
        change,
    }
}

pub(super) fn open_change(
    plan: PlanStart,
    snapshot_index: u32,
    new_snapshot: Option<Snapshot>,
) -> Change {
    Change::Open(Box::new(Open {
        writer: request(keep()).writer,
        config: config(),
        schema: schema(),
        snapshot: snapshot_index,
        new_snapshot,
        plan,
        reason: "test".into(),
    }))
}

pub(super) fn new_plan(plan: &Plan, first: usize) -> PlanStart {
    PlanStart::New {
        relations: plan.relations.clone(),
        chunks_total: plan.chunks.len() as u32,
        chunks: plan.chunks[..first].to_vec(),
    }
}

pub(super) fn opened(plan: &Plan) -> Dataset {
    let mut dataset = None;
    let change = open_change(new_plan(plan, plan.chunks.len()), 0, Some(snapshot("A")));
    apply(&mut dataset, entry(None, change)).unwrap();
    dataset.unwrap()
}

pub(super) fn follow(dataset: &mut Dataset, change: Change) -> Result<(), InvariantError> {
    let entry = entry(Some(dataset), change);
    let mut folded = Some(dataset.clone());
    let outcome = apply(&mut folded, entry);
    let folded = folded.unwrap();
    if outcome.is_err() {
        assert_eq!(folded, *dataset, "a refused entry changed the dataset");
    }
    *dataset = folded;
    outcome
}

#[test]
fn a_chunk_has_one_winner() {
    let mut dataset = opened(&key_plan(4));
    let first = commit(&dataset, [1]);
    follow(&mut dataset, first.clone()).unwrap();
    let twice = Err(InvariantError::CommittedTwice(ChunkId(1)));
    assert_eq!(follow(&mut dataset, first), twice);
    let inside = commit(&dataset, [2, 1]);
    assert_eq!(follow(&mut dataset, inside), twice);
    let doubled = commit(&dataset, [2, 2]);
    assert_eq!(
        follow(&mut dataset, doubled),
        Err(InvariantError::CommittedTwice(ChunkId(2)))
    );
    assert_eq!(
        dataset
            .pending()
            .map(|chunk| chunk.id.0)
            .collect::<Vec<_>>(),
        [0, 2, 3]
    );
}

#[test]
fn chunk_entries_agree_with_the_plan_and_with_themselves() {
    type Spoil = fn(&mut ChunkEntry);
    let breaks: [(&str, Spoil); 10] = [
        ("range", |entry| entry.range = Range::Whole),
        ("relation", |entry| {
            entry.relation = TableName::new("a", "b")
        }),
        ("snapshot", |entry| entry.snapshot = 1),
        ("objects", |entry| entry.objects.clear()),
        ("rows", |entry| entry.rows = 3),
        ("object rows", |entry| entry.objects[0].rows = 1),
        ("nulls", |entry| entry.null_counts = vec![3]),
        ("null columns", |entry| entry.null_counts.clear()),
        ("epoch", |entry| {
            entry.objects[0].key = entry.objects[0].key.replace("-e1", "-e2")
        }),
        ("sha256", |entry| entry.objects[0].sha256.clear()),
    ];
    for (what, spoil) in breaks {
        let mut dataset = opened(&key_plan(4));
        let mut entry = chunk_entry(&dataset, 1);
        spoil(&mut entry);
        let refused = follow(
            &mut dataset,
            Change::Commit {
                chunks: vec![entry],
            },
        );
        assert!(
            matches!(refused, Err(InvariantError::ChunkEntry { .. })),
            "{what}: {refused:?}"
        );
    }
    let mut dataset = opened(&key_plan(4));
    let mut unknown = chunk_entry(&dataset, 1);
    unknown.chunk = ChunkId(4);
    let refused = follow(
        &mut dataset,
        Change::Commit {
            chunks: vec![unknown],
        },
    );
    assert_eq!(refused, Err(InvariantError::UnknownChunk(ChunkId(4))));
}

#[test]
fn only_the_newest_writer_writes_and_numbers_are_consecutive() {
    let dataset = opened(&key_plan(4));
    let good = entry(Some(&dataset), commit(&dataset, [0]));
    let with = |spoil: fn(&mut Entry)| {
        let mut entry = good.clone();
        spoil(&mut entry);
        extend(&mut dataset.clone(), entry).unwrap_err()
    };
    assert_eq!(
        with(|e| e.seq = 3),
        InvariantError::Sequence {
            expected: 2,
            found: 3
        }
    );
    assert_eq!(
        with(|e| e.seq = 1),
        InvariantError::Sequence {
            expected: 2,
            found: 1
        }
    );
    assert_eq!(
        with(|e| e.epoch = 2),
        InvariantError::Epoch {
            expected: 1,
            found: 2
        }
    );
    assert_eq!(
        with(|e| e.token = "other".into()),
        InvariantError::Writer(1)
    );
    assert!(extend(&mut dataset.clone(), good).is_ok());
    let mut nothing = None;
    let orphan = entry(
        None,
        Change::Pause {
            reason: String::new(),
        },
    );
    assert_eq!(apply(&mut nothing, orphan), Err(InvariantError::NotOpened));
    assert_eq!(nothing, None);
}

#[test]
fn an_epoch_opens_with_the_next_number_and_the_same_config() {
    let mut dataset = opened(&key_plan(4));
    let keep = PlanStart::Keep {
        discard: Vec::new(),
    };
    let open = entry(Some(&dataset), open_change(keep.clone(), 0, None));
    let refused = |spoil: fn(&mut Entry)| {
        let mut open = open.clone();
        spoil(&mut open);
        apply(&mut Some(dataset.clone()), open).unwrap_err()
    };
    fn inner(entry: &mut Entry) -> &mut Open {
        let Change::Open(open) = &mut entry.change else {
            panic!()
        };
        open
    }
    assert_eq!(
        refused(|e| e.epoch = 3),
        InvariantError::Epoch {
            expected: 2,
            found: 3
        }
    );
    assert_eq!(
        refused(|e| e.token = "token 1".into()),
        InvariantError::Writer(2)
    );
    assert!(matches!(
        refused(|e| inner(e).config.filter = Some("x".into())),
        InvariantError::Config(text) if text == "--where was none and is now x"
    ));
    assert_eq!(
        refused(|e| inner(e).schema.columns[0].type_name = "text".into()),
        InvariantError::Columns
    );
    assert_eq!(
        refused(|e| inner(e).snapshot = 1),
        InvariantError::Snapshot(1)
    );
    assert_eq!(
        refused(|e| inner(e).plan = PlanStart::Keep {
            discard: vec![ChunkId(0)]
        }),
        InvariantError::NotCommitted(ChunkId(0))
    );
    assert_eq!(follow(&mut dataset, open.change), Ok(()));
    assert_eq!(dataset.epoch, 2);
}

#[test]
fn nothing_follows_a_complete_dataset() {
    let mut dataset = opened(&key_plan(2));
    let totals = Totals::default();
    assert_eq!(
        follow(&mut dataset, Change::Complete { totals }),
        Err(InvariantError::Incomplete(2))
    );
    let all = commit(&dataset, [0, 1]);
    follow(&mut dataset, all).unwrap();
    assert_eq!(
        follow(&mut dataset, Change::Complete { totals }),
        Err(InvariantError::Totals)
    );
    let totals = dataset.totals();
    assert_eq!(
        (totals.chunks, totals.rows, totals.object_bytes),
        (2, 4, 10)
    );
    follow(&mut dataset, Change::Complete { totals }).unwrap();
    let reopened = open_change(
        PlanStart::Keep {
            discard: Vec::new(),
        },
        0,
        None,
    );
    for change in [
        reopened,
        Change::Pause {
            reason: String::new(),
        },
        Change::Fail {
            message: String::new(),
        },
        Change::Complete { totals },
    ] {
        let refused = follow(&mut dataset, change);
        assert!(
            matches!(refused, Err(InvariantError::State { .. })),
            "{refused:?}"
        );
    }
}

#[test]
fn a_plan_in_segments_must_be_whole_before_it_is_used() {
    let plan = key_plan(5);
    let mut dataset = None;
    let change = open_change(new_plan(&plan, 2), 0, Some(snapshot("A")));
    apply(&mut dataset, entry(None, change)).unwrap();
    let mut dataset = dataset.unwrap();
    assert_eq!(dataset.state, State::Planning);
    let early = commit(&dataset, [0]);
    assert!(matches!(
        follow(&mut dataset, early),
        Err(InvariantError::State { .. })
    ));
    let gap = Change::Plan {
        chunks: plan.chunks[3..].to_vec(),
    };
    assert_eq!(
        follow(&mut dataset, gap),
        Err(InvariantError::PlanOrder(ChunkId(3)))
    );
    let keep = open_change(
        PlanStart::Keep {
            discard: Vec::new(),
        },
        0,
        None,
    );
    assert!(matches!(
        follow(&mut dataset.clone(), keep),
        Err(InvariantError::State { .. })
    ));
    follow(
        &mut dataset,
        Change::Plan {
            chunks: plan.chunks[2..].to_vec(),
        },
    )
    .unwrap();
    assert_eq!(dataset.state, State::Running);
    let more = Change::Plan {
        chunks: plan.chunks[4..].to_vec(),
    };
    assert!(matches!(
        follow(&mut dataset, more),
        Err(InvariantError::State { .. })
    ));
}

#[test]
fn plans_that_do_not_cover_the_table_once_are_refused() {
    let whole = Range::Whole;
    let int = |bound: Option<i32>| bound.map(|bound| Bound::one(bound.to_string()));
    let key = |lower, upper| Range::Key {
        lower: int(lower),
        upper: int(upper),
    };
    let null = Range::NullKey;
    let ctid = |lower, upper| Range::Ctid { lower, upper };
    let bad = [
        (ChunkMethod::Whole, vec![whole.clone(), whole.clone()]),
        (ChunkMethod::Key, vec![key(None, Some(5))]),
        (ChunkMethod::Key, vec![key(Some(5), None)]),
        (
            ChunkMethod::Key,
            vec![key(None, Some(5)), key(Some(6), None)],
        ),
        (
            ChunkMethod::Key,
            vec![key(None, Some(5)), key(Some(4), None)],
        ),
        (
            ChunkMethod::Key,
            vec![
                key(None, Some(5)),
                key(Some(5), Some(5)),
                key(Some(5), None),
            ],
        ),
        (ChunkMethod::Key, vec![null.clone(), key(None, None)]),
        (
            ChunkMethod::Key,
            vec![key(None, None), null.clone(), null.clone()],
        ),
        (ChunkMethod::Key, vec![null.clone()]),
        (ChunkMethod::Ctid, vec![ctid(1, None)]),
        (ChunkMethod::Ctid, vec![ctid(0, Some(8))]),
        (ChunkMethod::Ctid, vec![ctid(0, Some(8)), ctid(9, None)]),
        (
            ChunkMethod::Ctid,
            vec![ctid(0, Some(8)), ctid(8, Some(8)), ctid(8, None)],
        ),
        (ChunkMethod::Ctid, vec![ctid(0, None), null]),
    ];
    for (method, ranges) in bad {
        let plan = plan_of(method, ranges);
        let change = open_change(new_plan(&plan, plan.chunks.len()), 0, Some(snapshot("A")));
        let refused = apply(&mut None, entry(None, change));
        assert_eq!(
            refused,
            Err(InvariantError::Partition(0)),
            "{:?}",
            plan.chunks
        );
    }
    let mut two = key_plan(3);
    two.relations.push(relation(ChunkMethod::Whole));
    let change = open_change(new_plan(&two, 3), 0, Some(snapshot("A")));
    assert_eq!(
        apply(&mut None, entry(None, change)),
        Err(InvariantError::Partition(1))
    );
    let mut other = key_plan(3);
    other.relations[0].key = None;
    let change = open_change(new_plan(&other, 3), 0, Some(snapshot("A")));
    assert_eq!(
        apply(&mut None, entry(None, change)),
        Err(InvariantError::Partition(0))
    );
}

#[test]
fn ctid_chunks_never_mix_snapshots() {
    let keep = |discard: &[u32]| PlanStart::Keep {
        discard: discard.iter().map(|id| ChunkId(*id)).collect(),
    };
    let mut dataset = opened(&ctid_plan(3));
    // Nothing is committed yet: the ranges are open-ended and fit any snapshot.
    follow(&mut dataset, open_change(keep(&[]), 1, Some(snapshot("B")))).unwrap();
    let first = commit(&dataset, [0]);
    follow(&mut dataset, first).unwrap();
    let other = open_change(keep(&[]), 2, Some(snapshot("C")));
    assert_eq!(
        follow(&mut dataset, other.clone()),
        Err(InvariantError::CtidSnapshot)
    );
    follow(&mut dataset.clone(), open_change(keep(&[]), 1, None)).unwrap();
    follow(
        &mut dataset.clone(),
        open_change(keep(&[0]), 2, Some(snapshot("C"))),
    )
    .unwrap();
    let rest = commit(&dataset, [1, 2]);
    follow(&mut dataset, rest).unwrap();
    follow(&mut dataset, other).unwrap();
    assert_eq!(
        dataset.consistency(),
        crate::snapshot::Consistency::Snapshot
    );
}

#[test]
fn key_chunks_under_a_second_snapshot_make_the_dataset_mixed() {
    use crate::snapshot::Consistency;
    let mut dataset = opened(&key_plan(3));
    let first = commit(&dataset, [0]);
    follow(&mut dataset, first).unwrap();
    assert_eq!(dataset.consistency(), Consistency::Snapshot);
    let keep = PlanStart::Keep {
        discard: Vec::new(),
    };
    follow(&mut dataset, open_change(keep, 1, Some(snapshot("B")))).unwrap();
    assert_eq!(dataset.consistency(), Consistency::Mixed);
    let anew = open_change(new_plan(&key_plan(3), 3), 0, Some(snapshot("B")));
    follow(&mut dataset, anew).unwrap();
    assert_eq!(dataset.consistency(), Consistency::Snapshot);
    assert_eq!(
        (
            dataset.committed.len(),
            dataset.snapshots.len(),
            dataset.epoch
        ),
        (0, 1, 3)
    );
}

#[test]
fn entries_of_another_version_or_form_are_refused_with_advice() {
    let dataset = opened(&key_plan(3));
    let entry = entry(Some(&dataset), commit(&dataset, [0]));
    let bytes = entry.to_bytes().unwrap();
    assert_eq!(Entry::from_bytes(2, &bytes).unwrap(), entry);
    let kind = |seq, bytes: &[u8]| {
        let error = Entry::from_bytes(seq, bytes).unwrap_err();
        assert!(error.advice().is_some());
        error.kind()
    };
    use crate::error::ErrorKind;
    assert_eq!(kind(3, &bytes), ErrorKind::Conflict);
    assert_eq!(
        kind(2, b"{\"version\":2,\"future\":[]}"),
        ErrorKind::Unsupported
    );
    for length in 0..bytes.len() {
        assert_eq!(kind(2, &bytes[..length]), ErrorKind::Conflict);
    }
}

#[test]
fn times_and_packs_cover_the_table_once_or_are_refused() {
    let time = |lower, upper| Range::Time { lower, upper };
    let refused = |method, ranges| {
        let plan = plan_of(method, ranges);
        let change = open_change(new_plan(&plan, plan.chunks.len()), 0, Some(snapshot("A")));
        apply(&mut None, entry(None, change)) == Err(InvariantError::Partition(0))
    };
    let of_key = |ranges: Vec<Range>| refused(ChunkMethod::Key, ranges);
    let (before, after) = (time(None, Some(5)), time(Some(5), None));
    assert!(!of_key(vec![before.clone(), after.clone(), Range::NullKey]));
    assert!(of_key(vec![before.clone(), after.clone()]), "no NULLs");
    let gap = time(Some(6), None);
    assert!(of_key(vec![before.clone(), gap, Range::NullKey]));
    let empty = time(Some(5), Some(5));
    assert!(of_key(vec![before, empty, after, Range::NullKey]));
    let never = i64::MAX;
    let (before, after) = (time(None, Some(never)), time(Some(never), None));
    assert!(of_key(vec![before, after, Range::NullKey]), "no such date");
    assert!(!refused(ChunkMethod::Whole, vec![Range::Pack { upper: 1 }]));
    assert!(refused(ChunkMethod::Whole, vec![Range::Pack { upper: 2 }]));
    assert!(refused(ChunkMethod::Whole, vec![Range::Pack { upper: 0 }]));
}
