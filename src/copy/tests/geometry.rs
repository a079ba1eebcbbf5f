//! Geometries: EWKB as PostGIS sends it, ISO WKB in the column, and back.

use arrow_array::{Array, cast::AsArray};

use super::*;
use crate::copy::error::Fault;
use crate::copy::wkb::{to_ewkb, to_iso};

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u32> = hex.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits
        .chunks(2)
        .map(|pair| (pair[0] << 4 | pair[1]) as u8)
        .collect()
}

fn iso_of(ewkb: &[u8]) -> Result<Vec<u8>, Fault> {
    let mut iso = Vec::new();
    to_iso(ewkb, 4326, &mut iso).map(|()| iso)
}

#[test]
fn each_dimension_has_its_own_type_number_in_both_byte_orders() {
    let one = "000000000000F03F";
    for (ewkb, iso) in [
        (
            format!("01 01000020 E6100000 {one} {one}"),
            format!("01 01000000 {one} {one}"),
        ),
        (
            format!("01 010000A0 E6100000 {one} {one} {one}"),
            format!("01 E9030000 {one} {one} {one}"),
        ),
        (
            format!("01 01000060 E6100000 {one} {one} {one}"),
            format!("01 D1070000 {one} {one} {one}"),
        ),
        (
            format!("01 010000E0 E6100000 {one} {one} {one} {one}"),
            format!("01 B90B0000 {one} {one} {one} {one}"),
        ),
        // Big-endian: a multipoint of a point in the other order, and of none.
        (
            format!("00 A0000004 000010E6 00000001 01 01000080 {one} {one} {one}"),
            format!("00 000003EC 00000001 01 E9030000 {one} {one} {one}"),
        ),
        (
            "00 20000007 000010E6 00000000".to_owned(),
            "00 00000007 00000000".to_owned(),
        ),
        // An empty point is NaN, bit for bit.
        (
            "01 01000020 E6100000 000000000000F87F 010000000000F87F".to_owned(),
            "01 01000000 000000000000F87F 010000000000F87F".to_owned(),
        ),
    ] {
        let (ewkb, iso) = (bytes(&ewkb), bytes(&iso));
        assert_eq!(iso_of(&ewkb), Ok(iso.clone()));
        let mut again = Vec::new();
        assert_eq!(to_ewkb(&iso, 4326, &mut again), Ok(()));
        assert_eq!(again, ewkb);
    }
}

#[test]
fn what_the_column_does_not_declare_is_refused() {
    for (ewkb, fault) in [
        // No SRID, another one, a kind that is not known, alone and in a collection.
        ("01 01000000 00", Fault::OtherSrid),
        ("01 01000020 11270000 00", Fault::OtherSrid),
        ("01 12000020 E6100000 00", Fault::UnknownGeometry),
        ("01 E9030020 E6100000 00", Fault::UnknownGeometry),
        (
            "01 07000020 E6100000 01000000 01 0D000000",
            Fault::UnknownGeometry,
        ),
        // A part with an SRID of its own, no byte order, too little, too much, hopeless counts.
        (
            "01 07000020 E6100000 01000000 01 01000020 E6100000",
            Fault::NotCanonical,
        ),
        ("02 01000020 E6100000", Fault::BadForm),
        ("", Fault::BadForm),
        ("01 0100", Fault::BadForm),
        ("01 01000020 E610", Fault::BadForm),
        ("01 01000020 E6100000 00", Fault::BadForm),
        ("01 02000020 E6100000 00000000 00", Fault::BadForm),
        ("01 02000020 E6100000 FFFFFFFF", Fault::BadForm),
        ("01 03000020 E6100000 FFFFFFFF", Fault::BadForm),
        ("01 04000020 E6100000 FFFFFFFF", Fault::BadForm),
    ] {
        assert_eq!(iso_of(&bytes(ewkb)), Err(fault), "{ewkb}");
    }
    for iso in ["01 A10F0000", "01 0D000000", "01 07000000 01000000", ""] {
        assert!(to_ewkb(&bytes(iso), 4326, &mut Vec::new()).is_err());
    }
}

#[test]
fn depth_is_bounded() {
    let collections = |depth: usize| {
        let mut ewkb = bytes("01 07000020 E6100000 01000000");
        for _ in 1..depth {
            ewkb.extend(bytes("01 07000000 01000000"));
        }
        ewkb.extend(bytes("01 02000000 00000000"));
        ewkb
    };
    assert!(iso_of(&collections(200)).is_ok());
    assert_eq!(iso_of(&collections(201)), Err(Fault::UnknownGeometry));
    assert_eq!(iso_of(&collections(100_000)), Err(Fault::UnknownGeometry));
}

#[test]
fn a_geometry_of_another_srid_is_kept_beside_its_column() {
    let mapping = TableMapping {
        exceptions: true,
        ..mapping(&[PgType::Geometry {
            srid: Some(4326),
            geography: false,
        }])
    };
    let here = bytes("01 02000020 E6100000 00000000");
    let elsewhere = bytes("01 02000020 11270000 00000000");
    let mut wire = WireRows::new();
    for value in [&here, &elsewhere, &here] {
        wire.row(1).field(Some(value));
    }
    let mut decoder = CopyDecoder::new(&mapping, BatchLimits::default());
    decoder.push(&wire.trailer()).unwrap();
    let batch = decoder.take_batch().unwrap().unwrap();
    let [exception] = &decoder.take_exceptions()[..] else {
        panic!("one geometry is elsewhere");
    };
    assert_eq!((exception.row, &*exception.wire), (1, &*elsewhere));
    let column = batch.column(0).as_binary::<i32>();
    assert_eq!(column.value(2), bytes("01 02000000 00000000"));
    assert!(column.is_null(1));
}
