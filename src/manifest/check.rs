//! What may follow what in a manifest log. Pure.
//!
//! Owns the invariants of design: epochs, tokens, one winner a chunk, ranges that cover each
//! relation exactly once, sums that agree. What an epoch may begin with is `check_open`'s. It
//! changes nothing.

use std::collections::BTreeSet;

use super::change::InvariantError;
use super::check_open::check_open;
use super::model::{
    Change, ChunkEntry, Dataset, Entry, MAX_COMMIT_CHUNKS, MAX_PLAN_CHUNKS, PlanStart, State,
};
use super::runs::Base;
use crate::chunk::{Bound, Chunk, Key, PlannedRelation, Range, Totals};
use crate::options::OnUnrepresentable;
use crate::store::layout::{folder_of, parse_exceptions_key, parse_object_key};

pub(super) type Checked = Result<(), InvariantError>;

/// Whether an entry may follow.
///
/// # Errors
///
/// The first invariant it breaks.
pub(crate) fn check(dataset: Option<&Dataset>, entry: &Entry) -> Checked {
    let expected = dataset.map_or(1, |dataset| dataset.next_seq);
    if entry.seq != expected {
        return Err(InvariantError::Sequence {
            expected,
            found: entry.seq,
        });
    }
    match (&entry.change, dataset) {
        (Change::Open(open), _) => check_open(dataset, entry, open),
        (_, None) => Err(InvariantError::NotOpened),
        (change, Some(dataset)) => {
            check_writer(dataset, entry)?;
            check_state(dataset.state, change)?;
            check_change(dataset, entry.epoch, change)
        }
    }
}

fn check_writer(dataset: &Dataset, entry: &Entry) -> Checked {
    if entry.epoch != dataset.epoch {
        return Err(InvariantError::Epoch {
            expected: dataset.epoch,
            found: entry.epoch,
        });
    }
    if entry.token != dataset.token {
        return Err(InvariantError::Writer(dataset.epoch));
    }
    Ok(())
}

pub(super) fn check_state(state: State, change: &Change) -> Checked {
    let (name, legal) = match change {
        Change::Open(open) => match open.plan {
            PlanStart::Extend { .. } => ("open (a further run)", true),
            _ => ("open", state != State::Complete),
        },
        Change::Plan { .. } => ("plan", state == State::Planning),
        Change::Commit { .. } => ("commit", state == State::Running),
        Change::Pause { .. } => ("pause", matches!(state, State::Planning | State::Running)),
        Change::Fail { .. } => ("fail", matches!(state, State::Planning | State::Running)),
        Change::Complete { .. } => ("complete", state == State::Running),
    };
    if legal {
        Ok(())
    } else {
        Err(InvariantError::State {
            change: name,
            state,
        })
    }
}

fn check_change(dataset: &Dataset, epoch: u64, change: &Change) -> Checked {
    match change {
        Change::Plan { chunks } => {
            check_size(chunks.len(), MAX_PLAN_CHUNKS)?;
            let run = RunPlan {
                base: dataset.base(),
                relations: dataset.open_relations(),
                chunks_total: dataset.chunks_total,
            };
            check_plan(&run, dataset.open_chunks(), chunks)
        }
        Change::Commit { chunks } => check_commit(dataset, epoch, chunks),
        Change::Complete { totals } => check_complete(dataset, totals),
        Change::Open(_) | Change::Pause { .. } | Change::Fail { .. } => Ok(()),
    }
}

pub(super) fn check_size(chunks: usize, most: usize) -> Checked {
    if (1..=most).contains(&chunks) {
        Ok(())
    } else {
        Err(InvariantError::EntrySize(chunks))
    }
}

/// What one run plans, behind what the runs before it did.
pub(super) struct RunPlan<'a> {
    pub(super) base: Base,
    /// Its own relations.
    pub(super) relations: &'a [PlannedRelation],
    /// Chunks of all runs.
    pub(super) chunks_total: u32,
}

/// Checks a further segment behind `planned`, and the run's whole plan once it is whole.
pub(super) fn check_plan(run: &RunPlan<'_>, planned: &[Chunk], more: &[Chunk]) -> Checked {
    let first = run.base.chunks as usize;
    let (begin, total) = (first + planned.len(), run.chunks_total as usize);
    if begin + more.len() > total {
        return Err(InvariantError::PlanSize(run.chunks_total));
    }
    let end = run.base.relations as usize + run.relations.len();
    let before = planned.last().map(|chunk| chunk.relation);
    let mut relation = before.unwrap_or(run.base.relations);
    for (ordinal, chunk) in (begin..).zip(more) {
        let in_order = chunk.id.0 as usize == ordinal
            && chunk.relation >= relation
            && (chunk.relation as usize) < end;
        if !in_order {
            return Err(InvariantError::PlanOrder(chunk.id));
        }
        relation = chunk.relation;
    }
    if begin + more.len() == total {
        check_partition(run, planned.iter().chain(more))?;
    }
    Ok(())
}

/// Whether the chunks cover each relation exactly once, given that they are in order.
fn check_partition<'a>(run: &RunPlan<'_>, chunks: impl Iterator<Item = &'a Chunk>) -> Checked {
    let first = run.base.relations;
    let end = first as usize + run.relations.len();
    let mut chunks = chunks.peekable();
    let mut number = first;
    while let Some(relation) = run.relations.get((number - first) as usize) {
        let wrong = InvariantError::Partition(number);
        let packed = chunks.peek().filter(|chunk| chunk.relation == number);
        if let Some(Range::Pack { upper }) = packed.map(|chunk| &chunk.range) {
            if *upper <= number || *upper as usize > end {
                return Err(wrong);
            }
            number = *upper;
            chunks.next();
            continue;
        }
        let mut cover = Cover::Nothing;
        while let Some(chunk) = chunks.next_if(|chunk| chunk.relation == number) {
            cover = cover.extend(relation, &chunk.range).ok_or(wrong.clone())?;
        }
        if !cover.is_all(relation) {
            return Err(wrong);
        }
        number += 1;
    }
    match chunks.next() {
        // It belongs to a relation that a pack has covered.
        Some(chunk) => Err(InvariantError::Partition(chunk.relation)),
        None => Ok(()),
    }
}

/// How much of a relation the ranges so far cover, from below.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cover<'a> {
    Nothing,
    KeysBelow(&'a Bound),
    TimesBelow(i64),
    PagesBelow(u32),
    RowsBelow(u64),
    /// All keys or times; rows without one may still follow.
    AllKeys,
    Everything,
}

impl<'a> Cover<'a> {
    /// Whether nothing is missing.
    fn is_all(self, relation: &PlannedRelation) -> bool {
        let has_nulls = relation.key.as_ref().is_some_and(Key::is_nullable);
        self == Self::Everything || self == Self::AllKeys && !has_nulls
    }

    fn extend(self, relation: &PlannedRelation, range: &'a Range) -> Option<Self> {
        let is_keyed = relation.key.is_some();
        match (self, range) {
            (Self::Nothing, Range::Whole) => Some(Self::Everything),
            (Self::Nothing, Range::Key { lower: None, upper }) if is_keyed => {
                let below = upper.as_ref().filter(|upper| is_of_key(relation, upper));
                (below.is_some() == upper.is_some())
                    .then(|| below.map_or(Self::AllKeys, Self::KeysBelow))
            }
            (
                Self::KeysBelow(below),
                Range::Key {
                    lower: Some(lower),
                    upper,
                },
            ) if lower == below
                && upper
                    .as_ref()
                    .is_none_or(|upper| is_above(relation, below, upper)) =>
            {
                Some(upper.as_ref().map_or(Self::AllKeys, Self::KeysBelow))
            }
            (Self::Nothing, Range::Time { lower: None, upper })
                if is_keyed && upper.is_none_or(is_date) =>
            {
                Some(upper.map_or(Self::AllKeys, Self::TimesBelow))
            }
            (Self::TimesBelow(below), Range::Time { lower, upper })
                if *lower == Some(below)
                    && upper.is_none_or(|upper| upper > below && is_date(upper)) =>
            {
                Some(upper.map_or(Self::AllKeys, Self::TimesBelow))
            }
            (Self::AllKeys, Range::NullKey) => Some(Self::Everything),
            (Self::Nothing, Range::Ctid { lower: 0, upper }) if *upper != Some(0) => {
                Some(upper.map_or(Self::Everything, Self::PagesBelow))
            }
            (Self::PagesBelow(below), Range::Ctid { lower, upper })
                if *lower == below && upper.is_none_or(|upper| upper > below) =>
            {
                Some(upper.map_or(Self::Everything, Self::PagesBelow))
            }
            (Self::Nothing, Range::Offset { lower: 0, upper }) if *upper != Some(0) => {
                Some(upper.map_or(Self::Everything, Self::RowsBelow))
            }
            (Self::RowsBelow(below), Range::Offset { lower, upper })
                if *lower == below && upper.is_none_or(|upper| upper > below) =>
            {
                Some(upper.map_or(Self::Everything, Self::RowsBelow))
            }
            _ => None,
        }
    }
}

/// Whether microseconds are a date that a statement can name: `pg::sql` writes bounds as such.
fn is_date(micros: i64) -> bool {
    chrono::DateTime::from_timestamp_micros(micros).is_some()
}

/// Whether a bound has a value for each key column.
fn is_of_key(relation: &PlannedRelation, bound: &Bound) -> bool {
    relation
        .key
        .as_ref()
        .is_some_and(|key| key.columns.len() == bound.0.len())
}

/// Whether a bound lies above another, as far as that can be told without the server, whose order
/// it is: integers are compared, others must differ.
fn is_above(relation: &PlannedRelation, below: &Bound, upper: &Bound) -> bool {
    let integer = |bound: &Bound| match bound.0.as_slice() {
        [text] => text.parse::<i64>().ok(),
        _ => None,
    };
    let key = relation.key.as_ref();
    let is_integer = key.is_some_and(|key| key.single_integer().is_some());
    match (integer(below), integer(upper)) {
        _ if !is_of_key(relation, upper) => false,
        (Some(below), Some(upper)) if is_integer => below < upper,
        _ => below != upper && !is_integer,
    }
}

fn check_commit(dataset: &Dataset, epoch: u64, entries: &[ChunkEntry]) -> Checked {
    #[cfg(test)]
    let epoch = match crate::sabotage::is(crate::sabotage::Sabotage::KeyWithoutEpoch) {
        true => 1,
        false => epoch,
    };
    check_size(entries.len(), MAX_COMMIT_CHUNKS)?;
    let mut seen = BTreeSet::new();
    for entry in entries {
        let id = entry.chunk;
        let chunk = dataset.plan.chunks.get(id.0 as usize);
        let chunk = chunk.ok_or(InvariantError::UnknownChunk(id))?;
        if dataset.committed.contains_key(&id) || !seen.insert(id) {
            return Err(InvariantError::CommittedTwice(id));
        }
        check_entry(dataset, epoch, chunk, entry)
            .map_err(|what| InvariantError::ChunkEntry { chunk: id, what })?;
    }
    Ok(())
}

fn check_entry(
    dataset: &Dataset,
    epoch: u64,
    chunk: &Chunk,
    entry: &ChunkEntry,
) -> Result<(), &'static str> {
    let require = |holds: bool, what| if holds { Ok(()) } else { Err(what) };
    let relation = dataset.plan.relations.get(chunk.relation as usize);
    require(
        entry.range == chunk.range,
        "its range is not the planned one",
    )?;
    require(
        relation.is_some_and(|relation| relation.name == entry.relation)
            && entry.relation_index == chunk.relation,
        "its relation is not the planned one",
    )?;
    require(
        entry.snapshot == dataset.snapshot,
        "its snapshot is not this epoch's",
    )?;
    require(
        entry.rows == 0 || !entry.objects.is_empty(),
        "it has rows and no object",
    )?;
    let rows = entry.objects.iter().map(|object| object.rows).sum::<u64>();
    require(rows == entry.rows, "its rows are not those of its objects")?;
    require(
        entry.null_counts.len() == dataset.schema.columns.len(),
        "it does not count the NULLs of each column",
    )?;
    require(
        entry.null_counts.iter().all(|nulls| *nulls <= entry.rows),
        "it has more NULLs than rows",
    )?;
    for object in &entry.objects {
        require(
            parse_object_key(&object.key) == Some((entry.chunk, epoch)),
            "an object's key is not of this chunk and epoch",
        )?;
        require(
            folder_of(&object.key) == chunk.folder.as_deref(),
            "an object is not in the chunk's folder",
        )?;
    }
    for object in entry.all_objects() {
        require(
            object.sha256.len() == 64 && object.bytes > 0,
            "an object has no checksum",
        )?;
    }
    check_exceptions(dataset, epoch, entry)
}

fn check_exceptions(dataset: &Dataset, epoch: u64, entry: &ChunkEntry) -> Result<(), &'static str> {
    let Some(exceptions) = &entry.exceptions else {
        return Ok(());
    };
    let require = |holds: bool, what| if holds { Ok(()) } else { Err(what) };
    require(
        dataset.config.on_unrepresentable == OnUnrepresentable::Exceptions,
        "it has exceptions, which the options refuse",
    )?;
    require(
        parse_exceptions_key(&exceptions.object.key) == Some((entry.chunk, epoch)),
        "its exceptions' key is not of this chunk and epoch",
    )?;
    require(
        exceptions.values > 0 && exceptions.values == exceptions.object.rows,
        "its exceptions are not those of their object",
    )?;
    let nulls = entry
        .null_counts
        .iter()
        .fold(0_u64, |sum, nulls| sum.saturating_add(*nulls));
    require(
        exceptions.values <= nulls,
        "it has more exceptions than NULLs",
    )
}

fn check_complete(dataset: &Dataset, totals: &Totals) -> Checked {
    if !dataset.is_all_committed() {
        return Err(InvariantError::Incomplete(dataset.pending().count() as u64));
    }
    if *totals != dataset.totals() {
        return Err(InvariantError::Totals);
    }
    Ok(())
}
