//! The sink against real engines.
//!
//! Needs `make engines`, Java 17 or later, and `patchline-local` built beside this binary (as
//! `make test` does). `KAFKA_BOOTSTRAP` and `CLICKHOUSE_URL` put existing servers in their place; each
//! test has topics and a database of its own.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a failing test should stop at once; clippy.toml does not reach the helpers here"
)]

mod columns;
mod deployments;
mod fixture;
mod growth;
mod history;
mod json;
mod kills;
mod letters;
mod meaning;
mod migrations;
mod rejects;
mod replay;
