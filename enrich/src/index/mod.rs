//! All that was imported, in memory, and what it says of the updates of a scan.
//!
//! What is guaranteed: a Linux package gets an advisory exactly if the advisory speaks of its
//! distribution, release, architecture and module stream, and `installed < fixed ≤ available`, with
//! the lowest `fixed` where it names several builds of one fix. Without an installed version the
//! available one is claimed for an advisory only where it is the fixed version itself: what else it
//! brings may be there already. Installed packages get none: nothing is missing. A Windows update is
//! looked up by its KB, installed or not (`windows.rs` says how products narrow it), and a needed one is
//! marked with the installed ones that replace it.
//!
//! [`IndexBuilder`] keeps what it was given in layers that never change, each at least twice as heavy
//! as the next, and an [`Index`] shares them: building one after a change costs the change, not the
//! catalog, and readers of the former one go on undisturbed. `packages.rs` is a layer, `version.rs` the
//! order of versions, `modules.rs` tells module streams apart, `memo.rs` remembers verdicts for as long
//! as their index lives.

mod memo;
mod modules;
mod packages;
mod release;
mod severity;
mod texts;
mod version;
mod windows;

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashTable};
use patchline_schemas::{Advisory, Update, UpdateState};

pub use memo::MemoCounters;
pub use release::release;
pub use version::Scheme;

use crate::advice::{Advice, Os};
use crate::title;
use memo::{Key, Memo};
use modules::{Streams, Votes};
use packages::{Fixed, Layer, Open, Package};
use windows::{Bulletins, Kbs};

/// A list in one field is cut here, between items. What closes the most is a kernel that is years
/// behind, with some 2,000 CVEs; a whole scan of such must stay within a message.
const LIST_BYTES_MAX: usize = 16 * 1024;

/// A layer, and which of its advisories were replaced or removed since.
#[derive(Debug, Clone)]
struct Shared {
    layer: Arc<Layer>,
    dead: Arc<Dead>,
}

/// A set of advisories of a layer.
#[derive(Debug, Clone, Default)]
struct Dead {
    bits: Vec<u64>,
    count: usize,
}

impl Dead {
    fn insert(&mut self, entry: u32) {
        let (word, bit) = place(entry);
        if self.bits.len() <= word {
            self.bits.resize(word + 1, 0);
        }
        if let Some(bits) = self.bits.get_mut(word) {
            self.count += usize::from(*bits & bit == 0);
            *bits |= bit;
        }
    }

    fn contains(&self, entry: u32) -> bool {
        let (word, bit) = place(entry);
        self.bits.get(word).is_some_and(|bits| bits & bit != 0)
    }
}

fn place(entry: u32) -> (usize, u64) {
    (texts::at(entry / 64), 1 << (entry % 64))
}

/// Where an advisory is: the layer, and the number that it has there.
#[derive(Debug, Clone, Copy)]
struct Place {
    layer: u32,
    entry: u32,
}

/// Collects advisories and builds an [`Index`] of them whenever one is wanted.
#[derive(Debug, Default)]
pub struct IndexBuilder {
    /// The heaviest first.
    layers: Vec<Shared>,
    open: Open,
    open_dead: Dead,
    /// By source and id, those that are alive.
    places: HashTable<Place>,
    hasher: DefaultHashBuilder,
    votes: Votes,
    streams: Option<Arc<Streams>>,
    bulletins: Bulletins,
    counters: MemoCounters,
}

impl IndexBuilder {
    /// A builder whose indexes count in `counters` how often they remembered.
    #[must_use]
    pub fn counting(counters: MemoCounters) -> Self {
        Self { counters, ..Self::default() }
    }

    /// Takes `advisory` in, in place of the one with its source and id. One that its vendor withdrew
    /// only goes.
    pub fn upsert(&mut self, advisory: &Advisory<'_>) {
        self.remove(&advisory.source, &advisory.id);
        if advisory.withdrawn {
            return;
        }
        let entry = self.open.push(advisory);
        let place = Place { layer: texts::number(self.layers.len()), entry };
        let hash = self.hasher.hash_one((advisory.source.as_ref(), advisory.id.as_ref()));
        let (layers, open, hasher) = (&self.layers, &self.open, &self.hasher);
        self.places.insert_unique(hash, place, |place| hasher.hash_one(name(layers, open, *place)));
        self.bulletins.upsert(advisory);
        self.vote(advisory);
    }

    /// Forgets the advisory `id` of `source`.
    pub fn remove(&mut self, source: &str, id: &str) {
        let hash = self.hasher.hash_one((source, id));
        let (layers, open) = (&self.layers, &self.open);
        let is = |place: &Place| name(layers, open, *place) == (source, id);
        let Ok(found) = self.places.find_entry(hash, is) else { return };
        let (place, _) = found.remove();
        match self.layers.get_mut(texts::at(place.layer)) {
            Some(shared) => Arc::make_mut(&mut shared.dead).insert(place.entry),
            None => self.open_dead.insert(place.entry),
        }
        self.bulletins.remove(source, id);
    }

    /// The number of advisories.
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// An index of what there is now, under the name `version`. Costs about what changed since the
    /// last one.
    #[must_use]
    pub fn build(&mut self, version: &str) -> Index {
        if self.open.len() > 0 {
            let layer = Arc::new(std::mem::take(&mut self.open).seal());
            let dead = Arc::new(std::mem::take(&mut self.open_dead));
            self.layers.push(Shared { layer, dead });
            self.tidy();
        }
        let votes = &self.votes;
        Index {
            version: version.to_owned(),
            advisories: self.len(),
            layers: self.layers.clone(),
            streams: Arc::clone(self.streams.get_or_insert_with(|| Arc::new(votes.streams()))),
            kbs: self.bulletins.build(),
            memo: Memo::new(self.counters.clone()),
        }
    }

    fn vote(&mut self, advisory: &Advisory<'_>) {
        let titled: Vec<&str> = modules::named(&advisory.title).collect();
        for fix in advisory.package_fixes.iter().filter(|fix| modules::is_modular(&fix.fixed)) {
            let told = [fix.module.as_ref()];
            let told = told.iter().filter(|module| !module.is_empty());
            let streams: Vec<&str> = told.chain(&titled).copied().collect();
            self.votes.cast(&fix.package, &fix.fixed, &streams);
            self.streams = None;
        }
    }

    /// Merges the lightest layers until each is at least twice as heavy as the next and mostly alive,
    /// so that there are few of them, and each advisory was merged a few times in all.
    fn tidy(&mut self) {
        let mut merged = false;
        while let [.., one, other] = self.layers.as_slice() {
            let decayed = one.dead.count * 2 > one.layer.len();
            if one.layer.weight() >= 2 * other.layer.weight() && !decayed {
                break;
            }
            let layer = Layer::merge([
                (&one.layer, &|entry| !one.dead.contains(entry)),
                (&other.layer, &|entry| !other.dead.contains(entry)),
            ]);
            self.layers.truncate(self.layers.len() - 2);
            self.layers.push(Shared { layer: Arc::new(layer), dead: Arc::default() });
            merged = true;
        }
        if merged {
            self.place_last();
        }
    }

    /// Finds out anew where everything is that the last layer has taken in.
    fn place_last(&mut self) {
        let Some(last) = self.layers.len().checked_sub(1).map(texts::number) else { return };
        let (layers, open, hasher) = (&self.layers, &self.open, &self.hasher);
        let hash = |place: &Place| hasher.hash_one(name(layers, open, *place));
        self.places.retain(|place| place.layer < last);
        let advisories = layers.last().map_or(0, |shared| shared.layer.len());
        for entry in 0..texts::number(advisories) {
            let place = Place { layer: last, entry };
            self.places.insert_unique(hash(&place), place, hash);
        }
    }
}

/// Source and id of the advisory at `place`.
fn name<'a>(layers: &'a [Shared], open: &'a Open, place: Place) -> (&'a str, &'a str) {
    match layers.get(texts::at(place.layer)) {
        Some(shared) => shared.layer.name(place.entry),
        None => open.name(place.entry),
    }
}

/// An immutable state of the catalog.
#[derive(Debug)]
pub struct Index {
    version: String,
    advisories: usize,
    layers: Vec<Shared>,
    streams: Arc<Streams>,
    kbs: Arc<Kbs>,
    memo: Memo,
}

/// A package that a scan lists as available.
#[derive(Debug, Clone, Copy)]
struct Available<'u> {
    name: &'u str,
    arch: &'u str,
    version: &'u str,
    /// The installed version, if the scan lists one.
    installed: &'u str,
}

impl Index {
    /// Which state of knowledge this is; stands in every enriched scan.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// What is known about each of `updates`, in their order. They are all that one scan of a
    /// computer with `os` lists: what is installed tells which holes an available version closes.
    #[must_use]
    pub fn advise(&self, os: Os<'_>, updates: &[Update<'_>]) -> Vec<Option<Arc<Advice>>> {
        if os.is_linux() {
            self.advise_linux(os, updates)
        } else {
            self.advise_windows(os, updates)
        }
    }

    /// The number of advisories.
    #[must_use]
    pub fn len(&self) -> usize {
        self.advisories
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.advisories == 0
    }

    /// The number of fixed versions, those included that were replaced and still take memory.
    #[must_use]
    pub fn fixed_versions(&self) -> usize {
        self.layers.iter().map(|shared| shared.layer.fixed_versions()).sum()
    }

    /// The number of knowledge base updates.
    #[must_use]
    pub fn kbs(&self) -> usize {
        self.kbs.len()
    }

    fn advise_linux(&self, os: Os<'_>, updates: &[Update<'_>]) -> Vec<Option<Arc<Advice>>> {
        let (distribution, release) = release(os.name, os.version, os.full_name);
        let mut scopes = release::scopes(&distribution, &release);
        if let Some((own, _)) = scopes.first() {
            // An advisory without a release is for all of them.
            scopes.push((own.clone(), String::new()));
        }
        let (places, available): (Vec<usize>, Vec<Available<'_>>) =
            available(updates, packages::scheme(&distribution)).unzip();
        let answers = self.memo.answer(
            &available,
            |one| {
                let Available { name, arch, version, installed } = *one;
                Key([&distribution, &release, name, arch, version, installed])
            },
            |one| self.package(&distribution, &scopes, *one).map(Arc::new),
        );
        let mut advice = vec![None; updates.len()];
        for (place, answer) in places.into_iter().zip(answers) {
            if let Some(slot) = advice.get_mut(place) {
                *slot = answer;
            }
        }
        advice
    }

    /// What is known of an available package.
    fn package(
        &self,
        distribution: &str,
        scopes: &[(String, String)],
        one: Available<'_>,
    ) -> Option<Advice> {
        let versions = Versions::new(distribution, one)?;
        let lists: Vec<(&Dead, Package<'_>)> = self
            .layers
            .iter()
            .flat_map(|Shared { layer, dead }| {
                scopes.iter().map(|(distribution, release)| {
                    (dead.as_ref(), layer.package((distribution, release), one.name))
                })
            })
            .collect();
        let stream = self.stream(one, lists.iter().map(|(_, list)| *list));
        let mut found: Vec<Fixed<'_>> = Vec::new();
        for (dead, list) in lists {
            let is_meant = |fixed: &Fixed<'_>| {
                (fixed.arch().is_empty() || fixed.arch() == one.arch)
                    && self.is_of(stream, one, *fixed)
            };
            found.extend(versions.closed_by(list).into_iter().filter(|fixed| {
                !dead.contains(fixed.entry())
                    && is_meant(fixed)
                    && versions.is_affected(fixed.introduced())
                    && (!fixed.is_source() || !list.names_binary(*fixed))
                    && !list
                        .other_builds(*fixed)
                        .any(|other| is_meant(&other) && versions.is_installed(other))
            }));
        }
        found.sort_by(|one, other| one.order(*other));
        found.dedup_by(|one, other| (one.source(), one.id()) == (other.source(), other.id()));
        advice(&found)
    }

    /// The module stream that `one` is of; empty when it is of none, nothing when that is not known.
    /// Where no advisory knows its build, the installed build's stream is its own, or else the one
    /// stream of the package whose versions begin alike.
    fn stream<'i>(
        &'i self,
        one: Available<'_>,
        lists: impl Iterator<Item = Package<'i>>,
    ) -> Option<&'i str> {
        if !modules::is_modular(one.version) {
            return Some("");
        }
        let known = self.streams.known(one.version).or_else(|| self.streams.known(one.installed));
        if known.is_some() {
            return known;
        }
        let mut alike: HashMap<&str, usize> = HashMap::new();
        for fixed in lists.flat_map(Package::all) {
            let is_modular = modules::is_modular(fixed.version());
            let stream = self.streams.of(fixed.stream(), fixed.version());
            if let Some(stream) = stream.filter(|_| is_modular) {
                let shared = modules::shared_parts(fixed.version(), one.version);
                let most = alike.entry(stream).or_default();
                *most = shared.max(*most);
            }
        }
        let most = alike.values().copied().max().filter(|most| *most > 0)?;
        let mut streams = alike.iter().filter(|(_, shared)| **shared == most);
        match (streams.next(), streams.next()) {
            (Some((stream, _)), None) => Some(stream),
            _ => None,
        }
    }

    /// Whether `fixed` speaks of builds like `one`. It does if it is of the same build, whatever stream
    /// its advisory is about; else both must be of one stream, or of none.
    fn is_of(&self, stream: Option<&str>, one: Available<'_>, fixed: Fixed<'_>) -> bool {
        match (modules::build(one.version), modules::build(fixed.version())) {
            (None, None) => true,
            (Some(available), Some(build)) => {
                let about = || self.streams.of(fixed.stream(), fixed.version());
                available == build || stream.is_some() && stream == about()
            }
            _ => false,
        }
    }

    fn advise_windows(&self, os: Os<'_>, updates: &[Update<'_>]) -> Vec<Option<Arc<Advice>>> {
        let asked: Vec<&Update<'_>> = updates.iter().collect();
        let mut advice = self.memo.answer(
            &asked,
            |&update| Key([os.kind, os.name, &update.product, title::kb_of(update), "", ""]),
            |update| self.kbs.advise(os, update).map(Arc::new),
        );
        let number = |update: &Update<'_>| windows::kb_number(title::kb_of(update));
        let of_state = |wanted: UpdateState| {
            updates.iter().enumerate().filter(move |(_, update)| update.update_state == wanted)
        };
        let mut installed: Vec<u32> =
            of_state(UpdateState::Installed).filter_map(|(_, update)| number(update)).collect();
        installed.sort_unstable();
        if installed.is_empty() {
            return advice;
        }
        for (at, update) in of_state(UpdateState::Needed) {
            let Some(number) = number(update) else { continue };
            let superseded_by = self.kbs.superseded_by(number, &installed);
            if superseded_by.is_empty() {
                continue;
            }
            if let Some(slot) = advice.get_mut(at) {
                let known = slot.as_deref().cloned().unwrap_or_default();
                *slot = Some(Arc::new(Advice { superseded_by, ..known }));
            }
        }
        advice
    }
}

/// What the advisories `found`, the gravest first, say together.
fn advice(found: &[Fixed<'_>]) -> Option<Advice> {
    let gravest = found.first()?;
    let all = |text: fn(Fixed<'_>) -> &str| {
        let mut seen = hashbrown::HashSet::new();
        let texts = found.iter().map(|fixed| text(*fixed));
        join(texts.filter(|text| !text.is_empty() && seen.insert(*text)))
    };
    // What is missing has been missing since the first of its security fixes came out.
    let dates = found.iter().filter(|fixed| fixed.is_security() == gravest.is_security());
    let url = found.iter().map(|fixed| fixed.url()).find(|url| !url.is_empty());
    let cves: BTreeSet<&str> = found.iter().flat_map(|fixed| fixed.cves()).collect();
    Some(Advice {
        classification: severity::linux_class(gravest.is_security(), gravest.severity()),
        advisory_ids: all(|fixed| fixed.id()),
        bulletin_id: all(|fixed| fixed.bulletin()),
        bulletin_url: url.unwrap_or_default().to_owned(),
        cve_numbers: join(cves),
        package_severity: gravest.severity().to_owned(),
        published_date: dates.filter_map(|fixed| fixed.published()).min(),
        ..Advice::default()
    })
}

/// `items` with `;` between them. A list that would grow too long ends with how many are left out.
fn join<'t>(items: impl IntoIterator<Item = &'t str>) -> String {
    let mut list = String::new();
    let mut left_out = 0_usize;
    for item in items {
        if left_out > 0 || list.len() + item.len() > LIST_BYTES_MAX {
            left_out += 1;
            continue;
        }
        if !list.is_empty() {
            list.push(';');
        }
        list.push_str(item);
    }
    if left_out > 0 {
        list.push_str(&format!(";and {left_out} more"));
    }
    list
}

/// The needed packages of a scan with their positions, each with what is installed of it: the same
/// architecture's version, or another's where none is, and of several the newest.
fn available<'u>(
    updates: &'u [Update<'_>],
    scheme: Scheme,
) -> impl Iterator<Item = (usize, Available<'u>)> {
    let is_needed = |update: &Update<'_>| update.update_state == UpdateState::Needed;
    let needed = updates.iter().filter(|update| is_needed(update));
    let mut installed: hashbrown::HashMap<&str, Vec<&Update<'_>>> =
        needed.map(|update| (update.product.as_ref(), Vec::new())).collect();
    for update in updates.iter().filter(|update| !is_needed(update)) {
        if let Some(found) = installed.get_mut(update.product.as_ref()) {
            found.push(update);
        }
    }
    updates.iter().enumerate().filter(move |(_, update)| is_needed(update)).map(
        move |(at, update)| {
            let found = installed.get(update.product.as_ref()).map_or(&[][..], Vec::as_slice);
            let same = |one: &&&Update<'_>| one.product_arch == update.product_arch;
            let newest = newest(found.iter().filter(same).copied(), scheme)
                .or_else(|| newest(found.iter().copied(), scheme));
            let available = Available {
                name: &update.product,
                arch: &update.product_arch,
                version: &update.product_version,
                installed: newest.unwrap_or_default(),
            };
            (at, available)
        },
    )
}

fn newest<'u>(
    mut installed: impl Iterator<Item = &'u Update<'u>>,
    scheme: Scheme,
) -> Option<&'u str> {
    let first = installed.next()?.product_version.as_ref();
    let mut newest = (Vec::new(), first);
    for update in installed {
        let key = |version: &str| {
            let mut key = Vec::new();
            scheme.sort_key(version, &mut key);
            key
        };
        if newest.0.is_empty() {
            newest.0 = key(newest.1);
        }
        let other = (key(&update.product_version), update.product_version.as_ref());
        if other.0 > newest.0 {
            newest = other;
        }
    }
    Some(newest.1)
}

/// The sort keys that a package's advisories are compared with.
struct Versions {
    scheme: Scheme,
    installed: Option<Vec<u8>>,
    available: Vec<u8>,
    /// The versions are CentOS's own, which name the release otherwise than Red Hat's.
    rebuilt: bool,
}

impl Versions {
    /// Nothing for an available version that is none, and for an installed one that says so.
    fn new(distribution: &str, one: Available<'_>) -> Option<Self> {
        let scheme = packages::scheme(distribution);
        let rebuilt = distribution == "centos"
            && (one.version.contains(".centos") || one.installed.contains(".centos"));
        let key = |version: &str| {
            let mut key = Vec::new();
            let version = if rebuilt { red_hats(version) } else { Cow::Borrowed(version) };
            scheme.sort_key(&version, &mut key).then_some(key)
        };
        let installed = match one.installed {
            "" => None,
            version => Some(key(version)?),
        };
        Some(Self { scheme, installed, available: key(one.version)?, rebuilt })
    }

    /// Those of `list` that the available version brings and the installed one has not.
    fn closed_by<'i>(&self, list: Package<'i>) -> Vec<Fixed<'i>> {
        let Self { scheme, installed, available, rebuilt } = self;
        let installed = installed.as_deref();
        if !rebuilt {
            return list.closed_by(installed, available).collect();
        }
        let is_closed = |fixed: &Fixed<'_>| {
            let mut key = Vec::new();
            scheme.sort_key(&red_hats(fixed.version()), &mut key)
                && match installed {
                    Some(installed) => installed < key.as_slice() && key <= *available,
                    None => key == *available,
                }
        };
        list.all().filter(is_closed).collect()
    }

    /// Whether `fixed`, or a newer version, is installed.
    fn is_installed(&self, fixed: Fixed<'_>) -> bool {
        let Self { scheme, installed: Some(installed), rebuilt, .. } = self else { return false };
        if !rebuilt {
            return !fixed.key().is_empty() && fixed.key() <= installed.as_slice();
        }
        let mut key = Vec::new();
        scheme.sort_key(&red_hats(fixed.version()), &mut key) && key <= *installed
    }

    /// Whether the installed version is `introduced` or newer, as far as both are known.
    fn is_affected(&self, introduced: &[u8]) -> bool {
        self.installed.as_deref().is_none_or(|installed| installed >= introduced)
    }
}

/// A version without what tells CentOS's rebuild from Red Hat's original: `97.el7.centos.5` and
/// `97.el7_9.5` are both `97.el7.5`.
fn red_hats(version: &str) -> Cow<'_, str> {
    let version = version.replace(".centos", "");
    let Some((before, after)) = version.split_once(".el") else { return version.into() };
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let (major, rest) = after.split_at(digits(after));
    let rest = match rest.strip_prefix('_') {
        Some(minor) => minor.get(digits(minor)..).unwrap_or_default(),
        None => rest,
    };
    format!("{before}.el{major}{rest}").into()
}

#[cfg(test)]
mod tests;
