//! The rules, and what a sweep does when the log moves behind it.

mod rules;
mod sweep;

use chrono::DateTime;

use crate::chunk::{
    Bound, Chunk, ChunkId, ChunkMethod, Key, KeyColumn, Plan, PlannedRelation, Range,
};
use crate::manifest::{
    Appended, Change, ChunkEntry, ExportConfig, ManifestLog, ObjectEntry, OpenRequest, Opened,
    PlanRequest, WriterInfo,
};
use crate::options::{ChunkBy, Compression, OnUnrepresentable, Profile};
use crate::pg_type::PgType;
use crate::snapshot::Snapshot;
use crate::store::Root;
use crate::store::layout::object_key;
use crate::table::{Column, Relation, RelationKind, TableName, TableSchema};

fn name() -> TableName {
    TableName::new("public", "orders")
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
            ..Column::new("id", PgType::Int8)
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

/// Two key chunks.
fn plan() -> Plan {
    let key = |lower, upper| Range::Key { lower, upper };
    let ranges = [
        key(None, Some(Bound::one("7"))),
        key(Some(Bound::one("7")), None),
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
                    is_nullable: false,
                }],
            }),
            ..PlannedRelation::whole(name(), 1, "test")
        }],
        chunks: chunks.collect(),
    }
}

fn request(plan: PlanRequest) -> OpenRequest {
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
            database: "db".into(),
            system_identifier: 7,
            writers: crate::options::Writers::Fenced,
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
        plan,
        reason: "test".into(),
        takeover: true,
    }
}

/// The key of a chunk's first object.
fn key(chunk: usize, epoch: u64) -> String {
    object_key(&plan().chunks[chunk], epoch, 1)
}

/// The next epoch of whatever stands at the root.
async fn open(root: &Root, plan: PlanRequest) -> Box<ManifestLog> {
    let dataset = ManifestLog::load(root).await.unwrap();
    let opened = ManifestLog::open_epoch(root, dataset, request(plan)).await;
    match opened.unwrap() {
        Opened::Open(log) => log,
        Opened::Taken { .. } => panic!("taken"),
    }
}

/// Puts a chunk's object, without committing it.
async fn put(root: &Root, chunk: usize, epoch: u64) {
    root.put(&key(chunk, epoch), "rows".into()).await.unwrap();
}

fn entry(chunk: usize, log: &ManifestLog) -> ChunkEntry {
    let planned = plan().chunks.remove(chunk);
    ChunkEntry {
        chunk: planned.id,
        relation: name(),
        relation_index: 0,
        predicate: "p".into(),
        snapshot: log.dataset().snapshot,
        lsn: None,
        objects: vec![ObjectEntry {
            key: object_key(&planned, log.dataset().epoch, 1),
            bytes: 4,
            rows: 1,
            sha256: "0".repeat(64),
            etag: None,
        }],
        range: planned.range,
        rows: 1,
        copy_bytes: 9,
        digest: "0".repeat(32),
        null_counts: vec![0],
        exceptions: None,
        restated: 0,
        started_at: DateTime::UNIX_EPOCH,
        wall_ms: 1,
        attempts: 1,
    }
}

async fn commit(log: &mut ManifestLog, chunk: usize) {
    let epoch = log.dataset().epoch;
    put(log.root(), chunk, epoch).await;
    let chunks = vec![entry(chunk, log)];
    append(log, Change::Commit { chunks }).await;
}

async fn append(log: &mut ManifestLog, change: Change) {
    assert_eq!(log.append(change).await.unwrap(), Appended::Committed);
}

async fn pause(log: &mut ManifestLog) {
    let reason = "test".into();
    append(log, Change::Pause { reason }).await;
}
