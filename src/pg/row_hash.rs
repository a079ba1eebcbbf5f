//! Counting and hashing rows where they live: the SQL, and what the catalog must say for it.
//!
//! Owns the COPY tuple as SQL builds it: the same bytes that `COPY … (FORMAT binary)` would send,
//! from the types' own send functions, hashed and summed on the server. One small row comes back,
//! however large the chunk.

use std::fmt::Write;

use crate::chunk::{PlannedRelation, Range};
use crate::error::{Error, ErrorKind, Result};
use crate::pg::error::sqlstate;
use crate::pg::session::{Session, column};
use crate::pg::sql::{self, SelectColumn, from_clause, quote_ident, quote_literal};
use crate::snapshot::Snapshot;
use crate::table::TableSchema;

/// Rows of a part of a relation, and their hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RowsFound {
    /// How many.
    pub(crate) rows: u64,
    /// The sum of the first eight bytes of each row's SHA-256, signed and big-endian; `None` when
    /// a tuple is larger than PostgreSQL can put together (1 GiB).
    pub(crate) hash: Option<i128>,
}

/// What is counted: rows of one relation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Part<'a> {
    /// The relation, read with `ONLY`, or a query.
    pub(crate) relation: &'a PlannedRelation,
    /// Which of its rows.
    pub(crate) range: &'a Range,
    /// The condition every exported row meets.
    pub(crate) filter: Option<&'a str>,
}

/// One column as an expression of type bytea: its send function over it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SentColumn(String);

/// The send functions of a table's columns. A column that travels as text is cast first.
///
/// # Errors
///
/// [`ErrorKind::Source`] when a column is gone or its type sends nothing.
pub(crate) async fn sent_columns(
    session: &Session,
    table: &TableSchema,
    columns: &[SelectColumn],
) -> Result<Vec<SentColumn>> {
    // A domain sends as its base; polymorphic send functions want to see that.
    let sql = "WITH RECURSIVE based AS (
            SELECT a.attname, a.oid FROM ROWS FROM (
              pg_catalog.unnest($1::pg_catalog.text[]), pg_catalog.unnest($2::pg_catalog.oid[])
            ) AS a(attname, oid)
            UNION ALL
            SELECT based.attname, t.typbasetype FROM based
            JOIN pg_catalog.pg_type t ON t.oid = based.oid WHERE t.typtype = 'd')
        SELECT based.attname, n.nspname::text, p.proname::text,
               pg_catalog.format_type(t.oid, -1)
        FROM based
        JOIN pg_catalog.pg_type t ON t.oid = based.oid AND t.typtype <> 'd'
        JOIN pg_catalog.pg_proc p ON p.oid = t.typsend
        JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace";
    let what = "the columns' send functions could not be read";
    let names: Vec<&str> = table.columns.iter().map(|one| one.name.as_str()).collect();
    let types: Vec<u32> = table.columns.iter().map(|one| one.type_oid).collect();
    let rows = session.query(what, sql, &[&names, &types]).await?;
    let mut found = Vec::with_capacity(rows.len());
    for row in &rows {
        let name: String = column(row, 0)?;
        let (schema, function): (String, String) = (column(row, 1)?, column(row, 2)?);
        let base: String = column(row, 3)?;
        found.push((name, schema, function, base));
    }
    let sent = columns.iter().map(|wanted| {
        let name = quote_ident(&wanted.name);
        if wanted.as_text {
            let text = format!("pg_catalog.textsend({})", wanted.text());
            return Ok(SentColumn(text));
        }
        let known = found.iter().find(|(found, ..)| *found == wanted.name);
        let Some((_, schema, function, base)) = known else {
            return Err(Error::new(
                ErrorKind::Source,
                format!("column {name} is gone, or its type has no binary form"),
            ));
        };
        let function = format!("{}.{}", quote_ident(schema), quote_ident(function));
        Ok(SentColumn(format!("{function}({name}::{base})")))
    });
    sent.collect()
}

impl Session {
    /// Counts the rows of a part and, given columns, hashes them.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Source`]; the transaction is then over.
    pub(crate) async fn count_rows(
        &self,
        part: Part<'_>,
        columns: Option<&[SentColumn]>,
    ) -> Result<RowsFound> {
        let what = "the rows could not be counted";
        self.execute(what, "SAVEPOINT counting").await?;
        let hashed = match columns {
            Some(columns) => self.query_one(what, &hash_select(part, columns), &[]).await,
            None => self.query_one(what, &count_select(part), &[]).await,
        };
        let row = match hashed {
            Err(error) if columns.is_some() && is_too_large(&error) => {
                let back = "ROLLBACK TO SAVEPOINT counting";
                self.execute(what, back).await?;
                self.query_one(what, &count_select(part), &[]).await?
            }
            done => done?,
        };
        self.execute(what, "RELEASE SAVEPOINT counting").await?;
        let rows: i64 = column(&row, 0)?;
        let hash: Option<String> = column(&row, 1)?;
        let hash = hash.map(|text| text.parse::<i128>()).transpose();
        Ok(RowsFound {
            rows: rows.try_into().unwrap_or(0),
            hash: hash.map_err(|error| Error::new(ErrorKind::Source, what).with_source(error))?,
        })
    }

    /// At least how many rows of a part were written by transactions that a snapshot did not see;
    /// `None` where row versions do not tell: 32-bit transaction ids have come round.
    ///
    /// Subtransactions that ran while the snapshot was taken are not in it and count as seen.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Source`]; the transaction is then over.
    pub(crate) async fn rows_newer_than(
        &self,
        part: Part<'_>,
        snapshot: &Snapshot,
    ) -> Result<Option<u64>> {
        let what = "the age of the rows could not be read";
        let sql = "SELECT pg_catalog.txid_snapshot_xmax(pg_catalog.txid_current_snapshot())";
        let row = self.query_one(what, sql, &[]).await?;
        if column::<i64>(&row, 0)? > i64::from(u32::MAX) {
            return Ok(None);
        }
        let visible = quote_literal(&snapshot.visible);
        let newer = format!(
            "NOT pg_catalog.txid_visible_in_snapshot(\
             xmin::pg_catalog.text::pg_catalog.int8, {visible}::pg_catalog.txid_snapshot)"
        );
        let sql = format!(
            "SELECT pg_catalog.count(*) FROM {}{}",
            from_clause(part.relation),
            conditions(part, Some(newer))
        );
        let row = self.query_one(what, &sql, &[]).await?;
        Ok(column::<i64>(&row, 0)?.try_into().ok())
    }
}

/// `program_limit_exceeded`: a tuple beyond 1 GiB cannot be put together in SQL.
fn is_too_large(error: &Error) -> bool {
    sqlstate(error).is_some_and(|state| state.code() == "54000")
}

fn count_select(part: Part<'_>) -> String {
    format!(
        "SELECT pg_catalog.count(*), NULL::pg_catalog.text FROM {}{}",
        from_clause(part.relation),
        conditions(part, None)
    )
}

/// The inner SELECT sends each field once (`OFFSET 0` keeps it from being pulled up and sent
/// twice), the outer one makes the tuple: the field count, then length and bytes of each field.
fn hash_select(part: Part<'_>, columns: &[SentColumn]) -> String {
    let mut list = String::new();
    for (index, SentColumn(sent)) in columns.iter().enumerate() {
        let comma = if index == 0 { "" } else { ", " };
        // Writing to a String cannot fail.
        let _ = write!(list, "{comma}{sent} AS s{index}");
    }
    let count = format!("pg_catalog.int2send('{}'::pg_catalog.int2)", columns.len());
    let fields = (0..columns.len()).map(|index| {
        format!(
            "COALESCE(pg_catalog.int4send(pg_catalog.octet_length(s{index})) OPERATOR(pg_catalog.||) \
             s{index}, '\\xffffffff'::pg_catalog.bytea)"
        )
    });
    let tuple = joined(std::iter::once(count).chain(fields).collect());
    format!(
        "SELECT pg_catalog.count(*), COALESCE(pg_catalog.sum(('x' OPERATOR(pg_catalog.||) \
         pg_catalog.encode(pg_catalog.substr(pg_catalog.sha256({tuple}), 1, 8), 'hex'))\
         ::pg_catalog.bit(64)::pg_catalog.int8), 0)::pg_catalog.text \
         FROM (SELECT {list} FROM {}{} OFFSET 0) AS sent",
        from_clause(part.relation),
        conditions(part, None)
    )
}

/// Concatenates in pairs, then pairs of pairs: a chain would copy its growing head for each of up
/// to 1600 columns.
fn joined(mut parts: Vec<String>) -> String {
    while parts.len() > 1 {
        parts = parts
            .chunks(2)
            .map(|pair| match pair {
                [one, other] => format!("({one} OPERATOR(pg_catalog.||) {other})"),
                _ => pair.concat(),
            })
            .collect();
    }
    parts.concat()
}

/// The `WHERE` of a part: as its chunks were read, and one condition more.
fn conditions(part: Part<'_>, more: Option<String>) -> String {
    let mut all = sql::conditions(part.relation, part.range, part.filter);
    all.extend(more);
    sql::where_clause(&all)
}
