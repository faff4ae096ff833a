//! One computer: who it is, what is installed on it, and how that changes from round to round.

use fastrand::Rng;
use uuid::Uuid;

use super::universe::{DISTRIBUTIONS, Distribution, EDITIONS, Edition, Package, Patch, Universe};
use super::{chance, pick, uuid};

/// Linux computers in a hundred.
const LINUX_PERCENT: u32 = 60;

const ROLES: [&str; 8] = ["web", "sql", "app", "file", "build", "mail", "cache", "mon"];
const DOMAINS: [&str; 3] = ["contoso.com", "contoso.com", "fabrikam.com"];
pub(super) const GROUPS: [&str; 2] = ["SCOM-East", "SCOM-West"];
const SOLUTIONS: [&str; 6] = ["", "", "", "", "security,updates", "security,changeTracking"];

/// Share of computers on which an update run takes place between two rounds, of the missing updates
/// that it takes on, and of those that then fail.
const RUNS: f64 = 0.7;
const TAKEN_ON: f64 = 0.6;
const FAILS: f64 = 0.06;

/// Of the missing updates that a run does not take on, the share that it says so of.
const LEFT_OUT: f64 = 0.15;

/// Of the updates that succeed, the share that did so when tried again.
const RETRIED: f64 = 0.05;

/// Share of computers that install everything, and do so right before they scan.
const DILIGENT: f64 = 0.15;

/// A computer with its state in one round.
#[derive(Debug)]
pub(super) struct Computer {
    pub(super) id: Uuid,
    pub(super) name: String,
    pub(super) vm: Uuid,
    pub(super) ip: String,
    /// In Azure.
    pub(super) resource_id: Option<String>,
    /// Of Operations Manager.
    pub(super) group: Option<&'static str>,
    pub(super) system: System,
    /// Solutions that its agent names; most name none.
    pub(super) solutions: &'static str,
    /// It speaks for a failover cluster, with this Azure resource id.
    pub(super) cluster: Option<String>,
    diligent: bool,
    /// Decides what happens on it. Nothing else draws from this, so that a computer's life is the
    /// same whether or not its reports are written out.
    rng: Rng,
}

/// What runs on it, with indices into its universe.
#[derive(Debug)]
pub(super) enum System {
    Linux { distribution: usize, packages: Vec<Installed> },
    Windows { edition: usize, patches: Vec<Applicable>, restart_pending: bool, client: Client },
}

/// A package, and its installed release.
#[derive(Debug)]
pub(super) struct Installed {
    pub(super) package: usize,
    pub(super) release: usize,
}

/// A Windows update that is for this computer.
#[derive(Debug)]
pub(super) struct Applicable {
    pub(super) patch: usize,
    pub(super) installed: bool,
    pub(super) approved: bool,
}

/// How its update client is set up.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) setting: &'static str,
    pub(super) wsus: &'static str,
    pub(super) net: &'static str,
}

/// One update of an update run and what became of it.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) title: String,
    pub(super) product: String,
    pub(super) kb: String,
    pub(super) update_id: Uuid,
    pub(super) outcome: Outcome,
}

/// How an update ended in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Succeeded { on_retry: bool },
    Failed,
    InstallFailed,
    FailedToStart,
    MaintenanceWindowExceeded,
    NotIncluded,
    Excluded,
}

impl Outcome {
    const FAILURES: [Outcome; 4] = [
        Outcome::Failed,
        Outcome::InstallFailed,
        Outcome::FailedToStart,
        Outcome::MaintenanceWindowExceeded,
    ];

    /// As `InstallationStatus` has it.
    pub(super) fn status(self) -> &'static str {
        match self {
            Outcome::Succeeded { .. } => "Succeeded",
            Outcome::Failed => "Failed",
            Outcome::InstallFailed => "InstallFailed",
            Outcome::FailedToStart => "FailedToStart",
            Outcome::MaintenanceWindowExceeded => "MaintenanceWindowExceeded",
            Outcome::NotIncluded => "NotIncluded",
            Outcome::Excluded => "Excluded",
        }
    }

    pub(super) fn succeeded(self) -> bool {
        matches!(self, Outcome::Succeeded { .. })
    }

    /// The run meant to install it.
    pub(super) fn was_planned(self) -> bool {
        !matches!(self, Outcome::NotIncluded | Outcome::Excluded)
    }

    /// Its installation began.
    pub(super) fn began(self) -> bool {
        self.succeeded() || matches!(self, Outcome::Failed | Outcome::InstallFailed)
    }

    /// Reports that the run makes of it: not started, in progress, ended.
    pub(super) fn reports(self) -> usize {
        1 + usize::from(self.was_planned()) + usize::from(self.began())
    }
}

/// Decides over one missing update: nothing where the run leaves it out in silence. The Linux agent
/// tells of success and failure only.
fn outcome(rng: &mut Rng, taken_on: f64, fails: f64, tells_all: bool) -> Option<Outcome> {
    if !chance(rng, taken_on) {
        let left_out = if rng.bool() { Outcome::NotIncluded } else { Outcome::Excluded };
        return (chance(rng, LEFT_OUT) && tells_all).then_some(left_out);
    }
    let failed = rng.choice(&Outcome::FAILURES).copied().filter(|_| tells_all);
    Some(if chance(rng, fails) {
        failed.unwrap_or(Outcome::Failed)
    } else {
        Outcome::Succeeded { on_retry: chance(rng, RETRIED) && tells_all }
    })
}

impl Computer {
    pub(super) fn new(seed: u64, number: u32, universe: &Universe) -> Computer {
        let mut rng = Rng::with_seed(seed);
        let rng = &mut rng;
        let name = format!("{}-{:03}.{}", pick(rng, &ROLES), number + 1, pick(rng, &DOMAINS));
        let short = name.split('.').next().unwrap_or_default().to_owned();
        let subscription = pick(rng, &["prod", "test"]);
        Computer {
            id: uuid(rng),
            vm: uuid(rng),
            ip: format!("10.{}.{}.{}", rng.u8(0..4), rng.u8(..), rng.u8(1..255)),
            resource_id: chance(rng, 0.4).then(|| {
                let id = Uuid::new_v5(&Uuid::NAMESPACE_DNS, subscription.as_bytes());
                format!(
                    "/subscriptions/{id}/resourceGroups/{subscription}-servers/providers/\
                     Microsoft.Compute/virtualMachines/{short}"
                )
            }),
            group: chance(rng, 0.2).then(|| pick(rng, &GROUPS)),
            system: if rng.u32(0..100) < LINUX_PERCENT {
                linux(universe, rng)
            } else {
                windows(universe, rng)
            },
            solutions: pick(rng, &SOLUTIONS),
            cluster: None,
            diligent: chance(rng, DILIGENT),
            name,
            rng: rng.fork(),
        }
    }

    /// Lets an update run take place before `round`, or not. Gives what it took on.
    pub(super) fn update(&mut self, round: u32, universe: &Universe) -> Vec<Attempt> {
        let rng = &mut self.rng;
        // The newest updates are out a while before most computers install them.
        let (runs, taken_on, fails, known_round) = match self.diligent {
            true => (1.0, 1.0, FAILS / 20.0, round),
            false => (RUNS, TAKEN_ON, FAILS, round.saturating_sub(1)),
        };
        if !chance(rng, runs) {
            return Vec::new();
        }
        let tells_all = self.resource_id.is_some();
        match &mut self.system {
            System::Linux { distribution, packages } => {
                let known = of(&universe.packages, *distribution);
                packages
                    .iter_mut()
                    .filter_map(|installed| {
                        let package = known.get(installed.package)?;
                        let newest = package.newest(known_round);
                        if installed.release == newest {
                            return None;
                        }
                        let outcome = outcome(rng, taken_on, fails, tells_all)?;
                        if outcome.succeeded() {
                            installed.release = newest;
                        }
                        let version = package.releases.get(newest)?.version.as_str();
                        Some(Attempt {
                            title: format!("{}:{} ({version})", package.name, package.architecture),
                            product: package.name.clone(),
                            kb: String::new(),
                            update_id: uuid(rng),
                            outcome,
                        })
                    })
                    .collect()
            }
            System::Windows { edition, patches, restart_pending, .. } => {
                let known = of(&universe.patches, *edition);
                *restart_pending = false;
                patches
                    .iter_mut()
                    .filter_map(|applicable| {
                        let patch = known.get(applicable.patch)?;
                        let due = !applicable.installed
                            && applicable.approved
                            && !patch.optional
                            && patch.round <= known_round;
                        if !due {
                            return None;
                        }
                        let outcome = outcome(rng, taken_on, fails, true)?;
                        applicable.installed = outcome.succeeded();
                        if applicable.installed && patch.reboot == "alwaysreboots" {
                            *restart_pending |= chance(rng, 0.3);
                        }
                        Some(Attempt {
                            title: patch.title.clone(),
                            product: patch.product.to_owned(),
                            kb: patch.kb.clone(),
                            update_id: patch.id,
                            outcome,
                        })
                    })
                    .collect()
            }
        }
    }

    /// The updates that a scan in `round` lists.
    pub(super) fn scan<'u>(&self, round: u32, universe: &'u Universe) -> Vec<Line<'u>> {
        match &self.system {
            System::Linux { distribution, packages } => {
                let known = of(&universe.packages, *distribution);
                packages
                    .iter()
                    .filter_map(|installed| Some((installed, known.get(installed.package)?)))
                    .flat_map(|(installed, package)| {
                        let newest = package.newest(round);
                        let missing = (newest != installed.release).then_some((newest, true));
                        let lines = [Some((installed.release, false)), missing];
                        lines.into_iter().flatten().map(move |(release, needed)| Line::Package {
                            package,
                            release,
                            needed,
                        })
                    })
                    .collect()
            }
            System::Windows { edition, patches, .. } => {
                let known = of(&universe.patches, *edition);
                patches
                    .iter()
                    .filter_map(|applicable| {
                        let patch = known.get(applicable.patch)?;
                        let Applicable { installed, approved, .. } = *applicable;
                        (patch.round <= round).then_some(Line::Patch { patch, installed, approved })
                    })
                    .collect()
            }
        }
    }

    /// Gives it another name.
    pub(super) fn rename(&mut self, name: &str) {
        let short = name.split('.').next().unwrap_or_default();
        if let Some((head, _)) = self.resource_id.as_deref().and_then(|id| id.rsplit_once('/')) {
            self.resource_id = Some(format!("{head}/{short}"));
        }
        name.clone_into(&mut self.name);
    }

    /// It speaks Patchline's own wire. Of Linux computers those in Azure do, the others the Linux
    /// agent's.
    pub(super) fn is_native(&self) -> bool {
        self.resource_id.is_some() || self.edition().is_some()
    }

    pub(super) fn distribution(&self) -> Option<&'static Distribution> {
        match &self.system {
            System::Linux { distribution, .. } => DISTRIBUTIONS.get(*distribution),
            System::Windows { .. } => None,
        }
    }

    pub(super) fn edition(&self) -> Option<&'static Edition> {
        match &self.system {
            System::Windows { edition, .. } => EDITIONS.get(*edition),
            System::Linux { .. } => None,
        }
    }
}

/// One update in a scan.
#[derive(Debug, Clone, Copy)]
pub(super) enum Line<'u> {
    Package { package: &'u Package, release: usize, needed: bool },
    Patch { patch: &'u Patch, installed: bool, approved: bool },
}

/// What there is for one of several systems.
pub(super) fn of<T>(known: &[Vec<T>], system: usize) -> &[T] {
    known.get(system).map_or(&[], Vec::as_slice)
}

fn linux(universe: &Universe, rng: &mut Rng) -> System {
    let distribution = rng.usize(0..DISTRIBUTIONS.len());
    let known = of(&universe.packages, distribution);
    // A lean server or a full one; well kept or not.
    let share = 0.66 + 0.3 * rng.f64();
    let kept = 0.35 + 0.4 * rng.f64();
    let packages = known
        .iter()
        .enumerate()
        .filter_map(|(at, package)| {
            let present = chance(rng, share);
            let newest = package.newest(0);
            let release = if chance(rng, kept) { newest } else { 0 };
            present.then_some(Installed { package: at, release })
        })
        .collect();
    System::Linux { distribution, packages }
}

/// The newest updates of an edition, which a computer may not have yet.
const RECENT: usize = 25;

fn windows(universe: &Universe, rng: &mut Rng) -> System {
    let edition = rng.usize(0..EDITIONS.len());
    let known = of(&universe.patches, edition);
    let at_first = known.iter().filter(|patch| patch.round == 0).count();
    let wsus = pick(rng, &["", "", "http://wsus.contoso.com:8530"]);
    let share = 0.6 + 0.35 * rng.f64();
    let kept = 0.3 + 0.5 * rng.f64();
    let patches = known
        .iter()
        .enumerate()
        .filter_map(|(at, patch)| {
            let recent = at + RECENT >= at_first || patch.optional;
            let present = chance(rng, share);
            let installed = chance(rng, if recent { kept } else { 0.98 }) && patch.round == 0;
            let approved = wsus.is_empty() || !patch.held_back || installed;
            present.then_some(Applicable { patch: at, installed, approved })
        })
        .collect();
    let settings = [
        "Scheduled installation",
        "Scheduled installation",
        "Notify before installation",
        "Disabled",
    ];
    let client = Client {
        setting: pick(rng, &settings),
        wsus,
        net: pick(rng, &["3.5.30729", "4.5.51641", "4.7.03190"]),
    };
    System::Windows { edition, patches, restart_pending: chance(rng, 0.05), client }
}
