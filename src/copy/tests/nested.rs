//! Values with parts: any nesting to the same bytes again, refusals, hostile bytes.

use arrow_array::types::{Date32Type, Float32Type, Int32Type};
use arrow_array::{Array, cast::AsArray};
use proptest::prelude::*;

use super::*;
use crate::copy::wire_values::{Random, array, counted, list, mapping_of, range, record};
use crate::copy::{CopyEncoder, Exception};
use crate::mapping::{AttributeCodec, Codec};

/// What a stream gives, exceptions with it.
pub(super) struct Decoded {
    pub(super) batches: Vec<RecordBatch>,
    exceptions: Vec<Exception>,
    summary: CopySummary,
}

fn decode_all(mapping: &TableMapping, bytes: &[u8], cut: usize) -> Result<Decoded, CopyError> {
    let mut decoder = CopyDecoder::new(mapping, limits(cut, 1 << 20));
    let mut batches = Vec::new();
    decoder.push(bytes)?;
    while let Some(batch) = decoder.take_batch()? {
        batches.push(batch);
    }
    let exceptions = decoder.take_exceptions();
    let summary = decoder.finish()?;
    Ok(Decoded {
        batches,
        exceptions,
        summary,
    })
}

/// The rows that batches are encoded to, behind the header, and their digest.
fn encode_all(mapping: &TableMapping, decoded: &Decoded) -> (Vec<u8>, WireDigest) {
    let mut wire = WireRows::new();
    let mut digest = WireDigest::default();
    let mut encoder = CopyEncoder::new(mapping);
    let mut first = 0;
    for batch in &decoded.batches {
        let rows = first..first + batch.num_rows() as u64;
        let here = decoded.exceptions.iter();
        let mut here: Vec<_> = here
            .filter(|one| rows.contains(&one.row))
            .map(|one| Exception {
                row: one.row - first,
                ..one.clone()
            })
            .collect();
        here.sort_by_key(|one| one.row);
        let encoded = encoder.encode(batch, &here, |bytes, ends| {
            wire.bytes.extend_from_slice(bytes);
            digest.add_rows(bytes, ends);
        });
        encoded.unwrap();
        first = rows.end;
    }
    (wire.trailer(), digest)
}

/// A stream of rows of one column.
fn stream_of(values: &[Option<Vec<u8>>]) -> Vec<u8> {
    let mut wire = WireRows::new();
    for value in values {
        wire.row(1).field(value.as_deref());
    }
    wire.trailer()
}

pub(super) fn one_value(codec: &Codec, value: &[u8]) -> Result<Decoded, CopyError> {
    let stream = stream_of(&[None, Some(value.to_vec()), None]);
    decode_all(&mapping_of(std::slice::from_ref(codec)), &stream, 1 << 20)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn any_nesting_is_encoded_to_the_bytes_that_came(
        seed in any::<u64>(), odd in any::<bool>(), rows in 0usize..90, cut in 1usize..8000,
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
        let stream = wire.trailer();
        let decoded = decode_all(&mapping, &stream, cut).unwrap();
        let (encoded, digest) = encode_all(&mapping, &decoded);
        prop_assert_eq!(digest, decoded.summary.digest);
        prop_assert_eq!(encoded.len(), stream.len());
        if decoded.summary.restated == 0 {
            prop_assert!(encoded == stream);
        }
        prop_assert!(odd || decoded.exceptions.is_empty());
        let total: usize = decoded.batches.iter().map(RecordBatch::num_rows).sum();
        prop_assert_eq!(total, rows);
    }

    #[test]
    fn hostile_bytes_never_panic_and_what_is_accepted_is_exact(
        seed in any::<u64>(), changes in 1usize..4,
    ) {
        let mut random = Random(seed);
        let codec = random.codec(2);
        let mut value = random.value(&codec, true);
        for _ in 0..changes {
            let at = random.below(value.len() as u64 + 1) as usize;
            match random.below(4) {
                0 => value.truncate(at),
                1 => value.insert(at, random.next() as u8),
                _ if at < value.len() => value[at] = [0, 1, 2, 0x7f, 0xff][random.below(5) as usize],
                _ => {}
            }
        }
        if let Ok(decoded) = one_value(&codec, &value) {
            let mapping = mapping_of(&[codec]);
            let (_, digest) = encode_all(&mapping, &decoded);
            prop_assert_eq!(digest, decoded.summary.digest);
        }
    }
}

pub(super) fn ints() -> Codec {
    Codec::Array {
        element_oid: 23,
        element: Box::new(Codec::Int32),
    }
}

fn dates() -> Codec {
    Codec::Array {
        element_oid: 1082,
        element: Box::new(Codec::Date),
    }
}

pub(super) fn pair() -> Codec {
    let attribute = |name: &str, oid, codec| AttributeCodec {
        name: name.to_owned(),
        oid,
        codec,
    };
    Codec::Composite {
        attributes: vec![
            attribute("numbers", 1007, ints()),
            attribute("until", 1082, Codec::Date),
        ]
        .into(),
    }
}

pub(super) fn int(value: i32) -> Option<Vec<u8>> {
    Some(value.to_be_bytes().to_vec())
}

#[test]
fn a_sound_value_that_no_list_holds_is_kept_beside_it() {
    let (day, infinite) = (int(1), int(i32::MAX));
    let items = [int(1), int(2)];
    let range_of_dates = Codec::Multirange {
        bound: Box::new(Codec::Date),
    };
    let endless = range(0x02, &[&day.clone().unwrap(), &infinite.clone().unwrap()]);
    for (codec, value) in [
        (ints(), array(0, 23, &[(1, 1), (2, 1)], &items)),
        (ints(), array(0, 23, &[(2, 0)], &items)),
        (ints(), array(0, 23, &[(2, -5)], &items)),
        (ints(), array(0, 23, &[(0, 1)], &[])),
        (dates(), list(1082, &[day, infinite.clone(), None])),
        (
            pair(),
            record(&[(1007, Some(list(23, &items))), (1082, infinite)]),
        ),
        (
            pair(),
            record(&[(1007, Some(array(1, 23, &[(2, 2)], &items))), (1082, None)]),
        ),
        (range_of_dates, counted(2, &[Some(vec![1]), Some(endless)])),
    ] {
        let decoded = one_value(&codec, &value).unwrap();
        let column = decoded.batches[0].column(0);
        assert_eq!(column.null_count(), 3, "{codec:?}");
        let [exception] = &decoded.exceptions[..] else {
            panic!("{codec:?}: {:?}", decoded.exceptions);
        };
        assert_eq!((exception.row, exception.column), (1, 0));
        assert_eq!(*exception.wire, *value);
        let mut mapping = mapping_of(&[codec]);
        mapping.exceptions = false;
        let stream = stream_of(&[None, Some(value)]);
        let error = decode_all(&mapping, &stream, 1 << 20).err().unwrap();
        assert_eq!(error.kind(), CopyErrorKind::Unrepresentable);
        assert_eq!(error.row(), Some(1));
    }
}

#[test]
fn room_for_nulls_is_restated_but_not_in_a_value_that_is_kept_as_it_came() {
    let roomy = |lower| array(1, 23, &[(1, lower)], &[int(5)]);
    let record_of = |until| record(&[(1007, Some(roomy(1))), (1082, until)]);
    let values = [record_of(None), record_of(int(i32::MAX)), record_of(None)];
    let mapping = mapping_of(&[pair()]);
    let stream = stream_of(&values.clone().map(Some));
    let decoded = decode_all(&mapping, &stream, 1 << 20).unwrap();
    assert_eq!(
        (decoded.summary.restated, decoded.summary.exceptions),
        (2, 1)
    );
    assert_eq!(*decoded.exceptions[0].wire, *values[1]);
    let mut expected = WireDigest::default();
    let plain = record(&[(1007, Some(list(23, &[int(5)]))), (1082, None)]);
    for value in [&plain, &values[1], &plain] {
        let mut row = WireRows { bytes: Vec::new() };
        row.row(1).field(Some(value));
        expected.add_row(&row.bytes);
    }
    assert_eq!(decoded.summary.digest, expected);
}

#[test]
fn nested_values_are_exact() {
    let mapping = mapping_of(&[
        dates(),
        pair(),
        Codec::Hstore,
        Codec::Vector { fixed: Some(2) },
    ]);
    let pairs = counted(
        2,
        &[Some(b"a".to_vec()), Some(b"1".to_vec()), Some(vec![]), None],
    );
    let both = record(&[(1007, Some(list(23, &[int(4), None]))), (1082, int(1))]);
    let mut wire = WireRows::new();
    wire.row(4).field(None).field(None).field(None).field(None);
    wire.row(4)
        .field(Some(&list(1082, &[int(0), None, int(-1)])))
        .field(Some(&both))
        .field(Some(&pairs))
        .field(Some(&[0, 2, 0, 0, 0x3f, 0x80, 0, 0, 0xff, 0x80, 0, 1]));
    wire.row(4)
        .field(Some(&list(1082, &[])))
        .field(Some(&record(&[(1007, None), (1082, None)])))
        .field(Some(&counted(0, &[])))
        .field(None);
    let batch = decode_whole(&mapping, &wire.trailer()).unwrap();
    let dates = batch.column(0).as_list::<i32>();
    assert_eq!(dates.value_offsets(), [0, 0, 3, 3]);
    let days = dates.values().as_primitive::<Date32Type>();
    assert_eq!(
        days.iter().collect::<Vec<_>>(),
        [Some(10_957), None, Some(10_956)]
    );
    assert_eq!(
        dates.nulls().unwrap().iter().collect::<Vec<_>>(),
        [false, true, true]
    );
    let pairs = batch.column(1).as_struct();
    assert_eq!(pairs.null_count(), 1);
    let numbers = pairs.column(0).as_list::<i32>();
    assert!(numbers.is_null(0) && numbers.is_null(2));
    let four = numbers.value(1);
    assert_eq!(four.as_primitive::<Int32Type>().value(0), 4);
    assert!(four.is_null(1));
    let map = batch.column(2).as_map();
    assert_eq!(map.value_length(1), 2);
    assert_eq!(map.keys().as_string::<i32>().value(0), "a");
    assert!(map.values().is_null(1));
    let floats = batch.column(3).as_fixed_size_list().value(1);
    let bits: Vec<_> = floats.as_primitive::<Float32Type>().values().to_vec();
    assert_eq!(
        [bits[0].to_bits(), bits[1].to_bits()],
        [0x3f80_0000, 0xff80_0001]
    );
}

#[test]
fn text_that_is_no_utf8_names_the_row_of_the_whole_value() {
    let codec = Codec::Array {
        element_oid: 25,
        element: Box::new(Codec::Composite {
            attributes: vec![AttributeCodec {
                name: "word".into(),
                oid: 25,
                codec: Codec::Text,
            }]
            .into(),
        }),
    };
    let word = |text: &[u8]| Some(record(&[(25, Some(text.to_vec()))]));
    let good = list(25, &[word(&[b'x'; 400]), None, word(b"")]);
    // Several blocks, so that rows of the batch and of the block differ.
    let mut values = vec![Some(good); 900];
    values[1] = Some(list(25, &[]));
    values[2] = None;
    values[893] = Some(list(25, &[word(b"fine"), word(b"\xff")]));
    let stream = stream_of(&values);
    let error = decode_all(&mapping_of(&[codec]), &stream, 8 << 20)
        .err()
        .unwrap();
    assert_eq!(
        (error.kind(), error.row()),
        (CopyErrorKind::NotUtf8, Some(893))
    );
}

#[test]
fn a_part_that_is_refused_names_the_row_in_whatever_block_it_lies() {
    let days = |last| list(1082, &[int(1), None, int(last)]);
    let mut values = vec![Some(days(2)); 20_000];
    for row in (3..20_000).step_by(3) {
        values[row] = None;
    }
    let refused = [1, 7_000, 7_001, 13_333, 19_999_usize];
    for row in refused {
        values[row] = Some(list(1082, &[int(5), int(i32::MIN), int(i32::MAX)]));
    }
    let mapping = mapping_of(&[dates()]);
    let decoded = decode_all(&mapping, &stream_of(&values), 8 << 20).unwrap();
    let kept: Vec<_> = decoded.exceptions.iter().map(|one| one.row).collect();
    assert_eq!(kept, refused.map(|row| row as u64));
    let lists = decoded.batches[0].column(0).as_list::<i32>();
    for (row, value) in values.iter().enumerate() {
        let there = value.is_some() && !refused.contains(&row);
        assert_eq!(lists.is_valid(row), there, "{row}");
    }
    let last = lists.value(19_997);
    assert_eq!(last.as_primitive::<Date32Type>().value(2), 10_959);
    assert!(lists.is_null(19_999) && last.is_null(1));
}
