//! Objects of the size that was asked for: large chunks roll over, plans are sized by a sample.

use serde_json::Value;

use crate::rig::{Database, Dataset, TempRoot, chunk_entries};
use crate::scenario::{export, sorted_ids, try_export};

/// Rows whose text does not compress, some with a value that its column cannot hold.
fn table(database: &Database, rows: u32) {
    database.execute(&format!(
        "CREATE TABLE t (id int PRIMARY KEY, at timestamptz, v text);
         INSERT INTO t SELECT i, CASE WHEN i % 1000 = 0 THEN 'infinity' ELSE now() END,
             (SELECT string_agg(md5(i::text || j), '') FROM generate_series(1, 8) j)
         FROM generate_series(1, {rows}) i;
         ANALYZE t"
    ));
}

fn objects(chunk: &Value) -> Vec<(String, u64)> {
    let objects = chunk["objects"].as_array().unwrap().iter();
    objects
        .map(|object| {
            let key = object["key"].as_str().unwrap().to_owned();
            (key, object["bytes"].as_u64().unwrap())
        })
        .collect()
}

#[test]
fn a_chunk_that_grows_past_the_target_goes_on_in_another_object() {
    let database = Database::create("rolling");
    table(&database, 40_000);
    let root = TempRoot::new();
    let flags = [
        "--chunk-by",
        "key:id",
        "--chunk-rows",
        "25000",
        "--chunk-bytes",
        "1GiB",
        "--target-object-size",
        "1MiB",
        "--row-group-bytes",
        "256KiB",
        "--batch-bytes",
        "256KiB",
        "--on-unrepresentable",
        "exceptions",
    ];
    let report = export(&database, "t", &root, &flags);
    assert_eq!(report["tables"][0]["totals"]["rows"], 40_000);
    assert_eq!(report["tables"][0]["totals"]["exceptions"], 40);
    let manifest = Dataset::new(&root, "public/t").manifest();
    let chunks = chunk_entries(&manifest);
    assert_eq!(chunks.len(), 2);
    for chunk in &chunks {
        let objects = objects(chunk);
        assert!(objects.len() >= 3, "{objects:?}");
        for (number, (key, bytes)) in (1..).zip(&objects) {
            // A batch more than the target closes an object, no sooner.
            assert!(*bytes < 2 << 20, "{key}: {bytes}");
            let end = match number {
                1 => "-e1.parquet".to_owned(),
                number => format!("-e1-{number}.parquet"),
            };
            assert!(key.ends_with(&end), "{key}");
        }
    }
    assert_eq!(
        sorted_ids(&root, "public/t"),
        (1..=40_000).collect::<Vec<_>>()
    );
    crate::scenario::verify(&root);
}

#[test]
fn another_target_is_another_export() {
    let database = Database::create("target");
    table(&database, 10);
    let root = TempRoot::new();
    export(&database, "t", &root, &[]);
    let refused = try_export(&database, "t", &root, &["--target-object-size", "1MiB"]);
    let stderr = refused.expect_code(5).stderr;
    assert!(stderr.contains("--target-object-size was"), "{stderr}");
}

#[test]
fn plans_are_sized_by_what_rows_take_in_parquet() {
    let database = Database::create("sampled");
    // 90 MB of table that compress to nearly nothing.
    database.execute(
        "CREATE TABLE t (id int, v text);
         INSERT INTO t SELECT i, repeat('abcdefgh', 100) FROM generate_series(1, 100000) i;
         ANALYZE t",
    );
    let chunks = |flags: &[&str]| {
        let root = TempRoot::new();
        let report = export(&database, "t", &root, flags);
        report["tables"][0]["totals"]["chunks"].as_u64().unwrap()
    };
    // Two workers are kept busy, however well it compresses.
    assert_eq!(chunks(&["--chunk-by", "ctid"]), 2);
    // A smaller target makes more of them, and still far fewer than its size in table bytes.
    let small = chunks(&["--chunk-by", "ctid", "--target-object-size", "64KiB"]);
    assert!((3..200).contains(&small), "{small}");
    let incompressible = Database::create("sampled2");
    incompressible.execute(
        "CREATE TABLE t (id int, v bytea);
         INSERT INTO t SELECT i, (SELECT string_agg(decode(md5(random()::text || i || j), 'hex'), '')
             FROM generate_series(1, 60) j) FROM generate_series(1, 80000) i;
         ANALYZE t",
    );
    let root = TempRoot::new();
    let flags = ["--chunk-by", "ctid", "--target-object-size", "16MiB"];
    let report = export(&incompressible, "t", &root, &flags);
    let chunks = report["tables"][0]["totals"]["chunks"].as_u64().unwrap();
    let objects = report["tables"][0]["totals"]["objects"].as_u64().unwrap();
    assert!(chunks >= 5 && objects <= chunks * 2, "{report}");
}
