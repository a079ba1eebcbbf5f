//! Values kept beside the data because their column cannot hold them, read back.
//!
//! Owns the form of an `_exceptions/` object: one row a value, with its chunk, its row in the
//! chunk, its column, PostgreSQL's text and its bytes in the COPY tuple. The text is for people;
//! only the bytes are put back.

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
/// What a held exception takes besides its bytes.
const OVERHEAD_BYTES: usize = 64;

/// The exceptions of one chunk, gathered.
pub(super) struct Exceptions {
    chunk: ChunkId,
    mapping: Arc<TableMapping>,
    held: Vec<Exception>,
    held_bytes: usize,
    /// How many there are, held or not.
    pub(super) values: u64,
}

impl Exceptions {
    /// Those of a chunk, none yet.
    pub(super) fn new(chunk: ChunkId, mapping: Arc<TableMapping>) -> Self {
        Self {
            chunk,
            mapping,
            held: Vec::new(),
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
        self.held_bytes = self.held_bytes.saturating_add(wire.len() + OVERHEAD_BYTES);
        if self.held_bytes > MAX_HELD_BYTES {
            self.held = Vec::new();
            return;
        }
        self.held.push(Exception {
            row,
            column,
            wire: wire.into(),
        });
    }

    /// All of them in the order of their rows; `None` when they were too many to be held.
    pub(super) fn into_held(mut self) -> Option<Vec<Exception>> {
        self.held.sort_by_key(|one| one.row);
        (self.held_bytes <= MAX_HELD_BYTES).then_some(self.held)
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
        let held = gathered.into_held().unwrap();
        let rows: Vec<u64> = held.iter().map(|one| one.row).collect();
        assert_eq!(rows, [2, 5, 9]);
        assert_eq!((held[0].column, &held[0].wire[..]), (0, &[7_u8; 8][..]));
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
        gathered.held_bytes = MAX_HELD_BYTES - 100;
        gathered.take(&batch(3, &[1, 2, 3], "at")).unwrap();
        assert_eq!(gathered.values, 3);
        assert!(gathered.into_held().is_none());
    }
}
