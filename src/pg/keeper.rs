//! The keeper: the one session that holds the table locks and the snapshot of a run.
//!
//! Owns the order that makes a run consistent: locks, then the WAL position, then the snapshot,
//! then the proof that every locked relation is still the one the snapshot shows. A snapshot
//! does not survive TRUNCATE or a rewriting ALTER: a late reader gets no rows and no error.

use std::time::Duration;

use chrono::Utc;

use crate::error::{Error, ErrorKind, Result};
use crate::lsn::Lsn;
use crate::options::TableSelector;
use crate::pg::catalog::load_table;
use crate::pg::conninfo::ConnectOptions;
use crate::pg::names::{Resolved, resolve};
use crate::pg::session::{Session, column, pooled};
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
/// the connection ends.
pub(crate) struct Keeper {
    session: Session,
    snapshot: Snapshot,
    tables: Vec<TableSchema>,
}

impl Keeper {
    /// Locks the tables, takes or joins the snapshot, and reads the schemas under it.
    ///
    /// Needs a second connection while it opens.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] for tables that do not exist or may not be read,
    /// [`ErrorKind::Unsupported`] for relations that are refused and for transaction poolers,
    /// [`ErrorKind::Source`] for a lock that was not given, a table that was rewritten since the
    /// joined snapshot, or a snapshot that is gone (`pg::error::is_snapshot_gone`).
    pub(crate) async fn open(
        source: &ConnectOptions,
        tables: &[TableSelector],
        options: &KeeperOptions,
    ) -> Result<Self> {
        let (session, observer) = connect_pair(source, &options.purpose).await?;
        let mut resolved = Vec::with_capacity(tables.len());
        for table in tables {
            let found = resolve(&session, table).await?;
            if !resolved.contains(&found) {
                resolved.push(found);
            }
        }
        let snapshot = match &options.snapshot {
            None => take_snapshot(&session, &observer, &resolved, options).await?,
            Some(id) => join_snapshot(&session, &resolved, options, id).await?,
        };
        let mut schemas = Vec::with_capacity(resolved.len());
        for table in &resolved {
            check_name(&session, table).await?;
            let schema = load_table(&session, table).await?;
            lock_relations(&session, &schema).await?;
            schemas.push(schema);
        }
        session.check_unchanged().await?;
        Ok(Self {
            session,
            snapshot,
            tables: schemas,
        })
    }

    /// What the rows are read under.
    pub(crate) fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// The session, inside its transaction: for the catalog and statistics.
    pub(crate) fn session(&self) -> &Session {
        &self.session
    }

    /// The tables with all their columns, in the order given; a table named twice comes once.
    pub(crate) fn tables(&self) -> &[TableSchema] {
        &self.tables
    }

    /// Makes sure that the snapshot is still held. The query also keeps proxies and firewalls
    /// from taking the connection for idle.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Source`] when the connection or the transaction is lost.
    pub(crate) async fn check(&self) -> Result<()> {
        let visible = self.session.visible_snapshot().await;
        let lost = "the keeper lost the snapshot";
        match visible {
            Ok(visible) if visible == self.snapshot.visible => Ok(()),
            Ok(_) => Err(Error::new(ErrorKind::Source, lost)),
            Err(error) => Err(Error::new(ErrorKind::Source, lost)
                .with_retryable(false)
                .with_source(error)
                .with_advice("start again: what was committed stays")),
        }
    }

    /// The table is read: its locks are needed no more. The snapshot stays.
    pub(crate) async fn let_go(&self, _table: &TableName) -> Result<()> {
        Ok(())
    }

    /// Ends the transaction, which frees locks and snapshot.
    pub(crate) async fn release(self) -> Result<()> {
        self.session.commit().await
    }
}

/// Connects the keeper and an observer, and makes sure that each has a backend of its own.
///
/// A transaction pooler is found before any setting is changed on its shared backends: it hands
/// the first connection's idle backend to the second, or another one to the first.
async fn connect_pair(source: &ConnectOptions, purpose: &str) -> Result<(Session, Session)> {
    let first = source.connect_raw(purpose).await?;
    let second = source.connect_raw(purpose).await?;
    let before = first.backend_pid().await?;
    let what = "the connection could not be checked";
    let begin = second.client.batch_execute("BEGIN").await;
    begin.map_err(|error| crate::pg::error::source_error(what, error))?;
    let is_shared = second.backend_pid().await? == before || first.backend_pid().await? != before;
    let end = second.client.batch_execute("ROLLBACK").await;
    end.map_err(|error| crate::pg::error::source_error(what, error))?;
    if is_shared {
        return Err(pooled());
    }
    let (keeper, observer) = (first.pin().await?, second.pin().await?);
    // With several hosts, or a name for many, two connections can lead to two servers.
    if keeper.identity().is_other_server(observer.identity()) {
        return Err(Error::new(
            ErrorKind::Unsupported,
            "two connections led to two different servers",
        )
        .with_advice("name one host: every worker must reach the server that holds the snapshot"));
    }
    Ok((keeper, observer))
}

/// Locks, then reads the WAL position over the other connection, then takes the snapshot: the
/// transaction's first query fixes it.
async fn take_snapshot(
    session: &Session,
    observer: &Session,
    tables: &[Resolved],
    options: &KeeperOptions,
) -> Result<Snapshot> {
    session.begin_snapshot(None).await?;
    lock_tables(session, tables, options.lock_timeout).await?;
    let lsn = current_lsn(observer).await?;
    let sql = "SELECT pg_catalog.pg_export_snapshot()";
    let row = session
        .query_one("the snapshot could not be exported", sql, &[])
        .await?;
    describe(session, column(&row, 0)?, Some(lsn), false).await
}

/// Imports first (nothing else may stand before it), then locks. What was rewritten between the
/// snapshot and the lock is found by `Session::check_unchanged`.
async fn join_snapshot(
    session: &Session,
    tables: &[Resolved],
    options: &KeeperOptions,
    id: &str,
) -> Result<Snapshot> {
    session.begin_snapshot(Some(id)).await?;
    lock_tables(session, tables, options.lock_timeout).await?;
    describe(session, id.to_owned(), None, true).await
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

async fn current_lsn(observer: &Session) -> Result<Lsn> {
    let sql = match observer.identity().in_recovery {
        true => "SELECT pg_catalog.pg_last_wal_replay_lsn()::pg_catalog.text",
        false => "SELECT pg_catalog.pg_current_wal_insert_lsn()::pg_catalog.text",
    };
    let what = "the WAL position could not be read";
    let row = observer.query_one(what, sql, &[]).await?;
    column::<String>(&row, 0)?
        .parse()
        .map_err(|error: crate::lsn::ParseLsnError| {
            Error::new(ErrorKind::Source, what).with_source(error)
        })
}

/// Locks every table in ACCESS SHARE mode; a partitioned table's lock takes its partitions', a
/// view's those of what it reads. LOCK TABLE takes no snapshot.
async fn lock_tables(session: &Session, tables: &[Resolved], timeout: Duration) -> Result<()> {
    let millis = timeout.as_millis().clamp(1, i32::MAX as u128);
    let what = "the lock timeout could not be set";
    session
        .execute(what, &format!("SET LOCAL lock_timeout TO {millis}"))
        .await?;
    // A materialized view takes no LOCK TABLE: `lock_relations` comes to it after the snapshot.
    for table in tables
        .iter()
        .filter(|table| table.kind != RelationKind::MaterializedView)
    {
        let sql = format!(
            "LOCK TABLE {} IN ACCESS SHARE MODE",
            quote_table(&table.name)
        );
        let locked = session.execute("the table could not be locked", &sql).await;
        locked.map_err(|error| error.with_table(table.name.to_string()))?;
    }
    Ok(())
}

/// Locks each relation that will be read. Most are locked already; a partition that was attached
/// between the lock and the snapshot is not, nor is a materialized view.
async fn lock_relations(session: &Session, schema: &TableSchema) -> Result<()> {
    let what = "the table could not be locked";
    if matches!(
        schema.kind,
        RelationKind::MaterializedView | RelationKind::View
    ) {
        // Planning locks all that a view reads; LOCK TABLE leaves out materialized views in it.
        let sql = format!("SELECT FROM {} LIMIT 0", quote_table(&schema.name));
        let locked = session.execute(what, &sql).await;
        return locked.map_err(|error| error.with_table(schema.name.to_string()));
    }
    if schema.kind != RelationKind::Partitioned {
        return Ok(());
    }
    let names: Vec<String> = schema
        .relations
        .iter()
        .map(|r| quote_table(&r.name))
        .collect();
    for names in names.chunks(LOCKS_A_STATEMENT) {
        let only: Vec<String> = names.iter().map(|name| format!("ONLY {name}")).collect();
        let sql = format!("LOCK TABLE {} IN ACCESS SHARE MODE", only.join(", "));
        let locked = session.execute(what, &sql).await;
        locked.map_err(|error| error.with_table(schema.name.to_string()))?;
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
