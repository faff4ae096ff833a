//! What is known about updates apart from what computers report.
//!
//! [`Catalog`] is what the stage asks, a scan at a time: whether an advisory closes a hole depends on
//! what else is installed. [`Index`](crate::index::Index) answers from all that was imported.
//! [`FileCatalog`] answers from one JSON file, read at start-up and indexed by KB number and by
//! package name, so that a lookup costs one hash whatever its size:
//!
//! ```json
//! {"version": "2017-03", "advisories": [
//!   {"id": "MS17-010", "match": {"kb": "4012212"}, "classification": "Security Updates",
//!    "msrcSeverity": "Critical", "msrcBulletinId": "MS17-010", "cves": ["CVE-2017-0144"]},
//!   {"id": "USN-3212-1", "match": {"package": "libtiff5", "os": "Ubuntu", "fixed": "0:4.0.6-1ubuntu0.1"},
//!    "classification": "Security Updates", "packageSeverity": "Medium"}
//! ]}
//! ```
//!
//! An advisory by `kb` speaks of Windows updates, narrowed by `product` where one is named; one by
//! `package` speaks of Linux packages, narrowed by the distribution `os` and by `fixed`, the exact
//! version that fixes it.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use patchline_schemas::{Scan, Timestamp, Update};
use serde::Deserialize;

use crate::{classify, title};

/// The system that a scan is of, as its report says it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Os<'a> {
    /// `Windows` or `Linux`.
    pub kind: &'a str,
    /// Distribution or edition: `Ubuntu`, `Windows Server 2016 Datacenter`.
    pub name: &'a str,
    /// Release: `16.04`, `7.4`, `10.0.14393`.
    pub version: &'a str,
    /// Name and release together: `Ubuntu 16.04`, `SUSE Linux Enterprise Server 12 SP3`.
    pub full_name: &'a str,
}

impl<'a> Os<'a> {
    /// The system that `scan` is of.
    #[must_use]
    pub fn of(scan: &'a Scan<'_>) -> Self {
        Self {
            kind: &scan.os_type,
            name: &scan.os_name,
            version: &scan.os_version,
            full_name: &scan.os_full_name,
        }
    }

    pub(crate) fn is_linux(self) -> bool {
        self.kind == "Linux"
    }
}

/// Knows updates by what vendors publish about them.
pub trait Catalog: Send + Sync {
    /// Which state of knowledge this is; stands in every enriched scan.
    fn version(&self) -> &str;

    /// What is known about each of `updates`, in their order. They are all that one scan of a
    /// computer with `os` lists: what is installed tells which holes an available version closes.
    fn advise(&self, os: Os<'_>, updates: &[Update<'_>]) -> Vec<Option<Arc<Advice>>>;
}

/// What a catalog knows about one update. What it does not know is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Advice {
    /// A classification of the `Update` table; empty where the catalog has no word on that.
    pub classification: &'static str,
    /// Ids of the catalog's entries, joined with `;`.
    pub advisory_ids: String,
    /// Windows: `Critical`, `Important`, `Moderate`, `Low`.
    pub msrc_severity: String,
    /// Windows: MSRC bulletins, `MS17-010`, joined with `;`.
    pub msrc_bulletin_id: String,
    /// The vendor's bulletin or advisory ids, joined with `;`.
    pub bulletin_id: String,
    /// Where to read it.
    pub bulletin_url: String,
    /// CVE ids, joined with `;`.
    pub cve_numbers: String,
    /// Linux: severity as the vendor states it.
    pub package_severity: String,
    /// `neverreboots`, `canrequestreboot`, `alwaysreboots`.
    pub reboot_behavior: String,
    /// When the vendor published the update.
    pub published_date: Option<Timestamp>,
    /// Windows: installed updates, by KB number, that replace this needed one, joined with `;`.
    pub superseded_by: String,
}

/// A catalog file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// No such file, or no right to read it.
    #[error("cannot read the catalog {}; check enrich.catalog_file", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Not the JSON of a catalog.
    #[error("the catalog {} is malformed", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where and how.
        source: serde_json::Error,
    },
    /// An advisory makes no sense.
    #[error("the catalog {}: advisory `{id}` {problem}", path.display())]
    Advisory {
        /// The file.
        path: PathBuf,
        /// Id of the advisory.
        id: String,
        /// What is wrong with it.
        problem: String,
    },
}

/// A catalog from one JSON file.
#[derive(Debug)]
pub struct FileCatalog {
    version: String,
    /// In the order of the file, those with the same key side by side in its list below.
    advisories: Vec<(Advisory, Arc<Advice>)>,
    by_kb: HashMap<String, Vec<usize>>,
    by_package: HashMap<String, Vec<usize>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: String,
    advisories: Vec<Advisory>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Advisory {
    id: String,
    #[serde(rename = "match")]
    applies: Match,
    classification: String,
    #[serde(default)]
    msrc_severity: String,
    #[serde(default)]
    msrc_bulletin_id: String,
    #[serde(default)]
    bulletin_id: String,
    #[serde(default)]
    bulletin_url: String,
    #[serde(default, deserialize_with = "joined")]
    cves: String,
    #[serde(default)]
    package_severity: String,
    #[serde(default)]
    reboot_behavior: String,
    #[serde(default)]
    published_date: Option<Timestamp>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Match {
    kb: Option<String>,
    product: Option<String>,
    package: Option<String>,
    os: Option<String>,
    fixed: Option<String>,
}

fn joined<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(Vec::<String>::deserialize(deserializer)?.join(";"))
}

impl FileCatalog {
    /// A catalog that knows nothing.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            version: "none".to_owned(),
            advisories: Vec::new(),
            by_kb: HashMap::new(),
            by_package: HashMap::new(),
        }
    }

    /// Reads and indexes `path`.
    ///
    /// # Errors
    /// See [`CatalogError`]; the first advisory that makes no sense is named.
    pub fn load(path: &Path) -> Result<Self, CatalogError> {
        let file = File::open(path)
            .map_err(|source| CatalogError::Read { path: path.to_owned(), source })?;
        let document: Document = serde_json::from_reader(BufReader::new(file))
            .map_err(|source| CatalogError::Malformed { path: path.to_owned(), source })?;
        Self::index(document).map_err(|(id, problem)| CatalogError::Advisory {
            path: path.to_owned(),
            id,
            problem,
        })
    }

    /// The number of advisories.
    #[must_use]
    pub fn len(&self) -> usize {
        self.advisories.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.advisories.is_empty()
    }

    fn index(document: Document) -> Result<Self, (String, String)> {
        let Document { version, advisories } = document;
        let mut ids = HashSet::new();
        for advisory in &advisories {
            if let Err(problem) = advisory.check() {
                return Err((advisory.id.clone(), problem));
            }
            if !ids.insert(advisory.id.clone()) {
                return Err((advisory.id.clone(), "is listed twice".to_owned()));
            }
        }
        let mut by_kb: HashMap<String, Vec<usize>> = HashMap::new();
        let mut by_package: HashMap<String, Vec<usize>> = HashMap::new();
        for (at, advisory) in advisories.iter().enumerate() {
            if let Some(kb) = &advisory.applies.kb {
                by_kb.entry(title::kb_digits(kb).to_owned()).or_default().push(at);
            }
            if let Some(package) = &advisory.applies.package {
                by_package.entry(package.clone()).or_default().push(at);
            }
        }
        // The gravest first, so that merging takes its word wherever it has one.
        for list in by_kb.values_mut().chain(by_package.values_mut()) {
            list.sort_by_key(|at| advisories.get(*at).map(Advisory::rank));
        }
        let advisories = advisories
            .into_iter()
            .map(|advisory| {
                let advice = Arc::new(advisory.advice());
                (advisory, advice)
            })
            .collect();
        Ok(Self { version, advisories, by_kb, by_package })
    }

    fn one(&self, os: Os<'_>, update: &Update<'_>) -> Option<Arc<Advice>> {
        let candidates = if os.is_linux() {
            self.by_package.get(update.product.as_ref())?
        } else {
            self.by_kb.get(title::kb_of(update))?
        };
        candidates
            .iter()
            .filter_map(|at| self.advisories.get(*at))
            .filter(|(advisory, _)| advisory.applies.covers(os, update))
            .map(|(_, advice)| Arc::clone(advice))
            .reduce(|first, next| Arc::new(merge(&first, &next)))
    }
}

impl Catalog for FileCatalog {
    fn version(&self) -> &str {
        &self.version
    }

    fn advise(&self, os: Os<'_>, updates: &[Update<'_>]) -> Vec<Option<Arc<Advice>>> {
        updates.iter().map(|update| self.one(os, update)).collect()
    }
}

impl Match {
    fn covers(&self, os: Os<'_>, update: &Update<'_>) -> bool {
        fn is(wanted: Option<&String>, found: &str) -> bool {
            wanted.is_none_or(|wanted| wanted == found)
        }
        // The key itself (KB or package) has matched by the lookup.
        if self.kb.is_some() {
            return is(self.product.as_ref(), &update.product);
        }
        self.os.as_ref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(os.name))
            && is(self.fixed.as_ref(), &update.product_version)
    }
}

impl Advisory {
    /// Checks what the JSON's shape does not say.
    fn check(&self) -> Result<(), String> {
        let Match { kb, product, package, os, fixed } = &self.applies;
        match (kb, package) {
            (Some(_), None) if os.is_some() || fixed.is_some() => {
                Err("matches by kb, which goes with product only".to_owned())
            }
            (None, Some(_)) if product.is_some() => {
                Err("matches by package, which goes with os and fixed only".to_owned())
            }
            (None, None) | (Some(_), Some(_)) => {
                Err("must match by either kb or package".to_owned())
            }
            _ if self.class().is_none() => {
                Err(format!("has the unknown classification `{}`", self.classification))
            }
            _ => Ok(()),
        }
    }

    /// The classification as the table spells it.
    fn class(&self) -> Option<&'static str> {
        match self.applies.kb {
            Some(_) => classify::windows_class(&self.classification),
            None => classify::linux_class(&self.classification),
        }
    }

    fn rank(&self) -> u8 {
        match self.class() {
            Some(classify::CRITICAL) => 0,
            Some(classify::SECURITY) => 1,
            _ => 2,
        }
    }

    fn advice(&self) -> Advice {
        Advice {
            classification: self.class().unwrap_or_default(),
            advisory_ids: self.id.clone(),
            msrc_severity: self.msrc_severity.clone(),
            msrc_bulletin_id: self.msrc_bulletin_id.clone(),
            bulletin_id: self.bulletin_id.clone(),
            bulletin_url: self.bulletin_url.clone(),
            cve_numbers: self.cves.clone(),
            package_severity: self.package_severity.clone(),
            reboot_behavior: self.reboot_behavior.clone(),
            published_date: self.published_date,
            superseded_by: String::new(),
        }
    }
}

/// Several advisories about one update: `first` has the word, `next` fills its gaps, and ids and
/// CVEs add up.
fn merge(first: &Advice, next: &Advice) -> Advice {
    fn either(first: &str, next: &str) -> String {
        if first.is_empty() { next } else { first }.to_owned()
    }
    fn both(first: &str, next: &str) -> String {
        let mut all: Vec<&str> = first.split(';').filter(|item| !item.is_empty()).collect();
        for item in next.split(';').filter(|item| !item.is_empty()) {
            if !all.contains(&item) {
                all.push(item);
            }
        }
        all.join(";")
    }
    Advice {
        classification: first.classification,
        advisory_ids: both(&first.advisory_ids, &next.advisory_ids),
        msrc_severity: either(&first.msrc_severity, &next.msrc_severity),
        msrc_bulletin_id: either(&first.msrc_bulletin_id, &next.msrc_bulletin_id),
        bulletin_id: either(&first.bulletin_id, &next.bulletin_id),
        bulletin_url: either(&first.bulletin_url, &next.bulletin_url),
        cve_numbers: both(&first.cve_numbers, &next.cve_numbers),
        package_severity: either(&first.package_severity, &next.package_severity),
        reboot_behavior: either(&first.reboot_behavior, &next.reboot_behavior),
        published_date: first.published_date.or(next.published_date),
        superseded_by: String::new(),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn catalog(json: &str) -> Result<FileCatalog, String> {
        let document = serde_json::from_str(json).map_err(|error| error.to_string())?;
        FileCatalog::index(document).map_err(|(id, problem)| format!("{id} {problem}"))
    }

    const WINDOWS: Os<'_> = Os {
        kind: "Windows",
        name: "Windows Server 2016 Datacenter",
        version: "10.0.14393",
        full_name: "",
    };
    const UBUNTU: Os<'_> = Os { kind: "Linux", name: "Ubuntu", version: "16.04", full_name: "" };

    fn advise(catalog: &FileCatalog, os: Os<'_>, update: &Update<'_>) -> Option<Arc<Advice>> {
        catalog.advise(os, std::slice::from_ref(update)).pop().unwrap()
    }

    fn sample() -> FileCatalog {
        catalog(
            r#"{"version": "7", "advisories": [
              {"id": "A", "match": {"kb": "KB4012212"}, "classification": "updates",
               "bulletinUrl": "https://example.org/A", "cves": ["CVE-1", "CVE-2"]},
              {"id": "B", "match": {"kb": "4012212", "product": "Windows Server 2016"},
               "classification": "Security Updates", "msrcSeverity": "Critical",
               "cves": ["CVE-2", "CVE-3"], "publishedDate": "2017-03-14T00:00:00Z"},
              {"id": "C", "match": {"package": "openssl", "os": "ubuntu", "fixed": "1.0.2g-1"},
               "classification": "Critical Updates"}
            ]}"#,
        )
        .unwrap()
    }

    #[test]
    fn a_kb_is_found_by_its_number_or_by_the_title() {
        let catalog = sample();
        let by_number = Update { kbid: "4012212".into(), ..Update::default() };
        let by_title = Update { title: "Rollup (KB4012212)".into(), ..Update::default() };
        for update in [&by_number, &by_title] {
            let advice = advise(&catalog, WINDOWS, update).unwrap();
            assert_eq!(advice.classification, "Updates");
            assert_eq!(advice.advisory_ids, "A");
            assert_eq!(advice.cve_numbers, "CVE-1;CVE-2");
        }
        assert_eq!(advise(&catalog, WINDOWS, &Update::default()), None);
        assert_eq!(advise(&catalog, UBUNTU, &by_number), None);
    }

    #[test]
    fn the_gravest_of_several_has_the_word_and_the_others_fill_its_gaps() {
        let product = "Windows Server 2016".into();
        let update = Update { kbid: "4012212".into(), product, ..Update::default() };
        let catalog = sample();
        let advice = advise(&catalog, WINDOWS, &update).unwrap();
        assert_eq!(advice.classification, "Security Updates");
        assert_eq!(advice.advisory_ids, "B;A");
        assert_eq!(advice.cve_numbers, "CVE-2;CVE-3;CVE-1");
        assert_eq!(advice.bulletin_url, "https://example.org/A");
        assert_eq!(advice.published_date, Some(Timestamp(1_489_449_600_000)));
    }

    #[test]
    fn a_package_matches_by_distribution_and_exact_version() {
        let catalog = sample();
        let update = |version: &'static str| Update {
            product: "openssl".into(),
            product_version: version.into(),
            ..Update::default()
        };
        assert!(advise(&catalog, UBUNTU, &update("1.0.2g-1")).is_some());
        assert!(advise(&catalog, UBUNTU, &update("1.0.2g-2")).is_none());
        let centos = Os { kind: "Linux", name: "CentOS Linux", ..Os::default() };
        assert!(advise(&catalog, centos, &update("1.0.2g-1")).is_none());
        assert!(advise(&catalog, WINDOWS, &update("1.0.2g-1")).is_none());
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_name() {
        let one = |advisory: &str| {
            catalog(&format!(r#"{{"version": "1", "advisories": [{advisory}]}}"#)).unwrap_err()
        };
        let error = one(r#"{"id": "A", "match": {"kb": "1"}, "classification": "Nice"}"#);
        assert!(error.contains("A has the unknown classification `Nice`"), "{error}");
        let error = one(r#"{"id": "A", "match": {}, "classification": "Updates"}"#);
        assert!(error.contains("either kb or package"), "{error}");
        let error =
            one(r#"{"id": "A", "match": {"kb": "1"}, "classification": "Updates", "x": 1}"#);
        assert!(error.contains("unknown field `x`"), "{error}");
        let error =
            one(r#"{"id": "A", "match": {"kb": "1", "os": "x"}, "classification": "Updates"}"#);
        assert!(error.contains("product only"), "{error}");
        let twice = r#"{"id": "A", "match": {"kb": "1"}, "classification": "Updates"}"#;
        let error = one(&format!("{twice},{twice}"));
        assert!(error.contains("A is listed twice"), "{error}");
    }
}
