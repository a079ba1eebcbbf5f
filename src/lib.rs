//! pgsluice moves PostgreSQL tables into a data lake.

mod chunk;
mod error;
mod lsn;
mod options;
mod pg;
mod pg_type;
mod plan;
mod snapshot;
mod table;

pub use pg::{ConnectOptions, DEFAULT_CONNECT_TIMEOUT};
