//! What a field says of the column it came from: all that a restore needs.

use std::collections::HashMap;

use super::{Codec, MappingOptions, SelectAs};
use crate::pg_type::PgType;
use crate::table::Column;

/// Field metadata: the declared type, as `format_type` shows it.
pub const META_PG_TYPE: &str = "pgsluice.pg_type";
/// Field metadata: a domain's base type, as `format_type` shows it.
pub const META_BASE_TYPE: &str = "pgsluice.base_type";
/// Field metadata: what a type is made of, as JSON: elements, attributes and bounds with oids.
pub const META_TYPE: &str = "pgsluice.type";
/// Field metadata: `atttypmod`, where there is one.
pub const META_TYPMOD: &str = "pgsluice.typmod";
/// Field metadata: an enum's labels in their sort order, as a JSON array.
pub const META_ENUM_LABELS: &str = "pgsluice.enum_labels";
/// Field metadata: the collation, where it is not the type's default.
pub const META_COLLATION: &str = "pgsluice.collation";
/// Field metadata: `true` on a generated column, which a restore leaves out.
pub const META_GENERATED: &str = "pgsluice.generated";
/// Field metadata: `text` where the values are PostgreSQL's own text of another type.
pub const META_REPRESENTATION: &str = "pgsluice.representation";
/// Field metadata: the unit of a time of day held as an integer, `us` from midnight.
pub const META_UNIT: &str = "pgsluice.unit";
/// Field metadata: what `--map` made of the column.
pub const META_MAP: &str = "pgsluice.map";
/// Field metadata: the SRID of every value of a geometry held as ISO WKB.
pub const META_SRID: &str = "pgsluice.srid";

pub(super) fn of(
    column: &Column,
    options: &MappingOptions,
    codec: &Codec,
    select: SelectAs,
) -> HashMap<String, String> {
    let mut metadata = HashMap::from([(META_PG_TYPE.to_owned(), column.type_name.clone())]);
    let mut put = |key: &str, value: String| metadata.insert(key.to_owned(), value);
    if let Some(base) = &column.base_type {
        put(META_BASE_TYPE, base.clone());
    }
    if column.typmod != -1 {
        put(META_TYPMOD, column.typmod.to_string());
    }
    match &column.pg_type {
        PgType::Enum { labels } => {
            put(META_ENUM_LABELS, serde_json::json!(labels).to_string());
        }
        nested if nested.is_nested() => {
            put(META_TYPE, serde_json::json!(nested).to_string());
        }
        _ => {}
    }
    if let Some(collation) = &column.collation {
        put(META_COLLATION, collation.clone());
    }
    if column.generated {
        put(META_GENERATED, "true".to_owned());
    }
    if select == SelectAs::Text {
        put(META_REPRESENTATION, "text".to_owned());
    }
    if let Some(to) = options.overrides.get(&column.name) {
        put(META_MAP, to.to_string());
    }
    match codec {
        Codec::Time => {
            put(META_UNIT, "us".to_owned());
        }
        Codec::Wkb { srid, .. } => {
            put(META_SRID, srid.to_string());
        }
        _ => {}
    }
    metadata
}
