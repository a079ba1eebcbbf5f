//! How fast counters move: over the last seconds, not since the start.

use std::collections::VecDeque;
use std::time::Duration;

/// The span that a rate is taken over.
const WINDOW: Duration = Duration::from_secs(15);
/// The least time between two samples that are kept: bounds the window to about 30.
const SPACING: Duration = Duration::from_millis(500);

/// Samples of two counters.
#[derive(Debug, Default)]
pub(super) struct Meter {
    samples: VecDeque<Sample>,
    last: Option<Sample>,
}

#[derive(Debug, Clone, Copy)]
struct Sample {
    at: Duration,
    rows: u64,
    bytes: u64,
}

/// How fast a table moves, a second.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Rate {
    pub(super) rows: f64,
    pub(super) bytes: f64,
}

impl Meter {
    /// Adds a reading. Time does not go back; counters may, when a try is taken back.
    pub(super) fn record(&mut self, at: Duration, rows: u64, bytes: u64) {
        let sample = Sample { at, rows, bytes };
        self.last = Some(sample);
        if rows == 0 && bytes == 0 {
            // Time spent waiting for its turn says nothing about a table's pace.
            self.samples.clear();
        }
        if self
            .samples
            .back()
            .is_none_or(|newest| at.saturating_sub(newest.at) >= SPACING)
        {
            self.samples.push_back(sample);
        }
        // One sample older than the window stays, so that the window is always full.
        while self
            .samples
            .get(1)
            .is_some_and(|second| at.saturating_sub(second.at) >= WINDOW)
        {
            self.samples.pop_front();
        }
    }

    /// The rate over the window; zero before there are two readings.
    pub(super) fn rate(&self) -> Rate {
        let (Some(first), Some(last)) = (self.samples.front(), self.last) else {
            return Rate::default();
        };
        let seconds = last.at.saturating_sub(first.at).as_secs_f64();
        if seconds <= 0.0 {
            return Rate::default();
        }
        Rate {
            rows: last.rows.saturating_sub(first.rows) as f64 / seconds,
            bytes: last.bytes.saturating_sub(first.bytes) as f64 / seconds,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_follows_the_last_seconds_and_stays_bounded() {
        let mut meter = Meter::default();
        assert_eq!(meter.rate(), Rate::default());
        for tenth in 0..1000_u64 {
            // 100 rows a second for 50 s, then 1000 a second.
            let rows = if tenth < 500 {
                tenth * 10
            } else {
                5_000 + (tenth - 500) * 100
            };
            meter.record(Duration::from_millis(tenth * 100), rows, 0);
        }
        assert!(
            (meter.rate().rows - 1000.0).abs() < 1.0,
            "{:?}",
            meter.rate()
        );
        assert!(meter.samples.len() <= 32);
    }

    #[test]
    fn waiting_for_a_turn_does_not_count() {
        let mut meter = Meter::default();
        for second in 0..10 {
            meter.record(Duration::from_secs(second), 0, 0);
        }
        meter.record(Duration::from_secs(10), 500, 500);
        assert_eq!(
            meter.rate(),
            Rate {
                rows: 500.0,
                bytes: 500.0
            }
        );
    }

    #[test]
    fn a_counter_that_is_taken_back_is_no_negative_rate() {
        let mut meter = Meter::default();
        meter.record(Duration::ZERO, 100, 100);
        meter.record(Duration::from_secs(1), 0, 0);
        assert_eq!(meter.rate(), Rate::default());
    }
}
