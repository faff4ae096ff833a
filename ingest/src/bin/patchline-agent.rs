//! The agent: settings, telemetry, then report until told to stop.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use patchline_ingest::agent::config::Config;
use patchline_ingest::agent::os::Facts;
use patchline_ingest::agent::reports;
use patchline_ingest::agent::run::Agent;
use patchline_ingest::agent::system::Local;
use patchline_runtime::{Args, config, shutdown, telemetry};

/// Reports this computer's packages, and which of them have updates, to Patchline.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(flatten)]
    args: Args,
    /// Scan once, deliver, and exit; fails if a gateway did not take it.
    #[arg(long)]
    once: bool,
    /// Scan once, print the report, and send nothing.
    #[arg(long, conflicts_with = "once")]
    dry_run: bool,
    /// Print the computer's id, which it is enrolled by, and exit.
    #[arg(long, conflicts_with_all = ["once", "dry_run"])]
    print_id: bool,
}

/// How long `--once` tries.
const ONCE_TIMEOUT: Duration = Duration::from_secs(120);

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let Cli { args, once, dry_run, print_id } = Cli::parse();
    let config: Config = config::load(args.config.as_deref())?;
    if args.check_config {
        println!("settings are sound");
        return Ok(());
    }
    if print_id {
        let facts = Facts::read(&Local).await.context("cannot tell which computer this is")?;
        println!("{}", facts.source_computer_id);
        return Ok(());
    }
    if dry_run {
        return print_scan().await;
    }
    // The default that another crate's choice of provider would otherwise make ambiguous.
    let _ = rustls::crypto::ring::default_provider().install_default();
    telemetry::init(&config.log).map_err(anyhow::Error::msg)?;
    let shutdown = shutdown::on_signal()?;
    let agent = Arc::new(Agent::new(Local, config)?);
    if once {
        agent.once(ONCE_TIMEOUT).await?;
    } else {
        agent.run(&shutdown).await?;
    }
    Ok(())
}

async fn print_scan() -> anyhow::Result<()> {
    let facts = Facts::read(&Local).await.context("cannot report on this computer")?;
    let found = reports::scan(&Local, &facts).await.context("cannot scan this computer")?;
    println!("{}", serde_json::to_string_pretty(&found.scan)?);
    for missing in found.unreadable {
        eprintln!("the report goes without: {missing}");
    }
    Ok(())
}
