//! OSV records of Linux distributions: Ubuntu, Debian, Red Hat, AlmaLinux, Rocky, SUSE, openSUSE.
//!
//! One advisory a record, under the record's id. Each fixed version becomes a row: of the binary
//! packages where the record lists them (Ubuntu, SUSE), else of the package it names, which is the source
//! package for Debian and Rocky. A record of which nothing is fixed yet gives nothing, and a live patch
//! is no package. Severity is the vendor's own word or empty: AlmaLinux and Rocky begin the summary with
//! it, Red Hat links to it, Ubuntu rates CVEs but not notices, and a CVSS vector is no word of that kind.
//!
//! Its own reading of the format, of the few fields that count here: the schema's crates refuse a whole
//! record over an ecosystem or a severity type that they do not know.

use std::collections::BTreeMap;

use patchline_schemas::{Advisory, PackageFix};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::{Collect, Unreadable, cves, ecosystem, moment};

/// `Source` of these advisories.
pub const SOURCE: &str = "osv";

const FORMAT: &str = "OSV record";

/// Rows of one advisory; the codec takes no array of more than 100,000. A kernel's notice for all of
/// Ubuntu's releases has some thousand.
pub(super) const ROWS_MAX: usize = 90_000;

/// Imports a record.
///
/// # Errors
/// The document is no JSON of that shape.
pub fn import(document: &[u8], out: &mut dyn Collect) -> Result<(), Unreadable> {
    let record: Record<'_> = serde_json::from_slice(document)
        .map_err(|error| Unreadable::Unsound { format: FORMAT, problem: error.to_string() })?;
    let id = record.id.trim();
    if id.is_empty() {
        return Err(Unreadable::Unsound { format: FORMAT, problem: "its id is empty".to_owned() });
    }
    if id.starts_with("LSN-") {
        out.left_out("a live patch, which is no package");
        return Ok(());
    }
    let mut rows = Vec::new();
    let mut severity = record.severity();
    let (mut known, mut strange) = (0, 0);
    for (at, raw) in record.affected.iter().flatten().enumerate() {
        let affected: Affected = match serde_json::from_str(raw.get()) {
            Ok(affected) => affected,
            Err(error) => {
                out.bad(&format!("{id}, affected package {}", at + 1), &error.to_string());
                continue;
            }
        };
        let Some((distribution, release)) = ecosystem::parse(affected.package.ecosystem.trim())
        else {
            strange += 1;
            continue;
        };
        known += 1;
        if severity.is_empty() {
            severity = affected.specific("ubuntu_priority").to_owned();
        }
        affected.rows(distribution, &release, record.module(), &mut rows);
    }
    let withdrawn = record.withdrawn.is_some();
    let rows = tidy(rows);
    if rows.len() > ROWS_MAX {
        out.bad(id, &format!("it has {} fixed versions, {ROWS_MAX} at most", rows.len()));
        return Ok(());
    }
    // A withdrawal counts whatever the record still lists.
    if rows.is_empty() && !withdrawn {
        out.left_out(match (known, strange) {
            (0, 0) => "a record that names no package",
            (0, _) => "a record of another ecosystem",
            _ => "a record without a fixed version",
        });
        return Ok(());
    }
    let ids = [&record.aliases, &record.related, &record.upstream];
    let ids = ids.into_iter().flatten().flatten().map(String::as_str);
    let cve_numbers = cves(ids.chain([id]));
    let is_bulletin = !id.contains("CVE-");
    out.advisory(Advisory {
        id: id.to_owned().into(),
        source: SOURCE.into(),
        kind: record.kind(!cve_numbers.is_empty()).into(),
        title: record.summary().to_owned().into(),
        severity: severity.into(),
        bulletin_id: if is_bulletin { id.to_owned().into() } else { "".into() },
        bulletin_url: record.url().to_owned().into(),
        cve_numbers,
        published: record.published.as_deref().and_then(moment),
        modified: record.modified.as_deref().and_then(moment),
        withdrawn,
        package_fixes: rows,
        ..Advisory::default()
    });
    Ok(())
}

/// Rows in a fixed order, each once.
pub(super) fn tidy(mut rows: Vec<PackageFix<'static>>) -> Vec<PackageFix<'static>> {
    fn order<'r>(row: &'r PackageFix<'_>) -> [&'r str; 7] {
        [
            &row.distribution,
            &row.release,
            &row.package,
            &row.arch,
            &row.module,
            &row.introduced,
            &row.fixed,
        ]
    }
    rows.sort_by(|one, other| order(one).cmp(&order(other)).then(one.source.cmp(&other.source)));
    rows.dedup();
    rows
}

/// Whether a version is a build of a module: `1.14.1-1.module_el8.6.0+2935+fe8deebb`.
pub(super) fn is_module_build(version: &str) -> bool {
    version.contains(".module")
}

#[derive(Deserialize)]
struct Record<'a> {
    id: String,
    modified: Option<String>,
    published: Option<String>,
    withdrawn: Option<String>,
    aliases: Option<Vec<String>>,
    related: Option<Vec<String>>,
    upstream: Option<Vec<String>>,
    summary: Option<String>,
    severity: Option<Vec<Severity>>,
    #[serde(borrow)]
    affected: Option<Vec<&'a RawValue>>,
    references: Option<Vec<Reference>>,
}

#[derive(Deserialize)]
struct Severity {
    #[serde(rename = "type")]
    kind: Option<String>,
    score: Option<String>,
}

#[derive(Deserialize)]
struct Reference {
    #[serde(rename = "type")]
    kind: Option<String>,
    url: Option<String>,
}

#[derive(Deserialize)]
struct Affected {
    package: Package,
    ranges: Option<Vec<Range>>,
    ecosystem_specific: Option<Value>,
    database_specific: Option<Value>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    ecosystem: String,
    purl: Option<String>,
}

#[derive(Deserialize)]
struct Range {
    #[serde(rename = "type")]
    kind: Option<String>,
    events: Option<Vec<BTreeMap<String, Value>>>,
}

/// Severities that stand before a colon in the summary.
const RATINGS: [&str; 4] = ["Critical", "Important", "Moderate", "Low"];

impl Record<'_> {
    fn summary(&self) -> &str {
        self.summary.as_deref().unwrap_or_default().trim()
    }

    /// The summary's rating and what follows it.
    fn rated(&self) -> (&'static str, &str) {
        let summary = self.summary();
        match summary.split_once(':') {
            Some((word, rest)) => match RATINGS.into_iter().find(|rating| *rating == word) {
                Some(rating) => (rating, rest.trim()),
                None => ("", summary),
            },
            None => ("", summary),
        }
    }

    fn severity(&self) -> String {
        let (rating, _) = self.rated();
        if !rating.is_empty() {
            return rating.to_owned();
        }
        let of_ubuntu =
            self.severity.iter().flatten().find_map(|one| {
                one.score.as_deref().filter(|_| one.kind.as_deref() == Some("Ubuntu"))
            });
        if let Some(priority) = of_ubuntu {
            return priority.trim().to_owned();
        }
        let linked = self.references.iter().flatten().find_map(|one| {
            let (_, word) = one.url.as_deref()?.split_once("/classification/#")?;
            RATINGS.into_iter().find(|rating| rating.eq_ignore_ascii_case(word))
        });
        linked.unwrap_or_default().to_owned()
    }

    /// By the letters that a distribution's ids have for it.
    fn kind(&self, names_cves: bool) -> &'static str {
        let id = self.id.trim();
        let (prefix, rest) = id.split_once('-').unwrap_or((id, ""));
        let (_, summary) = self.rated();
        if summary.starts_with("new module:") || summary.starts_with("new package:") {
            return "newpackage";
        }
        let kind = match prefix {
            "SUSE" | "openSUSE" => rest.split('-').next().unwrap_or_default(),
            "USN" | "UBUNTU" | "DSA" | "DLA" | "DTSA" | "DEBIAN" => "SA",
            _ => prefix.get(prefix.len().saturating_sub(2)..).unwrap_or_default(),
        };
        match kind {
            "SA" | "SU" => "security",
            "BA" | "RU" => "bugfix",
            "EA" | "FU" | "OU" => "enhancement",
            _ if names_cves => "security",
            _ => "",
        }
    }

    fn url(&self) -> &str {
        let advisory = self
            .references
            .iter()
            .flatten()
            .find(|one| one.kind.as_deref() == Some("ADVISORY"))
            .and_then(|one| one.url.as_deref());
        advisory.unwrap_or_default().trim()
    }

    /// The module and stream that the summary is about: `php:7.3 security update`. Empty when it names
    /// none, or several, as then nothing tells which package is of which.
    fn module(&self) -> &str {
        let (_, summary) = self.rated();
        let mut named =
            summary.split(|c: char| c == ',' || c.is_whitespace()).filter(|word| is_stream(word));
        match (named.next(), named.next()) {
            (Some(one), None) => one,
            _ => "",
        }
    }
}

/// Whether `word` is a module and its stream, `nodejs:12`.
fn is_stream(word: &str) -> bool {
    let part = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphanumeric())
            && part.chars().all(|c| c.is_ascii_alphanumeric() || "._-+".contains(c))
    };
    word.split_once(':').is_some_and(|(name, stream)| part(name) && part(stream))
}

impl Affected {
    /// A text that the distribution adds.
    fn specific(&self, key: &str) -> &str {
        [&self.ecosystem_specific, &self.database_specific]
            .into_iter()
            .flatten()
            .find_map(|value| value.get(key)?.as_str())
            .unwrap_or_default()
            .trim()
    }

    /// The stream that this package is a build of, where something says so.
    fn module<'m>(&'m self, named: &'m str) -> &'m str {
        let stated = self.specific("module");
        if is_stream(stated) {
            return stated;
        }
        // `rpmmod=nodejs:18:8080020230306145133:63b34585`
        let purl = self.package.purl.as_deref().unwrap_or_default();
        let purl = purl.split(['?', '&']).find_map(|part| part.strip_prefix("rpmmod="));
        let stream = purl.and_then(|label| {
            let end = label.match_indices(':').nth(1).map_or(label.len(), |(at, _)| at);
            label.get(..end)
        });
        stream.filter(|stream| is_stream(stream)).unwrap_or(named)
    }

    /// Binary packages and their fixed versions: `[{"binary_name": ..., "binary_version": ...}]` or
    /// `[{name: version, ...}]`.
    fn binaries(&self) -> BTreeMap<&str, &str> {
        let listed = self.ecosystem_specific.as_ref().and_then(|one| one.get("binaries"));
        let mut binaries = BTreeMap::new();
        for one in listed.and_then(Value::as_array).into_iter().flatten() {
            let text = |key: &str| one.get(key).and_then(Value::as_str);
            match (text("binary_name"), text("binary_version")) {
                (Some(name), Some(version)) => {
                    binaries.insert(name, version);
                }
                _ => {
                    let pairs = one.as_object().into_iter().flatten();
                    binaries
                        .extend(pairs.filter_map(|(name, version)| {
                            Some((name.as_str(), version.as_str()?))
                        }));
                }
            }
        }
        binaries
    }

    /// First affected and first fixed version of each range; the first is empty where all before the
    /// fixed one are affected.
    fn fixes(&self) -> Vec<(&str, &str)> {
        let mut fixes = Vec::new();
        let ranges = self.ranges.iter().flatten();
        for range in ranges.filter(|range| range.kind.as_deref() == Some("ECOSYSTEM")) {
            let mut introduced = Some("");
            for event in range.events.iter().flatten() {
                let text = |key: &str| event.get(key).and_then(Value::as_str).map(str::trim);
                if let Some(version) = text("introduced") {
                    introduced = Some(if version == "0" { "" } else { version });
                }
                if let Some(fixed) = text("fixed").filter(|fixed| !fixed.is_empty())
                    && let Some(introduced) = introduced.take()
                {
                    fixes.push((introduced, fixed));
                }
            }
        }
        fixes
    }

    fn rows(
        &self,
        distribution: &'static str,
        release: &str,
        module: &str,
        rows: &mut Vec<PackageFix<'static>>,
    ) {
        // A module of the kernel is patched in memory; the package stays as it is.
        if !self.specific("module_name_regex").is_empty() {
            return;
        }
        let fixes = self.fixes();
        let Some((_, newest)) = fixes.last() else { return };
        let module = self.module(module);
        let mut push = |package: &str, source: bool, introduced: &str, fixed: &str| {
            // A binary without a name or a version names nothing.
            if package.is_empty() || fixed.is_empty() {
                return;
            }
            rows.push(PackageFix {
                distribution: distribution.into(),
                release: release.to_owned().into(),
                package: package.to_owned().into(),
                source,
                arch: "".into(),
                module: if is_module_build(fixed) { module.to_owned().into() } else { "".into() },
                introduced: introduced.to_owned().into(),
                fixed: fixed.to_owned().into(),
            });
        };
        let binaries = self.binaries();
        if binaries.is_empty() {
            let source = matches!(distribution, "ubuntu" | "debian" | "rocky")
                || distribution.starts_with("sle")
                || distribution == "opensuse";
            for (introduced, fixed) in fixes {
                push(self.package.name.trim(), source, introduced, fixed);
            }
            return;
        }
        // A binary's version belongs to the newest fix; older fixes are known by the source's version
        // only, which is the binary's as a rule.
        for (binary, version) in binaries {
            for (introduced, fixed) in &fixes {
                let fixed = if fixed == newest { version } else { fixed };
                push(binary, false, introduced, fixed);
            }
        }
    }
}
