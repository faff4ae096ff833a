//! `patchline-sink`: reads enriched records from Kafka and stores them in ClickHouse.

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use clickhouse::Client;
use patchline_runtime::admin::{self, Readiness};
use patchline_runtime::kafka::{KafkaConfig, create_compacted_topics, create_topics};
use patchline_runtime::probe::{self, Probe};
use patchline_runtime::statistics::KafkaStatistics;
use patchline_runtime::{Args, config, shutdown, telemetry};
use patchline_schemas::topic::dead_letter::Class;
use patchline_schemas::{Codec, Topics};
use patchline_sink::batch::Source;
use patchline_sink::budget::Budget;
use patchline_sink::config::{ClickHouseConfig, SinkConfig};
use patchline_sink::consumer::consume;
use patchline_sink::dead_letters::DeadLetters;
use patchline_sink::fleet;
use patchline_sink::letters::{self, Fate, Filter, Letter};
use patchline_sink::metrics::{FleetMetrics, Metrics};
use patchline_sink::migrate::{self, MigrateError};
use patchline_sink::partition::Shared;
use patchline_sink::store::Store;
use prometheus::{IntGauge, Registry};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// Stores Patchline's records in ClickHouse, exactly once.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(flatten)]
    args: Args,
    #[command(flatten)]
    probe: Probe,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Bring the database to this program's version, and exit.
    Migrate,
    /// Create the topics that are not there yet, and exit; those that are stay as they are.
    CreateTopics {
        /// Partitions of each, which bound how many instances share its work; changing them later takes a
        /// drained pipeline.
        #[arg(long)]
        partitions: i32,
        /// Copies of each partition; -1 leaves it to the cluster.
        #[arg(long, default_value_t = -1, allow_negative_numbers = true)]
        replication: i32,
    },
    /// Look at the messages that no table took, or send them back to where they came from.
    #[command(subcommand)]
    DeadLetters(DeadLettersCommand),
}

#[derive(clap::Subcommand)]
enum DeadLettersCommand {
    /// Show the newest letters.
    List {
        #[command(flatten)]
        filter: FilterArgs,
        /// How many at most.
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
    /// Send letters back to their topics, each once, after their cause is mended.
    Replay {
        #[command(flatten)]
        filter: FilterArgs,
        /// Show what would be sent, and send nothing.
        #[arg(long)]
        dry_run: bool,
    },
}

#[derive(clap::Args)]
struct FilterArgs {
    /// Only letters of this class: unknown-schema, invalid, clock ...
    #[arg(long)]
    class: Option<Class>,
    /// Only letters that came from this topic.
    #[arg(long)]
    source_topic: Option<String>,
}

impl From<&FilterArgs> for Filter {
    fn from(args: &FilterArgs) -> Self {
        Self { class: args.class, source_topic: args.source_topic.clone() }
    }
}

/// A scan's updates are some hundred kilobytes, worth keeping; a batch's columns are megabytes and grow by
/// doubling: mapped alone, the half that is never written costs nothing.
const LARGE_BLOCK_BYTES: u32 = 2 * 1024 * 1024;

fn main() -> ExitCode {
    patchline_runtime::heap::map_blocks_from(LARGE_BLOCK_BYTES);
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("patchline-sink: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> anyhow::Result<()> {
    let config: SinkConfig = config::load(cli.args.config.as_deref())?;
    if cli.args.check_config {
        println!("settings are sound");
        return Ok(());
    }
    if cli.probe.asked {
        return Ok(probe::ask(&config.admin)?);
    }
    telemetry::init(&config.log).map_err(anyhow::Error::msg)?;
    if let Some(Command::DeadLetters(command)) = &cli.command {
        return dead_letters(command, &config.kafka);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match cli.command {
        Some(Command::Migrate) => runtime.block_on(migrate(&config)),
        Some(Command::CreateTopics { partitions, replication }) => {
            runtime.block_on(create_all_topics(&config.kafka, partitions, replication))
        }
        _ => runtime.block_on(serve(config)),
    }
}

/// Longer than a cluster takes to elect the leaders of some thousand partitions.
const TOPICS_TIMEOUT: Duration = Duration::from_secs(120);

async fn create_all_topics(
    kafka: &KafkaConfig,
    partitions: i32,
    replication: i32,
) -> anyhow::Result<()> {
    let topics = Topics::new(&kafka.topic_prefix);
    let (compacted, plain) = topics.by_cleanup();
    create_topics(kafka, &plain, partitions, replication, TOPICS_TIMEOUT).await?;
    // Its readers take it whole, in the order that it was written in.
    create_compacted_topics(kafka, &compacted, 1, replication, TOPICS_TIMEOUT).await?;
    println!("{} topics are there", plain.len() + compacted.len());
    Ok(())
}

fn dead_letters(command: &DeadLettersCommand, kafka: &KafkaConfig) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match command {
        DeadLettersCommand::List { filter, limit } => {
            for letter in letters::list(kafka, &filter.into(), *limit)? {
                writeln!(out, "{}", line(&letter))?;
            }
        }
        DeadLettersCommand::Replay { filter, dry_run } => {
            let done = letters::replay(kafka, &filter.into(), *dry_run, |letter, fate| {
                let fate = match fate {
                    Fate::Sent => "",
                    Fate::Renewed => "with today's time, its own is too old for its topic: ",
                    Fate::Cut => "left, the rest of the message is lost: ",
                };
                // Nobody may be listening any more; that is no reason to stop half-way.
                let _ = writeln!(out, "{fate}{}", line(letter));
            })?;
            writeln!(out, "{}{done}", if *dry_run { "dry run: " } else { "" })?;
        }
    }
    Ok(())
}

/// A letter in one line: when, where from, why.
fn line(letter: &Letter) -> String {
    let Letter { timestamp, source_topic, source_partition, source_offset, .. } = letter;
    let Letter { stage, class, payload_bytes, text, .. } = letter;
    let text = text.replace(['\n', '\r'], " ");
    format!(
        "{timestamp} {source_topic}/{source_partition}@{source_offset} {stage} {class} {payload_bytes}B {text}"
    )
}

async fn migrate(config: &SinkConfig) -> anyhow::Result<()> {
    let applied = migrate::migrate(&config.clickhouse).await?;
    let retained = migrate::retain(&config.clickhouse, &config.retention_days).await?;
    println!(
        "database `{}` is at version {}, {} migrations applied now, {} tables given another time to live",
        config.clickhouse.database,
        migrate::NEWEST,
        applied.len(),
        retained.len()
    );
    Ok(())
}

async fn serve(config: SinkConfig) -> anyhow::Result<()> {
    let shutdown = shutdown::on_signal()?;
    let registry = Registry::new();
    let readiness = Readiness::default();
    readiness.set("clickhouse", false);
    let metrics = Metrics::new(&registry)?;
    let (fleet_metrics, statistics) =
        (FleetMetrics::new(&registry)?, KafkaStatistics::new(&registry)?);
    let topics = Topics::new(&config.kafka.topic_prefix);
    metrics.expect(&Source::topics(&topics).map(|(topic, _)| topic));
    metrics.buffer_bytes_max.set(i64::try_from(config.sink.buffer_bytes_max).unwrap_or(i64::MAX));
    let shared = Arc::new(Shared {
        codec: Codec::new()?,
        store: Store::new(&config.clickhouse),
        dead_letters: DeadLetters::new(&config.kafka, &topics.dead_letters)?,
        budget: Budget::new(config.sink.buffer_bytes_max, metrics.buffer_bytes.clone()),
        inserts: Arc::new(Semaphore::new(config.sink.inserts_in_flight_max)),
        metrics,
        statistics,
        config: config.sink,
    });
    // The port outlives the drain, so that an operator can watch it.
    admin::serve(&config.admin, registry, readiness.clone(), Default::default()).await?;
    let up = shared.metrics.clickhouse_up.clone();
    tokio::spawn(watch_database(shared.store.client().clone(), up, shutdown.clone()));
    tokio::select! {
        () = shutdown.cancelled() => return Ok(()),
        found = await_database(&config.clickhouse) => found?,
    }
    readiness.set("clickhouse", true);

    let client = shared.store.client().clone();
    tokio::spawn(fleet::export(client, config.fleet, fleet_metrics, shutdown.clone()));
    tokio::spawn(clean_up(Arc::clone(&shared), shutdown.clone()));
    let (kafka, handle) = (config.kafka, Handle::current());
    let consumer = std::thread::Builder::new()
        .name("consumer".to_owned())
        .spawn(move || consume(&kafka, &shared, &readiness, &handle, &shutdown))?;
    let ended = tokio::task::spawn_blocking(move || consumer.join()).await?;
    match ended {
        Ok(ended) => ended.context("reading from kafka ended"),
        Err(_) => anyhow::bail!("the consumer thread panicked"),
    }
}

/// Waits until ClickHouse answers, for as long as it takes; its database must be at this program's version.
async fn await_database(config: &ClickHouseConfig) -> Result<(), MigrateError> {
    const PAUSE: Duration = Duration::from_millis(500);
    let timeout = Duration::from_millis(config.timeout_ms);
    loop {
        match tokio::time::timeout(timeout, migrate::check(config)).await {
            Ok(Err(error)) if error.may_pass() => {
                let chain: &(dyn std::error::Error + 'static) = &error;
                tracing::warn!(error = chain, "waiting for clickhouse");
            }
            Ok(checked) => return checked,
            Err(_) => tracing::warn!(?timeout, "waiting for clickhouse, which does not answer"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Keeps `up` true to whether ClickHouse answers. Only inserts would show it otherwise, and there are none while
/// nobody reports.
async fn watch_database(client: Client, up: IntGauge, shutdown: CancellationToken) {
    const LOOK_EVERY: Duration = Duration::from_secs(10);
    const LOOK_TIMEOUT: Duration = Duration::from_secs(5);
    loop {
        let asked = client.query("SELECT 1").fetch_one::<u8>();
        let answered = matches!(tokio::time::timeout(LOOK_TIMEOUT, asked).await, Ok(Ok(1)));
        up.set(i64::from(answered));
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

/// Deletes what replaced scans left, again and again. Beside the data path: a failure costs disk only.
async fn clean_up(shared: Arc<Shared>, shutdown: CancellationToken) {
    let Some(interval) = shared.config.cleanup_interval() else { return };
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(interval) => {}
        }
        let started = std::time::Instant::now();
        match shared.store.delete_replaced_scans().await {
            Ok(()) => {
                tracing::info!(took = ?started.elapsed(), "deleted the rows of replaced scans")
            }
            Err(error) => tracing::warn!(%error, "the rows of replaced scans stay for now"),
        }
    }
}
