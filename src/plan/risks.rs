//! What may make a plan slow or uneven, one sentence each. Pure, but for one look at the catalog.

use std::collections::BTreeSet;

use crate::chunk::ChunkMethod;
use crate::error::Result;
use crate::pg::Session;
use crate::pg::session::column;
use crate::plan::choose::{Choice, shown};
use crate::plan::keys::IndexUse;
use crate::plan::split::{Limits, Size};
use crate::table::{Relation, RelationKind, TableSchema};

/// Tables that change data capture could not follow: UPDATE and DELETE name no row.
const NO_IDENTITY_SQL: &str = "
SELECT c.oid FROM pg_catalog.pg_class c
WHERE c.oid = ANY ($1) AND c.relkind = 'r' AND (c.relreplident = 'n' OR c.relreplident = 'd'
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid AND i.indisprimary))";

/// What is said of them.
pub(super) const NO_IDENTITY: &str = "it has neither a primary key nor a replica identity: change \
     data capture could not follow its updates and deletes";

/// How many times the rows of a chunk a single key must have to be worth a word.
const SKEW: f64 = 2.0;

/// The relations without a replica identity.
///
/// # Errors
///
/// [`crate::error::ErrorKind::Source`].
pub(super) async fn without_identity(
    session: &Session,
    schema: &TableSchema,
) -> Result<BTreeSet<u32>> {
    if !matches!(schema.kind, RelationKind::Table | RelationKind::Partitioned) {
        return Ok(BTreeSet::new());
    }
    let oids: Vec<u32> = schema.relations.iter().map(|one| one.oid).collect();
    let what = "the replica identities could not be read";
    let rows = session.query_often(what, NO_IDENTITY_SQL, &[&oids]).await?;
    rows.iter().map(|row| column(row, 0)).collect()
}

/// The risks of a choice, before it is known where it is cut.
pub(super) fn risks_of(
    choice: &Choice,
    relation: &Relation,
    kind: RelationKind,
    size: Size,
    limits: Limits,
) -> Vec<String> {
    let mut risks = Vec::new();
    let has_statistics = !matches!(kind, RelationKind::View | RelationKind::Query);
    if has_statistics && relation.estimated_rows.is_none() {
        risks.push("it was never analyzed: sizes are guesses (ANALYZE would tell)".to_owned());
    }
    let Some(key) = choice
        .candidate
        .as_ref()
        .filter(|_| choice.method == ChunkMethod::Key)
    else {
        return risks;
    };
    let columns = shown(key);
    if key.index == IndexUse::None {
        risks.push(format!(
            "no index leads with {columns}: each chunk scans the whole table"
        ));
    } else if let Some(correlation) = key.statistics.correlation
        && !key.is_correlated()
    {
        risks.push(format!(
            "rows do not lie in the order of {columns} (correlation {correlation:.2}): a chunk's \
             rows are spread over many pages, which are read again for other chunks"
        ));
    }
    if key.key.is_nullable() {
        let rows = (key.statistics.null_frac.clamp(0.0, 1.0) * size.rows as f64) as u64;
        risks.push(format!(
            "{columns} can be NULL: such rows, about {rows}, are one chunk"
        ));
    }
    risks.extend(skew(
        key.largest_share(),
        &columns,
        key.key.columns.len(),
        size,
        limits,
    ));
    risks
}

fn skew(share: f64, columns: &str, places: usize, size: Size, limits: Limits) -> Option<String> {
    let rows = share.clamp(0.0, 1.0) * size.rows as f64;
    let bytes = share.clamp(0.0, 1.0) * size.bytes as f64;
    let is_large =
        rows > SKEW * limits.chunk_rows as f64 || bytes > SKEW * limits.chunk_bytes as f64;
    (places == 1 && is_large).then(|| {
        format!(
            "one value of {columns} has about {} rows, more than a chunk should hold: rows of one \
             key stay together",
            rows as u64
        )
    })
}
