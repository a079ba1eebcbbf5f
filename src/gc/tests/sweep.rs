//! What a sweep does when something moves between its listing and its deletions.

use super::*;
use crate::error::ErrorKind;
use crate::gc::place::survey_dataset;
use crate::gc::{GcOptions, GcPlace, GcVerdict, gc};
use crate::store::layout::LOG_DIR;
use crate::store::testing::FaultyStore;

const DELETE: GcOptions = GcOptions {
    delete: true,
    older_than: std::time::Duration::ZERO,
};

fn keep() -> PlanRequest {
    PlanRequest::Keep {
        discard: Vec::new(),
    }
}

async fn is_there(root: &Root, chunk: usize, epoch: u64) -> bool {
    root.head(&key(chunk, epoch)).await.unwrap().is_some()
}

fn of_verdict(place: &GcPlace, verdict: GcVerdict) -> Vec<&str> {
    let items = place.items.iter().filter(|item| item.verdict == verdict);
    items.map(|item| item.key.as_str()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_tells_what_a_deletion_does_and_changes_nothing() {
    let root = FaultyStore::new().root();
    let mut log = open(&root, PlanRequest::New(plan())).await;
    commit(&mut log, 0).await;
    put(&root, 1, 1).await;
    pause(&mut log).await;
    root.put("readme.txt", "mine".into()).await.unwrap();
    let before = root.list_all().await.unwrap();
    let told = gc(&root, &GcOptions::default()).await.unwrap();
    assert_eq!(root.list_all().await.unwrap(), before);
    let garbage = vec![key(1, 1)];
    assert_eq!(of_verdict(&told.places[0], GcVerdict::Garbage), garbage);
    let done = gc(&root, &DELETE).await.unwrap();
    assert_eq!(of_verdict(&done.places[0], GcVerdict::Garbage), garbage);
    assert_eq!(
        of_verdict(&done.places[0], GcVerdict::Foreign),
        ["readme.txt"]
    );
    let mut left = before;
    left.retain(|found| found.key != garbage[0]);
    assert_eq!(root.list_all().await.unwrap(), left);
}

#[tokio::test(start_paused = true)]
async fn a_writer_that_stands_still_can_still_commit_what_it_wrote() {
    let root = FaultyStore::new().root();
    let mut log = open(&root, PlanRequest::New(plan())).await;
    put(&root, 0, 1).await;
    let done = gc(&root, &DELETE).await.unwrap();
    assert_eq!(
        of_verdict(&done.places[0], GcVerdict::UnknownOutcome),
        [key(0, 1)]
    );
    assert!(
        done.warnings[0].contains("run the export again"),
        "{:?}",
        done.warnings
    );
    assert!(is_there(&root, 0, 1).await);
    // It wakes up, and needs it.
    let chunks = vec![entry(0, &log)];
    append(&mut log, Change::Commit { chunks }).await;
}

#[tokio::test(start_paused = true)]
async fn a_run_that_begins_behind_the_listing_keeps_what_it_writes() {
    let root = FaultyStore::new().root();
    let mut first = open(&root, PlanRequest::New(plan())).await;
    put(&root, 0, 1).await;
    put(&root, 1, 1).await;
    pause(&mut first).await;
    let mut survey = survey_dataset(root.clone(), &DELETE).await.unwrap();
    let mut second = open(&root, keep()).await;
    commit(&mut second, 0).await;
    put(&root, 1, 2).await;
    survey.sweep().await.unwrap();
    assert!(!is_there(&root, 0, 1).await && !is_there(&root, 1, 1).await);
    assert!(is_there(&root, 0, 2).await && is_there(&root, 1, 2).await);
    commit(&mut second, 1).await;
}

/// The one way in which a dead epoch's key can be needed again: the same name in another log.
#[tokio::test(start_paused = true)]
async fn a_dataset_that_was_removed_and_begun_anew_is_left_alone() {
    let root = FaultyStore::new().root();
    let mut old = open(&root, PlanRequest::New(plan())).await;
    put(&root, 0, 1).await;
    pause(&mut old).await;
    let mut survey = survey_dataset(root.clone(), &DELETE).await.unwrap();
    remove_log(&root).await;
    let mut new = open(&root, PlanRequest::New(plan())).await;
    commit(&mut new, 0).await;
    // As long as the old one's, and as far.
    pause(&mut new).await;
    let error = survey.sweep().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    assert!(is_there(&root, 0, 1).await, "the new log names it");
}

#[tokio::test(start_paused = true)]
async fn a_log_that_is_gone_stops_the_sweep() {
    let root = FaultyStore::new().root();
    let mut log = open(&root, PlanRequest::New(plan())).await;
    put(&root, 0, 1).await;
    pause(&mut log).await;
    let mut survey = survey_dataset(root.clone(), &DELETE).await.unwrap();
    remove_log(&root).await;
    survey.sweep().await.unwrap_err();
    // And so it is when it was gone from the beginning.
    let report = gc(&root, &DELETE).await.unwrap();
    let error = report.first_error().unwrap();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    assert!(is_there(&root, 0, 1).await);
}

/// Its objects are called as those of the outer one would be, and the outer log names none.
#[tokio::test(start_paused = true)]
async fn a_dataset_in_a_folder_of_another_keeps_all_it_has() {
    let root = FaultyStore::new().root();
    let mut outer = open(&root, PlanRequest::New(plan())).await;
    commit(&mut outer, 0).await;
    put(&root, 1, 1).await;
    pause(&mut outer).await;
    let below = root.child("day=2026-11-22").unwrap();
    let mut inner = open(&below, PlanRequest::New(plan())).await;
    commit(&mut inner, 0).await;
    put(&below, 1, 1).await;
    let done = gc(&root, &DELETE).await.unwrap();
    assert_eq!(of_verdict(&done.places[0], GcVerdict::Garbage), [key(1, 1)]);
    assert_eq!(
        of_verdict(&done.places[0], GcVerdict::Foreign),
        ["day=2026-11-22/"]
    );
    assert!(is_there(&below, 0, 1).await && is_there(&below, 1, 1).await);
}

/// A writer that was paused, taken over or completed cannot commit: what gc stands on.
#[tokio::test(start_paused = true)]
async fn no_writer_of_a_dead_epoch_commits() {
    let root = FaultyStore::new().root();
    let mut first = open(&root, PlanRequest::New(plan())).await;
    let mut second = open(&root, keep()).await;
    let chunks = vec![entry(0, &first)];
    let late = first.append(Change::Commit { chunks }).await.unwrap();
    assert!(
        matches!(late, Appended::Fenced { epoch: 2, .. }),
        "{late:?}"
    );
    pause(&mut second).await;
    let chunks = vec![entry(0, &second)];
    let late = second.append(Change::Commit { chunks }).await;
    assert_eq!(late.unwrap_err().kind(), ErrorKind::Internal);
}

#[tokio::test]
async fn a_folder_without_datasets_is_an_error_with_advice() {
    let root = FaultyStore::new().root();
    root.put("x/readme.txt", "mine".into()).await.unwrap();
    let error = gc(&root, &DELETE).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.advice().is_some());
}

async fn remove_log(root: &Root) {
    let entries = root.child(LOG_DIR).unwrap().list().await.unwrap();
    let keys: Vec<String> = entries
        .iter()
        .map(|entry| format!("{LOG_DIR}/{}", entry.key))
        .collect();
    root.delete_all(&keys).await.unwrap();
}
