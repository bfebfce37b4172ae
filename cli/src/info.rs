//! `detfree info`

use std::io::{self, Write};

use detfree::Activation;
use detfree::flows::residual::{BlockParameters, ResidualParameters};
use detfree::flows::{FlowParameters, Precision, RelativeParameters};

use crate::args::Info;
use crate::data::columns;
use crate::failure::Failure;
use crate::model_file;

pub(crate) fn run(options: &Info) -> Result<(), Failure> {
    let model = model_file::read(&options.model)?;
    let dim = model.dim();
    let precision = match model.precision {
        Precision::Single => "f32",
        Precision::Double => "f64",
    };
    let mut out = io::stdout().lock();
    match &model.flow {
        FlowParameters::Relative(flow) => relative(&mut out, flow, dim, precision)?,
        FlowParameters::Residual(flow) => residual(&mut out, flow, dim, precision)?,
    }
    writeln!(out, "base         {}", model.base.name())?;
    writeln!(out, "seed         {}", model.seed)?;
    writeln!(
        out,
        "dequantised  {} of {}",
        model.dequantized.len(),
        columns(dim)
    )?;
    if let Some(squash) = model.squash {
        let (lambda, levels) = (squash.lambda, squash.levels);
        writeln!(
            out,
            "logit        of {lambda} + (1 - 2*{lambda}) x / {levels}"
        )?;
    }
    writeln!(out, "\n{:<24}{:>14}{:>14}", "column", "mean", "scale")?;
    let standard = &model.standardisation;
    for (j, name) in model.columns.iter().enumerate() {
        let whole = if model.dequantized.contains(&j) {
            "  whole numbers"
        } else {
            ""
        };
        let name = printable(name);
        writeln!(
            out,
            "{name:<24}{:>14.6}{:>14.6}{whole}",
            standard.mean[j], standard.scale[j]
        )?;
    }
    Ok(())
}

/// A name from a file, as a terminal may be given it.
fn printable(name: &str) -> String {
    let escaped = |c: char| match c.is_control() {
        true => c.escape_default().to_string(),
        false => c.to_string(),
    };
    name.chars().map(escaped).collect()
}

fn relative(
    out: &mut impl Write,
    flow: &RelativeParameters,
    dim: usize,
    precision: &str,
) -> io::Result<()> {
    let layers = flow.layers.len();
    let parameters = layers * dim * (dim + 1);
    writeln!(out, "model        relative-gradient flow, exact likelihood")?;
    writeln!(
        out,
        "layers       {layers} of {dim}×{dim}, {parameters} parameters in {precision}"
    )?;
    // As `fit --activation` takes it.
    writeln!(out, "activation   {}", flow.activation)
}

fn residual(
    out: &mut impl Write,
    flow: &ResidualParameters,
    dim: usize,
    precision: &str,
) -> io::Result<()> {
    let numbers = |block: &BlockParameters| {
        let layers = block.layers.iter();
        let weights = layers.map(|layer| layer.weight.len() + layer.bias.len());
        weights.sum::<usize>() + sharpnesses(block).count() + 2 * dim
    };
    let parameters: usize = flow.blocks.iter().map(numbers).sum();
    let widths = flow.blocks.first().map_or_else(String::new, |block| {
        let widths = block.layers.iter().map(|layer| layer.bias.len());
        widths.map(|width| format!("-{width}")).collect()
    });
    let blocks = flow.blocks.len();
    writeln!(out, "model        residual flow, unbiased likelihood")?;
    writeln!(
        out,
        "blocks       {blocks} of {dim}{widths}, {parameters} parameters in {precision}"
    )?;
    writeln!(out, "Lipschitz    at most {} a block", flow.lipschitz)?;
    let name = flow
        .blocks
        .iter()
        .find_map(|block| block.activations.first());
    let name = name.map_or("none", |activation| activation.name());
    let (least, most) = flow
        .blocks
        .iter()
        .flat_map(sharpnesses)
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), beta| {
            (least.min(beta), most.max(beta))
        });
    if least <= most {
        writeln!(
            out,
            "activation   {name}, sharpness {least:.3} to {most:.3}"
        )
    } else {
        writeln!(out, "activation   {name}")
    }
}

/// What a block has learned of its activations.
fn sharpnesses(block: &BlockParameters) -> impl Iterator<Item = f64> + '_ {
    block.activations.iter().filter_map(|sigma| match sigma {
        Activation::LipSwish { beta } => Some(*beta),
        _ => None,
    })
}
