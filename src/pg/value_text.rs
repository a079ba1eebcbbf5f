//! PostgreSQL's own text of a value, from the bytes that it sent.
//!
//! Owns how raw bytes are bound. The type's receive function reads them and its output function
//! writes the text, so no cast has a say: `bpchar::text` would strip blanks, `inet::text` add a
//! length, and a cast to a declared precision would round.

use std::error::Error as StdError;
use std::fmt;

use bytes::BytesMut;
use tokio_postgres::types::{Format, IsNull, Kind, ToSql, Type, to_sql_checked};

use crate::error::{Error, ErrorKind, Result};
use crate::pg::session::{Session, column};

/// `format`'s `%s` is the output function of whatever type its argument has.
const TEXT_SQL: &str = "SELECT pg_catalog.format('%s', $1)";
/// From a type through domains over domains to the one they are made of.
const BASE_TYPE_SQL: &str = "
WITH RECURSIVE types(oid, base) AS (
  SELECT t.oid, t.typbasetype FROM pg_catalog.pg_type t WHERE t.oid = $1
  UNION ALL
  SELECT t.oid, t.typbasetype FROM types JOIN pg_catalog.pg_type t ON t.oid = types.base
)
SELECT oid FROM types WHERE base = 0";

/// A value as it stands on the wire, of whatever type.
struct Wire<'a>(&'a [u8]);

/// The client may log its parameters: no byte of a value is shown.
impl fmt::Debug for Wire<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl ToSql for Wire<'_> {
    fn to_sql(
        &self,
        _: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        out.extend_from_slice(self.0);
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Binary
    }

    to_sql_checked!();
}

impl Session {
    /// The type that a domain is made of; any other type is its own. A domain's constraints would
    /// have a say in what is received, and a stored value may break one that was added later.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Source`].
    pub(crate) async fn base_type(&self, oid: u32) -> Result<u32> {
        let what = "the base type of a domain could not be read";
        let row = self.query_one(what, BASE_TYPE_SQL, &[&oid]).await?;
        column(&row, 0)
    }

    /// The text of a value of this type, as the type's output function writes it under the pinned
    /// settings.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Source`].
    pub(crate) async fn text_of(&self, type_oid: u32, wire: &[u8]) -> Result<String> {
        let what = "the text of an exception could not be read";
        let named = || Type::new(String::new(), type_oid, Kind::Simple, String::new());
        let value_type = Type::from_oid(type_oid).unwrap_or_else(named);
        let rows = self
            .query_typed(what, TEXT_SQL, &[(&Wire(wire), value_type)])
            .await?;
        let missing = || Error::new(ErrorKind::Source, what).with_source("there is no answer");
        column(rows.first().ok_or_else(missing)?, 0)
    }
}
