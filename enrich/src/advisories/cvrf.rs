//! Microsoft's months: CVRF 3.0 in XML, and the JSON of the Security Update Guide's API (v2 and v3).
//!
//! One advisory a month and KB, `2017-Mar/KB4012212`: a later month's document about the same KB stands
//! beside the earlier ones, so no product is lost, and a revised month replaces its own only. A KB has a
//! row for each product, with the gravest severity among what it closes there. Months before April 2017
//! name the bulletins of KBs that they replace (`MS16-104, 3185319`); each such bulletin becomes an
//! advisory of its own, `2016-Nov/MS16-104`, as later documents do not give a KB's bulletin anywhere else.
//!
//! A document is imported as a whole or not at all: one that breaks off gives nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::BufRead;

use patchline_schemas::{Advisory, KbFix, Timestamp};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::xml::{Step, Xml};
use super::{Collect, Unreadable, bulletin_url, cve, is_bulletin, is_kb, moment, superseded};

/// `Source` of these advisories.
pub const SOURCE: &str = "msrc-cvrf";

const FORMAT: &str = "MSRC document";

/// Rows of one document. The largest month has some ten thousand.
const ROWS_MAX: usize = 1_000_000;

/// Imports a month in XML.
///
/// # Errors
/// The document is not well-formed, breaks off, or has no id.
pub fn xml(document: impl BufRead, out: &mut dyn Collect) -> Result<(), Unreadable> {
    let mut xml = Xml::new(FORMAT, document);
    let mut month = Month::default();
    let mut vulnerability: Option<Vulnerability> = None;
    let mut threat: Option<Threat> = None;
    let mut remediation: Option<Remediation> = None;
    let mut product_id = String::new();
    loop {
        match xml.step()? {
            Step::Open => match xml.name() {
                "Vulnerability" => vulnerability = Some(Vulnerability::default()),
                "Threat" => {
                    let severity = xml.attribute("Type") == "Severity";
                    threat = Some(Threat { severity, ..Threat::default() });
                }
                "Remediation" => {
                    let fix = xml.attribute("Type") == "Vendor Fix";
                    remediation = Some(Remediation { fix, ..Remediation::default() });
                }
                "FullProductName" => xml.attribute("ProductID").clone_into(&mut product_id),
                _ => {}
            },
            Step::Close => {
                let text = xml.text();
                let keep = || text.to_owned();
                match (xml.name(), &mut vulnerability, &mut threat, &mut remediation) {
                    ("Remediation", Some(vulnerability), _, taken) => {
                        vulnerability.remediations.extend(taken.take());
                    }
                    ("Description", _, _, Some(one)) => one.description = keep(),
                    ("URL", _, _, Some(one)) => one.url = keep(),
                    ("Supercedence", _, _, Some(one)) => one.supersedes = keep(),
                    ("RestartRequired", _, _, Some(one)) => one.restart = keep(),
                    ("SubType", _, _, Some(one)) => one.kind = keep(),
                    ("ProductID", _, _, Some(one)) => one.products.push(keep()),
                    ("Threat", Some(vulnerability), taken, _) => {
                        vulnerability.threats.extend(taken.take());
                    }
                    ("Description", _, Some(one), _) => one.description = keep(),
                    ("ProductID", _, Some(one), _) => one.products.push(keep()),
                    ("CVE", Some(one), ..) => one.cve = keep(),
                    ("Title", Some(one), ..) => one.title = keep(),
                    ("Vulnerability", taken @ Some(_), ..) => {
                        if let Some(one) = taken.take() {
                            month.add(one, out)?;
                        }
                    }
                    ("FullProductName", ..) => {
                        month.products.insert(std::mem::take(&mut product_id), keep());
                    }
                    ("DocumentTitle", None, ..) => month.title = keep(),
                    ("ID", None, ..) if month.id.is_empty() => month.id = keep(),
                    ("InitialReleaseDate", None, ..) => month.published = moment(text),
                    ("CurrentReleaseDate", None, ..) => month.modified = moment(text),
                    _ => {}
                }
            }
            Step::End => return month.finish(out),
        }
    }
}

/// Imports a month in the API's JSON.
///
/// # Errors
/// The document is no JSON of that shape, or has no id.
pub fn json(document: &[u8], out: &mut dyn Collect) -> Result<(), Unreadable> {
    let unsound = |problem: serde_json::Error| Unreadable::Unsound {
        format: FORMAT,
        problem: problem.to_string(),
    };
    let document: JsonDocument<'_> = serde_json::from_slice(document).map_err(unsound)?;
    let tracking = document.tracking;
    let mut month = Month {
        id: tracking.identification.id.text(),
        title: document.title.text(),
        published: tracking.initial.as_deref().and_then(moment),
        modified: tracking.current.as_deref().and_then(moment),
        ..Month::default()
    };
    for product in document.products.unwrap_or_default().names.unwrap_or_default() {
        month.products.insert(product.id, product.value.unwrap_or_default());
    }
    for (at, raw) in document.vulnerabilities.unwrap_or_default().into_iter().enumerate() {
        match serde_json::from_str::<JsonVulnerability>(raw.get()) {
            Ok(one) => month.add(one.into(), out)?,
            Err(error) => {
                out.bad(&format!("{}, vulnerability {}", month.id, at + 1), &error.to_string());
            }
        }
    }
    month.finish(out)
}

/// What a document says of one vulnerability.
#[derive(Debug, Default)]
struct Vulnerability {
    cve: String,
    title: String,
    threats: Vec<Threat>,
    remediations: Vec<Remediation>,
}

#[derive(Debug, Default)]
struct Threat {
    severity: bool,
    description: String,
    products: Vec<String>,
}

#[derive(Debug, Default)]
struct Remediation {
    fix: bool,
    description: String,
    url: String,
    supersedes: String,
    restart: String,
    kind: String,
    products: Vec<String>,
}

/// A document, by what it says of KBs.
#[derive(Debug, Default)]
struct Month {
    id: String,
    title: String,
    published: Option<Timestamp>,
    modified: Option<Timestamp>,
    products: HashMap<String, String>,
    kbs: BTreeMap<String, Kb>,
    /// KBs by the bulletin that the document says they came with.
    bulletins: BTreeMap<String, BTreeSet<String>>,
    rows: usize,
}

#[derive(Debug, Default)]
struct Kb {
    /// Ids that are no CVEs: `ADV170005`.
    notices: BTreeSet<String>,
    rows: BTreeMap<String, Row>,
}

/// A KB on one product.
#[derive(Debug, Default)]
struct Row {
    severity: &'static str,
    cves: BTreeSet<String>,
    restart: &'static str,
    supersedes: BTreeSet<String>,
    kind: String,
    url: String,
}

impl Month {
    fn add(&mut self, one: Vulnerability, out: &mut dyn Collect) -> Result<(), Unreadable> {
        let Vulnerability { cve: id, title, threats, remediations } = one;
        let title_bulletin = title
            .split(|c: char| !c.is_ascii_alphanumeric() && c != '-')
            .find(|word| is_bulletin(word));
        for remediation in remediations.into_iter().filter(|one| one.fix) {
            let kb = remediation.description.as_str();
            if !is_kb(kb) {
                out.left_out("a fix without a KB number");
                continue;
            }
            if remediation.products.is_empty() {
                out.bad(&format!("{}, {id}", self.id), &format!("KB {kb} is for no product"));
                continue;
            }
            let (replaced, bulletins) = superseded(&remediation.supersedes);
            let titled = title_bulletin.map(|bulletin| (bulletin.to_owned(), kb.to_owned()));
            for (bulletin, kb) in bulletins.into_iter().chain(titled) {
                self.bulletins.entry(bulletin).or_default().insert(kb);
            }
            let entry = self.kbs.entry(kb.to_owned()).or_default();
            if cve(&id).is_none() && !id.is_empty() {
                entry.notices.insert(id.clone());
            }
            for product in &remediation.products {
                let row = entry.rows.entry(product.clone()).or_insert_with(|| {
                    self.rows += 1;
                    Row::default()
                });
                let rated = threats.iter().filter(|threat| {
                    threat.severity
                        && (threat.products.is_empty() || threat.products.contains(product))
                });
                let severity = rated.filter_map(|threat| word(&SEVERITIES, &threat.description));
                row.severity = gravest(&SEVERITIES, severity.chain([row.severity]));
                let restart = word(&RESTARTS, &remediation.restart).unwrap_or_default();
                row.restart = gravest(&RESTARTS, [restart, row.restart]);
                row.cves.extend(cve(&id).map(str::to_owned));
                row.supersedes.extend(replaced.iter().filter(|one| *one != kb).cloned());
                if row.kind.is_empty() {
                    row.kind.clone_from(&remediation.kind);
                }
                // Some months leak addresses of Microsoft's own file servers.
                if row.url.is_empty() && remediation.url.starts_with("http") {
                    row.url.clone_from(&remediation.url);
                }
            }
            if self.rows > ROWS_MAX {
                return Err(Unreadable::TooLarge(format!("over {ROWS_MAX} products of KBs")));
            }
        }
        Ok(())
    }

    fn finish(self, out: &mut dyn Collect) -> Result<(), Unreadable> {
        let Self { id: month, title, published, modified, products, kbs, bulletins, .. } = self;
        if month.is_empty() {
            let problem = "it has no id".to_owned();
            return Err(Unreadable::Unsound { format: FORMAT, problem });
        }
        if kbs.is_empty() {
            out.left_out("a month without a KB");
        }
        for (kb, entry) in kbs {
            let severity = gravest(&SEVERITIES, entry.rows.values().map(|row| row.severity));
            let cves: BTreeSet<&String> = entry.rows.values().flat_map(|row| &row.cves).collect();
            let notices: Vec<String> = entry.notices.into_iter().collect();
            let advisory = Advisory {
                id: format!("{month}/KB{kb}").into(),
                source: SOURCE.into(),
                kind: "security".into(),
                title: title.clone().into(),
                severity: severity.into(),
                // A notice is a KB's bulletin where it is all that the KB is about.
                bulletin_id: if cves.is_empty() { notices.join(";").into() } else { "".into() },
                bulletin_url: format!("https://support.microsoft.com/help/{kb}").into(),
                cve_numbers: cves.into_iter().cloned().collect(),
                published,
                modified,
                kb_fixes: entry
                    .rows
                    .into_iter()
                    .map(|(product_id, row)| KbFix {
                        kbid: kb.clone().into(),
                        product: products.get(&product_id).cloned().unwrap_or_default().into(),
                        product_id: product_id.into(),
                        severity: row.severity.into(),
                        cve_numbers: row.cves.into_iter().collect(),
                        restart_required: row.restart.into(),
                        supersedes: row.supersedes.into_iter().collect(),
                        kind: row.kind.into(),
                        url: row.url.into(),
                    })
                    .collect(),
                ..Advisory::default()
            };
            out.advisory(advisory);
        }
        for (bulletin, kbs) in bulletins {
            out.advisory(Advisory {
                id: format!("{month}/{bulletin}").into(),
                source: SOURCE.into(),
                kind: "security".into(),
                title: format!("KBs of {bulletin}").into(),
                bulletin_url: bulletin_url(&bulletin).into(),
                bulletin_id: bulletin.into(),
                modified,
                kb_fixes: kbs
                    .into_iter()
                    .map(|kb| KbFix { kbid: kb.into(), ..KbFix::default() })
                    .collect(),
                ..Advisory::default()
            });
        }
        Ok(())
    }
}

/// Microsoft's words for severity, the gravest first; `None` is no rating.
const SEVERITIES: [&str; 4] = ["Critical", "Important", "Moderate", "Low"];

/// Whether to restart, the surest first.
pub(super) const RESTARTS: [&str; 3] = ["Yes", "Maybe", "No"];

/// The one of `words` that `text` is, in any case.
pub(super) fn word<const N: usize>(words: &[&'static str; N], text: &str) -> Option<&'static str> {
    words.iter().copied().find(|word| word.eq_ignore_ascii_case(text.trim()))
}

/// The first of `words` that is among `found`; empty when none is.
fn gravest<const N: usize>(
    words: &[&'static str; N],
    found: impl IntoIterator<Item = &'static str>,
) -> &'static str {
    let rank = |one: &str| words.iter().position(|word| *word == one).unwrap_or(N);
    found.into_iter().min_by_key(|one| rank(one)).unwrap_or_default()
}

/// The API wraps texts: `{"Value": "4012212"}`.
#[derive(Debug, Default, Deserialize)]
struct Value {
    #[serde(rename = "Value")]
    value: Option<String>,
}

trait Text {
    fn text(self) -> String;
}

impl Text for Option<Value> {
    fn text(self) -> String {
        self.and_then(|one| one.value).unwrap_or_default().trim().to_owned()
    }
}

#[derive(Deserialize)]
struct JsonDocument<'a> {
    #[serde(rename = "DocumentTitle")]
    title: Option<Value>,
    #[serde(rename = "DocumentTracking")]
    tracking: JsonTracking,
    #[serde(rename = "ProductTree")]
    products: Option<JsonProducts>,
    #[serde(rename = "Vulnerability", borrow)]
    vulnerabilities: Option<Vec<&'a RawValue>>,
}

#[derive(Deserialize)]
struct JsonTracking {
    #[serde(rename = "Identification")]
    identification: JsonIdentification,
    #[serde(rename = "InitialReleaseDate")]
    initial: Option<String>,
    #[serde(rename = "CurrentReleaseDate")]
    current: Option<String>,
}

#[derive(Deserialize)]
struct JsonIdentification {
    #[serde(rename = "ID")]
    id: Option<Value>,
}

#[derive(Default, Deserialize)]
struct JsonProducts {
    #[serde(rename = "FullProductName")]
    names: Option<Vec<JsonProduct>>,
}

#[derive(Deserialize)]
struct JsonProduct {
    #[serde(rename = "ProductID")]
    id: String,
    #[serde(rename = "Value")]
    value: Option<String>,
}

#[derive(Deserialize)]
struct JsonVulnerability {
    #[serde(rename = "CVE")]
    cve: Option<String>,
    #[serde(rename = "Title")]
    title: Option<Value>,
    #[serde(rename = "Threats")]
    threats: Option<Vec<JsonThreat>>,
    #[serde(rename = "Remediations")]
    remediations: Option<Vec<JsonRemediation>>,
}

/// Types of threats and remediations, numbered by the API.
const SEVERITY: i64 = 3;
const VENDOR_FIX: i64 = 2;

#[derive(Deserialize)]
struct JsonThreat {
    #[serde(rename = "Type")]
    kind: i64,
    #[serde(rename = "Description")]
    description: Option<Value>,
    #[serde(rename = "ProductID")]
    products: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct JsonRemediation {
    #[serde(rename = "Type")]
    kind: i64,
    #[serde(rename = "Description")]
    description: Option<Value>,
    #[serde(rename = "URL")]
    url: Option<String>,
    #[serde(rename = "Supercedence")]
    supersedes: Option<String>,
    #[serde(rename = "RestartRequired")]
    restart: Option<Value>,
    #[serde(rename = "SubType")]
    sub_type: Option<String>,
    #[serde(rename = "ProductID")]
    products: Option<Vec<String>>,
}

impl From<JsonVulnerability> for Vulnerability {
    fn from(one: JsonVulnerability) -> Self {
        let trimmed = |text: Option<String>| text.unwrap_or_default().trim().to_owned();
        Self {
            cve: trimmed(one.cve),
            title: one.title.text(),
            threats: one
                .threats
                .unwrap_or_default()
                .into_iter()
                .map(|one| Threat {
                    severity: one.kind == SEVERITY,
                    description: one.description.text(),
                    products: one.products.unwrap_or_default(),
                })
                .collect(),
            remediations: one
                .remediations
                .unwrap_or_default()
                .into_iter()
                .map(|one| Remediation {
                    fix: one.kind == VENDOR_FIX,
                    description: one.description.text(),
                    url: trimmed(one.url),
                    supersedes: trimmed(one.supersedes),
                    restart: one.restart.text(),
                    kind: trimmed(one.sub_type),
                    products: one.products.unwrap_or_default(),
                })
                .collect(),
        }
    }
}
