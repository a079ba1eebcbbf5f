//! A stream of a megabyte that ends too early at every byte, and is cut in two at every byte.
//!
//! Every byte takes half an hour of two cores: `PGSLUICE_CUT_STEP=1 cargo test --release --lib
//! cuts`. By default every 1009th is cut, and those around the ends of the first rows and blocks.

use std::sync::Arc;
use std::thread;

use super::*;

const STREAM_BYTES: usize = 1_000_000;
const DEFAULT_STEP: usize = 1009;
/// Every byte up to here is cut in any case: the header and some whole rows.
const EVERY_BYTE_TO: usize = 700;

fn megabyte(types: &[PgType]) -> Vec<u8> {
    assert_eq!(types, all_types());
    let mut wire = WireRows::new();
    let mut key = 0_i64;
    while wire.bytes.len() < STREAM_BYTES {
        let nulls = (key as u32).wrapping_mul(0x9E37_79B9) & (key as u32 >> 3);
        let text = "aä€𝄞".repeat((key % 23) as usize);
        sample_row(&mut wire, key.wrapping_mul(0x5851_F42D), nulls, &text);
        key += 1;
    }
    wire.trailer()
}

fn step() -> usize {
    let step = std::env::var("PGSLUICE_CUT_STEP").ok();
    step.map_or(DEFAULT_STEP, |step| step.parse().expect("a number"))
}

/// A stream that has only begun is refused at every byte. Whether it is the bytes so far that are
/// pushed at once, or one by one, is no matter: that is what the other test shows.
#[test]
fn a_megabyte_that_ends_too_early_is_refused_at_every_byte() {
    let types = all_types();
    let mapping = mapping(&types);
    let stream = megabyte(&types);
    let mut decoder = CopyDecoder::new(&mapping, limits(64 << 10, 1000));
    let mut rows = 0;
    for byte in &stream {
        let error = decoder.finish().unwrap_err();
        assert_eq!(error.kind(), CopyErrorKind::Truncated);
        decoder.push(std::slice::from_ref(byte)).unwrap();
        while decoder.is_batch_ready() {
            rows += decoder.take_batch().unwrap().unwrap().num_rows();
        }
    }
    while let Some(batch) = decoder.take_batch().unwrap() {
        rows += batch.num_rows();
    }
    assert_eq!(decoder.finish().unwrap().rows, rows as u64);
}

#[test]
fn a_megabyte_cut_in_two_anywhere_makes_the_same_batches() {
    let types = all_types();
    let stream = Arc::new(megabyte(&types));
    let step = step();
    let threads: Vec<_> = (0..2)
        .map(|half| {
            let stream = Arc::clone(&stream);
            thread::spawn(move || {
                let mapping = mapping(&all_types());
                let limits = limits(300 << 10, 2000);
                let whole = decode(&mapping, limits, [stream.as_slice()]).unwrap();
                let is_cut = |cut: &usize| *cut < EVERY_BYTE_TO || cut.is_multiple_of(step);
                let cuts = (0..=stream.len()).filter(is_cut).skip(half).step_by(2);
                for cut in cuts {
                    let (front, back) = stream.split_at(cut);
                    let pieces = decode(&mapping, limits, [front, back]).unwrap();
                    assert!(pieces == whole, "cut at byte {cut}");
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
}
