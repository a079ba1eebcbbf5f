//! Time on the processor rather than on the wall: a busy machine then measures nearly the same.

use criterion::measurement::{Measurement, ValueFormatter, WallTime};

/// Nanoseconds that this thread has run, from Linux's `/proc/thread-self/schedstat`.
pub(crate) struct CpuTime;

impl CpuTime {
    fn now() -> u64 {
        let stat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("this is Linux");
        let first = stat.split(' ').next().expect("it starts with a number");
        first.parse().expect("it starts with a number")
    }
}

impl Measurement for CpuTime {
    type Intermediate = u64;
    type Value = u64;

    fn start(&self) -> u64 {
        Self::now()
    }

    fn end(&self, start: u64) -> u64 {
        Self::now() - start
    }

    fn add(&self, first: &u64, second: &u64) -> u64 {
        first + second
    }

    fn zero(&self) -> u64 {
        0
    }

    fn to_f64(&self, value: &u64) -> f64 {
        *value as f64
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        // Both count nanoseconds.
        static WALL_TIME: WallTime = WallTime;
        WALL_TIME.formatter()
    }
}
