//! Real documents, read where they stand: `../shared/data`, beside the project.

use std::cell::Cell;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Instant;

use patchline_enrich::advisories::Unreadable;
use patchline_enrich::advisories::document::{self, Content};
use patchline_enrich::advisories::walk::{Source, Visit, Walk};

use crate::{Found, rows};

#[derive(Default)]
struct Seen {
    found: Found,
    failed: Vec<String>,
    documents: usize,
}

impl Visit for Seen {
    fn document(&mut self, name: &str, content: Content<'_>, _: bool) {
        self.documents += 1;
        if let Err(error) = document::import(content, None, &mut self.found) {
            self.failed.push(format!("{name} {error}"));
        }
    }
    fn unchanged(&mut self, name: &str) {
        panic!("{name} is never asked for its state");
    }
    fn failed(&mut self, name: &str, error: &Unreadable) {
        self.failed.push(format!("{name} {error}"));
    }
}

/// Imports a part of the data; `None` where it is not there.
fn read(part: &str) -> Option<Seen> {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data").join(part);
    if !path.exists() {
        println!("NOT RUN: {part} of ../shared/data is missing");
        return None;
    }
    let mut seen = Seen::default();
    let began = Instant::now();
    Walk::new(&mut seen, Rc::new(Cell::new(0))).source(&Source::Path(path), None);
    println!("{part}: {} documents in {:?}", seen.documents, began.elapsed());
    assert_eq!(seen.failed, Vec::<String>::new());
    assert_eq!(seen.found.bad, Vec::<String>::new());
    let keys: HashSet<&str> = seen.found.ids().into_iter().collect();
    assert_eq!(keys.len(), seen.found.advisories.len(), "a key comes twice");
    Some(seen)
}

#[test]
fn all_months_of_msrc_are_read_whole() {
    let Some(seen) = read("msrc") else { return };
    assert_eq!(seen.documents, 28);
    let fixes = || seen.found.advisories.iter().flat_map(|one| &one.kb_fixes);
    let from_months = fixes().filter(|fix| !fix.product.is_empty());
    let kbs: HashSet<&str> = from_months.map(|fix| fix.kbid.as_ref()).collect();
    let months = seen.found.ids().into_iter().filter(|id| id.contains("/KB")).count();
    // Counted by another reader.
    assert_eq!((kbs.len(), months), (1350, 1529));
    let wanna_cry = seen.found.by_id("2017-Mar/KB4012212");
    assert_eq!(wanna_cry.severity, "Critical");
    assert!(wanna_cry.cve_numbers.iter().any(|cve| cve == "CVE-2017-0144"));
    let severities: HashSet<&str> = fixes().map(|fix| fix.severity.as_ref()).collect();
    let known: HashSet<&str> = ["Critical", "Important", "Moderate", "Low", ""].into();
    assert!(severities.is_subset(&known), "{severities:?}");
    let bulletin = seen.found.advisories.iter().find(|one| one.bulletin_id == "MS16-104").unwrap();
    assert!(bulletin.kb_fixes.iter().any(|fix| fix.kbid == "3185319"));
}

#[test]
fn all_records_of_almalinux_give_a_row_for_each_fixed_version() {
    let Some(seen) = read("osv/almalinux8.tar.zst") else { return };
    assert_eq!((seen.documents, seen.found.advisories.len()), (1157, 1157));
    let fixes = seen.found.advisories.iter().flat_map(|one| &one.package_fixes);
    let (all, modular) = fixes.fold((0, 0), |(all, modular), fix| {
        assert_eq!((fix.distribution.as_ref(), fix.release.as_ref()), ("almalinux", "8"));
        assert!(!fix.source);
        (all + 1, modular + usize::from(fix.fixed.contains(".module")))
    });
    // 9,739 in the documents, some of them twice in the same.
    println!("{all} rows, {modular} of modules");
    assert!((9_000..=9_739).contains(&all) && modular > 2_000, "{all} rows, {modular} of modules");
    let php = seen.found.by_id("ALSA-2019:3736");
    assert_eq!((php.severity.as_ref(), php.kind.as_ref()), ("Critical", "security"));
    assert!(php.package_fixes.iter().all(|fix| fix.module == "php:7.3"));
}

#[test]
fn the_samples_of_each_distribution_are_understood() {
    let Some(seen) = read("osv/samples") else { return };
    let severity = |id: &str| seen.found.by_id(id).severity.as_ref();
    assert_eq!(severity("RHSA-2024:8709"), "Important");
    assert_eq!(severity("RLSA-2023:0005"), "Important");
    assert_eq!(severity("UBUNTU-CVE-2024-51988"), "medium");
    assert_eq!(severity("USN-2214-1"), "");
    let rows = |id: &str| rows(seen.found.by_id(id));
    assert_eq!(rows("DSA-135"), ["debian-3.0 libapache-mod-ssl 2.8.9-2 source"]);
    assert_eq!(rows("RLSA-2023:0005"), ["rocky-9 bcel 0:6.4.1-9.el9_1 source"]);
    assert!(
        rows("USN-2214-1")
            .contains(&"ubuntu-14.04 libxml2-utils 2.9.1+dfsg1-3ubuntu4.1".to_owned())
    );
    assert!(rows("RHSA-2024:8709").contains(&"rhel-9.2 podman 2:4.4.1-21.el9_2".to_owned()));
    assert!(
        rows("openSUSE-SU-2016:1623-1")
            .contains(&"sles-12.x chromium 51.0.2704.103-85.3".to_owned())
    );
    assert_eq!(seen.found.by_id("USN-2214-1").cve_numbers, ["CVE-2014-0191"]);
    let mut left_out = seen.found.left_out;
    left_out.sort_unstable();
    assert_eq!(left_out, ["a live patch, which is no package", "a record that names no package"]);
}
