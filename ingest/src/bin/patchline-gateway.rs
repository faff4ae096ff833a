//! The gateway: settings, telemetry, then serve until told to stop; or a look into a spool.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use patchline_ingest::Publisher;
use patchline_ingest::forward::{self, Forwarder, NextHop, Upstream};
use patchline_ingest::gateway::{Config, Gateway, Metrics, raw_topics};
use patchline_ingest::groups::Groups;
use patchline_ingest::security::enroll::Enroll;
use patchline_ingest::spool::{self, Form, Found, Health, Spool};
use patchline_runtime::admin::Readiness;
use patchline_runtime::probe::{self, Probe};
use patchline_runtime::statistics::KafkaStatistics;
use patchline_runtime::{Args, admin, config, shutdown, telemetry};
use patchline_schemas::Topics;
use prometheus::Registry;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// Takes agents' reports by HTTP, keeps them on its disk, and hands them on to Kafka.
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
    /// Look at what waits in a spool, or at a damaged one that was set aside, and send it on.
    #[command(subcommand)]
    Spool(SpoolCommand),
    /// Make a sender's credentials from its workspace's key.
    Enroll(Enroll),
}

#[derive(clap::Subcommand)]
enum SpoolCommand {
    /// Show how much waits, of which records and computers, and for how long.
    Inspect {
        #[command(flatten)]
        file: SpoolFile,
        /// How many of the computers with the most bytes to show of each record.
        #[arg(long, default_value_t = 10)]
        keys: usize,
    },
    /// Print every report that can be read as one line of JSON.
    Export {
        #[command(flatten)]
        file: SpoolFile,
        /// Print the payload as it would be published, in Base64, in place of the decoded report.
        #[arg(long)]
        raw: bool,
    },
    /// Send every report that can be read to where the settings say. The file is left as it is; sent
    /// twice, a report is shown once.
    Replay {
        #[command(flatten)]
        file: SpoolFile,
    },
}

#[derive(clap::Args)]
struct SpoolFile {
    /// A file set aside, such as spool.db.corrupt-1490000000000; by default that of the settings.
    file: Option<PathBuf>,
}

/// Ordinary bodies and records are smaller; a large body is given back as soon as it is freed. Without
/// this, a Kafka that hangs cost 264 MiB, with it 148.
const LARGE_BLOCK_BYTES: u32 = 1024 * 1024;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    patchline_runtime::heap::map_blocks_from(LARGE_BLOCK_BYTES);
    let Cli { args, probe, command } = Cli::parse();
    let config: Config = config::load(args.config.as_deref())?;
    if args.check_config {
        println!("settings are sound");
        return Ok(());
    }
    if probe.asked {
        return Ok(probe::ask(&config.admin)?);
    }
    // The default that another crate's choice of provider would otherwise make ambiguous.
    let _ = rustls::crypto::ring::default_provider().install_default();
    telemetry::init(&config.log).map_err(anyhow::Error::msg)?;
    match command {
        Some(Command::Enroll(enroll)) => {
            print!("{}", enroll.run(|workspace| config.workspace_key(workspace))?);
            Ok(())
        }
        Some(Command::Spool(command)) => look(command, &config).await,
        None => serve(config).await,
    }
}

async fn serve(config: Config) -> anyhow::Result<()> {
    let shutdown = shutdown::on_signal()?;
    let registry = Registry::new();
    let metrics = Metrics::register(&registry)?;
    let spool_metrics = spool::Metrics::register(&registry)?;
    let statistics = KafkaStatistics::new(&registry)?;
    // Operators keep their port until the drain is over.
    let drained = CancellationToken::new();
    // Before anybody can ask: with no need known, it would be ready.
    let readiness = Readiness::default();
    readiness.set("serving", false);
    readiness.set("spool", false);
    let groups = Groups::open(config.gateway.groups_file.as_deref()).map_err(anyhow::Error::msg)?;
    registry.register(Box::new(groups.clone()))?;
    let (ready, pages) = (readiness.clone(), groups.router());
    admin::serve_with(&config.admin, registry, ready, pages, drained.clone()).await?;

    let settings = config.spool.clone();
    let spool = tokio::task::spawn_blocking(|| Spool::open(settings, spool_metrics)).await??;
    let next_hop = next_hop(&config)?;
    if let NextHop::Kafka { publisher, .. } = &next_hop {
        publisher.count_in(statistics);
    }
    let health = next_hop.health();
    let forwarder = Forwarder::new(spool.clone(), next_hop);
    let forwarding = CancellationToken::new();
    let forwarded = {
        let forwarding = forwarding.clone();
        tokio::spawn(async move { forwarder.run(&forwarding).await })
    };
    tokio::spawn(follow(spool.clone(), readiness.clone(), shutdown.clone()));

    let listen = config.gateway.listen;
    let drain = Duration::from_millis(config.gateway.drain_timeout_ms.into());
    let listener = TcpListener::bind(listen)
        .await
        .with_context(|| format!("cannot listen on gateway.listen = {listen}"))?;
    tracing::info!(address = %listener.local_addr()?, "gateway listens");
    let gateway = Gateway::new(config, groups, spool.clone(), metrics)?;
    if !gateway.serve(listener, &shutdown).await {
        tracing::warn!(
            "requests were cut off by the drain timeout; their senders will send them again"
        );
    }
    hand_on(&spool, health, drain).await;
    forwarding.cancel();
    forwarded.await.context("the forwarder ended by a defect")?;
    tokio::task::spawn_blocking(move || spool.close()).await?;
    drained.cancel();
    tracing::info!("gateway stopped");
    Ok(())
}

fn next_hop(config: &Config) -> anyhow::Result<NextHop> {
    if let Some(upstream) = Upstream::new(&config.upstream).map_err(anyhow::Error::msg)? {
        return Ok(NextHop::Gateway(upstream));
    }
    let topics = Topics::new(&config.kafka.topic_prefix);
    let publisher = Publisher::new(&config.kafka, &config.publisher, &raw_topics(&topics))
        .context("cannot set up the publisher; check [kafka] and [publisher]")?;
    Ok(NextHop::Kafka { publisher, topics: Box::new(topics) })
}

/// Keeps `/readyz` true to what the gateway can do.
async fn follow(spool: Spool, readiness: Readiness, shutdown: CancellationToken) {
    let mut health = spool.health();
    readiness.set("serving", true);
    loop {
        readiness.set("spool", *health.borrow_and_update() == Health::Good);
        tokio::select! {
            () = shutdown.cancelled() => break,
            changed = health.changed() => if changed.is_err() { break },
        }
    }
    readiness.set("serving", false);
}

/// Lets the forwarder hand on what waits, while it can: this machine may not come back. What is left is
/// sent after the next start.
async fn hand_on(spool: &Spool, mut health: watch::Receiver<Option<String>>, within: Duration) {
    let mut empty = spool.empty();
    tokio::select! {
        _ = empty.wait_for(|empty| *empty) => return,
        _ = health.wait_for(Option::is_some) => {}
        () = sleep(within) => {}
    }
    tracing::warn!(bytes = spool.bytes(), "reports stay in the spool until the next start");
}

async fn look(command: SpoolCommand, config: &Config) -> anyhow::Result<()> {
    let of = |file: SpoolFile| file.file.unwrap_or_else(|| config.spool.file());
    let cannot = |file: &Path| format!("cannot read the spool {}", file.display());
    let mut out = std::io::stdout().lock();
    match command {
        SpoolCommand::Inspect { file, keys } => {
            let file = of(file);
            let (found, salvaged) = spool::inspect(&file).with_context(|| cannot(&file))?;
            for (record, found) in &found {
                show(&mut out, record, found, keys)?;
            }
            writeln!(out, "{} reports, {} unreadable", salvaged.read, salvaged.unreadable)?;
        }
        SpoolCommand::Export { file, raw } => {
            let (file, form) = (of(file), if raw { Form::Raw } else { Form::Json });
            let salvaged = spool::export(&file, form, &mut out).with_context(|| cannot(&file))?;
            if salvaged.unreadable > 0 {
                eprintln!("{} reports cannot be read any more", salvaged.unreadable);
            }
        }
        SpoolCommand::Replay { file } => {
            let file = of(file);
            let replayed = forward::replay(&file, &next_hop(config)?).await?;
            writeln!(out, "{} reports sent, {} unreadable", replayed.read, replayed.unreadable)?;
        }
    }
    Ok(())
}

fn show(
    out: &mut impl std::io::Write,
    record: &str,
    found: &Found,
    keys: usize,
) -> std::io::Result<()> {
    let Found { reports, bytes, arrived, keys: by_key } = found;
    writeln!(out, "{record}: {reports} reports, {bytes} bytes, {} keys", by_key.len())?;
    if let Some((first, last)) = arrived {
        writeln!(out, "  from {first} to {last}")?;
    }
    let mut by_bytes: Vec<_> = by_key.iter().collect();
    by_bytes.sort_by_key(|(_, (_, bytes))| std::cmp::Reverse(*bytes));
    for (key, (reports, bytes)) in by_bytes.into_iter().take(keys) {
        writeln!(out, "  {key}: {reports} reports, {bytes} bytes")?;
    }
    Ok(())
}
