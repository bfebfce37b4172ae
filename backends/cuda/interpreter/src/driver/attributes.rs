//! What the device says of itself: a small one of compute capability 7.5.

use crate::decode::SHARED_LIMIT;
use crate::machine::Function;
use crate::run::{MOST_BLOCK, MOST_GRID, MOST_THREADS};

/// Its name, which nobody can take for that of a GPU.
pub(crate) const NAME: &str = "detfree PTX interpreter";
/// CUDA 12.8.
pub(crate) const DRIVER_VERSION: i32 = 12080;
pub(crate) const UUID: [u8; 16] = *b"detfree-ptx-0001";

const MULTIPROCESSORS: i32 = 2;
const THREADS_OF_MULTIPROCESSOR: i32 = 1024;
const BLOCKS_OF_MULTIPROCESSOR: i32 = 16;
const SHARED_OF_MULTIPROCESSOR: usize = 64 << 10;

/// A device attribute by its number; whatever else a GPU can do, this one cannot.
pub(crate) fn of_device(attribute: u32) -> i32 {
    match attribute {
        // Threads in a block, sizes of a block, of a grid.
        1 => MOST_THREADS as i32,
        2..=4 => MOST_BLOCK[attribute as usize - 2] as i32,
        5..=7 => MOST_GRID[attribute as usize - 5] as i32,
        // Shared memory of a block, as it is and at most.
        8 | 97 => SHARED_LIMIT as i32,
        // Constant memory.
        9 => 64 << 10,
        // Warp size.
        10 => 32,
        // Pitch of copies.
        11 => i32::MAX,
        // Registers of a block and of a multiprocessor.
        12 | 82 => 64 << 10,
        // Clock in kHz, of the cores and of the memory.
        13 | 36 => 1_000_000,
        // Texture alignment, which allocations keep.
        14 => 512,
        16 => MULTIPROCESSORS,
        // Concurrent kernels, unified addressing, memory pools.
        31 | 41 | 115 => 1,
        // Memory bus width.
        37 => 256,
        39 => THREADS_OF_MULTIPROCESSOR,
        // Compute capability.
        75 => 7,
        76 => 5,
        81 => SHARED_OF_MULTIPROCESSOR as i32,
        106 => BLOCKS_OF_MULTIPROCESSOR,
        _ => 0,
    }
}

/// An attribute of a kernel by its number.
pub(crate) fn of_function(function: &Function, attribute: u32) -> Option<i32> {
    Some(match attribute {
        0 => function.most_threads() as i32,
        1 => function.shared_bytes() as i32,
        // Constant bytes.
        2 => 0,
        3 => function.local_bytes() as i32,
        // Registers: nobody has allocated any.
        4 => 0,
        // PTX and binary versions.
        5 | 6 => 75,
        7 => 0,
        // Dynamic shared memory at most, and the share of the cache.
        8 => (SHARED_LIMIT - function.shared_bytes()) as i32,
        9 => -1,
        _ => return None,
    })
}

/// Blocks that a multiprocessor holds at a time.
pub(crate) fn resident_blocks(function: &Function, threads: i32, dynamic: usize) -> Option<i32> {
    if threads < 1 || threads > function.most_threads() as i32 {
        return None;
    }
    let shared = function.shared_bytes() + dynamic;
    let by_shared = SHARED_OF_MULTIPROCESSOR
        .checked_div(shared)
        .unwrap_or(usize::MAX);
    let by_threads =
        THREADS_OF_MULTIPROCESSOR / (threads.cast_unsigned().next_multiple_of(32) as i32);
    let by_shared = i32::try_from(by_shared).unwrap_or(i32::MAX);
    Some(by_threads.min(by_shared).min(BLOCKS_OF_MULTIPROCESSOR))
}
