//! What the program needs of the board: a clock, its stack and a way to report.

mod clock;
mod report;
mod stack;

pub(crate) use clock::Clock;
pub(crate) use report::Report;
pub(crate) use stack::high_water;
