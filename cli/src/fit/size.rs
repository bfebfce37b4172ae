//! How large a flow may be: more would end the program for want of memory, with no word of why.

use super::settings::{FlowSettings, RelativeSettings, ResidualSettings};
use crate::failure::Failure;

/// A gigabyte in single precision; training takes some ten times as much.
const MOST_PARAMETERS: u128 = 250_000_000;

/// Of a batch behind all layers, which training keeps for its gradient: two gigabytes in single precision.
const MOST_VALUES: u128 = 500_000_000;

const MILLION: u128 = 1_000_000;

/// Of a block's net on `dim` columns, from its input to its output.
pub(super) fn block_widths(dim: usize, hidden: &[usize]) -> Vec<usize> {
    [&[dim], hidden, &[dim]].concat()
}

/// Refuses a flow on `dim` columns, and batches of so many rows, that are larger than any memory.
pub(super) fn expect_size(flow: &FlowSettings, dim: usize, batch: usize) -> Result<(), Failure> {
    let (options, count, widths) = match flow {
        FlowSettings::Relative(RelativeSettings { layers, .. }) => {
            ("--layers", *layers, vec![dim, dim])
        }
        FlowSettings::Residual(ResidualSettings { blocks, hidden, .. }) => {
            let widths = block_widths(dim, hidden);
            ("--blocks or narrower --hidden", *blocks, widths)
        }
    };
    let count = count as u128;
    let widths: Vec<u128> = widths.into_iter().map(|width| width as u128).collect();
    let layers = widths.windows(2).map(|ends| (ends[0] + 1) * ends[1]);
    let parameters = count * layers.sum::<u128>();
    if parameters > MOST_PARAMETERS {
        return Err(Failure::Option(format!(
            "the flow would have {} million parameters, expected at most {} million, which take 1 GB in \
             single precision and ten times that in training: choose fewer {options}",
            parameters / MILLION,
            MOST_PARAMETERS / MILLION
        )));
    }
    let values = batch as u128 * count * widths.iter().skip(1).sum::<u128>();
    if values > MOST_VALUES {
        return Err(Failure::Option(format!(
            "a batch of {batch} rows would have {} million values behind its layers, expected at most {} \
             million, which take 2 GB in single precision: choose a smaller --batch, or fewer {options}",
            values / MILLION,
            MOST_VALUES / MILLION
        )));
    }
    Ok(())
}
