//! Products of `f32` matrices on the matrix unit of Intel's processors (AMX, from Sapphire Rapids on), with
//! the accuracy of `f32`.
//!
//! The unit multiplies `bfloat16` numbers of 8 bits and sums in `f32`, at 16 times the rate of the vector
//! units. A number of `f32` has 24 bits, so it is the sum of three `bfloat16` numbers, each at most 2⁻⁸ of
//! the one before: a = a₁ + a₂ + a₃. Of the nine products of two such sums
//!
//! ab ≈ a₃b₁ + a₂b₂ + a₁b₃ + a₂b₁ + a₁b₂ + a₁b₁
//!
//! leaves out three, together at most 2⁻²³(1 + 2⁻⁹) |ab|. (Henry, Tang and Heinecke, *Leveraging the bfloat16
//! Artificial Intelligence Datatype for Higher-Precision Computations*, ARITH 2019.) The unit adds up 16
//! products and 16 others, and gives to the sum only their total: a sum of `k` products is rounded
//! 6⌈k/32⌉ + 17 times at most, and from k = 32 on its error bound is below the `k` 2⁻²⁴ Σ|ab| of a plain sum.
//!
//! What is not finite stays so, though an infinity can become NaN, and numbers from 3.39·10³⁸ on count as
//! infinite. Parts and sums below 2⁻¹²⁶ count as zero.
//!
//! ```
//! use detfree_amx::Amx;
//! use faer::{Accum, MatMut, MatRef};
//! let (a, b) = ([1.0, 2.0, 3.0, 4.0], [0.1, 0.0, 0.0, 0.1]);
//! let mut out = [0.0; 4];
//! if let Some(amx) = Amx::detect() {
//!     let [a, b] = [&a, &b].map(|x| MatRef::from_row_major_slice(x, 2, 2));
//!     amx.matmul(MatMut::from_row_major_slice_mut(&mut out, 2, 2), Accum::Replace, a, b, 1.0);
//!     assert!(out.iter().zip([0.1, 0.2, 0.3, 0.4]).all(|(x, want): (&f32, f32)| (x - want).abs() < 1e-7));
//! }
//! ```
#![cfg_attr(
    all(target_arch = "x86_64", target_os = "linux"),
    expect(
        unsafe_code,
        reason = "tiles are reached by assembly, and matrices of any strides by pointers"
    )
)]

/// Elsewhere there is none, or no way to it yet.
#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
mod none;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod unit;

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
pub use none::Amx;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
pub use unit::Amx;
