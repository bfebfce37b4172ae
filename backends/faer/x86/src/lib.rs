//! Products of `f32` matrices on x86-64, where they are quicker than [faer]'s: in vectors of 512 bits, which read
//! both sides where they lie (`avx512`), and on the matrix unit of processors that have one (`amx`).
//!
//! ```
//! use detfree_x86::Start;
//! use faer::{MatMut, MatRef};
//! let (a, b) = ([1.0, 2.0, 3.0, 4.0], [0.1, 0.0, 0.0, 0.1]);
//! let [a, b] = [&a, &b].map(|x| MatRef::from_row_major_slice(x, 2, 2));
//! let mut out = [0.0; 4];
//! let mut out = MatMut::from_row_major_slice_mut(&mut out, 2, 2);
//! if let Some(matmul) = detfree_x86::quickest(out.rb(), a, b) {
//!     matmul(out.rb_mut(), Start::Zero, a, b, 1.0);
//!     assert!((out.rb() - 0.1 * a).norm_max() < 1e-7);
//! }
//! # use faer::reborrow::{Reborrow, ReborrowMut};
//! ```
#![cfg_attr(
    target_arch = "x86_64",
    expect(
        unsafe_code,
        reason = "tiles are reached by assembly, and matrices of any strides by pointers"
    )
)]

#[cfg(target_arch = "x86_64")]
mod ahead;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
pub mod amx;
#[cfg(target_arch = "x86_64")]
pub mod avx512;
#[cfg(target_arch = "x86_64")]
mod lanes;
#[cfg(target_arch = "x86_64")]
mod output;

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};

/// What a product is added to.
#[derive(Clone, Copy, Debug)]
pub enum Start<'a, T> {
    /// Zero.
    Zero,
    /// What the output holds.
    Here,
    /// A matrix of the output's shape.
    From(MatRef<'a, T>),
}

/// `dst ← start + alpha · lhs · rhs` on the caller's thread.
pub type Matmul = fn(MatMut<'_, f32>, Start<'_, f32>, MatRef<'_, f32>, MatRef<'_, f32>, f32);

/// What was quickest for products like this one, where that was measured, and not faer.
#[must_use]
pub fn quickest(
    dst: MatRef<'_, f32>,
    lhs: MatRef<'_, f32>,
    rhs: MatRef<'_, f32>,
) -> Option<Matmul> {
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    if amx::gains(dst, lhs, rhs) {
        return Some(amx::matmul);
    }
    #[cfg(target_arch = "x86_64")]
    if avx512::gains(dst, lhs, rhs) {
        return Some(avx512::matmul);
    }
    let _ = (dst, lhs, rhs);
    None
}

/// `dst ← start + alpha · lhs · rhs` by faer.
#[cfg(target_arch = "x86_64")]
fn by_faer(
    mut dst: MatMut<'_, f32>,
    start: Start<'_, f32>,
    lhs: MatRef<'_, f32>,
    rhs: MatRef<'_, f32>,
    alpha: f32,
) {
    let accum = match start {
        Start::Zero => Accum::Replace,
        Start::Here => Accum::Add,
        Start::From(x) => {
            dst.copy_from(x);
            Accum::Add
        }
    };
    matmul(dst, accum, lhs, rhs, alpha, Par::Seq);
}
