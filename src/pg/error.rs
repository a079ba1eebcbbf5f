//! The one place that turns `tokio_postgres` errors into [`Error`].
//!
//! Owns the meaning of each SQLSTATE: kind, advice, and whether the same chunk may be tried
//! again. A server's DETAIL is never kept and its message only where it cannot quote a value.

use std::error::Error as StdError;
use std::fmt;

use tokio_postgres::error::{DbError, SqlState};

use crate::error::{Error, ErrorKind};

/// What the server reported: severity, SQLSTATE and, where it is safe, the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServerError {
    severity: String,
    code: SqlState,
    message: Option<String>,
}

impl ServerError {
    fn of(error: &DbError) -> Self {
        let message = is_message_safe(error.code()).then(|| error.message().to_owned());
        Self {
            severity: error.severity().to_owned(),
            code: error.code().clone(),
            message,
        }
    }
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = self.code.code();
        match &self.message {
            Some(message) => write!(f, "{} {code}: {message}", self.severity),
            None => write!(
                f,
                "{} {code} (message withheld: it can quote a value; see the server's log)",
                self.severity
            ),
        }
    }
}

impl StdError for ServerError {}

/// Maps a failure; `what` is one sentence that says what could not be done.
pub(crate) fn source_error(what: impl Into<String>, error: tokio_postgres::Error) -> Error {
    match error.as_db_error() {
        Some(db) => server_error(what.into(), db),
        None => client_error(what.into(), error),
    }
}

/// The SQLSTATE of the server's error that lies beneath, if one does.
pub(crate) fn sqlstate(error: &Error) -> Option<&SqlState> {
    let source = StdError::source(error)?;
    source.downcast_ref::<ServerError>().map(|server| &server.code)
}

/// Whether an import failed because nothing holds the snapshot any more.
///
/// The server says 22023 (up to 16, and for a malformed id) or 42704 (since 17).
pub(crate) fn is_snapshot_gone(error: &Error) -> bool {
    sqlstate(error).is_some_and(|code| {
        *code == SqlState::INVALID_PARAMETER_VALUE || *code == SqlState::UNDEFINED_OBJECT
    })
}

/// Whether a connection attempt failed between the TCP connection and the login.
pub(crate) fn is_handshake_failure(error: &Error) -> bool {
    const KINDS: [&str; 3] = [
        "error performing TLS handshake",
        "error communicating with the server",
        "connection closed",
    ];
    StdError::source(error)
        .and_then(|source| source.downcast_ref::<tokio_postgres::Error>())
        .is_some_and(|error| KINDS.contains(&error.to_string().as_str()))
}

/// Classes whose messages name objects, settings and positions but never a row's value.
///
/// Class 22 (data exception) quotes the value, 23 can, P0 and user-defined codes say anything.
fn is_message_safe(code: &SqlState) -> bool {
    const SAFE: [&str; 20] = [
        "08", "0A", "0L", "0P", "25", "26", "28", "2B", "34", "3D", "3F", "40", "42", "53", "54",
        "55", "57", "58", "F0", "XX",
    ];
    code.code().get(..2).is_some_and(|class| SAFE.contains(&class))
        || *code == SqlState::INVALID_PARAMETER_VALUE
}

fn server_error(what: String, db: &DbError) -> Error {
    let server = ServerError::of(db);
    let code = db.code();
    let mut error = Error::new(kind_of(code), what).with_retryable(is_retryable(code));
    if let Some(advice) = advice_for(code) {
        error = error.with_advice(advice);
    }
    error.with_source(server)
}

fn kind_of(code: &SqlState) -> ErrorKind {
    match code.code() {
        "0A000" => ErrorKind::Unsupported,
        "42501" => ErrorKind::Config,
        "3D000" | "3F000" => ErrorKind::Config,
        text if text.starts_with("28") || text.starts_with("42") => ErrorKind::Config,
        "22023" => ErrorKind::Source,
        text if text.starts_with("22") => ErrorKind::Data,
        _ => ErrorKind::Source,
    }
}

/// Failures that pass: a lost server, a conflict with recovery or another lock, full memory.
fn is_retryable(code: &SqlState) -> bool {
    let code = code.code();
    code.starts_with("08")
        || matches!(
            code,
            "40001" | "40P01" | "53200" | "53300" | "55P03" | "57P01" | "57P02" | "57P03"
        )
}

fn advice_for(code: &SqlState) -> Option<&'static str> {
    Some(match code.code() {
        "28P01" => "check the user and the password (PGPASSWORD, ~/.pgpass or the DSN)",
        "28000" => "check the user, the database and the server's pg_hba.conf",
        "3D000" => "check the database name in the DSN or PGDATABASE",
        "42501" => {
            "as an owner, run GRANT USAGE ON SCHEMA and GRANT SELECT ON TABLE for this user; \
             under row-level security the user also needs BYPASSRLS"
        }
        "55P03" => {
            "another session holds or awaits a stronger lock on the table (DDL, TRUNCATE, VACUUM \
             FULL): let it end, or raise --lock-timeout"
        }
        "53300" => "lower --workers, or raise the server's max_connections",
        "53200" => "if the server speaks of max_locks_per_transaction, raise it: every partition takes a lock",
        "57014" => "somebody cancelled the query; start again to go on",
        "40001" => {
            "on a standby, recovery conflicted with the read: raise max_standby_streaming_delay, \
             set hot_standby_feedback, or lower --chunk-bytes"
        }
        "57P01" | "57P02" | "57P03" => "the server is stopping or starting; start again when it is up",
        "XX001" | "XX002" => "the table or an index is damaged: stop, and check the server's storage",
        _ => return None,
    })
}

/// Failures on this side of the wire: the socket, TLS, authentication, decoding.
fn client_error(what: String, error: tokio_postgres::Error) -> Error {
    // The crate keeps its kind private; Display is the kind and nothing else.
    match error.to_string().as_str() {
        "error performing TLS handshake" => Error::new(ErrorKind::Config, what)
            .with_advice("check sslmode and sslrootcert against the server's certificate")
            .with_source(error),
        "authentication error" | "invalid configuration" => Error::new(ErrorKind::Config, what)
            .with_advice(
                "check the user and the password (PGPASSWORD, ~/.pgpass or the DSN), and \
                 channel_binding",
            )
            .with_source(error),
        "error communicating with the server"
        | "connection closed"
        | "error connecting to server"
        | "timeout waiting for server" => Error::new(ErrorKind::Source, what)
            .with_retryable(true)
            .with_source(error),
        _ => Error::new(ErrorKind::Source, what).with_source(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_that_can_quote_a_value_are_withheld() {
        for code in ["22P02", "22003", "22012", "23505", "P0001", "ZZ999"] {
            assert!(!is_message_safe(&SqlState::from_code(code)), "{code}");
        }
        for code in ["42P01", "57P01", "55P03", "XX001", "22023"] {
            assert!(is_message_safe(&SqlState::from_code(code)), "{code}");
        }
    }

    #[test]
    fn only_passing_failures_are_retryable() {
        for code in ["08006", "40001", "40P01", "53200", "53300", "55P03", "57P01"] {
            assert!(is_retryable(&SqlState::from_code(code)), "{code}");
        }
        for code in ["42P01", "57014", "53100", "XX001", "25P02", "42501"] {
            assert!(!is_retryable(&SqlState::from_code(code)), "{code}");
        }
    }
}
