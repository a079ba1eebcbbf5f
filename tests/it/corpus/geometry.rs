//! PostgreSQL's own geometric types.

use super::shape::{FLOAT8, PLAIN_TEXT, Shape};
use super::{PLAIN, TypeCase};

pub(super) const POINT: Shape =
    Shape::Struct(&[("x", "($)[0]", &FLOAT8), ("y", "($)[1]", &FLOAT8)]);
/// By the wire form: no function gives a line's numbers, and `<->` would not be exact.
const LINE: Shape = Shape::Struct(&[
    (
        "a",
        "encode(substr(line_send($), 1, 8), 'hex')",
        &PLAIN_TEXT,
    ),
    (
        "b",
        "encode(substr(line_send($), 9, 8), 'hex')",
        &PLAIN_TEXT,
    ),
    (
        "c",
        "encode(substr(line_send($), 17, 8), 'hex')",
        &PLAIN_TEXT,
    ),
]);
const TWO_POINTS: Shape = Shape::Struct(&[
    ("x1", "(($)[0])[0]", &FLOAT8),
    ("y1", "(($)[0])[1]", &FLOAT8),
    ("x2", "(($)[1])[0]", &FLOAT8),
    ("y2", "(($)[1])[1]", &FLOAT8),
]);
const CIRCLE: Shape = Shape::Struct(&[
    ("x", "(center($))[0]", &FLOAT8),
    ("y", "(center($))[1]", &FLOAT8),
    ("r", "radius($)", &FLOAT8),
]);
const PATH: Shape = Shape::Struct(&[
    ("closed", "isclosed($)", &PLAIN_TEXT),
    ("points", "($)", &POINTS),
]);
/// From the text, which is exact.
const POINTS: Shape = Shape::Items {
    array: "(SELECT array_agg(point(m[1]::float8, m[2]::float8)) \
            FROM regexp_matches(($)::text, '\\(([^(),]+),([^(),]+)\\)', 'g') m)",
    item: &POINT,
};

pub(super) const CASES: &[TypeCase] = &[
    TypeCase {
        name: "point",
        sql_type: "point",
        queries: &["SELECT point(a.x, b.x) FROM rnd.numbers a, rnd.numbers b"],
        random: "point(rnd.f(), rnd.f())",
        shape: POINT,
        ..PLAIN
    },
    TypeCase {
        name: "line",
        sql_type: "line",
        edges: &[
            "{1,0,0}",
            "{0,1,-0}",
            "[(0,0),(1,1)]",
            "{-1,1,0}",
            "{0.1,0.2,0.3}",
        ],
        queries: &["SELECT format('{%s,1,%s}', a.x, b.x)::line FROM rnd.numbers a, rnd.numbers b"],
        random: "format('{%s,%s,%s}', 1 + random(), rnd.f(), rnd.f())::line",
        shape: LINE,
        ..PLAIN
    },
    TypeCase {
        name: "lseg",
        sql_type: "lseg",
        edges: &["[(0,0),(1,1)]", "((1,2),(1,2))", "-1,-2,-3,-4"],
        queries: &["SELECT lseg(point(a.x, 1), point(-1, b.x)) FROM rnd.numbers a, rnd.numbers b"],
        random: "lseg(point(rnd.f(), rnd.f()), point(rnd.f(), rnd.f()))",
        shape: TWO_POINTS,
        ..PLAIN
    },
    TypeCase {
        name: "box",
        sql_type: "box",
        edges: &["(0,0),(1,1)", "(1,0),(0,1)", "(1,1),(1,1)", "-1,-2,-3,-4"],
        queries: &["SELECT box(point(a.x, 1), point(-1, b.x)) FROM rnd.numbers a, rnd.numbers b"],
        random: "box(point(rnd.f(), rnd.f()), point(rnd.f(), rnd.f()))",
        shape: TWO_POINTS,
        ..PLAIN
    },
    TypeCase {
        name: "path",
        sql_type: "path",
        edges: &[
            "[(0,0)]",
            "((0,0))",
            "[(0,0),(1,1)]",
            "((0,0),(1,1))",
            "[(0,0),(0,0)]",
            "0,0,1,1",
        ],
        queries: &[
            "SELECT format('[(%s,%s),(1,2)]', a.x, b.x)::path FROM rnd.numbers a, rnd.numbers b",
            "SELECT ('[' || string_agg(format('(%s,%s)', n, -n), ',') || ']')::path FROM generate_series(1, 500) n",
        ],
        random: "(SELECT format(CASE WHEN i % 2 = 0 THEN '[%s]' ELSE '(%s)' END, \
                 string_agg(format('(%s,%s)', rnd.f(), rnd.f()), ','))::path FROM generate_series(0, i % 9))",
        shape: PATH,
        ..PLAIN
    },
    TypeCase {
        name: "polygon",
        sql_type: "polygon",
        edges: &[
            "((0,0))",
            "((0,0),(1,1))",
            "((0,0),(0,1),(1,0))",
            "((1,1),(1,1))",
            "0,0,1,1",
        ],
        queries: &[
            "SELECT format('((%s,%s),(1,2),(3,4))', a.x, b.x)::polygon FROM rnd.numbers a, rnd.numbers b",
        ],
        random: "(SELECT ('(' || string_agg(format('(%s,%s)', rnd.f(), rnd.f()), ',') || ')')::polygon \
                 FROM generate_series(0, i % 9))",
        shape: POINTS,
        ..PLAIN
    },
    TypeCase {
        name: "circle",
        sql_type: "circle",
        edges: &[
            "<(0,0),0>",
            "<(1,2),3>",
            "<(-1.5,2.5),0.1>",
            "<(0,0),Infinity>",
            "<(0,0),NaN>",
        ],
        queries: &["SELECT circle(point(a.x, b.x), 5) FROM rnd.numbers a, rnd.numbers b"],
        random: "circle(point(rnd.f(), rnd.f()), abs(rnd.f()))",
        shape: CIRCLE,
        ..PLAIN
    },
];
