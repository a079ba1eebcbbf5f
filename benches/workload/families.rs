//! Tables of sixteen columns of one type: what each decoder does by itself.

use pgsluice::codec::PgType;

use crate::wire_rows::numeric;
use crate::workload::{Random, Workload, WriteRow, columns, decimal, labels};

/// Sixteen fields by one function.
macro_rules! sixteen {
    ($value:expr) => {
        |rows, _, random| {
            for _ in 0..16 {
                let value: fn(&mut Random) -> Option<Vec<u8>> = $value;
                rows.field(value(random).as_deref());
            }
        }
    };
}

/// One table for each type family.
pub(crate) fn families() -> Vec<Workload> {
    fixed_families()
        .into_iter()
        .chain(varying_families())
        .collect()
}

/// Types of a fixed width.
fn fixed_families() -> Vec<Workload> {
    vec![
        family(
            "int8",
            PgType::Int8,
            sixteen!(|r| Some(r.next().to_be_bytes().into())),
        ),
        family(
            "int4",
            PgType::Int4,
            sixteen!(|r| Some(r.next().to_be_bytes()[..4].into())),
        ),
        family(
            "int8_half_null",
            PgType::Int8,
            sixteen!(|r| {
                let value = r.next();
                (value & 1 == 0).then(|| value.to_be_bytes().into())
            }),
        ),
        family(
            "bool",
            PgType::Bool,
            sixteen!(|r| Some(vec![r.below(2) as u8])),
        ),
        family(
            "float8",
            PgType::Float8,
            sixteen!(|r| Some(r.next().to_be_bytes().into())),
        ),
        family(
            "timestamptz",
            PgType::Timestamptz,
            sixteen!(|r| { Some(r.below(1 << 50).to_be_bytes().into()) }),
        ),
    ]
}

/// Types of any width, and those that become text.
fn varying_families() -> Vec<Workload> {
    vec![
        family("numeric_15_2", decimal(15, 2), sixteen!(|r| Some(money(r)))),
        family(
            "numeric_38_10",
            decimal(38, 10),
            sixteen!(|r| {
                Some(numeric(&format!(
                    "{}.{:010}",
                    r.next(),
                    r.below(10_000_000_000)
                )))
            }),
        ),
        family(
            "text_short",
            PgType::Text,
            sixteen!(|r| Some(r.text(0, 24))),
        ),
        family(
            "text_long",
            PgType::Text,
            sixteen!(|r| Some(r.text(100, 400))),
        ),
        family(
            "text_not_ascii",
            PgType::Text,
            sixteen!(|r| { Some("größer €".repeat(1 + r.below(4) as usize).into()) }),
        ),
        family("bytea", PgType::Bytea, sixteen!(|r| Some(r.text(0, 64)))),
        family(
            "uuid",
            PgType::Uuid,
            sixteen!(|r| { Some([r.next().to_be_bytes(), r.next().to_be_bytes()].concat()) }),
        ),
        family(
            "jsonb",
            PgType::Jsonb,
            sixteen!(|r| { Some([b"\x01{\"k\": \"".as_slice(), &r.text(5, 60), b"\"}"].concat()) }),
        ),
        family(
            "enum",
            PgType::Enum { labels: labels() },
            sixteen!(|r| { Some(labels()[r.below(6) as usize].clone().into()) }),
        ),
    ]
}

/// `name` and sixteen columns of one type.
fn family(name: &'static str, pg_type: PgType, row: WriteRow) -> Workload {
    let names: Vec<_> = (0..16).map(|index| format!("c{index}")).collect();
    let types: Vec<_> = names
        .iter()
        .map(|name| (name.as_str(), pg_type.clone(), false))
        .collect();
    Workload {
        name,
        columns: columns(&types),
        row,
    }
}

fn money(random: &mut Random) -> Vec<u8> {
    numeric(&format!(
        "{}.{:02}",
        random.below(1_000_000),
        random.below(100)
    ))
}
