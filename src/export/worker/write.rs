//! Stage two of a worker: record batches in, Parquet objects out.
//!
//! Owns an object's life: begun with the first row, ended by the last or by the target size, and
//! made visible by `landing`. It knows no connection.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use tokio::sync::mpsc;

use super::landing::{Encoded, land};
use super::read::Feed;
use super::{TableWork, Tried, Work, exceptions};
use crate::chunk::Chunk;
use crate::error::{Error, ErrorKind, Result};
use crate::export::progress::TableCounters;
use crate::file::{ParquetEncoder, ParquetOptions};
use crate::manifest::{Fence, ObjectEntry};
use crate::mapping::geo;
use crate::store::{Root, Upload, layout};

/// How stage two ended.
pub(crate) enum Written {
    /// The objects stand, whole, in the order of their rows.
    Objects(Vec<ObjectEntry>),
    /// The chunk has no rows, and no object.
    Nothing,
    /// The feed was cut short; what had been uploaded was aborted.
    Aborted,
}

/// The making of one chunk's objects, one after another.
pub(crate) struct ObjectTask {
    root: Root,
    chunk: Chunk,
    epoch: u64,
    /// Whether it is the object of the chunk's exceptions.
    of_exceptions: bool,
    /// Encoded bytes at which rows go on in another object.
    target_bytes: u64,
    schema: SchemaRef,
    parquet: ParquetOptions,
    part_bytes: usize,
    /// Whether the object is made even without rows: the first chunk carries the schema.
    always: bool,
    fence: Fence,
    counters: Arc<TableCounters>,
    tried: Tried,
}

impl ObjectTask {
    pub(crate) fn new(work: &Work, table: &TableWork, chunk: &Chunk, tried: Tried) -> Result<Self> {
        let relation = table.plan.relation_of(chunk);
        let sorted = relation
            .key
            .as_ref()
            .and_then(|key| key.single())
            .filter(|_| relation.ordered && is_key_range(chunk));
        let sorted_by =
            sorted.and_then(|key| table.schema.columns.iter().position(|c| c.name == key));
        let mut metadata = describe(work, table, chunk)?;
        metadata.extend(geo::file_metadata(&table.mapping));
        Ok(Self {
            root: table.root.clone(),
            chunk: chunk.clone(),
            epoch: table.epoch,
            of_exceptions: false,
            target_bytes: work.options.target_object_bytes,
            schema: Arc::clone(&table.mapping.schema),
            parquet: ParquetOptions {
                compression: work.options.compression,
                row_group_bytes: work.options.row_group_bytes,
                sorted_by,
                metadata,
            },
            part_bytes: work.options.part_bytes,
            always: Some(chunk.id) == table.plan.schema_chunk(),
            fence: table.fence.clone(),
            counters: Arc::clone(&table.counters),
            tried,
        })
    }

    /// The object of the chunk's exceptions.
    pub(crate) fn of_exceptions(
        work: &Work,
        table: &TableWork,
        chunk: &Chunk,
        tried: Tried,
    ) -> Result<Self> {
        let schema = exceptions::schema();
        let mut task = Self::new(work, table, chunk, tried)?;
        task.of_exceptions = true;
        // They are bounded by memory already, and few readers look for a second one.
        task.target_bytes = u64::MAX;
        task.parquet.sorted_by = schema.index_of("row").ok();
        task.parquet.metadata = describe(work, table, chunk)?;
        task.schema = schema;
        Ok(task)
    }

    /// Encodes and uploads until the feed ends.
    ///
    /// Dropped, or cut short after its first objects: the open upload aborts itself, best effort,
    /// and the objects before it are orphans, which another try writes over or the dataset's end
    /// deletes.
    pub(crate) async fn run(self, mut feed: mpsc::Receiver<Feed>) -> Result<Written> {
        let mut object: Option<OpenObject> = None;
        let mut done = Vec::new();
        loop {
            match feed.recv().await {
                Some(Feed::Batch(batch, permit)) => {
                    let open = self.opened(object.take(), &done)?;
                    let open = self.write(open, &batch).await?;
                    drop(permit);
                    if open.encoder.encoded_bytes() >= self.target_bytes {
                        done.push(self.complete(open).await?);
                    } else {
                        object = Some(open);
                    }
                }
                Some(Feed::End) => break,
                None => {
                    if let Some(open) = object {
                        open.upload.abort().await;
                    }
                    return Ok(Written::Aborted);
                }
            }
        }
        if object.is_none() && done.is_empty() && !self.always {
            return Ok(Written::Nothing);
        }
        if object.is_some() || done.is_empty() {
            let open = self.opened(object, &done)?;
            done.push(self.complete(open).await?);
        }
        Ok(Written::Objects(done))
    }

    /// The open object, or a new one behind those that are done.
    fn opened(&self, object: Option<OpenObject>, done: &[ObjectEntry]) -> Result<OpenObject> {
        if let Some(open) = object {
            return Ok(open);
        }
        let number = u32::try_from(done.len() + 1).unwrap_or(u32::MAX);
        let key = match self.of_exceptions {
            true => layout::exceptions_key(&self.chunk, self.epoch),
            false => layout::object_key(&self.chunk, self.epoch, number),
        };
        Ok(OpenObject {
            encoder: ParquetEncoder::new(Arc::clone(&self.schema), &self.parquet)?,
            upload: self.root.upload(&key, self.part_bytes)?,
            key,
        })
    }

    async fn write(&self, mut open: OpenObject, batch: &RecordBatch) -> Result<OpenObject> {
        if let Err(error) = open.encoder.write(batch) {
            open.upload.abort().await;
            return Err(error);
        }
        while let Some(bytes) = open.encoder.take_encoded() {
            self.tried.encoded(&self.counters, bytes.len() as u64);
            open.upload.write(bytes).await?;
        }
        Ok(open)
    }

    async fn complete(&self, open: OpenObject) -> Result<ObjectEntry> {
        let OpenObject {
            key,
            encoder,
            mut upload,
        } = open;
        let (rest, summary) = encoder.finish()?;
        for bytes in rest {
            self.tried.encoded(&self.counters, bytes.len() as u64);
            upload.write(bytes).await?;
        }
        let encoded = Encoded {
            bytes: summary.bytes,
            rows: summary.rows,
            sha256: summary.sha256.to_string(),
        };
        land(&self.root, &self.fence, &key, upload, encoded).await
    }
}

/// An object being written.
struct OpenObject {
    key: String,
    encoder: ParquetEncoder,
    upload: Upload,
}

fn is_key_range(chunk: &Chunk) -> bool {
    matches!(chunk.range, crate::chunk::Range::Key { .. })
}

/// The key-value metadata that makes an object self-describing.
fn describe(work: &Work, table: &TableWork, chunk: &Chunk) -> Result<Vec<(String, String)>> {
    let relation = table.plan.relation_of(chunk);
    let range = serde_json::to_string(&chunk.range).map_err(|error| {
        Error::new(ErrorKind::Internal, "a range could not be written as JSON").with_source(error)
    })?;
    let mut pairs = vec![
        ("pgsluice.version", env!("CARGO_PKG_VERSION").to_owned()),
        ("pgsluice.table", table.schema.name.to_string()),
        ("pgsluice.relation", relation.name.to_string()),
        ("pgsluice.chunk", chunk.id.to_string()),
        ("pgsluice.range", range),
        ("pgsluice.epoch", table.epoch.to_string()),
        ("pgsluice.run", work.run_id.clone()),
        ("pgsluice.snapshot", work.snapshot.id.clone()),
        (
            "pgsluice.system_identifier",
            work.snapshot.system_identifier.to_string(),
        ),
        ("pgsluice.timeline", work.snapshot.timeline.to_string()),
    ];
    if let Some(lsn) = work.snapshot.lsn {
        pairs.push(("pgsluice.lsn", lsn.to_string()));
    }
    let pairs = pairs
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value));
    Ok(pairs.collect())
}
