//! `patchline-reclassify`: applies what is published about updates to the rows that are stored already.
//! See [`patchline_enrich::reclassify`] for what is guaranteed.

use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use patchline_enrich::LARGE_BLOCK_BYTES;
use patchline_enrich::reclassify::{Config, Metrics, Reclassifier};
use patchline_runtime::admin::{self, Readiness};
use patchline_runtime::probe::{self, Probe};
use patchline_runtime::{config, shutdown, telemetry};
use patchline_schemas::Codec;
use patchline_sink::config::ClickHouseConfig;
use patchline_sink::migrate::{self, MigrateError};
use prometheus::Registry;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// Applies what is published about updates to the rows that are stored already.
#[derive(Debug, Parser)]
#[command(name = "patchline-reclassify", version)]
struct Cli {
    #[command(flatten)]
    args: patchline_runtime::Args,
    #[command(flatten)]
    probe: Probe,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 1)]
async fn main() -> anyhow::Result<()> {
    patchline_runtime::heap::map_blocks_from(LARGE_BLOCK_BYTES);
    let Cli { args, probe } = Cli::parse();
    let config: Config = config::load(args.config.as_deref())?;
    if args.check_config {
        println!("settings are sound");
        return Ok(());
    }
    if probe.asked {
        return Ok(probe::ask(&config.admin)?);
    }
    telemetry::init(&config.log).map_err(anyhow::Error::msg)?;
    let shutdown = shutdown::on_signal().context("cannot handle signals")?;
    let registry = Registry::new();
    let metrics = Metrics::new(&registry)?;
    let readiness = Readiness::default();
    readiness.set("clickhouse", false);
    admin::serve(&config.admin, registry, readiness.clone(), shutdown.clone()).await?;
    tokio::select! {
        () = shutdown.cancelled() => return Ok(()),
        found = await_database(&config.clickhouse) => found?,
    }
    readiness.set("clickhouse", true);

    let reclassifier = Reclassifier::new(config, Codec::new()?, metrics, readiness, shutdown);
    let handle = Handle::current();
    let (ended, end) = oneshot::channel();
    std::thread::Builder::new().name("reclassify".to_owned()).spawn(move || {
        reclassifier.run(&handle);
        // The receiver goes only when the process does.
        let _ = ended.send(());
    })?;
    // A statement that is under way is left to itself; nothing here takes long to stop.
    end.await.context("the thread of reclassification died")?;
    tracing::info!("stopped");
    Ok(())
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
