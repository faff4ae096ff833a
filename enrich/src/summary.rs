//! The `UpdateSummary` of one scan.
//!
//! Counted are updates that are needed, approved and not optional. The age is that of the oldest
//! missing security update; those without a publication date are counted but have no age.
//! Everything comes from the scan itself, its own time included, so that doing it again gives the
//! same.
//!
//! What a security update is follows from the classification. On Windows a critical update is, by its
//! definition, about a bug that is no security problem, and has no part in the age. On Linux it is a
//! security update of the gravest severity, and has.

use patchline_schemas::{EnrichedUpdate, Summary, Timestamp, UpdateState};

use crate::classify::{CRITICAL, SECURITY};

/// Sums up the updates of a scan of a computer of `os_type` made at `scanned`.
#[must_use]
pub fn summarize(
    os_type: &str,
    scanned: Timestamp,
    updates: &[EnrichedUpdate<'_>],
) -> Summary<'static> {
    let mut summary = Summary::default();
    let mut oldest: Option<Timestamp> = None;
    for EnrichedUpdate { update, verdict } in updates {
        if update.update_state != UpdateState::Needed || !update.approved || update.optional {
            continue;
        }
        summary.total_updates_missing += 1;
        let is_security = match verdict.classification.as_ref() {
            CRITICAL => {
                summary.critical_updates_missing += 1;
                os_type == "Linux"
            }
            SECURITY => {
                summary.security_updates_missing += 1;
                true
            }
            _ => {
                summary.other_updates_missing += 1;
                false
            }
        };
        if let Some(published) = verdict.published_date.filter(|_| is_security) {
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
        let summary = summarize("Windows", Timestamp(0), &[]);
        assert_eq!(summary, Summary::default());
        assert_eq!(summary.oldest_missing_security_update_bucket, "");
    }

    #[test]
    fn a_critical_update_is_a_security_update_on_linux_only() {
        let day = Timestamp::DAY_MS;
        let missing = |class: &'static str, age: i64| EnrichedUpdate {
            update: Update { update_state: UpdateState::Needed, ..Update::default() },
            verdict: Verdict {
                classification: class.into(),
                published_date: Some(Timestamp((300 - age) * day)),
                ..Verdict::default()
            },
        };
        let updates = [missing(SECURITY, 40), missing(CRITICAL, 100), missing("Updates", 250)];
        let age = |os_type, updates| {
            let summary = summarize(os_type, Timestamp(300 * day), updates);
            let bucket = summary.oldest_missing_security_update_bucket.into_owned();
            (summary.oldest_missing_security_update_in_days, bucket)
        };
        assert_eq!(age("Windows", &updates), (Some(40), "30 days ago".to_owned()));
        assert_eq!(age("Linux", &updates), (Some(100), "90 days ago".to_owned()));
        assert_eq!(age("Windows", &updates[1..]), (None, String::new()));
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
    fn slowly(
        os_type: &str,
        scanned: Timestamp,
        updates: &[EnrichedUpdate<'_>],
    ) -> Summary<'static> {
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
        let mut about_security = vec!["Security Updates"];
        if os_type != "Windows" {
            about_security.push("Critical Updates");
        }
        let days = missing
            .iter()
            .filter(|one| about_security.contains(&&*one.verdict.classification))
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
        fn agrees_with_a_slow_computation(
            updates in updates(),
            scanned in 0..400 * Timestamp::DAY_MS,
            linux in any::<bool>(),
        ) {
            let (os_type, scanned) = (if linux { "Linux" } else { "Windows" }, Timestamp(scanned));
            prop_assert_eq!(
                summarize(os_type, scanned, &updates),
                slowly(os_type, scanned, &updates)
            );
        }
    }
}
