//! Definitions of update deployments: what makes one sound, when it starts, and what its patterns match.
//!
//! A definition says its times as a calendar does: local, in a time zone. [`starts`] works the moments out,
//! once, where the definition comes in ([`complete`]); everybody behind goes by `Starts` and needs neither
//! calendar nor time zones. The time zone database is compiled in, so that the same definition gives the
//! same starts on every machine.
//!
//! - A time that the clocks skip in spring starts later by what they skip (02:30 becomes 03:30); one that they
//!   show twice in autumn starts the first time only. That is RFC 5545's rule.
//! - Weekly: every so many weeks counted from the week of the first start, Monday to Sunday.
//! - Monthly: every so many months counted from the month of the first start. A month that lacks the day is
//!   left out; -1 is the last day of any month.
//! - A recurring deployment is worked out for [`YEARS_MAX`] years; whoever wants it longer defines it anew.

use jiff::civil::{Date, DateTime, Weekday};
use jiff::tz::{TimeZone, TimeZoneDatabase};

use crate::Timestamp;
use crate::record::{Schedule, UpdateDeployment};
use crate::validate::{IDENTITY_BYTES_MAX, Invalid, invalid};

/// Minutes that a deployment's maintenance window may have.
pub const DURATION_MINUTES: std::ops::RangeInclusive<i32> = 30..=360;

/// Years from the first start for which a recurring deployment is worked out.
pub const YEARS_MAX: i16 = 10;

/// Starts that a deployment may have: one a day for [`YEARS_MAX`] years.
pub const STARTS_MAX: usize = 3_660;

/// The most weeks or months from one start to the next.
pub const INTERVAL_MAX: i32 = 100;

/// Entries that one list of a definition may have.
pub const ENTRIES_MAX: usize = 10_000;

/// Years that a first start may be in: what is outside is a slip of the pen, and no column would hold it.
const FIRST_YEARS: std::ops::RangeInclusive<i16> = 2000..=2200;

/// Classifications of Windows updates. Source: the classification tables of the Update Management documents.
pub const WINDOWS_CLASSIFICATIONS: [&str; 9] = [
    "Applications",
    "Critical Updates",
    "Definition Updates",
    "Feature Packs",
    "Security Updates",
    "Service Packs",
    "Tools",
    "Update Rollups",
    "Updates",
];

/// Classifications of Linux updates. The first stands for the second and the third together, as machines
/// that patch themselves know them. Source: as [`WINDOWS_CLASSIFICATIONS`].
pub const LINUX_CLASSIFICATIONS: [&str; 4] =
    ["Critical and Security Updates", "Critical Updates", "Security Updates", "Other Updates"];

const WEEKDAYS: [&str; 7] =
    ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// Fills `Starts` in, in place of what the sender may have put there. A deletion has none.
///
/// # Errors
/// The field of the definition that makes no sense.
pub fn complete(definition: &mut UpdateDeployment<'_>) -> Result<(), Invalid> {
    definition.starts = if definition.deleted { Vec::new() } else { starts(definition)? };
    Ok(())
}

/// The moments at which a defined deployment starts, oldest first: at least one, at most [`STARTS_MAX`].
///
/// # Errors
/// The field of the definition that makes no sense.
pub fn starts(definition: &UpdateDeployment<'_>) -> Result<Vec<Timestamp>, Invalid> {
    let calendar = Calendar::parse(definition)?;
    let starts = calendar.starts();
    if starts.is_empty() {
        let field = match definition.schedule {
            Schedule::Monthly => "MonthDays",
            _ => "Schedule",
        };
        return invalid(
            field,
            format!(
                "it never starts, from {} until {}",
                definition.start_time,
                if definition.expiry_time.is_empty() {
                    "ten years later"
                } else {
                    &definition.expiry_time
                }
            ),
        );
    }
    Ok(starts)
}

/// Checks a definition that came with its starts. They are not worked out again: the time zones may have
/// been changed since, and what was announced holds.
pub(crate) fn check(definition: &UpdateDeployment<'_>) -> Result<(), Invalid> {
    if definition.deleted {
        return Ok(());
    }
    Calendar::parse(definition)?;
    targets_make_sense(definition)?;
    classifications_make_sense(definition)?;
    exclusions_make_sense(definition)?;
    let starts = &definition.starts;
    if starts.is_empty() {
        return invalid("Starts", "is empty: the schedule was not worked out, or never starts");
    }
    if starts.len() > STARTS_MAX {
        return invalid(
            "Starts",
            format!("has {}, at most {STARTS_MAX} are allowed", starts.len()),
        );
    }
    if !starts.is_sorted_by(|one, next| one < next) {
        return invalid("Starts", "do not ascend");
    }
    // A day of grace for the zones.
    let years = (EARLIEST_START_MS - Timestamp::DAY_MS)..(LATEST_START_MS + Timestamp::DAY_MS);
    if let Some(start) = starts.iter().find(|start| !years.contains(&start.0)) {
        return invalid("Starts", format!("{start} is not within 2000 to 2211"));
    }
    Ok(())
}

/// 2000-01-01 and 2212-01-01: the first start's years and [`YEARS_MAX`] more.
const EARLIEST_START_MS: i64 = 946_684_800_000;
const LATEST_START_MS: i64 = 7_636_809_600_000;

/// Whether `text` fits `pattern`: `*` stands for any characters, `?` for one, case makes no difference.
#[must_use]
pub fn matches(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().flat_map(char::to_lowercase).collect();
    let text: Vec<char> = text.chars().flat_map(char::to_lowercase).collect();
    let (mut at, mut read) = (0, 0);
    // The last star, and how far the text was read when it took its part. Where the rest does not fit,
    // that star takes one character more.
    let mut star: Option<(usize, usize)> = None;
    while read < text.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, read));
                at += 1;
            }
            Some(one) if *one == '?' || text.get(read) == Some(one) => {
                at += 1;
                read += 1;
            }
            _ => match star {
                Some((of, taken)) => {
                    star = Some((of, taken + 1));
                    at = of + 1;
                    read = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(at).all(|left| *left == '*')
}

/// Whether the deployment is for a computer of this name, operating system and management group.
#[must_use]
pub fn targets(
    definition: &UpdateDeployment<'_>,
    computer: &str,
    os_type: &str,
    management_group: &str,
) -> bool {
    (definition.os_type.is_empty() || definition.os_type == os_type)
        && (definition.computers.iter().any(|pattern| matches(pattern, computer))
            || definition.computer_groups.iter().any(|pattern| matches(pattern, management_group)))
}

/// Whether the deployment leaves an update out, by its KB number or the name of its product or package.
#[must_use]
pub fn excludes(definition: &UpdateDeployment<'_>, kbid: &str, product: &str) -> bool {
    let fits = |pattern: &String, name: &str| !name.is_empty() && matches(pattern, name);
    definition.exclusions.iter().any(|pattern| fits(pattern, kbid) || fits(pattern, product))
}

fn names_make_sense(field: &str, names: &[String]) -> Result<(), Invalid> {
    if names.len() > ENTRIES_MAX {
        return invalid(field, format!("lists {}, at most {ENTRIES_MAX} are allowed", names.len()));
    }
    for (at, name) in names.iter().enumerate() {
        let problem = match name.len() {
            0 => "is empty".to_owned(),
            _ if name.trim() != name => format!("`{name}` begins or ends with a space"),
            bytes if bytes > IDENTITY_BYTES_MAX => {
                format!("has {bytes} bytes, at most {IDENTITY_BYTES_MAX} are allowed")
            }
            _ => continue,
        };
        return invalid(format!("{field}[{at}]"), problem);
    }
    Ok(())
}

fn targets_make_sense(definition: &UpdateDeployment<'_>) -> Result<(), Invalid> {
    if !matches!(definition.os_type.as_ref(), "" | "Windows" | "Linux") {
        return invalid(
            "OSType",
            format!("`{}` is neither Windows nor Linux, nor empty for both", definition.os_type),
        );
    }
    names_make_sense("Computers", &definition.computers)?;
    names_make_sense("ComputerGroups", &definition.computer_groups)?;
    if definition.computers.is_empty() && definition.computer_groups.is_empty() {
        return invalid("Computers", "names no computer, nor does ComputerGroups name a group");
    }
    Ok(())
}

fn classifications_make_sense(definition: &UpdateDeployment<'_>) -> Result<(), Invalid> {
    names_make_sense("Classifications", &definition.classifications)?;
    let (windows, linux) = match definition.os_type.as_ref() {
        "Windows" => (&WINDOWS_CLASSIFICATIONS[..], &[][..]),
        "Linux" => (&[][..], &LINUX_CLASSIFICATIONS[..]),
        _ => (&WINDOWS_CLASSIFICATIONS[..], &LINUX_CLASSIFICATIONS[..]),
    };
    for (at, name) in definition.classifications.iter().enumerate() {
        let mut known = windows.iter().chain(linux);
        if !known.any(|known| known.eq_ignore_ascii_case(name)) {
            let of = if definition.os_type.is_empty() { "any system" } else { &definition.os_type };
            let all: Vec<&str> = windows.iter().chain(linux).copied().collect();
            return invalid(
                format!("Classifications[{at}]"),
                format!("`{name}` is no classification of {of}: {}", all.join(", ")),
            );
        }
    }
    Ok(())
}

fn exclusions_make_sense(definition: &UpdateDeployment<'_>) -> Result<(), Invalid> {
    names_make_sense("Exclusions", &definition.exclusions)?;
    if definition.os_type != "Windows" {
        return Ok(());
    }
    for (at, pattern) in definition.exclusions.iter().enumerate() {
        if !pattern.chars().all(|char| char.is_ascii_digit() || matches!(char, '*' | '?')) {
            return invalid(
                format!("Exclusions[{at}]"),
                format!("`{pattern}` is no KB number: digits, * and ?, without KB before them"),
            );
        }
    }
    Ok(())
}

/// A schedule in terms of the calendar.
struct Calendar {
    zone: TimeZone,
    first: DateTime,
    expiry: Option<DateTime>,
    every: Every,
}

enum Every {
    Once,
    Weeks { interval: i32, days: Vec<Weekday> },
    Months { interval: i32, days: Vec<i8> },
}

impl Calendar {
    /// Reads the fields that say when, and the window's length.
    fn parse(definition: &UpdateDeployment<'_>) -> Result<Self, Invalid> {
        let zone = zone(&definition.time_zone)?;
        let first = local_time("StartTime", &definition.start_time)?;
        if !FIRST_YEARS.contains(&first.year()) {
            return invalid("StartTime", format!("{first} is not within 2000 to 2200"));
        }
        let expiry = match definition.expiry_time.as_ref() {
            "" => None,
            text => Some(local_time("ExpiryTime", text)?),
        };
        if let Some(expiry) = expiry.filter(|expiry| *expiry < first) {
            return invalid("ExpiryTime", format!("{expiry} is before the first start, {first}"));
        }
        let minutes = definition.duration_minutes;
        if !DURATION_MINUTES.contains(&minutes) {
            return invalid("DurationMinutes", format!("{minutes} is not within 30 to 360"));
        }
        if !(0..=INTERVAL_MAX).contains(&definition.interval) {
            return invalid(
                "Interval",
                format!("{} is not within 0 to {INTERVAL_MAX}", definition.interval),
            );
        }
        let interval = definition.interval.max(1);
        let only = |field: &str, schedule: &str, given: bool| match given {
            true => invalid(field, format!("is for schedule {schedule} only")),
            false => Ok(()),
        };
        only(
            "Weekdays",
            "Weekly",
            definition.schedule != Schedule::Weekly && !definition.weekdays.is_empty(),
        )?;
        only(
            "MonthDays",
            "Monthly",
            definition.schedule != Schedule::Monthly && !definition.month_days.is_empty(),
        )?;
        let every = match definition.schedule {
            Schedule::OneTime => Every::Once,
            Schedule::Weekly => Every::Weeks { interval, days: weekdays(definition, first)? },
            Schedule::Monthly => Every::Months { interval, days: month_days(definition, first)? },
        };
        Ok(Self { zone, first, expiry, every })
    }

    fn starts(&self) -> Vec<Timestamp> {
        let last = self.first.year().saturating_add(YEARS_MAX);
        // The same day of the last year is no longer in: ten years have ten of each birthday.
        let before = |date: &Date| {
            (date.year(), date.month(), date.day()) < (last, self.first.month(), self.first.day())
        };
        let dates: Vec<Date> = match &self.every {
            Every::Once => vec![self.first.date()],
            Every::Weeks { interval, days } => {
                weeks(self.first.date(), *interval, days).take_while(before).collect()
            }
            Every::Months { interval, days } => {
                months(self.first.date(), *interval, days).take_while(before).collect()
            }
        };
        let once = matches!(self.every, Every::Once);
        dates
            .into_iter()
            .map(|date| date.to_datetime(self.first.time()))
            .filter(|local| *local >= self.first)
            .take_while(|local| self.expiry.is_none_or(|expiry| *local <= expiry))
            .filter_map(|local| {
                let start = self.zone.to_ambiguous_zoned(local).compatible().ok()?;
                // A day that the zone leaves out altogether, as at the date line, has no start.
                let on_its_day = once || start.date() == local.date();
                on_its_day.then(|| Timestamp(start.timestamp().as_millisecond()))
            })
            .take(STARTS_MAX)
            .collect()
    }
}

/// The dates on `days` of every `interval`th week, beginning with the week that `first` is in.
fn weeks(first: Date, interval: i32, days: &[Weekday]) -> impl Iterator<Item = Date> {
    let monday = plus_days(first, -i64::from(first.weekday().to_monday_zero_offset()));
    (0..)
        .step_by(usize::try_from(interval).unwrap_or(1))
        .map_while(move |week| plus_days(monday?, 7 * week))
        .flat_map(move |monday| {
            days.iter()
                .filter_map(move |day| plus_days(monday, i64::from(day.to_monday_zero_offset())))
        })
        .filter(move |date| *date >= first)
}

/// The dates on `days` of every `interval`th month, beginning with the month that `first` is in.
fn months(first: Date, interval: i32, days: &[i8]) -> impl Iterator<Item = Date> {
    let month = i32::from(first.year()) * 12 + i32::from(first.month()) - 1;
    (month..)
        .step_by(usize::try_from(interval).unwrap_or(1))
        .map_while(|month| {
            let year = i16::try_from(month / 12).ok()?;
            Date::new(year, i8::try_from(month % 12 + 1).ok()?, 1).ok()
        })
        .flat_map(move |month| {
            let length = month.days_in_month();
            let mut days: Vec<i8> = days
                .iter()
                .map(|day| if *day == -1 { length } else { *day })
                .filter(|day| *day <= length)
                .collect();
            days.sort_unstable();
            days.dedup();
            days.into_iter().filter_map(move |day| Date::new(month.year(), month.month(), day).ok())
        })
        .filter(move |date| *date >= first)
}

fn plus_days(date: Date, days: i64) -> Option<Date> {
    date.checked_add(jiff::SignedDuration::from_hours(24 * days)).ok()
}

fn zone(name: &str) -> Result<TimeZone, Invalid> {
    if name.is_empty() {
        return invalid("TimeZone", "is required: an IANA name such as Europe/Berlin");
    }
    TimeZoneDatabase::bundled().get(name).or_else(|_| {
        invalid("TimeZone", format!("`{name}` is no IANA time zone, such as Europe/Berlin or UTC"))
    })
}

/// A local time, to the minute or the second: `2017-08-01T22:00`, `2017-08-01T22:00:00`.
fn local_time(field: &str, text: &str) -> Result<DateTime, Invalid> {
    if text.is_empty() {
        return invalid(field, "is required: a local time such as 2017-08-01T22:00:00");
    }
    ["%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M"]
        .into_iter()
        .find_map(|format| DateTime::strptime(format, text).ok())
        .map_or_else(
            || {
                invalid(
                    field,
                    format!("`{text}` is no local time such as 2017-08-01T22:00:00, without zone or offset"),
                )
            },
            Ok,
        )
}

/// The weekdays from Monday on.
fn weekdays(definition: &UpdateDeployment<'_>, first: DateTime) -> Result<Vec<Weekday>, Invalid> {
    let mut days = Vec::new();
    for (at, name) in definition.weekdays.iter().enumerate() {
        let day = WEEKDAYS.iter().position(|known| known.eq_ignore_ascii_case(name));
        let day = day.and_then(|day| i8::try_from(day).ok());
        match day.and_then(|day| Weekday::from_monday_zero_offset(day).ok()) {
            Some(day) if days.contains(&day) => {}
            Some(day) => days.push(day),
            None => {
                return invalid(
                    format!("Weekdays[{at}]"),
                    format!("`{name}` is none of {}", WEEKDAYS.join(", ")),
                );
            }
        }
    }
    if days.is_empty() {
        days.push(first.weekday());
    }
    days.sort_unstable_by_key(|day| day.to_monday_zero_offset());
    Ok(days)
}

fn month_days(definition: &UpdateDeployment<'_>, first: DateTime) -> Result<Vec<i8>, Invalid> {
    if definition.month_days.is_empty() {
        return Ok(vec![first.day()]);
    }
    let mut days = Vec::new();
    for (at, day) in definition.month_days.iter().enumerate() {
        match i8::try_from(*day) {
            Ok(known @ (-1 | 1..=31)) if days.contains(&known) => {}
            Ok(known @ (-1 | 1..=31)) => days.push(known),
            _ => {
                return invalid(
                    format!("MonthDays[{at}]"),
                    format!("{day} is neither a day from 1 to 31 nor -1, the last"),
                );
            }
        }
    }
    Ok(days)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::Validate;

    /// Every Tuesday at ten in the evening, in Berlin.
    fn definition() -> UpdateDeployment<'static> {
        UpdateDeployment {
            report_id: Uuid::from_u128(1),
            name: "Patch Tuesday".into(),
            time_generated: Timestamp(1_500_000_000_000),
            os_type: "Linux".into(),
            schedule: Schedule::Weekly,
            time_zone: "Europe/Berlin".into(),
            start_time: "2017-08-01T22:00:00".into(),
            duration_minutes: 120,
            computers: vec!["web-*".to_owned()],
            ..UpdateDeployment::default()
        }
    }

    fn shown(definition: &UpdateDeployment<'_>, count: usize) -> Vec<String> {
        let starts = starts(definition).unwrap();
        let shown = starts.iter().map(|start| start.to_string().replace(":00.000Z", "Z"));
        shown.take(count).collect()
    }

    fn at(
        start: &'static str,
        schedule: Schedule,
        zone: &'static str,
    ) -> UpdateDeployment<'static> {
        UpdateDeployment {
            schedule,
            start_time: start.into(),
            time_zone: zone.into(),
            ..definition()
        }
    }

    #[test]
    fn one_time_starts_once_in_its_zone() {
        let one = at("2017-08-01T22:00", Schedule::OneTime, "America/New_York");
        assert_eq!(shown(&one, 9), ["2017-08-02T02:00Z"]);
    }

    #[test]
    fn weekly_keeps_its_local_time_when_the_clocks_change() {
        let weekly = at("2017-10-24T22:00:00", Schedule::Weekly, "Europe/Berlin");
        assert_eq!(
            shown(&weekly, 3),
            ["2017-10-24T20:00Z", "2017-10-31T21:00Z", "2017-11-07T21:00Z"]
        );
        assert_eq!(starts(&weekly).unwrap().len(), 522, "ten years");
    }

    #[test]
    fn a_skipped_time_starts_later_and_a_doubled_one_once() {
        // In Berlin the clocks went from 02:00 to 03:00 on 2017-03-26 and from 03:00 to 02:00 on 2017-10-29.
        let spring = at("2017-03-19T02:30:00", Schedule::Weekly, "Europe/Berlin");
        assert_eq!(
            shown(&spring, 3),
            ["2017-03-19T01:30Z", "2017-03-26T01:30Z", "2017-04-02T00:30Z"]
        );
        let autumn = at("2017-10-22T02:30:00", Schedule::Weekly, "Europe/Berlin");
        assert_eq!(
            shown(&autumn, 3),
            ["2017-10-22T00:30Z", "2017-10-29T00:30Z", "2017-11-05T01:30Z"]
        );
        let once = at("2017-03-26T02:30:00", Schedule::OneTime, "Europe/Berlin");
        assert_eq!(shown(&once, 1), ["2017-03-26T01:30Z"]);
    }

    #[test]
    fn a_day_that_the_zone_leaves_out_has_no_start() {
        // Samoa went from 29 to 31 December 2011, over the date line.
        let daily = UpdateDeployment {
            weekdays: WEEKDAYS.map(str::to_owned).to_vec(),
            ..at("2011-12-29T12:00:00", Schedule::Weekly, "Pacific/Apia")
        };
        assert_eq!(shown(&daily, 2), ["2011-12-29T22:00Z", "2011-12-30T22:00Z"]);
        assert!(starts(&daily).unwrap().len() <= STARTS_MAX);
    }

    #[test]
    fn weeks_are_counted_from_the_first_starts_monday() {
        let weekly = UpdateDeployment {
            weekdays: vec!["sunday".to_owned(), "Monday".to_owned()],
            interval: 2,
            // A Wednesday: that week's Monday is over, its Sunday is not.
            ..at("2017-08-02T10:00:00", Schedule::Weekly, "UTC")
        };
        assert_eq!(
            shown(&weekly, 4),
            ["2017-08-06T10:00Z", "2017-08-14T10:00Z", "2017-08-20T10:00Z", "2017-08-28T10:00Z"]
        );
    }

    #[test]
    fn months_that_lack_the_day_are_left_out_and_every_month_has_a_last_one() {
        let day_31 = at("2020-01-31T10:00:00", Schedule::Monthly, "UTC");
        assert_eq!(
            shown(&day_31, 3),
            ["2020-01-31T10:00Z", "2020-03-31T10:00Z", "2020-05-31T10:00Z"]
        );
        let last = UpdateDeployment { month_days: vec![-1, 29], ..day_31 };
        assert_eq!(
            shown(&last, 4),
            ["2020-01-31T10:00Z", "2020-02-29T10:00Z", "2020-03-29T10:00Z", "2020-03-31T10:00Z"]
        );
        let quarterly = UpdateDeployment { interval: 3, month_days: vec![], ..last };
        assert_eq!(shown(&quarterly, 2), ["2020-01-31T10:00Z", "2020-07-31T10:00Z"]);
    }

    #[test]
    fn nothing_starts_after_the_expiry() {
        let weekly = UpdateDeployment { expiry_time: "2017-08-15T22:00:00".into(), ..definition() };
        assert_eq!(
            shown(&weekly, 9),
            ["2017-08-01T20:00Z", "2017-08-08T20:00Z", "2017-08-15T20:00Z"]
        );
    }

    #[test]
    fn a_bad_definition_is_refused_by_field() {
        type Change = fn(&mut UpdateDeployment<'static>);
        fn text(text: &str) -> String {
            text.to_owned()
        }
        let cases: &[(&str, Change)] = &[
            ("Name: is required", |bad| bad.name = "".into()),
            ("OSType: `linux` is neither", |bad| bad.os_type = "linux".into()),
            ("TimeZone: is required", |bad| bad.time_zone = "".into()),
            ("TimeZone: `Mars/Olympus` is no IANA", |bad| bad.time_zone = "Mars/Olympus".into()),
            ("StartTime: is required", |bad| bad.start_time = "".into()),
            ("StartTime: `2017-08-01T22:00:00Z` is no local", |bad| {
                bad.start_time = "2017-08-01T22:00:00Z".into()
            }),
            ("StartTime: `2017-02-29T22:00` is no local", |bad| {
                bad.start_time = "2017-02-29T22:00".into()
            }),
            ("StartTime: 1999-", |bad| bad.start_time = "1999-12-31T22:00".into()),
            ("ExpiryTime: `soon`", |bad| bad.expiry_time = "soon".into()),
            ("ExpiryTime: 2017-07-01T00:00:00 is before", |bad| {
                bad.expiry_time = "2017-07-01T00:00:00".into()
            }),
            ("DurationMinutes: 29 is not", |bad| bad.duration_minutes = 29),
            ("DurationMinutes: 361 is not", |bad| bad.duration_minutes = 361),
            ("Interval: -1 is not", |bad| bad.interval = -1),
            ("Weekdays[1]: `Tue` is none", |bad| bad.weekdays = vec![text("Monday"), text("Tue")]),
            ("MonthDays: is for schedule Monthly only", |bad| bad.month_days = vec![1]),
            ("Weekdays: is for schedule Weekly only", |bad| {
                bad.schedule = Schedule::Monthly;
                bad.weekdays = vec![text("Monday")];
            }),
            ("MonthDays[0]: 32 is neither", |bad| {
                bad.schedule = Schedule::Monthly;
                bad.month_days = vec![32];
            }),
            ("MonthDays: it never starts", |bad| {
                bad.schedule = Schedule::Monthly;
                bad.start_time = "2017-02-01T22:00:00".into();
                bad.month_days = vec![30];
                bad.interval = 12;
            }),
            ("Computers: names no computer", |bad| bad.computers = vec![]),
            ("Computers[0]: is empty", |bad| bad.computers = vec![text("")]),
            ("Computers[1]: `b ` begins or ends", |bad| {
                bad.computers = vec![text("a"), text("b ")]
            }),
            ("ComputerGroups: lists 10001", |bad| bad.computer_groups = vec![text("g"); 10_001]),
            ("Classifications[0]: `Service Packs` is no classification of Linux", |bad| {
                bad.classifications = vec![text("Service Packs")];
            }),
            ("Exclusions[0]: `KB4012212` is no KB number", |bad| {
                bad.os_type = "Windows".into();
                bad.exclusions = vec![text("KB4012212")];
            }),
        ];
        for (expected, change) in cases {
            let mut bad = definition();
            change(&mut bad);
            let said = complete(&mut bad).and_then(|()| bad.check()).unwrap_err().to_string();
            assert!(said.starts_with(expected), "{said}, expected {expected}");
        }
    }

    #[test]
    fn starts_are_taken_as_they_came_but_must_be_some() {
        let mut good = definition();
        assert!(good.check().unwrap_err().to_string().starts_with("Starts: is empty"));
        complete(&mut good).unwrap();
        assert_eq!(good.check(), Ok(()));
        good.starts = vec![Timestamp(1_600_000_000_000)];
        assert_eq!(good.check(), Ok(()), "the zone's rules may have changed since");
        good.starts.push(Timestamp(1_600_000_000_000));
        assert_eq!(good.check().unwrap_err().to_string(), "Starts: do not ascend");
        good.starts = vec![Timestamp(i64::MAX)];
        assert_eq!(good.check().unwrap_err().field, "Starts");
        good.starts =
            (0..).take(STARTS_MAX + 1).map(|at| Timestamp(1_600_000_000_000 + at)).collect();
        assert_eq!(good.check().unwrap_err().field, "Starts");
    }

    #[test]
    fn a_deletion_needs_a_name_only() {
        let mut deleted = UpdateDeployment {
            report_id: Uuid::from_u128(1),
            name: "July".into(),
            time_generated: Timestamp(1_500_000_000_000),
            deleted: true,
            starts: vec![Timestamp(1)],
            ..UpdateDeployment::default()
        };
        complete(&mut deleted).unwrap();
        assert_eq!((deleted.check(), deleted.starts), (Ok(()), vec![]));
    }

    #[test]
    fn patterns_match_without_case() {
        for (pattern, text, fits) in [
            ("web-1", "WEB-1", true),
            ("web-1", "web-10", false),
            ("web-*", "web-1.contoso.com", true),
            ("web-?.*", "web-1.contoso.com", true),
            ("web-?.*", "web-10.contoso.com", false),
            ("*", "", true),
            ("*", "anything", true),
            ("?", "", false),
            ("*kernel*", "linux-kernel-5", true),
            ("a*b*c", "abxbxc", true),
            ("a*b*c", "abxbxcd", false),
            ("", "", true),
            ("", "a", false),
            ("50%_\\", "50%_\\", true),
            ("Ä*", "äb", true),
        ] {
            assert_eq!(matches(pattern, text), fits, "{pattern} {text}");
        }
        let of = |exclusions: &[&str]| UpdateDeployment {
            exclusions: exclusions.iter().map(|one| (*one).to_owned()).collect(),
            ..definition()
        };
        assert!(excludes(&of(&["40122??"]), "4012212", ""));
        assert!(excludes(
            &of(&["x", "redhat-release-server.*"]),
            "",
            "redhat-release-server.x86_64"
        ));
        assert!(!excludes(&of(&["*"]), "", ""), "what has no name is not excluded by one");
        let deployment =
            UpdateDeployment { computer_groups: vec!["ops-*".to_owned()], ..definition() };
        assert!(targets(&deployment, "Web-1", "Linux", ""));
        assert!(targets(&deployment, "db-1", "Linux", "OPS-1"));
        assert!(!targets(&deployment, "db-1", "Linux", ""));
        assert!(!targets(&deployment, "web-1", "Windows", ""));
    }

    fn zones() -> impl Strategy<Value = &'static str> {
        proptest::sample::select(vec![
            "UTC",
            "Europe/Berlin",
            "America/New_York",
            "America/Sao_Paulo",
            "Asia/Kolkata",
            "Australia/Lord_Howe",
            "Pacific/Apia",
            "Africa/Casablanca",
            "America/St_Johns",
        ])
    }

    prop_compose! {
        fn definitions()(
            zone in zones(),
            year in 2000..2100_i16,
            month in 1..=12_i8,
            day in 1..=28_i8,
            (hour, minute) in (0..24_i8, 0..60_i8),
            weekly in any::<bool>(),
            interval in 0..6_i32,
            weekdays in proptest::sample::subsequence(WEEKDAYS.to_vec(), 0..7),
            month_days in proptest::collection::vec(prop_oneof![Just(-1), 1..=31_i32], 0..5),
        ) -> UpdateDeployment<'static> {
            let first = Date::constant(year, month, day).at(hour, minute, 0, 0);
            UpdateDeployment {
                schedule: if weekly { Schedule::Weekly } else { Schedule::Monthly },
                time_zone: zone.into(),
                start_time: first.strftime("%Y-%m-%dT%H:%M:%S").to_string().into(),
                interval,
                weekdays: weekdays.iter().filter(|_| weekly).map(|day| (*day).to_owned()).collect(),
                month_days: month_days.iter().copied().filter(|_| !weekly).collect(),
                ..definition()
            }
        }
    }

    proptest! {
        /// Worked out a second way: every day of the ten years is asked whether it has a start.
        #[test]
        fn starts_ascend_on_exactly_the_days_of_the_schedule(definition in definitions()) {
            let zone = TimeZoneDatabase::bundled().get(&definition.time_zone).unwrap();
            let first: DateTime = definition.start_time.parse().unwrap();
            let Ok(found) = starts(&definition) else {
                prop_assert!(definition.schedule == Schedule::Monthly && definition.interval > 1);
                return Ok(());
            };
            prop_assert!(found.is_sorted_by(|one, next| one < next));
            prop_assert!(found.len() <= STARTS_MAX);
            let interval = i64::from(definition.interval.max(1));
            let monday = |date: Date| {
                (date - Date::constant(1999, 1, 4)).get_days() / 7
            };
            let month = |date: Date| i64::from(date.year()) * 12 + i64::from(date.month());
            let named = |date: Date| {
                let name = WEEKDAYS[usize::try_from(date.weekday().to_monday_zero_offset()).unwrap()];
                definition.weekdays.iter().any(|day| day == name)
            };
            let listed = |date: Date| definition.month_days.iter().any(|day| {
                *day == i32::from(date.day()) || (*day == -1 && date.day() == date.days_in_month())
            });
            let mut expected = Vec::new();
            let mut date = first.date();
            let end = Date::constant(first.year() + YEARS_MAX, first.month(), first.day());
            while date < end {
                let due = if definition.schedule == Schedule::Weekly {
                    i64::from(monday(date) - monday(first.date())) % interval == 0
                        && if definition.weekdays.is_empty() { date.weekday() == first.weekday() } else { named(date) }
                } else {
                    (month(date) - month(first.date())) % interval == 0
                        && if definition.month_days.is_empty() { date.day() == first.day() } else { listed(date) }
                };
                if due {
                    expected.push(date);
                }
                date = date.tomorrow().unwrap();
            }
            let days: Vec<Date> = found
                .iter()
                .map(|start| jiff::Timestamp::from_millisecond(start.0).unwrap().to_zoned(zone.clone()).date())
                .collect();
            // The one day that Samoa left out.
            expected.retain(|date| definition.time_zone != "Pacific/Apia" || *date != Date::constant(2011, 12, 30));
            prop_assert_eq!(days, expected);
            for start in &found {
                let local = jiff::Timestamp::from_millisecond(start.0).unwrap().to_zoned(zone.clone()).datetime();
                let as_planned = local.time() == first.time();
                let skipped = zone.to_ambiguous_timestamp(local.date().to_datetime(first.time()));
                prop_assert!(as_planned || skipped.is_ambiguous(), "{} {}", local, definition.time_zone);
            }
        }

        #[test]
        fn any_text_is_a_definition_or_is_refused(
            zone in ".{0,12}", start in ".{0,20}", expiry in ".{0,20}", interval in any::<i32>(),
            weekdays in proptest::collection::vec(".{0,8}", 0..3), minutes in any::<i32>(),
        ) {
            let odd = UpdateDeployment {
                time_zone: zone.into(),
                start_time: start.into(),
                expiry_time: expiry.into(),
                interval,
                weekdays,
                duration_minutes: minutes,
                ..definition()
            };
            if let Ok(starts) = starts(&odd) {
                prop_assert!(!starts.is_empty());
            }
        }

        /// Against the textbook's recursion.
        #[test]
        fn wildcards_match_as_defined(pattern in "[ab*?]{0,8}", text in "[abAB]{0,10}") {
            fn slow(pattern: &[char], text: &[char]) -> bool {
                match (pattern.split_first(), text.split_first()) {
                    (None, None) => true,
                    (Some(('*', rest)), _) => {
                        slow(rest, text) || text.split_first().is_some_and(|(_, text)| slow(pattern, text))
                    }
                    (Some((one, rest)), Some((first, text))) => {
                        (*one == '?' || *one == first.to_ascii_lowercase()) && slow(rest, text)
                    }
                    _ => false,
                }
            }
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            prop_assert_eq!(matches(&pattern, &text), slow(&chars(&pattern), &chars(&text)));
        }
    }
}
