//! A query in place of a table: what may stand there, and the columns that it gives.
//!
//! The server describes it. Nothing of it is executed.

use super::types;
use crate::error::{Error, ErrorKind, Result};
use crate::pg::session::{Session, column};
use crate::pg::sql::from_query;
use crate::table::{Column, Relation, RelationKind, TableName, TableSchema};

/// What PostgreSQL calls a column that has no name.
const NO_NAME: &str = "?column?";

/// The schema of a query's rows, as if it were a table.
///
/// # Errors
///
/// [`ErrorKind::Config`] when it is not one SELECT without parameters that names its columns.
pub(super) async fn load_query(
    session: &Session,
    name: &TableName,
    query: &str,
) -> Result<TableSchema> {
    let what = "the query cannot be used";
    // Alone, so that it cannot end the parentheses it will stand in; and within them.
    let alone = session.prepare(what, query).await;
    let alone = alone.map_err(|error| error.with_advice(SELECT_ADVICE))?;
    if !alone.params().is_empty() {
        return Err(refused("--query takes no parameters").with_advice("write the values out"));
    }
    let named = names(alone.columns().iter().map(|column| column.name()))?;
    let within = format!("SELECT * FROM {}", from_query(query));
    let described = session.prepare(what, &within).await;
    let described = described.map_err(|error| error.with_advice(SELECT_ADVICE))?;
    let columns = described.columns();
    let oids: Vec<u32> = columns.iter().map(|column| column.type_().oid()).collect();
    let typmods: Vec<i32> = columns
        .iter()
        .map(|column| column.type_modifier())
        .collect();
    let types = types::load_types(session, 0, &oids).await?;
    let type_names = load_type_names(session, &oids, &typmods).await?;
    let mut read = Vec::with_capacity(named.len());
    for (index, (name, type_name)) in named.into_iter().zip(type_names).enumerate() {
        let attnum = i16::try_from(index + 1).map_err(|_| refused("it has too many columns"))?;
        read.push(Column {
            attnum,
            type_name,
            type_oid: oids[index],
            typmod: typmods[index],
            ..Column::new(name, types.resolve(oids[index], typmods[index])?)
        });
    }
    Ok(TableSchema {
        name: name.clone(),
        oid: 0,
        kind: RelationKind::Query,
        columns: read,
        primary_key: Vec::new(),
        relations: vec![Relation {
            name: name.clone(),
            oid: 0,
            has_ctid: false,
            table_bytes: 0,
            heap_pages: 0,
            estimated_rows: None,
        }],
    })
}

const SELECT_ADVICE: &str = "--query takes one SELECT, VALUES or WITH … SELECT, without a semicolon; \
     names outside pg_catalog need their schema";

/// The columns' names, each of which must be one.
fn names<'a>(columns: impl Iterator<Item = &'a str>) -> Result<Vec<String>> {
    let mut seen: Vec<String> = Vec::new();
    for name in columns {
        if name == NO_NAME || name.is_empty() {
            let message = format!("column {} of the query has no name", seen.len() + 1);
            return Err(refused(message).with_advice("give it one: SELECT … AS name"));
        }
        if seen.iter().any(|other| other == name) {
            return Err(
                refused(format!("two columns of the query are called {name:?}"))
                    .with_advice("give each a name of its own: SELECT a.id AS a_id, b.id AS b_id"),
            );
        }
        seen.push(name.to_owned());
    }
    Ok(seen)
}

/// As SQL would declare them. The server tells domains by their base.
async fn load_type_names(session: &Session, oids: &[u32], typmods: &[i32]) -> Result<Vec<String>> {
    let sql = "SELECT pg_catalog.format_type(t.oid, t.typmod)
        FROM ROWS FROM (
          pg_catalog.unnest($1::pg_catalog.oid[]), pg_catalog.unnest($2::pg_catalog.int4[])
        ) WITH ORDINALITY AS t(oid, typmod, place) ORDER BY t.place";
    let what = "the types could not be read";
    let rows = session.query(what, sql, &[&oids, &typmods]).await?;
    rows.iter().map(|row| column(row, 0)).collect()
}

fn refused(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Config, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_needs_a_name_of_its_own() {
        assert_eq!(names(["a", "b"].into_iter()).unwrap(), ["a", "b"]);
        for bad in [["a", "a"], ["a", "?column?"], ["", "b"]] {
            assert_eq!(
                names(bad.into_iter()).unwrap_err().kind(),
                ErrorKind::Config
            );
        }
    }
}
