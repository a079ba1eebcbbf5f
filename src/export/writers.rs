//! Who may write: one writer a dataset, and this run if nobody else is alive.
//!
//! Owns the choice between the two ways that this is made sure of (the store's put-if-absent, or a
//! lock in the source for a store that has none), and the patience with a writer that may live.
//! What the log does with it is the store's and the manifest's.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use sha2::{Digest, Sha256};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::error::{Error, ErrorKind, Result};
use crate::export::prepare::{Prepared, alone};
use crate::export::worker::one_line;
use crate::manifest::{Dataset, Liveness, State, is_alive};
use crate::options::{ExportOptions, Writers};
use crate::pg::advisory::{self, Locked};
use crate::pg::{ConnectOptions, Keeper, Refused, Session};
use crate::store::{Root, SOLE_PUT_LIMIT, SoleWriter};

/// How long the server may take to say that a lock is held.
const LOCK_LIMIT: Duration = Duration::from_secs(5);
/// How often the lock's session is asked whether it lives.
const ASK_INTERVAL: Duration = Duration::from_secs(5);
/// How long a lock that another has is tried for: the server may not have seen its process end.
const CLAIM_PATIENCE: Duration = Duration::from_secs(2);
const CLAIM_PAUSE: Duration = Duration::from_millis(100);
/// What a put that another writer began before it lost its lock may take, and some more.
const SETTLE_LIMIT: Duration = SOLE_PUT_LIMIT.saturating_add(Duration::from_secs(2));
/// The lock's namespace among the advisory locks of a server.
const NAMESPACE: &[u8] = b"pgsluice single writer\n";

/// The root as this run writes to it, and what a person should know of that.
///
/// # Errors
///
/// As [`Root::probe`]; a store that ignores put-if-absent is none with `--single-writer`.
/// [`ErrorKind::Source`] when the lock's session cannot be had.
pub(super) async fn writable(
    source: &ConnectOptions,
    root: &Root,
    options: &ExportOptions,
    run_id: &str,
) -> Result<(Root, Option<String>)> {
    if options.writers == Writers::Fenced {
        root.probe().await?;
        return Ok((root.clone(), None));
    }
    let is_conditional = root.probe_honours_create().await?;
    let purpose = format!("pgsluice {run_id} single writer");
    let writer = LockedWriter::new(source.connect(&purpose).await?);
    let told = match is_conditional {
        true => {
            "--single-writer is not needed here: the store honours put-if-absent, which alone \
             promises more"
        }
        false => {
            "the store ignores put-if-absent: only a lock in the source's server keeps two \
             writers apart (docs/stores.md says what that does not cover)"
        }
    };
    let root = root.with_sole_writer(Arc::new(writer), is_conditional);
    Ok((root, Some(told.to_owned())))
}

/// The right to be a root's only writer: an advisory lock of one session, which lives as long as
/// the run.
struct LockedWriter {
    session: Arc<Session>,
    is_lost: Arc<AtomicBool>,
    /// Asks now and then, so that nothing on the way takes the connection for idle.
    asking: JoinHandle<()>,
}

impl Drop for LockedWriter {
    fn drop(&mut self) {
        self.asking.abort();
    }
}

impl SoleWriter for LockedWriter {
    fn claim<'a>(&'a self, root: &'a str) -> BoxFuture<'a, Result<()>> {
        self.try_claim(root).boxed()
    }

    fn prove<'a>(&'a self, root: &'a str) -> BoxFuture<'a, Result<()>> {
        self.check(root).boxed()
    }
}

impl LockedWriter {
    fn new(session: Session) -> Self {
        let (session, is_lost) = (Arc::new(session), Arc::<AtomicBool>::default());
        let asking = tokio::spawn(ask(Arc::clone(&session), Arc::clone(&is_lost)));
        Self {
            session,
            is_lost,
            asking,
        }
    }

    async fn try_claim(&self, root: &str) -> Result<()> {
        let deadline = Instant::now() + CLAIM_PATIENCE;
        let holder = loop {
            let locked = answered(advisory::try_lock(&self.session, lock_key(root)));
            match locked.await? {
                Locked::Ours => return Ok(()),
                Locked::Theirs(holder) if Instant::now() >= deadline => break holder,
                // It may be that of a process that has just ended.
                Locked::Theirs(_) => tokio::time::sleep(CLAIM_PAUSE).await,
            }
        };
        let (by, advice) = match holder {
            None => ("another session".to_owned(), "try again".to_owned()),
            Some(holder) => (
                holder.to_string(),
                format!(
                    "wait for it or stop it; if its process is gone: SELECT \
                     pg_terminate_backend({})",
                    holder.pid
                ),
            ),
        };
        let message = format!("{by} holds the writer's lock of {root}");
        Err(Error::new(ErrorKind::Conflict, message).with_advice(advice))
    }

    async fn check(&self, root: &str) -> Result<()> {
        if self.is_lost.load(Ordering::Acquire) {
            return Err(lost(root));
        }
        let error = match answered(advisory::holds(&self.session, lock_key(root))).await {
            Ok(true) => return Ok(()),
            Ok(false) => lost(root),
            Err(error) => lost(root).with_source(error),
        };
        self.is_lost.store(true, Ordering::Release);
        Err(error)
    }
}

/// The lock of a root. Two roots of one key would only refuse each other.
fn lock_key(root: &str) -> i64 {
    let digest = Sha256::new().chain_update(NAMESPACE).chain_update(root);
    let mut key = [0; 8];
    key.copy_from_slice(&digest.finalize()[..8]);
    i64::from_be_bytes(key)
}

fn lost(root: &str) -> Error {
    let message = format!("the writer's lock of {root} is lost: nothing more is written");
    Error::new(ErrorKind::Source, message)
        .with_advice("start again: what was committed stays")
        .with_retryable(false)
}

/// Asks the session until it is gone.
async fn ask(session: Arc<Session>, is_lost: Arc<AtomicBool>) {
    while !is_lost.load(Ordering::Acquire) {
        tokio::time::sleep(ASK_INTERVAL).await;
        if let Err(error) = answered(advisory::check_session(&session)).await {
            is_lost.store(true, Ordering::Release);
            let error = one_line(&error);
            tracing::warn!(error, "the writer's lock is lost: nothing more is written");
        }
    }
}

async fn answered<T>(question: impl Future<Output = Result<T>>) -> Result<T> {
    let answer = tokio::time::timeout(LOCK_LIMIT, question).await;
    answer.unwrap_or_else(|_| {
        let message = "the server did not answer within 5 s whether the writer's lock is held";
        Err(Error::new(ErrorKind::Source, message))
    })
}

/// Refuses datasets that another writer is alive on, unless they are to be taken over. Waits up to
/// three lease intervals for those that have not said their end; where only a lock keeps writers
/// apart, until what they had begun to write has landed or was given up.
///
/// # Errors
///
/// [`ErrorKind::Conflict`], naming the owner, for a table that was named.
pub(super) async fn wait_for_others(
    keeper: &Keeper,
    tables: Vec<Prepared>,
    options: &ExportOptions,
    refused: &mut Vec<Refused>,
) -> Result<Vec<Prepared>> {
    // Whatever lock there is was claimed by now.
    let settled = Instant::now() + SETTLE_LIMIT;
    let tables = match options.takeover {
        true => tables,
        false => refuse_live_writers(keeper, tables, options.lease_interval, refused).await?,
    };
    let is_open = |table: &Prepared| table.dataset.as_ref().is_some_and(|of| !has_ended(of));
    if options.writers == Writers::Single && tables.iter().any(is_open) {
        tokio::time::sleep_until(settled).await;
    }
    Ok(tables)
}

async fn refuse_live_writers(
    keeper: &Keeper,
    tables: Vec<Prepared>,
    interval: Duration,
    refused: &mut Vec<Refused>,
) -> Result<Vec<Prepared>> {
    let checks = join_all(tables.iter().map(|table| check_writer(table, interval))).await;
    let mut free = Vec::with_capacity(tables.len());
    for (table, checked) in tables.into_iter().zip(checks) {
        match alone(keeper, &table.schema.name, checked, refused)? {
            Some(()) => free.push(table),
            None => keeper.let_go(&table.schema.name).await?,
        }
    }
    Ok(free)
}

pub(super) async fn check_writer(table: &Prepared, interval: Duration) -> Result<()> {
    let Some(dataset) = table.dataset.as_ref().filter(|of| !has_ended(of)) else {
        return Ok(());
    };
    match is_alive(&table.root, dataset, interval).await? {
        Liveness::Dead => Ok(()),
        Liveness::Alive { by, .. } => Err(Error::new(
            ErrorKind::Conflict,
            format!("{by} is exporting to {}", table.root.url()),
        )
        .with_advice(
            "wait for it or stop it; --takeover fences it and goes on from what it committed",
        )),
    }
}

/// Whether its writer has said its end.
fn has_ended(dataset: &Dataset) -> bool {
    use State::{Complete, Failed, Paused};
    matches!(dataset.state, Complete | Paused | Failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_has_one_lock_in_every_version() {
        assert_eq!(lock_key("s3://b/t"), lock_key("s3://b/t"));
        assert_ne!(lock_key("s3://b/t"), lock_key("s3://b/u"));
        // Two versions that disagreed would not see each other.
        let known = 2_960_336_671_953_089_071;
        assert_eq!(lock_key("s3://lake/shop/public/orders"), known);
    }
}
