//! The fleet's figures that the sink shows, against the same worked out in plain code from what the computers
//! reported.

use std::collections::BTreeMap;
use std::time::Instant;

use patchline_local::Stage;
use patchline_schemas::{Scan, Timestamp, Update, UpdateState};

use crate::world::{
    COMPUTERS, LATE_MINUTES, LOOK_EVERY, PATIENCE, World, block_on, eventually, world,
};

/// A metric's labels, as the services write them, and its value.
type Figures = BTreeMap<String, u64>;

/// What is known of a computer.
#[derive(Default)]
struct Computer {
    os: String,
    seen: i64,
    newest: Option<&'static Scan<'static>>,
}

fn computers(world: &'static World) -> BTreeMap<&'static str, Computer> {
    let mut computers: BTreeMap<&str, Computer> = BTreeMap::new();
    for beat in &world.truth.heartbeats {
        let computer = computers.entry(&beat.source_computer_id).or_default();
        computer.os = beat.os_type.to_string();
        computer.seen = computer.seen.max(beat.time_generated.0);
    }
    for (scan, _) in &world.truth.scans {
        let computer = computers.entry(&scan.source_computer_id).or_default();
        computer.os = scan.os_type.to_string();
        computer.seen = computer.seen.max(scan.time_generated.0);
        if computer.newest.is_none_or(|newest| newest.time_generated < scan.time_generated) {
            computer.newest = Some(scan);
        }
    }
    assert_eq!(computers.len(), COMPUTERS as usize);
    computers
}

/// The classification without a vendor's word: the computer's hint, where it is one that there is.
fn class(scan: &Scan<'_>, update: &Update<'_>) -> &'static str {
    let (hints, default): (&[&'static str], _) = match scan.os_type.as_ref() {
        "Linux" => (&["Critical Updates", "Security Updates"], "Other Updates"),
        _ => (
            &[
                "Applications",
                "Critical Updates",
                "Definition Updates",
                "Feature Packs",
                "Security Updates",
                "Service Packs",
                "Update Rollups",
            ],
            "Updates",
        ),
    };
    hints.iter().find(|hint| **hint == update.classification).copied().unwrap_or(default)
}

/// The bucket of the oldest critical or security update, by the scan's own time.
fn bucket(scan: &Scan<'_>, missing: &[&Update<'_>]) -> &'static str {
    let grave = missing
        .iter()
        .filter(|update| ["Critical Updates", "Security Updates"].contains(&class(scan, update)));
    let Some(oldest) = grave.filter_map(|update| update.published_date).min() else {
        return "None";
    };
    let days = (scan.time_generated.0 - oldest.0).max(0) / Timestamp::DAY_MS;
    let buckets =
        ["Recent", "30 days ago", "60 days ago", "90 days ago", "120 days ago", "150 days ago"];
    match usize::try_from(days / 30).unwrap() {
        step @ ..=5 => buckets[step],
        6 => "180 days ago",
        _ => "Older",
    }
}

/// What the sink must show.
fn expected(world: &'static World) -> Figures {
    let mut figures = Figures::new();
    let mut add = |name: &str, labels: &str, count: u64| {
        *figures.entry(format!("patchline_fleet_{name}{{{labels}}}")).or_default() += count;
    };
    let late = world.now.0 - LATE_MINUTES * 60_000;
    for Computer { os, seen, newest } in computers(world).into_values() {
        let scan = newest.expect("every computer of the fleet has scanned");
        let is_missing = |update: &&Update<'_>| {
            update.update_state == UpdateState::Needed && update.approved && !update.optional
        };
        let missing: Vec<_> = scan.updates.iter().filter(is_missing).collect();
        let state = if seen < late {
            "not_reporting"
        } else if scan.restart_pending {
            "restart_pending"
        } else if missing.is_empty() {
            "up_to_date"
        } else {
            "updates_needed"
        };
        add("computers", &format!("os=\"{os}\",state=\"{state}\""), 1);
        if seen >= late && scan.time_generated.0 < late {
            add("assessments_stale", &format!("os=\"{os}\""), 1);
        }
        let bucket = bucket(scan, &missing);
        add("oldest_missing_security_update", &format!("bucket=\"{bucket}\""), 1);
        for update in missing {
            let class = class(scan, update);
            add("missing_updates", &format!("classification=\"{class}\",os=\"{os}\""), 1);
        }
        let setting = &scan.windows_update_setting;
        if ["Disabled", "Manual", "Notify before installation"].contains(&setting.as_ref()) {
            add("automatic_update_disabled", &format!("setting=\"{setting}\""), 1);
        }
    }
    for status in ["Not started", "Running", "Finished"] {
        add("deployments", &format!("status=\"{status}\""), 1);
    }
    figures
}

/// What the sink shows of these metrics, without the zeros.
fn shown(text: &str, names: &[&str]) -> Figures {
    let of = |line: &&str| names.iter().any(|name| line.starts_with(&format!("{name}{{")));
    let samples = text.lines().filter(of).map(|line| line.rsplit_once(' ').unwrap());
    let samples = samples.map(|(series, value)| (series.to_owned(), value.parse().unwrap()));
    samples.filter(|(_, value)| *value > 0).collect()
}

#[test]
fn the_figures_are_what_plain_code_makes_of_the_fleets_reports() {
    let world = world();
    let expected = expected(world);
    let names: Vec<&str> = {
        let mut names: Vec<&str> =
            expected.keys().map(|series| series.split_once('{').unwrap().0).collect();
        names.dedup();
        names
    };
    assert_eq!(names.len(), 6, "the fleet has something of everything: {names:?}");
    let deadline = Instant::now() + PATIENCE;
    loop {
        let shown = shown(&block_on(world.scrape(Stage::Sink)), &names);
        if shown == expected {
            return;
        }
        assert!(Instant::now() < deadline, "shown:\n{shown:#?}\nexpected:\n{expected:#?}");
        std::thread::sleep(LOOK_EVERY);
    }
}

#[test]
fn the_computers_of_deployments_are_those_that_the_view_shows() {
    let world = world();
    let client = world.stack.clickhouse_client();
    let sql = "SELECT Status::String, count() FROM UpdateDeploymentComputers WHERE IsNewestRun GROUP BY ALL";
    let name = "patchline_fleet_deployment_computers";
    let agree = async || {
        let rows: Vec<(String, u64)> = client.query(sql).fetch_all().await.unwrap();
        let expected: Figures = rows
            .into_iter()
            .map(|(status, count)| (format!("{name}{{status=\"{status}\"}}"), count))
            .collect();
        assert!(expected.values().sum::<u64>() >= u64::from(COMPUTERS), "{expected:?}");
        (shown(&world.scrape(Stage::Sink).await, &[name]) == expected).then_some(())
    };
    block_on(eventually(agree, || "the sink shows other computers of deployments".to_owned()));
}
