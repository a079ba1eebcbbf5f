//! The bytes of one row group, gathered from pieces of the object.
//!
//! Owns where bytes lie: the Parquet crate asks for places in the object, and gets those of the
//! row group alone.

use bytes::{Buf, Bytes};
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};

/// Bytes of the object in order: whole ones in front, and those still being gathered.
#[derive(Default)]
pub(super) struct Window {
    /// Where in the object what is held begins.
    pub(super) start: u64,
    whole: Bytes,
    filling: Vec<u8>,
}

impl Window {
    /// Whether nothing is held.
    pub(super) fn is_empty(&self) -> bool {
        self.whole.is_empty() && self.filling.is_empty()
    }

    /// Takes further bytes; the first ones begin at `start`.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.filling.extend_from_slice(bytes);
    }

    /// The bytes from `start` to `end`, which have been pushed; those before `end` are forgotten.
    pub(super) fn take(&mut self, start: u64, end: u64) -> Option<Bytes> {
        let (from, to) = (
            usize::try_from(start.checked_sub(self.start)?).ok()?,
            usize::try_from(end.checked_sub(self.start)?).ok()?,
        );
        if to > self.whole.len() {
            let mut all = std::mem::take(&mut self.filling);
            if !self.whole.is_empty() {
                all.splice(0..0, self.whole.iter().copied());
            }
            self.whole = all.into();
        }
        if to > self.whole.len() || from > to {
            return None;
        }
        let taken = self.whole.slice(from..to);
        self.whole.advance(to);
        self.start = end;
        Some(taken)
    }
}

/// A row group's bytes, at their place in the object.
#[derive(Clone)]
pub(super) struct GroupBytes {
    pub(super) start: u64,
    pub(super) bytes: Bytes,
}

impl GroupBytes {
    fn from(&self, start: u64) -> Result<Bytes, ParquetError> {
        let outside = || ParquetError::EOF("a page lies outside of its row group".to_owned());
        let skip = start.checked_sub(self.start).ok_or_else(outside)?;
        let skip = usize::try_from(skip).map_err(|_| outside())?;
        if skip > self.bytes.len() {
            return Err(outside());
        }
        Ok(self.bytes.slice(skip..))
    }
}

impl Length for GroupBytes {
    fn len(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }
}

impl ChunkReader for GroupBytes {
    type T = bytes::buf::Reader<Bytes>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        Ok(self.from(start)?.reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let bytes = self.from(start)?;
        if length > bytes.len() {
            let message = "a page is longer than its row group".to_owned();
            return Err(ParquetError::EOF(message));
        }
        Ok(bytes.slice(..length))
    }
}
