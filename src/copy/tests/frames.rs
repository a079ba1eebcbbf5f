//! Framing: cuts anywhere, truncation, hostile lengths, the order of calls.

use arrow_array::cast::AsArray;
use proptest::prelude::*;

use super::*;
use crate::error::Error;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn batches_do_not_depend_on_how_the_bytes_are_cut(
        seeds in prop::collection::vec(
            (any::<i64>(), prop_oneof![Just(0), any::<u32>()], "[a-zä€𝄞]{0,40}"), 0..150),
        cuts in prop::collection::vec(1usize..5000, 1..60),
        bytes in prop_oneof![1usize..3000, Just(1 << 20)],
        rows in 1usize..100,
    ) {
        let mapping = mapping(&all_types());
        let mut wire = WireRows::new();
        let mut digest = WireDigest::default();
        for (key, nulls, text) in &seeds {
            let start = wire.bytes.len();
            sample_row(&mut wire, *key, *nulls, text);
            digest.add_row(&wire.bytes[start..]);
        }
        let stream = wire.trailer();
        let mut pieces = Vec::new();
        let mut rest = stream.as_slice();
        for cut in cuts {
            let (piece, after) = rest.split_at(cut.min(rest.len()));
            pieces.push(piece);
            rest = after;
        }
        pieces.push(rest);
        let limits = limits(bytes, rows);
        let (whole, summary) = decode(&mapping, limits, [stream.as_slice()]).unwrap();
        let (cut, cut_summary) = decode(&mapping, limits, pieces).unwrap();
        prop_assert_eq!(&whole, &cut);
        prop_assert_eq!(&summary, &cut_summary);
        prop_assert_eq!(summary.rows, seeds.len() as u64);
        prop_assert_eq!(summary.bytes, stream.len() as u64);
        prop_assert_eq!(summary.digest, digest);
        prop_assert!(whole.iter().all(|batch| batch.num_rows() <= rows));
        for (index, nulls) in summary.null_counts.iter().enumerate() {
            let expected = seeds.iter().filter(|(_, mask, _)| mask >> index & 1 == 1).count();
            prop_assert_eq!(*nulls, expected as u64);
        }
    }

    #[test]
    fn damaged_streams_never_panic(
        seeds in prop::collection::vec((any::<i64>(), any::<u32>(), "[a-zä]{0,9}"), 1..12),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mapping = mapping(&all_types());
        let mut wire = WireRows::new();
        for (key, nulls, text) in &seeds {
            sample_row(&mut wire, *key, *nulls, text);
        }
        let mut stream = wire.trailer();
        for (place, byte) in damage {
            let place = place.index(stream.len());
            stream[place] = byte;
        }
        let _ = decode(&mapping, limits(500, 3), [stream.as_slice()]);
    }
}

#[test]
fn every_cut_in_two_is_harmless_and_every_truncation_is_an_error() {
    let mapping = mapping(&all_types());
    let mut wire = WireRows::new();
    for key in [7, -1, i64::MAX] {
        sample_row(&mut wire, key, if key == 7 { 0b1010 } else { 0 }, "aä€");
    }
    let stream = wire.trailer();
    let expected = decode(&mapping, BatchLimits::default(), [stream.as_slice()]).unwrap();
    for cut in 0..=stream.len() {
        let (front, back) = stream.split_at(cut);
        let pieces = [front, back];
        assert_eq!(
            decode(&mapping, BatchLimits::default(), pieces).unwrap(),
            expected
        );
        if cut < stream.len() {
            let error = decode(&mapping, BatchLimits::default(), [front]).unwrap_err();
            assert_eq!(error.kind(), CopyErrorKind::Truncated, "{cut}");
            assert!(Error::from(error).is_retryable());
        }
    }
    let bytewise = decode(&mapping, BatchLimits::default(), stream.chunks(1)).unwrap();
    assert_eq!(bytewise, expected);
}

#[test]
fn rows_without_columns_are_counted_and_are_not_the_trailer() {
    let mapping = mapping(&[]);
    let mut wire = WireRows::new();
    wire.row(0).row(0).row(0);
    let stream = wire.trailer();
    let (batches, summary) = decode(&mapping, limits(1 << 20, 2), stream.chunks(3)).unwrap();
    let rows: Vec<_> = batches.iter().map(RecordBatch::num_rows).collect();
    assert_eq!((rows, summary.rows), (vec![2, 1], 3));
}

#[test]
fn hostile_frames_are_refused() {
    let mapping = mapping(&[PgType::Text]);
    let header = WireRows::new().bytes;
    let stream = |tail: &[u8]| [header.as_slice(), tail].concat();
    for (bytes, kind) in [
        (
            stream(&[0, 1, 0xff, 0xff, 0xff, 0xfe]),
            CopyErrorKind::Malformed,
        ),
        (stream(&[0, 1, 0x80, 0, 0, 0]), CopyErrorKind::Malformed),
        (
            stream(&[0, 1, 0x7f, 0xff, 0xff, 0xff]),
            CopyErrorKind::TooLarge,
        ),
        (stream(&[0, 1, 0x40, 0, 0, 0]), CopyErrorKind::TooLarge),
        (stream(&[0, 1, 0x3f, 0, 0, 0]), CopyErrorKind::Truncated),
        (stream(&[0, 2, 0, 0]), CopyErrorKind::Malformed),
        (stream(&[0, 0]), CopyErrorKind::Malformed),
        (stream(&[0xff, 0xfe]), CopyErrorKind::Malformed),
        (stream(&[0xff, 0xff, 0]), CopyErrorKind::Malformed),
        (
            b"PGCOPY\n\xff\r\r\0        ".to_vec(),
            CopyErrorKind::Malformed,
        ),
        (
            [&header[..11], &[0, 1, 0, 0, 0, 0, 0, 0]].concat(),
            CopyErrorKind::Malformed,
        ),
        (
            [&header[..11], &[0x80, 0, 0, 0, 0, 0, 0, 0]].concat(),
            CopyErrorKind::Malformed,
        ),
        (
            [&header[..11], &[0, 0, 0, 0, 0xff, 0, 0, 0]].concat(),
            CopyErrorKind::Malformed,
        ),
    ] {
        for size in [1, 1000] {
            let error = decode(&mapping, limits(64, 10), bytes.chunks(size)).unwrap_err();
            assert_eq!(error.kind(), kind, "{bytes:?}");
        }
    }
    let with_extension = [
        &header[..11],
        &[0, 0, 0, 1, 0, 0, 0, 3, 9, 9, 9, 0xff, 0xff],
    ]
    .concat();
    assert!(decode(&mapping, limits(64, 10), with_extension.chunks(1)).is_ok());
}

#[test]
fn a_failed_decoder_never_finishes() {
    let mapping = mapping(&[PgType::Text]);
    let mut decoder = CopyDecoder::new(&mapping, BatchLimits::default());
    let stream = WireRows::new().trailer();
    decoder.push(&stream).unwrap();
    assert!(decoder.push(&[0]).is_err());
    assert_eq!(decoder.push(&[]).unwrap_err().kind(), CopyErrorKind::Misuse);
    assert_eq!(decoder.finish().unwrap_err().kind(), CopyErrorKind::Misuse);
}

#[test]
fn rows_that_were_not_taken_are_not_lost_silently() {
    let mapping = mapping(&[PgType::Text]);
    let mut wire = WireRows::new();
    wire.row(1).field(Some(b"x"));
    let mut decoder = CopyDecoder::new(&mapping, BatchLimits::default());
    decoder.push(&wire.trailer()).unwrap();
    assert_eq!(decoder.finish().unwrap_err().kind(), CopyErrorKind::Misuse);
    assert_eq!(decoder.take_batch().unwrap().unwrap().num_rows(), 1);
    assert!(decoder.take_batch().unwrap().is_none());
    assert_eq!(decoder.finish().unwrap().rows, 1);
}

#[test]
fn a_giant_row_passes_and_its_buffer_is_given_back() {
    let mapping = mapping(&[PgType::Bytea, PgType::Int4]);
    let giant = vec![7; 20 << 20];
    let mut wire = WireRows::new();
    for value in [b"a".as_slice(), &giant, b"b"] {
        wire.row(2).field(Some(value)).field(Some(&[0, 0, 0, 1]));
    }
    let stream = wire.trailer();
    let mut decoder = CopyDecoder::new(&mapping, BatchLimits::default());
    let mut values = Vec::new();
    for piece in stream.chunks(60_000) {
        decoder.push(piece).unwrap();
        while decoder.is_batch_ready() {
            values.extend(decoder.take_batch().unwrap());
        }
    }
    values.extend(decoder.take_batch().unwrap());
    let lengths: Vec<_> = values
        .iter()
        .flat_map(|batch| {
            batch
                .column(0)
                .as_binary::<i32>()
                .iter()
                .map(|value| value.unwrap().len())
        })
        .collect();
    assert_eq!(lengths, [1, giant.len(), 1]);
    assert!(decoder.gather.capacity() < 1 << 20);
}
