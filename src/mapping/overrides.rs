//! `--map column=TYPE`: what a column may become beside the profile's choice.

use arrow_schema::DataType;

use super::{Codec, MappingOptions, SelectAs, native};
use crate::error::{Error, ErrorKind, Result};
use crate::options::{MapTo, Profile};
use crate::pg_type::PgType;
use crate::table::Column;

/// Refuses overrides of columns that are not exported.
pub(super) fn refuse_unknown(columns: &[Column], options: &MappingOptions) -> Result<()> {
    let is_there = |name: &str| columns.iter().any(|column| column.name == name);
    match options.overrides.keys().find(|name| !is_there(name)) {
        None => Ok(()),
        Some(name) => Err(Error::new(
            ErrorKind::Config,
            format!("--map {name:?}: the table has no such column, or it is not exported"),
        )),
    }
}

/// The codec of a column that is mapped by hand.
pub(super) fn choose(column: &Column, to: MapTo) -> Result<(Codec, SelectAs)> {
    let is_text = matches!(
        column.pg_type,
        PgType::Text | PgType::Varchar | PgType::Bpchar | PgType::Name
    );
    let codec = match (&column.pg_type, to) {
        (pg_type, MapTo::Text) => return Ok(text(pg_type)),
        (PgType::Numeric(_), MapTo::Decimal { precision, scale }) => Codec::Decimal {
            precision,
            scale,
            restate: true,
        },
        (PgType::Uuid, MapTo::Uuid) => Codec::Uuid,
        (_, MapTo::Uuid) if is_text => Codec::UuidFromText,
        (PgType::Json, MapTo::Json) => Codec::Json,
        (PgType::Jsonb, MapTo::Json) => Codec::Jsonb { logical: true },
        (PgType::Json, MapTo::Binary) => Codec::Bytes,
        (_, MapTo::Binary) if is_text => Codec::Bytes,
        _ => return Err(no_such_mapping(column, to)),
    };
    Ok((codec, SelectAs::Native))
}

/// A type whose portable form is its text already keeps it: a cast would strip bpchar's padding,
/// and add a length to an inet host.
fn text(pg_type: &PgType) -> (Codec, SelectAs) {
    match native(pg_type, Profile::Portable) {
        Some(codec) if codec.arrow_type() == DataType::Utf8 => (codec, SelectAs::Native),
        _ => (Codec::Text, SelectAs::Text),
    }
}

fn no_such_mapping(column: &Column, to: MapTo) -> Error {
    let choices = match column.pg_type {
        PgType::Numeric(_) => "text, decimal(P,S)",
        PgType::Uuid => "text, uuid",
        PgType::Json => "text, json, binary",
        PgType::Jsonb => "text, json",
        PgType::Text | PgType::Varchar | PgType::Bpchar | PgType::Name => "text, uuid, binary",
        _ => "text",
    };
    Error::new(
        ErrorKind::Config,
        format!(
            "--map {:?}: a column of type {} cannot become {to}",
            column.name, column.type_name
        ),
    )
    .with_advice(format!("it can become: {choices}"))
}
