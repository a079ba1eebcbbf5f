//! Asking the server how a table should be cut: keys, indexes, statistics. It scans no rows:
//! bounds come from an index's ends, the rest from the catalog.
//!
//! Owns the choice of method. The arithmetic is `split`'s.

use tokio_postgres::Row;

use crate::chunk::{Chunk, ChunkId, ChunkMethod, Key, KeyColumn, Plan, PlannedRelation, Range};
use crate::error::{Error, ErrorKind, Result};
use crate::options::{ChunkBy, ExportOptions};
use crate::pg::Session;
use crate::pg::session::column;
use crate::pg::sql::{quote_ident, quote_table};
use crate::plan::offset::plan_offset;
use crate::plan::size::{limits, take_sample};
use crate::plan::split::{
    KeyStats, Limits, MAX_CHUNKS, Size, chunks_wanted, split_ctid, split_key, too_many,
};
use crate::plan::task::RelationTask;
use crate::plan::time::plan_time;
use crate::table::{Relation, RelationKind, TableName, TableSchema};

/// From here on, rows lie in the order of the key: a key range reads few pages more than once.
const HIGH_CORRELATION: f64 = 0.9;

/// A row's size where nothing is known of a table but its bytes.
const GUESSED_ROW_BYTES: u64 = 64;

/// Every integer column (domains resolved), whether a usable btree index leads with it, and
/// what the statistics know of it. `pg_stats` shows only columns that the user may read.
const KEYS_SQL: &str = "
WITH RECURSIVE base(attnum, typid) AS (
  SELECT a.attnum, a.atttypid FROM pg_catalog.pg_attribute a
  WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped
  UNION ALL
  SELECT b.attnum, t.typbasetype FROM base b
  JOIN pg_catalog.pg_type t ON t.oid = b.typid WHERE t.typtype = 'd'
), leads AS (
  SELECT i.indkey[0] AS attnum, bool_or(i.indisprimary) AS is_primary,
    bool_or(i.indisunique AND i.indnkeyatts = 1) AS is_unique
  FROM pg_catalog.pg_index i
  JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
  JOIN pg_catalog.pg_am m ON m.oid = c.relam AND m.amname = 'btree'
  JOIN pg_catalog.pg_opclass o ON o.oid = i.indclass[0] AND o.opcdefault
  WHERE i.indrelid = $1 AND i.indisvalid AND i.indisready AND i.indpred IS NULL
  GROUP BY 1
)
SELECT a.attname::text,
  NOT a.attnotnull OR EXISTS (SELECT FROM pg_catalog.pg_constraint k
    WHERE k.conrelid = a.attrelid AND k.contype = 'n' AND NOT k.convalidated
      AND k.conkey = ARRAY[a.attnum]),
  l.attnum IS NOT NULL, coalesce(l.is_unique OR l.is_primary, false),
  s.correlation::pg_catalog.float8, coalesce(s.null_frac, 0)::pg_catalog.float8,
  coalesce(s.histogram_bounds::text::pg_catalog.int8[], '{}'),
  coalesce(s.most_common_vals::text::pg_catalog.int8[], '{}'),
  coalesce(s.most_common_freqs::pg_catalog.float8[], '{}'),
  (SELECT pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(t.typname)
   FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
   WHERE t.oid = b.typid)
FROM base b
JOIN pg_catalog.pg_attribute a ON a.attrelid = $1 AND a.attnum = b.attnum
LEFT JOIN leads l ON l.attnum = a.attnum
LEFT JOIN pg_catalog.pg_stats s ON s.schemaname = $2 AND s.tablename = $3
  AND s.attname = a.attname AND NOT s.inherited
WHERE b.typid IN (20, 21, 23)
ORDER BY a.attnum";

/// An integer column that could bound chunks.
#[derive(Debug, Clone, PartialEq)]
struct Candidate {
    stats: KeyStats,
    type_name: String,
    has_index: bool,
    is_unique: bool,
    correlation: Option<f64>,
}

impl Candidate {
    fn is_correlated(&self) -> bool {
        self.correlation
            .is_some_and(|correlation| correlation.abs() >= HIGH_CORRELATION)
    }
}

/// How a relation will be cut, and why.
struct Choice {
    method: ChunkMethod,
    candidate: Option<Candidate>,
    reason: String,
}

/// Plans one table: for each of its relations a method and ranges. A filter is checked first.
///
/// Runs inside the keeper's transaction, so that sizes are read after the snapshot.
///
/// # Errors
///
/// [`ErrorKind::Config`] for a key that does not exist or is no integer, for too many chunks, or
/// for a filter that is not one boolean expression;
/// [`ErrorKind::Unsupported`] where ctid ranges were asked for and cannot be scanned.
pub(crate) async fn plan_table(
    session: &Session,
    schema: &TableSchema,
    options: &ExportOptions,
) -> Result<Plan> {
    if let Some(filter) = &options.filter {
        check_filter(session, &schema.name, filter).await?;
    }
    let mut plan = Plan::default();
    if schema.relations.is_empty() {
        plan.relations.push(empty_parent(schema));
        push_chunks(&mut plan, vec![Range::Whole], Size { rows: 0, bytes: 0 })?;
    }
    let sample = take_sample(session, schema, options).await?;
    for relation in &schema.relations {
        let limits = limits(relation, sample, options);
        let query = options.query.as_ref().map(|query| query.sql.clone());
        let base = PlannedRelation {
            query,
            ..PlannedRelation::whole(relation.name.clone(), relation.oid, "")
        };
        let task = RelationTask {
            session,
            schema,
            base: &base,
            size: size_of(relation),
            limits,
            options,
        };
        let planned = match &options.chunk_by {
            ChunkBy::Time { column, every } => plan_time(task, column, *every, &mut plan).await,
            ChunkBy::Offset => plan_offset(task, &mut plan).await,
            _ => plan_relation(session, schema.kind, relation, options, limits, &mut plan).await,
        };
        planned.map_err(|error| error.with_table(schema.name.to_string()))?;
    }
    Ok(plan)
}

/// Functions whose value differs from one chunk's transaction to the next.
const MOVING_CALLS: [&str; 10] = [
    "now",
    "clock_timestamp",
    "statement_timestamp",
    "transaction_timestamp",
    "timeofday",
    "random",
    "random_normal",
    "gen_random_uuid",
    "uuidv4",
    "uuidv7",
];
/// The same, as words of SQL that take no parentheses.
const MOVING_WORDS: [&str; 5] = [
    "current_timestamp",
    "current_date",
    "current_time",
    "localtime",
    "localtimestamp",
];

/// Literals that the server reads by its clock.
const MOVING_LITERALS: [&str; 4] = ["'now'", "'today'", "'tomorrow'", "'yesterday'"];

/// Every chunk, and every run that resumes, has a transaction and so a clock of its own. Finds
/// what people write; a function that hides a clock is not found.
fn refuse_moving(filter: &str) -> Result<()> {
    let Some(word) = moving_word(filter) else {
        return Ok(());
    };
    Err(Error::new(
        ErrorKind::Config,
        format!("--where uses {word}, which differs from chunk to chunk"),
    )
    .with_advice(
        "give a literal instead, such as timestamptz '2026-01-31 00:00+00'; where 'now' or its \
         like is meant as plain text, write $$now$$",
    ))
}

fn moving_word(filter: &str) -> Option<String> {
    let filter = filter.to_ascii_lowercase();
    let literal = MOVING_LITERALS
        .iter()
        .find(|literal| filter.contains(**literal));
    if let Some(literal) = literal {
        return Some((*literal).to_owned());
    }
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut rest = filter.as_str();
    while let Some(start) = rest.find(is_word) {
        let from = &rest[start..];
        let end = from.find(|c| !is_word(c)).unwrap_or(from.len());
        let (word, after) = from.split_at(end);
        let is_call = after.trim_start().starts_with('(');
        if MOVING_WORDS.contains(&word) || (is_call && MOVING_CALLS.contains(&word)) {
            return Some(word.to_owned());
        }
        rest = after;
    }
    None
}

/// Makes sure that a filter is one boolean expression over the table, before anything is read.
///
/// `CASE WHEN … THEN` leaves no room for what parentheses would let through, such as
/// `true) OR (true`. Nothing is executed.
///
/// # Errors
///
/// Mostly [`ErrorKind::Config`], with the server's message beneath. The transaction is then over.
pub(crate) async fn check_filter(session: &Session, table: &TableName, filter: &str) -> Result<()> {
    refuse_moving(filter)?;
    let sql = format!(
        "EXPLAIN SELECT FROM ONLY {} WHERE CASE WHEN\n{filter}\nTHEN true END",
        quote_table(table)
    );
    let what = "the filter cannot be used";
    session
        .query(what, &sql, &[])
        .await
        .map(|_| ())
        .map_err(|error| {
            error.with_table(table.to_string()).with_advice(
            "--where takes one boolean SQL expression; names outside pg_catalog need their schema",
        )
        })
}

/// A partitioned table without partitions: reading it with ONLY yields no rows, and the schema.
fn empty_parent(schema: &TableSchema) -> PlannedRelation {
    PlannedRelation::whole(schema.name.clone(), schema.oid, "it has no partitions")
}

async fn plan_relation(
    session: &Session,
    kind: RelationKind,
    relation: &Relation,
    options: &ExportOptions,
    limits: Limits,
    plan: &mut Plan,
) -> Result<()> {
    let size = size_of(relation);
    let candidates = match &options.chunk_by {
        ChunkBy::None | ChunkBy::Ctid | ChunkBy::Offset | ChunkBy::Time { .. } => Vec::new(),
        _ if kind == RelationKind::View => Vec::new(),
        _ => probe_keys(session, relation).await?,
    };
    let mut choice = choose(kind, relation, &options.chunk_by, candidates)?;
    let wanted = chunks_wanted(size, limits)?;
    let ranges = match (&mut choice.candidate, choice.method) {
        _ if wanted == 1 || choice.method == ChunkMethod::Whole => vec![Range::Whole],
        (Some(candidate), ChunkMethod::Key) => {
            probe_bounds(session, relation, candidate).await?;
            split_key(&candidate.stats, size, limits)?
        }
        _ => split_ctid(relation.heap_pages, size, limits)?,
    };
    plan.relations
        .push(planned(relation, choice, &ranges, wanted));
    push_chunks(plan, ranges, size)
}

/// What the plan says of a relation once its ranges are known.
fn planned(relation: &Relation, choice: Choice, ranges: &[Range], wanted: u64) -> PlannedRelation {
    let is_whole = ranges == [Range::Whole];
    let reason = match (is_whole, choice.method) {
        (true, ChunkMethod::Key | ChunkMethod::Ctid) if wanted == 1 => {
            "it fits into one chunk".to_owned()
        }
        (true, ChunkMethod::Key) => format!("{}; but no bounds to cut at are known", choice.reason),
        _ => choice.reason,
    };
    let method = if is_whole {
        ChunkMethod::Whole
    } else {
        choice.method
    };
    let candidate = choice.candidate.filter(|_| method == ChunkMethod::Key);
    PlannedRelation {
        method,
        ordered: candidate
            .as_ref()
            .is_some_and(|key| key.has_index && key.is_correlated()),
        key: candidate.map(|key| Key {
            columns: vec![KeyColumn {
                name: key.stats.column,
                type_name: key.type_name,
                operators: "pg_catalog".to_owned(),
                collation: None,
                is_nullable: key.stats.is_nullable,
            }],
        }),
        reason,
        ..PlannedRelation::whole(relation.name.clone(), relation.oid, "")
    }
}

/// The rule: a well-correlated indexed key; else pages; else the best indexed key; else whole.
fn choose(
    kind: RelationKind,
    relation: &Relation,
    chunk_by: &ChunkBy,
    candidates: Vec<Candidate>,
) -> Result<Choice> {
    let whole = |reason: &str| {
        let reason = reason.to_owned();
        Ok(Choice {
            method: ChunkMethod::Whole,
            candidate: None,
            reason,
        })
    };
    let ctid = |reason: &str| {
        let reason = reason.to_owned();
        Ok(Choice {
            method: ChunkMethod::Ctid,
            candidate: None,
            reason,
        })
    };
    match chunk_by {
        ChunkBy::None => whole("one chunk was asked for"),
        ChunkBy::Ctid if relation.has_ctid => ctid("page ranges were asked for"),
        ChunkBy::Ctid => Err(no_ctid(kind)),
        _ if kind == RelationKind::View => whole("a view has neither pages nor statistics"),
        ChunkBy::Offset | ChunkBy::Time { .. } => Err(Error::new(
            ErrorKind::Unsupported,
            "this way of cutting is not there yet",
        )),
        ChunkBy::Key(names) if !names.is_empty() => named_key(relation, &names[0], candidates),
        ChunkBy::Key(_) => match best_of(candidates) {
            Some(key) => Ok(by_key(key)),
            None => Err(Error::new(
                ErrorKind::Config,
                format!(
                    "{} has no integer column that a btree index leads with",
                    relation.name
                ),
            )
            .with_advice("leave --chunk-by out, or name a column: --chunk-by key:COLUMN")),
        },
        ChunkBy::Auto => match best_of(candidates) {
            Some(key) if key.is_correlated() => Ok(by_key(key)),
            _ if relation.has_ctid => ctid("no integer key lies in the order of the pages"),
            Some(key) => Ok(by_key(key)),
            None => whole("it has no integer key with an index, and no page ranges can be scanned"),
        },
    }
}

fn no_ctid(kind: RelationKind) -> Error {
    let why = match kind {
        RelationKind::View | RelationKind::MaterializedView => "a view has no page ranges",
        _ => "page ranges need a heap table and PostgreSQL 14 or later",
    };
    Error::new(ErrorKind::Unsupported, format!("--chunk-by ctid: {why}"))
        .with_advice("use --chunk-by key or auto")
}

fn by_key(key: Candidate) -> Choice {
    let column = &key.stats.column;
    let reason = match key.correlation {
        Some(correlation) => format!(
            "integer key {column:?} leads an index, and its correlation is {correlation:.2}"
        ),
        None => format!("integer key {column:?} leads an index"),
    };
    Choice {
        method: ChunkMethod::Key,
        candidate: Some(key),
        reason,
    }
}

/// A key that a person named: it need not have an index, but that is said.
fn named_key(relation: &Relation, name: &str, candidates: Vec<Candidate>) -> Result<Choice> {
    let columns: Vec<String> = candidates
        .iter()
        .map(|key| format!("{:?}", key.stats.column))
        .collect();
    match candidates.into_iter().find(|key| key.stats.column == name) {
        Some(key) if key.has_index => Ok(by_key(key)),
        Some(key) => Ok(Choice {
            method: ChunkMethod::Key,
            reason: format!(
                "key {name:?} was asked for; no index leads with it, so every chunk reads the whole table"
            ),
            candidate: Some(key),
        }),
        None => {
            let message = format!(
                "--chunk-by key:{name}: no integer column of {}",
                relation.name
            );
            let error = Error::new(ErrorKind::Config, message);
            Err(match columns.is_empty() {
                true => error.with_advice("it has no integer column; leave --chunk-by out"),
                false => error.with_advice(format!("its integer columns: {}", columns.join(", "))),
            })
        }
    }
}

/// The best indexed key: correlated before not, unique before not, never NULL before nullable,
/// then the first column.
fn best_of(candidates: Vec<Candidate>) -> Option<Candidate> {
    let rank = |key: &Candidate| (!key.is_correlated(), !key.is_unique, key.stats.is_nullable);
    candidates
        .into_iter()
        .filter(|key| key.has_index)
        .min_by_key(rank)
}

/// Appends a relation's ranges; each is thought to hold an equal share.
fn push_chunks(plan: &mut Plan, ranges: Vec<Range>, size: Size) -> Result<()> {
    // `too_many` stops this long before u32 ends.
    let relation = (plan.relations.len() - 1) as u32;
    let total = (plan.chunks.len() + ranges.len()) as u64;
    if total > MAX_CHUNKS {
        return Err(too_many(total));
    }
    let keyed = ranges
        .iter()
        .filter(|range| !matches!(range, Range::NullKey))
        .count();
    let keyed = (keyed as u64).max(1);
    for range in ranges {
        let is_null = matches!(range, Range::NullKey);
        let share = |of: u64| if is_null { 0 } else { of / keyed };
        plan.chunks.push(Chunk {
            id: ChunkId(plan.chunks.len() as u32),
            relation,
            range,
            folder: None,
            estimated_rows: share(size.rows),
            estimated_bytes: share(size.bytes),
        });
    }
    Ok(())
}

fn size_of(relation: &Relation) -> Size {
    let guessed = relation.table_bytes / GUESSED_ROW_BYTES;
    Size {
        rows: relation.estimated_rows.unwrap_or(guessed),
        bytes: relation.table_bytes,
    }
}

async fn probe_keys(session: &Session, relation: &Relation) -> Result<Vec<Candidate>> {
    let what = "the statistics could not be read";
    let (schema, name) = (&relation.name.schema, &relation.name.name);
    let rows = session
        .query(what, KEYS_SQL, &[&relation.oid, schema, name])
        .await?;
    rows.iter().map(read_candidate).collect()
}

fn read_candidate(row: &Row) -> Result<Candidate> {
    let values: Vec<i64> = column(row, 7)?;
    let shares: Vec<f64> = column(row, 8)?;
    Ok(Candidate {
        stats: KeyStats {
            column: column(row, 0)?,
            bounds: None,
            is_nullable: column(row, 1)?,
            null_frac: column(row, 5)?,
            histogram: column(row, 6)?,
            common: values.into_iter().zip(shares).collect(),
            grown: 0.0,
        },
        type_name: column(row, 9)?,
        has_index: column(row, 2)?,
        is_unique: column(row, 3)?,
        correlation: column(row, 4)?,
    })
}

/// Fills in the least and the largest key: from the ends of the index, or, without one, from
/// the statistics. `max()` is not used: an index serves ORDER BY … LIMIT 1 for every type.
async fn probe_bounds(session: &Session, relation: &Relation, key: &mut Candidate) -> Result<()> {
    if !key.has_index {
        let known = key
            .stats
            .histogram
            .iter()
            .chain(key.stats.common.iter().map(|(v, _)| v));
        let known: Vec<i64> = known.copied().collect();
        key.stats.bounds = known.iter().min().copied().zip(known.iter().max().copied());
        return Ok(());
    }
    let (column_name, table) = (quote_ident(&key.stats.column), quote_table(&relation.name));
    let mut ends = [None, None];
    for (end, direction) in ends.iter_mut().zip(["ASC", "DESC"]) {
        let sql = format!(
            "SELECT {column_name}::pg_catalog.int8 FROM ONLY {table} WHERE {column_name} IS NOT NULL \
             ORDER BY {column_name} {direction} LIMIT 1"
        );
        let rows = session
            .query("the key's bounds could not be read", &sql, &[])
            .await?;
        *end = rows.first().map(|row| column::<i64>(row, 0)).transpose()?;
    }
    key.stats.bounds = ends[0].zip(ends[1]);
    Ok(())
}

#[cfg(test)]
#[path = "probe_tests.rs"]
mod tests;
