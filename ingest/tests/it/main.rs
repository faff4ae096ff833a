//! The real gateway in front of a real Kafka.
//!
//! Needs the engine that `make engines` installs (a Java 17+ and Kafka's jars), and strace. The bombs and the
//! flood take a few hundred megabytes of the test's own memory.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "clippy.toml allows these in tests, and takes the helpers here for something else"
)]

mod agent;
mod delivery;
mod groups;
mod openapi;
mod refusals;
mod security;
mod spool;
mod stack;
mod upstream;
mod ways_in;
