//! Settings of the spool and of what empties it.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::store::FILE;

/// `[spool]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SpoolConfig {
    /// Where reports wait for Kafka; of one gateway alone, on a disk of the machine's own.
    pub directory: PathBuf,
    /// Bytes of reports that may wait there; beyond them the answer is 503.
    pub quota_bytes: u64,
    /// Bytes kept free for the work on a disk that others have filled.
    pub headroom_bytes: u64,
    /// Bytes of reports that one commit takes; a request is never divided.
    pub group_bytes_max: usize,
    /// Bytes of reports that are sent onwards at a time.
    pub batch_bytes_max: usize,
    /// Bytes a second of what has waited out an outage. Live reports are not held back.
    pub replay_bytes_per_s: u64,
    /// How long the file may be checked at the start.
    pub check_timeout_ms: u32,
}

impl Default for SpoolConfig {
    fn default() -> Self {
        Self {
            directory: PathBuf::from("/var/lib/patchline-gateway/spool"),
            // An hour of some seven hundred ordinary scans a minute, and days of heartbeats.
            quota_bytes: 4 * 1024 * 1024 * 1024,
            // Twice what the write-ahead log takes between two checkpoints.
            headroom_bytes: 32 * 1024 * 1024,
            group_bytes_max: 4 * 1024 * 1024,
            batch_bytes_max: 2 * 1024 * 1024,
            replay_bytes_per_s: 16 * 1024 * 1024,
            check_timeout_ms: 5_000,
        }
    }
}

/// Less would be at its quota all the time.
const QUOTA_BYTES_MIN: u64 = 1024 * 1024;

impl SpoolConfig {
    /// Checks what no single value shows.
    ///
    /// # Errors
    /// Says which value makes no sense and what to change.
    pub fn check(&self) -> Result<(), String> {
        if self.directory.as_os_str().is_empty() {
            return Err(
                "spool.directory is empty; name a directory of this gateway alone".to_owned()
            );
        }
        if self.quota_bytes < QUOTA_BYTES_MIN {
            return Err(format!(
                "spool.quota_bytes = {} is too little to work with; set at least {QUOTA_BYTES_MIN}",
                self.quota_bytes
            ));
        }
        let positive = [
            ("spool.group_bytes_max", self.group_bytes_max as u64),
            ("spool.batch_bytes_max", self.batch_bytes_max as u64),
            ("spool.replay_bytes_per_s", self.replay_bytes_per_s),
        ];
        match positive.iter().find(|(_, value)| *value == 0) {
            Some((key, _)) => Err(format!("{key} = 0 would never move anything")),
            None => Ok(()),
        }
    }

    /// The spool's file.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        self.directory.join(FILE)
    }

    pub(super) fn check_timeout(&self) -> Duration {
        Duration::from_millis(self.check_timeout_ms.into())
    }
}
