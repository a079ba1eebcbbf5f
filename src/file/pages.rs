//! Where encoded pages wait for their row group to close, and how they leave without a copy.
//!
//! Parquet wants each column's pages together, so the writer keeps them until the row group
//! closes, then copies one after the other into its output. Copies would double the memory of
//! a row group just when it is largest, so the store hands each page over: the sink recognises
//! the very bytes that it is asked to write, and keeps the page itself.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use parquet::arrow::arrow_writer::{PageKey, PageStore, PageStoreArgs, PageStoreFactory};
use parquet::errors::{ParquetError, Result};

/// The page that the writer took last.
#[derive(Debug, Clone, Default)]
pub(super) struct Handover(Arc<Mutex<Bytes>>);

impl Handover {
    /// The part of the last page that `bytes` is, if it is; equal bytes elsewhere are not.
    pub(super) fn recognise(&self, bytes: &[u8]) -> Option<Bytes> {
        let page = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (outer, inner) = (page.as_ptr_range(), bytes.as_ptr_range());
        let within = !bytes.is_empty() && outer.start <= inner.start && inner.end <= outer.end;
        within.then(|| page.slice_ref(bytes))
    }

    /// Lets go of the last page.
    pub(super) fn clear(&self) {
        self.offer(Bytes::new());
    }

    fn offer(&self, page: Bytes) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = page;
    }
}

impl PageStoreFactory for Handover {
    fn create(&self, _args: &PageStoreArgs<'_>) -> Result<Box<dyn PageStore>> {
        Ok(Box::new(Pages {
            pages: Vec::new(),
            held_bytes: 0,
            handover: self.clone(),
        }))
    }
}

/// The pages of one column of the open row group.
struct Pages {
    pages: Vec<Bytes>,
    held_bytes: usize,
    handover: Handover,
}

impl PageStore for Pages {
    fn put(&mut self, page: Bytes) -> Result<PageKey> {
        let key = PageKey::new(self.pages.len() as u64);
        self.held_bytes += page.len();
        // A page comes in a buffer that was made for its uncompressed size. Many of those among
        // each other tear the heap; an exact copy lets them be used again (a fifth less memory).
        self.pages.push(Bytes::copy_from_slice(&page));
        Ok(key)
    }

    fn take(&mut self, key: PageKey) -> Result<Bytes> {
        let page = usize::try_from(key.get())
            .ok()
            .and_then(|index| self.pages.get_mut(index))
            .map(std::mem::take)
            .ok_or_else(|| ParquetError::General("a page was lost".to_owned()))?;
        self.held_bytes -= page.len();
        self.handover.offer(page.clone());
        Ok(page)
    }

    fn memory_size(&self) -> usize {
        self.held_bytes
    }
}
