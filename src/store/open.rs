//! From a URL or a path to a [`Root`].
//!
//! Owns which URLs are understood, where each cloud's settings come from (its environment
//! variables, then `--store-option`), and the limits on retries and time. It sends nothing:
//! what is wrong with a bucket or its credentials shows at the first request ([`Root::probe`]).

use std::env;
use std::path::{Component, Path as FsPath, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{BackoffConfig, ClientConfigKey, ObjectStore, ObjectStoreScheme, RetryConfig};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use url::{Position, Url};

use super::endpoint::check_endpoint;
use super::error::{config_cause, path_error};
use super::http::Connector;
use super::local::DurableFolders;
use super::{Health, Root};
use crate::error::{Error, ErrorKind, Result};

/// How often one request is repeated after a 5xx, 429 or broken connection.
const MAX_RETRIES: usize = 8;
/// How long one request is repeated, in all.
const RETRY_TIMEOUT: Duration = Duration::from_secs(90);
/// The longest pause between two tries; the first is 100 ms, with jitter.
const MAX_BACKOFF: Duration = Duration::from_secs(10);
/// How long one request may take; what it carries gives it more (`http`).
const REQUEST_TIMEOUT: &str = "60 seconds";
/// How long a connection may take to open.
const CONNECT_TIMEOUT: &str = "5 seconds";
/// Repeats of the first contact, so that a wrong endpoint shows within 15 s.
const PROBE_RETRIES: usize = 1;
/// How long a request of the first contact may take.
const PROBE_TIMEOUT: &str = "10 seconds";

/// What a URL's path must encode so that it reads back as the same key.
const SHOWN: &AsciiSet = &CONTROLS.add(b' ').add(b'%').add(b'?').add(b'#').add(b'\\');

impl Root {
    /// Opens a root: a plain path, `file://`, `s3://bucket/...`, `gs://bucket/...`,
    /// `az://container/...` (also `abfs[s]://`, and the clouds' own `https://` forms).
    ///
    /// Settings come from each cloud's environment variables (`AWS_*`, `GOOGLE_*`, `AZURE_*`),
    /// then from `store_options`, whose names are those of the `object_store` crate. Percent
    /// escapes in a URL's path are decoded; a plain path is taken as it stands.
    ///
    /// Nothing is sent or created. A local folder appears with the first write, and every local
    /// write is synced to the disk before it counts.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`]: an unknown scheme, a URL with credentials or a query, an unknown
    /// option. The text never holds an option's value.
    pub fn open(url: &str, store_options: &[(String, String)]) -> Result<Self> {
        if url.is_empty() {
            return Err(Error::new(
                ErrorKind::Config,
                "the destination URL is empty",
            ));
        }
        if !url.contains("://") {
            return open_local(FsPath::new(url), url, store_options);
        }
        let parsed = Url::parse(url)
            .map_err(|cause| bad_url(url, "it cannot be parsed").with_source(cause))?;
        if parsed.scheme() == "file" {
            let path = parsed.to_file_path();
            let path =
                path.map_err(|()| bad_url(url, "a file URL needs an absolute local path"))?;
            return open_local(&path, url, store_options);
        }
        open_cloud(url, &parsed, store_options)
    }

    /// A root over any store, for tests.
    #[cfg(test)]
    pub(crate) fn over(store: Arc<dyn ObjectStore>, prefix: &str) -> Self {
        Self {
            prober: Arc::clone(&store),
            store,
            prefix: Path::parse(prefix).expect("a test's prefix is a path"),
            base: "memory://".into(),
            is_local: false,
            sole: None,
            health: Arc::default(),
        }
    }
}

/// The URL of a prefix below `base`, in a form that [`Root::open`] reads back.
pub(super) fn show_url(base: &str, prefix: &Path, is_local: bool) -> String {
    let prefix = prefix.as_ref();
    if is_local {
        let path = FsPath::new(base).join(prefix);
        return path.to_string_lossy().trim_end_matches('/').to_owned();
    }
    match prefix {
        "" => base.to_owned(),
        _ => format!("{base}/{}", utf8_percent_encode(prefix, SHOWN)),
    }
}

fn open_local(path: &FsPath, shown: &str, store_options: &[(String, String)]) -> Result<Root> {
    if let Some((name, _)) = store_options.first() {
        return Err(Error::new(
            ErrorKind::Config,
            format!("--store-option {name}: a local folder takes none"),
        ));
    }
    let (base, below) = existing_ancestor(path).map_err(|cause| path_error(shown, &cause))?;
    let prefix = Path::parse(&below).map_err(|_| {
        Error::new(
            ErrorKind::Config,
            format!("cannot open {shown}: the path is not plain text"),
        )
        .with_advice("choose a folder name in UTF-8, without control characters")
    })?;
    let store = LocalFileSystem::new_with_prefix(&base)
        .map_err(|cause| {
            Error::new(ErrorKind::Config, format!("cannot open {shown}"))
                .with_source(config_cause(&cause))
        })?
        .with_fsync(true)
        // A hive folder whose last object is deleted would stay behind, empty.
        .with_automatic_cleanup(true);
    let store: Arc<dyn ObjectStore> = Arc::new(DurableFolders::over(store, base.clone()));
    Ok(Root {
        prober: Arc::clone(&store),
        store,
        prefix,
        base: base.to_string_lossy().into(),
        is_local: true,
        sole: None,
        health: Arc::default(),
    })
}

/// The deepest part of a path that exists, with its links resolved, and what is below it. A
/// path below it can only be plain names, so nothing leaves the root.
fn existing_ancestor(path: &FsPath) -> std::io::Result<(PathBuf, String)> {
    let absolute = std::path::absolute(path)?;
    let mut missing: Vec<String> = Vec::new();
    let mut candidate = absolute.as_path();
    loop {
        match candidate.canonicalize() {
            Ok(base) => {
                missing.reverse();
                return Ok((base, missing.join("/")));
            }
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => {
                let name = match candidate.components().next_back() {
                    Some(Component::Normal(name)) => name.to_str(),
                    // `..` below a folder that is not there leads anywhere once it is.
                    _ => None,
                };
                let parent = candidate.parent();
                let (Some(name), Some(parent)) = (name, parent) else {
                    return Err(cause);
                };
                missing.push(name.to_owned());
                candidate = parent;
            }
            Err(cause) => return Err(cause),
        }
    }
}

fn open_cloud(url: &str, parsed: &Url, store_options: &[(String, String)]) -> Result<Root> {
    let (scheme, prefix) = ObjectStoreScheme::parse(parsed).map_err(|cause| {
        bad_url(url, "its scheme or its path is not understood")
            .with_source(config_cause(&cause.into()))
    })?;
    let is_azure = scheme == ObjectStoreScheme::MicrosoftAzure;
    if parsed.password().is_some() || (!parsed.username().is_empty() && !is_azure) {
        return Err(bad_url(url, "it holds credentials").with_advice(
            "put credentials into the environment: a URL is shown in logs and process lists",
        ));
    }
    if parsed.query().is_some() || parsed.fragment().is_some() {
        return Err(bad_url(url, "it has a query or a fragment").with_advice(
            "write ? and # in a key as %3F and %23; put a SAS token into AZURE_STORAGE_SAS_KEY",
        ));
    }
    let health = Arc::<Health>::default();
    let build = |patience: Patience| -> Result<Arc<dyn ObjectStore>> {
        let http = Connector(Arc::clone(&health));
        match scheme {
            ObjectStoreScheme::AmazonS3 => open_s3(url, store_options, patience, http),
            ObjectStoreScheme::GoogleCloudStorage => open_gcs(url, store_options, patience, http),
            ObjectStoreScheme::MicrosoftAzure => open_azure(url, store_options, patience, http),
            _ => Err(bad_url(url, "its scheme is not supported")),
        }
    };
    Ok(Root {
        store: build(Patience::Long)?,
        prober: build(Patience::Short)?,
        base: base_url(parsed, &prefix).into(),
        prefix,
        is_local: false,
        sole: None,
        health,
    })
}

/// The part of a URL before the prefix.
fn base_url(parsed: &Url, prefix: &Path) -> String {
    let authority = &parsed[..Position::BeforePath];
    let segments: Vec<&str> = parsed
        .path()
        .split('/')
        .filter(|part| !part.is_empty())
        .collect();
    let bucket = segments.len().saturating_sub(prefix.parts_count());
    let mut base = authority.to_owned();
    for segment in &segments[..bucket] {
        base.push('/');
        base.push_str(segment);
    }
    base
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Patience {
    Long,
    Short,
}

impl Patience {
    fn retry(self) -> RetryConfig {
        let (max_retries, retry_timeout) = match self {
            Self::Long => (MAX_RETRIES, RETRY_TIMEOUT),
            Self::Short => (PROBE_RETRIES, Duration::from_secs(10)),
        };
        RetryConfig {
            backoff: BackoffConfig {
                max_backoff: MAX_BACKOFF,
                ..BackoffConfig::default()
            },
            max_retries,
            retry_timeout,
        }
    }

    fn timeouts(self) -> [(ClientConfigKey, &'static str); 2] {
        let request = match self {
            Self::Long => REQUEST_TIMEOUT,
            Self::Short => PROBE_TIMEOUT,
        };
        [
            (ClientConfigKey::Timeout, request),
            (ClientConfigKey::ConnectTimeout, CONNECT_TIMEOUT),
        ]
    }
}

/// Default timeouts, unless the environment (`AWS_TIMEOUT`, ...) sets them.
fn default_timeouts(patience: Patience, env_prefix: &str) -> Vec<(ClientConfigKey, &'static str)> {
    let given = |key: &ClientConfigKey| {
        env::var_os(format!(
            "{env_prefix}_{}",
            key.as_ref().to_ascii_uppercase()
        ))
        .is_some()
    };
    let mut timeouts = patience.timeouts().to_vec();
    timeouts.retain(|(key, _)| !given(key));
    timeouts
}

fn open_s3(
    url: &str,
    options: &[(String, String)],
    patience: Patience,
    http: Connector,
) -> Result<Arc<dyn ObjectStore>> {
    let mut builder = AmazonS3Builder::from_env()
        .with_retry(patience.retry())
        .with_http_connector(http);
    for (key, value) in default_timeouts(patience, "AWS") {
        builder = builder.with_config(AmazonS3ConfigKey::Client(key), value);
    }
    for (key, value) in parse_options::<AmazonS3ConfigKey>(options)? {
        builder = builder.with_config(key, value);
    }
    for key in [AmazonS3ConfigKey::Endpoint, AmazonS3ConfigKey::S3Endpoint] {
        check_endpoint(builder.get_config_value(&key), "AWS_ENDPOINT_URL")?;
    }
    finish(builder.with_url(url).build(), url)
}

fn open_gcs(
    url: &str,
    options: &[(String, String)],
    patience: Patience,
    http: Connector,
) -> Result<Arc<dyn ObjectStore>> {
    let mut builder = GoogleCloudStorageBuilder::from_env()
        .with_retry(patience.retry())
        .with_http_connector(http);
    for (key, value) in default_timeouts(patience, "GOOGLE") {
        builder = builder.with_config(GoogleConfigKey::Client(key), value);
    }
    for (key, value) in parse_options::<GoogleConfigKey>(options)? {
        builder = builder.with_config(key, value);
    }
    let endpoint = builder.get_config_value(&GoogleConfigKey::BaseUrl);
    check_endpoint(endpoint, "GOOGLE_BASE_URL")?;
    finish(builder.with_url(url).build(), url)
}

fn open_azure(
    url: &str,
    options: &[(String, String)],
    patience: Patience,
    http: Connector,
) -> Result<Arc<dyn ObjectStore>> {
    let mut builder = MicrosoftAzureBuilder::from_env()
        .with_retry(patience.retry())
        .with_http_connector(http);
    for (key, value) in default_timeouts(patience, "AZURE") {
        builder = builder.with_config(AzureConfigKey::Client(key), value);
    }
    for (key, value) in parse_options::<AzureConfigKey>(options)? {
        builder = builder.with_config(key, value);
    }
    let endpoint = builder.get_config_value(&AzureConfigKey::Endpoint);
    check_endpoint(endpoint, "AZURE_STORAGE_ENDPOINT")?;
    finish(builder.with_url(url).build(), url)
}

fn finish<S: ObjectStore>(
    built: object_store::Result<S>,
    url: &str,
) -> Result<Arc<dyn ObjectStore>> {
    match built {
        Ok(store) => Ok(Arc::new(store)),
        Err(cause) => Err(bad_url(url, "the store's settings do not fit together")
            .with_advice("check the URL, --store-option and the cloud's environment variables")
            .with_source(config_cause(&cause))),
    }
}

fn parse_options<K: FromStr>(options: &[(String, String)]) -> Result<Vec<(K, String)>> {
    let parse = |(name, value): &(String, String)| match name.to_ascii_lowercase().parse::<K>() {
        Ok(key) => Ok((key, value.clone())),
        Err(_) => Err(Error::new(
            ErrorKind::Config,
            format!("--store-option {name}: this store has no such option"),
        )
        .with_advice("names are those of the object_store crate, such as endpoint or region")),
    };
    options.iter().map(parse).collect()
}

fn bad_url(url: &str, why: &str) -> Error {
    Error::new(
        ErrorKind::Config,
        format!("cannot open {}: {why}", without_secrets(url)),
    )
    .with_advice("expected a path, file://, s3://bucket/..., gs://bucket/... or az://container/...")
}

/// A URL as given, without user info, query and fragment; also when it does not parse.
fn without_secrets(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let authority_end = rest.find('/').unwrap_or(rest.len());
    match rest[..authority_end].rfind('@') {
        Some(at) => format!("{scheme}://{}", &rest[at + 1..]),
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cloud(url: &str) -> Result<Root> {
        let options = [("skip_signature", "true"), ("region", "us-east-1")];
        let options: Vec<_> = options
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Root::open(url, if url.starts_with("s3") { &options } else { &[] })
    }

    #[test]
    fn shown_urls_open_the_same_prefix() {
        for (url, shown) in [
            ("s3://bucket", "s3://bucket"),
            ("s3://bucket/", "s3://bucket"),
            ("s3://bucket/a/b/", "s3://bucket/a/b"),
            ("s3://bucket/a%20b/c%25d/%23", "s3://bucket/a%20b/c%25d/%23"),
        ] {
            let root = cloud(url).unwrap();
            assert_eq!(root.url(), shown);
            let child = root.child("x%2Fy").unwrap();
            let again = cloud(&child.url()).unwrap();
            assert_eq!(again.prefix, child.prefix, "{}", child.url());
        }
        let azure = "abfss://files@acct.dfs.core.windows.net/a/b";
        let key = [("azure_storage_account_key".to_owned(), "a2V5".to_owned())];
        let root = Root::open(azure, &key).unwrap();
        assert_eq!((root.url().as_str(), root.prefix.as_ref()), (azure, "a/b"));
    }

    #[test]
    fn urls_with_secrets_are_refused_and_not_repeated() {
        for url in [
            "s3://key:CANARY@bucket/x",
            "s3://CANARY@bucket/x",
            "https://acct.blob.core.windows.net/c/x?sv=1&sig=CANARY",
            "az://c/x#CANARY",
            "s4://u:CANARY@bucket",
            "s3://u:CANARY@[",
        ] {
            let error = Root::open(url, &[]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{url}");
            assert!(
                !format!("{error} {error:?}").contains("CANARY"),
                "{error:?}"
            );
        }
    }

    #[test]
    fn unknown_options_are_named_without_their_value() {
        let options = [("regoin".to_owned(), "CANARY".to_owned())];
        for url in ["s3://b", "gs://b", "az://c", "/tmp/x"] {
            let error = Root::open(url, &options).unwrap_err();
            assert!(error.to_string().contains("regoin"), "{error}");
            assert!(!format!("{error:?}").contains("CANARY"), "{error:?}");
        }
        for endpoint in ["not a url", "http://u:CANARY@h", "ftp://CANARY", "CANARY:1"] {
            let options = [("endpoint".to_owned(), endpoint.to_owned())];
            for url in ["s3://b", "az://c"] {
                let error = Root::open(url, &options).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Config, "{url} at {endpoint}");
                assert!(!format!("{error:?}").contains("CANARY"), "{error:?}");
            }
        }
        for url in ["", "ftp://x/y", "https://example.com/x", "file://host/x"] {
            assert_eq!(
                Root::open(url, &[]).unwrap_err().kind(),
                ErrorKind::Config,
                "{url}"
            );
        }
    }

    #[test]
    fn a_local_root_need_not_exist_and_is_not_created() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("a b/50%/#1/x?y");
        let root = Root::open(deep.to_str().unwrap(), &[]).unwrap();
        assert_eq!(
            root.url(),
            deep.canonicalize()
                .unwrap_or(deep.clone())
                .to_str()
                .unwrap()
        );
        assert!(!deep.exists());
        let url = Url::from_file_path(&deep).unwrap();
        assert_eq!(Root::open(url.as_str(), &[]).unwrap().url(), root.url());
        let dots = folder.path().join("not-there/../x");
        assert!(Root::open(dots.to_str().unwrap(), &[]).is_err());
        let file = folder.path().join("file");
        std::fs::write(&file, "x").unwrap();
        let error = Root::open(file.join("x").to_str().unwrap(), &[]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    }
}
