//! `Event`.

use std::collections::{BTreeMap, BTreeSet};

use patchline_schemas::{Event, Timestamp};
use serde_json::{Value, json};

use super::{Answer, Facts, Work, count_by, counted, hour, resource, table, time, within};
use crate::world::received;

pub(super) const ALL: &[(&str, Work)] = &[
    ("event/error-events-on-computers-missing-critical-or-security-updates", |facts| {
        let rows = facts.updates.iter().filter(|row| row.required() && row.grave());
        let computers: BTreeSet<&str> = rows.map(|row| &*row.scan.computer).collect();
        wide(facts, |event| {
            event.event_level_name.eq_ignore_ascii_case("error")
                && computers.contains(&*event.computer)
        })
    }),
    ("event/cluster-memory-usage", |facts| {
        let (cluster, event) = state(facts, 3000);
        let rows = items(event, "m_servers").into_iter().map(|server| {
            let [total, used, percent] = memory(&server);
            json!([time(event.time_generated), server["m_name"], total, used, percent])
        });
        table("TimeGenerated Nodename TotalMemory UsedMemory MemoryUsage", rows)
            .exact()
            .with("ClusterArmId", &cluster)
    }),
    ("event/cluster-cpu-usage", |facts| {
        let (cluster, event) = state(facts, 3000);
        let rows = items(event, "m_servers").into_iter().map(|server| {
            let used = &server["m_totalProcessorsUsedPercentage"];
            json!([time(event.time_generated), server["m_name"], used])
        });
        table("TimeGenerated Nodename UsedCpuPercentage", rows)
            .exact()
            .with("ClusterArmId", &cluster)
    }),
    ("event/cluster-failed-virtual-machines", |facts| {
        machines(facts, "VmsFailed", &["m_totalVmsFailed"])
    }),
    ("event/cluster-virtual-machines", |facts| {
        let fields = ["m_totalVms", "m_totalVmsRunning", "m_totalVmsStopped", "m_totalVmsFailed"];
        machines(facts, "VmsTotal VmsRunning VmsStopped VmsFailed", &fields)
    }),
    ("event/cluster-volume-capacity", |facts| {
        volumes(facts, "Volumes TotalCap AvailableCap", |volume| {
            let number = |field: &str| volume[field].as_i64().unwrap();
            vec![json!(number("m_Size")), json!(number("m_Size") - number("m_SizeUsed"))]
        })
    }),
    ("event/cluster-volume-latency", |facts| {
        figure(facts, "VolumeName Latency", "m_AverageLatency")
    }),
    ("event/cluster-volume-iops", |facts| figure(facts, "VolumesName Iops", "m_TotalIops")),
    ("event/cluster-volume-throughput", |facts| {
        figure(facts, "VolumeName Throughput", "m_TotalThroughput")
    }),
    ("event/cluster-node-down", node_down),
    ("event/clusters-memory-usage", |facts| {
        let mut newest: BTreeMap<String, &Event<'static>> = BTreeMap::new();
        for event in states(facts, 3000) {
            let shown = newest.entry(cluster_of(event)).or_insert(event);
            if event.time_generated > shown.time_generated {
                *shown = event;
            }
        }
        let mut rows = Vec::new();
        for (cluster, event) in newest {
            let name = cluster.rsplit('/').next().unwrap();
            for server in items(event, "m_servers") {
                let [total, used, percent] = memory(&server);
                let at = time(event.time_generated);
                rows.push(json!([cluster, name, at, server["m_name"], total, used, percent]));
            }
        }
        let columns =
            "ClusterArmId ClusterName TimeGenerated Nodename TotalMemory UsedMemory MemoryUsage";
        table(columns, rows).exact()
    }),
    ("event/ingestion-latency", |facts| {
        let mut recent: Vec<Timestamp> =
            facts.truth.events.iter().map(|event| event.time_generated).collect();
        recent.retain(|time| within(*time, 24));
        recent.sort();
        let rows =
            recent.into_iter().map(|at| json!([time(at), (received(at).0 - at.0) as f64 / 1000.0]));
        table("TimeGenerated IngestionDurationSeconds", rows).exact()
    }),
    ("event/trend-of-an-event", |facts| {
        let recent = facts.truth.events.iter();
        let recent =
            recent.filter(|event| event.event_id == 44 && within(event.time_generated, 24));
        let mut counts = counted(recent.map(|event| {
            let resource = resource(&event.resource_id);
            (hour(event.time_generated).as_str().unwrap().to_owned(), &*event.computer, resource)
        }));
        counts.sort();
        let rows = counts.into_iter();
        let rows = rows.map(|((hour, computer, resource), n)| json!([hour, computer, resource, n]));
        table("Hour Computer _ResourceId count_", rows).exact()
    }),
    ("event/past-hour", |facts| wide(facts, |event| within(event.time_generated, 1))),
    ("event/events-started", |facts| {
        by_id(facts, |event| event.rendered_description.to_lowercase().contains("started"))
    }),
    ("event/events-by-source", |facts| {
        count_by("Source", "count_", facts.truth.events.iter().map(|event| &*event.source))
    }),
    ("event/top-event-ids", |facts| {
        let mut all = by_id(facts, |_| true);
        assert!(all.rows.len() > 10, "nothing is left out");
        all.rows.truncate(10);
        all
    }),
    ("event/warning-events", |facts| wide(facts, warning)),
    ("event/warning-events-by-id", |facts| by_id(facts, warning)),
    ("event/operations-manager-events", |facts| {
        wide(facts, |event| {
            event.event_log == "Operations Manager" && (2000..=3000).contains(&event.event_id)
        })
    }),
    ("event/firewall-policy-settings", |facts| wide(facts, firewall)),
    ("event/firewall-policy-settings-by-computer", |facts| {
        let changes = facts.truth.events.iter().filter(|event| firewall(event));
        count_by("Computer", "count_", changes.map(|event| &*event.computer))
    }),
];

fn warning(event: &Event<'_>) -> bool {
    event.event_level_name.eq_ignore_ascii_case("warning")
}

fn firewall(event: &Event<'_>) -> bool {
    event.event_log.ends_with("/Firewall") && event.event_id == 2008
}

/// Whole events that are wanted.
fn wide(facts: &Facts, wanted: impl Fn(&Event<'static>) -> bool) -> Answer {
    let rows = facts.truth.events.iter().filter(|event| wanted(event)).map(|event| {
        json!([
            event.computer,
            time(event.time_generated),
            event.event_log,
            event.source,
            event.event_id,
            event.event_level_name,
            event.rendered_description,
            event.event_level,
            event.event_data,
            event.user_name,
            event.management_group_name,
            event.report_id,
        ])
    });
    let columns = "Computer TimeGenerated EventLog Source EventID EventLevelName RenderedDescription \
        EventLevel EventData UserName ManagementGroupName ReportId";
    table(columns, rows).descending("TimeGenerated")
}

fn by_id(facts: &Facts, wanted: impl Fn(&Event<'static>) -> bool) -> Answer {
    let ids = facts.truth.events.iter().filter(|event| wanted(event)).map(|event| event.event_id);
    let rows = counted(ids).into_iter().map(|(id, count)| json!([id, count]));
    table("EventID count_", rows).exact()
}

/// Events about clusters with this number.
fn states(facts: &Facts, id: i32) -> impl Iterator<Item = &'static Event<'static>> {
    let events = facts.truth.events.iter();
    events.filter(move |event| event.event_log.contains("SDDC-Management") && event.event_id == id)
}

fn cluster_of(event: &Event<'_>) -> String {
    let (_, rest) = event.event_data.split_once("<ArmId>").unwrap();
    rest.split_once("</ArmId>").unwrap().0.to_owned()
}

/// A cluster and its newest event with this number.
fn state(facts: &Facts, id: i32) -> (String, &'static Event<'static>) {
    let cluster = cluster_of(states(facts, id).next().expect("a cluster"));
    let newest = states(facts, id)
        .filter(|event| cluster_of(event) == cluster)
        .max_by_key(|event| event.time_generated);
    (cluster, newest.unwrap())
}

fn description(event: &Event<'_>) -> Value {
    serde_json::from_str(&event.rendered_description).unwrap()
}

fn items(event: &Event<'_>, field: &str) -> Vec<Value> {
    description(event)[field].as_array().unwrap().clone()
}

/// Total, used and used per cent.
fn memory(server: &Value) -> [Value; 3] {
    let number = |field: &str| server[field].as_u64().unwrap();
    let total = number("m_totalPhysicalMemoryInBytes");
    let used = number("m_usedPhysicalMemoryInBytes");
    if total == 0 {
        return [json!(0), json!(0), json!(0)];
    }
    let percent = (used as f64 / total as f64 * 100.0).round_ties_even();
    [json!(total), json!(used), json!(percent)]
}

fn machines(facts: &Facts, columns: &str, fields: &[&str]) -> Answer {
    let (cluster, event) = state(facts, 3003);
    let mut row = vec![time(event.time_generated)];
    row.extend(fields.iter().map(|field| description(event)[*field].clone()));
    table(&format!("TimeGenerated {columns}"), [row.into()]).with("ClusterArmId", &cluster)
}

fn volumes(facts: &Facts, columns: &str, cells: impl Fn(&Value) -> Vec<Value>) -> Answer {
    let (cluster, event) = state(facts, 3002);
    let rows = items(event, "VolumeList").into_iter().map(|volume| {
        let mut row = vec![time(event.time_generated), volume["m_Label"].clone()];
        row.extend(cells(&volume));
        row.into()
    });
    table(&format!("TimeGenerated {columns}"), rows).exact().with("ClusterArmId", &cluster)
}

fn figure(facts: &Facts, columns: &str, field: &str) -> Answer {
    volumes(facts, columns, |volume| vec![json!(volume[field].as_f64().unwrap().max(0.0))])
}

fn node_down(facts: &Facts) -> Answer {
    let health =
        || facts.truth.events.iter().filter(|event| event.event_log.contains("Windows-Health"));
    let mut passes: BTreeMap<String, (Timestamp, Value)> = BTreeMap::new();
    for event in health() {
        let told = description(event);
        if told["IsLastMessage"] == "true" {
            let cluster = told["ArmId"].as_str().unwrap().to_owned();
            let pass = (event.time_generated, told["CorrelationId"].clone());
            let newest = passes.entry(cluster).or_insert_with(|| pass.clone());
            if pass.0 > newest.0 {
                *newest = pass;
            }
        }
    }
    let mut rows = Vec::new();
    for told in health().map(description) {
        let in_pass = passes.values().any(|(_, pass)| *pass == told["CorrelationId"]);
        let fault = &told["Fault"];
        let text = |field: &str| fault[field].as_str().unwrap().to_owned();
        let of_cluster = text("RootObjectType") == "Microsoft.Health.EntityType.Cluster";
        if !in_pass || !of_cluster || text("Type") != "Microsoft.Health.FaultType.Server.Down" {
            continue;
        }
        let ticks = fault["Timestamp"].as_i64().unwrap();
        let since_1970_ms = ticks / 10_000 - 11_644_473_600_000;
        let reported = Timestamp(since_1970_ms).to_string().replace(".000Z", ".000000Z");
        rows.push(json!([
            "Critical",
            text("ObjectId"),
            "Server",
            text("Type"),
            "Down",
            reported,
            text("Description"),
            told["ArmId"],
            text("Remediation"),
        ]));
    }
    let columns = "Severity FaultingResourceId FaultingResourceType Faulttype ShortDescription ReportedTime \
        Description ClusterArmId Remediation";
    table(columns, rows)
}
