//! Enums: a label on the wire, an index into the catalog's labels in the array.
//!
//! Labels are found by hash, without an allocation. A label that the catalog did not have when
//! the run started is an error: the dictionary in the file would not be the enum.

use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{ArrayRef, DictionaryArray, PrimitiveArray, StringArray};
use arrow_buffer::ScalarBuffer;
use xxhash_rust::xxh3::xxh3_64;

use super::validity::Validity;
use super::{ColumnDecoder, Fields, Notes};
use crate::copy::error::{Fault, FieldError};

#[derive(Debug)]
pub(super) struct EnumDecoder {
    labels: Arc<[String]>,
    /// Open addressing, at most half full; `None` ends a search.
    slots: Vec<Option<Slot>>,
    dictionary: ArrayRef,
    keys: Vec<i32>,
    validity: Validity,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    hash: u64,
    key: i32,
}

impl EnumDecoder {
    pub(super) fn new(labels: &Arc<[String]>) -> Self {
        let mut slots = vec![None; (labels.len() * 2).next_power_of_two().max(2)];
        let last = slots.len() - 1;
        for (key, label) in labels.iter().enumerate() {
            let hash = xxh3_64(label.as_bytes());
            let mut index = hash as usize & last;
            while slots[index].is_some() {
                index = (index + 1) & last;
            }
            let key = key as i32;
            slots[index] = Some(Slot { hash, key });
        }
        let dictionary = StringArray::from_iter_values(labels.iter());
        Self {
            labels: Arc::clone(labels),
            slots,
            dictionary: Arc::new(dictionary),
            keys: Vec::new(),
            validity: Validity::default(),
        }
    }

    #[inline]
    fn key_of(&self, label: &[u8]) -> Option<i32> {
        let hash = xxh3_64(label);
        let last = self.slots.len() - 1;
        let mut index = hash as usize & last;
        while let Some(slot) = self.slots[index] {
            if slot.hash == hash && self.labels[slot.key as usize].as_bytes() == label {
                return Some(slot.key);
            }
            index = (index + 1) & last;
        }
        None
    }
}

impl ColumnDecoder for EnumDecoder {
    fn decode(&mut self, fields: Fields<'_>, _notes: &mut Notes) -> Result<(), FieldError> {
        self.keys.reserve(fields.rows());
        for (first_row, group) in fields.groups() {
            let mut mask = 0;
            for (bit, field) in group.fields().enumerate() {
                let key = match field.value() {
                    Some(label) => self.key_of(label).ok_or(Fault::UnknownLabel),
                    None if field.is_null() => Ok(0),
                    None => Err(Fault::WrongLength),
                };
                let row = first_row + bit;
                let key = key.map_err(|fault| FieldError { row, fault })?;
                mask |= u64::from(!field.is_null()) << bit;
                self.keys.push(key);
            }
            self.validity.append(mask, group.rows());
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<ArrayRef, FieldError> {
        let capacity = self.keys.len();
        let keys = std::mem::replace(&mut self.keys, Vec::with_capacity(capacity));
        let keys = PrimitiveArray::<Int32Type>::new(ScalarBuffer::from(keys), self.validity.take());
        // Every key came from the labels, so this cannot fail; a bug shows as an unknown label.
        DictionaryArray::try_new(keys, Arc::clone(&self.dictionary))
            .map(|array| Arc::new(array) as ArrayRef)
            .map_err(|_| FieldError {
                row: 0,
                fault: Fault::UnknownLabel,
            })
    }
}
