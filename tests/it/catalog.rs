//! What the catalog says of types, walked on real servers: every kind, at every level.

use pgsluice::codec::PgType;
use pgsluice::{ConnectOptions, ExportOptions, TablePlan};
use serde_json::{Value, json};

use crate::rig::{self, Database};

/// The types of a table's columns, by name.
struct Walked {
    plan: TablePlan,
    oids: rig::Session,
}

impl Walked {
    fn of(database: &Database, table: &str) -> Self {
        let source = ConnectOptions::from_dsn(Some(&database.dsn())).unwrap();
        let options = ExportOptions::new(vec![table.parse().unwrap()]);
        let report = rig::wait(async move { pgsluice::plan(&source, &options).await }).unwrap();
        Self {
            plan: report.tables.into_iter().next().expect("one table"),
            oids: database.session(),
        }
    }

    fn json(&self, column: &str) -> Value {
        let columns = &self.plan.schema.columns;
        let found = columns.iter().find(|one| one.name == column);
        serde_json::to_value(&found.expect(column).pg_type).unwrap()
    }

    /// A part as it is written in a type: its oid, and what it is.
    fn part(&self, name: &str, pg_type: Value) -> Value {
        let oid = self
            .oids
            .query_one_text(&format!("SELECT '{name}'::regtype::oid"));
        json!({"oid": oid.parse::<u32>().unwrap(), "type": pg_type})
    }

    #[track_caller]
    fn is(&self, column: &str, expected: Value) {
        assert_eq!(self.json(column), expected, "{column}");
    }

    fn text_reason(&self, column: &str) -> Option<String> {
        let columns = &self.plan.columns;
        let found = columns.iter().find(|one| one.name == column);
        found.expect(column).text_reason.clone()
    }
}

const ZOO: &str = "
    CREATE EXTENSION citext; CREATE EXTENSION hstore; CREATE EXTENSION ltree;
    CREATE EXTENSION isn; CREATE EXTENSION seg;
    CREATE SCHEMA odd;
    CREATE TYPE odd.mood AS ENUM ('sad', 'ok');
    ALTER TYPE odd.mood ADD VALUE 'mid' BEFORE 'ok';
    CREATE DOMAIN odd.cents AS numeric(10, 2);
    CREATE DOMAIN odd.few AS odd.cents CHECK (VALUE < 100);
    CREATE DOMAIN odd.list AS numeric(7, 3)[];
    CREATE TYPE odd.inner_part AS (m odd.mood, gone int, f odd.few);
    ALTER TYPE odd.inner_part DROP ATTRIBUTE gone;
    ALTER TYPE odd.inner_part ADD ATTRIBUTE n numeric(5, 1)[];
    CREATE TYPE odd.outer_part AS (\"In\" odd.inner_part[], ok bool);
    CREATE TYPE odd.holder AS (a int, x xml);
    CREATE TYPE odd.span AS RANGE (subtype = float8);
    CREATE TYPE odd.hstore AS (k text);
    CREATE TABLE zoo (
        deep odd.outer_part, few odd.few, fews odd.few[], list odd.list, moods odd.mood[],
        amounts numeric(10, 2)[], stamps timestamptz[], names name[],
        span odd.span, days daterange, own odd.hstore,
        c citext, h hstore, l ltree, q lquery[], tq ltxtquery, r refcursor, j jsonpath,
        o oid, rc regclass, x xid, ci cid, lsn pg_lsn, bits bit(3), vb varbit, m money, ms money[],
        i inet, ci2 cidr, ma macaddr, m8 macaddr8, iv interval(3), tz timetz,
        p point, li line, ls lseg, b box, pa path, po polygon, ci3 circle,
        vec2 int2vector, vecoid oidvector, tv tsvector, t tid, xm xml, holder odd.holder,
        acl aclitem[], isbn isbn, sg seg, snap txid_snapshot, zoo_row pg_class
    )";

/// What every version walks alike.
fn check_zoo(walked: &Walked) {
    let numeric = |precision, scale| json!({"numeric": {"precision": precision, "scale": scale}});
    let array = |part: Value| json!({"array": {"element": part}});
    let mood = json!({"enum": {"labels": ["sad", "mid", "ok"]}});
    let inner = json!({"composite": {"attributes": [
        {"name": "m", "oid": walked.part("odd.mood", mood.clone())["oid"], "type": mood},
        {"name": "f", "oid": walked.part("odd.few", Value::Null)["oid"], "type": numeric(10, 2)},
        {"name": "n", "oid": 1231, "type": array(json!({"oid": 1700, "type": numeric(5, 1)}))},
    ]}});
    let inners = array(walked.part("odd.inner_part", inner));
    walked.is(
        "deep",
        json!({"composite": {"attributes": [
            {"name": "In", "oid": walked.part("odd.inner_part[]", Value::Null)["oid"],
             "type": inners},
            {"name": "ok", "oid": 16, "type": "bool"},
        ]}}),
    );
    walked.is("few", numeric(10, 2));
    walked.is("fews", array(walked.part("odd.few", numeric(10, 2))));
    walked.is("list", array(walked.part("numeric", numeric(7, 3))));
    walked.is("moods", array(walked.part("odd.mood", mood)));
    walked.is("amounts", array(walked.part("numeric", numeric(10, 2))));
    walked.is(
        "stamps",
        array(walked.part("timestamptz", json!("timestamptz"))),
    );
    walked.is("names", array(walked.part("name", json!("name"))));
    let range = |part: Value| json!({"range": {"subtype": part}});
    walked.is("span", range(walked.part("float8", json!("float8"))));
    walked.is("days", range(walked.part("date", json!("date"))));
    let key = json!({"name": "k", "oid": 25, "type": "text"});
    walked.is("own", json!({"composite": {"attributes": [key]}}));
    walked.is("q", array(walked.part("lquery", json!("versioned_text"))));
    walked.is(
        "ms",
        array(walked.part("money", json!({"money": {"scale": 2}}))),
    );
    walked.is("m", json!({"money": {"scale": 2}}));
    let acl = walked.part("aclitem", json!({"other": "no_binary_form"}));
    walked.is("acl", array(acl));
    check_leaves(walked);
}

/// Types without parts, and those that are text.
fn check_leaves(walked: &Walked) {
    for (columns, kind) in [
        (&["c", "r"][..], "text"),
        (&["h"], "hstore"),
        (&["l", "tq", "j"], "versioned_text"),
        (&["o", "rc", "x", "ci"], "oid"),
        (&["lsn"], "pg_lsn"),
        (&["bits", "vb"], "bit_string"),
        (&["i"], "inet"),
        (&["ci2"], "cidr"),
        (&["ma"], "macaddr"),
        (&["m8"], "macaddr8"),
        (&["iv"], "interval"),
        (&["tz"], "timetz"),
        (&["p"], "point"),
        (&["li"], "line"),
        (&["ls"], "lseg"),
        (&["b"], "box"),
        (&["pa"], "path"),
        (&["po"], "polygon"),
        (&["ci3"], "circle"),
    ] {
        for column in columns {
            walked.is(column, json!(kind));
        }
    }
    for column in ["vec2", "vecoid", "tv", "t", "xm", "snap"] {
        walked.is(column, json!({"other": "text_is_exact"}));
    }
    walked.is("isbn", json!({"other": "no_binary_form"}));
    walked.is("sg", json!({"other": "no_binary_form"}));
    for column in ["holder", "acl", "isbn", "zoo_row"] {
        assert!(
            walked.text_reason(column).is_some(),
            "{column} is read as text"
        );
    }
    for column in ["deep", "moods", "fews", "few", "own"] {
        assert_eq!(
            walked.text_reason(column),
            None,
            "{column} is read as it is"
        );
    }
}

#[test]
fn every_kind_of_type_is_walked_alike_on_every_version() {
    for major in [13, 14, 15, 18] {
        let database = Database::create_on(major, "zoo");
        database.execute(ZOO);
        check_zoo(&Walked::of(&database, "zoo"));
        if major == 13 {
            continue;
        }
        database.execute(
            "CREATE TABLE later (x8 xid8, ps pg_snapshot, days datemultirange,
                spans odd.span[], own int4multirange[])",
        );
        let walked = Walked::of(&database, "later");
        walked.is("x8", json!("xid8"));
        walked.is("ps", json!({"other": "text_is_exact"}));
        let date = walked.part("date", json!("date"));
        walked.is("days", json!({"multirange": {"subtype": date}}));
        let multirange = json!({"multirange": {"subtype": walked.part("int4", json!("int4"))}});
        let element = walked.part("int4multirange", multirange);
        walked.is("own", json!({"array": {"element": element}}));
    }
}

#[test]
fn domains_tell_their_base_as_sql_declares_it() {
    let database = Database::create("zoo_domains");
    database.execute(
        "CREATE DOMAIN a AS numeric(10, 2); CREATE DOMAIN b AS a; CREATE TABLE t (x b, y int)",
    );
    let columns = Walked::of(&database, "t").plan.schema.columns;
    assert_eq!(columns[0].type_name, "public.b");
    assert_eq!(columns[0].base_type.as_deref(), Some("numeric(10,2)"));
    assert_eq!(columns[1].base_type, None);
}

#[test]
fn pgvector_and_postgis_tell_what_their_columns_declare() {
    let database = Database::create_on(18, "zoo_vector");
    database.execute(
        "CREATE EXTENSION vector;
         CREATE TABLE t (v vector(3), any_v vector, h halfvec(2)[], s sparsevec(9))",
    );
    let walked = Walked::of(&database, "t");
    walked.is("v", json!({"vector": {"dimensions": 3}}));
    walked.is("any_v", json!({"vector": {"dimensions": null}}));
    let half = walked.part("halfvec", json!({"halfvec": {"dimensions": 2}}));
    walked.is("h", json!({"array": {"element": half}}));
    walked.is("s", json!("sparsevec"));

    let database = Database::create_on(15, "zoo_postgis");
    database.execute(
        "CREATE EXTENSION postgis;
         CREATE TABLE t (g geometry, p geometry(PointZ, 4326), q geography, r geography(Point),
            s geometry(Geometry, 31370)[], t geometry(Point))",
    );
    let walked = Walked::of(&database, "t");
    let geometry = |srid: Option<i32>, geography: bool| json!({"geometry": {"srid": srid, "geography": geography}});
    walked.is("g", geometry(None, false));
    walked.is("p", geometry(Some(4326), false));
    walked.is("q", geometry(None, true));
    walked.is("r", geometry(Some(4326), true));
    walked.is("t", geometry(None, false));
    let element = walked.part("geometry", geometry(Some(31370), false));
    walked.is("s", json!({"array": {"element": element}}));
}

#[test]
fn a_views_pseudo_types_and_a_tower_of_types_are_text() {
    let database = Database::create("zoo_tower");
    database.execute(
        "CREATE TYPE c0 AS (a int);
         DO $$ BEGIN FOR i IN 1..20 LOOP
            EXECUTE format('CREATE TYPE c%s AS (a c%s, b c%s)', i, i - 1, i - 1);
         END LOOP; END $$;
         CREATE TABLE t (high c20, low c3)",
    );
    let walked = Walked::of(&database, "t");
    assert!(walked.text_reason("high").is_some());
    assert_eq!(walked.text_reason("low"), None);
    let columns = &Walked::of(&database, "pg_catalog.pg_stats")
        .plan
        .schema
        .columns;
    let anyarray = columns.iter().find(|c| c.name == "most_common_vals");
    let PgType::Other(reason) = &anyarray.unwrap().pg_type else {
        panic!("{anyarray:?}");
    };
    assert_eq!(reason.as_str(), "it has no binary form");
}
