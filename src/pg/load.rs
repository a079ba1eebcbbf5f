//! The load of a source, as its own statistics tell it: busy sessions, standbys' lag, WAL that
//! slots hold back.
//!
//! Owns the queries. Each runs outside of a transaction, so that looking holds no snapshot. What
//! the numbers mean for a run is the caller's.

use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};
use crate::pg::session::{Session, column};

/// How far replicas lie behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ReplicaLag {
    /// Asked of a standby: how far it lies behind its primary.
    Own(Duration),
    /// Asked of a primary: its connected standbys.
    Standbys(Vec<Standby>),
}

/// A standby as its primary last heard of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standby {
    /// The process that serves it.
    pub(crate) pid: i32,
    /// Whether there is WAL that it has not replayed.
    pub(crate) is_behind: bool,
    /// Its lag as of its last word.
    pub(crate) lag: Duration,
    /// When it said so, in microseconds by its own clock: only a change means anything here.
    pub(crate) replied_at: Option<i64>,
}

/// Makes sure that the role sees what others do; without it their statistics are NULL.
///
/// # Errors
///
/// [`ErrorKind::Source`] with advice.
pub(crate) async fn check_sees_all(session: &Session) -> Result<()> {
    let sql = "SELECT pg_catalog.pg_has_role(current_user, 'pg_read_all_stats', 'USAGE')";
    let what = "the role's rights could not be read";
    let row = session.query_one(what, sql, &[]).await?;
    if column(&row, 0)? {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Source,
        "the user may not see the sessions and standbys that the run is to watch",
    )
    .with_advice(
        "run GRANT pg_monitor TO this user, or leave --max-active-sessions and --max-replica-lag out",
    ))
}

/// Active client sessions on the whole server, but for those whose `application_name` starts with
/// `ours`.
pub(crate) async fn active_sessions(session: &Session, ours: &str) -> Result<u64> {
    let sql = "SELECT pg_catalog.count(*) FROM pg_catalog.pg_stat_activity
        WHERE state = 'active' AND backend_type = 'client backend'
          AND pid <> pg_catalog.pg_backend_pid()
          AND NOT pg_catalog.starts_with(application_name, $1)";
    let what = "the active sessions could not be counted";
    let row = session.query_one(what, sql, &[&ours]).await?;
    Ok(column::<i64>(&row, 0)?.unsigned_abs())
}

/// How far the standbys lie behind, or this one when it is a standby.
///
/// # Errors
///
/// [`ErrorKind::Source`] when the server cannot tell.
pub(crate) async fn replica_lag(session: &Session) -> Result<ReplicaLag> {
    match session.identity().in_recovery {
        true => own_lag(session).await.map(ReplicaLag::Own),
        false => standbys(session).await.map(ReplicaLag::Standbys),
    }
}

/// A standby that has replayed all that it received, and is receiving, lies not behind; the age
/// of the last replayed commit alone would grow while the primary is idle.
async fn own_lag(session: &Session) -> Result<Duration> {
    let sql = "SELECT CASE
            WHEN EXISTS (SELECT FROM pg_catalog.pg_stat_wal_receiver)
                AND pg_catalog.pg_last_wal_receive_lsn() <= pg_catalog.pg_last_wal_replay_lsn()
            THEN 0
            ELSE (pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()
                - pg_catalog.pg_last_xact_replay_timestamp()) * 1000000)::pg_catalog.int8
        END";
    let what = "the standby's lag could not be read";
    let row = session.query_one(what, sql, &[]).await?;
    match column::<Option<i64>>(&row, 0)? {
        Some(micros) => Ok(micros_since(micros)),
        None => Err(Error::new(
            ErrorKind::Source,
            "the standby cannot tell its lag: it has replayed no transaction since its start",
        )
        .with_advice("try again after the primary has committed something")),
    }
}

/// Receivers without replay (archives of WAL, base backups) have no `replay_lsn`; those of a
/// logical slot (subscriptions, change data capture) are no standbys.
async fn standbys(session: &Session) -> Result<Vec<Standby>> {
    let sql = "SELECT pid, replay_lsn < pg_catalog.pg_current_wal_flush_lsn(),
            COALESCE(pg_catalog.date_part('epoch', replay_lag) * 1000000, 0)::pg_catalog.int8,
            (pg_catalog.date_part('epoch', reply_time) * 1000000)::pg_catalog.int8
        FROM pg_catalog.pg_stat_replication r WHERE replay_lsn IS NOT NULL
          AND NOT EXISTS (SELECT FROM pg_catalog.pg_replication_slots s
            WHERE s.slot_type = 'logical' AND s.active_pid = r.pid)";
    let what = "the standbys' lag could not be read";
    let rows = session.query(what, sql, &[]).await?;
    let standby = |row| {
        Ok(Standby {
            pid: column(row, 0)?,
            is_behind: column(row, 1)?,
            lag: micros_since(column(row, 2)?),
            replied_at: column(row, 3)?,
        })
    };
    rows.iter().map(standby).collect()
}

/// The most bytes of WAL that one replication slot holds back; 0 without slots.
pub(crate) async fn retained_wal(session: &Session) -> Result<u64> {
    let current = match session.identity().in_recovery {
        true => "pg_catalog.pg_last_wal_replay_lsn()",
        false => "pg_catalog.pg_current_wal_lsn()",
    };
    // A slot that is lost holds nothing back any more.
    let lost = match session.server_version() >= 130_000 {
        true => "AND wal_status IS DISTINCT FROM 'lost'",
        false => "",
    };
    let sql = format!(
        "SELECT COALESCE(pg_catalog.max(
            pg_catalog.pg_wal_lsn_diff({current}, restart_lsn)), 0)::pg_catalog.int8
         FROM pg_catalog.pg_replication_slots WHERE restart_lsn IS NOT NULL {lost}"
    );
    let what = "the WAL that slots hold back could not be read";
    let row = session.query_one(what, &sql, &[]).await?;
    Ok(u64::try_from(column::<i64>(&row, 0)?).unwrap_or(0))
}

/// Two clocks may differ: a standby that is ahead lies not behind.
fn micros_since(micros: i64) -> Duration {
    Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}
