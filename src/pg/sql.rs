//! SQL text: quoting, predicates, the SELECT of a chunk and the COPY around it. Pure.
//!
//! Every name is quoted and every relation is read with `ONLY`; the column list is explicit.
//! Nothing here talks to a server or decides how a column is mapped.

use std::fmt::Write;

use crate::chunk::{PlannedRelation, Range};
use crate::table::{Column, TableName};

/// One column of a SELECT list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SelectColumn {
    /// The exact name.
    pub(crate) name: String,
    /// Whether PostgreSQL's own text is asked for.
    pub(crate) as_text: bool,
    /// Whether it is `xml`.
    pub(crate) is_xml: bool,
}

impl SelectColumn {
    /// A column as it is, or as text.
    pub(crate) fn of(column: &Column, as_text: bool) -> Self {
        let base_type = column.base_type.as_ref().unwrap_or(&column.type_name);
        Self {
            name: column.name.clone(),
            as_text,
            is_xml: base_type == "xml",
        }
    }

    /// The column's own text: what its type's output function writes. A cast to text can be
    /// anyone's function (`CREATE CAST`), or say another thing than the output function does, as
    /// `bpchar`'s and `inet`'s. But `xml_out` leaves out the declaration, which the cast keeps.
    pub(crate) fn text(&self) -> String {
        let name = quote_ident(&self.name);
        if self.is_xml {
            return format!("{name}::pg_catalog.text");
        }
        // `IS NULL` is true of a composite of NULLs; this is not.
        format!("CASE pg_catalog.num_nulls({name}) WHEN 0 THEN pg_catalog.format('%s', {name}) END")
    }
}

/// `"name"`, with inner quotes doubled. A NUL cannot come from a catalog.
pub(crate) fn quote_ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// `'text'`, under `standard_conforming_strings=on`, which every session pins.
pub(crate) fn quote_literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// `"schema"."name"`.
pub(crate) fn quote_table(name: &TableName) -> String {
    format!("{}.{}", quote_ident(&name.schema), quote_ident(&name.name))
}

/// The condition of a range; `None` when it is all rows.
///
/// Bounds are typed as int8, which the operators of every integer type's btree index take. An
/// open key range still leaves out NULL keys: they have a chunk of their own.
pub(crate) fn predicate(range: &Range) -> Option<String> {
    match range {
        Range::Whole => None,
        Range::NullKey { column } => Some(format!("{} IS NULL", quote_ident(column))),
        Range::Key {
            column,
            lower,
            upper,
        } => {
            let column = quote_ident(column);
            let bound = |op: &str, value: &i64| format!("{column} {op} '{value}'::pg_catalog.int8");
            Some(match (lower, upper) {
                (None, None) => format!("{column} IS NOT NULL"),
                (Some(lower), None) => bound(">=", lower),
                (None, Some(upper)) => bound("<", upper),
                (Some(lower), Some(upper)) => {
                    format!("{} AND {}", bound(">=", lower), bound("<", upper))
                }
            })
        }
        Range::Ctid { lower, upper } => {
            let bound = |op: &str, page: &u32| format!("ctid {op} '({page},0)'::pg_catalog.tid");
            Some(match upper {
                None => bound(">=", lower),
                Some(upper) => format!("{} AND {}", bound(">=", lower), bound("<", upper)),
            })
        }
    }
}

/// The SELECT of one chunk.
///
/// The filter stands on lines of its own, so that a trailing `--` comment ends with it.
/// `plan::plan_table` has made sure that it is one expression.
pub(crate) fn chunk_select(
    relation: &PlannedRelation,
    range: &Range,
    columns: &[SelectColumn],
    filter: Option<&str>,
) -> String {
    let list: Vec<String> = columns.iter().map(select_item).collect();
    let mut sql = format!(
        "SELECT {} FROM ONLY {}",
        list.join(", "),
        quote_table(&relation.name)
    );
    let filter = filter.map(|filter| format!("\n{filter}\n"));
    let conditions = predicate(range).into_iter().chain(filter);
    for (index, condition) in conditions.enumerate() {
        let word = if index == 0 { "WHERE" } else { "AND" };
        // Writing to a String cannot fail.
        let _ = write!(sql, " {word} ({condition})");
    }
    if let Some(key) = order_of(relation, range) {
        let _ = write!(sql, " ORDER BY {}", quote_ident(key));
    }
    sql
}

/// The COPY statement around a SELECT.
pub(super) fn copy_statement(select: &str) -> String {
    format!("COPY ({select}) TO STDOUT (FORMAT binary)")
}

fn select_item(column: &SelectColumn) -> String {
    let name = quote_ident(&column.name);
    if column.as_text {
        format!("{} AS {name}", column.text())
    } else {
        name
    }
}

/// The key that a chunk is read in the order of.
fn order_of<'a>(relation: &PlannedRelation, range: &'a Range) -> Option<&'a str> {
    match range {
        Range::Key { column, .. } if relation.ordered => Some(column),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunk::ChunkMethod;

    fn relation(ordered: bool) -> PlannedRelation {
        PlannedRelation {
            name: TableName::new("s\"x", "t;--"),
            oid: 1,
            method: ChunkMethod::Key,
            key: Some("k".into()),
            ordered,
            reason: String::new(),
        }
    }

    fn column(name: &str, as_text: bool) -> SelectColumn {
        SelectColumn {
            name: name.into(),
            as_text,
            is_xml: false,
        }
    }

    #[test]
    fn a_chunk_select_quotes_names_and_fences_the_filter() {
        let range = Range::Key {
            column: "k".into(),
            lower: Some(i64::MIN),
            upper: Some(7),
        };
        let columns = [column("k", false), column("a\"b", true)];
        assert_eq!(
            chunk_select(&relation(true), &range, &columns, Some("x > 1 -- note")),
            "SELECT \"k\", CASE pg_catalog.num_nulls(\"a\"\"b\") WHEN 0 THEN \
             pg_catalog.format('%s', \"a\"\"b\") END AS \"a\"\"b\" FROM ONLY \"s\"\"x\".\"t;--\" \
             WHERE (\"k\" >= '-9223372036854775808'::pg_catalog.int8 AND \
             \"k\" < '7'::pg_catalog.int8) AND (\nx > 1 -- note\n) ORDER BY \"k\""
        );
    }

    #[test]
    fn whole_tables_and_zero_columns_need_no_condition() {
        let sql = chunk_select(&relation(true), &Range::Whole, &[], None);
        assert_eq!(sql, "SELECT  FROM ONLY \"s\"\"x\".\"t;--\"");
        assert_eq!(
            copy_statement("SELECT 1"),
            "COPY (SELECT 1) TO STDOUT (FORMAT binary)"
        );
    }

    #[test]
    fn open_key_ranges_leave_null_keys_to_their_own_chunk() {
        let key = |lower, upper| {
            predicate(&Range::Key {
                column: "k".into(),
                lower,
                upper,
            })
        };
        assert_eq!(key(None, None).unwrap(), "\"k\" IS NOT NULL");
        assert_eq!(key(None, Some(3)).unwrap(), "\"k\" < '3'::pg_catalog.int8");
        assert_eq!(
            predicate(&Range::NullKey { column: "k".into() }).unwrap(),
            "\"k\" IS NULL"
        );
    }

    #[test]
    fn the_last_page_range_is_open() {
        let ctid = |lower, upper| predicate(&Range::Ctid { lower, upper }).unwrap();
        assert_eq!(ctid(8, None), "ctid >= '(8,0)'::pg_catalog.tid");
        assert_eq!(
            ctid(0, Some(8)),
            "ctid >= '(0,0)'::pg_catalog.tid AND ctid < '(8,0)'::pg_catalog.tid"
        );
    }

    #[test]
    fn literals_double_their_quotes() {
        assert_eq!(quote_literal("it's \\"), "'it''s \\'");
    }
}
