//! The innermost loop: one panel times up to four.

use super::side::{CHUNK, Chunk, Side};
use super::tile;

/// Panels that are multiplied with one at a time: a tile of sums for each, three for the parts of the one,
/// and one for what they are multiplied with are the eight there are.
pub(crate) const ABREAST: usize = 4;

/// A panel that is multiplied with those that are kept, a few at a time.
#[derive(Clone, Copy)]
pub(crate) struct Passing {
    pub(crate) side: Side,
    pub(crate) panel: usize,
    /// Where it is packed: every chunk has its place, or there are two that are used in turns.
    pub(crate) places: *mut u32,
    pub(crate) count: usize,
    /// Whether it has not been multiplied before, and will not be again.
    pub(crate) first: bool,
    pub(crate) last: bool,
}

impl Passing {
    /// Where a chunk is packed, the next panel's coming after those of this one.
    fn place(&self, chunk: usize) -> *mut u32 {
        let number = self.panel * self.side.chunks() + chunk;
        self.places.wrapping_add(number % self.count * CHUNK)
    }

    /// What is to be packed while the unit multiplies a chunk: the next one, if it is not yet.
    fn ahead(&self, chunk: usize) -> Option<Chunk> {
        if chunk + 1 < self.side.chunks() {
            self.first.then(|| self.side.chunk(self.panel, chunk + 1))
        } else {
            self.last.then(|| self.side.chunk(self.panel + 1, 0))
        }
    }
}

/// Tiles of sums at `sums` ← the panel times the `N` panels at `kept`, of as many chunks.
///
/// The panel is packed as it is needed, a chunk ahead, between the products, since the unit works beside
/// the vector units: its first chunk is packed already, and in the end that of the next panel is.
///
/// # Safety
/// Inside [`tile::with`], with the sides and panels readable, the places writable, and `N` tiles at `sums`; `LEFT`
/// says that what passes is a left side, and what is kept a right one.
#[target_feature(enable = "avx512f")]
pub(crate) unsafe fn add_up<const N: usize, const LEFT: bool>(
    passing: Passing,
    kept: *const u32,
    sums: *mut f32,
) {
    let chunks = passing.side.chunks();
    // SAFETY: the caller's.
    unsafe {
        zero();
        for c in 0..chunks {
            let kept = kept.add(c * CHUNK);
            let (one, to) = (passing.place(c), passing.place(c + 1));
            let ahead = passing.ahead(c);
            // A part of one of those that are kept, with those of the one that it is multiplied with; then some
            // rows of what is packed.
            macro_rules! multiply {
                ($panel:literal, $part:literal, $($with:literal)*) => {
                    if $panel < N {
                        tile::load::<7>(kept.add($panel * chunks * CHUNK + $part * tile::NUMBERS));
                        $(multiply_by::<$panel, $with, LEFT>();)*
                        if let Some(ahead) = ahead {
                            let step = (2 - $part) * N + $panel;
                            let [from, end] = [step, step + 1].map(|step| tile::ROWS * step / (3 * N));
                            ahead.pack(to, from, end);
                        }
                    }
                };
            }
            macro_rules! multiply_all {
                ($part:literal, $($with:literal)*) => {
                    multiply!(0, $part, $($with)*);
                    multiply!(1, $part, $($with)*);
                    multiply!(2, $part, $($with)*);
                    multiply!(3, $part, $($with)*);
                };
            }
            tile::load::<4>(one);
            tile::load::<5>(one.add(tile::NUMBERS));
            tile::load::<6>(one.add(2 * tile::NUMBERS));
            multiply_all!(2, 4);
            multiply_all!(1, 5 4);
            multiply_all!(0, 6 5 4);
        }
        store::<N>(sums);
    }
}

#[inline(always)]
unsafe fn multiply_by<const SUM: u8, const PART: u8, const LEFT: bool>() {
    // SAFETY: the caller's.
    unsafe {
        if LEFT {
            tile::add_product::<SUM, PART, 7>();
        } else {
            tile::add_product::<SUM, 7, PART>();
        }
    }
}

#[inline(always)]
unsafe fn zero() {
    // SAFETY: the caller's.
    unsafe {
        tile::zero::<0>();
        tile::zero::<1>();
        tile::zero::<2>();
        tile::zero::<3>();
    }
}

#[inline(always)]
unsafe fn store<const N: usize>(sums: *mut f32) {
    // SAFETY: the caller's.
    unsafe {
        tile::store::<0>(sums);
        if N > 1 {
            tile::store::<1>(sums.add(tile::NUMBERS));
        }
        if N > 2 {
            tile::store::<2>(sums.add(2 * tile::NUMBERS));
        }
        if N > 3 {
            tile::store::<3>(sums.add(3 * tile::NUMBERS));
        }
    }
}
