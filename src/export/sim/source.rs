//! The table that is exported, instead of PostgreSQL: snapshots, plans, and the Parquet objects
//! that a chunk's rows make.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use arrow_array::{Int64Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use bytes::Bytes;
use chrono::DateTime;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tokio::time::Instant;

use crate::chunk::{
    Bound, Chunk, ChunkId, ChunkMethod, Key, KeyColumn, Plan, PlannedRelation, Range, Window,
};
use crate::file::{ParquetEncoder, ParquetOptions};
use crate::manifest::{Dataset, ExportConfig};
use crate::options::{ChunkBy, Compression, Incremental, OnUnrepresentable, Profile, Writers};
use crate::plan::Decision;
use crate::snapshot::Snapshot;
use crate::store::testing::Rng;
use crate::table::{Column, Relation, RelationKind, TableName, TableSchema};

/// Keys of one chunk.
const KEYS: i64 = 10;
/// Rows without a key.
const NULLS: i64 = 3;

/// What a seed says of the table.
#[derive(Debug, Clone)]
pub(super) struct TableShape {
    is_incremental: bool,
    is_ctid: bool,
    has_nulls: bool,
    /// All writers stand under one snapshot that is kept.
    is_kept: bool,
    /// Chunks of keys of the first run.
    chunks: i64,
    pub(super) objects: usize,
    /// When rows come to an incremental table.
    grows: Vec<Duration>,
}

impl TableShape {
    pub(super) fn draw(rng: &mut Rng) -> Self {
        let is_incremental = rng.chance(400);
        let times = rng.within(1, 2);
        let grows: Vec<_> = (0..times).map(|_| rng.millis(100, 12_000)).collect();
        Self {
            is_incremental,
            is_ctid: !is_incremental && rng.chance(300),
            has_nulls: rng.chance(500),
            is_kept: rng.chance(300),
            chunks: rng.within(1, 4) as i64,
            objects: 1 + rng.below(2) as usize,
            grows: if is_incremental { grows } else { Vec::new() },
        }
    }

    pub(super) fn begin(&self, now: Instant) -> Table {
        Table {
            shape: self.clone(),
            began: now,
            snapshots: AtomicU32::new(0),
        }
    }
}

/// The table while a seed happens.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) shape: TableShape,
    began: Instant,
    snapshots: AtomicU32,
}

impl Table {
    /// A new snapshot, or the kept one. Rows read under another have other values.
    pub(super) fn snapshot(&self) -> Snapshot {
        let number = match self.shape.is_kept {
            true => 0,
            false => self.snapshots.fetch_add(1, Ordering::Relaxed),
        };
        Snapshot {
            id: format!("S{number}"),
            visible: "1:2:".into(),
            lsn: None,
            timeline: 1,
            system_identifier: 7,
            server_started_at: DateTime::UNIX_EPOCH,
            in_recovery: false,
            joined: false,
            taken_at: DateTime::UNIX_EPOCH,
        }
    }

    pub(super) fn config(&self) -> ExportConfig {
        ExportConfig {
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
            incremental: self.shape.is_incremental.then(|| Incremental {
                column: "id".into(),
                overlap: None,
            }),
            compression: Compression::default(),
            row_group_bytes: 1 << 20,
            profile: Profile::Portable,
            maps: BTreeMap::new(),
            on_unrepresentable: OnUnrepresentable::Error,
            writers: Writers::Fenced,
            database: "db".into(),
            system_identifier: 7,
        }
    }

    /// The greatest key there is.
    fn greatest(&self) -> i64 {
        let grown = self.shape.grows.iter();
        let grown = grown.filter(|time| **time <= self.began.elapsed()).count();
        KEYS * (self.shape.chunks + 2 * grown as i64)
    }

    /// As planning does: nothing where nothing is new.
    pub(super) fn plan(&self, decision: &Decision, dataset: Option<&Dataset>) -> Option<Plan> {
        match decision {
            Decision::Start { .. } if self.shape.is_ctid => Some(self.ctid_plan()),
            Decision::Start { .. } => Some(self.key_plan(0, None, None)),
            Decision::Extend { .. } => {
                let reached: i64 = dataset?.reached()?.parse().unwrap();
                let is_new = self.greatest() > reached;
                is_new.then(|| self.key_plan(reached, Some(reached), dataset))
            }
            Decision::Continue { .. } | Decision::Complete => None,
        }
    }

    fn ctid_plan(&self) -> Plan {
        let count = self.shape.chunks as u32;
        let pages = |number: u32| Range::Ctid {
            lower: number * KEYS as u32,
            upper: (number + 1 < count).then(|| (number + 1) * KEYS as u32),
        };
        Plan {
            relations: vec![relation(ChunkMethod::Ctid, None)],
            chunks: chunks((0..count).map(pages), 0, 0),
        }
    }

    /// Keys above `above`, up to the greatest one.
    fn key_plan(&self, above: i64, lower: Option<i64>, dataset: Option<&Dataset>) -> Plan {
        let base = dataset.map(Dataset::base).unwrap_or_default();
        let greatest = self.greatest();
        let count = (greatest - above) / KEYS;
        let bound = |number: i64| Some(Bound::one((above + number * KEYS + 1).to_string()));
        let keys = (0..count).map(|number| Range::Key {
            lower: bound(number).filter(|_| number > 0),
            upper: bound(number + 1).filter(|_| number + 1 < count),
        });
        let window = self.shape.is_incremental.then(|| Window {
            column: key_column(),
            lower: lower.map(|lower| lower.to_string()),
            upper: Some(greatest.to_string()),
            with_nulls: lower.is_none(),
        });
        Plan {
            relations: vec![relation(ChunkMethod::Key, window)],
            chunks: chunks(keys.chain([Range::NullKey]), base.chunks, base.relations),
        }
    }

    /// The objects of a chunk that is read under the snapshot with this id.
    pub(super) fn objects(
        &self,
        relation: &PlannedRelation,
        range: &Range,
        snapshot: &str,
    ) -> Vec<Arc<Object>> {
        let (from, to, is_null) = self.rows(relation, range);
        let version = snapshot[1..].parse().unwrap();
        let cut = match self.shape.objects {
            2.. if to - from > 1 => (from + to) / 2,
            _ => to,
        };
        let parts = [(from, cut), (cut, to)].into_iter();
        let parts = parts.filter(|(from, to)| from < to);
        parts
            .map(|(from, to)| object(from, to, is_null, version))
            .collect()
    }

    /// The keys of a chunk, from and to; or the numbers of rows without one.
    fn rows(&self, relation: &PlannedRelation, range: &Range) -> (i64, i64, bool) {
        let number = |text: &str| text.parse::<i64>().unwrap();
        let window = relation.window.as_ref();
        match range {
            Range::NullKey => {
                let is_taken = window.is_none_or(|window| window.with_nulls);
                let nulls = if is_taken && self.shape.has_nulls {
                    NULLS
                } else {
                    0
                };
                (0, nulls, true)
            }
            Range::Ctid { lower, .. } => (i64::from(*lower), i64::from(*lower) + KEYS, false),
            Range::Key { lower, upper } => {
                let first = window
                    .and_then(|window| window.lower.as_deref())
                    .map_or(1, |k| number(k) + 1);
                let last = window
                    .and_then(|window| window.upper.as_deref())
                    .map(number);
                let end = last.unwrap_or(KEYS * self.shape.chunks) + 1;
                let lower = lower.as_ref().map_or(first, |bound| number(&bound.0[0]));
                let upper = upper.as_ref().map_or(end, |bound| number(&bound.0[0]));
                (lower, upper, false)
            }
            other => panic!("{other:?} is not planned here"),
        }
    }

    /// The least and the greatest key that a complete dataset holds, given what it reached.
    pub(super) fn all_rows(&self, reached: Option<&str>) -> u64 {
        let keys = reached.map_or(KEYS * self.shape.chunks, |key| key.parse().unwrap());
        let nulls = if self.shape.has_nulls && !self.shape.is_ctid {
            NULLS
        } else {
            0
        };
        (keys + nulls) as u64
    }
}

/// One Parquet object, whole.
#[derive(Debug)]
pub(super) struct Object {
    pub(super) bytes: Bytes,
    pub(super) sha256: String,
    pub(super) rows: u64,
}

type ObjectId = (i64, i64, bool, i64);

thread_local! {
    static OBJECTS: RefCell<HashMap<ObjectId, Arc<Object>>> = RefCell::default();
}

/// Rows `from..to` as a snapshot sees them; encoded and read back once a thread.
fn object(from: i64, to: i64, is_null: bool, version: i64) -> Arc<Object> {
    OBJECTS.with_borrow_mut(|known| {
        let made = known.entry((from, to, is_null, version));
        Arc::clone(made.or_insert_with(|| Arc::new(encode(from, to, is_null, version))))
    })
}

fn encode(from: i64, to: i64, is_null: bool, version: i64) -> Object {
    let keys: Int64Array = (from..to).map(|key| (!is_null).then_some(key)).collect();
    let versions: Int64Array = (from..to).map(|_| Some(version)).collect();
    let fields = ["id", "version"].map(|name| Field::new(name, DataType::Int64, true));
    let schema: SchemaRef = Arc::new(Schema::new(fields.to_vec()));
    let batch = RecordBatch::try_new(
        Arc::clone(&schema),
        vec![Arc::new(keys), Arc::new(versions)],
    );
    let batch = batch.unwrap();
    let options = ParquetOptions {
        compression: Compression::default(),
        row_group_bytes: 1 << 20,
        sorted_by: None,
        metadata: Vec::new(),
    };
    let mut encoder = ParquetEncoder::new(schema, &options).unwrap();
    encoder.write(&batch).unwrap();
    let mut bytes = Vec::new();
    while let Some(frame) = encoder.take_encoded() {
        bytes.extend_from_slice(&frame);
    }
    let (rest, summary) = encoder.finish().unwrap();
    bytes.extend(rest.iter().flatten());
    let bytes = Bytes::from(bytes);
    let read = ParquetRecordBatchReaderBuilder::try_new(bytes.clone()).unwrap();
    let read: Vec<_> = read.build().unwrap().map(Result::unwrap).collect();
    assert_eq!(read, [batch]);
    Object {
        bytes,
        sha256: summary.sha256.to_string(),
        rows: summary.rows,
    }
}

pub(super) fn name() -> TableName {
    TableName::new("public", "orders")
}

fn key_column() -> KeyColumn {
    KeyColumn {
        name: "id".into(),
        type_name: "pg_catalog.int8".into(),
        operators: "pg_catalog".into(),
        collation: None,
        is_nullable: true,
    }
}

fn relation(method: ChunkMethod, window: Option<Window>) -> PlannedRelation {
    let columns = vec![key_column()];
    PlannedRelation {
        method,
        key: (method == ChunkMethod::Key).then_some(Key { columns }),
        window,
        ..PlannedRelation::whole(name(), 1, "test")
    }
}

fn chunks(ranges: impl Iterator<Item = Range>, first: u32, relation: u32) -> Vec<Chunk> {
    let chunk = |(id, range)| Chunk {
        id: ChunkId(id),
        relation,
        range,
        folder: None,
        estimated_rows: 1,
        estimated_bytes: 1,
    };
    (first..).zip(ranges).map(chunk).collect()
}

pub(super) fn schema() -> TableSchema {
    TableSchema {
        name: name(),
        oid: 1,
        kind: RelationKind::Table,
        primary_key: Vec::new(),
        columns: vec![Column {
            type_name: "bigint".into(),
            type_oid: 20,
            ..Column::new("id", crate::pg_type::PgType::Int8)
        }],
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
