//! A numbered, append-only log of small objects, each written once by put-if-absent.
//!
//! Owns the one conditional write of the design and what a lost reply means for it. It knows
//! bytes, not entries. Entries are dense from 1 and never deleted, so they are found by probing
//! upward; LIST is not trusted.

use std::time::Duration;

use bytes::Bytes;

use super::layout::log_key;
use super::{Created, Root};
use crate::crash_point::{CrashPoint, step};
use crate::error::{Error, ErrorKind, Result};
#[cfg(test)]
use crate::sabotage::{self, Sabotage};

/// How often an append of unknown outcome is settled before it is given up.
const MAX_TRIES: u32 = 6;
/// The pause after the first try; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// The log of one dataset.
#[derive(Debug, Clone)]
pub(crate) struct AppendLog {
    root: Root,
}

/// How an append ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Appended {
    /// The entry holds our bytes.
    Created,
    /// The entry is another's; these are its bytes.
    Exists(Bytes),
}

/// The largest entry that is read: 128 MiB. The largest that are written hold 1,000 chunks of 1,600
/// columns, each with its NULLs counted: less than 40 MB.
const MAX_ENTRY_BYTES: u64 = 128 << 20;

impl AppendLog {
    pub(crate) fn new(root: Root) -> Self {
        Self { root }
    }

    /// The entry `seq`; `None` when it is not written yet.
    ///
    /// # Errors
    ///
    /// The store's, classified.
    pub(crate) async fn read(&self, seq: u64) -> Result<Option<Bytes>> {
        self.root.get_small(&log_key(seq), MAX_ENTRY_BYTES).await
    }

    /// Writes entry `seq` unless it is there. Every answer of the store but a plain success is
    /// settled by reading back: "exists" may be our own try, and so may an error.
    ///
    /// No two writers may ever use the same bytes: put a nonce in. `point` says what the entry is.
    ///
    /// # Errors
    ///
    /// The store's, classified. The outcome is then unknown: the same bytes may be tried again
    /// for the same `seq`, and nothing else may be written there. The same when it is dropped
    /// midway. On a local disk an error is never turned into a success by reading back, which
    /// would come from memory and prove nothing about the disk.
    pub(crate) async fn append_entry(
        &self,
        seq: u64,
        bytes: &Bytes,
        point: CrashPoint,
    ) -> Result<Appended> {
        let mut failure = None;
        for tries in 0..MAX_TRIES {
            if tries > 0 {
                tokio::time::sleep(FIRST_PAUSE * 2_u32.pow(tries)).await;
            }
            match self.try_append(seq, bytes, point).await {
                Ok(Some(appended)) => return Ok(appended),
                // Refused, yet nothing is there: S3 answers so while another write is on its way.
                Ok(None) => {}
                Err(error) if error.is_retryable() => failure = Some(error),
                Err(error) => return Err(error),
            }
        }
        Err(failure.unwrap_or_else(|| {
            Error::new(
                ErrorKind::Storage,
                format!("{} is refused as present but cannot be read", log_key(seq)),
            )
            .with_advice("the store contradicts itself: check that it is strongly consistent")
        }))
    }

    /// An entry of whatever kind.
    #[cfg(test)]
    pub(crate) async fn append(&self, seq: u64, bytes: &Bytes) -> Result<Appended> {
        self.append_entry(seq, bytes, CrashPoint::CommitEntry).await
    }

    async fn try_append(
        &self,
        seq: u64,
        bytes: &Bytes,
        point: CrashPoint,
    ) -> Result<Option<Appended>> {
        let key = log_key(seq);
        let created = step(point, self.root.create(&key, bytes.clone())).await;
        let failure = match created {
            Ok(Created::Yes) => return Ok(Some(Appended::Created)),
            Ok(Created::Exists) => None,
            // What is there now may be ours, and the right to it lost: the next try proves it.
            Err(error) if self.root.has_sole_writer() => return Err(error),
            Err(error) if self.root.is_local() => return Err(error.with_retryable(false)),
            Err(error) => Some(error),
        };
        #[cfg(test)]
        if sabotage::is(Sabotage::OwnEntryUnknown) {
            return Ok(self.read(seq).await?.map(Appended::Exists));
        }
        match (self.read(seq).await?, failure) {
            (Some(found), _) if found == *bytes => Ok(Some(Appended::Created)),
            (Some(found), _) => Ok(Some(Appended::Exists(found))),
            (None, Some(error)) => Err(error),
            (None, None) => Ok(None),
        }
    }
}
