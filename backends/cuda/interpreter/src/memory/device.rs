//! Device memory: allocations that never share an address with one that was freed.
//!
//! An allocation owns 2^36 addresses and begins in their middle, so that an index that runs off
//! either end is found, and found to belong to it. The first regions are no allocations: null,
//! and the windows through which generic addresses reach shared and local memory.

use super::region::Region;

const SPAN: u32 = 36;
const MIDDLE: u64 = 1 << (SPAN - 1);
/// Regions 0 to 3 hold no allocation.
const FIRST: usize = 4;

/// Where an address leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Into the allocation of that index, at that offset.
    Inside {
        index: usize,
        offset: usize,
    },
    /// To an allocation, but not into it: its base, its length and the offset.
    Outside {
        base: u64,
        bytes: usize,
        offset: i64,
    },
    Freed {
        base: u64,
        bytes: usize,
    },
    Nowhere,
}

/// What is wrong with a call that concerns device memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceError {
    /// The device has not that much left.
    OutOfMemory {
        /// What was asked for, in bytes.
        asked: usize,
        /// What is left, in bytes.
        left: usize,
    },
    /// Nothing can be allocated, freed or copied so.
    Invalid(String),
}

impl std::fmt::Display for DeviceError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::OutOfMemory { asked, left } => {
                write!(
                    f,
                    "out of device memory: {asked} bytes asked for, {left} left"
                )
            }
            Self::Invalid(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for DeviceError {}

#[derive(Debug)]
pub(crate) struct Allocation {
    pub(crate) base: u64,
    /// None once freed.
    pub(crate) region: Option<Region>,
    bytes: usize,
    /// A variable of a module; constant ones cannot be written.
    owner: Owner,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    Program,
    Module,
    Constant,
}

#[derive(Debug)]
pub(crate) struct Device {
    pub(crate) allocations: Vec<Allocation>,
    limit: usize,
    used: usize,
}

impl Device {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            allocations: Vec::new(),
            limit,
            used: 0,
        }
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    pub(crate) fn left(&self) -> usize {
        self.limit - self.used
    }

    pub(crate) fn allocate(&mut self, bytes: usize, owner: Owner) -> Result<u64, DeviceError> {
        if bytes == 0 {
            return Err(DeviceError::Invalid("an allocation of no bytes".to_owned()));
        }
        let left = self.left();
        if bytes > left {
            return Err(DeviceError::OutOfMemory { asked: bytes, left });
        }
        let base = ((self.allocations.len() + FIRST) as u64) << SPAN | MIDDLE;
        self.used += bytes;
        let region = Some(Region::new(bytes));
        self.allocations.push(Allocation {
            base,
            region,
            bytes,
            owner,
        });
        Ok(base)
    }

    pub(crate) fn free(&mut self, address: u64) -> Result<(), DeviceError> {
        let found = match self.place(address, 0) {
            Place::Inside { index, offset: 0 } => Some(index),
            Place::Freed { base, bytes } if base == address => {
                return Err(DeviceError::Invalid(format!(
                    "{address:#x}, an allocation of {bytes} bytes, is freed a second time"
                )));
            }
            _ => None,
        };
        let Some(index) = found else {
            return Err(DeviceError::Invalid(format!(
                "{address:#x} is freed, but is no address that an allocation returned"
            )));
        };
        let allocation = &mut self.allocations[index];
        allocation.region = None;
        self.used -= allocation.bytes;
        Ok(())
    }

    /// Allocations of the program that are not freed: addresses and lengths.
    pub(crate) fn leaks(&self) -> Vec<(u64, usize)> {
        self.allocations
            .iter()
            .filter(|a| a.owner == Owner::Program && a.region.is_some())
            .map(|a| (a.base, a.bytes))
            .collect()
    }

    /// Where `bytes` bytes at `address` lie.
    #[inline]
    pub(crate) fn place(&self, address: u64, bytes: usize) -> Place {
        let index = ((address >> SPAN) as usize).wrapping_sub(FIRST);
        let Some(allocation) = self.allocations.get(index) else {
            return Place::Nowhere;
        };
        let offset = address.wrapping_sub(allocation.base);
        let length = allocation.bytes;
        if allocation.region.is_none() {
            return Place::Freed {
                base: allocation.base,
                bytes: length,
            };
        }
        if offset <= length as u64 && bytes as u64 <= length as u64 - offset {
            return Place::Inside {
                index,
                offset: offset as usize,
            };
        }
        Place::Outside {
            base: allocation.base,
            bytes: length,
            offset: offset.cast_signed(),
        }
    }

    pub(crate) fn constant(&self, index: usize) -> bool {
        self.allocations[index].owner == Owner::Constant
    }

    /// For the host: index and offset of a range, or why it is none.
    fn range(&self, what: &str, address: u64, count: usize) -> Result<(usize, usize), DeviceError> {
        match self.place(address, count) {
            Place::Inside { index, offset } => Ok((index, offset)),
            place => Err(DeviceError::Invalid(format!(
                "{what} of {count} bytes at {address:#x}: {}",
                describe(place)
            ))),
        }
    }

    fn region(&mut self, index: usize) -> Result<&mut Region, DeviceError> {
        self.allocations[index]
            .region
            .as_mut()
            .ok_or_else(|| DeviceError::Invalid("the allocation has been freed".to_owned()))
    }

    pub(crate) fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), DeviceError> {
        let (index, offset) = self.range("a copy to the device", address, bytes.len())?;
        self.region(index)?.fill_from(offset, bytes);
        Ok(())
    }

    pub(crate) fn fill(&mut self, address: u64, byte: u8, count: usize) -> Result<(), DeviceError> {
        let (index, offset) = self.range("a fill", address, count)?;
        self.region(index)?.fill_with(offset, byte, count);
        Ok(())
    }

    pub(crate) fn read(&mut self, address: u64, count: usize) -> Result<&[u8], DeviceError> {
        let (index, offset) = self.range("a copy to the host", address, count)?;
        let region = self.region(index)?;
        if let Some(at) = region.first_empty(offset, count) {
            return Err(DeviceError::Invalid(format!(
                "a copy to the host of {count} bytes at {address:#x} reads byte {}, which nothing \
                 has written",
                at - offset
            )));
        }
        Ok(region.bytes(offset, count))
    }

    /// What holds nothing at the source holds nothing at the target.
    pub(crate) fn copy(&mut self, to: u64, from: u64, count: usize) -> Result<(), DeviceError> {
        let (source, at) = self.range("a copy from", from, count)?;
        let (target, offset) = self.range("a copy to", to, count)?;
        if source == target && at.abs_diff(offset) < count && count > 0 {
            return Err(DeviceError::Invalid(format!(
                "a copy of {count} bytes from {from:#x} to {to:#x}, which overlap"
            )));
        }
        let region = self.region(source)?;
        let bytes = region.bytes(at, count).to_vec();
        if region.first_empty(at, count).is_none() {
            self.region(target)?.fill_from(offset, &bytes);
        } else {
            let marks = region.marks(at, count);
            self.region(target)?.copy_marks(offset, &bytes, &marks);
        }
        Ok(())
    }
}

/// In words, for a message.
pub(crate) fn describe(place: Place) -> String {
    match place {
        Place::Inside { .. } => "inside an allocation".to_owned(),
        Place::Outside {
            base,
            bytes,
            offset,
        } => {
            format!("offset {offset} of the allocation at {base:#x}, which has {bytes} bytes")
        }
        Place::Freed { base, bytes } => {
            format!("the allocation at {base:#x} of {bytes} bytes has been freed")
        }
        Place::Nowhere => "no allocation is there".to_owned(),
    }
}
