//! The console on a known fleet: its answers against plain code and SQL, and its pages in a headless Chromium.
//!
//! Needs `make engines`, or `CLICKHOUSE_URL`, and Chromium, which `make test` sees to.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failing test should stop at once; clippy.toml does not reach the helpers here"
)]

mod api;
mod browser;
mod facts;
mod failures;
mod pages;
#[path = "../../../../deploy/local/tests/queries/stored.rs"]
mod stored;
mod world;
