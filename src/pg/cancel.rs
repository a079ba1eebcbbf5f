//! Cancelling what runs on a backend, asked for or because nobody waits for it any more.
//!
//! Owns the cancel request and the guard that sends it on drop. It closes no connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio_postgres::CancelToken;
use tokio_postgres_rustls::MakeRustlsConnect;

/// How long a cancel request may take, connection included.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(10);

/// Asks the server to cancel what one session is running. Cheap to clone; keeps nothing open.
#[derive(Clone)]
pub(crate) struct CancelHandle {
    token: CancelToken,
    tls: MakeRustlsConnect,
    runtime: Handle,
    is_abandoned: Arc<AtomicBool>,
}

impl CancelHandle {
    /// Must be called inside a tokio runtime, which later sends the requests.
    pub(super) fn new(token: CancelToken, tls: MakeRustlsConnect) -> Self {
        Self {
            token,
            tls,
            runtime: Handle::current(),
            is_abandoned: Arc::new(AtomicBool::new(false)),
        }
    }

    /// Sends a cancel request in the background, best effort: the server never says whether it
    /// found something to cancel.
    pub(crate) fn cancel(&self) {
        let Self { token, tls, .. } = self.clone();
        self.runtime.spawn(async move {
            match tokio::time::timeout(CANCEL_TIMEOUT, token.cancel_query(tls)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::debug!(%error, "cancel request failed"),
                Err(_) => tracing::debug!("cancel request timed out"),
            }
        });
    }

    /// Whether a statement of the session was left unfinished. A cancel request is then under
    /// way and could hit whatever runs next, so the session takes no further statement.
    pub(super) fn is_abandoned(&self) -> bool {
        self.is_abandoned.load(Ordering::Acquire)
    }

    pub(super) fn guard(&self) -> CancelOnDrop {
        CancelOnDrop { handle: Some(self.clone()) }
    }
}

/// Cancels on drop, unless the statement finished first.
pub(super) struct CancelOnDrop {
    handle: Option<CancelHandle>,
}

impl CancelOnDrop {
    /// The statement is over, well or not: there is nothing to cancel.
    pub(super) fn finish(&mut self) {
        self.handle = None;
    }
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        if let Some(handle) = self.handle.take() {
            handle.is_abandoned.store(true, Ordering::Release);
            handle.cancel();
        }
    }
}
