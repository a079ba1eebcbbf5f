//! A stored object back to record batches, in one pass from its start to its end.
//!
//! Owns the window of bytes that one row group takes, and how many rows make a batch. It does no
//! I/O: whoever holds a store pushes the object's bytes as they come. A footer is believed nothing
//! before it is held against the object's length; what a page says is the Parquet crate's to
//! refuse.

use std::fmt;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{ArrowError, SchemaRef};
use bytes::{Buf, Bytes};
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder,
};
use parquet::basic::Type;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use parquet::file::reader::{ChunkReader, Length};

use super::footer::{FooterSummary, ParsedFooter, parse_footer};
use crate::error::{Error, ErrorKind, Result};

/// Decoded bytes that a batch should hold.
const BATCH_BYTES: u64 = 4 << 20;
/// Rows of a batch, at most.
const MAX_BATCH_ROWS: u64 = 65_536;
/// The largest row group that is read: the exporter closes them far below.
const MAX_ROW_GROUP_BYTES: u64 = 4 << 30;
/// A batch that does not decode is tried in parts of this fraction, down to one row: the crate
/// refuses one whose text passes 2 GiB, and only a batch of one row tells that from damage.
const SMALLER_BATCH: u64 = 16;

/// The footer of an object, held against the object's length.
#[derive(Clone)]
pub struct ObjectFooter {
    metadata: Arc<ParquetMetaData>,
    arrow: ArrowReaderMetadata,
    summary: FooterSummary,
    groups: Arc<[Group]>,
}

/// What a tail of an object tells.
#[derive(Debug, Clone)]
pub enum FooterRead {
    /// The whole footer was there.
    Read(Box<ObjectFooter>),
    /// The footer is longer: this many bytes of the object's end are needed.
    NeedMore(u64),
}

/// A row group, as the reader needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Group {
    /// Where its bytes begin and end in the object.
    start: u64,
    end: u64,
    rows: u64,
    batch_rows: u64,
}

impl ObjectFooter {
    /// Reads the footer from the last bytes of an object of `object_len` bytes.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Storage`]: this is not the end of a whole Parquet file, or its row groups do
    /// not follow each other.
    pub fn read(tail: &[u8], object_len: u64) -> Result<FooterRead> {
        let (metadata, summary) = match parse_footer(tail, object_len)? {
            ParsedFooter::NeedMore(more) => return Ok(FooterRead::NeedMore(more)),
            ParsedFooter::Whole(metadata, summary) => (Arc::from(metadata), summary),
        };
        let groups = groups(&metadata)
            .ok_or_else(|| damaged("the stored object's row groups do not follow each other"))?;
        let arrow = ArrowReaderMetadata::try_new(Arc::clone(&metadata), ArrowReaderOptions::new())
            .map_err(|error| {
                damaged("the stored object's schema is unreadable").with_source(error)
            })?;
        Ok(FooterRead::Read(Box::new(Self {
            metadata,
            arrow,
            summary,
            groups: groups.into(),
        })))
    }

    /// Rows and row groups.
    #[must_use]
    pub fn summary(&self) -> FooterSummary {
        self.summary
    }

    /// The Arrow schema of its batches.
    #[must_use]
    pub fn schema(&self) -> &SchemaRef {
        self.arrow.schema()
    }

    /// The bytes of its largest row group: the window that [`ObjectReader`] holds.
    #[must_use]
    pub fn largest_row_group_bytes(&self) -> u64 {
        let lengths = self.groups.iter().map(|group| group.end - group.start);
        lengths.max().unwrap_or(0)
    }

    /// The value of a key of the file's metadata.
    #[must_use]
    pub fn value_of(&self, key: &str) -> Option<&str> {
        let pairs = self.metadata.file_metadata().key_value_metadata()?;
        let pair = pairs.iter().find(|pair| pair.key == key)?;
        pair.value.as_deref()
    }

    /// What the statistics say of a column (an index into the schema) that is one integer column
    /// of the file; `None` for any other, or when a row group does not say.
    #[must_use]
    pub fn integers(&self, column: usize) -> Option<IntegerStatistics> {
        let leaf = self.leaf(column)?;
        let mut all = IntegerStatistics::default();
        for group in self.metadata.row_groups() {
            let statistics = group.columns().get(leaf)?.statistics()?;
            let nulls = statistics.null_count_opt()?;
            all.nulls = all.nulls.checked_add(nulls)?;
            let bounds = integer_bounds(group.columns().get(leaf)?.column_type(), statistics);
            match bounds {
                Some((min, max)) => all.extend(min, max),
                // Nothing but NULLs has no bounds.
                None if i64::try_from(nulls).ok() == Some(group.num_rows()) => {}
                None => return None,
            }
        }
        Some(all)
    }

    /// The NULLs that the statistics count of a column that is one column of the file.
    #[must_use]
    pub fn null_count(&self, column: usize) -> Option<u64> {
        let leaf = self.leaf(column)?;
        let groups = self.metadata.row_groups().iter();
        let counts = groups.map(|group| group.columns().get(leaf)?.statistics()?.null_count_opt());
        counts.sum::<Option<u64>>()
    }

    /// The one column of the file that holds a field which is neither nested nor repeated.
    fn leaf(&self, column: usize) -> Option<usize> {
        let schema = self.metadata.file_metadata().schema_descr();
        let field = schema.root_schema().get_fields().get(column)?;
        if !field.is_primitive() {
            return None;
        }
        (0..schema.num_columns()).find(|leaf| schema.get_column_root_idx(*leaf) == column)
    }
}

impl fmt::Debug for ObjectFooter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectFooter")
            .field("summary", &self.summary)
            .finish_non_exhaustive()
    }
}

/// What statistics say of an integer column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct IntegerStatistics {
    /// The least and the greatest value; `None` without one.
    pub bounds: Option<(i64, i64)>,
    /// NULLs.
    pub nulls: u64,
}

impl IntegerStatistics {
    /// Takes in further values, from `min` to `max`.
    pub fn extend(&mut self, min: i64, max: i64) {
        self.bounds = Some(match self.bounds {
            Some((least, greatest)) => (least.min(min), greatest.max(max)),
            None => (min, max),
        });
    }
}

fn integer_bounds(
    physical: Type,
    statistics: &parquet::file::statistics::Statistics,
) -> Option<(i64, i64)> {
    let (min, max) = (statistics.min_bytes_opt()?, statistics.max_bytes_opt()?);
    match physical {
        Type::INT32 => {
            let read = |bytes: &[u8]| Some(i64::from(i32::from_le_bytes(bytes.try_into().ok()?)));
            Some((read(min)?, read(max)?))
        }
        Type::INT64 => {
            let read = |bytes: &[u8]| Some(i64::from_le_bytes(bytes.try_into().ok()?));
            Some((read(min)?, read(max)?))
        }
        _ => None,
    }
}

/// Where the row groups lie; `None` when they overlap, run backwards or are too large. That they
/// lie within the object was checked with the footer.
fn groups(metadata: &ParquetMetaData) -> Option<Vec<Group>> {
    let mut before = 0;
    let mut groups = Vec::with_capacity(metadata.num_row_groups());
    for group in metadata.row_groups() {
        let rows = u64::try_from(group.num_rows()).ok()?;
        let mut span: Option<(u64, u64)> = None;
        for column in group.columns() {
            let start = column.dictionary_page_offset();
            let start = u64::try_from(start.unwrap_or_else(|| column.data_page_offset())).ok()?;
            let end = start.checked_add(u64::try_from(column.compressed_size()).ok()?)?;
            let (first, last) = span.unwrap_or((start, end));
            span = Some((first.min(start), last.max(end)));
        }
        let (start, end) = span?;
        if start < before || end - start > MAX_ROW_GROUP_BYTES {
            return None;
        }
        before = end;
        groups.push(Group {
            start,
            end,
            rows,
            batch_rows: batch_rows(group, rows),
        });
    }
    Some(groups)
}

/// How many rows make a batch, by the row group's average: the file counts what its text takes
/// when it is written out, which a dictionary does not show.
fn batch_rows(group: &RowGroupMetaData, rows: u64) -> u64 {
    let decoded = group.columns().iter().map(|column| {
        let width = match column.column_type() {
            Type::BOOLEAN => 1,
            Type::INT32 | Type::FLOAT => 4,
            Type::FIXED_LEN_BYTE_ARRAY | Type::INT96 => 16,
            _ => 8,
        };
        let values = u64::try_from(column.num_values()).unwrap_or(0);
        let text = column
            .unencoded_byte_array_data_bytes()
            .unwrap_or_else(|| column.uncompressed_size());
        let text = match column.column_type() {
            Type::BYTE_ARRAY => u64::try_from(text).unwrap_or(0),
            _ => 0,
        };
        values.saturating_mul(width).saturating_add(text)
    });
    let decoded = decoded.fold(0, u64::saturating_add).max(1);
    let rows = rows.max(1);
    let fitting = u128::from(BATCH_BYTES) * u128::from(rows) / u128::from(decoded);
    u64::try_from(fitting)
        .unwrap_or(MAX_BATCH_ROWS)
        .clamp(1, MAX_BATCH_ROWS)
}

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

/// Bytes of the object in order: whole ones in front, and those still being gathered.
#[derive(Default)]
struct Window {
    start: u64,
    whole: Bytes,
    filling: Vec<u8>,
}

impl Window {
    fn push(&mut self, bytes: &[u8]) {
        self.filling.extend_from_slice(bytes);
    }

    /// The bytes from `start` to `end`, which have been pushed; those before `end` are forgotten.
    fn take(&mut self, start: u64, end: u64) -> Option<Bytes> {
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
        if self.group == self.footer.groups.len() && self.rows == self.footer.summary.rows {
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

impl Window {
    fn is_empty(&self) -> bool {
        self.whole.is_empty() && self.filling.is_empty()
    }
}

fn damaged(message: &str) -> Error {
    Error::new(ErrorKind::Storage, message)
}

fn unreadable(error: ArrowError) -> Error {
    damaged("the object's rows cannot be decoded").with_source(error)
}

/// A row group's bytes, at their place in the object.
#[derive(Clone)]
struct GroupBytes {
    start: u64,
    bytes: Bytes,
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

#[cfg(test)]
mod tests;
