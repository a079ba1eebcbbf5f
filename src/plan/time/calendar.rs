//! The local calendar: which interval a local time lies in, where each interval starts, and the
//! name of its folder. Pure.
//!
//! Local times are seconds since 1970-01-01 00:00 on the zone's own clock. Owns no time zone: when
//! a zone's clock shows a local time, and whether it ever does, only the server says
//! (`zone`).

use chrono::{DateTime, Datelike, NaiveDate};

use crate::error::{Error, ErrorKind, Result};
use crate::options::Interval;

/// Seconds of a day.
pub(super) const DAY: i64 = 86_400;
/// 0001-01-01, a Monday, from which days are counted, so that intervals of 7 days are weeks.
pub(super) const FIRST_DAY: i64 = -719_162;
/// What rows without a place on the calendar stand under: hive's word for "no value".
pub(super) const NO_VALUE: &str = "__HIVE_DEFAULT_PARTITION__";

/// One kind of interval on a local clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Calendar months, counted from the year 0: tens of years begin in 2020 and 2030.
    Months(i64),
    /// Calendar days, counted from a Monday.
    Days(i64),
    /// Seconds of the local clock; they divide the day.
    Seconds(i64),
}

impl Step {
    /// The calendar's own steps; of an interval below a day, the days that it starts from.
    pub(super) fn of(every: Interval) -> Self {
        match (every.months, every.days) {
            (0, 0) => Self::Days(1),
            (0, days) => Self::Days(i64::from(days)),
            (months, _) => Self::Months(i64::from(months)),
        }
    }

    /// The steps of folders, each of which says the truth of all its rows.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] for an interval below a day that does not fit the hours of a day.
    pub(super) fn of_folders(every: Interval) -> Result<Self> {
        if every.months > 0 || every.days > 0 {
            return Ok(Self::of(every));
        }
        let seconds = i64::try_from(every.micros / 1_000_000).unwrap_or(i64::MAX);
        let is_whole = every.micros.is_multiple_of(1_000_000) && seconds > 0;
        let fits = is_whole && (3_600 % seconds == 0 || seconds % 3_600 == 0 && DAY % seconds == 0);
        match fits {
            true => Ok(Self::Seconds(seconds)),
            false => Err(Error::new(
                ErrorKind::Config,
                format!("--hive: intervals of {every} do not fit the hours of a day"),
            )
            .with_advice("give one that divides an hour, or whole hours that divide a day")),
        }
    }

    /// The number of the interval that a local time lies in.
    pub(super) fn bucket_of(self, local: i64) -> i64 {
        match self {
            Self::Months(months) => {
                let date = date_of(local);
                let month = i64::from(date.year()) * 12 + i64::from(date.month0());
                month.div_euclid(months)
            }
            Self::Days(days) => (local.div_euclid(DAY) - FIRST_DAY).div_euclid(days),
            Self::Seconds(seconds) => local.div_euclid(seconds),
        }
    }

    /// The local time that an interval starts at.
    pub(super) fn start_of(self, bucket: i64) -> i64 {
        match self {
            Self::Months(months) => {
                let month = bucket.saturating_mul(months);
                let (year, month0) = (month.div_euclid(12), month.rem_euclid(12));
                let year = i32::try_from(year).unwrap_or(i32::MAX);
                let date = NaiveDate::from_ymd_opt(year, month0 as u32 + 1, 1);
                let days = date.map_or(i64::MAX / DAY, |date| {
                    i64::from(date.num_days_from_ce()) - 1 + FIRST_DAY
                });
                days * DAY
            }
            Self::Days(days) => bucket
                .saturating_mul(days)
                .saturating_add(FIRST_DAY)
                .saturating_mul(DAY),
            Self::Seconds(seconds) => bucket.saturating_mul(seconds),
        }
    }

    /// What a folder of such an interval is named after, where nobody named it.
    pub(super) fn folder_suffix(self) -> &'static str {
        match self {
            Self::Months(months) if months % 12 == 0 => "year",
            Self::Months(_) => "month",
            Self::Days(_) => "date",
            Self::Seconds(_) => "hour",
        }
    }

    /// The value of an interval's folder: where the interval starts, on the local clock.
    pub(super) fn folder_value(self, bucket: i64) -> String {
        let format = match self.folder_suffix() {
            "year" => "%Y",
            "month" => "%Y-%m",
            "date" => "%Y-%m-%d",
            _ => "%Y-%m-%d-%H",
        };
        let start = DateTime::from_timestamp(self.start_of(bucket), 0).unwrap_or_default();
        start.format(format).to_string()
    }
}

/// The date of a local time; far outside of the calendar, the nearest that there is.
fn date_of(local: i64) -> NaiveDate {
    let last = match local < 0 {
        true => NaiveDate::MIN,
        false => NaiveDate::MAX,
    };
    DateTime::from_timestamp(local, 0).map_or(last, |time| time.date_naive())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn local(text: &str) -> i64 {
        let time = format!("{text}+00:00");
        DateTime::parse_from_rfc3339(&time).unwrap().timestamp()
    }

    #[test]
    fn intervals_start_where_people_expect() {
        for (step, at, start, value) in [
            (
                Step::Days(1),
                "2026-11-22T13:05:00",
                "2026-11-22T00:00:00",
                "2026-11-22",
            ),
            (
                Step::Days(7),
                "2026-11-22T13:05:00",
                "2026-11-16T00:00:00",
                "2026-11-16",
            ),
            (
                Step::Months(1),
                "2024-02-29T23:59:59",
                "2024-02-01T00:00:00",
                "2024-02",
            ),
            (
                Step::Months(3),
                "2026-11-22T13:05:00",
                "2026-10-01T00:00:00",
                "2026-10",
            ),
            (
                Step::Months(12),
                "0001-12-31T23:59:59",
                "0001-01-01T00:00:00",
                "0001",
            ),
            (
                Step::Months(120),
                "2026-11-22T13:05:00",
                "2020-01-01T00:00:00",
                "2020",
            ),
            (
                Step::Seconds(3600),
                "1969-12-31T23:59:59",
                "1969-12-31T23:00:00",
                "1969-12-31-23",
            ),
            (
                Step::Seconds(21_600),
                "2026-11-22T13:05:00",
                "2026-11-22T12:00:00",
                "2026-11-22-12",
            ),
        ] {
            let bucket = step.bucket_of(local(at));
            assert_eq!(step.start_of(bucket), local(start), "{step:?} {at}");
            assert_eq!(step.folder_value(bucket), value, "{step:?} {at}");
        }
    }

    #[test]
    fn folders_take_only_intervals_whose_name_is_true_of_all_rows() {
        let step = |text: &str| Step::of_folders(text.parse().unwrap());
        for (text, wanted) in [
            ("1 hour", Step::Seconds(3_600)),
            ("15 minutes", Step::Seconds(900)),
            ("12 hours", Step::Seconds(43_200)),
            ("2 weeks", Step::Days(14)),
        ] {
            assert_eq!(step(text).unwrap(), wanted);
        }
        for text in [
            "40 minutes",
            "90 minutes",
            "5 hours",
            "48 hours",
            "7 seconds",
        ] {
            assert_eq!(step(text).unwrap_err().kind(), ErrorKind::Config, "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_local_time_lies_in_its_interval(
            // The years 1 to 9999.
            at in -62_135_596_800_i64..253_402_300_800,
            number in 1_i64..500,
            kind in 0..3,
        ) {
            let step = match kind {
                0 => Step::Months(number),
                1 => Step::Days(number),
                _ => Step::Seconds(number),
            };
            let bucket = step.bucket_of(at);
            prop_assert!(step.start_of(bucket) <= at && at < step.start_of(bucket + 1));
            prop_assert_eq!(step.bucket_of(step.start_of(bucket)), bucket);
        }
    }
}
