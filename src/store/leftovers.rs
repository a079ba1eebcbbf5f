//! What lies below a root, files that no store listing shows included.
//!
//! Owns the listing with times, and the local disk's own leftovers: the staging files `…#N` under
//! which every object is written before it gets its name, and folders that became empty. What
//! may go is the caller's to know; nothing that it does not name is touched.

use std::fs::{self, DirEntry};
use std::io::{self, ErrorKind as IoErrorKind};
use std::path::{Path as FsPath, PathBuf};

use chrono::{DateTime, Utc};
use futures::StreamExt;

use super::Root;
use super::error::path_error;
use super::layout::{EXCEPTIONS_DIR, LOG_DIR, OWN_DIR, RUNS_DIR};
use crate::error::{Error, ErrorKind, Result};

/// An object with its age.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    /// Its key, relative to the root.
    pub(crate) key: String,
    /// Its size in bytes.
    pub(crate) bytes: u64,
    /// When it was written, by the store's clock.
    pub(crate) modified: DateTime<Utc>,
}

/// A file under which an object was, or is being, written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StagedFile {
    /// The object that it would become; its own name is this, `#` and the number.
    pub(crate) object: Found,
    /// The number behind the `#`.
    pub(crate) number: String,
}

/// What a local disk holds that its listings do not show.
#[derive(Debug, Default)]
pub(crate) struct DiskLeftovers {
    /// Staging files.
    pub(crate) staged: Vec<StagedFile>,
    /// Folders for objects with nothing in them.
    pub(crate) empty_folders: Vec<String>,
}

impl Root {
    /// Every object at any depth below this root, with its time. About 150 bytes each.
    ///
    /// # Errors
    ///
    /// The store's, classified.
    pub(crate) async fn list_all(&self) -> Result<Vec<Found>> {
        let mut listed = self.store.list(Some(&self.prefix));
        let mut found = Vec::new();
        while let Some(meta) = listed.next().await {
            let meta = meta.map_err(|cause| self.failed("list", "", &cause))?;
            let Some(parts) = meta.location.prefix_match(&self.prefix) else {
                continue;
            };
            let names: Vec<_> = parts.collect();
            let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
            if !names.is_empty() {
                found.push(Found {
                    key: names.join("/"),
                    bytes: meta.size,
                    modified: meta.last_modified,
                });
            }
        }
        Ok(found)
    }

    /// The staging files and empty folders among a dataset's own folders, and among them alone;
    /// nothing of a store that is no local disk. Links are not followed.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Storage`] or [`ErrorKind::Config`], as the disk says.
    pub(crate) async fn list_disk_leftovers(&self) -> Result<DiskLeftovers> {
        let Some(folder) = self.folder() else {
            return Ok(DiskLeftovers::default());
        };
        let walked = on_disk(move || {
            let mut left = DiskLeftovers::default();
            walk(&folder, "", &mut left).map(|_| left)
        });
        walked
            .await?
            .map_err(|cause| path_error(&self.url(), &cause))
    }

    /// Deletes staging files, and the object folders that become empty with them. One that is
    /// gone is no error.
    ///
    /// # Errors
    ///
    /// As [`Root::list_disk_leftovers`]. Some may have been deleted.
    pub(crate) async fn delete_staged(&self, files: Vec<StagedFile>) -> Result<()> {
        let Some(folder) = self.folder() else {
            return Ok(());
        };
        let deleted = on_disk(move || {
            for file in &files {
                let name = format!("{}#{}", file.object.key, file.number);
                gone_is_fine(fs::remove_file(folder.join(name)))?;
                if let Some((parent, _)) = file.object.key.rsplit_once('/')
                    && is_object_folder(parent)
                {
                    remove_if_empty(&folder.join(parent))?;
                }
            }
            Ok(())
        });
        let deleted: io::Result<()> = deleted.await?;
        deleted.map_err(|cause| path_error(&self.url(), &cause))
    }

    /// Removes folders that are empty; what came to lie in one meanwhile keeps it.
    ///
    /// # Errors
    ///
    /// As [`Root::list_disk_leftovers`].
    pub(crate) async fn remove_empty_folders(&self, folders: Vec<String>) -> Result<()> {
        let Some(root) = self.folder() else {
            return Ok(());
        };
        let mut keys = folders.iter();
        let removed = match keys.all(|key| is_object_folder(key)) {
            true => on_disk(move || {
                folders
                    .iter()
                    .try_for_each(|key| remove_if_empty(&root.join(key)))
            }),
            false => return Err(Error::new(ErrorKind::Internal, "no folder of objects")),
        };
        removed
            .await?
            .map_err(|cause| path_error(&self.url(), &cause))
    }

    /// Where the root lies on a local disk.
    fn folder(&self) -> Option<PathBuf> {
        let is_local = self.is_local;
        is_local.then(|| FsPath::new(&*self.base).join(self.prefix.as_ref()))
    }
}

/// A folder that objects lie in, which a writer makes again when it needs it.
fn is_object_folder(key: &str) -> bool {
    key == EXCEPTIONS_DIR
        || key.contains('=') && !key.contains('/') && !key.starts_with(['_', '.', '='])
}

/// A folder that a writer puts objects in.
fn is_written(key: &str) -> bool {
    is_object_folder(key) || [OWN_DIR, LOG_DIR, RUNS_DIR].contains(&key)
}

/// Walks over a folder of the dataset; gives whether it is empty.
fn walk(root: &FsPath, below: &str, left: &mut DiskLeftovers) -> io::Result<bool> {
    let entries = match fs::read_dir(root.join(below)) {
        Ok(entries) => entries,
        Err(cause) if cause.kind() == IoErrorKind::NotFound => return Ok(false),
        Err(cause) => return Err(cause),
    };
    let mut is_empty = true;
    for entry in entries {
        let entry = entry?;
        is_empty = false;
        let name = entry.file_name();
        // What is not UTF-8 is nobody's of ours.
        let Some(name) = name.to_str() else { continue };
        let key = match below {
            "" => name.to_owned(),
            _ => format!("{below}/{name}"),
        };
        let kind = entry.file_type()?;
        if kind.is_dir() && is_written(&key) {
            if walk(root, &key, left)? && is_object_folder(&key) {
                left.empty_folders.push(key);
            }
        } else if kind.is_file() {
            left.staged.extend(staged(&key, &entry)?);
        }
    }
    Ok(is_empty)
}

/// The staging file that an entry is: its name ends with `#` and digits.
fn staged(key: &str, entry: &DirEntry) -> io::Result<Option<StagedFile>> {
    let Some((object, number)) = key.rsplit_once('#') else {
        return Ok(None);
    };
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number || object.is_empty() {
        return Ok(None);
    }
    let meta = match entry.metadata() {
        Ok(meta) => meta,
        Err(cause) if cause.kind() == IoErrorKind::NotFound => return Ok(None),
        Err(cause) => return Err(cause),
    };
    Ok(Some(StagedFile {
        object: Found {
            key: object.to_owned(),
            bytes: meta.len(),
            modified: meta.modified()?.into(),
        },
        number: number.to_owned(),
    }))
}

fn remove_if_empty(folder: &FsPath) -> io::Result<()> {
    match fs::remove_dir(folder) {
        Err(cause) if cause.kind() == IoErrorKind::DirectoryNotEmpty => Ok(()),
        removed => gone_is_fine(removed),
    }
}

fn gone_is_fine(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(cause) if cause.kind() == IoErrorKind::NotFound => Ok(()),
        done => done,
    }
}

async fn on_disk<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|cause| {
        Error::new(ErrorKind::Internal, "a task on the disk died").with_source(cause)
    })
}
