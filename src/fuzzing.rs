//! What the fuzz targets reach that is not public. Compiled for them alone.

use crate::manifest::{Entry, apply};

/// Reads each line as an entry of a manifest log and folds those that are sound.
pub fn fold(lines: &[u8]) {
    let mut dataset = None;
    for (index, line) in lines.split(|byte| *byte == b'\n').enumerate() {
        let seq = index as u64 + 1;
        let _ = Entry::from_bytes(seq, line);
        // An entry is sealed; a fuzzer does not guess seals.
        if let Ok(entry) = serde_json::from_slice::<Entry>(line)
            && apply(&mut dataset, entry).is_ok()
            && let Some(dataset) = &dataset
        {
            let _ = (
                dataset.consistency(),
                dataset.totals(),
                dataset.pending().count(),
            );
        }
    }
}
