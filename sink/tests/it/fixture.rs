//! What every test needs: both engines, a sink process, and a producer of enriched records.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use patchline_local::stack::{CLICKHOUSE_URL, KAFKA_BOOTSTRAP, variable};
use patchline_local::{ClickHouse, ClickHouseOptions, Kafka, KafkaOptions, Process};
use patchline_runtime::kafka::{KafkaConfig, create_topics};
use patchline_schemas::topic::dead_letter;
use patchline_schemas::{
    Codec, CustomLog, EnrichedRunProgress, EnrichedScan, EnrichedUpdate, Heartbeat, OfficeActivity,
    Record, Report, RunProgress, Scan, Summary, Timestamp, Topics, Update, UpdateState, Verdict,
};
use patchline_sink::batch::{Batch, Message, Source};
use patchline_sink::config::ClickHouseConfig;
use patchline_sink::store::Store;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message as _, OwnedMessage};
use rdkafka::producer::{FutureProducer, FutureRecord};
use uuid::Uuid;

/// The engines of this test binary; they end with it.
pub(crate) struct Engines {
    pub(crate) bootstrap: String,
    pub(crate) url: String,
    _own: Mutex<(Option<Kafka>, Option<ClickHouse>)>,
}

fn scratch() -> &'static Path {
    static SCRATCH: OnceLock<PathBuf> = OnceLock::new();
    SCRATCH.get_or_init(|| {
        // One a process: another run may be at work beside this one. The last run's is left for whoever
        // looks into a failure, until the next begins.
        let all = Path::new(env!("CARGO_TARGET_TMPDIR")).join("sink-it");
        for old in std::fs::read_dir(&all).into_iter().flatten().flatten() {
            if !Path::new("/proc").join(old.file_name()).exists() {
                let _ = std::fs::remove_dir_all(old.path());
            }
        }
        let path = all.join(std::process::id().to_string());
        std::fs::create_dir_all(&path).unwrap();
        path
    })
}

pub(crate) fn engines() -> &'static Engines {
    static ENGINES: OnceLock<Engines> = OnceLock::new();
    ENGINES.get_or_init(|| {
        let start_kafka =
            || Kafka::start(&scratch().join("kafka"), KafkaOptions::default()).unwrap();
        let start_clickhouse = || {
            ClickHouse::start(&scratch().join("clickhouse"), ClickHouseOptions::default()).unwrap()
        };
        let (bootstrap, kafka) = match variable(KAFKA_BOOTSTRAP) {
            Some(bootstrap) => (bootstrap, None),
            None => {
                let kafka = start_kafka();
                (kafka.bootstrap(), Some(kafka))
            }
        };
        let (url, clickhouse) = match variable(CLICKHOUSE_URL) {
            Some(url) => (url, None),
            None => {
                let clickhouse = start_clickhouse();
                (clickhouse.url(), Some(clickhouse))
            }
        };
        Engines { bootstrap, url, _own: Mutex::new((kafka, clickhouse)) }
    })
}

/// Topics and a database of one test.
pub(crate) struct World {
    pub(crate) name: String,
    pub(crate) kafka: KafkaConfig,
    pub(crate) clickhouse: ClickHouseConfig,
    pub(crate) topics: Topics,
    pub(crate) codec: Codec,
    pub(crate) client: clickhouse::Client,
    producer: FutureProducer,
}

impl World {
    pub(crate) async fn new(name: &str, partitions: i32) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let engines = engines();
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{name}_{}_{number}", std::process::id());
        let kafka = KafkaConfig {
            bootstrap: engines.bootstrap.clone(),
            topic_prefix: name.clone(),
            ..KafkaConfig::default()
        };
        let clickhouse = ClickHouseConfig {
            url: engines.url.clone(),
            database: name.clone(),
            ..ClickHouseConfig::default()
        };
        let topics = Topics::new(&name);
        create_topics(&kafka, &topics.all(), partitions, 1, Duration::from_secs(30)).await.unwrap();
        let client = clickhouse::Client::default().with_url(&clickhouse.url).with_database(&name);
        let producer = kafka.client("test", &[("acks", "all")]).create().unwrap();
        Self { name, kafka, clickhouse, topics, codec: Codec::new().unwrap(), client, producer }
    }

    pub(crate) async fn migrated(name: &str, partitions: i32) -> Self {
        let world = Self::new(name, partitions).await;
        patchline_sink::migrate::migrate(&world.clickhouse).await.unwrap();
        world
    }

    /// A command that runs the sink on this world, with further settings in the environment.
    pub(crate) fn command(&self, settings: &[(&str, &str)]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_patchline-sink"));
        command
            .env("PATCHLINE_SINK__KAFKA__BOOTSTRAP", &self.kafka.bootstrap)
            .env("PATCHLINE_SINK__KAFKA__TOPIC_PREFIX", &self.kafka.topic_prefix)
            .env("PATCHLINE_SINK__CLICKHOUSE__URL", &self.clickhouse.url)
            .env("PATCHLINE_SINK__CLICKHOUSE__DATABASE", &self.clickhouse.database)
            .env("PATCHLINE_SINK__ADMIN__LISTEN", "127.0.0.1:0")
            .env("PATCHLINE_SINK__SINK__INSTANCE_ID", "a")
            .env("PATCHLINE_SINK__SINK__BATCH_AGE_MAX_MS", "100");
        for (key, value) in settings {
            command.env(format!("PATCHLINE_SINK__{key}"), value);
        }
        command
    }

    pub(crate) fn start(&self, settings: &[(&str, &str)]) -> Process {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let log = scratch().join(format!("{}-{number}.log", self.name));
        Process::spawn("patchline-sink", self.command(settings), &log).unwrap()
    }

    /// Sends a record and waits for Kafka to have it.
    pub(crate) async fn send<T: Record>(&self, topic: &str, key: &str, record: &T) -> (i32, i64) {
        let mut payload = Vec::new();
        self.codec.encode(record, &mut payload).unwrap();
        self.send_bytes(topic, key, &payload).await
    }

    pub(crate) async fn send_bytes(&self, topic: &str, key: &str, payload: &[u8]) -> (i32, i64) {
        let record = FutureRecord::to(topic).key(key).payload(payload);
        let sent = self.producer.send(record, Duration::from_secs(30)).await.unwrap();
        (sent.partition, sent.offset)
    }

    pub(crate) async fn send_scan(&self, scan: &EnrichedScan<'_>) -> (i32, i64) {
        self.send(&self.topics.enriched_scans, scan.scan.key(), scan).await
    }

    pub(crate) async fn send_run_progress(&self, report: &EnrichedRunProgress<'_>) -> (i32, i64) {
        let key = report.report.key().to_owned();
        self.send(&self.topics.enriched_run_progress, &key, report).await
    }

    pub(crate) async fn send_heartbeat(&self, report: &Heartbeat<'_>) -> (i32, i64) {
        self.send(&self.topics.heartbeats, report.key(), report).await
    }

    /// Stores records as the batch of consecutive messages from offset `first` on, without Kafka.
    pub(crate) async fn store<T: Record>(
        &self,
        source: Source,
        first: i64,
        arrived: Timestamp,
        records: &[T],
    ) {
        let mut batch = Batch::new(source, 0);
        for (offset, record) in (first..).zip(records) {
            let mut payload = Vec::new();
            self.codec.encode(record, &mut payload).unwrap();
            let message = Message { offset, timestamp: arrived, key: None, payload };
            batch.push(&self.codec, message);
        }
        assert!(batch.rejects().is_empty(), "{:?}", batch.rejects());
        let store = Store::new(&self.clickhouse);
        for block in batch.waves().iter().flatten() {
            store.insert_again(block).await.unwrap();
        }
    }

    /// The rows that `sql` asks for, each an object.
    pub(crate) async fn rows(&self, sql: &str) -> Vec<serde_json::Map<String, serde_json::Value>> {
        let mut cursor = self.client.query(sql).fetch_bytes("JSONEachRow").unwrap();
        let bytes = cursor.collect().await.unwrap();
        let lines = std::str::from_utf8(&bytes).unwrap().lines();
        lines.map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The one number that `sql` asks for.
    pub(crate) async fn number(&self, sql: &str) -> u64 {
        self.client.query(&sql.replace('?', "??")).fetch_one().await.unwrap()
    }

    /// The text that `sql` asks for, a row an element.
    pub(crate) async fn texts(&self, sql: &str) -> Vec<String> {
        self.client.query(&sql.replace('?', "??")).fetch_all().await.unwrap()
    }

    /// The first `count` dead letters, in order of the messages that they are of.
    pub(crate) fn dead_letters(&self, count: usize) -> Vec<OwnedMessage> {
        let settings = [("group.id", "letters"), ("auto.offset.reset", "earliest")];
        let consumer: BaseConsumer = self.kafka.client("test", &settings).create().unwrap();
        consumer.subscribe(&[&self.topics.dead_letters]).unwrap();
        let mut letters = Vec::new();
        let deadline = Instant::now() + Duration::from_secs(60);
        while letters.len() < count {
            assert!(Instant::now() < deadline, "{} of {count} dead letters came", letters.len());
            if let Some(letter) = consumer.poll(Duration::from_millis(200)) {
                letters.push(letter.unwrap().detach());
            }
        }
        letters.sort_by_key(|letter| {
            let of = |name| header(letter, name);
            (of(dead_letter::SOURCE_TOPIC), of(dead_letter::SOURCE_OFFSET).parse::<i64>().unwrap())
        });
        letters
    }

    /// Waits until `sql` gives `expected`.
    pub(crate) async fn wait_for(&self, sql: &str, expected: u64) {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let found = self.number(sql).await;
            if found == expected {
                return;
            }
            assert!(Instant::now() < deadline, "`{sql}` gives {found}, expected {expected}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// What a dead letter says of itself under `name`.
pub(crate) fn header(letter: &OwnedMessage, name: &str) -> String {
    let headers = letter.headers().unwrap();
    let found = headers.iter().find(|header| header.key == name).unwrap();
    String::from_utf8(found.value.unwrap().to_vec()).unwrap()
}

/// A small generator of its own, so that a printed seed gives the same schedule everywhere.
pub(crate) struct Random(u64);

impl Random {
    /// From `PATCHLINE_SEED`, or from a new seed; prints it.
    pub(crate) fn seeded() -> Self {
        let seed = std::env::var("PATCHLINE_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed: u64 = seed.unwrap_or(1);
        println!("PATCHLINE_SEED={seed}");
        Self(seed)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

pub(crate) const NOW: i64 = 1_700_000_000_000;

/// Report ids that tests can name.
pub(crate) fn id(number: u32) -> Uuid {
    Uuid::from_u128(u128::from(number) + 1)
}

/// An update named after its number.
pub(crate) fn update(number: u32, state: UpdateState) -> EnrichedUpdate<'static> {
    EnrichedUpdate {
        update: Update {
            update_state: state,
            product: format!("package-{number}").into(),
            product_arch: "amd64".into(),
            product_version: "0:1.0-1".into(),
            title: format!("package-{number}").into(),
            ..Update::default()
        },
        verdict: Verdict {
            classification: "Security Updates".into(),
            classification_source: "catalog".into(),
            published_date: Some(Timestamp(NOW - 1)),
            ..Verdict::default()
        },
    }
}

/// A scan of `computer` made `at` ms after [`NOW`].
pub(crate) fn scan(
    computer: &str,
    report: u32,
    at: i64,
    updates: Vec<EnrichedUpdate<'static>>,
) -> EnrichedScan<'static> {
    let missing = updates.iter().filter(|at| at.update.update_state == UpdateState::Needed);
    let missing = missing.count() as i32;
    EnrichedScan {
        scan: Scan {
            report_id: id(report),
            source_computer_id: computer.to_owned().into(),
            computer: format!("{computer}.contoso.com").into(),
            time_generated: Timestamp(NOW + at),
            os_type: "Linux".into(),
            os_name: "Ubuntu".into(),
            os_version: "16.04".into(),
            ..Scan::default()
        },
        updates,
        summary: Summary {
            security_updates_missing: missing,
            total_updates_missing: missing,
            ..Summary::default()
        },
        catalog_version: "7".into(),
    }
}

pub(crate) fn heartbeat(computer: &str, report: u32) -> Heartbeat<'static> {
    Heartbeat {
        report_id: id(report),
        source_computer_id: computer.to_owned().into(),
        computer: format!("{computer}.contoso.com").into(),
        time_generated: Timestamp(NOW),
        os_type: "Linux".into(),
        computer_private_ips: vec!["10.0.0.1".to_owned(), "10.0.0.2".to_owned()],
        ..Heartbeat::default()
    }
}

pub(crate) fn run_progress(computer: &str, report: u32) -> EnrichedRunProgress<'static> {
    EnrichedRunProgress {
        report: RunProgress {
            report_id: id(report),
            source_computer_id: computer.to_owned().into(),
            computer: format!("{computer}.contoso.com").into(),
            time_generated: Timestamp(NOW),
            os_type: "Linux".into(),
            update_run_name: "July".into(),
            installation_status: "Succeeded".into(),
            start_time: Some(Timestamp(NOW)),
            ..RunProgress::default()
        },
        product: "bash".into(),
        kbid: "".into(),
    }
}

pub(crate) fn custom_log(report: u32) -> CustomLog<'static> {
    CustomLog {
        report_id: id(report),
        time_generated: Timestamp(NOW),
        workspace_id: "w".into(),
        log_type: "MyLog".into(),
        record: "{}".into(),
        ..CustomLog::default()
    }
}

pub(crate) fn office_activity(report: u32) -> OfficeActivity<'static> {
    OfficeActivity {
        report_id: id(report),
        time_generated: Timestamp(NOW),
        office_tenant_id: "t".into(),
        operation: "FileAccessed".into(),
        ..OfficeActivity::default()
    }
}
