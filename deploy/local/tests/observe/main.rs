//! What an operator looks at, against the running local stack: the metrics and their page, the fleet's figures,
//! the alerts in a real Prometheus, the dashboards' queries on the real engines.
//!
//! Needs `make engines`, `deploy/local/engines/prometheus/fetch.sh` and the binaries, as `make test` has them.
//! `UPDATE_DOCS=1` rewrites `docs/metrics.md`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failing test should stop at once; clippy.toml does not reach the helpers here"
)]

mod alerts;
mod dashboards;
mod fleet;
mod metrics;
mod prometheus;
mod world;

use std::path::{Path, PathBuf};

/// A file or folder of the project.
fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// The files of a folder of the project with this ending, sorted.
fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(project(folder)).unwrap();
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|found| found == ending))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{folder} has no *.{ending}");
    files
}
