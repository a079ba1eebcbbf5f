//! What a PostgreSQL column becomes: the one place that decides types.
//!
//! Owns the choice of Arrow type, of wire form, and of how the column is selected, all from the
//! catalog and the options alone; never from looking at values. It does not decode anything
//! (`copy`) and writes no SQL (`pg::sql`).

mod codec;
pub mod geo;
mod matrix;
mod metadata;
mod overrides;
mod parquet_type;
mod readers;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow_schema::{FieldRef, Schema, SchemaRef};

pub use self::codec::{AttributeCodec, Codec};
pub use self::matrix::{Landing, TypeRow, matrix};
pub use self::metadata::{
    META_BASE_TYPE, META_COLLATION, META_ENUM_LABELS, META_GENERATED, META_MAP, META_PG_TYPE,
    META_REPRESENTATION, META_SRID, META_TYPE, META_TYPMOD, META_UNIT,
};
pub use self::parquet_type::{Leaf, ParquetType};
pub use self::readers::{Basis, Note, Reader, Reading, Source, notes, reading, sources};
use crate::error::{Error, ErrorKind, Result};
use crate::options::{MapTo, OnUnrepresentable, Profile};
use crate::pg_type::{Attribute, NumericModifier, PgType};
use crate::table::Column;

/// The most digits that every reader's decimals hold.
const PORTABLE_DIGITS: u16 = 38;
/// The most digits that a `Decimal256` holds.
const NATIVE_DIGITS: u16 = 76;

/// What decides a mapping beside the catalog.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MappingOptions {
    /// Which Parquet types are used.
    pub profile: Profile,
    /// Choices for single columns, by their exact names.
    pub overrides: BTreeMap<String, MapTo>,
    /// What becomes of a value that its column cannot hold.
    pub on_unrepresentable: OnUnrepresentable,
}

/// How a table's rows travel: what is selected, its wire form, what it becomes.
#[derive(Debug, Clone)]
pub struct TableMapping {
    /// One for each exported column, in order.
    pub columns: Vec<ColumnMapping>,
    /// The schema of every batch and object; its fields are those of `columns`.
    pub schema: SchemaRef,
    /// Whether a value that its column cannot hold becomes NULL and an exception, or an error.
    pub exceptions: bool,
}

/// How one column travels.
#[derive(Debug, Clone)]
pub struct ColumnMapping {
    /// Name, Arrow type, nullability; the PostgreSQL type is in its metadata.
    pub field: FieldRef,
    /// The wire form that its values arrive in, and what they become.
    pub codec: Codec,
    /// How it is selected.
    pub select: SelectAs,
}

/// How a column is selected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SelectAs {
    /// As it is: the type's own binary form arrives.
    Native,
    /// As its type's output function writes it, under the pinned session settings.
    Text,
}

/// Maps the exported columns of a table.
///
/// # Errors
///
/// [`ErrorKind::Unsupported`] when two names differ only by case: common readers would see one.
/// [`ErrorKind::Config`] for an override of a column that is not there, or whose type it does not
/// fit.
pub fn map_table(columns: &[Column], options: &MappingOptions) -> Result<TableMapping> {
    refuse_case_collisions(columns)?;
    overrides::refuse_unknown(columns, options)?;
    let columns = columns
        .iter()
        .map(|column| map_column(column, options))
        .collect::<Result<Vec<_>>>()?;
    let fields: Vec<_> = columns
        .iter()
        .map(|column| Arc::clone(&column.field))
        .collect();
    Ok(TableMapping {
        schema: Arc::new(Schema::new(fields)),
        columns,
        exceptions: options.on_unrepresentable == OnUnrepresentable::Exceptions,
    })
}

fn refuse_case_collisions(columns: &[Column]) -> Result<()> {
    let mut seen: HashMap<String, &str> = HashMap::with_capacity(columns.len());
    for column in columns {
        if let Some(other) = seen.insert(column.name.to_lowercase(), &column.name) {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!(
                    "columns {other:?} and {:?} differ only by case",
                    column.name
                ),
            )
            .with_advice(
                "readers that ignore case would see one column: \
                 export the other with --exclude-columns into another root",
            ));
        }
    }
    Ok(())
}

fn map_column(column: &Column, options: &MappingOptions) -> Result<ColumnMapping> {
    let chosen = match options.overrides.get(&column.name) {
        Some(to) => overrides::choose(column, *to)?,
        None => choose(&column.pg_type, options.profile),
    };
    let as_text = options.on_unrepresentable == OnUnrepresentable::Text;
    let (codec, select) = match chosen {
        (codec, _) if as_text && codec.is_partial() => (Codec::Text, SelectAs::Text),
        chosen => chosen,
    };
    let holds_exceptions = options.on_unrepresentable == OnUnrepresentable::Exceptions;
    let nullable = !column.not_null || (holds_exceptions && codec.is_partial());
    let field = codec.field(&column.name, nullable);
    let mut metadata = metadata::of(column, options, &codec, select);
    metadata.extend(field.metadata().clone());
    Ok(ColumnMapping {
        field: Arc::new(field.with_metadata(metadata)),
        codec,
        select,
    })
}

/// The wire form that a type is read in, and how it is selected.
fn choose(pg_type: &PgType, profile: Profile) -> (Codec, SelectAs) {
    match native(pg_type, profile) {
        Some(codec) => (codec, SelectAs::Native),
        None => (Codec::Text, SelectAs::Text),
    }
}

/// The codec of a type; `None` when it, or something that it is made of, travels as text.
fn native(pg_type: &PgType, profile: Profile) -> Option<Codec> {
    let portable = profile == Profile::Portable;
    let either =
        |in_portable: Codec, in_native: Codec| if portable { in_portable } else { in_native };
    Some(match pg_type {
        PgType::Bool => Codec::Bool,
        PgType::Char => Codec::Char,
        PgType::Int2 => Codec::Int16,
        PgType::Int4 => Codec::Int32,
        PgType::Int8 => Codec::Int64,
        PgType::Oid => either(Codec::Oid, Codec::UInt32),
        PgType::Xid8 => either(Codec::Xid8Text, Codec::Bytes8),
        PgType::PgLsn => either(Codec::LsnText, Codec::Bytes8),
        PgType::Float4 => Codec::Float32,
        PgType::Float8 => Codec::Float64,
        PgType::Numeric(modifier) => numeric(*modifier, profile),
        PgType::Money { scale } => Codec::Money { scale: *scale },
        // The cast to text would strip bpchar's padding; its own binary form keeps it.
        PgType::Text | PgType::Varchar | PgType::Bpchar | PgType::Name => Codec::Text,
        PgType::Json => either(Codec::Text, Codec::Json),
        PgType::Jsonb => Codec::Jsonb { logical: !portable },
        PgType::VersionedText => Codec::VersionedText,
        PgType::Bytea => Codec::Bytes,
        PgType::Date => Codec::Date,
        PgType::Time => either(Codec::Time, Codec::Time64),
        PgType::Timetz => Codec::Timetz,
        PgType::Timestamp => Codec::Timestamp { utc: false },
        PgType::Timestamptz => Codec::Timestamp { utc: true },
        PgType::Interval => Codec::Interval,
        PgType::Uuid => either(Codec::UuidText, Codec::Uuid),
        PgType::Inet => Codec::Inet,
        PgType::Cidr => Codec::Cidr,
        PgType::Macaddr => Codec::Macaddr,
        PgType::Macaddr8 => Codec::Macaddr8,
        PgType::BitString => Codec::BitString,
        PgType::Enum { labels } => Codec::Enum {
            labels: labels.as_slice().into(),
        },
        made_of_others => return nested(made_of_others, profile),
    })
}

/// The codec of a type with parts.
fn nested(pg_type: &PgType, profile: Profile) -> Option<Codec> {
    let part = |pg_type: &PgType| native(pg_type, profile).map(Box::new);
    let fixed = |dimensions: Option<u16>| dimensions.filter(|_| profile == Profile::Native);
    Some(match pg_type {
        PgType::Point => Codec::Doubles(codec::POINT),
        PgType::Line => Codec::Doubles(codec::LINE),
        PgType::Lseg | PgType::Box => Codec::Doubles(codec::TWO_POINTS),
        PgType::Circle => Codec::Doubles(codec::CIRCLE),
        PgType::Path => Codec::Path,
        PgType::Polygon => Codec::Polygon,
        PgType::Array { element } => Codec::Array {
            element_oid: element.oid,
            element: part(&element.pg_type)?,
        },
        PgType::Composite { attributes } => composite(attributes, profile)?,
        PgType::Range { subtype } => Codec::Range {
            bound: part(&subtype.pg_type)?,
        },
        PgType::Multirange { subtype } => Codec::Multirange {
            bound: part(&subtype.pg_type)?,
        },
        PgType::Hstore => Codec::Hstore,
        PgType::Geometry { srid, geography } => match srid {
            Some(srid) => Codec::Wkb {
                srid: *srid,
                geography: *geography,
            },
            // Values of any SRID: each carries its own, as EWKB does.
            None => Codec::Bytes,
        },
        PgType::Vector { dimensions } => Codec::Vector {
            fixed: fixed(*dimensions),
        },
        PgType::Halfvec { dimensions } => Codec::Halfvec {
            half: profile == Profile::Native,
            fixed: fixed(*dimensions),
        },
        PgType::Sparsevec => Codec::Sparsevec,
        _ => return None,
    })
}

/// A composite as a struct. Parquet has no empty struct, and readers that ignore case would take
/// two attributes for one: such types travel as text.
fn composite(attributes: &[Attribute], profile: Profile) -> Option<Codec> {
    let mut seen = HashMap::with_capacity(attributes.len());
    let codecs = attributes.iter().map(|attribute| {
        let is_new = seen.insert(attribute.name.to_lowercase(), ()).is_none();
        let codec = native(&attribute.of.pg_type, profile).filter(|_| is_new)?;
        Some(AttributeCodec {
            name: attribute.name.clone(),
            oid: attribute.of.oid,
            codec,
        })
    });
    let codecs: Vec<_> = codecs.collect::<Option<_>>()?;
    (!codecs.is_empty()).then(|| Codec::Composite {
        attributes: codecs.into(),
    })
}

/// A declared precision and scale that a decimal of the profile holds exactly; else text, which
/// holds every numeric.
fn numeric(modifier: Option<NumericModifier>, profile: Profile) -> Codec {
    let digits = match profile {
        Profile::Portable => PORTABLE_DIGITS,
        Profile::Native => NATIVE_DIGITS,
    };
    let declared = modifier.and_then(|modifier| {
        let scale = u16::try_from(modifier.scale).ok()?;
        let fits = (1..=digits).contains(&modifier.precision) && scale <= modifier.precision;
        fits.then_some((modifier.precision as u8, scale as u8))
    });
    match declared {
        Some((precision, scale)) => Codec::Decimal {
            precision,
            scale,
            restate: false,
        },
        None => Codec::NumericText,
    }
}
