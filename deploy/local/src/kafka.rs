//! A real Kafka broker as a child process: one node, KRaft, on loopback.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};

use crate::{Engines, Error, Process, Result, free_port, port_was_taken, require_free};

/// A fixed one: there is never more than one cluster in a directory.
const CLUSTER_ID: &str = "cGF0Y2hsaW5lLWxvY2FsMA";

/// How the broker is started; the default suits a test.
#[derive(Debug, Clone)]
pub struct KafkaOptions {
    /// The clients' port; a free one by default. A restart keeps it.
    pub port: Option<u16>,
    /// The JVM's heap.
    pub heap_mb: u32,
    /// How long the first answer may take.
    pub start_timeout: Duration,
    /// How long a clean stop may take before it becomes a kill.
    pub stop_timeout: Duration,
    /// More lines of `server.properties`; they win over ours.
    pub properties: Vec<(String, String)>,
}

impl Default for KafkaOptions {
    fn default() -> KafkaOptions {
        KafkaOptions {
            port: None,
            heap_mb: 512,
            start_timeout: Duration::from_secs(60),
            stop_timeout: Duration::from_secs(30),
            properties: Vec::new(),
        }
    }
}

/// A running broker over the data in one directory. Dropped, it is killed; the data stays.
#[derive(Debug)]
pub struct Kafka {
    directory: PathBuf,
    libs: PathBuf,
    port: u16,
    controller_port: u16,
    options: KafkaOptions,
    process: Option<Process>,
}

impl Kafka {
    /// Starts a broker over `directory`, formatting it on first use, and waits until it answers.
    /// Its log is `kafka.log` there.
    pub fn start(directory: &Path, options: KafkaOptions) -> Result<Kafka> {
        let mut kafka = Kafka {
            directory: directory.to_owned(),
            libs: Engines::locate()?.kafka_libs()?,
            port: 0,
            controller_port: 0,
            options,
            process: None,
        };
        kafka.take_ports()?;
        match kafka.launch() {
            Err(error) if port_was_taken(&error) => {
                kafka.take_ports()?;
                kafka.launch()?;
            }
            launched => launched?,
        }
        Ok(kafka)
    }

    /// For clients: `127.0.0.1:<port>`.
    pub fn bootstrap(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Where the broker logs.
    pub fn log(&self) -> PathBuf {
        self.directory.join("kafka.log")
    }

    /// Its process id while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Process::pid)
    }

    /// Stops it cleanly.
    pub fn stop(&mut self) -> Result<()> {
        match self.process.take() {
            Some(mut process) => process.terminate(self.options.stop_timeout).map(drop),
            None => Ok(()),
        }
    }

    /// SIGKILL. What it had acknowledged is in the page cache and survives.
    pub fn kill(&mut self) -> Result<()> {
        match self.process.take() {
            Some(mut process) => process.kill(),
            None => Ok(()),
        }
    }

    /// Stops it if it runs, and starts it again on the same port and directory.
    pub fn restart(&mut self) -> Result<()> {
        self.stop()?;
        self.launch()
    }

    fn take_ports(&mut self) -> Result<()> {
        self.controller_port = free_port()?;
        self.port = match self.options.port {
            Some(port) => port,
            None => free_port()?,
        };
        Ok(())
    }

    fn launch(&mut self) -> Result<()> {
        require_free(self.port)?;
        let data = self.directory.join("data");
        create(&data)?;
        let properties = self.directory.join("server.properties");
        write(&properties, &self.properties(&data))?;
        let log4j = self.directory.join("log4j2.properties");
        write(&log4j, include_str!("../engines/kafka/log4j2.properties"))?;

        if !data.join("meta.properties").is_file() {
            self.format(&properties)?;
        }
        let mut java = self.java();
        java.arg(format!("-Dlog4j2.configurationFile={}", log4j.display()));
        java.arg("kafka.Kafka").arg(&properties);
        let mut process = Process::spawn("Kafka", java, &self.log())?;
        let (port, bootstrap) = (self.port, self.bootstrap());
        process.wait_until(self.options.start_timeout, || answers(port, &bootstrap))?;
        self.process = Some(process);
        Ok(())
    }

    /// Gives the data directory its identity, once.
    fn format(&self, properties: &Path) -> Result<()> {
        let mut java = self.java();
        java.args(["kafka.tools.StorageTool", "format", "--cluster-id", CLUSTER_ID, "--config"]);
        java.arg(properties);
        let mut process = Process::spawn("Kafka's format tool", java, &self.log())?;
        let status = process.wait()?;
        if status.success() { Ok(()) } else { process.check() }
    }

    fn java(&self) -> Command {
        let java = std::env::var_os("JAVA_HOME").map(|home| Path::new(&home).join("bin/java"));
        let mut command = Command::new(java.unwrap_or_else(|| "java".into()));
        command
            .arg(format!("-Xmx{}m", self.options.heap_mb))
            // For a broker on a laptop the first second matters more than the thousandth.
            .args(["-XX:+UseSerialGC", "-Xshare:auto"])
            .arg("-cp")
            .arg(self.libs.join("*"));
        command
    }

    fn properties(&self, data: &Path) -> String {
        let (port, controller) = (self.port, self.controller_port);
        let mut lines = vec![
            "process.roles=broker,controller".to_owned(),
            "node.id=1".to_owned(),
            format!("controller.quorum.voters=1@127.0.0.1:{controller}"),
            format!("listeners=CLIENTS://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}"),
            format!("advertised.listeners=CLIENTS://127.0.0.1:{port}"),
            "listener.security.protocol.map=CLIENTS:PLAINTEXT,CONTROLLER:PLAINTEXT".to_owned(),
            "inter.broker.listener.name=CLIENTS".to_owned(),
            "controller.listener.names=CONTROLLER".to_owned(),
            format!("log.dirs={}", data.display()),
        ];
        let fixed = [
            // One node: what would be replicated three times is kept once.
            "default.replication.factor=1",
            "min.insync.replicas=1",
            "offsets.topic.replication.factor=1",
            "offsets.topic.num.partitions=3",
            "transaction.state.log.replication.factor=1",
            "transaction.state.log.min.isr=1",
            "transaction.state.log.num.partitions=3",
            "share.coordinator.state.topic.replication.factor=1",
            "share.coordinator.state.topic.min.isr=1",
            "share.coordinator.state.topic.num.partitions=1",
            "num.partitions=3",
            // A misspelt topic should fail, not appear.
            "auto.create.topics.enable=false",
            // Nobody else is coming: the first member need not wait for the others.
            "group.initial.rebalance.delay.ms=0",
            // One report may be a computer's whole scan.
            "message.max.bytes=16777216",
            "replica.fetch.max.bytes=16777216",
            "num.network.threads=2",
            "num.io.threads=4",
            "log.cleaner.dedupe.buffer.size=16777216",
            // A restarted broker waits until its former self counts as gone, 9 s by default.
            "broker.session.timeout.ms=2000",
            "broker.heartbeat.interval.ms=500",
        ];
        lines.extend(fixed.map(str::to_owned));
        lines.extend(self.options.properties.iter().map(|(name, value)| format!("{name}={value}")));
        lines.join("\n") + "\n"
    }
}

/// Whether the broker serves metadata. The plain connection comes first, because librdkafka backs
/// off after each one that is refused.
fn answers(port: u16, bootstrap: &str) -> bool {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    if TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_err() {
        return false;
    }
    let client: Result<BaseConsumer, _> =
        ClientConfig::new().set("bootstrap.servers", bootstrap).create();
    client
        .and_then(|client| client.fetch_metadata(None, Duration::from_secs(1)))
        .is_ok_and(|metadata| !metadata.brokers().is_empty())
}

fn create(directory: &Path) -> Result<()> {
    fs::create_dir_all(directory).map_err(|source| Error::Io {
        action: "create",
        path: directory.to_owned(),
        source,
    })
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).map_err(|source| Error::Io {
        action: "write",
        path: path.to_owned(),
        source,
    })
}
