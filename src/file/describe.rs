//! How a column's type is called in Parquet, for people.

use std::sync::Arc;

use arrow_schema::{Field, FieldRef, Schema};
use parquet::arrow::ArrowSchemaConverter;
use parquet::schema::printer::print_schema;

/// What stands for the column: its own name could hold anything.
const PLACEHOLDER: &str = "column";

/// The Parquet type of a field, as schema printers show it: `INT64 (TIMESTAMP(MICROS,true))`; of
/// one with parts only what it is, `group (LIST)`. `None` when Parquet has no form for it.
#[must_use]
pub(crate) fn parquet_type(field: &FieldRef) -> Option<String> {
    let field = Field::clone(field)
        .with_name(PLACEHOLDER)
        .with_nullable(false);
    let schema = Schema::new(vec![Arc::new(field)]);
    let descriptor = ArrowSchemaConverter::new().convert(&schema).ok()?;
    let mut printed = Vec::new();
    print_schema(&mut printed, descriptor.root_schema().get_fields().first()?);
    let printed = String::from_utf8(printed).ok()?;
    let line = printed.lines().next()?.trim();
    let line = line.trim_end_matches(['{', ';', ' ']);
    let shown = line.strip_prefix("REQUIRED ")?;
    Some(shown.replacen(&format!(" {PLACEHOLDER}"), "", 1))
}

#[cfg(test)]
mod tests {
    use arrow_schema::{DataType, TimeUnit};

    use super::*;

    #[test]
    fn types_are_called_as_parquet_calls_them() {
        let shown = |data_type| parquet_type(&Arc::new(Field::new("a {;\n", data_type, true)));
        let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        for (data_type, expected) in [
            (DataType::Int32, "INT32"),
            (DataType::Int16, "INT32 (INTEGER(16,true))"),
            (DataType::Utf8, "BYTE_ARRAY (STRING)"),
            (DataType::Binary, "BYTE_ARRAY"),
            (DataType::Date32, "INT32 (DATE)"),
            (utc, "INT64 (TIMESTAMP(MICROS,true))"),
            (DataType::FixedSizeBinary(16), "FIXED_LEN_BYTE_ARRAY (16)"),
            (DataType::new_list(DataType::Int32, true), "group (LIST)"),
        ] {
            assert_eq!(shown(data_type).as_deref(), Some(expected));
        }
    }
}
