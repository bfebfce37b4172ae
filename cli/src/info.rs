//! `detfree info`

use std::io::Write;

use detfree::flows::Precision;

use crate::args::Info;
use crate::failure::Failure;
use crate::model_file;

pub(crate) fn run(options: &Info) -> Result<(), Failure> {
    let model = model_file::read(&options.model)?;
    let dim = model.dim();
    let parameters = model.layers.len() * dim * (dim + 1);
    let precision = match model.precision {
        Precision::Single => "f32",
        Precision::Double => "f64",
    };
    let mut out = std::io::stdout().lock();
    writeln!(out, "model        relative-gradient flow, exact likelihood")?;
    writeln!(
        out,
        "layers       {} of {dim}×{dim}, {parameters} parameters in {precision}",
        model.layers.len()
    )?;
    writeln!(out, "activation   {}", model.activation.name())?;
    writeln!(out, "base         {}", model.base.name())?;
    writeln!(out, "seed         {}", model.seed)?;
    writeln!(
        out,
        "dequantised  {} of {dim} columns",
        model.dequantized.len()
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
        writeln!(
            out,
            "{name:<24}{:>14.6}{:>14.6}{whole}",
            standard.mean[j], standard.scale[j]
        )?;
    }
    Ok(())
}
