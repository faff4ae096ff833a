//! Every way in but the two that `delivery` goes: what comes by it is in Kafka, and who may not come is
//! turned away at the door.

use std::time::SystemTime;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use patchline_schemas::{Codec, CustomLog, Event, Heartbeat, OfficeActivity, UpdateDeployment};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::stack::{ENCODINGS, JSON, Stack, directory, encode, heartbeat, shared_kafka};

const WINDOWS_AGENT: &str = "/OperationalData.svc/PostDataItems";
const WORKSPACE: &str = "6f1f3b1c-7c5e-4a57-8a43-0d2a3c1f9e10";
const KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
pub(crate) const LOGS: &str = "/api/logs?api-version=2016-04-01";

/// Settings with one workspace, whose primary key is `KEY`.
pub(crate) fn with_workspace(more: &str) -> String {
    format!("[gateway]\n[workspaces.main]\nid = \"{WORKSPACE}\"\nprimary_key = \"{KEY}\"\n{more}\n")
}

/// The headers of a post of `length` bytes, signed by `key` now.
pub(crate) fn signed_by(key: &str, length: usize) -> Vec<(&'static str, String)> {
    let date = httpdate::fmt_http_date(SystemTime::now());
    let key = BASE64_STANDARD.decode(key).unwrap();
    let mut hmac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
    hmac.update(
        format!("POST\n{length}\napplication/json\nx-ms-date:{date}\n/api/logs").as_bytes(),
    );
    let signature = BASE64_STANDARD.encode(hmac.finalize().into_bytes());
    vec![
        ("content-type", "application/json".to_owned()),
        ("x-ms-date", date),
        ("authorization", format!("SharedKey {WORKSPACE}:{signature}")),
    ]
}

/// The headers of a genuine post.
pub(crate) fn signed(length: usize) -> Vec<(&'static str, String)> {
    signed_by(KEY, length)
}

pub(crate) fn as_text<'h>(headers: &'h [(&'static str, String)]) -> Vec<(&'h str, &'h str)> {
    headers.iter().map(|(name, value)| (*name, &**value)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_windows_agents_heartbeats_and_events_arrive() {
    let stack = Stack::start("windows", &shared_kafka(), "").await;
    let body = |data_type: &str, properties: &str| {
        format!(
            "<DataItems IPName=\"LogManagement\" ManagementGroupId=\"{{00000000-0000-0000-0000-000000000001}}\" DataType=\"{data_type}\"><DataItem type=\"System.PropertyBagData\" sourceHealthServiceId=\"id-of-win-1\" time=\"2017-06-01T12:00:00.1Z\"><Property Name=\"Computer\">win-1</Property>{properties}</DataItem></DataItems>"
        )
    };
    let alive = body("HEALTH_ASSESSMENT_BLOB", "<Property Name=\"Version\">10.20</Property>");
    let deflated = encode("deflate", alive.as_bytes());
    let headers = [("content-encoding", "deflate"), ("content-type", "application/xml")];
    let answer = stack.post(WINDOWS_AGENT, &headers, deflated).await;
    assert_eq!((answer.status.as_u16(), &answer.body[..]), (200, &b""[..]), "{answer:?}");
    let logged = body(
        "GENERIC_EVENT_BLOB",
        "<Property Name=\"EventLog\">System</Property><Property Name=\"EventID\">7036</Property>",
    );
    assert_eq!(stack.post(WINDOWS_AGENT, &[], logged.clone()).await.status, 200);

    let codec = Codec::new().unwrap();
    let kept = stack.kept(&stack.topics.heartbeats);
    let beat: Heartbeat<'_> = codec.decode(&kept[0].payload).unwrap();
    assert_eq!((kept.len(), &*kept[0].key, &*beat.version), (1, "id-of-win-1", "10.20"));
    assert_eq!((&*beat.computer_ip, &*beat.source_system), ("127.0.0.1", "OpsManager"));
    let kept = stack.kept(&stack.topics.events);
    let event: Event<'_> = codec.decode(&kept[0].payload).unwrap();
    assert_eq!((kept.len(), event.event_id, &*event.computer), (1, 7036, "win-1"));

    let wrong = logged.replace("7036", "many");
    let answer = stack.post(WINDOWS_AGENT, &[], wrong).await;
    let problem = answer.json();
    assert_eq!((answer.status.as_u16(), &problem["field"]), (400, &json!("EventID")));
    assert_eq!(problem["item"], 0);
    let other = logged.replace("GENERIC_EVENT_BLOB", "SECURITY_EVENT_BLOB");
    assert_eq!(stack.post(WINDOWS_AGENT, &[], other).await.status, 422);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_audit_records_and_deployments_arrive() {
    let stack = Stack::start("others", &shared_kafka(), "").await;
    let codec = Codec::new().unwrap();
    let mut event = heartbeat("win-1");
    event["EventLog"] = json!("System");
    let answer = stack.post("/v1/events", &[JSON], json!([event, event]).to_string()).await;
    assert_eq!(answer.json()["accepted"], 2, "{answer:?}");
    let kept = stack.kept(&stack.topics.events);
    assert_eq!(codec.decode::<Event<'_>>(&kept[0].payload).unwrap().event_log, "System");

    let record = json!({
        "CreationTime": "2017-06-01T12:00:00", "Id": "a", "Operation": "FileDownloaded",
        "OrganizationId": "contoso", "Workload": "OneDrive", "Unheard": {"of": 1},
    });
    let answer = stack.post("/v1/office-activity", &[JSON], record.to_string()).await;
    assert_eq!(answer.json()["accepted"], 1, "{answer:?}");
    let kept = stack.kept(&stack.topics.office_activity);
    let office: OfficeActivity<'_> = codec.decode(&kept[0].payload).unwrap();
    assert_eq!((&*kept[0].key, &*office.office_workload), ("contoso", "OneDrive"));
    assert_eq!(office.extra_properties, r#"[{"Key":"Unheard","Value":{"of":1}}]"#);

    let deployment = json!({
        "Name": "June", "TimeGenerated": "2017-05-20T00:00:00Z", "TimeZone": "Europe/Berlin",
        "StartTime": "2017-06-01T22:00:00", "DurationMinutes": 60, "Computers": ["*"],
    });
    let answer = stack.post("/v1/update-deployments", &[JSON], deployment.to_string()).await;
    assert_eq!(answer.json()["accepted"], 1, "{answer:?}");
    let kept = stack.kept(&stack.topics.update_deployments);
    let deployment: UpdateDeployment<'_> = codec.decode(&kept[0].payload).unwrap();
    assert_eq!((&*kept[0].key, deployment.starts.len()), ("June", 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_post_arrives_and_any_other_is_turned_away() {
    let settings = with_workspace("posts_in_flight_max = 1");
    let stack = Stack::start("collector", &shared_kafka(), &settings).await;
    let post = async |headers: Vec<(&'static str, String)>, log_type: &str, body: &str| {
        let mut headers = as_text(&headers);
        headers.push(("log-type", log_type));
        stack.post(LOGS, &headers, body.to_owned()).await
    };
    let records = json!([{"slot": 7, "é": "ü"}, {"slot": 8}]).to_string();
    let answer = post(signed(records.len()), "Tape_Drive", &records).await;
    assert_eq!((answer.status.as_u16(), &answer.body[..]), (200, &b""[..]), "{answer:?}");
    let codec = Codec::new().unwrap();
    let kept = stack.kept(&stack.topics.custom_logs);
    let log: CustomLog<'_> = codec.decode(&kept[0].payload).unwrap();
    assert_eq!((kept.len(), &*kept[0].key, &*log.log_type), (2, WORKSPACE, "Tape_Drive"));
    assert_eq!(serde_json::from_str::<Value>(&log.record).unwrap(), json!({"slot": 7, "é": "ü"}));
    let beat = heartbeat("win-1").to_string();
    assert_eq!(post(signed(beat.len()), "Heartbeat", &beat).await.status, 200);
    let kept = stack.kept(&stack.topics.heartbeats);
    let beat: Heartbeat<'_> = codec.decode(&kept[0].payload).unwrap();
    assert_eq!(beat.management_group_name, format!("AOI-{WORKSPACE}"));

    let other_key = BASE64_STANDARD.encode([7; 32]);
    let answer = post(signed_by(&other_key, 2), "Tape_Drive", "{}").await;
    let problem = answer.json();
    assert_eq!((answer.status.as_u16(), &problem["Error"]), (403, &json!("InvalidAuthorization")));
    assert_eq!(problem["Message"], problem["detail"]);
    let answer = post(signed(3), "Tape_Drive", "{}").await;
    assert_eq!(answer.status, 403, "signed for another length");
    let answer = post(signed(2), "Tape-Drive", "{}").await;
    assert_eq!((answer.status.as_u16(), &answer.json()["Error"]), (400, &json!("InvalidLogType")));
    let answer = post(signed(1), "Tape_Drive", "7").await;
    assert_eq!(
        (answer.status.as_u16(), &answer.json()["Error"]),
        (400, &json!("InvalidDataFormat"))
    );

    // Of these, only the headers are ever sent: the answer cannot depend on the body.
    let length = 20 * 1024 * 1024;
    let answered = |text: &str, status: u16| {
        assert!(text.starts_with(&format!("HTTP/1.1 {status} ")), "{status}: {text}");
    };
    answered(&headers_only(&stack, signed_by(&other_key, length), length).await, 403);
    let length = 30 * 1024 * 1024 + 1;
    answered(&headers_only(&stack, signed(length), length).await, 413);

    // One post of the workspace is under way, and there is no place for another.
    let mut slow = begin(&stack, signed(2), 2).await;
    slow.write_all(b"{").await.unwrap();
    stack.wait_until_busy().await;
    let answer = post(signed(2), "Tape_Drive", "{}").await;
    assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (429, "5"), "{answer:?}");
    assert_eq!(answer.json()["Error"], "TooManyRequests");
    slow.write_all(b"}").await.unwrap();
    let mut answer = String::new();
    slow.read_to_string(&mut answer).await.unwrap();
    answered(&answer, 200);
    assert_eq!(stack.kept(&stack.topics.heartbeats).len(), 1);
    let log = log_of("collector");
    assert!(!log.contains(KEY) && !log.contains("SharedKey"), "{log}");
}

/// Sends a post's headers, and of its body nothing.
async fn begin(stack: &Stack, headers: Vec<(&'static str, String)>, length: usize) -> TcpStream {
    let mut head = format!(
        "POST {LOGS} HTTP/1.1\r\nhost: gateway\r\nconnection: close\r\nlog-type: Tape\r\ncontent-length: {length}\r\n"
    );
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let mut stream = TcpStream::connect(stack.address()).await.unwrap();
    stream.write_all(format!("{head}\r\n").as_bytes()).await.unwrap();
    stream
}

/// What a post is answered with whose body never comes.
async fn headers_only(
    stack: &Stack,
    headers: Vec<(&'static str, String)>,
    length: usize,
) -> String {
    let mut stream = begin(stack, headers, length).await;
    let mut answer = vec![0; 4096];
    let read = stream.read(&mut answer).await.unwrap();
    String::from_utf8(answer[..read].to_vec()).unwrap()
}

fn log_of(name: &str) -> String {
    let path = format!("{}/ingest/{name}.gateway/gateway.log", env!("CARGO_TARGET_TMPDIR"));
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn a_key_comes_by_file_or_by_environment_and_is_never_shown() {
    let file = directory("keys").join("gateway.toml");
    let check = |toml: &str, key: Option<&str>| {
        std::fs::write(&file, toml).unwrap();
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_patchline-gateway"));
        command.args(["--check-config", "--config"]).arg(&file);
        if let Some(key) = key {
            command.env("PATCHLINE_GATEWAY__WORKSPACES__MAIN__PRIMARY_KEY", key);
        }
        let output = command.output().unwrap();
        (output.status.success(), String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(check(&with_workspace(""), None), (true, String::new()));
    let without = format!("[workspaces.main]\nid = \"{WORKSPACE}\"\n");
    let (sound, error) = check(&without, None);
    assert!(!sound && error.contains("primary_key"), "{error}");
    assert_eq!(check(&without, Some(KEY)), (true, String::new()));
    for wrong in ["hunter2 hunter2!", "c2hvcnQ="] {
        let (sound, error) = check(&without, Some(wrong));
        assert!(!sound && error.contains("the key") && !error.contains(wrong), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_ends_where_its_compression_does() {
    let stack = Stack::start("endings", &shared_kafka(), "").await;
    let body = heartbeat("a").to_string();
    for encoding in ENCODINGS {
        let headers = [JSON, ("content-encoding", encoding)];
        let whole = encode(encoding, body.as_bytes());
        assert_eq!(stack.post("/v1/heartbeats", &headers, whole.clone()).await.status, 200);
        for tail in [&b"x"[..], b"\0\0\0\0", b"{\"Computer\": \"b\"}"] {
            let answer = stack.post("/v1/heartbeats", &headers, [&whole, tail].concat()).await;
            assert_eq!(answer.status, 400, "{encoding} and {tail:?}: {answer:?}");
        }
    }
    // A gzip file may have several members, a zstd one several frames.
    for encoding in ["gzip", "zstd"] {
        let (first, second) = body.as_bytes().split_at(body.len() / 2);
        let members = [encode(encoding, first), encode(encoding, second)].concat();
        let headers = [JSON, ("content-encoding", encoding)];
        let answer = stack.post("/v1/heartbeats", &headers, members).await;
        assert_eq!(answer.status, 200, "{encoding}: {answer:?}");
    }
    assert_eq!(stack.kept(&stack.topics.heartbeats).len(), 5);
}
