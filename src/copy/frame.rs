//! The framing of binary COPY: header, tuples, trailer; rows are gathered raw.
//!
//! Owns the gather buffer and where each field lies in it. It knows lengths, not types. The
//! format is that of the PostgreSQL manual, page COPY, section "Binary Format". Lengths are
//! checked before they count, and memory grows only by bytes that really arrived.

use std::ops::Range;

use super::digest::WireDigest;
use super::error::{CopyError, CopyErrorKind};

/// "Binary Format", file header: the signature.
const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";
/// Signature, 32 bits of flags, 32 bits of extension length.
const HEADER_BYTES: usize = 19;
/// The file header as PostgreSQL sends it: no flags, no extension.
pub const COPY_HEADER: [u8; HEADER_BYTES] = *b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// The file trailer: a field count of -1.
pub const COPY_TRAILER: [u8; 2] = TRAILER.to_be_bytes();
/// The largest extension that is skipped; PostgreSQL sends none.
const MAX_EXTENSION_BYTES: u32 = 1 << 20;
/// Flag bit 16: rows carry an OID, which PostgreSQL 12 and later never send.
const FLAG_HAS_OIDS: u32 = 1 << 16;
/// The field count that ends the stream.
const TRAILER: i16 = -1;
/// `MaxAllocSize`: PostgreSQL builds each row in one buffer of at most this size.
const MAX_ROW_BYTES: usize = 0x3fff_ffff;
/// Read past the rows that make a block full: what is left over is moved to the front.
const READ_AHEAD_BYTES: usize = 4096;
/// Zeros behind the last row while a block is decoded, so that a value can be read at full width.
pub(super) const PAD_BYTES: usize = 64;

/// The header, collected from bytes cut anywhere.
#[derive(Debug, Default)]
pub(super) struct Header {
    bytes: Vec<u8>,
    extension_left: u32,
    done: bool,
}

impl Header {
    /// Takes what belongs to the header and returns the rest.
    pub(super) fn consume<'a>(&mut self, mut input: &'a [u8]) -> Result<&'a [u8], CopyError> {
        if self.bytes.len() < HEADER_BYTES {
            let taken = input.len().min(HEADER_BYTES - self.bytes.len());
            self.bytes.extend_from_slice(&input[..taken]);
            input = &input[taken..];
            if self.bytes.len() < HEADER_BYTES {
                return Ok(input);
            }
            self.extension_left = read_header(&self.bytes)?;
        }
        let skipped = input.len().min(self.extension_left as usize);
        self.extension_left -= skipped as u32;
        self.done = self.extension_left == 0;
        Ok(&input[skipped..])
    }

    pub(super) fn is_done(&self) -> bool {
        self.done
    }
}

/// Checks a whole header and returns the length of its extension.
fn read_header(header: &[u8]) -> Result<u32, CopyError> {
    let Some((fields, [])) = header
        .strip_prefix(SIGNATURE.as_slice())
        .map(<[u8]>::as_chunks::<4>)
    else {
        return Err(CopyError::malformed("this is not a binary COPY stream"));
    };
    let [flags, extension] = [fields[0], fields[1]].map(u32::from_be_bytes);
    if flags & FLAG_HAS_OIDS != 0 {
        return Err(CopyError::malformed(
            "the rows carry OIDs, which are not supported",
        ));
    }
    // Bits 16 to 31 are critical: an unknown one changes the format. Bits 0 to 15 do not.
    if flags >> 16 != 0 {
        return Err(CopyError::malformed(
            "the header has an unknown critical flag",
        ));
    }
    if extension > MAX_EXTENSION_BYTES {
        return Err(CopyError::malformed(
            "the header extension has an impossible length",
        ));
    }
    Ok(extension)
}

/// Where the scan of gathered bytes stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scanned {
    /// More bytes are needed.
    NeedMore,
    /// The block has reached a limit; it must be decoded before the scan goes on.
    Full,
    /// The trailer was read.
    End,
}

/// Raw rows: one contiguous buffer, and where each field of each row begins.
#[derive(Debug)]
pub(super) struct Gather {
    columns: usize,
    block_bytes: usize,
    /// Whole rows, then what has arrived of the next.
    raw: Vec<u8>,
    /// Where the length word of each field lies in `raw`, row by row.
    starts: Vec<u32>,
    rows: usize,
    /// Where the first row that is not whole begins.
    row_start: usize,
    /// Where the scan goes on: a field count when equal to `row_start`, else a length word. It
    /// lies beyond `raw` while a value is still arriving.
    position: usize,
}

/// The whole rows of a block, padded by [`PAD_BYTES`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Block<'a> {
    pub(super) raw: &'a [u8],
    pub(super) starts: &'a [u32],
    pub(super) rows: usize,
}

impl Block<'_> {
    /// The row that the byte `at` lies in.
    pub(super) fn row_of(&self, at: u32, columns: usize) -> usize {
        let next = self.starts.partition_point(|start| *start <= at);
        next.saturating_sub(1) / columns.max(1)
    }

    /// The bytes of a row, field count included.
    pub(super) fn row(&self, row: usize, columns: usize) -> Range<usize> {
        let start_of = |row: usize| {
            let first = self.starts.get(row * columns);
            first.map_or(self.raw.len() - PAD_BYTES, |start| *start as usize - 2)
        };
        start_of(row)..start_of(row + 1)
    }
}

impl Gather {
    pub(super) fn new(columns: usize, block_bytes: usize) -> Self {
        Self {
            columns,
            block_bytes,
            raw: Vec::with_capacity(block_bytes + READ_AHEAD_BYTES + PAD_BYTES),
            starts: Vec::new(),
            rows: 0,
            row_start: 0,
            position: 0,
        }
    }

    /// Copies the front of `input` and returns how much: enough to fill the block, to complete
    /// a row already begun, or a little more.
    pub(super) fn append(&mut self, input: &[u8]) -> usize {
        let to_fill = (self.block_bytes + READ_AHEAD_BYTES).saturating_sub(self.raw.len());
        let to_complete = self.position.saturating_sub(self.raw.len());
        let taken = to_fill
            .max(to_complete)
            .max(READ_AHEAD_BYTES)
            .min(input.len());
        self.raw.extend_from_slice(&input[..taken]);
        taken
    }

    /// Finds whole rows until a limit, adding each to `digest`. Goes on where it stopped.
    pub(super) fn scan(
        &mut self,
        row_limit: usize,
        digest: &mut WireDigest,
    ) -> Result<Scanned, CopyError> {
        loop {
            if self.row_start >= self.block_bytes || self.rows >= row_limit {
                return Ok(Scanned::Full);
            }
            if self.position == self.row_start {
                let Some(count) = chunk_at::<2>(&self.raw, self.position) else {
                    return Ok(Scanned::NeedMore);
                };
                let count = i16::from_be_bytes(count);
                if count == TRAILER {
                    return self.end();
                }
                if usize::try_from(count) != Ok(self.columns) {
                    return Err(self.wrong(CopyError::malformed("the row has a wrong field count")));
                }
                self.position += 2;
            }
            if !self.scan_fields()? || self.position > self.raw.len() {
                return Ok(Scanned::NeedMore);
            }
            digest.add_row(&self.raw[self.row_start..self.position]);
            self.rows += 1;
            self.row_start = self.position;
        }
    }

    /// Walks the length words of the current row; `false` while one has not arrived.
    fn scan_fields(&mut self) -> Result<bool, CopyError> {
        let mut position = self.position;
        let wanted = (self.rows + 1) * self.columns - self.starts.len();
        self.starts.reserve(wanted);
        for _ in 0..wanted {
            let Some(length) = chunk_at::<4>(&self.raw, position) else {
                self.position = position;
                return Ok(false);
            };
            let length = i32::from_be_bytes(length);
            self.starts.push(position as u32);
            position += 4;
            if length > 0 {
                position += length as usize;
                if position - self.row_start > MAX_ROW_BYTES {
                    let error = CopyError::new(
                        CopyErrorKind::TooLarge,
                        "a field claims more than the 1 GiB that PostgreSQL can send",
                    );
                    return Err(self.wrong(error));
                }
            } else if length < -1 {
                return Err(self.wrong(CopyError::malformed("a field has a negative length")));
            }
        }
        self.position = position;
        Ok(true)
    }

    fn end(&self) -> Result<Scanned, CopyError> {
        if self.raw.len() > self.position + 2 {
            return Err(CopyError::malformed("bytes follow the trailer"));
        }
        Ok(Scanned::End)
    }

    /// Says in which row of the block an error lies; the owner adds what came before.
    fn wrong(&self, error: CopyError) -> CopyError {
        error.at_row(self.rows as u64)
    }

    /// The whole rows gathered so far.
    pub(super) fn block(&mut self) -> Block<'_> {
        // What lies behind the whole rows may be read at full width, but is never used.
        let padded = self.row_start + PAD_BYTES;
        if self.raw.len() < padded {
            self.raw.resize(padded, 0);
        }
        Block {
            raw: &self.raw[..padded],
            starts: &self.starts[..self.rows * self.columns],
            rows: self.rows,
        }
    }

    /// Forgets the whole rows: the rest moves to the front, and a buffer that one giant row blew
    /// up is given back. `arrived` is the length before [`Self::block`] padded it.
    pub(super) fn advance(&mut self, arrived: usize) {
        self.raw.truncate(arrived);
        self.raw.copy_within(self.row_start.., 0);
        self.raw.truncate(arrived - self.row_start);
        self.starts.drain(..self.rows * self.columns);
        for start in &mut self.starts {
            *start -= self.row_start as u32;
        }
        self.position -= self.row_start;
        self.row_start = 0;
        self.rows = 0;
        let usual = self.block_bytes + READ_AHEAD_BYTES + PAD_BYTES;
        if self.raw.capacity() > 2 * usual {
            self.raw.shrink_to(usual);
        }
    }

    /// Bytes that have arrived and are not forgotten.
    pub(super) fn arrived(&self) -> usize {
        self.raw.len()
    }

    /// Bytes that the buffer occupies.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.raw.capacity()
    }

    /// Whole rows, and their bytes.
    pub(super) fn whole(&self) -> (usize, usize) {
        (self.rows, self.row_start)
    }
}

#[inline]
fn chunk_at<const N: usize>(bytes: &[u8], position: usize) -> Option<[u8; N]> {
    bytes.get(position..)?.first_chunk::<N>().copied()
}
