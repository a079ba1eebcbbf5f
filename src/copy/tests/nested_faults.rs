//! What is no value of its type, on the wire and in an array.

use std::sync::Arc;

use arrow_array::builder::{BooleanBuilder, Int32Builder};
use arrow_array::types::Float32Type;
use arrow_array::{Array, ArrayRef, StructArray};
use arrow_schema::{DataType, Fields};

use super::nested::{int, ints, one_value, pair};
use super::*;
use crate::copy::CopyEncoder;
use crate::copy::wire_values::{Bytes, array, counted, mapping_of, range, record};
use crate::mapping::Codec;

fn refused_as_malformed(cases: &[(Codec, Vec<u8>)]) {
    for (codec, value) in cases {
        let error = one_value(codec, value).err();
        let error = error.unwrap_or_else(|| panic!("{codec:?} takes {value:?}"));
        assert_eq!(
            error.kind(),
            CopyErrorKind::Malformed,
            "{codec:?} {value:?}"
        );
        assert_eq!((error.column(), error.row()), (Some("c0"), Some(1)));
    }
}

#[test]
fn arrays_and_composites_of_another_form_are_refused() {
    let one = [int(7)];
    refused_as_malformed(&[
        (ints(), Vec::new()),
        (ints(), array(0, 20, &[(1, 1)], &one)),
        (ints(), array(2, 23, &[(1, 1)], &one)),
        (ints(), array(0, 23, &[(1, 1)], &[None])),
        (ints(), array(0, 23, &[(2, 1)], &one)),
        (ints(), array(0, 23, &[(0, 1)], &one)),
        (ints(), array(0, 23, &[(-1, 1)], &[])),
        (ints(), array(0, 23, &[(i32::MAX, 1)], &[])),
        (ints(), array(0, 23, &[(2, 1), (2, 1)], &one)),
        (ints(), array(0, 23, &[(i32::MAX, 1); 6], &one)),
        (ints(), array(0, 23, &[(1, 1); 7], &one)),
        (ints(), array(0, 23, &[], &one)),
        (ints(), array(0, 23, &[(1, 1)], &[Some(vec![0; 3])])),
        (ints(), Bytes(array(0, 23, &[(1, 1)], &[])).int(-2).0),
        (ints(), Bytes(array(0, 23, &[(1, 1)], &[])).int(9).int(1).0),
        (pair(), record(&[(1007, None)])),
        (pair(), record(&[(1007, None), (1083, None)])),
        (
            pair(),
            Bytes(record(&[(1007, None), (1082, None)])).raw(&[0]).0,
        ),
        (pair(), Bytes::default().int(2).0),
    ]);
}

#[test]
fn ranges_and_maps_of_another_form_are_refused() {
    let seven = 7_i32.to_be_bytes();
    let one_range = Codec::Range {
        bound: Box::new(Codec::Int32),
    };
    let ranges = Codec::Multirange {
        bound: Box::new(Codec::Int32),
    };
    refused_as_malformed(&[
        (one_range.clone(), Vec::new()),
        (one_range.clone(), range(0x03, &[])),
        (one_range.clone(), range(0x19, &[])),
        (one_range.clone(), range(0x0a, &[&seven])),
        (one_range.clone(), range(0x14, &[&seven])),
        (one_range.clone(), range(0x38, &[])),
        (one_range.clone(), range(0x80, &[&seven, &seven])),
        (one_range.clone(), range(0x02, &[&seven])),
        (one_range.clone(), range(0x01, &[&seven])),
        (one_range, Bytes(vec![0x02]).part(None).part(None).0),
        (ranges.clone(), counted(1, &[None])),
        (ranges.clone(), counted(2, &[Some(vec![1])])),
        (ranges, counted(usize::MAX, &[])),
        (Codec::Hstore, counted(1, &[None, None])),
        (Codec::Hstore, counted(1, &[Some(vec![])])),
        (
            Codec::Hstore,
            counted(1, &[Some(vec![]), None, Some(vec![])]),
        ),
    ]);
}

#[test]
fn shapes_and_vectors_of_another_form_are_refused() {
    let vector = |fixed| Codec::Vector { fixed };
    let point = Codec::Doubles(&["x", "y"]);
    refused_as_malformed(&[
        (point.clone(), vec![0; 15]),
        (point, vec![0; 17]),
        (Codec::Path, [vec![2], counted(0, &[])].concat()),
        (
            Codec::Path,
            [vec![1], counted(2, &[]), vec![0; 16]].concat(),
        ),
        (Codec::Polygon, [counted(1, &[]), vec![0; 17]].concat()),
        (vector(None), vec![0, 1, 0, 1, 0, 0, 0, 0]),
        (vector(None), vec![0, 2, 0, 0, 0, 0, 0, 0]),
        (vector(None), vec![0x80, 0, 0, 0]),
        (vector(Some(2)), vec![0, 1, 0, 0, 0, 0, 0, 0]),
        (Codec::Sparsevec, Bytes::default().int(3).int(0).int(1).0),
        (Codec::Sparsevec, Bytes::default().int(3).int(1).int(0).0),
        (Codec::Sparsevec, Bytes::default().int(3).int(-1).int(0).0),
    ]);
}

/// Bounds, whether they are inclusive, whether it is empty.
type AnyRange = (Option<i32>, Option<i32>, bool, bool, bool);

/// Ranges as an array that anything may have written.
fn ranges(rows: &[AnyRange], codec: &Codec) -> ArrayRef {
    let DataType::Struct(fields) = codec.arrow_type() else {
        panic!("a range is a struct");
    };
    let (mut lower, mut upper) = (Int32Builder::new(), Int32Builder::new());
    let mut flags = [(); 3].map(|()| BooleanBuilder::new());
    for (low, high, lower_inc, upper_inc, empty) in rows {
        lower.append_option(*low);
        upper.append_option(*high);
        for (builder, flag) in flags.iter_mut().zip([lower_inc, upper_inc, empty]) {
            builder.append_value(*flag);
        }
    }
    let mut columns: Vec<ArrayRef> = vec![Arc::new(lower.finish()), Arc::new(upper.finish())];
    columns.extend(flags.map(|mut flag| Arc::new(flag.finish()) as ArrayRef));
    Arc::new(StructArray::new(
        Fields::from(fields.to_vec()),
        columns,
        None,
    ))
}

fn encode_array(codec: &Codec, array: ArrayRef) -> Result<Vec<u8>, CopyError> {
    let mapping = mapping_of(std::slice::from_ref(codec));
    let field = arrow_schema::Field::new("c0", array.data_type().clone(), true);
    let schema = Arc::new(arrow_schema::Schema::new(vec![field]));
    let batch = RecordBatch::try_new(schema, vec![array]).unwrap();
    let mut bytes = Vec::new();
    CopyEncoder::new(&mapping).encode(&batch, &[], |rows, _| bytes.extend_from_slice(rows))?;
    Ok(bytes)
}

#[test]
fn arrays_that_no_export_writes_are_told_from_values() {
    let codec = Codec::Range {
        bound: Box::new(Codec::Int32),
    };
    let sound = (Some(1), None, true, false, false);
    let bytes = encode_array(&codec, ranges(&[sound], &codec)).unwrap();
    assert_eq!(
        bytes,
        [&[0, 1, 0, 0, 0, 9][..], &range(0x12, &[&[0, 0, 0, 1]])].concat()
    );
    for broken in [
        (None, None, true, false, false),
        (None, None, false, true, false),
        (Some(1), Some(2), false, true, true),
        (None, None, true, false, true),
    ] {
        let error = encode_array(&codec, ranges(&[sound, broken], &codec)).unwrap_err();
        assert_eq!(
            (error.kind(), error.row()),
            (CopyErrorKind::Foreign, Some(1)),
            "{broken:?}"
        );
    }
    // A struct of the same types under other names is another column.
    let doubles = Codec::Doubles(&["x", "y"]);
    let lines = Codec::Doubles(&["a", "b"]);
    let points = one_value(&doubles, &[7; 16]).unwrap().batches[0]
        .column(0)
        .clone();
    let error = encode_array(&lines, points).unwrap_err();
    assert_eq!(error.kind(), CopyErrorKind::Misuse);
    // No half float is 0.1, and no element of a vector is NULL.
    let half = Codec::Halfvec {
        half: false,
        fixed: None,
    };
    for element in [Some(0.1), None] {
        let list = arrow_array::ListArray::from_iter_primitive::<Float32Type, _, _>([
            Some(vec![Some(0.5)]),
            Some(vec![element]),
        ]);
        let error = encode_array(&half, Arc::new(list)).unwrap_err();
        assert_eq!(
            (error.kind(), error.row()),
            (CopyErrorKind::Foreign, Some(1))
        );
    }
}
