//! Objects of exceptions: what a commit says of them, and what stands in their folder.

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::fold::{follow, opened as opened_plain};
use super::*;
use crate::store::hex;
use crate::store::layout::exceptions_key;

/// A plan of four chunks, whose exceptions are kept.
fn opened() -> Dataset {
    let mut dataset = opened_plain(&key_plan(4));
    dataset.config.on_unrepresentable = OnUnrepresentable::Exceptions;
    dataset
}

/// Chunk 1, with an exception.
fn with_exceptions(dataset: &Dataset) -> ChunkEntry {
    let mut entry = chunk_entry(dataset, 1);
    entry.exceptions = Some(ExceptionsEntry {
        object: ObjectEntry {
            key: exceptions_key(&dataset.plan.chunks[1], dataset.epoch),
            rows: 1,
            ..entry.objects[0].clone()
        },
        values: 1,
    });
    entry
}

fn follow_with(dataset: &mut Dataset, entry: ChunkEntry) -> Result<(), InvariantError> {
    let chunks = vec![entry];
    follow(dataset, Change::Commit { chunks })
}

#[test]
fn exceptions_agree_with_their_object_their_chunk_and_the_options() {
    type Spoil = fn(&mut ExceptionsEntry);
    let breaks: [(&str, Spoil); 5] = [
        ("folder", |found| {
            found.object.key = found.object.key.replace("_exceptions/", "")
        }),
        ("epoch", |found| {
            found.object.key = found.object.key.replace("-e1", "-e2")
        }),
        ("values", |found| found.values = 2),
        ("none", |found| (found.values, found.object.rows) = (0, 0)),
        ("sha256", |found| found.object.sha256.clear()),
    ];
    for (what, spoil) in breaks {
        let mut dataset = opened();
        let mut entry = with_exceptions(&dataset);
        spoil(entry.exceptions.as_mut().unwrap());
        let refused = follow_with(&mut dataset, entry);
        assert!(
            matches!(refused, Err(InvariantError::ChunkEntry { .. })),
            "{what}: {refused:?}"
        );
    }
    let mut dataset = opened();
    let mut too_many = with_exceptions(&dataset);
    too_many.null_counts = vec![0];
    assert!(follow_with(&mut dataset, too_many).is_err());
    let sound = with_exceptions(&dataset);
    follow_with(&mut dataset, sound).unwrap();
    assert_eq!(dataset.totals().exceptions, 1);
    let mut refusing = opened_plain(&key_plan(4));
    let entry = with_exceptions(&refusing);
    assert!(
        follow_with(&mut refusing, entry).is_err(),
        "--on-unrepresentable error"
    );
}

/// Commits a chunk whose object and exceptions really stand in the store; the latter's key.
async fn export_with_exceptions(log: &mut ManifestLog, id: u32) -> String {
    let mut entry = chunk_entry(log.dataset(), id);
    let key = exceptions_key(&log.dataset().plan.chunks[id as usize], log.dataset().epoch);
    let mut object = ObjectEntry {
        key: key.clone(),
        rows: 1,
        ..entry.objects[0].clone()
    };
    for object in [&mut entry.objects[0], &mut object] {
        let content = Bytes::from_static(b"12345");
        let info = log.root().put(&object.key, content.clone()).await.unwrap();
        object.bytes = info.bytes;
        object.etag = info.etag;
        object.sha256 = hex(&Sha256::digest(&content));
    }
    entry.exceptions = Some(ExceptionsEntry { object, values: 1 });
    append(
        log,
        Change::Commit {
            chunks: vec![entry],
        },
    )
    .await;
    key
}

#[tokio::test]
async fn lost_exceptions_lose_their_chunk_and_orphans_go() {
    let folder = tempfile::tempdir().unwrap();
    let local = Root::open(folder.path().join("x").to_str().unwrap(), &[]).unwrap();
    for root in [local, FaultyStore::new().root()] {
        let mut request = request(PlanRequest::New(key_plan(2)));
        request.config.on_unrepresentable = OnUnrepresentable::Exceptions;
        let mut log = open(&root, request).await;
        let first = export_with_exceptions(&mut log, 0).await;
        let second = export_with_exceptions(&mut log, 1).await;
        assert_eq!(check_committed(&root, log.dataset()).await.unwrap(), []);

        let orphan = "_exceptions/part-00000007-whole-e1.parquet";
        let others = [
            "_exceptions/part-00000007-whole-e2.parquet",
            "_exceptions/notes.txt",
        ];
        for key in others.into_iter().chain([orphan]) {
            root.put(key, Bytes::from_static(b"x")).await.unwrap();
        }
        let deleted = log.delete_orphans().await.unwrap();
        let expected = Orphans::Deleted {
            objects: 1,
            bytes: 1,
        };
        assert_eq!(deleted, expected);
        assert_eq!(root.get(orphan).await.unwrap(), None);
        for key in others.into_iter().chain([first.as_str(), &second]) {
            assert!(root.get(key).await.unwrap().is_some(), "{key}");
        }

        root.put(&second, Bytes::from_static(b"54321"))
            .await
            .unwrap();
        let lost = check_committed(&root, log.dataset()).await.unwrap();
        assert_eq!(lost, [ChunkId(1)], "other bytes");
        root.delete(&first).await.unwrap();
        let lost = check_committed(&root, log.dataset()).await.unwrap();
        assert_eq!(lost, [ChunkId(0), ChunkId(1)]);
    }
}
