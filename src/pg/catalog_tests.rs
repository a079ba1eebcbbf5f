//! Choosing and comparing columns, without a server.

use super::relations::estimated_rows;
use super::*;
use crate::pg_type::{Attribute, PgType, TypeRef};
use crate::table::Relation;

fn column_named(name: &str) -> Column {
    Column {
        type_name: "integer".into(),
        type_oid: 23,
        ..Column::new(name, PgType::Int4)
    }
}

fn relation(oid: u32, name: &str) -> Relation {
    Relation {
        name: TableName::new("s", name),
        oid,
        has_ctid: true,
        table_bytes: u64::from(oid),
        heap_pages: 1,
        estimated_rows: None,
    }
}

fn schema(columns: &[&str]) -> TableSchema {
    TableSchema {
        name: TableName::new("s", "t"),
        oid: 7,
        kind: RelationKind::Partitioned,
        columns: columns.iter().map(|name| column_named(name)).collect(),
        primary_key: Vec::new(),
        relations: vec![relation(8, "p1"), relation(9, "p2")],
    }
}

fn names(schema: &TableSchema) -> Vec<&str> {
    schema
        .columns
        .iter()
        .map(|column| column.name.as_str())
        .collect()
}

#[test]
fn columns_come_in_the_order_asked_for_or_as_the_table_has_them() {
    let table = schema(&["a", "b", "c"]);
    let chosen = select_columns(&table, Some(&["c".into(), "a".into()]), &[]).unwrap();
    assert_eq!(names(&chosen), ["c", "a"]);
    let chosen = select_columns(&table, None, &["b".into()]).unwrap();
    assert_eq!(names(&chosen), ["a", "c"]);
}

#[test]
fn an_unknown_column_is_refused_and_the_nearest_offered() {
    let table = schema(&["customer_id", "note"]);
    let error = select_columns(&table, Some(&["custmer_id".into()]), &[]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert_eq!(error.advice(), Some("did you mean \"customer_id\"?"));
    assert!(select_columns(&table, None, &["zzz".into()]).is_err());
    assert!(select_columns(&table, Some(&["note".into(), "note".into()]), &[]).is_err());
}

#[test]
fn differences_name_what_changed_and_sizes_do_not_count() {
    let before = schema(&["a", "b"]);
    let mut now = schema(&["a", "c"]);
    now.columns[0].type_name = "bigint".into();
    now.relations[0].table_bytes = 99;
    now.relations[1] = relation(10, "p3");
    assert_eq!(
        schema_differences(&before, &now),
        [
            "column \"a\" was integer and is bigint",
            "column \"b\" is gone",
            "column \"c\" is new",
            "partition s.p2 is gone",
            "partition s.p3 is new",
        ]
    );
    assert!(schema_differences(&before, &before).is_empty());
}

#[test]
fn an_enum_that_gained_a_label_is_a_difference() {
    let mut before = schema(&["a"]);
    before.columns[0].pg_type = PgType::Enum {
        labels: vec!["x".into()],
    };
    let mut now = before.clone();
    now.columns[0].pg_type = PgType::Enum {
        labels: vec!["x".into(), "y".into()],
    };
    assert_eq!(schema_differences(&before, &now).len(), 1);
}

#[test]
fn a_change_deep_inside_a_type_is_a_difference() {
    let holding = |labels: &[&str], attribute: &str, oid: u32| {
        let labels = labels.iter().map(|label| (*label).to_owned()).collect();
        let array = PgType::Array {
            element: Box::new(TypeRef {
                oid,
                pg_type: PgType::Enum { labels },
            }),
        };
        let mut table = schema(&["a"]);
        table.columns[0].pg_type = PgType::Composite {
            attributes: vec![Attribute {
                name: attribute.into(),
                of: TypeRef {
                    oid: 9,
                    pg_type: array,
                },
            }],
        };
        table
    };
    let before = holding(&["x"], "f", 7);
    let altered = "the type integer of column \"a\" was altered";
    for now in [
        holding(&["y"], "f", 7),
        holding(&["x"], "g", 7),
        holding(&["x"], "f", 8),
    ] {
        assert_eq!(schema_differences(&before, &now), [altered]);
    }
    assert!(schema_differences(&before, &holding(&["x"], "f", 7)).is_empty());
}

#[test]
fn estimates_scale_with_the_pages_of_today() {
    assert_eq!(estimated_rows(100.0, 10, 20), Some(200));
    assert_eq!(estimated_rows(-1.0, 0, 20), None);
    assert_eq!(estimated_rows(0.0, 0, 20), None);
    assert_eq!(estimated_rows(-1.0, 0, 0), Some(0));
    assert_eq!(estimated_rows(100.0, 0, 20), Some(100));
}
