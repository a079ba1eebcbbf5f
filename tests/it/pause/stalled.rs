//! A connection of the keeper's whose peer takes everything and answers nothing: neither a stop nor
//! the end of a lost run may wait for it.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use super::{Slow, poll, rig};
use crate::rig::Database;

/// The keeper and its locker connect first.
const KEEPER_CONNECTIONS: usize = 2;
const END_LIMIT: Duration = Duration::from_secs(60);

/// A proxy before a server. Stalled, it swallows what comes over the keeper's connections.
struct Proxy {
    port: u16,
    is_stalled: Arc<AtomicBool>,
    swallowed: Arc<AtomicU64>,
}

impl Proxy {
    fn before(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let proxy = Self {
            port: listener.local_addr().expect("an address").port(),
            is_stalled: Arc::default(),
            swallowed: Arc::default(),
        };
        let stalled = Arc::clone(&proxy.is_stalled);
        let swallowed = Arc::clone(&proxy.swallowed);
        thread::spawn(move || {
            for (number, client) in listener.incoming().enumerate() {
                let (Ok(client), Ok(server)) = (client, TcpStream::connect(("127.0.0.1", port)))
                else {
                    return;
                };
                let (from, into) = (server.try_clone(), client.try_clone());
                let (Ok(from), Ok(into)) = (from, into) else {
                    return;
                };
                thread::spawn(move || pump(from, into, |_| true));
                let (stalled, swallowed) = (Arc::clone(&stalled), Arc::clone(&swallowed));
                let passes = move |bytes: usize| {
                    let is_swallowed =
                        number < KEEPER_CONNECTIONS && stalled.load(Ordering::SeqCst);
                    if is_swallowed {
                        swallowed.fetch_add(bytes as u64, Ordering::SeqCst);
                    }
                    !is_swallowed
                };
                thread::spawn(move || pump(client, server, passes));
            }
        });
        proxy
    }
}

/// Until either side ends.
fn pump(mut from: TcpStream, mut into: TcpStream, passes: impl Fn(usize) -> bool) {
    let mut buffer = [0; 8192];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if passes(count) && into.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    // It may be closed already.
    let _ = into.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}

/// A run that reads, and whose keeper waits for an answer that will not come.
fn stalled(slow: &Slow) -> crate::rig::Running {
    let port = slow.database.port();
    let proxy = Proxy::before(port);
    let dsn = slow.database.dsn();
    let dsn = dsn.replace(&format!(":{port}/"), &format!(":{}/", proxy.port));
    let mut running = rig::start(&mut slow.command(&dsn, &[]));
    let session = slow.database.session();
    let copying = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'COPY%' \
                   AND state = 'active' AND datname = current_database()";
    poll(&mut running, |_| session.query_one_text(copying) != "0");
    proxy.is_stalled.store(true, Ordering::SeqCst);
    poll(&mut running, |_| proxy.swallowed.load(Ordering::SeqCst) > 0);
    running
}

#[test]
fn a_stop_does_not_wait_for_a_keeper_that_does_not_answer() {
    let slow = Slow::new(Database::create("pause_stalled"), 40);
    let mut running = stalled(&slow);
    let before = slow.dataset().committed().len();
    running.interrupt();
    let outcome = running.wait(END_LIMIT).expect_code(130);
    assert_eq!(outcome.json()["error"]["kind"], "cancelled", "{outcome}");
    let after = slow.dataset().committed().len();
    assert!(after <= before + 4, "{before} chunks, then {after}");
    slow.expect_paused("asked to stop");
}

#[test]
fn a_keeper_that_does_not_answer_ends_the_run() {
    let slow = Slow::new(Database::create("lost_stalled"), 100);
    let outcome = stalled(&slow).wait(END_LIMIT).expect_code(3);
    assert!(outcome.stderr.contains("does not answer"), "{outcome}");
}
