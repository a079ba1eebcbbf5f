//! The types whose binary form is known here.
//!
//! Owns the fixed oids of PostgreSQL's own types (`pg_type.dat`), the names of those that
//! extensions make, and what their modifiers say.

use crate::pg_type::{NumericModifier, PgType, TextReason};

/// A decimal of 19 digits holds every money value; the point stands inside of it.
pub(super) const MAX_MONEY_SCALE: u8 = 19;

/// A type of PostgreSQL itself; `None` for one that is not known.
pub(super) fn built_in(oid: u32, typmod: i32) -> Option<PgType> {
    Some(match oid {
        16 => PgType::Bool,
        17 => PgType::Bytea,
        18 => PgType::Char,
        19 => PgType::Name,
        20 => PgType::Int8,
        21 => PgType::Int2,
        23 => PgType::Int4,
        // text, refcursor
        25 | 1790 => PgType::Text,
        // oid, xid, cid; regproc to regtype, regrole, regnamespace, regconfig, regdictionary,
        // regcollation
        26 | 28 | 29 | 24 | 2202..=2206 | 4096 | 4089 | 3734 | 3769 | 4191 => PgType::Oid,
        114 => PgType::Json,
        600 => PgType::Point,
        601 => PgType::Lseg,
        602 => PgType::Path,
        603 => PgType::Box,
        604 => PgType::Polygon,
        628 => PgType::Line,
        650 => PgType::Cidr,
        700 => PgType::Float4,
        701 => PgType::Float8,
        718 => PgType::Circle,
        774 => PgType::Macaddr8,
        829 => PgType::Macaddr,
        869 => PgType::Inet,
        1042 => PgType::Bpchar,
        1043 => PgType::Varchar,
        1082 => PgType::Date,
        1083 => PgType::Time,
        1114 => PgType::Timestamp,
        1184 => PgType::Timestamptz,
        1186 => PgType::Interval,
        1266 => PgType::Timetz,
        1560 | 1562 => PgType::BitString,
        1700 => PgType::Numeric(NumericModifier::from_typmod(typmod)),
        2950 => PgType::Uuid,
        3220 => PgType::PgLsn,
        3802 => PgType::Jsonb,
        4072 => PgType::VersionedText,
        5069 => PgType::Xid8,
        // xml, int2vector, oidvector, tid, record, tsvector, tsquery, txid_snapshot, pg_snapshot
        142 | 22 | 30 | 27 | 2249 | 3614 | 3615 | 2970 | 5038 => {
            PgType::Other(TextReason::TextIsExact)
        }
        _ => return None,
    })
}

/// A type that an extension made; `None` for one that is not known.
pub(super) fn of_extension(extension: &str, name: &str, typmod: i32) -> Option<PgType> {
    Some(match (extension, name) {
        ("citext", "citext") => PgType::Text,
        ("hstore", "hstore") => PgType::Hstore,
        ("ltree", "ltree" | "lquery" | "ltxtquery") => PgType::VersionedText,
        ("postgis", "geometry" | "geography") => PgType::Geometry {
            srid: srid(typmod),
            geography: name == "geography",
        },
        ("vector", "vector") => PgType::Vector {
            dimensions: dimensions(typmod),
        },
        ("vector", "halfvec") => PgType::Halfvec {
            dimensions: dimensions(typmod),
        },
        ("vector", "sparsevec") => PgType::Sparsevec,
        _ => return None,
    })
}

/// The SRID of a PostGIS modifier: 20 bits and a sign above them (`TYPMOD_GET_SRID` in PostGIS's
/// `liblwgeom.h`). 0 declares none, and no SRID is below it.
fn srid(typmod: i32) -> Option<i32> {
    let packed = (typmod & 0x0FFF_FF00) - (typmod & 0x1000_0000);
    (typmod >= 0)
        .then_some(packed >> 8)
        .filter(|srid| *srid > 0)
}

/// The length of a pgvector modifier, at most 16,000.
fn dimensions(typmod: i32) -> Option<u16> {
    u16::try_from(typmod).ok().filter(|length| *length > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn postgis_modifiers_give_the_declared_srid_alone() {
        // geometry(Point, 4326): has no Z or M, type 1, SRID 4326.
        assert_eq!(srid((4326 << 8) | (1 << 2)), Some(4326));
        assert_eq!(srid((999_999 << 8) | 3), Some(999_999));
        assert_eq!(srid(1 << 2), None);
        assert_eq!(srid(-1), None);
        assert_eq!(srid(0x1000_0000 | (7 << 8)), None);
    }

    #[test]
    fn extensions_types_are_told_by_both_names() {
        let vector = |extension: &str| of_extension(extension, "vector", 3);
        let dimensions = Some(3);
        assert_eq!(vector("vector"), Some(PgType::Vector { dimensions }));
        assert_eq!(vector("vectors"), None);
        let bare = of_extension("vector", "halfvec", -1);
        assert_eq!(bare, Some(PgType::Halfvec { dimensions: None }));
    }
}
