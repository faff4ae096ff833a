//! KQL: its grammar, and the tree that it makes.

mod parse;

pub use parse::parse;
