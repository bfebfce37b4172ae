//! What the instructions compute, one lane at a time.

pub(crate) mod approximate;
pub(crate) mod convert;
pub(crate) mod float;
pub(crate) mod integer;
pub(crate) mod rounding;
