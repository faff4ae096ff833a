//! What the console must show, worked out in plain code from what the fleet's computers reported.

use std::collections::{BTreeMap, BTreeSet};

use patchline_local::fleet::Judgement;
use patchline_schemas::{Scan, Timestamp, Update, UpdateState};

use crate::world::{FORMULA, MARKUP, SILENT_MIN, World};

const MINUTE_MS: i64 = 60_000;

/// What is known of a computer.
#[derive(Debug, Default)]
pub(crate) struct Computer<'w> {
    pub(crate) name: String,
    pub(crate) os: String,
    pub(crate) group: String,
    pub(crate) seen: i64,
    /// Its scans by time, each with a judgement an update.
    pub(crate) scans: BTreeMap<i64, (&'w Scan<'static>, &'w [Judgement])>,
}

/// A missing update as the console tells them apart: name, version (of Linux packages), system, KB, classification.
pub(crate) type Missing = [String; 5];

pub(crate) fn computers(world: &World) -> BTreeMap<String, Computer<'_>> {
    let mut computers: BTreeMap<String, Computer<'_>> = BTreeMap::new();
    for beat in &world.truth.heartbeats {
        let computer = computers.entry(beat.source_computer_id.to_string()).or_default();
        computer.name = beat.computer.to_string();
        computer.os = beat.os_type.to_string();
        computer.group = beat.management_group_name.to_string();
        computer.seen = computer.seen.max(beat.time_generated.0);
    }
    for (scan, judgements) in &world.truth.scans {
        let computer = computers.entry(scan.source_computer_id.to_string()).or_default();
        computer.name = scan.computer.to_string();
        computer.os = scan.os_type.to_string();
        computer.group = scan.management_group_name.to_string();
        computer.seen = computer.seen.max(scan.time_generated.0);
        computer.scans.insert(scan.time_generated.0, (scan, judgements));
    }
    for name in [MARKUP, FORMULA] {
        let computer = computers.entry(name.to_owned()).or_default();
        (computer.name, computer.os) = (name.to_owned(), "Linux".to_owned());
        (computer.group, computer.seen) = ("Strange".to_owned(), Timestamp::now().0);
    }
    computers
}

/// What of a scan counts as missing: needed, approved and not optional.
pub(crate) fn missing<'w>(
    (scan, judgements): (&'w Scan<'static>, &'w [Judgement]),
) -> impl Iterator<Item = (&'w Update<'static>, &'w Judgement)> {
    let counts = |update: &Update<'_>| {
        update.update_state == UpdateState::Needed && update.approved && !update.optional
    };
    scan.updates.iter().zip(judgements).filter(move |(update, _)| counts(update))
}

impl<'w> Computer<'w> {
    pub(crate) fn newest(&self) -> Option<(i64, (&'w Scan<'static>, &'w [Judgement]))> {
        self.scans.last_key_value().map(|(time, scan)| (*time, *scan))
    }

    /// Its newest scan, where that is no older than `from` and the computer reports.
    pub(crate) fn assessed(
        &self,
        from: i64,
        to: i64,
    ) -> Option<(&'w Scan<'static>, &'w [Judgement])> {
        let silent = self.seen < to - i64::from(SILENT_MIN) * MINUTE_MS;
        self.newest().filter(|(time, _)| *time >= from && !silent).map(|(_, scan)| scan)
    }

    pub(crate) fn state(&self, from: i64, to: i64) -> &'static str {
        match self.assessed(from, to) {
            None if self.seen < to - i64::from(SILENT_MIN) * MINUTE_MS => "Not reporting",
            None => "Not assessed",
            Some((scan, _)) if scan.restart_pending => "Restart pending",
            Some(scan) if missing(scan).next().is_some() => "Updates needed",
            Some(_) => "Up to date",
        }
    }
}

/// How many missing updates of a scan have this classification.
pub(crate) fn missing_of(scan: (&Scan<'static>, &[Judgement]), class: &str) -> u64 {
    missing(scan).filter(|(_, judgement)| judgement.classification == class).count() as u64
}

pub(crate) fn is_compliant(scan: (&Scan<'static>, &[Judgement])) -> bool {
    missing_of(scan, "Critical Updates") + missing_of(scan, "Security Updates") == 0
}

/// The missing updates of every newest scan since `from`, with the computers that miss them.
pub(crate) fn missing_updates(
    computers: &BTreeMap<String, Computer<'_>>,
    from: i64,
) -> BTreeMap<Missing, BTreeSet<String>> {
    let mut all: BTreeMap<Missing, BTreeSet<String>> = BTreeMap::new();
    for (id, computer) in computers {
        let newest = computer.newest().filter(|(time, _)| *time >= from);
        for (update, judgement) in newest.into_iter().flat_map(|(_, scan)| missing(scan)) {
            let name = if update.title.is_empty() { &update.product } else { &update.title };
            let linux = computer.os == "Linux";
            let version = if linux { update.product_version.as_ref() } else { "" };
            let key = [name, version, &computer.os, update.kbid.as_ref(), judgement.classification];
            all.entry(key.map(str::to_owned)).or_default().insert(id.clone());
        }
    }
    all
}
