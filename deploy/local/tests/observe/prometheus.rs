//! A real Prometheus with the project's own configuration and rules, which scrapes the stack.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use patchline_local::{Process, free_port};
use serde_json::Value;

use crate::world::{LOOK_EVERY, PATIENCE, block_on, eventually, get};
use crate::{files, project};

/// A program of Debian's package, where `deploy/local/engines/prometheus/fetch.sh` put it.
pub(crate) fn program(name: &str) -> PathBuf {
    let engines = std::env::var_os("PATCHLINE_ENGINES")
        .map_or_else(|| project(".cache/engines"), PathBuf::from);
    let fetched = engines.join("prometheus/usr/bin").join(name);
    assert!(
        fetched.is_file(),
        "{} is not there; run deploy/local/engines/prometheus/fetch.sh",
        fetched.display()
    );
    fetched
}

/// Runs `promtool`; what it says on both channels.
pub(crate) fn promtool(arguments: &[&str], paths: &[PathBuf]) -> (bool, String) {
    let Output { status, stdout, stderr } =
        Command::new(program("promtool")).args(arguments).args(paths).output().unwrap();
    let text = [stdout, stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    (status.success(), text)
}

/// A running Prometheus; it ends with the test.
pub(crate) struct Prometheus {
    url: String,
    _process: Process,
}

impl Prometheus {
    /// Starts it on `services`' operators' ports: names and addresses.
    pub(crate) fn start(scratch: &Path, services: &BTreeMap<&str, String>) -> Prometheus {
        let folder = scratch.join("prometheus");
        for part in ["rules", "targets"] {
            std::fs::create_dir_all(folder.join(part)).unwrap();
        }
        for rules in files("deploy/prometheus/rules", "yml") {
            std::fs::copy(&rules, folder.join("rules").join(rules.file_name().unwrap())).unwrap();
        }
        let mut targets = String::new();
        for (service, url) in services {
            let address = url.trim_start_matches("http://");
            write!(targets, "- targets: ['{address}']\n  labels: {{service: {service}}}\n")
                .unwrap();
        }
        std::fs::write(folder.join("targets/patchline.yml"), targets).unwrap();
        // The project's own, but looked at oftener, so that rates come soon.
        let config = std::fs::read_to_string(project("deploy/prometheus/prometheus.yml")).unwrap();
        for setting in ["scrape_interval: 15s", "evaluation_interval: 15s"] {
            assert!(config.contains(setting), "prometheus.yml has no {setting}");
        }
        let config = config.replace("_interval: 15s", "_interval: 1s");
        std::fs::write(folder.join("prometheus.yml"), config).unwrap();

        let port = free_port().unwrap();
        let mut command = Command::new(program("prometheus"));
        command
            .current_dir(&folder)
            .arg("--config.file=prometheus.yml")
            .arg("--storage.tsdb.path=data")
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--log.level=warn");
        let process = Process::spawn("prometheus", command, &folder.join("log")).unwrap();
        Prometheus { url: format!("http://127.0.0.1:{port}"), _process: process }
    }

    /// Asks its API; `data` of the answer.
    async fn api(&self, path: &str, parameters: &[(&str, &str)]) -> Option<Value> {
        let query: String =
            form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
        let url = format!("{}/api/v1/{path}?{query}", self.url);
        // It may still be starting.
        let asked = tokio::spawn(async move { get(&url).await });
        let (status, body) =
            tokio::time::timeout(Duration::from_secs(30), asked).await.ok()?.ok()?;
        let answer: Value = serde_json::from_str(&body).ok()?;
        if status == 200 {
            return Some(answer["data"].clone());
        }
        assert_ne!(answer["errorType"], "bad_data", "{parameters:?}: {body}");
        None
    }

    /// The series that each query gives; waits until each gives some.
    pub(crate) fn series(
        &self,
        queries: impl IntoIterator<Item = String>,
    ) -> BTreeMap<String, Vec<Value>> {
        let mut found = BTreeMap::new();
        let mut open: BTreeSet<String> = queries.into_iter().collect();
        let deadline = Instant::now() + PATIENCE;
        loop {
            for query in std::mem::take(&mut open) {
                let data = block_on(self.api("query", &[("query", &query)])).unwrap_or_default();
                match data["result"].as_array() {
                    Some(series) if !series.is_empty() => drop(found.insert(query, series.clone())),
                    _ => drop(open.insert(query)),
                }
            }
            if open.is_empty() {
                return found;
            }
            assert!(Instant::now() < deadline, "no series for {open:#?}");
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Every rule, as Prometheus has read it.
    pub(crate) fn rules(&self) -> Vec<Value> {
        let ask = async || {
            let data = self.api("rules", &[]).await?;
            let groups = data["groups"].as_array()?;
            let rules = groups.iter().flat_map(|group| group["rules"].as_array().unwrap());
            let rules: Vec<Value> = rules.cloned().collect();
            // Each was evaluated at least once, or its health is not known.
            let known = rules.iter().all(|rule| rule["health"] != "unknown");
            (!rules.is_empty() && known).then_some(rules)
        };
        block_on(eventually(ask, || "Prometheus shows no rules".to_owned()))
    }
}
