//! The updates that exist: what computers of one system have in common.
//!
//! Names are of programs that every distribution has; versions, KB numbers, advisories and CVE ids are
//! invented (`CVE-…-9xxxx`), so that nobody takes them for real ones.

use fastrand::Rng;
use patchline_schemas::Timestamp;
use uuid::Uuid;

use super::{chance, day, pick, uuid};

/// Programs; each gives the packages of [`DEB_FORMS`] or [`RPM_FORMS`].
const PROGRAMS: &str = "\
    acl apache apparmor at atk attr audit augeas autoconf avahi bash bc bind binutils bison boost bzip2 \
    cairo chrony cloud-init coreutils cpio cron cryptsetup cups curl cyrus dbus device-mapper dhcp \
    diffutils dmidecode dnsmasq docker dracut e2fsprogs ed elfutils ethtool expat fakeroot file \
    findutils flac fontconfig freetype fuse gawk gcc gdb gdbm gettext ghostscript giflib git glib \
    glibc gmp gnupg gnutls gpgme grep grub gtk gzip harfbuzz hdparm hwdata icu ima initramfs iproute \
    iptables iputils isc jansson jbig json-c kbd kerberos keyutils kmod kpartx krb5 lcms less libtiff \
    libxml linux-firmware lldpad logrotate lsof lua lvm2 lz4 lzo mailcap make mariadb mdadm memcached \
    mesa mime mpfr mtools nano ncurses net-snmp nettle newt nfs nginx nspr nss ntp numactl openldap \
    openssh openssl pam parted passwd patch pciutils pcre perl php pixman policykit popt postfix \
    postgresql procps psmisc pulse python qemu quota readline redis rng rpcbind rsync rsyslog ruby \
    samba screen sed selinux setools shadow slang snappy sqlite squid strace sudo sysstat systemd tar \
    tcl tcpdump telnet texinfo tmux tomcat tzdata udev unzip usbutils util-linux vim wget xfsprogs \
    xorg xz yajl zip zlib";

const DEB_FORMS: [(&str, &str); 4] = [("", ""), ("lib", "1"), ("", "-common"), ("python3-", "")];
const RPM_FORMS: [(&str, &str); 4] = [("", ""), ("", "-libs"), ("", "-common"), ("python-", "")];

/// Packages of one distribution: what a server with 450 to 700 of them can choose from.
const PACKAGES: usize = 710;

/// Share of packages with an update at first: a computer misses a half of these, 10 to 40.
const OUTDATED: f64 = 0.085;

/// Share of packages that get an update from one round to the next.
const OUTDATED_LATER: f64 = 0.012;

/// Updates of one Windows edition that exist at first, and how many each later round adds.
const PATCHES: usize = 150;
const PATCHES_LATER: usize = 4;

/// How a distribution writes versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    Deb,
    Rpm(&'static str),
}

/// A Linux distribution in one version.
#[derive(Debug)]
pub(super) struct Distribution {
    pub(super) name: &'static str,
    pub(super) version: &'static str,
    /// As `CollectionName` spells it, with the agent's coarser version.
    pub(super) short: &'static str,
    /// Names the repositories.
    pub(super) suite: &'static str,
    family: Family,
}

impl Distribution {
    /// Its name and its version.
    pub(super) fn release(&self) -> [String; 2] {
        [self.name, self.version].map(str::to_owned)
    }

    pub(super) fn full_name(&self) -> String {
        format!("{} {}", self.name, self.version)
    }
}

const fn distribution(
    name: &'static str,
    version: &'static str,
    short: &'static str,
    suite: &'static str,
    family: Family,
) -> Distribution {
    Distribution { name, version, short, suite, family }
}

const EL7: Family = Family::Rpm(".el7");

/// Built from Red Hat's sources: it has Red Hat's packages in the same versions, and no advisories of its own.
pub(super) const CENTOS: &str = "CentOS Linux";

/// The Linux part of a fleet.
pub(super) const DISTRIBUTIONS: [Distribution; 6] = [
    distribution("Ubuntu", "14.04", "Ubuntu_14.04", "trusty", Family::Deb),
    distribution("Ubuntu", "16.04", "Ubuntu_16.04", "xenial", Family::Deb),
    distribution("Ubuntu", "18.04", "Ubuntu_18.04", "bionic", Family::Deb),
    distribution(CENTOS, "7.4", "CentOS_7.0", "centos-7", EL7),
    distribution("Red Hat Enterprise Linux Server", "7.3", "RHEL_7.0", "rhel-7", EL7),
    distribution("SUSE Linux Enterprise Server", "12.2", "SUSE_12.0", "sles12", Family::Rpm("")),
];

/// A Windows edition.
#[derive(Debug)]
pub(super) struct Edition {
    pub(super) name: &'static str,
    pub(super) version: &'static str,
    pub(super) product: &'static str,
    pub(super) agent: &'static str,
}

/// The Windows part of a fleet.
pub(super) const EDITIONS: [Edition; 4] = [
    Edition {
        name: "Windows Server 2008 R2 Standard",
        version: "6.1.7601",
        product: "Windows Server 2008 R2",
        agent: "7.6.7601.24436",
    },
    Edition {
        name: "Windows Server 2012 R2 Standard",
        version: "6.3.9600",
        product: "Windows Server 2012 R2",
        agent: "7.9.9600.19915",
    },
    Edition {
        name: "Windows Server 2016 Datacenter",
        version: "10.0.14393",
        product: "Windows Server 2016",
        agent: "10.0.14393.2608",
    },
    Edition {
        name: "Windows Server 2019 Datacenter",
        version: "10.0.17763",
        product: "Windows Server 2019",
        agent: "10.0.17763.1697",
    },
];

/// One version of a package.
#[derive(Debug)]
pub(super) struct Release {
    pub(super) version: String,
    /// The round from which repositories offer it.
    pub(super) round: u32,
    pub(super) published: Timestamp,
    /// Comes from the security repository.
    pub(super) security: bool,
    /// What package managers say of it.
    pub(super) hint: Option<&'static str>,
    /// The catalog has an advisory for it.
    pub(super) advisory: bool,
}

/// A package with its versions, oldest first; the first is what the system was installed with.
#[derive(Debug)]
pub(super) struct Package {
    pub(super) name: String,
    pub(super) architecture: &'static str,
    pub(super) releases: Vec<Release>,
}

impl Package {
    /// Index of the newest version that `round` knows.
    pub(super) fn newest(&self, round: u32) -> usize {
        self.releases.iter().rposition(|release| release.round <= round).unwrap_or_default()
    }
}

/// A Windows update.
#[derive(Debug)]
pub(super) struct Patch {
    pub(super) id: Uuid,
    pub(super) kb: String,
    pub(super) title: String,
    pub(super) product: &'static str,
    /// What the computer says of it; sometimes nothing.
    pub(super) classification: &'static str,
    pub(super) reboot: &'static str,
    pub(super) round: u32,
    pub(super) published: Timestamp,
    pub(super) optional: bool,
    /// The WSUS administrator has not approved it.
    pub(super) held_back: bool,
    /// The catalog has a bulletin for it, with this severity.
    pub(super) severity: Option<&'static str>,
    pub(super) revision: String,
}

/// Everything that can be installed somewhere in a fleet.
#[derive(Debug)]
pub(super) struct Universe {
    /// Of each of [`DISTRIBUTIONS`].
    pub(super) packages: Vec<Vec<Package>>,
    /// Of each of [`EDITIONS`].
    pub(super) patches: Vec<Vec<Patch>>,
}

impl Universe {
    pub(super) fn new(seed: u64, rounds: u32, now: Timestamp) -> Universe {
        let mut rng = Rng::with_seed(seed);
        let mut el7 = None;
        let packages = DISTRIBUTIONS.iter().map(|of| {
            let own = rng.fork();
            let mut rng = match of.family {
                EL7 => el7.get_or_insert(own).clone(),
                _ => own,
            };
            packages(of, rounds, now, &mut rng)
        });
        let packages = packages.collect();
        let mut kb = 4_900_000;
        let patches =
            EDITIONS.iter().map(|of| patches(of, rounds, now, &mut kb, &mut rng.fork())).collect();
        Universe { packages, patches }
    }
}

fn packages(
    distribution: &Distribution,
    rounds: u32,
    now: Timestamp,
    rng: &mut Rng,
) -> Vec<Package> {
    let forms = match distribution.family {
        Family::Deb => DEB_FORMS,
        Family::Rpm(_) => RPM_FORMS,
    };
    forms
        .iter()
        .flat_map(|form| PROGRAMS.split_whitespace().map(move |program| (form, program)))
        .take(PACKAGES)
        .map(|((before, after), program)| {
            let everywhere = *after == "-common" || program == "tzdata";
            let architecture = match distribution.family {
                Family::Deb if everywhere => "all",
                Family::Deb => "amd64",
                Family::Rpm(_) if everywhere => "noarch",
                Family::Rpm(_) => "x86_64",
            };
            let name = format!("{before}{program}{after}");
            Package { name, architecture, releases: releases(distribution, rounds, now, rng) }
        })
        .collect()
}

fn releases(
    distribution: &Distribution,
    rounds: u32,
    now: Timestamp,
    rng: &mut Rng,
) -> Vec<Release> {
    let epoch = if chance(rng, 0.08) { rng.u32(1..=2) } else { 0 };
    let (major, minor, patch) = (rng.u32(0..9), rng.u32(0..30), rng.u32(0..12));
    let upstream = format!("{epoch}:{major}.{minor}.{patch}");
    let packaging = rng.u32(1..20);
    let version = |update: u32| match distribution.family {
        Family::Deb if update == 0 => format!("{upstream}-{packaging}ubuntu1"),
        Family::Deb => format!("{upstream}-{packaging}ubuntu1.{update}"),
        Family::Rpm("") => format!("{upstream}-{packaging}.{update}.1"),
        Family::Rpm(tag) => format!("{upstream}-{}{tag}", packaging + update),
    };
    let mut releases = vec![Release {
        version: version(0),
        round: 0,
        published: now,
        security: false,
        hint: None,
        advisory: false,
    }];
    let mut update = 0;
    for round in 0..rounds {
        if !chance(rng, if round == 0 { OUTDATED } else { OUTDATED_LATER }) {
            continue;
        }
        update += 1;
        let days = if round == 0 { rng.u32(2..240) } else { 0 };
        let security = chance(rng, 0.4);
        // Two in three security updates are in the catalog. Of the rest the package manager says what
        // it knows, or nothing.
        let advisory = chance(rng, if security { 0.66 } else { 0.1 });
        let hint = match (security, chance(rng, 0.6)) {
            (true, true) => Some("Security Updates"),
            (false, true) => Some("Others"),
            (_, false) => None,
        };
        let published = day(now, days);
        releases.push(Release {
            version: version(update),
            round,
            published,
            security,
            hint,
            advisory,
        });
    }
    releases
}

/// Classification, share of an edition's updates in percent, and its titles.
const CLASSES: [(&str, u32, &str); 8] = [
    ("Security Updates", 40, "Security Update for {product} for x64-based Systems"),
    ("Critical Updates", 9, "Critical Update for {product}"),
    ("Update Rollups", 14, "{month} Quality Rollup for {product} for x64-based Systems"),
    ("Updates", 22, "Update for {product} for x64-based Systems"),
    ("Definition Updates", 6, "Definition Update for Server Antimalware, {month}"),
    ("Feature Packs", 4, "Management Framework Feature Pack for {product}"),
    ("Service Packs", 2, "Service Pack for Server Database Tools on {product}"),
    ("Applications", 3, "Server Browser for {product}"),
];

fn patches(
    edition: &Edition,
    rounds: u32,
    now: Timestamp,
    kb: &mut u32,
    rng: &mut Rng,
) -> Vec<Patch> {
    let mut patches = Vec::new();
    for round in 0..rounds {
        for at in 0..if round == 0 { PATCHES } else { PATCHES_LATER } {
            *kb += rng.u32(1..40);
            // The first are the oldest: one a week or so, down to last week's.
            let days = if round == 0 { u32::try_from(PATCHES - at).unwrap_or(1) * 6 } else { 0 };
            patches.push(patch(edition, round, day(now, days), *kb, rng));
        }
    }
    patches
}

fn patch(edition: &Edition, round: u32, published: Timestamp, kb: u32, rng: &mut Rng) -> Patch {
    let mut share = rng.u32(0..100);
    let (class, _, title) = CLASSES
        .iter()
        .find(|(_, percent, _)| match share.checked_sub(*percent) {
            Some(rest) => {
                share = rest;
                false
            }
            None => true,
        })
        .copied()
        .unwrap_or_default();
    let month = published.to_string().get(..7).unwrap_or_default().to_owned();
    let title = title.replace("{product}", edition.product).replace("{month}", &month);
    let severities = ["Critical", "Important", "Important", "Moderate"];
    let listed = class == "Security Updates" && chance(rng, 0.75);
    Patch {
        id: uuid(rng),
        kb: kb.to_string(),
        title: format!("{title} (KB{kb})"),
        product: edition.product,
        // What the catalog does not know and the computer does not say becomes the default.
        classification: if class == "Updates" && chance(rng, 0.3) { "" } else { class },
        reboot: pick(rng, &["alwaysreboots", "canrequestreboot", "neverreboots"]),
        round,
        published,
        optional: matches!(class, "Feature Packs" | "Applications") || chance(rng, 0.04),
        held_back: chance(rng, 0.06),
        severity: listed.then(|| pick(rng, &severities)),
        revision: rng.u32(200..206).to_string(),
    }
}
