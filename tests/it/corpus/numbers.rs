//! bool, "char", integers, oids and their kin, floats, numerics, money, LSNs and snapshots.

use super::shape::{DECIMAL, FLOAT4, FLOAT8, OID, PLAIN_TEXT, Shape, TEXT};
use super::{Need, PLAIN, TypeCase};

const CHAR: Shape = Shape::Scalar {
    shown: "(get_byte(charsend($), 0) - CASE WHEN get_byte(charsend($), 0) > 127 THEN 256 ELSE 0 END)::text",
    bad: "",
};

/// Whole numbers around every power of two and of ten that eight bytes hold.
const AROUND_POWERS: &str = "SELECT DISTINCT s * (p + d) FROM unnest(ARRAY[-1, 1]) s, \
    unnest(ARRAY[-1, 0, 1]) d, (SELECT 2::numeric ^ n FROM generate_series(0, 63) n UNION \
    SELECT 10::numeric ^ n FROM generate_series(0, 18) n) p(p) \
    WHERE s * (p + d) BETWEEN -9223372036854775808 AND 9223372036854775807";
const AROUND_POWERS_4: &str = "SELECT DISTINCT (s * (p + d))::int4 FROM unnest(ARRAY[-1, 1]) s, \
    unnest(ARRAY[-1, 0, 1]) d, (SELECT 2::int8 << n FROM generate_series(0, 30) n) p(p) \
    WHERE s * (p + d) BETWEEN -2147483648 AND 2147483647";
const AROUND_POWERS_2: &str = "SELECT DISTINCT (s * (p + d))::int2 FROM unnest(ARRAY[-1, 1]) s, \
    unnest(ARRAY[-1, 0, 1]) d, (SELECT 2::int4 << n FROM generate_series(0, 14) n) p(p) \
    WHERE s * (p + d) BETWEEN -32768 AND 32767";

#[rustfmt::skip]
const OIDS: &[&str] = &[
    "0", "1", "2", "7", "10", "11", "16", "20", "25", "26", "127", "128", "255", "256", "1000",
    "1043", "1259", "16384", "32767", "32768", "65535", "65536", "16777216", "99999999",
    "2147483647", "2147483648", "2147483649", "3000000000", "4000000000", "4294967294", "4294967295",
];
const RANDOM_OID: &str = "(rnd.bits(33) & 4294967295)::text::oid";

#[rustfmt::skip]
const FLOAT4S: &[&str] = &[
    "NaN", "Infinity", "-Infinity", "0", "-0", "1", "-1", "0.1", "-0.1", "0.3", "1e-45", "-1e-45",
    "1.1754944e-38", "1.1754942e-38", "3.4028235e38", "-3.4028235e38", "16777216", "16777217",
    "33554432", "1e10", "1e-10", "0.33333334", "2.7182817", "3.1415927", "123456.79", "1e20",
    "9.999999e9", "5e-45", "8388608.5", "0.000001", "1e38",
];
#[rustfmt::skip]
const FLOAT8S: &[&str] = &[
    "NaN", "Infinity", "-Infinity", "0", "-0", "1", "-1", "0.1", "-0.1", "0.3", "5e-324", "-5e-324",
    "2.2250738585072014e-308", "2.225073858507201e-308", "1.7976931348623157e308",
    "-1.7976931348623157e308", "9007199254740991", "9007199254740992", "9007199254740993", "1e23",
    "9.999999999999999e22", "1e22", "4.9e-324", "0.3333333333333333", "2.718281828459045",
    "3.141592653589793", "1e15", "1e16", "123456789.12345679", "1e-7", "0.30000000000000004",
];

/// A digit string a thousand digits long, and others that are longer than any buffer.
const LONG_NUMERICS: &str = "SELECT repeat('9', 1000)::numeric UNION ALL \
    SELECT ('-0.' || repeat('123', 333) || '4')::numeric UNION ALL \
    SELECT ('1' || repeat('0', 131071))::numeric UNION ALL \
    SELECT repeat('98765', 26214)::numeric UNION ALL \
    SELECT ('0.' || repeat('0', 16382) || '7')::numeric UNION ALL \
    SELECT (repeat('5', 500) || '.' || repeat('6', 500))::numeric UNION ALL \
    SELECT ('1e' || n)::numeric FROM generate_series(-40, 40) n UNION ALL \
    SELECT ('-9' || repeat('9', n) || '.' || repeat('0', n))::numeric FROM generate_series(0, 17) n";

pub(super) const CASES: &[TypeCase] = &[
    TypeCase {
        name: "bool",
        sql_type: "bool",
        edges: &["true", "false"],
        few: "two values",
        random: "random() < 0.5",
        shape: PLAIN_TEXT,
        ..PLAIN
    },
    TypeCase {
        name: "char_byte",
        sql_type: "\"char\"",
        queries: &["SELECT n::\"char\" FROM generate_series(-128, 127) n"],
        random: "rnd.i(-128, 127)::int::\"char\"",
        shape: CHAR,
        ..PLAIN
    },
    TypeCase {
        name: "int2",
        sql_type: "int2",
        queries: &[AROUND_POWERS_2],
        random: "rnd.bits(16)::int2",
        shape: PLAIN_TEXT,
        ..PLAIN
    },
    TypeCase {
        name: "int4",
        sql_type: "int4",
        queries: &[AROUND_POWERS_4],
        random: "rnd.bits(32)::int4",
        shape: PLAIN_TEXT,
        ..PLAIN
    },
    TypeCase {
        name: "int8",
        sql_type: "int8",
        queries: &[AROUND_POWERS],
        random: "rnd.bits(64)",
        shape: PLAIN_TEXT,
        ..PLAIN
    },
    TypeCase {
        name: "oid",
        sql_type: "oid",
        edges: OIDS,
        random: RANDOM_OID,
        shape: OID,
        ..PLAIN
    },
    TypeCase {
        name: "xid",
        sql_type: "xid",
        edges: OIDS,
        random: "(rnd.bits(33) & 4294967295)::text::xid",
        shape: PLAIN_TEXT,
        ..PLAIN
    },
    TypeCase {
        name: "cid",
        sql_type: "cid",
        edges: OIDS,
        random: "(rnd.bits(33) & 4294967295)::text::cid",
        shape: PLAIN_TEXT,
        ..PLAIN
    },
    TypeCase {
        name: "regclass",
        sql_type: "regclass",
        edges: OIDS,
        random: RANDOM_OID,
        shape: OID,
        ..PLAIN
    },
    TypeCase {
        name: "regtype",
        sql_type: "regtype",
        edges: OIDS,
        random: RANDOM_OID,
        shape: OID,
        ..PLAIN
    },
    TypeCase {
        name: "regproc",
        sql_type: "regproc",
        edges: OIDS,
        random: RANDOM_OID,
        shape: OID,
        ..PLAIN
    },
    TypeCase {
        name: "regprocedure",
        sql_type: "regprocedure",
        edges: OIDS,
        random: RANDOM_OID,
        shape: OID,
        ..PLAIN
    },
    TypeCase {
        name: "regoper",
        sql_type: "regoper",
        edges: OIDS,
        random: RANDOM_OID,
        shape: OID,
        ..PLAIN
    },
    TypeCase {
        name: "regoperator",
        sql_type: "regoperator",
        edges: OIDS,
        random: RANDOM_OID,
        shape: OID,
        ..PLAIN
    },
    TypeCase {
        name: "regnamespace",
        sql_type: "regnamespace",
        edges: OIDS,
        random: RANDOM_OID,
        shape: OID,
        ..PLAIN
    },
    TypeCase {
        name: "regrole",
        sql_type: "regrole",
        edges: OIDS,
        random: RANDOM_OID,
        shape: OID,
        ..PLAIN
    },
    TypeCase {
        name: "regconfig",
        sql_type: "regconfig",
        edges: OIDS,
        random: RANDOM_OID,
        shape: OID,
        ..PLAIN
    },
    TypeCase {
        name: "regdictionary",
        sql_type: "regdictionary",
        edges: OIDS,
        random: RANDOM_OID,
        shape: OID,
        ..PLAIN
    },
    TypeCase {
        name: "regcollation",
        sql_type: "regcollation",
        edges: OIDS,
        random: RANDOM_OID,
        shape: OID,
        ..PLAIN
    },
    TypeCase {
        name: "xid8",
        sql_type: "xid8",
        queries: &[
            "SELECT DISTINCT trunc(p + d)::text::xid8 FROM unnest(ARRAY[-1, 0, 1]) d, \
             (SELECT 2::numeric ^ n FROM generate_series(1, 64) n) p(p) \
             WHERE p + d <= 18446744073709551615",
            "SELECT '0'::xid8",
        ],
        random: "abs(rnd.digits(19))::text::xid8",
        shape: PLAIN_TEXT,
        ..PLAIN
    },
    TypeCase {
        name: "pg_lsn",
        sql_type: "pg_lsn",
        edges: &[
            "0/0",
            "FFFFFFFF/FFFFFFFF",
            "80000000/0",
            "7FFFFFFF/FFFFFFFF",
            "0/FFFFFFFF",
            "1/0",
        ],
        queries: &[
            "SELECT (to_hex(a) || '/' || to_hex(b))::pg_lsn FROM unnest(ARRAY[0, 1, 255, 4294967295]) a, \
             unnest(ARRAY[0, 1, 16, 65535, 16777216, 2147483648, 4294967294]) b",
        ],
        random: "(to_hex(rnd.i(0, 4294967295)) || '/' || to_hex(rnd.i(0, 4294967295)))::pg_lsn",
        shape: PLAIN_TEXT,
        ..PLAIN
    },
    TypeCase {
        name: "float4",
        sql_type: "float4",
        edges: FLOAT4S,
        random: "rnd.f4()",
        shape: FLOAT4,
        ..PLAIN
    },
    TypeCase {
        name: "float8",
        sql_type: "float8",
        edges: FLOAT8S,
        random: "rnd.f()",
        shape: FLOAT8,
        ..PLAIN
    },
    TypeCase {
        name: "numeric_plain",
        sql_type: "numeric",
        edges: &[
            "NaN",
            "0",
            "0.0",
            "0.000",
            "-0.00",
            "1.5",
            "1.50",
            "10000",
            "9999.9999",
            "0.0001",
        ],
        newer: &[(14, &["Infinity", "-Infinity"])],
        queries: &[LONG_NUMERICS],
        random: "rnd.n(60, rnd.i(0, 40)::int)",
        shape: PLAIN_TEXT,
        ..PLAIN
    },
    TypeCase {
        name: "numeric_15_2",
        sql_type: "numeric(15,2)",
        edges: &[
            "NaN",
            "0",
            "-0.01",
            "0.01",
            "9999999999999.99",
            "-9999999999999.99",
        ],
        queries: &[
            "SELECT s * ('1e' || n)::numeric FROM generate_series(-2, 12) n, unnest(ARRAY[1, -1]) s",
        ],
        random: "rnd.n(15, 2)",
        shape: DECIMAL,
        ..PLAIN
    },
    TypeCase {
        name: "numeric_38_0",
        sql_type: "numeric(38,0)",
        edges: &[
            "NaN",
            "0",
            "99999999999999999999999999999999999999",
            "-99999999999999999999999999999999999999",
        ],
        queries: &[
            "SELECT s * ('1e' || n)::numeric FROM generate_series(0, 37) n, unnest(ARRAY[1, -1]) s",
        ],
        random: "rnd.n(38, 0)",
        shape: DECIMAL,
        ..PLAIN
    },
    TypeCase {
        name: "numeric_38_38",
        sql_type: "numeric(38,38)",
        edges: &[
            "NaN",
            "0",
            "0.99999999999999999999999999999999999999",
            "-0.99999999999999999999999999999999999999",
        ],
        queries: &[
            "SELECT s * ('1e' || n)::numeric FROM generate_series(-38, -1) n, unnest(ARRAY[1, -1]) s",
        ],
        random: "rnd.n(38, 38)",
        shape: DECIMAL,
        ..PLAIN
    },
    TypeCase {
        name: "numeric_9_4",
        sql_type: "numeric(9,4)",
        edges: &["NaN", "99999.9999", "-99999.9999", "0.0000", "-0.0001"],
        queries: &[
            "SELECT s * ('3e' || n)::numeric FROM generate_series(-12, 4) n, unnest(ARRAY[1, -1]) s",
        ],
        random: "rnd.n(9, 4)",
        shape: DECIMAL,
        ..PLAIN
    },
    TypeCase {
        name: "numeric_60_10",
        sql_type: "numeric(60,10)",
        edges: &[
            "NaN",
            "0",
            "99999999999999999999999999999999999999999999999999.9999999999",
            "-99999999999999999999999999999999999999999999999999.9999999999",
        ],
        queries: &[
            "SELECT s * ('1e' || n)::numeric FROM generate_series(-10, 49) n, unnest(ARRAY[1, -1]) s",
        ],
        random: "rnd.n(60, 10)",
        shape: PLAIN_TEXT,
        native: Some(DECIMAL),
        ..PLAIN
    },
    TypeCase {
        name: "numeric_76_76",
        sql_type: "numeric(76,76)",
        edges: &["NaN", "0"],
        queries: &[
            "SELECT ('0.' || repeat('9', 76))::numeric",
            "SELECT s * ('1e' || n)::numeric FROM generate_series(-76, -1) n, unnest(ARRAY[1, -1]) s",
        ],
        random: "rnd.n(76, 76)",
        shape: PLAIN_TEXT,
        native: Some(DECIMAL),
        ..PLAIN
    },
    TypeCase {
        name: "numeric_1000_500",
        sql_type: "numeric(1000,500)",
        edges: &["NaN", "0"],
        queries: &[
            "SELECT (s || repeat('9', 500) || '.' || repeat('9', 500))::numeric FROM unnest(ARRAY['', '-']) s",
            "SELECT s * ('1e' || n * 20)::numeric FROM generate_series(-25, 24) n, unnest(ARRAY[1, -1]) s",
        ],
        random: "rnd.n(300, 150)",
        shape: PLAIN_TEXT,
        ..PLAIN
    },
    TypeCase {
        name: "numeric_negative_scale",
        sql_type: "numeric(5,-2)",
        needs: &[Need::Since(15)],
        edges: &["NaN", "0", "9999900", "-9999900"],
        queries: &[
            "SELECT s * ('7e' || n)::numeric FROM generate_series(-9, 6) n, unnest(ARRAY[1, -1]) s",
        ],
        random: "rnd.n(7, 0) * 0.9",
        shape: PLAIN_TEXT,
        ..PLAIN
    },
    TypeCase {
        name: "numeric_wide_scale",
        sql_type: "numeric(2,5)",
        needs: &[Need::Since(15)],
        edges: &["NaN", "0", "0.00099", "-0.00099"],
        queries: &[
            "SELECT s * ('7e' || n)::numeric FROM generate_series(-19, -4) n, unnest(ARRAY[1, -1]) s",
        ],
        random: "rnd.n(2, 5)",
        shape: PLAIN_TEXT,
        ..PLAIN
    },
    TypeCase {
        name: "money",
        sql_type: "money",
        edges: &[
            "92233720368547758.07",
            "-92233720368547758.08",
            "0",
            "0.01",
            "-0.01",
        ],
        queries: &[
            "SELECT (s * ('1e' || n)::numeric)::money FROM generate_series(-2, 15) n, unnest(ARRAY[1, -1]) s",
        ],
        random: "((rnd.bits(60) / 100.0)::numeric(22,2))::money",
        shape: Shape::Scalar {
            shown: "($)::numeric::text",
            bad: "",
        },
        ..PLAIN
    },
    TypeCase {
        name: "tid",
        sql_type: "tid",
        edges: &[
            "(0,0)",
            "(4294967295,65535)",
            "(1,1)",
            "(0,65535)",
            "(4294967295,0)",
        ],
        queries: &[
            "SELECT ('(' || a || ',' || b || ')')::tid FROM unnest(ARRAY[0, 7, 2147483648, 4294967294]) a, \
             unnest(ARRAY[0, 1, 255, 256, 32767, 32768, 65534]) b",
        ],
        random: "('(' || rnd.i(0, 4294967295) || ',' || rnd.i(0, 65535) || ')')::tid",
        shape: Shape::Cast,
        ..PLAIN
    },
    TypeCase {
        name: "pg_snapshot",
        sql_type: "pg_snapshot",
        edges: &[
            "1:1:",
            "10:20:10,14,15",
            "9223372036854775806:9223372036854775807:",
        ],
        queries: &[
            "SELECT (n || ':' || n * 3 || ':' || n || ',' || n + 1)::pg_snapshot FROM generate_series(2, 40) n",
        ],
        random: "(i || ':' || i + 100 || ':' || i + rnd.i(0, 98))::pg_snapshot",
        shape: Shape::Cast,
        ..PLAIN
    },
    TypeCase {
        name: "txid_snapshot",
        sql_type: "txid_snapshot",
        edges: &[
            "1:1:",
            "10:20:10,14,15",
            "9223372036854775806:9223372036854775807:",
        ],
        queries: &[
            "SELECT (n || ':' || n * 3 || ':' || n || ',' || n + 1)::txid_snapshot FROM generate_series(2, 40) n",
        ],
        random: "(i || ':' || i + 100 || ':' || i + rnd.i(0, 98))::txid_snapshot",
        shape: Shape::Cast,
        ..PLAIN
    },
    TypeCase {
        name: "uuid",
        sql_type: "uuid",
        edges: &[
            "00000000-0000-0000-0000-000000000000",
            "ffffffff-ffff-ffff-ffff-ffffffffffff",
            "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}",
            "0123456789ABCDEFfedcba9876543210",
        ],
        queries: &[
            "SELECT lpad(to_hex(1::int8 << n), 32, '0')::uuid FROM generate_series(0, 62) n",
        ],
        random: "md5(random()::text)::uuid",
        shape: TEXT,
        ..PLAIN
    },
];
