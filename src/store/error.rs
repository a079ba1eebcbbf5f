//! Object-store errors become this library's errors here, once.
//!
//! Owns the classification, the advice and the scrubbing: a store's error text may quote signed
//! URLs, key ids and whole server replies, so the cause that is kept is a scrubbed, bounded
//! rendering of the chain and never the original.

use std::error::Error as StdError;
use std::io;

use object_store::client::{HttpError, HttpErrorKind};

use super::health::{code_of_status, code_of_transport};
use crate::error::{Error, ErrorKind};

/// Characters of a store's own words that are kept.
const MAX_CAUSE_CHARS: usize = 600;

/// What stands in the place of a secret.
const REDACTED: &str = "[redacted]";

/// What a store said, scrubbed of secrets: the end of an error chain.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct StoreCause(String);

/// The error of `action` ("read", "list", ...) on `target`, a URL without secrets or a key.
pub(super) fn store_error(action: &str, target: &str, cause: &object_store::Error) -> Error {
    let text = chain_text(cause);
    let class = classify(action, cause, &text);
    let error = Error::new(
        class.kind,
        format!("cannot {action} {target}: {}", class.what),
    )
    .with_advice(class.advice)
    .with_retryable(class.retryable)
    .with_source(StoreCause(scrub(&text)));
    match code(cause, &text) {
        Some(code) => error.with_code(code),
        None => error,
    }
}

/// What is counted: the status, or how the connection failed.
fn code(cause: &object_store::Error, text: &str) -> Option<String> {
    if let Some(status) = status_in(text) {
        return Some(code_of_status(status));
    }
    let http = in_chain::<HttpError>(cause)?;
    Some(code_of_transport(http.kind()).to_owned())
}

/// The status of a refused request, from the words of the store's client.
fn status_in(text: &str) -> Option<u16> {
    let (_, after) = text.split_once("status code: ")?;
    after.get(..3)?.parse().ok()
}

/// The error of a local path that cannot be resolved.
pub(super) fn path_error(path: &str, cause: &io::Error) -> Error {
    let class = classify_io(cause);
    Error::new(class.kind, format!("cannot open {path}: {}", class.what))
        .with_advice(class.advice)
        .with_source(StoreCause(scrub(&cause.to_string())))
}

/// A store's words about a wrong configuration, scrubbed.
pub(super) fn config_cause(cause: &object_store::Error) -> impl StdError + Send + Sync + 'static {
    StoreCause(scrub(&chain_text(cause)))
}

struct Class {
    kind: ErrorKind,
    what: &'static str,
    advice: &'static str,
    retryable: bool,
}

const fn class(kind: ErrorKind, what: &'static str, advice: &'static str) -> Class {
    Class {
        kind,
        what,
        advice,
        retryable: false,
    }
}

const CREDENTIALS: &str = "check the credentials: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, \
     GOOGLE_APPLICATION_CREDENTIALS, AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY, \
     or the role of this machine";
const PERMISSION: &str = "allow this identity to put, get, list and delete objects under the \
     URL, and to abort multipart uploads";

fn classify(action: &str, cause: &object_store::Error, text: &str) -> Class {
    use object_store::Error as E;
    if let Some(io) = in_chain::<io::Error>(cause).filter(|_| !has_http(cause)) {
        return classify_io(io);
    }
    if let Some(class) = classify_words(text) {
        return class;
    }
    match cause {
        E::NotFound { .. } if action == "write" => class(
            ErrorKind::Config,
            "the store has no such bucket, container or endpoint",
            "correct the URL or the endpoint",
        ),
        E::Unauthenticated { .. } => class(
            ErrorKind::Storage,
            "the store did not accept the credentials",
            CREDENTIALS,
        ),
        E::PermissionDenied { .. } => class(ErrorKind::Config, "permission denied", PERMISSION),
        E::NotFound { .. } => class(
            ErrorKind::Storage,
            "not found",
            "check that nothing else deletes under this root, then start again",
        ),
        _ if text.contains("status code: 501") => not_offered(),
        E::NotImplemented { .. } | E::NotSupported { .. } => not_offered(),
        E::InvalidPath { .. } => class(
            ErrorKind::Config,
            "the name cannot be a key",
            "choose a URL without control characters, empty parts, `.` or `..`",
        ),
        E::UnknownConfigurationKey { .. } => class(
            ErrorKind::Config,
            "unknown store option",
            "see the store's option names",
        ),
        _ => classify_transport(cause, text),
    }
}

const fn not_offered() -> Class {
    class(
        ErrorKind::Unsupported,
        "the store does not offer this operation",
        "use a store with conditional writes: S3, GCS, Azure Blob, R2, or a local disk",
    )
}

/// Server codes that the store client hides behind a general error.
fn classify_words(text: &str) -> Option<Class> {
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if has(&[
        "NoSuchBucket",
        "ContainerNotFound",
        "The specified bucket does not exist",
    ]) {
        return Some(class(
            ErrorKind::Config,
            "the bucket or container does not exist",
            "create it first, or correct the URL",
        ));
    }
    if has(&[
        "169.254.169.254",
        "169.254.170.2",
        "metadata.google.internal",
    ]) {
        return Some(class(
            ErrorKind::Config,
            "no credentials were found, and this machine has no role to ask for them",
            CREDENTIALS,
        ));
    }
    if has(&["URL scheme is not allowed"]) {
        return Some(class(
            ErrorKind::Config,
            "the endpoint is plain http, which is not allowed",
            "use https, or set AWS_ALLOW_HTTP=true (GOOGLE_, AZURE_) for a store on this network",
        ));
    }
    if let Some(class) = passing_words(&has) {
        return Some(class);
    }
    if has(&["RequestTimeTooSkewed"]) {
        return Some(class(
            ErrorKind::Config,
            "this machine's clock is wrong",
            "set the clock: requests are signed with the time",
        ));
    }
    if has(&[
        "InvalidAccessKeyId",
        "SignatureDoesNotMatch",
        "AuthenticationFailed",
        "AuthenticationRequired",
        "failed to authenticate",
    ]) {
        return Some(class(
            ErrorKind::Storage,
            "the store did not accept the credentials",
            CREDENTIALS,
        ));
    }
    if has(&[
        "AccessDenied",
        "AuthorizationFailure",
        "AuthorizationPermissionMismatch",
    ]) {
        return Some(class(ErrorKind::Config, "permission denied", PERMISSION));
    }
    if has(&["Received redirect without LOCATION", "PermanentRedirect"]) {
        return Some(class(
            ErrorKind::Config,
            "the bucket is in another region",
            "set AWS_REGION to the bucket's region",
        ));
    }
    None
}

/// Refusals that another try can get past.
fn passing_words(has: &dyn Fn(&[&str]) -> bool) -> Option<Class> {
    let passing = |what, advice| Class {
        retryable: true,
        ..class(ErrorKind::Storage, what, advice)
    };
    // A role's credentials are asked for anew once they have run out; given ones stay as they are.
    if has(&[
        "ExpiredToken",
        "TokenRefreshRequired",
        "Request has expired",
        "Signature not valid in the specified time frame",
        "Lifetime validation failed",
    ]) {
        return Some(passing(
            "the credentials have expired",
            "renew them (AWS_SESSION_TOKEN and its keys, AZURE_STORAGE_SAS_KEY), or use a role, \
             which is renewed by itself; start again to go on",
        ));
    }
    if has(&["NoSuchUpload"]) {
        return Some(passing(
            "the store no longer knows the upload",
            "if it comes back, look for a lifecycle rule that removes multipart uploads too early",
        ));
    }
    if has(&["OperationAborted", "ConditionalRequestConflict"]) {
        return Some(passing("another request was under way", WELL_ADVICE));
    }
    has(&["RequestTimeout"]).then(|| passing("the store waited too long for bytes", WELL_ADVICE))
}

const WELL_ADVICE: &str = "start again when it is well; what was committed stays";

fn classify_transport(cause: &object_store::Error, text: &str) -> Class {
    // 416: a body ended early, and the client asked for what should have followed.
    let is_passing = |status| matches!(status, 408 | 416 | 425 | 429 | 500 | 502..=504 | 507..);
    if status_in(text).is_some_and(is_passing) || text.contains("SlowDown") {
        return Class {
            retryable: true,
            ..class(
                ErrorKind::Storage,
                "the store failed or is overloaded",
                WELL_ADVICE,
            )
        };
    }
    let Some(http) = in_chain::<HttpError>(cause) else {
        return class(
            ErrorKind::Storage,
            "the store failed",
            "see the cause, then start again",
        );
    };
    let what = match http.kind() {
        HttpErrorKind::Connect => "the store cannot be reached",
        HttpErrorKind::Timeout => "the store did not answer in time",
        _ => "the connection to the store broke",
    };
    Class {
        retryable: true,
        ..class(
            ErrorKind::Storage,
            what,
            "check the endpoint (AWS_ENDPOINT_URL and AWS_ALLOW_HTTP for plain http), the \
             network and the proxy; start again when it is back",
        )
    }
}

fn classify_io(cause: &io::Error) -> Class {
    use io::ErrorKind as K;
    match cause.kind() {
        K::StorageFull | K::QuotaExceeded => class(
            ErrorKind::Storage,
            "no space is left on the disk",
            "free some space and start again; what was committed stays",
        ),
        K::PermissionDenied => class(
            ErrorKind::Config,
            "permission denied",
            "let this user read and write the folder, or choose another",
        ),
        K::ReadOnlyFilesystem => class(
            ErrorKind::Config,
            "the file system is read-only",
            "choose another folder",
        ),
        K::NotADirectory | K::IsADirectory | K::InvalidFilename => class(
            ErrorKind::Config,
            "the path cannot hold this",
            "choose a folder: a part of the path is a file, or a name is too long",
        ),
        K::Unsupported => class(
            ErrorKind::Unsupported,
            "the file system lacks hard links",
            "choose a file system with hard links: they make writes of the log exclusive",
        ),
        _ => class(
            ErrorKind::Storage,
            "the disk failed",
            "check the disk and start again; what was committed stays",
        ),
    }
}

fn has_http(cause: &object_store::Error) -> bool {
    in_chain::<HttpError>(cause).is_some()
}

fn in_chain<T: StdError + 'static>(cause: &object_store::Error) -> Option<&T> {
    let mut next: Option<&(dyn StdError + 'static)> = Some(cause);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<T>() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// The messages of a chain, without those that the one before already quotes.
fn chain_text(cause: &object_store::Error) -> String {
    let mut text = cause.to_string();
    let mut next = cause.source();
    while let Some(error) = next {
        let message = error.to_string();
        if !text.contains(&message) {
            text.push_str(": ");
            text.push_str(&message);
        }
        next = error.source();
    }
    text
}

/// One line without user info and queries of URLs, server replies reduced to code and message,
/// and values behind well-known secret names replaced.
pub(super) fn scrub(text: &str) -> String {
    let text = reduce_reply(text);
    let mut clean = String::with_capacity(text.len());
    let mut after_bearer = false;
    for word in text.split_whitespace() {
        if !clean.is_empty() {
            clean.push(' ');
        }
        clean.push_str(&if after_bearer {
            REDACTED.to_owned()
        } else {
            scrub_word(word)
        });
        after_bearer = word.to_ascii_lowercase().ends_with("bearer");
    }
    match clean.char_indices().nth(MAX_CAUSE_CHARS) {
        Some((end, _)) => format!("{}...", &clean[..end]),
        None => clean,
    }
}

/// An XML error reply, cut to its code and message: replies to a wrong signature quote the
/// whole request.
fn reduce_reply(text: &str) -> String {
    let Some(start) = text.find("<?xml").or_else(|| text.find("<Error")) else {
        return text.to_owned();
    };
    let tag = |name: &str| {
        let (_, after) = text[start..].split_once(&format!("<{name}>"))?;
        Some(after.split_once(&format!("</{name}>"))?.0)
    };
    let code = tag("Code").unwrap_or("unknown code");
    format!(
        "{}{code} {}",
        &text[..start],
        tag("Message").unwrap_or_default()
    )
}

fn scrub_word(word: &str) -> String {
    let mut word = word.to_owned();
    if let Some((scheme, rest)) = word.clone().split_once("://") {
        let authority_end = rest.find('/').unwrap_or(rest.len());
        let rest = match rest[..authority_end].rfind('@') {
            Some(at) => &rest[at + 1..],
            None => rest,
        };
        word = format!("{scheme}://{rest}");
    }
    if let Some((before, _)) = word.split_once('?') {
        word = format!("{before}?...");
    }
    let lower = word.to_ascii_lowercase();
    let secrets = [
        "sig=",
        "signature",
        "credential",
        "token",
        "secret",
        "password",
        "accountkey",
    ];
    let is_secret = secrets.iter().any(|name| lower.contains(name)) && word.contains(['=', ':']);
    if is_secret && !word.contains("://") {
        REDACTED.to_owned()
    } else {
        word
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signed_urls_keys_and_request_echoes_are_scrubbed() {
        let text = "Error performing PUT https://user:pw@acct.blob.core.windows.net/c/k?sv=1&sig=CANARY \
             in 3ms - Server returned non-2xx status code: 403 Forbidden: <?xml version=\"1.0\"?>\
             <Error><Code>SignatureDoesNotMatch</Code><Message>no match</Message>\
             <AWSAccessKeyId>CANARY</AWSAccessKeyId><StringToSign>CANARY\nx</StringToSign></Error>";
        let clean = scrub(text);
        assert!(
            !clean.contains("CANARY") && !clean.contains("pw@"),
            "{clean}"
        );
        assert!(clean.contains("SignatureDoesNotMatch no match"), "{clean}");
        assert!(
            clean.contains("https://acct.blob.core.windows.net/c/k?..."),
            "{clean}"
        );
        let clean = scrub(
            "AccountKey=CANARY; x-amz-security-token:CANARY {\"secret\":\"CANARY\"} \
             Authorization: Bearer CANARY",
        );
        assert!(!clean.contains("CANARY"), "{clean}");
        assert!(scrub(&"x ".repeat(5_000)).len() < 700);
    }

    #[test]
    fn a_full_disk_is_named_and_is_no_transient_failure() {
        let cause = object_store::Error::Generic {
            store: "LocalFileSystem",
            source: Box::new(io::Error::from(io::ErrorKind::StorageFull)),
        };
        let error = store_error("write", "/data/x", &cause);
        assert_eq!(error.kind(), ErrorKind::Storage);
        assert!(error.to_string().contains("no space"), "{error}");
        assert!(!error.is_retryable());
    }

    #[test]
    fn a_broken_connection_may_be_tried_again() {
        let cause = object_store::Error::Generic {
            store: "S3",
            source: Box::new(HttpError::new(
                HttpErrorKind::Interrupted,
                io::Error::from(io::ErrorKind::ConnectionReset),
            )),
        };
        assert!(store_error("write", "s3://b/k", &cause).is_retryable());
    }
}
