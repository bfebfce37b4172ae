//! Times one gradient, one training step or one epoch of a relative-gradient flow, in `f32`.
//!
//! Every result is a line of JSON, of the same form as those of `benches/peers/relative_jax.py`.
//! With nothing to measure on the command line it measures what it reads, one name a line: that is
//! how `benches/peers/compare.py` lets two programs take turns.

#![forbid(unsafe_code)]

use clap::{Parser, ValueEnum};
use detfree::faer::Faer;
use detfree::{Affine, Allocate, Backend, DenseBackend, Fill, FlowBackend, Op, Shape, Store};
use detfree_benches::inverse::ByInverse;
use detfree_benches::ordinary::{BySolve, InverseTransposed, Ordinary};
use detfree_benches::passes::ACTIVATION;
use detfree_benches::problem;
use detfree_benches::relative::Relative;
use detfree_benches::turns::{self, Outcome, Times};
use peak_alloc::PeakAlloc;
use serde::Serialize;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Small enough for thousands of steps on one batch to leave the weights well conditioned.
const RATE: f64 = 1e-6;

/// Weights above this are shared by threads at any rate, and there is no memory to waste on a trial.
const LARGEST_SHARDED: usize = 256;

/// Seconds of a trial.
const TRIAL: f64 = 0.05;

/// Trials of each way.
const TURNS: usize = 4;

type Batch = detfree::faer::Batch<f32>;

/// Times pieces of training a relative-gradient flow.
#[derive(Parser)]
struct Arguments {
    /// Numbers in a row.
    #[arg(long)]
    dim: usize,
    /// Layers.
    #[arg(long, default_value_t = 2)]
    layers: usize,
    /// Rows in a batch.
    #[arg(long, default_value_t = 100)]
    rows: usize,
    /// Rows in an epoch.
    #[arg(long, default_value_t = 50_000)]
    epoch_rows: usize,
    /// Threads.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Shards that a batch's rows are cut into; whatever a trial finds quicker, if not given.
    #[arg(long)]
    shards: Option<usize>,
    /// Seconds to repeat each measurement for; an epoch runs at least once.
    #[arg(long, default_value_t = 0.3)]
    seconds: f64,
    /// What to measure; read from standard input if not given.
    #[arg(value_enum)]
    what: Vec<What>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
enum What {
    /// The relative gradient of every layer.
    Relative,
    /// The ordinary gradient by explicit inverses.
    Inverse,
    /// The ordinary gradient by LU and solves.
    Solve,
    /// One step of Adam.
    Adam,
    /// Adam steps through an epoch.
    Epoch,
    /// The backend's product of a batch with a weight.
    Plain,
    /// Its product with the transposed weight.
    Transposed,
    /// Its sum of outer products.
    Outer,
    /// Its pass from y to σ(y), slopes and scores.
    Activation,
}

impl What {
    /// How many numbers are kept for every parameter at least: itself, its gradient, its moments.
    const fn least_copies(self) -> usize {
        match self {
            Self::Inverse | Self::Solve => 2,
            // The flow comes with the memory of its optimiser.
            Self::Relative | Self::Adam | Self::Epoch => 4,
            Self::Plain | Self::Transposed | Self::Outer | Self::Activation => 1,
        }
    }
}

#[derive(Serialize)]
struct Report {
    program: &'static str,
    what: What,
    dim: usize,
    rows: usize,
    layers: usize,
    threads: usize,
    #[serde(flatten)]
    times: Times,
    /// Σ ‖direction‖² of a gradient.
    square: Option<f64>,
    /// The most memory that was allocated at a time.
    peak_bytes: Option<usize>,
    least_bytes: usize,
}

/// Something that can be done again and again.
trait Work: Send {
    fn run(&mut self) -> Outcome<()>;

    fn square(&mut self) -> Outcome<Option<f64>> {
        Ok(None)
    }
}

/// A gradient of some kind into memory for it.
struct Gradient<F> {
    b: Faer<f32>,
    rows: Vec<f32>,
    out: Vec<Affine<Batch>>,
    compute: F,
}

impl<F: FnMut(&Faer<f32>, &[f32], &mut [Affine<Batch>]) -> Outcome<()> + Send> Work
    for Gradient<F>
{
    fn run(&mut self) -> Outcome<()> {
        (self.compute)(&self.b, &self.rows, &mut self.out)
    }

    fn square(&mut self) -> Outcome<Option<f64>> {
        Ok(Some(problem::square(&self.b, &self.out)?))
    }
}

/// The relative gradient, which has memory of its own.
struct RelativeWork {
    b: Faer<f32>,
    relative: Relative<Faer<f32>>,
    rows: Vec<f32>,
}

impl Work for RelativeWork {
    fn run(&mut self) -> Outcome<()> {
        self.relative.gradient(&self.b, &self.rows)?;
        Ok(())
    }

    fn square(&mut self) -> Outcome<Option<f64>> {
        let directions = self.relative.gradient(&self.b, &self.rows)?;
        Ok(Some(problem::square(&self.b, directions)?))
    }
}

/// Training steps through rows, as many as there are.
struct Steps {
    b: Faer<f32>,
    relative: Relative<Faer<f32>>,
    rows: Vec<f32>,
    batch: usize,
}

impl Work for Steps {
    fn run(&mut self) -> Outcome<()> {
        for rows in self.rows.chunks_exact(self.batch) {
            self.relative.step(&self.b, rows, RATE)?;
        }
        Ok(())
    }
}

/// A call of the backend.
struct Call<F>(F);

impl<F: FnMut() -> Outcome<()> + Send> Work for Call<F> {
    fn run(&mut self) -> Outcome<()> {
        (self.0)()
    }
}

struct Size {
    b: Faer<f32>,
    shape: Shape,
    layers: usize,
    epoch_rows: usize,
    shards: Option<usize>,
}

impl Size {
    fn prepare(&self, what: What) -> Outcome<Box<dyn Work>> {
        let (b, Shape { rows, dim }) = (&self.b, self.shape);
        match what {
            What::Relative => self.quicker(|shards| {
                Ok(Box::new(RelativeWork {
                    relative: self.relative(shards)?,
                    rows: problem::rows(rows, dim),
                    b: b.clone(),
                }))
            }),
            What::Inverse => self.ordinary(ByInverse::new(dim)),
            What::Solve => self.ordinary(BySolve::new(b, dim)?),
            What::Adam => self.steps(rows),
            What::Epoch => self.steps(self.epoch_rows),
            What::Plain | What::Transposed | What::Outer => self.product(what),
            What::Activation => self.activation(),
        }
    }

    fn relative(&self, shards: usize) -> Outcome<Relative<Faer<f32>>> {
        let layers = problem::layers(self.shape.dim, self.layers);
        Ok(Relative::new(&self.b, &layers, self.shape, shards)?)
    }

    /// The batch whole, or a shard for every thread: as asked for, or what a trial finds quicker.
    fn quicker(&self, prepare: impl Fn(usize) -> Outcome<Box<dyn Work>>) -> Outcome<Box<dyn Work>> {
        let threads = self.b.threads();
        match self.shards {
            Some(shards) => return prepare(shards),
            None if threads == 1 || self.shape.dim > LARGEST_SHARDED => return prepare(1),
            None => {}
        }
        let mut trials = Vec::new();
        for shards in [1, threads] {
            trials.push((f64::INFINITY, prepare(shards)?));
        }
        // In turns, and by the shortest times: other programs disturb these least.
        for _ in 0..TURNS {
            for (best, work) in &mut trials {
                *best = best.min(self.time(TRIAL, work.as_mut())?.low_ms);
            }
        }
        trials.sort_by(|(x, _), (y, _)| y.total_cmp(x));
        let (_, work) = trials.pop().ok_or("no trial")?;
        Ok(work)
    }

    /// As `fit` does: threads stay at hand from one step to the next.
    fn time(&self, seconds: f64, work: &mut dyn Work) -> Outcome<Times> {
        let repeat = |_: &_| turns::time(seconds, || work.run()).map_err(|error| error.to_string());
        Ok(self.b.together(usize::MAX, repeat)?)
    }

    fn ordinary<I: InverseTransposed<Faer<f32>> + Send + 'static>(
        &self,
        inverse: I,
    ) -> Outcome<Box<dyn Work>> {
        let layers = problem::layers(self.shape.dim, self.layers);
        let mut ordinary = Ordinary::new(&self.b, &layers, self.shape, inverse)?;
        self.gradient(move |b, rows, out| Ok(ordinary.gradient(b, rows, out)?))
    }

    fn gradient<F>(&self, compute: F) -> Outcome<Box<dyn Work>>
    where
        F: FnMut(&Faer<f32>, &[f32], &mut [Affine<Batch>]) -> Outcome<()> + Send + 'static,
    {
        let Shape { rows, dim } = self.shape;
        Ok(Box::new(Gradient {
            rows: problem::rows(rows, dim),
            out: problem::directions(&self.b, dim, self.layers)?,
            compute,
            b: self.b.clone(),
        }))
    }

    fn steps(&self, rows: usize) -> Outcome<Box<dyn Work>> {
        let Shape { rows: batch, dim } = self.shape;
        self.quicker(|shards| {
            Ok(Box::new(Steps {
                relative: self.relative(shards)?,
                rows: problem::rows(rows, dim),
                batch: batch * dim,
                b: self.b.clone(),
            }))
        })
    }

    fn product(&self, what: What) -> Outcome<Box<dyn Work>> {
        let Shape { rows, dim } = self.shape;
        let b = self.b.clone();
        let layer = problem::upload(&b, dim, &problem::layers(dim, 1))?.pop();
        let Affine { weight: mut w, .. } = layer.ok_or("no layer")?;
        let (mut x, mut y) = (b.batch(self.shape)?, b.batch(self.shape)?);
        for batch in [&mut x, &mut y] {
            b.upload(&problem::rows(rows, dim), batch)?;
        }
        Ok(Box::new(Call(move || {
            match what {
                What::Outer => b.outer(0..rows, 1.0, &x, &y, Store::Set, &mut w)?,
                What::Transposed => {
                    b.apply(0..rows, &w, Op::Transposed, &x, Store::Set, &mut y)?;
                }
                _ => b.apply(0..rows, &w, Op::Plain, &x, Store::Set, &mut y)?,
            }
            Ok(())
        })))
    }

    fn activation(&self) -> Outcome<Box<dyn Work>> {
        let b = self.b.clone();
        let Shape { rows, dim } = self.shape;
        let (mut y, mut z) = (b.batch(self.shape)?, b.batch(self.shape)?);
        let (mut d1, mut score) = (b.batch(self.shape)?, b.batch(self.shape)?);
        let (mut bias, mut log) = (b.batch(Shape::new(1, dim))?, b.rows(rows)?);
        b.upload(&problem::rows(rows, dim), &mut y)?;
        b.fill(Fill::Constant(0.0), &mut bias)?;
        b.fill_rows(0.0, &mut log)?;
        Ok(Box::new(Call(move || {
            b.bijection(
                ACTIVATION,
                &bias,
                &mut y,
                &mut z,
                &mut d1,
                &mut score,
                Some(&mut log),
            )?;
            Ok(())
        })))
    }

    /// Repeats the work for a while.
    fn measure(
        &self,
        what: What,
        work: &mut dyn Work,
        before: usize,
        seconds: f64,
    ) -> Outcome<Report> {
        let mut peak_bytes = None;
        if what != What::Epoch {
            // Caches, and packing memory.
            MEMORY.reset_peak_usage();
            for _ in 0..3 {
                work.run()?;
            }
            peak_bytes = Some(MEMORY.peak_usage().saturating_sub(before));
        }
        let times = self.time(seconds, work)?;
        let Shape { rows, dim } = self.shape;
        Ok(Report {
            program: "detfree",
            what,
            dim,
            rows,
            layers: self.layers,
            threads: self.b.threads(),
            times,
            square: work.square()?,
            peak_bytes,
            least_bytes: what.least_copies() * self.layers * (dim * dim + dim) * size_of::<f32>(),
        })
    }
}

fn main() -> Outcome<()> {
    let arguments = Arguments::parse();
    let size = Size {
        b: Faer::new(arguments.threads)?,
        shape: Shape::new(arguments.rows, arguments.dim),
        layers: arguments.layers,
        epoch_rows: arguments.epoch_rows,
        shards: arguments.shards,
    };
    let mut at_hand: Option<(What, usize, Box<dyn Work>)> = None;
    for what in turns::names(arguments.what) {
        let what = what?;
        // What was at hand leaves its memory before the next is counted.
        at_hand = at_hand.filter(|(at_hand, ..)| *at_hand == what);
        if at_hand.is_none() {
            let before = MEMORY.current_usage();
            at_hand = Some((what, before, size.prepare(what)?));
        }
        if let Some((_, before, work)) = &mut at_hand {
            let report = size.measure(what, work.as_mut(), *before, arguments.seconds)?;
            turns::report(&report)?;
        }
    }
    Ok(())
}
