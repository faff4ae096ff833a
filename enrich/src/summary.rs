//! The `UpdateSummary` of one scan.
//!
//! Counted are updates that are needed, approved and not optional. The age is that of the oldest
//! missing security or critical update; those without a publication date are counted but have no
//! age. Everything comes from the scan itself, its own time included, so that doing it again gives
//! the same.

use patchline_schemas::{EnrichedUpdate, Summary, Timestamp, UpdateState};

use crate::classify::{CRITICAL, SECURITY};

/// Sums up the updates of a scan made at `scanned`.
#[must_use]
pub fn summarize(scanned: Timestamp, updates: &[EnrichedUpdate<'_>]) -> Summary<'static> {
    let mut summary = Summary::default();
    let mut oldest: Option<Timestamp> = None;
    for EnrichedUpdate { update, verdict } in updates {
        if update.update_state != UpdateState::Needed || !update.approved || update.optional {
            continue;
        }
        summary.total_updates_missing += 1;
        match verdict.classification.as_ref() {
            CRITICAL => summary.critical_updates_missing += 1,
            SECURITY => summary.security_updates_missing += 1,
            _ => {
                summary.other_updates_missing += 1;
                continue;
            }
        }
        if let Some(published) = verdict.published_date {
            oldest = Some(oldest.map_or(published, |oldest| oldest.min(published)));
        }
    }
    if let Some(oldest) = oldest {
        let days = whole_days(oldest, scanned);
        summary.oldest_missing_security_update_in_days = Some(days);
        summary.oldest_missing_security_update_bucket = bucket(days).into();
    }
    summary
}

/// Whole days from `published` to `scanned`; zero for what is published in the computer's future.
fn whole_days(published: Timestamp, scanned: Timestamp) -> i32 {
    let days = scanned.0.saturating_sub(published.0).max(0) / Timestamp::DAY_MS;
    i32::try_from(days).unwrap_or(i32::MAX)
}

/// `OldestMissingSecurityUpdateBucket` for an age: steps of 30 days, each named by its younger end.
fn bucket(days: i32) -> &'static str {
    match days {
        ..30 => "Recent",
        30..60 => "30 days ago",
        60..90 => "60 days ago",
        90..120 => "90 days ago",
        120..150 => "120 days ago",
        150..180 => "150 days ago",
        180..210 => "180 days ago",
        _ => "Older",
    }
}

#[cfg(test)]
mod tests {
    use patchline_schemas::{Update, Verdict};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn buckets_begin_at_their_own_day() {
        let edges = [
            (0, "Recent"),
            (29, "Recent"),
            (30, "30 days ago"),
            (59, "30 days ago"),
            (60, "60 days ago"),
            (119, "90 days ago"),
            (120, "120 days ago"),
            (179, "150 days ago"),
            (180, "180 days ago"),
            (209, "180 days ago"),
            (210, "Older"),
            (i32::MAX, "Older"),
        ];
        for (days, name) in edges {
            assert_eq!(bucket(days), name, "{days} days");
        }
    }

    #[test]
    fn a_day_is_whole_only_when_it_is_over_and_never_negative() {
        let day = Timestamp::DAY_MS;
        assert_eq!(whole_days(Timestamp(0), Timestamp(30 * day - 1)), 29);
        assert_eq!(whole_days(Timestamp(0), Timestamp(30 * day)), 30);
        assert_eq!(whole_days(Timestamp(5 * day), Timestamp(0)), 0);
        assert_eq!(whole_days(Timestamp(i64::MIN), Timestamp(i64::MAX)), i32::MAX);
    }

    #[test]
    fn nothing_missing_has_no_age_and_no_bucket() {
        let summary = summarize(Timestamp(0), &[]);
        assert_eq!(summary, Summary::default());
        assert_eq!(summary.oldest_missing_security_update_bucket, "");
    }

    fn updates() -> impl Strategy<Value = Vec<EnrichedUpdate<'static>>> {
        let state = prop_oneof![
            3 => Just(UpdateState::Needed),
            1 => Just(UpdateState::NotNeeded),
            1 => Just(UpdateState::Installed),
        ];
        let class =
            prop_oneof![Just(CRITICAL), Just(SECURITY), Just("Other Updates"), Just("Updates")];
        let published = proptest::option::of(0..400 * Timestamp::DAY_MS);
        let one = (state, class, published, any::<bool>(), any::<bool>()).prop_map(
            |(update_state, class, published, optional, approved)| EnrichedUpdate {
                update: Update { update_state, optional, approved, ..Update::default() },
                verdict: Verdict {
                    classification: class.into(),
                    published_date: published.map(Timestamp),
                    ..Verdict::default()
                },
            },
        );
        proptest::collection::vec(one, 0..30)
    }

    /// The same by other means: every number in a pass of its own, days by counting them off.
    fn slowly(scanned: Timestamp, updates: &[EnrichedUpdate<'_>]) -> Summary<'static> {
        let missing: Vec<_> = updates
            .iter()
            .filter(|one| one.update.update_state == UpdateState::Needed)
            .filter(|one| one.update.approved)
            .filter(|one| !one.update.optional)
            .collect();
        let count = |class: &str| {
            i32::try_from(missing.iter().filter(|one| one.verdict.classification == class).count())
                .unwrap()
        };
        let total = i32::try_from(missing.len()).unwrap();
        let days = missing
            .iter()
            .filter(|one| {
                ["Critical Updates", "Security Updates"].contains(&&*one.verdict.classification)
            })
            .filter_map(|one| one.verdict.published_date)
            .map(|published| {
                let mut days = 0;
                let mut day_after = published.0 + Timestamp::DAY_MS;
                while day_after <= scanned.0 {
                    days += 1;
                    day_after += Timestamp::DAY_MS;
                }
                days
            })
            .max();
        let bucket = days.map(|days| match days / 30 {
            0 => "Recent".to_owned(),
            months @ 1..=6 => format!("{} days ago", months * 30),
            _ => "Older".to_owned(),
        });
        Summary {
            critical_updates_missing: count("Critical Updates"),
            security_updates_missing: count("Security Updates"),
            other_updates_missing: total - count("Critical Updates") - count("Security Updates"),
            total_updates_missing: total,
            oldest_missing_security_update_in_days: days,
            oldest_missing_security_update_bucket: bucket.unwrap_or_default().into(),
        }
    }

    proptest! {
        #[test]
        fn agrees_with_a_slow_computation(updates in updates(), scanned in 0..400 * Timestamp::DAY_MS) {
            let scanned = Timestamp(scanned);
            prop_assert_eq!(summarize(scanned, &updates), slowly(scanned, &updates));
        }
    }
}
