//! Objects, entries and rows that contradict each other: each is found, and told apart.

use super::*;

#[tokio::test]
async fn a_sound_dataset_has_no_findings_and_every_chunk_is_proven() {
    let made = Made::sound().await;
    let verdict = made.verdict().await;
    assert_eq!(verdict.findings, []);
    assert_eq!((verdict.chunks, verdict.chunks_proven), (3, 3));
    assert_eq!((verdict.rows, verdict.objects), (210, 3));
    assert!(verdict.complete);
    assert_eq!(verdict.table, "public.orders");
    let quick = made.quick().await;
    assert_eq!(quick.findings, []);
    assert_eq!(quick.chunks_proven, 0);
}

#[tokio::test]
async fn a_missing_and_an_extra_object_are_found() {
    let made = Made::sound().await;
    made.root.delete(&made.key(1)).await.unwrap();
    let strays = [
        "part-00000009-whole-e1.parquet",
        "other.parq",
        "id=7/part-1.parquet",
        "sub/deep/copy",
    ];
    for stray in strays {
        made.root
            .put(stray, Bytes::from_static(b"x"))
            .await
            .unwrap();
    }
    // What readers pass over is nobody's business.
    for hidden in [
        "_notes.txt",
        ".part-1.parquet.crc",
        "sub/_old/part-1.parquet",
    ] {
        made.root
            .put(hidden, Bytes::from_static(b"x"))
            .await
            .unwrap();
    }
    for verdict in [made.verdict().await, made.quick().await] {
        let expected = [
            FindingKind::ObjectExtra,
            FindingKind::ObjectExtra,
            FindingKind::ObjectExtra,
            FindingKind::ObjectExtra,
            FindingKind::ObjectMissing,
        ];
        assert_eq!(errors(&verdict), expected);
    }
}

#[tokio::test]
async fn other_bytes_of_the_same_length_are_found_by_a_full_read_alone() {
    let made = Made::sound().await;
    made.bend(&made.key(0), |bytes| bytes[10] ^= 1).await;
    let verdict = made.verdict().await;
    assert!(
        errors(&verdict).contains(&FindingKind::ObjectSha256),
        "{verdict:?}"
    );
    assert_eq!(made.quick().await.findings, []);
}

#[tokio::test]
async fn a_truncated_object_and_one_with_a_broken_footer_are_found() {
    let made = Made::sound().await;
    made.bend(&made.key(0), |bytes| bytes.truncate(bytes.len() / 2))
        .await;
    made.bend(&made.key(1), |bytes| {
        let end = bytes.len();
        bytes[end - 1] ^= 1;
    })
    .await;
    let verdict = made.verdict().await;
    let expected = [
        FindingKind::ObjectSize,
        FindingKind::ObjectFooter,
        FindingKind::ObjectFooter,
        FindingKind::ObjectSha256,
    ];
    assert_eq!(errors(&verdict), expected);
    assert_eq!(errors(&made.quick().await), expected[..3]);
    // The third chunk is not held up by the first two.
    assert_eq!(verdict.chunks_proven, 1);
}

#[tokio::test]
async fn objects_that_changed_places_are_found() {
    let batches = [rows_of(0), rows_of(1)];
    let made = Made::with(|chunk, entry, bytes| match chunk {
        2 => (entry, bytes),
        _ => {
            // The entry tells the truth about the object, and the object of another chunk.
            let batch = &batches[1 - chunk as usize];
            let bytes = object(batch, &[("pgsluice.chunk", &(1 - chunk).to_string())]);
            let swapped = entry_of(&plan().chunks[chunk as usize], &bytes, batch);
            (
                ChunkEntry {
                    objects: swapped.objects,
                    ..entry
                },
                bytes,
            )
        }
    })
    .await;
    let kinds = errors(&made.verdict().await);
    for kind in [
        FindingKind::ObjectIdentity,
        FindingKind::KeyRange,
        FindingKind::WireDigest,
    ] {
        assert!(kinds.contains(&kind), "{kind:?} of {kinds:?}");
    }
    let kinds = errors(&made.quick().await);
    assert!(kinds.contains(&FindingKind::KeyRange), "{kinds:?}");
}

#[tokio::test]
async fn keys_outside_of_the_range_are_found_by_statistics_and_by_rows() {
    let bent = |chunk: u32| match chunk {
        0 => rows((1..=ROWS).map(Some)),
        1 => rows((ROWS..2 * ROWS).map(|key| (key != ROWS + 5).then_some(key))),
        _ => rows([None, Some(3)].into_iter()),
    };
    let made = Made::with(|chunk, _, _| {
        let batch = bent(chunk);
        let bytes = object(&batch, &[]);
        (
            entry_of(&plan().chunks[chunk as usize], &bytes, &batch),
            bytes,
        )
    })
    .await;
    assert_eq!(errors(&made.verdict().await), [FindingKind::KeyRange; 6]);
    assert_eq!(errors(&made.quick().await), [FindingKind::KeyRange; 3]);
}

#[tokio::test]
async fn rows_nulls_and_digests_that_differ_are_each_told() {
    let made = Made::with(|chunk, mut entry, bytes| {
        match chunk {
            0 => {
                entry.rows += 1;
                entry.objects[0].rows += 1;
            }
            1 => entry.null_counts[1] -= 1,
            _ => entry.digest = "0".repeat(32),
        }
        (entry, bytes)
    })
    .await;
    let verdict = made.verdict().await;
    let expected = [
        FindingKind::RowCount,
        FindingKind::RowCount,
        FindingKind::RowCount,
        FindingKind::NullCount,
        FindingKind::WireDigest,
    ];
    assert_eq!(errors(&verdict), expected);
    assert_eq!(
        errors(&made.quick().await),
        [FindingKind::RowCount, FindingKind::NullCount]
    );
}

#[tokio::test]
async fn one_other_value_changes_the_digest() {
    let made = Made::with(|chunk, entry, bytes| {
        if chunk != 1 {
            return (entry, bytes);
        }
        // The object is sound, and its entry is true of it, but for what PostgreSQL sent.
        let batch = rows((ROWS..2 * ROWS).map(|key| Some(if key == 150 { 151 } else { key })));
        let bytes = object(&batch, &[]);
        let objects = entry_of(&plan().chunks[1], &bytes, &batch).objects;
        (ChunkEntry { objects, ..entry }, bytes)
    })
    .await;
    assert_eq!(errors(&made.verdict().await), [FindingKind::WireDigest]);
    assert_eq!(made.quick().await.findings, []);
}

#[tokio::test]
async fn an_object_with_other_columns_is_found() {
    let made = Made::with(|chunk, entry, bytes| {
        if chunk != 0 {
            return (entry, bytes);
        }
        let batch = rows_of(0);
        let columns = [("id", batch.column(0)), ("Note", batch.column(1))];
        let other = RecordBatch::try_from_iter(columns.map(|(n, c)| (n, Arc::clone(c)))).unwrap();
        let bytes = object(&other, &[]);
        let objects = entry_of(&plan().chunks[0], &bytes, &batch).objects;
        (ChunkEntry { objects, ..entry }, bytes)
    })
    .await;
    let verdict = made.verdict().await;
    assert_eq!(errors(&verdict), [FindingKind::ObjectSchema]);
    assert!(!verdict.findings[0].message.contains("note 1"), "no values");
    assert_eq!(verdict.chunks_proven, 2);
}

#[tokio::test]
async fn an_object_that_claims_absurd_numbers_of_values_is_not_decoded() {
    // A chunk of ten rows, and an object of as many as no COPY of its size can send.
    let made = Made::with(|chunk, mut entry, bytes| {
        if chunk != 2 {
            return (entry, bytes);
        }
        let bytes = object(&rows((0..100).map(|_| None)), &[]);
        entry.objects[0].bytes = bytes.len() as u64;
        entry.objects[0].sha256 =
            crate::store::hex(&<sha2::Sha256 as sha2::Digest>::digest(&bytes));
        (entry, bytes)
    });
    let made = made.await;
    let verdict = made.verdict().await;
    let told = |kind| {
        let found = verdict.findings.iter().filter(|one| one.kind == kind);
        found
            .filter(|one| one.message.contains("not decoded"))
            .count()
    };
    assert_eq!(told(FindingKind::ObjectFooter), 1, "{verdict:?}");
    assert_eq!(verdict.chunks_proven, 2);
    // Its bytes are hashed all the same, and are those that were committed.
    assert!(!errors(&verdict).contains(&FindingKind::ObjectSha256));
    let rows = verdict
        .findings
        .iter()
        .filter(|one| one.kind == FindingKind::RowCount);
    assert_eq!(
        rows.count(),
        1,
        "only the footer's rows are told: {verdict:?}"
    );
}
