//! No file that a command writes is another one that it reads or writes.

use std::path::Path;

use crate::failure::Failure;
use crate::model_file::target;

/// A file, and what the command line calls it.
pub(crate) type Named<'a> = (&'static str, &'a Path);

/// Refuses a file to write that is also another one to write, or one to read, under any name that leads
/// to it.
pub(crate) fn expect_distinct(inputs: &[Named<'_>], outputs: &[Named<'_>]) -> Result<(), Failure> {
    for (i, &(name, path)) in outputs.iter().enumerate() {
        let here = target(path);
        let mut others = inputs.iter().chain(&outputs[..i]);
        if let Some((other, _)) = others.find(|(_, other)| target(other) == here) {
            return Err(Failure::Option(format!(
                "{other} and {name} are the same file, {}: expected a file for each",
                path.display()
            )));
        }
    }
    Ok(())
}
