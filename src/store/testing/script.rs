//! Faults that a test names one by one, over a store in memory.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use futures::future::BoxFuture;
use object_store::memory::InMemory;
use object_store::path::Path;
use tokio::sync::Semaphore;

use super::{Call, Fault, FaultStore, Faults, Op, Verdict};
use crate::store::Root;

/// What can be made to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stalling {
    /// A plain put, or the completion of an upload.
    Write,
    Delete,
}

/// The next operation of its kind on one object waits before it is done.
#[derive(Debug, Clone)]
pub(crate) struct Stall {
    what: Stalling,
    key: String,
    reached: Arc<Semaphore>,
    released: Arc<Semaphore>,
}

impl Stall {
    /// Waits until the operation was asked for.
    pub(crate) async fn reached(&self) {
        self.reached.acquire().await.unwrap().forget();
    }

    pub(crate) fn release(&self) {
        self.released.add_permits(1);
    }
}

#[derive(Debug, Default)]
struct Script {
    /// Of the next puts-if-absent.
    faults: Mutex<VecDeque<Fault>>,
    stalls: Mutex<Vec<Stall>>,
    fail_part: AtomicBool,
    gets: AtomicUsize,
    aborted: AtomicUsize,
}

impl Script {
    async fn stall(&self, what: Stalling, location: &Path) {
        let stall = {
            let mut stalls = self.stalls.lock().unwrap();
            let is_it =
                |stall: &Stall| stall.what == what && location.as_ref().ends_with(&stall.key);
            let found = stalls.iter().position(is_it);
            found.map(|place| stalls.remove(place))
        };
        if let Some(stall) = stall {
            stall.reached.add_permits(1);
            stall.released.acquire().await.unwrap().forget();
        }
    }

    async fn fault(&self, call: &Call) -> Fault {
        match call.op {
            Op::Create => {
                let next = self.faults.lock().unwrap().pop_front();
                return next.unwrap_or(Fault::None);
            }
            Op::Put | Op::Complete => self.stall(Stalling::Write, &call.key).await,
            Op::Delete => self.stall(Stalling::Delete, &call.key).await,
            Op::Part if self.fail_part.swap(false, Ordering::Relaxed) => return Fault::NotSent,
            Op::Get | Op::Head => {
                self.gets.fetch_add(1, Ordering::Relaxed);
            }
            Op::Abort => {
                self.aborted.fetch_add(1, Ordering::Relaxed);
            }
            _ => {}
        }
        Fault::None
    }
}

impl Faults for Script {
    fn before<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Verdict> {
        Box::pin(async move {
            let fault = self.fault(call).await;
            Verdict { fault, number: 0 }
        })
    }
}

/// A store in memory whose faults follow a script.
#[derive(Debug)]
pub(crate) struct FaultyStore {
    store: FaultStore,
    script: Arc<Script>,
}

impl FaultyStore {
    pub(crate) fn new() -> Arc<Self> {
        Self::with_failing_part(false)
    }

    /// The first part of all uploads fails.
    pub(crate) fn with_failing_part(fail_part: bool) -> Arc<Self> {
        let script = Arc::new(Script {
            fail_part: AtomicBool::new(fail_part),
            ..Script::default()
        });
        let faults = Arc::clone(&script) as Arc<dyn Faults>;
        Arc::new(Self {
            store: FaultStore::new(Arc::new(InMemory::new()), faults),
            script,
        })
    }

    pub(crate) fn root(&self) -> Root {
        self.store.root("lake")
    }

    /// The faults of the next puts-if-absent, in order.
    pub(crate) fn inject(&self, faults: &[Fault]) {
        self.script.faults.lock().unwrap().extend(faults);
    }

    /// Lets the next such operation on the object with this key wait.
    pub(crate) fn stall(&self, what: Stalling, key: &str) -> Stall {
        let stall = Stall {
            what,
            key: key.to_owned(),
            reached: Arc::new(Semaphore::new(0)),
            released: Arc::new(Semaphore::new(0)),
        };
        self.script.stalls.lock().unwrap().push(stall.clone());
        stall
    }

    pub(crate) fn gets(&self) -> usize {
        self.script.gets.load(Ordering::Relaxed)
    }

    pub(crate) fn aborted(&self) -> usize {
        self.script.aborted.load(Ordering::Relaxed)
    }
}
