//! Text of all kinds, bytes, JSON, XML, text search, and what travels as text.

use super::shape::{BYTES, Shape};
use super::{Need, PLAIN, TypeCase};

#[rustfmt::skip]
pub(super) const TEXTS: &[&str] = &[
    "", " ", "  two  ", "a", "NULL", "null", "\\N", "\\", "\\\\", "\"", "'", "''", "\t", "\n", "\r\n",
    "\u{1}", "\u{7f}", "\u{80}", "é", "e\u{301}", "żółć", "漢字", "🦀", "👩\u{200d}👩\u{200d}👧", "\u{feff}bom",
    "\u{fffd}", "\u{ffff}", "\u{10ffff}", "{}", "{a,b}", "(a,b)", "%s %d", "a\u{2028}b", "ß", "İ",
];
#[rustfmt::skip]
const SHORT_TEXTS: &[&str] = &[
    "", " ", "  a  ", "a", "NULL", "\\N", "\\", "\"", "'", "\t", "\n", "\u{1}", "é", "e\u{301}", "żółć",
    "漢字", "🦀", "🦀🦀🦀🦀🦀", "{}", "(a,b)", "%s", "ß", "İ", "12345", "1 2 3", "abcde", "     ", "a    ",
    "\u{10ffff}", "\u{feff}x", "-0", "0x1",
];
const LONG_TEXTS: &str = "SELECT repeat(t, n) FROM unnest(ARRAY['x', 'é', '漢', '🦀']) t, unnest(ARRAY[255, 65536, 300000]) n";

#[rustfmt::skip]
const JSONS: &[&str] = &[
    "null", "true", "false", "0", "-0", "1.0", "1.10", "1e5", "1E400", "-1e-400", "\"\"", "\"a\"", "\"\\u00e9\"",
    "\"\\ud83e\\udd80\"", "\"🦀\"", "\"\\n\\t\\\\\\\"\"", "[]", "[ ]", "{}", "{ }", "[1,2,3]", "[1, [2, [3]]]", "{\"a\":1}",
    "{\"a\" :  1, \"a\":2}", "{\"b\":1,\"a\":2}", " {\"a\":\n[null]} ", "{\"\":\"\"}", "[\"\\u0001\"]",
    "123456789012345678901234567890.12345678901234567890", "[[[[[[[[[[]]]]]]]]]]", "{\"k\":{\"k\":{\"k\":{}}}}",
];
#[rustfmt::skip]
const XMLS: &[&str] = &[
    "", "text", "<a/>", "<a></a>", "<a>é</a>", "<?xml version=\"1.0\"?><a/>", "<?xml version='1.1'?><a/>",
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?><a/>", "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?><a/>",
    "<?xml version=\"1.0\" standalone=\"no\"?>\n<a/>", "<a b='c'/>", "<a b=\"c\"/>", "<a>&amp;</a>", "<a>&#233;</a>",
    "<![CDATA[x<y]]>", "<a><![CDATA[]]></a>", "<!-- c --><a/>", "<a/><b/>", "x<a/>y", "<a>\n\t </a>", " <a/> ",
    "<?pi x?><a/>", "<n:a xmlns:n=\"u\"/>", "<a xmlns=\"u\"/>", "<a>漢字</a>", "<a>🦀</a>", "<a\n/>", "<a>'\"</a>",
    "<é/>", "<a><b><c><d/></c></b></a>", "&lt;",
];

pub(super) const CASES: &[TypeCase] = &[
    TypeCase {
        name: "text",
        sql_type: "text",
        edges: TEXTS,
        queries: &[LONG_TEXTS],
        random: "rnd.t(40)",
        ..PLAIN
    },
    TypeCase {
        name: "varchar",
        sql_type: "varchar",
        edges: TEXTS,
        random: "rnd.t(40)",
        ..PLAIN
    },
    TypeCase {
        name: "varchar_5",
        sql_type: "varchar(5)",
        edges: SHORT_TEXTS,
        random: "rnd.t(5)",
        ..PLAIN
    },
    TypeCase {
        name: "bpchar_5",
        sql_type: "char(5)",
        edges: SHORT_TEXTS,
        random: "rnd.t(5)",
        ..PLAIN
    },
    TypeCase {
        name: "bpchar",
        sql_type: "bpchar",
        edges: TEXTS,
        random: "rnd.t(30)",
        ..PLAIN
    },
    TypeCase {
        name: "name",
        sql_type: "name",
        edges: TEXTS,
        queries: &["SELECT repeat('x', 63)", "SELECT repeat('é', 31)"],
        random: "rnd.t(12)",
        ..PLAIN
    },
    TypeCase {
        name: "refcursor",
        sql_type: "refcursor",
        edges: TEXTS,
        random: "rnd.t(12)::refcursor",
        ..PLAIN
    },
    TypeCase {
        name: "text_collated",
        sql_type: "text COLLATE \"C\"",
        edges: TEXTS,
        random: "rnd.t(12)",
        ..PLAIN
    },
    TypeCase {
        name: "bytea",
        sql_type: "bytea",
        edges: &["\\x", "\\x00", "\\xff", "\\x0000000000", "\\xdeadbeef"],
        queries: &[
            "SELECT decode(repeat(lpad(to_hex(n), 2, '0'), n), 'hex') FROM generate_series(1, 40) n",
            "SELECT decode(repeat('00ff', 200000), 'hex')",
        ],
        random: "rnd.b(60)",
        shape: BYTES,
        ..PLAIN
    },
    TypeCase {
        name: "json",
        sql_type: "json",
        edges: JSONS,
        random: "json_build_object(rnd.t(9), rnd.f(), 'n', ARRAY[rnd.t(5), NULL])",
        ..PLAIN
    },
    TypeCase {
        name: "jsonb",
        sql_type: "jsonb",
        edges: JSONS,
        random: "jsonb_build_object(rnd.t(9), rnd.n(30, 9), 'n', ARRAY[rnd.t(5), NULL])",
        ..PLAIN
    },
    TypeCase {
        name: "jsonpath",
        sql_type: "jsonpath",
        edges: &[
            "$",
            "strict $",
            "lax $.a",
            "$.*",
            "$[*]",
            "$[0 to last]",
            "$.\"a b\"",
            "$.a ? (@ > 1)",
            "1",
            "\"x\"",
        ],
        queries: &[
            "SELECT format('$.k%s[%s] ? (@.x > %s && @.y like_regex \"^a\")', n, n, n)::jsonpath FROM generate_series(1, 25) n",
        ],
        random: "format('$.%I[%s] ? (@ < %s)', rnd.word(), i, rnd.i(0, 99))::jsonpath",
        ..PLAIN
    },
    TypeCase {
        name: "xml",
        sql_type: "xml",
        needs: &[Need::Xml],
        edges: XMLS,
        random: "xmlelement(name a, xmlattributes(i AS n), rnd.word(), '<&>')",
        shape: Shape::Cast,
        ..PLAIN
    },
    TypeCase {
        name: "mood_enum",
        sql_type: "mood",
        setup: MOOD,
        edges: &[
            "sad", "so so", "häppy", "", "it's", "a\"b", "a,b", "{x}", "NULL", "late",
        ],
        few: "its labels",
        random: "(enum_range(NULL::mood))[1 + i % 10]",
        ..PLAIN
    },
    TypeCase {
        name: "short_domain",
        sql_type: "short",
        setup: "CREATE DOMAIN short AS varchar(9) CHECK (VALUE <> 'no')",
        edges: SHORT_TEXTS,
        random: "rnd.t(9)",
        ..PLAIN
    },
    TypeCase {
        name: "tsvector",
        sql_type: "tsvector",
        edges: &[
            "",
            "a",
            "a b c",
            "a:1",
            "a:1A,2B,3C,4D",
            "'a b':7",
            "a:16383",
            "'it''s'",
            "'\\\\'",
            "é 漢字 🦀",
        ],
        queries: &[
            "SELECT to_tsvector('simple', repeat('word' || n || ' ', n)) FROM generate_series(1, 25) n",
        ],
        random: "to_tsvector('simple', rnd.t(60))",
        shape: Shape::Cast,
        ..PLAIN
    },
    TypeCase {
        name: "tsquery",
        sql_type: "tsquery",
        edges: &[
            "", "a", "a & b", "a | !b", "a <-> b", "a <3> b", "a:*", "a:AB*", "'a b'", "!(a & b)",
        ],
        queries: &[
            "SELECT (to_tsquery('simple', 'w' || n) && !!to_tsquery('simple', 'x' || n || ':*')) FROM generate_series(1, 25) n",
        ],
        random: "phraseto_tsquery('simple', rnd.t(30))",
        shape: Shape::Cast,
        ..PLAIN
    },
    TypeCase {
        name: "gtsvector",
        sql_type: "gtsvector",
        few: "nothing can be stored in it",
        random: "NULL",
        shape: Shape::Cast,
        ..PLAIN
    },
    TypeCase {
        name: "aclitem",
        sql_type: "aclitem",
        edges: &[
            "=r/postgres",
            "postgres=arwdDxt/postgres",
            "postgres=a*r*/postgres",
            "postgres=U/postgres",
            "=/postgres",
        ],
        few: "grants among the roles that every server has",
        random: "makeaclitem(10, 10, (ARRAY['SELECT', 'INSERT', 'UPDATE'])[1 + i % 3], random() < 0.5)",
        shape: Shape::Cast,
        ..PLAIN
    },
    TypeCase {
        name: "int2vector",
        sql_type: "int2vector",
        edges: &["", "0", "1", "-1", "32767 -32768", "1 2 3"],
        queries: &[
            "SELECT array_to_string(ARRAY(SELECT generate_series(-n, n)), ' ')::int2vector FROM generate_series(1, 25) n",
        ],
        random: "concat_ws(' ', rnd.bits(16), rnd.bits(16))::int2vector",
        shape: Shape::Cast,
        ..PLAIN
    },
    TypeCase {
        name: "oidvector",
        sql_type: "oidvector",
        edges: &["", "0", "1", "4294967295", "4000000000 0 1", "1 2 3"],
        queries: &[
            "SELECT array_to_string(ARRAY(SELECT generate_series(0, n)), ' ')::oidvector FROM generate_series(1, 25) n",
        ],
        random: "concat_ws(' ', rnd.i(0, 4294967295), rnd.i(0, 4294967295))::oidvector",
        shape: Shape::Cast,
        ..PLAIN
    },
];

pub(super) const MOOD: &str = "DO $$ BEGIN IF to_regtype('mood') IS NULL THEN \
    CREATE TYPE mood AS ENUM ('sad', 'so so', 'häppy', '', 'it''s', 'a\"b', 'a,b', '{x}', 'NULL'); \
    END IF; END $$; ALTER TYPE mood ADD VALUE IF NOT EXISTS 'late' BEFORE 'sad'";
