//! Reading a table's schema: columns with their types, and the relations that hold the rows, with
//! their sizes.
//!
//! Owns the queries over relations and the pure choice and comparison of columns. Types are walked
//! in `types`; what one becomes in Arrow is `mapping`'s.

mod known;
mod query;
mod relations;
mod types;

use std::collections::BTreeMap;

use tokio_postgres::Row;

pub(crate) use self::relations::wider_children;
use self::types::Types;
use crate::error::{Error, ErrorKind, Result};
use crate::options::Inheritance;
use crate::pg::names::Resolved;
use crate::pg::session::{Session, column};
use crate::table::{Column, RelationKind, TableName, TableSchema};

/// Columns in `attnum` order. A domain is followed to its base as the server does
/// (`getBaseTypeAndTypmod`). A `NOT NULL` that was never validated (18) promises nothing.
const COLUMNS_SQL: &str = "
WITH RECURSIVE base(attnum, typid, typmod) AS (
  SELECT a.attnum, a.atttypid, a.atttypmod FROM pg_catalog.pg_attribute a
  WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped
  UNION ALL
  SELECT b.attnum, t.typbasetype, t.typtypmod FROM base b
  JOIN pg_catalog.pg_type t ON t.oid = b.typid WHERE t.typtype = 'd'
)
SELECT a.attname::text, a.attnum, pg_catalog.format_type(a.atttypid, a.atttypmod),
  a.atttypid, a.atttypmod,
  a.attnotnull AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint k
    WHERE k.conrelid = a.attrelid AND k.contype = 'n' AND NOT k.convalidated
      AND k.conkey = ARRAY[a.attnum]),
  a.attgenerated <> '',
  (SELECT pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.collname)
   FROM pg_catalog.pg_collation c JOIN pg_catalog.pg_namespace n ON n.oid = c.collnamespace
   WHERE c.oid = a.attcollation AND a.attcollation <> d.typcollation),
  CASE WHEN d.typtype = 'd' THEN pg_catalog.format_type(t.oid, b.typmod) END
FROM base b
JOIN pg_catalog.pg_type t ON t.oid = b.typid AND t.typtype <> 'd'
JOIN pg_catalog.pg_attribute a ON a.attrelid = $1 AND a.attnum = b.attnum
JOIN pg_catalog.pg_type d ON d.oid = a.atttypid
ORDER BY a.attnum";

const PRIMARY_KEY: &str = "
SELECT a.attname::text
FROM pg_catalog.pg_index i
CROSS JOIN LATERAL pg_catalog.unnest(i.indkey) WITH ORDINALITY k(attnum, place)
JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
WHERE i.indrelid = $1 AND i.indisprimary
ORDER BY k.place";

/// Reads the schema of a table, all columns, as the session's transaction sees it; outside a
/// transaction: as it is now.
///
/// # Errors
///
/// [`ErrorKind::Config`] when it is gone, [`ErrorKind::Source`] when a partition may not be read,
/// [`ErrorKind::Unsupported`] for a foreign partition.
pub(crate) async fn load_table(session: &Session, table: &Resolved) -> Result<TableSchema> {
    load_with(session, table, true).await
}

async fn load_with(session: &Session, table: &Resolved, with_sizes: bool) -> Result<TableSchema> {
    let load = async {
        if let Some(query) = &table.query {
            return query::load_query(session, &table.name, query).await;
        }
        Ok(TableSchema {
            name: table.name.clone(),
            oid: table.oid,
            kind: table.kind,
            columns: load_columns(session, table.oid).await?,
            primary_key: load_primary_key(session, table.oid).await?,
            relations: relations::load_relations(session, table, with_sizes).await?,
        })
    };
    load.await
        .map_err(|error: Error| error.with_table(table.name.to_string()))
}

/// Reads a known table again, with the same choice of columns, for the check at the end. Takes
/// no lock on it: DDL that waits for the keeper's lock must not make the keeper's run wait. (A
/// query is analysed, which locks what it reads: [`Keeper::reload_query`] does that.) Sizes are 0.
///
/// [`Keeper::reload_query`]: crate::pg::Keeper::reload_query
///
/// # Errors
///
/// [`ErrorKind::Config`] when the table or a chosen column is gone.
pub(crate) async fn reload(
    session: &Session,
    schema: &TableSchema,
    inheritance: Option<Inheritance>,
) -> Result<TableSchema> {
    let table = Resolved {
        name: schema.name.clone(),
        oid: schema.oid,
        kind: schema.kind,
        with_children: schema.kind == RelationKind::Table
            && inheritance == Some(Inheritance::IncludeChildren),
        query: None,
        is_named: true,
    };
    let now = load_with(session, &table, false).await?;
    same_columns(&now, schema)
}

/// A table as it is now, with the columns that were chosen of it before.
pub(super) fn same_columns(now: &TableSchema, before: &TableSchema) -> Result<TableSchema> {
    let chosen: Vec<String> = before
        .columns
        .iter()
        .map(|column| column.name.clone())
        .collect();
    select_columns(now, Some(&chosen), &[])
}

/// The schema with only the chosen columns, in the order of `include` where it is given.
///
/// # Errors
///
/// [`ErrorKind::Config`] for a column that does not exist or is named twice.
pub(crate) fn select_columns(
    schema: &TableSchema,
    include: Option<&[String]>,
    exclude: &[String],
) -> Result<TableSchema> {
    let find = |name: &String| {
        let found = schema.columns.iter().find(|column| column.name == *name);
        found.ok_or_else(|| unknown_column(schema, name))
    };
    for name in exclude {
        find(name)?;
    }
    let mut columns: Vec<Column> = Vec::new();
    match include {
        Some(names) => {
            for name in names {
                if columns.iter().any(|column| column.name == *name) {
                    let message = format!("column {name:?} is named twice");
                    return Err(refused(schema, &message));
                }
                columns.push(find(name)?.clone());
            }
        }
        None => {
            let kept = schema
                .columns
                .iter()
                .filter(|column| !exclude.contains(&column.name));
            columns.extend(kept.cloned());
        }
    }
    Ok(TableSchema {
        columns,
        ..schema.clone()
    })
}

/// What changed between two readings, one sentence each. Sizes and estimates do not count.
pub(crate) fn schema_differences(before: &TableSchema, now: &TableSchema) -> Vec<String> {
    let mut found = table_differences(before, now);
    found.extend(relation_differences(before, now));
    found
}

/// How the table itself has changed, whatever its partitions are.
pub(crate) fn table_differences(before: &TableSchema, now: &TableSchema) -> Vec<String> {
    let mut found = Vec::new();
    if before.name != now.name {
        found.push(format!("the table was {} and is {}", before.name, now.name));
    }
    if before.oid != now.oid {
        found.push("the table was dropped and made again under its name".to_owned());
    }
    if before.kind != now.kind {
        found.push("the table became another kind of relation".to_owned());
    }
    let names = |schema: &TableSchema| -> Vec<String> {
        schema
            .columns
            .iter()
            .map(|column| column.name.clone())
            .collect()
    };
    for column in &before.columns {
        match now.columns.iter().find(|other| other.name == column.name) {
            None => found.push(format!("column {:?} is gone", column.name)),
            Some(other) => column_differences(column, other, &mut found),
        }
    }
    for column in &now.columns {
        if !before.columns.iter().any(|other| other.name == column.name) {
            found.push(format!("column {:?} is new", column.name));
        }
    }
    let (was, is) = (names(before), names(now));
    if found.is_empty() && was != is {
        found.push("the columns are in another order".to_owned());
    }
    found
}

fn column_differences(before: &Column, now: &Column, found: &mut Vec<String>) {
    let name = &before.name;
    if before.type_name != now.type_name || before.typmod != now.typmod {
        found.push(format!(
            "column {name:?} was {} and is {}",
            before.type_name, now.type_name
        ));
    } else if before.type_oid != now.type_oid {
        found.push(format!(
            "the type {} of column {name:?} was made again",
            now.type_name
        ));
    } else if before.pg_type != now.pg_type {
        found.push(format!(
            "the type {} of column {name:?} was altered",
            now.type_name
        ));
    }
    if before.attnum != now.attnum {
        found.push(format!("column {name:?} was dropped and added again"));
    }
    if before.not_null != now.not_null {
        let is = if now.not_null { "NOT NULL" } else { "nullable" };
        found.push(format!("column {name:?} became {is}"));
    }
    if before.generated != now.generated {
        let is = if now.generated {
            "generated"
        } else {
            "stored as given"
        };
        found.push(format!("column {name:?} became {is}"));
    }
    if before.collation != now.collation {
        found.push(format!("column {name:?} has another collation"));
    }
}

/// Partitions that came, went or have another name.
pub(crate) fn relation_differences(before: &TableSchema, now: &TableSchema) -> Vec<String> {
    let mut found = Vec::new();
    let by_oid = |schema: &TableSchema| -> BTreeMap<u32, TableName> {
        let relations = schema.relations.iter();
        relations
            .map(|relation| (relation.oid, relation.name.clone()))
            .collect()
    };
    if before.oid != now.oid {
        return found;
    }
    let (was, is) = (by_oid(before), by_oid(now));
    for (oid, name) in &was {
        match is.get(oid) {
            None => found.push(format!("partition {name} is gone")),
            // The table's own name is compared before.
            Some(other) if other != name && *oid != before.oid => {
                found.push(format!("partition {name} is now {other}"));
            }
            Some(_) => {}
        }
    }
    let new = is.iter().filter(|(oid, _)| !was.contains_key(oid));
    found.extend(new.map(|(_, name)| format!("partition {name} is new")));
    found
}

fn unknown_column(schema: &TableSchema, name: &str) -> Error {
    let nearest = schema
        .columns
        .iter()
        .map(|column| {
            (
                strsim::jaro_winkler(&column.name.to_lowercase(), &name.to_lowercase()),
                column,
            )
        })
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(score, _)| *score > 0.75);
    let error = refused(schema, &format!("column {name:?} does not exist"));
    match nearest {
        Some((_, column)) => error.with_advice(format!("did you mean {:?}?", column.name)),
        None => error,
    }
}

fn refused(schema: &TableSchema, message: &str) -> Error {
    Error::new(ErrorKind::Config, message).with_table(schema.name.to_string())
}

async fn load_columns(session: &Session, oid: u32) -> Result<Vec<Column>> {
    let what = "the table's columns could not be read";
    let rows = session.query_often(what, COLUMNS_SQL, &[&oid]).await?;
    let types = types::load_types(session, oid, &[]).await?;
    rows.iter().map(|row| read_column(row, &types)).collect()
}

async fn load_primary_key(session: &Session, oid: u32) -> Result<Vec<String>> {
    let what = "the table's primary key could not be read";
    let rows = session.query_often(what, PRIMARY_KEY, &[&oid]).await?;
    rows.iter().map(|row| column(row, 0)).collect()
}

fn read_column(row: &Row, types: &Types) -> Result<Column> {
    let (type_oid, typmod) = (column(row, 3)?, column(row, 4)?);
    Ok(Column {
        name: column(row, 0)?,
        attnum: column(row, 1)?,
        pg_type: types.resolve(type_oid, typmod)?,
        type_name: column(row, 2)?,
        base_type: column(row, 8)?,
        type_oid,
        typmod,
        not_null: column(row, 5)?,
        generated: column(row, 6)?,
        collation: column(row, 7)?,
    })
}

#[cfg(test)]
#[path = "catalog_tests.rs"]
mod tests;
