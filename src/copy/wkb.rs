//! Geometries in well-known binary: PostGIS's EWKB (`lwgeom_to_wkb` in its `lwout_wkb.c`) and
//! ISO WKB (ISO 19125 and SQL/MM), which differ in the type word of each part alone.
//!
//! EWKB has flags for Z, M and the SRID, which stands in the outermost part; ISO WKB adds 1000
//! for Z and 2000 for M, and has no SRID. Each part names its own byte order, and keeps it.

use super::error::Fault;

/// Parts within parts that are followed: `LW_PARSER_MAX_DEPTH` in PostGIS, which reads no more.
const MOST_DEPTH: u32 = 200;

const FLAG_Z: u32 = 0x8000_0000;
const FLAG_M: u32 = 0x4000_0000;
const FLAG_SRID: u32 = 0x2000_0000;

/// Appends the ISO WKB of an EWKB whose SRID must be this one.
///
/// # Errors
///
/// [`Fault::OtherSrid`] for another SRID or none, [`Fault::UnknownGeometry`] for a kind that is
/// not known here; of what is no EWKB, anything else. What was appended then means nothing.
pub(super) fn to_iso(ewkb: &[u8], srid: i32, out: &mut Vec<u8>) -> Result<(), Fault> {
    convert(ewkb, srid, out, Words::FromEwkb)
}

/// Appends the EWKB of an ISO WKB.
///
/// # Errors
///
/// It is no ISO WKB that [`to_iso`] makes.
pub(super) fn to_ewkb(iso: &[u8], srid: i32, out: &mut Vec<u8>) -> Result<(), Fault> {
    convert(iso, srid, out, Words::FromIso)
}

fn convert(bytes: &[u8], srid: i32, out: &mut Vec<u8>, words: Words) -> Result<(), Fault> {
    let mut walk = Walk {
        rest: bytes,
        out,
        srid,
        words,
    };
    walk.geometry(0)?;
    if walk.rest.is_empty() {
        Ok(())
    } else {
        Err(Fault::BadForm)
    }
}

/// Which way type words are rewritten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Words {
    FromEwkb,
    FromIso,
}

/// A geometry on its way from one form to the other.
struct Walk<'a> {
    rest: &'a [u8],
    out: &'a mut Vec<u8>,
    srid: i32,
    words: Words,
}

/// The order of a part's numbers.
#[derive(Debug, Clone, Copy)]
enum Order {
    Big,
    Little,
}

impl Order {
    fn read(self, bytes: [u8; 4]) -> u32 {
        match self {
            Self::Big => u32::from_be_bytes(bytes),
            Self::Little => u32::from_le_bytes(bytes),
        }
    }

    fn bytes(self, word: u32) -> [u8; 4] {
        match self {
            Self::Big => word.to_be_bytes(),
            Self::Little => word.to_le_bytes(),
        }
    }
}

/// What a type word says.
#[derive(Debug, Clone, Copy)]
struct Kind {
    base: u32,
    has_z: bool,
    has_m: bool,
}

impl Kind {
    const fn flags(self) -> u32 {
        let z = if self.has_z { FLAG_Z } else { 0 };
        let m = if self.has_m { FLAG_M } else { 0 };
        self.base | z | m
    }

    const fn iso(self) -> u32 {
        self.base + 1000 * self.has_z as u32 + 2000 * self.has_m as u32
    }

    /// Bytes of one point.
    const fn point_bytes(self) -> usize {
        8 * (2 + self.has_z as usize + self.has_m as usize)
    }
}

impl Walk<'_> {
    /// One geometry: byte order, type, in the outermost of an EWKB the SRID, what it is made of.
    fn geometry(&mut self, depth: u32) -> Result<(), Fault> {
        let order = match self.copy(1)? {
            [0] => Order::Big,
            [1] => Order::Little,
            _ => return Err(Fault::BadForm),
        };
        let kind = match self.words {
            Words::FromEwkb => self.ewkb_kind(order, depth)?,
            Words::FromIso => self.iso_kind(order, depth)?,
        };
        match kind.base {
            1 => self.copy(kind.point_bytes()).map(|_| ()),
            // Line and circular string.
            2 | 8 => self.points(order, kind),
            // Polygon and triangle: rings.
            3 | 17 => {
                for _ in 0..self.count(order)? {
                    self.points(order, kind)?;
                }
                Ok(())
            }
            // Multi-geometries and collections, compound curves, curve polygons, surfaces.
            4..=7 | 9..=12 | 15 | 16 => {
                if depth == MOST_DEPTH {
                    return Err(Fault::UnknownGeometry);
                }
                for _ in 0..self.count(order)? {
                    self.geometry(depth + 1)?;
                }
                Ok(())
            }
            _ => Err(Fault::UnknownGeometry),
        }
    }

    fn ewkb_kind(&mut self, order: Order, depth: u32) -> Result<Kind, Fault> {
        let word = order.read(self.word()?);
        let kind = Kind {
            base: word & !(FLAG_Z | FLAG_M | FLAG_SRID),
            has_z: word & FLAG_Z != 0,
            has_m: word & FLAG_M != 0,
        };
        // Some type of a later PostGIS: its number might be taken for a dimension's.
        if kind.base >= 1000 {
            return Err(Fault::UnknownGeometry);
        }
        match (depth, word & FLAG_SRID != 0) {
            (0, true) if order.read(self.word()?) == self.srid as u32 => {}
            (0, _) => return Err(Fault::OtherSrid),
            (_, false) => {}
            (_, true) => return Err(Fault::NotCanonical),
        }
        self.out.extend_from_slice(&order.bytes(kind.iso()));
        Ok(kind)
    }

    fn iso_kind(&mut self, order: Order, depth: u32) -> Result<Kind, Fault> {
        let word = order.read(self.word()?);
        let dimensions = word / 1000;
        if dimensions > 3 {
            return Err(Fault::BadForm);
        }
        let kind = Kind {
            base: word % 1000,
            has_z: dimensions & 1 != 0,
            has_m: dimensions & 2 != 0,
        };
        if depth == 0 {
            let word = kind.flags() | FLAG_SRID;
            self.out.extend_from_slice(&order.bytes(word));
            self.out.extend_from_slice(&order.bytes(self.srid as u32));
        } else {
            self.out.extend_from_slice(&order.bytes(kind.flags()));
        }
        Ok(kind)
    }

    /// A count and as many points.
    fn points(&mut self, order: Order, kind: Kind) -> Result<(), Fault> {
        let count = self.count(order)? as usize;
        let bytes = count.checked_mul(kind.point_bytes());
        self.copy(bytes.ok_or(Fault::BadForm)?).map(|_| ())
    }

    /// A count. It is only ever counted down, and each thing counted takes bytes.
    fn count(&mut self, order: Order) -> Result<u32, Fault> {
        let word = self.word()?;
        self.out.extend_from_slice(&word);
        Ok(order.read(word))
    }

    fn word(&mut self) -> Result<[u8; 4], Fault> {
        let (word, rest) = self.rest.split_first_chunk().ok_or(Fault::BadForm)?;
        self.rest = rest;
        Ok(*word)
    }

    fn copy(&mut self, bytes: usize) -> Result<&[u8], Fault> {
        let (copied, rest) = self.rest.split_at_checked(bytes).ok_or(Fault::BadForm)?;
        self.rest = rest;
        self.out.extend_from_slice(copied);
        Ok(copied)
    }
}
