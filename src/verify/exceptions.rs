//! Values kept beside the data because their column cannot hold them, read back.
//!
//! Owns the form of an `_exceptions/` object: one row a value, with its chunk, its row in the
//! chunk, its column, PostgreSQL's text and its bytes in the COPY tuple. The text is for people;
//! only the bytes are put back.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, RecordBatch};
use arrow_schema::DataType;

use super::rows::column_index;
use crate::chunk::ChunkId;
use crate::copy::Exception;
use crate::error::{Error, ErrorKind, Result};
use crate::mapping::TableMapping;

/// Bytes of exceptions that are held of one chunk, at most. One of more is not encoded again.
const MAX_HELD_BYTES: usize = 256 << 20;
/// What an exception takes: its row, and which value it is.
const PLACE_BYTES: usize = size_of::<(u64, u32)>();
/// What a distinct value takes besides its bytes.
const VALUE_BYTES: usize = 128;

/// The exceptions of one chunk, gathered.
pub(super) struct Exceptions {
    chunk: ChunkId,
    mapping: Arc<TableMapping>,
    /// The index of each distinct value of each column.
    values_of: Vec<HashMap<Box<[u8]>, u32>>,
    distinct: u32,
    /// The row of each exception, and the index of its value.
    places: Vec<(u64, u32)>,
    held_bytes: usize,
    /// How many there are, held or not.
    pub(super) values: u64,
}

impl Exceptions {
    /// Those of a chunk, none yet.
    pub(super) fn new(chunk: ChunkId, mapping: Arc<TableMapping>) -> Self {
        Self {
            chunk,
            values_of: vec![HashMap::new(); mapping.columns.len()],
            mapping,
            distinct: 0,
            places: Vec::new(),
            held_bytes: 0,
            values: 0,
        }
    }

    /// Takes in a batch of an `_exceptions/` object.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Storage`] when it has not the columns of one, or is not of this chunk.
    pub(super) fn take(&mut self, batch: &RecordBatch) -> Result<()> {
        let wrong = |message: &str| Error::new(ErrorKind::Storage, message);
        let typed = |name: &str, data_type: &DataType| {
            let column = batch.column_by_name(name);
            let column = column.filter(|column| column.data_type() == data_type);
            let column = column.filter(|column| column.null_count() == 0);
            column.ok_or_else(|| wrong("it has not the columns of kept exceptions"))
        };
        let chunks = typed("chunk", &DataType::Int64)?.as_primitive::<Int64Type>();
        let rows = typed("row", &DataType::Int64)?.as_primitive::<Int64Type>();
        let columns = typed("column", &DataType::Utf8)?.as_string::<i32>();
        let wires = typed("wire", &DataType::Binary)?.as_binary::<i32>();
        for at in 0..batch.num_rows() {
            if chunks.value(at) != i64::from(self.chunk.0) {
                return Err(wrong("it holds exceptions of another chunk"));
            }
            let row = u64::try_from(rows.value(at)).ok();
            let column = column_index(&self.mapping, columns.value(at));
            let (Some(row), Some(column)) = (row, column) else {
                return Err(wrong("it holds an exception of no row or column"));
            };
            self.hold(row, column, wires.value(at));
        }
        Ok(())
    }

    fn hold(&mut self, row: u64, column: usize, wire: &[u8]) {
        self.values += 1;
        let known = self.values_of.get(column).and_then(|of| of.get(wire));
        let known = known.copied();
        let value_bytes = known.map_or(wire.len() + VALUE_BYTES, |_| 0);
        self.held_bytes = self.held_bytes.saturating_add(PLACE_BYTES + value_bytes);
        if self.held_bytes > MAX_HELD_BYTES {
            // What follows is only counted.
            self.held_bytes = usize::MAX;
            self.places = Vec::new();
            self.values_of.clear();
            return;
        }
        let value = known.unwrap_or_else(|| {
            let value = self.distinct;
            if let Some(of) = self.values_of.get_mut(column) {
                of.insert(wire.into(), value);
            }
            // The bound on bytes keeps it far below 2^32.
            self.distinct += 1;
            value
        });
        self.places.push((row, value));
    }

    /// All of them in the order of their rows; `None` when they were too many to be held.
    pub(super) fn into_held(mut self) -> Option<HeldExceptions> {
        if self.held_bytes > MAX_HELD_BYTES {
            return None;
        }
        self.places.sort_unstable();
        let mut values = vec![(0, Box::default()); self.distinct as usize];
        for (column, of) in self.values_of.into_iter().enumerate() {
            for (wire, value) in of {
                values[value as usize] = (column, wire);
            }
        }
        Some(HeldExceptions {
            values,
            places: self.places,
            next: 0,
        })
    }
}

/// The exceptions of one chunk in the order of their rows, each distinct value held once.
#[derive(Debug, Default)]
pub(super) struct HeldExceptions {
    /// Column and wire form.
    values: Vec<(usize, Box<[u8]>)>,
    /// Row, and index into the values.
    places: Vec<(u64, u32)>,
    /// The first one that was not taken.
    next: usize,
}

impl HeldExceptions {
    /// Takes those of the rows from `first` on and before `until`, their rows counted from
    /// `first`. Rows come in order: none that is left lies before `first`.
    pub(super) fn take(&mut self, first: u64, until: u64) -> Vec<Exception> {
        let left = &self.places[self.next..];
        let here = left.partition_point(|(row, _)| *row < until);
        self.next += here;
        let here = left[..here].iter().map(|(row, value)| {
            let (column, wire) = &self.values[*value as usize];
            Exception {
                row: row.wrapping_sub(first),
                column: *column,
                wire: wire.clone(),
            }
        });
        here.collect()
    }

    /// Whether some were not taken: there was no row for them.
    pub(super) fn has_spare(&self) -> bool {
        self.next < self.places.len()
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::{ArrayRef, BinaryArray, Int64Array, StringArray};

    use super::*;
    use crate::mapping::{MappingOptions, map_table};
    use crate::pg_type::PgType;
    use crate::table::Column;

    fn exceptions() -> Exceptions {
        let column = Column::new("at", PgType::Timestamp);
        let mapping = map_table(&[column], &MappingOptions::default()).unwrap();
        Exceptions::new(ChunkId(3), Arc::new(mapping))
    }

    fn batch(chunk: i64, rows: &[i64], column: &str) -> RecordBatch {
        let count = rows.len();
        let columns: [(&str, ArrayRef); 5] = [
            ("chunk", Arc::new(Int64Array::from(vec![chunk; count]))),
            ("row", Arc::new(Int64Array::from(rows.to_vec()))),
            ("column", Arc::new(StringArray::from(vec![column; count]))),
            ("text", Arc::new(StringArray::from(vec!["infinity"; count]))),
            (
                "wire",
                Arc::new(BinaryArray::from(vec![&[7_u8; 8][..]; count])),
            ),
        ];
        RecordBatch::try_from_iter(columns).unwrap()
    }

    #[test]
    fn exceptions_come_in_the_order_of_their_rows() {
        let mut gathered = exceptions();
        gathered.take(&batch(3, &[9, 2], "at")).unwrap();
        gathered.take(&batch(3, &[5], "at")).unwrap();
        assert_eq!(gathered.values, 3);
        let mut held = gathered.into_held().unwrap();
        let mut rows = |first, until| -> Vec<u64> {
            let taken = held.take(first, until);
            let seven = |one: &Exception| (one.column, &one.wire[..]) == (0, &[7; 8][..]);
            assert!(taken.iter().all(seven));
            taken.iter().map(|one| one.row).collect()
        };
        assert_eq!(rows(0, 5), [2]);
        assert_eq!(rows(5, 9), [0]);
        assert_eq!(rows(9, 9), [0_u64; 0]);
        assert!(held.has_spare());
        assert_eq!(held.take(9, 10).len(), 1);
        assert!(!held.has_spare());
    }

    #[test]
    fn an_equal_value_is_held_once() {
        let mut gathered = exceptions();
        let rows: Vec<i64> = (0..60_000).collect();
        for _ in 0..70 {
            gathered.take(&batch(3, &rows, "at")).unwrap();
        }
        assert_eq!(gathered.values, 4_200_000);
        let held = gathered.into_held().expect("they are few enough");
        assert_eq!((held.values.len(), held.places.len()), (1, 4_200_000));
    }

    #[test]
    fn what_is_of_another_chunk_column_or_form_is_refused() {
        for bad in [
            batch(4, &[1], "at"),
            batch(3, &[-1], "at"),
            batch(3, &[1], "on"),
            batch(3, &[1], "at").project(&[0, 1, 2, 3]).unwrap(),
        ] {
            assert!(exceptions().take(&bad).is_err());
        }
    }

    #[test]
    fn too_many_are_counted_and_not_held() {
        let mut gathered = exceptions();
        gathered.held_bytes = MAX_HELD_BYTES - VALUE_BYTES - 8 - 2 * PLACE_BYTES;
        gathered.take(&batch(3, &[1, 2, 3], "at")).unwrap();
        assert_eq!(gathered.values, 3);
        assert!(gathered.into_held().is_none());
    }
}
