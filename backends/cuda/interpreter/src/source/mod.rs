//! PTX text as a tree: [`token`] splits it, [`mod@parse`] reads it, [`syntax`] says what comes out.

pub(crate) mod body;
pub(crate) mod parse;
pub(crate) mod syntax;
pub(crate) mod token;

pub(crate) use parse::parse;
pub(crate) use syntax::*;
