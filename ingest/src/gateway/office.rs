//! Office 365 audit records, as the Management Activity API hands them out or as the columns of the
//! `OfficeActivity` table.
//!
//! Both spellings of a field are taken ([`COLUMNS`]); kinds of record and of user that the API gives as
//! numbers become the names that the table has. Lists and objects are kept as their JSON text. Nothing of a
//! record is dropped: fields without a column are appended to `ExtraProperties`, a list of `Key` and
//! `Value` as the API itself has it. A misspelt field is found there.

use std::borrow::Cow;

use patchline_schemas::OfficeActivity;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::bag::{Bag, Field, Rules};
use super::problem::{Problem, Reason};

/// (the API's name of a field, its column).
pub(super) const COLUMNS: [(&str, &str); 13] = [
    ("Id", "OfficeId"),
    ("CreationTime", "TimeGenerated"),
    ("Workload", "OfficeWorkload"),
    ("ObjectId", "OfficeObjectId"),
    ("Site", "Site_"),
    ("SiteUrl", "Site_Url"),
    ("SourceName", "Source_Name"),
    ("EventData", "Event_Data"),
    ("LogonType", "Logon_Type"),
    ("ClientIPAddress", "Client_IPAddress"),
    ("AzureActiveDirectoryEventType", "AzureActiveDirectory_EventType"),
    ("StartTime", "Start_Time"),
    ("Target", "AADTarget"),
];

/// Kinds of record: the API's number and the table's name. Others stay numbers.
const RECORD_TYPES: [(&str, &str); 27] = [
    ("1", "ExchangeAdmin"),
    ("2", "ExchangeItem"),
    ("3", "ExchangeItemGroup"),
    ("4", "SharePoint"),
    ("6", "SharePointFileOperation"),
    ("7", "OneDrive"),
    ("8", "AzureActiveDirectory"),
    ("9", "AzureActiveDirectoryAccountLogon"),
    ("10", "DataCenterSecurityCmdlet"),
    ("11", "ComplianceDLPSharePoint"),
    ("12", "Sway"),
    ("13", "ComplianceDLPExchange"),
    ("14", "SharePointSharingOperation"),
    ("15", "AzureActiveDirectoryStsLogon"),
    ("16", "SkypeForBusinessPSTNUsage"),
    ("17", "SkypeForBusinessUsersBlocked"),
    ("18", "SecurityComplianceCenterEOPCmdlet"),
    ("19", "ExchangeAggregatedOperation"),
    ("20", "PowerBIAudit"),
    ("21", "CRM"),
    ("22", "Yammer"),
    ("23", "SkypeForBusinessCmdlets"),
    ("24", "Discovery"),
    ("25", "MicrosoftTeams"),
    ("28", "ThreatIntelligence"),
    ("36", "SharePointListOperation"),
    ("40", "SecurityComplianceAlerts"),
];

/// Kinds of user, likewise.
const USER_TYPES: [(&str, &str); 9] = [
    ("0", "Regular"),
    ("1", "Reserved"),
    ("2", "Admin"),
    ("3", "DcAdmin"),
    ("4", "System"),
    ("5", "Application"),
    ("6", "ServicePrincipal"),
    ("7", "CustomPolicy"),
    ("8", "SystemPolicy"),
];

/// Columns that the tables add by themselves; a record that was exported from one has them.
pub(super) const DERIVED: [&str; 7] =
    ["Type", "_BilledSize", "_IsBillable", "_ResourceId", "_SubscriptionId", "MG", "RawData"];

/// The record that an item's fields make.
pub(super) fn record<'a>(mut bag: Bag<'a>) -> Result<OfficeActivity<'a>, Problem> {
    let mut renamed = Vec::new();
    for (api, column) in COLUMNS {
        if bag.rename(api, column) {
            renamed.push((api, column));
        }
    }
    let read = bag.record(Rules { utc: true }).map_err(|problem| problem.in_sent_terms(&renamed));
    let (mut record, unknown): (OfficeActivity<'a>, _) = read?;
    name(&mut record.record_type, &RECORD_TYPES);
    name(&mut record.user_type, &USER_TYPES);
    let extra: Vec<Field<'a>> =
        unknown.into_iter().filter(|(name, _)| !DERIVED.contains(&&**name)).collect();
    if !extra.is_empty() {
        record.extra_properties = append(&record.extra_properties, &extra)?.into();
    }
    Ok(record)
}

fn name<'a>(field: &mut Cow<'a, str>, names: &[(&str, &'static str)]) {
    if let Some((_, name)) = names.iter().find(|(number, _)| number == field) {
        *field = Cow::Borrowed(name);
    }
}

/// `extra` behind the list that the record came with. What it came with and is no list is one more entry.
fn append(list: &str, extra: &[Field<'_>]) -> Result<String, Problem> {
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Property<'p> {
        key: &'p str,
        value: Box<RawValue>,
    }
    let json = |text: Cow<'_, str>| RawValue::from_string(text.into_owned());
    let properties = || -> serde_json::Result<String> {
        let mut all = Vec::new();
        if list.starts_with('[') {
            all = Vec::<Box<RawValue>>::deserialize(&mut serde_json::Deserializer::from_str(list))?;
        } else if !list.is_empty() {
            let value = json(list.into()).or_else(|_| serde_json::value::to_raw_value(list))?;
            all.push(serde_json::value::to_raw_value(&Property { key: "ExtraProperties", value })?);
        }
        for (name, value) in extra {
            let property = Property { key: name, value: json(value.json())? };
            all.push(serde_json::value::to_raw_value(&property)?);
        }
        serde_json::to_string(&all)
    };
    properties().map_err(|error| {
        Problem::new(Reason::Malformed, error.to_string()).in_field("ExtraProperties")
    })
}

#[cfg(test)]
mod tests {
    use patchline_schemas::Timestamp;

    use super::*;

    /// Written for this test after the API's published schema.
    const OF_API: &str = r#"{
        "CreationTime": "2017-06-01T12:00:00", "Id": "5b7f2a1c-0b44-4d0c-6f07-08d4a8ed8a55",
        "Operation": "FileDownloaded", "OrganizationId": "2f1c5a0e-60d1-4c9e-a2f8-9b0c4b7c1d22",
        "RecordType": 6, "UserKey": "i:0h.f|membership|1003@live.com", "UserType": 0, "Version": 1,
        "Workload": "OneDrive", "ClientIP": "192.0.2.17", "ObjectId": "https://contoso/a.docx",
        "UserId": "ann@contoso.com", "EventSource": "SharePoint", "ItemType": "File",
        "Site": "7d7e", "SiteUrl": "https://contoso/", "SourceFileName": "a.docx",
        "ModifiedProperties": [{"Name": "x", "OldValue": "1", "NewValue": "2"}],
        "ExtraProperties": [{"Key": "OsName", "Value": "windows"}], "IsManagedDevice": false
    }"#;

    #[test]
    fn a_record_of_the_api_becomes_a_row() {
        let record = record(Bag::from_json(OF_API).unwrap()).unwrap();
        assert_eq!(record.office_id, "5b7f2a1c-0b44-4d0c-6f07-08d4a8ed8a55");
        assert_eq!(record.time_generated, Timestamp(1_496_318_400_000));
        assert_eq!(
            (&*record.office_workload, &*record.record_type),
            ("OneDrive", "SharePointFileOperation")
        );
        assert_eq!((&*record.user_type, &*record.site), ("Regular", "7d7e"));
        assert_eq!(record.site_url, "https://contoso/");
        assert_eq!(
            record.modified_properties,
            r#"[{"Name": "x", "OldValue": "1", "NewValue": "2"}]"#
        );
        assert_eq!(
            record.extra_properties,
            r#"[{"Key": "OsName", "Value": "windows"},{"Key":"Version","Value":1}]"#
        );
    }

    #[test]
    fn a_row_of_the_table_becomes_itself() {
        let row = r#"{"TimeGenerated": "2017-06-01T12:00:00Z", "OfficeId": "o", "RecordType": "OneDrive",
            "Operation": "x", "OfficeTenantId": "t", "Type": "OfficeActivity", "Id": "mine",
            "ExtraProperties": "plain"}"#;
        let record = record(Bag::from_json(row).unwrap()).unwrap();
        assert_eq!((&*record.office_id, &*record.record_type), ("o", "OneDrive"));
        assert_eq!(
            record.extra_properties,
            r#"[{"Key":"ExtraProperties","Value":"plain"},{"Key":"Id","Value":"mine"}]"#
        );
    }
}
