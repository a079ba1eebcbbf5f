//! Logs and end files that are damaged, missing, early or cut short.

use super::*;
use crate::store::layout::{MANIFEST, SUCCESS, log_key};

#[tokio::test]
async fn missing_and_other_end_files_are_found() {
    let made = Made::sound().await;
    made.bend(MANIFEST, |bytes| bytes.push(b'\n')).await;
    made.bend(SUCCESS, |bytes| bytes[30] ^= 1).await;
    let expected = [FindingKind::ManifestDiffers, FindingKind::SuccessDiffers];
    assert_eq!(errors(&made.verdict().await), expected);
    assert_eq!(errors(&made.quick().await), expected);
    made.root.delete(MANIFEST).await.unwrap();
    made.root.delete(SUCCESS).await.unwrap();
    let expected = [FindingKind::ManifestMissing, FindingKind::SuccessMissing];
    assert_eq!(errors(&made.verdict().await), expected);
}

#[tokio::test]
async fn a_manifest_cut_anywhere_is_found() {
    let made = Made::sound().await;
    let whole = made.get(MANIFEST).await;
    for length in [0, 1, whole.len() / 2, whole.len() - 1] {
        made.root
            .put(MANIFEST, whole.slice(..length))
            .await
            .unwrap();
        let expected = [FindingKind::ManifestDiffers];
        assert_eq!(errors(&made.quick().await), expected, "{length}");
    }
}

#[tokio::test]
async fn an_unfinished_dataset_is_not_sound_and_its_strays_are_no_findings() {
    let mut made = Made::begun().await;
    let chunk = &plan().chunks[0];
    let batch = rows_of(0);
    let bytes = object(&batch, &[]);
    made.commit(entry_of(chunk, &bytes, &batch), bytes.clone())
        .await;
    made.root.put(&made.key(1), bytes).await.unwrap();
    let verdict = made.verdict().await;
    assert_eq!(errors(&verdict), [FindingKind::DatasetIncomplete]);
    assert!(verdict.findings[0].message.starts_with("1 of 3 chunks"));
    assert_eq!((verdict.chunks_proven, verdict.complete), (1, false));
    // Its end files would tell readers that it is complete.
    for key in [MANIFEST, SUCCESS] {
        made.root.put(key, Bytes::from_static(b"{}")).await.unwrap();
    }
    let expected = [
        FindingKind::DatasetIncomplete,
        FindingKind::ManifestEarly,
        FindingKind::SuccessEarly,
    ];
    assert_eq!(errors(&made.verdict().await), expected);
}

#[tokio::test]
async fn a_damaged_entry_does_not_hide_the_objects() {
    // Entries: 1 open, 2 to 4 commits, 5 complete.
    for seq in 1..=5 {
        let made = Made::sound().await;
        made.bend(&log_key(seq), |bytes| bytes[40] ^= 4).await;
        made.root.delete(&made.key(1)).await.unwrap();
        let verdict = made.verdict().await;
        let expected = [FindingKind::LogDamaged, FindingKind::ObjectMissing];
        assert_eq!(errors(&verdict), expected, "entry {seq}");
        assert_eq!(verdict.chunks_proven, 2, "entry {seq}");
        assert_eq!(verdict.findings[0].object, Some(log_key(seq)));
    }
}

#[tokio::test]
async fn without_a_manifest_the_readable_entries_tell_of_the_objects() {
    for (seq, proven, errors_found) in [(1, 0, 2), (3, 2, 1), (5, 2, 2)] {
        let made = Made::sound().await;
        made.root.delete(MANIFEST).await.unwrap();
        made.bend(&log_key(seq), |bytes| bytes[40] ^= 4).await;
        // Chunk 1 is committed by entry 3.
        made.root.delete(&made.key(1)).await.unwrap();
        let verdict = made.verdict().await;
        assert_eq!(verdict.errors(), errors_found, "entry {seq}: {verdict:?}");
        assert_eq!(verdict.chunks_proven, proven, "entry {seq}");
    }
}

#[tokio::test]
async fn several_damaged_entries_are_all_told() {
    let made = Made::sound().await;
    for seq in [2, 4] {
        made.bend(&log_key(seq), |bytes| bytes[40] ^= 4).await;
    }
    made.root.delete(&log_key(3)).await.unwrap();
    let expected = [
        FindingKind::LogDamaged,
        FindingKind::LogMissing,
        FindingKind::LogDamaged,
    ];
    assert_eq!(errors(&made.verdict().await), expected);
}

#[tokio::test]
async fn a_stray_entry_far_behind_the_log_is_one_gap() {
    let made = Made::sound().await;
    let stray = 9_999_999_999_999_999_999;
    for seq in [stray, u64::MAX] {
        let bytes = Bytes::from_static(b"{}");
        made.root.put(&log_key(seq), bytes).await.unwrap();
    }
    let verdict = made.verdict().await;
    let expected = [
        FindingKind::LogMissing,
        FindingKind::LogDamaged,
        FindingKind::LogMissing,
        FindingKind::LogDamaged,
    ];
    assert_eq!(errors(&verdict), expected);
    let gap = &verdict.findings[0];
    assert_eq!(gap.object, Some(log_key(6)));
    let range = format!("6 to {}", stray - 1);
    assert!(gap.message.contains(&range), "{}", gap.message);
    assert_eq!(verdict.chunks_proven, 3);
}

#[tokio::test]
async fn more_faults_than_are_told_are_counted() {
    let made = Made::sound().await;
    for seq in 6..=1010 {
        let bytes = Bytes::from_static(b"{}");
        made.root.put(&log_key(seq), bytes).await.unwrap();
    }
    let verdict = made.quick().await;
    assert_eq!(errors(&verdict), vec![FindingKind::LogDamaged; 1001]);
    let message = &verdict.findings[1000].message;
    assert!(message.starts_with("5 further"), "{message}");
}

#[tokio::test]
async fn a_lost_first_entry_does_not_hide_the_dataset() {
    let made = Made::sound().await;
    made.root.delete(&log_key(1)).await.unwrap();
    let verdict = made.verdict().await;
    assert_eq!(errors(&verdict), [FindingKind::LogMissing]);
    assert_eq!(verdict.chunks_proven, 3);
}

#[tokio::test]
async fn a_lost_last_entry_makes_the_end_files_early() {
    let made = Made::sound().await;
    made.root.delete(&log_key(5)).await.unwrap();
    let expected = [
        FindingKind::DatasetIncomplete,
        FindingKind::ManifestEarly,
        FindingKind::SuccessEarly,
    ];
    assert_eq!(errors(&made.verdict().await), expected);
}

#[tokio::test]
async fn entries_out_of_place_are_found() {
    let made = Made::sound().await;
    // A sound entry, sealed, in another's place.
    let second = made.get(&log_key(2)).await;
    made.root.put(&log_key(3), second).await.unwrap();
    assert_eq!(errors(&made.verdict().await), [FindingKind::LogDamaged]);
}

#[tokio::test]
async fn manifest_and_success_that_contradict_each_other_are_not_believed() {
    let made = Made::sound().await;
    made.bend(&log_key(2), |bytes| bytes[40] ^= 4).await;
    made.bend(MANIFEST, |bytes| bytes[40] ^= 4).await;
    let verdict = made.verdict().await;
    let expected = [FindingKind::LogDamaged, FindingKind::ManifestDiffers];
    assert_eq!(errors(&verdict), expected);
    assert_eq!(verdict.chunks_proven, 2);
}

#[tokio::test]
async fn where_no_dataset_is_verify_says_so() {
    let root = FaultyStore::new().root();
    let options = VerifyOptions::default();
    let error = verify(&root, &options, &VerifyProgress::new())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), crate::error::ErrorKind::Config);
}
