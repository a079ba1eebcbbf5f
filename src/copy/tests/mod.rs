//! The decoder held against the manual: every type, every cut, hostile bytes.

mod cuts;
mod frames;
mod geometry;
mod nested;
mod nested_faults;
mod scalars;
mod values;

use arrow_array::RecordBatch;

use super::wire_rows::{WireRows, numeric};
use super::{BatchLimits, CopyDecoder, CopyError, CopyErrorKind, CopySummary, WireDigest};
use crate::mapping::{MappingOptions, TableMapping, map_table};
use crate::pg_type::{NumericModifier, PgType, TextReason};
use crate::table::Column;

fn mapping(types: &[PgType]) -> TableMapping {
    let columns: Vec<_> = types
        .iter()
        .enumerate()
        .map(|(index, pg_type)| Column::new(format!("c{index}"), pg_type.clone()))
        .collect();
    map_table(&columns, &MappingOptions::default()).unwrap()
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
        Int8,
        Bool,
        Char,
        Int2,
        Int4,
        Oid,
        Float4,
        Float8,
        money(),
        Text,
        Bytea,
        Date,
        Time,
        Timestamp,
        Timestamptz,
        Uuid,
        Json,
        Jsonb,
        mood(),
        Bpchar,
        Varchar,
        Name,
        Other(TextReason::Unknown),
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
        numeric(&format!(
            "{}.{:02}",
            key / 100 % 1_000_000,
            (key % 100).abs()
        )),
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
