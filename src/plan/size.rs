//! How large chunks should be, so that their objects have the size that was asked for.
//!
//! Owns the sample that tells what a row takes in Parquet, and the arithmetic from there to rows
//! and bytes of table. It cuts nothing. The sample is a few pages of the largest relation: never
//! a scan.

use crate::copy::{BatchLimits, CopyDecoder};
use crate::error::{Error, ErrorKind, Result};
use crate::file::{ParquetEncoder, ParquetOptions};
use crate::mapping::{MappingOptions, map_table};
use crate::options::{ExportOptions, OnUnrepresentable};
use crate::pg::Session;
use crate::pg::sql::{quote_table, select_items, select_list};
use crate::plan::split::Limits;
use crate::table::{Relation, RelationKind, TableSchema};

/// Smaller tables are not worth a sample: they fit into few chunks however they are cut.
const LEAST_SAMPLED_BYTES: u64 = 64 << 20;
/// Pages that a sample reads, about.
const SAMPLE_PAGES: u64 = 96;
/// Rows of a sample, at most.
const SAMPLE_ROWS: u64 = 20_000;
/// Bytes of table (by its average) that a sample reads, at most; one row at least.
const SAMPLE_BYTES: u64 = 8 << 20;
/// No chunk is planned smaller only to keep workers busy.
const LEAST_SHARED_BYTES: u64 = 64 << 20;
/// No chunk is planned larger: what a failed try has to read again.
const MOST_CHUNK_BYTES: u64 = 2 << 30;
/// Chunks that each worker should have, so that all of them end about together.
const CHUNKS_A_WORKER: u64 = 2;

/// What a few rows took on the wire and in Parquet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sample {
    /// Rows, at least one.
    pub(crate) rows: u64,
    /// Bytes of COPY.
    pub(crate) copy_bytes: u64,
    /// Bytes of Parquet, at least one.
    pub(crate) parquet_bytes: u64,
}

/// Takes a sample of a table's largest relation; `None` where the options leave nothing to derive,
/// where it is small, or where it cannot be sampled (a view, a query, a value that its column
/// cannot hold: the export itself will tell).
///
/// # Errors
///
/// The transaction's own end; a sample that fails only is none.
pub(crate) async fn take_sample(
    session: &Session,
    schema: &TableSchema,
    options: &ExportOptions,
) -> Result<Option<Sample>> {
    let is_given = options.chunk_rows.is_some() || options.chunk_bytes.is_some();
    let is_sampled = matches!(
        schema.kind,
        RelationKind::Table | RelationKind::Partitioned | RelationKind::MaterializedView
    );
    let largest = schema.relations.iter().max_by_key(|one| one.table_bytes);
    let largest = largest.filter(|one| one.table_bytes >= LEAST_SAMPLED_BYTES);
    let (Some(relation), true) = (largest, is_sampled && !is_given) else {
        return Ok(None);
    };
    let what = "a sample could not be taken";
    session.execute(what, "SAVEPOINT sample").await?;
    let sampled = read_sample(session, schema, relation, options).await;
    let end = "ROLLBACK TO SAVEPOINT sample; RELEASE SAVEPOINT sample";
    session.execute(what, end).await?;
    match sampled {
        Ok(sample) => Ok(sample),
        Err(error)
            if error.kind() == ErrorKind::Data
                || error.kind() == ErrorKind::Source && !error.is_retryable() =>
        {
            tracing::warn!(
                table = %schema.name, %error,
                "the table could not be sampled: its chunks are sized by its bytes alone"
            );
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

async fn read_sample(
    session: &Session,
    schema: &TableSchema,
    relation: &Relation,
    options: &ExportOptions,
) -> Result<Option<Sample>> {
    let mapping = map_table(
        &schema.columns,
        &MappingOptions {
            profile: options.profile,
            overrides: options.maps.clone(),
            // What cannot be held takes a NULL here; only sizes count.
            on_unrepresentable: match options.on_unrepresentable {
                OnUnrepresentable::Error => OnUnrepresentable::Exceptions,
                other => other,
            },
        },
    )?;
    let select = format!(
        "SELECT {} FROM ONLY {} TABLESAMPLE SYSTEM ({:.9}) REPEATABLE (1) LIMIT {}",
        select_items(&select_list(schema, &mapping)),
        quote_table(&relation.name),
        sampled_percent(relation.heap_pages),
        sampled_rows(relation)
    );
    let mut decoder = CopyDecoder::new(
        &mapping,
        BatchLimits {
            bytes: options.batch_bytes,
            rows: options.batch_rows,
        },
    );
    let parquet = ParquetOptions {
        compression: options.compression,
        row_group_bytes: options.row_group_bytes,
        ..ParquetOptions::default()
    };
    let mut encoder = ParquetEncoder::new(mapping.schema.clone(), &parquet)?;
    let mut stream = session.copy_out(&select).await?;
    while let Some(bytes) = stream.next().await? {
        decoder.push(&bytes)?;
        decoder.take_exceptions();
        while decoder.is_batch_ready() {
            encode(&mut decoder, &mut encoder)?;
        }
    }
    while encode(&mut decoder, &mut encoder)? {}
    let read = decoder.finish()?;
    let (_, written) = encoder.finish()?;
    Ok((read.rows > 0).then_some(Sample {
        rows: read.rows,
        copy_bytes: read.bytes,
        parquet_bytes: written.bytes.max(1),
    }))
}

fn encode(decoder: &mut CopyDecoder, encoder: &mut ParquetEncoder) -> Result<bool> {
    let Some(batch) = decoder.take_batch().map_err(Error::from)? else {
        return Ok(false);
    };
    encoder.write(&batch)?;
    // Only the sum of its bytes is wanted.
    while encoder.take_encoded().is_some() {}
    Ok(true)
}

/// The percentage of pages that makes [`SAMPLE_PAGES`].
fn sampled_percent(heap_pages: u64) -> f64 {
    let pages = heap_pages.max(1) as f64;
    (SAMPLE_PAGES as f64 * 100.0 / pages).min(100.0)
}

/// As many rows as [`SAMPLE_BYTES`] of table hold on average.
fn sampled_rows(relation: &Relation) -> u64 {
    let rows = relation.estimated_rows.unwrap_or(0);
    match relation.table_bytes.checked_div(rows) {
        None => SAMPLE_ROWS,
        Some(row_bytes) => (SAMPLE_BYTES / row_bytes.max(1)).clamp(1, SAMPLE_ROWS),
    }
}

/// The limits of a relation's chunks: those that were given; else what a sample says an object of
/// the target size takes; else the target size in table bytes.
pub(crate) fn limits(
    relation: &Relation,
    sample: Option<Sample>,
    options: &ExportOptions,
) -> Limits {
    let target = options.target_object_bytes.max(1);
    let scaled = |by: u64, per: u64| {
        // Far below 2^128; what does not fit an u64 is no limit.
        let product = u128::from(target) * u128::from(by) / u128::from(per.max(1));
        u64::try_from(product).unwrap_or(u64::MAX).max(1)
    };
    let rows = sample.map(|sample| scaled(sample.rows, sample.parquet_bytes));
    let in_table = match (rows, relation.estimated_rows) {
        (Some(rows), Some(all)) if all > 0 => {
            let bytes = u128::from(rows) * u128::from(relation.table_bytes) / u128::from(all);
            u64::try_from(bytes).unwrap_or(u64::MAX)
        }
        _ => sample.map_or(target, |sample| {
            scaled(sample.copy_bytes, sample.parquet_bytes)
        }),
    };
    let shares = CHUNKS_A_WORKER * options.workers.get() as u64;
    let shared = (relation.table_bytes / shares).max(LEAST_SHARED_BYTES);
    let derived = in_table.min(shared).min(MOST_CHUNK_BYTES);
    match (options.chunk_rows, options.chunk_bytes) {
        (None, None) => Limits {
            chunk_rows: rows.unwrap_or(u64::MAX),
            chunk_bytes: derived,
        },
        (rows, bytes) => Limits {
            chunk_rows: rows.unwrap_or(u64::MAX),
            chunk_bytes: bytes.unwrap_or(derived),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::TableName;

    fn relation(table_bytes: u64, estimated_rows: Option<u64>) -> Relation {
        Relation {
            name: TableName::new("s", "t"),
            oid: 1,
            has_ctid: true,
            table_bytes,
            heap_pages: table_bytes / 8192,
            estimated_rows,
        }
    }

    const SAMPLE: Sample = Sample {
        rows: 1000,
        copy_bytes: 100_000,
        parquet_bytes: 25_000,
    };

    #[test]
    fn chunks_hold_what_makes_an_object_of_the_target_size() {
        let options = ExportOptions::new(Vec::new());
        // A billion rows of 128 bytes of table, 25 of Parquet: 10.7 million rows an object.
        let limits = limits(&relation(128 << 30, Some(1 << 30)), Some(SAMPLE), &options);
        assert_eq!(limits.chunk_rows, (256 << 20) / 25);
        assert_eq!(limits.chunk_bytes, (256 << 20) / 25 * 128);
    }

    #[test]
    fn a_chunk_stays_small_enough_to_be_read_again_and_to_be_shared() {
        let mut options = ExportOptions::new(Vec::new());
        options.target_object_bytes = 1 << 40;
        let huge = limits(&relation(1 << 40, Some(1 << 30)), Some(SAMPLE), &options);
        assert_eq!(huge.chunk_bytes, MOST_CHUNK_BYTES);
        let small = limits(&relation(1 << 30, Some(1 << 23)), Some(SAMPLE), &options);
        assert_eq!(small.chunk_bytes, (1 << 30) / 4);
        let tiny = limits(&relation(100 << 20, Some(1 << 20)), None, &options);
        assert_eq!(tiny.chunk_bytes, LEAST_SHARED_BYTES);
    }

    #[test]
    fn what_was_given_is_kept() {
        let mut options = ExportOptions::new(Vec::new());
        options.chunk_rows = Some(7);
        let given = limits(&relation(1 << 30, None), None, &options);
        assert_eq!((given.chunk_rows, given.chunk_bytes), (7, 256 << 20));
        options.chunk_bytes = Some(9000);
        let given = limits(&relation(1 << 30, None), None, &options);
        assert_eq!((given.chunk_rows, given.chunk_bytes), (7, 9000));
    }

    #[test]
    fn a_sample_is_a_few_pages_and_rows_of_any_table() {
        assert_eq!(sampled_percent(10), 100.0);
        assert!(sampled_percent(16 << 20) < 0.001);
        assert_eq!(sampled_rows(&relation(1 << 30, None)), SAMPLE_ROWS);
        assert_eq!(sampled_rows(&relation(1 << 40, Some(1 << 10))), 1);
    }
}
