//! Time chunks against real servers: they partition any table exactly, and each folder's value is
//! what the server says of all its rows, around every change of clocks that is known to be hard.

mod datasets;

use std::collections::BTreeMap;

use pgsluice::{ChunkBy, ConnectOptions, ErrorKind, ExportOptions, Hive, Result, TablePlan};

use crate::rig::{self, Database, Session};

const NO_VALUE: &str = "__HIVE_DEFAULT_PARTITION__";

/// A zone, and an instant at which its clock is changed (UTC).
const CHANGES: [(&str, &str); 19] = [
    ("UTC", "2018-11-04 00:00"),
    // A day that never was.
    ("Pacific/Apia", "2011-12-30 10:00"),
    ("Pacific/Kwajalein", "1993-08-21 12:00"),
    // A day that came twice, by a change of odd seconds.
    ("America/Juneau", "1867-10-19 00:31:13"),
    // Midnights that do not exist.
    ("America/Sao_Paulo", "2018-11-04 03:00"),
    ("America/Havana", "2019-03-10 05:00"),
    ("Asia/Tehran", "2019-03-21 20:30"),
    // Over midnight: from 23:30 to 0:30.
    ("America/Toronto", "1919-03-31 04:30"),
    // Midnights that come twice; in Tehran and St. John's a date that comes back.
    ("America/Havana", "2018-11-04 05:00"),
    ("America/Sao_Paulo", "2019-02-17 02:00"),
    ("Asia/Tehran", "2018-09-21 19:30"),
    ("America/St_Johns", "2009-11-01 02:31"),
    ("Europe/Berlin", "2018-10-28 01:00"),
    ("Europe/Berlin", "2019-03-31 01:00"),
    // Half an hour, two hours, three quarters, 44 minutes and 30 seconds.
    ("Australia/Lord_Howe", "2019-04-06 15:00"),
    ("Antarctica/Troll", "2019-03-31 01:00"),
    ("Asia/Kathmandu", "1985-12-31 18:30"),
    ("Africa/Monrovia", "1972-01-07 00:44:30"),
    ("Asia/Kolkata", "2018-11-04 18:30"),
];

/// Intervals, and the start of that which a local time `l` lies in, as the server says.
const FOLDERS: [(&str, &str); 7] = [
    ("1 day", "to_char(l, 'YYYY-MM-DD')"),
    ("1 week", "to_char(date_trunc('week', l), 'YYYY-MM-DD')"),
    ("1 month", "to_char(l, 'YYYY-MM')"),
    ("3 months", "to_char(date_trunc('quarter', l), 'YYYY-MM')"),
    ("1 year", "to_char(l, 'YYYY')"),
    ("1 hour", "to_char(l, 'YYYY-MM-DD-HH24')"),
    (
        "6 hours",
        "to_char(l, 'YYYY-MM-DD-') || lpad((extract(hour FROM l)::int / 6 * 6)::text, 2, '0')",
    ),
];

/// How a table is cut.
struct Cut<'a> {
    table: &'a str,
    column: &'a str,
    every: &'a str,
    zone: Option<&'a str>,
    hive: bool,
    chunk_rows: Option<u64>,
}

impl<'a> Cut<'a> {
    fn of(table: &'a str, every: &'a str) -> Self {
        Self {
            table,
            column: "at",
            every,
            zone: None,
            hive: true,
            chunk_rows: None,
        }
    }

    fn plan(&self, database: &Database) -> Result<TablePlan> {
        let source = ConnectOptions::from_dsn(Some(&database.dsn()))?;
        let mut options = ExportOptions::new(vec![self.table.parse()?]);
        options.chunk_by = format!("time:{}:{}", self.column, self.every).parse::<ChunkBy>()?;
        options.time_zone = self.zone.map(str::to_owned);
        options.hive = self.hive.then(Hive::default);
        options.chunk_rows = self.chunk_rows;
        let report = rig::wait(async move { pgsluice::plan(&source, &options).await })?;
        Ok(report.tables.into_iter().next().expect("one table"))
    }
}

/// What each row is in: its chunk, and `label` of its `local` time, which the server computes.
fn chunks_of(
    session: &Session,
    plan: &TablePlan,
    local: &str,
    label: &str,
) -> Vec<(i64, usize, Option<String>)> {
    let selects = plan.chunks.iter().enumerate();
    let selects: Vec<String> = selects
        .map(|(chunk, planned)| format!("SELECT {chunk} AS chunk, * FROM ({}) AS c", planned.sql))
        .collect();
    let sql = format!(
        "SELECT id, chunk, CASE WHEN isfinite(at) AND at < '10000-01-01' THEN {label} END
         FROM (SELECT *, {local} AS l FROM ({}) AS all_chunks) AS x",
        selects.join(" UNION ALL ")
    );
    let number = |text: &Option<String>| text.as_ref().unwrap().parse::<i64>().unwrap();
    let rows = session.query_text(&sql).into_iter();
    rows.map(|row| (number(&row[0]), number(&row[1]) as usize, row[2].clone()))
        .collect()
}

/// Every row of the table is in exactly one chunk, in the folder that its time says. Tells how
/// many chunks hold rows.
#[track_caller]
fn partitions(database: &Database, cut: &Cut<'_>, label: &str) -> usize {
    let plan = cut.plan(database).unwrap();
    let session = database.session();
    session.execute("SET TimeZone = 'UTC'");
    let local = match cut.zone {
        Some(zone) if cut.hive => format!("at AT TIME ZONE '{zone}'"),
        _ => "at".to_owned(),
    };
    let rows = chunks_of(&session, &plan, &local, label);
    let mut seen: BTreeMap<i64, usize> = BTreeMap::new();
    let what = format!("{} every {} in {:?}", cut.table, cut.every, cut.zone);
    for (id, chunk, label) in &rows {
        let twice = seen.insert(*id, *chunk);
        assert_eq!(twice, None, "{what}: row {id} is in chunk {chunk} too");
        let folder = plan.chunks[*chunk].chunk.folder.as_deref();
        let value = folder.map(|folder| folder.split_once('=').unwrap().1);
        if cut.hive {
            assert_eq!(
                value,
                Some(label.as_deref().unwrap_or(NO_VALUE)),
                "{what}: row {id}"
            );
        }
    }
    let count = database.query_one_text(&format!("SELECT count(*) FROM {}", cut.table));
    assert_eq!(seen.len().to_string(), count, "{what}: rows are missing");
    let mut held: Vec<usize> = seen.into_values().collect();
    held.sort_unstable();
    held.dedup();
    held.len()
}

/// A table for each change: half hours around it, times next to them, infinities and NULL.
fn tables_of_changes(database: &Database, seed: u64) {
    for (number, (_, at)) in CHANGES.iter().enumerate() {
        database.execute(&format!(
            "CREATE TABLE t{number} (id int GENERATED ALWAYS AS IDENTITY, at timestamptz);
             SELECT setseed(0.{seed});
             INSERT INTO t{number} (at)
               SELECT timestamptz '{at}+00' + k * interval '30 minutes' + near
               FROM generate_series(-150, 150) k,
                 unnest(ARRAY[interval '0', '1 microsecond', '-1 microsecond', '-1 second']) near;
             INSERT INTO t{number} (at) SELECT timestamptz '{at}+00'
               + (random() - 0.5) * interval '8 days' FROM generate_series(1, 300);
             INSERT INTO t{number} (at) VALUES ('infinity'), ('-infinity'), (NULL), (NULL);
             CREATE INDEX ON t{number} (at); ANALYZE t{number}"
        ));
    }
}

/// One case in `shares`; the others are other versions'.
fn changes_on(major: u32, shares: usize) {
    let database = Database::create_on(major, "time_changes");
    tables_of_changes(&database, u64::from(major));
    for (number, (zone, _)) in CHANGES.iter().enumerate() {
        let table = format!("t{number}");
        for (place, (every, label)) in FOLDERS.iter().enumerate() {
            if !(number + place + major as usize).is_multiple_of(shares) {
                continue;
            }
            let mut cut = Cut::of(&table, every);
            cut.zone = Some(zone);
            let held = partitions(&database, &cut, label);
            assert!(
                *every != "1 day" || (8..=14).contains(&held),
                "{zone}: {held} chunks"
            );
        }
        if !(number + major as usize).is_multiple_of(shares) {
            continue;
        }
        // Without folders: elapsed time, from a midnight on, and large intervals cut once more.
        for (every, chunk_rows) in [("90 minutes", None), ("1 week", Some(100))] {
            let mut cut = Cut::of(&table, every);
            (cut.zone, cut.hive, cut.chunk_rows) = (Some(*zone), false, chunk_rows);
            let held = partitions(&database, &cut, "to_char(l, 'YYYY')");
            assert!(held > 10, "{zone} every {every}: {held} chunks hold rows");
        }
    }
}

#[test]
fn clocks_that_change_lose_no_row_on_postgres_13() {
    changes_on(13, 2);
}

#[test]
fn clocks_that_change_lose_no_row_on_postgres_18() {
    changes_on(18, 2);
}

#[test]
fn clocks_that_change_lose_no_row_on_postgres_14_to_17() {
    for major in 14..=17 {
        changes_on(major, 4);
    }
}

/// Years before the common era, beyond what Parquet's readers take, and the calendar's own ends.
#[test]
fn times_at_the_ends_of_the_calendar_have_a_chunk() {
    for major in 13..=18 {
        let database = Database::create_on(major, "time_ends");
        database.execute(
            "CREATE TABLE ages (id int GENERATED ALWAYS AS IDENTITY, at timestamptz);
             INSERT INTO ages (at) VALUES (NULL), ('infinity'), ('-infinity'),
               ('4714-11-24 00:00 BC UTC'), ('0001-01-01 00:00:00 BC UTC'), ('0001-01-01 00:00 UTC'),
               ('0099-12-31 23:59:59.999999 UTC'), ('0100-01-01 00:00 UTC'), ('1969-12-31 23:59:59.9 UTC'),
               ('9999-12-31 23:59:59.999999 UTC'), ('10000-01-01 00:00 UTC'),
               ('294276-12-31 23:59:59.999999 UTC');
             CREATE INDEX ON ages (at);
             CREATE TABLE never (id int, at timestamptz);
             INSERT INTO never VALUES (1, 'infinity'), (2, NULL), (3, '-infinity');
             CREATE INDEX ON never (at);
             CREATE TABLE nothing (id int, at timestamptz NOT NULL PRIMARY KEY);
             CREATE DOMAIN instant AS timestamp NOT NULL; CREATE DOMAIN moment AS instant;
             CREATE TABLE plain (id int GENERATED ALWAYS AS IDENTITY, at moment);
             INSERT INTO plain (at) SELECT timestamp '2016-02-28 22:00' + i * interval '7 minutes'
               FROM generate_series(1, 500) i;
             INSERT INTO plain (at) VALUES ('-infinity'), ('infinity');
             CREATE INDEX ON plain (at);
             CREATE TABLE days (id int GENERATED ALWAYS AS IDENTITY, at date);
             INSERT INTO days (at) SELECT date '2019-12-15' + i FROM generate_series(1, 100) i;
             INSERT INTO days (at) VALUES ('infinity'), ('-infinity'), (NULL);
             CREATE INDEX ON days (at);
             CREATE TABLE far_days (id int GENERATED ALWAYS AS IDENTITY, at date);
             INSERT INTO far_days (at) VALUES ('4714-11-24 BC'), ('0001-01-01'), ('9999-12-31'),
               ('10000-01-01'), ('5874897-12-31');
             CREATE INDEX ON far_days (at)",
        );
        let century = "CASE WHEN extract(year FROM l) BETWEEN 100 AND 9999
            THEN lpad((extract(year FROM l)::int / 100 * 100)::text, 4, '0') END";
        for zone in [None, Some("Asia/Tokyo"), Some("America/New_York")] {
            let mut cut = Cut::of("ages", "100 years");
            cut.zone = zone;
            // A zone's own first and last hours are another century's.
            cut.hive = zone.is_none();
            assert!(partitions(&database, &cut, century) > 3);
            for table in ["never", "nothing"] {
                let mut cut = Cut::of(table, "1 day");
                cut.zone = zone;
                partitions(&database, &cut, "'none'");
            }
        }
        partitions(&database, &Cut::of("far_days", "100 years"), century);
        for (table, every) in [
            ("plain", "1 hour"),
            ("plain", "1 day"),
            ("days", "1 week"),
            ("days", "1 month"),
        ] {
            let (_, label) = FOLDERS.iter().find(|(known, _)| *known == every).unwrap();
            assert!(
                partitions(&database, &Cut::of(table, every), label) > 3,
                "{table} {every}"
            );
        }
    }
}

/// Large intervals are cut once more by the histogram, in the same folder.
#[test]
fn a_full_day_is_cut_further_in_its_own_folder() {
    let database = Database::create("time_full");
    database.execute(
        "CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY, at timestamptz NOT NULL);
         INSERT INTO t (at) SELECT timestamptz '2024-05-01 00:00+00' + i * interval '20 minutes'
           FROM generate_series(0, 499) i;
         INSERT INTO t (at) SELECT timestamptz '2024-05-03 12:00+00' + i * interval '3 seconds'
           FROM generate_series(1, 9500) i;
         CREATE INDEX ON t (at); ANALYZE t",
    );
    let mut cut = Cut::of("t", "1 day");
    cut.chunk_rows = Some(1000);
    assert!(partitions(&database, &cut, FOLDERS[0].1) > 12);
    let plan = cut.plan(&database).unwrap();
    let of_day =
        |chunk: &&pgsluice::ChunkPlan| chunk.chunk.folder.as_deref() == Some("at_date=2024-05-03");
    let session = database.session();
    let rows: Vec<usize> = plan
        .chunks
        .iter()
        .filter(of_day)
        .map(|chunk| session.query_text(&chunk.sql).len())
        .collect();
    assert!(
        rows.len() >= 8 && rows.iter().all(|rows| *rows < 2500),
        "{rows:?}"
    );
}

#[track_caller]
fn refused(database: &Database, cut: &Cut<'_>, said: &str) {
    let error = cut.plan(database).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    let advice = error.advice().unwrap_or_default();
    assert!(
        error.to_string().contains(said) && !advice.is_empty(),
        "{error} / {advice}"
    );
}

#[test]
fn what_cannot_be_cut_by_time_is_said_before_anything_is_read() {
    let database = Database::create("time_refused");
    database.execute(
        "CREATE TABLE t (id int, at timestamptz, plain timestamp, day date, \"AT_DATE\" text);
         INSERT INTO t SELECT 1, now(), now(), now(); CREATE INDEX ON t (at);
         CREATE INDEX ON t (plain); CREATE INDEX ON t (day);
         CREATE TABLE bare (at timestamptz, v text);
         INSERT INTO bare SELECT now() + i * interval '1 hour', repeat('x', 1900)
           FROM generate_series(1, 6000) i;
         CREATE TABLE far (id int, at timestamptz); CREATE INDEX ON far (at);
         INSERT INTO far VALUES (1, '2020-01-01'), (2, '9999-12-31')",
    );
    let cut = |column, every, zone, hive| Cut {
        column,
        zone,
        hive,
        ..Cut::of("t", every)
    };
    refused(
        &database,
        &cut("gone", "1 day", None, false),
        "no such column",
    );
    refused(
        &database,
        &cut("id", "1 day", None, false),
        "neither a date nor a timestamp",
    );
    refused(&database, &cut("day", "1 hour", None, false), "no hours");
    refused(
        &database,
        &cut("at", "1 day", Some("Mars/Olympus"), false),
        "Mars/Olympus",
    );
    refused(
        &database,
        &cut("at", "1 day", Some("UTC+3"), false),
        "UTC+3",
    );
    refused(
        &database,
        &cut("plain", "1 day", Some("UTC"), false),
        "without time zone",
    );
    refused(
        &database,
        &cut("day", "1 day", Some("UTC"), false),
        "without time zone",
    );
    refused(&database, &cut("at", "1 day", None, true), "AT_DATE");
    refused(
        &database,
        &cut("at", "40 minutes", None, true),
        "hours of a day",
    );
    let mut bare = Cut::of("bare", "1 day");
    bare.hive = false;
    refused(&database, &bare, "never analyzed");
    refused(&database, &Cut::of("far", "1 day"), "intervals of 1 day");
    // In folders the ends must be exact, so they are read; and the lack of an index is a risk.
    bare.hive = true;
    let told = |cut: &Cut<'_>| cut.plan(&database).unwrap().plan.relations.remove(0);
    let relation = told(&bare);
    assert!(relation.reason.contains("scan"), "{}", relation.reason);
    assert!(
        relation.risks[0].contains("no index"),
        "{:?}",
        relation.risks
    );
    database.execute("ANALYZE bare");
    bare.hive = false;
    assert!(told(&bare).reason.contains("statistics"));
}
