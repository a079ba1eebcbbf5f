//! Creating objects where the store cannot tell who was first.
//!
//! Owns the weaker way: look, prove that nobody else may write, put, read back, prove again. How
//! the right to write is held is the caller's; so is its claim. What remains is the time between
//! the first proof and the moment at which the store takes the put: a writer that loses its right
//! there still ends that put.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;

use super::{Created, Root};
use crate::error::{Error, ErrorKind, Result};

/// How long a put may take, repeats included, before it is given up. A writer that takes over
/// waits for longer, so that such a put has landed or is gone.
pub(crate) const SOLE_PUT_LIMIT: Duration = Duration::from_secs(10);

/// The right to be the only writer of roots, as something outside of the store grants it.
pub(crate) trait SoleWriter: Send + Sync {
    /// Takes the right to a root, by its URL. Kept as long as this lives.
    fn claim<'a>(&'a self, root: &'a str) -> BoxFuture<'a, Result<()>>;

    /// Makes sure that the right was never lost since. Once lost, it stays lost.
    fn prove<'a>(&'a self, root: &'a str) -> BoxFuture<'a, Result<()>>;
}

/// How a root is written by a sole writer.
#[derive(Clone)]
pub(super) struct Sole {
    writer: Arc<dyn SoleWriter>,
    /// The store honours put-if-absent all the same.
    is_conditional: bool,
}

impl fmt::Debug for Sole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sole")
    }
}

impl Root {
    /// The same root, whose objects are created only under a right that `writer` grants. Where
    /// the store honours put-if-absent (`is_conditional`), that is used as well.
    pub(crate) fn with_sole_writer(
        &self,
        writer: Arc<dyn SoleWriter>,
        is_conditional: bool,
    ) -> Self {
        Self {
            sole: Some(Sole {
                writer,
                is_conditional,
            }),
            ..self.clone()
        }
    }

    /// Claims this very root for its sole writer; nothing to do for one of many.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`], saying who has it.
    pub(crate) async fn claim(&self) -> Result<()> {
        match &self.sole {
            Some(sole) => sole.writer.claim(&self.url()).await,
            None => Ok(()),
        }
    }

    /// Whether objects are created only under a right.
    pub(super) fn has_sole_writer(&self) -> bool {
        self.sole.is_some()
    }

    pub(super) async fn create_alone(
        &self,
        sole: &Sole,
        key: &str,
        bytes: Bytes,
    ) -> Result<Created> {
        let is_there = self.head(key).await?.is_some();
        let root = self.url();
        sole.writer.prove(&root).await?;
        if is_there {
            return Ok(Created::Exists);
        }
        let put = self.put_alone(sole, key, bytes.clone());
        let created = match tokio::time::timeout(SOLE_PUT_LIMIT, put).await {
            Ok(created) => created?,
            Err(_) => return Err(self.too_slow(key)),
        };
        let found = self.get(key).await?;
        sole.writer.prove(&root).await?;
        // What is not there at once is settled as a write of unknown outcome.
        match found {
            Some(found) if found == bytes => Ok(created),
            Some(_) => Ok(Created::Exists),
            None => Err(self.vanished(key)),
        }
    }

    /// With little patience: a put that is repeated for long could land when the right is lost.
    async fn put_alone(&self, sole: &Sole, key: &str, bytes: Bytes) -> Result<Created> {
        if sole.is_conditional {
            return self.create_in(&self.prober, key, bytes).await;
        }
        let prober = Self {
            store: Arc::clone(&self.prober),
            ..self.clone()
        };
        prober.put(key, bytes).await.map(|_| Created::Yes)
    }

    fn too_slow(&self, key: &str) -> Error {
        Error::new(
            ErrorKind::Storage,
            format!("{}/{key} was not written within 10 s", self.url()),
        )
        .with_advice(
            "check the network: --single-writer gives every entry of the log so long at most",
        )
        .with_retryable(true)
    }

    fn vanished(&self, key: &str) -> Error {
        let message = format!("{}/{key} was written and cannot be read", self.url());
        Error::new(ErrorKind::Storage, message)
            .with_advice("the store must show at once what was written to it")
            .with_retryable(true)
    }
}
