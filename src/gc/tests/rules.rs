//! What is garbage, by one reading of the log: each clause of the proof.

use std::time::Duration;

use chrono::{TimeDelta, Utc};

use super::*;
use crate::gc::judge::{Age, Form, OWN_AGE, View, datasets_among};
use crate::gc::report::{GcKind, GcVerdict};
use crate::manifest::Dataset;
use crate::options::Hive;
use crate::store::layout::{LEASE, MANIFEST, SUCCESS, exceptions_key, log_key, probe_key};
use crate::store::testing::FaultyStore;

const ANY_AGE: Duration = Duration::ZERO;

/// The verdict on a thing that was written `age` ago.
fn verdict(
    view: &View,
    form: Form,
    key: &str,
    age: Duration,
    least: Duration,
) -> Option<GcVerdict> {
    let now = Utc::now();
    let modified = now - TimeDelta::from_std(age).unwrap();
    let age = Age {
        now,
        older_than: least,
    };
    Some(view.judge(form, key, Some(modified), age)?.verdict)
}

fn object(dataset: &Dataset, is_alive: bool, key: &str) -> Option<GcVerdict> {
    verdict(
        &View::of(dataset, is_alive),
        Form::Whole,
        key,
        ANY_AGE,
        ANY_AGE,
    )
}

#[tokio::test]
async fn an_epoch_is_dead_once_a_later_one_opened_or_its_own_writer_ended() {
    use GcVerdict::*;
    let root = FaultyStore::new().root();
    let mut first = open(&root, PlanRequest::New(plan())).await;
    commit(&mut first, 0).await;
    let dataset = first.dataset();
    assert_eq!(object(dataset, true, &key(0, 1)), None, "named");
    assert_eq!(object(dataset, true, &key(1, 1)), Some(InUse));
    assert_eq!(object(dataset, false, &key(1, 1)), Some(UnknownOutcome));
    // A run that the log did not know yet when it was read.
    assert_eq!(object(dataset, true, &key(1, 2)), Some(InUse));
    assert_eq!(object(dataset, false, &key(1, 2)), Some(UnknownOutcome));

    let mut second = open(&root, PlanRequest::Keep { discard: vec![] }).await;
    let dataset = second.dataset();
    assert_eq!(object(dataset, false, &key(0, 1)), None, "still named");
    assert_eq!(object(dataset, false, &key(1, 1)), Some(Garbage));
    assert_eq!(object(dataset, false, &key(1, 2)), Some(UnknownOutcome));
    pause(&mut second).await;
    let dataset = second.dataset();
    assert_eq!(object(dataset, false, &key(1, 2)), Some(Garbage));
    // The next run's: it opened after the log was read.
    assert_eq!(object(dataset, false, &key(1, 3)), Some(UnknownOutcome));
}

#[tokio::test]
async fn what_a_new_plan_gave_up_is_garbage() {
    let root = FaultyStore::new().root();
    let mut log = open(&root, PlanRequest::New(plan())).await;
    commit(&mut log, 0).await;
    let log = open(&root, PlanRequest::New(plan())).await;
    let given_up = object(log.dataset(), true, &key(0, 1));
    assert_eq!(given_up, Some(GcVerdict::Garbage));
    let keep = PlanRequest::Keep {
        discard: Vec::new(),
    };
    let mut log = open(&root, keep).await;
    commit(&mut log, 0).await;
    let discard = PlanRequest::Keep {
        discard: vec![ChunkId(0)],
    };
    let log = open(&root, discard).await;
    let given_up = object(log.dataset(), true, &key(0, 3));
    assert_eq!(given_up, Some(GcVerdict::Garbage));
}

#[tokio::test]
async fn every_form_of_a_dead_epochs_object_is_garbage_and_no_other_epochs() {
    use GcVerdict::*;
    let root = FaultyStore::new().root();
    let mut log = open(&root, PlanRequest::New(plan())).await;
    commit(&mut log, 0).await;
    let log = open(&root, PlanRequest::Keep { discard: vec![] }).await;
    let view = View::of(&in_folders(log.dataset()), true);
    let judge = |form, key: &str| verdict(&view, form, key, ANY_AGE, ANY_AGE);
    let rolled = |epoch| object_key(&plan().chunks[1], epoch, 2);
    let strange = |epoch| exceptions_key(&plan().chunks[1], epoch);
    let in_folder = |epoch| format!("day=2026-11-22/{}", key(1, epoch));
    for form in [Form::Whole, Form::Upload, Form::Staged] {
        for key in [key(1, 1), rolled(1), strange(1), in_folder(1)] {
            assert_eq!(judge(form, &key), Some(Garbage), "{form:?} {key}");
        }
        for key in [key(1, 2), rolled(2), strange(2), in_folder(2)] {
            assert_eq!(judge(form, &key), Some(InUse), "{form:?} {key}");
        }
    }
    // What the log names stays; an upload that would replace it does not.
    assert_eq!(judge(Form::Whole, &key(0, 1)), None);
    assert_eq!(judge(Form::Upload, &key(0, 1)), Some(Garbage));
    for foreign in [
        "part-0000.parquet",
        "_pgsluice/notes",
        "_pgsluice/probe-x",
        "_pgsluice/log/1.json",
        "sub/part-00000001-whole-e1.parquet",
        "_exceptions/day=1/part-00000001-whole-e1.parquet",
        "manifest.json",
    ] {
        for form in [Form::Whole, Form::Upload, Form::Staged] {
            assert_eq!(judge(form, foreign), Some(Foreign), "{form:?} {foreign}");
        }
    }
}

/// The same dataset, with its objects in folders `name=value`.
fn in_folders(dataset: &Dataset) -> Dataset {
    let mut dataset = dataset.clone();
    dataset.config.hive = Some(Hive { name: None });
    dataset
}

#[tokio::test]
async fn folders_of_others_are_foreign_whatever_lies_in_them() {
    let root = FaultyStore::new().root();
    let mut log = open(&root, PlanRequest::New(plan())).await;
    pause(&mut log).await;
    let theirs = format!("day=2026-11-22/{}", key(1, 1));
    for form in [Form::Whole, Form::Upload, Form::Staged] {
        let judge = |view: &View| verdict(view, form, &theirs, ANY_AGE, ANY_AGE);
        // No object of this dataset lies in such a folder.
        let plain = View::of(log.dataset(), false);
        assert_eq!(judge(&plain), Some(GcVerdict::Foreign), "{form:?}");
        let ours = View::of(&in_folders(log.dataset()), false);
        assert_eq!(judge(&ours), Some(GcVerdict::Garbage), "{form:?}");
        // This one is a dataset of its own.
        let log_of_theirs = format!("day=2026-11-22/{}", log_key(1));
        let others = datasets_among([log_of_theirs.as_str(), &log_key(1)].into_iter());
        assert_eq!(others.len(), 1);
        assert_eq!(judge(&ours.beside(others)), None, "{form:?}");
    }
    for (dataset, expected) in [
        (log.dataset().clone(), None),
        (in_folders(log.dataset()), Some(GcVerdict::Garbage)),
    ] {
        let view = View::of(&dataset, false);
        let folder = |key| verdict(&view, Form::Folder, key, ANY_AGE, ANY_AGE);
        assert_eq!(folder("day=2026-11-22"), expected);
        assert_eq!(folder("_exceptions"), Some(GcVerdict::Garbage));
    }
}

#[tokio::test]
async fn files_of_no_epoch_are_garbage_after_an_hour_and_needed_ones_never() {
    use GcVerdict::*;
    let root = FaultyStore::new().root();
    let mut log = open(&root, PlanRequest::New(plan())).await;
    let view = View::of(log.dataset(), true);
    let judge = |form, key: &str, age| verdict(&view, form, key, age, ANY_AGE);
    let young = OWN_AGE - Duration::from_secs(60);
    let probe = probe_key(&crate::store::random_token());
    assert_eq!(judge(Form::Whole, &probe, young), Some(TooYoung));
    assert_eq!(judge(Form::Whole, &probe, OWN_AGE), Some(Garbage));
    for key in [
        LEASE,
        MANIFEST,
        SUCCESS,
        &log_key(1),
        "_pgsluice/runs/x.json",
    ] {
        assert_eq!(judge(Form::Staged, key, young), Some(TooYoung), "{key}");
        assert_eq!(judge(Form::Staged, key, OWN_AGE), Some(Garbage), "{key}");
    }
    // The next entry may be on its way, whoever writes it.
    assert_eq!(
        judge(Form::Staged, &log_key(2), OWN_AGE),
        Some(UnknownOutcome)
    );
    for key in [LEASE, &log_key(1), &log_key(2), "_pgsluice/runs/x.json"] {
        assert_eq!(judge(Form::Whole, key, OWN_AGE), None, "{key}");
    }
    for key in [MANIFEST, SUCCESS] {
        assert_eq!(judge(Form::Whole, key, OWN_AGE), Some(OutOfPlace), "{key}");
    }
    for chunk in [0, 1] {
        commit(&mut log, chunk).await;
    }
    let totals = log.dataset().totals();
    append(&mut log, Change::Complete { totals }).await;
    let view = View::of(log.dataset(), false);
    for key in [MANIFEST, SUCCESS] {
        let found = verdict(&view, Form::Whole, key, OWN_AGE, ANY_AGE);
        assert_eq!(found, None, "{key}");
    }
}

#[tokio::test]
async fn an_age_makes_the_choice_smaller_and_never_larger() {
    let root = FaultyStore::new().root();
    open(&root, PlanRequest::New(plan())).await;
    let log = open(&root, PlanRequest::Keep { discard: vec![] }).await;
    let view = View::of(log.dataset(), false);
    let day = Duration::from_secs(24 * 3600);
    let judge = |key: &str, age| verdict(&view, Form::Whole, key, age, day);
    assert_eq!(judge(&key(1, 1), day / 2), Some(GcVerdict::TooYoung));
    assert_eq!(judge(&key(1, 1), day), Some(GcVerdict::Garbage));
    assert_eq!(judge(&key(1, 2), 9 * day), Some(GcVerdict::UnknownOutcome));
    // Of unknown age: not old enough, if an age is asked for.
    let age = |older_than| Age {
        now: Utc::now(),
        older_than,
    };
    let unknown = |least| view.judge(Form::Upload, &key(1, 1), None, age(least));
    let judged = unknown(day).unwrap();
    assert_eq!((judged.kind, judged.epoch), (GcKind::Upload, Some(1)));
    assert_eq!(judged.verdict, GcVerdict::TooYoung);
    assert_eq!(unknown(ANY_AGE).unwrap().verdict, GcVerdict::Garbage);
}
