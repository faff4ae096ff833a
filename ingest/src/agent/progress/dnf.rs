//! dnf's history, and yum's, which only root may read: `dnf history list`, then `dnf history info` of each
//! transaction that is new.
//!
//! The position is the number of the last transaction that was read. Where the newest has a smaller
//! number, the history was begun anew and is read from its beginning.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use patchline_schemas::Timestamp;

use super::{Installed, News, Run, run_name};
use crate::agent::packages::with_epoch;
use crate::agent::system::{System, Unreadable, text_of};

/// Transactions read at a time, the newest: each asks the program once more.
const TRANSACTIONS_MAX: usize = 50;

/// How the versions of dnf write times, in the C locale and in English.
const TIMES: [&str; 3] = ["%Y-%m-%d %H:%M:%S", "%a %b %d %H:%M:%S %Y", "%a %d %b %Y %I:%M:%S %p"];

pub(super) async fn news(
    system: &impl System,
    program: &str,
    position: Option<&str>,
) -> Result<News, Unreadable> {
    let text = text_of(system, program, &["history", "list"], &[0]).await?;
    let mut numbers: Vec<u64> = text.lines().filter_map(number).collect();
    numbers.sort_unstable();
    let last = position.and_then(|position| position.parse().ok()).unwrap_or(0);
    let newest = numbers.last().copied().unwrap_or_default();
    let begun_anew = newest < last && !numbers.is_empty();
    numbers.retain(|number| begun_anew || *number > last);
    numbers.drain(..numbers.len().saturating_sub(TRANSACTIONS_MAX));
    let zone = system.time_zone();
    let (mut runs, mut position) = (Vec::new(), last);
    for number in numbers {
        let text =
            text_of(system, program, &["history", "info", &number.to_string()], &[0]).await?;
        // It is going on, and is read when it is over. One that was broken off has later ones.
        if value(&text, "End time").is_none() && number == newest {
            break;
        }
        runs.extend(run(&text, number, program, &zone));
        position = number;
    }
    Ok(News { runs, position: position.to_string() })
}

/// The number that a line of the list begins with.
fn number(line: &str) -> Option<u64> {
    line.split(['|', ' ']).find(|word| !word.is_empty())?.parse().ok()
}

fn value<'i>(info: &'i str, key: &str) -> Option<&'i str> {
    info.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        (name.trim() == key).then(|| value.trim()).filter(|value| !value.is_empty())
    })
}

fn run(info: &str, number: u64, program: &str, zone: &TimeZone) -> Option<Run> {
    let began = value(info, "Begin time")?;
    let outcome = value(info, "Return-Code").or(value(info, "Status")).unwrap_or_default();
    let good = outcome.starts_with("Success") || outcome.starts_with("Ok");
    let command = value(info, "Command Line").or(value(info, "Description")).unwrap_or_default();
    let command = if command.starts_with(program) {
        command.to_owned()
    } else {
        format!("{program} {command}")
    };
    let packages: Vec<Installed> = info
        .lines()
        .skip_while(|line| !line.trim_start().to_lowercase().starts_with("packages altered"))
        .filter_map(package)
        .collect();
    let start = time(began, zone)?;
    (!packages.is_empty()).then(|| Run {
        id: format!("{number} {began}"),
        name: run_name(&command, program),
        start,
        end: value(info, "End time").and_then(|ended| time(ended, zone)),
        error: if good { String::new() } else { format!("{program}: {outcome}") },
        packages,
    })
}

/// `    Upgrade  openssl-1:1.1.1k-12.el8_9.x86_64 @baseos`; `Upgraded` is what was there before.
fn package(line: &str) -> Option<Installed> {
    let mut words = line.split_whitespace();
    let how = match words.next()? {
        "Install" | "Dep-Install" => "install",
        "Upgrade" | "Update" => "upgrade",
        "Reinstall" => "reinstall",
        "Downgrade" => "downgrade",
        _ => return None,
    };
    let (rest, arch) = words.next()?.rsplit_once('.')?;
    let (rest, release) = rest.rsplit_once('-')?;
    let (name, version) = rest.rsplit_once('-')?;
    Some(Installed {
        name: name.to_owned(),
        arch: arch.to_owned(),
        version: with_epoch(&format!("{version}-{release}")),
        how: how.to_owned(),
    })
}

/// Local time; how long it took may stand behind it, in parentheses, and a zone's name, which says
/// nothing that the computer does not know.
fn time(text: &str, zone: &TimeZone) -> Option<Timestamp> {
    let text = text.split(" (").next().unwrap_or_default().trim();
    let words: Vec<&str> = text.split_whitespace().collect();
    let whole = words.join(" ");
    let without_zone = words.split_last().map(|(_, rest)| rest.join(" ")).unwrap_or_default();
    let local = TIMES.iter().find_map(|format| {
        [&whole, &without_zone].into_iter().find_map(|text| DateTime::strptime(format, text).ok())
    })?;
    Some(Timestamp(local.to_zoned(zone.clone()).ok()?.timestamp().as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::system::recorded::Recorded;

    const LIST: &str = "\
ID     | Command line             | Date and time    | Action(s)      | Altered
-------------------------------------------------------------------------------
     3 | upgrade -y               | 2026-01-09 06:12 | Upgrade        |    2
     2 | remove nano              | 2026-01-08 10:00 | Removed        |    1
     1 |                          | 2026-01-07 10:00 | Install        |  300 EE
";
    const UPGRADE: &str = "\
Transaction ID : 3
Begin time     : Fri Jan  9 06:12:33 2026
Begin rpmdb    : 512:abcdef
End time       : Fri Jan  9 06:12:53 2026 (20 seconds)
User           : root <root>
Return-Code    : Success
Command Line   : upgrade -y
Packages Altered:
    Upgrade  openssl-1:1.1.1k-12.el8_9.x86_64 @baseos
    Upgraded openssl-1:1.1.1k-9.el8_7.x86_64  @@System
    Install  grub2-tools-extra-1:2.02-150.el8.x86_64 @baseos
";
    const REMOVAL: &str = "\
Transaction ID : 2
Begin time     : Thu Jan  8 10:00:00 2026
End time       : Thu Jan  8 10:00:01 2026 (1 seconds)
Return-Code    : Success
Packages Altered:
    Removed nano-2.9.8-1.el8.x86_64 @@System
";
    const FAILURE: &str = "\
Transaction ID : 1
Begin time     : Wed 07 Jan 2026 10:00:00 AM UTC
End time       : Wed 07 Jan 2026 10:00:10 AM UTC (10 seconds)
Return-Code    : Failure: 1
Packages Altered:
    Install bash-5.1.8-6.el9.x86_64 @anaconda
";

    fn computer() -> Recorded {
        Recorded::default()
            .ran("dnf history list", 0, LIST)
            .ran("dnf history info 1", 0, FAILURE)
            .ran("dnf history info 2", 0, REMOVAL)
            .ran("dnf history info 3", 0, UPGRADE)
    }

    #[tokio::test]
    async fn each_transaction_is_read_once() {
        let news = news(&computer(), "dnf", None).await.unwrap();
        let [failure, upgrade] = &news.runs[..] else { panic!("{news:?}") };
        assert_eq!((failure.error.as_str(), failure.name.as_str()), ("dnf: Failure: 1", "dnf"));
        assert_eq!(failure.start.to_string(), "2026-01-07T10:00:00.000Z");
        assert_eq!((upgrade.error.as_str(), upgrade.name.as_str()), ("", "dnf upgrade"));
        assert_eq!(upgrade.end.unwrap().to_string(), "2026-01-09T06:12:53.000Z");
        let brief: Vec<String> = upgrade
            .packages
            .iter()
            .map(|p| format!("{} {} {} {}", p.how, p.name, p.arch, p.version))
            .collect();
        assert_eq!(
            brief,
            [
                "upgrade openssl x86_64 1:1.1.1k-12.el8_9",
                "install grub2-tools-extra x86_64 1:2.02-150.el8"
            ]
        );
        assert_eq!(news.position, "3");
        let after = |position: &'static str| async move {
            super::news(&computer(), "dnf", Some(position)).await.unwrap().runs.len()
        };
        assert_eq!(
            (after("3").await, after("2").await, after("9").await),
            (0, 1, 2),
            "9: begun anew"
        );
    }

    #[tokio::test]
    async fn a_newer_dnf_writes_it_otherwise() {
        let list = "ID Command line Date and time       Action(s) Altered\n 7 dnf upgrade  2026-01-09 06:12:33                 1\n";
        let info = "\
Transaction ID : 7
Begin time     : 2026-01-09 06:12:33
End time       : 2026-01-09 06:12:53
Status         : Ok
Description    : dnf upgrade
Packages altered:
  Action   Package                              Reason     Repository
  Upgrade  openssl-1:3.2.4-1.fc41.x86_64        Dependency updates
  Replaced openssl-1:3.2.2-1.fc41.x86_64        Dependency @System
";
        let system =
            Recorded::default().ran("dnf history list", 0, list).ran("dnf history info 7", 0, info);
        let news = news(&system, "dnf", Some("6")).await.unwrap();
        assert_eq!((news.runs.len(), news.runs[0].packages.len()), (1, 1));
        assert_eq!((news.runs[0].name.as_str(), news.runs[0].error.as_str()), ("dnf upgrade", ""));
    }

    #[tokio::test]
    async fn what_is_going_on_is_read_when_it_is_over() {
        let going_on =
            UPGRADE.replace("End time       : Fri Jan  9 06:12:53 2026 (20 seconds)\n", "");
        let system = computer().ran("dnf history info 3", 0, &going_on);
        let news = news(&system, "dnf", Some("2")).await.unwrap();
        assert_eq!((news.runs.len(), news.position.as_str()), (0, "2"));
    }
}
