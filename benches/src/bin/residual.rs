//! Times one residual block's log-determinant with its gradient, or a training step of a whole flow,
//! in `f32`.
//!
//! Every result is a line of JSON, of the same form as those of `benches/peers/residual_jax.py` and
//! `benches/peers/residual_normflows.py`. With nothing to measure on the command line it measures what
//! it reads, one name a line: that is how `benches/peers/compare_residual.py` lets them take turns.

#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Parser, ValueEnum};
use detfree::faer::Faer;
use detfree::flows::residual::EstimatorChoice;
use detfree::flows::toy::Toy;
use detfree::{
    Activation, Backend, Key, LogDet, Probe, Quantity, RouletteSchedule, TraceEstimator,
};
use detfree_benches::block::{ACTIVATION, Block, Sums};
use detfree_benches::flow::{self, Course, Plan};
use detfree_benches::problem;
use detfree_benches::quality::Points;
use detfree_benches::turns::{self, Outcome, Times};
use serde::Serialize;

/// The bound that the certified roulette is for.
const LIPSCHITZ: f64 = 0.9;

/// Times a residual block.
#[derive(Parser)]
struct Arguments {
    /// Widths of the block's net, as in 2-128-128-128-2.
    #[arg(long, default_value = "2-64-64-64-2")]
    sizes: Widths,
    /// Rows in a batch.
    #[arg(long, default_value_t = 500)]
    batch: usize,
    /// Terms of a truncated series.
    #[arg(long, default_value_t = 10)]
    terms: u32,
    /// Threads.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Seconds to repeat each measurement for.
    #[arg(long, default_value_t = 0.3)]
    seconds: f64,
    /// Where threads work, instead of the quickest.
    #[arg(long, value_enum)]
    variant: Option<Threading>,
    /// Instead of measuring, train a flow on this toy distribution and score held-out points.
    #[arg(long, value_parser = toy)]
    quality: Option<Toy>,
    /// Steps of that training.
    #[arg(long, default_value_t = 2_000)]
    iterations: usize,
    /// Where to leave its points for peers: training.f32 and held-out.f32.
    #[arg(long)]
    write: Option<PathBuf>,
    /// What to measure; read from standard input if not given.
    #[arg(value_enum)]
    what: Vec<What>,
}

fn toy(name: &str) -> Result<Toy, String> {
    let known = || Toy::ALL.map(Toy::name).join(", ");
    Toy::from_name(name).ok_or_else(|| format!("{name}: expected one of {}", known()))
}

#[derive(Clone)]
struct Widths(Vec<usize>);

impl FromStr for Widths {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let widths: Result<Vec<usize>, _> = text.split('-').map(str::parse).collect();
        match widths {
            Ok(widths) if widths.len() > 2 && widths.first() == widths.last() => Ok(Self(widths)),
            _ => Err(format!("{text}: expected widths such as 2-128-128-128-2")),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
enum What {
    /// Value and gradient, the series truncated.
    Gradient,
    /// Value alone, the series truncated.
    Value,
    /// Value and gradient by certified roulette, the first trace in closed form if it has one.
    Certified,
    /// A training step of eight blocks, with the estimator chosen automatically.
    Step,
    /// The same with certified roulette.
    StepCertified,
}

/// Where the threads are.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Threading {
    /// Each has a shard of the rows.
    Shards,
    /// They share every product.
    Products,
    /// There is one.
    One,
}

#[derive(Serialize)]
struct Report {
    program: &'static str,
    what: What,
    variant: Threading,
    batch: usize,
    threads: usize,
    #[serde(flatten)]
    times: Times,
    value: Option<f64>,
    squares: Vec<f64>,
}

/// What is measured.
struct Measured {
    what: What,
    threading: Threading,
    b: Faer<f32>,
    work: Work,
    /// So far.
    runs: u64,
}

enum Work {
    Value(Block<Faer<f32>>, LogDet),
    Gradient(Block<Faer<f32>>, LogDet),
    Step(Box<Course<Faer<f32>>>, Vec<f32>),
}

impl Arguments {
    fn prepare(&self, what: What, threading: Threading) -> Outcome<Measured> {
        let (b, shards) = match threading {
            Threading::Shards => (Faer::new(self.threads)?, self.threads),
            Threading::Products => (Faer::new(self.threads)?, 1),
            Threading::One => (Faer::sequential(), 1),
        };
        let truncated = || RouletteSchedule::truncated(self.terms);
        let work = match what {
            What::Value => {
                let (block, estimator) = self.block(&b, shards, false, truncated()?)?;
                Work::Value(block, estimator)
            }
            What::Gradient => {
                let (block, estimator) = self.block(&b, shards, false, truncated()?)?;
                Work::Gradient(block, estimator)
            }
            What::Certified => {
                let exact_first = self.sizes.0.len() < 5;
                let schedule = RouletteSchedule::certified(LIPSCHITZ, Quantity::Gradient)?;
                let (block, estimator) = self.block(&b, shards, exact_first, schedule)?;
                Work::Gradient(block, estimator)
            }
            What::Step | What::StepCertified => {
                let estimator = match what {
                    What::Step => EstimatorChoice::Auto,
                    _ => flow::certified(),
                };
                let rows = problem::rows(self.batch, self.sizes.0[0]);
                Work::Step(
                    Box::new(Course::new(&b, &self.plan(estimator, shards))?),
                    rows,
                )
            }
        };
        Ok(Measured {
            what,
            threading,
            b,
            work,
            runs: 0,
        })
    }

    fn block(
        &self,
        b: &Faer<f32>,
        shards: usize,
        exact_first: bool,
        schedule: RouletteSchedule,
    ) -> Outcome<(Block<Faer<f32>>, LogDet)> {
        let block = Block::new(b, &self.sizes.0, self.batch, shards, exact_first)?;
        let trace = TraceEstimator::new(Probe::Rademacher, 1);
        Ok((block, LogDet { schedule, trace }))
    }

    fn plan(&self, estimator: EstimatorChoice, shards: usize) -> Plan {
        Plan {
            widths: self.sizes.0.clone(),
            blocks: flow::BLOCKS,
            activation: match self.quality {
                Some(_) => Activation::Sine,
                None => ACTIVATION,
            },
            estimator,
            batch: self.batch,
            rate: 0.01,
            shards,
        }
    }

    /// The way to use the threads whose undisturbed time is the shortest, over turns.
    fn quickest(&self, what: What) -> Outcome<Measured> {
        let ways = match (self.variant, self.threads) {
            (Some(threading), _) => vec![threading],
            (None, 1) => vec![Threading::One],
            _ => vec![Threading::Shards, Threading::Products, Threading::One],
        };
        let mut tried = Vec::new();
        for threading in ways {
            tried.push((f64::INFINITY, self.prepare(what, threading)?));
        }
        for _ in 0..if tried.len() > 1 { 4 } else { 0 } {
            for (best, measured) in &mut tried {
                // Caches, and packing memory.
                measured.run()?;
                let times = measured.time(self.seconds / 3.0)?;
                *best = best.min(times.low_ms);
            }
        }
        tried.sort_by(|(x, _), (y, _)| x.total_cmp(y));
        let (_, measured) = tried.into_iter().next().ok_or("nothing to measure")?;
        Ok(measured)
    }

    fn measure(&self, measured: &mut Measured) -> Outcome<Report> {
        for _ in 0..3 {
            measured.run()?;
        }
        let times = measured.time(self.seconds)?;
        let sums = measured.sums()?;
        Ok(Report {
            program: "detfree",
            what: measured.what,
            variant: measured.threading,
            batch: self.batch,
            threads: self.threads,
            times,
            value: sums.as_ref().map(|sums| sums.value),
            squares: sums.map_or_else(Vec::new, |sums| sums.squares),
        })
    }
}

impl Measured {
    /// As training does: threads stay at hand from one run to the next.
    fn time(&mut self, seconds: f64) -> Outcome<Times> {
        let b = self.b.clone();
        let repeat = |_: &_| turns::time(seconds, || self.run()).map_err(|error| error.to_string());
        Ok(b.together(usize::MAX, repeat)?)
    }

    fn run(&mut self) -> Outcome<()> {
        self.runs += 1;
        self.draw(Key::new(self.runs))
    }

    fn draw(&mut self, key: Key) -> Outcome<()> {
        let b = &self.b;
        match &mut self.work {
            Work::Value(block, estimator) => block.value(b, *estimator, key)?,
            Work::Gradient(block, estimator) => block.gradient(b, *estimator, key)?,
            Work::Step(course, rows) => course.step(b, rows, 0.5)?,
        }
        Ok(())
    }

    /// Of the draw that peers know.
    fn sums(&mut self) -> Outcome<Option<Sums>> {
        self.draw(Key::new(1))?;
        Ok(match &self.work {
            Work::Value(block, _) | Work::Gradient(block, _) => Some(block.sums(&self.b)?),
            Work::Step(..) => None,
        })
    }
}

fn main() -> Outcome<()> {
    let arguments = Arguments::parse();
    if let Some(toy) = arguments.quality {
        let plan = arguments.plan(EstimatorChoice::Auto, arguments.threads);
        let points = Points::of(toy, arguments.iterations * arguments.batch);
        if let Some(folder) = &arguments.write {
            points.write(folder)?;
        }
        let b = Faer::new(arguments.threads)?;
        return turns::report(&points.train(&b, &plan)?);
    }
    let mut at_hand: Option<Measured> = None;
    for what in turns::names(arguments.what.clone()) {
        let what = what?;
        at_hand = at_hand.filter(|at_hand| at_hand.what == what);
        let measured = match &mut at_hand {
            Some(measured) => measured,
            none => none.insert(arguments.quickest(what)?),
        };
        turns::report(&arguments.measure(measured)?)?;
    }
    Ok(())
}
