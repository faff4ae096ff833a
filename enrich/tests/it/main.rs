//! The real binary against a real Kafka. Needs the Kafka engine of the local stack (`make engines`)
//! and Java; nothing else may be running.
//!
//! The random tests print their seed; `SEED=<number>` repeats one.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a failing test should stop at once"
)]

mod catalog;
mod chaos;
mod fetch;
mod harness;
mod service;
