//! The fleet in figures: what the tables say of all computers together, as gauges.
//!
//! Beside the data path, and made so that it stays there: four queries, one after the other, each on one thread,
//! bounded in time and memory and behind everything else that ClickHouse does. Making them takes at most a tenth
//! of the time, however large the fleet: after a long round the next one waits the longer. A failure leaves the
//! last figures, and `patchline_fleet_updated_timestamp_seconds` shows how old they are.
//!
//! What is counted: computers that were heard of within 30 days, as the view `known_computers` has them; of each
//! its newest scan. Every instance of the sink shows the same figures; see [`FleetMetrics`] for what that means
//! in a rule.

use std::time::{Duration, Instant};

use clickhouse::Client;
use patchline_schemas::Timestamp;
use prometheus::IntGaugeVec;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use crate::config::FleetConfig;
use crate::metrics::FleetMetrics;

/// After a round that took `t`, the next one begins no earlier than this many `t` later.
const PAUSE_FACTOR: u32 = 9;

/// Systems that are told apart; `OSType` is what a sender says.
const SYSTEMS: [&str; 3] = ["Linux", "Windows", "Other"];

/// States of a computer, the first that fits: see [`COMPUTERS`].
const STATES: [&str; 5] =
    ["not_reporting", "not_assessed", "restart_pending", "updates_needed", "up_to_date"];

/// `OldestMissingSecurityUpdateBucket`, and `None` of computers that miss none whose age is known.
const BUCKETS: [&str; 9] = [
    "None",
    "Recent",
    "30 days ago",
    "60 days ago",
    "90 days ago",
    "120 days ago",
    "150 days ago",
    "180 days ago",
    "Older",
];

/// Values of `WindowsUpdateSetting` that leave the installation to a human, the documented ones and the one that
/// the documents' own sample query asks for.
const NOT_AUTOMATIC: [&str; 3] = ["Disabled", "Manual", "Notify before installation"];

/// `Status` of `UpdateDeployment`.
const DEPLOYMENT_STATUSES: [&str; 3] = ["Not started", "Running", "Finished"];

/// `Status` of `UpdateDeploymentComputers`.
const COMPUTER_STATUSES: [&str; 6] = [
    "NotStarted",
    "InProgress",
    "Succeeded",
    "Failed",
    "FailedToStart",
    "MaintenanceWindowExceeded",
];

/// Computers by everything that is asked of one, so that its newest scan is looked for once.
const COMPUTERS: &str = "\
WITH newest AS
(
    SELECT
        SourceComputerId,
        max(TimeGenerated) AS Assessed,
        argMax(
            (RestartPending, TotalUpdatesMissing, OldestMissingSecurityUpdateBucket, WindowsUpdateSetting),
            (TimeGenerated, ReportId)) AS Said
    FROM update_summary_rows
    WHERE TimeGenerated > now64(3) - INTERVAL 30 DAY
    GROUP BY SourceComputerId
)
SELECT
    if(OSType IN ('Linux', 'Windows'), OSType, 'Other')::String AS Os,
    multiIf(
        LastSeen < now64(3) - toIntervalMinute(?), 'not_reporting',
        toUnixTimestamp64Milli(Assessed) = 0, 'not_assessed',
        Said.1, 'restart_pending',
        Said.2 > 0, 'updates_needed',
        'up_to_date')::String AS State,
    if(Said.3 = '', 'None', Said.3)::String AS Bucket,
    Said.4::String AS Setting,
    (State != 'not_reporting' AND Assessed < now64(3) - toIntervalMinute(?))::Bool AS Stale,
    count() AS Computers
FROM known_computers
LEFT JOIN newest USING (SourceComputerId)
GROUP BY ALL
ORDER BY ALL
LIMIT 10000";

/// Missing updates of the same computers. There are nine classifications; the limit holds against others.
const MISSING: &str = "\
SELECT
    if(OSType IN ('Linux', 'Windows'), OSType, 'Other')::String AS Os,
    Classification::String,
    count()
FROM Update
WHERE UpdateState = 'Needed' AND Approved AND NOT Optional
    AND SourceComputerId IN (SELECT SourceComputerId FROM known_computers)
GROUP BY ALL
ORDER BY ALL
LIMIT 60";

const DEPLOYMENTS: &str =
    "SELECT Status::String, count() FROM UpdateDeployment GROUP BY ALL LIMIT 20";

const DEPLOYMENT_COMPUTERS: &str = "\
SELECT Status::String, count() FROM UpdateDeploymentComputers WHERE IsNewestRun GROUP BY ALL LIMIT 20";

/// A row of [`COMPUTERS`].
#[derive(Debug, clickhouse::Row, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Group {
    os: String,
    state: String,
    bucket: String,
    setting: String,
    stale: bool,
    computers: u64,
}

/// The figures of one moment.
#[derive(Debug)]
struct Figures {
    groups: Vec<Group>,
    missing: Vec<(String, String, u64)>,
    deployments: Vec<(String, u64)>,
    deployment_computers: Vec<(String, u64)>,
}

/// Makes the figures again and again until `shutdown`; returns at once where they are turned off.
pub async fn export(
    client: Client,
    config: FleetConfig,
    metrics: FleetMetrics,
    shutdown: CancellationToken,
) {
    if config.interval_s == 0 {
        return;
    }
    loop {
        let started = Instant::now();
        match Figures::ask(&client, &config).await {
            Ok(figures) => {
                figures.show(&metrics);
                metrics.updated.set(Timestamp::now().0 / 1000);
            }
            Err(error) => {
                metrics.errors.inc();
                tracing::warn!(%error, "the fleet's figures stay as they were");
            }
        }
        let took = started.elapsed();
        metrics.query_seconds.observe(took.as_secs_f64());
        let pause = Duration::from_secs(config.interval_s).max(took * PAUSE_FACTOR);
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

impl Figures {
    async fn ask(client: &Client, config: &FleetConfig) -> Result<Self, clickhouse::error::Error> {
        let seconds = config.query_timeout_s.to_string();
        // A server that does not keep to its time is not waited for.
        let patience = Duration::from_secs(config.query_timeout_s.saturating_add(5));
        let client = [
            ("max_execution_time", seconds.as_str()),
            ("max_threads", "1"),
            ("max_memory_usage", "2000000000"),
            // Behind queries without a priority, as inserts and analysts' are.
            ("priority", "10"),
            ("cancel_http_readonly_queries_on_client_close", "1"),
        ]
        .into_iter()
        .fold(client.clone(), |client, (name, value)| client.with_setting(name, value));
        let computers = client.query(COMPUTERS).bind(config.silent_after_min);
        Ok(Self {
            groups: within(patience, computers.bind(config.stale_after_min).fetch_all()).await?,
            missing: within(patience, client.query(MISSING).fetch_all()).await?,
            deployments: within(patience, client.query(DEPLOYMENTS).fetch_all()).await?,
            deployment_computers: within(patience, client.query(DEPLOYMENT_COMPUTERS).fetch_all())
                .await?,
        })
    }

    /// Sets the gauges, all to zero first: what nobody has any more must not stay.
    fn show(&self, metrics: &FleetMetrics) {
        begin(&metrics.computers, &SYSTEMS.map(|os| STATES.map(|state| vec![os, state])).concat());
        begin(&metrics.stale, &SYSTEMS.map(|os| vec![os]));
        begin(&metrics.oldest, &BUCKETS.map(|bucket| vec![bucket]));
        begin(&metrics.not_automatic, &NOT_AUTOMATIC.map(|setting| vec![setting]));
        for group in &self.groups {
            let Group { os, state, bucket, setting, stale, .. } = group;
            let computers = i64::try_from(group.computers).unwrap_or(i64::MAX);
            metrics.computers.with_label_values(&[os, state]).add(computers);
            metrics.oldest.with_label_values(&[bucket]).add(computers);
            if *stale {
                metrics.stale.with_label_values(&[os]).add(computers);
            }
            if NOT_AUTOMATIC.contains(&setting.as_str()) {
                metrics.not_automatic.with_label_values(&[setting]).add(computers);
            }
        }
        let known =
            ["Critical Updates", "Security Updates"].map(|class| SYSTEMS.map(|os| vec![os, class]));
        begin(&metrics.missing, &known.concat());
        for (os, classification, updates) in &self.missing {
            let updates = i64::try_from(*updates).unwrap_or(i64::MAX);
            metrics.missing.with_label_values(&[os, classification]).set(updates);
        }
        let by_status = [
            (&metrics.deployments, &self.deployments, &DEPLOYMENT_STATUSES[..]),
            (&metrics.deployment_computers, &self.deployment_computers, &COMPUTER_STATUSES[..]),
        ];
        for (gauges, found, statuses) in by_status {
            begin(gauges, &statuses.iter().map(|status| vec![*status]).collect::<Vec<_>>());
            for (status, count) in found {
                gauges.with_label_values(&[status]).set(i64::try_from(*count).unwrap_or(i64::MAX));
            }
        }
    }
}

/// Forgets the series that there are and makes the known ones, at zero.
fn begin(gauges: &IntGaugeVec, known: &[Vec<&str>]) {
    gauges.reset();
    for labels in known {
        gauges.with_label_values(labels).set(0);
    }
}

async fn within<T>(
    patience: Duration,
    query: impl Future<Output = Result<T, clickhouse::error::Error>>,
) -> Result<T, clickhouse::error::Error> {
    tokio::time::timeout(patience, query).await.unwrap_or(Err(clickhouse::error::Error::TimedOut))
}

#[cfg(test)]
mod tests {
    use prometheus::Registry;

    use super::*;

    fn group(os: &str, state: &str, bucket: &str, setting: &str, computers: u64) -> Group {
        let [os, state, bucket, setting] = [os, state, bucket, setting].map(str::to_owned);
        Group { os, state, bucket, setting, stale: false, computers }
    }

    #[test]
    fn what_nobody_has_any_more_falls_to_zero() {
        let metrics = FleetMetrics::new(&Registry::new()).unwrap();
        let mut figures = Figures {
            groups: vec![
                group("Linux", "up_to_date", "None", "", 3),
                group("Linux", "up_to_date", "Recent", "", 4),
                group("Windows", "updates_needed", "Older", "Disabled", 5),
            ],
            missing: vec![("Windows".into(), "Feature Packs".into(), 6)],
            deployments: vec![("Running".into(), 1)],
            deployment_computers: vec![("Failed".into(), 2)],
        };
        figures.show(&metrics);
        let computers = |os, state| metrics.computers.with_label_values(&[os, state]).get();
        assert_eq!(computers("Linux", "up_to_date"), 7);
        assert_eq!(metrics.oldest.with_label_values(&["Older"]).get(), 5);
        assert_eq!(metrics.not_automatic.with_label_values(&["Disabled"]).get(), 5);
        figures.groups.truncate(1);
        figures.missing.clear();
        figures.deployment_computers.clear();
        figures.show(&metrics);
        assert_eq!(
            (computers("Linux", "up_to_date"), computers("Windows", "updates_needed")),
            (3, 0)
        );
        assert_eq!(metrics.not_automatic.with_label_values(&["Disabled"]).get(), 0);
        assert_eq!(metrics.missing.with_label_values(&["Windows", "Feature Packs"]).get(), 0);
        assert_eq!(metrics.deployment_computers.with_label_values(&["Failed"]).get(), 0);
    }
}
