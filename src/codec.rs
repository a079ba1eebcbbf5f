//! The codecs by themselves: binary COPY to Arrow, Arrow to Parquet. Sync, without I/O.
//!
//! For programs that bring their own connection or store. [`map_table`] decides the types from
//! the catalog's columns, a [`CopyDecoder`] turns the bytes of `COPY … TO STDOUT (FORMAT binary)`
//! into record batches, a [`ParquetEncoder`] turns those into the bytes of one object.

pub use crate::copy::{
    BatchLimits, CopyDecoder, CopyError, CopyErrorKind, CopySummary, ParseDigestError, WireDigest,
};
pub use crate::file::{
    FileSummary, Footer, FooterSummary, ParquetEncoder, ParquetOptions, Sha256Digest, read_footer,
};
pub use crate::mapping::{
    ColumnMapping, Decode, META_COLLATION, META_ENUM_LABELS, META_GENERATED, META_PG_TYPE,
    META_REPRESENTATION, META_TYPMOD, META_UNIT, SelectAs, TableMapping, map_table,
};
pub use crate::options::Compression;
pub use crate::pg_type::{NumericModifier, PgType};
pub use crate::table::Column;
