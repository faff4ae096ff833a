//! Rust types of the records, field for field as in the `.avsc` files, where each field is explained.
//!
//! Text is borrowed from the message wherever it can be: a scan has thousands of strings, and most
//! stages only pass them on. Each field spells its type `Cow<'a, str>` out, because serde's `borrow`
//! knows it by that name only: behind an alias every string would be copied. A string that is not
//! known is empty, as in Log Analytics.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;

use crate::Timestamp;

/// What every report tells of itself.
pub trait Report {
    /// Identifies the report; a resend keeps it.
    fn report_id(&self) -> Uuid;
    /// The message key: reports of one key stay in order.
    fn key(&self) -> &str;
    /// When the report was made, by its maker's own clock.
    fn time_generated(&self) -> Timestamp;
}

/// What a computer's report tells of the computer; its [`key`](Report::key) is `SourceComputerId`.
pub trait ComputerReport: Report {
    /// Identifies the computer.
    fn source_computer_id(&self) -> &str {
        self.key()
    }
    /// The computer's name.
    fn computer(&self) -> &str;
    /// `Windows` or `Linux`.
    fn os_type(&self) -> &str;
}

/// Declares a report: the fields common to all, then its own.
macro_rules! report {
    ($(#[$meta:meta])* $name:ident { $($(#[$field_meta:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
        #[serde(default, bound(deserialize = "'de: 'a"))]
        #[allow(missing_docs, reason = "the .avsc files say what each field means")]
        pub struct $name<'a> {
            #[serde(rename = "ReportId", with = "uuid_text")]
            pub report_id: Uuid,
            #[serde(rename = "SourceComputerId", borrow, deserialize_with = "guid")]
            pub source_computer_id: Cow<'a, str>,
            #[serde(rename = "Computer", borrow)]
            pub computer: Cow<'a, str>,
            #[serde(rename = "TimeGenerated")]
            pub time_generated: Timestamp,
            #[serde(rename = "OSType", borrow)]
            pub os_type: Cow<'a, str>,
            #[serde(rename = "ManagementGroupName", borrow)]
            pub management_group_name: Cow<'a, str>,
            #[serde(rename = "SourceSystem", borrow)]
            pub source_system: Cow<'a, str>,
            #[serde(rename = "ComputerEnvironment", borrow)]
            pub computer_environment: Cow<'a, str>,
            #[serde(rename = "ResourceId", borrow)]
            pub resource_id: Cow<'a, str>,
            #[serde(rename = "VMUUID", borrow)]
            pub vmuuid: Cow<'a, str>,
            $($(#[$field_meta])* pub $field: $type,)*
        }

        impl Report for $name<'_> {
            fn report_id(&self) -> Uuid {
                self.report_id
            }
            fn key(&self) -> &str {
                &self.source_computer_id
            }
            fn time_generated(&self) -> Timestamp {
                self.time_generated
            }
        }

        impl ComputerReport for $name<'_> {
            fn computer(&self) -> &str {
                &self.computer
            }
            fn os_type(&self) -> &str {
                &self.os_type
            }
        }
    };
}

/// A GUID in capitals is the same GUID, and everything downstream compares text: so it is kept in lower case. What
/// is no GUID stays as it is.
///
/// Reading a record does this to the GUIDs that tell computers and updates apart, whoever wrote it. Who makes a
/// record in another way, and takes its key from it, does it himself.
#[must_use]
pub fn guid_in_lower_case(id: Cow<'_, str>) -> Cow<'_, str> {
    let is_other = id.bytes().any(|byte| byte.is_ascii_uppercase()) && Uuid::try_parse(&id).is_ok();
    if is_other { Cow::Owned(id.to_ascii_lowercase()) } else { id }
}

fn guid<'de: 'a, 'a, D: Deserializer<'de>>(deserializer: D) -> Result<Cow<'a, str>, D::Error> {
    #[derive(Deserialize)]
    #[serde(transparent)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
    Text::deserialize(deserializer).map(|text| guid_in_lower_case(text.0))
}

/// A UUID is text on every wire, whether the format calls itself readable or not.
mod uuid_text {
    use std::borrow::Cow;

    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};
    use uuid::Uuid;

    pub(super) fn serialize<S: Serializer>(id: &Uuid, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(id.hyphenated().encode_lower(&mut Uuid::encode_buffer()))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Uuid, D::Error> {
        let text: Cow<'de, str> = Cow::deserialize(deserializer)?;
        Uuid::try_parse(&text)
            .map_err(|error| D::Error::custom(format!("`{text}` is no UUID: {error}")))
    }
}

report! {
    /// One computer's full snapshot of its updates (`patchline.Scan`).
    Scan {
        #[serde(rename = "OSName", borrow)]
        os_name: Cow<'a, str>,
        #[serde(rename = "OSVersion", borrow)]
        os_version: Cow<'a, str>,
        #[serde(rename = "OSFullName", borrow)]
        os_full_name: Cow<'a, str>,
        #[serde(rename = "RestartPending")]
        restart_pending: bool,
        #[serde(rename = "NETRuntimeVersion", borrow)]
        net_runtime_version: Cow<'a, str>,
        #[serde(rename = "WindowsUpdateAgentVersion", borrow)]
        windows_update_agent_version: Cow<'a, str>,
        #[serde(rename = "WindowsUpdateSetting", borrow)]
        windows_update_setting: Cow<'a, str>,
        #[serde(rename = "WSUSServer", borrow)]
        wsus_server: Cow<'a, str>,
        #[serde(rename = "Updates", borrow)]
        updates: Vec<Update<'a>>,
    }
}

report! {
    /// What became of one update on one computer in an update run (`patchline.RunProgress`).
    RunProgress {
        #[serde(rename = "UpdateRunName", borrow)]
        update_run_name: Cow<'a, str>,
        #[serde(rename = "CorrelationId", borrow)]
        correlation_id: Cow<'a, str>,
        #[serde(rename = "UpdateId", borrow, deserialize_with = "guid")]
        update_id: Cow<'a, str>,
        #[serde(rename = "Title", borrow)]
        title: Cow<'a, str>,
        #[serde(rename = "Product", borrow)]
        product: Cow<'a, str>,
        #[serde(rename = "KBID", borrow)]
        kbid: Cow<'a, str>,
        #[serde(rename = "InstallationStatus", borrow)]
        installation_status: Cow<'a, str>,
        #[serde(rename = "StartTime")]
        start_time: Option<Timestamp>,
        #[serde(rename = "EndTime")]
        end_time: Option<Timestamp>,
        #[serde(rename = "ErrorResult", borrow)]
        error_result: Cow<'a, str>,
        #[serde(rename = "SucceededOnRetry")]
        succeeded_on_retry: bool,
    }
}

report! {
    /// An agent is alive (`patchline.Heartbeat`).
    Heartbeat {
        #[serde(rename = "OSName", borrow)]
        os_name: Cow<'a, str>,
        #[serde(rename = "OSMajorVersion", borrow)]
        os_major_version: Cow<'a, str>,
        #[serde(rename = "OSMinorVersion", borrow)]
        os_minor_version: Cow<'a, str>,
        #[serde(rename = "Category", borrow)]
        category: Cow<'a, str>,
        #[serde(rename = "SCAgentChannel", borrow)]
        sc_agent_channel: Cow<'a, str>,
        #[serde(rename = "Version", borrow)]
        version: Cow<'a, str>,
        #[serde(rename = "ComputerIP", borrow)]
        computer_ip: Cow<'a, str>,
        #[serde(rename = "ComputerPrivateIPs")]
        computer_private_ips: Vec<String>,
        #[serde(rename = "IsGatewayInstalled")]
        is_gateway_installed: bool,
        #[serde(rename = "Solutions", borrow)]
        solutions: Cow<'a, str>,
        #[serde(rename = "RemoteIPCountry", borrow)]
        remote_ip_country: Cow<'a, str>,
        #[serde(rename = "RemoteIPLatitude")]
        remote_ip_latitude: Option<f64>,
        #[serde(rename = "RemoteIPLongitude")]
        remote_ip_longitude: Option<f64>,
    }
}

report! {
    /// An event that a computer logged (`patchline.Event`).
    Event {
        #[serde(rename = "EventLog", borrow)]
        event_log: Cow<'a, str>,
        #[serde(rename = "Source", borrow)]
        source: Cow<'a, str>,
        #[serde(rename = "EventID")]
        event_id: i32,
        #[serde(rename = "EventCategory")]
        event_category: i32,
        #[serde(rename = "EventLevel")]
        event_level: i32,
        #[serde(rename = "EventLevelName", borrow)]
        event_level_name: Cow<'a, str>,
        #[serde(rename = "UserName", borrow)]
        user_name: Cow<'a, str>,
        #[serde(rename = "Message", borrow)]
        message: Cow<'a, str>,
        #[serde(rename = "ParameterXml", borrow)]
        parameter_xml: Cow<'a, str>,
        #[serde(rename = "EventData", borrow)]
        event_data: Cow<'a, str>,
        #[serde(rename = "RenderedDescription", borrow)]
        rendered_description: Cow<'a, str>,
        #[serde(rename = "AzureDeploymentID", borrow)]
        azure_deployment_id: Cow<'a, str>,
        #[serde(rename = "Role", borrow)]
        role: Cow<'a, str>,
    }
}

/// State of an update on a computer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum UpdateState {
    /// Available, and missing on the computer.
    Needed,
    /// Linux: the package is installed and nothing newer is known.
    #[default]
    #[serde(alias = "Not needed")]
    NotNeeded,
    /// Windows: installed.
    Installed,
}

impl UpdateState {
    /// As the `UpdateState` column shows it.
    #[must_use]
    pub fn column_value(self) -> &'static str {
        match self {
            Self::Needed => "Needed",
            Self::NotNeeded => "Not needed",
            Self::Installed => "Installed",
        }
    }
}

/// One update that a scan found (`patchline.Update`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
#[allow(missing_docs, reason = "the .avsc files say what each field means")]
pub struct Update<'a> {
    #[serde(rename = "UpdateState")]
    pub update_state: UpdateState,
    #[serde(rename = "UpdateID", borrow, deserialize_with = "guid")]
    pub update_id: Cow<'a, str>,
    #[serde(rename = "Title", borrow)]
    pub title: Cow<'a, str>,
    #[serde(rename = "Product", borrow)]
    pub product: Cow<'a, str>,
    #[serde(rename = "ProductArch", borrow)]
    pub product_arch: Cow<'a, str>,
    #[serde(rename = "ProductVersion", borrow)]
    pub product_version: Cow<'a, str>,
    #[serde(rename = "KBID", borrow)]
    pub kbid: Cow<'a, str>,
    #[serde(rename = "Classification", borrow)]
    pub classification: Cow<'a, str>,
    #[serde(rename = "PublishedDate")]
    pub published_date: Option<Timestamp>,
    #[serde(rename = "Optional")]
    pub optional: bool,
    #[serde(rename = "Approved")]
    pub approved: bool,
    #[serde(rename = "ApprovalSource", borrow)]
    pub approval_source: Cow<'a, str>,
    #[serde(rename = "RebootBehavior", borrow)]
    pub reboot_behavior: Cow<'a, str>,
    #[serde(rename = "RevisionNumber", borrow)]
    pub revision_number: Cow<'a, str>,
    #[serde(rename = "PackageRepository", borrow)]
    pub package_repository: Cow<'a, str>,
}

impl Default for Update<'_> {
    fn default() -> Self {
        Self {
            update_state: UpdateState::default(),
            update_id: Cow::default(),
            title: Cow::default(),
            product: Cow::default(),
            product_arch: Cow::default(),
            product_version: Cow::default(),
            kbid: Cow::default(),
            classification: Cow::default(),
            published_date: None,
            optional: false,
            approved: true,
            approval_source: Cow::default(),
            reboot_behavior: Cow::default(),
            revision_number: Cow::default(),
            package_repository: Cow::default(),
        }
    }
}

/// What tells two updates of one computer apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum UpdateKey<'a> {
    /// Windows: the update's GUID.
    Id(&'a str),
    /// Linux: package name, architecture and version.
    Package(&'a str, &'a str, &'a str),
}

impl Update<'_> {
    /// The update's identity on a computer of `os_type`.
    #[must_use]
    pub fn key(&self, os_type: &str) -> UpdateKey<'_> {
        if os_type == "Windows" {
            UpdateKey::Id(&self.update_id)
        } else {
            UpdateKey::Package(&self.product, &self.product_arch, &self.product_version)
        }
    }
}

/// What enrichment knows of one update, and why (`patchline.Verdict`).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
#[allow(missing_docs, reason = "the .avsc files say what each field means")]
pub struct Verdict<'a> {
    #[serde(rename = "Classification", borrow)]
    pub classification: Cow<'a, str>,
    #[serde(rename = "ClassificationSource", borrow)]
    pub classification_source: Cow<'a, str>,
    #[serde(rename = "AdvisoryIDs", borrow)]
    pub advisory_ids: Cow<'a, str>,
    #[serde(rename = "MSRCSeverity", borrow)]
    pub msrc_severity: Cow<'a, str>,
    #[serde(rename = "MSRCBulletinID", borrow)]
    pub msrc_bulletin_id: Cow<'a, str>,
    #[serde(rename = "BulletinID", borrow)]
    pub bulletin_id: Cow<'a, str>,
    #[serde(rename = "BulletinUrl", borrow)]
    pub bulletin_url: Cow<'a, str>,
    #[serde(rename = "CVENumbers", borrow)]
    pub cve_numbers: Cow<'a, str>,
    #[serde(rename = "PackageSeverity", borrow)]
    pub package_severity: Cow<'a, str>,
    #[serde(rename = "RebootBehavior", borrow)]
    pub reboot_behavior: Cow<'a, str>,
    #[serde(rename = "PublishedDate")]
    pub published_date: Option<Timestamp>,
    #[serde(rename = "SupersededBy", borrow)]
    pub superseded_by: Cow<'a, str>,
}

/// An update beside its verdict (`patchline.EnrichedUpdate`).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
#[allow(missing_docs, reason = "the .avsc files say what each field means")]
pub struct EnrichedUpdate<'a> {
    #[serde(rename = "Update", borrow)]
    pub update: Update<'a>,
    #[serde(rename = "Verdict", borrow)]
    pub verdict: Verdict<'a>,
}

/// Counts over one scan (`patchline.Summary`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
#[allow(missing_docs, reason = "the .avsc files say what each field means")]
pub struct Summary<'a> {
    #[serde(rename = "CriticalUpdatesMissing")]
    pub critical_updates_missing: i32,
    #[serde(rename = "SecurityUpdatesMissing")]
    pub security_updates_missing: i32,
    #[serde(rename = "OtherUpdatesMissing")]
    pub other_updates_missing: i32,
    #[serde(rename = "TotalUpdatesMissing")]
    pub total_updates_missing: i32,
    #[serde(rename = "OldestMissingSecurityUpdateInDays")]
    pub oldest_missing_security_update_in_days: Option<i32>,
    #[serde(rename = "OldestMissingSecurityUpdateBucket", borrow)]
    pub oldest_missing_security_update_bucket: Cow<'a, str>,
}

/// A scan with a verdict for every update and its summary (`patchline.EnrichedScan`).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
pub struct EnrichedScan<'a> {
    /// The report; its `updates` are empty, each stands beside its verdict below.
    #[serde(rename = "Scan", borrow)]
    pub scan: Scan<'a>,
    /// One a distinct update, in the report's order.
    #[serde(rename = "Updates", borrow)]
    pub updates: Vec<EnrichedUpdate<'a>>,
    /// Counts over the updates.
    #[serde(rename = "Summary", borrow)]
    pub summary: Summary<'a>,
    /// Version of the catalog that judged it.
    #[serde(rename = "CatalogVersion", borrow)]
    pub catalog_version: Cow<'a, str>,
}

/// Run progress with product and KB filled in (`patchline.EnrichedRunProgress`).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
pub struct EnrichedRunProgress<'a> {
    /// As the computer reported it.
    #[serde(rename = "Report", borrow)]
    pub report: RunProgress<'a>,
    /// The report's product, else the one its title names.
    #[serde(rename = "Product", borrow)]
    pub product: Cow<'a, str>,
    /// The report's KB number, else the one its title names.
    #[serde(rename = "KBID", borrow)]
    pub kbid: Cow<'a, str>,
}

/// What a user or an administrator did in Office 365 (`patchline.OfficeActivity`).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
#[allow(missing_docs, reason = "the .avsc files say what each field means")]
pub struct OfficeActivity<'a> {
    #[serde(rename = "ReportId", with = "uuid_text")]
    pub report_id: Uuid,
    #[serde(rename = "TimeGenerated")]
    pub time_generated: Timestamp,
    #[serde(rename = "TenantId", borrow)]
    pub tenant_id: Cow<'a, str>,
    #[serde(rename = "SourceSystem", borrow)]
    pub source_system: Cow<'a, str>,
    #[serde(rename = "ResourceId", borrow)]
    pub resource_id: Cow<'a, str>,
    #[serde(rename = "AADGroupId", borrow)]
    pub aad_group_id: Cow<'a, str>,
    #[serde(rename = "AADTarget", borrow)]
    pub aad_target: Cow<'a, str>,
    #[serde(rename = "Activity", borrow)]
    pub activity: Cow<'a, str>,
    #[serde(rename = "Actor", borrow)]
    pub actor: Cow<'a, str>,
    #[serde(rename = "ActorContextId", borrow)]
    pub actor_context_id: Cow<'a, str>,
    #[serde(rename = "ActorIpAddress", borrow)]
    pub actor_ip_address: Cow<'a, str>,
    #[serde(rename = "AddOnGuid", borrow)]
    pub add_on_guid: Cow<'a, str>,
    #[serde(rename = "AddonName", borrow)]
    pub addon_name: Cow<'a, str>,
    #[serde(rename = "AddOnType", borrow)]
    pub add_on_type: Cow<'a, str>,
    #[serde(rename = "AffectedItems", borrow)]
    pub affected_items: Cow<'a, str>,
    #[serde(rename = "AppDistributionMode", borrow)]
    pub app_distribution_mode: Cow<'a, str>,
    #[serde(rename = "AppId", borrow)]
    pub app_id: Cow<'a, str>,
    #[serde(rename = "Application", borrow)]
    pub application: Cow<'a, str>,
    #[serde(rename = "ApplicationId", borrow)]
    pub application_id: Cow<'a, str>,
    #[serde(rename = "AppPoolName", borrow)]
    pub app_pool_name: Cow<'a, str>,
    #[serde(rename = "AzureActiveDirectory_EventType", borrow)]
    pub azure_active_directory_event_type: Cow<'a, str>,
    #[serde(rename = "AzureADAppId", borrow)]
    pub azure_ad_app_id: Cow<'a, str>,
    #[serde(rename = "ChannelGuid", borrow)]
    pub channel_guid: Cow<'a, str>,
    #[serde(rename = "ChannelName", borrow)]
    pub channel_name: Cow<'a, str>,
    #[serde(rename = "ChannelType", borrow)]
    pub channel_type: Cow<'a, str>,
    #[serde(rename = "ChatName", borrow)]
    pub chat_name: Cow<'a, str>,
    #[serde(rename = "ChatThreadId", borrow)]
    pub chat_thread_id: Cow<'a, str>,
    #[serde(rename = "Client", borrow)]
    pub client: Cow<'a, str>,
    #[serde(rename = "Client_IPAddress", borrow)]
    pub client_ip_address: Cow<'a, str>,
    #[serde(rename = "ClientAppId", borrow)]
    pub client_app_id: Cow<'a, str>,
    #[serde(rename = "ClientInfoString", borrow)]
    pub client_info_string: Cow<'a, str>,
    #[serde(rename = "ClientIP", borrow)]
    pub client_ip: Cow<'a, str>,
    #[serde(rename = "ClientMachineName", borrow)]
    pub client_machine_name: Cow<'a, str>,
    #[serde(rename = "ClientProcessName", borrow)]
    pub client_process_name: Cow<'a, str>,
    #[serde(rename = "ClientVersion", borrow)]
    pub client_version: Cow<'a, str>,
    #[serde(rename = "CommunicationType", borrow)]
    pub communication_type: Cow<'a, str>,
    #[serde(rename = "CrossMailboxOperations")]
    pub cross_mailbox_operations: Option<bool>,
    #[serde(rename = "CustomEvent", borrow)]
    pub custom_event: Cow<'a, str>,
    #[serde(rename = "DataCenterSecurityEventType")]
    pub data_center_security_event_type: Option<i32>,
    #[serde(rename = "DestFolder", borrow)]
    pub dest_folder: Cow<'a, str>,
    #[serde(rename = "DestinationFileExtension", borrow)]
    pub destination_file_extension: Cow<'a, str>,
    #[serde(rename = "DestinationFileName", borrow)]
    pub destination_file_name: Cow<'a, str>,
    #[serde(rename = "DestinationRelativeUrl", borrow)]
    pub destination_relative_url: Cow<'a, str>,
    #[serde(rename = "DestMailboxId", borrow)]
    pub dest_mailbox_id: Cow<'a, str>,
    #[serde(rename = "DestMailboxOwnerMasterAccountSid", borrow)]
    pub dest_mailbox_owner_master_account_sid: Cow<'a, str>,
    #[serde(rename = "DestMailboxOwnerSid", borrow)]
    pub dest_mailbox_owner_sid: Cow<'a, str>,
    #[serde(rename = "DestMailboxOwnerUPN", borrow)]
    pub dest_mailbox_owner_upn: Cow<'a, str>,
    #[serde(rename = "EffectiveOrganization", borrow)]
    pub effective_organization: Cow<'a, str>,
    #[serde(rename = "ElevationApprovedTime")]
    pub elevation_approved_time: Option<Timestamp>,
    #[serde(rename = "ElevationApprover", borrow)]
    pub elevation_approver: Cow<'a, str>,
    #[serde(rename = "ElevationDuration")]
    pub elevation_duration: Option<i32>,
    #[serde(rename = "ElevationRequestId", borrow)]
    pub elevation_request_id: Cow<'a, str>,
    #[serde(rename = "ElevationRole", borrow)]
    pub elevation_role: Cow<'a, str>,
    #[serde(rename = "ElevationTime")]
    pub elevation_time: Option<Timestamp>,
    #[serde(rename = "Event_Data", borrow)]
    pub event_data: Cow<'a, str>,
    #[serde(rename = "EventSource", borrow)]
    pub event_source: Cow<'a, str>,
    #[serde(rename = "ExtendedProperties", borrow)]
    pub extended_properties: Cow<'a, str>,
    #[serde(rename = "ExternalAccess", borrow)]
    pub external_access: Cow<'a, str>,
    #[serde(rename = "ExtraProperties", borrow)]
    pub extra_properties: Cow<'a, str>,
    #[serde(rename = "Folder", borrow)]
    pub folder: Cow<'a, str>,
    #[serde(rename = "Folders", borrow)]
    pub folders: Cow<'a, str>,
    #[serde(rename = "GenericInfo", borrow)]
    pub generic_info: Cow<'a, str>,
    #[serde(rename = "InternalLogonType")]
    pub internal_logon_type: Option<i32>,
    #[serde(rename = "InterSystemsId", borrow)]
    pub inter_systems_id: Cow<'a, str>,
    #[serde(rename = "IntraSystemId", borrow)]
    pub intra_system_id: Cow<'a, str>,
    #[serde(rename = "IsManagedDevice")]
    pub is_managed_device: Option<bool>,
    #[serde(rename = "Item", borrow)]
    pub item: Cow<'a, str>,
    #[serde(rename = "ItemName", borrow)]
    pub item_name: Cow<'a, str>,
    #[serde(rename = "ItemType", borrow)]
    pub item_type: Cow<'a, str>,
    #[serde(rename = "LoginStatus")]
    pub login_status: Option<i32>,
    #[serde(rename = "Logon_Type", borrow)]
    pub logon_type: Cow<'a, str>,
    #[serde(rename = "LogonUserDisplayName", borrow)]
    pub logon_user_display_name: Cow<'a, str>,
    #[serde(rename = "LogonUserSid", borrow)]
    pub logon_user_sid: Cow<'a, str>,
    #[serde(rename = "MachineDomainInfo", borrow)]
    pub machine_domain_info: Cow<'a, str>,
    #[serde(rename = "MachineId", borrow)]
    pub machine_id: Cow<'a, str>,
    #[serde(rename = "MailboxGuid", borrow)]
    pub mailbox_guid: Cow<'a, str>,
    #[serde(rename = "MailboxOwnerMasterAccountSid", borrow)]
    pub mailbox_owner_master_account_sid: Cow<'a, str>,
    #[serde(rename = "MailboxOwnerSid", borrow)]
    pub mailbox_owner_sid: Cow<'a, str>,
    #[serde(rename = "MailboxOwnerUPN", borrow)]
    pub mailbox_owner_upn: Cow<'a, str>,
    #[serde(rename = "Members", borrow)]
    pub members: Cow<'a, str>,
    #[serde(rename = "MessageId", borrow)]
    pub message_id: Cow<'a, str>,
    #[serde(rename = "ModifiedObjectResolvedName", borrow)]
    pub modified_object_resolved_name: Cow<'a, str>,
    #[serde(rename = "ModifiedProperties", borrow)]
    pub modified_properties: Cow<'a, str>,
    #[serde(rename = "Name", borrow)]
    pub name: Cow<'a, str>,
    #[serde(rename = "NewValue", borrow)]
    pub new_value: Cow<'a, str>,
    #[serde(rename = "OfficeId", borrow)]
    pub office_id: Cow<'a, str>,
    #[serde(rename = "OfficeObjectId", borrow)]
    pub office_object_id: Cow<'a, str>,
    #[serde(rename = "OfficeTenantId", borrow)]
    pub office_tenant_id: Cow<'a, str>,
    #[serde(rename = "OfficeWorkload", borrow)]
    pub office_workload: Cow<'a, str>,
    #[serde(rename = "OldValue", borrow)]
    pub old_value: Cow<'a, str>,
    #[serde(rename = "Operation", borrow)]
    pub operation: Cow<'a, str>,
    #[serde(rename = "OperationProperties", borrow)]
    pub operation_properties: Cow<'a, str>,
    #[serde(rename = "OperationScope", borrow)]
    pub operation_scope: Cow<'a, str>,
    #[serde(rename = "OrganizationId", borrow)]
    pub organization_id: Cow<'a, str>,
    #[serde(rename = "OrganizationName", borrow)]
    pub organization_name: Cow<'a, str>,
    #[serde(rename = "OriginatingServer", borrow)]
    pub originating_server: Cow<'a, str>,
    #[serde(rename = "Parameters", borrow)]
    pub parameters: Cow<'a, str>,
    #[serde(rename = "RecordType", borrow)]
    pub record_type: Cow<'a, str>,
    #[serde(rename = "ResultReasonType", borrow)]
    pub result_reason_type: Cow<'a, str>,
    #[serde(rename = "ResultStatus", borrow)]
    pub result_status: Cow<'a, str>,
    #[serde(rename = "SendAsUserMailboxGuid", borrow)]
    pub send_as_user_mailbox_guid: Cow<'a, str>,
    #[serde(rename = "SendAsUserSmtp", borrow)]
    pub send_as_user_smtp: Cow<'a, str>,
    #[serde(rename = "SendonBehalfOfUserMailboxGuid", borrow)]
    pub sendon_behalf_of_user_mailbox_guid: Cow<'a, str>,
    #[serde(rename = "SendOnBehalfOfUserSmtp", borrow)]
    pub send_on_behalf_of_user_smtp: Cow<'a, str>,
    #[serde(rename = "SharingType", borrow)]
    pub sharing_type: Cow<'a, str>,
    #[serde(rename = "Site_", borrow)]
    pub site: Cow<'a, str>,
    #[serde(rename = "Site_Url", borrow)]
    pub site_url: Cow<'a, str>,
    #[serde(rename = "Source_Name", borrow)]
    pub source_name: Cow<'a, str>,
    #[serde(rename = "SourceFileExtension", borrow)]
    pub source_file_extension: Cow<'a, str>,
    #[serde(rename = "SourceFileName", borrow)]
    pub source_file_name: Cow<'a, str>,
    #[serde(rename = "SourceRecordId", borrow)]
    pub source_record_id: Cow<'a, str>,
    #[serde(rename = "SourceRelativeUrl", borrow)]
    pub source_relative_url: Cow<'a, str>,
    #[serde(rename = "SRPolicyId", borrow)]
    pub sr_policy_id: Cow<'a, str>,
    #[serde(rename = "SRPolicyName", borrow)]
    pub sr_policy_name: Cow<'a, str>,
    #[serde(rename = "SRRuleMatchDetails", borrow)]
    pub sr_rule_match_details: Cow<'a, str>,
    #[serde(rename = "Start_Time")]
    pub start_time: Option<Timestamp>,
    #[serde(rename = "SupportTicketId", borrow)]
    pub support_ticket_id: Cow<'a, str>,
    #[serde(rename = "TabType", borrow)]
    pub tab_type: Cow<'a, str>,
    #[serde(rename = "TargetContextId", borrow)]
    pub target_context_id: Cow<'a, str>,
    #[serde(rename = "TargetUserId", borrow)]
    pub target_user_id: Cow<'a, str>,
    #[serde(rename = "TargetUserOrGroupName", borrow)]
    pub target_user_or_group_name: Cow<'a, str>,
    #[serde(rename = "TargetUserOrGroupType", borrow)]
    pub target_user_or_group_type: Cow<'a, str>,
    #[serde(rename = "TeamGuid", borrow)]
    pub team_guid: Cow<'a, str>,
    #[serde(rename = "TeamName", borrow)]
    pub team_name: Cow<'a, str>,
    #[serde(rename = "UserAgent", borrow)]
    pub user_agent: Cow<'a, str>,
    #[serde(rename = "UserDomain", borrow)]
    pub user_domain: Cow<'a, str>,
    #[serde(rename = "UserId", borrow)]
    pub user_id: Cow<'a, str>,
    #[serde(rename = "UserKey", borrow)]
    pub user_key: Cow<'a, str>,
    #[serde(rename = "UserSharedWith", borrow)]
    pub user_shared_with: Cow<'a, str>,
    #[serde(rename = "UserType", borrow)]
    pub user_type: Cow<'a, str>,
}

/// A record of a log without a table of its own (`patchline.CustomLog`).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
#[allow(missing_docs, reason = "the .avsc files say what each field means")]
pub struct CustomLog<'a> {
    #[serde(rename = "ReportId", with = "uuid_text")]
    pub report_id: Uuid,
    #[serde(rename = "TimeGenerated")]
    pub time_generated: Timestamp,
    #[serde(rename = "WorkspaceId", borrow)]
    pub workspace_id: Cow<'a, str>,
    #[serde(rename = "LogType", borrow)]
    pub log_type: Cow<'a, str>,
    #[serde(rename = "ResourceId", borrow)]
    pub resource_id: Cow<'a, str>,
    #[serde(rename = "Record", borrow)]
    pub record: Cow<'a, str>,
}

/// How often a deployment runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Schedule {
    /// Once.
    #[default]
    OneTime,
    /// Every so many weeks.
    Weekly,
    /// Every so many months.
    Monthly,
}

impl Schedule {
    /// As the `Schedule` column shows it.
    #[must_use]
    pub fn column_value(self) -> &'static str {
        match self {
            Self::OneTime => "One Time",
            Self::Weekly => "Recurring Weekly",
            Self::Monthly => "Recurring Monthly",
        }
    }
}

/// Which updates are to be installed on which computers, and when (`patchline.UpdateDeployment`).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
#[allow(missing_docs, reason = "the .avsc files say what each field means")]
pub struct UpdateDeployment<'a> {
    #[serde(rename = "ReportId", with = "uuid_text")]
    pub report_id: Uuid,
    #[serde(rename = "Name", borrow)]
    pub name: Cow<'a, str>,
    #[serde(rename = "TimeGenerated")]
    pub time_generated: Timestamp,
    #[serde(rename = "ManagementGroupName", borrow)]
    pub management_group_name: Cow<'a, str>,
    #[serde(rename = "OSType", borrow)]
    pub os_type: Cow<'a, str>,
    #[serde(rename = "Schedule")]
    pub schedule: Schedule,
    #[serde(rename = "TimeZone", borrow)]
    pub time_zone: Cow<'a, str>,
    #[serde(rename = "StartTime", borrow)]
    pub start_time: Cow<'a, str>,
    #[serde(rename = "ExpiryTime", borrow)]
    pub expiry_time: Cow<'a, str>,
    #[serde(rename = "Interval")]
    pub interval: i32,
    #[serde(rename = "Weekdays")]
    pub weekdays: Vec<String>,
    #[serde(rename = "MonthDays")]
    pub month_days: Vec<i32>,
    #[serde(rename = "DurationMinutes")]
    pub duration_minutes: i32,
    #[serde(rename = "Computers")]
    pub computers: Vec<String>,
    #[serde(rename = "ComputerGroups")]
    pub computer_groups: Vec<String>,
    #[serde(rename = "Classifications")]
    pub classifications: Vec<String>,
    #[serde(rename = "Exclusions")]
    pub exclusions: Vec<String>,
    #[serde(rename = "Deleted")]
    pub deleted: bool,
    #[serde(rename = "Starts")]
    pub starts: Vec<Timestamp>,
}

/// A knowledge base update for one product (`patchline.KbFix`).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
#[allow(missing_docs, reason = "the .avsc files say what each field means")]
pub struct KbFix<'a> {
    #[serde(rename = "KBID", borrow)]
    pub kbid: Cow<'a, str>,
    #[serde(rename = "Product", borrow)]
    pub product: Cow<'a, str>,
    #[serde(rename = "ProductId", borrow)]
    pub product_id: Cow<'a, str>,
    #[serde(rename = "Severity", borrow)]
    pub severity: Cow<'a, str>,
    #[serde(rename = "CVENumbers")]
    pub cve_numbers: Vec<String>,
    #[serde(rename = "RestartRequired", borrow)]
    pub restart_required: Cow<'a, str>,
    #[serde(rename = "Supersedes")]
    pub supersedes: Vec<String>,
    #[serde(rename = "Type", borrow)]
    pub kind: Cow<'a, str>,
    #[serde(rename = "Url", borrow)]
    pub url: Cow<'a, str>,
}

/// A package's first version that is not affected (`patchline.PackageFix`).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
#[allow(missing_docs, reason = "the .avsc files say what each field means")]
pub struct PackageFix<'a> {
    #[serde(rename = "Distribution", borrow)]
    pub distribution: Cow<'a, str>,
    #[serde(rename = "Release", borrow)]
    pub release: Cow<'a, str>,
    #[serde(rename = "Package", borrow)]
    pub package: Cow<'a, str>,
    #[serde(rename = "Source")]
    pub source: bool,
    #[serde(rename = "Arch", borrow)]
    pub arch: Cow<'a, str>,
    #[serde(rename = "Module", borrow)]
    pub module: Cow<'a, str>,
    #[serde(rename = "Introduced", borrow)]
    pub introduced: Cow<'a, str>,
    #[serde(rename = "Fixed", borrow)]
    pub fixed: Cow<'a, str>,
}

/// One entry of the catalog (`patchline.Advisory`).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
#[allow(missing_docs, reason = "the .avsc files say what each field means")]
pub struct Advisory<'a> {
    #[serde(rename = "Id", borrow)]
    pub id: Cow<'a, str>,
    #[serde(rename = "Source", borrow)]
    pub source: Cow<'a, str>,
    #[serde(rename = "Kind", borrow)]
    pub kind: Cow<'a, str>,
    #[serde(rename = "Title", borrow)]
    pub title: Cow<'a, str>,
    #[serde(rename = "Severity", borrow)]
    pub severity: Cow<'a, str>,
    #[serde(rename = "BulletinID", borrow)]
    pub bulletin_id: Cow<'a, str>,
    #[serde(rename = "BulletinUrl", borrow)]
    pub bulletin_url: Cow<'a, str>,
    #[serde(rename = "CVENumbers")]
    pub cve_numbers: Vec<String>,
    #[serde(rename = "Published")]
    pub published: Option<Timestamp>,
    #[serde(rename = "Modified")]
    pub modified: Option<Timestamp>,
    #[serde(rename = "Withdrawn")]
    pub withdrawn: bool,
    #[serde(rename = "KbFixes", borrow)]
    pub kb_fixes: Vec<KbFix<'a>>,
    #[serde(rename = "PackageFixes", borrow)]
    pub package_fixes: Vec<PackageFix<'a>>,
}

/// Declares what a record that is no computer's report tells of itself.
macro_rules! keyed {
    ($($name:ident by $key:expr;)*) => {$(
        impl Report for $name<'_> {
            fn report_id(&self) -> Uuid {
                self.report_id
            }
            fn key(&self) -> &str {
                let key: fn(&Self) -> &str = $key;
                key(self)
            }
            fn time_generated(&self) -> Timestamp {
                self.time_generated
            }
        }
    )*};
}

keyed! {
    OfficeActivity by |record| {
        let tenants = [&record.office_tenant_id, &record.organization_id, &record.tenant_id];
        tenants.into_iter().find(|id| !id.is_empty()).map_or("", |id| id)
    };
    CustomLog by |record| &record.workspace_id;
    UpdateDeployment by |record| &record.name;
}
