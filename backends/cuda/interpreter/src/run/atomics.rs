//! Atomics: lane after lane, in the order of the lanes.

use super::access::stopped;
use super::lanes::each;
use super::warp::{Context, Stop, Warp};
use crate::arithmetic::float::canonical;
use crate::instruction::{Access, Atomic, NONE, Slot};
use crate::source::Type;

impl Warp {
    pub(super) fn atomic(
        &mut self,
        f: Atomic,
        d: Slot,
        access: &Access,
        active: u32,
        at: u32,
        context: &mut Context<'_>,
    ) -> Result<(), Stop> {
        let addresses = self.addresses(access);
        let size = usize::from(access.kind.bytes());
        let kernel = context.kernel;
        let first = kernel.lists[access.list as usize];
        let second = kernel.lists[access.list as usize + usize::from(access.count) - 1];
        // One value an access, whatever the list of operands holds.
        let single = Access {
            count: 1,
            ..*access
        };
        for lane in each(active) {
            let a = self.get(first, access.wide, lane);
            let b = self.get(second, access.wide, lane);
            let only = 1 << lane;
            let target = self.target(&single, &addresses, only, at, true, context)?;
            let Some(watcher) = target.watcher else {
                continue;
            };
            let offset = target.offsets[lane] as usize;
            let kind = access.kind;
            let old = target
                .region
                .exchange(offset, size, &watcher, lane as u32, |old| {
                    replaced(f, kind, old, a, b)
                })
                .map_err(|flaw| stopped((lane, flaw), "update", &addresses, at))?;
            if d != NONE {
                self.put(d, access.wide, lane, old);
            }
        }
        Ok(())
    }

    #[inline]
    fn put(&mut self, slot: Slot, wide: bool, lane: usize, value: u64) {
        if wide {
            self.wide[usize::from(slot)][lane] = value;
        } else {
            self.narrow[usize::from(slot)][lane] = value as u32;
        }
    }

    #[inline]
    fn get(&self, slot: Slot, wide: bool, lane: usize) -> u64 {
        if wide {
            self.wide(slot)[lane]
        } else {
            u64::from(self.narrow(slot)[lane])
        }
    }
}

fn replaced(f: Atomic, kind: Type, old: u64, a: u64, b: u64) -> u64 {
    let narrow = kind.bytes() == 4;
    match (f, kind) {
        (Atomic::Add, Type::F32) => {
            let sum = f32::from_bits(old as u32) + f32::from_bits(a as u32);
            u64::from(canonical(sum).to_bits())
        }
        (Atomic::Add, Type::F64) => (f64::from_bits(old) + f64::from_bits(a)).to_bits(),
        (Atomic::Add, _) => old.wrapping_add(a),
        (Atomic::Minimum | Atomic::Maximum, Type::Signed(4)) => {
            let (x, y) = (old as i32, a as i32);
            u64::from(
                if f == Atomic::Minimum {
                    x.min(y)
                } else {
                    x.max(y)
                }
                .cast_unsigned(),
            )
        }
        (Atomic::Minimum | Atomic::Maximum, Type::Signed(_)) => {
            let (x, y) = (old.cast_signed(), a.cast_signed());
            if f == Atomic::Minimum {
                x.min(y)
            } else {
                x.max(y)
            }
            .cast_unsigned()
        }
        (Atomic::Minimum, _) => old.min(a),
        (Atomic::Maximum, _) => old.max(a),
        (Atomic::Increment, _) => {
            if old >= a {
                0
            } else {
                old + 1
            }
        }
        (Atomic::Decrement, _) => {
            if old == 0 || old > a {
                a
            } else {
                old - 1
            }
        }
        (Atomic::And, _) => old & a,
        (Atomic::Or, _) => old | a,
        (Atomic::ExclusiveOr, _) => old ^ a,
        (Atomic::Exchange, _) => a,
        (Atomic::CompareAndSwap, _) => {
            let mask = if narrow {
                u64::from(u32::MAX)
            } else {
                u64::MAX
            };
            if old & mask == a & mask { b } else { old }
        }
    }
}
