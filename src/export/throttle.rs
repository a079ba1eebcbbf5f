//! The bytes that a run may take from its source: one bucket for all workers, and the gate that
//! guards close.
//!
//! A worker that must wait leaves its socket unread, which stops the server. What closes the gate
//! is `guard`'s; how long it was closed is counted in `progress`.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// Bytes that a worker reads before it asks again: the lock is taken this seldom.
pub(crate) const CHARGE_BYTES: usize = 64 << 10;
/// The bucket holds this part of a second's bytes, at least [`CHARGE_BYTES`].
const BURST_SECONDS: f64 = 0.25;

/// What all workers of a run ask before they read on.
///
/// In any span of `t` seconds a run takes at most `rate * t` bytes, and beside them one burst (a
/// quarter of a second's bytes, at least 64 KiB) and 64 KiB or one row a worker.
#[derive(Debug)]
pub(crate) struct Throttle {
    bucket: Option<Bucket>,
    /// Whether reading may go on.
    gate: watch::Sender<bool>,
}

impl Throttle {
    /// At most `rate` bytes a second; `None`: as fast as it goes.
    pub(crate) fn new(rate: Option<u64>) -> Self {
        Self {
            bucket: rate.map(Bucket::new),
            gate: watch::Sender::new(true),
        }
    }

    /// Counts bytes that were read, and waits until they are paid for and the gate is open.
    ///
    /// Dropped while it waits: they stay counted.
    pub(crate) async fn charge(&self, bytes: usize) {
        if let Some(bucket) = &self.bucket {
            let wait = bucket.take(bytes);
            if !wait.is_zero() {
                tokio::time::sleep(wait).await;
            }
        }
        self.opened().await;
    }

    /// Whether the gate is open.
    pub(crate) fn is_open(&self) -> bool {
        *self.gate.borrow()
    }

    /// Waits until the gate is open.
    pub(crate) async fn opened(&self) {
        if !self.is_open() {
            // The sender is ours: it cannot go away meanwhile.
            let _ = self.gate.subscribe().wait_for(|open| *open).await;
        }
    }

    /// Lets nobody read on, or everybody.
    pub(crate) fn set_open(&self, open: bool) {
        self.gate.send_if_modified(|now| {
            let changed = *now != open;
            *now = open;
            changed
        });
    }
}

/// A token bucket that may go below zero: whoever takes too much waits until it is paid back, and
/// those who come later wait behind.
#[derive(Debug)]
struct Bucket {
    rate: f64,
    burst: f64,
    level: Mutex<Level>,
}

#[derive(Debug)]
struct Level {
    bytes: f64,
    at: Instant,
}

impl Bucket {
    fn new(rate: u64) -> Self {
        let rate = rate.max(1) as f64;
        let burst = (rate * BURST_SECONDS).max(CHARGE_BYTES as f64);
        Self {
            rate,
            burst,
            level: Mutex::new(Level {
                bytes: burst,
                at: Instant::now(),
            }),
        }
    }

    /// Takes bytes out, and says how long to wait for them.
    fn take(&self, bytes: usize) -> Duration {
        let mut level = self.level.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let gained = now.duration_since(level.at).as_secs_f64() * self.rate;
        level.bytes = (level.bytes + gained).min(self.burst) - bytes as f64;
        level.at = now;
        match level.bytes < 0.0 {
            // A row has at most 1 GiB, and a rate is at least 1: the quotient fits.
            true => Duration::from_secs_f64(-level.bytes / self.rate),
            false => Duration::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const MIB: u64 = 1 << 20;

    #[tokio::test(start_paused = true)]
    async fn four_workers_share_one_rate() {
        let throttle = Arc::new(Throttle::new(Some(8 * MIB)));
        let from = Instant::now();
        let workers = (0..4).map(|_| {
            let throttle = Arc::clone(&throttle);
            tokio::spawn(async move {
                for _ in 0..(20 * MIB) / CHARGE_BYTES as u64 {
                    throttle.charge(CHARGE_BYTES).await;
                }
            })
        });
        for worker in workers.collect::<Vec<_>>() {
            worker.await.unwrap();
        }
        // 80 MiB at 8 MiB/s, less the burst of a quarter second.
        let took = from.elapsed().as_secs_f64();
        assert!((9.74..9.80).contains(&took), "{took}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_rest_does_not_pile_up_more_than_one_burst() {
        let throttle = Throttle::new(Some(8 * MIB));
        tokio::time::sleep(Duration::from_secs(3600)).await;
        let from = Instant::now();
        for _ in 0..(8 * MIB) / CHARGE_BYTES as u64 {
            throttle.charge(CHARGE_BYTES).await;
        }
        let took = from.elapsed().as_secs_f64();
        assert!((0.74..0.80).contains(&took), "{took}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_row_larger_than_the_burst_is_paid_for_whole() {
        let throttle = Throttle::new(Some(1 << 10));
        let from = Instant::now();
        throttle.charge(1 << 20).await;
        let took = from.elapsed().as_secs_f64();
        // 1 MiB less the burst of 64 KiB, at 1 KiB a second.
        assert!((959.9..960.1).contains(&took), "{took}");
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_rate_nobody_waits() {
        let throttle = Throttle::new(None);
        let from = Instant::now();
        for _ in 0..10_000 {
            throttle.charge(CHARGE_BYTES).await;
        }
        assert_eq!(from.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_closed_gate_holds_reading_until_it_opens() {
        let throttle = Arc::new(Throttle::new(None));
        throttle.set_open(false);
        let reader = Arc::clone(&throttle);
        let mut reading = tokio::spawn(async move { reader.charge(1).await });
        let soon = tokio::time::timeout(Duration::from_secs(60), &mut reading).await;
        assert!(soon.is_err(), "it read on");
        throttle.set_open(true);
        reading.await.unwrap();
    }
}
