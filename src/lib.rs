//! pgsluice moves PostgreSQL tables into a data lake.

mod chunk;
mod error;
mod lsn;
mod options;
mod pg_type;
mod snapshot;
mod table;
