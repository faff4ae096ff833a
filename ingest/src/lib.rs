//! Where reports enter Patchline.
//!
//! [`gateway`] is the management server: it speaks HTTP to agents and management servers and answers
//! 2xx once their reports are in its [`spool`], on its own disk. [`forward`] empties the spool to Kafka by
//! the [`publisher`], which says of each record whether it is durable there, or to another gateway.
//! [`agent`] scans a Linux computer and reports to gateways.

pub mod agent;
pub mod forward;
pub mod gateway;
pub mod groups;
pub mod publisher;
pub mod security;
pub mod spool;

pub use publisher::{Advice, Message, PublishError, Publisher, PublisherConfig};
