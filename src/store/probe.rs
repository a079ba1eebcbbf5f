//! The first contact with a store: does it answer, may we write, does put-if-absent hold?
//!
//! Owns the check that the whole manifest protocol stands on. It leaves nothing behind but, on
//! a local disk, the folder.

use std::time::Duration;

use bytes::Bytes;

use super::layout::OWN_DIR;
use super::{Created, Root, random_token};
use crate::crash_point::{CrashPoint, step};
use crate::error::{Error, ErrorKind, Result};

/// How long each request of the probe may take, its repeats included.
const PROBE_TIMEOUT: Duration = Duration::from_secs(15);
/// How long the clean-up after a failure may take: with the first request's 10 s, below 15 s.
const CLEANUP_TIMEOUT: Duration = Duration::from_secs(2);

impl Root {
    /// Checks that the store can be reached, listed, written and deleted from, and that it
    /// honours put-if-absent, with a file of a random name under `_pgsluice/`.
    ///
    /// Fails within 15 s when the store cannot be reached. Dropped midway, it may leave the file.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`] for a store that ignores put-if-absent; [`ErrorKind::Config`]
    /// for a wrong bucket, credentials or permissions; [`ErrorKind::Storage`] otherwise.
    pub async fn probe(&self) -> Result<()> {
        if self.probe_honours_create().await? {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Unsupported,
            format!("the store of {} ignores put-if-absent", self.url()),
        )
        .with_advice(
            "two writers could overwrite each other there: use a store with conditional writes \
             (If-None-Match), or update this one; --single-writer goes on with a lock in \
             PostgreSQL instead, which promises less (docs/stores.md)",
        ))
    }

    /// As [`Root::probe`], of a store that may ignore put-if-absent, or refuse it: whether it
    /// honours it.
    ///
    /// # Errors
    ///
    /// As [`Root::probe`].
    pub(crate) async fn probe_honours_create(&self) -> Result<bool> {
        let prober = Self {
            store: self.prober.clone(),
            ..self.clone()
        };
        let key = format!("{OWN_DIR}/probe-{}", random_token());
        let honours = match prober.check_create(&key).await {
            Ok(honours) => honours,
            Err(error) => {
                // What may have been written is taken away as well as can be, and soon.
                let _ = tokio::time::timeout(CLEANUP_TIMEOUT, prober.delete(&key)).await;
                return Err(error);
            }
        };
        let delete = step(CrashPoint::ProbeDelete, prober.delete(&key));
        prober.in_time(delete).await?;
        Ok(honours)
    }

    async fn check_create(&self, key: &str) -> Result<bool> {
        let first = Bytes::from(random_token());
        let create = step(CrashPoint::Probe, self.create(key, first.clone()));
        match self.in_time(create).await {
            Err(error) if error.kind() == ErrorKind::Unsupported => {
                // It does not take the condition at all; the rest must work.
                self.in_time(self.put(key, first)).await?;
                self.in_time(self.child(OWN_DIR)?.list()).await?;
                return Ok(false);
            }
            created => created?,
        };
        let second = Bytes::from(random_token());
        let again = self.in_time(self.create(key, second)).await?;
        // The first may have answered "exists" for its own try; the bytes tell.
        let found = self.in_time(self.get(key)).await?;
        let honours = again == Created::Exists && found.as_ref() == Some(&first);
        self.in_time(self.child(OWN_DIR)?.list()).await?;
        Ok(honours)
    }

    async fn in_time<T>(&self, request: impl Future<Output = Result<T>>) -> Result<T> {
        match tokio::time::timeout(PROBE_TIMEOUT, request).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Error::new(
                ErrorKind::Storage,
                format!("the store of {} did not answer within 15 s", self.url()),
            )
            .with_advice("check the endpoint, the network and the proxy")),
        }
    }
}
