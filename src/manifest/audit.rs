//! Reading a manifest that may be damaged: all that is wrong with it, and what is left of it.
//!
//! Owns the gathering: [`ManifestLog::load`](super::ManifestLog::load) stops at the first fault,
//! this goes on. It judges nothing but the log and the two files at its end; objects are
//! `verify`'s. What is known from a damaged log serves to look on, never to write.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, stream};
use sha2::{Digest, Sha256};

use super::change::{InvariantError, apply};
use super::check::check;
use super::config::ExportConfig;
use super::consolidated::{Consolidated, ManifestFrames, Success, success_bytes};
use super::model::{Change, ChunkEntry, Dataset, Entry, Open, PlanStart, VERSION};
use crate::chunk::{ChunkId, PlannedRelation};
use crate::error::{Error, ErrorKind, Result};
use crate::snapshot::Snapshot;
use crate::store::layout::{LOG_DIR, MANIFEST, SUCCESS, log_key};
use crate::store::{AppendLog, Root, hex};
use crate::table::TableSchema;

/// Entries read at once.
const CONCURRENCY: usize = 32;
/// Faults that are told one by one; what lies behind them is only counted.
const MAX_FAULTS: usize = 1000;
/// `_SUCCESS` is a line; whatever is longer is none.
const MAX_SUCCESS_BYTES: u64 = 4 << 10;

/// A log, read as far as it goes.
#[derive(Debug)]
pub(crate) struct LogAudit {
    /// The fold of all entries before the first fault.
    pub(crate) dataset: Option<Dataset>,
    /// What is wrong, in the order of the entries: the first thousand faults. Without any, the
    /// fold is whole.
    pub(crate) faults: Vec<LogFault>,
    /// Faults behind those.
    pub(crate) more_faults: u64,
    /// With faults: what the readable entries tell, whether or not they may follow each other.
    pub(crate) known: Known,
}

/// One entry that is not as it was written, or a run of entries that are missing.
#[derive(Debug)]
pub(crate) struct LogFault {
    /// Its key, or that of the first.
    pub(crate) key: String,
    /// What is wrong with it.
    pub(crate) kind: LogFaultKind,
    /// The same, as the loading of the log would say it.
    pub(crate) error: Error,
}

/// How an entry is not as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogFaultKind {
    /// Later entries are there, it is not.
    Missing,
    /// It cannot be read, or its seal does not fit.
    Damaged,
    /// It is sound by itself and must not follow what stands before it.
    Invariant,
}

/// What is known of a dataset, where not all of its log is.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known {
    /// What is exported and how.
    pub(crate) config: Option<ExportConfig>,
    /// The table.
    pub(crate) schema: Option<TableSchema>,
    /// The relations of the plan.
    pub(crate) relations: Vec<PlannedRelation>,
    /// The newest epoch that was seen.
    pub(crate) epoch: u64,
    /// The snapshots that chunk entries name by index.
    pub(crate) snapshots: Vec<Snapshot>,
    /// The committed chunks.
    pub(crate) chunks: BTreeMap<ChunkId, ChunkEntry>,
}

impl Known {
    /// All of it, from a fold.
    pub(crate) fn of(dataset: Dataset) -> Self {
        Self {
            config: Some(dataset.config),
            schema: Some(dataset.schema),
            relations: Arc::unwrap_or_clone(dataset.plan).relations,
            epoch: dataset.epoch,
            snapshots: dataset.snapshots,
            chunks: dataset.committed,
        }
    }

    /// Takes in an entry without asking whether it may follow.
    fn take(&mut self, entry: Entry) {
        self.epoch = self.epoch.max(entry.epoch);
        match entry.change {
            Change::Open(open) => self.reopen(*open),
            Change::Commit { chunks } => {
                let entries = chunks.into_iter().map(|entry| (entry.chunk, entry));
                self.chunks.extend(entries);
            }
            _ => {}
        }
    }

    fn reopen(&mut self, open: Open) {
        match open.plan {
            PlanStart::New { relations, .. } => {
                self.relations = relations;
                self.snapshots.clear();
                self.chunks.clear();
            }
            PlanStart::Keep { discard } => {
                self.chunks.retain(|chunk, _| !discard.contains(chunk));
            }
            PlanStart::Extend {
                relations, chunks, ..
            } => {
                // What it numbers on from is what the completed runs left.
                if let Some(first) = chunks.first() {
                    self.relations.truncate(first.relation as usize);
                    self.chunks.split_off(&first.id);
                }
                self.relations.extend(relations);
            }
        }
        self.snapshots.extend(open.new_snapshot);
        self.config = Some(open.config);
        self.schema = Some(open.schema);
    }
}

/// Reads a whole log, past every fault: entry after entry up to the first that is missing, and on
/// from each later one that the folder lists. What lies between is one gap, however long.
///
/// # Errors
///
/// The store's, where not even the log's folder can be listed.
pub(crate) async fn audit_log(root: &Root) -> Result<LogAudit> {
    let listed = root.child(LOG_DIR)?.list().await?;
    // A listing only says where to look on behind an entry that is missing.
    let listed = listed.iter().filter_map(|object| log_number(&object.key));
    let listed: BTreeSet<u64> = listed.collect();
    let log = AppendLog::new(root.clone());
    let mut audit = LogAudit {
        dataset: None,
        faults: Vec::new(),
        more_faults: 0,
        known: Known::default(),
    };
    let mut start = 1;
    while let Some(missing) = audit.take_run(&log, start).await {
        let Some(&later) = listed.range(missing..).next() else {
            break;
        };
        // One that is listed and yet is not there is a gap by itself.
        let last = later.saturating_sub(1).max(missing);
        audit.miss(missing, last);
        let Some(next) = last.checked_add(1) else {
            break;
        };
        start = next;
    }
    Ok(audit)
}

/// The number of a log entry's name.
fn log_number(name: &str) -> Option<u64> {
    let seq = name.strip_suffix(".json")?.parse().ok()?;
    log_key(seq)
        .strip_prefix(LOG_DIR)?
        .ends_with(name)
        .then_some(seq)
}

impl LogAudit {
    /// Takes in the entries from `start` on; gives the first that is not there.
    async fn take_run(&mut self, log: &AppendLog, start: u64) -> Option<u64> {
        let reads = stream::iter(start..=u64::MAX);
        let reads = reads.map(|seq| async move { (seq, log.read(seq).await) });
        let mut reads = std::pin::pin!(reads.buffered(CONCURRENCY));
        while let Some((seq, read)) = reads.next().await {
            match read.transpose() {
                Some(read) => self.take(seq, read),
                None => return Some(seq),
            }
        }
        None
    }

    /// Notes that the entries from `first` to `last` are missing.
    fn miss(&mut self, first: u64, last: u64) {
        let which = match first == last {
            true => format!("entry {first} is"),
            false => format!("entries {first} to {last} are"),
        };
        let message = format!("manifest log {which} missing, and later ones are not");
        let error = Error::new(ErrorKind::Conflict, message);
        self.fault(first, LogFaultKind::Missing, error);
    }

    fn take(&mut self, seq: u64, read: Result<Bytes>) {
        let entry = match read.and_then(|bytes| Entry::from_bytes(seq, &bytes)) {
            Ok(entry) => entry,
            Err(error) => return self.fault(seq, LogFaultKind::Damaged, error),
        };
        // Behind a fault every entry would be out of place: that says nothing new.
        if !self.faults.is_empty() {
            return self.known.take(entry);
        }
        if let Err(cause) = check(self.dataset.as_ref(), &entry) {
            self.fault(seq, LogFaultKind::Invariant, broken(seq, cause));
            return self.known.take(entry);
        }
        if let Err(cause) = apply(&mut self.dataset, entry) {
            self.fault(seq, LogFaultKind::Invariant, broken(seq, cause));
        }
    }

    fn fault(&mut self, seq: u64, kind: LogFaultKind, error: Error) {
        if self.faults.is_empty() {
            self.known = self.dataset.clone().map(Known::of).unwrap_or_default();
        }
        if self.faults.len() == MAX_FAULTS {
            self.more_faults += 1;
            return;
        }
        let key = log_key(seq);
        self.faults.push(LogFault { key, kind, error });
    }
}

fn broken(seq: u64, cause: InvariantError) -> Error {
    let message = format!("manifest log entry {seq} cannot stand where it stands");
    Error::new(ErrorKind::Conflict, message).with_source(cause)
}

/// How a file at a dataset's end compares with what the log says it must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compared {
    /// Byte for byte the same.
    Same,
    /// There is none.
    Missing,
    /// It differs from this byte on.
    DiffersAt(u64),
}

/// The two files of a complete dataset against what its log makes of them.
#[derive(Debug)]
pub(crate) struct FilesAudit {
    /// `manifest.json`.
    pub(crate) manifest: Result<Compared>,
    /// `_SUCCESS`.
    pub(crate) success: Result<Compared>,
}

/// Renders both files of a complete dataset anew and compares them with those in the store.
///
/// Holds two frames of the manifest at a time.
///
/// # Errors
///
/// [`ErrorKind::Internal`] when they cannot be rendered. What the store refuses stands in the
/// fields, so that one file's failure does not hide the other.
pub(crate) async fn audit_files(root: &Root, dataset: &Dataset) -> Result<FilesAudit> {
    let mut hasher = Sha256::new();
    for frame in ManifestFrames::of(dataset) {
        hasher.update(&frame?);
    }
    let success = success_bytes(dataset, hex(&hasher.finalize()))?;
    Ok(FilesAudit {
        manifest: compare_manifest(root, dataset).await,
        success: compare_success(root, &success).await,
    })
}

async fn compare_manifest(root: &Root, dataset: &Dataset) -> Result<Compared> {
    let Some(found) = root.head(MANIFEST).await? else {
        return Ok(Compared::Missing);
    };
    let length = found.bytes;
    let mut stored = root.download(found);
    let (mut piece, mut at) = (Bytes::new(), 0_u64);
    for frame in ManifestFrames::of(dataset) {
        let mut frame = frame?;
        while !frame.is_empty() {
            if piece.is_empty() {
                match stored.next().await? {
                    Some(next) => piece = next,
                    None => return Ok(Compared::DiffersAt(at)),
                }
            }
            let both = frame.len().min(piece.len());
            let (ours, theirs) = (frame.split_to(both), piece.split_to(both));
            if let Some(place) = first_difference(&ours, &theirs) {
                return Ok(Compared::DiffersAt(at + place));
            }
            at += both as u64;
        }
    }
    Ok(if at == length {
        Compared::Same
    } else {
        Compared::DiffersAt(at)
    })
}

async fn compare_success(root: &Root, expected: &[u8]) -> Result<Compared> {
    let Some((found, bytes)) = root.get_tail(SUCCESS, MAX_SUCCESS_BYTES).await? else {
        return Ok(Compared::Missing);
    };
    if found.bytes > MAX_SUCCESS_BYTES {
        return Ok(Compared::DiffersAt(expected.len() as u64));
    }
    Ok(match first_difference(expected, &bytes) {
        Some(place) => Compared::DiffersAt(place),
        None if bytes.len() == expected.len() => Compared::Same,
        None => Compared::DiffersAt(bytes.len().min(expected.len()) as u64),
    })
}

/// The first place in which two texts differ, as far as both go.
fn first_difference(one: &[u8], other: &[u8]) -> Option<u64> {
    let place = one.iter().zip(other).position(|(a, b)| a != b)?;
    Some(place as u64)
}

/// What the files at a dataset's end tell where its log is damaged.
#[derive(Debug)]
pub(crate) enum Consolidation {
    /// `manifest.json` is the one whose hash `_SUCCESS` holds: all that the log told.
    Sound(Box<Known>),
    /// It is not.
    Unsound,
    /// One of the two is missing.
    Absent,
}

/// Reads `manifest.json` and holds it against `_SUCCESS`. Holds it all in memory.
///
/// # Errors
///
/// The store's, classified.
pub(crate) async fn read_consolidated(root: &Root) -> Result<Consolidation> {
    let success = root.get_tail(SUCCESS, MAX_SUCCESS_BYTES).await?;
    let manifest = root.get(MANIFEST).await?;
    let (Some((_, success)), Some(manifest)) = (success, manifest) else {
        return Ok(Consolidation::Absent);
    };
    let Ok(success) = serde_json::from_slice::<Success>(&success) else {
        return Ok(Consolidation::Unsound);
    };
    if hex(&Sha256::digest(&manifest)) != success.manifest_sha256 {
        return Ok(Consolidation::Unsound);
    }
    match serde_json::from_slice::<Consolidated>(&manifest) {
        Ok(read) if read.version == VERSION => Ok(Consolidation::Sound(Box::new(read.into()))),
        _ => Ok(Consolidation::Unsound),
    }
}

impl From<Consolidated> for Known {
    fn from(read: Consolidated) -> Self {
        let chunks = read.chunks.into_iter();
        Self {
            config: Some(read.config),
            schema: Some(read.schema),
            relations: read.relations,
            epoch: read.epoch,
            snapshots: read.snapshots,
            chunks: chunks.map(|entry| (entry.chunk, entry)).collect(),
        }
    }
}
