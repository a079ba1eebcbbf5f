//! The address of a store that is not where its cloud has it.
//!
//! Owns what may be one. Which settings hold it is `open`'s.

use url::Url;

use crate::error::{Error, ErrorKind, Result};

/// The store client panics over some endpoints that are no URL, and would log credentials in one.
///
/// # Errors
///
/// [`ErrorKind::Config`]; the text does not hold the endpoint.
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
