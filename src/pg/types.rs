//! Walking types: from the types of a table's columns down to what their values are made of.
//!
//! Owns the catalog queries and the recognition of types. Built-in types are known by their fixed
//! oids, those of extensions by the extension and the name.

use std::collections::BTreeMap;

use tokio_postgres::Row;

use crate::error::{Error, ErrorKind, Result};
use crate::pg::session::{Session, column};
use crate::pg_type::{Attribute, NumericModifier, PgType, TextReason, TypeRef};

/// Types within types, at most. PostgreSQL sets no limit itself.
const MAX_DEPTH: usize = 64;
/// `money`'s oid.
const MONEY: u32 = 790;

/// Every type that the given ones are made of, themselves included. A true array is one that is
/// the array of its element: `point` and `oidvector` have elements too.
const TYPES_SQL: &str = "
WITH RECURSIVE parts(oid) AS (
  SELECT pg_catalog.unnest($1::pg_catalog.oid[])
  UNION
  SELECT p.part FROM parts JOIN LATERAL (
    SELECT t.typbasetype FROM pg_catalog.pg_type t
    WHERE t.oid = parts.oid AND t.typtype = 'd'
    UNION ALL
    SELECT t.typelem FROM pg_catalog.pg_type t
    JOIN pg_catalog.pg_type e ON e.oid = t.typelem AND e.typarray = t.oid
    WHERE t.oid = parts.oid
    UNION ALL
    SELECT a.atttypid FROM pg_catalog.pg_type t
    JOIN pg_catalog.pg_attribute a ON a.attrelid = t.typrelid
    WHERE t.oid = parts.oid AND t.typtype = 'c' AND a.attnum > 0 AND NOT a.attisdropped
    UNION ALL
    SELECT r.rngsubtype FROM pg_catalog.pg_range r
    WHERE parts.oid IN (r.rngtypid, (pg_catalog.to_jsonb(r) ->> 'rngmultitypid')::pg_catalog.oid)
  ) p(part) ON true
)
SELECT t.oid, t.typname::text, t.typtype, t.typbasetype, t.typtypmod,
  coalesce((SELECT e.oid FROM pg_catalog.pg_type e
            WHERE e.oid = t.typelem AND e.typarray = t.oid), 0),
  coalesce((SELECT r.rngsubtype FROM pg_catalog.pg_range r WHERE t.oid IN
            (r.rngtypid, (pg_catalog.to_jsonb(r) ->> 'rngmultitypid')::pg_catalog.oid)), 0),
  t.typsend <> 0 AND t.typreceive <> 0,
  (SELECT x.extname::text FROM pg_catalog.pg_depend d
   JOIN pg_catalog.pg_extension x ON x.oid = d.refobjid
   WHERE d.classid = 'pg_catalog.pg_type'::pg_catalog.regclass AND d.objid = t.oid
     AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.deptype = 'e'),
  ARRAY(SELECT e.enumlabel::text FROM pg_catalog.pg_enum e
        WHERE e.enumtypid = t.oid ORDER BY e.enumsortorder),
  a.names, a.types, a.typmods
FROM parts JOIN pg_catalog.pg_type t ON t.oid = parts.oid
LEFT JOIN LATERAL (
  SELECT pg_catalog.array_agg(a.attname::text ORDER BY a.attnum) AS names,
    pg_catalog.array_agg(a.atttypid ORDER BY a.attnum) AS types,
    pg_catalog.array_agg(a.atttypmod ORDER BY a.attnum) AS typmods
  FROM pg_catalog.pg_attribute a
  WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped
) a ON true";

/// The digits that `lc_monetary` gives money, as this session has it.
const MONEY_SQL: &str =
    "SELECT pg_catalog.scale(0::pg_catalog.int4::pg_catalog.money::pg_catalog.numeric)";

/// Types as the catalog has them, by oid.
pub(super) struct Types {
    types: BTreeMap<u32, CatalogType>,
    money_scale: u8,
}

/// A row of `pg_type`, with what belongs to it.
#[derive(Debug, Clone, Default)]
pub(super) struct CatalogType {
    name: String,
    kind: u8,
    base: u32,
    base_typmod: i32,
    element: u32,
    subtype: u32,
    is_binary: bool,
    extension: Option<String>,
    labels: Vec<String>,
    attributes: Vec<(String, u32, i32)>,
}

/// Reads these types and all that they are made of.
///
/// # Errors
///
/// The server's.
pub(super) async fn load_types(session: &Session, oids: &[u32]) -> Result<Types> {
    let what = "the columns' types could not be read";
    let rows = session.query(what, TYPES_SQL, &[&oids]).await?;
    let types: BTreeMap<_, _> = rows.iter().map(read_type).collect::<Result<_>>()?;
    let money_scale = match types.contains_key(&MONEY) {
        true => money_scale(session).await?,
        false => 0,
    };
    Ok(Types { types, money_scale })
}

async fn money_scale(session: &Session) -> Result<u8> {
    let what = "the digits of money could not be read";
    let row = session.query_one(what, MONEY_SQL, &[]).await?;
    u8::try_from(column::<i32>(&row, 0)?)
        .ok()
        .filter(|scale| *scale <= 19)
        .ok_or_else(|| Error::new(ErrorKind::Unsupported, "lc_monetary gives money no digits"))
}

fn read_type(row: &Row) -> Result<(u32, CatalogType)> {
    let names: Option<Vec<String>> = column(row, 10)?;
    let types: Option<Vec<u32>> = column(row, 11)?;
    let typmods: Option<Vec<i32>> = column(row, 12)?;
    let attributes = names.into_iter().flatten();
    let attributes = attributes
        .zip(types.into_iter().flatten())
        .zip(typmods.into_iter().flatten());
    let found = CatalogType {
        name: column(row, 1)?,
        kind: column::<i8>(row, 2)?.cast_unsigned(),
        base: column(row, 3)?,
        base_typmod: column(row, 4)?,
        element: column(row, 5)?,
        subtype: column(row, 6)?,
        is_binary: column(row, 7)?,
        extension: column(row, 8)?,
        labels: column(row, 9)?,
        attributes: attributes
            .map(|((name, oid), typmod)| (name, oid, typmod))
            .collect(),
    };
    Ok((column(row, 0)?, found))
}

impl Types {
    /// What a type is, with the modifier of its column or attribute.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`] for types nested beyond reason, [`ErrorKind::Source`] for one
    /// that is gone.
    pub(super) fn resolve(&self, oid: u32, typmod: i32) -> Result<PgType> {
        self.resolve_at(oid, typmod, 0)
    }

    fn resolve_at(&self, oid: u32, typmod: i32, depth: usize) -> Result<PgType> {
        if depth > MAX_DEPTH {
            let message = format!("a type is nested more than {MAX_DEPTH} deep");
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        let Some(found) = self.types.get(&oid) else {
            let message = format!("type {oid} was dropped while it was read");
            return Err(Error::new(ErrorKind::Source, message));
        };
        let part = |oid: u32, typmod: i32| -> Result<Box<TypeRef>> {
            let pg_type = self.resolve_at(oid, typmod, depth + 1)?;
            Ok(Box::new(TypeRef { oid, pg_type }))
        };
        Ok(match found.kind {
            b'd' => self.resolve_at(found.base, found.base_typmod, depth + 1)?,
            _ if found.element != 0 => PgType::Array {
                element: part(found.element, typmod)?,
            },
            b'e' => PgType::Enum {
                labels: found.labels.clone(),
            },
            b'r' => PgType::Range {
                subtype: part(found.subtype, -1)?,
            },
            b'm' => PgType::Multirange {
                subtype: part(found.subtype, -1)?,
            },
            b'c' => {
                let attributes = found.attributes.iter().map(|(name, oid, typmod)| {
                    Ok(Attribute {
                        name: name.clone(),
                        of: *part(*oid, *typmod)?,
                    })
                });
                PgType::Composite {
                    attributes: attributes.collect::<Result<_>>()?,
                }
            }
            _ => self.without_parts(oid, typmod, found),
        })
    }

    fn without_parts(&self, oid: u32, typmod: i32, found: &CatalogType) -> PgType {
        if oid == MONEY {
            let scale = self.money_scale;
            return PgType::Money { scale };
        }
        if let Some(known) = built_in(oid, typmod) {
            return known;
        }
        if !found.is_binary || found.kind == b'p' {
            return PgType::Other(TextReason::NoBinaryForm);
        }
        let known = found
            .extension
            .as_deref()
            .and_then(|extension| of_extension(extension, &found.name, typmod));
        known.unwrap_or(PgType::Other(TextReason::Unknown))
    }
}

/// The fixed oids of PostgreSQL's own types (`pg_type.dat`).
fn built_in(oid: u32, typmod: i32) -> Option<PgType> {
    Some(match oid {
        16 => PgType::Bool,
        17 => PgType::Bytea,
        18 => PgType::Char,
        19 => PgType::Name,
        20 => PgType::Int8,
        21 => PgType::Int2,
        23 => PgType::Int4,
        // text and refcursor.
        25 | 1790 => PgType::Text,
        // oid, xid, cid, then the reg… types: regproc, regprocedure, regoper, regoperator,
        // regclass, regtype, regconfig, regdictionary, regnamespace, regrole, regcollation.
        26 | 28 | 29 | 24 | 2202..=2206 | 3734 | 3769 | 4089 | 4096 | 4191 => PgType::Oid,
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
        // xml (its send function rewrites the declaration); int2vector, oidvector (arrays from
        // 0); tid; tsvector, tsquery; txid_snapshot, pg_snapshot.
        142 | 22 | 30 | 27 | 3614 | 3615 | 2970 | 5038 => PgType::Other(TextReason::TextIsExact),
        _ => return None,
    })
}

/// Types of extensions whose binary form is known.
fn of_extension(extension: &str, name: &str, typmod: i32) -> Option<PgType> {
    let dimensions = u16::try_from(typmod).ok().filter(|count| *count > 0);
    Some(match (extension, name) {
        ("citext", "citext") => PgType::Text,
        ("hstore", "hstore") => PgType::Hstore,
        ("ltree", "ltree" | "lquery" | "ltxtquery") => PgType::VersionedText,
        ("postgis", "geometry" | "geography") => PgType::Geometry {
            srid: srid(typmod),
            geography: name == "geography",
        },
        ("vector", "vector") => PgType::Vector { dimensions },
        ("vector", "halfvec") => PgType::Halfvec { dimensions },
        ("vector", "sparsevec") => PgType::Sparsevec,
        _ => return None,
    })
}

/// The SRID that a geometry column declares: `TYPMOD_GET_SRID` in PostGIS's `liblwgeom.h`.
fn srid(typmod: i32) -> Option<i32> {
    let srid = ((typmod & 0x0FFF_FF00) - (typmod & 0x1000_0000)) >> 8;
    (typmod >= 0 && srid > 0).then_some(srid)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn types(types: &[(u32, CatalogType)]) -> Types {
        Types {
            types: types.iter().cloned().collect(),
            money_scale: 2,
        }
    }

    #[test]
    fn a_modifier_reaches_the_elements_and_a_domains_own_counts() {
        let array = CatalogType {
            kind: b'b',
            element: 1700,
            ..CatalogType::default()
        };
        let domain = CatalogType {
            kind: b'd',
            base: 1231,
            base_typmod: (10 << 16) + 2 + 4,
            ..CatalogType::default()
        };
        let plain = CatalogType {
            kind: b'b',
            is_binary: true,
            ..CatalogType::default()
        };
        let types = types(&[(1231, array), (9000, domain), (1700, plain)]);
        let PgType::Array { element } = types.resolve(9000, -1).unwrap() else {
            panic!("a domain over an array is an array");
        };
        assert_eq!(element.oid, 1700);
        let modifier = NumericModifier {
            precision: 10,
            scale: 2,
        };
        assert_eq!(element.pg_type, PgType::Numeric(Some(modifier)));
        assert!(types.resolve(1, -1).is_err());
    }

    #[test]
    fn types_that_never_end_are_refused() {
        let endless = CatalogType {
            kind: b'd',
            base: 9000,
            ..CatalogType::default()
        };
        let error = types(&[(9000, endless)]).resolve(9000, -1).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    }

    #[test]
    fn the_srid_is_in_the_modifier() {
        assert_eq!(srid(-1), None);
        // geometry(Point,4326), geometry(Point), geometry(PointZM,3857)
        assert_eq!(srid(4326 << 8 | 1 << 2), Some(4326));
        assert_eq!(srid(1 << 2), None);
        assert_eq!(srid(3857 << 8 | 1 << 2 | 3), Some(3857));
    }
}
