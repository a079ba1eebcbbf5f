//! Finding datasets below a URL, and what readers find below a dataset.
//!
//! Owns the bounded walk over folders. It opens no manifest: a dataset is a folder with a first
//! log entry, or, that being lost, with objects that are named as a dataset's are.

use futures::{StreamExt, TryStreamExt, stream};

use object_store::path::Path;

use super::layout::{EXCEPTIONS_DIR, OWN_DIR, log_key, parse_object_key};
use super::{ObjectInfo, Root};
use crate::error::{Error, ErrorKind, Result};

/// How deep below the URL datasets are looked for.
const MAX_DEPTH: usize = 4;
/// Most folders that are looked into.
const MAX_FOLDERS: usize = 10_000;
/// Hive folders that are looked into for the objects of a lost dataset.
const FOLDERS_PEEKED: usize = 3;
/// Requests running at once.
const CONCURRENCY: usize = 32;

impl Root {
    /// The dataset roots at this root and up to four folders below it, in the order of their
    /// names. A dataset's own folders are not looked into. One whose first log entry is lost is
    /// among them where objects lie in it.
    ///
    /// # Errors
    ///
    /// The store's, classified; [`ErrorKind::Config`] when there are more than 10,000 folders.
    pub(crate) async fn datasets_below(&self) -> Result<Vec<Self>> {
        Ok(self.places_below().await?.datasets)
    }

    /// The same, and the folders above datasets in which runs left files of their own.
    ///
    /// # Errors
    ///
    /// As [`Root::datasets_below`].
    pub(crate) async fn places_below(&self) -> Result<Places> {
        let mut places = Places::default();
        let mut level = vec![self.clone()];
        let mut seen = 0;
        for depth in 0..=MAX_DEPTH {
            seen += level.len();
            if seen > MAX_FOLDERS {
                return Err(Error::new(
                    ErrorKind::Config,
                    format!("more than {MAX_FOLDERS} folders below {}", self.url()),
                )
                .with_advice("give a URL that is closer to the datasets"));
            }
            let looks = stream::iter(level).map(|root| root.look(depth < MAX_DEPTH));
            let found: Vec<_> = looks.buffered(CONCURRENCY).try_collect().await?;
            level = Vec::new();
            for look in found {
                places.datasets.extend(look.dataset);
                places.run_folders.extend(look.run_folder);
                level.extend(look.folders);
            }
        }
        places.datasets.sort_by(|a, b| a.prefix.cmp(&b.prefix));
        places.run_folders.sort_by(|a, b| a.prefix.cmp(&b.prefix));
        Ok(places)
    }

    /// Every object at any depth below this root that readers of a folder would take in: none of
    /// its names begins with `_` or `.`, which they pass over.
    ///
    /// # Errors
    ///
    /// The store's, classified.
    pub(crate) async fn list_readable(&self) -> Result<Vec<ObjectInfo>> {
        let mut listed = self.store.list(Some(&self.prefix));
        let mut found = Vec::new();
        while let Some(meta) = listed.next().await {
            let meta = meta.map_err(|cause| self.failed("list", "", &cause))?;
            let Some(parts) = meta.location.prefix_match(&self.prefix) else {
                continue;
            };
            let names: Vec<_> = parts.collect();
            let is_hidden = |name: &str| name.starts_with(['_', '.']);
            // The folder itself, which some tools make an object, has no names.
            if names.is_empty() || names.iter().any(|name| is_hidden(name.as_ref())) {
                continue;
            }
            let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
            found.push(self.info(names.join("/"), &meta));
        }
        Ok(found)
    }

    async fn look(self, descend: bool) -> Result<Look> {
        if self.head(&log_key(1)).await?.is_some() {
            return Ok(Look {
                dataset: Some(self),
                run_folder: None,
                folders: Vec::new(),
            });
        }
        let listed = self.store.list_with_delimiter(Some(&self.prefix)).await;
        let listed = listed.map_err(|cause| self.failed("list", "", &cause))?;
        let names = listed.objects.iter().filter_map(|o| o.location.filename());
        let is_lost = names
            .into_iter()
            .any(|name| parse_object_key(name).is_some());
        let is_lost = is_lost || self.is_lost_in_folders(&listed.common_prefixes).await?;
        let has_own = listed.common_prefixes.iter().any(is_own_dir);
        let run_folder = (has_own && !is_lost).then(|| self.clone());
        let folders = listed.common_prefixes.into_iter();
        let folders = folders.filter(|folder| !is_lost || !is_hive_folder(folder));
        let folders = folders
            .filter(|folder| descend && !is_own(folder) && *folder != self.prefix)
            .map(|prefix| Self {
                prefix,
                ..self.clone()
            })
            .collect();
        Ok(Look {
            dataset: is_lost.then_some(self),
            run_folder,
            folders,
        })
    }
}

impl Root {
    /// Whether a dataset whose log is lost has its objects in hive folders: the first few tell.
    async fn is_lost_in_folders(&self, folders: &[Path]) -> Result<bool> {
        let hive = folders.iter().filter(|folder| is_hive_folder(folder));
        for folder in hive.take(FOLDERS_PEEKED) {
            let inner = Self {
                prefix: folder.clone(),
                ..self.clone()
            };
            let listed = inner.list().await?;
            let is_part = |info: &ObjectInfo| parse_object_key(&info.key).is_some();
            if listed.iter().any(is_part) && inner.head(&log_key(1)).await?.is_none() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// A dataset's own folders, in which no other lies.
fn is_own(folder: &Path) -> bool {
    matches!(folder.filename(), Some(OWN_DIR | EXCEPTIONS_DIR))
}

fn is_hive_folder(folder: &Path) -> bool {
    folder.filename().is_some_and(|name| name.contains('='))
}

fn is_own_dir(folder: &Path) -> bool {
    folder.filename() == Some(OWN_DIR)
}

/// What lies at and below a URL.
#[derive(Debug, Default)]
pub(crate) struct Places {
    /// The roots of datasets.
    pub(crate) datasets: Vec<Root>,
    /// Folders that are no dataset's and have a folder of pgsluice's own.
    pub(crate) run_folders: Vec<Root>,
}

struct Look {
    dataset: Option<Root>,
    run_folder: Option<Root>,
    folders: Vec<Root>,
}
