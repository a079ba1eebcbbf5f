//! The codecs by themselves: binary COPY to Arrow, Arrow to Parquet. Sync, without I/O.
//!
//! For programs that bring their own connection or store. [`map_table`] decides the types from
//! the catalog's columns, a [`CopyDecoder`] turns the bytes of `COPY … TO STDOUT (FORMAT binary)`
//! into record batches, a [`ParquetEncoder`] turns those into the bytes of one object. A
//! [`CopyEncoder`] turns record batches back into the rows that PostgreSQL sent.

pub use crate::copy::{
    BatchLimits, COPY_HEADER, COPY_TRAILER, CopyDecoder, CopyEncoder, CopyError, CopyErrorKind,
    CopySummary, Exception, ParseDigestError, WireDigest,
};
pub use crate::file::{
    FileSummary, Footer, FooterSummary, ParquetEncoder, ParquetOptions, Sha256Digest, read_footer,
};
pub use crate::mapping::geo;
pub use crate::mapping::{
    AttributeCodec, Basis, Codec, ColumnMapping, Landing, Leaf, META_BASE_TYPE, META_COLLATION,
    META_ENUM_LABELS, META_GENERATED, META_MAP, META_PG_TYPE, META_REPRESENTATION, META_SRID,
    META_TYPE, META_TYPMOD, META_UNIT, MappingOptions, Note, ParquetType, Reader, Reading,
    SelectAs, Source, TableMapping, TypeRow, map_table, matrix, notes, reading, sources,
};
pub use crate::options::{Compression, MapTo, OnUnrepresentable, Profile};
pub use crate::pg_type::{Attribute, NumericModifier, PgType, TextReason, TypeRef};
pub use crate::table::Column;

#[cfg(test)]
mod tests;
