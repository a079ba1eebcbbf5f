//! What a dataset's folder holds beside what its manifest says: lost objects and orphans.
//!
//! Owns the comparison of the manifest with the store. LIST serves to save requests; nothing is
//! deleted or given up for what a listing alone does not show.

use std::collections::{BTreeSet, HashMap, HashSet};

use futures::{StreamExt, TryStreamExt, stream};

use super::log::ManifestLog;
use super::model::{ChunkEntry, Dataset, ObjectEntry};
use crate::chunk::ChunkId;
use crate::crash_point::{CrashPoint, step};
use crate::error::{Error, ErrorKind, Result};
use crate::options::OnUnrepresentable;
#[cfg(test)]
use crate::sabotage::{self, Sabotage};
use crate::store::layout::{
    EXCEPTIONS_DIR, folder_of, log_key, parse_exceptions_key, parse_object_key,
};
use crate::store::{ObjectInfo, Root};

/// Requests running at once.
const CONCURRENCY: usize = 32;

/// What became of a dataset's orphans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) enum Orphans {
    /// They were deleted.
    Deleted {
        /// How many.
        objects: u64,
        /// Their bytes.
        bytes: u64,
    },
    /// A later epoch was opened: nothing was deleted.
    Fenced,
}

impl ManifestLog {
    /// Deletes objects that no committed chunk names and whose key is of this epoch or an earlier
    /// one: what dead and fenced writers left. Any other name stays as it is.
    ///
    /// To be called when every chunk is committed, before the complete entry. Checks the fence
    /// itself, after listing. Dropped midway, some are deleted.
    ///
    /// # Errors
    ///
    /// The store's, classified; [`ErrorKind::Internal`] while chunks are pending, since their
    /// objects may be on their way.
    pub(crate) async fn delete_orphans(&self) -> Result<Orphans> {
        let dataset = self.dataset();
        if !dataset.is_all_committed() {
            return Err(Error::new(
                ErrorKind::Internal,
                "orphans are looked for too early",
            ));
        }
        let list = list_objects(self.root(), dataset);
        let orphans = find_orphans(dataset, step(CrashPoint::ListOrphans, list).await?);
        let orphans = leave_others(self.root(), orphans).await?;
        #[cfg(test)]
        let orphans = match sabotage::is(Sabotage::OrphansStay) {
            true => Vec::new(),
            false => orphans,
        };
        if !step(CrashPoint::FenceOrphans, self.fence().check()).await? {
            return Ok(Orphans::Fenced);
        }
        let bytes = orphans.iter().map(|orphan| orphan.bytes).sum();
        let keys: Vec<String> = orphans.into_iter().map(|orphan| orphan.key).collect();
        step(CrashPoint::DeleteOrphans, self.root().delete_all(&keys)).await?;
        Ok(Orphans::Deleted {
            objects: keys.len() as u64,
            bytes,
        })
    }
}

/// What no taker may do.
#[cfg(test)]
pub(super) async fn delete_unfenced(root: &Root, dataset: &Dataset) -> Result<()> {
    let orphans = find_orphans(dataset, list_objects(root, dataset).await?);
    let keys: Vec<String> = orphans.into_iter().map(|orphan| orphan.key).collect();
    root.delete_all(&keys).await
}

fn find_orphans(dataset: &Dataset, listed: Vec<ObjectInfo>) -> Vec<ObjectInfo> {
    let objects = dataset.committed.values().flat_map(ChunkEntry::all_objects);
    let named: HashSet<&str> = objects.map(|object| object.key.as_str()).collect();
    let is_orphan = |object: &ObjectInfo| {
        let parsed = parse_object_key(&object.key).or_else(|| parse_exceptions_key(&object.key));
        let is_ours = parsed.is_some_and(|(_, epoch)| epoch <= dataset.epoch);
        is_ours && !named.contains(object.key.as_str())
    };
    listed.into_iter().filter(is_orphan).collect()
}

/// Without those in a folder that is a dataset of its own: its objects are called as ours would
/// be in a hive layout.
async fn leave_others(root: &Root, orphans: Vec<ObjectInfo>) -> Result<Vec<ObjectInfo>> {
    let folders = orphans.iter().filter_map(|orphan| folder_of(&orphan.key));
    let folders: BTreeSet<String> = folders.map(str::to_owned).collect();
    let mut others = BTreeSet::new();
    for folder in folders {
        if root.child(&folder)?.head(&log_key(1)).await?.is_some() {
            others.insert(folder);
        }
    }
    let is_ours = |key: &str| folder_of(key).is_none_or(|folder| !others.contains(folder));
    let orphans = orphans.into_iter();
    Ok(orphans.filter(|orphan| is_ours(&orphan.key)).collect())
}

/// What lies in the root and, where the options make any, in the folders of a hive layout and of
/// exceptions below it.
async fn list_objects(root: &Root, dataset: &Dataset) -> Result<Vec<ObjectInfo>> {
    let mut listed = match dataset.config.hive {
        Some(_) => root.list_readable().await?,
        None => root.list().await?,
    };
    if dataset.config.on_unrepresentable == OnUnrepresentable::Exceptions {
        listed.extend(list_exceptions(root).await?);
    }
    Ok(listed)
}

/// The objects in the folder of exceptions, with keys that start with it.
///
/// # Errors
///
/// The store's, classified.
pub(crate) async fn list_exceptions(root: &Root) -> Result<Vec<ObjectInfo>> {
    let mut listed = root.child(EXCEPTIONS_DIR)?.list().await?;
    for object in &mut listed {
        object.key = format!("{EXCEPTIONS_DIR}/{}", object.key);
    }
    Ok(listed)
}

/// The committed chunks whose objects are gone or hold other bytes, in order.
///
/// A listing of each folder; then, for what it does not confirm by size and entity tag, a HEAD
/// each, and for an object of the right size under another tag, a full read and its SHA-256.
///
/// # Errors
///
/// The store's, classified.
pub(crate) async fn check_committed(root: &Root, dataset: &Dataset) -> Result<Vec<ChunkId>> {
    if dataset.committed.is_empty() {
        return Ok(Vec::new());
    }
    let listed = list_objects(root, dataset).await?;
    let listed: HashMap<&str, &ObjectInfo> = listed
        .iter()
        .map(|object| (object.key.as_str(), object))
        .collect();
    let is_confirmed = |object: &ObjectEntry| {
        listed
            .get(object.key.as_str())
            .is_some_and(|found| is_same_tag(object, found))
    };
    let objects = dataset
        .committed
        .values()
        .flat_map(|entry| entry.all_objects().map(move |object| (entry.chunk, object)));
    let doubtful: Vec<_> = objects
        .filter(|(_, object)| !is_confirmed(object))
        .collect();
    // Futures from a loop, not a closure: the compiler cannot name the closure's lifetimes.
    let mut checks = Vec::with_capacity(doubtful.len());
    for (chunk, object) in doubtful {
        checks.push(async move { is_intact(root, object).await.map(|intact| (chunk, intact)) });
    }
    let checked: Vec<(ChunkId, bool)> = stream::iter(checks)
        .buffered(CONCURRENCY)
        .try_collect()
        .await?;
    let mut lost: Vec<ChunkId> = checked
        .into_iter()
        .filter(|(_, intact)| !intact)
        .map(|(chunk, _)| chunk)
        .collect();
    lost.dedup();
    Ok(lost)
}

async fn is_intact(root: &Root, object: &ObjectEntry) -> Result<bool> {
    let Some(found) = root.head(&object.key).await? else {
        return Ok(false);
    };
    if found.bytes != object.bytes {
        return Ok(false);
    }
    if is_same_tag(object, &found) {
        return Ok(true);
    }
    let read = root.sha256(&object.key).await?;
    Ok(read.is_some_and(|(bytes, sha256)| bytes == object.bytes && sha256 == object.sha256))
}

/// Size and tag agree, and there is a tag.
fn is_same_tag(object: &ObjectEntry, found: &ObjectInfo) -> bool {
    found.bytes == object.bytes && object.etag.is_some() && object.etag == found.etag
}
