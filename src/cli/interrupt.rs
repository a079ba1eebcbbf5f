//! Ctrl-C and SIGTERM: once to stop in order, twice to stop at once.

use pgsluice::{Cancel, Error, ErrorKind, Result};
use tokio::task::JoinHandle;

use super::exit::STOPPED;
use super::screen::Screen;

/// Watches for signals until it is dropped.
pub(crate) struct Watch(JoinHandle<()>);

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The first signal cancels; the second ends the process, which a later run resumes from.
pub(crate) fn watch(cancel: Cancel, screen: Screen) -> Result<Watch> {
    let mut signals = Signals::new()?;
    Ok(Watch(tokio::spawn(async move {
        signals.next().await;
        cancel.cancel();
        tracing::warn!("stopping: running chunks are finished or abandoned; again to stop at once");
        signals.next().await;
        screen.clear();
        std::process::exit(i32::from(STOPPED));
    })))
}

/// Runs what only reads: a signal drops it.
///
/// # Errors
///
/// As the future, or `Cancelled`.
pub(crate) async fn stoppable<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let mut signals = Signals::new()?;
    tokio::select! {
        done = work => done,
        () = signals.next() => Err(Error::new(ErrorKind::Cancelled, "stopped on request")),
    }
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let listen = |kind| {
            signal(kind).map_err(|error| {
                Error::new(ErrorKind::Internal, "cannot listen for signals").with_source(error)
            })
        };
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            // Without a listener there is no signal to wait for.
            std::future::pending::<()>().await;
        }
    }
}
