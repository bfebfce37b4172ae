//! Prints how far log|det W| and W⁻¹ drift from an LU factorisation's when they are followed through many
//! steps of plain relative-gradient ascent, without a refresh.

#![forbid(unsafe_code)]

use clap::Parser;
use detfree::faer::Faer;
use detfree::flows::relative::{FlowTape, Optimiser, OptimiserState, RelativeFlow};
use detfree::{Activation, Allocate, BaseDensity, FlowBackend, Key, Scalar, Shape, Side};
use detfree_benches::turns::Outcome;

/// Prints the drift of what is followed through training.
#[derive(Parser)]
struct Arguments {
    /// Dimensions, each with the rows of a batch.
    #[arg(long, value_delimiter = ',', value_parser = shape, default_value = "50x10,50x100,200x20,784x10")]
    shapes: Vec<Shape>,
    /// Steps.
    #[arg(long, default_value_t = 10_000)]
    steps: u64,
}

/// `DIMxROWS`
fn shape(text: &str) -> Result<Shape, String> {
    let numbers = text.split_once('x').and_then(|(dim, rows)| {
        let (dim, rows): (usize, usize) = (dim.parse().ok()?, rows.parse().ok()?);
        (dim > 0 && rows > 0).then(|| Shape::new(rows, dim))
    });
    numbers.ok_or_else(|| format!("{text}: expected dimensions and rows, as 784x10"))
}

fn main() -> Outcome<()> {
    let arguments = Arguments::parse();
    println!(
        "one layer, plain relative gradient, {} steps; |followed - LU|\n\n\
         type    D    R      step   log|det W| moved   log|det W|   largest of W^-1   halvings\n\
         ----  ---  ---  --------  -----------------  -----------  ----------------  ---------",
        arguments.steps
    );
    for shape in arguments.shapes {
        follow(&Faer::<f64>::sequential(), "f64", shape, arguments.steps)?;
        follow(&Faer::<f32>::sequential(), "f32", shape, arguments.steps)?;
    }
    Ok(())
}

fn follow<B>(b: &B, name: &str, shape: Shape, steps: u64) -> Outcome<()>
where
    B: FlowBackend + Allocate,
    B::Error: core::error::Error + 'static,
{
    let Shape { rows, dim } = shape;
    let (sigma, base) = (Activation::Identity, BaseDensity::HyperbolicSecant);
    let mut flow = RelativeFlow::random(b, dim, 1, sigma, base, Key::new(1))?;
    let mut tape = FlowTape::new(b, &flow, shape, Side::Plain)?;
    let mut state = OptimiserState::new(b, &flow, shape, Optimiser::Sgd, Side::Plain)?;
    let start = flow.log_abs_det(b)?;
    // With few rows a longer step meets singular matrices.
    let rate = (0.2 * rows as f64 / dim as f64).min(0.02);
    let mut shrinks = 0;
    for step in 0..steps {
        let key = Key::new(7).fold_in(step);
        // Sources with heavy tails, on scales of their own.
        let source = |i: usize| {
            let (row, column) = (i / dim, i % dim);
            let normal = key.normal(row as u64, column as u32);
            B::Scalar::from_f64(0.6 * normal * normal.abs() * (1.0 + column as f64 / dim as f64))
        };
        let x: Vec<B::Scalar> = (0..rows * dim).map(source).collect();
        shrinks += state.step(b, &mut flow, &mut tape, &x, rate)?.shrinks;
    }
    let moved = flow.log_abs_det(b)? - start;
    let drift = state.refresh(b, &flow)?.ok_or("nothing was followed")?;
    println!(
        "{name}   {dim:4} {rows:4}  {rate:8.5}  {moved:17.2}  {:11.1e}  {:16.1e}  {shrinks:9}",
        drift.log_det, drift.inverse
    );
    Ok(())
}
