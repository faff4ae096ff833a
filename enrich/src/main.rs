//! `patchline-enrich`: raw topics to enriched topics. See the library for what is guaranteed.

use std::sync::Arc;

use anyhow::Context;
use clap::Parser;
use patchline_enrich::{
    Catalog, Config, FileCatalog, LARGE_BLOCK_BYTES, Metrics, Stage, Transform,
};
use patchline_runtime::admin::{self, Readiness};
use patchline_runtime::{config, shutdown, telemetry};
use patchline_schemas::Codec;
use prometheus::Registry;
use tokio::sync::oneshot;

/// Classifies every reported update: raw topics in, enriched topics out.
#[derive(Debug, Parser)]
#[command(name = "patchline-enrich", version)]
struct Cli {
    #[command(flatten)]
    args: patchline_runtime::Args,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    patchline_runtime::heap::map_blocks_from(LARGE_BLOCK_BYTES);
    let args = Cli::parse().args;
    let config: Config = config::load(args.config.as_deref())?;
    let catalog = match &config.enrich.catalog_file {
        Some(file) => FileCatalog::load(file)?,
        None => FileCatalog::empty(),
    };
    if args.check_config {
        println!(
            "settings are sound; catalog `{}` has {} advisories",
            catalog.version(),
            catalog.len()
        );
        return Ok(());
    }
    telemetry::init(&config.log).map_err(anyhow::Error::msg)?;
    let shutdown = shutdown::on_signal().context("cannot handle signals")?;
    let registry = Registry::new();
    let metrics = Metrics::new(&registry)?;
    metrics.catalog.with_label_values(&[catalog.version()]).set(1);
    let readiness = Readiness::default();
    readiness.set("kafka", false);
    admin::serve(&config.admin, registry, readiness.clone(), shutdown.clone()).await?;

    tracing::info!(
        instance_id = config.enrich.instance_id,
        catalog = catalog.version(),
        advisories = catalog.len(),
        "enriching"
    );
    let deadline = config.enrich.shutdown_timeout();
    let transform = Transform::new(Codec::new()?, Arc::new(catalog));
    let stage = Stage::new(config, transform, metrics, readiness, shutdown.clone());
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
    ended.context("the stage's thread died")??;
    tracing::info!("stopped");
    Ok(())
}
