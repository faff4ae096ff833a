//! What becomes of the bodies that agents send, without a server or a Kafka.

use std::sync::LazyLock;

use patchline_runtime::config::Settings as _;
use patchline_schemas::{
    Codec, DecodeError, Event, Heartbeat, OfficeActivity, Report, RunProgress, Scan,
    UpdateDeployment, UpdateState,
};
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::{Value, json};

use super::*;

pub(super) fn decode(wire: Wire, text: &str) -> Result<(Kind, Encoded), Problem> {
    decode_from(wire, text, None)
}

fn decode_from(wire: Wire, text: &str, agent_id: Option<&str>) -> Result<(Kind, Encoded), Problem> {
    decode_as(wire, None, text, Origin { agent_id, ..SENDER })
}

/// One for all: it parses every schema.
pub(super) static CODEC: LazyLock<Codec> = LazyLock::new(|| Codec::new().unwrap());

static ANYONE: Sender = Sender::anyone();

/// Somebody who says nothing of himself.
pub(super) const SENDER: Origin<'static> = Origin {
    sender: &ANYONE,
    workspace_id: "00000000-0000-0000-0000-000000000000",
    management_group: "AOI-00000000-0000-0000-0000-000000000000",
    resource_id: "",
    solutions: "updates",
    computer_ip: "192.0.2.7",
    agent_id: None,
};

pub(super) fn decode_as(
    wire: Wire,
    post: Option<&Post<'_>>,
    text: &str,
    origin: Origin<'_>,
) -> Result<(Kind, Encoded), Problem> {
    inspect(wire, text)?;
    let mut reservation = Budget::new(usize::MAX).open();
    let mut batch = Batch::new(&CODEC, origin, &mut reservation, 0, 0);
    let kind = read(wire, post, text, &mut batch)?;
    Ok((kind, batch.encoded))
}

pub(super) fn only<'m, T>(encoded: &'m Encoded, codec: &Codec) -> T
where
    T: patchline_schemas::Record + Deserialize<'m>,
{
    assert_eq!(encoded.messages.len(), 1);
    let record: Result<T, DecodeError> = codec.decode(&encoded.messages[0].payload);
    record.unwrap()
}

fn package(name: &str, state: &str) -> Value {
    json!({
        "CollectionName": format!("{name}_0:1.2-3_Ubuntu_16.04"), "PackageName": name,
        "Architecture": "amd64", "PackageVersion": "0:1.2-3", "Size": "428",
        "Repository": "Ubuntu:16.04/xenial-updates", "PackageClassification": "Security Updates",
        "Installed": state == "NotNeeded", "UpdateState": state,
    })
}

fn snapshot(packages: &[Value]) -> Value {
    json!({
        "DataType": "LINUX_UPDATES_SNAPSHOT_BLOB", "IPName": "Updates",
        "DataItems": [{
            "Timestamp": "2017-03-15T19:02:38.577Z", "Host": "web-1", "AgentId": "agent-1",
            "OSType": "Linux", "OSName": "Ubuntu", "OSVersion": "16.04",
            "OSFullName": "Ubuntu 16.04", "Collections": packages,
        }],
    })
}

#[test]
fn a_linux_snapshot_becomes_a_scan() {
    let mut bare = package("acl", "NotNeeded");
    bare["PackageVersion"] = Value::Null;
    bare["Repository"] = Value::Null;
    bare["PackageClassification"] = Value::Null;
    let pseudo = package("UpdateManagementHeartbeat", "NotNeeded");
    let body = snapshot(&[pseudo, package("bash", "Needed"), bare]).to_string();
    let (kind, encoded) = decode(Wire::LinuxAgent, &body).unwrap();
    assert_eq!((kind, encoded.updates), (Kind::Scan, 2));
    assert_eq!(encoded.messages[0].key, "agent-1");

    let codec = Codec::new().unwrap();
    let scan: Scan<'_> = only(&encoded, &codec);
    assert_eq!(scan.report_id, encoded.report_ids[0]);
    assert_eq!(scan.computer, "web-1");
    assert_eq!(scan.time_generated.to_string(), "2017-03-15T19:02:38.577Z");
    assert_eq!(scan.management_group_name, "AOI-00000000-0000-0000-0000-000000000000");
    assert_eq!((&*scan.source_system, &*scan.computer_environment), ("Linux", "Non-Azure"));
    assert_eq!((&*scan.os_name, &*scan.os_version), ("Ubuntu", "16.04"));
    assert_eq!(scan.os_full_name, "Ubuntu 16.04");
    let [bash, acl] = &scan.updates[..] else { panic!("two updates: {:?}", scan.updates) };
    assert_eq!((&*bash.product, &*bash.title, &*bash.product_arch), ("bash", "bash", "amd64"));
    assert_eq!((&*bash.product_version, bash.update_state), ("0:1.2-3", UpdateState::Needed));
    assert_eq!(bash.classification, "Security Updates");
    assert_eq!(bash.package_repository, "Ubuntu:16.04/xenial-updates");
    assert_eq!((&*acl.product_version, &*acl.classification), ("", ""));
    assert_eq!(acl.update_state, UpdateState::NotNeeded);
}

#[test]
fn linux_run_progress_takes_its_computer_from_the_best_source_there_is() {
    let mut item = json!({
        "OSType": "Linux", "Computer": "Web-2", "UpdateRunName": "june",
        "UpdateTitle": "bash:amd64 (4.3, automatic)", "UpdateId": "u-1", "Status": "Succeeded",
        "TimeStamp": "2016-10-24T21:54:30.979Z", "StartTime": "2016-10-21 04:25:51Z", "EndTime": "",
    });
    let body = |item: &Value| {
        json!({"DataType": "UPDATES_RUN_PROGRESS_BLOB", "IPName": "Updates", "DataItems": [item]})
            .to_string()
    };
    let codec = Codec::new().unwrap();
    let (kind, encoded) = decode(Wire::LinuxAgent, &body(&item)).unwrap();
    assert_eq!(kind, Kind::RunProgress);
    let progress: RunProgress<'_> = only(&encoded, &codec);
    let of_name = Uuid::new_v5(&COMPUTER_NAMESPACE, b"web-2").to_string();
    assert_eq!(progress.source_computer_id, of_name);
    assert_eq!(progress.title, "bash:amd64 (4.3, automatic)");
    assert_eq!(progress.installation_status, "Succeeded");
    assert_eq!(progress.start_time.unwrap().to_string(), "2016-10-21T04:25:51.000Z");
    assert_eq!(progress.end_time, None);

    let of_request = decode_from(Wire::LinuxAgent, &body(&item), Some("agent-2")).unwrap().1;
    assert_eq!(of_request.messages[0].key, "agent-2");
    item["AgentId"] = json!("agent-3");
    let of_item = decode_from(Wire::LinuxAgent, &body(&item), Some("agent-2")).unwrap().1;
    assert_eq!(of_item.messages[0].key, "agent-3");
}

#[test]
fn a_linux_heartbeat_is_completed() {
    let body = json!({
        "DataType": "HEALTH_ASSESSMENT_BLOB", "IPName": "LogManagement", "DataItems": [{
            "Timestamp": "2017-03-15T19:02:38.577Z", "Computer": "web-3", "OSType": "Linux",
            "OSName": "Ubuntu", "OSMajorVersion": 16, "OSMinorVersion": "04",
            "Category": "Direct Agent", "SCAgentChannel": "Direct",
            "ComputerPrivateIps": ["10.0.0.4"], "InstalledDate": "2017-01-01 00:00:00Z",
            "Version": "1.4.0-12", "SomethingNew": {"a": [1]},
        }],
    });
    let (kind, encoded) = decode(Wire::LinuxAgent, &body.to_string()).unwrap();
    assert_eq!(kind, Kind::Heartbeat);
    let codec = Codec::new().unwrap();
    let heartbeat: Heartbeat<'_> = only(&encoded, &codec);
    assert_eq!((&*heartbeat.os_major_version, &*heartbeat.os_minor_version), ("16", "04"));
    assert_eq!((&*heartbeat.computer_ip, &*heartbeat.solutions), ("192.0.2.7", "updates"));
    assert_eq!(heartbeat.computer_private_ips, ["10.0.0.4"]);
    assert_eq!(heartbeat.version, "1.4.0-12");
}

#[test]
fn a_linux_problem_names_item_and_field_as_the_sender_does() {
    let field = |body: &Value| {
        let problem = decode(Wire::LinuxAgent, &body.to_string()).unwrap_err();
        (problem.reason, problem.item, problem.field.unwrap_or_default())
    };
    let mut body = snapshot(&[package("bash", "Needed"), package("acl", "Wanted")]);
    assert_eq!(field(&body), (Reason::Malformed, Some(0), "Collections[1].UpdateState".to_owned()));
    body = snapshot(&[package("", "Needed")]);
    assert_eq!(field(&body), (Reason::Malformed, Some(0), "Collections[0].PackageName".to_owned()));
    body = snapshot(&[]);
    body["DataItems"][0]["Host"] = json!("");
    assert_eq!(field(&body), (Reason::Invalid, Some(0), "Host".to_owned()));
    body = snapshot(&[]);
    let mut second = body["DataItems"][0].clone();
    second["Timestamp"] = json!("yesterday");
    body["DataItems"].as_array_mut().unwrap().push(second);
    assert_eq!(field(&body), (Reason::Malformed, Some(1), "Timestamp".to_owned()));
    body["DataType"] = json!("LINUX_SYSLOGS_BLOB");
    assert_eq!(field(&body), (Reason::UnknownType, None, "DataType".to_owned()));
}

#[test]
fn a_snapshot_without_its_packages_is_not_an_empty_one() {
    let mut body = snapshot(&[]);
    assert_eq!(decode(Wire::LinuxAgent, &body.to_string()).unwrap().1.updates, 0);
    body["DataItems"][0].as_object_mut().unwrap().remove("Collections");
    let problem = decode(Wire::LinuxAgent, &body.to_string()).unwrap_err();
    assert!(problem.detail.contains("Collections"), "{problem:?}");
}

fn native_scan() -> Value {
    json!({
        "SourceComputerId": "id-1", "Computer": "win-1", "TimeGenerated": "2017-06-01T00:00:00Z",
        "OSType": "Windows", "Updates": [{"UpdateID": "u-1", "UpdateState": "Needed", "KBID": "4022715"}],
    })
}

#[test]
fn a_native_report_keeps_what_it_says_and_gets_what_it_lacks() {
    let mut scan = native_scan();
    let codec = Codec::new().unwrap();
    let encoded = decode(Wire::Native(Kind::Scan), &scan.to_string()).unwrap().1;
    let plain: Scan<'_> = only(&encoded, &codec);
    assert_eq!(plain.source_system, "OpsManager");
    assert_eq!(plain.updates[0].kbid, "4022715");

    let id = "6f1f3b1c-7c5e-4a57-8a43-0d2a3c1f9e10";
    scan["ReportId"] = json!(id);
    scan["ManagementGroupName"] = json!("contoso");
    let both = json!([scan, native_scan()]).to_string();
    let encoded = decode(Wire::Native(Kind::Scan), &both).unwrap().1;
    assert_eq!(encoded.report_ids[0].to_string(), id);
    assert_ne!(encoded.report_ids[1].to_string(), id);
    let named: Scan<'_> = codec.decode(&encoded.messages[0].payload).unwrap();
    assert_eq!(named.management_group_name, "contoso");
}

#[test]
fn a_native_problem_names_item_and_field() {
    let refused = |body: Value| {
        let problem = decode(Wire::Native(Kind::Scan), &body.to_string()).unwrap_err();
        (problem.reason, problem.item, problem.field.unwrap_or_default())
    };
    let mut bad = native_scan();
    bad["Updates"][0]["Titel"] = json!("misspelt");
    assert_eq!(
        refused(json!([native_scan(), bad])),
        (Reason::Malformed, Some(1), "Updates[0].Titel".to_owned())
    );
    bad = native_scan();
    bad["Updates"][0]["Approved"] = json!("yes");
    assert_eq!(refused(bad), (Reason::Malformed, None, "Updates[0].Approved".to_owned()));
    bad = native_scan();
    bad["Updates"][0]["UpdateID"] = json!("");
    assert_eq!(
        refused(json!([native_scan(), native_scan(), bad])),
        (Reason::Invalid, Some(2), "Updates[0].UpdateID".to_owned())
    );
    assert_eq!(refused(json!("text")).0, Reason::Malformed);
    assert_eq!(refused(json!([[1]])), (Reason::Malformed, Some(0), String::new()));
}

#[test]
fn a_windows_update_is_the_same_in_capitals() {
    let mut scan = native_scan();
    scan["Updates"][0]["UpdateID"] = json!("0D2B4E77-9D1C-4C0E-8A3B-5F1E8A526C1F");
    let codec = Codec::new().unwrap();
    let encoded = decode(Wire::Native(Kind::Scan), &scan.to_string()).unwrap().1;
    let read: Scan<'_> = only(&encoded, &codec);
    assert_eq!(read.updates[0].update_id, "0d2b4e77-9d1c-4c0e-8a3b-5f1e8a526c1f");

    scan["OSType"] = json!("Linux");
    scan["Updates"][0]["Product"] = json!("PackageKit");
    let encoded = decode(Wire::Native(Kind::Scan), &scan.to_string()).unwrap().1;
    let read: Scan<'_> = only(&encoded, &codec);
    assert_eq!(read.updates[0].product, "PackageKit", "a package's name is not");
}

#[test]
fn a_computer_is_the_same_in_capitals_on_every_wire() {
    const CAPITALS: &str = "5C0A7D6E-11F0-4A55-9D25-3F1C2F0C9A01";
    let key = |wire, text: &str| {
        let encoded = decode(wire, text).unwrap().1;
        assert_eq!(encoded.messages.len(), 1);
        encoded.messages.into_iter().next().unwrap().key
    };
    let native = json!({"SourceComputerId": CAPITALS, "Computer": "web-1", "OSType": "Linux",
        "TimeGenerated": "2026-01-15T08:00:00Z"});
    let linux = json!({"DataType": "HEALTH_ASSESSMENT_BLOB", "DataItems": [
        {"AgentId": CAPITALS, "Computer": "web-1", "Timestamp": "2026-01-15T08:00:00Z"}]});
    let windows = format!(
        "<DataItems DataType=\"HEALTH_ASSESSMENT_BLOB\"><DataItem sourceHealthServiceId=\"{CAPITALS}\" \
         time=\"2026-01-15T08:00:00Z\"><Property Name=\"Computer\">web-1</Property></DataItem></DataItems>"
    );
    for (wire, text) in [
        (Wire::Native(Kind::Heartbeat), native.to_string()),
        (Wire::LinuxAgent, linux.to_string()),
        (Wire::WindowsAgent, windows),
    ] {
        assert_eq!(key(wire, &text), CAPITALS.to_lowercase(), "{text}");
    }
    let mut named = native;
    named["SourceComputerId"] = json!("WEB-1");
    assert_eq!(key(Wire::Native(Kind::Heartbeat), &named.to_string()), "WEB-1", "a name is not");
}

#[test]
fn a_date_that_no_column_holds_names_item_and_field() {
    let mut bad = native_scan();
    bad["Updates"][0]["PublishedDate"] = json!("2300-01-01T00:00:00Z");
    let body = json!([native_scan(), bad]).to_string();
    let problem = decode(Wire::Native(Kind::Scan), &body).unwrap_err();
    assert_eq!(
        (problem.reason, problem.item, problem.field.as_deref()),
        (Reason::Invalid, Some(1), Some("Updates[0].PublishedDate"))
    );
    let body = json!({"DataType": "UPDATES_RUN_PROGRESS_BLOB", "DataItems": [{
        "Computer": "web-2", "UpdateRunName": "run", "Status": "Succeeded",
        "TimeStamp": "2016-10-24T21:54:30.979Z", "StartTime": "1899-12-31 23:59:59Z",
    }]});
    let problem = decode(Wire::LinuxAgent, &body.to_string()).unwrap_err();
    assert_eq!((problem.item, problem.field.as_deref()), (Some(0), Some("StartTime")));
}

#[test]
fn an_event_is_completed() {
    let event = json!({
        "SourceComputerId": "id-1", "Computer": "win-1", "TimeGenerated": "2017-06-01T00:00:00Z",
        "OSType": "Windows", "EventLog": "System", "EventID": 7036, "EventLevel": 2,
    });
    let codec = Codec::new().unwrap();
    let encoded = decode(Wire::Native(Kind::Event), &event.to_string()).unwrap().1;
    let read: Event<'_> = only(&encoded, &codec);
    assert_eq!((&*read.event_level_name, &*read.source_system), ("Error", "OpsManager"));
    assert_eq!(read.management_group_name, SENDER.management_group);
    assert_eq!(encoded.messages[0].key, "id-1");
}

#[test]
fn an_audit_record_is_completed_and_kept_in_order_by_its_tenant() {
    let record = json!({
        "CreationTime": "2017-06-01T12:00:00", "Id": "a", "Operation": "FileDownloaded",
        "OrganizationId": "contoso", "RecordType": 6, "Members": [{"UPN": "ann"}],
    });
    let codec = Codec::new().unwrap();
    let encoded = decode(Wire::Native(Kind::OfficeActivity), &record.to_string()).unwrap().1;
    let read: OfficeActivity<'_> = only(&encoded, &codec);
    assert_eq!(
        (&*read.tenant_id, &*read.source_system),
        (SENDER.workspace_id, "OfficeActivityManager")
    );
    assert_eq!(
        (&*read.record_type, &*read.members),
        ("SharePointFileOperation", r#"[{"UPN":"ann"}]"#)
    );
    assert_eq!(encoded.messages[0].key, "contoso");
    let mut untold = record;
    untold.as_object_mut().unwrap().remove("Operation");
    let problem = decode(Wire::Native(Kind::OfficeActivity), &untold.to_string()).unwrap_err();
    assert_eq!((problem.reason, problem.field.as_deref()), (Reason::Invalid, Some("Operation")));
}

#[test]
fn the_starts_of_a_deployment_are_worked_out_here() {
    let mut deployment = json!({
        "Name": "June", "TimeGenerated": "2017-05-20T00:00:00Z", "Schedule": "OneTime",
        "TimeZone": "Europe/Berlin", "StartTime": "2017-06-01T22:00:00", "DurationMinutes": 120,
        "Computers": ["web-*"], "Starts": [1],
    });
    let codec = Codec::new().unwrap();
    let native = Wire::Native(Kind::UpdateDeployment);
    let encoded = decode(native, &deployment.to_string()).unwrap().1;
    let read: UpdateDeployment<'_> = only(&encoded, &codec);
    assert_eq!(read.starts, [Timestamp::parse("2017-06-01T20:00:00Z").unwrap()]);
    assert_eq!(read.management_group_name, SENDER.management_group);
    assert_eq!(encoded.messages[0].key, "June");
    for (field, value) in [
        ("DurationMinutes", json!(29)),
        ("TimeZone", json!("Berlin")),
        ("StartTime", json!("tonight")),
    ] {
        let sound = std::mem::replace(&mut deployment[field], value);
        let problem = decode(native, &deployment.to_string()).unwrap_err();
        assert_eq!((problem.reason, problem.field.as_deref()), (Reason::Invalid, Some(field)));
        deployment[field] = sound;
    }
}

/// One of two reports with one id would be lost without a trace; a true repetition is harmless.
#[test]
fn two_reports_with_one_id_are_refused_unless_they_are_the_same() {
    let item = |update: &str| {
        json!({
            "ReportId": "0d2b4e77-9d1c-4c0e-8a3b-5f1e8a526c1f", "SourceComputerId": "c1",
            "Computer": "web-1", "TimeGenerated": "2017-03-15T19:02:38Z", "OSType": "Linux",
            "UpdateRunName": "July", "UpdateId": update, "InstallationStatus": "Succeeded",
        })
    };
    let native = Wire::Native(Kind::RunProgress);
    let body = json!([item("a"), item("a")]).to_string();
    assert_eq!(decode(native, &body).unwrap().1.messages.len(), 2);
    let body = json!([item("a"), item("b")]).to_string();
    let problem = decode(native, &body).unwrap_err();
    assert_eq!((problem.item, problem.field.as_deref()), (Some(1), Some("ReportId")));
}

#[test]
fn too_long_a_list_is_refused_before_it_is_made() {
    let mut scan = native_scan();
    scan["Updates"] = json!(vec![json!({}); UPDATES_PER_SCAN_MAX + 1]);
    let problem = decode(Wire::Native(Kind::Scan), &scan.to_string()).unwrap_err();
    assert_eq!((problem.reason, problem.field.as_deref()), (Reason::Invalid, Some("Updates")));
    let mut heartbeat = native_scan();
    heartbeat.as_object_mut().unwrap().remove("Updates");
    heartbeat["ComputerPrivateIPs"] = json!(vec![""; native::SMALL_ITEM_BYTES_MAX]);
    let problem = decode(Wire::Native(Kind::Heartbeat), &heartbeat.to_string()).unwrap_err();
    assert_eq!(problem.reason, Reason::TooLarge);
}

#[test]
fn the_example_shows_every_setting_as_it_is_by_default() {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/gateway.toml");
    let read: Config = patchline_runtime::config::load(Some(example.as_ref())).unwrap();
    assert_eq!(read, Config::default());
}

#[test]
fn settings_that_contradict_each_other_are_refused() {
    let sound = Config::default();
    assert_eq!(sound.check(), Ok(()));
    let mut config = sound.clone();
    config.gateway.body_bytes_max *= 2;
    assert!(config.check().unwrap_err().contains("memory_bytes_max"));
    let mut config = sound.clone();
    config.gateway.drain_timeout_ms = 1;
    assert!(config.check().unwrap_err().contains("drain_timeout_ms"));
    let mut config = sound.clone();
    config.gateway.connections_max = 0;
    assert!(config.check().unwrap_err().contains("connections_max"));
    let mut config = sound.clone();
    config.collector.post_bytes_max = 80 * 1024 * 1024;
    assert!(config.check().unwrap_err().contains("post_bytes_max"));
    let workspace = WorkspaceConfig {
        primary_key: Some(Key::from_base64("MDEyMzQ1Njc4OWFiY2RlZg==").unwrap()),
        posts_in_flight_max: 1,
        ..WorkspaceConfig::of(Uuid::from_u128(1))
    };
    let mut config = sound;
    config.workspaces = ["a", "b"].map(|name| (name.to_owned(), workspace.clone())).into();
    assert!(config.check().unwrap_err().contains("workspaces.b.id"));
    config.workspaces =
        [("a".to_owned(), WorkspaceConfig { posts_in_flight_max: 0, ..workspace })].into();
    assert!(config.check().unwrap_err().contains("posts_in_flight_max"));
}

/// Read where it stands, never copied; `None`, said plainly, where it is not there.
fn real(name: &str) -> Option<String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/oms/");
    let text = std::fs::read_to_string(format!("{path}{name}"));
    if text.is_err() {
        eprintln!("NOT RUN: {path}{name} is not there");
    }
    text.ok()
}

#[test]
fn the_real_snapshot_loses_none_of_its_packages() {
    let Some(text) = real("linux_updates_snapshot_619.json") else { return };
    let (_, encoded) = decode(Wire::LinuxAgent, &text).unwrap();
    let codec = Codec::new().unwrap();
    let scan: Scan<'_> = only(&encoded, &codec);
    assert_eq!((scan.updates.len(), encoded.updates), (618, 618));
    let in_state =
        |state| scan.updates.iter().filter(|update| update.update_state == state).count();
    assert_eq!((in_state(UpdateState::NotNeeded), in_state(UpdateState::Needed)), (598, 20));
    assert_eq!((&*scan.source_computer_id, &*scan.computer), ("Fake_Agent_ID", "HostName"));

    let wire: Value = serde_json::from_str(&text).unwrap();
    let packages = wire["DataItems"][0]["Collections"].as_array().unwrap();
    let packages = packages.iter().filter(|p| p["PackageName"] != "UpdateManagementHeartbeat");
    for (package, update) in packages.zip(&scan.updates) {
        assert_eq!(package["PackageName"], *update.product);
        assert_eq!(package["Architecture"], *update.product_arch);
        assert_eq!(package["PackageVersion"].as_str().unwrap_or(""), update.product_version);
        assert_eq!(package["Repository"].as_str().unwrap_or(""), update.package_repository);
    }
}

#[test]
fn the_real_run_progress_is_read() {
    let Some(text) = real("linux_update_run_progress_2016.json") else { return };
    let (_, encoded) = decode(Wire::LinuxAgent, &text).unwrap();
    let codec = Codec::new().unwrap();
    let progress: RunProgress<'_> = only(&encoded, &codec);
    assert_eq!(progress.computer, "ShujunLinux1");
    assert_eq!(progress.update_run_name, "Shujun_Fake_Update_Run_Name1");
    assert_eq!(progress.installation_status, "Succeeded");
    assert_eq!(progress.time_generated.to_string(), "2016-10-24T21:54:30.979Z");
    assert_eq!(progress.start_time.unwrap().to_string(), "2016-10-21T04:25:51.000Z");
    assert_eq!(progress.end_time.unwrap().to_string(), "2016-10-21T04:30:02.000Z");
}

#[test]
fn the_real_windows_heartbeat_is_read() {
    let Some(text) = real("heartbeat_windows_mma_ama.xml") else { return };
    let (kind, encoded) = decode(Wire::WindowsAgent, &text).unwrap();
    assert_eq!(kind, Kind::Heartbeat);
    let codec = Codec::new().unwrap();
    let heartbeat: Heartbeat<'_> = only(&encoded, &codec);
    assert_eq!(heartbeat.source_computer_id, "42cc5434-03be-4271-97f9-f799b5bd3177");
    assert_eq!((&*heartbeat.computer, &*heartbeat.os_type), ("windowsdev", "Windows"));
    assert_eq!((&*heartbeat.category, &*heartbeat.version), ("AMA", "1.10.0.0"));
    assert_eq!(heartbeat.os_name, "Windows Server 2022 Datacenter");
    assert_eq!(heartbeat.computer_private_ips, ["192.168.1.4"]);
    assert_eq!(heartbeat.time_generated.to_string(), "2024-09-24T17:51:56.765Z");
    assert_eq!(heartbeat.source_system, "OpsManager");
}

const WIRES: [Wire; 8] = [
    Wire::LinuxAgent,
    Wire::WindowsAgent,
    Wire::Native(Kind::Scan),
    Wire::Native(Kind::RunProgress),
    Wire::Native(Kind::Heartbeat),
    Wire::Native(Kind::Event),
    Wire::Native(Kind::OfficeActivity),
    Wire::Native(Kind::UpdateDeployment),
];

/// Keys that mean something somewhere, so that random objects get past the first look.
const KEYS: [&str; 16] = [
    "DataType",
    "DataItems",
    "Timestamp",
    "TimeStamp",
    "TimeGenerated",
    "Host",
    "Computer",
    "AgentId",
    "SourceComputerId",
    "OSType",
    "Collections",
    "Updates",
    "PackageName",
    "UpdateState",
    "Status",
    "ComputerPrivateIps",
];

/// Values that mean something somewhere.
const WORDS: [&str; 9] = [
    "LINUX_UPDATES_SNAPSHOT_BLOB",
    "UPDATES_RUN_PROGRESS_BLOB",
    "HEALTH_ASSESSMENT_BLOB",
    "Linux",
    "Windows",
    "Needed",
    "2017-03-15T19:02:38Z",
    "Succeeded",
    "\u{0}\u{7f}é\u{1f600}\"",
];

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        proptest::sample::select(&WORDS[..]).prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 64, 8, |inner| {
        let key = prop_oneof![
            9 => proptest::sample::select(&KEYS[..]).prop_map(str::to_owned),
            1 => ".{0,4}",
        ];
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::btree_map(key, inner, 0..10)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_text_makes_a_decoder_panic(text in ".{0,200}") {
        for wire in WIRES {
            let _ = decode(wire, &text);
        }
    }

    #[test]
    fn no_json_makes_a_decoder_panic(value in any_json()) {
        let text = value.to_string();
        let enveloped = WORDS.map(|word| json!({"DataType": word, "DataItems": [value]}).to_string());
        for wire in WIRES {
            let _ = decode(wire, &text);
            for text in &enveloped {
                let _ = decode(wire, text);
            }
        }
    }

    #[test]
    fn broken_json_is_refused_and_never_read_in_part(cut in 0.0..1.0_f64) {
        let text = snapshot(&[package("bash", "Needed"), package("acl", "NotNeeded")]).to_string();
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
        let cut = (cut * text.len() as f64) as usize;
        prop_assert!(decode(Wire::LinuxAgent, &text[..cut]).is_err());
    }

    #[test]
    fn every_package_arrives_in_order_and_the_id_follows_the_bytes(
        names in proptest::collection::vec("[a-z\"é\\\\]{1,12}", 0..40),
        needed in any::<bool>(),
    ) {
        let state = if needed { "Needed" } else { "NotNeeded" };
        let packages: Vec<Value> = names.iter().map(|name| package(name, state)).collect();
        let text = snapshot(&packages).to_string();
        let first = decode(Wire::LinuxAgent, &text).unwrap().1;
        let again = decode(Wire::LinuxAgent, &text).unwrap().1;
        prop_assert_eq!(&first.report_ids, &again.report_ids);
        prop_assert_eq!(&first.messages, &again.messages);
        let codec = Codec::new().unwrap();
        let scan: Scan<'_> = only(&first, &codec);
        let products: Vec<&str> = scan.updates.iter().map(|update| &*update.product).collect();
        prop_assert_eq!(products, names);
        prop_assert_eq!(scan.report_id(), first.report_ids[0]);

        let other = snapshot(&[packages, vec![package("one-more", state)]].concat()).to_string();
        let other = decode(Wire::LinuxAgent, &other).unwrap().1;
        prop_assert_ne!(first.report_ids, other.report_ids);
    }

    #[test]
    fn one_bad_item_refuses_its_good_neighbours(good in 0_usize..5, after in 0_usize..5) {
        let mut items = vec![native_scan(); good];
        items.push(json!({"Computer": 1}));
        items.extend(vec![native_scan(); after]);
        let problem = decode(Wire::Native(Kind::Scan), &Value::from(items).to_string()).unwrap_err();
        prop_assert_eq!(problem.item, Some(good));
    }
}
