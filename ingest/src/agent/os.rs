//! What the computer is: its identity, its operating system, its addresses, and whether it waits for
//! a restart.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::packages::Manager;
use super::system::{System, Unreadable};

/// Namespace of computer ids made of a machine id: the id itself must not leave the computer
/// (machine-id(5)), so a UUIDv5 of it does.
const MACHINE_NAMESPACE: Uuid = Uuid::from_u128(0x8d1f_6f0e_52f0_4f0b_a6a4_3c5d_2f1b_9e77);

/// The facts that every report tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// Identifies the computer: the same after a restart, of its own on every computer.
    pub source_computer_id: String,
    /// Its name, with its domain where it knows one.
    pub computer: String,
    /// `Debian GNU/Linux`, `Ubuntu`, `CentOS Linux`.
    pub os_name: String,
    /// `12`, `16.04`, `8.9`.
    pub os_version: String,
    /// Name and version as the system says them itself.
    pub os_full_name: String,
    /// UUID of the machine's firmware; only root may read it on most systems.
    pub vmuuid: String,
    /// What could not be read.
    pub unreadable: Vec<Unreadable>,
}

impl Facts {
    /// Reads them.
    ///
    /// # Errors
    /// The computer's name or its machine id cannot be read: nobody would know whose report it is.
    pub async fn read(system: &impl System) -> Result<Self, Unreadable> {
        let mut facts = Self::default();
        let machine = ["/etc/machine-id", "/var/lib/dbus/machine-id"];
        let machine = first(system, &machine)?;
        facts.source_computer_id =
            Uuid::new_v5(&MACHINE_NAMESPACE, machine.trim().as_bytes()).to_string();
        facts.computer = name(system).await?;

        match first(system, &["/etc/os-release", "/usr/lib/os-release"]) {
            Ok(text) => {
                let release = os_release(&text);
                let value = |key| release.get(key).cloned().unwrap_or_default();
                (facts.os_name, facts.os_version) = (value("NAME"), value("VERSION_ID"));
                facts.os_full_name = value("PRETTY_NAME");
            }
            Err(error) => facts.unreadable.push(error),
        }
        match system.read("/sys/class/dmi/id/product_uuid") {
            Ok(text) => facts.vmuuid = text.trim().to_owned(),
            Err(error) => facts.unreadable.push(error),
        }
        Ok(facts)
    }
}

/// The first of `paths` that can be read; else what was wrong with the first.
fn first(system: &impl System, paths: &[&str]) -> Result<String, Unreadable> {
    let mut problem = None;
    for path in paths {
        match system.read(path) {
            Ok(text) if !text.trim().is_empty() => return Ok(text),
            Ok(_) => problem = problem.or(Some(Unreadable::new(*path, "is empty"))),
            Err(error) => problem = problem.or(Some(error)),
        }
    }
    Err(problem.unwrap_or_else(|| Unreadable::new("nothing", "no path was given")))
}

async fn name(system: &impl System) -> Result<String, Unreadable> {
    // With the domain, as far as a resolver knows it; without a network the short name has to do.
    if let Ok(ended) = system.run("hostname", &["-f"]).await {
        let name = ended.text.trim();
        if ended.code == 0 && !name.is_empty() && name != "localhost" {
            return Ok(name.to_owned());
        }
    }
    let name = first(system, &["/proc/sys/kernel/hostname", "/etc/hostname"])?;
    Ok(name.trim().to_owned())
}

/// `KEY=value` lines as os-release(5) has them: values may be quoted, a backslash takes `"$\`` and itself.
fn os_release(text: &str) -> BTreeMap<&str, String> {
    let value = |raw: &str| {
        let raw = raw.trim();
        let inner = ['"', '\'']
            .into_iter()
            .find_map(|quote| raw.strip_prefix(quote)?.strip_suffix(quote))
            .unwrap_or(raw);
        let mut value = String::with_capacity(inner.len());
        let mut chars = inner.chars();
        while let Some(char) = chars.next() {
            value.push(if char == '\\' { chars.next().unwrap_or(char) } else { char });
        }
        value
    };
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once('='))
        .map(|(key, raw)| (key.trim(), value(raw)))
        .collect()
}

/// Whether a restart is needed to finish what was installed; `None` where the system has no way to
/// tell.
pub async fn restart_pending(system: &impl System, manager: Manager) -> Option<bool> {
    match manager {
        Manager::Apt => {
            Some(system.exists("/run/reboot-required") || system.exists("/var/run/reboot-required"))
        }
        // 0: no, 1: yes; anything else is a plugin that is not there.
        Manager::Dnf | Manager::Yum => {
            match system.run("needs-restarting", &["-r"]).await.ok()?.code {
                0 => Some(false),
                1 => Some(true),
                _ => None,
            }
        }
        // 102, ZYPPER_EXIT_INF_REBOOT_NEEDED.
        Manager::Zypper => {
            match system.run("zypper", &["--non-interactive", "needs-rebooting"]).await.ok()?.code {
                0 => Some(false),
                102 => Some(true),
                _ => None,
            }
        }
    }
}

/// The computer's addresses, without those of its loopback.
pub async fn addresses(system: &impl System) -> Vec<String> {
    let Ok(ended) = system.run("hostname", &["-I"]).await else { return Vec::new() };
    ended.text.split_whitespace().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::system::recorded::Recorded;

    fn debian() -> Recorded {
        Recorded::default()
            .file("/etc/machine-id", "3d1219c7c4c5404aaa1f6d2a48adfda4\n")
            .file("/proc/sys/kernel/hostname", "web-1\n")
            .file(
                "/etc/os-release",
                "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nNAME=\"Debian GNU/Linux\"\n# comment\n\
                 VERSION_ID='12'\nODD=\"a \\\"b\\\" \\$c\"\n",
            )
    }

    #[tokio::test]
    async fn a_computer_tells_who_it_is_and_what_it_could_not_read() {
        let facts = Facts::read(&debian()).await.unwrap();
        assert_eq!(facts.computer, "web-1");
        assert_eq!((facts.os_name.as_str(), facts.os_version.as_str()), ("Debian GNU/Linux", "12"));
        assert_eq!(facts.os_full_name, "Debian GNU/Linux 12 (bookworm)");
        // Kept: another id would be another computer.
        assert_eq!(facts.source_computer_id, "ba443943-6e14-509d-b96e-75e06a60c164");
        let unreadable: Vec<&str> = facts.unreadable.iter().map(|one| one.what.as_str()).collect();
        assert_eq!(unreadable, ["/sys/class/dmi/id/product_uuid"]);
        assert_eq!(os_release("ODD=\"a \\\"b\\\" \\$c\"")["ODD"], "a \"b\" $c");
    }

    #[tokio::test]
    async fn the_domain_is_part_of_the_name() {
        let system = debian().ran("hostname -f", 0, "web-1.contoso.com\n");
        assert_eq!(Facts::read(&system).await.unwrap().computer, "web-1.contoso.com");
    }

    #[tokio::test]
    async fn without_a_machine_id_there_is_no_report() {
        let system = Recorded::default().file("/etc/hostname", "web-1");
        assert_eq!(Facts::read(&system).await.unwrap_err().what, "/etc/machine-id");
    }

    #[tokio::test]
    async fn a_restart_is_pending_where_the_system_says_so() {
        let system = Recorded::default().file("/run/reboot-required", "");
        assert_eq!(restart_pending(&system, Manager::Apt).await, Some(true));
        let system = Recorded::default().ran("needs-restarting -r", 1, "");
        assert_eq!(restart_pending(&system, Manager::Dnf).await, Some(true));
        assert_eq!(restart_pending(&Recorded::default(), Manager::Yum).await, None);
        let system = Recorded::default().ran("zypper --non-interactive needs-rebooting", 0, "");
        assert_eq!(restart_pending(&system, Manager::Zypper).await, Some(false));
    }
}
