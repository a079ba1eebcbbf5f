//! Planning a table: each of its relations is looked at, cut by the method that fits or was asked
//! for, and told of in the plan.
//!
//! Owns the dispatch and the estimates of chunks. Candidates are `keys`' business, the choice is
//! `choose`'s, bounds are `bounds`' and `split`'s.

use crate::chunk::{Chunk, ChunkId, ChunkMethod, Plan, PlannedRelation, Range};
use crate::error::{Error, ErrorKind, Result};
use crate::options::{ChunkBy, ExportOptions};
use crate::pg::Session;
use crate::pg::session::column;
use crate::plan::bounds::{count_rows, find_bounds};
use crate::plan::choose::{Choice, Wish, choose_auto, choose_ctid, choose_key, choose_named};
use crate::plan::filter::check_filter;
use crate::plan::keys::{Candidate, IndexUse, probe_indexed, probe_named};
use crate::plan::offset::plan_offset;
use crate::plan::pack::{PackLimits, pack};
use crate::plan::risks::{NO_IDENTITY, risks_of, without_identity};
use crate::plan::size::{limits, take_sample};
use crate::plan::split::{MAX_CHUNKS, Size, chunks_wanted, key_ranges, split_ctid, too_many};
use crate::plan::task::RelationTask;
use crate::plan::time::plan_time;
use crate::table::{Relation, TableSchema};

/// A row's size where nothing is known of a table but its bytes.
const GUESSED_ROW_BYTES: u64 = 64;

/// A relation, cut: what the plan says of it, and its chunks in order.
pub(super) struct Cut {
    pub(super) relation: PlannedRelation,
    pub(super) size: Size,
    pub(super) pieces: Vec<Piece>,
}

/// A chunk to be.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Piece {
    pub(super) range: Range,
    /// The folder of its objects below the dataset's root.
    pub(super) folder: Option<String>,
    /// Its share of the relation's rows and bytes; a guess.
    pub(super) share: f64,
}

impl Piece {
    /// Pieces of equal shares, but for rows without a key.
    pub(super) fn even(ranges: Vec<Range>, null_frac: f64) -> Vec<Self> {
        let nulls = ranges
            .iter()
            .filter(|range| **range == Range::NullKey)
            .count();
        let null_frac = if nulls > 0 {
            null_frac.clamp(0.0, 1.0)
        } else {
            0.0
        };
        let keyed = (ranges.len() - nulls).max(1) as f64;
        let piece = |range| Self {
            share: match range {
                Range::NullKey => null_frac,
                _ => (1.0 - null_frac) / keyed,
            },
            range,
            folder: None,
        };
        ranges.into_iter().map(piece).collect()
    }
}

/// Plans one table: for each of its relations a method and ranges. A filter is checked first.
///
/// Runs inside the keeper's transaction, so that sizes are read after the snapshot.
///
/// # Errors
///
/// [`ErrorKind::Config`] for a key that does not exist or cannot be ordered, for too many chunks,
/// or for a filter that is not one boolean expression; [`ErrorKind::Unsupported`] where ctid
/// ranges were asked for and cannot be scanned, or a key's collation is not deterministic.
///
/// [`ErrorKind::Config`]: crate::error::ErrorKind::Config
/// [`ErrorKind::Unsupported`]: crate::error::ErrorKind::Unsupported
pub(crate) async fn plan_table(
    session: &Session,
    schema: &TableSchema,
    options: &ExportOptions,
) -> Result<Plan> {
    if let Some(filter) = &options.filter {
        check_filter(session, schema, filter).await?;
    }
    let mut plan = Plan::default();
    if schema.relations.is_empty() {
        push_cut(&mut plan, empty_parent(schema))?;
    }
    let sample = take_sample(session, schema, options).await?;
    let without_identity = without_identity(session, schema).await?;
    for relation in &schema.relations {
        let query = options.query.as_ref().map(|query| query.sql.clone());
        let base = PlannedRelation {
            query,
            alias: schema.alias().map(str::to_owned),
            ..PlannedRelation::whole(relation.name.clone(), relation.oid, "")
        };
        let task = RelationTask {
            session,
            schema,
            relation,
            base: &base,
            size: size_of(relation),
            limits: limits(relation, sample, options),
            options,
        };
        let planned = plan_relation(task, &mut plan).await;
        planned.map_err(|error| error.with_table(schema.name.to_string()))?;
        if without_identity.contains(&relation.oid)
            && let Some(planned) = plan.relations.last_mut()
        {
            planned.risks.push(NO_IDENTITY.to_owned());
        }
    }
    pack_small(&mut plan, options);
    Ok(plan)
}

/// Small neighbours are read together. Folders are each relation's own.
fn pack_small(plan: &mut Plan, options: &ExportOptions) {
    let is_time = matches!(options.chunk_by, ChunkBy::Time { .. });
    if is_time || options.hive.is_some() {
        return;
    }
    let limits = PackLimits {
        rows: options.chunk_rows.unwrap_or(u64::MAX),
        bytes: options.chunk_bytes.unwrap_or(options.target_object_bytes),
    };
    pack(plan, limits);
}

/// A partitioned table without partitions: reading it with ONLY yields no rows, and the schema.
fn empty_parent(schema: &TableSchema) -> Cut {
    Cut {
        relation: PlannedRelation::whole(schema.name.clone(), schema.oid, "it has no partitions"),
        size: Size { rows: 0, bytes: 0 },
        pieces: Piece::even(vec![Range::Whole], 0.0),
    }
}

/// Cuts one relation by the method that was asked for, and appends it to the plan.
async fn plan_relation(task: RelationTask<'_>, plan: &mut Plan) -> Result<()> {
    let choice = match &task.options.chunk_by {
        ChunkBy::Time { column, every } => return plan_time(task, column, *every, plan).await,
        ChunkBy::Offset => return plan_offset(task, plan).await,
        ChunkBy::None => Choice::whole("one chunk was asked for"),
        ChunkBy::Ctid => choose_ctid(task.schema.kind, task.relation)?,
        ChunkBy::Auto | ChunkBy::Key(_) => choose(task).await?,
    };
    push_cut(plan, cut_by(task, choice).await?)
}

/// The choice among the keys that the server knows of.
async fn choose(task: RelationTask<'_>) -> Result<Choice> {
    if let ChunkBy::Key(names) = &task.options.chunk_by
        && !names.is_empty()
    {
        let named = probe_named(task, names).await?;
        if !named.key.is_text() || is_utf8(task.session).await? {
            return Ok(choose_named(named));
        }
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!(
                "--chunk-by key:{}: the database's texts need be no UTF-8, as bounds are",
                named.key
            ),
        )
        .with_advice("name a key of another type, or use --chunk-by ctid"));
    }
    let is_auto = task.options.chunk_by == ChunkBy::Auto;
    let candidates = match task.is_computed() {
        true if is_auto => return Ok(Choice::whole("it has neither pages nor statistics")),
        true => Vec::new(),
        false => probe_indexed(task).await?,
    };
    let candidates = match candidates.iter().any(|one| one.key.is_text()) {
        true if !is_utf8(task.session).await? => candidates
            .into_iter()
            .filter(|one| !one.key.is_text())
            .collect(),
        _ => candidates,
    };
    let wish = Wish {
        size: task.size,
        wanted: chunks_wanted(task.size, task.limits)?,
        is_pausable: task.options.is_pausable(),
    };
    match is_auto {
        true => Ok(choose_auto(task.relation, candidates, wish)),
        false => choose_key(task.relation, candidates, wish),
    }
}

/// Whether the server vouches for the encoding of texts: SQL_ASCII takes any bytes.
async fn is_utf8(session: &Session) -> Result<bool> {
    let sql = "SELECT pg_catalog.current_setting('server_encoding') <> 'SQL_ASCII'";
    let what = "the database's encoding could not be read";
    column(&session.query_one(what, sql, &[]).await?, 0)
}

/// Cuts by a choice that was made.
async fn cut_by(task: RelationTask<'_>, mut choice: Choice) -> Result<Cut> {
    let mut task = task;
    if choice.method == ChunkMethod::Key && task.is_computed() {
        task.size = count_rows(task).await?;
    }
    let (relation, size, limits) = (task.relation, task.size, task.limits);
    let wanted = chunks_wanted(size, limits)?;
    let ranges = match (&choice.candidate, choice.method) {
        _ if wanted == 1 || choice.method == ChunkMethod::Whole => vec![Range::Whole],
        (Some(candidate), ChunkMethod::Key) => {
            let found = find_bounds(task, candidate, wanted).await?;
            choice.reason = format!("{}; {}", choice.reason, found.how);
            key_ranges(&found.bounds, candidate.key.is_nullable())
        }
        _ => split_ctid(relation.heap_pages, size, limits)?,
    };
    let null_frac = choice.candidate.as_ref();
    let null_frac = null_frac.map_or(0.0, |key| key.statistics.null_frac);
    Ok(Cut {
        relation: planned(task, choice, &ranges, wanted),
        size,
        pieces: Piece::even(ranges, null_frac),
    })
}

/// What the plan says of a relation once its ranges are known.
fn planned(
    task: RelationTask<'_>,
    choice: Choice,
    ranges: &[Range],
    wanted: u64,
) -> PlannedRelation {
    let is_whole = ranges == [Range::Whole];
    let (kind, relation) = (task.schema.kind, task.relation);
    let risks = match is_whole {
        true => risks_of(&Choice::whole(""), relation, kind, task.size, task.limits),
        false => risks_of(&choice, relation, kind, task.size, task.limits),
    };
    let reason = match (is_whole, choice.method) {
        (true, ChunkMethod::Key | ChunkMethod::Ctid) if wanted == 1 => {
            "it fits into one chunk".to_owned()
        }
        (true, ChunkMethod::Key) => format!("{}, which has no two values", choice.reason),
        _ => choice.reason,
    };
    let method = match is_whole {
        true => ChunkMethod::Whole,
        false => choice.method,
    };
    let is_ordered = |key: &Candidate| key.index == IndexUse::Ordered && key.is_correlated();
    let candidate = choice.candidate.filter(|_| method == ChunkMethod::Key);
    PlannedRelation {
        method,
        ordered: candidate.as_ref().is_some_and(is_ordered),
        key: candidate.map(|candidate| candidate.key),
        reason,
        risks,
        ..task.base.clone()
    }
}

/// Appends a relation and its chunks.
fn push_cut(plan: &mut Plan, cut: Cut) -> Result<()> {
    let total = (plan.chunks.len() + cut.pieces.len()) as u64;
    if total > MAX_CHUNKS {
        return Err(too_many(total));
    }
    // `too_many` stops this long before u32 ends.
    let relation = plan.relations.len() as u32;
    plan.relations.push(cut.relation);
    for piece in cut.pieces {
        let size = cut.size;
        let share = |of: u64| (of as f64 * piece.share).round() as u64;
        plan.chunks.push(Chunk {
            id: ChunkId(plan.chunks.len() as u32),
            relation,
            range: piece.range,
            folder: piece.folder,
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

#[cfg(test)]
#[path = "probe_tests.rs"]
mod tests;
