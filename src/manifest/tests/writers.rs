//! Writers that race, lose replies, are fenced and come back.

use super::*;
use crate::error::ErrorKind;
use crate::store::testing::Fault;

fn local() -> (tempfile::TempDir, Root) {
    let folder = tempfile::tempdir().unwrap();
    let root = Root::open(folder.path().to_str().unwrap(), &[]).unwrap();
    (folder, root)
}

#[tokio::test]
async fn what_was_appended_is_what_is_loaded() {
    let (_folder, local) = local();
    for root in [local, FaultyStore::new().root()] {
        assert_eq!(ManifestLog::load(&root).await.unwrap(), None);
        let mut log = open(&root, request(PlanRequest::New(key_plan(40)))).await;
        for id in 0..39 {
            let change = commit(log.dataset(), [id]);
            append(&mut log, change).await;
        }
        append(
            &mut log,
            Change::Pause {
                reason: "asked".into(),
            },
        )
        .await;
        let loaded = ManifestLog::load(&root).await.unwrap().unwrap();
        assert_eq!(&loaded, log.dataset());
        assert_eq!(
            (loaded.state, loaded.reason.as_str()),
            (State::Paused, "asked")
        );
        let resumed = open(&root, request(keep())).await;
        assert_eq!(resumed.dataset().epoch, 2);
        assert_eq!(resumed.dataset().snapshots.len(), 1);
        assert_eq!(resumed.dataset().pending().count(), 1);
    }
}

#[tokio::test]
async fn a_large_plan_is_written_in_segments() {
    let root = FaultyStore::new().root();
    let log = open(&root, request(PlanRequest::New(key_plan(25_001)))).await;
    assert_eq!(log.dataset().next_seq, 27);
    let loaded = ManifestLog::load(&root).await.unwrap().unwrap();
    assert_eq!(&loaded, log.dataset());
    assert_eq!(
        (loaded.state, loaded.plan.chunks.len()),
        (State::Running, 25_001)
    );
}

#[tokio::test(start_paused = true)]
async fn lost_replies_neither_fence_nor_double() {
    for fault in [
        Fault::LostReply,
        Fault::OwnConflict,
        Fault::EmptyConflict,
        Fault::LandsLate,
    ] {
        let store = FaultyStore::new();
        store.inject(&[fault]);
        let mut log = open(&store.root(), request(PlanRequest::New(key_plan(4)))).await;
        for id in 0..4 {
            store.inject(&[fault]);
            let change = commit(log.dataset(), [id]);
            append(&mut log, change).await;
        }
        let loaded = ManifestLog::load(&store.root()).await.unwrap().unwrap();
        assert_eq!(&loaded, log.dataset(), "{fault:?}");
        assert_eq!(loaded.next_seq, 6, "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_append_of_unknown_outcome_is_settled_by_the_next() {
    // The write lands after the writer gave up on it.
    for landing in [Fault::LandsLate, Fault::NotSent] {
        let store = FaultyStore::new();
        let mut log = open(&store.root(), request(PlanRequest::New(key_plan(4)))).await;
        let change = commit(log.dataset(), [0]);
        store.inject(&[Fault::NotSent; 5]);
        store.inject(&[landing]);
        assert!(log.append(change.clone()).await.unwrap_err().is_retryable());
        assert_eq!(log.dataset().committed.len(), 0);
        let next = commit(log.dataset(), [1]);
        append(&mut log, next).await;
        append(
            &mut log,
            Change::Pause {
                reason: String::new(),
            },
        )
        .await;
        let loaded = ManifestLog::load(&store.root()).await.unwrap().unwrap();
        assert_eq!(loaded.committed.len(), 2, "{landing:?}");
        assert_eq!(loaded.next_seq, 5);
    }
}

#[tokio::test(start_paused = true)]
async fn the_same_change_tried_again_counts_once() {
    let store = FaultyStore::new();
    let mut log = open(&store.root(), request(PlanRequest::New(key_plan(4)))).await;
    let change = commit(log.dataset(), [0]);
    store.inject(&[Fault::NotSent; 6]);
    log.append(change.clone()).await.unwrap_err();
    append(&mut log, change).await;
    let change = commit(log.dataset(), [1]);
    let wider = commit(log.dataset(), [1, 2]);
    store.inject(&[Fault::NotSent; 6]);
    log.append(change).await.unwrap_err();
    append(&mut log, wider).await;
    assert_eq!(log.dataset().committed.len(), 3);
    assert_eq!(log.dataset().next_seq, 5);
}

#[tokio::test]
async fn a_zombie_is_fenced_and_changes_nothing() {
    let (_folder, local) = local();
    for root in [local, FaultyStore::new().root()] {
        let mut zombie = open(&root, request(PlanRequest::New(key_plan(4)))).await;
        let fence = zombie.fence();
        let change = commit(zombie.dataset(), [0]);
        append(&mut zombie, change).await;
        assert!(fence.check().await.unwrap());
        let mut taker = open(&root, request(keep())).await;
        assert!(!fence.check().await.unwrap());
        assert!(!zombie.fence().check().await.unwrap());
        assert!(taker.fence().check().await.unwrap());
        let change = commit(taker.dataset(), [1]);
        append(&mut taker, change).await;
        for _ in 0..2 {
            let change = commit(zombie.dataset(), [2]);
            let fenced = zombie.append(change).await.unwrap();
            let Appended::Fenced { by, epoch: 2 } = fenced else {
                panic!("{fenced:?}")
            };
            assert_eq!(by.host, "here");
        }
        assert_eq!(
            zombie.delete_orphans().await.unwrap_err().kind(),
            ErrorKind::Internal
        );
        let loaded = ManifestLog::load(&root).await.unwrap().unwrap();
        assert_eq!(&loaded, taker.dataset());
    }
}

#[tokio::test]
async fn the_fence_follows_its_own_writer_without_alarm() {
    let store = FaultyStore::new();
    let mut log = open(&store.root(), request(PlanRequest::New(key_plan(30)))).await;
    let fence = log.fence();
    for id in 0..30 {
        let change = commit(log.dataset(), [id]);
        append(&mut log, change).await;
        assert!(fence.check().await.unwrap());
    }
    let before = store.gets();
    assert!(fence.check().await.unwrap());
    assert_eq!(store.gets() - before, 1);
    // Another process's view of the same epoch: it walks up from the open entry.
    let stale = open(&store.root(), request(keep())).await.fence();
    assert!(stale.check().await.unwrap());
    assert!(!fence.check().await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_racing_writers_one_opens() {
    let (folder, _) = local();
    for round in 0..100 {
        let path = folder.path().join(round.to_string());
        let root = if round % 4 == 0 {
            Root::open(path.to_str().unwrap(), &[]).unwrap()
        } else {
            FaultyStore::new().root()
        };
        if round % 2 == 0 {
            drop(open(&root, request(PlanRequest::New(key_plan(4)))).await);
        }
        let dataset = ManifestLog::load(&root).await.unwrap();
        let start = |host: &str| {
            let plan = if dataset.is_some() {
                keep()
            } else {
                PlanRequest::New(key_plan(4))
            };
            let mut request = request(plan);
            request.writer.host = host.to_owned();
            let (root, dataset) = (root.clone(), dataset.clone());
            tokio::spawn(async move {
                ManifestLog::open_epoch(&root, dataset, request)
                    .await
                    .unwrap()
            })
        };
        let (a, b) = (start("a"), start("b"));
        let ends = [a.await.unwrap(), b.await.unwrap()];
        let (mut winners, mut losers) = (Vec::new(), Vec::new());
        for end in ends {
            match end {
                Opened::Open(log) => winners.push(log),
                Opened::Taken { by, epoch } => losers.push((by.host, epoch)),
            }
        }
        assert_eq!((winners.len(), losers.len()), (1, 1), "round {round}");
        let winner = winners[0].dataset();
        assert_eq!(losers[0], (winner.writer.host.clone(), winner.epoch));
        assert_eq!(
            ManifestLog::load(&root).await.unwrap().as_ref(),
            Some(winner)
        );
    }
}

#[tokio::test]
async fn a_writer_that_moves_while_it_is_taken_over_is_only_fenced_on_request() {
    let root = FaultyStore::new().root();
    let mut alive = open(&root, request(PlanRequest::New(key_plan(4)))).await;
    let stale = ManifestLog::load(&root).await.unwrap();
    let change = commit(alive.dataset(), [0]);
    append(&mut alive, change).await;
    let polite = request(keep());
    let end = ManifestLog::open_epoch(&root, stale.clone(), polite.clone())
        .await
        .unwrap();
    assert!(matches!(end, Opened::Taken { epoch: 1, .. }));
    let forced = OpenRequest {
        takeover: true,
        ..polite
    };
    let end = ManifestLog::open_epoch(&root, stale, forced).await.unwrap();
    let Opened::Open(taker) = end else { panic!() };
    assert_eq!(taker.dataset().committed.len(), 1);
    assert_eq!(taker.dataset().epoch, 2);
    let change = commit(alive.dataset(), [1]);
    assert!(matches!(
        alive.append(change).await.unwrap(),
        Appended::Fenced { epoch: 2, .. }
    ));
}

#[tokio::test]
async fn another_config_is_told_apart_and_nothing_is_touched() {
    let store = FaultyStore::new();
    let root = store.root();
    drop(open(&root, request(PlanRequest::New(key_plan(4)))).await);
    let dataset = ManifestLog::load(&root).await.unwrap();
    let mut other = request(keep());
    other.config.chunk_rows = Some(11);
    other.config.compression = Compression::Snappy;
    let differences = dataset.as_ref().unwrap().config.differences(&other.config);
    let shown: Vec<String> = differences.iter().map(ToString::to_string).collect();
    assert_eq!(
        shown,
        [
            "--chunk-rows was 10 and is now 11",
            "--compression was zstd:3 and is now snappy"
        ]
    );
    let error = ManifestLog::open_epoch(&root, dataset.clone(), other)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(ManifestLog::load(&root).await.unwrap(), dataset);
}

#[tokio::test]
async fn a_foreign_or_damaged_log_is_refused() {
    let root = FaultyStore::new().root();
    drop(open(&root, request(PlanRequest::New(key_plan(4)))).await);
    let key = crate::store::layout::log_key(2);
    root.put(&key, b"{}"[..].into()).await.unwrap();
    assert_eq!(
        ManifestLog::load(&root).await.unwrap_err().kind(),
        ErrorKind::Conflict
    );
}
