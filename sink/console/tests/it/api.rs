//! The answers, against plain code and SQL.

use std::collections::{BTreeMap, BTreeSet};

use patchline_schemas::{Timestamp, UpdateState};
use serde_json::{Value, json};

use crate::facts::{self, Computer, is_compliant, missing_of};
use crate::world::{FORMULA, MARKUP, RUN, SILENT_MIN, get, world};

const RANGES: [(&str, i64); 3] = [("6h", 6), ("1d", 24), ("7d", 168)];

const HOUR_MS: i64 = 3_600_000;

/// Begin and end of a relative range. The fleet's times are so far from both that the test may take its time.
fn ends(hours: i64) -> (i64, i64) {
    let now = Timestamp::now().0;
    (now - hours * HOUR_MS, now)
}

fn text(row: &BTreeMap<String, Value>, name: &str) -> String {
    row[name].as_str().unwrap_or_else(|| panic!("{name} in {row:?}")).to_owned()
}

fn number(row: &BTreeMap<String, Value>, name: &str) -> u64 {
    row[name].as_u64().unwrap_or_else(|| panic!("{name} in {row:?}"))
}

fn encoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// Every row of a paged query, by pages of `size`.
async fn every_page(path: &str, size: u64) -> Vec<BTreeMap<String, Value>> {
    let mut rows = Vec::new();
    for page in 1.. {
        let (more, total) = world().page(&format!("{path}&size={size}&page={page}")).await;
        rows.extend(more);
        if rows.len() as u64 >= total {
            break;
        }
        assert!(page * size < total, "{path}: page {page} of {total} rows ended early");
    }
    rows
}

#[tokio::test]
async fn the_states_and_the_compliance_are_those_of_the_fleet() {
    let computers = facts::computers(world());
    let mut seen = BTreeSet::new();
    for group in ["", "SCOM-East", "Strange"] {
        for (range, hours) in RANGES {
            let (from, to) = ends(hours);
            let of_group = computers.values().filter(|one| group.is_empty() || one.group == group);
            let of_group: Vec<&Computer<'_>> = of_group.collect();
            let mut expected: BTreeMap<String, [u64; 3]> = BTreeMap::new();
            for computer in &of_group {
                let counts = expected.entry(computer.state(from, to).to_owned()).or_default();
                counts[0] += 1;
                counts[if computer.os == "Linux" { 1 } else { 2 }] += 1;
            }
            seen.extend(expected.keys().cloned());
            let rows = world().rows(&format!("/api/states?range={range}&group={group}")).await;
            let shown: BTreeMap<String, [u64; 3]> = rows
                .iter()
                .map(|row| {
                    (
                        text(row, "State"),
                        ["Computers", "Linux", "Windows"].map(|name| number(row, name)),
                    )
                })
                .collect();
            assert_eq!(shown, expected, "{range} {group}");

            let assessed: Vec<_> =
                of_group.iter().filter_map(|one| one.assessed(from, to)).collect();
            let sum =
                |class: &str| assessed.iter().map(|scan| missing_of(*scan, class)).sum::<u64>();
            let expected = [
                of_group.len() as u64,
                assessed.len() as u64,
                assessed.iter().filter(|scan| is_compliant(**scan)).count() as u64,
                (of_group.len() - assessed.len()) as u64,
                sum("Critical Updates"),
                sum("Security Updates"),
            ];
            let rows = world().rows(&format!("/api/compliance?range={range}&group={group}")).await;
            let names = [
                "Computers",
                "AssessedComputers",
                "Compliant",
                "Unknown",
                "CriticalMissing",
                "SecurityMissing",
            ];
            let shown = names.map(|name| rows.iter().map(|row| number(row, name)).sum::<u64>());
            assert_eq!(shown, expected, "{range} {group}");
        }
    }
    let states =
        ["Not assessed", "Not reporting", "Restart pending", "Up to date", "Updates needed"];
    assert_eq!(seen, states.map(str::to_owned).into(), "the fleet has something of everything");
}

#[tokio::test]
async fn missing_updates_are_counted_once_a_computer() {
    let computers = facts::computers(world());
    for (range, hours) in RANGES {
        let (from, _) = ends(hours);
        let expected = facts::missing_updates(&computers, from);
        let mut by_class: BTreeMap<String, u64> = BTreeMap::new();
        for computer in computers.values() {
            let newest = computer.newest().filter(|(time, _)| *time >= from);
            for (_, judgement) in newest.into_iter().flat_map(|(_, scan)| facts::missing(scan)) {
                *by_class.entry(judgement.classification.to_owned()).or_default() += 1;
            }
        }
        let rows = world().rows(&format!("/api/classifications?range={range}")).await;
        let shown: BTreeMap<String, u64> =
            rows.iter().map(|row| (text(row, "Classification"), number(row, "Missing"))).collect();
        assert_eq!(shown, by_class, "{range}");

        let mut shown: BTreeMap<facts::Missing, u64> = BTreeMap::new();
        for row in every_page(&format!("/api/missing?range={range}"), 100).await {
            let key =
                ["Name", "Version", "OSType", "KB", "Classification"].map(|name| text(&row, name));
            *shown.entry(key).or_default() += number(&row, "Computers");
        }
        let expected: BTreeMap<facts::Missing, u64> =
            expected.into_iter().map(|(key, who)| (key, who.len() as u64)).collect();
        assert!(expected.len() > 100, "{}", expected.len());
        assert_eq!(shown, expected, "{range}");
    }
}

#[tokio::test]
async fn the_computers_that_miss_an_update_are_named() {
    let computers = facts::computers(world());
    let (from, _) = ends(24);
    let all = facts::missing_updates(&computers, from);
    // The one that most computers miss of each system.
    for os in ["Linux", "Windows"] {
        let of_system = all.iter().filter(|(key, _)| key[2] == os);
        let ([name, version, _, kb, class], who) =
            of_system.max_by_key(|(_, who)| who.len()).unwrap();
        let path = format!(
            "/api/missing-machines?os={os}&name={}&version={}&kb={kb}&classification={}",
            encoded(name),
            encoded(version),
            encoded(class)
        );
        let rows = every_page(&path, 5).await;
        let shown: BTreeSet<String> =
            rows.iter().map(|row| text(row, "SourceComputerId")).collect();
        assert_eq!(&shown, who, "{name}");
    }
}

#[tokio::test]
async fn machines_are_filtered_searched_and_sorted_by_the_server() {
    let computers = facts::computers(world());
    let (from, to) = ends(24);
    let names = |keep: &dyn Fn(&Computer<'_>) -> bool| {
        let kept = computers.values().filter(|one| keep(one)).map(|one| one.name.clone());
        let mut kept: Vec<String> = kept.collect();
        kept.sort();
        kept
    };
    let ask = async |query: &str| {
        let rows = every_page(&format!("/api/machines?{query}"), 10).await;
        let mut shown: Vec<String> = rows.iter().map(|row| text(row, "Computer")).collect();
        shown.sort();
        shown
    };
    assert_eq!(ask("").await, names(&|_| true));
    assert_eq!(ask("os=Windows").await, names(&|one| one.os == "Windows"));
    assert_eq!(ask("group=SCOM-West").await, names(&|one| one.group == "SCOM-West"));
    assert_eq!(ask("search=WEB-").await, names(&|one| one.name.contains("web-")));
    assert_eq!(ask("search=100%25_").await, Vec::<String>::new());
    assert_eq!(ask("state=Up+to+date").await, names(&|one| one.state(from, to) == "Up to date"));
    assert_eq!(
        ask("state=Not+reporting&os=Linux").await,
        names(&|one| one.state(from, to) == "Not reporting" && one.os == "Linux")
    );
    assert_eq!(ask("readiness=Not+configured").await.len(), 2);
    assert_eq!(ask("age=None").await.len() as u64, {
        let rows = world().rows("/api/ages").await;
        number(rows.iter().find(|row| text(row, "Age") == "None").unwrap(), "Computers")
    });

    let rows = every_page("/api/machines?sort=Security&dir=desc", 7).await;
    let shown: Vec<u64> = rows.iter().filter_map(|row| row["Security"].as_u64()).collect();
    let mut expected: Vec<u64> = computers
        .values()
        .filter_map(|one| one.assessed(from, to))
        .map(|scan| missing_of(scan, "Security Updates"))
        .collect();
    expected.sort_by(|one, other| other.cmp(one));
    assert_eq!(shown, expected);
    assert!(rows.last().unwrap()["Security"].is_null(), "the unknown come last");
}

#[tokio::test]
async fn pages_are_stable_and_have_every_row_once_in_every_order() {
    let sorts = world().ask("/api").await.1;
    let queries = sorts["queries"].as_array().unwrap();
    for name in ["machines", "missing"] {
        let query = queries.iter().find(|query| query["name"] == name).unwrap();
        let whole = BTreeSet::from_iter(
            every_page(&format!("/api/{name}?"), 500).await.iter().map(|row| format!("{row:?}")),
        );
        for sort in query["sort"].as_array().unwrap() {
            for dir in ["asc", "desc"] {
                let path = format!("/api/{name}?sort={}&dir={dir}", sort.as_str().unwrap());
                let size = (whole.len() as u64 / 3).max(1);
                let pages = every_page(&path, size).await;
                assert_eq!(pages.len(), whole.len(), "{path}");
                let pages = BTreeSet::from_iter(pages.iter().map(|row| format!("{row:?}")));
                assert_eq!(pages, whole, "{path}");
            }
        }
    }
}

#[tokio::test]
async fn a_computers_updates_say_why_they_are_classified_so() {
    let computers = facts::computers(world());
    for os in ["Linux", "Windows"] {
        let (id, computer) = computers
            .iter()
            .filter(|(_, one)| one.os == os && !one.scans.is_empty())
            .max_by_key(|(_, one)| facts::missing(one.newest().unwrap().1).count())
            .unwrap();
        let (_, (scan, judgements)) = computer.newest().unwrap();
        let mut expected: Vec<[String; 4]> = scan
            .updates
            .iter()
            .zip(judgements)
            .filter(|(update, _)| update.update_state == UpdateState::Needed)
            .map(|(update, judgement)| {
                let name = if update.title.is_empty() { &update.product } else { &update.title };
                [
                    name,
                    &update.product_version,
                    judgement.classification,
                    judgement.bulletin_id.as_str(),
                ]
                .map(str::to_owned)
            })
            .collect();
        let path = format!("/api/machine-updates?computer={id}&updates=Needed");
        let rows = every_page(&path, 9).await;
        let mut shown: Vec<[String; 4]> = rows
            .iter()
            .map(|row| {
                ["Name", "Version", "Classification", "BulletinID"].map(|name| text(row, name))
            })
            .collect();
        expected.sort();
        shown.sort();
        assert_eq!(shown, expected, "{id}");
        // Whoever has a bulletin has it from the catalog, and the entry is named.
        for row in &rows {
            let by_catalog = text(row, "ClassificationSource") == "catalog";
            assert_eq!(by_catalog, !text(row, "AdvisoryIDs").is_empty(), "{row:?}");
        }
        assert!(rows.iter().any(|row| text(row, "ClassificationSource") == "catalog"));

        let rows = world().rows(&format!("/api/machine?computer={id}")).await;
        assert_eq!(text(&rows[0], "Computer"), computer.name);
        assert_eq!(
            number(&rows[0], "Security"),
            missing_of((scan, judgements), "Security Updates")
        );
        let scans = world().rows(&format!("/api/machine-scans?computer={id}&range=7d")).await;
        assert_eq!(scans.len(), computer.scans.len());
        let beats = world().rows(&format!("/api/machine-heartbeats?computer={id}&range=7d")).await;
        let expected =
            world().truth.heartbeats.iter().filter(|beat| beat.source_computer_id == *id);
        let shown: u64 = beats.iter().map(|row| number(row, "Heartbeats")).sum();
        assert_eq!(shown, expected.count() as u64);
    }
}

#[tokio::test]
async fn the_trend_counts_each_computer_by_its_newest_scan_of_then() {
    let computers = facts::computers(world());
    let rows = world().rows("/api/trend?range=7d").await;
    assert_eq!(rows.len(), 49);
    let silent = i64::from(SILENT_MIN) * 60_000;
    let mut most = 0;
    for row in &rows {
        let time = Timestamp::parse(&text(row, "Time")).unwrap().0;
        let valid = |(at, _): &(&i64, _)| time < **at + silent;
        let scans = computers.values().filter_map(|one| {
            let newest = one.scans.range(..=time).next_back();
            newest.filter(valid).map(|(_, scan)| *scan)
        });
        let scans: Vec<_> = scans.collect();
        most = most.max(scans.len());
        let expected = [
            scans.len() as u64,
            scans.iter().filter(|scan| is_compliant(**scan)).count() as u64,
            scans.iter().map(|scan| missing_of(*scan, "Critical Updates")).sum(),
            scans.iter().map(|scan| missing_of(*scan, "Security Updates")).sum(),
        ];
        let names =
            ["AssessedComputers", "CompliantComputers", "CriticalMissing", "SecurityMissing"];
        assert_eq!(names.map(|name| number(row, name)), expected, "{}", text(row, "Time"));
    }
    assert!(most > 30, "{most}");
}

#[tokio::test]
async fn deployments_have_the_status_pages_of_their_views() {
    let rows = world().rows("/api/deployments").await;
    let shown: Vec<[String; 2]> =
        rows.iter().map(|row| ["Name", "StatusGroup"].map(|name| text(row, name))).collect();
    let expected = [[RUN, "Completed"], ["next week", "Scheduled"], ["now", "Running"]]
        .map(|row| row.map(str::to_owned));
    assert_eq!(shown, expected);
    let running = world().rows("/api/deployments?status=Running").await;
    assert_eq!(running.len(), 1);

    // What the computers themselves said last of each update of the run.
    let mut last: BTreeMap<(String, String), (i64, String)> = BTreeMap::new();
    for report in &world().truth.run_progress {
        if report.update_run_name == RUN {
            let key = (report.source_computer_id.to_string(), report.title.to_string());
            let said = (report.time_generated.0, report.installation_status.to_string());
            let newest = last.entry(key).or_insert_with(|| said.clone());
            *newest = said.max(newest.clone());
        }
    }
    let succeeded = last.values().filter(|(_, status)| status == "Succeeded").count() as u64;
    let computers: BTreeSet<&String> = last.keys().map(|(computer, _)| computer).collect();
    assert!(succeeded > 0 && computers.len() > 3);
    let run = encoded(RUN);
    let by_computer = every_page(&format!("/api/deployment-computers?name={run}"), 4).await;
    let shown: BTreeSet<String> =
        by_computer.iter().map(|row| text(row, "SourceComputerId")).collect();
    assert_eq!(shown.iter().collect::<BTreeSet<_>>(), computers);
    let by_update = every_page(&format!("/api/deployment-updates?name={run}"), 20).await;
    for rows in [&by_computer, &by_update] {
        assert_eq!(rows.iter().map(|row| number(row, "Succeeded")).sum::<u64>(), succeeded);
    }
    let statuses = world().rows(&format!("/api/deployment-statuses?name={run}")).await;
    assert_eq!(
        statuses.iter().map(|row| number(row, "Computers")).sum::<u64>(),
        computers.len() as u64
    );
    let runs = world().rows(&format!("/api/deployment-runs?name={run}")).await;
    assert_eq!(runs.len(), 1);
    let start = encoded(&text(&runs[0], "RunStart"));
    let of_run = every_page(&format!("/api/deployment-computers?name={run}&run={start}"), 50).await;
    assert_eq!(of_run.len(), computers.len());
    let of_none =
        every_page(&format!("/api/deployment-computers?name={run}&run=2001-01-01"), 50).await;
    assert_eq!(of_none.len(), 0);
}

#[tokio::test]
async fn the_pipeline_counts_what_arrived() {
    let rows = world().rows("/api/pipeline?range=7d").await;
    let shown: BTreeMap<String, u64> =
        rows.iter().map(|row| (text(row, "Table"), number(row, "Rows"))).collect();
    let truth = &world().truth;
    let expected = [
        ("UpdateSummary", truth.scans.len()),
        ("UpdateRunProgress", truth.run_progress.len()),
        ("Heartbeat", truth.heartbeats.len() + 2),
        ("Event", truth.events.len()),
        ("OfficeActivity", 0),
        ("Custom", 0),
        ("UpdateDeployment", 3),
    ];
    for (table, count) in expected {
        assert_eq!(shown[table], count as u64, "{table}");
    }
    let rates = world().rows("/api/pipeline-rates?range=7d").await;
    let beats = rates.iter().filter(|row| text(row, "Table") == "Heartbeat");
    assert_eq!(beats.map(|row| number(row, "Rows")).sum::<u64>(), shown["Heartbeat"]);
    let beats = rows.iter().find(|row| text(row, "Table") == "Heartbeat").unwrap();
    assert_eq!(beats["DelayMedianSeconds"], json!(1.5));
}

#[tokio::test]
async fn every_query_runs_as_json_and_as_csv_and_has_the_columns_it_sorts_by() {
    let computer = facts::computers(world()).into_keys().next().unwrap();
    let (_, list) = world().ask("/api").await;
    let queries = list["queries"].as_array().unwrap();
    assert!(queries.len() > 20);
    for query in queries {
        let name = query["name"].as_str().unwrap();
        let required = query["parameters"].as_array().unwrap().iter();
        let required = required.filter(|parameter| parameter["required"] == true);
        let mut given = String::from("range=7d");
        for parameter in required {
            match parameter["name"].as_str().unwrap() {
                "computer" => given.push_str(&format!("&computer={computer}")),
                "name" => given.push_str(&format!("&name={}", encoded(RUN))),
                other => panic!("{name} requires {other}"),
            }
        }
        let (status, answer) = world().ask(&format!("/api/{name}?{given}")).await;
        assert_eq!(status, 200, "{name}: {answer}");
        let rows = answer["rows"].as_array().unwrap();
        let columns = answer["columns"].as_array().unwrap();
        for sort in query["sort"].as_array().unwrap() {
            assert!(columns.iter().any(|column| column["name"] == *sort), "{name}: no {sort}");
        }
        let url = format!("{}/api/{name}?{given}&format=csv", world().url);
        let (status, headers, body) = get(&url).await;
        assert_eq!(status, 200, "{name}: {}", String::from_utf8_lossy(&body));
        assert_eq!(headers["content-type"], "text/csv; charset=utf-8");
        let mut csv = csv::Reader::from_reader(&*body);
        let lines = csv.records().inspect(|record| assert!(record.is_ok(), "{name}")).count();
        assert!(lines >= rows.len(), "{name}: {lines} lines, {} rows", rows.len());
    }
}

#[tokio::test]
async fn a_file_has_every_row_and_no_formula() {
    let url = format!("{}/api/machines?format=csv", world().url);
    let (_, headers, body) = get(&url).await;
    assert_eq!(headers["content-disposition"], "attachment; filename=\"machines.csv\"");
    let mut csv = csv::Reader::from_reader(&*body);
    assert_eq!(&csv.headers().unwrap()[0], "Computer");
    let names: BTreeSet<String> =
        csv.records().map(|record| record.unwrap()[0].to_owned()).collect();
    let expected = facts::computers(world()).into_values().map(|one| match one.name == FORMULA {
        true => format!("'{FORMULA}"),
        false => one.name,
    });
    assert_eq!(names, expected.collect());
    assert!(names.contains(MARKUP));
}

#[tokio::test]
async fn what_cannot_be_answered_is_refused_in_words() {
    for (path, words) in [
        ("machines?os=BeOS", "os=BeOS: there are Linux, Windows"),
        ("machines?sort=1;DROP", "sort=1;DROP: there are Computer"),
        ("machines?page=-1", "page=-1: a number from 1"),
        ("machine", "computer is missing"),
        ("states?range=1y", "range=1y: there are 6h, 1d and 7d"),
        ("missing?sql=SELECT+1", "missing has no parameter sql"),
    ] {
        let (status, answer) = world().ask(&format!("/api/{path}")).await;
        assert_eq!(status, 400, "{path}");
        assert_eq!(answer["error"]["kind"], "bad_request");
        let message = answer["error"]["message"].as_str().unwrap();
        assert!(message.starts_with(words), "{path}: {message}");
    }
    let (status, answer) = world().ask("/api/passwords").await;
    assert_eq!((status, &answer["error"]["kind"]), (404, &json!("unknown")));
    // Texts are texts, whatever is in them.
    let (rows, total) = world().page("/api/machines?search=%27%29+OR+1%3D1+--+%5C").await;
    assert_eq!((rows.len(), total), (0, 0));
}

#[tokio::test]
async fn a_page_behind_the_last_is_empty_and_still_tells_the_total() {
    let (rows, total) = world().page("/api/machines?page=1000").await;
    assert_eq!((rows.len(), total), (0, facts::computers(world()).len() as u64));
}

#[tokio::test]
async fn the_page_may_load_nothing_but_what_this_program_serves() {
    for path in ["/", "/main.js", "/api", "/api/states", "/nowhere"] {
        let (_, headers, _) = get(&format!("{}{path}", world().url)).await;
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self'"), "{path}: {policy}");
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(headers["x-content-type-options"], "nosniff", "{path}");
    }
    let (status, headers, body) = get(&format!("{}/", world().url)).await;
    assert_eq!((status, &headers["cache-control"]), (200, &"no-cache".parse().unwrap()));
    assert!(String::from_utf8(body).unwrap().contains("<script type=\"module\" src=\"/main.js\">"));
}
