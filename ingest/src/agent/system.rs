//! What the agent sees of its computer: programs that it runs and files that it reads.
//!
//! The real computer is [`Local`]; tests put recorded outputs in its place. Nothing here writes, and
//! nothing needs root: what cannot be read is an [`Unreadable`] that the report goes on without.

use std::io::Read as _;
use std::process::Stdio;
use std::time::Duration;

use flate2::read::MultiGzDecoder;
use jiff::tz::TimeZone;
use tokio::process::Command;

/// A package manager that waits for a lock or a mirror would hold up the scan for ever.
const PROGRAM_TIMEOUT: Duration = Duration::from_secs(300);

/// Bytes of a file that are read: the largest is a history of a month, some hundred kilobytes.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Something that a scan wanted and did not get.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {problem}")]
pub struct Unreadable {
    /// The file or the command line.
    pub what: String,
    /// Why not.
    pub problem: String,
}

impl Unreadable {
    pub(super) fn new(what: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { what: what.into(), problem: problem.into() }
    }
}

/// How a program ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Output {
    /// Its exit code.
    pub code: i32,
    /// What it printed; bytes that are no UTF-8 are replaced.
    pub text: String,
}

/// A computer.
pub trait System: Sync {
    /// Runs `program`, found as a shell would, and waits for its end.
    ///
    /// # Errors
    /// It is not installed, did not end in time, or was killed.
    fn run(
        &self,
        program: &str,
        arguments: &[&str],
    ) -> impl Future<Output = Result<Output, Unreadable>> + Send;

    /// The text of the file at `path`, decompressed where it is called `.gz`.
    ///
    /// # Errors
    /// It is not there, or not for this user.
    fn read(&self, path: &str) -> Result<String, Unreadable>;

    /// Whether there is a file at `path`.
    fn exists(&self, path: &str) -> bool;

    /// The zone that its programs write local times in.
    fn time_zone(&self) -> TimeZone {
        TimeZone::UTC
    }
}

/// The computer that the agent runs on.
#[derive(Debug, Clone, Copy, Default)]
pub struct Local;

impl System for Local {
    async fn run(&self, program: &str, arguments: &[&str]) -> Result<Output, Unreadable> {
        let what = || command_line(program, arguments);
        let mut command = Command::new(program);
        // Output is parsed: no translation, no colour, no question.
        command
            .args(arguments)
            .env("LC_ALL", "C.UTF-8")
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        let ended = tokio::time::timeout(PROGRAM_TIMEOUT, command.output())
            .await
            .map_err(|_| Unreadable::new(what(), format!("no end within {PROGRAM_TIMEOUT:?}")))?
            .map_err(|error| Unreadable::new(what(), error.to_string()))?;
        let Some(code) = ended.status.code() else {
            return Err(Unreadable::new(what(), ended.status.to_string()));
        };
        Ok(Output { code, text: String::from_utf8_lossy(&ended.stdout).into_owned() })
    }

    fn read(&self, path: &str) -> Result<String, Unreadable> {
        let read = || {
            let file = std::fs::File::open(path)?;
            let mut bytes = Vec::new();
            if path.ends_with(".gz") {
                MultiGzDecoder::new(file).take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
            } else {
                file.take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
            }
            Ok::<_, std::io::Error>(bytes)
        };
        let bytes = read().map_err(|error| Unreadable::new(path, error.to_string()))?;
        String::from_utf8(bytes).map_err(|error| Unreadable::new(path, error.to_string()))
    }

    fn exists(&self, path: &str) -> bool {
        std::path::Path::new(path).exists()
    }

    fn time_zone(&self) -> TimeZone {
        TimeZone::system()
    }
}

fn command_line(program: &str, arguments: &[&str]) -> String {
    [&[program], arguments].concat().join(" ")
}

/// Runs `program` and takes its text where it ended with one of `codes`.
pub(super) async fn text_of<S: System>(
    system: &S,
    program: &str,
    arguments: &[&str],
    codes: &[i32],
) -> Result<String, Unreadable> {
    let ended = system.run(program, arguments).await?;
    if codes.contains(&ended.code) {
        return Ok(ended.text);
    }
    let problem = format!("ended with {}", ended.code);
    Err(Unreadable::new(command_line(program, arguments), problem))
}

#[cfg(test)]
pub(super) mod recorded {
    //! A computer of recorded outputs.

    use std::collections::HashMap;

    use super::*;

    #[derive(Default)]
    pub(crate) struct Recorded {
        outputs: HashMap<String, Output>,
        files: HashMap<String, String>,
    }

    impl Recorded {
        pub(crate) fn ran(mut self, command: &str, code: i32, text: &str) -> Self {
            self.outputs.insert(command.to_owned(), Output { code, text: text.to_owned() });
            self
        }

        pub(crate) fn file(mut self, path: &str, text: &str) -> Self {
            self.files.insert(path.to_owned(), text.to_owned());
            self
        }
    }

    impl System for Recorded {
        async fn run(&self, program: &str, arguments: &[&str]) -> Result<Output, Unreadable> {
            let what = command_line(program, arguments);
            let found = self.outputs.get(&what).cloned();
            found.ok_or_else(|| Unreadable::new(what, "not installed"))
        }

        fn read(&self, path: &str) -> Result<String, Unreadable> {
            let found = self.files.get(path).cloned();
            found.ok_or_else(|| Unreadable::new(path, "No such file or directory"))
        }

        fn exists(&self, path: &str) -> bool {
            self.files.contains_key(path)
        }
    }
}
