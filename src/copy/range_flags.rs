//! The flags byte of a range on the wire: `RANGE_*` in PostgreSQL's `rangetypes.h`.

/// There is nothing in the range.
pub(super) const EMPTY: u8 = 0x01;
/// The lower bound belongs to the range.
pub(super) const LOWER_INCLUSIVE: u8 = 0x02;
/// The upper bound belongs to the range.
pub(super) const UPPER_INCLUSIVE: u8 = 0x04;
/// There is no lower bound.
pub(super) const LOWER_INFINITE: u8 = 0x08;
/// There is no upper bound.
pub(super) const UPPER_INFINITE: u8 = 0x10;

/// Whether a range that was made by `range_serialize` can have these flags: nothing beside
/// "empty", no unbounded side that is inclusive, none of the bits that no value carries.
pub(super) const fn is_canonical(flags: u8) -> bool {
    const LOWER: u8 = LOWER_INFINITE | LOWER_INCLUSIVE;
    const UPPER: u8 = UPPER_INFINITE | UPPER_INCLUSIVE;
    flags == EMPTY
        || (flags & !(LOWER | UPPER) == 0 && flags & LOWER != LOWER && flags & UPPER != UPPER)
}

/// Whether a lower bound follows.
pub(super) const fn has_lower(flags: u8) -> bool {
    flags & (EMPTY | LOWER_INFINITE) == 0
}

/// Whether an upper bound follows.
pub(super) const fn has_upper(flags: u8) -> bool {
    flags & (EMPTY | UPPER_INFINITE) == 0
}
