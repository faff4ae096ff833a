//! Which stored rows a change of the catalog can concern.
//!
//! What is guaranteed: no row is left out whose verdict the change alters. Rows beyond those may be
//! named: judging them again finds nothing to change.
//!
//! A row is concerned by what an advisory speaks of now ([`Known`] collects it), by what the advisory
//! spoke of before it was changed, as far as this process has seen it, and by the ids of advisories
//! that stand in the row's own verdict, which need no memory: a withdrawn advisory is found by them.

use std::collections::{BTreeSet, HashMap, HashSet};

use patchline_schemas::Advisory;

use crate::title;

/// Names of packages and KBs above which a change counts as one of everything: a statement with more
/// of them would take longer than the search through all rows that it spares.
const NAMES_MAX: usize = 5_000;

/// What changed in the catalog, as far as rows can tell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    /// Ids of the advisories.
    pub advisories: BTreeSet<String>,
    /// Linux packages.
    pub packages: BTreeSet<String>,
    /// Windows updates, digits only.
    pub kbs: BTreeSet<u64>,
    /// An advisory spoke of modular builds: to which stream a build belongs is found from all
    /// advisories together, so the verdict on any modular package may be another one.
    pub modules: bool,
    /// Whatever is stored.
    pub everything: bool,
}

impl Change {
    /// The change of everything.
    #[must_use]
    pub fn of_everything() -> Self {
        Self { everything: true, ..Self::default() }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self == &Self::default()
    }

    fn settle(&mut self) {
        let names = self.advisories.len() + self.packages.len() + self.kbs.len();
        if self.everything || names > NAMES_MAX {
            *self = Self::of_everything();
        }
    }
}

/// What the advisories that were seen speak of. Nothing is ever forgotten: an advisory that no longer
/// names a package concerned it once.
#[derive(Debug, Default)]
pub struct Known {
    /// Names of packages, each kept once.
    packages: HashMap<Box<str>, u32>,
    names: Vec<Box<str>>,
    /// By a digest of source and id: two that collide are one for this purpose, and harmless.
    by_advisory: HashMap<u64, Spoken>,
    /// The KBs that a KB replaces.
    replaces: HashMap<u64, BTreeSet<u64>>,
    /// The KBs that replace a KB.
    replaced_by: HashMap<u64, BTreeSet<u64>>,
    hasher: std::hash::RandomState,
}

#[derive(Debug, Default)]
struct Spoken {
    packages: Box<[u32]>,
    kbs: Box<[u64]>,
    modules: bool,
}

impl Known {
    /// Takes note of `advisory`, and adds what it and its former state concern to `change`.
    pub fn upsert(&mut self, advisory: &Advisory<'_>, change: Option<&mut Change>) {
        let mut packages: BTreeSet<u32> = BTreeSet::new();
        for fix in &advisory.package_fixes {
            packages.insert(self.package(&fix.package));
        }
        let mut kbs: BTreeSet<u64> = BTreeSet::new();
        for fix in &advisory.kb_fixes {
            let Some(kb) = number(&fix.kbid) else { continue };
            kbs.insert(kb);
            for old in fix.supersedes.iter().filter_map(|old| number(old)) {
                kbs.insert(old);
                self.replaces.entry(kb).or_default().insert(old);
                self.replaced_by.entry(old).or_default().insert(kb);
            }
        }
        let modules = advisory.package_fixes.iter().any(|fix| fix.fixed.contains(MODULE));
        let spoken =
            self.by_advisory.entry(self.digest(&advisory.source, &advisory.id)).or_default();
        packages.extend(&*spoken.packages);
        kbs.extend(&*spoken.kbs);
        *spoken = Spoken {
            packages: packages.into_iter().collect(),
            kbs: kbs.into_iter().collect(),
            modules: modules || spoken.modules,
        };
        if let Some(change) = change {
            self.note(&advisory.source, &advisory.id, change);
        }
    }

    /// Adds what the advisory `id` of `source`, which is gone from the topic, concerned to `change`.
    pub fn note(&self, source: &str, id: &str, change: &mut Change) {
        if change.everything {
            return;
        }
        change.advisories.insert(id.to_owned());
        if let Some(spoken) = self.by_advisory.get(&self.digest(source, id)) {
            let names = spoken.packages.iter().filter_map(|at| self.names.get(*at as usize));
            change.packages.extend(names.map(|name| name.to_string()));
            change.kbs.extend(&*spoken.kbs);
            change.modules |= spoken.modules;
        }
        change.settle();
    }

    /// `kbs`, and what they replace, at any number of steps: whose mark they can be.
    #[must_use]
    pub fn marked_by(&self, kbs: &BTreeSet<u64>) -> BTreeSet<u64> {
        closure(kbs, &self.replaces)
    }

    /// `kbs`, and what replaces them, at any number of steps: what can stand in their marks.
    #[must_use]
    pub fn marks_of(&self, kbs: &BTreeSet<u64>) -> BTreeSet<u64> {
        closure(kbs, &self.replaced_by)
    }

    fn package(&mut self, name: &str) -> u32 {
        if let Some(found) = self.packages.get(name) {
            return *found;
        }
        // Memory ends before numbers do.
        let new = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        self.names.push(name.into());
        self.packages.insert(name.into(), new);
        new
    }

    fn digest(&self, source: &str, id: &str) -> u64 {
        std::hash::BuildHasher::hash_one(&self.hasher, (source, id))
    }
}

/// What the version of a modular build contains.
pub(crate) const MODULE: &str = ".module";

/// The number of a KB, with or without its prefix.
pub(crate) fn number(kb: &str) -> Option<u64> {
    title::kb_digits(kb.trim()).parse().ok()
}

fn closure(begin: &BTreeSet<u64>, edges: &HashMap<u64, BTreeSet<u64>>) -> BTreeSet<u64> {
    let mut found = begin.clone();
    let mut left: Vec<u64> = begin.iter().copied().collect();
    while let Some(kb) = left.pop() {
        for next in edges.get(&kb).into_iter().flatten() {
            if found.insert(*next) {
                left.push(*next);
            }
        }
    }
    found
}

/// One combination of what rows say of themselves: whether a change concerns them is decided here,
/// whatever their number.
#[derive(Debug, Clone, Copy, Default)]
pub struct Kind<'a> {
    /// Linux: the package. Windows: the KB, as it was reported.
    pub name: &'a str,
    /// Windows, where no KB was reported: the title.
    pub title: &'a str,
    /// Ids of advisories behind the verdict, joined with `;`.
    pub advisories: &'a str,
    /// KBs that the verdict says replace it, joined with `;`.
    pub superseded_by: &'a str,
}

/// A change, ready to be asked about rows.
#[derive(Debug)]
pub struct Concern<'c> {
    change: &'c Change,
    advisories: HashSet<&'c str>,
    /// Windows updates whose verdict may be another one.
    marked: BTreeSet<u64>,
    /// Windows updates that may stand in their marks, or did.
    marks: BTreeSet<u64>,
    /// Windows updates that must be known to judge those.
    context: BTreeSet<u64>,
}

impl<'c> Concern<'c> {
    /// Prepares `change`, in a catalog that speaks of `known`.
    #[must_use]
    pub fn new(change: &'c Change, known: &Known) -> Self {
        let marked = known.marked_by(&change.kbs);
        Self {
            change,
            advisories: change.advisories.iter().map(String::as_str).collect(),
            marks: known.marks_of(&change.kbs),
            context: known.marks_of(&marked),
            marked,
        }
    }

    /// Whether the verdict on a Linux package may be another one.
    #[must_use]
    pub fn linux(&self, kind: Kind<'_>) -> bool {
        self.change.packages.contains(kind.name) || self.names(kind.advisories)
    }

    /// Whether the verdict on a Windows update may be another one.
    #[must_use]
    pub fn windows(&self, kind: Kind<'_>) -> bool {
        let marks = || kind.superseded_by.split(';').filter_map(number);
        kb(kind).is_some_and(|kb| self.marked.contains(&kb))
            || self.names(kind.advisories)
            || marks().any(|kb| self.marks.contains(&kb))
    }

    /// Whether a Windows update can replace one of those.
    #[must_use]
    pub fn is_context(&self, kind: Kind<'_>) -> bool {
        kb(kind).is_some_and(|kb| self.context.contains(&kb))
    }

    fn names(&self, advisories: &str) -> bool {
        !advisories.is_empty() && advisories.split(';').any(|id| self.advisories.contains(id))
    }
}

fn kb(kind: Kind<'_>) -> Option<u64> {
    number(if kind.name.is_empty() { title::kb(kind.title) } else { kind.name })
}

#[cfg(test)]
mod tests {
    use patchline_schemas::{KbFix, PackageFix};

    use super::*;

    fn advisory(id: &'static str, packages: &[&'static str]) -> Advisory<'static> {
        let fix = |package: &&'static str| PackageFix {
            package: (*package).into(),
            fixed: "1".into(),
            ..PackageFix::default()
        };
        Advisory {
            id: id.into(),
            source: "osv".into(),
            package_fixes: packages.iter().map(fix).collect(),
            ..Advisory::default()
        }
    }

    fn bulletin(id: &'static str, kb: u64, supersedes: &[u64]) -> Advisory<'static> {
        let fix = KbFix {
            kbid: kb.to_string().into(),
            supersedes: supersedes.iter().map(u64::to_string).collect(),
            ..KbFix::default()
        };
        Advisory {
            id: id.into(),
            source: "msrc".into(),
            kb_fixes: vec![fix],
            ..Advisory::default()
        }
    }

    fn package(name: &str) -> Kind<'_> {
        Kind { name, ..Kind::default() }
    }

    #[test]
    fn what_an_advisory_named_before_it_changed_is_concerned_too() {
        let mut known = Known::default();
        known.upsert(&advisory("A", &["openssl", "libssl"]), None);
        let mut change = Change::default();
        known.upsert(&advisory("A", &["bash"]), Some(&mut change));
        let concern = Concern::new(&change, &known);
        for name in ["openssl", "libssl", "bash"] {
            assert!(concern.linux(package(name)), "{name}");
        }
        assert!(!concern.linux(package("zsh")));
    }

    #[test]
    fn a_row_that_bears_the_advisorys_id_is_concerned_whatever_it_is_called() {
        let mut change = Change::default();
        let mut known = Known::default();
        known.upsert(&advisory("USN-1", &["bash"]), Some(&mut change));
        let concern = Concern::new(&change, &known);
        assert!(concern.linux(Kind { advisories: "USN-2;USN-1", ..package("gone") }));
        assert!(!concern.linux(Kind { advisories: "USN-11;USN-2", ..package("gone") }));
        assert!(concern.windows(Kind { advisories: "USN-1", ..package("1") }));
    }

    #[test]
    fn a_kb_concerns_what_it_replaces_and_needs_what_replaces_that() {
        let mut known = Known::default();
        known.upsert(&bulletin("3", 3, &[2]), None);
        known.upsert(&bulletin("5", 5, &[4]), None);
        known.upsert(&bulletin("4", 4, &[2]), None);
        let mut change = Change::default();
        known.upsert(&bulletin("2", 2, &[1]), Some(&mut change));
        let concern = Concern::new(&change, &known);
        let is = |name| concern.windows(package(name));
        assert!(is("1") && is("KB2") && !is("3") && !is("4") && !is("5") && !is("6"));
        for kb in ["1", "2", "3", "4", "5"] {
            assert!(concern.is_context(package(kb)), "{kb}");
        }
        assert!(!concern.is_context(package("6")));
        let titled = Kind { title: "Rollup (KB1)", ..Kind::default() };
        assert!(concern.windows(titled));
        // Whoever was marked by way of a link that is gone still bears the mark.
        assert!(concern.windows(Kind { superseded_by: "9;5", ..package("7") }));
        assert!(!concern.windows(Kind { superseded_by: "9", ..package("7") }));
    }

    #[test]
    fn modular_builds_concern_each_other() {
        let mut modular = advisory("A", &["nodejs"]);
        modular.package_fixes[0].fixed = "1:10.24-1.module_el8.3.0+2047+b07ac28e".into();
        let (mut known, mut change) = (Known::default(), Change::default());
        known.upsert(&advisory("B", &["bash"]), Some(&mut change));
        assert!(!change.modules);
        known.upsert(&modular, Some(&mut change));
        assert!(change.modules);
    }

    #[test]
    fn too_many_names_are_everything() {
        let (mut known, mut change) = (Known::default(), Change::default());
        for number in 0..2_000_u64 {
            let id = number.to_string().leak();
            known.upsert(&bulletin(id, number, &[]), Some(&mut change));
        }
        assert!(!change.everything);
        for number in 2_000..3_000_u64 {
            let id = number.to_string().leak();
            known.upsert(&bulletin(id, number, &[]), Some(&mut change));
        }
        assert_eq!(change, Change::of_everything());
    }
}
