//! The dashboards: what a linter asks of them, and every panel's query on the engines with the fleet in them.
//!
//! Grafana itself is not here. Its macros and variables are expanded as the ClickHouse plugin does, and what is
//! left over fails: a macro that is not known here is not known to be right.

use std::collections::{BTreeMap, BTreeSet};

use patchline_schemas::Timestamp;
use serde_json::Value;

use crate::world::{World, block_on, world};
use crate::{files, project};

/// A dashboard's variables with a value for each.
type Variables = BTreeMap<String, String>;

struct Dashboard {
    file: String,
    json: Value,
}

fn dashboards() -> Vec<Dashboard> {
    let read = |path: std::path::PathBuf| Dashboard {
        file: path.file_name().unwrap().to_string_lossy().into_owned(),
        json: serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap(),
    };
    files("deploy/grafana/dashboards", "json").into_iter().map(read).collect()
}

impl Dashboard {
    /// Its panels, without the rows that they stand in.
    fn panels(&self) -> impl Iterator<Item = &Value> {
        let panels = self.json["panels"].as_array().unwrap();
        panels.iter().filter(|panel| panel["type"] != "row")
    }

    fn variables(&self) -> &Vec<Value> {
        self.json["templating"]["list"].as_array().unwrap()
    }
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap_or_default()
}

fn targets(panel: &Value) -> &Vec<Value> {
    panel["targets"].as_array().unwrap()
}

#[test]
fn every_panel_has_a_title_a_description_a_unit_and_a_datasource_to_choose() {
    let mut uids = BTreeSet::new();
    for dashboard in dashboards() {
        let Dashboard { file, json } = &dashboard;
        assert!(!text(json, "title").is_empty() && !text(json, "description").is_empty(), "{file}");
        assert!(uids.insert(text(json, "uid").to_owned()), "{file}: its uid is another's");
        assert_eq!(json["editable"], false, "{file}: edited in the browser it would differ");
        let offered: BTreeSet<String> = dashboard
            .variables()
            .iter()
            .filter(|variable| variable["type"] == "datasource")
            .map(|variable| format!("${{{}}}", text(variable, "name")))
            .collect();
        for variable in dashboard.variables().iter().filter(|one| one["type"] == "query") {
            assert!(offered.contains(text(&variable["datasource"], "uid")), "{file}: {variable}");
        }
        let mut ids = BTreeSet::new();
        for panel in dashboard.panels() {
            let title = text(panel, "title");
            assert!(!title.is_empty(), "{file}: a panel without a title");
            assert!(!text(panel, "description").is_empty(), "{file}: {title} has no description");
            let defaults = &panel["fieldConfig"]["defaults"];
            assert!(!text(defaults, "unit").is_empty(), "{file}: {title} has no unit");
            assert!(
                ids.insert(panel["id"].as_u64().unwrap()),
                "{file}: {title}: its id is another's"
            );
            assert!(!targets(panel).is_empty(), "{file}: {title} asks nothing");
            for target in targets(panel) {
                for datasource in [&panel["datasource"], &target["datasource"]] {
                    let uid = text(datasource, "uid");
                    assert!(
                        offered.contains(uid),
                        "{file}: {title} asks {uid}, which nobody can choose"
                    );
                }
            }
            let at = &panel["gridPos"];
            let end = at["x"].as_u64().unwrap() + at["w"].as_u64().unwrap();
            assert!(
                end <= 24 && at["h"].as_u64() > Some(0),
                "{file}: {title} stands outside the grid"
            );
        }
    }
}

#[test]
fn rates_go_by_the_rate_interval_and_every_series_has_a_legend() {
    let mut asked = 0;
    for dashboard in dashboards() {
        for panel in dashboard.panels() {
            for target in targets(panel).iter().filter(|target| target["expr"].is_string()) {
                let (expression, title) = (text(target, "expr"), text(panel, "title"));
                for range in expression.split('[').skip(1) {
                    assert!(range.starts_with("$__rate_interval]"), "{title}: {expression}");
                }
                assert!(!text(target, "legendFormat").is_empty(), "{title}: {expression}");
                asked += 1;
            }
        }
    }
    assert!(asked > 40, "{asked}");
}

#[test]
fn links_lead_to_dashboards_and_variables_that_are_there() {
    let all = dashboards();
    let mut followed = 0;
    for dashboard in &all {
        let whole = dashboard.json.to_string();
        for link in whole.split("\"url\":\"/d/").skip(1) {
            let link = &link[..link.find('"').unwrap()];
            let (uid, query) = link.split_once('?').unwrap();
            let to = all.iter().find(|one| text(&one.json, "uid") == uid);
            let to = to.unwrap_or_else(|| panic!("{}: no dashboard {uid}", dashboard.file));
            for variable in query.split('&').filter_map(|pair| pair.strip_prefix("var-")) {
                let (name, _) = variable.split_once('=').unwrap();
                let known = to.variables().iter().any(|one| text(one, "name") == name);
                assert!(known, "{}: {} has no variable {name}", dashboard.file, to.file);
            }
            followed += 1;
        }
    }
    assert!(followed >= 3, "{followed}");
}

/// The range that is looked at, as epoch seconds, and a width that Grafana would choose for it.
fn range(world: &World) -> (i64, i64, i64) {
    let (from, to) = (world.now.0 - 7 * Timestamp::DAY_MS, Timestamp::now().0 + 1000);
    (from / 1000, to / 1000 + 1, 1800)
}

/// `sql` as the plugin sends it. Source: `pkg/macros/macros.go` of grafana/clickhouse-datasource, and
/// Grafana's format `sqlstring`.
fn expand(sql: &str, range: (i64, i64, i64), variables: &Variables) -> String {
    let (from, to, width) = range;
    let mut sql = sql.to_owned();
    for (name, value) in variables {
        let quoted = format!("'{}'", value.replace('\'', "''"));
        sql = sql.replace(&format!("${{{name}:sqlstring}}"), &quoted);
    }
    let with_column = |sql: &str, macro_: &str, made: &dyn Fn(&str) -> String| {
        let mut parts = sql.split(macro_);
        let first = parts.next().unwrap().to_owned();
        parts.fold(first, |done, part| {
            let (column, rest) = part.split_once(')').unwrap();
            format!("{done}{}{rest}", made(column))
        })
    };
    sql = with_column(&sql, "$__timeFilter(", &|column| {
        format!("{column} >= toDateTime({from}) AND {column} <= toDateTime({to})")
    });
    sql = with_column(&sql, "$__timeInterval(", &|column| {
        format!("toStartOfInterval(toDateTime({column}), INTERVAL {width} second)")
    });
    assert!(!sql.contains('$'), "a macro or a variable is left: {sql}");
    sql
}

/// The rows of `sql`, each an object.
async fn rows(world: &World, sql: &str) -> Vec<serde_json::Map<String, Value>> {
    let client = world.stack.clickhouse_client().with_setting("readonly", "1");
    let mut cursor = client.query(&sql.replace('?', "??")).fetch_bytes("JSONEachRow").unwrap();
    let answer = cursor.collect().await.unwrap_or_else(|error| panic!("{error}: {sql}"));
    let lines = answer.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).unwrap()).collect()
}

/// Every combination of the values that the dashboard's variables offer.
async fn choices(world: &World, dashboard: &Dashboard) -> Vec<Variables> {
    let mut choices = vec![Variables::new()];
    for variable in dashboard.variables().iter().filter(|one| one["type"] == "query") {
        let mut longer = Vec::new();
        for choice in choices {
            let sql = expand(text(variable, "query"), range(world), &choice);
            for row in rows(world, &sql).await {
                let value = row.get("__value").or_else(|| row.values().next()).unwrap();
                let mut choice = choice.clone();
                choice
                    .insert(text(variable, "name").to_owned(), value.as_str().unwrap().to_owned());
                longer.push(choice);
            }
        }
        assert!(!longer.is_empty(), "{}: {} offers nothing", dashboard.file, variable["name"]);
        choices = longer;
    }
    choices
}

/// An answer with something in it: one row of nulls is none.
fn says_something(rows: &[serde_json::Map<String, Value>]) -> bool {
    rows.iter().flat_map(|row| row.values()).any(|value| !value.is_null() && value != "")
}

#[test]
fn every_panels_sql_runs_on_the_engine_and_answers() {
    let world = world();
    let mut asked = 0;
    for dashboard in dashboards() {
        let choices = block_on(choices(world, &dashboard));
        for panel in dashboard.panels() {
            for target in targets(panel).iter().filter(|target| target["rawSql"].is_string()) {
                let (title, sql) = (text(panel, "title"), text(target, "rawSql"));
                // Not every computer has had a run, and so on; for one choice there must be something.
                let answered = choices.iter().any(|choice| {
                    says_something(&block_on(rows(world, &expand(sql, range(world), choice))))
                });
                assert!(
                    answered,
                    "{}: {title} is empty, whatever is chosen:\n{sql}",
                    dashboard.file
                );
                asked += 1;
            }
        }
    }
    assert!(asked > 30, "{asked}");
}

#[test]
fn every_panels_promql_runs_on_prometheus_and_answers() {
    let mut legends = BTreeMap::new();
    for dashboard in dashboards() {
        for panel in dashboard.panels() {
            for target in targets(panel).iter().filter(|target| target["expr"].is_string()) {
                let expression = text(target, "expr").replace("$__rate_interval", "5m");
                assert!(!expression.contains('$'), "a macro or a variable is left: {expression}");
                legends.insert(expression, text(target, "legendFormat").to_owned());
            }
        }
    }
    for (expression, series) in world().prometheus.series(legends.keys().cloned()) {
        for label in legends[&expression].split("{{").skip(1) {
            let label = &label[..label.find("}}").unwrap()];
            let has = series.iter().all(|one| one["metric"][label].is_string());
            assert!(has, "no label {label} in {expression}: {series:?}");
        }
    }
}

#[test]
fn the_dashboards_are_of_grafanas_own_types() {
    let script = project("deploy/grafana/typecheck/run.sh");
    let run = std::process::Command::new(script).output().unwrap();
    let said = [run.stdout, run.stderr].concat();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&said));
}
