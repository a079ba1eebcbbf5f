//! What an epoch may begin with. Pure.
//!
//! Owns the invariants of open entries: the next number, the same configuration and columns, a
//! plan that is kept, new, or extended by a further incremental run. The plan itself is checked by
//! `check`.

use std::collections::BTreeSet;

use super::change::InvariantError;
use super::check::{Checked, RunPlan, check_plan, check_size, check_state};
use super::model::{Dataset, Entry, MAX_PLAN_CHUNKS, Open, PlanStart, State};
use super::runs::Base;
use crate::chunk::ChunkId;

/// Whether an epoch may open so.
pub(super) fn check_open(before: Option<&Dataset>, entry: &Entry, open: &Open) -> Checked {
    let expected = before.map_or(1, |dataset| dataset.epoch + 1);
    if entry.epoch != expected {
        return Err(InvariantError::Epoch {
            expected,
            found: entry.epoch,
        });
    }
    if let Some(before) = before {
        check_state(before.state, &entry.change)?;
        if entry.token == before.token {
            return Err(InvariantError::Writer(entry.epoch));
        }
        if let Some(difference) = before.config.differences(&open.config).first() {
            return Err(InvariantError::Config(difference.to_string()));
        }
    }
    let (known, base) = match (&open.plan, before) {
        (PlanStart::Keep { .. } | PlanStart::Extend { .. }, None) => {
            return Err(InvariantError::NotOpened);
        }
        (PlanStart::Keep { discard }, Some(before)) => return check_keep(before, open, discard),
        (PlanStart::Extend { .. }, Some(before)) => {
            check_extend(before, open)?;
            (before.snapshots.len(), before.base())
        }
        (PlanStart::New { .. }, before) => {
            check_new(before)?;
            (0, Base::default())
        }
    };
    check_snapshot(known, open)?;
    match &open.plan {
        PlanStart::Keep { .. } => Ok(()),
        PlanStart::New {
            relations,
            chunks_total,
            chunks,
        }
        | PlanStart::Extend {
            relations,
            chunks_total,
            chunks,
        } => {
            check_size(chunks.len(), MAX_PLAN_CHUNKS)?;
            let run = RunPlan {
                base,
                relations,
                chunks_total: *chunks_total,
            };
            check_windows(&run, before, open)?;
            check_plan(&run, &[], chunks)
        }
    }
}

/// What a completed run committed is never started over.
fn check_new(before: Option<&Dataset>) -> Checked {
    match before.filter(|before| !before.runs.is_empty()) {
        None => Ok(()),
        Some(before) => Err(InvariantError::State {
            change: "open (starting over)",
            state: before.state,
        }),
    }
}

/// A further run comes behind a completed one, of an export that was begun as incremental.
fn check_extend(before: &Dataset, open: &Open) -> Checked {
    if before.runs.is_empty() || open.config.incremental.is_none() {
        return Err(InvariantError::State {
            change: "open (a further run)",
            state: before.state,
        });
    }
    if before.schema.columns != open.schema.columns {
        return Err(InvariantError::Columns);
    }
    Ok(())
}

/// All relations of an incremental run have one window, over the column of the configuration; the
/// first run's has no lower bound and takes the rows without a value, and no other does. Which
/// bound lies above which only the server can tell.
fn check_windows(run: &RunPlan<'_>, before: Option<&Dataset>, open: &Open) -> Checked {
    let column = open
        .config
        .incremental
        .as_ref()
        .map(|of| of.column.as_str());
    let reached = before.and_then(Dataset::reached);
    let is_first = run.base == Base::default();
    let first = run
        .relations
        .first()
        .and_then(|first| first.window.as_ref());
    for (number, relation) in (run.base.relations..).zip(run.relations) {
        let window = relation.window.as_ref();
        let fits = window == first
            && window.map(|window| window.column.name.as_str()) == column
            && window.is_none_or(|window| {
                (is_first || !window.with_nulls)
                    && (window.lower.is_none() || reached.is_some() && !is_first)
                    // A run without a row has no end where nothing was reached before it.
                    && (window.upper.is_some() || is_first || reached.is_none())
            });
        if !fits {
            return Err(InvariantError::Window(number));
        }
    }
    Ok(())
}

/// The named snapshot is one of `known`, or the new one right behind them.
fn check_snapshot(known: usize, open: &Open) -> Checked {
    let index = open.snapshot as usize;
    let fits = match open.new_snapshot {
        Some(_) => index == known,
        None => index < known,
    };
    if fits {
        Ok(())
    } else {
        Err(InvariantError::Snapshot(open.snapshot))
    }
}

fn check_keep(before: &Dataset, open: &Open, discard: &[ChunkId]) -> Checked {
    check_snapshot(before.snapshots.len(), open)?;
    if !before.is_plan_whole() {
        return Err(InvariantError::State {
            change: "open (keeping the plan)",
            state: State::Planning,
        });
    }
    if before.schema.columns != open.schema.columns {
        return Err(InvariantError::Columns);
    }
    let done = before.base().chunks;
    let mut discarded = BTreeSet::new();
    for chunk in discard {
        let is_open = chunk.0 >= done && before.committed.contains_key(chunk);
        if !is_open || !discarded.insert(*chunk) {
            return Err(InvariantError::NotCommitted(*chunk));
        }
    }
    check_ctid(before, open.snapshot, &discarded)
}

/// Pending ctid chunks need the snapshot that every kept ctid chunk was read under.
fn check_ctid(before: &Dataset, snapshot: u32, discarded: &BTreeSet<ChunkId>) -> Checked {
    let (mut pending, mut elsewhere) = (false, false);
    let chunks = before.open_chunks().iter();
    for chunk in chunks.filter(|chunk| !chunk.range.survives_snapshot()) {
        match before
            .committed
            .get(&chunk.id)
            .filter(|_| !discarded.contains(&chunk.id))
        {
            Some(entry) => elsewhere |= entry.snapshot != snapshot,
            None => pending = true,
        }
    }
    if pending && elsewhere {
        Err(InvariantError::CtidSnapshot)
    } else {
        Ok(())
    }
}
