//! The question to the catalog and its answer: on which system, and what vendors say of one update.

use patchline_schemas::{Scan, Timestamp};

/// The system that a scan is of, as its report says it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Os<'a> {
    /// `Windows` or `Linux`.
    pub kind: &'a str,
    /// Distribution or edition: `Ubuntu`, `Windows Server 2016 Datacenter`.
    pub name: &'a str,
    /// Release: `16.04`, `7.4`, `10.0.14393`.
    pub version: &'a str,
    /// Name and release together: `Ubuntu 16.04`, `SUSE Linux Enterprise Server 12 SP3`.
    pub full_name: &'a str,
}

impl<'a> Os<'a> {
    /// The system that `scan` is of.
    #[must_use]
    pub fn of(scan: &'a Scan<'_>) -> Self {
        Self {
            kind: &scan.os_type,
            name: &scan.os_name,
            version: &scan.os_version,
            full_name: &scan.os_full_name,
        }
    }

    pub(crate) fn is_linux(self) -> bool {
        self.kind == "Linux"
    }
}

/// What the catalog knows about one update. What it does not know is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Advice {
    /// A classification of the `Update` table; empty where the catalog has no word on that.
    pub classification: &'static str,
    /// Ids of the catalog's entries, joined with `;`.
    pub advisory_ids: String,
    /// Windows: `Critical`, `Important`, `Moderate`, `Low`.
    pub msrc_severity: String,
    /// Windows: MSRC bulletins, `MS17-010`, joined with `;`.
    pub msrc_bulletin_id: String,
    /// The vendor's bulletin or advisory ids, joined with `;`.
    pub bulletin_id: String,
    /// Where to read it.
    pub bulletin_url: String,
    /// CVE ids, joined with `;`.
    pub cve_numbers: String,
    /// Linux: severity as the vendor states it.
    pub package_severity: String,
    /// `neverreboots`, `canrequestreboot`, `alwaysreboots`.
    pub reboot_behavior: String,
    /// When the vendor published the update.
    pub published_date: Option<Timestamp>,
    /// Windows: installed updates, by KB number, that replace this needed one, joined with `;`.
    pub superseded_by: String,
}
