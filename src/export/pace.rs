//! Whether another chunk may begin, and why a run pauses.
//!
//! Owns the clock's and the counter's policies: chunks, duration, hours, the snapshot's age. The
//! source's own state is `guard`'s, bytes a second are `throttle`'s, and ending running chunks is
//! `run`'s.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chrono::{DateTime, Local, NaiveTime, Timelike, Utc};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::export::progress::Slowed;
use crate::export::retry::Patience;
use crate::export::throttle::Throttle;
use crate::options::{DailyWindow, ExportOptions, Pace};

/// How long running chunks may go on after a policy asked for a pause; then they are abandoned,
/// and read again by the next run.
pub(crate) const PAUSE_GRACE: Duration = Duration::from_secs(600);
/// The same after a signal, and where a pause comes because reading must not go on.
pub(crate) const STOP_GRACE: Duration = Duration::from_secs(10);

/// What the parts of a run ask before they go on. One a run, shared by all.
#[derive(Debug)]
pub(crate) struct Pacer {
    limits: Pace,
    started: Instant,
    /// When the snapshot is too old; set once it is taken.
    snapshot_ends: OnceLock<Instant>,
    max_snapshot_age: Option<Duration>,
    begun: AtomicU64,
    reason: OnceLock<String>,
    /// `None` until a pause is asked for.
    grace: watch::Sender<Option<Duration>>,
    /// No further chunk begins.
    pub(crate) stop: CancellationToken,
    /// How fast those that run may go on.
    pub(crate) throttle: Throttle,
    /// How long failing tries are put up with.
    pub(crate) patience: Patience,
    /// What slows the run down, and for how long it did.
    pub(crate) slowed: std::sync::Arc<Slowed>,
}

impl Pacer {
    /// The run starts now.
    pub(crate) fn new(options: &ExportOptions, slowed: std::sync::Arc<Slowed>) -> Self {
        Self {
            limits: options.pace.clone(),
            started: Instant::now(),
            snapshot_ends: OnceLock::new(),
            max_snapshot_age: options.guards.max_snapshot_age,
            begun: AtomicU64::new(0),
            reason: OnceLock::new(),
            grace: watch::Sender::new(None),
            stop: CancellationToken::new(),
            throttle: Throttle::new(options.pace.max_rate),
            patience: Patience::new(options.retry_budget),
            slowed,
        }
    }

    /// The snapshot was taken, or joined, at this time.
    pub(crate) fn snapshot_taken(&self, at: DateTime<Utc>) {
        if let Some(most) = self.max_snapshot_age {
            // A clock that was set back makes it no younger than now.
            let age = (Utc::now() - at).to_std().unwrap_or_default();
            let left = most.saturating_sub(age);
            let _ = self.snapshot_ends.set(Instant::now() + left);
        }
    }

    /// Asks for a pause: no further chunk begins, and what runs gets this long to end, or as long
    /// as a stop allows where it cannot be read on. The first reason stands, and the shortest time.
    pub(crate) fn pause(&self, reason: String, grace: Duration) {
        let grace = match self.throttle.is_open() {
            true => grace,
            false => grace.min(STOP_GRACE),
        };
        self.grace.send_if_modified(|now| {
            let is_shorter = now.is_none_or(|now| grace < now);
            if is_shorter {
                *now = Some(grace);
            }
            is_shorter
        });
        let _ = self.reason.set(reason);
        self.stop.cancel();
    }

    /// Why the run pauses, once it does.
    pub(crate) fn reason(&self) -> Option<&str> {
        self.reason.get().map(String::as_str)
    }

    /// How long running chunks may go on after `stop`.
    pub(crate) fn grace(&self) -> Duration {
        self.grace.borrow().unwrap_or(STOP_GRACE)
    }

    /// Tells when that becomes shorter.
    pub(crate) fn graces(&self) -> watch::Receiver<Option<Duration>> {
        self.grace.subscribe()
    }

    /// Pauses the run when its time is over.
    pub(crate) fn check_clock(&self) {
        if let Some(reason) = self.time_is_over() {
            self.pause(reason, PAUSE_GRACE);
        }
    }

    fn time_is_over(&self) -> Option<String> {
        if let Some(window) = &self.limits.window
            && let Some(reason) = outside(window, Local::now().time())
        {
            return Some(reason);
        }
        if let Some(most) = self.limits.stop_after
            && self.started.elapsed() >= most
        {
            let most = humantime::format_duration(most);
            return Some(format!("--stop-after {most} is over"));
        }
        let is_old = |ends: &Instant| Instant::now() >= *ends;
        if let (Some(most), true) = (
            self.max_snapshot_age,
            self.snapshot_ends.get().is_some_and(is_old),
        ) {
            let most = humantime::format_duration(most);
            return Some(format!(
                "the snapshot was held for --max-snapshot-age {most}; it is let go"
            ));
        }
        None
    }

    /// Waits until another chunk may begin; `false` when none may any more.
    pub(crate) async fn may_go_on(&self) -> bool {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => return false,
            () = self.throttle.opened() => {}
        }
        self.check_clock();
        !self.stop.is_cancelled()
    }

    /// Counts a chunk that is about to begin; `false` when the run has had its number. What runs
    /// then goes on to its end, however long that takes: it was asked for.
    pub(crate) fn count_chunk(&self) -> bool {
        let Some(most) = self.limits.max_chunks else {
            return true;
        };
        if self.begun.fetch_add(1, Ordering::AcqRel) < most {
            return true;
        }
        let _ = self
            .reason
            .set(format!("--max-chunks {most}: this run has read as many"));
        false
    }

    /// The rest between two chunks of a worker.
    pub(crate) async fn rest(&self) {
        let rest = self.limits.pause_between_chunks;
        if !rest.is_zero() {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => {}
                () = tokio::time::sleep(rest) => {}
            }
        }
    }
}

/// Why a time of day is none for chunks, with the hour when it is again; `None` inside.
fn outside(window: &DailyWindow, now: NaiveTime) -> Option<String> {
    let minute = u16::try_from(now.hour() * 60 + now.minute()).unwrap_or(0);
    if window.contains(minute) {
        return None;
    }
    let opens = format!("{:02}:{:02}", window.from / 60, window.from % 60);
    Some(format!(
        "outside of --window {window}: it opens at {opens} local time"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Guards;

    fn pacer(pace: Pace, guards: Guards) -> Pacer {
        let mut options = ExportOptions::new(Vec::new());
        options.pace = pace;
        options.guards = guards;
        Pacer::new(&options, std::sync::Arc::default())
    }

    #[tokio::test(start_paused = true)]
    async fn a_run_begins_chunks_until_its_time_is_over() {
        let pacer = pacer(
            Pace {
                stop_after: Some(Duration::from_secs(60)),
                ..Pace::default()
            },
            Guards::default(),
        );
        tokio::time::sleep(Duration::from_secs(59)).await;
        assert!(pacer.may_go_on().await);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(!pacer.may_go_on().await);
        assert_eq!(pacer.reason(), Some("--stop-after 1m is over"));
        assert_eq!(pacer.grace(), PAUSE_GRACE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_snapshot_grows_old_from_when_it_was_taken() {
        let guards = Guards {
            max_snapshot_age: Some(Duration::from_secs(3600)),
            ..Guards::default()
        };
        let pacer = pacer(Pace::default(), guards);
        assert!(pacer.may_go_on().await, "it is not taken yet");
        pacer.snapshot_taken(Utc::now() - chrono::TimeDelta::seconds(3000));
        assert!(pacer.may_go_on().await);
        tokio::time::sleep(Duration::from_secs(601)).await;
        assert!(!pacer.may_go_on().await);
        assert!(pacer.reason().unwrap().contains("--max-snapshot-age 1h"));
    }

    #[tokio::test]
    async fn a_number_of_chunks_lets_what_runs_go_on() {
        let pacer = pacer(
            Pace {
                max_chunks: Some(2),
                ..Pace::default()
            },
            Guards::default(),
        );
        assert!(pacer.count_chunk() && pacer.count_chunk());
        assert_eq!(pacer.reason(), None, "nothing more may be to do");
        assert!(!pacer.count_chunk());
        assert!(pacer.reason().unwrap().starts_with("--max-chunks 2"));
        assert!(!pacer.stop.is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_at_the_gate_or_rests_sees_the_stop() {
        let pacer = std::sync::Arc::new(pacer(
            Pace {
                pause_between_chunks: Duration::from_secs(3600),
                ..Pace::default()
            },
            Guards::default(),
        ));
        pacer.throttle.set_open(false);
        let waiting = std::sync::Arc::clone(&pacer);
        let waiting = tokio::spawn(async move {
            waiting.rest().await;
            waiting.may_go_on().await
        });
        tokio::time::sleep(Duration::from_secs(1)).await;
        pacer.pause("enough".into(), STOP_GRACE);
        assert!(!waiting.await.unwrap());
    }

    #[test]
    fn a_shorter_time_to_end_wins_and_a_shut_gate_shortens_it() {
        let pausing = pacer(Pace::default(), Guards::default());
        let mut graces = pausing.graces();
        pausing.pause("first".into(), PAUSE_GRACE);
        assert_eq!(pausing.grace(), PAUSE_GRACE);
        graces.mark_unchanged();
        pausing.pause("second".into(), STOP_GRACE);
        assert!(graces.has_changed().unwrap());
        assert_eq!(pausing.grace(), STOP_GRACE);
        pausing.pause("third".into(), PAUSE_GRACE);
        assert_eq!(pausing.grace(), STOP_GRACE);
        assert_eq!(pausing.reason(), Some("first"));

        let shut = pacer(Pace::default(), Guards::default());
        shut.throttle.set_open(false);
        shut.pause("its hours are over".into(), PAUSE_GRACE);
        assert_eq!(shut.grace(), STOP_GRACE);
    }

    #[test]
    fn outside_of_its_hours_a_run_says_when_they_come() {
        let window: DailyWindow = "22:00-06:00".parse().unwrap();
        let at = |hour, minute| NaiveTime::from_hms_opt(hour, minute, 59).unwrap();
        assert_eq!(outside(&window, at(22, 0)), None);
        assert_eq!(outside(&window, at(5, 59)), None);
        let told = outside(&window, at(6, 0)).unwrap();
        assert_eq!(
            told,
            "outside of --window 22:00-06:00: it opens at 22:00 local time"
        );
    }
}
