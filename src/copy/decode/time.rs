//! Dates and times. PostgreSQL counts from 2000-01-01, Arrow from 1970-01-01.
//!
//! Additions are checked, and the infinities are refused: they would be dates like any other.

use arrow_array::types::{Date32Type, Int64Type, TimestampMicrosecondType};

use super::ColumnDecoder;
use super::fixed::FixedDecoder;
use crate::copy::error::Fault;

/// Days from 1970-01-01 to 2000-01-01.
const EPOCH_DAYS: i32 = 10_957;
/// Microseconds of a day.
const DAY_MICROS: i64 = 86_400_000_000;

pub(super) fn date_decoder() -> Box<dyn ColumnDecoder> {
    FixedDecoder::<Date32Type, 4, _>::boxed(
        |bytes| match i32::from_be_bytes(bytes) {
            i32::MIN | i32::MAX => Err(Fault::Infinite),
            days => days.checked_add(EPOCH_DAYS).ok_or(Fault::YearTooFar),
        },
        |array| array,
    )
}

/// 24:00:00 is a time of its own in PostgreSQL; it stays 86,400,000,000.
pub(super) fn time_decoder() -> Box<dyn ColumnDecoder> {
    FixedDecoder::<Int64Type, 8, _>::boxed(
        |bytes| match i64::from_be_bytes(bytes) {
            micros @ 0..=DAY_MICROS => Ok(micros),
            _ => Err(Fault::BadTime),
        },
        |array| array,
    )
}

pub(super) fn timestamp_decoder(utc: bool) -> Box<dyn ColumnDecoder> {
    FixedDecoder::<TimestampMicrosecondType, 8, _>::boxed(
        |bytes| match i64::from_be_bytes(bytes) {
            i64::MIN | i64::MAX => Err(Fault::Infinite),
            micros => micros
                .checked_add(EPOCH_DAYS as i64 * DAY_MICROS)
                .ok_or(Fault::YearTooFar),
        },
        if utc {
            |array| array.with_timezone("UTC")
        } else {
            |array| array
        },
    )
}
