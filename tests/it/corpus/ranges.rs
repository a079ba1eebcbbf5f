//! Ranges and multiranges: every flag, infinite and missing bounds.

use super::shape::{DATE, FLOAT8, PLAIN_TEXT, Shape, TEXT, TIMESTAMP, TIMESTAMPTZ};
use super::{Need, PLAIN, TypeCase};

/// The fields of a range, given the shape of its bounds.
macro_rules! range {
    ($bound:expr) => {
        Shape::Struct(&[
            ("lower", "lower($)", &$bound),
            ("upper", "upper($)", &$bound),
            ("lower_inc", "lower_inc($)", &PLAIN_TEXT),
            ("upper_inc", "upper_inc($)", &PLAIN_TEXT),
            ("empty", "isempty($)", &PLAIN_TEXT),
        ])
    };
}

const UNNESTED: &str = "ARRAY(SELECT unnest($))";

pub(super) const INT_RANGE: Shape = range!(PLAIN_TEXT);
const DATE_RANGE: Shape = range!(DATE);
const TIMESTAMP_RANGE: Shape = range!(TIMESTAMP);
const TIMESTAMPTZ_RANGE: Shape = range!(TIMESTAMPTZ);
const FLOAT_RANGE: Shape = range!(FLOAT8);
const TEXT_RANGE: Shape = range!(TEXT);

const fn range(
    name: &'static str,
    queries: &'static [&'static str],
    random: &'static str,
    shape: Shape,
) -> TypeCase {
    TypeCase {
        name,
        sql_type: name,
        edges: &["empty", "(,)", "[,]"],
        queries,
        random,
        shape,
        ..PLAIN
    }
}

const fn multirange(
    name: &'static str,
    queries: &'static [&'static str],
    random: &'static str,
    shape: Shape,
) -> TypeCase {
    TypeCase {
        needs: &[Need::Since(14)],
        edges: &["{}", "{(,)}"],
        ..range(name, queries, random, shape)
    }
}

pub(super) const CASES: &[TypeCase] = &[
    range(
        "int4range",
        &[
            "SELECT int4range(l, u, b) FROM unnest(ARRAY[NULL, -2147483648, 0, 5]) l, unnest(ARRAY[NULL, 5, 2147483646]) u, \
           unnest(ARRAY['[]', '[)', '(]', '()']) b",
        ],
        "int4range(rnd.i(-999, 0)::int, rnd.maybe(rnd.i(0, 999)::int), (ARRAY['[]', '[)', '(]', '()'])[1 + i % 4])",
        INT_RANGE,
    ),
    range(
        "int8range",
        &[
            "SELECT int8range(l, u, b) FROM unnest(ARRAY[NULL, -9223372036854775808, 0, 5]) l, \
           unnest(ARRAY[NULL, 5, 9223372036854775806]) u, unnest(ARRAY['[]', '[)', '(]', '()']) b",
        ],
        "int8range(rnd.maybe(rnd.i(-999, 0)), rnd.i(0, 999), (ARRAY['[]', '[)', '(]', '()'])[1 + i % 4])",
        INT_RANGE,
    ),
    range(
        "numrange",
        &[
            "SELECT numrange(l, u, b) FROM unnest(ARRAY[NULL, -1e50, 0, 1.50]::numeric[]) l, \
           unnest(ARRAY[NULL, 1.5, 'NaN']::numeric[]) u, unnest(ARRAY['[]', '[)', '(]', '()']) b",
        ],
        "numrange(-abs(rnd.n(20, 5)), rnd.maybe(abs(rnd.n(30, 9))), (ARRAY['[]', '[)', '(]', '()'])[1 + i % 4])",
        INT_RANGE,
    ),
    range(
        "daterange",
        &[
            "SELECT daterange(l, u, b) FROM unnest(ARRAY[NULL, '-infinity', '4713-01-01 BC', '2000-01-01']::date[]) l, \
           unnest(ARRAY[NULL, 'infinity', '2000-01-01', '5874897-12-30']::date[]) u, unnest(ARRAY['[]', '[)', '(]', '()']) b",
        ],
        "daterange(date '2000-01-01' - rnd.i(0, 9999)::int, rnd.maybe(date '2000-01-01' + rnd.i(0, 9999)::int))",
        DATE_RANGE,
    ),
    range(
        "tsrange",
        &[
            "SELECT tsrange(l, u, b) FROM unnest(ARRAY[NULL, '-infinity', '4713-01-01 BC', '2000-01-01']::timestamp[]) l, \
           unnest(ARRAY[NULL, 'infinity', '2000-01-01', '294276-12-31 23:59:59.999999']::timestamp[]) u, \
           unnest(ARRAY['[]', '[)', '(]', '()']) b",
        ],
        "(SELECT tsrange(least(a, b), rnd.maybe(greatest(a, b)), (ARRAY['[]', '[)', '(]', '()'])[1 + i % 4]) \
          FROM (SELECT rnd.ts() a, rnd.ts() b, i OFFSET 0) q)",
        TIMESTAMP_RANGE,
    ),
    range(
        "tstzrange",
        &[
            "SELECT tstzrange(l, u, b) FROM unnest(ARRAY[NULL, '-infinity', '4713-01-01 00:00+00 BC', '2000-01-01 00:00+00']::timestamptz[]) l, \
           unnest(ARRAY[NULL, 'infinity', '2000-01-01 00:00+00', '294276-12-31 23:59:59.999999+00']::timestamptz[]) u, \
           unnest(ARRAY['[]', '[)', '(]', '()']) b",
        ],
        "tstzrange(timestamptz '2000-01-01 00:00+00' - rnd.i(0, 9999) * interval '1.5 s', timestamptz '2000-01-01 00:00+00' + rnd.i(0, 9999) * interval '1.5 s')",
        TIMESTAMPTZ_RANGE,
    ),
    TypeCase {
        setup: "CREATE TYPE floatrange AS RANGE (subtype = float8)",
        ..range(
            "floatrange",
            &[
                "SELECT floatrange(l, u, b) FROM unnest(ARRAY[NULL, '-Infinity', -0, 0.1]::float8[]) l, \
               unnest(ARRAY[NULL, 'Infinity', 'NaN', 1e300]::float8[]) u, unnest(ARRAY['[]', '[)', '(]', '()']) b",
            ],
            "floatrange(-abs(rnd.f()), abs(rnd.f()), (ARRAY['[]', '[)', '(]', '()'])[1 + i % 4])",
            FLOAT_RANGE,
        )
    },
    TypeCase {
        setup: "CREATE TYPE textrange AS RANGE (subtype = text, collation = \"C\")",
        ..range(
            "textrange",
            &[
                "SELECT textrange(l, u, b) FROM unnest(ARRAY[NULL, '', 'a,\"b', '(']) l, \
               unnest(ARRAY[NULL, 'é', '漢字', 'z ']) u, unnest(ARRAY['[]', '[)', '(]', '()']) b",
            ],
            "textrange(NULL, rnd.t(9), (ARRAY['[]', '[)', '(]', '()'])[1 + i % 4])",
            TEXT_RANGE,
        )
    },
    TypeCase {
        setup: "CREATE TYPE vectorrange AS RANGE (subtype = tsvector)",
        ..range(
            "vectorrange",
            &[
                "SELECT vectorrange(l, u, b) FROM unnest(ARRAY[NULL, '', 'a', 'a:1A']::tsvector[]) l, \
               unnest(ARRAY[NULL, 'x y', 'z:9']::tsvector[]) u, unnest(ARRAY['[]', '[)', '(]', '()']) b",
            ],
            "vectorrange('', to_tsvector('simple', rnd.t(9)))",
            Shape::Cast,
        )
    },
    multirange(
        "int4multirange",
        &[
            "SELECT int4multirange(int4range(NULL, n), int4range(n + 2, n + 5), int4range(n * 9 + 50, k)) \
           FROM generate_series(1, 15) n, unnest(ARRAY[NULL, 1000]) k",
        ],
        "(SELECT range_agg(int4range(a, a + rnd.i(0, 5)::int)) FROM (SELECT rnd.i(0, 999)::int FROM generate_series(0, i % 6)) q(a))",
        Shape::Items {
            array: UNNESTED,
            item: &INT_RANGE,
        },
    ),
    multirange(
        "nummultirange",
        &[
            "SELECT nummultirange(numrange(NULL, n, '(]'), numrange(n + 2, n + 5.50, '[]'), numrange(n * 9 + 50, k, '()')) \
           FROM generate_series(1, 15) n, unnest(ARRAY[NULL, 1000.000]) k",
        ],
        "nummultirange(numrange(-abs(rnd.n(9, 2)), 0, '()'), numrange(1, 1 + abs(rnd.n(9, 4)), '[]'))",
        Shape::Items {
            array: UNNESTED,
            item: &INT_RANGE,
        },
    ),
    multirange(
        "datemultirange",
        &[
            "SELECT datemultirange(daterange(l, date '2000-01-01' + n), daterange(date '2100-01-01' + n, u)) \
           FROM generate_series(1, 8) n, unnest(ARRAY[NULL, '-infinity']::date[]) l, unnest(ARRAY[NULL, 'infinity']::date[]) u",
        ],
        "datemultirange(daterange(NULL, date '2000-01-01' + rnd.i(0, 99)::int), daterange(date '2001-01-01', NULL))",
        Shape::Items {
            array: UNNESTED,
            item: &DATE_RANGE,
        },
    ),
    multirange(
        "tstzmultirange",
        &[
            "SELECT tstzmultirange(tstzrange(l, ts + n * interval '1 us'), tstzrange(ts + n * interval '1 year', u)) \
           FROM generate_series(1, 8) n, (VALUES (timestamptz '2000-01-01 00:00+00')) t(ts), \
           unnest(ARRAY[NULL, '-infinity']::timestamptz[]) l, unnest(ARRAY[NULL, '294276-12-31 23:59:59+00']::timestamptz[]) u",
        ],
        "tstzmultirange(tstzrange(NULL, '2000-01-01 00:00+00'), tstzrange('2000-01-02 00:00+00', timestamptz '2001-01-01 00:00+00' + rnd.i(0, 99) * interval '1 us'))",
        Shape::Items {
            array: UNNESTED,
            item: &TIMESTAMPTZ_RANGE,
        },
    ),
];
