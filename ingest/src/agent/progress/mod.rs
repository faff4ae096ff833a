//! What the package manager did: each package that it installed or upgraded is one report of a run's
//! progress.
//!
//! Read from the manager's own history, from where the last reading ended. That position is written after
//! the reports are in the spool, so a crash in between repeats them, and a report that is repeated is the
//! same report: its id follows from the computer, the run and the package alone. A run is reported once it
//! is over; one that was broken off is over when the next begins.

mod apt;
mod dnf;

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::PathBuf;

use patchline_schemas::{RunProgress, Timestamp};
use uuid::Uuid;

use super::os::Facts;
use super::packages::Manager;
use super::system::{System, Unreadable};

/// Namespace of the ids of these reports. Never change it, or a repetition becomes another report.
const NAMESPACE: Uuid = Uuid::from_u128(0x5b0e_7a44_9c1d_5e2f_8b63_17d0_4c9a_e255);

/// Reports of one post: some hundred kilobytes.
pub const REPORTS_PER_POST_MAX: usize = 500;

/// Bytes of a run's name.
const NAME_BYTES_MAX: usize = 200;

/// One run of the package manager.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Tells it from the computer's other runs.
    pub id: String,
    /// What was called, without its options: they may hold secrets.
    pub name: String,
    /// When it began.
    pub start: Timestamp,
    /// When it ended; none where it was broken off.
    pub end: Option<Timestamp>,
    /// What went wrong; empty where nothing did.
    pub error: String,
    /// What it installed or upgraded.
    pub packages: Vec<Installed>,
}

/// One package of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    /// Its name.
    pub name: String,
    /// Its architecture.
    pub arch: String,
    /// The version that it has now, epoch first.
    pub version: String,
    /// `install`, `upgrade`, and so on.
    pub how: String,
}

/// Runs since the last reading, oldest first, and where this one ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct News {
    /// The runs.
    pub runs: Vec<Run>,
    /// For the next reading; opaque.
    pub position: String,
}

/// What happened since `position`; without one, what the current history tells.
///
/// # Errors
/// The history cannot be read. zypper's is not read.
pub async fn news(
    system: &impl System,
    manager: Manager,
    position: Option<&str>,
) -> Result<News, Unreadable> {
    match manager {
        Manager::Apt => apt::news(system, position),
        Manager::Dnf => dnf::news(system, "dnf", position).await,
        Manager::Yum => dnf::news(system, "yum", position).await,
        Manager::Zypper => Err(Unreadable::new("zypper's history", "the agent does not know it")),
    }
}

/// The reports of `run`.
#[must_use]
pub fn reports(facts: &Facts, run: &Run) -> Vec<RunProgress<'static>> {
    let computer = &facts.source_computer_id;
    let id =
        |what: &str| Uuid::new_v5(&NAMESPACE, format!("{computer}\n{}\n{what}", run.id).as_bytes());
    let status = match (&run.end, run.error.is_empty()) {
        (Some(_), true) => "Succeeded",
        _ => "Failed",
    };
    let error = match run.end {
        None if run.error.is_empty() => "it was broken off",
        _ => run.error.as_str(),
    };
    let report = |package: &Installed| {
        let Installed { name, arch, version, how } = package;
        let update = format!("{name}\n{arch}\n{version}");
        RunProgress {
            report_id: id(&update),
            source_computer_id: computer.clone().into(),
            computer: facts.computer.clone().into(),
            time_generated: run.end.unwrap_or(run.start),
            os_type: "Linux".into(),
            source_system: "Linux".into(),
            vmuuid: facts.vmuuid.clone().into(),
            update_run_name: run.name.clone().into(),
            correlation_id: id("").to_string().into(),
            update_id: Uuid::new_v5(&NAMESPACE, update.as_bytes()).to_string().into(),
            title: format!("{name}:{arch} ({version}, {how})").into(),
            product: name.clone().into(),
            installation_status: status.into(),
            start_time: Some(run.start),
            end_time: run.end,
            error_result: error.to_owned().into(),
            ..RunProgress::default()
        }
    };
    run.packages.iter().map(report).collect()
}

/// Where the position is kept.
#[derive(Debug)]
pub struct Bookmark(PathBuf);

impl Bookmark {
    /// In the file at `path`.
    #[must_use]
    pub fn at(path: PathBuf) -> Self {
        Self(path)
    }

    /// The position, if there is one yet.
    ///
    /// # Errors
    /// The file is there and cannot be read.
    pub fn read(&self) -> io::Result<Option<String>> {
        match fs::read_to_string(&self.0) {
            Ok(text) => Ok(Some(text.trim().to_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Moves it. Whole or not at all.
    ///
    /// # Errors
    /// The disk takes no more.
    pub fn write(&self, position: &str) -> io::Result<()> {
        let part = self.0.with_extension("part");
        let mut file = File::create(&part)?;
        file.write_all(position.as_bytes())?;
        file.sync_all()?;
        fs::rename(&part, &self.0)
    }
}

/// `/usr/bin/apt-get -o x=y install --yes vim` is `apt-get install`.
fn run_name(command: &str, fallback: &str) -> String {
    let mut words = command.split_whitespace();
    let program = words.next().and_then(|path| path.rsplit('/').next()).unwrap_or(fallback);
    let plain = |word: &&str| {
        word.len() > 2 && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
    };
    let verb = words.find(|word| !word.starts_with('-') && plain(word));
    let mut name = verb.map_or_else(|| program.to_owned(), |verb| format!("{program} {verb}"));
    name.truncate(name.floor_char_boundary(NAME_BYTES_MAX));
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repetition_is_the_same_report_and_another_computers_is_not() {
        let run = Run {
            id: "2026-01-10  06:12:33".to_owned(),
            name: "unattended-upgrade".to_owned(),
            start: Timestamp(1_768_025_553_000),
            end: Some(Timestamp(1_768_025_565_000)),
            error: String::new(),
            packages: vec![Installed {
                name: "openssl".to_owned(),
                arch: "amd64".to_owned(),
                version: "0:3.0.11-1".to_owned(),
                how: "upgrade".to_owned(),
            }],
        };
        let facts = |id: &str| Facts {
            source_computer_id: id.to_owned(),
            computer: "web-1".to_owned(),
            ..Facts::default()
        };
        let [report] = &reports(&facts("a"), &run)[..] else { panic!("one package, one report") };
        assert_eq!(report, &reports(&facts("a"), &run)[0]);
        assert_ne!(report.report_id, reports(&facts("b"), &run)[0].report_id);
        // Kept: a resend across an upgrade of the agent must not get another id.
        assert_eq!(report.report_id.to_string(), "01c7db38-f3a6-56d4-bc61-81c9707bfb3f");
        assert_eq!(report.title, "openssl:amd64 (0:3.0.11-1, upgrade)");
        assert_eq!((&*report.installation_status, report.end_time), ("Succeeded", run.end));

        let broken_off = Run { end: None, ..run.clone() };
        let report = reports(&facts("a"), &broken_off).remove(0);
        assert_eq!(
            (&*report.installation_status, &*report.error_result),
            ("Failed", "it was broken off")
        );
        use patchline_schemas::Validate as _;
        assert_eq!(report.check(), Ok(()));
    }

    #[test]
    fn a_runs_name_has_no_option_of_the_command() {
        for (command, name) in [
            ("/usr/bin/apt-get -o Proxy=http://u:secret@h install --yes vim", "apt-get install"),
            ("/usr/bin/unattended-upgrade", "unattended-upgrade"),
            ("", "apt"),
            ("apt -y full-upgrade", "apt full-upgrade"),
        ] {
            assert_eq!(run_name(command, "apt"), name);
        }
    }
}
