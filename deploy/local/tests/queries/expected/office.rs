//! `OfficeActivity`.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use patchline_schemas::OfficeActivity;
use serde_json::{Value, json};

use super::{Answer, Facts, Work, resource, table, time};

pub(super) const ALL: &[(&str, Work)] = &[
    ("office-activity/all", |facts| {
        let rows = facts.truth.office_activity.iter().map(|record| {
            json!([
                time(record.time_generated),
                record.user_id,
                record.operation,
                record.office_workload,
                record.record_type,
                resource(&record.resource_id),
            ])
        });
        table("TimeGenerated UserId Operation OfficeWorkload RecordType _ResourceId", rows)
            .descending("TimeGenerated")
    }),
    ("office-activity/users-accessing-files", |facts| {
        files(facts, &["FileDownloaded", "FileAccessed"])
    }),
    ("office-activity/file-uploads", |facts| files(facts, &["FileUploaded"])),
    ("office-activity/activity-of-a-user", |facts| {
        let records = facts.truth.office_activity.iter();
        let rows = records.filter(|record| record.user_id == "osotnoc@contoso.com").map(|record| {
            json!([
                time(record.time_generated),
                record.office_workload,
                record.operation,
                record.result_status,
                record.office_object_id,
                resource(&record.resource_id),
            ])
        });
        table(
            "TimeGenerated OfficeWorkload Operation ResultStatus OfficeObjectId _ResourceId",
            rows,
        )
    }),
    ("office-activity/forward-rules", |facts| {
        let rows = facts.truth.office_activity.iter().filter_map(|record| {
            let rule = match &*record.operation {
                "Set-TransportRule" => json!(record.office_object_id),
                "New-TransportRule" => {
                    let parameters: Value = serde_json::from_str(&record.parameters).unwrap();
                    parameters[1]["Value"].clone()
                }
                _ => return None,
            };
            Some(json!([
                time(record.time_generated),
                record.client_ip,
                record.user_id,
                record.operation,
                rule,
                resource(&record.resource_id),
            ]))
        });
        table("TimeGenerated ClientIP UserId Operation RuleName _ResourceId", rows)
    }),
    ("office-activity/suspicious-file-names", |facts| {
        let hides = |record: &&OfficeActivity<'_>| {
            let (rest, ending) = record.source_file_name.rsplit_once('.').unwrap_or_default();
            rest.ends_with(".exe") && ending.len() <= 4
        };
        let rows = facts.truth.office_activity.iter().filter(hides).map(|record| {
            json!([
                time(record.time_generated),
                record.user_id,
                record.operation,
                record.office_object_id,
                record.source_file_name,
                record.client_ip,
                record.office_tenant_id,
                record.report_id,
            ])
        });
        let columns = "TimeGenerated UserId Operation OfficeObjectId SourceFileName ClientIP OfficeTenantId \
            ReportId";
        table(columns, rows)
    }),
];

/// Users by the number of different files that they did one of these to.
fn files(facts: &Facts, operations: &[&str]) -> Answer {
    let mut files: BTreeMap<(&str, String), BTreeSet<&str>> = BTreeMap::new();
    for record in &facts.truth.office_activity {
        let there = ["OneDrive", "SharePoint"].contains(&&*record.office_workload);
        if there && operations.contains(&&*record.operation) {
            let user = (&*record.user_id, resource(&record.resource_id));
            files.entry(user).or_default().insert(&record.office_object_id);
        }
    }
    let mut users: Vec<_> =
        files.into_iter().map(|(user, files)| (Reverse(files.len()), user)).collect();
    users.sort();
    let rows =
        users.into_iter().map(|(Reverse(count), (user, resource))| json!([user, resource, count]));
    table("UserId _ResourceId AccessedFilesCount", rows).exact()
}
