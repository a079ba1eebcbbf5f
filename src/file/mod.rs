//! Record batches to the bytes of one Parquet object, and its footer read back.
//!
//! Owns the encoding choices and the sha256 of what leaves. It does no I/O: encoded bytes are
//! taken out and stored by whoever holds a store. Types are decided in `mapping`.

mod describe;
mod encoder;
mod footer;
mod pages;
mod properties;
mod sink;
#[cfg(test)]
mod tests;

pub(crate) use self::describe::parquet_type;
pub use self::encoder::{FileSummary, ParquetEncoder};
pub use self::footer::{Footer, FooterSummary, read_footer};
pub use self::properties::ParquetOptions;
pub use self::sink::Sha256Digest;
