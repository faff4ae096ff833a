//! One import: sources in, entries to the topic, and an account of what became of every record.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

use patchline_schemas::Advisory;

use super::document::{self, Content};
use super::publish::{Outcome, PublishError, Publisher};
use super::seen::Seen;
use super::updateinfo::System;
use super::walk::{Source, Visit, Walk};
use super::{Collect, Unreadable};

/// Faults that are told one by one; of more, the number is told.
const FAULTS_TOLD_MAX: usize = 50;

/// What became of everything.
#[derive(Debug, Default)]
pub struct Report {
    /// Documents that were read, by format.
    pub documents: BTreeMap<&'static str, u64>,
    /// Files among others that are in no known format: how many, and the first of them.
    pub unknown: (u64, Vec<String>),
    /// Entries by what became of them.
    pub entries: BTreeMap<Outcome, u64>,
    /// URLs that are as they were at the last import.
    pub same: u64,
    /// Sound records with nothing for the catalog, by reason.
    pub left_out: BTreeMap<&'static str, u64>,
    /// Documents and records that cannot be used: how many, and the first of them.
    pub faults: (u64, Vec<String>),
    /// Messages in the topic that cannot be read.
    pub unreadable: u64,
}

impl Report {
    /// Entries with this outcome.
    #[must_use]
    pub fn entries(&self, outcome: Outcome) -> u64 {
        self.entries.get(&outcome).copied().unwrap_or_default()
    }

    /// Entries that were written.
    #[must_use]
    pub fn published(&self) -> u64 {
        self.entries(Outcome::New) + self.entries(Outcome::Changed)
    }

    /// Whether there was anything in a known format that could be used.
    #[must_use]
    pub fn found_something(&self) -> bool {
        let untroubled = self.faults.0 == 0 && (self.same > 0 || !self.documents.is_empty());
        !self.entries.is_empty() || untroubled
    }

    fn fault(&mut self, text: String) {
        self.faults.0 += 1;
        if self.faults.1.len() < FAULTS_TOLD_MAX {
            self.faults.1.push(text);
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let documents: Vec<String> =
            self.documents.iter().map(|(format, count)| format!("{count} {format}")).collect();
        let documents = if documents.is_empty() { "none".to_owned() } else { documents.join(", ") };
        writeln!(f, "documents: {documents}")?;
        let of = |outcome| self.entries(outcome);
        let total: u64 = self.entries.values().sum();
        writeln!(
            f,
            "advisories: {total}; published: {} ({} new, {} changed), unchanged: {}",
            self.published(),
            of(Outcome::New),
            of(Outcome::Changed),
            of(Outcome::Unchanged)
        )?;
        if self.same > 0 {
            writeln!(
                f,
                "skipped: {} (URLs that have not changed since their last import)",
                self.same
            )?;
        }
        for (outcome, why) in [
            (Outcome::Older, "the catalog has a later state of it"),
            (Outcome::Repeated, "another with its key came first in this import"),
        ] {
            if of(outcome) > 0 {
                writeln!(f, "skipped: {} ({why})", of(outcome))?;
            }
        }
        for (why, count) in &self.left_out {
            writeln!(f, "skipped: {count} ({why})")?;
        }
        if let (count @ 1.., names) = &self.unknown {
            writeln!(f, "skipped: {count} files in no known format, such as {}", names.join(", "))?;
        }
        if self.unreadable > 0 {
            writeln!(f, "unreadable in the topic: {}; see `verify`", self.unreadable)?;
        }
        writeln!(f, "unusable: {}", self.faults.0)?;
        for fault in &self.faults.1 {
            writeln!(f, "  {fault}")?;
        }
        let untold = self.faults.0 - self.faults.1.len() as u64;
        if untold > 0 {
            writeln!(f, "  and {untold} more")?;
        }
        Ok(())
    }
}

/// An import under way.
pub struct Import<'i> {
    publisher: Publisher,
    system: Option<System>,
    report: Report,
    /// The document that is being read.
    name: String,
    read: Rc<Cell<u64>>,
    progress: &'i mut dyn FnMut(&Report, u64),
    broken: Option<PublishError>,
}

impl<'i> Import<'i> {
    /// An import that writes by `publisher`. `system` is the one that an `updateinfo.xml` is for.
    /// `progress` hears, with every document, what was found and how many bytes of files were read.
    pub fn new(
        publisher: Publisher,
        system: Option<System>,
        progress: &'i mut dyn FnMut(&Report, u64),
    ) -> Self {
        Self {
            publisher,
            system,
            report: Report::default(),
            name: String::new(),
            read: Rc::default(),
            progress,
            broken: None,
        }
    }

    /// Imports all of `sources`, except for URLs that are as they were `seen` last.
    ///
    /// # Errors
    /// Entries could not be written. What is wrong with sources is in the report.
    pub fn run(mut self, sources: &[Source], seen: &mut Seen) -> Result<Report, PublishError> {
        let read = Rc::clone(&self.read);
        for source in sources {
            let faults = self.report.faults.0;
            let known = match source {
                Source::Url(url) => seen.get(url).cloned(),
                Source::Path(_) => None,
            };
            let state = Walk::new(&mut self, Rc::clone(&read)).source(source, known.as_ref());
            if let Some(error) = self.broken.take() {
                return Err(error);
            }
            if let Source::Url(url) = source {
                seen.set(url, state.filter(|_| self.report.faults.0 == faults));
            }
        }
        self.publisher.finish()?;
        Ok(self.report)
    }
}

impl Visit for Import<'_> {
    fn document(&mut self, name: &str, content: Content<'_>, named: bool) {
        if self.broken.is_some() {
            return;
        }
        name.clone_into(&mut self.name);
        let system = self.system.take();
        let imported = document::import(content, system.as_ref(), self);
        self.system = system;
        match imported {
            Ok(format) => *self.report.documents.entry(format).or_default() += 1,
            // What lies beside documents is nobody's fault.
            Err(Unreadable::Format(_)) if !named => {
                let (count, names) = &mut self.report.unknown;
                *count += 1;
                if names.len() < 3 {
                    names.push(name.to_owned());
                }
            }
            Err(error) => self.report.fault(format!("{name} {error}")),
        }
        (self.progress)(&self.report, self.read.get());
    }

    fn unchanged(&mut self, _name: &str) {
        self.report.same += 1;
    }

    fn failed(&mut self, name: &str, error: &Unreadable) {
        self.report.fault(format!("{name} {error}"));
    }
}

impl Collect for Import<'_> {
    fn advisory(&mut self, advisory: Advisory<'static>) {
        if self.broken.is_some() {
            return;
        }
        match self.publisher.offer(&advisory) {
            Ok(outcome) => *self.report.entries.entry(outcome).or_default() += 1,
            Err(error) if error.is_of_one_entry() => self.bad(&advisory.id, &error.to_string()),
            Err(error) => self.broken = Some(error),
        }
    }

    fn left_out(&mut self, why: &'static str) {
        *self.report.left_out.entry(why).or_default() += 1;
    }

    fn bad(&mut self, record: &str, why: &str) {
        self.report.fault(format!("{}: {record}: {why}", self.name));
    }
}
