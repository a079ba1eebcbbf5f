//! Finding a table by the name a person gave: which relation it is, or why it cannot be exported.
//!
//! Owns resolution, the rules about relation kinds, and the privileges that reading needs. It
//! reads no columns: that is `catalog`'s.

use tokio_postgres::Row;

use crate::error::{Error, ErrorKind, Result};
use crate::options::{Inheritance, TableSelector};
use crate::pg::session::{Session, column};
use crate::pg::sql::{quote_ident, quote_table};
use crate::table::{RelationKind, TableName};

/// A relation that can be exported, as the catalog knew it when asked; or a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Resolved {
    pub(crate) name: TableName,
    /// 0 of a query.
    pub(crate) oid: u32,
    pub(crate) kind: RelationKind,
    /// Whether the rows of its inheritance children are taken for its own.
    pub(crate) with_children: bool,
    /// The SELECT of a query.
    pub(crate) query: Option<String>,
    /// Whether it was named, and not found by a pattern: then its failure is the whole run's.
    pub(crate) is_named: bool,
}

/// A relation as `pg_class` shows it, whatever it is.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) name: TableName,
    pub(super) oid: u32,
    /// `pg_class.relkind`.
    pub(super) relkind: u8,
    /// `pg_class.relpersistence`.
    pub(super) persistence: u8,
    pub(super) may_use_schema: bool,
    pub(super) may_read: bool,
    pub(super) hides_rows: bool,
    /// Whether tables that anyone can read inherit from it.
    pub(super) has_children: bool,
    pub(super) is_partition: bool,
    /// Whether an extension made it.
    pub(super) is_of_extension: bool,
    /// What it inherits from, or is a partition of.
    pub(super) parents: Vec<u32>,
}

/// The columns that [`Found`] is read from. Other sessions' temporary tables may inherit from
/// any table; no query reads them.
pub(super) const FOUND_SQL: &str = "SELECT c.oid, n.nspname::text, c.relname::text, c.relkind,
      c.relpersistence,
      pg_catalog.has_schema_privilege(n.oid, 'USAGE'),
      pg_catalog.has_table_privilege(c.oid, 'SELECT'),
      pg_catalog.row_security_active(c.oid),
      c.relkind = 'r' AND EXISTS (SELECT FROM pg_catalog.pg_inherits i
        JOIN pg_catalog.pg_class h ON h.oid = i.inhrelid
        WHERE i.inhparent = c.oid AND h.relpersistence <> 't'),
      c.relispartition,
      EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.deptype = 'e' AND d.objid = c.oid
        AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass),
      ARRAY(SELECT i.inhparent FROM pg_catalog.pg_inherits i WHERE i.inhrelid = c.oid)
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace";

/// How many names an error may offer.
const OFFERED: usize = 3;

/// Finds what a selector names, by exact schema or along the role's own search path.
///
/// # Errors
///
/// [`ErrorKind::Config`] when there is no such table (with the nearest names),
/// [`ErrorKind::Source`] when a privilege is missing (with the GRANT), [`ErrorKind::Unsupported`] for a relation that is refused.
pub(super) async fn resolve(
    session: &Session,
    selector: &TableSelector,
    inheritance: Option<Inheritance>,
) -> Result<Resolved> {
    let schemas: Vec<String> = match &selector.schema {
        Some(schema) => vec![schema.clone()],
        None => session.search_path().to_vec(),
    };
    let sql = format!(
        "{FOUND_SQL} WHERE n.nspname = ANY ($1) AND c.relname = $2
        ORDER BY pg_catalog.array_position($1::pg_catalog.text[], n.nspname::text) LIMIT 1"
    );
    let what = "the table could not be looked up";
    let rows = session
        .query_often(what, &sql, &[&schemas, &selector.name])
        .await?;
    let Some(row) = rows.first() else {
        return Err(unknown(session, selector).await?);
    };
    let found = Found::read(row)?;
    let checked = found
        .check_kind(session.identity().in_recovery)
        .and_then(|kind| found.check_rights().map(|()| kind))
        .and_then(|kind| found.check_inheritance(inheritance).map(|()| kind));
    let kind = checked.map_err(|error| error.with_table(selector.to_string()))?;
    Ok(found.resolved(kind, inheritance, true))
}

impl Found {
    pub(super) fn read(row: &Row) -> Result<Self> {
        Ok(Self {
            name: TableName::new(column::<String>(row, 1)?, column::<String>(row, 2)?),
            oid: column(row, 0)?,
            relkind: column::<i8>(row, 3)?.cast_unsigned(),
            persistence: column::<i8>(row, 4)?.cast_unsigned(),
            may_use_schema: column(row, 5)?,
            may_read: column(row, 6)?,
            hides_rows: column(row, 7)?,
            has_children: column(row, 8)?,
            is_partition: column(row, 9)?,
            is_of_extension: column(row, 10)?,
            parents: column(row, 11)?,
        })
    }

    /// What it is, where that can be exported.
    pub(super) fn check_kind(&self, in_recovery: bool) -> Result<RelationKind> {
        let kind = kind_of(self.relkind)?;
        check_persistence(in_recovery, self.persistence)?;
        Ok(kind)
    }

    /// Whether this user can read all of its rows.
    pub(super) fn check_rights(&self) -> Result<()> {
        if !self.may_use_schema {
            let schema = quote_ident(&self.name.schema);
            return Err(
                denied("the user may not use the schema").with_advice(format!(
                    "as its owner, run GRANT USAGE ON SCHEMA {schema} TO this user"
                )),
            );
        }
        if !self.may_read {
            let table = quote_table(&self.name);
            return Err(
                denied("the user may not read the table").with_advice(format!(
                    "as its owner, run GRANT SELECT ON TABLE {table} TO this user"
                )),
            );
        }
        if self.hides_rows {
            return Err(denied("row-level security would hide rows from this user").with_advice(
                "use a role with BYPASSRLS, or the owner of a table without FORCE ROW LEVEL SECURITY",
            ));
        }
        Ok(())
    }

    /// Whether it is said what becomes of the rows of its children.
    pub(super) fn check_inheritance(&self, inheritance: Option<Inheritance>) -> Result<()> {
        if self.has_children && inheritance.is_none() {
            return Err(
                unsupported("the table has inheritance children").with_advice(CHILDREN_ADVICE)
            );
        }
        if self.relkind == b'p' && inheritance == Some(Inheritance::Only) {
            return Err(
                unsupported("--only: a partitioned table has no rows of its own")
                    .with_advice(PARTITIONED_ADVICE),
            );
        }
        Ok(())
    }

    pub(super) fn resolved(
        &self,
        kind: RelationKind,
        inheritance: Option<Inheritance>,
        is_named: bool,
    ) -> Resolved {
        Resolved {
            name: self.name.clone(),
            oid: self.oid,
            kind,
            with_children: kind == RelationKind::Table
                && inheritance == Some(Inheritance::IncludeChildren),
            query: None,
            is_named,
        }
    }
}

/// What to do about inheritance children.
pub(super) const CHILDREN_ADVICE: &str = "--include-children takes their rows as the parent's own, \
     --only leaves them out; a child can also be exported as a table of its own";
/// What to do about `--only` and partitioned tables.
pub(super) const PARTITIONED_ADVICE: &str =
    "leave --only out, or leave the table out: its rows are in its partitions";

/// `pg_class.relkind` of what can be exported.
fn kind_of(relkind: u8) -> Result<RelationKind> {
    let refused = match relkind {
        b'r' => return Ok(RelationKind::Table),
        b'p' => return Ok(RelationKind::Partitioned),
        b'v' => return Ok(RelationKind::View),
        b'm' => return Ok(RelationKind::MaterializedView),
        b'f' => "a foreign table: its rows are outside the snapshot",
        b'S' => "a sequence, not a table",
        b'i' | b'I' => "an index, not a table",
        b'c' => "a composite type, not a table",
        _ => "not a table",
    };
    Err(unsupported(&format!("this is {refused}")))
}

/// `pg_class.relpersistence`.
fn check_persistence(in_recovery: bool, persistence: u8) -> Result<()> {
    match persistence {
        b't' => Err(unsupported(
            "this is a temporary table: only its own session can read it",
        )),
        b'u' if in_recovery => Err(unsupported("an unlogged table cannot be read on a standby")
            .with_advice("export it from the primary")),
        _ => Ok(()),
    }
}

fn denied(message: &str) -> Error {
    Error::new(ErrorKind::Source, message)
}

fn unsupported(message: &str) -> Error {
    Error::new(ErrorKind::Unsupported, message)
}

/// The error for a name that does not exist, with the nearest that do.
async fn unknown(session: &Session, selector: &TableSelector) -> Result<Error> {
    let sql = "SELECT n.nspname::text, c.relname::text
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p', 'v', 'm') AND n.nspname !~ '^pg_'
          AND n.nspname <> 'information_schema' AND NOT c.relispartition
        LIMIT 10000";
    let rows = session
        .query("the tables could not be listed", sql, &[])
        .await?;
    let mut names = Vec::with_capacity(rows.len());
    for row in &rows {
        names.push(TableName::new(
            column::<String>(row, 0)?,
            column::<String>(row, 1)?,
        ));
    }
    let offered = nearest(selector, &names);
    let error = Error::new(
        ErrorKind::Config,
        format!("table {selector} does not exist"),
    );
    Ok(match offered.is_empty() {
        true => error.with_advice(format!(
            "in database {} it was looked for in {}",
            session.database(),
            selector
                .schema
                .clone()
                .unwrap_or_else(|| session.search_path().join(", "))
        )),
        false => error.with_advice(format!("did you mean {}?", offered.join(" or "))),
    })
}

/// The nearest names, best first; those of the same relation name in another schema before all.
pub(super) fn nearest(selector: &TableSelector, names: &[TableName]) -> Vec<String> {
    let score = |name: &TableName| {
        let near = strsim::jaro_winkler(&name.name.to_lowercase(), &selector.name.to_lowercase());
        match &selector.schema {
            Some(schema) => near * 0.8 + strsim::jaro_winkler(&name.schema, schema) * 0.2,
            None => near,
        }
    };
    let mut scored: Vec<(f64, String)> = names
        .iter()
        .map(|name| (score(name), name.to_string()))
        .filter(|(score, _)| *score > 0.8)
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    scored
        .into_iter()
        .take(OFFERED)
        .map(|(_, name)| name)
        .collect()
}

#[cfg(test)]
impl Found {
    /// A table that anyone can read.
    pub(super) fn plain(oid: u32, schema: &str, name: &str) -> Self {
        Self {
            name: TableName::new(schema, name),
            oid,
            relkind: b'r',
            persistence: b'p',
            may_use_schema: true,
            may_read: true,
            hides_rows: false,
            has_children: false,
            is_partition: false,
            is_of_extension: false,
            parents: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_offered_best_first() {
        let names = ["orders", "order_items", "customers", "Orders"]
            .map(|name| TableName::new("public", name));
        let offered = nearest(&"public.orderz".parse().unwrap(), &names);
        assert_eq!(offered[..2], ["public.\"Orders\"", "public.orders"]);
        assert!(nearest(&"zzz".parse().unwrap(), &names).is_empty());
    }

    #[test]
    fn relations_without_rows_of_their_own_are_refused() {
        for relkind in *b"fSic?" {
            assert_eq!(kind_of(relkind).unwrap_err().kind(), ErrorKind::Unsupported);
        }
    }
}
