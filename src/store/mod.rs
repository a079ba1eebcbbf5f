//! One root in an object store or on a local disk: keys in, bytes out.
//!
//! Owns the store connection, the URL it is shown by and the mapping of store errors. It knows
//! nothing of manifests or PostgreSQL. Keys are relative to the root, made by [`layout`], and
//! stand in the store exactly as given.

mod download;
mod endpoint;
mod error;
mod health;
mod http;
pub(crate) mod layout;
mod local;
mod log;
mod open;
mod probe;
mod sole;
#[cfg(test)]
mod suite;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod upload;
mod walk;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{
    GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload,
};
use sha2::{Digest, Sha256};

use self::error::store_error;
use self::sole::Sole;
use crate::error::{Error, ErrorKind, Result};

pub(crate) use self::health::Health;
pub(crate) use self::log::{AppendLog, Appended};
pub(crate) use self::sole::{SOLE_PUT_LIMIT, SoleWriter};
pub(crate) use self::upload::{PARTS_IN_FLIGHT, Upload};

/// Deletions running at once.
const DELETE_BATCH: usize = 1_000;

/// A folder of an object store or a local disk, and the store that holds it. Cheap to clone.
///
/// Dropping it cancels nothing that runs.
#[derive(Clone)]
pub struct Root {
    store: Arc<dyn ObjectStore>,
    /// The same store with little patience, for the first contact.
    prober: Arc<dyn ObjectStore>,
    /// Where the root lies in the store.
    prefix: Path,
    /// What comes before the prefix when it is shown, such as `s3://bucket`. No secrets.
    base: Arc<str>,
    /// A local disk: read-after-write comes from memory, so it proves nothing about the disk.
    is_local: bool,
    /// The store cannot tell who was first: objects are created under a right to be alone.
    sole: Option<Sole>,
    /// How its store fares, seen by every request.
    health: Arc<Health>,
}

/// An object as the store describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ObjectInfo {
    /// Its key, relative to the root.
    pub(crate) key: String,
    /// Its size in bytes.
    pub(crate) bytes: u64,
    /// Its entity tag without quotes and weakness mark, where the store has one.
    pub(crate) etag: Option<String>,
}

/// How a put-if-absent ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Created {
    /// It was absent; now it holds these bytes.
    Yes,
    /// Something is there. It may be our own earlier try whose reply was lost.
    Exists,
}

impl fmt::Debug for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Root").field(&self.url()).finish()
    }
}

impl Root {
    /// A folder below this one. `folder` is a key as [`layout`] makes it; empty: this root itself.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Internal`] when the folder is no key.
    pub(crate) fn child(&self, folder: &str) -> Result<Self> {
        let prefix = match folder {
            "" => self.prefix.clone(),
            _ => self.path(folder)?,
        };
        Ok(Self {
            prefix,
            ..self.clone()
        })
    }

    /// The root for people, without secrets; [`Root::open`] reads it back.
    #[must_use]
    pub fn url(&self) -> String {
        open::show_url(&self.base, &self.prefix, self.is_local)
    }

    /// How the store fares.
    pub(crate) fn health(&self) -> &Arc<Health> {
        &self.health
    }

    /// Whether the root is on a local disk.
    pub(crate) fn is_local(&self) -> bool {
        self.is_local
    }

    /// Writes an object whole, over anything that is there.
    ///
    /// # Errors
    ///
    /// The store's, classified; retryable ones are marked. The object may have been written.
    pub(crate) async fn put(&self, key: &str, bytes: Bytes) -> Result<ObjectInfo> {
        let size = bytes.len() as u64;
        let path = self.path(key)?;
        let put = self.store.put(&path, PutPayload::from(bytes)).await;
        let put = put.map_err(|cause| self.failed("write", key, &cause))?;
        Ok(ObjectInfo {
            key: key.to_owned(),
            bytes: size,
            etag: put.e_tag.as_deref().map(plain_etag),
        })
    }

    /// Writes an object whole if there is none.
    ///
    /// [`Created::Exists`] may mean our own try: the store client repeats a request whose reply
    /// was lost. Whoever cares reads back and compares.
    ///
    /// # Errors
    ///
    /// The store's, classified. The outcome is then unknown: the object may be written, even later.
    pub(crate) async fn create(&self, key: &str, bytes: Bytes) -> Result<Created> {
        match &self.sole {
            Some(sole) => self.create_alone(sole, key, bytes).await,
            None => self.create_in(&self.store, key, bytes).await,
        }
    }

    async fn create_in(
        &self,
        store: &Arc<dyn ObjectStore>,
        key: &str,
        bytes: Bytes,
    ) -> Result<Created> {
        let path = self.path(key)?;
        let options = PutOptions::from(PutMode::Create);
        match store
            .put_opts(&path, PutPayload::from(bytes), options)
            .await
        {
            Ok(_) => Ok(Created::Yes),
            Err(object_store::Error::AlreadyExists { .. }) => Ok(Created::Exists),
            Err(cause) => Err(self.failed("write", key, &cause)),
        }
    }

    /// An object's bytes; `None` when there is none. Holds it all in memory.
    ///
    /// # Errors
    ///
    /// The store's, classified. A missing bucket is an error and no missing object.
    pub(crate) async fn get(&self, key: &str) -> Result<Option<Bytes>> {
        let found = self.get_with(key, GetOptions::default()).await?;
        Ok(found.map(|(_, bytes)| bytes))
    }

    /// As [`Root::get`], of an object of at most `most` bytes: a larger one is not read.
    ///
    /// # Errors
    ///
    /// As [`Root::get`]; [`ErrorKind::Conflict`] for a larger one.
    pub(crate) async fn get_small(&self, key: &str, most: u64) -> Result<Option<Bytes>> {
        let path = self.path(key)?;
        let read = async {
            let found = self.store.get(&path).await?;
            match found.meta.size <= most {
                true => found.bytes().await.map(Some),
                false => Ok(None),
            }
        };
        match self.absent_is_none("read", key, read.await)? {
            Some(Some(bytes)) => Ok(Some(bytes)),
            Some(None) => Err(Error::new(
                ErrorKind::Conflict,
                format!("{}/{key} is larger than pgsluice writes it", self.url()),
            )
            .with_advice("something else wrote it: export to a fresh root")),
            None => Ok(None),
        }
    }

    /// An object's description and its last `most` bytes (all of it when it is smaller).
    ///
    /// # Errors
    ///
    /// As [`Root::get`].
    pub(crate) async fn get_tail(
        &self,
        key: &str,
        most: u64,
    ) -> Result<Option<(ObjectInfo, Bytes)>> {
        // Azure has no suffix ranges, so the size comes first.
        let Some(info) = self.head(key).await? else {
            return Ok(None);
        };
        let start = info.bytes.saturating_sub(most);
        if start == info.bytes {
            return Ok(Some((info, Bytes::new())));
        }
        let options = GetOptions {
            range: Some(GetRange::Bounded(start..info.bytes)),
            ..GetOptions::default()
        };
        self.get_with(key, options).await
    }

    async fn get_with(
        &self,
        key: &str,
        options: GetOptions,
    ) -> Result<Option<(ObjectInfo, Bytes)>> {
        let path = self.path(key)?;
        let result = async {
            let found = self.store.get_opts(&path, options).await?;
            let info = found.meta.clone();
            Ok((info, found.bytes().await?))
        };
        match self.absent_is_none("read", key, result.await)? {
            Some((meta, bytes)) => Ok(Some((self.info(key.to_owned(), &meta), bytes))),
            None => Ok(None),
        }
    }

    /// An object's description; `None` when there is none.
    ///
    /// # Errors
    ///
    /// As [`Root::get`].
    pub(crate) async fn head(&self, key: &str) -> Result<Option<ObjectInfo>> {
        let path = self.path(key)?;
        let found = self.absent_is_none("look up", key, self.store.head(&path).await)?;
        Ok(found.map(|meta| self.info(key.to_owned(), &meta)))
    }

    /// Reads an object from end to end: its size and SHA-256 in hex; `None` when there is none.
    ///
    /// # Errors
    ///
    /// As [`Root::get`].
    pub(crate) async fn sha256(&self, key: &str) -> Result<Option<(u64, String)>> {
        let path = self.path(key)?;
        let digest = async {
            let mut frames = self.store.get(&path).await?.into_stream();
            let (mut hasher, mut size) = (Sha256::new(), 0);
            while let Some(frame) = frames.try_next().await? {
                size += frame.len() as u64;
                hasher.update(&frame);
            }
            Ok((size, hex(&hasher.finalize())))
        };
        self.absent_is_none("read", key, digest.await)
    }

    /// The objects that lie in the root itself, not in folders below it. One description an
    /// object is held in memory, about 200 bytes each.
    ///
    /// # Errors
    ///
    /// The store's, classified.
    pub(crate) async fn list(&self) -> Result<Vec<ObjectInfo>> {
        let listed = self.store.list_with_delimiter(Some(&self.prefix)).await;
        let listed = listed.map_err(|cause| self.failed("list", "", &cause))?;
        let below = |meta: &ObjectMeta| {
            let mut parts = meta.location.prefix_match(&self.prefix)?;
            let key = parts.next()?.as_ref().to_owned();
            parts.next().is_none().then(|| self.info(key, meta))
        };
        Ok(listed.objects.iter().filter_map(below).collect())
    }

    /// Deletes an object; one that is not there is no error.
    ///
    /// # Errors
    ///
    /// The store's, classified.
    pub(crate) async fn delete(&self, key: &str) -> Result<()> {
        self.delete_all(std::slice::from_ref(&key.to_owned())).await
    }

    /// Deletes objects, in bulk where the store can.
    ///
    /// # Errors
    ///
    /// The store's, classified. Some may have been deleted.
    pub(crate) async fn delete_all(&self, keys: &[String]) -> Result<()> {
        for keys in keys.chunks(DELETE_BATCH) {
            let paths = keys
                .iter()
                .map(|key| self.path(key))
                .collect::<Result<Vec<_>>>()?;
            let paths = stream::iter(paths.into_iter().map(Ok)).boxed();
            let mut deleted = self.store.delete_stream(paths);
            while let Some(outcome) = deleted.next().await {
                match outcome {
                    Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
                    Err(cause) => return Err(self.failed("delete", &keys[0], &cause)),
                }
            }
        }
        Ok(())
    }

    /// An object to be written in parts; nothing is visible before [`Upload::complete`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Internal`] when the key is none.
    pub(crate) fn upload(&self, key: &str, part_bytes: usize) -> Result<Upload> {
        Upload::new(self.clone(), key, part_bytes)
    }

    /// The path of a key: taken as it stands, never encoded again.
    fn path(&self, key: &str) -> Result<Path> {
        let full = match self.prefix.as_ref() {
            "" => key.to_owned(),
            prefix => format!("{prefix}/{key}"),
        };
        match Path::parse(&full) {
            Ok(path) if !key.is_empty() && path.as_ref() == full => Ok(path),
            _ => Err(Error::new(
                ErrorKind::Internal,
                format!("{full:?} is no key"),
            )),
        }
    }

    fn info(&self, key: String, meta: &ObjectMeta) -> ObjectInfo {
        ObjectInfo {
            key,
            bytes: meta.size,
            etag: meta.e_tag.as_deref().map(plain_etag),
        }
    }

    fn absent_is_none<T>(
        &self,
        action: &str,
        key: &str,
        result: object_store::Result<T>,
    ) -> Result<Option<T>> {
        match result {
            Ok(found) => Ok(Some(found)),
            Err(cause @ object_store::Error::NotFound { .. }) => {
                let error = self.failed(action, key, &cause);
                // A missing bucket answers "not found" too.
                if error.kind() == ErrorKind::Config {
                    Err(error)
                } else {
                    Ok(None)
                }
            }
            Err(cause) => Err(self.failed(action, key, &cause)),
        }
    }

    fn failed(&self, action: &str, key: &str, cause: &object_store::Error) -> Error {
        let target = match key {
            "" => self.url(),
            _ => format!("{}/{key}", self.url()),
        };
        store_error(action, &target, cause)
    }
}

/// An entity tag as it can be compared: LIST, HEAD and PUT of one store quote it differently.
fn plain_etag(etag: &str) -> String {
    etag.trim_start_matches("W/").trim_matches('"').to_owned()
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes
        .iter()
        .fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// 128 random bits in hex: for tokens that only have to be unique.
pub(crate) fn random_token() -> String {
    format!("{:032x}", rand::random::<u128>())
}
