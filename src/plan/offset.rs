//! Cutting by place in the order of all exported columns: for what has no key and no pages.
//!
//! Owns the places; the order is `pg::sql`'s, by text, so that rows which tie are the same row. A
//! place means a row of one snapshot only, and every chunk sorts all rows up to its end.

use crate::chunk::{Chunk, ChunkId, ChunkMethod, Plan, Range};
use crate::error::{Error, ErrorKind, Result};
use crate::pg::session::column;
use crate::pg::sql::{conditions, from_clause, where_clause};
use crate::plan::split::{MAX_CHUNKS, too_many};

use super::task::RelationTask;

/// Appends a relation and its chunks to a plan. Counts the rows: a place is nothing without.
///
/// # Errors
///
/// [`ErrorKind::Config`] for a run that can pause, for an export without columns, and for too many
/// chunks; the server's.
pub(super) async fn plan_offset(task: RelationTask<'_>, plan: &mut Plan) -> Result<()> {
    refuse(&task)?;
    let rows = count(&task).await?;
    let step = step(&task, rows);
    let chunks = rows.div_ceil(step).max(1);
    if plan.chunks.len() as u64 + chunks > MAX_CHUNKS {
        return Err(too_many(plan.chunks.len() as u64 + chunks));
    }
    let mut planned = task.base.clone();
    planned.method = ChunkMethod::Offset;
    planned.reason =
        format!("places in the order of all columns were asked for; {rows} rows were counted");
    planned.risks.extend(risks(&task, chunks));
    // `too_many` stops this long before u32 ends.
    let relation = plan.relations.len() as u32;
    plan.relations.push(planned);
    for number in 0..chunks {
        let lower = number * step;
        let upper = (number + 1 < chunks).then_some(lower + step);
        let held = rows.saturating_sub(lower).min(step);
        plan.chunks.push(Chunk {
            id: ChunkId(plan.chunks.len() as u32),
            relation,
            range: Range::Offset { lower, upper },
            folder: None,
            estimated_rows: held,
            estimated_bytes: share(task.size.bytes, held, rows),
        });
    }
    Ok(())
}

fn refuse(task: &RelationTask<'_>) -> Result<()> {
    let bad = |message: &str, advice: &str| {
        Err(Error::new(ErrorKind::Config, message.to_owned()).with_advice(advice))
    };
    if task.options.is_pausable() {
        return bad(
            "--chunk-by offset holds for one snapshot only: a run that pauses would start again",
            "name a snapshot that something keeps with --snapshot, or use key or time chunks",
        );
    }
    if task.schema.columns.is_empty() {
        return bad(
            "--chunk-by offset: there are no columns to order the rows by",
            "use --chunk-by none",
        );
    }
    Ok(())
}

/// The rows under the snapshot, filter included: what the chunks' own statements will see.
async fn count(task: &RelationTask<'_>) -> Result<u64> {
    let all = conditions(task.base, &Range::Whole, task.options.filter.as_deref());
    let sql = format!(
        "SELECT pg_catalog.count(*) FROM {}{}",
        from_clause(task.base),
        where_clause(&all)
    );
    let what = "the rows could not be counted";
    let row = task.session.query_one(what, &sql, &[]).await?;
    Ok(u64::try_from(column::<i64>(&row, 0)?).unwrap_or(0))
}

/// Rows of a chunk: as many as the limits allow, by the table's average row where it has one.
fn step(task: &RelationTask<'_>, rows: u64) -> u64 {
    let by_rows = task.limits.chunk_rows.max(1);
    if task.size.bytes == 0 || rows == 0 {
        return by_rows;
    }
    let by_bytes =
        u128::from(task.limits.chunk_bytes) * u128::from(rows) / u128::from(task.size.bytes);
    by_rows
        .min(u64::try_from(by_bytes).unwrap_or(u64::MAX))
        .max(1)
}

fn share(bytes: u64, of: u64, all: u64) -> u64 {
    let share = u128::from(bytes) * u128::from(of) / u128::from(all.max(1));
    u64::try_from(share).unwrap_or(u64::MAX)
}

fn risks(task: &RelationTask<'_>, chunks: u64) -> Vec<String> {
    let mut risks = Vec::new();
    if chunks > 1 {
        risks.push(format!(
            "each of the {chunks} chunks reads and sorts all rows, by the text of every column: use \
             key or time chunks where there is a column for it"
        ));
    }
    if task.is_computed() {
        risks.push(
            "a query that calls now(), random() or the like yields other rows for each chunk"
                .to_owned(),
        );
    }
    risks
}
