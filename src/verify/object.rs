//! One object of the store, looked up and read through.
//!
//! Owns the road from the store's pieces to batches: pieces are fetched here and hashed and
//! decoded on a blocking thread, joined by a channel of one piece. It knows no manifest: what an
//! object should be is the caller's.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use arrow_array::RecordBatch;
use bytes::Bytes;
use sha2::{Digest, Sha256};
use tokio::sync::{Semaphore, mpsc};

use super::VerifyOptions;
use super::progress::VerifyProgress;
use crate::error::{Error, ErrorKind, Result};
use crate::file::{FooterRead, ObjectFooter, ObjectReader};
use crate::pg::ConnectOptions;
use crate::store::{ObjectInfo, Root, hex};

/// Bytes at an object's end that hold most footers; a longer footer is read again, exactly.
const FOOTER_GUESS_BYTES: u64 = 64 << 10;
/// Pieces between the store and the decoder.
const PIECES_IN_FLIGHT: usize = 1;
/// A row group beyond this is oversize: one of them at a time in the whole verification.
const OVERSIZE_BYTES: u64 = 64 << 20;

/// What all chunks of a verification share.
pub(super) struct Work {
    pub(super) quick: bool,
    pub(super) workers: usize,
    pub(super) against: Option<ConnectOptions>,
    pub(super) lock_timeout: Duration,
    pub(super) progress: Arc<VerifyProgress>,
    /// One permit: at most one oversize row group is held.
    oversize: Arc<Semaphore>,
}

impl Work {
    pub(super) fn new(options: &VerifyOptions, progress: &Arc<VerifyProgress>) -> Self {
        Self {
            quick: options.quick,
            workers: options.workers.get(),
            against: options.against.clone(),
            lock_timeout: options.lock_timeout,
            progress: Arc::clone(progress),
            oversize: Arc::new(Semaphore::new(1)),
        }
    }
}

/// An object that is there.
pub(super) struct StoredObject {
    pub(super) info: ObjectInfo,
    /// Its end, from which the footer was read.
    tail: Bytes,
    pub(super) footer: Result<ObjectFooter>,
    /// Whether its rows are to be decoded when it is read through.
    pub(super) decodes: bool,
}

/// Looks an object up and reads its footer; `None` when there is none.
///
/// # Errors
///
/// The store's, classified.
pub(super) async fn look_up(root: &Root, key: &str) -> Result<Option<StoredObject>> {
    let mut wanted = FOOTER_GUESS_BYTES;
    loop {
        let Some((info, tail)) = root.get_tail(key, wanted).await? else {
            return Ok(None);
        };
        let footer = match guarded(|| ObjectFooter::read(&tail, info.bytes)) {
            Ok(FooterRead::NeedMore(more)) if more > wanted && more <= info.bytes => {
                wanted = more;
                continue;
            }
            Ok(FooterRead::NeedMore(_)) => Err(Error::new(
                ErrorKind::Storage,
                "the object's footer is not where it must be",
            )),
            Ok(FooterRead::Read(footer)) => Ok(*footer),
            Err(error) => Err(error),
        };
        return Ok(Some(StoredObject {
            info,
            tail,
            footer,
            decodes: true,
        }));
    }
}

/// What a whole object turned out to be.
pub(super) struct Through<S> {
    /// SHA-256 of its bytes, in hex.
    pub(super) sha256: String,
    /// Whether its end is still the one that its footer was read from.
    pub(super) is_same_tail: bool,
    /// The rows decoded; `None` where they are not, or without a footer to decode by.
    pub(super) rows: Option<Result<u64>>,
    /// What the batches were handed to.
    pub(super) state: S,
}

/// Reads an object from end to end: hashes its bytes and hands each batch to `take`. What cannot
/// be decoded is hashed all the same.
///
/// Dropped, it fetches nothing more.
///
/// # Errors
///
/// The store's, classified.
pub(super) async fn read_through<S: Send + 'static>(
    work: &Work,
    root: &Root,
    object: StoredObject,
    state: S,
    take: fn(&mut S, &RecordBatch) -> Result<()>,
) -> Result<Through<S>> {
    let largest = object
        .footer
        .as_ref()
        .map(ObjectFooter::largest_row_group_bytes);
    let _permit = match largest {
        // Never closed: the verification owns it.
        Ok(bytes) if bytes > OVERSIZE_BYTES => work.oversize.acquire().await.ok(),
        _ => None,
    };
    let footer = object.footer.ok().filter(|_| object.decodes);
    let mut download = root.download(object.info.clone());
    let (feed, pieces) = mpsc::channel(PIECES_IN_FLIGHT);
    let passage = Passage {
        hasher: Hasher::new(object.tail, object.info.bytes),
        reader: footer.map(ObjectReader::new),
        failed: None,
        state,
        take,
        progress: Arc::clone(&work.progress),
    };
    let decoding = tokio::task::spawn_blocking(move || passage.run(pieces));
    let fetched = loop {
        match download.next().await {
            Ok(Some(piece)) => {
                if feed.send(piece).await.is_err() {
                    // The other side went away: it tells why itself.
                    break Ok(());
                }
            }
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    drop(feed);
    let through = decoding.await.map_err(|panic| {
        Error::new(ErrorKind::Internal, "the decoding of an object stopped").with_source(panic)
    })?;
    fetched.map(|()| through)
}

/// The blocking side of one object.
struct Passage<S> {
    hasher: Hasher,
    reader: Option<ObjectReader>,
    /// Why decoding stopped; hashing goes on.
    failed: Option<Error>,
    state: S,
    take: fn(&mut S, &RecordBatch) -> Result<()>,
    progress: Arc<VerifyProgress>,
}

impl<S> Passage<S> {
    fn run(mut self, mut pieces: mpsc::Receiver<Bytes>) -> Through<S> {
        while let Some(piece) = pieces.blocking_recv() {
            self.hasher.push(&piece);
            if let Err(error) = self.decode(&piece) {
                self.failed = Some(error);
                self.reader = None;
            }
            self.progress.read_bytes(piece.len() as u64);
        }
        let rows = match (self.failed, self.reader) {
            (Some(error), _) => Some(Err(error)),
            (None, reader) => reader.map(ObjectReader::finish),
        };
        let (sha256, is_same_tail) = self.hasher.finish();
        Through {
            sha256,
            is_same_tail,
            rows,
            state: self.state,
        }
    }

    fn decode(&mut self, piece: &[u8]) -> Result<()> {
        let Some(reader) = &mut self.reader else {
            return Ok(());
        };
        let (state, take) = (&mut self.state, self.take);
        guarded(|| {
            reader.push(piece);
            while let Some(batch) = reader.next_batch()? {
                take(state, &batch)?;
            }
            Ok(())
        })
    }
}

/// Runs what reads hostile bytes: the Parquet crate means to refuse them all, and asserts here
/// and there.
fn guarded<T>(run: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| {
        let message = "the object's bytes make the Parquet decoder fail";
        Err(Error::new(ErrorKind::Storage, message))
    })
}

/// Hashes an object and holds its end against the bytes that the footer was read from.
struct Hasher {
    hasher: Sha256,
    tail: Bytes,
    tail_start: u64,
    at: u64,
    is_same: bool,
}

impl Hasher {
    fn new(tail: Bytes, object_bytes: u64) -> Self {
        Self {
            hasher: Sha256::new(),
            tail_start: object_bytes.saturating_sub(tail.len() as u64),
            tail,
            at: 0,
            is_same: true,
        }
    }

    fn push(&mut self, piece: &[u8]) {
        self.hasher.update(piece);
        let end = self.at + piece.len() as u64;
        if end > self.tail_start {
            let skip = self.tail_start.saturating_sub(self.at) as usize;
            let from = self.at.saturating_sub(self.tail_start) as usize;
            let seen = &piece[skip..];
            self.is_same &= self.tail.get(from..from + seen.len()) == Some(seen);
        }
        self.at = end;
    }

    fn finish(self) -> (String, bool) {
        let is_whole = self.at == self.tail_start + self.tail.len() as u64;
        (hex(&self.hasher.finalize()), self.is_same && is_whole)
    }
}
