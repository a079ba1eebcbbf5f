//! Datasets in memory that break in one place at a time.

mod damage;
mod logs;
mod reading;

use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use bytes::Bytes;
use chrono::DateTime;

use super::{DatasetVerdict, FindingKind, Severity, VerifyOptions, VerifyProgress, verify};
use crate::chunk::{
    Bound, Chunk, ChunkId, ChunkMethod, Key, KeyColumn, Plan, PlannedRelation, Range,
};
use crate::copy::{CopyEncoder, WireDigest};
use crate::file::{ParquetEncoder, ParquetOptions};
use crate::manifest::{
    Appended, Change, ChunkEntry, ExportConfig, ManifestLog, ObjectEntry, OpenRequest, Opened,
    PlanRequest, WriterInfo, finish,
};
use crate::mapping::{MappingOptions, TableMapping, map_table};
use crate::options::{ChunkBy, Compression, OnUnrepresentable, Profile};
use crate::pg_type::PgType;
use crate::snapshot::Snapshot;
use crate::store::Root;
use crate::store::layout::object_key;
use crate::store::testing::FaultyStore;
use crate::table::{Column, Relation, RelationKind, TableName, TableSchema};

/// Rows of each key chunk.
const ROWS: i64 = 100;

/// A dataset of two key chunks and one of NULL keys, in a store of its own.
struct Made {
    root: Root,
    log: Box<ManifestLog>,
}

fn name() -> TableName {
    TableName::new("public", "orders")
}

fn schema() -> TableSchema {
    let column = |attnum, name: &str, pg_type, type_name: &str| Column {
        attnum,
        type_name: type_name.into(),
        type_oid: 20,
        ..Column::new(name, pg_type)
    };
    TableSchema {
        name: name(),
        oid: 1,
        kind: RelationKind::Table,
        primary_key: Vec::new(),
        columns: vec![
            column(1, "id", PgType::Int8, "bigint"),
            column(2, "note", PgType::Text, "text"),
        ],
        relations: vec![Relation {
            name: name(),
            oid: 1,
            has_ctid: true,
            table_bytes: 0,
            heap_pages: 0,
            estimated_rows: None,
        }],
    }
}

fn mapping() -> TableMapping {
    map_table(&schema().columns, &MappingOptions::default()).unwrap()
}

fn plan() -> Plan {
    let key = |lower, upper| Range::Key { lower, upper };
    let ranges = [
        key(None, Some(Bound::one(ROWS.to_string()))),
        key(Some(Bound::one(ROWS.to_string())), None),
        Range::NullKey,
    ];
    let chunks = (0..).zip(ranges).map(|(id, range)| Chunk {
        id: ChunkId(id),
        relation: 0,
        range,
        folder: None,
        estimated_rows: 1,
        estimated_bytes: 1,
    });
    Plan {
        relations: vec![PlannedRelation {
            method: ChunkMethod::Key,
            key: Some(Key {
                columns: vec![KeyColumn {
                    name: "id".into(),
                    type_name: "pg_catalog.int8".into(),
                    operators: "pg_catalog".into(),
                    collation: None,
                    is_nullable: true,
                }],
            }),
            ..PlannedRelation::whole(name(), 1, "test")
        }],
        chunks: chunks.collect(),
    }
}

fn request() -> OpenRequest {
    OpenRequest {
        writer: WriterInfo {
            host: "here".into(),
            pid: 1,
            pgsluice_version: "0".into(),
        },
        config: ExportConfig {
            table: name(),
            query: None,
            inheritance: None,
            columns: None,
            exclude_columns: Vec::new(),
            filter: None,
            chunk_by: ChunkBy::Auto,
            time_zone: None,
            hive: None,
            chunk_rows: Some(10),
            chunk_bytes: Some(8192),
            target_object_bytes: 1 << 20,
            incremental: None,
            compression: Compression::default(),
            row_group_bytes: 1 << 20,
            profile: Profile::default(),
            maps: Default::default(),
            on_unrepresentable: OnUnrepresentable::default(),
            writers: crate::options::Writers::Fenced,
            database: "db".into(),
            system_identifier: 7,
        },
        schema: schema(),
        snapshot: Snapshot {
            id: "A".into(),
            visible: "1:2:".into(),
            lsn: None,
            timeline: 1,
            system_identifier: 7,
            server_started_at: DateTime::UNIX_EPOCH,
            in_recovery: false,
            joined: false,
            taken_at: DateTime::UNIX_EPOCH,
        },
        plan: PlanRequest::New(plan()),
        reason: "test".into(),
        takeover: false,
    }
}

/// Rows with these keys; every third note is NULL.
fn rows(keys: impl Iterator<Item = Option<i64>>) -> RecordBatch {
    let keys: Vec<_> = keys.collect();
    let notes: StringArray = (0..keys.len())
        .map(|row| (row % 3 != 0).then(|| format!("note {row} of many")))
        .collect();
    let keys: ArrayRef = Arc::new(Int64Array::from(keys));
    RecordBatch::try_new(mapping().schema, vec![keys, Arc::new(notes)]).unwrap()
}

/// The rows of a chunk of the plan.
fn rows_of(chunk: u32) -> RecordBatch {
    match chunk {
        2 => rows((0..10).map(|_| None)),
        _ => {
            let first = i64::from(chunk) * ROWS;
            rows((first..first + ROWS).map(Some))
        }
    }
}

/// The bytes of an object, as an export would write it.
fn object(batch: &RecordBatch, metadata: &[(&str, &str)]) -> Bytes {
    let metadata = metadata
        .iter()
        .map(|(key, value)| ((*key).into(), (*value).into()));
    let options = ParquetOptions {
        metadata: metadata.collect(),
        ..ParquetOptions::default()
    };
    let mut encoder = ParquetEncoder::new(batch.schema(), &options).unwrap();
    encoder.write(batch).unwrap();
    let (rest, _) = encoder.finish().unwrap();
    rest.concat().into()
}

fn digest_of(batch: &RecordBatch) -> WireDigest {
    let mut digest = WireDigest::default();
    let encoded = CopyEncoder::new(&mapping()).encode(batch, &[], |rows, ends| {
        digest.add_rows(rows, ends);
    });
    encoded.unwrap();
    digest
}

/// A chunk's entry, telling the truth about these bytes and rows.
fn entry_of(chunk: &Chunk, bytes: &Bytes, batch: &RecordBatch) -> ChunkEntry {
    use sha2::Digest;
    let rows = batch.num_rows() as u64;
    let nulls = batch
        .columns()
        .iter()
        .map(|column| column.null_count() as u64);
    ChunkEntry {
        chunk: chunk.id,
        range: chunk.range.clone(),
        relation: name(),
        relation_index: chunk.relation,
        predicate: "p".into(),
        snapshot: 0,
        lsn: None,
        objects: vec![ObjectEntry {
            key: object_key(chunk, 1, 1),
            bytes: bytes.len() as u64,
            rows,
            sha256: crate::store::hex(&sha2::Sha256::digest(bytes)),
            etag: None,
        }],
        rows,
        copy_bytes: 9,
        digest: digest_of(batch).to_string(),
        null_counts: nulls.collect(),
        exceptions: None,
        restated: 0,
        started_at: DateTime::UNIX_EPOCH,
        wall_ms: 1,
        attempts: 1,
    }
}

impl Made {
    /// A dataset whose epoch is open, with nothing committed.
    async fn begun() -> Self {
        let root = FaultyStore::new().root();
        match ManifestLog::open_epoch(&root, None, request())
            .await
            .unwrap()
        {
            Opened::Open(log) => Self { root, log },
            Opened::Taken { .. } => panic!("taken"),
        }
    }

    /// A sound, complete dataset.
    async fn sound() -> Self {
        Self::with(|_, entry, bytes| (entry, bytes)).await
    }

    /// A complete dataset whose chunks were bent before they were stored and committed.
    async fn with(bend: impl Fn(u32, ChunkEntry, Bytes) -> (ChunkEntry, Bytes)) -> Self {
        let mut made = Self::begun().await;
        for chunk in plan().chunks {
            let batch = rows_of(chunk.id.0);
            let bytes = object(&batch, &[]);
            let entry = entry_of(&chunk, &bytes, &batch);
            let (entry, bytes) = bend(chunk.id.0, entry, bytes);
            made.commit(entry, bytes).await;
        }
        made.complete().await;
        made
    }

    async fn commit(&mut self, entry: ChunkEntry, bytes: Bytes) {
        self.root.put(&entry.objects[0].key, bytes).await.unwrap();
        let chunks = vec![entry];
        self.append(Change::Commit { chunks }).await;
    }

    async fn append(&mut self, change: Change) {
        assert_eq!(self.log.append(change).await.unwrap(), Appended::Committed);
    }

    async fn complete(&mut self) {
        let totals = self.log.dataset().totals();
        self.append(Change::Complete { totals }).await;
        finish(&self.root, self.log.dataset()).await.unwrap();
    }

    async fn verdict(&self) -> DatasetVerdict {
        self.verdict_of(VerifyOptions::default()).await
    }

    async fn quick(&self) -> DatasetVerdict {
        let options = VerifyOptions {
            quick: true,
            ..VerifyOptions::default()
        };
        self.verdict_of(options).await
    }

    async fn verdict_of(&self, options: VerifyOptions) -> DatasetVerdict {
        let progress = VerifyProgress::new();
        let mut report = verify(&self.root, &options, &progress).await.unwrap();
        let counts = progress.read();
        assert_eq!(counts.chunks_done, counts.chunks_total);
        assert_eq!(report.datasets.len(), 1);
        report.datasets.remove(0)
    }

    /// The key of a chunk's object.
    fn key(&self, chunk: usize) -> String {
        object_key(&plan().chunks[chunk], 1, 1)
    }

    async fn get(&self, key: &str) -> Bytes {
        self.root.get(key).await.unwrap().unwrap()
    }

    /// Puts other bytes in place of an object's.
    async fn bend(&self, key: &str, bend: impl Fn(&mut Vec<u8>)) {
        let mut bytes = self.get(key).await.to_vec();
        bend(&mut bytes);
        self.root.put(key, bytes.into()).await.unwrap();
    }
}

/// The kinds of all errors, in order.
fn errors(verdict: &DatasetVerdict) -> Vec<FindingKind> {
    let errors = verdict
        .findings
        .iter()
        .filter(|one| one.severity == Severity::Error);
    errors.map(|one| one.kind).collect()
}
