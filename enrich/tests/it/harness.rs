//! A broker, topics, instances of the binary, and what a downstream reader sees.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use patchline_enrich::advisories::publish::Publisher;
use patchline_local::{Kafka, KafkaOptions, Process, free_port};
use patchline_runtime::kafka::{KafkaConfig, create_topics};
use patchline_schemas::{
    Advisory, Codec, PackageFix, Record, Scan, Timestamp, Topics, Update, UpdateState,
};
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{DeliveryResult, Headers, Message, OwnedHeaders, OwnedMessage};
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{ClientContext, Offset, TopicPartitionList};
use uuid::Uuid;

pub(crate) const PARTITIONS: i32 = 3;

/// One test at a time: each has a broker of its own, and the machine is small.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One more beside them, of those tests that take long and wait for most of it.
pub(crate) fn beside() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A broker with its topics, and a place for files.
pub(crate) struct Cluster {
    pub(crate) kafka: Kafka,
    pub(crate) topics: Topics,
    pub(crate) directory: PathBuf,
    /// Of the instances, in milliseconds.
    pub(crate) transaction_timeout_ms: u32,
}

impl Cluster {
    /// With all topics and a catalog of one advisory.
    pub(crate) fn start(name: &str) -> Self {
        let cluster = Self::start_without_topics(name);
        cluster.create_topics(&cluster.topics.all(), PARTITIONS);
        cluster.publish(&ADVISORY);
        cluster
    }

    /// Publishes `advisory` as an import does.
    fn publish(&self, advisory: &Advisory<'_>) {
        let kafka = KafkaConfig { bootstrap: self.kafka.bootstrap(), ..KafkaConfig::default() };
        let mut publisher = Publisher::new(&kafka, Codec::new().unwrap(), false).unwrap();
        publisher.offer(advisory).unwrap();
        publisher.finish().unwrap();
    }

    pub(crate) fn start_without_topics(name: &str) -> Self {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("enrich-{name}"));
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir_all(&directory).unwrap();
        // Members that die are noticed soon, and so are transactions that nobody will end.
        let properties = [
            ("group.min.session.timeout.ms", "1000"),
            ("transaction.abort.timed.out.transaction.cleanup.interval.ms", "1000"),
        ];
        let properties = properties.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let options = KafkaOptions { properties: properties.to_vec(), ..KafkaOptions::default() };
        let kafka = Kafka::start(&directory, options).unwrap_or_else(|error| panic!("{error}"));
        Self { kafka, topics: Topics::default(), directory, transaction_timeout_ms: 4000 }
    }

    pub(crate) fn create_topics(&self, topics: &[&str], partitions: i32) {
        let config = KafkaConfig { bootstrap: self.kafka.bootstrap(), ..KafkaConfig::default() };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let created = create_topics(&config, topics, partitions, 1, Duration::from_secs(30));
        runtime.block_on(created).unwrap();
    }

    /// Deletes `topic`, and waits until it is gone.
    pub(crate) fn delete_topic(&self, topic: &str) {
        let config = KafkaConfig { bootstrap: self.kafka.bootstrap(), ..KafkaConfig::default() };
        let admin: AdminClient<DefaultClientContext> = config.client("test", &[]).create().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let deleted = runtime.block_on(admin.delete_topics(&[topic], &AdminOptions::new()));
        assert_eq!(deleted.unwrap(), [Ok(topic.to_owned())]);
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let found = admin.inner().fetch_metadata(Some(topic), Duration::from_secs(5)).unwrap();
            if found.topics().iter().all(|topic| topic.partitions().is_empty()) {
                return;
            }
            assert!(Instant::now() < deadline, "{topic} is still there");
            sleep(Duration::from_millis(100));
        }
    }

    /// Starts an instance of the binary.
    pub(crate) fn enrich(&self, instance_id: &str) -> Instance {
        self.enrich_with(instance_id, "")
    }

    /// Starts an instance of the binary with one more setting.
    pub(crate) fn enrich_with(&self, instance_id: &str, setting: &str) -> Instance {
        let port = free_port().unwrap();
        let file = self.directory.join(format!("{instance_id}.toml"));
        let settings = format!(
            "enrich.instance_id = \"{instance_id}\"\n\
             enrich.batch_messages_max = 40\n\
             enrich.transaction_timeout_ms = {}\n\
             {setting}\n\
             kafka.bootstrap = \"{}\"\n\
             kafka.settings = {{ \"session.timeout.ms\" = \"2000\", \"heartbeat.interval.ms\" = \"300\" }}\n\
             admin.listen = \"127.0.0.1:{port}\"\n",
            self.transaction_timeout_ms,
            self.kafka.bootstrap()
        );
        std::fs::write(&file, settings).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_patchline-enrich"));
        command.arg("--config").arg(&file);
        let log = self.directory.join(format!("{instance_id}.log"));
        let process = Process::spawn(&format!("enrich {instance_id}"), command, &log).unwrap();
        Instance { process, port, log }
    }

    /// Everything in `topics` that a reader of committed messages sees, to the end of each partition.
    pub(crate) fn read_committed(&self, topics: &[&str]) -> Vec<OwnedMessage> {
        let reader: BaseConsumer = rdkafka::ClientConfig::new()
            .set("bootstrap.servers", self.kafka.bootstrap())
            .set("group.id", "test-reader")
            .set("isolation.level", "read_committed")
            .set("enable.auto.commit", "false")
            .set("enable.partition.eof", "true")
            .create()
            .unwrap();
        let mut from = TopicPartitionList::new();
        for topic in topics {
            for partition in 0..PARTITIONS {
                from.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
            }
        }
        reader.assign(&from).unwrap();
        let mut open = from.count();
        let mut messages = Vec::new();
        let deadline = Instant::now() + Duration::from_secs(60);
        while open > 0 {
            assert!(Instant::now() < deadline, "{open} partitions do not end");
            match reader.poll(Duration::from_millis(100)) {
                Some(Ok(message)) => messages.push(message.detach()),
                Some(Err(KafkaError::PartitionEOF(_))) => open -= 1,
                Some(Err(error)) => panic!("{error}"),
                None => {}
            }
        }
        messages
    }

    /// Raw messages that no transaction has committed yet.
    pub(crate) fn uncommitted(&self) -> i64 {
        let timeout = Duration::from_secs(5);
        let group: BaseConsumer = rdkafka::ClientConfig::new()
            .set("bootstrap.servers", self.kafka.bootstrap())
            .set("group.id", "patchline.enrich")
            .set("isolation.level", "read_committed")
            .create()
            .unwrap();
        let mut list = TopicPartitionList::new();
        for topic in [&self.topics.scans, &self.topics.run_progress] {
            list.add_partition_range(topic, 0, PARTITIONS - 1);
        }
        let Ok(committed) = group.committed_offsets(list, timeout) else { return i64::MAX };
        let left = committed.elements().into_iter().map(|one| {
            let (low, high) = group.fetch_watermarks(one.topic(), one.partition(), timeout)?;
            Ok::<i64, KafkaError>(match one.offset() {
                Offset::Offset(next) => high - next,
                _ => high - low,
            })
        });
        left.sum::<Result<i64, _>>().unwrap_or(i64::MAX)
    }

    /// Waits until everything that was sent is committed.
    pub(crate) fn wait_until_drained(&self, timeout: Duration) {
        let deadline = Instant::now() + timeout;
        loop {
            let left = self.uncommitted();
            if left == 0 {
                return;
            }
            assert!(Instant::now() < deadline, "{left} raw messages are not processed");
            sleep(Duration::from_millis(200));
        }
    }
}

/// What the test's computers are told by the catalog: `pkg0` in one version is a security update.
static ADVISORY: LazyLock<Advisory<'static>> = LazyLock::new(|| Advisory {
    id: "TEST-1".into(),
    source: "test".into(),
    kind: "security".into(),
    package_fixes: vec![PackageFix {
        distribution: "ubuntu".into(),
        package: "pkg0".into(),
        fixed: "1.1".into(),
        ..PackageFix::default()
    }],
    ..Advisory::default()
});

/// A running binary.
pub(crate) struct Instance {
    pub(crate) process: Process,
    port: u16,
    log: PathBuf,
}

impl Instance {
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub(crate) fn get(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }

    pub(crate) fn wait_until_ready(&mut self) {
        let port = self.port;
        let ready = || {
            let probe = || {
                let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
                stream
                    .write_all(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                    .ok()?;
                let mut answer = String::new();
                stream.read_to_string(&mut answer).ok()?;
                Some(answer.starts_with("HTTP/1.1 200"))
            };
            probe().unwrap_or(false)
        };
        self.process
            .wait_until(Duration::from_secs(30), ready)
            .unwrap_or_else(|error| panic!("{error}"));
    }

    /// The value of a metric's series, written as `name{labels}`.
    pub(crate) fn metric(&self, series: &str) -> Option<f64> {
        let text = self.get("/metrics")?;
        let line = text
            .lines()
            .find(|line| line.strip_prefix(series).is_some_and(|rest| rest.starts_with(' ')))?;
        line.rsplit(' ').next()?.parse().ok()
    }

    /// Stops it in order; it must say that it went well.
    pub(crate) fn stop(mut self) {
        let status = self.process.terminate(Duration::from_secs(40)).unwrap();
        assert!(status.success(), "{status}\n{}", self.log());
    }

    /// Most memory it has had, in MiB.
    pub(crate) fn peak_mib(&self) -> u64 {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.process.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
    }
}

/// Sends raw messages as a gateway does, and knows where each went.
pub(crate) struct Sender {
    producer: ThreadedProducer<Placed>,
}

#[derive(Default)]
struct Placed(Mutex<HashMap<usize, (i32, i64)>>);

impl ClientContext for Placed {}

impl ProducerContext for Placed {
    type DeliveryOpaque = usize;
    fn delivery(&self, result: &DeliveryResult<'_>, number: usize) {
        let message = result.as_ref().expect("a raw message is delivered");
        let place = (message.partition(), message.offset());
        self.0.lock().unwrap().insert(number, place);
    }
}

impl Sender {
    pub(crate) fn new(cluster: &Cluster) -> Self {
        let producer = rdkafka::ClientConfig::new()
            .set("bootstrap.servers", cluster.kafka.bootstrap())
            .set("enable.idempotence", "true")
            .set("message.max.bytes", "17000000")
            .set("linger.ms", "20")
            .create_with_context(Placed::default())
            .unwrap();
        Self { producer }
    }

    pub(crate) fn send(
        &self,
        number: usize,
        topic: &str,
        key: &str,
        payload: Option<&[u8]>,
        at: i64,
    ) {
        let mut record = BaseRecord::with_opaque_to(topic, number).key(key).timestamp(at);
        record.payload = payload;
        loop {
            match self.producer.send(record) {
                Ok(()) => return,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    record = back;
                    sleep(Duration::from_millis(5));
                }
                Err((error, _)) => panic!("{error}"),
            }
        }
    }

    /// Waits for the acknowledgements: partition and offset of every message, by its number.
    pub(crate) fn places(self) -> HashMap<usize, (i32, i64)> {
        self.producer.flush(Duration::from_secs(120)).unwrap();
        std::mem::take(&mut self.producer.context().0.lock().unwrap())
    }
}

pub(crate) fn encoded(record: &impl Record) -> Vec<u8> {
    let mut bytes = Vec::new();
    Codec::new().unwrap().encode(record, &mut bytes).unwrap();
    bytes
}

/// When the first message arrives: now, because a broker deletes what is older than its retention.
pub(crate) fn arrived() -> i64 {
    static NOW: LazyLock<i64> = LazyLock::new(|| Timestamp::now().0);
    *NOW
}

pub(crate) fn scan(number: usize, computer: &str, updates: usize) -> Scan<'static> {
    let update = |n: usize| Update {
        product: format!("pkg{n}").into(),
        product_arch: "amd64".into(),
        product_version: "1.1".into(),
        update_state: if n.is_multiple_of(3) {
            UpdateState::Needed
        } else {
            UpdateState::NotNeeded
        },
        ..Update::default()
    };
    Scan {
        report_id: Uuid::from_u128(number as u128 + 1),
        source_computer_id: computer.to_owned().into(),
        computer: computer.to_owned().into(),
        time_generated: Timestamp(arrived() + number as i64),
        os_type: "Linux".into(),
        os_name: "Ubuntu".into(),
        updates: (0..updates).map(update).collect(),
        ..Scan::default()
    }
}

pub(crate) fn header(headers: &OwnedHeaders, key: &str) -> String {
    let found = headers.iter().find(|one| one.key == key).unwrap_or_else(|| panic!("no {key}"));
    String::from_utf8(found.value.unwrap().to_vec()).unwrap()
}

/// Deterministic numbers (splitmix64), the same for the same seed everywhere.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// Seeded by `SEED`, else by the clock; prints which.
    pub(crate) fn seeded() -> Self {
        let clock = || std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64 % 1_000_000;
        let seed =
            std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(clock);
        println!("SEED={seed}");
        Self(seed)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % end
    }
}
