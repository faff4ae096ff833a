//! The local stack against real engines.
//!
//! Needs `make engines`, Java 17 or later, and for the demo the binaries of the other packages (`cargo
//! build --workspace --bins`, which `make test` does first). With `CLICKHOUSE_URL` or `KAFKA_BOOTSTRAP` set, the
//! tests of that engine are left out: they start and kill engines of their own.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "clippy.toml allows these in tests, and takes the helpers here for something else"
)]

mod clickhouse;
mod demo;
mod kafka;
mod process;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// Says so, and answers true, where an existing server takes the engine's place.
fn left_out(variable: &str) -> bool {
    let set = patchline_local::stack::variable(variable).is_some();
    if set {
        eprintln!("left out: {variable} is set, and this test needs an engine of its own to kill");
    }
    set
}

/// A directory for one test, gone with it.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let directory = format!("{name}-{}-{number}", std::process::id());
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(directory);
        std::fs::create_dir_all(&path).unwrap();
        Scratch(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
