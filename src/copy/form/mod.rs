//! What a decoder and its encoder both must know of a wire form: its constants, its text.
//!
//! Owns no loop over values: those are in `decode` and `encode`. A text that is read back counts
//! only if it is exactly what would have been written.

pub(super) mod address;
pub(super) mod hex;
pub(super) mod numeric;
pub(super) mod text;
pub(super) mod time;
