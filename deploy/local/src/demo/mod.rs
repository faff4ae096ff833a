//! `patchline-local demo`: the whole data path at work, and the proof that nothing got lost or doubled.

mod progress;
mod summary;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail};
use patchline_local::fleet::{Fleet, Plan, ReportFile, Request, Rows};
use patchline_local::ledger::{Books, Ledger};
use patchline_local::sender::{Acknowledged, Sender, SenderOptions};
use patchline_local::stack::{self, CLICKHOUSE_URL, KAFKA_BOOTSTRAP};
use patchline_local::{Stack, StackOptions, Stage};
use patchline_schemas::codec::Kind;
use patchline_schemas::{Timestamp, Topics};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use progress::Progress;

/// How often the scans in the sample are asked for: the resolution of the latency.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How often progress is counted.
const COUNT_EVERY: Duration = Duration::from_secs(1);

/// How long no report may arrive before those that are missing count as lost.
const PATIENCE: Duration = Duration::from_secs(60);

/// Scans whose way is timed, spread evenly over all: so many that a query can name them all.
const SAMPLE: u64 = 200;

/// One request in fifty is sent again though it was acknowledged.
const REPEAT_EVERY: usize = 50;

/// After Ctrl-C, as shells have it.
const INTERRUPTED: u8 = 130;

/// Run everything on this machine, send a fleet's reports through it, and show what became of them.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Computers in the fleet.
    #[arg(long, default_value_t = 200)]
    computers: u32,
    /// Scans of each computer.
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Another seed makes another fleet.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Computers that send a scan by a clock days ahead, which becomes a dead letter; by default one in a
    /// hundred.
    #[arg(long)]
    bad_clocks: Option<u32>,
    /// Send this file, in the Linux agent's form, in place of a fleet.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Exit when all is shown: with 0 only if nothing was lost or doubled.
    #[arg(long)]
    once: bool,
    /// Keep what the previous run stored, and what this one stores on existing servers.
    #[arg(long)]
    keep: bool,
    /// Where data (`demo`) and logs (`run`) go; `.cache` of the checkout by default.
    #[arg(long, value_name = "DIRECTORY")]
    directory: Option<PathBuf>,
    /// Pick free ports, even where the usual ones are free.
    #[arg(long)]
    free_ports: bool,
}

/// What is sent.
enum Load {
    Fleet(Box<Fleet>),
    File(Box<ReportFile>),
}

/// What came of it.
struct Outcome {
    ledger: Ledger,
    sending: Duration,
    all: Duration,
    retries: u32,
    repeated: usize,
    latencies: Vec<Duration>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let runtime = Runtime::new().context("cannot start the async runtime")?;
    let interrupted = runtime.block_on(async { on_signal() })?;
    let directory = match &args.directory {
        Some(directory) => directory.clone(),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.cache"),
    };
    fs::create_dir_all(&directory)
        .with_context(|| format!("cannot create {}", directory.display()))?;
    let directory = directory.canonicalize()?;
    // Two demos in one directory would delete each other's data.
    let lock = File::create(directory.join("demo.lock")).context("cannot create demo.lock")?;
    if lock.try_lock().is_err() {
        bail!("a demo is running already in {}; stop it first", directory.display());
    }

    let now = Timestamp::now();
    let bad_clocks = args.bad_clocks.unwrap_or(args.computers / 100);
    let Args { seed, computers, rounds, .. } = *args;
    let fleet = Fleet::of(Plan { seed, computers, rounds, bad_clocks, now });
    let file = args.report.as_deref().map(ReportFile::read).transpose()?;
    let options = prepare(args, &directory, &fleet, now)?;
    let load = match file {
        Some(file) => Load::File(Box::new(file)),
        None => Load::Fleet(Box::new(fleet)),
    };

    let began = Instant::now();
    let mut stack = Stack::start(options, &|what| eprintln!("{what}"))?;
    eprintln!("everything runs after {:.1} s", began.elapsed().as_secs_f64());
    let ended = runtime.block_on(session(args, &load, &mut stack, &interrupted));
    eprintln!("stopping");
    let stopped = stack.stop();
    let tidied = if args.keep { Ok(()) } else { tidy(&stack, &runtime) };
    let code = ended?;
    stopped?;
    tidied.map(|()| code)
}

/// Makes room for a run and says where everything goes.
fn prepare(
    args: &Args,
    directory: &Path,
    fleet: &Fleet,
    now: Timestamp,
) -> anyhow::Result<StackOptions> {
    let (data, logs) = (directory.join("demo"), directory.join("run"));
    if !args.keep {
        stack::clear(&data)?;
        stack::clear(&logs)?;
    }
    fs::create_dir_all(&data).with_context(|| format!("cannot create {}", data.display()))?;
    let feeds = data.join("feeds");
    fleet.write_feeds(&feeds).with_context(|| format!("cannot write to {}", feeds.display()))?;
    // On somebody else's servers a run keeps to names of its own.
    let borrowed = |variable| std::env::var_os(variable).is_some_and(|address| !address.is_empty());
    let own = |name: &str, borrowed: bool| match borrowed {
        true => format!("{name}_demo_{}", now.0),
        false => name.to_owned(),
    };
    Ok(StackOptions {
        topic_prefix: own(Topics::DEFAULT_PREFIX, borrowed(KAFKA_BOOTSTRAP)),
        database: own("patchline", borrowed(CLICKHOUSE_URL)),
        data,
        logs,
        feeds: Some(feeds),
        usual_ports: !args.free_ports,
        ..StackOptions::under(directory)
    })
}

/// Everything between start and stop.
async fn session(
    args: &Args,
    load: &Load,
    stack: &mut Stack,
    interrupted: &CancellationToken,
) -> anyhow::Result<ExitCode> {
    let topic = stack.topics().dead_letters;
    let books = Books::open(stack.clickhouse_client(), &stack.kafka_config(), &topic)?;
    let options = SenderOptions {
        repeat_every: matches!(load, Load::Fleet(_)).then_some(REPEAT_EVERY),
        ..SenderOptions::default()
    };
    let sender = Sender::new(stack.gateway_url(), options);
    let outcome = tokio::select! {
        outcome = deliver(load, &sender, &books) => outcome?,
        error = watch(stack) => return Err(error),
        () = interrupted.cancelled() => return Ok(ExitCode::from(INTERRUPTED)),
    };
    show(load, &books, &outcome).await?;
    if args.once {
        return Ok(if outcome.ledger.balances() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    show_endpoints(stack);
    tokio::select! {
        error = watch(stack) => Err(error),
        () = interrupted.cancelled() => Ok(ExitCode::SUCCESS),
    }
}

/// Ends when a stage does.
async fn watch(stack: &mut Stack) -> anyhow::Error {
    let mut ticks = interval(Duration::from_millis(500));
    loop {
        ticks.tick().await;
        if let Err(error) = stack.check() {
            return error.into();
        }
    }
}

/// What sending and following tell each other.
struct State {
    progress: Progress,
    acknowledged: HashSet<Uuid>,
    /// One scan in so many is timed.
    sample_every: u64,
    scans: u64,
    sample: HashMap<Uuid, Instant>,
    latencies: Vec<Duration>,
    retries: u32,
    repeated: usize,
    sent_all: Option<Instant>,
}

impl State {
    fn acknowledge(&mut self, request: &Acknowledged) {
        self.retries += request.retries;
        self.repeated += usize::from(request.repeated);
        let known = self.acknowledged.len();
        for report in &request.reports {
            if !self.acknowledged.insert(report.id) || report.kind != Kind::Scan || report.bad {
                continue;
            }
            if self.scans.is_multiple_of(self.sample_every) {
                self.sample.insert(report.id, request.began);
            }
            self.scans += 1;
        }
        self.progress.sent((self.acknowledged.len() - known) as u64);
    }

    fn seen(&mut self, scans: &HashSet<Uuid>) {
        let sent = scans.iter().filter_map(|scan| self.sample.remove(scan));
        self.latencies.extend(sent.map(|sent| sent.elapsed()));
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sends everything and waits until all of it is accounted for.
async fn deliver(load: &Load, sender: &Sender, books: &Books) -> anyhow::Result<Outcome> {
    let (expected, total, scans) = match load {
        Load::Fleet(fleet) => (fleet.expected(), fleet.report_count(), fleet.scan_count()),
        Load::File(file) => (file.expected.clone(), file.request.reports.len() as u64, 1),
    };
    let requests: Box<dyn Iterator<Item = Request>> = match load {
        Load::Fleet(fleet) => Box::new(fleet.requests()),
        Load::File(file) => Box::new(std::iter::once(file.request.clone())),
    };
    let began = Instant::now();
    let state = Mutex::new(State {
        progress: Progress::new(total),
        acknowledged: HashSet::new(),
        sample_every: scans.div_ceil(SAMPLE).max(1),
        scans: 0,
        sample: HashMap::new(),
        latencies: Vec::new(),
        retries: 0,
        repeated: 0,
        sent_all: None,
    });
    let sending = async {
        sender.send_all(requests, |request| lock(&state).acknowledge(&request)).await?;
        lock(&state).sent_all = Some(Instant::now());
        Ok(())
    };
    let ((), ledger) = tokio::try_join!(sending, follow(books, &state, &expected))?;
    let state = state.into_inner().unwrap_or_else(PoisonError::into_inner);
    state.progress.finish();
    let State { mut latencies, retries, repeated, sent_all, .. } = state;
    latencies.sort();
    let sending = sent_all.map_or_else(|| began.elapsed(), |at| at - began);
    Ok(Outcome { ledger, sending, all: began.elapsed(), retries, repeated, latencies })
}

/// Looks at the tables until every report that was acknowledged is accounted for, or nothing more comes.
async fn follow(
    books: &Books,
    state: &Mutex<State>,
    expected: &BTreeMap<String, Rows>,
) -> anyhow::Result<Ledger> {
    let mut looks = interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut last_count, mut arrived) = (Instant::now(), 0);
    let mut deadline = Instant::now() + PATIENCE;
    loop {
        looks.tick().await;
        let scans: Vec<Uuid> = lock(state).sample.keys().copied().collect();
        if !scans.is_empty() {
            let seen = books.queryable(&scans).await?;
            lock(state).seen(&seen);
        }
        if last_count.elapsed() < COUNT_EVERY {
            continue;
        }
        let now_arrived = books.arrived().await?;
        last_count = Instant::now();
        let (sent_all, sent) = {
            let mut state = lock(state);
            state.progress.arrived(now_arrived);
            (state.sent_all.is_some(), state.acknowledged.len() as u64)
        };
        if !sent_all || now_arrived != arrived {
            (arrived, deadline) = (now_arrived, Instant::now() + PATIENCE);
        }
        let late = Instant::now() >= deadline;
        if sent_all && (late || arrived >= sent) {
            let sent = lock(state).acknowledged.clone();
            let ledger = books.settle(&sent, expected).await?;
            // What is there twice stays there twice; what is missing may still come.
            if late || ledger.lost == 0 && ledger.wrong_computers.is_empty() {
                return Ok(ledger);
            }
        }
    }
}

async fn show(load: &Load, books: &Books, outcome: &Outcome) -> anyhow::Result<()> {
    let client = books.client();
    match load {
        Load::Fleet(_) => {
            summary::compliance(client).await?;
            summary::samples(client).await?;
        }
        Load::File(file) => {
            for computer in &file.computers {
                summary::computer(client, computer).await?;
            }
        }
    }
    let Outcome { ledger, sending, all, retries, repeated, latencies } = outcome;
    println!(
        "\nall sent after {:.1} s, all queryable after {:.1} s; {retries} retries, {repeated} requests \
         sent twice on purpose",
        sending.as_secs_f64(),
        all.as_secs_f64(),
    );
    if let (Some(p50), Some(p99)) = (quantile(latencies, 50), quantile(latencies, 99)) {
        println!(
            "from sending a scan to finding it by a query: p50 {p50:.2} s, p99 {p99:.2} s \
             (timed: {}, every {LOOK_EVERY:?})",
            latencies.len()
        );
    }
    println!("{ledger}");
    let wrong = &ledger.wrong_computers;
    if !wrong.is_empty() {
        let some: Vec<&str> = wrong.iter().take(3).map(String::as_str).collect();
        println!(
            "the rows of {} computers in Update are not those of their newest scan: {}",
            wrong.len(),
            some.join(", ")
        );
    }
    Ok(())
}

fn quantile(sorted: &[Duration], percent: usize) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    sorted.get((last * percent).div_ceil(100)).map(Duration::as_secs_f64)
}

fn show_endpoints(stack: &Stack) {
    let (gateway, clickhouse) = (stack.gateway_url(), stack.clickhouse_url());
    println!(
        "\n\
         console     {}   look at it in a browser\n\
         gateway     {gateway}   POST /v1/scans, /v1/run-progress, /v1/heartbeats, /v1/events,\n\
         {:35} /v1/office-activity, /OperationalData.svc/PostJsonDataItems\n\
         Kafka       {}   topics {}.*\n\
         ClickHouse  {clickhouse}   curl '{clickhouse}/?database={}' -d 'SELECT count() FROM Update'",
        stack.console_url(),
        "",
        stack.bootstrap(),
        stack.topics().dead_letters.trim_end_matches(".dead-letters"),
        stack.database(),
    );
    for stage in Stage::ALL {
        let (admin, log) = (stack.admin_url(stage), stack.log(stage));
        println!("{:11} {admin}/metrics, /readyz   log {}", stage.name(), log.display());
    }
    println!("\nCtrl-C stops everything");
}

/// Leaves existing servers as they were.
fn tidy(stack: &Stack, runtime: &Runtime) -> anyhow::Result<()> {
    stack.remove_topics()?;
    if stack.borrows_clickhouse() {
        let drop = format!("DROP DATABASE IF EXISTS `{}`", stack.database());
        let client = stack.clickhouse_client().with_database("default");
        runtime
            .block_on(client.query(&drop).execute())
            .context("cannot drop the demo's database")?;
    }
    Ok(())
}

/// A token that fires at the first SIGINT or SIGTERM. The second ends the process at once; the kernel
/// ends its children.
fn on_signal() -> anyhow::Result<CancellationToken> {
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot handle SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot handle SIGTERM")?;
    let token = CancellationToken::new();
    let fired = token.clone();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if fired.is_cancelled() {
                std::process::exit(i32::from(INTERRUPTED));
            }
            fired.cancel();
        }
    });
    Ok(token)
}
