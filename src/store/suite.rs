//! What the log and the uploads need of a store, written once and asked of every one.
//!
//! Owns the demands; the stores that are asked, and what is known to differ, stand in `places`.
//! Memory and a local folder are always asked. The servers are asked with the feature
//! `failpoints`, as `tests/run.sh` builds, and a test fails there when one is not named.

mod places;

use std::collections::BTreeSet;

use bytes::Bytes;
use tokio::task::JoinSet;

use self::places::{Deviation, Place};
use super::layout::encode_component;
use super::{AppendLog, Appended, Created, Root};
use crate::error::{Error, ErrorKind};

/// Writers of one race.
const RACERS: usize = 8;
/// Races for one entry each.
const RACES: u64 = 3;
/// The least that S3 and GCS take as a part that is not the last.
const PART: usize = 5 << 20;

/// One test a store: the demands of a store run one after another, on roots of their own.
macro_rules! ask {
    ($($name:ident: $place:expr;)+) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            ask(&$place).await;
        }
    )+};
}

ask! {
    memory_is_a_sound_store: places::memory();
    a_local_folder_is_a_sound_store: places::disk();
}

#[cfg(feature = "failpoints")]
ask! {
    seaweedfs_is_a_sound_store: places::seaweedfs();
    moto_is_a_sound_store: places::moto();
    the_gcs_double_is_a_sound_store: places::gcs();
    azurite_is_a_sound_store: places::azurite();
}

/// What the suite is worth: a store that takes put-if-absent for a plain put does not pass.
#[cfg(feature = "failpoints")]
#[tokio::test]
#[should_panic(expected = "the first bytes stand")]
async fn a_store_that_ignores_conditions_is_caught() {
    let place = places::s3rver();
    an_entry_stands_as_it_was_first_written(&place.root("entry")).await;
}

async fn ask(place: &Place) {
    place.root("probe").probe().await.unwrap();
    of_racing_writers_one_wins(&place.root("race")).await;
    an_entry_stands_as_it_was_first_written(&place.root("entry")).await;
    what_was_written_is_read_at_once(&place.root("read")).await;
    what_was_written_is_listed_at_once(place).await;
    a_listing_of_many_keys_is_whole(&place.root("many")).await;
    deletions_of_what_is_not_there_are_no_errors(&place.root("delete")).await;
    tails_and_small_objects_are_read_exactly(&place.root("tail")).await;
    uploads_arrive_whole_and_over_what_was_there(&place.root("upload")).await;
    uploads_given_up_are_never_seen(&place.root("abort")).await;
    a_log_is_found_by_probing_upward(&place.root("log")).await;
    a_missing_bucket_is_told(place).await;
    wrong_credentials_are_told(place).await;
}

fn text(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

/// Bytes that no two places of an object share.
fn pattern(size: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        bytes.extend(state.to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}

async fn of_racing_writers_one_wins(root: &Root) {
    let log = AppendLog::new(root.clone());
    for seq in 1..=RACES {
        let mut racers = JoinSet::new();
        for number in 0..RACERS {
            let log = log.clone();
            racers.spawn(async move {
                let ours = text(&format!("{number} wrote {seq}"));
                (ours.clone(), log.append(seq, &ours).await.unwrap())
            });
        }
        let ends = racers.join_all().await;
        let stands = log.read(seq).await.unwrap().expect("somebody won");
        for (ours, end) in &ends {
            match end {
                Appended::Created => assert_eq!(*ours, stands, "{seq}: the winner's bytes stand"),
                Appended::Exists(bytes) => assert_eq!(*bytes, stands, "{seq}: a loser reads them"),
            }
        }
        let won = ends.iter().filter(|(_, end)| *end == Appended::Created);
        assert_eq!(won.count(), 1, "{seq}: {ends:?}");
    }
}

async fn an_entry_stands_as_it_was_first_written(root: &Root) {
    let log = AppendLog::new(root.clone());
    let (ours, theirs) = (text("ours"), text("theirs"));
    assert_eq!(log.append(1, &ours).await.unwrap(), Appended::Created);
    // The same again is our own: the reply to the first try may have been lost.
    assert_eq!(log.append(1, &ours).await.unwrap(), Appended::Created);
    let late = log.append(1, &theirs).await.unwrap();
    let expected = Appended::Exists(ours.clone());
    assert_eq!(late, expected, "the first bytes stand");
    assert_eq!(log.read(1).await.unwrap(), Some(ours.clone()));
    // A plain put is no entry's way, but what it left is not written over either.
    root.put("plain", text("plain")).await.unwrap();
    assert_eq!(root.create("plain", theirs).await.unwrap(), Created::Exists);
    assert_eq!(root.get("plain").await.unwrap(), Some(text("plain")));
    assert_eq!(
        root.create("empty", Bytes::new()).await.unwrap(),
        Created::Yes
    );
    assert_eq!(root.create("empty", ours).await.unwrap(), Created::Exists);
}

async fn what_was_written_is_read_at_once(root: &Root) {
    for round in 0..10 {
        let (first, second) = (
            text(&format!("first {round}")),
            text(&format!("2nd {round}")),
        );
        assert_eq!(root.get("x").await.unwrap(), None, "{round}");
        assert_eq!(root.create("x", first.clone()).await.unwrap(), Created::Yes);
        assert_eq!(root.get("x").await.unwrap(), Some(first), "{round}");
        let put = root.put("x", second.clone()).await.unwrap();
        assert_eq!(root.head("x").await.unwrap(), Some(put), "{round}");
        assert_eq!(root.get("x").await.unwrap(), Some(second), "{round}");
        root.delete("x").await.unwrap();
        assert_eq!(root.head("x").await.unwrap(), None, "{round}");
    }
}

async fn what_was_written_is_listed_at_once(place: &Place) {
    let root = place.root("list");
    let names = [
        "plain",
        "..",
        ".",
        "_x",
        "a/b",
        "a%2Fb",
        "%2E%2E",
        "%",
        "CON",
        "a#1",
        "x\\y",
        "ä ö",
        "a=b",
        "a?b",
        "a+b",
        "a&b",
        "~",
        "\u{1F418}",
    ];
    for name in names {
        let dataset = root
            .child(&format!("s/{}", encode_component(name)))
            .unwrap();
        let keys = ["part-00000000-key_min_-5-e1.parquet", "_SUCCESS"];
        let mut put = BTreeSet::new();
        for key in keys {
            let info = dataset.put(key, text(name)).await.unwrap();
            put.insert((info.key, info.bytes, info.etag));
        }
        dataset
            .put("_pgsluice/log/1.json", text("below"))
            .await
            .unwrap();
        let listed = dataset.list().await.unwrap().into_iter();
        let listed: BTreeSet<_> = listed
            .map(|info| (info.key, info.bytes, info.etag))
            .collect();
        assert_eq!(listed, put, "{name}");
        assert_eq!(
            dataset.get(keys[0]).await.unwrap(),
            Some(text(name)),
            "{name}"
        );
        dataset.delete("_SUCCESS").await.unwrap();
        assert_eq!(dataset.list().await.unwrap().len(), 1, "{name}");
    }
    assert_eq!(root.list().await.unwrap(), [], "folders are no objects");
    let readable = root.list_readable().await.unwrap();
    let mut found: Vec<String> = readable.into_iter().map(|info| info.key).collect();
    found.sort();
    let key = |name: &&str| {
        format!(
            "s/{}/part-00000000-key_min_-5-e1.parquet",
            encode_component(name)
        )
    };
    let mut expected: Vec<String> = names.iter().map(key).collect();
    expected.sort();
    assert_eq!(found, expected);
}

async fn a_listing_of_many_keys_is_whole(root: &Root) {
    let keys: BTreeSet<String> = (0..30).map(|number| format!("k{number:03}")).collect();
    for key in &keys {
        root.put(key, text(key)).await.unwrap();
        root.put(&format!("f{key}/x"), text(key)).await.unwrap();
    }
    let listed = root.list().await.unwrap().into_iter();
    assert_eq!(listed.map(|info| info.key).collect::<BTreeSet<_>>(), keys);
    assert_eq!(root.list_readable().await.unwrap().len(), 60);
}

async fn deletions_of_what_is_not_there_are_no_errors(root: &Root) {
    root.delete("never").await.unwrap();
    for key in ["a", "b", "c"] {
        root.put(key, text(key)).await.unwrap();
    }
    let keys = ["a", "never", "b", "f/never"].map(str::to_owned);
    root.delete_all(&keys).await.unwrap();
    root.delete_all(&keys).await.unwrap();
    root.delete_all(&[]).await.unwrap();
    let left: Vec<_> = root
        .list()
        .await
        .unwrap()
        .into_iter()
        .map(|info| info.key)
        .collect();
    assert_eq!(left, ["c"]);
}

async fn tails_and_small_objects_are_read_exactly(root: &Root) {
    assert_eq!(root.get_tail("x", 4).await.unwrap(), None);
    assert_eq!(root.get_small("x", 4).await.unwrap(), None);
    assert_eq!(root.sha256("x").await.unwrap(), None);
    let put = root.put("x", text("0123456789")).await.unwrap();
    for (most, tail) in [(4, "6789"), (10, "0123456789"), (99, "0123456789"), (0, "")] {
        let found = root.get_tail("x", most).await.unwrap();
        assert_eq!(found, Some((put.clone(), text(tail))), "{most}");
    }
    assert_eq!(
        root.get_small("x", 10).await.unwrap(),
        Some(text("0123456789"))
    );
    let error = root.get_small("x", 9).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    root.put("empty", Bytes::new()).await.unwrap();
    let (_, tail) = root.get_tail("empty", 8).await.unwrap().unwrap();
    assert_eq!(tail, Bytes::new());
    assert_eq!(
        root.get_small("empty", 0).await.unwrap(),
        Some(Bytes::new())
    );
}

async fn uploads_arrive_whole_and_over_what_was_there(root: &Root) {
    root.put("x", text("before")).await.unwrap();
    for size in [0, 1, PART, PART + 1, 4 * PART + 17] {
        let content = pattern(size);
        let mut upload = root.upload("x", PART).unwrap();
        for frame in content.chunks(777_777) {
            upload.write(Bytes::copy_from_slice(frame)).await.unwrap();
        }
        let info = upload.complete().await.unwrap();
        assert_eq!(info.bytes, size as u64);
        assert_eq!(root.head("x").await.unwrap(), Some(info.clone()), "{size}");
        let listed = root.list().await.unwrap();
        assert_eq!(listed.as_slice(), std::slice::from_ref(&info), "{size}");
        let mut download = root.download(info);
        let mut read = Vec::new();
        while let Some(piece) = download.next().await.unwrap() {
            read.extend(piece);
        }
        assert!(read == content, "{size}: other bytes came back");
    }
}

async fn uploads_given_up_are_never_seen(root: &Root) {
    root.put("x", text("before")).await.unwrap();
    for is_aborted in [true, false] {
        let mut upload = root.upload("x", PART).unwrap();
        upload
            .write(Bytes::from(pattern(2 * PART + 1)))
            .await
            .unwrap();
        assert_eq!(root.get("x").await.unwrap(), Some(text("before")));
        if is_aborted {
            upload.abort().await;
        } else {
            drop(upload);
        }
        let mut unseen = root.upload("y", PART).unwrap();
        unseen
            .write(Bytes::from(pattern(2 * PART + 1)))
            .await
            .unwrap();
        assert_eq!(root.get("y").await.unwrap(), None);
        unseen.abort().await;
    }
    let listed = root.list().await.unwrap();
    let listed: Vec<_> = listed.iter().map(|info| info.key.as_str()).collect();
    assert_eq!(listed, ["x"]);
    assert_eq!(root.get("x").await.unwrap(), Some(text("before")));
}

/// As the manifest reads its log: many entries at once, also behind the last.
async fn a_log_is_found_by_probing_upward(root: &Root) {
    let log = AppendLog::new(root.clone());
    for seq in 1..=50 {
        let entry = text(&format!("entry {seq}"));
        assert_eq!(log.append(seq, &entry).await.unwrap(), Appended::Created);
    }
    let mut reads = JoinSet::new();
    for seq in 1..=82 {
        let log = log.clone();
        reads.spawn(async move { (seq, log.read(seq).await.unwrap()) });
    }
    for (seq, found) in reads.join_all().await {
        let expected = (seq <= 50).then(|| text(&format!("entry {seq}")));
        assert_eq!(found, expected, "{seq}");
    }
}

async fn a_missing_bucket_is_told(place: &Place) {
    let Some(root) = place.in_a_missing_bucket() else {
        return place.expect(Deviation::NoBuckets);
    };
    let told = |what: &str, error: Error| {
        assert_eq!(error.kind(), ErrorKind::Config, "{what}: {error:?}");
        assert!(!error.is_retryable(), "{what}: {error:?}");
        assert!(error.advice().is_some(), "{what}: {error:?}");
    };
    told("probe", root.probe().await.unwrap_err());
    told("put", root.put("x", text("x")).await.unwrap_err());
    told("create", root.create("x", text("x")).await.unwrap_err());
    told("list", root.list().await.unwrap_err());
    // A reply to HEAD has no body, so that it cannot tell the two apart.
    assert_eq!(root.head("x").await.ok().flatten(), None);
    told("get", root.get("x").await.unwrap_err());
}

async fn wrong_credentials_are_told(place: &Place) {
    let Some(root) = place.with_wrong_credentials() else {
        return place.expect(Deviation::NoCredentials);
    };
    let told = |what: &str, error: Error| {
        let is_told = matches!(error.kind(), ErrorKind::Storage | ErrorKind::Config);
        assert!(is_told && !error.is_retryable(), "{what}: {error:?}");
        let advice = error.advice().unwrap_or_default();
        let names_them = advice.contains("credentials") || advice.contains("allow this identity");
        assert!(names_them, "{what}: {error:?}");
        let shown = format!("{error:?} {root:?}");
        assert!(!shown.contains(places::WRONG_SECRET), "{what}: {shown}");
    };
    told("probe", root.probe().await.unwrap_err());
    told("put", root.put("x", text("x")).await.unwrap_err());
    told("get", root.get("x").await.unwrap_err());
    told("list", root.list().await.unwrap_err());
    told("delete", root.delete("x").await.unwrap_err());
}
