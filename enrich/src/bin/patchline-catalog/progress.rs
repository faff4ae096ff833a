//! How far an import is: a bar on a terminal, a line now and then otherwise. Goes to standard error,
//! the account of it to standard output.

use std::fs;
use std::io::{IsTerminal, stderr};
use std::path::Path;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use patchline_enrich::advisories::import::Report;
use patchline_enrich::advisories::walk::Source;

/// Between two plain lines.
const LINE_EVERY: Duration = Duration::from_secs(2);

pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    began: Instant,
    last_line: Instant,
    /// Bytes of all sources; 0 if some are at URLs.
    total: u64,
}

impl Progress {
    pub(crate) fn new(sources: &[Source]) -> Progress {
        let sizes = sources.iter().map(|source| match source {
            Source::Path(path) => Some(size(path)),
            Source::Url(_) => None,
        });
        let total = sizes.sum::<Option<u64>>().unwrap_or_default();
        let bar = stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(total);
            let template =
                if total > 0 { "{elapsed:>4} [{bar:40}] {msg}" } else { "{elapsed:>4} {msg}" };
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style.progress_chars("=> "));
            }
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        let now = Instant::now();
        Progress { bar, began: now, last_line: now, total }
    }

    /// Says what is being done before documents come.
    pub(crate) fn say(&mut self, what: &str) {
        match &self.bar {
            Some(bar) => bar.set_message(what.to_owned()),
            None => eprintln!("{what}"),
        }
    }

    pub(crate) fn show(&mut self, report: &Report, read: u64) {
        let text = || {
            let documents: u64 = report.documents.values().sum();
            let advisories: u64 = report.entries.values().sum();
            format!(
                "{documents} documents, {advisories} advisories, {} published, {} unusable",
                report.published(),
                report.faults.0
            )
        };
        if let Some(bar) = &self.bar {
            bar.set_position(read.min(self.total));
            bar.set_message(text());
        } else if self.last_line.elapsed() >= LINE_EVERY {
            self.last_line = Instant::now();
            eprintln!("{:3} s: {}", self.began.elapsed().as_secs(), text());
        }
    }

    pub(crate) fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Bytes of the files under `path`, as far as they can be told.
fn size(path: &Path) -> u64 {
    let Ok(found) = fs::symlink_metadata(path) else { return 0 };
    if !found.is_dir() {
        return found.len();
    }
    let inner = fs::read_dir(path).into_iter().flatten().flatten();
    inner.map(|entry| size(&entry.path())).sum()
}
