//! A gateway behind a firewall hands its spool on to another one, through a proxy that wants a password.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use patchline_ingest::security::{Key, Subject};
use patchline_schemas::{Codec, Heartbeat};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use crate::stack::{JSON, Stack, heartbeat, shared_kafka};

const WORKSPACE: &str = "6f1f3b1c-7c5e-4a57-8a43-0d2a3c1f9e10";
const WORKSPACE_KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

/// An HTTP proxy that tunnels for who knows the password. Counts those whom it let through.
async fn proxy() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let passed = Arc::new(AtomicUsize::new(0));
    let expected = format!("basic {}", BASE64_STANDARD.encode("edge:secret"));
    let counted = Arc::clone(&passed);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (expected, passed) = (expected.clone(), Arc::clone(&counted));
            tokio::spawn(async move {
                let mut client = BufReader::new(stream);
                let (mut target, mut known) = (String::new(), false);
                loop {
                    let mut line = String::new();
                    if client.read_line(&mut line).await.unwrap_or(0) == 0 {
                        return;
                    }
                    let line = line.trim();
                    if let Some(rest) = line.strip_prefix("CONNECT ") {
                        target = rest.split(' ').next().unwrap().to_owned();
                    }
                    if let Some((name, value)) = line.split_once(": ")
                        && name.eq_ignore_ascii_case("proxy-authorization")
                    {
                        known = value.eq_ignore_ascii_case(&expected);
                    }
                    if line.is_empty() {
                        break;
                    }
                }
                if !known || target.is_empty() {
                    let refusal =
                        b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n";
                    let _ = client.write_all(refusal).await;
                    return;
                }
                let Ok(mut server) = TcpStream::connect(&target).await else { return };
                passed.fetch_add(1, Ordering::Relaxed);
                client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
                let _ = copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    (address, passed)
}

async fn post(stack: &Stack, name: &str, count: usize) -> HashSet<String> {
    let mut ids = HashSet::new();
    for at in 0..count {
        let body = heartbeat(&format!("{name}-{at}")).to_string();
        let answer = stack.post("/v1/heartbeats", &[JSON], body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        ids.insert(answer.json()["reportIds"][0].as_str().unwrap().to_owned());
    }
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_edge_gateway_took_gets_to_kafka_over_two_hops_whichever_of_them_is_killed() {
    let inner_settings = format!(
        "require_identity = true\n[workspaces.main]\nid = \"{WORKSPACE}\"\nprimary_key = \"{WORKSPACE_KEY}\"\n"
    );
    let mut inner = Stack::start("inner", &shared_kafka(), &inner_settings).await;
    let (proxy, passed) = proxy().await;
    let subject = Subject::Gateway("edge-1".to_owned());
    let key = Key::from_base64(WORKSPACE_KEY).unwrap().of(&subject).to_base64();
    let edge_settings = format!(
        "[upstream]\nurl = \"http://{}\"\nproxy = \"http://edge:secret@{proxy}\"\nname = \"edge-1\"\n\
         [upstream.identity]\nworkspace = \"{WORKSPACE}\"\nkey = \"{key}\"\n",
        inner.address()
    );
    // It needs no Kafka.
    let nobody = "127.0.0.1:1";
    let mut edge = Stack::alone("edge", nobody, &edge_settings).await;
    let mut sent = post(&edge, "before", 30).await;
    edge.wait_for("spool_reports", |reports| reports == 0.0).await;
    assert!(passed.load(Ordering::Relaxed) > 0, "through the proxy");

    // Who is no gateway cannot use the route.
    let answer = inner.post("/v1/relay", &[], "PLR1").await;
    assert_eq!(answer.status, 403, "{answer:?}");

    inner.gateway.kill().unwrap();
    sent.extend(post(&edge, "inner-away", 30).await);
    edge.wait_for("next_hop_up", |up| up == 0.0).await;
    edge.gateway.kill().unwrap();
    let command = edge.command(nobody);
    edge.start_again(command).await;
    sent.extend(post(&edge, "edge-again", 10).await);
    let command = inner.command(&shared_kafka());
    inner.start_again(command).await;
    edge.wait_for("spool_reports", |reports| reports == 0.0).await;

    let codec = Codec::new().unwrap();
    let arrived: HashSet<String> = inner
        .kept(&inner.topics.heartbeats)
        .iter()
        .map(|kept| {
            let beat: Heartbeat<'_> = codec.decode(&kept.payload).unwrap();
            beat.report_id.to_string()
        })
        .collect();
    assert_eq!(arrived, sent);
}
