//! The verdict on one update: the catalog's word first, then the computer's own hint, then a default.
//!
//! `ClassificationSource` says whose word it was. A field that the chosen word leaves open is filled
//! from the other: `RebootBehavior` from the catalog, else the agent; `PublishedDate` the other way
//! round, because the agent tells when *this* revision came out.

use patchline_schemas::{Update, Verdict};

use crate::advice::{Advice, Os};

/// Classification of what mends a grave bug that is no security problem.
pub const CRITICAL: &str = "Critical Updates";
/// Classification of what mends a security problem.
pub const SECURITY: &str = "Security Updates";
/// Linux: classification of everything else.
pub const OTHER_LINUX: &str = "Other Updates";
/// Windows: classification of what has no better one.
pub const OTHER_WINDOWS: &str = "Updates";

const WINDOWS: [&str; 8] = [
    "Applications",
    CRITICAL,
    "Definition Updates",
    "Feature Packs",
    SECURITY,
    "Service Packs",
    "Update Rollups",
    OTHER_WINDOWS,
];

const LINUX: [&str; 3] = [CRITICAL, SECURITY, OTHER_LINUX];

/// The Windows classification that `name` spells, in any case; `Update Rollups` is also written
/// `Update rollups`.
pub(crate) fn windows_class(name: &str) -> Option<&'static str> {
    WINDOWS.into_iter().find(|class| class.eq_ignore_ascii_case(name))
}

/// The Linux classification that `name` spells, in any case.
pub(crate) fn linux_class(name: &str) -> Option<&'static str> {
    LINUX.into_iter().find(|class| class.eq_ignore_ascii_case(name))
}

/// Judges `update` on `os` by what the catalog says of it.
#[must_use]
pub fn verdict<'a>(os: Os<'_>, update: &Update<'a>, advice: Option<&'a Advice>) -> Verdict<'a> {
    let (hint, hint_source) = hinted(os, &update.classification);
    let Some(advice) = advice else {
        return Verdict {
            classification: hint.into(),
            classification_source: hint_source.into(),
            reboot_behavior: update.reboot_behavior.clone(),
            published_date: update.published_date,
            ..Verdict::default()
        };
    };
    let (classification, source) = match advice.classification {
        "" => (hint, hint_source),
        known => (known, "catalog"),
    };
    Verdict {
        classification: classification.into(),
        classification_source: source.into(),
        advisory_ids: advice.advisory_ids.as_str().into(),
        msrc_severity: advice.msrc_severity.as_str().into(),
        msrc_bulletin_id: advice.msrc_bulletin_id.as_str().into(),
        bulletin_id: advice.bulletin_id.as_str().into(),
        bulletin_url: advice.bulletin_url.as_str().into(),
        cve_numbers: advice.cve_numbers.as_str().into(),
        package_severity: advice.package_severity.as_str().into(),
        reboot_behavior: match advice.reboot_behavior.as_str() {
            "" => update.reboot_behavior.clone(),
            known => known.into(),
        },
        published_date: update.published_date.or(advice.published_date),
        superseded_by: advice.superseded_by.as_str().into(),
    }
}

/// The classification that the computer's own hint leads to, and its source.
fn hinted(os: Os<'_>, hint: &str) -> (&'static str, &'static str) {
    let known = match os.is_linux() {
        // The agent's word for what its package manager does not call a security update.
        true if hint == "Others" => Some(OTHER_LINUX),
        true => linux_class(hint),
        false => windows_class(hint),
    };
    match known {
        Some(class) => (class, "agent"),
        None if os.is_linux() => (OTHER_LINUX, "default"),
        None => (OTHER_WINDOWS, "default"),
    }
}

#[cfg(test)]
mod tests {
    use patchline_schemas::Timestamp;
    use proptest::prelude::*;

    use super::*;

    const LINUX_OS: Os<'_> =
        Os { kind: "Linux", name: "Ubuntu", version: "16.04", full_name: "Ubuntu 16.04" };
    const WINDOWS_OS: Os<'_> =
        Os { kind: "Windows", name: "Windows Server 2016", version: "", full_name: "" };

    #[test]
    fn without_a_catalog_the_computers_hint_counts() {
        let cases = [
            (LINUX_OS, "Security Updates", "Security Updates", "agent"),
            (LINUX_OS, "Critical Updates", "Critical Updates", "agent"),
            (LINUX_OS, "Others", "Other Updates", "agent"),
            (LINUX_OS, "", "Other Updates", "default"),
            (LINUX_OS, "Update Rollups", "Other Updates", "default"),
            (WINDOWS_OS, "Update rollups", "Update Rollups", "agent"),
            (WINDOWS_OS, "Applications", "Applications", "agent"),
            (WINDOWS_OS, "Others", "Updates", "default"),
            (WINDOWS_OS, "", "Updates", "default"),
        ];
        for (os, hint, classification, source) in cases {
            let update = Update { classification: hint.into(), ..Update::default() };
            let verdict = verdict(os, &update, None);
            assert_eq!(verdict.classification, classification, "{os:?} {hint}");
            assert_eq!(verdict.classification_source, source, "{os:?} {hint}");
            assert_eq!(verdict.advisory_ids, "");
        }
    }

    #[test]
    fn the_catalog_overrules_the_hint_and_either_fills_the_others_gaps() {
        let security = Advice {
            classification: SECURITY,
            advisory_ids: "A".to_owned(),
            reboot_behavior: "alwaysreboots".to_owned(),
            published_date: Some(Timestamp(1_489_449_600_000)),
            ..Advice::default()
        };
        let feature = Advice {
            classification: "Feature Packs",
            advisory_ids: "B".to_owned(),
            ..Advice::default()
        };
        // Only that another replaces it: no word on what it is.
        let silent = Advice { superseded_by: "5".to_owned(), ..Advice::default() };
        let update = |published| Update {
            classification: "Updates".into(),
            reboot_behavior: "neverreboots".into(),
            published_date: published,
            ..Update::default()
        };
        let judge = |update: Update<'static>, advice: &Advice| {
            verdict(WINDOWS_OS, &update, Some(advice)).into_parts()
        };
        let judged = judge(update(Some(Timestamp(7))), &security);
        assert_eq!(judged, ("Security Updates", "catalog", "A", "alwaysreboots", Some(7)));
        let judged = judge(update(None), &security);
        assert_eq!(judged.4, Some(1_489_449_600_000));
        let judged = judge(update(None), &feature);
        assert_eq!(judged, ("Feature Packs", "catalog", "B", "neverreboots", None));
        let judged = judge(update(None), &silent);
        assert_eq!(judged, ("Updates", "agent", "", "neverreboots", None));
    }

    type Parts = (&'static str, &'static str, &'static str, &'static str, Option<i64>);

    trait IntoParts {
        fn into_parts(self) -> Parts;
    }

    impl IntoParts for Verdict<'_> {
        fn into_parts(self) -> Parts {
            let keep = |text: std::borrow::Cow<'_, str>| &*text.into_owned().leak();
            (
                keep(self.classification),
                keep(self.classification_source),
                keep(self.advisory_ids),
                keep(self.reboot_behavior),
                self.published_date.map(|date| date.0),
            )
        }
    }

    proptest! {
        #[test]
        fn any_hint_ends_in_a_classification_of_the_table(linux in any::<bool>(), hint in ".{0,20}") {
            let os = if linux { LINUX_OS } else { WINDOWS_OS };
            let (class, source) = hinted(os, &hint);
            let known: &[&str] = if linux { &LINUX } else { &WINDOWS };
            prop_assert!(known.contains(&class));
            let agreed = class.eq_ignore_ascii_case(&hint) || linux && hint == "Others";
            prop_assert_eq!(source == "agent", agreed);
        }
    }
}
