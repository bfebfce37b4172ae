//! Products on what this processor has.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

mod amx;
mod avx512;
mod layouts;
