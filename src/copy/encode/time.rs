//! Dates and times, counted from 2000-01-01 again. What would become an infinity is refused.

use arrow_array::types::{Date32Type, Int64Type, Time64MicrosecondType, TimestampMicrosecondType};

use super::ColumnEncoder;
use super::fixed::primitive_encoder;
use crate::copy::error::Fault;
use crate::copy::form::time::{DAY_MICROS, EPOCH_DAYS, EPOCH_MICROS};

pub(super) fn date_encoder() -> Box<dyn ColumnEncoder> {
    primitive_encoder::<Date32Type, 4, _>(|days| match days.checked_sub(EPOCH_DAYS) {
        None | Some(i32::MIN | i32::MAX) => Err(Fault::Foreign),
        Some(days) => Ok(days.to_be_bytes()),
    })
}

fn time_of_day(micros: i64) -> Result<[u8; 8], Fault> {
    match micros {
        0..=DAY_MICROS => Ok(micros.to_be_bytes()),
        _ => Err(Fault::Foreign),
    }
}

pub(super) fn time_encoder() -> Box<dyn ColumnEncoder> {
    primitive_encoder::<Int64Type, 8, _>(time_of_day)
}

pub(super) fn time64_encoder() -> Box<dyn ColumnEncoder> {
    primitive_encoder::<Time64MicrosecondType, 8, _>(time_of_day)
}

pub(super) fn timestamp_encoder() -> Box<dyn ColumnEncoder> {
    primitive_encoder::<TimestampMicrosecondType, 8, _>(|micros| {
        match micros.checked_sub(EPOCH_MICROS) {
            None | Some(i64::MIN | i64::MAX) => Err(Fault::Foreign),
            Some(micros) => Ok(micros.to_be_bytes()),
        }
    })
}
