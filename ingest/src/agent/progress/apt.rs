//! apt's history: `/var/log/apt/history.log`, which is rotated monthly.
//!
//! The position is the hash of the last block that was read: it is found again wherever a rotation has
//! moved it, and a clock that was set back does not hide what comes after it.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use patchline_schemas::Timestamp;
use sha1::{Digest as _, Sha1};

use super::{Installed, News, Run, run_name};
use crate::agent::packages::with_epoch;
use crate::agent::system::{System, Unreadable};

const LOG: &str = "/var/log/apt/history.log";

/// Where a rotation puts it: compressed at once, or one rotation later.
const ROTATED: [&str; 2] = ["/var/log/apt/history.log.1.gz", "/var/log/apt/history.log.1"];

pub(super) fn news(system: &impl System, position: Option<&str>) -> Result<News, Unreadable> {
    let log = system.read(LOG)?;
    let current = finished(&log);
    let find =
        |blocks: &[&str]| blocks.iter().position(|block| Some(hash(block).as_str()) == position);
    let rotated = ROTATED.iter().find_map(|path| system.read(path).ok()).unwrap_or_default();
    let fresh: Vec<&str> = match (position, find(&current)) {
        (None, _) => current,
        (Some(_), Some(at)) => current.into_iter().skip(at + 1).collect(),
        // Rotated since; or twice, and then what was rotated last is all new.
        (Some(_), None) => {
            let before = finished(&rotated);
            let from = find(&before).map_or(0, |at| at + 1);
            before.into_iter().skip(from).chain(current).collect()
        }
    };
    let position = fresh.last().map(|block| hash(block)).or(position.map(str::to_owned));
    let zone = system.time_zone();
    let runs = fresh.into_iter().filter_map(|block| run(block, &zone)).collect();
    Ok(News { runs, position: position.unwrap_or_default() })
}

/// The log's blocks, without the last where it may still grow.
fn finished(log: &str) -> Vec<&str> {
    let starts: Vec<usize> = log
        .match_indices("Start-Date:")
        .map(|(at, _)| at)
        .filter(|at| *at == 0 || log.as_bytes().get(at - 1) == Some(&b'\n'))
        .collect();
    let ends = starts.iter().skip(1).copied().chain([log.len()]);
    let mut blocks: Vec<&str> = starts
        .iter()
        .zip(ends)
        .filter_map(|(from, to)| log.get(*from..to))
        .map(str::trim)
        .collect();
    let ended = |block: &&str| log.ends_with('\n') && value(block, "End-Date").is_some();
    if !blocks.last().is_some_and(ended) {
        blocks.pop();
    }
    blocks
}

fn hash(block: &str) -> String {
    let hash: [u8; 20] = Sha1::digest(block).into();
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn value<'b>(block: &'b str, key: &str) -> Option<&'b str> {
    block.lines().find_map(|line| Some(line.strip_prefix(key)?.strip_prefix(':')?.trim()))
}

/// A block without packages that were installed, or without a time, is no run.
fn run(block: &str, zone: &TimeZone) -> Option<Run> {
    let began = value(block, "Start-Date")?;
    let mut packages = Vec::new();
    for (key, how) in [
        ("Install", "install"),
        ("Upgrade", "upgrade"),
        ("Downgrade", "downgrade"),
        ("Reinstall", "reinstall"),
    ] {
        packages.extend(
            list(value(block, key).unwrap_or_default()).filter_map(|item| package(item, how)),
        );
    }
    let start = time(began, zone)?;
    (!packages.is_empty()).then(|| Run {
        id: began.to_owned(),
        name: run_name(value(block, "Commandline").unwrap_or_default(), "apt"),
        start,
        end: value(block, "End-Date").and_then(|ended| time(ended, zone)),
        error: value(block, "Error").unwrap_or_default().to_owned(),
        packages,
    })
}

/// `a:amd64 (1, 2), b:all (3)`, parted at the commas outside of parentheses.
fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split("), ").map(|item| item.trim_end_matches(')'))
}

/// `libssl3:amd64 (3.0.11-1, 3.0.15-1`: from, to; what is installed has one version, and may say that it
/// came along: `(1.2-3, automatic`.
fn package(item: &str, how: &str) -> Option<Installed> {
    let (name, versions) = item.split_once(" (")?;
    let (name, arch) = name.rsplit_once(':')?;
    let mut versions = versions.split(", ").filter(|word| *word != "automatic");
    let first = versions.next()?;
    let version = versions.next().unwrap_or(first);
    Some(Installed {
        name: name.to_owned(),
        arch: arch.to_owned(),
        version: with_epoch(version),
        how: how.to_owned(),
    })
}

/// The computer's local time, as apt writes it: `2026-01-10  06:12:33`.
fn time(text: &str, zone: &TimeZone) -> Option<Timestamp> {
    let local = DateTime::strptime("%Y-%m-%d %H:%M:%S", text.replace("  ", " ")).ok()?;
    Some(Timestamp(local.to_zoned(zone.clone()).ok()?.timestamp().as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::system::recorded::Recorded;

    const FIRST: &str = "
Start-Date: 2026-01-10  06:12:33
Commandline: /usr/bin/unattended-upgrade
Upgrade: libssl3:amd64 (3.0.11-1~deb12u1, 3.0.11-1~deb12u2), openssl:amd64 (3.0.11-1~deb12u1, 3.0.11-1~deb12u2)
End-Date: 2026-01-10  06:12:45
";
    const SECOND: &str = "
Start-Date: 2026-01-11  07:00:00
Commandline: apt-get install -y vim
Requested-By: admin (1000)
Install: vim-runtime:amd64 (2:9.0.1378-2, automatic), vim:amd64 (2:9.0.1378-2)
Remove: nano:amd64 (7.2-1)
Error: Sub-process /usr/bin/dpkg returned an error code (1)
End-Date: 2026-01-11  07:00:09
";
    const REMOVAL: &str = "
Start-Date: 2026-01-12  07:00:00
Commandline: apt-get remove vim
Remove: vim:amd64 (2:9.0.1378-2)
End-Date: 2026-01-12  07:00:09
";
    const UNFINISHED: &str = "
Start-Date: 2026-01-13  07:00:00
Upgrade: bash:amd64 (5.2.15-2, 5.2.15-3)
";

    fn read(files: &[(&str, &str)], position: Option<&str>) -> (Vec<String>, String) {
        let system =
            files.iter().fold(Recorded::default(), |system, (path, text)| system.file(path, text));
        let news = news(&system, position).unwrap();
        let brief = |run: &Run| {
            let packages: Vec<String> = run
                .packages
                .iter()
                .map(|p| format!("{} {} {} {}", p.how, p.name, p.arch, p.version))
                .collect();
            format!("{}: {}; {}", run.name, packages.join(", "), run.error)
        };
        (news.runs.iter().map(brief).collect(), news.position)
    }

    const OF_FIRST: &str = "unattended-upgrade: upgrade libssl3 amd64 0:3.0.11-1~deb12u2, upgrade openssl amd64 0:3.0.11-1~deb12u2; ";
    const OF_SECOND: &str = "apt-get install: install vim-runtime amd64 2:9.0.1378-2, install vim amd64 2:9.0.1378-2; Sub-process /usr/bin/dpkg returned an error code (1)";

    #[test]
    fn each_block_is_read_once_and_from_where_the_last_reading_ended() {
        let (runs, position) = read(&[(LOG, FIRST)], None);
        assert_eq!(runs, [OF_FIRST]);
        assert_eq!(read(&[(LOG, FIRST)], Some(&position)), (vec![], position.clone()));
        let more = format!("{FIRST}{SECOND}{REMOVAL}");
        let (runs, later) = read(&[(LOG, &more)], Some(&position));
        assert_eq!(runs, [OF_SECOND]);
        assert_eq!(
            read(&[(LOG, &more)], Some(&later)).0,
            Vec::<String>::new(),
            "the removal was read"
        );
        assert_eq!(read(&[(LOG, "")], None), (vec![], String::new()));
    }

    #[test]
    fn a_rotation_hides_nothing_and_repeats_nothing() {
        let (_, position) = read(&[(LOG, FIRST)], None);
        let before = format!("{FIRST}{SECOND}");
        for rotated in ROTATED {
            let files = [(rotated, before.as_str()), (LOG, REMOVAL)];
            assert_eq!(read(&files, Some(&position)).0, [OF_SECOND], "{rotated}");
            let (runs, at) = read(&[(rotated, &before), (LOG, "")], Some(&position));
            assert_eq!(runs, [OF_SECOND]);
            assert_eq!(read(&[(rotated, &before), (LOG, "")], Some(&at)).0, Vec::<String>::new());
        }
        let twice = [(ROTATED[0], SECOND), (LOG, REMOVAL)];
        assert_eq!(read(&twice, Some(&position)).0, [OF_SECOND], "what is still there");
    }

    #[test]
    fn a_run_is_reported_when_it_is_over() {
        let going_on = format!("{FIRST}{UNFINISHED}");
        let (runs, position) = read(&[(LOG, &going_on)], None);
        assert_eq!(runs, [OF_FIRST]);
        let over = format!("{going_on}End-Date: 2026-01-13  07:00:05\n");
        assert_eq!(
            read(&[(LOG, &over)], Some(&position)).0,
            ["apt: upgrade bash amd64 0:5.2.15-3; "]
        );
        let half_a_line = format!("{going_on}End-Date: 2026-01-1");
        assert_eq!(read(&[(LOG, &half_a_line)], Some(&position)).0, Vec::<String>::new());
        let broken_off = format!("{going_on}{SECOND}");
        let system = Recorded::default().file(LOG, &broken_off);
        let runs = news(&system, Some(&position)).unwrap().runs;
        assert_eq!((runs.len(), runs[0].end), (2, None));
    }

    #[test]
    fn local_time_becomes_utc() {
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        assert_eq!(
            time("2026-01-10  06:12:33", &zone).unwrap().to_string(),
            "2026-01-10T04:12:33.000Z"
        );
        assert_eq!(time("yesterday", &zone), None);
    }
}
