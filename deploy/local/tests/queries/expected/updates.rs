//! `Update` and `UpdateSummary`.

use std::collections::{BTreeMap, BTreeSet};

use patchline_schemas::Scan;
use serde_json::{Value, json};

use super::heartbeats::onboarded;
use super::{Answer, Fact, Facts, Work, count_by, counted, resource, table, time, within};

pub(super) const ALL: &[(&str, Work)] = &[
    ("update/windows-computers-that-need-updates", |facts| {
        computers(facts, |row| !row.linux() && row.required() && row.update.approved)
    }),
    ("update/linux-computers-that-need-updates", |facts| {
        computers(facts, |row| row.linux() && row.needed())
    }),
    ("update/missing-updates-with-severity", |facts| {
        list(
            facts,
            "Computer Title KBID Classification UpdateSeverity PublishedDate",
            Fact::required,
        )
    }),
    ("update/missing-updates", |facts| {
        list(facts, "Computer Title KBID Classification PublishedDate", Fact::required)
    }),
    ("update/missing-updates-of-a-computer-with-severity", |facts| {
        list(facts, "Computer Title KBID Product UpdateSeverity PublishedDate", |row| {
            row.required() && row.scan.computer == "COMPUTER01.contoso.com"
        })
    }),
    ("update/missing-updates-of-a-computer", |facts| {
        list(facts, "Computer Title KBID Product PublishedDate", |row| {
            row.required() && row.scan.computer == "ContosoVM1.contoso.com"
        })
    }),
    ("update/missing-critical-or-security-updates", |facts| {
        list(facts, WIDE, |row| row.required() && row.grave())
    }),
    ("update/critical-or-security-updates-where-updates-are-manual", |facts| {
        let manual = manual(facts);
        let wanted =
            |row: &Fact| row.required() && row.grave() && manual.contains(&*row.scan.computer);
        let kbs: BTreeSet<&str> =
            facts.updates.iter().filter(|row| wanted(row)).map(|row| &*row.update.kbid).collect();
        table("KBID", kbs.into_iter().map(|kb| json!([kb]))).exact()
    }),
    ("update/missing-update-rollups-with-severity", |facts| {
        list(facts, "Computer Title KBID Classification UpdateSeverity PublishedDate", rollup)
    }),
    ("update/distinct-missing-updates", |facts| {
        let rows = facts.updates.iter().filter(|row| row.required());
        let titles: BTreeSet<&str> = rows.map(|row| &*row.update.title).collect();
        table("Title", titles.into_iter().map(|title| json!([title]))).exact()
    }),
    ("update/linux-computers-missing-critical-or-security-updates", |facts| {
        computers(facts, |row| row.linux() && row.needed() && row.grave())
    }),
    ("update/available-packages", |facts| list(facts, WIDE, |row| row.linux() && row.needed())),
    ("update/available-critical-or-security-packages", |facts| {
        list(facts, WIDE, |row| row.linux() && row.needed() && row.grave())
    }),
    ("update/ubuntu-computers", |facts| {
        computers(facts, |row| row.linux() && row.scan.os_name == "Ubuntu")
    }),
    ("update/missing-critical-or-security-updates-by-computer", |facts| {
        let wanted = |row: &&Fact| row.grave() && row.required() && row.update.approved;
        let mut counts = counted(facts.updates.iter().filter(wanted).map(|row| {
            let resource = resource(&row.scan.resource_id);
            (&*row.scan.computer, row.judgement.classification, resource)
        }));
        counts.sort_by_key(|((computer, class, _), count)| {
            (std::cmp::Reverse(*count), *computer, *class)
        });
        let rows = counts
            .into_iter()
            .map(|((computer, class, resource), count)| json!([class, computer, resource, count]));
        table("Classification Computer _ResourceId count_", rows).exact()
    }),
    ("update/windows-updates-available", |facts| {
        list(facts, "Computer Classification Product KBID ResourceId", |row| {
            !row.linux() && row.needed() && row.within(14)
        })
        .distinct()
    }),
    ("update/linux-updates-available", |facts| {
        list(facts, "Computer Classification Product ProductVersion ResourceId", |row| {
            row.linux() && row.needed() && row.within(14)
        })
        .distinct()
    }),
    ("update/missing-updates-summary", |facts| {
        let onboarded = onboarded(facts.truth);
        summary(facts, |row| onboarded.contains_key(&*row.scan.source_computer_id))
    }),
    ("update/missing-updates-list", missing_list),
    ("update/windows-missing-updates", |facts| {
        let columns = "TimeGenerated Computer Title KBID Classification MSRCSeverity PublishedDate _ResourceId";
        list(facts, columns, |row| !row.linux() && row.required()).descending("TimeGenerated")
    }),
    ("update/windows-missing-updates-of-a-computer", |facts| {
        let columns =
            "TimeGenerated Computer Title KBID Product MSRCSeverity PublishedDate _ResourceId";
        let computer = "COMPUTER01.contoso.com";
        list(facts, columns, |row| !row.linux() && row.required() && row.scan.computer == computer)
            .descending("TimeGenerated")
            .with("ComputerName", computer)
    }),
    ("update/windows-missing-critical-or-security-updates", |facts| {
        list(facts, WIDE, |row| !row.linux() && row.required() && row.grave())
            .descending("TimeGenerated")
    }),
    ("update/windows-critical-or-security-updates-where-updates-are-manual", |facts| {
        let manual = manual(facts);
        let mut rows: Vec<(&str, &str, String)> = facts
            .updates
            .iter()
            .filter(|row| !row.linux() && row.required() && row.grave())
            .filter(|row| manual.contains(&*row.scan.computer))
            .map(|row| (&*row.update.kbid, &*row.scan.computer, resource(&row.scan.resource_id)))
            .collect();
        rows.sort();
        rows.dedup();
        let rows = rows.into_iter().map(|(kb, computer, resource)| json!([kb, computer, resource]));
        table("KBID Computer _ResourceId", rows).exact()
    }),
    ("update/windows-missing-update-rollups", |facts| {
        let columns = "TimeGenerated Computer Title KBID Classification MSRCSeverity PublishedDate _ResourceId";
        list(facts, columns, rollup).descending("TimeGenerated")
    }),
    ("update/windows-distinct-missing-updates", |facts| {
        list(facts, "Title Computer _ResourceId", |row| !row.linux() && row.required()).distinct()
    }),
    ("update/missing-updates-summary-of-a-windows-computer", |facts| {
        let vm = vm(facts, "Windows");
        summary(facts, |row| !row.linux() && row.scan.vmuuid == vm)
            .with("VMUUID", &vm.to_uppercase())
    }),
    ("update/missing-updates-summary-of-a-linux-computer", |facts| {
        // The machine tells its id in one order of bytes, the user has it in the other.
        let vm = vm(facts, "Linux");
        let turned: Vec<String> = vm
            .split('-')
            .enumerate()
            .map(|(part, text)| {
                let bytes: Vec<&str> =
                    (0..text.len()).step_by(2).map(|at| &text[at..at + 2]).collect();
                if part < 3 { bytes.into_iter().rev().collect() } else { bytes.concat() }
            })
            .collect();
        summary(facts, |row| row.linux() && row.scan.vmuuid == vm).with("VMUUID", &turned.join("-"))
    }),
    ("update-summary/wsus-computer-membership", |facts| {
        count_by("WSUSServer", "AggregatedValue", scans(facts).map(|scan| &*scan.wsus_server))
    }),
    ("update-summary/automatic-update-configuration", |facts| {
        let settings = scans(facts).map(|scan| &*scan.windows_update_setting);
        count_by("WindowsUpdateSetting", "AggregatedValue", settings)
    }),
    ("update-summary/automatic-update-disabled", |facts| {
        let rows = scans(facts).filter(|scan| is_manual(scan)).map(|scan| {
            json!([
                scan.computer,
                time(scan.time_generated),
                scan.windows_update_setting,
                scan.wsus_server,
                scan.os_version,
                scan.restart_pending,
                scan.report_id,
            ])
        });
        let columns = "Computer TimeGenerated WindowsUpdateSetting WSUSServer OsVersion RestartPending ReportId";
        table(columns, rows).descending("TimeGenerated")
    }),
    ("update-summary/updates-available", |facts| {
        let rows = facts.truth.scans.iter().filter(|(scan, _)| within(scan.time_generated, 14));
        let rows = rows.map(|(scan, judgements)| {
            let updates = scan.updates.iter().zip(judgements);
            let missing: Vec<Fact> = updates
                .map(|(update, judgement)| Fact { scan, update, judgement })
                .filter(|row| row.required() && row.update.approved)
                .collect();
            let count = |of: fn(Fact) -> bool| missing.iter().filter(|row| of(**row)).count();
            let (critical, security) = (count(Fact::critical), count(Fact::security));
            let other = count(|row| !row.grave());
            let all = critical + security + other;
            json!([scan.computer, critical, security, other, all, scan.resource_id])
        });
        let columns = "Computer CriticalUpdatesMissing SecurityUpdatesMissing OtherUpdatesMissing \
            TotalUpdatesMissing ResourceId";
        table(columns, rows).distinct()
    }),
    ("update-summary/wsus-server-of-each-computer", |facts| {
        per_computer(facts, "WSUSServer", |scan| &scan.wsus_server)
    }),
    ("update-summary/automatic-update-configuration-of-each-computer", |facts| {
        per_computer(facts, "WindowsUpdateSetting", |scan| &scan.windows_update_setting)
    }),
];

const WIDE: &str = "Computer TimeGenerated Title Classification UpdateState OSType Product ProductArch \
    ProductVersion KBID MSRCSeverity PackageSeverity PublishedDate Optional Approved BulletinID \
    ManagementGroupName SourceSystem ComputerEnvironment VMUUID ReportId";

fn rollup(row: Fact) -> bool {
    row.required() && row.judgement.classification == "Update Rollups"
}

/// The rows that are `wanted`, with these columns.
fn list(facts: &Facts, columns: &str, wanted: impl Fn(Fact) -> bool) -> Answer {
    let rows = facts.updates.iter().copied().filter(|row| wanted(*row));
    let cells = |row: Fact| {
        columns.split_whitespace().map(|column| cell(row, column)).collect::<Vec<Value>>().into()
    };
    table(columns, rows.map(cells))
}

fn cell(row: Fact, column: &str) -> Value {
    let Fact { scan, update, judgement } = row;
    match column {
        "Computer" => json!(scan.computer),
        "TimeGenerated" => time(scan.time_generated),
        "OSType" => json!(scan.os_type),
        "ManagementGroupName" => json!(scan.management_group_name),
        "SourceSystem" => json!(scan.source_system),
        "ComputerEnvironment" => json!(scan.computer_environment),
        "VMUUID" => json!(scan.vmuuid),
        "ReportId" => json!(scan.report_id),
        "ResourceId" => json!(scan.resource_id),
        "_ResourceId" => json!(resource(&scan.resource_id)),
        "UpdateState" => json!(update.update_state.column_value()),
        "Title" => json!(update.title),
        "Product" => json!(update.product),
        "ProductArch" => json!(update.product_arch),
        "ProductVersion" => json!(update.product_version),
        "KBID" => json!(update.kbid),
        "Optional" => json!(update.optional),
        "Approved" => json!(update.approved),
        "Classification" => json!(judgement.classification),
        "MSRCSeverity" => json!(judgement.msrc_severity),
        "PackageSeverity" => json!(judgement.package_severity),
        "UpdateSeverity" if row.linux() => json!(judgement.package_severity),
        "UpdateSeverity" => json!(judgement.msrc_severity),
        "BulletinID" => json!(judgement.bulletin_id),
        "PublishedDate" => row.published(),
        other => panic!("no column {other}"),
    }
}

/// How many rows that are `wanted` each computer has.
fn computers(facts: &Facts, wanted: impl Fn(Fact) -> bool) -> Answer {
    let rows = facts.updates.iter().filter(|row| wanted(**row));
    count_by("Computer", "AggregatedValue", rows.map(|row| &*row.scan.computer))
}

fn scans(facts: &Facts) -> impl Iterator<Item = &'static Scan<'static>> {
    facts.truth.scans.iter().map(|(scan, _)| scan)
}

fn is_manual(scan: &Scan<'_>) -> bool {
    ["Disabled", "Notify before installation"].contains(&&*scan.windows_update_setting)
}

/// Computers whose updates wait for a human, by their newest scan.
fn manual(facts: &Facts) -> BTreeSet<&'static str> {
    let newest: BTreeMap<&str, &'static Scan<'static>> =
        facts.updates.iter().map(|row| (&*row.scan.source_computer_id, row.scan)).collect();
    newest.into_values().filter(|scan| is_manual(scan)).map(|scan| &*scan.computer).collect()
}

/// Id of some machine in Azure with that system, which misses something and reported lately.
fn vm(facts: &Facts, system: &str) -> String {
    let found = facts.updates.iter().find(|row| {
        row.scan.os_type == system && !row.scan.vmuuid.is_empty() && row.required() && row.within(5)
    });
    found.expect("a virtual machine").scan.vmuuid.to_string()
}

/// Linux packages and Windows updates that count as missing for the pages of the service.
fn missing(row: Fact) -> bool {
    if row.linux() {
        row.needed() && row.within(5)
    } else {
        let relevant = !row.update.optional || row.grave();
        row.needed() && row.update.approved && relevant && row.within(14)
    }
}

fn summary(facts: &Facts, of: impl Fn(Fact) -> bool) -> Answer {
    let mut different = BTreeSet::new();
    for row in facts.updates.iter().filter(|row| missing(**row) && of(**row)) {
        let Fact { update, judgement, .. } = row;
        different.insert(if row.linux() {
            (&*update.product, &*update.product_arch, judgement.classification)
        } else {
            (&*update.update_id, "", judgement.classification)
        });
    }
    let class = |wanted: &str| different.iter().filter(|(_, _, class)| *class == wanted).count();
    let (critical, security) = (class("Critical Updates"), class("Security Updates"));
    let all = different.len();
    let columns = "allUpdatesCount criticalUpdatesCount securityUpdatesCount otherUpdatesCount";
    table(columns, [json!([all, critical, security, all - critical - security])])
}

fn missing_list(facts: &Facts) -> Answer {
    #[derive(PartialEq, Eq, PartialOrd, Ord)]
    struct Key {
        weight: std::cmp::Reverse<u8>,
        name: String,
        id: String,
        bulletin: (String, String),
        linux: bool,
        arch: String,
        class: &'static str,
    }
    let onboarded = onboarded(facts.truth);
    let mut found: BTreeMap<Key, (BTreeSet<&str>, Value)> = BTreeMap::new();
    for row in facts.updates.iter().filter(|row| missing(**row)) {
        if !onboarded.contains_key(&*row.scan.source_computer_id) {
            continue;
        }
        let Fact { scan, update, judgement } = *row;
        let linux = row.linux();
        let (id, bulletin) = if linux {
            let url = judgement.bulletin_url.split(';').next().unwrap_or_default();
            let id = format!("{}_{}", update.product, update.product_arch);
            (id, (judgement.bulletin_id.clone(), url.to_owned()))
        } else {
            let url = format!("https://support.microsoft.com/kb/{}", update.kbid);
            (format!("{}_{}", update.update_id, update.kbid), (format!("KB{}", update.kbid), url))
        };
        let key = Key {
            weight: std::cmp::Reverse(if row.critical() {
                4
            } else if row.security() {
                2
            } else {
                1
            }),
            name: if linux { &update.product } else { &update.title }.to_string(),
            id,
            bulletin,
            linux,
            arch: update.product_arch.to_string(),
            class: judgement.classification,
        };
        let published = if linux { Value::Null } else { row.published() };
        let entry = found.entry(key).or_insert((BTreeSet::new(), published));
        entry.0.insert(&scan.source_computer_id);
    }
    let rows = found.into_iter().map(|(key, (computers, published))| {
        let (bulletin, url) = key.bulletin;
        let link = match bulletin.as_str() {
            "" => String::new(),
            _ => format!(r#"{{ "uri": "{url}", "text": "{bulletin}", "target": "blank" }}"#),
        };
        let system = if key.linux { 1 } else { 2 };
        json!([key.id, key.name, key.arch, key.class, system, computers.len(), published, link])
    });
    let columns = "id displayName productArch classification osType computersCount publishedDate informationLink";
    table(columns, rows)
}

fn per_computer(
    facts: &Facts,
    column: &str,
    of: fn(&'static Scan<'static>) -> &'static str,
) -> Answer {
    let mut rows: Vec<_> =
        counted(scans(facts).map(|scan| (of(scan), &*scan.computer, resource(&scan.resource_id))));
    rows.sort();
    let rows = rows
        .into_iter()
        .map(|((value, computer, resource), count)| json!([value, computer, resource, count]));
    table(&format!("{column} Computer _ResourceId AggregatedValue"), rows).exact()
}
