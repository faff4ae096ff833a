//! Reports as they go over the two wires: the Linux agent's and Patchline's own.

use std::io::Write;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use patchline_ingest::gateway::REPORT_NAMESPACE;
use patchline_schemas::Timestamp;
use patchline_schemas::codec::Kind;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::activity::{Event, OfficeRecord};
use super::computer::{Attempt, Computer, Line, Outcome, System};
use super::universe::Release;

/// Where Linux agents post to.
const LINUX_AGENT_PATH: &str = "/OperationalData.svc/PostJsonDataItems";

/// Says "scanned"; it is no package.
pub(super) const PSEUDO_PACKAGE: &str = "UpdateManagementHeartbeat";

/// One HTTP request of an agent, and the reports in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// To POST to.
    pub path: &'static str,
    /// All but `Content-Length`.
    pub headers: Vec<(&'static str, String)>,
    /// As on the wire, compressed where the headers say so.
    pub body: Vec<u8>,
    /// In the body's order.
    pub reports: Vec<Sent>,
}

/// A report in a [`Request`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// The id that it has in the tables.
    pub id: Uuid,
    /// What it is; decides its table.
    pub kind: Kind,
    /// Made to be rejected: it ends as a dead letter.
    pub bad: bool,
}

/// A Linux agent's request with `items`, each the JSON of one report.
pub(super) fn linux_agent(computer: &Computer, data: Data, items: &[String], bad: bool) -> Request {
    let body = format!(
        r#"{{"DataType":"{}","IPName":"{}","DataItems":[{}]}}"#,
        data.name(),
        data.solution(),
        items.join(",")
    );
    let reports = items
        .iter()
        .map(|item| Sent { id: derived_id(data.name(), item), kind: data.kind(), bad })
        .collect();
    let agent_id = Some(computer.id.to_string());
    agent_request(deflated(body.as_bytes()), agent_id, reports)
}

pub(super) fn agent_request(
    body: Vec<u8>,
    agent_id: Option<String>,
    reports: Vec<Sent>,
) -> Request {
    // Of the content, so that a request's repetition has the same.
    let request_id = Uuid::new_v5(&REPORT_NAMESPACE, &body);
    let mut headers = vec![
        ("Content-Type", "application/json".to_owned()),
        ("Content-Encoding", "deflate".to_owned()),
        ("X-Request-ID", request_id.to_string()),
        ("x-ms-app", "OMS".to_owned()),
        ("x-ms-client-version", "1.6.0-42".to_owned()),
        ("x-ms-client-platform", "Linux".to_owned()),
    ];
    headers.extend(agent_id.map(|id| ("x-ms-agent-id", id)));
    Request { path: LINUX_AGENT_PATH, headers, body, reports }
}

/// Agents call it deflate; it is zlib's format.
pub(super) fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    // Writing to memory cannot fail.
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}

/// The id that the gateway gives an item without one.
pub(super) fn derived_id(name: &str, item: &str) -> Uuid {
    Uuid::new_v5(&REPORT_NAMESPACE, &[name.as_bytes(), b"\n", item.as_bytes()].concat())
}

/// A `DataType` of the Linux agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Data {
    Scan,
    RunProgress,
    Heartbeat,
}

impl Data {
    pub(super) fn of(name: &str) -> Option<Data> {
        [Data::Scan, Data::RunProgress, Data::Heartbeat]
            .into_iter()
            .find(|data| data.name() == name)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Data::Scan => "LINUX_UPDATES_SNAPSHOT_BLOB",
            Data::RunProgress => "UPDATES_RUN_PROGRESS_BLOB",
            Data::Heartbeat => "HEALTH_ASSESSMENT_BLOB",
        }
    }

    fn solution(self) -> &'static str {
        match self {
            Data::Scan | Data::RunProgress => "Updates",
            Data::Heartbeat => "LogManagement",
        }
    }

    pub(super) fn kind(self) -> Kind {
        match self {
            Data::Scan => Kind::Scan,
            Data::RunProgress => Kind::RunProgress,
            Data::Heartbeat => Kind::Heartbeat,
        }
    }
}

/// A native request with `reports`, one as an object, several as an array.
pub(super) fn native<T: Serialize>(
    path: &'static str,
    kind: Kind,
    reports: &[T],
    ids: &[Uuid],
    bad: bool,
) -> Request {
    let body = match reports {
        [one] => json(one),
        several => json(several),
    };
    let request_id = Uuid::new_v5(&REPORT_NAMESPACE, body.as_bytes());
    Request {
        path,
        headers: vec![
            ("Content-Type", "application/json".to_owned()),
            ("X-Request-ID", request_id.to_string()),
        ],
        body: body.into_bytes(),
        reports: ids.iter().map(|id| Sent { id: *id, kind, bad }).collect(),
    }
}

fn json<T: Serialize + ?Sized>(value: &T) -> String {
    // These types have no map keys and no failing implementation.
    serde_json::to_string(value).unwrap_or_default()
}

/// A scan at `time`.
pub(super) fn scan(computer: &Computer, lines: &[Line<'_>], time: Timestamp, bad: bool) -> Request {
    if !computer.is_native() {
        return linux_agent(computer, Data::Scan, &[linux_scan(computer, lines, time)], bad);
    }
    let header = Header::new(computer, "scan", time);
    let ids = [header.report_id];
    let mut scan = Scan {
        header,
        os_name: "",
        os_version: "",
        os_full_name: String::new(),
        restart_pending: false,
        net: "",
        agent: "",
        setting: "",
        wsus: "",
        updates: lines.iter().filter_map(|line| update(computer, line)).collect(),
    };
    if let Some(distribution) = computer.distribution() {
        scan.os_name = distribution.name;
        scan.os_version = distribution.version;
        scan.os_full_name = distribution.full_name();
    }
    if let (System::Windows { restart_pending, client, .. }, Some(edition)) =
        (&computer.system, computer.edition())
    {
        scan.os_name = edition.name;
        scan.os_version = edition.version;
        edition.name.clone_into(&mut scan.os_full_name);
        scan.restart_pending = *restart_pending;
        scan.net = client.net;
        scan.agent = edition.agent;
        scan.setting = client.setting;
        scan.wsus = client.wsus;
    }
    native("/v1/scans", Kind::Scan, &[scan], &ids, bad)
}

fn update<'a>(computer: &'a Computer, line: &Line<'a>) -> Option<Update<'a>> {
    Some(match line {
        Line::Package { package, release, needed } => {
            let release = package.releases.get(*release)?;
            Update {
                state: if *needed { "Needed" } else { "NotNeeded" },
                title: &package.name,
                product: &package.name,
                arch: package.architecture,
                version: &release.version,
                classification: release.hint.filter(|_| *needed).unwrap_or_default(),
                repository: repository(computer, release).filter(|_| *needed),
                ..Update::default()
            }
        }
        Line::Patch { patch, installed, approved } => Update {
            state: if *installed { "Installed" } else { "Needed" },
            id: Some(patch.id),
            title: &patch.title,
            product: patch.product,
            kb: &patch.kb,
            classification: patch.classification,
            published: Some(patch.published.to_string()),
            optional: patch.optional,
            approved: Some(*approved),
            approval_source: match &computer.system {
                System::Windows { client, .. } if !client.wsus.is_empty() => "WSUS",
                _ => "Microsoft Update",
            },
            reboot: patch.reboot,
            revision: &patch.revision,
            ..Update::default()
        },
    })
}

/// Where the package manager found an available version.
fn repository(computer: &Computer, release: &Release) -> Option<String> {
    let distribution = computer.distribution()?;
    let pocket = if release.security { "security" } else { "updates" };
    Some(format!("{}:{}/{}-{pocket}", distribution.name, distribution.version, distribution.suite))
}

fn linux_scan(computer: &Computer, lines: &[Line<'_>], time: Timestamp) -> String {
    let Some(distribution) = computer.distribution() else { return String::new() };
    let pseudo = Package {
        collection: "HeartbeatData_0.0.UpdateManagement.0_Heartbeat".to_owned(),
        name: PSEUDO_PACKAGE,
        architecture: "all",
        version: None,
        repository: None,
        classification: None,
        installed: false,
        state: "NotNeeded",
    };
    let packages = lines.iter().filter_map(|line| match line {
        Line::Patch { .. } => None,
        Line::Package { package, release, needed } => {
            let release = package.releases.get(*release)?;
            Some(Package {
                collection: format!("{}_{}_{}", package.name, release.version, distribution.short),
                name: &package.name,
                architecture: package.architecture,
                version: Some(&release.version),
                repository: repository(computer, release).filter(|_| *needed),
                classification: release.hint.filter(|_| *needed),
                installed: !needed,
                state: if *needed { "Needed" } else { "NotNeeded" },
            })
        }
    });
    json(&LinuxScan {
        time: time.to_string(),
        host: &computer.name,
        agent_id: computer.id,
        os_type: "Linux",
        os_name: distribution.name,
        os_version: distribution.version,
        os_full_name: distribution.full_name(),
        packages: std::iter::once(pseudo).chain(packages).collect(),
    })
}

/// Heartbeats at `times`, in one request.
pub(super) fn heartbeats(computer: &Computer, times: &[Timestamp]) -> Request {
    let (name, version, agent) = match (computer.distribution(), computer.edition()) {
        (Some(distribution), _) => (distribution.name, distribution.version, "1.6.0-42"),
        (_, Some(edition)) => (edition.name, edition.version, "8.0.11049.0"),
        (None, None) => ("", "", ""),
    };
    let mut numbers = version.split('.');
    let (major, minor) = (numbers.next().unwrap_or(""), numbers.next().unwrap_or(""));
    if !computer.is_native() {
        let items: Vec<String> = times
            .iter()
            .map(|time| {
                json(&LinuxHeartbeat {
                    time: time.to_string(),
                    computer: &computer.name,
                    os_type: "Linux",
                    os_name: name,
                    os_major: major,
                    os_minor: minor,
                    category: "Direct Agent",
                    channel: "Direct",
                    ips: [&computer.ip],
                    version: agent,
                })
            })
            .collect();
        return linux_agent(computer, Data::Heartbeat, &items, false);
    }
    let headers: Vec<Header<'_>> =
        times.iter().map(|time| Header::new(computer, "heartbeat", *time)).collect();
    let ids: Vec<Uuid> = headers.iter().map(|header| header.report_id).collect();
    let reports: Vec<Heartbeat<'_>> = headers
        .into_iter()
        .map(|header| Heartbeat {
            header,
            os_name: name,
            os_major: major,
            os_minor: minor,
            category: if computer.group.is_some() { "SCOM Agent" } else { "Direct Agent" },
            channel: if computer.group.is_some() { "SCManagementServer" } else { "Direct" },
            version: agent,
            ips: [&computer.ip],
            solutions: computer.solutions,
        })
        .collect();
    native("/v1/heartbeats", Kind::Heartbeat, &reports, &ids, false)
}

/// An update run as its computer and, before that, the job that runs it report it.
pub(super) fn run(
    computer: &Computer,
    attempts: &[Attempt],
    run: &str,
    began: Timestamp,
) -> Vec<Request> {
    let minute = |n: usize| Timestamp(began.0 + i64::try_from(n).unwrap_or(0) * 60_000);
    let job = Uuid::new_v5(&computer.id, format!("{run} {began}").as_bytes());
    let progress = |at: usize, attempt: &Attempt, status: &'static str| {
        let start = attempt.outcome.began().then(|| minute(1 + at).to_string());
        let (time, start, end) = match status {
            "NotStarted" => (minute(0), None, None),
            "InProgress" => (minute(1 + at), start, None),
            _ => {
                (minute(2 + at), start, attempt.outcome.began().then(|| minute(2 + at).to_string()))
            }
        };
        RunProgress {
            header: Header::new(computer, &format!("{status} {} {run}", attempt.update_id), time),
            run: run.to_owned(),
            job,
            update_id: attempt.update_id,
            title: attempt.title.clone(),
            product: attempt.product.clone(),
            kb: attempt.kb.clone(),
            status,
            start,
            end,
            error: match status {
                "Failed" => "0x80240022",
                "InstallFailed" => "0x80070643",
                "FailedToStart" => "0x80240438",
                _ => "",
            },
            on_retry: status == "Succeeded"
                && attempt.outcome == Outcome::Succeeded { on_retry: true },
        }
    };
    let all = |told: fn(&Attempt) -> bool, status: fn(&Attempt) -> &'static str| {
        let reports: Vec<RunProgress<'_>> = attempts
            .iter()
            .enumerate()
            .filter(|(_, attempt)| told(attempt))
            .map(|(at, attempt)| progress(at, attempt, status(attempt)))
            .collect();
        let ids: Vec<Uuid> = reports.iter().map(|report| report.header.report_id).collect();
        native("/v1/run-progress", Kind::RunProgress, &reports, &ids, false)
    };
    let ended = || {
        if computer.is_native() {
            return all(|_| true, |attempt| attempt.outcome.status());
        }
        // The Linux agent tells the end only, and in its own way.
        let items: Vec<String> = attempts
            .iter()
            .enumerate()
            .map(|(at, attempt)| {
                json(&LinuxRunProgress {
                    os_type: "Linux",
                    computer: &computer.name,
                    run,
                    title: &attempt.title,
                    update_id: attempt.update_id,
                    status: attempt.outcome.status(),
                    time: minute(2 + at).to_string(),
                    start: minute(1 + at).to_string().replace('T', " "),
                    end: minute(2 + at).to_string().replace('T', " "),
                })
            })
            .collect();
        linux_agent(computer, Data::RunProgress, &items, false)
    };
    let mut requests = vec![
        all(|attempt| attempt.outcome.was_planned(), |_| "NotStarted"),
        all(|attempt| attempt.outcome.began(), |_| "InProgress"),
        ended(),
    ];
    requests.retain(|request| !request.reports.is_empty());
    requests
}

/// Events of a computer, in one request.
pub(super) fn events(computer: &Computer, events: &[Event]) -> Request {
    let reports: Vec<WireEvent<'_>> = events
        .iter()
        .enumerate()
        .map(|(at, event)| WireEvent {
            header: Header::new(computer, &format!("event {at}"), event.time),
            event,
        })
        .collect();
    let ids: Vec<Uuid> = reports.iter().map(|report| report.header.report_id).collect();
    native("/v1/events", Kind::Event, &reports, &ids, false)
}

/// What happened in Office 365, in one request.
pub(super) fn office(records: &[OfficeRecord]) -> Request {
    let ids: Vec<Uuid> = records.iter().map(|record| record.report_id).collect();
    native("/v1/office-activity", Kind::OfficeActivity, records, &ids, false)
}

#[derive(Serialize)]
struct WireEvent<'a> {
    #[serde(flatten)]
    header: Header<'a>,
    #[serde(flatten)]
    event: &'a Event,
}

#[derive(Serialize, Deserialize)]
pub(super) struct LinuxScan<'a> {
    #[serde(rename = "Timestamp")]
    pub(super) time: String,
    #[serde(rename = "Host")]
    pub(super) host: &'a str,
    #[serde(rename = "AgentId")]
    pub(super) agent_id: Uuid,
    #[serde(rename = "OSType")]
    pub(super) os_type: &'a str,
    #[serde(rename = "OSName")]
    pub(super) os_name: &'a str,
    #[serde(rename = "OSVersion")]
    pub(super) os_version: &'a str,
    #[serde(rename = "OSFullName")]
    pub(super) os_full_name: String,
    #[serde(rename = "Collections")]
    pub(super) packages: Vec<Package<'a>>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Package<'a> {
    #[serde(rename = "CollectionName")]
    pub(super) collection: String,
    #[serde(rename = "PackageName")]
    pub(super) name: &'a str,
    #[serde(rename = "Architecture")]
    pub(super) architecture: &'a str,
    #[serde(rename = "PackageVersion")]
    pub(super) version: Option<&'a str>,
    #[serde(rename = "Repository")]
    pub(super) repository: Option<String>,
    #[serde(rename = "PackageClassification")]
    pub(super) classification: Option<&'a str>,
    #[serde(rename = "Installed")]
    pub(super) installed: bool,
    #[serde(rename = "UpdateState")]
    pub(super) state: &'a str,
}

#[derive(Serialize, Deserialize)]
pub(super) struct LinuxRunProgress<'a> {
    #[serde(rename = "OSType")]
    pub(super) os_type: &'a str,
    #[serde(rename = "Computer")]
    pub(super) computer: &'a str,
    #[serde(rename = "UpdateRunName")]
    pub(super) run: &'a str,
    #[serde(rename = "UpdateTitle")]
    pub(super) title: &'a str,
    #[serde(rename = "UpdateId")]
    pub(super) update_id: Uuid,
    #[serde(rename = "Status")]
    pub(super) status: &'a str,
    #[serde(rename = "TimeStamp")]
    pub(super) time: String,
    #[serde(rename = "StartTime")]
    pub(super) start: String,
    #[serde(rename = "EndTime")]
    pub(super) end: String,
}

#[derive(Serialize, Deserialize)]
pub(super) struct LinuxHeartbeat<'a> {
    #[serde(rename = "Timestamp")]
    pub(super) time: String,
    #[serde(rename = "Computer")]
    pub(super) computer: &'a str,
    #[serde(rename = "OSType")]
    pub(super) os_type: &'a str,
    #[serde(rename = "OSName")]
    pub(super) os_name: &'a str,
    #[serde(rename = "OSMajorVersion")]
    pub(super) os_major: &'a str,
    #[serde(rename = "OSMinorVersion")]
    pub(super) os_minor: &'a str,
    #[serde(rename = "Category")]
    pub(super) category: &'a str,
    #[serde(rename = "SCAgentChannel")]
    pub(super) channel: &'a str,
    #[serde(rename = "ComputerPrivateIps")]
    pub(super) ips: [&'a str; 1],
    #[serde(rename = "Version")]
    pub(super) version: &'a str,
}

/// What all native reports begin with.
#[derive(Serialize)]
struct Header<'a> {
    #[serde(rename = "ReportId")]
    report_id: Uuid,
    #[serde(rename = "SourceComputerId")]
    source_computer_id: Uuid,
    #[serde(rename = "Computer")]
    computer: &'a str,
    #[serde(rename = "TimeGenerated")]
    time: String,
    #[serde(rename = "OSType")]
    os_type: &'a str,
    #[serde(rename = "ManagementGroupName", skip_serializing_if = "Option::is_none")]
    group: Option<&'a str>,
    #[serde(rename = "ComputerEnvironment")]
    environment: &'a str,
    #[serde(rename = "ResourceId", skip_serializing_if = "Option::is_none")]
    resource_id: Option<&'a str>,
    #[serde(rename = "VMUUID")]
    vm: Uuid,
}

impl<'a> Header<'a> {
    /// Of the report that `what` and `time` tell apart from all others of this computer.
    fn new(computer: &'a Computer, what: &str, time: Timestamp) -> Header<'a> {
        Header {
            report_id: Uuid::new_v5(&computer.id, format!("{what} {time}").as_bytes()),
            source_computer_id: computer.id,
            computer: &computer.name,
            time: time.to_string(),
            os_type: if computer.edition().is_some() { "Windows" } else { "Linux" },
            group: computer.group,
            environment: if computer.resource_id.is_some() { "Azure" } else { "Non-Azure" },
            resource_id: computer.resource_id.as_deref(),
            vm: computer.vm,
        }
    }
}

#[derive(Serialize)]
struct Scan<'a> {
    #[serde(flatten)]
    header: Header<'a>,
    #[serde(rename = "OSName")]
    os_name: &'a str,
    #[serde(rename = "OSVersion")]
    os_version: &'a str,
    #[serde(rename = "OSFullName")]
    os_full_name: String,
    #[serde(rename = "RestartPending")]
    restart_pending: bool,
    #[serde(rename = "NETRuntimeVersion")]
    net: &'a str,
    #[serde(rename = "WindowsUpdateAgentVersion")]
    agent: &'a str,
    #[serde(rename = "WindowsUpdateSetting")]
    setting: &'a str,
    #[serde(rename = "WSUSServer")]
    wsus: &'a str,
    #[serde(rename = "Updates")]
    updates: Vec<Update<'a>>,
}

#[derive(Default, Serialize)]
struct Update<'a> {
    #[serde(rename = "UpdateState")]
    state: &'a str,
    #[serde(rename = "UpdateID", skip_serializing_if = "Option::is_none")]
    id: Option<Uuid>,
    #[serde(rename = "Title")]
    title: &'a str,
    #[serde(rename = "Product")]
    product: &'a str,
    #[serde(rename = "ProductArch", skip_serializing_if = "str::is_empty")]
    arch: &'a str,
    #[serde(rename = "ProductVersion", skip_serializing_if = "str::is_empty")]
    version: &'a str,
    #[serde(rename = "KBID", skip_serializing_if = "str::is_empty")]
    kb: &'a str,
    #[serde(rename = "Classification", skip_serializing_if = "str::is_empty")]
    classification: &'a str,
    #[serde(rename = "PublishedDate", skip_serializing_if = "Option::is_none")]
    published: Option<String>,
    #[serde(rename = "Optional")]
    optional: bool,
    #[serde(rename = "Approved", skip_serializing_if = "Option::is_none")]
    approved: Option<bool>,
    #[serde(rename = "ApprovalSource", skip_serializing_if = "str::is_empty")]
    approval_source: &'a str,
    #[serde(rename = "RebootBehavior", skip_serializing_if = "str::is_empty")]
    reboot: &'a str,
    #[serde(rename = "RevisionNumber", skip_serializing_if = "str::is_empty")]
    revision: &'a str,
    #[serde(rename = "PackageRepository", skip_serializing_if = "Option::is_none")]
    repository: Option<String>,
}

#[derive(Serialize)]
struct RunProgress<'a> {
    #[serde(flatten)]
    header: Header<'a>,
    #[serde(rename = "UpdateRunName")]
    run: String,
    #[serde(rename = "CorrelationId")]
    job: Uuid,
    #[serde(rename = "UpdateId")]
    update_id: Uuid,
    #[serde(rename = "Title")]
    title: String,
    #[serde(rename = "Product")]
    product: String,
    #[serde(rename = "KBID")]
    kb: String,
    #[serde(rename = "InstallationStatus")]
    status: &'a str,
    #[serde(rename = "StartTime", skip_serializing_if = "Option::is_none")]
    start: Option<String>,
    #[serde(rename = "EndTime", skip_serializing_if = "Option::is_none")]
    end: Option<String>,
    #[serde(rename = "ErrorResult")]
    error: &'a str,
    #[serde(rename = "SucceededOnRetry")]
    on_retry: bool,
}

#[derive(Serialize)]
struct Heartbeat<'a> {
    #[serde(flatten)]
    header: Header<'a>,
    #[serde(rename = "OSName")]
    os_name: &'a str,
    #[serde(rename = "OSMajorVersion")]
    os_major: &'a str,
    #[serde(rename = "OSMinorVersion")]
    os_minor: &'a str,
    #[serde(rename = "Category")]
    category: &'a str,
    #[serde(rename = "SCAgentChannel")]
    channel: &'a str,
    #[serde(rename = "Version")]
    version: &'a str,
    #[serde(rename = "ComputerPrivateIPs")]
    ips: [&'a str; 1],
    #[serde(rename = "Solutions", skip_serializing_if = "str::is_empty")]
    solutions: &'a str,
}
