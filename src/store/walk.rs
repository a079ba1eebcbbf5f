//! Finding datasets below a URL.
//!
//! Owns the bounded walk over folders. It opens no manifest: a dataset is a folder with a first
//! log entry.

use futures::{StreamExt, TryStreamExt, stream};

use super::Root;
use super::layout::{OWN_DIR, log_key};
use crate::error::{Error, ErrorKind, Result};

/// How deep below the URL datasets are looked for.
const MAX_DEPTH: usize = 4;
/// Most folders that are looked into.
const MAX_FOLDERS: usize = 10_000;
/// Requests running at once.
const CONCURRENCY: usize = 32;

impl Root {
    /// The dataset roots at this root and up to four folders below it, in the order of their
    /// names. A dataset's own folders are not looked into.
    ///
    /// # Errors
    ///
    /// The store's, classified; [`ErrorKind::Config`] when there are more than 10,000 folders.
    pub(crate) async fn datasets_below(&self) -> Result<Vec<Self>> {
        let mut datasets = Vec::new();
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
                match look {
                    Look::Dataset(root) => datasets.push(root),
                    Look::Folders(folders) => level.extend(folders),
                }
            }
        }
        datasets.sort_by(|a, b| a.prefix.cmp(&b.prefix));
        Ok(datasets)
    }

    async fn look(self, descend: bool) -> Result<Look> {
        if self.head(&log_key(1)).await?.is_some() {
            return Ok(Look::Dataset(self));
        }
        let folders = if descend {
            self.folders().await?
        } else {
            Vec::new()
        };
        Ok(Look::Folders(folders))
    }

    async fn folders(&self) -> Result<Vec<Self>> {
        let listed = self.store.list_with_delimiter(Some(&self.prefix)).await;
        let listed = listed.map_err(|cause| self.failed("list", "", &cause))?;
        let folders = listed.common_prefixes.into_iter();
        Ok(folders
            .filter(|folder| folder.filename() != Some(OWN_DIR) && *folder != self.prefix)
            .map(|prefix| Self {
                prefix,
                ..self.clone()
            })
            .collect())
    }
}

enum Look {
    Dataset(Root),
    Folders(Vec<Root>),
}
