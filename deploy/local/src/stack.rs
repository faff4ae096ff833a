//! The whole data path on loopback: Kafka, ClickHouse, gateway, enrich, sink and reclassify, and the console that
//! looks at it, each a process that can be killed and restarted alone.
//!
//! When [`Stack::start`] returns, every part is ready to work; a part that cannot be says why. Parts stop
//! in the order of the data path, so that each hands on what it has. `KAFKA_BOOTSTRAP` and
//! `CLICKHOUSE_URL` put existing servers in the engines' place.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use patchline_runtime::kafka::KafkaConfig;
use patchline_schemas::Topics;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;

use crate::{
    ClickHouse, ClickHouseOptions, Error, Kafka, KafkaOptions, Process, Result, free_listener,
    is_ok, no_port, program_beside_us, require_free,
};

/// Puts an existing Kafka in the place of ours: `host:port`.
pub const KAFKA_BOOTSTRAP: &str = "KAFKA_BOOTSTRAP";
/// Puts an existing ClickHouse in the place of ours: `http://host:8123`.
pub const CLICKHOUSE_URL: &str = "CLICKHOUSE_URL";
/// User and password for [`CLICKHOUSE_URL`], where the server wants them.
const CLICKHOUSE_USER: &str = "CLICKHOUSE_USER";
const CLICKHOUSE_PASSWORD: &str = "CLICKHOUSE_PASSWORD";

/// Of each topic: enough to see computers spread out, few enough for two cores.
const PARTITIONS: i32 = 4;

/// How long a stage may take to be ready. Joining a group whose former members were killed can take a
/// session timeout.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a stage may take to stop: above the longest drain timeout of all.
const STOP_TIMEOUT: Duration = Duration::from_secs(40);

/// How long an existing Kafka may take to say that it is there.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

const TOPICS_TIMEOUT: Duration = Duration::from_secs(30);

const STAGES: usize = 5;

/// A stage of the data path, or the console at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// `patchline-gateway`
    Gateway,
    /// `patchline-enrich`
    Enrich,
    /// `patchline-sink`
    Sink,
    /// `patchline-reclassify`
    Reclassify,
    /// `patchline-console`
    Console,
}

impl Stage {
    /// In the order of the data path.
    pub const ALL: [Stage; STAGES] =
        [Stage::Gateway, Stage::Enrich, Stage::Sink, Stage::Reclassify, Stage::Console];

    /// `gateway`, `enrich`, `sink`, `reclassify` or `console`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Stage::Gateway => "gateway",
            Stage::Enrich => "enrich",
            Stage::Sink => "sink",
            Stage::Reclassify => "reclassify",
            Stage::Console => "console",
        }
    }

    fn program(self) -> &'static str {
        match self {
            Stage::Gateway => "patchline-gateway",
            Stage::Enrich => "patchline-enrich",
            Stage::Sink => "patchline-sink",
            Stage::Reclassify => "patchline-reclassify",
            Stage::Console => "patchline-console",
        }
    }
}

/// How a stack is started.
#[derive(Debug, Clone)]
pub struct StackOptions {
    /// For the engines' data; each engine logs there as well.
    pub data: PathBuf,
    /// For the stages' logs, `<stage>.log`.
    pub logs: PathBuf,
    /// Prefix of topics and consumer groups.
    pub topic_prefix: String,
    /// Database of the tables.
    pub database: String,
    /// What is imported into the catalog before the stages start; without it the computers' hints count.
    pub feeds: Option<PathBuf>,
    /// Listen where people look first (Kafka 9092, ClickHouse 8123, gateway 8088, ...), as far as these
    /// ports are free. By default all ports are picked, so that stacks can run side by side.
    pub usual_ports: bool,
    /// More environment of the stages, such as `PATCHLINE_SINK__SINK__BATCH_AGE_MAX_MS`; wins over ours.
    pub environment: Vec<(String, String)>,
    /// Take existing servers from [`KAFKA_BOOTSTRAP`] and [`CLICKHOUSE_URL`].
    pub existing_servers: bool,
}

impl StackOptions {
    /// A stack under `directory`: engines in `data`, logs in `logs`.
    #[must_use]
    pub fn under(directory: &Path) -> StackOptions {
        StackOptions {
            data: directory.join("data"),
            logs: directory.join("logs"),
            topic_prefix: Topics::DEFAULT_PREFIX.to_owned(),
            database: "patchline".to_owned(),
            feeds: None,
            usual_ports: false,
            environment: Vec::new(),
            existing_servers: true,
        }
    }
}

/// A server of ours, or one that was there.
#[derive(Debug)]
enum Server<T> {
    Ours(Box<T>),
    Existing(String),
}

/// Ports of the gateway, of the console and of the stages' admin interfaces.
#[derive(Debug, Clone, Copy)]
struct Ports {
    gateway: u16,
    console: u16,
    admin: [u16; STAGES],
}

/// A running data path. Dropped, it is killed.
#[derive(Debug)]
pub struct Stack {
    options: StackOptions,
    // Dropped in this order: stages before what they talk to.
    stages: [Option<Process>; STAGES],
    kafka: Server<Kafka>,
    clickhouse: Server<ClickHouse>,
    ports: Ports,
}

impl Stack {
    /// Starts everything and waits until it is ready. `tell` hears what is being started.
    pub fn start(options: StackOptions, tell: &(dyn Fn(&str) + Sync)) -> Result<Stack> {
        let (kafka, clickhouse) = thread::scope(|scope| {
            let kafka = scope.spawn(|| start_kafka(&options, tell));
            let clickhouse = start_clickhouse(&options, tell);
            // A panic there is a panic here.
            let kafka = kafka.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            Ok::<_, Error>((kafka?, clickhouse?))
        })?;
        let ports = Ports::find(options.usual_ports)?;
        let mut stack =
            Stack { options, stages: [const { None }; STAGES], kafka, clickhouse, ports };
        tell("creating the topics and the tables");
        stack.create_topics()?;
        stack.migrate()?;
        if let Some(feeds) = stack.options.feeds.clone() {
            tell("importing the catalog");
            stack.import(&feeds)?;
        }
        tell("starting gateway, enrich, sink, reclassify and console");
        for stage in Stage::ALL {
            stack.spawn(stage)?;
        }
        for stage in Stage::ALL {
            stack.wait_ready(stage)?;
        }
        Ok(stack)
    }

    /// Kafka's address for clients.
    #[must_use]
    pub fn bootstrap(&self) -> String {
        match &self.kafka {
            Server::Ours(kafka) => kafka.bootstrap(),
            Server::Existing(bootstrap) => bootstrap.clone(),
        }
    }

    /// ClickHouse's HTTP interface.
    #[must_use]
    pub fn clickhouse_url(&self) -> String {
        match &self.clickhouse {
            Server::Ours(clickhouse) => clickhouse.url(),
            Server::Existing(url) => url.clone(),
        }
    }

    /// A client of the tables' database.
    #[must_use]
    pub fn clickhouse_client(&self) -> clickhouse::Client {
        let client = clickhouse::Client::default()
            .with_url(self.clickhouse_url())
            .with_database(&self.options.database)
            .with_compression(clickhouse::Compression::None);
        match (variable(CLICKHOUSE_USER), variable(CLICKHOUSE_PASSWORD)) {
            (Some(user), Some(password)) => client.with_user(user).with_password(password),
            (Some(user), None) => client.with_user(user),
            (None, _) => client,
        }
    }

    /// Where agents post to.
    #[must_use]
    pub fn gateway_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports.gateway)
    }

    /// The page to look at the tables.
    #[must_use]
    pub fn console_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports.console)
    }

    /// A stage's port for operators: `/metrics`, `/healthz`, `/readyz`.
    #[must_use]
    pub fn admin_url(&self, stage: Stage) -> String {
        format!("http://127.0.0.1:{}", self.admin_port(stage))
    }

    /// Where a stage logs.
    #[must_use]
    pub fn log(&self, stage: Stage) -> PathBuf {
        self.options.logs.join(format!("{}.log", stage.name()))
    }

    /// Names of the topics.
    #[must_use]
    pub fn topics(&self) -> Topics {
        Topics::new(&self.options.topic_prefix)
    }

    /// Database of the tables.
    #[must_use]
    pub fn database(&self) -> &str {
        &self.options.database
    }

    /// Settings of a Kafka client.
    #[must_use]
    pub fn kafka_config(&self) -> KafkaConfig {
        KafkaConfig {
            bootstrap: self.bootstrap(),
            topic_prefix: self.options.topic_prefix.clone(),
            ..KafkaConfig::default()
        }
    }

    /// Our Kafka, to kill or restart it; none if it is somebody else's.
    pub fn kafka(&mut self) -> Option<&mut Kafka> {
        match &mut self.kafka {
            Server::Ours(kafka) => Some(kafka),
            Server::Existing(_) => None,
        }
    }

    /// Our ClickHouse, to kill or restart it; none if it is somebody else's.
    pub fn clickhouse(&mut self) -> Option<&mut ClickHouse> {
        match &mut self.clickhouse {
            Server::Ours(clickhouse) => Some(clickhouse),
            Server::Existing(_) => None,
        }
    }

    /// A stage's process while it runs, to send it a signal.
    pub fn process(&mut self, stage: Stage) -> Option<&mut Process> {
        self.stages.get_mut(stage as usize)?.as_mut()
    }

    /// SIGKILL.
    pub fn kill(&mut self, stage: Stage) -> Result<()> {
        match self.take(stage) {
            Some(mut process) => process.kill(),
            None => Ok(()),
        }
    }

    /// Starts a stage that does not run, on the ports it had. Does not wait for it.
    pub fn spawn(&mut self, stage: Stage) -> Result<()> {
        require_free(self.admin_port(stage))?;
        match stage {
            Stage::Gateway => require_free(self.ports.gateway)?,
            Stage::Console => require_free(self.ports.console)?,
            Stage::Enrich | Stage::Sink | Stage::Reclassify => {}
        }
        let command = self.command(stage)?;
        let process = Process::spawn(stage.name(), command, &self.log(stage))?;
        if let Some(place) = self.stages.get_mut(stage as usize) {
            *place = Some(process);
        }
        Ok(())
    }

    /// Waits until a stage says that it is ready.
    pub fn wait_ready(&mut self, stage: Stage) -> Result<()> {
        let port = self.admin_port(stage);
        match self.process(stage) {
            Some(process) => process.wait_until(START_TIMEOUT, || is_ok(port, "/readyz")),
            None => Ok(()),
        }
    }

    /// Stops a stage cleanly if it runs, starts it again and waits until it is ready.
    pub fn restart(&mut self, stage: Stage) -> Result<()> {
        self.stop_stage(stage)?;
        self.spawn(stage)?;
        self.wait_ready(stage)
    }

    /// An error if a stage has ended by itself.
    pub fn check(&mut self) -> Result<()> {
        self.stages.iter_mut().flatten().try_for_each(Process::check)
    }

    /// Stops everything of ours in the order of the data path, and says what did not stop cleanly first.
    pub fn stop(&mut self) -> Result<()> {
        let stages = Stage::ALL.map(|stage| self.stop_stage(stage));
        let kafka = self.kafka().map_or(Ok(()), Kafka::stop);
        let clickhouse = self.clickhouse().map_or(Ok(()), ClickHouse::stop);
        stages.into_iter().chain([kafka, clickhouse]).collect()
    }

    /// Deletes this stack's topics and consumer groups from a Kafka that was there before. For after the
    /// stages have stopped.
    pub fn remove_topics(&self) -> Result<()> {
        let Server::Existing(bootstrap) = &self.kafka else { return Ok(()) };
        let (config, topics) = (self.kafka_config(), self.topics());
        let groups = ["enrich", "sink", "reclassify"]
            .map(|stage| format!("{}.{stage}", config.topic_prefix));
        ask_kafka("delete topics and groups of the Kafka", bootstrap, async {
            let admin: AdminClient<DefaultClientContext> =
                config.client("patchline-local", &[]).create()?;
            let options = AdminOptions::new().operation_timeout(Some(TOPICS_TIMEOUT));
            admin.delete_topics(&topics.all(), &options).await?;
            admin.delete_groups(&groups.each_ref().map(String::as_str), &options).await.map(drop)
        })
    }

    /// Whether ClickHouse is somebody else's.
    #[must_use]
    pub fn borrows_clickhouse(&self) -> bool {
        matches!(self.clickhouse, Server::Existing(_))
    }

    fn take(&mut self, stage: Stage) -> Option<Process> {
        self.stages.get_mut(stage as usize)?.take()
    }

    fn stop_stage(&mut self, stage: Stage) -> Result<()> {
        let Some(mut process) = self.take(stage) else { return Ok(()) };
        let status = process.terminate(STOP_TIMEOUT)?;
        if status.success() { Ok(()) } else { Err(process.unclean(status)) }
    }

    fn admin_port(&self, stage: Stage) -> u16 {
        self.ports.admin.get(stage as usize).copied().unwrap_or_default()
    }

    fn command(&self, stage: Stage) -> Result<Command> {
        let mut command = Command::new(program_beside_us(stage.program())?);
        let prefix = format!("PATCHLINE_{}", stage.name().to_uppercase());
        let set = |command: &mut Command, key: &str, value: &str| {
            command.env(format!("{prefix}__{key}"), value);
        };
        if stage != Stage::Console {
            set(&mut command, "KAFKA__BOOTSTRAP", &self.bootstrap());
            set(&mut command, "KAFKA__TOPIC_PREFIX", &self.options.topic_prefix);
        }
        set(&mut command, "ADMIN__LISTEN", &format!("127.0.0.1:{}", self.admin_port(stage)));
        match stage {
            Stage::Gateway => {
                let listen = format!("127.0.0.1:{}", self.ports.gateway);
                set(&mut command, "GATEWAY__LISTEN", &listen);
                let spool = self.options.data.join("gateway-spool");
                set(&mut command, "SPOOL__DIRECTORY", &spool.to_string_lossy());
            }
            Stage::Enrich => {
                set(&mut command, "ENRICH__INSTANCE_ID", "local");
                let snapshot = self.options.data.join("catalog.snapshot");
                set(&mut command, "ENRICH__CATALOG_SNAPSHOT", &snapshot.to_string_lossy());
            }
            Stage::Sink => {
                set(&mut command, "SINK__INSTANCE_ID", "local");
                self.set_clickhouse(&mut command, &prefix);
            }
            Stage::Reclassify => self.set_clickhouse(&mut command, &prefix),
            Stage::Console => {
                let listen = format!("127.0.0.1:{}", self.ports.console);
                set(&mut command, "CONSOLE__LISTEN", &listen);
                self.set_clickhouse(&mut command, &prefix);
            }
        }
        command.envs(self.options.environment.iter().map(|(key, value)| (key, value)));
        Ok(command)
    }

    /// Tells a stage where ClickHouse is.
    fn set_clickhouse(&self, command: &mut Command, prefix: &str) {
        command.env(format!("{prefix}__CLICKHOUSE__URL"), self.clickhouse_url());
        command.env(format!("{prefix}__CLICKHOUSE__DATABASE"), &self.options.database);
        for (key, name) in [("USER", CLICKHOUSE_USER), ("PASSWORD", CLICKHOUSE_PASSWORD)] {
            if let Some(value) = variable(name).filter(|_| self.borrows_clickhouse()) {
                command.env(format!("{prefix}__CLICKHOUSE__{key}"), value);
            }
        }
    }

    fn create_topics(&self) -> Result<()> {
        let replication = match &self.kafka {
            Server::Ours(_) => 1,
            Server::Existing(bootstrap) => {
                // A request to nobody takes a minute to fail.
                let client: Result<BaseConsumer, _> =
                    self.kafka_config().client("patchline-local", &[]).create();
                client.and_then(|client| client.fetch_metadata(None, ANSWER_TIMEOUT)).map_err(
                    |source| Error::Kafka {
                        action: "talk to the Kafka",
                        bootstrap: bootstrap.clone(),
                        source,
                    },
                )?;
                // A cluster knows best how often it replicates.
                -1
            }
        };
        let mut command = self.command(Stage::Sink)?;
        command.arg("create-topics");
        command
            .args([format!("--partitions={PARTITIONS}"), format!("--replication={replication}")]);
        self.run("patchline-sink create-topics", command, "create-topics.log")
    }

    fn migrate(&self) -> Result<()> {
        let mut command = self.command(Stage::Sink)?;
        command.arg("migrate");
        self.run("patchline-sink migrate", command, "migrate.log")
    }

    /// Imports what vendors publish into the catalog's topic.
    fn import(&self, feeds: &Path) -> Result<()> {
        let mut command = Command::new(program_beside_us("patchline-catalog")?);
        command.arg("import").arg("--strict").arg(feeds);
        command.env("PATCHLINE_CATALOG__KAFKA__BOOTSTRAP", self.bootstrap());
        command.env("PATCHLINE_CATALOG__KAFKA__TOPIC_PREFIX", &self.options.topic_prefix);
        self.run("patchline-catalog import", command, "import.log")
    }

    /// Runs what ends by itself; an error if it does not end well.
    fn run(&self, name: &str, command: Command, log: &str) -> Result<()> {
        let mut process = Process::spawn(name, command, &self.options.logs.join(log))?;
        let status = process.wait()?;
        if status.success() { Ok(()) } else { process.check() }
    }
}

fn start_kafka(options: &StackOptions, tell: &(dyn Fn(&str) + Sync)) -> Result<Server<Kafka>> {
    if let Some(bootstrap) = existing(options, KAFKA_BOOTSTRAP) {
        return Ok(Server::Existing(bootstrap));
    }
    tell("starting Kafka");
    let port = usual(options.usual_ports, 9092);
    let kafka = KafkaOptions { port, ..KafkaOptions::default() };
    Ok(Server::Ours(Box::new(Kafka::start(&options.data.join("kafka"), kafka)?)))
}

fn start_clickhouse(
    options: &StackOptions,
    tell: &(dyn Fn(&str) + Sync),
) -> Result<Server<ClickHouse>> {
    if let Some(url) = existing(options, CLICKHOUSE_URL) {
        return Ok(Server::Existing(url));
    }
    tell("starting ClickHouse");
    let port = usual(options.usual_ports, 8123);
    let clickhouse = ClickHouseOptions { port, ..ClickHouseOptions::default() };
    let directory = options.data.join("clickhouse");
    Ok(Server::Ours(Box::new(ClickHouse::start(&directory, clickhouse)?)))
}

/// The address in `variable`, where it counts.
fn existing(options: &StackOptions, variable: &str) -> Option<String> {
    self::variable(variable).filter(|_| options.existing_servers)
}

/// A variable of the environment, such as [`KAFKA_BOOTSTRAP`]; an empty one is unset.
#[must_use]
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn usual(wanted: bool, port: u16) -> Option<u16> {
    (wanted && require_free(port).is_ok()).then_some(port)
}

impl Ports {
    fn find(usual_ports: bool) -> Result<Ports> {
        // All are held until all are found, so that no two are the same.
        let mut held = Vec::new();
        let mut find = |port: u16| {
            let listener = usual(usual_ports, port)
                .and_then(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok())
                .map_or_else(free_listener, Ok)?;
            let port = listener.local_addr().map(|address| address.port()).map_err(no_port)?;
            held.push(listener);
            Ok::<_, Error>(port)
        };
        Ok(Ports {
            gateway: find(8088)?,
            console: find(8090)?,
            admin: [find(9464)?, find(9465)?, find(9466)?, find(9467)?, find(9468)?],
        })
    }
}

/// Asks the broker, from a thread that may itself belong to a runtime.
fn ask_kafka<T: Send>(
    action: &'static str,
    bootstrap: &str,
    request: impl Future<Output = Result<T, KafkaError>> + Send,
) -> Result<T> {
    thread::scope(|scope| {
        let asked = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.map_err(|source| Error::Io {
                action: "start a runtime to",
                path: action.into(),
                source,
            })?;
            runtime.block_on(request).map_err(|source| Error::Kafka {
                action,
                bootstrap: bootstrap.to_owned(),
                source,
            })
        });
        asked.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Removes what an earlier run left in `directory`.
pub fn clear(directory: &Path) -> Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::Io { action: "delete", path: directory.to_owned(), source: error })
        }
        _ => Ok(()),
    }
}
