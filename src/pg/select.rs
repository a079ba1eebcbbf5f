//! Finding the tables that a run's names and patterns mean.
//!
//! Owns the rules of patterns: what they take, what never comes by one, and what is said of the
//! rest. Which relation an exact name is, and whether it can be read, is `names`'s.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::{Error, ErrorKind, Result};
use crate::options::{ExportOptions, Inheritance, NamePattern, Query, TablePattern, TableSelector};
use crate::pg::names::{
    CHILDREN_ADVICE, FOUND_SQL, Found, PARTITIONED_ADVICE, Resolved, nearest, resolve,
};
use crate::pg::session::{Session, column};
use crate::table::{RelationKind, TableName};

/// Names that one sentence lists, at most.
const LISTED: usize = 20;

/// What a keeper is asked to keep.
#[derive(Debug, Clone, Default)]
pub(crate) struct Selection {
    tables: Vec<TablePattern>,
    schemas: Vec<NamePattern>,
    all: bool,
    exclude: Vec<TablePattern>,
    include_views: bool,
    pub(super) inheritance: Option<Inheritance>,
    query: Option<Query>,
    /// The condition on a single table's rows: it may read other tables.
    pub(super) filter: Option<String>,
}

impl Selection {
    /// What the options of an export choose.
    pub(crate) fn of(options: &ExportOptions) -> Self {
        Self {
            tables: options.tables.clone(),
            schemas: options.schemas.clone(),
            all: options.all,
            exclude: options.exclude.clone(),
            include_views: options.include_views,
            inheritance: options.inheritance,
            query: options.query.clone(),
            filter: options.filter.clone(),
        }
    }

    /// One table by its name, or the query that stands for it.
    pub(crate) fn one(name: TableName, query: Option<String>) -> Self {
        let query = query.map(|sql| Query {
            sql,
            name: name.clone(),
        });
        Self {
            tables: match query {
                Some(_) => Vec::new(),
                None => vec![name.into()],
            },
            query,
            ..Self::default()
        }
    }

    /// The same, with what becomes of inheritance children.
    pub(crate) fn with_inheritance(mut self, inheritance: Option<Inheritance>) -> Self {
        self.inheritance = inheritance;
        self
    }

    fn has_patterns(&self) -> bool {
        self.all
            || !self.schemas.is_empty()
            || self.tables.iter().any(|table| table.as_exact().is_none())
    }

    /// What is read in place of a table.
    pub(super) fn resolved_query(&self) -> Option<Resolved> {
        self.query.as_ref().map(|query| Resolved {
            name: query.name.clone(),
            oid: 0,
            kind: RelationKind::Query,
            with_children: false,
            query: Some(query.sql.clone()),
            is_named: true,
        })
    }
}

/// A table that a pattern found and that cannot be exported.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) name: TableName,
    pub(crate) error: Error,
}

/// What a selection means in a database.
#[derive(Debug, Default)]
pub(super) struct Selected {
    /// Largest first.
    pub(super) tables: Vec<Resolved>,
    pub(super) refused: Vec<Refused>,
    pub(super) warnings: Vec<String>,
}

/// Finds all that is chosen, largest first. Reads the catalog alone.
///
/// # Errors
///
/// [`ErrorKind::Config`] for a name or a pattern that means nothing, with the nearest names;
/// [`ErrorKind::Unsupported`] for a named relation that is refused, and for tables whose
/// inheritance children nothing is said of; [`ErrorKind::Source`] for a named one that may not be
/// read.
pub(super) async fn select(session: &Session, selection: &Selection) -> Result<Selected> {
    let mut selected = Selected::default();
    if let Some(query) = selection.resolved_query() {
        selected.tables.push(query);
        return Ok(selected);
    }
    for named in selection.tables.iter().filter_map(TablePattern::as_exact) {
        let found = resolve(session, &named, selection.inheritance).await?;
        if !selected.tables.contains(&found) {
            selected.tables.push(found);
        }
    }
    if selection.has_patterns() || !selection.exclude.is_empty() {
        let listed = list(session).await?;
        let catalog = Catalog::new(&listed, session.search_path());
        let chosen = catalog.choose(selection, &selected.tables)?;
        chosen.add_to(&mut selected, selection, session.identity().in_recovery)?;
    }
    if selected.tables.is_empty() && selected.refused.is_empty() {
        return Err(Error::new(
            ErrorKind::Config,
            "of what was named nothing is left that can be exported",
        )
        .with_advice(match selected.warnings.is_empty() {
            true => "--exclude leaves nothing over".to_owned(),
            false => selected.warnings.join("; "),
        }));
    }
    order_by_size(session, &mut selected.tables).await?;
    Ok(selected)
}

/// All relations that patterns could mean.
async fn list(session: &Session) -> Result<Vec<Found>> {
    // The prefix `pg_` is PostgreSQL's own; temporary tables lie in `pg_temp_…`.
    let sql = format!(
        "{FOUND_SQL} WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname !~ '^pg_'
          AND n.nspname <> 'information_schema' ORDER BY n.nspname, c.relname"
    );
    let what = "the tables could not be listed";
    let rows = session.query(what, &sql, &[]).await?;
    rows.iter().map(Found::read).collect()
}

/// The relations of a database, and how names lead to them.
struct Catalog<'a> {
    listed: &'a [Found],
    by_oid: BTreeMap<u32, usize>,
    /// The relations that a name without a schema leads to.
    visible: BTreeSet<usize>,
}

/// What patterns have chosen: indexes into the catalog.
struct Chosen<'a> {
    catalog: &'a Catalog<'a>,
    tables: Vec<usize>,
    excluded: BTreeSet<u32>,
    warnings: Vec<String>,
}

impl<'a> Catalog<'a> {
    fn new(listed: &'a [Found], path: &[String]) -> Self {
        let mut first: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
        for (index, found) in listed.iter().enumerate() {
            if let Some(place) = path.iter().position(|schema| *schema == found.name.schema) {
                let seen = first.entry(&found.name.name).or_insert((place, index));
                *seen = (*seen).min((place, index));
            }
        }
        Self {
            listed,
            by_oid: listed
                .iter()
                .zip(0..)
                .map(|(one, index)| (one.oid, index))
                .collect(),
            visible: first.into_values().map(|(_, index)| index).collect(),
        }
    }

    fn is_meant(&self, pattern: &TablePattern, index: usize) -> bool {
        let name = &self.listed[index].name;
        let is_in_schema = match &pattern.schema {
            Some(schema) => schema.matches(&name.schema),
            None => self.visible.contains(&index),
        };
        is_in_schema && pattern.name.matches(&name.name)
    }

    /// Whether it is below one of these: its partition or child, however far down. `climbs` says
    /// which links count.
    fn is_below(
        &self,
        found: &Found,
        of: &BTreeSet<u32>,
        climbs: impl Fn(&Found) -> bool + Copy,
    ) -> bool {
        climbs(found)
            && found.parents.iter().any(|parent| {
                of.contains(parent)
                    || self
                        .by_oid
                        .get(parent)
                        .is_some_and(|index| self.is_below(&self.listed[*index], of, climbs))
            })
    }

    /// What the patterns of a selection mean beside what was named.
    fn choose(&'a self, selection: &Selection, named: &[Resolved]) -> Result<Chosen<'a>> {
        let mut warnings = Vec::new();
        let excluded = self.excluded(selection, &mut warnings);
        let mut wanted: BTreeSet<usize> = BTreeSet::new();
        for pattern in selection
            .tables
            .iter()
            .filter(|table| table.as_exact().is_none())
        {
            let meant = self.meant(selection, |index| self.is_meant(pattern, index));
            wanted.extend(meant.map_err(|views| self.nothing(pattern, views))?);
        }
        for schema in &selection.schemas {
            let is_meant = |index: usize| schema.matches(&self.listed[index].name.schema);
            let meant = self.meant(selection, is_meant);
            wanted.extend(meant.map_err(|views| self.no_schema(schema, views))?);
        }
        if selection.all {
            wanted.extend(
                self.meant(selection, |_| true).map_err(|_| {
                    Error::new(ErrorKind::Config, "--all: the database has no tables")
                })?,
            );
        }
        wanted.retain(|index| !excluded.contains(&self.listed[*index].oid));
        let mut roots: BTreeSet<u32> = wanted.iter().map(|index| self.listed[*index].oid).collect();
        let kept = named.iter().filter(|table| !excluded.contains(&table.oid));
        roots.extend(kept.map(|table| table.oid));
        let with_children = selection.inheritance == Some(Inheritance::IncludeChildren);
        wanted.retain(|index| {
            let found = &self.listed[*index];
            !self.is_below(found, &roots, |link| link.is_partition || with_children)
                && !named.iter().any(|table| table.oid == found.oid)
        });
        Ok(Chosen {
            catalog: self,
            tables: wanted.into_iter().collect(),
            excluded,
            warnings,
        })
    }

    /// The relations that meet a condition and that a pattern may take; an error says whether
    /// only views do.
    fn meant(
        &self,
        selection: &Selection,
        is_meant: impl Fn(usize) -> bool,
    ) -> Result<Vec<usize>, bool> {
        let meant = (0..self.listed.len()).filter(|index| is_meant(*index));
        let (views, tables): (Vec<usize>, Vec<usize>) =
            meant.partition(|index| self.listed[*index].relkind == b'v');
        if selection.include_views && !views.is_empty() {
            return Ok([tables, views].concat());
        }
        match tables.is_empty() {
            true => Err(!views.is_empty()),
            false => Ok(tables),
        }
    }

    /// The oids that are left out: what `--exclude` means, and its partitions.
    fn excluded(&self, selection: &Selection, warnings: &mut Vec<String>) -> BTreeSet<u32> {
        let mut excluded = BTreeSet::new();
        for pattern in &selection.exclude {
            let meant = (0..self.listed.len()).filter(|index| self.is_meant(pattern, *index));
            let meant: Vec<u32> = meant.map(|index| self.listed[index].oid).collect();
            if meant.is_empty() {
                warnings.push(format!("--exclude {pattern} matches nothing"));
            }
            excluded.extend(meant);
        }
        let below = self
            .listed
            .iter()
            .filter(|found| self.is_below(found, &excluded, |link| link.is_partition));
        let below: Vec<u32> = below.map(|found| found.oid).collect();
        excluded.extend(below);
        excluded
    }

    fn nothing(&self, pattern: &TablePattern, has_views: bool) -> Error {
        let error = Error::new(
            ErrorKind::Config,
            format!("--table {pattern} matches nothing"),
        );
        if has_views {
            return error.with_advice("it matches views: --include-views takes them, too");
        }
        let plain = |pattern: &NamePattern| pattern.to_string().replace(['*', '?', '"'], "");
        let selector = TableSelector {
            schema: pattern
                .schema
                .as_ref()
                .map(plain)
                .filter(|schema| !schema.is_empty()),
            name: plain(&pattern.name),
        };
        let names: Vec<TableName> = self.listed.iter().map(|found| found.name.clone()).collect();
        let offered = nearest(&selector, &names);
        error.with_advice(match offered.is_empty() {
            true if pattern.schema.is_none() => {
                "without a schema it is looked for on the search path alone".to_owned()
            }
            true => "patterns match whole names; * stands for any characters".to_owned(),
            false => format!("the nearest names: {}", offered.join(", ")),
        })
    }

    fn no_schema(&self, schema: &NamePattern, has_views: bool) -> Error {
        let message = format!("--schema {schema} matches no schema with tables");
        let error = Error::new(ErrorKind::Config, message);
        if has_views {
            return error.with_advice("it has views: --include-views takes them, too");
        }
        let known: BTreeSet<&str> = self
            .listed
            .iter()
            .map(|found| found.name.schema.as_str())
            .collect();
        let known: Vec<String> = known.into_iter().map(|name| format!("{name:?}")).collect();
        error.with_advice(format!("schemas with tables: {}", some_of(&known)))
    }
}

impl Chosen<'_> {
    fn add_to(
        self,
        selected: &mut Selected,
        selection: &Selection,
        in_recovery: bool,
    ) -> Result<()> {
        selected
            .tables
            .retain(|table| !self.excluded.contains(&table.oid));
        selected.warnings.extend(self.warnings);
        let mut skipped: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut tables = Vec::new();
        for index in self.tables {
            let found = &self.catalog.listed[index];
            let shown = found.name.to_string();
            if found.is_of_extension {
                let why = "an extension made it (name it to have it)".to_owned();
                skipped.entry(why).or_default().push(shown);
                continue;
            }
            match found.check_kind(in_recovery) {
                Err(error) => skipped.entry(error.to_string()).or_default().push(shown),
                Ok(kind) => tables.push((found, kind)),
            }
        }
        for (why, names) in skipped {
            selected
                .warnings
                .push(format!("not exported: {}: {why}", some_of(&names)));
        }
        let all: Vec<&Found> = tables.iter().map(|(found, _)| *found).collect();
        refuse_unsaid(&all, selection.inheritance)?;
        for (found, kind) in tables {
            match found.check_rights() {
                Ok(()) => {
                    let table = found.resolved(kind, selection.inheritance, false);
                    selected.tables.push(table);
                }
                Err(error) => selected.refused.push(Refused {
                    name: found.name.clone(),
                    error: error.with_table(found.name.to_string()),
                }),
            }
        }
        Ok(())
    }
}

/// All tables at once of which something must be said first.
fn refuse_unsaid(tables: &[&Found], inheritance: Option<Inheritance>) -> Result<()> {
    let unsaid = tables
        .iter()
        .filter(|found| found.check_inheritance(inheritance).is_err());
    let names: Vec<String> = unsaid.map(|found| found.name.to_string()).collect();
    if names.is_empty() {
        return Ok(());
    }
    let (message, advice) = match inheritance {
        None => ("these tables have inheritance children", CHILDREN_ADVICE),
        Some(_) => (
            "--only: these partitioned tables have no rows of their own",
            PARTITIONED_ADVICE,
        ),
    };
    let message = format!("{message}: {}", some_of(&names));
    Err(Error::new(ErrorKind::Unsupported, message).with_advice(advice))
}

/// A list that fits a sentence.
fn some_of(names: &[String]) -> String {
    match names.len().checked_sub(LISTED) {
        None | Some(0) => names.join(", "),
        Some(more) => format!("{} and {more} more", names[..LISTED].join(", ")),
    }
}

/// Heap and TOAST of a table, all its partitions, and children where they count. The catalog's
/// own page counts are of the last VACUUM or ANALYZE, but asking the files takes a lock.
const SIZES_SQL: &str = "
WITH RECURSIVE tree(root, oid, deep) AS (
  SELECT r.oid, r.oid, r.deep FROM ROWS FROM (
    pg_catalog.unnest($1::pg_catalog.oid[]), pg_catalog.unnest($2::pg_catalog.bool[])
  ) AS r(oid, deep)
  UNION
  SELECT t.root, i.inhrelid, t.deep FROM tree t
  JOIN pg_catalog.pg_class p ON p.oid = t.oid AND (p.relkind = 'p' OR t.deep)
  JOIN pg_catalog.pg_inherits i ON i.inhparent = t.oid
)
SELECT t.root, coalesce(pg_catalog.sum(CASE WHEN $3 THEN pg_catalog.pg_table_size(c.oid)
    ELSE (c.relpages::pg_catalog.int8 + coalesce(x.relpages, 0))
      * pg_catalog.current_setting('block_size')::pg_catalog.int8 END), 0)::pg_catalog.int8
FROM tree t JOIN pg_catalog.pg_class c ON c.oid = t.oid
LEFT JOIN pg_catalog.pg_class x ON x.oid = c.reltoastrelid
WHERE c.relkind IN ('r', 'm') GROUP BY 1";

/// Largest first, then by name. Who holds a strong lock on one of them makes nobody wait here:
/// the catalog's older numbers do for an order.
async fn order_by_size(session: &Session, tables: &mut [Resolved]) -> Result<()> {
    if tables.len() < 2 {
        return Ok(());
    }
    let what = "the tables' sizes could not be read";
    let oids: Vec<u32> = tables.iter().map(|table| table.oid).collect();
    let deep: Vec<bool> = tables.iter().map(|table| table.with_children).collect();
    session
        .execute(what, "BEGIN READ ONLY; SET LOCAL lock_timeout TO '1s'")
        .await?;
    let measured = session.query(what, SIZES_SQL, &[&oids, &deep, &true]).await;
    session.execute(what, "ROLLBACK").await?;
    let rows = match measured {
        Ok(rows) => rows,
        Err(_) => {
            session
                .query(what, SIZES_SQL, &[&oids, &deep, &false])
                .await?
        }
    };
    let mut sizes: BTreeMap<u32, i64> = BTreeMap::new();
    for row in &rows {
        sizes.insert(column(row, 0)?, column(row, 1)?);
    }
    let size = |table: &Resolved| sizes.get(&table.oid).copied().unwrap_or(0);
    tables.sort_by(|a, b| size(b).cmp(&size(a)).then_with(|| a.name.cmp(&b.name)));
    Ok(())
}

#[cfg(test)]
#[path = "select_tests.rs"]
mod tests;
