//! Locks of a session that mean what the caller says: PostgreSQL's advisory locks.
//!
//! Owns the queries. A lock lives as long as its session, on one server: not on its standbys, and
//! not on its primary. PostgreSQL keeps them apart by database; here they are not.

use std::fmt;

use crate::error::Result;
use crate::pg::session::{Session, column};

/// Who has a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Holder {
    /// The process id of its backend.
    pub(crate) pid: i32,
    application: String,
    user: String,
    database: String,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} (backend {}, user {}, database {})",
            self.application, self.pid, self.user, self.database
        )
    }
}

/// How a try for a lock ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Locked {
    /// This session has it until it ends.
    Ours,
    /// Another has it, in whatever database; nobody is named who let it go meanwhile.
    Theirs(Option<Holder>),
}

/// The lock's key as `pg_locks` shows it, `objsubid` 1 meaning one key of 64 bits.
const IS_LOCK: &str = "l.locktype = 'advisory' AND l.objsubid = 1 AND l.granted
    AND (l.classid::pg_catalog.int8 << 32) | l.objid::pg_catalog.int8 = $1";

/// Takes a lock if nobody has it, without waiting.
///
/// # Errors
///
/// [`crate::ErrorKind::Source`] when the server cannot be asked.
pub(crate) async fn try_lock(session: &Session, key: i64) -> Result<Locked> {
    let what = "the writer's lock could not be taken";
    let sql = "SELECT pg_catalog.pg_try_advisory_lock($1)";
    let row = session.query_one(what, sql, &[&key]).await?;
    let is_ours: bool = column(&row, 0)?;
    // Who locks the same key in another database sees us there, too: at worst both let go.
    let other = holder(session, key).await?;
    if !is_ours {
        return Ok(Locked::Theirs(other));
    }
    let Some(other) = other else {
        return Ok(Locked::Ours);
    };
    let sql = "SELECT pg_catalog.pg_advisory_unlock($1)";
    session.query_one(what, sql, &[&key]).await?;
    Ok(Locked::Theirs(Some(other)))
}

/// Whether this very session has the lock.
///
/// # Errors
///
/// As [`try_lock`].
pub(crate) async fn holds(session: &Session, key: i64) -> Result<bool> {
    let sql = format!(
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_locks l
            WHERE l.pid = pg_catalog.pg_backend_pid() AND {IS_LOCK}
              AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d
                  WHERE d.datname = pg_catalog.current_database()))"
    );
    let what = "the writer's lock could not be looked at";
    let rows = session.query_often(what, &sql, &[&key]).await?;
    rows.first().map_or(Ok(false), |row| column(row, 0))
}

/// Makes sure that the session, and with it each of its locks, lives.
///
/// # Errors
///
/// As [`try_lock`].
pub(crate) async fn check_session(session: &Session) -> Result<()> {
    let what = "the session of the writer's lock is gone";
    session.query_often(what, "SELECT", &[]).await.map(drop)
}

async fn holder(session: &Session, key: i64) -> Result<Option<Holder>> {
    let sql = format!(
        "SELECT l.pid, coalesce(a.application_name, ''), coalesce(a.usename::text, ''),
            coalesce(d.datname::text, '')
        FROM pg_catalog.pg_locks l
        LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
        LEFT JOIN pg_catalog.pg_database d ON d.oid = l.database
        WHERE l.pid <> pg_catalog.pg_backend_pid() AND {IS_LOCK}"
    );
    let what = "the holder of the writer's lock could not be looked up";
    let rows = session.query(what, &sql, &[&key]).await?;
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    Ok(Some(Holder {
        pid: column(row, 0)?,
        application: column(row, 1)?,
        user: column(row, 2)?,
        database: column(row, 3)?,
    }))
}
