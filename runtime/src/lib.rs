//! What every service shares, and nothing of the domain.
//!
//! A service's `main` reads: parse [`Args`], [`config::load`], [`telemetry::init`],
//! [`shutdown::on_signal`], [`admin::serve`], then its own stage, which ends when the shutdown token
//! fires and it has drained.

pub mod admin;
pub mod config;
pub mod heap;
pub mod kafka;
pub mod probe;
pub mod shutdown;
pub mod statistics;
pub mod telemetry;

use std::path::PathBuf;

/// The options that every service takes.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// TOML file with the settings; without it, defaults and the environment count.
    #[arg(long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    /// Read the settings, say whether they are sound, and exit.
    #[arg(long, global = true)]
    pub check_config: bool,
}
