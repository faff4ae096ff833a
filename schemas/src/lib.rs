//! The records that flow through Patchline, and how they look on the wire.
//!
//! The Avro schemas under `avro/<record>/<version>.avsc` are the source of truth. [`record`] holds
//! their Rust types, which borrow from the message they were decoded from; [`codec`] frames and
//! encodes them; [`topic`] names where they go; [`validate`] says which of them make sense, and
//! [`deployment`] when an update deployment starts.

pub mod codec;
pub mod deployment;
mod positional;
pub mod record;
pub mod time;
pub mod topic;
pub mod validate;

pub use codec::{Codec, DecodeError, EncodeError, Record};
pub use record::{
    Advisory, ComputerReport, CustomLog, EnrichedRunProgress, EnrichedScan, EnrichedUpdate, Event,
    Heartbeat, KbFix, OfficeActivity, PackageFix, Report, RunProgress, Scan, Schedule, Summary,
    Update, UpdateDeployment, UpdateState, Verdict, guid_in_lower_case,
};
pub use time::Timestamp;
pub use topic::Topics;
pub use validate::{Invalid, Validate};
