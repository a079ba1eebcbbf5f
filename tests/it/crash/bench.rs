//! What the cases stand on: small tables with known rows, the command that exports them, and what
//! must hold once a run was gone on with to its end.

use std::process::Command;
use std::time::Duration;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, RecordBatch};
use object_store::ObjectStoreExt;
use object_store::path::Path;
use sha2::{Digest, Sha256};

use super::cases::GROWING;
use crate::rig::{
    self, Database, Dataset, Outcome, Root, S3Root, TempRoot, chunk_entries, pgsluice, read_rows,
};

/// No run of these tables takes longer.
pub(super) const LIMIT: Duration = Duration::from_secs(120);
/// How often a run is gone on with before it must have come to its end.
const MOST_RUNS: usize = 4;

/// `t` makes five chunks, `wide` one object of two parts, `pair_a` and `pair_b` a run over two
/// tables. Nothing writes to them.
const TABLES: &str = "
    CREATE TABLE t (id bigint PRIMARY KEY, note text);
    INSERT INTO t SELECT i, md5(i::text) FROM generate_series(1::bigint, 300) i;
    CREATE TABLE wide (id bigint PRIMARY KEY, note text);
    INSERT INTO wide SELECT i, (SELECT string_agg(md5((i * 6400 + j)::text), '')
                                FROM generate_series(1, 6400) j)
    FROM generate_series(1::bigint, 30) i;
    CREATE TABLE pair_a AS SELECT i AS id, md5(i::text) AS note FROM generate_series(1::bigint, 150) i;
    CREATE TABLE pair_b AS SELECT i AS id, md5(i::text) AS note FROM generate_series(1::bigint, 90) i;
    ALTER TABLE pair_a ADD PRIMARY KEY (id);
    ALTER TABLE pair_b ADD PRIMARY KEY (id);
    ANALYZE t, wide, pair_a, pair_b;";

/// Where a case exports to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Disk,
    S3,
}

impl Place {
    pub(crate) fn root(self) -> Box<dyn Root> {
        match self {
            Self::Disk => Box::new(TempRoot::new()),
            Self::S3 => Box::new(S3Root::new("crash")),
        }
    }
}

/// A database with the tables, for all cases of a test: they only read it.
pub(crate) struct Bench {
    pub(super) database: Database,
}

impl Bench {
    pub(crate) fn new(name: &str) -> Self {
        let database = Database::create(name);
        database.execute(TABLES);
        Self { database }
    }

    /// `pgsluice export` with these flags. One that takes over waits for no dead writer's lease.
    pub(crate) fn export(&self, root: &dyn Root, flags: &[&str], takes_over: bool) -> Command {
        let mut command = pgsluice();
        root.equip(&mut command)
            .args(["export", "--from", &self.database.dsn(), "--to"])
            .arg(root.url())
            .args(["--output", "json", "--quiet"])
            .args(takes_over.then_some("--takeover"))
            // Several entries for a plan of five chunks.
            .env("PGSLUICE_PLAN_CHUNKS", "2")
            .args(flags);
        command
    }

    /// Goes on until a run ends well, with what the others told.
    pub(super) fn go_on(&self, root: &dyn Root, flags: &[&str], told: &mut String) {
        for _ in 0..MOST_RUNS {
            let outcome = rig::run(&mut self.export(root, flags, true), LIMIT);
            told.push_str(&outcome.to_string());
            if outcome.code == Some(0) && outcome.json()["state"] == "complete" {
                return;
            }
        }
        panic!("no run came to its end:\n{told}");
    }

    /// What must hold of a finished dataset: `verify` finds nothing, no chunk was committed twice,
    /// `_SUCCESS` names the manifest, every listed object stands and no other, and the rows are
    /// those of the source, each once.
    pub(crate) fn check(&self, root: &dyn Root, table: &str, told: &str) {
        let verified = verify(root);
        assert_eq!(verified.code, Some(0), "{table}: {verified}\n{told}");
        let folder = format!("public/{table}");
        let dataset = Dataset::new(root, &folder);
        // Panics when a chunk was committed twice.
        let committed = dataset.committed().len();
        let manifest = dataset.manifest();
        assert_eq!(manifest["state"], "complete");
        assert_eq!(chunk_entries(&manifest).len(), committed);
        let found = fingerprint(&read_rows(root, &folder));
        assert_eq!(found, self.rows_of(table), "rows of {table}\n{told}");
    }

    /// Count and hash of a table's rows, by PostgreSQL.
    fn rows_of(&self, table: &str) -> String {
        self.database.query_one_text(&format!(
            "SELECT count(*) || ' ' || encode(sha256(convert_to(
                 coalesce(string_agg(id || '|' || note || ';', '' ORDER BY id), ''), 'UTF8')), 'hex')
             FROM {table}"
        ))
    }
}

pub(super) fn verify(root: &dyn Root) -> Outcome {
    let mut command = pgsluice();
    command.args(["verify", "--output", "json"]).arg(root.url());
    rig::run(root.equip(&mut command), LIMIT)
}

/// Count and hash of rows that were read back, by the same rule and by other code.
fn fingerprint(batches: &[RecordBatch]) -> String {
    let mut rows: Vec<(i64, String)> = batches.iter().flat_map(rows_of).collect();
    rows.sort();
    let text: String = rows
        .iter()
        .map(|(id, note)| format!("{id}|{note};"))
        .collect();
    let digest = Sha256::digest(text.as_bytes());
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{} {hex}", rows.len())
}

fn rows_of(batch: &RecordBatch) -> Vec<(i64, String)> {
    let column = |name: &str| batch.column_by_name(name).expect("a column");
    let ids = column("id").as_primitive::<Int64Type>();
    let notes = column("note").as_string::<i32>();
    assert_eq!(ids.null_count() + notes.null_count(), 0);
    let row = |i: usize| (ids.value(i), notes.value(i).to_owned());
    (0..batch.num_rows()).map(row).collect()
}

/// A dataset with one completed run, whose table has grown since.
pub(super) struct Grown(Box<dyn Root>);

impl Grown {
    /// Makes the table, exports it, and lets it grow.
    pub(super) fn new(bench: &Bench, place: Place) -> Self {
        let root = place.root();
        let insert = |from: u32, to: u32| {
            bench.database.execute(&format!(
                "INSERT INTO grown SELECT i, md5(i::text) FROM generate_series({from}::bigint, {to}) i;
                 ANALYZE grown"
            ));
        };
        bench
            .database
            .execute("CREATE TABLE grown (id bigint PRIMARY KEY, note text)");
        insert(1, 100);
        bench.go_on(&*root, GROWING, &mut String::new());
        insert(101, 300);
        Self(root)
    }

    /// The same dataset at another root.
    pub(super) fn copy_to(&self, root: &dyn Root) {
        for key in self.0.list("").into_keys() {
            let bytes = self.0.get(&key).expect("a listed object");
            let path = Path::parse(&key).expect("a key");
            let store = root.store();
            rig::wait(async move { store.put(&path, bytes.into()).await }).expect("it is written");
        }
    }
}
