//! The lease: a counter that a living writer keeps moving.
//!
//! Owns liveness alone, which decides how soon a take-over is tried and never whether it is
//! safe: that is the log's. No clock of another machine is compared with ours.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::fence::Fence;
use super::model::{Dataset, State, WriterInfo};
use crate::crash_point::{CrashPoint, step};
use crate::error::{Error, ErrorKind, Result};
use crate::store::Root;
use crate::store::layout::{LEASE, log_key};

/// Still intervals after which a writer counts as dead.
const STILL_INTERVALS: u32 = 3;
/// What an interval read from a lease is clamped to.
const INTERVALS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(60));

/// What stands in `lease.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lease {
    /// The writer's epoch.
    pub(crate) epoch: u64,
    /// The writer's token.
    pub(crate) token: String,
    /// Grows with each renewal.
    pub(crate) counter: u64,
    /// The writer's machine.
    pub(crate) host: String,
    /// Its process there.
    pub(crate) pid: u32,
    /// How often it renews, in milliseconds.
    pub(crate) interval_ms: u64,
}

/// Whether a dataset's newest writer is at work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Liveness {
    /// It ended, or stood still for three of its intervals.
    Dead,
    /// It moved while we watched.
    Alive {
        /// The writer.
        by: WriterInfo,
        /// Its epoch.
        epoch: u64,
    },
}

impl Lease {
    /// The dataset's lease; `None` when there is none, or one that cannot be read.
    ///
    /// # Errors
    ///
    /// The store's, classified.
    pub(crate) async fn read(root: &Root) -> Result<Option<Self>> {
        let bytes = root.get(LEASE).await?;
        Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }

    async fn write(&self, root: &Root) -> Result<()> {
        let json = serde_json::to_vec(self).map_err(|cause| {
            Error::new(ErrorKind::Internal, "a lease cannot be written as JSON").with_source(cause)
        })?;
        step(CrashPoint::Lease, root.put(LEASE, json.into())).await?;
        Ok(())
    }
}

/// Watches whether the writer of `dataset`, freshly loaded, is at work.
///
/// Returns at once when it paused, failed or completed, and as soon as its lease or its log
/// moves; otherwise after three intervals, as written in the lease, else of `interval`.
///
/// # Errors
///
/// The store's, classified.
pub(crate) async fn is_alive(
    root: &Root,
    dataset: &Dataset,
    interval: Duration,
) -> Result<Liveness> {
    if matches!(
        dataset.state,
        State::Paused | State::Failed | State::Complete
    ) {
        return Ok(Liveness::Dead);
    }
    let first = current_lease(root, dataset).await?;
    let interval = first
        .as_ref()
        .map_or(interval, |lease| Duration::from_millis(lease.interval_ms));
    let interval = interval.clamp(INTERVALS.0, INTERVALS.1);
    let deadline = Instant::now() + STILL_INTERVALS * interval;
    loop {
        let is_last = Instant::now() >= deadline;
        if root.head(&log_key(dataset.next_seq)).await?.is_some() {
            return Ok(alive(dataset, first.as_ref()));
        }
        let lease = current_lease(root, dataset).await?;
        let is_later = lease
            .as_ref()
            .is_some_and(|lease| lease.epoch > dataset.epoch);
        if lease != first || is_later {
            return Ok(alive(dataset, lease.as_ref()));
        }
        if is_last {
            return Ok(Liveness::Dead);
        }
        tokio::time::sleep_until(deadline.min(Instant::now() + interval / 2)).await;
    }
}

/// The lease, unless it is a fenced writer's.
async fn current_lease(root: &Root, dataset: &Dataset) -> Result<Option<Lease>> {
    let lease = Lease::read(root).await?;
    Ok(lease.filter(|lease| lease.epoch >= dataset.epoch))
}

fn alive(dataset: &Dataset, lease: Option<&Lease>) -> Liveness {
    let mut by = dataset.writer.clone();
    if let Some(lease) = lease {
        by.host.clone_from(&lease.host);
        by.pid = lease.pid;
    }
    Liveness::Alive {
        by,
        epoch: lease.map_or(dataset.epoch, |lease| lease.epoch),
    }
}

/// A task that renews the lease until it is stopped, or its writer is fenced.
///
/// A renewal that fails is logged and made good by the next one. Dropped, it stops; a renewal
/// that is under way may still land.
#[derive(Debug)]
pub(crate) struct Heartbeat {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Heartbeat {
    /// Starts renewing, the first time at once.
    pub(crate) fn start(root: Root, fence: Fence, writer: &WriterInfo, interval: Duration) -> Self {
        let interval = interval.clamp(INTERVALS.0, INTERVALS.1);
        let lease = Lease {
            epoch: fence.epoch(),
            token: fence.token().to_owned(),
            counter: 0,
            host: writer.host.clone(),
            pid: writer.pid,
            interval_ms: interval.as_millis().try_into().unwrap_or(u64::MAX),
        };
        let stop = CancellationToken::new();
        let task = tokio::spawn(renew(root, fence, lease, interval, stop.clone()));
        Self { stop, task }
    }

    /// Stops, and waits for a renewal that is under way.
    pub(crate) async fn stop(mut self) {
        self.stop.cancel();
        // It ends by itself; a panic in it was reported when it happened.
        let _ = (&mut self.task).await;
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn renew(
    root: Root,
    fence: Fence,
    mut lease: Lease,
    interval: Duration,
    stop: CancellationToken,
) {
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        // A fenced writer keeps still, lest its beats cover the new writer's.
        match fence.check().await {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => {
                tracing::warn!(%error, "the fence could not be checked");
                continue;
            }
        }
        lease.counter += 1;
        if let Err(error) = lease.write(&root).await {
            tracing::warn!(%error, "the lease was not renewed");
        }
    }
}
