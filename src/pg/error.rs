//! The one place that turns `tokio_postgres` errors into [`Error`].
//!
//! Owns the meaning of each SQLSTATE: kind, advice, and whether the same chunk may be tried
//! again. A server's DETAIL is never kept and its message only where it cannot quote a value.

use std::error::Error as StdError;
use std::fmt;
use std::io::ErrorKind as K;

use tokio_postgres::error::{DbError, SqlState};

use crate::error::{Error, ErrorKind};
use crate::pg::sqlstate;

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

/// The SQLSTATE of the server's error that lies beneath, however deep, if one does.
pub(crate) fn sqlstate(error: &Error) -> Option<&SqlState> {
    let mut source = StdError::source(error);
    while let Some(error) = source {
        if let Some(server) = error.downcast_ref::<ServerError>() {
            return Some(&server.code);
        }
        source = error.source();
    }
    None
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

/// Whether a server was reached and the login failed: another host will not mend that.
pub(crate) fn is_login_failure(error: &Error) -> bool {
    if let Some(code) = sqlstate(error) {
        return *code != SqlState::CANNOT_CONNECT_NOW;
    }
    const KINDS: [&str; 2] = ["authentication error", "invalid configuration"];
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
    code.code()
        .get(..2)
        .is_some_and(|class| SAFE.contains(&class))
        || *code == SqlState::INVALID_PARAMETER_VALUE
}

fn server_error(what: String, db: &DbError) -> Error {
    let server = ServerError::of(db);
    let code = db.code();
    let mut error = Error::new(kind_of(code), what)
        .with_retryable(sqlstate::passes(code.code()))
        .with_code(code.code());
    if let Some(advice) = advice_for(code) {
        error = error.with_advice(advice);
    }
    error.with_source(server)
}

fn kind_of(code: &SqlState) -> ErrorKind {
    match code.code() {
        "0A000" => ErrorKind::Unsupported,
        "42501" => ErrorKind::Source,
        "3D000" | "3F000" => ErrorKind::Config,
        text if text.starts_with("42") => ErrorKind::Config,
        "22023" => ErrorKind::Source,
        text if text.starts_with("22") => ErrorKind::Data,
        _ => ErrorKind::Source,
    }
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
        "53200" => {
            "if the server speaks of max_locks_per_transaction, raise it: every partition takes a lock"
        }
        "57014" => "somebody cancelled the query; start again to go on",
        "40001" => {
            "on a standby, recovery conflicted with the read: raise max_standby_streaming_delay, \
             set hot_standby_feedback, or lower --chunk-bytes"
        }
        "57P01" | "57P02" | "57P03" => {
            "the server is stopping or starting; start again when it is up"
        }
        "53100" => "free some space on the server's disk",
        "53400" => "raise what the server's message names, such as temp_file_limit, for this user",
        "58030" => "check the server's disk and its log",
        "57P04" => "the database is gone: check the name in the DSN",
        "25P03" | "25P04" | "57P05" => {
            "a timeout of the server ends sessions of this user: lift it, or give the run a user \
             of its own"
        }
        "XX001" | "XX002" => {
            "the table or an index is damaged: stop, and check the server's storage"
        }
        _ => return None,
    })
}

/// Failures on this side of the wire: the socket, TLS, authentication, decoding.
fn client_error(what: String, error: tokio_postgres::Error) -> Error {
    let failed = Error::new(ErrorKind::Source, what);
    // The crate keeps its kind private; Display is the kind and nothing else.
    let failed = match error.to_string().as_str() {
        _ if has_io(&error, &[K::InvalidInput, K::InvalidData]) => garbled(failed),
        "error performing TLS handshake" => failed
            .with_retryable(is_broken_socket(&error))
            .with_code("source tls")
            .with_advice("check sslmode and sslrootcert against the server's certificate"),
        "authentication error" | "invalid configuration" => failed.with_advice(
            "check the user and the password (PGPASSWORD, ~/.pgpass or the DSN), and \
             channel_binding",
        ),
        "error connecting to server" => failed
            .with_retryable(true)
            .with_code("source connection")
            .with_advice(UNREACHABLE_ADVICE),
        "error communicating with the server" | "connection closed" => failed
            .with_retryable(true)
            .with_code("source connection")
            .with_advice(
                "the connection broke: check host and port, the server's log, and what stands \
                 between here and there; start again to go on",
            ),
        "timeout waiting for server" => failed
            .with_retryable(true)
            .with_code("source timeout")
            .with_advice(UNREACHABLE_ADVICE),
        "error parsing response from server" | "unexpected message from server" => garbled(failed),
        _ => failed,
    };
    failed.with_source(error)
}

pub(super) const UNREACHABLE_ADVICE: &str = "check host and port, and that the server is up";

/// What a damaged stream looks like. A fresh connection may bring it whole.
fn garbled(failed: Error) -> Error {
    failed
        .with_retryable(true)
        .with_code("source protocol")
        .with_advice(
            "what came is not PostgreSQL's protocol: check host and port, and what stands between \
             here and the server; TLS keeps others from changing it",
        )
}

/// Whether the connection ended rather than the other side refused.
fn is_broken_socket(error: &tokio_postgres::Error) -> bool {
    has_io(
        error,
        &[
            K::ConnectionReset,
            K::ConnectionAborted,
            K::BrokenPipe,
            K::UnexpectedEof,
        ],
    )
}

/// Whether an error of the socket of one of these kinds lies beneath.
fn has_io(error: &tokio_postgres::Error, kinds: &[K]) -> bool {
    let mut source = StdError::source(error);
    while let Some(error) = source {
        let io = error.downcast_ref::<std::io::Error>();
        if io.is_some_and(|io| kinds.contains(&io.kind())) {
            return true;
        }
        source = error.source();
    }
    false
}

/// Whether a run that has not begun may wait for it to pass: a server that starts or is full, or
/// a connection that broke. A port where nobody listens, a name that nobody knows and an address
/// that does not answer are told at once.
pub(crate) fn passes_soon(error: &Error) -> bool {
    if let Some(code) = sqlstate(error) {
        return sqlstate::passes_soon(code.code());
    }
    let mut source = StdError::source(error);
    while let Some(cause) = source {
        if let Some(client) = cause.downcast_ref::<tokio_postgres::Error>() {
            return client.is_closed()
                || client.to_string() == "error communicating with the server"
                    && !has_io(client, &[K::InvalidInput, K::InvalidData])
                || is_broken_socket(client);
        }
        source = cause.source();
    }
    false
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
}
