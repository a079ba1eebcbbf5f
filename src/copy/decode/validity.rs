//! Null bitmaps that exist only once there is a null.

use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer};

/// Bits, least significant first, appended up to 64 at a time.
#[derive(Debug, Default)]
pub(super) struct Bits {
    words: Vec<u64>,
    len: usize,
}

impl Bits {
    /// Appends the low `count` bits of `bits`, at most 64; higher ones must be zero.
    #[inline]
    pub(super) fn append(&mut self, bits: u64, count: usize) {
        let shift = self.len % 64;
        match self.words.last_mut() {
            Some(last) if shift != 0 => {
                *last |= bits << shift;
                if shift + count > 64 {
                    self.words.push(bits >> (64 - shift));
                }
            }
            _ => self.words.push(bits),
        }
        self.len += count;
    }

    fn ones(len: usize) -> Self {
        let mut words = vec![u64::MAX; len.div_ceil(64)];
        if let Some(last) = words.last_mut().filter(|_| !len.is_multiple_of(64)) {
            *last = low_bits(len % 64);
        }
        Self { words, len }
    }

    /// Takes the bits and starts again.
    pub(super) fn take(&mut self) -> BooleanBuffer {
        let Self { mut words, len } = std::mem::take(self);
        for word in &mut words {
            *word = word.to_le();
        }
        BooleanBuffer::new(Buffer::from_vec(words), 0, len)
    }
}

/// Which values are there.
#[derive(Debug, Default)]
pub(super) struct Validity {
    /// Empty as long as everything is there.
    bits: Bits,
    len: usize,
    nulls: usize,
}

impl Validity {
    /// Appends `count` values, at most 64: bit `i` of `mask` says whether value `i` is there.
    #[inline]
    pub(super) fn append(&mut self, mask: u64, count: usize) {
        let nulls = count - mask.count_ones() as usize;
        if self.nulls + nulls > 0 {
            if self.nulls == 0 {
                self.bits = Bits::ones(self.len);
            }
            self.bits.append(mask, count);
            self.nulls += nulls;
        }
        self.len += count;
    }

    /// Takes the bitmap, if there is a null, and starts again.
    pub(super) fn take(&mut self) -> Option<NullBuffer> {
        let Self {
            mut bits, nulls, ..
        } = std::mem::take(self);
        (nulls > 0).then(|| NullBuffer::new(bits.take()))
    }
}

/// `count` ones, at most 64.
#[inline]
pub(super) const fn low_bits(count: usize) -> u64 {
    if count >= 64 {
        u64::MAX
    } else {
        (1 << count) - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn groups_of_any_size_make_the_bitmap_of_the_whole(
            groups in prop::collection::vec((any::<u64>(), 1usize..=64, any::<bool>()), 0..20)
        ) {
            let mut validity = Validity::default();
            let mut expected = Vec::new();
            for (mask, count, all) in groups {
                let mask = if all { low_bits(count) } else { mask & low_bits(count) };
                validity.append(mask, count);
                expected.extend((0..count).map(|bit| mask >> bit & 1 == 1));
            }
            let nulls = expected.iter().filter(|valid| !**valid).count();
            match validity.take() {
                None => prop_assert_eq!(nulls, 0),
                Some(buffer) => {
                    prop_assert_eq!(buffer.null_count(), nulls);
                    prop_assert_eq!(buffer.iter().collect::<Vec<_>>(), expected);
                }
            }
        }
    }
}
