//! How a store fares: what went wrong with its answers, and since when.
//!
//! Owns the counts that a report shows and the words that a waiting run says. It repeats nothing
//! and gives nothing up.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use object_store::client::HttpErrorKind;

/// Failures for this long are told, and again as often.
const TELL_AFTER: Duration = Duration::from_secs(10);

/// Shared by all clients of one root.
#[derive(Debug, Default)]
pub(crate) struct Health(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    failures: BTreeMap<String, u64>,
    /// Since when nothing went well, what failed last, and when that was told.
    outage: Option<Outage>,
}

#[derive(Debug)]
struct Outage {
    since: Instant,
    last: String,
    told: Option<Instant>,
}

impl Health {
    /// An answer with this status came.
    pub(super) fn answered(&self, status: u16) {
        if status >= 500 || matches!(status, 408 | 429) {
            self.failed(code_of_status(status));
        } else {
            self.recovered();
        }
    }

    /// No answer came, or not all of it.
    pub(super) fn broke(&self, kind: HttpErrorKind) {
        self.failed(code_of_transport(kind).to_owned());
    }

    /// How often each kind of failure was seen.
    pub(crate) fn failures(&self) -> BTreeMap<String, u64> {
        self.lock().failures.clone()
    }

    /// What is wrong, in one sentence, once it has been so for a while.
    pub(crate) fn told(&self) -> Option<String> {
        let state = self.lock();
        let outage = state.outage.as_ref()?;
        (outage.since.elapsed() >= TELL_AFTER).then(|| outage.sentence())
    }

    fn failed(&self, code: String) {
        let mut state = self.lock();
        *state.failures.entry(code.clone()).or_default() += 1;
        let outage = state.outage.get_or_insert_with(|| Outage {
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

    fn recovered(&self) {
        let over = self.lock().outage.take();
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

    #[test]
    fn failures_are_counted_by_kind_and_an_answer_ends_the_outage() {
        let health = Health::default();
        health.answered(200);
        health.answered(404);
        assert!(health.failures().is_empty());
        health.answered(503);
        health.answered(503);
        health.broke(HttpErrorKind::Timeout);
        let counted: Vec<_> = health.failures().into_iter().collect();
        let expected = [("store 503".to_owned(), 2), ("store timeout".to_owned(), 1)];
        assert_eq!(counted, expected);
        assert!(health.lock().outage.is_some());
        assert_eq!(health.told(), None, "it may be over at once");
        health.answered(412);
        assert!(health.lock().outage.is_none(), "a refusal is an answer");
    }
}
