//! A fleet of computers that report to Patchline, and what must be in the tables once it has.
//!
//! Equal plans give equal bytes, on every machine and at any time: what is random comes from the seed
//! by `fastrand`, which has no dependencies and keeps its sequences within a major version, and time
//! is what the plan says it is. Computers of one system share their updates, as real ones do.
//!
//! A fleet lives through rounds. In each, every computer sends heartbeats, a scan and its events; between
//! two rounds update runs install what was missing, or fail to, and new updates come out. Some computers stop
//! reporting before the last round. People use Office 365 meanwhile. Windows computers and Linux computers
//! in Azure speak the native wire, the other Linux computers the Linux agent's, except that the start of an
//! update run is told by the job that runs it, on the native one.
//!
//! [`Truth`] has the same reports as records, for tests that work out what a query must answer.

mod activity;
mod computer;
mod truth;
mod universe;
mod vendors;
mod wire;

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;

use fastrand::Rng;
use patchline_schemas::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use computer::{Attempt, Computer, GROUPS, Line};
pub use truth::{Bodies, Judgement, Truth};
use universe::Universe;
use wire::{Data, PSEUDO_PACKAGE};
pub use wire::{Request, Sent};

const HOUR_MS: i64 = 3_600_000;

/// Between two rounds.
const ROUND_HOURS: i64 = 12;

/// Names in the sample queries of the original service's documentation: the first Windows computers and some
/// update runs have them, so that the samples have something to find as they are written.
const SAMPLE_COMPUTERS: [&str; 2] = ["COMPUTER01.contoso.com", "ContosoVM1.contoso.com"];
const SAMPLE_RUN: &str = "DeploymentName";

/// How far ahead of the real time a bad clock is. Enrichment rejects what is over a day.
const BAD_CLOCK_HOURS: i64 = 72;

/// What a fleet is made by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Decides everything that is not said here.
    pub seed: u64,
    /// How many computers.
    pub computers: u32,
    /// How often each scans.
    pub rounds: u32,
    /// How many of them send, in the last round, one more scan by a clock days ahead: it goes through
    /// the gateway and ends as a dead letter.
    pub bad_clocks: u32,
    /// The time of the last round.
    pub now: Timestamp,
}

/// A fleet of computers.
#[derive(Debug)]
pub struct Fleet {
    plan: Plan,
    universe: Universe,
}

impl Fleet {
    /// A fleet of three rounds in which two computers in two hundred have a bad clock.
    #[must_use]
    pub fn new(seed: u64, computers: u32, now: Timestamp) -> Fleet {
        Fleet::of(Plan { seed, computers, rounds: 3, bad_clocks: computers / 100, now })
    }

    /// The fleet that `plan` describes.
    #[must_use]
    pub fn of(plan: Plan) -> Fleet {
        let universe = Universe::new(mix(plan.seed, u64::MAX), plan.rounds, plan.now);
        Fleet { plan, universe }
    }

    /// Everything that its agents send, in order of time. Made as it is asked for: a large fleet does
    /// not fit into memory.
    pub fn requests(&self) -> impl Iterator<Item = Request> {
        Requests {
            fleet: self,
            computers: self.computers(),
            round: 0,
            next: 0,
            ready: VecDeque::new(),
        }
    }

    /// What the table `Update` must hold of each computer once everything has arrived.
    #[must_use]
    pub fn expected(&self) -> BTreeMap<String, Rows> {
        self.computers()
            .into_iter()
            .zip(0..)
            .map(|(mut computer, number)| {
                let rounds = self.rounds_of(number);
                for round in 1..rounds {
                    computer.update(round, &self.universe);
                }
                let last = rounds.saturating_sub(1);
                (computer.id.to_string(), rows(&computer.scan(last, &self.universe)))
            })
            .collect()
    }

    /// How many reports [`requests`](Fleet::requests) has, without making them.
    #[must_use]
    pub fn report_count(&self) -> u64 {
        let Plan { computers, rounds, bad_clocks, .. } = self.plan;
        let mut reports = u64::from(bad_clocks.min(computers));
        for round in 0..rounds {
            reports += self.office(round).len() as u64;
        }
        for (number, mut computer) in (0..).zip(self.computers()) {
            for round in 0..self.rounds_of(number) {
                let attempts =
                    if round > 0 { computer.update(round, &self.universe) } else { Vec::new() };
                let time = self.time_of(number, round);
                reports += (1 + heartbeats(number) + run_reports(&attempts)) as u64;
                reports += events(&computer, round, time).len() as u64;
            }
            let silent = rounds - self.rounds_of(number);
            reports += if is_alive(number) { u64::from(silent) } else { 0 };
        }
        reports
    }

    /// How many scans there are among them, without those of bad clocks.
    #[must_use]
    pub fn scan_count(&self) -> u64 {
        (0..self.plan.computers).map(|number| u64::from(self.rounds_of(number))).sum()
    }

    /// What vendors publish about this fleet's updates, as files that `patchline-catalog` imports: names and
    /// contents. Of the others the computers know some, and nobody the rest.
    #[must_use]
    pub fn feeds(&self) -> Vec<(String, String)> {
        vendors::feeds(&self.universe)
    }

    /// Writes [`feeds`](Fleet::feeds) into `directory`, which it makes.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn write_feeds(&self, directory: &Path) -> std::io::Result<()> {
        std::fs::create_dir_all(directory)?;
        let mut feeds = self.feeds().into_iter();
        feeds.try_for_each(|(name, content)| std::fs::write(directory.join(name), content))
    }

    fn computers(&self) -> Vec<Computer> {
        let mut computers: Vec<Computer> = (0..self.plan.computers)
            .map(|n| Computer::new(mix(self.plan.seed, n.into()), n, &self.universe))
            .collect();
        let windows = computers.iter_mut().filter(|computer| computer.edition().is_some());
        for (computer, name) in windows.zip(SAMPLE_COMPUTERS) {
            computer.rename(name);
        }
        for group in GROUPS {
            let speaker = computers
                .iter_mut()
                .find(|computer| computer.group == Some(group) && computer.edition().is_some());
            if let Some(computer) = speaker {
                let name = group.to_lowercase();
                let subscription = Uuid::new_v5(&Uuid::NAMESPACE_DNS, name.as_bytes());
                computer.cluster = Some(format!(
                    "/subscriptions/{subscription}/resourceGroups/{name}/providers/\
                     Microsoft.AzureStackHCI/clusters/{name}"
                ));
            }
        }
        computers
    }

    /// Rounds that computer `number` scans and reports in. One in eleven falls silent before the last, but none
    /// whose clock is bad in it.
    fn rounds_of(&self, number: u32) -> u32 {
        let Plan { rounds, bad_clocks, .. } = self.plan;
        let silent = number % 11 == 10 && number >= bad_clocks && rounds > 1;
        rounds - u32::from(silent)
    }

    /// What people do in Office 365 in `round`.
    fn office(&self, round: u32) -> Vec<activity::OfficeRecord> {
        // Below the universe's seed and above the computers'.
        let seed = mix(self.plan.seed, u64::MAX - 1 - u64::from(round));
        activity::office(seed, self.plan.computers, self.time(round))
    }

    fn time(&self, round: u32) -> Timestamp {
        let to_go = self.plan.rounds.saturating_sub(round + 1);
        hours(self.plan.now, -ROUND_HOURS * i64::from(to_go))
    }

    /// When computer `number` reports in `round`: not all at the same minute, and the last not after now.
    fn time_of(&self, number: u32, round: u32) -> Timestamp {
        Timestamp(self.time(round).0 - i64::from(number % 60) * 60_000)
    }
}

struct Requests<'f> {
    fleet: &'f Fleet,
    computers: Vec<Computer>,
    round: u32,
    next: usize,
    ready: VecDeque<Request>,
}

impl Iterator for Requests<'_> {
    type Item = Request;

    fn next(&mut self) -> Option<Request> {
        while self.ready.is_empty() {
            if self.round >= self.fleet.plan.rounds || self.computers.is_empty() {
                return None;
            }
            if self.next < self.computers.len() {
                self.turn();
                self.next += 1;
            } else {
                self.people();
                self.next = 0;
                self.round += 1;
            }
        }
        self.ready.pop_front()
    }
}

impl Requests<'_> {
    /// What the next computer sends in this round.
    fn turn(&mut self) {
        let Fleet { plan, universe } = self.fleet;
        let round = self.round;
        let Some(computer) = self.computers.get_mut(self.next) else { return };
        let number = u32::try_from(self.next).unwrap_or(u32::MAX);
        let time = self.fleet.time_of(number, round);
        if round >= self.fleet.rounds_of(number) {
            if is_alive(number) {
                self.ready.push_back(wire::heartbeats(computer, &[time]));
            }
            return;
        }
        if round > 0 {
            let attempts = computer.update(round, universe);
            let run = run_name(computer, number, round);
            self.ready.extend(wire::run(computer, &attempts, &run, hours(time, -ROUND_HOURS / 2)));
        }
        let lines = computer.scan(round, universe);
        self.ready.push_back(wire::scan(computer, &lines, time, false));
        if number < plan.bad_clocks && round + 1 == plan.rounds {
            let ahead = hours(time, BAD_CLOCK_HOURS);
            self.ready.push_back(wire::scan(computer, &lines, ahead, true));
        }
        let events = events(computer, round, time);
        if !events.is_empty() {
            self.ready.push_back(wire::events(computer, &events));
        }
        let times: Vec<Timestamp> =
            (0..).map(|n| Timestamp(time.0 - n * 60_000)).take(heartbeats(number)).collect();
        self.ready.push_back(wire::heartbeats(computer, &times));
    }

    /// What people do in Office 365 in this round.
    fn people(&mut self) {
        let records = self.fleet.office(self.round);
        if !records.is_empty() {
            self.ready.push_back(wire::office(&records));
        }
    }
}

/// Name of the update run before `round`.
fn run_name(computer: &Computer, number: u32, round: u32) -> String {
    if number.is_multiple_of(5) {
        return SAMPLE_RUN.to_owned();
    }
    let system = if computer.edition().is_some() { "Windows" } else { "Linux" };
    format!("{system} maintenance {round}")
}

/// Reports on an update run.
fn run_reports(attempts: &[Attempt]) -> usize {
    attempts.iter().map(|attempt| attempt.outcome.reports()).sum()
}

/// Events are Windows'.
fn events(computer: &Computer, round: u32, time: Timestamp) -> Vec<activity::Event> {
    match computer.edition() {
        Some(_) => activity::events(computer, round, time),
        None => Vec::new(),
    }
}

/// Of the computers that fell silent, every other one is alive, and only its scans and events are missing.
fn is_alive(number: u32) -> bool {
    number % 2 == 1
}

/// Heartbeats that a computer sends at once: some agents had been out of touch, and kept theirs.
fn heartbeats(number: u32) -> usize {
    if number.is_multiple_of(7) { 3 } else { 1 }
}

/// The rows of one computer in `Update`: how many, and the sum over them of the CRC-32 of
/// `UpdateID|Product|ProductArch|ProductVersion|UpdateState`, which SQL can compute as well.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rows {
    /// How many.
    pub count: u64,
    /// Which.
    pub sum: u64,
}

impl Rows {
    /// [`Rows`] by `SourceComputerId`, of the table.
    pub const SQL: &str = "SELECT SourceComputerId, count() AS count, \
        sum(CRC32(concatWithSeparator('|', UpdateID, Product, ProductArch, ProductVersion, UpdateState))) \
        AS sum FROM Update GROUP BY SourceComputerId";

    fn add(&mut self, row: &str) {
        let mut crc = flate2::Crc::new();
        crc.update(row.as_bytes());
        self.count += 1;
        self.sum += u64::from(crc.sum());
    }
}

fn rows(lines: &[Line<'_>]) -> Rows {
    let mut rows = Rows::default();
    for line in lines {
        match line {
            Line::Package { package, release, needed } => {
                let version = package.releases.get(*release).map_or("", |release| &release.version);
                let state = if *needed { "Needed" } else { "Not needed" };
                rows.add(&format!("|{}|{}|{version}|{state}", package.name, package.architecture));
            }
            Line::Patch { patch, installed, .. } => {
                let state = if *installed { "Installed" } else { "Needed" };
                rows.add(&format!("{}|{}|||{state}", patch.id, patch.product));
            }
        }
    }
    rows
}

/// One file in the Linux agent's form, to be sent as it is.
#[derive(Debug)]
pub struct ReportFile {
    /// The request.
    pub request: Request,
    /// As [`Fleet::expected`]; by the name that the file gives the computer.
    pub expected: BTreeMap<String, Rows>,
    /// Names of the computers in it.
    pub computers: Vec<String>,
}

/// A report file cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum ReportFileError {
    /// No such file, or no right to read it.
    #[error("cannot read the report file {path}; give the path of an existing file")]
    Read {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// Not what Linux agents send.
    #[error(
        "{path} is no report of a Linux agent; it must be JSON of the form \
         {{\"DataType\": ..., \"DataItems\": [...]}}"
    )]
    Malformed {
        /// The file.
        path: String,
        /// Where and how.
        source: serde_json::Error,
    },
    /// A data type that is not understood.
    #[error(
        "{path} has the DataType `{data_type}`; it must be LINUX_UPDATES_SNAPSHOT_BLOB, \
         UPDATES_RUN_PROGRESS_BLOB or HEALTH_ASSESSMENT_BLOB"
    )]
    DataType {
        /// The file.
        path: String,
        /// What it says.
        data_type: String,
    },
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(rename = "DataType")]
    data_type: String,
    #[serde(rename = "DataItems", borrow)]
    items: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct FileItem {
    #[serde(rename = "AgentId", default)]
    agent_id: String,
    #[serde(rename = "Host", alias = "Computer", default)]
    host: String,
    #[serde(rename = "Collections", default)]
    packages: Vec<FilePackage>,
}

#[derive(Deserialize)]
struct FilePackage {
    #[serde(rename = "PackageName")]
    name: String,
    #[serde(rename = "Architecture", default)]
    architecture: Option<String>,
    #[serde(rename = "PackageVersion", default)]
    version: Option<String>,
    #[serde(rename = "UpdateState")]
    state: String,
}

impl ReportFile {
    /// Reads `path`. The request's body is the file, byte for byte, deflated.
    ///
    /// # Errors
    /// See [`ReportFileError`].
    pub fn read(path: &Path) -> Result<ReportFile, ReportFileError> {
        let named = || path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|source| ReportFileError::Read { path: named(), source })?;
        let malformed = |source| ReportFileError::Malformed { path: named(), source };
        let envelope: Envelope<'_> = serde_json::from_str(&text).map_err(malformed)?;
        let Some(data) = Data::of(&envelope.data_type) else {
            let data_type = envelope.data_type;
            return Err(ReportFileError::DataType { path: named(), data_type });
        };
        let mut file = ReportFile {
            request: wire::agent_request(wire::deflated(text.as_bytes()), None, Vec::new()),
            expected: BTreeMap::new(),
            computers: Vec::new(),
        };
        for item in envelope.items {
            let id = wire::derived_id(data.name(), item.get());
            file.request.reports.push(Sent { id, kind: data.kind(), bad: false });
            let item: FileItem = serde_json::from_str(item.get()).map_err(malformed)?;
            if data == Data::Scan {
                file.expected.insert(item.agent_id, file_rows(&item.packages));
            }
            file.computers.push(item.host);
        }
        Ok(file)
    }
}

fn file_rows(packages: &[FilePackage]) -> Rows {
    // A package listed twice is one row.
    let mut distinct = BTreeMap::new();
    for package in packages.iter().filter(|package| package.name != PSEUDO_PACKAGE) {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let state = if package.state == "Needed" { "Needed" } else { "Not needed" };
        let row =
            format!("|{}|{}|{}", package.name, text(&package.architecture), text(&package.version));
        distinct.entry(row).or_insert(state);
    }
    let mut rows = Rows::default();
    for (row, state) in distinct {
        rows.add(&format!("{row}|{state}"));
    }
    rows
}

/// A seed of its own for each computer, so that one more changes none of the others: SplitMix64's
/// finaliser over both.
fn mix(seed: u64, number: u64) -> u64 {
    let mut z = seed.wrapping_add(number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn chance(rng: &mut Rng, of: f64) -> bool {
    rng.f64() < of
}

fn pick<T: Copy + Default>(rng: &mut Rng, from: &[T]) -> T {
    rng.choice(from).copied().unwrap_or_default()
}

fn uuid(rng: &mut Rng) -> Uuid {
    uuid::Builder::from_random_bytes(rng.u128(..).to_be_bytes()).into_uuid()
}

fn hours(time: Timestamp, hours: i64) -> Timestamp {
    Timestamp(time.0 + hours * HOUR_MS)
}

/// Midnight of the day `days` before `time`.
fn day(time: Timestamp, days: u32) -> Timestamp {
    let day = Timestamp::DAY_MS;
    Timestamp((time.0 - i64::from(days) * day).div_euclid(day) * day)
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};
    use std::io::Read;

    use patchline_schemas::codec::Kind;
    use serde_json::Value;

    use super::*;

    const NOW: Timestamp = Timestamp(1_600_000_000_000);

    fn fleet(seed: u64, computers: u32) -> Fleet {
        Fleet::new(seed, computers, NOW)
    }

    fn text(request: &Request) -> String {
        if !request.headers.contains(&("Content-Encoding", "deflate".to_owned())) {
            return String::from_utf8(request.body.clone()).unwrap();
        }
        let mut text = String::new();
        flate2::read::ZlibDecoder::new(&*request.body).read_to_string(&mut text).unwrap();
        text
    }

    fn body(request: &Request) -> Value {
        serde_json::from_str(&text(request)).unwrap()
    }

    /// Every scan by computer, in order: (state, identity) of each update.
    fn scans(fleet: &Fleet) -> HashMap<String, Vec<Vec<(String, String)>>> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut scans: HashMap<_, Vec<_>> = HashMap::new();
        for request in fleet.requests() {
            if request.reports[0].kind != Kind::Scan || request.reports[0].bad {
                continue;
            }
            let body = body(&request);
            let (computer, updates) = match body.get("DataItems") {
                None => (text(&body["SourceComputerId"]), &body["Updates"]),
                Some(items) => (text(&items[0]["AgentId"]), &items[0]["Collections"]),
            };
            let updates = updates.as_array().unwrap().iter();
            let lines = updates
                .filter(|update| update["PackageName"] != PSEUDO_PACKAGE)
                .map(|update| {
                    let keys = match update.get("PackageName") {
                        Some(_) => ["UpdateID", "PackageName", "Architecture", "PackageVersion"],
                        None => ["UpdateID", "Product", "ProductArch", "ProductVersion"],
                    };
                    let identity = keys.map(|key| text(&update[key])).join(" ");
                    (text(&update["UpdateState"]), identity)
                })
                .collect();
            scans.entry(computer).or_default().push(lines);
        }
        scans
    }

    #[test]
    fn the_same_plan_gives_the_same_bytes_and_another_seed_others() {
        let all = |seed| fleet(seed, 12).requests().collect::<Vec<_>>();
        assert_eq!(all(7), all(7));
        assert_ne!(all(7), all(8));
        assert_eq!(fleet(7, 12).feeds(), fleet(7, 12).feeds());
        // Other machines must get these bytes as well; what was compressed may change with flate2.
        let mut crc = flate2::Crc::new();
        all(7).iter().for_each(|request| crc.update(text(request).as_bytes()));
        assert_eq!(crc.sum(), 386_684_743);
    }

    #[test]
    fn one_more_computer_changes_no_other() {
        let (small, large) = (fleet(7, 12).expected(), fleet(7, 13).expected());
        assert_eq!((small.len(), large.len()), (12, 13));
        assert!(small.iter().all(|(id, rows)| large.get(id) == Some(rows)));
    }

    #[test]
    fn counts_are_those_of_real_servers() {
        let (mut linux, mut windows) = (0, 0);
        for (_, scans) in scans(&fleet(3, 200)) {
            let first = &scans[0];
            let needed = first.iter().filter(|(state, _)| state == "Needed").count();
            if first[0].1.starts_with(' ') {
                linux += 1;
                let installed = first.len() - needed;
                assert!((440..=710).contains(&installed), "{installed} packages");
                assert!((4..=48).contains(&needed), "{needed} packages needed");
            } else {
                windows += 1;
                assert!((75..=160).contains(&first.len()), "{} updates", first.len());
                assert!((1..=45).contains(&needed), "{needed} updates needed");
            }
        }
        assert!((100..=140).contains(&linux), "{linux} Linux, {windows} Windows computers");
    }

    #[test]
    fn an_update_that_succeeded_is_installed_in_the_next_scan_and_one_that_failed_is_not() {
        let fleet = fleet(5, 40);
        let scans = scans(&fleet);
        let (mut succeeded, mut failed) = (0, 0);
        let mut round_of = HashMap::new();
        for request in fleet.requests() {
            let body = body(&request);
            let reports: Vec<Value> = match (&body, request.reports[0].kind) {
                (_, Kind::Scan) if !request.reports[0].bad => {
                    let id = body["SourceComputerId"].as_str();
                    let id = id.or(body["DataItems"][0]["AgentId"].as_str()).unwrap();
                    *round_of.entry(id.to_owned()).or_insert(0) += 1;
                    continue;
                }
                (Value::Array(several), Kind::RunProgress) => several.clone(),
                (one, Kind::RunProgress) if one.get("DataItems").is_none() => vec![one.clone()],
                _ => continue,
            };
            for report in reports {
                let status = report["InstallationStatus"].as_str().unwrap();
                if report["OSType"] == "Windows" && matches!(status, "Succeeded" | "Failed") {
                    let id = report["SourceComputerId"].as_str().unwrap();
                    let update = report["UpdateId"].as_str().unwrap();
                    let next = &scans[id][round_of[id]];
                    let state = next.iter().find(|(_, it)| it.starts_with(update)).unwrap();
                    let expected = if status == "Succeeded" { "Installed" } else { "Needed" };
                    assert_eq!(state.0, expected, "{update} on {id}");
                    *(if status == "Succeeded" { &mut succeeded } else { &mut failed }) += 1;
                }
            }
        }
        assert!(succeeded > 50 && failed > 0, "{succeeded} succeeded, {failed} failed");
    }

    #[test]
    fn no_scan_lists_an_update_twice_and_every_fleet_has_news() {
        let mut installed_over_time = 0;
        for scans in scans(&fleet(9, 30)).values() {
            for scan in scans {
                let distinct: HashSet<_> = scan.iter().map(|(_, identity)| identity).collect();
                assert_eq!(distinct.len(), scan.len());
            }
            installed_over_time += usize::from(scans.first() != scans.last());
        }
        assert!(installed_over_time > 20);
    }

    #[test]
    fn what_is_expected_is_what_the_last_scan_lists() {
        let fleet = fleet(11, 20);
        let expected = fleet.expected();
        for (computer, scans) in scans(&fleet) {
            let last = scans.last().unwrap();
            assert_eq!(expected[&computer].count, last.len() as u64, "{computer}");
        }
    }

    #[test]
    fn report_ids_are_distinct_and_bad_clocks_are_as_many_as_asked_for() {
        let fleet = Fleet::of(Plan { seed: 1, computers: 30, rounds: 2, bad_clocks: 3, now: NOW });
        let sent: Vec<Sent> = fleet.requests().flat_map(|request| request.reports).collect();
        let ids: HashSet<_> = sent.iter().map(|report| report.id).collect();
        assert_eq!(ids.len(), sent.len());
        assert_eq!(sent.iter().filter(|report| report.bad).count(), 3);
        // Two fall silent before the last round.
        let scans = sent.iter().filter(|report| report.kind == Kind::Scan).count();
        assert_eq!(scans, 30 * 2 - 2 + 3);
        assert_eq!(scans as u64, fleet.scan_count() + 3);
        assert_eq!(sent.len() as u64, fleet.report_count());
    }

    #[test]
    fn the_truth_has_every_good_report_and_what_it_says_of_updates_is_what_was_made() {
        let fleet = Fleet::of(Plan { seed: 1, computers: 30, rounds: 3, bad_clocks: 3, now: NOW });
        let bodies = Bodies::of(&fleet);
        let truth = Truth::read(&fleet, &bodies).unwrap();
        let Truth { scans, run_progress, heartbeats, events, office_activity } = &truth;
        let all = scans.len()
            + run_progress.len()
            + heartbeats.len()
            + events.len()
            + office_activity.len();
        assert_eq!(all as u64, fleet.report_count() - 3);
        assert_eq!(scans.len() as u64, fleet.scan_count());

        let mut sources = HashMap::new();
        for (scan, judgements) in scans {
            assert_eq!(scan.updates.len(), judgements.len());
            for (update, judgement) in scan.updates.iter().zip(judgements) {
                let advisory =
                    !judgement.bulletin_id.is_empty() || !judgement.msrc_severity.is_empty();
                *sources.entry((scan.os_type.as_ref(), advisory)).or_insert(0) += 1;
                if advisory || scan.os_type == "Windows" && !update.classification.is_empty() {
                    continue;
                }
                let expected = match (scan.os_type.as_ref(), update.classification.as_ref()) {
                    ("Windows", _) => "Updates",
                    (_, "Security Updates") => "Security Updates",
                    _ => "Other Updates",
                };
                assert_eq!(judgement.classification, expected);
            }
        }
        assert_eq!(sources.len(), 4, "{sources:?}");
    }

    #[test]
    fn a_fleet_of_nobody_sends_nothing() {
        assert_eq!(fleet(1, 0).requests().count(), 0);
    }
}
