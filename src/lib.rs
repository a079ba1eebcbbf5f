//! pgsluice moves PostgreSQL tables into a data lake.

mod chunk;
pub mod codec;
mod copy;
mod error;
mod file;
mod lsn;
mod mapping;
mod options;
mod pg_type;
mod snapshot;
mod table;
