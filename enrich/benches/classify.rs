//! How fast the index is built and asked, and what it takes.
//!
//! `cargo bench -p patchline-enrich --bench classify` builds an index of 3.6 million made-up fixed
//! versions (`ROWS` says otherwise), prints how long that took and how much memory it holds, and then
//! judges scans on one core: of computers that differ, so that every verdict has to be found, and of the
//! same ones again, when the memo knows it. Rates are by the thread's processor time, so that other
//! work on the machine counts less.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "a benchmark may stop at once"
)]

use std::fmt::Write;
use std::hint::black_box;
use std::time::{Duration, Instant};

use patchline_enrich::index::{Index, IndexBuilder, MemoCounters, Scheme};
use patchline_enrich::{LARGE_BLOCK_BYTES, Os, classify};
use patchline_schemas::{Advisory, KbFix, PackageFix, Timestamp, Update, UpdateState};

const UBUNTU: Os<'_> =
    Os { kind: "Linux", name: "Ubuntu", version: "16.04", full_name: "Ubuntu 16.04" };
const WINDOWS: Os<'_> = Os {
    kind: "Windows",
    name: "Windows Server 2016 Datacenter",
    version: "10.0.14393",
    full_name: "",
};
/// Distributions and releases, each with its own fixed versions.
const SCOPES: [(&str, &str); 10] = [
    ("ubuntu", "16.04"),
    ("ubuntu", "18.04"),
    ("ubuntu", "20.04"),
    ("debian", "9"),
    ("debian", "10"),
    ("rhel", "7"),
    ("rhel", "8"),
    ("almalinux", "8"),
    ("sles", "12.5"),
    ("opensuse", "15.4"),
];
/// Names of packages in each of them.
const PACKAGES: usize = 30_000;
/// Packages that one advisory fixes, about the mean of real ones.
const FIXES: usize = 12;
/// As many as the real Linux report has that the documents of the original service come with, and as
/// many of them available.
const UPDATES: usize = 618;
const NEEDED: usize = 20;
/// Different computers: more than a memo has room for.
const COMPUTERS: usize = 2_000;

fn main() {
    patchline_runtime::heap::map_blocks_from(LARGE_BLOCK_BYTES);
    versions();
    let rows: usize = std::env::var("ROWS").map_or(3_600_000, |rows| rows.parse().unwrap());
    let before = resident();
    let counters = MemoCounters::default();
    let mut builder = IndexBuilder::counting(counters.clone());
    let began = processor();
    let mut making = Duration::ZERO;
    for first in (0..rows / FIXES).step_by(1_000) {
        let before = processor();
        let some: Vec<Advisory<'_>> = (first..first + 1_000).map(advisory).collect();
        making += processor() - before;
        for advisory in some.iter().take(rows / FIXES - first) {
            builder.upsert(advisory);
        }
    }
    let taken = processor() - began - making;
    let sealing = processor();
    let index = builder.build("bench");
    let sealing = processor() - sealing;
    println!(
        "index: {} fixed versions of {} advisories in {:.1} s, {:.1} s of it sorting; {} MB resident, {} MB at \
         most on the way",
        index.fixed_versions(),
        index.len(),
        (taken + sealing).as_secs_f64(),
        sealing.as_secs_f64(),
        megabytes("VmRSS").saturating_sub(before),
        megabytes("VmHWM").saturating_sub(before),
    );
    let began = processor();
    for number in 0..100 {
        builder.upsert(&advisory(rows + number));
        black_box(builder.build("bench"));
    }
    println!("one advisory more: {:.2} ms", (processor() - began).as_secs_f64() * 10.0);

    linux(&index, &counters);
    windows(&mut builder, &counters);
}

/// Processor time of this thread so far.
fn processor() -> Duration {
    let status = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(status.split_whitespace().next().unwrap().parse().unwrap())
}

fn resident() -> u64 {
    megabytes("VmRSS")
}

/// A figure of `/proc/self/status`, in megabytes.
fn megabytes(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
    kilobytes.and_then(|number| number.parse::<u64>().ok()).unwrap_or(0) / 1024
}

/// Spreads numbers, the same ones in each run.
fn scatter(number: usize) -> usize {
    number.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29) & 0xFFFF_FFFF
}

fn name(package: usize) -> String {
    format!("lib-package-name{package}")
}

fn version(package: usize, step: usize) -> String {
    format!("{}.{}.{}-{}ubuntu0.{step}", package % 7, package % 90, step / 10, 1 + step % 10)
}

fn advisory(number: usize) -> Advisory<'static> {
    let fix = |at: usize| {
        let (distribution, release) = SCOPES[scatter(number) % SCOPES.len()];
        // An advisory is about packages that are built together.
        let package = (scatter(number) / 16 + at) % PACKAGES;
        PackageFix {
            distribution: distribution.into(),
            release: release.into(),
            package: name(package).into(),
            fixed: version(package, number % 40).into(),
            ..PackageFix::default()
        }
    };
    Advisory {
        id: format!("USN-{}-{}", number / 3, number % 3).into(),
        source: "osv".into(),
        kind: "security".into(),
        severity: ["medium", "high", "low", "critical"][number % 4].into(),
        bulletin_url: format!(
            "https://example.org/security/notices/USN-{}-{}",
            number / 3,
            number % 3
        )
        .into(),
        cve_numbers: (0..4)
            .map(|n| format!("CVE-20{}-{}", 10 + number % 16, number / 8 + n))
            .collect(),
        published: Some(Timestamp(1_500_000_000_000)),
        package_fixes: (0..FIXES).map(fix).collect(),
        ..Advisory::default()
    }
}

/// A scan of computer `number`, whose installed versions no other computer has.
fn scan(number: usize) -> Vec<Update<'static>> {
    let update = |update_state, package, version: String| Update {
        update_state,
        product: name(package).into(),
        product_arch: "amd64".into(),
        product_version: version.into(),
        ..Update::default()
    };
    let installed = (0..UPDATES - NEEDED).map(|at| {
        let package = (number * 7 + at * 31) % PACKAGES;
        update(UpdateState::NotNeeded, package, format!("{}+c{number}", version(package, 5)))
    });
    let needed = (0..NEEDED).map(|at| {
        let package = (number * 7 + at * 31) % PACKAGES;
        update(UpdateState::Needed, package, version(package, 30))
    });
    installed.chain(needed).collect()
}

fn linux(index: &Index, counters: &MemoCounters) {
    let scans: Vec<Vec<Update<'static>>> = (0..COMPUTERS).map(scan).collect();
    let needed: Vec<Vec<Update<'static>>> =
        scans.iter().map(|scan| scan[UPDATES - NEEDED..].to_vec()).collect();
    judge("cold, scans of 618 with 20 needed", index, UBUNTU, &scans, 1, counters);
    judge("warm, the same scans", index, UBUNTU, &scans[..200], 50, counters);
    judge("cold, needed updates alone", index, UBUNTU, &needed, 1, counters);
    judge("warm, needed updates alone", index, UBUNTU, &needed[..200], 500, counters);
}

fn windows(builder: &mut IndexBuilder, counters: &MemoCounters) {
    const KBS: usize = 6_000;
    for number in 0..KBS {
        let fix = |product: &'static str, severity: &'static str| KbFix {
            kbid: (4_000_000 + number).to_string().into(),
            product: product.into(),
            severity: severity.into(),
            cve_numbers: (0..40).map(|n| format!("CVE-2017-{}", number + n)).collect(),
            restart_required: "Yes".into(),
            supersedes: if number % 90 == 0 {
                vec![]
            } else {
                vec![(3_999_999 + number).to_string()]
            },
            ..KbFix::default()
        };
        builder.upsert(&Advisory {
            id: format!("2017-Mar/KB{}", 4_000_000 + number).into(),
            source: "msrc-cvrf".into(),
            kb_fixes: vec![
                fix("Windows Server 2016", "Critical"),
                fix("Windows 10 for x64-based Systems", "Important"),
                fix("Windows Server 2012 R2", "Moderate"),
            ],
            ..Advisory::default()
        });
    }
    let began = processor();
    let index = builder.build("bench");
    println!(
        "windows: {} KBs indexed in {:.0} ms",
        index.kbs(),
        (processor() - began).as_secs_f64() * 1e3
    );
    let scans: Vec<Vec<Update<'static>>> = (0..COMPUTERS)
        .map(|computer| {
            let update = |at: usize| Update {
                update_state: if at < 20 { UpdateState::Needed } else { UpdateState::Installed },
                update_id: at.to_string().into(),
                product: "Windows Server 2016".into(),
                kbid: (4_000_000 + (computer * 3 + at * 67) % KBS).to_string().into(),
                ..Update::default()
            };
            (0..100).map(update).collect()
        })
        .collect();
    judge("windows, 6,000 KBs, scans of 100 with 20 needed", &index, WINDOWS, &scans, 1, counters);
    judge("windows, the same again", &index, WINDOWS, &scans[..200], 50, counters);
}

/// Judges every scan `rounds` times and prints updates per second, with the memo's hit rate.
fn judge(
    name: &str,
    index: &Index,
    os: Os<'_>,
    scans: &[Vec<Update<'_>>],
    rounds: usize,
    counters: &MemoCounters,
) {
    let before = (counters.hits.get(), counters.misses.get());
    let (mut updates, mut known) = (0_usize, 0_usize);
    let began = processor();
    for _ in 0..rounds {
        for scan in scans {
            let advice = index.advise(os, black_box(scan));
            for (update, advice) in scan.iter().zip(&advice) {
                let verdict = classify::verdict(os, update, advice.as_deref());
                known += usize::from(!verdict.advisory_ids.is_empty());
                black_box(&verdict);
            }
            updates += scan.len();
        }
    }
    let seconds = (processor() - began).as_secs_f64();
    let (hits, misses) = (counters.hits.get() - before.0, counters.misses.get() - before.1);
    println!(
        "{name}: {:.2} M updates/s on one core, {:.0} ns each; the memo knew {:.1} % of {} asked; \
         the catalog {known} of {updates}",
        updates as f64 / seconds / 1e6,
        seconds / updates as f64 * 1e9,
        hits as f64 / (hits + misses) as f64 * 100.0,
        hits + misses,
    );
}

/// What a comparison costs, by sort key and by text.
fn versions() {
    for (scheme, name) in [(Scheme::Deb, "dpkg"), (Scheme::Rpm, "rpm")] {
        let versions: Vec<String> = (0..1_000).map(|n| version(n, n % 40)).collect();
        let began = Instant::now();
        let mut keys = Vec::new();
        for version in &versions {
            let mut key = Vec::new();
            scheme.sort_key(version, &mut key);
            keys.push(key);
        }
        let making = began.elapsed().as_nanos() / 1_000;
        let began = Instant::now();
        let mut less = 0_usize;
        for one in &keys {
            less += keys.iter().filter(|other| black_box(one) < *black_box(other)).count();
        }
        let comparing = began.elapsed().as_secs_f64() * 1e9 / 1e6;
        let began = Instant::now();
        let mut less_by_text = 0_usize;
        for one in versions.iter().take(50) {
            let is_less = |other: &&String| match scheme {
                Scheme::Deb => deb_version::compare_versions(one, other).is_lt(),
                Scheme::Rpm => rpm_version::rpm_evr_compare(one, other).is_lt(),
            };
            less_by_text += versions.iter().filter(is_less).count();
        }
        let by_text = began.elapsed().as_secs_f64() * 1e9 / 5e4;
        let mut line = format!("{name}: a sort key in {making} ns, compared in {comparing:.0} ns");
        let _ = write!(line, ", the texts in {by_text:.0} ns");
        println!("{line} ({less}, {less_by_text})");
    }
}
