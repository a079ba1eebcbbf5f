//! Where a test exports to: a folder, or a prefix of the S3 server's bucket.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::prefix::PrefixStore;
use object_store::{ObjectStore, ObjectStoreExt};

use super::{env, wait};

/// A place that one test has to itself, seen from outside pgsluice.
pub(crate) trait Root: Send + Sync {
    /// What `--to` takes.
    fn url(&self) -> String;

    /// What the program needs in its environment to reach it.
    fn env(&self) -> Vec<(String, String)>;

    /// A client of the test's own; keys are relative to the URL.
    fn store(&self) -> Arc<dyn ObjectStore>;

    /// Every object below the folder, `""` for all, with its size.
    fn list(&self, folder: &str) -> BTreeMap<String, u64> {
        // Parsed, not built: see `get`.
        let prefix = object_store::path::Path::parse(folder).expect("a well-formed folder");
        let store = self.store();
        let found = wait(async move { store.list(Some(&prefix)).try_collect::<Vec<_>>().await });
        let found = found.unwrap_or_else(|error| panic!("cannot list {folder:?}: {error}"));
        found
            .into_iter()
            .map(|object| (object.location.to_string(), object.size))
            .collect()
    }

    /// An object's bytes; `None` when there is no such object.
    fn get(&self, key: &str) -> Option<Bytes> {
        // Parsed, not built: a key holds percent signs that are not to be encoded again.
        let path = object_store::path::Path::parse(key).expect("a well-formed key");
        let store = self.store();
        let read = wait(async move { store.get(&path).await?.bytes().await });
        match read {
            Ok(bytes) => Some(bytes),
            Err(object_store::Error::NotFound { .. }) => None,
            Err(error) => panic!("cannot read {key:?}: {error}"),
        }
    }

    /// An object's JSON; it must be there.
    fn get_json(&self, key: &str) -> serde_json::Value {
        let bytes = self
            .get(key)
            .unwrap_or_else(|| panic!("there is no {key:?}"));
        serde_json::from_slice(&bytes).unwrap_or_else(|error| panic!("{key:?}: {error}"))
    }

    /// Gives a command what it needs to reach the root.
    fn equip<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.envs(self.env())
    }
}

/// A folder on the local disk, removed at the end.
pub(crate) struct TempRoot(tempfile::TempDir);

impl TempRoot {
    /// A new, empty folder.
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    /// The same in memory, for tests of anything but the disk, whose syncs take long.
    pub(crate) fn in_memory() -> Self {
        Self(tempfile::tempdir_in("/dev/shm").expect("a file system in memory"))
    }

    /// The folder.
    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Root for TempRoot {
    fn url(&self) -> String {
        self.path()
            .to_str()
            .expect("temporary folders are UTF-8")
            .to_owned()
    }

    fn env(&self) -> Vec<(String, String)> {
        Vec::new()
    }

    fn store(&self) -> Arc<dyn ObjectStore> {
        Arc::new(LocalFileSystem::new_with_prefix(self.path()).expect("the folder exists"))
    }
}

/// A prefix of the bucket on the S3 server. Left there: the server's data goes with the run.
pub(crate) struct S3Root {
    prefix: String,
}

impl S3Root {
    /// A prefix that nothing else uses; `name` is a hint for people.
    pub(crate) fn new(name: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Self {
            prefix: format!("{name}-{}-{number}", std::process::id()),
        }
    }

    /// The prefix, without slashes around it.
    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }
}

impl Root for S3Root {
    fn url(&self) -> String {
        format!("s3://{}/{}", env("PGSLUICE_TEST_S3_BUCKET"), self.prefix())
    }

    fn env(&self) -> Vec<(String, String)> {
        let own = |name: &str| (name.to_owned(), env(name));
        vec![
            own("AWS_ACCESS_KEY_ID"),
            own("AWS_SECRET_ACCESS_KEY"),
            own("AWS_REGION"),
            (
                "AWS_ENDPOINT_URL".to_owned(),
                env("PGSLUICE_TEST_S3_ENDPOINT"),
            ),
            ("AWS_ALLOW_HTTP".to_owned(), "true".to_owned()),
        ]
    }

    fn store(&self) -> Arc<dyn ObjectStore> {
        let store = AmazonS3Builder::new()
            .with_endpoint(env("PGSLUICE_TEST_S3_ENDPOINT"))
            .with_allow_http(true)
            .with_region(env("AWS_REGION"))
            .with_bucket_name(env("PGSLUICE_TEST_S3_BUCKET"))
            .with_access_key_id(env("AWS_ACCESS_KEY_ID"))
            .with_secret_access_key(env("AWS_SECRET_ACCESS_KEY"))
            .build()
            .expect("a complete S3 configuration");
        Arc::new(PrefixStore::new(store, self.prefix()))
    }
}

#[test]
fn both_kinds_of_root_list_and_read_what_was_put() {
    let (temp, s3) = (TempRoot::new(), S3Root::new("rig-root"));
    let roots: [&dyn Root; 2] = [&temp, &s3];
    for root in roots {
        assert!(root.list("").is_empty(), "{}", root.url());
        let store = root.store();
        let put = async move { store.put(&"a/b.json".into(), "[1]".into()).await };
        wait(put).unwrap();
        assert_eq!(root.list(""), BTreeMap::from([("a/b.json".to_owned(), 3)]));
        assert_eq!(root.list("a").len(), 1);
        assert_eq!(root.get_json("a/b.json"), serde_json::json!([1]));
        assert!(root.get("a/c").is_none());
    }
    let listed = super::run(
        s3.equip(Command::new("sh").args(["-c", "echo $AWS_ENDPOINT_URL"])),
        std::time::Duration::from_secs(10),
    );
    assert_eq!(listed.stdout.trim(), env("PGSLUICE_TEST_S3_ENDPOINT"));
}
