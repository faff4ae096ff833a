//! Classifies every reported update: raw topics in, enriched topics out, in Kafka transactions.
//!
//! What is guaranteed: each raw message leaves as exactly one enriched message or one dead letter,
//! in its partition's order, whatever is killed, restarted or rebalanced in between, for readers
//! that read `read_committed`. [`stage`] says how.
//!
//! A message's way through: [`stage`] collects a batch and opens a transaction, [`transform`] turns
//! each raw message into an enriched one or a rejection: the [`index`] of the catalog gives its
//! [`advice`] on every update, [`classify`] judges by it, [`summary`] sums the scan up.
//!
//! The catalog's way: [`advisories`] imports what vendors publish into a topic, [`follow`] keeps the
//! process's [`index`] of it current, with a [`snapshot`] on disk.

pub mod advice;
pub mod advisories;
pub mod classify;
mod clients;
pub mod config;
mod current;
pub mod follow;
pub mod index;
pub mod metrics;
pub mod reclassify;
pub mod snapshot;
pub mod stage;
pub mod summary;
mod title;
pub mod transform;
mod watchdog;

pub use advice::{Advice, Os};
pub use config::Config;
pub use current::Current;
pub use metrics::Metrics;
pub use stage::{Stage, StageError};
pub use transform::{Class, Rejection, Source, Transform};

/// A scan's updates and verdicts are two lists of some hundred kilobytes, the largest scans' some
/// megabytes: mapping and unmapping them with every message takes a third of the transform's time.
pub const LARGE_BLOCK_BYTES: u32 = 32 * 1024 * 1024;
