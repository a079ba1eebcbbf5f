//! Any bytes as a COPY stream: refused or decoded, never a panic, and the same however it is cut.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pgsluice::codec::{BatchLimits, map_table};
use pgsluice_fuzz::{Source, columns, decode_and_encode, options};

fuzz_target!(|bytes: &[u8]| {
    let mut source = Source::new(bytes);
    let columns = columns(&mut source);
    let options = options(&mut source, &columns);
    let limits = BatchLimits {
        bytes: 1 + source.below(4096),
        rows: 1 + source.below(64),
    };
    let cut = 1 + source.below(64);
    let Ok(mapping) = map_table(&columns, &options) else {
        return;
    };
    let stream = source.rest();
    let whole = decode_and_encode(&mapping, limits, stream, usize::MAX);
    let pieces = decode_and_encode(&mapping, limits, stream, cut);
    assert_eq!(whole.ok(), pieces.ok());
});
