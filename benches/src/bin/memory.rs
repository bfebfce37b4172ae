//! Prints the memory that a gradient of a residual flow's log-likelihood takes, against the number of terms
//! and of blocks, in kind like Figure 3 of Chen et al. (2019).

#![forbid(unsafe_code)]

use std::error::Error;

use detfree::faer::Faer;
use detfree::flows::mlp::{Mlp, MlpGradient, MlpTape};
use detfree::flows::residual::{
    Estimator, EstimatorChoice, Gradients, ResidualFlow, ResidualOptions, SeriesSchedule, Sweep,
    Tape,
};
use detfree::{
    Allocate, Backend, BaseDensity, BilinearGradient, DenseBackend, Draw, Fill, Key, Probe,
    Quantity, Shape, TraceEstimator,
};
use detfree_benches::block::ACTIVATION;
use detfree_benches::naive::Naive;
use detfree_benches::problem;
use detfree_benches::turns::Outcome;
use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

const WIDTHS: [usize; 4] = [64, 128, 128, 64];

/// So many that parameters are small beside a batch.
const ROWS: usize = 4096;

const SHAPE: Shape = Shape::new(ROWS, WIDTHS[0]);

/// When the gradients of log-determinants are taken, and how.
#[derive(Clone, Copy)]
enum Way {
    /// The series is differentiated on the way back.
    Naive,
    /// The same on the way forward.
    NaiveForward,
    /// By the Neumann series.
    Neumann(Sweep),
}

const WAYS: [Way; 4] = [
    Way::Naive,
    Way::NaiveForward,
    Way::Neumann(Sweep::Reverse),
    Way::Neumann(Sweep::Forward),
];

fn main() -> Outcome<()> {
    let b = Faer::<f32>::sequential();
    // faer's packing memory, which stays.
    neumann(&b, 1, 1, Sweep::Reverse)?;
    println!(
        "peak memory of one gradient in batches of {ROWS} × {} numbers, nets 64-128-128-64",
        WIDTHS[0]
    );
    let head = "naive   backward in forward   Neumann   both";
    println!("\nterms, of 4 blocks   {head}");
    for terms in [1, 5, 10, 20, 40] {
        row(&b, terms, 4, terms)?;
    }
    println!("\nblocks, of 10 terms  {head}");
    for blocks in [1, 2, 4, 8, 16] {
        row(&b, blocks, blocks, 10)?;
    }
    Ok(())
}

fn row(b: &Faer<f32>, label: usize, blocks: usize, terms: usize) -> Outcome<()> {
    print!("{label:18}");
    for (way, width) in WAYS.into_iter().zip([8, 22, 10, 7]) {
        let batches = match way {
            Way::Naive => differentiated(b, blocks, terms, false),
            Way::NaiveForward => differentiated(b, blocks, terms, true),
            Way::Neumann(sweep) => neumann(b, blocks, terms, sweep),
        };
        print!("{:width$.1}", batches?);
    }
    println!();
    Ok(())
}

/// The most that is allocated at a time beyond what was there before, in batches.
fn peak(work: impl FnOnce() -> Outcome<()>) -> Outcome<f64> {
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    work()?;
    let bytes = MEMORY.peak_usage().saturating_sub(before);
    Ok(bytes as f64 / (ROWS * WIDTHS[0] * size_of::<f32>()) as f64)
}

/// detfree's own.
fn neumann(b: &Faer<f32>, blocks: usize, terms: usize, sweep: Sweep) -> Outcome<f64> {
    let options = ResidualOptions {
        blocks,
        hidden: WIDTHS[1..3].to_vec(),
        activation: ACTIVATION,
        lipschitz: 0.9,
        base: BaseDensity::Normal,
    };
    let flow = ResidualFlow::random(b, WIDTHS[0], &options, Key::new(1))?;
    let choice = EstimatorChoice::Series {
        schedule: SeriesSchedule::Truncated {
            terms: terms as u32,
        },
        trace: TraceEstimator::new(Probe::Rademacher, 1),
        exact_first: false,
    };
    let estimator = Estimator::choose(choice, Quantity::Gradient, &WIDTHS, 0.9)?;
    let rows = problem::rows(ROWS, WIDTHS[0]);
    let (mut log, draw) = (vec![0.0; ROWS], Draw::new(Key::new(2)));
    peak(|| {
        let mut tape = Tape::new(b, &flow, SHAPE, estimator)?;
        let mut gradients = Gradients::new(b, &flow, ROWS, sweep)?;
        tape.gradient(b, &flow, &rows, 1.0, draw, sweep, &mut log, &mut gradients)?;
        Ok(())
    })
}

/// What a block keeps for its way back.
struct Kept<B: Backend> {
    tape: MlpTape<B>,
    naive: Naive<B>,
}

/// The truncated series differentiated.
fn differentiated(b: &Faer<f32>, blocks: usize, terms: usize, in_forward: bool) -> Outcome<f64> {
    let net = |i| Mlp::random(b, &WIDTHS, ACTIVATION, 0.4, Key::new(i as u64));
    let nets = (0..blocks).map(net).collect::<Result<Vec<_>, _>>()?;
    let mut z = b.batch(SHAPE)?;
    b.upload(&problem::rows(ROWS, WIDTHS[0]), &mut z)?;
    peak(|| there_and_back(b, &nets, z, terms, in_forward))
}

/// The gradients of every block: on the way back, for which each keeps its powers and its net's activations,
/// or on the way forward, where all take turns with the same memory.
fn there_and_back<B: DenseBackend + Allocate>(
    b: &B,
    nets: &[Mlp<B>],
    mut z: B::Batch,
    terms: usize,
    in_forward: bool,
) -> Outcome<()>
where
    B::Error: Error + 'static,
{
    let keep = |net: &Mlp<B>| -> Outcome<Kept<B>> {
        Ok(Kept {
            tape: MlpTape::new(b, net, ROWS)?,
            naive: Naive::new(b, SHAPE, terms)?,
        })
    };
    let kept = nets.iter().take(if in_forward { 1 } else { nets.len() });
    let mut kept = kept.map(keep).collect::<Outcome<Vec<_>>>()?;
    let mut gradients = Vec::new();
    let [mut g, mut probe] = [b.batch(SHAPE)?, b.batch(SHAPE)?];
    let mut value = b.rows(ROWS)?;
    let mut inputs = Vec::new();
    for (i, net) in nets.iter().enumerate() {
        let Kept { tape, naive } = &mut kept[if in_forward { 0 } else { i }];
        let mut gradient = MlpGradient::zeros(b, net, ROWS)?;
        let signs = Fill::Rademacher {
            key: Key::new(3).fold_in(i as u64),
            first_row: 0,
            scale: 1.0,
        };
        b.fill(signs, &mut probe)?;
        let mut op = tape.linearise(b, net, &z, &mut g)?;
        naive.value(b, &mut op, &probe, &mut value)?;
        if in_forward {
            naive.gradient(b, &mut op, &mut gradient)?;
            op.finish(b, &mut gradient)?;
        }
        let mut input = b.batch(SHAPE)?;
        b.copy(&z, &mut input)?;
        inputs.push(input);
        gradients.push(gradient);
        b.axpy(0..ROWS, 1.0, &g, &mut z)?;
    }
    // The score of a standard normal.
    let delta = &mut z;
    b.fill_rows(-1.0, &mut value)?;
    b.scale_rows(&value, delta)?;
    for (i, net) in nets.iter().enumerate().rev() {
        let Kept { tape, naive } = &mut kept[if in_forward { 0 } else { i }];
        let mut op = tape.linearise(b, net, &inputs[i], &mut g)?;
        let gradient = &mut gradients[i];
        if !in_forward {
            naive.gradient(b, &mut op, gradient)?;
        }
        op.accumulate_output(b, delta, gradient)?;
        op.finish(b, gradient)?;
        b.axpy(0..ROWS, 1.0, &gradient.input, delta)?;
    }
    Ok(())
}
