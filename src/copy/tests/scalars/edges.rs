//! Values at the ends of their ranges, and beyond.

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Int32Type, Int64Type};

use super::samples::moods;
use super::*;
use crate::copy::wire_rows::numeric_parts;

/// The texts that decoded values become.
fn texts(codec: &Codec, values: &[Vec<u8>]) -> Vec<String> {
    let values: Vec<_> = values.iter().cloned().map(Some).collect();
    let decoded = assert_reversible(codec, &values).unwrap();
    let texts = decoded.batch.column(0).as_string::<i32>();
    texts.iter().map(|text| text.unwrap().to_owned()).collect()
}

#[test]
fn numerics_of_any_size_are_shown_as_postgresql_does() {
    let wire = [
        numeric("0"),
        numeric("0.000"),
        numeric("-1.50"),
        numeric("10000"),
        numeric("100000000.0001"),
        numeric("0.00000000012300"),
        numeric("-0.1"),
        numeric_parts(0, 0xC000, 0, &[]),
        numeric_parts(0, 0xD000, 32, &[]),
        numeric_parts(0, 0xF000, 32, &[]),
        numeric_parts(2, 0, 0, &[7]),
        numeric_parts(-3, 0x4000, 12, &[42]),
    ];
    let shown = [
        "0",
        "0.000",
        "-1.50",
        "10000",
        "100000000.0001",
        "0.00000000012300",
        "-0.1",
        "NaN",
        "Infinity",
        "-Infinity",
        "700000000",
        "-0.000000000042",
    ];
    assert_eq!(texts(&Codec::NumericText, &wire), shown);
}

#[test]
fn the_longest_numerics_pass() {
    // More groups than fit a signed count, and the last digit that a scale shows.
    let mut digits = vec![9_999; 32_768 + 4_096];
    *digits.last_mut().unwrap() = 9_990;
    let longest = numeric_parts(i16::MAX, 0x4000, 16_383, &digits);
    let far = numeric_parts(i16::MAX, 0, 0, &[1]);
    let deep = numeric_parts(-4096, 0, 16_383, &[10]);
    let texts = texts(&Codec::NumericText, &[longest, far, deep]);
    assert_eq!(
        texts[0],
        format!("-{}.{}", "9".repeat(131_072), "9".repeat(16_383))
    );
    assert_eq!(texts[1], format!("1{}", "0".repeat(131_068)));
    assert_eq!(texts[2], format!("0.{}1", "0".repeat(16_382)));
}

#[test]
fn numerics_that_numeric_out_would_not_show_whole_are_refused() {
    for wire in [
        numeric_parts(0, 0, 0, &[1, 5000]),
        numeric_parts(-1, 0, 3, &[1234]),
        numeric_parts(-4097, 0, 16_383, &[1]),
        numeric_parts(i16::MIN, 0, 16_383, &[1]),
        numeric_parts(0, 0, 16_384, &[1]),
        numeric_parts(0, 0x4000, 0, &[]),
        numeric_parts(1, 0, 0, &[0, 1]),
        numeric_parts(1, 0, 0, &[1, 0]),
        numeric_parts(0, 0, 0, &[10_000]),
        numeric_parts(0, 0xC000, 32, &[]),
        numeric_parts(1, 0xC000, 0, &[]),
        numeric_parts(0, 0xD000, 0, &[]),
        numeric_parts(0, 0xF000, 32, &[1]),
        numeric_parts(0, 0xE000, 0, &[]),
    ] {
        let error = one(&Codec::NumericText, &wire).unwrap_err();
        assert_eq!(error.kind(), CopyErrorKind::Malformed, "{wire:?}");
    }
}

#[test]
fn decimals_of_76_digits_pass_and_no_more() {
    let wide = Codec::Decimal {
        precision: 76,
        scale: 38,
        restate: false,
    };
    let whole = "9".repeat(38);
    let most = format!("-{whole}.{whole}");
    assert_reversible(&wide, &[Some(numeric(&most)), None]).unwrap();
    let more = format!("1{}.{}", "0".repeat(38), "0".repeat(38));
    let decoded = assert_reversible(&wide, &[Some(numeric(&more))]).unwrap();
    assert_eq!(
        (
            decoded.summary.exceptions,
            decoded.batch.column(0).null_count()
        ),
        (1, 1)
    );
}

#[test]
fn a_restated_scale_changes_the_hash_and_nothing_else() {
    let codec = |restate| Codec::Decimal {
        precision: 10,
        scale: 2,
        restate,
    };
    let values =
        |texts: &[&str]| -> Vec<_> { texts.iter().map(|text| Some(numeric(text))).collect() };
    let restated = values(&["1.5", "1.50", "-7", "0", "1.5000", "1.505"]);
    let decoded = assert_reversible(&codec(true), &restated).unwrap();
    let numbers = decoded.batch.column(0).as_primitive::<Decimal128Type>();
    let units: Vec<_> = numbers.iter().collect();
    assert_eq!(
        units,
        [Some(150), Some(150), Some(-700), Some(0), Some(150), None]
    );
    assert_eq!(
        (decoded.summary.restated, decoded.summary.exceptions),
        (4, 1)
    );
    let plain = values(&["1.50", "1.50", "-7.00", "0.00", "1.50", "1.505"]);
    let plain = assert_reversible(&codec(false), &plain).unwrap();
    assert_eq!(plain.summary.digest, decoded.summary.digest);
    assert_eq!((plain.summary.restated, plain.summary.exceptions), (0, 1));
    let strict = decode_values(&codec(false), &restated).unwrap();
    assert_eq!((strict.summary.restated, strict.summary.exceptions), (0, 5));
}

#[test]
fn the_zone_of_a_time_counts_eastwards() {
    let wire =
        |micros: i64, west: i32| [micros.to_be_bytes().as_slice(), &west.to_be_bytes()].concat();
    let (array, _) = one(&Codec::Timetz, &wire(86_400_000_000, -7_200)).unwrap();
    let parts = array.as_struct();
    assert_eq!(
        parts.column(0).as_primitive::<Int64Type>().value(0),
        86_400_000_000
    );
    assert_eq!(parts.column(1).as_primitive::<Int32Type>().value(0), 7_200);
    for (micros, west) in [(0, 57_599), (0, -57_599)] {
        assert_reversible(&Codec::Timetz, &[Some(wire(micros, west))]).unwrap();
    }
    for (micros, west) in [
        (0, 57_600),
        (0, -57_600),
        (0, i32::MIN),
        (-1, 0),
        (86_400_000_001, 0),
    ] {
        let error = one(&Codec::Timetz, &wire(micros, west)).unwrap_err();
        assert_eq!(error.kind(), CopyErrorKind::Malformed, "{micros} {west}");
    }
}

#[test]
fn infinite_intervals_become_exceptions_and_those_beside_them_do_not() {
    let wire = |micros: i64, days: i32, months: i32| {
        [
            micros.to_be_bytes().as_slice(),
            &days.to_be_bytes(),
            &months.to_be_bytes(),
        ]
        .concat()
    };
    let (array, exceptions) = one(&Codec::Interval, &wire(1, 2, 3)).unwrap();
    let parts = array.as_struct();
    let months = parts.column(0).as_primitive::<Int32Type>().value(0);
    let days = parts.column(1).as_primitive::<Int32Type>().value(0);
    let micros = parts.column(2).as_primitive::<Int64Type>().value(0);
    assert_eq!((months, days, micros, exceptions), (3, 2, 1, 0));
    for (value, count) in [
        (wire(i64::MAX, i32::MAX, i32::MAX), 1),
        (wire(i64::MIN, i32::MIN, i32::MIN), 1),
        (wire(i64::MAX, i32::MAX, i32::MAX - 1), 0),
        (wire(i64::MIN, i32::MAX, i32::MAX), 0),
    ] {
        let decoded = assert_reversible(&Codec::Interval, &[Some(value)]).unwrap();
        assert_eq!(decoded.summary.exceptions, count);
    }
}

#[test]
fn text_that_is_no_plain_uuid_becomes_an_exception() {
    for (text, count) in [
        ("01234567-89ab-cdef-fedc-ba9876543210", 0),
        ("01234567-89AB-cdef-fedc-ba9876543210", 1),
        ("0123456789abcdeffedcba9876543210", 1),
        ("{01234567-89ab-cdef-fedc-ba98765432}", 1),
        ("", 1),
    ] {
        let value = Some(text.as_bytes().to_vec());
        let decoded = assert_reversible(&Codec::UuidFromText, &[value]).unwrap();
        assert_eq!(decoded.summary.exceptions, count, "{text}");
    }
    let error = one(&Codec::UuidFromText, b"\xff").unwrap_err();
    assert_eq!(error.kind(), CopyErrorKind::NotUtf8);
}

#[test]
fn bits_are_shown_most_significant_first_and_end_where_they_say() {
    let wire = |count: i32, bytes: &[u8]| [count.to_be_bytes().as_slice(), bytes].concat();
    let shown = texts(
        &Codec::BitString,
        &[
            wire(0, &[]),
            wire(3, &[0b1010_0000]),
            wire(9, &[0x81, 0x80]),
        ],
    );
    assert_eq!(shown, ["", "101", "100000011"]);
    for value in [
        wire(-1, &[]),
        wire(0, &[0]),
        wire(8, &[]),
        wire(8, &[0, 0]),
        wire(3, &[0b1011_0000]),
        wire(i32::MAX, &[0]),
        vec![0, 0, 0],
        vec![],
    ] {
        let error = one(&Codec::BitString, &value).unwrap_err();
        assert_eq!(error.kind(), CopyErrorKind::Malformed, "{value:?}");
    }
}

#[test]
fn unsigned_numbers_never_become_negative() {
    let most = [vec![0xff; 8], vec![0; 8]];
    assert_eq!(
        texts(&Codec::Xid8Text, &most),
        ["18446744073709551615", "0"]
    );
    assert_eq!(texts(&Codec::LsnText, &most), ["FFFFFFFF/FFFFFFFF", "0/0"]);
    let (oid, _) = one(&Codec::Oid, &[0xff; 4]).unwrap();
    assert_eq!(oid.as_primitive::<Int64Type>().value(0), 4_294_967_295);
}

#[test]
fn a_label_that_the_catalog_did_not_have_is_an_error() {
    let error = one(&moods(), b"furious").unwrap_err();
    assert_eq!(error.kind(), CopyErrorKind::Unrepresentable);
}
