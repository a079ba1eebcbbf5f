//! What a verification found: values, in a stable form. Plain data.

use serde::Serialize;

use crate::chunk::ChunkId;
use crate::error::Error;

/// One thing that does not hold, or could not be checked. Holds no cell value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// Whether it breaks a guarantee.
    pub severity: Severity,
    /// What it is about.
    pub kind: FindingKind,
    /// The chunk.
    pub chunk: Option<ChunkId>,
    /// The key of the object or file, relative to the dataset's root.
    pub object: Option<String>,
    /// One sentence for people.
    pub message: String,
}

/// Whether a finding breaks a guarantee.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Something is not as it was committed, is not finished, or could not be proven.
    Error,
    /// Something could not be compared with the source.
    Warning,
}

/// What a finding is about. The names are stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FindingKind {
    /// A log entry, or a run of them, is missing among others.
    LogMissing,
    /// A log entry holds other bytes than were written.
    LogDamaged,
    /// A log entry breaks an invariant: epochs, one winner a chunk, ranges, sums.
    LogInvalid,
    /// Chunks are not committed yet.
    DatasetIncomplete,
    /// The manifest's columns have no mapping in this version.
    SchemaUnmapped,
    /// `manifest.json` is not there.
    ManifestMissing,
    /// `manifest.json` is not what the log makes of it.
    ManifestDiffers,
    /// `manifest.json` stands, and the log does not end.
    ManifestEarly,
    /// `_SUCCESS` is not there.
    SuccessMissing,
    /// `_SUCCESS` is not what the log makes of it.
    SuccessDiffers,
    /// `_SUCCESS` stands, and the log does not end.
    SuccessEarly,
    /// `manifest.json`, `_SUCCESS` or a listing cannot be read.
    FileUnread,
    /// A committed object is not there.
    ObjectMissing,
    /// A committed object cannot be read.
    ObjectUnread,
    /// An object has another size than was committed.
    ObjectSize,
    /// An object's bytes are not those that were committed.
    ObjectSha256,
    /// An object changed while it was read.
    ObjectChanged,
    /// An object's footer cannot be read, or contradicts itself.
    ObjectFooter,
    /// An object's rows cannot be decoded.
    ObjectUndecodable,
    /// An object's columns are not the manifest's.
    ObjectSchema,
    /// An object says of itself that it is another one.
    ObjectIdentity,
    /// An object's key is of another chunk, or of an epoch that never was.
    ObjectKey,
    /// An object that readers would take for the dataset's, and that no entry names.
    ObjectExtra,
    /// Rows in entries, footers and pages differ.
    RowCount,
    /// NULLs in entries and objects differ.
    NullCount,
    /// A key lies outside of its chunk's range.
    KeyRange,
    /// Statistics of a footer are not those of the rows.
    Statistics,
    /// The rows, encoded again, are not those that PostgreSQL sent.
    WireDigest,
    /// A chunk's wire digest cannot be compared: its rows are not proven.
    DigestNotCompared,
    /// Values kept beside the data are not as the manifest counts them.
    Exceptions,
    /// The source could not be asked.
    SourceUnread,
    /// The source's table has other columns now.
    SourceSchema,
    /// The source holds another number of rows now.
    SourceCount,
    /// The source holds other rows now.
    SourceRows,
    /// Rows cannot be compared with those of the source. A warning.
    SourceNotCompared,
}

impl Finding {
    /// What breaks a guarantee.
    pub(super) fn error(kind: FindingKind, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            kind,
            chunk: None,
            object: None,
            message: message.into(),
        }
    }

    /// What could not be compared with the source.
    pub(super) fn warning(kind: FindingKind, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(kind, message)
        }
    }

    pub(super) fn of_chunk(mut self, chunk: ChunkId) -> Self {
        self.chunk = Some(chunk);
        self
    }

    pub(super) fn of_object(mut self, key: &str) -> Self {
        self.object = Some(key.to_owned());
        self
    }
}

/// An error and its causes on one line.
pub(super) fn one_line(error: &Error) -> String {
    let mut line = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let said = error.to_string();
        if !line.contains(&said) {
            line.push_str(": ");
            line.push_str(&said);
        }
        cause = error.source();
    }
    line
}
