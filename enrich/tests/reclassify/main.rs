//! Late knowledge: the real binary against a real Kafka and a real ClickHouse.
//!
//! Needs `make engines`, Java 17 or later, and `patchline-local` built beside this binary (as
//! `make test` does). `KAFKA_BOOTSTRAP` and `CLICKHOUSE_URL` put existing servers in their place; each
//! test has topics and a database of its own.
//!
//! The random test prints its seed; `SEED=<number>` repeats it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a failing test should stop at once; clippy.toml does not reach the helpers here"
)]

mod kills;
mod meaning;
mod world;
