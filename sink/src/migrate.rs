//! Versioned migrations of the database.
//!
//! Each file of `migrations/` is one version, applied once and in order. Every statement in them may be
//! repeated, so that a migration that broke off half-way, or two that ran at once, end well.
//!
//! After them, and at every call: what follows from the tables as they are by then. Views take the comments
//! of their tables' columns ([`migrate`]), and tables their time to live ([`retain`]).

use clickhouse::Client;

use crate::config::{ClickHouseConfig, RetentionDays};
use crate::store::{Store, code, is_lasting};

/// Version and statements of every migration.
const MIGRATIONS: &[(u32, &str)] = &[
    (1, include_str!("../migrations/0001_tables.sql")),
    (2, include_str!("../migrations/0002_heartbeat_location.sql")),
    (3, include_str!("../migrations/0003_update_deployments.sql")),
    (4, include_str!("../migrations/0004_documented_names.sql")),
    (5, include_str!("../migrations/0005_update_indexes.sql")),
];

/// The version that this program works with.
pub const NEWEST: u32 = 5;

/// The database cannot be brought to, or used at, this program's version.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// The database has migrations that this program does not know.
    #[error(
        "database `{database}` is at version {found}, this program knows {NEWEST}: \
         run a patchline-sink at least as new as the one that migrated it"
    )]
    DatabaseNewer {
        /// The database.
        database: String,
        /// Its version.
        found: u32,
    },
    /// Migrations are missing.
    #[error(
        "database `{database}` is at version {found}, this program needs {NEWEST}: \
         run `patchline-sink migrate` first"
    )]
    DatabaseOlder {
        /// The database.
        database: String,
        /// Its version; 0 where there is none.
        found: u32,
    },
    /// A statement failed.
    #[error("{what}: {source}")]
    Statement {
        /// What was being done.
        what: String,
        /// ClickHouse's answer.
        source: clickhouse::error::Error,
    },
}

impl MigrateError {
    /// The same request may succeed later, untouched by human hand: ClickHouse is away or busy.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Statement { source, .. } if !is_lasting(source))
    }
}

/// Applies what is missing. Returns the versions applied.
///
/// # Errors
/// The database is newer than this program, or a statement failed.
pub async fn migrate(config: &ClickHouseConfig) -> Result<Vec<u32>, MigrateError> {
    let store = Store::new(config);
    let client = store.client();
    let database = &config.database;
    let outside = client.clone().with_database("default");
    let create = format!("CREATE DATABASE IF NOT EXISTS `{database}`");
    execute(&outside, &create, || format!("creating database `{database}`")).await?;
    let create = "CREATE TABLE IF NOT EXISTS schema_migrations \
        (version UInt32, applied_at DateTime DEFAULT now()) \
        ENGINE = ReplacingMergeTree ORDER BY version \
        COMMENT 'Migrations of the sink that have been applied'";
    execute(client, create, || "creating table schema_migrations".to_owned()).await?;

    let found = version(client).await?;
    if found > NEWEST {
        return Err(MigrateError::DatabaseNewer { database: database.clone(), found });
    }
    let mut applied = Vec::new();
    for (version, text) in MIGRATIONS.iter().filter(|(version, _)| *version > found) {
        for (number, statement) in statements(text).enumerate() {
            let what = || format!("migration {version}, statement {}", number + 1);
            execute(client, statement, what).await?;
        }
        let done = format!("INSERT INTO schema_migrations (version) VALUES ({version})");
        execute(client, &done, || format!("recording migration {version}")).await?;
        applied.push(*version);
    }
    describe_views(client).await?;
    Ok(applied)
}

/// Gives each view's columns the comments of its table's: analysts see the view. `UpdateSummary` is of
/// `update_summary_rows`, and so on.
async fn describe_views(client: &Client) -> Result<(), MigrateError> {
    let sql = "SELECT view.table, view.name, described.comment \
        FROM system.columns AS view \
        INNER JOIN system.tables AS views ON views.database = view.database AND views.name = view.table \
        INNER JOIN system.columns AS described ON described.database = view.database \
            AND described.table = concat(\
                substring(lower(replaceRegexpAll(view.table, '([A-Z])', '_\\\\1')), 2), '_rows') \
            AND described.name = view.name \
        WHERE view.database = currentDatabase() AND views.engine = 'View' \
            AND view.comment = '' AND described.comment != '' \
        ORDER BY view.table, view.position";
    let what = || "reading the columns of the views".to_owned();
    let missing: Vec<(String, String, String)> = client
        .query(sql)
        .fetch_all()
        .await
        .map_err(|source| MigrateError::Statement { what: what(), source })?;
    for columns in missing.chunk_by(|one, next| one.0 == next.0) {
        let Some((view, _, _)) = columns.first() else { continue };
        let comments: Vec<String> = columns
            .iter()
            .map(|(_, name, comment)| {
                format!(
                    "COMMENT COLUMN `{name}` '{}'",
                    comment.replace('\\', "\\\\").replace('\'', "''")
                )
            })
            .collect();
        let alter = format!("ALTER TABLE `{view}` {}", comments.join(", "));
        execute(client, &alter, || format!("describing the columns of view {view}")).await?;
    }
    Ok(())
}

/// Gives each table the time to live that `days` says, where it has another one or none. Returns the tables that
/// were altered; ClickHouse then deletes what is too old as it merges.
///
/// # Errors
/// A statement failed; what was altered before it stays.
pub async fn retain(
    config: &ClickHouseConfig,
    days: &RetentionDays,
) -> Result<Vec<&'static str>, MigrateError> {
    let store = Store::new(config);
    let client = store.client();
    let mut altered = Vec::new();
    for (table, wanted) in days.tables() {
        let what = || format!("time to live of table {table}");
        let sql =
            "SELECT engine_full FROM system.tables WHERE database = currentDatabase() AND name = ?";
        let engine: String = client
            .query(sql)
            .bind(table)
            .fetch_one()
            .await
            .map_err(|source| MigrateError::Statement { what: what(), source })?;
        let alter = match (time_to_live(&engine), &wanted) {
            (found, Some(wanted)) if found != Some(wanted) => format!("MODIFY TTL {wanted}"),
            (Some(_), None) => "REMOVE TTL".to_owned(),
            _ => continue,
        };
        execute(client, &format!("ALTER TABLE {table} {alter}"), what).await?;
        altered.push(table);
    }
    Ok(altered)
}

/// The TTL in a table's engine as `system.tables` spells it.
fn time_to_live(engine: &str) -> Option<&str> {
    let (_, rest) = engine.split_once(" TTL ")?;
    Some(rest.split_once(" SETTINGS ").map_or(rest, |(ttl, _)| ttl))
}

/// Checks that the database has exactly this program's version.
///
/// # Errors
/// It is older or newer, or cannot be asked.
pub async fn check(config: &ClickHouseConfig) -> Result<(), MigrateError> {
    let store = Store::new(config);
    let database = config.database.clone();
    let found = match version(store.client()).await {
        Ok(found) => found,
        Err(MigrateError::Statement { source, .. }) if is_missing(&source) => 0,
        Err(error) => return Err(error),
    };
    match found.cmp(&NEWEST) {
        std::cmp::Ordering::Equal => Ok(()),
        std::cmp::Ordering::Greater => Err(MigrateError::DatabaseNewer { database, found }),
        std::cmp::Ordering::Less => Err(MigrateError::DatabaseOlder { database, found }),
    }
}

/// The table or its database does not exist (`UNKNOWN_TABLE`, `UNKNOWN_DATABASE`).
fn is_missing(error: &clickhouse::error::Error) -> bool {
    matches!(code(error), Some(60 | 81))
}

async fn version(client: &Client) -> Result<u32, MigrateError> {
    client.query("SELECT max(version) FROM schema_migrations").fetch_one().await.map_err(|source| {
        MigrateError::Statement { what: "reading table schema_migrations".to_owned(), source }
    })
}

async fn execute(
    client: &Client,
    statement: &str,
    what: impl Fn() -> String,
) -> Result<(), MigrateError> {
    // The client takes a lone question mark for a parameter.
    client
        .query(&statement.replace('?', "??"))
        .execute()
        .await
        .map_err(|source| MigrateError::Statement { what: what(), source })
}

/// The statements of a migration: each ends with a semicolon at the end of a line. A comment that does so ends
/// what is none.
fn statements(text: &str) -> impl Iterator<Item = &str> {
    let is_code = |line: &str| !line.is_empty() && !line.starts_with("--");
    text.split(";\n").map(str::trim).filter(move |statement| statement.lines().any(is_code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_rise_by_one_up_to_the_newest() {
        let versions: Vec<u32> = MIGRATIONS.iter().map(|(version, _)| *version).collect();
        assert_eq!(versions, (1..=NEWEST).collect::<Vec<_>>());
    }

    #[test]
    fn a_time_to_live_is_read_from_the_engine() {
        assert_eq!(time_to_live("MergeTree ORDER BY a SETTINGS index_granularity = 8192"), None);
        let engine =
            "MergeTree ORDER BY a TTL b + toIntervalDay(9) SETTINGS index_granularity = 8192";
        assert_eq!(time_to_live(engine), Some("b + toIntervalDay(9)"));
    }

    #[test]
    fn every_statement_can_be_repeated() {
        for (version, text) in MIGRATIONS {
            for statement in statements(text) {
                let code: Vec<&str> =
                    statement.lines().filter(|line| !line.starts_with("--")).collect();
                let code = code.join(" ");
                let repeatable = [" IF NOT EXISTS ", " OR REPLACE ", " IF EXISTS ", " MODIFY "];
                assert!(
                    repeatable.iter().any(|words| code.contains(words)),
                    "migration {version}: {code}"
                );
            }
        }
    }
}
