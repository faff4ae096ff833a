use std::collections::BTreeMap;

use patchline_schemas::{KbFix, PackageFix, Timestamp};
use proptest::prelude::*;

use super::*;

const UBUNTU: Os<'_> =
    Os { kind: "Linux", name: "Ubuntu", version: "16.04", full_name: "Ubuntu 16.04" };
const ALMA: Os<'_> =
    Os { kind: "Linux", name: "AlmaLinux", version: "8.6", full_name: "AlmaLinux 8.6" };
const CENTOS: Os<'_> =
    Os { kind: "Linux", name: "CentOS Linux", version: "7.9", full_name: "CentOS Linux 7" };
const WINDOWS: Os<'_> =
    Os { kind: "Windows", name: "Windows Server 2016 Datacenter", version: "10.0", full_name: "" };

fn fix(
    (distribution, release): (&'static str, &'static str),
    package: &'static str,
    fixed: &'static str,
) -> PackageFix<'static> {
    PackageFix {
        distribution: distribution.into(),
        release: release.into(),
        package: package.into(),
        fixed: fixed.into(),
        ..PackageFix::default()
    }
}

const XENIAL: (&str, &str) = ("ubuntu", "16.04");
const ALMA_8: (&str, &str) = ("almalinux", "8");

fn advisory(id: &str, package_fixes: Vec<PackageFix<'static>>) -> Advisory<'static> {
    Advisory {
        id: id.to_owned().into(),
        source: "osv".into(),
        kind: "security".into(),
        package_fixes,
        ..Advisory::default()
    }
}

fn index(advisories: &[Advisory<'_>]) -> Index {
    let mut builder = IndexBuilder::default();
    for advisory in advisories {
        builder.upsert(advisory);
    }
    builder.build("1")
}

fn package(state: UpdateState, name: &str, arch: &str, version: &str) -> Update<'static> {
    Update {
        update_state: state,
        product: name.to_owned().into(),
        product_arch: arch.to_owned().into(),
        product_version: version.to_owned().into(),
        ..Update::default()
    }
}

/// What is said of `name` that goes from `installed`, if anything is, to `available`.
fn step(
    index: &Index,
    os: Os<'_>,
    name: &str,
    (installed, available): (&str, &str),
) -> Option<Advice> {
    let mut scan = vec![package(UpdateState::Needed, name, "amd64", available)];
    if !installed.is_empty() {
        scan.push(package(UpdateState::NotNeeded, name, "amd64", installed));
    }
    let mut advice = index.advise(os, &scan);
    assert_eq!(advice.len(), scan.len());
    assert!(installed.is_empty() || advice.pop().unwrap().is_none());
    advice.pop().unwrap().map(|advice| Advice::clone(&advice))
}

fn ids(index: &Index, os: Os<'_>, name: &str, versions: (&str, &str)) -> String {
    step(index, os, name, versions).map_or_else(String::new, |advice| advice.advisory_ids)
}

#[test]
fn a_package_gets_what_its_available_version_brings_and_its_installed_one_lacks() {
    let index = index(&[
        advisory("A", vec![fix(XENIAL, "tiff", "0:4.0.6-1ubuntu0.1")]),
        advisory("B", vec![fix(XENIAL, "tiff", "4.0.6-1ubuntu0.4")]),
        advisory("C", vec![fix(("ubuntu", "14.04"), "tiff", "4.0.6-1ubuntu0.2")]),
        advisory("D", vec![fix(("debian", "9"), "tiff", "4.0.6-1ubuntu0.2")]),
        advisory("E", vec![fix(XENIAL, "tiff-tools", "4.0.6-1ubuntu0.2")]),
        advisory("F", vec![fix(("ubuntu", ""), "tiff", "4.0.6-1ubuntu0.3")]),
    ]);
    let ids = |versions| ids(&index, UBUNTU, "tiff", versions);
    assert_eq!(ids(("0:4.0.6-1", "0:4.0.6-1ubuntu0.1")), "A");
    assert_eq!(ids(("0:4.0.6-1", "0:4.0.6-1ubuntu0.2")), "A");
    assert_eq!(ids(("0:4.0.6-1", "0:4.0.6-1ubuntu0.9")), "A;B;F");
    assert_eq!(ids(("0:4.0.6-1ubuntu0.1", "0:4.0.6-1ubuntu0.4")), "B;F");
    assert_eq!(ids(("0:4.0.6-1ubuntu0.4", "0:4.0.6-1ubuntu0.5")), "");
    assert_eq!(ids(("0:4.0.5-1", "0:4.0.6-1")), "");
    assert_eq!(index.len(), 6);
    assert_eq!(index.fixed_versions(), 6);
}

#[test]
fn without_an_installed_version_only_the_fixed_version_itself_is_claimed() {
    let index = index(&[
        advisory("A", vec![fix(XENIAL, "linux-image", "4.4.0-31.50")]),
        advisory("B", vec![fix(XENIAL, "linux-image", "4.4.0-34.53")]),
    ]);
    assert_eq!(ids(&index, UBUNTU, "linux-image", ("", "0:4.4.0-34.53")), "B");
    assert_eq!(ids(&index, UBUNTU, "linux-image", ("", "0:4.4.0-36.55")), "");
}

#[test]
fn one_of_several_builds_of_a_fix_is_enough() {
    let since = |introduced: &'static str, fixed| PackageFix {
        introduced: introduced.into(),
        ..fix(ALMA_8, "util", fixed)
    };
    let index = index(&[
        advisory(
            "A",
            vec![fix(ALMA_8, "util", "2.32-27.el8"), fix(ALMA_8, "util", "2.32-27.el8.0.1")],
        ),
        advisory("B", vec![since("", "1.5-1"), since("2.0", "2.40-1")]),
    ]);
    let ids = |versions| ids(&index, ALMA, "util", versions);
    assert_eq!(ids(("2.32-26.el8", "2.32-27.el8.0.1")), "A");
    assert_eq!(ids(("2.32-27.el8", "2.32-27.el8.0.1")), "", "its first build is there");
    assert_eq!(ids(("2.32-27.el8", "2.40-1")), "B", "the other branch's fix does not count");
}

#[test]
fn what_is_no_version_is_claimed_for_nothing() {
    let index = index(&[
        advisory("A", vec![fix(XENIAL, "odd", "no version")]),
        advisory("B", vec![fix(XENIAL, "odd", "1.0")]),
    ]);
    assert_eq!(ids(&index, UBUNTU, "odd", ("no version", "2.0")), "");
    assert_eq!(ids(&index, UBUNTU, "odd", ("0.1", "no version")), "");
    assert_eq!(ids(&index, UBUNTU, "odd", ("", "no version")), "");
    assert_eq!(ids(&index, UBUNTU, "odd", ("0.1", "2.0")), "B");
}

#[test]
fn of_several_installed_versions_the_newest_counts_and_another_architectures_if_need_be() {
    let index = index(&[
        advisory("A", vec![fix(ALMA_8, "kernel", "4.18.0-193.el8")]),
        advisory("B", vec![fix(ALMA_8, "kernel", "4.18.0-305.el8")]),
    ]);
    let said = |installed: &[(&str, &str)]| {
        let mut scan = vec![package(UpdateState::Needed, "kernel", "x86_64", "0:4.18.0-348.el8")];
        for (arch, version) in installed {
            scan.push(package(UpdateState::NotNeeded, "kernel", arch, version));
        }
        index.advise(ALMA, &scan)[0].as_ref().map(|advice| advice.advisory_ids.clone())
    };
    let (old, new) = ("0:4.18.0-80.el8", "0:4.18.0-240.el8");
    assert_eq!(said(&[("x86_64", old), ("x86_64", new)]).unwrap(), "B");
    assert_eq!(said(&[("x86_64", new), ("x86_64", old)]).unwrap(), "B");
    assert_eq!(said(&[("x86_64", old), ("i686", new)]).unwrap(), "A;B");
    assert_eq!(said(&[("noarch", new)]).unwrap(), "B");
}

#[test]
fn the_gravest_advisory_has_the_word_and_all_of_them_add_up() {
    let rated = |id: &str, kind: &'static str, severity: &'static str, day: i64, cves: &[&str]| {
        let fixed: &'static str = format!("1.{day}").leak();
        Advisory {
            kind: kind.into(),
            severity: severity.into(),
            published: Some(Timestamp(day)),
            cve_numbers: cves.iter().map(|&cve| cve.to_owned()).collect(),
            bulletin_url: format!("https://example.org/{id}").into(),
            ..advisory(id, vec![fix(ALMA_8, "bash", fixed)])
        }
    };
    let index = index(&[
        rated("ALBA-1", "bugfix", "", 1, &[]),
        rated("ALSA-2", "security", "Moderate", 2, &["CVE-2"]),
        rated("ALSA-3", "security", "Critical", 3, &["CVE-1", "CVE-2"]),
        rated("ALSA-4", "security", "Important", 4, &["CVE-3"]),
    ]);
    let advice = step(&index, ALMA, "bash", ("1.0", "1.9")).unwrap();
    assert_eq!(
        advice,
        Advice {
            classification: "Critical Updates",
            advisory_ids: "ALSA-3;ALSA-4;ALSA-2;ALBA-1".into(),
            bulletin_id: "ALSA-3;ALSA-4;ALSA-2;ALBA-1".into(),
            bulletin_url: "https://example.org/ALSA-3".into(),
            cve_numbers: "CVE-1;CVE-2;CVE-3".into(),
            package_severity: "Critical".into(),
            published_date: Some(Timestamp(2)),
            ..Advice::default()
        }
    );
    let advice = step(&index, ALMA, "bash", ("1.3", "1.9")).unwrap();
    assert_eq!(
        (advice.classification, &*advice.package_severity),
        ("Security Updates", "Important")
    );
    let advice = step(&index, ALMA, "bash", ("1.0", "1.1")).unwrap();
    assert_eq!((advice.classification, &*advice.package_severity), ("Other Updates", ""));
    assert_eq!(advice.published_date, Some(Timestamp(1)));
}

#[test]
fn architecture_first_affected_version_and_kind_of_name_narrow_a_fix() {
    let base = || fix(XENIAL, "gcc", "2.0");
    let source = PackageFix { source: true, ..base() };
    let index = index(&[
        advisory("arm", vec![PackageFix { arch: "arm64".into(), ..base() }]),
        advisory("amd", vec![PackageFix { arch: "amd64".into(), ..base() }]),
        advisory("late", vec![PackageFix { introduced: "1.5".into(), ..base() }]),
        advisory("all", vec![PackageFix { introduced: "0".into(), ..base() }]),
        advisory("source", vec![source.clone()]),
        // Its binary package of that name has a version of its own.
        advisory("both", vec![source, fix(XENIAL, "gcc", "4:7.0")]),
    ]);
    assert_eq!(ids(&index, UBUNTU, "gcc", ("1.0", "3.0")), "all;amd;source");
    assert_eq!(ids(&index, UBUNTU, "gcc", ("1.5", "3.0")), "all;amd;late;source");
    assert_eq!(ids(&index, UBUNTU, "gcc", ("4:6.0", "4:7.0")), "both");
}

#[test]
fn centos_is_judged_by_red_hats_advisories() {
    let rhel_7 = ("rhel", "7");
    let index = index(&[
        advisory("RHSA-1", vec![fix(rhel_7, "httpd", "0:2.4.6-97.el7_9.4")]),
        advisory("RHSA-2", vec![fix(rhel_7, "httpd", "0:2.4.6-97.el7_9.5")]),
        advisory("RHSA-3", vec![fix(rhel_7, "openssl", "1:1.0.2k-21.el7_9")]),
        advisory("RHSA-4", vec![fix(("rhel", "7.9"), "openssl", "1:1.0.2k-21.el7_9")]),
    ]);
    let centos = |name, versions| ids(&index, CENTOS, name, versions);
    assert_eq!(
        centos("httpd", ("0:2.4.6-97.el7.centos", "0:2.4.6-97.el7.centos.5")),
        "RHSA-1;RHSA-2"
    );
    assert_eq!(centos("httpd", ("0:2.4.6-97.el7.centos.4", "0:2.4.6-97.el7.centos.5")), "RHSA-2");
    assert_eq!(centos("httpd", ("", "0:2.4.6-97.el7.centos.5")), "RHSA-2");
    assert_eq!(centos("openssl", ("1:1.0.2k-19.el7", "1:1.0.2k-21.el7_9")), "RHSA-3");
    let rhel = Os { name: "Red Hat Enterprise Linux Server", ..CENTOS };
    assert_eq!(
        ids(&index, rhel, "openssl", ("1:1.0.2k-19.el7", "1:1.0.2k-21.el7_9")),
        "RHSA-3;RHSA-4"
    );
}

/// Builds of two streams, of which one advisory each is known, and a package that both have.
fn modular() -> Index {
    let named = |id: &str, title: &'static str, fixes: &[(&'static str, &'static str)]| Advisory {
        title: title.into(),
        ..advisory(id, fixes.iter().map(|(name, fixed)| fix(ALMA_8, name, fixed)).collect())
    };
    index(&[
        named(
            "TEN",
            "Important: nodejs:10 security update",
            &[
                ("nodejs", "1:10.24.0-1.module_el8.3.0+2047+b07ac28e"),
                ("npm", "1:6.14.11-1.10.24.0.1.module_el8.3.0+2047+b07ac28e"),
                ("nodejs-nodemon", "1.18.3-1.module_el8.3.0+2047+b07ac28e"),
            ],
        ),
        named(
            "TWELVE",
            "Important: nodejs:12 security update",
            &[
                ("nodejs", "1:12.22.5-1.module_el8.4.0+2529+af52a4c7"),
                ("nodejs-nodemon", "1.18.3-1.module_el8.3.0+2047+b07ac28e"),
            ],
        ),
        advisory("PLAIN", vec![fix(ALMA_8, "nodejs", "1:10.23.0-1.el8")]),
    ])
}

#[test]
fn streams_of_a_module_are_not_crossed() {
    let index = modular();
    let ids = |name, versions| ids(&index, ALMA, name, versions);
    let (old, ten) =
        ("1:10.19.0-1.module_el8.1.0+1+aaaaaaaa", "1:10.24.0-1.module_el8.3.0+2047+b07ac28e");
    let twelve = "1:12.22.5-1.module_el8.4.0+2529+af52a4c7";
    assert_eq!(ids("nodejs", (old, ten)), "TEN");
    assert_eq!(ids("nodejs", (old, twelve)), "TWELVE", "10.24.0 lies between, in another stream");
    assert_eq!(ids("nodejs", ("", twelve)), "TWELVE");
    assert_eq!(ids("nodejs", ("1:10.19.0-1.el8", "1:10.25.0-1.el8")), "PLAIN");
    let shared = "1.18.3-1.module_el8.3.0+2047+b07ac28e";
    assert_eq!(ids("nodejs-nodemon", ("1.17-1.module_el8.1.0+1+aaaaaaaa", shared)), "TEN;TWELVE");
}

#[test]
fn a_build_that_no_advisory_knows_is_of_the_installed_builds_stream_or_of_one_alike() {
    let index = modular();
    let ids = |versions| ids(&index, ALMA, "nodejs", versions);
    let unknown = "1:12.22.9-1.module_el8.6.0+3000+cccccccc";
    assert_eq!(ids(("1:12.1.0-1.module_el8.1.0+1+aaaaaaaa", unknown)), "TWELVE");
    let newer_ten = "1:10.99.0-1.module_el8.6.0+3000+cccccccc";
    let fixed_ten = "1:10.24.0-1.module_el8.3.0+2047+b07ac28e";
    assert_eq!(ids((fixed_ten, newer_ten)), "");
    // Sixteen is like none of them.
    assert_eq!(
        ids(("1:10.1-1.module_el8.1.0+1+aaaaaaaa", "1:16.1-1.module_el8.6.0+1+dddddddd")),
        ""
    );
}

#[test]
fn verdicts_are_remembered_for_as_long_as_their_index_lives() {
    let counters = MemoCounters::default();
    let mut builder = IndexBuilder::counting(counters.clone());
    builder.upsert(&advisory("A", vec![fix(XENIAL, "bash", "2")]));
    let index = builder.build("1");
    for _ in 0..3 {
        assert_eq!(ids(&index, UBUNTU, "bash", ("1", "2")), "A");
        assert_eq!(ids(&index, UBUNTU, "zsh", ("1", "2")), "");
    }
    assert_eq!((counters.hits.get(), counters.misses.get()), (4, 2));
    builder.upsert(&advisory("B", vec![fix(XENIAL, "bash", "2")]));
    let next = builder.build("2");
    assert_eq!(ids(&next, UBUNTU, "bash", ("1", "2")), "A;B");
    assert_eq!(ids(&index, UBUNTU, "bash", ("1", "2")), "A");
    assert_eq!((index.version(), next.version()), ("1", "2"));
    assert_eq!((counters.hits.get(), counters.misses.get()), (5, 3));
}

#[test]
fn what_is_withdrawn_goes_and_stays_in_what_was_built_before() {
    let mut builder = IndexBuilder::default();
    let bash = advisory("A", vec![fix(XENIAL, "bash", "2")]);
    builder.upsert(&bash);
    let before = builder.build("1");
    builder.upsert(&Advisory { withdrawn: true, ..bash });
    let after = builder.build("2");
    assert_eq!(ids(&before, UBUNTU, "bash", ("1", "2")), "A");
    assert_eq!(ids(&after, UBUNTU, "bash", ("1", "2")), "");
    assert!(after.is_empty() && builder.is_empty());
}

#[test]
fn a_needed_update_that_an_installed_one_replaces_is_marked() {
    let kb = |id: &'static str, kbid: &'static str, supersedes: &[&str]| Advisory {
        source: "msrc-cvrf".into(),
        kb_fixes: vec![KbFix {
            kbid: kbid.into(),
            severity: "Critical".into(),
            supersedes: supersedes.iter().map(|&kb| kb.to_owned()).collect(),
            ..KbFix::default()
        }],
        ..advisory(id, vec![])
    };
    let index = index(&[kb("A", "4012212", &["3212646"]), kb("B", "4015549", &["4012212"])]);
    let update = |state, kbid: &'static str| Update {
        update_state: state,
        kbid: kbid.into(),
        ..Update::default()
    };
    let scan = [
        update(UpdateState::Needed, "KB4012212"),
        update(UpdateState::Installed, "4015549"),
        // Nothing else is known of it.
        update(UpdateState::Needed, "3212646"),
        update(UpdateState::Needed, "5000000"),
    ];
    let advice = index.advise(WINDOWS, &scan);
    let mark = |at: usize| advice[at].as_ref().map(|advice| advice.superseded_by.as_str());
    assert_eq!([0, 1, 2, 3].map(mark), [Some("4015549"), Some(""), Some("4015549"), None]);
    assert_eq!(advice[0].as_ref().unwrap().msrc_severity, "Critical");
    assert_eq!(advice[2].as_ref().unwrap().classification, "");
    let alone = index.advise(WINDOWS, &scan[..1]);
    assert_eq!(alone[0].as_ref().unwrap().superseded_by, "");
    assert_eq!(index.kbs(), 2);
}

#[test]
fn a_list_that_grows_too_long_says_how_many_it_leaves_out() {
    let items: Vec<String> = (0..2_000).map(|n| format!("CVE-2017-{n:05}")).collect();
    let list = join(items.iter().map(String::as_str));
    assert!(list.len() < LIST_BYTES_MAX + 1_100, "{}", list.len());
    let (kept, rest) = list.rsplit_once(";and ").unwrap();
    let kept = kept.split(';').count();
    assert_eq!(format!("{} more", 2_000 - kept), rest);
    assert_eq!(join(["a", "b"]), "a;b");
}

#[derive(Debug, Clone)]
enum Step {
    Upsert(usize, Vec<(usize, u8)>),
    Remove(usize),
    Build,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let fixes = proptest::collection::vec((0..4_usize, 1..9_u8), 0..4);
    let step = prop_oneof![
        6 => (0..12_usize, fixes).prop_map(|(id, fixes)| Step::Upsert(id, fixes)),
        2 => (0..12_usize).prop_map(Step::Remove),
        2 => Just(Step::Build),
    ];
    proptest::collection::vec(step, 0..60)
}

proptest! {
    #[test]
    fn whatever_comes_and_goes_an_index_says_what_its_advisories_say(steps in steps()) {
        const NAMES: [&str; 4] = ["a", "b", "c", "d"];
        const VERSIONS: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
        let mut builder = IndexBuilder::default();
        let mut model: BTreeMap<String, Vec<(usize, u8)>> = BTreeMap::new();
        for step in steps.into_iter().chain([Step::Build]) {
            match step {
                Step::Upsert(id, fixes) => {
                    let id = format!("ID-{id:02}");
                    let rows = fixes.iter().map(|(name, fixed)| {
                        fix(XENIAL, NAMES[*name], VERSIONS[usize::from(*fixed)])
                    });
                    builder.upsert(&advisory(&id, rows.collect()));
                    model.insert(id, fixes);
                }
                Step::Remove(id) => {
                    let id = format!("ID-{id:02}");
                    builder.remove("osv", &id);
                    model.remove(&id);
                }
                Step::Build => {
                    let index = builder.build("v");
                    prop_assert_eq!(index.len(), model.len());
                    for (at, name) in NAMES.iter().enumerate() {
                        for (installed, available) in [(0, 9), (2, 5), (4, 4), (3, 4)] {
                            // The lowest of several builds of a fix counts.
                            let closed = |fixes: &[(usize, u8)]| {
                                let of_name = fixes.iter().filter(|(name, _)| *name == at);
                                let lowest = of_name.map(|(_, fixed)| *fixed).min();
                                lowest.is_some_and(|fixed| fixed > installed && fixed <= available)
                            };
                            let expected: Vec<&str> = model
                                .iter()
                                .filter(|(_, fixes)| closed(fixes))
                                .map(|(id, _)| id.as_str())
                                .collect();
                            let versions = (
                                VERSIONS[usize::from(installed)],
                                VERSIONS[usize::from(available)],
                            );
                            prop_assert_eq!(ids(&index, UBUNTU, name, versions), expected.join(";"));
                        }
                    }
                }
            }
        }
    }
}
