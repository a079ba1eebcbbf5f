//! The filter of a run: one boolean expression whose value does not move with the clock.
//!
//! Owns what is refused before anything is read. How a filter stands in a statement is `pg::sql`'s.

use crate::error::{Error, ErrorKind, Result};
use crate::pg::Session;
use crate::pg::sql::only;
use crate::table::{RelationKind, TableSchema};

/// Functions whose value differs from one chunk's transaction to the next.
const MOVING_CALLS: [&str; 10] = [
    "now",
    "clock_timestamp",
    "statement_timestamp",
    "transaction_timestamp",
    "timeofday",
    "random",
    "random_normal",
    "gen_random_uuid",
    "uuidv4",
    "uuidv7",
];
/// The same, as words of SQL that take no parentheses.
const MOVING_WORDS: [&str; 5] = [
    "current_timestamp",
    "current_date",
    "current_time",
    "localtime",
    "localtimestamp",
];

/// Words that the server reads by its clock where a literal begins with them.
const MOVING_LITERALS: [&str; 4] = ["now", "today", "tomorrow", "yesterday"];

/// Every chunk, and every run that resumes, has a transaction and so a clock of its own. Finds
/// what people write; a function that hides a clock is not found.
///
/// # Errors
///
/// [`ErrorKind::Config`], naming the flag.
pub(crate) fn refuse_moving(flag: &str, text: &str) -> Result<()> {
    let Some(word) = moving_word(text) else {
        return Ok(());
    };
    Err(Error::new(
        ErrorKind::Config,
        format!("{flag} uses {word}, which differs from chunk to chunk"),
    )
    .with_advice(
        "give a literal instead, such as timestamptz '2026-01-31 00:00+00'; where 'now' or its \
         like is meant as plain text, write $$now$$",
    ))
}

fn moving_word(filter: &str) -> Option<String> {
    let filter = filter.to_ascii_lowercase();
    // Every second piece is a literal; a doubled quote makes an empty one more.
    let literals = filter.split('\'').skip(1).step_by(2);
    if let Some(word) = literals.filter_map(moving_literal).next() {
        return Some(format!("'{word}'"));
    }
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut rest = filter.as_str();
    while let Some(start) = rest.find(is_word) {
        let from = &rest[start..];
        let end = from.find(|c| !is_word(c)).unwrap_or(from.len());
        let (word, after) = from.split_at(end);
        let call = after.trim_start().strip_prefix('(');
        let is_moving = call.is_some_and(|arguments| {
            MOVING_CALLS.contains(&word) || word == "age" && is_single(arguments)
        });
        if is_moving || MOVING_WORDS.contains(&word) {
            return Some(word.to_owned());
        }
        rest = after;
    }
    None
}

/// The first word of a literal that a clock is asked for: `today 12:00`, and not `today's news`.
fn moving_literal(literal: &str) -> Option<&str> {
    let mut words = literal.split_whitespace();
    let first = words.next().filter(|word| MOVING_LITERALS.contains(word))?;
    let is_time =
        words.all(|word| word.starts_with(|c: char| c.is_ascii_digit() || "+-".contains(c)));
    is_time.then_some(first)
}

/// Whether one argument stands before the parenthesis that ends the list: `age(x)` counts from
/// today.
fn is_single(arguments: &str) -> bool {
    let mut depth = 0_usize;
    for c in arguments.chars() {
        match c {
            '(' => depth += 1,
            ')' if depth == 0 => return true,
            ')' => depth -= 1,
            ',' if depth == 0 => return false,
            _ => {}
        }
    }
    true
}

/// Makes sure that a filter is one boolean expression over the table, before anything is read.
/// Over a query the keeper has done so when it locked what both read.
///
/// # Errors
///
/// Mostly [`ErrorKind::Config`], with the server's message beneath. The transaction is then over.
pub(crate) async fn check_filter(
    session: &Session,
    table: &TableSchema,
    filter: &str,
) -> Result<()> {
    refuse_moving("--where", filter)?;
    if table.kind == RelationKind::Query {
        return Ok(());
    }
    let from = only(&table.name, table.alias());
    let checked = session.check_condition(&from, filter).await;
    checked.map_err(|error| error.with_table(table.name.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_and_dice_in_a_filter_are_found_and_columns_of_their_names_are_not() {
        for moving in [
            "at > now() - interval '1 day'",
            "at > NOW ( )",
            "d = Current_Date",
            "(random() < 0.1)",
            "pg_catalog.now() > at",
            "age(created_at) < interval '1 year'",
            "at >= timestamptz 'today 12:00'",
            "at < ' now'::timestamptz",
        ] {
            assert!(moving_word(moving).is_some(), "{moving}");
        }
        for still in [
            "kind = 'random'",
            "now > 3",
            "age > 30",
            "age(a, b) > '1 day'",
            "title = 'now playing'",
            "know() = 1",
            "żnow = 1",
        ] {
            assert_eq!(moving_word(still), None, "{still}");
        }
    }
}
