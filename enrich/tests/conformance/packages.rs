//! Every fixed version of every OSV record, turned into a computer that is one version behind, which
//! must be told of the record, and one that has the fixed version, which must not.
//!
//! Which other records a computer may be told of is found here by comparing everything with everything,
//! with the comparisons of `rpm-version` and `deb-version` and the streams that records name in their
//! summaries. A build is of one of the streams whose records list it. Where these are several, as where
//! streams share a package, or none is named, the records leave open which it is: another record of one
//! of them is then neither demanded nor counted as wrong.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use patchline_enrich::{Advice, Os};
use patchline_schemas::{Update, UpdateState};
use serde_json::Value;

use crate::tally::Tally;
use crate::{Imported, documents, folder};

/// A record, as far as a verdict shows it.
struct Known {
    /// Modules and streams in the summary.
    streams: BTreeSet<String>,
    cves: BTreeSet<String>,
    critical: bool,
    security: bool,
}

/// A fixed version and the record that names it.
struct Fix {
    record: String,
    version: String,
}

/// By ecosystem and package.
type Fixes = BTreeMap<(String, String), Vec<Fix>>;

fn strings(value: &Value) -> impl Iterator<Item = &str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str)
}

fn read(record: &Value, records: &mut BTreeMap<String, Known>, fixes: &mut Fixes) {
    let id = record["id"].as_str().unwrap();
    let summary = record["summary"].as_str().unwrap_or_default();
    if id.starts_with("LSN-") || !record["withdrawn"].is_null() {
        return;
    }
    let ids = ["aliases", "related", "upstream"].into_iter().flat_map(|key| strings(&record[key]));
    let cves: BTreeSet<String> =
        ids.chain([id]).filter_map(|id| id.find("CVE-").map(|at| id[at..].to_owned())).collect();
    let priority = record["affected"]
        .as_array()
        .into_iter()
        .flatten()
        .find_map(|affected| affected["ecosystem_specific"]["ubuntu_priority"].as_str());
    let linked = record["references"].as_array().into_iter().flatten().any(|reference| {
        reference["url"].as_str().is_some_and(|url| url.ends_with("/classification/#critical"))
    });
    let known = Known {
        streams: summary
            .split_whitespace()
            .filter(|word| word.find(':').is_some_and(|at| at > 0 && at + 1 < word.len()))
            .map(str::to_owned)
            .collect(),
        critical: summary.starts_with("Critical:") || priority == Some("critical") || linked,
        security: !cves.is_empty()
            || [
                "ALSA",
                "RHSA",
                "RLSA",
                "RXSA",
                "DSA",
                "DLA",
                "DTSA",
                "USN",
                "SUSE-SU",
                "openSUSE-SU",
            ]
            .iter()
            .any(|prefix| id.starts_with(&format!("{prefix}-"))),
        cves,
    };
    records.insert(id.to_owned(), known);
    for affected in record["affected"].as_array().into_iter().flatten() {
        let ecosystem = affected["package"]["ecosystem"].as_str().unwrap();
        let events = affected["ranges"].as_array().into_iter().flatten();
        let events = events.flat_map(|range| range["events"].as_array().into_iter().flatten());
        let fixed: Vec<&str> = events.filter_map(|event| event["fixed"].as_str()).collect();
        let mut add = |package: &str, version: &str| {
            let list = fixes.entry((ecosystem.to_owned(), package.to_owned())).or_default();
            if !list.iter().any(|fix| fix.record == id && fix.version == version) {
                list.push(Fix { record: id.to_owned(), version: version.to_owned() });
            }
        };
        let binaries = &affected["ecosystem_specific"]["binaries"];
        for binary in binaries.as_array().into_iter().flatten().filter(|_| !fixed.is_empty()) {
            match binary["binary_name"].as_str() {
                Some(name) => add(name, binary["binary_version"].as_str().unwrap()),
                None => {
                    for (name, version) in binary.as_object().unwrap() {
                        add(name, version.as_str().unwrap());
                    }
                }
            }
        }
        if binaries.as_array().is_none_or(Vec::is_empty) {
            for version in fixed {
                add(affected["package"]["name"].as_str().unwrap(), version);
            }
        }
    }
}

/// A computer of an ecosystem: what its report says, and the order of its versions. `None` where no
/// computer here runs it.
struct System {
    name: &'static str,
    version: String,
    compare: fn(&str, &str) -> Ordering,
}

fn system(ecosystem: &str) -> Option<System> {
    let (vendor, rest) = ecosystem.split_once(':')?;
    let first = |text: &str| text.split(':').next().unwrap().to_owned();
    let system = |name, version, compare| Some(System { name, version, compare });
    let rpm: fn(&str, &str) -> Ordering = rpm_version::rpm_evr_compare;
    let deb: fn(&str, &str) -> Ordering = deb_version::compare_versions;
    match vendor {
        "AlmaLinux" => system("AlmaLinux", first(rest), rpm),
        "Rocky Linux" => system("Rocky Linux", first(rest), rpm),
        "Red Hat" => {
            let version =
                rest.strip_prefix("enterprise_linux:").or(rest.strip_prefix("rhel_eus:"))?;
            system("Red Hat Enterprise Linux", first(version), rpm)
        }
        "SUSE" => {
            // A module without a service pack is for each of them; this computer has the third.
            let version = match rest {
                "Package Hub 12" => "12 SP3",
                _ => rest.strip_prefix("Linux Enterprise Server ")?,
            };
            let sound = version.chars().all(|c| c.is_ascii_digit() || " SP".contains(c));
            sound
                .then(|| version.to_owned())
                .and_then(|version| system("SUSE Linux Enterprise Server", version, rpm))
        }
        "openSUSE" => system("openSUSE", rest.strip_prefix("Leap ")?.to_owned(), rpm),
        "Debian" => system("Debian GNU/Linux", first(rest), deb),
        "Ubuntu" if rest.starts_with(|c: char| c.is_ascii_digit()) => {
            system("Ubuntu", first(rest), deb)
        }
        _ => None,
    }
}

/// A version just below `version`, of the same build where it is a modular one.
fn just_below(version: &str) -> String {
    let (upstream, release) = version.rsplit_once('-').unwrap_or((version, ""));
    if release.is_empty() { format!("{upstream}~") } else { format!("{upstream}~-{release}") }
}

/// A version just above `version`, likewise.
fn just_above(version: &str) -> String {
    format!("{version}.0.1")
}

fn is_modular(version: &str) -> bool {
    version.contains(".module")
}

/// What a modular build is known by: what follows the last plus.
fn digest(version: &str) -> &str {
    let last = version.rsplit('+').next().unwrap();
    last.split('.').next().unwrap()
}

#[test]
fn every_record_is_found_one_version_behind_and_not_at_the_fixed_version() {
    let Some(folder) = folder("osv") else { return };
    let mut imported = Imported::default();
    let (mut records, mut fixes) = (BTreeMap::new(), Fixes::new());
    let documents = documents(&folder, &[".json"]);
    for document in &documents {
        if let Err(problem) = imported.take(document) {
            println!("osv: {} {problem}", document.name);
        }
        read(&serde_json::from_slice(&document.content).unwrap(), &mut records, &mut fixes);
    }
    for problem in &imported.bad {
        println!("osv: {problem}");
    }
    let index = imported.builder.build("conformance");
    let ask = |system: &System, package: &str, installed: &str, available: &str| -> Advice {
        let update = |update_state, version: &str| Update {
            update_state,
            product: package.to_owned().into(),
            product_arch: "x86_64".into(),
            product_version: version.to_owned().into(),
            ..Update::default()
        };
        let os = Os { kind: "Linux", name: system.name, version: &system.version, full_name: "" };
        let scan =
            [update(UpdateState::NotNeeded, installed), update(UpdateState::Needed, available)];
        let mut advice = index.advise(os, &scan);
        assert!(advice[0].is_none(), "nothing is missing of what is installed");
        advice.pop().unwrap().map_or_else(Advice::default, |advice| Advice::clone(&advice))
    };

    // By build, the streams of the records that list it.
    let mut streams_of: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for fix in fixes.values().flatten().filter(|fix| is_modular(&fix.version)) {
        let named = records[&fix.record].streams.iter().map(String::as_str);
        streams_of.entry(digest(&fix.version)).or_default().extend(named);
    }
    let mut tally = Tally::default();
    let mut modular = Tally::default();
    let mut verdicts = Tally::default();
    let (mut versions, mut of_modules, mut left_open) = (0, 0, 0);
    let mut elsewhere = BTreeSet::new();
    for ((ecosystem, package), list) in &fixes {
        let Some(system) = system(ecosystem) else {
            elsewhere.insert(ecosystem);
            continue;
        };
        for fix in list {
            versions += 1;
            let tally = if is_modular(&fix.version) {
                of_modules += 1;
                &mut modular
            } else {
                &mut tally
            };
            let streams = streams_of.get(digest(&fix.version)).cloned().unwrap_or_default();
            let of_streams = |other: &Fix| -> BTreeSet<&str> {
                match &records[&other.record].streams {
                    none if none.is_empty() => {
                        streams_of.get(digest(&other.version)).cloned().unwrap_or_default()
                    }
                    named => named.iter().map(String::as_str).collect(),
                }
            };
            // One version behind: just below the lowest build that the record names, and the version
            // below that which was fixed before in the same streams.
            let is_alike = |other: &&Fix| is_modular(&other.version) == is_modular(&fix.version);
            let compare = |one: &&str, other: &&str| (system.compare)(one, other);
            let builds = |record: &str| -> Vec<&str> {
                let same = list.iter().filter(|other| other.record == record).filter(is_alike);
                same.map(|other| other.version.as_str()).collect()
            };
            let lowest = builds(&fix.record).into_iter().min_by(compare).unwrap();
            let below = just_below(lowest);
            let before = list
                .iter()
                .filter(is_alike)
                .filter(|other| !is_modular(&fix.version) || of_streams(other) == streams)
                .map(|other| other.version.as_str())
                .filter(|version| compare(version, &lowest) == Ordering::Less)
                .max_by(compare);
            for installed in before.into_iter().chain([below.as_str()]) {
                let step = format!("{ecosystem} {package} {installed} -> {}", fix.version);
                let advice = ask(&system, package, installed, &fix.version);
                let told: BTreeSet<&str> =
                    advice.advisory_ids.split(';').filter(|id| !id.is_empty()).collect();
                tally.must(told.contains(fix.record.as_str()), || {
                    format!("{step}: {} is not in {told:?}", fix.record)
                });
                let (mut must, mut may) = (BTreeSet::new(), BTreeSet::new());
                for other in list.iter().filter(is_alike) {
                    let is_missing =
                        |version: &&str| compare(version, &installed) == Ordering::Greater;
                    if compare(&other.version.as_str(), &fix.version.as_str()) == Ordering::Greater
                        || !builds(&other.record).iter().all(is_missing)
                    {
                        continue;
                    }
                    let named = of_streams(other);
                    if other.version == fix.version
                        || !is_modular(&fix.version)
                        || named == streams && streams.len() == 1
                    {
                        must.insert(other.record.as_str());
                    } else if streams.is_empty() || !named.is_disjoint(&streams) {
                        may.insert(other.record.as_str());
                    }
                }
                for id in &must {
                    let lacks = || format!("{step}: {id} is not in {told:?}");
                    tally.must(told.contains(id), lacks);
                }
                left_open += told.difference(&must).filter(|id| may.contains(*id)).count();
                for id in &told {
                    let holds = must.contains(id) || may.contains(id);
                    tally.may(holds, || format!("{step}: {id} is not in {must:?} or {may:?}"));
                }
                // Several systems may share a list here, so only what is told is held to be true.
                let of_told = || told.iter().filter_map(|id| records.get(*id));
                let class = match () {
                    () if of_told().any(|known| known.critical && known.security) => {
                        "Critical Updates"
                    }
                    () if of_told().any(|known| known.security) => "Security Updates",
                    () => "Other Updates",
                };
                verdicts.must(told.is_empty() || advice.classification == class, || {
                    format!("{step}: {} for {class}", advice.classification)
                });
                let cves: BTreeSet<&str> =
                    of_told().flat_map(|known| known.cves.iter().map(String::as_str)).collect();
                let cves = cves.into_iter().collect::<Vec<_>>().join(";");
                verdicts.must(cves == advice.cve_numbers, || {
                    format!("{step}: {} for {cves}", advice.cve_numbers)
                });
            }
            let advice = ask(&system, package, &fix.version, &just_above(&fix.version));
            let told = advice.advisory_ids.split(';').any(|id| id == fix.record);
            tally.may(!told, || {
                format!("{ecosystem} {package}: {} at its fixed {}", fix.record, fix.version)
            });
        }
    }
    println!(
        "osv: {} records, {versions} fixed versions, {of_modules} of them of modules; no computer \
         here runs {elsewhere:?}",
        records.len()
    );
    println!(
        "osv, modules: {left_open} answers of which the records leave open whether they are right"
    );
    let misses = tally.print("osv, packages")
        + modular.print("osv, modules")
        + verdicts.print("osv, classification and CVEs");
    assert!(versions > 0, "no record has a fixed version");
    assert_eq!(misses, 0, "the misses are listed above");
}
