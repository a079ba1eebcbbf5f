//! Keys that cannot be, and keys that can at a price: said before anything is read.

use std::time::Duration;

use super::{plan, reads_each_row_once};
use crate::rig::{self, Database, pgsluice};

/// What `plan` says of a key that it refuses, with this exit code.
fn refusal(database: &Database, table: &str, chunk_by: &str, code: i32) -> String {
    let mut command = pgsluice();
    let dsn = database.dsn();
    command.args([
        "plan",
        "--from",
        &dsn,
        "--table",
        table,
        "--chunk-by",
        chunk_by,
    ]);
    rig::run(&mut command, Duration::from_secs(60))
        .expect_code(code)
        .stderr
}

#[test]
fn keys_that_cannot_be_are_refused_with_advice() {
    let database = Database::create("refused");
    database.execute(
        "CREATE COLLATION odd (provider = icu, locale = 'und', deterministic = false);
         CREATE COLLATION even (provider = icu, locale = 'und');
         CREATE TYPE pair AS (a int, b int); CREATE TYPE bag AS (doc json);
         CREATE EXTENSION citext;
         CREATE TABLE t (id int8 PRIMARY KEY, created_at date, doc json, docs json[], x text COLLATE odd,
             p pair, place point, kind regclass, c citext, names name COLLATE even)",
    );
    let said = |key: &str, code: i32, words: &[&str]| {
        let said = refusal(&database, "t", key, code);
        for word in words {
            assert!(said.contains(word), "{key}: {word:?} is not in\n{said}");
        }
    };
    said(
        "key:create_at",
        2,
        &["no column \"create_at\"", "did you mean \"created_at\"?"],
    );
    said(
        "key:doc",
        2,
        &["of type json", "cannot be ordered", "another column"],
    );
    said("key:place", 2, &["of type point", "cannot be ordered"]);
    said("key:p", 2, &["of type public.pair", "cannot be ordered"]);
    said("key:kind", 2, &["of type regclass", "cannot be ordered"]);
    said("key:docs", 2, &["cannot be ordered", "another column"]);
    said(
        "key:x",
        7,
        &["\"x\"", "public.odd", "not deterministic", "another column"],
    );
    said("key:names", 2, &["cannot be ordered"]);
    said("key:id,id", 2, &["named twice"]);
    said("key:id,c", 2, &["different schemas"]);
}

#[test]
fn keys_at_a_price_are_taken_and_the_price_is_told() {
    let database = Database::create("price");
    database.execute(
        "CREATE TABLE t (row_id int8 NOT NULL, bare int, poor int, common int, late date);
         INSERT INTO t SELECT i, i, i * 7919 % 20011, CASE WHEN i % 2 = 0 THEN 5 ELSE i END
             FROM generate_series(1, 20000) i;
         CREATE INDEX ON t (poor); CREATE INDEX ON t (common); ALTER TABLE t ALTER bare SET NOT NULL;
         ANALYZE t; CREATE TABLE fresh AS SELECT * FROM t",
    );
    let risks = |table: &str, key: &str| {
        let plan = plan(
            &database,
            table,
            &["--chunk-by", key, "--chunk-rows", "1000"],
        );
        reads_each_row_once(&database.session(), &format!("public.{table}"), &plan);
        assert!(
            plan["plan"]["chunks"].as_array().unwrap().len() > 10,
            "{plan:#}"
        );
        plan["plan"]["relations"][0]["risks"].to_string()
    };
    let bare = risks("t", "key:bare");
    assert!(
        bare.contains("no index leads with") && bare.contains("scans the whole table"),
        "{bare}"
    );
    assert!(
        !bare.contains("can be NULL") && bare.contains("replica identity"),
        "{bare}"
    );
    let poor = risks("t", "key:poor");
    assert!(
        poor.contains("spread over many pages") && poor.contains("can be NULL"),
        "{poor}"
    );
    let common = risks("t", "key:common");
    assert!(common.contains("rows of one key stay together"), "{common}");
    let fresh = risks("fresh", "key:poor");
    assert!(
        fresh.contains("never analyzed") && fresh.contains("no index leads"),
        "{fresh}"
    );
}

#[test]
fn a_composite_key_is_taken_where_its_first_column_is_too_coarse() {
    let database = Database::create("composite");
    database.execute(
        "CREATE TABLE t (tenant int, row_id int8, v text, PRIMARY KEY (tenant, row_id));
         INSERT INTO t SELECT i / 10000, i, 'x' FROM generate_series(0, 29999) i; ANALYZE t",
    );
    let plan = plan(&database, "t", &["--chunk-rows", "1000"]);
    let relation = &plan["plan"]["relations"][0];
    assert_eq!(relation["key"][1]["name"], "row_id", "{relation:#}");
    assert_eq!(relation["ordered"], true);
    assert_eq!(plan["chunks"].as_array().unwrap().len(), 30);
    reads_each_row_once(&database.session(), "public.t", &plan);
}
