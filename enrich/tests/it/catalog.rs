//! The catalog's way: imported, published, followed by a running stage, kept in a snapshot.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use patchline_enrich::snapshot::{self, Position};
use patchline_schemas::{Codec, EnrichedScan};
use rdkafka::Message;

use crate::harness::{Cluster, Instance, PARTITIONS, Sender, alone, arrived, encoded, scan};

/// A cluster with all topics but the catalog's, and a place for feeds.
pub(crate) struct Catalog {
    pub(crate) cluster: Cluster,
    feeds: PathBuf,
}

impl Catalog {
    pub(crate) fn start(name: &str) -> Self {
        let cluster = Cluster::start_without_topics(name);
        let topics = cluster.topics.all();
        let others: Vec<&str> =
            topics.into_iter().filter(|topic| *topic != cluster.topics.advisories).collect();
        cluster.create_topics(&others, PARTITIONS);
        let feeds = cluster.directory.join("feeds");
        std::fs::create_dir(&feeds).unwrap();
        Self { cluster, feeds }
    }

    /// The record `id`, which says that `package` is fixed in 1.1, as of a day in January.
    pub(crate) fn record(id: &str, package: &str, day: u32) -> String {
        format!(
            r#"{{"id": "{id}", "summary": "as of {day}", "modified": "2031-01-{day:02}T00:00:00Z",
            "related": ["CVE-2031-0001"], "affected": [{{
            "package": {{"ecosystem": "Ubuntu:16.04:LTS", "name": "{package}"}},
            "ranges": [{{"type": "ECOSYSTEM", "events": [{{"introduced": "0"}}, {{"fixed": "1.1"}}]}}]}}]}}"#
        )
    }

    /// Writes such a record.
    fn publish(&self, id: &str, package: &str, day: u32) {
        let record = Self::record(id, package, day);
        std::fs::write(self.feeds.join(format!("{id}.json")), record).unwrap();
    }

    /// Deletes the topic, and publishes other feeds to a new one of its name.
    fn begin_anew(&self, feeds: &[(&str, &str)]) {
        self.cluster.delete_topic(&self.cluster.topics.advisories);
        std::fs::remove_dir_all(&self.feeds).unwrap();
        std::fs::create_dir(&self.feeds).unwrap();
        for (id, package) in feeds {
            self.publish(id, package, 5);
        }
        self.import();
    }

    /// Runs `patchline-catalog`. Returns whether it was content, and what it said.
    pub(crate) fn run(&self, arguments: &[&str]) -> (bool, String) {
        self.run_with(arguments, &[])
    }

    /// Runs it with more environment.
    pub(crate) fn run_with(
        &self,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> (bool, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_patchline-catalog"))
            .args(arguments)
            .envs(environment.iter().copied())
            .env("PATCHLINE_CATALOG__KAFKA__BOOTSTRAP", self.cluster.kafka.bootstrap())
            .output()
            .unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        println!("{arguments:?}\n{said}{}", String::from_utf8_lossy(&output.stderr));
        (output.status.success(), said)
    }

    fn import(&self) -> String {
        let (content, said) = self.run(&["import", self.feeds.to_str().unwrap()]);
        assert!(content, "{said}");
        said
    }
}

#[test]
fn an_import_publishes_what_has_changed_and_nothing_else() {
    let _alone = alone();
    let catalog = Catalog::start("import");
    catalog.publish("USN-1-1", "pkg0", 5);
    catalog.publish("USN-2-1", "pkg1", 5);
    std::fs::write(catalog.feeds.join("broken.json"), "{\"id\": \"USN-3-1\", \"modified\": 7}")
        .unwrap();
    std::fs::write(catalog.feeds.join("readme.md"), "# Feeds").unwrap();
    let (content, said) = catalog.run(&["import", "--dry-run", catalog.feeds.to_str().unwrap()]);
    assert!(content && said.contains("published: 2 (2 new, 0 changed)"), "{said}");
    let said = catalog.import();
    assert!(said.contains("published: 2 (2 new, 0 changed), unchanged: 0"), "{said}");
    assert!(said.contains("1 files in no known format") && said.contains("unusable: 1"), "{said}");
    assert!(said.contains("broken.json is no sound OSV record"), "{said}");
    let said = catalog.import();
    assert!(said.contains("published: 0 (0 new, 0 changed), unchanged: 2"), "{said}");
    // A vanished file deletes nothing, an earlier state replaces nothing, a later one does.
    std::fs::remove_file(catalog.feeds.join("USN-2-1.json")).unwrap();
    catalog.publish("USN-1-1", "pkg0", 4);
    let said = catalog.import();
    assert!(said.contains("published: 0 (0 new") && said.contains("has a later state"), "{said}");
    catalog.publish("USN-1-1", "pkg0", 6);
    let said = catalog.import();
    assert!(said.contains("published: 1 (0 new, 1 changed), unchanged: 0"), "{said}");
    let strict = ["import", "--strict", catalog.feeds.to_str().unwrap()];
    assert!(!catalog.run(&strict).0);
    let broken = catalog.feeds.join("broken.json");
    assert!(!catalog.run(&["import", broken.to_str().unwrap()]).0, "nothing of it could be used");

    let (content, said) = catalog.run(&["show", "pkg1", "--os", "ubuntu-16.04"]);
    assert!(content && said.contains("osv:USN-2-1: as of 5"), "{said}");
    assert!(said.contains("ubuntu-16.04 pkg1 1.1, source package"), "{said}");
    let (content, said) = catalog.run(&["show", "USN-1-1"]);
    assert!(content && said.contains("as of 6") && said.contains("CVE-2031-0001"), "{said}");
    let (content, said) = catalog.run(&["show", "KB4012212"]);
    assert!(!content && said.contains("nothing about KB4012212"), "{said}");
    let (content, said) = catalog.run(&["stats"]);
    assert!(content && said.contains("advisories: 2, withdrawn: 0"), "{said}");
    let (content, said) = catalog.run(&["verify"]);
    assert!(content && said.contains("3 messages, 2 keys, 0 faults"), "{said}");
    let sender = Sender::new(&catalog.cluster);
    sender.send(0, &catalog.cluster.topics.advisories, "osv:USN-9-1", Some(b"noise"), arrived());
    sender.places();
    let (content, said) = catalog.run(&["verify"]);
    assert!(!content && said.contains("no known framing") && said.contains("1 faults"), "{said}");
    let said = catalog.import();
    assert!(said.contains("unchanged: 1") && said.contains("unreadable in the topic: 1"), "{said}");
}

/// Classification and catalog version of the newest enriched scan, once there are `count` of them.
fn newest(cluster: &Cluster, count: usize) -> (String, String) {
    cluster.wait_until_drained(Duration::from_secs(60));
    let messages = cluster.read_committed(&[&cluster.topics.enriched_scans]);
    assert_eq!(messages.len(), count);
    let newest = messages.iter().max_by_key(|message| message.offset()).unwrap();
    let codec = Codec::new().unwrap();
    let scan: EnrichedScan<'_> = codec.decode(newest.payload().unwrap()).unwrap();
    let verdict = &scan.updates[0].verdict;
    (verdict.classification.to_string(), scan.catalog_version.to_string())
}

fn send(cluster: &Cluster, number: usize) {
    let mut scan = scan(number, "computer", 1);
    scan.os_version = "16.04".into();
    let sender = Sender::new(cluster);
    sender.send(number, &cluster.topics.scans, "computer", Some(&encoded(&scan)), arrived());
    sender.places();
}

fn wait_for_advisories(instance: &Instance, count: f64) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while instance.metric("patchline_enrich_catalog_advisories") != Some(count) {
        assert!(Instant::now() < deadline, "{}", instance.log());
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn what_is_published_counts_without_a_restart_and_survives_one() {
    let _alone = alone();
    let catalog = Catalog::start("follow");
    let cluster = &catalog.cluster;
    let file = cluster.directory.join("state/catalog");
    let start = |instance_id: &str| {
        let mut instance =
            cluster.enrich_with(instance_id, &format!("enrich.catalog_snapshot = {file:?}"));
        instance.wait_until_ready();
        instance
    };
    let instance = start("first");
    assert!(instance.log().contains("its topic does not exist"), "{}", instance.log());
    send(cluster, 0);
    assert_eq!(newest(cluster, 1), ("Other Updates".to_owned(), "none".to_owned()));

    catalog.publish("USN-2-1", "pkg1", 5);
    catalog.import();
    wait_for_advisories(&instance, 1.0);
    catalog.publish("USN-1-1", "pkg0", 5);
    catalog.import();
    wait_for_advisories(&instance, 2.0);
    send(cluster, 1);
    let (class, version) = newest(cluster, 2);
    assert_eq!(class, "Security Updates");
    assert!(version.starts_with("2@20") && version.ends_with("Z/2"), "{version}");
    let series = format!("patchline_enrich_catalog_info{{version=\"{version}\"}}");
    assert_eq!(instance.metric(&series), Some(1.0));
    assert_eq!(instance.metric("patchline_enrich_catalog_info{version=\"none\"}"), None);
    instance.stop();

    // What comes while nobody runs is caught up before the first scan is judged.
    assert!(file.exists(), "no snapshot at shutdown");
    catalog.publish("USN-4-1", "pkg4", 5);
    catalog.import();
    let expected = |version: &str| version.starts_with("3@20") && version.ends_with("Z/3");
    let check = |instance: Instance, number: usize, said: &str| {
        assert!(instance.log().contains(said), "{}", instance.log());
        send(cluster, number);
        let (class, version) = newest(cluster, number + 1);
        assert_eq!(class, "Security Updates");
        assert!(expected(&version), "{version}");
        instance.stop();
    };
    check(start("second"), 2, "catalog taken from its snapshot");
    damage(&file);
    check(start("third"), 3, "the catalog's snapshot is set aside");
    assert!(file.with_extension("bad").exists());
    let elsewhere =
        Position { cluster: "elsewhere".into(), next: [(0, 1)].into(), ..Position::default() };
    snapshot::replace(&file, true, &Default::default(), &elsewhere).unwrap();
    check(start("fourth"), 4, "is of another topic");
    let position = snapshot::read(&file, |_, _| {}).unwrap();
    assert_eq!((position.topic.as_str(), position.next), ("patchline.advisories", [(0, 3)].into()));

    // Another topic of the same name that reaches beyond the snapshot's offset.
    catalog.begin_anew(&[("A-1", "pkg5"), ("A-2", "pkg6"), ("A-3", "pkg7"), ("A-4", "pkg8")]);
    let instance = start("fifth");
    assert!(instance.log().contains("is of another topic"), "{}", instance.log());
    send(cluster, 5);
    let (class, version) = newest(cluster, 6);
    assert_eq!(class, "Other Updates", "{version}");
    assert!(version.starts_with("4@") && version.ends_with("/4"), "{version}");
    // And while somebody follows it.
    catalog.begin_anew(&[
        ("B-1", "pkg0"),
        ("B-2", "pkg6"),
        ("B-3", "pkg7"),
        ("B-4", "pkg8"),
        ("B-5", "pkg9"),
    ]);
    wait_for_advisories(&instance, 5.0);
    send(cluster, 6);
    let (class, version) = newest(cluster, 7);
    assert_eq!(class, "Security Updates", "{version}");
    assert!(version.starts_with("5@") && version.ends_with("/5"), "{version}");
    instance.stop();
}

fn damage(file: &Path) {
    let mut bytes = std::fs::read(file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xFF;
    std::fs::write(file, bytes).unwrap();
}
