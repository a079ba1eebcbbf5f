//! What a seed means: the table, the writers, what befalls each of them.

use std::time::Duration;

use super::source::TableShape;
use crate::store::layout::{LEASE, MANIFEST, SUCCESS};
use crate::store::testing::{At, Doom, Rng, Weather};

/// One course of events, before it happens.
#[derive(Debug, Clone)]
pub(super) struct Scenario {
    pub(super) table: TableShape,
    pub(super) members: Vec<Member>,
    /// When the healthy writer comes.
    pub(super) last_start: Duration,
    /// Chunks of one plan entry.
    pub(super) plan_segment: usize,
    healthy_takes_over: bool,
    rng: Rng,
}

/// One writer, before it starts.
#[derive(Debug, Clone)]
pub(super) struct Member {
    pub(super) start: Duration,
    pub(super) takeover: bool,
    pub(super) require_consistent: bool,
    pub(super) workers: usize,
    pub(super) lease_interval: Duration,
    pub(super) part_bytes: usize,
    pub(super) weather: Weather,
    pub(super) dooms: Vec<Doom>,
    /// It is asked to stop so long after its start.
    pub(super) stop: Option<Duration>,
    /// Whether its source fails now and then.
    pub(super) is_source_frail: bool,
    pub(super) rng: Rng,
}

impl Scenario {
    pub(super) fn of(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let table = TableShape::draw(&mut rng);
        let count = rng.within(2, 4);
        let calm = rng.chance(300);
        let mut start = Duration::ZERO;
        let mut members = Vec::new();
        for number in 0..count {
            if number > 0 {
                start += match rng.below(3) {
                    0 => rng.millis(0, 50),
                    1 => rng.millis(0, 1_000),
                    _ => rng.millis(0, 10_000),
                };
            }
            members.push(Member::draw(&mut rng, start, calm));
        }
        Self {
            table,
            last_start: rng.millis(0, 15_000),
            plan_segment: rng.within(1, 4) as usize,
            healthy_takes_over: rng.chance(500),
            members,
            rng,
        }
    }
}

impl Member {
    fn draw(rng: &mut Rng, start: Duration, calm: bool) -> Self {
        let faults = match rng.below(4) {
            _ if calm => 0,
            0 => 0,
            1 => 5,
            2 => 30,
            _ => 100,
        };
        let outage = (!calm && rng.chance(200)).then(|| {
            let from = rng.millis(0, 1_000);
            (from, from + rng.millis(200, 10_000))
        });
        let weather = Weather {
            faults,
            delayed: [0, 100, 500][rng.below(3) as usize],
            slow: [0, 0, 10][rng.below(3) as usize],
            outage,
        };
        Self {
            start,
            takeover: rng.chance(300),
            require_consistent: rng.chance(100),
            workers: rng.within(1, 3) as usize,
            lease_interval: rng.millis(100, 600),
            part_bytes: if rng.chance(300) { 400 } else { 8 << 20 },
            weather,
            dooms: dooms(rng),
            stop: rng.chance(100).then(|| rng.millis(0, 2_000)),
            is_source_frail: rng.chance(250),
            rng: rng.fork(),
        }
    }

    /// A writer that nothing befalls. It is no faster than others.
    pub(super) fn healthy(scenario: &Scenario, round: u32) -> Self {
        let mut rng = scenario.rng.clone();
        for _ in 0..round {
            rng.fork();
        }
        Self {
            start: Duration::ZERO,
            takeover: scenario.healthy_takes_over,
            require_consistent: false,
            workers: 2,
            lease_interval: Duration::from_millis(200),
            part_bytes: 8 << 20,
            weather: Weather {
                delayed: 100,
                ..Weather::FAIR
            },
            dooms: Vec::new(),
            stop: None,
            is_source_frail: false,
            rng: rng.fork(),
        }
    }
}

/// Most requests of a run are reads: its few changes are drawn more often than it would be by
/// chance.
fn dooms(rng: &mut Rng) -> Vec<Doom> {
    let mut dooms = Vec::new();
    for _ in 0..rng.below(3) {
        let at = match rng.below(6) {
            0 => At::Request(rng.within(1, 20) as u32),
            1 => At::Request(rng.within(5, 50) as u32),
            2 => At::Request(rng.within(10, 150) as u32),
            3 => At::Change("part-", rng.within(1, 6) as u32),
            4 => At::Change("/log/", rng.within(1, 6) as u32),
            _ => {
                let key = [SUCCESS, MANIFEST, LEASE][rng.below(3) as usize];
                At::Change(key, rng.within(1, 2) as u32)
            }
        };
        dooms.push(Doom {
            at,
            after: rng.chance(500),
            lasts: rng.chance(600).then(|| match rng.below(3) {
                0 => rng.millis(100, 1_500),
                1 => rng.millis(1_000, 6_000),
                _ => rng.millis(5_000, 40_000),
            }),
        });
    }
    dooms
}
