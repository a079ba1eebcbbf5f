//! pgsluice moves PostgreSQL tables into a data lake.

mod chunk;
mod error;
mod lsn;
mod manifest;
mod options;
mod pg_type;
mod snapshot;
mod store;
mod table;

pub use store::Root;
