//! How an object becomes visible: the one order of steps that makes a data object safe.
//!
//! Owns the protocol alone: completed only after the fence was found open, looked at once more
//! after a wait of any length, counted only after its footer was read back. It knows neither rows
//! nor connections, so that a simulation can drive it as workers do.

use crate::crash_point::{CrashPoint, step};
use crate::error::{Error, ErrorKind, Result};
use crate::file::{Footer, read_footer};
use crate::manifest::{Fence, ObjectEntry};
#[cfg(test)]
use crate::sabotage::{self, Sabotage};
use crate::store::{Root, Upload};

/// Bytes at an object's end that hold most footers; a longer footer is read again, exactly.
const FOOTER_GUESS_BYTES: u64 = 64 << 10;

/// What was handed to an upload, all of it.
pub(crate) struct Encoded {
    pub(crate) bytes: u64,
    pub(crate) rows: u64,
    /// In hex.
    pub(crate) sha256: String,
}

/// Makes an object visible and reads its footer back; then it may be committed.
///
/// Dropped midway, the object stands or does not: an orphan, which another try writes over or the
/// dataset's end deletes.
///
/// # Errors
///
/// [`ErrorKind::Fenced`] when a later writer took over: the object is gone again. The store's,
/// classified; the outcome is then unknown. A retryable [`ErrorKind::Storage`] for an object that
/// is not what was sent.
pub(crate) async fn land(
    root: &Root,
    fence: &Fence,
    key: &str,
    upload: Upload,
    encoded: Encoded,
) -> Result<ObjectEntry> {
    if !step(CrashPoint::FenceBefore, fence.check()).await? {
        upload.abort().await;
        return Err(fenced());
    }
    #[cfg(test)]
    if sabotage::is(Sabotage::CommitBeforeUpload) {
        tokio::spawn(upload.complete());
        return Ok(entry(key, encoded, None));
    }
    let stored = upload.complete().await?;
    // The upload may have waited long for the store. A successor that found its orphans
    // before this one landed would leave it beside its own objects.
    let is_ours = step(CrashPoint::FenceAfter, fence.check()).await?;
    #[cfg(test)]
    let is_ours = is_ours || sabotage::is(Sabotage::LandedUnchecked);
    if !is_ours {
        step(CrashPoint::DeleteFenced, root.delete(key)).await?;
        return Err(fenced());
    }
    match check_footer(root, key, &encoded).await {
        Ok(()) => Ok(entry(key, encoded, stored.etag)),
        // A successor since then takes it for an orphan, and deletes it.
        Err(error) if error.kind() == ErrorKind::Storage && !fence.check().await? => Err(fenced()),
        Err(error) => Err(error),
    }
}

fn entry(key: &str, encoded: Encoded, etag: Option<String>) -> ObjectEntry {
    ObjectEntry {
        key: key.to_owned(),
        bytes: encoded.bytes,
        rows: encoded.rows,
        sha256: encoded.sha256,
        etag,
    }
}

/// An object counts only when its footer, read back from the store, says what was written.
async fn check_footer(root: &Root, key: &str, encoded: &Encoded) -> Result<()> {
    let Encoded { bytes, rows, .. } = *encoded;
    let wrong = |what: String| {
        Error::new(ErrorKind::Storage, format!("object {key} {what}")).with_retryable(true)
    };
    let mut wanted = FOOTER_GUESS_BYTES.min(bytes);
    loop {
        let tail = step(CrashPoint::ReadFooter, root.get_tail(key, wanted));
        let Some((stored, tail)) = tail.await? else {
            return Err(wrong("is not there after its upload".into()));
        };
        if stored.bytes != bytes {
            return Err(wrong(format!(
                "has {} bytes after {bytes} were sent",
                stored.bytes
            )));
        }
        match read_footer(&tail, bytes)? {
            Footer::Read(footer) if footer.rows == rows => return Ok(()),
            Footer::Read(footer) => {
                return Err(wrong(format!("holds {} rows, not {rows}", footer.rows)));
            }
            Footer::NeedMore(more) if more > wanted && more <= bytes => wanted = more,
            Footer::NeedMore(_) => return Err(wrong("has no readable footer".into())),
        }
    }
}

fn fenced() -> Error {
    let message = "a later writer took the dataset over while this chunk was uploaded";
    Error::new(ErrorKind::Fenced, message)
}
