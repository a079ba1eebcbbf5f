//! Enums: an index into the array's own dictionary, a label on the wire.
//!
//! A dictionary that comes back from a file may have its labels in any order, twice, or not all.

use std::collections::HashSet;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{Array, ArrayRef, Int32Array};

use super::bytes::Values;
use super::{ColumnEncoder, LENGTH_BYTES, NULL_LENGTH, WrongArray};
use crate::copy::error::{Fault, FieldError};

/// Labels have at most 63 bytes; this stands for an entry that is no label.
const NO_LABEL: u32 = u32::MAX;

struct EnumEncoder {
    labels: HashSet<Box<[u8]>>,
    array: Option<Labelled>,
}

struct Labelled {
    keys: Int32Array,
    dictionary: Values,
    /// The length of each dictionary entry's field, or [`NO_LABEL`].
    lengths: Vec<u32>,
}

pub(super) fn enum_encoder(labels: &Arc<[String]>) -> Box<dyn ColumnEncoder> {
    let labels = labels.iter().map(|label| label.as_bytes().into());
    Box::new(EnumEncoder {
        labels: labels.collect(),
        array: None,
    })
}

impl ColumnEncoder for EnumEncoder {
    fn bind(&mut self, array: &ArrayRef) -> Result<(), WrongArray> {
        let array = array.as_dictionary_opt::<Int32Type>().ok_or(WrongArray)?;
        let dictionary = Values::of_text(array.values()).ok_or(WrongArray)?;
        let length = |index| match dictionary.get(index) {
            Some(label) if self.labels.contains(label) => LENGTH_BYTES + label.len() as u32,
            _ => NO_LABEL,
        };
        let lengths = (0..array.values().len()).map(length).collect();
        self.array = Some(Labelled {
            keys: array.keys().clone(),
            dictionary,
            lengths,
        });
        Ok(())
    }

    fn measure(&mut self, rows: &[u32], lengths: &mut [u32]) -> Result<(), FieldError> {
        let Some(array) = &self.array else {
            return Ok(());
        };
        let (keys, nulls) = (array.keys.values(), array.keys.nulls());
        for (row, length) in rows.iter().map(|row| *row as usize).zip(lengths) {
            if nulls.is_some_and(|nulls| nulls.is_null(row)) {
                *length = LENGTH_BYTES;
                continue;
            }
            let key = usize::try_from(keys[row]).ok();
            let found = key.and_then(|key| array.lengths.get(key));
            *length = *found
                .filter(|length| **length != NO_LABEL)
                .ok_or(FieldError {
                    row,
                    fault: Fault::Foreign,
                })?;
        }
        Ok(())
    }

    fn write(&mut self, rows: &[u32], out: &mut [u8], cursors: &mut [u32]) {
        let Some(array) = &self.array else {
            return;
        };
        let (keys, nulls) = (array.keys.values(), array.keys.nulls());
        for (row, cursor) in rows.iter().map(|row| *row as usize).zip(cursors) {
            let at = *cursor as usize;
            let is_null = nulls.is_some_and(|nulls| nulls.is_null(row));
            // Every key that counts was found when it was measured.
            let label = (!is_null).then(|| array.dictionary.get(keys[row] as usize));
            let Some(label) = label.flatten() else {
                out[at..at + 4].copy_from_slice(&NULL_LENGTH);
                *cursor += LENGTH_BYTES;
                continue;
            };
            let field = &mut out[at..at + 4 + label.len()];
            field[..4].copy_from_slice(&(label.len() as u32).to_be_bytes());
            field[4..].copy_from_slice(label);
            *cursor += field.len() as u32;
        }
    }
}
