//! The alerts: sound, tested each way, explained, and made of series that the running stack has.

use std::collections::{BTreeMap, BTreeSet};

use crate::prometheus::promtool;
use crate::world::world;
use crate::{files, project};

fn rules() -> Vec<std::path::PathBuf> {
    files("deploy/prometheus/rules", "yml")
}

fn tests() -> Vec<std::path::PathBuf> {
    files("deploy/prometheus/tests", "yml")
}

/// The alerts of the rules' files, by their lines `- alert: Name`.
fn names() -> BTreeSet<String> {
    let texts = rules().into_iter().map(|path| std::fs::read_to_string(path).unwrap());
    let names = texts.flat_map(|text| {
        let names = text.lines().filter_map(|line| line.trim().strip_prefix("- alert: "));
        names.map(str::to_owned).collect::<Vec<_>>()
    });
    names.collect()
}

#[test]
fn promtool_finds_the_rules_and_the_configuration_sound() {
    let (sound, said) = promtool(&["check", "rules"], &rules());
    assert!(sound, "{said}");
    let (sound, said) =
        promtool(&["check", "config"], &[project("deploy/prometheus/prometheus.yml")]);
    assert!(sound, "{said}");
}

#[test]
fn every_alert_fires_when_it_should_and_is_quiet_when_it_should() {
    let (passed, said) = promtool(&["test", "rules"], &tests());
    assert!(passed, "{said}");
    // promtool does not mind an alert that nobody tests.
    let mut ways: BTreeMap<String, BTreeSet<bool>> = BTreeMap::new();
    for path in tests() {
        let text = std::fs::read_to_string(path).unwrap();
        let mut alert = String::new();
        for line in text.lines().map(str::trim) {
            if let Some(name) = line.strip_prefix("alertname: ") {
                alert = name.to_owned();
            } else if let Some(expected) = line.strip_prefix("exp_alerts:") {
                ways.entry(alert.clone()).or_default().insert(expected.trim().is_empty());
            }
        }
    }
    for name in names() {
        let both = [false, true].into_iter().collect();
        assert_eq!(
            ways.get(&name),
            Some(&both),
            "{name} needs a test that fires and one that does not"
        );
    }
}

/// The anchor that a heading has on a page of Markdown.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|one| one.is_alphanumeric() || " -_".contains(*one));
    kept.map(|one| if one == ' ' { '-' } else { one.to_ascii_lowercase() }).collect()
}

#[test]
fn every_alert_says_how_bad_what_and_where_to_read_on() {
    let page = std::fs::read_to_string(project("docs/runbooks.md")).unwrap();
    let anchors: BTreeSet<String> =
        page.lines().filter_map(|line| Some(anchor(line.strip_prefix("## ")?))).collect();
    let mut linked = BTreeSet::new();
    let rules = world().prometheus.rules();
    let read: BTreeSet<String> =
        rules.iter().map(|rule| rule["name"].as_str().unwrap().to_owned()).collect();
    assert_eq!(read, names(), "Prometheus has read other rules than there are");
    for rule in &rules {
        let name = rule["name"].as_str().unwrap();
        let text = |part: &str, key: &str| {
            let text = rule[part][key].as_str().unwrap_or_default().to_owned();
            assert!(!text.is_empty(), "{name} has no {key}");
            text
        };
        let severity = text("labels", "severity");
        assert!(["info", "warning", "critical"].contains(&severity.as_str()), "{name}: {severity}");
        assert_ne!(text("annotations", "summary"), text("annotations", "description"), "{name}");
        let link = text("annotations", "runbook_url");
        let (page, wanted) = link.split_once('#').unwrap();
        assert_eq!(page, "docs/runbooks.md", "{name}");
        assert!(anchors.contains(wanted), "{name}: docs/runbooks.md has no heading for #{wanted}");
        linked.insert(wanted.to_owned());
    }
    let alone: Vec<_> =
        anchors.difference(&linked).filter(|at| at.starts_with("patchline")).collect();
    assert!(alone.is_empty(), "runbooks of alerts that are not there: {alone:?}");
}

/// The selectors in an expression: a metric's name, with the braces after it.
pub(crate) fn selectors(expression: &str) -> Vec<String> {
    let is_name = |one: char| one.is_alphanumeric() || one == '_' || one == ':';
    let (mut found, mut rest) = (Vec::new(), expression);
    while let Some(at) = rest.find(is_name) {
        let text = &rest[at..];
        let end = text.find(|one| !is_name(one)).unwrap_or(text.len());
        let (name, after) = text.split_at(end);
        let is_metric =
            name.starts_with("patchline_") || name.starts_with("process_") || name == "up";
        let braces = after.strip_prefix('{').map(|inner| {
            let mut quoted = false;
            let close = inner.find(|one| {
                quoted ^= one == '"';
                one == '}' && !quoted
            });
            &after[..close.expect("a closing brace") + 2]
        });
        let braces = braces.unwrap_or_default();
        if is_metric {
            found.push(format!("{name}{braces}"));
        }
        rest = &after[braces.len()..];
    }
    found
}

#[test]
fn selectors_are_found_wherever_they_stand() {
    let found = selectors(
        r#"sum by (service) (rate(patchline_a_total{b="}{"}[5m]) or up{c="d"}) / patchline_e > 1"#,
    );
    assert_eq!(found, [r#"patchline_a_total{b="}{"}"#, r#"up{c="d"}"#, "patchline_e"]);
}

#[test]
fn prometheus_evaluates_every_rule_and_has_the_series_that_it_is_made_of() {
    let prometheus = &world().prometheus;
    let mut all = BTreeSet::new();
    for rule in prometheus.rules() {
        let (name, query) = (rule["name"].as_str().unwrap(), rule["query"].as_str().unwrap());
        assert_eq!(rule["health"], "ok", "{name}: {}", rule["lastError"]);
        let selectors = selectors(query);
        assert!(!selectors.is_empty(), "{name}: {query}");
        all.extend(selectors);
    }
    prometheus.series(all);
}
