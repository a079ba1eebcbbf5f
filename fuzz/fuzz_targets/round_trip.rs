//! Values as PostgreSQL would send them: decoded, and encoded to the same bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pgsluice::codec::{BatchLimits, CopyErrorKind, map_table};
use pgsluice_fuzz::{Source, columns, decode_and_encode, options, stream, value};

fuzz_target!(|bytes: &[u8]| {
    let mut source = Source::new(bytes);
    let columns = columns(&mut source);
    let options = options(&mut source, &columns);
    let limits = BatchLimits {
        rows: 1 + source.below(4),
        ..BatchLimits::default()
    };
    let Ok(mapping) = map_table(&columns, &options) else {
        return;
    };
    let rows: Vec<Vec<_>> = (0..1 + source.below(6))
        .map(|_| {
            let fields = columns.iter();
            fields
                .map(|column| value(&column.pg_type, &mut source))
                .collect()
        })
        .collect();
    match decode_and_encode(&mapping, limits, &stream(&rows), usize::MAX) {
        Ok(summary) => assert_eq!(summary.rows, rows.len() as u64),
        // Text that is no UTF-8 is the one thing that a server can send and a column not hold.
        Err(error) => assert_eq!(error.kind(), CopyErrorKind::NotUtf8, "{error}"),
    }
});
