//! The negative control.

/// Element `index` of four: out of bounds where the caller likes.
#[unsafe(no_mangle)]
extern "C" fn detfree_panics(index: usize) -> u32 {
    [2, 3, 5, 7][index]
}
