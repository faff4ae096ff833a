//! The log-search language that was there before KQL: a filter of conditions side by side, and commands after
//! pipes. Its values have no case, nor have its names.

mod parse;

pub use parse::parse;
