//! The footer of a stored object, read back: an object counts only when its footer can be read.

use parquet::errors::ParquetError;
use parquet::file::metadata::{FooterTail, ParquetMetaData, ParquetMetaDataReader};

use crate::error::{Error, ErrorKind, Result};

/// The length word and the magic that end a file.
const TAIL_BYTES: usize = 8;

/// What a tail of an object tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Footer {
    /// The whole footer was there.
    Read(FooterSummary),
    /// The footer is longer: this many bytes of the object's end are needed.
    NeedMore(u64),
}

/// What a footer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FooterSummary {
    /// Rows of all row groups.
    pub rows: u64,
    /// Row groups.
    pub row_groups: u64,
}

/// Reads the footer from the last bytes of an object of `object_len` bytes.
///
/// Row groups must lie within the object, and their rows must add up to the file's.
///
/// # Errors
///
/// [`ErrorKind::Storage`]: this is not the end of a whole Parquet file.
pub fn read_footer(tail: &[u8], object_len: u64) -> Result<Footer> {
    Ok(match parse_footer(tail, object_len)? {
        ParsedFooter::NeedMore(more) => Footer::NeedMore(more),
        ParsedFooter::Whole(_, summary) => Footer::Read(summary),
    })
}

/// A footer, or how many bytes of the object's end it takes.
pub(super) enum ParsedFooter {
    /// All that it says.
    Whole(Box<ParquetMetaData>, FooterSummary),
    /// As [`Footer::NeedMore`].
    NeedMore(u64),
}

/// As [`read_footer`], with all that the footer says.
pub(super) fn parse_footer(tail: &[u8], object_len: u64) -> Result<ParsedFooter> {
    let damaged = |message: &str| Error::new(ErrorKind::Storage, message);
    let unreadable = |error: ParquetError| {
        damaged("the stored object does not end in a Parquet footer").with_source(error)
    };
    if tail.len() as u64 > object_len {
        return Err(damaged("the object is shorter than what was read of it"));
    }
    let Some((before, end)) = tail.split_last_chunk::<TAIL_BYTES>() else {
        if object_len < TAIL_BYTES as u64 {
            return Err(damaged("the stored object is too short for a Parquet file"));
        }
        return Ok(ParsedFooter::NeedMore(TAIL_BYTES as u64));
    };
    let footer = FooterTail::try_new(end).map_err(unreadable)?;
    let length = footer.metadata_length();
    let needed = (length + TAIL_BYTES) as u64;
    if needed > object_len {
        return Err(damaged(
            "the stored object's footer is longer than the object",
        ));
    }
    let Some(start) = before.len().checked_sub(length) else {
        return Ok(ParsedFooter::NeedMore(needed));
    };
    let metadata = ParquetMetaDataReader::decode_metadata(&before[start..]).map_err(unreadable)?;
    let summary = summarize(&metadata, object_len - needed)
        .ok_or_else(|| damaged("the stored object's footer contradicts itself"))?;
    Ok(ParsedFooter::Whole(Box::new(metadata), summary))
}

/// `None` when rows do not add up or a column lies outside `data_bytes`.
fn summarize(metadata: &ParquetMetaData, data_bytes: u64) -> Option<FooterSummary> {
    let mut rows = 0_u64;
    for row_group in metadata.row_groups() {
        rows = rows.checked_add(u64::try_from(row_group.num_rows()).ok()?)?;
        for column in row_group.columns() {
            let start = column
                .dictionary_page_offset()
                .unwrap_or_else(|| column.data_page_offset());
            let start = u64::try_from(start).ok()?;
            let length = u64::try_from(column.compressed_size()).ok()?;
            if start < 4 || start.checked_add(length)? > data_bytes {
                return None;
            }
        }
    }
    let claimed = u64::try_from(metadata.file_metadata().num_rows()).ok()?;
    (claimed == rows).then_some(FooterSummary {
        rows,
        row_groups: metadata.num_row_groups() as u64,
    })
}
