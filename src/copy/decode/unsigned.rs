//! `xid8` and `pg_lsn` as text: few readers have unsigned numbers of 64 bits.

use arrow_array::ArrayRef;

use super::bytes::Values;
use super::{ColumnDecoder, Fields, Notes};
use crate::copy::error::{Fault, FieldError};
use crate::copy::form::text::{append_lsn, append_unsigned};

/// Decodes values of exactly `N` bytes into the text that `append` gives them.
#[derive(Debug)]
pub(super) struct ShownDecoder<const N: usize, F> {
    append: F,
    values: Values,
}

impl<const N: usize, F> ShownDecoder<N, F>
where
    F: Fn([u8; N], &mut Vec<u8>) + Send + 'static,
{
    pub(super) fn boxed(append: F) -> Box<dyn ColumnDecoder> {
        Box::new(Self {
            append,
            values: Values::default(),
        })
    }
}

impl<const N: usize, F> ColumnDecoder for ShownDecoder<N, F>
where
    F: Fn([u8; N], &mut Vec<u8>) + Send + 'static,
{
    fn decode(&mut self, fields: Fields<'_>, notes: &mut Notes) -> Result<(), FieldError> {
        let append = &self.append;
        self.values.decode(fields, notes, |text, field| {
            if field.length == N as i32 {
                append(field.first::<N>(), text);
                return Ok(true);
            }
            if field.is_null() {
                return Ok(false);
            }
            Err(Fault::WrongLength)
        })
    }

    fn finish(&mut self) -> Result<ArrayRef, FieldError> {
        self.values.take_text()
    }
}

pub(super) fn xid8_decoder() -> Box<dyn ColumnDecoder> {
    ShownDecoder::<8, _>::boxed(|bytes, text| append_unsigned(u64::from_be_bytes(bytes), text))
}

pub(super) fn lsn_decoder() -> Box<dyn ColumnDecoder> {
    ShownDecoder::<8, _>::boxed(|bytes, text| append_lsn(u64::from_be_bytes(bytes), text))
}
