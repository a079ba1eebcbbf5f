//! Logs that only a right from outside keeps others from: what a writer that lost it still does.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use futures::FutureExt;
use futures::future::BoxFuture;

use super::*;
use crate::error::{Error, ErrorKind, Result};
use crate::options::Writers;
use crate::store::SoleWriter;
use crate::store::layout::log_key;
use crate::store::testing::{FaultyStore, Stalling};

/// A right that is proven so many times, and lost then.
#[derive(Default)]
struct Right {
    proofs: AtomicU32,
    lost_after: AtomicU32,
}

impl Right {
    fn held() -> Arc<Self> {
        let right = Self::default();
        right.lose_after(u32::MAX);
        Arc::new(right)
    }

    fn lose_after(&self, proofs: u32) {
        self.lost_after.store(proofs, Ordering::SeqCst);
    }
}

impl SoleWriter for Right {
    fn claim<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<()>> {
        std::future::ready(Ok(())).boxed()
    }

    fn prove<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<()>> {
        let proofs = self.proofs.fetch_add(1, Ordering::SeqCst);
        let is_held = proofs < self.lost_after.load(Ordering::SeqCst);
        let lost = || Error::new(ErrorKind::Source, "lost");
        std::future::ready(is_held.then_some(()).ok_or_else(lost)).boxed()
    }
}

fn alone(plan: PlanRequest) -> OpenRequest {
    let mut request = request(plan);
    request.config.writers = Writers::Single;
    request
}

fn root(store: &Arc<FaultyStore>, right: &Arc<Right>) -> Root {
    let right = Arc::clone(right) as Arc<dyn SoleWriter>;
    store.root().with_sole_writer(right, false)
}

#[tokio::test]
async fn a_log_is_written_under_a_right_that_is_proven_before_and_after_each_entry() {
    let (store, right) = (FaultyStore::new(), Right::held());
    let mut log = open(&root(&store, &right), alone(PlanRequest::New(key_plan(3)))).await;
    let change = commit(log.dataset(), 0..3);
    append(&mut log, change).await;
    assert_eq!(right.proofs.load(Ordering::SeqCst), 4);
    log.check_alone().await.unwrap();
}

#[tokio::test]
async fn without_its_right_a_writer_puts_nothing() {
    let (store, right) = (FaultyStore::new(), Right::held());
    let mut log = open(&root(&store, &right), alone(PlanRequest::New(key_plan(3)))).await;
    right.lose_after(0);
    let change = commit(log.dataset(), 0..1);
    for change in [
        change,
        Change::Fail {
            message: "x".into(),
        },
    ] {
        let error = log.append(change).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Source);
    }
    assert_eq!(store.root().get(&log_key(2)).await.unwrap(), None);
}

#[tokio::test]
async fn an_entry_whose_right_was_lost_under_way_is_the_last_and_no_success() {
    let (store, right) = (FaultyStore::new(), Right::held());
    let mut log = open(&root(&store, &right), alone(PlanRequest::New(key_plan(3)))).await;
    right.lose_after(3);
    let change = commit(log.dataset(), 0..1);
    assert!(log.append(change).await.is_err());
    assert!(
        log.append(Change::Fail {
            message: "x".into()
        })
        .await
        .is_err()
    );
    assert!(store.root().get(&log_key(2)).await.unwrap().is_some());
    assert_eq!(store.root().get(&log_key(3)).await.unwrap(), None);
}

/// What docs/stores.md admits: a put that was on its way when the right was lost can write over
/// one entry of whoever took over. It stops there, and the other finds it before its end.
#[tokio::test]
async fn a_put_that_lands_late_is_the_only_one_and_is_found_before_the_end() {
    let store = FaultyStore::new();
    let (before, after) = (Right::held(), Right::held());
    let mut zombie = open(&root(&store, &before), alone(PlanRequest::New(key_plan(3)))).await;
    let stall = store.stall(Stalling::Write, &log_key(2));
    let change = commit(zombie.dataset(), 0..1);
    let late = tokio::spawn(async move {
        let ended = zombie.append(change).await;
        (ended, zombie)
    });
    stall.reached().await;
    before.lose_after(0);

    let mut log = open(&root(&store, &after), alone(keep())).await;
    let change = commit(log.dataset(), 0..3);
    append(&mut log, change).await;
    log.check_alone().await.unwrap();
    let theirs = store.root().get(&log_key(3)).await.unwrap();

    stall.release();
    let (ended, mut zombie) = late.await.unwrap();
    assert_eq!(ended.unwrap_err().kind(), ErrorKind::Source);
    assert!(
        zombie
            .append(Change::Fail {
                message: "x".into()
            })
            .await
            .is_err()
    );
    assert_eq!(store.root().get(&log_key(3)).await.unwrap(), theirs);
    let error = log.check_alone().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error:?}");
}
