//! A trainer without a flow.

use core::convert::Infallible;
use core::ops::ControlFlow::Continue;

use detfree_core::Error;
use detfree_flows::{FitOptions, Progress, State, StepReport, Stop, Trainer, Training, Validation};

use crate::{Host, OPTIONS, rows};

/// Climbs by its rate, with all of its state in numbers and counts.
struct Counter {
    height: f64,
    best: f64,
    steps: u64,
}

impl Trainer<Host> for Counter {
    fn step(
        &mut self,
        _: &Host,
        batch: &[f64],
        rate: f64,
    ) -> Result<StepReport, Error<Infallible>> {
        self.steps += 1;
        self.height += rate * batch[0] / self.steps as f64;
        Ok(StepReport {
            // Diverges late in the third epoch.
            log_density: if self.steps > 16 { f64::NAN } else { 0.0 },
            ..StepReport::default()
        })
    }

    fn validate(&mut self, _: &Host, _: &[f64]) -> Result<Validation, Error<Infallible>> {
        Ok(Validation {
            mean: self.height,
            standard_error: 0.25,
            drift: None,
        })
    }

    fn keep(&mut self, _: &Host) -> Result<(), Infallible> {
        self.best = self.height;
        Ok(())
    }

    fn visit<E>(
        &mut self,
        mut visit: impl FnMut(State<'_, Host>) -> Result<(), E>,
    ) -> Result<(), E> {
        visit(State::Number(&mut self.height))?;
        visit(State::Number(&mut self.best))?;
        visit(State::Count(&mut self.steps))
    }
}

/// Numbers and counts are saved as well as batches; a standard error is passed on; what diverged says
/// so with or without a break.
#[test]
fn other_trainers() {
    let b = Host::new();
    let (training, validation) = (rows(7), rows(8).values);
    let new = || Counter {
        height: -0.1,
        best: -0.1,
        steps: 0,
    };
    let start = FitOptions {
        epochs: 3,
        ..OPTIONS
    };
    let mut one = new();
    let mut run = Training::new(&mut one, &training, &validation, &start);
    for _ in 0..2 {
        let Progress::Epoch(report) = run.epoch(&b, || Continue(())).unwrap() else {
            panic!("an epoch");
        };
        assert_eq!(report.standard_error, 0.25);
    }
    assert!(!run.has_diverged());
    let saved = run.checkpoint(&b).unwrap();
    assert_eq!(run.epoch(&b, || Continue(())).unwrap(), Progress::Ended);
    assert!(run.has_diverged());
    let report = run.finish(&b).unwrap();
    assert_eq!((report.stop, report.epochs), (Stop::Diverged, 2));

    let mut two = new();
    let mut run = Training::resume(&b, &mut two, &training, &validation, &start, &saved).unwrap();
    assert_eq!(run.epoch(&b, || Continue(())).unwrap(), Progress::Ended);
    assert_eq!(run.finish(&b).unwrap(), report);
    assert_eq!(
        (one.height, one.best, one.steps),
        (two.height, two.best, two.steps)
    );
}
