//! A server that says nothing: busy, or gone?
//!
//! Owns the limit on every wait for an answer and the second opinion that follows it. A sort or a
//! slow filter can keep a server silent for hours, and a proxy can keep a dead connection open as
//! long; only the server itself can tell them apart, over another connection.

use std::pin::pin;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use tokio::time::timeout;
use tokio_postgres::{Client, Row};

use crate::error::{Error, ErrorKind, Result};
use crate::pg::conninfo::ConnectOptions;

/// Opinions in a row that speak against the connection before it is given up: an answer can be on
/// its way while one is asked for.
const STRIKES: u32 = 2;

/// Who is asked about one session's backend, and when.
#[derive(Debug, Clone)]
pub(super) struct Silence {
    source: Arc<ConnectOptions>,
    backend: i32,
    server_started_at: DateTime<Utc>,
}

/// What the server says about the backend.
#[derive(Debug, PartialEq, Eq)]
enum Opinion {
    /// It works on what it was asked.
    Busy,
    /// It has nothing to do, cannot get rid of its answer, or is not there; or nobody says.
    Dead(&'static str),
}

impl Silence {
    pub(super) fn new(
        source: Arc<ConnectOptions>,
        backend: i32,
        server_started_at: DateTime<Utc>,
    ) -> Self {
        Self {
            source,
            backend,
            server_started_at,
        }
    }

    /// Waits for an answer as long as the server is seen to work on it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Source`], retryable, when the limit has passed and twice in a row the server
    /// did not say that it is busy.
    pub(super) async fn answered<T>(
        &self,
        what: &str,
        answer: impl Future<Output = T>,
    ) -> Result<T> {
        let mut answer = pin!(answer);
        let limit = self.source.silence_limit;
        let mut strikes = 0;
        loop {
            if let Ok(answer) = timeout(limit, &mut answer).await {
                return Ok(answer);
            }
            let opinion = tokio::select! {
                biased;
                answer = &mut answer => return Ok(answer),
                // Boxed: rarely needed, and large; it would be part of every query.
                opinion = Box::pin(self.ask()) => opinion,
            };
            match opinion {
                Opinion::Busy => {
                    strikes = 0;
                    tracing::info!(backend = self.backend, "the server is silent, and at work");
                }
                Opinion::Dead(why) if strikes + 1 >= STRIKES => return Err(dead(what, why)),
                Opinion::Dead(why) => {
                    strikes += 1;
                    tracing::warn!(backend = self.backend, why, "the server does not answer");
                }
            }
        }
    }

    /// Bounded by the connect timeout, twice.
    async fn ask(&self) -> Opinion {
        let asked = async {
            let raw = self.source.connect_raw("pgsluice second opinion").await;
            match raw {
                Ok(raw) => self.read(&raw.client).await,
                Err(error) if crate::pg::error::sqlstate(&error).is_some() => {
                    Opinion::Dead("the server lets nobody in to ask")
                }
                Err(_) => Opinion::Dead("the server cannot be reached either"),
            }
        };
        timeout(2 * self.source.connect_timeout, asked)
            .await
            .unwrap_or(Opinion::Dead("the server does not say what it does"))
    }

    async fn read(&self, client: &Client) -> Opinion {
        let sql = "SELECT pg_catalog.floor(pg_catalog.date_part('epoch',
              pg_catalog.pg_postmaster_start_time()) * 1000000)::pg_catalog.int8,
            a.state, a.wait_event_type
            FROM (SELECT) AS one LEFT JOIN pg_catalog.pg_stat_activity AS a ON a.pid = $1";
        match client.query_one(sql, &[&self.backend]).await {
            Ok(row) => self
                .judge(&row)
                .unwrap_or(Opinion::Dead("its answer cannot be read")),
            Err(_) => Opinion::Dead("the server does not say what it does"),
        }
    }

    fn judge(&self, row: &Row) -> Option<Opinion> {
        let started_at: i64 = row.try_get(0).ok()?;
        if started_at != self.server_started_at.timestamp_micros() {
            return Some(Opinion::Dead(
                "the server was restarted, or it is another one",
            ));
        }
        let state: Option<&str> = row.try_get(1).ok()?;
        let waits_for: Option<&str> = row.try_get(2).ok()?;
        Some(opinion(state, waits_for))
    }
}

/// From `state` and `wait_event_type` of `pg_stat_activity`.
fn opinion(state: Option<&str>, waits_for: Option<&str>) -> Opinion {
    match (state, waits_for) {
        (None, _) => Opinion::Dead("its backend is gone"),
        // It waits for this side to read, and this side waits for it.
        (Some("active"), Some("Client")) => Opinion::Dead("what it sends does not arrive"),
        // track_activities is off: that the backend lives is all it tells.
        (Some("active" | "fastpath function call" | "disabled"), _) => Opinion::Busy,
        (Some(_), _) => Opinion::Dead("its backend has nothing to do"),
    }
}

fn dead(what: &str, why: &str) -> Error {
    let message = format!("{what}: the server does not answer, and {why}");
    Error::new(ErrorKind::Source, message)
        .with_retryable(true)
        .with_code("source timeout")
        .with_advice(
            "something between here and the server (a proxy, a firewall, NAT) swallows the \
             connection, or the server hangs: see its log and pg_stat_activity; \
             --source-timeout sets when this is looked at",
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_at_work_is_not_dead() {
        assert_eq!(opinion(Some("active"), None), Opinion::Busy);
        assert_eq!(opinion(Some("active"), Some("IO")), Opinion::Busy);
        assert_eq!(opinion(Some("active"), Some("Lock")), Opinion::Busy);
        assert_eq!(opinion(Some("disabled"), None), Opinion::Busy);
        for (state, waits_for) in [
            (None, None),
            (Some("idle in transaction"), Some("Client")),
            (Some("idle"), None),
            (Some("active"), Some("Client")),
        ] {
            assert_ne!(opinion(state, waits_for), Opinion::Busy, "{state:?}");
        }
    }
}
