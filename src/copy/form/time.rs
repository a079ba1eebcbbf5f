//! Dates, times and zones: how PostgreSQL counts them.

/// Days from 1970-01-01, where Arrow begins, to 2000-01-01, where PostgreSQL does.
pub(in crate::copy) const EPOCH_DAYS: i32 = 10_957;
/// The same in microseconds.
pub(in crate::copy) const EPOCH_MICROS: i64 = EPOCH_DAYS as i64 * DAY_MICROS;
/// Microseconds of a day: 24:00:00 is a time of its own.
pub(in crate::copy) const DAY_MICROS: i64 = 86_400_000_000;
/// `TZDISP_LIMIT` of `timestamp.h`: a zone's offset in seconds lies below it, either way.
pub(in crate::copy) const ZONE_LIMIT: i32 = 16 * 3600;

/// Whether a time of day and a zone's offset are ones that `timetz_recv` takes.
pub(in crate::copy) fn is_timetz(micros: i64, offset: i32) -> bool {
    (0..=DAY_MICROS).contains(&micros) && -ZONE_LIMIT < offset && offset < ZONE_LIMIT
}

/// `INTERVAL_NOT_FINITE` of `timestamp.h`: every part at the same end of its range.
pub(in crate::copy) fn is_infinite_interval(months: i32, days: i32, micros: i64) -> bool {
    matches!(
        (months, days, micros),
        (i32::MIN, i32::MIN, i64::MIN) | (i32::MAX, i32::MAX, i64::MAX)
    )
}
