//! `patchline-enrich`: raw topics to enriched topics. See the library for what is guaranteed.

use std::sync::Arc;

use anyhow::Context;
use clap::Parser;
use patchline_enrich::follow::{Follower, Progress};
use patchline_enrich::index::IndexBuilder;
use patchline_enrich::{Config, Current, LARGE_BLOCK_BYTES, Metrics, Stage};
use patchline_runtime::admin::{self, Readiness};
use patchline_runtime::probe::{self, Probe};
use patchline_runtime::{config, shutdown, telemetry};
use patchline_schemas::Codec;
use prometheus::Registry;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

/// Classifies every reported update: raw topics in, enriched topics out.
#[derive(Debug, Parser)]
#[command(name = "patchline-enrich", version)]
struct Cli {
    #[command(flatten)]
    args: patchline_runtime::Args,
    #[command(flatten)]
    probe: Probe,
}

#[tokio::main(flavor = "current_thread")]
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
    let catalog = IndexBuilder::counting(metrics.memo.clone()).build("none");
    metrics.use_catalog(catalog.version(), catalog.len());
    let readiness = Readiness::default();
    readiness.set("kafka", false);
    admin::serve(&config.admin, registry, readiness.clone(), shutdown.clone()).await?;

    tracing::info!(instance_id = config.enrich.instance_id, "enriching");
    let deadline = config.enrich.shutdown_timeout();
    let catalog = Current::new(Arc::new(catalog));
    let follower = follow(&config, &catalog, &metrics, &readiness, &shutdown).await?;
    let stage = Stage::new(config, Codec::new()?, catalog, metrics, readiness, shutdown.clone());
    let (ended, mut end) = oneshot::channel();
    std::thread::Builder::new().name("enrich".to_owned()).spawn(move || {
        // The receiver goes only when the process does.
        let _ = ended.send(stage.run());
    })?;
    let ended = tokio::select! {
        ended = &mut end => ended,
        () = shutdown.cancelled() => tokio::time::timeout(deadline, end).await.with_context(|| {
            format!("the stage did not stop within {deadline:?}; what was open is undone by Kafka")
        })?,
    };
    // Even when the stage has failed: the catalog's thread ends only with it.
    shutdown.cancel();
    if tokio::time::timeout(deadline, follower).await.is_err() {
        tracing::warn!("the catalog's snapshot could not be written in time");
    }
    ended.context("the stage's thread died")??;
    tracing::info!("stopped");
    Ok(())
}

/// Starts to follow the catalog's topic, and waits until the catalog holds what is in it, or the
/// process is to stop.
async fn follow(
    config: &Config,
    catalog: &Current,
    metrics: &Metrics,
    readiness: &Readiness,
    shutdown: &CancellationToken,
) -> anyhow::Result<oneshot::Receiver<()>> {
    let (follower, mut progress) =
        Follower::new(config, Codec::new()?, catalog.clone(), metrics.clone(), shutdown.clone());
    let follower = follower.start()?;
    readiness.set("catalog", false);
    // The wait begins when Kafka answers: until then the stage would have nothing to do either.
    let wait = config.enrich.catalog_wait();
    let caught_up = async {
        let reading = progress.wait_for(|now| *now >= Progress::Reading).await.is_ok();
        let caught_up = progress.wait_for(|now| *now == Progress::CaughtUp);
        reading && tokio::time::timeout(wait, caught_up).await.is_err()
    };
    tokio::select! {
        late = caught_up => if late {
            tracing::warn!(
                waited_s = wait.as_secs(),
                "starting before the catalog is complete (enrich.catalog_wait_ms)"
            );
        },
        () = shutdown.cancelled() => {}
    }
    readiness.set("catalog", true);
    Ok(follower)
}
