//! Values of options.

use std::time::Duration;

use clap::builder::RangedI64ValueParser;
use detfree::flows::relative::Optimiser;
use detfree::flows::residual::{EstimatorChoice, SeriesSchedule};
use detfree::{Activation, Probe, TraceEstimator};

/// `KIND` or `KIND:X,Y`, as the kind and its numbers.
fn kind(text: &str) -> Result<(&str, Vec<f64>), String> {
    let Some((kind, numbers)) = text.split_once(':') else {
        return Ok((text, Vec::new()));
    };
    let numbers = numbers.split(',').map(str::parse).collect::<Result<_, _>>();
    let numbers = numbers.map_err(|_| format!("expected numbers after `{kind}:`"))?;
    Ok((kind, numbers))
}

pub(super) fn activation(text: &str) -> Result<Activation, String> {
    let (kind, numbers) = kind(text)?;
    let activation = match (kind, &*numbers) {
        ("identity", []) => Activation::Identity,
        ("leaky-softplus", []) => Activation::LeakySoftplus { alpha: 0.3 },
        ("leaky-softplus", &[alpha]) => Activation::LeakySoftplus { alpha },
        ("tanh-linear", []) => Activation::TanhLinear {
            alpha: 1.0,
            beta: 0.1,
        },
        ("tanh-linear", &[alpha, beta]) => Activation::TanhLinear { alpha, beta },
        ("lip-swish", []) => Activation::LipSwish { beta: 1.0 },
        ("lip-swish", &[beta]) => Activation::LipSwish { beta },
        ("elu", []) => Activation::Elu,
        ("sine", []) => Activation::Sine,
        ("tanh", []) => Activation::Tanh,
        _ => {
            return Err(
                "expected leaky-softplus:ALPHA, tanh-linear:ALPHA,BETA, identity, lip-swish:BETA, \
                 elu, sine or tanh"
                    .to_owned(),
            );
        }
    };
    activation.check()?;
    Ok(activation)
}

pub(super) fn optimiser(text: &str) -> Result<Optimiser, String> {
    let (kind, numbers) = kind(text)?;
    match (kind, &*numbers) {
        ("adam", []) => Ok(Optimiser::Adam),
        ("sgd", []) => Ok(Optimiser::Sgd),
        ("momentum", []) => Ok(Optimiser::Momentum { decay: 0.9 }),
        ("momentum", &[decay]) if (0.0..1.0).contains(&decay) => Ok(Optimiser::Momentum { decay }),
        ("momentum", _) => Err("expected one decay of at least 0 and below 1".to_owned()),
        _ => Err("expected adam, sgd or momentum:DECAY".to_owned()),
    }
}

pub(super) fn lambda(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(x) if x > 0.0 && x < 0.5 => Ok(x),
        _ => Err("expected a number between 0 and 0.5, such as 1e-6".to_owned()),
    }
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(time) if time.is_zero() => Err("expected more than no time".to_owned()),
        Ok(time) => Ok(time),
        Err(error) => Err(format!("{error}; expected a time such as 60s or 5m")),
    }
}

pub(super) fn positive(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(x) if x > 0.0 && f64::is_finite(x) => Ok(x),
        _ => Err("expected a positive number".to_owned()),
    }
}

pub(super) fn threads() -> RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..=1024)
}

/// The hidden widths of a net.
#[derive(Clone, Debug)]
pub(crate) struct Widths(pub(crate) Vec<usize>);

pub(super) fn widths(text: &str) -> Result<Widths, String> {
    let widths: Result<Vec<usize>, _> = text.split(',').map(str::parse).collect();
    match widths {
        Ok(widths) if widths.iter().all(|width| (1..=65_536).contains(width)) => Ok(Widths(widths)),
        _ => Err("expected widths from 1 to 65536, such as 64,64".to_owned()),
    }
}

pub(super) fn lipschitz(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(x) if x > 0.0 && x < 1.0 => Ok(x),
        _ => Err(
            "expected a number between 0 and 1, both excluded, such as 0.9: only then is a block \
             invertible, and its log-determinant a series that converges"
                .to_owned(),
        ),
    }
}

pub(super) fn decay(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(x) if (0.0..1.0).contains(&x) => Ok(x),
        _ => Err("expected a decay of at least 0 and below 1, such as 0.999".to_owned()),
    }
}

/// The most terms of a series: at a Lipschitz constant of 0.98 what is left behind them is 10⁻⁹ of the
/// first, and each costs a product in every step.
const MOST_TERMS: u32 = 1000;

/// The largest probability of going on: a thousand terms more are then expected.
const MOST_CONTINUATION: f64 = 0.999;

pub(super) fn estimator(text: &str) -> Result<EstimatorChoice, String> {
    let series = |schedule, probe, exact_first| EstimatorChoice::Series {
        schedule,
        trace: TraceEstimator::new(probe, 1),
        exact_first,
    };
    match text.split_once(':') {
        None if text == "auto" => Ok(EstimatorChoice::Auto),
        None if text == "exact" => Ok(EstimatorChoice::Explicit),
        None if text == "roulette" => {
            Ok(series(SeriesSchedule::Certified, Probe::Rademacher, true))
        }
        None if text == "paper" => Ok(series(SeriesSchedule::Paper, Probe::Gaussian, false)),
        Some(("roulette", numbers)) => {
            let numbers = numbers.split_once(',');
            match numbers.map(|(terms, q)| (terms.parse(), q.parse())) {
                Some((Ok(exact @ ..=MOST_TERMS), Ok(continuation)))
                    if continuation > 0.0 && continuation <= MOST_CONTINUATION =>
                {
                    let schedule = SeriesSchedule::Geometric {
                        exact,
                        continuation,
                    };
                    Ok(series(schedule, Probe::Rademacher, true))
                }
                _ => Err(format!(
                    "expected a number of terms up to {MOST_TERMS} and the probability of going on, \
                     above 0 and up to {MOST_CONTINUATION}, such as roulette:2,0.9"
                )),
            }
        }
        Some(("truncated", terms)) => match terms.parse() {
            Ok(terms @ 1..=MOST_TERMS) => {
                let schedule = SeriesSchedule::Truncated { terms };
                Ok(series(schedule, Probe::Rademacher, true))
            }
            _ => Err(format!(
                "expected a number of terms from 1 to {MOST_TERMS}, such as truncated:10"
            )),
        },
        _ => Err("expected auto, exact, roulette, roulette:N,Q, paper or truncated:N".to_owned()),
    }
}
