//! How far the demo is: a bar on a terminal, a line now and then otherwise. Goes to standard error,
//! results go to standard output.

use std::io::{IsTerminal, stderr};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Between two plain lines.
const LINE_EVERY: Duration = Duration::from_secs(2);

/// Two counts on the way to the same total: reports sent, and reports that can be queried.
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    began: Instant,
    last_line: Instant,
    shown: String,
    total: u64,
    sent: u64,
    arrived: u64,
}

impl Progress {
    pub(super) fn new(total: u64) -> Progress {
        let bar = stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(total);
            let template = "{elapsed:>4} [{bar:40}] {msg}";
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style.progress_chars("=> "));
            }
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        let now = Instant::now();
        Progress {
            bar,
            began: now,
            last_line: now,
            shown: String::new(),
            total,
            sent: 0,
            arrived: 0,
        }
    }

    pub(super) fn sent(&mut self, reports: u64) {
        self.sent += reports;
        self.show();
    }

    /// `arrived` in all. Reports that were sent twice may be counted twice for a while.
    pub(super) fn arrived(&mut self, arrived: u64) {
        self.arrived = arrived.min(self.total);
        self.show();
    }

    /// The last state is shown whatever the clock says.
    pub(super) fn finish(mut self) {
        match self.bar.take() {
            Some(bar) => bar.finish(),
            None => self.line(),
        }
    }

    fn show(&mut self) {
        if let Some(bar) = &self.bar {
            bar.set_position(self.arrived);
            bar.set_message(self.text());
        } else if self.last_line.elapsed() >= LINE_EVERY {
            self.last_line = Instant::now();
            self.line();
        }
    }

    fn line(&mut self) {
        let text = self.text();
        if text != self.shown {
            eprintln!("{:3} s: {text}", self.began.elapsed().as_secs());
            self.shown = text;
        }
    }

    fn text(&self) -> String {
        format!("{} of {} reports sent, {} queryable", self.sent, self.total, self.arrived)
    }
}
