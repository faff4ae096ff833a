//! What vendors' words for severity mean, and the classification they lead to.
//!
//! `docs/classification.md` is the table of it.

use crate::classify::{CRITICAL, OTHER_LINUX, SECURITY};

/// How grave a vendor calls it, over all vendors' scales; more is graver.
pub(crate) fn rank(severity: &str) -> u8 {
    const SCALE: [(&str, u8); 9] = [
        ("critical", 6),
        ("important", 5),
        ("high", 5),
        ("moderate", 4),
        ("medium", 4),
        ("low", 3),
        ("negligible", 2),
        ("unimportant", 2),
        ("none", 0),
    ];
    match SCALE.iter().find(|(word, _)| word.eq_ignore_ascii_case(severity)) {
        Some((_, rank)) => *rank,
        None if severity.is_empty() => 0,
        // A word that is not known is still a word.
        None => 1,
    }
}

/// Whether an advisory speaks of security: it says so, or names what it closes.
pub(crate) fn is_security(kind: &str, severity: &str, names_cves: bool) -> bool {
    names_cves || kind.eq_ignore_ascii_case("security") || kind.is_empty() && !severity.is_empty()
}

/// The Linux classification of what an advisory fixes.
pub(crate) fn linux_class(security: bool, severity: &str) -> &'static str {
    match security {
        true if rank(severity) >= rank("critical") => CRITICAL,
        true => SECURITY,
        false => OTHER_LINUX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_vendors_scale_is_in_one_order() {
        let scales: [&[&str]; 3] = [
            &["", "Low", "Moderate", "Important", "Critical"],
            &["", "untriaged", "negligible", "low", "medium", "high", "critical"],
            &["None", "low", "moderate", "important", "critical"],
        ];
        for scale in scales {
            let ranks: Vec<u8> = scale.iter().map(|severity| rank(severity)).collect();
            assert!(ranks.is_sorted_by(|a, b| a < b), "{scale:?} {ranks:?}");
        }
    }

    #[test]
    fn only_what_is_critical_and_about_security_is_critical() {
        let class = |kind, severity, cves| linux_class(is_security(kind, severity, cves), severity);
        assert_eq!(class("security", "Critical", false), "Critical Updates");
        assert_eq!(class("security", "high", false), "Security Updates");
        assert_eq!(class("security", "", false), "Security Updates");
        assert_eq!(class("", "low", false), "Security Updates");
        assert_eq!(class("bugfix", "", true), "Security Updates");
        assert_eq!(class("bugfix", "critical", false), "Other Updates");
        assert_eq!(class("", "", false), "Other Updates");
    }
}
