//! A product in blocks: what is packed of one side stays in the second cache, while the other passes.

use std::cell::RefCell;

use super::side::{CHUNK, LINES, Side, TERMS};
use super::sums::{ABREAST, Passing, add_up};
use super::tile;
use super::vector;
use crate::lanes;
use crate::output::Output;

/// Terms that are summed before the sums are added to the output.
const DEPTH: usize = 1024;

/// Chunks of the shorter side that are kept packed: 1 MiB.
const KEPT: usize = (1 << 20) / (CHUNK * size_of::<u32>());

/// The numbers of a cache line.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u32; 16]);

thread_local! {
    static MEMORY: RefCell<Vec<Line>> = const { RefCell::new(Vec::new()) };
}

/// `out ← [its start +] alpha · left · right`
///
/// # Safety
/// The unit must be granted, the sides readable and of as many terms, at least one, and `out` writable.
pub(super) unsafe fn product(sides: [Side; 2], out: Output) {
    // SAFETY: the caller's; where there are tiles, there is AVX-512.
    MEMORY.with_borrow_mut(|memory| unsafe { tile::with(|| multiply(sides, out, memory)) });
}

/// # Safety
/// Inside [`tile::with`], with sides that are readable, fit each other and `out`, which is writable.
#[target_feature(enable = "avx512f")]
unsafe fn multiply([left, right]: [Side; 2], mut out: Output, memory: &mut Vec<Line>) {
    let (kept, passing) = if left.lines <= right.lines {
        (left, right)
    } else {
        (right, left)
    };
    let blocks = kept.terms.div_ceil(DEPTH);
    let depth = kept.terms.div_ceil(blocks).next_multiple_of(TERMS);
    let panel = depth / TERMS * CHUNK;
    let most = (KEPT / (depth / TERMS) / ABREAST * ABREAST).max(ABREAST);
    let panels = kept.lines.div_ceil(LINES).min(most);
    let [sums, passing_at, kept_at] =
        places(memory, [ABREAST * tile::NUMBERS, 2 * panel, panels * panel]);
    for from in (0..kept.terms).step_by(depth) {
        let (kept, passing) = (kept.terms(from, depth), passing.terms(from, depth));
        for first in (0..kept.lines).step_by(most * LINES) {
            let kept = kept.lines(first, most * LINES);
            // SAFETY: the caller's, and there is room for so many panels.
            unsafe {
                kept.pack(kept_at);
                pass(
                    passing,
                    passing_at,
                    (first, kept, kept_at),
                    sums.cast(),
                    out,
                );
            }
        }
        out = out.onto_itself();
    }
}

/// All panels of one side times the packed ones of the other.
///
/// # Safety
/// As for [`multiply`], with room for two panels at `at` and a packed side in `kept`.
#[target_feature(enable = "avx512f")]
unsafe fn pass(
    passing: Side,
    at: *mut u32,
    (first, kept, kept_at): (usize, Side, *const u32),
    sums: *mut f32,
    out: Output,
) {
    let length = passing.chunks() * CHUNK;
    let (panels, others) = (passing.lines.div_ceil(LINES), kept.lines.div_ceil(LINES));
    // SAFETY: the caller's.
    unsafe {
        passing.chunk(0, 0).pack(at, 0, tile::ROWS);
        for number in 0..panels {
            for other in (0..others).step_by(ABREAST) {
                let abreast = (others - other).min(ABREAST);
                let panel = Passing {
                    side: passing,
                    panel: number,
                    places: at,
                    count: if others > ABREAST {
                        2 * passing.chunks()
                    } else {
                        2
                    },
                    first: other == 0,
                    last: other + abreast == others,
                };
                let add_up = match (abreast, passing.left) {
                    (1, true) => add_up::<1, true>,
                    (2, true) => add_up::<2, true>,
                    (3, true) => add_up::<3, true>,
                    (_, true) => add_up::<ABREAST, true>,
                    (1, false) => add_up::<1, false>,
                    (2, false) => add_up::<2, false>,
                    (3, false) => add_up::<3, false>,
                    (_, false) => add_up::<ABREAST, false>,
                };
                add_up(panel, kept_at.add(other * length), sums);
                for i in 0..abreast {
                    let (line, inner) = (number * LINES, (other + i) * LINES);
                    let mut at = [line, first + inner];
                    let mut size = [passing.lines - line, kept.lines - inner].map(|n| n.min(LINES));
                    if !passing.left {
                        at.reverse();
                        size.reverse();
                    }
                    put(sums.add(i * tile::NUMBERS), out.at(at[0], at[1]), size);
                }
            }
        }
    }
}

/// The sums of a tile, or as many of its rows and columns.
///
/// # Safety
/// There must be as many in the output, and a tile of sums readable.
#[target_feature(enable = "avx512f")]
unsafe fn put(sums: *const f32, out: Output, [rows, columns]: [usize; 2]) {
    // A vector lies along what is in one piece: a row of the tile, or a column of it.
    let along_rows = out.along_rows();
    let (vectors, count) = if along_rows {
        (rows, columns)
    } else {
        (columns, rows)
    };
    let mask = lanes::first(count);
    for i in 0..vectors {
        // SAFETY: the caller's.
        unsafe {
            if along_rows {
                let sums = vector::load(sums.add(i * tile::ROWS), 1, mask);
                out.at(i, 0).put(sums, mask);
            } else {
                let sums = vector::load(sums.add(i), tile::ROWS as isize, mask);
                out.at(0, i).put(sums, mask);
            }
        }
    }
}

/// Places for so many numbers each, that start with cache lines.
fn places<const N: usize>(memory: &mut Vec<Line>, numbers: [usize; N]) -> [*mut u32; N] {
    let lines = numbers.map(|numbers| numbers.div_ceil(16));
    let needed = lines.iter().sum();
    if memory.len() < needed {
        memory.resize(needed, Line([0; 16]));
    }
    let mut at = memory.as_mut_ptr();
    lines.map(|lines| {
        let place = at.cast();
        at = at.wrapping_add(lines);
        place
    })
}
