//! How much load a run may put on its source, and when it pauses.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};

/// How often guards look at the source.
pub const DEFAULT_CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// How long guards may keep a run from reading before it pauses.
pub const DEFAULT_MAX_WAIT: Duration = Duration::from_secs(30 * 60);

/// How fast and how long a run reads. What is not given does not limit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pace {
    /// COPY bytes a second, over all workers.
    pub max_rate: Option<u64>,
    /// How long each worker rests after a chunk.
    pub pause_between_chunks: Duration,
    /// Chunks that this run reads; then it pauses.
    pub max_chunks: Option<u64>,
    /// How long this run begins further chunks; then it pauses.
    pub stop_after: Option<Duration>,
    /// The hours in which this run begins chunks; outside of them it pauses.
    pub window: Option<DailyWindow>,
}

/// Limits on the source's own state, looked at while a run reads. What is not given is not
/// looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guards {
    /// The most that a standby may lie behind; above it nothing is read until it has caught up.
    pub max_replica_lag: Option<Duration>,
    /// The most sessions, but the run's own, that may be active; above it nothing is
    /// read until they are fewer.
    pub max_active_sessions: Option<u32>,
    /// The most WAL, in bytes, that replication slots may hold back; above it the run pauses.
    pub max_retained_wal: Option<u64>,
    /// How long the snapshot may hold vacuum back; then the run pauses and lets it go.
    pub max_snapshot_age: Option<Duration>,
    /// How long the run may be kept from reading at one stretch; then it pauses, rather than to
    /// hold a snapshot for nothing. Default [`DEFAULT_MAX_WAIT`].
    pub max_wait: Duration,
    /// How often they are looked at. Default [`DEFAULT_CHECK_INTERVAL`].
    pub check_interval: Duration,
}

impl Default for Guards {
    fn default() -> Self {
        Self {
            max_replica_lag: None,
            max_active_sessions: None,
            max_retained_wal: None,
            max_snapshot_age: None,
            max_wait: DEFAULT_MAX_WAIT,
            check_interval: DEFAULT_CHECK_INTERVAL,
        }
    }
}

/// Hours of each day, in the machine's own time zone: `[from, to)` in minutes since midnight. It
/// may span midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DailyWindow {
    /// The first minute.
    pub from: u16,
    /// The minute after the last.
    pub to: u16,
}

impl DailyWindow {
    /// Whether a minute of the day lies inside.
    #[must_use]
    pub fn contains(&self, minute: u16) -> bool {
        match self.from < self.to {
            true => (self.from..self.to).contains(&minute),
            false => minute >= self.from || minute < self.to,
        }
    }
}

/// `22:00-06:00`
impl FromStr for DailyWindow {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let window = text.trim().split_once('-').and_then(|(from, to)| {
            let (from, to) = (minute(from)?, minute(to)?);
            (from != to).then_some(Self { from, to })
        });
        window.ok_or_else(|| {
            Error::new(
                ErrorKind::Config,
                format!(
                    "--window {text}: expected two different times of day, such as 22:00-06:00"
                ),
            )
        })
    }
}

fn minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.trim().split_once(':')?;
    let two = |text: &str| match text.len() {
        2 if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse::<u16>().ok(),
        _ => None,
    };
    let (hour, minute) = (two(hour)?, two(minute)?);
    (hour < 24 && minute < 60).then_some(hour * 60 + minute)
}

impl fmt::Display for DailyWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, to) = (self.from, self.to);
        write!(
            f,
            "{:02}:{:02}-{:02}:{:02}",
            from / 60,
            from % 60,
            to / 60,
            to % 60
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_may_span_midnight() {
        let night: DailyWindow = "22:00-06:30".parse().unwrap();
        assert!(night.contains(22 * 60) && night.contains(0) && night.contains(6 * 60 + 29));
        assert!(!night.contains(6 * 60 + 30) && !night.contains(21 * 60 + 59));
        let day: DailyWindow = "09:00-17:00".parse().unwrap();
        assert!(day.contains(9 * 60) && !day.contains(17 * 60));
        assert_eq!(night.to_string(), "22:00-06:30");
        for bad in [
            "",
            "22:00",
            "22:00-22:00",
            "24:00-01:00",
            "1:00-2:00",
            "10:60-11:00",
        ] {
            assert!(bad.parse::<DailyWindow>().is_err(), "{bad:?}");
        }
    }
}
