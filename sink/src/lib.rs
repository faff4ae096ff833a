//! Kafka to ClickHouse, exactly once.
//!
//! The path of a message: [`consumer`] reads it and hands it to its partition's worker
//! ([`partition`]), which adds its rows to a [`batch`], announces the batch in Kafka
//! ([`intent`]), and inserts its blocks ([`native`], [`tables`]) into ClickHouse ([`store`]). What no
//! table takes becomes a dead letter ([`dead_letters`]), which [`letters`] shows and sends back. [`migrate`] keeps the database's tables.
//! [`fleet`] looks at them from beside, for the operator.

pub mod batch;
pub mod budget;
pub mod config;
pub mod consumer;
pub mod dead_letters;
pub mod fleet;
pub mod intent;
pub mod json;
pub mod letters;
pub mod metrics;
pub mod migrate;
pub mod native;
pub mod partition;
pub mod store;
pub mod tables;
