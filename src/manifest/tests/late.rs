//! Writers that stall in the middle of an incremental dataset's end, and wake up behind another's.

use std::sync::Arc;

use super::runs::{following, whole_run};
use super::*;
use crate::store::layout::{MANIFEST, SUCCESS};
use crate::store::testing::Stalling;

/// Both files of the end are those of this fold.
#[track_caller]
fn expect_files(files: &FilesAudit) {
    let is_same =
        |compared: &crate::error::Result<Compared>| matches!(compared, Ok(Compared::Same));
    assert!(is_same(&files.manifest), "{:?}", files.manifest);
    assert!(is_same(&files.success), "{:?}", files.success);
}

#[tokio::test]
async fn a_writer_that_stalled_before_its_first_chunk_leaves_the_newer_ones_success() {
    let store = FaultyStore::new();
    let root = store.root();
    let first = whole_run(&root, 3).await;
    finish(&root, first.dataset()).await.unwrap();
    let mut stalled = open(&root, following(&root, 3).await).await;
    let stall = store.stall(Stalling::Delete, SUCCESS);
    let fence = stalled.fence();
    let beginning = tokio::spawn(async move { fence.begin().await });
    stall.reached().await;
    let newer = whole_run(&root, 5).await;
    finish(&root, newer.dataset()).await.unwrap();
    stall.release();
    beginning.await.unwrap().unwrap();
    expect_files(&audit_files(&root, newer.dataset()).await.unwrap());
    let change = commit(stalled.dataset(), [3]);
    let late = stalled.append(change).await.unwrap();
    assert!(
        matches!(late, Appended::Fenced { epoch: 3, .. }),
        "{late:?}"
    );
    expect_files(&audit_files(&root, newer.dataset()).await.unwrap());
}

#[tokio::test]
async fn a_writer_that_was_fenced_before_its_first_chunk_deletes_nothing() {
    let root = FaultyStore::new().root();
    let first = whole_run(&root, 3).await;
    finish(&root, first.dataset()).await.unwrap();
    let fenced = open(&root, following(&root, 3).await).await;
    let newer = whole_run(&root, 5).await;
    finish(&root, newer.dataset()).await.unwrap();
    fenced.fence().begin().await.unwrap();
    expect_files(&audit_files(&root, newer.dataset()).await.unwrap());
}

/// The finisher of the first run stalls at an object of its end; the second run comes to its end.
async fn stalled_finisher(key: &str, is_second_complete: bool) {
    let store = FaultyStore::new();
    let root = store.root();
    let first = Arc::new(whole_run(&root, 3).await.dataset().clone());
    let stall = store.stall(Stalling::Write, key);
    let finishing = tokio::spawn({
        let (root, first) = (root.clone(), Arc::clone(&first));
        async move { finish(&root, &first).await }
    });
    stall.reached().await;
    let second = if is_second_complete {
        let second = whole_run(&root, 5).await;
        finish(&root, second.dataset()).await.unwrap();
        second
    } else {
        let second = open(&root, following(&root, 5).await).await;
        second.fence().begin().await.unwrap();
        second
    };
    stall.release();
    finishing.await.unwrap().unwrap();
    if is_second_complete {
        expect_files(&audit_files(&root, second.dataset()).await.unwrap());
    } else {
        assert_eq!(root.get(SUCCESS).await.unwrap(), None, "{key}");
    }
}

#[tokio::test]
async fn a_late_finisher_puts_the_newer_runs_files_back() {
    for key in [MANIFEST, SUCCESS] {
        for is_second_complete in [true, false] {
            stalled_finisher(key, is_second_complete).await;
        }
    }
}

#[tokio::test]
async fn what_a_late_finisher_put_before_it_died_is_gone_with_the_first_commit() {
    let root = FaultyStore::new().root();
    let first = whole_run(&root, 3).await;
    finish(&root, first.dataset()).await.unwrap();
    let old = root.get(SUCCESS).await.unwrap().unwrap();
    let mut second = open(&root, following(&root, 3).await).await;
    second.fence().begin().await.unwrap();
    root.put(SUCCESS, old).await.unwrap();
    let change = commit(second.dataset(), [3]);
    append(&mut second, change).await;
    assert_eq!(root.get(SUCCESS).await.unwrap(), None);
}
