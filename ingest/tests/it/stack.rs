//! A Kafka, a gateway before it, a client to post with and a look into the topics.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use patchline_local::{Kafka, KafkaOptions, Process, free_port};
use patchline_runtime::kafka::{KafkaConfig, create_topics};
use patchline_schemas::Topics;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{BorrowedMessage, Headers, Message as _};
use rdkafka::{Offset, TopicPartitionList};
use serde_json::Value;

pub(crate) const PARTITIONS: i32 = 3;

/// What the gateway may ever take, whatever is thrown at it.
pub(crate) const MEMORY_MAX: u64 = 300 * 1024 * 1024;

/// A directory of the test's own, empty.
pub(crate) fn directory(name: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ingest").join(name);
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir_all(&directory).unwrap();
    directory
}

/// One Kafka for all tests that do not kill it; it ends with the test process.
pub(crate) fn shared_kafka() -> String {
    static KAFKA: OnceLock<Kafka> = OnceLock::new();
    KAFKA
        .get_or_init(|| Kafka::start(&directory("kafka"), KafkaOptions::default()).unwrap())
        .bootstrap()
}

/// A running gateway and what it writes to.
pub(crate) struct Stack {
    pub(crate) gateway: Process,
    pub(crate) topics: Topics,
    /// The gateway's own: its settings, its log and its spool.
    pub(crate) directory: PathBuf,
    bootstrap: String,
    address: String,
    admin: String,
    client: Client<HttpConnector, Full<Bytes>>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: hyper::HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// A message of a topic.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) key: String,
    pub(crate) payload: Vec<u8>,
    pub(crate) timestamp: i64,
    headers: Vec<(String, String)>,
}

impl Kept {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }
}

impl Stack {
    /// A gateway to `bootstrap`, with topics named after the test, ready to take reports.
    pub(crate) async fn start(name: &str, bootstrap: &str, settings: &str) -> Self {
        let kafka = KafkaConfig {
            bootstrap: bootstrap.to_owned(),
            topic_prefix: name.to_owned(),
            ..KafkaConfig::default()
        };
        let topics = Topics::new(name);
        create_topics(&kafka, &topics.all(), PARTITIONS, 1, Duration::from_secs(20)).await.unwrap();
        let stack = Self::launch(name, bootstrap, settings);
        stack.wait_until_ready().await;
        stack
    }

    /// A gateway to `bootstrap` that keeps its reports, where nobody need listen.
    pub(crate) async fn alone(name: &str, bootstrap: &str, settings: &str) -> Self {
        let stack = Self::launch(name, bootstrap, settings);
        stack.wait_until_ready().await;
        stack
    }

    fn launch(name: &str, bootstrap: &str, settings: &str) -> Self {
        let directory = directory(&format!("{name}.gateway"));
        let [port, admin_port] = [free_port().unwrap(), free_port().unwrap()];
        let [address, admin] = [port, admin_port].map(|port| format!("127.0.0.1:{port}"));
        let mut toml =
            format!("[admin]\nlisten = \"{admin}\"\n[kafka]\ntopic_prefix = \"{name}\"\n");
        if !settings.contains("[gateway]") {
            toml.push_str("[gateway]\n");
        }
        toml.push_str(settings);
        std::fs::write(directory.join("gateway.toml"), toml).unwrap();
        let command = gateway(&directory, bootstrap, &address);
        Self {
            gateway: spawn(command, &directory),
            topics: Topics::new(name),
            directory,
            bootstrap: bootstrap.to_owned(),
            address,
            admin,
            client: Client::builder(TokioExecutor::new()).build_http(),
        }
    }

    /// The command that runs this gateway, before the Kafka at `bootstrap` from now on.
    pub(crate) fn command(&mut self, bootstrap: &str) -> Command {
        self.bootstrap = bootstrap.to_owned();
        gateway(&self.directory, bootstrap, &self.address)
    }

    /// Starts the gateway again by `command`, after its process has ended.
    pub(crate) async fn start_again(&mut self, command: Command) {
        self.gateway = spawn(command, &self.directory);
        self.wait_until_ready().await;
    }

    /// Runs `patchline-gateway` with these arguments and the gateway's settings. Its standard output.
    pub(crate) fn run(&self, arguments: &[&str]) -> String {
        let mut command = gateway(&self.directory, &self.bootstrap, &self.address);
        let output = command.args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// The value of a metric of the gateway, none if the gateway does not answer.
    pub(crate) async fn metric(&self, name: &str) -> Option<f64> {
        let url = format!("http://{}/metrics", self.admin);
        let answer = self.send(Method::GET, &url, &[], Bytes::new()).await.ok()?;
        let text = String::from_utf8(answer.body.to_vec()).unwrap();
        let prefix = format!("patchline_gateway_{name} ");
        let line = text.lines().find_map(|line| line.strip_prefix(&prefix));
        Some(line.unwrap_or_else(|| panic!("no {name} in\n{text}")).parse().unwrap())
    }

    /// Waits until the metric is as `expected`.
    pub(crate) async fn wait_for(&self, name: &str, expected: impl Fn(f64) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(120);
        loop {
            let found = self.metric(name).await;
            if found.is_some_and(&expected) {
                return;
            }
            assert!(Instant::now() < deadline, "{name} is {found:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until nothing is left in the spool of the gateway, if it runs.
    async fn handed_on(&self) {
        if self.metric("spool_reports").await.is_some() {
            self.wait_for("spool_reports", |reports| reports == 0.0).await;
        }
    }

    pub(crate) fn admin(&self) -> &str {
        &self.admin
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) async fn ready(&self) -> Option<Answer> {
        self.send(Method::GET, &format!("http://{}/readyz", self.admin), &[], Bytes::new())
            .await
            .ok()
    }

    pub(crate) async fn metrics(&self) -> String {
        let url = format!("http://{}/metrics", self.admin);
        let answer = self.send(Method::GET, &url, &[], Bytes::new()).await.unwrap();
        String::from_utf8(answer.body.to_vec()).unwrap()
    }

    pub(crate) async fn wait_until_ready(&self) {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let answer = self.ready().await;
            if answer.as_ref().is_some_and(|answer| answer.status == StatusCode::OK) {
                return;
            }
            assert!(Instant::now() < deadline, "not ready: {answer:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until a request is being worked on.
    pub(crate) async fn wait_until_busy(&self) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !self.metrics().await.contains("patchline_gateway_requests_in_flight 1") {
            assert!(Instant::now() < deadline, "no request begins");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) async fn post(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        self.try_post(path, headers, body).await.unwrap()
    }

    pub(crate) async fn try_post(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Result<Answer, hyper_util::client::legacy::Error> {
        let url = format!("http://{}{path}", self.address);
        self.send(Method::POST, &url, headers, body.into()).await
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        url: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Result<Answer, hyper_util::client::legacy::Error> {
        let mut request = Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = self.client.request(request.body(Full::new(body)).unwrap()).await?;
        let (parts, body) = answer.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Ok(Answer { status: parts.status, headers: parts.headers, body })
    }

    /// Everything in `topic`, in the order of each partition, once the gateway has handed on all it has.
    pub(crate) fn kept(&self, topic: &str) -> Vec<Kept> {
        let runtime = tokio::runtime::Handle::current();
        tokio::task::block_in_place(|| runtime.block_on(self.handed_on()));
        let consumer: BaseConsumer =
            KafkaConfig { bootstrap: self.bootstrap.clone(), ..KafkaConfig::default() }
                .client("test", &[("group.id", "test"), ("enable.auto.commit", "false")])
                .create()
                .unwrap();
        let mut partitions = TopicPartitionList::new();
        let mut missing = 0;
        for partition in 0..PARTITIONS {
            partitions.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
            missing += last_offset(&consumer, topic, partition);
        }
        consumer.assign(&partitions).unwrap();
        let mut kept = Vec::new();
        while kept.len() < usize::try_from(missing).unwrap() {
            let message = consumer.poll(Duration::from_secs(10)).expect("a message").unwrap();
            kept.push(Kept {
                key: String::from_utf8(message.key().unwrap().to_vec()).unwrap(),
                payload: message.payload().unwrap().to_vec(),
                timestamp: message.timestamp().to_millis().unwrap(),
                headers: headers(&message),
            });
        }
        kept
    }

    /// Processor time that the gateway has used.
    #[allow(dead_code, reason = "for the bench")]
    pub(crate) fn cpu_seconds(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.gateway.pid())).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        // Clock ticks, a hundred a second on every Linux, in user and in kernel mode.
        (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
    }

    /// The most memory that the gateway ever had, in bytes.
    pub(crate) fn peak_memory(&self) -> u64 {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.gateway.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
        let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        kib * 1024
    }
}

fn gateway(directory: &Path, bootstrap: &str, address: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_patchline-gateway"));
    command
        .arg("--config")
        .arg(directory.join("gateway.toml"))
        .env("PATCHLINE_GATEWAY__KAFKA__BOOTSTRAP", bootstrap)
        .env("PATCHLINE_GATEWAY__SPOOL__DIRECTORY", directory.join("spool"))
        .env("PATCHLINE_GATEWAY__GATEWAY__LISTEN", address);
    command
}

fn spawn(command: Command, directory: &Path) -> Process {
    Process::spawn("the gateway", command, &directory.join("gateway.log")).unwrap()
}

fn headers(message: &BorrowedMessage<'_>) -> Vec<(String, String)> {
    let headers = message.headers().into_iter().flat_map(Headers::iter);
    let text =
        |value: Option<&[u8]>| String::from_utf8_lossy(value.unwrap_or_default()).into_owned();
    headers.map(|header| (header.key.to_owned(), text(header.value))).collect()
}

/// Where the partition ends. A topic just created may have no leader yet.
fn last_offset(consumer: &BaseConsumer, topic: &str, partition: i32) -> i64 {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        match consumer.fetch_watermarks(topic, partition, Duration::from_secs(5)) {
            Ok((_, last)) => return last,
            Err(error) => assert!(Instant::now() < deadline, "{topic}/{partition}: {error}"),
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The encodings that are taken.
pub(crate) const ENCODINGS: [&str; 3] = ["gzip", "deflate", "zstd"];

/// `body`, encoded.
pub(crate) fn encode(encoding: &str, body: &[u8]) -> Vec<u8> {
    let level = flate2::Compression::fast();
    match encoding {
        "gzip" => {
            let mut writer = flate2::write::GzEncoder::new(Vec::new(), level);
            writer.write_all(body).unwrap();
            writer.finish().unwrap()
        }
        "deflate" => {
            let mut writer = flate2::write::ZlibEncoder::new(Vec::new(), level);
            writer.write_all(body).unwrap();
            writer.finish().unwrap()
        }
        "zstd" => zstd::encode_all(body, 1).unwrap(),
        other => panic!("no encoding {other}"),
    }
}

pub(crate) const JSON: (&str, &str) = ("content-type", "application/json");

/// A Linux agent's snapshot of `packages` packages.
pub(crate) fn snapshot(computer: &str, packages: usize) -> String {
    let mut collections = String::new();
    for at in 0..packages {
        let comma = if at == 0 { "" } else { "," };
        let state = if at % 30 == 0 { "Needed" } else { "NotNeeded" };
        write!(
            collections,
            r#"{comma}{{"CollectionName":"package-{at}_0:1.{at}-2ubuntu1_Ubuntu_16.04","PackageName":"package-{at}","Architecture":"amd64","PackageVersion":"0:1.{at}-2ubuntu1","Size":"428","Repository":null,"PackageClassification":null,"Installed":true,"UpdateState":"{state}"}}"#
        )
        .unwrap();
    }
    format!(
        r#"{{"DataType":"LINUX_UPDATES_SNAPSHOT_BLOB","IPName":"Updates","DataItems":[{{"Timestamp":"2017-06-01T12:00:00.000Z","Host":"{computer}","AgentId":"id-of-{computer}","OSType":"Linux","OSName":"Ubuntu","OSVersion":"16.04","OSFullName":"Ubuntu 16.04","Collections":[{collections}]}}]}}"#
    )
}

/// A native heartbeat.
pub(crate) fn heartbeat(computer: &str) -> Value {
    serde_json::json!({
        "SourceComputerId": format!("id-of-{computer}"), "Computer": computer,
        "TimeGenerated": "2017-06-01T12:00:00Z", "OSType": "Windows",
    })
}

pub(crate) const LINUX_AGENT: &str = "/OperationalData.svc/PostJsonDataItems";
