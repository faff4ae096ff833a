//! What vendors publish about a fleet's updates, in the forms that `patchline-catalog` imports: an OSV
//! record for each advisory, and a bulletin table for Windows.
//!
//! Of the updates that no vendor speaks of the computers know some, and nobody the rest.

use patchline_schemas::Timestamp;
use serde_json::json;

use super::universe::{CENTOS, DISTRIBUTIONS, Distribution, EDITIONS, Universe};

/// As vendors rate, the gravest first. Bug fixes have no rating.
const RATINGS: [&str; 4] = ["Critical", "Important", "Moderate", "Low"];

/// Microsoft's own bulletins of a year end far below this number.
const BULLETINS_FROM: usize = 200;
const BULLETINS: usize = 800;

/// An advisory about one version of a package.
#[derive(Debug, Clone)]
pub(super) struct Advisory {
    pub(super) id: String,
    pub(super) distribution: &'static Distribution,
    pub(super) package: String,
    pub(super) fixed: String,
    /// One of [`RATINGS`]; none for a bug fix.
    pub(super) severity: Option<&'static str>,
    pub(super) url: String,
    pub(super) published: Timestamp,
    cves: Vec<String>,
}

impl Advisory {
    /// The gravest first, of two that are as grave the one with the smaller id.
    pub(super) fn order(&self) -> (usize, &str) {
        let rank = RATINGS.iter().position(|rating| Some(*rating) == self.severity);
        (rank.unwrap_or(RATINGS.len()), &self.id)
    }
}

/// A bulletin about one Windows update.
#[derive(Debug, Clone)]
pub(super) struct Bulletin {
    pub(super) id: String,
    pub(super) kb: String,
    pub(super) product: &'static str,
    pub(super) severity: &'static str,
    pub(super) published: Timestamp,
    title: String,
    restart: &'static str,
    cves: Vec<String>,
}

impl Bulletin {
    /// Where Microsoft keeps bulletins.
    pub(super) fn url(&self) -> String {
        let id = self.id.to_lowercase();
        let year = id.get(2..4).unwrap_or_default();
        format!("https://learn.microsoft.com/security-updates/securitybulletins/20{year}/{id}")
    }
}

/// Advisories about packages, those of a distribution together.
pub(super) fn advisories(universe: &Universe) -> Vec<Advisory> {
    let mut all = Vec::new();
    for (distribution, packages) in DISTRIBUTIONS.iter().zip(&universe.packages) {
        // Its computers take Red Hat's.
        if distribution.name == CENTOS {
            continue;
        }
        for package in packages {
            for release in package.releases.iter().filter(|release| release.advisory) {
                let number = all.len() + 1;
                let id = format!("PL{}A-{number:04}", if release.security { 'S' } else { 'B' });
                all.push(Advisory {
                    url: format!(
                        "https://advisories.contoso.com/{id};https://mirror.contoso.com/{id}"
                    ),
                    id,
                    distribution,
                    package: package.name.clone(),
                    fixed: release.version.clone(),
                    severity: RATINGS.get(number % 4).copied().filter(|_| release.security),
                    published: release.published,
                    cves: if release.security { cves(release.published, number) } else { vec![] },
                });
            }
        }
    }
    all
}

/// Bulletins about Windows updates, those of an edition together.
pub(super) fn bulletins(universe: &Universe) -> Vec<Bulletin> {
    let mut all = Vec::new();
    for (edition, patches) in EDITIONS.iter().zip(&universe.patches) {
        for patch in patches {
            let Some(severity) = patch.severity else { continue };
            let number = all.len();
            let year = year(patch.published);
            all.push(Bulletin {
                id: format!(
                    "MS{}-{}",
                    year.get(2..).unwrap_or_default(),
                    BULLETINS_FROM + number % BULLETINS
                ),
                kb: patch.kb.clone(),
                product: edition.product,
                severity,
                published: patch.published,
                title: patch.title.clone(),
                restart: match patch.reboot {
                    "alwaysreboots" => "Yes",
                    "neverreboots" => "No",
                    _ => "Maybe",
                },
                // Above those of packages.
                cves: cves(patch.published, 1000 + number),
            });
        }
    }
    all
}

/// The files: names and contents.
pub(super) fn feeds(universe: &Universe) -> Vec<(String, String)> {
    let records = advisories(universe).into_iter().map(|advisory| {
        let Advisory { id, distribution, package, fixed, severity, url, published, cves } =
            &advisory;
        let summary = match severity {
            Some(severity) => format!("{severity}: {package} security update"),
            None => format!("{package} bug fix update"),
        };
        let record = json!({
            "id": id,
            "summary": summary,
            "published": published.to_string(),
            "modified": published.to_string(),
            "related": cves,
            "affected": [{
                "package": { "ecosystem": ecosystem(distribution), "name": package },
                "ranges": [{
                    "type": "ECOSYSTEM",
                    "events": [{ "introduced": "0" }, { "fixed": fixed }],
                }],
            }],
            "references": [{ "type": "ADVISORY", "url": url }],
        });
        (format!("{id}.json"), format!("{record:#}"))
    });
    let mut table =
        "Date Posted,Bulletin Id,Title,Affected Product,Component KB,Severity,Reboot,CVEs\n"
            .to_owned();
    for bulletin in bulletins(universe) {
        let Bulletin { id, kb, product, severity, published, title, restart, cves } = bulletin;
        let cves = cves.join(" ");
        table.push_str(&format!(
            "{published},{id},\"{title}\",{product},{kb},{severity},{restart},{cves}\n"
        ));
    }
    records.chain([("bulletins.csv".to_owned(), table)]).collect()
}

/// The distribution as OSV calls it.
fn ecosystem(distribution: &Distribution) -> String {
    match distribution.name {
        "Ubuntu" => format!("Ubuntu:{}:LTS", distribution.version),
        "SUSE Linux Enterprise Server" => "SUSE:Linux Enterprise Server 12 SP2".to_owned(),
        _ => "Red Hat:enterprise_linux:7::server".to_owned(),
    }
}

fn year(time: Timestamp) -> String {
    time.to_string().chars().take(4).collect()
}

/// Invented ones, `CVE-…-9xxxx`.
fn cves(published: Timestamp, number: usize) -> Vec<String> {
    let year = year(published);
    (0..=number % 3).map(|more| format!("CVE-{year}-{}", 90_000 + number * 3 + more)).collect()
}
