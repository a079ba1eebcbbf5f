//! When a zone's clock begins its days, months and hours: asked of the server, which is the
//! authority on its zones.
//!
//! Owns the one query for it. A local midnight may not exist (clocks go forward over it), come
//! twice (they go back over it), or be skipped with its whole day (a zone crosses the date line),
//! so no local time is converted. Instead every instant at which the zone's clock could pass from
//! one interval to another is tried, and those stay at which, by the server, it does.

use crate::error::{Error, ErrorKind, Result};
use crate::pg::Session;
use crate::pg::session::column;

use super::calendar::{DAY, FIRST_DAY, Step};

/// Farthest that a zone's clock is from UTC, in seconds (`timestamp.h`, MAX_TZDISP_HOUR is 15).
pub(super) const MAX_SHIFT: i64 = 16 * 3_600;

/// An instant at which an interval begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Boundary {
    /// Seconds since 1970 in UTC; where there is no zone, on the column's own clock.
    pub(super) at: i64,
    /// The interval's number.
    pub(super) bucket: i64,
}

/// The zone's name as the server writes it.
///
/// Abbreviations and POSIX forms are refused: `UTC+3` means three hours *west*.
///
/// # Errors
///
/// [`ErrorKind::Config`] when it has no such zone.
pub(super) async fn find_zone(session: &Session, name: &str) -> Result<String> {
    let sql = "SELECT name FROM pg_catalog.pg_timezone_names
               WHERE pg_catalog.lower(name) = pg_catalog.lower($1)
               ORDER BY name = $1 DESC, name LIMIT 1";
    let what = "the time zones could not be read";
    let rows = session.query(what, sql, &[&name]).await?;
    match rows.first() {
        Some(row) => column(row, 0),
        None => Err(Error::new(
            ErrorKind::Config,
            format!("--time-zone {name:?}: the server has no zone of that name"),
        )
        .with_advice("give a name such as Europe/Berlin; pg_timezone_names lists them")),
    }
}

/// The instants at which the intervals of these numbers begin on a zone's clock, in order. One
/// that the clock enters twice begins twice; one that it never shows does not begin.
///
/// # Errors
///
/// The server's.
pub(super) async fn boundaries(
    session: &Session,
    zone: &str,
    step: Step,
    buckets: std::ops::RangeInclusive<i64>,
) -> Result<Vec<Boundary>> {
    let starts: Vec<i64> = buckets.map(|bucket| step.start_of(bucket)).collect();
    let what = "the time zone's calendar could not be read";
    let rows = session
        .query(what, &boundaries_sql(step), &[&starts, &zone])
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Boundary {
                at: column(row, 0)?,
                bucket: column(row, 1)?,
            })
        })
        .collect()
}

/// All times are whole seconds, and so are all shifts of all zones: an interval begins at a second
/// whose predecessor lies in another one.
///
/// `shifts` are the zone's distances from UTC around the starts, sampled every hour: no zone
/// changes its clock and back within an hour. Where two neighbours differ, the change is sought by
/// minutes and seconds: an interval can also begin at the change itself.
fn boundaries_sql(step: Step) -> String {
    let shift = format!("{} - at", local_seconds("at"));
    let (now, before) = (bucket(step, "at"), bucket(step, "at - 1"));
    format!(
        "WITH starts AS MATERIALIZED (SELECT pg_catalog.unnest($1::pg_catalog.int8[]) AS start),
         hours AS (SELECT DISTINCT start / 3600 * 3600 + hour AS at
           FROM starts, pg_catalog.generate_series(-{MAX_SHIFT}, {MAX_SHIFT}, 3600) AS hour),
         shifts AS MATERIALIZED (SELECT at, {shift} AS shift FROM hours),
         changes AS (SELECT * FROM (
             SELECT at, shift, pg_catalog.lead(at) OVER by_time - at AS wide,
               pg_catalog.lead(shift) OVER by_time AS next
             FROM shifts WINDOW by_time AS (ORDER BY at)) AS pairs
           WHERE wide = 3600 AND shift <> next),
         minutes AS (SELECT at, {shift} AS shift FROM (
             SELECT DISTINCT at + part AS at
             FROM changes, pg_catalog.generate_series(0, 3600, 60) AS part) AS parts),
         minute_changes AS (SELECT * FROM (
             SELECT at, shift, pg_catalog.lead(at) OVER by_time - at AS wide,
               pg_catalog.lead(shift) OVER by_time AS next
             FROM minutes WINDOW by_time AS (ORDER BY at)) AS pairs
           WHERE wide = 60 AND shift <> next),
         candidates AS (
           SELECT start - shift AS at
           FROM starts, (SELECT DISTINCT shift FROM shifts) AS distinct_shifts
           UNION SELECT at + part FROM minute_changes, pg_catalog.generate_series(1, 60) AS part)
         SELECT at, {now} FROM candidates WHERE {now} <> {before} ORDER BY at"
    )
}

/// What the zone's clock shows at an instant.
fn local_time(at: &str) -> String {
    format!("(pg_catalog.to_timestamp(({at})::pg_catalog.float8) AT TIME ZONE $2)")
}

fn local_seconds(at: &str) -> String {
    let time = local_time(at);
    format!("pg_catalog.date_part('epoch', {time})::pg_catalog.int8")
}

/// [`Step::bucket_of`] in SQL, for the years from 1 on.
fn bucket(step: Step, at: &str) -> String {
    let seconds = local_seconds(at);
    match step {
        Step::Months(months) => {
            let time = local_time(at);
            format!(
                "((pg_catalog.date_part('year', {time}) * 12 + pg_catalog.date_part('month', {time}) \
                 - 1)::pg_catalog.int8 / {months})"
            )
        }
        Step::Days(days) => {
            let first = FIRST_DAY * DAY;
            format!("(({seconds} - ({first})) / {})", days * DAY)
        }
        // Floored, as times before 1970 are negative.
        Step::Seconds(length) => {
            format!("pg_catalog.floor({seconds}::pg_catalog.float8 / {length})::pg_catalog.int8")
        }
    }
}
