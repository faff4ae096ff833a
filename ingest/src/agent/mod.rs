//! The agent: scans its own Linux computer and reports what it finds.
//!
//! It needs no root. What it cannot read it says, and reports the rest; only without the lists of
//! installed and of available packages there is no report, since an empty one would say that nothing
//! is missing.
//!
//! [`system`] is what it sees of the computer, [`os`] and [`packages`] read it, [`reports`] put the
//! reports together, [`progress`] those of what was installed; they wait in the [`spool`] until a gateway has taken them. [`route`] says which
//! gateway that is.

pub mod config;
pub mod gateways;
pub mod os;
pub mod packages;
pub mod progress;
pub mod reports;
pub mod route;
pub mod run;
pub mod spool;
pub mod system;
