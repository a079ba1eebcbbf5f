//! The fence: what tells a writer, and its workers, whether it still is the newest.
//!
//! Owns the look at the log that decides it, and the withdrawal of `_SUCCESS` that must stand
//! behind it. What is appended is `log`'s.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::sync::OnceCell;

use super::consolidated::finish;
use super::log::ManifestLog;
use super::model::State;
use super::seal::EntryHeader;
use crate::crash_point::{CrashPoint, step};
use crate::error::Result;
#[cfg(test)]
use crate::sabotage::{self, Sabotage};
use crate::store::layout::SUCCESS;
use crate::store::{AppendLog, Root};

/// Tells whether its writer still may write. Cheap to clone and to send to workers.
#[derive(Debug, Clone)]
pub(crate) struct Fence {
    pub(super) root: Root,
    /// Completed runs stand before this writer's.
    pub(super) is_further: bool,
    pub(super) log: AppendLog,
    pub(super) epoch: u64,
    pub(super) token: Arc<str>,
    pub(super) state: Arc<FenceState>,
}

#[derive(Debug)]
pub(super) struct FenceState {
    /// The newest entry that is known to be ours.
    pub(super) newest: AtomicU64,
    pub(super) is_fenced: AtomicBool,
    /// `_SUCCESS` of the completed runs is gone.
    pub(super) begun: OnceCell<()>,
}

impl Fence {
    /// To be called before the first object of a further run is written: takes away the
    /// `_SUCCESS` of the completed runs, which vouches for less than there will be. Once; of a
    /// first run nothing. A writer that was fenced leaves the newer one's in place.
    ///
    /// # Errors
    ///
    /// The store's, classified.
    pub(crate) async fn begin(&self) -> Result<()> {
        if !self.is_further {
            return Ok(());
        }
        let begin = || self.withdraw_success();
        self.state.begun.get_or_try_init(begin).await.copied()
    }

    pub(super) async fn withdraw_success(&self) -> Result<()> {
        #[cfg(test)]
        if sabotage::is(Sabotage::SuccessStays) {
            return Ok(());
        }
        if !self.check().await? {
            return Ok(());
        }
        if self.root.head(SUCCESS).await?.is_none() {
            // A run that died may have withdrawn it, and not seen to it that this lasts.
            return self.root.confirm_deleted(SUCCESS).await;
        }
        let delete = self.root.delete(SUCCESS);
        let deleted = step(CrashPoint::WithdrawSuccess, delete).await;
        if !self.check().await? {
            // It may have been that of a run that was opened and completed meanwhile.
            let newer = ManifestLog::load(&self.root).await?;
            if let Some(newer) = newer.filter(|newer| newer.state == State::Complete) {
                finish(&self.root, &newer).await?;
            }
        }
        deleted
    }

    /// The epoch whose writer this is about.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The writer's token.
    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// Whether the writer was still the newest when this began; once false, always false.
    ///
    /// Reads what stands behind the newest known entry: one request, more only if this very
    /// writer appends meanwhile.
    ///
    /// # Errors
    ///
    /// The store's, classified: it is then unknown.
    pub(crate) async fn check(&self) -> Result<bool> {
        #[cfg(test)]
        if sabotage::is(Sabotage::FenceUnchecked) {
            return Ok(true);
        }
        while !self.state.is_fenced.load(Ordering::Acquire) {
            let seq = self.state.newest.load(Ordering::Acquire) + 1;
            let Some(bytes) = self.log.read(seq).await? else {
                return Ok(true);
            };
            let is_ours = EntryHeader::from_bytes(&bytes)
                .is_some_and(|header| header.epoch == self.epoch && header.token == *self.token);
            if is_ours {
                self.state.newest.fetch_max(seq, Ordering::AcqRel);
            } else {
                self.state.is_fenced.store(true, Ordering::Release);
            }
        }
        Ok(false)
    }
}
