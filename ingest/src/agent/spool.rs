//! The agent's own spool: reports wait here, on disk, until a gateway has them.
//!
//! One file a report, written whole and synced before [`Spool::add`] returns, and removed after a
//! gateway's 2xx only. Names sort by age. The folder holds at most a given number of bytes; where a
//! new report does not fit, heartbeats go first, oldest first, since the next one says the same, then
//! the oldest of all: what is given up is logged and counted.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::Serialize;
use uuid::Uuid;

/// What a report is, and with it where it is posted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `POST /v1/scans`
    Scan,
    /// `POST /v1/heartbeats`
    Heartbeat,
    /// `POST /v1/run-progress`
    RunProgress,
}

impl Kind {
    /// Path of its route at a gateway.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::Scan => "/v1/scans",
            Self::Heartbeat => "/v1/heartbeats",
            Self::RunProgress => "/v1/run-progress",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Scan => "scan",
            Self::Heartbeat => "heartbeat",
            Self::RunProgress => "run-progress",
        }
    }
}

/// A report that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Its kind.
    pub kind: Kind,
    path: PathBuf,
    bytes: u64,
}

/// The folder.
#[derive(Debug)]
pub struct Spool {
    folder: PathBuf,
    bytes_max: u64,
    next: u64,
}

impl Spool {
    /// Opens the spool in `folder`, which is made if it is not there. What an interrupted write left is
    /// removed.
    ///
    /// # Errors
    /// The folder cannot be made or read.
    pub fn open(folder: &Path, bytes_max: u64) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let mut spool = Self { folder: folder.to_owned(), bytes_max, next: 0 };
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "part") {
                fs::remove_file(path)?;
            }
        }
        // Numbers go on rising over restarts, so that age is order.
        let newest = spool.waiting()?.last().and_then(|last| number(&last.path));
        spool.next = newest.map_or(0, |newest| newest + 1);
        Ok(spool)
    }

    /// Keeps `report`. On disk when this returns.
    ///
    /// # Errors
    /// The disk takes no more, or the report is larger than the whole spool.
    pub fn add(&mut self, kind: Kind, id: Uuid, report: &impl Serialize) -> io::Result<()> {
        let body = serde_json::to_vec(report)?;
        self.make_room(body.len() as u64)?;
        let name = format!("{:020}-{}-{id}", self.next, kind.name());
        self.next += 1;
        let part = self.folder.join(format!("{name}.part"));
        let mut file = File::create_new(&part)?;
        file.write_all(&body)?;
        file.sync_all()?;
        fs::rename(&part, self.folder.join(format!("{name}.json")))?;
        File::open(&self.folder)?.sync_all()
    }

    /// What waits, oldest first. A file that is none of the spool's is left alone.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn waiting(&self) -> io::Result<Vec<Waiting>> {
        let mut waiting = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let path = entry.path();
            let Some(kind) = kind(&path) else { continue };
            waiting.push(Waiting { kind, bytes: entry.metadata()?.len(), path });
        }
        waiting.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(waiting)
    }

    /// The report's JSON.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(&self, waiting: &Waiting) -> io::Result<Vec<u8>> {
        fs::read(&waiting.path)
    }

    /// Removes what a gateway has, or refused for good.
    ///
    /// # Errors
    /// It cannot be removed; it will be sent again, which does no harm.
    pub fn remove(&self, waiting: &Waiting) -> io::Result<()> {
        fs::remove_file(&waiting.path)
    }

    fn make_room(&self, bytes: u64) -> io::Result<()> {
        if bytes > self.bytes_max {
            let problem = format!("the report has {bytes} bytes, the spool {}", self.bytes_max);
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, problem));
        }
        let waiting = self.waiting()?;
        let mut used: u64 = waiting.iter().map(|report| report.bytes).sum();
        let (heartbeats, others): (Vec<_>, Vec<_>) =
            waiting.iter().partition(|report| report.kind == Kind::Heartbeat);
        for report in heartbeats.into_iter().chain(others) {
            if used + bytes <= self.bytes_max {
                break;
            }
            tracing::warn!(report = %report.path.display(), "the spool is full: a report is given up");
            self.remove(report)?;
            used -= report.bytes;
        }
        Ok(())
    }
}

/// The number that a spooled file's name begins with.
fn number(path: &Path) -> Option<u64> {
    path.file_name()?.to_str()?.split_once('-')?.0.parse().ok()
}

fn kind(path: &Path) -> Option<Kind> {
    let name = path.file_name()?.to_str()?.strip_suffix(".json")?;
    number(path)?;
    let (_, rest) = name.split_once('-')?;
    [Kind::Scan, Kind::Heartbeat, Kind::RunProgress]
        .into_iter()
        .find(|kind| rest.starts_with(kind.name()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let folder =
            std::env::temp_dir().join(format!("patchline-agent-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        folder
    }

    fn kinds(spool: &Spool) -> Vec<Kind> {
        spool.waiting().unwrap().iter().map(|waiting| waiting.kind).collect()
    }

    #[test]
    fn what_was_added_waits_in_order_over_restarts() {
        let folder = folder("order");
        let mut spool = Spool::open(&folder, 1000).unwrap();
        spool.add(Kind::Scan, Uuid::from_u128(2), &"one").unwrap();
        spool.add(Kind::Heartbeat, Uuid::from_u128(1), &"two").unwrap();
        fs::write(folder.join("00000000000000000009-scan-x.part"), "half").unwrap();
        fs::write(folder.join("notes.json"), "not ours").unwrap();
        let mut spool = Spool::open(&folder, 1000).unwrap();
        spool.add(Kind::Scan, Uuid::from_u128(0), &"three").unwrap();
        assert_eq!(kinds(&spool), [Kind::Scan, Kind::Heartbeat, Kind::Scan]);
        let waiting = spool.waiting().unwrap();
        assert_eq!(spool.read(&waiting[2]).unwrap(), b"\"three\"");
        spool.remove(&waiting[0]).unwrap();
        assert_eq!(kinds(&spool), [Kind::Heartbeat, Kind::Scan]);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_full_spool_gives_up_heartbeats_first_and_never_grows() {
        let folder = folder("full");
        let mut spool = Spool::open(&folder, 40).unwrap();
        let text = "eight ch";
        for kind in [Kind::Scan, Kind::Heartbeat, Kind::Heartbeat, Kind::RunProgress] {
            spool.add(kind, Uuid::nil(), &text).unwrap();
        }
        spool.add(Kind::Scan, Uuid::nil(), &text).unwrap();
        assert_eq!(kinds(&spool), [Kind::Scan, Kind::Heartbeat, Kind::RunProgress, Kind::Scan]);
        spool.add(Kind::Scan, Uuid::nil(), &text).unwrap();
        spool.add(Kind::Scan, Uuid::nil(), &text).unwrap();
        assert_eq!(kinds(&spool), [Kind::RunProgress, Kind::Scan, Kind::Scan, Kind::Scan]);
        assert!(number(&spool.waiting().unwrap()[0].path).unwrap() > 0, "the oldest went");
        assert!(spool.add(Kind::Scan, Uuid::nil(), &"x".repeat(50)).is_err());
        assert_eq!(kinds(&spool).len(), 4, "and nothing was given up for it");
        fs::remove_dir_all(folder).unwrap();
    }
}
