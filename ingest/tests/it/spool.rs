//! The spool in a real gateway: what was answered with 2xx survives kills, full disks, damage and outages.
//!
//! Needs strace, and for the full disk a user that may mount a tmpfs in a namespace of its own (root, as in
//! CI, or where user namespaces are allowed).

use std::collections::{HashMap, HashSet};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use patchline_runtime::kafka::KafkaConfig;
use patchline_schemas::topic::dead_letter;
use patchline_schemas::{Codec, Heartbeat};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use serde_json::Value;

use crate::stack::{JSON, PARTITIONS, Stack, directory, encode, heartbeat, shared_kafka, snapshot};

/// Nobody listens there.
const NO_KAFKA: &str = "127.0.0.1:1";

/// Posts `count` heartbeats in requests of their own. The ids of their reports.
async fn post_each(stack: &Stack, name: &str, count: usize) -> HashSet<String> {
    let mut ids = HashSet::new();
    for at in 0..count {
        let body = heartbeat(&format!("{name}-{at}")).to_string();
        let answer = stack.post("/v1/heartbeats", &[JSON], body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        ids.insert(answer.json()["reportIds"][0].as_str().unwrap().to_owned());
    }
    ids
}

/// The report ids of the heartbeats in Kafka, and how often each is there.
fn arrived(stack: &Stack) -> HashMap<String, usize> {
    let codec = Codec::new().unwrap();
    let mut arrived = HashMap::new();
    for kept in stack.kept(&stack.topics.heartbeats) {
        let beat: Heartbeat<'_> = codec.decode(&kept.payload).unwrap();
        *arrived.entry(beat.report_id.to_string()).or_default() += 1;
    }
    arrived
}

fn ids(arrived: &HashMap<String, usize>) -> HashSet<String> {
    arrived.keys().cloned().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_killed_between_its_answer_and_kafka_loses_nothing() {
    let mut stack = Stack::start("cut", &shared_kafka(), "").await;
    let command = stack.command(NO_KAFKA);
    stack.gateway.kill().unwrap();
    stack.start_again(command).await;
    let mut sent = post_each(&stack, "first", 50).await;
    for at in 0..3 {
        // In the middle of taking reports, with nothing in Kafka yet.
        sent.extend(post_each(&stack, &format!("round-{at}"), 20).await);
        stack.gateway.kill().unwrap();
        let command = stack.command(NO_KAFKA);
        stack.start_again(command).await;
    }
    let mut second = stack.command(NO_KAFKA);
    second.env("PATCHLINE_GATEWAY__ADMIN__LISTEN", "127.0.0.1:0");
    let two = second.output().unwrap();
    let said = String::from_utf8_lossy(&two.stderr).into_owned();
    assert!(!two.status.success() && said.contains("in use by another gateway"), "{said}");
    let exported = stack.run(&["spool", "export"]);
    let exported = exported.lines().map(|line| {
        let line: Value = serde_json::from_str(line).unwrap();
        line["report"]["ReportId"].as_str().unwrap().to_owned()
    });
    assert_eq!(exported.collect::<HashSet<_>>(), sent, "looked into while it is in use");

    stack.gateway.kill().unwrap();
    let command = stack.command(&shared_kafka());
    stack.start_again(command).await;
    sent.extend(post_each(&stack, "last", 10).await);
    let arrived = arrived(&stack);
    assert_eq!(ids(&arrived), sent);
    assert!(arrived.values().all(|copies| *copies == 1), "nothing was sent before");
}

/// The calls in strace's log, where they end; the halves of one that was interrupted put together again.
fn traced(log: &str) -> Vec<String> {
    let mut begun: HashMap<&str, &str> = HashMap::new();
    let mut calls = Vec::new();
    for line in log.lines() {
        let Some((process, call)) = line.split_once(char::is_whitespace) else { continue };
        let call = call.trim_start();
        if let Some(beginning) = call.strip_suffix("<unfinished ...>") {
            begun.insert(process, beginning);
        } else if call.starts_with("<... ") {
            let Some(beginning) = begun.remove(process) else { continue };
            calls.push(format!("{beginning}{call}"));
        } else {
            calls.push(call.to_owned());
        }
    }
    calls
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_comes_after_a_sync_of_what_it_promises() {
    let mut stack = Stack::start("traced", &shared_kafka(), "").await;
    stack.gateway.terminate(Duration::from_secs(30)).unwrap();
    let plain = stack.command(NO_KAFKA);
    let log = stack.directory.join("strace.log");
    let mut command = Command::new("strace");
    command.args(["-f", "-y", "-s", "64", "-e"]);
    command.arg("trace=pwrite64,fsync,fdatasync,read,recvfrom,write,writev,sendto");
    command.arg("-o").arg(&log).arg(plain.get_program()).args(plain.get_args());
    for (name, value) in plain.get_envs() {
        command.env(name, value.unwrap());
    }
    stack.start_again(command).await;
    // One after the other: each has a commit of its own.
    let sent = post_each(&stack, "traced", 25).await;
    assert_eq!(stack.metric("spool_reports").await, Some(25.0));
    // The gateway, not strace, which ends with it and has written everything by then.
    let strace = stack.gateway.pid();
    let children =
        std::fs::read_to_string(format!("/proc/{strace}/task/{strace}/children")).unwrap();
    let traced_id: libc::pid_t = children.split_whitespace().next().unwrap().parse().unwrap();
    // SAFETY: no memory is involved; strace still waits for it, so the id is still its.
    assert_eq!(unsafe { libc::kill(traced_id, libc::SIGKILL) }, 0);
    tokio::task::block_in_place(|| stack.gateway.wait()).unwrap();

    let log = std::fs::read_to_string(&log).unwrap();
    let (mut asked, mut written, mut synced, mut answers) = (false, false, false, 0);
    for call in traced(&log) {
        let of_the_log = call.contains("/spool.db-wal>");
        if call.contains("POST /v1/heartbeats") {
            (asked, written, synced) = (true, false, false);
        } else if call.starts_with("pwrite64(") && of_the_log {
            (written, synced) = (true, false);
        } else if call.starts_with("fsync(") || call.starts_with("fdatasync(") {
            synced |= of_the_log && written && call.trim_end().ends_with("= 0");
        } else if asked && call.contains("HTTP/1.1 200 OK") {
            assert!(written && synced, "answer {answers} came before its sync:\n{log}");
            answers += 1;
            asked = false;
        }
    }
    assert_eq!(answers, 25, "{log}");

    // And after this power cut all of it is there.
    let command = stack.command(&shared_kafka());
    stack.start_again(command).await;
    assert_eq!(ids(&arrived(&stack)), sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spool_at_its_quota_puts_off_and_drops_nothing() {
    let settings = "retry_after_s = 7\n[spool]\nquota_bytes = 1_100_000\n";
    let mut stack = Stack::start("quota", &shared_kafka(), settings).await;
    let command = stack.command(NO_KAFKA);
    stack.gateway.kill().unwrap();
    stack.start_again(command).await;
    let mut sent = HashSet::new();
    let full = loop {
        let many: Vec<Value> =
            (0..100).map(|at| heartbeat(&format!("{}-{at}", sent.len()))).collect();
        let answer = stack.post("/v1/heartbeats", &[JSON], Value::from(many).to_string()).await;
        if answer.status != 200 {
            break answer;
        }
        let receipt = answer.json();
        sent.extend(
            receipt["reportIds"]
                .as_array()
                .unwrap()
                .iter()
                .map(|id| id.as_str().unwrap().to_owned()),
        );
    };
    assert_eq!((full.status.as_u16(), full.header("retry-after")), (503, "7"), "{full:?}");
    assert!(full.json()["detail"].as_str().unwrap().contains("spool.quota_bytes"), "{full:?}");
    assert!(sent.len() > 1000, "{}", sent.len());
    assert_eq!(stack.ready().await.unwrap().status, 503);
    let scan = stack.post("/v1/scans", &[JSON], vec![b' '; 100]).await;
    assert!(matches!(scan.status.as_u16(), 400 | 503), "{scan:?}");

    stack.gateway.kill().unwrap();
    let kafka = stack.command(&shared_kafka());
    stack.gateway =
        patchline_local::Process::spawn("the gateway", kafka, &stack.directory.join("gateway.log"))
            .unwrap();
    // Full at its start, and ready by itself once Kafka has taken enough.
    stack.wait_until_ready().await;
    sent.extend(post_each(&stack, "after", 5).await);
    assert_eq!(ids(&arrived(&stack)), sent);
}

/// A gateway in a mount namespace of its own, where its spool is a small disk. Fills and frees that disk.
struct SmallDisk {
    stack: Stack,
    filler: PathBuf,
}

impl SmallDisk {
    async fn start(name: &str, bootstrap: &str, megabytes: u32) -> Self {
        let settings = "[spool]\nheadroom_bytes = 4_000_000\n";
        let mut stack = Stack::start(name, bootstrap, settings).await;
        stack.gateway.terminate(Duration::from_secs(30)).unwrap();
        let spool = stack.directory.join("spool");
        let plain = stack.command(bootstrap);
        let mut command = Command::new("unshare");
        command
            .args(["--map-root-user", "--mount", "sh", "-ec"])
            .arg("mount -t tmpfs -o size=\"$1\" tmpfs \"$2\"; shift 2; exec \"$@\"");
        command.arg("sh").arg(format!("{megabytes}m")).arg(&spool);
        command.arg(plain.get_program()).args(plain.get_args());
        for (key, value) in plain.get_envs() {
            command.env(key, value.unwrap());
        }
        stack.start_again(command).await;
        // The disk is seen through the process that has it.
        let root = PathBuf::from(format!("/proc/{}/root", stack.gateway.pid()));
        let filler = root.join(spool.strip_prefix("/").unwrap()).join("somebody-elses");
        Self { stack, filler }
    }

    fn fill(&self) {
        let mut file =
            std::fs::OpenOptions::new().create(true).append(true).open(&self.filler).unwrap();
        while file.write_all(&[1; 4096]).is_ok() {}
    }

    fn free(&self) {
        std::fs::remove_file(&self.filler).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_puts_off_and_once_freed_the_gateway_works_on_by_itself() {
    let disk = SmallDisk::start("full-disk", &shared_kafka(), 24).await;
    let stack = &disk.stack;
    let mut sent = post_each(stack, "before", 20).await;
    disk.fill();
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut at = 0;
    let refused = loop {
        let body = heartbeat(&format!("meanwhile-{at}")).to_string();
        let answer = stack.post("/v1/heartbeats", &[JSON], body).await;
        if answer.status != 200 {
            break answer;
        }
        sent.insert(answer.json()["reportIds"][0].as_str().unwrap().to_owned());
        at += 1;
        // The log that is there already can be written again for a while.
        assert!(Instant::now() < deadline, "{at} taken on a full disk");
    };
    assert_eq!(refused.status, 503, "{refused:?}");
    assert_eq!(refused.header("retry-after"), "5");
    assert!(
        refused.json()["detail"].as_str().unwrap().contains("cannot be written"),
        "{refused:?}"
    );
    assert_eq!(stack.ready().await.unwrap().status, 503);
    // Others take what the gateway gave up, too: still it neither ends nor forgets.
    disk.fill();
    stack.wait_for("spool_writable", |writable| writable == 0.0).await;

    disk.free();
    stack.wait_until_ready().await;
    sent.extend(post_each(stack, "after", 20).await);
    assert_eq!(ids(&arrived(stack)), sent);
}

/// Writes garbage into the middle of a file.
fn damage(file: &Path, from: u64, bytes: usize) {
    let mut file = std::fs::OpenOptions::new().read(true).write(true).open(file).unwrap();
    file.seek(SeekFrom::Start(from)).unwrap();
    let mut there = vec![0; bytes];
    file.read_exact(&mut there).unwrap();
    there.iter_mut().for_each(|byte| *byte ^= 0x5a);
    file.seek(SeekFrom::Start(from)).unwrap();
    file.write_all(&there).unwrap();
}

fn set_aside(stack: &Stack) -> Vec<PathBuf> {
    let mut aside: Vec<PathBuf> = std::fs::read_dir(stack.directory.join("spool"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            let name = path.file_name().unwrap().to_string_lossy();
            name.contains(".corrupt-") && !name.ends_with("-wal") && !name.ends_with("-shm")
        })
        .collect();
    aside.sort();
    aside
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_spool_is_set_aside_and_what_can_be_read_of_it_is_replayed() {
    let mut stack = Stack::start("damaged", &shared_kafka(), "").await;
    let command = stack.command(NO_KAFKA);
    stack.gateway.terminate(Duration::from_secs(30)).unwrap();
    stack.start_again(command).await;
    let sent = post_each(&stack, "old", 300).await;
    stack.gateway.terminate(Duration::from_secs(30)).unwrap();
    let file = stack.directory.join("spool").join("spool.db");
    // One page in the middle: some reports are gone, the file can be opened.
    damage(&file, 8192 * 7, 8192);
    let command = stack.command(NO_KAFKA);
    stack.start_again(command).await;
    assert_eq!(stack.metric("spool_corrupt_files_total").await, Some(1.0));
    post_each(&stack, "lost", 10).await;

    // No database at all any more.
    stack.gateway.terminate(Duration::from_secs(30)).unwrap();
    damage(&file, 0, 8192);
    let command = stack.command(&shared_kafka());
    stack.start_again(command).await;
    assert_eq!(stack.metric("spool_corrupt_files_total").await, Some(1.0), "of this process");
    let newer = post_each(&stack, "newer", 10).await;
    assert_eq!(ids(&arrived(&stack)), newer);

    let [damaged, destroyed] = &set_aside(&stack)[..] else { panic!("{:?}", set_aside(&stack)) };
    let inspected = stack.run(&["spool", "inspect", damaged.to_str().unwrap()]);
    let replayed = stack.run(&["spool", "replay", damaged.to_str().unwrap()]);
    eprint!("{inspected}{replayed}");
    let arrived = ids(&arrived(&stack));
    let salvaged: HashSet<&String> = arrived.difference(&newer).collect();
    assert!(salvaged.len() < 300 && salvaged.len() > 200, "{} salvaged", salvaged.len());
    assert!(salvaged.iter().all(|id| sent.contains(*id)));
    let (read, lost) = (salvaged.len(), 300 - salvaged.len());
    assert_eq!(replayed, format!("{read} reports sent, {lost} unreadable\n"));
    assert!(inspected.contains(&format!("heartbeat: {read} reports")), "{inspected}");

    let mut command = stack.command(&shared_kafka());
    let output = command.args(["spool", "replay"]).arg(destroyed).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("cannot be read"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn live_reports_do_not_wait_for_the_replay_of_an_outage() {
    let settings = "[spool]\nbatch_bytes_max = 20_000\nreplay_bytes_per_s = 60_000\n";
    let mut stack = Stack::start("paced", &shared_kafka(), settings).await;
    let command = stack.command(NO_KAFKA);
    stack.gateway.kill().unwrap();
    stack.start_again(command).await;
    let mut sent = post_each(&stack, "during", 1).await;
    let many: Vec<Value> = (0..2000).map(|at| heartbeat(&format!("backlog-{at}"))).collect();
    let answer = stack.post("/v1/heartbeats", &[JSON], Value::from(many).to_string()).await;
    let receipt = answer.json();
    sent.extend(
        receipt["reportIds"].as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()),
    );
    stack.gateway.kill().unwrap();
    let command = stack.command(&shared_kafka());
    stack.start_again(command).await;
    stack.wait_for("next_hop_up", |up| up == 1.0).await;
    sent.extend(post_each(&stack, "live", 3).await);
    stack.wait_for("forwarded_total{lane=\"live\"}", |reports| reports == 3.0).await;
    let left = stack.metric("spool_reports").await.unwrap();
    assert!(left > 100.0, "{left} left: the live ones came last");
    assert_eq!(ids(&arrived(&stack)), sent);
    let metrics = stack.metrics().await;
    assert!(metrics.contains("forwarded_total{lane=\"backlog\"} 2001"), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_its_topic_never_takes_becomes_a_dead_letter_and_holds_up_nobody() {
    let kafka = KafkaConfig { bootstrap: shared_kafka(), ..KafkaConfig::default() };
    let admin: AdminClient<DefaultClientContext> = kafka.client("test", &[]).create().unwrap();
    let small = NewTopic::new("small.scans", PARTITIONS, TopicReplication::Fixed(1))
        .set("max.message.bytes", "20000");
    admin.create_topics([&small], &AdminOptions::new()).await.unwrap();
    let stack = Stack::start("small", &kafka.bootstrap, "").await;
    let path = crate::stack::LINUX_AGENT;
    // Incompressible in part: names that differ.
    for (computer, packages) in [("a", 10), ("b", 20_000), ("b", 10), ("c", 10)] {
        let body = encode("zstd", snapshot(computer, packages).as_bytes());
        let answer = stack.post(path, &[JSON, ("content-encoding", "zstd")], body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    let kept = stack.kept(&stack.topics.scans);
    let mut keys: Vec<&str> = kept.iter().map(|scan| &*scan.key).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["id-of-a", "id-of-b", "id-of-c"]);
    let letters = stack.kept(&stack.topics.dead_letters);
    let [letter] = &letters[..] else { panic!("{} letters", letters.len()) };
    assert_eq!(letter.key, "id-of-b");
    assert_eq!(letter.header(dead_letter::SOURCE_TOPIC), "small.scans");
    assert_eq!(letter.header(dead_letter::STAGE), "gateway");
    assert_eq!(letter.header(dead_letter::ERROR_CLASS), "too-large");
    assert_eq!(letter.header(dead_letter::PAYLOAD_BYTES), letter.payload.len().to_string());
    assert_eq!(stack.metric("dead_letters_total").await, Some(1.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_malformed_requests_take_no_good_one_with_them() {
    let stack = Arc::new(Stack::start("malformed", &shared_kafka(), "").await);
    let seed = std::env::var("PATCHLINE_SEED").map_or(1, |seed| seed.parse().unwrap());
    println!("PATCHLINE_SEED={seed}");
    let mut senders = tokio::task::JoinSet::new();
    for sender in 0..4_u64 {
        let stack = Arc::clone(&stack);
        senders.spawn(async move {
            let mut random = fastrand::Rng::with_seed(seed + sender);
            let mut sent = HashSet::new();
            for at in 0..25 {
                for _ in 0..10 {
                    let bad = malformed(&mut random);
                    let answer = stack.post("/v1/heartbeats", &[JSON], bad.clone()).await;
                    let shown = String::from_utf8_lossy(&bad).into_owned();
                    assert!(answer.status.is_client_error(), "{}: {shown}", answer.status);
                }
                sent.extend(post_each(&stack, &format!("good-{sender}-{at}"), 1).await);
            }
            sent
        });
    }
    let mut sent = HashSet::new();
    while let Some(of) = senders.join_next().await {
        sent.extend(of.unwrap());
    }
    let arrived = arrived(&stack);
    assert_eq!(ids(&arrived), sent);
    assert!(arrived.values().all(|copies| *copies == 1));
}

/// A heartbeat that is none: cut, with a byte that cannot be there, or without what every one has.
fn malformed(random: &mut fastrand::Rng) -> Vec<u8> {
    let mut body = heartbeat("bad").to_string().into_bytes();
    match random.u8(0..4) {
        0 => body.truncate(random.usize(0..body.len())),
        1 => {
            let at = random.usize(0..body.len());
            body[at] = 0xff;
        }
        2 => body.extend_from_slice(b"]}"),
        _ => {
            let mut less: Value = serde_json::from_slice(&body).unwrap();
            let names = ["SourceComputerId", "TimeGenerated"];
            less.as_object_mut().unwrap().remove(names[random.usize(0..2)]);
            body = less.to_string().into_bytes();
        }
    }
    body
}

/// Room of this test's own: the lock of a spool is on its directory.
#[test]
fn a_directory_that_cannot_be_used_is_named() {
    let directory = directory("unusable");
    std::fs::write(directory.join("file"), "").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_patchline-gateway"))
        .env("PATCHLINE_GATEWAY__SPOOL__DIRECTORY", directory.join("file").join("spool"))
        .env("PATCHLINE_GATEWAY__ADMIN__LISTEN", "127.0.0.1:0")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("spool.directory = "), "{said}");
}
