//! Control variates: fitted ones bring the variance down, and leave the expectation alone.

use detfree_core::reference::Heap;
use detfree_core::{
    Activation, BaseDensity, Draw, Key, Moments, Probe, Quantity, Shape, TraceEstimator,
};
use detfree_flows::residual::{
    Estimator, EstimatorChoice, ResidualFlow, ResidualOptions, SeriesSchedule, Tape,
};

type Host = Heap<f64>;

const DIM: usize = 12;
const ROWS: usize = 40;
const DRAWS: u64 = 400;

/// Two blocks x + Wᵀ tanh(W x): their Jacobians are symmetric and positive, so that vᵀJ²v goes with vᵀJv.
fn flow() -> ResidualFlow<Host> {
    let b = Host::new();
    let options = ResidualOptions {
        blocks: 2,
        hidden: vec![10],
        activation: Activation::Tanh,
        lipschitz: 0.8,
        base: BaseDensity::Normal,
    };
    let flow = ResidualFlow::random(&b, DIM, &options, Key::new(5)).unwrap();
    let mut parameters = flow.to_parameters(&b).unwrap();
    for block in &mut parameters.blocks {
        let [first, last] = block.layers.as_mut_slice() else {
            panic!("one hidden layer");
        };
        for (i, weight) in last.weight.iter_mut().enumerate() {
            *weight = first.weight[i % 10 * DIM + i / 10];
        }
    }
    ResidualFlow::from_parameters(&b, DIM, &parameters, BaseDensity::Normal).unwrap()
}

fn tape(flow: &ResidualFlow<Host>, choice: EstimatorChoice) -> Tape<Host> {
    let b = Host::new();
    let widths = flow.widths(&b);
    let estimator = Estimator::choose(choice, Quantity::Value, &widths, 0.8).unwrap();
    Tape::new(&b, flow, Shape::new(ROWS, DIM), estimator).unwrap()
}

fn series(exact_first: bool) -> EstimatorChoice {
    EstimatorChoice::Series {
        schedule: SeriesSchedule::Certified,
        trace: TraceEstimator::new(Probe::Rademacher, 1),
        exact_first,
    }
}

/// Of every row.
fn moments(tape: &mut Tape<Host>, flow: &ResidualFlow<Host>, x: &[f64]) -> Vec<Moments> {
    let mut moments = vec![Moments::default(); ROWS];
    let mut log = [0.0; ROWS];
    for draw in 0..DRAWS {
        let draw = Draw::new(Key::new(7).fold_in(draw));
        tape.log_density(&Host::new(), flow, x, draw, &mut log)
            .unwrap();
        moments.iter_mut().zip(log).for_each(|(m, log)| m.push(log));
    }
    moments
}

#[test]
fn fitted_controls_take_variance_away_and_nothing_else() {
    let (b, flow) = (Host::new(), flow());
    let x: Vec<f64> = (0..ROWS * DIM)
        .map(|i| 0.3 * Key::new(3).normal((i / DIM) as u64, (i % DIM) as u32))
        .collect();
    let mut exact = [0.0; ROWS];
    let draw = Draw::new(Key::new(1));
    tape(&flow, EstimatorChoice::Explicit)
        .log_density(&b, &flow, &x, draw, &mut exact)
        .unwrap();
    let mut tape = tape(&flow, series(true));
    let variance = |moments: &[Moments]| moments.iter().map(Moments::variance).sum::<f64>();
    let without = variance(&moments(&mut tape, &flow, &x));
    let work = tape.fit_controls(&b, &flow, &x, draw).unwrap();
    assert!(work.products > 0);
    assert!(
        tape.controls().iter().all(|c| (0.1..0.6).contains(c)),
        "{:?}",
        tape.controls()
    );
    let with = moments(&mut tape, &flow, &x);
    assert!(
        variance(&with) < without / 3.0,
        "{} {without}",
        variance(&with)
    );
    // All rows together, so that a bias of a third of a row's standard error shows.
    let pairs = with.iter().zip(exact);
    let bias: f64 = pairs.map(|(m, exact)| m.mean() - exact).sum();
    let error = with.iter().map(|m| m.standard_error().powi(2)).sum::<f64>();
    assert!(bias.abs() < 4.0 * error.sqrt(), "{bias} {error}");
}

/// Where tr J comes from the probe there is nothing to fit.
#[test]
fn estimators_without_the_trace_have_no_control() {
    let (b, flow) = (Host::new(), flow());
    let mut tape = tape(&flow, series(false));
    let draw = Draw::new(Key::new(1));
    let work = tape
        .fit_controls(&b, &flow, &[0.1; ROWS * DIM], draw)
        .unwrap();
    assert_eq!((work.products, tape.controls()), (0, &[0.0; 2][..]));
}
