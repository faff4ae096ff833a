//! Reports as they go over the two wires: the Linux agent's and Patchline's own.

use std::io::Write;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use patchline_ingest::gateway::REPORT_NAMESPACE;
use patchline_schemas::Timestamp;
use patchline_schemas::codec::Kind;
use serde::Serialize;
use uuid::Uuid;

use super::computer::{Attempt, Computer, Line, System};

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
    let System::Windows { restart_pending, client, .. } = &computer.system else {
        return linux_agent(computer, Data::Scan, &[linux_scan(computer, lines, time)], bad);
    };
    let edition = computer.edition();
    let header = Header::new(computer, "scan", time);
    let ids = [header.report_id];
    let scan = Scan {
        header,
        os_name: edition.map_or("", |edition| edition.name),
        os_version: edition.map_or("", |edition| edition.version),
        os_full_name: edition.map_or("", |edition| edition.name),
        restart_pending: *restart_pending,
        net: client.net,
        agent: edition.map_or("", |edition| edition.agent),
        setting: client.setting,
        wsus: client.wsus,
        updates: lines
            .iter()
            .filter_map(|line| match line {
                Line::Package { .. } => None,
                Line::Patch { patch, installed, approved } => Some(Update {
                    state: if *installed { "Installed" } else { "Needed" },
                    id: patch.id,
                    title: &patch.title,
                    product: patch.product,
                    kb: &patch.kb,
                    classification: patch.classification,
                    published: patch.published.to_string(),
                    optional: patch.optional,
                    approved: *approved,
                    approval_source: if client.wsus.is_empty() {
                        "Microsoft Update"
                    } else {
                        "WSUS"
                    },
                    reboot: patch.reboot,
                    revision: &patch.revision,
                }),
            })
            .collect(),
    };
    native("/v1/scans", Kind::Scan, &[scan], &ids, bad)
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
            let pocket = if release.security { "security" } else { "updates" };
            Some(Package {
                collection: format!("{}_{}_{}", package.name, release.version, distribution.short),
                name: &package.name,
                architecture: package.architecture,
                version: Some(&release.version),
                repository: needed.then(|| {
                    format!(
                        "{}:{}/{}-{pocket}",
                        distribution.name, distribution.version, distribution.suite
                    )
                }),
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
        os_full_name: format!("{} {}", distribution.name, distribution.version),
        packages: std::iter::once(pseudo).chain(packages).collect(),
    })
}

/// Heartbeats at `times`, in one request.
pub(super) fn heartbeats(computer: &Computer, times: &[Timestamp]) -> Request {
    if let Some(distribution) = computer.distribution() {
        let (major, minor) = distribution.version.split_once('.').unwrap_or_default();
        let items: Vec<String> = times
            .iter()
            .map(|time| {
                json(&LinuxHeartbeat {
                    time: time.to_string(),
                    computer: &computer.name,
                    os_type: "Linux",
                    os_name: distribution.name,
                    os_major: major,
                    os_minor: minor,
                    category: "Direct Agent",
                    channel: "Direct",
                    ips: [&computer.ip],
                    version: "1.6.0-42",
                })
            })
            .collect();
        return linux_agent(computer, Data::Heartbeat, &items, false);
    }
    let edition = computer.edition();
    let version = edition.map_or("", |edition| edition.version);
    let mut numbers = version.split('.');
    let (major, minor) = (numbers.next().unwrap_or(""), numbers.next().unwrap_or(""));
    let headers: Vec<Header<'_>> =
        times.iter().map(|time| Header::new(computer, "heartbeat", *time)).collect();
    let ids: Vec<Uuid> = headers.iter().map(|header| header.report_id).collect();
    let reports: Vec<Heartbeat<'_>> = headers
        .into_iter()
        .map(|header| Heartbeat {
            header,
            os_name: edition.map_or("", |edition| edition.name),
            os_major: major,
            os_minor: minor,
            category: if computer.group.is_some() { "SCOM Agent" } else { "Direct Agent" },
            channel: if computer.group.is_some() { "SCManagementServer" } else { "Direct" },
            version: "8.0.11049.0",
            ips: [&computer.ip],
        })
        .collect();
    native("/v1/heartbeats", Kind::Heartbeat, &reports, &ids, false)
}

/// Reports on each update of a run: not started, in progress, ended.
pub(super) const RUN_REPORTS: usize = 3;

/// An update run as its computer and, before that, the job that runs it report it.
pub(super) fn run(
    computer: &Computer,
    attempts: &[Attempt],
    run: &str,
    began: Timestamp,
) -> Vec<Request> {
    if attempts.is_empty() {
        return Vec::new();
    }
    let minute = |n: usize| Timestamp(began.0 + i64::try_from(n).unwrap_or(0) * 60_000);
    let job = Uuid::new_v5(&computer.id, format!("{run} {began}").as_bytes());
    let progress = |at: usize, attempt: &Attempt, status: &'static str| {
        let (time, times) = match status {
            "NotStarted" => (minute(0), None),
            "InProgress" => (minute(1 + at), Some((minute(1 + at), None))),
            _ => (minute(2 + at), Some((minute(1 + at), Some(minute(2 + at))))),
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
            start: times.map(|(start, _)| start.to_string()),
            end: times.and_then(|(_, end)| end).map(|end| end.to_string()),
            error: if status == "Failed" { "0x80240022" } else { "" },
        }
    };
    let all = |status: fn(&Attempt) -> &'static str| {
        let reports: Vec<RunProgress<'_>> = attempts
            .iter()
            .enumerate()
            .map(|(at, attempt)| progress(at, attempt, status(attempt)))
            .collect();
        let ids: Vec<Uuid> = reports.iter().map(|report| report.header.report_id).collect();
        native("/v1/run-progress", Kind::RunProgress, &reports, &ids, false)
    };
    let outcome = |attempt: &Attempt| if attempt.succeeded { "Succeeded" } else { "Failed" };
    let ended = match computer.system {
        System::Windows { .. } => all(outcome),
        // The Linux agent tells the end only, and in its own way.
        System::Linux { .. } => {
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
                        status: outcome(attempt),
                        time: minute(2 + at).to_string(),
                        start: minute(1 + at).to_string().replace('T', " "),
                        end: minute(2 + at).to_string().replace('T', " "),
                    })
                })
                .collect();
            linux_agent(computer, Data::RunProgress, &items, false)
        }
    };
    vec![all(|_| "NotStarted"), all(|_| "InProgress"), ended]
}

#[derive(Serialize)]
struct LinuxScan<'a> {
    #[serde(rename = "Timestamp")]
    time: String,
    #[serde(rename = "Host")]
    host: &'a str,
    #[serde(rename = "AgentId")]
    agent_id: Uuid,
    #[serde(rename = "OSType")]
    os_type: &'a str,
    #[serde(rename = "OSName")]
    os_name: &'a str,
    #[serde(rename = "OSVersion")]
    os_version: &'a str,
    #[serde(rename = "OSFullName")]
    os_full_name: String,
    #[serde(rename = "Collections")]
    packages: Vec<Package<'a>>,
}

#[derive(Serialize)]
struct Package<'a> {
    #[serde(rename = "CollectionName")]
    collection: String,
    #[serde(rename = "PackageName")]
    name: &'a str,
    #[serde(rename = "Architecture")]
    architecture: &'a str,
    #[serde(rename = "PackageVersion")]
    version: Option<&'a str>,
    #[serde(rename = "Repository")]
    repository: Option<String>,
    #[serde(rename = "PackageClassification")]
    classification: Option<&'a str>,
    #[serde(rename = "Installed")]
    installed: bool,
    #[serde(rename = "UpdateState")]
    state: &'a str,
}

#[derive(Serialize)]
struct LinuxRunProgress<'a> {
    #[serde(rename = "OSType")]
    os_type: &'a str,
    #[serde(rename = "Computer")]
    computer: &'a str,
    #[serde(rename = "UpdateRunName")]
    run: &'a str,
    #[serde(rename = "UpdateTitle")]
    title: &'a str,
    #[serde(rename = "UpdateId")]
    update_id: Uuid,
    #[serde(rename = "Status")]
    status: &'a str,
    #[serde(rename = "TimeStamp")]
    time: String,
    #[serde(rename = "StartTime")]
    start: String,
    #[serde(rename = "EndTime")]
    end: String,
}

#[derive(Serialize)]
struct LinuxHeartbeat<'a> {
    #[serde(rename = "Timestamp")]
    time: String,
    #[serde(rename = "Computer")]
    computer: &'a str,
    #[serde(rename = "OSType")]
    os_type: &'a str,
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
    #[serde(rename = "ComputerPrivateIps")]
    ips: [&'a str; 1],
    #[serde(rename = "Version")]
    version: &'a str,
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
    os_full_name: &'a str,
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

#[derive(Serialize)]
struct Update<'a> {
    #[serde(rename = "UpdateState")]
    state: &'a str,
    #[serde(rename = "UpdateID")]
    id: Uuid,
    #[serde(rename = "Title")]
    title: &'a str,
    #[serde(rename = "Product")]
    product: &'a str,
    #[serde(rename = "KBID")]
    kb: &'a str,
    #[serde(rename = "Classification")]
    classification: &'a str,
    #[serde(rename = "PublishedDate")]
    published: String,
    #[serde(rename = "Optional")]
    optional: bool,
    #[serde(rename = "Approved")]
    approved: bool,
    #[serde(rename = "ApprovalSource")]
    approval_source: &'a str,
    #[serde(rename = "RebootBehavior")]
    reboot: &'a str,
    #[serde(rename = "RevisionNumber")]
    revision: &'a str,
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
}
