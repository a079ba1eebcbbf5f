//! Tables to bench with: their columns, and a writer of rows. Shared by the benches.

pub(crate) mod cpu_time;

use pgsluice::codec::{Column, NumericModifier, PgType};

use crate::wire_rows::{WireRows, numeric};

/// Writes one row's fields; the numbers are pseudo-random and the same in every run.
pub(crate) type WriteRow = fn(&mut WireRows, u64, &mut Random);

/// A table.
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    pub(crate) columns: Vec<Column>,
    pub(crate) row: WriteRow,
}

/// SplitMix64.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(crate) fn text(&mut self, least: u64, most: u64) -> Vec<u8> {
        let length = least + self.below(most - least + 1);
        (0..length)
            .map(|_| b"etaoin shrdlu cmfw"[self.below(18) as usize])
            .collect()
    }
}

/// A whole stream of about `bytes`, and where each row (the header with the first) ends.
pub(crate) fn stream(columns: usize, row: WriteRow, bytes: usize) -> (Vec<u8>, Vec<usize>) {
    let mut rows = WireRows::new();
    let mut random = Random(7);
    let mut ends = Vec::new();
    while rows.bytes.len() < bytes {
        rows.row(columns as i16);
        row(&mut rows, ends.len() as u64, &mut random);
        ends.push(rows.bytes.len());
    }
    let stream = rows.trailer();
    ends.push(stream.len());
    (stream, ends)
}

pub(crate) fn columns(types: &[(&str, PgType, bool)]) -> Vec<Column> {
    types
        .iter()
        .map(|(name, pg_type, not_null)| Column {
            not_null: *not_null,
            ..Column::new(*name, pg_type.clone())
        })
        .collect()
}

pub(crate) fn decimal(precision: u16, scale: i16) -> PgType {
    PgType::Numeric(Some(NumericModifier { precision, scale }))
}

pub(crate) fn labels() -> Vec<String> {
    ["new", "paid", "packed", "shipped", "delivered", "returned"]
        .map(String::from)
        .to_vec()
}

/// What tables look like.
pub(crate) fn tables() -> Vec<Workload> {
    vec![line_items(), events()]
}

/// Numbers, short text and dates: the line items of an order book.
fn line_items() -> Workload {
    use PgType::{Bpchar, Date, Int4, Int8, Varchar};
    let types = [
        ("order_id", Int8, true),
        ("part_id", Int4, true),
        ("supplier_id", Int4, true),
        ("line", Int4, true),
        ("quantity", decimal(15, 2), true),
        ("price", decimal(15, 2), true),
        ("discount", decimal(15, 2), true),
        ("tax", decimal(15, 2), true),
        ("flag", Bpchar, true),
        ("status", Bpchar, true),
        ("shipped", Date, true),
        ("committed", Date, true),
        ("received", Date, true),
        ("instruction", Bpchar, true),
        ("mode", Bpchar, true),
        ("comment", Varchar, true),
    ];
    Workload {
        name: "table_line_items",
        columns: columns(&types),
        row: |rows, index, random| {
            rows.field(Some(&(index / 4).to_be_bytes()));
            for bound in [200_000, 10_000, 7] {
                rows.field(Some(&(random.below(bound) as u32).to_be_bytes()));
            }
            rows.field(Some(&numeric(&format!("{}.00", 1 + random.below(50)))));
            rows.field(Some(&numeric(&format!(
                "{}.{:02}",
                random.below(100_000),
                random.below(100)
            ))));
            rows.field(Some(&numeric(&format!("0.{:02}", random.below(11)))));
            rows.field(Some(&numeric(&format!("0.{:02}", random.below(9)))));
            rows.field(Some(&b"ANR"[random.below(3) as usize..][..1]));
            rows.field(Some(&b"OF"[random.below(2) as usize..][..1]));
            for _ in 0..3 {
                rows.field(Some(&(random.below(2500) as u32).to_be_bytes()));
            }
            rows.field(Some(b"DELIVER IN PERSON        "));
            rows.field(Some(
                [b"TRUCK     ", b"AIR       "][random.below(2) as usize],
            ));
            rows.field(Some(&random.text(10, 43)));
        },
    }
}

/// A key, clocks, an id, an enum, a document: an event log.
fn events() -> Workload {
    use PgType::{Bool, Float8, Int8, Jsonb, Text, Timestamptz, Uuid};
    let types = [
        ("id", Int8, true),
        ("at", Timestamptz, true),
        ("session", Uuid, false),
        ("kind", PgType::Enum { labels: labels() }, true),
        ("path", Text, false),
        ("amount", decimal(20, 4), false),
        ("score", Float8, false),
        ("active", Bool, true),
        ("document", Jsonb, false),
    ];
    Workload {
        name: "table_events",
        columns: columns(&types),
        row: |rows, index, random| {
            let session = [random.next().to_be_bytes(), random.next().to_be_bytes()].concat();
            let amount = format!("{}.{:04}", random.below(100_000), random.below(10_000));
            let document = [b"\x01{\"k\": \"".as_slice(), &random.text(20, 90), b"\"}"].concat();
            let missing = random.below(10) == 0;
            rows.field(Some(&index.to_be_bytes()));
            rows.field(Some(
                &(700_000_000_000_000 + index * 1_234_567).to_be_bytes(),
            ));
            rows.field(Some(&session));
            rows.field(Some(labels()[random.below(6) as usize].as_bytes()));
            rows.field((!missing).then(|| random.text(5, 40)).as_deref());
            rows.field((!missing).then(|| numeric(&amount)).as_deref());
            rows.field(
                (!missing)
                    .then(|| random.next().to_be_bytes())
                    .as_ref()
                    .map(|b| &b[..]),
            );
            rows.field(Some(&[random.below(2) as u8]));
            rows.field((!missing).then_some(document).as_deref());
        },
    }
}
