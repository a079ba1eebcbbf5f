//! `pgsluice verify` over real exports: sound ones, damaged ones, and tables that went on.

mod against;
mod flips;

use serde_json::Value;

use crate::rig::{self, Database, Outcome, Root, S3Root, TempRoot};
use crate::scenario::{LIMIT, export};

/// Runs `verify` on a root to its end.
#[track_caller]
fn verify(root: &dyn Root, flags: &[&str]) -> Outcome {
    let mut command = rig::pgsluice();
    command.arg("verify").arg(root.url()).args(flags);
    rig::run(root.equip(&mut command), LIMIT)
}

/// Its report as JSON, and its exit code.
#[track_caller]
fn report(root: &dyn Root, flags: &[&str], code: i32) -> Value {
    let flags: Vec<&str> = flags.iter().copied().chain(["--output", "json"]).collect();
    let report = verify(root, &flags).expect_code(code).json();
    assert_eq!(report["ok"], code == 0, "{report:#}");
    assert_eq!(report["exit_code"], code, "{report:#}");
    report
}

/// The kinds of the first dataset's errors, sorted.
fn errors(report: &Value) -> Vec<String> {
    kinds(report, "error")
}

fn kinds(report: &Value, severity: &str) -> Vec<String> {
    let findings = report["datasets"][0]["findings"]
        .as_array()
        .expect("findings");
    let found = findings.iter().filter(|one| one["severity"] == severity);
    let mut kinds: Vec<String> = found
        .map(|one| one["kind"].as_str().expect("a kind").to_owned())
        .collect();
    kinds.sort();
    kinds
}

/// A table of 4,000 rows with a key, NULLs and text.
fn orders(database: &Database) {
    database.execute(
        "CREATE TABLE orders (id bigint PRIMARY KEY, note text, amount int, tags bytea);
         INSERT INTO orders SELECT i, CASE WHEN i % 3 > 0 THEN 'note ' || i END, i % 100,
             decode(md5(i::text), 'hex') FROM generate_series(1, 4000) i;
         ANALYZE orders",
    );
}

/// It as four key chunks.
const BY_KEY: &[&str] = &["--chunk-by", "key:id", "--chunk-rows", "1000"];

fn exported(database: &Database) -> TempRoot {
    orders(database);
    let root = TempRoot::new();
    export(database, "orders", &root, BY_KEY);
    root
}

/// The objects of the dataset, by name.
fn parts(root: &dyn Root) -> Vec<String> {
    let keys = root.list("public/orders").into_keys();
    keys.filter(|key| key.ends_with(".parquet")).collect()
}

fn put(root: &dyn Root, key: &str, bytes: Vec<u8>) {
    use object_store::ObjectStoreExt;
    let path = object_store::path::Path::parse(key).expect("a key");
    let store = root.store();
    rig::wait(async move { store.put(&path, bytes.into()).await }).expect("it is written");
}

fn delete(root: &dyn Root, key: &str) {
    use object_store::ObjectStoreExt;
    let path = object_store::path::Path::parse(key).expect("a key");
    let store = root.store();
    rig::wait(async move { store.delete(&path).await }).expect("it is deleted");
}

fn bend(root: &dyn Root, key: &str, bend: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = root.get(key).expect("it is there").to_vec();
    bend(&mut bytes);
    put(root, key, bytes);
}

#[test]
fn a_sound_export_is_proven_on_disk_and_on_s3() {
    let database = Database::create("verify_sound");
    let temp = exported(&database);
    let s3 = S3Root::new("verify-sound");
    let mut command = rig::pgsluice();
    command.args(["export", "--from", &database.dsn(), "--table", "orders"]);
    command.args(["--to", &s3.url()]).args(BY_KEY);
    rig::run(s3.equip(&mut command), LIMIT).expect_code(0);
    let roots: [&dyn Root; 2] = [&temp, &s3];
    for root in roots {
        let report = report(root, &[], 0);
        let dataset = &report["datasets"][0];
        assert_eq!(dataset["findings"], Value::Array(Vec::new()), "{report:#}");
        assert_eq!(dataset["table"], "public.orders");
        assert_eq!(dataset["rows"], 4000);
        assert!(dataset["chunks"].as_u64() >= Some(4), "{report:#}");
        assert_eq!(dataset["chunks_proven"], dataset["chunks"]);
        let quick = self::report(root, &["--quick"], 0);
        assert_eq!(quick["quick"], true);
        assert_eq!(quick["datasets"][0]["chunks_proven"], 0);
    }
    let shown = verify(&temp, &[]).expect_code(0).stdout;
    assert!(shown.contains("public.orders"), "{shown}");
    assert!(shown.trim_end().ends_with("sound"), "{shown}");
}

#[test]
fn several_datasets_below_a_folder_are_all_verified() {
    let database = Database::create("verify_several");
    orders(&database);
    database.execute("CREATE TABLE items AS SELECT i AS id FROM generate_series(1, 10) i");
    let root = TempRoot::new();
    export(&database, "orders,items", &root, &[]);
    let part = root
        .list("public/items")
        .into_keys()
        .find(|key| key.ends_with(".parquet"))
        .expect("an object");
    delete(&root, &part);
    let report = report(&root, &[], 8);
    assert_eq!(report["datasets"].as_array().map(Vec::len), Some(2));
    assert_eq!(errors(&report), ["object_missing"]);
    assert_eq!(report["datasets"][1]["findings"], Value::Array(Vec::new()));
    assert_eq!(
        (&report["errors"], &report["warnings"]),
        (&1.into(), &0.into())
    );
}

#[test]
fn every_damage_is_reported_and_none_hides_the_next() {
    let database = Database::create("verify_damage");
    let root = exported(&database);
    let parts = parts(&root);
    assert!(parts.len() >= 4, "{parts:?}");
    delete(&root, &parts[0]);
    bend(&root, &parts[1], |bytes| bytes.truncate(100));
    bend(&root, &parts[2], |bytes| bytes[20] ^= 1);
    put(
        &root,
        "public/orders/part-00000099-whole-e1.parquet",
        vec![1],
    );
    delete(&root, "public/orders/_SUCCESS");
    bend(&root, "public/orders/_pgsluice/manifest.json", |bytes| {
        bytes[9] ^= 1
    });
    let report = report(&root, &[], 8);
    let found = errors(&report);
    for kind in [
        "manifest_differs",
        "object_extra",
        "object_footer",
        "object_missing",
        "object_sha256",
        "object_size",
        "success_missing",
    ] {
        assert!(
            found.iter().any(|found| found == kind),
            "{kind}: {report:#}"
        );
    }
    let text = verify(&root, &[]).expect_code(8).stdout;
    assert!(text.contains("[object_sha256]"), "{text}");
    // The program that made it makes the end files again; objects are lost for good.
    let quick = self::report(&root, &["--quick"], 8);
    let seen = errors(&quick);
    assert!(!seen.contains(&"object_sha256".to_owned()), "{quick:#}");
    assert!(seen.contains(&"object_missing".to_owned()), "{quick:#}");
}

#[test]
fn a_paused_export_is_not_sound() {
    let database = Database::create("verify_open");
    orders(&database);
    let root = TempRoot::new();
    // The key of the last row cannot be read: the run fails with chunks committed.
    database.execute("UPDATE orders SET note = 'x' WHERE id = 1");
    let mut command =
        crate::scenario::export_command(&database, "orders", &root, &["--workers", "1"]);
    command
        .args(BY_KEY)
        .args(["--where", "100 / (id - 3500) < 1000"]);
    let outcome = rig::run(&mut command, LIMIT);
    assert_ne!(outcome.code, Some(0), "{outcome}");
    let report = report(&root, &[], 8);
    assert_eq!(errors(&report), ["dataset_incomplete"], "{report:#}");
    assert_eq!(report["datasets"][0]["complete"], false);
}

#[test]
fn a_folder_without_datasets_and_bad_flags_are_usage_errors() {
    let root = TempRoot::new();
    verify(&root, &[]).expect_code(2);
    verify(&root, &["--workers", "65"]).expect_code(2);
    verify(&root, &["--quick=perhaps"]).expect_code(2);
    let unreachable = "postgresql://nobody@127.0.0.1:1/nothing?connect_timeout=5";
    verify(&root, &["--against", unreachable]).expect_code(3);
}
