//! `UpdateRunProgress`.

use std::collections::BTreeMap;

use patchline_schemas::RunProgress;
use serde_json::json;

use super::{Answer, Facts, Work, count_by, counted, table, within};

pub(super) const ALL: &[(&str, Work)] = &[
    ("update-run-progress/failed-updates-by-title", |facts| {
        failed(facts, "Title", |report| &report.title)
    }),
    ("update-run-progress/failed-updates-by-product", |facts| {
        failed(facts, "Product", |report| &report.product)
    }),
    ("update-run-progress/update-runs", |facts| {
        let runs = facts.truth.run_progress.iter().map(|report| &*report.update_run_name);
        count_by("UpdateRunName", "AggregatedValue", runs)
    }),
    ("update-run-progress/computers-of-an-update-run", |facts| {
        let reports = facts.truth.run_progress.iter();
        let reports = reports.filter(|report| report.update_run_name == "DeploymentName");
        count_by("Computer", "AggregatedValue", reports.map(|report| &*report.computer))
    }),
    ("update-run-progress/patch-installation-failures", |facts| {
        let mut last = BTreeMap::new();
        for report in &facts.truth.run_progress {
            if within(report.time_generated, 24) {
                let update = (
                    &*report.computer,
                    &*report.title,
                    &*report.source_computer_id,
                    &*report.update_run_name,
                    &*report.update_id,
                );
                let newest = last.entry(update).or_insert(report);
                if report.time_generated > newest.time_generated {
                    *newest = report;
                }
            }
        }
        let unsuccessful = last.into_values().filter(|report| {
            is_failure(report) || report.installation_status == "MaintenanceWindowExceeded"
        });
        let rows = unsuccessful.map(|report| {
            json!([report.title, report.installation_status, report.computer, report.resource_id])
        });
        table("Title InstallationStatus Computer ResourceId", rows)
    }),
];

fn is_failure(report: &RunProgress<'_>) -> bool {
    ["Failed", "FailedToStart", "InstallFailed"].contains(&&*report.installation_status)
}

fn failed(
    facts: &Facts,
    column: &str,
    of: fn(&'static RunProgress<'static>) -> &'static str,
) -> Answer {
    let failures = facts.truth.run_progress.iter().filter(|report| is_failure(report));
    let keys = failures.map(|report| (&*report.computer, of(report), &*report.update_run_name));
    let rows = counted(keys).into_iter();
    let rows = rows.map(|((computer, value, run), count)| json!([computer, value, run, count]));
    table(&format!("Computer {column} UpdateRunName AggregatedValue"), rows).exact()
}
