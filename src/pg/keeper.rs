//! The keeper: the session that holds the snapshot of a run, and with it the locker that holds the
//! table locks.
//!
//! Owns the order that makes a run consistent: locks, then the WAL position, then the snapshot,
//! then the proof that every locked relation is still the one the snapshot shows. A snapshot
//! does not survive TRUNCATE or a rewriting ALTER: a late reader gets no rows and no error.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::Utc;

use crate::crash_point::{CrashPoint, step};
use crate::error::{Error, ErrorKind, Result};
use crate::lsn::Lsn;
use crate::pg::catalog::{load_table, same_columns, wider_children};
use crate::pg::conninfo::ConnectOptions;
use crate::pg::locker::{Locker, lock_table, set_timeout};
use crate::pg::names::Resolved;
use crate::pg::select::{Refused, Selected, Selection, select};
use crate::pg::session::{Session, column, pooled, rewritten};
use crate::pg::sql::quote_table;
use crate::snapshot::Snapshot;
use crate::table::{RelationKind, TableName, TableSchema};

/// Partitions in one LOCK TABLE statement.
const LOCKS_A_STATEMENT: usize = 100;

/// How a keeper is opened.
#[derive(Debug, Clone)]
pub(crate) struct KeeperOptions {
    /// Its `application_name`.
    pub(crate) purpose: String,
    /// How long each lock statement may wait. Our waiting lock makes others wait behind it.
    pub(crate) lock_timeout: Duration,
    /// A snapshot that something else holds; `None`: take one.
    pub(crate) snapshot: Option<String>,
}

/// Holds locks and snapshot while it lives. Dropped, it lets both go; so does the server when
/// one of its two connections ends, which [`Keeper::check`] finds.
pub(crate) struct Keeper {
    session: Session,
    locker: Locker,
    snapshot: Snapshot,
    tables: Vec<TableSchema>,
    /// What each of `tables` was resolved to.
    resolved: Vec<Resolved>,
    refused: Vec<Refused>,
    warnings: Vec<String>,
    /// Partitions that only the snapshot shows, by their table: the locker does not hold them.
    late: BTreeMap<TableName, Vec<TableName>>,
}

impl Keeper {
    /// Finds the tables, locks them, takes or joins the snapshot, and reads the schemas under it.
    ///
    /// What was found by a pattern and cannot be kept is told by [`Keeper::refused`]. The session
    /// then holds the locks a second time, for planning, until [`Keeper::planned`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] for tables that do not exist or may not be read,
    /// [`ErrorKind::Unsupported`] for relations that are refused and for transaction poolers,
    /// [`ErrorKind::Source`] for a lock that was not given, a table that was rewritten since the
    /// joined snapshot, or a snapshot that is gone (`pg::error::is_snapshot_gone`).
    pub(crate) async fn open(
        source: &ConnectOptions,
        selection: &Selection,
        options: &KeeperOptions,
    ) -> Result<Self> {
        let (session, locking) = connect_pair(source, &options.purpose).await?;
        let Selected {
            mut tables,
            mut refused,
            warnings,
        } = select(&locking, selection).await?;
        let locker = Locker::begin(locking).await?;
        let filter = selection.filter.as_deref();
        let timeout = options.lock_timeout;
        let snapshot = match &options.snapshot {
            None => {
                refused.extend(lock(&locker, &mut tables, filter, timeout).await?);
                take_snapshot(&session, locker.session()).await?
            }
            // The import first: it fails at once when nothing holds the snapshot. What was
            // rewritten between the snapshot and the locks, the proof finds.
            Some(id) => {
                session.begin_snapshot(Some(id)).await?;
                let snapshot = describe(&session, id.clone(), None, true).await?;
                refused.extend(lock(&locker, &mut tables, filter, timeout).await?);
                snapshot
            }
        };
        let mut keeper = Self {
            session,
            locker,
            snapshot,
            tables: Vec::new(),
            resolved: Vec::new(),
            refused,
            warnings,
            late: BTreeMap::new(),
        };
        keeper.load(tables, filter, timeout).await?;
        keeper.prove().await?;
        Ok(keeper)
    }

    /// What the rows are read under.
    pub(crate) fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// The session, inside its transaction: for the catalog and statistics.
    pub(crate) fn session(&self) -> &Session {
        &self.session
    }

    /// The tables with all their columns, largest first; a table named twice comes once.
    pub(crate) fn tables(&self) -> &[TableSchema] {
        &self.tables
    }

    /// Whether a table was named, and not found by a pattern.
    pub(crate) fn is_named(&self, name: &TableName) -> bool {
        self.resolved
            .iter()
            .any(|table| table.is_named && table.name == *name)
    }

    /// Tables that a pattern found and that cannot be kept, once.
    pub(crate) fn take_refused(&mut self) -> Vec<Refused> {
        std::mem::take(&mut self.refused)
    }

    /// What a person should know of the selection, one sentence each.
    pub(crate) fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Runs what may fail for one table and leave the others alone: the transaction goes on
    /// either way.
    ///
    /// # Errors
    ///
    /// The outer one when the transaction is lost; the inner one is the step's own.
    pub(crate) async fn attempt<T>(
        &self,
        step: impl Future<Output = Result<T>>,
    ) -> Result<Result<T>> {
        let what = "a savepoint could not be set";
        self.session.execute(what, "SAVEPOINT attempt").await?;
        let outcome = step.await;
        let end = match &outcome {
            // What it locked belongs to the planning savepoint now.
            Ok(_) => "RELEASE SAVEPOINT attempt",
            Err(_) => "ROLLBACK TO SAVEPOINT attempt; RELEASE SAVEPOINT attempt",
        };
        self.session.execute(what, end).await?;
        Ok(outcome)
    }

    /// Ends the planning: from here on the locker alone holds the tables, but for partitions that
    /// came between lock and snapshot, which stay locked to the end.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Source`] when such a partition was rewritten in between.
    pub(crate) async fn planned(&self) -> Result<()> {
        let what = "the planning's locks could not be let go";
        self.session
            .execute(what, "ROLLBACK TO SAVEPOINT planning")
            .await?;
        if self.late.is_empty() {
            return Ok(());
        }
        let late: Vec<TableName> = self.late.values().flatten().cloned().collect();
        lock_relations(&self.session, &late).await?;
        self.session.check_unchanged().await
    }

    /// Lets the locks of a table go, once those of all tables before it in [`Keeper::tables`] are
    /// let go, too. The snapshot stays.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Source`] when the connection is lost.
    pub(crate) async fn let_go(&self, name: &TableName) -> Result<()> {
        self.locker.let_go(name).await
    }

    /// Makes sure that snapshot and locks are still held. The queries also keep proxies and
    /// firewalls from taking the connections for idle.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Source`] when a connection or a transaction is lost.
    pub(crate) async fn check(&self) -> Result<()> {
        let lost = "the keeper lost the snapshot";
        let checked = async {
            self.locker.check().await?;
            self.session.visible_snapshot().await
        };
        match checked.await {
            Ok(visible) if visible == self.snapshot.visible => Ok(()),
            Ok(_) => Err(Error::new(ErrorKind::Source, lost)),
            Err(error) => Err(Error::new(ErrorKind::Source, lost)
                .with_retryable(false)
                .with_source(error)
                .with_advice("start again: what was committed stays")),
        }
    }

    /// Describes a query again, as the catalog is now, with the columns that were chosen before.
    /// The locker does it: it holds all that the query reads, so that it need not wait behind DDL
    /// that waits for it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] when the query does not give these columns any more.
    pub(crate) async fn reload_query(&self, before: &TableSchema) -> Result<TableSchema> {
        let known = self.resolved.iter().find(|table| table.name == before.name);
        let Some(query) = known else {
            return Err(Error::new(ErrorKind::Internal, "the query is not known"));
        };
        let now = self.locker.load(query).await?;
        same_columns(&now, before)
    }

    /// Ends the transactions, which frees locks and snapshot.
    pub(crate) async fn release(self) -> Result<()> {
        step(CrashPoint::Release, async {
            self.session.commit().await?;
            self.locker.session().commit().await
        })
        .await
    }

    /// Reads every table's schema behind the savepoint of the planning. The locks are taken first:
    /// later, each would wait behind DDL that waits for the locker.
    async fn load(
        &mut self,
        tables: Vec<Resolved>,
        filter: Option<&str>,
        timeout: Duration,
    ) -> Result<()> {
        let what = "a savepoint could not be set";
        // Before the savepoint, so that it holds after it, too: the server sees no deadlock that
        // leads over two sessions of ours.
        set_timeout(&self.session, timeout).await?;
        self.session.execute(what, "SAVEPOINT planning").await?;
        let mut locked = Vec::with_capacity(tables.len());
        for table in tables {
            let again = self.attempt(lock_table(&self.session, &table, filter));
            match again.await? {
                Ok(()) => locked.push(table),
                Err(error) => self.refuse(&table, error).await?,
            }
        }
        let held: BTreeSet<u32> = self.locker.locked().await?.into_iter().collect();
        for table in locked {
            match self.attempt(load_one(&self.session, &table, &held)).await? {
                Ok((schema, late)) => {
                    if !late.is_empty() {
                        self.late.insert(table.name.clone(), late);
                    }
                    self.tell_of_children(&table, &schema).await?;
                    self.tables.push(schema);
                    self.resolved.push(table);
                }
                Err(error) => self.refuse(&table, error).await?,
            }
        }
        Ok(())
    }

    /// A table that cannot be kept: the end for one that was named.
    async fn refuse(&mut self, table: &Resolved, error: Error) -> Result<()> {
        let error = error.with_table(table.name.to_string());
        if table.is_named {
            return Err(error);
        }
        self.late.remove(&table.name);
        self.refused.push(Refused {
            name: table.name.clone(),
            error,
        });
        self.locker.let_go(&table.name).await
    }

    async fn tell_of_children(&mut self, table: &Resolved, schema: &TableSchema) -> Result<()> {
        if !table.with_children || schema.relations.len() < 2 {
            return Ok(());
        }
        let wider = wider_children(&self.session, schema).await?;
        if !wider.is_empty() {
            let names: Vec<String> = wider.iter().map(ToString::to_string).collect();
            self.warnings.push(format!(
                "{}: columns that only its children have are left out: {}",
                table.name,
                names.join(", ")
            ));
        }
        Ok(())
    }

    /// The proof: no relation that is locked was rewritten after the snapshot. What is changed
    /// below a view or a query cannot be told apart: all of them are refused then.
    async fn prove(&mut self) -> Result<()> {
        let backends = [self.session.backend(), self.locker.session().backend()];
        let changed = self.session.rewritten(&backends).await?;
        if changed.is_empty() {
            return Ok(());
        }
        let own: BTreeSet<u32> = self.tables.iter().flat_map(relation_oids).collect();
        let is_below = changed.iter().find(|(oid, _)| !own.contains(oid));
        let reads_others =
            |schema: &TableSchema| matches!(schema.kind, RelationKind::View | RelationKind::Query);
        let has_others = self.tables.iter().any(reads_others);
        let is_hit = |schema: &TableSchema| {
            let oids: BTreeSet<u32> = relation_oids(schema).collect();
            let own = changed.iter().find(|(oid, _)| oids.contains(oid));
            let below = is_below.filter(|_| reads_others(schema) || !has_others);
            own.or(below).map(|(_, name)| name.clone())
        };
        let hits: Vec<Option<String>> = self.tables.iter().map(is_hit).collect();
        let tables = std::mem::take(&mut self.tables);
        let resolved = std::mem::take(&mut self.resolved);
        for ((schema, table), hit) in tables.into_iter().zip(resolved).zip(hits) {
            match hit {
                Some(name) => self.refuse(&table, rewritten(&name)).await?,
                None => {
                    self.tables.push(schema);
                    self.resolved.push(table);
                }
            }
        }
        Ok(())
    }
}

fn relation_oids(schema: &TableSchema) -> impl Iterator<Item = u32> {
    let parts = schema.relations.iter().map(|relation| relation.oid);
    parts.chain([schema.oid])
}

/// Locks the tables in the order in which they are read, and tells which could not be.
async fn lock(
    locker: &Locker,
    tables: &mut Vec<Resolved>,
    filter: Option<&str>,
    timeout: Duration,
) -> Result<Vec<Refused>> {
    let refused = locker.lock(tables, filter, timeout).await?;
    let refused = refused.into_iter();
    Ok(refused
        .map(|(name, error)| Refused { name, error })
        .collect())
}

/// A table's schema, and those of its partitions that the locker does not hold, locked.
async fn load_one(
    session: &Session,
    table: &Resolved,
    held: &BTreeSet<u32>,
) -> Result<(TableSchema, Vec<TableName>)> {
    if table.kind != RelationKind::Query {
        check_name(session, table).await?;
    }
    let schema = load_table(session, table).await?;
    let relations = schema.relations.iter();
    let late = relations.filter(|relation| relation.oid != 0 && !held.contains(&relation.oid));
    let late: Vec<TableName> = late.map(|relation| relation.name.clone()).collect();
    lock_relations(session, &late).await?;
    Ok((schema, late))
}

/// Connects the keeper and its locker, and makes sure that each has a backend of its own.
///
/// A transaction pooler is found before any setting is changed on its shared backends: it hands
/// the first connection's idle backend to the second, or another one to the first.
async fn connect_pair(source: &ConnectOptions, purpose: &str) -> Result<(Session, Session)> {
    let first = source.connect_raw(purpose).await?;
    let second = source.connect_raw(purpose).await?;
    let before = first.backend_pid().await?;
    let what = "the connection could not be checked";
    second.execute(what, "BEGIN").await?;
    let is_shared = second.backend_pid().await? == before || first.backend_pid().await? != before;
    second.execute(what, "ROLLBACK").await?;
    if is_shared {
        return Err(pooled());
    }
    let (keeper, locker) = (first.pin().await?, second.pin().await?);
    // With several hosts, or a name for many, two connections can lead to two servers.
    if keeper.identity().is_other_server(locker.identity()) {
        return Err(Error::new(
            ErrorKind::Unsupported,
            "two connections led to two different servers",
        )
        .with_advice("name one host: every worker must reach the server that holds the snapshot"));
    }
    Ok((keeper, locker))
}

/// Reads the WAL position over the locker's connection, which holds all locks by now, then takes
/// the snapshot: the transaction's first query fixes it.
async fn take_snapshot(session: &Session, locker: &Session) -> Result<Snapshot> {
    session.begin_snapshot(None).await?;
    let lsn = current_lsn(locker).await?;
    let sql = "SELECT pg_catalog.pg_export_snapshot()";
    let export = session.query_one("the snapshot could not be exported", sql, &[]);
    let row = step(CrashPoint::TakeSnapshot, export).await?;
    describe(session, column(&row, 0)?, Some(lsn), false).await
}

async fn describe(
    session: &Session,
    id: String,
    lsn: Option<Lsn>,
    joined: bool,
) -> Result<Snapshot> {
    let server = session.identity();
    Ok(Snapshot {
        id,
        visible: session.visible_snapshot().await?,
        lsn,
        timeline: server.timeline,
        system_identifier: server.system_identifier,
        server_started_at: server.started_at,
        in_recovery: server.in_recovery,
        joined,
        taken_at: Utc::now(),
    })
}

async fn current_lsn(session: &Session) -> Result<Lsn> {
    let sql = match session.identity().in_recovery {
        true => "SELECT pg_catalog.pg_last_wal_replay_lsn()::pg_catalog.text",
        false => "SELECT pg_catalog.pg_current_wal_insert_lsn()::pg_catalog.text",
    };
    let what = "the WAL position could not be read";
    let row = session.query_one(what, sql, &[]).await?;
    column::<String>(&row, 0)?
        .parse()
        .map_err(|error: crate::lsn::ParseLsnError| {
            Error::new(ErrorKind::Source, what).with_source(error)
        })
}

/// Locks relations that hold rows, each alone.
async fn lock_relations(session: &Session, relations: &[TableName]) -> Result<()> {
    for names in relations.chunks(LOCKS_A_STATEMENT) {
        let only: Vec<String> = names
            .iter()
            .map(|name| format!("ONLY {}", quote_table(name)))
            .collect();
        let sql = format!("LOCK TABLE {} IN ACCESS SHARE MODE", only.join(", "));
        session
            .execute("the table could not be locked", &sql)
            .await?;
    }
    Ok(())
}

/// The name must still lead to what was locked, or a table made again in between would be read.
async fn check_name(session: &Session, table: &Resolved) -> Result<()> {
    let sql = "SELECT EXISTS (SELECT FROM pg_catalog.pg_class c
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = $1 AND c.relname = $2 AND c.oid = $3)";
    let what = "the table could not be looked up";
    let (schema, name) = (&table.name.schema, &table.name.name);
    let row = session
        .query_one(what, sql, &[schema, name, &table.oid])
        .await?;
    if column(&row, 0)? {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Source,
        "the table was dropped, renamed or made again meanwhile",
    )
    .with_retryable(true)
    .with_table(table.name.to_string()))
}
