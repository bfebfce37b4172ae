//! What makes a likelihood of this data mean little.

use crate::args::Fit;
use crate::data::{self, Noise, Table};
use crate::dependent::{dependence_warning, dependent_columns};
use crate::score::noisy_rows;

pub(super) fn warnings(options: &Fit, data: &Table, noise: &Noise) -> Vec<String> {
    let whole = data::integer_columns(data);
    let bare = match noise.columns() {
        [] => whole.as_slice(),
        _ => &[],
    };
    let repeated = data::repeated_columns(data, &whole);
    // In logits no linear combination is left.
    let dependent = match options.logit() {
        None => dependent_columns(&noisy_rows(data, noise), data.dim()),
        Some(_) => Vec::new(),
    };
    let of_columns = [
        (bare, data::integer_warning as fn(&_, &_) -> _),
        (&repeated, data::repeated_warning),
        (&dependent, dependence_warning),
    ];
    let no_noise = options.dequantize && whole.is_empty();
    let no_noise = no_noise.then(|| {
        format!(
            "--dequantize adds noise to columns of whole numbers, and {} has none: leave it out, or \
             multiply rounded columns to whole numbers first",
            data.origin()
        )
    });
    let of_columns = of_columns
        .into_iter()
        .filter(|(columns, _)| !columns.is_empty())
        .map(|(columns, warning)| warning(data, columns));
    no_noise.into_iter().chain(of_columns).collect()
}
