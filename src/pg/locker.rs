//! The locker: the session that holds a run's table locks, so that each table's can go while the
//! snapshot stays.
//!
//! A lock ends with its transaction, or when the savepoint it was taken after is rolled back to.
//! So each table's locks stand behind a savepoint of their own, the last table's lowest: what is
//! read first is let go first. The transaction is READ COMMITTED and holds no snapshot.

use std::time::Duration;

use tokio::sync::Mutex;

use crate::crash_point::{CrashPoint, step};
use crate::error::{Error, ErrorKind, Result};
use crate::pg::catalog::load_table;
use crate::pg::error::sqlstate;
use crate::pg::names::Resolved;
use crate::pg::session::{Session, column};
use crate::pg::sql::{from_query, quote_table};
use crate::table::{RelationKind, TableName, TableSchema};

/// Locks while it lives, or until they are let go.
pub(super) struct Locker {
    session: Session,
    stack: Mutex<Stack>,
}

/// The savepoints, the lowest first: each table's, and whether it is let go.
#[derive(Debug, Default)]
struct Stack(Vec<(TableName, bool)>);

impl Stack {
    /// Marks a table. What it and all above it can be rolled back to, if anything.
    fn let_go(&mut self, name: &TableName) -> Option<usize> {
        for (_, is_free) in self.0.iter_mut().filter(|(held, _)| held == name) {
            *is_free = true;
        }
        let free = self
            .0
            .iter()
            .rev()
            .take_while(|(_, is_free)| *is_free)
            .count();
        let lowest = self.0.len() - free;
        self.0.truncate(lowest);
        (free > 0).then_some(lowest)
    }
}

impl Locker {
    /// Begins the transaction that locks are taken in.
    pub(super) async fn begin(session: Session) -> Result<Self> {
        let begin = "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY";
        let what = "a transaction could not be begun";
        session.execute(what, begin).await?;
        Ok(Self {
            session,
            stack: Mutex::default(),
        })
    }

    /// The session, which holds no snapshot between two statements.
    pub(super) fn session(&self) -> &Session {
        &self.session
    }

    /// Locks the tables, given in the order in which they will be let go. Those that a pattern
    /// found and that could not be locked are taken out of `tables` and given back.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Source`] for a lock that was not given, naming the table.
    pub(super) async fn lock(
        &self,
        tables: &mut Vec<Resolved>,
        filter: Option<&str>,
        timeout: Duration,
    ) -> Result<Vec<(TableName, Error)>> {
        set_timeout(&self.session, timeout).await?;
        let mut refused = Vec::new();
        for index in (0..tables.len()).rev() {
            let table = &tables[index];
            let mut stack = self.stack.lock().await;
            let savepoint = format!("t{}", stack.0.len());
            let what = "a savepoint could not be set";
            self.session
                .execute(what, &format!("SAVEPOINT {savepoint}"))
                .await?;
            let locked = step(
                CrashPoint::LockTable,
                lock_table(&self.session, table, filter),
            );
            match locked.await {
                Ok(()) => stack.0.push((table.name.clone(), false)),
                Err(error) if table.is_named || is_about_all(&error) => return Err(error),
                Err(error) => {
                    self.session
                        .execute(what, &format!("ROLLBACK TO SAVEPOINT {savepoint}"))
                        .await?;
                    self.session
                        .execute(what, &format!("RELEASE SAVEPOINT {savepoint}"))
                        .await?;
                    refused.push((tables.remove(index).name, error));
                }
            }
        }
        Ok(refused)
    }

    /// Lets a table's locks go, as soon as all that were locked after it are let go, too.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Source`] when the connection is lost.
    pub(super) async fn let_go(&self, name: &TableName) -> Result<()> {
        let mut stack = self.stack.lock().await;
        if let Some(lowest) = stack.let_go(name) {
            // The savepoint itself stays, below the next one that is rolled back to.
            let sql = format!("ROLLBACK TO SAVEPOINT t{lowest}");
            let what = "the table's locks could not be let go";
            step(CrashPoint::LetGo, self.session.execute(what, &sql)).await?;
        }
        Ok(())
    }

    /// The relations that are locked now.
    pub(super) async fn locked(&self) -> Result<Vec<u32>> {
        let sql = "SELECT relation FROM pg_catalog.pg_locks
            WHERE pid = pg_catalog.pg_backend_pid() AND locktype = 'relation'";
        let what = "the locks could not be read";
        let rows = self.session.query(what, sql, &[]).await?;
        rows.iter().map(|row| column(row, 0)).collect()
    }

    /// Reads a table's schema as the catalog is now.
    pub(super) async fn load(&self, table: &Resolved) -> Result<TableSchema> {
        // Until then nobody may roll back.
        let _stack = self.stack.lock().await;
        let what = "a savepoint could not be set";
        self.session.execute(what, "SAVEPOINT reading").await?;
        let loaded = load_table(&self.session, table).await;
        let end = "ROLLBACK TO SAVEPOINT reading; RELEASE SAVEPOINT reading";
        self.session.execute(what, end).await?;
        loaded
    }

    /// Makes sure that the connection, and with it every lock, is still there.
    pub(super) async fn check(&self) -> Result<()> {
        self.session
            .execute("the keeper lost its table locks", "SELECT")
            .await
    }
}

/// How long each lock of the session's transaction may be waited for. A waiting lock makes
/// others wait behind it.
pub(super) async fn set_timeout(session: &Session, timeout: Duration) -> Result<()> {
    let millis = timeout.as_millis().clamp(1, i32::MAX as u128);
    let what = "the lock timeout could not be set";
    session
        .execute(what, &format!("SET LOCAL lock_timeout TO {millis}"))
        .await
}

/// Locks all that reading a table takes, in ACCESS SHARE mode: a partitioned table's partitions,
/// a parent's children where they count, whatever a view, a query or the filter reads.
pub(super) async fn lock_table(
    session: &Session,
    table: &Resolved,
    filter: Option<&str>,
) -> Result<()> {
    let what = "the table could not be locked";
    let name = quote_table(&table.name);
    if table.kind == RelationKind::Query {
        // What is wrong with a query is told as such; locks come with it, but for partitions.
        load_table(session, table).await?;
    }
    let sql = match (table.kind, &table.query) {
        (RelationKind::Query, query) => {
            let query = query.as_deref().unwrap_or_default();
            format!("SELECT FROM {} LIMIT 0", from_query(query))
        }
        // Planning locks all that a view reads. LOCK TABLE takes no materialized view, and leaves
        // out those that a view reads.
        (RelationKind::View | RelationKind::MaterializedView, _) => {
            format!("SELECT FROM {name} LIMIT 0")
        }
        (RelationKind::Table, _) if !table.with_children => {
            format!("LOCK TABLE ONLY {name} IN ACCESS SHARE MODE")
        }
        (RelationKind::Table | RelationKind::Partitioned, _) => {
            format!("LOCK TABLE {name} IN ACCESS SHARE MODE")
        }
    };
    let locked = session.execute(what, &sql).await;
    locked.map_err(|error| explained(error, table))?;
    let Some(filter) = filter else {
        return Ok(());
    };
    let from = match &table.query {
        Some(query) => from_query(query),
        None => format!("ONLY {name}"),
    };
    session
        .check_condition(&from, filter)
        .await
        .map_err(|error| error.with_table(table.name.to_string()))
}

fn explained(error: Error, table: &Resolved) -> Error {
    let error = error.with_table(table.name.to_string());
    if is_about_all(&error) {
        return error.with_advice(
            "the server's lock table is full: raise max_locks_per_transaction, or export fewer \
             tables and partitions at once",
        );
    }
    error
}

/// `out_of_memory` (53200) says that the lock table is full: no other table fares better. Nor
/// does one on a lost connection.
fn is_about_all(error: &Error) -> bool {
    match sqlstate(error) {
        Some(state) => state.code().starts_with("53") || state.code().starts_with("57P"),
        None => error.kind() == ErrorKind::Source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_goes_when_all_above_it_are_free() {
        let name = |text: &str| TableName::new("s", text);
        let tables = ["last", "middle", "first"].map(|text| (name(text), false));
        let mut stack = Stack(tables.to_vec());
        assert_eq!(stack.let_go(&name("middle")), None, "first is still read");
        assert_eq!(stack.let_go(&name("nobody")), None);
        assert_eq!(stack.let_go(&name("first")), Some(1), "both go");
        assert_eq!(stack.let_go(&name("last")), Some(0));
        assert!(stack.0.is_empty());
        assert_eq!(stack.let_go(&name("last")), None);
    }
}
