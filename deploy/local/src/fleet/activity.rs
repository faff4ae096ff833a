//! What happens beside the updates: events that Windows computers log, those of the failover clusters that
//! some of them speak for, and what people do in Office 365.
//!
//! The texts of the events are in the manner of the real ones, as short as a query about them allows.

use fastrand::Rng;
use patchline_schemas::Timestamp;
use serde::{Serialize, Serializer};
use serde_json::json;
use uuid::Uuid;

use super::computer::Computer;
use super::{chance, pick};

const MINUTE_MS: i64 = 60_000;

/// Events of a computer between two rounds, beside those of its cluster.
const EVENTS: std::ops::RangeInclusive<usize> = 3..=7;

/// An event as the native wire has it, without what every report begins with.
#[derive(Debug, Default, Serialize)]
pub(super) struct Event {
    #[serde(skip)]
    pub(super) time: Timestamp,
    #[serde(rename = "EventLog")]
    log: &'static str,
    #[serde(rename = "Source")]
    source: &'static str,
    #[serde(rename = "EventID")]
    id: i32,
    #[serde(rename = "EventLevel")]
    level: i32,
    #[serde(rename = "EventLevelName")]
    level_name: &'static str,
    #[serde(rename = "UserName")]
    user: &'static str,
    #[serde(rename = "EventData", skip_serializing_if = "String::is_empty")]
    data: String,
    #[serde(rename = "RenderedDescription")]
    description: String,
}

const SYSTEM: &str = "System";
const UPDATE_CLIENT: &str = "Microsoft-Windows-WindowsUpdateClient";
const SERVICES: &str = "Service Control Manager";
const OPERATIONS_MANAGER: &str = "Operations Manager";
const FIREWALL: &str = "Microsoft-Windows-Windows Firewall With Advanced Security/Firewall";
const CLUSTER: &str = "Microsoft-Windows-SDDC-Management/Operational";
const HEALTH: &str = "Microsoft-Windows-Health/Operational";

const ERROR: i32 = 2;
const WARNING: i32 = 3;
const INFORMATION: i32 = 4;

/// Log, source, number, level, description.
type Kind = (&'static str, &'static str, i32, i32, &'static str);

/// What a computer logs, the frequent ones more than once.
const KINDS: [Kind; 20] = [
    (SYSTEM, UPDATE_CLIENT, 44, INFORMATION, "Windows Update started downloading an update."),
    (SYSTEM, UPDATE_CLIENT, 44, INFORMATION, "Windows Update started downloading an update."),
    (
        SYSTEM,
        UPDATE_CLIENT,
        43,
        INFORMATION,
        "Installation Started: Windows has started installing an update.",
    ),
    (
        SYSTEM,
        UPDATE_CLIENT,
        19,
        INFORMATION,
        "Installation Successful: Windows successfully installed an update.",
    ),
    (
        SYSTEM,
        UPDATE_CLIENT,
        19,
        INFORMATION,
        "Installation Successful: Windows successfully installed an update.",
    ),
    (
        SYSTEM,
        UPDATE_CLIENT,
        20,
        ERROR,
        "Installation Failure: Windows failed to install an update with error 0x80070643.",
    ),
    (SYSTEM, SERVICES, 7036, INFORMATION, "The Windows Update service entered the running state."),
    (SYSTEM, SERVICES, 7036, INFORMATION, "The Windows Update service entered the stopped state."),
    (
        SYSTEM,
        SERVICES,
        7036,
        INFORMATION,
        "The Windows Modules Installer service entered the running state.",
    ),
    (SYSTEM, SERVICES, 7031, ERROR, "The Print Spooler service terminated unexpectedly."),
    (SYSTEM, "disk", 153, WARNING, "The IO operation at logical block address 0x1a2b was retried."),
    (SYSTEM, "EventLog", 6005, INFORMATION, "The Event log service was started."),
    ("Application", "Application Error", 1000, ERROR, "Faulting application name: w3wp.exe."),
    ("Application", "MsiInstaller", 1033, INFORMATION, "Windows Installer installed the product."),
    (
        OPERATIONS_MANAGER,
        "HealthService",
        2115,
        WARNING,
        "A Bind Data Source in Management Group has posted items that have not been processed.",
    ),
    (
        OPERATIONS_MANAGER,
        "Service Connector",
        3000,
        INFORMATION,
        "The agent has registered with the workspace.",
    ),
    (
        OPERATIONS_MANAGER,
        "Service Connector",
        5002,
        INFORMATION,
        "The agent has received its configuration.",
    ),
    (
        OPERATIONS_MANAGER,
        "HealthService",
        4502,
        ERROR,
        "A module reported an error in Microsoft.EnterpriseManagement.HealthService.AzureAutomation.HybridAgent.",
    ),
    (
        FIREWALL,
        "Microsoft-Windows-Windows Firewall With Advanced Security",
        2008,
        INFORMATION,
        "Group Policy settings for the firewall have changed.",
    ),
    (
        FIREWALL,
        "Microsoft-Windows-Windows Firewall With Advanced Security",
        2006,
        INFORMATION,
        "A rule has been deleted in the firewall exception list.",
    ),
];

/// What `computer` logs in the twelve hours before `time`, in order.
pub(super) fn events(computer: &Computer, round: u32, time: Timestamp) -> Vec<Event> {
    // Of its own, so that a computer's life does not depend on what it logs.
    let mut rng = Rng::with_seed(computer.id.as_u64_pair().0 ^ u64::from(round));
    let rng = &mut rng;
    let mut minutes: Vec<i64> = (0..rng.usize(EVENTS)).map(|_| rng.i64(0..12 * 60)).collect();
    minutes.sort_unstable_by(|a, b| b.cmp(a));
    let mut events: Vec<Event> = minutes
        .into_iter()
        .map(|minutes| {
            let (log, source, id, level, text) = rng.choice(KINDS).unwrap_or_default();
            let at = Timestamp(time.0 - minutes * MINUTE_MS);
            event(computer, at, (log, source, id), level, text.to_owned(), String::new())
        })
        .collect();
    if let Some(cluster) = &computer.cluster {
        events.extend(cluster_events(computer, cluster, rng, time));
    }
    events
}

fn event(
    computer: &Computer,
    time: Timestamp,
    (log, source, id): (&'static str, &'static str, i32),
    level: i32,
    description: String,
    data: String,
) -> Event {
    // Windows writes them with a capital; what comes by Operations Manager has none.
    let names = match computer.group {
        None => ["Error", "Warning", "Information"],
        Some(_) => ["error", "warning", "information"],
    };
    let level_name = match level {
        ERROR => names[0],
        WARNING => names[1],
        _ => names[2],
    };
    let user = if source == "MsiInstaller" { "NT AUTHORITY\\SYSTEM" } else { "N/A" };
    Event { time, log, source, id, level, level_name, user, data, description }
}

/// The state of a cluster: its servers, its volumes, its virtual machines, and what is wrong with it.
fn cluster_events(
    computer: &Computer,
    cluster: &str,
    rng: &mut Rng,
    time: Timestamp,
) -> Vec<Event> {
    const GB: u64 = 1 << 30;
    let name = cluster.rsplit('/').next().unwrap_or_default();
    let data = format!(
        "<DataItem type=\"System.XmlData\"><UserData><EventData xmlns=\"Microsoft-SDDC\">\
         <ClusterName>{name}</ClusterName><ArmId>{cluster}</ArmId></EventData></UserData></DataItem>"
    );
    // A node that does not answer has neither memory nor load.
    let servers: Vec<_> = (1..=4)
        .map(|node| {
            let down = node == 4;
            let total = if down { 0 } else { 256 * GB };
            json!({
                "m_name": format!("{name}-node{node}"),
                "m_totalPhysicalMemoryInBytes": total,
                "m_usedPhysicalMemoryInBytes": if down { 0 } else { rng.u64(40..240) * GB },
                "m_totalProcessorsUsedPercentage": if down { 0 } else { rng.u32(5..95) },
            })
        })
        .collect();
    // A volume nobody reads from tells -1.
    let volumes: Vec<_> = (1..=3)
        .map(|volume| {
            let mut figure = |most: u32| {
                if volume == 3 { -1.0 } else { f64::from(rng.u32(1..most)) / 8.0 }
            };
            json!({
                "m_Label": format!("Volume{volume:02}"),
                "m_AverageLatency": figure(64),
                "m_TotalIops": figure(40_000),
                "m_TotalThroughput": figure(80_000_000),
                "m_Size": 4096 * GB,
                "m_SizeUsed": rng.u64(100..4000) * GB,
            })
        })
        .collect();
    let (failed, stopped) = (rng.u32(0..3), rng.u32(0..9));
    let machines = json!({
        "m_totalVms": 40,
        "m_totalVmsFailed": failed,
        "m_totalVmsStopped": stopped,
        "m_totalVmsRunning": 40 - failed - stopped,
    });
    let state = [
        (3000, json!({ "m_servers": servers })),
        (3002, json!({ "VolumeList": volumes })),
        (3003, machines),
    ];
    let mut events: Vec<Event> = state
        .into_iter()
        .zip((1..=3).rev())
        .map(|((id, state), minutes)| {
            let at = Timestamp(time.0 - minutes * MINUTE_MS);
            let place = (CLUSTER, "Microsoft-Windows-SDDC-Management", id);
            event(computer, at, place, INFORMATION, state.to_string(), data.clone())
        })
        .collect();
    // One pass over the cluster's health is several messages, the last of which says so.
    let pass = super::uuid(rng);
    let faults = [
        ("Cluster", "Server", "Server.Down", format!("{name}-node4"), 2),
        ("Cluster", "Volume", "Volume.Capacity", "Volume01".to_owned(), 1),
        ("Server", "Disk", "PhysicalDisk.Latency", format!("{name}-node1-disk3"), 1),
    ];
    let last = faults.len();
    for (at, (root, kind, fault, object, severity)) in faults.into_iter().enumerate() {
        let description = json!({
            "ArmId": cluster,
            "CorrelationId": pass,
            "IsLastMessage": if at + 1 == last { "true" } else { "false" },
            "Fault": {
                "RootObjectType": format!("Microsoft.Health.EntityType.{root}"),
                "Type": format!("Microsoft.Health.FaultType.{fault}"),
                "Severity": severity,
                "ObjectType": format!("Microsoft.Health.EntityType.{kind}"),
                "ObjectId": object,
                "Timestamp": file_time(time),
                "Description": format!("{fault} on {object}."),
                "Remediation": "Look at the object and bring it back.",
            },
        });
        let place = (HEALTH, "Microsoft-Windows-Health", 1001);
        let level = if severity == 2 { ERROR } else { WARNING };
        events.push(event(computer, time, place, level, description.to_string(), data.clone()));
    }
    events
}

/// As Windows counts time: 100 ns since 1601.
fn file_time(time: Timestamp) -> i64 {
    const TO_1970_MS: i64 = 11_644_473_600_000;
    (time.0 + TO_1970_MS) * 10_000
}

/// A record of Office 365's audit log as the native wire has it.
#[derive(Debug, Default, Serialize)]
pub(super) struct OfficeRecord {
    #[serde(rename = "ReportId")]
    pub(super) report_id: Uuid,
    #[serde(rename = "TimeGenerated", serialize_with = "text")]
    time: Timestamp,
    #[serde(rename = "OfficeTenantId")]
    tenant: Uuid,
    #[serde(rename = "OrganizationId")]
    organization: Uuid,
    #[serde(rename = "OfficeId")]
    id: Uuid,
    #[serde(rename = "OfficeWorkload")]
    workload: &'static str,
    #[serde(rename = "RecordType")]
    record_type: &'static str,
    #[serde(rename = "Operation")]
    operation: &'static str,
    #[serde(rename = "UserId")]
    user: &'static str,
    #[serde(rename = "UserType")]
    user_type: &'static str,
    #[serde(rename = "ClientIP")]
    client_ip: String,
    #[serde(rename = "ResultStatus")]
    result: &'static str,
    #[serde(rename = "OfficeObjectId", skip_serializing_if = "String::is_empty")]
    object: String,
    #[serde(rename = "SourceFileName", skip_serializing_if = "String::is_empty")]
    file: String,
    #[serde(rename = "Parameters", skip_serializing_if = "String::is_empty")]
    parameters: String,
}

fn text<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(time)
}

const USERS: [&str; 5] = [
    "osotnoc@contoso.com",
    "ann@contoso.com",
    "bea@contoso.com",
    "carl@contoso.com",
    "dora@fabrikam.com",
];

/// The last three hide what they are.
const FILES: [&str; 8] = [
    "budget.xlsx",
    "plan.docx",
    "readme.md",
    "setup.exe",
    "slides.pptx",
    "invoice.exe.pdf",
    "photo.exe.jpg",
    "letter.exe.txt",
];

/// One record for so many computers and round: there are people where there are computers.
const COMPUTERS_A_RECORD: u32 = 2;

/// What people did in the twelve hours before `time`, in order.
pub(super) fn office(seed: u64, computers: u32, time: Timestamp) -> Vec<OfficeRecord> {
    let mut rng = Rng::with_seed(seed);
    let rng = &mut rng;
    let tenant = Uuid::new_v5(&Uuid::NAMESPACE_DNS, b"contoso.com");
    let mut minutes: Vec<i64> =
        (0..computers.div_ceil(COMPUTERS_A_RECORD)).map(|_| rng.i64(0..12 * 60)).collect();
    minutes.sort_unstable_by(|a, b| b.cmp(a));
    let file = |rng: &mut Rng, operation, workload| {
        let file = pick(rng, &FILES);
        let site = match workload {
            "OneDrive" => "https://contoso-my.sharepoint.com/personal",
            _ => "https://contoso.sharepoint.com/sites/team",
        };
        OfficeRecord {
            workload,
            operation,
            record_type: "SharePointFileOperation",
            object: format!("{site}/Documents/{file}"),
            file: file.to_owned(),
            ..OfficeRecord::default()
        }
    };
    let rule = |rng: &mut Rng, operation| {
        let name = pick(rng, &["Forward to home", "Copy to audit", "Invoices out"]);
        let parameters = json!([
            { "Name": "BlindCopyTo", "Value": "somebody@example.org" },
            { "Name": "Name", "Value": name },
        ]);
        OfficeRecord {
            workload: "Exchange",
            record_type: "ExchangeAdmin",
            operation,
            object: format!("contoso.onmicrosoft.com\\{name}"),
            parameters: parameters.to_string(),
            ..OfficeRecord::default()
        }
    };
    let plain = |workload, record_type, operation| OfficeRecord {
        workload,
        record_type,
        operation,
        ..OfficeRecord::default()
    };
    minutes
        .into_iter()
        .map(|minutes| {
            let record = match rng.u32(0..13) {
                0 | 1 => file(rng, "FileDownloaded", "OneDrive"),
                2 => file(rng, "FileAccessed", "OneDrive"),
                3 | 4 => file(rng, "FileAccessed", "SharePoint"),
                5 => file(rng, "FileUploaded", "SharePoint"),
                6 => file(rng, "FileUploaded", "OneDrive"),
                7 => file(rng, "FileDeleted", "SharePoint"),
                8 => rule(rng, "New-TransportRule"),
                9 => rule(rng, "Set-TransportRule"),
                10 => plain("Exchange", "ExchangeItem", "MailboxLogin"),
                11 => file(rng, "FileAccessed", "MicrosoftTeams"),
                _ => plain("AzureActiveDirectory", "AzureActiveDirectory", "UserLoggedIn"),
            };
            OfficeRecord {
                report_id: super::uuid(rng),
                id: super::uuid(rng),
                tenant,
                organization: tenant,
                time: Timestamp(time.0 - minutes * MINUTE_MS),
                user: pick(rng, &USERS),
                user_type: if chance(rng, 0.2) { "Admin" } else { "Regular" },
                client_ip: format!("198.51.100.{}", rng.u8(1..250)),
                result: if chance(rng, 0.9) { "Succeeded" } else { "Failed" },
                ..record
            }
        })
        .collect()
}
