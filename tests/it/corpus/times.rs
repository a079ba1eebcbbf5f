//! Dates, times, instants and intervals.

use super::shape::{DATE, FLOAT8, PLAIN_TEXT, Shape, TIME, TIMESTAMP, TIMESTAMPTZ};
use super::{PLAIN, TypeCase};

/// Microseconds, then the offset in seconds west of UTC, as on the wire.
const TIMETZ: Shape = Shape::Struct(&[
    (
        "time_us",
        "('x' || encode(substr(timetz_send($), 1, 8), 'hex'))::bit(64)::int8",
        &PLAIN_TEXT,
    ),
    (
        "offset_s",
        "(-('x' || encode(substr(timetz_send($), 9, 4), 'hex'))::bit(32)::int4)",
        &PLAIN_TEXT,
    ),
]);

pub(super) const INTERVAL: Shape = Shape::Except {
    bad: "NOT isfinite($)",
    shape: &Shape::Struct(&[
        (
            "micros",
            "('x' || encode(substr(interval_send($), 1, 8), 'hex'))::bit(64)::int8",
            &PLAIN_TEXT,
        ),
        (
            "days",
            "('x' || encode(substr(interval_send($), 9, 4), 'hex'))::bit(32)::int4",
            &PLAIN_TEXT,
        ),
        (
            "months",
            "('x' || encode(substr(interval_send($), 13, 4), 'hex'))::bit(32)::int4",
            &PLAIN_TEXT,
        ),
    ]),
};

/// Days around the ends of centuries, calendars and types.
const DAYS: &str = "SELECT date '2000-01-01' + n FROM unnest(ARRAY[-2451545, -2451544, -800000, \
    -730120, -730119, -152384, -152383, -65536, -36524, -32769, -10958, -10957, -10956, -1, 0, 1, \
    59, 60, 366, 32767, 65536, 1000000, 2921939, 2921940, 100000000, 2145031947, 2145031948]) n";

pub(super) const CASES: &[TypeCase] = &[
    TypeCase {
        name: "date",
        sql_type: "date",
        edges: &[
            "infinity",
            "-infinity",
            "4713-01-01 BC",
            "4714-11-24 BC",
            "0001-01-01",
            "0001-12-31 BC",
            "5874897-12-31",
            "1582-10-14",
            "1582-10-15",
            "2000-02-29",
            "9999-12-31",
            "10000-01-01",
        ],
        queries: &[DAYS],
        random: "date '2000-01-01' + CASE WHEN random() < 0.5 THEN rnd.i(-40000, 40000) ELSE rnd.i(-2451545, 2145031948) END::int",
        shape: DATE,
        ..PLAIN
    },
    TypeCase {
        name: "time",
        sql_type: "time",
        edges: &[
            "00:00",
            "24:00",
            "23:59:59.999999",
            "12:00",
            "00:00:00.000001",
            "23:59:60",
        ],
        queries: &[
            "SELECT time '00:00' + n * interval '1:00:00.000001' FROM generate_series(1, 30) n",
        ],
        random: "time '00:00' + rnd.i(0, 86399999999) * interval '1 microsecond'",
        shape: TIME,
        ..PLAIN
    },
    TypeCase {
        name: "time_0",
        sql_type: "time(0)",
        edges: &["00:00", "24:00", "23:59:59.999999", "12:00", "00:00:00.5"],
        queries: &["SELECT time '00:00' + n * interval '47:59.9' FROM generate_series(1, 29) n"],
        random: "time '00:00' + rnd.i(0, 86399999999) * interval '1 microsecond'",
        shape: TIME,
        ..PLAIN
    },
    TypeCase {
        name: "timetz",
        sql_type: "timetz",
        edges: &[
            "00:00+00",
            "24:00:00+15:59:59",
            "24:00:00-15:59:59",
            "00:00:00.000001+00:00:01",
            "23:59:59.999999-00:00:01",
            "01:02:03.000004-15:59",
            "12:00+14",
            "12:00-12",
            "12:34:56+05:45",
        ],
        queries: &[
            "SELECT ('12:34:56.789' || s || h || ':30')::timetz FROM generate_series(0, 14) h, unnest(ARRAY['+', '-']) s",
        ],
        random: "((time '00:00' + rnd.i(0, 86399999999) * interval '1 microsecond')::text \
                 || (ARRAY['+', '-'])[rnd.i(1, 2)] || rnd.i(0, 15) || ':' || rnd.i(10, 59) || ':' || rnd.i(10, 59))::timetz",
        shape: TIMETZ,
        ..PLAIN
    },
    TypeCase {
        name: "timestamp",
        sql_type: "timestamp",
        edges: &[
            "infinity",
            "-infinity",
            "4713-01-01 BC",
            "4714-11-24 00:00:00 BC",
            "294276-12-31 23:59:59.999999",
            "294247-01-10 04:00:54.775807",
            "294247-01-10 04:00:54.775808",
            "1969-12-31 23:59:59.999999",
            "1970-01-01",
            "2000-01-01",
            "1582-10-04 23:59:59",
            "9999-12-31 23:59:59.999999",
            "10000-01-01",
            "0001-01-01",
            "0001-12-31 23:59:59.999999 BC",
        ],
        queries: &[TIMESTAMPS],
        random: "rnd.ts()",
        shape: TIMESTAMP,
        ..PLAIN
    },
    TypeCase {
        name: "timestamptz",
        sql_type: "timestamptz",
        edges: &[
            "infinity",
            "-infinity",
            "4713-01-01 00:00+00 BC",
            "4714-11-24 00:00:00+00 BC",
            "294276-12-31 23:59:59.999999+00",
            "294247-01-10 04:00:54.775807+00",
            "294247-01-10 04:00:54.775808+00",
            "1969-12-31 23:59:59.999999+00",
            "1970-01-01 00:00+00",
            "2026-03-29 01:59:59+01",
            "2026-03-29 03:00:00+02",
            "2026-10-25 02:30+01",
            "2026-10-25 02:30+02",
        ],
        queries: &[TIMESTAMPS],
        random: "rnd.ts() AT TIME ZONE 'UTC'",
        shape: TIMESTAMPTZ,
        ..PLAIN
    },
    TypeCase {
        name: "timestamp_3",
        sql_type: "timestamp(3)",
        edges: &["infinity", "-infinity", "294276-12-31 23:59:59.999"],
        queries: &[
            TIMESTAMPS,
            "SELECT timestamp '1999-12-31 23:59:59.9995' + n * interval '1 microsecond' FROM generate_series(-9, 9) n",
        ],
        random: "rnd.ts()",
        shape: TIMESTAMP,
        ..PLAIN
    },
    TypeCase {
        name: "interval",
        sql_type: "interval",
        edges: &[
            "0",
            "1 microsecond",
            "-1 microsecond",
            "1 day",
            "-1 day",
            "1 month",
            "-1 month",
            "178000000 years",
            "-178000000 years",
            "2147483647 months",
            "-2147483648 months",
            "2147483647 days",
            "-2147483648 days",
            "1 year -2 mons 3 days 04:05:06.7",
            "24:00:00",
            "-00:00:00.000001",
            "1 mon 30 days",
            "30 days",
            "720:00:00",
            "-1 mons +1 day -24:00:00",
        ],
        newer: &[(17, &["infinity", "-infinity"])],
        queries: &[
            "SELECT make_interval(years => n, months => -n, days => n * 7, secs => n * 1.25) FROM generate_series(-10, 10) n",
        ],
        random: "rnd.interval()",
        shape: INTERVAL,
        ..PLAIN
    },
    TypeCase {
        name: "interval_day_to_second",
        sql_type: "interval day to second(3)",
        edges: &["0", "1 day 2 hours", "1.5555 seconds"],
        queries: &["SELECT n * interval '1 day 03:04:05.678' FROM generate_series(-20, 20) n"],
        random: "rnd.interval()",
        shape: INTERVAL,
        ..PLAIN
    },
    TypeCase {
        name: "epoch_domain",
        sql_type: "epoch",
        setup: "CREATE DOMAIN epoch AS float8 CHECK (VALUE <> 13)",
        queries: &["SELECT n::float8 / 7 FROM generate_series(-20, 20) n"],
        random: "rnd.f()",
        shape: FLOAT8,
        ..PLAIN
    },
];

const TIMESTAMPS: &str = "SELECT timestamp '1970-01-01' + n * interval '1 microsecond' FROM unnest(ARRAY[0, 1, -1, \
    999999, 1000000, -1000000, 86399999999, 86400000000, 2147483647000000, 2147483648000000, \
    -2147483648000000, 4294967296000000, 253402300799999999, 253402300800000000, -62135596800000000, \
    -62135596800000001, -12219292800000000, -12219292800000001, 9223372036854775, 9223372036854776, \
    9007199254740993]) n";
