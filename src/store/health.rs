//! How a store fares: what went wrong with its answers, and since when.
//!
//! Owns the counts that a report shows and the words that a waiting run says. It repeats nothing
//! and gives nothing up.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use object_store::client::HttpErrorKind;
use tokio::time::Instant;

/// Failures for this long are told, and again as often.
const TELL_AFTER: Duration = Duration::from_secs(10);

/// What a request asks for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Asked {
    Read,
    Write,
}

/// Shared by all clients of one root.
#[derive(Debug, Default)]
pub(crate) struct Health(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    failures: BTreeMap<String, u64>,
    /// Of reads and of writes: a store that is full or refuses writes still answers reads.
    outages: [Option<Outage>; 2],
}

/// Since when nothing went well, what failed last, and when that was told.
#[derive(Debug)]
struct Outage {
    since: Instant,
    last: String,
    told: Option<Instant>,
}

impl Health {
    /// An answer with this status came.
    pub(super) fn answered(&self, of: Asked, status: u16) {
        if status >= 500 || matches!(status, 408 | 429) {
            self.failed(of, code_of_status(status));
        } else {
            self.recovered(of);
        }
    }

    /// No answer came, or not all of it.
    pub(super) fn broke(&self, of: Asked, kind: HttpErrorKind) {
        self.failed(of, code_of_transport(kind).to_owned());
    }

    /// How often each kind of failure was seen.
    pub(crate) fn failures(&self) -> BTreeMap<String, u64> {
        self.lock().failures.clone()
    }

    /// What is wrong, in one sentence, once it has been so for a while.
    pub(crate) fn told(&self) -> Option<String> {
        let state = self.lock();
        let mut long = state.outages.iter().flatten();
        let outage = long.find(|outage| outage.since.elapsed() >= TELL_AFTER)?;
        Some(outage.sentence())
    }

    fn failed(&self, of: Asked, code: String) {
        let mut state = self.lock();
        *state.failures.entry(code.clone()).or_default() += 1;
        let outage = state.outages[of as usize].get_or_insert_with(|| Outage {
            since: Instant::now(),
            last: String::new(),
            told: None,
        });
        outage.last = code;
        let since_told = outage.told.unwrap_or(outage.since).elapsed();
        if since_told >= TELL_AFTER {
            outage.told = Some(Instant::now());
            tracing::warn!("{}", outage.sentence());
        }
    }

    fn recovered(&self, of: Asked) {
        let over = self.lock().outages[of as usize].take();
        if let Some(outage) = over.filter(|outage| outage.told.is_some()) {
            let seconds = outage.since.elapsed().as_secs();
            tracing::info!("the store answers again, after {seconds} s");
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Outage {
    fn sentence(&self) -> String {
        let seconds = self.since.elapsed().as_secs();
        let last = &self.last;
        format!("the store has not answered well for {seconds} s ({last}); trying again")
    }
}

/// The code of an error that has this status.
pub(super) fn code_of_status(status: u16) -> String {
    format!("store {status}")
}

/// The code of an error of the connection.
pub(super) fn code_of_transport(kind: HttpErrorKind) -> &'static str {
    match kind {
        HttpErrorKind::Timeout => "store timeout",
        HttpErrorKind::Decode => "store protocol",
        _ => "store connection",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn failures_are_counted_and_an_outage_is_told_until_an_answer_ends_it() {
        let health = Health::default();
        health.answered(Asked::Write, 200);
        health.answered(Asked::Write, 404);
        assert!(health.failures().is_empty());
        health.answered(Asked::Write, 503);
        health.answered(Asked::Write, 503);
        health.broke(Asked::Read, HttpErrorKind::Timeout);
        let counted: Vec<_> = health.failures().into_iter().collect();
        let expected = [("store 503".to_owned(), 2), ("store timeout".to_owned(), 1)];
        assert_eq!(counted, expected);
        assert_eq!(health.told(), None, "it may be over at once");
        tokio::time::advance(TELL_AFTER).await;
        health.answered(Asked::Read, 200);
        let told = health.told().unwrap();
        assert!(
            told.contains("for 10 s (store 503)"),
            "reads do not end it: {told}"
        );
        health.answered(Asked::Write, 412);
        assert_eq!(health.told(), None, "a refusal is an answer");
    }
}
