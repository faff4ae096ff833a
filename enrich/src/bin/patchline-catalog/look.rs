//! Looks into the catalog: one advisory or package, all of it in numbers, or whether all is sound.

use std::collections::{BTreeMap, HashMap};
use std::process::ExitCode;

use patchline_enrich::advisories::key;
use patchline_enrich::advisories::topic::Topic;
use patchline_enrich::advisories::updateinfo::System;
use patchline_schemas::{Advisory, Codec, KbFix, PackageFix, Timestamp};
use rdkafka::message::{BorrowedMessage, Message};

/// Rows of one advisory that are shown.
const ROWS_SHOWN_MAX: usize = 40;

/// Shows the newest state of every entry that is about `what`.
pub(crate) fn show(topic: &Topic, what: &str, system: Option<&System>) -> anyhow::Result<ExitCode> {
    let codec = Codec::new()?;
    let wanted = Wanted::new(what, system);
    // Only what is about it is kept, so that the catalog's size does not matter.
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    topic.read(|message| {
        let Some(key) = message.key().map(|key| String::from_utf8_lossy(key).into_owned()) else {
            return;
        };
        let text =
            message.payload().and_then(|payload| read(&codec, payload, |one| wanted.text(one)));
        match text.flatten() {
            Some(text) => found.insert(key, text),
            // A later state may not be about it any more.
            None => found.remove(&key),
        };
    })?;
    for text in found.values() {
        println!("{text}");
    }
    if found.is_empty() {
        let system = system.map(|system| format!(" for {system}")).unwrap_or_default();
        println!("nothing about {what}{system}");
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

/// Counts entries and rows, by source, kind, distribution and release.
pub(crate) fn stats(topic: &Topic) -> anyhow::Result<ExitCode> {
    let codec = Codec::new()?;
    let mut entries: HashMap<String, Counted> = HashMap::new();
    let mut newest = 0;
    topic.read(|message| {
        newest = newest.max(message.timestamp().to_millis().unwrap_or_default());
        let Some(key) = message.key().map(|key| String::from_utf8_lossy(key).into_owned()) else {
            return;
        };
        match message.payload().and_then(|payload| read(&codec, payload, Counted::new)) {
            Some(counted) => entries.insert(key, counted),
            None => entries.remove(&key),
        };
    })?;
    let mut sources: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    let mut systems: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    let (mut withdrawn, mut kb_rows, mut package_rows) = (0, 0, 0);
    for entry in entries.values() {
        let (advisories, rows) = sources.entry(&entry.source).or_default();
        *advisories += 1;
        *rows += entry.kbs + entry.systems.iter().map(|(_, rows)| rows).sum::<u64>();
        withdrawn += u64::from(entry.withdrawn);
        kb_rows += entry.kbs;
        for (system, count) in &entry.systems {
            let (advisories, rows) = systems.entry(system).or_default();
            *advisories += 1;
            *rows += count;
            package_rows += count;
        }
    }
    println!("advisories: {}, withdrawn: {withdrawn}", entries.len());
    println!("rows: {kb_rows} of KBs and products, {package_rows} of packages and fixed versions");
    if newest > 0 {
        println!("newest published: {}", Timestamp(newest));
    }
    println!("messages up to offset {} in {}", topic.end(), topic.name());
    for (title, counts) in [("source", &sources), ("system", &systems)] {
        println!("\n{title:<24} {:>12} {:>12}", "advisories", "rows");
        for (name, (advisories, rows)) in counts {
            println!("{name:<24} {advisories:>12} {rows:>12}");
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Checks every message, and that the topic is `compacted`.
pub(crate) fn verify(topic: &Topic, compacted: bool) -> anyhow::Result<ExitCode> {
    let codec = Codec::new()?;
    let mut faults = Vec::new();
    let mut partitions: HashMap<String, i32> = HashMap::new();
    if !compacted {
        faults.push(format!(
            "topic {} is not compacted: entries will be deleted by their age; set cleanup.policy=compact",
            topic.name()
        ));
    }
    let mut messages = 0_u64;
    topic.read(|message| {
        messages += 1;
        let place = format!("partition {} offset {}", message.partition(), message.offset());
        match check(&codec, message) {
            Ok(key) => {
                if *partitions.entry(key.clone()).or_insert(message.partition())
                    != message.partition()
                {
                    faults.push(format!(
                        "{place}: {key} is in another partition as well, so nothing tells which is newer; \
                         recreate the topic and import again"
                    ));
                }
            }
            Err(problem) => faults.push(format!("{place}: {problem}")),
        }
    })?;
    for fault in &faults {
        println!("{fault}");
    }
    println!("{messages} messages, {} keys, {} faults", partitions.len(), faults.len());
    Ok(if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The message's key, if the message is sound.
fn check(codec: &Codec, message: &BorrowedMessage<'_>) -> Result<String, String> {
    let named = message.key().unwrap_or_default();
    let named = std::str::from_utf8(named).map_err(|_| "its key is no text".to_owned())?;
    let Some(payload) = message.payload() else { return Ok(named.to_owned()) };
    let current = codec.current(payload).map_err(|error| error.to_string())?;
    let advisory: Advisory<'_> = codec.decode(&current).map_err(|error| error.to_string())?;
    let expected = key(&advisory);
    if expected != named {
        return Err(format!("its key is `{named}`, its content says `{expected}`"));
    }
    let kbs = advisory.kb_fixes.iter();
    if let Some(fix) = kbs.clone().find(|fix| !fix.kbid.bytes().all(|byte| byte.is_ascii_digit())) {
        return Err(format!("{named}: `{}` is no KB number", fix.kbid));
    }
    let empty = |fix: &&PackageFix<'_>| fix.package.is_empty() || fix.fixed.is_empty();
    if let Some(fix) = advisory.package_fixes.iter().find(empty) {
        return Err(format!("{named}: a fix of `{}` in `{}`", fix.package, fix.fixed));
    }
    if kbs.len() + advisory.package_fixes.len() == 0 && !advisory.withdrawn {
        return Err(format!("{named}: it fixes nothing"));
    }
    Ok(named.to_owned())
}

/// What `look` sees in the entry, if it can be read.
fn read<T>(codec: &Codec, payload: &[u8], look: impl FnOnce(&Advisory<'_>) -> T) -> Option<T> {
    let current = codec.current(payload).ok()?;
    let advisory: Advisory<'_> = codec.decode(&current).ok()?;
    Some(look(&advisory))
}

/// An entry's numbers.
struct Counted {
    source: String,
    withdrawn: bool,
    kbs: u64,
    systems: Vec<(String, u64)>,
}

impl Counted {
    fn new(advisory: &Advisory<'_>) -> Counted {
        let mut systems: BTreeMap<String, u64> = BTreeMap::new();
        for fix in &advisory.package_fixes {
            *systems.entry(format!("{}-{}", fix.distribution, fix.release)).or_default() += 1;
        }
        Counted {
            source: advisory.source.to_string(),
            withdrawn: advisory.withdrawn,
            kbs: advisory.kb_fixes.len() as u64,
            systems: systems.into_iter().collect(),
        }
    }
}

/// What is looked for.
struct Wanted<'w> {
    what: &'w str,
    /// `what` without `KB`.
    kb: &'w str,
    system: Option<&'w System>,
}

impl<'w> Wanted<'w> {
    fn new(what: &'w str, system: Option<&'w System>) -> Wanted<'w> {
        let kb = what.strip_prefix("KB").or_else(|| what.strip_prefix("kb")).unwrap_or(what);
        Wanted { what, kb, system }
    }

    fn is_of_system(&self, fix: &PackageFix<'_>) -> bool {
        self.system.is_none_or(|system| {
            fix.distribution == system.distribution && fix.release == system.release
        })
    }

    /// The entry for a reader, if it is about what is looked for.
    fn text(&self, advisory: &Advisory<'_>) -> Option<String> {
        let named = [&advisory.id, &advisory.bulletin_id];
        let named = named.into_iter().any(|id| id.eq_ignore_ascii_case(self.what))
            || advisory.cve_numbers.iter().any(|cve| cve.eq_ignore_ascii_case(self.what));
        let kbs: Vec<&KbFix<'_>> = advisory
            .kb_fixes
            .iter()
            .filter(|fix| self.system.is_none() && (named || fix.kbid == self.kb))
            .collect();
        let packages: Vec<&PackageFix<'_>> = advisory
            .package_fixes
            .iter()
            .filter(|fix| (named || fix.package == self.what) && self.is_of_system(fix))
            .collect();
        let about = !kbs.is_empty() || !packages.is_empty() || named && self.system.is_none();
        about.then(|| text(advisory, &kbs, &packages))
    }
}

fn text(advisory: &Advisory<'_>, kbs: &[&KbFix<'_>], packages: &[&PackageFix<'_>]) -> String {
    let mut lines = vec![format!("{}: {}", key(advisory), advisory.title)];
    let mut line = |name: &str, value: String| {
        if !value.is_empty() {
            lines.push(format!("  {name:<10} {value}"));
        }
    };
    let date = |at: Option<Timestamp>| at.map(|at| at.to_string()).unwrap_or_default();
    line("withdrawn", if advisory.withdrawn { "yes".to_owned() } else { String::new() });
    line("kind", advisory.kind.to_string());
    line("severity", advisory.severity.to_string());
    line("bulletin", advisory.bulletin_id.to_string());
    line("url", advisory.bulletin_url.to_string());
    line("cves", advisory.cve_numbers.join(" "));
    line("published", date(advisory.published));
    line("modified", date(advisory.modified));
    for fix in kbs.iter().take(ROWS_SHOWN_MAX) {
        let parts = [
            fix.product.to_string(),
            fix.severity.to_string(),
            said("restart ", &fix.restart_required),
            said("replaces ", &fix.supersedes.join(" ")),
            fix.kind.to_string(),
        ];
        line(&format!("KB{}", fix.kbid), joined(parts));
    }
    for fix in packages.iter().take(ROWS_SHOWN_MAX) {
        let parts = [
            format!("{} {}", fix.package, fix.fixed),
            said("since ", &fix.introduced),
            said("", &fix.arch),
            said("module ", &fix.module),
            if fix.source { "source package".to_owned() } else { String::new() },
        ];
        line(&format!("{}-{}", fix.distribution, fix.release), joined(parts));
    }
    let more = kbs.len().max(packages.len()).saturating_sub(ROWS_SHOWN_MAX);
    line("and", if more > 0 { format!("{more} more") } else { String::new() });
    lines.join("\n")
}

fn said(what: &str, value: &str) -> String {
    if value.is_empty() { String::new() } else { format!("{what}{value}") }
}

fn joined<const N: usize>(parts: [String; N]) -> String {
    let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join(", ")
}
