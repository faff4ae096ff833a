//! A catalog's topic, a database with stored scans, and the binary.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use patchline_enrich::advisories::topic;
use patchline_enrich::index::{Index, IndexBuilder};
use patchline_enrich::{Source, Transform};
use patchline_local::{ClickHouse, ClickHouseOptions, Kafka, KafkaOptions, Process};
use patchline_runtime::kafka::{KafkaConfig, create_topics};
use patchline_schemas::{
    Advisory, Codec, EnrichedScan, KbFix, PackageFix, Scan, Timestamp, Topics, Update, UpdateState,
};
use patchline_sink::batch::{Batch, Message, Source as Stored};
use patchline_sink::config::ClickHouseConfig;
use patchline_sink::store::Store;
use rdkafka::producer::{FutureProducer, FutureRecord};
use uuid::Uuid;

/// The engines of this test binary; they end with it.
struct Engines {
    bootstrap: String,
    url: String,
    _own: Mutex<(Option<Kafka>, Option<ClickHouse>)>,
}

fn scratch() -> &'static Path {
    static SCRATCH: OnceLock<PathBuf> = OnceLock::new();
    SCRATCH.get_or_init(|| {
        // The last run's is left for whoever looks into a failure, until this run begins.
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("reclassify");
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        path
    })
}

fn engines() -> &'static Engines {
    static ENGINES: OnceLock<Engines> = OnceLock::new();
    ENGINES.get_or_init(|| {
        let given = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let kafka = match given("KAFKA_BOOTSTRAP") {
            Some(bootstrap) => (bootstrap, None),
            None => {
                let directory = scratch().join("kafka");
                let kafka = Kafka::start(&directory, KafkaOptions::default()).unwrap();
                (kafka.bootstrap(), Some(kafka))
            }
        };
        let clickhouse = match given("CLICKHOUSE_URL") {
            Some(url) => (url, None),
            None => {
                let directory = scratch().join("clickhouse");
                let clickhouse =
                    ClickHouse::start(&directory, ClickHouseOptions::default()).unwrap();
                (clickhouse.url(), Some(clickhouse))
            }
        };
        Engines { bootstrap: kafka.0, url: clickhouse.0, _own: Mutex::new((kafka.1, clickhouse.1)) }
    })
}

/// Topics and a database of one test, and what is in them.
pub(crate) struct World {
    name: String,
    kafka: KafkaConfig,
    topics: Topics,
    codec: Codec,
    store: Store,
    pub(crate) client: clickhouse::Client,
    clickhouse: ClickHouseConfig,
    producer: FutureProducer,
    state: Mutex<State>,
}

/// What was published, and the newest scan of each computer.
#[derive(Default)]
struct State {
    builder: IndexBuilder,
    published: usize,
    offset: i64,
    scans: BTreeMap<String, Vec<u8>>,
}

impl World {
    pub(crate) async fn new(name: &str) -> Self {
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
        let timeout = Duration::from_secs(30);
        create_topics(&kafka, &[&topics.enriched_scans], 1, 1, timeout).await.unwrap();
        topic::create(&kafka).await.unwrap();
        patchline_sink::migrate::migrate(&clickhouse).await.unwrap();
        Self {
            store: Store::new(&clickhouse),
            client: clickhouse::Client::default().with_url(&clickhouse.url).with_database(&name),
            producer: kafka.client("test", &[("acks", "all")]).create().unwrap(),
            codec: Codec::new().unwrap(),
            state: Mutex::default(),
            name,
            kafka,
            topics,
            clickhouse,
        }
    }

    /// Publishes an advisory, in place of the one of its id.
    pub(crate) async fn publish(&self, advisory: &Advisory<'_>) {
        let mut payload = Vec::new();
        self.codec.encode(advisory, &mut payload).unwrap();
        let key = format!("{}:{}", advisory.source, advisory.id);
        let record = FutureRecord::to(&self.topics.advisories).key(&key).payload(&payload);
        self.producer.send(record, Duration::from_secs(30)).await.unwrap();
        let mut state = self.state.lock().unwrap();
        state.builder.upsert(advisory);
        state.published += 1;
    }

    /// The catalog of all that was published, as a stage has it that has read all of it.
    pub(crate) fn catalog(&self) -> Arc<Index> {
        let mut state = self.state.lock().unwrap();
        let version = match state.published {
            0 => "none".to_owned(),
            end => format!("{}@2026-01-15T08:00:00Z/{end}", state.builder.len()),
        };
        Arc::new(state.builder.build(&version))
    }

    /// Stores `scan` as it was judged by `catalog`, the way the sink does.
    pub(crate) async fn store(&self, scan: &Scan<'_>, catalog: &Arc<Index>) {
        self.store_all(std::slice::from_ref(scan), catalog).await;
    }

    /// Stores `scans` in one batch.
    pub(crate) async fn store_all(&self, scans: &[Scan<'_>], catalog: &Arc<Index>) {
        let mut batch = Batch::new(Stored::Scans, 0);
        for scan in scans {
            let offset = {
                let mut state = self.state.lock().unwrap();
                let mut raw = Vec::new();
                self.codec.encode(scan, &mut raw).unwrap();
                state.scans.insert(scan.source_computer_id.to_string(), raw);
                state.offset += 1;
                state.offset
            };
            let timestamp = scan.time_generated;
            let payload = self.enriched(scan, catalog);
            batch.push(&self.codec, Message { offset, timestamp, key: None, payload });
        }
        assert!(batch.rejects().is_empty(), "{:?}", batch.rejects());
        let first = self.state.lock().unwrap().offset;
        for wave in batch.waves() {
            for block in &wave {
                self.store.insert(block, &format!("{first}:{}", block.table)).await.unwrap();
            }
        }
    }

    fn enriched(&self, scan: &Scan<'_>, catalog: &Arc<Index>) -> Vec<u8> {
        let transform = Transform::new(Codec::new().unwrap(), Arc::clone(catalog));
        let (mut raw, mut out) = (Vec::new(), Vec::new());
        self.codec.encode(scan, &mut raw).unwrap();
        transform.apply(Source::Scans, &raw, None, &mut out).unwrap();
        out
    }

    /// Starts the binary.
    pub(crate) fn start(&self) -> Process {
        let mut command = Command::new(env!("CARGO_BIN_EXE_patchline-reclassify"));
        for (key, value) in [
            ("KAFKA__BOOTSTRAP", self.kafka.bootstrap.as_str()),
            ("KAFKA__TOPIC_PREFIX", &self.kafka.topic_prefix),
            ("CLICKHOUSE__URL", &self.clickhouse.url),
            ("CLICKHOUSE__DATABASE", &self.clickhouse.database),
            ("ADMIN__LISTEN", "127.0.0.1:0"),
            ("RECLASSIFY__QUIET_MS", "50"),
            ("RECLASSIFY__LATE_SCANS_INTERVAL_MS", "200"),
        ] {
            command.env(format!("PATCHLINE_RECLASSIFY__{key}"), value);
        }
        Process::spawn("patchline-reclassify", command, &self.log()).unwrap()
    }

    fn log(&self) -> PathBuf {
        scratch().join(format!("{}.log", self.name))
    }

    /// What all starts of the binary have logged.
    pub(crate) fn logged(&self) -> String {
        std::fs::read_to_string(self.log()).unwrap_or_default()
    }

    /// The texts that `sql` asks for, a row an element.
    pub(crate) async fn texts(&self, sql: &str) -> Vec<String> {
        self.client.query(&sql.replace('?', "??")).fetch_all().await.unwrap()
    }

    /// The one number that `sql` asks for.
    pub(crate) async fn number(&self, sql: &str) -> u64 {
        self.client.query(&sql.replace('?', "??")).fetch_one().await.unwrap()
    }

    /// Waits until `sql` gives `expected`.
    pub(crate) async fn wait_for(&self, sql: &str, expected: &[&str]) {
        let deadline = Instant::now() + Duration::from_secs(90);
        loop {
            let found = self.texts(sql).await;
            if found == expected {
                return;
            }
            let log = self.logged();
            assert!(Instant::now() < deadline, "`{sql}` gives {found:?}, not {expected:?}\n{log}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until the binary has said that all that was published is applied.
    pub(crate) async fn wait_until_applied(&self) {
        let end = format!("/{}", self.state.lock().unwrap().published);
        let deadline = Instant::now() + Duration::from_secs(90);
        loop {
            let log = self.logged();
            let applied = log.lines().filter(|line| line.contains("catalog applied"));
            let mut versions = applied.filter_map(|line| line.split_once("version="));
            if versions.any(|(_, version)| version.trim_matches('"').ends_with(&end)) {
                return;
            }
            assert!(Instant::now() < deadline, "{end} is not applied\n{log}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// What differs between the tables and what every computer's newest scan gives when it is judged now.
    pub(crate) async fn differences(&self) -> Vec<String> {
        let catalog = self.catalog();
        let scans: Vec<Vec<u8>> = self.state.lock().unwrap().scans.values().cloned().collect();
        let mut expected: Vec<String> = Vec::new();
        let mut summaries: Vec<String> = Vec::new();
        for raw in &scans {
            let scan: Scan<'_> = self.codec.decode(raw).unwrap();
            let payload = self.enriched(&scan, &catalog);
            let EnrichedScan { scan, updates, summary, .. } = self.codec.decode(&payload).unwrap();
            for one in updates {
                let (update, verdict) = (one.update, one.verdict);
                expected.push(
                    [
                        &*scan.source_computer_id,
                        &*update.product,
                        &*update.product_version,
                        &*update.kbid,
                        update.update_state.column_value(),
                        &*verdict.classification,
                        &*verdict.classification_source,
                        &*verdict.advisory_ids,
                        &*verdict.msrc_severity,
                        &*verdict.msrc_bulletin_id,
                        &*verdict.bulletin_id,
                        &*verdict.bulletin_url,
                        &*verdict.cve_numbers,
                        &*verdict.package_severity,
                        &*verdict.reboot_behavior,
                        &*verdict.superseded_by,
                        &format!("{:?}", verdict.published_date.map(|date| date.0)),
                    ]
                    .join("|"),
                );
            }
            summaries.push(format!(
                "{}|{}|{}|{}|{}|{:?}|{}",
                scan.source_computer_id,
                summary.critical_updates_missing,
                summary.security_updates_missing,
                summary.other_updates_missing,
                summary.total_updates_missing,
                summary.oldest_missing_security_update_in_days,
                summary.oldest_missing_security_update_bucket,
            ));
        }
        expected.sort();
        summaries.sort();
        let some = |column: &str| {
            format!(
                "assumeNotNull(if(isNull({column}), 'None', concat('Some(', toString({column}), ')')))"
            )
        };
        let sql = format!(
            "SELECT concatWithSeparator('|', SourceComputerId, Product, ProductVersion, KBID, UpdateState, \
             Classification, ClassificationSource, AdvisoryIDs, MSRCSeverity, MSRCBulletinID, BulletinID, \
             BulletinUrl, CVENumbers, PackageSeverity, RebootBehavior, SupersededBy, {}) AS Line \
             FROM Update ORDER BY Line",
            some("toUnixTimestamp64Milli(PublishedDate)")
        );
        let rows = self.texts(&sql).await;
        let sql = format!(
            "SELECT concatWithSeparator('|', SourceComputerId, toString(CriticalUpdatesMissing), \
             toString(SecurityUpdatesMissing), toString(OtherUpdatesMissing), \
             toString(TotalUpdatesMissing), {}, OldestMissingSecurityUpdateBucket) AS Line \
             FROM UpdateSummary WHERE (SourceComputerId, TimeGenerated) IN \
             (SELECT SourceComputerId, max(TimeGenerated) FROM UpdateSummary GROUP BY SourceComputerId) \
             ORDER BY Line",
            some("OldestMissingSecurityUpdateInDays")
        );
        let counts = self.texts(&sql).await;
        let mut differences = Vec::new();
        for (what, expected, found) in [("row", expected, rows), ("summary", summaries, counts)] {
            for (sign, one, other) in [("-", &expected, &found), ("+", &found, &expected)] {
                let missing = one.iter().filter(|line| other.binary_search(line).is_err());
                differences.extend(missing.map(|line| format!("{sign} {what} {line}")));
            }
            if expected.len() != found.len() {
                differences.push(format!("{} of {what}, expected {}", found.len(), expected.len()));
            }
        }
        differences
    }

    /// Waits until the tables say what the catalog says.
    pub(crate) async fn wait_until_it_agrees(&self) {
        let deadline = Instant::now() + Duration::from_secs(90);
        loop {
            let differences = self.differences().await;
            if differences.is_empty() {
                return;
            }
            let log = self.logged();
            assert!(Instant::now() < deadline, "{differences:#?}\n{log}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// When the scans of a test are made.
pub(crate) const NOW: i64 = 1_768_464_000_000;

/// A computer's scan, `hour` hours after the first.
pub(crate) fn scan(computer: &str, hour: i64, updates: Vec<Update<'static>>) -> Scan<'static> {
    let id = format!("{computer}/{hour}");
    let digest = id.bytes().fold(0xCBF2_9CE4_8422_2325_u128, |hash, byte| {
        (hash ^ u128::from(byte)).wrapping_mul(0x0100_0000_01B3_0000_0000_0000_013B)
    });
    Scan {
        report_id: Uuid::from_u128(digest),
        source_computer_id: computer.to_owned().into(),
        computer: format!("{computer}.contoso.com").into(),
        time_generated: Timestamp(NOW + hour * 3_600_000),
        os_type: "Linux".into(),
        os_name: "Ubuntu".into(),
        os_version: "16.04".into(),
        os_full_name: "Ubuntu 16.04 LTS".into(),
        updates,
        ..Scan::default()
    }
}

/// A Windows computer's scan.
pub(crate) fn windows(computer: &str, hour: i64, updates: Vec<Update<'static>>) -> Scan<'static> {
    Scan {
        os_type: "Windows".into(),
        os_name: "Windows Server 2016 Datacenter".into(),
        os_version: "10.0.14393".into(),
        os_full_name: "".into(),
        ..scan(computer, hour, updates)
    }
}

/// A package: installed, and what is available of it.
pub(crate) fn package(name: &str, installed: &str, available: &str) -> Vec<Update<'static>> {
    let one = |version: &str, update_state| Update {
        update_state,
        title: name.to_owned().into(),
        product: name.to_owned().into(),
        product_arch: "amd64".into(),
        product_version: version.to_owned().into(),
        ..Update::default()
    };
    let mut both = vec![one(installed, UpdateState::NotNeeded)];
    if !available.is_empty() {
        both.push(one(available, UpdateState::Needed));
    }
    both
}

/// A Windows update.
pub(crate) fn kb(number: u32, update_state: UpdateState) -> Update<'static> {
    Update {
        update_state,
        update_id: Uuid::from_u128(number.into()).to_string().into(),
        kbid: number.to_string().into(),
        title: format!("Update (KB{number})").into(),
        product: "Windows Server 2016".into(),
        classification: "Updates".into(),
        published_date: Some(Timestamp(NOW - 40 * Timestamp::DAY_MS)),
        reboot_behavior: "neverreboots".into(),
        ..Update::default()
    }
}

/// A vendor's advisory about packages, each fixed in a version.
pub(crate) fn advisory(id: &str, severity: &str, fixes: &[(&str, &str)]) -> Advisory<'static> {
    let fix = |(package, fixed): &(&str, &str)| PackageFix {
        distribution: "ubuntu".into(),
        release: "16.04".into(),
        package: (*package).to_owned().into(),
        fixed: (*fixed).to_owned().into(),
        ..PackageFix::default()
    };
    Advisory {
        id: id.to_owned().into(),
        source: "osv".into(),
        kind: "security".into(),
        severity: severity.to_owned().into(),
        bulletin_id: id.to_owned().into(),
        bulletin_url: format!("https://example.org/{id}").into(),
        cve_numbers: vec![format!("CVE-2026-{id}")],
        published: Some(Timestamp(NOW - 35 * Timestamp::DAY_MS)),
        package_fixes: fixes.iter().map(fix).collect(),
        ..Advisory::default()
    }
}

/// An MSRC bulletin about one KB.
pub(crate) fn bulletin(id: &str, number: u32, supersedes: &[u32]) -> Advisory<'static> {
    let fix = KbFix {
        kbid: number.to_string().into(),
        product: "Windows Server 2016".into(),
        severity: "Critical".into(),
        cve_numbers: vec![format!("CVE-2026-{number}")],
        restart_required: "Yes".into(),
        supersedes: supersedes.iter().map(u32::to_string).collect(),
        ..KbFix::default()
    };
    Advisory {
        id: id.to_owned().into(),
        source: "msrc-cvrf".into(),
        kind: "security".into(),
        bulletin_id: format!("MS26-{number}").into(),
        published: Some(Timestamp(NOW - i64::from(number % 100) * Timestamp::DAY_MS)),
        kb_fixes: vec![fix],
        ..Advisory::default()
    }
}
