//! The footer of a stored object, held against the object: what a reader may rely on.
//!
//! Owns the checks before anything is read by it, how many rows make a batch, and what statistics
//! tell of whole columns.

use std::fmt;
use std::sync::Arc;

use arrow_schema::SchemaRef;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::basic::Type;
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};

use super::footer::{FooterSummary, ParsedFooter, parse_footer};
use crate::error::{Error, ErrorKind, Result};

/// Decoded bytes that a batch should hold.
const BATCH_BYTES: u64 = 4 << 20;
/// Rows of a batch, at most.
const MAX_BATCH_ROWS: u64 = 65_536;
/// What the Parquet crate holds of a value in a list besides it: two levels of 16 bits.
const LEVEL_BYTES: u64 = 4;
/// The largest row group that is read: the exporter closes them far below.
const MAX_ROW_GROUP_BYTES: u64 = 4 << 30;

/// The footer of an object, held against the object's length.
#[derive(Clone)]
pub struct ObjectFooter {
    pub(super) metadata: Arc<ParquetMetaData>,
    pub(super) arrow: ArrowReaderMetadata,
    summary: FooterSummary,
    pub(super) groups: Arc<[Group]>,
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
pub(super) struct Group {
    /// Where its bytes begin and end in the object.
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) rows: u64,
    /// Rows of a batch.
    pub(super) batch_rows: u64,
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

    /// The most values that a row group claims of one column of the file, the parts of lists counted
    /// one by one. A few bytes can claim any number, and a reader makes room for them.
    #[must_use]
    pub fn most_values(&self) -> u64 {
        let groups = self.metadata.row_groups().iter();
        let values = groups.flat_map(|group| group.columns().iter().map(|one| one.num_values()));
        // A negative number is none that can be read.
        let values = values.map(|values| u64::try_from(values).unwrap_or(u64::MAX));
        values.max().unwrap_or(0)
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
pub(super) fn groups(metadata: &ParquetMetaData) -> Option<Vec<Group>> {
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
        // A list's values come with the levels that tell where it begins and ends.
        let levels = match column.column_descr().max_rep_level() {
            0 => 0,
            _ => LEVEL_BYTES,
        };
        let width = width + levels;
        let values = u64::try_from(column.num_values()).unwrap_or(u64::MAX);
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

fn damaged(message: &str) -> Error {
    Error::new(ErrorKind::Storage, message)
}
