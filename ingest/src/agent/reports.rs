//! The agent's reports, as the gateway's native wire takes them.

use patchline_schemas::{Heartbeat, Scan, Timestamp, Update, UpdateState};
use uuid::Uuid;

use super::os::{Facts, addresses, restart_pending};
use super::packages::{Manager, Package, Packages};
use super::system::{System, Unreadable};

/// A report and what it goes without.
#[derive(Debug, Clone, PartialEq)]
pub struct Assessment {
    /// The scan.
    pub scan: Scan<'static>,
    /// What could not be read.
    pub unreadable: Vec<Unreadable>,
}

/// Scans the computer.
///
/// # Errors
/// There is no package manager that the agent knows, or it cannot say what is installed and what is
/// missing.
pub async fn scan(system: &impl System, facts: &Facts) -> Result<Assessment, Unreadable> {
    let manager = Manager::of(system)
        .ok_or_else(|| Unreadable::new("packages", "neither apt, dnf, yum nor zypper is here"))?;
    let Packages { installed, available, mut unreadable } = manager.packages(system).await?;
    unreadable.splice(0..0, facts.unreadable.iter().cloned());
    let restart_pending = restart_pending(system, manager).await;
    if restart_pending.is_none() {
        unreadable.push(Unreadable::new("restart pending", "this system has no way to tell"));
    }
    let needed = available.into_iter().map(|package| update(package, UpdateState::Needed));
    let present = installed.into_iter().map(|package| update(package, UpdateState::NotNeeded));
    let scan = Scan {
        report_id: Uuid::new_v4(),
        source_computer_id: facts.source_computer_id.clone().into(),
        computer: facts.computer.clone().into(),
        time_generated: Timestamp::now(),
        os_type: "Linux".into(),
        source_system: "Linux".into(),
        vmuuid: facts.vmuuid.clone().into(),
        os_name: facts.os_name.clone().into(),
        os_version: facts.os_version.clone().into(),
        os_full_name: facts.os_full_name.clone().into(),
        restart_pending: restart_pending.unwrap_or_default(),
        updates: needed.chain(present).collect(),
        ..Scan::default()
    };
    Ok(Assessment { scan, unreadable })
}

fn update(package: Package, state: UpdateState) -> Update<'static> {
    Update {
        update_state: state,
        title: package.name.clone().into(),
        product: package.name.into(),
        product_arch: package.arch.into(),
        product_version: package.version.into(),
        classification: package.classification.into(),
        package_repository: package.repository.into(),
        ..Update::default()
    }
}

/// Says that the computer is there.
pub async fn heartbeat(system: &impl System, facts: &Facts) -> Heartbeat<'static> {
    let (major, minor) = facts.os_version.split_once('.').unwrap_or((&facts.os_version, ""));
    Heartbeat {
        report_id: Uuid::new_v4(),
        source_computer_id: facts.source_computer_id.clone().into(),
        computer: facts.computer.clone().into(),
        time_generated: Timestamp::now(),
        os_type: "Linux".into(),
        source_system: "Linux".into(),
        vmuuid: facts.vmuuid.clone().into(),
        os_name: facts.os_name.clone().into(),
        os_major_version: major.to_owned().into(),
        os_minor_version: minor.to_owned().into(),
        version: env!("CARGO_PKG_VERSION").into(),
        computer_private_ips: addresses(system).await,
        ..Heartbeat::default()
    }
}
