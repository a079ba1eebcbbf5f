//! What a chunk's entry says besides its data objects.

use crate::manifest::{ChunkEntry, ObjectEntry};

/// The object that holds the values that a column of the chunk cannot, and how many those are.
pub(super) fn kept_exceptions(_entry: &ChunkEntry) -> Option<(&ObjectEntry, u64)> {
    None
}

/// Whether some of the chunk's values were hashed in another form than PostgreSQL sent.
pub(super) fn is_restated(_entry: &ChunkEntry) -> bool {
    false
}
