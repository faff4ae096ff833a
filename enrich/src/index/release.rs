//! Which distribution and release a computer runs, in the words of advisories.
//!
//! Two fields of a report tell the release, and either may be a bucket of the old wire: Ubuntu 16.10
//! and 17.04 as 16.04, Red Hat 7.4 as 7.0, SUSE 12 SP3 as 12.0. Where one is the bucket of the
//! other, the other is the real release.

use crate::advisories::ecosystem::EVERY_SUSE_12;

/// Distribution and release by what a report says of its system: `("ubuntu", "16.04")`, `("rhel",
/// "7.4")`, `("sles", "12.3")` for service pack 3. The release is empty where nothing tells it.
#[must_use]
pub fn release(os_name: &str, os_version: &str, os_full_name: &str) -> (String, String) {
    let full = os_full_name.to_lowercase();
    let distribution = match os_name.to_lowercase() {
        name if name.is_empty() || name == "linux" || name == "suse" => distribution(&full),
        name => distribution(&name),
    };
    let told = number(os_version);
    let named = number(&full);
    let release = match (told, named) {
        (Some(told), Some(named)) if told == bucket(&distribution, named) => named,
        (Some(told), _) => told,
        (None, Some(named)) => named,
        (None, None) => {
            let rolling = if full.contains("tumbleweed") { "tumbleweed" } else { "" };
            return (distribution, rolling.to_owned());
        }
    };
    let release = written(&distribution, release);
    (distribution, release)
}

/// The scopes whose advisories speak of a computer with this distribution and release. Those of rpm
/// distributions are by the major release, and by a minor one where a vendor supports it for longer.
/// A distribution without advisories of its own takes those of the one it is built from.
pub(crate) fn scopes(distribution: &str, release: &str) -> Vec<(String, String)> {
    let scope = |distribution: &str, release: &str| (distribution.to_owned(), release.to_owned());
    let major = release.split('.').next().unwrap_or_default();
    match distribution {
        "sles" if major == "12" => {
            vec![scope(distribution, release), scope(distribution, EVERY_SUSE_12)]
        }
        "ubuntu" | "debian" | "sles" | "opensuse" => vec![scope(distribution, release)],
        "centos" => vec![scope("rhel", major)],
        _ if major == release => vec![scope(distribution, major)],
        _ => vec![scope(distribution, major), scope(distribution, release)],
    }
}

/// `release` of an advisory for `distribution` as [`release()`] writes it: `12-SP5` as `12.5`.
pub(crate) fn canonical(distribution: &str, release: &str) -> String {
    if release == EVERY_SUSE_12 {
        return release.to_owned();
    }
    match number(&release.to_lowercase()) {
        // A scope, not what a computer says: `8` and `8.0` differ.
        Some((major, 0)) if !release.contains('.') => written(distribution, (major, 0)),
        Some((major, minor)) if by_major(distribution) => format!("{major}.{minor}"),
        Some(number) => written(distribution, number),
        None => release.to_lowercase(),
    }
}

fn distribution(name: &str) -> String {
    // The first that fits, so the longer names come first.
    const NAMES: [(&str, &str); 15] = [
        ("ubuntu", "ubuntu"),
        ("debian", "debian"),
        ("centos", "centos"),
        ("alma", "almalinux"),
        ("rocky", "rocky"),
        ("oracle", "oracle"),
        ("amazon", "amazon"),
        ("fedora", "fedora"),
        ("red hat", "rhel"),
        ("redhat", "rhel"),
        ("rhel", "rhel"),
        ("opensuse", "opensuse"),
        ("suse", "sles"),
        ("sles", "sles"),
        ("sled", "sles"),
    ];
    NAMES.iter().find(|(part, _)| name.contains(part)).map_or_else(
        || name.split_whitespace().next().unwrap_or_default().to_owned(),
        |(_, distribution)| (*distribution).to_owned(),
    )
}

fn by_major(distribution: &str) -> bool {
    !matches!(distribution, "ubuntu" | "debian" | "sles" | "opensuse")
}

/// The first number of a text, of which a minor part or a service pack is the second.
fn number(text: &str) -> Option<(u32, u32)> {
    let words = || text.split(|c: char| !c.is_ascii_alphanumeric() && c != '.');
    let at = words().position(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    let mut parts = words().nth(at)?.split('.');
    let digits = |part: &str| -> Option<u32> {
        part.split(|c: char| !c.is_ascii_digit()).next().and_then(|digits| digits.parse().ok())
    };
    let major = digits(parts.next()?)?;
    let pack = words().skip(at + 1).find_map(|word| {
        word.strip_prefix("sp").or_else(|| word.strip_prefix("SP")).and_then(digits)
    });
    Some((major, parts.next().and_then(digits).or(pack).unwrap_or(0)))
}

/// The release that the old wire's buckets put `release` into.
fn bucket(distribution: &str, (major, _): (u32, u32)) -> (u32, u32) {
    match distribution {
        "ubuntu" => (major - major % 2, 4),
        _ => (major, 0),
    }
}

fn written(distribution: &str, (major, minor): (u32, u32)) -> String {
    match distribution {
        "ubuntu" => format!("{major}.{minor:02}"),
        // Since 4.0 the second number counts corrections of the same release.
        "debian" if major >= 4 => format!("{major}"),
        "debian" | "opensuse" => format!("{major}.{minor}"),
        _ if minor == 0 => format!("{major}"),
        _ => format!("{major}.{minor}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_names_its_release_in_many_ways() {
        let cases = [
            ("Ubuntu", "16.04", "Ubuntu 16.04", "ubuntu", "16.04"),
            ("Ubuntu", "18.04", "Ubuntu 18.04.3 LTS", "ubuntu", "18.04"),
            ("Debian GNU/Linux", "9", "Debian GNU/Linux 9 (stretch)", "debian", "9"),
            ("Debian", "8.11", "", "debian", "8"),
            ("CentOS Linux", "7.4.1708", "CentOS Linux 7 (Core)", "centos", "7.4"),
            ("CentOS", "", "CentOS release 6.9 (Final)", "centos", "6.9"),
            ("Red Hat Enterprise Linux Server", "7.2", "", "rhel", "7.2"),
            ("AlmaLinux", "8.6", "AlmaLinux 8.6 (Sky Tiger)", "almalinux", "8.6"),
            ("Rocky Linux", "9.1", "", "rocky", "9.1"),
            ("Oracle Linux Server", "7.9", "", "oracle", "7.9"),
            ("SLES", "12-SP5", "", "sles", "12.5"),
            ("SUSE Linux Enterprise Server", "15.4", "", "sles", "15.4"),
            ("SUSE", "42.3", "openSUSE Leap 42.3", "opensuse", "42.3"),
            ("openSUSE", "", "openSUSE Tumbleweed", "opensuse", "tumbleweed"),
            ("Linux", "", "Ubuntu 20.04 LTS", "ubuntu", "20.04"),
            ("Slackware", "14.2", "", "slackware", "14.2"),
            ("", "", "", "", ""),
        ];
        for (name, version, full, distribution, expected) in cases {
            let found = release(name, version, full);
            assert_eq!(found, (distribution.to_owned(), expected.to_owned()), "{name} {version}");
        }
    }

    #[test]
    fn a_bucket_gives_way_to_the_real_release() {
        let cases = [
            ("Ubuntu", "16.04", "Ubuntu 17.10", "17.10"),
            ("Ubuntu", "16.04", "Ubuntu 16.10", "16.10"),
            ("Ubuntu", "17.04", "Ubuntu 16.04", "17.04"),
            ("Ubuntu", "14.04", "Ubuntu 15.10", "15.10"),
            ("Ubuntu", "12.04", "Ubuntu 13.10", "13.10"),
            ("CentOS", "7.0", "CentOS Linux 7.4 (Core)", "7.4"),
            ("Red Hat", "7.0", "Red Hat Enterprise Linux Server release 7.3 (Maipo)", "7.3"),
            ("SUSE", "12.0", "SUSE Linux Enterprise Server 12 SP3", "12.3"),
            ("SUSE", "12.0", "SUSE Linux Enterprise Server 12", "12"),
            // They contradict each other, and neither is the other's bucket.
            ("Ubuntu", "18.04", "Ubuntu 16.10", "18.04"),
        ];
        for (name, version, full, expected) in cases {
            assert_eq!(release(name, version, full).1, expected, "{name} {version} {full}");
        }
    }

    #[test]
    fn scopes_are_as_wide_as_the_vendors_advisories() {
        let scopes = |distribution, release| {
            let scopes = scopes(distribution, release);
            scopes.iter().map(|(a, b)| format!("{a} {b}")).collect::<Vec<_>>().join(", ")
        };
        assert_eq!(scopes("ubuntu", "16.04"), "ubuntu 16.04");
        assert_eq!(scopes("sles", "12.3"), "sles 12.3, sles 12.x");
        assert_eq!(scopes("sles", "12"), "sles 12, sles 12.x");
        assert_eq!(scopes("sles", "15.3"), "sles 15.3");
        assert_eq!(scopes("rhel", "8.8"), "rhel 8, rhel 8.8");
        assert_eq!(scopes("almalinux", "8"), "almalinux 8");
        assert_eq!(scopes("centos", "7.4"), "rhel 7");
        for (distribution, told, expected) in [
            ("sles", "12-SP5", "12.5"),
            ("sles", "12", "12"),
            ("sles", "12.x", "12.x"),
            ("ubuntu", "16.04:LTS", "16.04"),
            ("debian", "11", "11"),
            ("debian", "3.0", "3.0"),
            ("rhel", "8", "8"),
            ("rhel", "8.8", "8.8"),
            ("rhel", "8.0", "8.0"),
            ("opensuse", "Tumbleweed", "tumbleweed"),
            ("rhel", "", ""),
        ] {
            assert_eq!(canonical(distribution, told), expected, "{distribution} {told}");
        }
    }
}
