//! An upload in parts whose requests fail, get lost, or take effect late.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use object_store::path::Path;
use object_store::{MultipartUpload, PutPayload, PutResult, Result, UploadPart};
use tokio::sync::Mutex;

use super::fault_store::FaultStore;
use super::{Call, Fault, Op, broken_connection};

/// One upload. A completion under way finds nothing to complete once the upload is aborted.
pub(super) struct FaultUpload {
    inner: Arc<Mutex<Option<Box<dyn MultipartUpload>>>>,
    store: FaultStore,
    location: Path,
}

impl FaultUpload {
    pub(super) fn new(inner: Box<dyn MultipartUpload>, store: FaultStore, location: Path) -> Self {
        Self {
            inner: Arc::new(Mutex::new(Some(inner))),
            store,
            location,
        }
    }

    fn call(&self, op: Op) -> Call {
        let key = self.location.clone();
        Call { op, key }
    }
}

impl fmt::Debug for FaultUpload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FaultUpload({})", self.location)
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl MultipartUpload for FaultUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let (store, call) = (self.store.clone(), self.call(Op::Part));
        // Parts are numbered in the order of the calls, not of the requests.
        let sent = match self.inner.try_lock() {
            Ok(mut inner) => inner.as_mut().map(|inner| inner.put_part(data)),
            Err(_) => None,
        };
        Box::pin(async move {
            match sent {
                Some(sent) => store.pass(&call, sent).await,
                None => Err(broken_connection()),
            }
        })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let call = self.call(Op::Complete);
        let verdict = self.store.faults.before(&call).await;
        let (store, inner) = (self.store.clone(), Arc::clone(&self.inner));
        let done = {
            let call = call.clone();
            async move {
                match inner.lock().await.as_mut() {
                    Some(inner) => store.done(&call, inner.complete()).await,
                    None => Err(broken_connection()),
                }
            }
        };
        let reply = match verdict.fault {
            Fault::None => done.await,
            Fault::LostReply => done.await.and(Err(broken_connection())),
            Fault::LandsIn(time) => {
                tokio::spawn(async move {
                    tokio::time::sleep(time).await;
                    let _ = done.await;
                });
                Err(broken_connection())
            }
            _ => Err(broken_connection()),
        };
        self.store.faults.after(&call, verdict.number).await;
        reply
    }

    async fn abort(&mut self) -> Result<()> {
        let inner = Arc::clone(&self.inner);
        let aborted = async move {
            match inner.lock().await.take() {
                Some(mut inner) => inner.abort().await,
                None => Ok(()),
            }
        };
        self.store.pass(&self.call(Op::Abort), aborted).await
    }
}
