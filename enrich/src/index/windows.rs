//! Knowledge base updates: what is known of one for a product, and which replaces which.
//!
//! Severity, CVEs and restart differ between the products of one KB, and a report names products
//! less exactly than MSRC does: `Windows 7` where the bulletin has `Internet Explorer 11 on Windows 7
//! for x64-based Systems Service Pack 1`. The first of these that is not empty counts: the products
//! named exactly as the update's, those that name the update's, those that name the computer's
//! Windows, all of the KB's. Over what counts the gravest is taken.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, OnceLock};

use patchline_schemas::{Advisory, Timestamp, Update};

use super::join;
use super::severity;
use super::texts::{Texts, at, number};
use crate::advice::{Advice, Os};
use crate::{classify, title};

/// An advisory's part on Windows, its texts by number.
#[derive(Debug)]
struct Bulletin {
    id: u32,
    msrc: u32,
    url: u32,
    security: bool,
    published: Option<Timestamp>,
    fixes: Vec<Fix>,
}

/// A KB for a product.
#[derive(Debug)]
struct Fix {
    kb: u32,
    /// As [`plain`] writes it.
    product: u32,
    severity: u32,
    restart: Restart,
    url: u32,
    cves: Box<[u32]>,
    supersedes: Box<[u32]>,
}

/// Whether it restarts the computer; more is worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Restart {
    Unknown,
    Never,
    Maybe,
    Always,
}

impl Restart {
    fn parse(required: &str) -> Self {
        match required.to_ascii_lowercase().as_str() {
            "yes" => Self::Always,
            "maybe" => Self::Maybe,
            "no" => Self::Never,
            _ => Self::Unknown,
        }
    }

    /// As the `Update` table spells it.
    fn behavior(self) -> &'static str {
        match self {
            Self::Unknown => "",
            Self::Never => "neverreboots",
            Self::Maybe => "canrequestreboot",
            Self::Always => "alwaysreboots",
        }
    }
}

/// Takes advisories in.
#[derive(Debug, Default)]
pub(crate) struct Bulletins {
    /// By source and id.
    all: BTreeMap<(Box<str>, Box<str>), Arc<Bulletin>>,
    texts: Arc<Texts>,
    built: Option<Arc<Kbs>>,
}

impl Bulletins {
    /// Takes `advisory` in, if it speaks of Windows, in place of the one with its source and id.
    pub(crate) fn upsert(&mut self, advisory: &Advisory<'_>) {
        self.remove(&advisory.source, &advisory.id);
        if advisory.kb_fixes.is_empty() {
            return;
        }
        let texts = Arc::make_mut(&mut self.texts);
        let fixes = advisory.kb_fixes.iter().filter_map(|fix| {
            Some(Fix {
                kb: kb_number(&fix.kbid)?,
                product: texts.intern(&plain(&fix.product)),
                severity: texts.intern(&fix.severity),
                restart: Restart::parse(&fix.restart_required),
                url: texts.intern(&fix.url),
                cves: fix.cve_numbers.iter().map(|cve| texts.intern(cve)).collect(),
                supersedes: fix.supersedes.iter().filter_map(|kb| kb_number(kb)).collect(),
            })
        });
        let fixes = fixes.collect();
        let msrc = if is_msrc(&advisory.bulletin_id) { &advisory.bulletin_id } else { "" };
        let bulletin = Bulletin {
            id: texts.intern(&advisory.id),
            msrc: texts.intern(msrc),
            url: texts.intern(&advisory.bulletin_url),
            // MSRC publishes nothing else; another source says so if it does.
            security: advisory.kind.is_empty()
                || severity::is_security(&advisory.kind, "", !advisory.cve_numbers.is_empty()),
            published: advisory.published,
            fixes,
        };
        let key = (advisory.source.as_ref().into(), advisory.id.as_ref().into());
        self.all.insert(key, Arc::new(bulletin));
        self.built = None;
    }

    /// Forgets an advisory.
    pub(crate) fn remove(&mut self, source: &str, id: &str) {
        if self.all.remove(&(source.into(), id.into())).is_some() {
            self.built = None;
        }
    }

    /// What there is now. As long as nothing changes it is the same one.
    pub(crate) fn build(&mut self) -> Arc<Kbs> {
        let build = || Arc::new(Kbs::new(self.all.values().cloned().collect(), &self.texts));
        Arc::clone(self.built.get_or_insert_with(build))
    }
}

/// The number of a KB, however it is written.
pub(crate) fn kb_number(kbid: &str) -> Option<u32> {
    title::kb_digits(kbid).parse().ok()
}

/// Whether `id` is like `MS17-010`.
fn is_msrc(id: &str) -> bool {
    id.strip_prefix("MS").and_then(|id| id.split_once('-')).is_some_and(|(year, number)| {
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        year.len() == 2 && number.len() == 3 && is_number(year) && is_number(number)
    })
}

/// Lower case, single blanks, no maker's name: products are compared so.
fn plain(product: &str) -> String {
    let lower = product.to_lowercase();
    let words = lower.split_whitespace().filter(|word| *word != "microsoft" && *word != "®");
    words.collect::<Vec<_>>().join(" ")
}

/// Whether `product` names `part`, and not the next version of it.
fn names(product: &str, part: &str) -> bool {
    !part.is_empty()
        && product.match_indices(part).any(|(begin, _)| {
            let (before, rest) = product.split_at(begin);
            let after = rest.get(part.len()..).unwrap_or_default();
            let is_part = |c: char| c.is_alphanumeric() || c == '.';
            !before.ends_with(is_part)
                && !after.starts_with(is_part)
                && !after.trim_start().starts_with("r2")
        })
}

/// The Windows in the name of an edition: `windows server 2012 r2` of `Microsoft Windows Server 2012
/// R2 Datacenter`.
fn family(os_name: &str) -> String {
    let name = plain(os_name);
    let Some((_, told)) = name.split_once("windows ") else { return String::new() };
    let mut words = told.split_whitespace().peekable();
    let mut family = "windows".to_owned();
    for expected in ["server", ""] {
        if words.peek().is_some_and(|word| expected.is_empty() || *word == expected) {
            family.push(' ');
            family.push_str(words.next().unwrap_or_default());
        }
    }
    if words.peek() == Some(&"r2") {
        family.push_str(" r2");
    }
    family
}

/// All knowledge base updates.
#[derive(Debug, Default)]
pub(crate) struct Kbs {
    bulletins: Vec<Arc<Bulletin>>,
    by_number: HashMap<u32, Kb>,
    texts: Arc<Texts>,
}

#[derive(Debug, Default)]
struct Kb {
    /// By bulletin and fix.
    fixes: Vec<(u32, u32)>,
    /// When it came out.
    published: Option<Timestamp>,
    /// Those that name it as replaced.
    superseded_by: BTreeSet<u32>,
    /// Those that replace it, directly or by way of others; found when first asked for.
    replacements: OnceLock<Box<[u32]>>,
}

impl Kbs {
    fn new(bulletins: Vec<Arc<Bulletin>>, texts: &Arc<Texts>) -> Self {
        let mut by_number: HashMap<u32, Kb> = HashMap::new();
        for (bulletin_at, bulletin) in bulletins.iter().enumerate() {
            for (fix_at, fix) in bulletin.fixes.iter().enumerate() {
                let kb = by_number.entry(fix.kb).or_default();
                kb.fixes.push((number(bulletin_at), number(fix_at)));
                kb.published = earlier(kb.published, bulletin.published);
                for old in fix.supersedes.iter().filter(|old| **old != fix.kb) {
                    by_number.entry(*old).or_default().superseded_by.insert(fix.kb);
                }
            }
        }
        Self { bulletins, by_number, texts: Arc::clone(texts) }
    }

    /// The number of KBs that a vendor speaks of.
    pub(crate) fn len(&self) -> usize {
        self.by_number.values().filter(|kb| !kb.fixes.is_empty()).count()
    }

    fn fixes<'i>(&'i self, kb: &'i Kb) -> impl Iterator<Item = (&'i Bulletin, &'i Fix)> {
        kb.fixes.iter().filter_map(|(bulletin, fix)| {
            let bulletin = self.bulletins.get(at(*bulletin))?;
            Some((bulletin.as_ref(), bulletin.fixes.get(at(*fix))?))
        })
    }

    /// What is known of `update` for its product, else for the Windows that `os` is.
    pub(crate) fn advise(&self, os: Os<'_>, update: &Update<'_>) -> Option<Advice> {
        let kb = self.by_number.get(&kb_number(title::kb_of(update))?)?;
        let all: Vec<_> = self.fixes(kb).collect();
        if all.is_empty() {
            return None;
        }
        let (product, family) = (plain(&update.product), family(os.name));
        let with = |is: &dyn Fn(&str) -> bool| {
            let is = |fix: &Fix| is(self.texts.get(fix.product));
            let chosen: Vec<_> = all.iter().copied().filter(|(_, fix)| is(fix)).collect();
            (!chosen.is_empty()).then_some(chosen)
        };
        let chosen = with(&|named| !named.is_empty() && named == product)
            .or_else(|| with(&|named| names(named, &product)))
            .or_else(|| with(&|named| names(named, &family)))
            // A source that names no products means all of them.
            .map(|mut chosen| {
                chosen.extend(all.iter().filter(|(_, fix)| self.texts.get(fix.product).is_empty()));
                chosen
            })
            .unwrap_or_else(|| all.clone());
        let gravest = |fixes: &[(&Bulletin, &Fix)]| {
            let severities = fixes.iter().map(|(_, fix)| self.texts.get(fix.severity));
            let gravest = severities.max_by_key(|severity| severity::rank(severity));
            gravest.filter(|severity| severity::rank(severity) > 0)
        };
        let texts = |find: &dyn Fn(&Bulletin, &Fix) -> u32| {
            let found = chosen.iter().map(|(bulletin, fix)| self.texts.get(find(bulletin, fix)));
            found.filter(|text| !text.is_empty()).collect::<BTreeSet<_>>()
        };
        let restarts = |fixes: &[(&Bulletin, &Fix)]| fixes.iter().map(|(_, fix)| fix.restart).max();
        let restart = restarts(&chosen).filter(|restart| *restart > Restart::Unknown);
        let restart = restart.or_else(|| restarts(&all)).unwrap_or(Restart::Unknown);
        let cves =
            chosen.iter().flat_map(|(_, fix)| fix.cves.iter().map(|&cve| self.texts.get(cve)));
        let msrc = join(texts(&|bulletin, _| bulletin.msrc));
        let urls = texts(&|bulletin, _| bulletin.url);
        let downloads = texts(&|_, fix| fix.url);
        let security = all.iter().any(|(bulletin, _)| bulletin.security);
        Some(Advice {
            classification: if security { classify::SECURITY } else { classify::OTHER_WINDOWS },
            advisory_ids: join(texts(&|bulletin, _| bulletin.id)),
            msrc_severity: gravest(&chosen)
                .or_else(|| gravest(&all))
                .unwrap_or_default()
                .to_owned(),
            bulletin_id: msrc.clone(),
            msrc_bulletin_id: msrc,
            bulletin_url: urls.iter().chain(&downloads).next().copied().unwrap_or("").to_owned(),
            cve_numbers: join(cves.collect::<BTreeSet<_>>()),
            package_severity: String::new(),
            reboot_behavior: restart.behavior().to_owned(),
            published_date: kb.published,
            superseded_by: String::new(),
        })
    }

    /// Which of `installed`, in the order of numbers, replace the KB `needed`, joined with `;`. Where two
    /// replace each other, as some do by mistake, the one published later replaces the other.
    pub(crate) fn superseded_by(&self, needed: u32, installed: &[u32]) -> String {
        let published = |kb: u32| self.by_number.get(&kb).and_then(|kb| kb.published);
        let newer = |kb: &&u32| {
            self.replacements(**kb).binary_search(&needed).is_err()
                || published(**kb) > published(needed)
        };
        let mut left = installed.iter().peekable();
        let replacing = self.replacements(needed).iter().filter(|kb| {
            while left.next_if(|one| one < kb).is_some() {}
            left.peek() == Some(kb)
        });
        let numbers: Vec<String> = replacing.filter(newer).map(u32::to_string).collect();
        join(numbers.iter().map(String::as_str))
    }

    /// All that replace `kb`, in the order of numbers, without itself.
    fn replacements(&self, number: u32) -> &[u32] {
        let Some(kb) = self.by_number.get(&number) else { return &[] };
        kb.replacements.get_or_init(|| {
            let mut found = BTreeSet::new();
            let mut left = vec![kb];
            while let Some(kb) = left.pop() {
                for next in &kb.superseded_by {
                    if *next != number && found.insert(*next) {
                        left.extend(self.by_number.get(next));
                    }
                }
            }
            found.into_iter().collect()
        })
    }
}

fn earlier(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    [one, other].into_iter().flatten().min()
}

#[cfg(test)]
mod tests {
    use patchline_schemas::KbFix;

    use super::*;

    const OS: Os<'_> = Os {
        kind: "Windows",
        name: "Microsoft Windows Server 2012 R2 Standard",
        version: "6.3",
        full_name: "",
    };

    fn fix(kb: u32, product: &'static str, severity: &'static str) -> KbFix<'static> {
        KbFix {
            kbid: kb.to_string().into(),
            product: product.into(),
            severity: severity.into(),
            ..KbFix::default()
        }
    }

    fn bulletin(id: &'static str, day: i64, kb_fixes: Vec<KbFix<'static>>) -> Advisory<'static> {
        Advisory {
            id: id.into(),
            source: "msrc-cvrf".into(),
            kind: "security".into(),
            published: Some(Timestamp(day * Timestamp::DAY_MS)),
            kb_fixes,
            ..Advisory::default()
        }
    }

    fn kbs(advisories: &[Advisory<'_>]) -> Arc<Kbs> {
        let mut bulletins = Bulletins::default();
        for advisory in advisories {
            bulletins.upsert(advisory);
        }
        bulletins.build()
    }

    fn update(kb: u32, product: &'static str) -> Update<'static> {
        Update { kbid: kb.to_string().into(), product: product.into(), ..Update::default() }
    }

    #[test]
    fn severity_is_the_products_own_else_the_gravest_of_the_kb() {
        let kbs = kbs(&[bulletin(
            "2017-Mar/4012204",
            1,
            vec![
                fix(4_012_204, "Internet Explorer 9 on Windows Vista Service Pack 2", "Critical"),
                fix(4_012_204, "Internet Explorer 11 on Windows 8.1 for x64-based Systems", "Low"),
                fix(4_012_204, "Internet Explorer 10 on Windows Server 2012", ""),
                fix(4_012_204, "Internet Explorer 11 on Windows Server 2012 R2", "Moderate"),
                fix(4_012_204, "Internet Explorer 11", "Important"),
            ],
        )]);
        for (product, severity) in [
            ("Internet Explorer 11", "Important"),
            ("internet explorer 11 on  Windows Server 2012 R2", "Moderate"),
            ("Windows 8.1", "Low"),
            ("Windows Server 2012 R2", "Moderate"),
            // Its only product is not rated, and R2 is another one.
            ("Windows Server 2012", "Critical"),
            // No product of this name, but the computer's Windows.
            ("Windows 8", "Moderate"),
            ("", "Moderate"),
        ] {
            let advice = kbs.advise(OS, &update(4_012_204, product)).unwrap();
            assert_eq!(advice.msrc_severity, severity, "{product}");
            assert_eq!(advice.classification, "Security Updates");
        }
        let elsewhere = Os { name: "Windows 10 Enterprise", ..OS };
        let advice = kbs.advise(elsewhere, &update(4_012_204, "Edge")).unwrap();
        assert_eq!(advice.msrc_severity, "Critical");
        assert_eq!(kbs.advise(OS, &update(4_012_205, "Windows 8.1")), None);
        assert_eq!(kbs.len(), 1);
    }

    #[test]
    fn cves_restart_and_bulletins_add_up_over_advisories() {
        let mut one = fix(1_000_001, "Windows 7", "Low");
        one.cve_numbers = vec!["CVE-2".into(), "CVE-1".into()];
        one.restart_required = "Maybe".into();
        one.url = "https://example.org/download".into();
        let mut other = fix(1_000_001, "Windows 7", "Important");
        other.cve_numbers = vec!["CVE-3".into()];
        other.restart_required = "Yes".into();
        let mut legacy = bulletin("MS17-010", 3, vec![fix(1_000_001, "", "")]);
        legacy.bulletin_id = "MS17-010".into();
        let kbs =
            kbs(&[bulletin("A", 5, vec![one]), bulletin("B", 4, vec![other]), legacy.clone()]);
        let advice = kbs.advise(OS, &update(1_000_001, "Windows 7")).unwrap();
        assert_eq!(advice.cve_numbers, "CVE-1;CVE-2;CVE-3");
        assert_eq!(advice.msrc_severity, "Important");
        assert_eq!(advice.reboot_behavior, "alwaysreboots");
        assert_eq!(advice.advisory_ids, "A;B;MS17-010");
        assert_eq!(advice.msrc_bulletin_id, "MS17-010");
        assert_eq!(advice.bulletin_url, "https://example.org/download");
        assert_eq!(advice.published_date, Some(Timestamp(3 * Timestamp::DAY_MS)));
    }

    #[test]
    fn a_chain_of_ninety_is_followed_to_its_end() {
        let chain = (1..=90).map(|step| {
            let mut fix = fix(4_000_000 + step, "Windows 7", "Low");
            fix.supersedes = vec![(4_000_000 + step - 1).to_string()];
            bulletin(step.to_string().leak(), i64::from(step), vec![fix])
        });
        let kbs = kbs(&chain.collect::<Vec<_>>());
        let newest = [4_000_090];
        assert_eq!(kbs.superseded_by(4_000_000, &newest), "4000090");
        assert_eq!(kbs.superseded_by(4_000_089, &newest), "4000090");
        assert_eq!(kbs.superseded_by(4_000_090, &newest), "");
        let two = [4_000_040, 4_000_041, 4_000_050];
        assert_eq!(kbs.superseded_by(4_000_040, &two), "4000041;4000050");
        assert_eq!(kbs.superseded_by(5_000_000, &two), "");
    }

    #[test]
    fn in_a_cycle_only_what_is_newer_replaces() {
        let link = |new: u32, old: u32, day: i64| {
            let mut fix = fix(new, "Windows 7", "Low");
            fix.supersedes = vec![old.to_string(), new.to_string()];
            bulletin(new.to_string().leak(), day, vec![fix])
        };
        let apart = kbs(&[link(1_000_001, 1_000_002, 1), link(1_000_002, 1_000_001, 2)]);
        assert_eq!(apart.superseded_by(1_000_001, &[1_000_002]), "1000002");
        assert_eq!(apart.superseded_by(1_000_002, &[1_000_001]), "");
        let same_day = kbs(&[link(1_000_001, 1_000_002, 1), link(1_000_002, 1_000_001, 1)]);
        for (needed, installed) in [(1_000_001, 1_000_002), (1_000_002, 1_000_001)] {
            assert_eq!(same_day.superseded_by(needed, &[installed]), "");
        }
    }

    #[test]
    fn what_is_removed_or_replaced_is_gone() {
        let mut bulletins = Bulletins::default();
        bulletins.upsert(&bulletin("A", 1, vec![fix(1_000_001, "Windows 7", "Low")]));
        let before = bulletins.build();
        bulletins.upsert(&bulletin("A", 1, vec![fix(1_000_002, "Windows 7", "Low")]));
        let after = bulletins.build();
        assert!(before.advise(OS, &update(1_000_001, "")).is_some());
        assert!(after.advise(OS, &update(1_000_001, "")).is_none());
        assert!(after.advise(OS, &update(1_000_002, "")).is_some());
        bulletins.remove("msrc-cvrf", "A");
        assert!(bulletins.build().advise(OS, &update(1_000_002, "")).is_none());
    }

    #[test]
    fn the_windows_of_an_edition_is_found() {
        for (edition, expected) in [
            ("Microsoft Windows Server 2012 R2 Datacenter", "windows server 2012 r2"),
            ("Windows Server 2016 Standard", "windows server 2016"),
            ("Windows 10 Enterprise", "windows 10"),
            ("Windows", ""),
            ("Ubuntu", ""),
        ] {
            assert_eq!(family(edition), expected);
        }
    }
}
