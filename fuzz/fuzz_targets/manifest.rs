//! Any bytes as entries of a manifest log, one a line: refused or folded, never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| pgsluice::fuzzing::fold(bytes));
