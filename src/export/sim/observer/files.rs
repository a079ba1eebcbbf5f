//! `_SUCCESS` and `manifest.json`: what they vouch for is there.

use std::collections::BTreeMap;

use bytes::Bytes;
use object_store::memory::InMemory;
use sha2::{Digest, Sha256};

use super::{Checked, read};
use crate::chunk::ChunkId;
use crate::manifest::{ChunkEntry, Dataset, ManifestFrames, State};
use crate::store::hex;
use crate::store::layout::{MANIFEST, SUCCESS, parse_object_key};

/// A run that came to its end, and what its files must be.
#[derive(Debug)]
pub(super) struct Completed {
    manifest_sha256: String,
    /// The entry that comes next; a later one there is not that run's.
    next_seq: u64,
    chunks: BTreeMap<ChunkId, ChunkEntry>,
}

impl Completed {
    pub(super) fn of(dataset: &Dataset) -> Result<Self, String> {
        let mut hasher = Sha256::new();
        for frame in ManifestFrames::of(dataset) {
            hasher.update(frame.map_err(|error| error.to_string())?);
        }
        Ok(Self {
            manifest_sha256: hex(&hasher.finalize()),
            next_seq: dataset.next_seq,
            chunks: dataset.committed.clone(),
        })
    }

    /// What a completed run committed never vanishes.
    pub(super) fn check_kept(&self, dataset: &Dataset) -> Checked {
        let is_kept =
            |(id, entry): (&ChunkId, &ChunkEntry)| dataset.committed.get(id) == Some(entry);
        match self.chunks.iter().all(is_kept) {
            true => Ok(()),
            false => Err("chunks of a completed run are gone from the log".to_owned()),
        }
    }
}

/// A file of the end, as it was written last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Written {
    /// Index of the run that it belongs to.
    run: usize,
    /// A further run was open already.
    is_late: bool,
}

#[derive(Debug, Default)]
pub(super) struct Files {
    success: Option<Written>,
    manifest: Option<Written>,
}

impl Files {
    pub(super) fn is_late(&self) -> bool {
        let files = [self.success, self.manifest];
        files.into_iter().flatten().any(|file| file.is_late)
    }

    /// One of them was written or deleted.
    pub(super) fn changed(
        &mut self,
        store: &InMemory,
        key: &str,
        is_write: bool,
        dataset: &Dataset,
        completed: &[Completed],
    ) -> Checked {
        if !is_write && dataset.config.incremental.is_none() {
            return Err(format!("{key} is deleted"));
        }
        let written = match is_write {
            true => Some(written(store, key, dataset, completed)?),
            false => None,
        };
        match key == SUCCESS {
            true => self.success = written,
            false => self.manifest = written,
        }
        self.check_same()
    }

    /// A `_SUCCESS` has the manifest that it vouches for, but for what came late.
    fn check_same(&self) -> Checked {
        match (self.success, self.manifest) {
            (None, _) => Ok(()),
            (Some(success), Some(manifest)) if success.run == manifest.run => Ok(()),
            _ if self.is_late() => Ok(()),
            (Some(_), Some(_)) => Err("_SUCCESS vouches for another manifest".to_owned()),
            (Some(_), None) => Err("_SUCCESS vouches for no manifest".to_owned()),
        }
    }

    /// A further run's chunk is committed: nothing vouches for less any more.
    pub(super) fn check_quiet(&self, dataset: &Dataset) -> Checked {
        match self.success {
            Some(success) if !success.is_late && dataset.state != State::Complete => {
                Err("a chunk is committed beside a _SUCCESS".to_owned())
            }
            _ => Ok(()),
        }
    }

    /// No object of the open epoch comes to lie beside a `_SUCCESS`.
    pub(super) fn check_beside(&self, key: &str, dataset: Option<&Dataset>) -> Checked {
        let (Some(success), Some(dataset)) = (self.success, dataset) else {
            return Ok(());
        };
        let epoch = parse_object_key(key).map(|(_, epoch)| epoch);
        let is_open = dataset.state != State::Complete && epoch == Some(dataset.epoch);
        match is_open && !success.is_late {
            true => Err(format!("{key} lands beside a _SUCCESS")),
            false => Ok(()),
        }
    }

    /// Both stand, and are those of the last run.
    pub(super) fn check_end(&self, store: &InMemory, completed: &[Completed]) -> Checked {
        let last = completed.last().ok_or("no run came to its end")?;
        let manifest = read(store, MANIFEST).ok_or("there is no manifest in the end")?;
        let success = read(store, SUCCESS).ok_or("there is no _SUCCESS in the end")?;
        let is_last = hex(&Sha256::digest(&manifest)) == last.manifest_sha256
            && vouched(&success).as_deref() == Some(&last.manifest_sha256);
        match is_last {
            true => Ok(()),
            false => Err("the files of the end are not those of the last run".to_owned()),
        }
    }
}

fn written(
    store: &InMemory,
    key: &str,
    dataset: &Dataset,
    completed: &[Completed],
) -> Result<Written, String> {
    let bytes = read(store, key).ok_or_else(|| format!("{key} is not there"))?;
    let sha256 = match key == SUCCESS {
        true => vouched(&bytes),
        false => Some(hex(&Sha256::digest(&bytes))),
    };
    let run = completed
        .iter()
        .position(|run| Some(&run.manifest_sha256) == sha256.as_ref())
        .ok_or_else(|| format!("{key} is not that of a complete dataset"))?;
    Ok(Written {
        run,
        is_late: dataset.next_seq > completed[run].next_seq,
    })
}

/// The manifest's SHA-256 that a `_SUCCESS` names.
fn vouched(success: &Bytes) -> Option<String> {
    let success: serde_json::Value = serde_json::from_slice(success).ok()?;
    Some(success.get("manifest_sha256")?.as_str()?.to_owned())
}
