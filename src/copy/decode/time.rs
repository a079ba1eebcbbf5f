//! Dates and times. PostgreSQL counts from 2000-01-01, Arrow from 1970-01-01.
//!
//! Additions are checked, and the infinities are refused: they would be dates like any other.

use arrow_array::types::{Date32Type, Int64Type, Time64MicrosecondType, TimestampMicrosecondType};

use super::ColumnDecoder;
use super::fixed::FixedDecoder;
use crate::copy::error::Fault;
use crate::copy::form::time::{DAY_MICROS, EPOCH_DAYS, EPOCH_MICROS};

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
fn time_of_day(bytes: [u8; 8]) -> Result<i64, Fault> {
    match i64::from_be_bytes(bytes) {
        micros @ 0..=DAY_MICROS => Ok(micros),
        _ => Err(Fault::BadTime),
    }
}

pub(super) fn time_decoder() -> Box<dyn ColumnDecoder> {
    FixedDecoder::<Int64Type, 8, _>::boxed(time_of_day, |array| array)
}

pub(super) fn time64_decoder() -> Box<dyn ColumnDecoder> {
    FixedDecoder::<Time64MicrosecondType, 8, _>::boxed(time_of_day, |array| array)
}

pub(super) fn timestamp_decoder(utc: bool) -> Box<dyn ColumnDecoder> {
    FixedDecoder::<TimestampMicrosecondType, 8, _>::boxed(
        |bytes| match i64::from_be_bytes(bytes) {
            i64::MIN | i64::MAX => Err(Fault::Infinite),
            micros => micros.checked_add(EPOCH_MICROS).ok_or(Fault::YearTooFar),
        },
        move |array| {
            if utc {
                array.with_timezone("UTC")
            } else {
                array
            }
        },
    )
}
