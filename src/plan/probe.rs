//! Planning a table: each of its relations is looked at, cut by the method that fits or was asked
//! for, and told of in the plan.
//!
//! Owns the dispatch and the estimates of chunks. Candidates are `keys`' business, the choice is
//! `choose`'s, bounds are `bounds`' and `split`'s.

use crate::chunk::{Chunk, ChunkId, ChunkMethod, Plan, PlannedRelation, Range};
use crate::error::Result;
use crate::options::{ChunkBy, ExportOptions};
use crate::pg::Session;
use crate::plan::bounds::find_bounds;
use crate::plan::choose::{Choice, Wish, choose_auto, choose_ctid, choose_key, choose_named};
use crate::plan::computed::cut_computed;
use crate::plan::filter::check_filter;
use crate::plan::keys::{Candidate, Catalog, IndexUse, probe_indexed, probe_named};
use crate::plan::offset::plan_offset;
use crate::plan::pack::{PackLimits, pack};
use crate::plan::risks::{risks_of, without_identity};
use crate::plan::size::{limits, take_sample};
use crate::plan::split::{
    Limits, MAX_CHUNKS, Size, chunks_wanted, key_ranges, split_ctid, too_many,
};
use crate::plan::task::RelationTask;
use crate::plan::time::plan_time;
use crate::table::{Relation, RelationKind, TableSchema};

/// A row's size where nothing is known of a table but its bytes.
const GUESSED_ROW_BYTES: u64 = 64;

/// What each relation of a table is planned with.
pub(super) struct Context<'a> {
    pub(super) session: &'a Session,
    pub(super) schema: &'a TableSchema,
    pub(super) options: &'a ExportOptions,
    pub(super) relation: &'a Relation,
    pub(super) size: Size,
    pub(super) limits: Limits,
}

/// A relation, cut: what the plan says of it, and its chunks in order.
pub(super) struct Cut {
    pub(super) relation: PlannedRelation,
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
        let empty = Size { rows: 0, bytes: 0 };
        push_cut(&mut plan, empty_parent(schema), empty)?;
    }
    let sample = take_sample(session, schema, options).await?;
    let without_identity = without_identity(session, schema).await?;
    for relation in &schema.relations {
        let context = Context {
            session,
            schema,
            options,
            relation,
            size: size_of(relation),
            limits: limits(relation, sample, options),
        };
        let planned = context.plan(&mut plan).await;
        planned.map_err(|error| error.with_table(schema.name.to_string()))?;
        if let Some(planned) = plan.relations.last_mut()
            && without_identity.contains(&relation.oid)
        {
            planned.risks.push(
                "it has neither a primary key nor a replica identity: change data capture could \
                 not follow its updates and deletes"
                    .to_owned(),
            );
        }
    }
    pack_small(&mut plan, options);
    Ok(plan)
}

/// Small neighbours are read together. Folders and windows are each relation's own.
fn pack_small(plan: &mut Plan, options: &ExportOptions) {
    let is_time = matches!(options.chunk_by, ChunkBy::Time { .. });
    if is_time || options.hive.is_some() || options.incremental.is_some() {
        return;
    }
    let limits = PackLimits {
        rows: options.chunk_rows.unwrap_or(u64::MAX),
        bytes: options.chunk_bytes.unwrap_or(options.target_object_bytes),
    };
    pack(plan, limits);
}

impl Context<'_> {
    /// The relation or query, without a method.
    fn base(&self) -> PlannedRelation {
        let query = self.options.query.as_ref();
        PlannedRelation {
            query: query.map(|query| query.sql.clone()),
            ..PlannedRelation::whole(self.relation.name.clone(), self.relation.oid, "")
        }
    }

    /// Appends the relation and its chunks to the plan.
    async fn plan(&self, plan: &mut Plan) -> Result<()> {
        let base = self.base();
        let task = RelationTask {
            session: self.session,
            schema: self.schema,
            base: &base,
            size: self.size,
            limits: self.limits,
            options: self.options,
        };
        match &self.options.chunk_by {
            ChunkBy::Time { column, every } => plan_time(task, column, *every, plan).await,
            ChunkBy::Offset => plan_offset(task, plan).await,
            ChunkBy::Ctid => {
                let choice = choose_ctid(self.schema.kind, self.relation)?;
                push_cut(plan, cut_by(self, choice).await?, self.size)
            }
            ChunkBy::None => {
                let choice = Choice::whole("one chunk was asked for");
                push_cut(plan, cut_by(self, choice).await?, self.size)
            }
            ChunkBy::Key(names) if task.is_computed() && !names.is_empty() => {
                let (cut, size) = cut_computed(task, self.relation, names).await?;
                push_cut(plan, cut, size)
            }
            ChunkBy::Auto | ChunkBy::Key(_) => {
                let choice = choose(self).await?;
                push_cut(plan, cut_by(self, choice).await?, self.size)
            }
        }
    }
}

/// A partitioned table without partitions: reading it with ONLY yields no rows, and the schema.
fn empty_parent(schema: &TableSchema) -> Cut {
    Cut {
        relation: PlannedRelation::whole(schema.name.clone(), schema.oid, "it has no partitions"),
        pieces: Piece::even(vec![Range::Whole], 0.0),
    }
}

/// The choice among the keys that the server knows of.
async fn choose(context: &Context<'_>) -> Result<Choice> {
    let (session, relation) = (context.session, context.relation);
    let kind = context.schema.kind;
    if let ChunkBy::Key(names) = &context.options.chunk_by
        && !names.is_empty()
    {
        let catalog = Catalog::load(session, relation).await?;
        let base = context.base();
        let named = probe_named(session, &base, catalog, relation, names).await?;
        return Ok(choose_named(named));
    }
    if matches!(kind, RelationKind::View | RelationKind::Query) {
        return Ok(Choice::whole("it has neither pages nor statistics"));
    }
    let candidates = probe_indexed(session, relation).await?;
    let wish = Wish {
        size: context.size,
        wanted: chunks_wanted(context.size, context.limits)?,
        is_pausable: context.options.is_pausable(),
    };
    match &context.options.chunk_by {
        ChunkBy::Key(_) => choose_key(relation, candidates, wish),
        _ => Ok(choose_auto(relation, candidates, wish)),
    }
}

/// Cuts by a choice that was made.
async fn cut_by(context: &Context<'_>, mut choice: Choice) -> Result<Cut> {
    let (relation, size, limits) = (context.relation, context.size, context.limits);
    let wanted = chunks_wanted(size, limits)?;
    let ranges = match (&choice.candidate, choice.method) {
        _ if wanted == 1 || choice.method == ChunkMethod::Whole => vec![Range::Whole],
        (Some(candidate), ChunkMethod::Key) => {
            let found = find_bounds(context.session, relation, candidate, size, wanted).await?;
            choice.reason = format!("{}; {}", choice.reason, found.how);
            key_ranges(&found.bounds, candidate.key.is_nullable())
        }
        _ => split_ctid(relation.heap_pages, size, limits)?,
    };
    let null_frac = choice.candidate.as_ref();
    let null_frac = null_frac.map_or(0.0, |key| key.statistics.null_frac);
    Ok(Cut {
        relation: planned(context, choice, &ranges, wanted),
        pieces: Piece::even(ranges, null_frac),
    })
}

/// What the plan says of a relation once its ranges are known.
fn planned(
    context: &Context<'_>,
    choice: Choice,
    ranges: &[Range],
    wanted: u64,
) -> PlannedRelation {
    let is_whole = ranges == [Range::Whole];
    let (kind, relation) = (context.schema.kind, context.relation);
    let risks = match is_whole {
        true => risks_of(
            &Choice::whole(""),
            relation,
            kind,
            context.size,
            context.limits,
        ),
        false => risks_of(&choice, relation, kind, context.size, context.limits),
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
        ..context.base()
    }
}

/// Appends a relation and its chunks.
fn push_cut(plan: &mut Plan, cut: Cut, size: Size) -> Result<()> {
    let total = (plan.chunks.len() + cut.pieces.len()) as u64;
    if total > MAX_CHUNKS {
        return Err(too_many(total));
    }
    // `too_many` stops this long before u32 ends.
    let relation = plan.relations.len() as u32;
    plan.relations.push(cut.relation);
    for piece in cut.pieces {
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
