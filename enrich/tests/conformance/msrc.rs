//! Every KB of MSRC's months, by product, against the XML read as a tree.

use std::collections::{BTreeMap, BTreeSet};

use patchline_enrich::{Advice, Os};
use patchline_schemas::Update;
use roxmltree::{Document as Xml, Node};

use crate::tally::Tally;
use crate::{Imported, documents, folder};

/// What the XML says of a KB for one product, or for all of them.
#[derive(Debug, Default, Clone)]
struct Truth {
    /// Position in [`SEVERITIES`].
    severity: usize,
    cves: BTreeSet<String>,
    /// Position in [`RESTARTS`].
    restart: usize,
}

const SEVERITIES: [&str; 5] = ["", "Low", "Moderate", "Important", "Critical"];
const RESTARTS: [(&str, &str); 4] =
    [("", ""), ("No", "neverreboots"), ("Maybe", "canrequestreboot"), ("Yes", "alwaysreboots")];

impl Truth {
    fn add(&mut self, other: &Self) {
        self.severity = self.severity.max(other.severity);
        self.restart = self.restart.max(other.restart);
        self.cves.extend(other.cves.iter().cloned());
    }

    /// What an update must be told, where this does not say everything, by what all products say.
    fn or(&self, all: &Self) -> (&'static str, String, &'static str) {
        let known = |own: usize, all: usize| if own > 0 { own } else { all };
        let cves: Vec<&str> = self.cves.iter().map(String::as_str).collect();
        (
            SEVERITIES[known(self.severity, all.severity)],
            cves.join(";"),
            RESTARTS[known(self.restart, all.restart)].1,
        )
    }
}

fn named<'a, 'i>(node: Node<'a, 'i>, name: &'static str) -> impl Iterator<Item = Node<'a, 'i>> {
    node.descendants().filter(move |node| node.tag_name().name() == name)
}

fn text<'a>(node: Node<'a, '_>, name: &'static str) -> &'a str {
    named(node, name).next().and_then(|node| node.text()).unwrap_or_default().trim()
}

fn is_kb(text: &str) -> bool {
    (6..=7).contains(&text.len()) && text.chars().all(|c| c.is_ascii_digit())
}

/// Adds what `month` says to `kbs`, by KB and name of the product.
fn read(month: &Xml<'_>, kbs: &mut BTreeMap<String, BTreeMap<String, Truth>>) {
    let root = month.root();
    let products: BTreeMap<&str, &str> = named(root, "FullProductName")
        .map(|node| (node.attribute("ProductID").unwrap(), node.text().unwrap_or_default().trim()))
        .collect();
    for vulnerability in named(root, "Vulnerability") {
        let cve = text(vulnerability, "CVE");
        let mut severities: BTreeMap<&str, usize> = BTreeMap::new();
        for threat in named(vulnerability, "Threat") {
            if threat.attribute("Type") == Some("Severity") {
                let told = text(threat, "Description");
                let at = SEVERITIES.iter().position(|severity| *severity == told).unwrap_or(0);
                for product in named(threat, "ProductID") {
                    let known = severities.entry(product.text().unwrap()).or_default();
                    *known = at.max(*known);
                }
            }
        }
        for fix in named(vulnerability, "Remediation") {
            let kb = text(fix, "Description");
            if fix.attribute("Type") != Some("Vendor Fix") || !is_kb(kb) {
                continue;
            }
            let told = text(fix, "RestartRequired");
            let restart = RESTARTS.iter().position(|(word, _)| *word == told).unwrap_or(0);
            for product in named(fix, "ProductID").map(|node| node.text().unwrap().trim()) {
                let mut one = Truth {
                    severity: severities.get(product).copied().unwrap_or(0),
                    restart,
                    cves: BTreeSet::new(),
                };
                if cve.starts_with("CVE-") {
                    one.cves.insert(cve.to_owned());
                }
                let name = products.get(product).copied().unwrap_or(product);
                kbs.entry(kb.to_owned()).or_default().entry(name.to_owned()).or_default().add(&one);
            }
        }
    }
}

#[test]
fn every_kb_has_its_severity_cves_and_restart_by_product() {
    let Some(folder) = folder("msrc") else { return };
    let mut imported = Imported::default();
    let mut kbs: BTreeMap<String, BTreeMap<String, Truth>> = BTreeMap::new();
    let documents = documents(&folder, &[".xml"]);
    for document in &documents {
        if let Err(problem) = imported.take(document) {
            println!("msrc: {} {problem}", document.name);
        }
        let content = std::str::from_utf8(&document.content).unwrap();
        read(&Xml::parse(content.trim_start_matches('\u{feff}')).unwrap(), &mut kbs);
    }
    for problem in &imported.bad {
        println!("msrc: {problem}");
    }
    let index = imported.builder.build("conformance");
    let ask = |kb: &str, product: &str| -> Option<Advice> {
        let update = Update {
            kbid: kb.to_owned().into(),
            product: product.to_owned().into(),
            ..Update::default()
        };
        let os = Os { kind: "Windows", ..Os::default() };
        let advice = index.advise(os, std::slice::from_ref(&update)).pop().unwrap();
        advice.map(|advice| Advice::clone(&advice))
    };
    let mut tally = Tally::default();
    let mut pairs = 0;
    let mut differing = 0;
    for (kb, products) in &kbs {
        let mut all = Truth::default();
        for truth in products.values() {
            all.add(truth);
        }
        let severities: BTreeSet<usize> = products.values().map(|truth| truth.severity).collect();
        differing += usize::from(severities.len() > 1);
        pairs += products.len();
        let asked = products.iter().map(|(product, truth)| (product.as_str(), truth));
        for (product, truth) in asked.chain([("a product that no month names", &all)]) {
            let (severity, cves, restart) = truth.or(&all);
            let advice = ask(kb, product).unwrap_or_default();
            let is = |what: &str, expected: &str, found: &str, tally: &mut Tally| {
                let otherwise = || format!("{kb}, {product}: {what} `{found}` for `{expected}`");
                tally.must(expected == found, otherwise);
            };
            is("severity", severity, &advice.msrc_severity, &mut tally);
            is("CVEs", &cves, &advice.cve_numbers, &mut tally);
            is("restart", restart, &advice.reboot_behavior, &mut tally);
            is("class", "Security Updates", advice.classification, &mut tally);
        }
    }
    // The neighbours of what there is are KBs of which nothing is known.
    for kb in kbs.keys() {
        let next = (kb.parse::<u32>().unwrap() + 1).to_string();
        if !kbs.contains_key(&next) {
            tally.may(ask(&next, "").is_none(), || format!("{next} is in no month"));
        }
    }
    println!(
        "msrc: {} months, {} KBs, {differing} of them with severities that differ by product, \
         {pairs} pairs of KB and product",
        documents.len(),
        kbs.len(),
    );
    let misses = tally.print("msrc");
    assert!(!kbs.is_empty(), "no month has a KB");
    assert_eq!(misses, 0, "the misses are listed above");
}
