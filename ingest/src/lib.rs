//! Where reports enter Patchline.
//!
//! [`publisher`] writes encoded records to Kafka and says of each batch whether it is durable.
//! [`gateway`] is the management server in front of it: it speaks HTTP to agents and management
//! servers and answers 2xx only after Kafka's acknowledgement. [`agent`] scans a Linux computer and
//! reports to gateways.

pub mod agent;
pub mod gateway;
pub mod groups;
pub mod publisher;
pub mod security;

pub use publisher::{Advice, Message, PublishError, Publisher, PublisherConfig};
