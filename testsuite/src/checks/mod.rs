//! The registry: every check by its name, for backends that offer as much as it needs.

mod chain;
mod contracts;
mod factorisations;
mod fills;
mod flow;
mod layers;
mod matrix;
mod nets;
mod primitives;
mod products;
mod relative;
mod repetition;
mod residual;
mod series;
mod shards;
mod training;

use std::fmt;

use detfree_core::{Allocate, Backend, DenseBackend, FlowBackend};

use crate::Outcome;

/// One check of a backend.
///
/// ```
/// use detfree_core::reference::Heap;
/// use detfree_testsuite::basic_checks;
/// let checks = basic_checks::<Heap<f64>>();
/// let copy = checks.iter().find(|check| check.name() == "primitives::copy").unwrap();
/// assert!(copy.run(&Heap::new()).is_ok());
/// ```
pub struct Check<B> {
    name: &'static str,
    run: fn(&B) -> Outcome,
    brief: fn(&B) -> Outcome,
}

impl<B> Check<B> {
    /// What the suite's trial is called, after the fixture: `series::enumerated`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The same in a fifth of the steps, to a bound that is smaller with them, where there are
    /// thousands of steps: for a backend that is too slow for all of them.
    #[must_use]
    pub const fn in_brief(self) -> Self {
        Self {
            run: self.brief,
            ..self
        }
    }

    /// Checks this backend.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn run(&self, b: &B) -> Outcome {
        (self.run)(b)
    }
}

impl<B> Clone for Check<B> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<B> Copy for Check<B> {}

impl<B> fmt::Debug for Check<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// `"module::check"` and the check of that name; after a slash, where there is one, the same in brief.
macro_rules! named {
    ($($module:ident :: $check:ident $(/ $brief:ident)?),+ $(,)?) => {
        vec![$(Check {
            name: concat!(stringify!($module), "::", stringify!($check)),
            run: $module::$check::<B>,
            brief: named!(@last $module::$check::<B> $(, $module::$brief::<B>)?),
        }),+]
    };
    (@last $check:expr) => { $check };
    (@last $check:expr, $brief:expr) => { $brief };
}

/// The checks of every backend.
#[must_use]
pub fn basic_checks<B: Backend + Allocate + Sync>() -> Vec<Check<B>> {
    named![
        fills::constants,
        fills::unit_vectors,
        fills::signs,
        fills::walsh,
        fills::normals,
        primitives::shapes_and_transfers,
        primitives::copy,
        primitives::axpy,
        primitives::dot_rows,
        primitives::row_results_scale_and_fill,
        primitives::flush_tiny,
        contracts::primitives,
        series::enumerated,
        series::enumerated_per_row,
        series::rows_run_their_own_terms,
        series::variance,
        series::exact_probes,
        series::exact_first_trace,
        shards::one_piece,
        shards::first_error,
        shards::run_to_run,
    ]
}

/// What a [`DenseBackend`] is checked for beyond [`basic_checks`].
#[must_use]
pub fn dense_checks<B: DenseBackend + Allocate + Sync>() -> Vec<Check<B>> {
    named![
        products::apply,
        products::apply_to_both,
        products::outer,
        products::sum_rows,
        products::hadamard,
        products::scale_shift,
        products::add_bias,
        products::transpose,
        chain::of_products,
        factorisations::log_abs_det,
        factorisations::solve,
        factorisations::singular_is_refused,
        factorisations::definiteness,
        contracts::products,
        flow::bias_activate,
        matrix::products,
        repetition::of_products,
        series::enumerated_on_a_matrix,
        series::exact_probes_on_a_matrix,
        series::certified_samples,
        relative::direction,
        relative::guard_on_an_even_number_of_crossings,
        relative::tracking / tracking_in_brief,
        nets::products,
        nets::log_det_and_gradient,
        nets::exact_first_trace,
    ]
}

/// What a [`FlowBackend`] is checked for beyond [`basic_checks`] and [`dense_checks`].
#[must_use]
pub fn flow_checks<B: FlowBackend + Allocate + Sync>() -> Vec<Check<B>> {
    named![
        flow::bijection,
        flow::inverse_bijection,
        flow::base_density,
        flow::adam,
        flow::relative_adam,
        layers::forward,
        layers::backward,
        layers::direction,
        contracts::flow_passes,
        training::steps,
        training::guarded_steps,
        training::run_to_run,
        residual::exact_gradients,
        residual::roulette_gradients,
        residual::samples,
        residual::run_to_run,
    ]
}
