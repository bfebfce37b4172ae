//! Floating-point instructions of a warp.
//!
//! What rounds to nearest and has no modifiers is the host's arithmetic, in loops that the
//! compiler makes vectors of; the rest goes lane by lane.

use super::lanes::{ballot, map1, map2, map3, some};
use super::warp::Warp;
use crate::arithmetic::approximate::{self, Approximation};
use crate::arithmetic::float::{self, Binary, Float, Mode, Unary, canonical};
use crate::arithmetic::integer::Comparison;
use crate::instruction::{FloatComparison, Op, Slot, Verdict};

impl Warp {
    pub(super) fn floats(&mut self, op: &Op, active: u32, how: Approximation) {
        match *op {
            Op::Float1 {
                f,
                mode,
                double: true,
                d,
                a,
            } => {
                self.one_double(d, a, |x| float::unary(f, mode, x), active);
            }
            Op::Float1 { f, mode, d, a, .. } => self.float1(f, mode, d, a, active),
            Op::Float2 {
                f,
                mode,
                double: true,
                d,
                a,
                b,
            } => {
                self.doubles(f, mode, [d, a, b], active);
            }
            Op::Float2 {
                f, mode, d, a, b, ..
            } => self.singles(f, mode, [d, a, b], active),
            Op::Fused {
                mode,
                double: true,
                d,
                a,
                b,
                c,
            } => {
                let (a, b, c) = (self.wide(a), self.wide(b), self.wide(c));
                let values = if mode.plain() {
                    map3(a, b, c, |x, y, z| {
                        double(x).mul_add(double(y), double(z)).to_bits()
                    })
                } else {
                    let f = |l: usize| float::fused(mode, double(a[l]), double(b[l]), double(c[l]));
                    some(active, |l| f(l).to_bits())
                };
                self.set_wide(d, &values, active);
            }
            Op::Fused {
                mode, d, a, b, c, ..
            } => {
                let (a, b, c) = (self.narrow(a), self.narrow(b), self.narrow(c));
                let values = if mode.plain() {
                    map3(a, b, c, |x, y, z| {
                        canonical(single(x).mul_add(single(y), single(z))).to_bits()
                    })
                } else {
                    let f = |l: usize| float::fused(mode, single(a[l]), single(b[l]), single(c[l]));
                    some(active, |l| f(l).to_bits())
                };
                self.set(d, &values, active);
            }
            Op::Approximate { f, flush, d, a } => {
                self.one_single(d, a, |x| approximate::unary(f, flush, how, x), active);
            }
            Op::ApproximateDivide {
                full,
                flush,
                d,
                a,
                b,
            } => {
                let (a, b) = (self.narrow(a), self.narrow(b));
                let f =
                    |l: usize| approximate::divide(full, flush, how, single(a[l]), single(b[l]));
                let values = some(active, |l| f(l).to_bits());
                self.set(d, &values, active);
            }
            Op::Gross { root, d, a } => {
                self.one_double(d, a, |x| approximate::gross(root, how, x), active);
            }
            Op::RootOfDouble { d, a } => {
                self.one_double(d, a, |x| approximate::root_of_double(how, x), active);
            }
            Op::HasProperty {
                property,
                double: true,
                d,
                a,
            } => {
                let a = self.wide(a);
                let values = ballot(|l| float::has(property, double(a[l])));
                self.set_predicate(d, values, active);
            }
            Op::HasProperty { property, d, a, .. } => {
                let a = self.narrow(a);
                let values = ballot(|l| float::has(property, single(a[l])));
                self.set_predicate(d, values, active);
            }
            Op::CompareFloat {
                f,
                double: true,
                d,
                a,
                b,
                ..
            } => {
                let (a, b) = (map1(self.wide(a), double), map1(self.wide(b), double));
                self.compare_floats(f, &a, &b, d, active);
            }
            Op::CompareFloat {
                f, flush, d, a, b, ..
            } => {
                let load = |x| float::flushed(single(x), flush);
                let (a, b) = (map1(self.narrow(a), load), map1(self.narrow(b), load));
                self.compare_floats(f, &a, &b, d, active);
            }
            _ => {}
        }
    }

    fn one_single(&mut self, d: Slot, a: Slot, f: impl Fn(f32) -> f32, active: u32) {
        let a = self.narrow(a);
        let values = some(active, |l| f(single(a[l])).to_bits());
        self.set(d, &values, active);
    }

    fn one_double(&mut self, d: Slot, a: Slot, f: impl Fn(f64) -> f64, active: u32) {
        let a = self.wide(a);
        let values = some(active, |l| f(double(a[l])).to_bits());
        self.set_wide(d, &values, active);
    }

    fn float1(&mut self, f: Unary, mode: Mode, d: Slot, a: Slot, active: u32) {
        let x = self.narrow(a);
        let values = match f {
            Unary::Negate if mode.plain() => map1(x, |x| canonical(-single(x)).to_bits()),
            Unary::Absolute if mode.plain() => map1(x, |x| canonical(single(x).abs()).to_bits()),
            _ => return self.one_single(d, a, |x| float::unary(f, mode, x), active),
        };
        self.set(d, &values, active);
    }

    fn doubles(&mut self, f: Binary, mode: Mode, [d, a, b]: [Slot; 3], active: u32) {
        let (a, b) = (self.wide(a), self.wide(b));
        let values = match f {
            Binary::Add if mode.plain() => map2(a, b, |x, y| (double(x) + double(y)).to_bits()),
            Binary::Subtract if mode.plain() => {
                map2(a, b, |x, y| (double(x) - double(y)).to_bits())
            }
            Binary::Multiply if mode.plain() => {
                map2(a, b, |x, y| (double(x) * double(y)).to_bits())
            }
            Binary::Divide if mode.plain() => map2(a, b, |x, y| (double(x) / double(y)).to_bits()),
            _ => some(active, |l| {
                float::binary(f, mode, double(a[l]), double(b[l])).to_bits()
            }),
        };
        self.set_wide(d, &values, active);
    }

    fn singles(&mut self, f: Binary, mode: Mode, [d, a, b]: [Slot; 3], active: u32) {
        let (a, b) = (self.narrow(a), self.narrow(b));
        let values = match f {
            Binary::Add if mode.plain() => {
                map2(a, b, |x, y| canonical(single(x) + single(y)).to_bits())
            }
            Binary::Subtract if mode.plain() => {
                map2(a, b, |x, y| canonical(single(x) - single(y)).to_bits())
            }
            Binary::Multiply if mode.plain() => {
                map2(a, b, |x, y| canonical(single(x) * single(y)).to_bits())
            }
            Binary::Divide if mode.plain() => {
                map2(a, b, |x, y| canonical(single(x) / single(y)).to_bits())
            }
            _ => some(active, |l| {
                float::binary(f, mode, single(a[l]), single(b[l])).to_bits()
            }),
        };
        self.set(d, &values, active);
    }

    fn compare_floats<F: Float>(
        &mut self,
        f: FloatComparison,
        a: &[F; 32],
        b: &[F; 32],
        d: Verdict,
        active: u32,
    ) {
        let unordered = ballot(|l| a[l].is_nan() | b[l].is_nan());
        let values = match f {
            FloatComparison::Ordered(relation) => related(relation, a, b) & !unordered,
            FloatComparison::Unordered(relation) => related(relation, a, b) | unordered,
            FloatComparison::BothNumbers => !unordered,
            FloatComparison::EitherNan => unordered,
        };
        self.give(d, values, active);
    }
}

#[inline(always)]
fn single(bits: u32) -> f32 {
    f32::from_bits(bits)
}

#[inline(always)]
fn double(bits: u64) -> f64 {
    f64::from_bits(bits)
}

/// The relation as the host sees it.
fn related<F: Float>(relation: Comparison, a: &[F; 32], b: &[F; 32]) -> u32 {
    match relation {
        Comparison::Equal => ballot(|l| a[l] == b[l]),
        Comparison::NotEqual => ballot(|l| a[l] != b[l]),
        Comparison::Less => ballot(|l| a[l] < b[l]),
        Comparison::LessEqual => ballot(|l| a[l] <= b[l]),
        Comparison::Greater => ballot(|l| a[l] > b[l]),
        Comparison::GreaterEqual => ballot(|l| a[l] >= b[l]),
    }
}
