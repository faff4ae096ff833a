//! What `deploy/` has for containers, Kubernetes and systemd: it is well formed, what it names exists, and the real
//! programs accept the settings that it carries. `docker-compose` reads the compose file (`system-packages.sh tests` installs it); nothing is started.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test says what is wrong by panicking"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Namespace, Secret, Service};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use patchline_schemas::Topics;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(deploy().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The documents of a YAML file.
fn yaml(path: &str, text: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_else(|| panic!("no {pointer} in {value}"))
}

fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// A program of the workspace, built beside this test.
fn program(name: &str) -> PathBuf {
    let us = std::env::current_exe().unwrap();
    let path = us.parent().and_then(Path::parent).unwrap().join(name);
    assert!(path.exists(), "{} is not built: cargo build --workspace --bins", path.display());
    path
}

/// Has the program judge settings as it does at its start. Gives what it says.
fn check_config(
    program: &str,
    file: Option<&Path>,
    environment: &BTreeMap<String, String>,
) -> String {
    let mut command = Command::new(self::program(program));
    command.env_clear().envs(environment).arg("--check-config");
    if let Some(file) = file {
        command.arg("--config").arg(file);
    }
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{program} refuses its settings: {said}\n{environment:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The compose file as `docker-compose` understands it, with every variable of the example set.
fn compose() -> Value {
    let example = read("compose.env.example");
    let variables = example.lines().filter_map(|line| line.split_once('=')).map(|(name, value)| {
        let value = if value.is_empty() { "00000000-0000-0000-0000-000000000007" } else { value };
        (name, value)
    });
    let output = Command::new("docker-compose")
        .current_dir(deploy())
        .args(["--file", "compose.yaml", "config"])
        .envs(variables)
        .output()
        .unwrap_or_else(|error| {
            panic!("docker-compose, which deploy/local/system-packages.sh tests installs: {error}")
        });
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    yaml("compose.yaml", std::str::from_utf8(&output.stdout).unwrap()).remove(0)
}

#[test]
fn the_programs_accept_the_settings_of_the_compose_file() {
    let compose = compose();
    let services = compose["services"].as_object().unwrap();
    let mut ours = BTreeSet::new();
    for (name, service) in services {
        let command: Vec<&str> =
            list(service, "/command").iter().filter_map(Value::as_str).collect();
        let Some(program) = command.first().filter(|program| program.starts_with("patchline-"))
        else {
            continue;
        };
        let environment = service["environment"].as_object().unwrap().iter();
        let environment =
            environment.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()));
        assert_eq!(
            check_config(program, None, &environment.collect()),
            "settings are sound\n",
            "{name}"
        );
        ours.insert(*program);
        if service["restart"] == "no" {
            continue;
        }
        // A health check asks the program itself.
        assert_eq!(
            service["healthcheck"]["test"],
            serde_json::json!(["CMD", program, "--probe"]),
            "{name}"
        );
    }
    let all =
        ["console", "enrich", "gateway", "reclassify", "sink"].map(|it| format!("patchline-{it}"));
    assert_eq!(ours.into_iter().collect::<Vec<_>>(), all);
}

#[test]
fn every_container_is_watched_and_pinned_and_every_file_of_it_is_there() {
    let compose = compose();
    let services = compose["services"].as_object().unwrap();
    for (name, service) in services {
        let image = text(service, "/image");
        assert!(image.contains(':'), "{name}: {image} has no tag");
        let ends_by_itself = service["restart"] == "no";
        assert!(
            ends_by_itself || service.get("healthcheck").is_some(),
            "{name} has no health check"
        );
        for (needed, how) in
            service.get("depends_on").and_then(Value::as_object).into_iter().flatten()
        {
            let once = services[needed]["restart"] == "no";
            let condition = if once { "service_completed_successfully" } else { "service_healthy" };
            assert_eq!(how["condition"], condition, "{name} waits for {needed}");
        }
        for volume in list(service, "/volumes") {
            let source = volume.as_str().unwrap().split(':').next().unwrap();
            let exists = match Path::new(source).is_absolute() {
                true => Path::new(source).exists(),
                false => compose["volumes"].get(source).is_some(),
            };
            assert!(exists, "{name}: nothing at {source}");
        }
        for port in list(service, "/ports") {
            assert!(
                port.as_str().unwrap().starts_with("127.0.0.1:"),
                "{name}: {port} for everybody"
            );
        }
    }
    let targets = yaml("targets", &read("prometheus/targets/compose.yml"));
    for target in targets[0].as_array().unwrap() {
        let service = text(target, "/labels/service");
        assert!(services.contains_key(service), "{service} is scraped and not there");
        assert_eq!(target["targets"], serde_json::json!([format!("{service}:9464")]));
    }
}

#[test]
fn the_image_has_every_program_that_runs_in_it() {
    let dockerfile = read("Dockerfile");
    let (_, copied) = dockerfile.split_once("&& cp ").unwrap();
    let copied: BTreeSet<&str> = copied
        .split(" /programs/")
        .next()
        .unwrap()
        .split_whitespace()
        .filter(|word| *word != "\\")
        .collect();
    for name in &copied {
        program(name);
    }
    for (file, document) in manifests() {
        for container in list(&document, "/spec/template/spec/containers") {
            let program = text(container, "/command/0");
            assert!(copied.contains(program), "{file}: {program} is not in the image");
        }
    }
}

/// Every document of the Kubernetes manifests, with its file.
fn manifests() -> Vec<(String, Value)> {
    let kustomization =
        yaml("kustomization.yaml", &read("kubernetes/kustomization.yaml")).remove(0);
    let named =
        list(&kustomization, "/resources").iter().map(|name| name.as_str().unwrap().to_owned());
    let mut files: Vec<String> = named.collect();
    files.extend(["secrets.example.yaml".to_owned(), "autoscaling/lag.yaml".to_owned()]);
    let documents = |file: String| {
        let documents = yaml(&file, &read(&format!("kubernetes/{file}")));
        documents.into_iter().map(move |document| (file.clone(), document))
    };
    files.into_iter().flat_map(documents).collect()
}

/// What of `given` does not come back from the type: fields that Kubernetes does not know.
fn unknown(given: &Value, back: &Value, path: &str, found: &mut Vec<String>) {
    match given {
        Value::Object(fields) => {
            for (name, value) in fields {
                let path = format!("{path}/{name}");
                match back.get(name) {
                    Some(back) => unknown(value, back, &path, found),
                    None => found.push(path),
                }
            }
        }
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                unknown(item, back.get(at).unwrap_or(&Value::Null), &format!("{path}/{at}"), found);
            }
        }
        scalar => {
            if scalar != back {
                found.push(path.to_owned());
            }
        }
    }
}

fn is_valid<T: DeserializeOwned + Serialize>(file: &str, document: &Value) {
    let typed: T = serde_json::from_value(document.clone())
        .unwrap_or_else(|error| panic!("{file}: {error} in {document}"));
    let mut found = Vec::new();
    unknown(document, &serde_json::to_value(typed).unwrap(), "", &mut found);
    assert!(found.is_empty(), "{file}: Kubernetes has no {}", found.join(", "));
}

#[test]
fn kubernetes_knows_every_field_of_the_manifests() {
    for (file, document) in manifests() {
        match text(&document, "/kind") {
            "Namespace" => is_valid::<Namespace>(&file, &document),
            "Secret" => is_valid::<Secret>(&file, &document),
            "Service" => is_valid::<Service>(&file, &document),
            "StatefulSet" => is_valid::<StatefulSet>(&file, &document),
            "Deployment" => is_valid::<Deployment>(&file, &document),
            "Job" => is_valid::<Job>(&file, &document),
            "PodDisruptionBudget" => is_valid::<PodDisruptionBudget>(&file, &document),
            "HorizontalPodAutoscaler" => is_valid::<HorizontalPodAutoscaler>(&file, &document),
            // KEDA's, of no published schema here: what it names is checked below.
            "ScaledObject" => {}
            other => panic!("{file}: a {other} is not looked at by this test"),
        }
    }
}

#[test]
fn what_the_manifests_name_is_there() {
    let manifests = manifests();
    let names = |kind: &str| -> BTreeSet<&str> {
        let of_kind = manifests.iter().filter(|(_, document)| document["kind"] == kind);
        of_kind.map(|(_, document)| text(document, "/metadata/name")).collect()
    };
    let kustomization =
        yaml("kustomization.yaml", &read("kubernetes/kustomization.yaml")).remove(0);
    let mut config_maps = BTreeSet::new();
    for generator in list(&kustomization, "/configMapGenerator") {
        for file in list(generator, "/files") {
            read(&format!("kubernetes/{}", file.as_str().unwrap()));
        }
        config_maps.insert(text(generator, "/name"));
    }
    let secrets = names("Secret");
    let workloads: BTreeSet<&str> =
        names("StatefulSet").into_iter().chain(names("Deployment")).collect();
    for (file, document) in &manifests {
        for volume in list(document, "/spec/template/spec/volumes") {
            if let Some(map) = volume.pointer("/configMap/name") {
                assert!(config_maps.contains(map.as_str().unwrap()), "{file}: no ConfigMap {map}");
            }
            if let Some(secret) = volume.pointer("/secret/secretName") {
                assert!(secrets.contains(secret.as_str().unwrap()), "{file}: no Secret {secret}");
            }
        }
        for container in list(document, "/spec/template/spec/containers") {
            for variable in list(container, "/env") {
                if let Some(reference) = variable.pointer("/valueFrom/secretKeyRef") {
                    let secret = manifests.iter().find(|(_, secret)| {
                        secret["kind"] == "Secret"
                            && secret["metadata"]["name"] == reference["name"]
                    });
                    let (_, secret) = secret.unwrap_or_else(|| panic!("{file}: no {reference}"));
                    let key = reference["key"].as_str().unwrap();
                    assert!(secret["stringData"].get(key).is_some(), "{file}: no {reference}");
                }
            }
        }
        let selector = match text(document, "/kind") {
            "Service" => document.pointer("/spec/selector"),
            "PodDisruptionBudget" => document.pointer("/spec/selector/matchLabels"),
            _ => None,
        };
        if let Some(selector) = selector {
            let selected = text(selector, "/app.kubernetes.io~1name");
            assert!(workloads.contains(selected), "{file}: nothing is selected by {selected}");
        }
        if let Some(target) = document.pointer("/spec/scaleTargetRef/name") {
            assert!(workloads.contains(target.as_str().unwrap()), "{file}: no {target} to scale");
        }
        let topics = Topics::default();
        for trigger in list(document, "/spec/triggers") {
            let topic = text(trigger, "/metadata/topic");
            assert!(topics.all().contains(&topic), "{file}: no topic {topic}");
        }
    }
}

#[test]
fn the_programs_accept_the_settings_of_the_manifests() {
    let mut checked = BTreeSet::new();
    for (file, document) in manifests() {
        for container in list(&document, "/spec/template/spec/containers") {
            let command: Vec<&str> =
                list(container, "/command").iter().filter_map(Value::as_str).collect();
            let program = command[0];
            let mounted =
                command.iter().position(|word| *word == "--config").map(|at| command[at + 1]);
            let settings = mounted.unwrap().strip_prefix("/etc/patchline/").unwrap();
            let settings = deploy().join("kubernetes/config").join(settings);
            let environment = list(container, "/env").iter().map(|variable| {
                // A Secret's value, or the pod's name.
                let value = variable["value"].as_str().unwrap_or("patchline-0");
                (text(variable, "/name").to_owned(), value.to_owned())
            });
            let said = check_config(program, Some(&settings), &environment.collect());
            assert_eq!(said, "settings are sound\n", "{file}");
            checked.insert(program.to_owned());
        }
    }
    assert_eq!(checked.len(), 5, "{checked:?}");
}

#[test]
fn a_pod_has_longer_to_end_than_its_service_takes_to_drain() {
    // The longest that each may wait by its own settings, which the manifests leave as they are.
    let drains = [
        (
            "patchline-gateway",
            patchline_ingest::gateway::GatewayConfig::default().drain_timeout_ms.into(),
        ),
        ("patchline-enrich", patchline_enrich::config::EnrichConfig::default().shutdown_timeout_ms),
        ("patchline-sink", patchline_sink::config::StageConfig::default().drain_timeout_ms),
    ];
    let compose = compose();
    for (name, drain_ms) in drains {
        let drain_s: u64 = drain_ms / 1000;
        let manifests = manifests();
        let (_, workload) = manifests
            .iter()
            .find(|(_, document)| {
                document["kind"] == "StatefulSet" && document["metadata"]["name"] == name
            })
            .unwrap();
        let grace = workload["spec"]["template"]["spec"]["terminationGracePeriodSeconds"].as_u64();
        assert!(
            grace.unwrap() > drain_s,
            "{name} drains for {drain_s} s, the pod ends after {grace:?}"
        );
        let service = &compose["services"][name.strip_prefix("patchline-").unwrap()];
        let grace = text(service, "/stop_grace_period");
        let grace: u64 = grace.strip_suffix('s').unwrap().parse().unwrap();
        assert!(
            grace > drain_s,
            "{name} drains for {drain_s} s, the container ends after {grace} s"
        );
    }
}

#[test]
fn a_password_of_any_signs_makes_a_user_and_nothing_else() {
    // A client that repeats what it is told.
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("manifests");
    std::fs::create_dir_all(&directory).unwrap();
    let client = directory.join("clickhouse-client");
    std::fs::write(&client, "#!/bin/sh\nexec cat\n").unwrap();
    std::fs::set_permissions(&client, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", directory.display(), std::env::var("PATH").unwrap());
    let output = Command::new(deploy().join("clickhouse/create-users.sh"))
        .env("PATH", path)
        .envs(
            ["MIGRATOR", "RECLASSIFY", "ANALYST"].map(|user| (format!("{user}_PASSWORD"), "plain")),
        )
        .env("SINK_PASSWORD", r"it's \ 'two'; DROP")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8(output.stdout).unwrap();
    let of_sink = said.lines().find(|line| line.contains(" sink ")).unwrap();
    assert_eq!(
        of_sink,
        r"CREATE USER IF NOT EXISTS sink IDENTIFIED WITH sha256_password BY 'it\'s \\ \'two\'; DROP';"
    );
    let roles = read("clickhouse/roles.sql");
    let granted: Vec<&str> =
        said.lines().filter_map(|line| line.strip_prefix("GRANT ")?.split(' ').next()).collect();
    assert_eq!(granted.len(), 4);
    for role in granted {
        assert!(roles.contains(&format!("CREATE ROLE IF NOT EXISTS {role}")), "{role}");
    }
}
