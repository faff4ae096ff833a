//! Fixed versions of Linux packages, in layers that never change.
//!
//! A layer keeps every text once and twelve bytes a fixed version, sorted by the versions' sort keys
//! within each package of each release, so that what lies between two versions is found by halving.

use std::cmp::Ordering;
use std::ops::Range;

use hashbrown::{DefaultHashBuilder, HashTable};
use patchline_schemas::{Advisory, Timestamp};
use std::hash::BuildHasher;

use super::modules;
use super::release;
use super::severity;
use super::texts::{NONE, Texts, at, number};
use super::version::Scheme;

/// One advisory, its texts by number.
#[derive(Debug, Clone, Copy)]
struct Entry {
    source: u32,
    id: u32,
    bulletin: u32,
    url: u32,
    severity: u32,
    security: bool,
    published: Option<Timestamp>,
    /// Where its CVEs begin; they end where the next one's begin.
    cves: u32,
}

/// One fixed version of the package whose list it stands in.
#[derive(Debug, Clone, Copy)]
struct Row {
    fixed: u32,
    entry: u32,
    detail: u32,
}

/// What few fixed versions have, and many share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Detail {
    arch: u32,
    introduced: u32,
    stream: u32,
    source: bool,
}

/// The versions of one scheme, each with its sort key; empty for what is no version.
#[derive(Debug, Default)]
struct Versions {
    texts: Texts,
    keys: Vec<u8>,
    ends: Vec<usize>,
}

impl Versions {
    fn intern(&mut self, version: &str, scheme: Scheme) -> u32 {
        let found = self.texts.intern(version);
        if self.texts.len() > self.ends.len() {
            scheme.sort_key(version, &mut self.keys);
            self.ends.push(self.keys.len());
        }
        found
    }

    fn key(&self, version: u32) -> &[u8] {
        let version = at(version);
        let Some(&end) = self.ends.get(version) else { return &[] };
        let before = version.checked_sub(1).and_then(|before| self.ends.get(before));
        self.keys.get(before.copied().unwrap_or(0)..end).unwrap_or_default()
    }

    fn seal(&mut self) {
        self.texts.seal();
        self.keys.shrink_to_fit();
        self.ends.shrink_to_fit();
    }
}

/// The dpkg scheme's versions and the rpm scheme's.
#[derive(Debug, Default)]
struct Both {
    deb: Versions,
    rpm: Versions,
}

impl Both {
    fn of(&self, scheme: Scheme) -> &Versions {
        match scheme {
            Scheme::Deb => &self.deb,
            Scheme::Rpm => &self.rpm,
        }
    }

    fn of_mut(&mut self, scheme: Scheme) -> &mut Versions {
        match scheme {
            Scheme::Deb => &mut self.deb,
            Scheme::Rpm => &mut self.rpm,
        }
    }
}

/// Whose order the versions of `distribution` follow.
pub(crate) fn scheme(distribution: &str) -> Scheme {
    match distribution {
        "ubuntu" | "debian" => Scheme::Deb,
        _ => Scheme::Rpm,
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Scope {
    distribution: Box<str>,
    release: Box<str>,
}

/// What layers have in common with the open one.
#[derive(Debug, Default)]
struct Common {
    /// Names of packages.
    names: Texts,
    texts: Texts,
    versions: Both,
    scopes: Vec<Scope>,
    /// Scope and name of each group of rows.
    groups: Vec<(u32, u32)>,
    by_name: HashTable<u32>,
    details: Vec<Detail>,
    entries: Vec<Entry>,
    cves: Vec<u32>,
    hasher: DefaultHashBuilder,
}

impl Common {
    fn scope(&self, distribution: &str, release: &str) -> Option<u32> {
        let is = |scope: &Scope| {
            scope.distribution.as_ref() == distribution && scope.release.as_ref() == release
        };
        self.scopes.iter().position(is).map(number)
    }

    fn group(&self, scope: u32, name: u32) -> Option<u32> {
        let hash = self.hasher.hash_one((scope, name));
        self.by_name
            .find(hash, |&group| self.groups.get(at(group)) == Some(&(scope, name)))
            .copied()
    }

    fn scheme(&self, group: u32) -> Scheme {
        let scope = self.groups.get(at(group)).and_then(|(scope, _)| self.scopes.get(at(*scope)));
        scope.map_or(Scheme::Rpm, |scope| scheme(&scope.distribution))
    }

    fn cves(&self, entry: u32) -> &[u32] {
        let begin = |entry: usize| self.entries.get(entry).map(|entry| at(entry.cves));
        let end = begin(at(entry).saturating_add(1)).unwrap_or(self.cves.len());
        begin(at(entry)).and_then(|begin| self.cves.get(begin..end)).unwrap_or_default()
    }
}

/// A layer that still takes advisories in.
#[derive(Debug, Default)]
pub(crate) struct Open {
    common: Common,
    /// Each with its group.
    rows: Vec<(u32, Row)>,
    details: hashbrown::HashMap<Detail, u32>,
}

impl Open {
    /// Takes `advisory` in and says which number it has here.
    pub(crate) fn push(&mut self, advisory: &Advisory<'_>) -> u32 {
        let names_cves = !advisory.cve_numbers.is_empty();
        let security = severity::is_security(&advisory.kind, &advisory.severity, names_cves);
        let common = &mut self.common;
        let entry = Entry {
            source: common.texts.intern(&advisory.source),
            id: common.texts.intern(&advisory.id),
            bulletin: common.texts.intern(bulletin(advisory)),
            url: common.texts.intern(&advisory.bulletin_url),
            severity: common.texts.intern(&advisory.severity),
            security,
            published: advisory.published,
            cves: number(common.cves.len()),
        };
        for cve in &advisory.cve_numbers {
            let cve = common.texts.intern(cve);
            common.cves.push(cve);
        }
        let at = number(common.entries.len());
        common.entries.push(entry);
        let titled = modules::named(&advisory.title).next().unwrap_or_default();
        for fix in advisory.package_fixes.iter().filter(|fix| !fix.fixed.is_empty()) {
            let stream = match fix.module.as_ref() {
                _ if !modules::is_modular(&fix.fixed) => "",
                "" => titled,
                told => told,
            };
            self.row(
                at,
                (&fix.distribution, &release::canonical(&fix.distribution, &fix.release)),
                (&fix.package, fix.source),
                &fix.fixed,
                [&fix.arch, &fix.introduced, stream],
            );
        }
        at
    }

    fn row(
        &mut self,
        entry: u32,
        (distribution, release): (&str, &str),
        (package, source): (&str, bool),
        fixed: &str,
        [arch, introduced, stream]: [&str; 3],
    ) {
        let common = &mut self.common;
        let scope = common.scope(distribution, release).unwrap_or_else(|| {
            let scope = Scope { distribution: distribution.into(), release: release.into() };
            common.scopes.push(scope);
            number(common.scopes.len() - 1)
        });
        let name = common.names.intern(package);
        let group = common.group(scope, name).unwrap_or_else(|| {
            let new = number(common.groups.len());
            common.groups.push((scope, name));
            let hash = common.hasher.hash_one((scope, name));
            common.by_name.insert_unique(hash, new, |&group| {
                common.hasher.hash_one(common.groups.get(at(group)).copied().unwrap_or_default())
            });
            new
        });
        let scheme = scheme(distribution);
        let versions = common.versions.of_mut(scheme);
        let texts = &mut common.texts;
        let mut known = |text: &str| if text.is_empty() { NONE } else { texts.intern(text) };
        let detail = Detail {
            arch: known(arch),
            // Whatever is installed is at least 0.
            introduced: match introduced {
                "" | "0" => NONE,
                version => versions.intern(version, scheme),
            },
            stream: known(stream),
            source,
        };
        let fixed = versions.intern(fixed, scheme);
        let detail = *self.details.entry(detail).or_insert_with(|| {
            common.details.push(detail);
            number(common.details.len() - 1)
        });
        self.rows.push((group, Row { fixed, entry, detail }));
    }

    /// Adds what of `layer` is alive.
    fn absorb(&mut self, layer: &Layer, is_alive: impl Fn(u32) -> bool) {
        let from = &layer.common;
        // The new number of each advisory.
        let mut moved: Vec<Option<u32>> = Vec::with_capacity(from.entries.len());
        for (old, entry) in from.entries.iter().enumerate() {
            if !is_alive(number(old)) {
                moved.push(None);
                continue;
            }
            let common = &mut self.common;
            let mut again = |text: u32| common.texts.intern(from.texts.get(text));
            let mut entry = Entry {
                source: again(entry.source),
                id: again(entry.id),
                bulletin: again(entry.bulletin),
                url: again(entry.url),
                severity: again(entry.severity),
                ..*entry
            };
            entry.cves = number(common.cves.len());
            for &cve in from.cves(number(old)) {
                let cve = common.texts.intern(from.texts.get(cve));
                common.cves.push(cve);
            }
            moved.push(Some(number(common.entries.len())));
            common.entries.push(entry);
        }
        for (group, (scope, name)) in from.groups.iter().enumerate() {
            let Some(scope) = from.scopes.get(at(*scope)) else { continue };
            let versions = from.versions.of(scheme(&scope.distribution));
            for row in layer.rows(number(group)) {
                let Some(Some(entry)) = moved.get(at(row.entry)) else { continue };
                let Some(detail) = from.details.get(at(row.detail)) else { continue };
                self.row(
                    *entry,
                    (&scope.distribution, &scope.release),
                    (from.names.get(*name), detail.source),
                    versions.texts.get(row.fixed),
                    [
                        from.texts.get(detail.arch),
                        versions.texts.get(detail.introduced),
                        from.texts.get(detail.stream),
                    ],
                );
            }
        }
    }

    /// The number of advisories.
    pub(crate) fn len(&self) -> usize {
        self.common.entries.len()
    }

    /// Source and id of an advisory.
    pub(crate) fn name(&self, entry: u32) -> (&str, &str) {
        name(&self.common, entry)
    }

    /// Sorts everything into its final place.
    pub(crate) fn seal(self) -> Layer {
        let Self { mut common, rows: loose, .. } = self;
        let mut starts = vec![0_usize; common.groups.len() + 1];
        for (group, _) in &loose {
            if let Some(count) = starts.get_mut(at(*group) + 1) {
                *count += 1;
            }
        }
        let mut sum = 0;
        for start in &mut starts {
            sum += *start;
            *start = sum;
        }
        let mut next = starts.clone();
        let mut rows = vec![Row { fixed: NONE, entry: NONE, detail: NONE }; loose.len()];
        for (group, row) in loose {
            if let Some(free) = next.get_mut(at(group)) {
                if let Some(place) = rows.get_mut(*free) {
                    *place = row;
                }
                *free += 1;
            }
        }
        for (group, bounds) in starts.windows(2).enumerate() {
            let &[begin, end] = bounds else { continue };
            let versions = common.versions.of(common.scheme(number(group)));
            if let Some(rows) = rows.get_mut(begin..end) {
                rows.sort_by(|a, b| versions.key(a.fixed).cmp(versions.key(b.fixed)));
            }
        }
        common.names.shrink();
        common.texts.seal();
        common.versions.deb.seal();
        common.versions.rpm.seal();
        common.groups.shrink_to_fit();
        common.entries.shrink_to_fit();
        common.cves.shrink_to_fit();
        Layer { common, starts, rows }
    }
}

/// What an advisory calls itself to its readers. An entry of a CVE database is no bulletin.
fn bulletin<'a>(advisory: &'a Advisory<'_>) -> &'a str {
    match advisory.bulletin_id.as_ref() {
        "" if advisory.id.contains("CVE-") => "",
        "" => &advisory.id,
        told => told,
    }
}

fn name(common: &Common, entry: u32) -> (&str, &str) {
    let entry = common.entries.get(at(entry));
    entry.map_or(("", ""), |entry| (common.texts.get(entry.source), common.texts.get(entry.id)))
}

/// Advisories that never change.
#[derive(Debug)]
pub(crate) struct Layer {
    common: Common,
    /// Where each group's rows begin, and where the last one's end.
    starts: Vec<usize>,
    rows: Vec<Row>,
}

/// A fixed version of a package.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fixed<'i> {
    layer: &'i Layer,
    scheme: Scheme,
    row: Row,
}

impl Layer {
    /// Both layers' advisories that are alive, in one layer.
    pub(crate) fn merge(layers: [(&Self, &dyn Fn(u32) -> bool); 2]) -> Self {
        let mut merged = Open::default();
        for (layer, is_alive) in layers {
            merged.absorb(layer, is_alive);
        }
        merged.seal()
    }

    /// The number of advisories.
    pub(crate) fn len(&self) -> usize {
        self.common.entries.len()
    }

    /// Advisories and fixed versions: what merging costs.
    pub(crate) fn weight(&self) -> usize {
        self.common.entries.len() + self.rows.len()
    }

    /// The number of fixed versions.
    pub(crate) fn fixed_versions(&self) -> usize {
        self.rows.len()
    }

    /// Source and id of an advisory.
    pub(crate) fn name(&self, entry: u32) -> (&str, &str) {
        name(&self.common, entry)
    }

    fn rows(&self, group: u32) -> &[Row] {
        let group = at(group);
        let bound = |at: usize| self.starts.get(at).copied();
        match (bound(group), bound(group + 1)) {
            (Some(begin), Some(end)) => self.rows.get(begin..end).unwrap_or_default(),
            _ => &[],
        }
    }

    /// The fixed versions of `package` in a scope, in the order of versions.
    pub(crate) fn package<'i>(
        &'i self,
        (distribution, release): (&str, &str),
        package: &str,
    ) -> Package<'i> {
        let found = || {
            let name = self.common.names.find(package)?;
            self.common.group(self.common.scope(distribution, release)?, name)
        };
        let rows = found().map_or(&[][..], |group| self.rows(group));
        Package { layer: self, scheme: scheme(distribution), rows }
    }
}

/// The fixed versions of one package in one release.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Package<'i> {
    layer: &'i Layer,
    scheme: Scheme,
    rows: &'i [Row],
}

impl<'i> Package<'i> {
    /// All of them.
    pub(crate) fn all(self) -> impl Iterator<Item = Fixed<'i>> {
        self.between(0..self.rows.len())
    }

    /// Those above `installed`, up to and with `available`, by their sort keys; without `installed`,
    /// those that are `available`.
    pub(crate) fn closed_by(
        self,
        installed: Option<&[u8]>,
        available: &[u8],
    ) -> impl Iterator<Item = Fixed<'i>> {
        let versions = self.layer.common.versions.of(self.scheme);
        let until = |is_in: &dyn Fn(&[u8]) -> bool| {
            self.rows.partition_point(|row| is_in(versions.key(row.fixed)))
        };
        let end = until(&|key| key <= available);
        let begin = match installed {
            // What is no version has the empty key, which stands before all others.
            Some(installed) => until(&|key| key.is_empty() || key <= installed),
            None => until(&|key| key < available),
        };
        self.between(begin..end)
    }

    fn between(self, range: Range<usize>) -> impl Iterator<Item = Fixed<'i>> {
        let Self { layer, scheme, rows } = self;
        let rows = rows.get(range).unwrap_or_default();
        rows.iter().map(move |&row| Fixed { layer, scheme, row })
    }

    /// Whether the advisory of `fixed` names a binary package like the one asked for.
    pub(crate) fn names_binary(self, fixed: Fixed<'_>) -> bool {
        self.all().any(|other| other.row.entry == fixed.row.entry && !other.is_source())
    }

    /// The versions below `fixed` that its advisory names as fixed as well, of the same kind of package
    /// and from the same first affected version on: other builds of the same fix.
    pub(crate) fn other_builds(self, fixed: Fixed<'i>) -> impl Iterator<Item = Fixed<'i>> {
        let kind = |one: Fixed<'_>| (one.detail().introduced, one.is_source());
        self.all()
            .take_while(move |other| other.key() < fixed.key())
            .filter(move |other| other.row.entry == fixed.row.entry && kind(*other) == kind(fixed))
    }
}

impl<'i> Fixed<'i> {
    fn detail(self) -> Detail {
        let none = Detail { arch: NONE, introduced: NONE, stream: NONE, source: false };
        self.layer.common.details.get(at(self.row.detail)).copied().unwrap_or(none)
    }

    fn versions(self) -> &'i Versions {
        self.layer.common.versions.of(self.scheme)
    }

    fn text(self, find: impl Fn(&Entry) -> u32) -> &'i str {
        let common = &self.layer.common;
        common.entries.get(at(self.row.entry)).map_or("", |entry| common.texts.get(find(entry)))
    }

    /// The number of its advisory within the layer.
    pub(crate) fn entry(self) -> u32 {
        self.row.entry
    }

    /// The version itself.
    pub(crate) fn version(self) -> &'i str {
        self.versions().texts.get(self.row.fixed)
    }

    /// Its sort key; empty for what is no version.
    pub(crate) fn key(self) -> &'i [u8] {
        self.versions().key(self.row.fixed)
    }

    /// The architecture it is for; empty: any.
    pub(crate) fn arch(self) -> &'i str {
        self.layer.common.texts.get(self.detail().arch)
    }

    /// The sort key of the first version that is affected; empty: all below are.
    pub(crate) fn introduced(self) -> &'i [u8] {
        self.versions().key(self.detail().introduced)
    }

    /// The module stream that its advisory names; empty where it names none.
    pub(crate) fn stream(self) -> &'i str {
        self.layer.common.texts.get(self.detail().stream)
    }

    /// Whether the package's name is that of a source package.
    pub(crate) fn is_source(self) -> bool {
        self.detail().source
    }

    /// Its advisory's source.
    pub(crate) fn source(self) -> &'i str {
        self.text(|entry| entry.source)
    }

    /// Its advisory's id.
    pub(crate) fn id(self) -> &'i str {
        self.text(|entry| entry.id)
    }

    /// Its advisory's id to its readers; empty for an entry of a CVE database.
    pub(crate) fn bulletin(self) -> &'i str {
        self.text(|entry| entry.bulletin)
    }

    /// Where to read its advisory.
    pub(crate) fn url(self) -> &'i str {
        self.text(|entry| entry.url)
    }

    /// How grave the vendor calls it.
    pub(crate) fn severity(self) -> &'i str {
        self.text(|entry| entry.severity)
    }

    /// Whether it is about security.
    pub(crate) fn is_security(self) -> bool {
        self.layer.common.entries.get(at(self.row.entry)).is_some_and(|entry| entry.security)
    }

    /// When its advisory was published.
    pub(crate) fn published(self) -> Option<Timestamp> {
        self.layer.common.entries.get(at(self.row.entry)).and_then(|entry| entry.published)
    }

    /// What its advisory closes.
    pub(crate) fn cves(self) -> impl Iterator<Item = &'i str> {
        let common = &self.layer.common;
        common.cves(self.row.entry).iter().map(|&cve| common.texts.get(cve))
    }

    /// The gravest first, of two that are as grave the one with the smaller id.
    pub(crate) fn order(self, other: Fixed<'_>) -> Ordering {
        let grave = |fixed: Fixed<'_>| (fixed.is_security(), severity::rank(fixed.severity()));
        grave(other)
            .cmp(&grave(self))
            .then_with(|| self.id().cmp(other.id()))
            .then_with(|| self.source().cmp(other.source()))
    }
}
