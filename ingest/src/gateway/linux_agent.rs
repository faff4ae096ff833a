//! The Linux agent's wire: `POST /OperationalData.svc/PostJsonDataItems`.
//!
//! The body is `{"DataType", "IPName", "DataItems": [...]}`, usually deflated. Three data types are
//! read: `LINUX_UPDATES_SNAPSHOT_BLOB` (scans), `UPDATES_RUN_PROGRESS_BLOB` and
//! `HEALTH_ASSESSMENT_BLOB` (heartbeats). Agents of many versions send many more keys than these
//! have here; they are passed over, and a scalar stands for its text. What identifies a report or
//! says what it means is required.
//!
//! All items are checked before any is published, as on the native wire.
//!
//! Run progress and heartbeats do not say which agent they are from; the original service knows by
//! the client's certificate. Here the computer's id is the item's own `AgentId` or
//! `SourceComputerId`, else the request's `x-ms-agent-id`, else a UUIDv5 of the lower-cased
//! computer name ([`COMPUTER_NAMESPACE`]).

use std::borrow::Cow;
use std::fmt;

use patchline_schemas::codec::Kind;
use patchline_schemas::validate::{IDENTITY_BYTES_MAX, UPDATES_PER_SCAN_MAX};
use patchline_schemas::{
    Heartbeat, RunProgress, Scan, Timestamp, Update, UpdateState, guid_in_lower_case,
};
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::json;
use super::native::check_small;
use super::problem::{Problem, Reason};
use super::report::{Batch, Incoming};

/// Namespace of the ids of computers that are known by name only. Never change it: a computer would
/// become another.
pub const COMPUTER_NAMESPACE: Uuid = Uuid::from_u128(0x3f6e_0b52_94c1_5d7a_b7e4_18a9_2c60_d5f3);

/// Says "scanned, and nothing is missing"; it is no package.
const PSEUDO_PACKAGE: &str = "UpdateManagementHeartbeat";

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(rename = "DataType", borrow)]
    data_type: Cow<'a, str>,
    #[serde(rename = "DataItems", borrow)]
    items: &'a RawValue,
}

/// Reads one item into a batch.
type Read<'a, 'g> = fn(&str, &'a str, &mut Batch<'g>) -> Result<(), Problem>;

/// Reads the reports of `text` into `batch` and says which records they are.
pub(super) fn decode<'a, 'g: 'a>(text: &'a str, batch: &mut Batch<'g>) -> Result<Kind, Problem> {
    let envelope: Envelope<'a> = json::object(text, false)?;
    let data_type = envelope.data_type.as_ref();
    let (kind, read): (Kind, Read<'a, 'g>) = match data_type {
        "LINUX_UPDATES_SNAPSHOT_BLOB" => (Kind::Scan, read::<WireScan<'a>>),
        "UPDATES_RUN_PROGRESS_BLOB" => (Kind::RunProgress, read::<WireRunProgress<'a>>),
        "HEALTH_ASSESSMENT_BLOB" => (Kind::Heartbeat, read::<WireHeartbeat<'a>>),
        _ => {
            let problem = format!(
                "DataType `{data_type}` is none of LINUX_UPDATES_SNAPSHOT_BLOB, UPDATES_RUN_PROGRESS_BLOB, HEALTH_ASSESSMENT_BLOB"
            );
            return Err(Problem::new(Reason::UnknownType, problem).in_field("DataType"));
        }
    };
    json::each_item(envelope.items.get(), |index, raw| {
        read(data_type, raw, batch).map_err(|problem| problem.in_item(index))
    })?;
    Ok(kind)
}

/// An item of this wire.
trait Item<'a>: Deserialize<'a> {
    type Report: Incoming<'a>;

    /// Fields that the wire calls otherwise than the record does: (the wire's, the record's).
    const NAMES: &'static [(&'static str, &'static str)];

    fn check_size(raw: &str) -> Result<(), Problem> {
        check_small(raw)
    }

    /// The report; `agent_id` is the request's.
    fn report(self, agent_id: Option<&'a str>) -> Self::Report;
}

fn read<'a, 'g: 'a, T: Item<'a>>(
    data_type: &str,
    raw: &'a str,
    batch: &mut Batch<'g>,
) -> Result<(), Problem> {
    T::check_size(raw)?;
    let item: T = json::object(raw, false)?;
    let report = item.report(batch.origin().agent_id);
    batch.add(data_type, raw, report).map_err(|problem| problem.in_sent_terms(T::NAMES))
}

#[derive(Deserialize)]
struct WireScan<'a> {
    #[serde(rename = "Timestamp", default)]
    time: Timestamp,
    #[serde(rename = "Host", default, borrow, deserialize_with = "text")]
    host: Cow<'a, str>,
    #[serde(rename = "AgentId", default, borrow, deserialize_with = "text")]
    agent_id: Cow<'a, str>,
    #[serde(rename = "OSType", default, borrow, deserialize_with = "text")]
    os_type: Cow<'a, str>,
    #[serde(rename = "OSName", default, borrow, deserialize_with = "text")]
    os_name: Cow<'a, str>,
    #[serde(rename = "OSVersion", default, borrow, deserialize_with = "text")]
    os_version: Cow<'a, str>,
    #[serde(rename = "OSFullName", default, borrow, deserialize_with = "text")]
    os_full_name: Cow<'a, str>,
    // Required: without it an item would pass for a computer with no packages at all.
    #[serde(rename = "Collections", borrow, deserialize_with = "packages")]
    updates: Vec<Update<'a>>,
}

impl<'a> Item<'a> for WireScan<'a> {
    type Report = Scan<'a>;
    const NAMES: &'static [(&'static str, &'static str)] =
        &[("AgentId", "SourceComputerId"), ("Host", "Computer"), ("Timestamp", "TimeGenerated")];

    fn check_size(_: &str) -> Result<(), Problem> {
        Ok(())
    }

    fn report(self, agent_id: Option<&'a str>) -> Scan<'a> {
        Scan {
            source_computer_id: computer_id([self.agent_id], agent_id, &self.host),
            computer: self.host,
            time_generated: self.time,
            os_type: linux(self.os_type),
            os_name: self.os_name,
            os_version: self.os_version,
            os_full_name: self.os_full_name,
            updates: self.updates,
            ..Scan::default()
        }
    }
}

#[derive(Deserialize)]
struct Package<'a> {
    #[serde(rename = "PackageName", borrow, deserialize_with = "package_name")]
    name: Cow<'a, str>,
    #[serde(rename = "Architecture", default, borrow, deserialize_with = "text")]
    architecture: Cow<'a, str>,
    #[serde(rename = "PackageVersion", default, borrow, deserialize_with = "text")]
    version: Cow<'a, str>,
    #[serde(rename = "Repository", default, borrow, deserialize_with = "text")]
    repository: Cow<'a, str>,
    #[serde(rename = "PackageClassification", default, borrow, deserialize_with = "text")]
    classification: Cow<'a, str>,
    // Required: installed or missing is what a scan is about.
    #[serde(rename = "UpdateState", deserialize_with = "package_state")]
    state: UpdateState,
}

impl<'a> From<Package<'a>> for Update<'a> {
    fn from(package: Package<'a>) -> Self {
        Self {
            update_state: package.state,
            title: package.name.clone(),
            product: package.name,
            product_arch: package.architecture,
            product_version: package.version,
            classification: package.classification,
            package_repository: package.repository,
            ..Self::default()
        }
    }
}

#[derive(Deserialize)]
struct WireRunProgress<'a> {
    #[serde(rename = "TimeStamp", default)]
    time: Timestamp,
    #[serde(rename = "Computer", default, borrow, deserialize_with = "text")]
    computer: Cow<'a, str>,
    #[serde(rename = "AgentId", default, borrow, deserialize_with = "text")]
    agent_id: Cow<'a, str>,
    #[serde(rename = "SourceComputerId", default, borrow, deserialize_with = "text")]
    source_computer_id: Cow<'a, str>,
    #[serde(rename = "OSType", default, borrow, deserialize_with = "text")]
    os_type: Cow<'a, str>,
    #[serde(rename = "UpdateRunName", default, borrow, deserialize_with = "text")]
    run_name: Cow<'a, str>,
    #[serde(rename = "UpdateTitle", default, borrow, deserialize_with = "text")]
    title: Cow<'a, str>,
    #[serde(rename = "UpdateId", default, borrow, deserialize_with = "text")]
    update_id: Cow<'a, str>,
    #[serde(rename = "Status", default, borrow, deserialize_with = "text")]
    status: Cow<'a, str>,
    #[serde(rename = "StartTime", default, deserialize_with = "time")]
    start: Option<Timestamp>,
    #[serde(rename = "EndTime", default, deserialize_with = "time")]
    end: Option<Timestamp>,
}

impl<'a> Item<'a> for WireRunProgress<'a> {
    type Report = RunProgress<'a>;
    const NAMES: &'static [(&'static str, &'static str)] =
        &[("TimeStamp", "TimeGenerated"), ("Status", "InstallationStatus")];

    fn report(self, agent_id: Option<&'a str>) -> RunProgress<'a> {
        let ids = [self.agent_id, self.source_computer_id];
        RunProgress {
            source_computer_id: computer_id(ids, agent_id, &self.computer),
            computer: self.computer,
            time_generated: self.time,
            os_type: linux(self.os_type),
            update_run_name: self.run_name,
            title: self.title,
            update_id: guid_in_lower_case(self.update_id),
            installation_status: self.status,
            start_time: self.start,
            end_time: self.end,
            ..RunProgress::default()
        }
    }
}

#[derive(Deserialize)]
struct WireHeartbeat<'a> {
    #[serde(rename = "Timestamp", default)]
    time: Timestamp,
    #[serde(rename = "Computer", default, borrow, deserialize_with = "text")]
    computer: Cow<'a, str>,
    #[serde(rename = "AgentId", default, borrow, deserialize_with = "text")]
    agent_id: Cow<'a, str>,
    #[serde(rename = "SourceComputerId", default, borrow, deserialize_with = "text")]
    source_computer_id: Cow<'a, str>,
    #[serde(rename = "OSType", default, borrow, deserialize_with = "text")]
    os_type: Cow<'a, str>,
    #[serde(rename = "OSName", default, borrow, deserialize_with = "text")]
    os_name: Cow<'a, str>,
    #[serde(rename = "OSMajorVersion", default, borrow, deserialize_with = "text")]
    os_major_version: Cow<'a, str>,
    #[serde(rename = "OSMinorVersion", default, borrow, deserialize_with = "text")]
    os_minor_version: Cow<'a, str>,
    #[serde(rename = "Category", default, borrow, deserialize_with = "text")]
    category: Cow<'a, str>,
    #[serde(rename = "SCAgentChannel", default, borrow, deserialize_with = "text")]
    channel: Cow<'a, str>,
    #[serde(rename = "Version", default, borrow, deserialize_with = "text")]
    version: Cow<'a, str>,
    #[serde(rename = "ComputerPrivateIps", default)]
    private_ips: Ips,
}

impl<'a> Item<'a> for WireHeartbeat<'a> {
    type Report = Heartbeat<'a>;
    const NAMES: &'static [(&'static str, &'static str)] = &[("Timestamp", "TimeGenerated")];

    fn report(self, agent_id: Option<&'a str>) -> Heartbeat<'a> {
        let ids = [self.agent_id, self.source_computer_id];
        Heartbeat {
            source_computer_id: computer_id(ids, agent_id, &self.computer),
            computer: self.computer,
            time_generated: self.time,
            os_type: linux(self.os_type),
            os_name: self.os_name,
            os_major_version: self.os_major_version,
            os_minor_version: self.os_minor_version,
            category: self.category,
            sc_agent_channel: self.channel,
            version: self.version,
            computer_private_ips: self.private_ips.into(),
            ..Heartbeat::default()
        }
    }
}

/// A list, one alone, or null.
#[derive(Default, Deserialize)]
#[serde(untagged)]
enum Ips {
    #[default]
    None,
    One(String),
    Many(Vec<String>),
}

impl From<Ips> for Vec<String> {
    fn from(ips: Ips) -> Self {
        match ips {
            Ips::None => Self::new(),
            Ips::One(ip) => vec![ip],
            Ips::Many(ips) => ips,
        }
    }
}

/// The first id that is known, else one made of the name. No name: no id, and the check says so.
pub(super) fn computer_id<'a, const N: usize>(
    of_item: [Cow<'a, str>; N],
    of_request: Option<&'a str>,
    name: &str,
) -> Cow<'a, str> {
    if let Some(id) = of_item.into_iter().find(|id| !id.is_empty()) {
        return guid_in_lower_case(id);
    }
    match of_request {
        Some(id) if !id.is_empty() => guid_in_lower_case(Cow::Borrowed(id)),
        _ if name.is_empty() => Cow::Borrowed(""),
        _ => {
            let name = name.to_lowercase();
            Cow::Owned(Uuid::new_v5(&COMPUTER_NAMESPACE, name.as_bytes()).to_string())
        }
    }
}

fn linux(os_type: Cow<'_, str>) -> Cow<'_, str> {
    if os_type.is_empty() { Cow::Borrowed("Linux") } else { os_type }
}

/// Text, or a scalar as text; null is empty.
fn text<'de, D: Deserializer<'de>>(reader: D) -> Result<Cow<'de, str>, D::Error> {
    struct Text;
    impl<'de> Visitor<'de> for Text {
        type Value = Cow<'de, str>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("text")
        }
        fn visit_borrowed_str<E: Error>(self, value: &'de str) -> Result<Cow<'de, str>, E> {
            Ok(Cow::Borrowed(value))
        }
        fn visit_str<E: Error>(self, value: &str) -> Result<Cow<'de, str>, E> {
            Ok(Cow::Owned(value.to_owned()))
        }
        fn visit_string<E: Error>(self, value: String) -> Result<Cow<'de, str>, E> {
            Ok(Cow::Owned(value))
        }
        fn visit_unit<E: Error>(self) -> Result<Cow<'de, str>, E> {
            Ok(Cow::Borrowed(""))
        }
        fn visit_bool<E: Error>(self, value: bool) -> Result<Cow<'de, str>, E> {
            Ok(Cow::Borrowed(if value { "true" } else { "false" }))
        }
        fn visit_i64<E: Error>(self, value: i64) -> Result<Cow<'de, str>, E> {
            Ok(Cow::Owned(value.to_string()))
        }
        fn visit_u64<E: Error>(self, value: u64) -> Result<Cow<'de, str>, E> {
            Ok(Cow::Owned(value.to_string()))
        }
        fn visit_f64<E: Error>(self, value: f64) -> Result<Cow<'de, str>, E> {
            Ok(Cow::Owned(value.to_string()))
        }
    }
    reader.deserialize_any(Text)
}

/// A time; null and empty text are none.
fn time<'de, D: Deserializer<'de>>(reader: D) -> Result<Option<Timestamp>, D::Error> {
    let value = text(reader)?;
    if value.is_empty() {
        return Ok(None);
    }
    Timestamp::parse(&value).map(Some).map_err(D::Error::custom)
}

fn package_name<'de, D: Deserializer<'de>>(reader: D) -> Result<Cow<'de, str>, D::Error> {
    let name = text(reader)?;
    match name.len() {
        0 => Err(D::Error::custom("is required")),
        length if length > IDENTITY_BYTES_MAX => Err(D::Error::custom(format!(
            "has {length} bytes, at most {IDENTITY_BYTES_MAX} are allowed"
        ))),
        _ => Ok(name),
    }
}

fn package_state<'de, D: Deserializer<'de>>(reader: D) -> Result<UpdateState, D::Error> {
    match UpdateState::deserialize(reader)? {
        UpdateState::Installed => {
            Err(D::Error::custom("is Installed, which Linux packages are not: NotNeeded or Needed"))
        }
        state => Ok(state),
    }
}

/// The packages as updates, without the pseudo-package.
fn packages<'de, D: Deserializer<'de>>(reader: D) -> Result<Vec<Update<'de>>, D::Error> {
    struct Packages;
    impl<'de> Visitor<'de> for Packages {
        type Value = Vec<Update<'de>>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an array of packages")
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Self::Value, A::Error> {
            let mut updates = Vec::new();
            while let Some(package) = array.next_element::<Package<'de>>()? {
                if package.name == PSEUDO_PACKAGE {
                    continue;
                }
                if updates.len() == UPDATES_PER_SCAN_MAX {
                    return Err(A::Error::custom(format!(
                        "lists more than {UPDATES_PER_SCAN_MAX} packages"
                    )));
                }
                updates.push(package.into());
            }
            Ok(updates)
        }
    }
    reader.deserialize_seq(Packages)
}
