//! Values with parts for tests: their wire forms, straight from PostgreSQL's send functions, and
//! random codecs with random values of them.

use std::sync::Arc;

use arrow_schema::Schema;

use crate::mapping::{AttributeCodec, Codec, ColumnMapping, SelectAs, TableMapping};

/// Columns of these codecs, which keep what they cannot hold.
pub(crate) fn mapping_of(codecs: &[Codec]) -> TableMapping {
    let columns: Vec<_> = codecs
        .iter()
        .enumerate()
        .map(|(index, codec)| ColumnMapping {
            field: Arc::new(codec.field(&format!("c{index}"), true)),
            codec: codec.clone(),
            select: SelectAs::Native,
        })
        .collect();
    let fields: Vec<_> = columns
        .iter()
        .map(|column| Arc::clone(&column.field))
        .collect();
    TableMapping {
        columns,
        schema: Arc::new(Schema::new(fields)),
        exceptions: true,
    }
}

/// Bytes of a value, one piece after the other.
#[derive(Default)]
pub(crate) struct Bytes(pub(crate) Vec<u8>);

impl Bytes {
    pub(crate) fn int(mut self, value: i32) -> Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    pub(crate) fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// A length word and a value, or NULL.
    pub(crate) fn part(self, value: Option<&[u8]>) -> Self {
        match value {
            Some(value) => self.int(value.len() as i32).raw(value),
            None => self.int(-1),
        }
    }
}

/// `array_send`.
pub(crate) fn array(
    flags: i32,
    oid: u32,
    dimensions: &[(i32, i32)],
    items: &[Option<Vec<u8>>],
) -> Vec<u8> {
    let head = Bytes::default().int(dimensions.len() as i32).int(flags);
    let head = head.int(oid as i32);
    let sizes = dimensions.iter();
    let head = sizes.fold(head, |bytes, (size, lower)| bytes.int(*size).int(*lower));
    let items = items.iter();
    items
        .fold(head, |bytes, item| bytes.part(item.as_deref()))
        .0
}

/// The array of one dimension, or the empty one, as PostgreSQL makes it.
pub(crate) fn list(oid: u32, items: &[Option<Vec<u8>>]) -> Vec<u8> {
    let flags = i32::from(items.iter().any(Option::is_none));
    match items {
        [] => array(0, oid, &[], &[]),
        items => array(flags, oid, &[(items.len() as i32, 1)], items),
    }
}

/// `record_send`.
pub(crate) fn record(attributes: &[(u32, Option<Vec<u8>>)]) -> Vec<u8> {
    let head = Bytes::default().int(attributes.len() as i32);
    let parts = attributes.iter();
    parts
        .fold(head, |bytes, (oid, value)| {
            bytes.int(*oid as i32).part(value.as_deref())
        })
        .0
}

/// `range_send`, its flags given.
pub(crate) fn range(flags: u8, bounds: &[&[u8]]) -> Vec<u8> {
    let head = Bytes::default().raw(&[flags]);
    let bounds = bounds.iter();
    bounds.fold(head, |bytes, bound| bytes.part(Some(bound))).0
}

/// A count and parts: `multirange_send`, and `hstore_send` with keys and values.
pub(crate) fn counted(count: usize, parts: &[Option<Vec<u8>>]) -> Vec<u8> {
    let head = Bytes::default().int(count as i32);
    let parts = parts.iter();
    parts
        .fold(head, |bytes, part| bytes.part(part.as_deref()))
        .0
}

/// SplitMix64.
pub(crate) struct Random(pub(crate) u64);

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

    fn text(&mut self) -> Vec<u8> {
        let length = self.below(12);
        let letter = |random: &mut Self| "aä0,\"{}\\".chars().nth(random.below(8) as usize);
        let text: String = (0..length).filter_map(|_| letter(self)).collect();
        text.into_bytes()
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next() as u8).collect()
    }

    /// A value, or now and then NULL.
    fn maybe(&mut self, codec: &Codec, odd: bool) -> Option<Vec<u8>> {
        (self.below(6) > 0).then(|| self.value(codec, odd))
    }

    /// A codec with at most so many levels of parts.
    pub(crate) fn codec(&mut self, levels: u32) -> Codec {
        const TWO: &[&str] = &["x", "y"];
        const THREE: &[&str] = &["a", "b", "c"];
        if levels == 0 {
            let flat = [Codec::Int16, Codec::Int32, Codec::Int64, Codec::Bytes];
            let texts = [Codec::Text, Codec::Jsonb { logical: false }];
            let labels = ["sad", "grün"].map(String::from);
            let others = [
                Codec::Bool,
                Codec::Date,
                Codec::Date,
                Codec::UuidText,
                Codec::Enum {
                    labels: labels.as_slice().into(),
                },
            ];
            let all = [flat.as_slice(), &texts, &others].concat();
            return all[self.below(all.len() as u64) as usize].clone();
        }
        let fixed = [None, Some(3)][self.below(2) as usize];
        match self.below(15) {
            0..=3 => Codec::Array {
                element_oid: self.next() as u32,
                element: Box::new(self.codec(levels - 1)),
            },
            4..=6 => {
                let count = 1 + self.below(3);
                let attributes = (0..count).map(|index| AttributeCodec {
                    name: format!("a{index}"),
                    oid: self.next() as u32,
                    codec: self.codec(levels - 1),
                });
                Codec::Composite {
                    attributes: attributes.collect::<Vec<_>>().into(),
                }
            }
            7 => Codec::Range {
                bound: Box::new(self.codec(levels - 1)),
            },
            8 => Codec::Multirange {
                bound: Box::new(self.codec(levels - 1)),
            },
            9 => Codec::Hstore,
            10 => Codec::Doubles([TWO, THREE][self.below(2) as usize]),
            11 => [Codec::Path, Codec::Polygon][self.below(2) as usize].clone(),
            12 => Codec::Wkb {
                srid: 4326,
                geography: false,
            },
            13 => Codec::Vector { fixed },
            _ => {
                let half = self.below(2) == 0;
                let halfvec = Codec::Halfvec { half, fixed };
                [halfvec, Codec::Sparsevec][self.below(2) as usize].clone()
            }
        }
    }

    /// The wire form of a value. An `odd` one may be an infinite date, an array that no list
    /// holds, or one with room for NULLs that it has not.
    pub(crate) fn value(&mut self, codec: &Codec, odd: bool) -> Vec<u8> {
        match codec {
            Codec::Int16 => self.bytes(2),
            Codec::Int32 => self.bytes(4),
            Codec::Int64 => self.bytes(8),
            Codec::UuidText => self.bytes(16),
            Codec::Bool => vec![self.below(2) as u8],
            Codec::Date if odd && self.below(8) == 0 => i32::MAX.to_be_bytes().to_vec(),
            Codec::Date => (self.below(9999) as i32).to_be_bytes().to_vec(),
            Codec::Enum { labels } => labels[self.below(2) as usize].clone().into_bytes(),
            Codec::Bytes | Codec::Text => self.text(),
            Codec::Jsonb { .. } => [b"\x01".as_slice(), &self.text()].concat(),
            Codec::Array {
                element_oid,
                element,
            } => self.array(*element_oid, element, odd),
            Codec::Composite { attributes } => {
                let values = attributes
                    .iter()
                    .map(|one| (one.oid, self.maybe(&one.codec, odd)));
                record(&values.collect::<Vec<_>>())
            }
            Codec::Range { bound } => self.range(bound, odd),
            Codec::Multirange { bound } => {
                let count = self.below(3) as usize;
                let ranges = (0..count).map(|_| Some(self.range(bound, odd)));
                counted(count, &ranges.collect::<Vec<_>>())
            }
            Codec::Hstore => {
                let count = self.below(4) as usize;
                let pairs =
                    (0..count).flat_map(|_| [Some(self.text()), self.maybe(&Codec::Text, false)]);
                counted(count, &pairs.collect::<Vec<_>>())
            }
            shape => self.flat_value(shape),
        }
    }

    fn flat_value(&mut self, codec: &Codec) -> Vec<u8> {
        let count = self.below(4) as usize;
        let of_length = |fixed: &Option<u16>| fixed.map_or(count, usize::from);
        match codec {
            Codec::Doubles(names) => self.bytes(8 * names.len()),
            Codec::Polygon => [counted(count, &[]), self.bytes(16 * count)].concat(),
            Codec::Path => {
                let closed = vec![self.below(2) as u8];
                [closed, counted(count, &[]), self.bytes(16 * count)].concat()
            }
            Codec::Vector { fixed } => {
                let count = of_length(fixed);
                [vec![0, count as u8, 0, 0], self.bytes(4 * count)].concat()
            }
            Codec::Halfvec { fixed, .. } => {
                let count = of_length(fixed);
                [vec![0, count as u8, 0, 0], self.bytes(2 * count)].concat()
            }
            Codec::Sparsevec => {
                let head = Bytes::default().int(self.next() as i32).int(count as i32);
                head.int(0).raw(&self.bytes(8 * count)).0
            }
            Codec::Wkb { srid, .. } => {
                let mut ewkb = Vec::new();
                self.geometry(Some(*srid), 3, &mut ewkb);
                ewkb
            }
            other => panic!("{other:?} has no values here"),
        }
    }

    fn array(&mut self, oid: u32, element: &Codec, odd: bool) -> Vec<u8> {
        let count = self.below(5) as i32;
        let items: Vec<_> = (0..count).map(|_| self.maybe(element, odd)).collect();
        if !odd || self.below(3) > 0 {
            return list(oid, &items);
        }
        let flags = i32::from(items.iter().any(Option::is_none));
        match self.below(4) {
            0 => array(flags, oid, &[(count, 1), (1, 1)], &items),
            1 => array(flags, oid, &[(count, 0)], &items),
            2 if count > 0 => array(1, oid, &[(count, 1)], &items),
            _ => array(1, oid, &[], &[]),
        }
    }

    fn range(&mut self, bound: &Codec, odd: bool) -> Vec<u8> {
        let sides = [(0, true), (0x02, true), (0x08, false)];
        let (lower, has_lower) = sides[self.below(3) as usize];
        let (upper, has_upper) = sides[self.below(3) as usize];
        if self.below(5) == 0 {
            return vec![0x01];
        }
        let bounds = usize::from(has_lower) + usize::from(has_upper);
        let bounds: Vec<_> = (0..bounds).map(|_| self.value(bound, odd)).collect();
        let bounds: Vec<_> = bounds.iter().map(Vec::as_slice).collect();
        range(lower | upper << 1, &bounds)
    }

    /// One geometry as EWKB, in any byte order.
    fn geometry(&mut self, srid: Option<i32>, levels: u32, out: &mut Vec<u8>) {
        let little = self.below(2) == 1;
        let put = |out: &mut Vec<u8>, word: u32| {
            let bytes = [word.to_be_bytes(), word.to_le_bytes()][usize::from(little)];
            out.extend_from_slice(&bytes);
        };
        let dimensions = self.below(4) as u32;
        let kinds: &[u32] = &[1, 2, 8, 3, 17, 4, 5, 6, 7, 9, 10, 11, 12, 15, 16];
        let known = if levels == 0 { 5 } else { kinds.len() as u64 };
        let kind = kinds[self.below(known) as usize];
        out.push(u8::from(little));
        put(
            out,
            kind | dimensions << 30 | u32::from(srid.is_some()) << 29,
        );
        if let Some(srid) = srid {
            put(out, srid as u32);
        }
        let point = 8 * (2 + dimensions.count_ones() as usize);
        let count = self.below(3) as usize;
        match kind {
            1 => out.extend(self.bytes(point)),
            2 | 8 => {
                put(out, count as u32);
                out.extend(self.bytes(point * count));
            }
            3 | 17 => {
                put(out, count as u32);
                for points in 0..count {
                    put(out, points as u32);
                    out.extend(self.bytes(point * points));
                }
            }
            _ => {
                put(out, count as u32);
                for _ in 0..count {
                    self.geometry(None, levels - 1, out);
                }
            }
        }
    }
}
