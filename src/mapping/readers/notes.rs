//! What to know of readers, in words, and the pages that the answers rest on.
//!
//! Owns text only. Labels are the reader's letter (N: Snowflake) and a number; a test holds them
//! against the answers.

use serde::Serialize;

use super::Reader;

/// What to know of a reader and a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Note {
    /// The reader's letter and a number.
    pub label: &'static str,
    /// One or two sentences.
    pub text: &'static str,
}

/// A page that answers rest on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Source {
    /// Whose it is.
    pub reader: Reader,
    /// What it is.
    pub title: &'static str,
    /// Where it is.
    pub url: &'static str,
}

/// What to know, by label, in the order of the readers.
#[must_use]
pub const fn notes() -> &'static [Note] {
    &NOTES
}

/// The pages that answers rest on.
#[must_use]
pub const fn sources() -> &'static [Source] {
    &SOURCES
}

const fn note(label: &'static str, text: &'static str) -> Note {
    Note { label, text }
}

#[rustfmt::skip]
const NOTES: [Note; 28] = [
    note("D1", "More than 38 digits are read as DOUBLE: digits beyond the 15th or so are lost, and nothing warns. pyarrow reads them exactly; Polars refuses the file."),
    note("D2", "The latest microsecond, 294247-01-10 04:00:54.775807, is DuckDB's own infinity and shown so."),
    note("D3", "The text of instants some hundred thousand years ahead is a millisecond off; epoch_us() is right."),
    note("S1", "Spark does not open the file, not even for its other columns, unless the schema is given by hand: with the column as binary it reads the bytes, and one left out does no harm."),
    note("S2", "As S1: Spark's decimals end at 38 digits, and as binary the column is the bytes of the unscaled numbers."),
    note("S3", "Spark 3.5 does not open the file. Spark 4.3 does with spark.sql.timeType.enabled, and then fails at 24:00:00; as bigint in a schema given by hand it reads every time, in microseconds."),
    note("S4", "Spark 3.5 stops at dates before 1582-10-15 unless spark.sql.parquet.datetimeRebaseModeInRead is CORRECTED, which is right for these files and the default since Spark 4.0."),
    note("S5", "As S4, for instants before 1900-01-01. They are shown in the session's time zone."),
    note("T1", "Trino has no unsigned integers: a filter on the column fails with \"Corrupted statistics\" once a value is above 2147483647 (trinodb/trino#27274)."),
    note("T2", "Trino's decimals end at 38 digits."),
    note("T3", "Where the table format knows uuid (Iceberg). A Hive table has no such type: declare varbinary."),
    note("T4", "Where the table format knows time (Iceberg). A Hive table has no such type: declare bigint, in microseconds."),
    note("T5", "The Hive connector rounds to milliseconds unless hive.timestamp-precision is MICROSECONDS."),
    note("T6", "A Hive table declares timestamp, and shows the wall clock of UTC."),
    note("B1", "Only with decimalTargetTypes = NUMERIC, BIGNUMERIC, STRING: the default is NUMERIC alone, and the load fails at the first value outside its range."),
    note("B2", "The table of conversions does not list the type, and says that others are not supported."),
    note("B3", "BigQuery's years are 0001 to 9999; what a load makes of others is not documented."),
    note("B4", "A wall clock becomes an instant: the same digits, in UTC."),
    note("B5", "With list inference (--parquet_enable_list_inference); else `STRUCT<list ARRAY<STRUCT<element …>>>`. A query result shows a NULL array as an empty one, and cannot hold NULL elements."),
    note("B6", "With mapTargetType = ARRAY_OF_STRUCT; else `STRUCT<key_value ARRAY<STRUCT<key …, value …>>>`."),
    note("N1", "For loading not documented; Iceberg tables over Delta files do not support it."),
    note("N2", "NUMBER ends at 38 digits, and Iceberg tables over Delta files do not support wider decimals."),
    note("N3", "For loading not documented; in Iceberg tables it is UUID."),
    note("N4", "With BINARY_AS_TEXT = FALSE, or the vectorized scanner; else the bytes are taken for text."),
    note("N5", "Snowflake recommends years between 1582 and 9999."),
    note("N6", "With USE_LOGICAL_TYPE = TRUE, or the vectorized scanner; else a wall clock is loaded as TIMESTAMP_LTZ or an integer, and an instant as TIMESTAMP_NTZ."),
    note("N7", "With the vectorized scanner (USE_VECTORIZED_SCANNER = TRUE); else NULL fields and NULL elements are left out."),
    note("N8", "With the vectorized scanner an object of the keys; else a list key_value of keys and values, without the NULL values."),
];

const fn source(reader: Reader, title: &'static str, url: &'static str) -> Source {
    Source { reader, title, url }
}

#[rustfmt::skip]
const SOURCES: [Source; 19] = [
    source(Reader::DuckDb, "large decimals become doubles", "https://github.com/duckdb/duckdb/pull/9770"),
    source(Reader::Spark, "what Spark makes of each Parquet type", "https://github.com/apache/spark/blob/master/sql/core/src/main/scala/org/apache/spark/sql/execution/datasources/parquet/ParquetSchemaConverter.scala"),
    source(Reader::Spark, "UUID columns", "https://github.com/apache/spark/issues/55684"),
    source(Reader::Spark, "Parquet in Spark 3.5", "https://spark.apache.org/docs/3.5.7/sql-data-sources-parquet.html"),
    source(Reader::Spark, "CORRECTED by default since 4.0", "https://issues.apache.org/jira/browse/SPARK-46440"),
    source(Reader::Trino, "data types", "https://trino.io/docs/current/language/types.html"),
    source(Reader::Trino, "Hive connector", "https://trino.io/docs/current/connector/hive.html"),
    source(Reader::Trino, "Iceberg connector", "https://trino.io/docs/current/connector/iceberg.html"),
    source(Reader::Trino, "its Parquet readers", "https://github.com/trinodb/trino/blob/master/lib/trino-parquet/src/main/java/io/trino/parquet/reader/ColumnReaderFactory.java"),
    source(Reader::Trino, "unsigned statistics", "https://github.com/trinodb/trino/issues/27274"),
    source(Reader::BigQuery, "Parquet conversions", "https://docs.cloud.google.com/bigquery/docs/loading-data-cloud-storage-parquet"),
    source(Reader::BigQuery, "decimalTargetTypes", "https://cloud.google.com/bigquery/docs/reference/rest/v2/tables#DecimalTargetType"),
    source(Reader::BigQuery, "mapTargetType", "https://cloud.google.com/bigquery/docs/reference/rest/v2/tables#MapTargetType"),
    source(Reader::BigQuery, "ranges, NULL in arrays", "https://cloud.google.com/bigquery/docs/reference/standard-sql/data-types"),
    source(Reader::Snowflake, "options of Parquet files", "https://docs.snowflake.com/en/sql-reference/sql/create-file-format"),
    source(Reader::Snowflake, "the same, with what its scanners make of times, maps and NULL", "https://docs.snowflake.com/en/sql-reference/sql/alter-stage"),
    source(Reader::Snowflake, "data types", "https://docs.snowflake.com/en/sql-reference/intro-summary-data-types"),
    source(Reader::Snowflake, "dates and times", "https://docs.snowflake.com/en/sql-reference/data-types-datetime"),
    source(Reader::Snowflake, "Iceberg tables, Delta files", "https://docs.snowflake.com/en/user-guide/tables-iceberg-data-types"),
];
