//! One raw message to one enriched message, or to a rejection that says why not.
//!
//! Pure: the same message and catalog give the same bytes. No clock is read; whether a report's own
//! time is plausible is judged against the timestamp of its message. Text is borrowed from the
//! message and from the catalog all the way into the output buffer.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use patchline_runtime::kafka::MESSAGE_BYTES_MAX;
pub use patchline_schemas::topic::dead_letter::Class;
use patchline_schemas::validate::check_clock;
use patchline_schemas::{
    Codec, DecodeError, EncodeError, EnrichedRunProgress, EnrichedScan, EnrichedUpdate, Invalid,
    RunProgress, Scan, Timestamp, Update, Validate,
};

use crate::advice::{Advice, Os};
use crate::index::Index;
use crate::{classify, summary, title};

/// Which raw topic a message comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    /// Raw scans; become enriched scans.
    Scans,
    /// Raw run progress; becomes enriched run progress.
    RunProgress,
}

/// A message that goes to the dead letters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// What kind of fault.
    pub class: Class,
    /// What exactly, for a human.
    pub text: String,
}

impl From<DecodeError> for Rejection {
    fn from(error: DecodeError) -> Self {
        Self { class: error.class(), text: error.to_string() }
    }
}

impl From<Invalid> for Rejection {
    fn from(error: Invalid) -> Self {
        Self { class: Class::Invalid, text: error.to_string() }
    }
}

impl From<EncodeError> for Rejection {
    fn from(error: EncodeError) -> Self {
        Self { class: Class::Datum, text: error.to_string() }
    }
}

/// What became of a message's updates.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Updates in the enriched message.
    pub updates: usize,
    /// Updates left out because the scan had listed them before.
    pub duplicates: usize,
}

/// Enriches raw messages with a catalog.
pub struct Transform {
    codec: Arc<Codec>,
    catalog: Arc<Index>,
}

impl Transform {
    /// A transform that reads and writes by `codec` and asks `catalog`.
    #[must_use]
    pub fn new(codec: impl Into<Arc<Codec>>, catalog: Arc<Index>) -> Self {
        Self { codec: codec.into(), catalog }
    }

    /// Enriches `message`, which arrived from `source` at `arrived`, into `out`, whose former content
    /// goes. A message without a timestamp is not checked against one.
    ///
    /// # Errors
    /// The message is to be dead-lettered; `out` is then of no use.
    pub fn apply(
        &self,
        source: Source,
        message: &[u8],
        arrived: Option<Timestamp>,
        out: &mut Vec<u8>,
    ) -> Result<Counts, Rejection> {
        out.clear();
        let message = &self.codec.current(message)?;
        let counts = match source {
            Source::Scans => {
                let mut scan: Scan<'_> = self.codec.decode(message)?;
                check(&scan, arrived)?;
                let reported = std::mem::take(&mut scan.updates);
                let advice = self.catalog.advise(Os::of(&scan), &reported);
                let (enriched, counts) = enrich(scan, reported, &advice, self.catalog.version());
                self.codec.encode(&enriched, out)?;
                counts
            }
            Source::RunProgress => {
                let report: RunProgress<'_> = self.codec.decode(message)?;
                check(&report, arrived)?;
                self.codec.encode(&complete(report), out)?;
                Counts::default()
            }
        };
        if out.len() > MESSAGE_BYTES_MAX {
            return Err(Rejection {
                class: Class::TooLarge,
                text: format!(
                    "enriched it has {} bytes, a message may have {MESSAGE_BYTES_MAX}",
                    out.len()
                ),
            });
        }
        Ok(counts)
    }
}

fn check(report: &impl Validate, arrived: Option<Timestamp>) -> Result<(), Rejection> {
    report.check()?;
    match arrived {
        Some(arrived) => check_clock(report, arrived)
            .map_err(|error| Rejection { class: Class::Clock, text: error.to_string() }),
        None => Ok(()),
    }
}

/// A scan with every distinct update that it reported judged by what the catalog says of it, and its
/// summary.
fn enrich<'a>(
    scan: Scan<'a>,
    reported: Vec<Update<'a>>,
    advice: &'a [Option<Arc<Advice>>],
    catalog_version: &'a str,
) -> (EnrichedScan<'a>, Counts) {
    let repeated = repeated(&reported, &scan.os_type);
    let os = Os::of(&scan);
    let mut updates = Vec::with_capacity(reported.len());
    for (at, update) in reported.into_iter().enumerate() {
        if !repeated.contains(&at) {
            let advice = advice.get(at).and_then(Option::as_deref);
            let verdict = classify::verdict(os, &update, advice);
            updates.push(EnrichedUpdate { update, verdict });
        }
    }
    let counts = Counts { updates: updates.len(), duplicates: repeated.len() };
    let summary = summary::summarize(&scan.os_type, scan.time_generated, &updates);
    (EnrichedScan { scan, updates, summary, catalog_version: catalog_version.into() }, counts)
}

/// Positions of updates whose key an earlier one has.
fn repeated(updates: &[Update<'_>], os_type: &str) -> HashSet<usize> {
    let mut seen = HashSet::with_capacity(updates.len());
    let mut again = HashSet::new();
    for (at, update) in updates.iter().enumerate() {
        if !seen.insert(update.key(os_type)) {
            again.insert(at);
        }
    }
    again
}

/// Run progress with what its title tells filled in.
fn complete(report: RunProgress<'_>) -> EnrichedRunProgress<'_> {
    let linux = report.os_type == "Linux";
    let product = match &report.product {
        told if told.is_empty() && linux => part(&report.title, title::package),
        told => told.clone(),
    };
    let kbid = match &report.kbid {
        told if told.is_empty() && !linux => part(&report.title, title::kb),
        told => told.clone(),
    };
    EnrichedRunProgress { product, kbid, report }
}

/// A part of a text, borrowed for as long as the text itself is.
fn part<'a>(text: &Cow<'a, str>, find: fn(&str) -> &str) -> Cow<'a, str> {
    match text {
        Cow::Borrowed(text) => find(text).into(),
        Cow::Owned(text) => find(text).to_owned().into(),
    }
}

#[cfg(test)]
mod tests {
    use patchline_schemas::validate::UPDATES_PER_SCAN_MAX;
    use patchline_schemas::{Record, UpdateState};
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::index::IndexBuilder;

    const ARRIVED: Option<Timestamp> = Some(Timestamp(1_500_000_000_000));

    fn transform() -> Transform {
        Transform::new(Codec::new().unwrap(), Arc::new(IndexBuilder::default().build("none")))
    }

    fn encoded(record: &impl Record) -> Vec<u8> {
        let mut bytes = Vec::new();
        Codec::new().unwrap().encode(record, &mut bytes).unwrap();
        bytes
    }

    fn package(name: &str) -> Update<'static> {
        Update {
            product: name.to_owned().into(),
            update_state: UpdateState::Needed,
            ..Update::default()
        }
    }

    fn scan(updates: Vec<Update<'static>>) -> Scan<'static> {
        Scan {
            report_id: Uuid::from_u128(1),
            source_computer_id: "id".into(),
            computer: "web-1".into(),
            time_generated: Timestamp(1_500_000_000_000),
            os_type: "Linux".into(),
            updates,
            ..Scan::default()
        }
    }

    fn progress(os: &'static str, title: &'static str) -> RunProgress<'static> {
        RunProgress {
            report_id: Uuid::from_u128(1),
            source_computer_id: "id".into(),
            computer: "web-1".into(),
            time_generated: Timestamp(1_500_000_000_000),
            os_type: os.into(),
            update_run_name: "July".into(),
            installation_status: "Succeeded".into(),
            title: title.into(),
            ..RunProgress::default()
        }
    }

    fn class(source: Source, message: &[u8]) -> Class {
        transform().apply(source, message, ARRIVED, &mut Vec::new()).unwrap_err().class
    }

    #[test]
    fn text_is_borrowed_from_the_message() {
        let message = encoded(&scan(vec![package("bash")]));
        let decoded: Scan<'_> = Codec::new().unwrap().decode(&message).unwrap();
        assert!(matches!(decoded.computer, Cow::Borrowed(_)));
        assert!(matches!(decoded.updates[0].product, Cow::Borrowed(_)));
    }

    #[test]
    fn a_scan_is_judged_and_summed_up_and_keeps_its_order() {
        let mut hinted = package("openssl");
        hinted.classification = "Security Updates".into();
        hinted.published_date = Some(Timestamp(1_500_000_000_000 - 40 * Timestamp::DAY_MS));
        let raw = scan(vec![package("zsh"), hinted, package("bash"), package("zsh")]);
        let mut out = b"what was there".to_vec();
        let counts = transform().apply(Source::Scans, &encoded(&raw), ARRIVED, &mut out).unwrap();
        assert_eq!(counts, Counts { updates: 3, duplicates: 1 });
        let enriched: EnrichedScan<'_> = Codec::new().unwrap().decode(&out).unwrap();
        assert_eq!(enriched.scan, Scan { updates: vec![], ..raw.clone() });
        let updates: Vec<_> = enriched.updates.iter().map(|one| one.update.clone()).collect();
        assert_eq!(updates, raw.updates[..3]);
        let classes: Vec<_> =
            enriched.updates.iter().map(|one| one.verdict.classification.as_ref()).collect();
        assert_eq!(classes, ["Other Updates", "Security Updates", "Other Updates"]);
        assert_eq!(enriched.summary.total_updates_missing, 3);
        assert_eq!(enriched.summary.oldest_missing_security_update_bucket, "30 days ago");
        assert_eq!(enriched.catalog_version, "none");
    }

    #[test]
    fn an_empty_scan_says_that_nothing_is_missing() {
        let mut out = Vec::new();
        let message = encoded(&scan(vec![]));
        transform().apply(Source::Scans, &message, ARRIVED, &mut out).unwrap();
        let enriched: EnrichedScan<'_> = Codec::new().unwrap().decode(&out).unwrap();
        assert!(enriched.updates.is_empty());
        assert_eq!(enriched.summary.total_updates_missing, 0);
    }

    #[test]
    fn run_progress_learns_product_and_kb_from_its_title_where_it_does_not_say() {
        let enriched = |report: RunProgress<'static>| {
            let mut out = Vec::new();
            transform().apply(Source::RunProgress, &encoded(&report), ARRIVED, &mut out).unwrap();
            let enriched: EnrichedRunProgress<'_> = Codec::new().unwrap().decode(&out).unwrap();
            assert_eq!(enriched.report, report);
            (enriched.product.into_owned(), enriched.kbid.into_owned())
        };
        let pair = |product: &str, kbid: &str| (product.to_owned(), kbid.to_owned());
        let linux = progress("Linux", "cairo-dock-data:amd64 (3.4.1-0ubuntu1, automatic)");
        assert_eq!(enriched(linux.clone()), pair("cairo-dock-data", ""));
        assert_eq!(enriched(RunProgress { product: "x".into(), ..linux }), pair("x", ""));
        let windows = progress("Windows", "Rollup for Windows Server 2012 R2 (KB4012212)");
        assert_eq!(enriched(windows.clone()), pair("", "4012212"));
        assert_eq!(enriched(RunProgress { kbid: "1".into(), ..windows }), pair("", "1"));
    }

    #[test]
    fn each_fault_has_its_class() {
        let good = encoded(&scan(vec![package("bash")]));
        assert_eq!(class(Source::Scans, b""), Class::Framing);
        assert_eq!(class(Source::Scans, b"{\"json\": 1}"), Class::Framing);
        let mut unknown = good.clone();
        unknown[4] ^= 1;
        assert_eq!(class(Source::Scans, &unknown), Class::UnknownSchema);
        assert_eq!(class(Source::RunProgress, &good), Class::WrongRecord);
        assert_eq!(class(Source::Scans, &good[..good.len() - 1]), Class::Datum);
        assert_eq!(class(Source::Scans, &encoded(&scan(vec![package("")]))), Class::Invalid);
        let mut late = scan(vec![]);
        late.time_generated = Timestamp(1_500_000_000_001 + Timestamp::DAY_MS);
        assert_eq!(class(Source::Scans, &encoded(&late)), Class::Clock);
        let no_timestamp = transform().apply(Source::Scans, &encoded(&late), None, &mut Vec::new());
        assert!(no_timestamp.is_ok());
    }

    #[test]
    fn a_scan_that_outgrows_a_message_is_rejected_as_too_large() {
        let wide = "x".repeat(300);
        let updates = (0..UPDATES_PER_SCAN_MAX).map(|n| package(&format!("{n}{wide}"))).collect();
        let message = encoded(&scan(updates));
        assert!(message.len() < MESSAGE_BYTES_MAX, "{}", message.len());
        assert_eq!(class(Source::Scans, &message), Class::TooLarge);
    }

    #[test]
    fn a_scan_of_too_many_updates_is_refused_before_it_fills_the_memory() {
        let long = vec![package("x"); UPDATES_PER_SCAN_MAX + 1];
        assert_eq!(class(Source::Scans, &encoded(&scan(long))), Class::Invalid);
        // Fifteen bytes an update on the wire, a third of a kilobyte each in memory.
        let bomb = encoded(&scan(vec![Update::default(); 1_000_000]));
        assert!(bomb.len() < MESSAGE_BYTES_MAX + 65_536);
        assert_eq!(class(Source::Scans, &bomb), Class::Datum);
    }

    fn updates() -> impl Strategy<Value = Vec<Update<'static>>> {
        let one = ("[a-d]", "[12]", any::<bool>()).prop_map(|(product, version, needed)| Update {
            product: product.into(),
            product_version: version.into(),
            update_state: if needed { UpdateState::Needed } else { UpdateState::NotNeeded },
            ..Update::default()
        });
        proptest::collection::vec(one, 0..20)
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_are_rejected_and_leave_no_trace_in_the_next_message(
            noise in proptest::collection::vec(any::<u8>(), 0..400),
            flips in proptest::collection::vec((any::<prop::sample::Index>(), 1..=255_u8), 0..4),
            from_scans in any::<bool>(),
        ) {
            let transform = transform();
            let good = encoded(&scan(vec![package("bash"), package("zsh")]));
            let mut alone = Vec::new();
            transform.apply(Source::Scans, &good, ARRIVED, &mut alone).unwrap();

            let mut flipped = good.clone();
            for (at, bits) in flips {
                let at = at.index(flipped.len());
                flipped[at] ^= bits;
            }
            let framed = [&good[..10], &noise].concat();
            let source = if from_scans { Source::Scans } else { Source::RunProgress };
            let mut out = Vec::new();
            for bad in [&noise, &flipped, &framed] {
                let _ = transform.apply(source, bad, ARRIVED, &mut out);
                transform.apply(Source::Scans, &good, ARRIVED, &mut out).unwrap();
                prop_assert_eq!(&out, &alone);
            }
        }

        #[test]
        fn every_distinct_update_comes_out_once_in_order(updates in updates()) {
            let mut out = Vec::new();
            let counts = transform()
                .apply(Source::Scans, &encoded(&scan(updates.clone())), ARRIVED, &mut out)
                .unwrap();
            let scanned = scan(updates.clone());
            let os_type = scanned.os_type.as_ref();
            let mut expected: Vec<Update<'_>> = Vec::new();
            for update in &updates {
                if !expected.iter().any(|had| had.key(os_type) == update.key(os_type)) {
                    expected.push(update.clone());
                }
            }
            let enriched: EnrichedScan<'_> = Codec::new().unwrap().decode(&out).unwrap();
            let found: Vec<_> = enriched.updates.into_iter().map(|one| one.update).collect();
            prop_assert_eq!(counts.updates + counts.duplicates, updates.len());
            prop_assert_eq!(found, expected);
        }
    }
}
