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

/// Key and time chunks over columns of the result: every row once, whatever the type's order.
#[test]
fn a_query_is_cut_by_a_key_or_by_time_over_a_column_of_its_result() {
    let database = database("querykey");
    database.execute("CREATE VIEW v AS SELECT id, kind, md5(id::text) AS note FROM t");
    let dsn = database.dsn();
    let query = "SELECT id, NULLIF(kind, 2) AS kind, md5(id::text) COLLATE \"C\" AS note, at,
        at::date AS day FROM public.t";
    let of_query = ["--query", query, "--name", "q.q"];
    let of_view = ["--table", "public.v"];
    for (source, by, chunks) in [
        (&of_query[..], "key:id", 9),
        (&of_query, "key:note", 9),
        (&of_query, "key:kind,id", 9),
        (&of_query, "key:kind", 3),
        (&of_query, "time:at:10 days", 6),
        (&of_query, "time:day:1 month", 4),
        (&of_query, "offset", 9),
        (&of_view, "key:note", 9),
    ] {
        let root = TempRoot::new();
        let to = root.path().display().to_string();
        let mut args = vec!["export", "--from", &dsn, "--to", &to, "--output", "json"];
        args.extend(source);
        args.extend(["--chunk-by", by, "--chunk-rows", "100"]);
        let report = pgsluice(&args).expect_code(0).json();
        let found = report["tables"][0]["totals"]["chunks"].as_u64().unwrap();
        assert!(
            found.abs_diff(chunks) <= 2 && found > 1,
            "{by}: {found} chunks"
        );
        let folder = if source.len() == 4 { "q/q" } else { "public/v" };
        assert_eq!(
            sorted_ids(&root, folder),
            (1..=900).collect::<Vec<_>>(),
            "{by}"
        );
        let folder = format!("{to}/{folder}");
        let verify = ["verify", &folder, "--against", &dsn, "--output", "json"];
        pgsluice(&verify).expect_code(0);
    }
    for (by, says) in [
        ("key:nosuch", "no column"),
        ("key", "key"),
        ("time:note:1 day", "note"),
    ] {
        let to = TempRoot::new().path().display().to_string();
        let mut args = vec!["export", "--from", &dsn, "--to", &to, "--chunk-by", by];
        args.extend(of_query);
        let outcome = pgsluice(&args);
        if by != "key" {
            assert_eq!(outcome.code, Some(2), "{by}: {outcome}");
            assert!(outcome.stderr.contains(says), "{by}: {outcome}");
        }
    }
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
