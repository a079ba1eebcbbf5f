//! Values that their columns cannot hold: gathered while a chunk is read, given PostgreSQL's own
//! text, and written to an object beside the chunk's own.
//!
//! Owns what is held of them meanwhile, and the bound on it. It decides nothing about types.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::builder::{BinaryBuilder, Int64Builder, StringBuilder};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use futures::future::try_join_all;

use crate::chunk::ChunkId;
use crate::copy::Exception;
use crate::error::{Error, ErrorKind, Result};
use crate::pg::Session;
use crate::table::Column;

/// The most that the exceptions of one chunk may take, in bytes.
pub(crate) const MAX_EXCEPTION_BYTES: usize = 64 << 20;
/// What a distinct value takes beside its bytes and its text: its places in a table and a list,
/// both of which double, and the overhead of two allocations.
const VALUE_BYTES: usize = 288;
/// Occurrences are packed into blocks of this size, which never move.
const BLOCK_BYTES: usize = 64 << 10;
/// The longest packed occurrence: a row and a value, seven bits a byte.
const MAX_PACKED_BYTES: usize = 20;
/// Texts asked for at once: as many values, and as many bytes.
const TEXTS_AT_ONCE: usize = 16;
const TEXT_BYTES_AT_ONCE: usize = 1 << 20;
/// What makes a batch of the object full.
const BATCH_ROWS: usize = 8192;
const BATCH_BYTES: usize = 1 << 20;

/// The exceptions of one chunk, in order of row and column.
///
/// # Memory usage
///
/// At most [`MAX_EXCEPTION_BYTES`]: each distinct value once, with its text, and each occurrence
/// as two to five bytes. Beyond that it is an error.
pub(crate) struct Gathered {
    values: Vec<Value>,
    /// For each column, the value that these bytes are.
    known: Vec<HashMap<Arc<[u8]>, usize>>,
    /// Packed occurrences: rows since the one before, and a value.
    blocks: Vec<Vec<u8>>,
    last_row: u64,
    count: u64,
    bytes: usize,
    most_bytes: usize,
}

struct Value {
    column: usize,
    wire: Arc<[u8]>,
    text: Box<str>,
}

impl Gathered {
    /// Nothing yet, of a table with so many columns.
    pub(crate) fn new(columns: usize, most_bytes: usize) -> Self {
        Self {
            values: Vec::new(),
            known: vec![HashMap::new(); columns],
            blocks: Vec::new(),
            last_row: 0,
            count: 0,
            bytes: 0,
            most_bytes,
        }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// Adds those of the next rows.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Data`] when there are too many of them in the chunk.
    pub(crate) fn add(&mut self, mut exceptions: Vec<Exception>) -> Result<()> {
        // A decoder goes through its rows column by column.
        exceptions.sort_unstable_by_key(|exception| (exception.row, exception.column));
        for exception in exceptions {
            let value = self.value_of(exception.column, &exception.wire)?;
            let rows_on = exception
                .row
                .checked_sub(self.last_row)
                .ok_or_else(|| Error::new(ErrorKind::Internal, "exceptions came out of order"))?;
            self.last_row = exception.row;
            self.count += 1;
            let block = self.block_with_room()?;
            pack(block, rows_on);
            pack(block, value as u64);
        }
        Ok(())
    }

    fn value_of(&mut self, column: usize, wire: &[u8]) -> Result<usize> {
        if let Some(value) = self.known[column].get(wire) {
            return Ok(*value);
        }
        self.take_bytes(VALUE_BYTES + wire.len())?;
        let wire: Arc<[u8]> = wire.into();
        let value = self.values.len();
        self.known[column].insert(Arc::clone(&wire), value);
        self.values.push(Value {
            column,
            wire,
            text: Box::default(),
        });
        Ok(value)
    }

    fn block_with_room(&mut self) -> Result<&mut Vec<u8>> {
        let has_room = |block: &Vec<u8>| block.len() + MAX_PACKED_BYTES <= BLOCK_BYTES;
        if !self.blocks.last().is_some_and(has_room) {
            self.take_bytes(BLOCK_BYTES)?;
            self.blocks.push(Vec::with_capacity(BLOCK_BYTES));
        }
        let missing = || Error::new(ErrorKind::Internal, "there is no block");
        self.blocks.last_mut().ok_or_else(missing)
    }

    fn take_bytes(&mut self, bytes: usize) -> Result<()> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes <= self.most_bytes {
            return Ok(());
        }
        let most = self.most_bytes >> 20;
        let message = format!("the exceptions of one chunk take more than {most} MiB");
        Err(Error::new(ErrorKind::Data, message).with_advice(
            "read such columns as text, with --on-unrepresentable text or --map COLUMN=text, or \
             cut smaller chunks with --chunk-rows",
        ))
    }

    /// Asks the server for the text of each distinct value.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Source`]; [`ErrorKind::Data`] when the texts take too much.
    pub(crate) async fn read_texts(&mut self, session: &Session, columns: &[Column]) -> Result<()> {
        let types = self.types(session, columns).await?;
        let mut from = 0;
        while from < self.values.len() {
            let group = self.group_from(from);
            let mut answers = Vec::with_capacity(group);
            for value in &self.values[from..from + group] {
                let (value_type, named) = (types[value.column], &columns[value.column].name);
                answers.push(text_of(session, value_type, &value.wire, named));
            }
            let texts = try_join_all(answers).await?;
            for (number, text) in texts.into_iter().enumerate() {
                self.take_bytes(text.len())?;
                self.values[from + number].text = text.into_boxed_str();
            }
            from += group;
        }
        Ok(())
    }

    /// The type that each column's values are of; those without exceptions are not looked up.
    async fn types(&self, session: &Session, columns: &[Column]) -> Result<Vec<u32>> {
        let mut types = Vec::with_capacity(columns.len());
        for (column, known) in columns.iter().zip(&self.known) {
            let is_domain = column.base_type.is_some();
            types.push(if is_domain && !known.is_empty() {
                session.base_type(column.type_oid).await?
            } else {
                column.type_oid
            });
        }
        Ok(types)
    }

    /// How many of the values from this one on are asked for at once: at least one.
    fn group_from(&self, from: usize) -> usize {
        let mut bytes = 0;
        let fits = |value: &&Value| {
            bytes += value.wire.len();
            bytes <= TEXT_BYTES_AT_ONCE
        };
        let rest = self.values[from..].iter().take(TEXTS_AT_ONCE);
        rest.take_while(fits).count().max(1)
    }

    /// The batches of the object, in order. A batch holds one value at least.
    pub(crate) fn batches<'a>(
        &'a self,
        chunk: ChunkId,
        names: &'a [Column],
    ) -> impl Iterator<Item = Result<RecordBatch>> + 'a {
        let mut occurrences = self.occurrences().peekable();
        std::iter::from_fn(move || {
            occurrences.peek()?;
            let mut rows = Rows::default();
            while rows.has_room()
                && let Some((row, value)) = occurrences.next()
            {
                let name = names.get(value.column).map_or("", |column| &column.name);
                rows.push(chunk, row, name, value);
            }
            Some(rows.finish())
        })
    }

    /// Each occurrence's row and value.
    fn occurrences(&self) -> impl Iterator<Item = (u64, &Value)> {
        let mut row = 0;
        let packed = self.blocks.iter().flat_map(|block| {
            let mut rest = block.as_slice();
            std::iter::from_fn(move || Some((unpack(&mut rest)?, unpack(&mut rest)?)))
        });
        packed.filter_map(move |(rows_on, value)| {
            row += rows_on;
            let value = self.values.get(usize::try_from(value).ok()?)?;
            Some((row, value))
        })
    }
}

/// The text of a value of a column. There may be none: it is no UTF-8, or part of it is of a domain
/// whose CHECK came later and does not admit it.
async fn text_of(session: &Session, value_type: u32, wire: &[u8], column: &str) -> Result<String> {
    let text = session.text_of(value_type, wire).await;
    text.map_err(|error| match error.is_retryable() {
        // The connection failed, not the value.
        true => error,
        false => Error::new(
            error.kind(),
            format!("column {column:?} holds an exception of which the server gives no text"),
        )
        .with_advice("read the column as text, with --map COLUMN=text, or leave it out")
        .with_source(error),
    })
}

/// Seven bits a byte, the lowest first; the high bit says that more follow.
fn pack(block: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        block.push(number as u8 | 0x80);
        number >>= 7;
    }
    block.push(number as u8);
}

fn unpack(rest: &mut &[u8]) -> Option<u64> {
    let (mut number, mut shift) = (0, 0);
    loop {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        number |= u64::from(byte & 0x7F).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(number);
        }
        shift += 7;
    }
}

/// The schema of an exceptions object.
pub(crate) fn schema() -> SchemaRef {
    let field = |name: &str, data_type| Field::new(name, data_type, false);
    Arc::new(Schema::new(vec![
        field("chunk", DataType::Int64),
        field("row", DataType::Int64),
        field("column", DataType::Utf8),
        field("text", DataType::Utf8),
        field("wire", DataType::Binary),
    ]))
}

/// A batch of the object under construction.
#[derive(Default)]
struct Rows {
    chunk: Int64Builder,
    row: Int64Builder,
    column: StringBuilder,
    text: StringBuilder,
    wire: BinaryBuilder,
    rows: usize,
    bytes: usize,
    /// A row beyond what the format can say.
    is_out_of_range: bool,
}

impl Rows {
    fn has_room(&self) -> bool {
        self.rows < BATCH_ROWS && self.bytes < BATCH_BYTES
    }

    fn push(&mut self, chunk: ChunkId, row: u64, name: &str, value: &Value) {
        let row = i64::try_from(row);
        self.is_out_of_range |= row.is_err();
        self.chunk.append_value(i64::from(chunk.0));
        self.row.append_value(row.unwrap_or_default());
        self.column.append_value(name);
        self.text.append_value(&value.text);
        self.wire.append_value(&value.wire);
        self.rows += 1;
        self.bytes += value.text.len() + value.wire.len();
    }

    fn finish(mut self) -> Result<RecordBatch> {
        let failed = || Error::new(ErrorKind::Internal, "the exceptions make no batch");
        if self.is_out_of_range {
            return Err(failed());
        }
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.chunk.finish()),
            Arc::new(self.row.finish()),
            Arc::new(self.column.finish()),
            Arc::new(self.text.finish()),
            Arc::new(self.wire.finish()),
        ];
        RecordBatch::try_new(schema(), columns).map_err(|error| failed().with_source(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exception(row: u64, column: usize, wire: &[u8]) -> Exception {
        Exception {
            row,
            column,
            wire: wire.into(),
        }
    }

    fn occurrences(gathered: &Gathered) -> Vec<(u64, usize, Vec<u8>)> {
        let found = gathered.occurrences();
        found
            .map(|(row, value)| (row, value.column, value.wire.to_vec()))
            .collect()
    }

    #[test]
    fn exceptions_come_back_by_row_and_column_with_each_value_held_once() {
        let mut gathered = Gathered::new(2, MAX_EXCEPTION_BYTES);
        let first = vec![
            exception(0, 1, b"x"),
            exception(300, 1, b"x"),
            exception(0, 0, b"x"),
        ];
        gathered.add(first).unwrap();
        let far = 1 << 40;
        gathered.add(vec![exception(far, 0, b"")]).unwrap();
        let x = b"x".to_vec();
        assert_eq!(
            occurrences(&gathered),
            [
                (0, 0, x.clone()),
                (0, 1, x.clone()),
                (300, 1, x),
                (far, 0, Vec::new())
            ]
        );
        assert_eq!((gathered.count(), gathered.values.len()), (4, 3));
        assert!(
            gathered.add(vec![exception(5, 0, b"")]).is_err(),
            "out of order"
        );
    }

    #[test]
    fn a_million_occurrences_of_a_value_take_two_mebibytes() {
        let mut gathered = Gathered::new(1, MAX_EXCEPTION_BYTES);
        for row in 0..1_000_000 {
            gathered.add(vec![exception(row, 0, b"infinity")]).unwrap();
        }
        assert!(gathered.bytes < 2 << 20, "{}", gathered.bytes);
        let rows = gathered.occurrences().map(|(row, _)| row);
        assert!(rows.eq(0..1_000_000));
    }

    #[test]
    fn too_many_of_them_are_an_error_that_advises() {
        let mut gathered = Gathered::new(1, 1 << 20);
        let refused = (0..u64::MAX)
            .find_map(|row| {
                let wire = row.to_be_bytes();
                gathered.add(vec![exception(row, 0, &wire)]).err()
            })
            .unwrap();
        assert_eq!(refused.kind(), ErrorKind::Data);
        assert!(gathered.values.len() > 3000, "{}", gathered.values.len());
    }

    #[test]
    fn batches_are_cut_by_rows_and_bytes_and_lose_none() {
        let mut gathered = Gathered::new(1, MAX_EXCEPTION_BYTES);
        let small = (0..10_000).map(|row| exception(row, 0, b"i"));
        gathered.add(small.collect()).unwrap();
        let large = vec![7; BATCH_BYTES];
        let large = (10_000..10_003).map(|row| exception(row, 0, &large));
        gathered.add(large.collect()).unwrap();
        let batches: Vec<_> = gathered
            .batches(ChunkId(3), &[])
            .map(Result::unwrap)
            .collect();
        let rows: Vec<_> = batches.iter().map(RecordBatch::num_rows).collect();
        assert_eq!(rows, [8192, 1809, 1, 1]);
    }
}
