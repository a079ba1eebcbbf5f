//! A process's place at the store: its faults, and the observer who sees what they do.

use std::sync::Arc;

use futures::future::BoxFuture;

use super::observer::Observer;
use crate::store::testing::{Call, Faults, SeededFaults, Verdict};

#[derive(Debug)]
pub(super) struct Seat {
    pub(super) process: usize,
    pub(super) seeded: SeededFaults,
    pub(super) observer: Arc<Observer>,
}

impl Faults for Seat {
    fn before<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Verdict> {
        Box::pin(async move {
            let verdict = self.seeded.before(call).await;
            self.observer.asked(self.process, call, verdict.fault);
            verdict
        })
    }

    fn effect(&self, call: &Call, done: bool) {
        self.observer.effect(self.process, call, done);
    }

    fn after<'a>(&'a self, call: &'a Call, number: u32) -> BoxFuture<'a, ()> {
        self.seeded.after(call, number)
    }
}
