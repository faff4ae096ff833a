//! Sends on what can be read of a spool's file that is no longer in use, such as a damaged one.

use std::path::Path;

use tokio::sync::mpsc;

use super::next_hop::{Fate, NextHop};
use super::pace::Backoff;
use crate::spool::{Salvaged, Spooled, StoreError, salvage};

/// Reports that are sent at a time.
const BATCH_BYTES: usize = 1024 * 1024;

/// Batches that are read ahead.
const AHEAD: usize = 2;

/// The file could not be read to its end.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// It is no spool, or too damaged to be opened.
    #[error("the spool cannot be read")]
    Store(#[from] StoreError),
    /// The replay was given up.
    #[error("the replay was broken off; what was sent before is sent again by the next one")]
    BrokenOff,
}

/// Sends every report that can be read of the spool in `file` to `next_hop`, oldest first, and waits until it
/// has all of them. Waits for a next hop that is away. The file is not changed.
///
/// # Errors
/// The file is no spool, or too damaged to be opened.
pub async fn replay(file: &Path, next_hop: &NextHop) -> Result<Salvaged, ReplayError> {
    let (batches, mut read) = mpsc::channel(AHEAD);
    let file = file.to_owned();
    let reading = tokio::task::spawn_blocking(move || {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        let salvaged = salvage(&file, |report| {
            bytes += report.bytes();
            batch.push(report);
            if bytes >= BATCH_BYTES {
                bytes = 0;
                let whole = std::mem::take(&mut batch);
                return batches.blocking_send(whole).map_err(|_| ReplayError::BrokenOff);
            }
            Ok(())
        })?;
        batches.blocking_send(batch).map_err(|_| ReplayError::BrokenOff)?;
        Ok(salvaged)
    });
    while let Some(batch) = read.recv().await {
        send(batch, next_hop).await?;
    }
    reading.await.map_err(|_| ReplayError::BrokenOff)?
}

async fn send(mut batch: Vec<Spooled>, next_hop: &NextHop) -> Result<(), ReplayError> {
    let mut health = next_hop.health();
    let mut backoff = Backoff::default();
    while !batch.is_empty() {
        health.wait_for(Option::is_none).await.map_err(|_| ReplayError::BrokenOff)?;
        let fates = next_hop.send(&batch).await;
        let mut fates = fates.into_iter();
        batch.retain(|_| matches!(fates.next(), Some(Fate::Later(_)) | None));
        if !batch.is_empty() {
            backoff.pause().await;
        }
    }
    Ok(())
}
