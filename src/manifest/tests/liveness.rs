//! Who counts as alive, on paused time: nothing here waits for real.

use std::time::Duration;

use tokio::time::Instant;

use super::super::lease::Lease;
use super::*;
use crate::store::layout::LEASE;

const INTERVAL: Duration = Duration::from_secs(3);

async fn running() -> (Root, Box<ManifestLog>) {
    let root = FaultyStore::new().root();
    let log = open(&root, request(PlanRequest::New(key_plan(4)))).await;
    (root, log)
}

async fn write_lease(root: &Root, epoch: u64, counter: u64) {
    let lease = Lease {
        epoch,
        token: "t".into(),
        counter,
        host: "there".into(),
        pid: 9,
        interval_ms: 1_000,
    };
    root.put(LEASE, serde_json::to_vec(&lease).unwrap().into())
        .await
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_still_lease_is_dead_after_three_of_its_intervals() {
    let (root, log) = running().await;
    write_lease(&root, 1, 5).await;
    let started = Instant::now();
    let liveness = is_alive(&root, log.dataset(), INTERVAL).await.unwrap();
    assert_eq!(liveness, Liveness::Dead);
    assert_eq!(started.elapsed().as_secs(), 3);
}

#[tokio::test(start_paused = true)]
async fn no_lease_at_all_is_dead_after_three_of_our_intervals() {
    let (root, log) = running().await;
    write_lease(&root, 0, 5).await;
    let started = Instant::now();
    assert_eq!(
        is_alive(&root, log.dataset(), INTERVAL).await.unwrap(),
        Liveness::Dead
    );
    assert_eq!(started.elapsed().as_secs(), 9);
}

#[tokio::test(start_paused = true)]
async fn a_writer_that_ended_is_dead_at_once() {
    let (root, mut log) = running().await;
    append(
        &mut log,
        Change::Fail {
            message: "m".into(),
        },
    )
    .await;
    let started = Instant::now();
    assert_eq!(
        is_alive(&root, log.dataset(), INTERVAL).await.unwrap(),
        Liveness::Dead
    );
    assert_eq!(started.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_heartbeat_shows_life_until_it_stops() {
    let (root, log) = running().await;
    let writer = log.dataset().writer.clone();
    let heartbeat = Heartbeat::start(root.clone(), log.fence(), &writer, INTERVAL);
    tokio::time::sleep(INTERVAL / 2).await;
    let started = Instant::now();
    let liveness = is_alive(&root, log.dataset(), INTERVAL).await.unwrap();
    assert_eq!(
        liveness,
        Liveness::Alive {
            by: writer,
            epoch: 1
        }
    );
    assert!(started.elapsed() <= 2 * INTERVAL);
    heartbeat.stop().await;
    assert_eq!(
        is_alive(&root, log.dataset(), INTERVAL).await.unwrap(),
        Liveness::Dead
    );
}

#[tokio::test(start_paused = true)]
async fn a_dropped_or_fenced_heartbeat_keeps_still() {
    let (root, log) = running().await;
    let writer = log.dataset().writer.clone();
    let counter = async || Lease::read(&root).await.unwrap().map(|lease| lease.counter);
    let dropped = Heartbeat::start(root.clone(), log.fence(), &writer, INTERVAL);
    tokio::time::sleep(INTERVAL / 2).await;
    drop(dropped);
    assert_eq!(counter().await, Some(1));
    tokio::time::sleep(4 * INTERVAL).await;
    assert_eq!(counter().await, Some(1));
    let _fenced = Heartbeat::start(root.clone(), log.fence(), &writer, INTERVAL);
    let _taker = open(&root, request(keep())).await;
    write_lease(&root, 2, 77).await;
    tokio::time::sleep(4 * INTERVAL).await;
    assert_eq!(counter().await, Some(77));
}

#[tokio::test(start_paused = true)]
async fn a_growing_log_is_life_without_a_lease() {
    let (root, mut log) = running().await;
    let seen = log.dataset().clone();
    let change = commit(log.dataset(), [0]);
    let watch = tokio::spawn(async move { is_alive(&root, &seen, INTERVAL).await.unwrap() });
    tokio::time::sleep(INTERVAL).await;
    append(&mut log, change).await;
    assert!(matches!(
        watch.await.unwrap(),
        Liveness::Alive { epoch: 1, .. }
    ));
}

#[tokio::test(start_paused = true)]
async fn a_lease_of_a_later_epoch_is_life() {
    let (root, log) = running().await;
    write_lease(&root, 2, 1).await;
    let liveness = is_alive(&root, log.dataset(), INTERVAL).await.unwrap();
    assert!(matches!(liveness, Liveness::Alive { epoch: 2, by } if by.pid == 9));
}
