//! The gateway: settings, telemetry, then serve until told to stop.

use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use patchline_ingest::Publisher;
use patchline_ingest::gateway::{Config, Gateway, Metrics, raw_topics};
use patchline_ingest::groups::Groups;
use patchline_ingest::security::enroll::Enroll;
use patchline_runtime::admin::Readiness;
use patchline_runtime::statistics::KafkaStatistics;
use patchline_runtime::{Args, admin, config, shutdown, telemetry};
use patchline_schemas::Topics;
use prometheus::Registry;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Takes agents' reports by HTTP and answers once Kafka has them.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(flatten)]
    args: Args,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Make a sender's credentials from its workspace's key.
    Enroll(Enroll),
}

/// Ordinary bodies and records are smaller; a large body is given back as soon as it is freed. Without
/// this, a Kafka that hangs cost 264 MiB, with it 148.
const LARGE_BLOCK_BYTES: u32 = 1024 * 1024;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    patchline_runtime::heap::map_blocks_from(LARGE_BLOCK_BYTES);
    let Cli { args, command } = Cli::parse();
    let config: Config = config::load(args.config.as_deref())?;
    if args.check_config {
        println!("settings are sound");
        return Ok(());
    }
    if let Some(Command::Enroll(enroll)) = command {
        print!("{}", enroll.run(|workspace| config.workspace_key(workspace))?);
        return Ok(());
    }
    telemetry::init(&config.log).map_err(anyhow::Error::msg)?;
    let shutdown = shutdown::on_signal()?;

    let topics = Topics::new(&config.kafka.topic_prefix);
    let publisher = Publisher::new(&config.kafka, &config.publisher, &raw_topics(&topics))
        .context("cannot set up the publisher; check [kafka] and [publisher]")?;
    let registry = Registry::new();
    let metrics = Metrics::register(&registry)?;
    publisher.count_in(KafkaStatistics::new(&registry)?);
    // Operators keep their port until the drain is over.
    let drained = CancellationToken::new();
    // Before anybody can ask: with no need known, it would be ready.
    let readiness = Readiness::default();
    readiness.set("serving", false);
    readiness.set("kafka", false);
    let groups = Groups::open(config.gateway.groups_file.as_deref()).map_err(anyhow::Error::msg)?;
    registry.register(Box::new(groups.clone()))?;
    let (ready, pages) = (readiness.clone(), groups.router());
    admin::serve_with(&config.admin, registry, ready, pages, drained.clone()).await?;
    tokio::spawn(follow(publisher.clone(), readiness.clone(), shutdown.clone()));

    let listen = config.gateway.listen;
    let drain = Duration::from_millis(config.gateway.drain_timeout_ms.into());
    let listener = TcpListener::bind(listen)
        .await
        .with_context(|| format!("cannot listen on gateway.listen = {listen}"))?;
    tracing::info!(address = %listener.local_addr()?, "gateway listens");
    let gateway = Gateway::new(config, groups, topics, publisher.clone(), metrics)?;
    if !gateway.serve(listener, &shutdown).await {
        tracing::warn!(
            "requests were cut off by the drain timeout; their senders will send them again"
        );
    }
    // Only what nobody was told about can be left: a flush spares its senders the resend.
    tokio::task::spawn_blocking(move || publisher.flush(drain)).await?.ok();
    drained.cancel();
    tracing::info!("gateway stopped");
    Ok(())
}

/// Keeps `/readyz` true to what the gateway can do.
async fn follow(publisher: Publisher, readiness: Readiness, shutdown: CancellationToken) {
    let mut health = publisher.health();
    readiness.set("serving", true);
    loop {
        readiness.set("kafka", health.borrow_and_update().is_none());
        tokio::select! {
            () = shutdown.cancelled() => break,
            changed = health.changed() => if changed.is_err() { break },
        }
    }
    readiness.set("serving", false);
}
