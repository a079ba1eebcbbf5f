//! The relations that hold a table's rows: itself, its leaf partitions, its inheritance children.
//!
//! Owns the queries over `pg_inherits` and sizes, and what makes a part unreadable.

use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use crate::error::{Error, ErrorKind, Result};
use crate::pg::names::Resolved;
use crate::pg::session::{Session, column};
use crate::table::{Relation, RelationKind, TableName, TableSchema};

/// ctid ranges are scanned as ranges since 14 (TID Range Scan).
const CTID_RANGE_VERSION: u32 = 140_000;

/// The relation itself, its leaf partitions, or it and its inheritance children, as the
/// transaction's snapshot sees them (`pg_partition_tree` would not: it shows what is attached now).
/// A child can be reached twice. Other sessions' temporary children are in nobody's rows.
const RELATIONS_SQL: &str = "
WITH RECURSIVE tree(oid) AS (
  SELECT $1::pg_catalog.oid
  UNION
  SELECT i.inhrelid FROM tree t
  JOIN pg_catalog.pg_class p ON p.oid = t.oid AND (p.relkind = 'p' OR $3)
  JOIN pg_catalog.pg_inherits i ON i.inhparent = t.oid
)
SELECT c.oid, n.nspname::text, c.relname::text, c.relkind,
  CASE WHEN $2 THEN coalesce(pg_catalog.pg_table_size(c.oid), 0) ELSE 0 END,
  CASE WHEN $2 THEN coalesce(pg_catalog.pg_relation_size(c.oid), 0) ELSE 0 END
    / pg_catalog.current_setting('block_size')::pg_catalog.int8,
  c.reltuples::pg_catalog.float8, c.relpages::pg_catalog.int8,
  coalesce((SELECT m.amname = 'heap' FROM pg_catalog.pg_am m WHERE m.oid = c.relam), false),
  pg_catalog.has_table_privilege(c.oid, 'SELECT'),
  c.relpersistence,
  pg_catalog.row_security_active(c.oid)
FROM tree t
JOIN pg_catalog.pg_class c ON c.oid = t.oid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind <> 'p' AND (c.relpersistence <> 't' OR c.oid = $1)
ORDER BY c.oid <> $1, n.nspname, c.relname";

/// The relations that hold a table's rows. Sizes are asked of the files, under a lock.
pub(super) async fn load_relations(
    session: &Session,
    table: &Resolved,
    with_sizes: bool,
) -> Result<Vec<Relation>> {
    let what = "the table's relations could not be read";
    let params: [&(dyn ToSql + Sync); 3] = [&table.oid, &with_sizes, &table.with_children];
    let rows = session.query_often(what, RELATIONS_SQL, &params).await?;
    if rows.is_empty() && table.kind != RelationKind::Partitioned {
        return Err(Error::new(
            ErrorKind::Config,
            "the table does not exist any more",
        ));
    }
    if table.kind == RelationKind::Partitioned && session.server_version() >= 140_000 {
        refuse_detaching(session, table.oid).await?;
    }
    rows.iter()
        .map(|row| read_relation(session, table, row))
        .collect()
}

/// `DETACH PARTITION … CONCURRENTLY` (14) that was cut off leaves a partition which queries of the
/// table do not see any more, depending on their snapshot.
async fn refuse_detaching(session: &Session, oid: u32) -> Result<()> {
    let sql = "WITH RECURSIVE tree(oid, pending) AS (
          SELECT $1::pg_catalog.oid, false
          UNION
          SELECT i.inhrelid, i.inhdetachpending FROM tree t
          JOIN pg_catalog.pg_class p ON p.oid = t.oid AND p.relkind = 'p'
          JOIN pg_catalog.pg_inherits i ON i.inhparent = t.oid
        )
        SELECT n.nspname::text, c.relname::text FROM tree t
        JOIN pg_catalog.pg_class c ON c.oid = t.oid
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE t.pending LIMIT 1";
    let what = "the table's partitions could not be read";
    let rows = session.query(what, sql, &[&oid]).await?;
    let Some(row) = rows.first() else {
        return Ok(());
    };
    let name = TableName::new(column::<String>(row, 0)?, column::<String>(row, 1)?);
    Err(Error::new(
        ErrorKind::Unsupported,
        format!("partition {name} is being detached, and may or may not be seen"),
    )
    .with_advice("end it: ALTER TABLE … DETACH PARTITION … FINALIZE"))
}

fn read_relation(session: &Session, table: &Resolved, row: &Row) -> Result<Relation> {
    let name = TableName::new(column::<String>(row, 1)?, column::<String>(row, 2)?);
    let relkind = column::<i8>(row, 3)?.cast_unsigned();
    let part = match table.kind {
        RelationKind::Partitioned => "partition",
        _ => "table",
    };
    if relkind == b'f' {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!("{part} {name} is a foreign table: its rows are outside the snapshot"),
        )
        .with_advice("export the others as tables of their own"));
    }
    if !column::<bool>(row, 9)? {
        return Err(Error::new(
            ErrorKind::Source,
            format!("the user may not read {part} {name}"),
        )
        .with_advice("they are read one by one: GRANT SELECT on each of them"));
    }
    if column::<bool>(row, 11)? {
        return Err(Error::new(
            ErrorKind::Source,
            format!("row-level security would hide rows of {part} {name} from this user"),
        )
        .with_advice("they are read one by one: use a role with BYPASSRLS, or their owner"));
    }
    if column::<i8>(row, 10)?.cast_unsigned() == b'u' && session.identity().in_recovery {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!("{part} {name} is unlogged and cannot be read on a standby"),
        ));
    }
    let heap_pages = column::<i64>(row, 5)?.max(0).cast_unsigned();
    Ok(Relation {
        name,
        oid: column(row, 0)?,
        has_ctid: column(row, 8)?
            && table.kind != RelationKind::MaterializedView
            && session.server_version() >= CTID_RANGE_VERSION,
        table_bytes: column::<i64>(row, 4)?.max(0).cast_unsigned(),
        heap_pages,
        estimated_rows: estimated_rows(column(row, 6)?, column(row, 7)?, heap_pages),
    })
}

/// `reltuples` scaled to the pages of today, as the server's planner does; `None` for a table
/// that was never analyzed (-1 since 14, zero pages before).
pub(super) fn estimated_rows(reltuples: f64, relpages: i64, heap_pages: u64) -> Option<u64> {
    if reltuples < 0.0 || (relpages <= 0 && reltuples == 0.0) {
        return (heap_pages == 0).then_some(0);
    }
    let scale = match relpages {
        ..=0 => 1.0,
        pages => heap_pages as f64 / pages as f64,
    };
    // A cast from float saturates; the product is not negative.
    Some((reltuples * scale).round() as u64)
}

/// The children that have columns which their parent lacks.
pub(crate) async fn wider_children(
    session: &Session,
    schema: &TableSchema,
) -> Result<Vec<TableName>> {
    let sql = "SELECT n.nspname::text, c.relname::text
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE c.oid = ANY ($2) AND EXISTS (SELECT FROM pg_catalog.pg_attribute a
          WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
            AND NOT EXISTS (SELECT FROM pg_catalog.pg_attribute p
              WHERE p.attrelid = $1 AND p.attnum > 0 AND NOT p.attisdropped
                AND p.attname = a.attname))
        ORDER BY 1, 2";
    let children: Vec<u32> = schema
        .relations
        .iter()
        .map(|relation| relation.oid)
        .collect();
    let what = "the children's columns could not be read";
    let rows = session.query(what, sql, &[&schema.oid, &children]).await?;
    rows.iter()
        .map(|row| {
            Ok(TableName::new(
                column::<String>(row, 0)?,
                column::<String>(row, 1)?,
            ))
        })
        .collect()
}
