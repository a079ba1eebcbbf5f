//! Every type without parts, both ways: what is decoded is encoded to the same bytes, and what
//! could not be is refused.

mod edges;
mod foreign;
mod samples;

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::Schema;
use proptest::prelude::*;

use self::samples::{codecs, sample};
use super::*;
use crate::copy::{CopyEncoder, Exception};
use crate::mapping::{Codec, ColumnMapping, SelectAs};

/// One column of this codec, which keeps exceptions.
fn mapping_of(codec: &Codec) -> TableMapping {
    let field = Arc::new(codec.field("c", true));
    let column = ColumnMapping {
        field: Arc::clone(&field),
        codec: codec.clone(),
        select: SelectAs::Native,
    };
    TableMapping {
        columns: vec![column],
        schema: Arc::new(Schema::new(vec![field])),
        exceptions: true,
    }
}

struct Decoded {
    batch: RecordBatch,
    exceptions: Vec<Exception>,
    summary: CopySummary,
}

fn decode_values(codec: &Codec, values: &[Option<Vec<u8>>]) -> Result<Decoded, CopyError> {
    let mut wire = WireRows::new();
    for value in values {
        wire.row(1).field(value.as_deref());
    }
    let mapping = mapping_of(codec);
    let mut decoder = CopyDecoder::new(&mapping, BatchLimits::default());
    decoder.push(&wire.trailer())?;
    let batch = decoder.take_batch()?;
    Ok(Decoded {
        batch: batch.unwrap_or_else(|| RecordBatch::new_empty(Arc::clone(&mapping.schema))),
        exceptions: decoder.take_exceptions(),
        summary: decoder.finish()?,
    })
}

fn encode_rows(
    codec: &Codec,
    batch: &RecordBatch,
    exceptions: &[Exception],
) -> Result<Vec<u8>, CopyError> {
    let mut rows = Vec::new();
    let mut encoder = CopyEncoder::new(&mapping_of(codec));
    encoder.encode(batch, exceptions, |bytes, _| rows.extend_from_slice(bytes))?;
    Ok(rows)
}

/// Decodes one value; its array, or how many exceptions there are instead.
fn one(codec: &Codec, value: &[u8]) -> Result<(ArrayRef, u64), CopyError> {
    let decoded = decode_values(codec, &[Some(value.to_vec())])?;
    Ok((
        Arc::clone(decoded.batch.column(0)),
        decoded.summary.exceptions,
    ))
}

/// Whatever has been decoded must be encoded to the same bytes, restated ones to what was hashed.
fn assert_reversible(codec: &Codec, values: &[Option<Vec<u8>>]) -> Result<Decoded, CopyError> {
    let decoded = decode_values(codec, values)?;
    let array = decoded.batch.column(0);
    assert_eq!(array.data_type(), &codec.arrow_type(), "{codec:?}");
    array.to_data().validate_full().unwrap();
    let mut digest = WireDigest::default();
    let mut encoded = Vec::new();
    let mut encoder = CopyEncoder::new(&mapping_of(codec));
    let each = |bytes: &[u8], ends: &[u32]| {
        digest.add_rows(bytes, ends);
        encoded.extend_from_slice(bytes);
    };
    encoder
        .encode(&decoded.batch, &decoded.exceptions, each)
        .unwrap();
    assert_eq!(digest, decoded.summary.digest, "{codec:?}");
    if decoded.summary.restated == 0 {
        let mut wire = WireRows::new();
        for value in values {
            wire.row(1).field(value.as_deref());
        }
        assert!(
            encoded == wire.bytes[super::super::COPY_HEADER.len()..],
            "{codec:?}"
        );
    }
    if decoded.exceptions.is_empty() && !values.is_empty() {
        let (first, rest) = (
            decoded.batch.slice(0, 1),
            decoded.batch.slice(1, values.len() - 1),
        );
        let slices = [&first, &rest].map(|slice| encode_rows(codec, slice, &[]).unwrap());
        assert!(slices.concat() == encoded, "{codec:?}");
    }
    Ok(decoded)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn what_is_decoded_is_encoded_to_the_same_bytes(
        seeds in prop::collection::vec(prop::option::weighted(0.8, any::<[u64; 4]>()), 1..150),
    ) {
        for codec in codecs() {
            let values: Vec<_> = seeds.iter().map(|seed| seed.map(|s| sample(&codec, s))).collect();
            let decoded = assert_reversible(&codec, &values).unwrap();
            prop_assert_eq!(decoded.summary.exceptions, 0, "{:?}", codec);
        }
    }

    #[test]
    fn hostile_bytes_are_refused_or_kept_exactly(
        seed in any::<[u64; 4]>(),
        changes in prop::collection::vec((any::<u16>(), any::<u8>()), 0..3),
        cut in prop::option::of(any::<u16>()),
        more in prop::collection::vec(any::<u8>(), 0..4),
        noise in prop::collection::vec(any::<u8>(), 0..24),
    ) {
        for codec in codecs() {
            let mut value = sample(&codec, seed);
            for (at, byte) in &changes {
                let at = usize::from(*at) % value.len().max(1);
                if let Some(place) = value.get_mut(at) {
                    *place = *byte;
                }
            }
            if let Some(cut) = cut {
                value.truncate(usize::from(cut) % (value.len() + 1));
            }
            value.extend_from_slice(&more);
            for value in [&value, &noise] {
                let _ = assert_reversible(&codec, &[None, Some(value.clone()), None]);
            }
        }
    }
}
