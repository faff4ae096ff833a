//! What vendors publish, as entries of the catalog.
//!
//! What is guaranteed: a document always gives the same advisories, under the same keys; a record that
//! cannot be used is reported and its neighbours are not affected; nothing is ever deleted because a
//! document no longer has it, or has come back empty. A vendor's own withdrawal is an advisory with
//! `Withdrawn` set.
//!
//! The way of a document: [`walk`] finds it in files, directories, archives and at URLs, [`document`]
//! tells its format, one of [`cvrf`], [`bulletins`], [`osv`] and [`updateinfo`] reads it, and
//! [`publish`] writes what has changed to the compacted topic. Memory is bounded by the largest single
//! document, whose size is limited; XML is read as a stream.

pub mod bulletins;
pub mod cvrf;
pub mod document;
pub mod ecosystem;
pub mod import;
pub mod osv;
pub mod publish;
pub mod seen;
pub mod topic;
mod topic_id;
pub mod updateinfo;
pub mod walk;
mod xml;

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use patchline_schemas::{Advisory, Timestamp};

/// Takes what an importer finds in a document.
pub trait Collect {
    /// An entry of the catalog.
    fn advisory(&mut self, advisory: Advisory<'static>);

    /// A sound record that has nothing for the catalog: what it lacks, in a few fixed words.
    fn left_out(&mut self, why: &'static str);

    /// A record that cannot be used: which one, and what is wrong with it.
    fn bad(&mut self, record: &str, why: &str);
}

/// Why a document could not be read, or not to its end.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// None of the formats that are known here.
    #[error("is in no known format; it begins with `{0}`")]
    Format(String),
    /// It breaks off, or what packs it is damaged.
    #[error("cannot be read: {0}")]
    Io(#[from] std::io::Error),
    /// It is not well-formed, or lacks what its format demands.
    #[error("is no sound {format}: {problem}")]
    Unsound {
        /// What it seemed to be.
        format: &'static str,
        /// What is wrong, and where.
        problem: String,
    },
    /// It is larger than anything that a vendor publishes.
    #[error("is too large: {0}")]
    TooLarge(String),
}

/// Key of an advisory in the topic: source and id.
#[must_use]
pub fn key(advisory: &Advisory<'_>) -> String {
    format!("{}:{}", advisory.source, advisory.id)
}

/// The CVE ids among `ids`, sorted, each once. Ubuntu's `UBUNTU-CVE-2016-2107` is CVE-2016-2107.
fn cves<'a>(ids: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut found: Vec<String> = ids.into_iter().filter_map(cve).map(str::to_owned).collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// The CVE id that `id` is, or that the id of a distribution's own record of it ends with.
fn cve(id: &str) -> Option<&str> {
    let cve = id.trim();
    let cve = cve.get(cve.find("CVE-")?..)?;
    let (year, number) = cve.strip_prefix("CVE-")?.split_once('-')?;
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    (year.len() == 4 && number.len() >= 4 && digits(year) && digits(number)).then_some(cve)
}

/// Whether `text` is a knowledge base number: six or seven digits.
fn is_kb(text: &str) -> bool {
    matches!(text.len(), 6 | 7) && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether `text` is the id of a Microsoft bulletin: `MS17-010`.
fn is_bulletin(text: &str) -> bool {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let parts = text.strip_prefix("MS").and_then(|rest| rest.split_once('-'));
    parts.is_some_and(|(year, number)| {
        year.len() == 2 && number.len() == 3 && digits(year) && digits(number)
    })
}

/// Where Microsoft keeps the bulletin `id`.
fn bulletin_url(id: &str) -> String {
    let year = id.get(2..4).unwrap_or_default();
    let century = if year >= "90" { "19" } else { "20" };
    let id = id.to_lowercase();
    format!("https://learn.microsoft.com/security-updates/securitybulletins/{century}{year}/{id}")
}

/// KB numbers that an update replaces, sorted, each once, from text that mixes separators and puts
/// bulletins before their KBs: `MS16-104, 3185319; MS15-015[3031432]`. The second list has those
/// bulletins, each with its KB.
fn superseded(text: &str) -> (Vec<String>, Vec<(String, String)>) {
    // Its `<br>` falls apart at the brackets.
    let words = text.split(|c: char| ",;[]()<>/".contains(c) || c.is_whitespace());
    let (mut kbs, mut bulletins, mut bulletin) = (Vec::new(), Vec::new(), None);
    for word in words.filter(|word| !word.is_empty()) {
        let kb = word.strip_prefix("KB").unwrap_or(word);
        if is_kb(kb) {
            kbs.push(kb.to_owned());
            if let Some(bulletin) = bulletin.take() {
                bulletins.push((bulletin, kb.to_owned()));
            }
        } else if is_bulletin(word) {
            bulletin = Some(word.to_owned());
        }
    }
    kbs.sort_unstable();
    kbs.dedup();
    (kbs, bulletins)
}

/// A moment as vendors write it: RFC 3339, or without an offset and then taken for UTC, with `T` or a
/// space, or the date alone, or seconds since 1970.
fn moment(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if let Ok(at) = Timestamp::parse(text) {
        return Some(at);
    }
    let civil = text.parse::<DateTime>().ok();
    let civil = civil.or_else(|| text.parse::<Date>().ok().map(|date| date.at(0, 0, 0, 0)));
    if let Some(civil) = civil {
        let zoned = civil.to_zoned(TimeZone::UTC).ok()?;
        return Some(Timestamp(zoned.timestamp().as_millisecond()));
    }
    let seconds: i64 = text.parse().ok()?;
    // Ten digits reach to the year 2286; fewer than nine are no date of any advisory.
    (9..=10).contains(&text.len()).then_some(Timestamp(seconds * 1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaced_kbs_are_found_whatever_separates_them() {
        let kbs = |text: &str| superseded(text).0;
        assert_eq!(kbs("4014984, 3216520,3142023"), ["3142023", "3216520", "4014984"]);
        assert_eq!(kbs("4041083; 4049016 "), ["4041083", "4049016"]);
        assert_eq!(kbs("3122655<br><br>3122658\n3122660"), ["3122655", "3122658", "3122660"]);
        assert_eq!(kbs("KB982666<br />KB982666"), ["982666"]);
        assert_eq!(kbs("None"), Vec::<String>::new());
        assert_eq!(kbs("10.0.14393.1884"), Vec::<String>::new());
        assert_eq!(kbs("MS16-029"), Vec::<String>::new());
    }

    #[test]
    fn a_bulletin_before_a_kb_is_that_kbs_bulletin() {
        let pair = |bulletin: &str, kb: &str| (bulletin.to_owned(), kb.to_owned());
        let (kbs, bulletins) = superseded("MS16-104, 3185319; MS16-029; MS15-015[3031432],3000000");
        assert_eq!(kbs, ["3000000", "3031432", "3185319"]);
        assert_eq!(bulletins, [pair("MS16-104", "3185319"), pair("MS15-015", "3031432")]);
    }

    #[test]
    fn only_what_is_a_cve_id_is_taken_for_one() {
        let ids = ["UBUNTU-CVE-2016-2107", "CVE-2015-0001", "USN-1-1", "CVE-2016-2107", "CVE-2016"];
        assert_eq!(cves(ids), ["CVE-2015-0001", "CVE-2016-2107"]);
        assert_eq!(cves(["ADV170005", "CVE-17-0001", "CVE-2017-1x00"]), Vec::<String>::new());
    }

    #[test]
    fn dates_are_read_in_every_form_that_vendors_use() {
        let march = Some(Timestamp(1_489_449_600_000));
        for text in ["2017-03-14T00:00:00Z", "2017-03-14T00:00:00", "2017-03-14 00:00:00"] {
            assert_eq!(moment(text), march, "{text}");
        }
        assert_eq!(moment(" 2017-03-14 "), march);
        assert_eq!(moment("1489449600"), march);
        assert_eq!(moment("2017-03-14T01:00:00+01:00"), march);
        for text in ["", "2017-02-30", "soon", "7", "99999999999999999999"] {
            assert_eq!(moment(text), None, "{text}");
        }
    }
}
