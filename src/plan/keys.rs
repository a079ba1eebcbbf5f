//! What a relation could be cut by: its columns with the operators, collations and indexes that
//! order them, and what the statistics know of each.
//!
//! Owns the catalog queries and the refusal of keys that were named and cannot be. Which key is
//! taken is `choose`'s, where it is cut `bounds`'s. It reads no rows.

use std::collections::BTreeMap;

use tokio_postgres::Row;

use crate::chunk::{Key, KeyColumn};
use crate::error::{Error, ErrorKind, Result};
use crate::pg::session::column;
use crate::pg::sql::{from_clause, quote_ident};
use crate::plan::task::RelationTask;
use crate::table::{Column, Relation};

/// From here on, rows lie in the order of the key: a key range reads few pages more than once.
const HIGH_CORRELATION: f64 = 0.9;

/// Each column, of a relation or ($2, $3) of a query, with what orders it: the type its default btree operator class is of (as the
/// server finds it: the type's own, else one it is binary-coercible to), and the schema of that
/// class's `<` and `>=`. An object's name (`regclass`) reads back as another object some day, and a
/// composite of NULLs is NULL and is not.
const COLUMNS_SQL: &str = "
WITH RECURSIVE columns(attnum, name, typid, shown, coll, is_nullable) AS (
  SELECT a.attnum, a.attname::text, a.atttypid, pg_catalog.format_type(a.atttypid, a.atttypmod),
    a.attcollation, NOT a.attnotnull OR EXISTS (SELECT FROM pg_catalog.pg_constraint k
      WHERE k.conrelid = a.attrelid AND k.contype = 'n' AND NOT k.convalidated
        AND k.conkey = ARRAY[a.attnum])
  FROM pg_catalog.pg_attribute a
  WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped
  UNION ALL
  SELECT u.n::pg_catalog.int2, u.name, t.oid, pg_catalog.format_type(t.oid, NULL),
    t.typcollation, true
  FROM ROWS FROM (pg_catalog.unnest($2::pg_catalog.text[]), pg_catalog.unnest($3::pg_catalog.oid[]))
    WITH ORDINALITY u(name, typ, n)
  JOIN pg_catalog.pg_type t ON t.oid = u.typ
), base(attnum, typid) AS (
  SELECT attnum, typid FROM columns
  UNION ALL
  SELECT b.attnum, t.typbasetype FROM base b
  JOIN pg_catalog.pg_type t ON t.oid = b.typid WHERE t.typtype = 'd'
), classes AS (
  SELECT o.opcintype, i.typispreferred, n.nspname
  FROM pg_catalog.pg_opclass o
  JOIN pg_catalog.pg_am m ON m.oid = o.opcmethod AND m.amname = 'btree'
  JOIN pg_catalog.pg_type i ON i.oid = o.opcintype
  JOIN pg_catalog.pg_amop l ON l.amopfamily = o.opcfamily AND l.amopstrategy = 1
    AND l.amoplefttype = o.opcintype AND l.amoprighttype = o.opcintype
  JOIN pg_catalog.pg_operator lt ON lt.oid = l.amopopr AND lt.oprname = '<'
  JOIN pg_catalog.pg_amop g ON g.amopfamily = o.opcfamily AND g.amopstrategy = 4
    AND g.amoplefttype = o.opcintype AND g.amoprighttype = o.opcintype
  JOIN pg_catalog.pg_operator ge ON ge.oid = g.amopopr AND ge.oprname = '>='
    AND ge.oprnamespace = lt.oprnamespace
  JOIN pg_catalog.pg_namespace n ON n.oid = lt.oprnamespace
  WHERE o.opcdefault
)
SELECT a.name, a.attnum,
  pg_catalog.quote_ident(tn.nspname) || '.' || pg_catalog.quote_ident(t.typname), a.shown, t.oid,
  CASE WHEN t.typname NOT LIKE 'reg%' OR tn.nspname <> 'pg_catalog' THEN
    (SELECT c.nspname::text FROM classes c
     WHERE c.opcintype = t.oid
       OR c.opcintype = CASE t.typtype WHEN 'e' THEN 3500 WHEN 'r' THEN 3831 WHEN 'm' THEN 4537
            WHEN 'c' THEN 0 ELSE CASE WHEN t.typcategory = 'A' THEN 2277 END END
       OR EXISTS (SELECT FROM pg_catalog.pg_cast k WHERE k.castsource = t.oid
            AND k.casttarget = c.opcintype AND k.castmethod = 'b' AND k.castcontext = 'i')
     ORDER BY c.opcintype = t.oid DESC, c.typispreferred DESC LIMIT 1) END,
  (SELECT pg_catalog.quote_ident(cn.nspname) || '.' || pg_catalog.quote_ident(c.collname)
   FROM pg_catalog.pg_namespace cn WHERE cn.oid = c.collnamespace AND c.oid <> t.typcollation),
  coalesce(c.collisdeterministic, true),
  coalesce(c.oid <> t.typcollation AND t.typcollation NOT IN (0, 100), false),
  a.is_nullable
FROM base b
JOIN pg_catalog.pg_type t ON t.oid = b.typid AND t.typtype <> 'd'
JOIN pg_catalog.pg_namespace tn ON tn.oid = t.typnamespace
JOIN columns a ON a.attnum = b.attnum
LEFT JOIN pg_catalog.pg_collation c ON c.oid = a.coll
ORDER BY a.attnum";

/// The whole btree indexes, place by place: the column (0: an expression), whether its order is
/// the column's own, and the direction bits (1: descending, 2: NULLs first).
const INDEXES_SQL: &str = "
SELECT i.indisunique,
  ARRAY(SELECT i.indkey[p] FROM pg_catalog.generate_series(0, i.indnkeyatts - 1) p ORDER BY p),
  ARRAY(SELECT o.opcdefault AND i.indcollation[p] = coalesce(
      (SELECT a.attcollation FROM pg_catalog.pg_attribute a
       WHERE a.attrelid = i.indrelid AND a.attnum = i.indkey[p]), 0)
    FROM pg_catalog.generate_series(0, i.indnkeyatts - 1) p
    JOIN pg_catalog.pg_opclass o ON o.oid = i.indclass[p] ORDER BY p),
  ARRAY(SELECT i.indoption[p] FROM pg_catalog.generate_series(0, i.indnkeyatts - 1) p ORDER BY p)
FROM pg_catalog.pg_index i
JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
JOIN pg_catalog.pg_am m ON m.oid = c.relam AND m.amname = 'btree'
WHERE i.indrelid = $1 AND i.indisvalid AND i.indisready AND i.indpred IS NULL
ORDER BY i.indisprimary DESC, i.indisunique DESC, i.indexrelid";

/// `pg_stats` shows only columns that the user may read. Text of no known encoding that is not
/// ASCII is left out: it could not be put into a statement.
const STATISTICS_SQL: &str = "
SELECT s.attname::text, s.correlation::pg_catalog.float8, s.null_frac::pg_catalog.float8,
  s.n_distinct::pg_catalog.float8,
  CASE WHEN odd THEN '{}' ELSE coalesce(h::pg_catalog.text[], '{}') END,
  CASE WHEN odd THEN '{}' ELSE coalesce(m::pg_catalog.text[], '{}') END,
  CASE WHEN odd THEN '{}' ELSE coalesce(s.most_common_freqs::pg_catalog.float8[], '{}') END
FROM pg_catalog.pg_stats s
CROSS JOIN LATERAL (SELECT s.histogram_bounds::pg_catalog.text, s.most_common_vals::pg_catalog.text)
  AS t(h, m)
CROSS JOIN LATERAL (SELECT pg_catalog.getdatabaseencoding() = 'SQL_ASCII'
  AND (h ~ '[^\\x01-\\x7f]' OR m ~ '[^\\x01-\\x7f]') IS TRUE) AS e(odd)
WHERE s.schemaname = $1 AND s.tablename = $2 AND NOT s.inherited
  AND s.attname::text = ANY ($3)";

/// Types that auto takes a key of: int8, int2, int4, text, bpchar, varchar, bytea, date, timestamp,
/// timestamptz, numeric, uuid.
const USUAL_TYPES: [u32; 12] = [20, 21, 23, 25, 1042, 1043, 17, 1082, 1114, 1184, 1700, 2950];

/// What an index gives a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum IndexUse {
    /// No index leads with the key: each range scans the whole relation.
    None,
    /// Ranges are found by an index.
    Ranges,
    /// And it yields rows in the key's order, NULLs last.
    Ordered,
}

/// What the statistics know of a column. All of it may be out of date.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Statistics {
    /// How far the order of the rows is that of the column, from -1 to 1.
    pub(super) correlation: Option<f64>,
    /// Share of rows where it is NULL.
    pub(super) null_frac: f64,
    /// Distinct values; below zero their share of the rows.
    pub(super) distinct: f64,
    /// Between neighbours lie equally many rows, those of `common` left out. As text.
    pub(super) histogram: Vec<String>,
    /// The most common values, as text, with their share of the rows.
    pub(super) common: Vec<(String, f64)>,
}

/// A key that could bound chunks.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Candidate {
    /// Its columns.
    pub(super) key: Key,
    /// What an index gives it.
    pub(super) index: IndexUse,
    /// Whether no two rows share it.
    pub(super) is_unique: bool,
    /// What is known of its first column.
    pub(super) statistics: Statistics,
}

impl Candidate {
    /// Whether rows lie about in its order.
    pub(super) fn is_correlated(&self) -> bool {
        let correlation = self.statistics.correlation;
        correlation.is_some_and(|correlation| correlation.abs() >= HIGH_CORRELATION)
    }

    /// The share of rows that the most common value of a single column has.
    pub(super) fn largest_share(&self) -> f64 {
        let shares = self.statistics.common.iter().map(|(_, share)| *share);
        shares.fold(0.0, f64::max)
    }
}

/// A column of the relation, orderable or not.
#[derive(Debug, Clone)]
struct Orderable {
    attnum: i16,
    type_oid: u32,
    shown_type: String,
    /// As a key column; `None`: nothing orders its type.
    key: Option<KeyColumn>,
    is_deterministic: bool,
}

impl Orderable {
    fn is_usual(&self) -> bool {
        self.key.is_some() && self.is_deterministic && USUAL_TYPES.contains(&self.type_oid)
    }
}

/// One btree index, as far as its places are columns in their own order.
#[derive(Debug, Clone)]
struct Index {
    is_unique: bool,
    /// How many places it has; `columns` can be fewer.
    places: usize,
    columns: Vec<i16>,
    options: Vec<i16>,
}

impl Index {
    /// What it gives a key of these columns.
    fn gives(&self, columns: &[i16]) -> IndexUse {
        if self.columns.first() != columns.first() {
            return IndexUse::None;
        }
        let options = self.options.get(..columns.len()).unwrap_or_default();
        // Ascending with NULLs last, or the very reverse, read backwards.
        let is_ordered = |option: i16| options.iter().all(|other| *other == option);
        match self.columns.starts_with(columns) && (is_ordered(0) || is_ordered(3)) {
            true => IndexUse::Ordered,
            false => IndexUse::Ranges,
        }
    }
}

/// The columns and indexes of one relation.
pub(super) struct Catalog {
    columns: BTreeMap<String, Orderable>,
    indexes: Vec<Index>,
}

impl Catalog {
    /// Reads them.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Source`].
    async fn load(task: RelationTask<'_>) -> Result<Self> {
        let (session, relation) = (task.session, task.relation);
        let of_query = task.schema.columns.iter();
        let of_query: Vec<&Column> = of_query.filter(|_| task.base.query.is_some()).collect();
        let names: Vec<&str> = of_query.iter().map(|column| column.name.as_str()).collect();
        let types: Vec<u32> = of_query.iter().map(|column| column.type_oid).collect();
        let oid = if names.is_empty() { relation.oid } else { 0 };
        let what = "the columns that could be keys could not be read";
        let rows = session
            .query_often(what, COLUMNS_SQL, &[&oid, &names, &types])
            .await?;
        let columns = rows.iter().map(read_column).collect::<Result<_>>()?;
        let what = "the indexes could not be read";
        let oid = relation.oid;
        let rows = session.query_often(what, INDEXES_SQL, &[&oid]).await?;
        let indexes = rows.iter().map(read_index).collect::<Result<_>>()?;
        Ok(Self { columns, indexes })
    }

    fn name_of(&self, attnum: i16) -> Option<&str> {
        let mut columns = self.columns.iter();
        columns
            .find(|(_, column)| column.attnum == attnum)
            .map(|(name, _)| name.as_str())
    }

    /// The keys that auto may choose among: first columns of indexes, then whole unique indexes
    /// of several columns.
    fn indexed_keys(&self) -> Vec<Vec<String>> {
        let mut keys: Vec<Vec<String>> = Vec::new();
        let single = self.indexes.iter().map(|index| index.columns.get(..1));
        let whole = self.indexes.iter().map(|index| {
            let is_whole = index.columns.len() == index.places && index.places > 1;
            (index.is_unique && is_whole).then_some(index.columns.as_slice())
        });
        for columns in single.chain(whole).flatten() {
            let names = columns.iter().map(|attnum| {
                let name = self.name_of(*attnum)?;
                self.columns[name].is_usual().then(|| name.to_owned())
            });
            if let Some(names) = names.collect::<Option<Vec<_>>>()
                && !keys.contains(&names)
            {
                keys.push(names);
            }
        }
        keys
    }

    fn candidate(&self, columns: Vec<KeyColumn>, statistics: Statistics) -> Candidate {
        let attnums = columns.iter().filter_map(|key| self.columns.get(&key.name));
        let attnums: Vec<i16> = attnums.map(|column| column.attnum).collect();
        let uses = self.indexes.iter().map(|index| index.gives(&attnums));
        let is_unique = self.indexes.iter().any(|index| {
            index.is_unique
                && index.places == index.columns.len()
                && index.columns.iter().all(|column| attnums.contains(column))
        });
        Candidate {
            index: uses.max().unwrap_or(IndexUse::None),
            is_unique,
            key: Key { columns },
            statistics,
        }
    }
}

/// The candidates for auto, or for `key` without names: indexed, of usual types.
///
/// # Errors
///
/// [`ErrorKind::Source`].
pub(super) async fn probe_indexed(task: RelationTask<'_>) -> Result<Vec<Candidate>> {
    let catalog = Catalog::load(task).await?;
    let keys = catalog.indexed_keys();
    let leading: Vec<&str> = keys.iter().map(|names| names[0].as_str()).collect();
    let statistics = load_statistics(task, &leading).await?;
    let candidates = keys.iter().map(|names| {
        let columns = names.iter().filter_map(|name| {
            let column = catalog.columns.get(name)?;
            column.key.clone()
        });
        let statistics = statistics.get(&names[0]).cloned().unwrap_or_default();
        catalog.candidate(columns.collect(), statistics)
    });
    Ok(candidates.collect())
}

/// The key that a person named; it need not have an index.
///
/// # Errors
///
/// [`ErrorKind::Config`] for a column that does not exist or cannot be ordered,
/// [`ErrorKind::Unsupported`] for a collation that is not deterministic.
pub(super) async fn probe_named(task: RelationTask<'_>, names: &[String]) -> Result<Candidate> {
    let mut catalog = Catalog::load(task).await?;
    let mut columns: Vec<KeyColumn> = Vec::new();
    for name in names {
        let Some(found) = catalog.columns.get_mut(name) else {
            return Err(no_such_column(&catalog, task.relation, name));
        };
        if columns.iter().any(|column| column.name == *name) {
            return Err(refused(format!("column {name:?} is named twice")));
        }
        if task.base.query.is_some() {
            find_collation(task, name, found).await?;
        }
        columns.push(ordered(found, name)?);
    }
    refuse_mixed(&columns)?;
    check_ordering(task, &columns).await?;
    let leading = names.first().map(String::as_str);
    let statistics = load_statistics(task, leading.as_slice()).await?;
    let statistics = statistics.into_values().next().unwrap_or_default();
    Ok(catalog.candidate(columns, statistics))
}

/// The collation of a query's column of a collatable type, which no catalog tells.
async fn find_collation(task: RelationTask<'_>, name: &str, found: &mut Orderable) -> Result<()> {
    let Some(key) = &mut found.key else {
        return Ok(());
    };
    let mut named = task.schema.columns.iter().filter(|one| one.name == name);
    let type_oid = named.next().map_or(0, |one| one.type_oid);
    let sql = format!(
        "SELECT c.name, coalesce((SELECT p.collisdeterministic FROM pg_catalog.pg_collation p \
         WHERE p.oid = c.name::pg_catalog.regcollation), true) FROM (SELECT \
         CASE WHEN (SELECT t.typcollation FROM pg_catalog.pg_type t WHERE t.oid = $1) <> 0 \
         THEN pg_catalog.pg_collation_for((SELECT {} FROM {} LIMIT 0)) END AS name) AS c \
         WHERE c.name <> '\"default\"'",
        quote_ident(name),
        from_clause(task.base)
    );
    let what = "the collation of the key could not be read";
    for row in task.session.query(what, &sql, &[&type_oid]).await? {
        (key.collation, found.is_deterministic) = (column(&row, 0)?, column(&row, 1)?);
    }
    Ok(())
}

fn ordered(found: &Orderable, name: &str) -> Result<KeyColumn> {
    let Some(key) = &found.key else {
        let message = format!(
            "column {name:?} is of type {}, which cannot be ordered",
            found.shown_type
        );
        return Err(refused(message).with_advice(
            "a key needs a type with a default btree operator class; name another column, or \
             leave --chunk-by out",
        ));
    };
    if found.is_deterministic {
        return Ok(key.clone());
    }
    let collation = key.collation.as_deref().unwrap_or_default();
    Err(Error::new(
        ErrorKind::Unsupported,
        format!("the collation of column {name:?}, {collation}, is not deterministic"),
    )
    .with_advice(
        "texts that differ are equal under it, so that a bound would not say which it means; \
         name another column, or leave --chunk-by out",
    ))
}

fn no_such_column(catalog: &Catalog, relation: &Relation, name: &str) -> Error {
    let scored = catalog.columns.keys().map(|other| {
        let score = strsim::jaro_winkler(&other.to_lowercase(), &name.to_lowercase());
        (score, other)
    });
    let nearest = scored.max_by(|a, b| a.0.total_cmp(&b.0));
    let error = refused(format!("{} has no column {name:?}", relation.name));
    match nearest.filter(|(score, _)| *score > 0.75) {
        Some((_, nearest)) => error.with_advice(format!("did you mean {nearest:?}?")),
        None => error,
    }
}

/// Rows are compared by operators of one schema.
fn refuse_mixed(columns: &[KeyColumn]) -> Result<()> {
    let mut pairs = columns.windows(2);
    if pairs.all(|pair| pair[0].operators == pair[1].operators) {
        return Ok(());
    }
    let message = "the key's columns are compared by operators of different schemas";
    Err(refused(message.to_owned()).with_advice("name one of the columns alone"))
}

fn refused(message: String) -> Error {
    Error::new(ErrorKind::Config, format!("--chunk-by key: {message}"))
}

/// Whether the server orders by these columns: an array or a composite has an operator class, and
/// still no order when what it is made of has none. Nothing is executed.
async fn check_ordering(task: RelationTask<'_>, columns: &[KeyColumn]) -> Result<()> {
    let names = columns.iter().map(|column| quote_ident(&column.name));
    let names: Vec<String> = names.collect();
    let sql = format!(
        "EXPLAIN SELECT FROM {} ORDER BY {}",
        from_clause(task.base),
        names.join(", ")
    );
    let explained = task.session.query("the key cannot be ordered", &sql, &[]);
    explained.await.map(|_| ()).map_err(|error| {
        error.with_advice("a key needs a type whose parts can be ordered; name another column")
    })
}

async fn load_statistics(
    task: RelationTask<'_>,
    columns: &[&str],
) -> Result<BTreeMap<String, Statistics>> {
    if task.is_computed() {
        return Ok(BTreeMap::new());
    }
    let what = "the statistics could not be read";
    let name = &task.relation.name;
    let rows = task
        .session
        .query_often(what, STATISTICS_SQL, &[&name.schema, &name.name, &columns])
        .await?;
    rows.iter().map(read_statistics).collect()
}

fn read_column(row: &Row) -> Result<(String, Orderable)> {
    let name: String = column(row, 0)?;
    let operators: Option<String> = column(row, 5)?;
    // A type with a collation of its own does not take a column's: the two would conflict.
    let conflicts: bool = column(row, 8)?;
    let key = match operators.filter(|_| !conflicts) {
        Some(operators) => Some(KeyColumn {
            name: name.clone(),
            type_name: column(row, 2)?,
            operators,
            collation: column(row, 6)?,
            is_nullable: column(row, 9)?,
        }),
        None => None,
    };
    let orderable = Orderable {
        attnum: column(row, 1)?,
        type_oid: column(row, 4)?,
        shown_type: column(row, 3)?,
        key,
        is_deterministic: column(row, 7)?,
    };
    Ok((name, orderable))
}

fn read_index(row: &Row) -> Result<Index> {
    let columns: Vec<i16> = column(row, 1)?;
    let usable: Vec<bool> = column(row, 2)?;
    let places = columns.len();
    let columns = columns.into_iter().zip(usable);
    let columns = columns.take_while(|(attnum, is_usable)| *attnum > 0 && *is_usable);
    Ok(Index {
        is_unique: column(row, 0)?,
        places,
        columns: columns.map(|(attnum, _)| attnum).collect(),
        options: column(row, 3)?,
    })
}

fn read_statistics(row: &Row) -> Result<(String, Statistics)> {
    let values: Vec<String> = column(row, 5)?;
    let shares: Vec<f64> = column(row, 6)?;
    let statistics = Statistics {
        correlation: column(row, 1)?,
        null_frac: column(row, 2)?,
        distinct: column(row, 3)?,
        histogram: column(row, 4)?,
        common: values.into_iter().zip(shares).collect(),
    };
    Ok((column(row, 0)?, statistics))
}
