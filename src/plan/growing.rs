//! The growing column of an incremental export: what the catalog says of it.
//!
//! Owns its checks and the arithmetic on it, which the server does: the next run's lower bound.

use std::collections::BTreeSet;

use crate::chunk::{Bound, KeyColumn, Window};
use crate::error::{Error, ErrorKind, Result};
use crate::pg::Session;
use crate::pg::session::column;
use crate::pg::sql::{literal, quote_ident, quote_literal};
use crate::table::{Relation, TableSchema};

// `pg_type.dat`.
const INT8: u32 = 20;
const INT2: u32 = 21;
const INT4: u32 = 23;
const OID: u32 = 26;
const FLOAT4: u32 = 700;
const FLOAT8: u32 = 701;
const DATE: u32 = 1082;
const TIMESTAMP: u32 = 1114;
const TIMESTAMPTZ: u32 = 1184;
const NUMERIC: u32 = 1700;

/// One column of a table, or of a query's result, by name: its base type and how it is ordered.
const COLUMN_SQL: &str = "
WITH RECURSIVE named AS (
  SELECT a.atttypid AS typid, a.attcollation AS coll,
    NOT a.attnotnull OR EXISTS (SELECT FROM pg_catalog.pg_constraint k
      WHERE k.conrelid = a.attrelid AND k.contype = 'n' AND NOT k.convalidated
        AND k.conkey = ARRAY[a.attnum]) AS is_nullable
  FROM pg_catalog.pg_attribute a
  WHERE a.attrelid = $1 AND a.attname = $2 AND a.attnum > 0 AND NOT a.attisdropped
  UNION ALL
  SELECT t.oid, t.typcollation, true FROM pg_catalog.pg_type t
  WHERE $1::pg_catalog.oid = 0 AND t.oid = $3::pg_catalog.oid
), base(typid) AS (
  SELECT typid FROM named
  UNION ALL
  SELECT t.typbasetype FROM base b
  JOIN pg_catalog.pg_type t ON t.oid = b.typid WHERE t.typtype = 'd'
), classes AS (
  SELECT o.opcintype, o.opcfamily, o.opcintype = t.oid AS is_own
  FROM base b JOIN pg_catalog.pg_type t ON t.oid = b.typid AND t.typtype = 'b'
  JOIN pg_catalog.pg_opclass o ON o.opcdefault AND (o.opcintype = t.oid OR EXISTS (
    SELECT FROM pg_catalog.pg_cast c WHERE c.castsource = t.oid AND c.casttarget = o.opcintype
      AND c.castmethod = 'b' AND c.castcontext = 'i'))
  JOIN pg_catalog.pg_am m ON m.oid = o.opcmethod AND m.amname = 'btree'
)
SELECT pg_catalog.quote_ident(tn.nspname) || '.' || pg_catalog.quote_ident(t.typname), t.oid,
  (SELECT n.nspname::pg_catalog.text FROM classes c
   JOIN pg_catalog.pg_amop a ON a.amopfamily = c.opcfamily AND a.amopstrategy = 1
     AND a.amoplefttype = c.opcintype AND a.amoprighttype = c.opcintype
   JOIN pg_catalog.pg_operator p ON p.oid = a.amopopr
   JOIN pg_catalog.pg_namespace n ON n.oid = p.oprnamespace
   ORDER BY c.is_own DESC LIMIT 1),
  co.collname::pg_catalog.text, coalesce(co.collisdeterministic, true), named.is_nullable,
  t.typcategory = 'A'
FROM named CROSS JOIN base b
JOIN pg_catalog.pg_type t ON t.oid = b.typid AND t.typtype <> 'd'
JOIN pg_catalog.pg_namespace tn ON tn.oid = t.typnamespace
LEFT JOIN pg_catalog.pg_collation co ON co.oid = named.coll AND co.oid <> t.typcollation";

/// The relations among some in which a usable btree index leads with the column.
const LEADS_SQL: &str = "
SELECT DISTINCT i.indrelid
FROM pg_catalog.pg_index i
JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
  AND a.attname = $2 AND a.attcollation = i.indcollation[0]
JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
JOIN pg_catalog.pg_am m ON m.oid = c.relam AND m.amname = 'btree'
JOIN pg_catalog.pg_opclass o ON o.oid = i.indclass[0] AND o.opcdefault
WHERE i.indrelid = ANY($1) AND i.indisvalid AND i.indisready AND i.indpred IS NULL
  -- ASC NULLS LAST or DESC NULLS FIRST: another order does not serve ORDER BY k LIMIT 1.
  AND i.indoption[0] IN (0, 3)";

/// The column that a run's window is over.
#[derive(Debug)]
pub(super) struct Growing {
    pub(super) column: KeyColumn,
    type_oid: u32,
    /// Relations in which a usable index leads with it.
    indexed: BTreeSet<u32>,
}

/// Looks the column up.
///
/// # Errors
///
/// [`ErrorKind::Config`] for one that does not exist, or that rows cannot be told apart by.
pub(super) async fn probe_growing(
    session: &Session,
    schema: &TableSchema,
    name: &str,
) -> Result<Growing> {
    let what = "the --incremental column could not be looked up";
    let exported = schema.columns.iter().find(|column| column.name == name);
    let type_oid = exported.map_or(0, |column| column.type_oid);
    let rows = session
        .query_often(what, COLUMN_SQL, &[&schema.oid, &name, &type_oid])
        .await?;
    let Some(row) = rows.first() else {
        let message = format!("--incremental {name:?}: {} has no such column", schema.name);
        let columns: Vec<&str> = schema.columns.iter().map(|c| c.name.as_str()).collect();
        return Err(Error::new(ErrorKind::Config, message)
            .with_advice(format!("its columns: {}", columns.join(", "))));
    };
    let operators: Option<String> = column(row, 2)?;
    let is_deterministic: bool = column(row, 4)?;
    let mut growing = Growing {
        column: KeyColumn {
            name: name.to_owned(),
            type_name: column(row, 0)?,
            operators: operators.clone().unwrap_or_default(),
            collation: column(row, 3)?,
            is_nullable: column(row, 5)?,
        },
        type_oid: column(row, 1)?,
        indexed: BTreeSet::new(),
    };
    let another = "name a column that grows: a number, a time, or a sortable text such as uuidv7";
    if matches!(growing.type_oid, FLOAT4 | FLOAT8) {
        let why = "is a floating-point number, which does not tell rows apart by its order";
        return Err(growing.refused(why, another));
    }
    if operators.is_none() || column(row, 6)? {
        return Err(growing.refused("is of a type that cannot be ordered for this", another));
    }
    if !is_deterministic {
        let why = "has a nondeterministic collation: values that differ are equal to it";
        return Err(growing.refused(why, another));
    }
    let oids: Vec<u32> = schema.relations.iter().map(|one| one.oid).collect();
    for row in session
        .query_often(what, LEADS_SQL, &[&oids, &name])
        .await?
    {
        growing.indexed.insert(column(&row, 0)?);
    }
    Ok(growing)
}

impl Growing {
    pub(super) fn refused(&self, why: &str, advice: &str) -> Error {
        let message = format!("--incremental: column {:?} {why}", self.column.name);
        Error::new(ErrorKind::Config, message).with_advice(advice)
    }

    pub(super) fn leads_an_index(&self, relation: &Relation) -> bool {
        self.indexed.contains(&relation.oid)
    }

    /// An operator of the column's order.
    pub(super) fn operator(&self, op: &str) -> String {
        format!("OPERATOR({}.{op})", quote_ident(&self.column.operators))
    }

    /// Whether a value is one above which nothing can come.
    pub(super) fn is_endless(&self, value: &str) -> String {
        match self.type_oid {
            DATE | TIMESTAMP | TIMESTAMPTZ => format!("NOT pg_catalog.isfinite({value})"),
            NUMERIC => {
                format!("{value}::pg_catalog.text OPERATOR(pg_catalog.=) ANY ('{{NaN,Infinity}}')")
            }
            _ => "false".to_owned(),
        }
    }

    /// The bound that the next run's rows lie above; `None` when there is none. The overlap is
    /// checked in any case.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] for an overlap that is no distance between two values.
    pub(super) async fn lower(
        &self,
        session: &Session,
        reached: Option<&str>,
        overlap: Option<&str>,
    ) -> Result<Option<String>> {
        let Some(overlap) = overlap else {
            return Ok(reached.map(str::to_owned));
        };
        let bad = |expected: &str| {
            let message = format!("--overlap: {:?} takes {expected}", self.column.name);
            Error::new(ErrorKind::Config, message)
        };
        let is_number = overlap.bytes().all(|b| b.is_ascii_digit() || b == b'.')
            && overlap.parse::<f64>().is_ok();
        let expression = match (self.type_oid, is_number) {
            (INT8 | INT4 | INT2 | OID | NUMERIC, true) => self.less_number(reached, overlap),
            (INT8 | INT4 | INT2 | OID | NUMERIC, false) => {
                return Err(bad("a number that is not negative, such as 1000"));
            }
            (DATE | TIMESTAMP | TIMESTAMPTZ, true) => {
                return Err(bad("an interval with its unit, such as '10 minutes'"));
            }
            (DATE | TIMESTAMP | TIMESTAMPTZ, false) => self.less_time(reached, overlap),
            _ => {
                return Err(bad("none: only numbers and times have a distance")
                    .with_advice("leave --overlap out"));
            }
        };
        let rows = session
            .query("--overlap cannot be used", &expression, &[])
            .await
            .map_err(|error| {
                let expected = "an interval such as '10 minutes', or a number for numbers";
                bad(expected).with_source(error)
            })?;
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        if !column::<bool>(row, 0)? {
            return Err(bad("a distance that is finite and not negative"));
        }
        column(row, 1)
    }

    fn less_number(&self, reached: Option<&str>, overlap: &str) -> String {
        let number = |text: &str| format!("{}::pg_catalog.numeric", quote_literal(text));
        let least = match self.type_oid {
            INT2 => Some("-32768"),
            INT4 => Some("-2147483648"),
            INT8 => Some("-9223372036854775808"),
            OID => Some("0"),
            _ => None,
        };
        let reached = reached.map_or("NULL::pg_catalog.numeric".to_owned(), number);
        let less = format!("{reached} OPERATOR(pg_catalog.-) {}", number(overlap));
        let lower = match least {
            None => format!("({less})::pg_catalog.text"),
            // Below the type's least value there is no bound, and no need of one.
            Some(least) => format!(
                "CASE WHEN {less} OPERATOR(pg_catalog.>=) {} \
                 THEN pg_catalog.floor({less})::pg_catalog.text END",
                number(least)
            ),
        };
        format!("SELECT true, {lower}")
    }

    fn less_time(&self, reached: Option<&str>, overlap: &str) -> String {
        let overlap = format!("{}::pg_catalog.interval", quote_literal(overlap));
        let type_name = &self.column.type_name;
        let reached = match reached {
            Some(text) => self.literal(text),
            None => format!("NULL::{type_name}"),
        };
        format!(
            "SELECT {overlap} OPERATOR(pg_catalog.>=) '0'::pg_catalog.interval \
             AND pg_catalog.isfinite({overlap}), \
             ({reached} OPERATOR(pg_catalog.-) {overlap})::{type_name}::pg_catalog.text"
        )
    }

    fn literal(&self, text: &str) -> String {
        literal(std::slice::from_ref(&self.column), &Bound::one(text))
    }

    /// The window in microseconds since 1970, of a time; a missing lower bound is the least.
    pub(super) async fn micros(
        &self,
        session: &Session,
        window: &Window,
    ) -> Result<Option<(i64, i64)>> {
        let Some(upper) = &window.upper else {
            return Ok(None);
        };
        if !matches!(self.type_oid, DATE | TIMESTAMP | TIMESTAMPTZ) {
            return Ok(None);
        }
        let micros = |text: &str| {
            let value = self.literal(text);
            format!("(EXTRACT(epoch FROM {value}) * 1000000)::pg_catalog.int8")
        };
        let lower = window.lower.as_deref();
        let lower = lower.map_or("NULL::pg_catalog.int8".to_owned(), micros);
        let sql = format!("SELECT {lower}, {}", micros(upper));
        let what = "the window of the run could not be read";
        let row = session.query_one(what, &sql, &[]).await?;
        let lower: Option<i64> = column(&row, 0)?;
        Ok(Some((lower.unwrap_or(i64::MIN), column(&row, 1)?)))
    }
}
