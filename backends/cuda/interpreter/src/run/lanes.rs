//! The 32 lanes of a warp, and what is done to each.

pub(crate) const LANES: usize = 32;

pub(crate) type Narrow = [u32; LANES];
pub(crate) type Wide = [u64; LANES];

/// Those of the mask, in order.
#[inline]
pub(crate) fn each(mask: u32) -> impl Iterator<Item = usize> {
    let mut rest = mask;
    std::iter::from_fn(move || {
        let lane = rest.trailing_zeros() as usize;
        rest &= rest.wrapping_sub(1);
        (lane < LANES).then_some(lane)
    })
}

/// The mask of the lanes for which `f` holds.
#[inline(always)]
pub(crate) fn ballot(f: impl Fn(usize) -> bool) -> u32 {
    let mut mask = 0;
    for lane in 0..LANES {
        mask |= u32::from(f(lane)) << lane;
    }
    mask
}

#[inline(always)]
pub(crate) fn map1<A: Copy, R: Copy + Default>(a: &[A; LANES], f: impl Fn(A) -> R) -> [R; LANES] {
    let mut out = [R::default(); LANES];
    for lane in 0..LANES {
        out[lane] = f(a[lane]);
    }
    out
}

#[inline(always)]
pub(crate) fn map2<A: Copy, B: Copy, R: Copy + Default>(
    a: &[A; LANES],
    b: &[B; LANES],
    f: impl Fn(A, B) -> R,
) -> [R; LANES] {
    let mut out = [R::default(); LANES];
    for lane in 0..LANES {
        out[lane] = f(a[lane], b[lane]);
    }
    out
}

#[inline(always)]
pub(crate) fn map3<A: Copy, B: Copy, C: Copy, R: Copy + Default>(
    a: &[A; LANES],
    b: &[B; LANES],
    c: &[C; LANES],
    f: impl Fn(A, B, C) -> R,
) -> [R; LANES] {
    let mut out = [R::default(); LANES];
    for lane in 0..LANES {
        out[lane] = f(a[lane], b[lane], c[lane]);
    }
    out
}

/// For what costs much: only the lanes of the mask are computed.
#[inline(always)]
pub(crate) fn some<R: Copy + Default>(mask: u32, f: impl Fn(usize) -> R) -> [R; LANES] {
    let mut out = [R::default(); LANES];
    if mask == u32::MAX {
        for (lane, out) in out.iter_mut().enumerate() {
            *out = f(lane);
        }
    } else {
        for lane in each(mask) {
            out[lane] = f(lane);
        }
    }
    out
}

/// Takes the values of the lanes of the mask.
#[inline(always)]
pub(crate) fn blend<R: Copy>(target: &mut [R; LANES], values: &[R; LANES], mask: u32) {
    if mask == u32::MAX {
        *target = *values;
    } else {
        for lane in 0..LANES {
            if mask >> lane & 1 == 1 {
                target[lane] = values[lane];
            }
        }
    }
}
