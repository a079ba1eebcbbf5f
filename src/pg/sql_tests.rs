//! The SQL of chunks, word for word.

use super::*;
use crate::chunk::{ChunkId, ChunkMethod, Key};

fn key_column(name: &str, type_name: &str, is_nullable: bool) -> KeyColumn {
    KeyColumn {
        name: name.into(),
        type_name: type_name.into(),
        operators: "pg_catalog".into(),
        collation: None,
        is_nullable,
    }
}

fn relation(columns: Vec<KeyColumn>) -> PlannedRelation {
    PlannedRelation {
        method: ChunkMethod::Key,
        key: Some(Key { columns }),
        ordered: true,
        ..PlannedRelation::whole(TableName::new("s\"x", "t;--"), 1, "")
    }
}

fn int_key() -> PlannedRelation {
    relation(vec![key_column("k", "pg_catalog.int8", true)])
}

fn column(name: &str, as_text: bool) -> SelectColumn {
    SelectColumn {
        name: name.into(),
        as_text,
        is_xml: false,
    }
}

fn select(relations: Vec<PlannedRelation>, range: Range, columns: &[SelectColumn]) -> String {
    let chunk = Chunk {
        id: ChunkId(0),
        relation: 0,
        range,
        folder: None,
        estimated_rows: 0,
        estimated_bytes: 0,
    };
    let plan = Plan {
        relations,
        chunks: Vec::new(),
    };
    chunk_select(&plan, &chunk, columns, Some("x > 1 -- note"))
}

fn range(lower: Option<&[&str]>, upper: Option<&[&str]>) -> Range {
    let bound = |texts: &[&str]| Bound(texts.iter().map(|text| (*text).to_owned()).collect());
    Range::Key {
        lower: lower.map(bound),
        upper: upper.map(bound),
    }
}

#[test]
fn a_chunk_select_quotes_names_and_fences_the_filter() {
    let columns = [column("k", false), column("a\"b", true)];
    let range = range(Some(&["-9223372036854775808"]), Some(&["7"]));
    assert_eq!(
        select(vec![int_key()], range, &columns),
        "SELECT \"k\", CASE pg_catalog.num_nulls(\"a\"\"b\") WHEN 0 THEN \
         pg_catalog.format('%s', \"a\"\"b\") END AS \"a\"\"b\" FROM ONLY \"s\"\"x\".\"t;--\" \
         WHERE (\"k\" >= '-9223372036854775808'::pg_catalog.int8 AND \
         \"k\" < '7'::pg_catalog.int8) AND (\nx > 1 -- note\n) ORDER BY \"t;--\".\"k\""
    );
}

#[test]
fn several_relations_of_a_pack_are_read_one_after_another() {
    let whole = |name: &str| PlannedRelation::whole(TableName::new("s", name), 1, "");
    let sql = select(
        vec![whole("a"), whole("b")],
        Range::Pack { upper: 2 },
        &[column("k", false)],
    );
    assert_eq!(
        sql,
        "SELECT \"k\" FROM ONLY \"s\".\"a\" WHERE (\nx > 1 -- note\n) UNION ALL \
         SELECT \"k\" FROM ONLY \"s\".\"b\" WHERE (\nx > 1 -- note\n)"
    );
    assert_eq!(
        copy_statement("SELECT 1"),
        "COPY (SELECT 1) TO STDOUT (FORMAT binary)"
    );
}

#[test]
fn open_key_ranges_leave_null_keys_to_their_own_chunk() {
    let shown = |range| predicate(&int_key(), &range);
    assert_eq!(shown(range(None, None)).unwrap(), "\"k\" IS NOT NULL");
    assert_eq!(
        shown(range(None, Some(&["3"]))).unwrap(),
        "\"k\" < '3'::pg_catalog.int8"
    );
    assert_eq!(shown(Range::NullKey).unwrap(), "\"k\" IS NULL");
    let never_null = relation(vec![key_column("k", "pg_catalog.int8", false)]);
    assert_eq!(predicate(&never_null, &range(None, None)), None);
}

#[test]
fn rows_without_a_later_key_column_are_in_no_range_of_a_composite_key() {
    let mut columns = vec![
        key_column("a", "pg_catalog.text", false),
        key_column("b", "public.citext", true),
    ];
    for column in &mut columns {
        column.operators = "Ext".into();
    }
    let relation = relation(columns);
    assert_eq!(
        predicate(&relation, &range(Some(&["it's", "x"]), None)).unwrap(),
        "ROW(\"a\", \"b\") OPERATOR(\"Ext\".>=) \
         ROW('it''s'::pg_catalog.text, 'x'::public.citext) AND \"b\" IS NOT NULL"
    );
    assert_eq!(
        predicate(&relation, &Range::NullKey).unwrap(),
        "\"b\" IS NULL"
    );
}

#[test]
fn times_are_literals_of_the_columns_type() {
    let at = |type_name: &str| {
        let relation = relation(vec![key_column("t", type_name, false)]);
        let range = Range::Time {
            lower: Some(1_795_305_600_000_000),
            upper: Some(-62_135_596_800_000_000),
        };
        predicate(&relation, &range).unwrap()
    };
    assert_eq!(
        at("pg_catalog.timestamptz"),
        "\"t\" >= '2026-11-22 00:00:00.000000+00'::pg_catalog.timestamptz AND \
         \"t\" < '0001-01-01 00:00:00.000000+00'::pg_catalog.timestamptz"
    );
    assert!(at("pg_catalog.date").starts_with("\"t\" >= '2026-11-22'::pg_catalog.date"));
    assert!(at("pg_catalog.timestamp").contains("'2026-11-22 00:00:00.000000'::"));
}

#[test]
fn the_last_page_range_is_open() {
    let ctid = |lower, upper| predicate(&int_key(), &Range::Ctid { lower, upper }).unwrap();
    assert_eq!(ctid(8, None), "ctid >= '(8,0)'::pg_catalog.tid");
    assert_eq!(
        ctid(0, Some(8)),
        "ctid >= '(0,0)'::pg_catalog.tid AND ctid < '(8,0)'::pg_catalog.tid"
    );
}

#[test]
fn places_are_counted_in_the_order_of_all_columns_texts() {
    let relation = PlannedRelation {
        query: Some("SELECT 1 AS k -- one".into()),
        ..PlannedRelation::whole(TableName::new("query", "q"), 0, "")
    };
    let range = Range::Offset {
        lower: 10,
        upper: Some(30),
    };
    let sql = select(vec![relation], range, &[column("k", false)]);
    assert!(
        sql.starts_with("SELECT \"k\" FROM (\nSELECT 1 AS k -- one\n) AS q WHERE"),
        "{sql}"
    );
    assert!(
        sql.ends_with("\"k\") END COLLATE pg_catalog.\"C\" OFFSET 10 LIMIT 20"),
        "{sql}"
    );
}

#[test]
fn a_window_excludes_its_lower_bound() {
    let mut window = Window {
        column: key_column("v", "pg_catalog.int4", true),
        lower: Some("5".into()),
        upper: Some("9".into()),
        with_nulls: false,
    };
    assert_eq!(
        window_predicate(&window),
        "\"v\" > '5'::pg_catalog.int4 AND \"v\" <= '9'::pg_catalog.int4"
    );
    (window.lower, window.with_nulls) = (None, true);
    assert_eq!(
        window_predicate(&window),
        "(\"v\" <= '9'::pg_catalog.int4) OR \"v\" IS NULL"
    );
    window.upper = None;
    assert_eq!(window_predicate(&window), "(false) OR \"v\" IS NULL");
}

#[test]
fn literals_double_their_quotes() {
    assert_eq!(quote_literal("it's \\"), "'it''s \\'");
}
