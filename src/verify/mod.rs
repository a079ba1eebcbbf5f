//! Proves that datasets are whole: every object against the manifest, the manifest against
//! itself, the rows against what PostgreSQL sent, and, on request, against what it holds now.
//!
//! Owns the checks and the report. It writes nothing. Whatever is wrong becomes a [`Finding`];
//! none hides the next, and an error ends it only where nothing can be looked at.

mod chunk;
mod dataset;
mod exceptions;
mod finding;
mod object;
mod progress;
mod rehash;
mod rows;
mod source;
#[cfg(test)]
mod tests;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::error::{Error, ErrorKind, Result};
use crate::options::{DEFAULT_LOCK_TIMEOUT, DEFAULT_WORKERS, MAX_WORKERS};
use crate::pg::ConnectOptions;
use crate::store::Root;

pub use self::finding::{Finding, FindingKind, Severity};
pub use self::progress::{VerifyCounts, VerifyProgress};

/// What [`verify`] does.
#[derive(Clone)]
#[non_exhaustive]
pub struct VerifyOptions {
    /// Only the manifest, listings, sizes and footers; no object is read through. Default `false`.
    pub quick: bool,
    /// Chunks read at once. Default [`DEFAULT_WORKERS`], at most [`MAX_WORKERS`].
    pub workers: NonZeroUsize,
    /// A server to count and hash the rows of each chunk on. Default `None`.
    pub against: Option<ConnectOptions>,
    /// How long its table locks are waited for. Default [`DEFAULT_LOCK_TIMEOUT`].
    pub lock_timeout: Duration,
}

impl Default for VerifyOptions {
    fn default() -> Self {
        Self {
            quick: false,
            workers: DEFAULT_WORKERS,
            against: None,
            lock_timeout: DEFAULT_LOCK_TIMEOUT,
        }
    }
}

impl VerifyOptions {
    /// Checks every field against its limits.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`], naming the field.
    pub fn validate(&self) -> Result<()> {
        if self.workers.get() <= MAX_WORKERS {
            return Ok(());
        }
        let message = format!("--workers {}: at most {MAX_WORKERS}", self.workers);
        Err(Error::new(ErrorKind::Config, message))
    }
}

/// What was found under a URL.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct VerifyReport {
    /// The URL that was read.
    pub url: String,
    /// Whether no object was read through.
    pub quick: bool,
    /// The server that rows were compared with, without secrets.
    pub against: Option<String>,
    /// The datasets, by root.
    pub datasets: Vec<DatasetVerdict>,
    /// From start to end.
    #[serde(rename = "wall_seconds", serialize_with = "seconds")]
    pub wall: Duration,
}

/// What was found of one dataset.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct DatasetVerdict {
    /// `schema.name`, or the root where not even that can be read.
    pub table: String,
    /// Its root.
    pub root: String,
    /// Whether its log ends: only then are extra objects told from those on their way.
    pub complete: bool,
    /// Committed chunks.
    pub chunks: u64,
    /// Their objects.
    pub objects: u64,
    /// Their rows, as committed.
    pub rows: u64,
    /// Bytes of their objects, as committed.
    pub object_bytes: u64,
    /// Chunks whose rows were encoded again and hash to what PostgreSQL sent.
    pub chunks_proven: u64,
    /// With a server to compare with: what it said.
    pub source: Option<SourceVerdict>,
    /// All that was found, in the order of log, files, chunks and source.
    pub findings: Vec<Finding>,
}

/// How a dataset compares with its source.
#[derive(Debug, Clone, Default, Serialize)]
#[non_exhaustive]
pub struct SourceVerdict {
    /// The snapshot of the comparison, as the server names it.
    pub snapshot: String,
    /// Parts of the table that were counted: chunks, or whole relations where chunks are pages.
    pub parts: u64,
    /// Parts whose number of rows is the committed one.
    pub counted_equal: u64,
    /// Parts whose rows were hashed on both sides.
    pub hashed: u64,
    /// Parts whose hashes are equal.
    pub hashed_equal: u64,
}

impl DatasetVerdict {
    /// Findings that break a guarantee.
    #[must_use]
    pub fn errors(&self) -> u64 {
        let is_error = |finding: &&Finding| finding.severity == Severity::Error;
        self.findings.iter().filter(is_error).count() as u64
    }

    /// Findings that do not.
    #[must_use]
    pub fn warnings(&self) -> u64 {
        self.findings.len() as u64 - self.errors()
    }
}

impl VerifyReport {
    /// Whether all datasets are complete and nothing that was found breaks a guarantee.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.datasets.iter().all(|dataset| dataset.errors() == 0)
    }
}

/// Verifies the dataset at `root`, or every dataset in folders below it.
///
/// Dropped, it ends: no further piece is read, and the decoding of pieces already read ends by
/// itself.
///
/// # Memory usage
///
/// For each worker: three pieces of 8 MiB, one row group (about 24 MiB as exported by default)
/// and a few batches of about 4 MiB. A row group beyond 64 MiB takes a permit of which there is
/// one. A chunk's exceptions take 16 bytes each and each distinct value once, at most 256 MiB for
/// each worker, or about twice that while they are gathered; a chunk of more is not proven, which
/// is an error. The manifest takes about 1 KiB a chunk.
///
/// # Errors
///
/// [`ErrorKind::Storage`] when the store cannot be listed, [`ErrorKind::Config`] when no dataset
/// is there, [`ErrorKind::Source`] when the server to compare with cannot be reached at all.
/// Whatever else is wrong stands in the report.
pub async fn verify(
    root: &Root,
    options: &VerifyOptions,
    progress: &Arc<VerifyProgress>,
) -> Result<VerifyReport> {
    options.validate()?;
    let start = Instant::now();
    if let Some(source) = &options.against {
        // A server that cannot be reached is better known before objects are read for an hour.
        drop(source.connect(source::PURPOSE).await?);
    }
    let roots = root.datasets_below().await?;
    progress.found_datasets(roots.len() as u64);
    let work = Arc::new(object::Work::new(options, progress));
    let mut datasets = Vec::with_capacity(roots.len());
    for root in roots {
        let verified = dataset::verify_dataset(&work, &root).await?;
        progress.dataset_done();
        datasets.push(verified);
    }
    if datasets.is_empty() {
        return Err(Error::new(
            ErrorKind::Config,
            format!("no dataset of pgsluice at or below {}", root.url()),
        )
        .with_advice("give the --to of an export, or a folder above it"));
    }
    Ok(VerifyReport {
        url: root.url(),
        quick: options.quick,
        against: options.against.as_ref().map(ConnectOptions::target),
        datasets,
        wall: start.elapsed(),
    })
}

fn seconds<S: serde::Serializer>(wall: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_f64(wall.as_secs_f64())
}
