//! Each format, by a small document.

use patchline_schemas::Timestamp;

use crate::fixtures::{MONTH_JSON, MONTH_XML, TABLE_CSV, UPDATES_XML};
use crate::{import, rows};

#[test]
fn a_month_gives_an_advisory_a_kb_with_the_gravest_severity_of_each_product() {
    let (found, format) = import(MONTH_XML.as_bytes(), None);
    assert_eq!(format.unwrap(), "msrc-cvrf");
    assert_eq!(found.ids(), ["2031-Jan/KB9000001", "2031-Jan/KB900004", "2031-Jan/MS30-104"]);
    let kb = found.by_id("2031-Jan/KB9000001");
    assert_eq!((kb.source.as_ref(), kb.kind.as_ref()), ("msrc-cvrf", "security"));
    assert_eq!((kb.severity.as_ref(), kb.bulletin_id.as_ref()), ("Critical", ""));
    assert_eq!(kb.title, "January 2031 Security Updates");
    assert_eq!(kb.cve_numbers, ["CVE-2031-0001", "CVE-2031-0002"]);
    assert_eq!(kb.published, Some(Timestamp::parse("2031-01-14T08:00:00Z").unwrap()));
    assert_eq!(kb.modified, Some(Timestamp::parse("2031-02-01T08:00:00Z").unwrap()));
    let [first, second] = kb.kb_fixes.as_slice() else { panic!("{:?}", kb.kb_fixes) };
    assert_eq!((first.product.as_ref(), first.product_id.as_ref()), ("Windows A & B", "1"));
    assert_eq!((first.severity.as_ref(), first.restart_required.as_ref()), ("Critical", "Maybe"));
    assert_eq!(first.cve_numbers, ["CVE-2031-0001"]);
    assert_eq!(first.supersedes, ["8000001", "8000002"]);
    assert_eq!(
        (first.kind.as_ref(), first.url.as_ref()),
        ("Monthly Rollup", "https://example.org/9000001")
    );
    assert_eq!((second.product.as_ref(), second.severity.as_ref()), ("Windows C", "Important"));
    assert_eq!(second.restart_required, "Yes");
    assert_eq!(second.cve_numbers, ["CVE-2031-0001", "CVE-2031-0002"]);
    let notice = found.by_id("2031-Jan/KB900004");
    assert_eq!((notice.bulletin_id.as_ref(), notice.severity.as_ref()), ("ADV310001", ""));
    assert_eq!(notice.kb_fixes[0].product, "Browser on C");
    assert_eq!(found.left_out, ["a fix without a KB number"]);
    assert_eq!(found.bad, ["2031-Jan, CVE-2031-0002: KB 9000003 is for no product"]);
}

#[test]
fn the_bulletins_of_replaced_kbs_are_kept() {
    let (found, _) = import(MONTH_XML.as_bytes(), None);
    let bulletin = found.by_id("2031-Jan/MS30-104");
    assert_eq!(bulletin.bulletin_id, "MS30-104");
    assert!(bulletin.bulletin_url.ends_with("/securitybulletins/2030/ms30-104"));
    let kbs: Vec<&str> = bulletin.kb_fixes.iter().map(|fix| fix.kbid.as_ref()).collect();
    assert_eq!(kbs, ["8000001"]);
}

#[test]
fn xml_and_json_of_a_month_are_the_same_and_a_broken_vulnerability_harms_none() {
    let (from_xml, _) = import(MONTH_XML.as_bytes(), None);
    let (from_json, format) = import(MONTH_JSON.as_bytes(), None);
    assert_eq!(format.unwrap(), "msrc-cvrf");
    assert_eq!(from_json.advisories, from_xml.advisories);
    assert_eq!(from_json.bad.len(), 2);
    assert!(
        from_json.bad[0].starts_with("2031-Jan, vulnerability 2: invalid type"),
        "{:?}",
        from_json.bad
    );
}

#[test]
fn a_month_that_breaks_off_or_is_empty_gives_nothing() {
    for at in [MONTH_XML.len() / 3, MONTH_XML.len() * 2 / 3, MONTH_XML.len() - 20] {
        let (found, result) = import(&MONTH_XML.as_bytes()[..at], None);
        assert!(result.is_err(), "cut off at {at}");
        assert_eq!(found.ids(), Vec::<&str>::new(), "cut off at {at}");
    }
    let empty = r#"{"DocumentTracking": {"Identification": {"ID": {"Value": "2031-Feb"}}}}"#;
    let (found, result) = import(empty.as_bytes(), None);
    assert_eq!(result.unwrap(), "msrc-cvrf");
    assert_eq!((found.ids().len(), &*found.left_out), (0, &["a month without a KB"][..]));
}

#[test]
fn a_table_gives_an_advisory_a_bulletin_and_broken_rows_harm_none() {
    let (found, format) = import(TABLE_CSV.as_bytes(), None);
    assert_eq!(format.unwrap(), "msrc-bulletins");
    assert_eq!(found.ids(), ["MS31-010", "MS31-012"]);
    let first = found.by_id("MS31-010");
    assert_eq!((first.bulletin_id.as_ref(), first.severity.as_ref()), ("MS31-010", "Critical"));
    assert_eq!(first.title, "Update for a server, again");
    assert_eq!(first.published, Some(Timestamp::parse("2031-03-14T00:00:00Z").unwrap()));
    assert_eq!(first.cve_numbers, ["CVE-2031-0143", "CVE-2031-0144", "CVE-2031-0145"]);
    let [one, other] = first.kb_fixes.as_slice() else { panic!("{:?}", first.kb_fixes) };
    assert_eq!((one.kbid.as_ref(), one.product.as_ref()), ("8000011", "Windows A"));
    assert_eq!((one.severity.as_ref(), one.restart_required.as_ref()), ("Critical", "Yes"));
    assert_eq!(one.supersedes, ["7000001", "7000002"]);
    assert_eq!(
        (other.kbid.as_ref(), other.product.as_ref()),
        ("8000012", "Browser 11 on Windows B")
    );
    assert_eq!((other.severity.as_ref(), other.restart_required.as_ref()), ("Important", "Maybe"));
    assert_eq!(other.cve_numbers, ["CVE-2031-0143", "CVE-2031-0145"]);
    assert_eq!(other.supersedes, ["7000003"]);
    let second = found.by_id("MS31-012");
    assert_eq!(second.kb_fixes[0].kbid, "8000020");
    assert_eq!(second.kb_fixes[0].severity, "Moderate");
    let bad = [
        "line 6: `NONSENSE` is no bulletin id such as MS17-010",
        "line 7: MS31-011 without a KB number",
    ];
    assert_eq!(found.bad, bad);
}

#[test]
fn updates_of_a_repository_keep_modules_epochs_and_architectures_apart() {
    let (found, format) = import(UPDATES_XML.as_bytes(), None);
    assert_eq!(format.unwrap(), "updateinfo");
    let ids = ["RLSA-2031:0001@rocky-8/appstream", "RLBA-2031:0002@rocky-8"];
    assert_eq!(found.ids(), ids);
    let first = found.by_id(ids[0]);
    assert_eq!((first.kind.as_ref(), first.severity.as_ref()), ("security", "Important"));
    assert_eq!(first.bulletin_id, "RLSA-2031:0001");
    assert_eq!(first.bulletin_url, "https://example.org/RLSA-2031:0001");
    assert_eq!(first.cve_numbers, ["CVE-2031-0007"]);
    assert_eq!(first.published, Some(Timestamp::parse("2031-01-02T03:04:05Z").unwrap()));
    assert_eq!(first.modified, Some(Timestamp::parse("2031-01-03T00:00:00Z").unwrap()));
    assert_eq!(
        rows(first),
        [
            "rocky-8 bind 32:9.11-5.el8_2",
            "rocky-8 glue 1-3.el8 arch aarch64",
            "rocky-8 glue 1-2.el8 arch x86_64",
            "rocky-8 php 7.3.20-1.module+el8.3.0+1 module php:7.3",
        ]
    );
    assert!(found.by_id(ids[1]).withdrawn);
    assert_eq!(found.bad, ["an update: it has no id"]);
    assert_eq!(found.left_out, ["an update without a package"]);
}

#[test]
fn what_a_repository_is_for_is_told_or_derived_or_the_update_is_refused() {
    let update = |id: &str, release: &str| {
        format!(
            r#"<updates><update type="security"><id>{id}</id><pkglist><collection>
            <package name="a" version="1" release="{release}" arch="noarch"/>
            </collection></pkglist></update></updates>"#
        )
    };
    let cases = [
        ("ALSA-2031:1", "1.el9_1", None, "ALSA-2031:1@almalinux-9"),
        ("RHSA-2031:1", "1.module_el8.6.0+1", None, "RHSA-2031:1@rhel-8"),
        ("SUSE-SLE-SERVER-12-SP5-2031-1", "1.1", None, "SUSE-SLE-SERVER-12-SP5-2031-1@sles-12.5"),
        ("SUSE-15-2031-1", "1.1", None, "SUSE-15-2031-1@sles-15"),
        ("EPEL-2031-1", "1.el8", Some("almalinux-8"), "EPEL-2031-1@almalinux-8"),
        ("ALSA-2031:1", "1.el9_1", Some("rocky-9"), "ALSA-2031:1@rocky-9"),
    ];
    for (id, release, system, expected) in cases {
        let (found, result) = import(update(id, release).as_bytes(), system);
        result.unwrap();
        assert_eq!(found.ids(), [expected]);
    }
    for (id, release) in [("EPEL-2031-1", "1.el8"), ("ALSA-2031:1", "1"), ("RHSA-1", "1.elx")] {
        let (found, result) = import(update(id, release).as_bytes(), None);
        result.unwrap();
        assert!(found.bad[0].ends_with("give it with --os"), "{:?}", found.bad);
    }
}

/// An OSV record with one affected package.
fn record(id: &str, summary: &str, affected: &str, more: &str) -> String {
    format!(
        r#"{{"id": "{id}", "modified": "2031-01-02T00:00:00Z", "published": "2031-01-01T00:00:00Z",
        "summary": "{summary}", "affected": [{affected}] {more}}}"#
    )
}

fn affected(ecosystem: &str, name: &str, events: &str, more: &str) -> String {
    format!(
        r#"{{"package": {{"ecosystem": "{ecosystem}", "name": "{name}"}},
        "ranges": [{{"type": "ECOSYSTEM", "events": [{events}]}}] {more}}}"#
    )
}

#[test]
fn a_record_of_each_distribution_gives_its_rows_and_its_own_severity() {
    let fixed = r#"{"introduced": "0"}, {"fixed": "2:1.1"}"#;
    let ubuntu = affected(
        "Ubuntu:16.04:LTS",
        "lib",
        fixed,
        r#", "ecosystem_specific": {"ubuntu_priority": "high", "binaries": [
            {"binary_name": "lib1", "binary_version": "1:1.1"}, {"binary_name": "lib-dev", "binary_version": "2:1.1"}]}"#,
    );
    let suse = affected(
        "SUSE:Linux Enterprise Server 12 SP5",
        "lib",
        fixed,
        r#", "ecosystem_specific": {"binaries": [{"lib1": "1.1-1", "lib1-32bit": "1.1-1"}]}"#,
    );
    let red_hat = affected("Red Hat:rhel_eus:8.8::baseos", "lib", fixed, "");
    let link = r#", "references": [{"type": "ADVISORY", "url": "https://example.org/a"},
        {"type": "ARTICLE", "url": "https://example.org/updates/classification/#important"}]"#;
    let of_ubuntu = r#", "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N"}, {"type": "Ubuntu", "score": "medium"}]"#;
    let debian = affected("Debian:11", "lib", fixed, "");
    let rocky = affected("Rocky Linux:8", "lib", fixed, "");
    let cases: [(String, &str, &str, &[&str]); 6] = [
        (
            record("UBUNTU-CVE-2031-0001", "", &ubuntu, ""),
            "high",
            "security",
            &["ubuntu-16.04 lib-dev 2:1.1", "ubuntu-16.04 lib1 1:1.1"],
        ),
        (
            record(
                "USN-1-1",
                "lib",
                &affected("Ubuntu:Pro:22.04:LTS", "lib", fixed, ""),
                of_ubuntu,
            ),
            "medium",
            "security",
            &["ubuntu-22.04 lib 2:1.1 source"],
        ),
        (
            record("SUSE-RU-2031:1-1", "Recommended update for lib", &suse, ""),
            "",
            "bugfix",
            &["sles-12.5 lib1 1.1-1", "sles-12.5 lib1-32bit 1.1-1"],
        ),
        (
            record("RHSA-2031:1", "Red Hat Security Advisory: lib", &red_hat, link),
            "Important",
            "security",
            &["rhel-8.8 lib 2:1.1"],
        ),
        (
            record("DSA-1-1", "lib - update", &debian, ""),
            "",
            "security",
            &["debian-11 lib 2:1.1 source"],
        ),
        (
            record("RLEA-2031:1", "Low: lib update", &rocky, ""),
            "Low",
            "enhancement",
            &["rocky-8 lib 2:1.1 source"],
        ),
    ];
    for (document, severity, kind, expected) in cases {
        let (found, result) = import(document.as_bytes(), None);
        assert_eq!(result.unwrap(), "osv");
        let [advisory] = found.advisories.as_slice() else { panic!("{document}: {found:?}") };
        assert_eq!(advisory.severity, severity, "{document}");
        assert_eq!(advisory.kind, kind, "{document}");
        assert_eq!(rows(advisory), expected, "{document}");
    }
}

#[test]
fn every_range_is_a_row_and_what_is_not_fixed_is_none() {
    let several = r#"{"introduced": "0"}, {"fixed": "1.1"}, {"introduced": "2.0"}, {"fixed": "2.3"},
        {"introduced": "3.0"}, {"last_affected": "3.1"}"#;
    let document = record("DSA-2-1", "x", &affected("Debian:12", "x", several, ""), "");
    let (found, _) = import(document.as_bytes(), None);
    let expected = ["debian-12 x 1.1 source", "debian-12 x 2.3 since 2.0 source"];
    assert_eq!(rows(&found.advisories[0]), expected);
    let open = affected(
        "Ubuntu:24.04:LTS",
        "x",
        r#"{"introduced": "0"}"#,
        r#", "ecosystem_specific": {"binaries": [{"binary_name": "x", "binary_version": "1"}]}"#,
    );
    for (affected, why) in [
        (open.as_str(), "a record without a fixed version"),
        ("", "a record that names no package"),
        (&affected("npm", "x", several, ""), "a record of another ecosystem"),
    ] {
        let (found, result) = import(record("USN-2-1", "x", affected, "").as_bytes(), None);
        result.unwrap();
        assert_eq!((found.ids().len(), &*found.left_out), (0, &[why][..]));
    }
}

#[test]
fn module_builds_have_the_stream_that_something_names() {
    let built = r#"{"introduced": "0"}, {"fixed": "1-1.module_el8.6.0+1+a"}"#;
    let plain = r#"{"introduced": "0"}, {"fixed": "1-1.el8"}"#;
    let alma = affected("AlmaLinux:8", "x", built, "");
    let purl = format!(
        r#"{{"package": {{"ecosystem": "Red Hat:enterprise_linux:8::appstream", "name": "x",
        "purl": "pkg:rpm/redhat/x?arch=x86_64&rpmmod=nodejs:18:8080020230306145133:63b34585"}},
        "ranges": [{{"type": "ECOSYSTEM", "events": [{built}]}}]}}"#
    );
    let stated =
        affected("AlmaLinux:8", "x", built, r#", "ecosystem_specific": {"module": "ruby:2.7"}"#);
    let cases = [
        ("Important: php:7.3 security, bug fix, and enhancement update", &alma, "php:7.3"),
        ("new module: container-tools:2.0", &alma, "container-tools:2.0"),
        ("Low: virt:rhel and virt-devel:rhel security update", &alma, ""),
        ("criu bug fix update", &alma, ""),
        ("Important: update", &purl, "nodejs:18"),
        ("Important: php:7.3 update", &stated, "ruby:2.7"),
        ("Important: php:7.3 update", &affected("AlmaLinux:8", "x", plain, ""), ""),
    ];
    for (summary, affected, module) in cases {
        let (found, _) = import(record("ALSA-1", summary, affected, "").as_bytes(), None);
        assert_eq!(found.advisories[0].package_fixes[0].module, module, "{summary}");
    }
}

#[test]
fn a_broken_package_harms_none_and_a_withdrawal_is_an_advisory() {
    let good = affected("Debian:12", "x", r#"{"introduced": "0"}, {"fixed": "1"}"#, "");
    let broken = format!(r#"{good}, {{"package": 7}}, {good}"#);
    let (found, _) = import(record("DSA-3-1", "x", &broken, "").as_bytes(), None);
    assert_eq!(rows(&found.advisories[0]), ["debian-12 x 1 source"]);
    assert!(found.bad[0].starts_with("DSA-3-1, affected package 2: "), "{:?}", found.bad);
    let gone = r#", "withdrawn": "2031-02-01T00:00:00Z""#;
    let (found, _) = import(record("DSA-3-1", "x", "", gone).as_bytes(), None);
    assert!(found.advisories[0].withdrawn);
}

#[test]
fn live_patches_and_foreign_documents_are_no_advisories() {
    let fixed = affected("Ubuntu:16.04:LTS", "linux", r#"{"introduced": "0"}, {"fixed": "1"}"#, "");
    let (found, _) = import(record("LSN-1-1", "x", &fixed, "").as_bytes(), None);
    assert_eq!(found.left_out, ["a live patch, which is no package"]);
    for document in
        ["", "   ", "hello", "<html></html>", "{\"a\": 1}", "a,b\n1,2\n", "\u{0}\u{1}", "[]", "<"]
    {
        let (found, result) = import(document.as_bytes(), None);
        let error = result.unwrap_err().to_string();
        assert!(error.starts_with("is in no known format"), "{document}: {error}");
        assert!(found.advisories.is_empty());
    }
}
