//! What DuckDB, Polars, pyarrow and Spark read is what PostgreSQL holds: every value of every
//! type of the corpus, in the portable profile, in a canonical form that is exact.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use serde_json::Value;

use crate::corpus::{self, Corpus, MAJORS, Profile, SCHEMA};
use crate::rig::{Root, TempRoot, python, run};
use crate::types::export_all;

/// Reading all tables; Spark alone takes twenty seconds to start.
const LIMIT: Duration = Duration::from_secs(900);
/// Random rows of each type.
const RANDOM: u32 = 250;

/// What a reader cannot show: reader, case, why. A case that it does show fails the test.
const LIMITS: &[(&str, &str, &str)] = &[];

/// By id.
type Column = BTreeMap<String, Value>;

/// The corpus as files, and what the server says a reader must see.
struct Exports {
    /// By case: the dataset's folder, the values.
    tables: BTreeMap<&'static str, (String, Column)>,
    _roots: Vec<TempRoot>,
}

#[test]
fn duckdb_shows_every_value() {
    shows_every_value("duckdb");
}

#[test]
fn polars_shows_every_value() {
    shows_every_value("polars");
}

#[test]
fn pyarrow_shows_every_value() {
    shows_every_value("pyarrow");
}

#[test]
fn spark_shows_every_value() {
    shows_every_value("spark");
}

fn shows_every_value(reader: &str) {
    let exports = exports();
    let folders = exports
        .tables
        .iter()
        .map(|(name, (folder, _))| format!("{name}={folder}"));
    let mut read = python(
        "read_types.py",
        std::iter::once(reader.to_owned()).chain(folders),
    );
    let seen = run(&mut read, LIMIT).expect_code(0).json();
    let mut wrong = Vec::new();
    for (name, (_, expected)) in &exports.tables {
        let found = differences(expected, &seen[name]);
        let known = LIMITS
            .iter()
            .find(|(who, what, _)| (*who, *what) == (reader, *name));
        match (found.first(), known) {
            (None, None) | (Some(_), Some(_)) => {}
            (Some(first), None) => wrong.push(format!("{name}: {} values: {first}", found.len())),
            (None, Some(_)) => wrong.push(format!("{name}: listed as a limit, but equal")),
        }
    }
    assert!(wrong.is_empty(), "{reader}:\n{}", wrong.join("\n"));
}

/// The rows where a reader saw something else; or why it could not read.
fn differences(expected: &Column, seen: &Value) -> Vec<String> {
    let Some(rows) = seen["rows"].as_object() else {
        return vec![format!("cannot read: {seen}")];
    };
    let short = |value: Option<&Value>| -> String {
        value.map_or_else(
            || "no row".to_owned(),
            |value| value.to_string().chars().take(160).collect(),
        )
    };
    let missing = expected.keys().filter(|id| !rows.contains_key(*id));
    let mut wrong: Vec<_> = missing.map(|id| format!("row {id} is missing")).collect();
    for (id, value) in rows {
        if expected.get(id) != Some(value) {
            let (expected, seen) = (short(expected.get(id)), short(Some(value)));
            wrong.push(format!("row {id}: expected {expected}, saw {seen}"));
        }
    }
    wrong
}

/// Shared by the tests that run at the same time.
fn exports() -> Arc<Exports> {
    static SHARED: Mutex<Weak<Exports>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(exports) = shared.upgrade() {
        return exports;
    }
    let exports = Arc::new(Exports::make());
    *shared = Arc::downgrade(&exports);
    exports
}

impl Exports {
    /// Everything from the default server that it can hold in full, the rest from the newest.
    fn make() -> Self {
        let default = corpus::distribution_major();
        let (full, newer): (Vec<_>, Vec<_>) = corpus::all()
            .into_iter()
            .partition(|case| case.newer.iter().all(|(since, _)| *since <= default));
        let mut exports = Self {
            tables: BTreeMap::new(),
            _roots: Vec::new(),
        };
        exports.add(&Corpus::create(default, &full, RANDOM));
        let mut rest = full;
        rest.retain(|case| !exports.tables.contains_key(case.name));
        rest.extend(newer);
        exports.add(&Corpus::create(*MAJORS.end(), &rest, RANDOM));
        assert_eq!(
            exports.tables.len(),
            corpus::all().len(),
            "cases that no server holds"
        );
        exports
    }

    fn add(&mut self, corpus: &Corpus) {
        let root = TempRoot::new();
        export_all(corpus, Profile::Portable, &root);
        let session = corpus.session();
        for table in &corpus.tables {
            let (case, name) = (table.case, table.case.name);
            let shown = Corpus::column(&session, name, &case.canonical(Profile::Portable));
            let expected = shown.into_iter().map(|(id, json)| {
                let json = json.map_or(Value::Null, |json| {
                    serde_json::from_str(&json).expect("JSON")
                });
                (id.to_string(), json)
            });
            let folder = format!("{}/{SCHEMA}/{name}", root.url());
            self.tables.insert(name, (folder, expected.collect()));
        }
        self._roots.push(root);
    }
}

/// The comparison sees a NULL for a value, another value, a row too few or too many, and a file
/// that cannot be read.
#[test]
fn what_a_reader_gets_wrong_is_seen() {
    use serde_json::json;
    let expected: Column = [("0", json!(null)), ("1", json!(["1", null]))]
        .map(|(id, value)| (id.to_owned(), value))
        .into();
    let seen = |rows: Value| differences(&expected, &json!({ "rows": rows })).len();
    assert_eq!(seen(json!({"0": null, "1": ["1", null]})), 0);
    assert_eq!(seen(json!({"0": null, "1": null})), 1);
    assert_eq!(seen(json!({"0": null, "1": ["1", "0"]})), 1);
    assert_eq!(seen(json!({"0": null})), 1);
    assert_eq!(seen(json!({"0": null, "1": ["1", null], "2": null})), 1);
    assert_eq!(differences(&expected, &json!({"error": "no"})).len(), 1);
}
