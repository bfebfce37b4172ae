//! Loads and stores of the lanes of a warp in one region.
//!
//! Two shapes are frequent and have short cuts: all lanes at one address, and each lane one element
//! after the lane before it.

use super::region::{Flaw, Region};
use super::shadow::Observer;

/// Offsets of 32 lanes.
pub(crate) type Offsets = [u64; 32];

/// A flaw and the lane that it concerns.
pub(crate) type Flawed = (usize, Flaw);

const ALL: u32 = u32::MAX;

/// The lanes of a mask, in order.
#[inline(always)]
fn lanes(mask: u32) -> impl Iterator<Item = usize> {
    (0..32).filter(move |lane| mask >> lane & 1 == 1)
}

fn consecutive(offsets: &Offsets, active: u32, size: u64) -> bool {
    active == ALL && (0..32).all(|lane| offsets[lane] == offsets[0] + lane as u64 * size)
}

impl Region {
    /// Reads `SIZE` bytes for each active lane. Bounds and alignment are the caller's.
    pub(crate) fn load<const SIZE: usize>(
        &mut self,
        offsets: &Offsets,
        active: u32,
        watcher: Option<&Observer>,
        out: &mut Offsets,
    ) -> Result<(), Flawed> {
        let lead = active.trailing_zeros() as usize;
        let first = offsets[lead];
        if (0..32).all(|lane| offsets[lane] == first || active >> lane & 1 == 0) {
            // What two lanes leave in the shadow is what all would.
            let second = (active & active.wrapping_sub(1)).trailing_zeros() as usize;
            let value = self.load_one::<SIZE>(first as usize, watcher, lead)?;
            if second < 32 {
                self.load_one::<SIZE>(first as usize, watcher, second)?;
            }
            out.fill(value);
            return Ok(());
        }
        let quick = SIZE >= 4
            && self.shift == 2
            && self.atomics.is_empty()
            && consecutive(offsets, active, SIZE as u64)
            && self.holds_all(first as usize, 32 * SIZE);
        if !quick {
            for lane in lanes(active) {
                out[lane] = self.load_one::<SIZE>(offsets[lane] as usize, watcher, lane)?;
            }
            return Ok(());
        }
        let first = first as usize;
        if let Some(observer) = watcher {
            let cells = &mut self.cells[first / 4..][..32 * SIZE / 4];
            for (lane, cells) in cells.chunks_exact_mut(SIZE / 4).enumerate() {
                let mut fine = true;
                for cell in cells {
                    fine &= observer.read(cell, lane as u32);
                }
                if !fine {
                    return Err((lane, Flaw::Race));
                }
            }
        }
        let bytes = &self.bytes[first..][..32 * SIZE];
        for (out, bytes) in out.iter_mut().zip(bytes.chunks_exact(SIZE)) {
            *out = match *bytes {
                [a, b, c, d] => u64::from(u32::from_le_bytes([a, b, c, d])),
                [a, b, c, d, e, f, g, h] => u64::from_le_bytes([a, b, c, d, e, f, g, h]),
                _ => 0,
            };
        }
        Ok(())
    }

    /// Writes the low `SIZE` bytes of the value of each active lane. As [`Self::load`].
    pub(crate) fn store<const SIZE: usize>(
        &mut self,
        offsets: &Offsets,
        active: u32,
        watcher: Option<&Observer>,
        values: &Offsets,
    ) -> Result<(), Flawed> {
        let quick = SIZE >= 4
            && self.shift == 2
            && self.atomics.is_empty()
            && consecutive(offsets, active, SIZE as u64);
        if !quick {
            for lane in lanes(active) {
                let offset = offsets[lane] as usize;
                self.store_one::<SIZE>(offset, values[lane], watcher, lane)?;
            }
            return Ok(());
        }
        let first = offsets[0] as usize;
        if let Some(observer) = watcher {
            let cells = &mut self.cells[first / 4..][..32 * SIZE / 4];
            for (lane, cells) in cells.chunks_exact_mut(SIZE / 4).enumerate() {
                let mut fine = true;
                for cell in cells {
                    fine &= observer.write(cell, lane as u32);
                }
                if !fine {
                    return Err((lane, Flaw::Race));
                }
            }
        }
        let bytes = &mut self.bytes[first..][..32 * SIZE];
        for (value, bytes) in values.iter().zip(bytes.chunks_exact_mut(SIZE)) {
            bytes.copy_from_slice(&value.to_le_bytes()[..SIZE]);
        }
        self.mark(first, 32 * SIZE);
        Ok(())
    }

    #[inline(always)]
    fn load_one<const SIZE: usize>(
        &mut self,
        offset: usize,
        watcher: Option<&Observer>,
        lane: usize,
    ) -> Result<u64, Flawed> {
        if !self.holds(offset, SIZE) {
            return Err((lane, Flaw::Uninitialised));
        }
        if let Some(observer) = watcher {
            self.touch(offset, SIZE, (observer, lane as u32), |cell| {
                observer.read(cell, lane as u32)
            })
            .map_err(|flaw| (lane, flaw))?;
        }
        Ok(self.value(offset, SIZE))
    }

    #[inline(always)]
    fn store_one<const SIZE: usize>(
        &mut self,
        offset: usize,
        value: u64,
        watcher: Option<&Observer>,
        lane: usize,
    ) -> Result<(), Flawed> {
        if let Some(observer) = watcher {
            self.touch(offset, SIZE, (observer, lane as u32), |cell| {
                observer.write(cell, lane as u32)
            })
            .map_err(|flaw| (lane, flaw))?;
        }
        self.written[offset >> 6] |= ((1 << SIZE) - 1) << (offset & 63);
        self.set(offset, SIZE, value);
        Ok(())
    }
}
