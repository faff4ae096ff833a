//! How long a catalog of 3.6 million fixed versions takes to be loaded from its snapshot, and how much
//! memory it has then. `cargo bench -p patchline-enrich --bench catalog`

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "a benchmark that fails should stop at once"
)]

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use patchline_enrich::advisories::key;
use patchline_enrich::index::IndexBuilder;
use patchline_enrich::snapshot::{self, Position};
use patchline_schemas::{Advisory, Codec, PackageFix, Timestamp};

const ADVISORIES: usize = 60_000;
const ROWS: usize = 60;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    // Making it takes more memory than loading it, so another process makes it.
    if let Some(at) = arguments.iter().position(|argument| argument == "make") {
        make(Path::new(&arguments[at + 1]));
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("catalog");
    let program = std::env::current_exe().unwrap();
    assert!(Command::new(program).arg("make").arg(&file).status().unwrap().success());
    let before = resident_mib();
    let began = Instant::now();
    let codec = Codec::new().unwrap();
    let mut builder = IndexBuilder::default();
    snapshot::read(&file, |_, payload| {
        builder.upsert(&codec.decode(payload).unwrap());
    })
    .unwrap();
    let read = began.elapsed();
    let index = builder.build("bench");
    let built = began.elapsed();
    println!(
        "{} advisories, {} rows: snapshot of {:.1} MB read in {:.2} s, index ready after {:.2} s, \
         {} MiB resident more than before (peak {} MiB)",
        index.len(),
        ADVISORIES * ROWS,
        file.metadata().unwrap().len() as f64 / 1e6,
        read.as_secs_f64(),
        built.as_secs_f64(),
        resident_mib() - before,
        status("VmHWM:")
    );
}

/// Writes a snapshot of notices such as Ubuntu's: each fixes some packages in some releases.
fn make(file: &Path) {
    const RELEASES: [&str; 6] = ["14.04", "16.04", "18.04", "20.04", "22.04", "24.04"];
    let codec = Codec::new().unwrap();
    let mut entries = HashMap::new();
    for number in 0..ADVISORIES {
        let fixes = (0..ROWS).map(|row| PackageFix {
            distribution: "ubuntu".into(),
            release: RELEASES[row % RELEASES.len()].into(),
            package: format!("lib{}-{}", number * 7919 % 20_000, row / RELEASES.len()).into(),
            fixed: format!("{}.{}-{}ubuntu0.{}", number % 9, number % 97, row % 11, number % 13)
                .into(),
            ..PackageFix::default()
        });
        let advisory = Advisory {
            id: format!("USN-{number}-1").into(),
            source: "osv".into(),
            kind: "security".into(),
            title: "a library's vulnerabilities".into(),
            bulletin_id: format!("USN-{number}-1").into(),
            bulletin_url: format!("https://ubuntu.com/security/notices/USN-{number}-1").into(),
            cve_numbers: vec![format!("CVE-2020-{:04}", number % 50_000)],
            modified: Some(Timestamp(1_600_000_000_000)),
            package_fixes: fixes.collect(),
            ..Advisory::default()
        };
        let mut payload = Vec::new();
        codec.encode(&advisory, &mut payload).unwrap();
        entries.insert(key(&advisory), Some(payload));
    }
    snapshot::replace(file, false, &entries, &Position::default()).unwrap();
}

fn resident_mib() -> u64 {
    status("VmRSS:")
}

/// A line of the process's status, in MiB.
fn status(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}
