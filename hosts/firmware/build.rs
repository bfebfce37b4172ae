//! Tells the linker where the board has its memory.

use std::env;

fn main() {
    println!("cargo:rerun-if-changed=memory.x");
    if env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("none") {
        if let Ok(here) = env::var("CARGO_MANIFEST_DIR") {
            println!("cargo:rustc-link-search={here}");
        }
        // Start-up code and vectors for the program; the module has none.
        println!("cargo:rustc-link-arg-bin=detfree-firmware=-Tlink.x");
        println!("cargo:rustc-link-arg-bin=detfree-firmware=--nmagic");
        // Functions of equal code are in flash once.
        println!("cargo:rustc-link-arg-bins=--icf=all");
    }
}
