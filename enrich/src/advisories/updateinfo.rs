//! `updateinfo.xml` of yum and zypper repositories.
//!
//! One advisory an `<update>`, under its id, the distribution and the repository: the same advisory is in
//! several repositories with other packages in each, and none must replace another. The file is read as a
//! stream, one update in memory at a time. Which distribution it is for stands nowhere in it: it is told,
//! or derived from the ids and builds where they tell (`ALSA-…` and `.el8`), and a record for which neither
//! does is refused.

use std::collections::{BTreeMap, BTreeSet};
use std::io::BufRead;

use patchline_schemas::{Advisory, PackageFix, Timestamp};

use super::osv::{ROWS_MAX, tidy};
use super::xml::{Step, Xml};
use super::{Collect, Unreadable, cves, moment};

/// `Source` of these advisories.
pub const SOURCE: &str = "updateinfo";

const FORMAT: &str = "updateinfo";

/// The system that a repository is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct System {
    /// `almalinux`
    pub distribution: String,
    /// `8`
    pub release: String,
}

impl std::str::FromStr for System {
    type Err = String;

    /// Reads `almalinux-8`, `sles-12.5`.
    fn from_str(text: &str) -> Result<Self, String> {
        match text.rsplit_once('-') {
            Some((distribution, release)) if !distribution.is_empty() && !release.is_empty() => {
                let (distribution, release) = (distribution.to_lowercase(), release.to_owned());
                Ok(Self { distribution, release })
            }
            _ => Err(format!("`{text}` is no distribution and release, such as almalinux-8")),
        }
    }
}

impl std::fmt::Display for System {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.distribution, self.release)
    }
}

/// Imports a repository's updates; `system` wins over what they tell of themselves.
///
/// # Errors
/// The document is not well-formed or breaks off. What came before that is imported.
pub fn import(
    document: impl BufRead,
    system: Option<&System>,
    out: &mut dyn Collect,
) -> Result<(), Unreadable> {
    let mut xml = Xml::new(FORMAT, document);
    let mut update: Option<Update> = None;
    let mut package: Option<Package> = None;
    loop {
        match xml.step()? {
            Step::Open => match (xml.name(), &mut update) {
                ("update", _) => {
                    update = Some(Update {
                        kind: xml.attribute("type").to_owned(),
                        status: xml.attribute("status").to_owned(),
                        ..Update::default()
                    });
                }
                ("issued", Some(one)) => one.issued = moment(xml.attribute("date")),
                ("updated", Some(one)) => one.updated = moment(xml.attribute("date")),
                ("reference", Some(one)) => {
                    let (kind, href) = (xml.attribute("type"), xml.attribute("href"));
                    match kind {
                        "cve" if one.cves.len() < ROWS_MAX => {
                            one.cves.push(xml.attribute("id").to_owned());
                        }
                        "self" => href.clone_into(&mut one.url),
                        _ => {}
                    }
                    if one.first_url.is_empty() {
                        href.clone_into(&mut one.first_url);
                    }
                }
                ("collection", Some(one)) => {
                    one.module.clear();
                    if one.repository.is_empty() {
                        xml.attribute("short").clone_into(&mut one.repository);
                    }
                }
                ("module", Some(one)) => {
                    let (name, stream) = (xml.attribute("name"), xml.attribute("stream"));
                    one.module = format!("{name}:{stream}");
                }
                ("package", Some(_)) => {
                    package = Some(Package {
                        name: xml.attribute("name").to_owned(),
                        arch: xml.attribute("arch").to_owned(),
                        fixed: evr(
                            xml.attribute("epoch"),
                            xml.attribute("version"),
                            xml.attribute("release"),
                        ),
                    });
                }
                _ => {}
            },
            Step::Close => {
                let text = xml.text();
                match (xml.name(), &mut update) {
                    ("package", Some(one)) => {
                        if let Some(package) = package.take() {
                            one.add(package);
                        }
                    }
                    ("update", taken) => {
                        if let Some(one) = taken.take() {
                            one.finish(system, out);
                        }
                    }
                    // Elements of the same names stand within packages.
                    _ if package.is_some() => {}
                    ("id", Some(one)) => text.clone_into(&mut one.id),
                    ("title", Some(one)) => text.clone_into(&mut one.title),
                    ("severity", Some(one)) => text.clone_into(&mut one.severity),
                    ("name", Some(one)) if one.repository.is_empty() => {
                        text.clone_into(&mut one.repository);
                    }
                    _ => {}
                }
            }
            Step::End => return Ok(()),
        }
    }
}

/// Epoch, version and release as one; an epoch of 0 is none.
fn evr(epoch: &str, version: &str, release: &str) -> String {
    let epoch = if matches!(epoch, "" | "0") { String::new() } else { format!("{epoch}:") };
    let release = if release.is_empty() { String::new() } else { format!("-{release}") };
    format!("{epoch}{version}{release}")
}

#[derive(Debug, Default)]
struct Update {
    id: String,
    kind: String,
    status: String,
    title: String,
    severity: String,
    issued: Option<Timestamp>,
    updated: Option<Timestamp>,
    cves: Vec<String>,
    url: String,
    first_url: String,
    /// The first collection's name.
    repository: String,
    /// Of the collection that is being read.
    module: String,
    /// By name and module, the fixed versions of each architecture.
    packages: BTreeMap<(String, String), BTreeMap<String, BTreeSet<String>>>,
    rows: usize,
}

#[derive(Debug, Default)]
struct Package {
    name: String,
    arch: String,
    fixed: String,
}

impl Update {
    fn add(&mut self, package: Package) {
        let Package { name, arch, fixed } = package;
        // Nobody installs sources.
        if name.is_empty() || fixed.is_empty() || matches!(arch.as_str(), "src" | "nosrc") {
            return;
        }
        self.rows += 1;
        if self.rows <= ROWS_MAX {
            let arches = self.packages.entry((name, self.module.clone())).or_default();
            arches.entry(arch).or_default().insert(fixed);
        }
    }

    fn finish(self, system: Option<&System>, out: &mut dyn Collect) {
        let id = self.id.as_str();
        if id.is_empty() {
            out.bad("an update", "it has no id");
            return;
        }
        if self.rows > ROWS_MAX {
            out.bad(id, &format!("it has {} packages, {ROWS_MAX} at most", self.rows));
            return;
        }
        let withdrawn = matches!(self.status.as_str(), "retracted" | "withdrawn" | "revoked");
        if self.packages.is_empty() && !withdrawn {
            out.left_out("an update without a package");
            return;
        }
        let Some(system) = system.cloned().or_else(|| self.system()) else {
            out.bad(id, "nothing tells which distribution it is for; give it with --os");
            return;
        };
        let url = if self.url.is_empty() { self.first_url.clone() } else { self.url.clone() };
        let cve_numbers = cves(self.cves.iter().map(String::as_str));
        let repository = match self.repository.as_str() {
            "" => String::new(),
            name => format!("/{name}"),
        };
        out.advisory(Advisory {
            id: format!("{id}@{system}{repository}").into(),
            source: SOURCE.into(),
            kind: self.kind.to_lowercase().into(),
            title: self.title.clone().into(),
            severity: self.severity.clone().into(),
            bulletin_id: id.to_owned().into(),
            bulletin_url: url.into(),
            cve_numbers,
            published: self.issued,
            modified: self.updated.or(self.issued),
            withdrawn,
            package_fixes: self.fixes(&system),
            ..Advisory::default()
        });
    }

    fn fixes(self, system: &System) -> Vec<PackageFix<'static>> {
        let mut rows = Vec::new();
        for ((package, module), arches) in self.packages {
            let versions: BTreeSet<&String> = arches.values().flatten().collect();
            let mut push = |arch: &str, fixed: &str| {
                rows.push(PackageFix {
                    distribution: system.distribution.clone().into(),
                    release: system.release.clone().into(),
                    package: package.clone().into(),
                    arch: arch.to_owned().into(),
                    module: module.clone().into(),
                    fixed: fixed.to_owned().into(),
                    ..PackageFix::default()
                });
            };
            // Architectures are told apart only where they differ.
            if let [fixed] = versions.into_iter().collect::<Vec<_>>().as_slice() {
                push("", fixed);
                continue;
            }
            for (arch, versions) in &arches {
                let arch = if arch == "noarch" { "" } else { arch };
                versions.iter().for_each(|fixed| push(arch, fixed));
            }
        }
        tidy(rows)
    }

    /// What the update tells of its distribution itself.
    fn system(&self) -> Option<System> {
        let prefix = self.id.split('-').next()?;
        let system = |distribution: &str, release: String| {
            Some(System { distribution: distribution.to_owned(), release })
        };
        let distribution = match prefix {
            "ALSA" | "ALBA" | "ALEA" => "almalinux",
            "RLSA" | "RLBA" | "RLEA" | "RXSA" | "RXBA" => "rocky",
            "RHSA" | "RHBA" | "RHEA" => "rhel",
            "ELSA" | "ELBA" | "ELEA" => "oracle",
            // SUSE-SLE-SERVER-12-SP5-2020-123
            "SUSE" => {
                let mut parts = self.id.split('-').skip(1);
                let numeric = |part: &&str| part.bytes().all(|byte| byte.is_ascii_digit());
                let major = parts.find(numeric).filter(|major| major.len() == 2)?;
                let pack = parts.next().and_then(|part| part.strip_prefix("SP"));
                let release = pack.map_or(major.to_owned(), |pack| format!("{major}.{pack}"));
                return system("sles", release);
            }
            _ => return None,
        };
        // `…-60.el7_3.1`, `….module_el8.6.0+…`
        let versions = self.packages.values().flat_map(BTreeMap::values).flatten();
        let release = versions.filter_map(|version| {
            let (_, rest) = version.rsplit_once("el")?;
            let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
            Some(digits).filter(|digits| !digits.is_empty())
        });
        let releases: BTreeSet<String> = release.collect();
        match releases.into_iter().collect::<Vec<_>>().as_slice() {
            [one] => system(distribution, one.clone()),
            _ => None,
        }
    }
}
