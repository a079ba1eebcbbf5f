//! The codecs end to end: COPY to Parquet, read by the crate's reader, and to COPY again.

use std::sync::Arc;

use arrow_array::{Array, RecordBatch};
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use proptest::prelude::*;

use super::*;
use crate::copy::wire_rows::WireRows;
use crate::copy::wire_values::{Random, array, counted, list, mapping_of, range, record};

/// The batches of a whole stream, its exceptions, and its summary.
fn decode(
    mapping: &TableMapping,
    stream: &[u8],
    rows: usize,
) -> (Vec<RecordBatch>, Vec<Exception>, CopySummary) {
    let limits = BatchLimits {
        rows,
        ..BatchLimits::default()
    };
    let mut decoder = CopyDecoder::new(mapping, limits);
    decoder.push(stream).unwrap();
    let mut batches = Vec::new();
    while let Some(batch) = decoder.take_batch().unwrap() {
        batches.push(batch);
    }
    let exceptions = decoder.take_exceptions();
    (batches, exceptions, decoder.finish().unwrap())
}

/// All rows, written as one object and read back as one batch.
fn through_parquet(mapping: &TableMapping, batches: &[RecordBatch]) -> Vec<RecordBatch> {
    let schema = Arc::clone(&mapping.schema);
    let mut encoder = ParquetEncoder::new(schema, &ParquetOptions::default()).unwrap();
    for batch in batches {
        encoder.write(batch).unwrap();
    }
    let mut object: Vec<u8> = Vec::new();
    while let Some(chunk) = encoder.take_encoded() {
        object.extend_from_slice(&chunk);
    }
    object.extend(encoder.finish().unwrap().0.iter().flatten());
    let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(object)).unwrap();
    let read = reader.with_batch_size(1 << 20).build().unwrap();
    read.map(Result::unwrap).collect()
}

/// The digest of all rows, encoded with their exceptions.
fn digest(mapping: &TableMapping, batch: &RecordBatch, exceptions: &[Exception]) -> WireDigest {
    let mut digest = WireDigest::default();
    let encoded = CopyEncoder::new(mapping).encode(batch, exceptions, |bytes, ends| {
        digest.add_rows(bytes, ends);
    });
    encoded.unwrap();
    digest
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn any_nesting_comes_back_from_parquet(
        seed in any::<u64>(), odd in any::<bool>(), rows in 1usize..60, batch_rows in 1usize..40,
    ) {
        let mut random = Random(seed);
        let codecs: Vec<_> = (0..3).map(|levels| random.codec(levels + 1)).collect();
        let mapping = mapping_of(&codecs);
        let mut wire = WireRows::new();
        for _ in 0..rows {
            wire.row(3);
            for codec in &codecs {
                let value = (random.below(5) > 0).then(|| random.value(codec, odd));
                wire.field(value.as_deref());
            }
        }
        let (batches, mut exceptions, summary) = decode(&mapping, &wire.trailer(), batch_rows);
        exceptions.sort_by_key(|one| one.row);
        let read = through_parquet(&mapping, &batches);
        prop_assert_eq!(read.len(), 1);
        prop_assert_eq!(digest(&mapping, &read[0], &exceptions), summary.digest);
    }
}

/// Arrays of dates, arrays of records of those, and multiranges of dates.
fn codecs_of_dates() -> [Codec; 3] {
    let dates = Codec::Array {
        element_oid: 1082,
        element: Box::new(Codec::Date),
    };
    let record = Codec::Composite {
        attributes: vec![AttributeCodec {
            name: "days".into(),
            oid: 1182,
            codec: dates.clone(),
        }]
        .into(),
    };
    let records = Codec::Array {
        element_oid: 7,
        element: Box::new(record),
    };
    let ranges = Codec::Multirange {
        bound: Box::new(Codec::Date),
    };
    [dates, records, ranges]
}

/// Rows of those, some of which are refused: an infinite date, an array from 0.
fn rows_of_dates() -> Vec<[Option<Vec<u8>>; 3]> {
    let day = |day: i32| Some(day.to_be_bytes().to_vec());
    let days = |days: &[i32]| list(1082, &days.iter().map(|one| day(*one)).collect::<Vec<_>>());
    let records = |values: &[Option<&Vec<u8>>]| {
        let values = values.iter();
        let values = values.map(|value| value.map(|days| record(&[(1182, Some(days.clone()))])));
        Some(list(7, &values.collect::<Vec<_>>()))
    };
    let ranges = |lasts: &[i32]| {
        let until = lasts.iter();
        let until = until.map(|last| Some(range(0x08, &[&last.to_be_bytes()])));
        Some(counted(lasts.len(), &until.collect::<Vec<_>>()))
    };
    let (one, two, none) = (days(&[1, 2]), days(&[3]), days(&[]));
    let infinite = days(&[4, i32::MAX, 5]);
    let from_0 = array(0, 1082, &[(1, 0)], &[day(6)]);
    vec![
        [None, None, None],
        [
            Some(one.clone()),
            records(&[Some(&one), None]),
            ranges(&[7]),
        ],
        [
            Some(infinite.clone()),
            records(&[Some(&one), Some(&infinite), None]),
            ranges(&[1, i32::MAX]),
        ],
        [Some(none), records(&[Some(&from_0)]), ranges(&[])],
        [Some(from_0), records(&[]), ranges(&[i32::MAX])],
        [Some(two.clone()), records(&[Some(&two)]), ranges(&[9])],
    ]
}

/// Values that are refused stand between NULLs, empty ones and others: no row takes another's.
#[test]
fn refused_values_are_null_in_parquet_and_their_neighbours_themselves() {
    let mapping = mapping_of(&codecs_of_dates());
    let stream = |is_null: &dyn Fn(usize, usize) -> bool| {
        let mut wire = WireRows::new();
        for (index, row) in rows_of_dates().iter().enumerate() {
            wire.row(3);
            for (column, value) in row.iter().enumerate() {
                wire.field(value.as_deref().filter(|_| !is_null(column, index)));
            }
        }
        wire.trailer()
    };
    let (batches, exceptions, _) = decode(&mapping, &stream(&|_, _| false), 1000);
    let kept: Vec<_> = exceptions
        .iter()
        .map(|one| (one.column, one.row as usize))
        .collect();
    assert_eq!(kept, [(0, 2), (0, 4), (1, 2), (1, 3), (2, 2), (2, 4)]);
    let read = through_parquet(&mapping, &batches);
    assert_eq!(read, batches);
    // The same rows with NULL where they are refused: what is read is the same again.
    let plain = stream(&|column, row| kept.contains(&(column, row)));
    let (plain, none, _) = decode(&mapping, &plain, 1000);
    assert!(none.is_empty());
    assert_eq!(read, plain);
    assert_eq!(read[0].column(0).null_count(), 3);
}

#[test]
fn a_column_of_refused_values_alone_is_null() {
    let [dates, ..] = codecs_of_dates();
    let mapping = mapping_of(&[dates]);
    let value = list(1082, &[Some(i32::MIN.to_be_bytes().to_vec())]);
    let mut wire = WireRows::new();
    for _ in 0..3 {
        wire.row(1).field(Some(&value));
    }
    let (batches, exceptions, _) = decode(&mapping, &wire.trailer(), 1000);
    assert_eq!(exceptions.len(), 3);
    let read = through_parquet(&mapping, &batches);
    assert_eq!(read[0].column(0).null_count(), 3);
}
