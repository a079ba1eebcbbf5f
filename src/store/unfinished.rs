//! Multipart uploads that were begun and neither completed nor aborted: finding and aborting them.
//!
//! Owns the one request that `object_store` has no call for, listing them (S3, and the XML API of
//! Google Cloud Storage). Whose they are, and whether they may go, is the caller's to know. Azure
//! has none: its uncommitted blocks vanish by themselves within a week.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::{Method, StatusCode};
use object_store::ClientOptions;
use object_store::aws::AmazonS3;
use object_store::client::{HttpClient, HttpConnector, HttpRequest, HttpRequestBody};
use object_store::gcp::{
    GcpCredential, GoogleCloudStorage, GoogleCloudStorageBuilder, GoogleConfigKey,
};
use object_store::multipart::MultipartStore;
use object_store::path::Path;
use object_store::signer::{SignedUrlOptions, Signer};
use serde::Deserialize;
use url::Url;

use super::Root;
use super::error::scrub;
use super::http::Connector;
use crate::error::{Error, ErrorKind, Result};

/// Uploads of one page.
const PAGE: &str = "1000";
/// How long the signature of one request holds.
const SIGNED_FOR: Duration = Duration::from_secs(300);
/// How often one page is asked for.
const MAX_TRIES: u32 = 5;
/// The pause after the first try; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// How a store's unfinished uploads are reached.
#[derive(Debug, Clone)]
pub(super) enum UploadsApi {
    /// It has none, or they stand on its disk as files.
    None,
    /// Azure: they cannot be listed, and vanish by themselves.
    Expiring,
    /// Requests are not signed, or the way to the bucket is not known: nobody would answer.
    Unsigned,
    S3(Arc<AmazonS3>, HttpClient),
    /// The URL is that of the bucket.
    Gcs(Arc<GoogleCloudStorage>, HttpClient, Url),
}

impl UploadsApi {
    /// Of the bucket that `url` names, at the base URL of the store's client.
    pub(super) fn of_gcs(
        store: &Arc<GoogleCloudStorage>,
        client: Option<HttpClient>,
        base: &str,
        url: &str,
    ) -> Self {
        let parsed = Url::parse(url).ok();
        let parsed = parsed.as_ref().filter(|url| url.scheme() == "gs");
        let bucket = parsed.and_then(Url::host_str).unwrap_or_default();
        match (client, gcs_bucket_url(base, bucket)) {
            (Some(client), Some(at)) if !bucket.is_empty() => {
                Self::Gcs(Arc::clone(store), client, at)
            }
            _ => Self::Unsigned,
        }
    }
}

/// A multipart upload that was begun and has not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UnfinishedUpload {
    /// The key that its object would have, relative to the root.
    pub(crate) key: String,
    /// The store's id for it.
    pub(crate) id: String,
    /// When it was begun, by the store's clock.
    pub(crate) begun_at: Option<DateTime<Utc>>,
}

/// What is known of the unfinished uploads below a root.
#[derive(Debug)]
pub(crate) enum Uploads {
    /// All of them.
    Listed(Vec<UnfinishedUpload>),
    /// The store keeps none.
    Expiring,
}

/// Remembers the client that a store was built with: its last one, after those of credentials.
#[derive(Debug)]
pub(super) struct Recorder {
    inner: Connector,
    client: Arc<Mutex<Option<HttpClient>>>,
}

impl HttpConnector for Recorder {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let client = self.inner.connect(options)?;
        let mut last = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        *last = Some(client.clone());
        Ok(client)
    }
}

impl Root {
    /// The unfinished multipart uploads of keys below this root.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] where this identity may not list them, [`ErrorKind::Unsupported`]
    /// where the store cannot, [`ErrorKind::Storage`] otherwise.
    pub(crate) async fn list_uploads(&self) -> Result<Uploads> {
        match &self.uploads {
            UploadsApi::None => return Ok(Uploads::Listed(Vec::new())),
            UploadsApi::Expiring => return Ok(Uploads::Expiring),
            _ => {}
        }
        let mut uploads = Vec::new();
        let mut after = None;
        loop {
            let page = self.upload_page(after.as_ref()).await?;
            uploads.extend(page.uploads.into_iter().filter_map(|upload| {
                Some(UnfinishedUpload {
                    key: self.key_below(&upload.key)?,
                    id: upload.upload_id,
                    begun_at: upload.initiated.and_then(|text| text.parse().ok()),
                })
            }));
            if !page.is_truncated {
                return Ok(Uploads::Listed(uploads));
            }
            let next = (page.next_key_marker, page.next_upload_id_marker);
            if next.0.is_empty() || after.as_ref() == Some(&next) {
                let message = "the store's list of unfinished uploads has no end";
                return Err(self.cannot_list(ErrorKind::Storage, message, ""));
            }
            after = Some(next);
        }
    }

    /// Aborts an unfinished upload and frees its parts. One that has ended is no error, and its
    /// object stays.
    ///
    /// # Errors
    ///
    /// The store's, classified.
    pub(crate) async fn abort_upload(&self, upload: &UnfinishedUpload) -> Result<()> {
        let path = self.path(&upload.key)?;
        let aborted = match &self.uploads {
            UploadsApi::S3(store, _) => store.abort_multipart(&path, &upload.id).await,
            UploadsApi::Gcs(store, ..) => store.abort_multipart(&path, &upload.id).await,
            _ => Ok(()),
        };
        match aborted {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(cause) => Err(self.failed("abort the upload of", &upload.key, &cause)),
        }
    }

    async fn upload_page(&self, after: Option<&(String, String)>) -> Result<Page> {
        let mut pause = FIRST_PAUSE;
        for tries in 1.. {
            let failure = match self.ask_for_page(after).await {
                Ok(page) => return Ok(page),
                Err(failure) => failure,
            };
            if !failure.is_retryable() || tries == MAX_TRIES {
                return Err(failure);
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        Err(self.cannot_list(ErrorKind::Internal, "it was never asked", ""))
    }

    async fn ask_for_page(&self, after: Option<&(String, String)>) -> Result<Page> {
        let (client, request) = self.page_request(after).await?;
        let broke = |what: &str, cause: String| {
            let error = self.cannot_list(ErrorKind::Storage, what, &cause);
            error.with_retryable(true)
        };
        let response = client.execute(request).await;
        let response = response.map_err(|cause| broke("the connection broke", chain(&cause)))?;
        let status = response.status();
        let body = response.into_body().bytes().await;
        let body = body.map_err(|cause| broke("the connection broke", chain(&cause)))?;
        if !status.is_success() {
            return Err(self.refused_list(status, &body));
        }
        let text = std::str::from_utf8(&body).ok();
        let page = text.and_then(|text| quick_xml::de::from_str::<Page>(text).ok());
        page.ok_or_else(|| {
            let what = "the store's answer cannot be read";
            self.cannot_list(ErrorKind::Unsupported, what, "")
        })
    }

    /// The request for one page, signed.
    async fn page_request(
        &self,
        after: Option<&(String, String)>,
    ) -> Result<(HttpClient, HttpRequest)> {
        let prefix = match self.prefix.as_ref() {
            "" => String::new(),
            prefix => format!("{prefix}/"),
        };
        let mut query = vec![("uploads", ""), ("max-uploads", PAGE), ("prefix", &prefix)];
        if let Some((key, id)) = after {
            query.push(("key-marker", key));
            query.push(("upload-id-marker", id));
        }
        query.retain(|(name, value)| *name == "uploads" || !value.is_empty());
        let failed =
            |cause: object_store::Error| self.failed("list unfinished uploads of", "", &cause);
        let (client, url, bearer) = match &self.uploads {
            UploadsApi::S3(store, client) => {
                let options = SignedUrlOptions::default().with_query(query);
                let root = Path::default();
                let url = store.signed_url_opts(Method::GET, &root, SIGNED_FOR, &options);
                (client, url.await.map_err(failed)?, None)
            }
            UploadsApi::Gcs(store, client, bucket) => {
                let mut url = bucket.clone();
                url.query_pairs_mut().extend_pairs(query);
                let credential: Arc<GcpCredential> =
                    store.credentials().get_credential().await.map_err(failed)?;
                (client, url, Some(credential.bearer.clone()))
            }
            UploadsApi::Unsigned | UploadsApi::None | UploadsApi::Expiring => {
                let what = "requests to this store are not signed";
                return Err(self.cannot_list(ErrorKind::Unsupported, what, ""));
            }
        };
        let mut request = http::Request::builder()
            .method(Method::GET)
            .uri(url.as_str());
        if let Some(bearer) = bearer.filter(|bearer| !bearer.is_empty()) {
            request = request.header(http::header::AUTHORIZATION, format!("Bearer {bearer}"));
        }
        // The request's parts were made here: what is wrong with them is no user's fault, and the
        // signature must not be shown.
        let request = request.body(HttpRequestBody::empty()).map_err(|_| {
            self.cannot_list(ErrorKind::Internal, "the request cannot be built", "")
        })?;
        Ok((client.clone(), request))
    }

    fn refused_list(&self, status: StatusCode, body: &Bytes) -> Error {
        let code = error_code(body);
        let status = status.as_u16();
        let told = format!("{status} {code}");
        let is_passing = status >= 500 && status != 501 || matches!(status, 408 | 429);
        let (kind, what) = match status {
            401 | 403 => (ErrorKind::Config, "permission denied"),
            400 | 404 | 405 | 501 => (ErrorKind::Unsupported, "the store does not offer it"),
            _ => (ErrorKind::Storage, "the store failed"),
        };
        self.cannot_list(kind, what, &told)
            .with_retryable(is_passing)
    }

    fn cannot_list(&self, kind: ErrorKind, what: &str, cause: &str) -> Error {
        let message = format!("cannot list unfinished uploads of {}: {what}", self.url());
        let error = Error::new(kind, message).with_advice(
            "allow this identity to list multipart uploads (s3:ListBucketMultipartUploads, \
             storage.multipartUploads.list), or give the bucket a lifecycle rule that removes \
             incomplete ones",
        );
        match cause.trim() {
            "" => error,
            cause => error.with_source(std::io::Error::other(scrub(cause))),
        }
    }

    /// A store's key as this root has it.
    fn key_below(&self, key: &str) -> Option<String> {
        let key = match self.prefix.as_ref() {
            "" => key,
            prefix => key.strip_prefix(prefix)?.strip_prefix('/')?,
        };
        (!key.is_empty()).then(|| key.to_owned())
    }
}

/// The bucket's URL in the XML API of Google Cloud Storage.
fn gcs_bucket_url(base: &str, bucket: &str) -> Option<Url> {
    let mut url = Url::parse(base).ok()?;
    url.path_segments_mut().ok()?.pop_if_empty().push(bucket);
    Some(url)
}

/// Where the store's client sends its requests.
pub(super) fn gcs_base_url(builder: &GoogleCloudStorageBuilder) -> String {
    let given = |key: GoogleConfigKey| builder.get_config_value(&key);
    let in_key = || {
        let key = given(GoogleConfigKey::ServiceAccountKey);
        let file = || std::fs::read_to_string(given(GoogleConfigKey::ServiceAccount)?).ok();
        let key: serde_json::Value = serde_json::from_str(&key.or_else(file)?).ok()?;
        Some(key.get("gcs_base_url")?.as_str()?.to_owned())
    };
    let base = given(GoogleConfigKey::BaseUrl).or_else(in_key);
    base.unwrap_or_else(|| "https://storage.googleapis.com".to_owned())
}

/// A connector that remembers, and what it remembers.
pub(super) fn recorded(inner: Connector) -> (Recorder, Arc<Mutex<Option<HttpClient>>>) {
    let client = Arc::<Mutex<Option<HttpClient>>>::default();
    let recorder = Recorder {
        inner,
        client: Arc::clone(&client),
    };
    (recorder, client)
}

pub(super) fn last(client: &Mutex<Option<HttpClient>>) -> Option<HttpClient> {
    client
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone()
}

/// One page of the answer to `GET ?uploads`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Page {
    #[serde(default)]
    is_truncated: bool,
    #[serde(default)]
    next_key_marker: String,
    #[serde(default)]
    next_upload_id_marker: String,
    #[serde(default, rename = "Upload")]
    uploads: Vec<PageUpload>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PageUpload {
    key: String,
    upload_id: String,
    initiated: Option<String>,
}

/// The code of a store's refusal: a word, or nothing.
fn error_code(body: &[u8]) -> String {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Refusal {
        code: String,
    }
    let text = std::str::from_utf8(body).ok();
    let refusal = text.and_then(|text| quick_xml::de::from_str::<Refusal>(text).ok());
    let code = refusal.map(|refusal| refusal.code).unwrap_or_default();
    let is_word = code.len() <= 64 && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if is_word { code } else { String::new() }
}

/// An error's causes in one line. The caller scrubs it: a URL in it is signed.
fn chain(cause: &dyn std::error::Error) -> String {
    let mut line = cause.to_string();
    let mut next = cause.source();
    while let Some(cause) = next {
        line.push_str(": ");
        line.push_str(&cause.to_string());
        next = cause.source();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read_with_lists_that_lie_apart_and_markers_that_are_empty() {
        let text = "<?xml version=\"1.0\"?><ListMultipartUploadsResult \
            xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Bucket>b</Bucket><KeyMarker/>\
            <NextKeyMarker>a&amp;b</NextKeyMarker><NextUploadIdMarker>7</NextUploadIdMarker>\
            <IsTruncated>true</IsTruncated>\
            <Upload><Key>x/part&#45;1</Key><UploadId>i</UploadId><Initiated>2026-11-22T10:00:00.000Z\
            </Initiated><Owner><ID>o</ID></Owner></Upload><CommonPrefixes><Prefix>p</Prefix>\
            </CommonPrefixes><Upload><Key>y</Key><UploadId>j</UploadId></Upload>\
            </ListMultipartUploadsResult>";
        let page: Page = quick_xml::de::from_str(text).unwrap();
        assert!(page.is_truncated);
        assert_eq!(page.next_key_marker, "a&b");
        let keys: Vec<&str> = page
            .uploads
            .iter()
            .map(|upload| upload.key.as_str())
            .collect();
        assert_eq!(keys, ["x/part-1", "y"]);
        let begun = page.uploads[0].initiated.clone().unwrap();
        assert!(begun.trim().parse::<DateTime<Utc>>().is_ok(), "{begun}");
        let empty = "<ListMultipartUploadsResult><IsTruncated>false</IsTruncated>\
            <NextKeyMarker></NextKeyMarker></ListMultipartUploadsResult>";
        let page: Page = quick_xml::de::from_str(empty).unwrap();
        assert!(!page.is_truncated && page.uploads.is_empty());
    }

    #[test]
    fn a_refusal_gives_its_code_and_nothing_else() {
        let code = |text: &str| error_code(text.as_bytes());
        let denied =
            "<Error><Code>AccessDenied</Code><AWSAccessKeyId>CANARY</AWSAccessKeyId></Error>";
        assert_eq!(code(denied), "AccessDenied");
        assert_eq!(code("<Error><Code>a b</Code></Error>"), "");
        assert_eq!(code("not xml"), "");
    }
}
