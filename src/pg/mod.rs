//! The adapter to PostgreSQL: connection rules, sessions, SQL text, the catalog, the snapshot's
//! keeper, and the COPY stream.
//!
//! It knows nothing of Arrow, Parquet or object stores, and decides nothing about chunks.

pub(crate) mod advisory;
mod cancel;
pub(crate) mod catalog;
mod connect;
mod conninfo;
mod copy_stream;
mod dsn;
pub(crate) mod error;
mod keeper;
pub(crate) mod load;
mod local_files;
mod locker;
mod names;
mod params;
pub(crate) mod row_hash;
mod select;
pub(crate) mod session;
mod settings;
mod silence;
pub(crate) mod sql;
mod sqlstate;
mod tls;
mod tls_params;
mod value_text;

pub use conninfo::ConnectOptions;
pub(crate) use keeper::{Keeper, KeeperOptions};
pub(crate) use select::{Refused, Selection};
pub(crate) use session::{ServerIdentity, Session};
