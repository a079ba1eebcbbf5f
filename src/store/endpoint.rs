//! The URL of a store's endpoint, looked at before the store's client sees it.
//!
//! Pure: it opens nothing.

use url::Url;

use crate::error::{Error, ErrorKind, Result};

/// The store client panics over some endpoints that are no URL, and would log credentials in one.
pub(super) fn check_endpoint(endpoint: Option<String>, name: &str) -> Result<()> {
    let Some(endpoint) = endpoint else {
        return Ok(());
    };
    let is_plain = |url: &Url| {
        let is_http = matches!(url.scheme(), "http" | "https");
        is_http && url.has_host() && url.username().is_empty() && url.password().is_none()
    };
    match Url::parse(&endpoint) {
        Ok(url) if is_plain(&url) => Ok(()),
        _ => Err(Error::new(
            ErrorKind::Config,
            format!("the store's endpoint, {name} or the store option, is no plain http(s) URL"),
        )
        .with_advice("expected https://host:port, without credentials")),
    }
}
