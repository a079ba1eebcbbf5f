//! Scenarios over the manifest, and the small datasets that they share.

mod alone;
mod ending;
mod exceptions;
mod fold;
mod late;
mod liveness;
mod random;
mod runs;
mod sizes;
mod writers;

use std::collections::BTreeMap;

use chrono::{DateTime, TimeZone, Utc};

use super::change::InvariantError;
use super::model::{Entry, Open, PlanStart};
use super::*;
use crate::chunk::{
    Bound, Chunk, ChunkId, ChunkMethod, Key, KeyColumn, Plan, PlannedRelation, Range, Totals,
};
use crate::options::{ChunkBy, Compression, OnUnrepresentable, Profile};
use crate::snapshot::Snapshot;
use crate::store::Root;
use crate::store::layout::object_key;
use crate::store::testing::FaultyStore;
use crate::table::{Column, Relation, RelationKind, TableName, TableSchema};

fn at(second: u32) -> DateTime<Utc> {
    Utc.timestamp_opt(1_700_000_000 + i64::from(second), 0)
        .unwrap()
}

fn name() -> TableName {
    TableName::new("public", "orders")
}

fn config() -> ExportConfig {
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
        incremental: None,
        compression: Compression::default(),
        row_group_bytes: 1 << 20,
        profile: Profile::Portable,
        maps: BTreeMap::new(),
        on_unrepresentable: OnUnrepresentable::Error,
        writers: crate::options::Writers::Fenced,
        database: "db".into(),
        system_identifier: 7,
    }
}

fn schema() -> TableSchema {
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

fn snapshot(id: &str) -> Snapshot {
    Snapshot {
        id: id.into(),
        visible: "1:2:".into(),
        lsn: None,
        timeline: 1,
        system_identifier: 7,
        server_started_at: at(0),
        in_recovery: false,
        joined: false,
        taken_at: at(1),
    }
}

fn relation(method: ChunkMethod) -> PlannedRelation {
    PlannedRelation {
        method,
        key: (method == ChunkMethod::Key).then(|| Key {
            columns: vec![KeyColumn {
                name: "id".into(),
                type_name: "pg_catalog.int8".into(),
                operators: "pg_catalog".into(),
                collation: None,
                is_nullable: true,
            }],
        }),
        ..PlannedRelation::whole(name(), 1, "test")
    }
}

fn plan_of(method: ChunkMethod, ranges: Vec<Range>) -> Plan {
    let chunks = (0..).zip(ranges).map(|(id, range)| Chunk {
        id: ChunkId(id),
        relation: 0,
        range,
        folder: None,
        estimated_rows: 1,
        estimated_bytes: 1,
    });
    Plan {
        relations: vec![relation(method)],
        chunks: chunks.collect(),
    }
}

/// `chunks` key ranges, the last one NULL.
fn key_plan(chunks: u32) -> Plan {
    let keys = chunks - 1;
    let key = |number: u32| Range::Key {
        lower: (number > 0).then(|| Bound::one((number * 10).to_string())),
        upper: (number + 1 < keys).then(|| Bound::one(((number + 1) * 10).to_string())),
    };
    let mut ranges: Vec<Range> = (0..keys).map(key).collect();
    ranges.push(Range::NullKey);
    plan_of(ChunkMethod::Key, ranges)
}

fn ctid_plan(chunks: u32) -> Plan {
    let page = |number: u32| Range::Ctid {
        lower: number * 8,
        upper: (number + 1 < chunks).then(|| (number + 1) * 8),
    };
    plan_of(ChunkMethod::Ctid, (0..chunks).map(page).collect())
}

fn request(plan: PlanRequest) -> OpenRequest {
    OpenRequest {
        writer: WriterInfo {
            host: "here".into(),
            pid: 1,
            pgsluice_version: "0".into(),
        },
        config: config(),
        schema: schema(),
        snapshot: snapshot("A"),
        plan,
        reason: "test".into(),
        takeover: false,
    }
}

fn keep() -> PlanRequest {
    PlanRequest::Keep {
        discard: Vec::new(),
    }
}

/// A chunk's entry as a worker of the dataset's epoch would hand it in.
fn chunk_entry(dataset: &Dataset, id: u32) -> ChunkEntry {
    let chunk = &dataset.plan.chunks[id as usize];
    ChunkEntry {
        chunk: chunk.id,
        range: chunk.range.clone(),
        relation: name(),
        relation_index: chunk.relation,
        predicate: "p".into(),
        snapshot: dataset.snapshot,
        lsn: None,
        objects: vec![ObjectEntry {
            key: object_key(chunk, dataset.epoch, 1),
            bytes: 5,
            rows: 2,
            sha256: "0".repeat(64),
            etag: None,
        }],
        rows: 2,
        copy_bytes: 9,
        digest: "0".repeat(32),
        null_counts: vec![1],
        exceptions: None,
        restated: 0,
        started_at: at(2),
        wall_ms: 1,
        attempts: 1,
    }
}

fn commit(dataset: &Dataset, ids: impl IntoIterator<Item = u32>) -> Change {
    let chunks = ids.into_iter().map(|id| chunk_entry(dataset, id)).collect();
    Change::Commit { chunks }
}

async fn open(root: &Root, request: OpenRequest) -> Box<ManifestLog> {
    let dataset = ManifestLog::load(root).await.unwrap();
    match ManifestLog::open_epoch(root, dataset, request)
        .await
        .unwrap()
    {
        Opened::Open(log) => log,
        Opened::Taken { by, epoch } => panic!("taken by {by}, epoch {epoch}"),
    }
}

async fn append(log: &mut ManifestLog, change: Change) {
    assert_eq!(log.append(change).await.unwrap(), Appended::Committed);
}
