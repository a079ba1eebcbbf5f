//! What the server knows of a time column: its type, its indexes, its ends, its statistics.
//!
//! Rows are read only at an index's ends, and by one `min`/`max` where nothing else tells; the
//! caller says when that may be.

use chrono::{NaiveDate, NaiveDateTime};

use crate::chunk::{KeyColumn, PlannedRelation, Range};
use crate::error::{Error, ErrorKind, Result};
use crate::pg::session::column;
use crate::pg::sql::{conditions, from_clause, quote_ident, where_clause};
use crate::pg_type::PgType;
use crate::plan::task::RelationTask;

use super::shape::TimeStats;

/// A table of so many bytes is read as soon as its statistics are.
const SMALL_BYTES: u64 = 8 << 20;

/// The types that time chunks are cut from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TimeKind {
    Date,
    Timestamp,
    Timestamptz,
}

/// A time column.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct TimeColumn {
    pub(super) kind: TimeKind,
    pub(super) key: KeyColumn,
    /// Whether a btree index leads with it.
    pub(super) has_index: bool,
    /// Whether a BRIN index holds it: a range of it is found, its ends are not.
    pub(super) has_summary: bool,
}

/// Where the least and the largest time came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EndsFrom {
    Index,
    Statistics,
    /// Every row was read.
    Scan,
    /// There are no pages.
    Empty,
}

impl TimeKind {
    fn of(pg_type: &PgType) -> Option<Self> {
        match pg_type {
            PgType::Date => Some(Self::Date),
            PgType::Timestamp => Some(Self::Timestamp),
            PgType::Timestamptz => Some(Self::Timestamptz),
            _ => None,
        }
    }

    fn of_oid(oid: u32) -> Option<Self> {
        match oid {
            1082 => Some(Self::Date),
            1114 => Some(Self::Timestamp),
            1184 => Some(Self::Timestamptz),
            _ => None,
        }
    }

    pub(super) fn type_name(self) -> &'static str {
        match self {
            Self::Date => "pg_catalog.date",
            Self::Timestamp => "pg_catalog.timestamp",
            Self::Timestamptz => "pg_catalog.timestamptz",
        }
    }

    /// A time as text, moved into the years 1 to 9999: what lies outside has no place among
    /// bounds, and falls into the open ranges.
    fn clamped(self, value: &str) -> String {
        let name = self.type_name();
        let (first, last) = match self {
            Self::Date => ("0001-01-01", "9999-12-31"),
            _ => ("0001-01-01 00:00:00", "9999-12-31 23:59:59.999999"),
        };
        format!("GREATEST(LEAST({value}, '{last}'::{name}), '{first}'::{name})::pg_catalog.text")
    }
}

const COLUMN_SQL: &str = "
WITH RECURSIVE base(typid) AS (
  SELECT a.atttypid FROM pg_catalog.pg_attribute a
  WHERE a.attrelid = $1 AND a.attname = $2 AND a.attnum > 0 AND NOT a.attisdropped
  UNION ALL
  SELECT t.typbasetype FROM base b
  JOIN pg_catalog.pg_type t ON t.oid = b.typid WHERE t.typtype = 'd'
)
SELECT b.typid,
  NOT a.attnotnull OR EXISTS (SELECT FROM pg_catalog.pg_constraint k
    WHERE k.conrelid = a.attrelid AND k.contype = 'n' AND NOT k.convalidated
      AND k.conkey = ARRAY[a.attnum]),
  EXISTS (SELECT FROM pg_catalog.pg_index i
    JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
    JOIN pg_catalog.pg_am m ON m.oid = c.relam AND m.amname = 'btree'
    JOIN pg_catalog.pg_opclass o ON o.oid = i.indclass[0] AND o.opcdefault
    WHERE i.indrelid = $1 AND i.indkey[0] = a.attnum AND i.indisvalid AND i.indisready
      AND i.indpred IS NULL
      -- ASC NULLS LAST or DESC NULLS FIRST: another order does not serve ORDER BY k LIMIT 1.
      AND i.indoption[0] IN (0, 3)),
  EXISTS (SELECT FROM pg_catalog.pg_index i
    JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
    JOIN pg_catalog.pg_am m ON m.oid = c.relam AND m.amname = 'brin'
    WHERE i.indrelid = $1 AND a.attnum = ANY (i.indkey) AND i.indisvalid AND i.indisready
      AND i.indpred IS NULL),
  pg_catalog.format_type(a.atttypid, a.atttypmod)
FROM base b
JOIN pg_catalog.pg_type t ON t.oid = b.typid AND t.typtype <> 'd'
JOIN pg_catalog.pg_attribute a ON a.attrelid = $1 AND a.attname = $2";

/// Finds the column that time chunks are to be cut from.
///
/// # Errors
///
/// [`ErrorKind::Config`] when there is no such column, or it is of another type.
pub(super) async fn find_column(source: &RelationTask<'_>, name: &str) -> Result<TimeColumn> {
    if source.base.query.is_some() {
        let found = source.schema.columns.iter().find(|one| one.name == name);
        let found = found.ok_or_else(|| no_column(source, name))?;
        let kind = TimeKind::of(&found.pg_type)
            .ok_or_else(|| no_time(source, name, found.type_name.as_str()))?;
        return Ok(time_column(kind, name, true));
    }
    let what = "the catalog could not be read";
    let params: [&(dyn tokio_postgres::types::ToSql + Sync); 2] = [&source.base.oid, &name];
    let rows = source.session.query(what, COLUMN_SQL, &params).await?;
    let row = rows.first().ok_or_else(|| no_column(source, name))?;
    let kind = TimeKind::of_oid(column(row, 0)?);
    let declared: String = column(row, 4)?;
    let kind = kind.ok_or_else(|| no_time(source, name, &declared))?;
    Ok(TimeColumn {
        has_index: column(row, 2)?,
        has_summary: column(row, 3)?,
        ..time_column(kind, name, column(row, 1)?)
    })
}

fn time_column(kind: TimeKind, name: &str, is_nullable: bool) -> TimeColumn {
    TimeColumn {
        kind,
        key: KeyColumn {
            name: name.to_owned(),
            type_name: kind.type_name().to_owned(),
            operators: "pg_catalog".to_owned(),
            collation: None,
            is_nullable,
        },
        has_index: false,
        has_summary: false,
    }
}

fn no_column(source: &RelationTask<'_>, name: &str) -> Error {
    let message = format!(
        "--chunk-by time:{name}: {} has no such column",
        source.base.name
    );
    advise(source, message)
}

fn no_time(source: &RelationTask<'_>, name: &str, declared: &str) -> Error {
    advise(
        source,
        format!("--chunk-by time:{name}: it is a {declared}, neither a date nor a timestamp"),
    )
}

/// Names the columns that would do.
fn advise(source: &RelationTask<'_>, message: String) -> Error {
    let columns = source.schema.columns.iter();
    let fitting = columns.filter(|column| TimeKind::of(&column.pg_type).is_some());
    let names: Vec<String> = fitting.map(|column| format!("{:?}", column.name)).collect();
    let error = Error::new(ErrorKind::Config, message);
    match names.is_empty() {
        true => error.with_advice("it exports no date or timestamp column: use another --chunk-by"),
        false => error.with_advice(format!("its dates and timestamps: {}", names.join(", "))),
    }
}

/// What the statistics know of the column; nothing of a query, and nothing that the user may not
/// read.
///
/// # Errors
///
/// The server's.
pub(super) async fn read_stats(source: &RelationTask<'_>, time: &TimeColumn) -> Result<TimeStats> {
    if source.base.query.is_some() {
        return Ok(TimeStats::default());
    }
    let (name, clamped) = (time.kind.type_name(), time.kind.clamped("v"));
    let sql = format!(
        "SELECT coalesce(s.null_frac, 0)::pg_catalog.float8, s.correlation::pg_catalog.float8,
           ARRAY(SELECT {clamped} FROM pg_catalog.unnest(s.histogram_bounds::text::{name}[]) AS v
             WHERE pg_catalog.isfinite(v)),
           ARRAY(SELECT {clamped} FROM pg_catalog.unnest(s.most_common_vals::text::{name}[])
             WITH ORDINALITY AS c(v, place) WHERE pg_catalog.isfinite(v) ORDER BY place),
           ARRAY(SELECT s.most_common_freqs[place::pg_catalog.int4]::pg_catalog.float8
             FROM pg_catalog.unnest(s.most_common_vals::text::{name}[])
             WITH ORDINALITY AS c(v, place) WHERE pg_catalog.isfinite(v) ORDER BY place)
         FROM pg_catalog.pg_stats s
         WHERE s.schemaname = $1 AND s.tablename = $2 AND s.attname = $3 AND NOT s.inherited"
    );
    let relation = &source.base.name;
    let what = "the statistics could not be read";
    let params: [&(dyn tokio_postgres::types::ToSql + Sync); 3] =
        [&relation.schema, &relation.name, &time.key.name];
    let rows = source.session.query(what, &sql, &params).await?;
    let Some(row) = rows.first() else {
        return Ok(TimeStats::default());
    };
    let times = |index| -> Result<Vec<i64>> {
        let texts: Vec<String> = column(row, index)?;
        texts.iter().map(|text| micros_of(text)).collect()
    };
    let shares: Vec<f64> = column(row, 4)?;
    Ok(TimeStats {
        is_analyzed: true,
        null_share: column(row, 0)?,
        correlation: column(row, 1)?,
        histogram: times(2)?,
        common: times(3)?.into_iter().zip(shares).collect(),
    })
}

/// The least and the largest finite time, in microseconds since 1970, and where they came from.
///
/// With `exact`, statistics do not do: they come from a sample, and from the past.
///
/// # Errors
///
/// [`ErrorKind::Config`] where only a scan could tell and none is allowed.
pub(super) async fn read_ends(
    source: &RelationTask<'_>,
    time: &TimeColumn,
    stats: &TimeStats,
    exact: bool,
) -> Result<(Option<(i64, i64)>, EndsFrom)> {
    let is_stored = source.schema.relations.iter().any(|relation| {
        relation.oid == source.base.oid && (relation.heap_pages > 0 || relation.table_bytes > 0)
    });
    let has_storage = !source.is_computed();
    if has_storage && !is_stored {
        return Ok((None, EndsFrom::Empty));
    }
    if time.has_index {
        return Ok((ends_of_index(source, time).await?, EndsFrom::Index));
    }
    if !has_storage || exact || source.size.bytes <= SMALL_BYTES {
        return Ok((ends_of_scan(source, time).await?, EndsFrom::Scan));
    }
    let common = stats.common.iter().map(|(at, _)| *at);
    let known: Vec<i64> = stats.histogram.iter().copied().chain(common).collect();
    let ends = known.iter().min().copied().zip(known.iter().max().copied());
    match ends {
        Some(ends) => Ok((Some(ends), EndsFrom::Statistics)),
        // Nothing but NULLs and infinities.
        None if stats.is_analyzed => Ok((None, EndsFrom::Statistics)),
        None => Err(Error::new(
            ErrorKind::Config,
            format!(
                "--chunk-by time:{}: no btree index leads with it, and {} was never analyzed: \
                 where its times begin and end is not known",
                time.key.name, source.base.name
            ),
        )
        .with_advice(format!(
            "run ANALYZE {} ({:?}), or create an index; with --hive its ends are read from the table",
            source.base.name, time.key.name
        ))),
    }
}

/// `ORDER BY … LIMIT 1` from either side; infinities, which an index has at its ends, left out.
async fn ends_of_index(source: &RelationTask<'_>, time: &TimeColumn) -> Result<Option<(i64, i64)>> {
    let (name, kind) = (quote_ident(&time.key.name), time.kind);
    let (from, clamped) = (from_clause(source.base), kind.clamped(&name));
    // Only a window of the same column is served by the index.
    let window = source.base.window.as_ref();
    let windowed = window.filter(|window| window.column.name == time.key.name);
    let base = PlannedRelation {
        window: windowed.cloned(),
        ..source.base.clone()
    };
    let mut ends = [None, None];
    for (end, (beyond, direction)) in ends
        .iter_mut()
        .zip([("> '-infinity'", "ASC"), ("< 'infinity'", "DESC")])
    {
        let mut all = conditions(&base, &Range::Whole, None);
        all.push(format!("{name} {beyond}::{}", kind.type_name()));
        // An infinity may be all that there is, at the other end.
        let sql = format!(
            "SELECT {clamped}, pg_catalog.isfinite({name}) FROM {from}{} \
             ORDER BY {name} {direction} LIMIT 1",
            where_clause(&all)
        );
        let what = "the ends of the index could not be read";
        let rows = source.session.query(what, &sql, &[]).await?;
        let Some(row) = rows.first() else {
            continue;
        };
        if column::<bool>(row, 1)? {
            *end = Some(micros_of(column(row, 0)?)?);
        }
    }
    Ok(ends[0].zip(ends[1]))
}

/// One `min` and `max` over every row.
async fn ends_of_scan(source: &RelationTask<'_>, time: &TimeColumn) -> Result<Option<(i64, i64)>> {
    let (name, kind) = (quote_ident(&time.key.name), time.kind);
    let mut all = conditions(source.base, &Range::Whole, source.options.filter.as_deref());
    all.push(format!("pg_catalog.isfinite({name})"));
    // GREATEST and LEAST pass over NULL: without rows they would answer with a bound.
    let end = |of: &str| {
        let value = format!("pg_catalog.{of}({name})");
        let clamped = kind.clamped(&value);
        format!("CASE WHEN {value} IS NOT NULL THEN {clamped} END")
    };
    let sql = format!(
        "SELECT {}, {} FROM {}{}",
        end("min"),
        end("max"),
        from_clause(source.base),
        where_clause(&all)
    );
    let what = "the least and the largest time could not be read";
    let row = source.session.query_one(what, &sql, &[]).await?;
    let texts: (Option<&str>, Option<&str>) = (column(&row, 0)?, column(&row, 1)?);
    match texts {
        (Some(least), Some(largest)) => Ok(Some((micros_of(least)?, micros_of(largest)?))),
        _ => Ok(None),
    }
}

/// Microseconds since 1970 of a time of the years 1 to 9999, as a session with `DateStyle=ISO` and
/// `TimeZone=UTC` writes it.
fn micros_of(text: &str) -> Result<i64> {
    let plain = text.strip_suffix("+00").unwrap_or(text);
    let time = match plain.contains(' ') {
        true => NaiveDateTime::parse_from_str(plain, "%Y-%m-%d %H:%M:%S%.f").ok(),
        false => NaiveDate::parse_from_str(plain, "%Y-%m-%d")
            .ok()
            .and_then(|date| date.and_hms_opt(0, 0, 0)),
    };
    time.map(|time| time.and_utc().timestamp_micros())
        .ok_or_else(|| {
            Error::new(
                ErrorKind::Internal,
                "the server wrote a time in no known form",
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_the_server_writes_them() {
        for (text, micros) in [
            ("1970-01-01", 0),
            ("1970-01-01 00:00:00.000001+00", 1),
            ("1969-12-31 23:59:59.5", -500_000),
            ("0001-01-01 00:00:00+00", -62_135_596_800_000_000),
            ("9999-12-31 23:59:59.999999+00", 253_402_300_799_999_999),
        ] {
            assert_eq!(micros_of(text).unwrap(), micros, "{text}");
        }
        for bad in ["", "infinity", "0044-03-15 BC", "1970-01-01 00:00:00+01"] {
            assert!(micros_of(bad).is_err(), "{bad}");
        }
    }
}
