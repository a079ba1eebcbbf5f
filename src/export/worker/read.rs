//! Stage one of a worker: COPY bytes in, record batches out.
//!
//! Owns the order of things on the connection. It knows no store; the decoder knows no socket.

use std::sync::Arc;

use arrow_array::RecordBatch;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::Tried;
use crate::copy::{CopyDecoder, CopySummary};
use crate::error::{Error, ErrorKind, Result};
use crate::export::progress::TableCounters;
use crate::pg::Session;

/// Gathered bytes beyond this many batches count as one oversize row.
const OVERSIZE_BATCHES: usize = 4;

/// What passes between the stages. A channel that closes without `End` was cut short.
pub(crate) enum Feed {
    /// Rows, and the permit that keeps oversize rows of other workers back until these are encoded.
    Batch(RecordBatch, Option<OwnedSemaphorePermit>),
    /// All rows of the chunk have been sent, and the server has said so.
    End,
}

/// One reading of one chunk.
pub(crate) struct Reading<'a> {
    pub(crate) oversize: &'a Arc<Semaphore>,
    pub(crate) batch_bytes: usize,
    pub(crate) counters: &'a TableCounters,
    pub(crate) tried: &'a Tried,
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
    ) -> Result<CopySummary> {
        let mut stream = session.copy_out(select).await?;
        let mut unreported = 0;
        while let Some(bytes) = stream.next().await? {
            decoder.push(&bytes)?;
            unreported += bytes.len() as u64;
            if decoder.is_batch_ready() {
                self.send(decoder, std::mem::take(&mut unreported)).await?;
            }
        }
        self.send(decoder, unreported).await?;
        let summary = decoder.finish()?;
        self.feed.send(Feed::End).await.map_err(|_| stopped())?;
        Ok(summary)
    }

    async fn send(&self, decoder: &mut CopyDecoder, copy_bytes: u64) -> Result<()> {
        let oversize = decoder.gathered_bytes() > OVERSIZE_BATCHES * self.batch_bytes;
        let permit = if oversize {
            // Closed never: the run owns it.
            Arc::clone(self.oversize).acquire_owned().await.ok()
        } else {
            None
        };
        let batch = decoder.take_batch()?;
        let rows = batch.as_ref().map_or(0, RecordBatch::num_rows);
        self.tried.received(self.counters, rows as u64, copy_bytes);
        match batch {
            Some(batch) => self.feed.send(Feed::Batch(batch, permit)).await.map_err(|_| stopped()),
            None => Ok(()),
        }
    }
}

/// The other stage ended first; its own error is the one that counts.
fn stopped() -> Error {
    Error::new(ErrorKind::Internal, "the encoding stage ended early")
}
