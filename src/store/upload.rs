//! One object written in parts, so that memory stays bounded while it grows.
//!
//! Owns part sizes, the bound on parts in flight and the clean-up of what was begun. An upload
//! is never a commit: the manifest log is.

use std::collections::VecDeque;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStoreExt, PutPayload};
use tokio::task::JoinSet;

use super::{ObjectInfo, Root, plain_etag};
use crate::crash_point::{CrashPoint, step};
use crate::error::{Error, ErrorKind, Result};

/// Parts on their way at once.
pub(crate) const PARTS_IN_FLIGHT: usize = 2;
/// Parts of one size; then the size doubles. From 8 MiB on, ten sizes reach 8 TiB.
const PARTS_OF_ONE_SIZE: u64 = 1_000;
/// S3 takes 10,000 parts.
const MAX_PARTS: u64 = 10_000;

/// An object on its way. Nothing is visible before [`Upload::complete`].
///
/// # Memory
///
/// At most `(2 + 1) * part_bytes`, plus the bytes of one [`Upload::write`]. The first 1,000 parts
/// have `part_bytes` each, the next 1,000 twice as much, and so on: stores that want equal parts
/// (R2) take objects up to `1,000 * part_bytes`. An object of at most one part is a single put.
///
/// # Dropping
///
/// Dropped without [`Upload::complete`] or [`Upload::abort`], an abort is sent in the background
/// if a tokio runtime is there, and may fail unseen: buckets want a lifecycle rule that removes
/// incomplete multipart uploads.
pub(crate) struct Upload {
    root: Root,
    key: String,
    path: Path,
    part_bytes: usize,
    buffer: VecDeque<Bytes>,
    buffered: usize,
    bytes: u64,
    parts: u64,
    multipart: Option<Box<dyn MultipartUpload>>,
    in_flight: JoinSet<Result<()>>,
    /// A part failed: completing would leave a hole on some stores.
    is_broken: bool,
}

impl Upload {
    pub(super) fn new(root: Root, key: &str, part_bytes: usize) -> Result<Self> {
        Ok(Self {
            path: root.path(key)?,
            root,
            key: key.to_owned(),
            part_bytes: part_bytes.max(1),
            buffer: VecDeque::new(),
            buffered: 0,
            bytes: 0,
            parts: 0,
            multipart: None,
            in_flight: JoinSet::new(),
            is_broken: false,
        })
    }

    /// Takes bytes in, and waits while two parts are on their way. Nothing is copied.
    ///
    /// Dropped midway, the bytes count as written.
    ///
    /// # Errors
    ///
    /// The store's, classified: of this or of an earlier part. The upload is then of no use but
    /// to be aborted. [`ErrorKind::Unsupported`] beyond 10,000 parts.
    pub(crate) async fn write(&mut self, bytes: Bytes) -> Result<()> {
        self.bytes += bytes.len() as u64;
        self.buffered += bytes.len();
        self.buffer.push_back(bytes);
        while self.buffered > self.next_part_bytes() {
            self.send_part()
                .await
                .inspect_err(|_| self.is_broken = true)?;
        }
        Ok(())
    }

    /// Sends what is left and makes the object visible, whole.
    ///
    /// # Errors
    ///
    /// The store's, classified. The outcome is then unknown; the upload is aborted, which takes
    /// nothing away if the object had become visible.
    pub(crate) async fn complete(mut self) -> Result<ObjectInfo> {
        match self.try_complete().await {
            Ok(etag) => {
                self.multipart = None;
                Ok(ObjectInfo {
                    key: std::mem::take(&mut self.key),
                    bytes: self.bytes,
                    etag,
                })
            }
            Err(error) => {
                self.abort().await;
                Err(error)
            }
        }
    }

    /// Gives the upload up and frees its parts, as well as can be: a failure is logged only.
    pub(crate) async fn abort(mut self) {
        self.in_flight.shutdown().await;
        if let Some(multipart) = self.multipart.take() {
            abort(multipart, self.key.clone()).await;
        }
    }

    async fn try_complete(&mut self) -> Result<Option<String>> {
        if self.is_broken {
            return Err(Error::new(
                ErrorKind::Storage,
                format!("cannot write {}: an earlier part failed", self.key),
            )
            .with_retryable(true));
        }
        if self.multipart.is_none() {
            let payload: PutPayload = self.buffer.drain(..).collect();
            let put = self.root.store.put(&self.path, payload);
            let put = answer(&self.root, &self.key, put);
            let put = step(CrashPoint::PutObject, put).await?;
            return Ok(put.e_tag.as_deref().map(plain_etag));
        }
        if self.buffered > 0 {
            self.send_part().await?;
        }
        while !self.in_flight.is_empty() {
            self.join_part().await?;
        }
        let Some(multipart) = &mut self.multipart else {
            return Err(Error::new(
                ErrorKind::Internal,
                "a multipart upload vanished",
            ));
        };
        let put = answer(&self.root, &self.key, multipart.complete());
        let put = step(CrashPoint::CompleteUpload, put).await?;
        Ok(put.e_tag.as_deref().map(plain_etag))
    }

    /// Sends one part, the last one smaller.
    async fn send_part(&mut self) -> Result<()> {
        if self.parts == MAX_PARTS {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("{} needs more than {MAX_PARTS} parts", self.key),
            )
            .with_advice("cut the table into smaller chunks, or raise --part-bytes"));
        }
        if self.multipart.is_none() {
            let begun = self.root.store.put_multipart(&self.path);
            let begun = answer(&self.root, &self.key, begun);
            self.multipart = Some(step(CrashPoint::BeginUpload, begun).await?);
        }
        while self.in_flight.len() >= PARTS_IN_FLIGHT {
            self.join_part().await?;
        }
        let part = self.cut_part();
        if let Some(multipart) = &mut self.multipart {
            let (root, key) = (self.root.clone(), self.key.clone());
            let sent = multipart.put_part(part);
            let sent = async move { answer(&root, &key, sent).await };
            self.in_flight.spawn(step(CrashPoint::UploadPart, sent));
            self.parts += 1;
        }
        Ok(())
    }

    async fn join_part(&mut self) -> Result<()> {
        match self.in_flight.join_next().await {
            None => Ok(()),
            Some(Ok(sent)) => sent,
            Some(Err(cause)) => {
                Err(Error::new(ErrorKind::Internal, "an upload task died").with_source(cause))
            }
        }
    }

    fn cut_part(&mut self) -> PutPayload {
        let mut wanted = self.next_part_bytes().min(self.buffered);
        self.buffered -= wanted;
        let mut frames = Vec::new();
        while wanted > 0
            && let Some(mut frame) = self.buffer.pop_front()
        {
            let taken = frame.split_to(frame.len().min(wanted));
            wanted -= taken.len();
            frames.push(taken);
            if !frame.is_empty() {
                self.buffer.push_front(frame);
            }
        }
        frames.into_iter().collect()
    }

    #[cfg(test)]
    pub(super) fn parts_sent_for_test(&mut self, parts: u64) {
        self.parts = parts;
    }

    pub(super) fn next_part_bytes(&self) -> usize {
        let doublings = u32::try_from(self.parts / PARTS_OF_ONE_SIZE).unwrap_or(u32::MAX);
        self.part_bytes
            .saturating_mul(2_usize.saturating_pow(doublings))
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        self.in_flight.abort_all();
        let Some(multipart) = self.multipart.take() else {
            return;
        };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(abort(multipart, std::mem::take(&mut self.key)));
        }
    }
}

/// The store's answer to a step of writing `key`, classified.
async fn answer<T>(
    root: &Root,
    key: &str,
    request: impl Future<Output = object_store::Result<T>>,
) -> Result<T> {
    let answer = request.await;
    answer.map_err(|cause| root.failed("write", key, &cause))
}

async fn abort(mut multipart: Box<dyn MultipartUpload>, key: String) {
    let aborted = async {
        multipart.abort().await.map_err(|cause| {
            let text = super::error::scrub(&cause.to_string());
            tracing::debug!(key, cause = text, "a multipart upload was not aborted");
            super::store_error("abort", &key, &cause)
        })
    };
    // Best effort: what is left of it is found by its key.
    let _ = step(CrashPoint::AbortUpload, aborted).await;
}
