//! What an instruction does to the registers of a warp.

use super::lanes::{Narrow, Wide, blend, each, map1, map2, some};
use super::warp::{Context, Stop, Warp};
use crate::arithmetic::convert::Conversion;
use crate::instruction::{Logic, NONE, Op, Slot, Verdict, Width};

impl Warp {
    pub(super) fn set(&mut self, d: Slot, values: &Narrow, active: u32) {
        blend(&mut self.narrow[usize::from(d)], values, active);
    }

    pub(super) fn set_wide(&mut self, d: Slot, values: &Wide, active: u32) {
        blend(&mut self.wide[usize::from(d)], values, active);
    }

    /// Everything but control flow and exchanges between lanes, which the main loop sees to.
    pub(super) fn compute(
        &mut self,
        op: &Op,
        active: u32,
        at: u32,
        context: &mut Context<'_>,
    ) -> Result<(), Stop> {
        match *op {
            Op::Load(ref access) => return self.load(access, active, at, context),
            Op::Store(ref access) => return self.store(access, active, at, context),
            Op::Atomic { f, d, ref access } => {
                return self.atomic(f, d, access, active, at, context);
            }
            Op::Integer1 { .. }
            | Op::Integer2 { .. }
            | Op::Shift { .. }
            | Op::Carry { .. }
            | Op::MultiplyWide { .. }
            | Op::Count64 { .. }
            | Op::Extract { .. }
            | Op::Insert { .. }
            | Op::Permute { .. }
            | Op::Funnel { .. }
            | Op::Table { .. }
            | Op::Compare { .. } => self.integers(op, active),
            Op::Float1 { .. }
            | Op::Float2 { .. }
            | Op::Fused { .. }
            | Op::Approximate { .. }
            | Op::ApproximateDivide { .. }
            | Op::Gross { .. }
            | Op::RootOfDouble { .. }
            | Op::HasProperty { .. }
            | Op::CompareFloat { .. } => self.floats(op, active, context.approximation),
            Op::Convert {
                conversion,
                to_wide,
                from_wide,
                d,
                a,
            } => {
                self.convert(conversion, (to_wide, d), (from_wide, a), active);
            }
            Op::Move { wide: true, d, a } => {
                let values = *self.wide(a);
                self.set_wide(d, &values, active);
            }
            Op::Move { wide: false, d, a } => {
                let values = *self.narrow(a);
                self.set(d, &values, active);
            }
            Op::Pack {
                width,
                d,
                low,
                high,
            } => {
                let (low, high) = (self.narrow(low), self.narrow(high));
                if width == Width::W64 {
                    let values = map2(low, high, |x, y| (u64::from(y) << 32) | u64::from(x));
                    self.set_wide(d, &values, active);
                } else {
                    let values = map2(low, high, |x, y| (y << 16) | (x & 0xffff));
                    self.set(d, &values, active);
                }
            }
            Op::Unpack {
                width,
                low,
                high,
                a,
            } => {
                let (lows, highs) = if width == Width::W64 {
                    let a = self.wide(a);
                    (map1(a, |x| x as u32), map1(a, |x| (x >> 32) as u32))
                } else {
                    let a = self.narrow(a);
                    (map1(a, |x| x & 0xffff), map1(a, |x| x >> 16))
                };
                self.set(low, &lows, active);
                self.set(high, &highs, active);
            }
            Op::Select {
                wide,
                d,
                a,
                b,
                p,
                negated,
            } => {
                let chosen = self.predicate(p, negated);
                if wide {
                    let mut values = *self.wide(b);
                    blend(&mut values, self.wide(a), chosen);
                    self.set_wide(d, &values, active);
                } else {
                    let mut values = *self.narrow(b);
                    blend(&mut values, self.narrow(a), chosen);
                    self.set(d, &values, active);
                }
            }
            Op::Logic { f, d, a, b } => {
                let values = logic(f, self.predicate(a, false), self.predicate(b, false));
                self.set_predicate(d, values, active);
            }
            Op::NotPredicate { d, a } => {
                let values = self.predicate(a, true);
                self.set_predicate(d, values, active);
            }
            Op::MovePredicate { d, a } => {
                let values = self.predicate(a, false);
                self.set_predicate(d, values, active);
            }
            Op::ActiveMask { d } => self.set(d, &[active; 32], active),
            Op::Forget { offset, bytes } => {
                let stride = context.kernel.local_stride();
                for lane in each(active) {
                    self.local
                        .forget(lane * stride + offset as usize, bytes as usize);
                }
            }
            Op::Branch { .. }
            | Op::BranchTable { .. }
            | Op::Exit
            | Op::Trap
            | Op::Barrier { .. }
            | Op::SyncWarp { .. }
            | Op::Shuffle { .. }
            | Op::Vote { .. } => {}
        }
        Ok(())
    }

    fn convert(
        &mut self,
        conversion: Conversion,
        (to_wide, d): (bool, Slot),
        (from_wide, a): (bool, Slot),
        active: u32,
    ) {
        // What addresses are made of.
        if let (false, true, Some(signed)) = (from_wide, to_wide, conversion.widens()) {
            let a = self.narrow(a);
            let values = if signed {
                map1(a, |x| i64::from(x.cast_signed()).cast_unsigned())
            } else {
                map1(a, u64::from)
            };
            self.set_wide(d, &values, active);
            return;
        }
        let bits = if from_wide {
            *self.wide(a)
        } else {
            map1(self.narrow(a), u64::from)
        };
        let values = match conversion.plain() {
            Some((from, to)) => map1(&bits, |x| to.extend(from.extend(x))),
            None => some(active, |lane| conversion.apply(bits[lane])),
        };
        if to_wide {
            self.set_wide(d, &values, active);
        } else {
            self.set(d, &map1(&values, |x| x as u32), active);
        }
    }

    /// Writes what a comparison found; the second result is its opposite.
    pub(super) fn give(&mut self, d: Verdict, values: u32, active: u32) {
        let (yes, no) = match d.with {
            None => (values, !values),
            Some((f, slot, negated)) => {
                let other = self.predicate(slot, negated);
                (logic(f, values, other), logic(f, !values, other))
            }
        };
        self.set_predicate(d.yes, yes, active);
        if d.no != NONE {
            self.set_predicate(d.no, no, active);
        }
    }
}

fn logic(f: Logic, x: u32, y: u32) -> u32 {
    match f {
        Logic::And => x & y,
        Logic::Or => x | y,
        Logic::ExclusiveOr => x ^ y,
    }
}
