//! What a fleet reports, as records, and what enrichment must say of every update: the truth that answers
//! of queries are held against.
//!
//! The records are read back from the very requests that are sent, and completed as a gateway of the nil
//! workspace completes them. The judgements come from the generator's own advisories, by the
//! order in which it made the versions of a package.

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
use super::universe::{CENTOS, DISTRIBUTIONS, Universe};
use super::vendors::{self, Advisory, Bulletin};
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
    /// By distribution with its version and package, the versions in their order.
    packages: HashMap<[String; 3], Vec<(String, Option<Advisory>)>>,
    /// By product and KB number.
    bulletins: HashMap<[String; 2], Bulletin>,
}

impl Judge {
    fn of(fleet: &Fleet) -> Judge {
        let Universe { packages: of_all, .. } = &fleet.universe;
        let mut advisories: HashMap<_, _> = vendors::advisories(&fleet.universe)
            .into_iter()
            .map(|one| ((one.distribution.version, one.package.clone(), one.fixed.clone()), one))
            .collect();
        // CentOS stands beside Red Hat, whose advisories are its own.
        let mut packages = HashMap::new();
        for (distribution, all) in DISTRIBUTIONS.iter().zip(of_all) {
            if distribution.name == CENTOS {
                continue;
            }
            for package in all {
                let mut versions = Vec::new();
                for release in &package.releases {
                    let version = release.version.clone();
                    let key = (distribution.version, package.name.clone(), version.clone());
                    versions.push((version, advisories.remove(&key)));
                }
                let [name, version] = distribution.release();
                packages.insert([name, version, package.name.clone()], versions);
            }
        }
        let bulletins = vendors::bulletins(&fleet.universe).into_iter();
        let bulletins = bulletins.map(|one| ([one.product.to_owned(), one.kb.clone()], one));
        Judge { packages, bulletins: bulletins.collect() }
    }

    fn judge(&self, scan: &Scan<'_>, update: &Update<'_>) -> Judgement {
        let known = match scan.os_type == "Linux" {
            true => self.package(scan, update),
            false => self.windows(update),
        };
        known.unwrap_or_else(|| hinted(scan, update))
    }

    /// What closes a hole that the installed version has: every advisory from there up to the version that
    /// can be had.
    fn package(&self, scan: &Scan<'_>, update: &Update<'_>) -> Option<Judgement> {
        if update.update_state != UpdateState::Needed {
            return None;
        }
        let system = match scan.os_name.as_ref() {
            CENTOS => DISTRIBUTIONS.iter().find(|one| one.name.starts_with("Red Hat"))?.release(),
            name => [name.to_owned(), scan.os_version.to_string()],
        };
        let [name, version] = system;
        let versions = self.packages.get(&[name, version, update.product.to_string()])?;
        let position = |wanted: &str| versions.iter().position(|(version, _)| version == wanted);
        let available = position(&update.product_version)?;
        let installed = scan.updates.iter().find(|one| {
            one.update_state == UpdateState::NotNeeded
                && (&one.product, &one.product_arch) == (&update.product, &update.product_arch)
        });
        let first = match installed {
            Some(one) => position(&one.product_version)? + 1,
            None => available,
        };
        let closed = versions.get(first..=available).unwrap_or_default();
        let mut found: Vec<&Advisory> =
            closed.iter().filter_map(|(_, advisory)| advisory.as_ref()).collect();
        found.sort_by(|one, other| one.order().cmp(&other.order()));
        let gravest = found.first()?;
        let ids: Vec<&str> = found.iter().map(|one| one.id.as_str()).collect();
        let alike = found.iter().filter(|one| one.severity.is_some() == gravest.severity.is_some());
        Some(Judgement {
            classification: match gravest.severity {
                Some("Critical") => "Critical Updates",
                Some(_) => "Security Updates",
                None => "Other Updates",
            },
            package_severity: gravest.severity.unwrap_or_default(),
            bulletin_id: ids.join(";"),
            bulletin_url: gravest.url.clone(),
            published: update.published_date.or_else(|| alike.map(|one| one.published).min()),
            ..Judgement::default()
        })
    }

    fn windows(&self, update: &Update<'_>) -> Option<Judgement> {
        let key = [update.product.to_string(), update.kbid.to_string()];
        self.bulletins.get(&key).map(|bulletin| Judgement {
            classification: "Security Updates",
            msrc_severity: bulletin.severity,
            bulletin_id: bulletin.id.clone(),
            bulletin_url: bulletin.url(),
            published: update.published_date.or(Some(bulletin.published)),
            ..Judgement::default()
        })
    }
}

/// Without a vendor's word the computer's own counts.
fn hinted(scan: &Scan<'_>, update: &Update<'_>) -> Judgement {
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
    let default = if scan.os_type == "Linux" { "Other Updates" } else { "Updates" };
    Judgement {
        classification: hint.unwrap_or(default),
        published: update.published_date,
        ..Judgement::default()
    }
}
