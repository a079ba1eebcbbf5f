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
        let mut start = 0;
        for end in ends.iter().map(|end| *end as usize) {
            digest.add_row(&bytes[start..end]);
            start = end;
        }
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

/// Values that are refused stand between NULLs, empty ones and others: no row takes another's.
#[test]
fn refused_values_are_null_in_parquet_and_their_neighbours_themselves() {
    let day = |day: i32| Some(day.to_be_bytes().to_vec());
    let days = |days: &[i32]| list(1082, &days.iter().map(|one| day(*one)).collect::<Vec<_>>());
    let infinite = i32::MAX;
    let dates = Codec::Array {
        element_oid: 1082,
        element: Box::new(Codec::Date),
    };
    let records = Codec::Array {
        element_oid: 7,
        element: Box::new(Codec::Composite {
            attributes: vec![AttributeCodec {
                name: "days".into(),
                oid: 1182,
                codec: dates.clone(),
            }]
            .into(),
        }),
    };
    let ranges = Codec::Multirange {
        bound: Box::new(Codec::Date),
    };
    let record_of = |value: Vec<u8>| Some(record(&[(1182, Some(value))]));
    let until = |last: i32| Some(range(0x08, &[&last.to_be_bytes()]));
    let mapping = mapping_of(&[dates, records, ranges]);
    let (one, two) = (days(&[1, 2]), days(&[3]));
    let refused = [
        days(&[4, infinite, 5]),
        array(0, 1082, &[(1, 0)], &[day(6)]),
    ];
    let rows = [
        [None, None, None],
        [
            Some(one.clone()),
            Some(list(7, &[record_of(one.clone()), None])),
            Some(counted(1, &[until(7)])),
        ],
        [
            Some(refused[0].clone()),
            Some(list(
                7,
                &[record_of(one), record_of(refused[0].clone()), None],
            )),
            Some(counted(2, &[until(1), until(infinite)])),
        ],
        [
            Some(list(1082, &[])),
            Some(list(7, &[record_of(refused[1].clone())])),
            Some(counted(0, &[])),
        ],
        [
            Some(refused[1].clone()),
            Some(list(7, &[])),
            Some(counted(1, &[until(infinite)])),
        ],
        [
            Some(two.clone()),
            Some(list(7, &[record_of(two)])),
            Some(counted(1, &[until(9)])),
        ],
    ];
    let mut wire = WireRows::new();
    for row in &rows {
        wire.row(3);
        for value in row {
            wire.field(value.as_deref());
        }
    }
    let (batches, exceptions, _) = decode(&mapping, &wire.trailer(), 1000);
    let kept: Vec<_> = exceptions.iter().map(|one| (one.column, one.row)).collect();
    assert_eq!(kept, [(0, 2), (0, 4), (1, 2), (1, 3), (2, 2), (2, 4)]);
    let read = through_parquet(&mapping, &batches);
    assert_eq!(read, batches);
    // The same rows with NULL where they are refused: what is read is the same again.
    let mut plain = WireRows::new();
    for (index, row) in rows.iter().enumerate() {
        plain.row(3);
        for (column, value) in row.iter().enumerate() {
            let value = value.as_deref();
            plain.field(value.filter(|_| !kept.contains(&(column, index as u64))));
        }
    }
    let (plain, none, _) = decode(&mapping, &plain.trailer(), 1000);
    assert!(none.is_empty());
    assert_eq!(read, plain);
    assert_eq!(read[0].column(0).null_count(), 3);
}

#[test]
fn a_column_of_refused_values_alone_is_null() {
    let dates = Codec::Array {
        element_oid: 1082,
        element: Box::new(Codec::Date),
    };
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
