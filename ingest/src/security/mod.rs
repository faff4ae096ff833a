//! Who sends, and whether it may say what it says.
//!
//! A sender is a [`Subject`]: a computer, a management group, or a gateway of ours. It proves that by a
//! client certificate whose SAN holds the subject's URN ([`tls`]), or by signing each request with a key
//! of its own ([`proof`]), which follows from its workspace's key, so that no gateway needs a list of
//! agents. What a subject may report is judged report by report: a computer for itself, a group for the
//! computers on its allow-list, a gateway for everybody.
//!
//! A signature covers the request's headers and a digest of its compressed bytes. It is therefore judged
//! before a byte of the body is read, and the digest before a byte is decompressed: who has no key costs
//! a gateway the headers.
//!
//! Files with certificates, keys and groups are read again when their contents change ([`reload`]); one
//! that makes no sense leaves the former in force.
//!
//! **For another route** (a relay between gateways): the client signs with [`Credential::sign`] under
//! `Subject::Gateway`, or offers a certificate with that URN; at the server `gateway::guard` has the
//! proven subject, and the digest that the wire bytes must have.

pub(crate) mod client;
pub mod enroll;
pub mod limits;
pub mod proof;
pub mod reload;
mod replay;
pub mod subject;
pub mod tls;

pub use proof::{Credential, Key};
pub use replay::Seen;
pub use subject::Subject;
