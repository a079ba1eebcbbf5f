//! The encoder of one object: batches in, chunks of bytes out.

use std::fmt;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::errors::ParquetError;
use serde::{Deserialize, Serialize};

use super::pages::Handover;
use super::properties::{ParquetOptions, writer_properties};
use super::sink::{Sha256Digest, Sink};
use crate::error::{Error, ErrorKind, Result};

/// What one object holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileSummary {
    /// Rows.
    pub rows: u64,
    /// Row groups; none when there are no rows.
    pub row_groups: u64,
    /// Bytes of the whole object.
    pub bytes: u64,
    /// The hash over the whole object.
    pub sha256: Sha256Digest,
}

/// Encodes record batches as one Parquet object.
///
/// # Memory usage
///
/// A row group is held encoded until it closes: at most twice
/// [`row_group_bytes`](ParquetOptions::row_group_bytes) plus one batch. When it closes its pages
/// become the chunks that can be taken, without a copy; take them after each
/// [`ParquetEncoder::write`], and drop each once it is stored.
///
/// Dropped without [`ParquetEncoder::finish`], what was taken is no Parquet file.
pub struct ParquetEncoder {
    writer: ArrowWriter<Sink>,
    row_group_bytes: usize,
    rows: u64,
}

impl ParquetEncoder {
    /// An encoder for batches of this schema.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] for a compression level that does not exist;
    /// [`ErrorKind::Unsupported`] for a type that Parquet lacks, or a schema without columns:
    /// such a file cannot say how many rows it has.
    pub fn new(schema: SchemaRef, options: &ParquetOptions) -> Result<Self> {
        if schema.fields().is_empty() {
            let message = "a table without columns has no Parquet form: its rows would be lost";
            return Err(Error::new(ErrorKind::Unsupported, message)
                .with_advice("leave the table out; it holds nothing but a number of rows"));
        }
        let properties = writer_properties(&schema, options).map_err(|error| {
            Error::new(ErrorKind::Config, "the compression level is out of range")
                .with_source(error)
        })?;
        let handover = Handover::default();
        let writer_options = ArrowWriterOptions::new()
            .with_properties(properties)
            .with_page_store_factory(Arc::new(handover.clone()));
        let sink = Sink::new(handover);
        let writer =
            ArrowWriter::try_new_with_options(sink, schema, writer_options).map_err(|error| {
                Error::new(ErrorKind::Unsupported, "the schema has no Parquet form")
                    .with_source(error)
            })?;
        Ok(Self {
            writer,
            row_group_bytes: options.row_group_bytes.max(1),
            rows: 0,
        })
    }

    /// Encodes a batch, and closes the row group once that is large enough.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Internal`]: the batch has another schema, or the encoder failed. The object
    /// cannot be finished.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.writer.write(batch).map_err(failed)?;
        self.rows += batch.num_rows() as u64;
        if self.writer.in_progress_size() >= self.row_group_bytes
            || self.writer.memory_size() >= self.row_group_bytes.saturating_mul(2)
        {
            self.writer.flush().map_err(failed)?;
        }
        Ok(())
    }

    /// Takes the next chunk of encoded bytes, of any size; `None` until another row group closes.
    pub fn take_encoded(&mut self) -> Option<Bytes> {
        self.writer.inner_mut().take()
    }

    /// Bytes of the object so far, those of the open row group as far as they are known.
    #[must_use]
    pub fn encoded_bytes(&self) -> u64 {
        (self.writer.bytes_written() + self.writer.in_progress_size()) as u64
    }

    /// Memory that the open row group and the chunks not yet taken occupy, in bytes; a guess.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.writer.memory_size() + self.writer.inner().held_bytes()
    }

    /// Ends the object: the chunks not yet taken, and what the whole object holds.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Internal`]: the encoder failed.
    pub fn finish(mut self) -> Result<(Vec<Bytes>, FileSummary)> {
        let metadata = self.writer.finish().map_err(failed)?;
        self.writer.sync().map_err(|error| failed(error.into()))?;
        let (rest, bytes, sha256) = self.writer.inner_mut().finish();
        let in_footer = u64::try_from(metadata.file_metadata().num_rows()).unwrap_or_default();
        if in_footer != self.rows {
            let message = format!(
                "{} rows were written, the footer says {in_footer}",
                self.rows
            );
            return Err(Error::new(ErrorKind::Internal, message));
        }
        let summary = FileSummary {
            rows: self.rows,
            row_groups: metadata.num_row_groups() as u64,
            bytes,
            sha256,
        };
        Ok((rest, summary))
    }
}

impl fmt::Debug for ParquetEncoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParquetEncoder")
            .field("rows", &self.rows)
            .field("memory_bytes", &self.memory_bytes())
            .finish_non_exhaustive()
    }
}

fn failed(error: ParquetError) -> Error {
    Error::new(ErrorKind::Internal, "the Parquet encoder failed").with_source(error)
}
