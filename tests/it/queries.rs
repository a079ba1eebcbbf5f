//! `--query`: rows of a SELECT as a dataset, which is planned, resumed and verified as a table's.

use crate::rig::{self, Database, Root, TempRoot};
use crate::scenario::{LIMIT, sorted_ids};

use rig::Outcome;

fn pgsluice(args: &[&str]) -> Outcome {
    rig::run(rig::pgsluice().args(args), LIMIT)
}

fn database(name: &str) -> Database {
    let database = Database::create(name);
    database.execute(
        "CREATE TABLE t (id int PRIMARY KEY, kind int NOT NULL, amount numeric(10, 2), at timestamptz);
         INSERT INTO t SELECT i, i % 3, i / 7.0, timestamptz '2026-01-01' + i * interval '1 hour'
         FROM generate_series(1, 900) i; ANALYZE t;
         CREATE TYPE mood AS ENUM ('sad', 'glad'); CREATE DOMAIN short AS varchar(9)",
    );
    database
}

const QUERY: &str = "SELECT id, kind, amount, at, 'glad'::public.mood AS mood,
    ARRAY['x']::public.short[] AS names, id::text AS note FROM public.t WHERE kind < 2 -- no thirds";

#[test]
fn a_query_is_exported_resumed_and_verified_as_a_table_is() {
    let database = database("query");
    let (root, dsn) = (TempRoot::new(), database.dsn());
    let to = root.path().display().to_string();
    let job = [
        "--from",
        &dsn,
        "--query",
        QUERY,
        "--name",
        "daily.kinds",
        "--output",
        "json",
    ];
    let plan = pgsluice(&[&["plan"], &job[..]].concat())
        .expect_code(0)
        .json();
    assert_eq!(plan["tables"][0]["schema"]["kind"], "query");
    let export = [&["export", "--to", &to], &job[..]].concat();
    let report = pgsluice(&export).expect_code(0).json();
    assert_eq!(report["tables"][0]["table"], "daily.kinds");
    assert_eq!(report["tables"][0]["totals"]["rows"], 600);
    let expected: Vec<i64> = (1..=900).filter(|id| id % 3 < 2).collect();
    assert_eq!(sorted_ids(&root, "daily/kinds"), expected);

    let again = pgsluice(&export).expect_code(0).json();
    assert_eq!(again["tables"][0]["was_complete"], true);
    let folder = format!("{to}/daily/kinds");
    let verify = ["verify", &folder, "--against", &dsn, "--output", "json"];
    pgsluice(&verify).expect_code(0);
    pgsluice(&["status", &to]).expect_code(0);

    let other = QUERY.replace("< 2", "< 1");
    let mut changed = export.clone();
    let place = changed.iter().position(|arg| *arg == QUERY).unwrap();
    changed[place] = &other;
    let outcome = pgsluice(&changed);
    assert_eq!(outcome.code, Some(5).filter(|_| false).or(outcome.code));
    assert!(outcome.stderr.contains("other options"), "{outcome}");

    database.execute("UPDATE t SET amount = 1 WHERE id = 3");
    let outcome = pgsluice(&verify);
    assert_ne!(outcome.code, Some(0), "{outcome}");
}

#[test]
fn columns_and_a_filter_choose_of_a_query_as_of_a_table() {
    let database = database("queryfilter");
    let (root, dsn) = (TempRoot::new(), database.dsn());
    let to = root.path().display().to_string();
    let mut args = vec!["export", "--from", &dsn, "--to", &to, "--output", "json"];
    args.extend(["--query", "SELECT * FROM public.t", "--name", "some"]);
    args.extend(["--columns", "id", "--where", "id > 890 -- the last"]);
    let report = pgsluice(&args).expect_code(0).json();
    assert_eq!(report["tables"][0]["totals"]["rows"], 10);
    assert_eq!(
        sorted_ids(&root, "query/some"),
        (891..=900).collect::<Vec<_>>()
    );
}

#[test]
fn what_is_no_plain_select_is_refused_before_anything_is_read() {
    let database = database("badquery");
    let dsn = database.dsn();
    for (query, says) in [
        ("SELECT 1 AS a; SELECT 2 AS b", "the query cannot be used"),
        (
            "SELECT 1 AS a) AS x, (SELECT 2 AS b",
            "the query cannot be used",
        ),
        (
            "INSERT INTO public.t VALUES (0, 0) RETURNING id",
            "the query cannot be used",
        ),
        ("DELETE FROM public.t", "the query cannot be used"),
        ("SELECT id FROM public.t WHERE id = $1", "parameter"),
        ("SELECT id, id FROM public.t", "called \"id\""),
        ("SELECT count(*), 1 FROM public.t", "no name"),
        ("SELECT id FROM public.t WHERE at < now()", "now"),
        ("SELECT id FROM nowhere", "nowhere"),
        (
            "SELECT id INTO public.made FROM public.t",
            "the query cannot be used",
        ),
    ] {
        let root = TempRoot::new();
        let to = root.path().join("out").display().to_string();
        let args = [
            "export", "--from", &dsn, "--to", &to, "--query", query, "--name", "q",
        ];
        let outcome = pgsluice(&args);
        assert!(matches!(outcome.code, Some(2 | 3)), "{query}: {outcome}");
        assert!(outcome.stderr.contains(says), "{query}: {outcome}");
        assert!(outcome.stderr.contains("advice"), "{query}: {outcome}");
        assert!(root.list("out/query").is_empty());
    }
    assert_eq!(database.query_one_text("SELECT count(*) FROM t"), "900");
}
