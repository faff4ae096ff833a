//! What was needed when: a function of the scans that are stored, in whatever order they came.

use std::collections::{BTreeMap, BTreeSet};

use patchline_schemas::{EnrichedScan, Timestamp, UpdateState};
use patchline_sink::batch::Source;

use crate::fixture::{NOW, Random, World, run_progress, scan, update};

/// UpdateID, Product, ProductArch, ProductVersion
type Identity = (String, String, String, String);

/// A time in which a computer needed an update: computer, update, what became of it, first and last scan that
/// found it needed, first scan after that.
type Period = (String, Identity, String, i64, i64, Option<i64>);

/// The periods that a reader of all `scans` would write down, one scan after the other.
fn periods(scans: &[EnrichedScan<'_>]) -> Vec<Period> {
    let mut computers: BTreeMap<&str, BTreeMap<i64, BTreeSet<Identity>>> = BTreeMap::new();
    for scan in scans {
        let times = computers.entry(&scan.scan.source_computer_id).or_default();
        let needed = times.entry(scan.scan.time_generated.0).or_default();
        let updates = scan.updates.iter().map(|update| &update.update);
        needed.extend(updates.filter(|update| update.update_state == UpdateState::Needed).map(
            |update| {
                (
                    update.update_id.to_string(),
                    update.product.to_string(),
                    update.product_arch.to_string(),
                    update.product_version.to_string(),
                )
            },
        ));
    }
    let mut periods = Vec::new();
    for (computer, times) in computers {
        let mut open: BTreeMap<Identity, (i64, i64)> = BTreeMap::new();
        for (time, needed) in times {
            let began: Vec<&Identity> =
                needed.iter().filter(|update| !open.contains_key(*update)).collect();
            let over: Vec<Identity> =
                open.keys().filter(|update| !needed.contains(*update)).cloned().collect();
            for update in over {
                let (first, last) = open[&update];
                let replaced = began.iter().any(|other| package(other) == package(&update));
                let state = if replaced { "Replaced" } else { "Installed" };
                let period = (computer.to_owned(), update.clone(), state.to_owned());
                periods.push((period.0, period.1, period.2, first, last, Some(time)));
                open.remove(&update);
            }
            for update in needed {
                open.entry(update).or_insert((time, time)).1 = time;
            }
        }
        for (update, (first, last)) in open {
            periods.push((computer.to_owned(), update, "Needed".to_owned(), first, last, None));
        }
    }
    periods.sort();
    periods
}

/// One row of `UpdateStateChange`: computer, update, state, since.
type Change = (String, Identity, String, i64);

/// The changes that `periods` begin and end with.
fn changes(periods: &[Period]) -> Vec<Change> {
    let mut changes = Vec::new();
    for (computer, update, state, first, _, next) in periods {
        changes.push((computer.clone(), update.clone(), "Needed".to_owned(), *first));
        if let Some(next) = next {
            changes.push((computer.clone(), update.clone(), state.clone(), *next));
        }
    }
    changes.sort();
    changes
}

/// The rows of `UpdateHistory`: the periods of an update as one, from the first to the end of the last.
fn history(periods: &[Period]) -> Vec<Period> {
    /// First and last scan that found it needed, first scan after that.
    type Bounds = (i64, i64, Option<i64>);
    let mut whole: BTreeMap<(String, Identity), Bounds> = BTreeMap::new();
    for (computer, update, _, first, last, next) in periods {
        let key = (computer.clone(), update.clone());
        let bounds = whole.entry(key).or_insert((*first, *last, *next));
        bounds.0 = bounds.0.min(*first);
        if *last >= bounds.1 {
            (bounds.1, bounds.2) = (*last, *next);
        }
    }
    // What took its place must be new to the computer to be told from an installation.
    let firsts: BTreeSet<(String, [String; 3], i64)> = whole
        .iter()
        .map(|((computer, update), row)| (computer.clone(), package(update), row.0))
        .collect();
    let rows = whole.into_iter().map(|((computer, update), (first, last, next))| {
        let state = match next {
            None => "Needed",
            Some(next) if firsts.contains(&(computer.clone(), package(&update), next)) => {
                "Replaced"
            }
            Some(_) => "Installed",
        };
        (computer, update, state.to_owned(), first, last, next)
    });
    let mut rows: Vec<Period> = rows.collect();
    rows.sort();
    rows
}

fn package(of: &Identity) -> [String; 3] {
    [of.0.clone(), of.1.clone(), of.2.clone()]
}

async fn shown_history(world: &World) -> Vec<Period> {
    let sql = "SELECT SourceComputerId, UpdateID, Product, ProductArch, ProductVersion, State, \
        toUnixTimestamp64Milli(FirstNeeded), toUnixTimestamp64Milli(LastNeeded), \
        if(isNull(NotNeededSince), NULL, toUnixTimestamp64Milli(assumeNotNull(NotNeededSince))) \
        FROM UpdateHistory";
    type Row = (String, String, String, String, String, String, i64, i64, Option<i64>);
    let rows: Vec<Row> = world.client.query(sql).fetch_all().await.unwrap();
    let mut periods: Vec<Period> = rows
        .into_iter()
        .map(|(computer, id, product, arch, version, state, first, last, next)| {
            (computer, (id, product, arch, version), state, first, last, next)
        })
        .collect();
    periods.sort();
    periods
}

async fn shown_changes(world: &World) -> Vec<Change> {
    let sql = "SELECT SourceComputerId, UpdateID, Product, ProductArch, ProductVersion, State, \
        toUnixTimestamp64Milli(TimeGenerated) FROM UpdateStateChange";
    type Row = (String, String, String, String, String, String, i64);
    let rows: Vec<Row> = world.client.query(sql).fetch_all().await.unwrap();
    let mut changes: Vec<Change> = rows
        .into_iter()
        .map(|(computer, id, product, arch, version, state, since)| {
            (computer, (id, product, arch, version), state, since)
        })
        .collect();
    changes.sort();
    changes
}

/// Both views show what a reader of `scans` would write down.
async fn check(world: &World, scans: &[EnrichedScan<'_>]) {
    let periods = periods(scans);
    assert_eq!(shown_changes(world).await, changes(&periods));
    assert_eq!(shown_history(world).await, history(&periods));
}

/// Scans of some computers over some months, whose updates come and go.
fn scans(random: &mut Random) -> Vec<EnrichedScan<'static>> {
    let mut scans = Vec::new();
    for computer in 0..6 {
        let name = format!("c{computer}");
        let mut time = random.below(28 * Timestamp::DAY_MS as u64) as i64;
        let mut needed: BTreeSet<u32> = BTreeSet::new();
        for _ in 0..30 {
            // Sometimes two scans at once, sometimes none for many weeks.
            time += match random.below(20) {
                0 => 0,
                1 => 60 * Timestamp::DAY_MS,
                _ => random.below(4 * Timestamp::DAY_MS as u64) as i64,
            };
            for _ in 0..random.below(3) {
                let number = random.below(12) as u32;
                if !needed.remove(&number) {
                    needed.insert(number);
                }
            }
            let updates = (0..12).filter(|number| needed.contains(number) || number % 3 == 0);
            let updates = updates.map(|number| {
                use UpdateState::{Needed, NotNeeded};
                let state = if needed.contains(&number) { Needed } else { NotNeeded };
                let mut update = update(number / 3, state);
                update.update.product_version = format!("0:1.{}", number % 3).into();
                if computer == 0 {
                    update.update.update_id = format!("update-{number}").into();
                }
                update
            });
            let report = scans.len() as u32;
            let mut scan = scan(&name, report, time, updates.collect());
            if computer == 0 {
                scan.scan.os_type = "Windows".into();
            }
            scans.push(scan);
        }
    }
    scans
}

#[tokio::test]
async fn history_depends_on_the_scans_and_not_on_their_order() {
    let mut random = Random::seeded();
    let world = World::migrated("history", 1).await;
    let scans = scans(&mut random);
    // Every scan once or twice, in any order.
    let mut arrivals: Vec<&EnrichedScan<'_>> = scans.iter().collect();
    arrivals.extend(scans.iter().filter(|_| random.below(4) == 0));
    for at in (1..arrivals.len()).rev() {
        arrivals.swap(at, random.below(at as u64 + 1) as usize);
    }
    let arrived = Timestamp(NOW + 1000 * Timestamp::DAY_MS);
    let mut stored = 0;
    let mut half = false;
    while stored < arrivals.len() {
        let end = arrivals.len().min(stored + 1 + random.below(60) as usize);
        let batch: Vec<EnrichedScan<'_>> = arrivals[stored..end].iter().copied().cloned().collect();
        world.store(Source::Scans, stored as i64, arrived, &batch).await;
        stored = end;
        if !half && stored > arrivals.len() / 2 {
            half = true;
            let so_far: Vec<_> = arrivals[..stored].iter().copied().cloned().collect();
            check(&world, &so_far).await;
            world.client.query("OPTIMIZE TABLE update_history_rows FINAL").execute().await.unwrap();
        }
    }
    let expected = periods(&scans);
    for state in ["Needed", "Installed", "Replaced"] {
        assert!(expected.iter().any(|period| period.2 == state), "no update is {state}");
    }
    check(&world, &scans).await;
    // Neither merging nor deleting what the scans left elsewhere takes anything from it.
    world.client.query("OPTIMIZE TABLE update_history_rows FINAL").execute().await.unwrap();
    let store = patchline_sink::store::Store::new(&world.clickhouse);
    store.delete_replaced_scans().await.unwrap();
    check(&world, &scans).await;
    // One computer's history is the same when it alone is asked for.
    let one = "SELECT count() FROM UpdateStateChange WHERE SourceComputerId = 'c3'";
    let of_one = changes(&expected).iter().filter(|change| change.0 == "c3").count() as u64;
    assert_eq!(world.number(one).await, of_one);
}

#[tokio::test]
async fn time_to_patch_can_be_asked() {
    use UpdateState::{Needed, NotNeeded};
    let world = World::migrated("patched", 1).await;
    let day = Timestamp::DAY_MS;
    let classified = |class: &'static str| {
        let mut update = update(1, Needed);
        update.verdict.classification = class.into();
        update
    };
    let scans = [
        scan("c1", 1, 0, vec![update(2, Needed)]),
        scan("c1", 2, day, vec![classified("Other Updates"), update(2, Needed)]),
        // Judged anew before it was installed.
        scan("c1", 3, 2 * day, vec![classified("Critical Updates"), update(2, Needed)]),
        scan("c1", 4, 3 * day + day / 2, vec![update(1, NotNeeded), update(2, Needed)]),
    ];
    world.store(Source::Scans, 0, Timestamp(NOW + 5 * day), &scans).await;
    let sql = "SELECT concat(Computer, ' ', Product, ' ', State, ' ', Classification, ' ', \
        ifNull(toString(DaysToPatch), '-'), ' ', toString(toUnixTimestamp64Milli(TimeGenerated))) \
        FROM UpdateHistory ORDER BY Product";
    assert_eq!(
        world.texts(sql).await,
        [
            format!(
                "c1.contoso.com package-1 Installed Critical Updates 2.5 {}",
                NOW + 3 * day + day / 2
            ),
            format!("c1.contoso.com package-2 Needed Security Updates - {NOW}"),
        ]
    );
}

#[tokio::test]
async fn how_long_an_update_takes_is_known_from_those_who_installed_it() {
    let world = World::migrated("install", 1).await;
    let mut windows = scan("w1", 1, 0, vec![]);
    windows.scan.os_type = "Windows".into();
    for (number, kbid) in [(1, ""), (2, "4012212"), (3, "")] {
        let mut update = update(number, UpdateState::Needed);
        update.update.update_id = format!("GUID-{number}").into();
        update.update.kbid = kbid.into();
        windows.updates.push(update);
    }
    let linux = scan("l1", 2, 0, vec![update(1, UpdateState::Needed)]);
    world.store(Source::Scans, 0, Timestamp(NOW), &[windows, linux]).await;
    let install = |number: u32, os: &'static str, id: &str, kbid: &str, product: &str, ms: i64| {
        let mut progress = run_progress(&format!("other-{number}"), number);
        progress.report.os_type = os.into();
        progress.report.update_id = id.to_owned().into();
        progress.report.end_time = Some(Timestamp(NOW + ms));
        progress.kbid = kbid.to_owned().into();
        progress.product = product.to_owned().into();
        progress
    };
    let mut failed = install(5, "Windows", "guid-1", "", "", 9_000_000);
    failed.report.installation_status = "Failed".into();
    let reports = [
        install(1, "Windows", "guid-1", "", "", 100_000),
        install(2, "Windows", "guid-1", "", "", 200_000),
        install(3, "Windows", "another", "4012212", "", 30_500),
        install(4, "Linux", "run-id", "", "package-1", 7_000),
        failed,
        // Ended before it began: a clock was set in between.
        install(6, "Linux", "run-id", "", "package-1", -7_000),
    ];
    world.store(Source::RunProgress, 0, Timestamp(NOW), &reports).await;
    for statement in ["REFRESH", "WAIT"] {
        let statement = format!("SYSTEM {statement} VIEW update_install_times");
        world.client.query(&statement).execute().await.unwrap();
    }
    let sql = "SELECT concat(SourceComputerId, ' ', Product, ' ', toString(InstallTimeAvailable), ' ', \
        ifNull(toString(InstallTimePredictionSeconds), '-'), ' ', \
        ifNull(toString(InstallTimeDeviationRangeSeconds), '-')) \
        FROM Update ORDER BY SourceComputerId, Product";
    assert_eq!(
        world.texts(sql).await,
        [
            "l1 package-1 true 7 0",
            "w1 package-1 true 150 50",
            "w1 package-2 true 30.5 0",
            "w1 package-3 false - -"
        ]
    );
    // Who does not ask for it does not pay for it.
    let plan = "EXPLAIN actions = 1 SELECT Classification, count() FROM Update GROUP BY ALL";
    let plan = world.texts(plan).await.join("\n");
    assert!(plan.contains("Classification") && !plan.contains("transform"), "{plan}");
}
