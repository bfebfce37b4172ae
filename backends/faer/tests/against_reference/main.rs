//! Every primitive against the reference backend, from the same inputs, in both precisions.
//!
//! The checks are generic over the two backends. Rows outside a range hold NaN where they must not
//! be read and numbers where they must not be written; what is only written starts as NaN.

#![expect(clippy::unwrap_used, reason = "helpers of tests may unwrap like tests")]

mod factorisations;
mod host;
mod operands;
mod passes;
mod products;

use detfree_core::reference::Heap;
use detfree_faer::Faer;

/// Alone, and on two threads, where what is large enough takes the threaded path.
macro_rules! on_faer {
    ($($check:ident in $module:ident),+ $(,)?) => {$(
        #[test]
        fn $check() {
            $module::$check(&Faer::<f32>::sequential(), &Heap::<f32>::new());
            $module::$check(&Faer::<f64>::sequential(), &Heap::<f64>::new());
            $module::$check(&Faer::<f32>::new(2).unwrap(), &Heap::<f32>::new());
        }
    )+};
}

on_faer!(
    shapes_and_copies_round_trip in host,
    fills_agree in host,
    axpy_agrees in host,
    dot_rows_agrees in host,
    row_scaling_agrees in host,
    apply_agrees in products,
    outer_agrees in products,
    sum_rows_agrees in passes,
    hadamard_agrees in passes,
    scale_shift_agrees in passes,
    add_bias_agrees in passes,
    bias_activate_agrees in passes,
    transpose_agrees in passes,
    bijection_agrees in passes,
    inverse_bijection_agrees in passes,
    base_density_agrees in passes,
    adam_agrees in passes,
    determinants_agree in factorisations,
    solutions_agree in factorisations,
    definiteness_agrees in factorisations,
    singular_matrices_are_refused in factorisations,
);
