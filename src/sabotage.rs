//! Broken variants of the protocol, for tests alone: a simulation that does not catch them proves
//! nothing.
//!
//! Owns the list and the switch, which is the thread's: a simulated run stays on one thread. Each
//! variant stands at the one place in the code that it breaks.

use std::cell::Cell;

/// What is left out or done in the wrong order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sabotage {
    /// A fence never says that it is closed.
    FenceUnchecked,
    /// The fence is not looked at once more after an upload.
    LandedUnchecked,
    /// A chunk is handed to the committer while its object is still on its way.
    CommitBeforeUpload,
    /// A taker deletes orphans before its epoch is open.
    OrphansBeforeFence,
    /// Orphans stay.
    OrphansStay,
    /// An append of unknown outcome counts as a failure, and another entry follows.
    UnknownIsFailure,
    /// "It exists" is taken for another's entry without looking.
    OwnEntryUnknown,
    /// The log is written by plain puts.
    PlainAppend,
    /// A key without the epoch of its writer.
    KeyWithoutEpoch,
    /// `_SUCCESS` comes before the complete entry.
    SuccessBeforeComplete,
    /// `_SUCCESS` comes before `manifest.json`.
    SuccessBeforeManifest,
    /// A further run leaves the `_SUCCESS` of the one before in place.
    SuccessStays,
    /// A taker goes on in the epoch that it finds.
    TakeOverWithoutEpoch,
}

thread_local! {
    static ON: Cell<Option<Sabotage>> = const { Cell::new(None) };
    static PLAN_SEGMENT: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// Whether this thread's protocol is broken so.
pub(crate) fn is(what: Sabotage) -> bool {
    ON.get() == Some(what)
}

/// Breaks this thread's protocol, or mends it.
pub(crate) fn set(what: Option<Sabotage>) {
    ON.set(what);
}

/// Chunks of one plan entry, at most: few, so that short plans take several.
pub(crate) fn plan_segment() -> usize {
    PLAN_SEGMENT.get()
}

pub(crate) fn set_plan_segment(chunks: usize) {
    PLAN_SEGMENT.set(chunks);
}
