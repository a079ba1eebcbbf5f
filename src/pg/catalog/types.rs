//! Walking types: from a column's `pg_type.oid` down to what its values are made of.
//!
//! Owns the queries over `pg_type` and its neighbours, and what each type is told by: PostgreSQL's
//! own by their fixed oids, those of an extension by its name and theirs, all others by their
//! kind. Nothing is told by a bare name: anyone can have a type called `vector`.

use std::collections::HashMap;

use tokio_postgres::Row;

use super::known;
use crate::error::{Error, ErrorKind, Result};
use crate::pg::session::{Session, column};
use crate::pg_type::{Attribute, PgType, TextReason, TypeRef};

/// `pg_range.rngmultitypid` is there since 14.
const MULTIRANGE_VERSION: u32 = 140_000;
/// How deep types may lie in each other. What is deeper travels as text: JSON readers, the
/// manifest's own among them, stop at 128 levels, and a type takes four.
const MAX_DEPTH: u32 = 16;
/// Parts that one column may have in all, for the same types can lie in each other many times.
const MAX_PARTS: u32 = 10_000;
/// `money`, whose digits after the point the server must be asked for.
const MONEY: u32 = 790;

/// The types of a relation's columns, and all that they are made of.
pub(super) struct Types {
    rows: HashMap<u32, TypeRow>,
    /// Of composites, by `typrelid`, in `attnum` order.
    attributes: HashMap<u32, Vec<AttributeRow>>,
    money_scale: u8,
}

/// A row of `pg_type`, and what hangs on it.
struct TypeRow {
    name: String,
    /// The extension that made it.
    extension: Option<String>,
    kind: Kind,
    /// Whether it can be sent, and what was sent be received again.
    has_binary: bool,
}

/// What kind of type it is.
enum Kind {
    /// `typtype` b, not an array; also whatever else has no parts that are known of.
    Base,
    Pseudo,
    Enum(Vec<String>),
    Domain {
        base: u32,
        typmod: i32,
    },
    /// Its element's `typarray` is this type. Others have a `typelem` too: `int2vector`, `point`.
    Array {
        element: u32,
    },
    Composite {
        relation: u32,
    },
    Range {
        subtype: u32,
    },
    Multirange {
        subtype: u32,
    },
}

struct AttributeRow {
    name: String,
    type_oid: u32,
    typmod: i32,
}

/// Reads the types of all columns of a relation (0: none), and these, as the session's transaction
/// sees them.
///
/// # Errors
///
/// [`ErrorKind::Source`].
pub(super) async fn load_types(session: &Session, relation: u32, more: &[u32]) -> Result<Types> {
    let sql = types_sql(session.server_version());
    let what = "the types could not be read";
    let rows = session.query_often(what, &sql, &[&relation, &more]).await?;
    let rows: HashMap<u32, TypeRow> = rows.iter().map(read_type).collect::<Result<_>>()?;
    let relations: Vec<u32> = rows
        .values()
        .filter_map(|row| match row.kind {
            Kind::Composite { relation } => Some(relation),
            _ => None,
        })
        .collect();
    let attributes = match relations.is_empty() {
        true => HashMap::new(),
        false => load_attributes(session, &relations).await?,
    };
    let money_scale = match rows.contains_key(&MONEY) {
        true => load_money_scale(session).await?,
        false => 0,
    };
    Ok(Types {
        rows,
        attributes,
        money_scale,
    })
}

/// The closure over all that types are made of. A relation is `$1`, further types are `$2`.
fn types_sql(version: u32) -> String {
    let (of_range, is_multirange) = match version >= MULTIRANGE_VERSION {
        true => (
            "t.oid IN (r.rngtypid, r.rngmultitypid)",
            "r.rngmultitypid = t.oid",
        ),
        false => ("t.oid = r.rngtypid", "false"),
    };
    format!(
        "
WITH RECURSIVE part(oid) AS (
  SELECT a.atttypid FROM pg_catalog.pg_attribute a
  WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped
  UNION
  SELECT pg_catalog.unnest($2::pg_catalog.oid[])
  UNION
  SELECT next.oid FROM part p
  JOIN pg_catalog.pg_type t ON t.oid = p.oid
  CROSS JOIN LATERAL (
    SELECT e.oid FROM pg_catalog.pg_type e WHERE e.oid = t.typelem AND e.typarray = t.oid
    UNION ALL SELECT t.typbasetype WHERE t.typtype = 'd'
    UNION ALL SELECT r.rngsubtype FROM pg_catalog.pg_range r WHERE {of_range}
    UNION ALL SELECT a.atttypid FROM pg_catalog.pg_attribute a
      WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped
  ) next
)
SELECT t.oid, t.typname::text, x.extname::text, t.typtype,
  t.typsend <> 0 AND t.typreceive <> 0,
  coalesce(e.oid, 0), t.typbasetype, t.typtypmod, t.typrelid,
  coalesce(r.rngsubtype, 0), coalesce({is_multirange}, false),
  ARRAY(SELECT l.enumlabel::text FROM pg_catalog.pg_enum l
    WHERE l.enumtypid = t.oid ORDER BY l.enumsortorder)
FROM part p
JOIN pg_catalog.pg_type t ON t.oid = p.oid
LEFT JOIN pg_catalog.pg_type e ON e.oid = t.typelem AND e.typarray = t.oid
LEFT JOIN pg_catalog.pg_range r ON {of_range}
LEFT JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_type'::pg_catalog.regclass
  AND d.objid = t.oid AND d.deptype = 'e'
LEFT JOIN pg_catalog.pg_extension x ON x.oid = d.refobjid"
    )
}

fn read_type(row: &Row) -> Result<(u32, TypeRow)> {
    let element: u32 = column(row, 5)?;
    let subtype: u32 = column(row, 9)?;
    let kind = match column::<i8>(row, 3)?.cast_unsigned() {
        _ if element != 0 => Kind::Array { element },
        b'd' => Kind::Domain {
            base: column(row, 6)?,
            typmod: column(row, 7)?,
        },
        b'e' => Kind::Enum(column(row, 11)?),
        b'c' => Kind::Composite {
            relation: column(row, 8)?,
        },
        b'p' => Kind::Pseudo,
        _ if subtype != 0 && column(row, 10)? => Kind::Multirange { subtype },
        _ if subtype != 0 => Kind::Range { subtype },
        _ => Kind::Base,
    };
    let read = TypeRow {
        name: column(row, 1)?,
        extension: column(row, 2)?,
        kind,
        has_binary: column(row, 4)?,
    };
    Ok((column(row, 0)?, read))
}

async fn load_attributes(
    session: &Session,
    relations: &[u32],
) -> Result<HashMap<u32, Vec<AttributeRow>>> {
    let sql = "SELECT a.attrelid, a.attname::text, a.atttypid, a.atttypmod
        FROM pg_catalog.pg_attribute a
        WHERE a.attrelid = ANY($1) AND a.attnum > 0 AND NOT a.attisdropped
        ORDER BY a.attrelid, a.attnum";
    let what = "the composite types could not be read";
    let mut attributes: HashMap<u32, Vec<AttributeRow>> = HashMap::new();
    for row in session.query_often(what, sql, &[&relations]).await? {
        let attribute = AttributeRow {
            name: column(&row, 1)?,
            type_oid: column(&row, 2)?,
            typmod: column(&row, 3)?,
        };
        attributes
            .entry(column(&row, 0)?)
            .or_default()
            .push(attribute);
    }
    Ok(attributes)
}

/// Digits after the point, as `lc_monetary` has them: `cash_numeric` gives as many.
async fn load_money_scale(session: &Session) -> Result<u8> {
    let sql = "SELECT pg_catalog.scale(0::pg_catalog.money::pg_catalog.numeric)";
    let what = "the digits of money could not be read";
    let row = session.query_one(what, sql, &[]).await?;
    let scale: i32 = column(&row, 0)?;
    u8::try_from(scale)
        .ok()
        .filter(|scale| *scale <= known::MAX_MONEY_SCALE)
        .ok_or_else(|| {
            let message = format!("money has {scale} digits after the point here");
            Error::new(ErrorKind::Unsupported, message)
                .with_advice("set lc_monetary of the role or database")
        })
}

impl Types {
    /// What a column of this type holds.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Source`] when a type was dropped since its column was read.
    pub(super) fn resolve(&self, oid: u32, typmod: i32) -> Result<PgType> {
        let mut parts = MAX_PARTS;
        let resolved = self.walk(oid, typmod, MAX_DEPTH, &mut parts);
        resolved.ok_or_else(|| {
            Error::new(
                ErrorKind::Source,
                "a column's type was dropped while it was read",
            )
            .with_retryable(true)
        })
    }

    /// `None` for a type that was not read. `typmod` is what the column or attribute declares; an
    /// array hands it to its elements, and a domain has its own, as `getBaseTypeAndTypmod` says.
    fn walk(&self, oid: u32, typmod: i32, depth: u32, parts: &mut u32) -> Option<PgType> {
        let (oid, row, typmod) = self.base(oid, typmod)?;
        let is_too_large = depth == 0 || *parts == 0;
        *parts = parts.saturating_sub(1);
        let part = |oid: u32, typmod: i32, parts: &mut u32| {
            let pg_type = self.walk(oid, typmod, depth - 1, parts)?;
            Some(Box::new(TypeRef { oid, pg_type }))
        };
        Some(match &row.kind {
            _ if is_too_large => PgType::Other(TextReason::Unknown),
            Kind::Array { element } => PgType::Array {
                element: part(*element, typmod, parts)?,
            },
            Kind::Range { subtype } => PgType::Range {
                subtype: part(*subtype, -1, parts)?,
            },
            Kind::Multirange { subtype } => PgType::Multirange {
                subtype: part(*subtype, -1, parts)?,
            },
            Kind::Composite { relation } => {
                let of = self.attributes.get(relation).map_or(&[][..], Vec::as_slice);
                let attributes = of.iter().map(|attribute| {
                    Some(Attribute {
                        name: attribute.name.clone(),
                        of: *part(attribute.type_oid, attribute.typmod, parts)?,
                    })
                });
                PgType::Composite {
                    attributes: attributes.collect::<Option<_>>()?,
                }
            }
            Kind::Enum(labels) => PgType::Enum {
                labels: labels.clone(),
            },
            Kind::Base | Kind::Pseudo | Kind::Domain { .. } => self.leaf(oid, row, typmod),
        })
    }

    /// Follows domains to their base, as many as there are.
    fn base(&self, mut oid: u32, mut typmod: i32) -> Option<(u32, &TypeRow, i32)> {
        for _ in 0..=self.rows.len() {
            let row = self.rows.get(&oid)?;
            let Kind::Domain { base, typmod: own } = row.kind else {
                return Some((oid, row, typmod));
            };
            (oid, typmod) = (base, own);
        }
        None
    }

    /// A type without parts.
    fn leaf(&self, oid: u32, row: &TypeRow, typmod: i32) -> PgType {
        if oid == MONEY {
            return PgType::Money {
                scale: self.money_scale,
            };
        }
        let known = match &row.extension {
            Some(extension) => known::of_extension(extension, &row.name, typmod),
            None => known::built_in(oid, typmod),
        };
        match (known, &row.kind) {
            // An old version of an extension may lack it.
            _ if !row.has_binary => PgType::Other(TextReason::NoBinaryForm),
            (Some(known), _) => known,
            (None, Kind::Pseudo) => PgType::Other(TextReason::NoBinaryForm),
            (None, _) => PgType::Other(TextReason::Unknown),
        }
    }
}

#[cfg(test)]
#[path = "types_tests.rs"]
mod tests;
