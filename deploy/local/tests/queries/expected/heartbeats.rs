//! `Heartbeat`.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use patchline_local::fleet::Truth;
use patchline_schemas::{Heartbeat, Timestamp};
use serde_json::{Value, json};

use super::{
    Answer, Fact, Facts, HOUR_MS, MINUTE_MS, Work, count_by, hour, part, resource, table, time,
    within,
};
use crate::world::{NOW, received};

pub(super) const ALL: &[(&str, Work)] = &[
    ("heartbeat/linux-agents", |facts| agents(facts, "Linux")),
    ("heartbeat/windows-agents", |facts| agents(facts, "Windows")),
    ("heartbeat/count-heartbeats", |facts| {
        let beats = facts.truth.heartbeats.iter().filter(|beat| within(beat.time_generated, 1));
        let mut answer = count_by("Computer", "count_", beats.map(|beat| &*beat.computer));
        answer.rows.sort_by_key(|row| row[0].as_str().unwrap().to_owned());
        answer
    }),
    ("heartbeat/last-heartbeat", |facts| {
        let last = newest(&facts.truth.heartbeats, |beat| &beat.computer);
        wide(last.into_values()).descending("TimeGenerated")
    }),
    ("heartbeat/ingestion-latency-spikes", |facts| spikes(facts.truth)),
    ("heartbeat/agent-latency-spikes", |facts| spikes(facts.truth)),
    ("heartbeat/recently-stopped", |facts| {
        let mut last: BTreeMap<[&str; 3], i64> = BTreeMap::new();
        for beat in &facts.truth.heartbeats {
            let resource = [4, 8, 7].map(|at| part(&beat.resource_id, at));
            let newest = last.entry(resource).or_insert(beat.time_generated.0);
            *newest = (*newest).max(beat.time_generated.0);
        }
        let seconds = last.into_iter().map(|(resource, last)| (resource, (NOW.0 - last) / 1000));
        let rows = seconds
            .filter(|(_, seconds)| (60..=900).contains(seconds))
            .map(|([group, resource, kind], seconds)| json!([group, resource, kind, seconds]));
        table("ResourceGroup Resource ResourceType LastReportedSeconds", rows)
    }),
    ("heartbeat/computers-availability", |facts| {
        let mut hours: BTreeMap<i64, BTreeSet<&str>> = BTreeMap::new();
        for beat in &facts.truth.heartbeats {
            hours.entry(beat.time_generated.0 / HOUR_MS).or_default().insert(&beat.computer_ip);
        }
        let rows =
            hours.into_iter().map(|(at, ips)| json!([hour(Timestamp(at * HOUR_MS)), ips.len()]));
        table("Hour dcount_ComputerIP", rows).exact()
    }),
    ("heartbeat/unavailable-computers", |facts| {
        let last = newest(&facts.truth.heartbeats, |beat| &beat.computer);
        let mut gone: Vec<_> = last
            .into_iter()
            .map(|(computer, beat)| (beat.time_generated, computer))
            .filter(|(last, _)| last.0 < NOW.0 - 5 * HOUR_MS)
            .collect();
        gone.sort();
        let rows = gone.into_iter().map(|(last, computer)| json!([computer, time(last)]));
        table("Computer LastHeartbeat", rows).exact()
    }),
    ("heartbeat/availability-rate", |facts| {
        let mut hours: BTreeMap<&str, BTreeSet<i64>> = BTreeMap::new();
        for beat in facts.truth.heartbeats.iter().filter(|beat| within(beat.time_generated, 24)) {
            let ago = (NOW.0 - beat.time_generated.0) / HOUR_MS;
            hours.entry(&beat.computer).or_default().insert(ago);
        }
        let mut rates: Vec<_> =
            hours.into_iter().map(|(computer, hours)| (Reverse(hours.len()), computer)).collect();
        rates.sort();
        let rows = rates.into_iter().map(|(Reverse(hours), computer)| {
            json!([computer, hours, hours as f64 * 100.0 / 24.0])
        });
        table("Computer totalAvailableHours availabilityRate", rows).exact()
    }),
    ("heartbeat/not-reporting", |facts| {
        let recent = facts.truth.heartbeats.iter().filter(|beat| within(beat.time_generated, 24));
        let last = newest(recent, |beat| &beat.computer);
        let mut silent: Vec<_> = last
            .into_values()
            .filter(|beat| beat.time_generated.0 < NOW.0 - 5 * MINUTE_MS)
            .map(|beat| (beat.time_generated, &*beat.computer, resource(&beat.resource_id)))
            .collect();
        silent.sort();
        let rows = silent
            .into_iter()
            .map(|(last, computer, resource)| json!([computer, resource, time(last)]));
        table("Computer _ResourceId LastCall", rows).exact()
    }),
    ("heartbeat/computers-list", computers_list),
    ("heartbeat/computers-summary", |facts| {
        let mut severities = BTreeMap::new();
        let assessed = assessed(facts);
        for id in onboarded(facts.truth).into_keys() {
            let severity = assessed.get(id).map_or(-1, Missing::worst);
            *severities.entry(severity).or_insert(0) += 1;
        }
        let count = |severity: i32| severities.get(&severity).copied().unwrap_or(0);
        let all: i32 = severities.values().sum();
        let row = json!([all - count(-1), count(-1), count(4), count(2), count(1), count(0), all]);
        table("assessed notAssessed needCritical needSecurity needOther upToDate all", [row])
    }),
    ("heartbeat/find", |facts| {
        let wanted = "scom-EAST";
        let beats = facts.truth.heartbeats.iter();
        let found = beats.filter(|beat| beat.management_group_name == "SCOM-East");
        wide(found).with("SearchValue", wanted)
    }),
];

type Beat = &'static Heartbeat<'static>;

/// The newest heartbeat of each key.
fn newest(
    beats: impl IntoIterator<Item = Beat>,
    key: fn(Beat) -> &'static str,
) -> BTreeMap<&'static str, Beat> {
    let mut newest: BTreeMap<&str, Beat> = BTreeMap::new();
    for beat in beats {
        let shown = newest.entry(key(beat)).or_insert(beat);
        if beat.time_generated > shown.time_generated {
            *shown = beat;
        }
    }
    newest
}

fn wide(beats: impl IntoIterator<Item = Beat>) -> Answer {
    let rows = beats.into_iter().map(|beat| {
        json!([
            beat.computer,
            time(beat.time_generated),
            beat.os_name,
            beat.os_major_version,
            beat.category,
            beat.solutions,
            beat.computer_ip,
            beat.computer_private_ips,
            beat.version,
            beat.management_group_name,
            beat.report_id,
        ])
    });
    let columns = "Computer TimeGenerated OSName OSMajorVersion Category Solutions ComputerIP \
        ComputerPrivateIPs Version ManagementGroupName ReportId";
    table(columns, rows)
}

fn agents(facts: &Facts, system: &str) -> Answer {
    let beats = facts.truth.heartbeats.iter().filter(|beat| beat.os_type == system);
    let mut last: Vec<_> = newest(beats, |beat| &beat.source_computer_id).into_values().collect();
    last.sort_by_key(|beat| &*beat.computer);
    wide(last).exact()
}

/// Computers of the last twelve hours whose agent has the solution, by id.
pub(super) fn onboarded(truth: &'static Truth<'static>) -> BTreeMap<&'static str, Beat> {
    let recent = truth.heartbeats.iter().filter(|beat| within(beat.time_generated, 12));
    newest(recent, |beat| &beat.source_computer_id)
        .into_iter()
        .filter(|(_, beat)| beat.solutions.split(',').any(|solution| solution == "updates"))
        .collect()
}

/// What an assessed computer misses.
struct Missing {
    critical: i64,
    security: i64,
    other: i64,
    scanned: Timestamp,
}

impl Missing {
    fn worst(&self) -> i32 {
        match self {
            Missing { critical: 1.., .. } => 4,
            Missing { security: 1.., .. } => 2,
            Missing { other: 1.., .. } => 1,
            _ => 0,
        }
    }
}

fn assessed(facts: &Facts) -> BTreeMap<&'static str, Missing> {
    let mut assessed = BTreeMap::new();
    for row in &facts.updates {
        let Fact { scan, update, .. } = *row;
        if !row.within(if row.linux() { 5 } else { 14 }) {
            continue;
        }
        let nothing = Missing { critical: 0, security: 0, other: 0, scanned: scan.time_generated };
        let missing = assessed.entry(&*scan.source_computer_id).or_insert(nothing);
        if !row.needed() || !update.approved {
            continue;
        }
        missing.critical += i64::from(row.critical());
        missing.security += i64::from(row.security());
        missing.other += i64::from(!row.grave() && !update.optional);
    }
    assessed
}

/// Those that lack the gravest updates first, then those that lack most of them, then by name.
type Rank<'a> = (u8, Reverse<[i64; 3]>, &'a str);

fn computers_list(facts: &Facts) -> Answer {
    let assessed = assessed(facts);
    let mut rows: Vec<(Rank<'_>, Value)> = Vec::new();
    for (id, beat) in onboarded(facts.truth) {
        let missing = assessed.get(id);
        let counts = missing.map_or([-1; 3], |m| [m.critical, m.security, m.other]);
        let compliance = match missing {
            None => 4,
            Some(Missing { critical: 0, security: 0, .. }) => 1,
            Some(_) => 2,
        };
        let order = match missing.map(Missing::worst) {
            None => 2,
            Some(0) => 3,
            Some(_) => 1,
        };
        let [critical, security, other] = counts;
        let row = json!([
            id,
            beat.computer,
            id,
            true,
            critical,
            security,
            other,
            compliance,
            missing.map(|missing| time(missing.scanned)),
            "",
            if beat.os_type == "Linux" { 1 } else { 2 },
            if beat.computer_environment == "Azure" { 1 } else { 2 },
        ]);
        rows.push(((order, Reverse(counts), &beat.computer), row));
    }
    rows.sort_by_key(|(rank, _)| *rank);
    let columns = "id displayName sourceComputerId scopedToUpdatesSolution missingCriticalUpdatesCount \
        missingSecurityUpdatesCount missingOtherUpdatesCount compliance lastAssessedTime \
        lastUpdateAgentSeenTime osType environment";
    table(columns, rows.into_iter().map(|(_, row)| row)).exact()
}

/// Mean latency every ten minutes of the last day, two straight lines through it, and whether they explain it
/// and rise.
fn spikes(truth: &Truth<'static>) -> Answer {
    let start = NOW.0 - 24 * HOUR_MS;
    let mut sums = vec![(0.0, 0); 145];
    for beat in &truth.heartbeats {
        let sent = beat.time_generated;
        if (start..=NOW.0).contains(&sent.0) {
            let (sum, count) =
                &mut sums[usize::try_from((sent.0 - start) / (10 * MINUTE_MS)).unwrap()];
            *sum += (received(sent).0 - sent.0) as f64 / 1000.0;
            *count += 1;
        }
    }
    let series: Vec<f64> = sums
        .into_iter()
        .map(|(sum, count)| if count == 0 { 0.0 } else { sum / f64::from(count) })
        .collect();

    let line = |ys: &[f64]| {
        let n = ys.len() as f64;
        let (mean_x, mean_y) = ((n - 1.0) / 2.0, ys.iter().sum::<f64>() / n);
        let (mut above, mut below) = (0.0, 0.0);
        for (x, y) in ys.iter().enumerate() {
            above += (x as f64 - mean_x) * (y - mean_y);
            below += (x as f64 - mean_x).powi(2);
        }
        (above / below, mean_y - above / below * mean_x)
    };
    let fit = |ys: &[f64]| {
        let (slope, at_0) = line(ys);
        (0..ys.len()).map(|x| at_0 + slope * x as f64).collect::<Vec<f64>>()
    };
    let squares =
        |ys: &[f64], fit: &[f64]| ys.iter().zip(fit).map(|(y, fit)| (y - fit).powi(2)).sum::<f64>();
    let (unexplained, lines) = (2..series.len() - 1)
        .map(|split| {
            let lines = [fit(&series[..split]), fit(&series[split..])].concat();
            (squares(&series, &lines), lines)
        })
        .min_by(|(a, _), (b, _)| a.total_cmp(b))
        .unwrap();
    let mean = series.iter().sum::<f64>() / series.len() as f64;
    let explained = 1.0 - unexplained / squares(&series, &vec![mean; series.len()]);
    let spike = explained > 0.9 && line(&lines).0 > 0.0;
    table("PatternMatch", [json!([if spike { "Spike detected" } else { "No spike" }])])
}
