//! `docs/metrics.md`: every metric of the real processes, as they show it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use patchline_local::Stage;

use crate::project;
use crate::world::{block_on, world};

/// A metric as services show it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Metric {
    kind: String,
    help: String,
    labels: BTreeSet<String>,
    services: BTreeSet<&'static str>,
}

const HEAD: &str = "\
# Metrics

What every service shows at `/metrics` on its operators' port (`[admin] listen`), written by a test from what the
running services show: `UPDATE_DOCS=1 cargo test -p patchline-local --test observe metrics`.

- Nothing is counted per computer: the number of series does not grow with the fleet.
- Counters count since the process started. What was repeated is counted once it succeeded, its failures apart.
- Every series that is known beforehand is there from the start, at zero, so that the first event is an increase.
- `patchline_fleet_…` are made from the tables by each instance of the sink, which all show the whole fleet. Do not
  sum them over instances: `max by (os, state) (patchline_fleet_computers)` is right with one sink and with many.
- Two delays: `patchline_sink_delay_seconds` is from a report's arrival at Patchline to its rows being stored, where
  queries find them. `patchline_sink_event_delay_seconds` begins when the computer made the report, by its own clock:
  it includes how long an agent kept it, and is held between nought and a day, because clocks are wrong.
- `patchline_kafka_…` is what librdkafka says of itself, each client by its use: `consumer`, `producer`, `publisher`.

The rules in [`deploy/prometheus`](../deploy/prometheus) are made of these; [runbooks.md](runbooks.md) says what to do
when one fires.
";

const SECTIONS: [(&str, &str); 9] = [
    ("patchline_gateway_", "Gateway"),
    ("patchline_enrich_", "Enrich"),
    ("patchline_sink_", "Sink"),
    ("patchline_fleet_", "The fleet, by the sink"),
    ("patchline_reclassify_", "Reclassify"),
    ("patchline_console_", "Console"),
    ("patchline_kafka_", "Kafka clients"),
    ("patchline_ready", "Readiness"),
    ("process_", "Processes"),
];

/// Reads Prometheus's text format, as far as our services write it.
fn read(text: &str, service: &'static str, metrics: &mut BTreeMap<String, Metric>) {
    let mut helps = BTreeMap::new();
    let mut current = String::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap();
            helps.insert(name, help);
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            current = name.to_owned();
            let metric = metrics.entry(current.clone()).or_default();
            let help = helps[name];
            let said = (metric.kind.as_str(), metric.help.as_str());
            assert!(
                metric.services.is_empty() || said == (kind, help),
                "{name} is another metric in {service}"
            );
            (metric.kind, metric.help) = (kind.to_owned(), help.to_owned());
            metric.services.insert(service);
        } else if let Some((_, rest)) = line.split_once('{') {
            let (labels, _) = rest.rsplit_once('}').unwrap();
            let metric = metrics.get_mut(&current).unwrap();
            metric.labels.extend(label_names(labels).filter(|label| label != "le"));
        }
    }
}

/// The names in `a="…",b="…"`; a value may have any character, a quote and a backslash with one before.
fn label_names(labels: &str) -> impl Iterator<Item = String> {
    let (mut names, mut name, mut quoted, mut escaped) = (Vec::new(), String::new(), false, false);
    for character in labels.chars() {
        match (quoted, character) {
            _ if escaped => escaped = false,
            (true, '\\') => escaped = true,
            (true, '"') => quoted = false,
            (true, _) | (false, ',') => {}
            (false, '"') => quoted = true,
            (false, '=') => names.push(std::mem::take(&mut name)),
            (false, other) => name.push(other),
        }
    }
    names.into_iter()
}

fn unit(name: &str) -> &'static str {
    let name = name.strip_suffix("_total").unwrap_or(name);
    if name.ends_with("_timestamp_seconds") || name == "process_start_time_seconds" {
        "seconds since 1970"
    } else if name.ends_with("_seconds") {
        "seconds"
    } else if name.contains("_bytes") {
        "bytes"
    } else if name.ends_with("_info") {
        "1"
    } else if name.ends_with("_ready") || name.ends_with("_up") || name.ends_with("_writable") {
        if name.ends_with("brokers_up") { "count" } else { "0 or 1" }
    } else {
        "count"
    }
}

/// All metrics of the running services.
fn shown() -> BTreeMap<String, Metric> {
    let mut metrics = BTreeMap::new();
    for stage in Stage::ALL {
        read(&block_on(world().scrape(stage)), stage.name(), &mut metrics);
    }
    metrics
}

fn page(metrics: &BTreeMap<String, Metric>) -> String {
    let mut page = HEAD.to_owned();
    for (prefix, title) in SECTIONS {
        let of_section: Vec<_> =
            metrics.iter().filter(|(name, _)| name.starts_with(prefix)).collect();
        if of_section.is_empty() {
            continue;
        }
        let services: BTreeSet<_> =
            of_section.iter().flat_map(|(_, metric)| &metric.services).copied().collect();
        let services = services.into_iter().collect::<Vec<_>>().join(", ");
        write!(page, "\n## {title}\n\nShown by: {services}.\n\n").unwrap();
        page.push_str("| Metric | Type | Labels | Unit | Meaning |\n|---|---|---|---|---|\n");
        for (name, Metric { kind, help, labels, .. }) in of_section {
            let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
            let help = help.trim_end_matches('.').replace('|', "\\|");
            let (labels, unit) = (labels.join(", "), unit(name));
            writeln!(page, "| `{name}` | {kind} | {labels} | {unit} | {help} |").unwrap();
        }
    }
    page
}

#[test]
fn the_page_of_metrics_says_what_the_services_show() {
    let page = page(&shown());
    let path = project("docs/metrics.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = page.lines().zip(kept.lines()).find(|(shown, kept)| shown != kept);
    assert!(
        kept == page,
        "docs/metrics.md is not what the services show, first here: {differs:?}; run `UPDATE_DOCS=1 cargo test \
         -p patchline-local --test observe metrics`"
    );
}

#[test]
fn every_metric_is_named_after_its_part_and_its_unit() {
    for (name, metric) in shown() {
        assert!(
            SECTIONS.iter().any(|(prefix, _)| name.starts_with(prefix)),
            "{name}: of which part?"
        );
        assert!(!metric.help.is_empty(), "{name} has no help");
        if name.starts_with("patchline_") {
            assert_eq!(
                metric.kind == "counter",
                name.ends_with("_total"),
                "{name} is a {}",
                metric.kind
            );
        }
        for label in &metric.labels {
            let personal = ["computer", "source_computer_id", "host", "agent", "ip"];
            assert!(!personal.contains(&label.as_str()), "{name} is counted per {label}");
        }
    }
}

#[test]
fn labels_are_read_whatever_their_values_have_in_them() {
    let names: Vec<String> = label_names(r#"a="x,y=\"z\"",bc="{}""#).collect();
    assert_eq!(names, ["a", "bc"]);
}
