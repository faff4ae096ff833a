//! The real agent on this computer, against real gateways. Needs a package manager that the agent
//! knows; any system that the project builds on has one.

use std::path::Path;
use std::process::Stdio;

use patchline_schemas::{Codec, Heartbeat, Scan, UpdateState};
use tokio::process::Command;

use crate::security::eventually;
use crate::stack::{Stack, directory, shared_kafka};

fn agent(directory: &Path, gateways: &[&str], arguments: &[&str]) -> Command {
    let file = directory.join("agent.toml");
    let spool = directory.join("spool");
    std::fs::write(&file, format!("[agent]\ngateways = {gateways:?}\nspool_folder = {spool:?}\n"))
        .unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_patchline-agent"));
    command.arg("--config").arg(file).args(arguments).kill_on_drop(true).stdin(Stdio::null());
    command
}

/// Reports that wait: not what is being written, and not what else is kept there.
fn spooled(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory.join("spool")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.ends_with(".json")).collect()
}

fn waits(directory: &Path, kind: &str) -> usize {
    spooled(directory).iter().filter(|name| name.contains(kind)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_agent_reports_this_computer_and_keeps_what_was_not_taken() {
    let directory = directory("agent");
    // Nobody listens: the reports must wait on disk.
    let nobody = format!("http://127.0.0.1:{}", patchline_local::free_port().unwrap());
    let mut running = agent(&directory, &[&nobody], &["--once"]).spawn().unwrap();
    while !directory.join("spool").is_dir() || waits(&directory, "-scan-") == 0 {
        assert!(running.try_wait().unwrap().is_none(), "the agent gave up");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    running.kill().await.unwrap();
    assert_eq!((waits(&directory, "-heartbeat-"), waits(&directory, "-scan-")), (1, 1));

    let stack = Stack::start("agent", &shared_kafka(), "").await;
    let gateway = format!("http://{}", stack.address());
    // The gateway that is away first and last in turn: whichever is the computer's own, it gets there.
    for gateways in [[nobody.as_str(), &gateway], [&gateway, nobody.as_str()]] {
        let ended = agent(&directory, &gateways, &["--once"]).output().await.unwrap();
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
        assert_eq!(spooled(&directory), Vec::<String>::new());
    }

    let printed = agent(&directory, &[&gateway], &["--dry-run"]).output().await.unwrap();
    assert!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
    let printed: Scan<'_> = serde_json::from_slice(&printed.stdout).unwrap();
    assert!(printed.updates.iter().any(|update| update.update_state == UpdateState::NotNeeded));

    let codec = Codec::new().unwrap();
    eventually("all is in Kafka", async || {
        stack.kept(&stack.topics.scans).len() >= 3
            && stack.kept(&stack.topics.heartbeats).len() >= 3
    })
    .await;
    let kept = stack.kept(&stack.topics.scans);
    assert_eq!(kept.len(), 3, "the one that waited, and one of each later run");
    for message in &kept {
        let scan: Scan<'_> = codec.decode(&message.payload).unwrap();
        assert_eq!(message.key, printed.source_computer_id);
        assert_eq!((&scan.computer, &scan.os_type), (&printed.computer, &printed.os_type));
        assert_eq!(scan.updates, printed.updates);
    }
    let kept = stack.kept(&stack.topics.heartbeats);
    let beat: Heartbeat<'_> = codec.decode(&kept[0].payload).unwrap();
    assert_eq!((kept.len(), &beat.computer), (3, &printed.computer));
    assert_eq!((&*beat.category, &*beat.sc_agent_channel), ("Direct Agent", "Direct"));
}

#[tokio::test]
async fn wrong_settings_are_named() {
    let directory = directory("agent-settings");
    let ended = agent(&directory, &["gateway-1"], &["--check-config"]).output().await.unwrap();
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(!ended.status.success() && said.contains("`gateway-1`"), "{said}");
}
