//! How often and how long a failed chunk is waited for. Pure arithmetic; the caller sleeps.

use std::time::Duration;

/// The wait before the second try.
const FIRST_WAIT: Duration = Duration::from_millis(200);
/// No wait is longer.
const LONGEST_WAIT: Duration = Duration::from_secs(20);

/// The wait after try number `attempt` (from 1) failed: doubling, capped, and drawn from the upper
/// half of the interval by `jitter` in `0.0..1.0`, so that workers do not come back in step.
pub(crate) fn wait_after(attempt: u32, jitter: f64) -> Duration {
    let doubled = FIRST_WAIT.saturating_mul(1 << attempt.saturating_sub(1).min(16));
    doubled
        .min(LONGEST_WAIT)
        .mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_cap_and_never_vanish() {
        assert_eq!(wait_after(1, 1.0), FIRST_WAIT);
        assert_eq!(wait_after(1, 0.0), FIRST_WAIT / 2);
        assert_eq!(wait_after(2, 1.0), FIRST_WAIT * 2);
        assert_eq!(wait_after(99, 1.0), LONGEST_WAIT);
    }
}
