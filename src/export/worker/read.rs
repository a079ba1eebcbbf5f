//! Stage one of a worker: COPY bytes in, record batches out.
//!
//! Owns the order of things on the connection. It knows no store; the decoder knows no socket.

use std::sync::Arc;

use arrow_array::RecordBatch;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::Tried;
use super::exceptions::Gathered;
use crate::copy::{CopyDecoder, CopySummary};
use crate::error::{Error, ErrorKind, Result};
use crate::export::progress::TableCounters;
use crate::export::throttle::{CHARGE_BYTES, Throttle};
use crate::pg::Session;

/// Held by every batch that an oversize row went into.
type Permit = Arc<OwnedSemaphorePermit>;

/// What passes between the stages. A channel that closes without `End` was cut short.
pub(crate) enum Feed {
    /// Rows, and the permit that keeps oversize rows of other workers back until these are encoded.
    Batch(RecordBatch, Option<Permit>),
    /// All rows of the chunk have been sent, and the server has said so.
    End,
}

/// One reading of one chunk.
pub(crate) struct Reading<'a> {
    pub(crate) oversize: &'a Arc<Semaphore>,
    /// A row above this waits for the run's one permit.
    pub(crate) oversize_bytes: usize,
    pub(crate) counters: &'a TableCounters,
    pub(crate) tried: &'a Tried,
    pub(crate) throttle: &'a Throttle,
    pub(crate) feed: mpsc::Sender<Feed>,
}

impl Reading<'_> {
    /// Reads the whole stream: the chunk's rows, the trailer, and the server's word that it ended.
    ///
    /// Dropped: the COPY is cancelled.
    pub(crate) async fn run(
        self,
        session: &Session,
        select: &str,
        decoder: &mut CopyDecoder,
        gathered: &mut Gathered,
    ) -> Result<CopySummary> {
        let mut stream = session.copy_out(select).await?;
        let mut uncharged = 0;
        while let Some(bytes) = stream.next().await? {
            uncharged += bytes.len();
            let permit = self.permit_for(bytes.len()).await;
            decoder.push(&bytes)?;
            drop(bytes);
            // Those of one block at a time: a whole batch's would be many small allocations.
            gathered.add(decoder.take_exceptions())?;
            while permit.is_some() && self.send_batch(decoder, &permit).await? {}
            while decoder.is_batch_ready() {
                self.send_batch(decoder, &None).await?;
            }
            // Not at each frame: a frame is a row, and may be a few bytes.
            if uncharged >= CHARGE_BYTES {
                self.charge(std::mem::take(&mut uncharged)).await;
            }
        }
        self.charge(uncharged).await;
        while self.send_batch(decoder, &None).await? {}
        gathered.add(decoder.take_exceptions())?;
        let summary = decoder.finish()?;
        if summary.exceptions != gathered.count() {
            let message = "exceptions were counted that were not gathered";
            return Err(Error::new(ErrorKind::Internal, message));
        }
        self.feed.send(Feed::End).await.map_err(|_| stopped())?;
        Ok(summary)
    }

    /// Counts bytes, and waits where they came too fast: an unread socket stops the server.
    async fn charge(&self, bytes: usize) {
        self.tried.received(self.counters, 0, bytes as u64);
        self.throttle.charge(bytes).await;
    }

    /// The server sends one row a frame: a frame beyond the limit is one oversize row.
    async fn permit_for(&self, frame_bytes: usize) -> Option<Permit> {
        if frame_bytes <= self.oversize_bytes {
            return None;
        }
        // Never closed: the run owns it.
        Arc::clone(self.oversize)
            .acquire_owned()
            .await
            .ok()
            .map(Arc::new)
    }

    /// Sends the next batch, full or not; says whether there was one.
    async fn send_batch(&self, decoder: &mut CopyDecoder, permit: &Option<Permit>) -> Result<bool> {
        let Some(batch) = decoder.take_batch()? else {
            return Ok(false);
        };
        self.tried
            .received(self.counters, batch.num_rows() as u64, 0);
        let feed = Feed::Batch(batch, permit.clone());
        self.feed.send(feed).await.map_err(|_| stopped())?;
        Ok(true)
    }
}

/// Sends batches that are there already, and their end.
pub(crate) async fn feed_all(
    batches: impl Iterator<Item = Result<RecordBatch>>,
    feed: mpsc::Sender<Feed>,
) -> Result<()> {
    for batch in batches {
        feed.send(Feed::Batch(batch?, None))
            .await
            .map_err(|_| stopped())?;
    }
    feed.send(Feed::End).await.map_err(|_| stopped())
}

/// The other stage ended first; its own error is the one that counts.
fn stopped() -> Error {
    Error::new(ErrorKind::Internal, "the encoding stage ended early")
}
