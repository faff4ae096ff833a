//! Children: they end when they should, and say why when they should not.

use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use patchline_local::Process;

use crate::Scratch;

const PATIENCE: Duration = Duration::from_secs(10);

fn shell(script: &str, log: &Path) -> Process {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    Process::spawn("the child", command, log).unwrap()
}

fn runs(pid: &str) -> bool {
    Path::new("/proc").join(pid.trim()).exists()
}

#[test]
fn an_early_end_shows_the_logs_last_lines() {
    let scratch = Scratch::new("process");
    let mut child = shell("echo all is lost >&2; exit 3", &scratch.0.join("log"));
    let error = child.wait_until(PATIENCE, || false).unwrap_err().to_string();
    assert!(error.contains("all is lost") && error.contains("exit status: 3"), "{error}");
}

#[test]
fn a_silent_child_is_reported_and_a_stubborn_one_killed() {
    let scratch = Scratch::new("process");
    let log = scratch.0.join("log");
    let mut child = shell("trap '' TERM; echo deaf; while :; do sleep 0.05; done", &log);
    child.wait_until(PATIENCE, || std::fs::read_to_string(&log).unwrap().contains("deaf")).unwrap();
    let error = child.wait_until(Duration::from_millis(20), || false).unwrap_err().to_string();
    assert!(error.contains("did not answer"), "{error}");
    assert!(!child.terminate(Duration::from_millis(50)).unwrap().success());
    assert!(child.check().is_err());
}

/// The kernel's "dies with its parent" means the thread that forked.
#[test]
fn a_child_outlives_the_thread_that_started_it_but_not_its_guard() {
    let scratch = Scratch::new("process");
    let log = scratch.0.join("log");
    let mut child = thread::spawn(move || shell("sleep 1000", &log)).join().unwrap();
    thread::sleep(Duration::from_millis(50));
    child.check().unwrap();
    let pid = child.pid().to_string();
    drop(child);
    assert!(!runs(&pid));
}

/// What the next test runs as a process of its own, to be killed.
#[test]
fn a_parent_to_be_killed() {
    let Some(note) = std::env::var_os("PATCHLINE_TEST_NOTE") else { return };
    let note = Path::new(&note);
    let child = shell("exec sleep 1000", &note.with_extension("log"));
    std::fs::write(note.with_extension("new"), child.pid().to_string()).unwrap();
    std::fs::rename(note.with_extension("new"), note).unwrap();
    thread::sleep(PATIENCE);
}

#[cfg(target_os = "linux")]
#[test]
fn a_child_dies_with_a_killed_parent() {
    let scratch = Scratch::new("process");
    let note = scratch.0.join("note");
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "process::a_parent_to_be_killed"]).env("PATCHLINE_TEST_NOTE", &note);
    let mut parent = Process::spawn("the parent", command, &scratch.0.join("log")).unwrap();
    parent.wait_until(PATIENCE, || note.exists()).unwrap();
    let child = std::fs::read_to_string(&note).unwrap();
    assert!(runs(&child));
    parent.kill().unwrap();
    let deadline = Instant::now() + PATIENCE;
    while runs(&child) {
        assert!(Instant::now() < deadline, "the child lives on");
        thread::sleep(Duration::from_millis(10));
    }
}
