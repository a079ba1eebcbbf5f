//! The plan of one dataset: its relations as `probe` plans them, with what concerns all of them.

use crate::chunk::Plan;
use crate::error::Result;
use crate::options::{ChunkBy, ExportOptions};
use crate::pg::Session;
use crate::plan::pack::{PackLimits, pack};
use crate::plan::probe::plan_table;
use crate::table::{RelationKind, TableSchema};

/// Plans one table or query: for each of its relations a method and ranges; small ones together.
///
/// # Errors
///
/// As [`plan_table`].
pub(crate) async fn plan_dataset(
    session: &Session,
    schema: &TableSchema,
    options: &ExportOptions,
) -> Result<Plan> {
    let mut plan = plan_table(session, schema, options).await?;
    if let (RelationKind::Query, Some(query)) = (schema.kind, &options.query) {
        for relation in &mut plan.relations {
            relation.query = Some(query.sql.clone());
        }
    }
    // The folders and windows of a table's rows are each relation's own.
    let is_packed = options.hive.is_none()
        && options.incremental.is_none()
        && !matches!(options.chunk_by, ChunkBy::Time { .. });
    if is_packed {
        let limits = PackLimits {
            rows: options.chunk_rows.unwrap_or(u64::MAX),
            bytes: options.chunk_bytes.unwrap_or(options.target_object_bytes),
        };
        pack(&mut plan, limits);
    }
    Ok(plan)
}
