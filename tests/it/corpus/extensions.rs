//! Types of extensions: contrib's, PostGIS, pgvector.

use super::shape::{FLOAT4, OID, PLAIN_TEXT, Shape, TEXT};
use super::texts::TEXTS;
use super::{Need, PLAIN, TypeCase};

const POSTGIS: &[Need] = &[Need::Extension("postgis")];
const VECTOR: &[Need] = &[Need::Extension("vector")];

/// A declared SRID stands in the file's metadata, so the values are plain WKB.
const WKB: Shape = Shape::Scalar {
    shown: "encode(ST_AsBinary($, 'NDR'), 'hex')",
    bad: "",
};
const GEOGRAPHY_WKB: Shape = Shape::Scalar {
    shown: "encode(ST_AsBinary(($)::geometry, 'NDR'), 'hex')",
    bad: "",
};
/// As it came.
const EWKB: Shape = Shape::Scalar {
    shown: "encode(geometry_send($), 'hex')",
    bad: "",
};
const GEOGRAPHY_EWKB: Shape = Shape::Scalar {
    shown: "encode(geography_send($), 'hex')",
    bad: "",
};

const FLOATS: Shape = Shape::Items {
    array: "($)::float4[]",
    item: &FLOAT4,
};
const HALVES: Shape = Shape::Items {
    array: "($)::vector::float4[]",
    item: &FLOAT4,
};
/// From the text `{index:value,…}/dimensions`, where indices count from 1.
const SPARSE: Shape = Shape::Struct(&[
    ("dimensions", "split_part(($)::text, '/', 2)", &PLAIN_TEXT),
    (
        "indices",
        "($)",
        &Shape::Items {
            array: "(SELECT array_agg(m[1]::int - 1) FROM regexp_matches(($)::text, '(\\d+):', 'g') m)",
            item: &PLAIN_TEXT,
        },
    ),
    (
        "values",
        "($)",
        &Shape::Items {
            array: "(SELECT array_agg(m[1]::float4) FROM regexp_matches(($)::text, ':([^,}]+)', 'g') m)",
            item: &FLOAT4,
        },
    ),
]);

#[rustfmt::skip]
const GEOMETRIES: &[&str] = &[
    "POINT EMPTY", "POINT(0 0)", "POINT(-0 1e300)", "POINT Z (1 2 3)", "POINT M (1 2 3)", "POINT ZM (1 2 3 4)",
    "POINT(0.1 -0.2)", "LINESTRING EMPTY", "LINESTRING(0 0,1 1)", "LINESTRING Z (0 0 0,1 1 1)", "LINESTRING M (0 0 5,1 1 6)",
    "POLYGON EMPTY", "POLYGON((0 0,1 0,1 1,0 0))", "POLYGON((0 0,9 0,9 9,0 0),(1 1,2 1,2 2,1 1))",
    "POLYGON Z ((0 0 1,1 0 1,1 1 1,0 0 1))", "MULTIPOINT EMPTY", "MULTIPOINT(0 0,1 1)", "MULTIPOINT(0 0,EMPTY)",
    "MULTILINESTRING((0 0,1 1),(2 2,3 3))", "MULTIPOLYGON(((0 0,1 0,1 1,0 0)),((5 5,6 5,6 6,5 5)))",
    "GEOMETRYCOLLECTION EMPTY", "GEOMETRYCOLLECTION(POINT(1 2),LINESTRING(0 0,1 1))",
    "GEOMETRYCOLLECTION(GEOMETRYCOLLECTION(POINT(1 2)))", "GEOMETRYCOLLECTION ZM (POINT ZM (1 2 3 4))",
    "CIRCULARSTRING(0 0,1 1,2 0)", "COMPOUNDCURVE((0 0,1 1),CIRCULARSTRING(1 1,2 2,3 1))",
    "CURVEPOLYGON(CIRCULARSTRING(0 0,4 0,4 4,0 4,0 0))", "TRIANGLE((0 0,1 0,1 1,0 0))",
    "TIN(((0 0,1 0,1 1,0 0)))", "POLYHEDRALSURFACE(((0 0,1 0,1 1,0 0)))", "MULTICURVE((0 0,1 1))",
];
#[rustfmt::skip]
const GEOMETRIES_2D: &[&str] = &[
    "POINT EMPTY", "POINT(0 0)", "POINT(-0 80)", "POINT(180 90)", "POINT(-180 -90)", "POINT(0.1 -0.2)", "LINESTRING EMPTY",
    "LINESTRING(0 0,1 1)", "POLYGON EMPTY", "POLYGON((0 0,1 0,1 1,0 0))", "MULTIPOINT(0 0,1 1)", "MULTIPOINT EMPTY",
    "POLYGON((0 0,9 0,9 9,0 0),(1 1,2 1,2 2,1 1))", "MULTILINESTRING((0 0,1 1),(2 2,3 3))", "GEOMETRYCOLLECTION EMPTY",
    "MULTIPOLYGON(((0 0,1 0,1 1,0 0)),((5 5,6 5,6 6,5 5)))", "GEOMETRYCOLLECTION(POINT(1 2),LINESTRING(0 0,1 1))",
    "GEOMETRYCOLLECTION(GEOMETRYCOLLECTION(POINT(1 2)))",
];

#[rustfmt::skip]
const GEOMETRIES_4326: &[&str] = &[
    "SRID=4326;POINT EMPTY", "SRID=4326;POINT(0 0)", "SRID=4326;POINT(-0 80)", "SRID=4326;POINT(180 90)", "SRID=4326;POINT(-180 -90)", "SRID=4326;POINT(0.1 -0.2)", "SRID=4326;LINESTRING EMPTY",
    "SRID=4326;LINESTRING(0 0,1 1)", "SRID=4326;POLYGON EMPTY", "SRID=4326;POLYGON((0 0,1 0,1 1,0 0))", "SRID=4326;MULTIPOINT(0 0,1 1)", "SRID=4326;MULTIPOINT EMPTY",
    "SRID=4326;POLYGON((0 0,9 0,9 9,0 0),(1 1,2 1,2 2,1 1))", "SRID=4326;MULTILINESTRING((0 0,1 1),(2 2,3 3))", "SRID=4326;GEOMETRYCOLLECTION EMPTY",
    "SRID=4326;MULTIPOLYGON(((0 0,1 0,1 1,0 0)),((5 5,6 5,6 6,5 5)))", "SRID=4326;GEOMETRYCOLLECTION(POINT(1 2),LINESTRING(0 0,1 1))",
    "SRID=4326;GEOMETRYCOLLECTION(GEOMETRYCOLLECTION(POINT(1 2)))",
];

const fn gis(
    name: &'static str,
    sql_type: &'static str,
    edges: &'static [&'static str],
    queries: &'static [&'static str],
    random: &'static str,
    shape: Shape,
) -> TypeCase {
    TypeCase {
        name,
        sql_type,
        needs: POSTGIS,
        edges,
        queries,
        random,
        shape,
        ..PLAIN
    }
}

const fn digits(
    name: &'static str,
    extension: &'static [Need],
    queries: &'static [&'static str],
    random: &'static str,
) -> TypeCase {
    TypeCase {
        name,
        sql_type: name,
        needs: extension,
        queries,
        random,
        shape: Shape::Cast,
        ..PLAIN
    }
}

const ISN: &[Need] = &[Need::Extension("isn")];

pub(super) const CASES: &[TypeCase] = &[
    TypeCase {
        name: "citext",
        sql_type: "citext",
        needs: &[Need::Extension("citext")],
        edges: TEXTS,
        random: "rnd.t(20)",
        ..PLAIN
    },
    TypeCase {
        name: "hstore",
        sql_type: "hstore",
        needs: &[Need::Extension("hstore")],
        edges: &[
            "",
            "a=>1",
            "a=>NULL",
            "\"NULL\"=>NULL",
            "\"\"=>\"\"",
            "\"a b\"=>\" c \"",
            "a=>\"NULL\"",
            "b=>1,a=>2,ccc=>3",
            "\"\\\"\"=>\"\\\\\"",
            "é=>漢字,🦀=>x",
            "\"=>\"=>\",\"",
            "a=>1,A=>2",
        ],
        queries: &[
            "SELECT hstore(ARRAY(SELECT 'k' || k FROM generate_series(1, n) k), ARRAY(SELECT CASE WHEN k % 3 > 0 THEN 'v' || k END FROM generate_series(1, n) k)) FROM generate_series(1, 30) n",
        ],
        random: "(SELECT coalesce(hstore(array_agg(rnd.t(5)), array_agg(rnd.maybe(rnd.t(9)))), '') FROM generate_series(1, i % 7))",
        shape: Shape::Map,
        ..PLAIN
    },
    TypeCase {
        name: "hstore_array",
        sql_type: "hstore[]",
        needs: &[Need::Extension("hstore")],
        edges: &["{}", "{NULL}", "{\"\"}", "{{\"a=>1\"}}"],
        queries: &["SELECT ARRAY[hstore('k' || n, 'v'), NULL, ''] FROM generate_series(1, 30) n"],
        random: "ARRAY(SELECT hstore(rnd.t(5), rnd.maybe(rnd.t(5))) FROM generate_series(1, i % 5))",
        shape: Shape::List(&Shape::Map),
        ..PLAIN
    },
    TypeCase {
        name: "ltree",
        sql_type: "ltree",
        needs: &[Need::Extension("ltree")],
        edges: &["", "a", "A_1.b", "Top.Science.Astronomy"],
        queries: &[
            "SELECT text2ltree(array_to_string(ARRAY(SELECT 'l' || k FROM generate_series(1, n) k), '.')) FROM generate_series(1, 40) n",
        ],
        random: "text2ltree(concat_ws('.', rnd.word(), rnd.word(), i))",
        ..PLAIN
    },
    TypeCase {
        name: "lquery",
        sql_type: "lquery",
        needs: &[Need::Extension("ltree")],
        edges: &[
            "*", "*.a.*", "a.*{2}", "a.*{1,3}", "a|b.c", "!a.*", "a*@%.b", "*{,5}",
        ],
        queries: &["SELECT format('l%s.*{%s}.x|y', n, n)::lquery FROM generate_series(1, 30) n"],
        random: "format('*.%s*.!%s', rnd.word(), rnd.word())::lquery",
        ..PLAIN
    },
    TypeCase {
        name: "ltxtquery",
        sql_type: "ltxtquery",
        needs: &[Need::Extension("ltree")],
        edges: &["a", "a & b", "a | !b", "a*@ & (b | c%)"],
        queries: &["SELECT format('l%s & !x%s*', n, n)::ltxtquery FROM generate_series(1, 30) n"],
        random: "format('%s & !%s*', rnd.word(), rnd.word())::ltxtquery",
        ..PLAIN
    },
    TypeCase {
        name: "large_object",
        sql_type: "lo",
        needs: &[Need::Extension("lo")],
        queries: &["SELECT (1::int8 << n)::oid FROM generate_series(0, 31) n"],
        random: "rnd.i(0, 4294967295)::oid",
        shape: OID,
        ..PLAIN
    },
    digits(
        "ean13",
        ISN,
        &[
            "SELECT isn_number::ean13 FROM (SELECT '978014300723' || n || '!' FROM generate_series(0, 9) n UNION ALL SELECT '45012345678' || n || '!' FROM generate_series(10, 39) n) q(isn_number)",
        ],
        "('4' || lpad(i::text, 11, '0') || '0!')::ean13",
    ),
    digits(
        "isbn13",
        ISN,
        &["SELECT ('978014300' || n || '0!')::isbn13 FROM generate_series(100, 140) n"],
        "('978' || lpad(i::text, 9, '0') || '0!')::isbn13",
    ),
    digits(
        "isbn",
        ISN,
        &["SELECT ('978014300' || n || '0!')::isbn FROM generate_series(100, 140) n"],
        "('978' || lpad(i::text, 9, '0') || '0!')::isbn",
    ),
    digits(
        "ismn",
        ISN,
        &["SELECT ('979006001' || n || '0!')::ismn FROM generate_series(100, 140) n"],
        "('9790' || lpad(i::text, 8, '0') || '0!')::ismn",
    ),
    digits(
        "issn",
        ISN,
        &["SELECT ('9771234' || n || '000!')::issn FROM generate_series(100, 140) n"],
        "('977' || lpad(i::text, 7, '0') || '000!')::issn",
    ),
    digits(
        "upc",
        ISN,
        &["SELECT ('012345678' || n || '0!')::upc FROM generate_series(100, 140) n"],
        "('0' || lpad(i::text, 11, '0') || '0!')::upc",
    ),
    TypeCase {
        name: "seg",
        sql_type: "seg",
        needs: &[Need::Extension("seg")],
        edges: &[
            "1",
            "1.0",
            "-1.50",
            "1 .. 2",
            "..5",
            "5..",
            "~1",
            "<1",
            ">1 .. <2",
            "0 .. 1e10",
            "1(+-)0.5",
        ],
        queries: &["SELECT (n / 7.0)::numeric(9,3)::text::seg FROM generate_series(1, 30) n"],
        random: "format('%s .. %s', -rnd.i(0, 999), rnd.i(0, 999))::seg",
        shape: Shape::Cast,
        ..PLAIN
    },
    TypeCase {
        name: "cube",
        sql_type: "cube",
        needs: &[Need::Extension("cube")],
        edges: &["0", "(1,2,3)", "(1,2),(3,4)", "(-0.1)", "(1e300)", "()"],
        queries: &[
            "SELECT cube(ARRAY(SELECT k / 7.0::float8 FROM generate_series(1, n) k)) FROM generate_series(1, 30) n",
        ],
        random: "cube(ARRAY[rnd.f(), rnd.f()], ARRAY[rnd.f(), rnd.f()])",
        shape: Shape::Cast,
        ..PLAIN
    },
    TypeCase {
        name: "query_int",
        sql_type: "query_int",
        needs: &[Need::Extension("intarray")],
        queries: &[
            "SELECT format('%s&(%s|!%s)', n, n + 1, n + 2)::query_int FROM generate_series(1, 30) n",
        ],
        random: "format('%s|%s', rnd.i(0, 999), rnd.i(0, 999))::query_int",
        shape: Shape::Cast,
        ..PLAIN
    },
    gis(
        "geometry",
        "geometry",
        GEOMETRIES,
        &[
            "SELECT ST_SetSRID(ST_MakePoint(n, -n), s) FROM generate_series(1, 3) n, unnest(ARRAY[0, 4326, 3857]) s",
            "SELECT ST_Buffer(ST_MakePoint(0, 0), 1, 500)",
        ],
        "ST_SetSRID(ST_MakeLine(ST_MakePoint(rnd.f(), rnd.f()), ST_MakePoint(rnd.f(), rnd.f())), 4326 * (i % 2))",
        EWKB,
    ),
    gis(
        "geometry_4326",
        "geometry(Geometry,4326)",
        GEOMETRIES_4326,
        &["SELECT ST_SetSRID(ST_MakePoint(n, n), 4326) FROM generate_series(1, 15) n"],
        "ST_SetSRID(ST_MakePoint(rnd.f(), rnd.f()), 4326)",
        WKB,
    ),
    gis(
        "point_z_3857",
        "geometry(PointZ,3857)",
        &[],
        &[
            "SELECT ST_SetSRID(ST_MakePoint(a.x, b.x, 0.5), 3857) FROM rnd.numbers a, rnd.numbers b WHERE a.x <> 'NaN'",
        ],
        "ST_SetSRID(ST_MakePoint(rnd.f(), rnd.f(), rnd.f()), 3857)",
        WKB,
    ),
    gis(
        "geometry_zm",
        "geometry(GeometryZM,4326)",
        &[
            "SRID=4326;POINT ZM (1 2 3 4)",
            "SRID=4326;POINT ZM EMPTY",
            "SRID=4326;GEOMETRYCOLLECTION ZM (POINT ZM (1 2 3 4),LINESTRING ZM (0 0 0 0,1 1 1 1))",
            "SRID=4326;POLYGON ZM ((0 0 1 2,1 0 1 2,1 1 1 2,0 0 1 2))",
        ],
        &["SELECT ST_SetSRID(ST_MakePoint(n, n, n, -n), 4326) FROM generate_series(1, 30) n"],
        "ST_SetSRID(ST_MakePoint(rnd.f(), rnd.f(), rnd.f(), rnd.f()), 4326)",
        WKB,
    ),
    gis(
        "geography",
        "geography",
        GEOMETRIES_2D,
        &["SELECT ST_SetSRID(ST_MakePoint(n, -n), 4326)::geography FROM generate_series(1, 15) n"],
        "ST_SetSRID(ST_MakePoint(random() * 360 - 180, random() * 180 - 90), 4326)::geography",
        GEOGRAPHY_EWKB,
    ),
    gis(
        "geography_point",
        "geography(Point,4326)",
        &[
            "POINT EMPTY",
            "POINT(0 0)",
            "POINT(180 90)",
            "POINT(-180 -90)",
        ],
        &[
            "SELECT ST_SetSRID(ST_MakePoint(n, -n / 2.0), 4326)::geography FROM generate_series(1, 30) n",
        ],
        "ST_SetSRID(ST_MakePoint(random() * 360 - 180, random() * 180 - 90), 4326)::geography",
        GEOGRAPHY_WKB,
    ),
    TypeCase {
        shape: Shape::Cast,
        ..gis(
            "box2d",
            "box2d",
            &["BOX(0 0,1 1)", "BOX(-1 -2,3 4)"],
            &[
                "SELECT ST_MakeBox2D(ST_MakePoint(0, 0), ST_MakePoint(n, n)) FROM generate_series(1, 30) n",
            ],
            "ST_MakeBox2D(ST_MakePoint(0, 0), ST_MakePoint(random(), random()))",
            TEXT,
        )
    },
    TypeCase {
        name: "vector_3",
        sql_type: "vector(3)",
        needs: VECTOR,
        edges: &[
            "[0,0,0]",
            "[1,2,3]",
            "[-0,0.1,1e-38]",
            "[3.4028235e38,-3.4028235e38,1e-45]",
        ],
        queries: &["SELECT ARRAY[n, n / 7.0, -n]::float4[]::vector FROM generate_series(1, 30) n"],
        random: "ARRAY[rnd.f4(), rnd.f4(), rnd.f4()]::vector",
        shape: FLOATS,
        ..PLAIN
    },
    TypeCase {
        name: "vector_any",
        sql_type: "vector",
        needs: VECTOR,
        edges: &["[0]", "[1,2,3]", "[-0]"],
        queries: &[
            "SELECT array_fill(n / 7.0::float4, ARRAY[n * n])::float4[]::vector FROM generate_series(1, 30) n",
        ],
        random: "ARRAY(SELECT rnd.f4() FROM generate_series(0, i % 9))::vector",
        shape: FLOATS,
        ..PLAIN
    },
    TypeCase {
        name: "halfvec_2",
        sql_type: "halfvec(2)",
        needs: VECTOR,
        edges: &["[0,-0]", "[65504,-65504]", "[6e-8,6.1e-5]", "[0.1,0.333]"],
        queries: &[
            "SELECT ARRAY[n, n / 7.0]::float4[]::vector::halfvec FROM generate_series(1, 30) n",
        ],
        random: "ARRAY[random(), rnd.i(-60000, 60000)]::float4[]::vector::halfvec",
        shape: HALVES,
        ..PLAIN
    },
    TypeCase {
        name: "halfvec_any",
        sql_type: "halfvec",
        needs: VECTOR,
        edges: &["[0]", "[65504,1,2]"],
        queries: &[
            "SELECT array_fill(n / 7.0::float4, ARRAY[n])::float4[]::vector::halfvec FROM generate_series(1, 30) n",
        ],
        random: "ARRAY(SELECT random() FROM generate_series(0, i % 9))::float4[]::vector::halfvec",
        shape: HALVES,
        ..PLAIN
    },
    TypeCase {
        name: "sparsevec",
        sql_type: "sparsevec",
        needs: VECTOR,
        edges: &[
            "{}/1",
            "{}/1000000000",
            "{1:1}/1",
            "{1:1,1000000000:-1}/1000000000",
            "{2:0.1}/5",
            "{1:3.4028235e38}/2",
        ],
        queries: &[
            "SELECT format('{%s:%s,%s:0.5}/%s', n, n, n + 1, n * 3)::sparsevec FROM generate_series(1, 30) n",
        ],
        random: "format('{%s:%s}/99999', rnd.i(1, 99999), 1 + rnd.f4())::sparsevec",
        shape: SPARSE,
        ..PLAIN
    },
];
