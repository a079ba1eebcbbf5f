//! Any bytes as values of any type, in sound frames: refused, or decoded and encoded to the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pgsluice::codec::{BatchLimits, map_table};
use pgsluice_fuzz::{Source, columns, decode_and_encode, options, stream};

fuzz_target!(|bytes: &[u8]| {
    let mut source = Source::new(bytes);
    let columns = columns(&mut source);
    let options = options(&mut source, &columns);
    let Ok(mapping) = map_table(&columns, &options) else {
        return;
    };
    let mut rows = Vec::new();
    while !source.is_empty() && rows.len() < 8 {
        let fields = columns.iter().map(|_| match source.byte() {
            255 => None,
            _ => Some(source.some(200).to_vec()),
        });
        rows.push(fields.collect());
    }
    let _ = decode_and_encode(&mapping, BatchLimits::default(), &stream(&rows), usize::MAX);
});
