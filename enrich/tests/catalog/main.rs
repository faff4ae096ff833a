//! What importers make of vendors' documents, and of what only looks like one. Needs nothing; what reads
//! the conformance data says so where the data is missing.
//!
//! The random tests print their seed; `SEED=<number>` repeats one.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a failing test should stop at once"
)]

mod conformance;
mod fixtures;
mod fuzz;
mod importers;
mod packed;

use patchline_enrich::advisories::document::{self, Content};
use patchline_enrich::advisories::updateinfo::System;
use patchline_enrich::advisories::{Collect, Unreadable};
use patchline_schemas::Advisory;

/// Keeps everything that is found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) advisories: Vec<Advisory<'static>>,
    pub(crate) left_out: Vec<&'static str>,
    pub(crate) bad: Vec<String>,
}

impl Collect for Found {
    fn advisory(&mut self, advisory: Advisory<'static>) {
        self.advisories.push(advisory);
    }
    fn left_out(&mut self, why: &'static str) {
        self.left_out.push(why);
    }
    fn bad(&mut self, record: &str, why: &str) {
        self.bad.push(format!("{record}: {why}"));
    }
}

impl Found {
    pub(crate) fn ids(&self) -> Vec<&str> {
        self.advisories.iter().map(|one| one.id.as_ref()).collect()
    }

    pub(crate) fn by_id(&self, id: &str) -> &Advisory<'static> {
        let found = self.advisories.iter().find(|one| one.id == id);
        found.unwrap_or_else(|| panic!("no {id} among {:?}", self.ids()))
    }
}

/// Imports `document`, in whatever format it is.
pub(crate) fn import(
    document: &[u8],
    system: Option<&str>,
) -> (Found, Result<&'static str, Unreadable>) {
    let mut found = Found::default();
    let system: Option<System> = system.map(|system| system.parse().unwrap());
    let content = Content::Stream(&mut &*document);
    let result = document::import(content, system.as_ref(), &mut found);
    (found, result)
}

/// Fixed versions of an advisory, a line each: system, package, version, and what else is told.
pub(crate) fn rows(advisory: &Advisory<'_>) -> Vec<String> {
    let row = |fix: &patchline_schemas::PackageFix<'_>| {
        let mut row = format!("{}-{} {} {}", fix.distribution, fix.release, fix.package, fix.fixed);
        for (name, value) in
            [("since", &fix.introduced), ("arch", &fix.arch), ("module", &fix.module)]
        {
            if !value.is_empty() {
                row.push_str(&format!(" {name} {value}"));
            }
        }
        if fix.source {
            row.push_str(" source");
        }
        row
    };
    advisory.package_fixes.iter().map(row).collect()
}
