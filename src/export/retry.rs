//! How often, how long and how patiently what failed is tried again.
//!
//! Owns the waits between tries, the run's budget of failing tries and the counts of what failed.
//! Which failures may pass is told by the error itself: `pg` and `store` classify them.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::error::{Error, Result};
use crate::export::worker::one_line;
use crate::pg::error::{passes_soon, sqlstate};

/// The wait before the second try.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// No wait is longer.
const LONGEST_WAIT: Duration = Duration::from_secs(20);
/// How long a run that has read nothing yet waits for a server that starts or is full.
const OPENING_LIMIT: Duration = Duration::from_secs(30);
/// Tries of a run whose connection is cut before it has read anything: that can be another service.
const OPENING_TRIES: u32 = 3;

/// The wait after try number `attempt` (from 1) failed: doubling, capped, and drawn from the upper
/// half of the interval by `jitter` in `0.0..1.0`, so that workers do not come back in step.
pub(crate) fn wait_after(attempt: u32, jitter: f64) -> Duration {
    let doubled = FIRST_WAIT.saturating_mul(1 << attempt.saturating_sub(1).min(16));
    doubled
        .min(LONGEST_WAIT)
        .mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0)
}

/// The kind of a failure, for counting.
pub(crate) fn kind_of(error: &Error) -> String {
    let code = error.code().map(str::to_owned);
    code.unwrap_or_else(|| error.kind().as_str().to_owned())
}

/// How long a run puts up with failing tries, and what failed so far.
#[derive(Debug)]
pub(crate) struct Patience {
    budget: Duration,
    state: Mutex<State>,
    /// It is over: nothing landed for too long.
    pub(crate) spent: CancellationToken,
}

#[derive(Debug, Default)]
struct State {
    counts: BTreeMap<String, u64>,
    /// The first failure since a chunk landed, and how many there were since.
    failing: Option<(Instant, u64)>,
    over: Option<Error>,
}

impl Patience {
    /// Full, and nothing failed yet.
    pub(crate) fn new(budget: Duration) -> Self {
        Self {
            budget,
            state: Mutex::default(),
            spent: CancellationToken::new(),
        }
    }

    /// A try of a chunk failed; whether the run has patience for another.
    #[must_use]
    pub(crate) fn bears(&self, error: &Error) -> bool {
        self.count(error);
        let mut state = self.lock();
        let (since, failures) = state.failing.get_or_insert_with(|| (Instant::now(), 0));
        *failures += 1;
        let (failures, elapsed) = (*failures, since.elapsed());
        if elapsed < self.budget {
            return true;
        }
        let seconds = elapsed.as_secs();
        let message =
            format!("{failures} tries failed in {seconds} s, and no chunk landed in between");
        state.over.get_or_insert_with(|| {
            let advice = error.advice().unwrap_or("see the cause");
            Error::new(error.kind(), message)
                .with_source(one_line(error))
                .with_advice(format!(
                    "{advice}; then start again: what was committed stays (--retry-budget sets \
                     how long a run puts up with failures)"
                ))
        });
        self.spent.cancel();
        false
    }

    /// A failure that is tried again, whatever it was for.
    pub(crate) fn count(&self, error: &Error) {
        *self.lock().counts.entry(kind_of(error)).or_default() += 1;
    }

    /// A chunk landed: the failures before it are forgiven.
    pub(crate) fn landed(&self) {
        self.lock().failing = None;
    }

    /// What has failed so far, by kind.
    pub(crate) fn counts(&self) -> BTreeMap<String, u64> {
        self.lock().counts.clone()
    }

    /// Waits until the patience is over. Why, once.
    pub(crate) async fn over(&self) -> Option<Error> {
        self.spent.cancelled().await;
        self.lock().over.take()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Does what comes before the first write, again while the server starts or is full: all of it,
/// as nothing of it is kept.
///
/// # Errors
///
/// The step's own.
pub(crate) async fn opening<T, F>(patience: &Patience, mut step: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    let until = Instant::now() + OPENING_LIMIT;
    let mut attempt = 1;
    loop {
        match step().await {
            Err(error)
                if passes_soon(&error)
                    && Instant::now() < until
                    && (attempt < OPENING_TRIES || sqlstate(&error).is_some()) =>
            {
                patience.count(&error);
                let error = one_line(&error);
                tracing::warn!(attempt, error, "the run could not begin, trying again");
                sleep(wait_after(attempt, rand::random())).await;
                attempt += 1;
            }
            ended => return ended,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn failure() -> Error {
        Error::new(ErrorKind::Storage, "down").with_code("store 503")
    }

    #[test]
    fn waits_double_up_to_the_cap_and_never_vanish() {
        assert_eq!(wait_after(1, 1.0), FIRST_WAIT);
        assert_eq!(wait_after(1, 0.0), FIRST_WAIT / 2);
        assert_eq!(wait_after(2, 1.0), FIRST_WAIT * 2);
        assert_eq!(wait_after(99, 1.0), LONGEST_WAIT);
    }

    #[tokio::test(start_paused = true)]
    async fn patience_ends_when_nothing_lands_and_is_renewed_by_what_does() {
        let patience = Patience::new(Duration::from_secs(100));
        for _ in 0..5 {
            assert!(patience.bears(&failure()));
            tokio::time::advance(Duration::from_secs(60)).await;
            assert!(patience.bears(&failure()));
            patience.landed();
        }
        assert!(patience.bears(&failure()));
        tokio::time::advance(Duration::from_secs(100)).await;
        assert!(!patience.spent.is_cancelled());
        assert!(!patience.bears(&failure()));
        let over = patience.over().await.unwrap();
        assert_eq!(over.kind(), ErrorKind::Storage);
        assert!(
            over.to_string().contains("2 tries failed in 100 s"),
            "{over}"
        );
        assert_eq!(patience.counts()["store 503"], 12);
    }

    #[tokio::test(start_paused = true)]
    async fn only_what_passes_soon_delays_a_beginning() {
        let patience = Patience::new(Duration::ZERO);
        let mut tries = 0;
        let opened: Result<()> = opening(&patience, || {
            tries += 1;
            async { Err(failure().with_retryable(true)) }
        })
        .await;
        assert!(opened.is_err());
        assert_eq!(tries, 1);
    }
}
