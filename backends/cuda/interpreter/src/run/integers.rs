//! Integer instructions of a warp.

use super::lanes::{ballot, map1, map2, map3, some};
use super::warp::Warp;
use crate::arithmetic::integer::{self, Binary, Carry, Comparison, Shift, Unary, Word};
use crate::instruction::{Op, Slot, Width};

impl Warp {
    pub(super) fn integers(&mut self, op: &Op, active: u32) {
        match *op {
            Op::Integer1 { f, width, d, a } => self.integer1(f, width, d, a, active),
            Op::Integer2 { f, width, d, a, b } => self.integer2(f, width, [d, a, b], active),
            Op::Shift { f, width, d, a, b } => self.shift(f, width, [d, a, b], active),
            Op::Carry {
                f,
                width,
                take,
                give,
                d,
                a,
                b,
            } => {
                self.carry(f, width, (take, give), [d, a, b], active);
            }
            Op::MultiplyWide {
                signed,
                width,
                d,
                a,
                b,
            } => {
                self.multiply_wide(signed, width, [d, a, b], active);
            }
            Op::Count64 { f, d, a } => {
                let values = map1(self.wide(a), |x| u64::unary(f, x) as u32);
                self.set(d, &values, active);
            }
            Op::Extract {
                signed,
                width: Width::W64,
                d,
                a,
                start,
                length,
            } => {
                let (a, start, length) = (self.wide(a), self.narrow(start), self.narrow(length));
                let f = |l: usize| u64::extract(signed, a[l], start[l], length[l]);
                let values = some(active, f);
                self.set_wide(d, &values, active);
            }
            Op::Extract {
                signed,
                d,
                a,
                start,
                length,
                ..
            } => {
                let (a, start, length) = (self.narrow(a), self.narrow(start), self.narrow(length));
                let f = |l: usize| u32::extract(signed, a[l], start[l], length[l]);
                let values = some(active, f);
                self.set(d, &values, active);
            }
            Op::Insert {
                width: Width::W64,
                d,
                a,
                into,
                start,
                length,
            } => {
                let (a, into) = (self.wide(a), self.wide(into));
                let (start, length) = (self.narrow(start), self.narrow(length));
                let f = |l: usize| u64::insert(a[l], into[l], start[l], length[l]);
                let values = some(active, f);
                self.set_wide(d, &values, active);
            }
            Op::Insert {
                d,
                a,
                into,
                start,
                length,
                ..
            } => {
                let (a, into) = (self.narrow(a), self.narrow(into));
                let (start, length) = (self.narrow(start), self.narrow(length));
                let f = |l: usize| u32::insert(a[l], into[l], start[l], length[l]);
                let values = some(active, f);
                self.set(d, &values, active);
            }
            Op::Permute { d, a, b, selector } => {
                self.three([d, a, b, selector], integer::permute, active);
            }
            Op::Funnel {
                left,
                clamp,
                d,
                low,
                high,
                count,
            } => {
                let f = |low, high, count| integer::funnel(left, clamp, low, high, count);
                self.three([d, low, high, count], f, active);
            }
            Op::Table {
                entries,
                d,
                a,
                b,
                c,
            } => {
                self.three(
                    [d, a, b, c],
                    |a, b, c| integer::table(a, b, c, entries),
                    active,
                );
            }
            Op::Compare {
                f,
                signed,
                width,
                d,
                a,
                b,
            } => {
                let values = self.compared(f, signed, width, a, b);
                self.give(d, values, active);
            }
            _ => {}
        }
    }

    fn three(&mut self, [d, a, b, c]: [Slot; 4], f: impl Fn(u32, u32, u32) -> u32, active: u32) {
        let values = map3(self.narrow(a), self.narrow(b), self.narrow(c), f);
        self.set(d, &values, active);
    }

    fn integer1(&mut self, f: Unary, width: Width, d: Slot, a: Slot, active: u32) {
        match width {
            Width::W64 => {
                let values = map1(self.wide(a), |x| u64::unary(f, x));
                self.set_wide(d, &values, active);
            }
            Width::W32 => {
                let values = map1(self.narrow(a), |x| u32::unary(f, x));
                self.set(d, &values, active);
            }
            Width::W16 => {
                let values = map1(self.narrow(a), |x| u32::from(u16::unary(f, x as u16)));
                self.set(d, &values, active);
            }
        }
    }

    /// The most frequent operations have loops of their own, which the compiler makes vectors of.
    fn integer2(&mut self, f: Binary, width: Width, [d, a, b]: [Slot; 3], active: u32) {
        match width {
            Width::W64 => {
                let (a, b) = (self.wide(a), self.wide(b));
                let values = match f {
                    Binary::Add => map2(a, b, u64::wrapping_add),
                    Binary::Subtract => map2(a, b, u64::wrapping_sub),
                    Binary::And => map2(a, b, |x, y| x & y),
                    Binary::Or => map2(a, b, |x, y| x | y),
                    Binary::ExclusiveOr => map2(a, b, |x, y| x ^ y),
                    Binary::Multiply => map2(a, b, u64::wrapping_mul),
                    _ => some(active, |l| u64::binary(f, a[l], b[l])),
                };
                self.set_wide(d, &values, active);
            }
            Width::W32 => {
                let (a, b) = (self.narrow(a), self.narrow(b));
                let high = |x, y| u32::binary(Binary::MultiplyHighUnsigned, x, y);
                let values = match f {
                    Binary::Add => map2(a, b, u32::wrapping_add),
                    Binary::Subtract => map2(a, b, u32::wrapping_sub),
                    Binary::And => map2(a, b, |x, y| x & y),
                    Binary::Or => map2(a, b, |x, y| x | y),
                    Binary::ExclusiveOr => map2(a, b, |x, y| x ^ y),
                    Binary::Multiply => map2(a, b, u32::wrapping_mul),
                    Binary::MultiplyHighUnsigned => map2(a, b, high),
                    _ => some(active, |l| u32::binary(f, a[l], b[l])),
                };
                self.set(d, &values, active);
            }
            Width::W16 => {
                let (a, b) = (self.narrow(a), self.narrow(b));
                let values = some(active, |l| {
                    u32::from(u16::binary(f, a[l] as u16, b[l] as u16))
                });
                self.set(d, &values, active);
            }
        }
    }

    fn shift(&mut self, f: Shift, width: Width, [d, a, b]: [Slot; 3], active: u32) {
        let counts = self.narrow(b);
        match width {
            Width::W64 => {
                let values = map2(self.wide(a), counts, |x, n| u64::shift(f, x, n));
                self.set_wide(d, &values, active);
            }
            Width::W32 => {
                let values = map2(self.narrow(a), counts, |x, n| u32::shift(f, x, n));
                self.set(d, &values, active);
            }
            Width::W16 => {
                let shift = |x, n| u32::from(u16::shift(f, x as u16, n));
                let values = map2(self.narrow(a), counts, shift);
                self.set(d, &values, active);
            }
        }
    }

    fn carry(
        &mut self,
        f: Carry,
        width: Width,
        (take, give): (bool, bool),
        [d, a, b]: [Slot; 3],
        active: u32,
    ) {
        let before = if take { self.carry } else { 0 };
        let bit = |lane: usize| before >> lane & 1 == 1;
        let mut after = 0;
        if width == Width::W64 {
            let (a, b) = (self.wide(a), self.wide(b));
            let values = std::array::from_fn(|lane| {
                let (value, carry) = u64::carry(f, a[lane], b[lane], bit(lane));
                after |= u32::from(carry) << lane;
                value
            });
            self.set_wide(d, &values, active);
        } else {
            let (a, b) = (self.narrow(a), self.narrow(b));
            let values = std::array::from_fn(|lane| {
                let (value, carry) = u32::carry(f, a[lane], b[lane], bit(lane));
                after |= u32::from(carry) << lane;
                value
            });
            self.set(d, &values, active);
        }
        if give {
            self.carry = (self.carry & !active) | (after & active);
        }
    }

    fn multiply_wide(&mut self, signed: bool, width: Width, [d, a, b]: [Slot; 3], active: u32) {
        let (a, b) = (self.narrow(a), self.narrow(b));
        match (width, signed) {
            (Width::W16, true) => {
                let f =
                    |x: u32, y: u32| (i32::from(x as i16) * i32::from(y as i16)).cast_unsigned();
                let values = map2(a, b, f);
                self.set(d, &values, active);
            }
            (Width::W16, false) => {
                let values = map2(a, b, |x, y| (x & 0xffff) * (y & 0xffff));
                self.set(d, &values, active);
            }
            (_, true) => {
                let f = |x: u32, y: u32| {
                    (i64::from(x.cast_signed()) * i64::from(y.cast_signed())).cast_unsigned()
                };
                let values = map2(a, b, f);
                self.set_wide(d, &values, active);
            }
            (_, false) => {
                let values = map2(a, b, |x, y| u64::from(x) * u64::from(y));
                self.set_wide(d, &values, active);
            }
        }
    }

    fn compared(&self, f: Comparison, signed: bool, width: Width, a: Slot, b: Slot) -> u32 {
        match width {
            Width::W64 => {
                let (a, b) = (self.wide(a), self.wide(b));
                ballot(|l| u64::compare(f, signed, a[l], b[l]))
            }
            Width::W32 => {
                let (a, b) = (self.narrow(a), self.narrow(b));
                ballot(|l| u32::compare(f, signed, a[l], b[l]))
            }
            Width::W16 => {
                let (a, b) = (self.narrow(a), self.narrow(b));
                ballot(|l| u16::compare(f, signed, a[l] as u16, b[l] as u16))
            }
        }
    }
}
