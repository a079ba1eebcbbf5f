//! Keys of views and queries, whose rows are computed when they are read: no index, no statistics,
//! no pages tell of them.
//!
//! Owns what such a key is, and its bounds: one reading of all rows, in the key's order, which is
//! done because the key was named. Tables are `keys`' and `bounds`' business.

use tokio_postgres::types::ToSql;

use crate::chunk::{ChunkMethod, Range};
use crate::error::Result;
use crate::pg::session::column;
use crate::pg::sql::{conditions, from_clause, from_query, quote_ident};
use crate::plan::bounds::read_bounds;
use crate::plan::keys::{COLUMNS_SQL, Catalog, probe_named};
use crate::plan::probe::{Cut, Piece};
use crate::plan::split::{Size, key_ranges};
use crate::plan::task::RelationTask;
use crate::table::Relation;

/// Rows of a chunk where nothing was said: no size of a row is known.
const CHUNK_ROWS: u64 = 1_000_000;

/// Cuts a view or a query by a key that was named, and counts what it found.
///
/// # Errors
///
/// As [`probe_named`]; the server's.
pub(super) async fn cut_computed(
    task: RelationTask<'_>,
    relation: &Relation,
    names: &[String],
) -> Result<(Cut, Size)> {
    let catalog = match &task.base.query {
        Some(query) => load_columns(&task, query).await?,
        None => Catalog::load(task.session, relation).await?,
    };
    let candidate = probe_named(task.session, task.base, catalog, relation, names).await?;
    let step = task.options.chunk_rows.unwrap_or(CHUNK_ROWS).max(1);
    let from = from_clause(task.base);
    let filter = task.options.filter.as_deref();
    let kept = conditions(task.base, &Range::Whole, filter);
    let read = read_bounds(task.session, relation, &candidate, &from, kept, step).await?;
    let mut planned = task.base.clone();
    planned.reason = format!(
        "key {} was asked for; it was cut by reading all rows once, {} with a key",
        candidate.key, read.rows
    );
    let nulls = candidate.key.is_nullable();
    let ranges = match read.bounds.is_empty() {
        true => vec![Range::Whole],
        false => key_ranges(&read.bounds, nulls),
    };
    if ranges.len() > 1 {
        planned.method = ChunkMethod::Key;
        planned.key = Some(candidate.key);
        planned.risks.push(format!(
            "nothing but reading it finds a part of its rows: each of the {} chunks may compute \
             all of them",
            ranges.len()
        ));
    }
    let cut = Cut {
        relation: planned,
        pieces: Piece::even(ranges, 0.0),
    };
    let size = Size {
        rows: read.rows,
        bytes: task.size.bytes,
    };
    Ok((cut, size))
}

/// The columns of a query as those of a relation would be read. Nothing of it is executed.
async fn load_columns(task: &RelationTask<'_>, query: &str) -> Result<Catalog> {
    let columns = &task.schema.columns;
    let names: Vec<&str> = columns.iter().map(|one| one.name.as_str()).collect();
    let types: Vec<u32> = columns.iter().map(|one| one.type_oid).collect();
    let typmods: Vec<i32> = columns.iter().map(|one| one.typmod).collect();
    let collations = load_collations(task, query, &types).await?;
    let attributes = "(SELECT 0::pg_catalog.oid AS attrelid, u.place::pg_catalog.int2 AS attnum,
        u.name AS attname, u.type AS atttypid, u.typmod AS atttypmod,
        u.coll AS attcollation, false AS attnotnull, false AS attisdropped
        FROM ROWS FROM (pg_catalog.unnest($2::pg_catalog.text[]),
          pg_catalog.unnest($3::pg_catalog.oid[]), pg_catalog.unnest($4::pg_catalog.int4[]),
          pg_catalog.unnest($5::pg_catalog.oid[]))
          WITH ORDINALITY AS u(name, type, typmod, coll, place)) a";
    let sql = COLUMNS_SQL.replace("pg_catalog.pg_attribute a", attributes);
    let what = "the columns that could be keys could not be read";
    let no_relation = 0_u32;
    let params: [&(dyn ToSql + Sync); 5] = [&no_relation, &names, &types, &typmods, &collations];
    let rows = task.session.query(what, &sql, &params).await?;
    Catalog::of_columns(&rows)
}

/// The collation that each column brings, 0 where there is none: what its expression says, which
/// no catalog does.
async fn load_collations(task: &RelationTask<'_>, query: &str, types: &[u32]) -> Result<Vec<u32>> {
    let what = "the collations of the query's columns could not be read";
    let sql = "SELECT oid FROM pg_catalog.pg_type WHERE oid = ANY ($1) AND typcollation <> 0";
    let rows = task.session.query(what, sql, &[&types]).await?;
    let collatable: Vec<u32> = rows
        .iter()
        .map(|row| column(row, 0))
        .collect::<Result<_>>()?;
    let of = |(name, type_oid): (&String, &u32)| match collatable.contains(type_oid) {
        true => format!(
            "coalesce(pg_catalog.to_regcollation(pg_catalog.pg_collation_for(q.{}))\
             ::pg_catalog.oid, 0)",
            quote_ident(name)
        ),
        false => "0::pg_catalog.oid".to_owned(),
    };
    let names = task.schema.columns.iter().map(|one| &one.name);
    let list: Vec<String> = names.zip(types).map(of).collect();
    let sql = format!(
        "SELECT ARRAY[{}]::pg_catalog.oid[] FROM (VALUES (1)) AS one(row) LEFT JOIN \
         (SELECT * FROM {} LIMIT 0) AS q ON true",
        list.join(", "),
        from_query(query)
    );
    let row = task.session.query_one(what, &sql, &[]).await?;
    column(&row, 0)
}
