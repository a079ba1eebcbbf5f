//! Values as PostgreSQL's send functions write them, from a fuzzer's bytes.

use pgsluice::codec::PgType;

use crate::Source;

/// A value of a type, or NULL.
pub fn value(pg_type: &PgType, source: &mut Source<'_>) -> Option<Vec<u8>> {
    (source.byte() != 255).then(|| present(pg_type, source))
}

fn present(pg_type: &PgType, source: &mut Source<'_>) -> Vec<u8> {
    match pg_type {
        PgType::Bool => vec![source.byte() & 1],
        PgType::Char => source.array::<1>().to_vec(),
        PgType::Int2 => source.array::<2>().to_vec(),
        PgType::Int4 | PgType::Oid | PgType::Float4 | PgType::Date => source.array::<4>().to_vec(),
        PgType::Int8 | PgType::Xid8 | PgType::PgLsn | PgType::Float8 | PgType::Money { .. } => {
            source.array::<8>().to_vec()
        }
        PgType::Timestamp | PgType::Timestamptz => source.array::<8>().to_vec(),
        PgType::Interval | PgType::Uuid => source.array::<16>().to_vec(),
        PgType::Macaddr => source.array::<6>().to_vec(),
        PgType::Macaddr8 => source.array::<8>().to_vec(),
        PgType::Time => time(source),
        PgType::Timetz => {
            let zone = i32::from(i16::from_be_bytes(source.array())) % 57_600;
            [time(source), zone.to_be_bytes().to_vec()].concat()
        }
        PgType::Numeric(_) => numeric(source),
        PgType::Text | PgType::Varchar | PgType::Bpchar | PgType::Name | PgType::Json => {
            text(source)
        }
        PgType::Jsonb | PgType::VersionedText => [vec![1], text(source)].concat(),
        PgType::Bytea => source.some(64).to_vec(),
        PgType::Inet => network(source, false),
        PgType::Cidr => network(source, true),
        PgType::BitString => bits(source),
        PgType::Enum { labels } => labels[source.below(labels.len())].clone().into_bytes(),
        nested => parts(nested, source),
    }
}

fn parts(pg_type: &PgType, source: &mut Source<'_>) -> Vec<u8> {
    match pg_type {
        PgType::Array { element } => array(element.oid, &element.pg_type, source),
        PgType::Composite { attributes } => {
            let mut bytes = (attributes.len() as i32).to_be_bytes().to_vec();
            for attribute in attributes {
                bytes.extend(attribute.of.oid.to_be_bytes());
                field(&mut bytes, value(&attribute.of.pg_type, source));
            }
            bytes
        }
        PgType::Range { subtype } => range(&subtype.pg_type, source),
        PgType::Multirange { subtype } => {
            let count = source.below(3);
            let mut bytes = (count as i32).to_be_bytes().to_vec();
            for _ in 0..count {
                field(&mut bytes, Some(range(&subtype.pg_type, source)));
            }
            bytes
        }
        PgType::Hstore => {
            let count = source.below(3);
            let mut bytes = (count as i32).to_be_bytes().to_vec();
            for _ in 0..count {
                field(&mut bytes, Some(text(source)));
                let value = (source.byte() & 1 == 0).then(|| text(source));
                field(&mut bytes, value);
            }
            bytes
        }
        PgType::Point => source.array::<16>().to_vec(),
        PgType::Line | PgType::Circle => source.array::<24>().to_vec(),
        PgType::Lseg | PgType::Box => source.array::<32>().to_vec(),
        PgType::Path => {
            let closed = source.byte() & 1;
            [vec![closed], points(source)].concat()
        }
        PgType::Polygon => points(source),
        PgType::Geometry { srid, .. } => geometry(*srid, source, 2),
        PgType::Vector { dimensions } => vector::<4>(*dimensions, source),
        PgType::Halfvec { dimensions } => vector::<2>(*dimensions, source),
        PgType::Sparsevec => sparse(source),
        other => unreachable!("{other:?} has no generator"),
    }
}

fn field(bytes: &mut Vec<u8>, value: Option<Vec<u8>>) {
    let length = value.as_ref().map_or(-1, |value| value.len() as i32);
    bytes.extend(length.to_be_bytes());
    bytes.extend(value.into_iter().flatten());
}

fn text(source: &mut Source<'_>) -> Vec<u8> {
    String::from_utf8_lossy(source.some(24))
        .into_owned()
        .into_bytes()
}

fn time(source: &mut Source<'_>) -> Vec<u8> {
    let micros = i64::from_be_bytes(source.array()).rem_euclid(86_400_000_001);
    micros.to_be_bytes().to_vec()
}

/// Digits in groups of four, as `make_result` leaves them: no zero group first or last, and no
/// digit beyond the display scale.
fn numeric(source: &mut Source<'_>) -> Vec<u8> {
    let words = |words: [u16; 4]| words.map(u16::to_be_bytes).concat();
    match source.byte() {
        0 => return words([0, 0, 0xC000, 0]),
        1 => return words([0, 0, 0xD000, 32]),
        2 => return words([0, 0, 0xF000, 32]),
        _ => {}
    }
    let scale = source.below(24);
    let whole = source.below(24);
    let negative = source.byte() & 1 == 1;
    let digit = |source: &mut Source<'_>| source.byte() % 10;
    let left = (4 - whole % 4) % 4;
    let right = (4 - scale % 4) % 4;
    let mut digits = vec![0; left];
    digits.extend((0..whole + scale).map(|_| digit(source)));
    digits.extend(vec![0; right]);
    let mut groups: Vec<u16> = digits
        .chunks(4)
        .map(|group| {
            group
                .iter()
                .fold(0, |sum, digit| sum * 10 + u16::from(*digit))
        })
        .collect();
    let mut weight = (left + whole) as i16 / 4 - 1;
    while groups.first() == Some(&0) {
        groups.remove(0);
        weight -= 1;
    }
    while groups.last() == Some(&0) {
        groups.pop();
    }
    let (weight, sign) = match groups.is_empty() {
        true => (0, 0),
        false => (weight, if negative { 0x4000 } else { 0 }),
    };
    let mut bytes = words([groups.len() as u16, weight as u16, sign, scale as u16]);
    bytes.extend(groups.iter().flat_map(|group| group.to_be_bytes()));
    bytes
}

fn network(source: &mut Source<'_>, cidr: bool) -> Vec<u8> {
    let wide = source.byte() & 1 == 1;
    let (family, length, mut address) = match wide {
        true => (3, 16, source.array::<16>().to_vec()),
        false => (2, 4, source.array::<4>().to_vec()),
    };
    let bits = source.below(length * 8 + 1);
    if cidr {
        // A network has no bits behind its length.
        for (index, byte) in address.iter_mut().enumerate() {
            let kept = bits.saturating_sub(index * 8).min(8);
            *byte &= !(0xFF_u16 >> kept) as u8;
        }
    }
    let mut bytes = vec![family, bits as u8, u8::from(cidr), length as u8];
    bytes.extend(address);
    bytes
}

fn bits(source: &mut Source<'_>) -> Vec<u8> {
    let mut bytes = source.some(16).to_vec();
    let unused = match bytes.is_empty() {
        true => 0,
        false => source.below(8),
    };
    if let Some(last) = bytes.last_mut() {
        *last &= 0xFF << unused;
    }
    let count = (bytes.len() * 8 - unused) as i32;
    [count.to_be_bytes().to_vec(), bytes].concat()
}

fn array(oid: u32, element: &PgType, source: &mut Source<'_>) -> Vec<u8> {
    let dimensions = source.below(4).min(2);
    let mut bytes = (dimensions as i32).to_be_bytes().to_vec();
    let sizes: Vec<_> = (0..dimensions).map(|_| 1 + source.below(3)).collect();
    let bound = match source.byte() {
        0 => 0_i32,
        _ => 1,
    };
    let count = match sizes.is_empty() {
        true => 0,
        false => sizes.iter().product(),
    };
    let elements: Vec<_> = (0..count).map(|_| value(element, source)).collect();
    // The flag tells whether there is room for NULLs: it may be set without one.
    let room = elements.iter().any(Option::is_none) || (count > 0 && source.byte() == 1);
    bytes.extend(i32::from(room).to_be_bytes());
    bytes.extend(oid.to_be_bytes());
    for size in sizes {
        bytes.extend((size as i32).to_be_bytes());
        bytes.extend(bound.to_be_bytes());
    }
    for element in elements {
        field(&mut bytes, element);
    }
    bytes
}

fn range(bound: &PgType, source: &mut Source<'_>) -> Vec<u8> {
    const EMPTY: u8 = 0x01;
    const LOWER_INC: u8 = 0x02;
    const UPPER_INC: u8 = 0x04;
    const LOWER_INF: u8 = 0x08;
    const UPPER_INF: u8 = 0x10;
    let choice = source.byte();
    if choice & EMPTY != 0 {
        return vec![EMPTY];
    }
    let mut flags = choice & (LOWER_INF | UPPER_INF);
    if flags & LOWER_INF == 0 {
        flags |= choice & LOWER_INC;
    }
    if flags & UPPER_INF == 0 {
        flags |= choice & UPPER_INC;
    }
    let mut bytes = vec![flags];
    for unbounded in [LOWER_INF, UPPER_INF] {
        if flags & unbounded == 0 {
            field(&mut bytes, Some(present(bound, source)));
        }
    }
    bytes
}

fn points(source: &mut Source<'_>) -> Vec<u8> {
    let count = source.below(4);
    let mut bytes = (count as i32).to_be_bytes().to_vec();
    bytes.extend((0..count).flat_map(|_| source.array::<16>()));
    bytes
}

/// EWKB of either byte order: points, lines, polygons, and collections of them.
fn geometry(srid: Option<i32>, source: &mut Source<'_>, depth: usize) -> Vec<u8> {
    let flags = u32::from(source.byte() & 3) << 30;
    let little = source.byte() & 1 == 0;
    geometry_of(srid, flags, little, source, depth)
}

fn geometry_of(
    srid: Option<i32>,
    flags: u32,
    little: bool,
    source: &mut Source<'_>,
    depth: usize,
) -> Vec<u8> {
    let word = |number: u32| match little {
        true => number.to_le_bytes(),
        false => number.to_be_bytes(),
    };
    let width = 16 + 8 * flags.count_ones() as usize;
    let kinds = if depth > 0 { 4 } else { 3 };
    let kind = [1, 2, 3, 7][source.below(kinds)];
    let with_srid = if srid.is_some() { 0x2000_0000 } else { 0 };
    let mut bytes = vec![u8::from(little)];
    bytes.extend(word(kind | flags | with_srid));
    bytes.extend(srid.into_iter().flat_map(|srid| word(srid.cast_unsigned())));
    let coordinates = |count: usize, source: &mut Source<'_>| {
        (0..count * width / 8)
            .flat_map(|_| source.array::<8>())
            .collect::<Vec<_>>()
    };
    let count = match kind {
        1 => 1,
        _ => source.below(3),
    };
    match kind {
        1 => bytes.extend(coordinates(1, source)),
        2 => {
            bytes.extend(word(count as u32));
            bytes.extend(coordinates(count, source));
        }
        3 => {
            bytes.extend(word(count as u32));
            for _ in 0..count {
                let points = source.below(4);
                bytes.extend(word(points as u32));
                bytes.extend(coordinates(points, source));
            }
        }
        _ => {
            bytes.extend(word(count as u32));
            for _ in 0..count {
                bytes.extend(geometry_of(None, flags, little, source, depth - 1));
            }
        }
    }
    bytes
}

fn vector<const N: usize>(dimensions: Option<u16>, source: &mut Source<'_>) -> Vec<u8> {
    let count = dimensions.map_or_else(|| 1 + source.below(4), usize::from);
    let mut bytes = (count as u16).to_be_bytes().to_vec();
    bytes.extend([0, 0]);
    for _ in 0..count {
        // pgvector stores no NaN and no infinity: a zero exponent's lowest bit keeps them away.
        let mut float = source.array::<N>();
        float[0] &= 0xBF;
        bytes.extend(float);
    }
    bytes
}

fn sparse(source: &mut Source<'_>) -> Vec<u8> {
    let count = source.below(4);
    let dimensions = 1000_i32;
    let mut bytes = dimensions.to_be_bytes().to_vec();
    bytes.extend((count as i32).to_be_bytes());
    bytes.extend(0_i32.to_be_bytes());
    for index in 0..count {
        bytes.extend((index as i32 * 7).to_be_bytes());
    }
    for _ in 0..count {
        bytes.extend((1.5_f32 + f32::from(source.byte())).to_be_bytes());
    }
    bytes
}
