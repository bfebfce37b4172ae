//! Which estimator is chosen, what is refused, and what it says of itself.

use detfree_core::{Probe, Quantity, ScheduleError, TraceEstimator};
use detfree_flows::residual::{Estimator, EstimatorChoice, SeriesEstimator, SeriesSchedule};

fn auto(quantity: Quantity, widths: &[usize], lipschitz: f64) -> Estimator {
    Estimator::choose(EstimatorChoice::Auto, quantity, widths, lipschitz).unwrap()
}

fn series(schedule: SeriesSchedule) -> EstimatorChoice {
    EstimatorChoice::Series {
        schedule,
        trace: TraceEstimator::new(Probe::Rademacher, 2),
        exact_first: true,
    }
}

/// E[N] at L = 0.9 is 10 for a gradient beyond the trace, which costs 3 more: as much as explicit
/// Jacobians of 3.25 columns, whose every product is followed by the 3.
#[test]
fn explicit_jacobians_where_they_are_cheaper() {
    let widths = |dim| [dim, 64, 64, dim];
    for dim in [1, 2, 3] {
        assert_eq!(
            auto(Quantity::Gradient, &widths(dim), 0.9),
            Estimator::Explicit
        );
    }
    for dim in [4, 64] {
        let chosen = auto(Quantity::Gradient, &widths(dim), 0.9);
        assert!(matches!(
            chosen,
            Estimator::Series(SeriesEstimator {
                exact_first: true,
                ..
            })
        ));
    }
    // A bound near one makes the series long.
    assert_eq!(
        auto(Quantity::Gradient, &widths(20), 0.99),
        Estimator::Explicit
    );
    // Three hidden layers have no closed trace.
    let chosen = auto(Quantity::Gradient, &[64, 9, 9, 9, 64], 0.9);
    assert!(matches!(
        chosen,
        Estimator::Series(SeriesEstimator {
            exact_first: false,
            ..
        })
    ));
}

#[test]
fn uncertified_schedules_are_refused() {
    let choose = |schedule, lipschitz| {
        Estimator::choose(series(schedule), Quantity::Gradient, &[9, 9, 9], lipschitz)
    };
    let half = SeriesSchedule::Geometric {
        exact: 2,
        continuation: 0.5,
    };
    assert!(choose(half, 0.7).is_ok());
    let refused = choose(half, 0.9);
    assert!(
        matches!(refused, Err(ScheduleError::Uncertified { .. })),
        "{refused:?}"
    );
    // By its name it is taken.
    assert!(choose(SeriesSchedule::Paper, 0.9).is_ok());
    assert!(choose(SeriesSchedule::Truncated { terms: 0 }, 0.9).is_err());
    let never = SeriesSchedule::Poisson {
        exact: 1,
        mean: -1.0,
    };
    assert!(choose(never, 0.9).is_err());
    assert!(choose(SeriesSchedule::Certified, 1.0).is_err());
}

#[test]
fn explanations_say_what_is_done_and_what_it_costs() {
    let widths = [9, 30, 9];
    let explicit = Estimator::Explicit.explain(&widths, 0.9);
    assert!(
        explicit.starts_with("exact") && explicit.contains("9 products"),
        "{explicit}"
    );
    let explain = |schedule| {
        let chosen = Estimator::choose(series(schedule), Quantity::Gradient, &widths, 0.9);
        chosen.unwrap().explain(&widths, 0.9)
    };
    let certified = explain(SeriesSchedule::Certified);
    for piece in [
        "certified for Lipschitz 0.9",
        "closed form",
        "2 probes",
        "20.0 products",
    ] {
        assert!(certified.contains(piece), "{certified}");
    }
    assert!(explain(SeriesSchedule::Paper).contains("not certified"));
    assert!(explain(SeriesSchedule::Truncated { terms: 7 }).contains("7 terms: biased"));
}
