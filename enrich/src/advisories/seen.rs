//! What URLs answered when they were last imported, so that an unchanged one is neither sent nor read again.
//!
//! What is guaranteed: only what was imported without a fault is remembered, and only for the topic that it
//! was imported into; into another one, or one made anew, everything is fetched.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// How a server names the state of a document.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Validators {
    /// `ETag`.
    pub etag: Option<String>,
    /// `Last-Modified`.
    pub last_modified: Option<String>,
}

/// The states that are in the catalog, by URL.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    /// Id of the topic.
    topic: String,
    urls: BTreeMap<String, Validators>,
}

/// A file of states cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}; without it every URL is fetched", file.display())]
pub struct SeenError {
    action: &'static str,
    file: PathBuf,
    source: io::Error,
}

impl Seen {
    /// What `file` holds about the topic with the id `topic`; nothing if it does not exist or is about another.
    ///
    /// # Errors
    /// It cannot be read, or is no such file.
    pub fn load(file: &Path, topic: &str) -> Result<Self, SeenError> {
        let failed = |source| SeenError { action: "read", file: file.to_owned(), source };
        let none = || Self { topic: topic.to_owned(), urls: BTreeMap::new() };
        let seen: Self = match fs::read(file) {
            Ok(content) => {
                serde_json::from_slice(&content).map_err(|error| failed(error.into()))?
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(none()),
            Err(error) => return Err(failed(error)),
        };
        // A broker without ids cannot tell whether the topic was made anew.
        Ok(if seen.topic == topic && !topic.is_empty() { seen } else { none() })
    }

    /// Replaces `file` as a whole.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn save(&self, file: &Path) -> Result<(), SeenError> {
        let write = || -> io::Result<()> {
            let directory = match file.parent() {
                Some(parent) if !parent.as_os_str().is_empty() => parent,
                _ => Path::new("."),
            };
            fs::create_dir_all(directory)?;
            let mut temporary = tempfile::NamedTempFile::new_in(directory)?;
            serde_json::to_writer_pretty(&mut temporary, self)?;
            temporary.flush()?;
            temporary.persist(file)?;
            Ok(())
        };
        write().map_err(|source| SeenError { action: "write", file: file.to_owned(), source })
    }

    /// The state of `url` that is in the catalog.
    #[must_use]
    pub fn get(&self, url: &str) -> Option<&Validators> {
        self.urls.get(url)
    }

    /// The state of `url` that is in the catalog now; none where nobody can tell.
    pub fn set(&mut self, url: &str, state: Option<Validators>) {
        match state {
            Some(state) => self.urls.insert(url.to_owned(), state),
            None => self.urls.remove(url),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_is_remembered_for_its_topic_only() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("deep/seen.json");
        let mut seen = Seen::load(&file, "one").unwrap();
        let state = Validators { etag: Some("\"1\"".to_owned()), last_modified: None };
        seen.set("https://a", Some(state.clone()));
        seen.set("https://b", Some(state.clone()));
        seen.set("https://b", None);
        seen.save(&file).unwrap();
        let again = Seen::load(&file, "one").unwrap();
        assert_eq!((again.get("https://a"), again.get("https://b")), (Some(&state), None));
        assert_eq!(Seen::load(&file, "other").unwrap().get("https://a"), None);
        fs::write(&file, "{").unwrap();
        assert!(Seen::load(&file, "one").unwrap_err().to_string().starts_with("cannot read"));
    }
}
