//! What the processor's tiles do, in software: the specification of `registers.rs`, for tests on processors
//! that have none.

use std::cell::RefCell;
use std::slice;

use super::{NUMBERS, ROWS};

type Tile = [u32; NUMBERS];

thread_local! {
    static TILES: RefCell<[Tile; 8]> = const { RefCell::new([[0; NUMBERS]; 8]) };
}

/// Calls `work` with tiles at hand, whose numbers are unspecified.
///
/// # Safety
/// As that of the processor's, though nothing is asked for here.
pub(crate) unsafe fn with<R>(work: impl FnOnce() -> R) -> R {
    // Not a number, so that a tile that nobody wrote to is noticed.
    TILES.set([[u32::MAX; NUMBERS]; 8]);
    work()
}

/// T ← 0
///
/// # Safety
/// Inside [`with`].
pub(crate) unsafe fn zero<const T: u8>() {
    change::<T>(|tile| *tile = [0; NUMBERS]);
}

/// T ← the numbers at `from`
///
/// # Safety
/// Inside [`with`], and the memory of a tile at `from` must be readable.
pub(crate) unsafe fn load<const T: u8>(from: *const u32) {
    // SAFETY: the caller's.
    let numbers = unsafe { slice::from_raw_parts(from, NUMBERS) };
    change::<T>(|tile| tile.copy_from_slice(numbers));
}

/// The numbers at `to` ← T
///
/// # Safety
/// Inside [`with`], and the memory of a tile at `to` must be writable.
pub(crate) unsafe fn store<const T: u8>(to: *mut f32) {
    // SAFETY: the caller's.
    let numbers = unsafe { slice::from_raw_parts_mut(to.cast::<u32>(), NUMBERS) };
    change::<T>(|tile| numbers.copy_from_slice(tile));
}

/// T_mn ← T_mn + Σ_p L_mp₀ R_pn₀ + L_mp₁ R_pn₁, for 16 pairs p of `bfloat16` numbers: the first ones' sum and the
/// second ones' begin at zero, and T gets their total. All is rounded to nearest, and what is below the smallest
/// normal number is zero, before and after (Intel, *Instruction Set Reference*, TDPBF16PS).
///
/// # Safety
/// Inside [`with`].
pub(crate) unsafe fn add_product<const T: u8, const L: u8, const R: u8>() {
    let (left, right) = (copy::<L>(), copy::<R>());
    change::<T>(|tile| {
        let rows = tile.chunks_exact_mut(ROWS).zip(left.chunks_exact(ROWS));
        for (tile, left) in rows {
            let mut sums = [[0.0; ROWS]; 2];
            for (&l, right) in left.iter().zip(right.chunks_exact(ROWS)) {
                for (half, sums) in sums.iter_mut().enumerate() {
                    for (sum, &r) in sums.iter_mut().zip(right) {
                        *sum = normal(*sum + part(l, half) * part(r, half));
                    }
                }
            }
            let [first, second] = sums;
            for ((t, first), second) in tile.iter_mut().zip(first).zip(second) {
                let before = normal(f32::from_bits(*t));
                *t = normal(before + normal(first + second)).to_bits();
            }
        }
    });
}

/// The lower or the upper number of a pair.
fn part(pair: u32, half: usize) -> f32 {
    let bits = if half == 0 {
        pair << 16
    } else {
        pair & 0xffff_0000
    };
    normal(f32::from_bits(bits))
}

fn normal(x: f32) -> f32 {
    if x.abs() < f32::MIN_POSITIVE { 0.0 } else { x }
}

fn change<const T: u8>(change: impl FnOnce(&mut Tile)) {
    TILES.with_borrow_mut(|tiles| change(&mut tiles[usize::from(T)]));
}

fn copy<const T: u8>() -> Tile {
    TILES.with_borrow(|tiles| tiles[usize::from(T)])
}
