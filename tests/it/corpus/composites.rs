//! Composites: nulls within, attributes dropped and added, nested, over and under arrays and
//! domains; domains of all kinds.

use super::ranges::INT_RANGE;
use super::shape::{BYTES, DECIMAL, FLOAT8, PLAIN_TEXT, Shape, TEXT, TIMESTAMPTZ};
use super::{PLAIN, TypeCase};

/// Made by whichever case comes first.
pub(super) const PAIR_SETUP: &str = "DO $$ BEGIN IF to_regtype('pair') IS NULL THEN \
    CREATE TYPE pair AS (a int, b text); END IF; END $$";
pub(super) const PAIR: Shape = Shape::Struct(&[("a", "($).a", &PLAIN_TEXT), ("b", "($).b", &TEXT)]);

/// Of `pair`, as literals.
#[rustfmt::skip]
const PAIRS: &[&str] = &[
    "(1,a)", "(,)", "(1,)", "(,a)", "(,\"\")", "(0,\" \")", "(-1,NULL)", "(2147483647,\"(\")", "(-2147483648,\")\")",
    "(1,\",\")", "(1,\"\"\"\")", "(1,\"\\\\\")", "(1,é)", "(1,漢字)", "(1,🦀)", "(1,\"a\nb\")", "(1,\"\t\")", "(1,')",
    "(1,'')", "(1,\\N)", "(1,{})", "(1,\"{a,b}\")", "(1, a )", "(1,\"(2,b)\")", "(3,xyz)", "(4,null)", "(5,\" a\")",
    "(6,%s)", "(7,$$)", "(8,\u{1})",
];

pub(super) const CASES: &[TypeCase] = &[
    TypeCase {
        name: "composite",
        sql_type: "pair",
        setup: PAIR_SETUP,
        edges: PAIRS,
        random: "(rnd.maybe(rnd.bits(32)::int), rnd.maybe(rnd.t(9)))::pair",
        shape: PAIR,
        ..PLAIN
    },
    TypeCase {
        name: "composite_one",
        sql_type: "one",
        setup: "CREATE TYPE one AS (\"The One\" bool)",
        edges: &["(t)", "(f)", "()"],
        few: "three values",
        random: "ROW(rnd.maybe(random() < 0.5))::one",
        shape: Shape::Struct(&[("The One", "($).\"The One\"", &PLAIN_TEXT)]),
        ..PLAIN
    },
    TypeCase {
        name: "composite_dropped",
        sql_type: "dropped",
        setup: "CREATE TYPE dropped AS (a int, gone text, b text, lost float8); \
                ALTER TYPE dropped DROP ATTRIBUTE gone; ALTER TYPE dropped DROP ATTRIBUTE lost",
        edges: PAIRS,
        random: "(rnd.maybe(rnd.bits(32)::int), rnd.maybe(rnd.t(9)))::dropped",
        shape: PAIR,
        ..PLAIN
    },
    TypeCase {
        name: "composite_altered",
        sql_type: "altered",
        setup: "CREATE TYPE altered AS (a int, b text)",
        edges: PAIRS,
        random: "(rnd.maybe(rnd.bits(32)::int), rnd.maybe(rnd.t(9)))::altered",
        after: "ALTER TYPE altered DROP ATTRIBUTE a; ALTER TYPE altered ADD ATTRIBUTE c int[]; \
                INSERT INTO corpus.composite_altered VALUES (9000001, ROW('late', '{7}')::altered)",
        shape: Shape::Struct(&[
            ("b", "($).b", &TEXT),
            ("c", "($).c", &Shape::List(&PLAIN_TEXT)),
        ]),
        ..PLAIN
    },
    TypeCase {
        name: "composite_table_row",
        sql_type: "some_table",
        setup: "CREATE TABLE some_table (a int, b text NOT NULL DEFAULT '')",
        edges: PAIRS,
        random: "(rnd.maybe(rnd.bits(32)::int), rnd.maybe(rnd.t(9)))::some_table",
        shape: PAIR,
        ..PLAIN
    },
    TypeCase {
        name: "composite_wide",
        sql_type: "wide",
        setup: "CREATE TYPE wide AS (f float8, n numeric, d numeric(10,2), t timestamptz, x bytea, r int4range)",
        edges: &[
            "(,,,,,)",
            "(NaN,NaN,1.5,,,)",
            "(,,NaN,,,)",
            "(,,,infinity,,)",
            "(-0,1.50,-0.01,\"1970-01-01 00:00+00\",\"\\\\x00\",empty)",
        ],
        queries: &[
            "SELECT (n, n / 3.0, n, timestamptz '1970-01-01 00:00+00' + n * interval '1 us', decode(lpad(to_hex(n), 2, '0'), 'hex'), int4range(NULL, n))::wide FROM generate_series(1, 30) n",
        ],
        random: "(rnd.f(), rnd.n(30, 5), rnd.n(10, 2), rnd.ts() AT TIME ZONE 'UTC', rnd.b(5), int4range(0, rnd.i(0, 9)::int))::wide",
        shape: Shape::Struct(&[
            ("f", "($).f", &FLOAT8),
            ("n", "($).n", &PLAIN_TEXT),
            ("d", "($).d", &DECIMAL),
            ("t", "($).t", &TIMESTAMPTZ),
            ("x", "($).x", &BYTES),
            ("r", "($).r", &INT_RANGE),
        ]),
        ..PLAIN
    },
    TypeCase {
        name: "composite_nested",
        sql_type: "outer_pair",
        setup: "CREATE TYPE inner_pair AS (a int, b text); CREATE TYPE outer_pair AS (k int, items inner_pair[], one inner_pair)",
        edges: &[
            "(,,)",
            "(1,,)",
            "(1,{},)",
            "(1,{NULL},)",
            "(1,,\"(,)\")",
            "(1,\"{\"\"(,)\"\"}\",\"(1,a)\")",
            "(2,\"[0:0]={\"\"(1,a)\"\"}\",)",
            "(3,\"{{\"\"(1,a)\"\"}}\",)",
        ],
        queries: &[
            "SELECT ROW(n, ARRAY(SELECT (k, 'x' || k)::inner_pair FROM generate_series(1, n) k), (n, NULL))::outer_pair FROM generate_series(0, 30) n",
        ],
        random: "ROW(i, ARRAY(SELECT rnd.maybe((rnd.bits(32), rnd.t(5))::inner_pair) FROM generate_series(1, i % 5)), rnd.maybe((i, rnd.t(5))::inner_pair))::outer_pair",
        shape: Shape::Struct(&[
            ("k", "($).k", &PLAIN_TEXT),
            ("items", "($).items", &Shape::List(&PAIR)),
            ("one", "($).one", &PAIR),
        ]),
        ..PLAIN
    },
    TypeCase {
        name: "composite_enum_array",
        sql_type: "moods",
        setup: concat!(
            "DO $$ BEGIN IF to_regtype('feeling') IS NULL THEN CREATE TYPE feeling AS ENUM ('sad', 'so so', 'häppy'); END IF; END $$; ",
            "CREATE TYPE moods AS (now feeling, past feeling[])"
        ),
        edges: &[
            "(,)",
            "(sad,)",
            "(\"so so\",{})",
            "(häppy,{NULL})",
            "(,\"{sad,\"\"so so\"\"}\")",
            "(,\"{{sad}}\")",
            "(,\"[0:0]={sad}\")",
        ],
        queries: &[
            "SELECT ROW('sad', (ARRAY['sad', NULL]::feeling[])[1:1])::moods",
            "SELECT ROW((enum_range(NULL::feeling))[1 + n % 3], (enum_range(NULL::feeling))[1:n % 4])::moods FROM generate_series(1, 30) n",
        ],
        random: "ROW((enum_range(NULL::feeling))[1 + i % 4], ARRAY(SELECT rnd.maybe(rnd.pick(enum_range(NULL::feeling))) FROM generate_series(1, i % 6)))::moods",
        shape: Shape::Struct(&[
            ("now", "($).now", &TEXT),
            ("past", "($).past", &Shape::List(&TEXT)),
        ]),
        ..PLAIN
    },
    TypeCase {
        name: "composite_nested_array",
        sql_type: "team[]",
        setup: concat!(
            "DO $$ BEGIN IF to_regtype('feeling') IS NULL THEN CREATE TYPE feeling AS ENUM ('sad', 'so so', 'häppy'); END IF; END $$; ",
            "CREATE TYPE member AS (who text, how feeling[]); CREATE TYPE team AS (name text, members member[])"
        ),
        edges: &[
            "{}",
            "{NULL}",
            "{\"(,)\"}",
            "{\"(a,{})\"}",
            "{\"(a,{NULL})\"}",
        ],
        queries: &[
            "SELECT ARRAY(SELECT ROW('t' || k, ARRAY(SELECT ROW('m' || m, (enum_range(NULL::feeling))[1:m % 4])::member \
                    FROM generate_series(1, k) m))::team FROM generate_series(1, n % 6) k) FROM generate_series(1, 30) n",
        ],
        random: "ARRAY(SELECT ROW(rnd.t(5), ARRAY(SELECT ROW(rnd.maybe(rnd.t(5)), (enum_range(NULL::feeling))[1:m])::member \
                 FROM generate_series(0, i % 3) m))::team FROM generate_series(1, i % 4))",
        shape: Shape::List(&Shape::Struct(&[
            ("name", "($).name", &TEXT),
            (
                "members",
                "($).members",
                &Shape::List(&Shape::Struct(&[
                    ("who", "($).who", &TEXT),
                    ("how", "($).how", &Shape::List(&TEXT)),
                ])),
            ),
        ])),
        ..PLAIN
    },
    TypeCase {
        name: "composite_with_text_only",
        sql_type: "searchable",
        setup: "CREATE TYPE searchable AS (a int, words tsvector)",
        edges: &["(,)", "(1,)", "(,\"\")", "(1,a)", "(1,\"'a b':1 c:2A\")"],
        queries: &[
            "SELECT ROW(n, to_tsvector('simple', repeat('w' || n || ' ', n)))::searchable FROM generate_series(1, 30) n",
        ],
        random: "ROW(i, to_tsvector('simple', rnd.t(20)))::searchable",
        shape: Shape::Cast,
        ..PLAIN
    },
    TypeCase {
        name: "int_domain",
        sql_type: "positive",
        setup: "CREATE DOMAIN positive AS int CHECK (VALUE > 0)",
        queries: &[
            "SELECT (1::int8 << n)::int FROM generate_series(0, 30) n",
            "SELECT 2147483647",
        ],
        random: "rnd.i(1, 2147483647)::int",
        shape: PLAIN_TEXT,
        ..PLAIN
    },
    TypeCase {
        name: "numeric_domain",
        sql_type: "price",
        setup: "CREATE DOMAIN price AS numeric(10,2)",
        edges: &["NaN", "0", "99999999.99", "-99999999.99", "0.01"],
        queries: &["SELECT n * 1.37 FROM generate_series(-20, 20) n"],
        random: "rnd.n(10, 2)",
        shape: DECIMAL,
        ..PLAIN
    },
    TypeCase {
        name: "enum_domain_domain",
        sql_type: "steady",
        setup: concat!(
            "DO $$ BEGIN IF to_regtype('feeling') IS NULL THEN CREATE TYPE feeling AS ENUM ('sad', 'so so', 'häppy'); END IF; END $$; ",
            "CREATE DOMAIN calm AS feeling; CREATE DOMAIN steady AS calm CHECK (VALUE::feeling <> 'sad')"
        ),
        edges: &["so so", "häppy"],
        few: "two labels",
        random: "(enum_range(NULL::feeling))[2 + i % 2]",
        ..PLAIN
    },
    TypeCase {
        name: "composite_domain",
        sql_type: "named",
        setup: "CREATE TYPE unnamed AS (a int, b text); CREATE DOMAIN named AS unnamed",
        edges: PAIRS,
        random: "(rnd.bits(32), rnd.t(9))::unnamed",
        shape: PAIR,
        ..PLAIN
    },
    TypeCase {
        name: "composite_of_domains",
        sql_type: "labelled",
        setup: "CREATE DOMAIN a_number AS int; CREATE DOMAIN a_text AS text; CREATE TYPE labelled AS (a a_number, b a_text)",
        edges: PAIRS,
        random: "(rnd.bits(32), rnd.t(9))::labelled",
        shape: PAIR,
        ..PLAIN
    },
    TypeCase {
        name: "mood_domain_array",
        sql_type: "mild[]",
        setup: MILD,
        edges: &["{}", "{NULL}", "{sad}", "{\"so so\",NULL}", "{{sad}}"],
        queries: &[
            "SELECT ARRAY[(enum_range(NULL::mood))[1 + n % 10]::mild, NULL] FROM generate_series(1, 30) n",
        ],
        random: "ARRAY(SELECT rnd.pick(enum_range(NULL::mood))::mild FROM generate_series(1, i % 8))",
        shape: Shape::List(&TEXT),
        ..PLAIN
    },
];

const MILD: &str = "DO $$ BEGIN IF to_regtype('mood') IS NULL THEN \
    CREATE TYPE mood AS ENUM ('sad', 'so so', 'häppy', '', 'it''s', 'a\"b', 'a,b', '{x}', 'NULL', 'late'); \
    END IF; END $$; CREATE DOMAIN mild AS mood";
