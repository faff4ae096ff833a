//! The whole data path as `make demo ONCE=1` runs it, small.

use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::Scratch;

/// Runs a demo to its end; it must exit with 0. Gives what it printed.
fn demo(arguments: &[&str]) -> String {
    let scratch = Scratch::new("demo");
    let output = Command::new(env!("CARGO_BIN_EXE_patchline-local"))
        .args(["demo", "--once", "--free-ports", "--directory"])
        .arg(&scratch.0)
        .args(arguments)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{text}\n{errors}", output.status);
    text
}

/// `name=number` of the ledger line.
fn entry(text: &str, name: &str) -> u64 {
    let line = text.lines().find(|line| line.starts_with("reports sent=")).expect("a ledger line");
    let value = line.split(' ').find_map(|entry| entry.strip_prefix(name)?.strip_prefix('='));
    value.and_then(|value| value.parse().ok()).expect(name)
}

#[test]
fn a_fleets_reports_all_arrive_once_and_bad_clocks_become_dead_letters() {
    let text = demo(&["--computers", "8", "--bad-clocks", "2"]);
    assert!(entry(&text, "sent") > 8 * 3 * 2, "{text}");
    assert_eq!(entry(&text, "dead-lettered"), 2);
    assert_eq!(entry(&text, "stored"), entry(&text, "sent") - 2);
    assert_eq!((entry(&text, "lost"), entry(&text, "doubled")), (0, 0));
    assert!(text.contains("Computers by state") && text.contains("> Type:Update "), "{text}");
}

#[test]
fn a_real_agents_report_goes_through_as_it_is() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let report = root.join("../shared/data/oms/linux_updates_snapshot_619.json");
    if !report.is_file() {
        eprintln!("did not run: {} is not here", report.display());
        return;
    }
    // That `Update` has its 618 packages and no other row is part of exiting with 0.
    let text = demo(&["--report", report.to_str().unwrap()]);
    assert_eq!((entry(&text, "sent"), entry(&text, "stored")), (1, 1));
    let rows = |state: &str| {
        let line = text.lines().find(|line| line.contains(&format!("│ {state} "))).unwrap();
        line.split('│').nth_back(1).unwrap().trim().parse::<u64>().unwrap()
    };
    assert_eq!((rows("Not needed"), rows("Needed")), (598, 20));
}

#[test]
fn a_file_that_no_agent_sent_is_refused_with_what_to_do() {
    let scratch = Scratch::new("report");
    let file = scratch.0.join("report.json");
    std::fs::write(&file, "{\"DataType\": \"SOMETHING_ELSE\", \"DataItems\": []}").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_patchline-local"))
        .args(["demo", "--once", "--free-ports", "--directory"])
        .arg(&scratch.0)
        .arg("--report")
        .arg(&file)
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(error.contains("SOMETHING_ELSE") && error.contains("SNAPSHOT_BLOB"), "{error}");
}

#[test]
fn an_interrupt_ends_a_demo_that_stays_up_and_everything_that_it_started() {
    let scratch = Scratch::new("demo");
    let mut demo = Command::new(env!("CARGO_BIN_EXE_patchline-local"))
        .args(["demo", "--free-ports", "--computers", "2", "--directory"])
        .arg(&scratch.0)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(demo.stdout.take().unwrap()).lines().map(Result::unwrap);
    let shown: Vec<String> = lines.take_while(|line| !line.starts_with("Ctrl-C")).collect();
    let servers: Vec<&str> = shown
        .iter()
        .filter_map(|line| line.split_once("http://")?.1.split(['/', ' ']).next())
        .collect();
    // The console, the gateway, ClickHouse, and the operators' port of each of five services.
    assert_eq!(servers.len(), 8, "{shown:?}");
    assert!(servers.iter().all(|server| TcpStream::connect(server).is_ok()));

    let interrupt = Command::new("kill").args(["-INT", &demo.id().to_string()]).status();
    assert!(interrupt.unwrap().success());
    assert!(demo.wait().unwrap().success());
    assert!(servers.iter().all(|server| TcpStream::connect(server).is_err()));
}
