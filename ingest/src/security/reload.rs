//! Files that are read again when they change.
//!
//! By their contents, every few seconds, not by their times: a file that is swapped by a link or written
//! twice within a second is noticed alike. A new content that makes no sense leaves the former in force,
//! says so in the log and in a metric, and is tried again when it changes again.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use prometheus::IntCounterVec;
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;

type Make<T> = dyn Fn(&[Vec<u8>]) -> Result<T, String> + Send + Sync;

/// What some files hold, as of their last contents that made sense.
pub struct Reloading<T> {
    /// What it is, as the log and the metric call it.
    what: &'static str,
    files: Vec<PathBuf>,
    make: Box<Make<T>>,
    current: RwLock<Arc<T>>,
    /// Of the contents that were looked at last.
    fingerprint: Mutex<Option<[u8; 32]>>,
}

impl<T> fmt::Debug for Reloading<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not what they hold: it may be secret.
        f.debug_struct("Reloading")
            .field("what", &self.what)
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}

/// What came of looking at the files again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refreshed {
    /// They are as they were.
    Unchanged,
    /// The new contents are in force.
    Renewed,
    /// The new contents make no sense: why. The former are in force.
    Kept(String),
}

impl<T> Reloading<T> {
    /// What `make` makes of the contents of `files`.
    ///
    /// # Errors
    /// They cannot be read or make no sense: at the start there is nothing to go on with.
    pub fn open(
        what: &'static str,
        files: Vec<PathBuf>,
        make: impl Fn(&[Vec<u8>]) -> Result<T, String> + Send + Sync + 'static,
    ) -> Result<Self, String> {
        let (contents, fingerprint) = read(&files)?;
        let current = RwLock::new(Arc::new(make(&contents)?));
        let (make, fingerprint) = (Box::new(make), Mutex::new(Some(fingerprint)));
        Ok(Self { what, files, make, current, fingerprint })
    }

    /// What is in force.
    pub fn get(&self) -> Arc<T> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Something that can look at its files again.
pub trait Refresh: Send + Sync {
    /// What it is.
    fn what(&self) -> &'static str;
    /// Looks.
    fn refresh(&self) -> Refreshed;
}

impl<T: Send + Sync> Refresh for Reloading<T> {
    fn what(&self) -> &'static str {
        self.what
    }

    fn refresh(&self) -> Refreshed {
        let mut last = self.fingerprint.lock().unwrap_or_else(PoisonError::into_inner);
        let made = match read(&self.files) {
            Ok((_, fingerprint)) if *last == Some(fingerprint) => return Refreshed::Unchanged,
            Ok((contents, fingerprint)) => {
                *last = Some(fingerprint);
                (self.make)(&contents)
            }
            // Said once, not every few seconds.
            Err(_) if last.is_none() => return Refreshed::Unchanged,
            Err(error) => {
                *last = None;
                Err(error)
            }
        };
        match made {
            Ok(made) => {
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(made);
                Refreshed::Renewed
            }
            Err(error) => Refreshed::Kept(error),
        }
    }
}

fn read(files: &[PathBuf]) -> Result<(Vec<Vec<u8>>, [u8; 32]), String> {
    let mut hash = Sha256::new();
    let mut contents = Vec::with_capacity(files.len());
    for file in files {
        let content = std::fs::read(file)
            .map_err(|error| format!("cannot read {}: {error}", file.display()))?;
        hash.update(content.len().to_be_bytes());
        hash.update(&content);
        contents.push(content);
    }
    Ok((contents, hash.finalize().into()))
}

/// Looks at all of them every `interval` until `shutdown` fires, and counts what came of it in `reloads`
/// by `what` and `outcome`.
pub async fn follow(
    all: Vec<Arc<dyn Refresh>>,
    interval: Duration,
    reloads: IntCounterVec,
    shutdown: CancellationToken,
) {
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(interval) => {}
        }
        for one in &all {
            let one = Arc::clone(one);
            let what = one.what();
            let Ok(refreshed) = tokio::task::spawn_blocking(move || one.refresh()).await else {
                continue;
            };
            match refreshed {
                Refreshed::Unchanged => {}
                Refreshed::Renewed => {
                    reloads.with_label_values(&[what, "renewed"]).inc();
                    tracing::info!(what, "read again, and in force");
                }
                Refreshed::Kept(problem) => {
                    reloads.with_label_values(&[what, "kept"]).inc();
                    tracing::error!(
                        what,
                        problem,
                        "changed and makes no sense; the former stays in force"
                    );
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_contents_are_in_force_and_senseless_ones_are_not() {
        let file = std::env::temp_dir().join(format!("patchline-reload-{}", std::process::id()));
        let number = |contents: &[Vec<u8>]| -> Result<u32, String> {
            let text = contents.first().map(|text| String::from_utf8_lossy(text).into_owned());
            text.unwrap_or_default().trim().parse().map_err(|_| "no number".to_owned())
        };
        std::fs::write(&file, "1").unwrap();
        let held = Reloading::open("number", vec![file.clone()], number).unwrap();
        assert_eq!((*held.get(), held.refresh()), (1, Refreshed::Unchanged));
        std::fs::write(&file, "2").unwrap();
        assert_eq!((held.refresh(), *held.get()), (Refreshed::Renewed, 2));
        std::fs::write(&file, "x").unwrap();
        assert_eq!(held.refresh(), Refreshed::Kept("no number".to_owned()));
        assert_eq!((held.refresh(), *held.get()), (Refreshed::Unchanged, 2), "said once");
        std::fs::remove_file(&file).unwrap();
        assert!(matches!(held.refresh(), Refreshed::Kept(_)));
        assert_eq!((held.refresh(), *held.get()), (Refreshed::Unchanged, 2));
        std::fs::write(&file, "3").unwrap();
        assert_eq!((held.refresh(), *held.get()), (Refreshed::Renewed, 3));
        std::fs::remove_file(&file).unwrap();
        assert!(Reloading::open("number", vec![file], number).is_err(), "at the start");
    }
}
