//! The backends of this build.

use std::io::Write;

use crate::failure::Failure;

/// How many threads to use where the user does not say.
pub(crate) fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// `detfree backends`
pub(crate) fn list() -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "faer       available: {} processors, f32 and f64",
        processors()
    )?;
    Ok(())
}
