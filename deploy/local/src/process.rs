//! A child process that cannot outlive its parent, and whose log says why it ended.
//!
//! Dropped, it is killed; if the parent dies without dropping it, the kernel kills it (Linux). Ctrl-C
//! at the terminal does not reach it there: the parent stops its children in their order.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{LazyLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use crate::{Error, Result};

/// How often a child is looked at while it is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// How much of a log an error shows.
const TAIL_BYTES: u64 = 4096;
const TAIL_LINES: usize = 15;

/// A running child, by the name that its errors use.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command`, its output appended to `log`.
    pub fn spawn(name: &str, mut command: Command, log: &Path) -> Result<Process> {
        let output = open_log(log)?;
        let errors = output.try_clone().map_err(|source| Error::Io {
            action: "share",
            path: log.to_owned(),
            source,
        })?;
        command.stdin(Stdio::null()).stdout(output).stderr(errors);
        let program = command.get_program().to_string_lossy().into_owned();
        let child = spawn_for_good(command).map_err(|source| Error::Spawn {
            name: name.to_owned(),
            program,
            source,
        })?;
        Ok(Process { name: name.to_owned(), child, log: log.to_owned() })
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where its output goes.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// An error if it has ended, for one that should be running.
    pub fn check(&mut self) -> Result<()> {
        match self.try_wait()? {
            None => Ok(()),
            Some(status) => Err(Error::Ended {
                name: self.name.clone(),
                status,
                log: self.log.clone(),
                tail: tail(&self.log),
            }),
        }
    }

    /// Asks `ready` over and over until it says yes; an error if the process ends before, or the
    /// time runs out. `ready` must not block for long.
    pub fn wait_until(&mut self, timeout: Duration, mut ready: impl FnMut() -> bool) -> Result<()> {
        let deadline = Instant::now() + timeout;
        loop {
            self.check()?;
            if ready() {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(Error::Silent {
                    name: self.name.clone(),
                    timeout,
                    log: self.log.clone(),
                    tail: tail(&self.log),
                });
            }
            thread::sleep(LOOK_EVERY);
        }
    }

    /// Waits until it ends by itself.
    pub fn wait(&mut self) -> Result<ExitStatus> {
        self.child.wait().map_err(|source| self.failed("wait for", source))
    }

    /// SIGTERM, and SIGKILL if it still runs after `timeout`.
    pub fn terminate(&mut self, timeout: Duration) -> Result<ExitStatus> {
        if let Some(status) = self.try_wait()? {
            return Ok(status);
        }
        self.signal(libc::SIGTERM)?;
        let deadline = Instant::now() + timeout;
        while Instant::now() < deadline {
            if let Some(status) = self.try_wait()? {
                return Ok(status);
            }
            thread::sleep(LOOK_EVERY);
        }
        self.kill()?;
        self.wait()
    }

    /// SIGKILL: a crash, for tests of crashes. It is gone when this returns.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill().map_err(|source| self.failed("kill", source))?;
        self.wait().map(drop)
    }

    /// Sends it a signal, such as `libc::SIGSTOP`.
    pub fn signal(&self, signal: i32) -> Result<()> {
        let pid = libc::pid_t::try_from(self.pid())
            .map_err(|e| self.failed("signal", io::Error::other(e)))?;
        // SAFETY: no memory is involved. The child is not yet waited for, so the id is still its.
        match unsafe { libc::kill(pid, signal) } {
            0 => Ok(()),
            _ => Err(self.failed("signal", io::Error::last_os_error())),
        }
    }

    /// For one that has ended, but not as it should have.
    pub(crate) fn unclean(&self, status: ExitStatus) -> Error {
        let (name, log) = (self.name.clone(), self.log.clone());
        Error::Unclean { name, status, tail: tail(&log), log }
    }

    fn try_wait(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().map_err(|source| self.failed("look after", source))
    }

    fn failed(&self, action: &'static str, source: io::Error) -> Error {
        Error::Io { action, path: self.name.clone().into(), source }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn open_log(log: &Path) -> Result<File> {
    let open = || {
        if let Some(directory) = log.parent() {
            std::fs::create_dir_all(directory)?;
        }
        OpenOptions::new().create(true).append(true).open(log)
    };
    open().map_err(|source| Error::Io { action: "open the log", path: log.to_owned(), source })
}

/// The last lines of a log; empty if it cannot be read, for an error that has more to say.
pub(crate) fn tail(log: &Path) -> String {
    let read = || -> io::Result<Vec<u8>> {
        let mut file = File::open(log)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let text = String::from_utf8_lossy(&read().unwrap_or_default()).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    lines.get(lines.len().saturating_sub(TAIL_LINES)..).unwrap_or_default().join("\n")
}

type Order = (Command, mpsc::Sender<io::Result<Child>>);

/// The kernel ties "dies with its parent" to the parent *thread*, and test threads and blocking
/// pools come and go: all children are born of one thread that never ends.
fn spawn_for_good(mut command: Command) -> io::Result<Child> {
    static PARENT: LazyLock<mpsc::Sender<Order>> = LazyLock::new(|| {
        let (orders, queue) = mpsc::channel::<Order>();
        thread::spawn(move || {
            for (mut command, answer) in queue {
                // Whoever asked may have gone; the child is then dropped with the answer.
                let _ = answer.send(command.spawn());
            }
        });
        orders
    });
    die_with_parent(&mut command);
    let (answer, answered) = mpsc::channel();
    PARENT.send((command, answer)).map_err(io::Error::other)?;
    answered.recv().map_err(io::Error::other)?
}

#[cfg(target_os = "linux")]
fn die_with_parent(command: &mut Command) {
    use std::os::unix::process::CommandExt;

    command.process_group(0);
    let parent = std::process::id();
    // SAFETY: between fork and exec only async-signal-safe calls are allowed; these two are.
    unsafe {
        command.pre_exec(move || {
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) != 0 {
                return Err(io::Error::last_os_error());
            }
            // The parent may have died before the request above.
            if u32::try_from(libc::getppid()) != Ok(parent) {
                return Err(io::Error::from_raw_os_error(libc::ESRCH));
            }
            Ok(())
        });
    }
}

#[cfg(not(target_os = "linux"))]
fn die_with_parent(_: &mut Command) {}
