//! `patchline-console`: settings, telemetry, then serve the page until told to stop.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use patchline_console::config::Config;
use patchline_console::metrics::Metrics;
use patchline_console::query;
use patchline_console::store::Store;
use patchline_console::web::{self, Console};
use patchline_runtime::admin::{self, Readiness};
use patchline_runtime::probe::{self, Probe};
use patchline_runtime::{Args, config, shutdown, telemetry};
use prometheus::Registry;
use tokio_util::sync::CancellationToken;

/// Shows Patchline's tables on a read-only web page.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(flatten)]
    args: Args,
    #[command(flatten)]
    probe: Probe,
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("patchline-console: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> anyhow::Result<()> {
    let config: Config = config::load(cli.args.config.as_deref())?;
    if cli.args.check_config {
        println!("settings are sound");
        return Ok(());
    }
    if cli.probe.asked {
        return Ok(probe::ask(&config.admin)?);
    }
    telemetry::init(&config.log).map_err(anyhow::Error::msg)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve(config))
}

async fn serve(config: Config) -> anyhow::Result<()> {
    let shutdown = shutdown::on_signal()?;
    let registry = Registry::new();
    let metrics = Metrics::new(&registry)?;
    // Before anybody can ask: with no need known, it would be ready.
    let readiness = Readiness::default();
    readiness.set("clickhouse", false);
    let drained = CancellationToken::new();
    admin::serve(&config.admin, registry, readiness.clone(), drained.clone()).await?;

    let store = Store::new(&config.clickhouse, &config.console, metrics.clone());
    tokio::spawn(watch(store.clone(), readiness, shutdown.clone()));
    // The page listens without ClickHouse as well: it says what is missing.
    let listener = web::bind(config.console.listen).await?;
    tracing::info!(address = %listener.local_addr()?, "console listens");
    Console::new(query::all()?, store, config.console, metrics).serve(listener, shutdown).await?;
    drained.cancel();
    Ok(())
}

/// Keeps `/readyz` and the metrics true to whether ClickHouse answers.
async fn watch(store: Store, readiness: Readiness, shutdown: CancellationToken) {
    const LOOK_EVERY: Duration = Duration::from_secs(5);
    loop {
        readiness.set("clickhouse", store.is_up().await);
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}
