//! A file of the spool's own that holds room on the disk, for when others have filled it.
//!
//! A database cannot even delete on a full disk: the deletion has to be written first. Given up, this room
//! is what lets the spool hand on what it has; taken again, it says that there is room for new reports.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// Written at once. A hole in the file would hold no room.
static BLOCK: [u8; 64 * 1024] = [0; 64 * 1024];

/// Less is no room to work with.
const PROBE_BYTES_MIN: u64 = 1024 * 1024;

pub(super) struct Headroom {
    file: PathBuf,
    bytes: u64,
}

impl Headroom {
    pub(super) fn new(file: PathBuf, bytes: u64) -> Self {
        Self { file, bytes }
    }

    /// Takes the room, if it is not held yet.
    ///
    /// # Errors
    /// The disk has not that much; then nothing is held.
    pub(super) fn hold(&self) -> io::Result<()> {
        if fs::metadata(&self.file).is_ok_and(|held| held.len() == self.bytes) {
            return Ok(());
        }
        let held = fill(&self.file, self.bytes);
        if held.is_err() {
            let _ = fs::remove_file(&self.file);
        }
        held
    }

    /// Takes the room, and sees that there is as much again: what was just given up is no sign that others
    /// have left some.
    ///
    /// # Errors
    /// The disk has not that much; then nothing is held.
    pub(super) fn hold_with_as_much_left(&self) -> io::Result<()> {
        self.hold()?;
        let more = self.file.with_extension("probe");
        let fits = fill(&more, self.bytes.max(PROBE_BYTES_MIN));
        let _ = fs::remove_file(&more);
        if fits.is_err() {
            self.release();
        }
        fits
    }

    /// Gives the room up.
    pub(super) fn release(&self) {
        match fs::remove_file(&self.file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(file = %self.file.display(), %error, "cannot give up the spool's headroom");
            }
            _ => {}
        }
    }
}

/// Writes a file of zeros, and syncs it: what is only in memory may meet a full disk later.
fn fill(file: &Path, bytes: u64) -> io::Result<()> {
    let mut file = File::create(file)?;
    let mut left = bytes;
    while left > 0 {
        let now = left.min(BLOCK.len() as u64);
        file.write_all(BLOCK.get(..usize::try_from(now).unwrap_or(BLOCK.len())).unwrap_or(&BLOCK))?;
        left -= now;
    }
    file.sync_all()
}
