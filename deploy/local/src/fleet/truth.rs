//! What a fleet reports, as records, and what enrichment must say of every update: the truth that answers
//! of queries are held against.
//!
//! The records are read back from the very requests that are sent, and completed as a gateway of the nil
//! workspace completes them. The judgements come from the generator's own catalog by plain look-ups.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::Read;

use flate2::read::ZlibDecoder;
use patchline_schemas::codec::Kind;
use patchline_schemas::{
    Event, Heartbeat, OfficeActivity, RunProgress, Scan, Timestamp, Update, UpdateState,
};
use serde::Deserialize;
use uuid::Uuid;

use super::Fleet;
use super::universe::{self, Advisory, Match};
use super::wire::{LinuxHeartbeat, LinuxRunProgress, LinuxScan, PSEUDO_PACKAGE, Request};

/// Group of computers that name none, and solutions of agents that name none: the gateway's defaults.
const GROUP: &str = "AOI-00000000-0000-0000-0000-000000000000";
const SOLUTIONS: &str = "updates";

/// The texts that the records of a [`Truth`] borrow from.
#[derive(Debug)]
pub struct Bodies(Vec<Body>);

#[derive(Debug)]
struct Body {
    kind: Kind,
    ids: Vec<Uuid>,
    /// Of the Linux agent's wire: whose it is.
    agent: Option<String>,
    text: String,
}

/// Everything that a fleet reports and that is good, in the order of sending.
#[derive(Debug, Default)]
pub struct Truth<'a> {
    /// Every scan, with a judgement for each of its updates.
    pub scans: Vec<(Scan<'a>, Vec<Judgement>)>,
    /// Run progress; product and KB number are filled in where only the title names them.
    pub run_progress: Vec<RunProgress<'a>>,
    /// Heartbeats. A public address is the private one: nobody is in between.
    pub heartbeats: Vec<Heartbeat<'a>>,
    /// Events of Windows computers and clusters.
    pub events: Vec<Event<'a>>,
    /// Office 365's audit log.
    pub office_activity: Vec<OfficeActivity<'a>>,
}

/// What enrichment must say of an update.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Judgement {
    /// Its classification in the table `Update`.
    pub classification: &'static str,
    /// MSRC's severity, of Windows updates.
    pub msrc_severity: &'static str,
    /// The vendor's severity, of Linux packages.
    pub package_severity: &'static str,
    /// The vendor's bulletin.
    pub bulletin_id: String,
    /// Where to read it.
    pub bulletin_url: String,
    /// When it was published.
    pub published: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Envelope<T> {
    #[serde(rename = "DataItems")]
    items: Vec<T>,
}

impl Bodies {
    /// The bodies of all requests of `fleet` that have no bad report in them.
    #[must_use]
    pub fn of(fleet: &Fleet) -> Bodies {
        let good = |request: &Request| request.reports.iter().all(|report| !report.bad);
        let bodies = fleet.requests().filter(good).filter_map(|request| {
            let header = |wanted: &str| {
                let found = request.headers.iter().find(|(name, _)| *name == wanted);
                found.map(|(_, value)| value.clone())
            };
            let text = match header("Content-Encoding") {
                None => String::from_utf8(request.body.clone()).ok()?,
                Some(_) => {
                    let mut text = String::new();
                    ZlibDecoder::new(&*request.body).read_to_string(&mut text).ok()?;
                    text
                }
            };
            Some(Body {
                kind: request.reports.first()?.kind,
                ids: request.reports.iter().map(|report| report.id).collect(),
                agent: header("x-ms-agent-id"),
                text,
            })
        });
        Bodies(bodies.collect())
    }
}

impl<'a> Truth<'a> {
    /// The records in `bodies`, which are those of `fleet`.
    ///
    /// # Errors
    /// A body is not the JSON that its wire has.
    pub fn read(fleet: &Fleet, bodies: &'a Bodies) -> serde_json::Result<Truth<'a>> {
        let judge = Judge::of(fleet);
        let mut truth = Truth::default();
        for body in &bodies.0 {
            match body.kind {
                Kind::Scan => {
                    for scan in body.records(agents_scan)? {
                        let judgements =
                            scan.updates.iter().map(|update| judge.judge(&scan, update)).collect();
                        truth.scans.push((scan, judgements));
                    }
                }
                Kind::RunProgress => {
                    truth.run_progress.extend(body.records(agents_run_progress)?);
                }
                Kind::Heartbeat => {
                    for mut heartbeat in body.records(agents_heartbeat)? {
                        fill(&mut heartbeat.solutions, SOLUTIONS);
                        if let Some(address) = heartbeat.computer_private_ips.first() {
                            heartbeat.computer_ip = address.clone().into();
                        }
                        truth.heartbeats.push(heartbeat);
                    }
                }
                Kind::Event => truth.events.extend(body.several()?),
                Kind::OfficeActivity => truth.office_activity.extend(body.several()?),
                _ => {}
            }
        }
        macro_rules! complete {
            ($reports:expr) => {
                for report in $reports {
                    let windows = report.os_type == "Windows";
                    fill(&mut report.source_system, if windows { "OpsManager" } else { "Linux" });
                    fill(&mut report.management_group_name, GROUP);
                    fill(&mut report.computer_environment, "Non-Azure");
                }
            };
        }
        complete!(truth.scans.iter_mut().map(|(scan, _)| scan));
        complete!(&mut truth.run_progress);
        complete!(&mut truth.heartbeats);
        complete!(&mut truth.events);
        for record in &mut truth.office_activity {
            fill(&mut record.source_system, "OfficeActivityManager");
        }
        Ok(truth)
    }
}

impl Body {
    /// Its records, by `agents` where they are the Linux agent's.
    fn records<'a, T, A>(&'a self, agents: fn(&A, Uuid, &'a str) -> T) -> serde_json::Result<Vec<T>>
    where
        T: Deserialize<'a>,
        A: Deserialize<'a>,
    {
        let Some(agent) = &self.agent else { return self.several() };
        let envelope: Envelope<A> = serde_json::from_str(&self.text)?;
        let items = envelope.items.iter().zip(&self.ids);
        Ok(items.map(|(item, id)| agents(item, *id, agent)).collect())
    }

    fn several<'a, T: Deserialize<'a>>(&'a self) -> serde_json::Result<Vec<T>> {
        if self.text.starts_with('[') {
            serde_json::from_str(&self.text)
        } else {
            serde_json::from_str(&self.text).map(|one| vec![one])
        }
    }
}

fn fill(field: &mut Cow<'_, str>, known: &'static str) {
    if field.is_empty() {
        *field = known.into();
    }
}

fn agents_scan<'a>(item: &LinuxScan<'a>, report_id: Uuid, agent: &'a str) -> Scan<'a> {
    let packages = item.packages.iter().filter(|package| package.name != PSEUDO_PACKAGE);
    Scan {
        report_id,
        source_computer_id: agent.into(),
        computer: item.host.into(),
        time_generated: time(&item.time).unwrap_or_default(),
        os_type: item.os_type.into(),
        os_name: item.os_name.into(),
        os_version: item.os_version.into(),
        os_full_name: item.os_full_name.clone().into(),
        updates: packages
            .map(|package| Update {
                update_state: match package.state {
                    "Needed" => UpdateState::Needed,
                    _ => UpdateState::NotNeeded,
                },
                title: package.name.into(),
                product: package.name.into(),
                product_arch: package.architecture.into(),
                product_version: package.version.unwrap_or_default().into(),
                classification: package.classification.unwrap_or_default().into(),
                package_repository: package.repository.clone().unwrap_or_default().into(),
                ..Update::default()
            })
            .collect(),
        ..Scan::default()
    }
}

fn agents_run_progress<'a>(
    item: &LinuxRunProgress<'a>,
    report_id: Uuid,
    agent: &'a str,
) -> RunProgress<'a> {
    RunProgress {
        report_id,
        source_computer_id: agent.into(),
        computer: item.computer.into(),
        time_generated: time(&item.time).unwrap_or_default(),
        os_type: item.os_type.into(),
        update_run_name: item.run.into(),
        update_id: item.update_id.to_string().into(),
        title: item.title.into(),
        product: item.title.split(':').next().unwrap_or_default().into(),
        installation_status: item.status.into(),
        start_time: time(&item.start),
        end_time: time(&item.end),
        ..RunProgress::default()
    }
}

fn agents_heartbeat<'a>(
    item: &LinuxHeartbeat<'a>,
    report_id: Uuid,
    agent: &'a str,
) -> Heartbeat<'a> {
    Heartbeat {
        report_id,
        source_computer_id: agent.into(),
        computer: item.computer.into(),
        time_generated: time(&item.time).unwrap_or_default(),
        os_type: item.os_type.into(),
        os_name: item.os_name.into(),
        os_major_version: item.os_major.into(),
        os_minor_version: item.os_minor.into(),
        category: item.category.into(),
        sc_agent_channel: item.channel.into(),
        version: item.version.into(),
        computer_private_ips: item.ips.map(str::to_owned).into(),
        ..Heartbeat::default()
    }
}

fn time(text: &str) -> Option<Timestamp> {
    Timestamp::parse(text).ok()
}

/// Knows of every update what the generator made it to be.
struct Judge {
    /// By distribution, package and version, or product and KB number.
    advisories: HashMap<[String; 3], Advisory>,
}

impl Judge {
    fn of(fleet: &Fleet) -> Judge {
        let catalog = universe::catalog(&fleet.universe, String::new());
        let keyed = catalog.advisories.into_iter().map(|advisory| {
            let Match { kb, product, package, os, fixed } = advisory.applies.clone();
            let system = os.or(product).unwrap_or_default().to_owned();
            let update = package.or(kb).unwrap_or_default();
            ([system, update, fixed.unwrap_or_default()], advisory)
        });
        Judge { advisories: keyed.collect() }
    }

    fn judge(&self, scan: &Scan<'_>, update: &Update<'_>) -> Judgement {
        let linux = scan.os_type == "Linux";
        let key = if linux {
            [&scan.os_name, &update.product, &update.product_version]
        } else {
            [&update.product, &update.kbid, &update.product_version]
        };
        let advisory = self.advisories.get(&key.map(|part| part.clone().into_owned()));
        let Some(advisory) = advisory else {
            let hints = [
                "Applications",
                "Critical Updates",
                "Definition Updates",
                "Feature Packs",
                "Security Updates",
                "Service Packs",
                "Update Rollups",
            ];
            let hint = hints.into_iter().find(|hint| *hint == update.classification);
            return Judgement {
                classification: hint.unwrap_or(if linux { "Other Updates" } else { "Updates" }),
                published: update.published_date,
                ..Judgement::default()
            };
        };
        Judgement {
            classification: advisory.classification,
            msrc_severity: advisory.msrc_severity.unwrap_or_default(),
            package_severity: advisory.package_severity.unwrap_or_default(),
            bulletin_id: advisory.bulletin_id.clone().unwrap_or_default(),
            bulletin_url: advisory.bulletin_url.clone().unwrap_or_default(),
            published: update.published_date.or_else(|| time(&advisory.published_date)),
        }
    }
}
