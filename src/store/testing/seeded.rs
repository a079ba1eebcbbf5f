//! Faults that follow from a seed: the same seed, the same faults at the same requests.
//!
//! Owns chance, weather (how often what fails) and doom: a process that dies or stands still at
//! its k-th request. Time is tokio's, so that a paused clock makes hours pass at once.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Call, Fault, Faults, Op, Verdict};

/// SplitMix64: small, seeded, and the same on every machine.
#[derive(Debug, Clone)]
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Below `end`, which is not 0.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub(crate) fn within(&mut self, from: u64, to: u64) -> u64 {
        from + self.below(to - from + 1)
    }

    /// True in so many of a thousand cases.
    pub(crate) fn chance(&mut self, per_mille: u32) -> bool {
        self.below(1000) < u64::from(per_mille)
    }

    pub(crate) fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(self.within(from, to))
    }

    /// One that draws independently.
    pub(crate) fn fork(&mut self) -> Self {
        Self(self.next())
    }
}

/// How often a request goes wrong.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Weather {
    /// Faults, of a thousand requests.
    pub(crate) faults: u32,
    /// Requests and replies that take a few milliseconds, of a thousand.
    pub(crate) delayed: u32,
    /// Those that take seconds, of a thousand.
    pub(crate) slow: u32,
    /// From when until when nearly all fail, after the first request.
    pub(crate) outage: Option<(Duration, Duration)>,
}

impl Weather {
    /// Nothing fails, nothing waits.
    pub(crate) const FAIR: Self = Self {
        faults: 0,
        delayed: 0,
        slow: 0,
        outage: None,
    };
}

/// Which request of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum At {
    /// The n-th, from 1.
    Request(u32),
    /// The n-th, from 1, that changes an object whose key has this in it.
    Change(&'static str, u32),
}

/// What becomes of a process at one of its requests.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Doom {
    pub(crate) at: At,
    /// After the request took effect, before its reply.
    pub(crate) after: bool,
    /// It stands still for so long, with all its requests; `None`: it dies.
    pub(crate) lasts: Option<Duration>,
}

#[derive(Debug)]
struct State {
    rng: Rng,
    dooms: Vec<Doom>,
    held_until: Option<Instant>,
    began: Option<Instant>,
}

/// The faults of one process.
#[derive(Debug)]
pub(crate) struct SeededFaults {
    weather: Weather,
    state: Mutex<State>,
    calls: AtomicU32,
    /// It died: nothing returns any more.
    pub(crate) dead: CancellationToken,
}

impl SeededFaults {
    pub(crate) fn new(rng: Rng, weather: Weather, dooms: Vec<Doom>) -> Self {
        let state = State {
            rng,
            dooms,
            held_until: None,
            began: None,
        };
        Self {
            weather,
            state: Mutex::new(state),
            calls: AtomicU32::new(0),
            dead: CancellationToken::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Finds out what this request meets, on its way there and on its way back.
    fn count(&self, call: &Call) -> u32 {
        let number = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        let is_change = matches!(call.op, Op::Put | Op::Create | Op::Complete | Op::Delete);
        let mut state = self.lock();
        for doom in &mut state.dooms {
            if let At::Change(what, nth) = &mut doom.at
                && is_change
                && call.key.as_ref().contains(*what)
            {
                *nth -= 1;
                if *nth == 0 {
                    doom.at = At::Request(number);
                }
            }
        }
        number
    }

    fn meet_doom(&self, number: u32, after: bool) {
        let mut state = self.lock();
        let is_met = |doom: &Doom| doom.at == At::Request(number) && doom.after == after;
        let Some(doom) = state.dooms.iter().copied().find(is_met) else {
            return;
        };
        match doom.lasts {
            Some(lasts) => state.held_until = Some(Instant::now() + lasts),
            None => self.dead.cancel(),
        }
    }

    async fn travel(&self) {
        let wait = {
            let weather = self.weather;
            let mut state = self.lock();
            match state.rng.below(1000) {
                draw if draw < u64::from(weather.slow) => state.rng.millis(500, 8_000),
                draw if draw < u64::from(weather.slow + weather.delayed) => state.rng.millis(1, 30),
                _ => Duration::ZERO,
            }
        };
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        loop {
            let held = self.lock().held_until;
            match held.filter(|until| *until > Instant::now()) {
                Some(until) => tokio::time::sleep_until(until).await,
                None => return,
            }
        }
    }

    fn draw(&self, call: &Call) -> Fault {
        let mut state = self.lock();
        let began = *state.began.get_or_insert_with(Instant::now);
        let since = began.elapsed();
        let is_out = |(from, to): (Duration, Duration)| (from..to).contains(&since);
        let faults = match self.weather.outage.is_some_and(is_out) {
            true => 850,
            false => self.weather.faults,
        };
        if faults == 0 || !state.rng.chance(faults) {
            return Fault::None;
        }
        let draw = state.rng.below(6);
        let late = state.rng.millis(1, 20_000);
        match (call.op, draw) {
            (Op::Create, 0) => Fault::OwnConflict,
            (Op::Create, 1) => Fault::EmptyConflict,
            (Op::Create | Op::Put | Op::Complete, 2) => Fault::LandsIn(late),
            (Op::Get | Op::List | Op::ListBehind, 0..3) => Fault::Half,
            (_, 3 | 4) => Fault::LostReply,
            _ => Fault::NotSent,
        }
    }
}

impl Faults for SeededFaults {
    fn before<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Verdict> {
        Box::pin(async move {
            if self.dead.is_cancelled() {
                std::future::pending::<()>().await;
            }
            let number = self.count(call);
            self.meet_doom(number, false);
            if self.dead.is_cancelled() {
                std::future::pending::<()>().await;
            }
            self.travel().await;
            // What was under way when the process died arrives, or does not.
            if self.dead.is_cancelled() && self.lock().rng.chance(500) {
                std::future::pending::<()>().await;
            }
            let fault = self.draw(call);
            Verdict { fault, number }
        })
    }

    fn after<'a>(&'a self, _: &'a Call, number: u32) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            self.meet_doom(number, true);
            self.travel().await;
            if self.dead.is_cancelled() {
                std::future::pending::<()>().await;
            }
        })
    }
}
