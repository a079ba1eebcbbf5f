//! Arrays: of every kind of element, empty, with nulls, with bounds and dimensions of their own.

use super::composites::{PAIR, PAIR_SETUP};
use super::geometry::POINT;
use super::ranges::INT_RANGE;
use super::shape::{
    BYTES, DATE, DECIMAL, FLOAT4, FLOAT8, OID, PLAIN_TEXT, Shape, TEXT, TIMESTAMP, TIMESTAMPTZ,
};
use super::texts::MOOD;
use super::times::INTERVAL;
use super::{Need, PLAIN, TypeCase};

/// Forms of arrays, of numbers from -3 to 4: each case casts them to its own element type.
#[rustfmt::skip]
const FORMS: &[&str] = &[
    "{}", "{NULL}", "{NULL,NULL,NULL}", "{1}", "{0}", "{1,2,3}", "{1,NULL,3}", "{NULL,1}", "{1,NULL}",
    "{1,1,1,1,1,1,1,1}", "{1,2,3,4,1,2,3,4,1}", "{NULL,NULL,NULL,NULL,NULL,NULL,NULL,1}",
    "{NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,1}", "[1:1]={1}", "[0:0]={1}", "[2:3]={1,2}", "[-1:1]={1,2,3}",
    "[0:1]={NULL,NULL}", "{{1}}", "{{1,2},{3,4}}", "{{1},{2}}", "{{1,2}}", "{{NULL,1}}", "[1:1][1:1]={{1}}",
    "[0:0][5:5]={{1}}", "{{{1},{2}},{{3},{4}}}", "{{{{{{1}}}}}}", "{{{1}}}", "[2147483646:2147483646]={1}",
    "[-2147483648:-2147483648]={1}",
];

/// The plain case: its forms are those of numbers.
const fn numbers(
    name: &'static str,
    sql_type: &'static str,
    random: &'static str,
    shape: Shape,
) -> TypeCase {
    TypeCase {
        name,
        sql_type,
        edges: FORMS,
        random,
        shape,
        ..PLAIN
    }
}

/// Elements that no number is; the edge values are arrays cut out of these.
const fn elements(
    name: &'static str,
    sql_type: &'static str,
    queries: &'static [&'static str],
    random: &'static str,
    shape: Shape,
) -> TypeCase {
    let edges = &["{}", "{NULL}", "{NULL,NULL}"];
    TypeCase {
        name,
        sql_type,
        edges,
        queries,
        random,
        shape,
        ..PLAIN
    }
}

pub(super) const CASES: &[TypeCase] = &[
    TypeCase {
        queries: &[
            "SELECT (ARRAY[1,NULL,3])[1:1]",
            "SELECT (ARRAY[[1,NULL],[3,4]])[2:2][1:2]",
            "SELECT array_remove(ARRAY[1,NULL,3], NULL)",
            "SELECT array_fill(7, ARRAY[0])",
            "SELECT ARRAY(SELECT generate_series(1, 3000))",
            "SELECT ARRAY(SELECT CASE WHEN n % 3 > 0 THEN n END FROM generate_series(1, 2500) n)",
            "SELECT ARRAY[2147483647, -2147483648, NULL, 0]",
        ],
        ..numbers(
            "int4_array",
            "int4[]",
            "ARRAY(SELECT rnd.maybe(rnd.bits(32)::int) FROM generate_series(1, i % 8))",
            Shape::List(&PLAIN_TEXT),
        )
    },
    numbers(
        "int2_array",
        "int2[]",
        "ARRAY(SELECT rnd.maybe(rnd.bits(16)::int2) FROM generate_series(1, i % 8))",
        Shape::List(&PLAIN_TEXT),
    ),
    numbers(
        "int8_array",
        "int8[]",
        "ARRAY(SELECT rnd.maybe(rnd.bits(64)) FROM generate_series(1, i % 8))",
        Shape::List(&PLAIN_TEXT),
    ),
    TypeCase {
        queries: &["SELECT ARRAY['NaN', '-0', 'Infinity', NULL, '1e-45']::float4[]"],
        ..numbers(
            "float4_array",
            "float4[]",
            "ARRAY(SELECT rnd.maybe(rnd.f4()) FROM generate_series(1, i % 8))",
            Shape::List(&FLOAT4),
        )
    },
    TypeCase {
        queries: &["SELECT ARRAY['NaN', '-0', 'Infinity', NULL, '5e-324']::float8[]"],
        ..numbers(
            "float8_array",
            "float8[]",
            "ARRAY(SELECT rnd.maybe(rnd.f()) FROM generate_series(1, i % 8))",
            Shape::List(&FLOAT8),
        )
    },
    TypeCase {
        queries: &[
            "SELECT ARRAY['NaN', 1.50, 1.5, NULL, 0.000, 1e100]::numeric[]",
            "SELECT ARRAY[('1e' || n)::numeric, ('1e-' || n)::numeric] FROM generate_series(0, 20) n",
        ],
        ..numbers(
            "numeric_array",
            "numeric[]",
            "ARRAY(SELECT rnd.maybe(rnd.n(40, 9)) FROM generate_series(1, i % 8))",
            Shape::List(&PLAIN_TEXT),
        )
    },
    TypeCase {
        queries: &[
            "SELECT ARRAY['NaN', 1.50]::numeric[]",
            "SELECT ARRAY['99999999.99', -0.01]::numeric[]",
        ],
        ..numbers(
            "decimal_array",
            "numeric(10,2)[]",
            "ARRAY(SELECT rnd.maybe(rnd.n(10, 2)) FROM generate_series(1, i % 8))",
            Shape::List(&DECIMAL),
        )
    },
    numbers(
        "money_array",
        "money[]",
        "ARRAY(SELECT rnd.maybe(rnd.n(15, 2)::money) FROM generate_series(1, i % 8))",
        Shape::List(&Shape::Scalar {
            shown: "($)::numeric::text",
            bad: "",
        }),
    ),
    numbers(
        "text_array",
        "text[]",
        "ARRAY(SELECT rnd.maybe(rnd.t(9)) FROM generate_series(1, i % 8))",
        Shape::List(&TEXT),
    ),
    TypeCase {
        edges: &[
            "{}",
            "{NULL}",
            "{\"NULL\"}",
            "{\"\"}",
            "{\" \"}",
            "{\"{\"}",
            "{\"}\"}",
            "{\",\"}",
            "{\"\\\"\"}",
            "{\"\\\\\"}",
            "{a,b}",
            "{\"é\",\"漢字\",\"🦀\"}",
            "{\"\\N\"}",
            "{\"a\nb\"}",
            "{\"\t\"}",
            "{\"a  \"}",
            "{a,NULL,\"\"}",
            "{\"{}\"}",
            "{{a,b},{c,d}}",
            "[0:1]={a,b}",
            "[5:5]={\"\"}",
            "{\"'\"}",
            "{\"''\"}",
            "{null}",
            "{\"null\"}",
            "{nUlL}",
            "{\"[1:1]={1}\"}",
            "{\"=\"}",
            "{\" a\",\"b \"}",
            "{\"\u{1}\"}",
        ],
        ..numbers(
            "varchar_array",
            "varchar(9)[]",
            "ARRAY(SELECT rnd.maybe(rnd.t(9)::varchar) FROM generate_series(1, i % 8))",
            Shape::List(&TEXT),
        )
    },
    numbers(
        "bpchar_array",
        "char(3)[]",
        "ARRAY(SELECT rnd.maybe(rnd.t(3)::bpchar) FROM generate_series(1, i % 8))",
        Shape::List(&TEXT),
    ),
    numbers(
        "name_array",
        "name[]",
        "ARRAY(SELECT rnd.maybe(rnd.t(9)::name) FROM generate_series(1, i % 8))",
        Shape::List(&TEXT),
    ),
    numbers(
        "bytea_array",
        "bytea[]",
        "ARRAY(SELECT rnd.maybe(rnd.b(9)) FROM generate_series(1, i % 8))",
        Shape::List(&BYTES),
    ),
    numbers(
        "json_array",
        "json[]",
        "ARRAY(SELECT rnd.maybe(to_json(rnd.t(9))) FROM generate_series(1, i % 8))",
        Shape::List(&TEXT),
    ),
    numbers(
        "jsonb_array",
        "jsonb[]",
        "ARRAY(SELECT rnd.maybe(to_jsonb(rnd.t(9))) FROM generate_series(1, i % 8))",
        Shape::List(&TEXT),
    ),
    TypeCase {
        edges: &[
            "{}",
            "{NULL}",
            "{t}",
            "{f}",
            "{t,f,NULL}",
            "[0:1]={t,f}",
            "{{t,f},{f,t}}",
            "{t,t,t,t,t,t,t,t,t}",
            "{f,f,f,f,f,f,f,f,t}",
            "{NULL,t,NULL,f}",
        ],
        queries: &[
            "SELECT ARRAY(SELECT rnd.maybe(n % 3 = 0) FROM generate_series(1, k) n) FROM generate_series(1, 25) k",
        ],
        ..numbers(
            "bool_array",
            "bool[]",
            "ARRAY(SELECT rnd.maybe(random() < 0.5) FROM generate_series(1, i % 8))",
            Shape::List(&PLAIN_TEXT),
        )
    },
    numbers(
        "oid_array",
        "oid[]",
        "ARRAY(SELECT rnd.maybe(rnd.i(0, 4294967295)::oid) FROM generate_series(1, i % 8))",
        Shape::List(&OID),
    ),
    elements(
        "date_array",
        "date[]",
        &[
            "SELECT ARRAY['infinity', '2000-01-01']::date[]",
            "SELECT ARRAY['4713-01-01 BC', NULL, '5874897-12-31']::date[]",
            "SELECT ARRAY[NULL, date '1970-01-01' + n] FROM generate_series(-15, 15) n",
        ],
        "ARRAY(SELECT rnd.maybe(date '1970-01-01' + rnd.i(-9999, 9999)::int) FROM generate_series(1, i % 8))",
        Shape::List(&DATE),
    ),
    elements(
        "timestamp_array",
        "timestamp[]",
        &[
            "SELECT ARRAY['2000-01-01', '-infinity']::timestamp[]",
            "SELECT (ARRAY['infinity', NULL]::timestamp[])[1:1]",
            "SELECT ARRAY['294276-12-31 23:59:59.999999']::timestamp[]",
            "SELECT ARRAY[NULL, timestamp '1970-01-01' + n * interval '1 microsecond'] FROM generate_series(-15, 15) n",
        ],
        "ARRAY(SELECT rnd.maybe(rnd.ts()) FROM generate_series(1, i % 8))",
        Shape::List(&TIMESTAMP),
    ),
    elements(
        "timestamptz_array",
        "timestamptz[]",
        &[
            "SELECT ARRAY['infinity']::timestamptz[]",
            "SELECT ARRAY[[now(), NULL]]",
            "SELECT ARRAY[NULL, timestamptz '1970-01-01 00:00+00' + n * interval '1 microsecond'] FROM generate_series(-15, 15) n",
        ],
        "ARRAY(SELECT rnd.maybe(rnd.ts() AT TIME ZONE 'UTC') FROM generate_series(1, i % 8))",
        Shape::List(&TIMESTAMPTZ),
    ),
    elements(
        "interval_array",
        "interval[]",
        &[
            "SELECT ARRAY[n * interval '1 mon -2 days 00:00:00.5', NULL, '0'] FROM generate_series(-15, 15) n",
        ],
        "ARRAY(SELECT rnd.maybe(rnd.interval()) FROM generate_series(1, i % 8))",
        Shape::List(&INTERVAL),
    ),
    elements(
        "uuid_array",
        "uuid[]",
        &[
            "SELECT ARRAY[md5(n::text)::uuid, NULL] FROM generate_series(1, 30) n",
            "SELECT ARRAY[[md5('')::uuid]]",
        ],
        "ARRAY(SELECT rnd.maybe(md5(random()::text)::uuid) FROM generate_series(1, i % 8))",
        Shape::List(&TEXT),
    ),
    elements(
        "inet_array",
        "inet[]",
        &[
            "SELECT ARRAY[inet '1.2.3.4' + n, NULL, '::1', '10.0.0.1/8'] FROM generate_series(1, 30) n",
        ],
        "ARRAY(SELECT rnd.maybe(inet '0.0.0.0' + rnd.i(0, 4294967295)) FROM generate_series(1, i % 8))",
        Shape::List(&TEXT),
    ),
    elements(
        "varbit_array",
        "varbit[]",
        &["SELECT ARRAY[n::bit(7)::varbit, B'', NULL] FROM generate_series(1, 30) n"],
        "ARRAY(SELECT rnd.maybe(rnd.bits(9)::bit(9)::varbit) FROM generate_series(1, i % 8))",
        Shape::List(&TEXT),
    ),
    elements(
        "point_array",
        "point[]",
        &["SELECT ARRAY[point(a.x, b.x), NULL] FROM rnd.numbers a, rnd.numbers b"],
        "ARRAY(SELECT rnd.maybe(point(rnd.f(), rnd.f())) FROM generate_series(1, i % 8))",
        Shape::List(&POINT),
    ),
    elements(
        "range_array",
        "int4range[]",
        &[
            "SELECT ARRAY[int4range(n, n + n % 3), NULL, 'empty', int4range(NULL, n)] FROM generate_series(1, 30) n",
        ],
        "ARRAY(SELECT rnd.maybe(int4range(0, rnd.i(0, 99)::int)) FROM generate_series(1, i % 8))",
        Shape::List(&INT_RANGE),
    ),
    TypeCase {
        setup: MOOD,
        ..elements(
            "enum_array",
            "mood[]",
            &[
                "SELECT (enum_range(NULL::mood))[1:n % 11] FROM generate_series(1, 30) n",
                "SELECT ARRAY[['', 'late']]::mood[]",
            ],
            "ARRAY(SELECT rnd.maybe(rnd.pick(enum_range(NULL::mood))) FROM generate_series(1, i % 8))",
            Shape::List(&TEXT),
        )
    },
    TypeCase {
        setup: PAIR_SETUP,
        ..elements(
            "composite_array",
            "pair[]",
            &[
                "SELECT ARRAY[(n, 'x' || n)::pair, NULL, (NULL, NULL)::pair] FROM generate_series(1, 30) n",
            ],
            "ARRAY(SELECT rnd.maybe((rnd.bits(32), rnd.t(5))::pair) FROM generate_series(1, i % 8))",
            Shape::List(&PAIR),
        )
    },
    TypeCase {
        setup: "CREATE DOMAIN small AS int CHECK (VALUE BETWEEN -9 AND 9)",
        ..numbers(
            "domain_array",
            "small[]",
            "ARRAY(SELECT rnd.maybe(rnd.i(-9, 9)::int)::small FROM generate_series(1, i % 8))",
            Shape::List(&PLAIN_TEXT),
        )
    },
    TypeCase {
        setup: "CREATE DOMAIN ints AS int[] CHECK (array_length(VALUE, 1) < 99999)",
        ..numbers(
            "array_domain",
            "ints",
            "ARRAY(SELECT rnd.maybe(rnd.bits(32)::int) FROM generate_series(1, i % 8))",
            Shape::List(&PLAIN_TEXT),
        )
    },
    TypeCase {
        setup: "CREATE DOMAIN some_ints AS int[]",
        ..elements(
            "array_domain_array",
            "some_ints[]",
            &[
                "SELECT format('{\"{%s,NULL}\",NULL,\"{}\"}', n)::some_ints[] FROM generate_series(1, 30) n",
                "SELECT '{\"[0:0]={1}\"}'::some_ints[]",
            ],
            "format('{\"{%s,%s}\"}', i, rnd.bits(32))::some_ints[]",
            Shape::List(&Shape::List(&PLAIN_TEXT)),
        )
    },
    numbers(
        "tsvector_array",
        "tsvector[]",
        "ARRAY(SELECT rnd.maybe(to_tsvector('simple', rnd.t(20))) FROM generate_series(1, i % 8))",
        Shape::Cast,
    ),
    TypeCase {
        needs: &[Need::Xml],
        ..numbers(
            "xml_array",
            "xml[]",
            "ARRAY(SELECT xmlelement(name a, rnd.word()) FROM generate_series(1, i % 8))",
            Shape::Cast,
        )
    },
    elements(
        "aclitem_array",
        "aclitem[]",
        &["SELECT ARRAY[makeaclitem(10, 10, 'SELECT', n % 2 = 0)] FROM generate_series(1, 30) n"],
        "ARRAY(SELECT makeaclitem(10, 10, 'INSERT', random() < 0.5) FROM generate_series(1, i % 8))",
        Shape::Cast,
    ),
];
