//! Stores for tests that fail on demand, in the ways that stores and networks do.
//!
//! Owns the one decorator that faults pass through ([`FaultStore`], over any store), and who says
//! which fault comes when: a script ([`FaultyStore`]) or a seed ([`SeededFaults`]).

mod fault_store;
mod multipart;
mod script;
mod seeded;

use std::fmt::Debug;
use std::io;
use std::time::Duration;

use futures::future::BoxFuture;
use object_store::Error;
use object_store::client::{HttpError, HttpErrorKind};
use object_store::path::Path;

pub(crate) use self::fault_store::FaultStore;
pub(crate) use self::script::{FaultyStore, Stalling};
pub(crate) use self::seeded::{At, Doom, Rng, SeededFaults, Weather};

/// What is asked of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Op {
    Put,
    /// Put-if-absent.
    Create,
    BeginUpload,
    Part,
    Complete,
    Abort,
    Get,
    Head,
    GetRanges,
    Delete,
    List,
    ListBehind,
    ListFolder,
    Copy,
    Rename,
}

/// One request.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) op: Op,
    pub(crate) key: Path,
}

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing out of order.
    None,
    /// It is done; the caller sees a broken connection.
    LostReply,
    /// A put-if-absent is written; the caller sees "already exists", as the store client's own
    /// retry makes it.
    OwnConflict,
    /// A put-if-absent is not written and nothing is there; the caller sees "already exists"
    /// (S3's 409).
    EmptyConflict,
    /// The caller of a put sees a broken connection; it is written right before the next
    /// put-if-absent.
    LandsLate,
    /// The caller of a put or completion sees a broken connection; it is done after this time.
    LandsIn(Duration),
    /// It is not done; the caller sees a broken connection.
    NotSent,
    /// The body of a get, or a listing, breaks midway; anything else is not done.
    Half,
    /// Put-if-absent is taken for a plain put.
    Overwrites,
}

/// A decision, and the number by which its maker knows the request again.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Verdict {
    pub(crate) fault: Fault,
    pub(crate) number: u32,
}

/// Who says what happens to the requests of one store's user.
pub(crate) trait Faults: Debug + Send + Sync + 'static {
    /// Waits as long as the request is under way, and says what becomes of it.
    fn before<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Verdict>;

    /// The request has just reached the store, which did it or refused.
    fn effect(&self, _call: &Call, _done: bool) {}

    /// Waits as long as the reply is under way.
    fn after<'a>(&'a self, _call: &'a Call, _number: u32) -> BoxFuture<'a, ()> {
        Box::pin(std::future::ready(()))
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
