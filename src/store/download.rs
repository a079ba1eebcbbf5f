//! An object read from end to end, in pieces of bounded size.
//!
//! Owns the order of the pieces and the check that each is whole. A piece is a request of its own,
//! so that a broken connection costs one piece, and a local disk is read in large steps.

use bytes::Bytes;
use object_store::{GetOptions, GetRange};

use super::{ObjectInfo, Root};
use crate::error::{Error, ErrorKind, Result};

/// Bytes of one piece.
const PIECE_BYTES: u64 = 8 << 20;

/// A running read of one object. Holds no piece itself; dropped, it cancels the running request.
pub(crate) struct Download {
    root: Root,
    object: ObjectInfo,
    at: u64,
}

impl Root {
    /// Reads an object that was looked up before.
    pub(crate) fn download(&self, object: ObjectInfo) -> Download {
        Download {
            root: self.clone(),
            object,
            at: 0,
        }
    }
}

impl Download {
    /// The next piece, of at most 8 MiB; `None` behind the last.
    ///
    /// # Errors
    ///
    /// The store's, classified; [`ErrorKind::Storage`] when the object is gone or shorter than it
    /// was: it was replaced meanwhile.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>> {
        if self.at >= self.object.bytes {
            return Ok(None);
        }
        let end = self.object.bytes.min(self.at + PIECE_BYTES);
        let options = GetOptions {
            range: Some(GetRange::Bounded(self.at..end)),
            ..GetOptions::default()
        };
        let found = self.root.get_with(&self.object.key, options).await?;
        let piece = found.map(|(_, bytes)| bytes);
        let piece = piece.filter(|piece| piece.len() as u64 == end - self.at);
        let piece = piece.ok_or_else(|| {
            let message = format!(
                "{}/{} changed while it was read",
                self.root.url(),
                self.object.key
            );
            Error::new(ErrorKind::Storage, message)
        })?;
        self.at = end;
        Ok(Some(piece))
    }
}
