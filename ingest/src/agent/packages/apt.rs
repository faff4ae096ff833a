//! dpkg and apt.

use std::collections::HashSet;

use super::{Package, Packages, SECURITY, fields, with_epoch};
use crate::agent::system::{System, Unreadable, text_of};

const INSTALLED: &[&str] =
    &["-W", "-f", "${db:Status-Abbrev}\\t${Package}\\t${Architecture}\\t${Version}\\n"];

/// A simulation: nothing is locked, fetched or installed. `dist-upgrade` also names what needs new
/// dependencies, which `upgrade` would hold back.
const AVAILABLE: &[&str] = &["-qq", "-s", "-o", "Debug::NoLocking=true", "dist-upgrade"];

pub(super) async fn packages(system: &impl System) -> Result<Packages, Unreadable> {
    let text = text_of(system, "dpkg-query", INSTALLED, &[0]).await?;
    let installed: Vec<Package> = text.lines().filter_map(installed).collect();
    let native: HashSet<&str> = installed.iter().map(|package| package.arch.as_str()).collect();
    let text = text_of(system, "apt-get", AVAILABLE, &[0]).await?;
    let available = text.lines().filter_map(|line| available(line, &native)).collect();
    Ok(Packages { installed, available, unreadable: Vec::new() })
}

/// `ii \tbash\tamd64\t5.2.15-2+b8`
fn installed(line: &str) -> Option<Package> {
    let [status, name, arch, version] = fields(line)?;
    // Wanted or held, and installed: `ii`, `hi`. A removed package keeps its configuration (`rc`).
    status.get(1..2).filter(|state| *state == "i")?;
    Some(Package {
        name: name.to_owned(),
        arch: arch.to_owned(),
        version: with_epoch(version),
        ..Package::default()
    })
}

/// `Inst bash [5.2.15-2+b8] (5.2.15-2+b13 Debian:12.15/oldstable [amd64]) []`. A line without the
/// installed version is a package that others pull in: nothing that is missing on the computer.
fn available(line: &str, native: &HashSet<&str>) -> Option<Package> {
    let (name, rest) = line.strip_prefix("Inst ")?.split_once(' ')?;
    let (_, offer) = rest.strip_prefix('[')?.split_once("] (")?;
    let (version, sources) = offer.split_once(')')?.0.split_once(' ')?;
    let (sources, arch) = sources.strip_suffix(']')?.rsplit_once(" [")?;
    // Foreign packages are called `libc6:i386`, but one of no architecture may carry a colon, too.
    let name = match name.split_once(':') {
        Some((plain, of)) if native.contains(of) => plain,
        _ => name,
    };
    let security = |source: &str| {
        let source = source.trim();
        source.starts_with("Debian-Security:") || source.ends_with("-security")
    };
    let classification = if sources.split(',').any(security) { SECURITY } else { "" };
    let repository = sources.split(',').next().unwrap_or_default().trim();
    Some(Package {
        name: name.to_owned(),
        arch: arch.to_owned(),
        version: with_epoch(version),
        repository: repository.to_owned(),
        classification,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::system::recorded::Recorded;

    #[tokio::test]
    async fn a_debians_packages_are_read() {
        let system = Recorded::default()
            .ran(
                "dpkg-query -W -f ${db:Status-Abbrev}\\t${Package}\\t${Architecture}\\t${Version}\\n",
                0,
                "ii \tbash\tamd64\t5.2.15-2+b8\nrc \tgone\tamd64\t1.0-1\nhi \tgit\tamd64\t1:2.39.5-0+deb12u2\n\
                 ii \tlibc6\ti386\t2.36-9\niHR\tbroken\tamd64\t3\n",
            )
            .ran(
                "apt-get -qq -s -o Debug::NoLocking=true dist-upgrade",
                0,
                "Inst bash [5.2.15-2+b8] (5.2.15-2+b13 Debian:12.15/oldstable [amd64])\n\
                 Conf bash (5.2.15-2+b13 Debian:12.15/oldstable [amd64])\n\
                 Inst libc6:i386 [2.36-9] (2.36-9+deb12u13 Debian:12.15/oldstable, Debian-Security:12/oldstable-security [i386]) []\n\
                 Inst pulled-in (1.0-1 Debian:12.15/oldstable [all])\n\
                 Inst git [1:2.39.5-0+deb12u2] (1:2.39.5-0+deb12u3 Ubuntu:16.04/xenial-security [amd64])\n",
            );
        let packages = packages(&system).await.unwrap();
        let brief = |packages: &[Package]| -> Vec<String> {
            let line = |p: &Package| {
                format!("{} {} {} {} {}", p.name, p.arch, p.version, p.repository, p.classification)
            };
            packages.iter().map(line).collect()
        };
        assert_eq!(
            brief(&packages.installed),
            [
                "bash amd64 0:5.2.15-2+b8  ",
                "git amd64 1:2.39.5-0+deb12u2  ",
                "libc6 i386 0:2.36-9  "
            ]
        );
        assert_eq!(
            brief(&packages.available),
            [
                "bash amd64 0:5.2.15-2+b13 Debian:12.15/oldstable ",
                "libc6 i386 0:2.36-9+deb12u13 Debian:12.15/oldstable Security Updates",
                "git amd64 1:2.39.5-0+deb12u3 Ubuntu:16.04/xenial-security Security Updates",
            ]
        );
    }

    #[tokio::test]
    async fn without_the_list_of_what_is_available_there_is_no_scan() {
        let system = Recorded::default().ran(
            "dpkg-query -W -f ${db:Status-Abbrev}\\t${Package}\\t${Architecture}\\t${Version}\\n",
            0,
            "",
        );
        assert!(packages(&system).await.unwrap_err().what.starts_with("apt-get"));
    }
}
