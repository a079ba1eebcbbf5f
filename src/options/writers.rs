//! How a dataset is kept to one writer at a time.

use serde::{Deserialize, Serialize};

/// What keeps two writers of a dataset apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Writers {
    /// The store: an entry of the log is written if there is none, or not at all. Any number of
    /// writers may try.
    #[default]
    Fenced,
    /// A lock in the source's database, which one run holds at a time: for stores that ignore
    /// put-if-absent. Weaker: a writer that stood still in the middle of a write and lost the lock
    /// meanwhile ends that write late.
    Single,
}

impl Writers {
    /// The stable lower-case name, as it stands in JSON output.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fenced => "fenced",
            Self::Single => "single",
        }
    }

    /// Whether this is what a manifest says without saying it.
    pub(crate) fn is_fenced(&self) -> bool {
        *self == Self::Fenced
    }
}
