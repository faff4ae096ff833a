//! Which distribution and release an OSV ecosystem is.
//!
//! Releases are those that computers report: `16.04`, `11`, `8`, and for SUSE the service pack, `12.5`.
//! Red Hat's streams of extended support are releases of their own (`8.8`), because the same hole is
//! closed there by another build: read as fixes for `8`, they would flag what is already closed.

/// SUSE's modules of 12 that name no service pack are for all of them. Those of 15 come out with each service
/// pack; one that names none is of 15 without any, as `Linux Enterprise Server 15` is.
pub(crate) const EVERY_SUSE_12: &str = "12.x";

/// Distribution and release, `("ubuntu", "16.04")`; `None` for what no computer here runs, and for
/// products beside the distribution.
#[must_use]
pub fn parse(ecosystem: &str) -> Option<(&'static str, String)> {
    let (name, rest) = ecosystem.split_once(':')?;
    match name {
        "Ubuntu" => ubuntu(rest),
        "Debian" => {
            // Since 4.0 the second number counts corrections of the same release.
            let release = rest.strip_suffix(".0").filter(|major| *major != "3").unwrap_or(rest);
            Some(("debian", number(release)?))
        }
        "Red Hat" => red_hat(rest),
        "AlmaLinux" => Some(("almalinux", number(rest)?)),
        "Rocky Linux" => Some(("rocky", number(rest)?)),
        "SUSE" => suse(rest),
        "openSUSE" => {
            let rest = rest.strip_prefix("Leap ").unwrap_or(rest);
            let first = rest.split_whitespace().next()?;
            let release = if first == "Tumbleweed" { "tumbleweed".into() } else { number(first)? };
            Some(("opensuse", release))
        }
        _ => None,
    }
}

/// `16.04:LTS`, `24.10`, `Pro:16.04:LTS`. Ubuntu's FIPS builds follow versions of their own, which are
/// not in the order of the release's.
fn ubuntu(rest: &str) -> Option<(&'static str, String)> {
    if rest.split(':').any(|part| part.starts_with("FIPS")) {
        return None;
    }
    let release = rest.split(':').find(|part| part.starts_with(|c: char| c.is_ascii_digit()))?;
    Some(("ubuntu", number(release)?))
}

/// `enterprise_linux:8::baseos`, `rhel_eus:8.8::appstream`, and of other products
/// `openshift:4.12::el8`.
fn red_hat(rest: &str) -> Option<(&'static str, String)> {
    let mut parts = rest.split(':');
    let (product, version) = (parts.next()?, parts.next().unwrap_or_default());
    let release = match product {
        "enterprise_linux" => version.split('.').next()?,
        // Streams of extended support; the product's version is the minor release.
        "rhel_eus"
        | "rhel_aus"
        | "rhel_tus"
        | "rhel_e4s"
        | "rhel_els"
        | "rhel_eus_long_life"
        | "rhel_mission_critical" => version,
        "rhel_extras" | "rhel_extras_rt" => version.split('.').next()?,
        _ => parts.find_map(|part| part.strip_prefix("el"))?,
    };
    Some(("rhel", number(release)?))
}

/// `Linux Enterprise Server 12 SP5`, `Linux Enterprise Module for Basesystem 15 SP5`,
/// `Linux Enterprise Server 11 SP3-LTSS`, `Package Hub 12`, `Linux Enterprise Micro 5.1`.
fn suse(rest: &str) -> Option<(&'static str, String)> {
    if let Some(micro) = rest.strip_prefix("Linux Enterprise Micro ") {
        return Some(("slemicro", number(micro.split_whitespace().next()?)?));
    }
    if let Some(leap) = rest.strip_prefix("openSUSE ") {
        return parse(&format!("openSUSE:{leap}"));
    }
    if !rest.starts_with("Linux Enterprise ") && !rest.starts_with("Package Hub ") {
        return None;
    }
    let mut words = rest.split([' ', '-']);
    let major = words.find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    let major = number(major)?;
    let pack = words.find_map(|word| word.strip_prefix("SP")).and_then(number);
    let is_beside = rest.starts_with("Package Hub ") || rest.contains(" Module for ");
    let release = match pack {
        Some(pack) => format!("{major}.{pack}"),
        None if is_beside && major == "12" => EVERY_SUSE_12.to_owned(),
        None => major,
    };
    Some(("sles", release))
}

/// `text` if it is digits and dots.
fn number(text: &str) -> Option<String> {
    let sound = text.starts_with(|c: char| c.is_ascii_digit())
        && text.len() <= 16
        && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    sound.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_vendors_way_to_name_a_release_is_understood() {
        let cases = [
            ("Ubuntu:16.04:LTS", "ubuntu 16.04"),
            ("Ubuntu:24.10", "ubuntu 24.10"),
            ("Ubuntu:Pro:16.04:LTS", "ubuntu 16.04"),
            ("Ubuntu:Pro:Realtime:22.04:LTS", "ubuntu 22.04"),
            ("Debian:11", "debian 11"),
            ("Debian:6.0", "debian 6"),
            ("Debian:3.0", "debian 3.0"),
            ("Debian:3.1", "debian 3.1"),
            ("Red Hat:enterprise_linux:8::baseos", "rhel 8"),
            ("Red Hat:enterprise_linux:9.2::appstream", "rhel 9"),
            ("Red Hat:rhel_eus:8.8::baseos", "rhel 8.8"),
            ("Red Hat:rhel_extras:7", "rhel 7"),
            ("Red Hat:openshift:4.12::el8", "rhel 8"),
            ("AlmaLinux:8", "almalinux 8"),
            ("Rocky Linux:9", "rocky 9"),
            ("SUSE:Linux Enterprise Server 12 SP5", "sles 12.5"),
            ("SUSE:Linux Enterprise Server 11 SP3-LTSS", "sles 11.3"),
            ("SUSE:Linux Enterprise Server 12-LTSS", "sles 12"),
            ("SUSE:Linux Enterprise Server for SAP Applications 12 SP1", "sles 12.1"),
            ("SUSE:Linux Enterprise Module for Basesystem 15 SP5", "sles 15.5"),
            ("SUSE:Linux Enterprise Desktop 12", "sles 12"),
            ("SUSE:Linux Enterprise Micro 5.1", "slemicro 5.1"),
            ("SUSE:Package Hub 12", "sles 12.x"),
            ("SUSE:Package Hub 12 SP3", "sles 12.3"),
            ("SUSE:Linux Enterprise Module for Public Cloud 12", "sles 12.x"),
            ("SUSE:Linux Enterprise Module for Basesystem 15", "sles 15"),
            ("openSUSE:Leap 15.4", "opensuse 15.4"),
            ("openSUSE:Tumbleweed", "opensuse tumbleweed"),
            ("SUSE:openSUSE Leap 42.3", "opensuse 42.3"),
        ];
        for (ecosystem, expected) in cases {
            let found = parse(ecosystem).map(|(name, release)| format!("{name} {release}"));
            assert_eq!(found.as_deref(), Some(expected), "{ecosystem}");
        }
    }

    #[test]
    fn what_is_no_distribution_here_is_left_out() {
        for ecosystem in [
            "",
            "PyPI",
            "Debian:",
            "Alpine:v3.10",
            "SUSE:Enterprise Storage 6",
            "Red Hat:ansible_tower:3.8",
            "Ubuntu:Pro:FIPS-updates:20.04:LTS",
            "Ubuntu:LTS",
        ] {
            assert_eq!(parse(ecosystem), None, "{ecosystem}");
        }
    }
}
