//! What the views say of update deployments, against the same worked out in plain code.
//!
//! The views go by the clock: every time here is so far from now that the test may take its time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use patchline_schemas::validate::INSTALLATION_STATUSES;
use patchline_schemas::{
    EnrichedRunProgress, Heartbeat, Report, RunProgress, Schedule, Timestamp, UpdateDeployment,
    deployment,
};

use crate::fixture::{Random, World, heartbeat, id, run_progress, scan};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = Timestamp::DAY_MS;

/// A deployment whose first start is `first`, on the second.
fn define(
    name: &'static str,
    report: u32,
    schedule: Schedule,
    first: i64,
    minutes: i32,
    computers: &[&str],
) -> UpdateDeployment<'static> {
    let mut definition = UpdateDeployment {
        report_id: id(report),
        name: name.into(),
        time_generated: Timestamp(first - 20 * DAY),
        schedule,
        time_zone: "UTC".into(),
        start_time: Timestamp(first).to_string()[..19].to_owned().into(),
        duration_minutes: minutes,
        computers: computers.iter().map(|one| (*one).to_owned()).collect(),
        ..UpdateDeployment::default()
    };
    deployment::complete(&mut definition).unwrap();
    assert_eq!(definition.starts[0], Timestamp(first));
    definition
}

struct Computer {
    id: String,
    name: String,
    os: &'static str,
    group: &'static str,
    /// Known by a heartbeat or by its scans.
    beats: bool,
}

/// Thirty computers: web servers that beat, database servers that scan.
fn fleet() -> Vec<Computer> {
    (0..30)
        .map(|number| {
            let web = number < 20;
            Computer {
                id: format!("c{number}"),
                name: format!("{}-{number}.Contoso.com", if web { "web" } else { "db" }),
                os: if web { "Linux" } else { "Windows" },
                group: if number % 7 == 0 { "OPS" } else { "AOI-1" },
                beats: web,
            }
        })
        .collect()
}

/// A report on one update, and the run that it is of.
struct Said {
    run: i64,
    at: i64,
    computer: usize,
    update: usize,
    status: &'static str,
}

fn title(update: usize) -> String {
    format!("package-{update}:amd64 (1.{update}, automatic)")
}

/// As the agent sends it: on Linux an update has another id on each computer.
fn report(name: &str, number: u32, said: &Said, of: &Computer) -> EnrichedRunProgress<'static> {
    let linux = of.os == "Linux";
    let update_id = match linux {
        true => format!("{}-{}", said.computer, said.update),
        false => format!("UPDATE-{}", said.update),
    };
    EnrichedRunProgress {
        report: RunProgress {
            report_id: id(number),
            source_computer_id: of.id.clone().into(),
            computer: of.name.clone().into(),
            time_generated: Timestamp(said.at),
            os_type: of.os.into(),
            update_run_name: name.to_owned().into(),
            update_id: update_id.into(),
            title: title(said.update).into(),
            installation_status: said.status.into(),
            ..run_progress("", 0).report
        },
        product: if linux { format!("package-{}", said.update).into() } else { "".into() },
        kbid: if linux { "".into() } else { format!("40122{:02}", said.update).into() },
    }
}

type Counts = BTreeMap<&'static str, u64>;

fn count(counts: &Counts, status: &str) -> u64 {
    counts.get(status).copied().unwrap_or_default()
}

/// The nine counts and the share of what was to be installed, as the queries below show them.
fn shown(counts: &Counts) -> String {
    let left_out = count(counts, "NotIncluded") + count(counts, "Excluded");
    let intended = counts.values().sum::<u64>() - left_out;
    let percent = match intended {
        0 => "null".to_owned(),
        _ => format!("{:.1}", 100.0 * count(counts, "Succeeded") as f64 / intended as f64),
    };
    let counts: Vec<String> =
        INSTALLATION_STATUSES.iter().map(|status| count(counts, status).to_string()).collect();
    format!("{} {percent}%", counts.join(","))
}

const SHOWN: &str = "concat(arrayStringConcat([NotStarted, FailedToStart, Failed, InProgress, \
    MaintenanceWindowExceeded, Succeeded, InstallFailed, NotIncluded, Excluded], ','), ' ', \
    ifNull(toDecimalString(PercentInstalled, 1), 'null'), '%')";

fn computer_status(counts: &Counts) -> &'static str {
    let has = |status: &str| count(counts, status) > 0;
    let failed = has("Failed") || has("InstallFailed");
    if counts.is_empty() {
        "NotStarted"
    } else if has("InProgress") || (has("NotStarted") && (has("Succeeded") || failed)) {
        "InProgress"
    } else if has("FailedToStart") {
        "FailedToStart"
    } else if failed {
        "Failed"
    } else if has("MaintenanceWindowExceeded") {
        "MaintenanceWindowExceeded"
    } else if has("NotStarted") {
        "NotStarted"
    } else {
        "Succeeded"
    }
}

#[tokio::test]
async fn the_views_tell_of_each_deployment_what_plain_code_does() {
    let mut random = Random::seeded();
    let world = World::migrated("deployments", 2).await;
    let mut sink = world.start(&[]);
    let now = Timestamp::now().0 / 1000 * 1000;

    let fleet = fleet();
    for (number, computer) in fleet.iter().enumerate() {
        let number = 1000 + number as u32;
        if computer.beats {
            let beat = Heartbeat {
                time_generated: Timestamp(now - HOUR),
                computer: computer.name.clone().into(),
                os_type: computer.os.into(),
                management_group_name: computer.group.into(),
                ..heartbeat(&computer.id, number)
            };
            world.send_heartbeat(&beat).await;
        } else {
            let mut scan = scan(&computer.id, number, 0, vec![]);
            scan.scan.time_generated = Timestamp(now - 5 * HOUR);
            scan.scan.computer = computer.name.clone().into();
            scan.scan.os_type = computer.os.into();
            scan.scan.management_group_name = computer.group.into();
            world.send_scan(&scan).await;
        }
    }
    // Silent for six weeks: nobody counts on it any more.
    let silent = Heartbeat {
        computer: "web-99.contoso.com".into(),
        time_generated: Timestamp(now - 42 * DAY),
        ..heartbeat("c99", 1099)
    };
    world.send_heartbeat(&silent).await;

    // It runs now, for the third time. Some web servers by pattern, one database server by name, and a group.
    let mut weekly = define(
        "weekly",
        1,
        Schedule::Weekly,
        now - 14 * DAY - HOUR,
        360,
        &["WEB-1?.*", "db-25.contoso.com", "nowhere"],
    );
    weekly.computer_groups = vec!["ops".to_owned()];
    weekly.exclusions = vec!["PACKAGE-1".to_owned(), "*02".to_owned()];
    let mut once = define("once", 2, Schedule::OneTime, now - 9 * HOUR, 60, &["*"]);
    once.os_type = "Windows".into();
    let later = define("later", 3, Schedule::OneTime, now + 3 * DAY, 60, &["web-1.contoso.com"]);
    let between = define("between", 4, Schedule::Weekly, now - 3 * DAY, 60, &["db-2*"]);
    let deleted = UpdateDeployment {
        report_id: id(6),
        time_generated: Timestamp(now - 2 * DAY),
        deleted: true,
        starts: vec![],
        ..define("gone", 5, Schedule::OneTime, now - 9 * DAY, 60, &["*"])
    };
    // `once` was meant for everything at first; that older definition arrives last.
    let older = UpdateDeployment {
        report_id: id(7),
        time_generated: Timestamp(once.time_generated.0 - DAY),
        os_type: "".into(),
        ..once.clone()
    };
    let gone = define("gone", 5, Schedule::OneTime, now - 9 * DAY, 60, &["*"]);
    let shown_ones = [&weekly, &once, &later, &between];
    for definition in [&weekly, &once, &later, &between, &gone, &deleted, &older] {
        world.send(&world.topics.update_deployments, definition.key(), definition).await;
    }

    // What the computers report: each run's updates, some statuses one after the other, some reports twice.
    let mut newest: BTreeMap<(&str, i64, usize, usize), (i64, &'static str)> = BTreeMap::new();
    let mut number = 10_000;
    let runs = [
        ("weekly", weekly.starts[0].0, 360),
        ("weekly", weekly.starts[1].0, 360),
        ("weekly", weekly.starts[2].0, 60_u64),
        ("once", once.starts[0].0, 60),
        ("gone", gone.starts[0].0, 60),
    ];
    for (name, run, minutes) in runs {
        for (computer, of) in fleet.iter().enumerate() {
            if random.below(3) == 0 {
                continue;
            }
            for update in 0..4 {
                for _ in 0..1 + random.below(2) {
                    // The clocks of some are slow: they seem to report before the run begins.
                    let after = random.below(minutes) as i64 * MINUTE - 10 * MINUTE;
                    let status = INSTALLATION_STATUSES[random.below(9) as usize];
                    // One report a millisecond, so that one is the newest.
                    let at = run + after + i64::from(number % 60_000);
                    let said = Said { run, at, computer, update, status };
                    number += 1;
                    let report = report(name, number, &said, of);
                    world.send_run_progress(&report).await;
                    if random.below(5) == 0 {
                        world.send_run_progress(&report).await;
                    }
                    let last = newest.entry((name, said.run, computer, update)).or_default();
                    *last = (*last).max((said.at, said.status));
                }
            }
        }
    }
    let said = Said { run: 0, at: now, computer: 0, update: 0, status: "Succeeded" };
    world.send_run_progress(&report("of nobody", 9_999, &said, &fleet[0])).await;
    let sent = u64::from(number - 10_000 + 1);
    world.wait_for("SELECT count() FROM UpdateRunProgress", sent).await;
    world.wait_for("SELECT count() FROM update_deployment_rows FINAL", 7).await;
    world.wait_for("SELECT count() FROM Heartbeat", 21).await;
    world.wait_for("SELECT count() FROM UpdateSummary", 10).await;

    let targets = |definition: &UpdateDeployment<'_>| -> BTreeSet<usize> {
        let meant = |of: &Computer| deployment::targets(definition, &of.name, of.os, of.group);
        fleet.iter().enumerate().filter(|(_, of)| meant(of)).map(|(at, _)| at).collect()
    };
    let begun = |definition: &UpdateDeployment<'_>| -> Vec<i64> {
        definition.starts.iter().map(|start| start.0).filter(|start| *start <= now).collect()
    };
    let time = |start: Option<i64>| {
        start.map_or("-".to_owned(), |start| Timestamp(start).to_string()[..19].to_owned())
    };

    let mut expected = Vec::new();
    let mut expected_computers = Vec::new();
    for definition in shown_ones {
        let name = definition.name.as_ref();
        let begun = begun(definition);
        let last = begun.last().copied();
        let mut servers = targets(definition);
        for run in &begun {
            let mut of_run: BTreeMap<usize, Counts> = BTreeMap::new();
            if Some(*run) == last {
                of_run.extend(servers.iter().map(|computer| (*computer, Counts::new())));
            }
            for ((_, _, computer, _), (_, status)) in
                newest.iter().filter(|((of, start, ..), _)| *of == name && start == run)
            {
                *of_run.entry(*computer).or_default().entry(status).or_default() += 1;
            }
            if Some(*run) == last {
                servers.extend(of_run.keys());
            }
            expected_computers.extend(of_run.iter().map(|(computer, counts)| {
                let Computer { name: computer, os, .. } = &fleet[*computer];
                let is_newest = Some(*run) == last;
                let (run, status) = (time(Some(*run)), computer_status(counts));
                format!("{name} {run} {is_newest} {computer} {os} {status} {}", shown(counts))
            }));
        }
        let next = definition.starts.iter().map(|start| start.0).find(|start| *start > now);
        let window = i64::from(definition.duration_minutes) * MINUTE;
        let (status, group) = match (last, next) {
            (Some(last), _) if last + window > now => ("Running", "Running"),
            (_, Some(_)) => ("Not started", "Scheduled"),
            (_, None) => ("Finished", "Completed"),
        };
        expected.push(format!(
            "{name} {} {} {} {} {status} {group} {} {}",
            definition.schedule.column_value(),
            time(Some(definition.starts[0].0)),
            definition.duration_minutes,
            servers.len(),
            time(last),
            time(next)
        ));
    }
    expected.sort();
    let statuses: Vec<&str> = expected.iter().map(|row| row.split(' ').next().unwrap()).collect();
    assert_eq!(statuses, ["between", "later", "once", "weekly"]);
    assert!(expected[0].contains(" Not started Scheduled 2"), "{}", expected[0]);
    assert!(expected[2].contains(" Finished "), "{}", expected[2]);
    assert!(expected[3].contains(" Running "), "{}", expected[3]);

    let second = |column: &str| format!("formatDateTime({column}, '%Y-%m-%dT%H:%i:%S')");
    let found = world
        .texts(&format!(
            "SELECT concat(Name, ' ', Schedule, ' ', {}, ' ', toString(Duration), ' ', toString(Servers), \
             ' ', Status, ' ', StatusGroup, ' ', ifNull({}, '-'), ' ', ifNull({}, '-')) \
             FROM UpdateDeployment ORDER BY Name",
            second("StartTime"),
            second("LastStart"),
            second("NextStart"),
        ))
        .await;
    assert_eq!(found, expected);

    expected_computers.sort();
    let found = world
        .texts(&format!(
            "SELECT concat(Name, ' ', {}, ' ', toString(IsNewestRun), ' ', Computer, ' ', OSType, ' ', \
             Status, ' ', {SHOWN}) AS Row FROM UpdateDeploymentComputers ORDER BY Row",
            second("RunStart"),
        ))
        .await;
    assert_eq!(found, expected_computers);
    let statuses: BTreeSet<&str> = found.iter().map(|row| row.split(' ').nth(5).unwrap()).collect();
    assert!(statuses.len() >= 4, "the reports are not varied enough: {statuses:?}");

    let mut counts: BTreeMap<(&str, i64, &str, usize), Counts> = BTreeMap::new();
    for ((name, run, computer, update), (_, status)) in &newest {
        if *name != "gone" {
            let of = counts.entry((name, *run, fleet[*computer].os, *update)).or_default();
            *of.entry(status).or_default() += 1;
        }
    }
    let mut expected: Vec<String> = counts
        .iter()
        .map(|((name, run, os, update), counts)| {
            let linux = *os == "Linux";
            let kbid = if linux { String::new() } else { format!("40122{update:02}") };
            let product = if linux { format!("package-{update}") } else { String::new() };
            let definition = shown_ones.iter().find(|one| one.name == *name).unwrap();
            let excluded = deployment::excludes(definition, &kbid, &product);
            let computers = counts.values().sum::<u64>();
            format!(
                "{name} {} {os} {} [{product}{kbid}] {computers} {excluded} {}",
                time(Some(*run)),
                title(*update),
                shown(counts)
            )
        })
        .collect();
    expected.sort();
    assert!(expected.iter().any(|row| row.contains(" true ")), "nothing is excluded");
    let found = world
        .texts(&format!(
            "SELECT concat(Name, ' ', {}, ' ', OSType, ' ', Title, ' [', Product, KBID, '] ', \
             toString(Computers), ' ', toString(IsExcluded), ' ', {SHOWN}) AS Row \
             FROM UpdateDeploymentUpdates ORDER BY Row",
            second("RunStart"),
        ))
        .await;
    assert_eq!(found, expected);
    sink.terminate(Duration::from_secs(20)).unwrap();
}

/// Past runs are those of the definition that held at their time; a deletion ends them all.
#[tokio::test]
async fn a_changed_deployment_keeps_the_runs_that_it_had() {
    let world = World::migrated("redefined", 1).await;
    let mut sink = world.start(&[]);
    let now = Timestamp::now().0 / 1000 * 1000;
    let send = async |definition: &UpdateDeployment<'_>| {
        world.send(&world.topics.update_deployments, definition.key(), definition).await;
    };
    let runs = "SELECT toUnixTimestamp64Milli(RunStart) FROM deployment_runs WHERE RunStart < now64(3) \
                ORDER BY RunStart";
    let runs = async || -> Vec<i64> { world.client.query(runs).fetch_all().await.unwrap() };
    let rows = "SELECT count() FROM update_deployment_rows FINAL";

    // Weekly since three weeks ago; since ten days ago every two weeks, at another hour.
    let weekly = define("a", 1, Schedule::Weekly, now - 21 * DAY - HOUR, 30, &["*"]);
    let mut changed = define("a", 2, Schedule::Weekly, now - 20 * DAY - 2 * HOUR, 30, &["*"]);
    changed.interval = 2;
    changed.time_generated = Timestamp(now - 10 * DAY);
    deployment::complete(&mut changed).unwrap();
    send(&changed).await;
    send(&weekly).await;
    world.wait_for(rows, 2).await;
    assert_eq!(
        runs().await,
        [now - 21 * DAY - HOUR, now - 14 * DAY - HOUR, now - 6 * DAY - 2 * HOUR]
    );

    // Deleted and made anew, as one does to have its computer groups looked up again.
    let deleted = UpdateDeployment {
        report_id: id(3),
        time_generated: Timestamp(now - 2 * DAY),
        deleted: true,
        ..weekly.clone()
    };
    send(&deleted).await;
    world.wait_for(rows, 3).await;
    assert!(runs().await.is_empty());
    assert_eq!(world.number("SELECT count() FROM UpdateDeployment").await, 0);
    let mut anew = define("a", 4, Schedule::OneTime, now - 2 * HOUR, 30, &["*"]);
    anew.time_generated = Timestamp(now - 3 * HOUR);
    send(&anew).await;
    world.wait_for(rows, 4).await;
    assert_eq!(runs().await, [now - 2 * HOUR]);
    assert_eq!(world.texts("SELECT Status FROM UpdateDeployment").await, ["Finished"]);

    // A definition that makes no sense is a dead letter, and the others stand.
    let bad = UpdateDeployment { report_id: id(5), duration_minutes: 10, ..anew.clone() };
    send(&bad).await;
    send(&UpdateDeployment { report_id: id(6), name: "b".into(), ..anew }).await;
    world.wait_for("SELECT count() FROM UpdateDeployment", 2).await;
    let listed = world.command(&[]).args(["dead-letters", "list"]).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(
        listed.contains("invalid") && listed.contains("DurationMinutes: 10 is not"),
        "{listed}"
    );
    sink.terminate(Duration::from_secs(20)).unwrap();
}
