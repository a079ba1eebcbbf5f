//! Each store end to end: one export, killed on its way, gone on with and verified. And what
//! becomes of a store that ignores put-if-absent: refused, or written under a lock.

mod alone;

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use object_store::ObjectStore;
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::prefix::PrefixStore;

use serde_json::Value;

use crate::rig::{Database, Dataset, Root, Running, env, pgsluice, run, start};
use crate::scenario::sorted_ids;

const LIMIT: Duration = Duration::from_secs(120);
const FOLDER: &str = "public/slow";
const ROWS: i64 = 2_000;

/// A bucket of one of the stores beside SeaweedFS, and a prefix in it.
struct Store {
    kind: Kind,
    prefix: String,
}

#[derive(Clone, Copy)]
enum Kind {
    Moto,
    S3rver,
    Gcs,
    Azure,
}

impl Store {
    fn new(kind: Kind, name: &str) -> Self {
        let prefix = format!("{name}-{}", std::process::id());
        Self { kind, prefix }
    }

    fn s3(&self) -> (String, String) {
        match self.kind {
            Kind::S3rver => (
                env("PGSLUICE_TEST_OLD_S3_ENDPOINT"),
                env("PGSLUICE_TEST_OLD_S3_KEY"),
            ),
            _ => (env("PGSLUICE_TEST_MOTO_ENDPOINT"), "any".to_owned()),
        }
    }
}

impl Root for Store {
    fn url(&self) -> String {
        let scheme = match self.kind {
            Kind::Moto | Kind::S3rver => "s3",
            Kind::Gcs => "gs",
            Kind::Azure => "az",
        };
        format!(
            "{scheme}://{}/{}",
            env("PGSLUICE_TEST_S3_BUCKET"),
            self.prefix
        )
    }

    fn env(&self) -> Vec<(String, String)> {
        let variables = match self.kind {
            Kind::Moto | Kind::S3rver => {
                let (endpoint, key) = self.s3();
                vec![
                    ("AWS_ENDPOINT_URL", endpoint),
                    ("AWS_ALLOW_HTTP", "true".to_owned()),
                    ("AWS_REGION", "us-east-1".to_owned()),
                    ("AWS_ACCESS_KEY_ID", key.clone()),
                    ("AWS_SECRET_ACCESS_KEY", key),
                ]
            }
            Kind::Gcs => vec![
                ("GOOGLE_BASE_URL", env("PGSLUICE_TEST_GCS_ENDPOINT")),
                ("GOOGLE_BEARER_TOKEN", env("PGSLUICE_TEST_GCS_TOKEN")),
            ],
            Kind::Azure => vec![
                ("AZURE_ENDPOINT", env("PGSLUICE_TEST_AZURE_ENDPOINT")),
                ("AZURE_ALLOW_HTTP", "true".to_owned()),
                (
                    "AZURE_STORAGE_ACCOUNT_NAME",
                    env("PGSLUICE_TEST_AZURE_ACCOUNT"),
                ),
                ("AZURE_STORAGE_ACCOUNT_KEY", env("PGSLUICE_TEST_AZURE_KEY")),
            ],
        };
        let owned = |(name, value): (&str, String)| (name.to_owned(), value);
        variables.into_iter().map(owned).collect()
    }

    fn store(&self) -> Arc<dyn ObjectStore> {
        let bucket = env("PGSLUICE_TEST_S3_BUCKET");
        match self.kind {
            Kind::Moto | Kind::S3rver => {
                let (endpoint, key) = self.s3();
                let store = AmazonS3Builder::new()
                    .with_endpoint(endpoint)
                    .with_allow_http(true)
                    .with_region("us-east-1")
                    .with_bucket_name(bucket)
                    .with_access_key_id(&key)
                    .with_secret_access_key(&key)
                    .build();
                Arc::new(PrefixStore::new(
                    store.expect("complete"),
                    self.prefix.as_str(),
                ))
            }
            Kind::Gcs => {
                let store = GoogleCloudStorageBuilder::new()
                    .with_base_url(&env("PGSLUICE_TEST_GCS_ENDPOINT"))
                    .with_bearer_token(env("PGSLUICE_TEST_GCS_TOKEN"))
                    .with_bucket_name(bucket)
                    .build();
                Arc::new(PrefixStore::new(
                    store.expect("complete"),
                    self.prefix.as_str(),
                ))
            }
            Kind::Azure => {
                let store = MicrosoftAzureBuilder::new()
                    .with_endpoint(env("PGSLUICE_TEST_AZURE_ENDPOINT"))
                    .with_allow_http(true)
                    .with_account(env("PGSLUICE_TEST_AZURE_ACCOUNT"))
                    .with_access_key(env("PGSLUICE_TEST_AZURE_KEY"))
                    .with_container_name(bucket)
                    .build();
                Arc::new(PrefixStore::new(
                    store.expect("complete"),
                    self.prefix.as_str(),
                ))
            }
        }
    }
}

/// A table of 2000 rows in ten chunks; read row by row, each takes a millisecond.
fn slow_table(name: &str) -> Database {
    let database = Database::create(name);
    database.execute(
        "CREATE TABLE slow AS SELECT i::bigint AS id, md5(i::text) AS note \
         FROM generate_series(1, 2000) AS i; \
         ALTER TABLE slow ADD PRIMARY KEY (id); ANALYZE slow;",
    );
    database
}

fn export(database: &Database, root: &dyn Root, flags: &[&str]) -> Command {
    let mut command = pgsluice();
    root.equip(&mut command);
    command.args(["export", "--from", &database.dsn(), "--table", "slow"]);
    command.args(["--to", &root.url(), "--output", "json", "--workers", "1"]);
    command.args(["--where", "pg_sleep(0.001) IS NOT NULL"]);
    command.args(["--chunk-by", "key:id", "--chunk-rows", "200"]);
    command.args(["--lease-interval", "200ms"]).args(flags);
    command
}

/// Starts it, and waits until chunks are committed.
fn start_and_commit(command: &mut Command, root: &dyn Root, least: usize) -> Running {
    let mut running = start(command);
    let deadline = Instant::now() + LIMIT;
    while Dataset::new(root, FOLDER).committed().len() < least {
        assert!(running.is_running(), "it ended:\n{}", running.stderr());
        assert!(Instant::now() < deadline, "nothing is committed");
        std::thread::sleep(Duration::from_millis(20));
    }
    running
}

/// All rows are there, once, and every claim of the manifest holds.
#[track_caller]
fn check_whole(root: &dyn Root) {
    assert_eq!(sorted_ids(root, FOLDER), (1..=ROWS).collect::<Vec<_>>());
    Dataset::new(root, FOLDER).manifest();
    ask(root, "verify", &dataset_url(root));
}

/// The dataset by its own URL: s3rver's listings show no folder that holds only folders.
fn dataset_url(root: &dyn Root) -> String {
    format!("{}/{FOLDER}", root.url())
}

/// What `verify` or `status` say of a URL.
#[track_caller]
fn ask(root: &dyn Root, question: &str, url: &str) -> Value {
    let mut command = pgsluice();
    root.equip(&mut command)
        .args([question, url, "--output", "json"]);
    run(&mut command, LIMIT).expect_code(0).json()
}

fn killed_and_resumed(kind: Kind, name: &str) {
    let database = slow_table(name);
    let root = Store::new(kind, name);
    let mut first = start_and_commit(&mut export(&database, &root, &[]), &root, 2);
    first.kill();
    let kept = Dataset::new(&root, FOLDER).committed().len() as u64;
    let report = run(&mut export(&database, &root, &[]), LIMIT)
        .expect_code(0)
        .json();
    let table = &report["tables"][0];
    assert!(table["chunks_skipped"].as_u64() >= Some(kept), "{report:#}");
    assert_eq!(table["writers"], "fenced", "{report:#}");
    assert_eq!(table["epoch"], 2, "{report:#}");
    check_whole(&root);
    let status = ask(&root, "status", &root.url());
    assert_eq!(status["datasets"][0]["state"], "complete", "{status:#}");
}

#[test]
fn killed_on_a_second_s3_it_goes_on() {
    killed_and_resumed(Kind::Moto, "stores_moto");
}

#[test]
fn killed_on_gcs_it_goes_on() {
    killed_and_resumed(Kind::Gcs, "stores_gcs");
}

#[test]
fn killed_on_azure_it_goes_on() {
    killed_and_resumed(Kind::Azure, "stores_azure");
}
