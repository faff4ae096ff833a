//! rpm, with dnf or yum, whose outputs are alike.

use std::collections::HashSet;

use super::{Package, Packages, SECURITY, rpm_installed, with_epoch};
use crate::agent::system::{System, Unreadable, text_of};

/// `check-update` ends with 100 where there are updates.
const UPDATES_EXIST: i32 = 100;

pub(super) async fn packages(system: &impl System, program: &str) -> Result<Packages, Unreadable> {
    let installed = rpm_installed(system).await?;
    let text = text_of(system, program, &["-q", "check-update"], &[0, UPDATES_EXIST]).await?;
    let mut available = available(&text);
    let mut unreadable = Vec::new();
    // A repository need not say which updates are for security; CentOS's never do.
    match text_of(system, program, &["-q", "updateinfo", "list", "security"], &[0]).await {
        Ok(text) => {
            let security = security(&text);
            for package in &mut available {
                if security.contains(nevra(package).as_str()) {
                    package.classification = SECURITY;
                }
            }
        }
        Err(error) => unreadable.push(error),
    }
    Ok(Packages { installed, available, unreadable })
}

/// Lines of `bash.x86_64  4.4.20-5.el8  baseos`; yum wraps long ones after the name or the version.
/// What an update would make obsolete is listed below a heading, and is installed already.
fn available(text: &str) -> Vec<Package> {
    let words = text
        .lines()
        .take_while(|line| !line.starts_with("Obsoleting Packages"))
        .flat_map(str::split_whitespace);
    let words: Vec<&str> = words.collect();
    let row = |row: &[&str]| {
        let [package, version, repository] = row else { return None };
        let (name, arch) = package.rsplit_once('.')?;
        Some(Package {
            name: name.to_owned(),
            arch: arch.to_owned(),
            version: with_epoch(version),
            repository: (*repository).to_owned(),
            ..Package::default()
        })
    };
    words.chunks(3).filter_map(row).collect()
}

/// The last word of `RHSA-2024:1 Important/Sec. openssl-1:1.1.1k-12.el8_9.x86_64`.
fn security(text: &str) -> HashSet<&str> {
    text.lines().filter_map(|line| line.split_whitespace().last()).collect()
}

/// The package as an advisory names it: without the epoch where that is zero.
fn nevra(package: &Package) -> String {
    let version = package.version.strip_prefix("0:").unwrap_or(&package.version);
    format!("{}-{version}.{}", package.name, package.arch)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::system::recorded::Recorded;

    const RPM: &str = "rpm -qa --qf %{NAME}\\t%{ARCH}\\t%{EPOCHNUM}:%{VERSION}-%{RELEASE}\\n";

    #[tokio::test]
    async fn a_red_hats_packages_are_read() {
        let system = Recorded::default()
            .ran(
                RPM,
                0,
                "bash\tx86_64\t0:4.4.20-4.el8_6\nopenssl\tx86_64\t1:1.1.1k-9.el8_7\n\
                 gpg-pubkey\t(none)\t0:8483c65d-5ccc5b19\n",
            )
            .ran(
                "dnf -q check-update",
                100,
                "\nbash.x86_64      4.4.20-5.el8        baseos\n\
                 openssl.x86_64   1:1.1.1k-12.el8_9   baseos\n\
                 a-package-with-a-long-name.noarch\n                 1.0-2.el8   appstream\n\
                 Obsoleting Packages\ngrub2-tools.x86_64  1:2.02-150.el8  baseos\n",
            )
            .ran(
                "dnf -q updateinfo list security",
                0,
                "RHSA-2024:1 Important/Sec. openssl-1:1.1.1k-12.el8_9.x86_64\n",
            );
        let packages = packages(&system, "dnf").await.unwrap();
        assert_eq!(packages.installed.len(), 2);
        let brief: Vec<(&str, &str, &str, &str)> = packages
            .available
            .iter()
            .map(|p| (p.name.as_str(), p.version.as_str(), p.repository.as_str(), p.classification))
            .collect();
        assert_eq!(
            brief,
            [
                ("bash", "0:4.4.20-5.el8", "baseos", ""),
                ("openssl", "1:1.1.1k-12.el8_9", "baseos", "Security Updates"),
                ("a-package-with-a-long-name", "0:1.0-2.el8", "appstream", ""),
            ]
        );
        assert_eq!(packages.unreadable, []);
    }

    #[tokio::test]
    async fn a_repository_without_advisories_gives_packages_without_hints() {
        let system = Recorded::default()
            .ran(RPM, 0, "bash\tx86_64\t0:4.2.46-34.el7\n")
            .ran("yum -q check-update", 100, "bash.x86_64 4.2.46-35.el7_9 updates\n")
            .ran("yum -q updateinfo list security", 1, "");
        let packages = packages(&system, "yum").await.unwrap();
        assert_eq!(packages.available.len(), 1);
        assert_eq!(packages.unreadable.len(), 1, "and says so");
    }
}
