//! Values whose bytes have to be worked out: made once when measured, and copied when written.

use arrow_array::ArrayRef;

use super::{ColumnEncoder, LENGTH_BYTES, NULL_LENGTH, WrongArray};
use crate::copy::error::{Fault, FieldError};

/// How one type's values become bytes.
pub(super) trait Stage: Send {
    /// Takes the column of the next batch.
    fn bind(&mut self, array: &ArrayRef) -> Result<(), WrongArray>;

    /// Appends the bytes of the value at `index`, without a length word; `false` when it is NULL.
    fn append(&self, index: usize, out: &mut Vec<u8>) -> Result<bool, Fault>;
}

/// The encoder of such a type.
pub(super) struct StagedEncoder<S> {
    stage: S,
    /// The values of the block end to end, length words included.
    fields: Vec<u8>,
    /// Where each field ends.
    ends: Vec<u32>,
}

impl<S: Stage + 'static> StagedEncoder<S> {
    pub(super) fn boxed(stage: S) -> Box<dyn ColumnEncoder> {
        Box::new(Self {
            stage,
            fields: Vec::new(),
            ends: Vec::new(),
        })
    }
}

impl<S: Stage> ColumnEncoder for StagedEncoder<S> {
    fn bind(&mut self, array: &ArrayRef) -> Result<(), WrongArray> {
        self.stage.bind(array)
    }

    fn measure(&mut self, rows: &[u32], lengths: &mut [u32]) -> Result<(), FieldError> {
        self.fields.clear();
        self.ends.clear();
        for (row, length) in rows.iter().map(|row| *row as usize).zip(lengths) {
            let start = self.fields.len();
            self.fields.extend_from_slice(&NULL_LENGTH);
            let appended = self.stage.append(row, &mut self.fields);
            if appended.map_err(|fault| FieldError { row, fault })? {
                let value = self.fields.len() - start - LENGTH_BYTES as usize;
                let Ok(value) = i32::try_from(value) else {
                    let fault = Fault::Foreign;
                    return Err(FieldError { row, fault });
                };
                self.fields[start..start + 4].copy_from_slice(&value.to_be_bytes());
            }
            *length = (self.fields.len() - start) as u32;
            self.ends.push(self.fields.len() as u32);
        }
        Ok(())
    }

    fn write(&mut self, _rows: &[u32], out: &mut [u8], cursors: &mut [u32]) {
        let mut start = 0;
        for (end, cursor) in self.ends.iter().zip(cursors) {
            let field = &self.fields[start..*end as usize];
            let at = *cursor as usize;
            out[at..at + field.len()].copy_from_slice(field);
            *cursor += field.len() as u32;
            start = *end as usize;
        }
    }
}
