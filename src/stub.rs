//! TEMPORARY stub of the library's functions, discarded at the merge.
use std::sync::Arc;

use crate::{Error, ErrorKind, ExportOptions, ExportReport, PlanReport, Progress, Result, StatusReport};

pub struct ConnectOptions;

impl ConnectOptions {
    pub fn from_dsn(_dsn: Option<&str>) -> Result<Self> {
        Ok(Self)
    }
}

pub struct Root;

impl Root {
    pub fn open(url: &str, _store_options: &[(String, String)]) -> Result<Self> {
        if url.starts_with("nosuch:") {
            return Err(Error::new(ErrorKind::Config, "no such scheme"));
        }
        Ok(Self)
    }
}

#[derive(Clone, Default)]
pub struct Cancel(tokio_util::sync::CancellationToken);

impl Cancel {
    pub fn new() -> Self {
        Self::default()
    }
    pub fn cancel(&self) {
        self.0.cancel();
    }
    pub fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }
}

fn refused() -> Error {
    Error::new(ErrorKind::Source, "cannot connect").with_advice("is the server running?")
}

pub async fn export(
    _source: &ConnectOptions,
    _root: &Root,
    options: &ExportOptions,
    _progress: &Arc<Progress>,
    _cancel: &Cancel,
) -> Result<ExportReport> {
    options.validate()?;
    Err(refused())
}

pub async fn plan(_source: &ConnectOptions, options: &ExportOptions) -> Result<PlanReport> {
    options.validate()?;
    Err(refused())
}

pub async fn status(_root: &Root) -> Result<StatusReport> {
    Err(Error::new(ErrorKind::Storage, "cannot list"))
}
