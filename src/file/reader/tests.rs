//! Objects pushed in pieces of any size, and bytes that are none of an object.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_schema::{Field, Schema};
use bytes::Bytes;

use super::*;
use crate::file::object_footer::groups;
use crate::file::{FooterRead, IntegerStatistics, ParquetEncoder, ParquetOptions};

fn batch(first: i64, rows: i64, text: impl Fn(i64) -> Option<String>) -> RecordBatch {
    let numbers = first..first + rows;
    let keys: ArrayRef = Arc::new(Int64Array::from_iter_values(numbers.clone()));
    let texts: ArrayRef = Arc::new(numbers.map(text).collect::<StringArray>());
    let fields = vec![
        Field::new("id", keys.data_type().clone(), false),
        Field::new("text", texts.data_type().clone(), true),
    ];
    RecordBatch::try_new(Arc::new(Schema::new(fields)), vec![keys, texts]).unwrap()
}

/// The rows of batches, however they were cut.
fn rows_of(batches: &[RecordBatch]) -> Vec<(i64, Option<String>)> {
    let rows = batches.iter().flat_map(|batch| {
        let keys = batch.column(0).as_primitive::<Int64Type>().values().iter();
        let texts = batch.column(1).as_string::<i32>().iter();
        keys.copied().zip(texts.map(|text| text.map(str::to_owned)))
    });
    rows.collect()
}

/// An object of several row groups, and its rows.
fn sample(groups: i64) -> (Bytes, Vec<(i64, Option<String>)>) {
    let batches: Vec<_> = (0..groups)
        .map(|group| {
            batch(group * 3000, 3000, |row| {
                (row % 5 != 0).then(|| format!("{row:x}").repeat(3))
            })
        })
        .collect();
    let object = encode(&batches, 1);
    (object, rows_of(&batches))
}

/// Each batch becomes a row group when `row_group_bytes` is 1.
fn encode(batches: &[RecordBatch], row_group_bytes: usize) -> Bytes {
    let options = ParquetOptions {
        row_group_bytes,
        ..ParquetOptions::default()
    };
    let mut encoder = ParquetEncoder::new(batches[0].schema(), &options).unwrap();
    for batch in batches {
        encoder.write(batch).unwrap();
    }
    let (rest, _) = encoder.finish().unwrap();
    rest.concat().into()
}

fn footer(object: &Bytes) -> ObjectFooter {
    match ObjectFooter::read(object, object.len() as u64).unwrap() {
        FooterRead::Read(footer) => *footer,
        FooterRead::NeedMore(more) => panic!("{more} bytes needed"),
    }
}

/// Reads an object in pieces; gives its batches.
fn read(object: &Bytes, piece: usize) -> Result<Vec<RecordBatch>> {
    let mut reader = ObjectReader::new(footer(object));
    let mut batches = Vec::new();
    for piece in object.chunks(piece) {
        reader.push(piece);
        while let Some(batch) = reader.next_batch()? {
            batches.push(batch);
        }
    }
    reader.finish()?;
    Ok(batches)
}

#[test]
fn pieces_may_be_cut_anywhere() {
    let (object, rows) = sample(4);
    assert_eq!(footer(&object).summary().row_groups, 4);
    for piece in [1, 7, 1000, 4096, object.len() - 1, object.len()] {
        let batches = read(&object, piece).unwrap();
        assert!(rows_of(&batches) == rows, "pieces of {piece}");
    }
}

#[test]
fn an_object_without_rows_has_no_batches() {
    let object = encode(&[batch(0, 0, |_| None)], 1);
    assert_eq!(read(&object, 100).unwrap(), []);
    assert_eq!(footer(&object).largest_row_group_bytes(), 0);
}

#[test]
fn an_object_that_ends_early_is_an_error() {
    let (object, _) = sample(2);
    let mut reader = ObjectReader::new(footer(&object));
    reader.push(&object[..object.len() / 2]);
    while reader.next_batch().unwrap().is_some() {}
    assert!(reader.finish().is_err());
}

#[test]
fn batches_stay_small_where_a_dictionary_makes_much_of_little() {
    // 40 MiB of text that one dictionary entry stands for.
    let text = "x".repeat(20_000);
    let object = encode(&[batch(0, 2000, |_| Some(text.clone()))], 1 << 30);
    assert!(object.len() < 200_000, "{}", object.len());
    let batches = read(&object, object.len()).unwrap();
    let largest = batches.iter().map(RecordBatch::get_array_memory_size).max();
    assert!(largest.unwrap() < 12 << 20, "{largest:?}");
    assert_eq!(
        batches.iter().map(RecordBatch::num_rows).sum::<usize>(),
        2000
    );
}

#[test]
fn statistics_are_read_where_they_say_something() {
    let (object, _) = sample(3);
    let footer = footer(&object);
    let expected = IntegerStatistics {
        bounds: Some((0, 8999)),
        nulls: 0,
    };
    assert_eq!(footer.integers(0), Some(expected));
    assert_eq!(footer.integers(1), None);
    assert_eq!(footer.null_count(1), Some(1800));
    assert_eq!(footer.null_count(2), None);
}

#[test]
fn no_damaged_byte_makes_the_reader_hang_or_deliver_more() {
    let (object, rows) = sample(2);
    for place in (0..object.len()).step_by(37) {
        let mut damaged = object.to_vec();
        damaged[place] ^= 0x11;
        let damaged = Bytes::from(damaged);
        let footer = ObjectFooter::read(&damaged, damaged.len() as u64);
        let Ok(FooterRead::Read(footer)) = footer else {
            continue;
        };
        let claimed = footer.summary().rows;
        let mut reader = ObjectReader::new(*footer);
        reader.push(&damaged);
        let mut read = 0;
        while let Ok(Some(batch)) = reader.next_batch() {
            read += batch.num_rows() as u64;
        }
        assert!(read <= claimed.max(rows.len() as u64), "byte {place}");
    }
}

#[test]
fn row_groups_that_overlap_are_refused() {
    let (object, _) = sample(2);
    let metadata = (*footer(&object).metadata).clone();
    let mut turned = metadata.into_builder();
    let mut reversed = turned.take_row_groups();
    reversed.reverse();
    assert!(groups(&turned.set_row_groups(reversed).build()).is_none());
}
