//! The files that a complete dataset ends with: `manifest.json`, then `_SUCCESS`.
//!
//! Owns their form. Every byte follows from the fold of the log, so whoever finishes a dataset
//! writes the same bytes, and finishing twice is harmless.

use std::collections::btree_map::Values;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::config::ExportConfig;
use super::log::ManifestLog;
use super::model::{ChunkEntry, Dataset, State, VERSION};
use super::runs::RunSummary;
use crate::chunk::{ChunkId, PlannedRelation, Totals};
use crate::crash_point::{CrashPoint, step};
use crate::error::{Error, ErrorKind, Result};
#[cfg(test)]
use crate::sabotage::{self, Sabotage};
use crate::snapshot::{Consistency, Snapshot};
use crate::store::layout::{MANIFEST, SUCCESS};
use crate::store::{AppendLog, Root, Upload, hex};
use crate::table::TableSchema;

/// Bytes of one part of the manifest's upload; memory is three of them.
const PART_BYTES: usize = 8 << 20;
/// Bytes that are handed to the upload at once.
const FRAME_BYTES: usize = 1 << 20;
/// Further runs that may end while one is finished.
const MAX_FINISH_ROUNDS: u32 = 10;

/// All of the manifest but its chunks.
#[derive(Serialize)]
struct Header<'a> {
    version: u32,
    state: State,
    epoch: u64,
    consistency: Consistency,
    totals: Totals,
    opened_at: DateTime<Utc>,
    completed_at: DateTime<Utc>,
    config: &'a ExportConfig,
    schema: &'a TableSchema,
    snapshots: &'a [Snapshot],
    relations: &'a [PlannedRelation],
    #[serde(skip_serializing_if = "Option::is_none")]
    incremental: Option<Runs<'a>>,
}

/// How far an incremental export has come.
#[derive(Serialize)]
struct Runs<'a> {
    column: &'a str,
    /// The value up to which all rows were taken.
    upper: Option<&'a str>,
    runs: Vec<RunSummary>,
}

/// What `_SUCCESS` holds.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Success {
    pub(super) manifest_sha256: String,
    pub(super) rows: u64,
    pub(super) objects: u64,
}

/// Writes `manifest.json` and, after it, `_SUCCESS`, of a dataset whose log ends with a complete
/// entry. Does nothing where they stand already. Anyone may finish a complete dataset, and writes
/// the same bytes.
///
/// Only a further incremental run can follow in the log. Where one was opened, the end is left to
/// it: what came too late here is taken away again, and where that run has ended by now, its files
/// are written in place of those that were overwritten.
///
/// Streams; holds three parts of 8 MiB. Dropped midway, it is simply called again.
///
/// # Errors
///
/// The store's, classified; [`ErrorKind::Internal`] when the dataset is not complete;
/// [`ErrorKind::Conflict`] when further runs end faster than they are finished.
pub(crate) async fn finish(root: &Root, dataset: &Dataset) -> Result<()> {
    if dataset.state != State::Complete {
        return Err(Error::new(
            ErrorKind::Internal,
            "the dataset to finish is not complete",
        ));
    }
    let mut newer: Option<Dataset> = None;
    for _ in 0..MAX_FINISH_ROUNDS {
        let Some(late) = write_files(root, newer.as_ref().unwrap_or(dataset)).await? else {
            return Ok(());
        };
        if root.get(SUCCESS).await? == Some(late) {
            root.delete(SUCCESS).await?;
        }
        // Whoever completes the log after this writes its files after this, too.
        newer = ManifestLog::load(root).await?;
        if newer.as_ref().map(|newer| newer.state) != Some(State::Complete) {
            return Ok(());
        }
    }
    Err(Error::new(
        ErrorKind::Conflict,
        format!("runs of {} end faster than they are finished", root.url()),
    )
    .with_advice("start again: the missing files of the end are written then"))
}

/// Writes both files, where they do not stand. `Some` tells that a further run was opened meanwhile
/// whose files these may have overwritten, and what was put as `_SUCCESS`.
async fn write_files(root: &Root, dataset: &Dataset) -> Result<Option<Bytes>> {
    if is_finished(root, dataset).await? {
        return Ok(None);
    }
    let log = AppendLog::new(root.clone());
    let is_over = async || match dataset.config.incremental {
        Some(_) => Ok(log.read(dataset.next_seq).await?.is_some()),
        None => Ok::<_, Error>(false),
    };
    let mut upload = root.upload(MANIFEST, PART_BYTES)?;
    let manifest_sha256 = match write_manifest(&mut upload, dataset).await {
        Ok(sha256) => sha256,
        Err(error) => {
            upload.abort().await;
            return Err(error);
        }
    };
    if is_over().await? {
        upload.abort().await;
        return Ok(None);
    }
    #[cfg(test)]
    if sabotage::is(Sabotage::SuccessBeforeManifest) {
        let early = success_bytes(dataset, manifest_sha256.clone())?;
        root.put(SUCCESS, early).await?;
    }
    step(CrashPoint::ManifestFile, upload.complete()).await?;
    let success = success_bytes(dataset, manifest_sha256)?;
    if is_over().await? {
        return Ok(Some(success));
    }
    let put = root.put(SUCCESS, success.clone());
    step(CrashPoint::SuccessFile, put).await?;
    Ok(is_over().await?.then_some(success))
}

/// Whether both files stand. A `_SUCCESS` that another program left is not ours; of an incremental
/// export, one that vouches for fewer runs is not either.
async fn is_finished(root: &Root, dataset: &Dataset) -> Result<bool> {
    let Some(bytes) = root.get(SUCCESS).await? else {
        return Ok(false);
    };
    let Ok(found) = serde_json::from_slice::<Success>(&bytes) else {
        return Ok(false);
    };
    let Some(manifest) = root.head(MANIFEST).await? else {
        return Ok(false);
    };
    if dataset.config.incremental.is_none() {
        return Ok(true);
    }
    let (mut hasher, mut length) = (Sha256::new(), 0);
    for frame in ManifestFrames::of(dataset) {
        let frame = frame?;
        length += frame.len() as u64;
        hasher.update(&frame);
    }
    Ok(found.manifest_sha256 == hex(&hasher.finalize()) && manifest.bytes == length)
}

/// Writes the manifest; returns its SHA-256 in hex.
async fn write_manifest(upload: &mut Upload, dataset: &Dataset) -> Result<String> {
    let mut hasher = Sha256::new();
    for frame in ManifestFrames::of(dataset) {
        let frame = frame?;
        hasher.update(&frame);
        upload.write(frame).await?;
    }
    Ok(hex(&hasher.finalize()))
}

/// The bytes of `manifest.json`, one line a chunk, in frames of about 1 MiB.
pub(crate) struct ManifestFrames<'a> {
    dataset: &'a Dataset,
    chunks: Values<'a, ChunkId, ChunkEntry>,
    at: FramesAt,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum FramesAt {
    Header,
    FirstChunk,
    Chunks,
    End,
}

impl<'a> ManifestFrames<'a> {
    /// Those of a complete dataset. The same fold gives the same bytes.
    pub(crate) fn of(dataset: &'a Dataset) -> Self {
        Self {
            dataset,
            chunks: dataset.committed.values(),
            at: FramesAt::Header,
        }
    }

    fn frame(&mut self) -> Result<Bytes> {
        let mut frame = Vec::new();
        if self.at == FramesAt::Header {
            frame = header(self.dataset)?;
            // The header is an object: its last brace makes room for the chunks.
            frame.pop();
            frame.extend_from_slice(b",\n\"chunks\":[");
            self.at = FramesAt::FirstChunk;
        }
        for entry in self.chunks.by_ref() {
            let is_first = self.at == FramesAt::FirstChunk;
            frame.extend_from_slice(if is_first { b"\n" } else { b",\n" });
            self.at = FramesAt::Chunks;
            serde_json::to_writer(&mut frame, entry).map_err(no_json)?;
            if frame.len() >= FRAME_BYTES {
                return Ok(frame.into());
            }
        }
        frame.extend_from_slice(b"\n]}\n");
        self.at = FramesAt::End;
        Ok(frame.into())
    }
}

impl Iterator for ManifestFrames<'_> {
    type Item = Result<Bytes>;

    fn next(&mut self) -> Option<Self::Item> {
        (self.at != FramesAt::End).then(|| {
            let frame = self.frame();
            if frame.is_err() {
                self.at = FramesAt::End;
            }
            frame
        })
    }
}

/// The bytes of `_SUCCESS`.
pub(crate) fn success_bytes(dataset: &Dataset, manifest_sha256: String) -> Result<Bytes> {
    let totals = dataset.totals();
    let mut json = to_json(&Success {
        manifest_sha256,
        rows: totals.rows,
        objects: totals.objects,
    })?;
    json.push(b'\n');
    Ok(json.into())
}

/// What `manifest.json` tells where the log is damaged.
#[derive(Debug, Deserialize)]
pub(super) struct Consolidated {
    pub(super) version: u32,
    pub(super) epoch: u64,
    pub(super) config: ExportConfig,
    pub(super) schema: TableSchema,
    pub(super) snapshots: Vec<Snapshot>,
    pub(super) relations: Vec<PlannedRelation>,
    pub(super) chunks: Vec<ChunkEntry>,
}

fn header(dataset: &Dataset) -> Result<Vec<u8>> {
    to_json(&Header {
        version: VERSION,
        state: dataset.state,
        epoch: dataset.epoch,
        consistency: dataset.consistency(),
        totals: dataset.totals(),
        opened_at: dataset.opened_at,
        completed_at: dataset.updated_at,
        config: &dataset.config,
        schema: &dataset.schema,
        snapshots: &dataset.snapshots,
        relations: &dataset.plan.relations,
        incremental: dataset.config.incremental.as_ref().map(|of| Runs {
            column: &of.column,
            upper: dataset.reached(),
            runs: dataset.run_summaries(),
        }),
    })
}

fn to_json(value: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(no_json)
}

fn no_json(cause: serde_json::Error) -> Error {
    Error::new(
        ErrorKind::Internal,
        "the manifest cannot be written as JSON",
    )
    .with_source(cause)
}
