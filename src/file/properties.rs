//! How objects are encoded: codec, pages, dictionaries, statistics.

use arrow_schema::{DataType, Schema};
use parquet::basic::{BrotliLevel, Compression as Codec, Encoding, GzipLevel, ZstdLevel};
use parquet::errors::Result;
use parquet::file::metadata::{KeyValue, SortingColumn};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use crate::options::{Compression, DEFAULT_ROW_GROUP_BYTES};

/// Rows that close a row group.
pub(super) const ROW_GROUP_ROWS: usize = 1 << 20;
/// Uncompressed bytes that close a data page; each column holds one open.
const PAGE_BYTES: usize = 256 << 10;
/// Rows that close a data page: what a reader that seeks by page index has to skip at most.
const PAGE_ROWS: usize = 20_000;
/// Bytes at which a column's dictionary is given up; wide tables get less for each column.
const DICTIONARY_BYTES: usize = 1 << 20;
/// A dictionary this small costs nothing worth saving.
const LEAST_DICTIONARY_BYTES: usize = 16 << 10;

/// How one object is encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParquetOptions {
    /// How pages are compressed. Default zstd, level 3.
    pub compression: Compression,
    /// Encoded bytes that close a row group. Default [`DEFAULT_ROW_GROUP_BYTES`]. A row group
    /// also closes when its encoder holds twice that in memory, or at 1,048,576 rows.
    pub row_group_bytes: usize,
    /// The integer, date or timestamp column (an index into the schema) that rows ascend by,
    /// NULLs last. It is packed as deltas, and the file says that it is sorted.
    pub sorted_by: Option<usize>,
    /// Key-value metadata of the file.
    pub metadata: Vec<(String, String)>,
}

impl Default for ParquetOptions {
    fn default() -> Self {
        Self {
            compression: Compression::default(),
            row_group_bytes: DEFAULT_ROW_GROUP_BYTES,
            sorted_by: None,
            metadata: Vec::new(),
        }
    }
}

/// The writer properties for a schema.
pub(super) fn writer_properties(
    schema: &Schema,
    options: &ParquetOptions,
) -> Result<WriterProperties> {
    let columns = schema.fields().len().max(1);
    let dictionary_bytes =
        (options.row_group_bytes / columns).clamp(LEAST_DICTIONARY_BYTES, DICTIONARY_BYTES);
    let metadata = options
        .metadata
        .iter()
        .map(|(key, value)| KeyValue::new(key.clone(), value.clone()))
        .collect::<Vec<_>>();
    let mut builder = WriterProperties::builder()
        .set_compression(codec(options.compression)?)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_data_page_size_limit(PAGE_BYTES)
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_dictionary_page_size_limit(dictionary_bytes)
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_key_value_metadata((!metadata.is_empty()).then_some(metadata));
    let sorted_by = options.sorted_by.filter(|index| {
        schema
            .fields()
            .get(*index)
            .is_some_and(|field| is_integer(field.data_type()))
    });
    if let Some(index) = sorted_by {
        // A sorted key has no use for a dictionary, and its deltas are small.
        let path = ColumnPath::new(vec![schema.field(index).name().clone()]);
        builder = builder
            .set_column_encoding(path.clone(), Encoding::DELTA_BINARY_PACKED)
            .set_column_dictionary_enabled(path, false)
            .set_sorting_columns(Some(vec![SortingColumn {
                column_idx: index as i32,
                descending: false,
                nulls_first: false,
            }]));
    }
    Ok(builder.build())
}

/// Types that are integers in Parquet as in Arrow.
fn is_integer(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Int8
            | DataType::Int16
            | DataType::Int32
            | DataType::Int64
            | DataType::Date32
            | DataType::Timestamp(..)
    )
}

fn codec(compression: Compression) -> Result<Codec> {
    Ok(match compression {
        Compression::Zstd(level) => Codec::ZSTD(ZstdLevel::try_new(level)?),
        Compression::Snappy => Codec::SNAPPY,
        // The unframed LZ4 of old files is read differently by different readers.
        Compression::Lz4 => Codec::LZ4_RAW,
        Compression::Gzip(level) => Codec::GZIP(GzipLevel::try_new(level)?),
        Compression::Brotli(level) => Codec::BROTLI(BrotliLevel::try_new(level)?),
        Compression::None => Codec::UNCOMPRESSED,
    })
}
