//! What the package manager knows: which packages are installed, which newer ones are available,
//! and which of those it calls security updates.
//!
//! One module a package manager. Each reads with the manager's own tools, as an ordinary user, and
//! without locks, so that a scan never stands in the way of an installation.

mod apt;
mod dnf;
mod zypper;

use super::system::{System, Unreadable};

/// A package of one version.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its architecture, as the package manager spells it.
    pub arch: String,
    /// Its version, epoch first: `0:5.2.15-2+b8`.
    pub version: String,
    /// Where it comes from; empty where it is not known.
    pub repository: String,
    /// `Security Updates` where the package manager says so, else empty.
    pub classification: &'static str,
}

/// What it is called on the wire.
const SECURITY: &str = "Security Updates";

/// All that a package manager told.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Packages {
    /// What is installed.
    pub installed: Vec<Package>,
    /// Newer versions of what is installed.
    pub available: Vec<Package>,
    /// What could not be asked; the lists are without it.
    pub unreadable: Vec<Unreadable>,
}

/// A package manager that is supported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manager {
    /// dpkg and apt: Debian, Ubuntu.
    Apt,
    /// rpm and dnf: Fedora, Red Hat Enterprise Linux 8 and later and its kin.
    Dnf,
    /// rpm and yum: Red Hat Enterprise Linux 6 and 7, CentOS.
    Yum,
    /// rpm and zypper: SUSE.
    Zypper,
}

impl Manager {
    /// The computer's package manager, if it is one of these.
    pub fn of(system: &impl System) -> Option<Self> {
        let programs = [
            ("/usr/bin/zypper", Self::Zypper),
            ("/usr/bin/dnf", Self::Dnf),
            ("/usr/bin/yum", Self::Yum),
            ("/usr/bin/apt-get", Self::Apt),
        ];
        programs.into_iter().find(|(path, _)| system.exists(path)).map(|(_, manager)| manager)
    }

    /// Asks it.
    ///
    /// # Errors
    /// The installed or the available packages cannot be listed: without either a scan would say
    /// that nothing is missing.
    pub async fn packages(self, system: &impl System) -> Result<Packages, Unreadable> {
        match self {
            Self::Apt => apt::packages(system).await,
            Self::Dnf => dnf::packages(system, "dnf").await,
            Self::Yum => dnf::packages(system, "yum").await,
            Self::Zypper => zypper::packages(system).await,
        }
    }
}

/// The version with its epoch.
pub(super) fn with_epoch(version: &str) -> String {
    if version.contains(':') { version.to_owned() } else { format!("0:{version}") }
}

/// The installed packages of an rpm system.
async fn rpm_installed(system: &impl System) -> Result<Vec<Package>, Unreadable> {
    const FORMAT: &str = "%{NAME}\\t%{ARCH}\\t%{EPOCHNUM}:%{VERSION}-%{RELEASE}\\n";
    let text = super::system::text_of(system, "rpm", &["-qa", "--qf", FORMAT], &[0]).await?;
    Ok(text
        .lines()
        .filter_map(|line| {
            let [name, arch, version] = fields(line)?;
            // Keys of signers are listed as packages and are none.
            (name != "gpg-pubkey").then(|| Package {
                name: name.to_owned(),
                arch: arch.to_owned(),
                version: version.to_owned(),
                ..Package::default()
            })
        })
        .collect())
}

/// A line's `N` fields, parted by tabs.
fn fields<const N: usize>(line: &str) -> Option<[&str; N]> {
    let fields: Vec<&str> = line.split('\t').collect();
    fields.try_into().ok()
}
