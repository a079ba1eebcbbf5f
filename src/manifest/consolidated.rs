//! The files that a complete dataset ends with: `manifest.json`, then `_SUCCESS`.
//!
//! Owns their form. Every byte follows from the fold of the log, so whoever finishes a dataset
//! writes the same bytes, and finishing twice is harmless.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::config::ExportConfig;
use super::model::{Dataset, State, VERSION};
use crate::chunk::{PlannedRelation, Totals};
use crate::error::{Error, ErrorKind, Result};
use crate::snapshot::{Consistency, Snapshot};
use crate::store::layout::{MANIFEST, SUCCESS};
use crate::store::{Root, Upload, hex};
use crate::table::TableSchema;

/// Bytes of one part of the manifest's upload; memory is three of them.
const PART_BYTES: usize = 8 << 20;
/// Bytes that are handed to the upload at once.
const FRAME_BYTES: usize = 1 << 20;

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
}

/// What `_SUCCESS` holds.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Success {
    pub(super) manifest_sha256: String,
    pub(super) rows: u64,
    pub(super) objects: u64,
}

/// Writes `manifest.json` and, after it, `_SUCCESS`, of a dataset whose log ends with a complete
/// entry. Does nothing where they stand already. Anyone may finish a complete dataset: nothing
/// can follow in its log.
///
/// Streams; holds three parts of 8 MiB. Dropped midway, it is simply called again.
///
/// # Errors
///
/// The store's, classified; [`ErrorKind::Internal`] when the dataset is not complete.
pub(crate) async fn finish(root: &Root, dataset: &Dataset) -> Result<()> {
    if dataset.state != State::Complete {
        return Err(Error::new(
            ErrorKind::Internal,
            "the dataset to finish is not complete",
        ));
    }
    if is_finished(root).await? {
        return Ok(());
    }
    let mut upload = root.upload(MANIFEST, PART_BYTES)?;
    let manifest_sha256 = match write_manifest(&mut upload, dataset).await {
        Ok(sha256) => sha256,
        Err(error) => {
            upload.abort().await;
            return Err(error);
        }
    };
    upload.complete().await?;
    let totals = dataset.totals();
    let success = Success {
        manifest_sha256,
        rows: totals.rows,
        objects: totals.objects,
    };
    let mut json = to_json(&success)?;
    json.push(b'\n');
    root.put(SUCCESS, json.into()).await?;
    Ok(())
}

/// Whether both files stand. A `_SUCCESS` that another program left is not ours.
async fn is_finished(root: &Root) -> Result<bool> {
    let Some(bytes) = root.get(SUCCESS).await? else {
        return Ok(false);
    };
    let is_ours = serde_json::from_slice::<Success>(&bytes).is_ok();
    Ok(is_ours && root.head(MANIFEST).await?.is_some())
}

/// Writes the manifest, one line a chunk; returns its SHA-256 in hex.
async fn write_manifest(upload: &mut Upload, dataset: &Dataset) -> Result<String> {
    let mut hasher = Sha256::new();
    let mut frame = header(dataset)?;
    // The header is an object: its last brace makes room for the chunks.
    frame.pop();
    frame.extend_from_slice(b",\n\"chunks\":[");
    for (number, entry) in dataset.committed.values().enumerate() {
        frame.extend_from_slice(if number == 0 { b"\n" } else { b",\n" });
        serde_json::to_writer(&mut frame, entry).map_err(no_json)?;
        if frame.len() >= FRAME_BYTES {
            let full = Bytes::from(std::mem::take(&mut frame));
            hasher.update(&full);
            upload.write(full).await?;
        }
    }
    frame.extend_from_slice(b"\n]}\n");
    hasher.update(&frame);
    upload.write(frame.into()).await?;
    Ok(hex(&hasher.finalize()))
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
