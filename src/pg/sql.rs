//! SQL text: quoting, predicates, the SELECT of a chunk and the COPY around it. Pure.
//!
//! Every name is quoted and every relation is read with `ONLY`; the column list is explicit.
//! Nothing here talks to a server or decides how a column is mapped.

use std::fmt::Write;

use chrono::DateTime;

use crate::chunk::{Bound, Chunk, KeyColumn, Plan, PlannedRelation, Range, Window};
use crate::mapping::{SelectAs, TableMapping};
use crate::table::{Column, TableName, TableSchema};

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

/// The columns of a `SELECT`, as the mapping wants them sent.
pub(crate) fn select_list(schema: &TableSchema, mapping: &TableMapping) -> Vec<SelectColumn> {
    let columns = schema.columns.iter().zip(&mapping.columns);
    columns
        .map(|(column, mapped)| SelectColumn::of(column, mapped.select == SelectAs::Text))
        .collect()
}

/// A SELECT list.
pub(crate) fn select_items(columns: &[SelectColumn]) -> String {
    let list: Vec<String> = columns.iter().map(select_item).collect();
    list.join(", ")
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

/// What a relation's rows are selected from: the relation alone, or the query.
pub(crate) fn from_clause(relation: &PlannedRelation) -> String {
    match &relation.query {
        Some(query) => from_query(query),
        None => only(&relation.name, relation.alias.as_deref()),
    }
}

/// `ONLY "s"."t"`, or `ONLY "s"."t" AS "alias"`.
pub(crate) fn only(table: &TableName, alias: Option<&str>) -> String {
    let alias = alias.map(|alias| format!(" AS {}", quote_ident(alias)));
    format!("ONLY {}{}", quote_table(table), alias.unwrap_or_default())
}

/// A query in place of a relation, on lines of its own, so that a trailing `--` comment ends with
/// it.
pub(crate) fn from_query(query: &str) -> String {
    format!("(\n{query}\n) AS q")
}

/// The condition of a range of a relation; `None` when it is all rows.
///
/// An open key range still leaves out NULL keys: they have a chunk of their own.
pub(crate) fn predicate(relation: &PlannedRelation, range: &Range) -> Option<String> {
    let columns = relation.key.as_ref().map_or(&[][..], |key| &key.columns);
    let keyed = |lower: Option<String>, upper: Option<String>| {
        let bounds = [(">=", lower), ("<", upper)].into_iter();
        let bounds = bounds.filter_map(|(op, bound)| Some(compared(columns, op, &bound?)));
        joined(bounds.chain(not_null(columns, range)).collect(), " AND ")
    };
    match range {
        Range::Whole | Range::Pack { .. } | Range::Offset { .. } => None,
        Range::NullKey => {
            let nullable = columns.iter().filter(|column| column.is_nullable);
            let is_null = nullable.map(|column| format!("{} IS NULL", quote_ident(&column.name)));
            joined(is_null.collect(), " OR ")
        }
        Range::Key { lower, upper } => {
            let text = |bound: &Option<Bound>| bound.as_ref().map(|bound| literal(columns, bound));
            keyed(text(lower), text(upper))
        }
        Range::Time { lower, upper } => {
            let text = |bound: &Option<i64>| bound.map(|bound| time_literal(columns, bound));
            keyed(text(lower), text(upper))
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

/// A comparison of the key with a bound, by the operators of the key's own index.
pub(crate) fn compared(columns: &[KeyColumn], op: &str, bound: &str) -> String {
    let operator = operator(columns, op);
    format!("{} {operator} {bound}", key_expression(columns))
}

/// An operator of the key's own index, whatever the search path holds.
pub(crate) fn operator(columns: &[KeyColumn], op: &str) -> String {
    match columns.first().map(|column| column.operators.as_str()) {
        None | Some("pg_catalog") => op.to_owned(),
        Some(schema) => format!("OPERATOR({}.{op})", quote_ident(schema)),
    }
}

/// `"a"`, or `ROW("a", "b")`.
pub(crate) fn key_expression(columns: &[KeyColumn]) -> String {
    let names: Vec<String> = columns
        .iter()
        .map(|column| quote_ident(&column.name))
        .collect();
    match names.as_slice() {
        [one] => one.clone(),
        _ => format!("ROW({})", names.join(", ")),
    }
}

/// A bound as the server reads it: `'7'::pg_catalog.int8`, or `ROW('7'::…, 'x'::…)`.
pub(crate) fn literal(columns: &[KeyColumn], bound: &Bound) -> String {
    let values = columns.iter().zip(&bound.0);
    let values: Vec<String> = values
        .map(|(column, text)| format!("{}::{}", quote_literal(text), column.type_name))
        .collect();
    match values.as_slice() {
        [one] => one.clone(),
        _ => format!("ROW({})", values.join(", ")),
    }
}

/// Microseconds since 1970 as a literal of the time column's type. Plans keep to the years 1 to
/// 9999, and the first instant after them, which chrono would write with a sign; the manifest
/// refuses a bound that is no date.
fn time_literal(columns: &[KeyColumn], micros: i64) -> String {
    let type_name = columns
        .first()
        .map_or("", |column| column.type_name.as_str());
    let format = match type_name {
        "pg_catalog.date" => "%Y-%m-%d",
        "pg_catalog.timestamptz" => "%Y-%m-%d %H:%M:%S%.6f+00",
        _ => "%Y-%m-%d %H:%M:%S%.6f",
    };
    let time = DateTime::from_timestamp_micros(micros).unwrap_or_default();
    let text = time.format(format).to_string();
    format!("'{}'::{type_name}", text.trim_start_matches('+'))
}

/// What keeps rows without a key out of a range that does not say so itself: an open one, and a
/// comparison of rows, which its first column can decide though a later one is NULL.
fn not_null(columns: &[KeyColumn], range: &Range) -> Vec<String> {
    let is_bounded = match range {
        Range::Key { lower, upper } => lower.is_some() || upper.is_some(),
        Range::Time { lower, upper } => lower.is_some() || upper.is_some(),
        _ => true,
    };
    let is_said = columns.len() == 1 && is_bounded;
    let nullable = columns
        .iter()
        .filter(|column| column.is_nullable && !is_said);
    nullable
        .map(|column| format!("{} IS NOT NULL", quote_ident(&column.name)))
        .collect()
}

/// The condition of an incremental run's rows.
pub(crate) fn window_predicate(window: &Window) -> String {
    let columns = std::slice::from_ref(&window.column);
    let value = |text: &String| literal(columns, &Bound::one(text.clone()));
    let name = quote_ident(&window.column.name);
    let inside = match (&window.lower, &window.upper) {
        (_, None) => "false".to_owned(),
        (None, Some(upper)) => compared(columns, "<=", &value(upper)),
        (Some(lower), Some(upper)) => format!(
            "{} AND {}",
            compared(columns, ">", &value(lower)),
            compared(columns, "<=", &value(upper))
        ),
    };
    match window.with_nulls {
        true => format!("({inside}) OR {name} IS NULL"),
        false => inside,
    }
}

/// All conditions on the rows of a relation's range: bounds, window, filter, each to be put into
/// parentheses.
///
/// The filter stands on lines of its own, so that a trailing `--` comment ends with it.
/// `plan::plan_table` has made sure that it is one expression.
pub(crate) fn conditions(
    relation: &PlannedRelation,
    range: &Range,
    filter: Option<&str>,
) -> Vec<String> {
    let filter = filter.map(|filter| format!("\n{filter}\n"));
    let window = relation.window.as_ref().map(window_predicate);
    predicate(relation, range)
        .into_iter()
        .chain(window)
        .chain(filter)
        .collect()
}

/// ` WHERE (a) AND (b)`; empty without conditions.
pub(crate) fn where_clause(conditions: &[String]) -> String {
    let all: Vec<String> = conditions.iter().map(|one| format!("({one})")).collect();
    match all.is_empty() {
        true => String::new(),
        false => format!(" WHERE {}", all.join(" AND ")),
    }
}

fn joined(parts: Vec<String>, word: &str) -> Option<String> {
    (!parts.is_empty()).then(|| parts.join(word))
}

/// The SELECT of one chunk; of a pack, those of its relations, one after another.
pub(crate) fn chunk_select(
    plan: &Plan,
    chunk: &Chunk,
    columns: &[SelectColumn],
    filter: Option<&str>,
) -> String {
    let list = select_items(columns);
    let selects = plan.relations_of(chunk).iter().map(|relation| {
        let conditions = conditions(relation, &chunk.range, filter);
        let mut sql = format!(
            "SELECT {list} FROM {}{}",
            from_clause(relation),
            where_clause(&conditions)
        );
        // Writing to a String cannot fail.
        let _ = write!(sql, "{}", order_of(relation, &chunk.range, columns));
        sql
    });
    selects.collect::<Vec<_>>().join(" UNION ALL ")
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

/// The order that a chunk is read in, and which places of it.
fn order_of(relation: &PlannedRelation, range: &Range, columns: &[SelectColumn]) -> String {
    match (range, &relation.key) {
        (Range::Key { .. }, Some(key)) if relation.ordered => {
            // With the relation's name: alone, a column's name means what the list makes of it.
            let alias = match relation.query {
                Some(_) => "q".to_owned(),
                None => quote_ident(relation.alias.as_ref().unwrap_or(&relation.name.name)),
            };
            let column = |column: &KeyColumn| format!("{alias}.{}", quote_ident(&column.name));
            let names: Vec<String> = key.columns.iter().map(column).collect();
            format!(" ORDER BY {}", names.join(", "))
        }
        (Range::Offset { lower, upper }, _) => {
            // Rows of the same text are the same row; the types' own order would tie 1.0 and 1.00.
            let texts: Vec<String> = columns
                .iter()
                .map(|column| format!("{} COLLATE pg_catalog.\"C\"", column.text()))
                .collect();
            let limit = upper.map(|upper| format!(" LIMIT {}", upper.saturating_sub(*lower)));
            let limit = limit.unwrap_or_default();
            format!(" ORDER BY {} OFFSET {lower}{limit}", texts.join(", "))
        }
        _ => String::new(),
    }
}

#[cfg(test)]
#[path = "sql_tests.rs"]
mod tests;
