//! A piece of memory: its bytes, which of them hold something, and the stamps of [`shadow`].
//!
//! [`shadow`]: super::shadow

use super::shadow::{Cell, Observer};

/// What is wrong with an access that lies within the region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    Uninitialised,
    Race,
}

#[derive(Debug, Default)]
pub(crate) struct Region {
    pub(super) bytes: Vec<u8>,
    /// One bit a byte.
    pub(super) written: Vec<u64>,
    pub(super) cells: Vec<Cell>,
    /// Stamps of atomics, once there are any.
    pub(super) atomics: Vec<u64>,
    /// A cell covers 2^shift bytes.
    pub(super) shift: u32,
}

impl Region {
    pub(crate) fn new(bytes: usize) -> Self {
        Self {
            bytes: vec![0; bytes],
            written: vec![0; bytes.div_ceil(64)],
            cells: Vec::new(),
            atomics: Vec::new(),
            shift: 2,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Readies it for the search for races, byte by byte or word by word.
    #[inline]
    pub(crate) fn watch(&mut self, byte_wise: bool) {
        let shift = if byte_wise { 0 } else { 2 };
        if self.cells.is_empty() || self.shift > shift {
            self.shift = shift;
            self.cells = vec![[0; 2]; (self.bytes.len() >> shift) + 1];
            // The cells were empty, or of another size: what was noted of atomics lies in earlier
            // launches.
            self.atomics = Vec::new();
        }
    }

    /// Makes it `bytes` long, with nothing in it.
    pub(crate) fn reset(&mut self, bytes: usize) {
        if self.bytes.len() == bytes {
            self.written.fill(0);
        } else {
            *self = Self::new(bytes);
        }
    }

    pub(crate) fn forget(&mut self, offset: usize, count: usize) {
        for (word, bits) in Self::words(offset, count) {
            self.written[word] &= !bits;
        }
    }

    /// Whether `size` bytes at a multiple of `size`, at most 8, hold something.
    #[inline(always)]
    pub(super) fn holds(&self, offset: usize, size: usize) -> bool {
        let mask = ((1 << size) - 1) << (offset & 63);
        self.written[offset >> 6] & mask == mask
    }

    /// Notes the access of one lane to all cells that it touches.
    #[inline(always)]
    pub(super) fn touch(
        &mut self,
        offset: usize,
        size: usize,
        (observer, lane): (&Observer, u32),
        note: impl Fn(&mut Cell) -> bool,
    ) -> Result<(), Flaw> {
        let span = offset >> self.shift..=(offset + size - 1) >> self.shift;
        let mut fine = true;
        for cell in &mut self.cells[span.clone()] {
            fine &= note(cell);
        }
        if !self.atomics.is_empty() {
            fine &= self.atomics[span]
                .iter()
                .all(|&stamp| observer.beside_atomics(stamp, lane));
        }
        if fine { Ok(()) } else { Err(Flaw::Race) }
    }

    #[inline(always)]
    pub(super) fn value(&self, offset: usize, size: usize) -> u64 {
        let bytes = &self.bytes[offset..offset + size];
        match *bytes {
            [a] => u64::from(a),
            [a, b] => u64::from(u16::from_le_bytes([a, b])),
            [a, b, c, d] => u64::from(u32::from_le_bytes([a, b, c, d])),
            [a, b, c, d, e, f, g, h] => u64::from_le_bytes([a, b, c, d, e, f, g, h]),
            _ => 0,
        }
    }

    #[inline(always)]
    pub(super) fn set(&mut self, offset: usize, size: usize, value: u64) {
        self.bytes[offset..offset + size].copy_from_slice(&value.to_le_bytes()[..size]);
    }

    /// Replaces a value atomically and returns the old one.
    pub(crate) fn exchange(
        &mut self,
        offset: usize,
        size: usize,
        observer: &Observer,
        lane: u32,
        new: impl FnOnce(u64) -> u64,
    ) -> Result<u64, Flaw> {
        if !self.holds(offset, size) {
            return Err(Flaw::Uninitialised);
        }
        self.atomics.resize(self.cells.len(), 0);
        let span = offset >> self.shift..=(offset + size - 1) >> self.shift;
        for (cell, atomic) in self.cells[span.clone()].iter().zip(&mut self.atomics[span]) {
            if !observer.atomic(cell, atomic, lane) {
                return Err(Flaw::Race);
            }
        }
        let old = self.value(offset, size);
        self.set(offset, size, new(old));
        Ok(old)
    }

    /// Writes from the host.
    pub(crate) fn fill_from(&mut self, offset: usize, bytes: &[u8]) {
        self.bytes[offset..offset + bytes.len()].copy_from_slice(bytes);
        self.mark(offset, bytes.len());
    }

    pub(crate) fn fill_with(&mut self, offset: usize, byte: u8, count: usize) {
        self.bytes[offset..offset + count].fill(byte);
        self.mark(offset, count);
    }

    /// The words of the bitmap that these bytes touch, each with its bits.
    fn words(offset: usize, count: usize) -> impl Iterator<Item = (usize, u64)> {
        let end = offset + count;
        (offset >> 6..end.div_ceil(64)).map(move |word| {
            let low = offset.saturating_sub(word << 6).min(63);
            let high = (end - (word << 6)).min(64);
            (word, u64::MAX << low & u64::MAX >> (64 - high))
        })
    }

    pub(super) fn mark(&mut self, offset: usize, count: usize) {
        for (word, bits) in Self::words(offset, count) {
            self.written[word] |= bits;
        }
    }

    pub(super) fn holds_all(&self, offset: usize, count: usize) -> bool {
        Self::words(offset, count).all(|(word, bits)| self.written[word] & bits == bits)
    }

    pub(crate) fn bytes(&self, offset: usize, count: usize) -> &[u8] {
        &self.bytes[offset..offset + count]
    }

    /// The first of these bytes that holds nothing.
    pub(crate) fn first_empty(&self, offset: usize, count: usize) -> Option<usize> {
        if count == 0 {
            return None;
        }
        Self::words(offset, count).find_map(|(word, bits)| {
            let missing = bits & !self.written[word];
            (missing != 0).then(|| (word << 6) + missing.trailing_zeros() as usize)
        })
    }

    /// Takes bytes, and whether they hold something, from another region or another place.
    pub(crate) fn copy_marks(&mut self, offset: usize, bytes: &[u8], holds: &[bool]) {
        for (index, (&byte, &held)) in bytes.iter().zip(holds).enumerate() {
            let at = offset + index;
            self.bytes[at] = byte;
            let bit = 1 << (at & 63);
            if held {
                self.written[at >> 6] |= bit;
            } else {
                self.written[at >> 6] &= !bit;
            }
        }
    }

    pub(crate) fn marks(&self, offset: usize, count: usize) -> Vec<bool> {
        (offset..offset + count)
            .map(|at| self.written[at >> 6] >> (at & 63) & 1 == 1)
            .collect()
    }
}
