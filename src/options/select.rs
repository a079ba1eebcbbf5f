//! What a run exports: tables by name or pattern, schemas, everything, or a query.
//!
//! Owns the reading of names as SQL and psql read them. Which relations there are, the catalog
//! says.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::table::TableName;

/// A table by its exact name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableSelector {
    /// The exact schema; `None`: found on the connection's own search path.
    pub schema: Option<String>,
    /// The exact relation name.
    pub name: String,
}

/// `name` or `schema.name`, read as SQL reads it: unquoted parts fold to lower case, `"…"` keeps.
impl FromStr for TableSelector {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let pattern: TablePattern = text.parse()?;
        pattern
            .as_exact()
            .ok_or_else(|| bad(text, "one table, not a pattern"))
    }
}

impl From<TableName> for TableSelector {
    fn from(name: TableName) -> Self {
        Self {
            schema: Some(name.schema),
            name: name.name,
        }
    }
}

impl fmt::Display for TableSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.schema {
            Some(schema) => TableName::new(schema, &self.name).fmt(f),
            None => f.write_str(&self.name),
        }
    }
}

/// A name, or a pattern of names: outside of double quotes `*` stands for any characters and `?`
/// for one, and letters fold to lower case, as psql reads patterns.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NamePattern(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Piece {
    Text(String),
    One,
    Any,
}

impl NamePattern {
    /// The pattern that matches this name alone.
    pub fn exact(name: impl Into<String>) -> Self {
        Self(vec![Piece::Text(name.into())])
    }

    /// The name, where it is no pattern of several.
    #[must_use]
    pub fn as_exact(&self) -> Option<&str> {
        match self.0.as_slice() {
            [Piece::Text(name)] => Some(name),
            _ => None,
        }
    }

    /// Whether a name is one of those that are meant.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        matches(&self.0, name)
    }
}

/// The tail of a pattern against the tail of a name. Names have at most 63 bytes.
fn matches(pieces: &[Piece], name: &str) -> bool {
    match pieces {
        [] => name.is_empty(),
        [Piece::Text(text), rest @ ..] => name
            .strip_prefix(text.as_str())
            .is_some_and(|name| matches(rest, name)),
        [Piece::One, rest @ ..] => {
            let mut chars = name.chars();
            chars.next().is_some() && matches(rest, chars.as_str())
        }
        [Piece::Any, rest @ ..] => {
            let ends = name.char_indices().map(|(at, _)| at).chain([name.len()]);
            ends.into_iter().any(|at| matches(rest, &name[at..]))
        }
    }
}

impl FromStr for NamePattern {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let [one] = patterns(text)
            .and_then(|parts| parts.try_into().ok())
            .ok_or_else(|| bad(text, "a name, quoted as in SQL; * and ? stand for others"))?;
        Ok(one)
    }
}

/// As it is read back.
impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => f.write_str(&shown_identifier(text))?,
                Piece::One => f.write_str("?")?,
                Piece::Any => f.write_str("*")?,
            }
        }
        Ok(())
    }
}

/// A table, or tables by a pattern: `orders`, `public.order_*`, `"Sales".*`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TablePattern {
    /// The schemas; `None`: the connection's own search path.
    pub schema: Option<NamePattern>,
    /// The relation names.
    pub name: NamePattern,
}

impl TablePattern {
    /// The single table that is meant, where neither part is a pattern.
    #[must_use]
    pub fn as_exact(&self) -> Option<TableSelector> {
        let schema = match &self.schema {
            None => None,
            Some(schema) => Some(schema.as_exact()?.to_owned()),
        };
        Some(TableSelector {
            schema,
            name: self.name.as_exact()?.to_owned(),
        })
    }
}

impl From<TableName> for TablePattern {
    fn from(name: TableName) -> Self {
        Self {
            schema: Some(NamePattern::exact(name.schema)),
            name: NamePattern::exact(name.name),
        }
    }
}

/// `name` or `schema.name`, read as SQL reads it: unquoted parts fold to lower case, `"…"` keeps.
impl FromStr for TablePattern {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let bad = || bad(text, "name or schema.name, parts quoted as in SQL");
        let mut parts = patterns(text).ok_or_else(bad)?;
        match (parts.pop(), parts.pop(), parts.pop()) {
            (Some(name), schema, None) => Ok(Self { schema, name }),
            _ => Err(bad()),
        }
    }
}

impl fmt::Display for TablePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.schema {
            Some(schema) => write!(f, "{schema}.{}", self.name),
            None => self.name.fmt(f),
        }
    }
}

/// What becomes of the rows that a table's inheritance children hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Inheritance {
    /// Only the table's own rows.
    Only,
    /// Its children's rows, too, in its own columns.
    IncludeChildren,
}

/// A SELECT whose rows become a dataset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// One SELECT. It may be read several times, under one snapshot.
    pub sql: String,
    /// What the dataset is called.
    pub name: TableName,
}

impl Query {
    /// The schema of a query's name that gives none.
    pub const DEFAULT_SCHEMA: &str = "query";
}

fn bad(text: &str, expected: &str) -> Error {
    Error::new(
        ErrorKind::Config,
        format!("--table {text}: expected {expected}"),
    )
}

/// The dotted parts of a pattern.
fn patterns(text: &str) -> Option<Vec<NamePattern>> {
    let mut parts = Vec::new();
    let mut pieces: Vec<Piece> = Vec::new();
    let mut rest = text;
    loop {
        match rest.chars().next() {
            None | Some('.') => {
                let part = std::mem::take(&mut pieces);
                if part.is_empty() {
                    return None;
                }
                parts.push(NamePattern(part));
                match rest.strip_prefix('.') {
                    Some(more) => rest = more,
                    None => return Some(parts),
                }
            }
            Some('"') => {
                // A quoted part stands alone, or beside wildcards.
                let (name, after) = quoted(rest)?;
                if matches!(pieces.last(), Some(Piece::Text(_)))
                    || !(after.is_empty() || after.starts_with(['.', '*', '?']))
                {
                    return None;
                }
                pieces.push(Piece::Text(name));
                rest = after;
            }
            Some('*') => {
                pieces.push(Piece::Any);
                rest = &rest[1..];
            }
            Some('?') => {
                pieces.push(Piece::One);
                rest = &rest[1..];
            }
            Some(_) => {
                let end = rest.find(['.', '"', '*', '?']).unwrap_or(rest.len());
                pieces.push(Piece::Text(rest[..end].to_ascii_lowercase()));
                rest = &rest[end..];
                if rest.starts_with('"') {
                    return None;
                }
            }
        }
    }
}

/// A double-quoted name at the start of a text, and what follows it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut part = String::new();
    let mut rest = text.strip_prefix('"')?;
    loop {
        let (before, after) = rest.split_once('"')?;
        part.push_str(before);
        match after.strip_prefix('"') {
            Some(more) => {
                part.push('"');
                rest = more;
            }
            None => return (!part.is_empty()).then_some((part, after)),
        }
    }
}

/// Splits a list of SQL names into their exact texts; `None` for what is no such list.
pub(crate) fn identifiers(text: &str, separator: char) -> Option<Vec<String>> {
    let mut names = Vec::new();
    let mut rest = text;
    loop {
        let (name, after) = match rest.starts_with('"') {
            true => quoted(rest)?,
            false => {
                let end = rest.find([separator, '"']).unwrap_or(rest.len());
                (rest[..end].trim().to_ascii_lowercase(), &rest[end..])
            }
        };
        if name.is_empty() {
            return None;
        }
        names.push(name);
        match after.strip_prefix(separator) {
            Some(more) => rest = more,
            None if after.is_empty() => return Some(names),
            None => return None,
        }
    }
}

/// A name as SQL would have to write it.
pub(crate) fn shown_identifier(name: &str) -> String {
    let is_plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '$');
    match is_plain {
        true => name.to_owned(),
        false => format!("\"{}\"", name.replace('"', "\"\"")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_names_are_read_as_sql_reads_them() {
        let read = |text: &str| {
            let table: TablePattern = text.parse().unwrap();
            let table = table.as_exact().unwrap();
            (table.schema, table.name)
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(read("Orders"), (None, "orders".into()));
        assert_eq!(read("Public.Orders"), (some("public"), "orders".into()));
        assert_eq!(read(r#""A.b"."x""y""#), (some("A.b"), "x\"y".into()));
        assert_eq!(read(r#""a*""#), (None, "a*".into()));
        for bad in [
            "", ".", "a.", ".b", "a.b.c", "\"a", "\"\"", "a\"b\"", "\"a\"b",
        ] {
            assert!(bad.parse::<TablePattern>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn patterns_match_as_in_psql() {
        let matches = |pattern: &str, name: &str| {
            let pattern: NamePattern = pattern.parse().unwrap();
            assert!(pattern.as_exact().is_none());
            pattern.matches(name)
        };
        assert!(matches("Order_*", "order_items") && matches("order_*", "order_"));
        assert!(!matches("order_*", "Order_items") && !matches("order_*", "orders"));
        assert!(matches("*", "") && matches("*a*b?", "xaybz") && !matches("*a*b?", "xayb"));
        assert!(matches("?", "名") && !matches("?", ""));
        assert!(matches("\"A*\"*", "A*b") && !matches("\"A*\"*", "Ab"));
        let table: TablePattern = "sales.\"Or\"\"d\"*".parse().unwrap();
        assert_eq!(table.to_string(), "sales.\"Or\"\"d\"*");
    }
}
