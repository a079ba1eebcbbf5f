//! Values that stay bytes of a fixed width: `uuid`, also out of text; `xid8` and `pg_lsn`.

use std::sync::Arc;

use arrow_array::{ArrayRef, FixedSizeBinaryArray};
use arrow_buffer::Buffer;

use super::validity::Validity;
use super::{ColumnDecoder, Field, Fields, Notes};
use crate::copy::error::{Fault, FieldError};
use crate::copy::form::hex::uuid_of;

/// Decodes fields into `N` bytes each by `convert`.
#[derive(Debug)]
pub(super) struct FixedBinaryDecoder<const N: usize, F> {
    convert: F,
    bytes: Vec<u8>,
    validity: Validity,
}

impl<const N: usize, F> FixedBinaryDecoder<N, F>
where
    F: Fn(Field<'_>) -> Result<[u8; N], Fault> + Send + 'static,
{
    fn boxed(convert: F) -> Box<dyn ColumnDecoder> {
        Box::new(Self {
            convert,
            bytes: Vec::new(),
            validity: Validity::default(),
        })
    }
}

impl<const N: usize, F> ColumnDecoder for FixedBinaryDecoder<N, F>
where
    F: Fn(Field<'_>) -> Result<[u8; N], Fault> + Send + 'static,
{
    fn decode(&mut self, fields: Fields<'_>, notes: &mut Notes) -> Result<(), FieldError> {
        self.bytes.reserve(N * fields.rows());
        for (first_row, group) in fields.groups() {
            let mut mask = 0;
            for (bit, field) in group.fields().enumerate() {
                let mut value = [0; N];
                if !field.is_null() {
                    match (self.convert)(field) {
                        Ok(converted) => {
                            value = converted;
                            mask |= 1 << bit;
                        }
                        Err(fault) => notes.refuse(first_row + bit, fault)?,
                    }
                }
                self.bytes.extend_from_slice(&value);
            }
            self.validity.append(mask, group.rows());
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<ArrayRef, FieldError> {
        let capacity = self.bytes.len();
        let bytes = std::mem::replace(&mut self.bytes, Vec::with_capacity(capacity));
        let bytes = Buffer::from_vec(bytes);
        let array = FixedSizeBinaryArray::new(N as i32, bytes, self.validity.take());
        Ok(Arc::new(array))
    }
}

#[inline(always)]
fn as_it_is<const N: usize>(field: Field<'_>) -> Result<[u8; N], Fault> {
    if field.length == N as i32 {
        Ok(field.first::<N>())
    } else {
        Err(Fault::WrongLength)
    }
}

/// `uuid_send`: the bytes as they are.
pub(super) fn uuid_decoder() -> Box<dyn ColumnDecoder> {
    FixedBinaryDecoder::<16, _>::boxed(as_it_is)
}

/// `xid8send`, `pg_lsn_send`: most significant first.
pub(super) fn bytes8_decoder() -> Box<dyn ColumnDecoder> {
    FixedBinaryDecoder::<8, _>::boxed(as_it_is)
}

/// Text that has the form in which PostgreSQL shows a `uuid`.
pub(super) fn uuid_from_text_decoder() -> Box<dyn ColumnDecoder> {
    FixedBinaryDecoder::<16, _>::boxed(|field| {
        let text = field.value().ok_or(Fault::WrongLength)?;
        uuid_of(text).ok_or_else(|| no_uuid(text))
    })
}

#[cold]
fn no_uuid(text: &[u8]) -> Fault {
    match simdutf8::basic::from_utf8(text) {
        Ok(_) => Fault::NotAUuid,
        Err(_) => Fault::NotUtf8,
    }
}
