//! Stored rows of one computer, judged again: which of them have another verdict now.
//!
//! Pure, and by the very code that judges a scan on its way: the rows become the updates that the
//! computer reported, and [`classify::verdict`] is asked about them.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};

use clickhouse::Row;
use patchline_schemas::{EnrichedUpdate, Summary, Timestamp, Update, UpdateState, Verdict};
use serde::Deserialize;

use super::filter::Chunk;
use crate::advice::Os;
use crate::index::Index;
use crate::{classify, summary};

/// Digest of a row's key.
pub(crate) type Digest = [u8; 16];

/// A row of `update_rows`, with what a verdict depends on and the one it has. Times are in milliseconds.
#[derive(Debug, Clone, Row, Deserialize)]
pub(crate) struct StoredUpdate {
    pub(crate) digest: Digest,
    /// Whether it is to be judged; else it is there to judge others by.
    pub(crate) concerned: bool,
    pub(crate) computer: String,
    pub(crate) os_type: String,
    pub(crate) os_name: String,
    pub(crate) os_version: String,
    pub(crate) os_full_name: String,
    pub(crate) state: String,
    pub(crate) update_id: String,
    pub(crate) title: String,
    pub(crate) product: String,
    pub(crate) product_arch: String,
    pub(crate) product_version: String,
    pub(crate) kbid: String,
    pub(crate) agent_classification: String,
    pub(crate) agent_published_date: Option<i64>,
    pub(crate) agent_reboot_behavior: String,
    /// Of the verdict, in the order of [`TEXT_COLUMNS`].
    pub(crate) texts: Vec<String>,
    /// Of the verdict.
    pub(crate) published_date: Option<i64>,
}

/// The columns of a row that are its verdict.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct StoredVerdict {
    /// In the order of [`TEXT_COLUMNS`].
    pub(crate) texts: [String; TEXTS],
    pub(crate) published_date: Option<i64>,
}

/// How many columns of text a verdict has.
const TEXTS: usize = 11;

/// Their names.
pub(crate) const TEXT_COLUMNS: [&str; TEXTS] = [
    "Classification",
    "ClassificationSource",
    "AdvisoryIDs",
    "MSRCSeverity",
    "MSRCBulletinID",
    "BulletinID",
    "BulletinUrl",
    "CVENumbers",
    "PackageSeverity",
    "RebootBehavior",
    "SupersededBy",
];

impl StoredVerdict {
    fn new(verdict: Verdict<'_>) -> Self {
        // By name, so that a new field of a verdict cannot be forgotten here.
        let Verdict {
            classification,
            classification_source,
            advisory_ids,
            msrc_severity,
            msrc_bulletin_id,
            bulletin_id,
            bulletin_url,
            cve_numbers,
            package_severity,
            reboot_behavior,
            superseded_by,
            published_date,
        } = verdict;
        let texts = [
            classification,
            classification_source,
            advisory_ids,
            msrc_severity,
            msrc_bulletin_id,
            bulletin_id,
            bulletin_url,
            cve_numbers,
            package_severity,
            reboot_behavior,
            superseded_by,
        ];
        let published_date = published_date.map(|date| date.0);
        Self { texts: texts.map(Cow::into_owned), published_date }
    }

    fn is_of(&self, row: &StoredUpdate) -> bool {
        self.texts.as_slice() == row.texts && self.published_date == row.published_date
    }

    fn bytes(&self) -> usize {
        self.texts.iter().map(String::len).sum()
    }
}

/// New verdicts and the rows that get them.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// Each verdict once.
    pub(crate) verdicts: Vec<StoredVerdict>,
    numbers: HashMap<StoredVerdict, u32>,
    /// The rows, each with the number of its verdict.
    pub(crate) rows: Vec<(Digest, u32)>,
    /// Which of [`TEXT_COLUMNS`] differ in some row, and whether the date does.
    pub(crate) differ: [bool; TEXTS],
    pub(crate) dates_differ: bool,
    /// From the first to the last computer.
    pub(crate) computers: Option<Chunk>,
    pub(crate) products: BTreeSet<String>,
    bytes: usize,
}

/// A statement may have so many bytes of verdicts, and so many of them: each is written out in it.
const VERDICT_BYTES_MAX: usize = 1024 * 1024;
const VERDICTS_MAX: usize = 2_000;

/// Rows that one statement changes. ClickHouse looks each up once a column and thread, in a table of its own: a
/// million of them took more than four gigabytes there.
const ROWS_MAX: usize = 200_000;

impl Changes {
    /// Whether they should be applied before more are added.
    pub(crate) fn is_full(&self) -> bool {
        self.rows.len() > ROWS_MAX
            || self.bytes > VERDICT_BYTES_MAX
            || self.verdicts.len() > VERDICTS_MAX
    }

    /// Judges the rows of one computer, which are all of one scan.
    pub(crate) fn judge(&mut self, rows: &[StoredUpdate], catalog: &Index) {
        let Some(first) = rows.first() else { return };
        let os = Os {
            kind: &first.os_type,
            name: &first.os_name,
            version: &first.os_version,
            full_name: &first.os_full_name,
        };
        let updates: Vec<Update<'_>> = rows.iter().map(StoredUpdate::reported).collect();
        let advice = catalog.advise(os, &updates);
        for ((row, update), advice) in rows.iter().zip(&updates).zip(&advice) {
            if !row.concerned {
                continue;
            }
            let verdict = StoredVerdict::new(classify::verdict(os, update, advice.as_deref()));
            if !verdict.is_of(row) {
                self.add(row, verdict);
            }
        }
    }

    fn add(&mut self, row: &StoredUpdate, verdict: StoredVerdict) {
        let texts = verdict.texts.iter().zip(&row.texts);
        for (differs, (new, old)) in self.differ.iter_mut().zip(texts) {
            *differs |= new != old;
        }
        self.dates_differ |= verdict.published_date != row.published_date;
        let number = match self.numbers.get(&verdict) {
            Some(number) => *number,
            None => {
                self.bytes += verdict.bytes();
                self.verdicts.push(verdict.clone());
                // There are few; `is_full` sees to that.
                let number = u32::try_from(self.verdicts.len()).unwrap_or(u32::MAX);
                self.numbers.insert(verdict, number);
                number
            }
        };
        self.rows.push((row.digest, number));
        if !self.products.contains(&row.product) {
            self.products.insert(row.product.clone());
        }
        let own = Chunk::of(&row.computer);
        match &mut self.computers {
            Some(computers) => computers.extend(&own),
            None => self.computers = Some(own),
        }
    }
}

impl StoredUpdate {
    /// The update as the computer reported it.
    fn reported(&self) -> Update<'_> {
        Update {
            update_state: state(&self.state),
            update_id: self.update_id.as_str().into(),
            title: self.title.as_str().into(),
            product: self.product.as_str().into(),
            product_arch: self.product_arch.as_str().into(),
            product_version: self.product_version.as_str().into(),
            kbid: self.kbid.as_str().into(),
            classification: self.agent_classification.as_str().into(),
            published_date: self.agent_published_date.map(Timestamp),
            reboot_behavior: self.agent_reboot_behavior.as_str().into(),
            // What follows has no part in a verdict.
            ..Update::default()
        }
    }
}

fn state(column: &str) -> UpdateState {
    [UpdateState::Needed, UpdateState::Installed]
        .into_iter()
        .find(|state| state.column_value() == column)
        .unwrap_or(UpdateState::NotNeeded)
}

/// A computer's newest scan: what it needs, approved and not optional, and the summary it has.
#[derive(Debug, Clone, Row, Deserialize)]
pub(crate) struct StoredSummary {
    pub(crate) digest: Digest,
    pub(crate) time_generated: i64,
    os_type: String,
    /// Classification and publication of each needed update, and a digest that tells them apart.
    pub(crate) needed: Vec<(u64, String, Option<i64>)>,
    critical: i32,
    security: i32,
    other: i32,
    total: i32,
    oldest_days: Option<i32>,
    oldest_bucket: String,
}

/// The columns of a summary that follow from verdicts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct StoredCounts {
    pub(crate) critical: i32,
    pub(crate) security: i32,
    pub(crate) other: i32,
    pub(crate) total: i32,
    pub(crate) oldest_days: Option<i32>,
    pub(crate) oldest_bucket: String,
}

impl StoredSummary {
    /// The counts that follow from the verdicts, if they are not those that are stored. Summed up by the
    /// code that sums up a scan on its way.
    fn corrected(&self) -> Option<StoredCounts> {
        let needed = self.needed.iter().map(|(_, class, published)| EnrichedUpdate {
            update: Update { update_state: UpdateState::Needed, ..Update::default() },
            verdict: Verdict {
                classification: class.as_str().into(),
                published_date: published.map(Timestamp),
                ..Verdict::default()
            },
        });
        let needed: Vec<EnrichedUpdate<'_>> = needed.collect();
        let Summary {
            critical_updates_missing,
            security_updates_missing,
            other_updates_missing,
            total_updates_missing,
            oldest_missing_security_update_in_days,
            oldest_missing_security_update_bucket,
        } = summary::summarize(&self.os_type, Timestamp(self.time_generated), &needed);
        let counts = StoredCounts {
            critical: critical_updates_missing,
            security: security_updates_missing,
            other: other_updates_missing,
            total: total_updates_missing,
            oldest_days: oldest_missing_security_update_in_days,
            oldest_bucket: oldest_missing_security_update_bucket.into_owned(),
        };
        let stored = StoredCounts {
            critical: self.critical,
            security: self.security,
            other: self.other,
            total: self.total,
            oldest_days: self.oldest_days,
            oldest_bucket: self.oldest_bucket.clone(),
        };
        (counts != stored).then_some(counts)
    }
}

/// New counts and the summaries that get them.
#[derive(Debug, Default)]
pub(crate) struct SummaryChanges {
    /// Each once.
    pub(crate) counts: Vec<StoredCounts>,
    numbers: HashMap<StoredCounts, u32>,
    /// The summaries, each with the number of its counts.
    pub(crate) rows: Vec<(Digest, u32)>,
    /// From the first to the last computer.
    pub(crate) computers: Option<Chunk>,
    /// When the first and the last scan were made, in milliseconds since 1970.
    pub(crate) times: Option<(i64, i64)>,
}

impl SummaryChanges {
    /// Whether they should be applied before more are added.
    pub(crate) fn is_full(&self) -> bool {
        self.rows.len() > ROWS_MAX || self.counts.len() > VERDICTS_MAX
    }

    /// Takes in what is wrong about `summary`, of a computer in `chunk`.
    pub(crate) fn judge(&mut self, chunk: &Chunk, summary: &StoredSummary) {
        let Some(counts) = summary.corrected() else { return };
        let number = match self.numbers.get(&counts) {
            Some(number) => *number,
            None => {
                self.counts.push(counts.clone());
                let number = u32::try_from(self.counts.len()).unwrap_or(u32::MAX);
                self.numbers.insert(counts, number);
                number
            }
        };
        self.rows.push((summary.digest, number));
        let time = summary.time_generated;
        let (first, last) = self.times.unwrap_or((time, time));
        self.times = Some((first.min(time), last.max(time)));
        match &mut self.computers {
            Some(computers) => computers.extend(chunk),
            None => self.computers = Some(chunk.clone()),
        }
    }
}
