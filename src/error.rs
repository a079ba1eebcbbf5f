//! The one error type of the library.
//!
//! Owns the few kinds a caller can act on. It does not own exit codes or printing: those are
//! the binary's. A message never holds a cell value, a password or a token.

use std::error::Error as StdError;
use std::fmt;

use crate::chunk::ChunkId;

/// A result of this library.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What the caller should do about an [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The request itself is wrong: an option, a name, a URL. Change it and start again.
    Config,
    /// PostgreSQL refused, failed or went away. See the source; start again when it is back.
    Source,
    /// The object store or the local disk failed. Start again when it is back.
    Storage,
    /// The root belongs to another export, or another writer is alive on it. Nothing was touched.
    Conflict,
    /// A later writer took the dataset over. This one stopped and deleted nothing.
    Fenced,
    /// The server, table or store lacks something that a correct export needs.
    Unsupported,
    /// A value cannot be held by the column's Parquet type, or the stream is malformed.
    Data,
    /// The run was asked to stop. What was committed stays; start again to go on.
    Cancelled,
    /// A bug in pgsluice. Please report it.
    Internal,
}

impl ErrorKind {
    /// The stable lower-case name, as it stands in JSON output.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Source => "source",
            Self::Storage => "storage",
            Self::Conflict => "conflict",
            Self::Fenced => "fenced",
            Self::Unsupported => "unsupported",
            Self::Data => "data",
            Self::Cancelled => "cancelled",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An error: a kind, one sentence about this layer, and where it happened.
///
/// `Display` shows this layer alone; walk [`source`](StdError::source) for the chain.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
    table: Option<String>,
    chunk: Option<ChunkId>,
    advice: Option<String>,
    retryable: bool,
    code: Option<String>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error of `kind`, with one sentence that starts in lower case and has no full stop.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            table: None,
            chunk: None,
            advice: None,
            retryable: false,
            code: None,
            source: None,
        }))
    }

    /// Names the table, `schema.name`; a table that is already named stays.
    #[must_use]
    pub fn with_table(mut self, table: impl Into<String>) -> Self {
        self.0.table.get_or_insert_with(|| table.into());
        self
    }

    /// Names the chunk; a chunk that is already named stays.
    #[must_use]
    pub fn with_chunk(mut self, chunk: ChunkId) -> Self {
        self.0.chunk.get_or_insert(chunk);
        self
    }

    /// One line that says what to do; advice that is already there stays.
    #[must_use]
    pub fn with_advice(mut self, advice: impl Into<String>) -> Self {
        self.0.advice.get_or_insert_with(|| advice.into());
        self
    }

    /// Keeps the cause, unformatted.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Marks a failure that the same chunk may survive when tried again.
    #[must_use]
    pub fn with_retryable(mut self, retryable: bool) -> Self {
        self.0.retryable = retryable;
        self
    }

    /// What the outside system called it; a code that is already there stays.
    #[must_use]
    pub(crate) fn with_code(mut self, code: impl Into<String>) -> Self {
        self.0.code.get_or_insert_with(|| code.into());
        self
    }

    /// What kind of failure outside it was, for counting: an SQLSTATE such as `57P01`, or
    /// `source connection`, `store 503`, `store timeout` and the like.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }

    /// What the caller should do.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The table it happened to, `schema.name`.
    #[must_use]
    pub fn table(&self) -> Option<&str> {
        self.0.table.as_deref()
    }

    /// The chunk it happened in.
    #[must_use]
    pub fn chunk(&self) -> Option<ChunkId> {
        self.0.chunk
    }

    /// One line that says what to do.
    #[must_use]
    pub fn advice(&self) -> Option<&str> {
        self.0.advice.as_deref()
    }

    /// Whether the same chunk may succeed when it is tried again.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.0.retryable
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.0.table, self.0.chunk) {
            (Some(table), Some(chunk)) => write!(f, "table {table}, chunk {chunk}: ")?,
            (Some(table), None) => write!(f, "table {table}: ")?,
            (None, Some(chunk)) => write!(f, "chunk {chunk}: ")?,
            (None, None) => {}
        }
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("message", &self.0.message)
            .field("table", &self.0.table)
            .field("chunk", &self.0.chunk)
            .field("advice", &self.0.advice)
            .field("retryable", &self.0.retryable)
            .field("source", &self.0.source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0
            .source
            .as_deref()
            .map(|source| source as &(dyn StdError + 'static))
    }
}
