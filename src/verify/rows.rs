//! What the rows of one chunk add up to: NULLs, the bounds of its key, the wire digest.
//!
//! Owns the sums and the encoding back into COPY tuples. It judges nothing.

use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, ArrowPrimitiveType, PrimitiveArray, RecordBatch};
use arrow_schema::{DataType, TimeUnit};

use super::rehash::Rehash;
use crate::error::Result;
use crate::file::IntegerStatistics;
use crate::mapping::TableMapping;

/// The sums over the rows of a chunk, object after object.
pub(super) struct RowSums {
    pub(super) rows: u64,
    /// NULLs of each column.
    pub(super) null_counts: Vec<u64>,
    /// The key's column, and what it holds.
    pub(super) key: Option<(usize, IntegerStatistics)>,
    /// The rows encoded again, where that is asked for.
    pub(super) rehash: Option<Rehash>,
}

impl RowSums {
    /// Sums over rows of `columns` columns; `key` is the index of the chunk's key among them.
    pub(super) fn new(columns: usize, key: Option<usize>) -> Self {
        Self {
            rows: 0,
            null_counts: vec![0; columns],
            key: key.map(|column| (column, IntegerStatistics::default())),
            rehash: None,
        }
    }

    /// Takes in a batch of the manifest's columns.
    ///
    /// # Errors
    ///
    /// A value that has no COPY form: the object was not made by an export.
    pub(super) fn take(&mut self, batch: &RecordBatch) -> Result<()> {
        for (nulls, column) in self.null_counts.iter_mut().zip(batch.columns()) {
            *nulls += column.null_count() as u64;
        }
        if let Some((column, seen)) = &mut self.key
            && let Some(keys) = batch.columns().get(*column)
        {
            seen.nulls += keys.null_count() as u64;
            if let Some((min, max)) = integer_bounds(keys) {
                seen.extend(min, max);
            }
        }
        if let Some(rehash) = &mut self.rehash {
            rehash.take(batch, self.rows)?;
        }
        self.rows += batch.num_rows() as u64;
        Ok(())
    }
}

/// The least and the greatest value of an array of integers, days or microseconds.
fn integer_bounds(keys: &ArrayRef) -> Option<(i64, i64)> {
    match keys.data_type() {
        DataType::Int16 => bounds(keys.as_primitive::<Int16Type>()),
        DataType::Int32 => bounds(keys.as_primitive::<Int32Type>()),
        DataType::Int64 => bounds(keys.as_primitive::<Int64Type>()),
        DataType::Date32 => bounds(keys.as_primitive::<Date32Type>()),
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            bounds(keys.as_primitive::<TimestampMicrosecondType>())
        }
        _ => None,
    }
}

fn bounds<T: ArrowPrimitiveType>(keys: &PrimitiveArray<T>) -> Option<(i64, i64)>
where
    i64: From<T::Native>,
{
    let valid = |row: &usize| !keys.is_null(*row);
    let values = (0..keys.len())
        .filter(valid)
        .map(|row| i64::from(keys.value(row)));
    values.fold(None, |seen, value| match seen {
        None => Some((value, value)),
        Some((min, max)) => Some((value.min(min), value.max(max))),
    })
}

/// Where a column stands in the mapping.
pub(super) fn column_index(mapping: &TableMapping, name: &str) -> Option<usize> {
    let mut fields = mapping.schema.fields().iter();
    fields.position(|field| field.name() == name)
}
