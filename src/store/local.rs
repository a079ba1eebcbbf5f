//! A local disk whose new folders are as durable as the files in them.
//!
//! The store client syncs a file, its folder, and the folders that it had to make. It does not
//! sync a folder again that is there already: made by a task that has not synced it yet, or by a
//! run that died or failed before it did. A power cut could then take the folder with all in it.
//! So each folder is synced here once before the first write into it counts.

use std::collections::HashSet;
use std::fmt;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::{Path as FsPath, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, UploadPart,
};

/// The folders of one local disk, over the store client for it.
#[derive(Debug)]
pub(super) struct DurableFolders {
    files: LocalFileSystem,
    synced: Arc<Synced>,
}

impl DurableFolders {
    /// Over a client that syncs its files, for a root in `base`.
    pub(super) fn over(files: LocalFileSystem, base: PathBuf) -> Self {
        let known = Mutex::default();
        let synced = Arc::new(Synced { base, known });
        Self { files, synced }
    }
}

impl fmt::Display for DurableFolders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.files.fmt(f)
    }
}

#[async_trait]
impl ObjectStore for DurableFolders {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        opts: PutOptions,
    ) -> Result<PutResult> {
        let put = self.files.put_opts(location, payload, opts).await?;
        let file = self.files.path_to_filesystem(location)?;
        self.synced.sync_folders_of(file).await?;
        Ok(put)
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        Ok(Box::new(DurableUpload {
            upload: self.files.put_multipart_opts(location, opts).await?,
            file: self.files.path_to_filesystem(location)?,
            synced: Arc::clone(&self.synced),
        }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.files.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.files.get_ranges(location, ranges).await
    }

    /// With the last file of a folder the folder goes: what is made anew is synced anew.
    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let synced = Arc::clone(&self.synced);
        let deleted = self.files.delete_stream(locations);
        deleted.inspect(move |_| synced.forget()).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.files.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.files.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.files.copy_opts(from, to, options).await?;
        let file = self.files.path_to_filesystem(to)?;
        self.synced.sync_folders_of(file).await
    }
}

#[derive(Debug)]
struct DurableUpload {
    upload: Box<dyn MultipartUpload>,
    file: PathBuf,
    synced: Arc<Synced>,
}

#[async_trait]
impl MultipartUpload for DurableUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.upload.put_part(data)
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let put = self.upload.complete().await?;
        self.synced.sync_folders_of(self.file.clone()).await?;
        Ok(put)
    }

    async fn abort(&mut self) -> Result<()> {
        self.upload.abort().await
    }
}

/// Folders that are known to be on the disk: each one's entry, and those of all above it.
#[derive(Debug)]
struct Synced {
    /// What was there when the root was opened; above it, folders of others may be unreadable.
    base: PathBuf,
    known: Mutex<HashSet<PathBuf>>,
}

impl Synced {
    async fn sync_folders_of(self: &Arc<Self>, file: PathBuf) -> Result<()> {
        let new = self.unknown_above(&file);
        if new.is_empty() {
            return Ok(());
        }
        let this = Arc::clone(self);
        let synced = tokio::task::spawn_blocking(move || this.sync(new)).await;
        synced?.map_err(|cause| object_store::Error::Generic {
            store: "LocalFileSystem",
            source: Box::new(cause),
        })
    }

    /// The folders above a file up to the first that is known.
    fn unknown_above(&self, file: &FsPath) -> Vec<PathBuf> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let above = file.ancestors().skip(1);
        let unknown = above.take_while(|folder| !known.contains(*folder));
        unknown.map(FsPath::to_path_buf).collect()
    }

    /// Syncs the entry of each folder, which is in the one above it.
    fn sync(&self, folders: Vec<PathBuf>) -> io::Result<()> {
        for folder in &folders {
            let Some(parent) = folder.parent() else {
                continue;
            };
            match File::open(parent).and_then(|parent| parent.sync_all()) {
                // What was there before this run may lie in folders that only others can sync.
                Err(cause) if self.base.starts_with(folder) && is_not_ours(&cause) => {}
                outcome => outcome?,
            }
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.extend(folders);
        Ok(())
    }

    fn forget(&self) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.clear();
    }
}

/// Whether a folder cannot be synced for want of rights or of a disk below it.
fn is_not_ours(cause: &io::Error) -> bool {
    use io::ErrorKind as K;
    matches!(
        cause.kind(),
        K::PermissionDenied | K::ReadOnlyFilesystem | K::InvalidInput | K::Unsupported
    )
}
