//! One relation to be cut in a way that was asked for by name, and what is known of it already.

use crate::chunk::PlannedRelation;
use crate::options::ExportOptions;
use crate::pg::Session;
use crate::plan::split::{Limits, Size};
use crate::table::{Relation, RelationKind, TableSchema};

/// A relation or query to be cut.
#[derive(Clone, Copy)]
pub(super) struct RelationTask<'a> {
    pub(super) session: &'a Session,
    pub(super) schema: &'a TableSchema,
    /// What the catalog says of it.
    pub(super) relation: &'a Relation,
    /// The relation or query, without a method.
    pub(super) base: &'a PlannedRelation,
    pub(super) size: Size,
    pub(super) limits: Limits,
    pub(super) options: &'a ExportOptions,
}

impl RelationTask<'_> {
    /// Whether the rows are computed when they are read, of a view or a query: nothing but
    /// reading them tells anything.
    pub(super) fn is_computed(&self) -> bool {
        self.base.query.is_some()
            || matches!(self.schema.kind, RelationKind::View | RelationKind::Query)
    }
}
