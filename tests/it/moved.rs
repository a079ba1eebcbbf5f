//! Relations that go by another name, or by a name that is not theirs, while a dataset is made.

use crate::rig::{Database, TempRoot};
use crate::scenario::{export, sorted_ids, try_export, verify};

const CHILDREN: [&str; 7] = [
    "--include-children",
    "--chunk-by",
    "key:id",
    "--chunk-rows",
    "1000",
    "--lock-timeout",
    "2s",
];

#[test]
fn a_child_that_changed_its_name_is_no_other_relation() {
    let database = Database::create("renamed_child");
    database.execute(
        "CREATE TABLE m (id int, t text);
         CREATE TABLE c1 () INHERITS (m); CREATE TABLE c2 () INHERITS (m);
         INSERT INTO c1 SELECT i, 'one' FROM generate_series(1, 3000) i;
         INSERT INTO c2 SELECT i, 'two' FROM generate_series(3001, 6000) i;
         CREATE INDEX ON c1 (id); CREATE INDEX ON c2 (id); ANALYZE",
    );
    let root = TempRoot::new();
    let paused = [&CHILDREN[..], &["--max-chunks", "2"]].concat();
    let report = export(&database, "m", &root, &paused);
    assert_eq!(report["tables"][0]["state"], "paused", "{report}");
    database.execute(
        "ALTER TABLE c2 RENAME TO c2_new; CREATE TABLE c2 (id int, t text);
         INSERT INTO c2 SELECT i, 'stranger' FROM generate_series(1, 5) i",
    );
    let refused = try_export(&database, "m", &root, &CHILDREN).expect_code(5);
    assert!(refused.stderr.contains("is now"), "{}", refused.stderr);
    database.execute("DROP TABLE c2; ALTER TABLE c2_new RENAME TO c2");
    export(&database, "m", &root, &CHILDREN);
    assert_eq!(
        sorted_ids(&root, "public/m"),
        (1..=6000).collect::<Vec<_>>()
    );
    verify(&root);
}

#[test]
fn a_partition_that_is_being_detached_is_told_before_anything_is_read() {
    let database = Database::create("detaching");
    database.execute(
        "CREATE TABLE p (id int) PARTITION BY RANGE (id);
         CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);
         CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (10) TO (20);
         INSERT INTO p SELECT i FROM generate_series(0, 19) i",
    );
    // It waits for whoever has read the table, and is cut off.
    let reader = database.session();
    reader.execute("BEGIN");
    reader.execute("SELECT * FROM p");
    let owner = database.session();
    owner.execute("SET statement_timeout TO '300ms'");
    assert!(
        owner
            .try_execute("ALTER TABLE p DETACH PARTITION p1 CONCURRENTLY")
            .is_err()
    );
    reader.execute("COMMIT");
    let root = TempRoot::new();
    let refused = try_export(&database, "p", &root, &[]).expect_code(7);
    assert!(refused.stderr.contains("FINALIZE"), "{}", refused.stderr);
    database.execute("ALTER TABLE p DETACH PARTITION p1 FINALIZE");
    export(&database, "p", &root, &[]);
    assert_eq!(sorted_ids(&root, "public/p"), (10..20).collect::<Vec<_>>());
}

#[test]
fn a_filter_may_name_its_table_whatever_the_partitions_are_called() {
    let database = Database::create("named_filter");
    database.execute(
        "CREATE TABLE p (id int) PARTITION BY RANGE (id);
         CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);
         CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (10) TO (20);
         INSERT INTO p SELECT i FROM generate_series(0, 19) i;
         CREATE TABLE x (id int, pid int); INSERT INTO x VALUES (1, 3), (2, 15);
         CREATE INDEX ON p (id); ANALYZE",
    );
    let filter = "EXISTS (SELECT FROM public.x WHERE x.pid = p.id)";
    for by in ["auto", "key:id", "none"] {
        let root = TempRoot::new();
        let flags = ["--where", filter, "--chunk-by", by, "--chunk-rows", "5"];
        export(&database, "p", &root, &flags);
        assert_eq!(sorted_ids(&root, "public/p"), [3, 15], "{by}");
        verify(&root);
    }
    // With its schema it could be said of the table alone: refused before anything is written.
    let root = TempRoot::new();
    let refused = try_export(&database, "p", &root, &["--where", "public.p.id > 3"]);
    refused.expect_code(2);
    assert!(!root.path().join("public/p/_pgsluice").exists());
}

#[test]
fn texts_that_need_be_no_utf8_bound_no_chunks() {
    let database = Database::create("ascii_keys");
    let name = format!("{}_ascii", database.name());
    database.execute(&format!(
        "CREATE DATABASE {name} ENCODING 'SQL_ASCII' TEMPLATE template0 LOCALE 'C'"
    ));
    let dsn = database.dsn().replace(database.name(), &name);
    let session = crate::rig::Session::open(&dsn);
    session.execute(
        "CREATE TABLE t (k text PRIMARY KEY, id int);
         INSERT INTO t SELECT lpad(i::text, 6, '0') || convert_from('\\xe9', 'SQL_ASCII'), i
         FROM generate_series(1, 3000) i; ANALYZE t",
    );
    let run = |by: &str| {
        let root = TempRoot::new();
        let mut command = crate::rig::pgsluice();
        command
            .args(["export", "--from", &dsn, "--table", "t", "--output", "json"])
            .args(["--map", "k=binary", "--chunk-rows", "500", "--chunk-by", by])
            .arg("--to")
            .arg(root.path());
        let outcome = crate::rig::run(&mut command, crate::scenario::LIMIT);
        (outcome, root)
    };
    let (auto, root) = run("auto");
    auto.expect_code(0);
    assert_eq!(
        sorted_ids(&root, "public/t"),
        (1..=3000).collect::<Vec<_>>()
    );
    let refused = run("key:k").0.expect_code(7);
    assert!(refused.stderr.contains("UTF-8"), "{}", refused.stderr);
    drop(session);
    database.execute(&format!("DROP DATABASE {name}"));
}

#[test]
fn an_index_in_another_order_of_nulls_is_no_way_to_the_ends() {
    let database = Database::create("desc_index");
    database.execute(
        "CREATE TABLE t (id int NOT NULL); CREATE INDEX ON t (id DESC NULLS LAST);
         INSERT INTO t SELECT generate_series(1, 3000); ANALYZE t",
    );
    let root = TempRoot::new();
    let flags = ["--incremental", "id", "--chunk-rows", "500"];
    export(&database, "t", &root, &flags);
    database.execute("INSERT INTO t SELECT generate_series(3001, 6000); ANALYZE t");
    export(&database, "t", &root, &flags);
    assert_eq!(
        sorted_ids(&root, "public/t"),
        (1..=6000).collect::<Vec<_>>()
    );
    let manifest = crate::rig::Dataset::new(&root, "public/t").manifest();
    let relations = manifest["relations"].to_string();
    assert_eq!(
        relations.matches("each incremental run scans").count(),
        2,
        "{relations}"
    );
    verify(&root);
}
