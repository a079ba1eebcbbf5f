//! Values: every type exactly, and what has no place in a type.

use arrow_array::types::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, TimestampMicrosecondType,
};
use arrow_array::{Array, cast::AsArray};

use super::*;
use crate::error::{Error, ErrorKind};

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
    assert_eq!(
        batch.column(2).as_primitive::<Int8Type>().value(0),
        key as i8
    );
    assert_eq!(
        batch.column(3).as_primitive::<Int16Type>().value(0),
        key as i16
    );
    assert_eq!(
        batch.column(4).as_primitive::<Int32Type>().value(0),
        key as i32
    );
    assert_eq!(batch.column(5).as_primitive::<Int64Type>().value(0), key);
    assert_eq!(
        batch.column(6).as_primitive::<Float32Type>().value(0),
        key as f32
    );
    let double = batch.column(7).as_primitive::<Float64Type>().value(0);
    assert_eq!(double.to_bits(), key as u64);
    let money = batch.column(8).as_primitive::<Decimal128Type>();
    assert_eq!(money.value_as_string(0), "1.23");
    assert_eq!(batch.column(9).as_string::<i32>().value(0), "grün");
    assert_eq!(
        batch.column(10).as_binary::<i32>().value(0),
        "\u{1}grün".as_bytes()
    );
    let days = key as i32 % 100_000 + 10_957;
    assert_eq!(batch.column(11).as_primitive::<Date32Type>().value(0), days);
    assert_eq!(batch.column(12).as_primitive::<Int64Type>().value(0), key);
    for column in [13, 14] {
        let instants = batch
            .column(column)
            .as_primitive::<TimestampMicrosecondType>();
        assert_eq!(instants.value(0), (key >> 12) + 946_684_800_000_000);
    }
    let uuid = batch.column(15).as_string::<i32>().value(0);
    assert_eq!(uuid, "00000000-ee6b-287b-7b28-6bee00000000");
    assert_eq!(batch.column(17).as_string::<i32>().value(0), "grün");
    let moods = batch.column(18).as_dictionary::<Int32Type>();
    let labels = moods.downcast_dict::<arrow_array::StringArray>().unwrap();
    assert_eq!(labels.into_iter().collect::<Vec<_>>(), [Some("grün"), None]);
    assert!(
        batch
            .columns()
            .iter()
            .all(|column| column.is_null(1) && column.is_valid(0))
    );
}

fn one_field(pg_type: PgType, value: &[u8]) -> Result<RecordBatch, CopyError> {
    let mapping = mapping(&[PgType::Int8, pg_type]);
    let mut wire = WireRows::new();
    wire.row(2).field(Some(&41_i64.to_be_bytes())).field(None);
    wire.row(2)
        .field(Some(&42_i64.to_be_bytes()))
        .field(Some(value));
    decode_whole(&mapping, &wire.trailer())
}

#[test]
fn values_without_a_place_name_column_row_and_key_but_not_themselves() {
    use CopyErrorKind::*;
    let year_294276 = 9_223_371_331_199_999_999_i64;
    for (pg_type, value, kind) in [
        (
            PgType::Timestamp,
            i64::MAX.to_be_bytes().to_vec(),
            Unrepresentable,
        ),
        (
            PgType::Timestamptz,
            i64::MIN.to_be_bytes().to_vec(),
            Unrepresentable,
        ),
        (
            PgType::Timestamptz,
            year_294276.to_be_bytes().to_vec(),
            Unrepresentable,
        ),
        (
            PgType::Date,
            i32::MAX.to_be_bytes().to_vec(),
            Unrepresentable,
        ),
        (
            PgType::Date,
            i32::MIN.to_be_bytes().to_vec(),
            Unrepresentable,
        ),
        (money(), vec![0, 0, 0, 0, 0xC0, 0, 0, 0], Unrepresentable),
        (mood(), b"furious".to_vec(), Unrepresentable),
        (PgType::Text, b"secret\xff".to_vec(), NotUtf8),
        (PgType::Jsonb, b"\x01\xc3".to_vec(), NotUtf8),
        (PgType::Jsonb, b"\x02{}".to_vec(), Malformed),
        (PgType::Jsonb, Vec::new(), Malformed),
        (
            PgType::Time,
            86_400_000_001_i64.to_be_bytes().to_vec(),
            Malformed,
        ),
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
        assert_eq!(
            (error.row(), error.row_key()),
            (Some(1), Some(42)),
            "{pg_type:?}"
        );
        let error = Error::from(error);
        assert_eq!(error.kind(), ErrorKind::Data);
        assert!(error.advice().is_some());
        assert!(
            error
                .to_string()
                .starts_with("column \"c1\", row 1 of the chunk (key 42): ")
        );
        assert!(!error.to_string().contains("secret"));
    }
}

#[test]
fn the_ends_of_each_range_are_kept() {
    let day_end = one_field(PgType::Time, &86_400_000_000_i64.to_be_bytes()).unwrap();
    assert_eq!(
        day_end.column(1).as_primitive::<Int64Type>().value(1),
        86_400_000_000
    );
    let first = one_field(
        PgType::Timestamp,
        &(-211_813_488_000_000_000_i64).to_be_bytes(),
    );
    let first = first.unwrap();
    let instants = first.column(1).as_primitive::<TimestampMicrosecondType>();
    assert_eq!(
        instants.value(1),
        -211_813_488_000_000_000 + 946_684_800_000_000
    );
    let last = one_field(PgType::Date, &2_145_031_948_i32.to_be_bytes()).unwrap();
    assert_eq!(
        last.column(1).as_primitive::<Date32Type>().value(1),
        2_145_042_905
    );
}

#[test]
fn a_character_split_between_two_values_is_not_utf8() {
    let mapping = mapping(&[PgType::Text]);
    let mut wire = WireRows::new();
    wire.row(1)
        .field(Some(b"a\xc3"))
        .row(1)
        .field(Some(b"\xa4b"));
    let error = decode_whole(&mapping, &wire.trailer()).unwrap_err();
    assert_eq!(
        (error.kind(), error.row()),
        (CopyErrorKind::NotUtf8, Some(0))
    );
}

#[test]
fn null_in_a_not_null_column_is_an_error() {
    let mut id = Column::new("id", PgType::Int8);
    id.not_null = true;
    let mapping = map_table(&[id], &crate::mapping::MappingOptions::default()).unwrap();
    let mut wire = WireRows::new();
    wire.row(1).field(Some(&[0; 8])).row(1).field(None);
    let error = decode_whole(&mapping, &wire.trailer()).unwrap_err();
    assert_eq!(
        (error.kind(), error.row()),
        (CopyErrorKind::Unrepresentable, Some(1))
    );
}
