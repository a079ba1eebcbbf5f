//! A stored object back to record batches, in one pass from its start to its end.
//!
//! Owns the order of row groups and batches. It does no I/O: whoever holds a store pushes the
//! object's bytes as they come. What a page says is the Parquet crate's to refuse.

use arrow_array::RecordBatch;
use arrow_schema::ArrowError;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use super::object_footer::{Group, ObjectFooter};
use super::window::{GroupBytes, Window};
use crate::error::{Error, ErrorKind, Result};

/// A batch that does not decode is tried in parts of this fraction, down to one row: the crate
/// refuses one whose text passes 2 GiB, and only a batch of one row tells that from damage.
const SMALLER_BATCH: u64 = 16;

/// Decodes one object from its bytes, pushed in order from the first.
///
/// # Memory usage
///
/// The bytes of one row group and of what was pushed behind it, the crate's decoders over it, and
/// the batch: about 4 MiB by the row group's average. A run of values far above the average makes
/// a larger one.
pub struct ObjectReader {
    footer: ObjectFooter,
    /// The row group that comes next, or is being read.
    group: usize,
    /// Bytes gathered from `window_start` on.
    window: Window,
    /// How far the object was pushed.
    at: u64,
    active: Option<ActiveGroup>,
    rows: u64,
}

/// A row group being decoded.
struct ActiveGroup {
    reader: ParquetRecordBatchReader,
    bytes: GroupBytes,
    rows: u64,
    batch_rows: u64,
}

impl ObjectReader {
    /// A reader of the object with this footer.
    #[must_use]
    pub fn new(footer: ObjectFooter) -> Self {
        Self {
            footer,
            group: 0,
            window: Window::default(),
            at: 0,
            active: None,
            rows: 0,
        }
    }

    /// Takes the next bytes of the object. Take the batches after each push: what is pushed
    /// meanwhile is held.
    pub fn push(&mut self, bytes: &[u8]) {
        let before = self.at;
        self.at += bytes.len() as u64;
        let Some(group) = self.footer.groups.get(self.group) else {
            return;
        };
        if self.active.is_none() && self.window.is_empty() {
            // What lies before the row group is no part of it.
            let skipped = group.start.saturating_sub(before).min(bytes.len() as u64);
            self.window.start = before + skipped;
            self.window.push(&bytes[skipped as usize..]);
        } else {
            self.window.push(bytes);
        }
    }

    /// The next batch; `None` until more bytes are pushed, and behind the last row.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Storage`]: the pages are not what the footer says. Nothing more can be read.
    pub fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            let Some(group) = self.footer.groups.get(self.group).copied() else {
                return Ok(None);
            };
            let Some(active) = &mut self.active else {
                if self.at < group.end {
                    return Ok(None);
                }
                self.active = Some(self.open(group)?);
                continue;
            };
            match active.reader.next() {
                Some(Ok(batch)) => {
                    active.rows += batch.num_rows() as u64;
                    self.rows += batch.num_rows() as u64;
                    return Ok(Some(batch));
                }
                Some(Err(error)) => self.retry_smaller(error)?,
                None if active.rows == group.rows => {
                    self.active = None;
                    self.group += 1;
                }
                None => return Err(damaged("a row group holds fewer rows than its footer says")),
            }
        }
    }

    /// Rows read, all of them.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Storage`] when bytes or batches are missing.
    pub fn finish(self) -> Result<u64> {
        if self.group == self.footer.groups.len() && self.rows == self.footer.summary().rows {
            return Ok(self.rows);
        }
        Err(damaged("the object ended before its last row"))
    }

    fn open(&mut self, group: Group) -> Result<ActiveGroup> {
        let bytes = self.window.take(group.start, group.end);
        let bytes = GroupBytes {
            start: group.start,
            bytes: bytes.ok_or_else(|| damaged("a row group's bytes were not pushed in order"))?,
        };
        Ok(ActiveGroup {
            reader: self.build(&bytes, group.batch_rows, 0)?,
            bytes,
            rows: 0,
            batch_rows: group.batch_rows,
        })
    }

    fn build(
        &self,
        bytes: &GroupBytes,
        batch_rows: u64,
        skip: u64,
    ) -> Result<ParquetRecordBatchReader> {
        let metadata = self.footer.arrow.clone();
        ParquetRecordBatchReaderBuilder::new_with_metadata(bytes.clone(), metadata)
            .with_row_groups(vec![self.group])
            .with_batch_size(usize::try_from(batch_rows).unwrap_or(1))
            .with_offset(usize::try_from(skip).unwrap_or(usize::MAX))
            .build()
            .map_err(|error| unreadable(error.into()))
    }

    /// Goes on behind the rows that were read, with fewer rows a batch.
    fn retry_smaller(&mut self, error: ArrowError) -> Result<()> {
        let Some(active) = self.active.take().filter(|active| active.batch_rows > 1) else {
            return Err(unreadable(error));
        };
        let batch_rows = (active.batch_rows / SMALLER_BATCH).max(1);
        self.active = Some(ActiveGroup {
            reader: self.build(&active.bytes, batch_rows, active.rows)?,
            batch_rows,
            ..active
        });
        Ok(())
    }
}

fn damaged(message: &str) -> Error {
    Error::new(ErrorKind::Storage, message)
}

fn unreadable(error: ArrowError) -> Error {
    damaged("the object's rows cannot be decoded").with_source(error)
}

#[cfg(test)]
mod tests;
