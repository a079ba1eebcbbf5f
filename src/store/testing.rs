//! A store for tests that fails on demand, in the ways that stores and networks do.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::client::{HttpError, HttpErrorKind};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult,
    Result, UploadPart,
};

use tokio::sync::Semaphore;

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

/// What can be made to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stalling {
    /// A plain put, or the completion of an upload.
    Write,
    Delete,
}

/// The next operation of its kind on one object waits before it is done.
#[derive(Debug, Clone)]
pub(crate) struct Stall {
    what: Stalling,
    key: String,
    reached: Arc<Semaphore>,
    released: Arc<Semaphore>,
}

impl Stall {
    /// Waits until the operation was asked for.
    pub(crate) async fn reached(&self) {
        self.reached.acquire().await.unwrap().forget();
    }

    pub(crate) fn release(&self) {
        self.released.add_permits(1);
    }
}

#[derive(Debug, Clone, Default)]
struct Stalls(Arc<Mutex<Vec<Stall>>>);

impl Stalls {
    async fn pass(&self, what: Stalling, location: &Path) {
        let stall = {
            let mut stalls = self.0.lock().unwrap();
            let is_it =
                |stall: &Stall| stall.what == what && location.as_ref().ends_with(&stall.key);
            let found = stalls.iter().position(is_it);
            found.map(|place| stalls.remove(place))
        };
        if let Some(stall) = stall {
            stall.reached.add_permits(1);
            stall.released.acquire().await.unwrap().forget();
        }
    }
}

/// A store in memory with faults.
#[derive(Debug)]
pub(crate) struct FaultyStore {
    inner: InMemory,
    script: Mutex<Script>,
    stalls: Stalls,
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
            stalls: Stalls::default(),
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

    /// Lets the next such operation on the object with this key wait.
    pub(crate) fn stall(&self, what: Stalling, key: &str) -> Stall {
        let stall = Stall {
            what,
            key: key.to_owned(),
            reached: Arc::new(Semaphore::new(0)),
            released: Arc::new(Semaphore::new(0)),
        };
        self.stalls.0.lock().unwrap().push(stall.clone());
        stall
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
            self.stalls.pass(Stalling::Write, location).await;
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
            location: location.clone(),
            stalls: self.stalls.clone(),
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
        let stalls = self.stalls.clone();
        let passed = locations.then(move |location| {
            let stalls = stalls.clone();
            async move {
                if let Ok(location) = &location {
                    stalls.pass(Stalling::Delete, location).await;
                }
                location
            }
        });
        self.inner.delete_stream(passed.boxed())
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
    location: Path,
    stalls: Stalls,
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
        self.stalls.pass(Stalling::Write, &self.location).await;
        self.inner.complete().await
    }

    async fn abort(&mut self) -> Result<()> {
        self.aborted.fetch_add(1, Ordering::Relaxed);
        self.inner.abort().await
    }
}
