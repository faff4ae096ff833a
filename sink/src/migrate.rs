//! Versioned migrations of the database.
//!
//! Each file of `migrations/` is one version, applied once and in order. Every statement in them may be
//! repeated, so that a migration that broke off half-way, or two that ran at once, end well.

use clickhouse::Client;

use crate::config::ClickHouseConfig;
use crate::store::{Store, code, is_lasting};

/// Version and statements of every migration.
const MIGRATIONS: &[(u32, &str)] = &[(1, include_str!("../migrations/0001_tables.sql"))];

/// The version that this program works with.
pub const NEWEST: u32 = 1;

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
    Ok(applied)
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

/// The statements of a migration: each ends with a semicolon at the end of a line.
fn statements(text: &str) -> impl Iterator<Item = &str> {
    text.split(";\n").map(str::trim).filter(|statement| !statement.is_empty())
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
    fn every_statement_can_be_repeated() {
        for (version, text) in MIGRATIONS {
            for statement in statements(text) {
                let code: Vec<&str> =
                    statement.lines().filter(|line| !line.starts_with("--")).collect();
                let code = code.join(" ");
                assert!(
                    code.contains(" IF NOT EXISTS ") || code.contains(" OR REPLACE "),
                    "migration {version}: {code}"
                );
            }
        }
    }
}
