//! KQL: its grammar, and the tree that it makes.

mod parse;
mod unsupported;

pub use parse::parse;
