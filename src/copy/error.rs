//! What can be wrong with a COPY stream or a value in it.
//!
//! Owns the words and the advice. An error names the column, the row's ordinal and, where asked
//! for, the row's integer key; never any other part of a value.

use std::fmt;

use crate::error::{Error, ErrorKind};

/// What is wrong, by what the caller can do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CopyErrorKind {
    /// The bytes are not what PostgreSQL sends. Nothing of the chunk can be trusted.
    Malformed,
    /// The stream ended before its trailer.
    Truncated,
    /// A field or row exceeds what PostgreSQL itself can send (1 GiB).
    TooLarge,
    /// The column's Parquet type cannot hold the value. Nothing is ever clamped or rounded.
    Unrepresentable,
    /// Text that is no UTF-8.
    NotUtf8,
    /// An array to be encoded holds what decoding never makes: something else wrote it.
    Foreign,
    /// The codec was used out of order: a bug in the caller.
    Misuse,
}

/// What is wrong with one field's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    WrongLength,
    BadBool,
    BadTime,
    BadDigits,
    BadVersion,
    BadForm,
    OtherOid,
    NotCanonical,
    Infinite,
    NotANumber,
    YearTooFar,
    BeyondPrecision,
    OtherScale,
    UnknownLabel,
    UnexpectedNull,
    ManyDimensions,
    OtherLowerBound,
    NoElements,
    NotAUuid,
    OtherSrid,
    UnknownGeometry,
    NotUtf8,
    ColumnTooLarge,
    Foreign,
}

impl Fault {
    const fn kind(self) -> CopyErrorKind {
        match self {
            Self::WrongLength
            | Self::BadBool
            | Self::BadTime
            | Self::BadDigits
            | Self::BadVersion
            | Self::BadForm
            | Self::OtherOid
            | Self::NotCanonical => CopyErrorKind::Malformed,
            Self::Infinite
            | Self::NotANumber
            | Self::YearTooFar
            | Self::BeyondPrecision
            | Self::OtherScale
            | Self::UnknownLabel
            | Self::UnexpectedNull
            | Self::ManyDimensions
            | Self::OtherLowerBound
            | Self::NoElements
            | Self::NotAUuid
            | Self::OtherSrid
            | Self::UnknownGeometry => CopyErrorKind::Unrepresentable,
            Self::NotUtf8 => CopyErrorKind::NotUtf8,
            Self::ColumnTooLarge => CopyErrorKind::TooLarge,
            Self::Foreign => CopyErrorKind::Foreign,
        }
    }

    const fn reason(self) -> &'static str {
        match self {
            Self::WrongLength => "the value has another length than its type",
            Self::BadBool => "a boolean is neither 0 nor 1",
            Self::BadTime => "a time of day lies outside 00:00 to 24:00",
            Self::BadDigits => "a numeric has a sign or digit that does not exist",
            Self::BadVersion => "the value has a version other than 1",
            Self::BadForm => "the parts of the value do not have the form of its type",
            Self::OtherOid => "the value holds another type than the catalog said",
            Self::NotCanonical => "the value is not in the form that PostgreSQL sends it in",
            Self::Infinite => {
                "the value is infinite, and the column's Parquet type has no infinity"
            }
            Self::NotANumber => "the value is NaN, and a decimal column has no NaN",
            Self::YearTooFar => "the timestamp lies beyond the year 294246, where Parquet's ends",
            Self::BeyondPrecision => "the value has more digits than the column declares",
            Self::OtherScale => "the value has another scale than the column declares",
            Self::UnknownLabel => "the enum label was not in the catalog when the run started",
            Self::UnexpectedNull => "the value is NULL, but the column is declared NOT NULL",
            Self::ManyDimensions => {
                "the array has more than one dimension, and a list column has one"
            }
            Self::OtherLowerBound => "the array does not begin at 1, and a list column does",
            Self::NoElements => {
                "the array has a dimension without elements, and an empty list column has none"
            }
            Self::NotAUuid => "the text is no UUID of 36 lower-case characters",
            Self::OtherSrid => "the geometry has another SRID than the column declares",
            Self::UnknownGeometry => "the geometry is of a kind, or as deep, as is not known here",
            Self::NotUtf8 => "the text is not valid UTF-8",
            Self::Foreign => "the array holds a value that no export writes",
            Self::ColumnTooLarge => "the column's values exceed 2 GiB in one batch",
        }
    }
}

/// A fault, and the row it is in, counted from the start of what was decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FieldError {
    pub(super) row: usize,
    pub(super) fault: Fault,
}

impl Fault {
    /// Whether the value is sound and only its column cannot hold it: it can be kept beside it.
    ///
    /// A label that the catalog did not have is no such value: the schema itself has changed.
    pub(super) const fn is_exception(self) -> bool {
        matches!(self.kind(), CopyErrorKind::Unrepresentable)
            && !matches!(self, Self::UnknownLabel | Self::UnexpectedNull)
    }
}

impl FieldError {
    /// The same fault, when `rows` came before.
    pub(super) const fn after(self, rows: usize) -> Self {
        Self {
            row: self.row + rows,
            fault: self.fault,
        }
    }
}

/// A COPY stream that cannot be turned into batches exactly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyError {
    kind: CopyErrorKind,
    reason: &'static str,
    column: Option<String>,
    row: Option<u64>,
    row_key: Option<i64>,
}

impl CopyError {
    pub(super) const fn new(kind: CopyErrorKind, reason: &'static str) -> Self {
        Self {
            kind,
            reason,
            column: None,
            row: None,
            row_key: None,
        }
    }

    pub(super) const fn malformed(reason: &'static str) -> Self {
        Self::new(CopyErrorKind::Malformed, reason)
    }

    pub(super) const fn of_fault(fault: Fault) -> Self {
        Self::new(fault.kind(), fault.reason())
    }

    pub(super) fn at_column(mut self, column: &str) -> Self {
        self.column = Some(column.to_owned());
        self
    }

    pub(super) const fn at_row(mut self, row: u64) -> Self {
        self.row = Some(row);
        self
    }

    pub(super) const fn with_row_key(mut self, row_key: Option<i64>) -> Self {
        self.row_key = row_key;
        self
    }

    /// What is wrong.
    #[must_use]
    pub const fn kind(&self) -> CopyErrorKind {
        self.kind
    }

    /// The column, where it lies in one.
    #[must_use]
    pub fn column(&self) -> Option<&str> {
        self.column.as_deref()
    }

    /// The row's ordinal in the chunk, from 0.
    #[must_use]
    pub const fn row(&self) -> Option<u64> {
        self.row
    }

    /// The row's integer key, where the decoder was asked to name it.
    #[must_use]
    pub const fn row_key(&self) -> Option<i64> {
        self.row_key
    }

    const fn advice(&self) -> &'static str {
        match self.kind {
            CopyErrorKind::TooLarge => {
                "make batches smaller with --batch-rows; a single value of more than 1 GiB is no \
                 PostgreSQL's: check what is between it and here"
            }
            CopyErrorKind::Malformed => {
                "check the server's log and anything between it and here, then start again; \
                 report it if it comes back"
            }
            CopyErrorKind::Truncated => "the connection was lost: start again",
            CopyErrorKind::Unrepresentable => {
                "keep such values beside the column with --on-unrepresentable exceptions, or map \
                 the column with --map COLUMN=text"
            }
            CopyErrorKind::NotUtf8 => {
                "export its raw bytes with --map COLUMN=binary, or leave it out with \
                 --exclude-columns"
            }
            CopyErrorKind::Foreign => "export the dataset again: something else wrote this object",
            CopyErrorKind::Misuse => "please report this",
        }
    }
}

impl fmt::Display for CopyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(column) = &self.column {
            write!(f, "column {column:?}, ")?;
        }
        if let Some(row) = self.row {
            write!(f, "row {row} of the chunk")?;
            if let Some(key) = self.row_key {
                write!(f, " (key {key})")?;
            }
            f.write_str(": ")?;
        }
        f.write_str(self.reason)
    }
}

impl std::error::Error for CopyError {}

impl From<CopyError> for Error {
    fn from(error: CopyError) -> Self {
        let kind = match error.kind {
            CopyErrorKind::Misuse => ErrorKind::Internal,
            _ => ErrorKind::Data,
        };
        Self::new(kind, error.to_string())
            .with_advice(error.advice())
            .with_retryable(error.kind == CopyErrorKind::Truncated)
    }
}
