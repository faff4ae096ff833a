//! Who may send what: signatures, certificates, limits, and what is read again without a restart. Most of
//! it needs no Kafka: what a gateway took is in its spool.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use hyper::StatusCode;
use patchline_ingest::security::{Credential, Key, Subject};
use patchline_schemas::{Codec, Heartbeat};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, IsCa, Issuer,
    KeyIdMethod, KeyPair, KeyUsagePurpose, RevocationReason, RevokedCertParams, SanType,
    SerialNumber,
};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::Command;
use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig};

use crate::stack::{Answer, JSON, Stack, directory, encode, heartbeat, shared_kafka};

pub(crate) const WORKSPACE: &str = "6f1f3b1c-7c5e-4a57-8a43-0d2a3c1f9e10";
const KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
const PATH: &str = "/v1/heartbeats";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Settings of a gateway that takes proven senders only, `more` of it in `[gateway]`.
pub(crate) fn closed(more: &str) -> String {
    format!(
        "[gateway]\nrequire_identity = true\nreload_interval_ms = 100\n{more}\n[workspaces.main]\nid = \"{WORKSPACE}\"\nprimary_key = \"{KEY}\"\n"
    )
}

pub(crate) fn credential(subject: &str) -> Credential {
    credential_by(KEY, subject)
}

fn credential_by(key: &str, subject: &str) -> Credential {
    let subject: Subject = format!("urn:patchline:{subject}").parse().unwrap();
    let key = Key::from_base64(key).unwrap().of(&subject);
    Credential { workspace: WORKSPACE.parse().unwrap(), subject, key }
}

/// The headers that sign `body`.
fn sign(credential: &Credential, body: &[u8], at: SystemTime) -> Vec<(String, String)> {
    let signed = credential.sign("POST", PATH, body, at);
    signed.into_iter().map(|(name, value)| (name.to_string(), value)).collect()
}

async fn post(stack: &Stack, headers: &[(String, String)], body: &[u8]) -> Answer {
    let mut all = vec![JSON];
    all.extend(headers.iter().map(|(name, value)| (&**name, &**value)));
    stack.post(PATH, &all, body.to_vec()).await
}

/// Posts `body`, signed by `subject` now.
pub(crate) async fn post_as(stack: &Stack, subject: &str, body: &Value) -> Answer {
    // Two within a millisecond would be one request sent twice.
    static MILLISECONDS: AtomicU64 = AtomicU64::new(0);
    let later = Duration::from_millis(MILLISECONDS.fetch_add(1, Ordering::Relaxed));
    let body = body.to_string().into_bytes();
    post(stack, &sign(&credential(subject), &body, SystemTime::now() + later), &body).await
}

async fn counted(stack: &Stack, metric: &str) -> bool {
    stack.metrics().await.contains(&format!("patchline_gateway_{metric}"))
}

/// Waits until `holds`; what files say is read every 100 ms.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, holds: impl Fn() -> F) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds().await {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_computer_that_signs_reports_for_itself_and_for_nobody_else() {
    let stack = Stack::start("signed", &shared_kafka(), &closed("")).await;
    let own = heartbeat("a");
    assert_eq!(post_as(&stack, "computer:id-of-a", &own).await.status, 200);

    let body = own.to_string();
    let unsigned = post(&stack, &[], body.as_bytes()).await;
    assert_eq!(unsigned.status, 403);
    assert_eq!(unsigned.json()["type"], "urn:patchline:problem:forbidden");
    let other = post_as(&stack, "computer:id-of-b", &own).await;
    assert_eq!((other.status.as_u16(), &other.json()["field"]), (403, &json!("SourceComputerId")));
    let both = json!([heartbeat("a"), heartbeat("b")]);
    let mixed = post_as(&stack, "computer:id-of-a", &both).await;
    assert_eq!((mixed.status.as_u16(), &mixed.json()["item"]), (403, &json!(1)));
    let stranger =
        credential_by("ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA=", "computer:id-of-a");
    let by_stranger = sign(&stranger, body.as_bytes(), SystemTime::now());
    assert_eq!(post(&stack, &by_stranger, body.as_bytes()).await.status, 403);

    eventually("the one report is in Kafka", async || {
        stack.kept(&stack.topics.heartbeats).len() == 1
    })
    .await;
    let kept = stack.kept(&stack.topics.heartbeats);
    assert_eq!(kept.len(), 1, "nothing of what was refused");
    let codec = Codec::new().unwrap();
    let report: Heartbeat<'_> = codec.decode(&kept[0].payload).unwrap();
    assert_eq!(report.management_group_name, format!("AOI-{WORKSPACE}"), "whose key it is");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recorded_request_is_refused_within_the_window_and_outside_of_it() {
    let stack = Stack::alone("replayed", "127.0.0.1:1", &closed("")).await;
    let body = heartbeat("a").to_string().into_bytes();
    let computer = credential("computer:id-of-a");
    let recorded = sign(&computer, &body, SystemTime::now());
    assert_eq!(post(&stack, &recorded, &body).await.status, 200);
    let again = post(&stack, &recorded, &body).await;
    assert_eq!(again.status, 403);
    assert!(again.json()["detail"].as_str().unwrap().contains("was here before"), "{again:?}");
    for skew in [-400, 400] {
        let now = SystemTime::now();
        let skewed = Duration::from_secs(400);
        let at = if skew < 0 { now - skewed } else { now + skewed };
        let off = post(&stack, &sign(&computer, &body, at), &body).await;
        assert_eq!(off.status, 403, "{skew} s");
        assert!(off.json()["detail"].as_str().unwrap().contains("signature_skew_max_s"), "{off:?}");
    }
    let anew = sign(&computer, &body, SystemTime::now() + Duration::from_millis(5));
    assert_eq!(post(&stack, &anew, &body).await.status, 200, "the same report, signed anew");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bomb_of_somebody_unproven_is_neither_read_nor_decompressed() {
    let stack = Stack::alone("unproven", "127.0.0.1:1", &closed("")).await;
    let bomb = encode("zstd", &vec![0; 200 * 1024 * 1024]);
    let computer = credential("computer:id-of-a");
    // A wrong signature: the answer is there before a byte of the body is sent.
    let mut headers = sign(&computer, &bomb, SystemTime::now());
    headers[4].1 = "AAAA".to_owned();
    let mut request = format!(
        "POST {PATH} HTTP/1.1\r\nhost: gateway\r\ncontent-type: application/json\r\ncontent-encoding: zstd\r\ncontent-length: {}\r\n",
        bomb.len()
    );
    for (name, value) in &headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str("\r\n");
    let mut stream = TcpStream::connect(stack.address()).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 403");
    drop(stream);

    // A genuine signature of other bytes: the body is read, hashed, and not decompressed.
    let mut headers = sign(&computer, b"other bytes", SystemTime::now());
    headers.push(("content-encoding".to_owned(), "zstd".to_owned()));
    let swapped = post(&stack, &headers, &bomb).await;
    assert_eq!(swapped.status, 403, "{swapped:?}");
    assert!(swapped.json()["detail"].as_str().unwrap().contains("Content-Digest"));
    assert!(counted(&stack, "body_bytes_total 0").await, "nothing was decompressed");
    // Of somebody proven, it is a bomb.
    let mut headers = sign(&computer, &bomb, SystemTime::now());
    headers.push(("content-encoding".to_owned(), "zstd".to_owned()));
    assert_eq!(post(&stack, &headers, &bomb).await.status, 413);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_sends_too_much_gets_429_and_when_to_come_back() {
    let settings = format!(
        "{}[limits]\ncomputer_requests_per_minute = 2\ncomputer_requests_burst = 3\n",
        closed("")
    );
    let stack = Stack::alone("limits", "127.0.0.1:1", &settings).await;
    let report = heartbeat("a");
    let mut throttled = None;
    for _ in 0..10 {
        let answer = post_as(&stack, "computer:id-of-a", &report).await;
        if answer.status != 200 {
            throttled = Some(answer);
            break;
        }
    }
    let throttled = throttled.expect("ten requests are too many");
    assert_eq!(throttled.status, StatusCode::TOO_MANY_REQUESTS);
    let after: u64 = throttled.header("retry-after").parse().unwrap();
    assert!((1..=30).contains(&after), "{after} s");
    assert_eq!(post_as(&stack, "computer:id-of-b", &heartbeat("b")).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_dawdles_is_hung_up_on_and_holds_up_nobody() {
    let pki = Pki::new("loris");
    let settings = format!(
        "{}{}handshake_timeout_ms = 300\n",
        closed("header_timeout_ms = 300\nrequest_timeout_ms = 300\nconnections_max = 4\n"),
        pki.tls("")
    );
    let stack = Stack::alone("loris", "127.0.0.1:1", &settings).await;
    // As many as there may be, and none of them ever says anything.
    let mut silent = Vec::new();
    for _ in 0..4 {
        silent.push(TcpStream::connect(stack.address()).await.unwrap());
    }
    let body = heartbeat("a").to_string();
    let taken = pki.post(&stack, Some(&pki.client("computer:id-of-a", 0, 30)), &body).await;
    assert_eq!(taken.unwrap(), 200);
    for stream in &mut silent {
        assert_eq!(stream.read(&mut [0; 16]).await.unwrap_or(0), 0, "hung up");
    }
    assert!(counted(&stack, "handshakes_failed_total{reason=\"slow\"} 4").await);

    let plain = Stack::alone(
        "loris-plain",
        "127.0.0.1:1",
        &closed("header_timeout_ms = 300\nrequest_timeout_ms = 300\n"),
    )
    .await;
    let mut stream = TcpStream::connect(plain.address()).await.unwrap();
    stream.write_all(b"POST /v1/heartbeats HTTP/1.1\r\nhost: g\r\nx-slow: ").await.unwrap();
    let mut end = Vec::new();
    let _ = stream.read_to_end(&mut end).await;
    assert!(!end.starts_with(b"HTTP/1.1 2"), "{}", String::from_utf8_lossy(&end));

    let body = heartbeat("a").to_string().into_bytes();
    let mut request = format!(
        "POST {PATH} HTTP/1.1\r\nhost: g\r\ncontent-type: application/json\r\ncontent-length: {}\r\n",
        body.len()
    );
    for (name, value) in sign(&credential("computer:id-of-a"), &body, SystemTime::now()) {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    let mut stream = TcpStream::connect(plain.address()).await.unwrap();
    stream.write_all(format!("{request}\r\n{{").as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 408");
}

/// A CA, the gateway's certificate by it, and clients'.
struct Pki {
    folder: PathBuf,
    ca_pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A client's certificate and key, PEM.
type Client = (String, String);

impl Pki {
    fn new(name: &str) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = directory(&format!("{name}.pki"));
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let ca_pem = params.self_signed(&key).unwrap().pem();
        std::fs::write(folder.join("ca.pem"), &ca_pem).unwrap();
        std::fs::write(folder.join("ca.key"), key.serialize_pem()).unwrap();
        let pki = Self { folder, ca_pem, issuer: Issuer::new(params, key) };
        pki.renew_server();
        pki
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn renew_server(&self) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::IpAddress([127, 0, 0, 1].into())];
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        // The key first: a new certificate with the former key must do no harm.
        std::fs::write(self.file("gateway.key"), key.serialize_pem()).unwrap();
        std::fs::write(self.file("gateway.pem"), certificate.pem()).unwrap();
    }

    /// The settings that use it.
    fn tls(&self, more: &str) -> String {
        let file = |name| self.file(name).display().to_string();
        format!(
            "[tls]\ncertificate = {:?}\nkey = {:?}\nclient_ca = {:?}\n{more}\n",
            file("gateway.pem"),
            file("gateway.key"),
            file("ca.pem")
        )
    }

    /// A certificate of `subject`, good between those days from now.
    fn client(&self, subject: &str, from: i32, until: i32) -> Client {
        self.client_numbered(subject, from, until, 77)
    }

    fn client_numbered(&self, subject: &str, from: i32, until: i32, number: u64) -> Client {
        let at = |days: i32| {
            let (now, days_away) = (SystemTime::now(), DAY * days.unsigned_abs());
            if days < 0 { now - days_away } else { now + days_away }
        };
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        let uri = format!("urn:patchline:{subject}");
        params.subject_alt_names = vec![SanType::URI(uri.try_into().unwrap())];
        params.not_before = (at(from) - Duration::from_secs(60)).into();
        params.not_after = at(until).into();
        params.serial_number = Some(SerialNumber::from(number));
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }

    fn revoke(&self, number: Option<u64>) {
        let now = SystemTime::now();
        let revoked = number.map(|number| RevokedCertParams {
            serial_number: SerialNumber::from(number),
            revocation_time: now.into(),
            reason_code: Some(RevocationReason::KeyCompromise),
            invalidity_date: None,
        });
        let list = CertificateRevocationListParams {
            this_update: (now - DAY).into(),
            next_update: (now + DAY).into(),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked.into_iter().collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = list.signed_by(&self.issuer).unwrap().pem().unwrap();
        std::fs::write(self.file("crl.pem"), list).unwrap();
    }

    /// The answer's status, on a connection of its own; an error where there was none.
    async fn post(
        &self,
        stack: &Stack,
        client: Option<&Client>,
        body: &str,
    ) -> Result<u16, String> {
        let root = Certificate::from_pem(self.ca_pem.as_bytes()).unwrap();
        let mut tls = TlsConfig::builder().root_certs(RootCerts::new_with_certs(&[root]));
        if let Some((certificate, key)) = client {
            let certificate = Certificate::from_pem(certificate.as_bytes()).unwrap();
            let key = PrivateKey::from_pem(key.as_bytes()).unwrap();
            tls = tls.client_cert(Some(ClientCert::new_with_certs(&[certificate], key)));
        }
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .tls_config(tls.build())
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(30)))
            .build()
            .into();
        let (url, body) = (format!("https://{}{PATH}", stack.address()), body.to_owned());
        tokio::task::spawn_blocking(move || {
            let sent = agent.post(&url).header("Content-Type", "application/json").send(&body);
            sent.map(|answer| answer.status().as_u16()).map_err(|error| error.to_string())
        })
        .await
        .unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_lets_in_its_own_computer_while_it_is_good() {
    let pki = Pki::new("certificates");
    pki.revoke(None);
    let crl = format!("client_crl = {:?}\n", pki.file("crl.pem").display().to_string());
    let settings = format!("{}{}", closed(""), pki.tls(&crl));
    let stack = Stack::alone("certificates", "127.0.0.1:1", &settings).await;
    let own = heartbeat("a").to_string();
    let good = pki.client("computer:id-of-a", 0, 30);
    assert_eq!(pki.post(&stack, Some(&good), &own).await, Ok(200));
    assert_eq!(pki.post(&stack, Some(&good), &heartbeat("b").to_string()).await, Ok(403));
    assert_eq!(pki.post(&stack, None, &own).await, Ok(403), "nobody in particular");

    let stranger = Pki::new("certificates-stranger").client("computer:id-of-a", 0, 30);
    for (client, why) in [
        (&pki.client("computer:id-of-a", -30, -1), "expired"),
        (&pki.client("computer:id-of-a", 1, 30), "not good yet"),
        (&stranger, "of an unknown CA"),
    ] {
        assert!(pki.post(&stack, Some(client), &own).await.is_err(), "{why}");
    }
    assert!(counted(&stack, "handshakes_failed_total{reason=\"client-certificate\"} 3").await);

    let stolen = pki.client_numbered("computer:id-of-a", 0, 30, 4711);
    assert_eq!(pki.post(&stack, Some(&stolen), &own).await, Ok(200));
    pki.revoke(Some(4711));
    eventually("the certificate is revoked", async || {
        pki.post(&stack, Some(&stolen), &own).await.is_err()
    })
    .await;
    assert_eq!(pki.post(&stack, Some(&good), &own).await, Ok(200));

    let required = format!("{}{}", closed(""), pki.tls("client_certificate = \"required\""));
    let required = Stack::alone("certificates-required", "127.0.0.1:1", &required).await;
    assert!(pki.post(&required, None, &own).await.is_err(), "no connection at all");
    assert_eq!(pki.post(&required, Some(&good), &own).await, Ok(200));
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_and_keys_are_read_again_and_a_broken_file_changes_nothing() {
    let pki = Pki::new("reload");
    let key_file = pki.file("workspace.key");
    std::fs::write(&key_file, KEY).unwrap();
    let settings = format!(
        "[gateway]\nrequire_identity = true\nreload_interval_ms = 100\n[workspaces.main]\nid = \"{WORKSPACE}\"\nprimary_key_file = {:?}\n{}",
        key_file.display().to_string(),
        pki.tls("")
    );
    let stack = Stack::alone("reload", "127.0.0.1:1", &settings).await;
    let own = heartbeat("a").to_string();
    let client = pki.client("computer:id-of-a", 0, 30);
    assert_eq!(pki.post(&stack, Some(&client), &own).await, Ok(200));

    std::fs::write(pki.file("gateway.pem"), "half a certifi").unwrap();
    eventually("the broken file was seen", async || {
        counted(&stack, "reloads_total{outcome=\"kept\",what=\"tls\"}").await
    })
    .await;
    assert_eq!(pki.post(&stack, Some(&client), &own).await, Ok(200), "the former is in force");

    // Another CA altogether.
    let next = Pki::new("reload-next");
    for name in ["gateway.key", "gateway.pem", "ca.pem"] {
        std::fs::copy(next.file(name), pki.file(name)).unwrap();
    }
    let renewed = next.client("computer:id-of-a", 0, 30);
    eventually("the new certificates are in force", async || {
        next.post(&stack, Some(&renewed), &own).await == Ok(200)
    })
    .await;
    assert!(pki.post(&stack, Some(&client), &own).await.is_err(), "the former are not");

    std::fs::write(&key_file, "ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA=").unwrap();
    eventually("the new key is in force", async || {
        counted(&stack, "reloads_total{outcome=\"renewed\",what=\"workspace-keys\"} 1").await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_enrolled_agent_reports_by_tls_with_its_key_or_its_certificate() {
    let pki = Pki::new("enrolled");
    let settings = format!("{}{}", closed(""), pki.tls(""));
    let stack = Stack::start("enrolled", &shared_kafka(), &settings).await;
    let agent = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_patchline-agent"));
        command.args(arguments).kill_on_drop(true).stdin(Stdio::null());
        command
    };
    let id = agent(&["--print-id"]).output().await.unwrap();
    let id = String::from_utf8(id.stdout).unwrap().trim().to_owned();
    let key_file = pki.file("workspace.key");
    std::fs::write(&key_file, KEY).unwrap();

    let reports = async |name: &str, keep: &dyn Fn(&str) -> bool, by: &[&str]| {
        let to = pki.file(name);
        let mut enroll = Command::new(env!("CARGO_BIN_EXE_patchline-gateway"));
        enroll.args(["enroll", "--computer", &id, "--workspace", WORKSPACE, "--to"]).arg(&to);
        enroll.arg("--key-file").arg(&key_file).args(by).stdin(Stdio::null());
        let enrolled = enroll.output().await.unwrap();
        assert!(enrolled.status.success(), "{}", String::from_utf8_lossy(&enrolled.stderr));
        let identity = std::fs::read_to_string(to.join("agent.toml")).unwrap();
        let identity: String =
            identity.lines().filter(|line| keep(line)).map(|line| format!("{line}\n")).collect();
        let spool = pki.file(&format!("{name}.spool"));
        let settings = format!(
            "{identity}gateway_ca = {:?}\n[agent]\ngateways = [\"https://{}\"]\nspool_folder = {spool:?}\n",
            pki.file("ca.pem"),
            stack.address()
        );
        let file = pki.file(&format!("{name}.toml"));
        std::fs::write(&file, settings).unwrap();
        agent(&["--once", "--config", file.to_str().unwrap()]).output().await.unwrap()
    };
    let ca = [pki.file("ca.pem"), pki.file("ca.key")].map(|path| path.display().to_string());
    let by_ca = ["--ca", &ca[0], "--ca-key", &ca[1]];
    let said = |ended: &std::process::Output| String::from_utf8_lossy(&ended.stderr).into_owned();
    let by_key = reports("by-key", &|_| true, &[]).await;
    assert!(by_key.status.success(), "{}", said(&by_key));
    let of_certificate =
        |line: &str| !line.starts_with("workspace") && !line.starts_with("key_file");
    let by_certificate = reports("by-certificate", &of_certificate, &by_ca).await;
    assert!(by_certificate.status.success(), "{}", said(&by_certificate));
    eventually("all is in Kafka", async || stack.kept(&stack.topics.scans).len() == 2).await;
    for message in stack.kept(&stack.topics.scans) {
        assert_eq!(message.key, id);
    }
}

#[test]
fn a_gateway_that_strangers_can_reach_must_ask_who_they_are() {
    let check = |settings: &str| {
        let file = directory("openness").join("gateway.toml");
        std::fs::write(&file, settings).unwrap();
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_patchline-gateway"))
            .args(["--check-config", "--config"])
            .arg(&file)
            .output()
            .unwrap();
        (output.status.success(), String::from_utf8(output.stderr).unwrap())
    };
    let pki = Pki::new("openness-pki");
    let (sound, error) = check("[gateway]\nlisten = \"0.0.0.0:8088\"\n");
    assert!(!sound && error.contains("require_identity"), "{error}");
    let listen = "listen = \"0.0.0.0:8088\"\n";
    assert!(!check(&closed(listen)).0, "a signature, and no TLS");
    assert!(!check(&format!("[gateway]\n{listen}{}", pki.tls(""))).0, "TLS, and no identity");
    assert!(check(&format!("{}{}", closed(listen), pki.tls(""))).0);
    assert!(check(&format!("[gateway]\n{listen}open_to_anybody_who_can_reach_it = true\n")).0);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_in_the_log() {
    let settings = format!("{}[log]\nfilter = \"trace\"\n", closed(""));
    let stack = Stack::alone("secrets", "127.0.0.1:1", &settings).await;
    assert_eq!(post_as(&stack, "computer:id-of-a", &heartbeat("a")).await.status, 200);
    assert_eq!(post_as(&stack, "computer:id-of-a", &heartbeat("b")).await.status, 403);
    let log = std::fs::read_to_string(directory_of("secrets").join("gateway.log")).unwrap();
    assert!(log.contains("gateway listens"), "this is its log");
    let own = credential("computer:id-of-a").key.to_base64();
    assert!(!log.contains(KEY) && !log.contains(&own));
}

fn directory_of(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("ingest").join(format!("{name}.gateway"))
}

/// Every test that `docs/security.md` names is there.
#[test]
fn the_threat_table_names_tests_that_exist() {
    fn collect(folder: &Path, sources: &mut String) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, sources);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                sources.push_str(&std::fs::read_to_string(path).unwrap());
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = String::new();
    for folder in ["src", "tests"] {
        collect(&root.join(folder), &mut sources);
    }
    let page = std::fs::read_to_string(root.join("../docs/security.md")).unwrap();
    let table = page.split("## Threats").nth(1).expect("the section of threats");
    let rows = table.lines().filter(|line| line.starts_with('|')).skip(2);
    let mut named = 0;
    for row in rows {
        let tests: Vec<&str> =
            row.rsplit('|').nth(1).unwrap_or_default().split('`').skip(1).step_by(2).collect();
        assert!(!tests.is_empty(), "no test: {row}");
        for test in tests {
            assert!(sources.contains(&format!("fn {test}(")), "{test} is no test: {row}");
            named += 1;
        }
    }
    assert!(named > 10, "{named}");
}
