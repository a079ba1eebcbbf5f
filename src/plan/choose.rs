//! The choice of a method. Pure: it sees candidates, sizes and options, no server.
//!
//! The rule: an indexed key in whose order the rows lie; else pages; else the best indexed key;
//! else one chunk.

use crate::chunk::ChunkMethod;
use crate::error::{Error, ErrorKind, Result};
use crate::plan::keys::{Candidate, IndexUse};
use crate::plan::split::Size;
use crate::table::{Relation, RelationKind};

/// How a relation will be cut, and why.
#[derive(Debug)]
pub(super) struct Choice {
    pub(super) method: ChunkMethod,
    /// The key of [`ChunkMethod::Key`].
    pub(super) candidate: Option<Candidate>,
    pub(super) reason: String,
}

/// What a relation asks of its chunks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wish {
    /// The relation's size.
    pub(super) size: Size,
    /// How many chunks it should make.
    pub(super) wanted: u64,
    /// Whether the run may go on under another snapshot: page ranges would start over.
    pub(super) is_pausable: bool,
}

impl Choice {
    /// One chunk.
    pub(super) fn whole(reason: impl Into<String>) -> Self {
        Self {
            method: ChunkMethod::Whole,
            candidate: None,
            reason: reason.into(),
        }
    }

    fn ctid(reason: &str) -> Self {
        Self {
            method: ChunkMethod::Ctid,
            ..Self::whole(reason)
        }
    }

    fn key(candidate: Candidate) -> Self {
        let columns = shown(&candidate);
        let leads = match candidate.index {
            IndexUse::None => "was asked for",
            _ => "leads an index",
        };
        let correlation = candidate.statistics.correlation;
        let correlation = correlation.map(|of| format!(", and its correlation is {of:.2}"));
        Self {
            method: ChunkMethod::Key,
            reason: format!("key {columns} {leads}{}", correlation.unwrap_or_default()),
            candidate: Some(candidate),
        }
    }
}

/// `"a"`, or `("a", "b")`.
pub(super) fn shown(candidate: &Candidate) -> String {
    let columns = candidate.key.columns.iter();
    let names: Vec<String> = columns.map(|column| format!("{:?}", column.name)).collect();
    match names.as_slice() {
        [one] => one.clone(),
        several => format!("({})", several.join(", ")),
    }
}

/// The choice of `--chunk-by auto`.
pub(super) fn choose_auto(relation: &Relation, candidates: Vec<Candidate>, wish: Wish) -> Choice {
    let may_ctid = relation.has_ctid && !wish.is_pausable;
    match best_of(candidates, wish) {
        Some(key) if key.is_correlated() => Choice::key(key),
        _ if may_ctid => Choice::ctid("no indexed key lies in the order of the pages"),
        Some(key) => Choice::key(key),
        None if relation.has_ctid => Choice::whole(
            "it has no key with an index, and page ranges would start over after a pause",
        ),
        None => Choice::whole("it has no key with an index, and no page ranges can be scanned"),
    }
}

/// The choice of `--chunk-by key`.
///
/// # Errors
///
/// [`ErrorKind::Config`] when no index leads with a usual key.
pub(super) fn choose_key(
    relation: &Relation,
    candidates: Vec<Candidate>,
    wish: Wish,
) -> Result<Choice> {
    match best_of(candidates, wish) {
        Some(key) => Ok(Choice::key(key)),
        None => Err(Error::new(
            ErrorKind::Config,
            format!(
                "no btree index of {} leads with a column of a usual key type",
                relation.name
            ),
        )
        .with_advice("leave --chunk-by out, or name a column: --chunk-by key:COLUMN")),
    }
}

/// The choice of `--chunk-by key:COLUMN`: a key that a person named need not have an index.
pub(super) fn choose_named(candidate: Candidate) -> Choice {
    Choice::key(candidate)
}

/// The choice of `--chunk-by ctid`.
///
/// # Errors
///
/// [`ErrorKind::Unsupported`] where page ranges cannot be scanned.
pub(super) fn choose_ctid(kind: RelationKind, relation: &Relation) -> Result<Choice> {
    if relation.has_ctid {
        return Ok(Choice::ctid("page ranges were asked for"));
    }
    let why = match kind {
        RelationKind::View | RelationKind::MaterializedView => "a view has no page ranges",
        RelationKind::Query => "a query has no page ranges",
        _ => "page ranges need a heap table and PostgreSQL 14 or later",
    };
    let error = Error::new(ErrorKind::Unsupported, format!("--chunk-by ctid: {why}"));
    Err(error.with_advice("use --chunk-by key or auto"))
}

/// The best indexed key: correlated before not, one that can be cut finely enough before not, few
/// columns before many, unique before not, never NULL before nullable, then the first.
fn best_of(candidates: Vec<Candidate>, wish: Wish) -> Option<Candidate> {
    let rank = |key: &Candidate| {
        (
            !key.is_correlated(),
            is_coarse(key, wish),
            key.key.columns.len(),
            !key.is_unique,
            key.key.is_nullable(),
        )
    };
    candidates
        .into_iter()
        .filter(|key| key.index != IndexUse::None)
        .min_by_key(rank)
}

/// Whether a single column has too few values, or one too common, for the chunks that are wanted.
fn is_coarse(candidate: &Candidate, wish: Wish) -> bool {
    if candidate.key.columns.len() > 1 || wish.wanted < 2 {
        return false;
    }
    let wanted = wish.wanted as f64;
    let distinct = match candidate.statistics.distinct {
        share if share < 0.0 => -share * wish.size.rows as f64,
        count => count,
    };
    (distinct > 0.0 && distinct < 2.0 * wanted) || candidate.largest_share() * wanted > 2.0
}

#[cfg(test)]
#[path = "choose_tests.rs"]
mod tests;
