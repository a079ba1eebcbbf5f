//! The bytes of one `COPY … TO STDOUT`, from `CopyOutResponse` to `CommandComplete`.
//!
//! This is the seam behind which a leaner frame source can take tokio-postgres's place. It
//! knows frames, not rows: a frame is no promise of a row boundary (PostgreSQL documentation,
//! "COPY Operations").

use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use futures::{FutureExt, StreamExt};
use tokio_postgres::{Client, CopyOutStream};

use crate::crash_point::{CrashPoint, step};
use crate::error::{Error, ErrorKind, Result};
use crate::pg::cancel::{CancelHandle, CancelOnDrop};
use crate::pg::error::source_error;
use crate::pg::silence::Silence;

const WHAT: &str = "the COPY stream broke off";

/// A running COPY. An unread stream stops the socket, and with it the server.
///
/// Dropped before its end, it sends a cancel request in the background and its session takes no
/// further statement: drop that too.
pub(crate) struct CopyStream {
    frames: Pin<Box<CopyOutStream>>,
    client: Arc<Client>,
    guard: CancelOnDrop,
    silence: Silence,
    is_over: bool,
}

impl CopyStream {
    pub(super) fn new(
        frames: CopyOutStream,
        client: Arc<Client>,
        cancel: &CancelHandle,
        silence: Silence,
    ) -> Self {
        Self {
            frames: Box::pin(frames),
            client,
            guard: cancel.guard(),
            silence,
            is_over: false,
        }
    }

    /// The next frame's bytes; `None` once the server has completed the command and answered
    /// one more query. Cancel safe. After `None` or an error it stays `None`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Source`] when the server reports an error, however late, or goes away.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>> {
        if self.is_over {
            return Ok(None);
        }
        let (frames, silence) = (&mut self.frames, &self.silence);
        let received = step(CrashPoint::CopyFrame, async {
            // A frame that is there already needs no clock: most are.
            Ok(match frames.next().now_or_never() {
                Some(frame) => frame,
                None => silence.answered(WHAT, frames.next()).await?,
            })
        });
        // Given up, the COPY is cancelled when the stream is dropped.
        let frame = received.await.inspect_err(|_| self.is_over = true)?;
        let outcome = match frame {
            Some(Ok(frame)) => return Ok(Some(frame)),
            Some(Err(error)) => Err(source_error(WHAT, error)),
            None => step(CrashPoint::CopyEnd, self.complete()).await,
        };
        self.is_over = true;
        self.guard.finish();
        outcome.map(|()| None)
    }

    /// CopyDone is not the end: the command can still fail. What follows must be
    /// CommandComplete, and the connection must answer another query, which an aborted
    /// transaction or a dead server does not.
    async fn complete(&mut self) -> Result<()> {
        match self.silence.answered(WHAT, self.frames.next()).await? {
            // tokio-postgres has no word for CommandComplete here: it is the one message that
            // ends as an "unexpected message" without a cause.
            Some(Err(error)) if is_unexpected_message(&error) => {}
            Some(Err(error)) => return Err(source_error(WHAT, error)),
            Some(Ok(_)) | None => {
                return Err(Error::new(
                    ErrorKind::Source,
                    "frames followed the end of the COPY",
                ));
            }
        }
        let what = "the connection died at the end of the COPY";
        let alive = self.client.batch_execute("SELECT");
        let alive = self.silence.answered(what, alive).await?;
        alive.map_err(|error| source_error(what, error))
    }
}

fn is_unexpected_message(error: &tokio_postgres::Error) -> bool {
    error.as_db_error().is_none()
        && !error.is_closed()
        && error.to_string() == "unexpected message from server"
}
