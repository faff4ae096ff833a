//! The order of versions, as the package managers define it: a version becomes a sort key once, and
//! keys compare byte by byte.
//!
//! For rpm, crate `rpm-version` makes the key. For dpkg there is no crate that prepares keys, and
//! `deb-version`, which compares correctly, takes 330 to 840 ns a comparison and panics on text that
//! is not ASCII; its verdicts are what the key below is tested against.

use rpm_version::version_sortkey;

/// Whose order a version follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// dpkg's, `deb-version(7)`.
    Deb,
    /// rpm's, `rpm-version(7)`.
    Rpm,
}

impl Scheme {
    /// Appends the sort key of `version`. Says no, and appends nothing, to text that is no version.
    pub fn sort_key(self, version: &str, key: &mut Vec<u8>) -> bool {
        match self {
            Self::Deb => deb(version, key),
            Self::Rpm => rpm(version, key),
        }
    }
}

fn rpm(version: &str, key: &mut Vec<u8>) -> bool {
    let (epoch, rest) = version.split_once(':').unwrap_or(("0", version));
    let (version, release) = match rest.split_once('-') {
        Some((version, release)) => (version, Some(release)),
        None => (rest, None),
    };
    if version.is_empty() {
        return false;
    }
    let Ok(epoch) = epoch.parse::<u32>() else { return false };
    key.extend(epoch.to_be_bytes());
    key.extend(version_sortkey(version));
    match release {
        Some(release) => key.extend(version_sortkey(release)),
        // To rpm no release is less than any, the empty one included.
        None => key.push(0),
    }
    true
}

/// `~` sorts before the end of a part, the end before letters, and letters before all else.
const TILDE: u8 = 1;
const END: u8 = 2;
/// Added to what is neither letter nor tilde: above `z`, and within a byte, as all of it is ASCII.
const OTHER: u8 = 128;

fn deb(version: &str, key: &mut Vec<u8>) -> bool {
    let (epoch, rest) = match version.split_once(':') {
        Some((epoch, rest)) if is_number(epoch) => (epoch.parse::<i32>(), rest),
        Some(_) => return false,
        None => (Ok(0), version),
    };
    let Ok(epoch) = epoch else { return false };
    let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, ""));
    let valid = upstream.starts_with(|first: char| first.is_ascii_digit())
        && upstream.bytes().all(|b| b.is_ascii_alphanumeric() || b".-+~:".contains(&b))
        && revision.bytes().all(|b| b.is_ascii_alphanumeric() || b".+~".contains(&b));
    if valid {
        key.extend(epoch.to_be_bytes());
        deb_part(upstream.as_bytes(), key);
        deb_part(revision.as_bytes(), key);
    }
    valid
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Text and number by turns, as dpkg reads them; no number is 0. The first turn is always there: to
/// dpkg the empty part and `0` are equal.
fn deb_part(mut part: &[u8], key: &mut Vec<u8>) {
    loop {
        let (text, rest) = split_when(part, |byte| byte.is_ascii_digit());
        let (number, rest) = split_when(rest, |byte| !byte.is_ascii_digit());
        key.extend(text.iter().map(|&byte| match byte {
            b'~' => TILDE,
            letter if letter.is_ascii_alphabetic() => letter,
            other => other | OTHER,
        }));
        key.push(END);
        let (_, number) = split_when(number, |byte| byte != b'0');
        // The longer number is the greater. Its length takes a byte, a longer one more of them.
        key.extend(std::iter::repeat_n(u8::MAX, number.len() / usize::from(u8::MAX)));
        key.push(u8::try_from(number.len() % usize::from(u8::MAX)).unwrap_or(u8::MAX));
        key.extend(number);
        if rest.is_empty() {
            break;
        }
        part = rest;
    }
    key.push(END);
}

fn split_when(bytes: &[u8], ends: impl Fn(u8) -> bool) -> (&[u8], &[u8]) {
    let at = bytes.iter().position(|&byte| ends(byte)).unwrap_or(bytes.len());
    bytes.split_at(at)
}

#[cfg(test)]
mod tests {
    use std::cmp::Ordering;

    use proptest::prelude::*;

    use super::*;

    fn key(scheme: Scheme, version: &str) -> Vec<u8> {
        let mut key = Vec::new();
        assert!(scheme.sort_key(version, &mut key), "{version}");
        key
    }

    fn order(scheme: Scheme, a: &str, b: &str) -> Ordering {
        key(scheme, a).cmp(&key(scheme, b))
    }

    #[test]
    fn dpkg_versions_stand_in_dpkgs_order() {
        let ascending = [
            "0~~",
            "0~~a",
            "0~",
            "0",
            "0a",
            "0a~",
            "0+",
            "0-0~",
            "0-1",
            "0.0",
            "0.0-1",
            "1.0~rc1-1",
            "1.0-1",
            "1.0-1+deb8u1",
            "1.0-1.1",
            "1.0a-1",
            "1.0+b-1",
            "1.9-1",
            "1.10-1",
            "1:0",
            "10:0",
        ];
        let mut sorted = ascending;
        sorted.sort_by_key(|version| key(Scheme::Deb, version));
        let by_oracle = |a: &&str, b: &&str| deb_version::compare_versions(a, b);
        let mut oracle = ascending;
        oracle.sort_by(by_oracle);
        assert_eq!(sorted, oracle);
        for (a, b) in [("1", "0:1"), ("1", "1-0"), ("1.0", "1.00"), ("1-", "1"), ("1.", "1.0")] {
            assert_eq!(order(Scheme::Deb, a, b), Ordering::Equal, "{a} {b}");
        }
    }

    #[test]
    fn what_dpkg_refuses_has_no_key() {
        for bad in ["", ":1", "a:1", "1:", "-1", "abc", "1 2", "1_2", "1-1_2", "ä", "9999999999:1"]
        {
            let mut key = Vec::new();
            assert!(!Scheme::Deb.sort_key(bad, &mut key), "{bad}");
            assert!(key.is_empty());
        }
    }

    #[test]
    fn rpm_versions_stand_in_rpms_order() {
        let ascending = [
            "1.0~rc1-1",
            "1.0",
            "1.0-",
            "1.0-1.el8",
            "1.0-1.el8_4",
            "1.0-1.el8_10",
            "1.0-2.el8",
            "1.0^git1-1",
            "1.0a-1",
            "1.0.1-1",
            "1.10-1",
            "1:0.1-1",
        ];
        for pair in ascending.windows(2) {
            assert_eq!(order(Scheme::Rpm, pair[0], pair[1]), Ordering::Less, "{pair:?}");
        }
        assert_eq!(order(Scheme::Rpm, "0:1.05-1", "1.5-01"), Ordering::Equal);
        for bad in ["", "1:", "x:1", "-1"] {
            assert!(!Scheme::Rpm.sort_key(bad, &mut Vec::new()), "{bad}");
        }
    }

    #[test]
    fn a_number_of_any_length_keeps_its_place() {
        let long = |digits: usize| format!("1.{}", "9".repeat(digits));
        for (a, b) in [(254, 255), (255, 256), (509, 510), (510, 511), (300, 600)] {
            assert_eq!(order(Scheme::Deb, &long(a), &long(b)), Ordering::Less, "{a} {b}");
        }
    }

    proptest! {
        #[test]
        fn dpkg_keys_agree_with_a_comparison_of_the_texts(
            a in "(0:|1:)?[0-2][0-2a-cA-Z.+~-]{0,6}(-[0-2ab+~.]{0,3})?",
            b in "(0:|1:)?[0-2][0-2a-cA-Z.+~-]{0,6}(-[0-2ab+~.]{0,3})?",
        ) {
            prop_assert_eq!(order(Scheme::Deb, &a, &b), deb_version::compare_versions(&a, &b));
        }

        #[test]
        fn rpm_keys_agree_with_a_comparison_of_the_texts(
            a in "([01]:)?[0-2a-b][0-2a-c.+~^]{0,6}-[0-2ab+~^.]{0,4}",
            b in "([01]:)?[0-2a-b][0-2a-c.+~^]{0,6}-[0-2ab+~^.]{0,4}",
        ) {
            prop_assert_eq!(order(Scheme::Rpm, &a, &b), rpm_version::rpm_evr_compare(&a, &b));
        }

        #[test]
        fn any_text_has_a_key_or_none(text in ".{0,30}") {
            Scheme::Deb.sort_key(&text, &mut Vec::new());
            Scheme::Rpm.sort_key(&text, &mut Vec::new());
        }
    }
}
