//! The settings that every session pins, and the check that they took.
//!
//! They are what text output, row visibility and survival depend on (design: "the source comes
//! first"). Roles, databases and servers override each of them somewhere.

use tokio_postgres::{Client, SimpleQueryMessage};

use crate::error::{Error, ErrorKind, Result};
use crate::pg::error::source_error;
use crate::pg::sql::quote_literal;

/// Name, value, and the first server version (`server_version_num`) that has it.
const PINNED: &[(&str, &str, u32)] = &[
    // Notices could quote values, and the client library logs them.
    ("client_min_messages", "error", 0),
    ("client_encoding", "UTF8", 0),
    ("standard_conforming_strings", "on", 0),
    ("DateStyle", "ISO, MDY", 0),
    ("IntervalStyle", "postgres", 0),
    ("TimeZone", "UTC", 0),
    ("extra_float_digits", "1", 0),
    ("bytea_output", "hex", 0),
    // Both change how format_type and text casts show names.
    ("search_path", "pg_catalog", 0),
    ("quote_all_identifiers", "off", 0),
    // An error instead of hidden rows.
    ("row_security", "off", 0),
    ("default_transaction_read_only", "on", 0),
    // Both change which rows a scan or a filter yields.
    ("gin_fuzzy_search_limit", "0", 0),
    ("transform_null_equals", "off", 0),
    ("synchronize_seqscans", "off", 0),
    ("statement_timeout", "0", 0),
    ("lock_timeout", "0", 0),
    ("idle_in_transaction_session_timeout", "0", 0),
    ("idle_session_timeout", "0", 140_000),
    ("transaction_timeout", "0", 170_000),
];

/// Sets every pinned setting and reads each back.
///
/// # Errors
///
/// [`ErrorKind::Source`] when the server refuses, [`ErrorKind::Unsupported`] when a value did
/// not take.
pub(super) async fn pin(client: &Client, version: u32) -> Result<()> {
    let pinned = PINNED.iter().filter(|(_, _, since)| version >= *since);
    let mut pinned: Vec<(&str, &str)> = pinned.map(|(name, value, _)| (*name, *value)).collect();
    if has_no_encoding(client).await? {
        // Bytes pass as they are: the server would only say that one of them is no UTF-8, the
        // decoder names the column and row.
        pinned.retain(|(name, _)| *name != "client_encoding");
        pinned.push(("client_encoding", "SQL_ASCII"));
    }
    report_overrides(&read(client, &pinned).await?);
    let set: String = pinned
        .iter()
        .map(|(name, value)| format!("SET {name} TO {};", set_value(name, value)))
        .collect();
    let what = "the session settings could not be set";
    client
        .batch_execute(&set)
        .await
        .map_err(|error| source_error(what, error))?;
    for ((name, value), now) in pinned.iter().zip(read(client, &pinned).await?) {
        if now.1 != *value {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("the session setting {name} did not take: wanted {value}"),
            )
            .with_advice("connect to PostgreSQL directly, or to a pooler in session mode"));
        }
    }
    Ok(())
}

/// Whether the database is SQL_ASCII: text of any encoding, or of none.
async fn has_no_encoding(client: &Client) -> Result<bool> {
    let read = read(client, &[("server_encoding", "")]).await?;
    Ok(read.iter().any(|(_, encoding)| encoding == "SQL_ASCII"))
}

/// `SET search_path` takes a list of names; all others take one string.
fn set_value(name: &str, value: &str) -> String {
    match name {
        "search_path" => value.to_owned(),
        _ => quote_literal(value),
    }
}

async fn read(client: &Client, settings: &[(&str, &str)]) -> Result<Vec<(String, String)>> {
    let list: Vec<String> = settings
        .iter()
        .map(|(name, _)| format!("pg_catalog.current_setting({})", quote_literal(name)))
        .collect();
    let what = "the session settings could not be read";
    let messages = client
        .simple_query(&format!("SELECT {}", list.join(", ")))
        .await
        .map_err(|error| source_error(what, error))?;
    let row = messages.into_iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    let row = row.ok_or_else(|| Error::new(ErrorKind::Source, what))?;
    let value = |at: usize| row.get(at).unwrap_or_default().to_owned();
    let names = settings.iter().enumerate();
    Ok(names
        .map(|(at, (name, _))| ((*name).to_owned(), value(at)))
        .collect())
}

/// A timeout that the role or database brings along is worth knowing about.
fn report_overrides(before: &[(String, String)]) {
    for (name, value) in before {
        if name.ends_with("_timeout") && value != "0" {
            tracing::debug!(
                setting = name,
                was = value,
                "timeout set to 0 for this session"
            );
        }
    }
}
