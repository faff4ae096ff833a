//! What was found and what was missed.

/// Misses beyond this are counted only.
const SHOWN: usize = 40;

/// Counts over one kind of question.
#[derive(Default)]
pub(crate) struct Tally {
    /// Answers that had to be there, and were.
    pub(crate) found: usize,
    /// Answers that had to be there, and were not.
    pub(crate) missed: Vec<String>,
    /// Answers that were there, and rightly so.
    pub(crate) right: usize,
    /// Answers that were there, and had not to be.
    pub(crate) wrong: Vec<String>,
}

impl Tally {
    pub(crate) fn must(&mut self, holds: bool, otherwise: impl FnOnce() -> String) {
        if holds {
            self.found += 1;
        } else {
            self.missed.push(otherwise());
        }
    }

    pub(crate) fn may(&mut self, holds: bool, otherwise: impl FnOnce() -> String) {
        if holds {
            self.right += 1;
        } else {
            self.wrong.push(otherwise());
        }
    }

    /// Prints the figures under `name`; the number of misses.
    #[must_use]
    pub(crate) fn print(&self, name: &str) -> usize {
        let part = |good: usize, bad: &[String]| {
            let all = good + bad.len();
            let percent = if all == 0 { 100.0 } else { 100.0 * good as f64 / all as f64 };
            // Rounding must not make 100 of what is less.
            let shown = (percent * 1000.0).floor() / 1000.0;
            format!("{shown} % ({good} of {all})")
        };
        println!("{name}: recall {}", part(self.found, &self.missed));
        if self.right + self.wrong.len() > 0 {
            println!("{name}: precision {}", part(self.right, &self.wrong));
        }
        for (what, misses) in [("missed", &self.missed), ("wrong", &self.wrong)] {
            for miss in misses.iter().take(SHOWN) {
                println!("  {what}: {miss}");
            }
            if misses.len() > SHOWN {
                println!("  {what}: {} more", misses.len() - SHOWN);
            }
        }
        self.missed.len() + self.wrong.len()
    }
}
