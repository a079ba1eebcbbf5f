//! The decorator: every request to a store passes a judge, on its way there and back.
//!
//! Owns what each fault means for each request. No method is left to the trait's default: a new
//! one could pass without faults, and the lint says so.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt, TryFutureExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult,
    RenameOptions, Result,
};

use super::multipart::FaultUpload;
use super::{Call, Fault, Faults, Op, broken_connection, conflict};
use crate::store::Root;

/// Any store, with faults. Clones share the store and the judge.
#[derive(Debug, Clone)]
pub(crate) struct FaultStore {
    inner: Arc<dyn ObjectStore>,
    pub(super) faults: Arc<dyn Faults>,
    /// What lands right before the next put-if-absent.
    late: Arc<Mutex<Vec<Put>>>,
}

/// A put that is under way.
#[derive(Debug, Clone)]
struct Put {
    call: Call,
    payload: PutPayload,
    options: PutOptions,
}

impl FaultStore {
    pub(crate) fn new(inner: Arc<dyn ObjectStore>, faults: Arc<dyn Faults>) -> Self {
        Self {
            inner,
            faults,
            late: Arc::default(),
        }
    }

    /// A folder of it, as the library sees it.
    pub(crate) fn root(&self, prefix: &str) -> Root {
        Root::over(Arc::new(self.clone()), prefix)
    }

    /// Does a request, or does not: the faults that all requests share.
    pub(super) async fn pass<T>(
        &self,
        call: &Call,
        request: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let verdict = self.faults.before(call).await;
        let reply = match verdict.fault {
            Fault::None | Fault::Overwrites => self.done(call, request).await,
            Fault::LostReply => {
                let done = self.done(call, request).await;
                done.and(Err(broken_connection()))
            }
            _ => Err(broken_connection()),
        };
        self.faults.after(call, verdict.number).await;
        reply
    }

    pub(super) async fn done<T>(
        &self,
        call: &Call,
        request: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let done = request.await;
        self.faults.effect(call, done.is_ok());
        done
    }

    async fn put(&self, put: Put, fault: Fault) -> Result<PutResult> {
        match fault {
            Fault::None => self.land(put).await,
            Fault::Overwrites => {
                let options = PutOptions::default();
                self.land(Put { options, ..put }).await
            }
            Fault::LostReply => self.land(put).await.and(Err(broken_connection())),
            Fault::OwnConflict => {
                let location = put.call.key.clone();
                self.land(put).await.and(Err(conflict(&location)))
            }
            Fault::EmptyConflict => Err(conflict(&put.call.key)),
            Fault::LandsLate => {
                self.late.lock().unwrap().push(put);
                Err(broken_connection())
            }
            Fault::LandsIn(time) => {
                let store = self.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(time).await;
                    let _ = store.land(put).await;
                });
                Err(broken_connection())
            }
            Fault::NotSent | Fault::Half => Err(broken_connection()),
        }
    }

    async fn land(&self, put: Put) -> Result<PutResult> {
        let request = self.inner.put_opts(&put.call.key, put.payload, put.options);
        self.done(&put.call, request).await
    }

    fn listed(
        self,
        call: Call,
        listing: BoxStream<'static, Result<ObjectMeta>>,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        let found = async move {
            let verdict = self.faults.before(&call).await;
            let all = match verdict.fault {
                Fault::None | Fault::LostReply | Fault::Half => {
                    self.done(&call, listing.try_collect::<Vec<_>>()).await
                }
                _ => Err(broken_connection()),
            };
            self.faults.after(&call, verdict.number).await;
            let mut all: Vec<_> = all?.into_iter().map(Ok).collect();
            if verdict.fault != Fault::None {
                all.truncate(all.len() / 2);
                all.push(Err(broken_connection()));
            }
            Ok(stream::iter(all))
        };
        found.try_flatten_stream().boxed()
    }
}

impl fmt::Display for FaultStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "faults over {}", self.inner)
    }
}

fn call(op: Op, key: &Path) -> Call {
    let key = key.clone();
    Call { op, key }
}

fn list_call(op: Op, prefix: Option<&Path>) -> Call {
    let key = prefix.cloned().unwrap_or_default();
    Call { op, key }
}

/// A body that breaks after its first half.
fn halved(found: GetResult) -> GetResult {
    let (meta, range) = (found.meta.clone(), found.range.clone());
    let (attributes, extensions) = (found.attributes.clone(), found.extensions.clone());
    let half = usize::try_from((range.end - range.start) / 2).unwrap_or(usize::MAX);
    let whole = found.into_stream().try_collect::<Vec<_>>();
    let head = whole.map_ok(move |frames| {
        let whole = frames.concat();
        Bytes::copy_from_slice(&whole[..half.min(whole.len())])
    });
    let rest = std::future::ready(Err(broken_connection()));
    let body = head.into_stream().chain(rest.into_stream());
    GetResult {
        payload: GetResultPayload::Stream(body.boxed()),
        meta,
        range,
        attributes,
        extensions,
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl ObjectStore for FaultStore {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let is_create = options.mode == PutMode::Create;
        let op = if is_create { Op::Create } else { Op::Put };
        let call = call(op, location);
        let verdict = self.faults.before(&call).await;
        if is_create {
            let late = std::mem::take(&mut *self.late.lock().unwrap());
            for put in late {
                let _ = self.land(put).await;
            }
        }
        let put = Put {
            call: call.clone(),
            payload,
            options,
        };
        let reply = self.put(put, verdict.fault).await;
        self.faults.after(&call, verdict.number).await;
        reply
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let begun = self.inner.put_multipart_opts(location, options);
        let inner = self.pass(&call(Op::BeginUpload, location), begun).await?;
        Ok(Box::new(FaultUpload::new(
            inner,
            self.clone(),
            location.clone(),
        )))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let op = if options.head { Op::Head } else { Op::Get };
        let call = call(op, location);
        let verdict = self.faults.before(&call).await;
        let reply = match verdict.fault {
            Fault::None | Fault::Half if op == Op::Get => {
                self.done(&call, self.inner.get_opts(location, options))
                    .await
            }
            Fault::None => {
                self.done(&call, self.inner.get_opts(location, options))
                    .await
            }
            _ => Err(broken_connection()),
        };
        self.faults.after(&call, verdict.number).await;
        match verdict.fault {
            Fault::Half => reply.map(halved),
            _ => reply,
        }
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let request = self.inner.get_ranges(location, ranges);
        self.pass(&call(Op::GetRanges, location), request).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        let deleted = locations.then(move |location| {
            let store = store.clone();
            async move {
                let location = location?;
                let request = store.inner.delete(&location);
                store.pass(&call(Op::Delete, &location), request).await?;
                Ok(location)
            }
        });
        deleted.boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let call = list_call(Op::List, prefix);
        self.clone().listed(call, self.inner.list(prefix))
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        let call = list_call(Op::ListBehind, prefix);
        let listing = self.inner.list_with_offset(prefix, offset);
        self.clone().listed(call, listing)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let request = self.inner.list_with_delimiter(prefix);
        let call = list_call(Op::ListFolder, prefix);
        self.pass(&call, request).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let request = self.inner.copy_opts(from, to, options);
        self.pass(&call(Op::Copy, to), request).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        let request = self.inner.rename_opts(from, to, options);
        self.pass(&call(Op::Rename, to), request).await
    }
}
