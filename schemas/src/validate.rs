//! Which reports make sense.
//!
//! [`Validate::check`] holds for a report alone: the gateway answers 400 with it. What is odd only
//! against the time of arrival ([`check_clock`]) is judged downstream, where the message's own
//! timestamp makes the judgement repeatable: an agent with a wrong clock would resend a refused
//! report for ever, and the pipeline would rather keep the letter and count it.

use crate::record::{
    ComputerReport, CustomLog, Event, Heartbeat, OfficeActivity, Report, RunProgress, Scan,
    UpdateDeployment,
};
use crate::{Timestamp, UpdateState, deployment};

/// Updates that one scan may list. A computer has some hundred to a few thousand; a scan far above
/// that is a fault, and its rows would not fit one batch.
pub const UPDATES_PER_SCAN_MAX: usize = 50_000;

/// Bytes of an identifying text: longer ones are a fault, and would bloat every index they are in.
pub const IDENTITY_BYTES_MAX: usize = 512;

/// 2000-01-01: no supported agent existed, so an earlier time is a clock that was never set.
const EARLIEST: Timestamp = Timestamp(946_684_800_000);

/// What a date column holds: 1900-01-01 to 2299-12-31.
const DATES: std::ops::RangeInclusive<Timestamp> =
    Timestamp(-2_208_988_800_000)..=Timestamp(10_413_791_999_999);

/// How far ahead of its arrival a report may be dated. A scan dated years ahead would hide every
/// honest scan of its computer until then.
const AHEAD_MAX_MS: i64 = Timestamp::DAY_MS;

/// A field that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct Invalid {
    /// Path of the field: `Updates[3].Product`.
    pub field: String,
    /// What is wrong with it.
    pub problem: String,
}

pub(crate) fn invalid<T>(
    field: impl Into<String>,
    problem: impl Into<String>,
) -> Result<T, Invalid> {
    Err(Invalid { field: field.into(), problem: problem.into() })
}

/// A report that can be checked without knowing anything else.
pub trait Validate: Report {
    /// Checks the report.
    ///
    /// # Errors
    /// The first field that makes no sense.
    fn check(&self) -> Result<(), Invalid>;
}

fn identity(field: &str, value: &str) -> Result<(), Invalid> {
    match value.len() {
        0 => invalid(field, "is required"),
        length if length > IDENTITY_BYTES_MAX => {
            invalid(field, format!("has {length} bytes, at most {IDENTITY_BYTES_MAX} are allowed"))
        }
        _ => Ok(()),
    }
}

/// What every report must say of itself. `key` names the field that it is kept in order by.
fn header(report: &impl Report, key: &str) -> Result<(), Invalid> {
    identity(key, report.key())?;
    if report.report_id().is_nil() {
        return invalid("ReportId", "is required");
    }
    if report.time_generated() == Timestamp::default() {
        return invalid("TimeGenerated", "is required");
    }
    if report.time_generated() < EARLIEST {
        return invalid("TimeGenerated", format!("{} is before 2000", report.time_generated()));
    }
    Ok(())
}

/// A date that a report may have, but none that no column could hold.
fn date(field: &str, value: Option<Timestamp>) -> Result<(), Invalid> {
    match value {
        Some(value) if !DATES.contains(&value) => {
            invalid(field, format!("{value} is not within 1900 to 2299"))
        }
        _ => Ok(()),
    }
}

/// What every computer's report must say.
fn computer_header(report: &impl ComputerReport) -> Result<(), Invalid> {
    header(report, "SourceComputerId")?;
    identity("Computer", report.computer())?;
    if !matches!(report.os_type(), "Windows" | "Linux") {
        return invalid("OSType", format!("`{}` is neither Windows nor Linux", report.os_type()));
    }
    Ok(())
}

impl Validate for Scan<'_> {
    fn check(&self) -> Result<(), Invalid> {
        computer_header(self)?;
        if self.updates.len() > UPDATES_PER_SCAN_MAX {
            return invalid(
                "Updates",
                format!("lists {}, at most {UPDATES_PER_SCAN_MAX} are allowed", self.updates.len()),
            );
        }
        let linux = self.os_type == "Linux";
        for (at, update) in self.updates.iter().enumerate() {
            let (field, value) =
                if linux { ("Product", &update.product) } else { ("UpdateID", &update.update_id) };
            if let Err(error) = identity(field, value) {
                return invalid(format!("Updates[{at}].{field}"), error.problem);
            }
            if let Err(error) = date("PublishedDate", update.published_date) {
                return invalid(format!("Updates[{at}].{}", error.field), error.problem);
            }
            if linux && update.update_state == UpdateState::Installed {
                return invalid(
                    format!("Updates[{at}].UpdateState"),
                    "is Installed, which Linux packages are not: NotNeeded or Needed",
                );
            }
        }
        Ok(())
    }
}

/// Values of `InstallationStatus`.
pub const INSTALLATION_STATUSES: [&str; 9] = [
    "NotStarted",
    "FailedToStart",
    "Failed",
    "InProgress",
    "MaintenanceWindowExceeded",
    "Succeeded",
    "InstallFailed",
    "NotIncluded",
    "Excluded",
];

impl Validate for RunProgress<'_> {
    fn check(&self) -> Result<(), Invalid> {
        computer_header(self)?;
        identity("UpdateRunName", &self.update_run_name)?;
        if !INSTALLATION_STATUSES.contains(&self.installation_status.as_ref()) {
            return invalid(
                "InstallationStatus",
                format!(
                    "`{}` is none of {}",
                    self.installation_status,
                    INSTALLATION_STATUSES.join(", ")
                ),
            );
        }
        date("StartTime", self.start_time)?;
        date("EndTime", self.end_time)
    }
}

impl Validate for Heartbeat<'_> {
    fn check(&self) -> Result<(), Invalid> {
        computer_header(self)?;
        for (field, value, most) in [
            ("RemoteIPLatitude", self.remote_ip_latitude, 90.0),
            ("RemoteIPLongitude", self.remote_ip_longitude, 180.0),
        ] {
            if let Some(value) = value.filter(|value| !(-most..=most).contains(value)) {
                return invalid(field, format!("{value} is not within -{most} to {most} degrees"));
            }
        }
        Ok(())
    }
}

impl Validate for Event<'_> {
    fn check(&self) -> Result<(), Invalid> {
        computer_header(self)?;
        identity("EventLog", &self.event_log)
    }
}

impl Validate for OfficeActivity<'_> {
    fn check(&self) -> Result<(), Invalid> {
        header(self, "OfficeTenantId")?;
        identity("Operation", &self.operation)?;
        date("Start_Time", self.start_time)?;
        date("ElevationTime", self.elevation_time)?;
        date("ElevationApprovedTime", self.elevation_approved_time)
    }
}

/// Characters that the name of a custom log may have, as in the HTTP Data Collector API.
pub const LOG_TYPE_CHARS_MAX: usize = 100;

impl Validate for CustomLog<'_> {
    fn check(&self) -> Result<(), Invalid> {
        header(self, "WorkspaceId")?;
        identity("LogType", &self.log_type)?;
        let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if self.log_type.len() > LOG_TYPE_CHARS_MAX || !self.log_type.bytes().all(word) {
            return invalid(
                "LogType",
                format!("has other than letters, digits and _, or more than {LOG_TYPE_CHARS_MAX}"),
            );
        }
        if !self.record.starts_with('{') {
            return invalid("Record", "is no JSON object");
        }
        Ok(())
    }
}

impl Validate for UpdateDeployment<'_> {
    fn check(&self) -> Result<(), Invalid> {
        header(self, "Name")?;
        deployment::check(self)
    }
}

/// Checks a report's own time against `arrived`, the timestamp of its message.
///
/// # Errors
/// The report is dated more than a day after it arrived.
pub fn check_clock(report: &impl Report, arrived: Timestamp) -> Result<(), Invalid> {
    let time = report.time_generated();
    if time.0.saturating_sub(arrived.0) > AHEAD_MAX_MS {
        return invalid(
            "TimeGenerated",
            format!("{time} is over a day after arrival at {arrived}"),
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::Update;

    fn scan() -> Scan<'static> {
        Scan {
            report_id: Uuid::from_u128(1),
            source_computer_id: "id".into(),
            computer: "web-1".into(),
            time_generated: Timestamp(1_500_000_000_000),
            os_type: "Linux".into(),
            updates: vec![Update { product: "bash".into(), ..Update::default() }],
            ..Scan::default()
        }
    }

    #[test]
    fn a_problem_names_the_item_and_the_field() {
        assert_eq!(scan().check(), Ok(()));
        let mut bad = scan();
        bad.updates.push(Update::default());
        assert_eq!(bad.check().unwrap_err().to_string(), "Updates[1].Product: is required");
        let bad = Scan { time_generated: Timestamp(0), ..scan() };
        assert_eq!(bad.check().unwrap_err().field, "TimeGenerated");
        let bad = Scan { report_id: Uuid::nil(), ..scan() };
        assert_eq!(bad.check().unwrap_err().field, "ReportId");
        let bad = Scan { os_type: "linux".into(), ..scan() };
        assert_eq!(bad.check().unwrap_err().field, "OSType");
    }

    #[test]
    fn a_date_that_no_column_holds_is_named() {
        let dated = |at| {
            let mut scan = scan();
            scan.updates.push(Update {
                product: "acl".into(),
                published_date: Some(at),
                ..Update::default()
            });
            scan.check().map_err(|error| error.field)
        };
        for good in [*DATES.start(), *DATES.end()] {
            assert_eq!(dated(good), Ok(()));
        }
        for bad in [Timestamp(DATES.start().0 - 1), Timestamp(DATES.end().0 + 1)] {
            assert_eq!(dated(bad), Err("Updates[1].PublishedDate".to_owned()));
        }
        assert_eq!(DATES.start().to_string(), "1900-01-01T00:00:00.000Z");
        assert_eq!(DATES.end().to_string(), "2299-12-31T23:59:59.999Z");
        let progress = RunProgress {
            report_id: Uuid::from_u128(1),
            source_computer_id: "id".into(),
            computer: "web-1".into(),
            time_generated: Timestamp(1_500_000_000_000),
            os_type: "Linux".into(),
            update_run_name: "July".into(),
            installation_status: "Succeeded".into(),
            end_time: Some(Timestamp(i64::MAX)),
            ..RunProgress::default()
        };
        assert_eq!(progress.check().unwrap_err().field, "EndTime");
    }

    #[test]
    fn a_clock_may_run_a_day_ahead_and_no_more() {
        let arrived = Timestamp(1_500_000_000_000 - Timestamp::DAY_MS);
        assert_eq!(check_clock(&scan(), arrived), Ok(()));
        assert!(check_clock(&scan(), Timestamp(arrived.0 - 1)).is_err());
        assert!(check_clock(&scan(), Timestamp(i64::MIN)).is_err());
    }
}
