//! Loads and stores of a warp.

use super::lanes::{LANES, Wide, ballot, map1};
use super::warp::{Context, Stop, Warp};
use super::{LOCAL_WINDOW, SHARED_WINDOW};
use crate::fault::FaultKind;
use crate::instruction::Access;
use crate::memory::device::describe;
use crate::memory::lanes::{Flawed, Offsets};
use crate::memory::region::Flaw;
use crate::memory::{Observer, Place, Region};
use crate::source::{Space, Type};

/// The memory that an access of some lanes falls into.
pub(super) struct Target<'a> {
    pub(super) region: &'a mut Region,
    /// Where each lane's access begins in the region.
    pub(super) offsets: Offsets,
    /// Of the lanes that are asked about, those that fall into this region.
    pub(super) lanes: u32,
    pub(super) watcher: Option<Observer>,
}

impl Target<'_> {
    fn load<const SIZE: usize>(&mut self, out: &mut Offsets) -> Result<(), Flawed> {
        self.region
            .load::<SIZE>(&self.offsets, self.lanes, self.watcher.as_ref(), out)
    }

    fn store<const SIZE: usize>(&mut self, values: &Offsets) -> Result<(), Flawed> {
        self.region
            .store::<SIZE>(&self.offsets, self.lanes, self.watcher.as_ref(), values)
    }

    /// On to the next element of a vector.
    fn advance(&mut self, size: u8) {
        for offset in &mut self.offsets {
            *offset = offset.wrapping_add(u64::from(size));
        }
    }
}

impl Warp {
    pub(super) fn addresses(&self, access: &Access) -> Wide {
        let offset = i64::from(access.address.offset);
        if access.address.wide {
            map1(self.wide(access.address.base), |base| {
                base.wrapping_add_signed(offset)
            })
        } else {
            let offset = access.address.offset;
            map1(self.narrow(access.address.base), |base| {
                u64::from(base.wrapping_add_signed(offset))
            })
        }
    }

    pub(super) fn load(
        &mut self,
        access: &Access,
        active: u32,
        at: u32,
        context: &mut Context<'_>,
    ) -> Result<(), Stop> {
        match access.count {
            1 => self.load_elements::<1>(access, active, at, context),
            2 => self.load_elements::<2>(access, active, at, context),
            _ => self.load_elements::<4>(access, active, at, context),
        }
    }

    #[inline(never)]
    fn load_elements<const COUNT: usize>(
        &mut self,
        access: &Access,
        active: u32,
        at: u32,
        context: &mut Context<'_>,
    ) -> Result<(), Stop> {
        let addresses = self.addresses(access);
        let kernel = context.kernel;
        let slots = &kernel.lists[access.list as usize..][..COUNT];
        let mut rest = active;
        while rest != 0 {
            let mut target = self.target(access, &addresses, rest, at, false, context)?;
            let together = target.lanes;
            let mut values = [[0; LANES]; COUNT];
            for out in &mut values {
                match access.kind.bytes() {
                    1 => target.load::<1>(out),
                    2 => target.load::<2>(out),
                    4 => target.load::<4>(out),
                    _ => target.load::<8>(out),
                }
                .map_err(|flawed| stopped(flawed, "read", &addresses, at))?;
                target.advance(access.kind.bytes());
            }
            for (&slot, values) in slots.iter().zip(&values) {
                match (access.wide, access.kind) {
                    (true, Type::Signed(1 | 2 | 4)) => {
                        let values = map1(values, |x| widened(x, access.kind));
                        self.set_wide(slot, &values, together);
                    }
                    (true, _) => self.set_wide(slot, values, together),
                    (false, Type::Signed(1 | 2)) => {
                        let values = map1(values, |x| widened(x, access.kind) as u32);
                        self.set(slot, &values, together);
                    }
                    (false, _) => self.set(slot, &map1(values, |x| x as u32), together),
                }
            }
            rest &= !together;
        }
        Ok(())
    }

    pub(super) fn store(
        &mut self,
        access: &Access,
        active: u32,
        at: u32,
        context: &mut Context<'_>,
    ) -> Result<(), Stop> {
        match access.count {
            1 => self.store_elements::<1>(access, active, at, context),
            2 => self.store_elements::<2>(access, active, at, context),
            _ => self.store_elements::<4>(access, active, at, context),
        }
    }

    #[inline(never)]
    fn store_elements<const COUNT: usize>(
        &mut self,
        access: &Access,
        active: u32,
        at: u32,
        context: &mut Context<'_>,
    ) -> Result<(), Stop> {
        let addresses = self.addresses(access);
        let kernel = context.kernel;
        let slots = &kernel.lists[access.list as usize..][..COUNT];
        let mut values = [[0; LANES]; COUNT];
        for (values, &slot) in values.iter_mut().zip(slots) {
            *values = if access.wide {
                *self.wide(slot)
            } else {
                map1(self.narrow(slot), u64::from)
            };
        }
        let mut rest = active;
        while rest != 0 {
            let mut target = self.target(access, &addresses, rest, at, true, context)?;
            let together = target.lanes;
            for values in &values {
                match access.kind.bytes() {
                    1 => target.store::<1>(values),
                    2 => target.store::<2>(values),
                    4 => target.store::<4>(values),
                    _ => target.store::<8>(values),
                }
                .map_err(|flawed| stopped(flawed, "write", &addresses, at))?;
                target.advance(access.kind.bytes());
            }
            rest &= !together;
        }
        Ok(())
    }

    /// The memory into which the first of `lanes` leads, and those that fall into it as well.
    /// Alignment and bounds of these are checked.
    pub(super) fn target<'a>(
        &'a mut self,
        access: &Access,
        addresses: &Wide,
        lanes: u32,
        at: u32,
        writes: bool,
        context: &'a mut Context<'_>,
    ) -> Result<Target<'a>, Stop> {
        let lead = lanes.trailing_zeros() as usize;
        let bytes = u64::from(access.kind.bytes() * access.count);
        let address = addresses[lead];
        let stop = |kind, message| Stop {
            kind,
            lane: lead,
            at,
            address: Some(address),
            message,
        };
        if address & (bytes - 1) != 0 {
            let message = format!("{bytes} bytes need an address that is a multiple of {bytes}");
            return Err(stop(FaultKind::Misaligned, message));
        }
        let (space, window) = match access.space {
            Space::Generic if address >> 36 == SHARED_WINDOW >> 36 => {
                (Space::Shared, SHARED_WINDOW)
            }
            Space::Generic if address >> 36 == LOCAL_WINDOW >> 36 => (Space::Local, LOCAL_WINDOW),
            Space::Generic => (Space::Global, 0),
            space => (space, 0),
        };
        let scope = if space == Space::Shared {
            context.block_start
        } else {
            context.launch_start
        };
        let watched = !matches!(space, Space::Local | Space::Parameter);
        let watcher = watched.then(|| self.observer(context, scope));
        let mut stride = 0;
        let (region, base, length) = match space {
            Space::Shared => {
                context.shared.watch(context.kernel.byte_wise);
                let length = context.shared.len();
                (&mut *context.shared, window, length)
            }
            Space::Local => {
                stride = context.kernel.local_stride();
                (&mut self.local, window, context.kernel.local_bytes)
            }
            Space::Parameter => {
                let length = context.parameters.len();
                (&mut *context.parameters, window, length)
            }
            Space::Global | Space::Constant | Space::Generic => {
                let place = context.device.place(address, bytes as usize);
                let Place::Inside { index, .. } = place else {
                    let kind = match place {
                        Place::Freed { .. } => FaultKind::UseAfterFree,
                        _ => FaultKind::OutOfBounds,
                    };
                    return Err(stop(kind, describe(place)));
                };
                if writes && context.device.constant(index) {
                    let message = "a write to constant memory".to_owned();
                    return Err(stop(FaultKind::ReadOnly, message));
                }
                let allocation = &mut context.device.allocations[index];
                let base = allocation.base;
                let Some(region) = allocation.region.as_mut() else {
                    return Err(stop(FaultKind::UseAfterFree, "freed".to_owned()));
                };
                region.watch(context.kernel.byte_wise);
                let length = region.len();
                (region, base, length)
            }
        };
        let Some(last) = (length as u64).checked_sub(bytes) else {
            let message = format!("{space:?} memory has {length} bytes");
            return Err(stop(FaultKind::OutOfBounds, message));
        };
        let fits = |lane: usize| {
            let offset = addresses[lane].wrapping_sub(base);
            offset <= last && addresses[lane] & (bytes - 1) == 0
        };
        if !fits(lead) {
            let message = format!("{space:?} memory has {length} bytes");
            return Err(stop(FaultKind::OutOfBounds, message));
        }
        let lanes = ballot(fits) & lanes;
        let mut offsets = map1(addresses, |address| address.wrapping_sub(base));
        if stride > 0 {
            for (lane, offset) in offsets.iter_mut().enumerate() {
                *offset = offset.wrapping_add((lane * stride) as u64);
            }
        }
        Ok(Target {
            region,
            offsets,
            lanes,
            watcher,
        })
    }
}

pub(super) fn stopped((lane, flaw): Flawed, what: &str, addresses: &Wide, at: u32) -> Stop {
    let (kind, message) = match flaw {
        Flaw::Uninitialised => (
            FaultKind::Uninitialised,
            format!("a {what} of memory that nothing has written"),
        ),
        Flaw::Race => (
            FaultKind::Race,
            format!("a {what} of memory that another thread uses, and nothing orders the two"),
        ),
    };
    Stop {
        kind,
        lane,
        at,
        address: Some(addresses[lane]),
        message,
    }
}

/// The value as it fills a register.
#[inline]
fn widened(value: u64, kind: Type) -> u64 {
    match kind {
        Type::Signed(1) => i64::from(value as i8).cast_unsigned(),
        Type::Signed(2) => i64::from(value as i16).cast_unsigned(),
        Type::Signed(4) => i64::from(value as i32).cast_unsigned(),
        _ => value,
    }
}
