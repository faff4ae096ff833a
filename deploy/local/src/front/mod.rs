//! The ClickHouse front: the real engine in this process, behind its HTTP interface.
//!
//! It guarantees what clients of a real server rely on: a request's settings end with the request;
//! an INSERT is written when its 200 is sent, and one whose body breaks off writes nothing that the
//! engine had not already closed into a block; SIGTERM finishes what runs before the engine closes.
//! There is one user, and every user name and password is let in: it is for loopback.

mod compressed;
mod engine;
mod http;
mod statement;
mod status;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use engine::Engine;
use patchline_local::Engines;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{info, warn};

/// The engine recurses by the depth of a query; ClickHouse's own threads have this much stack.
const STACK_BYTES: usize = 8 << 20;

/// How long running requests may take to end once a stop is asked for.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);

/// The embedded engine begins with the settings of `clickhouse-local`; these are a server's.
const DEFAULTS: [(&str, &str); 2] =
    [("implicit_select", "0"), ("allow_introspection_functions", "0")];

/// What `patchline-local clickhouse` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Where the tables are; created if missing.
    #[arg(long)]
    path: PathBuf,
    /// Address to serve on; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:8123")]
    listen: SocketAddr,
    /// The engine's library; by default the one that `make engines` installed.
    #[arg(long)]
    lib: Option<PathBuf>,
    /// A ClickHouse configuration file, for what the flags do not cover.
    #[arg(long)]
    config_file: Option<PathBuf>,
    /// Statements that run at once; more wait.
    #[arg(long, default_value_t = 16)]
    connections: u32,
    /// Largest request body accepted; a larger one gets 413.
    #[arg(long, default_value_t = 512 << 20)]
    body_bytes_max: usize,
    /// The engine's `max_server_memory_usage`.
    #[arg(long, default_value_t = 4 << 30)]
    memory_bytes_max: u64,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let library = match &args.lib {
        Some(path) => path.clone(),
        None => Engines::locate()?.chdb()?,
    };
    std::fs::create_dir_all(&args.path)
        .with_context(|| format!("cannot create the data directory {}", args.path.display()))?;
    let path = args.path.canonicalize()?;
    let engine = Arc::new(Engine::open(&library, &path, &server_settings(args), &DEFAULTS)?);
    info!(version = engine.version(), path = %path.display(), "engine open");

    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_stack_size(STACK_BYTES)
        .enable_all()
        .build()?;
    let served = runtime.block_on(serve(args, engine.clone()));
    // What still runs after the drain timeout holds the engine; the process ends under it, which
    // the data survives.
    runtime.shutdown_timeout(Duration::from_secs(1));
    match Arc::into_inner(engine) {
        Some(engine) => drop(engine),
        None => warn!("the engine was still busy and is not closed; its data is safe"),
    }
    served?;
    info!("stopped");
    Ok(())
}

async fn serve(args: &Args, engine: Arc<Engine>) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let listener = TcpListener::bind(args.listen)
        .await
        .with_context(|| format!("cannot listen on {}; is a server there already?", args.listen))?;
    info!(address = %listener.local_addr()?, "serving");

    let (stop, mut stopped) = tokio::sync::watch::channel(());
    let front = http::Front::new(engine, args.connections, args.body_bytes_max)?;
    let server = axum::serve(listener, front.router()).with_graceful_shutdown(async move {
        // The sender is dropped, not written to.
        let _ = stopped.changed().await;
    });
    let mut server = tokio::spawn(server.into_future());
    tokio::select! {
        ended = &mut server => return Ok(ended??),
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    info!("stopping: finishing what runs");
    drop(stop);
    let drained = async {
        let ended = server.await;
        front.idle().await;
        ended
    };
    match tokio::time::timeout(DRAIN_TIMEOUT, drained).await {
        Ok(ended) => ended??,
        Err(_) => warn!(timeout = ?DRAIN_TIMEOUT, "requests were still running and are cut off"),
    }
    Ok(())
}

fn server_settings(args: &Args) -> Vec<(&'static str, String)> {
    let mut options = vec![
        ("max_server_memory_usage", args.memory_bytes_max.to_string()),
        // A laptop's share: eight background merges in four threads, where a server takes 32 in 16.
        ("background_pool_size", "4".to_owned()),
        ("background_schedule_pool_size", "8".to_owned()),
        ("background_common_pool_size", "4".to_owned()),
        ("background_move_pool_size", "1".to_owned()),
        ("background_fetches_pool_size", "1".to_owned()),
        // MergeTree refuses to start where these exceed the pool.
        ("merge_tree.number_of_free_entries_in_pool_to_lower_max_size_of_merge", "4".to_owned()),
        ("merge_tree.number_of_free_entries_in_pool_to_execute_mutation", "4".to_owned()),
        (
            "merge_tree.number_of_free_entries_in_pool_to_execute_optimize_entire_partition",
            "4".to_owned(),
        ),
        ("mark_cache_size", (256 << 20).to_string()),
    ];
    if let Some(file) = &args.config_file {
        options.push(("config-file", file.display().to_string()));
    }
    options
}
