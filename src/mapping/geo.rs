//! GeoParquet: what a file says of its geometries, so that spatial readers find them.
//!
//! The format is GeoParquet 1.1.0, "File metadata". Only geometries of one declared SRID are
//! named in it: those are the columns of ISO WKB.

use serde_json::{Map, Value, json};

use super::{Codec, TableMapping};

/// The key of the file metadata.
const KEY: &str = "geo";
const VERSION: &str = "1.1.0";
/// The SRID of longitude and latitude on WGS 84, which a column without a `crs` is in.
const WGS84: i32 = 4326;

/// The key and value that name a table's geometries; `None` when it has none.
#[must_use]
pub fn file_metadata(mapping: &TableMapping) -> Option<(String, String)> {
    let columns = mapping.columns.iter().filter_map(|column| {
        let Codec::Wkb { srid, geography } = column.codec else {
            return None;
        };
        Some((column.field.name().clone(), described(srid, geography)))
    });
    let columns: Map<String, Value> = columns.collect();
    let primary = columns.keys().next()?;
    let value = json!({
        "version": VERSION,
        "primary_column": primary,
        "columns": columns,
    });
    Some((KEY.to_owned(), value.to_string()))
}

/// A column. No `geometry_types` means that they are not known.
fn described(srid: i32, geography: bool) -> Value {
    let mut column = json!({ "encoding": "WKB", "geometry_types": [] });
    // A crs is PROJJSON, which an SRID alone does not give: null says that it is not known here.
    // The SRID itself is in the field's metadata.
    if srid != WGS84 {
        column["crs"] = Value::Null;
    }
    if geography {
        column["edges"] = json!("spherical");
    }
    column
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::{MappingOptions, map_table};
    use crate::pg_type::PgType;
    use crate::table::Column;

    fn geo(types: &[(&str, PgType)]) -> Option<(String, Value)> {
        let columns: Vec<_> = types
            .iter()
            .map(|(name, pg_type)| Column::new(*name, pg_type.clone()))
            .collect();
        let mapping = map_table(&columns, &MappingOptions::default()).unwrap();
        let (key, value) = file_metadata(&mapping)?;
        Some((key, serde_json::from_str(&value).unwrap()))
    }

    fn geometry(srid: Option<i32>, geography: bool) -> PgType {
        PgType::Geometry { srid, geography }
    }

    #[test]
    fn declared_geometries_are_named_and_others_are_not() {
        let plain = json!({ "encoding": "WKB", "geometry_types": [] });
        let (key, value) = geo(&[
            ("id", PgType::Int8),
            ("any", geometry(None, false)),
            ("place", geometry(Some(4326), false)),
            ("area", geometry(Some(25832), false)),
            ("track", geometry(Some(4326), true)),
        ])
        .unwrap();
        assert_eq!(key, "geo");
        assert_eq!(value["version"], "1.1.0");
        assert_eq!(value["primary_column"], "place");
        let columns = value["columns"].as_object().unwrap();
        assert_eq!(columns.len(), 3);
        assert_eq!(columns["place"], plain);
        // Unlike a missing one, a crs of null says that it is not known.
        assert_eq!(columns["area"].get("crs"), Some(&Value::Null));
        assert_eq!(columns["track"]["edges"], "spherical");
        assert_eq!(columns["track"].get("crs"), None);
        assert_eq!(geo(&[("any", geometry(None, true))]), None);
    }
}
