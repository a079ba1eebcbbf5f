//! Incremental datasets: further runs behind completed ones, and what must not follow.

use super::super::change::apply;
use super::super::runs::Base;
use super::fold::{entry, follow};
use super::*;
use crate::chunk::{KeyColumn, Window};
use crate::options::Incremental;
use crate::snapshot::Consistency;
use crate::store::layout::SUCCESS;

fn incremental_config() -> ExportConfig {
    ExportConfig {
        incremental: Some(Incremental {
            column: "id".into(),
            overlap: None,
        }),
        ..config()
    }
}

pub(super) fn window(lower: Option<u32>, upper: u32) -> Window {
    Window {
        column: KeyColumn {
            name: "id".into(),
            type_name: "pg_catalog.int8".into(),
            operators: "pg_catalog".into(),
            collation: None,
            is_nullable: true,
        },
        lower: lower.map(|lower| lower.to_string()),
        upper: Some(upper.to_string()),
        with_nulls: lower.is_none(),
    }
}

/// The plan of a run over a window, numbered on from a base.
fn run_plan(base: Base, chunks: u32, window: Window) -> Plan {
    let mut plan = key_plan(chunks);
    plan.relations[0].window = Some(window);
    for chunk in &mut plan.chunks {
        chunk.id.0 += base.chunks;
        chunk.relation += base.relations;
    }
    plan
}

pub(super) fn open_run(plan: PlanStart, snapshot_index: u32, new: Option<&str>) -> Change {
    Change::Open(Box::new(Open {
        writer: request(keep()).writer,
        config: incremental_config(),
        schema: schema(),
        snapshot: snapshot_index,
        new_snapshot: new.map(snapshot),
        plan,
        reason: "test".into(),
    }))
}

fn extend_by(plan: &Plan, total: u32) -> PlanStart {
    PlanStart::Extend {
        relations: plan.relations.clone(),
        chunks_total: total,
        chunks: plan.chunks.clone(),
    }
}

/// A first run of three chunks, not committed yet.
pub(super) fn first_run() -> Dataset {
    let plan = run_plan(Base::default(), 3, window(None, 100));
    let start = PlanStart::New {
        relations: plan.relations.clone(),
        chunks_total: 3,
        chunks: plan.chunks,
    };
    let mut dataset = None;
    apply(&mut dataset, entry(None, open_run(start, 0, Some("A")))).unwrap();
    dataset.unwrap()
}

fn finished(dataset: &mut Dataset) {
    let pending: Vec<u32> = dataset.pending().map(|chunk| chunk.id.0).collect();
    let change = commit(dataset, pending);
    follow(dataset, change).unwrap();
    let totals = dataset.totals();
    follow(dataset, Change::Complete { totals }).unwrap();
}

/// The next run of `chunks` chunks under a snapshot of its own.
pub(super) fn next_run(dataset: &Dataset, chunks: u32, window: Window) -> Change {
    let plan = run_plan(dataset.base(), chunks, window);
    let index = dataset.snapshots.len() as u32;
    let start = extend_by(&plan, dataset.base().chunks + chunks);
    open_run(start, index, Some(&format!("S{index}")))
}

#[test]
fn runs_are_numbered_on_and_each_has_a_snapshot_of_its_own() {
    let mut dataset = first_run();
    assert_eq!(dataset.reached(), None);
    finished(&mut dataset);
    assert_eq!(dataset.consistency(), Consistency::Snapshot);
    for run in 1..4 {
        assert_eq!(dataset.reached(), Some((run * 100).to_string().as_str()));
        let next = next_run(&dataset, 3, window(Some(run * 100), run * 100 + 100));
        follow(&mut dataset, next).unwrap();
        assert_eq!(dataset.pending().count(), 3);
        assert_eq!(dataset.consistency(), Consistency::Incremental);
        finished(&mut dataset);
    }
    assert_eq!(dataset.consistency(), Consistency::Incremental);
    let runs = dataset.run_summaries();
    assert_eq!(runs.len(), 4);
    assert!(runs.iter().all(|run| run.totals.chunks == 3));
    assert_eq!(
        (runs[3].lower.as_deref(), runs[3].upper.as_deref()),
        (Some("300"), Some("400"))
    );
}

#[test]
fn a_run_goes_on_only_behind_a_completed_one_of_an_incremental_export() {
    let mut dataset = first_run();
    let early = next_run(&dataset, 3, window(Some(100), 200));
    let refused = follow(&mut dataset, early);
    assert!(
        matches!(refused, Err(InvariantError::State { .. })),
        "{refused:?}"
    );
    finished(&mut dataset);
    // What is complete is neither started over nor gone on with.
    let anew = run_plan(Base::default(), 3, window(None, 100));
    let anew = PlanStart::New {
        relations: anew.relations.clone(),
        chunks_total: 3,
        chunks: anew.chunks,
    };
    let keep = PlanStart::Keep {
        discard: Vec::new(),
    };
    for start in [anew.clone(), keep] {
        let refused = follow(&mut dataset, open_run(start, 0, None));
        assert!(
            matches!(refused, Err(InvariantError::State { .. })),
            "{refused:?}"
        );
    }
    let next = next_run(&dataset, 3, window(Some(100), 200));
    follow(&mut dataset, next).unwrap();
    let refused = follow(&mut dataset, open_run(anew, 0, Some("N")));
    assert!(
        matches!(refused, Err(InvariantError::State { .. })),
        "{refused:?}"
    );
    let discard = PlanStart::Keep {
        discard: vec![ChunkId(0)],
    };
    assert_eq!(
        follow(&mut dataset, open_run(discard, 1, None)),
        Err(InvariantError::NotCommitted(ChunkId(0)))
    );
    // Another export is none of these.
    let mut plain = super::fold::opened(&key_plan(3));
    finished(&mut plain);
    let mut next = next_run(&plain, 3, window(Some(1), 2));
    let Change::Open(open) = &mut next else {
        unreachable!()
    };
    open.config = config();
    let refused = follow(&mut plain, next);
    assert!(
        matches!(refused, Err(InvariantError::State { .. })),
        "{refused:?}"
    );
}

#[test]
fn windows_numbers_and_columns_of_a_further_run_are_checked() {
    let mut dataset = first_run();
    finished(&mut dataset);
    type Spoil = fn(&mut Open);
    fn parts(open: &mut Open) -> (&mut Vec<PlannedRelation>, &mut Vec<Chunk>) {
        match &mut open.plan {
            PlanStart::Extend {
                relations, chunks, ..
            } => (relations, chunks),
            _ => unreachable!(),
        }
    }
    let breaks: [(&str, Spoil); 8] = [
        ("no window", |open| parts(open).0[0].window = None),
        ("nulls again", |open| {
            parts(open).0[0].window.as_mut().unwrap().with_nulls = true;
        }),
        ("no upper", |open| {
            parts(open).0[0].window.as_mut().unwrap().upper = None;
        }),
        ("another column", |open| {
            let window = parts(open).0[0].window.as_mut().unwrap();
            window.column.name = "other".into();
        }),
        ("numbered from 0", |open| {
            parts(open).1.iter_mut().for_each(|chunk| chunk.id.0 -= 3);
        }),
        ("relations from 0", |open| {
            parts(open)
                .1
                .iter_mut()
                .for_each(|chunk| chunk.relation = 0);
        }),
        ("a gap", |open| {
            parts(open).1[1].range = Range::Key {
                lower: Some(crate::chunk::Bound::one("11")),
                upper: None,
            };
        }),
        ("columns", |open| open.schema.columns.clear()),
    ];
    for (what, spoil) in breaks {
        let mut next = next_run(&dataset, 3, window(Some(100), 200));
        let Change::Open(open) = &mut next else {
            unreachable!()
        };
        spoil(open);
        assert!(follow(&mut dataset, next).is_err(), "{what}");
    }
    let next = next_run(&dataset, 3, window(Some(100), 200));
    follow(&mut dataset, next).unwrap();
}

#[test]
fn where_nothing_was_reached_a_run_without_rows_has_no_end() {
    let nothing = |with_nulls| Window {
        upper: None,
        with_nulls,
        ..window(None, 0)
    };
    let plan = run_plan(Base::default(), 3, nothing(true));
    let start = PlanStart::New {
        relations: plan.relations,
        chunks_total: 3,
        chunks: plan.chunks,
    };
    let mut dataset = None;
    apply(&mut dataset, entry(None, open_run(start, 0, Some("A")))).unwrap();
    let mut dataset = dataset.unwrap();
    finished(&mut dataset);
    let next = next_run(&dataset, 3, nothing(false));
    follow(&mut dataset, next).unwrap();
    finished(&mut dataset);
    assert_eq!((dataset.reached(), dataset.runs.len()), (None, 2));
}

#[test]
fn an_unfinished_run_is_begun_anew_without_touching_those_before_it() {
    let mut dataset = first_run();
    finished(&mut dataset);
    let before = dataset.committed.clone();
    let next = next_run(&dataset, 5, window(Some(100), 200));
    follow(&mut dataset, next).unwrap();
    let change = commit(&dataset, [3, 6]);
    follow(&mut dataset, change).unwrap();
    let anew = next_run(&dataset, 4, window(Some(100), 300));
    follow(&mut dataset, anew).unwrap();
    assert_eq!(dataset.committed, before);
    assert_eq!(
        (dataset.plan.chunks.len(), dataset.plan.relations.len()),
        (7, 2)
    );
    finished(&mut dataset);
    assert_eq!(dataset.reached(), Some("300"));
    assert_eq!(dataset.consistency(), Consistency::Incremental);
}

#[test]
fn a_run_under_two_snapshots_makes_the_dataset_mixed() {
    let mut dataset = first_run();
    finished(&mut dataset);
    let next = next_run(&dataset, 3, window(Some(100), 200));
    follow(&mut dataset, next).unwrap();
    let change = commit(&dataset, [3]);
    follow(&mut dataset, change).unwrap();
    let keep = PlanStart::Keep {
        discard: Vec::new(),
    };
    follow(&mut dataset, open_run(keep, 2, Some("N"))).unwrap();
    finished(&mut dataset);
    assert_eq!(dataset.consistency(), Consistency::Mixed);
}

/// What opens the run that follows, as one that takes over.
pub(super) async fn following(root: &Root, chunks: u32) -> OpenRequest {
    let dataset = ManifestLog::load(root).await.unwrap();
    let base = dataset.as_ref().map_or(Base::default(), Dataset::base);
    let lower = (base.chunks > 0).then_some(base.chunks);
    let plan = run_plan(base, chunks, window(lower, base.chunks + chunks));
    let plan = match lower {
        None => PlanRequest::New(plan),
        Some(_) => PlanRequest::Extend(plan),
    };
    OpenRequest {
        config: incremental_config(),
        snapshot: snapshot(&format!("S{}", base.chunks)),
        takeover: true,
        ..request(plan)
    }
}

/// Opens the run that follows, commits it all and completes it.
pub(super) async fn whole_run(root: &Root, chunks: u32) -> Box<ManifestLog> {
    let before = root.get(SUCCESS).await.unwrap();
    let mut log = open(root, following(root, chunks).await).await;
    let now = root.get(SUCCESS).await.unwrap();
    assert_eq!(now, before, "nothing is read yet");
    log.fence().begin().await.unwrap();
    assert_eq!(
        root.get(SUCCESS).await.unwrap(),
        None,
        "the end is open again"
    );
    let pending: Vec<u32> = log.dataset().pending().map(|chunk| chunk.id.0).collect();
    for ids in pending.chunks(MAX_COMMIT_CHUNKS) {
        let change = commit(log.dataset(), ids.iter().copied());
        append(&mut log, change).await;
    }
    let totals = log.dataset().totals();
    append(&mut log, Change::Complete { totals }).await;
    log
}

#[tokio::test]
async fn each_run_ends_with_files_of_its_own_and_a_late_finisher_heals_nothing_away() {
    let root = FaultyStore::new().root();
    let first = whole_run(&root, 3).await;
    finish(&root, first.dataset()).await.unwrap();
    let old = root.get(SUCCESS).await.unwrap();
    // Longer than one entry holds: the plan goes on in segments.
    let second = whole_run(&root, 10_001).await;
    // A zombie that finishes the run before: its word does not stay.
    finish(&root, first.dataset()).await.unwrap();
    assert_eq!(root.get(SUCCESS).await.unwrap(), None);
    finish(&root, second.dataset()).await.unwrap();
    let new = root.get(SUCCESS).await.unwrap();
    assert_ne!(new, old);
    // One that wrote its files behind the second's: the next command writes them anew.
    root.put(SUCCESS, old.unwrap()).await.unwrap();
    let loaded = ManifestLog::load(&root).await.unwrap().unwrap();
    assert_eq!(&loaded, second.dataset());
    finish(&root, &loaded).await.unwrap();
    assert_eq!(root.get(SUCCESS).await.unwrap(), new);
    let audit = audit_log(&root).await.unwrap();
    assert!(audit.faults.is_empty(), "{:?}", audit.faults);
    let read = read_consolidated(&root).await.unwrap();
    let Consolidation::Sound(known) = read else {
        panic!("{read:?}")
    };
    assert_eq!((known.relations.len(), known.chunks.len()), (2, 10_004));
}

#[tokio::test]
async fn of_two_runs_that_would_follow_one_is_taken() {
    let root = FaultyStore::new().root();
    let first = whole_run(&root, 3).await;
    let seen = Some(first.dataset().clone());
    let extend = |upper| {
        let plan = run_plan(first.dataset().base(), 3, window(Some(3), upper));
        OpenRequest {
            config: incremental_config(),
            snapshot: snapshot("B"),
            takeover: true,
            ..request(PlanRequest::Extend(plan))
        }
    };
    whole_run(&root, 4).await;
    let late = ManifestLog::open_epoch(&root, seen, extend(9))
        .await
        .unwrap();
    assert!(matches!(late, Opened::Taken { epoch: 2, .. }), "{late:?}");
}
