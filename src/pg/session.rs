//! One connection to the source, with its settings pinned and its server identified.
//!
//! Owns transactions, locks, statements and their cancellation on drop. How the connection
//! comes about is `connect`'s, what it is asked is the caller's.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Row, Statement};

use crate::chunk::PlannedRelation;
use crate::crash_point::{CrashPoint, step};
use crate::error::{Error, ErrorKind, Result};
use crate::pg::cancel::CancelHandle;
use crate::pg::copy_stream::CopyStream;
use crate::pg::error::{is_snapshot_gone, source_error};
use crate::pg::silence::Silence;
use crate::pg::sql::{copy_statement, from_clause, quote_literal, quote_table};
use crate::snapshot::Snapshot;
use crate::table::RelationKind;

/// What a server must stay for a run to go on (a failover changes the timeline, a restart the
/// start, another cluster the identifier).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServerIdentity {
    /// `server_version_num`, such as 150018.
    pub(crate) version: u32,
    /// Whether it is a standby.
    pub(crate) in_recovery: bool,
    /// When the postmaster started.
    pub(crate) started_at: DateTime<Utc>,
    /// The cluster's system identifier.
    pub(crate) system_identifier: u64,
    /// The timeline; on a standby as of its last restart point.
    pub(crate) timeline: u32,
}

/// One connection. Statements run one after another, whoever calls.
///
/// Dropped, it closes the connection. A statement whose future is dropped before its end is
/// cancelled in the background, and the session then refuses further statements.
pub(crate) struct Session {
    client: Arc<Client>,
    cancel: CancelHandle,
    silence: Silence,
    identity: ServerIdentity,
    backend_pid: i32,
    database: String,
    search_path: Vec<String>,
    /// Statements that are asked again and again: as many as the source names.
    prepared: Mutex<HashMap<String, Statement>>,
}

/// What `connect` learnt before it pinned the settings.
pub(super) struct SessionFacts {
    pub(super) identity: ServerIdentity,
    pub(super) backend_pid: i32,
    pub(super) database: String,
    pub(super) search_path: Vec<String>,
}

impl ServerIdentity {
    /// Whether these are two servers, or one before and after a restart.
    pub(crate) fn is_other_server(&self, other: &Self) -> bool {
        self.system_identifier != other.system_identifier
            || self.started_at != other.started_at
            || self.in_recovery != other.in_recovery
    }
}

impl Session {
    pub(super) fn new(
        client: Arc<Client>,
        cancel: CancelHandle,
        silence: Silence,
        facts: SessionFacts,
    ) -> Self {
        Self {
            client,
            cancel,
            silence,
            identity: facts.identity,
            backend_pid: facts.backend_pid,
            database: facts.database,
            search_path: facts.search_path,
            prepared: Mutex::default(),
        }
    }

    /// `server_version_num`, such as 150018.
    pub(crate) fn server_version(&self) -> u32 {
        self.identity.version
    }

    /// Which server this is.
    pub(crate) fn identity(&self) -> &ServerIdentity {
        &self.identity
    }

    /// The database's name.
    pub(crate) fn database(&self) -> &str {
        &self.database
    }

    /// The schemas of the role's own search path, before it was pinned.
    pub(crate) fn search_path(&self) -> &[String] {
        &self.search_path
    }

    /// Begins a read-only transaction that sees one snapshot: its own, taken by its first query,
    /// or the imported one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Source`] with `pg::error::is_snapshot_gone` when nothing holds the snapshot
    /// any more; [`ErrorKind::Unsupported`] behind a transaction pooler.
    pub(crate) async fn begin_snapshot(&self, import: Option<&str>) -> Result<()> {
        let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
        self.execute("a transaction could not be begun", begin)
            .await?;
        let Some(id) = import else {
            return Ok(());
        };
        let sql = format!("SET TRANSACTION SNAPSHOT {}", quote_literal(id));
        let imported = self
            .execute("the snapshot could not be imported", &sql)
            .await;
        match imported {
            Err(error) if is_snapshot_gone(&error) => Err(Error::new(
                ErrorKind::Source,
                "nothing holds the snapshot any more",
            )
            .with_source(error)
            .with_advice(SNAPSHOT_GONE_ADVICE)),
            Err(error) => Err(error),
            Ok(()) => self.check_backend().await,
        }
    }

    /// Begins a transaction under a snapshot that this run holds, and makes sure that it is the
    /// same one on the same server: ids come again after a restart.
    ///
    /// # Errors
    ///
    /// As [`Session::begin_snapshot`]; and [`ErrorKind::Source`], not retryable, when the server
    /// is another one, was promoted or restarted.
    pub(crate) async fn join_snapshot(&self, snapshot: &Snapshot) -> Result<()> {
        self.check_server(snapshot)?;
        let begin = self.begin_snapshot(Some(&snapshot.id));
        step(CrashPoint::JoinSnapshot, begin).await?;
        if self.visible_snapshot().await? == snapshot.visible {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Source,
            "the snapshot's id now names another snapshot",
        )
        .with_advice(SNAPSHOT_GONE_ADVICE))
    }

    /// `xmin:xmax:xip_list` of the transaction's snapshot.
    pub(crate) async fn visible_snapshot(&self) -> Result<String> {
        let sql = "SELECT pg_catalog.txid_current_snapshot()::pg_catalog.text";
        let row = self
            .query_one("the snapshot could not be read", sql, &[])
            .await?;
        column(&row, 0)
    }

    /// Locks what a relation of a plan reads in ACCESS SHARE mode until the transaction ends, or
    /// fails at once.
    ///
    /// The keeper holds the same locks; what this adds is an error instead of a wait when DDL is
    /// already queued behind them.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Source`], retryable, when a stronger lock is held or awaited.
    pub(crate) async fn lock_nowait(
        &self,
        relation: &PlannedRelation,
        kind: RelationKind,
    ) -> Result<()> {
        let from = from_clause(relation);
        let sql = match kind {
            // LOCK TABLE takes no materialized view, nor what a query reads: reading no rows does.
            RelationKind::MaterializedView | RelationKind::Query | RelationKind::View => format!(
                "SET LOCAL lock_timeout TO '100ms'; SELECT FROM {from} LIMIT 0; \
                 SET LOCAL lock_timeout TO 0"
            ),
            _ => format!(
                "LOCK TABLE ONLY {} IN ACCESS SHARE MODE NOWAIT",
                quote_table(&relation.name)
            ),
        };
        let lock = self.execute("the table could not be locked at once", &sql);
        let locked = step(CrashPoint::LockChunk, lock).await;
        locked.map_err(|error| error.with_table(relation.name.to_string()))
    }

    /// Makes sure that no relation this transaction has locked was truncated or rewritten after
    /// its snapshot: TRUNCATE, CLUSTER, VACUUM FULL, REFRESH and rewriting ALTERs give a relation
    /// a new file, and what the snapshot could see is then gone, without an error.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Source`], naming the relation.
    pub(crate) async fn check_unchanged(&self) -> Result<()> {
        match self.rewritten(&[self.backend_pid]).await?.first() {
            Some((_, changed)) => Err(rewritten(changed)),
            None => Ok(()),
        }
    }

    /// Makes sure that relations which were planned are those that this transaction has locked by
    /// their names: a name can have gone to another relation since.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Source`], naming the relation.
    pub(crate) async fn check_locked(&self, planned: &[PlannedRelation]) -> Result<()> {
        let oids: Vec<u32> = planned
            .iter()
            .map(|one| one.oid)
            .filter(|oid| *oid > 0)
            .collect();
        let sql = "SELECT e.oid FROM pg_catalog.unnest($1::pg_catalog.oid[]) AS e(oid)
            WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_locks l
              WHERE l.pid = pg_catalog.pg_backend_pid() AND l.locktype = 'relation'
                AND l.relation = e.oid)";
        let what = "the relations could not be checked";
        let rows = self.query(what, sql, &[&oids]).await?;
        let Some(row) = rows.first() else {
            return Ok(());
        };
        let oid: u32 = column(row, 0)?;
        let named = planned.iter().find(|one| one.oid == oid);
        let name = named.map_or_else(String::new, |one| one.name.to_string());
        Err(Error::new(
            ErrorKind::Source,
            format!("{name} is another relation than the one that was planned"),
        )
        .with_advice("it was renamed or made again: export the table to another --to"))
    }

    /// The relations, oid and name, that these backends have locked and that got a new file after
    /// this transaction's snapshot.
    pub(super) async fn rewritten(&self, backends: &[i32]) -> Result<Vec<(u32, String)>> {
        // pg_class answers as of the snapshot, the function as of now; relfilenode is 0 for the
        // few mapped catalogs, and for relations without a file of their own.
        let sql = "SELECT DISTINCT c.oid, n.nspname::text || '.' || c.relname::text
            FROM pg_catalog.pg_locks l
            JOIN pg_catalog.pg_class c ON c.oid = l.relation
            JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
            WHERE l.pid = ANY ($1) AND l.locktype = 'relation'
              AND c.relfilenode <> 0
              AND c.relfilenode IS DISTINCT FROM pg_catalog.pg_relation_filenode(c.oid)
            ORDER BY 2";
        let what = "the tables' files could not be checked";
        let rows = self.query(what, sql, &[&backends]).await?;
        rows.iter()
            .map(|row| Ok((column(row, 0)?, column(row, 1)?)))
            .collect()
    }

    /// Makes sure that a condition is one boolean expression over what stands in a FROM clause,
    /// and locks whatever else it reads. Nothing is executed.
    ///
    /// `CASE WHEN … THEN` leaves no room for what parentheses would let through, such as
    /// `true) OR (true`.
    ///
    /// # Errors
    ///
    /// Mostly [`ErrorKind::Config`], with the server's message beneath. The transaction is then
    /// over.
    pub(crate) async fn check_condition(&self, from: &str, condition: &str) -> Result<()> {
        let sql = format!("EXPLAIN SELECT FROM {from} WHERE CASE WHEN\n{condition}\nTHEN true END");
        let checked = self.query("the filter cannot be used", &sql, &[]).await;
        checked.map(drop).map_err(|error| {
            error.with_advice(
                "--where takes one boolean SQL expression; names outside pg_catalog need their \
                 schema",
            )
        })
    }

    /// Parses and analyses a statement, and tells the columns it would give.
    pub(super) async fn prepare(&self, what: &str, sql: &str) -> Result<Statement> {
        self.guarded(what, self.client.prepare(sql)).await
    }

    /// The process id of the server's backend.
    pub(super) fn backend(&self) -> i32 {
        self.backend_pid
    }

    /// Ends the transaction, also a failed one.
    pub(crate) async fn commit(&self) -> Result<()> {
        self.execute("the transaction could not be ended", "COMMIT")
            .await
    }

    /// Starts the binary COPY of a SELECT.
    pub(crate) async fn copy_out(&self, select: &str) -> Result<CopyStream> {
        let sql = copy_statement(select);
        let what = "the COPY could not be started";
        let begin = self.guarded(what, self.client.copy_out(&sql));
        let frames = step(CrashPoint::CopyBegin, begin).await?;
        Ok(CopyStream::new(
            frames,
            Arc::clone(&self.client),
            &self.cancel,
            self.silence.clone(),
        ))
    }

    /// Runs statements without parameters or results; `what` says what failed when they do.
    pub(crate) async fn execute(&self, what: &str, sql: &str) -> Result<()> {
        self.guarded(what, self.client.batch_execute(sql)).await
    }

    /// Runs one query.
    pub(crate) async fn query(
        &self,
        what: &str,
        sql: &str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>> {
        self.guarded(what, self.client.query(sql, params)).await
    }

    /// Runs one query that is asked of every table: it is parsed once, and from its sixth time on
    /// need not be planned again. Not for texts that hold values: each is kept.
    pub(crate) async fn query_often(
        &self,
        what: &str,
        sql: &str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>> {
        let known = || self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        let prepared = known().get(sql).cloned();
        let statement = match prepared {
            Some(statement) => statement,
            None => {
                let statement = self.prepare(what, sql).await?;
                known().insert(sql.to_owned(), statement.clone());
                statement
            }
        };
        self.guarded(what, self.client.query(&statement, params))
            .await
    }

    /// Runs one query that yields exactly one row.
    pub(crate) async fn query_one(
        &self,
        what: &str,
        sql: &str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Row> {
        self.guarded(what, self.client.query_one(sql, params)).await
    }

    /// Runs one query whose parameters are of the given types, which are not looked up.
    pub(crate) async fn query_typed(
        &self,
        what: &str,
        sql: &str,
        params: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<Vec<Row>> {
        self.guarded(what, self.client.query_typed(sql, params))
            .await
    }

    /// Makes sure that the backend is still the one that was set up: a transaction pooler hands
    /// out another without a word.
    async fn check_backend(&self) -> Result<()> {
        let sql = "SELECT pg_catalog.pg_backend_pid()";
        let row = self
            .query_one("the connection could not be checked", sql, &[])
            .await?;
        if column::<i32>(&row, 0)? == self.backend_pid {
            return Ok(());
        }
        Err(pooled())
    }

    /// Makes sure that this is the server that the snapshot came from.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Source`], not retryable.
    pub(crate) fn check_server(&self, snapshot: &Snapshot) -> Result<()> {
        let server = &self.identity;
        let change = if server.system_identifier != snapshot.system_identifier {
            "this is another cluster than the one the snapshot came from"
        } else if server.in_recovery != snapshot.in_recovery {
            "the server changed between primary and standby"
        } else if server.started_at != snapshot.server_started_at {
            "the server was restarted, or this is another one"
        } else if server.timeline != snapshot.timeline {
            "the server is on another timeline: there was a failover"
        } else {
            return Ok(());
        };
        Err(Error::new(ErrorKind::Source, change).with_advice(SNAPSHOT_GONE_ADVICE))
    }

    async fn guarded<T>(
        &self,
        what: &str,
        statement: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T> {
        if self.cancel.is_abandoned() {
            return Err(Error::new(ErrorKind::Source, what)
                .with_source("the session was abandoned in the middle of a statement")
                .with_retryable(true));
        }
        let mut guard = self.cancel.guard();
        // Given up, it is cancelled as if nobody waited for it.
        let outcome = self.silence.answered(what, statement).await?;
        guard.finish();
        outcome.map_err(|error| source_error(what, error))
    }
}

/// The error for a relation that the snapshot no longer shows.
pub(super) fn rewritten(changed: &str) -> Error {
    Error::new(
        ErrorKind::Source,
        format!(
            "{changed} was truncated or rewritten after the snapshot: its rows are gone from it"
        ),
    )
    .with_advice("take a new snapshot")
}

const SNAPSHOT_GONE_ADVICE: &str = "what was read under the snapshot stays; start again: key chunks go on under a new snapshot, \
     ctid chunks start over";

/// The error for a pooler that shares backends between transactions.
pub(super) fn pooled() -> Error {
    Error::new(
        ErrorKind::Unsupported,
        "the connection goes through a pooler that changes backends between transactions",
    )
    .with_advice("connect to PostgreSQL directly, or to a pooler in session mode")
}

/// One column of a row that this library asked for.
pub(crate) fn column<'a, T: tokio_postgres::types::FromSql<'a>>(
    row: &'a Row,
    index: usize,
) -> Result<T> {
    row.try_get(index)
        .map_err(|error| source_error("the server's answer could not be read", error))
}
