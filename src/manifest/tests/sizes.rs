//! What a plan of many chunks writes and reads: counted, not timed.

use super::*;
use crate::manifest::consolidated::ManifestFrames;
use crate::store::layout::LOG_DIR;

/// What a dataset of so many chunks cost.
#[derive(Debug)]
struct Cost {
    /// Entries of the log.
    entries: u64,
    /// Bytes of the largest.
    largest_entry: u64,
    /// Bytes of the largest piece of `manifest.json` that is held at once.
    largest_frame: usize,
    /// Reads of a resume.
    gets: usize,
}

async fn cost(chunks: u32) -> Cost {
    let store = FaultyStore::new();
    let root = store.root();
    let mut log = open(&root, request(PlanRequest::New(key_plan(chunks)))).await;
    let ids: Vec<u32> = (0..chunks).collect();
    for group in ids.chunks(MAX_COMMIT_CHUNKS) {
        let change = commit(log.dataset(), group.iter().copied());
        append(&mut log, change).await;
    }
    let totals = log.dataset().totals();
    append(&mut log, Change::Complete { totals }).await;
    let before = store.gets();
    let loaded = ManifestLog::load(&root).await.unwrap().unwrap();
    let gets = store.gets() - before;
    assert_eq!(loaded.committed.len(), chunks as usize);
    let listed = root.child(LOG_DIR).unwrap().list().await.unwrap();
    let frames = ManifestFrames::of(&loaded);
    Cost {
        entries: listed.len() as u64,
        largest_entry: listed.iter().map(|entry| entry.bytes).max().unwrap(),
        largest_frame: frames.map(|frame| frame.unwrap().len()).max().unwrap(),
        gets,
    }
}

#[tokio::test]
async fn no_write_grows_with_the_number_of_chunks() {
    let (few, many) = (cost(10_000).await, cost(100_000).await);
    // Ids and bounds have a digit more.
    let most = few.largest_entry + few.largest_entry / 50;
    assert!(many.largest_entry <= most, "{few:?}, {many:?}");
    assert!(many.largest_entry < 2 << 20, "{many:?}");
    assert!(many.largest_frame < (1 << 20) + (4 << 10), "{many:?}");
    // A plan entry and a commit entry for each thousand, and the end.
    assert_eq!((few.entries, many.entries), (21, 201));
    assert!(many.gets <= many.entries as usize + 32, "{many:?}");
}
