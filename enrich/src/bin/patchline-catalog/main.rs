//! `patchline-catalog`: imports what vendors publish into the catalog's topic, and looks into it. See
//! `docs/catalog.md`.

mod look;
mod progress;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::{Parser, Subcommand};
use patchline_enrich::advisories::import::Import;
use patchline_enrich::advisories::publish::Publisher;
use patchline_enrich::advisories::seen::Seen;
use patchline_enrich::advisories::topic::{self, Topic};
use patchline_enrich::advisories::updateinfo::System;
use patchline_enrich::advisories::walk::Source;
use patchline_runtime::config::{self, Settings};
use patchline_runtime::kafka::KafkaConfig;
use patchline_runtime::telemetry::{self, LogConfig};
use patchline_schemas::{Codec, Topics};
use serde::Deserialize;

/// How long brokers may take to show a topic that was made.
const SHOWN_WITHIN: Duration = Duration::from_secs(30);

/// Imports vendors' advisories into the catalog, and looks into it.
#[derive(Debug, Parser)]
#[command(name = "patchline-catalog", version)]
struct Cli {
    /// Settings in TOML; `PATCHLINE_CATALOG__<SECTION>__<KEY>` in the environment overrides.
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Publishes what files, directories, archives (zip, tar, gzip, zstd) and URLs have, as far as the
    /// catalog does not have it yet: MSRC months (XML, JSON), bulletin tables (CSV, XLSX), OSV records
    /// and updateinfo.xml.
    Import {
        /// Files, directories and URLs.
        #[arg(required = true, value_name = "SOURCE")]
        sources: Vec<Source>,
        /// Distribution and release that an updateinfo.xml is for, such as almalinux-8.
        #[arg(long, value_name = "SYSTEM")]
        os: Option<System>,
        /// Fail if any document or record cannot be used.
        #[arg(long)]
        strict: bool,
        /// Say what would be published, and publish nothing.
        #[arg(long)]
        dry_run: bool,
        /// Remember here what URLs answered, and fetch none that has not changed since.
        #[arg(long, value_name = "FILE")]
        seen: Option<PathBuf>,
    },
    /// Shows what the catalog has on a KB (KB4012212), a package (openssl) or an advisory (USN-3212-1).
    Show {
        /// A KB number, a package's name or an advisory's id.
        what: String,
        /// Only for this distribution and release, such as ubuntu-16.04.
        #[arg(long, value_name = "SYSTEM")]
        os: Option<System>,
    },
    /// Counts what the catalog has.
    Stats,
    /// Checks that every entry of the catalog can be used, and that the topic keeps them.
    Verify,
}

/// Settings; the same `[kafka]` and `[log]` as the services'.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Config {
    kafka: KafkaConfig,
    log: LogConfig,
}

impl Settings for Config {
    const ENV_PREFIX: &'static str = "PATCHLINE_CATALOG";
}

fn main() -> anyhow::Result<ExitCode> {
    let cli = Cli::parse();
    let config: Config = config::load(cli.config.as_deref())?;
    telemetry::init(&config.log).map_err(anyhow::Error::msg)?;
    match cli.command {
        Command::Import { sources, os, strict, dry_run, seen } => {
            import(&config.kafka, &sources, os, strict, dry_run, seen.as_deref())
        }
        Command::Show { what, os } => look::show(&open(&config.kafka)?, &what, os.as_ref()),
        Command::Stats => look::stats(&open(&config.kafka)?),
        Command::Verify => {
            let compacted = wait_for(topic::is_compacted(&config.kafka))??;
            look::verify(&open(&config.kafka)?, compacted)
        }
    }
}

fn import(
    kafka: &KafkaConfig,
    sources: &[Source],
    system: Option<System>,
    strict: bool,
    dry_run: bool,
    seen_file: Option<&Path>,
) -> anyhow::Result<ExitCode> {
    if !dry_run {
        wait_for(topic::create(kafka))??;
        if !wait_for(topic::is_compacted(kafka))?? {
            let name = Topics::new(&kafka.topic_prefix).advisories;
            tracing::warn!(
                topic = name,
                "the topic is not compacted: what is published will be deleted by its age; set cleanup.policy=compact"
            );
        }
    }
    let mut publisher = Publisher::new(kafka, Codec::new()?, dry_run)?;
    let mut progress = progress::Progress::new(sources);
    progress.say("reading what the catalog has");
    let (mut unreadable, mut seen) = (0, Seen::default());
    if let Some(topic) = find(kafka, !dry_run)? {
        unreadable = publisher.learn(&topic)?;
        if let Some(file) = seen_file {
            seen = Seen::load(file, topic.id())?;
        }
    }
    let mut show = |report: &_, bytes| progress.show(report, bytes);
    let mut report = Import::new(publisher, system, &mut show).run(sources, &mut seen)?;
    if let Some(file) = seen_file.filter(|_| !dry_run) {
        seen.save(file)?;
    }
    report.unreadable = unreadable;
    progress.finish();
    print!("{report}");
    if dry_run {
        println!("nothing was published: --dry-run");
    }
    let failed = !report.found_something() || strict && report.faults.0 > 0;
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Opens the topic. One that was `created` just now may take a moment until brokers show it.
fn find(kafka: &KafkaConfig, created: bool) -> anyhow::Result<Option<Topic>> {
    let deadline = Instant::now() + SHOWN_WITHIN;
    loop {
        let found = Topic::open(kafka)?;
        if found.is_some() || !created || Instant::now() > deadline {
            return Ok(found);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn open(kafka: &KafkaConfig) -> anyhow::Result<Topic> {
    let name = Topics::new(&kafka.topic_prefix).advisories;
    Topic::open(kafka)?.with_context(|| {
        format!("topic {name} does not exist; `patchline-catalog import` creates it")
    })
}

fn wait_for<T>(work: impl Future<Output = T>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(work))
}
