//! Scenarios that every store must pass, over memory and a local folder, and faults.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;

use bytes::Bytes;
use object_store::memory::InMemory;
use proptest::prelude::*;
use tempfile::TempDir;

use super::layout::{encode_component, log_key};
use super::testing::{Fault, FaultyStore};
use super::*;

struct Local {
    folder: TempDir,
    root: Root,
}

fn local() -> Local {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a lake/50%");
    let root = Root::open(path.to_str().unwrap(), &[]).unwrap();
    Local { folder, root }
}

fn memory() -> Root {
    Root::over(Arc::new(InMemory::new()), "deep/lake")
}

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

/// Every file under a folder, relative to it.
fn files(folder: &std::path::Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                found.insert(
                    path.strip_prefix(folder)
                        .unwrap()
                        .to_str()
                        .unwrap()
                        .to_owned(),
                );
            }
        }
    }
    found
}

#[tokio::test]
async fn odd_names_keep_their_key_on_every_store() {
    let local = local();
    let odd = [
        "..", ".", "_x", "a/b", "a%2Fb", "%2E%2E", "%", "CON", "a#1", "x\\y", "ä ö", "a=b", "a?b",
        "~",
    ];
    for root in [local.root.clone(), memory()] {
        for name in odd {
            let folder = format!("s/{}", encode_component(name));
            let dataset = root.child(&folder).unwrap();
            let key = "part-00000000-key_min_-5-e1.parquet";
            dataset.put(key, bytes(name)).await.unwrap();
            assert_eq!(dataset.get(key).await.unwrap(), Some(bytes(name)), "{name}");
            let listed = dataset.list().await.unwrap();
            assert_eq!(listed.len(), 1, "{name}");
            assert_eq!(listed[0].key, key);
            assert_eq!(Some(&listed[0]), dataset.head(key).await.unwrap().as_ref());
        }
        assert_eq!(root.list().await.unwrap(), []);
    }
    let below = local.folder.path();
    let found = files(below);
    assert_eq!(found.len(), odd.len());
    assert!(
        found.iter().all(|path| path.starts_with("a lake/50%/s/")),
        "{found:?}"
    );
    for name in odd {
        let path = format!(
            "a lake/50%/s/{}/part-00000000-key_min_-5-e1.parquet",
            encode_component(name)
        );
        assert_eq!(fs::read(below.join(path)).unwrap(), name.as_bytes());
    }
}

#[tokio::test]
async fn keys_that_leave_the_root_are_refused() {
    for root in [local().root, memory()] {
        for key in ["..", "../x", "a/../../x", "a//b", "", "/a", "a/", "a\nb"] {
            let error = root.put(key, Bytes::new()).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Internal, "{key:?}");
        }
    }
}

#[tokio::test]
async fn what_is_written_is_read_back_whole_and_in_part() {
    for root in [local().root, memory()] {
        assert_eq!(root.get("x").await.unwrap(), None);
        assert_eq!(root.head("x").await.unwrap(), None);
        assert_eq!(root.get_tail("x", 4).await.unwrap(), None);
        assert_eq!(root.sha256("x").await.unwrap(), None);
        let put = root.put("x", bytes("0123456789")).await.unwrap();
        assert_eq!(root.head("x").await.unwrap(), Some(put.clone()));
        for (most, tail) in [(4, "6789"), (10, "0123456789"), (99, "0123456789"), (0, "")] {
            let found = root.get_tail("x", most).await.unwrap();
            assert_eq!(found, Some((put.clone(), bytes(tail))), "{most}");
        }
        let sha256 = "84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882";
        assert_eq!(
            root.sha256("x").await.unwrap(),
            Some((10, sha256.to_owned()))
        );
        root.delete("x").await.unwrap();
        root.delete("x").await.unwrap();
        assert_eq!(root.get("x").await.unwrap(), None);
        root.put("empty", Bytes::new()).await.unwrap();
        assert_eq!(
            root.get_tail("empty", 8).await.unwrap().unwrap().1,
            Bytes::new()
        );
    }
}

#[tokio::test]
async fn put_if_absent_keeps_the_first_and_leaves_no_staging_file() {
    let local = local();
    for root in [local.root.clone(), memory()] {
        assert_eq!(root.create("x", bytes("a")).await.unwrap(), Created::Yes);
        assert_eq!(root.create("x", bytes("b")).await.unwrap(), Created::Exists);
        assert_eq!(root.get("x").await.unwrap(), Some(bytes("a")));
    }
    assert_eq!(
        files(local.folder.path()),
        BTreeSet::from(["a lake/50%/x".to_owned()])
    );
}

#[tokio::test]
async fn uploads_of_any_size_arrive_whole() {
    let local = local();
    for root in [local.root.clone(), memory()] {
        for size in [0_usize, 1, 9, 10, 11, 20, 21, 99, 100, 1001] {
            let content: Vec<u8> = (0..size).map(|at| at as u8).collect();
            let mut upload = root.upload("x", 10).unwrap();
            for frame in content.chunks(7) {
                upload.write(Bytes::copy_from_slice(frame)).await.unwrap();
            }
            let info = upload.complete().await.unwrap();
            assert_eq!(root.head("x").await.unwrap(), Some(info), "{size}");
            assert_eq!(root.get("x").await.unwrap().unwrap(), content, "{size}");
        }
    }
    assert_eq!(files(local.folder.path()).len(), 1);
}

#[tokio::test]
async fn an_upload_given_up_leaves_nothing() {
    let local = local();
    let store = FaultyStore::new();
    for (number, root) in [local.root.clone(), store.root()].into_iter().enumerate() {
        let mut aborted = root.upload("x", 4).unwrap();
        aborted.write(bytes("0123456789")).await.unwrap();
        aborted.abort().await;
        let mut dropped = root.upload("x", 4).unwrap();
        dropped.write(bytes("0123456789")).await.unwrap();
        drop(dropped);
        drop(root.upload("x", 4).unwrap());
        for _ in 0..100 {
            let is_clean = files(local.folder.path()).is_empty() && store.aborted() == 2 * number;
            if is_clean {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        assert_eq!(root.get("x").await.unwrap(), None);
        assert_eq!(files(local.folder.path()), BTreeSet::new());
    }
    assert_eq!(store.aborted(), 2);
}

#[tokio::test]
async fn a_part_that_failed_once_fails_the_upload_for_good() {
    let store = FaultyStore::with_failing_part(true);
    let mut upload = store.root().upload("x", 4).unwrap();
    let mut failures = 0;
    for _ in 0..8 {
        failures += usize::from(upload.write(bytes("0123456789")).await.is_err());
    }
    assert_eq!(failures, 1);
    assert!(upload.complete().await.unwrap_err().is_retryable());
    assert_eq!(store.aborted(), 1);
    assert_eq!(store.root().get("x").await.unwrap(), None);
}

#[tokio::test]
async fn parts_grow_so_that_an_object_stays_below_ten_thousand() {
    let mut upload = memory().upload("x", 8 << 20).unwrap();
    let mut reached = 0_u64;
    for part in 0..10_000 {
        upload.parts_sent_for_test(part);
        reached += upload.next_part_bytes() as u64;
    }
    assert!(reached > 5 << 40, "{reached}");
    upload.parts_sent_for_test(999);
    assert_eq!(upload.next_part_bytes(), 8 << 20);
    let mut upload = memory().upload("x", 1).unwrap();
    upload.parts_sent_for_test(10_000);
    let error = upload.write(Bytes::from(vec![0; 2_000])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_is_no_conflict() {
    for fault in [
        Fault::LostReply,
        Fault::OwnConflict,
        Fault::EmptyConflict,
        Fault::LandsLate,
        Fault::NotSent,
    ] {
        let store = FaultyStore::new();
        let log = AppendLog::new(store.root());
        store.inject(&[fault, fault]);
        let appended = log.append(1, &bytes("ours")).await.unwrap();
        assert_eq!(appended, Appended::Created, "{fault:?}");
        assert_eq!(log.read(1).await.unwrap(), Some(bytes("ours")), "{fault:?}");
        let other = log.append(1, &bytes("theirs")).await.unwrap();
        assert_eq!(other, Appended::Exists(bytes("ours")), "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_append_gives_up_in_the_end_and_can_be_tried_again() {
    let store = FaultyStore::new();
    let log = AppendLog::new(store.root());
    store.inject(&[Fault::EmptyConflict; 6]);
    assert_eq!(
        log.append(1, &bytes("a")).await.unwrap_err().kind(),
        ErrorKind::Storage
    );
    store.inject(&[Fault::LandsLate]);
    store.inject(&[Fault::NotSent; 5]);
    assert!(log.append(1, &bytes("a")).await.unwrap() == Appended::Created);
}

#[tokio::test]
async fn a_failed_local_write_is_never_read_back_as_a_success() {
    let store = FaultyStore::new();
    let mut root = store.root();
    root.is_local = true;
    store.inject(&[Fault::LostReply; 6]);
    let log = AppendLog::new(root);
    assert!(log.append(1, &bytes("a")).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_racing_writers_have_one_winner() {
    for root in [local().root, memory()] {
        let log = AppendLog::new(root);
        for seq in 1..=100 {
            let race = |name: &'static str| {
                let log = log.clone();
                tokio::spawn(async move { log.append(seq, &bytes(name)).await.unwrap() })
            };
            let (a, b) = (race("a"), race("b"));
            let (a, b) = (a.await.unwrap(), b.await.unwrap());
            let won = [(&a, "a"), (&b, "b")]
                .into_iter()
                .filter(|(end, _)| **end == Appended::Created);
            let winners: Vec<&str> = won.map(|(_, name)| name).collect();
            assert_eq!(winners.len(), 1, "{seq}");
            assert_eq!(log.read(seq).await.unwrap(), Some(bytes(winners[0])));
            let loser = if winners == ["a"] { b } else { a };
            assert_eq!(loser, Appended::Exists(bytes(winners[0])));
        }
    }
}

#[tokio::test]
async fn the_probe_passes_sound_stores_and_cleans_up() {
    let local = local();
    local.root.probe().await.unwrap();
    assert_eq!(files(local.folder.path()), BTreeSet::new());
    let store = FaultyStore::new();
    for fault in [Fault::None, Fault::OwnConflict] {
        store.inject(&[fault]);
        store.root().probe().await.unwrap();
    }
    assert_eq!(
        store
            .root()
            .child("_pgsluice")
            .unwrap()
            .list()
            .await
            .unwrap(),
        []
    );
}

#[tokio::test]
async fn the_probe_refuses_a_store_that_ignores_put_if_absent() {
    let store = FaultyStore::new();
    store.inject(&[Fault::None, Fault::Overwrites]);
    let error = store.root().probe().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.advice().is_some());
    assert_eq!(
        store
            .root()
            .child("_pgsluice")
            .unwrap()
            .list()
            .await
            .unwrap(),
        []
    );
}

#[tokio::test]
async fn a_folder_that_is_a_file_is_a_config_error_with_advice() {
    let folder = tempfile::tempdir().unwrap();
    let root = Root::open(folder.path().join("x").to_str().unwrap(), &[]).unwrap();
    fs::write(folder.path().join("x"), "").unwrap();
    let error = root.probe().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
    assert!(error.advice().is_some());
}

#[tokio::test]
async fn an_unreachable_store_is_reported_within_seconds() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let options = [
        ("endpoint", format!("http://127.0.0.1:{port}")),
        ("allow_http", "true".to_owned()),
        ("access_key_id", "CANARY".to_owned()),
        ("secret_access_key", "CANARY".to_owned()),
        ("region", "us-east-1".to_owned()),
    ];
    let options: Vec<_> = options
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    let root = Root::open("s3://bucket/x", &options).unwrap();
    let started = std::time::Instant::now();
    let error = root.probe().await.unwrap_err();
    assert!(started.elapsed().as_secs() < 15);
    assert_eq!(error.kind(), ErrorKind::Storage);
    assert!(error.to_string().contains("cannot be reached"), "{error}");
    assert!(
        !format!("{error:?} {root:?}").contains("CANARY"),
        "{error:?}"
    );
}

#[tokio::test]
async fn datasets_are_found_below_a_url_but_not_inside_each_other() {
    for root in [local().root, memory()] {
        assert_eq!(root.datasets_below().await.unwrap().len(), 0);
        let dataset = |folder: &str| root.child(folder).unwrap();
        for folder in ["b/t%2Fx", "a", "c/d/e/f", "c/d/e/f/too-deep", "a/inside"] {
            dataset(folder).put(&log_key(1), bytes("{}")).await.unwrap();
        }
        root.put("_pgsluice/runs/1.json", bytes("{}"))
            .await
            .unwrap();
        dataset("not/a/dataset").put("x", bytes("")).await.unwrap();
        let found = root.datasets_below().await.unwrap();
        let found: Vec<_> = found.iter().map(Root::url).collect();
        let expected = ["a", "b/t%2Fx", "c/d/e/f"].map(|folder| dataset(folder).url());
        assert_eq!(found, expected);
        assert_eq!(dataset("a").datasets_below().await.unwrap().len(), 1);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn frames_and_parts_of_any_size_make_the_same_object(
        frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..20),
        part_bytes in 1_usize..50,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let root = memory();
            let mut upload = root.upload("x", part_bytes).unwrap();
            for frame in &frames {
                upload.write(Bytes::from(frame.clone())).await.unwrap();
            }
            let info = upload.complete().await.unwrap();
            let content = frames.concat();
            prop_assert_eq!(info.bytes, content.len() as u64);
            prop_assert_eq!(root.get("x").await.unwrap().unwrap(), content);
            Ok(())
        })?;
    }
}
