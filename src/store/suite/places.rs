//! The stores that the suite asks, and what is known to differ in each.
//!
//! Owns the way to each store: addresses come from the variables that `tests/run.sh` sets. A
//! deviation is listed with its reason and is held to be there: one that is gone fails a test.

use std::sync::Arc;

use object_store::memory::InMemory;
use tempfile::TempDir;

use crate::store::{Root, random_token};

/// A secret that opens nothing.
pub(super) const WRONG_SECRET: &str = "Y2FuYXJ5LXdyb25nLXNlY3JldA==";

/// What a store is known not to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deviation {
    /// It has no buckets that could be missing.
    NoBuckets,
    /// It asks for no credentials, or takes any.
    NoCredentials,
}

/// A store with a place of the test's own in it.
pub(super) struct Place {
    base: Base,
    token: String,
    deviations: &'static [Deviation],
}

enum Base {
    Memory(Arc<InMemory>),
    Disk(TempDir),
    #[cfg(feature = "failpoints")]
    Cloud(Cloud),
}

impl Place {
    fn new(base: Base, deviations: &'static [Deviation]) -> Self {
        let token = random_token();
        Self {
            base,
            token,
            deviations,
        }
    }

    /// An empty root.
    pub(super) fn root(&self, name: &str) -> Root {
        let folder = format!("suite-{}/{name}", self.token);
        match &self.base {
            Base::Memory(store) => Root::over(Arc::clone(store) as _, &folder),
            Base::Disk(disk) => {
                let path = disk.path().join(folder);
                Root::open(path.to_str().unwrap(), &[]).unwrap()
            }
            #[cfg(feature = "failpoints")]
            Base::Cloud(cloud) => cloud.open(&cloud.bucket, &folder, &[]),
        }
    }

    pub(super) fn in_a_missing_bucket(&self) -> Option<Root> {
        match &self.base {
            Base::Memory(_) | Base::Disk(_) => None,
            #[cfg(feature = "failpoints")]
            Base::Cloud(cloud) => Some(cloud.open("pgsluice-not-there", "x", &[])),
        }
    }

    pub(super) fn with_wrong_credentials(&self) -> Option<Root> {
        if self.has(Deviation::NoCredentials) {
            return None;
        }
        match &self.base {
            Base::Memory(_) | Base::Disk(_) => None,
            #[cfg(feature = "failpoints")]
            Base::Cloud(cloud) => {
                let wrong = [(cloud.secret, WRONG_SECRET)];
                Some(cloud.open(&cloud.bucket, "x", &wrong))
            }
        }
    }

    pub(super) fn has(&self, deviation: Deviation) -> bool {
        self.deviations.contains(&deviation)
    }

    /// A demand that was not made must stand among the known deviations.
    pub(super) fn expect(&self, deviation: Deviation) {
        assert!(self.has(deviation), "{deviation:?} is not known of it");
    }
}

pub(super) fn memory() -> Place {
    let deviations = &[Deviation::NoBuckets, Deviation::NoCredentials];
    Place::new(Base::Memory(Arc::new(InMemory::new())), deviations)
}

pub(super) fn disk() -> Place {
    let deviations = &[Deviation::NoBuckets, Deviation::NoCredentials];
    Place::new(Base::Disk(tempfile::tempdir().unwrap()), deviations)
}

#[cfg(feature = "failpoints")]
pub(super) use self::servers::{Cloud, azurite, gcs, moto, s3rver, seaweedfs};

#[cfg(feature = "failpoints")]
mod servers {
    use super::{Base, Deviation, Place};
    use crate::store::Root;

    /// A bucket on a server.
    pub(in crate::store::suite) struct Cloud {
        scheme: &'static str,
        pub(super) bucket: String,
        options: Vec<(&'static str, String)>,
        /// The option that holds the secret.
        pub(super) secret: &'static str,
    }

    impl Cloud {
        pub(super) fn open(&self, bucket: &str, folder: &str, instead: &[(&str, &str)]) -> Root {
            let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
            let options = self.options.iter();
            let mut options: Vec<_> = options
                .map(|(name, value)| owned(&(name, value.as_str())))
                .collect();
            options.extend(instead.iter().map(owned));
            Root::open(&format!("{}://{bucket}/{folder}", self.scheme), &options).unwrap()
        }

        fn place(self, deviations: &'static [Deviation]) -> Place {
            Place::new(Base::Cloud(self), deviations)
        }
    }

    fn env(name: &str) -> String {
        std::env::var(name).unwrap_or_else(|_| {
            panic!(
                "{name} is not set: with the feature failpoints these tests need real servers. \
                 Run tests/run.sh, or start them with `tests/run.sh --serve` and source the file \
                 that it names."
            )
        })
    }

    fn s3(endpoint: String, key: String, secret: String) -> Cloud {
        Cloud {
            scheme: "s3",
            bucket: env("PGSLUICE_TEST_S3_BUCKET"),
            options: vec![
                ("aws_endpoint", endpoint),
                ("aws_access_key_id", key),
                ("aws_secret_access_key", secret),
                ("aws_region", "us-east-1".to_owned()),
                ("aws_allow_http", "true".to_owned()),
            ],
            secret: "aws_secret_access_key",
        }
    }

    pub(in crate::store::suite) fn seaweedfs() -> Place {
        let (key, secret) = (env("AWS_ACCESS_KEY_ID"), env("AWS_SECRET_ACCESS_KEY"));
        s3(env("PGSLUICE_TEST_S3_ENDPOINT"), key, secret).place(&[])
    }

    pub(in crate::store::suite) fn moto() -> Place {
        let any = || "any".to_owned();
        // It accepts any credentials.
        s3(env("PGSLUICE_TEST_MOTO_ENDPOINT"), any(), any()).place(&[Deviation::NoCredentials])
    }

    pub(in crate::store::suite) fn s3rver() -> Place {
        let key = || env("PGSLUICE_TEST_OLD_S3_KEY");
        s3(env("PGSLUICE_TEST_OLD_S3_ENDPOINT"), key(), key()).place(&[])
    }

    pub(in crate::store::suite) fn gcs() -> Place {
        let cloud = Cloud {
            scheme: "gs",
            bucket: env("PGSLUICE_TEST_S3_BUCKET"),
            options: vec![
                ("google_base_url", env("PGSLUICE_TEST_GCS_ENDPOINT")),
                ("google_bearer_token", env("PGSLUICE_TEST_GCS_TOKEN")),
            ],
            secret: "google_bearer_token",
        };
        cloud.place(&[])
    }

    pub(in crate::store::suite) fn azurite() -> Place {
        let cloud = Cloud {
            scheme: "az",
            bucket: env("PGSLUICE_TEST_S3_BUCKET"),
            options: vec![
                ("azure_endpoint", env("PGSLUICE_TEST_AZURE_ENDPOINT")),
                (
                    "azure_storage_account_name",
                    env("PGSLUICE_TEST_AZURE_ACCOUNT"),
                ),
                ("azure_storage_account_key", env("PGSLUICE_TEST_AZURE_KEY")),
                ("azure_allow_http", "true".to_owned()),
            ],
            secret: "azure_storage_account_key",
        };
        cloud.place(&[])
    }
}
