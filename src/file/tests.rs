//! The encoder held against the crate's own reader: every type, every codec, cuts, footers.

use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, Decimal128Array, DictionaryArray, Float64Array, Int64Array, RecordBatch,
    StringArray, TimestampMicrosecondArray, types::Int32Type,
};
use arrow_schema::{Field, Schema, SchemaRef};
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Encoding, Type};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::statistics::Statistics;
use sha2::{Digest, Sha256};

use super::{FileSummary, Footer, FooterSummary, ParquetEncoder, ParquetOptions, read_footer};
use crate::error::ErrorKind;
use crate::options::Compression;

fn batch(columns: &[(&str, bool, ArrayRef)]) -> RecordBatch {
    let fields: Vec<_> = columns
        .iter()
        .map(|(name, nullable, array)| Field::new(*name, array.data_type().clone(), *nullable))
        .collect();
    let arrays = columns
        .iter()
        .map(|(_, _, array)| Arc::clone(array))
        .collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()
}

/// Rows `from..to` with a sorted key, text, money, a clock and a mood.
fn sample(from: i64, to: i64) -> RecordBatch {
    let rows = from..to;
    let money = rows
        .clone()
        .map(|row| (row % 7 != 0).then_some(i128::from(row * 101)));
    let money = money.collect::<Decimal128Array>();
    let moods: DictionaryArray<Int32Type> = rows
        .clone()
        .map(|row| ["sad", "grün"][row as usize % 2])
        .collect();
    batch(&[
        (
            "id",
            false,
            Arc::new(Int64Array::from_iter_values(rows.clone())),
        ),
        (
            "a.b",
            true,
            Arc::new(StringArray::from_iter_values(rows.clone().map(noise))),
        ),
        (
            "paid",
            true,
            Arc::new(money.with_precision_and_scale(15, 2).unwrap()),
        ),
        (
            "at",
            true,
            Arc::new(TimestampMicrosecondArray::from_iter_values(rows).with_timezone("UTC")),
        ),
        ("mood", true, Arc::new(moods)),
    ])
}

/// Text that does not compress.
fn noise(row: i64) -> String {
    let hash = Sha256::digest(row.to_le_bytes());
    hash.iter()
        .map(|byte| char::from(b'0' + byte % 75))
        .collect()
}

fn encode(
    schema: SchemaRef,
    options: &ParquetOptions,
    batches: &[RecordBatch],
) -> (Bytes, FileSummary) {
    let mut encoder = ParquetEncoder::new(schema, options).unwrap();
    let mut object = Vec::new();
    for batch in batches {
        encoder.write(batch).unwrap();
        while let Some(chunk) = encoder.take_encoded() {
            object.extend_from_slice(&chunk);
        }
    }
    let (rest, summary) = encoder.finish().unwrap();
    object.extend(rest.iter().flatten());
    (object.into(), summary)
}

fn read_back(object: &Bytes) -> (Arc<ParquetMetaData>, Vec<RecordBatch>) {
    let reader = ParquetRecordBatchReaderBuilder::try_new(object.clone()).unwrap();
    let metadata = Arc::clone(reader.metadata());
    let batches = reader.with_batch_size(1 << 20).build().unwrap();
    (metadata, batches.map(Result::unwrap).collect())
}

#[test]
fn what_is_written_is_read_back_in_every_codec() {
    let batch = sample(0, 3000);
    for compression in [
        Compression::Zstd(3),
        Compression::Snappy,
        Compression::Lz4,
        Compression::Gzip(6),
        Compression::Brotli(1),
        Compression::None,
    ] {
        let options = ParquetOptions {
            compression,
            metadata: vec![("pgsluice.chunk".into(), "7".into())],
            ..ParquetOptions::default()
        };
        let (object, summary) = encode(batch.schema(), &options, std::slice::from_ref(&batch));
        let (metadata, read) = read_back(&object);
        assert_eq!(read, std::slice::from_ref(&batch));
        assert_eq!(summary.rows, 3000);
        assert_eq!(summary.bytes, object.len() as u64);
        assert_eq!(summary.sha256.0, <[u8; 32]>::from(Sha256::digest(&object)));
        let keys = metadata.file_metadata().key_value_metadata().unwrap();
        assert!(keys.iter().any(|pair| pair.key == "pgsluice.chunk"));
        assert!(keys.iter().any(|pair| pair.key == "ARROW:schema"));
        let columns = metadata.file_metadata().schema_descr().columns();
        assert!(
            columns
                .iter()
                .all(|column| column.physical_type() != Type::INT96)
        );
    }
}

#[test]
fn row_groups_are_cut_by_encoded_bytes_and_leave_in_chunks() {
    let batches: Vec<_> = (0..60)
        .map(|part| sample(part * 2000, (part + 1) * 2000))
        .collect();
    let options = ParquetOptions {
        row_group_bytes: 1 << 20,
        ..ParquetOptions::default()
    };
    let mut encoder = ParquetEncoder::new(batches[0].schema(), &options).unwrap();
    let mut taken = 0;
    for batch in &batches {
        encoder.write(batch).unwrap();
        while let Some(chunk) = encoder.take_encoded() {
            assert!(!chunk.is_empty());
            taken += chunk.len() as u64;
        }
        assert!(
            encoder.memory_bytes() < 6 << 20,
            "{}",
            encoder.memory_bytes()
        );
    }
    assert!(taken > 0);
    let (rest, summary) = encoder.finish().unwrap();
    let rest: usize = rest.iter().map(Bytes::len).sum();
    assert_eq!(summary.bytes, taken + rest as u64);
    assert_eq!(summary.rows, 120_000);
    assert!(summary.row_groups >= 3);
    let (object, again) = encode(batches[0].schema(), &options, &batches);
    assert_eq!(again, summary);
    let (metadata, _) = read_back(&object);
    for row_group in metadata.row_groups() {
        assert!(row_group.compressed_size() < 2 << 20);
    }
}

#[test]
fn a_sorted_key_is_packed_as_deltas_and_declared() {
    let batch = sample(0, 10_000);
    let options = ParquetOptions {
        sorted_by: Some(0),
        ..ParquetOptions::default()
    };
    let (object, _) = encode(batch.schema(), &options, &[batch]);
    let (metadata, _) = read_back(&object);
    let row_group = metadata.row_group(0);
    let mut encodings = row_group.column(0).encodings();
    assert!(encodings.any(|encoding| encoding == Encoding::DELTA_BINARY_PACKED));
    assert!(row_group.column(0).dictionary_page_offset().is_none());
    let sorting = &row_group.sorting_columns().unwrap()[0];
    assert_eq!((sorting.column_idx, sorting.descending), (0, false));
}

#[test]
fn pages_are_indexed_and_statistics_leave_nan_out() {
    let values = Float64Array::from(vec![f64::NAN, -0.0, 2.0, f64::NEG_INFINITY]);
    let batch = batch(&[("x", true, Arc::new(values))]);
    let (object, _) = encode(batch.schema(), &ParquetOptions::default(), &[batch]);
    let (metadata, _) = read_back(&object);
    let column = metadata.row_group(0).column(0);
    assert!(column.column_index_offset().is_some() && column.offset_index_offset().is_some());
    let Some(Statistics::Double(statistics)) = column.statistics() else {
        panic!("no statistics");
    };
    assert_eq!(statistics.min_opt(), Some(&f64::NEG_INFINITY));
    assert_eq!(statistics.max_opt(), Some(&2.0));
}

#[test]
fn an_object_without_rows_holds_the_schema() {
    let schema = sample(0, 1).schema();
    let (object, summary) = encode(Arc::clone(&schema), &ParquetOptions::default(), &[]);
    assert_eq!((summary.rows, summary.row_groups), (0, 0));
    let reader = ParquetRecordBatchReaderBuilder::try_new(object.clone()).unwrap();
    assert_eq!(reader.schema().fields(), schema.fields());
    let expected = FooterSummary {
        rows: 0,
        row_groups: 0,
    };
    let read = read_footer(&object, object.len() as u64).unwrap();
    assert_eq!(read, Footer::Read(expected));
}

#[test]
fn footers_are_read_from_any_long_enough_tail() {
    let batch = sample(0, 5000);
    let (object, summary) = encode(batch.schema(), &ParquetOptions::default(), &[batch]);
    let length = object.len() as u64;
    let tail = |bytes: u64| &object[(length - bytes) as usize..];
    let mut asked = 0;
    let read = loop {
        match read_footer(tail(asked), length).unwrap() {
            Footer::Read(read) => break read,
            Footer::NeedMore(more) => {
                assert!(more > asked);
                asked = more;
            }
        }
    };
    assert_eq!(
        (read.rows, read.row_groups),
        (summary.rows, summary.row_groups)
    );
    assert_eq!(
        read_footer(tail(length), length).unwrap(),
        Footer::Read(read)
    );
}

#[test]
fn damaged_objects_have_no_footer() {
    let batch = sample(0, 100);
    let (object, _) = encode(batch.schema(), &ParquetOptions::default(), &[batch]);
    let length = object.len() as u64;
    let refused = |tail: &[u8], length: u64| {
        assert_eq!(
            read_footer(tail, length).unwrap_err().kind(),
            ErrorKind::Storage
        );
    };
    refused(&[], 0);
    refused(b"PAR1", 4);
    refused(&object, length - 1);
    refused(&object[..object.len() - 1], length - 1);
    // The data before the footer is missing: columns lie outside the object.
    let footer = &object[object.len() - 3000.min(object.len())..];
    if let Ok(Footer::Read(_)) = read_footer(footer, length) {
        refused(footer, footer.len() as u64);
    }
    for place in (0..object.len()).rev().take(4000) {
        let mut damaged = object.to_vec();
        damaged[place] ^= 0x55;
        let _ = read_footer(&damaged, length);
    }
    refused(&[], 3);
}

#[test]
fn a_schema_without_columns_is_refused() {
    let error = ParquetEncoder::new(Arc::new(Schema::empty()), &ParquetOptions::default());
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Unsupported);
}
