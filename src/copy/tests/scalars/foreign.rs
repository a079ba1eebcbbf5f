//! Arrays that no decoder made: refused, or encoded to what is decoded to the same array again.

use arrow_array::types::Int32Type;
use arrow_array::{
    Array, Date32Array, Decimal128Array, DictionaryArray, FixedSizeBinaryArray, Int32Array,
    Int64Array, StringArray, StructArray, TimestampMicrosecondArray,
};
use arrow_buffer::NullBuffer;
use arrow_schema::DataType;

use super::samples::moods;
use super::*;

fn encode_array(codec: &Codec, array: ArrayRef) -> Result<Vec<u8>, CopyError> {
    let field = arrow_schema::Field::new("c", array.data_type().clone(), true);
    let batch = RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![array]).unwrap();
    encode_rows(codec, &batch, &[])
}

fn assert_foreign(codec: &Codec, array: ArrayRef) {
    let error = encode_array(codec, array).unwrap_err();
    assert_eq!(error.kind(), CopyErrorKind::Foreign, "{codec:?}");
}

#[test]
fn texts_in_another_form_are_foreign() {
    for (codec, texts) in [
        (Codec::Xid8Text, ["1.50", "007", "-1", ""].as_slice()),
        (Codec::LsnText, &["a/0", "0", "0/01", ""]),
        (
            Codec::UuidText,
            &["", "01234567-89AB-cdef-fedc-ba9876543210"],
        ),
        (Codec::Inet, &["010.0.0.1", "10.0.0.1/32", "::A", "::0", ""]),
        (Codec::Cidr, &["10.0.0.0", "10.0.0.1/8", ""]),
        (Codec::Macaddr, &["08:00:2B:01:02:03", "08002b010203", ""]),
        (Codec::Macaddr8, &["08:00:2b:01:02:03", ""]),
        (Codec::BitString, &["2", "01x", "0 1"]),
        (
            Codec::NumericText,
            &[
                "", "-", ".", "1.", ".5", "-.5", "+1", "01", "00", "-0", "-0.00", "1e5", "1 ",
                "nan", "inf", "--1", "1.2.3", "١",
            ],
        ),
    ] {
        for text in texts {
            let array = StringArray::from_iter_values([text]);
            assert_foreign(&codec, Arc::new(array));
        }
    }
    for text in ["1".repeat(131_073), format!("0.{}", "1".repeat(16_384))] {
        let array = StringArray::from_iter_values([text]);
        assert_foreign(&Codec::NumericText, Arc::new(array));
    }
}

#[test]
fn numbers_out_of_range_are_foreign() {
    assert_foreign(&Codec::Oid, Arc::new(Int64Array::from(vec![-1])));
    assert_foreign(&Codec::Oid, Arc::new(Int64Array::from(vec![1 << 32])));
    assert_foreign(
        &Codec::Time,
        Arc::new(Int64Array::from(vec![86_400_000_001])),
    );
    for days in [i32::MIN, i32::MIN + 10_957] {
        assert_foreign(&Codec::Date, Arc::new(Date32Array::from(vec![days])));
    }
    for micros in [i64::MIN, i64::MIN + 946_684_800_000_000] {
        let array = TimestampMicrosecondArray::from(vec![micros]).with_timezone("UTC");
        assert_foreign(&Codec::Timestamp { utc: true }, Arc::new(array));
    }
    let decimals = |units: i128, precision, scale| {
        let data_type = DataType::Decimal128(precision, scale);
        Arc::new(Decimal128Array::from(vec![units]).with_data_type(data_type))
    };
    let decimal = Codec::Decimal {
        precision: 5,
        scale: 2,
        restate: false,
    };
    assert_foreign(&decimal, decimals(100_000, 5, 2));
    assert_foreign(&decimal, decimals(i128::MIN, 5, 2));
    let money = Codec::Money { scale: 2 };
    assert_foreign(&money, decimals(i128::from(i64::MAX) + 1, 19, 2));
    // The same integers under another scale are other numbers.
    let error = encode_array(&decimal, decimals(1, 5, 3)).unwrap_err();
    assert_eq!(error.kind(), CopyErrorKind::Misuse);
    let error = encode_array(&money, decimals(1, 19, 3)).unwrap_err();
    assert_eq!(error.kind(), CopyErrorKind::Misuse);
}

fn timetz(micros: Int64Array, offsets: Int32Array, nulls: Option<NullBuffer>) -> ArrayRef {
    let DataType::Struct(fields) = Codec::Timetz.arrow_type() else {
        unreachable!();
    };
    let nullable =
        |field: &arrow_schema::FieldRef| Arc::new(field.as_ref().clone().with_nullable(true));
    let fields = fields.iter().map(nullable).collect();
    Arc::new(StructArray::new(
        fields,
        vec![Arc::new(micros), Arc::new(offsets)],
        nulls,
    ))
}

#[test]
fn parts_that_are_null_or_out_of_range_are_foreign() {
    for (micros, offset) in [
        (None, Some(0)),
        (Some(0), None),
        (Some(-1), Some(0)),
        (Some(0), Some(57_600)),
        (Some(0), Some(i32::MIN)),
    ] {
        let (micros, offset) = (vec![micros].into(), vec![offset].into());
        assert_foreign(&Codec::Timetz, timetz(micros, offset, None));
    }
    // Under a NULL it does not matter what its parts are.
    let nulls = Some(NullBuffer::from(vec![false]));
    let null = timetz(vec![None].into(), vec![Some(i32::MIN)].into(), nulls);
    assert_eq!(
        encode_array(&Codec::Timetz, null).unwrap(),
        [0, 1, 255, 255, 255, 255]
    );
    let DataType::Struct(fields) = Codec::Interval.arrow_type() else {
        unreachable!();
    };
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int32Array::from(vec![i32::MAX])),
        Arc::new(Int32Array::from(vec![i32::MAX])),
        Arc::new(Int64Array::from(vec![i64::MAX])),
    ];
    assert_foreign(
        &Codec::Interval,
        Arc::new(StructArray::new(fields, columns, None)),
    );
}

#[test]
fn a_dictionary_may_have_its_labels_in_any_order_and_twice() {
    let encode = |keys: Vec<Option<i32>>, labels: Vec<Option<&str>>| {
        let (keys, labels) = (Int32Array::from(keys), Arc::new(StringArray::from(labels)));
        let array = DictionaryArray::<Int32Type>::try_new(keys, labels).unwrap();
        encode_array(&moods(), Arc::new(array))
    };
    let labels = vec![
        Some("ok"),
        Some("grün"),
        Some("ok"),
        None,
        Some("furious"),
        Some(""),
    ];
    let rows = encode(
        vec![Some(2), None, Some(1), Some(5), Some(0)],
        labels.clone(),
    )
    .unwrap();
    let mut wire = WireRows::new();
    for label in [Some("ok"), None, Some("grün"), Some(""), Some("ok")] {
        wire.row(1).field(label.map(str::as_bytes));
    }
    assert_eq!(rows, wire.bytes[super::super::super::COPY_HEADER.len()..]);
    for key in [3, 4] {
        let error = encode(vec![Some(0), Some(key)], labels.clone()).unwrap_err();
        assert_eq!(
            (error.kind(), error.row()),
            (CopyErrorKind::Foreign, Some(1))
        );
    }
}

#[test]
fn arrays_of_another_type_are_refused() {
    let other: ArrayRef = Arc::new(FixedSizeBinaryArray::new(3, vec![0; 3].into(), None));
    for codec in samples::codecs() {
        let error = encode_array(&codec, Arc::clone(&other)).unwrap_err();
        assert_eq!(error.kind(), CopyErrorKind::Misuse, "{codec:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Texts near those that are shown: what is encoded is decoded to the same text.
    #[test]
    fn no_two_texts_have_the_same_bytes(
        seed in any::<[u64; 4]>(),
        at in any::<prop::sample::Index>(),
        with in prop::sample::select(b"0123456789abcdefABCDEF.:/-+ eNI".to_vec()),
        delete in any::<bool>(),
    ) {
        for codec in samples::codecs() {
            if codec.arrow_type() != DataType::Utf8 {
                continue;
            }
            let decoded = decode_values(&codec, &[Some(samples::sample(&codec, seed))]).unwrap();
            let shown = decoded.batch.column(0).to_data();
            let shown = StringArray::from(shown);
            let mut text = shown.value(0).to_owned();
            let place = text.floor_char_boundary(at.index(text.len() + 1));
            if delete && place < text.len() {
                text.remove(place);
            }
            text.insert(place, char::from(with));
            let array: ArrayRef = Arc::new(StringArray::from_iter_values([&text]));
            if let Ok(rows) = encode_array(&codec, array) {
                let again = decode_values(&codec, &[Some(rows[6..].to_vec())]).unwrap();
                let again = StringArray::from(again.batch.column(0).to_data());
                prop_assert_eq!(again.value(0), text, "{:?}", codec);
            }
        }
    }
}
