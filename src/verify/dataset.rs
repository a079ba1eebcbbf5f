//! One dataset: its log, the files at its end, its folder, then its chunks.
//!
//! Owns the order, and what is still looked at when the log is damaged: the objects that a sound
//! `manifest.json` names, or else those of the entries that can be read.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::future::join_all;

use super::chunk::{ChunkVerdict, Subject, verify_chunk};
use super::finding::{Finding, FindingKind, one_line};
use super::object::Work;
use super::source::{Ours, compare_with_source};
use super::{DatasetVerdict, SourceVerdict};
use crate::chunk::ChunkId;
use crate::error::Result;
use crate::manifest::{
    ChunkEntry, Compared, Consolidation, Dataset, ExportConfig, FilesAudit, Known, LogAudit,
    LogFaultKind, State, audit_files, audit_log, list_exceptions, read_consolidated, totals_of,
};
use crate::mapping::{MappingOptions, map_table};
use crate::store::layout::{EXCEPTIONS_DIR, MANIFEST, SUCCESS, log_key, parse_object_key};
use crate::store::{ObjectInfo, Root};

/// Verifies the dataset at a root.
///
/// # Errors
///
/// The store's, where the folder cannot be listed.
pub(super) async fn verify_dataset(work: &Arc<Work>, root: &Root) -> Result<DatasetVerdict> {
    let early = EarlyFiles::look(root).await;
    let audit = audit_log(root).await?;
    let mut dataset = Opened::of(root, audit, early).await?;
    dataset.find_extra(&root.list_readable().await?);
    let mut kept = list_exceptions(root).await?;
    kept.retain(|object| is_named_as_data(&object.key));
    dataset.find_extra(&kept);
    let subject = dataset.subject(root);
    let entries: Vec<&ChunkEntry> = dataset.known.chunks.values().collect();
    let totals = totals_of(entries.iter().copied());
    work.progress
        .opened(entries.len() as u64, totals.object_bytes);
    work.progress.found(dataset.findings.len());
    let verdicts = verify_chunks(work, &subject, &entries).await;
    let mut findings = std::mem::take(&mut dataset.findings);
    let mut hashes = BTreeMap::new();
    let mut chunks_proven = 0;
    for (chunk, verdict) in verdicts {
        chunks_proven += u64::from(verdict.is_proven);
        hashes.insert(chunk, verdict.row_hash);
        findings.extend(verdict.findings);
    }
    let ours = Ours {
        known: &dataset.known,
        mapping: subject.mapping.as_deref(),
        complete: dataset.complete,
        hashes: &hashes,
    };
    let source = compare_with_source(work, &ours).await;
    let source: Option<SourceVerdict> = source.map(|(verdict, found)| {
        work.progress.found(found.len());
        findings.extend(found);
        verdict
    });
    let schema = dataset.known.schema.as_ref();
    Ok(DatasetVerdict {
        table: schema.map_or_else(|| root.url(), |schema| schema.name.to_string()),
        root: root.url(),
        complete: dataset.complete,
        chunks: totals.chunks,
        objects: totals.objects,
        rows: totals.rows,
        object_bytes: totals.object_bytes,
        chunks_proven,
        source,
        findings,
    })
}

/// Verifies chunks, some at a time; the verdicts come in the chunks' order.
async fn verify_chunks(
    work: &Arc<Work>,
    subject: &Subject,
    entries: &[&ChunkEntry],
) -> BTreeMap<ChunkId, ChunkVerdict> {
    let next = AtomicUsize::new(0);
    let worker = || async {
        let mut done = Vec::new();
        while let Some(entry) = entries.get(next.fetch_add(1, Ordering::Relaxed)) {
            done.push((entry.chunk, verify_chunk(work, subject, entry).await));
        }
        done
    };
    let workers = work.workers.min(entries.len());
    let done = join_all((0..workers).map(|_| worker())).await;
    done.into_iter().flatten().collect()
}

/// Whether the files of a dataset's end stood before its log was read: a writer may end between
/// the two.
struct EarlyFiles {
    manifest: bool,
    success: bool,
}

impl EarlyFiles {
    async fn look(root: &Root) -> Self {
        // What cannot be looked up is not early; it is missed later.
        let stands = async |key| matches!(root.head(key).await, Ok(Some(_)));
        Self {
            manifest: stands(MANIFEST).await,
            success: stands(SUCCESS).await,
        }
    }
}

/// A dataset whose manifest was read.
struct Opened {
    known: Known,
    /// Whether the log ends, or a sound `manifest.json` says so in its place.
    complete: bool,
    /// Whether `known` names every committed object.
    names_all: bool,
    findings: Vec<Finding>,
}

impl Opened {
    async fn of(root: &Root, audit: LogAudit, early: EarlyFiles) -> Result<Self> {
        match audit.dataset {
            Some(dataset) if audit.faults.is_empty() => Self::sound(root, dataset, early).await,
            _ => Ok(Self::damaged(root, audit).await),
        }
    }

    async fn sound(root: &Root, dataset: Dataset, early: EarlyFiles) -> Result<Self> {
        let complete = dataset.state == State::Complete;
        let findings = if complete {
            file_findings(audit_files(root, &dataset).await?)
        } else {
            unfinished(&dataset, &early)
        };
        Ok(Self {
            known: Known::of(dataset),
            complete,
            names_all: true,
            findings,
        })
    }

    async fn damaged(root: &Root, audit: LogAudit) -> Self {
        let mut findings = log_findings(&audit);
        let (known, names_all) = match read_consolidated(root).await {
            Ok(Consolidation::Sound(known)) => (*known, true),
            Ok(Consolidation::Unsound) => {
                let message = "manifest.json and _SUCCESS contradict each other, and the log \
                               cannot tell which is right";
                findings.push(Finding::error(FindingKind::ManifestDiffers, message));
                (audit.known, false)
            }
            Ok(Consolidation::Absent) => (audit.known, false),
            Err(error) => {
                let message = one_line(&error);
                findings.push(Finding::error(FindingKind::FileUnread, message));
                (audit.known, false)
            }
        };
        Self {
            known,
            // Only a complete dataset has a manifest.json.
            complete: names_all,
            names_all,
            findings,
        }
    }

    /// Objects that readers would take for the dataset's. While a dataset is unfinished, its own
    /// may be on their way, and what dead writers left is deleted at its end.
    fn find_extra(&mut self, listed: &[ObjectInfo]) {
        if !self.names_all {
            return;
        }
        let objects = self.known.chunks.values().flat_map(|entry| {
            let kept = entry.exceptions.as_ref().map(|kept| &kept.object);
            entry.objects.iter().chain(kept)
        });
        let named: HashSet<&str> = objects.map(|object| object.key.as_str()).collect();
        let extra = listed.iter().map(|object| object.key.as_str());
        let extra = extra.filter(|key| {
            let place = format!("{EXCEPTIONS_DIR}/");
            let name = key.strip_prefix(&place).unwrap_or(key);
            let may_come = !self.complete && parse_object_key(name).is_some();
            !may_come && !named.contains(key)
        });
        let extra = extra.map(|key| {
            let message = "no entry names it, and readers would take it for the dataset's";
            Finding::error(FindingKind::ObjectExtra, message).of_object(key)
        });
        self.findings.extend(extra.collect::<Vec<_>>());
    }

    /// What the chunks are held against.
    fn subject(&mut self, root: &Root) -> Subject {
        let schema = self.known.schema.as_ref().zip(self.known.config.as_ref());
        let mapping =
            schema.map(|(schema, config)| map_table(&schema.columns, &mapping_options(config)));
        let mapping = match mapping {
            Some(Ok(mapping)) => Some(Arc::new(mapping)),
            Some(Err(error)) => {
                let finding = Finding::error(FindingKind::SchemaUnmapped, one_line(&error));
                self.findings.push(finding);
                None
            }
            None => None,
        };
        Subject {
            root: root.clone(),
            epoch: self.known.epoch,
            relations: self.known.relations.clone().into(),
            mapping,
        }
    }
}

/// Whether an object beside the data is named as one of the data.
fn is_named_as_data(key: &str) -> bool {
    let name = key.rsplit('/').next().unwrap_or_default();
    name.starts_with("part-") || name.ends_with(".parquet")
}

/// How the export mapped its types.
fn mapping_options(config: &ExportConfig) -> MappingOptions {
    MappingOptions {
        profile: config.profile,
        overrides: config.maps.clone(),
        on_unrepresentable: config.on_unrepresentable,
    }
}

fn log_findings(audit: &LogAudit) -> Vec<Finding> {
    let faults = audit.faults.iter().map(|fault| {
        let kind = match fault.kind {
            LogFaultKind::Missing => FindingKind::LogMissing,
            LogFaultKind::Damaged => FindingKind::LogDamaged,
            LogFaultKind::Invariant => FindingKind::LogInvalid,
        };
        Finding::error(kind, one_line(&fault.error)).of_object(&fault.key)
    });
    let mut findings: Vec<_> = faults.collect();
    if audit.more_faults > 0 {
        let message = format!("{} further entries are not as written", audit.more_faults);
        findings.push(Finding::error(FindingKind::LogDamaged, message));
    }
    if findings.is_empty() {
        let finding = Finding::error(FindingKind::LogMissing, "there is no manifest log");
        findings.push(finding.of_object(&log_key(1)));
    }
    findings
}

/// A dataset whose log does not end.
fn unfinished(dataset: &Dataset, early: &EarlyFiles) -> Vec<Finding> {
    let message = format!(
        "{} of {} chunks are committed: the export is not complete",
        dataset.committed.len(),
        dataset.chunks_total
    );
    let mut findings = vec![Finding::error(FindingKind::DatasetIncomplete, message)];
    // While a further run goes on, manifest.json still tells of the runs before it.
    // So does _SUCCESS until the first rows come.
    let is_first = dataset.runs.is_empty();
    let has_rows = dataset.open_committed().next().is_some();
    let files = [
        (
            early.manifest && is_first,
            FindingKind::ManifestEarly,
            MANIFEST,
        ),
        (
            early.success && (is_first || has_rows),
            FindingKind::SuccessEarly,
            SUCCESS,
        ),
    ];
    for (_, kind, key) in files.into_iter().filter(|(stands, ..)| *stands) {
        let message = "it says that the dataset is complete, and the log does not";
        findings.push(Finding::error(kind, message).of_object(key));
    }
    findings
}

/// The files at a complete dataset's end.
fn file_findings(files: FilesAudit) -> Vec<Finding> {
    let files = [
        (
            files.manifest,
            MANIFEST,
            FindingKind::ManifestMissing,
            FindingKind::ManifestDiffers,
        ),
        (
            files.success,
            SUCCESS,
            FindingKind::SuccessMissing,
            FindingKind::SuccessDiffers,
        ),
    ];
    let finding = |(compared, key, missing, differs): (Result<Compared>, &str, _, _)| {
        let (kind, message) = match compared {
            Ok(Compared::Same) => return None,
            Ok(Compared::Missing) => (
                missing,
                "it is not there; the same export command writes it again".to_owned(),
            ),
            Ok(Compared::DiffersAt(place)) => (
                differs,
                format!("it is not what the log makes of it, from byte {place} on"),
            ),
            Err(error) => (FindingKind::FileUnread, one_line(&error)),
        };
        Some(Finding::error(kind, message).of_object(key))
    };
    files.into_iter().filter_map(finding).collect()
}
