//! `bool`: one byte, 0 or 1, into a bit.

use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray};

use super::validity::{Bits, Validity, low_bits};
use super::{ColumnDecoder, Fields, Group, Notes};
use crate::copy::error::{Fault, FieldError};

#[derive(Debug, Default)]
pub(super) struct BooleanDecoder {
    values: Bits,
    validity: Validity,
}

impl ColumnDecoder for BooleanDecoder {
    fn decode(&mut self, fields: Fields<'_>, _notes: &mut Notes) -> Result<(), FieldError> {
        for (first_row, group) in fields.groups() {
            let (mut values, mut there, mut null) = (0, 0, 0);
            for (bit, field) in group.fields().enumerate() {
                let [byte] = field.first::<1>();
                let is_there = field.length == 1 && byte <= 1;
                there |= u64::from(is_there) << bit;
                null |= u64::from(field.is_null()) << bit;
                values |= u64::from(is_there && byte == 1) << bit;
            }
            let rows = group.rows();
            if there | null != low_bits(rows) {
                find_fault(group).map_err(|error| error.after(first_row))?;
            }
            self.values.append(values, rows);
            self.validity.append(there, rows);
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<ArrayRef, FieldError> {
        let array = BooleanArray::new(self.values.take(), self.validity.take());
        Ok(Arc::new(array))
    }
}

#[cold]
fn find_fault(group: Group<'_>) -> Result<(), FieldError> {
    for (row, field) in group.fields().enumerate() {
        let fault = match field.value() {
            None if field.is_null() => continue,
            Some([0 | 1]) => continue,
            Some([_]) => Fault::BadBool,
            _ => Fault::WrongLength,
        };
        return Err(FieldError { row, fault });
    }
    Ok(())
}
