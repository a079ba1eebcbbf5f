//! How a dataset ends: orphans, lost objects, `manifest.json` and `_SUCCESS`.

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::super::consolidated::Success;
use super::*;
use crate::error::ErrorKind;
use crate::store::hex;
use crate::store::layout::{MANIFEST, SUCCESS};

/// Commits a chunk with an object that really stands in the store.
async fn export(log: &mut ManifestLog, id: u32) -> String {
    let mut entry = chunk_entry(log.dataset(), id);
    let content = Bytes::from(format!("object {id} of epoch {}", log.dataset().epoch));
    let object = &mut entry.objects[0];
    let info = log.root().put(&object.key, content.clone()).await.unwrap();
    object.bytes = info.bytes;
    object.etag = info.etag;
    object.sha256 = hex(&Sha256::digest(&content));
    let key = object.key.clone();
    append(
        log,
        Change::Commit {
            chunks: vec![entry],
        },
    )
    .await;
    key
}

async fn complete(log: &mut ManifestLog) {
    let totals = log.dataset().totals();
    append(log, Change::Complete { totals }).await;
}

fn local() -> (tempfile::TempDir, Root) {
    let folder = tempfile::tempdir().unwrap();
    let root = Root::open(folder.path().join("x").to_str().unwrap(), &[]).unwrap();
    (folder, root)
}

#[tokio::test]
async fn orphans_of_dead_epochs_go_and_everything_else_stays() {
    let (_folder, local) = local();
    for root in [local, FaultyStore::new().root()] {
        let mut first = open(&root, request(PlanRequest::New(key_plan(3)))).await;
        let kept = export(&mut first, 0).await;
        let chunk = first.dataset().plan.chunks[1].clone();
        let mut log = open(&root, request(keep())).await;
        let mut stay = vec![kept];
        for name in [
            object_key(&chunk, 3, 1),
            "part-0001.parquet".into(),
            "notes.txt".into(),
            "part-00000001-whole-e1.parquet.tmp".into(),
            format!("below/{}", object_key(&chunk, 1, 1)),
        ] {
            root.put(&name, Bytes::from_static(b"x")).await.unwrap();
            stay.push(name);
        }
        let orphan = object_key(&chunk, 1, 1);
        root.put(&orphan, Bytes::from_static(b"12345"))
            .await
            .unwrap();
        assert_eq!(
            log.delete_orphans().await.unwrap_err().kind(),
            ErrorKind::Internal
        );
        stay.push(export(&mut log, 1).await);
        stay.push(export(&mut log, 2).await);
        let deleted = log.delete_orphans().await.unwrap();
        assert_eq!(
            deleted,
            Orphans::Deleted {
                objects: 1,
                bytes: 5
            }
        );
        assert_eq!(root.get(&orphan).await.unwrap(), None);
        for name in stay {
            assert!(root.get(&name).await.unwrap().is_some(), "{name}");
        }
    }
}

#[tokio::test]
async fn a_fenced_writer_deletes_no_orphans() {
    let root = FaultyStore::new().root();
    let mut zombie = open(&root, request(PlanRequest::New(key_plan(2)))).await;
    export(&mut zombie, 0).await;
    export(&mut zombie, 1).await;
    let discard = vec![ChunkId(1)];
    let mut taker = open(&root, request(PlanRequest::Keep { discard })).await;
    let theirs = export(&mut taker, 1).await;
    let old = object_key(&taker.dataset().plan.chunks[1], 1, 1);
    let orphan = "part-00000009-whole-e1.parquet";
    root.put(orphan, Bytes::new()).await.unwrap();
    assert_eq!(zombie.delete_orphans().await.unwrap(), Orphans::Fenced);
    assert!(root.get(orphan).await.unwrap().is_some());
    let deleted = taker.delete_orphans().await.unwrap();
    assert!(matches!(deleted, Orphans::Deleted { objects: 2, .. }));
    assert_eq!(root.get(&old).await.unwrap(), None);
    assert!(root.get(&theirs).await.unwrap().is_some());
}

#[tokio::test]
async fn chunks_whose_objects_are_gone_or_differ_are_found() {
    let (_folder, local) = local();
    for root in [local, FaultyStore::new().root()] {
        let mut log = open(&root, request(PlanRequest::New(key_plan(6)))).await;
        let mut keys = Vec::new();
        for id in 0..6 {
            keys.push(export(&mut log, id).await);
        }
        assert_eq!(check_committed(&root, log.dataset()).await.unwrap(), []);
        root.delete(&keys[1]).await.unwrap();
        root.put(&keys[2], Bytes::from_static(b"shorter"))
            .await
            .unwrap();
        root.put(&keys[3], Bytes::from_static(b"object X of epoch 1"))
            .await
            .unwrap();
        // The same bytes written again: another tag, and nothing is lost.
        root.put(&keys[4], Bytes::from_static(b"object 4 of epoch 1"))
            .await
            .unwrap();
        let lost = check_committed(&root, log.dataset()).await.unwrap();
        assert_eq!(lost, [ChunkId(1), ChunkId(2), ChunkId(3)]);
        let resumed = open(&root, request(PlanRequest::Keep { discard: lost })).await;
        assert_eq!(resumed.dataset().pending().count(), 3);
    }
}

#[tokio::test]
async fn success_comes_last_and_names_the_manifest() {
    let (_folder, local) = local();
    let mut manifests = Vec::new();
    for root in [local, FaultyStore::new().root()] {
        let mut log = open(&root, request(PlanRequest::New(key_plan(3)))).await;
        for id in 0..3 {
            export(&mut log, id).await;
        }
        let error = finish(&root, log.dataset()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal);
        assert_eq!(root.get(SUCCESS).await.unwrap(), None);
        complete(&mut log).await;
        // Another program's marker is no sign that we are done.
        root.put(SUCCESS, Bytes::new()).await.unwrap();
        finish(&root, log.dataset()).await.unwrap();
        let manifest = root.get(MANIFEST).await.unwrap().unwrap();
        let success = root.get(SUCCESS).await.unwrap().unwrap();
        let success: Success = serde_json::from_slice(&success).unwrap();
        assert_eq!(success.manifest_sha256, hex(&Sha256::digest(&manifest)));
        assert_eq!((success.rows, success.objects), (6, 3));
        let json: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
        assert_eq!(json["version"], 1);
        assert_eq!(json["consistency"], "snapshot");
        assert_eq!(json["totals"]["rows"], 6);
        assert_eq!(json["chunks"].as_array().unwrap().len(), 3);
        assert_eq!(json["chunks"][2]["range"]["kind"], "null_key");
        manifests.push((root, log, manifest));
    }
    // A later run that has only the log finishes with the same bytes.
    for (root, log, manifest) in manifests {
        root.delete(SUCCESS).await.unwrap();
        root.delete(MANIFEST).await.unwrap();
        let loaded = ManifestLog::load(&root).await.unwrap().unwrap();
        assert_eq!(&loaded, log.dataset());
        finish(&root, &loaded).await.unwrap();
        assert_eq!(root.get(MANIFEST).await.unwrap(), Some(manifest));
    }
}

#[tokio::test]
async fn a_complete_dataset_takes_no_further_epoch() {
    let root = FaultyStore::new().root();
    let mut log = open(&root, request(PlanRequest::New(key_plan(2)))).await;
    export(&mut log, 0).await;
    export(&mut log, 1).await;
    complete(&mut log).await;
    let dataset = ManifestLog::load(&root).await.unwrap();
    let again = ManifestLog::open_epoch(&root, dataset, request(keep()))
        .await
        .unwrap_err();
    assert_eq!(again.kind(), ErrorKind::Conflict);
    assert!(again.advice().unwrap().contains("complete"));
}

/// What a resume has to read. An optimised build loads 100,000 chunks in 400 entries in under
/// 2 s; this one is not optimised.
#[tokio::test]
async fn twenty_thousand_chunks_load_in_seconds() {
    let root = FaultyStore::new().root();
    let mut log = open(&root, request(PlanRequest::New(key_plan(20_000)))).await;
    for first in (0..20_000).step_by(250) {
        let change = commit(log.dataset(), first..first + 250);
        append(&mut log, change).await;
    }
    let started = std::time::Instant::now();
    let loaded = ManifestLog::load(&root).await.unwrap().unwrap();
    let took = started.elapsed();
    assert_eq!(loaded.pending().count(), 0);
    assert_eq!(loaded.totals().chunks, 20_000);
    assert!(took.as_secs() < 20, "{took:?}");
}
