//! What a collection found and did. Plain data, serialised as it stands by `--output json`.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Serialize, Serializer};

use crate::error::Error;

/// What was found below a URL, and what became of it.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct GcReport {
    /// The URL that was looked below.
    pub url: String,
    /// Whether garbage was to be deleted.
    pub delete: bool,
    /// What is younger was left alone.
    #[serde(rename = "older_than_seconds", serialize_with = "seconds")]
    pub older_than: Duration,
    /// The datasets by root, then the folders above them in which runs left files.
    pub places: Vec<GcPlace>,
    /// Things a person should know, each one sentence.
    pub warnings: Vec<String>,
    /// From start to end.
    #[serde(rename = "wall_seconds", serialize_with = "seconds")]
    pub wall: Duration,
}

/// One dataset, or one folder above datasets.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct GcPlace {
    /// Its root.
    pub root: String,
    /// `schema.name`; `None` of a folder above datasets, and where the log cannot be read.
    pub table: Option<String>,
    /// The newest epoch.
    pub epoch: Option<u64>,
    /// What its writer does.
    pub writer: Option<WriterState>,
    /// Whether unfinished multipart uploads were looked for.
    pub uploads: UploadsSeen,
    /// All that is not needed, or not known to be; nothing that the manifest names.
    pub items: Vec<GcItem>,
    /// Why it was left alone, or left half-way.
    #[serde(serialize_with = "told")]
    pub error: Option<Arc<Error>>,
}

/// What the writer of a dataset's newest epoch does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WriterState {
    /// It paused, failed or completed.
    Ended,
    /// It is at work.
    Alive,
    /// It did not end, and stands still: it died, or will go on.
    Silent,
}

/// What is known of unfinished multipart uploads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum UploadsSeen {
    /// They were listed, or the store has none.
    Listed,
    /// Not looked for.
    NotAsked,
    /// They cannot be listed there, and vanish by themselves (Azure: within a week).
    Expiring,
    /// They could not be listed; why.
    Unknown(String),
}

/// One thing that was found.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct GcItem {
    /// What it is.
    pub kind: GcKind,
    /// What follows from it.
    pub verdict: GcVerdict,
    /// Its key, relative to the root; that of its object, for an upload.
    pub key: String,
    /// Its size; unknown of an upload.
    pub bytes: Option<u64>,
    /// When it was written, or begun, by the store's clock.
    pub modified: Option<DateTime<Utc>>,
    /// The epoch that its key names.
    pub epoch: Option<u64>,
    /// The store's id, of an upload.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upload: Option<String>,
    /// Whether it was deleted.
    pub deleted: bool,
}

/// What a thing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum GcKind {
    /// An object of rows.
    Object,
    /// An object of exceptions.
    Exceptions,
    /// A multipart upload that was begun and has not ended.
    Upload,
    /// A file on a local disk under which an object was being written.
    Staging,
    /// A file with which a store was tried.
    Probe,
    /// An empty folder on a local disk.
    Folder,
    /// Anything else.
    Other,
}

impl GcKind {
    /// The stable lower-case name, as it stands in JSON output.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Object => "object",
            Self::Exceptions => "exceptions",
            Self::Upload => "upload",
            Self::Staging => "staging",
            Self::Probe => "probe",
            Self::Folder => "folder",
            Self::Other => "other",
        }
    }
}

/// What follows for a thing. Only garbage is ever deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum GcVerdict {
    /// Nobody can need it any more.
    Garbage,
    /// It would be garbage, but is younger than asked for, or than what belongs to no epoch must
    /// be.
    TooYoung,
    /// Of the epoch of a writer that is at work.
    InUse,
    /// Of the newest epoch, whose writer neither ended nor moves: it may still be committed.
    UnknownOutcome,
    /// A file of pgsluice where the log says that there is none yet.
    OutOfPlace,
    /// Not of pgsluice.
    Foreign,
}

impl GcVerdict {
    /// The stable lower-case name, as it stands in JSON output.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Garbage => "garbage",
            Self::TooYoung => "too_young",
            Self::InUse => "in_use",
            Self::UnknownOutcome => "unknown_outcome",
            Self::OutOfPlace => "out_of_place",
            Self::Foreign => "foreign",
        }
    }
}

impl GcReport {
    /// The error of the first place that was left alone, or half-way.
    #[must_use]
    pub fn first_error(&self) -> Option<&Arc<Error>> {
        self.places.iter().find_map(|place| place.error.as_ref())
    }

    /// All that was found.
    pub fn items(&self) -> impl Iterator<Item = &GcItem> {
        self.places.iter().flat_map(|place| &place.items)
    }
}

/// What a person should know of all places.
pub(super) fn warnings(places: &[GcPlace]) -> Vec<String> {
    let mut warnings = Vec::new();
    if places
        .iter()
        .any(|place| place.uploads == UploadsSeen::Expiring)
    {
        warnings.push(
            "unfinished uploads cannot be listed in this store: Azure drops their blocks by itself \
             within a week"
                .to_owned(),
        );
    }
    for place in places {
        if let UploadsSeen::Unknown(why) = &place.uploads {
            warnings.push(why.clone());
        }
        let has = |verdict| place.items.iter().any(|item| item.verdict == verdict);
        if has(GcVerdict::UnknownOutcome) {
            warnings.push(format!(
                "{}: a writer that did not end may still commit what it wrote: run the export \
                 again to its end, then collect again",
                place.root
            ));
        }
        if has(GcVerdict::OutOfPlace) {
            warnings.push(format!(
                "{}: a file of a complete dataset stands there, and the log says that it is not \
                 complete: run `pgsluice verify`, and export again to its end",
                place.root
            ));
        }
    }
    warnings.dedup();
    warnings
}

fn seconds<S: Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_f64(time.as_secs_f64())
}

/// Above all what a caller acts on; the chain as one line.
fn told<S: Serializer>(error: &Option<Arc<Error>>, to: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Told<'a> {
        kind: &'static str,
        message: String,
        advice: Option<&'a str>,
        retryable: bool,
    }
    let told = error.as_ref().map(|error| Told {
        kind: error.kind().as_str(),
        message: chain(error),
        advice: error.advice(),
        retryable: error.is_retryable(),
    });
    told.serialize(to)
}

pub(super) fn chain(error: &Error) -> String {
    let mut line = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        line.push_str(": ");
        line.push_str(&error.to_string());
        cause = error.source();
    }
    line
}
