//! Columns and options from a fuzzer's bytes: every type, nested.

use std::collections::BTreeMap;

use pgsluice::codec::{
    Attribute, Column, MapTo, MappingOptions, NumericModifier, OnUnrepresentable, PgType, Profile,
    TypeRef,
};

use crate::Source;

/// Types without parts.
const SCALARS: usize = 33;
/// Parts of parts, at most.
const DEPTH: usize = 3;

/// One to three columns.
pub fn columns(source: &mut Source<'_>) -> Vec<Column> {
    let count = 1 + source.below(3);
    (0..count)
        .map(|index| {
            let pg_type = pg_type(source, DEPTH);
            Column::new(format!("c{index}"), pg_type)
        })
        .collect()
}

/// A profile, exceptions kept, and now and then a column mapped by hand.
pub fn options(source: &mut Source<'_>, columns: &[Column]) -> MappingOptions {
    let choice = source.byte();
    let mut overrides = BTreeMap::new();
    if choice & 2 != 0 {
        let to = match &columns[0].pg_type {
            PgType::Numeric(_) => Some(MapTo::Decimal {
                precision: 1 + source.below(76) as u8,
                scale: 0,
            }),
            PgType::Text if choice & 4 != 0 => Some(MapTo::Uuid),
            PgType::Text => Some(MapTo::Binary),
            _ => None,
        };
        let to = to.map(|to| match to {
            MapTo::Decimal { precision, .. } => MapTo::Decimal {
                precision,
                scale: source.below(usize::from(precision) + 1) as u8,
            },
            other => other,
        });
        overrides.extend(to.map(|to| (columns[0].name.clone(), to)));
    }
    MappingOptions {
        profile: match choice & 1 {
            0 => Profile::Portable,
            _ => Profile::Native,
        },
        overrides,
        on_unrepresentable: OnUnrepresentable::Exceptions,
    }
}

fn pg_type(source: &mut Source<'_>, depth: usize) -> PgType {
    let kinds = if depth > 0 { SCALARS + 14 } else { SCALARS };
    match source.below(kinds) {
        kind if kind < SCALARS => scalar(source, kind),
        kind => nested(source, kind - SCALARS, depth - 1),
    }
}

fn scalar(source: &mut Source<'_>, kind: usize) -> PgType {
    match kind {
        0 => PgType::Bool,
        1 => PgType::Char,
        2 => PgType::Int2,
        3 => PgType::Int4,
        4 => PgType::Int8,
        5 => PgType::Oid,
        6 => PgType::Xid8,
        7 => PgType::PgLsn,
        8 => PgType::Float4,
        9 => PgType::Float8,
        10 => PgType::Numeric(None),
        11 => {
            let precision = 1 + source.below(80) as u16;
            let scale = source.below(usize::from(precision) + 1) as i16;
            PgType::Numeric(Some(NumericModifier { precision, scale }))
        }
        12 => PgType::Money {
            scale: source.below(4) as u8,
        },
        13 => PgType::Text,
        14 => PgType::Bytea,
        15 => PgType::Date,
        16 => PgType::Time,
        17 => PgType::Timetz,
        18 => PgType::Timestamp,
        19 => PgType::Timestamptz,
        20 => PgType::Interval,
        21 => PgType::Uuid,
        22 => PgType::Json,
        23 => PgType::Jsonb,
        24 => PgType::VersionedText,
        25 => PgType::Inet,
        26 => PgType::Cidr,
        27 => PgType::Macaddr,
        28 => PgType::Macaddr8,
        29 => PgType::BitString,
        30 => PgType::Bpchar,
        31 => PgType::Name,
        _ => PgType::Enum {
            labels: ["", "a", "grün"].map(String::from).to_vec(),
        },
    }
}

fn nested(source: &mut Source<'_>, kind: usize, depth: usize) -> PgType {
    let dimensions = Some(1 + source.below(4) as u16).filter(|count| *count < 4);
    match kind {
        0 => PgType::Array {
            element: part(source, depth),
        },
        1 => PgType::Composite {
            attributes: (0..1 + source.below(3))
                .map(|index| Attribute {
                    name: format!("a{index}"),
                    of: *part(source, depth),
                })
                .collect(),
        },
        2 => PgType::Range {
            subtype: part(source, depth),
        },
        3 => PgType::Multirange {
            subtype: part(source, depth),
        },
        4 => PgType::Hstore,
        5 => PgType::Point,
        6 => PgType::Line,
        7 => PgType::Lseg,
        8 => PgType::Path,
        9 => PgType::Polygon,
        10 => PgType::Geometry {
            srid: Some(4326).filter(|_| dimensions.is_some()),
            geography: false,
        },
        11 => PgType::Vector { dimensions },
        12 => PgType::Halfvec { dimensions },
        _ => PgType::Sparsevec,
    }
}

fn part(source: &mut Source<'_>, depth: usize) -> Box<TypeRef> {
    Box::new(TypeRef {
        oid: 1 + source.below(3) as u32,
        pg_type: pg_type(source, depth),
    })
}
