//! How a table is cut into chunks, and how time chunks are laid out.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::select::{identifiers, shown_identifier};
use crate::error::{Error, ErrorKind, Result};

/// How a table is cut into chunks.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChunkBy {
    /// A well-correlated key; else ctid; else the best key; else one whole chunk.
    #[default]
    Auto,
    /// Heap page ranges.
    Ctid,
    /// Key ranges: of these columns, compared in this order, or of the best key where none is named.
    Key(Vec<String>),
    /// Calendar intervals.
    Time {
        /// A date or timestamp column.
        column: String,
        /// How long each chunk is.
        every: Interval,
    },
    /// Places in the order of all exported columns: for what has no key.
    Offset,
    /// One chunk a relation.
    None,
}

impl ChunkBy {
    /// Whether each chunk bounds the same rows under any snapshot, as far as that is known
    /// before planning.
    #[must_use]
    pub fn survives_snapshot(&self) -> bool {
        !matches!(self, Self::Ctid | Self::Offset)
    }
}

impl FromStr for ChunkBy {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let bad = || {
            Error::new(
                ErrorKind::Config,
                format!(
                    "--chunk-by {text}: not one of auto, key, key:COLUMN[,COLUMN…], \
                     time:COLUMN:INTERVAL, ctid, offset, none"
                ),
            )
        };
        match text.split_once(':') {
            None if text == "auto" => Ok(Self::Auto),
            None if text == "ctid" => Ok(Self::Ctid),
            None if text == "offset" => Ok(Self::Offset),
            None if text == "key" => Ok(Self::Key(Vec::new())),
            None if text == "none" => Ok(Self::None),
            Some(("key", columns)) => {
                let columns = identifiers(columns, ',').ok_or_else(bad)?;
                Ok(Self::Key(columns))
            }
            Some(("time", rest)) => {
                let (column, every) = rest.rsplit_once(':').ok_or_else(bad)?;
                let [column] = identifiers(column, ',')
                    .ok_or_else(bad)?
                    .try_into()
                    .map_err(|_| bad())?;
                Ok(Self::Time {
                    column,
                    every: every.parse()?,
                })
            }
            _ => Err(bad()),
        }
    }
}

impl fmt::Display for ChunkBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Ctid => f.write_str("ctid"),
            Self::Offset => f.write_str("offset"),
            Self::Key(columns) if columns.is_empty() => f.write_str("key"),
            Self::Key(columns) => {
                let names: Vec<String> =
                    columns.iter().map(|name| shown_identifier(name)).collect();
                write!(f, "key:{}", names.join(","))
            }
            Self::Time { column, every } => write!(f, "time:{}:{every}", shown_identifier(column)),
            Self::None => f.write_str("none"),
        }
    }
}

/// A length of time on the calendar: months, days or microseconds, one of them above zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Interval {
    /// Calendar months; twelve to the year.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub months: u32,
    /// Calendar days, which are 23 or 25 hours long where clocks are changed.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub days: u32,
    /// Microseconds of elapsed time.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub micros: u64,
}

fn is_zero<T: PartialEq + Default>(number: &T) -> bool {
    *number == T::default()
}

impl Interval {
    /// Each unit with what one of it is: months, days, microseconds.
    const UNITS: [(&'static str, u32, u32, u64); 7] = [
        ("year", 12, 0, 0),
        ("month", 1, 0, 0),
        ("week", 0, 7, 0),
        ("day", 0, 1, 0),
        ("hour", 0, 0, 3_600_000_000),
        ("minute", 0, 0, 60_000_000),
        ("second", 0, 0, 1_000_000),
    ];
}

/// `1 day`, `day`, `6 hours`, `3 months`, `1 year`.
impl FromStr for Interval {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let bad = || {
            Error::new(
                ErrorKind::Config,
                format!(
                    "{text:?} is no interval: give a number of seconds, minutes, hours, days, \
                     weeks, months or years, such as 1 day"
                ),
            )
        };
        let trimmed = text.trim();
        let digits = trimmed.len()
            - trimmed
                .trim_start_matches(|c: char| c.is_ascii_digit())
                .len();
        let (number, unit) = trimmed.split_at(digits);
        let number: u32 = match number {
            "" => 1,
            digits => digits.parse().map_err(|_| bad())?,
        };
        let unit = unit.trim().to_ascii_lowercase();
        let unit = unit.strip_suffix('s').unwrap_or(&unit);
        let (_, months, days, micros) = Self::UNITS
            .into_iter()
            .find(|(name, ..)| *name == unit)
            .ok_or_else(bad)?;
        let interval = Self {
            months: months.checked_mul(number).ok_or_else(bad)?,
            days: days.checked_mul(number).ok_or_else(bad)?,
            micros: micros.checked_mul(u64::from(number)).ok_or_else(bad)?,
        };
        // A thousand years: beyond that there is nothing to cut.
        let is_sane = number > 0 && interval.months <= 12_000 && interval.days <= 366_000;
        is_sane.then_some(interval).ok_or_else(bad)
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (number, unit) = match (self.months, self.days, self.micros) {
            (0, 0, micros) => {
                let (unit, each) = [
                    ("hour", 3_600_000_000),
                    ("minute", 60_000_000),
                    ("second", 1_000_000),
                ]
                .into_iter()
                .find(|(_, each)| micros % each == 0)
                .unwrap_or(("microsecond", 1));
                (micros / each, unit)
            }
            (0, days, _) => (u64::from(days), "day"),
            (months, ..) if months % 12 == 0 => (u64::from(months / 12), "year"),
            (months, ..) => (u64::from(months), "month"),
        };
        let plural = if number == 1 { "" } else { "s" };
        write!(f, "{number} {unit}{plural}")
    }
}

/// Objects of time chunks in folders that readers prune by, `NAME=VALUE`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Hive {
    /// The partition column; `None`: the time column's name and `_date`, `_month`, `_year` or
    /// `_hour`, as the interval is.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub name: Option<String>,
}

/// Only rows above what the last completed run reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incremental {
    /// A column that grows with each insert or update.
    pub column: String,
    /// How far below that bound a run reads again, for rows that were committed late: a number for
    /// numbers, an interval for times.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub overlap: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_read_back_what_they_show() {
        for text in [
            "auto",
            "ctid",
            "offset",
            "key",
            "key:id",
            "key:a,b",
            "key:\"A,b\",c",
            "time:created_at:1 day",
            "time:\"At:\":3 months",
            "none",
        ] {
            assert_eq!(text.parse::<ChunkBy>().unwrap().to_string(), text);
        }
        for bad in [
            "key:",
            "key:a,",
            "time:a",
            "time::1 day",
            "time:a,b:1 day",
            "time:a:0 days",
            "x",
        ] {
            assert!(bad.parse::<ChunkBy>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn intervals_are_of_one_unit() {
        let read = |text: &str| {
            let interval: Interval = text.parse().unwrap();
            (interval.months, interval.days, interval.micros)
        };
        assert_eq!(read("1 day"), (0, 1, 0));
        assert_eq!(read("week"), (0, 7, 0));
        assert_eq!(read("2years"), (24, 0, 0));
        assert_eq!(read(" 90 Minutes "), (0, 0, 5_400_000_000));
        for bad in [
            "",
            "0 days",
            "1 fortnight",
            "-1 day",
            "1.5 days",
            "99999999999 days",
            "2000 years",
        ] {
            assert!(bad.parse::<Interval>().is_err(), "{bad:?}");
        }
        for text in [
            "6 hours",
            "90 minutes",
            "1 year",
            "5 months",
            "14 days",
            "1 second",
        ] {
            assert_eq!(text.parse::<Interval>().unwrap().to_string(), text);
        }
    }
}
