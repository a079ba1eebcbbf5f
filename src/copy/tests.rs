//! The decoder held against the manual: every type, every cut, hostile bytes.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, TimestampMicrosecondType,
};
use arrow_array::{Array, RecordBatch};
use proptest::prelude::*;

use super::wire_rows::{WireRows, numeric};
use super::{BatchLimits, CopyDecoder, CopyError, CopyErrorKind, CopySummary, WireDigest};
use crate::error::{Error, ErrorKind};
use crate::mapping::{TableMapping, map_table};
use crate::pg_type::{NumericModifier, PgType};
use crate::table::Column;

fn column(name: &str, pg_type: PgType) -> Column {
    Column {
        name: name.to_owned(),
        attnum: 1,
        pg_type,
        type_name: name.to_owned(),
        type_oid: 0,
        typmod: -1,
        not_null: false,
        generated: false,
        collation: None,
    }
}

fn mapping(types: &[PgType]) -> TableMapping {
    let columns: Vec<_> = types
        .iter()
        .enumerate()
        .map(|(index, pg_type)| column(&format!("c{index}"), pg_type.clone()))
        .collect();
    map_table(&columns).unwrap()
}

fn money() -> PgType {
    PgType::Numeric(Some(NumericModifier {
        precision: 15,
        scale: 2,
    }))
}

fn mood() -> PgType {
    PgType::Enum {
        labels: ["sad", "ok", "happy", "grün"].map(String::from).to_vec(),
    }
}

fn all_types() -> Vec<PgType> {
    use PgType::*;
    vec![
        Int8, Bool, Char, Int2, Int4, Oid, Float4, Float8, money(), Text, Bytea, Date, Time,
        Timestamp, Timestamptz, Uuid, Json, Jsonb, mood(), Bpchar, Varchar, Name, Other,
    ]
}

fn limits(bytes: usize, rows: usize) -> BatchLimits {
    BatchLimits { bytes, rows }
}

/// Everything that a stream gives, pushed in these pieces.
fn decode<'a>(
    mapping: &TableMapping,
    limits: BatchLimits,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Result<(Vec<RecordBatch>, CopySummary), CopyError> {
    let mut decoder = CopyDecoder::new(mapping, limits).with_row_key(Some(0), mapping);
    let mut batches = Vec::new();
    for piece in pieces {
        decoder.push(piece)?;
        while decoder.is_batch_ready() {
            batches.extend(decoder.take_batch()?);
        }
    }
    while let Some(batch) = decoder.take_batch()? {
        batches.push(batch);
    }
    Ok((batches, decoder.finish()?))
}

fn decode_whole(mapping: &TableMapping, bytes: &[u8]) -> Result<RecordBatch, CopyError> {
    let (mut batches, _) = decode(mapping, BatchLimits::default(), [bytes])?;
    assert_eq!(batches.len(), 1);
    Ok(batches.remove(0))
}

/// One row with a value, or NULL, in each column of [`all_types`].
fn sample_row(rows: &mut WireRows, key: i64, nulls: u32, text: &str) {
    let jsonb = [b"\x01".as_slice(), text.as_bytes()].concat();
    let label = ["sad", "ok", "happy", "grün"][key.rem_euclid(4) as usize];
    let values: Vec<Vec<u8>> = vec![
        key.to_be_bytes().to_vec(),
        vec![key as u8 & 1],
        vec![key as u8],
        (key as i16).to_be_bytes().to_vec(),
        (key as i32).to_be_bytes().to_vec(),
        (key as u32).to_be_bytes().to_vec(),
        (key as f32).to_be_bytes().to_vec(),
        f64::from_bits(key as u64).to_be_bytes().to_vec(),
        numeric(&format!("{}.{:02}", key / 100 % 1_000_000, (key % 100).abs())),
        text.into(),
        jsonb.clone(),
        (key as i32 % 100_000).to_be_bytes().to_vec(),
        key.rem_euclid(86_400_000_001).to_be_bytes().to_vec(),
        (key >> 12).to_be_bytes().to_vec(),
        (key >> 12).to_be_bytes().to_vec(),
        [key.to_be_bytes(), key.to_le_bytes()].concat(),
        text.into(),
        jsonb,
        label.into(),
        text.into(),
        text.into(),
        text.into(),
        text.into(),
    ];
    rows.row(values.len() as i16);
    for (index, value) in values.iter().enumerate() {
        rows.field((nulls >> index & 1 == 0).then_some(value));
    }
}

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
        assert_eq!(decode(&mapping, BatchLimits::default(), pieces).unwrap(), expected);
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
fn values_are_exact() {
    let mapping = mapping(&all_types());
    let mut wire = WireRows::new();
    sample_row(&mut wire, 4_000_000_123, 0, "grün");
    sample_row(&mut wire, -5, u32::MAX, "");
    let batch = decode_whole(&mapping, &wire.trailer()).unwrap();
    let key = 4_000_000_123_i64;
    assert_eq!(batch.column(0).as_primitive::<Int64Type>().value(0), key);
    assert!(batch.column(1).as_boolean().value(0));
    assert_eq!(batch.column(2).as_primitive::<Int8Type>().value(0), key as i8);
    assert_eq!(batch.column(3).as_primitive::<Int16Type>().value(0), key as i16);
    assert_eq!(batch.column(4).as_primitive::<Int32Type>().value(0), key as i32);
    assert_eq!(batch.column(5).as_primitive::<Int64Type>().value(0), key);
    assert_eq!(batch.column(6).as_primitive::<Float32Type>().value(0), key as f32);
    let double = batch.column(7).as_primitive::<Float64Type>().value(0);
    assert_eq!(double.to_bits(), key as u64);
    let money = batch.column(8).as_primitive::<Decimal128Type>();
    assert_eq!(money.value_as_string(0), "1.23");
    assert_eq!(batch.column(9).as_string::<i32>().value(0), "grün");
    assert_eq!(batch.column(10).as_binary::<i32>().value(0), "\u{1}grün".as_bytes());
    let days = key as i32 % 100_000 + 10_957;
    assert_eq!(batch.column(11).as_primitive::<Date32Type>().value(0), days);
    assert_eq!(batch.column(12).as_primitive::<Int64Type>().value(0), key);
    for column in [13, 14] {
        let instants = batch.column(column).as_primitive::<TimestampMicrosecondType>();
        assert_eq!(instants.value(0), (key >> 12) + 946_684_800_000_000);
    }
    let uuid = batch.column(15).as_string::<i32>().value(0);
    assert_eq!(uuid, "00000000-ee6b-287b-7b28-6bee00000000");
    assert_eq!(batch.column(17).as_string::<i32>().value(0), "grün");
    let moods = batch.column(18).as_dictionary::<Int32Type>();
    let labels = moods.downcast_dict::<arrow_array::StringArray>().unwrap();
    assert_eq!(labels.into_iter().collect::<Vec<_>>(), [Some("grün"), None]);
    assert!(batch.columns().iter().all(|column| column.is_null(1) && column.is_valid(0)));
}

fn one_field(pg_type: PgType, value: &[u8]) -> Result<RecordBatch, CopyError> {
    let mapping = mapping(&[PgType::Int8, pg_type]);
    let mut wire = WireRows::new();
    wire.row(2).field(Some(&41_i64.to_be_bytes())).field(None);
    wire.row(2).field(Some(&42_i64.to_be_bytes())).field(Some(value));
    decode_whole(&mapping, &wire.trailer())
}

#[test]
fn values_without_a_place_name_column_row_and_key_but_not_themselves() {
    use CopyErrorKind::*;
    let year_294276 = 9_223_371_331_199_999_999_i64;
    for (pg_type, value, kind) in [
        (PgType::Timestamp, i64::MAX.to_be_bytes().to_vec(), Unrepresentable),
        (PgType::Timestamptz, i64::MIN.to_be_bytes().to_vec(), Unrepresentable),
        (PgType::Timestamptz, year_294276.to_be_bytes().to_vec(), Unrepresentable),
        (PgType::Date, i32::MAX.to_be_bytes().to_vec(), Unrepresentable),
        (PgType::Date, i32::MIN.to_be_bytes().to_vec(), Unrepresentable),
        (money(), vec![0, 0, 0, 0, 0xC0, 0, 0, 0], Unrepresentable),
        (mood(), b"furious".to_vec(), Unrepresentable),
        (PgType::Text, b"secret\xff".to_vec(), NotUtf8),
        (PgType::Jsonb, b"\x01\xc3".to_vec(), NotUtf8),
        (PgType::Jsonb, b"\x02{}".to_vec(), Malformed),
        (PgType::Jsonb, Vec::new(), Malformed),
        (PgType::Time, 86_400_000_001_i64.to_be_bytes().to_vec(), Malformed),
        (PgType::Time, (-1_i64).to_be_bytes().to_vec(), Malformed),
        (PgType::Bool, vec![2], Malformed),
        (PgType::Bool, Vec::new(), Malformed),
        (PgType::Int4, vec![0; 3], Malformed),
        (PgType::Int4, vec![0; 5], Malformed),
        (PgType::Uuid, vec![0; 15], Malformed),
    ] {
        let error = one_field(pg_type.clone(), &value).unwrap_err();
        assert_eq!(error.kind(), kind, "{pg_type:?}");
        assert_eq!(error.column(), Some("c1"));
        assert_eq!((error.row(), error.row_key()), (Some(1), Some(42)), "{pg_type:?}");
        let error = Error::from(error);
        assert_eq!(error.kind(), ErrorKind::Data);
        assert!(error.advice().is_some());
        assert!(error.to_string().starts_with("column \"c1\", row 1 of the chunk (key 42): "));
        assert!(!error.to_string().contains("secret"));
    }
}

#[test]
fn the_ends_of_each_range_are_kept() {
    let day_end = one_field(PgType::Time, &86_400_000_000_i64.to_be_bytes()).unwrap();
    assert_eq!(day_end.column(1).as_primitive::<Int64Type>().value(1), 86_400_000_000);
    let first = one_field(PgType::Timestamp, &(-211_813_488_000_000_000_i64).to_be_bytes());
    let first = first.unwrap();
    let instants = first.column(1).as_primitive::<TimestampMicrosecondType>();
    assert_eq!(instants.value(1), -211_813_488_000_000_000 + 946_684_800_000_000);
    let last = one_field(PgType::Date, &2_145_031_948_i32.to_be_bytes()).unwrap();
    assert_eq!(last.column(1).as_primitive::<Date32Type>().value(1), 2_145_042_905);
}

#[test]
fn a_character_split_between_two_values_is_not_utf8() {
    let mapping = mapping(&[PgType::Text]);
    let mut wire = WireRows::new();
    wire.row(1).field(Some(b"a\xc3")).row(1).field(Some(b"\xa4b"));
    let error = decode_whole(&mapping, &wire.trailer()).unwrap_err();
    assert_eq!((error.kind(), error.row()), (CopyErrorKind::NotUtf8, Some(0)));
}

#[test]
fn null_in_a_not_null_column_is_an_error() {
    let mut id = column("id", PgType::Int8);
    id.not_null = true;
    let mapping = map_table(&[id]).unwrap();
    let mut wire = WireRows::new();
    wire.row(1).field(Some(&[0; 8])).row(1).field(None);
    let error = decode_whole(&mapping, &wire.trailer()).unwrap_err();
    assert_eq!((error.kind(), error.row()), (CopyErrorKind::Unrepresentable, Some(1)));
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
        (stream(&[0, 1, 0xff, 0xff, 0xff, 0xfe]), CopyErrorKind::Malformed),
        (stream(&[0, 1, 0x80, 0, 0, 0]), CopyErrorKind::Malformed),
        (stream(&[0, 1, 0x7f, 0xff, 0xff, 0xff]), CopyErrorKind::TooLarge),
        (stream(&[0, 1, 0x40, 0, 0, 0]), CopyErrorKind::TooLarge),
        (stream(&[0, 1, 0x3f, 0, 0, 0]), CopyErrorKind::Truncated),
        (stream(&[0, 2, 0, 0]), CopyErrorKind::Malformed),
        (stream(&[0, 0]), CopyErrorKind::Malformed),
        (stream(&[0xff, 0xfe]), CopyErrorKind::Malformed),
        (stream(&[0xff, 0xff, 0]), CopyErrorKind::Malformed),
        (b"PGCOPY\n\xff\r\r\0        ".to_vec(), CopyErrorKind::Malformed),
        ([&header[..11], &[0, 1, 0, 0, 0, 0, 0, 0]].concat(), CopyErrorKind::Malformed),
        ([&header[..11], &[0x80, 0, 0, 0, 0, 0, 0, 0]].concat(), CopyErrorKind::Malformed),
        ([&header[..11], &[0, 0, 0, 0, 0xff, 0, 0, 0]].concat(), CopyErrorKind::Malformed),
    ] {
        for size in [1, 1000] {
            let error = decode(&mapping, limits(64, 10), bytes.chunks(size)).unwrap_err();
            assert_eq!(error.kind(), kind, "{bytes:?}");
        }
    }
    let with_extension = [&header[..11], &[0, 0, 0, 1, 0, 0, 0, 3, 9, 9, 9, 0xff, 0xff]].concat();
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
        .flat_map(|batch| batch.column(0).as_binary::<i32>().iter().map(|value| value.unwrap().len()))
        .collect();
    assert_eq!(lengths, [1, giant.len(), 1]);
    assert!(decoder.gather.capacity() < 1 << 20);
}
