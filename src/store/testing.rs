//! A store for tests that fails on demand, in the ways that stores and networks do.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures::stream::BoxStream;
use object_store::client::{HttpError, HttpErrorKind};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult,
    Result, UploadPart,
};

use super::Root;

/// What happens to one put-if-absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing out of order.
    None,
    /// It is written; the caller sees a broken connection.
    LostReply,
    /// It is written; the caller sees "already exists", as the store client's own retry makes it.
    OwnConflict,
    /// It is not written and nothing is there; the caller sees "already exists" (S3's 409).
    EmptyConflict,
    /// The caller sees a broken connection; it is written right before the next put-if-absent.
    LandsLate,
    /// It is not written; the caller sees a broken connection.
    NotSent,
    /// Put-if-absent is taken for a plain put.
    Overwrites,
}

#[derive(Debug, Default)]
struct Script {
    faults: VecDeque<Fault>,
    late: Vec<(Path, PutPayload)>,
}

/// A store in memory with faults.
#[derive(Debug)]
pub(crate) struct FaultyStore {
    inner: InMemory,
    script: Mutex<Script>,
    gets: AtomicUsize,
    aborted: Arc<AtomicUsize>,
    fail_part: bool,
}

impl FaultyStore {
    pub(crate) fn new() -> Arc<Self> {
        Self::with_failing_part(false)
    }

    pub(crate) fn with_failing_part(fail_part: bool) -> Arc<Self> {
        Arc::new(Self {
            inner: InMemory::new(),
            script: Mutex::default(),
            gets: AtomicUsize::new(0),
            aborted: Arc::default(),
            fail_part,
        })
    }

    pub(crate) fn root(self: &Arc<Self>) -> Root {
        Root::over(Arc::clone(self) as Arc<dyn ObjectStore>, "lake")
    }

    /// The faults of the next puts-if-absent, in order.
    pub(crate) fn inject(&self, faults: &[Fault]) {
        self.script.lock().unwrap().faults.extend(faults);
    }

    pub(crate) fn gets(&self) -> usize {
        self.gets.load(Ordering::Relaxed)
    }

    pub(crate) fn aborted(&self) -> usize {
        self.aborted.load(Ordering::Relaxed)
    }
}

impl fmt::Display for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FaultyStore")
    }
}

fn broken_connection() -> Error {
    Error::Generic {
        store: "Faulty",
        source: Box::new(HttpError::new(
            HttpErrorKind::Interrupted,
            io::Error::from(io::ErrorKind::ConnectionReset),
        )),
    }
}

fn conflict(location: &Path) -> Error {
    Error::AlreadyExists {
        path: location.to_string(),
        source: "412".into(),
    }
}

#[async_trait]
impl ObjectStore for FaultyStore {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        opts: PutOptions,
    ) -> Result<PutResult> {
        if opts.mode != PutMode::Create {
            return self.inner.put_opts(location, payload, opts).await;
        }
        let (fault, late) = {
            let mut script = self.script.lock().unwrap();
            let fault = script.faults.pop_front().unwrap_or(Fault::None);
            (fault, std::mem::take(&mut script.late))
        };
        for (path, payload) in late {
            let _ = self
                .inner
                .put_opts(&path, payload, PutMode::Create.into())
                .await;
        }
        match fault {
            Fault::None => self.inner.put_opts(location, payload, opts).await,
            Fault::LostReply => {
                self.inner.put_opts(location, payload, opts).await?;
                Err(broken_connection())
            }
            Fault::OwnConflict => {
                self.inner.put_opts(location, payload, opts).await?;
                Err(conflict(location))
            }
            Fault::EmptyConflict => Err(conflict(location)),
            Fault::LandsLate => {
                self.script
                    .lock()
                    .unwrap()
                    .late
                    .push((location.clone(), payload));
                Err(broken_connection())
            }
            Fault::NotSent => Err(broken_connection()),
            Fault::Overwrites => self.inner.put(location, payload).await,
        }
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        Ok(Box::new(FaultyUpload {
            inner: self.inner.put_multipart_opts(location, opts).await?,
            aborted: Arc::clone(&self.aborted),
            fail_part: self.fail_part,
        }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.gets.fetch_add(1, Ordering::Relaxed);
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

#[derive(Debug)]
struct FaultyUpload {
    inner: Box<dyn MultipartUpload>,
    aborted: Arc<AtomicUsize>,
    fail_part: bool,
}

#[async_trait]
impl MultipartUpload for FaultyUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        if std::mem::take(&mut self.fail_part) {
            return Box::pin(std::future::ready(Err(broken_connection())));
        }
        self.inner.put_part(data)
    }

    async fn complete(&mut self) -> Result<PutResult> {
        self.inner.complete().await
    }

    async fn abort(&mut self) -> Result<()> {
        self.aborted.fetch_add(1, Ordering::Relaxed);
        self.inner.abort().await
    }
}
