//! What a reader sees of a value, said in SQL: the canonical JSON that it must show, and whether
//! the column's Parquet type can hold the value at all.
//!
//! Canonical JSON is exact: every scalar is a string (floats are the hex of their bits, dates are
//! days and timestamps microseconds since 1970, bytes are hex), a list is an array, a struct or a
//! map an object. `tests/rig/read_types.py` shows what readers read in the same form.

/// The two profiles of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    Portable,
    Native,
}

impl Profile {
    /// What `--profile` takes.
    pub(crate) fn flag(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Native => "native",
        }
    }
}

/// The shape of a type. In its SQL, `$` stands for the value.
pub(crate) enum Shape {
    /// One value.
    Scalar {
        /// SQL that shows it as text.
        shown: &'static str,
        /// SQL that tells whether it cannot be held; empty where all can.
        bad: &'static str,
    },
    /// A column that travels as PostgreSQL's own text.
    Cast,
    /// An array's elements.
    List(&'static Shape),
    /// The items of something else.
    Items {
        /// SQL of an array of them.
        array: &'static str,
        /// Each.
        item: &'static Shape,
    },
    /// Fields: the name, the SQL of its value, its shape.
    Struct(&'static [(&'static str, &'static str, &'static Shape)]),
    /// An hstore.
    Map,
    /// A shape that cannot hold all values.
    Except {
        /// SQL that tells whether it cannot.
        bad: &'static str,
        /// The others.
        shape: &'static Shape,
    },
}

const fn scalar(shown: &'static str) -> Shape {
    Shape::Scalar { shown, bad: "" }
}

/// By the type's own output function: a cast to text may differ from it.
pub(super) const TEXT: Shape = scalar("format('%s', $)");
pub(super) const PLAIN_TEXT: Shape = scalar("($)::text");
pub(super) const OID: Shape = scalar("($)::oid::text");
pub(super) const BYTES: Shape = scalar("encode($, 'hex')");
pub(super) const FLOAT4: Shape = scalar("encode(float4send($), 'hex')");
pub(super) const FLOAT8: Shape = scalar("encode(float8send($), 'hex')");
pub(super) const DECIMAL: Shape = Shape::Scalar {
    shown: "($)::text",
    bad: "($) = 'NaN'",
};
pub(super) const DATE: Shape = Shape::Scalar {
    shown: "(($) - date '1970-01-01')::text",
    bad: "NOT isfinite($)",
};
pub(super) const TIME: Shape = scalar("('x' || encode(time_send($), 'hex'))::bit(64)::int8::text");
/// From the wire form, since `extract` is inexact before PostgreSQL 14.
pub(super) const TIMESTAMP: Shape = Shape::Scalar {
    shown: "((('x' || encode(timestamp_send($), 'hex'))::bit(64)::int8)::numeric + 946684800000000)::text",
    bad: "NOT isfinite($) OR ($) > '294247-01-10 04:00:54.775807'",
};
pub(super) const TIMESTAMPTZ: Shape = Shape::Scalar {
    shown: "((('x' || encode(timestamptz_send($), 'hex'))::bit(64)::int8)::numeric + 946684800000000)::text",
    bad: "NOT isfinite($) OR ($) > '294247-01-10 04:00:54.775807+00'",
};

impl Shape {
    /// SQL of a JSON value; NULL for NULL.
    pub(crate) fn canonical(&self, value: &str) -> String {
        canonical(self, value, 0)
    }

    /// SQL of a boolean, never NULL.
    pub(crate) fn unrepresentable(&self, value: &str) -> String {
        let bad = bad(self, value, 0).unwrap_or_else(|| "false".to_owned());
        format!("coalesce({bad}, false)")
    }

    /// Whether an array is in it.
    pub(crate) fn holds_arrays(&self) -> bool {
        match self {
            Self::List(_) => true,
            Self::Items { item, .. } => item.holds_arrays(),
            Self::Struct(fields) => fields.iter().any(|(_, _, shape)| shape.holds_arrays()),
            Self::Except { shape, .. } => shape.holds_arrays(),
            Self::Scalar { .. } | Self::Cast | Self::Map => false,
        }
    }

    /// Whether the column travels as text.
    pub(crate) fn is_cast(&self) -> bool {
        matches!(self, Self::Cast)
    }
}

/// `IS DISTINCT FROM NULL`, since a row of NULLs is not NULL but `IS NULL` says so.
fn unless_null(value: &str, shown: &str) -> String {
    format!("CASE WHEN ({value}) IS DISTINCT FROM NULL THEN {shown} END")
}

fn canonical(shape: &Shape, value: &str, depth: u32) -> String {
    match shape {
        Shape::Scalar { shown, .. } => {
            let shown = shown.replace('$', value);
            unless_null(value, &format!("to_json({shown})"))
        }
        Shape::Cast => unless_null(value, &format!("to_json(({value})::text)")),
        Shape::List(item) => canonical_list(item, value, value, depth),
        Shape::Items { array, item } => {
            canonical_list(item, &array.replace('$', value), value, depth)
        }
        Shape::Struct(fields) => {
            let fields: Vec<_> = fields
                .iter()
                .map(|(name, field, shape)| {
                    let field = field.replace('$', value);
                    format!("'{name}', {}", canonical(shape, &field, depth))
                })
                .collect();
            unless_null(value, &format!("json_build_object({})", fields.join(", ")))
        }
        Shape::Except { shape, .. } => canonical(shape, value, depth),
        Shape::Map => unless_null(
            value,
            &format!("(SELECT coalesce(json_object_agg(key, value), '{{}}') FROM each({value}))"),
        ),
    }
}

fn canonical_list(item: &Shape, array: &str, value: &str, depth: u32) -> String {
    let item = canonical(item, &format!("(a{depth})[n{depth}]"), depth + 1);
    let items = format!(
        "(SELECT coalesce(json_agg({item} ORDER BY n{depth}), '[]') \
         FROM (SELECT {array} AS a{depth}) q{depth}, generate_subscripts(a{depth}, 1) n{depth})"
    );
    unless_null(value, &items)
}

/// `None` where every value can be held.
fn bad(shape: &Shape, value: &str, depth: u32) -> Option<String> {
    match shape {
        Shape::Scalar { bad, .. } => {
            (!bad.is_empty()).then(|| format!("({})", bad.replace('$', value)))
        }
        Shape::Cast | Shape::Map => None,
        Shape::Except { bad: own, shape } => {
            let own = own.replace('$', value);
            let inner = bad(shape, value, depth).unwrap_or_else(|| "false".to_owned());
            Some(format!("(({own}) OR {inner})"))
        }
        Shape::List(item) => {
            let odd = format!("array_ndims({value}) <> 1 OR array_lower({value}, 1) <> 1");
            let item = bad_item(item, value, depth).map(|item| format!(" OR {item}"));
            Some(format!("({odd}{})", item.unwrap_or_default()))
        }
        Shape::Items { array, item } => bad_item(item, &array.replace('$', value), depth),
        Shape::Struct(fields) => {
            let bad: Vec<_> = fields
                .iter()
                .filter_map(|(_, field, shape)| bad(shape, &field.replace('$', value), depth))
                .map(|bad| format!("coalesce({bad}, false)"))
                .collect();
            (!bad.is_empty()).then(|| format!("({})", bad.join(" OR ")))
        }
    }
}

fn bad_item(item: &Shape, array: &str, depth: u32) -> Option<String> {
    let bad = bad(item, &format!("(b{depth})[m{depth}]"), depth + 1)?;
    Some(format!(
        "EXISTS (SELECT FROM (SELECT {array} AS b{depth}) p{depth}, \
         generate_subscripts(b{depth}, 1) m{depth} WHERE {bad})"
    ))
}
