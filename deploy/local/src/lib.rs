//! The parts of the local stack, for the launcher and for the integration tests of the other
//! crates: a real Kafka, a real ClickHouse and the stages between them ([`stack`]), started on loopback,
//! which end with the process that started them; computers that report ([`fleet`], [`sender`]) and the
//! accounts of what became of their reports ([`ledger`]).
//!
//! What starts processes blocks, and may be called from async code as it is in a test and by
//! `spawn_blocking` elsewhere. Sending and asking are async.

pub mod clickhouse;
pub mod engines;
pub mod fleet;
pub mod kafka;
pub mod ledger;
pub mod process;
pub mod sender;
pub mod stack;

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::ops::Range;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use rdkafka::error::KafkaError;

pub use clickhouse::{ClickHouse, ClickHouseOptions};
pub use engines::Engines;
pub use kafka::{Kafka, KafkaOptions};
pub use process::Process;
pub use stack::{Stack, StackOptions, Stage};

/// Why a part of the stack does not run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The engine was never installed, or not wholly.
    #[error(
        "{engine} is not installed in {path}; run `make engines`, or set {variable} to use an existing server"
    )]
    NoEngine {
        /// What is missing.
        engine: &'static str,
        /// Where it should be.
        path: PathBuf,
        /// What to set to do without it.
        variable: &'static str,
    },
    /// A test does not build the binaries of other packages.
    #[error("the binary {program} was not found beside {us}; run `cargo build --workspace --bins`")]
    NoProgram {
        /// What was looked for.
        program: &'static str,
        /// The running program.
        us: PathBuf,
    },
    /// It was asked to end, and did not end well.
    #[error("{name} did not stop cleanly ({status}); the end of {log}:\n{tail}")]
    Unclean {
        /// The process as this crate calls it.
        name: String,
        /// How it ended.
        status: ExitStatus,
        /// Where it logs.
        log: PathBuf,
        /// The last lines of that.
        tail: String,
    },
    /// A request to the broker other than a record's.
    #[error("cannot {action} at {bootstrap}; is it reachable from here?")]
    Kafka {
        /// What was tried.
        action: &'static str,
        /// Where.
        bootstrap: String,
        /// What came of it.
        source: KafkaError,
    },
    /// The program could not be started at all.
    #[error("cannot start {name} by {program:?}; is it installed?")]
    Spawn {
        /// The process as this crate calls it.
        name: String,
        /// The program that was to run.
        program: String,
        /// Why it did not.
        source: io::Error,
    },
    /// It started, and ended when it should not have.
    #[error("{name} ended by itself ({status}); the end of {log}:\n{tail}")]
    Ended {
        /// The process as this crate calls it.
        name: String,
        /// How it ended.
        status: ExitStatus,
        /// Where it logs.
        log: PathBuf,
        /// The last lines of that.
        tail: String,
    },
    /// It runs and does not answer.
    #[error("{name} did not answer within {timeout:?}; the end of {log}:\n{tail}")]
    Silent {
        /// The process as this crate calls it.
        name: String,
        /// How long it was asked.
        timeout: Duration,
        /// Where it logs.
        log: PathBuf,
        /// The last lines of that.
        tail: String,
    },
    /// A file, a directory or a port.
    #[error("cannot {action} {path}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
}

/// What this crate's functions give.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A loopback port that nobody uses now. Somebody may take it before it is bound: whoever binds
/// retries with another.
pub fn free_port() -> Result<u16> {
    let listener = free_listener()?;
    listener.local_addr().map(|address| address.port()).map_err(no_port)
}

/// Picked below the range that outgoing connections take theirs from (32768 and up on Linux): a server
/// that is restarted must find its port free again.
const PORTS: Range<u16> = 20_000..32_000;

fn free_listener() -> Result<TcpListener> {
    let mut error = io::Error::from(io::ErrorKind::AddrInUse);
    for _ in 0..100 {
        // Random, because tests run side by side.
        let random = RandomState::new().build_hasher().finish();
        let width = u64::from(PORTS.end - PORTS.start);
        let port = PORTS.start + u16::try_from(random % width).unwrap_or_default();
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            Ok(listener) => return Ok(listener),
            Err(refused) => error = refused,
        }
    }
    Err(no_port(error))
}

fn no_port(source: io::Error) -> Error {
    Error::Io { action: "find a free port on", path: "127.0.0.1".into(), source }
}

/// Whether a start failed because somebody took the port between our look and its bind.
fn port_was_taken(error: &Error) -> bool {
    match error {
        Error::Io { action: LISTEN, .. } => true,
        Error::Ended { tail, .. } => {
            tail.contains("Address already in use") || tail.contains("cannot listen")
        }
        _ => false,
    }
}

const LISTEN: &str = "listen on";

/// An error if somebody listens on the port. Whoever waits for a server to answer there would take
/// theirs for its own. It is asked by connecting: a listener of ours would live on for a moment in a
/// child that another thread is just forking.
fn require_free(port: u16) -> Result<()> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    match TcpStream::connect_timeout(&address, Duration::from_secs(1)) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        answered => Err(Error::Io {
            action: LISTEN,
            path: format!("127.0.0.1:{port}").into(),
            source: answered.err().unwrap_or_else(|| io::ErrorKind::AddrInUse.into()),
        }),
    }
}

/// Whether the server on a loopback port answers `GET path` with 200. A whole HTTP client for this
/// would be more than the rest.
fn is_ok(port: u16, path: &str) -> bool {
    let ask = || -> io::Result<bool> {
        let timeout = Duration::from_secs(1);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut stream = TcpStream::connect_timeout(&address, timeout)?;
        stream.set_read_timeout(Some(timeout))?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer.starts_with("HTTP/1.1 200"))
    };
    ask().unwrap_or_default()
}

/// A binary of this workspace: a program lies in `target/<profile>`, a test in `deps` below it.
fn program_beside_us(program: &'static str) -> Result<PathBuf> {
    let us = std::env::current_exe().unwrap_or_default();
    us.ancestors()
        .skip(1)
        .take(2)
        .map(|directory| directory.join(program))
        .find(|path| path.is_file())
        .ok_or(Error::NoProgram { program, us })
}
