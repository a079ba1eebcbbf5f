//! The guards: one task with a connection of its own that looks at the source again and again,
//! and slows a run down or pauses it.
//!
//! Owns what the numbers mean. It holds no transaction and no snapshot, and lets nothing be read
//! while it cannot look. Reading stops at the throttle's gate; the pause is the pacer's.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::error::{Error, ErrorKind, Result};
use crate::export::pace::{PAUSE_GRACE, Pacer, STOP_GRACE};
use crate::export::retry::wait_after;
use crate::export::worker::one_line;
use crate::options::Guards;
use crate::pg::load::{self, ReplicaLag, Standby};
use crate::pg::{ConnectOptions, ServerIdentity, Session};
use crate::snapshot::Snapshot;

/// How long one look may take; a server that is slower counts as not seen.
const LOOK_LIMIT: Duration = Duration::from_secs(10);
/// How often a look is tried before the run is paused for want of it.
const LOOK_ATTEMPTS: u32 = 6;
/// What is said to hold the run while the guards cannot look.
const BLIND: &str = "guards";

/// The running task; dropped, it ends and its connection closes.
pub(crate) struct Guard {
    task: JoinHandle<()>,
    server: ServerIdentity,
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Guard {
    /// Looks once, and then goes on to look in the background; `None` when there is nothing to
    /// look at.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Source`] when the server cannot be reached, or hides from this user what is to
    /// be watched; [`ErrorKind::Config`] when there is no standby to watch.
    pub(crate) async fn start(
        source: &ConnectOptions,
        run_id: &str,
        guards: &Guards,
        pacer: &Arc<Pacer>,
    ) -> Result<Option<Self>> {
        let is_asked = guards.max_replica_lag.is_some()
            || guards.max_active_sessions.is_some()
            || guards.max_retained_wal.is_some();
        if !is_asked {
            return Ok(None);
        }
        let mut watch = Watch {
            source: source.clone(),
            ours: format!("pgsluice {run_id} "),
            guards: guards.clone(),
            pacer: Arc::clone(pacer),
            silence: Silence::default(),
            server: None,
            slow_since: None,
        };
        let session = watch.connect().await?;
        let server = session.identity().clone();
        watch.server = Some(server.clone());
        let reading = watch.look(&session).await?;
        if guards.max_replica_lag.is_some() && watch.silence.most == 0 && !server.in_recovery {
            return Err(
                Error::new(ErrorKind::Config, "no standby streams from this server").with_advice(
                    "leave --max-replica-lag out, or start again when the standby is connected",
                ),
            );
        }
        watch.act(&reading);
        let task = tokio::spawn(watch.run(session));
        Ok(Some(Self { task, server }))
    }

    /// Makes sure that the server that is watched is the one that is read.
    pub(crate) fn check_server(&self, snapshot: &Snapshot) -> Result<()> {
        if self.server.system_identifier == snapshot.system_identifier
            && self.server.started_at == snapshot.server_started_at
        {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Unsupported,
            "the guards' connection led to another server than the one that is read",
        )
        .with_advice("name one host: every connection must reach the same server"))
    }
}

/// What one look found; `None`: not asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Reading {
    active_sessions: Option<u64>,
    replica_lag: Option<Duration>,
    retained_wal: Option<u64>,
}

/// What follows from it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Verdict {
    GoOn,
    Slow { by: &'static str, told: String },
    Pause { reason: String },
}

struct Watch {
    source: ConnectOptions,
    /// What the run's own sessions are called.
    ours: String,
    guards: Guards,
    pacer: Arc<Pacer>,
    silence: Silence,
    server: Option<ServerIdentity>,
    slow_since: Option<Instant>,
}

impl Watch {
    async fn run(mut self, session: Session) {
        let mut session = Some(session);
        let mut failures = 0;
        // A paused run's chunks may still be running: they are watched to their end.
        loop {
            let wait = match failures {
                0 => self.guards.check_interval,
                failures => wait_after(failures, rand::random()),
            };
            tokio::time::sleep(wait).await;
            match self.look_again(&mut session).await {
                Ok(reading) => {
                    failures = 0;
                    self.act(&reading);
                }
                Err(error) => {
                    session = None;
                    failures += 1;
                    self.hold(BLIND, "the guards cannot look at the source");
                    let error = one_line(&error);
                    if failures == LOOK_ATTEMPTS {
                        let reason = format!("the guards could not look any more: {error}");
                        self.pacer.pause(reason, STOP_GRACE);
                        return;
                    }
                    tracing::warn!(failures, error, "the guards could not look at the source");
                }
            }
        }
    }

    async fn look_again(&mut self, session: &mut Option<Session>) -> Result<Reading> {
        let session = match session {
            Some(session) => session,
            None => session.insert(self.connect().await?),
        };
        self.look(session).await
    }

    /// A session that sees what is to be seen, on the server that was watched before.
    async fn connect(&self) -> Result<Session> {
        let session = self.source.connect(&format!("{}guard", self.ours)).await?;
        if let Some(before) = &self.server
            && session.identity().is_other_server(before)
        {
            return Err(Error::new(
                ErrorKind::Source,
                "the server was restarted, promoted, or is another one",
            ));
        }
        let of_standbys = self.guards.max_replica_lag.is_some() && !session.identity().in_recovery;
        if of_standbys || self.guards.max_active_sessions.is_some() {
            load::check_sees_all(&session).await?;
        }
        Ok(session)
    }

    async fn look(&mut self, session: &Session) -> Result<Reading> {
        let looked = tokio::time::timeout(LOOK_LIMIT, self.read(session)).await;
        looked.unwrap_or_else(|_| {
            Err(Error::new(
                ErrorKind::Source,
                "the server did not answer the guards in time",
            ))
        })
    }

    async fn read(&mut self, session: &Session) -> Result<Reading> {
        let mut reading = Reading::default();
        if self.guards.max_active_sessions.is_some() {
            let active = load::active_sessions(session, &self.ours).await?;
            reading.active_sessions = Some(active);
        }
        if self.guards.max_replica_lag.is_some() {
            reading.replica_lag = Some(match load::replica_lag(session).await? {
                ReplicaLag::Own(lag) => lag,
                ReplicaLag::Standbys(standbys) => self.silence.lag(&standbys, Instant::now()),
            });
        }
        if self.guards.max_retained_wal.is_some() {
            reading.retained_wal = Some(load::retained_wal(session).await?);
        }
        Ok(reading)
    }

    fn act(&mut self, reading: &Reading) {
        match judge(&self.guards, reading) {
            Verdict::GoOn => {
                if self.slow_since.take().is_some() {
                    tracing::info!("the source is below its limits again: going on");
                }
                self.pacer.slowed.end();
                self.pacer.throttle.set_open(true);
            }
            Verdict::Slow { by, told } => self.hold(by, &told),
            Verdict::Pause { reason } => {
                self.pacer.slowed.end();
                self.pacer.throttle.set_open(true);
                self.pacer.pause(reason, PAUSE_GRACE);
            }
        }
    }

    /// Lets nothing be read, for now.
    fn hold(&mut self, by: &'static str, told: &str) {
        self.pacer.throttle.set_open(false);
        self.pacer.slowed.begin(by, told);
        let since = match self.slow_since {
            Some(since) => since,
            None => {
                tracing::warn!("reading waits: {told}");
                *self.slow_since.insert(Instant::now())
            }
        };
        // On a standby the run's own snapshot can be what its replay waits for.
        let shut = since.elapsed();
        if shut >= self.guards.max_wait {
            let most = humantime::format_duration(self.guards.max_wait);
            let reason = format!("nothing could be read for --max-wait {most}: {told}");
            self.pacer.pause(reason, STOP_GRACE);
        } else if shut >= STOP_GRACE && self.pacer.stop.is_cancelled() {
            // It pauses anyway: what cannot be read on holds snapshot and locks for nothing.
            self.pacer.pause(told.to_owned(), STOP_GRACE);
        }
    }
}

/// The strictest consequence of a reading. Above a limit, not at it.
fn judge(guards: &Guards, reading: &Reading) -> Verdict {
    if let (Some(most), Some(held)) = (guards.max_retained_wal, reading.retained_wal)
        && held > most
    {
        let reason = format!(
            "a replication slot holds {held} bytes of WAL back, above --max-retained-wal {most}"
        );
        return Verdict::Pause { reason };
    }
    if let (Some(most), Some(lag)) = (guards.max_replica_lag, reading.replica_lag)
        && lag > most
    {
        let most = humantime::format_duration(most);
        let lag = lag.as_secs_f64();
        return Verdict::Slow {
            by: "max_replica_lag",
            told: format!("a standby lies {lag:.1} s behind, above --max-replica-lag {most}"),
        };
    }
    if let (Some(most), Some(active)) = (guards.max_active_sessions, reading.active_sessions)
        && active > u64::from(most)
    {
        return Verdict::Slow {
            by: "max_active_sessions",
            told: format!("{active} other sessions are active, above --max-active-sessions {most}"),
        };
    }
    Verdict::GoOn
}

/// How long standbys have been silent, by this machine's own clock.
#[derive(Debug, Default)]
struct Silence {
    /// The last word of each, and since when it is the last.
    words: HashMap<i32, (Option<i64>, Instant)>,
    /// The most standbys that were connected at once.
    most: usize,
    /// Since when one of them is missing.
    missing: Option<Instant>,
}

impl Silence {
    /// The greatest lag: what each standby told, and as long as it has something to replay, what
    /// passed since it did. One that is gone lies behind by as long as it is.
    fn lag(&mut self, standbys: &[Standby], now: Instant) -> Duration {
        self.words
            .retain(|pid, _| standbys.iter().any(|standby| standby.pid == *pid));
        let mut greatest = Duration::ZERO;
        for standby in standbys {
            let word = self
                .words
                .entry(standby.pid)
                .or_insert((standby.replied_at, now));
            if word.0 != standby.replied_at {
                *word = (standby.replied_at, now);
            }
            if standby.is_behind {
                greatest = greatest.max(standby.lag + now.duration_since(word.1));
            }
        }
        self.most = self.most.max(standbys.len());
        if standbys.len() == self.most {
            self.missing = None;
        } else {
            let missing = *self.missing.get_or_insert(now);
            greatest = greatest.max(now.duration_since(missing));
        }
        greatest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standby(pid: i32, is_behind: bool, lag_seconds: u64, replied_at: i64) -> Standby {
        Standby {
            pid,
            is_behind,
            lag: Duration::from_secs(lag_seconds),
            replied_at: Some(replied_at),
        }
    }

    #[test]
    fn a_silent_standby_falls_behind_by_our_own_clock() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut silence = Silence::default();
        let seconds = Duration::from_secs;
        assert_eq!(silence.lag(&[standby(1, false, 9, 5)], at(0)), seconds(0));
        assert_eq!(silence.lag(&[standby(1, true, 2, 5)], at(10)), seconds(12));
        assert_eq!(silence.lag(&[standby(1, true, 3, 6)], at(20)), seconds(3));
        assert_eq!(silence.lag(&[standby(1, true, 3, 6)], at(24)), seconds(7));
        assert_eq!(silence.lag(&[standby(1, false, 3, 6)], at(28)), seconds(0));
    }

    #[test]
    fn a_standby_that_is_gone_falls_behind_until_as_many_are_there_again() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut silence = Silence::default();
        let (a, b) = (standby(1, false, 0, 1), standby(2, false, 0, 1));
        silence.lag(&[a.clone(), b.clone()], at(0));
        silence.lag(std::slice::from_ref(&a), at(5));
        assert_eq!(
            silence.lag(std::slice::from_ref(&a), at(65)),
            Duration::from_secs(60)
        );
        let again = standby(3, false, 0, 1);
        assert_eq!(silence.lag(&[a, again], at(70)), Duration::ZERO);
    }

    #[test]
    fn a_limit_is_passed_above_it() {
        let guards = Guards {
            max_replica_lag: Some(Duration::from_secs(5)),
            max_active_sessions: Some(3),
            max_retained_wal: Some(1 << 20),
            ..Guards::default()
        };
        let at_limit = Reading {
            active_sessions: Some(3),
            replica_lag: Some(Duration::from_secs(5)),
            retained_wal: Some(1 << 20),
        };
        assert_eq!(judge(&guards, &at_limit), Verdict::GoOn);
        let by = |reading| match judge(&guards, &reading) {
            Verdict::GoOn => "",
            Verdict::Slow { by, .. } => by,
            Verdict::Pause { .. } => "pause",
        };
        let busy = Reading {
            active_sessions: Some(4),
            ..at_limit.clone()
        };
        assert_eq!(by(busy), "max_active_sessions");
        let behind = Reading {
            replica_lag: Some(Duration::from_millis(5001)),
            ..at_limit.clone()
        };
        assert_eq!(by(behind), "max_replica_lag");
        let retained = Reading {
            retained_wal: Some((1 << 20) + 1),
            ..at_limit
        };
        assert_eq!(by(retained), "pause");
        assert_eq!(judge(&guards, &Reading::default()), Verdict::GoOn);
    }
}
